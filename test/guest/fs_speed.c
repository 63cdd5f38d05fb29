/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a mounted file system is, by hand: `fs_speed DIRECTORY [FILE...]`. With --icount the counter counts instructions.
 *
 * Prints what a create, write of 4 KiB, close and unlink take, of many; and the rate at which each FILE is read from its
 * beginning to its end. A directory "-" is left out.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libos/disk/disk.h"
#include "libos/fs/fs.h"

/* What it is linked with. */
const void *const kinds[] = { &fs_memory, &fs_ext2, &fs_cofs, &cache_lru, &cache_2q, disk_extent_open };

#define ROUNDS	2000
#define CHUNK	(64 << 10)

static char bytes[CHUNK];

static uint64_t counter(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static void files(const char *directory)
{
	char path[300];
	uint64_t began = 0;
	int file;

	snprintf(path, sizeof(path), "%s/short", directory);
	for (unsigned i = 0; i < 100 + ROUNDS; i++) {
		if (i == 100)
			began = counter();
		file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
		must(file >= 0, path);
		must(write(file, bytes, 4096) == 4096, "write");
		must(!close(file), "close");
		must(!unlink(path), "unlink");
	}
	printf("create_write_close_unlink %llu\n", (unsigned long long)(counter() - began) / ROUNDS);
}

static void in_a_row(const char *path)
{
	uint64_t total = 0, count = counter();
	double began = now();
	int file = open(path, O_RDONLY);
	ssize_t n;

	must(file >= 0, path);
	while ((n = read(file, bytes, sizeof(bytes))) > 0)
		total += (uint64_t)n;
	must(n == 0, "read");
	close(file);
	began = now() - began;
	count = counter() - count;
	printf("read_in_a_row %llu bytes, %.1f MB/s, %llu counts for 4 KiB\n", (unsigned long long)total,
	    (double)total / began / 1e6, (unsigned long long)(count / (total / 4096 + 1)));
}

int main(int count, char **words)
{
	if (count < 2)
		return 2;
	if (strcmp(words[1], "-"))
		files(words[1]);
	for (int i = 2; i < count; i++)
		in_a_row(words[i]);
	return 0;
}
