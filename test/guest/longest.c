/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The longest stay in the kernel: each call, and the timer, with what makes it work most. No stay may be longer than
 * LIMIT instructions; longer work must come back to be called again. The machine counts instructions as time, so the
 * time-stamp counter does, and the figures repeat; a call's includes some ten of this program's.
 * Runs first: yes
 * Run with: --net user --icount -m 128M
 */
#define TINIES_MAX 104
#include <exo/flow.h>
#include "libos/core/code.h"
#include "libos/core/insn.h"
#include "test/guest/agent.h"
#include "test/guest/sleepers.h"

#define LIMIT	20000
#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)

static uint64_t longest;
static char longest_name[64];
static unsigned too_long;

static inline uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static void note(const char *name, uint64_t took, int64_t result)
{
	printf("# %6lu  %s: %ld\n", (long)took, name, (long)result);
	too_long += took > LIMIT;
	if (took > longest) {
		longest = took;
		snprintf(longest_name, sizeof(longest_name), "%s", name);
	}
}

/* One call; `result` is what it returned. */
#define MEASURE(name, call) \
	do { \
		uint64_t began = count(); \
		result = (call); \
		note(name, count() - began, result); \
	} while (0)

/* A call that is made again until it has done all: its longest. */
#define REPEAT(name, call) \
	do { \
		uint64_t most = 0, calls = 0, began, took; \
		do { \
			began = count(); \
			result = (call); \
			took = count() - began; \
			most = took > most ? took : most; \
			calls++; \
		} while (result == -EXO_EAGAIN); \
		note(name, most, result < 0 ? result : (int64_t)calls); \
	} while (0)

static int64_t result;
static exo_cap_t own;

/* A capability over `frames` frames, the highest that are free in a row. */
static exo_cap_t many_frames(uint32_t frames)
{
	uint32_t slot = caps_slot(), found = 0, pfn;

	for (pfn = core_info->frames_total - 1; pfn > 0 && found < frames; pfn--)
		found = info_frame(pfn)->state == EXO_FRAME_FREE ? found + 1 : 0;
	pfn++;
	exo_cap_t cap =
	    found == frames ? made(slot, exo_frame_take(slot, pfn, frames < 24 ? frames : 24)) : EXO_CAP_NONE;
	while (cap && cap_of(cap)->count < frames) {
		uint32_t left = frames - cap_of(cap)->count;
		if (exo_frame_take(cap, EXO_PFN_ANY, left < EXO_TAKE_MAX ? left : EXO_TAKE_MAX) <= 0)
			return EXO_CAP_NONE;
	}
	return cap;
}

static exo_cap_t child_of(exo_cap_t cap, uint64_t rights)
{
	return (exo_cap_t)caps_derive(cap, rights, 0, 0);
}

static void frames(void)
{
	static exo_cap_t hole[200];
	exo_cap_t cap = take_frames(24);
	uint32_t slot = caps_slot();

	MEASURE("frame_take 24", exo_frame_take(slot, EXO_PFN_ANY, 24));
	caps_delete((exo_cap_t)result);
	/* Free runs of 23 frames, so that the search looks at many and takes the longest. */
	for (unsigned i = 0; i < 200; i++) {
		caps_slot();
		uint32_t at = caps_slot();
		hole[i] = made(at, exo_frame_take(at, EXO_PFN_ANY, i % 2 ? 1 : 22));
	}
	for (unsigned i = 0; i < 200; i += 2)
		caps_delete(hole[i]);
	MEASURE("frame_take 24, memory in pieces", exo_frame_take(slot, EXO_PFN_ANY, 24));
	caps_delete((exo_cap_t)result);
	for (unsigned i = 1; i < 200; i += 2)
		caps_delete(hole[i]);
	caps_delete(cap);
	cap = many_frames(600);
	ok(cap != 0, "600 frames in a row");
	MEASURE("frame_give 256", exo_frame_give(cap, 256));
	uint32_t at = caps_slot();
	MEASURE("cap_derive 256", exo_cap_derive(cap, 0, at, RWX, 0, 256));
	exo_cap_t child = (exo_cap_t)result;
	MEASURE("cap_derive 88 more", exo_cap_derive(cap, 0, child, RWX, 256, 88));
	REPEAT("cap_delete of 344 frames that others hold", exo_cap_delete(child));
	REPEAT("cap_delete of 344 frames", exo_cap_delete(cap));
}

