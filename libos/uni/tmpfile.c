/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tmpfile in /tmp; picolibc's would make it in the working directory, which is the read-only archive as a rule.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

FILE *tmpfile(void)
{
	char name[] = "/tmp/tmp-XXXXXX";
	int fd = mkstemp(name);
	FILE *file;

	if (fd < 0)
		return NULL;
	unlink(name);
	file = fdopen(fd, "w+");
	if (!file)
		close(fd);
	return file;
}
