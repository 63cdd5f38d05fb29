/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of signals, jumps that keep the mask, names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define BIT(number)	(1UL << ((number) - 1))

static int invalid(void)
{
	errno = EINVAL;
	return -1;
}

static int valid(int number)
{
	return number > 0 && number < NSIG;
}

int sigemptyset(sigset_t *set)
{
	*set = 0;
	return 0;
}

int sigfillset(sigset_t *set)
{
	*set = ~0UL >> 1;
	return 0;
}

int sigaddset(sigset_t *set, int number)
{
	if (!valid(number))
		return invalid();
	*set |= BIT(number);
	return 0;
}

int sigdelset(sigset_t *set, int number)
{
	if (!valid(number))
		return invalid();
	*set &= ~BIT(number);
	return 0;
}

int sigismember(const sigset_t *set, int number)
{
	if (!valid(number))
		return invalid();
	return (*set & BIT(number)) != 0;
}

int sigisemptyset(const sigset_t *set)
{
	return *set == 0;
}

int sigandset(sigset_t *set, const sigset_t *one, const sigset_t *other)
{
	*set = *one & *other;
	return 0;
}

int sigorset(sigset_t *set, const sigset_t *one, const sigset_t *other)
{
	*set = *one | *other;
	return 0;
}

/* --- jumps -------------------------------------------------------------------------------------------- */

int __sigjmp_save(sigjmp_buf place, int save)
{
	place->__saved = save;
	if (save)
		sigprocmask(SIG_BLOCK, NULL, &place->__mask);
	return 0;
}

void siglongjmp(sigjmp_buf place, int value)
{
	if (place->__saved)
		sigprocmask(SIG_SETMASK, &place->__mask, NULL);
	longjmp(place->__registers, value);
}

void _longjmp(jmp_buf place, int value)
{
	longjmp(place, value);
}

/* --- names -------------------------------------------------------------------------------------------- */

char *strsignal(int number)
{
	static const char *const names[] = {
		[SIGHUP] = "Hangup", [SIGINT] = "Interrupt", [SIGQUIT] = "Quit", [SIGILL] = "Illegal instruction",
		[SIGTRAP] = "Trace trap", [SIGABRT] = "Aborted", [SIGEMT] = "Emulation trap",
		[SIGFPE] = "Arithmetic exception", [SIGKILL] = "Killed", [SIGBUS] = "Bus error",
		[SIGSEGV] = "Segmentation fault", [SIGSYS] = "Bad system call", [SIGPIPE] = "Broken pipe",
		[SIGALRM] = "Alarm clock", [SIGTERM] = "Terminated", [SIGURG] = "Urgent condition",
		[SIGSTOP] = "Stopped (signal)", [SIGTSTP] = "Stopped", [SIGCONT] = "Continued",
		[SIGCHLD] = "Child changed", [SIGTTIN] = "Stopped (tty input)", [SIGTTOU] = "Stopped (tty output)",
		[SIGIO] = "I/O possible", [SIGXCPU] = "CPU time limit exceeded",
		[SIGXFSZ] = "File size limit exceeded", [SIGVTALRM] = "Virtual timer expired",
		[SIGPROF] = "Profiling timer expired", [SIGWINCH] = "Window changed", [SIGLOST] = "Resource lost",
		[SIGUSR1] = "User signal 1", [SIGUSR2] = "User signal 2",
	};
	static char other[32];

	if (valid(number) && number < (int)(sizeof(names) / sizeof(names[0])) && names[number])
		return (char *)names[number];
	if (number >= SIGRTMIN && number <= SIGRTMAX)
		snprintf(other, sizeof(other), "Real-time signal %d", number - SIGRTMIN);
	else
		snprintf(other, sizeof(other), "Unknown signal %d", number);
	return other;
}

void psignal(int number, const char *message)
{
	int saved = errno;

	if (message && *message)
		fprintf(stderr, "%s: %s\n", message, strsignal(number));
	else
		fprintf(stderr, "%s\n", strsignal(number));
	errno = saved;
}

void psiginfo(const siginfo_t *info, const char *message)
{
	psignal(info->si_signo, message);
}
