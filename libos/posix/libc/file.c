/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of files, opened and closed as POSIX says. The streams are picolibc's (stdio-bufio.h); its own functions of
 * these names leave out what a system with descriptors needs: a stream begins where its descriptor stands, closing and
 * flushing one that was read puts the descriptor where the program is in it (not where the buffer ends), the three
 * standard streams can be closed and reopened, `x` and `e` are modes, and who appends is told where that was.
 *
 * Invariant: a stream's `pos` is the descriptor's offset, but for a descriptor that appends, whose offset is asked for
 * after each write.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio-bufio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/posix/thread.h"
#include "libos/uni/buffer.h"
#include "libos/uni/locks.h"

#define STREAM_MODE	(__SRD | __SWR)

/* The flags of open() for a mode, and the stream's; -1 and EINVAL: it is none. */
static int mode_flags(const char *mode, int *stream)
{
	int flags = *mode == 'r' ? O_RDONLY : *mode == 'w' ? O_WRONLY | O_CREAT | O_TRUNC :
	    *mode == 'a' ? O_WRONLY | O_CREAT | O_APPEND : -1;

	if (flags < 0) {
		errno = EINVAL;
		return -1;
	}
	*stream = *mode == 'r' ? __SRD : __SWR;
	while (*++mode && *mode != ',') {
		if (*mode == '+') {
			flags = (flags & ~O_ACCMODE) | O_RDWR;
			*stream = STREAM_MODE;
		}
		flags |= *mode == 'x' ? O_EXCL : *mode == 'e' ? O_CLOEXEC : 0;
	}
	return flags;
}

/*
 * After a write that appended, the descriptor is where that ended, and not where it would be otherwise. What cannot seek
 * says so, also for places that are in the buffer.
 */
static off_t file_seek(FILE *stream, off_t offset, int whence)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;
	off_t pos;

	if (file->dir == __SWR && __bufio_flush(stream) < 0) {
		stream->flags |= __SERR;
		return -1;
	}
	pos = lseek((int)(intptr_t)file->ptr, 0, SEEK_CUR);
	if (pos < 0)
		return -1;
	if (file->dir == __SWR || file->len == file->off)	/* others may have moved the descriptor */
		file->pos = pos;
	return stream_seek(stream, offset, whence);
}

static bool is_standard(const FILE *stream)
{
	return stream->flags & __SBUF && !(((const struct __file_bufio *)stream)->bflags & (__BFALL | __BFPTR));
}

/* picolibc's three standard streams begin at 0, wherever their descriptors are. To be called before a place is asked for. */
static void standard_seeks(FILE *stream)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;
	int error = errno;
	off_t pos;

	if (!is_standard(stream) || file->xfile.seek == file_seek)
		return;
	file->xfile.seek = file_seek;
	pos = lseek((int)(intptr_t)file->ptr, 0, SEEK_CUR);
	if (pos >= 0 && file->dir != __SWR)
		file->pos = pos;
	errno = error;
}

/* Leads a stream to a descriptor, with whatever errno was. */
static void stream_to(struct __file_bufio *file, int fd, int flags, int stream)
{
	int error = errno;

	file->xfile.cfile.file.flags = (uint8_t)((file->xfile.cfile.file.flags & ~(STREAM_MODE | __SERR | __SEOF)) | stream);
	file->xfile.seek = file_seek;
	file->ptr = (void *)(intptr_t)fd;
	file->pos = lseek(fd, 0, (flags & O_APPEND) && stream == __SWR ? SEEK_END : SEEK_CUR);
	if (file->pos < 0)
		file->pos = 0;
	file->len = file->off = 0;
	file->dir = 0;
	errno = error;
}

static FILE *stream_make(int fd, int flags, int stream)
{
	struct __file_bufio *file = calloc(1, sizeof(*file) + BUFSIZ);

	if (!file)
		return NULL;
	*file = (struct __file_bufio)FDEV_SETUP_BUFIO(fd, (char *)(file + 1), BUFSIZ, read, write, lseek, close, stream,
	    __BFALL);
	stream_to(file, fd, flags, stream);
	return &file->xfile.cfile.file;
}

FILE *fopen(const char *restrict path, const char *restrict mode)
{
	int stream, flags = mode_flags(mode, &stream), fd;
	FILE *made;

	if (flags < 0 || (fd = open(path, flags, 0666)) < 0)
		return NULL;
	made = stream_make(fd, flags, stream);
	if (!made)
		close(fd);
	return made;
}

/* Whether a descriptor can be read and written as a mode asks; if it is to append, it does from now on. */
static bool fits(int fd, int flags)
{
	int now = fcntl(fd, F_GETFL), has;

	if (now < 0)
		return false;
	has = now & O_ACCMODE;
	if (has != O_RDWR && has != (flags & O_ACCMODE)) {
		errno = EINVAL;
		return false;
	}
	if (flags & O_CLOEXEC)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return !(flags & ~now & O_APPEND) || fcntl(fd, F_SETFL, now | O_APPEND) == 0;
}

