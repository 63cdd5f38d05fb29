/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of any length. picolibc's returns 0 at the end of a file, not -1, and writes the null character behind a line that
 * just fits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

ssize_t getdelim(char **restrict line, size_t *restrict room, int end, FILE *restrict stream)
{
	size_t count = 0;
	int c;

	if (!line || !room) {
		errno = EINVAL;
		return -1;
	}
	if (!*line)
		*room = 0;
	flockfile(stream);
	do {
		c = getc_unlocked(stream);
		if (count + 2 > *room) {
			size_t more = *room < 60 ? 120 : 2 * *room;
			char *larger = realloc(*line, more);
			if (!larger) {
				stream->flags |= __SERR;
				count = 0;
				break;
			}
			*line = larger;
			*room = more;
		}
		if (c != EOF)
			(*line)[count++] = (char)c;
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
