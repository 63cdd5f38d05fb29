/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests of kernel calls share: comparing results by the errors' names, slots, frames, and the books: what
 * is free or held must be the same after a test as before.
 *
 * Such a test runs below apps/init, or as the machine's first environment (a comment line `Runs first` in its
 * source), where it holds the root capabilities and stops the machine by itself.
 */
#ifndef TEST_GUEST_CALL_H
#define TEST_GUEST_CALL_H

#include <stdlib.h>
#include <string.h>
#include "libos/core/frame.h"
#include "libos/core/space.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/vm/vm.h"
#include "test/guest/tap.h"

#define NO_SLOT		0x7fffffffULL	/* never in a table */
#define NO_CAP		0x7000001ULL	/* a slot far beyond the table, generation 0 */
#define MS		(CORE_SECOND / 1000)

/* The call's result is what is wanted: a number, or the negative of an error. */
#define is(got, want, ...) call_is((int64_t)(got), (int64_t)(want), __LINE__, __VA_ARGS__)

static __attribute__((format(printf, 4, 5), unused)) bool call_is(
    int64_t got, int64_t want, int line, const char *format, ...)
{
	char what[200];
	__builtin_va_list arguments;

	__builtin_va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	__builtin_va_end(arguments);
	bool good = tap_ok(got == want, line, "%s", what);
	if (!good)
		printf("# is %ld %s, not %ld %s\n", (long)got, got < 0 ? exo_error_name(got) : "", (long)want,
		    want < 0 ? exo_error_name(want) : "");
	return good;
}

/* A capability in a slot of its own, made by a call that takes the slot first; its handle is checked. */
static inline exo_cap_t made(uint32_t slot, int64_t result)
{
	return result > 0 && (exo_cap_t)result == caps_handle(slot) ? (exo_cap_t)result : EXO_CAP_NONE;
}

/* `count` fresh frames in a row under one capability; EXO_CAP_NONE: there are none. */
static inline exo_cap_t take_frames(uint32_t count)
{
	struct frame_bag bag = { 0 };
	struct frame frame;

	return frame_bag_take(&bag, count, &frame) ? EXO_CAP_NONE : frame.cap;
}

static inline const struct exo_cap *cap_of(exo_cap_t handle)
{
	return caps_at(exo_cap_slot(handle));
}

static inline exo_pfn_t pfn_of(exo_cap_t handle)
{
	return (exo_pfn_t)cap_of(handle)->first;
}

/* One descriptor of exo_space_write, at offset 32 * i of the argument frame. */
static inline volatile struct exo_map *descriptor(
    unsigned i, uint64_t va_flags, exo_cap_t cap, uint32_t first, uint32_t count)
{
	volatile struct exo_map *map = (volatile struct exo_map *)core_arg(i * sizeof(struct exo_map));

	map->va = va_flags;
	map->cap = cap;
	map->first = first;
	map->count = count;
	map->old = ~0ULL;
	return map;
}

static inline int64_t write_one(
    exo_cap_t space, uint64_t va_flags, exo_cap_t cap, uint32_t first, uint32_t count)
{
	descriptor(0, va_flags, cap, first, count);
	return exo_space_write(space, 0, 1);
}

/* --- the books ------------------------------------------------------------------------------------------ */

struct books {
	uint32_t free, own;
};

/* Frames that are free, with what the test's own allocator holds counted as if it were. */
static inline struct books books_now(void)
{
	return (struct books){ core_info->frames_free + frame_held(),
		info_env((uint32_t)core_disp->self)->frames - frame_held() };
}

/*
 * The frame table by itself: what is FREE is covered by nobody and is as much as frames_free says; each
 * environment's count is that of the frames that name it; what is in use belongs to somebody who lives.
 */
static __attribute__((unused)) bool frames_consistent(void)
{
	static uint32_t counted[4096];
	uint32_t free = 0, bad = 0;

	memset(counted, 0, sizeof(counted));
	for (uint32_t pfn = 1; pfn < core_info->frames_total; pfn++) {
		const struct exo_frame_info *frame = info_frame(pfn);
		free += frame->state == EXO_FRAME_FREE;
		if (frame->state == EXO_FRAME_FREE && (frame->holds || frame->owner))
			bad++, printf("# frame %u is free, has %u holds, owner %u\n", pfn, frame->holds,
				   frame->owner);
		if (frame->state == EXO_FRAME_FREE || !frame->owner)
			continue;
		if (frame->owner >= core_info->envs.entries ||
		    info_env(frame->owner)->state == EXO_ENV_NONE) {
			bad++, printf("# frame %u, state %u, %u holds, belongs to nobody (%u)\n", pfn,
				   frame->state, frame->holds, frame->owner);
			continue;
		}
		counted[frame->owner]++;
	}
	if (free != core_info->frames_free)
		bad++, printf("# %u frames are free, the count is %u\n", free, core_info->frames_free);
	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		if (info_env(i)->frames != counted[i])
			bad++, printf("# environment %u owns %u frames, its count is %u\n", i, counted[i],
				   info_env(i)->frames);
	return !bad;
}

static __attribute__((unused)) bool books_same(struct books before)
{
	struct books now = books_now();

	if (now.free == before.free && now.own == before.own)
		return frames_consistent();
	printf("# free %u, was %u; own objects' frames %u, were %u\n", now.free, before.free, now.own,
	    before.own);
	return false;
}

/*
 * A number that the command `EXO_TEST_OPTIONS="NAME=NUMBER ..." make check` has set: an argument, or, for the first
 * environment, in a line behind its image in the boot module.
 */
static __attribute__((unused)) uint64_t call_option(const char *name, uint64_t otherwise)
{
	static char line[200];
	size_t length = strlen(name);
	exo_cap_t module = core_named(EXO_NAME_MODULE);

	if (module && !line[0]) {
		uint32_t last = cap_of(module)->count - 1;
		exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
		uint64_t bytes = (core_begin->module_bytes - 1) % EXO_PAGE_SIZE + 1,
			 from = bytes < 199 ? 0 : bytes - 199;
		space_map(va, EXO_MAP_READ, module, last, 1);
		memcpy(line, (const char *)va + from, bytes - from);
	}
	for (char *at = line, *end = line + sizeof(line) - length - 1; at < end; at++)
		if (!memcmp(at, name, length) && at[length] == '=')
			return strtoull(at + length + 1, NULL, 0);
	for (unsigned i = 1; core_argument(i); i++)
		if (!strncmp(core_argument(i), name, length) && core_argument(i)[length] == '=')
			return strtoull(core_argument(i) + length + 1, NULL, 0);
	return otherwise;
}

/* The other CPUs come up beside the first environment. */
static __attribute__((unused)) void cpus_await(void)
{
	exo_time_t end = core_now() + 2000 * MS;

	for (uint32_t i = 0; i < core_info->cpus; i++)
		while (info_cpu(i)->state != EXO_CPU_RUNS && core_now() < end)
			core_yield(EXO_CAP_NONE);
}

/* Instead of tap_done(): the first environment stops the machine, since nobody else does. */
static inline int call_done(void)
{
	int status = tap_done();

	if (core_named(EXO_NAME_MACHINE))
		exo_machine_halt(core_named(EXO_NAME_MACHINE), (uint64_t)status);
	return status;
}

#endif
