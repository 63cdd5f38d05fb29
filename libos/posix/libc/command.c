/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of the shell: system, popen.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHELL	"/bin/sh"

extern char **environ;

static char *const *words(char *vector[4], const char *command)
{
	vector[0] = (char *)"sh";
	vector[1] = (char *)"-c";
	vector[2] = (char *)command;
	vector[3] = NULL;
	return vector;
}

static int await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

int system(const char *command)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, interrupt, quit;
	posix_spawnattr_t attributes;
	sigset_t child, before, defaults;
	char *vector[4];
	int error, status;
	pid_t pid;

	if (!command)
		return access(SHELL, X_OK) == 0;
	pthread_testcancel();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &before);
	sigaction(SIGINT, &ignore, &interrupt);
	sigaction(SIGQUIT, &ignore, &quit);
	sigemptyset(&defaults);
	if (interrupt.sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGINT);
	if (quit.sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGQUIT);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setsigmask(&attributes, &before);
	error = posix_spawn(&pid, SHELL, NULL, &attributes, words(vector, command), environ);
	status = error ? 127 << 8 : await(pid);
	posix_spawnattr_destroy(&attributes);
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGQUIT, &quit, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

/* --- pipes ---------------------------------------------------------------------------------------------- */

static struct opened {
	struct opened *next;
	FILE *stream;
	pid_t pid;
} *opened;
static pthread_mutex_t opened_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * The command's end of the pipe becomes its descriptor `to`. Our end is closed by exec until the command has begun; other
 * commands' streams, which without "e" others that the program starts may have, it has not, as POSIX wants.
 */
static int start(pid_t *pid, const char *command, int end, int to)
{
	posix_spawn_file_actions_t actions;
	char *vector[4];
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return error;
	error = posix_spawn_file_actions_adddup2(&actions, end, to);
	for (const struct opened *other = opened; other && !error; other = other->next)
		if (fileno(other->stream) != to)
			error = posix_spawn_file_actions_addclose(&actions, fileno(other->stream));
	if (!error)
		error = posix_spawn(pid, SHELL, &actions, NULL, words(vector, command), environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

FILE *popen(const char *command, const char *mode)
{
	bool reads = mode[0] == 'r';
	struct opened *entry;
	int ends[2], error, ours, theirs;

	if ((mode[0] != 'r' && mode[0] != 'w') || (mode[1] && strcmp(mode + 1, "e"))) {
		errno = EINVAL;
		return NULL;
	}
	entry = malloc(sizeof(*entry));
	if (!entry || pipe2(ends, O_CLOEXEC) < 0) {
		free(entry);
		return NULL;
	}
	ours = ends[!reads];
	theirs = ends[reads];
	entry->stream = fdopen(ours, reads ? "r" : "w");
	pthread_mutex_lock(&opened_lock);
	error = entry->stream ? start(&entry->pid, command, theirs, reads) : errno;
	pthread_mutex_unlock(&opened_lock);
	close(theirs);
	if (error) {
		if (entry->stream)
			fclose(entry->stream);
		else
			close(ours);
		free(entry);
		errno = error;
		return NULL;
	}
	if (!mode[1])
		(void)fcntl(ours, F_SETFD, 0);
	pthread_mutex_lock(&opened_lock);
	entry->next = opened;
	opened = entry;
	pthread_mutex_unlock(&opened_lock);
	return entry->stream;
}

int pclose(FILE *stream)
{
	struct opened **link, *entry;
	pid_t pid = -1;

	pthread_mutex_lock(&opened_lock);
	for (link = &opened; (entry = *link); link = &entry->next)
		if (entry->stream == stream) {
			*link = entry->next;
			pid = entry->pid;
			free(entry);
			break;
		}
	pthread_mutex_unlock(&opened_lock);
	if (pid < 0) {
		errno = ECHILD;
		return -1;
	}
	fclose(stream);
	return await(pid);
}
