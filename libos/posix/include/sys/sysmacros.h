/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a device's number.
 */
#ifndef EXO_POSIX_SYS_SYSMACROS_H
#define EXO_POSIX_SYS_SYSMACROS_H

#include <sys/types.h>

#define major(device)		((unsigned)((device) >> 8))
#define minor(device)		((unsigned)((device) & 0xff))
#define makedev(high, low)	((dev_t)(high) << 8 | (low))

#endif
