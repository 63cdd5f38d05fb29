/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message queues: they are the keeper's (libos/keep/mqueue.c).
 *
 * A registration with SIGEV_THREAD has a thread, which waits until the keeper says that the registration holds no
 * longer, and then calls the function: unless this process itself has withdrawn it (settle).
 */
#include <errno.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "libos/posix/thread.h"

#define MESSAGES	10		/* of a queue that is made without attributes */
#define BYTES		8192

_Static_assert(sizeof(struct mq_attr) == sizeof(struct wire_mq_attributes), "as the keeper writes it");

/* A name without its slash; NULL: it can be none. */
static const char *name_of(const char *name)
{
	return name[0] == '/' && name[1] ? name + 1 : NULL;
}

mqd_t mq_open(const char *path, int flags, ...)
{
	const char *name = name_of(path);
	const struct mq_attr *attributes = NULL;
	uint64_t most = MESSAGES, bytes = BYTES;
	mode_t mode = 0;
	va_list list;

	if (flags & O_CREAT) {
		va_start(list, flags);
		mode = (mode_t)va_arg(list, int);
		attributes = va_arg(list, const struct mq_attr *);
		va_end(list);
	}
	if (attributes) {
		bool good = attributes->mq_maxmsg > 0 && attributes->mq_maxmsg <= INT32_MAX &&
			attributes->mq_msgsize > 0 && attributes->mq_msgsize <= INT32_MAX;

		most = good ? (uint64_t)attributes->mq_maxmsg : 0;	/* wrong only if the queue is made */
		bytes = good ? (uint64_t)attributes->mq_msgsize : 0;
	}
	if (!name)
		return (mqd_t)posix_result(path[0] == '/' || !path[0] ? -ENOENT : -EINVAL);
	return (mqd_t)posix_result(posix_ask_path(REQUEST_MQ_OPEN, name, (unsigned)flags, mode, most << 32 | bytes, NULL));
}

int mq_unlink(const char *path)
{
	const char *name = name_of(path);

	return (int)posix_result(name ? posix_ask_path(REQUEST_MQ_UNLINK, name, 0, 0, 0, NULL) : -ENOENT);
}

static int64_t attributes_of(mqd_t queue, bool set, uint64_t flags, struct mq_attr *old)
{
	int64_t result;

	posix_lock();
	result = posix_ask(REQUEST_MQ_ATTRIBUTES, (uint64_t)(int64_t)queue, set, flags, NULL);
	if (!result && old)
		memcpy(old, posix_buffer, sizeof(*old));
	posix_unlock();
	return result;
}

int mq_getattr(mqd_t queue, struct mq_attr *attributes)
{
	return (int)posix_result(attributes_of(queue, false, 0, attributes));
}

int mq_setattr(mqd_t queue, const struct mq_attr *restrict attributes, struct mq_attr *restrict old)
{
	return (int)posix_result(attributes_of(queue, true, (uint64_t)attributes->mq_flags, old));
}

/* --- messages ------------------------------------------------------------------------------------------------- */

/* Only who has to wait is told that its time is none. */
static int64_t await(const struct timespec *until)
{
	exo_time_t deadline = EXO_NEVER;
	int error = until ? posix_deadline(CLOCK_REALTIME, until, &deadline) : 0;

	return error ? -error : posix_sleep(deadline, POSIX_RESTARTS);
}

int mq_timedsend(mqd_t queue, const char *message, size_t bytes, unsigned priority, const struct timespec *until)
{
	int64_t result;

	posix_cancel_check();
	do {
		posix_lock();
		memcpy(posix_buffer, message, bytes < WIRE_BUFFER ? bytes : 0);
		result = posix_ask(REQUEST_MQ_SEND, (uint64_t)(int64_t)queue, bytes, priority, NULL);
		posix_unlock();
	} while (result == WIRE_WAIT && !(result = await(until)));
	return (int)posix_result(result);
}

int mq_send(mqd_t queue, const char *message, size_t bytes, unsigned priority)
{
	return mq_timedsend(queue, message, bytes, priority, NULL);
}

static void forget(void *queue)
{
	(void)posix_ask(REQUEST_MQ_FORGET, (uint64_t)(int64_t)*(mqd_t *)queue, 0, 0, NULL);
}

static int64_t receive(mqd_t queue, char *to, size_t room, unsigned *priority)
{
	uint64_t more[2];
	int64_t result;

	posix_lock();
	result = posix_ask(REQUEST_MQ_RECEIVE, (uint64_t)(int64_t)queue, room, 0, more);
	if (result >= 0) {
		memcpy(to, posix_buffer, (size_t)result);
		if (priority)
			*priority = (unsigned)more[0];
	}
	posix_unlock();
	return result;
}

