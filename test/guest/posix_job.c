/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals between processes, and job control: who is told what when a child stops, goes on and ends; groups,
 * sessions, kill's rules, interrupted and restarted calls, floods. Terminals are in posix_tty.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "test/guest/tap.h"

static volatile int calls, last_number, last_code, last_pid, last_status;

static void note(int number, siginfo_t *info, void *context)
{
	(void)context;
	calls++;
	last_number = number;
	last_code = info->si_code;
	last_pid = info->si_pid;
	last_status = info->si_status;
}

static void catch(int number, int flags)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = flags | SA_SIGINFO };

	sigaction(number, &action, NULL);
}

static pid_t child_of(void (*run)(int), int argument)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		run(argument);
		_exit(0);
	}
	return pid;
}

static void sleeps(int seconds)
{
	sleep((unsigned)seconds);
}

static void spins(int argument)
{
	(void)argument;
	for (;;)
		__asm__ volatile("pause");
}

static void raises(int number)
{
	raise(number);
}

static void faults(int argument)
{
	int *volatile bad = (int *)(long)argument;

	*bad = 1;
}

static int wait_for(pid_t pid, int options)
{
	int status = -1;

	return waitpid(pid, &status, options) == pid ? status : -1;
}

/* --- ends --------------------------------------------------------------------------------------------- */

static void test_ends(void)
{
	int status;

	status = wait_for(child_of(raises, SIGTERM), 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "a signal by default ends a process, with its number");
	status = wait_for(child_of(raises, SIGKILL), 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "SIGKILL to oneself");
	status = wait_for(child_of(faults, 8), 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a fault: SIGSEGV");
	pid_t pid = child_of(sleeps, 100);
	usleep(1000);
	ok(kill(pid, SIGINT) == 0, "kill a child that sleeps");
	status = wait_for(pid, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "... it ends");
	pid = child_of(spins, 0);
	usleep(5000);
	kill(pid, SIGTERM);
	status = wait_for(pid, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "a child that only computes ends by SIGTERM");
	pid = child_of(spins, 0);
	kill(pid, SIGKILL);
	status = wait_for(pid, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "... and by SIGKILL");
	ok(kill(pid, 0) == -1 && errno == ESRCH, "then it is gone");
}

/* --- SIGCHLD, stop, continue -------------------------------------------------------------------------- */

static void test_children(void)
{
	sigset_t set;
	siginfo_t info;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	catch(SIGCHLD, 0);
	pid_t pid = child_of(sleeps, 100);
	kill(pid, SIGSTOP);
	status = wait_for(pid, WUNTRACED);
	ok(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "SIGSTOP: waitpid with WUNTRACED");
	ok(sigwaitinfo(&set, &info) == SIGCHLD && info.si_code == CLD_STOPPED && info.si_pid == pid,
	   "SIGCHLD says CLD_STOPPED");
	ok(waitpid(pid, &status, WNOHANG) == 0, "a child that has stopped is not waited for without it");
	kill(pid, SIGCONT);
	ok(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status), "SIGCONT: WCONTINUED");
	ok(sigwaitinfo(&set, &info) == SIGCHLD && info.si_code == CLD_CONTINUED, "SIGCHLD says CLD_CONTINUED");
	kill(pid, SIGSTOP);
	wait_for(pid, WUNTRACED);
	sigwaitinfo(&set, &info);
	kill(pid, SIGTERM);
	struct timespec moment = { .tv_nsec = 20000000 };
	ok(sigtimedwait(&set, &info, &moment) == -1 && errno == EAGAIN, "who has stopped takes no SIGTERM");
	kill(pid, SIGCONT);
	status = wait_for(pid, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "... until it goes on");
	while (sigtimedwait(&set, &info, &moment) > 0)
		;
	pid = child_of(spins, 0);
	kill(pid, SIGSTOP);
	wait_for(pid, WUNTRACED);
	kill(pid, SIGKILL);
	status = wait_for(pid, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "SIGKILL ends who has stopped");
	while (sigtimedwait(&set, &info, &moment) > 0)
		;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	calls = 0;
	pid = child_of(_exit, 7);
	while (!calls)
		pause();
	ok(last_number == SIGCHLD && last_code == CLD_EXITED && last_pid == pid && last_status == 7,
	   "SIGCHLD of an exit");
	wait_for(pid, 0);
	signal(SIGCHLD, SIG_IGN);
	pid = child_of(_exit, 7);
	ok(waitpid(pid, &status, 0) == -1 && errno == ECHILD, "SIGCHLD ignored: there is nothing to wait for");
	signal(SIGCHLD, SIG_DFL);
}

