/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iconv (POSIX.1-2017) between Unicode's forms, ASCII, ISO 8859-1, 8859-15 and CP1252. Names are compared without case,
 * `-` and `_`; "" is the locale's. UTF-16 and UTF-32 without an order are written with a mark, lower byte first, and read
 * as the mark says. What the other side does not have is EILSEQ; "//TRANSLIT" makes it a question mark, "//IGNORE"
 * nothing, and iconv() counts these.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum form { ASCII, LATIN1, LATIN9, CP1252, UTF8, UTF16, UTF32, UCS2 };
enum order { MARKED, LITTLE, BIG };

#define INCOMPLETE	0	/* of the functions below, for their results */
#define WRONG		(-1)

struct side {
	enum form form;
	enum order order, now;	/* as named; as the mark said, or MARKED: it has not come yet */
};

struct converter {
	struct side from, to;
	bool transliterates, ignores;
};

static const struct {
	const char *name;
	enum form form;
	enum order order;
} names[] = {
	{ "ASCII", ASCII, 0 }, { "USASCII", ASCII, 0 }, { "646", ASCII, 0 }, { "C", ASCII, 0 }, { "POSIX", ASCII, 0 },
	{ "ANSIX3.41968", ASCII, 0 }, { "ISO88591", LATIN1, 0 }, { "LATIN1", LATIN1, 0 }, { "L1", LATIN1, 0 },
	{ "ISO885915", LATIN9, 0 }, { "LATIN9", LATIN9, 0 }, { "CP1252", CP1252, 0 }, { "WINDOWS1252", CP1252, 0 },
	{ "UTF8", UTF8, 0 }, { "UTF16", UTF16, MARKED }, { "UTF16LE", UTF16, LITTLE }, { "UTF16BE", UTF16, BIG },
	{ "UTF32", UTF32, MARKED }, { "UTF32LE", UTF32, LITTLE }, { "UTF32BE", UTF32, BIG }, { "UCS4", UTF32, BIG },
	{ "UCS4LE", UTF32, LITTLE }, { "UCS4BE", UTF32, BIG }, { "WCHART", UTF32, LITTLE }, { "UCS2", UCS2, LITTLE },
	{ "UCS2LE", UCS2, LITTLE }, { "UCS2BE", UCS2, BIG },
};

/* 8859-15 where it is not 8859-1, and 0x80 to 0x9f of CP1252; 0: not assigned. */
static const uint16_t latin9[][2] = {
	{ 0xa4, 0x20ac }, { 0xa6, 0x160 }, { 0xa8, 0x161 }, { 0xb4, 0x17d }, { 0xb8, 0x17e }, { 0xbc, 0x152 },
	{ 0xbd, 0x153 }, { 0xbe, 0x178 },
};
static const uint16_t cp1252[32] = {
	0x20ac, 0, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0, 0x17d, 0,
	0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0, 0x17e, 0x178,
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* --- names ---------------------------------------------------------------------------------------------------- */

static bool find(const char *name, struct side *side)
{
	size_t bytes = strcspn(name, "/"), count = 0;
	char plain[32];

	for (size_t i = 0; i < bytes; i++)
		if (name[i] != '-' && name[i] != '_' && count < sizeof(plain) - 1)
			plain[count++] = name[i];
	plain[count] = '\0';
	if (!count)
		strcpy(plain, MB_CUR_MAX > 1 ? "UTF8" : "ASCII");
	for (unsigned i = 0; i < COUNT(names); i++)
		if (!strcasecmp(plain, names[i].name)) {
			*side = (struct side){ names[i].form, names[i].order, names[i].order };
			return true;
		}
	return false;
}

iconv_t iconv_open(const char *to, const char *from)
{
	struct converter *c = calloc(1, sizeof(*c));

	if (!c)
		return (iconv_t)-1;
	if (!find(to, &c->to) || !find(from, &c->from)) {
		free(c);
		errno = EINVAL;
		return (iconv_t)-1;
	}
	c->transliterates = strcasestr(to, "//TRANSLIT") != NULL;
	c->ignores = strcasestr(to, "//IGNORE") != NULL;
	return (iconv_t)c;
}

int iconv_close(iconv_t converter)
{
	free((void *)converter);
	return 0;
}

/* --- one character in ----------------------------------------------------------------------------------------- */

static int get_byte(enum form form, unsigned char byte, uint32_t *character)
{
	*character = byte;
	if (form == ASCII)
		return byte < 0x80 ? 1 : WRONG;
	if (form == CP1252 && byte >= 0x80 && byte < 0xa0)
		*character = cp1252[byte - 0x80];
	for (unsigned i = 0; form == LATIN9 && i < COUNT(latin9); i++)
		if (latin9[i][0] == byte)
			*character = latin9[i][1];
	return *character || !byte ? 1 : WRONG;
}

static int get_utf8(const unsigned char *in, size_t left, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned bytes = *in < 0x80 ? 1 : *in < 0xc2 ? 0 : *in < 0xe0 ? 2 : *in < 0xf0 ? 3 : *in < 0xf5 ? 4 : 0;

	*character = bytes == 1 ? *in : *in & (0x7fU >> bytes);
	for (unsigned i = 1; i < bytes; i++) {
		if (i >= left)
			return INCOMPLETE;
		if ((in[i] & 0xc0) != 0x80)
			return WRONG;
		*character = *character << 6 | (in[i] & 0x3f);
	}
	if (!bytes || *character < least[bytes] || *character > 0x10ffff || (*character >= 0xd800 && *character < 0xe000))
		return WRONG;
	return (int)bytes;
}

static uint32_t unit(const unsigned char *in, unsigned bytes, enum order order)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)in[i] << 8 * (order == BIG ? bytes - 1 - i : i);
	return value;
}

