/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll, and with a signal mask.
 */
#ifndef EXO_POSIX_POLL_H
#define EXO_POSIX_POLL_H

#include_next <poll.h>
#include <signal.h>
#include <time.h>

#if __GNU_VISIBLE
#define POLLRDHUP	0x2000
#endif

#ifdef __cplusplus
extern "C" {
#endif
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
#ifdef __cplusplus
}
#endif

#endif