/* --- interrupted calls -------------------------------------------------------------------------------- */

static void test_interrupted(void)
{
	int ends[2];
	char byte;
	pid_t self = getpid(), pid;

	pipe(ends);
	catch(SIGUSR1, 0);
	calls = 0;
	fflush(stdout);
	if (!(pid = fork())) {
		usleep(20000);
		kill(self, SIGUSR1);
		_exit(0);
	}
	errno = 0;
	ok(read(ends[0], &byte, 1) == -1 && errno == EINTR && calls == 1, "a read is interrupted: EINTR");
	wait_for(pid, 0);
	catch(SIGUSR1, SA_RESTART);
	calls = 0;
	if (!(pid = fork())) {
		usleep(20000);
		kill(self, SIGUSR1);
		usleep(20000);
		write(ends[1], "x", 1);
		_exit(0);
	}
	ok(read(ends[0], &byte, 1) == 1 && byte == 'x' && calls == 1, "SA_RESTART: it goes on");
	wait_for(pid, 0);
	close(ends[0]);
	close(ends[1]);
	pipe(ends);
	close(ends[0]);
	catch(SIGPIPE, 0);
	calls = 0;
	ok(write(ends[1], "x", 1) == -1 && errno == EPIPE && calls == 1 && last_number == SIGPIPE, "SIGPIPE, EPIPE");
	close(ends[1]);
	struct itimerval timer = { .it_value.tv_usec = 20000 };
	catch(SIGALRM, SA_RESTART);
	pid = child_of(spins, 0);
	setitimer(ITIMER_REAL, &timer, NULL);
	calls = 0;
	while (!calls)
		;
	ok(true, "an alarm comes while another process computes, too");
	kill(pid, SIGKILL);
	wait_for(pid, 0);
}

/* --- groups, inheritance ------------------------------------------------------------------------------ */

static void waits(int argument)
{
	(void)argument;
	for (;;)
		pause();
}

static void tells(int fd)
{
	sigset_t set, pending;
	struct itimerval timer;
	char answer;

	sigprocmask(SIG_BLOCK, NULL, &set);
	sigpending(&pending);
	getitimer(ITIMER_REAL, &timer);
	answer = sigismember(&set, SIGUSR2) && !sigismember(&pending, SIGUSR2) && !timer.it_value.tv_sec ? 'y' : 'n';
	write(fd, &answer, 1);
}

static void test_groups(void)
{
	pid_t members[5], group = 0;
	int ends[2], status, ended = 0;
	sigset_t set;
	char answer = 0;

	for (int i = 0; i < 5; i++) {
		members[i] = child_of(waits, 0);
		setpgid(members[i], group);
		group = members[0];
	}
	ok(killpg(group, SIGHUP) == 0, "killpg");
	for (int i = 0; i < 5; i++) {
		status = wait_for(members[i], 0);
		ended += WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP;
	}
	ok(ended == 5, "... reaches all of the group");
	ok(killpg(group, 0) == -1 && errno == ESRCH, "... which then is gone");
	pipe(ends);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	alarm(100);
	pid_t pid = child_of(tells, ends[1]);
	read(ends[0], &answer, 1);
	wait_for(pid, 0);
	alarm(0);
	ok(answer == 'y', "a child inherits the mask, but nothing pending and no timer");
	signal(SIGUSR2, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	close(ends[0]);
	close(ends[1]);
}

/* --- floods ------------------------------------------------------------------------------------------- */

static volatile int taken;

static void take(int number)
{
	(void)number;
	taken++;
}

static void flooded(int argument)
{
	(void)argument;
	signal(SIGUSR1, take);
	signal(SIGRTMIN, take);
	for (volatile unsigned i = 0;; i++)
		if (i % 64 == 0)
			getppid();
}

static void test_flood(void)
{
	pid_t pid = child_of(flooded, 0);
	int sent = 0, full = 0;

	usleep(20000);
	for (int i = 0; i < 100000; i++) {
		if (i % 3) {
			sent += kill(pid, SIGUSR1) == 0;
		} else if (sigqueue(pid, SIGRTMIN, (union sigval){ .sival_int = i }) == 0) {
			sent++;
		} else {
			full++;
			if (errno != EAGAIN)
				break;
		}
	}
	ok(sent + full == 100000, "100,000 signals at once: %d taken, %d times full", sent, full);
	ok(kill(pid, 0) == 0, "... who gets them lives");
	kill(pid, SIGTERM);
	int status = wait_for(pid, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "... and ends when told");
}

int main(void)
{
	test_ends();
	test_children();
	test_interrupted();
	test_groups();
	test_flood();
	return tap_done();
}
