/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tiny environments for tests of the kernel: one function of the test's own, marked TINY, at the same address
 * as here, with a page of data and stack, and no libOS.
 *
 * The function is entered by each RUN upcall, with upcalls off, on a stack that begins anew. It may use its
 * arguments, the pages at TINY_*, calls by tiny_call() and other TINY functions; no global and no string. What it is
 * to do stands in the words of its data page, which the test sees and may change while it runs.
 */
#ifndef TEST_GUEST_TINY_H
#define TEST_GUEST_TINY_H

#include "test/guest/call.h"

#define TINY \
	__attribute__((section("tiny"), noinline, used, noclone, \
	    optimize("no-tree-loop-distribute-patterns", "no-jump-tables")))
#define TINY_INLINE	static inline __attribute__((always_inline))

/* All in the 2 MiB of the image, so that one table of pages is enough. */
#define TINY_DISP	0x5f0000ULL
#define TINY_ARG	0x5f1000ULL
#define TINY_DATA	0x5f2000ULL	/* words from the start, stack from the end */
#define TINY_STACK	0x5f3000ULL	/* another page, writable */
#define TINY_CAPS	0x5f4000ULL
#define TINY_SP		(TINY_STACK + 0x1000 - 8)
#define TINY_OFF_SP	(TINY_STACK + 0x800 - 8)
#define TINY_CALL_SP	(TINY_STACK + 0x600 - 8)
#define TINY_CODE_MAX	4

#define tiny_word(n) (((volatile uint64_t *)TINY_DATA)[n])
#define tiny_disp	((volatile struct exo_disp *)TINY_DISP)

extern char __start_tiny[], __stop_tiny[];

enum { TINY_ROOT, TINY_TABLE3, TINY_TABLE2, TINY_LEAF, TINY_ENV = TINY_LEAF + 3, TINY_DISP_FRAME,
	TINY_ARG_FRAME, TINY_CAPS_FRAME, TINY_DATA_FRAME, TINY_STACK_FRAME, TINY_CODE_FRAMES };

struct tiny {
	exo_cap_t frames, env, space;
	exo_env_id_t id;
	uint32_t spare;  /* first of the frames behind those in use, in `frames` */
	unsigned window; /* index + 1 */
	volatile struct exo_disp *disp;
	volatile uint64_t *word; /* its data page, seen from here */
	volatile uint8_t *arg;
};