/* As many frames as a sibling can get at once, all of them mapped. */
static void splitting(void)
{
	exo_cap_t cap = many_frames(2048), records = take_frames(3);
	exo_vaddr_t va = vm_addresses(2048 * EXO_PAGE_SIZE);
	uint32_t slot = caps_slot();

	if (!ok(cap && !space_map(va, RW, cap, 0, 2048), "2,048 pages"))
		return;
	for (uint32_t i = 0; i < 2048; i++)
		*(volatile uint8_t *)(va + i * EXO_PAGE_SIZE) = 1;
	REPEAT("cap_split of 2,048 pages", exo_cap_split(cap, 0, slot, records, 0));
	exo_cap_t twin = caps_handle(slot);
	uint64_t most = 0;
	while (cap_of(twin)->count < 2048) {
		uint64_t began = count();
		result = exo_cap_split(cap, 0, twin, 0, 0);
		most = count() - began > most ? count() - began : most;
		if (result <= 0)
			break;
	}
	note("cap_split, 256 frames more", most, result);
	MEASURE("split_give 256, mapped", exo_split_give(cap, 0, 256));
	MEASURE("split_give 256, not mapped", exo_split_give(twin, 1024, 256));
	space_map(va, EXO_MAP_READ, twin, 0, 128);
	for (uint32_t i = 0; i < 128; i++)
		*(volatile struct exo_map *)core_arg(i * 32) = (struct exo_map){ (va + (1024 + i) * EXO_PAGE_SIZE) | RW,
			cap, 1024 + i, 1, 0 };
	MEASURE("space_write of 128 pages that nobody else holds", exo_space_write(own, 0, 128));
	*(volatile struct exo_map *)core_arg(0) = (struct exo_map){ (va + 1024 * EXO_PAGE_SIZE) | RW, cap, 1024, 128, 0 };
	MEASURE("the same in a run", exo_space_write(own, 0, 1));
	REPEAT("cap_delete of a sibling", exo_cap_delete(twin));
	REPEAT("split_end, which cannot", exo_split_end(cap));
	REPEAT("cap_delete of the last one", exo_cap_delete(cap));
	cap = many_frames(2048);
	slot = caps_slot();
	REPEAT("cap_split of 2,048 frames, not mapped", exo_cap_split(cap, 0, slot, records, 0));
	twin = caps_handle(slot);
	while (cap_of(twin)->count < 2048)
		exo_cap_split(cap, 0, twin, 0, 0);
	for (uint32_t i = 0; i < 2048; i += 2)
		exo_split_give(twin, i, 1);
	slot = caps_slot();
	REPEAT("cap_split, every other frame of 256", exo_cap_split(twin, 0, slot, records, 2));
	while (cap_of(caps_handle(slot))->count < 2048)
		exo_cap_split(twin, 0, caps_handle(slot), 0, 0);
	REPEAT("cap_delete of every other frame", exo_cap_delete(caps_handle(slot)));
	REPEAT("cap_delete of every other frame, the last one", exo_cap_delete(twin));
	REPEAT("split_end of 2,048 frames", exo_split_end(cap));
	caps_delete(cap);
	caps_delete(records);
}

/* What goes with accounts eight deep. */
static void accounts(void)
{
	exo_cap_t cap = many_frames(80), chain[8], above = core_named(EXO_NAME_ACCOUNT);
	unsigned depth = 0;
	struct tiny agent;

	for (; depth < 7; depth++) {
		uint32_t slot = caps_slot();
		chain[depth] = made(slot, exo_account_make(slot, above, cap, depth, 3000));
		if (!chain[depth])
			break;
		above = chain[depth];
	}
	is(depth, 7, "accounts, one below the other");
	tiny_account = above;
	agent_begin(&agent, 0);
	tiny_account = 0;
	for (uint32_t slot = 10; slot < 60; slot++)
		agent_do(&agent, EXO_CALL_frame_take, slot, EXO_PFN_ANY, 24, 0, 0, 0);
	REPEAT("env_destroy, 1200 frames of a deep account", exo_env_destroy(agent.env));
	tiny_drop(&agent);
	for (uint32_t i = depth; i < 70; i++) {
		uint32_t slot = caps_slot();
		made(slot, exo_account_make(slot, chain[5], cap, i, 3000));
	}
	REPEAT("cap_revoke of 70 accounts", exo_cap_revoke(chain[0]));
	caps_delete(chain[0]);
	caps_delete(cap);
}

