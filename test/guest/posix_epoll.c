/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll: levels, edges, once; what goes with its descriptor; processes that share a set; signals and times; many
 * descriptors that are idle; who is killed leaves nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/posix_keeper.h"

#define IDLE	100
#define ROUNDS	300
#define KILLED	30

static struct epoll_event got[IDLE];

static int watch(int set, int operation, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = 0x123456789abc0000 + (uint64_t)fd };

	return epoll_ctl(set, operation, fd, &event);
}

/* Exactly one event, of this descriptor. */
static bool only(int set, int fd, uint32_t events)
{
	int count = epoll_wait(set, got, IDLE, 0);

	if (count == 1 && got[0].data.u64 == 0x123456789abc0000 + (uint64_t)fd && got[0].events == events)
		return true;
	printf("# %d events, the first %x of %d\n", count, (unsigned)got[0].events, got[0].data.fd & 0xffff);
	return false;
}

static bool nothing(int set)
{
	return epoll_wait(set, got, IDLE, 0) == 0;
}

static void errors(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(EPOLL_CLOEXEC), other = epoll_create(1), file, p[2];

	mkdir("/tmp", 01777);
	file = open("/tmp/file", O_CREAT | O_RDWR, 0600);
	ok(set >= 0 && other >= 0 && file >= 0 && !pipe(p) && fcntl(set, F_GETFD) == FD_CLOEXEC && !fcntl(other, F_GETFD),
	   "two sets");
	ok(epoll_create1(1) < 0 && errno == EINVAL && epoll_create(0) < 0 && errno == EINVAL, "flags that are none");
	ok(epoll_ctl(set, EPOLL_CTL_ADD, 200, &event) < 0 && errno == EBADF &&
	   epoll_ctl(200, EPOLL_CTL_ADD, p[0], &event) < 0 && errno == EBADF, "EBADF");
	ok(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &event) < 0 && errno == EINVAL &&
	   epoll_ctl(set, EPOLL_CTL_ADD, set, &event) < 0 && errno == EINVAL &&
	   epoll_ctl(set, EPOLL_CTL_ADD, other, &event) < 0 && errno == EINVAL, "what is no set; sets in sets: EINVAL");
	ok(epoll_ctl(set, EPOLL_CTL_ADD, file, &event) < 0 && errno == EPERM, "a file is always ready: EPERM");
	ok(epoll_ctl(set, EPOLL_CTL_MOD, p[0], &event) < 0 && errno == ENOENT &&
	   epoll_ctl(set, EPOLL_CTL_DEL, p[0], NULL) < 0 && errno == ENOENT &&
	   !epoll_ctl(set, EPOLL_CTL_ADD, p[0], &event) && epoll_ctl(set, EPOLL_CTL_ADD, p[0], &event) < 0 &&
	   errno == EEXIST && epoll_ctl(set, 9, p[0], &event) < 0 && errno == EINVAL, "ENOENT, EEXIST, EINVAL");
	ok(epoll_wait(set, got, 0, 0) < 0 && errno == EINVAL && epoll_wait(p[0], got, 1, 0) < 0 && errno == EINVAL &&
	   epoll_wait(200, got, 1, 0) < 0 && errno == EBADF, "of waits");
	close(set), close(other), close(file), close(p[0]), close(p[1]);
}