TINY_INLINE int64_t tiny_call(
    uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	register uint64_t r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = a4;
	register uint64_t r9 __asm__("r9") = a5;
	int64_t result;

	__asm__ volatile("syscall"
			 : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10), "+r"(r8), "+r"(r9)
			 : "0"(number)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

TINY_INLINE _Noreturn void tiny_exit(uint64_t status)
{
	for (;;)
		tiny_call(EXO_CALL_env_exit, EXO_CAUSE_EXIT, status, 0, 0, 0, 0);
}

/* Until something comes; goes on at the entry. */
TINY_INLINE void tiny_sleep(exo_time_t until)
{
	tiny_call(EXO_CALL_sleep, until, tiny_disp->events, 0, 0, 0, 0);
}

/* --- the test's side ------------------------------------------------------------------------------------ */

#ifndef TINIES_MAX
#define TINIES_MAX	24
#endif
#define TINY_WINDOW	4	/* pages: dispatcher, argument, data, one to fill others */

static exo_vaddr_t tiny_windows;
static exo_cap_t tiny_account; /* of those made from now on; 0: the test's own */
static uint64_t tiny_cpu; /* likewise */
static bool tiny_used[TINIES_MAX];

/* The test's addresses for all of them, with their tables, made once so that the books stay even. */
static inline void tiny_prepare(void)
{
	if (tiny_windows)
		return;
	tiny_windows = vm_addresses(TINIES_MAX * TINY_WINDOW * EXO_PAGE_SIZE);
	exo_cap_t one = take_frames(1);
	for (unsigned i = 0; i < TINIES_MAX * TINY_WINDOW; i++)
		space_map(tiny_windows + i * EXO_PAGE_SIZE, EXO_MAP_READ | EXO_MAP_WRITE, one, 0, 1);
	caps_delete(one);
}

static inline exo_vaddr_t tiny_window(const struct tiny *tiny, unsigned page)
{
	return tiny_windows + ((tiny->window - 1) * TINY_WINDOW + page) * EXO_PAGE_SIZE;
}

static inline int64_t tiny_map(
    const struct tiny *tiny, exo_vaddr_t va, unsigned flags, uint32_t frame, uint32_t count)
{
	return write_one(tiny->space, va | flags, tiny->frames, frame, count) == 1 ? 0 : -1;
}

/* End it, and give all back. */
static inline void tiny_drop(struct tiny *tiny)
{
	if (tiny->env) {
		while (exo_env_destroy(tiny->env) == -EXO_EAGAIN)
			;
		caps_delete(tiny->env);
	}
	if (tiny->space)
		caps_delete(tiny->space);
	if (tiny->frames)
		caps_delete(tiny->frames);
	if (tiny->window)
		tiny_used[tiny->window - 1] = false;
	memset(tiny, 0, sizeof(*tiny));
}

static inline bool tiny_space(struct tiny *tiny)
{
	static const unsigned level[] = { EXO_LEVEL_512G, EXO_LEVEL_1G, EXO_LEVEL_PAGES };
	static const unsigned frame[] = { TINY_TABLE3, TINY_TABLE2, TINY_LEAF };
	uint32_t slot = caps_slot();
	int64_t error = 0;

	tiny->space = made(slot, exo_space_create(slot, tiny->frames, TINY_ROOT));
	for (unsigned i = 0; i < 3 && !error; i++)
		error = exo_space_table(tiny->space, TINY_DISP, level[i], tiny->frames, frame[i]);
	return tiny->space && !error;
}

static inline bool tiny_code(struct tiny *tiny)
{
	uint64_t from = PAGE_DOWN((uint64_t)__start_tiny),
		 pages = (PAGE_UP((uint64_t)__stop_tiny) - from) / EXO_PAGE_SIZE;
	exo_vaddr_t window = tiny_window(tiny, 3);
	int64_t error = pages > TINY_CODE_MAX;

	for (uint64_t i = 0; i < pages && !error; i++) {
		error = space_map(
		    window, EXO_MAP_READ | EXO_MAP_WRITE, tiny->frames, TINY_CODE_FRAMES + (uint32_t)i, 1);
		if (!error)
			memcpy((void *)window, (const void *)(from + i * EXO_PAGE_SIZE), EXO_PAGE_SIZE);
		space_map(window, 0, EXO_CAP_NONE, 0, 1);
	}
	tiny->spare = TINY_CODE_FRAMES + (uint32_t)pages;
	return !error &&
	       !tiny_map(tiny, from, EXO_MAP_READ | EXO_MAP_EXEC, TINY_CODE_FRAMES, (uint32_t)pages);
}

/* Its pages there and here, and what its dispatcher page says at first. */
static inline bool tiny_pages(struct tiny *tiny, uint64_t entry)
{
	const unsigned rw = EXO_MAP_READ | EXO_MAP_WRITE;
	int64_t error = tiny_map(tiny, TINY_DISP, rw, TINY_DISP_FRAME, 2);

	error |= tiny_map(tiny, TINY_DATA, rw, TINY_DATA_FRAME, 2);
	error |= tiny_map(tiny, TINY_CAPS, EXO_MAP_READ, TINY_CAPS_FRAME, 1);
	error |= space_map(tiny_window(tiny, 0), rw, tiny->frames, TINY_DISP_FRAME, 2);
	error |= space_map(tiny_window(tiny, 2), rw, tiny->frames, TINY_DATA_FRAME, 1);
	if (error)
		return false;
	tiny->disp = (volatile struct exo_disp *)tiny_window(tiny, 0);
	tiny->arg = (volatile uint8_t *)tiny_window(tiny, 1);
	tiny->word = (volatile uint64_t *)tiny_window(tiny, 2);
	tiny->id = tiny->disp->self;
	tiny->disp->upcall_sp = TINY_SP;
	tiny->disp->off_sp = TINY_OFF_SP;
	tiny->disp->call_sp = TINY_CALL_SP;
	tiny->disp->run_entry = tiny->disp->fault_entry = tiny->disp->off_entry = entry;
	return true;
}

/* Make one, with `extra` more frames under its capability; it does not run yet. False: nothing is left behind. */
static __attribute__((unused)) bool tiny_make(struct tiny *tiny, void (*entry)(uint64_t), uint32_t extra)
{
	struct exo_env_params *params = core_arg(0);
	uint32_t slot, window = 0;
	bool good;

	tiny_prepare();
	memset(tiny, 0, sizeof(*tiny));
	while (window < TINIES_MAX && tiny_used[window])
		window++;
	if (window == TINIES_MAX)
		return false;
	tiny_used[window] = true;
	tiny->window = window + 1;
	tiny->frames = take_frames(TINY_CODE_FRAMES + TINY_CODE_MAX + extra);
	good = tiny->frames && tiny_space(tiny);
	if (good) {
		slot = caps_slot();
		*params = (struct exo_env_params){ .cpu = tiny_cpu, .label = "tiny" };
		tiny->env =
		    made(slot, exo_env_create(slot, tiny->space, tiny_account, tiny->frames, TINY_ENV, 0));
		good = tiny->env && tiny_code(tiny) && tiny_pages(tiny, (uint64_t)entry);
	}
	if (!good) {
		printf("# a tiny environment cannot be made: frames %u, space %u, env %u\n",
		    exo_cap_slot(tiny->frames), exo_cap_slot(tiny->space), exo_cap_slot(tiny->env));
		tiny_drop(tiny);
	}
	return good;
}

static inline const struct exo_env_info *tiny_info(const struct tiny *tiny)
{
	return info_env((uint32_t)tiny->id);
}

static inline uint32_t tiny_state(const struct tiny *tiny)
{
	return tiny_info(tiny)->id == tiny->id ? tiny_info(tiny)->state : EXO_ENV_NONE;
}

/* Let others run until it is in a state; false: not within `ms`. */
static inline bool tiny_await(const struct tiny *tiny, uint32_t state, uint64_t ms)
{
	exo_time_t end = core_now() + ms * MS;

	while (tiny_state(tiny) != state) {
		if (core_now() > end)
			return false;
		core_yield(EXO_CAP_NONE);
	}
	return true;
}

/* Its turn, or, if it is on another CPU, a reason to wake up and a moment's wait. */
static inline void tiny_poke(const struct tiny *tiny)
{
	if (tiny_info(tiny)->cpu == info_env((uint32_t)core_disp->self)->cpu) {
		core_yield(tiny->env);
	} else {
		exo_wake(tiny->env);
		core_yield(EXO_CAP_NONE);
	}
}

static inline bool tiny_start(struct tiny *tiny)
{
	return exo_env_start(tiny->env) == 0;
}

/* A capability into its table; the handle there. */
static inline int64_t tiny_grant(const struct tiny *tiny, exo_cap_t source, uint32_t slot, uint64_t rights)
{
	return exo_cap_derive(source, tiny->env, slot, rights, 0, 0);
}

#endif
