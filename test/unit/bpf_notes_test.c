/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What notes add to a program, with notes written by hand: guards at every edge of a window, which parts of a block
 * were read, fuel, code that nothing leads to, calls of the kernel's functions; and the compiler's own promises: hidden
 * constants, a bounded piece at a time, the size that it says.
 */
#include <stdlib.h>
#include "test/unit/bpf_isa.h"
#include "test/unit/tap.h"

#define ALL(a)	(sizeof(a) / sizeof((a)[0]))

static uint64_t seen_args[6];

static uint64_t call_time(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	uint64_t args[6] = { r1, r2, r3, r4, r5, (uintptr_t)run };

	memcpy(seen_args, args, sizeof(args));
	run->fuel -= 3;
	return 0x1122334455667788;
}

/* C code that was called with a stack that is not aligned would trap here. */
static uint64_t call_wake(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	volatile uint64_t here __attribute__((aligned(16))) = r1 + r2 + r3 + r4 + r5;

	(void)run;
	return (uintptr_t)__builtin_frame_address(0) % 16 == 0 ? here : 0;
}

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT] = {
	[EXO_CODE_CALL_time] = call_time,
	[EXO_CODE_CALL_wake] = call_wake,
};

static struct both both;

static void begin(const struct exo_insn *insn, uint32_t insns)
{
	both_program(&both, insn, insns);
	both.program.use = EXO_USE_PACKET;
	both.program.window_write = 1;
	both.program.fuel = 1000;
	for (uint32_t i = 0; i < insns; i++)
		both.note[i].flags = BPF_NOTE_REACHED;
}

static void guard(uint32_t at, unsigned window, unsigned flags)
{
	both.note[at].flags |= (uint8_t)flags;
	both.note[at].window = (uint8_t)window;
}

/* --- guards --------------------------------------------------------------------------------------------------- */

static const unsigned sizes[] = { BPF_B, BPF_H, BPF_W, BPF_DW };
enum { LOADS, SIGNED_LOADS, STORES, IMMEDIATES, FETCHES, EXCHANGES, KINDS };

static struct exo_insn access_of(unsigned kind, unsigned size, unsigned base, int16_t offset)
{
	switch (kind) {
	case LOADS:
		return LOAD(size, 0, base, offset);
	case SIGNED_LOADS:
		return I(BPF_LDX | BPF_MEMSX | size, 0, base, offset, 0);
	case STORES:
		return STORE(size, base, 2, offset);
	case IMMEDIATES:
		return I(BPF_ST | BPF_MEM | size, base, 0, offset, 0x12345678);
	case FETCHES:
		return ATOMIC(size, base, 2, offset, BPF_OR | BPF_FETCH);
	default:
		return ATOMIC(size, base, 2, offset, BPF_CMPXCHG);
	}
}

/* One access at `at` of a window of `bytes`: stopped exactly if it leaves the window. */
static bool guard_one(unsigned kind, unsigned size, int16_t offset, uint64_t at, uint64_t bytes, unsigned base)
{
	unsigned width = bpf_width((uint8_t)size);
	uint64_t address = (uintptr_t)both_memory + 1024 + at - (uint64_t)(int64_t)offset;
	const struct exo_insn insn[] = {
		LDDW(base, address), K64(BPF_MOV, 0, 7), access_of(kind, size, base, offset), EXIT };
	bool inside = bytes >= width && at <= bytes - width;

	begin(insn, ALL(insn));
	guard(3, EXO_WINDOW_MEMORY, BPF_NOTE_GUARD);
	both.run.window[0] = (struct bpf_window){ both_memory + 1024, bytes };
	return both_run(&both) && both.compiled.stop == (inside ? BPF_STOP_EXIT : BPF_STOP_GUARD) &&
	    (inside || both.compiled.r0 == EXO_CODE_STOPPED) &&
	    (inside || memcmp(both.compiled.memory, both.memory, MEMORY_BYTES) == 0);
}

static bool guard_all(unsigned kind, unsigned size)
{
	static const uint64_t bytes[] = { 0, 1, 2, 3, 4, 7, 8, 9, 16, 64 };
	static const int16_t offsets[] = { 0, 8, 128, -136, 32760 };
	bool atomic = kind >= FETCHES;

	for (size_t i = 0; i < ALL(bytes); i++) {
		for (uint64_t at = (uint64_t)-9; at != bytes[i] + 2; at++) {
			int16_t offset = offsets[(size_t)(at + i) % ALL(offsets)];

			if ((!atomic || at % 8 == 0) &&
			    !guard_one(kind, size, offset, at, bytes[i], 3 + (unsigned)i % 3))
				return false;
		}
	}
	return guard_one(kind, size, 0, 0x8000000000000000, 64, 1) && guard_one(kind, size, 0, (uint64_t)-4096, 4, 1) &&
	    guard_one(kind, size, 0, 0x100000000, 64, 1);
}

