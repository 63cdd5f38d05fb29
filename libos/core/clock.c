/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time, read from the exposed clock page without a call.
 *
 * The kernel rewrites the clock's words now and then (rate correction); a reader that saw an odd or a changed
 * sequence number reads again. One environment's reads never run back: the kernel keeps the line continuous.
 */
#include "libos/core/core.h"

static inline uint64_t counter(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

exo_time_t core_now(void)
{
	const volatile struct exo_clock *clock = &core_info->clock;
	uint32_t sequence;
	exo_time_t now;

	do {
		while ((sequence = clock->sequence) & 1)
			__asm__ volatile("pause");
		int64_t ticks = (int64_t)(counter() - clock->counter);
		now = clock->ns;
		if (ticks > 0)
			now += (uint64_t)((unsigned __int128)(uint64_t)ticks * clock->scale >> 32);
	} while (clock->sequence != sequence);
	return now;
}

const volatile int64_t *core_wall_offset;

uint64_t core_wall(void)
{
	uint64_t wall_s = core_info->clock.wall_s, offset = core_wall_offset ? (uint64_t)*core_wall_offset : 0;

	return wall_s || offset ? wall_s * CORE_SECOND + core_now() + offset : 0;
}
