/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who runs, with what, and how large things are. A program is alone with its files: it is nobody but root.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include "libos/core/core.h"
#include "libos/uni/fd.h"

uid_t getuid(void)
{
	return 0;
}

uid_t geteuid(void)
{
	return 0;
}

gid_t getgid(void)
{
	return 0;
}

gid_t getegid(void)
{
	return 0;
}

long sysconf(int name)
{
	switch (name) {
	case _SC_PAGESIZE:
		return EXO_PAGE_SIZE;
	case _SC_OPEN_MAX:
		return FD_MAX;
	case _SC_NPROCESSORS_ONLN:
	case _SC_NPROCESSORS_CONF:
		return 1;		/* that the program's threads run on */
	case _SC_PHYS_PAGES:
		return (long)core_info->frames_total;
	case _SC_CLK_TCK:
		return CLOCKS_PER_SEC;
	}
	errno = EINVAL;
	return -1;
}

int getrusage(int who, struct rusage *use)
{
	struct timespec cpu;

	if (who != RUSAGE_SELF) {
		errno = EINVAL;
		return -1;
	}
	memset(use, 0, sizeof(*use));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	use->ru_utime = (struct timeval){ cpu.tv_sec, cpu.tv_nsec / 1000 };
	return 0;
}

int utimes(const char *path, const struct timeval times[2])
{
	struct timespec both[2];

	for (int i = 0; times && i < 2; i++)
		both[i] = (struct timespec){ times[i].tv_sec, times[i].tv_usec * 1000 };
	return utimensat(AT_FDCWD, path, times ? both : NULL, 0);
}
