/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a stream's buffer holds, as GNU's and Solaris' <stdio_ext.h> has it, and the few of musl's that GNU's portability library
 * (gnulib) asks for: programs of GNU will not build without. Streams without a buffer (fmemopen, funopen) count as empty. None of
 * these takes the stream's lock.
 */
#ifndef EXO_POSIX_STDIO_EXT_H
#define EXO_POSIX_STDIO_EXT_H

#include <stdio.h>

#define FSETLOCKING_QUERY	0
#define FSETLOCKING_INTERNAL	1
#define FSETLOCKING_BYCALLER	2

#ifdef __cplusplus
extern "C" {
#endif
/* The buffer's size; bytes in it that are not written yet. */
size_t __fbufsize(FILE *stream);
size_t __fpending(FILE *stream);
/* Drop what is buffered, read or to be written. */
void __fpurge(FILE *stream);
int fpurge(FILE *stream);
/* Can it be read, written at all? Was the last thing a read; a write, or can it be written only? Is it line by line? */
int __freadable(FILE *stream);
int __fwritable(FILE *stream);
int __freading(FILE *stream);
int __fwriting(FILE *stream);
int __flbf(FILE *stream);
/* Write out all streams. */
void _flushlbf(void);
/* Locks are always taken: FSETLOCKING_INTERNAL. */
int __fsetlocking(FILE *stream, int type);
/* musl's: bytes that were read ahead; where they are; to have read so many; to say that an error has happened. */
size_t __freadahead(FILE *stream);
const char *__freadptr(FILE *stream, size_t *bytes);
void __freadptrinc(FILE *stream, size_t bytes);
void __fseterr(FILE *stream);
#ifdef __cplusplus
}
#endif

#endif
