/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message queues: order, sizes, names and rights; waiting, times, signals, cancellation; notification by signal and
 * thread; fork, exec, poll; limits; who is killed leaves nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/posix_keeper.h"

#define NAME	"/queue"
#define ROUNDS	300
#define KILLED	40

static char bytes[65536];

static mqd_t make(const char *name, int flags, long most, long size)
{
	struct mq_attr attributes = { .mq_maxmsg = most, .mq_msgsize = size };

	return mq_open(name, O_CREAT | O_RDWR | flags, 0600, &attributes);
}

static bool fails(long result, int error)
{
	if (result == -1 && errno == error)
		return true;
	printf("# %ld, errno %d\n", result, errno);
	return false;
}

static struct timespec in_ms(long ms)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += ms * 1000000;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

static void names(void)
{
	char name[300] = "/";
	struct mq_attr got;
	mqd_t queue;

	ok(fails(mq_open(NAME, O_RDWR), ENOENT) && fails(mq_unlink(NAME), ENOENT), "none of that name");
	queue = mq_open(NAME, O_CREAT | O_RDWR, 0600, NULL);
	ok(queue >= 0 && fcntl(queue, F_GETFD) == FD_CLOEXEC && !mq_getattr(queue, &got) && got.mq_maxmsg == 10 &&
	   got.mq_msgsize == 8192 && !got.mq_curmsgs && !got.mq_flags, "one without attributes");
	ok(fails(make(NAME, O_EXCL, 1, 1), EEXIST) && !mq_close(queue) && fails(mq_close(queue), EBADF) &&
	   fails(mq_getattr(queue, &got), EBADF) && fails(mq_close(1), EBADF), "EEXIST, EBADF");
	memset(name + 1, 'n', 255);
	queue = make(name, 0, 1, 1);
	ok(queue >= 0 && !mq_close(queue) && !mq_unlink(name), "a name of NAME_MAX");
	name[256] = 'n';
	ok(fails(make(name, 0, 1, 1), ENAMETOOLONG) && fails(mq_unlink(name), ENAMETOOLONG), "one that is longer");
	ok(fails(make("/a/b", 0, 1, 1), EACCES) && fails(make("plain", 0, 1, 1), EINVAL) &&
	   fails(make("/", 0, 1, 1), ENOENT) && fails(mq_unlink("/"), ENOENT), "names that are none");
	ok(fails(make("/x", 0, 0, 1), EINVAL) && fails(make("/x", 0, 1, -1), EINVAL) &&
	   fails(make("/x", 0, 1025, 1), EINVAL) &&
	   fails(make("/x", 0, 1, 32769), EINVAL) && fails(mq_open("/x", O_RDWR), ENOENT), "attributes that are none");
	ok(!mq_unlink(NAME) && fails(mq_unlink(NAME), ENOENT), "it goes");
}