static void slices(void)
{
	uint32_t slot = caps_slot();
	exo_cap_t all;

	MEASURE("slice_take 64", exo_slice_take(slot, 0, 0, EXO_SLICES));
	all = (exo_cap_t)result;
	MEASURE("slice_bind 64", exo_slice_bind(all, core_named(EXO_NAME_ENV)));
	for (unsigned i = 0; i < 100; i++)
		child_of(all, EXO_RIGHT_BIND);
	REPEAT("cap_revoke, 100 times 64 slices", exo_cap_revoke(all));
	REPEAT("cap_delete of 64 slices", exo_cap_delete(all));
}

static void trees(void)
{
	exo_cap_t cap = take_frames(8), chain[14];
	exo_vaddr_t va = vm_addresses(64 * EXO_PAGE_SIZE);

	chain[0] = cap;
	for (unsigned i = 1; i < 14; i++)
		chain[i] = child_of(chain[i - 1], RWX);
	for (unsigned i = 0; i < 100; i++)
		child_of(chain[13], RWX);
	uint32_t slot = caps_slot();
	MEASURE("cap_derive, the last of a chain", exo_cap_derive(chain[13], 0, slot, RWX, 0, 8));
	REPEAT("cap_delete with 100 children", exo_cap_delete(chain[13]));
	REPEAT("cap_revoke of 100, deep", exo_cap_revoke(cap));
	for (unsigned i = 0; i < 64; i++) {
		exo_cap_t child = (exo_cap_t)caps_derive(cap, RWX, i % 8, 1);
		space_map(va + i * EXO_PAGE_SIZE, RW, child, 0, 1);
		*(volatile char *)(va + i * EXO_PAGE_SIZE) = 1;
	}
	REPEAT("cap_revoke of 64, each mapped and used", exo_cap_revoke(cap));
	for (unsigned i = 0; i < 64; i++) {
		space_map(va + i * EXO_PAGE_SIZE, RW, cap, i % 8, 1);
		*(volatile char *)(va + i * EXO_PAGE_SIZE) = 1;
	}
	REPEAT("cap_delete, 64 pages mapped and used", exo_cap_delete(cap));
	for (unsigned i = 0; i < 63; i++)
		child_of(own, EXO_RIGHT_READ);
	REPEAT("cap_revoke, 63 of a space", exo_cap_revoke(own));
}

static void touch(exo_vaddr_t va, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		*(volatile char *)(va + i * EXO_PAGE_SIZE) = 1;
}

