/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message queues (mqueue.h): a name, and messages in the order of their priorities, of one priority as they came.
 *
 * A queue is named in a table of its own; a descriptor of it is like any other (so fork, exec, O_NONBLOCK and poll need
 * nothing here), and only its requests are. It lives as long as it has its name or a description names it.
 * All that a queue may ever hold counts for the user who made it, from then on; its memory is taken with a message.
 *
 * Who waits for a message stands in `receivers`, and whoever does not any more leaves (FORGET, or the end of its
 * descriptor): the queue is emptied then, and those who still wait stand in it again when they have asked. So "nobody
 * waits" is exact, on which mq_notify depends. Pollers stand elsewhere.
 *
 * M1 `count` messages are in the list, at most `most`, none longer than `bytes`, priorities never rise
 * M2 who is to be notified lives and had a descriptor of the queue when it asked
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/files.h"
#include "libos/keep/ipc.h"

#define QUEUES_MAX	256
#define QUEUES_USER	64
#define CHARGE_MAX	(16u << 20)
#define CHARGE_USER	(4u << 20)
#define MOST_MESSAGES	1024		/* of a queue */
#define MOST_BYTES	32768		/* of a message */
#define IN		(POLLIN | POLLRDNORM)
#define OUT		(POLLOUT | POLLWRNORM)

struct letter {
	struct letter *next;
	uint32_t bytes, priority;
	char data[];
};

struct mqueue {
	struct mqueue *next;
	char name[NAME_MAX + 1];	/* "": it has none any more */
	uid_t uid;
	gid_t gid;
	mode_t mode;
	uint32_t opens;			/* descriptions of it */
	uint32_t most, bytes, count;
	struct letter *first;
	struct keep_queue receivers, senders, pollers, noticed;
	struct keep_process *notify;	/* NULL: nobody */
	int kind, number;		/* WIRE_MQ_*, signal */
	uint64_t value;			/* of the signal, or the waiting thread's token */
};

static struct mqueue *queues;
static const struct keep_kind mqueue_kind;

static uint32_t charge_of(uint32_t most, uint32_t bytes)
{
	return most * (bytes + (uint32_t)sizeof(struct letter) + 16) + (uint32_t)sizeof(struct mqueue);
}

static bool may_make(uid_t uid, uint32_t charge)
{
	uint32_t all[2] = { 1, charge }, own[2] = { 1, charge };

	for (const struct mqueue *queue = queues; queue; queue = queue->next) {
		uint32_t has = charge_of(queue->most, queue->bytes);

		all[0]++;
		all[1] += has;
		own[0] += queue->uid == uid;
		own[1] += queue->uid == uid ? has : 0;
	}
	return all[0] <= QUEUES_MAX && own[0] <= QUEUES_USER && all[1] <= CHARGE_MAX && own[1] <= CHARGE_USER;
}

static struct mqueue *find(const char *name)
{
	struct mqueue *queue = queues;

	while (queue && strcmp(queue->name, name))
		queue = queue->next;
	return queue;
}

/* It goes, when it has neither name nor description. */
static void put(struct mqueue *queue)
{
	struct mqueue **link = &queues;
	struct letter *letter;

	if (queue->opens || queue->name[0])
		return;
	while (*link != queue)
		link = &(*link)->next;
	*link = queue->next;
	while ((letter = queue->first) != NULL) {
		queue->first = letter->next;
		free(letter);
	}
	free(queue);
}

/* --- notification --------------------------------------------------------------------------------------------- */

static void notify_drop(struct mqueue *queue)
{
	queue->notify = NULL;
	keep_wake(&queue->noticed);
}

/*
 * A message has come to an empty queue for which nobody waits. The signal may be SIGKILL, and end whoever is told, who may
 * be the sender: what he held goes before keep_signal() returns, and the queue may be gone, too.
 */
static void notify(struct mqueue *queue, const struct keep_process *sender)
{
	struct keep_process *process = queue->notify;
	struct wire_signal info = { .code = SI_MESGQ, .pid = sender->pid, .uid = (int32_t)sender->uid,
		.value = queue->value };
	int number = queue->kind == WIRE_MQ_SIGNAL ? queue->number : 0;

	if (!process)
		return;
	notify_drop(queue);
	if (number)			/* 0: nothing comes */
		keep_signal(process, number, &info);
}

/* --- its kind ------------------------------------------------------------------------------------------------- */

static short mqueue_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct mqueue *queue = file->object;
	short now = (short)((queue->count ? IN : 0) | (queue->count < queue->most ? OUT : 0));

	if (wait && !(now & events))
		keep_wait(&queue->pollers, process);
	return (short)(now & events);
}

static int64_t mqueue_stat(struct keep_file *file, struct stat *st)
{
	const struct mqueue *queue = file->object;

	st->st_mode = S_IFREG | queue->mode;
	st->st_nlink = queue->name[0] != '\0';
	st->st_uid = queue->uid;
	st->st_gid = queue->gid;
	return 0;
}

static void mqueue_closed_by(struct keep_file *file, struct keep_process *process)
{
	struct mqueue *queue = file->object;

	if (queue->notify == process)
		notify_drop(queue);
	keep_wake(&queue->receivers);
}

