/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dispatcher page: what an environment and the kernel share.
 *
 * An environment has one thread of control as the kernel sees it. The kernel enters it by an *upcall*: it sets `off`,
 * loads the stack pointer named here and jumps to an entry named here. While `off` is nonzero, or while the program
 * counter is in [critical, critical_end), no upcall of the first kind is made: an interruption is saved in OFF and
 * resumed by the kernel itself, and an exception goes to `off_entry` with the state in FAULT.
 *
 *   RUN    run_entry, upcall_sp: the environment has the CPU. rdi = EXO_RUN_* reasons. If `saved` has
 *          EXO_SAVED_ON, the state it was interrupted in is in area ON (registers and FPU); the libOS resumes it, or
 *          copies it and runs something else.
 *   FAULT  fault_entry, upcall_sp: an exception with upcalls on. The state is in area ON; the FPU is live. Registers
 *          but rsp, rip and flags still hold the faulting code's values; rdi = vector.
 *   OFF    off_entry, off_sp: an exception with upcalls off; state in area FAULT. A fault that finds this page's
 *          OFF-in-progress mark (`off` == EXO_OFF_FAULT) ends the environment.
 *   CALL   call_entry, call_sp: a transfer came in. rdi = badge, rsi = caller's environment id,
 *          rdx, r10, r8, r9 = message, rax = 1 if a reply is wanted (exo_reply), 0 if one-way.
 *
 *          While it serves, or waits in a call of its own, it is BUSY, unless `reenter` is set: then the next
 *          transfer comes in on top, and its reply leads back to what it came in on. The reply always answers the
 *          transfer that came last, and must be made even if that was cut. call_sp is read anew each time: before it
 *          calls, a handler names the rest of the stack, or another.
 *          Slots of the own table can be opened to whom one calls, for as long as he serves the call: free ones of the
 *          window he may fill, from those of the offer derive (EXO_PEER in exo/cap.h).
 *
 *   END    end_entry, upcall_sp: only if end_entry is set: the slice has ended, somebody else has the next one, and
 *          upcalls are on. The state is in area ON (FPU live, as for FAULT); rdi = until when the CPU is lent: save and
 *          yield by then. Who stays longer is interrupted as ever, with the state of END's handler in area OFF; who does
 *          EXO_OVERSTAYS_MAX times in a row loses its slices (EXO_LOSS_OVERRUN). All time beyond the end is counted
 *          (exo_env_info.overrun_ns) and paid back: for each slice's length of debt one of its slices passes it by.
 *
 * To resume a state with upcalls on: inside the critical range load the registers, set rsp to `rip` of the area (it is
 * laid out as IRETQ pops it), clear `off`, IRETQ. It costs no kernel entry and touches no red zone.
 * Everything the kernel takes back from here is masked, never trusted. Fields are only appended.
 * After Nemesis' and Barrelfish's dispatchers; unlike them, exceptions do not pass through the kernel on the way back.
 */
#ifndef EXO_DISP_H
#define EXO_DISP_H

#include <exo/types.h>

#define EXO_DISP_VERSION	1

#define EXO_OVERSTAYS_MAX	8	/* times in a row */

#define EXO_OFF_NO		0	/* upcalls on */
#define EXO_OFF_YES		1	/* upcalls off */
#define EXO_OFF_FAULT		2	/* off, and OFF's handler is running */

#define EXO_SAVED_ON		1	/* area ON holds an interrupted state, FPU included */

/* Reasons of a RUN upcall (rdi), also OR-ed into `pending`. */
#define EXO_RUN_START		0x01	/* the first upcall ever */
#define EXO_RUN_SLICE		0x02	/* a slice begins, or somebody yielded to us */
#define EXO_RUN_TIME		0x04	/* the time given to exo_sleep has come */
#define EXO_RUN_EVENT		0x08	/* an event came; see `pending` */
#define EXO_RUN_REPLIED		0x10	/* a transfer that we served was cut or has been replied to */
#define EXO_RUN_MOVED		0x20	/* we are on another CPU now */

