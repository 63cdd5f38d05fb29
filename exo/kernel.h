/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own structures and the functions that its files offer each other.
 *
 * One file per resource; a symbol's prefix names its file. There is no heap: every structure here lies in a frame that
 * an application gave up (struct env, flow, account), beside a frame (struct frame), in a capability-table frame
 * (struct exo_cap), or in a table made at boot.
 *
 * Everything runs with interrupts off on the CPU's one stack and ends in bounded time. Locks: one CPU runs so far;
 * what several CPUs will share is marked [s] and stands under one lock then; what is one CPU's own is marked [c].
 */
#ifndef EXO_KERNEL_H
#define EXO_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <exo/types.h>
#include <exo/error.h>
#include <exo/call.h>
#include <exo/cap.h>
#include <exo/disp.h>
#include <exo/space.h>
#include <exo/flow.h>
#include <exo/info.h>
#include <exo/start.h>
#include "arch/arch.h"

#define ERR(name)	(-(int64_t)EXO_E##name)
#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

/* Read a word that others may write at the same time, once. */
#define read_once(lvalue)		(*(const volatile __typeof__(lvalue) *)&(lvalue))
#define write_once(lvalue, value)	(*(volatile __typeof__(lvalue) *)&(lvalue) = (value))

/* --- panic.c: broken kernel invariants stop the machine; nothing an application supplies gets here -------------- */

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));	/* %s %c %d %u %x %lx %lu %p, widths */
#define kassert(condition) \
	((condition) ? (void)0 : panic("%s:%d: %s", __FILE__, __LINE__, #condition))

/* --- boot.c: what the port found, in one form ------------------------------------------------------------------ */

#define BOOT_RANGES_MAX	64

struct boot_range {
	paddr_t start, end;	/* bytes, end exclusive */
};

struct boot {
	struct boot_range memory[BOOT_RANGES_MAX];	/* usable memory, sorted, disjoint, page-aligned */
	unsigned memory_count;
	struct boot_range reserved[BOOT_RANGES_MAX];	/* within it: kernel image, modules, firmware tables */
	unsigned reserved_count;
	struct boot_range module;	/* the first boot module; end == start: none */
	char cmdline[512];
	const char *loader;	/* "multiboot2", "pvh" */
};
extern struct boot boot;

/* Entered by the port once, on the boot CPU, with paging, exceptions and the console ready. */
_Noreturn void kernel_main(void);

/* --- info.c: the exposed pages --------------------------------------------------------------------------------- */

extern struct exo_info *info;			/* frame 0 of the run */
extern struct exo_env_info *info_env;		/* [s] tables behind it */
extern struct exo_slice_info *info_slice;
extern struct exo_flow_info *info_flow;
extern struct exo_frame_info *info_frame;	/* by frame number */

/* --- frame.c: physical frames ---------------------------------------------------------------------------------- */
/*
 * F1 a frame is FREE iff its bit in the free map is set, and then no capability covers it and it is neither mapped nor pinned
 * F2 holds == number of frame capabilities that cover it
 * F3 maps == number of page-table entries that map it; > 0 only in states OWNED, DISP, ARG, RING, TABLE, CAPS, INFO, KERNEL
 */
struct frame {			/* the kernel's part; the rest is info_frame[pfn] */
	uint32_t maps;
	uint32_t object;	/* TABLE: root frame of its space; LINKS: the table; others: owning object */
	uint32_t account;	/* frame of the account that is charged; 0: none */
	uint16_t pins;		/* reasons why it must not change hands: rings in use by a device */
	uint16_t level;		/* TABLE: 1..4 */
};
extern struct frame *frame_table;		/* [s] */

/* Boot: take all of boot.memory over, minus boot.reserved; place the tables; must be called first. */
void frame_init(void);
/* Boot: a contiguous run for the kernel itself, zeroed; panics with a clear text when memory is too small. */
exo_pfn_t frame_boot_take(uint32_t count, uint8_t state);
bool frame_valid(uint64_t pfn);			/* within the table and not ABSENT */
bool frame_is_free(exo_pfn_t pfn);
/* The lowest free run of `count` at or after `hint`; EXO_PFN_ANY when there is none. Cost: bounded words of the map. */
exo_pfn_t frame_find(uint32_t count);
/* FREE -> OWNED by env, zeroed, charged. The caller has checked. */
void frame_claim(exo_pfn_t pfn, struct env *env);
/* holds 0 -> FREE, discharged. */
void frame_release(exo_pfn_t pfn);
/* OWNED, unmapped, unpinned frame -> a kernel object's state / back to OWNED. */
bool frame_retypable(exo_pfn_t pfn);
void frame_retype(exo_pfn_t pfn, uint8_t state, uint32_t object);

/* --- account.c ------------------------------------------------------------------------------------------------- */

struct account {		/* a frame of state ACCOUNT */
	exo_pfn_t self, parent;	/* parent 0: root */
	uint32_t limit, used;	/* frames; used counts children's too */
	uint32_t users;		/* environments and accounts below that name it */
	uint32_t holds;		/* capabilities */
};
bool account_room(const struct account *account, uint32_t frames);
void account_charge(struct account *account, int32_t frames);	/* and all above */

/* --- cap.c: capability tables and derivation -------------------------------------------------------------------- */
/*
 * A capability's place: frame number << 6 | index; 0: none.
 * C1 a slot is in its parent's list of children iff parent != 0; the lists are doubly linked
 * C2 a child's range lies in its parent's, its rights are a subset
 * C3 a slot of type NONE has no links
 * C4 bound != 0 only for type FRAME: head of the ring of page-table entries made through it
 */
typedef uint64_t cap_ref_t;

struct exo_cap *cap_at(cap_ref_t ref);
cap_ref_t cap_ref(const struct exo_cap *cap);
/* The caller's capability; NULL if there is none of this generation. */
struct exo_cap *cap_lookup(const struct env *env, exo_cap_t handle);
/* The same with type and rights checked; *error says what is wrong. */
struct exo_cap *cap_need(const struct env *env, exo_cap_t handle, unsigned type, unsigned rights, int64_t *error);
/* A free slot of the caller's table by number; NULL if in use or absent. */
struct exo_cap *cap_free_slot(const struct env *env, uint64_t slot);
/* Fill a free slot with a capability that has no parent / a parent; returns the handle. `env` is whose table it is. */
exo_cap_t cap_fill(struct exo_cap *cap, unsigned type, unsigned rights, uint64_t first, uint32_t count, exo_pfn_t object,
    struct exo_cap *parent, uint32_t slot);
/* Drop one capability and its bindings. 0, or ERR(AGAIN) when work is left, or ERR(BUSY). */
int64_t cap_drop(struct exo_cap *cap);
/* Frame number of frame `index` of a frame capability, checked for `count`; false if outside. */
bool cap_frames(const struct exo_cap *cap, uint64_t index, uint64_t count, exo_pfn_t *pfn);

/* --- space.c: page tables and reverse links --------------------------------------------------------------------- */
/*
 * An entry's place: leaf table's frame number << 9 | index. A leaf table T has two LINKS frames (frame_table[T].object
 * is the root; the links' frame numbers are in `space_links` of T's record): next[i], prev[i] of the ring of entries
 * made through one capability. prev of the first is the capability's place with SPACE_PREV_CAP set.
 * S1 a present leaf entry is in exactly one capability's ring; an absent one in none (links 0)
 * S2 frame.maps of the mapped frame counts it
 */
#define SPACE_PREV_CAP	(1ULL << 63)

int64_t space_make(exo_pfn_t root);
/* Boot and kernel use of the same operations that calls reach. */
int64_t space_link_table(exo_pfn_t root, uint64_t va, unsigned level, exo_pfn_t first);
int64_t space_map(exo_pfn_t root, uint64_t va, struct exo_cap *cap, exo_pfn_t pfn, unsigned flags, uint64_t *old);
/* Cut up to *budget entries bound through a capability; true when none is left. */
bool space_unbind(struct exo_cap *cap, unsigned *budget);
/* Take a space apart, tables back to OWNED; true when done. */
bool space_destroy(exo_pfn_t root, unsigned *budget);
/* Physical frame and rights behind a user address, by walking the tables; false: not mapped. */
bool space_lookup(exo_pfn_t root, uint64_t va, exo_pfn_t *pfn, uint64_t *pte);

/* --- env.c: environments ----------------------------------------------------------------------------------------- */

struct env {			/* a frame of state ENV */
	struct arch_env arch;	/* first: the entry code uses it */
	exo_pfn_t self;		/* own frame */
	uint32_t index;		/* in info_env */
	exo_env_id_t id;
	struct exo_env_info *info;
	struct exo_disp *disp;	/* kernel mapping of the dispatcher page */
	uint8_t *arg;		/* kernel mapping of the argument frame */
	exo_pfn_t disp_pfn, arg_pfn;
	exo_pfn_t root;		/* the space */
	exo_pfn_t account;
	exo_env_id_t creator;	/* told when it ends */
	uint32_t state;		/* EXO_ENV_* */
	uint32_t holds;		/* ENV and ENTRY capabilities */
	uint32_t reasons;	/* EXO_RUN_* for the next RUN upcall */
	bool preempted_off;	/* area OFF holds a state to resume directly */
	bool dying;
	uint32_t cap_frames;
	exo_pfn_t cap_frame[EXO_CAP_FRAMES_MAX];
	/* cpu.c */
	uint32_t cpu;
	struct env *run_next, *run_prev;	/* [c] ring of ready environments */
	exo_time_t wake_at;			/* [c] asleep until */
	struct env *sleep_next, *sleep_prev;	/* [c] asleep with a deadline */
	uint32_t slices;	/* slices bound to it */
	uint64_t seen_events;	/* what exo_sleep was given */
	/* transfer.c: */
	exo_env_id_t called;	/* whom we wait for; 0: nobody */
	exo_env_id_t caller;	/* whose transfer we serve; 0: nobody */
	uint32_t depth;
	exo_time_t call_deadline;
	/* flow.c */
	exo_pfn_t flows;	/* list of flows bound by it */
	uint32_t destroy_step;	/* how far env_destroy has come */
};
_Static_assert(sizeof(struct env) <= EXO_PAGE_SIZE, "one frame");

struct env *env_by_id(exo_env_id_t id);		/* NULL if it is no more */
/* Parts of env_create that the boot shares. */
struct env *env_make(exo_pfn_t frames[4], exo_pfn_t root, exo_pfn_t account, uint32_t cpu, const char label[16]);
/* Something happened for it: counts, sets `pending`, wakes it if it sleeps. */
void env_event(struct env *env, uint64_t event);
/* It is over: state ENDED, creator told, its transfers cut. It never runs again. Leaves if it is the current one. */
void env_end(struct env *env, uint32_t cause, uint64_t status, uint64_t rip);

/* --- cpu.c: slices, who runs ------------------------------------------------------------------------------------- */

struct cpu {
	struct env *current;	/* [c] NULL: idle */
	struct env *loaded;	/* [c] whose bases and FPU are in the CPU */
	exo_pfn_t space;	/* [c] loaded space */
	exo_time_t slice_end;	/* [c] when current must leave; EXO_NEVER if nobody else is ready */
	exo_time_t since;	/* [c] when current was given the CPU */
	struct env *ready;	/* [c] ring */
	struct env *sleepers;	/* [c] */
};
extern struct cpu cpu;
static inline struct env *current_env(void) { return cpu.current; }

void cpu_init(void);
void cpu_ready(struct env *env);		/* may run from now on */
void cpu_unready(struct env *env);
/* Choose by the slice vector and enter it: its OFF state, or a RUN upcall. */
_Noreturn void cpu_dispatch(void);
/* Give the CPU to this one now. */
_Noreturn void cpu_enter(struct env *env);

/* Entered by the port: an interrupt came while `frame` was running in user mode (NULL: idle). After the handlers. */
_Noreturn void cpu_interrupted(struct arch_frame *frame);
void cpu_timer(void);				/* the timer's handler */
/* Entered by the port: an exception that the fast path did not deliver (upcalls off, bad entries, NMI ...). */
_Noreturn void cpu_exception(struct arch_frame *frame, uint64_t vector, uint64_t error, uint64_t address);

/* --- transfer.c --------------------------------------------------------------------------------------------------- */

void transfer_cut(struct env *env);		/* it ends: free its caller and its callee */
void transfer_expire(exo_time_t now);		/* deadlines that have passed */

/* --- flow.c, dev/: network devices --------------------------------------------------------------------------------- */

struct flow;			/* a frame of state FLOW; see exo/flow.h */
void flow_release(struct env *env);		/* unbind what it has bound */

/* --- call.c: the calls, sys_NAME(a0..a5) for each line of exo/call.h --------------------------------------------- */

#define CALL_PROTO(nr, name, args, names, rights, meaning) \
	int64_t sys_##name(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
EXO_CALLS(CALL_PROTO)
#undef CALL_PROTO

/* Entered by the port's call path with the number checked. */
typedef int64_t call_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern call_fn *const call_table[EXO_CALL_COUNT];

/* A stretch of the caller's argument frame; NULL if it does not lie within. */
static inline void *call_argument(uint64_t offset, uint64_t bytes)
{
	if (offset > EXO_PAGE_SIZE || bytes > EXO_PAGE_SIZE - offset)
		return NULL;
	return current_env()->arg + offset;
}

#endif
