/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls from arbitrary bytes, on one or two CPUs: with all of exo/, arch/null, test/unit/world.c, test/lib/invariants.c.
 *
 * The input is a stream of operations. Each picks a CPU and does what can happen there: whoever runs makes a call, its
 * argument frame or dispatcher page changes, time passes, an interrupt or an exception comes. An argument is drawn by
 * the letter that the call table has for it, so that most calls get far. After each operation all invariants are looked
 * at, and that what the kernel has loaded is what it says that runs; a panic or a broken one ends the program.
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include "exo/spaces.h"
#include "test/lib/invariants.h"
#include "test/unit/world.h"

#define FRAMES		700
#define OPERATIONS_MAX	400

static const uint8_t *at, *end;
static unsigned calls_made, calls_done;

static uint64_t byte(void)
{
	return at < end ? *at++ : 0;
}

static uint64_t word(void)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < 8; i++)
		value = value << 8 | byte();
	return value;
}

static uint64_t edge(uint64_t which)
{
	static const uint64_t edges[] = { 64, 127, 128, 255, 256, 511, 512, 4095, 4096, 4097, 1ULL << 31, (1ULL << 32) - 1,
		1ULL << 32, 1ULL << 47, EXO_USER_MAX, 1ULL << 63, ~0ULL, EXO_PFN_ANY, FRAMES, FRAMES - 1 };

	return edges[which % COUNT_OF(edges)];
}

static uint64_t number(void)
{
	uint64_t value = byte();

	return value < 200 ? value % 40 : value == 255 ? word() : edge(value);
}

static uint64_t handle(void)
{
	uint64_t value = byte(), slot = value % 64;
	const struct exo_cap *cap = cap_slot(here.current, (uint32_t)slot);

	if (value >= 250 || !cap)
		return value == 255 ? word() : value >= 253 ? EXO_PEER + value - 253 : 0;
	return exo_cap_make((uint32_t)slot, cap->generation - (value >= 240));
}

static uint64_t address(void)
{
	uint64_t value = byte();

	return value < 200 ? WORLD_VA + value % 64 * EXO_PAGE_SIZE : value < 230 ? (value & 7) << 21 | (value & 24) << 27 :
	    number();
}

static uint64_t moment(void)
{
	uint64_t value = byte();

	return value < 200 ? null.now + value * 20000 : value < 230 ? EXO_NEVER : number();
}

static uint64_t argument(char letter)
{
	switch (letter) {
	case 'c':
		return handle();
	case 's':
		return byte() % 64;
	case 'v':
		return address();
	case 'o':
		return number() * 8;
	case 't':
		return moment();
	default:
		return number();
	}
}

/* --- what happens --------------------------------------------------------------------------------------- */

static int64_t dispatch(void *unused)
{
	(void)unused;
	here.current = NULL;	/* the world's environments made calls without being run */
	cpu_dispatch();
}

static int64_t interrupted(void *frame)
{
	if (null.now >= null.timer) {
		null.timer = EXO_NEVER;
		cpu_timer();
	}
	cpu_interrupted(frame);
}

static uint64_t vector;

static int64_t exception(void *frame)
{
	cpu_exception(frame, vector, 6, WORLD_VA);
}

static void call(void)
{
	static const char *const letters[] = {
#define LETTERS(nr, name, args, names, rights, meaning) [nr] = args,
		EXO_CALLS(LETTERS)
#undef LETTERS
	};
	uint64_t a[6], nr = byte() % EXO_CALL_COUNT;
	unsigned i;

	if (!letters[nr] || (nr == EXO_CALL_env_exit && byte() % 8))
		return;
	for (i = 0; i < 6; i++)
		a[i] = i < strlen(letters[nr]) ? argument(letters[nr][i]) : 0;
	calls_made++;
	calls_done += null_call((unsigned)nr, a[0], a[1], a[2], a[3], a[4], a[5]) != NULL_RETURNED || null.result >= 0;
}

