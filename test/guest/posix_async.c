/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals of sockets (O_ASYNC): who is told, of what, and who is not; what F_SETOWN and its kin answer.
 *
 * Run with: -m 96M
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test/guest/tap.h"

static volatile sig_atomic_t told;

static void tell(int number)
{
	(void)number;
	told++;
}

/* Has a signal come since it was last asked? One that is on its way comes within that time. */
static bool came(void)
{
	bool is;

	for (int tries = 0; !told && tries < 20; tries++)
		usleep(5000);
	is = told;
	told = 0;
	return is;
}

static void pair(int fd[2])
{
	ok(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) && !fcntl(fd[0], F_SETOWN, getpid()) &&
	   !fcntl(fd[0], F_SETFL, O_NONBLOCK | O_ASYNC), "a pair whose one end tells");
	told = 0;
}

static void done(const int fd[2])
{
	close(fd[0]);
	close(fd[1]);
	came();
}

/* --- the owner ------------------------------------------------------------------------------------------------ */

static void test_owner(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), file = open("/tmp/async", O_RDWR | O_CREAT, 0600), ends[2], copy, who;

	ok(fcntl(fd, F_GETOWN) == 0, "a socket has no owner");
	ok(!fcntl(fd, F_SETOWN, getpid()) && fcntl(fd, F_GETOWN) == getpid(), "... then this process");
	ok(!fcntl(fd, F_SETOWN, -getpgrp()) && fcntl(fd, F_GETOWN) == -getpgrp(), "... then its group");
	copy = dup(fd);
	ok(fcntl(copy, F_GETOWN) == -getpgrp(), "a duplicate has the same");
	ok(fcntl(fd, F_SETOWN, 99999) == -1 && errno == ESRCH && fcntl(fd, F_SETOWN, -99999) == -1 && errno == ESRCH,
	   "who is not there: ESRCH");
	ok(fcntl(fd, F_SETOWN, INT_MIN) == -1 && errno == EINVAL, "no number of a group: EINVAL");
	ok(fcntl(fd, F_GETOWN) == -getpgrp(), "nothing has changed");
	ok(fcntl(-1, F_SETOWN, getpid()) == -1 && errno == EBADF && fcntl(-1, F_GETOWN) == -1 && errno == EBADF, "EBADF");
	who = getpid();
	ok(!ioctl(fd, FIOSETOWN, &who) && fcntl(fd, F_GETOWN) == who, "FIOSETOWN");
	who = -getpgrp();
	ok(!ioctl(fd, SIOCSPGRP, &who) && fcntl(fd, F_GETOWN) == who, "SIOCSPGRP");
	who = 0;
	ok(!ioctl(fd, FIOGETOWN, &who) && who == -getpgrp(), "FIOGETOWN");
	who = 0;
	ok(!ioctl(fd, SIOCGPGRP, &who) && who == -getpgrp(), "SIOCGPGRP");
	who = 99999;
	ok(ioctl(fd, FIOSETOWN, &who) == -1 && errno == ESRCH, "FIOSETOWN of nobody: ESRCH");
	ok(ioctl(file, FIOSETOWN, &who) == -1 && errno == ENOTTY && ioctl(file, SIOCGPGRP, &who) == -1 && errno == ENOTTY,
	   "of a file: ENOTTY");
	ok(!fcntl(fd, F_SETOWN, 0) && fcntl(fd, F_GETOWN) == 0, "no owner again");
	ok(!fcntl(file, F_SETOWN, getpid()) && fcntl(file, F_GETOWN) == getpid(), "a file has an owner, too");
	who = 1;
	ok(pipe(ends) == 0 && ioctl(file, FIOASYNC, &who) == -1 && errno == ENOTTY && ioctl(ends[0], FIOASYNC, &who) == -1 &&
	   errno == ENOTTY, "but no O_ASYNC: FIOASYNC is ENOTTY");
	ok(!fcntl(file, F_SETFL, O_ASYNC) && !(fcntl(file, F_GETFL) & O_ASYNC), "... and F_SETFL ignores it");
	ok(!ioctl(fd, FIOASYNC, &who) && fcntl(fd, F_GETFL) == (O_RDWR | O_ASYNC), "FIOASYNC of a socket");
	who = 0;
	ok(!ioctl(copy, FIOASYNC, &who) && fcntl(fd, F_GETFL) == O_RDWR, "... and off, by the duplicate");
	ok(ioctl(-1, FIOASYNC, &who) == -1 && errno == EBADF && ioctl(fd, FIOASYNC, NULL) == -1 && errno == EFAULT,
	   "EBADF, EFAULT");
	close(ends[0]);
	close(ends[1]);
	close(fd);
	close(copy);
	close(file);
	unlink("/tmp/async");
}

/* --- of what -------------------------------------------------------------------------------------------------- */

