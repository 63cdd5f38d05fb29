/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top of the libOS posix: the keeper's processes, those first that used the CPU most since the last look.
 *
 * Usage: top [-b] [-d SECONDS] [-n COUNT]
 *
 * -b: no screen, each look below the other; -n: that many looks, else until `q` or a signal.
 */
#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "libos/posix/call.h"

static struct look {
	struct wire_process process[WIRE_PROCESSES];
	int count;
	int64_t at_ns;
} now, before;

static struct termios old;

static void look(void)
{
	struct timespec time;

	before = now;
	posix_lock();
	now.count = (int)posix_ask(REQUEST_LIST, sizeof(struct wire_process), 0, 0, NULL);
	if (now.count > WIRE_PROCESSES)
		now.count = WIRE_PROCESSES;
	if (now.count > 0)
		memcpy(now.process, posix_buffer, (size_t)now.count * sizeof(now.process[0]));
	posix_unlock();
	clock_gettime(CLOCK_MONOTONIC, &time);
	now.at_ns = time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Nanoseconds that a process used since the last look. */
static uint64_t used(const struct wire_process *process)
{
	for (int i = 0; i < before.count; i++)
		if (before.process[i].pid == process->pid && before.process[i].started == process->started)
			return process->ns - before.process[i].ns;
	return process->ns;
}

static int by_use(const void *a, const void *b)
{
	uint64_t one = used(a), other = used(b);

	if (one != other)
		return one < other ? 1 : -1;
	return ((const struct wire_process *)a)->pid - ((const struct wire_process *)b)->pid;
}

static const char *user_of(uint32_t uid)
{
	static char number[12];
	const struct passwd *user = getpwuid(uid);

	snprintf(number, sizeof(number), "%u", uid);
	return user ? user->pw_name : number;
}

static int rows_of_screen(void)
{
	struct winsize size = { 0 };

	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row > 4 ? size.ws_row : 24;
}

static void show(int rows)
{
	int64_t span = now.at_ns - before.at_ns;
	uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES), free_pages = (uint64_t)sysconf(_SC_AVPHYS_PAGES);
	int runs = 0;

	for (int i = 0; i < now.count; i++)
		runs += now.process[i].state == 'R';
	qsort(now.process, now.count > 0 ? (size_t)now.count : 0, sizeof(now.process[0]), by_use);
	printf("%d processes, %d running; memory: %llu KiB, %llu KiB free\n\n", now.count, runs,
	    (unsigned long long)pages * 4, (unsigned long long)free_pages * 4);
	printf("  PID  PPID USER     S  %%CPU    TIME CMD\n");
	for (int i = 0; i < now.count && i < rows; i++) {
		const struct wire_process *one = &now.process[i];
		uint64_t tenths = span > 0 ? used(one) * 1000 / (uint64_t)span : 0, ms = one->ns / 1000000;
		printf("%5d %5d %-8s %c %3llu.%llu %4u:%02u %.44s\n", one->pid, one->ppid, user_of(one->uid), (int)one->state,
		    (unsigned long long)tenths / 10, (unsigned long long)tenths % 10, (unsigned)(ms / 60000),
		    (unsigned)(ms / 1000 % 60), one->name);
	}
	fflush(stdout);
}

static void screen_back(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &old);
}

/* Keys come at once; false: there is no terminal to read them from. */
static bool screen(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &old))
		return false;
	raw = old;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	atexit(screen_back);
	return !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* False: somebody has typed q. */
static bool pass(double seconds, bool keys)
{
	struct pollfd input = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
	char key;

	return poll(&input, 1, (int)(seconds * 1000)) <= 0 || read(STDIN_FILENO, &key, 1) != 1 || (key | 32) != 'q';
}

int main(int argc, char **argv)
{
	bool batch = false, keys;
	double seconds = 2;
	int option, looks = 0;

	while ((option = getopt(argc, argv, "bd:n:")) != -1) {
		if (option == 'b')
			batch = true;
		else if (option == 'd')
			seconds = atof(optarg);
		else if (option == 'n')
			looks = atoi(optarg);
		if (option == '?' || seconds < 0 || looks < 0) {
			fprintf(stderr, "usage: top [-b] [-d SECONDS] [-n COUNT]\n");
			return 2;
		}
	}
	keys = !batch && screen();
	look();
	usleep(100000);				/* who works now, not who worked at any time */
	for (int i = 1;; i++) {
		look();
		printf("%s", batch ? "" : "\033[H\033[J");
		show(batch ? WIRE_PROCESSES : rows_of_screen() - 4);
		if (i == looks || !pass(seconds, keys))
			return 0;
	}
}
