/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One write for one call: what a call puts into a stream without a buffer (stderr) is gathered in one on the caller's stack,
 * and goes out when the call ends, as one piece that nobody else's can come into.
 */
#ifndef LIBOS_UNI_BUFFER_H
#define LIBOS_UNI_BUFFER_H

#include <stdio.h>
#include <stdio-bufio.h>

#define STREAM_GATHER	256	/* bytes: what the console takes at once (EXO_CONSOLE_MAX) */

struct stream_gather {
	struct __file_bufio *file;	/* NULL: the stream has a buffer, or is none that could have one */
	char *buffer;			/* its own: of one byte */
	char bytes[STREAM_GATHER];
};

/* Begin; it is locked until the end. May be nested: only the outermost does something. */
void stream_gather_begin(struct stream_gather *gather, FILE *stream);
/* Write what came. Below zero: it could not be written; the stream has its mark. */
int stream_gather_end(struct stream_gather *gather);

#endif