FILE *fdopen(int fd, const char *mode)
{
	int stream, flags = mode_flags(mode, &stream);

	return flags >= 0 && fits(fd, flags) ? stream_make(fd, flags, stream) : NULL;
}

/* What cannot be written is gone, and the stream knows it. */
static int flush_written(FILE *stream)
{
	int result = stream->flush ? stream->flush(stream) : 0;

	if (result < 0)
		stream->flags |= __SERR;
	return result;
}

/*
 * Puts the descriptor of a stream that was read where the program is in it. Of what cannot seek, the bytes that were
 * read ahead stay.
 */
int stream_flush(FILE *stream)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;
	int error = errno;

	if (!(stream->flags & __SBUF) || file->dir != __SRD || file->bflags & __BFPTR)
		return flush_written(stream);
	standard_seeks(stream);
	if (lseek((int)(intptr_t)file->ptr, 0, SEEK_CUR) < 0) {
		errno = error;
		return 0;
	}
	if (stream->unget && file->off > 0)
		file->off--;
	stream->unget = 0;
	return __bufio_flush(stream);
}

int fclose(FILE *stream)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;
	struct __file_close *closes = (struct __file_close *)stream;
	int result = fflush(stream), error = errno, fd = -1;

	if (is_standard(stream))
		fd = (int)(intptr_t)file->ptr;
	if (stream->lock && (uintptr_t)stream->lock != 1)
		__lock_close_recursive(stream->lock);
	stream->lock = NULL;
	if (stream->flags & __SCLOSE && closes->close && closes->close(stream) < 0) {
		result = EOF;
		error = errno;
	}
	if (fd >= 0) {
		stream->flags &= (uint8_t)~STREAM_MODE;
		if (close(fd) < 0) {
			result = EOF;
			error = errno;
		}
	}
	errno = error;
	return result;
}

/* Another mode for the same file. */
static bool mode_changes(FILE *stream, const char *mode)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;
	int fd = (int)(intptr_t)file->ptr, kind, flags = mode_flags(mode, &kind);

	if (flags < 0)
		return false;
	if (!fits(fd, flags)) {
		errno = EBADF;
		return false;
	}
	if (flags & O_TRUNC && ftruncate(fd, 0) < 0)
		return false;
	(void)lseek(fd, 0, SEEK_SET);
	stream_to(file, fd, flags, kind);
	return true;
}

/* The new file takes the old one's number, if that was open. */
static bool file_changes(FILE *stream, const char *path, const char *mode)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;
	int old = (int)(intptr_t)file->ptr, kind, flags = mode_flags(mode, &kind), fd;

	if (flags < 0 || (fd = open(path, flags, 0666)) < 0)
		return false;
	if (fd != old && fcntl(old, F_GETFD) >= 0) {
		int moved = dup3(fd, old, flags & O_CLOEXEC);
		close(fd);
		if (moved < 0)
			return false;
		fd = moved;
	}
	file->read_int = read;
	file->write_int = write;
	file->lseek_int = lseek;
	file->close_int = close;
	stream_to(file, fd, flags, kind);
	return true;
}

FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict stream)
{
	bool done;

	if (!(stream->flags & __SBUF)) {
		errno = EBADF;
		return NULL;
	}
	flockfile(stream);
	(void)stream_flush(stream);
	stream->unget = 0;
	done = path ? file_changes(stream, path, mode) : mode_changes(stream, mode);
	funlockfile(stream);
	if (done)
		return stream;
	int error = errno;
	(void)fclose(stream);
	errno = error;
	return NULL;
}

/* --- streams that do not go that way ----------------------------------------------------------------------- */

size_t posix_libc_fwrite(const void *from, size_t size, size_t count, FILE *stream);
size_t posix_libc_fread(void *to, size_t size, size_t count, FILE *stream);
int posix_libc_fputs(const char *text, FILE *stream);

#undef putc
#undef putc_unlocked
#undef getc
#undef getc_unlocked

/* Whether a stream can be read, or written; the error is the stream's, too. */
static bool goes(FILE *stream, int way)
{
	if (stream->flags & way)
		return true;
	stream->flags |= __SERR;
	errno = EBADF;
	return false;
}

/*
 * Nobody else can be in the stream: then its lock is not taken. Before it has one it is not known to fflush(NULL), so the
 * first to do something to it takes it in any case.
 */
static bool is_own(const FILE *stream)
{
	return stream->lock && posix_thread_count() == 1;
}

int putc_unlocked(int c, FILE *stream)
{
	char byte = (char)c;

	if (stream_put(stream, &byte, 1))
		return (unsigned char)c;
	if (!goes(stream, __SWR))
		return EOF;
	if (stream->put((char)c, stream) < 0) {
		stream->flags |= __SERR;
		return EOF;
	}
	return (unsigned char)c;
}

