/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile code in an environment: instructions that it must not execute, addresses that are the kernel's, flags,
 * segments and floating-point states, a dispatcher page full of lies, loops that never end, random bytes.
 *
 * Whatever it does, only it may suffer: the kernel goes on, a witness beside it keeps its registers and gets its
 * turns, a page of the test's stays as it is, and when it is destroyed all frames are back. On the test's own CPU, then
 * on another, with the test looking on.
 * Run with: --smp 2
 * Time limit: 120 s
 */
#include "test/guest/attack_codes.h"
#include "test/guest/tiny.h"

#define TINY_X		0x5f5000ULL	/* a page that it executes, which the test fills */
#define CANARY		0xc0ffee11c0ffee11ULL
#define STILL_RUNS	(-2)
#define ENDED		(-1)

enum { VECTOR = 1, RIP, ADDRESS, COUNT, FLAGS, CS };

static uint64_t state = 0x9e3779b97f4a7c15;
static struct tiny prey, witness;
static volatile uint64_t *canary;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* --- the witness -------------------------------------------------------------------------------------------- */

/* Its registers must be as it set them, whatever runs between its looks at them. */
TINY static void witness_run(uint64_t reasons)
{
	uint64_t pattern = 0x1234567890abcdef, bad = 0;

	(void)reasons;
	for (;;) {
		__asm__ volatile(
		    "mov %1, %%rbx\n\tmov %1, %%r12\n\tmov %1, %%r13\n\tmov %1, %%r14\n\tmov %1, %%r10\n\t"
		    "movq %1, %%xmm7\n\tmovq %1, %%xmm15\n\tmov $2000, %%ecx\n"
		    "1:\tcmp %1, %%rbx\n\tjne 2f\n\tcmp %1, %%r12\n\tjne 2f\n\tcmp %1, %%r13\n\tjne 2f\n\t"
		    "cmp %1, %%r14\n\tjne 2f\n\tcmp %1, %%r10\n\tjne 2f\n\tmovq %%xmm7, %%r11\n\tcmp %1, %%r11\n\tjne 2f\n\t"
		    "movq %%xmm15, %%r11\n\tcmp %1, %%r11\n\tjne 2f\n\tdec %%ecx\n\tjnz 1b\n\tjmp 3f\n"
		    "2:\tinc %0\n3:"
		    : "+r"(bad)
		    : "r"(pattern)
		    : "rbx", "rcx", "r10", "r11", "r12", "r13", "r14", "xmm7", "xmm15", "cc");
		tiny_word(0)++;
		tiny_word(1) = bad;
		if (tiny_word(2) != CANARY)
			tiny_word(1) = 1;
		pattern = pattern << 1 | pattern >> 63;
		tiny_call(EXO_CALL_yield, 0, 0, 0, 0, 0, 0);
	}
}

static bool all_well(void)
{
	uint64_t before = witness.word[0];
	exo_time_t end = core_now() + 2000 * MS;

	while (witness.word[0] == before && core_now() < end)
		core_yield(EXO_CAP_NONE);
	if (tiny_state(&witness) == EXO_ENV_READY && witness.word[0] != before && !witness.word[1] &&
	    canary[0] == CANARY && canary[511] == CANARY)
		return true;
	printf("# witness: state %u, %lu turns, %lu bad; canary %lx\n", tiny_state(&witness),
	    (long)(witness.word[0] - before), (long)witness.word[1], (long)canary[0]);
	return false;
}

/* --- bytes as code -------------------------------------------------------------------------------------------- */

TINY static void prey_off(uint64_t vector)
{
	tiny_word(RIP) = tiny_disp->fault.rip;
	tiny_word(ADDRESS) = tiny_disp->fault.address;
	tiny_word(FLAGS) = tiny_disp->fault.rflags;
	tiny_word(CS) = tiny_disp->fault.cs;
	tiny_word(COUNT)++;
	tiny_word(VECTOR) = vector + 1;
	for (;;) {
		tiny_disp->off = EXO_OFF_YES;
		tiny_sleep(EXO_NEVER);
	}
}

