/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that have a file system in common, for test/e2e/in_common.py. Not a test by itself.
 *
 * Usage: in_common work DIRECTORY STEPS SEED [OTHER ...]	files come, change, move and go; then a list says what is there; then
 *						each OTHER directory is waited for, and held against its own list
 *        in_common check DIRECTORY ...		held against their lists; "wait": when they are there
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES		24
#define BYTES_MAX	40000

static struct file {
	unsigned bytes, stamp, folder;	/* bytes 0: it is not there */
} files[FILES];
static unsigned char buffer[BYTES_MAX], other[BYTES_MAX];
static unsigned long long chance;

static void need(int good, const char *what)
{
	if (good)
		return;
	printf("in_common: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned draw(unsigned below)
{
	chance = chance * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(chance >> 33) % below;
}

static const char *path(const char *directory, unsigned folder, unsigned i)
{
	static char text[2][200];
	static unsigned turn;
	char *to = text[turn++ % 2];

	snprintf(to, 200, "%s/%c/file-%u", directory, 'a' + (char)folder, i);
	return to;
}

static void fill(unsigned char *to, unsigned bytes, unsigned stamp)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (unsigned char)(stamp * 31 + i * 7 + (i >> 8));
}

static void read_and_compare(const char *name, unsigned bytes, unsigned stamp)
{
	int fd = open(name, O_RDONLY);
	long got;

	need(fd >= 0, name);
	got = read(fd, other, sizeof(other));
	close(fd);
	fill(buffer, bytes, stamp);
	errno = 0;
	need(got == (long)bytes, "a file has another size");
	need(!memcmp(buffer, other, bytes), "a file holds something else");
}

static void step(const char *directory)
{
	unsigned i = draw(FILES), folder, fd_flags = O_CREAT | O_WRONLY | O_TRUNC;
	struct file *file = &files[i];
	const char *name;
	int fd;

	if (!file->bytes || draw(4) == 0) {
		file->bytes = 1 + draw(BYTES_MAX - 1);
		file->stamp = draw(1 << 20);
		name = path(directory, file->folder, i);
		fd = open(name, (int)fd_flags, 0644);
		need(fd >= 0, name);
		fill(buffer, file->bytes, file->stamp);
		need(write(fd, buffer, file->bytes) == (long)file->bytes, "write");
		if (draw(5) == 0)
			need(!fsync(fd), "fsync");
		close(fd);
	} else if (draw(3) == 0) {
		need(!unlink(path(directory, file->folder, i)), "unlink");
		file->bytes = 0;
	} else if (draw(2) == 0) {
		folder = draw(3);
		need(!rename(path(directory, file->folder, i), path(directory, folder, i)), "rename");
		file->folder = folder;
	} else {
		read_and_compare(path(directory, file->folder, i), file->bytes, file->stamp);
	}
}

static void list(const char *directory)
{
	char name[200];
	FILE *out;

	snprintf(name, sizeof(name), "%s/list", directory);
	out = fopen(name, "w");
	need(out != NULL, name);
	for (unsigned i = 0; i < FILES; i++)
		if (files[i].bytes)
			fprintf(out, "%u %u %u %u\n", i, files[i].folder, files[i].bytes, files[i].stamp);
	need(!fflush(out) && !fsync(fileno(out)) && !fclose(out), "list");
	snprintf(name, sizeof(name), "%s/done", directory);
	need(!mkdir(name, 0755), name);
	sync();
}

static void check(const char *directory)
{
	unsigned i, folder, bytes, stamp, count = 0;
	char name[200];
	FILE *in;

	snprintf(name, sizeof(name), "%s/list", directory);
	in = fopen(name, "r");
	need(in != NULL, name);
	while (fscanf(in, "%u %u %u %u", &i, &folder, &bytes, &stamp) == 4) {
		read_and_compare(path(directory, folder, i), bytes, stamp);
		count++;
	}
	fclose(in);
	printf("in_common: %s: %u files are what the list says\n", directory, count);
}

static void wait_for(const char *directory)
{
	struct stat status;
	char name[200];

	snprintf(name, sizeof(name), "%s/done", directory);
	for (unsigned tries = 0; stat(name, &status) && tries < 3000; tries++)
		usleep(10000);
	need(!stat(name, &status), name);
}

static void work(const char *directory, unsigned steps)
{
	char name[200];

	for (char c = 'a'; c < 'd'; c++) {
		snprintf(name, sizeof(name), "%s/%c", directory, c);
		need(!mkdir(name, 0755) || errno == EEXIST, name);
	}
	for (unsigned i = 0; i < steps; i++) {
		step(directory);
		if (i % 8 == 0)
			usleep(1000);	/* others come in between */
	}
	for (unsigned i = 0; i < FILES; i++)
		if (files[i].bytes)
			read_and_compare(path(directory, files[i].folder, i), files[i].bytes, files[i].stamp);
	list(directory);
	printf("in_common: %s: %u steps\n", directory, steps);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 4 && !strcmp(argv[1], "work")) {
		chance = strtoull(argv[4], NULL, 0);
		work(argv[2], (unsigned)atoi(argv[3]));
		for (int i = 5; i < argc; i++) {
			wait_for(argv[i]);
			check(argv[i]);
		}
		if (argc == 5)
			usleep(2000000);	/* the maker ends first */
		return 0;
	}
	if (argc > 2 && (!strcmp(argv[1], "check") || !strcmp(argv[1], "wait"))) {
		for (int i = 2; i < argc; i++) {
			if (argv[1][0] == 'w')
				wait_for(argv[i]);
			check(argv[i]);
		}
		return 0;
	}
	return 2;
}
