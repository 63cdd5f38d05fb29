/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines, from a stream's buffer at once. picolibc's getdelim returns 0 at the end of a file, not -1, and writes the null
 * character behind a line that just fits.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "libos/uni/buffer.h"

/* How many of the bytes that were read ahead, at most `most`, are up to the end of a line. */
static size_t ahead(const FILE *stream, size_t most, int end)
{
	const struct __file_bufio *file = (const struct __file_bufio *)stream;
	size_t bytes = stream_ahead(stream);
	const char *found;

	bytes = bytes < most ? bytes : most;
	found = bytes ? memchr(file->buf + file->off, end, bytes) : NULL;
	return found ? (size_t)(found - (file->buf + file->off)) + 1 : bytes;
}

char *fgets(char *restrict to, int room, FILE *restrict stream)
{
	size_t count = 0, some;
	int c = 0;

	if (room <= 0)
		return NULL;
	flockfile(stream);
	while (count + 1 < (size_t)room && c != '\n') {
		some = ahead(stream, (size_t)room - 1 - count, '\n');
		if (some) {
			memcpy(to + count, stream_take(stream, some), some);
			count += some;
			c = (unsigned char)to[count - 1];
			continue;
		}
		c = getc_unlocked(stream);
		if (c == EOF)
			break;
		to[count++] = (char)c;
	}
	funlockfile(stream);
	if (c == EOF && (count == 0 || !feof(stream)))
		return NULL;
	to[count] = '\0';
	return to;
}

/* Room for so many bytes. */
static bool grow(char **line, size_t *room, size_t bytes)
{
	size_t more = *room < 60 ? 120 : 2 * *room;
	char *larger;

	if (bytes <= *room)
		return true;
	more = more < bytes ? bytes : more;
	larger = realloc(*line, more);
	if (!larger)
		return false;
	*line = larger;
	*room = more;
	return true;
}

ssize_t getdelim(char **restrict line, size_t *restrict room, int end, FILE *restrict stream)
{
	size_t count = 0, some;
	int c;

	if (!line || !room) {
		errno = EINVAL;
		return -1;
	}
	if (!*line)
		*room = 0;
	flockfile(stream);
	do {
		some = ahead(stream, SIZE_MAX, end);
		c = some ? 0 : getc_unlocked(stream);
		if (!grow(line, room, count + some + 2)) {
			stream->flags |= __SERR;
			count = 0;
			break;
		}
		if (some) {
			memcpy(*line + count, stream_take(stream, some), some);
			count += some;
			c = (unsigned char)(*line)[count - 1];
		} else if (c != EOF) {
			(*line)[count++] = (char)c;
		}
	} while (c != EOF && c != end);
	if (*line && *room)
		(*line)[count] = '\0';
	funlockfile(stream);
	return count ? (ssize_t)count : -1;
}

ssize_t getline(char **restrict line, size_t *restrict room, FILE *restrict stream)
{
	return getdelim(line, room, '\n', stream);
}
