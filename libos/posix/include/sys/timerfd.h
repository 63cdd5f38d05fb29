/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A timer that is a descriptor, as on Linux: of CLOCK_REALTIME or CLOCK_MONOTONIC.
 * TFD_TIMER_CANCEL_ON_SET: with TFD_TIMER_ABSTIME and CLOCK_REALTIME, a read says ECANCELED once after the clock was set.
 */
#ifndef EXO_POSIX_SYS_TIMERFD_H
#define EXO_POSIX_SYS_TIMERFD_H

#include <fcntl.h>
#include <time.h>

#define TFD_CLOEXEC	O_CLOEXEC
#define TFD_NONBLOCK	O_NONBLOCK
#define TFD_TIMER_ABSTIME	1
#define TFD_TIMER_CANCEL_ON_SET	2

#ifdef __cplusplus
extern "C" {
#endif
int timerfd_create(clockid_t, int);
int timerfd_settime(int, int, const struct itimerspec *, struct itimerspec *);
int timerfd_gettime(int, struct itimerspec *);
#ifdef __cplusplus
}
#endif

#endif
