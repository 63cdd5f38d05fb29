/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and copying a large file in a Linux guest, for make bench-linux: `linux_disk ROUNDS FILE COPY`.
 *
 * Before each figure the caches are dropped, so the file is cold; a copy is timed until all of it is on the disk. Three
 * ways to copy: the `cp` that the guest has; a loop of reads and writes of 128 KiB; and copy_file_range(), which moves
 * the data inside the kernel. Prints `disk NAME MICROSECONDS` each time; who reads that decides what counts.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES	(128 * 1024)

static char buffer[BUFFER_BYTES] __attribute__((aligned(4096)));
static const char *source, *target;
static int from, to;

static void need(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void drop_caches(void)
{
	int file = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	need(file >= 0 && write(file, "3", 1) == 1, "drop_caches");
	close(file);
}

static void read_all(void)
{
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		continue;
	need(n == 0, source);
}

static void copy_loop(void)
{
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		need(write(to, buffer, (size_t)n) == n, target);
	need(n == 0, source);
}

static void copy_range(void)
{
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
		continue;
	need(n == 0, "copy_file_range");
}

static void copy_by_cp(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execlp("cp", "cp", source, target, (char *)NULL);
		_exit(127);
	}
	need(child > 0 && waitpid(child, &status, 0) == child && !status, "cp");
}

static void figure(const char *name, void (*work)(void), bool copies)
{
	uint64_t begin;

	unlink(target);
	drop_caches();
	begin = now_us();
	from = open(source, O_RDONLY);
	to = copies ? open(target, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
	need(from >= 0 && (to >= 0 || !copies), source);
	work();
	close(from);
	if (copies) {
		close(to);
		sync();
	}
	printf("disk %s %llu\n", name, (unsigned long long)(now_us() - begin));
}

int main(int count, char **words)
{
	need(count == 4, "usage: linux_disk ROUNDS FILE COPY");
	source = words[2];
	target = words[3];
	for (int i = 0; i < atoi(words[1]); i++) {
		figure("read", read_all, false);
		figure("cp", copy_by_cp, true);
		figure("loop", copy_loop, true);
		figure("range", copy_range, true);
	}
	return 0;
}
