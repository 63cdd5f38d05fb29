/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes: bytes from those who write to those who read, in a ring.
 *
 * The ring is PIPE_FIRST bytes in the pipe's own record; when more is in it, memory of its own, up to
 * PIPE_BYTES, which goes as soon as the pipe is empty. Each user has a limit for both; beyond it a pipe stays
 * as small as it is.
 *
 * P1 who writes at most PIPE_ATOMIC bytes (or what the ring can be, if memory is short) writes all or waits
 * P2 who waits is in `readers` or `writers` and is woken when there is data, room, or no other end any more
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "libos/core/copy.h"
#include "libos/fs/posix.h"
#include "libos/keep/pipe.h"

/* Linked if there are signals. */
#pragma weak keep_signal

#define USERS		128
#define USER_PIPES	1024
#define USER_BYTES	(8u << 20)
#define SPARE_MAX	8

struct pipe_user {
	uid_t uid;
	uint32_t pipes, bytes;		/* 0 pipes: the record is free */
};

static struct pipe_user users[USERS];
static uint64_t numbers;
static struct keep_pipe *spare[SPARE_MAX];
static unsigned spare_count;

/* --- memory --------------------------------------------------------------------------------------------------- */

static struct pipe_user *user_of(uid_t uid)
{
	struct pipe_user *free = NULL;

	for (unsigned i = 0; i < USERS; i++) {
		if (users[i].pipes && users[i].uid == uid)
			return users[i].pipes < USER_PIPES ? &users[i] : NULL;
		if (!users[i].pipes && !free)
			free = &users[i];
	}
	if (free)
		*free = (struct pipe_user){ .uid = uid };
	return free;
}

struct keep_pipe *pipe_make(uid_t uid)
{
	struct pipe_user *user = user_of(uid);
	struct keep_pipe *pipe = !user ? NULL : spare_count ? spare[--spare_count] : malloc(sizeof(*pipe));

	if (!pipe)
		return NULL;
	memset(pipe, 0, offsetof(struct keep_pipe, first));
	pipe->ring = pipe->first;
	pipe->size = PIPE_FIRST;
	pipe->number = ++numbers;
	pipe->made = vfs_machine ? vfs_machine->now() : (struct fs_time){ 0, 0 };
	pipe->user = user;
	user->pipes++;
	return pipe;
}

static void shrink(struct keep_pipe *pipe)
{
	if (pipe->ring == pipe->first)
		return;
	free(pipe->ring);
	pipe->user->bytes -= pipe->size;
	pipe->ring = pipe->first;
	pipe->size = PIPE_FIRST;
	pipe->head = 0;
}

/* A ring for so many bytes in all, if that can be. */
static void grow(struct keep_pipe *pipe, uint32_t bytes)
{
	uint32_t size = pipe->size, first = pipe->size - pipe->head;
	char *ring;

	while (size < bytes && size < PIPE_BYTES)
		size *= 2;
	if (size == pipe->size || pipe->user->bytes + size > USER_BYTES || !(ring = malloc(size)))
		return;
	if (first > pipe->count)
		first = pipe->count;
	memcpy(ring, pipe->ring + pipe->head, first);
	memcpy(ring + first, pipe->ring, pipe->count - first);
	if (pipe->ring != pipe->first) {
		free(pipe->ring);
		pipe->user->bytes -= pipe->size;
	}
	pipe->user->bytes += size;
	pipe->ring = ring;
	pipe->size = size;
	pipe->head = 0;
}

void pipe_put(struct keep_pipe *pipe)
{
	if (pipe->ends[0] || pipe->ends[1] || pipe->awaited[0] || pipe->awaited[1])
		return;
	shrink(pipe);
	pipe->user->pipes--;
	if (pipe->name)
		fifo_free(pipe);
	if (spare_count < SPARE_MAX)
		spare[spare_count++] = pipe;
	else
		free(pipe);
}

static inline void wake(struct keep_queue *queue)
{
	if (!keep_queue_empty(queue))
		keep_wake(queue);
}

/* --- reading and writing -------------------------------------------------------------------------------------- */

void pipe_take(struct keep_pipe *pipe, uint32_t bytes)
{
	pipe->head = (pipe->head + bytes) & (pipe->size - 1);
	pipe->count -= bytes;
	if (!pipe->count)
		shrink(pipe);
	wake(&pipe->writers);
}

static bool has(const struct keep_pipe *pipe, int end)
{
	return pipe->ends[end] || pipe->awaited[end];
}