static int get_units(const struct side *side, const unsigned char *in, size_t left, uint32_t *character)
{
	unsigned bytes = side->form == UTF32 ? 4 : 2;
	uint32_t low;

	if (left < bytes)
		return INCOMPLETE;
	*character = unit(in, bytes, side->now);
	if (side->form == UTF16 && *character >= 0xd800 && *character < 0xdc00) {
		if (left < 4)
			return INCOMPLETE;
		low = unit(in + 2, 2, side->now);
		if (low < 0xdc00 || low > 0xdfff)
			return WRONG;
		*character = 0x10000 + ((*character & 0x3ff) << 10) + (low & 0x3ff);
		return 4;
	}
	return *character > 0x10ffff || (*character >= 0xd800 && *character < 0xe000) ? WRONG : (int)bytes;
}

static int get(const struct side *side, const unsigned char *in, size_t left, uint32_t *character)
{
	if (side->form < UTF8)
		return get_byte(side->form, *in, character);
	return side->form == UTF8 ? get_utf8(in, left, character) : get_units(side, in, left, character);
}

/* The mark before the first character, if it has one: how long it is. */
static size_t take_mark(struct side *side, const unsigned char *in, size_t left)
{
	unsigned bytes = side->form == UTF32 ? 4 : 2;

	if (side->form < UTF16 || side->now != MARKED || left < bytes)
		return 0;
	side->now = unit(in, bytes, BIG) == 0xfeff ? BIG : LITTLE;
	return side->now == BIG || unit(in, bytes, LITTLE) == 0xfeff ? bytes : 0;
}

/* --- one character out ---------------------------------------------------------------------------------------- */

static int put_byte(enum form form, unsigned char *out, uint32_t character)
{
	uint32_t back = 0;

	for (unsigned byte = 0; byte < 256; byte++) {
		unsigned at = (character + byte) & 0xff;	/* most are where they are in Unicode */

		if (get_byte(form, (unsigned char)at, &back) == 1 && back == character) {
			*out = (unsigned char)at;
			return 1;
		}
	}
	return WRONG;
}

static int put_utf8(unsigned char *out, uint32_t character)
{
	int bytes = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;

	for (int i = bytes - 1; i > 0; i--, character >>= 6)
		out[i] = 0x80 | (character & 0x3f);
	out[0] = (unsigned char)(bytes == 1 ? character : (0xf00U >> bytes & 0xff) | character);
	return bytes;
}

static int put_unit(unsigned char *out, uint32_t value, int bytes, enum order order)
{
	for (int i = 0; i < bytes; i++)
		out[order == BIG ? bytes - 1 - i : i] = (unsigned char)(value >> 8 * i);
	return bytes;
}

static int put(struct side *side, unsigned char *out, uint32_t character)
{
	int bytes = side->form == UTF32 ? 4 : 2, mark = 0;

	if (side->form < UTF8)
		return put_byte(side->form, out, character);
	if (side->form == UTF8)
		return put_utf8(out, character);
	if (side->form == UCS2 && character > 0xffff)
		return WRONG;
	if (side->now == MARKED)
		mark = put_unit(out, 0xfeff, bytes, LITTLE);
	if (side->form != UTF16 || character < 0x10000)
		return mark + put_unit(out + mark, character, bytes, side->now);
	put_unit(out + mark, 0xd800 + ((character - 0x10000) >> 10), 2, side->now);
	put_unit(out + mark + 2, 0xdc00 + (character & 0x3ff), 2, side->now);
	return mark + 4;
}

/* --- iconv ---------------------------------------------------------------------------------------------------- */

static size_t fail(int error)
{
	errno = error;
	return (size_t)-1;
}

size_t iconv(iconv_t converter, char **restrict in, size_t *restrict in_left, char **restrict out, size_t *restrict out_left)
{
	struct converter *c = (void *)converter;
	size_t lost = 0;

	if (!in || !*in) {
		c->from.now = c->from.order;
		c->to.now = c->to.order;
		return 0;
	}
	while (*in_left) {
		unsigned char bytes[8];
		uint32_t character;
		size_t mark = take_mark(&c->from, (unsigned char *)*in, *in_left);
		int used, made;

		*in += mark;
		*in_left -= mark;
		if (!*in_left)
			break;
		used = get(&c->from, (unsigned char *)*in, *in_left, &character);
		if (used <= 0)
			return fail(used == INCOMPLETE ? EINVAL : EILSEQ);
		made = put(&c->to, bytes, character);
		if (made == WRONG) {
			if (!c->transliterates && !c->ignores)
				return fail(EILSEQ);
			made = c->transliterates ? put(&c->to, bytes, '?') : 0;
			lost++;
		}
		if ((size_t)made > *out_left)
			return fail(E2BIG);
		memcpy(*out, bytes, (size_t)made);
		if (made && c->to.now == MARKED)
			c->to.now = LITTLE;
		*out += made;
		*out_left -= (size_t)made;
		*in += used;
		*in_left -= (size_t)used;
	}
	return lost;
}
