/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asynchronous input and output: files in any order, a pipe that has nothing yet, lists, signals and threads that tell,
 * cancelling, closing, fork, and what is asked wrongly. The Open POSIX Test Suite has the rest (test/e2e/posix_suite.py).
 */
#include <aio.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test/guest/tap.h"

#define MANY	40
#define BYTES	3000

static volatile sig_atomic_t told, told_value;
static volatile int called;

static void on_signal(int number, siginfo_t *info, void *state)
{
	(void)number;
	(void)state;
	told += info->si_code == SI_ASYNCIO;
	told_value = info->si_value.sival_int;
}

static void on_call(union sigval value)
{
	__atomic_add_fetch(&called, value.sival_int, __ATOMIC_RELEASE);
}

static int await(struct aiocb *cb)
{
	const struct aiocb *const list[] = { NULL, cb };

	while (aio_error(cb) == EINPROGRESS)
		(void)aio_suspend(list, 2, NULL);
	return aio_error(cb);
}

static bool same_as(const char *memory, char byte)
{
	for (int i = 0; i < BYTES; i++)
		if (memory[i] != byte)
			return false;
	return true;
}

/* Pieces of a file, written in the wrong order and read in another. */
static void file(int fd)
{
	static struct aiocb cb[MANY], sync;
	static char memory[MANY][BYTES];
	bool good = true;

	for (int i = MANY - 1; i >= 0; i--) {
		memset(memory[i], 'A' + i, BYTES);
		cb[i] = (struct aiocb){ .aio_fildes = fd, .aio_buf = memory[i], .aio_nbytes = BYTES, .aio_offset = i * BYTES };
		good = good && !aio_write(&cb[i]);
	}
	sync = (struct aiocb){ .aio_fildes = fd };
	ok(good && !aio_fsync(O_SYNC, &sync) && !await(&sync) && !aio_return(&sync), "%d writes and what makes them last", MANY);
	for (int i = 0; i < MANY; i++)
		good = good && !aio_error(&cb[i]) && aio_return(&cb[i]) == BYTES;
	ok(good && lseek(fd, 0, SEEK_END) == MANY * BYTES, "which waits for all that came before it");
	ok(aio_return(&sync) < 0 && errno == EINVAL, "a result is had once");
	memset(memory, 0, sizeof(memory));
	for (int i = 0; i < MANY; i++)
		good = good && !aio_read(&cb[i]);
	for (int i = 0; i < MANY; i++)
		good = good && !await(&cb[i]) && aio_return(&cb[i]) == BYTES && same_as(memory[i], (char)('A' + i));
	ok(good, "and as many reads");
}

static void waits(void)
{
	struct timespec moment = { 0, 20000000 };
	char byte = 0, other = 0;
	int ends[2];

	ok(!pipe(ends), "a pipe");
	struct aiocb cb = { .aio_fildes = ends[0], .aio_buf = &byte, .aio_nbytes = 1 };
	struct aiocb next = { .aio_fildes = ends[0], .aio_buf = &other, .aio_nbytes = 1 };
	const struct aiocb *const list[] = { &cb };
	ok(!aio_read(&cb) && aio_suspend(list, 1, &moment) < 0 && errno == EAGAIN && aio_error(&cb) == EINPROGRESS,
	   "what has nothing to read is waited for, with a limit");
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	ok(aio_suspend(list, 1, NULL) < 0 && errno == EINTR, "a signal ends the waiting");
	ok(!aio_read(&next) && aio_cancel(ends[0], &next) == AIO_CANCELED && aio_error(&next) == ECANCELED &&
	   aio_return(&next) < 0 && errno == ECANCELED, "one behind it is cancelled");
	ok(aio_cancel(ends[0], &cb) == AIO_NOTCANCELED, "it itself not any more");
	pid_t pid = fork();
	if (!pid)
		_exit(aio_cancel(ends[0], NULL) == AIO_ALLDONE && write(ends[1], "x", 1) == 1 ? 0 : 1);
	int status = -1;
	ok(waitpid(pid, &status, 0) == pid && !status, "a child has none of its parent's");
	ok(!await(&cb) && aio_return(&cb) == 1 && byte == 'x', "and what it sends comes");
	ok(aio_cancel(ends[0], NULL) == AIO_ALLDONE, "then nothing is left");
	close(ends[0]);
	close(ends[1]);
}

