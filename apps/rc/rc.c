/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rc: process 1 of a system with a shell.
 *
 * It reads /etc/rc.conf (or the file that argument 1 names), one line for each program:
 *
 *   once COMMAND       run it and wait for its end before the next line
 *   keep COMMAND       start it, and again whenever it ends; not more often than once a second
 *   last COMMAND run it on the console, in a session of its own; its end is the end of the system, with its
 *   status NAME=VALUE a variable for all that follow
 *
 * A command is words, without quotes; its path is found in PATH. Lines that begin with # say nothing.
 * Whatever has lost its parent comes to it and is reaped. A signal to end (SIGTERM, SIGINT) is told to all
 * processes, which have two seconds.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS	32
#define WORDS		32
#define LINE_BYTES	512
#define GRACE_SECONDS	2

struct command {
	char line[LINE_BYTES];
	char *word[WORDS + 1];
	pid_t pid;		/* 0: it does not run */
	bool keep;
	time_t started;
};

static struct command commands[COMMANDS];
static unsigned count;
static volatile sig_atomic_t ending;

static void on_end(int number)
{
	ending = number;
}

/* Words of `text` into the command; how many. */
static int split(struct command *command, const char *text)
{
	int words = 0;
	char *rest = command->line;

	snprintf(command->line, sizeof(command->line), "%s", text);
	while (words < WORDS && (command->word[words] = strtok_r(rest, " \t\n", &rest)))
		words++;
	command->word[words] = NULL;
	return words;
}

static void start(struct command *command, bool console)
{
	time_t now = time(NULL);

	if (command->keep && now <= command->started)
		sleep(1);
	command->started = time(NULL);
	command->pid = fork();
	if (command->pid < 0) {
		perror("rc: fork");
		command->pid = 0;
		return;
	}
	if (command->pid)
		return;
	setsid();
	if (console)
		ioctl(STDIN_FILENO, TIOCSCTTY, 1);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	execvp(command->word[0], command->word);
	fprintf(stderr, "rc: %s: %s\n", command->word[0], strerror(errno));
	_exit(127);
}

/* Reap until `until` has ended (0: until a signal says that all ends); its wait status. */
static int reap(pid_t until)
{
	for (;;) {
		int status;
		pid_t pid = ending ? -1 : waitpid(-1, &status, 0);

		if (pid < 0 && (ending || errno == ECHILD))
			return -1;
		if (pid > 0 && pid == until)
			return status;
		for (unsigned i = 0; pid > 0 && i < count; i++)
			if (commands[i].pid == pid)
				start(&commands[i], false);
	}
}

static int status_of(int status)
{
	return status < 0 ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void end_all(void)
{
	count = 0;
	kill(-1, SIGTERM);
	kill(-1, SIGCONT);
	for (int tenths = 0; tenths < GRACE_SECONDS * 10; tenths++) {
		struct timespec tenth = { .tv_nsec = 100000000 };

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		nanosleep(&tenth, NULL);
	}
	kill(-1, SIGKILL);
}

/* One line of the configuration. True: it was the last one, and `status` is how it ended. */
static bool obey(const char *path, unsigned number, char *line, int *status)
{
	char *verb = line + strspn(line, " \t"), *rest = verb + strcspn(verb, " \t\n");
	struct command *command = &commands[count], single = { .keep = false };

	if (!*verb || *verb == '\n' || *verb == '#')
		return false;
	if (memchr(verb, '=', (size_t)(rest - verb))) {
		verb[strcspn(verb, "\n")] = 0;
		putenv(strdup(verb));
		return false;
	}
	if (*rest)
		*rest++ = 0;
	if (!strcmp(verb, "keep") && count < COMMANDS && split(command, rest)) {
		command->keep = true;
		count++;
		start(command, false);
		return false;
	}
	if ((strcmp(verb, "once") && strcmp(verb, "last")) || !split(&single, rest)) {
		fprintf(stderr, "rc: %s: line %u: it is neither once, keep nor last COMMAND, nor NAME=VALUE\n", path,
			number);
		return false;
	}
	start(&single, *verb == 'l');
	*status = reap(single.pid);
	return *verb == 'l';
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/etc/rc.conf";
	FILE *file = fopen(path, "re");
	char line[LINE_BYTES];
	int status = 0;
	bool last = false;

	if (!file) {
		fprintf(stderr, "rc: %s: %s\n", path, strerror(errno));
		return 1;
	}
	signal(SIGTERM, on_end);
	signal(SIGINT, on_end);
	signal(SIGHUP, SIG_IGN);
	ioctl(STDIN_FILENO, TIOCNOTTY);		/* the console is for the session of the last one */
	setenv("PATH", "/bin:/usr/bin", 0);
	for (unsigned number = 1; !last && !ending && fgets(line, sizeof(line), file); number++)
		last = obey(path, number, line, &status);
	fclose(file);
	if (!last)
		status = reap(0);
	end_all();
	return status_of(status);
}