static void mqueue_close(struct keep_file *file)
{
	struct mqueue *queue = file->object;

	if (!queue)			/* it came to nothing */
		return;
	queue->opens--;
	put(queue);
}

static const struct keep_kind mqueue_kind = { .poll = mqueue_poll, .stat = mqueue_stat, .close = mqueue_close,
	.closed_by = mqueue_closed_by };

/* --- open, unlink --------------------------------------------------------------------------------------------- */

/* What follows the slash. 0 or -errno. */
static int name_of(const struct keep_request *request, char name[NAME_MAX + 2])
{
	const char *slash;

	if (!keep_string(request, 0, name, NAME_MAX + 2))
		return -ENAMETOOLONG;
	slash = strchr(name, '/');
	return !name[0] ? -EINVAL : slash ? -EACCES : strlen(name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

static int make(const struct keep_process *process, const char *name, mode_t mode, uint64_t attributes,
		struct mqueue **made)
{
	uint64_t most = attributes >> 32, bytes = (uint32_t)attributes;
	struct mqueue *queue;

	if (!most || !bytes || most > MOST_MESSAGES || bytes > MOST_BYTES)
		return -EINVAL;
	if (!may_make(process->euid, charge_of((uint32_t)most, (uint32_t)bytes)))
		return -ENOSPC;
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return -ENOSPC;
	strcpy(queue->name, name);
	queue->uid = process->euid;
	queue->gid = process->egid;
	queue->mode = mode & 0777 & ~process->umask;
	queue->most = (uint32_t)most;
	queue->bytes = (uint32_t)bytes;
	queue->next = queues;
	*made = queues = queue;
	return 0;
}

static int get(const struct keep_process *process, const char *name, int flags, mode_t mode, uint64_t attributes,
	       struct mqueue **got)
{
	static const unsigned wanted[] = { [O_RDONLY] = IPC_READ, [O_WRONLY] = IPC_WRITE,
		[O_RDWR] = IPC_READ | IPC_WRITE };
	struct mqueue *queue = *got = find(name);

	if (!queue)
		return flags & O_CREAT ? make(process, name, mode, attributes, got) : -ENOENT;
	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	return ipc_may(process, queue->uid, queue->gid, queue->mode, wanted[flags & O_ACCMODE]) ? 0 : -EACCES;
}

static int64_t do_open(struct keep_request *request)
{
	struct keep_process *process = request->process;
	int flags = (int)request->word[0];
	char name[NAME_MAX + 2];
	struct keep_file *file;
	struct mqueue *queue;
	int64_t result = name_of(request, name);

	if (!result && (flags & O_ACCMODE) > O_RDWR)
		result = -EINVAL;
	if (!result && keep_fd_lowest(process, 0) < 0)
		result = -EMFILE;
	if (!result && !(file = keep_file_make(&mqueue_kind, NULL, flags & (O_ACCMODE | O_NONBLOCK))))
		result = -ENFILE;
	if (result)
		return result;
	result = get(process, name, flags, (mode_t)request->word[1], request->word[2], &queue);
	if (!result) {
		file->object = queue;
		queue->opens++;
		result = keep_fd_add(process, file, 0, true);
	}
	if (result < 0)
		keep_file_drop(file);
	return result;
}

static int64_t do_unlink(struct keep_request *request)
{
	const struct keep_process *process = request->process;
	char name[NAME_MAX + 2];
	int result = name_of(request, name);
	struct mqueue *queue;

	if (result)
		return result == -EINVAL ? -ENOENT : result;
	queue = find(name);
	if (!queue)
		return -ENOENT;
	if (process->euid && process->euid != queue->uid)
		return -EACCES;
	queue->name[0] = '\0';
	put(queue);
	return 0;
}

/* --- messages ------------------------------------------------------------------------------------------------- */

/* The queue of a descriptor that may do this. 0 or -EBADF. */
static int queue_of(const struct keep_request *request, int not, struct keep_file **file, struct mqueue **queue)
{
	*file = keep_fd_file(request->process, (int64_t)request->word[0]);
	if (!*file || (*file)->kind != &mqueue_kind || ((*file)->flags & O_ACCMODE) == not)
		return -EBADF;
	*queue = (*file)->object;
	return 0;
}

static void insert(struct mqueue *queue, struct letter *letter)
{
	struct letter **link = &queue->first;

	while (*link && (*link)->priority >= letter->priority)
		link = &(*link)->next;
	letter->next = *link;
	*link = letter;
	queue->count++;
}

static int64_t do_send(struct keep_request *request)
{
	uint64_t bytes = request->word[1], priority = request->word[2];
	struct letter *letter;
	struct keep_file *file;
	struct mqueue *queue;
	bool first;

	if (queue_of(request, O_RDONLY, &file, &queue))
		return -EBADF;
	if (priority >= WIRE_MQ_PRIORITIES)
		return -EINVAL;
	if (bytes > queue->bytes)
		return -EMSGSIZE;
	if (queue->count == queue->most) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		keep_wait(&queue->senders, request->process);
		return WIRE_WAIT;
	}
	letter = malloc(sizeof(*letter) + bytes);
	if (!letter)
		return -ENOMEM;
	letter->bytes = (uint32_t)bytes;
	letter->priority = (uint32_t)priority;
	memcpy(letter->data, request->data, bytes);
	first = !queue->count && keep_queue_empty(&queue->receivers);
	insert(queue, letter);
	keep_wake(&queue->receivers);
	keep_wake(&queue->pollers);
	if (first)
		notify(queue, request->process);	/* last: the queue may go with whom it ends */
	return 0;
}

static int64_t do_receive(struct keep_request *request)
{
	struct letter *letter;
	struct keep_file *file;
	struct mqueue *queue;
	int64_t bytes;

	if (queue_of(request, O_WRONLY, &file, &queue))
		return -EBADF;
	if (request->word[1] < queue->bytes)
		return -EMSGSIZE;
	letter = queue->first;
	if (!letter) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		keep_wait(&queue->receivers, request->process);
		return WIRE_WAIT;
	}
	queue->first = letter->next;
	queue->count--;
	bytes = letter->bytes;
	memcpy(request->data, letter->data, letter->bytes);
	request->more[0] = letter->priority;
	free(letter);
	keep_wake(&queue->senders);
	keep_wake(&queue->pollers);
	return bytes;
}