/* Events, OR-ed into `pending` by the kernel; the libOS takes them with an atomic exchange. */
#define EXO_EVENT_RECEIVE	0x100	/* a ring of ours has received */
#define EXO_EVENT_SENT		0x200	/* a ring of ours that was full has room */
#define EXO_EVENT_CHILD		0x400	/* an environment that we made has ended; see exo_env_info */
#define EXO_EVENT_CUT		0x800	/* a transfer that we serve was cut */
#define EXO_EVENT_WAKE		0x1000	/* somebody called exo_wake */
#define EXO_EVENT_DEMAND	0x2000	/* something is wanted back: see struct exo_abort */
#define EXO_EVENT_ANSWERED	0x4000	/* a demand of ours has been met */
#define EXO_EVENT_LOST		0x8000	/* something was taken by force: see struct exo_abort */
#define EXO_EVENT_CONSOLE	0x10000	/* there is input for us, the console's reader */
#define EXO_EVENT_INTERRUPT	0x20000	/* lines of ours have interrupted: see `interrupts` */
#define EXO_EVENT_DISK		0x40000	/* requests of a disk's ring of ours are done */
/* Events that wake who sleeps on a program, whatever that says. */
#define EXO_EVENTS_ALWAYS	(EXO_EVENT_CUT | EXO_EVENT_DEMAND | EXO_EVENT_LOST)

/* Offsets for assembly; checked below. */
#define EXO_DISP_OFF		0x008
#define EXO_DISP_SAVED		0x00c
#define EXO_DISP_CRITICAL	0x010
#define EXO_DISP_CRITICAL_END	0x018
#define EXO_DISP_RUN_ENTRY	0x020
#define EXO_DISP_FAULT_ENTRY	0x028
#define EXO_DISP_OFF_ENTRY	0x030
#define EXO_DISP_CALL_ENTRY	0x038
#define EXO_DISP_UPCALL_SP	0x040
#define EXO_DISP_OFF_SP		0x048
#define EXO_DISP_CALL_SP	0x050
#define EXO_DISP_END_ENTRY	0x080
#define EXO_DISP_REENTER	0x090
#define EXO_DISP_ON		0x100
#define EXO_DISP_ON_FPU		0x200
#define EXO_DISP_OFFA		0x400
#define EXO_DISP_OFFA_FPU	0x500
#define EXO_DISP_FAULT		0x700
#define EXO_DISP_ABORT		0x800
#define EXO_REGS_RIP		0x90	/* start of the IRETQ frame in struct exo_regs */

#ifndef __ASSEMBLER__
struct exo_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t vector;	/* exception number; 256: interruption */
	uint64_t error;		/* the exception's error code, else 0 */
	uint64_t address;	/* page fault: the address touched, else 0 */
	uint64_t rip, cs, rflags, rsp, ss;	/* as IRETQ pops them */
	uint64_t fs_base, gs_base;	/* areas ON and OFF when interrupted */
	uint64_t spare[7];
};

/*
 * Visible revocation: what is wanted back, and what was taken without asking further.
 *
 * A demand (exo_demand) names what and how much the account that this environment is charged to shall give back, and
 * until when; the environment chooses which, by deleting capabilities or giving frames back. If it does not, the one
 * who asked may take the rest (exo_repossess): from the environments charged to the account and below, in order of
 * their numbers; from each table's highest slots down; from a capability's last frame down. Only underived capabilities
 * are taken from; what was derived from one loses the same frames. Kernel objects are passed over: they stay, but as the
 * capability now ends before them, it names them no more. So slots are the plan: what lies in low slots goes last, and
 * what an account has guaranteed is not reached. Then comes what is the account's but in others' tables; if there is
 * nothing ordinary at all, environments end (EXO_CAUSE_REPOSSESSED), each with all it has, and objects are taken apart.
 * A frame's bytes, if the capability has READ, are copied first to the next unused frame of `spill` (an own FRAME
 * capability with WRITE that is not taken from itself), if it names one that has room. Each loss is a record; the last record may grow, downwards, with the next EVENT_LOST.
 */
#define EXO_LOSSES		24	/* records kept; record i (from 0, ever) is at i % EXO_LOSSES */
#define EXO_LOSS_DEMAND		1	/* why: a demand was not met in time */
#define EXO_LOSS_REVOKED	2	/* the capability that it was derived from was revoked */
#define EXO_LOSS_OVERRUN	3	/* slices: too much time was owed */
#define EXO_NOT_SPILLED		0xffffffff

struct exo_loss {
	uint8_t what;		/* EXO_TYPE_* */
	uint8_t why;		/* EXO_LOSS_* */
	uint16_t spare;
	uint32_t slot;		/* of the capability that lost it */
	uint64_t first;		/* as struct exo_cap has it, of what is gone ... */
	uint32_t count;
	uint32_t spilled;	/* ... its first frame lies in this frame of `spill`, the others behind; or NOT_SPILLED */
};