static int64_t pipe_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			 int64_t offset)
{
	struct keep_pipe *pipe = file->object;
	uint32_t now, first;

	if (offset != -1)
		return -ESPIPE;
	if (pipe->reader && (pipe->reader != request->process || pipe->gift))
		gift_end(pipe);
	if (!bytes)
		return 0;
	if (!pipe->count) {
		if (!has(pipe, 1))
			return 0;
		if (!(file->flags & O_NONBLOCK)) {
			if (pipe->name)
				keep_wait(&pipe->readers, request->process);
			else
				gift_stand(pipe, request->process, (int64_t)request->word[0]);
		}
		return WIRE_WAIT;
	}
	now = bytes < pipe->count ? (uint32_t)bytes : pipe->count;
	first = pipe->size - pipe->head;
	if (first > now)
		first = now;
	copy_few(to, pipe->ring + pipe->head, first);
	copy_few(to + first, pipe->ring, now - first);
	pipe_take(pipe, now);
	if (pipe->name)
		fifo_used(pipe, FS_SET_ACCESSED);
	return now;
}

/* How much can be written now of so much; 0: it must wait. */
static uint32_t room_for(struct keep_pipe *pipe, uint32_t bytes)
{
	uint32_t room;

	if (pipe->count + bytes > pipe->size)
		grow(pipe, pipe->count + bytes);
	room = pipe->size - pipe->count;
	if (bytes <= room)
		return bytes;
	return bytes <= PIPE_ATOMIC && bytes <= pipe->size ? 0 : room;
}

/*
 * What comes to an empty pipe at which somebody stands goes to him, and into the ring where it would be
 * without him. Nobody else may be waiting.
 */
static inline bool can_hand_over(const struct keep_pipe *pipe)
{
	return pipe->count == pipe->gift && pipe->ring == pipe->first &&
	    keep_queue_empty(&pipe->readers) && keep_queue_empty(&pipe->writers) &&
	    (!pipe->gift || __atomic_load_n(&pipe->reader->page->gift.state, __ATOMIC_ACQUIRE) == WIRE_TAKEN);
}

static int64_t hand_over(struct keep_pipe *pipe, const char *from, uint32_t bytes)
{
	struct wire_gift *gift = &pipe->reader->page->gift;

	pipe->head = 0;
	pipe->count = pipe->gift = gift->bytes = bytes;
	copy_few(pipe->first, from, bytes);
	copy_few(gift->data, pipe->first, bytes);
	__atomic_store_n(&gift->state, WIRE_OFFERED, __ATOMIC_RELEASE);
	keep_poke(pipe->reader);
	return bytes;
}

static __attribute__((noinline)) int64_t put(struct keep_file *file, struct keep_request *request, const char *from,
					     uint64_t bytes)
{
	struct keep_pipe *pipe = file->object;
	uint32_t now, tail, first;

	if (!has(pipe, 0)) {
		if (keep_signal)
			keep_signal(request->process, SIGPIPE, NULL);
		return -EPIPE;
	}
	if (!bytes)
		return 0;
	if (pipe->gift)
		gift_settle(pipe);
	now = room_for(pipe, bytes < PIPE_BYTES ? (uint32_t)bytes : PIPE_BYTES);
	if (!now) {
		if (!(file->flags & O_NONBLOCK))
			keep_wait(&pipe->writers, request->process);
		return WIRE_WAIT;
	}
	tail = (pipe->head + pipe->count) & (pipe->size - 1);
	first = pipe->size - tail;
	if (first > now)
		first = now;
	copy_few(pipe->ring + tail, from, first);
	copy_few(pipe->ring, from + first, now - first);
	pipe->count += now;
	if (pipe->reader)
		gift_make(pipe);
	wake(&pipe->readers);
	if (pipe->name)
		fifo_used(pipe, FS_SET_MODIFIED);
	return now;
}

static int64_t pipe_write(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
			  int64_t offset)
{
	struct keep_pipe *pipe = file->object;

	if (offset != -1)
		return -ESPIPE;
	if (pipe->reader && bytes - 1 < WIRE_GIFT && can_hand_over(pipe))
		return hand_over(pipe, from, (uint32_t)bytes);
	return put(file, request, from, bytes);
}

/* --- the rest of the kind ------------------------------------------------------------------------------------- */

static short pipe_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct keep_pipe *pipe = file->object;
	int way = file->flags & O_ACCMODE;
	short now = 0;

	if (pipe->gift)
		gift_settle(pipe);
	if (way != O_WRONLY) {
		now |= pipe->count ? POLLIN : 0;
		/* A FIFO that nobody has opened for writing yet has not been hung up. */
		now |= !has(pipe, 1) && pipe->opened[1] ? POLLHUP : 0;
		if (wait)
			keep_wait(&pipe->readers, process);
	}
	if (way != O_RDONLY) {
		bool room = pipe->count + PIPE_FIRST <= PIPE_BYTES && room_for(pipe, PIPE_FIRST) >= PIPE_FIRST;

		/* Without a reader a write ends at once, too: it fails. */
		now |= has(pipe, 0) ? room ? POLLOUT : 0 : POLLOUT | POLLERR;
		/* An edge is watched for although there is room now. */
		if (wait && (!(now & events & POLLOUT) || process->index == KEEP_WATCHER))
			keep_wait(&pipe->writers, process);
	}
	return now;
}

