/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes and wide characters, in the tables by which picolibc's mbrtowc, wcrtomb, btowc and their kin go: an entry for the
 * locale C and one for UTF-8.
 *
 * In the locale C each byte is a character (POSIX.1-2017, 6.2: no error can occur there); picolibc's has those of ASCII
 * only. A byte from 0x80 is the wide character BYTES + the byte: these are halves of UTF-16's pairs, which are no
 * characters of Unicode and of no class.
 *
 * UTF-8 is taken only in its shortest form and without such halves. A character that has begun lies in the state, with the
 * number of its bytes.
 *
 * mblen and wcstombs are here, too: picolibc's do not say EILSEQ, and its wcstombs ends with a piece of a character where
 * there is no room for all of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <wchar.h>

#define BYTES	0xdf00

typedef int to_wide(wchar_t *to, const char *from, size_t most, mbstate_t *state);
typedef int to_bytes(char *to, wchar_t character, mbstate_t *state);

extern to_wide *const __mbtowc[];
extern to_bytes *const __wctomb[];

/* --- the locale C --------------------------------------------------------------------------------------------- */

static int c_wide(wchar_t *to, const char *from, size_t most, mbstate_t *state)
{
	uint8_t byte;

	(void)state;
	if (!from)
		return 0;
	if (!most)
		return -2;
	byte = (uint8_t)*from;
	if (to)
		*to = byte < 0x80 ? byte : BYTES + byte;
	return byte != 0;
}

static int c_bytes(char *to, wchar_t character, mbstate_t *state)
{
	(void)state;
	if (!to)
		return 0;
	if ((character < 0 || character > 0x7f) && (character < BYTES + 0x80 || character > BYTES + 0xff))
		return -1;
	*to = (char)character;
	return 1;
}

/* --- UTF-8 ---------------------------------------------------------------------------------------------------- */

/* How many bytes a character with this one in front has; 0: none has. */
static int length_of(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* May the byte be the one at this place? Not if the character had a shorter form, is half of a pair, or beyond all. */
static bool continues(uint8_t first, int at, uint8_t byte)
{
	uint8_t least = at > 1 ? 0x80 : first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	uint8_t most = at > 1 ? 0xbf : first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

	return byte >= least && byte <= most;
}

static int utf8_wide(wchar_t *to, const char *from, size_t most, mbstate_t *state)
{
	uint8_t *held = state->__value.__wchb;
	int count = state->__count, length;
	size_t used = 0;
	wchar_t character;

	if (!from)
		return 0;
	if (!most)
		return -2;
	if (!count) {
		held[0] = (uint8_t)from[used++];
		count = 1;
	}
	length = length_of(held[0]);
	if (!length)
		return -1;
	for (; count < length; count++) {
		if (used == most) {
			state->__count = count;
			return -2;
		}
		if (!continues(held[0], count, (uint8_t)from[used]))
			return -1;
		held[count] = (uint8_t)from[used++];
	}
	character = length == 1 ? held[0] : held[0] & 0x7f >> length;
	for (int i = 1; i < length; i++)
		character = character << 6 | (held[i] & 0x3f);
	state->__count = 0;
	if (to)
		*to = character;
	return character ? (int)used : 0;
}

static int utf8_bytes(char *to, wchar_t character, mbstate_t *state)
{
	int length = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;

	(void)state;
	if (!to)
		return 0;
	if (character < 0 || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
		return -1;
	for (int i = length - 1; i > 0; i--) {
		to[i] = (char)(0x80 | (character & 0x3f));
		character >>= 6;
	}
	*to = (char)(length == 1 ? character : (0xf00 >> length & 0xff) | character);
	return length;
}

to_wide *const __mbtowc[] = { c_wide, utf8_wide };
to_bytes *const __wctomb[] = { c_bytes, utf8_bytes };

/* --- what goes by them ---------------------------------------------------------------------------------------- */

int mblen(const char *from, size_t most)
{
	return mbtowc(NULL, from, most);
}

size_t wcstombs(char *restrict to, const wchar_t *restrict from, size_t room)
{
	const wchar_t *at = from;
	mbstate_t state = { 0 };

	return wcsrtombs(to, &at, room, &state);
}