static void test_guards(void)
{
	static const char *const names[] = {
		"load", "signed load", "store", "store of an immediate", "fetch", "exchange" };

	for (unsigned kind = 0; kind < KINDS; kind++) {
		for (size_t i = 0; i < ALL(sizes); i++) {
			if ((kind >= FETCHES && i < 2) || (kind == SIGNED_LOADS && i == 3))
				continue;
			ok(guard_all(kind, sizes[i]), "guard: %s of %u bytes at every edge", names[kind],
			   bpf_width((uint8_t)sizes[i]));
		}
	}
}

/* What only the interpreter sees. */
static void test_escapes(void)
{
	static const struct exo_insn load[] = { LOAD(BPF_DW, 0, 1, 0), EXIT };
	static const struct exo_insn store[] = { STORE(BPF_DW, 1, 2, 0), EXIT };

	both.r1 = (uintptr_t)both_memory + 57;
	both.run.window[0] = (struct bpf_window){ both_memory, 64 };
	begin(load, 2);
	both_begin(&both);
	ok(bpf_interpret(&both.run, both.r1, 0) == EXO_CODE_STOPPED && both.run.stop == BPF_STOP_ESCAPE,
	   "interpreter: an access that leaves its window without a guard");
	both_begin(&both);
	bpf_interpret(&both.run, both.r1 - 1, 0);
	ok(both.run.stop == BPF_STOP_EXIT, "interpreter: one that does not");
	begin(store, 2);
	both.program.window_write = 2;
	both_begin(&both);
	bpf_interpret(&both.run, both.r1 - 1, 0);
	ok(both.run.stop == BPF_STOP_ESCAPE, "interpreter: a store to a window that may only be read");
	begin(load, 1);
	both_begin(&both);
	bpf_interpret(&both.run, both.r1 - 1, 0);
	ok(both.run.stop == BPF_STOP_ESCAPE && both.run.steps == 1, "interpreter: past the program's end");
}

/* --- what was read -------------------------------------------------------------------------------------------- */

static bool observe_one(unsigned size, uint32_t at, unsigned flags, unsigned base)
{
	unsigned width = bpf_width((uint8_t)size);
	const struct exo_insn insn[] = { LDDW(base, (uintptr_t)both_memory + at), LOAD(size, 0, base, 0), EXIT };
	uint64_t want = 1ull << (at / 64) | 1ull << ((at + width - 1) / 64);

	begin(insn, ALL(insn));
	guard(2, EXO_WINDOW_BLOCK, BPF_NOTE_OBSERVE | flags);
	both.run.window[EXO_WINDOW_BLOCK] = (struct bpf_window){ both_memory, MEMORY_BYTES };
	return both_run(&both) && both.compiled.seen == want;
}

static void test_observe(void)
{
	bool all = true;

	for (size_t i = 0; i < ALL(sizes); i++) {
		uint32_t last = MEMORY_BYTES - bpf_width((uint8_t)sizes[i]);

		for (uint32_t at = 0; at <= last && all; at += at % 64 == 8 ? 45 : 1)
			all = observe_one(sizes[i], at, at % 2 ? BPF_NOTE_GUARD : 0, at % 10);
	}
	ok(all, "observe: each place and width, alone");
}

/* --- fuel ----------------------------------------------------------------------------------------------------- */