TINY static void prey_run(uint64_t reasons)
{
	(void)reasons;
	if (!tiny_word(VECTOR)) {
		__asm__ volatile("mov %0, %%eax\n\tcall *%%rax" ::"i"((int)TINY_X)
				 : "memory", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
				 "r11", "r12", "r13", "r14", "r15", "cc");
		tiny_word(VECTOR) = 0x101;
	}
	for (;;)
		tiny_sleep(EXO_NEVER);
}

/* A fresh one, asleep, with frame `prey.spare` as its page of code. */
static bool prey_begin(void)
{
	tiny_drop(&prey);
	if (!tiny_make(&prey, prey_run, 8))
		return false;
	prey.disp->off_entry = (uint64_t)prey_off;
	prey.word[VECTOR] = 1;
	space_map(tiny_window(&prey, 3), EXO_MAP_READ | EXO_MAP_WRITE, prey.frames, prey.spare, 1);
	tiny_map(&prey, TINY_X, EXO_MAP_READ | EXO_MAP_EXEC, prey.spare, 1);
	return tiny_start(&prey) && tiny_await(&prey, EXO_ENV_ASLEEP, 5000);
}

/* Let it execute bytes, with int3 behind them. The vector that came, 0x100 if they returned, ENDED or STILL_RUNS. */
static int64_t run(const void *bytes, size_t count, uint64_t us)
{
	uint8_t *page = (uint8_t *)tiny_window(&prey, 3);
	exo_time_t end;

	memset(page, 0xcc, EXO_PAGE_SIZE);
	memcpy(page, bytes, count);
	prey.word[VECTOR] = 0;
	end = core_now() + us * (tiny_cpu ? 10000 : 1000);
	do
		tiny_poke(&prey);
	while (!prey.word[VECTOR] && tiny_state(&prey) != EXO_ENV_ENDED && core_now() < end);
	if (tiny_state(&prey) == EXO_ENV_ENDED)
		return ENDED;
	return prey.word[VECTOR] ? (int64_t)prey.word[VECTOR] - 1 : STILL_RUNS;
}

static void instructions(void)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		const struct code *code = &codes[i];
		if (tiny_state(&prey) != EXO_ENV_ASLEEP && !prey_begin())
			break;
		int64_t got = run(code->bytes, code->count, 50000);
		if (got != code->wanted && got != code->or) {
			printf("# %s: %ld, not %d\n", code->name, (long)got, code->wanted);
			bad++;
		}
	}
	ok(!bad, "%u instructions that are forbidden or dangerous",
	    (unsigned)(sizeof(codes) / sizeof(codes[0])));
	ok(all_well(), "all is well");
}

static void interrupts(void)
{
	unsigned bad = 0;

	for (unsigned n = 0; n < 256; n++) {
		const uint8_t bytes[2] = { 0xcd, (uint8_t)n };
		if (tiny_state(&prey) != EXO_ENV_ASLEEP && !prey_begin())
			break;
		int64_t got = run(bytes, 2, 50000);
		if (got != (n == 3 ? 3 : 13))
			bad++, printf("# int %u: %ld\n", n, (long)got);
	}
	ok(!bad, "int n, for every n");
	ok(all_well(), "all is well");
}

/* Flags that user mode must not set stay as they are. */
static void flags(void)
{
	static const uint8_t bytes[] =
	    "\x48\xc7\xc0\xff\xfe\xff\xff\x50\x9d\x9c\x8f\x04\x25\x40\x20\x5f\x00\xc3";

	prey_begin();
	int64_t got = run(bytes, sizeof(bytes) - 1, 50000);
	uint64_t seen = prey.word[8];
	ok((got == 0x100 || got == 17) && (seen & 0x200) && !(seen & 0x3000),
	    "popf changes neither IF nor IOPL (%lx)", (long)seen);
}

