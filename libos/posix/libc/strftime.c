/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strftime and wcsftime (POSIX.1-2017), of the locale C, of which all locales here are. picolibc's knows neither the flag
 * + nor the year 0, and goes neither by tm_gmtoff and tm_zone nor by mktime().
 *
 * A format is walked once, narrow or wide, and each character goes out at once, narrow or wide: what a conversion makes
 * is ASCII. One that stands for others (%c, %D, ...) is walked the same way. Flags are those of POSIX (0 and +) and
 * GNU's (-, _, ^, #); a width counts for all that is not made of others. A specification that is none stays as it is.
 *
 * %z and %Z are those of tm_gmtoff and tm_zone if a function of <time.h> has set them. Of a struct tm that the program has
 * filled in itself they are TZ's, by tm_isdst: tm_zone need not be anything then, and is not looked behind.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include "libos/posix/libc/calendar.h"

/* Where characters go. The last place is for the null character. */
struct out {
	char *bytes;		/* one of these is NULL */
	wchar_t *wide;
	size_t room, used;	/* used > room: there was none */
};

/* A format, narrow or wide. */
struct format {
	const char *bytes;
	const wchar_t *wide;
};

struct spec {
	char flag;		/* 0: none; 0 + - _ */
	bool upper, swap;	/* ^ # */
	int width;		/* -1: none */
};

