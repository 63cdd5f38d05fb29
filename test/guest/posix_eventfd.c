/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that are no files: counters, times, signals; by themselves, with poll, with epoll, over fork, and with those
 * who are killed while they wait for them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/posix_keeper.h"

#define MILLISECOND	1000000ull
#define KILLED		20

static uint64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct timespec in(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

static void rest(uint64_t ms)
{
	struct timespec time = in(ms * MILLISECOND);

	nanosleep(&time, NULL);
}

static short ready(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&one, 1, 0) == 1 ? one.revents : 0;
}

static bool fails(ssize_t result, int error)
{
	if (result == -1 && errno == error)
		return true;
	printf("# %ld, errno %d\n", (long)result, errno);
	return false;
}

/* --- counters ------------------------------------------------------------------------------------------- */

static void counter_errors(void)
{
	uint64_t value = UINT64_MAX;
	struct stat st;
	int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);

	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK && !fstat(fd, &st), "a counter");
	ok(fails(eventfd(0, 0x40000000), EINVAL), "flags that are none: EINVAL");
	ok(fails(read(fd, &value, 7), EINVAL) && fails(write(fd, &value, 7), EINVAL) && fails(write(fd, &value, 8), EINVAL),
	   "less than eight bytes, and all ones: EINVAL");
	ok(fails(lseek(fd, 0, SEEK_SET), ESPIPE) && fails(pread(fd, &value, 8, 0), ESPIPE) &&
	   fails(pwrite(fd, &value, 8, 0), ESPIPE), "ESPIPE");
	ok(ready(fd) == (POLLIN | POLLOUT) && read(fd, &value, sizeof(value)) == 8 && value == 3 && ready(fd) == POLLOUT &&
	   fails(read(fd, &value, 8), EAGAIN), "read, it is 0, and EAGAIN");
	value = UINT64_MAX - 1;
	ok(write(fd, &value, 8) == 8 && ready(fd) == POLLIN && !(value = 0) && write(fd, &value, 8) == 8 && (value = 1) &&
	   fails(write(fd, &value, 8), EAGAIN), "full: EAGAIN");
	ok(!eventfd_read(fd, &value) && value == UINT64_MAX - 1 && !eventfd_write(fd, 5) && !eventfd_write(fd, 6) &&
	   !eventfd_read(fd, &value) && value == 11, "counted together");
	close(fd);
}

static void counters(void)
{
	int fd = eventfd(0, EFD_SEMAPHORE), set = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	uint64_t value = 9;
	pid_t child;

	ok(!eventfd_write(fd, 2) && !eventfd_read(fd, &value) && value == 1 && !eventfd_read(fd, &value) && value == 1 &&
	   !(ready(fd) & POLLIN), "as a semaphore: one at a time");
	ok(!epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) && epoll_wait(set, &got, 1, 0) == 0 && !eventfd_write(fd, 1) &&
	   epoll_wait(set, &got, 1, 0) == 1 && epoll_wait(set, &got, 1, 0) == 0 && !eventfd_write(fd, 1) &&
	   epoll_wait(set, &got, 1, 0) == 1, "an edge for each write");
	eventfd_read(fd, &value);
	eventfd_read(fd, &value);
	child = fork();
	if (!child) {
		rest(30);
		eventfd_write(fd, 1);
		_exit(0);
	}
	ok(!eventfd_read(fd, &value) && value == 1 && finish(child) == 0, "a child's write ends a read");
	close(fd);
	fd = eventfd(0, 0);
	eventfd_write(fd, UINT64_MAX - 2);
	child = fork();
	if (!child) {
		rest(30);
		_exit(eventfd_read(fd, &value) || value != UINT64_MAX - 2);
	}
	ok(!eventfd_write(fd, 4) && !eventfd_read(fd, &value) && value == 4 && finish(child) == 0, "a read ends a write that waits");
	close(fd), close(set);
}

/* --- times ---------------------------------------------------------------------------------------------- */

static int timer(uint64_t after, uint64_t every)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec time = { in(every), in(after) };

	timerfd_settime(fd, 0, &time, NULL);
	return fd;
}

