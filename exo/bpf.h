/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of downloaded code: what its parts, which know nothing of environments or capabilities, offer others.
 *
 *   bpf_insn.c      which instructions there are, and what they read and write
 *   bpf_check*.c    the verifier: annotates each instruction with what is left to be tested at run time
 *   bpf_interpret.c the interpreter: the specification of what a program does; not part of a kernel that compiles
 *   arch/.../bpf.c  the compiler: machine code from templates, one instruction at a time
 *   code.c          the kernel object; code_run.c what programs call in the kernel; bpf_call.c the rest of that
 *
 * All are also built for the host, for tests and for `exo bpf`. Only plain C, exo/code.h and this; no kernel.h.
 * Addresses in registers are real ones. Checking and compiling are done in bounded steps, with all state in memory of the
 * caller's, so the kernel can come back to its caller between two.
 *
 * B1 of a checked program, an access whose note has no GUARD lies in its window at every run, whatever the windows hold
 * B2 a run executes at most `fuel` instructions: each function's start and each back edge takes what can follow it
 *    without another one (distances: moving forward costs no more than what was paid for)
 * B3 interpreter and machine code leave the same r0, memory, `seen`, `stop` and `fuel`
 */
#ifndef EXO_BPF_ENGINE_H
#define EXO_BPF_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <exo/code.h>

/* --- instructions (RFC 9669, section 3) ------------------------------------------------------------------------ */

#define BPF_CLASS(code)	((code) & 0x07)
#define BPF_LD		0x00
#define BPF_LDX		0x01
#define BPF_ST		0x02
#define BPF_STX		0x03
#define BPF_ALU		0x04
#define BPF_JMP		0x05
#define BPF_JMP32	0x06
#define BPF_ALU64	0x07

#define BPF_SRC_REG	0x08	/* arithmetic and jumps: the second operand is a register */
#define BPF_OP(code)	((code) & 0xf0)
#define BPF_ADD		0x00
#define BPF_SUB		0x10
#define BPF_MUL		0x20
#define BPF_DIV		0x30	/* offset 1: signed */
#define BPF_OR		0x40
#define BPF_AND		0x50
#define BPF_LSH		0x60
#define BPF_RSH		0x70
#define BPF_NEG		0x80
#define BPF_MOD		0x90	/* offset 1: signed */
#define BPF_XOR		0xa0
#define BPF_MOV		0xb0	/* offset 8, 16, 32: sign-extended */
#define BPF_ARSH	0xc0
#define BPF_END		0xd0	/* ALU: to little / big endian; ALU64: swap */

#define BPF_JA		0x00	/* JMP32: by imm */
#define BPF_JEQ		0x10
#define BPF_JGT		0x20
#define BPF_JGE		0x30
#define BPF_JSET	0x40
#define BPF_JNE		0x50
#define BPF_JSGT	0x60
#define BPF_JSGE	0x70
#define BPF_CALL	0x80	/* src 0: a function of exo/code.h; src 1: local, imm = distance */
#define BPF_EXIT	0x90
#define BPF_JLT		0xa0
#define BPF_JLE		0xb0
#define BPF_JSLT	0xc0
#define BPF_JSLE	0xd0

#define BPF_MODE(code)	((code) & 0xe0)
#define BPF_IMM		0x00	/* lddw */
#define BPF_MEM		0x60
#define BPF_MEMSX	0x80
#define BPF_ATOMIC	0xc0
#define BPF_SIZE(code)	((code) & 0x18)
#define BPF_W		0x00
#define BPF_H		0x08
#define BPF_B		0x10
#define BPF_DW		0x18

#define BPF_FETCH	0x01	/* atomic operations, in imm: ADD, OR, AND, XOR with or without it */
#define BPF_XCHG	(0xe0 | BPF_FETCH)
#define BPF_CMPXCHG	(0xf0 | BPF_FETCH)

#define BPF_LDDW	(BPF_LD | BPF_IMM | BPF_DW)
#define BPF_LDDW_WINDOW	6	/* its src: address of byte next_imm of window imm */
#define BPF_CALL_LOCAL	1
#define BPF_REGS	11
#define BPF_FRAME	10	/* r10: top of the function's stack */

static inline unsigned bpf_dst(const struct exo_insn *insn)
{
	return insn->regs & 15;
}
static inline unsigned bpf_src(const struct exo_insn *insn)
{
	return insn->regs >> 4;
}
/* Bytes of a load or store. */
static inline unsigned bpf_width(uint8_t code)
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : BPF_SIZE(code) == BPF_B ? 1 : 8;
}

/* --- a program ------------------------------------------------------------------------------------------------- */