static void test_data(void)
{
	char bytes[4096] = "";
	int fd[2];

	pair(fd);
	ok(write(fd[1], "x", 1) == 1 && came(), "what has come");
	ok(write(fd[1], "y", 1) == 1 && came(), "more of it");
	ok(read(fd[0], bytes, 2) == 2 && !came(), "not what was read");
	ok(write(fd[0], "z", 1) == 1 && read(fd[1], bytes, 1) == 1 && !came(), "nor what the other end gets");
	while (write(fd[0], bytes, sizeof(bytes)) > 0)
		;
	ok(errno == EAGAIN && !came(), "no room");
	while (read(fd[1], bytes, sizeof(bytes)) > 0)
		;
	ok(came(), "room again");
	ok(write(fd[0], bytes, 1) == 1 && read(fd[1], bytes, 1) == 1 && !came(), "which is said once");
	ok(!fcntl(fd[0], F_SETFL, O_NONBLOCK) && write(fd[1], "x", 1) == 1 && !came(), "without O_ASYNC");
	ok(!fcntl(fd[0], F_SETFL, O_ASYNC) && !fcntl(fd[0], F_SETOWN, 0) && write(fd[1], "x", 1) == 1 && !came(),
	   "without an owner");
	ok(!fcntl(fd[0], F_SETOWN, getpid()) && !close(fd[1]) && came(), "the end");
	close(fd[0]);
	pair(fd);
	ok(!shutdown(fd[1], SHUT_WR) && came(), "the other end is shut");
	done(fd);
}

static void test_inet(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), on = 1, fd;

	ok(!bind(server, (struct sockaddr *)&address, bytes) && !listen(server, 5) &&
	   !getsockname(server, (struct sockaddr *)&address, &bytes) && !fcntl(server, F_SETOWN, getpid()) &&
	   !ioctl(server, FIOASYNC, &on), "a listener that tells");
	came();
	ok(!connect(client, (struct sockaddr *)&address, bytes) && came(), "somebody to accept");
	fd = accept(server, NULL, NULL);
	ok(fd >= 0 && !(fcntl(fd, F_GETFL) & O_ASYNC) && fcntl(fd, F_GETOWN) == 0, "who has nothing of that");
	ok(!fcntl(fd, F_SETOWN, getpid()) && !ioctl(fd, FIOASYNC, &on) && send(client, "x", 1, 0) == 1 && came(), "TCP");
	close(client);
	ok(came(), "its end");
	close(fd);
	close(server);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	address.sin_port = 0;
	ok(!bind(fd, (struct sockaddr *)&address, bytes) && !getsockname(fd, (struct sockaddr *)&address, &bytes) &&
	   !fcntl(fd, F_SETOWN, getpid()) && !ioctl(fd, FIOASYNC, &on) && !came(), "UDP");
	ok(sendto(fd, "x", 1, 0, (struct sockaddr *)&address, bytes) == 1 && came(), "a datagram");
	close(fd);
}

/* --- who ------------------------------------------------------------------------------------------------------ */

/* A child says "I am there" by a byte, waits for a signal, and exits with whether it came. */
static pid_t waiter(uid_t uid, pid_t group)
{
	int fd[2];
	char byte;
	pid_t child;

	if (pipe(fd) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		told = 0;
		if ((group && setpgid(0, group)) || (uid && setuid(uid)) || write(fd[1], "x", 1) != 1)
			_exit(2);
		_exit(came() ? 1 : 0);
	}
	close(fd[1]);
	if (read(fd[0], &byte, 1) != 1)
		child = -1;
	close(fd[0]);
	return child;
}

static int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_who(void)
{
	pid_t one, two;
	int fd[2];

	pair(fd);
	one = waiter(0, 0);
	ok(!fcntl(fd[0], F_SETOWN, one) && write(fd[1], "x", 1) == 1 && status_of(one) == 1, "a child is the owner");
	ok(!came(), "this process is not");
	ok(write(fd[1], "x", 1) == 1 && !came(), "nobody is, when it is gone");
	ok(fcntl(fd[0], F_SETOWN, one) == -1 && errno == ESRCH, "... ESRCH");
	one = waiter(0, getpgrp());
	two = waiter(0, getpgrp());
	ok(!fcntl(fd[0], F_SETOWN, -getpgrp()) && write(fd[1], "x", 1) == 1 && status_of(one) == 1 && status_of(two) == 1 &&
	   came(), "a group: all of it");
	one = waiter(1000, 0);
	ok(!fcntl(fd[0], F_SETOWN, one) && write(fd[1], "x", 1) == 1 && status_of(one) == 1,
	   "the superuser may name another user's");
	one = fork();
	if (one == 0)
		_exit(!setuid(1000) && !fcntl(fd[0], F_SETOWN, getppid()) && write(fd[1], "x", 1) == 1 ? 0 : 1);
	ok(status_of(one) == 0 && !came(), "another user who names one of the superuser's signals nobody");
	one = fork();
	if (one == 0) {
		signal(SIGIO, SIG_DFL);
		fcntl(fd[0], F_SETOWN, getpid());
		(void)!write(fd[1], "x", 1);
		pause();
	}
	int status = 0;
	ok(waitpid(one, &status, 0) == one && WIFSIGNALED(status) && WTERMSIG(status) == SIGIO, "SIGIO ends who does not want it");
	done(fd);
}

int main(void)
{
	struct sigaction action = { .sa_handler = tell };

	sigaction(SIGIO, &action, NULL);
	test_owner();
	test_data();
	test_inet();
	test_who();
	return tap_done();
}
