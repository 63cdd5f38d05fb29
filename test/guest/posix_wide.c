/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that lie wide apart fork: with pages in up to 136 stretches of 2 MiB, hundreds of regions and twenty threads'
 * stacks, so with as many tables as a process can have; as programs that were just begun, and as children of a fork.
 * Children and theirs find everything, and what they write is their own.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libos/core/frame.h"
#include "libos/core/spawn.h"
#include "libos/posix/memory.h"
#include "test/guest/tap.h"

#define STRETCH		(2UL << 20)
#define PAGE		4096UL
#define REGIONS		450
#define THREADS		20

static pthread_mutex_t stays = PTHREAD_MUTEX_INITIALIZER;

static void *sleeper(void *arg)
{
	char deep[3000];

	memset(deep, 1, sizeof(deep));
	__asm__ volatile("" :: "r"(deep) : "memory");
	pthread_mutex_lock(&stays);
	pthread_mutex_unlock(&stays);
	return arg;
}

static bool threads(void)
{
	pthread_attr_t attributes;
	bool good = true;
	pthread_t thread;

	pthread_mutex_lock(&stays);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16 * PAGE);
	for (int i = 0; i < THREADS; i++)
		good = !pthread_create(&thread, &attributes, sleeper, NULL) && good;
	usleep(1000);
	return good;
}

static bool regions(void)
{
	char *memory = mmap(NULL, REGIONS * 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (unsigned long i = 0; memory != MAP_FAILED && i < REGIONS; i++) {
		memory[i * 2 * PAGE] = 1;
		if (mprotect(memory + i * 2 * PAGE, PAGE, PROT_READ))
			return false;
	}
	return memory != MAP_FAILED;
}

static bool holds(const char *memory, unsigned stretches, char value)
{
	for (unsigned i = 0; i < stretches; i++)
		if (memory[i * STRETCH] != value)
			return false;
	return true;
}

static bool well(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static bool forks(char *memory, unsigned stretches, unsigned depth, char value)
{
	pid_t pid = depth ? fork() : getpid();

	if (!depth)
		return true;
	if (!pid) {
		if (!holds(memory, stretches, value))
			_exit(1);
		for (unsigned i = 0; i < stretches; i++)
			memory[i * STRETCH] = (char)(value + 1);
		_exit(!forks(memory, stretches, depth - 1, (char)(value + 1)) ||
		      !holds(memory, stretches, (char)(value + 1)));
	}
	return well(pid) && holds(memory, stretches, value);
}

/* What a process with so many stretches, and so many more slots of its capability table in use, does; its status. */
static int wide(unsigned stretches, unsigned slots)
{
	char *memory = mmap(NULL, stretches * STRETCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 2;
	for (unsigned i = 0; i < slots; i++)
		if (exo_frame_take(caps_slot(), EXO_PFN_ANY, 1) < 0)
			return 6;
	if (!regions())
		return 3;
	if (stretches <= 132 && !threads())	/* else there is no stretch left for stacks */
		return 4;
	for (unsigned i = 0; i < stretches; i++)
		memory[i * STRETCH] = 1;
	if (!forks(memory, stretches, 2, 1))
		return 5;
	/* What the kernel shows is what it was asked for, and not memory that has come into its slot. */
	const struct exo_frame_info *frame = info_frame(memory_run[0].first);

	return frame && frame->state == EXO_FRAME_OWNED && frame->holds ? 0 : 7;
}

static int run(unsigned stretches, unsigned slots, bool as_program)
{
	char number[12], more[12];
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		snprintf(number, sizeof(number), "%u", stretches);
		snprintf(more, sizeof(more), "%u", slots);
		if (as_program)
			execlp("posix_wide", "posix_wide", "wide", number, more, (char *)NULL);
		_exit(as_program ? 99 : wide(stretches, slots));
	}
	waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "wide"))
		return wide((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]));
	for (unsigned stretches = 20; stretches <= 136; stretches += 4) {
		int child = run(stretches, 0, false), program = run(stretches, 0, true);

		ok(!child && !program, "one in %u stretches forks (%x, %x)", stretches, child, program);
	}
	for (unsigned slots = 1; slots <= 12; slots++) {
		int child = run(100, slots, false), program = run(100, slots, true);

		ok(!child && !program, "one whose table of capabilities grows %u frames sooner (%x, %x)", slots, child, program);
	}
	return tap_done();
}
