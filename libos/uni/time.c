/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping: it blocks the thread, not the program. Clocks are clock.c.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <sys/time.h>
#include <sys/times.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/uni/clock.h"

uint64_t clock_cpu_ns(void)
{
	return info_cpu_ns();
}

clock_t times(struct tms *out)
{
	clock_t used = clock();

	*out = (struct tms){ .tms_utime = used };
	return used;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	if (wanted->tv_sec < 0 || wanted->tv_nsec < 0 || (uint64_t)wanted->tv_nsec >= CORE_SECOND) {
		errno = EINVAL;
		return -1;
	}
	if (left)
		*left = (struct timespec){ 0 };
	thread_sleep(core_now() + (uint64_t)wanted->tv_sec * CORE_SECOND + (uint64_t)wanted->tv_nsec);
	return 0;
}

int usleep(useconds_t us)
{
	thread_sleep(core_now() + (uint64_t)us * 1000);
	return 0;
}

unsigned sleep(unsigned seconds)
{
	thread_sleep(core_now() + (uint64_t)seconds * CORE_SECOND);
	return 0;
}

int sched_yield(void)
{
	thread_yield();
	return 0;
}
