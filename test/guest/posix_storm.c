/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals during everything: while a process works (memory, pipes, files, children, threads, sockets, deep
 * stacks, floating point), a timer interrupts it every few milliseconds and other processes flood it. The
 * handlers themselves make requests, fork, jump. All that is worked out must be right, nothing may fail but
 * with EINTR.
 *
 * Time limit: 120 s
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "test/guest/tap.h"

#define ROUNDS	60	/* of each kind, at least, ... */
#define SIGNALS	150	/* ... and until so many signals have come */

static volatile unsigned long alarms, floods;
static volatile int side[2];
static volatile double spoil;
static volatile int again;	/* forks that failed for the moment */
static int log_fd = -1;

/* It calls what handlers may call, and uses the FPU. */
static void on_alarm(int number)
{
	char byte = 'a';

	alarms++;
	spoil = spoil * 0.5 + (double)number;
	if (alarms % 4 == 0) {
		write(side[1], &byte, 1);
		read(side[0], &byte, 1);
	}
	if (alarms % 16 == 0)
		kill(getpid(), 0);
	if (alarms % 64 == 0) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		again += pid < 0;
		while (pid > 0 && waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			;
	}
}

static void on_flood(int number)
{
	(void)number;
	floods++;
}

/* --- work ----------------------------------------------------------------------------------------------------- */

static bool memory(void)
{
	unsigned char *blocks[40];
	bool good = true;

	for (unsigned i = 0; i < 40; i++) {
		blocks[i] = malloc(100 + i * 997);
		memset(blocks[i], (int)i, 100 + i * 997);
	}
	for (unsigned i = 0; i < 40; i += 2)
		blocks[i] = realloc(blocks[i], 200 + i * 1997);
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned at = 0; at < 100 + i * 997; at += 61)
			good &= blocks[i][at] == i;
		free(blocks[i]);
	}
	char *map = mmap(NULL, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return false;
	for (unsigned at = 0; at < 1 << 18; at += 4096)
		good &= map[at] == 0;
	return munmap(map, 1 << 18) == 0 && good;
}

static bool whole(int fd, char *bytes, size_t count, bool out)
{
	for (size_t done = 0; done < count;) {
		ssize_t part = out ? write(fd, bytes + done, count - done) : read(fd, bytes + done, count - done);
		if (part > 0)
			done += (size_t)part;
		else if (part == 0 || errno != EINTR)
			return false;
	}
	return true;
}

static bool between(int in, int out)
{
	static char sent[3000], got[3000];

	for (unsigned i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7);
	memset(got, 0, sizeof(got));
	return whole(out, sent, sizeof(sent), true) && whole(in, got, sizeof(got), false) &&
	       !memcmp(sent, got, sizeof(sent));
}

static bool pipes(void)
{
	int ends[2];
	bool good;

	if (pipe(ends))
		return false;
	good = between(ends[0], ends[1]);
	return !close(ends[0]) && !close(ends[1]) && good;
}

static bool sockets(void)
{
	int ends[2];
	bool good;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return false;
	good = between(ends[0], ends[1]) && between(ends[1], ends[0]);
	return !close(ends[0]) && !close(ends[1]) && good;
}

static bool files(void)
{
	static char text[5000], back[5000];
	int fd = open("/tmp/storm", O_RDWR | O_CREAT | O_TRUNC, 0600);
	bool good;

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 13);
	good = fd >= 0 && whole(fd, text, sizeof(text), true) && lseek(fd, 0, SEEK_SET) == 0 &&
	       whole(fd, back, sizeof(back), false) && !memcmp(text, back, sizeof(text));
	close(fd);
	return unlink("/tmp/storm") == 0 && good;
}

static int variable = 1;

