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

void stream_gather_begin(struct stream_gather *gather, FILE *stream)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;

	gather->file = NULL;
	if (!(stream->flags & __SBUF) || !(stream->flags & __SWR) || file->size > 1)
		return;
	flockfile(stream);
	if (file->size > 1 || file->dir == __SRD) {
		funlockfile(stream);
		return;
	}
	gather->file = file;
	gather->buffer = file->buf;
	file->buf = gather->bytes;
	file->size = sizeof(gather->bytes);
}

int stream_gather_end(struct stream_gather *gather)
{
	struct __file_bufio *file = gather->file;
	FILE *stream = &file->xfile.cfile.file;
	int error;

	if (!file)
		return 0;
	error = file->len ? stream->flush(stream) : 0;
	if (error < 0)
		stream->flags |= __SERR;
	file->len = 0;
	file->buf = gather->buffer;
	file->size = 1;
	funlockfile(stream);
	return error;
}