int putc(int c, FILE *stream)
{
	int done;

	if (is_own(stream))
		return putc_unlocked(c, stream);
	flockfile(stream);
	done = putc_unlocked(c, stream);
	funlockfile(stream);
	return done;
}

int fputc(int c, FILE *stream)
{
	return putc(c, stream);
}

int fputs(const char *restrict text, FILE *restrict stream)
{
	struct stream_gather gather;
	int done;

	if (is_own(stream) && stream_put(stream, text, strlen(text)))
		return 0;
	if (!goes(stream, __SWR))
		return EOF;
	done = posix_libc_fputs(text, stream_gather_begin(&gather, stream));
	return stream_gather_end(&gather) < 0 ? EOF : done;
}

int puts(const char *text)
{
	struct stream_gather gather;
	FILE *stream = stream_gather_begin(&gather, stdout);
	int done;

	flockfile(stream);
	done = fputs(text, stream) < 0 || putc('\n', stream) < 0 ? EOF : 0;
	funlockfile(stream);
	return stream_gather_end(&gather) < 0 ? EOF : done;
}

/* The end of a file stays until it is cleared, even if more can be read: C11, 7.21.7.1. */
int getc_unlocked(FILE *stream)
{
	__ungetc_t back;
	int got;

	if (stream_ahead(stream))
		return (unsigned char)*stream_take(stream, 1);
	if (!goes(stream, __SRD))
		return EOF;
	back = __atomic_exchange_n(&stream->unget, 0, __ATOMIC_RELAXED);
	if (back)
		return (unsigned char)(back - 1);
	if (stream->flags & __SEOF)
		return EOF;
	got = stream->get(stream);
	if (got < 0) {
		stream->flags |= got == _FDEV_ERR ? __SERR : __SEOF;
		return EOF;
	}
	return (unsigned char)got;
}

int getc(FILE *stream)
{
	int got;

	if (is_own(stream))
		return getc_unlocked(stream);
	flockfile(stream);
	got = getc_unlocked(stream);
	funlockfile(stream);
	return got;
}

int fgetc(FILE *stream)
{
	return getc(stream);
}

/*
 * What was read last is given back by a step back in the buffer, if it is there: so it can be done after scanf, which
 * gives back a character, too. Anything else goes to the place for one.
 */
int ungetc(int c, FILE *stream)
{
	struct __file_bufio *file = (struct __file_bufio *)stream;
	int done = EOF;

	flockfile(stream);
	if (c != EOF && stream->flags & __SRD && !stream->unget) {
		if (stream->flags & __SBUF && file->dir == __SRD && file->off > 0 && file->buf[file->off - 1] == (char)c)
			file->off--;
		else
			stream->unget = (__ungetc_t)((unsigned char)c + 1);
		stream->flags &= (__uint8_t)~__SEOF;
		done = (unsigned char)c;
	}
	funlockfile(stream);
	return done;
}

/* picolibc's sets all of a stream's flags when a write fails. */
size_t fwrite(const void *restrict from, size_t size, size_t count, FILE *restrict stream)
{
	struct stream_gather gather;
	size_t done = 0;
	uint8_t flags;

	if (size == 0 || count == 0 || !goes(stream, __SWR))
		return 0;
	if (is_own(stream) && count < SIZE_MAX / size && stream_put(stream, from, size * count))
		return count;
	flockfile(stream);
	flags = stream->flags;
	done = posix_libc_fwrite(from, size, count, stream_gather_begin(&gather, stream));
	if (stream_gather_end(&gather) < 0)
		done = 0;
	if (done < count)
		stream->flags = flags | __SERR;
	funlockfile(stream);
	return done;
}

size_t fread(void *restrict to, size_t size, size_t count, FILE *restrict stream)
{
	return size == 0 || count == 0 || !goes(stream, __SRD) || (stream->flags & __SEOF && !stream->unget) ? 0 :
	    posix_libc_fread(to, size, count, stream);
}

int fseeko(FILE *stream, off_t offset, int whence)
{
	standard_seeks(stream);
	return stream_go(stream, offset, whence);
}

int fseek(FILE *stream, long offset, int whence)
{
	return fseeko(stream, offset, whence);
}

/* One before, if a character was put back; picolibc's says so of an error, too. */
off_t ftello(FILE *stream)
{
	struct __file_ext *file = (struct __file_ext *)stream;
	off_t at = -1;

	flockfile(stream);
	standard_seeks(stream);
	if (stream->flags & __SEXT && file->seek) {
		at = file->seek(stream, 0, SEEK_CUR);
		if (at > 0 && stream->unget)
			at--;
	} else {
		errno = ESPIPE;
	}
	funlockfile(stream);
	return at;
}

long ftell(FILE *stream)
{
	return ftello(stream);
}