/* Descriptors, parameters, claims: whatever words of its argument frame mean. */
static void fill(void)
{
	struct exo_map *map = (struct exo_map *)here.current->arg;
	uint64_t count = byte() % 6, i;

	if (count == 5) {
		memset(map, 0, 256);
		((struct exo_env_params *)map)->cpu = byte() % 3;
		return;
	}
	for (i = 0; i < count; i++) {
		map[i].va = (address() & ~0xfffULL) | byte() % 17;
		map[i].cap = handle();
		map[i].first = (uint32_t)number();
		map[i].count = (uint32_t)(1 + byte() % 5);
	}
}

static void scribble(void)
{
	uint64_t *words = (uint64_t *)here.current->disp;
	uint64_t where = byte() % 0x100;

	words[where % (sizeof(struct exo_disp) / 8)] = number();
}

static void operation(void)
{
	struct arch_frame frame = { .regs = { .rip = 0x400000 } };
	uint64_t what = byte();

	null_on((unsigned)(what & 1) % null.cpu_count);
	what >>= 1;
	if (!here.current || what < 8) {
		null.now += byte() * 5000;
		(void)null_enter(interrupted, here.current ? &frame : NULL);
	} else if (what < 12) {
		vector = byte() % 32;
		here.current->disp->off = vector % 8 ? EXO_OFF_YES : EXO_OFF_NO;	/* seldom its end */
		(void)null_enter(exception, &frame);
	} else if (what < 20) {
		scribble();
	} else if (what < 40) {
		fill();
	} else {
		call();
	}
}

/* --- what must hold ------------------------------------------------------------------------------------- */

static void fail(const char *what)
{
	printf("broken: %s\n%.400s\n", what, null.console);
	fflush(stdout);
	abort();
}

static void look(void)
{
	const char *broken;
	unsigned i;

	if (null.left == NULL_PANIC || null.left == NULL_STOP)
		fail("the kernel stopped");
	if (kernel_lock_word.next != kernel_lock_word.serving)
		fail("the kernel lock is held outside the kernel");
	broken = world_check();
	for (i = 0; i < null.cpu_count && !broken; i++) {
		null_on(i);
		if (here.current && (null.loaded != here.current || null.space != here.current->root))
			broken = "the CPU has not loaded what runs";
		if (here.current && env_state(here.current) != EXO_ENV_READY)
			broken = "what runs is not ready";
		if (here.timer > here.due)
			broken = "the timer comes too late";
	}
	if (broken)
		fail(broken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned i, count;

	at = data;
	end = data + size;
	world_boot_cpus(FRAMES, 1 + (unsigned)(byte() & 1));
	for (i = 0; i < null.cpu_count; i++) {
		null_on(i);
		(void)null_enter(dispatch, NULL);
	}
	for (i = 0; i < WORLD_ENVS; i++) {
		world.env[i]->disp->run_entry = world.env[i]->disp->off_entry = world.env[i]->disp->call_entry = 0x400000;
		world.env[i]->disp->reenter = i != 0;
		world.env[i]->disp->window_first = world.env[i]->disp->offer_first = 1 + i;
		world.env[i]->disp->window_count = world.env[i]->disp->offer_count = 60;
		world.env[i]->disp->upcall_sp = world.env[i]->disp->off_sp = world.env[i]->disp->call_sp = 0x500000;
	}
	null_on(0);
	for (i = 0; i < 8 && null.cpu_count > 1 && here.current != world.env[2]; i++)
		(void)null_call(EXO_CALL_yield, 0, 0, 0, 0, 0, 0);
	if (null.cpu_count > 1)
		(void)null_call(EXO_CALL_env_move, 0, 1, 0, 0, 0, 0);
	for (count = 0; at < end && count < OPERATIONS_MAX && null.left != NULL_HALT; count++) {
		operation();
		look();
	}
	return 0;
}
