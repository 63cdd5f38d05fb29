/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wide characters and streams. A stream of wide characters is one of bytes in the locale's encoding; picolibc writes and reads
 * them as they lie in memory instead. So each is converted here, one at a time, over the stream's own functions.
 *
 * What ungetwc() takes lies in picolibc's place for one character, which is a byte's for a stream of bytes and a wide
 * character's for a wide one. One beyond U+FFFE finds no room there; if it is what was read last it is read again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdio-bufio.h>
#include <string.h>
#include <wchar.h>
#include "libos/posix/libc/wide.h"

#define UNGET_MOST	0xfffe

int fwide(FILE *file, int mode)
{
	int wide;

	flockfile(file);
	if (mode > 0)
		file->flags |= __SWIDE;
	wide = file->flags & __SWIDE ? 1 : mode < 0 ? -1 : 0;
	funlockfile(file);
	return wide;
}

wint_t putwc_unlocked(wchar_t character, FILE *file)
{
	char bytes[MB_LEN_MAX];
	mbstate_t state = { 0 };
	size_t count;

	file->flags |= __SWIDE;
	if (!(file->flags & __SWR)) {
		file->flags |= __SERR;
		errno = EBADF;
		return WEOF;
	}
	if (file->put == posix_wide_memory_put) {
		file->flags |= posix_wide_memory_add(character, file) ? __SERR : 0;
		return file->flags & __SERR ? WEOF : (wint_t)character;
	}
	count = wcrtomb(bytes, character, &state);
	if (count == (size_t)-1) {
		file->flags |= __SERR;
		return WEOF;
	}
	for (size_t i = 0; i < count; i++)
		if (file->put(bytes[i], file) < 0) {
			file->flags |= __SERR;
			return WEOF;
		}
	return (wint_t)character;
}

wint_t putwc(wchar_t character, FILE *file)
{
	wint_t done;

	flockfile(file);
	done = putwc_unlocked(character, file);
	funlockfile(file);
	return done;
}

wint_t fputwc(wchar_t character, FILE *file)
{
	return putwc(character, file);
}

wint_t fputwc_unlocked(wchar_t character, FILE *file)
{
	return putwc_unlocked(character, file);
}

wint_t putwchar_unlocked(wchar_t character)
{
	return putwc_unlocked(character, stdout);
}

wint_t putwchar(wchar_t character)
{
	return putwc(character, stdout);
}

int fputws(const wchar_t *restrict text, FILE *restrict file)
{
	int done = 0;

	flockfile(file);
	file->flags |= __SWIDE;
	for (; *text && done == 0; text++)
		done = putwc_unlocked(*text, file) == WEOF ? -1 : 0;
	funlockfile(file);
	return done;
}

int fputws_unlocked(const wchar_t *restrict text, FILE *restrict file)
{
	return fputws(text, file);
}

/* A byte; -1: there is none, or it cannot be read, which the stream remembers. */
static int byte(FILE *file)
{
	int got = file->get(file);

	if (got < 0) {
		file->flags |= got == _FDEV_ERR ? __SERR : __SEOF;
		return -1;
	}
	return (unsigned char)got;
}

wint_t getwc_unlocked(FILE *file)
{
	mbstate_t state = { 0 };
	wchar_t character;
	size_t used;
	char one;
	int got, unget = file->unget;

	file->flags |= __SWIDE;
	if (!(file->flags & __SRD)) {
		file->flags |= __SERR;
		errno = EBADF;
		return WEOF;
	}
	file->unget = 0;
	if (unget)
		return (wint_t)(unget - 1);
	if (file->flags & __SEOF)		/* until it is cleared, whatever there is to read now */
		return WEOF;
	do {
		got = byte(file);
		if (got < 0 && mbsinit(&state))
			return WEOF;
		one = (char)got;
		used = got < 0 ? (size_t)-1 : mbrtowc(&character, &one, 1, &state);
	} while (used == (size_t)-2);
	if (used == (size_t)-1) {
		file->flags |= __SERR;
		errno = EILSEQ;
		return WEOF;
	}
	return used == 0 ? 0 : (wint_t)character;
}

wint_t fgetwc_unlocked(FILE *file)
{
	return getwc_unlocked(file);
}

wint_t getwchar_unlocked(void)
{
	return getwc_unlocked(stdin);
}

wint_t getwc(FILE *file)
{
	wint_t got;

	flockfile(file);
	got = getwc_unlocked(file);
	funlockfile(file);
	return got;
}

wint_t fgetwc(FILE *file)
{
	return getwc(file);
}

wint_t getwchar(void)
{
	return getwc(stdin);
}

wchar_t *fgetws_unlocked(wchar_t *restrict to, int room, FILE *restrict file)
{
	wint_t got = 0;
	int count = 0;

	file->flags |= __SWIDE;
	while (count < room - 1 && got != L'\n' && (got = getwc_unlocked(file)) != WEOF)
		to[count++] = (wchar_t)got;
	if (room < 1 || (count == 0 && room > 1) || (got == WEOF && (file->flags & __SERR)))
		return NULL;
	to[count] = L'\0';
	return to;
}

wchar_t *fgetws(wchar_t *restrict to, int room, FILE *restrict file)
{
	wchar_t *done;

	flockfile(file);
	done = fgetws_unlocked(to, room, file);
	funlockfile(file);
	return done;
}

/* Goes back over a character that was the last one read from the buffer. */
static wint_t step_back(FILE *file, wint_t character)
{
	struct __file_bufio *buffer = (struct __file_bufio *)file;
	char bytes[MB_LEN_MAX];
	mbstate_t state = { 0 };
	size_t count = wcrtomb(bytes, (wchar_t)character, &state);

	if (!(file->flags & __SBUF) || buffer->dir != __SRD || count == (size_t)-1 || (size_t)buffer->off < count ||
	    memcmp(buffer->buf + buffer->off - count, bytes, count) != 0)
		return WEOF;
	buffer->off -= (int)count;
	return character;
}

wint_t ungetwc(wint_t character, FILE *file)
{
	wint_t done = WEOF;

	if (character == WEOF)
		return WEOF;
	flockfile(file);
	if ((file->flags & __SRD) && !file->unget) {
		done = step_back(file, character);
		if (done == WEOF && character < UNGET_MOST) {
			file->unget = (__ungetc_t)(character + 1);
			done = character;
		}
		if (done != WEOF) {
			file->flags |= __SWIDE;
			file->flags &= (__uint8_t)~__SEOF;
		}
	}
	funlockfile(file);
	return done;
}
