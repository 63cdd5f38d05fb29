/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for processes. A status is as picolibc's <sys/_wait.h> says: 0xSS00 exited, 0x00NN killed, 0xNN7f stopped;
 * 0xffff continued.
 */
#ifndef EXO_POSIX_SYS_WAIT_H
#define EXO_POSIX_SYS_WAIT_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/_wait.h>

#define WSTOPPED	2
#define WEXITED		4
#define WCONTINUED	8
#define WNOWAIT		0x1000000
#define WIFCONTINUED(w)	((w) == 0xffff)
#define WCOREDUMP(w)	((w) & 0x80)
#define W_EXITCODE(status, signal)	((status) << 8 | (signal))
#define W_STOPCODE(signal)		((signal) << 8 | 0x7f)

typedef enum { P_ALL, P_PID, P_PGID } idtype_t;

#ifdef __cplusplus
extern "C" {
#endif
pid_t wait(int *status);
pid_t waitpid(pid_t pid, int *status, int options);
int waitid(idtype_t type, id_t id, siginfo_t *info, int options);
pid_t wait3(int *status, int options, struct rusage *use);
pid_t wait4(pid_t pid, int *status, int options, struct rusage *use);
#ifdef __cplusplus
}
#endif

#endif