static void writing(void)
{
	exo_cap_t a = many_frames(128), b = many_frames(128);
	exo_vaddr_t va = vm_addresses(600 * EXO_PAGE_SIZE), apart = vm_addresses(80 * (2ULL << 20));
	uint32_t slot;

	for (unsigned i = 0; i < 600; i += 100)
		space_map(va + i * EXO_PAGE_SIZE, EXO_MAP_READ, a, 0, 100);
	for (unsigned i = 0; i < 600; i += 100)
		space_map(va + i * EXO_PAGE_SIZE, 0, 0, 0, 100);
	MEASURE("space_write, a run of 128", write_one(own, va | RW, a, 0, 128));
	touch(va, 128);
	MEASURE("space_write, 128 over others", write_one(own, va | RW, b, 0, 128));
	touch(va, 128);
	MEASURE("space_write, 128 protected", write_one(own, va | EXO_MAP_READ, 0, 0, 128));
	slot = caps_slot();
	exo_cap_t root = made(slot, exo_space_create(slot, b, 127));
	MEASURE("space_write, wrong at the end of 128", write_one(own, (va + 0x100000) | RW, b, 0, 128));
	if (root)
		caps_delete(root);
	MEASURE("space_write, unmap 128", write_one(own, va, 0, 0, 128));
	for (unsigned i = 0; i < 128; i++)
		descriptor(i, (va + i * 2 * EXO_PAGE_SIZE) | RW, i % 2 ? a : b, i, 1);
	MEASURE("space_write, 128 singles by two capabilities", exo_space_write(own, 0, 128));
	touch(va, 1);
	for (unsigned i = 0; i < 128; i++)
		descriptor(
		    i, (va + i * 2 * EXO_PAGE_SIZE) | (i % 2 ? RW : EXO_MAP_READ), i % 2 ? b : a, i, 1);
	MEASURE("space_write, singles over others", exo_space_write(own, 0, 128));
	write_one(own, va, 0, 0, 128), write_one(own, va + 0x80000, 0, 0, 128);
	for (unsigned i = 0; i < 80; i++) {
		space_map(apart + i * (2ULL << 20), EXO_MAP_READ, a, 0, 1);
		space_map(apart + i * (2ULL << 20) + EXO_PAGE_SIZE, RW, a, 1, 1);
	}
	touch(apart + EXO_PAGE_SIZE, 1);
	for (unsigned i = 0; i < 128; i++)
		descriptor(i, (apart + i % 80 * (2ULL << 20)) | RW, i % 2 ? b : a, i, 1);
	MEASURE("space_write, singles far apart", exo_space_write(own, 0, 128));
	for (unsigned i = 0; i < 128; i++)
		descriptor(i, (apart + i % 80 * (2ULL << 20)) | RW, i % 2 ? b : a, i, i % 2 ? 1 : 2);
	MEASURE("space_write, pairs far apart", exo_space_write(own, 0, 128));
	for (unsigned i = 0; i < 128; i++)
		descriptor(i, (apart + i % 80 * (2ULL << 20) + 0x10000) | EXO_MAP_READ, a, i, 0);
	MEASURE("space_write, nonsense", exo_space_write(own, 0, 128));
	REPEAT("cap_delete of 128 frames, mapped", exo_cap_delete(a));
	REPEAT("cap_delete of 128 frames, mapped far apart", exo_cap_delete(b));
}

/* Pages of 2 MiB, as many as a call takes, and what cuts them. */
static void large(void)
{
	exo_vaddr_t va = 0x500000000000;
	exo_cap_t cap = (exo_cap_t)space_large_take(EXO_LARGE_BATCH_MAX), part;

	if (!ok((int64_t)cap > 0 && !space_map_large(va, RW, cap, 0, 1), "frames for large pages"))
		return;
	touch(va, 1);
	MEASURE("space_write, 4 large pages", write_one(own, va | RW | EXO_MAP_LARGE, cap, 0, 4));
	touch(va, 512);
	MEASURE("space_write, 4 large pages over others", write_one(own, va | RW | EXO_MAP_LARGE, cap, 0, 4));
	MEASURE("space_write, 4 large pages protected",
	    write_one(own, va | EXO_MAP_READ | EXO_MAP_LARGE, 0, 0, 4));
	part = child_of(cap, EXO_RIGHT_READ);
	MEASURE("space_write, 4 large pages unmapped", write_one(own, va | EXO_MAP_LARGE, 0, 0, 4));
	for (unsigned i = 0; i < 64; i++)
		space_map_large(va + i * SPACE_LARGE_BYTES, EXO_MAP_READ, cap, 0, 1);
	REPEAT("cap_delete, with 64 large pages", exo_cap_delete(cap));
	REPEAT("cap_delete of what it left", exo_cap_delete(part));
}

