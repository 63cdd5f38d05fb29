/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buffers of streams. picolibc's setvbuf, asked for lines with no buffer and no size (as its own setlinebuf does), makes one
 * of no bytes and writes behind it, each character by itself; and it forgets what a buffer holds when it is made smaller.
 * All of its kin are here, so that none of picolibc's calls the other setvbuf.
 *
 * And one write for one call (buffer.h), where picolibc makes one of each character.
 */
#include <limits.h>
#include <stdio.h>
#include <stdio-bufio.h>
#include "libos/uni/buffer.h"
#include "libos/uni/locks.h"

int setvbuf(FILE *stream, char *buffer, int mode, size_t bytes)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;

	if ((mode != _IONBF && mode != _IOLBF && mode != _IOFBF) || bytes > INT_MAX)
		return -1;
	if (!(stream->flags & __SEXT) || !file->xfile.setvbuf)
		return 0;
	if (stream->flags & __SBUF) {
		if (file->dir == __SRD && file->off < file->len)
			return 0;		/* what it has read ahead stays, and so does the buffer */
		if (file->dir == __SWR && file->len && fflush(stream))
			return -1;
	}
	if (mode == _IONBF || !bytes)
		buffer = NULL;
	return file->xfile.setvbuf(stream, buffer, mode, bytes ? bytes : BUFSIZ);
}

void setbuffer(FILE *stream, char *buffer, size_t bytes)
{
	(void)setvbuf(stream, buffer, buffer ? _IOFBF : _IONBF, bytes);
}

void setbuf(FILE *stream, char *buffer)
{
	setbuffer(stream, buffer, BUFSIZ);
}

void setlinebuf(FILE *stream)
{
	(void)setvbuf(stream, NULL, _IOLBF, 0);
}

FILE *stream_gather_begin(struct stream_gather *gather, FILE *stream)
{
	struct __file_bufio *file = (struct __file_bufio *)stream, *through = &gather->through;

	gather->to = NULL;
	if (!(stream->flags & __SBUF) || !(stream->flags & __SWR) || file->size > 1)
		return stream;
	flockfile(stream);
	if (file->size > 1 || file->dir == __SRD) {
		funlockfile(stream);
		return stream;
	}
	gather->to = stream;
	*through = *file;
	through->bflags &= (uint8_t)~(__BALL | __BLBF | __BFALL);
	through->buf = gather->bytes;
	through->size = sizeof(gather->bytes);
	through->len = through->off = 0;
	through->xfile.cfile.file.lock = STREAM_NO_LOCK;
	return &through->xfile.cfile.file;
}

int stream_gather_end(struct stream_gather *gather)
{
	struct __file_bufio *through = &gather->through, *file = (struct __file_bufio *)gather->to;
	FILE *stream = &through->xfile.cfile.file;
	int error;

	if (!file)
		return 0;
	error = through->len ? stream->flush(stream) : 0;
	gather->to->flags = stream->flags | (error < 0 ? __SERR : 0);
	file->pos = through->pos;
	file->dir = through->dir;
	funlockfile(gather->to);
	return error;
}
