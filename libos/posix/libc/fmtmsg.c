/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fmtmsg (POSIX.1-2017): "label: severity: text", and on a line of its own "TO FIX: action tag". MSGVERB chooses which
 * parts standard error gets; the console gets them all. A message has 1 KiB at most.
 */
#include <fcntl.h>
#include <fmtmsg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LABEL = 1, SEVERITY = 2, TEXT = 4, ACTION = 8, TAG = 16, ALL = 31 };

static const char *const severities[] = { NULL, "HALT", "ERROR", "WARNING", "INFO" };

/* The parts that MSGVERB names; all if there is none, or a word that is no part's. */
static int chosen(void)
{
	static const char *const words[] = { "label", "severity", "text", "action", "tag" };
	const char *at = getenv("MSGVERB");
	int parts = 0;

	if (!at || !*at)
		return ALL;
	for (;;) {
		size_t bytes = strcspn(at, ":");
		unsigned i;

		for (i = 0; i < 5 && (strncmp(at, words[i], bytes) || words[i][bytes]); i++)
			;
		if (i == 5)
			return ALL;
		parts |= 1 << i;
		if (!at[bytes])
			return parts;
		at += bytes + 1;
	}
}

static bool say(int fd, int parts, const char *const text[5])
{
	char line[1024] = "";
	const char *before = "";
	size_t count = 0;

	for (unsigned i = 0; i < 5; i++) {
		if (!(parts & 1 << i) || !text[i])
			continue;
		if (i == 3)
			before = count ? "\nTO FIX: " : "TO FIX: ";
		else if (i == 4 && count)
			before = "  ";
		count += (size_t)snprintf(line + count, sizeof(line) - count, "%s%s", before, text[i]);
		if (count >= sizeof(line) - 1)
			count = sizeof(line) - 2;
		before = ": ";
	}
	if (!count)
		return true;
	line[count++] = '\n';
	return write(fd, line, count) == (ssize_t)count;
}

int fmtmsg(long class, const char *label, int severity, const char *text, const char *action, const char *tag)
{
	bool is_known = severity >= MM_NOSEV && severity <= MM_INFO, printed = true, on_console = true;
	const char *const parts[5] = { label, is_known ? severities[severity] : NULL, text, action, tag };
	const char *colon = label ? strchr(label, ':') : NULL;
	int fd;

	if (!is_known || (label && (!colon || colon - label > 10 || strlen(colon + 1) > 14)))
		return MM_NOTOK;
	if (class & MM_PRINT)
		printed = say(STDERR_FILENO, chosen(), parts);
	if (class & MM_CONSOLE) {
		fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
		on_console = fd >= 0 && say(fd, ALL, parts);
		if (fd >= 0)
			close(fd);
	}
	if (!printed && !on_console)
		return MM_NOTOK;
	return printed ? on_console ? MM_OK : MM_NOCON : (class & MM_CONSOLE) ? MM_NOMSG : MM_NOTOK;
}