/* Spaces that are as thinly, or as thickly, populated as can be. */
static void spaces(void)
{
	exo_cap_t cap = many_frames(120), page = take_frames(1), space;
	uint32_t slot = caps_slot(), at = 1;
	exo_vaddr_t far = 0;

	MEASURE("space_create", exo_space_create(slot, cap, 0));
	space = (exo_cap_t)result;
	for (unsigned i = 0; i < 20; i++) {
		far = ((255ULL - i) << 39) - 0x1000;
		exo_space_table(space, far, EXO_LEVEL_512G, cap, at);
		exo_space_table(space, far, EXO_LEVEL_1G, cap, at + 1);
		if (i)
			exo_space_table(space, far, EXO_LEVEL_PAGES, cap, at + 2);
		else
			MEASURE("space_table", exo_space_table(space, far, EXO_LEVEL_PAGES, cap, at + 2));
		write_one(space, far | EXO_MAP_READ, page, 0, 1);
		at += 5;
	}
	REPEAT("cap_delete of a thin space", exo_cap_delete(space));
	slot = caps_slot();
	space = made(slot, exo_space_create(slot, cap, 0));
	exo_space_table(space, far, EXO_LEVEL_512G, cap, 1);
	exo_space_table(space, far, EXO_LEVEL_1G, cap, 2);
	exo_space_table(space, far, EXO_LEVEL_PAGES, cap, 3);
	for (unsigned i = 0; i < 512; i++)
		write_one(space, ((far & ~0x1fffffULL) + i * 0x1000) | EXO_MAP_READ, page, 0, 1);
	REPEAT("cap_delete of a thick space", exo_cap_delete(space));
	REPEAT("cap_delete of its frames", exo_cap_delete(cap));
	caps_delete(page);
}

static void environments(void)
{
	exo_cap_t cap = many_frames(140), console = core_named(EXO_NAME_CONSOLE);
	uint32_t slot = caps_slot();
	struct tiny agent;

	memset(core_arg(0), 0, 64);
	MEASURE("env_create", exo_env_create(slot, own, 0, cap, 0, 0));
	exo_cap_t env = (exo_cap_t)result;
	REPEAT("env_destroy, empty", exo_env_destroy(env));
	caps_delete(env);
	agent_begin(&agent, 0);
	MEASURE("env_read of a page", exo_env_read(agent.env, TINY_DATA, 0, 4096));
	MEASURE("env_read of two pages", exo_env_read(agent.env, TINY_DATA + 1001, 3, 4093));
	memset(core_arg(0), ' ', 256);
	*(char *)core_arg(0) = '#';
	*(char *)core_arg(255) = '\n';
	MEASURE("console_write", exo_console_write(console, 0, 256));
	uint64_t there = (uint64_t)tiny_grant(&agent, cap, 1, RWX);
	for (unsigned i = 0; i < 63; i++)
		agent_do(&agent, EXO_CALL_cap_table, there, i, 0, 0, 0, 0);
	for (uint32_t i = 64; i < 64 * 64; i++)
		if (i < 2000)
			exo_cap_derive(console, agent.env, i, EXO_RIGHT_READ, 0, 0);
		else if (i < 3000)
			exo_cap_derive(cap, agent.env, i, EXO_RIGHT_READ, 80, 8);
		else if (i % 64 == 63)
			exo_cap_derive(cap, agent.env, i, EXO_RIGHT_READ, 80, 1);
	REPEAT("env_destroy, a full table", exo_env_destroy(agent.env));
	tiny_drop(&agent);
	agent_begin(&agent, 0);
	there = (uint64_t)tiny_grant(&agent, cap, 1, RWX);
	for (unsigned i = 0; i < 63; i++)
		agent_do(&agent, EXO_CALL_cap_table, there, i, 0, 0, 0, 0);
	REPEAT("env_destroy, a large empty table", exo_env_destroy(agent.env));
	tiny_drop(&agent);
	caps_delete(cap);
}

#include "test/guest/longest_flows.h"
#include "test/guest/longest_programs.h"

TINY static void resting(uint64_t reasons)
{
	(void)reasons;
	if (!tiny_word(1)) {
		tiny_word(1) = 1;
		tiny_sleep(tiny_word(0));
	}
	for (;;)
		tiny_sleep(EXO_NEVER);
}

/* The longest time that a loop which owns all slices is away, while a hundred deadlines come at once. */
static void timer(void)
{
	static struct tiny one[TINIES_MAX];
	uint32_t slot = caps_slot(), there = 0;
	exo_cap_t all = made(slot, exo_slice_take(slot, 0, 0, EXO_SLICES));
	exo_time_t when = core_now() + 40 * MS, end = when + 5 * MS;
	uint64_t now, last, most = 0;

	for (unsigned i = 0; i < TINIES_MAX; i++) {
		if (!tiny_make(&one[i], resting, 0))
			break;
		one[i].word[0] = when;
		tiny_start(&one[i]);
		there += tiny_await(&one[i], EXO_ENV_ASLEEP, 100);
	}
	exo_slice_bind(all, core_named(EXO_NAME_ENV));
	is(there, TINIES_MAX, "environments sleep");
	thread_sleep(when - MS);
	for (last = count(); core_now() < end; last = now) {
		now = count();
		most = now - last > most ? now - last : most;
	}
	note("timer, 100 deadlines at once", most, there);
	caps_delete(all);
	for (unsigned i = 0; i < TINIES_MAX; i++)
		tiny_drop(&one[i]);
}

