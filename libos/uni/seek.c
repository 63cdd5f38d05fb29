/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Seeks of streams. picolibc's from where the stream is goes one too far behind a byte that was given back, and one that
 * fails forgets what was read ahead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdio-bufio.h>
#include "libos/uni/locks.h"

off_t stream_seek(FILE *stream, off_t offset, int whence)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;
	off_t pos = file->pos, result;
	int len = file->len, off = file->off;

	if (file->dir == __SWR)
		return __bufio_seek(stream, offset, whence);
	result = __bufio_seek(stream, offset, whence);
	if (result < 0) {
		file->pos = pos;
		file->len = len;
		file->off = off;
	}
	return result;
}

int stream_go(FILE *stream, off_t offset, int whence)
{
	struct __file_ext *file = (struct __file_ext *)stream;
	off_t (*seek)(FILE *, off_t, int) = file->seek;
	int done = -1;

	if (whence < SEEK_SET || whence > SEEK_END) {
		errno = EINVAL;
		return -1;
	}
	flockfile(stream);
	if (stream->flags & __SBUF && seek == __bufio_seek)
		seek = stream_seek;
	if (!(stream->flags & __SEXT) || !seek) {
		errno = ESPIPE;
	} else if (seek(stream, offset - (whence == SEEK_CUR && stream->unget), whence) >= 0) {
		stream->flags &= (__uint8_t)~__SEOF;
		stream->unget = 0;
		done = 0;
	}
	funlockfile(stream);
	return done;
}