static void kinds(void)
{
	int set = epoll_create1(0), p[2];
	char text[8];

	ok(!pipe(p) && !watch(set, EPOLL_CTL_ADD, p[0], EPOLLIN) && !watch(set, EPOLL_CTL_ADD, p[1], 0) && nothing(set),
	   "an empty pipe");
	ok(write(p[1], "ab", 2) == 2 && only(set, p[0], EPOLLIN) && only(set, p[0], EPOLLIN), "level: as long as it is so");
	ok(poll(&(struct pollfd){ .fd = set, .events = POLLIN }, 1, 0) == 1, "the set itself can be polled");
	ok(read(p[0], text, 2) == 2 && nothing(set) && !poll(&(struct pollfd){ .fd = set, .events = POLLIN }, 1, 0),
	   "and then not any more");
	ok(!watch(set, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET) && write(p[1], "a", 1) == 1 && only(set, p[0], EPOLLIN) &&
	   nothing(set) && write(p[1], "b", 1) == 1 && only(set, p[0], EPOLLIN) && nothing(set), "edge: for each change");
	ok(!watch(set, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT) && only(set, p[0], EPOLLIN) &&
	   write(p[1], "c", 1) == 1 && nothing(set), "once");
	ok(!watch(set, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT) && only(set, p[0], EPOLLIN), "and again when asked");
	ok(!watch(set, EPOLL_CTL_MOD, p[1], EPOLLOUT | EPOLLET) && only(set, p[1], EPOLLOUT) && nothing(set),
	   "room is an edge");
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	while (write(p[1], got, sizeof(got)) > 0)
		;
	ok(nothing(set) && read(p[0], got, sizeof(got)) > 0 && only(set, p[1], EPOLLOUT), "also the next time");
	close(p[0]);
	ok(only(set, p[1], EPOLLOUT | EPOLLERR), "nobody reads: EPOLLERR unasked, and a write would not wait");
	ok(!epoll_ctl(set, EPOLL_CTL_DEL, p[1], NULL) && nothing(set), "removed");
	close(p[1]), close(set);
}

static void copies(void)
{
	int set = epoll_create1(0), p[2], copy = -1;

	ok(!pipe(p) && (copy = dup(p[0])) >= 0 && !watch(set, EPOLL_CTL_ADD, p[0], EPOLLIN) &&
	   !watch(set, EPOLL_CTL_ADD, copy, EPOLLIN | EPOLLONESHOT) && write(p[1], "x", 1) == 1 &&
	   epoll_wait(set, got, IDLE, 0) == 2 && only(set, p[0], EPOLLIN), "two descriptors of one pipe");
	close(p[0]);
	ok(epoll_wait(set, got, IDLE, 0) == 1, "a description is watched until its last descriptor goes");
	close(copy);
	ok(nothing(set) && in_order(), "then not");
	close(p[1]), close(set);
}

static void sockets(void)
{
	int set = epoll_create1(0), s[2];
	char text[4];

	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, s) &&
	   !watch(set, EPOLL_CTL_ADD, s[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) && only(set, s[0], EPOLLOUT) &&
	   nothing(set), "a socket");
	ok(write(s[1], "abc", 3) == 3 && only(set, s[0], EPOLLIN | EPOLLOUT) && nothing(set) &&
	   write(s[1], "d", 1) == 1 && only(set, s[0], EPOLLIN | EPOLLOUT), "data, and more");
	ok(read(s[0], text, 4) == 4 && !shutdown(s[1], SHUT_WR) && only(set, s[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP),
	   "EPOLLRDHUP");
	close(s[1]);
	ok(epoll_wait(set, got, IDLE, 0) == 1 && got[0].events & EPOLLHUP, "EPOLLHUP");
	close(s[0]), close(set);
}

static volatile int signals;

static void caught(int number)
{
	(void)number;
	signals++;
}