static void test_fuel(void)
{
	static const struct exo_insn loop[] = {
		K64(BPF_MOV, 0, 0), K64(BPF_ADD, 0, 1), X64(BPF_MOV, 3, 0), JUMPX(BPF_JLT, 3, 1, -3),
		JUMP(BPF_JA, 0, 0, -4) };
	static const struct exo_insn calls[] = { CALL(2), CALL(1), EXIT, K64(BPF_MOV, 0, 5), EXIT };
	static const struct exo_insn far[] = { K64(BPF_ADD, 0, 1), I(BPF_JMP32 | BPF_JA, 0, 0, 0, -2) };
	bool all = true;

	for (uint32_t fuel = 0; fuel < 40; fuel++) {
		begin(loop, ALL(loop));
		both.note[3].charge = 3;
		both.note[4].charge = 5;
		both.r1 = 6;
		both.program.fuel = fuel;
		all = all && both_run(&both) && both.compiled.stop == BPF_STOP_FUEL && both.compiled.fuel < 0 &&
		    both.compiled.fuel >= -5;
	}
	ok(all, "fuel: a loop within a loop, with more and more");
	ok(both.compiled.fuel == 39 - 15 - 5 * 5, "fuel: taken as the notes say, when the jump is taken");
	for (uint32_t fuel = 0; fuel < 20; fuel++) {
		begin(calls, ALL(calls));
		both.note[0].charge = both.note[1].charge = 7;
		both.program.fuel = fuel;
		all = all && both_run(&both) && both.compiled.stop == (fuel < 14 ? BPF_STOP_FUEL : BPF_STOP_EXIT) &&
		    (fuel < 14 || both.compiled.fuel == (int64_t)fuel - 14);
	}
	ok(all, "fuel: calls");
	begin(far, ALL(far));
	both.note[1].charge = 65535;
	both.program.fuel = 200000;
	ok(both_run(&both) && both.compiled.fuel == 200000 - 4 * 65535, "fuel: the largest charge");
	begin(far, ALL(far));
	both.note[1].flags = 0;
	both_begin(&both);
	ok(bpf_interpret(&both.run, 0, 0) == EXO_CODE_STOPPED && both.run.stop == BPF_STOP_ESCAPE,
	   "what the check has not reached is not executed");
}

/* --- windows and functions ------------------------------------------------------------------------------------ */

static void test_windows(void)
{
	static const uint32_t offsets[] = { 0, 1, 127, 128, 255, 4000 };
	bool all = true;

	for (unsigned window = 0; window < EXO_WINDOWS; window++) {
		for (size_t i = 0; i < ALL(offsets) && window != EXO_WINDOW_STACK; i++) {
			const struct exo_insn insn[] = { WINDOW(i, window, offsets[i]), X64(BPF_MOV, 0, i), EXIT };

			both.run.window[window] = (struct bpf_window){ both_memory + window, MEMORY_BYTES };
			begin(insn, ALL(insn));
			all = all && both_run(&both) &&
			    both.compiled.r0 == (uintptr_t)both_memory + window + offsets[i];
		}
	}
	ok(all, "lddw: addresses in windows");
}

static void test_calls(void)
{
	static const struct exo_insn one[] = {
		K64(BPF_MOV, 1, 1), K64(BPF_MOV, 2, 2), K64(BPF_MOV, 3, 3), K64(BPF_MOV, 4, 4), K64(BPF_MOV, 5, 5),
		K64(BPF_MOV, 6, 6), K64(BPF_MOV, 7, 7), K64(BPF_MOV, 8, 8), K64(BPF_MOV, 9, 9),
		CALL_KERNEL(EXO_CODE_CALL_time),
		X64(BPF_ADD, 0, 6), X64(BPF_ADD, 0, 7), X64(BPF_ADD, 0, 8), X64(BPF_ADD, 0, 9), EXIT };
	static const struct exo_insn nested[] = {
		K64(BPF_MOV, 1, 1), K64(BPF_MOV, 2, 2), K64(BPF_MOV, 3, 3), K64(BPF_MOV, 4, 4), K64(BPF_MOV, 5, 5),
		CALL(1), EXIT, CALL(1), EXIT, CALL_KERNEL(EXO_CODE_CALL_wake), EXIT };
	const uint64_t want[] = { 1, 2, 3, 4, 5, (uintptr_t)&both.run };

	begin(one, ALL(one));
	ok(both_run(&both) && both.compiled.r0 == 0x1122334455667788 + 30, "call: result, and registers that are kept");
	ok(memcmp(seen_args, want, sizeof(want)) == 0, "call: five arguments and the run");
	ok(both.compiled.fuel == 1000 - 3, "call: may take fuel");
	begin(one, ALL(one));
	both.program.fuel = 2;
	ok(both_run(&both) && both.compiled.stop == BPF_STOP_FUEL && both.compiled.r0 == EXO_CODE_STOPPED &&
	    both.compiled.fuel == -1, "call: the run stops behind one that could not be paid");
	both.program.fuel = 3;
	ok(both_run(&both) && both.compiled.stop == BPF_STOP_EXIT && both.compiled.fuel == 0, "call: paid to the last");
	begin(nested, ALL(nested));
	ok(both_run(&both) && both.compiled.r0 == 15, "call: from functions in functions, with an aligned stack");
}

/* --- the compiler's promises ---------------------------------------------------------------------------------- */

#define CHOSEN	0x5a5b5c5d

static bool holds_bytes(const uint8_t *code, size_t bytes, uint64_t what, unsigned count)
{
	for (size_t i = 0; i + count <= bytes; i++)
		if (memcmp(code + i, &what, count) == 0)
			return true;
	return false;
}

