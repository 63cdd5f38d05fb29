/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the locks of streams (locks.c) and the libOS ask of each other.
 */
#ifndef LIBOS_UNI_LOCKS_H
#define LIBOS_UNI_LOCKS_H

#include <stdio.h>
#include <sys/lock.h>

#define STREAM_NO_LOCK	((_LOCK_T)1)	/* of streams that only their caller knows: sprintf()'s and the like */

/*
 * Writes what a stream has to write, or puts the descriptor of one that was read where the program is in it; below zero: it
 * could not. The libOS has it; the caller holds the stream's lock.
 */
int stream_flush(FILE *stream);
/* As __bufio_seek, of which it is one, but if it fails the stream is where it was. */
off_t stream_seek(FILE *stream, off_t offset, int whence);
/* What fseeko() is, but for what the libOS knows of its streams. */
int stream_go(FILE *stream, off_t offset, int whence);

/* Before a fork, with nobody else running: is any stream locked? If none is, the child need not touch them. */
void streams_fork(void);

/* In a child of fork, whose only thread is the caller: no stream is locked, whoever had it. */
void streams_forked(void);

#endif