static void timer_errors(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC), other = eventfd(0, 0);
	struct itimerspec time = { { 0, 0 }, { 0, 1000000000 } }, got = { { 1, 1 }, { 1, 1 } };
	uint64_t value = 0;

	ok(fd >= 0 && fails(timerfd_create(77, 0), EINVAL) && fails(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL) &&
	   fails(timerfd_create(CLOCK_MONOTONIC, 0x40000000), EINVAL), "clocks and flags: EINVAL");
	ok(fails(timerfd_settime(fd, 0, &time, NULL), EINVAL) && (time.it_value.tv_nsec = -1) &&
	   fails(timerfd_settime(fd, 0, &time, NULL), EINVAL) && fails(timerfd_settime(fd, 64, &got, NULL), EINVAL) &&
	   fails(timerfd_settime(fd, 0, NULL, NULL), EFAULT) && fails(timerfd_gettime(fd, NULL), EFAULT), "times that are none");
	ok(fails(timerfd_settime(other, 0, &got, NULL), EINVAL) && fails(timerfd_gettime(other, &got), EINVAL) &&
	   fails(timerfd_gettime(99, &got), EBADF) && fails(timerfd_settime(99, 0, &got, NULL), EBADF), "EINVAL, EBADF");
	ok(!timerfd_gettime(fd, &got) && !got.it_value.tv_sec && !got.it_value.tv_nsec && !got.it_interval.tv_sec && !ready(fd) &&
	   fails(read(fd, &value, 8), EAGAIN) && fails(read(fd, &value, 4), EINVAL) && fails(write(fd, &value, 8), EINVAL),
	   "not set");
	time = (struct itimerspec){ { 7, 0 }, in(now(CLOCK_REALTIME) + 50 * MILLISECOND) };
	ok(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &time, NULL) && !timerfd_gettime(fd, &got) && got.it_interval.tv_sec == 7 &&
	   !got.it_value.tv_sec && got.it_value.tv_nsec > 0 && got.it_value.tv_nsec <= (long)(50 * MILLISECOND),
	   "a time of the day");
	time = (struct itimerspec){ { 0, 0 }, { 1, 0 } };
	ok(!timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &time, &got) && got.it_interval.tv_sec == 7 &&
	   read(fd, &value, 8) == 8 && value == 1, "one that is past");
	time = (struct itimerspec){ { 0, 0 }, { 1ll << 60, 0 } };
	ok(!timerfd_settime(fd, 0, &time, NULL) && !timerfd_gettime(fd, &got) && got.it_value.tv_sec > 1ll << 31 && !ready(fd),
	   "never");
	close(fd), close(other);
}

static void timers(void)
{
	uint64_t begin = now(CLOCK_MONOTONIC), value = 0;
	int fd = timer(40 * MILLISECOND, 0), set = epoll_create1(0), last;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	struct itimerspec time;
	fd_set in_set;

	ok(read(fd, &value, 8) == 8 && value == 1 && now(CLOCK_MONOTONIC) - begin >= 40 * MILLISECOND && !ready(fd), "once");
	close(fd);
	fd = timer(10 * MILLISECOND, 10 * MILLISECOND);
	rest(55);
	ok(read(fd, &value, 8) == 8 && value >= 5, "those that were missed are counted (%u)", (unsigned)value);
	FD_ZERO(&in_set);
	FD_SET(fd, &in_set);
	ok(select(fd + 1, &in_set, NULL, NULL, NULL) == 1 && read(fd, &value, 8) == 8 && value >= 1, "select waits for it");
	ok(!epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) && epoll_wait(set, &got, 1, 1000) == 1 &&
	   epoll_wait(set, &got, 1, 1000) == 1 && epoll_wait(set, &got, 1, 1000) == 1, "an edge each time, read or not");
	timerfd_settime(fd, 0, &(struct itimerspec){ { 0, 0 }, { 0, 0 } }, NULL);
	ok(epoll_wait(set, &got, 1, 30) == 0 && !timerfd_gettime(fd, &time) && !time.it_value.tv_nsec, "stopped");
	close(fd);
	fd = timer(3600000 * MILLISECOND, 0);
	if (!(last = fork())) {
		rest(30);
		_exit(timerfd_settime(fd, 0, &(struct itimerspec){ { 0, 0 }, { 0, 1000000 } }, NULL) != 0);
	}
	ok(read(fd, &value, 8) == 8 && finish(last) == 0, "who waits for one that is set anew");
	close(fd);
	fd = timer(1, 1);
	rest(5);
	ok(read(fd, &value, 8) == 8 && value > 1000 && ready(fd) == POLLIN, "each nanosecond");
	close(fd), close(set);
}

/* --- signals -------------------------------------------------------------------------------------------- */

static int set_of(int fd, int first, int second, int flags)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, first);
	sigaddset(&set, second);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(fd, &set, flags);
}