static void messages(void)
{
	mqd_t queue = make(NAME, O_NONBLOCK, 4, 100), reader = mq_open(NAME, O_RDONLY), writer = mq_open(NAME, O_WRONLY);
	struct mq_attr got, old;
	unsigned priority;
	bool good = true;

	ok(!mq_send(queue, "low", 3, 0) && !mq_send(queue, "high", 4, 7) && !mq_send(queue, "high too", 8, 7) &&
	   !mq_send(writer, "", 0, 3), "four messages");
	ok(fails(mq_send(queue, "more", 4, 1), EAGAIN) && !mq_getattr(queue, &got) && got.mq_curmsgs == 4 &&
	   got.mq_flags == O_NONBLOCK, "it is full");
	good &= mq_receive(reader, bytes, 100, &priority) == 4 && priority == 7 && !memcmp(bytes, "high", 4);
	good &= mq_receive(reader, bytes, 200, &priority) == 8 && priority == 7;
	good &= mq_receive(queue, bytes, 100, &priority) == 0 && priority == 3;
	good &= mq_receive(queue, bytes, 100, NULL) == 3 && !memcmp(bytes, "low", 3);
	ok(good && fails(mq_receive(queue, bytes, 100, NULL), EAGAIN), "they come by priority, then as they were sent");
	ok(fails(mq_receive(queue, bytes, 99, NULL), EMSGSIZE) && fails(mq_send(queue, bytes, 101, 0), EMSGSIZE) &&
	   fails(mq_send(queue, bytes, 65536, 0), EMSGSIZE) && fails(mq_send(queue, bytes, 1, 32768), EINVAL) &&
	   fails(mq_send(reader, bytes, 1, 0), EBADF) && fails(mq_receive(writer, bytes, 100, NULL), EBADF) &&
	   fails(mq_send(77, bytes, 1, 0), EBADF) && fails(mq_receive(0, bytes, 100, NULL), EBADF), "errors");
	ok(fails(read(queue, bytes, 100), EINVAL) && fails(write(queue, bytes, 1), EINVAL), "no read, no write");
	got = (struct mq_attr){ .mq_flags = 0, .mq_maxmsg = 99 };
	ok(!mq_setattr(queue, &got, &old) && old.mq_flags == O_NONBLOCK && !mq_getattr(queue, &got) && !got.mq_flags &&
	   got.mq_maxmsg == 4, "mq_setattr changes O_NONBLOCK only");
	for (int i = 0; i < 2000 && good; i++) {
		good &= !mq_send(queue, (const char *)&i, sizeof(i), (unsigned)i % 32768);
		good &= mq_receive(reader, bytes, 100, &priority) == 4 && priority == (unsigned)i && !memcmp(bytes, &i, 4);
	}
	ok(good, "two thousand");
	ok(!mq_unlink(NAME) && !mq_send(writer, "x", 1, 0) && mq_receive(reader, bytes, 100, NULL) == 1 &&
	   fails(mq_open(NAME, O_RDWR), ENOENT), "unlinked, it is there for who has it");
	ok(!mq_close(queue) && !mq_close(reader) && !mq_close(writer) && in_order(), "closed");
}

static void rights(void)
{
	mqd_t queue = make(NAME, 0, 1, 1);
	struct stat st;
	pid_t pid;

	fchmod(queue, 0);
	ok(!fstat(queue, &st) && (st.st_mode & 0777) == 0600, "its mode");
	mq_close(queue);
	umask(0);
	queue = mq_open("/all", O_CREAT | O_RDWR, 0642, NULL);
	pid = fork();
	if (pid == 0) {
		if (setgid(7) || setuid(500) || !fails(mq_open(NAME, O_RDWR), EACCES) || !fails(mq_unlink(NAME), EACCES) ||
		    !fails(mq_open("/all", O_RDONLY), EACCES) || mq_open("/all", O_WRONLY) < 0 ||
		    !fails(mq_open("/all", O_RDWR), EACCES) || mq_send(queue, "x", 1, 0))
			_exit(1);
		_exit(0);
	}
	ok(finish(pid) == 0 && mq_receive(queue, bytes, 8192, NULL) == 1, "rights; what was open stays so over fork");
	mq_close(queue);
	mq_unlink("/all");
	mq_unlink(NAME);
	umask(022);
}

static volatile int handled, value, code;

static void handle(int number, siginfo_t *info, void *context)
{
	(void)context;
	handled = number;
	value = info->si_value.sival_int;
	code = info->si_code;
}

static void *cancelled(void *queue)
{
	mq_receive(*(mqd_t *)queue, bytes, 100, NULL);
	return NULL;
}

