/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system in memory that a process fills with bytes, then with names: it is told so, processes can
 * still be made, and when the files go there is room again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "test/guest/tap.h"

static char block[65536];

static bool child_works(void)
{
	int status = -1;
	pid_t child = fork();

	if (!child)
		_exit(3);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3;
}

static long fill_bytes(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	long total = 0;
	ssize_t done;

	while ((done = write(fd, block, sizeof(block))) > 0)
		total += done;
	close(fd);
	return total;
}

static int names(const char *folder, bool make, int most)
{
	char path[64];
	int n, fd;

	for (n = 0; n < most; n++) {
		snprintf(path, sizeof(path), "%s/n%d", folder, n);
		if (!make) {
			unlink(path);
			continue;
		}
		fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	return n;
}

static void fill(const char *folder)
{
	char path[64];
	long first, again;
	int count;

	snprintf(path, sizeof(path), "%s/fill", folder);
	memset(block, 1, sizeof(block));
	first = fill_bytes(path);
	ok(first > 1000000 && errno == ENOSPC, "%s takes %ld bytes and no more", folder, first);
	count = names(folder, true, 1000000);
	ok(count < 1000000 && errno == ENOSPC, "and %d names", count);
	ok(child_works(), "a process can be made");
	names(folder, false, count);
	ok(unlink(path) == 0, "the file goes");
	again = fill_bytes(path);
	ok(again > first / 2, "there is room for %ld bytes again", again);
	unlink(path);
	ok(child_works(), "and for a process");
}

int main(void)
{
	mkdir("/tmp", 01777);
	fill("/tmp");
	fill("/dev/shm");
	return tap_done();
}
