/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals that are read from a descriptor, as on Linux. Who reads gets what is pending to him; in a set of epoll the
 * descriptor is ready by what is pending to the process that made it.
 */
#ifndef EXO_POSIX_SYS_SIGNALFD_H
#define EXO_POSIX_SYS_SIGNALFD_H

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>

#define SFD_CLOEXEC	O_CLOEXEC
#define SFD_NONBLOCK	O_NONBLOCK

struct signalfd_siginfo {
	uint32_t ssi_signo;
	int32_t ssi_errno, ssi_code;
	uint32_t ssi_pid, ssi_uid;
	int32_t ssi_fd;
	uint32_t ssi_tid, ssi_band, ssi_overrun, ssi_trapno;
	int32_t ssi_status, ssi_int;
	uint64_t ssi_ptr, ssi_utime, ssi_stime, ssi_addr;
	uint8_t __spare[48];
};

#ifdef __cplusplus
extern "C" {
#endif
int signalfd(int, const sigset_t *, int);
#ifdef __cplusplus
}
#endif

#endif
