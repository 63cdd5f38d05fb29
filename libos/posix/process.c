/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who a process is, its group and session, and waiting for others. What the page says needs no request.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "libos/posix/call.h"

#define page	((volatile struct wire_page *)WIRE_VA_PAGE)

pid_t getpid(void)
{
	return page->pid;
}

pid_t getppid(void)
{
	return page->ppid;
}

pid_t getpgrp(void)
{
	return page->pgid;
}

pid_t getpgid(pid_t pid)
{
	if (!pid)
		return page->pgid;
	return (pid_t)posix_result(posix_ask(REQUEST_GETPGID, (uint64_t)(int64_t)pid, 0, 0, NULL));
}

pid_t getsid(pid_t pid)
{
	uint64_t more[2];
	int64_t result = posix_ask(REQUEST_GETPGID, (uint64_t)(int64_t)pid, 0, 0, more);

	return result < 0 ? (pid_t)posix_result(result) : (pid_t)more[0];
}

int setpgid(pid_t pid, pid_t group)
{
	return (int)posix_result(posix_ask(REQUEST_SETPGID, (uint64_t)(int64_t)pid, (uint64_t)(int64_t)group,
					   0, NULL));
}

pid_t setpgrp(void)
{
	setpgid(0, 0);
	return page->pgid;
}

pid_t setsid(void)
{
	return (pid_t)posix_result(posix_ask(REQUEST_SETSID, 0, 0, 0, NULL));
}

int daemon(int stay, int keep)
{
	int fd = keep ? -1 : open("/dev/null", O_RDWR);		/* before anything that cannot be taken back */
	pid_t pid = !keep && fd < 0 ? -1 : fork();

	if (pid > 0)
		_exit(0);
	if (!pid && setsid() >= 0 && (stay || !chdir("/")) &&
	    (keep || (dup2(fd, 0) >= 0 && dup2(fd, 1) >= 0 && dup2(fd, 2) >= 0))) {
		if (fd > 2)
			close(fd);
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* --- waiting -------------------------------------------------------------------------------------------- */

/* Answer: pid, 0 or -errno; more[0] = status, more[1] = uid. */
static int64_t wait_for(int64_t pid, uint64_t options, uint64_t more[2])
{
	int64_t result = posix_ask_wait(REQUEST_WAIT, (uint64_t)pid, options, 0, more, EXO_NEVER, POSIX_RESTARTS);

	/* The signal may have been SIGCHLD: what a child has done comes before EINTR. */
	if (result == -EINTR) {
		result = posix_ask(REQUEST_WAIT, (uint64_t)pid, options, 0, more);
		result = result == WIRE_WAIT ? -EINTR : result;
	}
	return result;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	uint64_t more[2];
	int64_t result;

	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED))
		return (pid_t)posix_result(-EINVAL);
	result = wait_for(pid, (uint64_t)options | WEXITED, more);
	if (result > 0 && status)
		*status = (int)more[0];
	return (pid_t)posix_result(result);
}

pid_t wait(int *status)
{
	return waitpid(-1, status, 0);
}

/* What a child has used is what all have used more than before. */
pid_t wait4(pid_t pid, int *status, int options, struct rusage *use)
{
	struct rusage before, after;
	pid_t result;

	getrusage(RUSAGE_CHILDREN, &before);
	result = waitpid(pid, status, options);
	getrusage(RUSAGE_CHILDREN, &after);
	if (use) {
		*use = (struct rusage){ 0 };
		timersub(&after.ru_utime, &before.ru_utime, &use->ru_utime);
	}
	return result;
}

pid_t wait3(int *status, int options, struct rusage *use)
{
	return wait4(-1, status, options, use);
}

static void describe(siginfo_t *info, int64_t pid, int status, uint64_t uid)
{
	info->si_signo = SIGCHLD;
	info->si_pid = (pid_t)pid;
	info->si_uid = (uid_t)uid;
	if (WIFEXITED(status)) {
		info->si_code = CLD_EXITED;
		info->si_status = WEXITSTATUS(status);
	} else if (WIFCONTINUED(status)) {
		info->si_code = CLD_CONTINUED;
		info->si_status = SIGCONT;
	} else if (WIFSTOPPED(status)) {
		info->si_code = CLD_STOPPED;
		info->si_status = WSTOPSIG(status);
	} else {
		info->si_code = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
		info->si_status = WTERMSIG(status);
	}
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	int64_t pid = type == P_ALL ? -1 : type == P_PID ? (int64_t)id : -(int64_t)id, result;
	uint64_t more[2];

	if ((type != P_ALL && type != P_PID && type != P_PGID) || (type == P_PID && !id) ||
	    options & ~(WNOHANG | WEXITED | WSTOPPED | WCONTINUED | WNOWAIT) ||
	    !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return (int)posix_result(-EINVAL);
	result = wait_for(pid, (uint64_t)options, more);
	if (result < 0)
		return (int)posix_result(result);
	if (info) {
		memset(info, 0, sizeof(*info));
		if (result)
			describe(info, result, (int)more[0], more[1] & UINT32_MAX);
	}
	return 0;
}