/* --- the end of the address space --------------------------------------------------------------------------------- */

static void last_page(void)
{
	const exo_vaddr_t last = EXO_USER_MAX - EXO_PAGE_SIZE;
	static const uint8_t go[] = "\x48\xb8\xfb\xef\xff\xff\xff\x7f\x00\x00\xff\xe0";
	uint8_t *page;
	int64_t error;

	if (!ok(prey_begin(), "one with a page at the end of the user's addresses"))
		return;
	error = exo_space_table(prey.space, last, EXO_LEVEL_512G, prey.frames, prey.spare + 1);
	error |= exo_space_table(prey.space, last, EXO_LEVEL_1G, prey.frames, prey.spare + 2);
	error |= exo_space_table(prey.space, last, EXO_LEVEL_PAGES, prey.frames, prey.spare + 3);
	is(error, 0, "its tables");
	space_map(tiny_window(&prey, 3), EXO_MAP_READ | EXO_MAP_WRITE, prey.frames, prey.spare + 6, 1);
	page = (uint8_t *)tiny_window(&prey, 3);
	memcpy(page + 4091, "\x31\xc0\x90\x0f\x05", 5);
	is(tiny_map(&prey, last, EXO_MAP_READ | EXO_MAP_EXEC, prey.spare + 6, 1), 0, "its page");
	is(write_one(prey.space, (last + EXO_PAGE_SIZE) | EXO_MAP_READ, prey.frames, prey.spare + 6, 1),
	    -EXO_EINVAL, "the one behind it cannot be");
	is(write_one(prey.space, last | EXO_MAP_READ, prey.frames, prey.spare + 5, 2), -EXO_EINVAL,
	    "nor as a part of a run");
	space_map(tiny_window(&prey, 3), EXO_MAP_READ | EXO_MAP_WRITE, prey.frames, prey.spare, 1);
	is(run(go, sizeof(go) - 1, 50000), 14, "a call as its last instruction");
	ok(prey.word[RIP] == EXO_USER_MAX && prey.word[ADDRESS] == EXO_USER_MAX,
	    "comes back behind it and faults there");
	ok(all_well(), "all is well");
}

/* --- out of 64-bit mode --------------------------------------------------------------------------------------------- */

/*
 * A 32-bit IRET that asks for virtual 8086 mode. A machine ignores that in 64-bit mode; emulators have been seen that do
 * not, and go on at CS * 16 + IP with any CS and flags: for them, code lies at 0x5000. Interrupts stay on here, because
 * such an emulator would let it turn them off.
 */
static void old_mode(void)
{
	static const uint32_t selector[] = { 0, 8, 0x10, 0x23, 0x1b, 0x100, 0x4f8 };
	static const char *const code[] = { "\xeb\xfe", "\x31\xc0\x0f\x05", "\xf4", "\x0f\x0b",
		"\xb0\x10\xe6\xf4", "\xcd\x80", "\xcc", "\xa1\x00\x00", "\x66\x31\xc0\x0f\x05\xeb\xf9",
		"\x0f\x34", "\x9c\x58\xeb\xfc" };
	uint32_t frame[9];
	uint8_t bytes[128], *at;
	unsigned tried = 0;

	for (unsigned c = 0; c < sizeof(code) / sizeof(code[0]); c++)
		for (unsigned i = 0; i < 7; i++) {
			if (!prey_begin())
				return;
			exo_space_table(prey.space, 0, EXO_LEVEL_PAGES, prey.frames, prey.spare + 1);
			tiny_map(&prey, 0x5000, EXO_MAP_READ | EXO_MAP_EXEC, prey.spare + 4, 1);
			space_map(tiny_window(&prey, 3), EXO_MAP_READ | EXO_MAP_WRITE, prey.frames,
			    prey.spare + 4, 1);
			memset((void *)tiny_window(&prey, 3), 0x90, EXO_PAGE_SIZE);
			memcpy((void *)tiny_window(&prey, 3), code[c], 7);
			space_map(
			    tiny_window(&prey, 3), EXO_MAP_READ | EXO_MAP_WRITE, prey.frames, prey.spare, 1);
			memset(frame, 0, sizeof(frame));
			frame[0] = 0x5000 - selector[i] * 16;
			frame[1] = selector[i];
			frame[2] = 0x23202;
			frame[3] = 0x5ff0;
			at = bytes;
			at = (uint8_t *)memcpy(at, "\x48\x83\xec\x40", 4) + 4;
			for (unsigned f = 0; f < 9; f++) {
				at = (uint8_t *)memcpy(at, "\xc7\x44\x24", 3) + 3;
				*at++ = (uint8_t)(4 * f);
				at = (uint8_t *)memcpy(at, &frame[f], 4) + 4;
			}
			*at++ = 0xcf;
			run(bytes, (size_t)(at - bytes), 3000);
			tried++;
		}
	is(tried, 77, "ways out of 64-bit mode");
	ok(all_well(), "all is well");
}