/* --- sleeping on programs ------------------------------------------------------------------------------- */

/* As many as may watch a frame, each with the longest program that there can be. */
static void sleeping(void)
{
	static struct program programs[EXO_WATCH_MAX];
	static struct tiny all[EXO_WATCH_MAX];
	exo_cap_t frame = take_frames(1);
	volatile uint64_t *word = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	unsigned asleep = 0, i;
	int64_t result;

	space_map((exo_vaddr_t)word, RW, frame, 0, 1);
	for (i = 0; i < EXO_WATCH_MAX; i++) {
		if (!program_load(&programs[i], 1, EXO_FUEL_WAKE,
			INSN_OPI(MOV, 0, 160),
			INSN_OPI(DIV, 0, 1),
			INSN_OPI(SUB, 0, 1),
			INSN_IFI(JNE, 0, 0, -3),
			WHEN_NOT_ZERO(0)) || exo_code_bind(programs[i].code, 0, frame, 0) ||
		    !sleeper_begin(&all[i], programs[i].code))
			break;
		asleep += sleeper_arm(&all[i], EXO_NEVER) == SLEEPS;
	}
	is(asleep, EXO_WATCH_MAX, "sleepers on programs that divide");
	MEASURE("kick, all in vain", exo_kick(frame, 0));
	MEASURE("wake, in vain", exo_wake(all[0].env));
	thread_sleep(core_now() + 5 * MS);
	ok(sleeper_runs(&all[0]) > 1 && sleeper_runs(&all[EXO_WATCH_MAX - 1]) > 1, "all have been run");
	*word = 1;
	MEASURE("kick, all wake", exo_kick(frame, 0));
	uint64_t stay = 0, before;
	for (exo_time_t end = core_now() + 3 * MS; core_now() < end;) {	/* what interrupts this takes time */
		before = count();
		uint64_t took = count() - before;
		stay = took > stay ? took : stay;
	}
	/* Not one stay: sleepers that wake run in between, more or fewer of them. bench has the longest single one of all this. */
	printf("# %6lu  the timer, with the rest of them\n", (unsigned long)stay);
	too_long += stay > 2 * LIMIT;
	for (i = 0; i < EXO_WATCH_MAX; i++) {
		tiny_drop(&all[i]);
		if (!i) {
			REPEAT("cap_delete, a program", exo_cap_delete(programs[i].code));
			programs[i].code = EXO_CAP_NONE;
		}
		program_drop(&programs[i]);
	}
	space_map((exo_vaddr_t)word, 0, EXO_CAP_NONE, 0, 1);
	caps_delete(frame);
}

int main(void)
{
	uint64_t null[4];

	own = core_named(EXO_NAME_SPACE);
	for (unsigned i = 0; i < 4; i++) {
		null[i] = count();
		exo_null();
		null[i] = count() - null[i];
	}
	if (!ok(null[2] == null[3] && null[3] < 200, "instructions are counted (a null call %lu)",
		(long)null[3]))
		return call_done();
	tiny_prepare();
	frames();
	splitting();
	accounts();
	slices();
	trees();
	writing();
	large();
	spaces();
	environments();
	sleeping();
	programs();
	if (ok(core_named(EXO_NAME_NET) != 0, "there is a network device")) {
		packets(core_named(EXO_NAME_NET));
		owning(core_named(EXO_NAME_NET));
		flows(core_named(EXO_NAME_NET));
	}
	sleeping();
	timer();
	exo_cap_t last = take_frames(1);
	MEASURE("cap_table", exo_cap_table(last, 0)); /* the libOS does not know of it: last of all */
	ok(!too_long, "no stay in the kernel is longer than %d; the longest, %lu: %s", LIMIT, (long)longest,
	    longest_name);
	ok(frames_consistent(), "every frame is free or somebody's");
	return call_done();
}
