/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll: a set of descriptions, and those of them that may be ready.
 *
 * An item is asked for its state (its kind's `poll`) only when it is in its set's list `ready`: when it is
 * new or changed, when it was ready last time (level-triggered), or when a queue was woken in which it
 * waited. So a wait costs nothing for items that are idle. A queue knows processes only (keep.h); the items
 * together are one more of them, KEEP_WATCHER, and a hash by the queue's address says which items it is: those
 * go to `ready`, and wait no longer.
 *
 * A place in the hash may outlast the queue (a peer's, say): it is a number there, and wakes in vain at worst.
 *
 * E1 an item is in the lists of its set and of its description, and goes with either
 * E2 it is in `ready`, or waits in the queues that its last `poll` named, or is disarmed (ONESHOT)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/keep.h"

#define BUCKETS		1024
#define SETS		256		/* of a keeper */
#define SETS_USER	64
#define ITEMS		16384
#define ITEMS_USER	4096
#define ALWAYS		(POLLERR | POLLHUP)
#define IN		(POLLIN | POLLRDNORM)
#define OUT		(POLLOUT | POLLWRNORM)
#define KNOWN		(IN | OUT | POLLPRI | POLLRDBAND | POLLWRBAND | ALWAYS | WIRE_POLLRDHUP)

/* That an item waits in a queue. */
struct watch {
	struct watch *next, **link;	/* of its bucket; link NULL: it does not */
	const struct keep_queue *queue;
	struct epoll_item *item;
};

struct epoll_item {
	struct epoll_item *next, **link;		/* of its set */
	struct epoll_item *file_next, **file_link;	/* of its description */
	struct epoll_item *ready_next, **ready_link;	/* link NULL: it is not in `ready` */
	struct epoll_set *set;
	struct keep_file *file;
	int fd;				/* by which it was named */
	uint32_t events;		/* WIRE_EPOLL_*, and poll's bits: none, it is disarmed */
	uint64_t data;
	struct watch watch[2];
};

struct epoll_set {
	struct epoll_set *next, **link;
	struct epoll_item *items, *ready, **ready_end;
	struct keep_queue waiters;
	uint32_t count;
	uid_t uid;			/* who pays */
};

static struct epoll_set *sets;
static struct watch *buckets[BUCKETS];
static struct keep_process watcher;	/* index KEEP_WATCHER, nothing else */
static struct epoll_item *asked;	/* whose `poll` is being called */
static const struct keep_kind epoll_kind;

/* --- lists ---------------------------------------------------------------------------------------------------- */

static void make_ready(struct epoll_item *item)
{
	struct epoll_set *set = item->set;

	if (item->ready_link || !(item->events & KNOWN))
		return;
	item->ready_next = NULL;
	item->ready_link = set->ready_end;
	*set->ready_end = item;
	set->ready_end = &item->ready_next;
}

static void unready(struct epoll_item *item)
{
	if (!item->ready_link)
		return;
	*item->ready_link = item->ready_next;
	if (item->ready_next)
		item->ready_next->ready_link = item->ready_link;
	else
		item->set->ready_end = item->ready_link;
	item->ready_link = NULL;
}

static void unwatch(struct watch *watch)
{
	if (!watch->link)
		return;
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	watch->link = NULL;
}

static struct watch **bucket(const struct keep_queue *queue)
{
	return &buckets[((uintptr_t)queue >> 4) * 0x9e3779b97f4a7c15 >> 54];
}

static void end(struct epoll_item *item)
{
	unready(item);
	unwatch(&item->watch[0]);
	unwatch(&item->watch[1]);
	*item->link = item->next;
	if (item->next)
		item->next->link = item->link;
	*item->file_link = item->file_next;
	if (item->file_next)
		item->file_next->file_link = item->file_link;
	item->set->count--;
	free(item);
}

/* --- queues --------------------------------------------------------------------------------------------------- */

/* The item that is asked waits there, too. */
static void wait_in(const struct keep_queue *queue)
{
	struct watch *watch = &asked->watch[asked->watch[0].link != NULL], **head = bucket(queue);

	if (watch->link)
		return;			/* no kind has three */
	*watch = (struct watch){ *head, head, queue, asked };
	if (watch->next)
		watch->next->link = &watch->next;
	*head = watch;
}

static void woken(const struct keep_queue *queue)
{
	struct watch *next;

	for (struct watch *watch = *bucket(queue); watch; watch = next) {
		next = watch->next;
		if (watch->queue != queue)
			continue;
		unwatch(watch);
		make_ready(watch->item);
		keep_wake(&watch->item->set->waiters);
	}
}

static void watched(struct keep_queue *queue, bool woke)
{
	if (woke)
		woken(queue);
	else if (asked)
		wait_in(queue);
}

/* What is so of an item now; from now on it waits for changes. */
static uint32_t look(struct epoll_item *item)
{
	short events = (short)(item->events & KNOWN), now;

	unwatch(&item->watch[0]);
	unwatch(&item->watch[1]);
	asked = item;
	now = item->file->kind->poll(item->file, &watcher, events, true);
	asked = NULL;
	if (now & POLLNVAL)
		now = POLLERR | POLLHUP;
	now |= (short)((now & POLLIN ? POLLRDNORM : 0) | (now & POLLOUT && !(now & POLLHUP) ? POLLWRNORM : 0));
	return (uint32_t)(now & (events | ALWAYS));
}

/* --- a set ---------------------------------------------------------------------------------------------------- */

/* Level-triggered items that are ready stand at the end of the list, so that all have their turn. */
static int64_t harvest(struct epoll_set *set, char *to, uint64_t most)
{
	struct epoll_item *last = NULL, *item;
	uint64_t got = 0;

	while (got < most && (item = set->ready) && item != last) {
		struct wire_event event = { .data = item->data };

		unready(item);
		event.events = look(item);
		if (!event.events)
			continue;
		memcpy(to + got++ * sizeof(event), &event, sizeof(event));
		if (item->events & WIRE_EPOLL_ONCE)
			item->events &= ~(uint32_t)KNOWN;
		else if (!(item->events & WIRE_EPOLL_EDGE))
			make_ready(item);
		if (!last && item->ready_link)
			last = item;
	}
	return (int64_t)got;
}

/* For poll and select of the set itself: nothing is taken. */
static short set_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct epoll_set *set = file->object;
	struct epoll_item *item, *next;

	for (item = set->ready; item; item = next) {
		next = item->ready_next;
		if (look(item))
			return (short)(events & IN);
		unready(item);
	}
	if (wait)
		keep_wait(&set->waiters, process);
	return 0;
}

static int64_t set_stat(struct keep_file *file, struct stat *st)
{
	(void)file;
	st->st_mode = S_IRUSR | S_IWUSR;
	st->st_nlink = 1;
	return 0;
}

static void set_close(struct keep_file *file)
{
	struct epoll_set *set = file->object;

	while (set->items)
		end(set->items);
	*set->link = set->next;
	if (set->next)
		set->next->link = set->link;
	free(set);
}

static const struct keep_kind epoll_kind = { .poll = set_poll, .stat = set_stat, .close = set_close };

void epoll_unwatch(struct keep_file *file)
{
	while (file->watched)
		end(file->watched);
}

/* May this user have one more item, or set? */
static bool may(uid_t uid, bool item)
{
	uint32_t all[2] = { 0 }, own[2] = { 0 };

	for (struct epoll_set *set = sets; set; set = set->next) {
		all[0]++;
		all[1] += set->count;
		own[0] += set->uid == uid;
		own[1] += set->uid == uid ? set->count : 0;
	}
	return item ? all[1] < ITEMS && own[1] < ITEMS_USER : all[0] < SETS && own[0] < SETS_USER;
}

/* --- requests ------------------------------------------------------------------------------------------------- */

static int64_t do_epoll(struct keep_request *request)
{
	struct keep_process *process = request->process;
	struct epoll_set *set;
	struct keep_file *file;
	int64_t fd;

	if (request->word[0] & ~(uint64_t)O_CLOEXEC)
		return -EINVAL;
	if (!may(process->euid, false))
		return -EMFILE;
	set = calloc(1, sizeof(*set));
	file = set ? keep_file_make(&epoll_kind, set, O_RDWR) : NULL;
	if (!file) {
		free(set);
		return -ENOMEM;
	}
	set->ready_end = &set->ready;
	set->uid = process->euid;
	set->next = sets;
	set->link = &sets;
	if (sets)
		sets->link = &set->next;
	sets = set;
	fd = keep_fd_add(process, file, 0, request->word[0] & O_CLOEXEC);
	if (fd < 0)
		keep_file_drop(file);
	return fd;
}

static struct epoll_item *find(const struct epoll_set *set, const struct keep_file *file, int fd)
{
	struct epoll_item *item = file->watched;

	while (item && (item->set != set || item->fd != fd))
		item = item->file_next;
	return item;
}

static struct epoll_item *add(struct epoll_set *set, struct keep_file *file, int fd)
{
	struct epoll_item *item = may(set->uid, true) ? calloc(1, sizeof(*item)) : NULL;

	if (!item)
		return NULL;
	item->set = set;
	item->file = file;
	item->fd = fd;
	item->next = set->items;
	item->link = &set->items;
	if (item->next)
		item->next->link = &item->next;
	set->items = item;
	item->file_next = file->watched;
	item->file_link = &file->watched;
	if (item->file_next)
		item->file_next->file_link = &item->file_next;
	file->watched = item;
	set->count++;
	return item;
}

static int64_t do_ctl(struct keep_request *request)
{
	struct keep_file *on = keep_fd_file(request->process, (int32_t)request->word[0]);
	int fd = (int32_t)request->word[1], operation = (int)(request->word[0] >> 32);
	struct keep_file *file = keep_fd_file(request->process, fd);
	struct epoll_item *item;

	if (!on || !file)
		return -EBADF;
	if (on->kind != &epoll_kind || file->kind == &epoll_kind)
		return -EINVAL;
	if (!file->kind->poll)
		return -EPERM;
	item = find(on->object, file, fd);
	if (operation == WIRE_EPOLL_ADD ? item != NULL : !item)
		return item ? -EEXIST : -ENOENT;
	if (operation == WIRE_EPOLL_DEL) {
		end(item);
		return 0;
	}
	if (operation != WIRE_EPOLL_ADD && operation != WIRE_EPOLL_MOD)
		return -EINVAL;
	if (!item && !(item = add(on->object, file, fd)))
		return -ENOSPC;
	item->events = (uint32_t)(request->word[1] >> 32) | ALWAYS;
	item->data = request->word[2];
	make_ready(item);
	keep_wake(&item->set->waiters);
	return 0;
}

static int64_t do_wait(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	struct epoll_set *set;
	int64_t got;

	if (!file)
		return -EBADF;
	if (file->kind != &epoll_kind || request->word[1] - 1 >= WIRE_EVENTS)
		return -EINVAL;
	set = file->object;
	got = harvest(set, request->data, request->word[1]);
	if (got || request->word[2] == 1)
		return got;
	keep_wait(&set->waiters, request->process);
	return WIRE_WAIT;
}

const char *keep_epoll_check(void)
{
	for (struct epoll_set *set = sets; set; set = set->next) {
		uint32_t count = 0;

		for (struct epoll_item *item = set->items; item; item = item->next, count++) {
			if (item->set != set || find(set, item->file, item->fd) != item || !item->file->refs)
				return "C5: an item of epoll that its description does not know";
			if (!item->ready_link && item->events & KNOWN && !item->watch[0].link &&
			    !(item->events & WIRE_EPOLL_EDGE))
				return "C5: an item of epoll that waits for nothing";
		}
		if (count != set->count)
			return "C5: a set of epoll with another number of items";
	}
	return NULL;
}

void keep_epoll_start(void)
{
	watcher.index = KEEP_WATCHER;
	keep_watch = watched;
	keep_serve(REQUEST_EPOLL, do_epoll);
	keep_serve(REQUEST_EPOLL_CTL, do_ctl);
	keep_serve(REQUEST_EPOLL_WAIT, do_wait);
}
