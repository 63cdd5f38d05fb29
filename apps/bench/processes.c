/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What processes of the libOS posix cost, in instructions of the machine, keeper and kernel included. Under icount the
 * time stamp counter counts them. "processes -x" ends at once: what fork_exec_wait runs.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include "libos/posix/call.h"

#define ROUNDS	50
#define PAGES	64
#define LARGE	(64U << 20)
#define LARGE_ROUNDS	10

static uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

static void need(bool good, const char *what)
{
	if (good)
		return;
	printf("bench: %s failed\n", what);
	fflush(stdout);
	_exit(1);
}

static void report(const char *name, uint64_t instructions, uint64_t operations)
{
	printf("bench %s %lu insns\n", name, (unsigned long)((instructions + operations / 2) / operations));
	fflush(stdout);
}

static void null_request(void)
{
	uint64_t began;

	posix_ask(REQUEST_NULL, 0, 0, 0, NULL);
	began = count();
	for (int i = 0; i < 1000; i++)
		posix_ask(REQUEST_NULL, 0, 0, 0, NULL);
	report("null_request", count() - began, 1000);
}

static void fork_exit(void)
{
	uint64_t began = 0;

	for (int i = 0; i < ROUNDS + 10; i++) {
		if (i == 10)
			began = count();
		pid_t pid = fork();
		if (!pid)
			_exit(0);
		need(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	}
	report("fork_exit_wait", count() - began, ROUNDS);
}

/* The same with so much memory in use. */
static void fork_large(void)
{
	uint64_t began = 0;
	char *memory = malloc(LARGE);

	need(memory != NULL, "memory");
	memset(memory, 1, LARGE);
	for (int i = 0; i < LARGE_ROUNDS + 2; i++) {
		if (i == 2)
			began = count();
		pid_t pid = fork();
		if (!pid)
			_exit(0);
		need(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork of a large process");
	}
	report("fork_exit_wait_64m", count() - began, LARGE_ROUNDS);
	free(memory);
}

static void fork_exec(const char *self)
{
	uint64_t began = 0;

	for (int i = 0; i < ROUNDS + 2; i++) {
		if (i == 2)
			began = count();
		pid_t pid = fork();
		if (!pid) {
			execl(self, self, "-x", (char *)NULL);
			_exit(127);
		}
		int status;
		need(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "fork and exec");
	}
	report("fork_exec_wait", count() - began, ROUNDS);
}

/* A child writes pages that it shares with its parent: the first page, which brings tables and frames, is not counted. */
static void cow_fault(void)
{
	static char memory[(PAGES + 1) * 4096] __attribute__((aligned(4096)));
	uint64_t *shared, began;
	int ends[2];

	memset(memory, 1, sizeof(memory));
	need(!pipe(ends), "pipe");
	pid_t pid = fork();
	if (!pid) {
		memory[0] = 2;
		began = count();
		for (int i = 1; i <= PAGES; i++)
			memory[i * 4096] = 2;
		began = count() - began;
		need(write(ends[1], &began, sizeof(began)) == sizeof(began), "telling");
		_exit(0);
	}
	shared = malloc(sizeof(*shared));
	need(read(ends[0], shared, sizeof(*shared)) == sizeof(*shared) && waitpid(pid, NULL, 0) == pid, "a child that writes");
	report("process_cow_fault", *shared, PAGES);
	close(ends[0]);
	close(ends[1]);
	free(shared);
}

static void pipe_rtt(void)
{
	int there[2], back[2];
	uint64_t began = 0;
	char byte = 0;

	need(!pipe(there) && !pipe(back), "pipe");
	pid_t pid = fork();
	if (!pid) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			(void)!write(back[1], &byte, 1);
		_exit(0);
	}
	close(there[0]);
	for (int i = 0; i < 1100; i++) {
		if (i == 100)
			began = count();
		need(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "a byte there and back");
	}
	report("pipe_rtt", count() - began, 1000);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	waitpid(pid, NULL, 0);
}

static void files(const char *self)
{
	struct stat st;
	uint64_t began;

	need(!stat(self, &st), "stat");
	began = count();
	for (int i = 0; i < 1000; i++)
		(void)stat(self, &st);
	report("stat", count() - began, 1000);
	close(open(self, O_RDONLY));
	began = count();
	for (int i = 0; i < 1000; i++)
		close(open(self, O_RDONLY));
	report("open_close", count() - began, 1000);
}

static volatile int caught;

static void handler(int number)
{
	caught += number != 0;
}

static void signal_self(void)
{
	uint64_t began;

	signal(SIGUSR1, handler);
	kill(getpid(), SIGUSR1);
	began = count();
	for (int i = 0; i < 1000; i++)
		kill(getpid(), SIGUSR1);
	began = count() - began;
	need(caught == 1001, "signals to oneself");
	report("signal_self", began, 1000);
}

static void *nothing(void *arg)
{
	return arg;
}

static void threads(void)
{
	uint64_t began = 0;
	pthread_t thread;

	for (int i = 0; i < 1010; i++) {
		if (i == 10)
			began = count();
		need(!pthread_create(&thread, NULL, nothing, NULL) && !pthread_join(thread, NULL), "a thread");
	}
	report("pthread_create_join", count() - began, 1000);
}

static void tcp_rtt(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(4000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int door = socket(AF_INET, SOCK_STREAM, 0), one;
	uint64_t began = 0;
	char byte = 0;

	if (door < 0 || bind(door, (struct sockaddr *)&at, sizeof(at)) || listen(door, 1))
		return;
	pid_t pid = fork();
	if (!pid) {
		one = accept(door, NULL, NULL);
		while (read(one, &byte, 1) == 1)
			(void)!write(one, &byte, 1);
		_exit(0);
	}
	one = socket(AF_INET, SOCK_STREAM, 0);
	need(!connect(one, (struct sockaddr *)&at, sizeof(at)), "connect");
	for (int i = 0; i < 1100; i++) {
		if (i == 100)
			began = count();
		need(write(one, &byte, 1) == 1 && read(one, &byte, 1) == 1, "a byte over TCP");
	}
	report("tcp_rtt", count() - began, 1000);
	close(one);
	close(door);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "-x"))
		_exit(0);
	if (argc > 2 && !strcmp(argv[1], "-n")) {	/* forks, or forks and execs, for a profiler */
		for (int i = atoi(argv[2]); i > 0; i--)
			argc < 4 ? fork_exit() : *argv[3] == 'c' ? cow_fault() : *argv[3] == 'l' ? fork_large() :
				fork_exec(argv[0]);
		return 0;
	}
	null_request();
	fork_exit();
	fork_exec(argv[0]);
	cow_fault();
	signal_self();
	threads();
	files(argv[0]);
	pipe_rtt();
	tcp_rtt();
	fork_large();
	return 0;
}