static bool children(void)
{
	int status = -1;
	pid_t pid;

	variable = 1;
	while ((pid = fork()) == -1 && errno == EAGAIN)
		again++;
	if (pid == 0) {
		variable = 2;
		_exit(variable + 40);
	}
	while (pid > 0 && waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return false;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 42 && variable == 1;
}

static void *sum(void *arg)
{
	long *value = arg;

	for (int i = 0; i < 1000; i++)
		++*value;
	return arg;
}

static bool threads(void)
{
	pthread_t thread[6];
	long value[6] = { 0 };
	bool good = true;

	for (int i = 0; i < 6; i++)
		good &= !pthread_create(&thread[i], NULL, sum, &value[i]);
	for (int i = 0; i < 6; i++)
		good &= !pthread_join(thread[i], NULL) && value[i] == 1000;
	return good;
}

static unsigned deep(unsigned n)
{
	volatile unsigned here[40];

	here[n % 40] = n;
	return n ? deep(n - 1) + here[n % 40] : 0;
}

static bool numbers(void)
{
	double a = 0;
	long double b = 0;
	unsigned c = 0;

	for (int i = 1; i <= 20000; i++) {
		a += 1.0 / (double)(1 << (i % 20));
		b += (long double)i;
		c = c * 31 + (unsigned)i;
	}
	double want = 0;
	for (int i = 0; i < 20; i++)
		want += 1000.0 / (double)(1 << i);
	return a > want - 0.001 && a < want + 0.001 && b == 200010000.0L && deep(100) == 5050 && c == 305998096u;
}

static sigjmp_buf back;
static volatile bool jumping;

static void on_jump(int number)
{
	(void)number;
	if (jumping) {
		jumping = false;
		siglongjmp(back, 1);
	}
}

/* Out of whatever the library does at that moment; POSIX lets that be done from what handlers may interrupt. */
static bool jumps(void)
{
	struct itimerval soon = { .it_value.tv_usec = 300 }, before;
	volatile unsigned n = 0;

	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value.tv_usec = 0 }, &before);
	signal(SIGALRM, on_jump);
	jumping = true;
	if (!sigsetjmp(back, 1)) {
		setitimer(ITIMER_REAL, &soon, NULL);
		for (;;) {
			getppid();
			write(log_fd, "", 0);
			n++;
		}
	}
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &before, NULL);
	return true;
}

static const struct {
	const char *name;
	bool (*run)(void);
} works[] = {
	{ "memory", memory }, { "pipes", pipes }, { "sockets", sockets }, { "files", files },
		{ "children", children },
	{ "threads", threads }, { "numbers", numbers }, { "jumps", jumps },
};

static pid_t flood(pid_t at)
{
	pid_t pid = fork();

	while (pid == 0) {
		for (int i = 0; i < 20; i++)
			if (kill(at, i % 2 ? SIGUSR1 : SIGUSR2))
				_exit(0);
		usleep(5000);
	}
	return pid;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 4000 }, { 0, 4000 } };
	pid_t self = getpid(), other[2];
	int ends[2];

	fflush(stdout);
	pipe(ends);
	side[0] = ends[0];
	side[1] = ends[1];
	log_fd = open("/dev/null", O_WRONLY);
	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = on_flood;
	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = 0;
	sigaction(SIGUSR2, &action, NULL);
	for (int i = 0; i < 2; i++)
		other[i] = flood(self);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned work = 0; work < sizeof(works) / sizeof(works[0]); work++) {
		unsigned long before = alarms + floods;
		int good = 0;
		bool right = true;
		while (right && (good < ROUNDS || alarms + floods - before < SIGNALS)) {
			right = works[work].run();
			good += right;
		}
		int error = errno;
		sigset_t all, old;
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, &old);
		ok(right, "%s: %d rounds, %lu signals", works[work].name, good, alarms + floods - before);
		if (!right)
			printf("# errno %d: %s\n", error, strerror(error));
		fflush(stdout);
		sigprocmask(SIG_SETMASK, &old, NULL);
	}
	memset(&often, 0, sizeof(often));
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 2; i++) {
		kill(other[i], SIGKILL);
		while (waitpid(other[i], NULL, 0) == -1 && errno == EINTR)
			;
	}
	ok(again < 20, "%d forks failed with EAGAIN", again);
	ok(alarms > 50 && floods > 50, "%lu alarms, %lu signals of others", alarms, floods);
	return tap_done();
}
