/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asynchronous input and output: requests in a queue, done by threads that come when there is work and go after a
 * second without.
 *
 * A1 a request is in the queue from its call to its end; one that a thread works on runs, others wait. Of the program's
 *    memory it touches the buffer, and at its end the result: who asks and ends without waiting harms nobody
 * A2 of one descriptor, reads are done in the order of their calls, and so are writes; a synchronisation waits for all
 *    that came before it, and what comes after waits for it
 * A3 `ended` counts all that ended; who waits for some waits for it to change
 * A4 a request's error is stored last: then the program may use its memory again
 * A5 close() waits for what was asked of a regular file, so that it is done as if it had come before
 * A child of fork has none of its parent's requests.
 */
#include <aio.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libos/posix/io.h"
#include "libos/posix/signal_private.h"
#include "libos/posix/thread.h"

#define QUEUE_MAX	AIO_MAX
#define WORKERS_MAX	16
#define WORKER_STACK	(64 * 1024)
#define IDLE_SECONDS	1

enum kind { READS, WRITES, SYNCS };
enum state { NEVER, ASKED = 0x61696f31, ENDED };		/* of the program's aiocb */

/* The requests of one lio_listio that is to tell when all of them have ended. */
struct list {
	unsigned left;
	struct sigevent event;
};

struct request {
	struct request *next;
	struct aiocb *cb;
	struct list *list;
	enum kind kind;
	bool runs;
	int fd, how;
	off_t offset;
	void *memory;
	size_t bytes;
	struct sigevent event;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct request requests[QUEUE_MAX];
static struct request *first, **last = &first, *unused;
static unsigned made, queued, workers, idle;	/* requests that were ever used; in the queue; threads; those without work ... */
static unsigned called;				/* ... of which so many were called and have not yet come */
static uint32_t ended;
static bool fork_known;

static int fail(int error)
{
	errno = error;
	return -1;
}

/* --- telling -------------------------------------------------------------------------------------------------- */

struct call {
	void (*function)(union sigval);
	union sigval value;
};

static void *call(void *arg)
{
	struct call made = *(struct call *)arg;

	free(arg);
	made.function(made.value);
	return NULL;
}

static void call_in_thread(const struct sigevent *event)
{
	struct call *made = malloc(sizeof(*made));
	pthread_attr_t attributes;
	pthread_t thread;

	if (event->sigev_notify_attributes)
		attributes = *event->sigev_notify_attributes;
	else
		pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (made)
		*made = (struct call){ event->sigev_notify_function, event->sigev_value };
	if (made && pthread_create(&thread, &attributes, call, made))
		free(made);
}

static void tell(const struct sigevent *event)
{
	siginfo_t info = { .si_signo = event->sigev_signo, .si_code = SI_ASYNCIO, .si_value = event->sigev_value,
		.si_pid = getpid(), .si_uid = getuid() };

	if (event->sigev_notify == SIGEV_THREAD) {
		call_in_thread(event);
	} else if (event->sigev_notify == SIGEV_SIGNAL && signal_valid(event->sigev_signo)) {
		bool was = posix_enter();

		(void)signal_post(NULL, &info);
		posix_leave(was);
	}
}

/* Out of the queue, with a result; not holding the lock afterwards. */
static void end(struct request *request, ssize_t result, int error)
{
	const struct sigevent event = request->event;
	struct list *list = request->list;
	struct request **at = &first;
	bool was;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	if (last == &request->next)
		last = at;
	request->next = unused;
	unused = request;
	queued--;
	if (idle)
		pthread_cond_broadcast(&work);		/* some may have waited for this one */
	request->cb->__result = result;
	request->cb->__state = ENDED;
	__atomic_store_n(&request->cb->__error, error, __ATOMIC_RELEASE);
	__atomic_add_fetch(&ended, 1, __ATOMIC_RELEASE);
	if (list && --list->left)
		list = NULL;
	pthread_mutex_unlock(&lock);
	was = posix_enter();
	posix_word_wake(&ended, UINT32_MAX, false);
	posix_leave(was);
	tell(&event);
	if (list) {
		tell(&list->event);
		free(list);
	}
}

/* --- doing ---------------------------------------------------------------------------------------------------- */

static bool must_wait(const struct request *request)
{
	for (const struct request *before = first; before != request; before = before->next)
		if (before->fd == request->fd && (before->kind == request->kind || before->kind == SYNCS ||
						  request->kind == SYNCS))
			return true;
	return false;
}

static struct request *next_request(void)
{
	struct request *request = first;

