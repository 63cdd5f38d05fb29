/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Broken-down time with its zone: picolibc's functions, which know the first nine members of struct tm, and behind them
 * what <time.h> of this libOS adds, tm_gmtoff and tm_zone. Functions of picolibc's that only read a struct tm, or have
 * one of their own, see what they know; those that hand one out stand here. mktime and timegm are of this file alone:
 * right for every year that an int holds, and where the clock is put forward and back.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "libos/posix/libc/calendar.h"

struct tm *posix_libc_gmtime_r(const time_t *restrict when, struct tm *restrict tm);
struct tm *posix_libc_localtime_r(const time_t *restrict when, struct tm *restrict tm);
void posix_libc_tzset(void);

/* The first and the last second of years that fit into tm_year. */
#define FIRST	(-67768040609740800LL)
#define LAST	67768036191676799LL

#define DAY	86400
#define ZONE_MOST	10	/* bytes of a zone's name, as picolibc has it */

const char posix_greenwich[] = "GMT";

/* Days from 1970 to the first of a month, which may be any number. */
static int64_t days_before(int64_t year, int64_t month)
{
	static const short before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t last, leaps;

	year += month / 12 - (month % 12 < 0);
	month = (month % 12 + 12) % 12;
	last = month < 2 ? year - 1 : year;	/* the last year whose 29th of February may lie before */
	leaps = (last >= 0 ? last / 4 : (last - 3) / 4) - (last >= 0 ? last / 100 : (last - 99) / 100) +
	    (last >= 0 ? last / 400 : (last - 399) / 400);
	return 365 * (year - 1970) + before[month] + leaps - 477;
}

/* Seconds from 1970, as if it were Greenwich's time; the members may have any values. */
static int64_t seconds(const struct tm *tm)
{
	return (days_before(1900LL + tm->tm_year, tm->tm_mon) + tm->tm_mday - 1) * DAY + 3600LL * tm->tm_hour +
	    60LL * tm->tm_min + tm->tm_sec;
}

static bool fits(int64_t when)
{
	if (when >= FIRST && when <= LAST)
		return true;
	errno = EOVERFLOW;
	return false;
}

/*
 * To picolibc the zone of a TZ that it does not understand is Greenwich's, without a name. It has one: TZ itself, if that
 * is a name and no more (TZ=GMT), or UTC.
 */
static void name_zone(void)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static char name[ZONE_MOST + 1];
	const char *given = getenv("TZ");
	size_t length;

	if (*tzname[0])
		return;
	given += given && *given == ':';
	length = given ? strspn(given, letters) : 0;
	strcpy(name, length >= 3 && length <= ZONE_MOST && !given[length] ? given : "UTC");
	tzname[0] = tzname[1] = name;
}

void tzset(void)
{
	posix_libc_tzset();
	name_zone();
}

static void zone(struct tm *tm, time_t when)
{
	name_zone();
	tm->tm_gmtoff = (long)(seconds(tm) - when);
	tm->tm_zone = tzname[tm->tm_isdst > 0];
}

struct tm *gmtime_r(const time_t *restrict when, struct tm *restrict tm)
{
	tm = fits(*when) ? posix_libc_gmtime_r(when, tm) : NULL;
	if (tm) {
		tm->tm_gmtoff = 0;
		tm->tm_zone = posix_greenwich;
	}
	return tm;
}

struct tm *gmtime(const time_t *when)
{
	static struct tm tm;

	return gmtime_r(when, &tm);
}

/* picolibc's does not know whether it was summer before 1970: then nobody says that it was. */
struct tm *localtime_r(const time_t *restrict when, struct tm *restrict tm)
{
	tm = fits(*when) ? posix_libc_localtime_r(when, tm) : NULL;
	if (!tm)
		return NULL;
	if (tm->tm_isdst < 0)
		tm->tm_isdst = 0;
	zone(tm, *when);
	return tm;
}

struct tm *localtime(const time_t *when)
{
	static struct tm tm;

	return localtime_r(when, &tm);
}

/* What local time is ahead of Greenwich's at a moment; *summer is set. */
static int64_t ahead(int64_t when, bool *summer)
{
	time_t clock = when;
	struct tm tm;

	if (!localtime_r(&clock, &tm)) {
		*summer = false;
		return -timezone;
	}
	*summer = tm.tm_isdst > 0;
	return tm.tm_gmtoff;
}

/*
 * The moment that is so called: of the differences that hold before, after, and half a year away, the first with which
 * the clock shows it, and with tm_isdst as the caller says. A time that is skipped is as if the difference before went on; one
 * with a tm_isdst that does not hold then is reckoned by the difference that goes with it.
 */
static int64_t moment(int64_t local, int isdst)
{
	static const int64_t away[] = { -DAY, DAY, -182LL * DAY, 182LL * DAY };
	bool summer, holds;
	int64_t offset, kept = 0;
	bool has_kept = false;

	for (unsigned i = 0; i < 2; i++) {
		offset = ahead(local + away[i], &summer);
		if (ahead(local - offset, &holds) == offset && (isdst < 0 || holds == (isdst > 0)))
			return local - offset;
	}
	for (unsigned i = 0; i < 4; i++) {
		offset = ahead(local + away[i], &summer);
		if (isdst < 0 || summer == (isdst > 0))
			return local - offset;
		if (!has_kept)
			kept = offset;
		has_kept = true;
	}
	return local - kept;
}

time_t mktime(struct tm *tm)
{
	struct tm result;
	time_t when;

	tzset();
	when = moment(seconds(tm), tm->tm_isdst);
	if (!localtime_r(&when, &result))
		return -1;
	*tm = result;
	return when;
}

time_t timegm(struct tm *tm)
{
	time_t when = seconds(tm);
	struct tm result;

	if (!gmtime_r(&when, &result))
		return -1;
	*tm = result;
	return when;
}
