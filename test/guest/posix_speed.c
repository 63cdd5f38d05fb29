/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What files and pipes of the libOS posix cost: guest instructions of one operation, by the clock of a
 * machine that counts them (exo run --icount). One line for each: its name and the figure, the median of
 * several runs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define RUNS	5
#define ROUNDS	400
#define FOLDERS	10	/* at each of three levels; as many files in each of the last: 10,000 */

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int compare(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return a < b ? -1 : a > b;
}

static const char *only;	/* the one to be measured */
static int rounds = ROUNDS;

static void measure(const char *name, void (*operation)(int))
{
	uint64_t run[RUNS];

	if (only && strcmp(only, name))
		return;

	for (int i = 0; i < 50; i++)
		operation(i);
	for (int r = 0; r < RUNS; r++) {
		uint64_t begin = now();

		for (int i = 0; i < rounds; i++)
			operation(i);
		run[r] = (now() - begin) / (uint64_t)rounds;
	}
	qsort(run, RUNS, sizeof(run[0]), compare);
	printf("%s %llu\n", name, (unsigned long long)run[RUNS / 2]);
}

static int there[2], back[2], file;
static char path[100], byte;

static void nothing(int i)
{
	(void)i;
}

static void ask(int i)
{
	(void)i;
	(void)lseek(file, 0, SEEK_CUR);
}

static void round_trip(int i)
{
	(void)i;
	if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
		_exit(1);
}

static void open_close(int i)
{
	(void)i;
	close(open(path, O_RDONLY));
}

static void state(int i)
{
	struct stat st;

	(void)i;
	if (stat(path, &st))
		_exit(1);
}

static void read_one(int i)
{
	char data[512];

	(void)i;
	(void)pread(file, data, sizeof(data), 0);
}

static void echo(void)
{
	close(there[1]);
	while (read(there[0], &byte, 1) == 1)
		if (write(back[1], &byte, 1) != 1)
			break;
	_exit(0);
}

static void tree(void)
{
	mkdir("/tmp", 01777);
	mkdir("/tmp/tree", 0755);
	for (int i = 0; i < FOLDERS * FOLDERS * FOLDERS; i++) {
		if (i % 100 == 0) {
			snprintf(path, sizeof(path), "/tmp/tree/dir%d", i / 100);
			mkdir(path, 0755);
		}
		snprintf(path, sizeof(path), "/tmp/tree/dir%d/file%d", i / 100, i % 100);
		close(creat(path, 0644));
	}
	for (int i = 0; i < 9000; i++) {
		snprintf(path, sizeof(path), "/tmp/tree/more%d", i);
		close(creat(path, 0644));
	}
	strcpy(path, "/tmp/tree/dir7/file55");
}

/* Arguments: one of the names, and how many rounds. */
int main(int argc, char **argv)
{
	pid_t child;

	only = argc > 1 ? argv[1] : NULL;
	rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;
	tree();
	file = open(path, O_RDWR);
	(void)write(file, path, sizeof(path));
	if (getuid() == 0 && setuid(1000))
		return 1;
	measure("empty", nothing);
	measure("lseek", ask);
	measure("pread", read_one);
	measure("stat", state);
	measure("open_close", open_close);
	if (pipe(there) || pipe(back))
		return 1;
	child = fork();
	if (!child)
		echo();
	measure("pipe_rtt", round_trip);
	close(there[1]);
	waitpid(child, NULL, 0);
	return 0;
}
