/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C library on uni: stdio, floats, malloc and its limits, time, errno, files and directories of the
 * archive, mmap, descriptors, poll, entropy, memory functions against simple ones.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include "libos/core/frame.h"
#include "test/guest/tap.h"

#define CONFIGURATION	"/etc/exo.conf"

static void output(void)
{
	char text[80];

	snprintf(text, sizeof(text), "%d %s %.3f %g %lld %zx %5c|", -7, "x", 3.14159, 1e300, 1234567890123LL,
		 sizeof(text), 'c');
	ok(!strcmp(text, "-7 x 3.142 1e+300 1234567890123 50     c|"), "formats, floats too (%s)", text);
	ok(strtod("2.5e-3", NULL) == 2.5e-3 && strtoul("0x1f", NULL, 0) == 31, "numbers from text");
	ok(write(1, "# written\n", 10) == 10 && isatty(1) && !isatty(99) && errno == EBADF,
	   "the console is a terminal");
	errno = 0;
	ok(write(0, "x", 1) == -1 && errno == EBADF && read(0, text, 1) == 0, "descriptor 0 is at its end");
}

/* --- malloc --------------------------------------------------------------------------------------------- */

static uint32_t state = 1;

static uint32_t next(void)
{
	return state = state * 1664525 + 1013904223;
}

static void allocation(void)
{
	static unsigned char *block[200];
	static size_t size[200];
	bool good = true;

	for (int round = 0; round < 5000; round++) {
		unsigned i = next() >> 8, at = i % 200;
		if (block[at]) {
			for (size_t b = 0; b < size[at]; b += 61)
				good = good && block[at][b] == (unsigned char)at;
			free(block[at]);
		}
		size[at] = (next() >> 8) % (round % 100 ? 500 : 20000);
		block[at] = malloc(size[at]);
		good = good && block[at] && (uintptr_t)block[at] % 16 == 0;
		memset(block[at], (int)at, size[at]);
	}
	ok(good, "malloc and free in any order");
	for (int i = 0; i < 200; i++)
		free(block[i]);
	errno = 0;
	ok(!malloc(SIZE_MAX / 2) && errno == ENOMEM, "too much is refused");
	void *large = malloc(4 << 20);
	ok(large != NULL, "a large block");
	uint32_t unused = frame_unused();
	memset(large, 1, 4 << 20);
	ok(unused - frame_unused() > 900, "its frames were set aside, and come at first touch (%u)",
	   unused - frame_unused());
	free(large);
	void *was = sbrk(0);
	ok(sbrk(100000) == was && sbrk(-100000) == (char *)was + 100000 && sbrk(0) == was,
	   "sbrk goes up and down");
}

/* All that there is, in pieces; then it must fail in good order and work again. */
static void exhaustion(void)
{
	void **last = NULL;
	unsigned count = 0;

	for (;;) {
		void **more = malloc(200000);
		if (!more)
			break;
		more[0] = last;
		memset(more + 1, 7, 199000);
		last = more;
		count++;
	}
	ok(count > 4 && errno == ENOMEM, "memory ends with an error (%u blocks)", count);
	while (last) {
		void **before = last[0];
		free(last);
		last = before;
	}
	void *again = malloc(200000);
	ok(again != NULL, "and can be had again");
	free(again);
}

/* --- files ---------------------------------------------------------------------------------------------- */