/* --- single step across calls ---------------------------------------------------------------------------------------- */

/* Resume from area ON, as a libOS does, and count. */
__attribute__((section("tiny"), naked, used)) static void step_entry(void)
{
	__asm__("incq 0x5f2020\n\t"
		"movl $0x5f0190, %esp\n\t"
		"movl $0, 0x5f0008\n\t"
		"iretq");
}

TINY static void step_run(uint64_t reasons)
{
	(void)reasons;
	tiny_word(COUNT) = 0; /* after an interruption it begins again */
	tiny_disp->off = EXO_OFF_NO;
	__asm__ volatile(
	    "pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\t"
	    "mov $5, %%r15d\n"
	    "1:\txor %%eax, %%eax\n\tsyscall\n\tdec %%r15d\n\tjnz 1b\n\t"
	    "mov $0x11223344, %%eax\n\tsyscall\n\t"
	    "pushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq" ::
		: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r15", "memory", "cc");
	tiny_exit(tiny_word(COUNT));
}

static void stepping(void)
{
	struct tiny one;

	if (!ok(tiny_make(&one, step_run, 0), "one that steps itself"))
		return;
	one.disp->fault_entry = (uint64_t)step_entry;
	one.disp->critical = (uint64_t)step_entry;
	one.disp->critical_end = (uint64_t)step_entry + 64;
	tiny_start(&one);
	ok(tiny_await(&one, EXO_ENV_ENDED, 5000), "it comes to its end");
	ok(tiny_info(&one)->cause == EXO_CAUSE_EXIT && tiny_info(&one)->status > 20 &&
		tiny_info(&one)->status < 40,
	    "stepped over each instruction but none of the kernel's (%lu)", (long)tiny_info(&one)->status);
	tiny_drop(&one);
}

/* --- lies in the dispatcher page ---------------------------------------------------------------------------------------- */

static const uint64_t wild[] = { 0, 1, 0x5fe000, EXO_USER_MAX - 1, EXO_USER_MAX, 0x7fffffffffff,
	0x800000000000, 0xffff7fffffffffff, 0xffff800000000000, 0xffff800000100000, 0xffffffff80100000,
	0xfffffffffffffff8, ~0ULL, 1ULL << 63, TINY_DISP, TINY_ARG - 4, TINY_CAPS, TINY_DATA };
#define WILD	(sizeof(wild) / sizeof(wild[0]))

TINY static void liar(uint64_t reasons)
{
	uint64_t how = tiny_word(0);

	(void)reasons;
	if (how == 1) {
		tiny_disp->off = EXO_OFF_NO;
		__asm__ volatile("ud2");
	}
	if (how == 2)
		__asm__ volatile("ud2");
	if (how == 3) {
		tiny_disp->off = (uint32_t)tiny_word(9);
		__asm__ volatile("movb $0, 0");
	}
	while (how == 4)
		__asm__ volatile("pause");
	for (;;)
		tiny_sleep(EXO_NEVER);
}

/* Field by field, with each way of entering through it. */
static void dispatcher(void)
{
	static const size_t field[] = { offsetof(struct exo_disp, run_entry),
		offsetof(struct exo_disp, fault_entry), offsetof(struct exo_disp, off_entry),
		offsetof(struct exo_disp, upcall_sp), offsetof(struct exo_disp, off_sp),
		offsetof(struct exo_disp, critical), offsetof(struct exo_disp, critical_end) };
	struct tiny one;
	unsigned made_count = 0, bad = 0;

	for (unsigned f = 0; f < sizeof(field) / sizeof(field[0]); f++)
		for (unsigned w = 0; w < WILD; w++) {
			if (!tiny_make(&one, liar, 0))
				break;
			made_count++;
			one.word[0] = (f + w) % 4;
			one.word[9] = (uint64_t)w;
			*(volatile uint64_t *)((uint64_t)one.disp + field[f]) = wild[w];
			tiny_start(&one);
			tiny_poke(&one);
			tiny_poke(&one);
			bad += tiny_state(&one) == EXO_ENV_NONE;
			tiny_drop(&one);
		}
	ok(made_count == 7 * WILD && !bad, "%u lies in single fields", made_count);
	ok(all_well(), "all is well");
}

static void scribble(const struct tiny *one)
{
	volatile uint64_t *word = (volatile uint64_t *)one->disp;
	unsigned count = 1 + next() % 40;

	while (count--) {
		unsigned at = next() % 4 ? next() % (0x100 / 8) : next() % (0xc00 / 8);
		word[at] = next() % 3 ? wild[next() % WILD] : next();
	}
	if (next() % 2)
		for (unsigned i = 0x500 / 8; i < 0x700 / 8; i++)
			word[i] = next() % 4 ? next() : ~0ULL;
}

/* Anything at any time: while it sleeps, runs, is interrupted. */
static void noise(unsigned rounds)
{
	struct tiny one;
	unsigned made_count = 0, ended = 0;

	for (unsigned i = 0; i < rounds; i++) {
		if (!tiny_make(&one, liar, 0))
			break;
		made_count++;
		one.word[0] = next() % 5;
		one.word[9] = next() % 4;
		if (next() % 4 == 0)
			scribble(&one);
		tiny_start(&one);
		for (unsigned turns = next() % 4; turns; turns--) {
			tiny_poke(&one);
			scribble(&one);
		}
		tiny_poke(&one);
		if (tiny_cpu)		/* another CPU needs a moment to see what is there */
			core_sleep(core_now() + MS / 4, core_disp->events);
		ended += tiny_state(&one) == EXO_ENV_ENDED;
		tiny_drop(&one);
	}
	ok(made_count == rounds && ended, "%u pages of noise; %u ended by it", made_count, ended);
	ok(all_well(), "all is well");
}

/* --- saved states ---------------------------------------------------------------------------------------------------------- */

TINY static void look(void)
{
	uint64_t seen, cs, base;

	__asm__ volatile("mov %%cs, %1\n\tlea 0x5f3f00, %%rsp\n\tpushfq\n\tpop %0"
			 : "=r"(seen), "=r"(cs)::"memory");
	__asm__ volatile("mov $0, %0" : "=r"(base));
	tiny_word(FLAGS) = seen;
	tiny_word(CS) = cs + base;
	for (;;)
		tiny_word(COUNT)++;
}

static void spoil(volatile struct exo_disp *disp, unsigned i, uint64_t flags)
{
	disp->offa.rip = (uint64_t)look | (i % 3 == 1 ? 0xffff800000000000 : 0);
	disp->offa.rflags = flags;
	disp->offa.cs = i % 2 ? 0x08 : next();
	disp->offa.ss = i % 2 ? 0x10 : next();
	disp->offa.rsp = i % 2 ? 0xffffffff80104000 : next();
	disp->offa.fs_base = next();
	disp->offa.gs_base = i % 2 ? 1ULL << 47 : 0xffffffff80104000;
	for (unsigned b = 0; b < 512; b++)
		disp->offa_fpu[b] = i % 2 ? 0xff : (uint8_t)next();
}

/* Here it rests while its state is changed; on another CPU that goes on until a change has come between. */
static void saved(void)
{
	static const uint64_t flag_values[] = { ~0x100ULL, 0, 0x3000, 0x4000, 0x20000, 0x40000, 0x100000,
		0x180000, 0x3202, 0x202, 0x400, 0xffffffff00000002 };
	unsigned bad = 0, never = 0;
	struct tiny one;

	for (unsigned i = 0; i < sizeof(flag_values) / sizeof(flag_values[0]); i++) {
		if (!tiny_make(&one, liar, 0))
			break;
		one.word[0] = 4;
		tiny_start(&one);
		exo_time_t end = core_now() + 2000 * MS;
		while (!one.disp->offa.rip && core_now() < end)
			core_yield(EXO_CAP_NONE);
		spoil(one.disp, i, flag_values[i]);
		end = core_now() + (tiny_cpu ? 200 : 2000) * MS;
		while (one.word[COUNT] < 2 && core_now() < end) {
			core_yield(EXO_CAP_NONE);
			if (tiny_cpu)
				spoil(one.disp, i, flag_values[i]);
		}
		uint64_t seen = one.word[FLAGS];
		never += !one.word[COUNT];
		if (one.word[COUNT] && (!(seen & 0x200) || (seen & 0x1b7000) || one.word[CS] != 0x23)) {
			bad++;
			printf("# flags %lx became %lx, cs %lx, %lu turns\n", (long)flag_values[i],
			    (long)seen, (long)one.word[CS], (long)one.word[COUNT]);
		}
		tiny_drop(&one);
	}
	ok(!bad && (tiny_cpu || !never), "a saved state comes back without what user mode must not have (%u did not)",
	    never);
	ok(all_well(), "all is well");
}

/* --- endless -------------------------------------------------------------------------------------------------------------- */

TINY static void endless(uint64_t reasons)
{
	uint64_t how = tiny_word(0);

	(void)reasons;
	tiny_word(1)++;
	while (how == 0)
		__asm__ volatile("pause");
	while (how == 1)
		tiny_call(EXO_CALL_null, 0, 0, 0, 0, 0, 0);
	while (how == 2)
		tiny_call(EXO_CALL_sleep, 0, 0, 0, 0, 0, 0);
	while (how == 3)
		tiny_call(EXO_CALL_yield, tiny_word(2), 0, 0, 0, 0, 0);
	while (how == 4)
		tiny_call(EXO_CALL_sleep, 1, 0, 0, 0, 0, 0);
	if (how == 5) {
		tiny_disp->off = EXO_OFF_NO;
		__asm__ volatile("ud2"); /* the handler is this function: it faults again, for ever */
	}
	if (how == 6) {
		tiny_disp->off = EXO_OFF_YES;
		__asm__ volatile("ud2");
	}
	while (how == 7)
		tiny_call(EXO_CALL_frame_take, 40, EXO_PFN_ANY, 24, 0, 0, 0),
		    tiny_call(EXO_CALL_cap_delete, tiny_word(3), 0, 0, 0, 0, 0);
	__asm__ volatile(
	    "mov $0x7fffffffffffffff, %%rcx\n\tlea 0x5f2100, %%rsi\n\tlea 0x5f2100, %%rdi\n\txor %%eax, %%eax\n"
	    "1:\tlods (%%rsi), %%al\n\tjmp 1b" ::
		: "rcx", "rsi", "rdi", "rax", "memory");
}

static void loops(void)
{
	struct tiny one[9];
	unsigned running = 0;
	uint64_t turns = witness.word[0];

	for (unsigned i = 0; i < 9; i++) {
		if (!tiny_make(&one[i], endless, 0))
			return;
		one[i].word[0] = i;
		one[i].word[2] = (uint64_t)tiny_grant(&one[i], one[i].env, 5, EXO_RIGHT_WAKE);
		tiny_start(&one[i]);
	}
	exo_time_t start = core_now();
	thread_sleep(start + 100 * MS);
	ok(core_now() < start + 2000 * MS,
	    "nine that loop in as many ways do not keep a sleeper (%lu us late)",
	    (long)((core_now() - start - 100 * MS) / 1000));
	for (unsigned i = 0; i < 9; i++) {
		running += tiny_info(&one[i])->ns > MS || tiny_state(&one[i]) == EXO_ENV_ENDED;
		tiny_drop(&one[i]);
	}
	is(running, 9, "each had its share, or ended by its own doing");
	ok(witness.word[0] - turns > 3, "so had the witness");
	ok(all_well(), "all is well");
}

/* --- random code -------------------------------------------------------------------------------------------------------------- */

static void random_code(unsigned rounds)
{
	unsigned fresh = 0, counts[4] = { 0 };
	uint8_t bytes[48];

	for (unsigned i = 0; i < rounds; i++) {
		if (tiny_state(&prey) != EXO_ENV_ASLEEP || !fresh || next() % 64 == 0) {
			if (!prey_begin())
				break;
			fresh++;
		}
		for (unsigned b = 0; b < sizeof(bytes); b++)
			bytes[b] = (uint8_t)(next() >> 11);
		if (next() % 4 == 0)
			memcpy(bytes + next() % 40, "\x0f\x05", 2);
		int64_t got = run(bytes, next() % sizeof(bytes), 300);
		counts[got == ENDED ? 0 : got == STILL_RUNS ? 1 : got == 0x100 ? 2 : 3]++;
	}
	/* On another CPU a slow answer looks like a loop. */
	ok(counts[3] > rounds / (tiny_cpu ? 10 : 2), "%u random programs: %u ended, %u looped, %u returned, %u faulted", rounds,
	    counts[0], counts[1], counts[2], counts[3]);
	ok(all_well(), "all is well");
}

/* All of it, on a CPU; with so many times less at random. */
static void attack(unsigned cpu, bool longer, unsigned scale)
{
	tiny_cpu = cpu;
	if (!ok(tiny_make(&witness, witness_run, 0), "on CPU %u: a witness", cpu))
		return;
	witness.word[2] = CANARY;
	tiny_start(&witness);
	ok(prey_begin(), "and its neighbour");
	instructions();
	interrupts();
	flags();
	last_page();
	for (uint64_t turn = call_option("old", 1); turn > 0; turn--)
		old_mode();
	stepping();
	dispatcher();
	noise((longer ? 20000 : 400) / scale);
	saved();
	loops();
	random_code((longer ? 1000000 : 10000) / scale);
	tiny_drop(&prey);
	ok(all_well(), "at the end all is well");
	tiny_drop(&witness);
}

int main(void)
{
	const bool longer = call_option("long", 0);
	const unsigned scale = (unsigned)call_option("scale", 1); /* on a slow kernel: so many times less at random */
	struct books before;
	exo_cap_t page;

	cpus_await();
	state ^= call_option("seed", 1);
	printf("# seed %lu\n", (long)call_option("seed", 1));
	tiny_prepare();
	before = books_now();
	page = take_frames(1);
	canary = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	space_map((exo_vaddr_t)canary, EXO_MAP_READ | EXO_MAP_WRITE, page, 0, 1);
	canary[0] = canary[511] = CANARY;
	attack(0, longer, scale);
	if (core_info->cpus > 1)
		attack(1, longer, 5 * scale);
	caps_delete(page);
	struct books after = books_now();
	ok(frames_consistent(), "every frame is free or somebody's");
	ok(after.free + after.own == before.free + before.own, "all frames are back");
	return call_done();
}
