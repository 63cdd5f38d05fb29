/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory at round addresses. picolibc's memalign() takes any alignment for a power of two, and one that with the size is
 * more than there are addresses.
 */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void *posix_libc_memalign(size_t alignment, size_t bytes);

/* 0, or what is wrong; the memory is in *memory. */
static int allocate(void **memory, size_t alignment, size_t bytes)
{
	if (!alignment || (alignment & (alignment - 1)))
		return EINVAL;
	if (alignment > PTRDIFF_MAX / 2 || bytes > PTRDIFF_MAX / 2 - alignment)
		return ENOMEM;
	*memory = posix_libc_memalign(alignment, bytes);
	return *memory ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	void *memory = NULL;
	int error = allocate(&memory, alignment, bytes);

	if (error)
		errno = error;
	return memory;
}

void *memalign(size_t alignment, size_t bytes)
{
	return aligned_alloc(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
	void *got;
	int saved = errno, error = alignment % sizeof(void *) ? EINVAL : allocate(&got, alignment, bytes);

	if (!error)
		*memory = got;
	errno = saved;
	return error;
}