static void waits(void)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };
	mqd_t queue = make(NAME, 0, 1, 100);
	struct timespec at = in_ms(30), bad = { .tv_nsec = 1000000000 };
	pthread_t thread;
	void *result;
	pid_t pid;

	ok(fails(mq_timedreceive(queue, bytes, 100, NULL, &at), ETIMEDOUT) &&
	   fails(mq_timedreceive(queue, bytes, 100, NULL, &bad), EINVAL), "nothing comes in time");
	ok(!mq_timedsend(queue, "one", 3, 0, &bad) && fails(mq_timedsend(queue, "two", 3, 0, &at), ETIMEDOUT) &&
	   fails(mq_timedsend(queue, "two", 3, 0, &bad), EINVAL), "no room in time; who need not wait needs no time");
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(mq_receive(queue, bytes, 100, NULL) != 3 || memcmp(bytes, "one", 3));
	}
	ok(!mq_send(queue, "two", 3, 0) && finish(pid) == 0, "a sender waits for room");
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(mq_send(queue, "three", 5, 0) != 0);
	}
	ok(mq_receive(queue, bytes, 100, NULL) == 3 && mq_receive(queue, bytes, 100, NULL) == 5 && finish(pid) == 0,
	   "a receiver waits for a message");
	sigaction(SIGALRM, &action, NULL);
	ualarm(20000, 20000);
	ok(fails(mq_receive(queue, bytes, 100, NULL), EINTR) && handled == SIGALRM, "a signal ends the wait");
	action.sa_flags |= SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	at = in_ms(60);
	ok(fails(mq_timedreceive(queue, bytes, 100, NULL, &at), ETIMEDOUT), "but not with SA_RESTART");
	ualarm(0, 0);
	pthread_create(&thread, NULL, cancelled, &queue);
	usleep(10000);
	pthread_cancel(thread);
	ok(!pthread_join(thread, &result) && result == PTHREAD_CANCELED, "a thread is cancelled in it");
	struct pollfd poll_for = { .fd = queue, .events = POLLIN | POLLOUT };
	ok(poll(&poll_for, 1, 0) == 1 && poll_for.revents == POLLOUT && !mq_send(queue, "x", 1, 0) &&
	   poll(&poll_for, 1, 0) == 1 && poll_for.revents == POLLIN, "poll");
	mq_receive(queue, bytes, 100, NULL);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(mq_send(queue, "x", 1, 0) != 0);
	}
	poll_for.events = POLLIN;
	ok(poll(&poll_for, 1, 5000) == 1 && mq_receive(queue, bytes, 100, NULL) == 1 && finish(pid) == 0,
	   "poll waits for it");
	mq_close(queue);
	mq_unlink(NAME);
}

static volatile int called;

static void call(union sigval with)
{
	called += with.sival_int;
}

static bool soon(volatile int *what)
{
	for (int i = 0; i < 200 && !*what; i++)
		usleep(5000);
	return *what != 0;
}

static void notification(void)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };
	struct sigevent by_signal = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42 };
	struct sigevent by_thread = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = call,
		.sigev_value.sival_int = 7 };
	struct sigevent by_none = { .sigev_notify = SIGEV_NONE }, wrong = { .sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = 64 };
	mqd_t queue = make(NAME, 0, 4, 100), again;
	struct timespec at;
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	ok(fails(mq_notify(99, &by_signal), EBADF) && fails(mq_notify(queue, &wrong), EINVAL), "EBADF, EINVAL");
	handled = 0;
	ok(!mq_notify(queue, &by_signal) && fails(mq_notify(queue, &by_signal), EBUSY), "one only");
	pid = fork();
	if (pid == 0)
		_exit(!fails(mq_notify(queue, &by_none), EBUSY) || mq_notify(queue, NULL) || mq_send(queue, "x", 1, 0));
	ok(finish(pid) == 0 && soon(&handled) && handled == SIGUSR1 && value == 42 && code == SI_MESGQ,
	   "a message from another process: a signal with its value");
	handled = 0;
	mq_receive(queue, bytes, 100, NULL);
	mq_send(queue, "x", 1, 0);
	ok(!handled && !mq_notify(queue, &by_signal) && !mq_send(queue, "y", 1, 0) && !handled,
	   "once; and not while it is not empty");
	mq_receive(queue, bytes, 100, NULL);
	mq_receive(queue, bytes, 100, NULL);
	at = in_ms(20);
	mq_timedreceive(queue, bytes, 100, NULL, &at);
	pid = fork();
	if (pid == 0)
		_exit(mq_receive(queue, bytes, 100, NULL) != 1);
	usleep(300000);
	ok(!mq_send(queue, "x", 1, 0) && finish(pid) == 0 && !handled, "who waits has the message, and nobody is told");
	pid = fork();
	if (pid == 0)
		mq_receive(queue, bytes, 100, NULL);
	usleep(300000);
	kill(pid, SIGKILL);
	finish(pid);
	ok(!mq_send(queue, "x", 1, 0) && handled == SIGUSR1, "who waited and was killed waits no longer");
	mq_receive(queue, bytes, 100, NULL);
	handled = 0;
	again = mq_open(NAME, O_RDWR);
	ok(!mq_notify(again, &by_signal) && !mq_close(again) && !mq_notify(queue, &by_none) && !mq_notify(queue, NULL) &&
	   !mq_notify(queue, NULL), "closed: it is registered no longer");
	ok(!mq_notify(queue, &by_thread) && fails(mq_notify(queue, &by_thread), EBUSY) && !mq_send(queue, "x", 1, 0) &&
	   soon(&called) && called == 7, "a thread is called");
	mq_receive(queue, bytes, 100, NULL);
	ok(!mq_notify(queue, &by_thread) && !mq_notify(queue, NULL) && !mq_send(queue, "x", 1, 0) && !usleep(200000) &&
	   called == 7, "and is not, if it was withdrawn");
	mq_receive(queue, bytes, 100, NULL);
	ok(!mq_notify(queue, &by_thread) && !mq_send(queue, "x", 1, 0) && !mq_close(queue) && !usleep(300000) && called == 14,
	   "a message that came before the end counts");
	mq_unlink(NAME);
	ok(in_order(), "the keeper is in order");
}

