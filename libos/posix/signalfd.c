/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors of signals. The keeper knows the set and who waits (libos/keep/signalfd.c); what is pending, the process
 * takes itself, as sigwaitinfo does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include "libos/posix/io.h"
#include "libos/posix/signal_private.h"

_Static_assert(sizeof(struct signalfd_siginfo) == 128, "as on Linux");

int signalfd(int fd, const sigset_t *set, int flags)
{
	int64_t result = -EINVAL;

	if (set) {
		bool was = posix_enter();

		result = posix_ask(REQUEST_SIGNALFD, (uint32_t)fd, *set, (unsigned)flags, NULL);
		signal_publish();
		posix_leave(was);
	}
	return (int)posix_result(result);
}

void posix_signals_tell(void)
{
	signal_held_more = false;
	posix_ask(REQUEST_SIGNALFD_LOOK, 0, 0, 0, NULL);
}

static void put(char *to, const siginfo_t *info)
{
	struct signalfd_siginfo out = { .ssi_signo = (uint32_t)info->si_signo, .ssi_code = info->si_code,
		.ssi_pid = (uint32_t)info->si_pid, .ssi_uid = (uint32_t)info->si_uid, .ssi_status = info->si_status,
		.ssi_int = info->si_value.sival_int, .ssi_ptr = (uint64_t)info->si_value.sival_ptr };

	if (info->si_code == SI_TIMER) {
		out.ssi_tid = (uint32_t)info->si_timerid;
		out.ssi_overrun = (uint32_t)info->si_overrun;
	}
	memcpy(to, &out, sizeof(out));
}

/* Only the first is waited for. */
int64_t posix_signals_read(void *to, size_t bytes, uint64_t set, bool wait)
{
	size_t room = bytes / sizeof(struct signalfd_siginfo), done = 0;
	exo_time_t now = core_now();
	int64_t result = 0;
	siginfo_t info;

	if (!room)
		return -EINVAL;
	bool was = posix_enter();
	while (done < room) {
		result = signal_await(set, &info, wait && !done ? EXO_NEVER : now);
		if (result <= 0)
			break;
		put((char *)to + done++ * sizeof(struct signalfd_siginfo), &info);
	}
	signal_publish();
	posix_leave(was);
	return done ? (int64_t)(done * sizeof(struct signalfd_siginfo)) : result;
}
