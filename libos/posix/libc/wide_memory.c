/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open_wmemstream (POSIX.1-2017): a stream of wide characters into memory that grows. Its characters do not go through the
 * locale's encoding: putwc_unlocked (wide.c) knows such a stream by its put function and calls
 * posix_wide_memory_add. Nothing is buffered, so what the caller sees is always so.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>
#include "libos/posix/libc/print.h"

#define LEAST	64

struct memory {
	struct __file_ext stream;	/* first */
	wchar_t **out, *text;
	size_t *out_count, room, count, at;	/* count: as far as it was written */
};

static void tell(struct memory *memory)
{
	*memory->out = memory->text;
	*memory->out_count = memory->at < memory->count ? memory->at : memory->count;
}

/* Room for `room` characters. */
static bool grow(struct memory *memory, size_t room)
{
	wchar_t *larger;

	if (room <= memory->room)
		return true;
	if (room < 2 * memory->room)
		room = 2 * memory->room;
	larger = room < SIZE_MAX / sizeof(*larger) ? reallocarray(memory->text, room, sizeof(*larger)) : NULL;
	if (!larger) {
		errno = ENOMEM;
		return false;
	}
	wmemset(larger + memory->room, 0, room - memory->room);
	memory->text = larger;
	memory->room = room;
	return true;
}

int posix_wide_memory_add(wchar_t character, FILE *stream)
{
	struct memory *memory = (struct memory *)stream;

	if (!grow(memory, memory->at + 2))
		return -1;
	memory->text[memory->at++] = character;
	if (memory->at > memory->count) {
		memory->count = memory->at;
		memory->text[memory->count] = 0;
	}
	tell(memory);
	return 0;
}

/* A byte by itself is a character where it means one in every encoding. */
int posix_wide_memory_put(char byte, FILE *stream)
{
	wint_t character = btowc((unsigned char)byte);

	if (character == WEOF) {
		errno = EILSEQ;
		return _FDEV_ERR;
	}
	return posix_wide_memory_add((wchar_t)character, stream) ? _FDEV_ERR : 0;
}

static int flush(FILE *stream)
{
	tell((struct memory *)stream);
	return 0;
}

static off_t seek(FILE *stream, off_t offset, int whence)
{
	struct memory *memory = (struct memory *)stream;
	off_t base = whence == SEEK_CUR ? (off_t)memory->at : whence == SEEK_END ? (off_t)memory->count : 0, to;

	if (whence < SEEK_SET || whence > SEEK_END || __builtin_add_overflow(base, offset, &to) || to < 0) {
		errno = EINVAL;
		return -1;
	}
	memory->at = (size_t)to;
	tell(memory);
	return to;
}

static int buffers(FILE *stream, char *buffer, int mode, size_t bytes)
{
	(void)stream, (void)buffer, (void)bytes;
	return mode == _IOFBF || mode == _IOLBF || mode == _IONBF ? 0 : -1;
}

static int finish(FILE *stream)
{
	free(stream);
	return 0;
}

FILE *open_wmemstream(wchar_t **out, size_t *count)
{
	static const struct __file_ext empty = FDEV_SETUP_EXT(posix_wide_memory_put, NULL, flush, finish, seek, buffers,
	    _FDEV_SETUP_WRITE);
	struct memory *memory = calloc(1, sizeof(*memory));

	if (!out || !count) {
		free(memory);
		errno = EINVAL;
		return NULL;
	}
	if (!memory || !grow(memory, LEAST)) {
		free(memory);
		errno = ENOMEM;
		return NULL;
	}
	memory->stream = empty;
	memory->stream.cfile.file.flags |= __SWIDE;
	memory->out = out;
	memory->out_count = count;
	tell(memory);
	return &memory->stream.cfile.file;
}
