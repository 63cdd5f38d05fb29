/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes from the console where nobody types: `exo run` was given a file or a pipe. Process 1 has it as descriptor 0,
 * which is no terminal: bytes as they are, and an end (libos/core/input.c). What is not read yet stays in the kernel and
 * with `exo run`, so nothing is lost however slow the reader.
 *
 * N1 the ring holds `tail` - `head` bytes; only the reader empties it, and it is filled when somebody looks
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "libos/keep/tty.h"

#define BYTES	4096		/* a power of 2 */

bool keep_input_plain;

static char ring[BYTES];
static uint32_t head, tail;
static bool ended;
static struct keep_queue readers;

static bool fill(void)
{
	while (!ended && tail - head < BYTES) {
		uint32_t at = tail % BYTES, room = BYTES - (tail - head);
		int64_t some = core_input();

		if (some == CORE_INPUT_END || some < 0)
			ended = true;
		if (some <= 0)
			break;
		if (room > BYTES - at)
			room = BYTES - at;
		tail += (uint32_t)core_read(ring + at, (uint64_t)some < room ? (size_t)some : room);
	}
	return head != tail || ended;
}

static int64_t input_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes, int64_t offset)
{
	uint64_t done = 0;

	(void)file;
	if (offset != -1)
		return -ESPIPE;
	if (!fill()) {
		keep_wait(&readers, request->process);
		return WIRE_WAIT;
	}
	while (done < bytes && head != tail) {
		uint32_t at = head % BYTES, part = tail - head;

		if (part > BYTES - at)
			part = BYTES - at;
		if (part > bytes - done)
			part = (uint32_t)(bytes - done);
		memcpy(to + done, ring + at, part);
		head += part;
		done += part;
	}
	return (int64_t)done;
}

static int64_t input_stat(struct keep_file *file, struct stat *st)
{
	(void)file;
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFIFO | S_IRUSR | S_IWUSR;
	st->st_nlink = 1;
	st->st_blksize = BYTES;
	return 0;
}

static short input_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	(void)file;
	bool ready = fill();

	if (wait && (!ready || process->index == KEEP_WATCHER))
		keep_wait(&readers, process);
	if (!ready)
		return 0;
	return (short)((events & (POLLIN | POLLRDNORM)) | (ended && head == tail ? POLLHUP : 0));
}

static const struct keep_kind input_kind = { .read = input_read, .stat = input_stat, .poll = input_poll };

static exo_time_t look(void *arg)
{
	(void)arg;
	if (fill())
		keep_wake(&readers);
	return EXO_NEVER;
}

struct keep_file *keep_input_make(void)
{
	static struct thread_poller poller = { .poll = look };

	if (!poller.next)
		thread_add_poller(&poller);
	return keep_file_make(&input_kind, NULL, O_RDONLY);
}
