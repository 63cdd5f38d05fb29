/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locking memory: what is there stays there, for no page of a process is ever taken away behind its back. So memory is
 * locked when all of it has been touched, and what is mapped later, by touching it then. What the keeper has lent, the pages of
 * shared maps of files, can be asked back: they come again when they are touched. Nothing has to be undone.
 *
 * A child of fork has no locks of its parent's (POSIX): `locker` is who asked for what will be mapped, `all_locker` for what was.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "libos/posix/map.h"

static pid_t locker;
static pid_t all_locker;

bool posix_locked(void)
{
	return all_locker == posix_page->pid;
}

/* Inside brackets. `all`: an address that is no region's, or may not be read, is an error. */
static int touch(exo_vaddr_t va, exo_vaddr_t end, bool all)
{
	int error = 0;

	for (exo_vaddr_t at = va; at < end && !error; at += EXO_PAGE_SIZE) {
		struct vm_region *region = vm_find(at);

		if (region && region->flags & EXO_MAP_READ)
			error = posix_map_touch(region, at);
		else if (all)
			error = -ENOMEM;
	}
	return error;
}

static void touch_new(exo_vaddr_t va, exo_vaddr_t end)
{
	if (locker == posix_page->pid)
		(void)touch(PAGE_DOWN(va), PAGE_UP(end), false);
}

int mlock(const void *address, size_t bytes)
{
	exo_vaddr_t va = PAGE_DOWN((exo_vaddr_t)address), end = PAGE_UP((exo_vaddr_t)address + bytes);
	bool was = posix_enter();
	int result = end < va ? -ENOMEM : touch(va, end, true);

	posix_leave(was);
	return (int)posix_result(result);
}

int munlock(const void *address, size_t bytes)
{
	exo_vaddr_t va = PAGE_DOWN((exo_vaddr_t)address), end = PAGE_UP((exo_vaddr_t)address + bytes);
	bool was = posix_enter(), good = end >= va;

	for (exo_vaddr_t at = va; at < end && good; at += EXO_PAGE_SIZE)
		good = vm_find(at) != NULL;
	posix_leave(was);
	return good ? 0 : (int)posix_result(-ENOMEM);
}

/* The first region that does not lie below an address; another thread may change them while the keeper waits for a disk. */
static const struct vm_region *region_from(exo_vaddr_t va)
{
	const struct vm_region *region = vm_first();

	while (region && region->start < va)
		region = region->next;
	return region;
}

/* All maps, and of the heap what is in use. The image is there, and so is what the stacks have used. */
static int touch_all(void)
{
	exo_vaddr_t heap = (exo_vaddr_t)sbrk(0), va = 0;
	const struct vm_region *region;
	int error = 0;

	while (!error && (region = region_from(va)) != NULL) {
		exo_vaddr_t from = region->start;

		va = region->end;
		if (posix_map_kind(region))
			error = touch(from, va, false);
		else if (heap > from && heap < va)	/* at its end begins another: it is never full */
			error = touch(from, PAGE_UP(heap), false);
	}
	return error;
}

int mlockall(int flags)
{
	int result = 0;
	bool was;

	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE))
		return (int)posix_result(-EINVAL);
	was = posix_enter();
	locker = flags & MCL_FUTURE ? posix_page->pid : 0;
	posix_locks_new = touch_new;
	if (flags & MCL_CURRENT)
		result = touch_all();
	if (flags & MCL_CURRENT && !result)
		all_locker = posix_page->pid;
	posix_leave(was);
	return (int)posix_result(result);
}

int munlockall(void)
{
	locker = 0;
	all_locker = 0;
	return 0;
}
