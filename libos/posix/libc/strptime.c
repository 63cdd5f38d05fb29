/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strptime, of the locale C. picolibc's checks no ranges, takes 69 for 2069, and reads names and weeks wrongly.
 *
 * A format is read once; what does not stand for a member by itself (century, half of the day, week) is kept beside, and the
 * members follow from it at the end, those of the day of a date, too.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum { NONE = -1 };

/* What was read; NONE: it was not. `week` counts from Monday, if `monday`. */
struct parts {
	int century, year_of_century, year, half, hour_of_half, month, day, day_of_year, week, weekday;
	bool monday;
};

static const char *const DAYS[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const MONTHS[] = { "January", "February", "March", "April", "May", "June", "July", "August",
	"September", "October", "November", "December" };
static const char *const HALVES[] = { "AM", "PM" };

static const char *spaces(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

/* A number of at most `digits` digits, from `least` to `most`. NULL: there is none. */
static const char *number(const char *at, int digits, int least, int most, int *to)
{
	int value = 0, count = 0;

	at = spaces(at);
	for (; count < digits && isdigit((unsigned char)at[count]) && value <= most; count++)
		value = value * 10 + (at[count] - '0');
	if (count == 0 || value < least || value > most)
		return NULL;
	*to = value;
	return at + count;
}

/* The name of a list, whole or its first three letters. */
static const char *name(const char *at, const char *const *names, int count, int *to)
{
	for (int i = 0; i < count; i++) {
		size_t whole = 0, part = 3;

		while (names[i][whole])
			whole++;
		if (strncasecmp(at, names[i], whole) == 0 || (whole > part && strncasecmp(at, names[i], part) == 0)) {
			*to = i;
			return at + (strncasecmp(at, names[i], whole) == 0 ? whole : part);
		}
	}
	return NULL;
}

static const char *signed_year(const char *at, int digits, int *to)
{
	bool minus = *(at = spaces(at)) == '-';

	at = number(at + (*at == '-' || *at == '+'), digits, 0, 99999999, to);
	if (at && minus)
		*to = -*to;
	return at;
}

/* +hh, +hhmm, +hh:mm, Z. */
static const char *zone(const char *at, struct tm *tm)
{
	int hours = 0, minutes = 0;
	bool west;

	at = spaces(at);
	if (*at == 'Z') {
		tm->tm_gmtoff = 0;
		return at + 1;
	}
	west = *at == '-';
	if (!west && *at != '+')
		return NULL;
	at = number(at + 1, 2, 0, 24, &hours);
	if (at && (isdigit((unsigned char)*at) || *at == ':'))
		at = number(at + (*at == ':'), 2, 0, 59, &minutes);
	if (at)
		tm->tm_gmtoff = (hours * 60L + minutes) * (west ? -60 : 60);
	return at;
}

static const char *seconds(const char *at, struct tm *tm)
{
	char *end;
	time_t when = (time_t)strtoll(at, &end, 10);

	return end != at && localtime_r(&when, tm) ? end : NULL;
}

static const char *all(const char *at, const char *format, struct tm *tm, struct parts *parts);

static const char *one(const char *at, char kind, int width, struct tm *tm, struct parts *parts)
{
	int ignored;

	switch (kind) {
	case 'a': case 'A':
		return name(at, DAYS, 7, &parts->weekday);
	case 'b': case 'B': case 'h':
		return name(at, MONTHS, 12, &parts->month);
	case 'c':
		return all(at, "%a %b %e %H:%M:%S %Y", tm, parts);
	case 'C':
		return number(at, width ? width : 2, 0, 99999, &parts->century);
	case 'd': case 'e':
		return number(at, 2, 1, 31, &parts->day);
	case 'D': case 'x':
		return all(at, "%m/%d/%y", tm, parts);
	case 'F':
		at = signed_year(at, width > 6 ? width - 6 : 4, &parts->year);
		return at ? all(at, "-%m-%d", tm, parts) : NULL;
	case 'g':
		return number(at, 2, 0, 99, &ignored);
	case 'G':
		return signed_year(at, 4, &ignored);
	case 'H': case 'k':
		parts->hour_of_half = NONE;
		return number(at, 2, 0, 23, &tm->tm_hour);
	case 'I': case 'l':
		return number(at, 2, 1, 12, &parts->hour_of_half);
	case 'j':
		return number(at, 3, 1, 366, &parts->day_of_year);
	case 'm':
		at = number(at, 2, 1, 12, &parts->month);
		parts->month -= at != NULL;
		return at;
	case 'M':
		return number(at, 2, 0, 59, &tm->tm_min);
	case 'n': case 't':
		return spaces(at);
	case 'p': case 'P':
		return name(at, HALVES, 2, &parts->half);
	case 'r':
		return all(at, "%I:%M:%S %p", tm, parts);
	case 'R':
		return all(at, "%H:%M", tm, parts);
	case 's':
		return seconds(at, tm);
	case 'S':
		return number(at, 2, 0, 61, &tm->tm_sec);
	case 'T': case 'X':
		return all(at, "%H:%M:%S", tm, parts);
	case 'u':
		at = number(at, 1, 1, 7, &parts->weekday);
		parts->weekday %= at ? 7 : 99;
		return at;
	case 'U': case 'W':
		parts->monday = kind == 'W';
		return number(at, 2, 0, 53, &parts->week);
	case 'V':
		return number(at, 2, 1, 53, &ignored);
	case 'w':
		return number(at, 1, 0, 6, &parts->weekday);
	case 'y':
		return number(at, 2, 0, 99, &parts->year_of_century);
	case 'Y':
		return signed_year(at, width ? width : 4, &parts->year);
	case 'z':
		return zone(at, tm);
	case 'Z':
		while (isalpha((unsigned char)*at))
			at++;
		return at;
	case '%':
		return *at == '%' ? at + 1 : NULL;
	}
	return NULL;
}

static const char *all(const char *at, const char *format, struct tm *tm, struct parts *parts)
{
	for (; at && *format; format++) {
		int width = 0;

		if (isspace((unsigned char)*format)) {
			at = spaces(at);
		} else if (*format != '%') {
			at = *at == *format ? at + 1 : NULL;
		} else {
			format++;
			format += *format == '0' || *format == '+';
			for (; isdigit((unsigned char)*format) && width < 1000; format++)
				width = width * 10 + (*format - '0');
			format += *format == 'E' || *format == 'O';
			if (!*format)
				return NULL;
			at = one(at, *format, width, tm, parts);
		}
	}
	return at;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days before a month of a year. */
static int days_before(int month, int year)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };

	return before[month] + (month > 1 && is_leap(year));
}

/* The weekday on which a year begins. */
static int first_weekday(int year)
{
	int last = year - 1, cycle = ((last % 400) + 400) % 400;

	return (1 + cycle + cycle / 4 - cycle / 100) % 7;
}

/* The members for the day: from a date, from a day of the year, from a week. */
static void day_of(struct tm *tm, const struct parts *parts, bool has_year)
{
	int year = tm->tm_year + 1900, first = first_weekday(year), day;

	if (has_year && parts->day_of_year == NONE && parts->week != NONE && parts->weekday != NONE && parts->day == NONE) {
		day = parts->monday ? (8 - first) % 7 + (parts->week - 1) * 7 + (parts->weekday + 6) % 7 :
		    (7 - first) % 7 + (parts->week - 1) * 7 + parts->weekday;
		tm->tm_yday = day;
	} else if (parts->day_of_year != NONE) {
		tm->tm_yday = parts->day_of_year - 1;
	} else if (has_year && parts->month != NONE && parts->day != NONE) {
		tm->tm_yday = days_before(tm->tm_mon, year) + tm->tm_mday - 1;
	} else {
		return;
	}
	if (!has_year || tm->tm_yday < 0 || tm->tm_yday >= 365 + is_leap(year))
		return;
	tm->tm_wday = (first + tm->tm_yday) % 7;
	if (parts->month != NONE || parts->day != NONE)
		return;
	for (tm->tm_mon = 0; tm->tm_yday >= days_before(tm->tm_mon + 1, year); tm->tm_mon++)
		;
	tm->tm_mday = tm->tm_yday - days_before(tm->tm_mon, year) + 1;
}

char *strptime(const char *restrict text, const char *restrict format, struct tm *restrict tm)
{
	struct parts parts = { NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, false };
	const char *end = all(text, format, tm, &parts);
	bool has_year = parts.year != NONE || parts.century != NONE || parts.year_of_century != NONE;

	if (!end)
		return NULL;
	if (parts.year != NONE)
		tm->tm_year = parts.year - 1900;
	else if (parts.century != NONE)
		tm->tm_year = parts.century * 100 - 1900 + (parts.year_of_century != NONE ? parts.year_of_century : 0);
	else if (parts.year_of_century != NONE)
		tm->tm_year = parts.year_of_century + (parts.year_of_century < 69 ? 100 : 0);
	if (parts.hour_of_half != NONE)
		tm->tm_hour = parts.hour_of_half % 12 + (parts.half == 1 ? 12 : 0);
	if (parts.month != NONE)
		tm->tm_mon = parts.month;
	if (parts.day != NONE)
		tm->tm_mday = parts.day;
	if (parts.weekday != NONE)
		tm->tm_wday = parts.weekday;
	day_of(tm, &parts, has_year);
	return (char *)end;
}

char *strptime_l(const char *restrict text, const char *restrict format, struct tm *restrict tm, locale_t locale)
{
	(void)locale;
	return strptime(text, format, tm);
}