static const char *const DAYS[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const MONTHS[] = { "January", "February", "March", "April", "May", "June", "July", "August",
	"September", "October", "November", "December" };

static void put(struct out *out, wchar_t c)
{
	if (out->used < out->room) {
		if (out->wide)
			out->wide[out->used] = c;
		else
			out->bytes[out->used] = (char)c;
	}
	out->used += out->used <= out->room;
}

static void pad(struct out *out, char with, int64_t count)
{
	for (; count > 0 && out->used <= out->room; count--)
		put(out, (wchar_t)with);
}

/* At most `most` characters. */
static void text(struct out *out, const struct spec *spec, const char *from, size_t most)
{
	size_t length = strnlen(from, most);

	pad(out, spec->flag == '0' || spec->flag == '+' ? '0' : ' ', spec->width - (int64_t)length);
	for (size_t i = 0; i < length; i++)
		put(out, spec->upper ? toupper((unsigned char)from[i]) : spec->swap ? tolower((unsigned char)from[i]) :
		    from[i]);
}

/* With at least `least` characters, if no width is given; `with` is before it if no flag says otherwise. */
static void number(struct out *out, const struct spec *spec, int64_t value, int least, char with)
{
	bool plus = spec->flag == '+' && value >= 0;
	char digits[24];
	int count = 0, sign = value < 0, width = spec->width >= 0 ? spec->width : least;
	uint64_t left = sign ? -(uint64_t)value : (uint64_t)value;

	if (spec->flag == '_')
		with = ' ';
	else if (spec->flag)
		with = '0';
	if (spec->flag == '-')
		width = 0;
	do
		digits[count++] = (char)('0' + left % 10);
	while ((left /= 10));
	sign += plus && (width > least || count > least);
	if (with == ' ')
		pad(out, ' ', (int64_t)width - count - sign);
	if (sign)
		put(out, value < 0 ? '-' : '+');
	if (with == '0')
		pad(out, '0', (int64_t)width - count - sign);
	while (count > 0)
		put(out, digits[--count]);
}

/* The ISO 8601 week, and the year it is of. */
static int iso_week(const struct tm *tm, int64_t *year)
{
	int monday = (tm->tm_wday + 6) % 7, week = (tm->tm_yday + 10 - monday) / 7, days;
	int64_t of = 1900LL + tm->tm_year;

#define IS_LEAP(year)	(((year) % 4 == 0 && (year) % 100 != 0) || (year) % 400 == 0)
	if (week == 0) {	/* the last one of the year before: its days go on */
		days = 365 + IS_LEAP(of - 1);
		of--;
		week = (tm->tm_yday + days + 10 - monday) / 7;
	} else {
		days = 365 + IS_LEAP(of);
		if (tm->tm_yday - monday + 3 >= days) {
			of++;
			week = 1;
		}
	}
#undef IS_LEAP
	*year = of;
	return week;
}

static bool is_zone_set(const struct tm *tm)
{
	return tm->tm_zone && (tm->tm_zone == tzname[0] || tm->tm_zone == tzname[1] || tm->tm_zone == posix_greenwich);
}

static void offset(struct out *out, const struct spec *spec, const struct tm *tm)
{
	struct tm copy = *tm;
	struct spec plain = { .width = spec->width < 0 ? 4 : spec->width - 1 };
	long seconds = tm->tm_gmtoff;

	if (tm->tm_isdst < 0)
		return;
	if (!is_zone_set(tm) && (tm->tm_zone || !seconds)) {
		seconds = -timezone;
		if (mktime(&copy) != -1)
			seconds = copy.tm_gmtoff;
	}
	put(out, seconds < 0 ? '-' : '+');
	seconds = (seconds < 0 ? -seconds : seconds) / 60;
	number(out, &plain, seconds / 60 * 100 + seconds % 60, 4, '0');
}

static void zone(struct out *out, const struct spec *spec, const struct tm *tm)
{
	struct spec name = *spec;

	if (tm->tm_isdst < 0)
		return;
	tzset();
	name.swap = spec->swap;
	text(out, &name, is_zone_set(tm) ? tm->tm_zone : tzname[tm->tm_isdst > 0], SIZE_MAX);
}

static const char *named(const char *const *names, int count, int index)
{
	return index >= 0 && index < count ? names[index] : "?";
}

static void walk(struct out *out, struct format format, const struct tm *tm);

/* The date as %+4Y-%m-%d; a width is the year's and the six characters behind it, and then no + is meant that is not said. */
static void date(struct out *out, const struct spec *spec, const struct tm *tm)
{
	struct spec year = { .flag = spec->flag || spec->width >= 0 ? spec->flag : '+',
		.width = spec->width > 6 ? spec->width - 6 : -1 };

	number(out, &year, 1900LL + tm->tm_year, spec->width >= 0 && spec->width <= 6 ? 0 : 4, '0');
	walk(out, (struct format){ "-%m-%d", NULL }, tm);
}

static int64_t since_1970(const struct tm *tm)
{
	struct tm copy = *tm;

	return mktime(&copy);
}

/* Those that are made of others; NULL: it is none. */
static const char *parts_of(char kind)
{
	switch (kind) {
	case 'c':
		return "%a %b %e %H:%M:%S %Y";
	case 'D': case 'x':
		return "%m/%d/%y";
	case 'r':
		return "%I:%M:%S %p";
	case 'R':
		return "%H:%M";
	case 'T': case 'X':
		return "%H:%M:%S";
	default:
		return NULL;
	}
}

/* Names. False: it is none of them. */
static bool one_text(struct out *out, struct spec *spec, char kind, const struct tm *tm)
{
	static const char *const HALVES[] = { "AM", "PM" }, *const SMALL[] = { "am", "pm" };
	bool names_rise = spec->swap;

	switch (kind) {
	case 'a': case 'A':
		spec->upper |= names_rise;
		text(out, spec, named(DAYS, 7, tm->tm_wday), kind == 'a' ? 3 : SIZE_MAX);
		return true;
	case 'b': case 'B': case 'h':
		spec->upper |= names_rise;
		text(out, spec, named(MONTHS, 12, tm->tm_mon), kind == 'B' ? SIZE_MAX : 3);
		return true;
	case 'p':
		text(out, spec, HALVES[tm->tm_hour >= 12], SIZE_MAX);
		return true;
	case 'P':
		text(out, spec, SMALL[tm->tm_hour >= 12], SIZE_MAX);
		return true;
	case 'n': case 't': case '%':
		text(out, spec, kind == 'n' ? "\n" : kind == 't' ? "\t" : "%", 1);
		return true;
	case 'Z':
		zone(out, spec, tm);
		return true;
	case 'z':
		offset(out, spec, tm);
		return true;
	case 'F':
		date(out, spec, tm);
		return true;
	default:
		return false;
	}
}

/* Numbers. False: it is none of them. */
static bool one_number(struct out *out, const struct spec *spec, char kind, const struct tm *tm)
{
	int64_t year = 1900LL + tm->tm_year, week_year;
	int week = iso_week(tm, &week_year), hour = tm->tm_hour % 12 ? tm->tm_hour % 12 : 12, least = 2;
	char with = '0';
	int64_t value;

	switch (kind) {
	case 'C': value = year / 100; break;
	case 'd': value = tm->tm_mday; break;
	case 'e': value = tm->tm_mday; with = ' '; break;
	case 'g': value = (week_year % 100 + 100) % 100; break;
	case 'G': value = week_year; least = spec->flag == '+' ? 4 : 1; break;
	case 'H': value = tm->tm_hour; break;
	case 'I': value = hour; break;
	case 'j': value = tm->tm_yday + 1; least = 3; break;
	case 'k': value = tm->tm_hour; with = ' '; break;
	case 'l': value = hour; with = ' '; break;
	case 'm': value = tm->tm_mon + 1; break;
	case 'M': value = tm->tm_min; break;
	case 's': value = since_1970(tm); least = 1; break;
	case 'S': value = tm->tm_sec; break;
	case 'u': value = tm->tm_wday ? tm->tm_wday : 7; least = 1; break;
	case 'U': value = (tm->tm_yday + 7 - tm->tm_wday) / 7; break;
	case 'V': value = week; break;
	case 'w': value = tm->tm_wday; least = 1; break;
	case 'W': value = (tm->tm_yday + 7 - (tm->tm_wday + 6) % 7) / 7; break;
	case 'y': value = year % 100 < 0 ? -(year % 100) : year % 100; break;
	case 'Y': value = year; least = spec->flag == '+' ? 4 : 1; break;
	default: return false;
	}
	number(out, spec, value, least, with);
	return true;
}

static wchar_t at(const struct format *format, size_t index)
{
	return format->wide ? format->wide[index] : (unsigned char)format->bytes[index];
}

/* From behind a %; how many characters it has, 0: it is no specification. */
static size_t one(struct out *out, const struct format *format, size_t begin, const struct tm *tm)
{
	struct spec spec = { .width = -1 };
	const char *parts;
	size_t i = begin;
	wchar_t c;

	for (; (c = at(format, i)) != 0 && c < 128 && strchr("0+-_^#", (int)c); i++) {
		spec.upper |= c == '^';
		spec.swap |= c == '#';
		if (c != '^' && c != '#')
			spec.flag = (char)c;
	}
	for (; (c = at(format, i)) >= '0' && c <= '9'; i++) {
		spec.width = spec.width < 0 ? 0 : spec.width;
		spec.width = spec.width < 100000000 ? spec.width * 10 + (int)(c - '0') : spec.width;
	}
	i += c == 'E' || c == 'O';
	c = at(format, i);
	if (c <= 0 || c > 127)
		return 0;
	parts = parts_of((char)c);
	if (parts)
		walk(out, (struct format){ parts, NULL }, tm);
	else if (!one_text(out, &spec, (char)c, tm) && !one_number(out, &spec, (char)c, tm))
		return 0;
	return i + 1 - begin;
}

static void walk(struct out *out, struct format format, const struct tm *tm)
{
	for (size_t i = 0; at(&format, i) && out->used <= out->room; i++) {
		if (at(&format, i) == '%') {
			size_t length = one(out, &format, i + 1, tm);
			if (length) {
				i += length;
				continue;
			}
		}
		put(out, at(&format, i));
	}
}

/* How many characters, without the null one; 0: they have no room. */
static size_t finish(struct out *out, struct format format, const struct tm *tm)
{
	size_t room = out->room;

	if (!room)
		return 0;
	walk(out, format, tm);
	if (out->used >= room)
		return 0;
	if (out->wide)
		out->wide[out->used] = L'\0';
	else
		out->bytes[out->used] = '\0';
	return out->used;
}

size_t strftime(char *restrict to, size_t room, const char *restrict format, const struct tm *restrict tm)
{
	return finish(&(struct out){ to, NULL, room, 0 }, (struct format){ format, NULL }, tm);
}

size_t strftime_l(char *restrict to, size_t room, const char *restrict format, const struct tm *restrict tm,
		  locale_t locale)
{
	(void)locale;
	return strftime(to, room, format, tm);
}

size_t wcsftime(wchar_t *restrict to, size_t room, const wchar_t *restrict format, const struct tm *restrict tm)
{
	return finish(&(struct out){ NULL, to, room, 0 }, (struct format){ NULL, format }, tm);
}

size_t wcsftime_l(wchar_t *restrict to, size_t room, const wchar_t *restrict format, const struct tm *restrict tm,
		  locale_t locale)
{
	(void)locale;
	return wcsftime(to, room, format, tm);
}
