/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying between descriptors: through the buffer that the keeper sees, without the program's memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include "libos/posix/io.h"

/* One piece: what was read lies in the buffer, and is written from there. */
static int64_t piece(int from, int64_t at, int to, int64_t to_at, size_t bytes)
{
	int64_t got, done;
	char spare[512];

	posix_lock();
	got = posix_ask(REQUEST_READ, (uint64_t)from, bytes, (uint64_t)at, NULL);
	done = got > 0 ? posix_ask(REQUEST_WRITE, (uint64_t)to, (uint64_t)got, (uint64_t)to_at, NULL) : got;
	posix_unlock();
	if (got > 0 && done != WIRE_WAIT && done != got && at < 0)	/* what was not written is not read */
		(void)posix_ask(REQUEST_SEEK, (uint64_t)from, (uint64_t)-(got - (done > 0 ? done : 0)),
				SEEK_CUR, NULL);
	if (got <= 0 || done != WIRE_WAIT)
		return done;
	/* The receiver has no room: a little of it, waiting. */
	if (at < 0)
		(void)posix_ask(REQUEST_SEEK, (uint64_t)from, (uint64_t)-got, SEEK_CUR, NULL);
	got = io_read(from, spare, sizeof(spare) < bytes ? sizeof(spare) : bytes, at, true);
	return got > 0 ? io_write(to, spare, (size_t)got, to_at, true) : got;
}

static int64_t copy(int from, off_t *at, int to, off_t *to_at, size_t bytes)
{
	int64_t total = 0, done = 0;

	if ((at && *at < 0) || (to_at && *to_at < 0))
		return -EINVAL;
	while ((size_t)total < bytes) {
		size_t now = bytes - (size_t)total < WIRE_BUFFER ? bytes - (size_t)total : WIRE_BUFFER;

		done = piece(from, at ? *at : -1, to, to_at ? *to_at : -1, now);
		if (done <= 0)
			break;
		total += done;
		if (at)
			*at += done;
		if (to_at)
			*to_at += done;
	}
	return total ? total : done;
}

static int64_t regular(int fd)
{
	struct stat st;
	int64_t result = io_ask_out(REQUEST_FSTAT, (uint64_t)fd, 0, 0, &st, sizeof(st));

	return result < 0 ? result : S_ISREG(st.st_mode) ? 0 : S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

ssize_t sendfile(int to, int from, off_t *at, size_t bytes)
{
	int64_t result = regular(from);

	cancel_point();
	return posix_result(result ? result : copy(from, at, to, NULL, bytes));
}

ssize_t copy_file_range(int from, off_t *at, int to, off_t *to_at, size_t bytes, unsigned flags)
{
	int64_t result = flags ? -EINVAL : regular(from);

	if (!result)
		result = regular(to);
	return posix_result(result ? result : copy(from, at, to, to_at, bytes));
}