static int64_t pipe_ioctl(struct keep_file *file, struct keep_request *request, uint64_t number, char *argument)
{
	struct keep_pipe *pipe = file->object;
	int bytes;

	(void)request;
	if (number != FIONREAD)
		return -ENOTTY;
	if (pipe->gift)
		gift_settle(pipe);
	bytes = (int)pipe->count;
	memcpy(argument, &bytes, sizeof(bytes));
	return 0;
}

static int64_t pipe_stat(struct keep_file *file, struct stat *st)
{
	const struct keep_pipe *pipe = file->object;
	const struct fs_attributes attributes = { .number = pipe->number, .kind = FS_FIFO, .mode = 0600, .links = 1,
		.uid = pipe->user->uid, .accessed = pipe->made, .modified = pipe->made, .changed = pipe->made };

	vfs_to_stat(&attributes, 0, st);
	return 0;
}

static void pipe_closed_by(struct keep_file *file, struct keep_process *process)
{
	struct keep_pipe *pipe = file->object;

	if (pipe->reader == process)
		gift_forget(process);
}

static void pipe_flags(struct keep_file *file)
{
	gift_end_if(file->object);
}

static void pipe_close(struct keep_file *file)
{
	struct keep_pipe *pipe = file->object;
	int way = file->flags & O_ACCMODE;

	if (way != O_WRONLY && !--pipe->ends[0]) {
		gift_end_if(pipe);
		wake(&pipe->writers);
	}
	if (way != O_RDONLY && !--pipe->ends[1]) {
		gift_end_if(pipe);
		wake(&pipe->readers);
	}
	pipe_put(pipe);
}

const struct keep_kind keep_pipe_kind = {
	.read = pipe_read, .write = pipe_write, .stat = pipe_stat, .ioctl = pipe_ioctl, .poll = pipe_poll,
	.close = pipe_close, .closed_by = pipe_closed_by, .flags_set = pipe_flags,
};

/* What it is, its name says. */
const struct keep_kind keep_fifo_kind = {
	.read = pipe_read, .write = pipe_write, .ioctl = pipe_ioctl, .poll = pipe_poll,
	.close = pipe_close, .closed_by = pipe_closed_by, .flags_set = pipe_flags,
};

/* --- making --------------------------------------------------------------------------------------------------- */

struct keep_file *pipe_end(struct keep_pipe *pipe, const struct keep_kind *kind, int flags)
{
	struct keep_file *file = keep_file_make(kind, pipe, flags);
	int way = flags & O_ACCMODE;

	for (int end = 0; file && end < 2; end++)
		if (way == O_RDWR || way == (end ? O_WRONLY : O_RDONLY)) {
			pipe->ends[end]++;
			pipe->opened[end]++;
		}
	return file;
}

/* Both ends as descriptors; what was made goes if there is no room for both. */
static int64_t place_ends(struct keep_process *process, struct keep_file *in, struct keep_file *out, int flags,
			  uint64_t numbers_out[2])
{
	int64_t from = keep_fd_add(process, in, 0, flags & O_CLOEXEC);
	int64_t to = from < 0 ? from : keep_fd_add(process, out, 0, flags & O_CLOEXEC);

	if (to < 0) {
		if (from >= 0)
			(void)keep_fd_close(process, from);
		else
			keep_file_drop(in);
		keep_file_drop(out);
		return to;
	}
	numbers_out[0] = (uint64_t)from;
	numbers_out[1] = (uint64_t)to;
	return 0;
}

static int64_t do_pipe(struct keep_request *request)
{
	int flags = (int)request->word[0];
	struct keep_file *in, *out;
	struct keep_pipe *pipe;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	pipe = pipe_make(request->process->euid);
	if (!pipe)
		return -ENFILE;
	in = pipe_end(pipe, &keep_pipe_kind, O_RDONLY | (flags & O_NONBLOCK));
	out = in ? pipe_end(pipe, &keep_pipe_kind, O_WRONLY | (flags & O_NONBLOCK)) : NULL;
	if (!out) {
		if (in)
			keep_file_drop(in);
		else
			pipe_put(pipe);
		return -ENFILE;
	}
	return place_ends(request->process, in, out, flags, request->more);
}

void keep_pipe_start(void)
{
	keep_serve(REQUEST_PIPE, do_pipe);
}
