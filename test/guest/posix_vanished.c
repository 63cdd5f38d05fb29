/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that vanish: their environments are destroyed by a call to the kernel, the keeper not asked, at every so
 * many instructions of work with pipes, files, locks, sockets, terminals, message queues, a fork and a spawn; so very
 * often while the keeper is in the middle of a request of theirs. It finds out when that is done. Its checker finds
 * nothing then, what others share is there still, and no frames are lost.
 *
 * Run with: --icount
 * Time limit: 300 s
 *
 * A parent has a capability for its child's environment only while it forks. So the children here are half made:
 * FORK_BEGIN gives the capability, FORK_END has the keeper start the child, which has the program's constant pages,
 * what every process has at low addresses, and nothing that can be written but its buffer: its stack lies there. What
 * it is to do it finds in its argument frame, which its parent writes. When it stops, posix_slices.h says. Argument:
 * `step=N`; 1000 with long=1.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include "libos/core/spawn.h"
#include "test/guest/posix_keeper.h"
#include "test/guest/posix_slices.h"

#define WINDOW	40		/* free slots of a process, for what a fork passes */
#define SLOTS	12
#define PATH	"/tmp/vanished"
/* Path and two arguments; a multiple of 8 bytes with its NUL. */
#define SPAWNED	"/bin/posix_vanished\0vanished\0nothing\0\0\0\0"
#define ENVS	64		/* environments looked at */
#define REACH	300000		/* instructions: more than a round of the child's */

/* --- the child: no data, no libOS, upcalls off ------------------------------------------------------------ */

struct order {
	volatile exo_time_t from;	/* when to begin */
};

#define CHILD	__attribute__((noinline, no_stack_protector, used))
#define order	((struct order *)EXO_VA_ARG)

__asm__(".text\n"
	"child_begin:\n"
	"	movl	$0x130000, %esp\n"	/* the buffer's end, as is checked below */
	"	xorl	%ebp, %ebp\n"
	"	call	child_work\n"
	"	ud2\n");
_Static_assert(WIRE_VA_BUFFER + WIRE_BUFFER == 0x130000, "child_begin");
void child_begin(void);
void child_work(void);

static CHILD int64_t child_ask(enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t more[2])
{
	const struct exo_cap *table = (const struct exo_cap *)EXO_VA_CAPS;
	exo_cap_t keeper = exo_cap_make(WIRE_SLOT_ENTRY, table[WIRE_SLOT_ENTRY].generation);

	for (;;) {
		uint64_t word[4] = { number, w1, w2, w3 };
		int64_t status = exo_call(keeper, EXO_NEVER, word);
		if (status == -EXO_EBUSY || status == WIRE_BUSY)
			continue;
		if (status)
			__builtin_trap();
		if ((int64_t)word[0] == WIRE_LATER || (number == REQUEST_COLLECT && (int64_t)word[0] == WIRE_WAIT)) {
			number = REQUEST_COLLECT;
			continue;
		}
		more[0] = word[1];
		more[1] = word[2];
		return (int64_t)word[0];
	}
}

/* Into the buffer; volatile, or it becomes a call. */
static inline __attribute__((always_inline)) void put(const char *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		((volatile char *)WIRE_VA_BUFFER)[i] = bytes[i];
}

static CHILD void child_pipes(uint64_t more[2])
{
	uint64_t ends[2] = { 0, 0 };

	child_ask(REQUEST_PIPE, O_NONBLOCK, 0, 0, ends);
	child_ask(REQUEST_WRITE, ends[1], 5000, (uint64_t)-1, more);
	child_ask(REQUEST_READ, ends[0], 3000, (uint64_t)-1, more);
	child_ask(REQUEST_DUP, ends[0], 0, 0, more);
	child_ask(REQUEST_CLOSE, ends[0], 0, 0, more);
	child_ask(REQUEST_CLOSE, ends[1], 0, 0, more);
	child_ask(REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0, ends);
	child_ask(REQUEST_WRITE, ends[1], 100, (uint64_t)-1, more);
	child_ask(REQUEST_READ, ends[0], 100, (uint64_t)-1, more);
	child_ask(REQUEST_CLOSE, ends[1], 0, 0, more);
	child_ask(REQUEST_CLOSE, ends[0], 0, 0, more);
}

static CHILD void child_files(uint64_t more[2])
{
	uint64_t fd;

	put(PATH, sizeof(PATH));
	fd = (uint64_t)child_ask(REQUEST_OPEN, (uint64_t)AT_FDCWD, O_RDWR | O_CREAT, 0600, more);
	child_ask(REQUEST_WRITE, fd, 9000, 0, more);
	child_ask(REQUEST_FCNTL, fd, WIRE_F_FLOCK, 2, more);
	child_ask(REQUEST_READ, fd, 4096, 100, more);
	put(PATH, sizeof(PATH));
	child_ask(REQUEST_UNLINK, (uint64_t)AT_FDCWD, 0, 0, more);
	child_ask(REQUEST_CLOSE, fd, 0, 0, more);
	fd = (uint64_t)child_ask(REQUEST_PTY, O_RDWR | O_NOCTTY, 0, 0, more);
	child_ask(REQUEST_WRITE, fd, 30, (uint64_t)-1, more);
	child_ask(REQUEST_CLOSE, fd, 0, 0, more);
}