struct exo_abort {
	uint64_t demands;	/* kernel: how many there have been */
	uint32_t demand_what;	/* kernel: EXO_TYPE_FRAME or EXO_TYPE_SLICE */
	uint32_t demand_count;
	uint64_t demand_by;	/* kernel: exo_time_t */
	uint64_t spill;		/* application: exo_cap_t; 0: none */
	uint32_t spill_next;	/* application and kernel: next unused frame of it */
	uint32_t spare;
	uint64_t lost;		/* kernel: records ever */
	struct exo_loss loss[EXO_LOSSES];
};

struct exo_disp {
	uint32_t version;	/* written by the kernel at creation */
	uint32_t size;
	uint32_t off;		/* EXO_OFF_* */
	uint32_t saved;		/* EXO_SAVED_* */
	uint64_t critical, critical_end;
	uint64_t run_entry, fault_entry, off_entry, call_entry;
	uint64_t upcall_sp, off_sp, call_sp;
	uint64_t events;	/* grows with each event; exo_sleep compares it */
	uint64_t pending;	/* EXO_EVENT_* not yet taken */
	uint64_t slice_end;	/* when the CPU may be taken away, as of the last RUN upcall: exo_time_t */
	exo_env_id_t self;	/* own environment id */
	uint64_t lost_events;
	uint64_t end_entry;	/* 0: at the end of a slice the state is saved and nothing said */
	uint64_t spare_first;
	uint64_t reenter;	/* not 0: may be called while it is inside a transfer */
	uint32_t window_first, window_count;	/* slots that whom we call may fill */
	uint32_t offer_first, offer_count;	/* slots that he may derive from */
	uint64_t interrupts;	/* a bit for each line that has interrupted; the libOS takes them by an atomic exchange */
	uint64_t spare[10];
	struct exo_regs on;
	uint8_t on_fpu[512] __attribute__((aligned(16)));
	struct exo_regs offa;
	uint8_t offa_fpu[512] __attribute__((aligned(16)));
	struct exo_regs fault;
	struct exo_abort abort;
	uint8_t reserved[0xc00 - 0x800 - sizeof(struct exo_abort)];
	uint8_t libos[0x400];	/* the kernel never looks here */
};

_Static_assert(sizeof(struct exo_regs) == 256, "save area");
_Static_assert(sizeof(struct exo_disp) == EXO_PAGE_SIZE, "one page");
_Static_assert(offsetof(struct exo_regs, rip) == EXO_REGS_RIP, "rip");
_Static_assert(offsetof(struct exo_disp, off) == EXO_DISP_OFF, "off");
_Static_assert(offsetof(struct exo_disp, saved) == EXO_DISP_SAVED, "saved");
_Static_assert(offsetof(struct exo_disp, critical) == EXO_DISP_CRITICAL, "critical");
_Static_assert(offsetof(struct exo_disp, critical_end) == EXO_DISP_CRITICAL_END, "critical_end");
_Static_assert(offsetof(struct exo_disp, run_entry) == EXO_DISP_RUN_ENTRY, "run_entry");
_Static_assert(offsetof(struct exo_disp, fault_entry) == EXO_DISP_FAULT_ENTRY, "fault_entry");
_Static_assert(offsetof(struct exo_disp, off_entry) == EXO_DISP_OFF_ENTRY, "off_entry");
_Static_assert(offsetof(struct exo_disp, call_entry) == EXO_DISP_CALL_ENTRY, "call_entry");
_Static_assert(offsetof(struct exo_disp, upcall_sp) == EXO_DISP_UPCALL_SP, "upcall_sp");
_Static_assert(offsetof(struct exo_disp, off_sp) == EXO_DISP_OFF_SP, "off_sp");
_Static_assert(offsetof(struct exo_disp, call_sp) == EXO_DISP_CALL_SP, "call_sp");
_Static_assert(offsetof(struct exo_disp, end_entry) == EXO_DISP_END_ENTRY, "end_entry");
_Static_assert(offsetof(struct exo_disp, reenter) == EXO_DISP_REENTER, "reenter");
_Static_assert(offsetof(struct exo_disp, abort) == EXO_DISP_ABORT, "abort");
_Static_assert(offsetof(struct exo_disp, on) == EXO_DISP_ON, "on");
_Static_assert(offsetof(struct exo_disp, on_fpu) == EXO_DISP_ON_FPU, "on_fpu");
_Static_assert(offsetof(struct exo_disp, offa) == EXO_DISP_OFFA, "offa");
_Static_assert(offsetof(struct exo_disp, offa_fpu) == EXO_DISP_OFFA_FPU, "offa_fpu");
_Static_assert(offsetof(struct exo_disp, fault) == EXO_DISP_FAULT, "fault");
#endif

#endif
