/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process whose addresses are all taken by maps: whatever needs more says so, and nothing else is harmed; when the maps go,
 * all is as before. In children, since nobody gives such a machine back to its tests.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test/guest/tap.h"

#define PAGE	4096UL
#define PIECES	1000

static struct {
	void *at;
	size_t bytes;
} piece[PIECES];
static unsigned pieces;

/* From the largest down, until not even a page can be had. */
static void fill(void)
{
	for (size_t bytes = SIZE_MAX / 2 + 1; bytes >= PAGE; bytes /= 2)
		while (pieces < PIECES) {
			void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (at == MAP_FAILED)
				break;
			piece[pieces].at = at;
			piece[pieces++].bytes = bytes;
		}
}

static void empty(void)
{
	while (pieces--)
		munmap(piece[pieces].at, piece[pieces].bytes);
	pieces = 0;
}

static void *nothing(void *arg)
{
	return arg;
}

static int thread(void)
{
	pthread_t made;
	int error = pthread_create(&made, NULL, nothing, NULL);

	return error ? error : pthread_join(made, NULL);
}

/* In a child, so that what it does to its memory ends with it; whether it says 0. */
static bool in_child(int (*what)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(what());
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int grandchild(void)
{
	return 0;
}

static int refused(void)
{
	static char text[10000];

	fill();
	memset(text, 'x', sizeof(text) - 1);
	errno = 0;
	if (pieces < 10 || malloc(50000) || errno != ENOMEM)
		return 1;
	errno = 0;
	if (setenv("LONG", text, 1) != -1 || errno != ENOMEM || getenv("LONG"))
		return 2;
	if (thread() != EAGAIN)
		return 3;
	errno = 0;
	if (sbrk(1 << 20) != (void *)-1 || errno != ENOMEM)
		return 4;
	return in_child(grandchild) ? 0 : 5;
}

static int given_back(void)
{
	char *memory;

	if (refused())
		return 1;
	empty();
	memory = malloc(1 << 20);
	if (!memory || thread())
		return 2;
	memset(memory, 7, 1 << 20);
	memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 3;
	memset(memory, 7, 1 << 20);
	return in_child(grandchild) ? 0 : 4;
}

/* Where nothing was allocated and no thread made before, and where both were. */
static int used_before(void)
{
	char *memory = malloc(3 << 20);

	if (!memory || thread())
		return 1;
	memset(memory, 7, 3 << 20);
	free(memory);
	memory = malloc(100);
	if (!memory)
		return 2;
	fill();
	errno = 0;
	if (malloc(5 << 20) || errno != ENOMEM || thread())	/* a stack is kept */
		return 3;
	empty();
	memory = malloc(5 << 20);
	if (!memory)
		return 4;
	memset(memory, 7, 5 << 20);
	return 0;
}

/* The next piece of the heap is a map: sbrk ends before it, and goes on when it is gone. */
static int in_the_way(void)
{
	char *end = sbrk(PAGE), *wall = NULL;

	fill();
	for (unsigned i = 0; i < pieces; i++)
		if ((char *)piece[i].at > end && (!wall || (char *)piece[i].at < wall))
			wall = piece[i].at;
	if (!wall || sbrk(wall - end) != (void *)-1)
		return 1;
	empty();
	if (sbrk(wall - end + (intptr_t)PAGE) == (void *)-1)
		return 2;
	*wall = 1;
	return mmap(wall, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == wall ? 3 : 0;
}

int main(void)
{
	ok(in_child(refused), "nothing is left: memory, variables and threads are refused, children are not");
	ok(in_child(given_back), "everything is there again when it is given back");
	ok(in_child(used_before), "in a process that had memory and threads before");
	ok(in_child(in_the_way), "the heap does not grow over a map");
	ok(!thread() && malloc(1 << 20), "the parent knows nothing of it");
	return tap_done();
}