static CHILD void child_processes(uint64_t more[2])
{
	int64_t pid;

	put(SPAWNED, sizeof(SPAWNED));
	for (unsigned i = 0; i < sizeof(struct wire_spawn); i++)
		((volatile char *)WIRE_VA_BUFFER)[sizeof(SPAWNED) + i] = 0;
	pid = child_ask(REQUEST_SPAWN, 2ULL << 32, sizeof(SPAWNED) + sizeof(struct wire_spawn),
			sizeof(struct wire_spawn), more);
	child_ask(REQUEST_KILL, (uint64_t)pid, SIGKILL, 0, more);
	child_ask(REQUEST_WAIT, (uint64_t)pid, 4, 0, more);
	((volatile struct exo_disp *)EXO_VA_DISP)->window_first = WINDOW;
	((volatile struct exo_disp *)EXO_VA_DISP)->window_count = SLOTS;
	child_ask(REQUEST_FORK_BEGIN, 0, (uint64_t)child_begin, 0, more);
	((volatile struct exo_disp *)EXO_VA_DISP)->window_count = 0;
	child_ask(REQUEST_FORK_END, 1, 0, 0, more);
}

CHILD void child_work(void)
{
	uint64_t more[2] = { 0, 0 };

	while (core_now() < order->from)
		;
	for (;;) {
		child_pipes(more);
		child_files(more);
		child_processes(more);
	}
}

/* --- its parent -------------------------------------------------------------------------------------------- */

static unsigned asked;		/* how many vanished in the middle of a request */
static unsigned left;		/* children that they left */

/* A child that begins at a time; its environment's capability is in the window. */
static pid_t half_fork(exo_time_t from)
{
	uint64_t words[4] = { REQUEST_FORK_BEGIN, 0, (uint64_t)(uintptr_t)child_begin };
	bool was = posix_enter();
	int64_t pid;

	core_disp->window_first = WINDOW;
	core_disp->window_count = SLOTS;
	pid = posix_transfer(words);
	core_disp->window_count = 0;
	order->from = from;
	if (pid > 0 && exo_env_write(caps_handle(WINDOW), EXO_VA_ARG, 0, sizeof(*order)) < 0)
		pid = -EIO;
	posix_leave(was);
	return (pid_t)(pid < 0 ? pid : posix_ask(REQUEST_FORK_END, 0, 0, 0, NULL));
}

/* The environments that there are, to find the one that is new. */
static const struct exo_env_info *new_env(exo_env_id_t known[ENVS], bool look)
{
	const struct exo_env_info *found = NULL, *info;

	for (uint32_t i = 0; i < ENVS; i++) {
		info = info_env(i);
		if (look && info && info->id != known[i])
			found = info;
		known[i] = info ? info->id : 0;
	}
	return found;
}

/* Nobody else is ready, so nobody says. */
static exo_time_t slice_begins(void)
{
	uint64_t slice = core_info->slice_ns;
	exo_time_t begin = (core_now() / slice + 1) * slice;

	while (core_now() < begin)
		;
	return begin;
}

static const char *vanish_at(uint64_t instructions)
{
	static exo_env_id_t known[ENVS];

	new_env(known, false);
	exo_time_t end = slice_begins() + 2 * core_info->slice_ns;
	pid_t pid = half_fork(end - instructions);
	const struct exo_env_info *info = new_env(known, true);
	exo_cap_t child = caps_handle(WINDOW);
	int status;

	if (pid < 0 || !info)
		return "fork";
	others_run_until(end);
	asked += info->state == EXO_ENV_CALLING;
	while (exo_env_destroy(child) == -EXO_EAGAIN)
		;
	if (waitpid(pid, &status, 0) != pid || status != SIGKILL)
		return "its end is not told";
	for (uint32_t i = 0; i < SLOTS; i++)
		caps_delete(caps_handle(WINDOW + i));
	while (waitpid(-1, &status, 0) > 0)
		left++;
	return in_order() ? NULL : "the keeper";
}

static long option(int argc, char **argv, const char *name, long otherwise)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], name, strlen(name)))
			return atol(argv[i] + strlen(name));
	return otherwise;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	uint64_t step = (uint64_t)option(argc, argv, "step=", option(argc, argv, "long=", 0) ? 1000 : 11000);
	const char *wrong = NULL;
	unsigned deaths = 0;
	uint32_t before = 0;
	int ends[2];
	char bytes[6] = "";

	posix_need_info();
	ok(!pipe(ends) && write(ends[1], "other", 5) == 5, "a pipe that they share");
	for (uint64_t at = step; at <= REACH && !wrong; at += step, deaths++) {
		wrong = vanish_at(at);
		if (deaths == 3)
			before = core_info->frames_free;
		if (wrong)
			printf("# %lu instructions: %s\n", at, wrong);
	}
	int lost = (int)(before - core_info->frames_free);
	ok(!wrong, "%u vanished, %d frames fewer than at first", deaths, lost);
	ok(lost < 100, "... none lost");
	ok(asked * 2 > deaths && left, "... %u of them in the middle of a request, and they left %u children", asked,
	   left);
	ok(read(ends[0], bytes, 5) == 5 && !strcmp(bytes, "other"), "the pipe has what it had");
	ok(in_order(), "the keeper is in order at the end");
	return tap_done();
}