static int64_t do_forget(struct keep_request *request)
{
	struct keep_file *file;
	struct mqueue *queue;

	if (queue_of(request, -1, &file, &queue))
		return -EBADF;
	keep_wake(&queue->receivers);
	return 0;
}

/* --- attributes, notification --------------------------------------------------------------------------------- */

static int64_t do_attributes(struct keep_request *request)
{
	struct wire_mq_attributes attributes = { 0 };
	struct keep_file *file;
	struct mqueue *queue;

	if (queue_of(request, -1, &file, &queue))
		return -EBADF;
	attributes.flags = file->flags & O_NONBLOCK;
	attributes.most = queue->most;
	attributes.bytes = queue->bytes;
	attributes.count = queue->count;
	memcpy(request->data, &attributes, sizeof(attributes));
	if (request->word[1] == 1)
		file->flags = (file->flags & ~O_NONBLOCK) | ((int)request->word[2] & O_NONBLOCK);
	return 0;
}

/* Is that still registered? */
static int64_t registered(struct mqueue *queue, struct keep_process *process, uint64_t token)
{
	if (queue->notify != process || queue->kind != WIRE_MQ_THREAD || queue->value != token)
		return 0;
	keep_wait(&queue->noticed, process);
	return WIRE_WAIT;
}

static int64_t do_notify(struct keep_request *request)
{
	uint32_t kind = (uint32_t)request->word[1], number = (uint32_t)(request->word[1] >> 32);
	struct keep_process *process = request->process;
	struct keep_file *file;
	struct mqueue *queue;

	if (queue_of(request, -1, &file, &queue))
		return -EBADF;
	if (kind == WIRE_MQ_ASK)
		return registered(queue, process, request->word[2]);
	if (kind == WIRE_MQ_NOT) {
		if (queue->notify == process)
			notify_drop(queue);
		return 0;
	}
	if (kind > WIRE_MQ_NONE || (kind == WIRE_MQ_SIGNAL && number >= NSIG))
		return -EINVAL;
	if (queue->notify)
		return -EBUSY;
	queue->notify = process;
	queue->kind = (int)kind;
	queue->number = (int)number;
	queue->value = request->word[2];
	return 0;
}

/* --- start, check --------------------------------------------------------------------------------------------- */

static const char *check_queue(const struct mqueue *queue)
{
	uint32_t count = 0, priority = WIRE_MQ_PRIORITIES;

	for (const struct letter *letter = queue->first; letter; letter = letter->next, count++) {
		if (letter->bytes > queue->bytes || letter->priority > priority)
			return "M1: a message that is too long or at a wrong place";
		priority = letter->priority;
	}
	if (count != queue->count || count > queue->most)
		return "M1: a message queue with another number of messages";
	if (!queue->opens && !queue->name[0])
		return "M1: a message queue that nobody can reach";
	if (queue->notify && (queue->notify->state == KEEP_FREE || queue->notify->state == KEEP_ZOMBIE))
		return "M2: somebody to be notified who is gone";
	return NULL;
}

const char *keep_mqueue_check(void)
{
	const char *wrong = NULL;

	for (const struct mqueue *queue = queues; queue && !wrong; queue = queue->next)
		wrong = check_queue(queue);
	return wrong;
}

void keep_mqueue_start(void)
{
	keep_serve(REQUEST_MQ_OPEN, do_open);
	keep_serve(REQUEST_MQ_UNLINK, do_unlink);
	keep_serve(REQUEST_MQ_SEND, do_send);
	keep_serve(REQUEST_MQ_RECEIVE, do_receive);
	keep_serve(REQUEST_MQ_FORGET, do_forget);
	keep_serve(REQUEST_MQ_ATTRIBUTES, do_attributes);
	keep_serve(REQUEST_MQ_NOTIFY, do_notify);
}
