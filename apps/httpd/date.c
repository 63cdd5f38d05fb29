/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calendar is computed in years that begin in March, so that the leap day is a year's last, and in eras
 * of 400 years (146097 days). No time zone, no locale, no libc state: each worker may call at any time.
 */
#include <string.h>

#include "apps/httpd/date.h"

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct civil {
	unsigned year, month, day;	/* month and day from 1 */
};

static struct civil civil_of(uint64_t days)
{
	uint64_t z = days + 719468;	/* days since 1 March of year 0 */
	unsigned era = (unsigned)(z / 146097), doe = (unsigned)(z % 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned m = (5 * doy + 2) / 153;

	return (struct civil){
		.year = yoe + era * 400 + (m >= 10),
		.month = m < 10 ? m + 3 : m - 9,
		.day = doy - (153 * m + 2) / 5 + 1,
	};
}

static int64_t days_of(struct civil c)
{
	unsigned y = c.year - (c.month <= 2), era = y / 400, yoe = y % 400;
	unsigned doy = (153 * (c.month > 2 ? c.month - 3 : c.month + 9) + 2) / 5 + c.day - 1;

	return (int64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void two(char *out, unsigned v)
{
	out[0] = (char)('0' + v / 10);
	out[1] = (char)('0' + v % 10);
}

void http_date_format(char *out, int64_t t)
{
	uint64_t days = (uint64_t)t / 86400;
	unsigned second = (unsigned)((uint64_t)t % 86400);
	struct civil c = civil_of(days);

	memcpy(out, "Sun, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_LEN);
	memcpy(out, day_names + 3 * ((days + 4) % 7), 3);
	two(out + 5, c.day);
	memcpy(out + 8, month_names + 3 * (c.month - 1), 3);
	two(out + 12, c.year / 100);
	two(out + 14, c.year % 100);
	two(out + 17, second / 3600);
	two(out + 20, second / 60 % 60);
	two(out + 23, second % 60);
}

/*
 * May the character stand where a form has f: 'D' a digit, 'B' a digit or a blank, 'a' a letter, else itself?
 */
static bool fits(char f, char c)
{
	bool digit = c >= '0' && c <= '9';

	switch (f) {
	case 'D':
		return digit;
	case 'B':
		return digit || c == ' ';
	case 'a':
		return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
	}
	return c == f;
}

static bool matches(const char *text, size_t len, const char *form)
{
	if (len != strlen(form))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!fits(form[i], text[i]))
			return false;
	return true;
}

static unsigned digits(const char *p, int count)
{
	unsigned v = 0;

	for (; count; count--, p++)
		v = v * 10 + (*p == ' ' ? 0 : (unsigned)(*p - '0'));
	return v;
}

/* Put the parts together: day, month name, year, and the place of HH:MM:SS. */
static bool assemble(unsigned day, const char *month, unsigned year, const char *clock, int64_t *t)
{
	static const unsigned char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned m, hour = digits(clock, 2), minute = digits(clock + 3, 2), second = digits(clock + 6, 2);
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	for (m = 0; m < 12 && memcmp(month, month_names + 3 * m, 3); m++)
		;
	if (m == 12 || !day || day > lengths[m] + (m == 1 && leap ? 1u : 0u) || hour > 23 ||
	    minute > 59 || second > 60)
		return false;
	*t = days_of((struct civil){ year, m + 1, day }) * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}

bool http_date_parse(const char *text, size_t len, int64_t *t)
{
	const char *comma;

	if (matches(text, len, "aaa, DD aaa DDDD DD:DD:DD GMT"))
		return assemble(digits(text + 5, 2), text + 8, digits(text + 12, 4), text + 17, t);
	if (matches(text, len, "aaa aaa BD DD:DD:DD DDDD"))
		return assemble(digits(text + 8, 2), text + 4, digits(text + 20, 4), text + 11, t);
	comma = memchr(text, ',', len);
	if (comma && matches(comma, (size_t)(text + len - comma), ", DD-aaa-DD DD:DD:DD GMT")) {
		unsigned year = digits(comma + 9, 2);

		return assemble(digits(comma + 2, 2), comma + 5, year + (year < 70 ? 2000 : 1900), comma + 12,
				t);
	}
	return false;
}
