/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One write for one call: what a call puts into a stream without a buffer (stderr) goes through another stream, on the caller's
 * stack, to the same descriptor, and out when the call ends: as one piece that nobody else's can come into. The stream itself
 * is not touched until then, so a call may be left by longjmp().
 *
 * And what lies in a stream's buffer, for those that hold its lock.
 */
#ifndef LIBOS_UNI_BUFFER_H
#define LIBOS_UNI_BUFFER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdio-bufio.h>
#include <string.h>

#define STREAM_GATHER	256	/* bytes: what the console takes at once (EXO_CONSOLE_MAX) */

struct stream_gather {
	struct __file_bufio through;
	FILE *to;			/* NULL: the stream has a buffer of its own, or is none that could have one */
	char bytes[STREAM_GATHER];
};

/* Begin: the stream to write to until the end; the one given is locked if it is another. May be nested. */
FILE *stream_gather_begin(struct stream_gather *gather, FILE *stream);
/* Write what came. Below zero: it could not be written; the stream has its mark. */
int stream_gather_end(struct stream_gather *gather);

/* Bytes that were read ahead and are the next ones; 0: ask the stream, there may be others. */
static inline size_t stream_ahead(const FILE *stream)
{
	const struct __file_bufio *file = (const struct __file_bufio *)stream;

	return (stream->flags & (__SBUF | __SRD | __SEOF)) == (__SBUF | __SRD) && !stream->unget && file->dir == __SRD &&
	    file->off < file->len ? (size_t)(file->len - file->off) : 0;
}

/* Take so many of them. */
static inline const char *stream_take(FILE *stream, size_t bytes)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;

	file->off += (int)bytes;
	return file->buf + file->off - bytes;
}

/* Put bytes behind those that are to be written; false: they do not fit, or there is something to write now. */
static inline bool stream_put(FILE *stream, const char *from, size_t bytes)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;

	if ((stream->flags & (__SBUF | __SWR)) != (__SBUF | __SWR) || file->dir != __SWR ||
	    bytes >= (size_t)(file->size - file->len) || (file->bflags & __BLBF && memchr(from, '\n', bytes)))
		return false;
	memcpy(file->buf + file->len, from, bytes);
	file->len += (int)bytes;
	return true;
}

#endif
