/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Broken-down time with its zone: picolibc's functions, which know the first nine members of struct tm, and behind them
 * what <time.h> of this libOS adds, tm_gmtoff and tm_zone. Functions of picolibc's that only read a struct tm, or have
 * one of their own, see what they know; those that hand one out stand here.
 */
#include <time.h>

struct tm *posix_libc_gmtime_r(const time_t *restrict when, struct tm *restrict tm);
struct tm *posix_libc_localtime_r(const time_t *restrict when, struct tm *restrict tm);
time_t posix_libc_mktime(struct tm *tm);
time_t posix_libc_timegm(struct tm *tm);

static void zone(struct tm *tm, time_t when)
{
	struct tm copy = *tm;

	tm->tm_gmtoff = (long)(posix_libc_timegm(&copy) - when);
	tm->tm_zone = tzname[tm->tm_isdst > 0];
}

struct tm *gmtime_r(const time_t *restrict when, struct tm *restrict tm)
{
	tm = posix_libc_gmtime_r(when, tm);
	if (tm) {
		tm->tm_gmtoff = 0;
		tm->tm_zone = "GMT";
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
	tm = posix_libc_localtime_r(when, tm);
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

time_t mktime(struct tm *tm)
{
	time_t when = posix_libc_mktime(tm);

	zone(tm, when);
	return when;
}

time_t timegm(struct tm *tm)
{
	time_t when = posix_libc_timegm(tm);

	tm->tm_gmtoff = 0;
	tm->tm_zone = "GMT";
	return when;
}
