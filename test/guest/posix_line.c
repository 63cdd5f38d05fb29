/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small shell of a few words, for test/e2e/posix_console.py: what a person sees at the console.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <sys/wait.h>

static pid_t job;

static void on_int(int number)
{
	(void)number;
	write(1, "[int]\n", 6);
}

static void tell(int status)
{
	tcsetpgrp(0, getpgrp());
	if (WIFSTOPPED(status))
		printf("stopped by %d\n", WSTOPSIG(status));
	else if (WIFSIGNALED(status))
		printf("ended by %d\n", WTERMSIG(status));
	else
		printf("ended with %d\n", WEXITSTATUS(status));
}

static void wait_for_job(void)
{
	int status;

	if (waitpid(job, &status, WUNTRACED) == job)
		tell(status);
}

static void start_job(void)
{
	char line[100];

	job = fork();
	if (job == 0) {
		setpgid(0, 0);
		tcsetpgrp(0, getpid());
		signal(SIGINT, SIG_DFL);
		signal(SIGTSTP, SIG_DFL);
		signal(SIGTTOU, SIG_DFL);
		write(1, "job runs\n", 9);
		ssize_t bytes = read(0, line, sizeof(line));
		_exit(bytes == 0 ? 0 : bytes > 0 ? line[0] : 99);
	}
	setpgid(job, job);
	wait_for_job();
}

static void raw(void)
{
	struct termios before, now;
	char byte = 0;

	tcgetattr(0, &before);
	now = before;
	cfmakeraw(&now);
	tcsetattr(0, TCSADRAIN, &now);
	printf("one key\n");
	read(0, &byte, 1);
	tcsetattr(0, TCSADRAIN, &before);
	printf("key %d\n", byte);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_int, .sa_flags = SA_RESTART };
	char line[200];

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGINT, &action, NULL);
	signal(SIGTSTP, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	printf("at %s, %s\n", isatty(0) ? ttyname(0) : "nothing", tcgetpgrp(0) == getpgrp() ? "foreground" :
	       "background");
	for (;;) {
		printf("ready\n");
		ssize_t bytes = read(0, line, sizeof(line) - 1);
		if (bytes <= 0)
			break;
		line[bytes] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "job")) {
			start_job();
		} else if (!strcmp(line, "fg")) {
			tcsetpgrp(0, job);
			killpg(job, SIGCONT);
			wait_for_job();
		} else if (!strcmp(line, "raw")) {
			raw();
		} else {
			printf("<%s>\n", line);
		}
	}
	printf("end\n");
	return 7;
}