/* What is known of one instruction: written by bpf_check, used by interpreter and compiler. */
struct bpf_note {
	uint8_t flags;
	uint8_t window;		/* of a memory access */
	uint16_t charge;	/* fuel taken when control goes backward from here (a jump taken), or calls from here */
};
#define BPF_NOTE_SECOND		0x01	/* the second half of lddw */
#define BPF_NOTE_TARGET		0x02	/* a jump leads here */
#define BPF_NOTE_FUNCTION	0x04	/* a local function starts here; instruction 0 is one, too */
#define BPF_NOTE_GUARD		0x08	/* test at run time that the access lies in `window` */
#define BPF_NOTE_OBSERVE	0x10	/* a load from the block: note in `seen` what is read */
#define BPF_NOTE_REACHED	0x20	/* without it, control never gets here: compiled as a stop */

/* A program: checked (by bpf_check), or in instruction-set mode, where notes say nothing of memory. */
struct bpf_program {
	const struct exo_insn *insn;
	uint32_t insns;
	uint32_t use;			/* EXO_USE_*, or: */
#define BPF_USE_FILTER	4		/* the kernel's own: window 0 is its table, r2 any number, nothing may be called */
#define BPF_USE_PLAIN	0		/* instruction-set mode: r1, r2 as given, any address is read and written */
	struct bpf_note *note;		/* one for each instruction */
	const uint8_t *data;		/* constants */
	uint32_t data_bytes;
	uint32_t fuel;
	uint32_t window_bytes[EXO_WINDOWS_OWN];
	uint32_t window_write;		/* bit w: window w may be written */
	/* results of the check */
	uint32_t depth;			/* functions above each other */
	uint32_t accesses, guarded;
};

/* --- a run ----------------------------------------------------------------------------------------------------- */

#define BPF_STACK_BYTES	(EXO_CODE_STACK * EXO_CODE_DEPTH)
#define BPF_SEEN_SHIFT	6	/* bit i of `seen`: bytes [64 i, 64 i + 64) of the block were read */

/* Why a run ended. */
#define BPF_STOP_EXIT	0
#define BPF_STOP_FUEL	1
#define BPF_STOP_GUARD	2	/* an access outside its window was stopped */
#define BPF_STOP_ESCAPE	3	/* interpreter only: an access without a guard lay outside. The verifier is broken. */

struct bpf_window {
	uint8_t *base;
	uint64_t bytes;
};

struct bpf_run {
	int64_t fuel;		/* left; set by bpf_begin */
	uint64_t native_sp;	/* the compiler's */
	uint8_t *top;		/* of the stack: BPF_STACK_BYTES, aligned to 16; what is in it does not matter */
	uint64_t seen;
	uint32_t stop;		/* BPF_STOP_* */
	uint32_t steps;		/* instructions executed; counted by the interpreter only */
	struct bpf_window window[EXO_WINDOWS];	/* STACK: filled by bpf_begin */
	const struct bpf_program *program;
	void *owner;		/* for the functions it calls */
};
/* Offsets for the compiler. */
#define BPF_RUN_FUEL		0
#define BPF_RUN_NATIVE_SP	8
#define BPF_RUN_TOP		16
#define BPF_RUN_SEEN		24
#define BPF_RUN_STOP		32
#define BPF_RUN_WINDOW		40	/* + 16 * window: base, bytes */
_Static_assert(offsetof(struct bpf_run, window) == BPF_RUN_WINDOW, "window");
_Static_assert(offsetof(struct bpf_run, stop) == BPF_RUN_STOP, "stop");

/* Before each run: fuel, stack, nothing seen; main's own instructions are paid for. The windows stay as they are. */
static inline void bpf_begin(struct bpf_run *run, const struct bpf_program *program, uint8_t *stack)
{
	run->fuel = program->fuel;
	run->top = stack + BPF_STACK_BYTES;
	run->seen = 0;
	run->stop = BPF_STOP_EXIT;
	run->window[EXO_WINDOW_STACK] = (struct bpf_window){ stack, BPF_STACK_BYTES };
	run->program = program;
}

/* A function that programs call, by number; `run` says for whom. Defined by whoever runs programs: bpf_call[0] is NULL,
 * or what all numbers call in instruction-set mode. */
typedef uint64_t bpf_call_fn(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run);
extern bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT];
static inline bpf_call_fn *bpf_called(const struct bpf_program *program, int32_t number)
{
	uint32_t at = program->use == BPF_USE_PLAIN ? 0 : (uint32_t)number;

	return at < EXO_CODE_CALL_COUNT ? bpf_call[at] : NULL;
}