ssize_t mq_timedreceive(mqd_t queue, char *restrict to, size_t room, unsigned *restrict priority,
			const struct timespec *restrict until)
{
	int64_t result, woken = 0;

	posix_cancel_check();
	result = receive(queue, to, room, priority);
	if (result != WIRE_WAIT)
		return posix_result(result);
	pthread_cleanup_push(forget, &queue);
	while (result == WIRE_WAIT && !(woken = await(until)))
		result = receive(queue, to, room, priority);
	pthread_cleanup_pop(woken != 0);
	return posix_result(woken ? woken : result);
}

ssize_t mq_receive(mqd_t queue, char *to, size_t room, unsigned *priority)
{
	return mq_timedreceive(queue, to, room, priority, NULL);
}

/* --- notification --------------------------------------------------------------------------------------------- */

struct helper {
	struct helper *next;
	int32_t pid;			/* of the process in which its thread is */
	mqd_t queue;
	uint64_t token;
	bool came, withdrawn;
	void (*function)(union sigval);
	union sigval value;
};

static struct helper *helpers;
static uint64_t tokens;

/* Inside brackets. The process withdraws what it has registered: unless a message came before. */
static void settle(mqd_t queue)
{
	for (struct helper *helper = helpers; helper; helper = helper->next) {
		if (helper->queue != queue || helper->pid != posix_page->pid || helper->came)
			continue;
		helper->came = !posix_ask(REQUEST_MQ_NOTIFY, (uint64_t)(int64_t)queue, WIRE_MQ_ASK, helper->token,
					  NULL);
		helper->withdrawn = !helper->came;
	}
}

static void unlist(struct helper *helper)
{
	struct helper **link = &helpers;

	while (*link != helper)
		link = &(*link)->next;
	*link = helper->next;
}

static void *run(void *arg)
{
	struct helper *helper = arg, own;
	int64_t result = posix_ask_wait(REQUEST_MQ_NOTIFY, (uint64_t)(int64_t)helper->queue, WIRE_MQ_ASK, helper->token,
					NULL, EXO_NEVER, POSIX_FIRM);
	bool was = posix_enter();

	unlist(helper);
	own = *helper;
	posix_leave(was);
	free(helper);
	if (own.came || (!result && !own.withdrawn))
		own.function(own.value);
	return NULL;
}

static int start(struct helper *helper, const struct sigevent *event)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	if (event->sigev_notify_attributes)
		attributes = *event->sigev_notify_attributes;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, run, helper);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static int64_t notify_thread(mqd_t queue, const struct sigevent *event)
{
	struct helper *helper = malloc(sizeof(*helper));
	int64_t result;
	bool was;

	if (!helper)
		return -ENOMEM;
	was = posix_enter();
	*helper = (struct helper){ helpers, posix_page->pid, queue, ++tokens, false, false, event->sigev_notify_function,
		event->sigev_value };
	result = posix_ask(REQUEST_MQ_NOTIFY, (uint64_t)(int64_t)queue, WIRE_MQ_THREAD, helper->token, NULL);
	if (!result) {
		helpers = helper;
		result = -start(helper, event);
		if (result) {
			unlist(helper);
			(void)posix_ask(REQUEST_MQ_NOTIFY, (uint64_t)(int64_t)queue, WIRE_MQ_NOT, 0, NULL);
		}
	}
	posix_leave(was);
	if (result)
		free(helper);
	return result;
}

int mq_notify(mqd_t queue, const struct sigevent *event)
{
	uint64_t kind = WIRE_MQ_NOT, number = 0, value = 0;
	int64_t result;
	bool was;

	if (event && event->sigev_notify == SIGEV_THREAD)
		return (int)posix_result(notify_thread(queue, event));
	if (event && event->sigev_notify != SIGEV_SIGNAL && event->sigev_notify != SIGEV_NONE)
		return (int)posix_result(-EINVAL);
	if (event) {
		kind = event->sigev_notify == SIGEV_NONE ? WIRE_MQ_NONE : WIRE_MQ_SIGNAL;
		number = kind == WIRE_MQ_SIGNAL ? (uint32_t)event->sigev_signo : 0;
		memcpy(&value, &event->sigev_value, sizeof(value));
	}
	was = posix_enter();
	if (!event)
		settle(queue);
	result = posix_ask(REQUEST_MQ_NOTIFY, (uint64_t)(int64_t)queue, kind | number << 32, value, NULL);
	posix_leave(was);
	return (int)posix_result(result);
}

int mq_close(mqd_t queue)
{
	bool was = posix_enter();
	struct wire_mq_attributes attributes;
	int result = attributes_of(queue, false, 0, (struct mq_attr *)&attributes) ? -1 : 0;

	if (result) {
		errno = EBADF;
	} else {
		settle(queue);
		result = close(queue);
	}
	posix_leave(was);
	return result;
}