static void test_hidden(void)
{
	static const unsigned ops[] = {
		BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_MOD, BPF_XOR, BPF_MOV };
	static struct exo_insn insn[128];
	unsigned count = 0, hidden = 0, open = 0;

	for (unsigned wide = 0; wide < 2; wide++) {
		for (size_t i = 0; i < ALL(ops); i++)
			insn[count++] = I((wide ? BPF_ALU64 : BPF_ALU) | ops[i], i, 0, 0, CHOSEN);
		for (unsigned op = BPF_JEQ; op <= BPF_JSLE; op += 0x10)
			if (op != BPF_CALL && op != BPF_EXIT)
				insn[count++] = I((wide ? BPF_JMP : BPF_JMP32) | op, 3, 0, 0, CHOSEN);
	}
	for (size_t i = 0; i < ALL(sizes); i++) {
		insn[count++] = I(BPF_ST | BPF_MEM | sizes[i], 3, 0, 0x5c5d, CHOSEN);
		insn[count++] = LOAD(sizes[i], 2, 3, 0x5c5d);
	}
	insn[count++] = I(BPF_LDDW, 4, 0, 0, CHOSEN);
	insn[count++] = I(0, 0, 0, 0, CHOSEN);
	insn[count++] = EXIT;
	begin(insn, count);
	for (int key = 0; key < 2; key++) {
		struct native native = native_make(&both.program, key ? 0x9e3779b97f4a7c15 : 0);

		*(key ? &hidden : &open) = holds_bytes(native.map, native.bytes, CHOSEN, 4) +
		    holds_bytes(native.map, native.bytes, 0x5c5d, 2);
		native_free(&native);
	}
	ok(hidden == 0, "compiler: no constant of the program's stands in the code");
	ok(open == 2, "compiler: unless there is no key");
}

static int finish(struct bpf_compile *compile, unsigned budget, unsigned *steps)
{
	int result;

	arch_bpf_compile_begin(compile);
	for (*steps = 1; (result = arch_bpf_compile_step(compile, budget)) > 0; ++*steps)
		continue;
	return result;
}

static void test_steps(void)
{
	static struct exo_insn insn[EXO_INSNS_MAX];
	static uint8_t once[1 << 20], pieces[1 << 20];
	static uint32_t at[EXO_INSNS_MAX + 1];
	struct bpf_compile compile = { .program = &both.program, .at = at, .key = 0x9e3779b97f4a7c15 };
	unsigned steps;
	size_t bytes;

	for (unsigned i = 0; i < EXO_INSNS_MAX - 1; i++)
		insn[i] = i % 3 ? I(BPF_ST | BPF_MEM | BPF_DW, 1, 0, 300, 0x12345678) : LOAD(BPF_DW, 2, 1, -300);
	insn[EXO_INSNS_MAX - 1] = EXIT;
	begin(insn, EXO_INSNS_MAX);
	for (unsigned i = 0; i < EXO_INSNS_MAX - 1; i++)
		guard(i, 0, BPF_NOTE_GUARD | BPF_NOTE_OBSERVE);
	ok(finish(&compile, 1u << 30, &steps) == -1 && steps == 1, "compiler: no room");
	bytes = compile.bytes;
	ok(bytes > 33 * EXO_INSNS_MAX && bytes < 128 * EXO_INSNS_MAX, "compiler: says how much it needs: %zu", bytes);
	compile.out = once;
	compile.room = bytes - 1;
	ok(finish(&compile, 1u << 30, &steps) == -1 && compile.bytes == bytes, "compiler: a byte too little");
	compile.room = bytes;
	memset(once, 0, sizeof(once));
	ok(finish(&compile, 1u << 30, &steps) == 0 && compile.bytes == bytes, "compiler: enough");
	ok(once[bytes] == 0 && once[bytes - 1] != 0, "compiler: and no more is written");
	compile.out = pieces;
	ok(finish(&compile, 0, &steps) == 0 && steps >= 2 * EXO_INSNS_MAX, "compiler: one instruction at a time");
	ok(memcmp(once, pieces, sizeof(once)) == 0, "compiler: gives the same code");
	ok(finish(&compile, 10000, &steps) == 0, "compiler: by budget");
	ok(steps > EXO_INSNS_MAX / 10 && steps < EXO_INSNS_MAX, "compiler: in %u steps", steps);
}

int main(void)
{
	both.key = 0x9e3779b97f4a7c15;
	test_guards();
	test_escapes();
	test_observe();
	test_fuel();
	test_windows();
	test_calls();
	test_hidden();
	test_steps();
	return done();
}