/* They are bpf_call_NAME, of the kernel or of whoever runs programs, and those of bpf_call.c. */
#define BPF_CALL_DECLARE(number, name, uses, args, meaning) bpf_call_fn bpf_call_##name;
EXO_CODE_CALLS(BPF_CALL_DECLARE)
#undef BPF_CALL_DECLARE
#define BPF_REFUSED	UINT64_MAX
/* Take fuel for work that a run's program asks for; false: there is not so much, and the run is at its end. */
static inline bool bpf_pay(struct bpf_run *run, uint64_t fuel)
{
	if (run->fuel < 0 || fuel > (uint64_t)run->fuel) {
		run->fuel = -1;
		return false;
	}
	run->fuel -= (int64_t)fuel;
	return true;
}
static inline bool bpf_inside(const struct bpf_window *window, uint64_t at, uint64_t bytes)
{
	uint64_t offset = at - (uint64_t)(uintptr_t)window->base;

	return offset <= window->bytes && bytes <= window->bytes - offset;
}
/* Does it lie in memory of the application's, which the program may write if it wants to? */
static inline bool bpf_own(const struct bpf_run *run, uint64_t at, uint64_t bytes, bool write)
{
	for (unsigned w = 0; w < EXO_WINDOWS_OWN; w++)
		if (bpf_inside(&run->window[w], at, bytes))
			return !write || run->program->window_write >> w & 1;
	return false;
}

/* `owner` of a run for EXO_USE_OWNER: block, count, type of what it has found. */
struct bpf_emits {
	uint32_t count;
	uint64_t (*emit)[3];	/* EXO_EMITS_MAX of them */
};
/* The order of their block numbers, as places in emit[]. false: two overlap, or one is empty or wraps. At most 12,000
 * instructions, 1,500 if they are in order. */
bool bpf_emits_sort(const struct bpf_emits *emits, uint8_t order[EXO_EMITS_MAX]);

/* Machine code of a program, as arch_bpf_compile made it. */
typedef uint64_t bpf_native_fn(uint64_t r1, uint64_t r2, struct bpf_run *run);

/* --- bpf_interpret.c --------------------------------------------------------------------------------------------- */

/* Run a program after bpf_begin: r0, or EXO_CODE_STOPPED with run->stop saying why. Every access of a checked program
 * is looked at, guarded or not. Memory that others may write at the same time is read and written once, by its width. */
uint64_t bpf_interpret(struct bpf_run *run, uint64_t r1, uint64_t r2);

/* --- bpf_check.c ------------------------------------------------------------------------------------------------- */

/* Memory that a check works in, besides program->note: where branches meet, what is known is kept until they have met. */
struct bpf_check;
/* Bytes of work memory that programs of this size do with, but for those with very many open branches. */
size_t bpf_check_bytes(uint32_t insns);
/* Begin: `work`, aligned to 64, is the check's until it is done. NULL: that is too little for any program. `program` has
 * its first part filled, notes are cleared here. Instructions and data must not change any more. When the program is
 * accepted, program->fuel is what is left once main's own instructions are paid for. */
struct bpf_check *bpf_check_begin(struct bpf_program *program, void *work, size_t work_bytes);
/* Go on for about `budget` instructions of the CPU's. 1: there is more to do; 0: accepted; -1: rejected. Accepted or
 * rejected, *report says the result (native_bytes is the compiler's). */
int bpf_check_step(struct bpf_check *check, unsigned budget, struct exo_code_report *report);

/* --- bpf_insn.c -------------------------------------------------------------------------------------------------- */

/* What the functions that programs call take, for the check. */
struct bpf_call_spec {
	char uses[4];		/* letters as in exo/code.h */
	char args[6];
};
extern const struct bpf_call_spec bpf_call_spec[EXO_CODE_CALL_COUNT];

/* Is there such an instruction? Its registers' numbers, and where it leads, are not looked at. */
bool bpf_exists(const struct bpf_program *program, uint32_t i);
struct bpf_writes {
	uint64_t slots;		/* of the stack, by r10 */
	uint16_t regs, reads;
};
/* What an instruction writes and reads, added to *writes. */
void bpf_writes(const struct exo_insn *insn, struct bpf_writes *writes);

/* --- arch: the compiler ------------------------------------------------------------------------------------------- */

/* State of a compilation; all memory is the caller's. */
struct bpf_compile {
	const struct bpf_program *program;
	uint32_t *at;		/* insns + 1 numbers: where each instruction's code begins, once done */
	uint8_t *out;		/* where the machine code goes */
	size_t room;
	uint64_t key;		/* constants are blinded with it; 0: they are not */
	size_t bytes;		/* of machine code, when done */
	uint32_t next;		/* instruction */
	uint32_t pass;
};
/* Begin (program, at, out, room, key set). Machine code is position-independent, but for the addresses of bpf_call[]. */
void arch_bpf_compile_begin(struct bpf_compile *compile);
/* Go on for about `budget` instructions of the CPU's: 1 more to do; 0 done; -1 it does not fit: `bytes` is what it needs. */
int arch_bpf_compile_step(struct bpf_compile *compile, unsigned budget);

#endif
