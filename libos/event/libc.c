/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the C library asks for: memory from the heap, the end of the program, its own number. Files and output: files.c.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/event/private.h"
#include "libos/uni/clock.h"

/* picolibc has these too, over sbrk: ours are seen first, and all of them together. */
void *malloc(size_t bytes)
{
	void *memory = event_alloc(bytes);

	if (!memory)
		errno = ENOMEM;
	return memory;
}

void free(void *memory)
{
	event_free(memory);
}

void *calloc(size_t count, size_t bytes)
{
	void *memory = event_calloc(count, bytes);

	if (!memory)
		errno = ENOMEM;
	return memory;
}

void *realloc(void *memory, size_t bytes)
{
	size_t had = memory ? event_size(memory) : 0;
	void *other;

	if (memory && bytes <= had && bytes >= had / 2)
		return memory;
	other = malloc(bytes);
	if (other && memory) {
		memcpy(other, memory, had < bytes ? had : bytes);
		event_free(memory);
	}
	return other;
}

size_t malloc_usable_size(void *memory)
{
	return memory ? event_size(memory) : 0;
}

void _exit(int status)
{
	core_exit((uint8_t)status);
}

pid_t getpid(void)
{
	return (pid_t)(uint32_t)core_disp->self;
}

/* Only the program itself can be reached, and a signal that it does not catch ends it as a shell would say. */
int kill(pid_t pid, int number)
{
	if (pid != getpid() && pid != 0) {
		errno = ESRCH;
		return -1;
	}
	if (number)
		core_exit(128 + (uint64_t)number);
	return 0;
}

int getentropy(void *buffer, size_t bytes)
{
	if (bytes > 256) {
		errno = EIO;
		return -1;
	}
	core_random(buffer, bytes);
	return 0;
}

/* For clock(): libos/uni/clock.c. */
uint64_t clock_cpu_ns(void)
{
	const struct exo_env_info *self = event_self();

	return self ? self->ns : core_now();
}
