/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much random tests do: what `make check` runs, and what `make check-long` (EXO_TEST_LONG=1) does. One line each, so that
 * Python reads the numbers here, too.
 */
#ifndef TEST_LIB_SCALE_H
#define TEST_LIB_SCALE_H

#include <stdlib.h>

#define SCALES(X) \
	X(fs_operations, 1000000, 50000000)	/* of each file system, in all modes together */ \
	X(crash_states, 12000, 1000000)		/* of each file system */ \
	X(crash_random, 12, 400)		/* random workloads of each file system, beside the written ones */ \
	X(crash_repairs, 4000, 100000)		/* states that another program repairs: e2fsck */ \
	X(kth_workloads, 50, 500)		/* whose every k-th operation fails */ \
	X(damage_images, 8000, 10000000)	/* of each file system */ \
	X(crash_guest_states, 320, 20000)	/* of write logs of the emulator's */ \
	X(crash_guest_boots, 16, 1000)		/* of them started in the machine: at least one in 20 */

#define X(name, check, hours) SCALE_##name,
enum scale { SCALES(X) SCALE_COUNT };
#undef X

static inline unsigned long long scale(enum scale which)
{
	static const unsigned long long numbers[][2] = {
#define X(name, check, hours) { check, hours },
		SCALES(X)
#undef X
	};
	const char *is_long = getenv("EXO_TEST_LONG");

	return numbers[which][is_long && *is_long];
}

#endif