static void signals(void)
{
	int fd = set_of(-1, SIGUSR1, SIGRTMIN + 1, SFD_NONBLOCK | SFD_CLOEXEC), other = eventfd(0, 0);
	struct signalfd_siginfo got[4];
	sigset_t set;
	pid_t child;

	sigemptyset(&set);
	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && fails(signalfd(-1, &set, 0x40000000), EINVAL) &&
	   fails(signalfd(99, &set, 0), EBADF) && fails(signalfd(other, &set, 0), EINVAL) && fails(signalfd(-1, NULL, 0), EINVAL),
	   "EINVAL, EBADF");
	ok(fails(read(fd, got, sizeof(got)), EAGAIN) && fails(read(fd, got, 100), EINVAL) && fails(write(fd, got, 128), EINVAL) &&
	   !ready(fd), "nothing: EAGAIN");
	ok(!raise(SIGUSR1) && ready(fd) == POLLIN && read(fd, got, sizeof(got)) == 128 && got[0].ssi_signo == SIGUSR1 &&
	   got[0].ssi_pid == (uint32_t)getpid() && !ready(fd) && !sigpending(&set) && !sigismember(&set, SIGUSR1),
	   "one's own; it is pending no more");
	child = fork();
	if (!child) {
		sigqueue(getppid(), SIGRTMIN + 1, (union sigval){ .sival_int = 11 });
		sigqueue(getppid(), SIGRTMIN + 1, (union sigval){ .sival_int = 12 });
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	finish(child);
	ok(read(fd, got, sizeof(got)) == 3 * 128 && got[0].ssi_signo == SIGUSR1 && got[0].ssi_pid == (uint32_t)child &&
	   got[1].ssi_int == 11 && got[2].ssi_int == 12 && got[1].ssi_code == SI_QUEUE &&
	   got[1].ssi_signo == (uint32_t)SIGRTMIN + 1, "another's, queued ones each");
	ok(set_of(fd, SIGUSR2, SIGUSR2, 0) == fd && !raise(SIGUSR1) && !ready(fd) && !raise(SIGUSR2) && ready(fd) == POLLIN &&
	   read(fd, got, sizeof(got)) == 128 && got[0].ssi_signo == SIGUSR2, "another set");
	ok(set_of(fd, SIGUSR1, SIGALRM, 0) == fd && ready(fd) == POLLIN && read(fd, got, sizeof(got)) == 128 &&
	   got[0].ssi_signo == SIGUSR1, "what was pending before");
	close(fd), close(other);
}

static void waits(void)
{
	int fd = set_of(-1, SIGUSR1, SIGALRM, 0), set = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN }, event_got;
	struct pollfd one = { .fd = fd, .events = POLLIN };
	struct signalfd_siginfo got;
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	pid_t child = fork();

	if (!child) {
		rest(30);
		kill(getppid(), SIGUSR1);
		rest(30);
		kill(getppid(), SIGUSR1);
		rest(30);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	ok(read(fd, &got, sizeof(got)) == 128 && got.ssi_signo == SIGUSR1, "a read waits");
	ok(poll(&one, 1, 5000) == 1 && read(fd, &got, sizeof(got)) == 128, "poll does");
	ok(!epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) && epoll_wait(set, &event_got, 1, 5000) == 1 &&
	   read(fd, &got, sizeof(got)) == 128 && finish(child) == 0 && epoll_wait(set, &event_got, 1, 0) == 0, "epoll, too");
	setitimer(ITIMER_REAL, &soon, NULL);
	ok(poll(&one, 1, 5000) == 1 && read(fd, &got, sizeof(got)) == 128 && got.ssi_signo == SIGALRM, "a timer of the process");
	setitimer(ITIMER_REAL, &soon, NULL);
	ok(epoll_wait(set, &event_got, 1, 5000) == 1 && read(fd, &got, sizeof(got)) == 128 && got.ssi_signo == SIGALRM,
	   "by epoll");
	raise(SIGUSR1);
	ok(epoll_wait(set, &event_got, 1, 0) == 1 && poll(&one, 1, 0) == 1, "one's own, by epoll");
	child = fork();
	if (!child)
		_exit(ready(fd) != 0 || raise(SIGUSR1) || ready(fd) != POLLIN || read(fd, &got, sizeof(got)) != 128 ||
		      got.ssi_pid != (uint32_t)getpid());
	ok(finish(child) == 0 && ready(fd) == POLLIN && read(fd, &got, sizeof(got)) == 128, "a child reads its own");
	close(fd), close(set);
}

/* --- who is killed -------------------------------------------------------------------------------------- */

static void killed(void)
{
	int counter = eventfd(0, 0), time = timer(3600000 * MILLISECOND, 0), ended = 0;
	uint64_t value = 0;

	for (int i = 0; i < KILLED; i++) {
		pid_t child = fork();

		if (!child) {
			int own[3] = { timer(MILLISECOND, MILLISECOND), eventfd(0, 0), set_of(-1, SIGUSR1, SIGUSR2, 0) };
			struct pollfd all[5] = { { own[1], POLLIN, 0 }, { own[2], POLLIN, 0 }, { counter, POLLIN, 0 },
				{ time, POLLIN, 0 }, { own[0], i & 1 ? POLLIN : 0, 0 } };

			for (;;) {
				poll(all, 5, -1);
				if (i & 2)
					(void)read(own[0], &value, 8);
			}
		}
		rest((uint64_t)i % 5);
		kill(child, SIGKILL);
		ended += finish(child) == SIGKILL;
	}
	ok(ended == KILLED && !eventfd_write(counter, 1) && !eventfd_read(counter, &value) && value == 1, "twenty of them");
	ok(in_order(), "the keeper is in order");
	close(counter), close(time);
}

int main(void)
{
	counter_errors();
	counters();
	timer_errors();
	timers();
	signals();
	waits();
	killed();
	return tap_done();
}
