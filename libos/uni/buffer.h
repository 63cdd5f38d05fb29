/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One write for one call: what a call puts into a stream without a buffer (stderr) goes through another stream, on the caller's
 * stack, to the same descriptor, and out when the call ends: as one piece that nobody else's can come into. The stream itself
 * is not touched until then, so a call may be left by longjmp().
 */
#ifndef LIBOS_UNI_BUFFER_H
#define LIBOS_UNI_BUFFER_H

#include <stdio.h>
#include <stdio-bufio.h>

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

#endif
