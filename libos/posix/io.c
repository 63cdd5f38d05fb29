/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing: the bytes go through the buffer that the keeper sees, at most WIRE_BUFFER at a time.
 *
 * Larger requests are made piece by piece. Writing goes on until all is written or a piece fails; reading
 * ends with the first piece that is not full, and does not wait once it has something. What was done before
 * an error is the result.
 *
 * Who reads an empty pipe stands there from then on (libos/keep/gift.c): data comes into the page together with the
 * wake-up, and neither taking it nor waiting for the next is a request.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include <sys/uio.h>
#include "libos/core/copy.h"
#include "libos/posix/io.h"

/* --- one piece ------------------------------------------------------------------------------------------------ */

/* A WIRE_WAIT's second word is the longest time to wait, in ns; 0: no limit. */
static int sleep_for(uint64_t limit_ns, exo_time_t *deadline)
{
	int result;

	if (limit_ns && *deadline == EXO_NEVER)
		*deadline = core_now() + limit_ns;
	result = posix_sleep(*deadline, POSIX_RESTARTS);
	return result == -ETIMEDOUT ? -EAGAIN : result;
}

/* What is offered in the page: its size; or 0: the keeper has to be asked. */
static inline uint32_t take_offered(struct wire_gift *gift, void *to, size_t bytes)
{
	uint32_t offered = WIRE_OFFERED, size = *(volatile uint32_t *)&gift->bytes;

	if (size > bytes || size > WIRE_GIFT)
		return 0;
	copy_few(to, gift->data, size);
	return __atomic_compare_exchange_n(&gift->state, &offered, WIRE_TAKEN, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE) ?
	    size : 0;
}

/* Reading at a pipe where the process stands: how much, 0: the keeper has to be asked, or -EINTR. */
static __attribute__((noinline)) int64_t read_standing(int fd, void *to, size_t bytes, bool wait)
{
	struct wire_gift *gift = &posix_page->gift;
	int result;

	do {
		posix_mark();
		if (*(volatile int32_t *)&gift->fd1 != fd + 1)
			return 0;
		if (__atomic_load_n(&gift->state, __ATOMIC_ACQUIRE) == WIRE_OFFERED)
			return take_offered(gift, to, bytes);
		if (!wait)
			return 0;
	} while (posix_doze() || !(result = posix_sleep(EXO_NEVER, POSIX_RESTARTS)));
	return result;
}

int64_t io_read(int fd, void *to, size_t bytes, int64_t offset, bool wait)
{
	exo_time_t deadline = EXO_NEVER;
	uint64_t more[2];
	int64_t result;

	if (bytes > WIRE_BUFFER)
		bytes = WIRE_BUFFER;
	for (;;) {
		if (posix_page->gift.fd1 == fd + 1 && bytes && offset == -1 && fd >= 0) {
			result = read_standing(fd, to, bytes, wait);
			if (result)
				return result;
		}
		posix_lock();
		result = posix_request(REQUEST_READ, (uint64_t)fd, bytes, (uint64_t)offset, more);
		if (result > 0)
			copy_few(to, posix_buffer, (size_t)result);
		posix_unlock();
		if (result == WIRE_TAKE && posix_signals_read)
			return posix_signals_read(to, bytes, more[0], wait && !more[1]);
		if (result != WIRE_WAIT || !wait)
			return result;
		result = sleep_for(more[0], &deadline);
		if (result)
			return result;
	}
}

int64_t io_write(int fd, const void *from, size_t bytes, int64_t offset, bool wait)
{
	exo_time_t deadline = EXO_NEVER;
	uint64_t more[2];
	int64_t result;

	if (bytes > WIRE_BUFFER)
		bytes = WIRE_BUFFER;
	for (;;) {
		posix_lock();
		copy_few(posix_buffer, from, bytes);
		result = posix_request(REQUEST_WRITE, (uint64_t)fd, bytes, (uint64_t)offset, more);
		posix_unlock();
		if (result != WIRE_WAIT || !wait)
			return result;
		result = sleep_for(more[0], &deadline);
		if (result)
			return result;
	}
}

/* --- many pieces ---------------------------------------------------------------------------------------------- */

int64_t io_read_all(int fd, void *to, size_t bytes, int64_t offset)
{
	int64_t total = 0, done;

	for (;;) {
		size_t now = bytes - (size_t)total < WIRE_BUFFER ? bytes - (size_t)total : WIRE_BUFFER;

		done = io_read(fd, (char *)to + total, now, offset < 0 ? offset : offset + total, !total);
		if (done <= 0)
			return total ? total : done;
		total += done;
		if ((size_t)done < now || (size_t)total == bytes)
			return total;
	}
}

