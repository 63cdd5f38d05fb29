/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * <stdio_ext.h>, by what picolibc's <stdio-bufio.h> says of a stream: what was written and not passed on is buf[0..len); what was
 * read and not taken is buf[off..len), and beside it the one character that ungetc gave back.
 */
#include <stdio-bufio.h>
#include <stdio_ext.h>

/* NULL: it has no buffer that we know. */
static struct __file_bufio *buffered(FILE *stream)
{
	return stream->flags & __SBUF ? (struct __file_bufio *)stream : NULL;
}

static int read_ahead(const struct __file_bufio *b)
{
	return b && b->dir == __SRD && b->len > b->off ? b->len - b->off : 0;
}

size_t __fbufsize(FILE *stream)
{
	struct __file_bufio *b = buffered(stream);

	return b ? (size_t)b->size : 0;
}

size_t __fpending(FILE *stream)
{
	struct __file_bufio *b = buffered(stream);

	return b && b->dir == __SWR ? (size_t)b->len : 0;
}

/* What was read ahead is gone for the file's position, too: pos is behind it already. */
int fpurge(FILE *stream)
{
	struct __file_bufio *b = buffered(stream);

	stream->unget = 0;
	if (b)
		b->len = b->off = 0;
	return 0;
}

void __fpurge(FILE *stream)
{
	(void)fpurge(stream);
}

int __freadable(FILE *stream)
{
	return (stream->flags & __SRD) != 0;
}

int __fwritable(FILE *stream)
{
	return (stream->flags & __SWR) != 0;
}

int __freading(FILE *stream)
{
	struct __file_bufio *b = buffered(stream);

	return !__fwritable(stream) || stream->unget || (b && b->dir == __SRD);
}

int __fwriting(FILE *stream)
{
	struct __file_bufio *b = buffered(stream);

	return !__freadable(stream) || (b && b->dir == __SWR);
}

int __flbf(FILE *stream)
{
	struct __file_bufio *b = buffered(stream);

	return b && b->bflags & __BLBF;
}

void _flushlbf(void)
{
	(void)fflush(NULL);
}

int __fsetlocking(FILE *stream, int type)
{
	(void)stream, (void)type;
	return FSETLOCKING_INTERNAL;
}

size_t __freadahead(FILE *stream)
{
	return (size_t)read_ahead(buffered(stream)) + (stream->unget != 0);
}

const char *__freadptr(FILE *stream, size_t *bytes)
{
	struct __file_bufio *b = buffered(stream);

	if (stream->unget || !read_ahead(b))
		return NULL;
	*bytes = (size_t)read_ahead(b);
	return b->buf + b->off;
}

void __freadptrinc(FILE *stream, size_t bytes)
{
	buffered(stream)->off += (int)bytes;
}

void __fseterr(FILE *stream)
{
	stream->flags |= __SERR;
}