	while (request && (request->runs || must_wait(request)))
		request = request->next;
	return request;
}

static ssize_t perform(const struct request *request)
{
	ssize_t done;

	if (request->kind == SYNCS)
		return request->how == O_DSYNC ? fdatasync(request->fd) : fsync(request->fd);
	done = request->kind == READS ? pread(request->fd, request->memory, request->bytes, request->offset) :
		pwrite(request->fd, request->memory, request->bytes, request->offset);
	if (done >= 0 || errno != ESPIPE)
		return done;
	return request->kind == READS ? read(request->fd, request->memory, request->bytes) :
		write(request->fd, request->memory, request->bytes);
}

/* Holding the lock: false: a second without work. */
static bool await_work(void)
{
	struct timespec until;
	int error;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_SECONDS;
	idle++;
	error = pthread_cond_timedwait(&work, &lock, &until);
	idle--;
	called -= called != 0;
	return error != ETIMEDOUT;
}

static void *worker(void *arg)
{
	struct request *request;
	ssize_t result;
	int error;

	(void)arg;
	pthread_mutex_lock(&lock);
	for (;;) {
		request = next_request();
		if (!request && !await_work() && !(request = next_request()))
			break;
		if (!request)
			continue;
		request->runs = true;
		pthread_mutex_unlock(&lock);
		result = perform(request);
		error = result < 0 ? errno : 0;
		pthread_mutex_lock(&lock);
		end(request, result, error);
		pthread_mutex_lock(&lock);
	}
	workers--;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	work = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	first = unused = NULL;
	last = &first;
	made = queued = workers = idle = called = 0;
}

/* Holding the lock: somebody will do what was queued; false: nobody can. */
static bool worker_ready(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int error;

	if (!fork_known && pthread_atfork(NULL, NULL, forked))
		return false;
	fork_known = true;
	if (idle > called || workers == WORKERS_MAX) {
		called += idle > called;
		pthread_cond_signal(&work);
		return true;
	}
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, WORKER_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(&thread, &attributes, worker, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	workers += !error;
	return workers != 0;
}

/* --- asking --------------------------------------------------------------------------------------------------- */

/* Is the descriptor one for this? Else the request itself ends so, if nobody asks before. */
static bool descriptor_fits(const struct aiocb *cb, enum kind kind)
{
	int flags = fcntl(cb->aio_fildes, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != (kind == READS ? O_WRONLY : O_RDONLY);
}

/* Holding the lock. NULL: there are too many. */
static struct request *request_new(void)
{
	struct request *request = unused;

	if (request)
		unused = request->next;
	else if (made < QUEUE_MAX)
		request = &requests[made++];
	return request;
}

/* 0, or an error, and then nothing is queued. */
static int ask(struct aiocb *cb, enum kind kind, int how, struct list *list)
{
	struct request *request;

	if (kind != SYNCS && (cb->aio_nbytes > SSIZE_MAX || cb->aio_offset < 0 || cb->aio_reqprio < 0 ||
			      cb->aio_reqprio > AIO_PRIO_DELTA_MAX))
		return EINVAL;
	pthread_mutex_lock(&lock);
	request = worker_ready() ? request_new() : NULL;
	if (!request) {
		pthread_mutex_unlock(&lock);
		return EAGAIN;
	}
	*request = (struct request){ NULL, cb, list, kind, false, cb->aio_fildes, how, cb->aio_offset,
		(void *)cb->aio_buf, cb->aio_nbytes, cb->aio_sigevent };
	cb->__state = ASKED;
	cb->__error = EINPROGRESS;
	*last = request;
	last = &request->next;
	queued++;
	pthread_mutex_unlock(&lock);
	return 0;
}

static int ask_one(struct aiocb *cb, enum kind kind, int how)
{
	int error = descriptor_fits(cb, kind) ? ask(cb, kind, how, NULL) : EBADF;

	return error ? fail(error) : 0;
}

int aio_read(struct aiocb *cb)
{
	return ask_one(cb, READS, 0);
}

int aio_write(struct aiocb *cb)
{
	return ask_one(cb, WRITES, 0);
}

int aio_fsync(int how, struct aiocb *cb)
{
	return how == O_SYNC || how == O_DSYNC ? ask_one(cb, SYNCS, how) : fail(EINVAL);
}

static int error_of(const struct aiocb *cb)
{
	return __atomic_load_n(&cb->__error, __ATOMIC_ACQUIRE);
}

int aio_error(const struct aiocb *cb)
{
	return cb->__state == ASKED || cb->__state == ENDED ? error_of(cb) : fail(EINVAL);
}

/* One that waits and is meant by aio_cancel. Holding the lock. */
static struct request *to_cancel(int fd, const struct aiocb *only, bool *runs)
{
	struct request *request = first;

	for (*runs = false; request; request = request->next) {
		if (request->fd != fd || (only && request->cb != only))
			continue;
		if (!request->runs)
			return request;
		*runs = true;
	}
	return NULL;
}

int aio_cancel(int fd, struct aiocb *only)
{
	struct request *request;
	bool some = false, runs;

	if (fcntl(fd, F_GETFD) < 0)
		return -1;
	if (only && only->aio_fildes != fd)
		return fail(EINVAL);
	for (;;) {
		pthread_mutex_lock(&lock);
		request = to_cancel(fd, only, &runs);
		if (!request)
			break;
		some = true;
		end(request, -1, ECANCELED);
	}
	pthread_mutex_unlock(&lock);
	return runs ? AIO_NOTCANCELED : some ? AIO_CANCELED : AIO_ALLDONE;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

/* How many of a list are still to end. */
static int unended(const struct aiocb *const list[], int count, int *all)
{
	int left = *all = 0;

	for (int i = 0; i < count; i++) {
		if (!list[i])
			continue;
		++*all;
		left += list[i]->__state == ASKED && error_of(list[i]) == EINPROGRESS;
	}
	return left;
}

/* Until at most `most` of a list are unended, or not all are any more (most < 0); 0, or an error. */
static int await(const struct aiocb *const list[], int count, int most, exo_time_t deadline)
{
	int error = 0, all;

	for (;;) {
		uint32_t seen = __atomic_load_n(&ended, __ATOMIC_ACQUIRE);
		int left = unended(list, count, &all);

		if (left <= (most < 0 ? all - 1 : most))
			return 0;
		if (error || !all)
			return -error;
		bool was = posix_enter();
		error = posix_word_wait(&ended, seen, false, deadline);
		posix_leave(was);
	}
}

/* Of one that has not ended nobody should ask: its end is waited for. */
ssize_t aio_return(struct aiocb *cb)
{
	const struct aiocb *const list[] = { cb };
	ssize_t result;

	while (cb->__state == ASKED)
		(void)await(list, 1, 0, EXO_NEVER);
	if (cb->__state != ENDED)
		return fail(EINVAL);
	result = cb->__result;
	cb->__state = NEVER;
	return result < 0 ? fail(cb->__error) : result;
}

/* Is something asked of the descriptor? */
static bool pending(int fd)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (const struct request *request = first; request; request = request->next)
		found = found || request->fd == fd;
	pthread_mutex_unlock(&lock);
	return found;
}

void posix_aio_closing(int fd)
{
	uint32_t seen;
	struct stat st;

	while (queued) {
		seen = __atomic_load_n(&ended, __ATOMIC_ACQUIRE);
		if (!pending(fd) || fstat(fd, &st) || !S_ISREG(st.st_mode))
			return;
		bool was = posix_enter();
		posix_cancel_hold();
		(void)posix_word_wait(&ended, seen, false, EXO_NEVER);
		posix_cancel_release();
		posix_leave(was);
	}
}

int aio_suspend(const struct aiocb *const list[], int count, const struct timespec *timeout)
{
	exo_time_t deadline = EXO_NEVER;
	int error;

	if (count < 0 || (timeout && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000)))
		return fail(EINVAL);
	if (timeout)
		deadline = posix_later(timeout);
	pthread_testcancel();
	error = await(list, count, -1, deadline);
	return error == ETIMEDOUT ? fail(EAGAIN) : error ? fail(error) : 0;
}

/* One more of a list has been dealt with, by nobody's asking. */
static void list_leave(struct list *list, unsigned requests)
{
	bool over;

	if (!list)
		return;
	pthread_mutex_lock(&lock);
	list->left -= requests;
	over = !list->left;
	pthread_mutex_unlock(&lock);
	if (over) {
		tell(&list->event);
		free(list);
	}
}

int lio_listio(int mode, struct aiocb *restrict const *restrict list, int count, struct sigevent *restrict event)
{
	struct list *all = NULL;
	bool failed = false;
	unsigned unasked = 1;		/* the list itself, until all are asked for */
	int error, cause = EIO;

	if ((mode != LIO_WAIT && mode != LIO_NOWAIT) || count < 0 || count > AIO_LISTIO_MAX)
		return fail(EINVAL);
	if (mode == LIO_NOWAIT && event && event->sigev_notify != SIGEV_NONE) {
		all = malloc(sizeof(*all));
		if (!all)
			return fail(EAGAIN);
		*all = (struct list){ (unsigned)count + 1, *event };
	}
	for (int i = 0; i < count; i++) {
		if (!list[i] || list[i]->aio_lio_opcode == LIO_NOP) {
			unasked++;
			continue;
		}
		error = list[i]->aio_lio_opcode == LIO_READ ? ask(list[i], READS, 0, all) :
			list[i]->aio_lio_opcode == LIO_WRITE ? ask(list[i], WRITES, 0, all) : EINVAL;
		if (!error)
			continue;
		list[i]->__result = -1;
		list[i]->__error = error;
		list[i]->__state = ENDED;
		cause = error == EAGAIN ? EAGAIN : cause;
		failed = true;
		unasked++;
	}
	list_leave(all, unasked);
	if (mode == LIO_NOWAIT)
		return failed ? fail(cause) : 0;
	error = await((const struct aiocb *const *)list, count, 0, EXO_NEVER);
	if (error)
		return fail(error);
	for (int i = 0; i < count; i++)
		if (list[i] && list[i]->aio_lio_opcode != LIO_NOP && error_of(list[i]))
			return fail(EIO);
	return 0;
}