int64_t io_write_all(int fd, const void *from, size_t bytes, int64_t offset)
{
	int64_t total = 0, done;

	do {
		done = io_write(fd, (const char *)from + total, bytes - (size_t)total,
				offset < 0 ? offset : offset + total, true);
		if (done < 0)
			return total ? total : done;
		total += done;
	} while (done && (size_t)total < bytes);
	return total;
}

int64_t io_ask_out(enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3, void *to, size_t bytes)
{
	uint64_t more[2];
	int64_t result;

	posix_lock();
	result = posix_request(number, w1, w2, w3, more);
	if (result >= 0)
		memcpy(to, posix_buffer, bytes);
	posix_unlock();
	return result;
}

int64_t io_path_out(enum wire_request number, const char *path, uint64_t w1, uint64_t w2, uint64_t w3, void *to,
		    size_t bytes)
{
	uint64_t more[2];
	int64_t result;

	posix_lock();
	result = posix_put_path(path, 0);
	if (result > 0)
		result = posix_request(number, w1, w2, w3, more);
	if (result >= 0)
		memcpy(to, posix_buffer, bytes);
	posix_unlock();
	return result;
}

int64_t io_two_paths(enum wire_request number, const char *one, const char *other, uint64_t w1, uint64_t w2,
		     uint64_t w3)
{
	int64_t result, first;
	uint64_t more[2];

	posix_lock();
	result = first = posix_put_path(one, 0);
	if (first > 0)
		result = posix_put_path(other, (uint32_t)first);
	if (result > 0)
		result = posix_request(number, w1, w2, w3, more);
	posix_unlock();
	return result;
}

/* --- POSIX ---------------------------------------------------------------------------------------------------- */

ssize_t read(int fd, void *to, size_t bytes)
{
	int64_t done;

	cancel_point();
	if (posix_page->gift.fd1 == fd + 1 && bytes && fd >= 0) {
		done = read_standing(fd, to, bytes, true);
		if (done)
			return posix_result(done);
	}
	if (bytes <= WIRE_BUFFER)
		return posix_result(io_read(fd, to, bytes, -1, true));
	return posix_result(bytes > SSIZE_MAX ? -EINVAL : io_read_all(fd, to, bytes, -1));
}

/* What write() did not get done at once: `done` is how much of it was, or WIRE_WAIT with the longest time to wait. */
static __attribute__((noinline)) ssize_t write_on(int fd, const char *from, size_t bytes, int64_t done,
						  uint64_t limit_ns)
{
	exo_time_t deadline = EXO_NEVER;
	int64_t more;

	if (done == WIRE_WAIT) {
		more = sleep_for(limit_ns, &deadline);
		return posix_result(more ? more : io_write_all(fd, from, bytes, -1));
	}
	if (done <= 0)
		return posix_result(done);
	more = io_write_all(fd, from + done, bytes - (size_t)done, -1);
	return done + (more > 0 ? more : 0);
}

ssize_t write(int fd, const void *from, size_t bytes)
{
	uint64_t more[2];
	int64_t done;

	cancel_point();
	if (bytes > WIRE_BUFFER)
		return posix_result(bytes > SSIZE_MAX ? -EINVAL : io_write_all(fd, from, bytes, -1));
	posix_lock();
	copy_few(posix_buffer, from, bytes);
	done = posix_request(REQUEST_WRITE, (uint64_t)fd, bytes, (uint64_t)-1, more);
	posix_unlock();
	return (size_t)done == bytes ? done : write_on(fd, from, bytes, done, more[0]);
}

ssize_t pread(int fd, void *to, size_t bytes, off_t offset)
{
	cancel_point();
	return posix_result(offset < 0 || bytes > SSIZE_MAX ? -EINVAL : io_read_all(fd, to, bytes, offset));
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset)
{
	cancel_point();
	return posix_result(offset < 0 || bytes > SSIZE_MAX ? -EINVAL : io_write_all(fd, from, bytes, offset));
}

off_t lseek(int fd, off_t offset, int whence)
{
	return posix_result(posix_ask(REQUEST_SEEK, (uint64_t)fd, (uint64_t)offset, (uint64_t)whence, NULL));
}

int close(int fd)
{
	uint64_t more[2];
	int64_t result;

	cancel_point();
	if (posix_aio_closing)
		posix_aio_closing(fd);
	posix_lock();
	result = fd < 0 ? -EBADF : posix_request(REQUEST_CLOSE, (uint64_t)fd, 0, 0, more);
	posix_unlock();
	return (int)posix_result(result);
}

int dup(int fd)
{
	return (int)posix_result(posix_ask(REQUEST_DUP, (uint64_t)fd, 0, 0, NULL));
}

int dup2(int fd, int copy)
{
	return (int)posix_result(posix_ask(REQUEST_DUP, (uint64_t)fd, (uint64_t)copy, WIRE_DUP_EXACT, NULL));
}

