/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * getdate (POSIX.1-2017): a date by the first of the templates in the file that DATEMSK names which it matches. What
 * the template does not say is now, or the nearest time to come: a weekday alone is the next such day, today included; a
 * month alone its next first day; an hour alone today's or tomorrow's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NOT_SAID	INT_MIN

enum { NO_DATEMSK = 1, NOT_OPEN, NO_STATUS, NOT_REGULAR, NOT_READ, NO_MEMORY, NO_MATCH, NOT_VALID };

int getdate_err;

static bool matches(const char *text, const char *template, struct tm *out)
{
	const char *end;

	*out = (struct tm){
		.tm_sec = NOT_SAID, .tm_min = NOT_SAID, .tm_hour = NOT_SAID, .tm_mday = NOT_SAID, .tm_mon = NOT_SAID,
		.tm_year = NOT_SAID, .tm_wday = NOT_SAID, .tm_yday = NOT_SAID, .tm_isdst = -1,
	};
	end = strptime(text, template, out);
	while (end && (*end == ' ' || *end == '\t' || *end == '\n'))
		end++;
	return end && !*end;
}

/* The first template that matches; 0 or what went wrong. */
static int choose(const char *text, struct tm *out)
{
	const char *name = getenv("DATEMSK");
	int result = NO_MATCH;
	char *line = NULL;
	size_t room = 0;
	struct stat st;
	ssize_t count;
	FILE *file;

	if (!name || !*name)
		return NO_DATEMSK;
	if (stat(name, &st) < 0)
		return errno == EACCES || errno == ENOENT || errno == ENOTDIR ? NOT_OPEN : NO_STATUS;
	if (!S_ISREG(st.st_mode))
		return NOT_REGULAR;
	file = fopen(name, "re");
	if (!file)
		return NOT_OPEN;
	errno = 0;
	while (result == NO_MATCH && (count = getline(&line, &room, file)) >= 0) {
		if (count && line[count - 1] == '\n')
			line[--count] = '\0';
		if (count && matches(text, line, out))
			result = 0;
	}
	if (result && ferror(file))
		result = NOT_READ;
	else if (result && errno == ENOMEM)
		result = NO_MEMORY;
	free(line);
	fclose(file);
	return result;
}

static bool earlier(const struct tm *out, const struct tm *now)
{
	if (out->tm_hour != now->tm_hour)
		return out->tm_hour < now->tm_hour;
	return out->tm_min != now->tm_min ? out->tm_min < now->tm_min : out->tm_sec < now->tm_sec;
}

/* Hours, minutes and seconds: now's, or 0 behind what was said. */
static bool fill_time(struct tm *out, const struct tm *now)
{
	bool said = out->tm_hour != NOT_SAID || out->tm_min != NOT_SAID || out->tm_sec != NOT_SAID;

	if (!said) {
		out->tm_hour = now->tm_hour;
		out->tm_min = now->tm_min;
		out->tm_sec = now->tm_sec;
		return false;
	}
	if (out->tm_hour == NOT_SAID)
		out->tm_hour = now->tm_hour;
	if (out->tm_min == NOT_SAID)
		out->tm_min = 0;
	if (out->tm_sec == NOT_SAID)
		out->tm_sec = 0;
	return true;
}

static void fill_day(struct tm *out, const struct tm *now, bool time_said)
{
	bool year = out->tm_year != NOT_SAID, month = out->tm_mon != NOT_SAID, day = out->tm_mday != NOT_SAID;
	int weekday = out->tm_wday;

	if (weekday != NOT_SAID && !year && !month && !day) {
		out->tm_year = now->tm_year;
		out->tm_mon = now->tm_mon;
		out->tm_mday = now->tm_mday + (weekday - now->tm_wday + 7) % 7;
		return;
	}
	if (!year)
		out->tm_year = now->tm_year + (month && out->tm_mon < now->tm_mon);
	if (!month)
		out->tm_mon = year ? 0 : now->tm_mon;
	if (!day)
		out->tm_mday = year || month ? 1 : now->tm_mday;
	if (!year && !month && !day && time_said && earlier(out, now))
		out->tm_mday++;
	if (month && !day && weekday != NOT_SAID) {
		struct tm first = *out;

		first.tm_hour = 12;
		mktime(&first);
		out->tm_mday = 1 + (weekday - first.tm_wday + 7) % 7;
	}
}

int getdate_r(const char *text, struct tm *out)
{
	bool time_said, day_said;
	int result = choose(text, out), day;
	struct tm now;
	time_t clock;

	if (result)
		return result;
	time(&clock);
	localtime_r(&clock, &now);
	day_said = out->tm_mday != NOT_SAID;
	day = out->tm_mday;
	time_said = fill_time(out, &now);
	fill_day(out, &now, time_said);
	out->tm_isdst = -1;
	errno = 0;
	if ((mktime(out) == (time_t)-1 && errno) || (day_said && out->tm_mday != day))
		return NOT_VALID;
	return 0;
}

struct tm *getdate(const char *text)
{
	static struct tm out;

	getdate_err = getdate_r(text, &out);
	return getdate_err ? NULL : &out;
}
