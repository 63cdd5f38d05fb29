/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the code resource share: the kernel object of a downloaded program, and how others run one.
 *
 * code.c loads, checks, binds and takes apart; code_run.c runs, and has the functions that programs call. A program lies
 * in frames that its maker gave up (state CODE): instructions, constants and notes in front, machine code behind. The
 * object itself lies in its first frame, between the header and the instructions. At most one flow or one sleeping
 * environment uses a program, and one run of it is under way at a time: for packets under flow_lock, for a wakeup on the
 * sleeper's CPU, for an owner under the kernel lock. A packet's program may post an event (wake, send), and the sleeper's
 * program runs at once, inside of it: so those that wake have a stack of their own; they post nothing.
 *
 * D1 holds == capabilities that name it; code_named() finds it from one of them, until it is taken apart; code_behind()
 *    only until that begins: who looks without a lock finds nobody who has not been waited for (smp_quiet)
 * D2 ready iff it is compiled, all its windows are bound and it is not ending; user != NULL only then
 * D3 a bound window's frames have one pin each for it; it is in the list of its last frame, whose frame.object is the
 *    program's first frame and frame.level the window's number, at most WINDOWS_MAX long; its capability has CAP_WINDOWS
 * D4 machine code is writable nowhere from arch_code_open to arch_code_close, and executable only then
 */
#ifndef EXO_CODES_H
#define EXO_CODES_H

#include "exo/kernel.h"
#include "exo/bpf.h"

#define CODE_WINDOWS_MAX	64	/* windows that end in one frame */
#define CODE_GOING		1	/* `level` of a program's first frame: it is being taken apart */

enum code_state { CODE_CHECK, CODE_WEIGH, CODE_COMPILE, CODE_OPEN, CODE_DONE, CODE_REJECTED, CODE_ENDING };

/* A window of the application's. */
struct code_window {
	struct exo_cap *cap;	/* the capability it was bound through; NULL: it is not bound */
	exo_pfn_t pfn;		/* its first frame */
	exo_pfn_t next;		/* program whose window is next in the list of the last frame; 0: none */
};

struct code {			/* in the first frame of state CODE, at CODE_PLACE */
	struct bpf_program program;
	union {
		struct bpf_check *check;	/* CHECK; NULL: not begun */
		uint32_t weighed;	/* WEIGH: instructions so far */
		struct bpf_compile compile;	/* COMPILE */
		struct bpf_run run;		/* DONE: windows filled in */
	};
	bpf_native_fn *native;
	struct code_window window[EXO_WINDOWS_OWN];
	uint8_t next_window[EXO_WINDOWS_OWN];	/* beside window[].next */
	exo_pfn_t self;
	uint32_t frames;
	uint32_t id;		/* of its loading: also in the capabilities' `count` */
	uint32_t holds;
	uint16_t native_first;	/* frame of the machine code, from `self` on ... */
	uint16_t native_frames;	/* ... and how many there are */
	uint8_t state;		/* enum code_state */
	bool ready;		/* [a] */
	uint16_t fuel;		/* as the header says */
	uint8_t weight;		/* of one of fuel, in machine instructions, at most */
	union {
		struct flow *flow;	/* PACKET: that it is attached to */
		struct env *sleeper;	/* WAKE: that sleeps on it */
		void *user;
	};
};
#define CODE_PLACE	120	/* the report lies before it, over the header */
_Static_assert(sizeof(struct exo_code_report) <= CODE_PLACE, "report");
_Static_assert(CODE_PLACE + sizeof(struct code) <= EXO_CODE_INSNS, "object");

static inline struct code *code_at(exo_pfn_t pfn)
{
	return (struct code *)((char *)pfn_to_virt(pfn) + CODE_PLACE);
}

/* The program that a capability of type CODE names; NULL: it has been taken apart. */
static inline struct code *code_named(const struct exo_cap *cap)
{
	struct code *code = code_at(cap->object);

	return info_frame[cap->object].state == EXO_FRAME_CODE && frame_table[cap->object].object == cap->object &&
	    code->id == cap->count ? code : NULL;
}

/* The same, if it is not just being taken apart: that is said where no application ever writes. */
static inline struct code *code_behind(const struct exo_cap *cap)
{
	return read_once(frame_table[cap->object].level) == CODE_GOING ? NULL : code_named(cap);
}

/* May it be run? */
static inline bool code_ready(const struct code *code)
{
	return read_once(code->ready);
}

/* Run one that is ready. `data`: the packet, or the block; `owner`: for the functions it calls. Returns r0, or
 * EXO_CODE_STOPPED; code->run says more. Cost: 40 instructions and the program's. */
static inline uint64_t code_run(struct code *code, const void *context, uint32_t context_bytes, void *data,
    uint32_t data_bytes, void *owner)
{
	struct bpf_run *run = &code->run;

	run->window[EXO_WINDOW_CONTEXT] = (struct bpf_window){ (uint8_t *)(uintptr_t)context, context_bytes };
	run->window[code->program.use == EXO_USE_OWNER ? EXO_WINDOW_BLOCK : EXO_WINDOW_PACKET] =
	    (struct bpf_window){ data, data_bytes };
	run->owner = owner;
	bpf_begin(run, &code->program,
	    here.code_stack + (code->program.use == EXO_USE_WAKE ? BPF_STACK_BYTES : 0));
	return code->native((uint64_t)(uintptr_t)context, 0, run);
}

/* Bytes of a block that are others. */
struct code_patch {
	uint32_t at, count;
	const uint8_t *bytes;
};
/* Run an owner function that is ready on a copy of a block. context: `block` and `type`. Returns EXO_STOP_*, which is EMITS
 * also if there are more than `most`; code->run.seen says what it has read. code_run.c */
uint32_t code_owns(struct code *code, struct exo_block *context, const void *block, const struct code_patch *patch,
    uint32_t most, struct bpf_emits *emits, uint8_t order[EXO_EMITS_MAX], uint64_t *result);

/* How much fuel the last run took. */
static inline uint32_t code_used(const struct code *code)
{
	int64_t left = code->run.fuel;

	return left > 0 ? code->fuel - (uint32_t)left : code->fuel;
}

/* It is not run any more: detached from its user, who is told. The kernel lock is held; when this returns no CPU runs it. */
void code_stop(struct code *code);
/* wake.c: the sleeper's program has stopped for good; the kernel lock is held. */
void wake_code_gone(struct code *code);
/* A program runs in this stay in the kernel that may cost so many instructions: programs of sleepers have the rest. */
void wake_spend(uint32_t cost);

#endif