/* Who sends is who is told, by SIGKILL; and the queue has no name, and nobody else has it. */
static void told_by_kill(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	unsigned good = 0;

	for (unsigned i = 0; i < 30; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			mqd_t queue = make("/gone", O_CREAT | O_RDWR, 4, 100);

			mq_notify(queue, &event);
			mq_unlink("/gone");
			mq_send(queue, bytes, 100, 1);
			_exit(1);
		}
		good += finish(pid) == SIGKILL;
	}
	ok(good == 30 && in_order(), "a message whose notification ends its sender, and with him the queue (%u)", good);
}

static void limits(void)
{
	mqd_t queue[70];
	char name[16];
	int made = 0, all;
	bool good = true;

	for (; made < 70; made++) {
		snprintf(name, sizeof(name), "/many%d", made);
		queue[made] = make(name, 0, 1, 1);
		if (queue[made] < 0)
			break;
	}
	all = made;
	ok(made == 64 && errno == ENOSPC, "%d queues, then ENOSPC", made);
	while (made-- > 0) {
		snprintf(name, sizeof(name), "/many%d", made);
		good &= !mq_close(queue[made]) && !mq_unlink(name);
	}
	ok(good && all && fails(make("/big", 0, 1024, 32768), ENOSPC), "more than one may have: ENOSPC");
	queue[0] = make("/big", 0, 100, 32768);
	for (made = 0; made < 100; made++)
		good &= !mq_send(queue[0], bytes, 32768, 0);
	ok(good && in_order() && !mq_close(queue[0]) && !mq_unlink("/big"), "3 MiB in one");
}

static void over_exec(char *self)
{
	mqd_t queue = make(NAME, 0, 1, 100);
	char number[12];
	pid_t pid;

	snprintf(number, sizeof(number), "%d", queue);
	pid = fork();
	if (pid == 0) {
		execl(self, self, number, NULL);
		_exit(9);
	}
	ok(finish(pid) == 0, "exec closes it");
	mq_close(queue);
	mq_unlink(NAME);
}

static void killed(void)
{
	uint32_t free_before = 0;
	bool good = true;

	for (int i = 0; i < KILLED; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			for (;;) {
				mqd_t queue = make(NAME, O_NONBLOCK, 4, 1000);
				struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };

				signal(SIGUSR1, SIG_IGN);
				mq_notify(queue, &event);
				mq_send(queue, bytes, 1000, (unsigned)rand() % 100);
				mq_send(queue, bytes, 10, (unsigned)rand() % 100);
				mq_receive(queue, bytes, 1000, NULL);
				mq_unlink(NAME);
				mq_close(queue);
			}
		}
		usleep((useconds_t)(1000 + i * 517));
		kill(pid, SIGKILL);
		good &= finish(pid) == SIGKILL && in_order();
		if (i == KILLED / 2)
			free_before = core_info->frames_free;
	}
	mq_unlink(NAME);
	ok(good, "%d killed at work, the keeper in order each time", KILLED);
	ok((int)(free_before - core_info->frames_free) < 64, "no frames are lost");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return fcntl(atoi(argv[1]), F_GETFD) != -1;
	names();
	messages();
	rights();
	waits();
	notification();
	told_by_kill();
	limits();
	over_exec(argv[0]);
	killed();
	return tap_done();
}
