/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile processes: requests of all numbers, known and unknown, with random words, buffers, descriptors and
 * paths, from processes of the superuser's and of others, that write to page and buffer meanwhile and end
 * anywhere. The keeper serves everybody else as before, and in the end nothing of them is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "test/guest/tap.h"

#define ROUNDS		60
#define REQUESTS	400

static uint64_t seed;

static uint64_t next(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return seed >> 24;
}

static uint64_t word(void)
{
	static const uint64_t values[] = { 0, 1, 2, 3, 4, 5, 8, 63, 64, 255, 256, 4095, 4096, 65535, 65536,
					  65537, 0x7fffffff,
		0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, (uint64_t)-1,
			(uint64_t)-2,
		(uint64_t)-100, 0xfffffffff000, WIRE_VA_BUFFER, 1ULL << 32 | 1,
		O_CREAT | O_RDWR, WIRE_IPC_CREAT | 0666, WIRE_IPC_NOWAIT | 8, 4ULL << 32 | 64, 1024ULL << 32 | 32768,
		WIRE_MQ_SIGNAL | (uint64_t)SIGKILL << 32, 0x7000000 | WIRE_MAP_WRITE };

	switch (next() % 4) {
	case 0: return next() % 12;
	case 1: return next() << (next() % 40);
	default: return values[next() % (sizeof(values) / sizeof(values[0]))];
	}
}

static void scribble(void)
{
	static const char *const paths[] = { "/", "/tmp/h", "/tmp/h/x", "/bin/posix_hostile", "..", "",
					    "/dev/tty", "/dev/null",
		"/dev/ptmx", "/tmp/./../tmp//h", "/etc/exo.conf", "/dev/pts/0", "a", "/tmp/fifo" };
	const char *path = paths[next() % (sizeof(paths) / sizeof(paths[0]))];
	uint64_t *to = (uint64_t *)posix_buffer;

	switch (next() % 4) {
	case 0:
		for (unsigned i = 0; i < 64; i++)
			to[i] = word();
		break;
	case 1:
		memset(posix_buffer, (int)next(), WIRE_BUFFER);
		break;
	default:
		strcpy(posix_buffer, path);
		strcpy(posix_buffer + strlen(path) + 1, paths[next() % (sizeof(paths) / sizeof(paths[0]))]);
	}
	if (next() % 16 == 0)
		memset(posix_page, (int)next(), 200);
}

/* What would only end or replace it, or wait for ever, comes seldom. */
static bool rare(uint64_t number)
{
	return number == REQUEST_EXIT || number == REQUEST_EXEC || number == REQUEST_SPAWN ||
		number == REQUEST_KILL ||
		number == REQUEST_FORK_BEGIN;
}

static _Noreturn void attack(void)
{
	for (int fd = 0; fd < 3; fd++) {
		close(fd);
		open("/dev/null", O_RDWR);
	}
	for (unsigned i = 0; i < REQUESTS; i++) {
		uint64_t number = next() % 8 ? next() % WIRE_REQUESTS : word();
		uint64_t words[4] = { number, word(), word(), word() };

		if (rare(number) && next() % 20)
			continue;
		if (number == REQUEST_KILL && (int64_t)words[1] <= 1 && (int64_t)words[1] != -1)
			continue;		/* the test itself, and its group */
		scribble();
		if (next() % 4 == 0) {
			core_disp->window_first = (uint32_t)(40 + next() % 20);
			core_disp->window_count = (uint32_t)(next() % 20);
		}
		posix_transfer(words);
		if (words[0] == (uint64_t)(int64_t)WIRE_LATER)
			for (unsigned j = 0; j < 50 && (int64_t)words[0] < -90000; j++) {
				words[0] = REQUEST_COLLECT;
				posix_transfer(words);
				core_yield(EXO_CAP_NONE);
			}
	}
	switch (next() % 4) {
	case 0: __asm__ volatile("ud2");
	/* fall through */
	case 1: core_exit(3);
	case 2: for (;;)
			exo_sleep(EXO_NEVER, core_disp->events, 0);
	default: _exit(0);
	}
}

static bool serves(void)
{
	int status, fd = open("/tmp/witness", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char text[6] = "";
	pid_t pid = fork();

	if (!pid)
		_exit(5);
	return waitpid(pid, &status, 0) == pid && status == 5 << 8 && write(fd, "alive", 5) == 5 &&
		pread(fd, text, 5, 0) == 5 && !strcmp(text, "alive") && !close(fd);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : ROUNDS, begin = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	unsigned i, ended = 0;
	uint32_t before;

	signal(SIGCHLD, SIG_DFL);
	setpgid(0, 0);
	mkdir("/tmp/h", 0777);
	ok(serves(), "before");
	before = core_info->frames_free;
	for (i = 0; i < rounds; i++) {
		pid_t pid = fork();

		if (!pid) {
			seed = (i + begin) * 7919 + 1;
			setsid();
			if (i % 3)
				(void)!setuid(1000 + i % 3);
			attack();
		}
		if (pid < 0)
			break;
		for (unsigned j = 0; j < 300 && kill(pid, 0) == 0 && waitpid(pid, NULL, WNOHANG) == 0; j++)
			usleep(1000);
		kill(pid, SIGKILL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			ended++;
		if (i % 10 == 9 && !ok(serves(), "after %u hostile processes", i + 1))
			break;
	}
	/* What they made of themselves: children of theirs are ours now. */
	for (unsigned j = 0; j < 200; j++) {
		posix_lock();
		int64_t count = posix_ask(REQUEST_LIST, sizeof(struct wire_process), 0, 0, NULL);
		const struct wire_process *list = (const struct wire_process *)posix_buffer;
		pid_t others[WIRE_PROCESSES];

		for (int64_t k = 0; k < count; k++)
			others[k] = list[k].pid;
		posix_unlock();
		for (int64_t k = 0; k < count; k++)
			if (others[k] != getpid())
				kill(others[k], SIGKILL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (count == 1)
			break;
		usleep(1000);
	}
	ok(i == rounds, "%u hostile processes", i);
	ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "none is left");
	ok(serves(), "the keeper serves");
	ok(!posix_ask(REQUEST_CHECK, 0, 0, 0, NULL), "and is in order");
	printf("# frames: %u before, %u after\n", before, core_info->frames_free);
	return tap_done();
}
