/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flushing one stream (libos/uni/locks.h): here what picolibc does, but that bytes read ahead of what cannot seek stay. And
 * seeks, where picolibc's would be.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio-bufio.h>
#include <unistd.h>
#include "libos/uni/locks.h"

int stream_flush(FILE *stream)
{
	const struct __file_bufio *file = (const struct __file_bufio *)stream;
	int error = errno;

	if (stream->flags & __SBUF && file->dir == __SRD && !(file->bflags & __BFPTR) &&
	    lseek((int)(intptr_t)file->ptr, 0, SEEK_CUR) < 0) {
		errno = error;
		return 0;
	}
	if (!stream->flush || stream->flush(stream) == 0)
		return 0;
	stream->flags |= __SERR;
	return EOF;
}

int fseeko(FILE *stream, off_t offset, int whence)
{
	return stream_go(stream, offset, whence);
}

int fseek(FILE *stream, long offset, int whence)
{
	return stream_go(stream, offset, whence);
}
