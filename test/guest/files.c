/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uni's POSIX files on a file system in memory: what programs count on beyond test/unit/vfs_test.c, through the
 * program's own names: flags of open, offsets, files without names, renaming, directories that change while they are
 * read, mappings shared and private, locks between threads, a full file system, many open files, stdio. And what the
 * calls cost.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include "libos/core/thread.h"
#include "libos/fs/fs.h"
#include "test/guest/tap.h"

#define MOUNTS	"/tmp memory none size=8M\n/small memory none size=64K\n/ro memory none ro\n"

static bool fails(int result, int error)
{
	return result == -1 && errno == error;
}

static int put(const char *path, const char *text, int flags)
{
	int fd = open(path, O_RDWR | O_CREAT | flags, 0644);

	if (fd >= 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	return fd;
}

static bool holds(const char *path, const char *text)
{
	char bytes[200] = "";
	int fd = open(path, O_RDONLY);
	ssize_t done = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes) - 1);

	close(fd);
	return done == (ssize_t)strlen(text) && !strcmp(bytes, text);
}

/* --- files ---------------------------------------------------------------------------------------------- */

static void flags(void)
{
	int fd = put("/tmp/a", "hello", O_EXCL), other;
	char bytes[20] = "";
	struct stat st;

	ok(fd >= 0, "create and write");
	ok(fails(open("/tmp/a", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST), "O_EXCL");
	ok(pread(fd, bytes, 10, 1) == 4 && !strcmp(bytes, "ello"), "pread");
	ok(pwrite(fd, "J", 1, 0) == 1 && lseek(fd, 0, SEEK_CUR) == 5, "pwrite leaves the offset");
	other = open("/tmp/a", O_WRONLY | O_APPEND);
	ok(write(other, "1", 1) == 1 && write(fd, "2", 1) == 1 && write(other, "3", 1) == 1 && holds("/tmp/a", "Jello23"),
	   "O_APPEND goes to the end, the other writes over it");
	ok(fails((int)read(other, bytes, 1), EBADF) && lseek(other, 0, SEEK_CUR) == 7, "which one cannot read");
	ok(!fcntl(other, F_SETFL, 0) && lseek(other, 0, SEEK_SET) == 0 && write(other, "C", 1) == 1 &&
	   holds("/tmp/a", "Cello23"), "F_SETFL takes O_APPEND away");
	close(other);
	ok(!fstat(fd, &st) && st.st_size == 7 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0644 && st.st_nlink == 1,
	   "fstat");
	ok(!ftruncate(fd, 3) && holds("/tmp/a", "Cel") && !truncate("/tmp/a", 5) && !fstat(fd, &st) && st.st_size == 5,
	   "ftruncate, truncate");
	other = dup(fd);
	ok(lseek(other, 2, SEEK_SET) == 2 && lseek(fd, 0, SEEK_CUR) == 2, "dup shares the offset");
	ok(dup2(fd, 50) == 50 && close(fd) == 0 && pread(50, bytes, 1, 0) == 1 && bytes[0] == 'C', "dup2");
	close(50);
	close(other);
	ok(fails(open("/tmp/a/b", O_RDONLY), ENOTDIR) && fails(open("/tmp/a", O_DIRECTORY), ENOTDIR), "ENOTDIR");
	ok(!symlink("a", "/tmp/s") && fails(open("/tmp/s", O_RDONLY | O_NOFOLLOW), ELOOP) && holds("/tmp/s", "Cel\0\0") == 0 &&
	   !lstat("/tmp/s", &st) && S_ISLNK(st.st_mode) && readlink("/tmp/s", bytes, 20) == 1, "a symbolic link");
	ok(!unlink("/tmp/s") && !unlink("/tmp/a"), "unlink");
	struct iovec pieces[3] = { { "one", 3 }, { "", 0 }, { "two", 3 } };
	fd = open("/tmp/v", O_CREAT | O_RDWR, 0600);
	ok(writev(fd, pieces, 3) == 6 && holds("/tmp/v", "onetwo"), "writev");
	ok(!fsync(fd) && !fdatasync(fd), "fsync");
	close(fd);
	unlink("/tmp/v");
}

static void nameless(void)
{
	int fd = put("/tmp/n", "still here", 0);
	char bytes[20] = "";
	struct stat st;

	ok(!unlink("/tmp/n") && fails(open("/tmp/n", O_RDONLY), ENOENT), "a file that is open loses its name");
	ok(pread(fd, bytes, 20, 0) == 10 && !strcmp(bytes, "still here") && !fstat(fd, &st) && st.st_nlink == 0,
	   "and is read all the same");
	close(fd);
	int one = put("/tmp/one", "1", 0), two = put("/tmp/two", "2", 0);
	ok(!rename("/tmp/one", "/tmp/two") && holds("/tmp/two", "1") && fails(access("/tmp/one", F_OK), ENOENT),
	   "rename over a file");
	ok(pread(two, bytes, 1, 0) == 1 && bytes[0] == '2', "which its user still has");
	close(one);
	close(two);
	ok(!mkdir("/tmp/d", 0755) && !mkdir("/tmp/d/e", 0755) && fails(rename("/tmp/d", "/tmp/d/e/f"), EINVAL) &&
	   fails(rmdir("/tmp/d"), ENOTEMPTY) && fails(unlink("/tmp/d"), EISDIR) && fails(rename("/tmp/two", "/tmp/d"), EISDIR),
	   "what cannot be done with directories");
	ok(!link("/tmp/two", "/tmp/d/two") && !stat("/tmp/d/two", &st) && st.st_nlink == 2, "link");
	ok(fails(link("/tmp/two", "/small/two"), EXDEV) && fails(rename("/tmp/two", "/small/two"), EXDEV), "EXDEV");
	ok(fails(open("/ro/x", O_CREAT | O_WRONLY, 0600), EROFS) && fails(mkdir("/ro/x", 0700), EROFS), "EROFS");
	int dir = open("/tmp/d", O_RDONLY);
	fd = openat(dir, "new", O_CREAT | O_WRONLY, 0600);
	ok(fd >= 0 && !fstatat(dir, "new", &st, 0) && !unlinkat(dir, "new", 0), "openat and its like");
	close(fd);
	char here[100];
	ok(!fchdir(dir) && getcwd(here, sizeof(here)) && !strcmp(here, "/tmp/d") && !chdir("e/../..") &&
	   getcwd(here, sizeof(here)) && !strcmp(here, "/tmp") && fails(-(getcwd(here, 3) == NULL), ERANGE), "chdir, getcwd");
	close(dir);
	ok(!chmod("two", 0600) && !stat("two", &st) && (st.st_mode & 0777) == 0600, "chmod");
	struct timespec times[2] = { { 5, 6 }, { 7, 8 } };
	ok(!utimensat(AT_FDCWD, "two", times, 0) && !stat("two", &st) && st.st_mtim.tv_sec == 7 && st.st_mtim.tv_nsec == 8,
	   "utimensat");
	ok(!unlink("d/two") && !unlink("two") && !rmdir("d/e") && !rmdir("d") && !chdir("/"), "all goes");
}

static void directories(void)
{
	char path[300];
	struct dirent *entry, **list;
	bool seen[100] = { false };
	int wrong = 0, count = 0;
	long place = 0;

	mkdir("/tmp/many", 0755);
	for (int i = 0; i < 100; i++) {
		sprintf(path, "/tmp/many/%02d", i);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	DIR *dir = opendir("/tmp/many");
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		wrong += seen[atoi(entry->d_name)];
		seen[atoi(entry->d_name)] = true;
		sprintf(path, "/tmp/many/%s", entry->d_name);
		wrong += unlink(path) != 0;
		if (++count == 50)
			place = telldir(dir);
	}
	ok(!wrong && count == 100, "a directory is emptied while it is read");
	seekdir(dir, place);
	ok(!readdir(dir), "seekdir");
	closedir(dir);
	close(open("/tmp/many/b", O_CREAT | O_WRONLY, 0600));
	close(open("/tmp/many/a", O_CREAT | O_WRONLY, 0600));
	count = scandir("/tmp/many", &list, NULL, alphasort);
	ok(count == 4 && !strcmp(list[2]->d_name, "a") && !strcmp(list[3]->d_name, "b"), "scandir, sorted");
	while (count > 0)
		free(list[--count]);
	free(list);
	unlink("/tmp/many/a");
	unlink("/tmp/many/b");
	ok(!rmdir("/tmp/many"), "and removed");
	count = 0;
	dir = opendir("/");
	while ((entry = readdir(dir)))
		count += !strcmp(entry->d_name, "tmp") || !strcmp(entry->d_name, "small");
	closedir(dir);
	ok(count == 2, "mounts are listed in the archive's root");
}

static void limits(void)
{
	static char bytes[100000];
	struct statvfs space;
	int fd = open("/small/f", O_CREAT | O_WRONLY, 0600), many = 0;
	char path[5000];

	ok(write(fd, bytes, sizeof(bytes)) == 65536 && fails((int)write(fd, bytes, 1), ENOSPC), "a full file system");
	ok(!statvfs("/small", &space) && space.f_bavail == 0 && space.f_blocks == 16, "statvfs");
	ok(!ftruncate(fd, 0) && write(fd, bytes, 5000) == 5000, "and room again");
	close(fd);
	unlink("/small/f");
	memset(path, 'x', 257);
	path[0] = '/';
	path[257] = 0;
	ok(fails(open(path, O_RDONLY), ENAMETOOLONG), "a name of 256 bytes");
	for (int i = 0; i < 4998; i++)
		path[i] = i % 2 ? '.' : '/';
	path[4998] = 0;
	ok(fails(open(path, O_RDONLY), ENAMETOOLONG), "a path of 4998 bytes");
	symlink("loop", "/tmp/loop");
	ok(fails(open("/tmp/loop", O_RDONLY), ELOOP), "a loop");
	unlink("/tmp/loop");
	int fds[4200];
	while (many < 4200 && (fds[many] = open("/tmp", O_RDONLY)) >= 0)
		many++;
	ok(many > 4000 && errno == EMFILE, "%d open files", many);
	while (many)
		close(fds[--many]);
	ok(fails((int)lseek(0, 0, SEEK_SET), ESPIPE) && fails(close(77), EBADF), "ESPIPE, EBADF");
}

/* --- mappings ------------------------------------------------------------------------------------------- */

static void mappings(void)
{
	int fd = open("/tmp/map", O_CREAT | O_RDWR, 0600);
	char byte;

	ftruncate(fd, 20000);
	pwrite(fd, "abc", 3, 4096);
	volatile char *shared = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	volatile char *again = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	volatile char *own = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (!ok(shared != MAP_FAILED && again != MAP_FAILED && own != MAP_FAILED, "three mappings"))
		return;
	ok(shared[4096] == 'a' && shared[0] == 0 && again[1] == 'b' && own[4098] == 'c', "show the file");
	shared[4096] = 'X';
	ok(again[0] == 'X' && pread(fd, (char *)&byte, 1, 4096) == 1 && byte == 'X', "writing is seen by all");
	ok(own[4096] == 'a', "but by the private one, which was there before");
	own[4097] = 'Y';
	ok(again[1] == 'b', "what is written there is its own");
	pwrite(fd, "Z", 1, 4099);
	ok(again[3] == 'Z' && shared[4099] == 'Z', "write() is seen in mappings");
	shared[19999] = 'e';
	ok(!msync((void *)shared, 20000, MS_SYNC), "msync");
	shared[12288] = 'n';
	close(fd);
	ok(!munmap((void *)shared, 20000) && again[0] == 'X', "munmap of one");
	fd = open("/tmp/map", O_RDONLY);
	ok(pread(fd, &byte, 1, 12288) == 1 && byte == 'n' && pread(fd, &byte, 1, 19999) == 1 && byte == 'e',
	   "what was written before it is in the file");
	ok(mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES, "EACCES");
	ok(mmap(NULL, 10, PROT_READ, MAP_SHARED, fd, 5) == MAP_FAILED && errno == EINVAL, "an odd offset");
	int copy = open("/tmp/copy", O_CREAT | O_RDWR, 0600);
	ok(write(copy, (void *)own, 20000) == 20000 && pread(copy, (void *)(own + 8192), 4096, 4096) == 4096 &&
	   own[8192] == 'a' && own[8193] == 'Y', "mapped memory is written and read into");
	ok(!munmap((void *)again, 4096) && !munmap((void *)own, 20000), "all are unmapped");
	ok(copy_file_range(fd, NULL, copy, NULL, 1 << 20, 0) == 20000, "copy_file_range");
	close(fd);
	close(copy);
	unlink("/tmp/map");
	unlink("/tmp/copy");
}

/* A mapped file that is cut and grows again, and what is written behind its end. */
static void cut_mapping(void)
{
	int fd = open("/tmp/cut", O_CREAT | O_RDWR, 0600);
	char byte = 1;

	ftruncate(fd, 8192);
	volatile char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (!ok(map != MAP_FAILED, "a mapping"))
		return;
	map[5000] = 'o';
	ok(!ftruncate(fd, 4096) && !ftruncate(fd, 8192) && map[5000] == 0, "cut and grown, it shows zeroes");
	map[5001] = 'n';
	ok(pread(fd, &byte, 1, 5001) == 1 && byte == 'n', "and what is written there is in the file");
	ok(!ftruncate(fd, 5000), "an end in a page");
	map[5500] = 'x';
	ok(map[4999] == 0 && !munmap((void *)map, 8192) && !ftruncate(fd, 8192) && pread(fd, &byte, 1, 5500) == 1 &&
	   byte == 0, "what is written behind it does not stay");
	close(fd);
	unlink("/tmp/cut");
}

/* --- locks ---------------------------------------------------------------------------------------------- */

static int lock_step;

static void locker(void *arg)
{
	int fd = open("/tmp/lock", O_RDWR);

	(void)arg;
	ok(flock(fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "another open file has the lock");
	lock_step = 1;
	ok(!flock(fd, LOCK_EX) && lock_step == 2, "waited until it was given up");
	close(fd);
}

static void locks(void)
{
	int fd = open("/tmp/lock", O_CREAT | O_RDWR, 0600);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	struct thread *thread;

	ok(!flock(fd, LOCK_EX), "flock");
	thread = thread_create("locker", locker, NULL);
	while (lock_step == 0)
		thread_yield();
	thread_yield();
	lock_step = 2;
	flock(fd, LOCK_UN);
	thread_join(thread);
	ok(!flock(fd, LOCK_SH) && !flock(fd, LOCK_UN), "and is free at the end");
	ok(!fcntl(fd, F_SETLK, &lock) && !fcntl(fd, F_GETLK, &lock) && lock.l_type == F_UNLCK, "record locks");
	lock.l_type = 77;
	ok(fails(fcntl(fd, F_SETLK, &lock), EINVAL), "and what is none");
	close(fd);
	unlink("/tmp/lock");
}

/* --- the C library -------------------------------------------------------------------------------------- */

static void library(void)
{
	char name[] = "/tmp/exo-XXXXXX", text[40] = "";
	FILE *file;
	int fd = mkstemp(name);

	ok(fd >= 0 && write(fd, "x", 1) == 1 && !close(fd) && !remove(name), "mkstemp, remove");
	file = fopen("/tmp/f", "w+");
	ok(file && fprintf(file, "%d lines\n", 3) == 8 && !fseek(file, 0, SEEK_SET) && fgets(text, 40, file) &&
	   !strcmp(text, "3 lines\n") && !fclose(file), "stdio writes and reads");
	file = fopen("/tmp/f", "a");
	ok(file && fputs("more\n", file) >= 0 && !fclose(file) && holds("/tmp/f", "3 lines\nmore\n"), "stdio appends");
	file = fopen("/tmp/f", "w");
	ok(file && fputs("kept", file) >= 0 && !fflush(NULL) && holds("/tmp/f", "kept") && !fclose(file), "fflush(NULL)");
	file = fopen("/tmp/f", "r");
	ok(file && getc(file) == 'k' && !fflush(NULL) && lseek(fileno(file), 0, SEEK_CUR) == 1 && getc(file) == 'e' && !fclose(file),
	   "of one that is read: the descriptor is where the reader is");
	unlink("/tmp/f");
	file = tmpfile();
	ok(file && fputs("t", file) >= 0 && !fclose(file), "tmpfile (%s)", strerror(errno));
}

/* Where picolibc's streams are not as C and POSIX say. */
static void lines(void)
{
	size_t room = 0, sum = 0, most = 0;
	FILE *file = fopen("/tmp/f", "w+");
	char *line = NULL;
	ssize_t bytes;

	if (!ok(file != NULL, "a stream (%s)", strerror(errno)))
		return;
	ok(!setvbuf(file, NULL, _IOLBF, 0) && setvbuf(file, NULL, 77, 0), "a buffer of the library's, for lines");
	for (int i = 0; i < 600; i++)
		fprintf(file, "%*d\n", i, 7);
	rewind(file);
	while ((bytes = getline(&line, &room, file)) > 0) {
		sum += (size_t)bytes;
		most = (size_t)bytes > most ? (size_t)bytes : most;
		if (strlen(line) != (size_t)bytes || line[bytes - 1] != '\n' || room <= (size_t)bytes)
			break;
	}
	ok(bytes == -1 && feof(file) && most == 600 && sum == 2 + 600 * 601 / 2 - 1, "lines of every length, and their end");
	ok(!fseek(file, 2, SEEK_SET) && getc(file) == '7' && ungetc('x', file) == 'x' && !fseek(file, 1, SEEK_CUR) &&
	   ftell(file) == 3, "a byte that was given back counts in a seek");
	ok(fseek(file, -100, SEEK_CUR) < 0 && ftell(file) == 3, "a seek that fails changes nothing: %ld", ftell(file));
	fclose(file);
	free(line);
	unlink("/tmp/f");
}

/* --- cost ----------------------------------------------------------------------------------------------- */

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* With -icount shift=0 a nanosecond is an instruction; the figures are for people. */
static void cost(void)
{
	static char page[4096];
	struct stat st;
	uint64_t start;
	int fd;

	mkdir("/tmp/1", 0755);
	mkdir("/tmp/1/2", 0755);
	close(open("/tmp/1/2/3", O_CREAT | O_WRONLY, 0600));
	for (int round = 0; round < 2; round++) {
		start = now();
		for (int i = 0; i < 100; i++) {
			fd = open("/tmp/file", O_CREAT | O_WRONLY, 0600);
			write(fd, page, 4096);
			close(fd);
			unlink("/tmp/file");
		}
		uint64_t create = (now() - start) / 100;
		start = now();
		for (int i = 0; i < 100; i++)
			stat("/tmp/1/2/3", &st);
		uint64_t stats = (now() - start) / 100;
		start = now();
		for (int i = 0; i < 100; i++)
			close(open("/tmp/1/2/3", O_RDONLY));
		uint64_t opens = (now() - start) / 100;
		start = now();
		fd = open("/tmp/1/2/3", O_RDWR);
		pwrite(fd, page, 4096, 0);
		start = now();
		for (int i = 0; i < 100; i++)
			pread(fd, page, 4096, 0);
		uint64_t reads = (now() - start) / 100;
		close(fd);
		if (round)
			printf("# create+write 4 KiB+close+unlink %lu, stat %lu, open+close %lu, pread 4 KiB %lu\n", create,
			    stats, opens, reads);
	}
	unlink("/tmp/1/2/3");
	rmdir("/tmp/1/2");
	ok(!rmdir("/tmp/1"), "measured");
}

int main(void)
{
	setenv("EXO_MOUNTS", MOUNTS, 1);
	flags();
	nameless();
	directories();
	limits();
	mappings();
	cut_mapping();
	locks();
	library();
	lines();
	cost();
	return tap_done();
}