int dup3(int fd, int copy, int flags)
{
	const uint64_t how = WIRE_DUP_EXACT | (flags & O_CLOEXEC ? WIRE_DUP_CLOEXEC : 0);

	return (int)posix_result(flags & ~O_CLOEXEC || fd == copy ? -EINVAL :
	    posix_ask(REQUEST_DUP, (uint64_t)fd, (uint64_t)copy, how, NULL));
}

int pipe2(int fds[2], int flags)
{
	uint64_t more[2];
	int64_t result = posix_ask(REQUEST_PIPE, (uint64_t)flags, 0, 0, more);

	if (result < 0)
		return (int)posix_result(result);
	fds[0] = (int)more[0];
	fds[1] = (int)more[1];
	return 0;
}

int pipe(int fds[2])
{
	return pipe2(fds, 0);
}

/* --- several pieces of memory --------------------------------------------------------------------------------- */

/* Where in a vector the next byte is. */
struct cursor {
	const struct iovec *piece;
	size_t at;
};

/* All bytes of a vector, or an error. */
static int64_t vector_bytes(const struct iovec *pieces, int count)
{
	size_t bytes = 0;

	if (count < 0 || count > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < count; i++)
		if (__builtin_add_overflow(bytes, pieces[i].iov_len, &bytes) || bytes > SSIZE_MAX)
			return -EINVAL;
	return (int64_t)bytes;
}

/* Move the cursor by `bytes`, and copy what lies there to or from the buffer (both NULL: neither). */
static void advance(struct cursor *cursor, size_t bytes, char *gather, const char *scatter)
{
	size_t done = 0;

	while (done < bytes) {
		char *base = (char *)cursor->piece->iov_base + cursor->at;
		size_t now = cursor->piece->iov_len - cursor->at;

		if (now > bytes - done)
			now = bytes - done;
		if (gather)
			memcpy(gather + done, base, now);
		if (scatter)
			memcpy(base, scatter + done, now);
		done += now;
		cursor->at += now;
		if (cursor->at == cursor->piece->iov_len) {
			cursor->piece++;
			cursor->at = 0;
		}
	}
}

static int64_t write_vector(int fd, const struct iovec *pieces, int count, int64_t offset)
{
	struct cursor cursor = { pieces, 0 }, ahead;
	int64_t bytes = vector_bytes(pieces, count), total = 0, done;
	exo_time_t deadline = EXO_NEVER;
	uint64_t more[2];

	if (bytes < 0)
		return bytes;
	do {
		size_t now = bytes - total < WIRE_BUFFER ? (size_t)(bytes - total) : WIRE_BUFFER;

		ahead = cursor;
		posix_lock();
		advance(&ahead, now, posix_buffer, NULL);
		done = posix_request(REQUEST_WRITE, (uint64_t)fd, now,
				     (uint64_t)(offset < 0 ? offset : offset + total), more);
		posix_unlock();
		if (done == WIRE_WAIT) {
			done = sleep_for(more[0], &deadline);
			if (!done)
				continue;
		}
		if (done < 0)
			return total ? total : done;
		advance(&cursor, (size_t)done, NULL, NULL);
		total += done;
		if (!done)
			break;
	} while (total < bytes);
	return total;
}

static int64_t read_vector(int fd, const struct iovec *pieces, int count, int64_t offset)
{
	struct cursor cursor = { pieces, 0 };
	int64_t bytes = vector_bytes(pieces, count), total = 0, done;
	exo_time_t deadline = EXO_NEVER;
	uint64_t more[2];

	if (bytes < 0)
		return bytes;
	for (;;) {
		size_t now = bytes - total < WIRE_BUFFER ? (size_t)(bytes - total) : WIRE_BUFFER;

		posix_lock();
		done = posix_request(REQUEST_READ, (uint64_t)fd, now,
				     (uint64_t)(offset < 0 ? offset : offset + total), more);
		if (done > 0)
			advance(&cursor, (size_t)done, NULL, posix_buffer);
		posix_unlock();
		if (done == WIRE_WAIT && !total) {
			done = sleep_for(more[0], &deadline);
			if (!done)
				continue;
		}
		if (done <= 0)
			return total ? total : done;
		total += done;
		if ((size_t)done < now || total == bytes)
			return total;
	}
}

ssize_t readv(int fd, const struct iovec *pieces, int count)
{
	cancel_point();
	return posix_result(read_vector(fd, pieces, count, -1));
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	cancel_point();
	return posix_result(write_vector(fd, pieces, count, -1));
}

ssize_t preadv(int fd, const struct iovec *pieces, int count, off_t offset)
{
	cancel_point();
	return posix_result(offset < 0 ? -EINVAL : read_vector(fd, pieces, count, offset));
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	cancel_point();
	return posix_result(offset < 0 ? -EINVAL : write_vector(fd, pieces, count, offset));
}
