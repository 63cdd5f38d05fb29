/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fmemopen: memory as a file (POSIX.1-2017). picolibc's puts a null byte wherever it is flushed, has no memory of its own
 * without `+`, and none of no bytes.
 *
 * Invariants: at <= room and end <= room. Reading ends at `end`, writing at `room`. A null byte follows what is written where
 * that moves `end` and there is room for one. Nothing is buffered.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memory {
	struct __file_ext stream;	/* first */
	char *bytes;
	size_t room, end, at;
	bool own, appends;
};

static int memory_put(char byte, FILE *stream)
{
	struct memory *memory = (struct memory *)stream;

	if (memory->appends)
		memory->at = memory->end;
	if (memory->at == memory->room) {
		errno = ENOSPC;
		return _FDEV_ERR;
	}
	memory->bytes[memory->at++] = byte;
	if (memory->at > memory->end) {
		memory->end = memory->at;
		if (memory->end < memory->room)
			memory->bytes[memory->end] = '\0';
	}
	return (unsigned char)byte;
}

static int memory_get(FILE *stream)
{
	struct memory *memory = (struct memory *)stream;

	return memory->at < memory->end ? (unsigned char)memory->bytes[memory->at++] : _FDEV_EOF;
}

static off_t memory_seek(FILE *stream, off_t offset, int whence)
{
	struct memory *memory = (struct memory *)stream;
	size_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? memory->at : memory->end;

	if (offset < -(off_t)from || offset > (off_t)(memory->room - from)) {
		errno = EINVAL;
		return -1;
	}
	memory->at = from + (size_t)offset;
	return (off_t)memory->at;
}

static int memory_close(FILE *stream)
{
	struct memory *memory = (struct memory *)stream;

	if (memory->own)
		free(memory->bytes);
	free(memory);
	return 0;
}

/* __SRD, __SWR; 0: it is no mode. */
static unsigned mode_of(const char *mode)
{
	if (!strchr("rwa", mode[0]) || !mode[0])
		return 0;
	return strchr(mode, '+') ? __SRD | __SWR : mode[0] == 'r' ? __SRD : __SWR;
}

FILE *fmemopen(void *restrict bytes, size_t room, const char *restrict mode)
{
	unsigned flags = mode_of(mode);
	struct memory *memory;

	if (!flags || room > PTRDIFF_MAX) {
		errno = flags ? ENOMEM : EINVAL;
		return NULL;
	}
	memory = calloc(1, sizeof(*memory));
	if (!memory)
		return NULL;
	memory->stream = (struct __file_ext)FDEV_SETUP_EXT(memory_put, memory_get, NULL, memory_close, memory_seek, NULL, flags);
	memory->own = !bytes;
	memory->bytes = bytes ? bytes : calloc(1, room + !room);
	if (!memory->bytes) {
		free(memory);
		return NULL;
	}
	memory->room = room;
	memory->appends = mode[0] == 'a';
	if (mode[0] == 'w' && room && flags == (__SRD | __SWR))
		memory->bytes[0] = '\0';
	memory->end = mode[0] == 'r' ? room : mode[0] == 'a' ? strnlen(memory->bytes, room) : 0;
	memory->at = mode[0] == 'a' ? memory->end : 0;
	return &memory->stream.cfile.file;
}