static void files(void)
{
	char text[200] = "";
	struct stat st, st2;
	int fd = open(CONFIGURATION, O_RDONLY);

	if (!ok(fd > 2 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0, "open and fstat a file"))
		return;
	ssize_t got = read(fd, text, 20);
	ok(got == 20 && lseek(fd, 0, SEEK_CUR) == 20 && lseek(fd, -5, SEEK_END) == st.st_size - 5,
	   "read and seek");
	ok(read(fd, text + 50, 100) == 5 && read(fd, text + 50, 100) == 0, "the end of a file");
	ok(lseek(fd, -1, SEEK_SET) == -1 && errno == EINVAL, "a place before the file");
	const char *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	ok(map != MAP_FAILED && !memcmp(map, text, 20), "mmap shows the same bytes");
	ok(munmap((void *)map, (size_t)st.st_size) == 0, "munmap");
	ok(mmap(NULL, 10, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES,
	   "no writing to it");
	int copy = dup(fd);
	ok(copy > fd && lseek(fd, 7, SEEK_SET) == 7 && lseek(copy, 0, SEEK_CUR) == 7 && !close(fd) &&
		   !fstat(copy, &st2) && st2.st_ino == st.st_ino && !close(copy),
	   "dup shares the place");
	ok(close(copy) == -1 && errno == EBADF, "a closed descriptor");
	ok(open("/no/such", O_RDONLY) == -1 && errno == ENOENT, "a missing file");
	ok(open(CONFIGURATION "/x", O_RDONLY) == -1 && errno == ENOTDIR, "a file is no directory");
	ok(open("/new", O_CREAT | O_WRONLY, 0644) == -1 && errno == EROFS, "the archive is read-only");
	ok(!stat("/bin", &st) && S_ISDIR(st.st_mode), "a directory");

	FILE *f = fopen(CONFIGURATION, "r");
	char line[100] = "";
	ok(f && fgets(line, sizeof(line), f) && !memcmp(line, text, strlen(line)) &&
		   fseek(f, 0, SEEK_END) == 0 && ftell(f) > 0 && fclose(f) == 0,
	   "stdio reads files (%.10s)", line);
	int fds[100], opened = 0;
	while (opened < 100 && (fds[opened] = open("/etc/exo.conf", O_RDONLY)) >= 0)
		opened++;
	ok(opened == 100 && fds[99] == fds[0] + 99, "a hundred descriptors");
	while (opened)
		close(fds[--opened]);
}

/* Memory by mmap: zero, and given back for good. */
static void mappings(void)
{
	uint32_t before = frame_held();
	bool good = true;

	for (int i = 0; i < 300 && good; i++) {
		unsigned char *at =
			mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		good = at != MAP_FAILED && at[0] == 0 && at[999999] == 0;
		if (good) {
			at[0] = at[999999] = 1;
			good = !munmap(at, 1 << 20);
		}
	}
	ok(good && frame_held() <= before + 24, "300 MiB of mmap and munmap (%u frames more)",
	   frame_held() - before);
	ok(munmap(&good, 4096) == -1 && errno == EINVAL, "munmap of something else");
}

static void directories(void)
{
	DIR *dir = opendir("/");
	struct dirent *entry;
	unsigned dots = 0, names = 0;
	bool bin = false;

	if (!ok(dir != NULL, "opendir"))
		return;
	while ((entry = readdir(dir))) {
		dots += entry->d_name[0] == '.';
		names++;
		bin = bin || (!strcmp(entry->d_name, "bin") && entry->d_type == DT_DIR);
	}
	ok(dots == 2 && names >= 4 && bin, "readdir lists it");
	rewinddir(dir);
	ok(readdir(dir) != NULL && closedir(dir) == 0, "rewinddir, closedir");
	ok(!opendir(CONFIGURATION) && errno == ENOTDIR && !opendir("/nowhere") && errno == ENOENT,
	   "what is no directory");
}

/* --- time, poll, entropy -------------------------------------------------------------------------------- */

static void waiting(void)
{
	struct timespec a, b, ms = { .tv_nsec = 5000000 };
	struct pollfd fds[2] = { { .fd = 1, .events = POLLOUT }, { .fd = 77, .events = POLLIN } };
	fd_set set;

	clock_gettime(CLOCK_MONOTONIC, &a);
	nanosleep(&ms, NULL);
	usleep(1000);
	clock_gettime(CLOCK_MONOTONIC, &b);
	int64_t ns = (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
	ok(ns >= 6000000 && ns < 2000000000, "sleeping takes its time (%ld us)", (long)(ns / 1000));
	time_t now = time(NULL);
	ok(now > 1500000000 && gmtime(&now)->tm_year > 115, "the calendar clock (%ld)", (long)now);
	ok(poll(fds, 2, 0) == 2 && fds[0].revents == POLLOUT && fds[1].revents == POLLNVAL, "poll");
	FD_ZERO(&set);
	FD_SET(1, &set);
	struct timeval none = { 0 };
	ok(select(2, NULL, &set, NULL, &none) == 1 && FD_ISSET(1, &set), "select");
	ok(poll(NULL, 0, 3) == 0, "poll as a pause");

	unsigned char one[64] = { 0 }, two[64] = { 0 };
	ok(!getentropy(one, 64) && !getentropy(two, 64) && memcmp(one, two, 64), "entropy does not repeat");
	ok(getentropy(one, 257) == -1, "at most 256 bytes of it");
}

/* --- memory functions ----------------------------------------------------------------------------------- */

static bool same(const unsigned char *a, const unsigned char *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static void memory_functions(void)
{
	static unsigned char a[2048], b[2048];
	bool copied = true, moved = true, filled = true, compared = true;

	for (int round = 0; round < 3000; round++) {
		size_t bytes = (next() >> 8) % (round % 4 ? 70 : 1000), from = (next() >> 8) % 300,
		       to = (next() >> 8) % 300;
		for (size_t i = 0; i < sizeof(a); i++)
			a[i] = b[i] = (unsigned char)(next() >> 16);
		memmove(a + to, a + from, bytes);
		unsigned char *saved = malloc(bytes + 1);
		for (size_t i = 0; i < bytes; i++)
			saved[i] = b[from + i];
		for (size_t i = 0; i < bytes; i++)
			b[to + i] = saved[i];
		moved = moved && same(a, b, sizeof(a));
		memcpy(a + 1000 + to, a + from, bytes > 700 ? 700 : bytes);
		for (size_t i = 0; i < (bytes > 700 ? 700 : bytes); i++)
			b[1000 + to + i] = b[from + i];
		copied = copied && same(a, b, sizeof(a));
		memset(a + to, round, bytes);
		for (size_t i = 0; i < bytes; i++)
			b[to + i] = (unsigned char)round;
		filled = filled && same(a, b, sizeof(a));
		compared = compared && memcmp(a + to, b + to, bytes) == 0;
		if (bytes) {
			a[to + bytes / 2]++;
			compared = compared && (memcmp(a + to, b + to, bytes) > 0) ==
						       (a[to + bytes / 2] > b[to + bytes / 2]);
		}
		free(saved);
	}
	ok(copied && moved && filled && compared, "memcpy %d memmove %d memset %d memcmp %d", copied, moved,
	   filled, compared);
}

static void last_words(void)
{
	write(1, "# atexit ran\n", 13);
}

int main(int argc, char **argv)
{
	ok(argc >= 1 && argv[0] && !argv[argc], "arguments");
	ok(getenv("EXO_FILES") && !getenv("NOTHING") && !setenv("NEW", "1", 1) && !strcmp(getenv("NEW"), "1"),
	   "environment");
	atexit(last_words);
	output();
	allocation();
	files();
	mappings();
	directories();
	waiting();
	memory_functions();
	exhaustion();
	return tap_done();
}
