/* SPDX-License-Identifier: BSD-2-Clause */
/* What poll and epoll have in common: waiting for readiness, with a time and a signal mask. */
#ifndef LIBOS_POSIX_POLL_H
#define LIBOS_POSIX_POLL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "libos/core/core.h"

/* Asks the keeper: how many are ready; WIRE_WAIT, if `wait`: none yet; -errno. */
struct posix_polled {
	int64_t (*ask)(const struct posix_polled *what, bool wait);
	void *to;
	size_t count;		/* at `to` */
	int fd;			/* epoll's */
};

/* Until something is ready, or `deadline`: EXO_NEVER, a time, or 0: do not wait. With `mask` meanwhile, if not NULL. */
int64_t posix_poll_wait(const struct posix_polled *what, exo_time_t deadline, const sigset_t *mask);
/* The deadline of a timeout; of one that makes no sense -EINVAL. NULL, or less than 0 ms: never. */
int64_t posix_timeout(const struct timespec *timeout, exo_time_t *deadline);
exo_time_t posix_timeout_ms(int timeout_ms);

#endif
