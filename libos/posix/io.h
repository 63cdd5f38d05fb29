/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the files of libos/posix that put POSIX names on descriptors.
 */
#ifndef LIBOS_POSIX_IO_H
#define LIBOS_POSIX_IO_H

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include "libos/posix/call.h"

extern void pthread_testcancel(void) __attribute__((weak));

/* Where POSIX has a cancellation point. */
static inline void cancel_point(void)
{
	if (__builtin_expect(posix_cancels, 0) && pthread_testcancel)
		pthread_testcancel();
}

/* Before a descriptor is closed, if the program has asynchronous requests (aio.c). */
extern void posix_aio_closing(int fd) __attribute__((weak));

/* signalfd.c: what reading a descriptor of signals is in the process itself; -EAGAIN without waiting. */
int64_t posix_signals_read(void *to, size_t bytes, uint64_t set, bool wait) __attribute__((weak));

/* One request, of at most WIRE_BUFFER bytes; offset -1: the file's own. `wait` false: WIRE_WAIT is a result. */
int64_t io_read(int fd, void *to, size_t bytes, int64_t offset, bool wait);
int64_t io_write(int fd, const void *from, size_t bytes, int64_t offset, bool wait);
/* As many as it takes; the count, or the error of the first. */
int64_t io_write_all(int fd, const void *from, size_t bytes, int64_t offset);
/* More than one piece of reading: a short one ends it, and only the first waits. */
int64_t io_read_all(int fd, void *to, size_t bytes, int64_t offset);

/* A request that answers with `bytes` in the buffer, at most; its result. */
int64_t io_ask_out(enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3, void *to, size_t bytes);
/* The same with a path. */
int64_t io_path_out(enum wire_request number, const char *path, uint64_t w1, uint64_t w2, uint64_t w3, void *to,
		    size_t bytes);
/* Two paths, one behind the other. */
int64_t io_two_paths(enum wire_request number, const char *one, const char *other, uint64_t w1, uint64_t w2,
		     uint64_t w3);

#endif
