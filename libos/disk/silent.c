/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that does not answer: reset it, step by step. See disk.h.
 *
 * The kernel never waits for a device, and knows no time after which one is silent: each exo_disk_reset is a look and at most
 * one thing done. The first ones follow at once, as a device that is well takes no longer; then the thread sleeps between
 * them, longer and longer, and others run.
 */
#include "libos/core/thread.h"
#include "libos/disk/disk.h"

#define HASTY		64		/* steps without a sleep */
#define PAUSE_MIN	(CORE_SECOND / 10000)
#define PAUSE_MAX	(CORE_SECOND / 50)

int disk_restart(exo_cap_t shares, exo_time_t patience)
{
	exo_time_t begun = core_now(), pause = PAUSE_MIN, now;
	unsigned steps = 0;
	int64_t error;

	/* DEVICE: it stopped, but did not start; the next step begins at the beginning. */
	while ((error = exo_disk_reset(shares, EXO_DISK_STEP)) == -EXO_EAGAIN || error == -EXO_EDEVICE) {
		now = core_now();
		if (now - begun >= patience) {
			exo_disk_reset(shares, EXO_DISK_GIVE_UP);
			return -EIO;
		}
		if (error == -EXO_EAGAIN && ++steps < HASTY)
			continue;
		thread_sleep(now + pause);
		pause = pause * 2 < PAUSE_MAX ? pause * 2 : PAUSE_MAX;
	}
	return error ? -EACCES : 0;
}
