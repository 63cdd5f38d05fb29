/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the checked kernel differs from the plain one.
 *
 * The sanitizers start once the frame table is there (by the linker's --wrap). After each call under the kernel lock,
 * which is still held then, all invariants are looked at (test/lib/invariants.c): a broken one is a panic that names
 * it. Calls that do not come back (exit ...) are covered by the look after the next one. A look's cost grows with the
 * memory: in a machine of more than 16 MiB only each n-th call is followed by one, n an odd number of about a tenth
 * of the MiB. With several CPUs, where what counts is how many calls meet, a look follows each 599th.
 */
#include "test/sanitize/sanitize.h"
#include "test/lib/invariants.h"

void __real_frame_init(void);
void __wrap_frame_init(void);
void debug_check(void);

#define STRIDE_CPUS	599

static struct invariants_room *room;
static uint32_t stride, calls;

void __wrap_frame_init(void)
{
	uint64_t bytes;

	__real_frame_init();
	bytes = invariants_bytes(info->frames_total);
	stride = info->frames_total <= 4096 ? 1 : info->frames_total / 2560 | 1;
	if (arch_cpus() > 1)
		stride *= STRIDE_CPUS;
	room = pfn_to_virt(frame_boot_take((uint32_t)((bytes + EXO_PAGE_SIZE - 1) >> EXO_PAGE_SHIFT), EXO_FRAME_KERNEL));
	sanitize_start();
}

/* After each call under the kernel lock; the backtrace says which. */
void debug_check(void)
{
	const char *broken;

	if (!room || ++calls % stride)
		return;
	broken = invariants_broken(room);
	if (unlikely(broken))
		panic("invariant: %s", broken);
}