/* One thread is idle, and two requests come before it has woken: one that nobody answers but by the other. */
static void two_at_once(int fd)
{
	struct timespec moment = { 1, 0 };
	char from = 'a', to = 0;
	int ends[2];

	struct aiocb cb = { .aio_fildes = fd, .aio_buf = &from, .aio_nbytes = 1 };
	bool good = !aio_write(&cb) && !await(&cb) && !pipe(ends);
	struct aiocb reads = { .aio_fildes = ends[0], .aio_buf = &to, .aio_nbytes = 1 };
	struct aiocb writes = { .aio_fildes = ends[1], .aio_buf = &from, .aio_nbytes = 1 };
	const struct aiocb *const list[] = { &reads };
	ok(good && !aio_read(&reads) && !aio_write(&writes) && !aio_suspend(list, 1, &moment) && aio_return(&reads) == 1 &&
	   to == 'a' && !await(&writes), "a thread that was called for one request is not counted on for the next");
	close(ends[0]);
	close(ends[1]);
}

static void tells(int fd)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
	char memory[3][16] = { "one", "two", "three" };
	struct aiocb cb[3], *list[4] = { &cb[0], NULL, &cb[1], &cb[2] };

	sigaction(SIGRTMIN, &action, NULL);
	for (int i = 0; i < 3; i++)
		cb[i] = (struct aiocb){ .aio_fildes = fd, .aio_buf = memory[i], .aio_nbytes = 16, .aio_offset = i * 16,
			.aio_lio_opcode = LIO_WRITE, .aio_sigevent = { .sigev_notify = SIGEV_THREAD,
			.sigev_notify_function = on_call, .sigev_value = { .sival_int = 1 << i } } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value = { .sival_int = 77 } };
	ok(!lio_listio(LIO_NOWAIT, list, 4, &event), "a list that tells");
	for (int i = 0; i < 300 && (!told || called != 7); i++)
		usleep(10000);
	ok(told == 1 && told_value == 77 && called == 7, "by one signal, and by a thread for each: %d, %d", told, called);
	cb[1].aio_fildes = -1;
	ok(lio_listio(LIO_WAIT, list, 4, NULL) < 0 && errno == EIO && !aio_error(&cb[0]) && aio_error(&cb[1]) == EBADF &&
	   !aio_error(&cb[2]), "one of a list fails");
	list[2] = NULL;
	ok(!lio_listio(LIO_WAIT, list, 4, NULL) && aio_return(&cb[0]) == 16, "a list that is waited for");
}

static void wrong(int fd)
{
	struct aiocb cb = { .aio_fildes = 99 }, *list[] = { &cb };
	const struct timespec bad = { 0, -1 };

	ok(aio_read(&cb) < 0 && errno == EBADF && aio_fsync(O_SYNC, &cb) < 0 && errno == EBADF, "no such descriptor");
	cb.aio_fildes = fd;
	ok(aio_error(&cb) < 0 && errno == EINVAL, "what was never asked has no state");
	ok(aio_fsync(O_RDWR, &cb) < 0 && errno == EINVAL, "neither way of making it last");
	cb.aio_offset = -1;
	ok(aio_read(&cb) < 0 && errno == EINVAL, "an offset below 0");
	cb.aio_offset = 0;
	cb.aio_reqprio = AIO_PRIO_DELTA_MAX + 1;
	ok(aio_write(&cb) < 0 && errno == EINVAL, "a priority that there is not");
	ok(lio_listio(5, list, 1, NULL) < 0 && errno == EINVAL && lio_listio(LIO_WAIT, list, AIO_LISTIO_MAX + 1, NULL) < 0 &&
	   errno == EINVAL, "a list too long, or of no known mode");
	ok(aio_suspend((const struct aiocb *const *)list, 1, &bad) < 0 && errno == EINVAL && aio_cancel(99, NULL) < 0 &&
	   errno == EBADF, "a time that is none; cancelling on nothing");
}

int main(void)
{
	static char memory[100000];
	int fd = open("/tmp/aio", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct aiocb cb;

	two_at_once(fd);
	file(fd);
	waits();
	tells(fd);
	wrong(fd);
	cb = (struct aiocb){ .aio_fildes = fd, .aio_buf = memory, .aio_nbytes = sizeof(memory) };
	ok(!aio_write(&cb) && !close(fd) && !aio_error(&cb) && aio_return(&cb) == sizeof(memory), "closing waits for a file's");
	fd = open("/tmp/aio", O_RDWR);
	cb.aio_fildes = fd;
	for (int i = 0; i < 300 && !aio_write(&cb); i++)
		;				/* all into the same aiocb, and then the end */
	return tap_done();
}