static void waits(void)
{
	int set = epoll_create1(0), p[2];
	struct timespec a, b;
	sigset_t all, none;
	pid_t child;
	char c;

	ok(!pipe(p) && !watch(set, EPOLL_CTL_ADD, p[0], EPOLLIN), "a pipe again");
	clock_gettime(CLOCK_MONOTONIC, &a);
	ok(epoll_wait(set, got, IDLE, 30) == 0 && !clock_gettime(CLOCK_MONOTONIC, &b) &&
	   (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 29, "a time passes");
	ok(epoll_pwait2(set, got, IDLE, &(struct timespec){ 0, 1000000 }, NULL) == 0 &&
	   epoll_pwait2(set, got, IDLE, &(struct timespec){ 0, -1 }, NULL) < 0 && errno == EINVAL, "epoll_pwait2");
	child = fork();
	if (!child)
		_exit(epoll_wait(set, got, IDLE, -1) == 1 && read(p[0], &c, 1) == 1 ? 0 : 1);
	usleep(20000);
	ok(write(p[1], "x", 1) == 1 && finish(child) == 0, "a child waits in the set that it shares");
	sigfillset(&all);
	sigemptyset(&none);
	signal(SIGUSR1, caught);
	sigprocmask(SIG_BLOCK, &all, NULL);
	raise(SIGUSR1);
	ok(epoll_wait(set, got, IDLE, 1) == 0 && !signals && epoll_pwait(set, got, IDLE, 1000, &none) < 0 &&
	   errno == EINTR && signals == 1, "a signal that the mask lets in");
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	close(p[0]), close(p[1]), close(set);
}

/* A server's life: many connections, one of which has something. */
static void idle(void)
{
	int set = epoll_create1(0), s[IDLE][2], good = 0;
	char c;

	for (int i = 0; i < IDLE; i++)
		good += !socketpair(AF_UNIX, SOCK_STREAM, 0, s[i]) && !watch(set, EPOLL_CTL_ADD, s[i][0], EPOLLIN);
	ok(good == IDLE && nothing(set), "%d sockets", IDLE);
	for (int i = 0; i < ROUNDS; i++) {
		int *pair = s[i * 37 % IDLE];
		good += write(pair[1], "x", 1) == 1 && epoll_wait(set, got, IDLE, -1) == 1 &&
		    got[0].data.u64 == 0x123456789abc0000 + (uint64_t)pair[0] && read(pair[0], &c, 1) == 1;
	}
	ok(good == IDLE + ROUNDS && nothing(set), "each has its turn");
	for (int i = 0; i < IDLE; i++)
		good -= write(s[i][1], "x", 1) == 1;
	memset(got, 0, sizeof(got));
	for (int i = 0; i < IDLE / 10; i++)
		good -= epoll_wait(set, got + i * 10, 10, 0) == 10;
	for (int i = 0; i < IDLE; i++)
		for (int j = 0; j < i; j++)
			good += got[i].data.u64 == got[j].data.u64;
	ok(good == ROUNDS - IDLE / 10, "all ready, ten at a time: none is left out");
	ok(in_order(), "the keeper is in order");
	for (int i = 0; i < IDLE; i++)
		close(s[i][0]), close(s[i][1]);
	close(set);
}

static void life(int round)
{
	int set = epoll_create1(0), p[2];

	for (;;) {
		if (pipe(p))
			_exit(1);
		watch(set, EPOLL_CTL_ADD, p[0], EPOLLIN | (round & 1 ? EPOLLET : 0));
		watch(set, EPOLL_CTL_ADD, p[1], EPOLLOUT);
		(void)write(p[1], "x", 1);
		epoll_wait(set, got, IDLE, 0);
		close(p[round >> 1 & 1]);
		epoll_wait(set, got, IDLE, 0);
		close(p[!(round >> 1 & 1)]);
	}
}

static void killed(void)
{
	int good = 0, sets[70], count = 0;

	for (int i = 0; i < KILLED; i++) {
		pid_t child = fork();
		if (!child)
			life(i);
		usleep(1000 + (unsigned)i * 517 % 3000);
		kill(child, SIGKILL);
		good += finish(child) == SIGKILL && in_order();
	}
	ok(good == KILLED, "%d processes killed in the middle", KILLED);
	while (count < 70 && (sets[count] = epoll_create1(0)) >= 0)
		count++;
	ok(count == 64 && errno == EMFILE, "a user has 64 sets");
	while (count)
		close(sets[--count]);
	ok((count = epoll_create1(0)) >= 0 && !close(count) && in_order(), "and then again");
}

int main(void)
{
	errors();
	kinds();
	copies();
	sockets();
	waits();
	idle();
	killed();
	return tap_done();
}
