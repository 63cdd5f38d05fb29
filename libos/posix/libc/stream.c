/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stdio lacks: printing to a descriptor, streams into memory.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int vdprintf(int fd, const char *restrict format, va_list list)
{
	char *text;
	int length = vasprintf(&text, format, list), at = 0;

	if (length < 0)
		return -1;
	while (at < length) {
		ssize_t done = write(fd, text + at, (size_t)(length - at));
		if (done < 0 && errno != EINTR) {
			length = -1;
			break;
		}
		at += done > 0 ? (int)done : 0;
	}
	free(text);
	return length;
}

int dprintf(int fd, const char *restrict format, ...)
{
	va_list list;
	int length;

	va_start(list, format);
	length = vdprintf(fd, format, list);
	va_end(list);
	return length;
}

/* --- memory --------------------------------------------------------------------------------------------- */

struct memory {
	char **out, *bytes;
	size_t *out_count, room, count, at;	/* count: as far as it was written */
};

static void tell(struct memory *memory)
{
	*memory->out = memory->bytes;
	*memory->out_count = memory->at < memory->count ? memory->at : memory->count;
}

static ssize_t memory_write(void *cookie, const void *from, size_t bytes)
{
	struct memory *memory = cookie;
	size_t end = memory->at + bytes;

	if (end + 1 > memory->room) {
		size_t room = end + 1 > 2 * memory->room ? end + 1 : 2 * memory->room;
		char *larger = realloc(memory->bytes, room);
		if (!larger)
			return -1;
		memset(larger + memory->room, 0, room - memory->room);
		memory->bytes = larger;
		memory->room = room;
	}
	memcpy(memory->bytes + memory->at, from, bytes);
	memory->at = end;
	if (end > memory->count) {
		memory->count = end;
		memory->bytes[end] = '\0';
	}
	tell(memory);
	return (ssize_t)bytes;
}

static off_t memory_seek(void *cookie, off_t offset, int whence)
{
	struct memory *memory = cookie;
	off_t base = whence == SEEK_CUR ? (off_t)memory->at : whence == SEEK_END ? (off_t)memory->count : 0;

	if (whence < SEEK_SET || whence > SEEK_END || base + offset < 0) {
		errno = EINVAL;
		return -1;
	}
	memory->at = (size_t)(base + offset);
	tell(memory);
	return base + offset;
}

static int memory_close(void *cookie)
{
	free(cookie);
	return 0;
}

FILE *open_memstream(char **out, size_t *count)
{
	struct memory *memory = calloc(1, sizeof(*memory));
	FILE *stream = NULL;

	if (memory && (memory->bytes = calloc(1, 64))) {
		memory->room = 64;
		memory->out = out;
		memory->out_count = count;
		stream = funopen(memory, NULL, memory_write, memory_seek, memory_close);
	}
	if (stream) {
		tell(memory);
		return stream;
	}
	if (memory)
		free(memory->bytes);
	free(memory);
	errno = ENOMEM;
	return NULL;
}
