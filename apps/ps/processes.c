/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ps of the libOS posix: the processes of the keeper, each with the environment of its own that it is.
 *
 * Usage: ps [-A | -e] [-f]
 *
 * Without options: those of the same user at the same terminal. It asks the keeper (REQUEST_LIST), who tells every
 * process of all.
 */
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/posix/call.h"

static const char *user_of(uid_t uid)
{
	static char number[12];
	const struct passwd *user = getpwuid(uid);

	snprintf(number, sizeof(number), "%u", uid);
	return user ? user->pw_name : number;
}

/* As its node is called: pts/N, and the console. */
static const char *terminal_of(int number)
{
	static char name[16];

	if (number <= 0)
		return number ? "?" : "console";
	snprintf(name, sizeof(name), "pts/%d", number - 1);
	return name;
}

static void show(const struct wire_process *process, bool full)
{
	uint64_t ms = process->ns / 1000000;

	if (full)
		printf("%-8s ", user_of(process->uid));
	printf("%5d ", process->pid);
	if (full)
		printf("%5d %5d %5d ", process->ppid, process->pgid, process->sid);
	if (process->env)
		printf("%4u ", (uint32_t)process->env);
	else
		printf("   - ");
	printf("%c %-8s %3u:%02u.%02u %.44s\n", (int)process->state, terminal_of(process->tty), (unsigned)(ms / 60000),
	       (unsigned)(ms / 1000 % 60), (unsigned)(ms / 10 % 100), process->name);
}

/* A copy of the list; how many there are. */
static int64_t ask(struct wire_process *all)
{
	int64_t count;

	posix_lock();
	count = posix_ask(REQUEST_LIST, sizeof(struct wire_process), 0, 0, NULL);
	if (count > WIRE_PROCESSES)
		count = WIRE_PROCESSES;
	if (count > 0)
		memcpy(all, posix_buffer, (size_t)count * sizeof(*all));
	posix_unlock();
	return count;
}

static int by_pid(const void *a, const void *b)
{
	return ((const struct wire_process *)a)->pid - ((const struct wire_process *)b)->pid;
}

int main(int argc, char **argv)
{
	static struct wire_process all[WIRE_PROCESSES];
	bool every = false, full = false;
	int64_t count;
	int option, tty = -1;

	while ((option = getopt(argc, argv, "Aef")) != -1) {
		if (option == '?') {
			fprintf(stderr, "usage: ps [-A | -e] [-f]\n");
			return 2;
		}
		every |= option != 'f';
		full |= option == 'f';
	}
	count = ask(all);
	for (int64_t i = 0; i < count; i++)
		if (all[i].pid == getpid())
			tty = all[i].tty;
	qsort(all, count > 0 ? (size_t)count : 0, sizeof(all[0]), by_pid);
	if (full)
		printf("USER       PID  PPID  PGID   SID  ENV S TTY          TIME CMD\n");
	else
		printf("  PID  ENV S TTY          TIME CMD\n");
	for (int64_t i = 0; i < count; i++)
		if (every || (all[i].uid == geteuid() && all[i].tty == tty))
			show(&all[i], full);
	return count < 0 || fflush(stdout) ? 1 : 0;
}
