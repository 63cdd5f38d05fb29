/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of the libOS posix, as a process sees them: open flags, offsets that are shared over fork and dup,
 * large reads and writes, names, directories, attributes, what changing a file does to its mode and times, working
 * directory, vectors, temporary files, stdio on top.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "test/guest/tap.h"

#define LARGE	300000

static bool fails(long result, int error)
{
	bool good = result == -1 && errno == error;

	if (!good)
		printf("# %ld, errno %d (%s)\n", result, errno, strerror(errno));
	return good;
}

static void opening(void)
{
	int fd = open("new", O_CREAT | O_EXCL | O_RDWR, 0666), other;
	char text[20] = "";
	struct stat st;

	ok(fd >= 0, "a new file");
	ok(fails(open("new", O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST), "is there");
	ok(fails(open("none", O_RDONLY), ENOENT) && fails(open("new/x", O_RDONLY), ENOTDIR), "others are not");
	ok(fails(open(".", O_WRONLY), EISDIR) && fails(open("new", O_DIRECTORY), ENOTDIR), "files and directories");
	ok(write(fd, "hello, world", 12) == 12 && lseek(fd, 7, SEEK_SET) == 7, "written");
	ok(read(fd, text, sizeof(text)) == 5 && !memcmp(text, "world", 5), "read");
	ok(fstat(fd, &st) == 0 && st.st_size == 12 && (st.st_mode & 07777) == 0644 && S_ISREG(st.st_mode),
	   "its state");
	other = open("new", O_WRONLY | O_APPEND);
	ok(write(other, "!", 1) == 1 && fails(read(other, text, 1), EBADF), "appended, and not to be read");
	ok(pread(fd, text, 5, 8) == 5 && !memcmp(text, "orld!", 5) && lseek(fd, 0, SEEK_CUR) == 12,
	   "read at a place");
	close(other);
	other = open("new", O_WRONLY | O_TRUNC);
	ok(fstat(fd, &st) == 0 && st.st_size == 0, "cut");
	ok(close(other) == 0 && fails(close(other), EBADF) && fails(lseek(other, 0, SEEK_CUR), EBADF), "closed");
	ok(ftruncate(fd, 5000) == 0 && lseek(fd, 0, SEEK_END) == 5000, "grown");
	ok(lseek(fd, 10, 3) == 10 && lseek(fd, 10, 4) == 5000 && fails(lseek(fd, 5000, 3), ENXIO) && fails(lseek(fd, 0, 5), EINVAL) &&
	   fails(open("/tmp/new", O_CREAT | O_DIRECTORY | O_RDWR, 0600), EINVAL) && fails(setuid((uid_t)-1), EINVAL) &&
	   fails(setegid((gid_t)-1), EINVAL), "data to the end, no folder made by open, no id of all ones");
	ok(fcntl(fd, F_GETFL) == O_RDWR && fcntl(fd, F_GETFD) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
	    fcntl(fd, F_GETFD) == FD_CLOEXEC, "flags");
	ok(fcntl(fd, F_DUPFD, 50) == 50 && dup2(fd, 60) == 60 && fcntl(60, F_GETFD) == 0, "copies");
	lseek(fd, 17, SEEK_SET);
	ok(lseek(50, 0, SEEK_CUR) == 17 && lseek(60, 0, SEEK_CUR) == 17, "with one offset");
	close(50);
	close(60);
	ok(fails(open("/dev/null/x", O_RDONLY), ENOTDIR) && (other = open("/dev/zero", O_RDONLY)) >= 0 &&
	    read(other, text, 20) == 20 && !text[3], "devices");
	close(other);
	close(fd);
	ok(unlink("new") == 0 && fails(unlink("new"), ENOENT), "gone");
}

static void large(void)
{
	char *data = malloc(LARGE), *back = calloc(1, LARGE);
	int fd = open("large", O_CREAT | O_RDWR, 0600);
	struct iovec pieces[3] = { { back, 100 }, { back + 100, 70000 }, { back + 70100, LARGE - 70100 } };

	for (int i = 0; i < LARGE; i++)
		data[i] = (char)(i * 7 + i / 256);
	ok(write(fd, data, LARGE) == LARGE, "a large write");
	ok(pread(fd, back, LARGE, 0) == LARGE && !memcmp(data, back, LARGE), "a large read");
	memset(back, 0, LARGE);
	ok(preadv(fd, pieces, 3, 0) == LARGE && !memcmp(data, back, LARGE), "in pieces");
	pieces[0].iov_base = data + 5;
	pieces[0].iov_len = 3;
	pieces[1].iov_base = data + 8;
	ok(pwritev(fd, pieces, 2, 5) == 70003 && pread(fd, back, LARGE, 0) == LARGE && !memcmp(data, back, LARGE),
	    "written in pieces");
	ok(pread(fd, back, LARGE, LARGE - 10) == 10 && pread(fd, back, 10, LARGE) == 0, "to the end");
	ok(posix_fallocate(fd, LARGE, 10000) == 0 && lseek(fd, 0, SEEK_END) == LARGE + 10000, "room ahead");
	close(fd);
	unlink("large");
	free(data);
	free(back);
}

static void shared_offset(void)
{
	int fd = open("shared", O_CREAT | O_RDWR, 0600), status;
	char text[8];
	pid_t child;

	ok(write(fd, "abcdefgh", 8) == 8 && lseek(fd, 0, SEEK_SET) == 0, "a file");
	child = fork();
	if (!child) {
		bool good = read(fd, text, 3) == 3 && !memcmp(text, "abc", 3);

		close(fd);
		_exit(good ? 0 : 1);
	}
	ok(waitpid(child, &status, 0) == child && status == 0, "a child reads");
	ok(read(fd, text, 3) == 3 && !memcmp(text, "def", 3), "and the parent goes on there");
	close(fd);
	unlink("shared");
}

static int visited;

static int visit(const char *path, const struct stat *st, int what, struct FTW *where)
{
	(void)path, (void)st;
	visited += what == FTW_DP ? 100 : where->level;
	return 0;
}

static void names(void)
{
	char path[PATH_MAX], text[100];
	struct dirent **list, *entry;
	struct stat st, other;
	int count = 0;
	long place;
	DIR *dir;

	ok(mkdir("d", 0755) == 0 && mkdir("d/e", 0700) == 0 && fails(mkdir("d", 0700), EEXIST), "directories");
	ok(close(creat("d/f", 0640)) == 0 && link("d/f", "d/e/g") == 0, "a link");
	ok(stat("d/f", &st) == 0 && stat("d/e/g", &other) == 0 && st.st_ino == other.st_ino &&
	   st.st_nlink == 2, "is the same");
	ok(symlink("../f", "d/e/s") == 0 && readlink("d/e/s", text, 100) == 4 && stat("d/e/s", &other) == 0 &&
	    other.st_ino == st.st_ino && lstat("d/e/s", &other) == 0 && S_ISLNK(other.st_mode), "a symbolic one");
	ok(symlink("loop", "loop") == 0 && fails(open("loop", O_RDONLY), ELOOP), "that leads to itself");
	ok(rename("d/e/g", "d/h") == 0 && access("d/h", R_OK) == 0 && fails(access("d/e/g", F_OK), ENOENT),
	   "another name");
	ok(fails(rename("d", "d/e/x"), EINVAL) && fails(rmdir("d/e"), ENOTEMPTY) &&
	   fails(unlink("d"), EISDIR), "what cannot be");
	ok(chdir("d/e") == 0 && getcwd(path, sizeof(path)) && strstr(path, "/d/e"), "is %s", path);
	ok(realpath("../e/./s", path) && strstr(path, "/d/f"), "its real name is %s", path);
	ok(chdir("../..") == 0, "back");
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "d/name%02d", i);
		close(creat(path, 0600));
	}
	dir = opendir("d");
	while ((entry = readdir(dir)) && strcmp(entry->d_name, "name10"))
		;
	place = telldir(dir);
	entry = readdir(dir);
	strcpy(text, entry ? entry->d_name : "");
	rewinddir(dir);
	while (readdir(dir))
		count++;
	seekdir(dir, place);
	entry = readdir(dir);
	ok(count == 65 && entry && !strcmp(entry->d_name, text), "%d entries, and a place among them", count);
	closedir(dir);
	count = scandir("d", &list, NULL, alphasort);
	ok(count == 65 && !strcmp(list[64]->d_name, "name59"), "sorted");
	ok(nftw("d", visit, 4, FTW_DEPTH | FTW_PHYS) == 0 && visited == 264, "walked: %d", visited);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "d/name%02d", i);
		unlink(path);
	}
	ok(unlink("d/e/s") == 0 && rmdir("d/e") == 0 && unlink("d/f") == 0 && unlink("d/h") == 0 && rmdir("d") == 0 &&
	    unlink("loop") == 0, "all gone");
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ok(fails(open(path, O_RDONLY), ENAMETOOLONG), "a path too long");
}

static void attributes(void)
{
	struct timespec times[2] = { { 1000, 5 }, { 2000, UTIME_OMIT } };
	int fd = open("a", O_CREAT | O_RDWR, 0666);
	struct statvfs space;
	struct stat st;

	ok(chmod("a", 0751) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0751, "a mode");
	ok(fchmod(fd, 0600) == 0 && stat("a", &st) == 0 && (st.st_mode & 07777) == 0600, "of an open file");
	ok(umask(077) == 022 && umask(022) == 077, "the umask");
	ok(utimensat(AT_FDCWD, "a", times, 0) == 0 && stat("a", &st) == 0 && st.st_atim.tv_sec == 1000 &&
	    st.st_atim.tv_nsec == 5 && st.st_mtim.tv_sec != 2000, "times");
	ok(statvfs(".", &space) == 0 && space.f_bsize >= 512 && fstatvfs(fd, &space) == 0, "space");
	ok(chown("a", 3, 4) == 0 && stat("a", &st) == 0 && st.st_uid == 3 && st.st_gid == 4, "owners");
	ok(pathconf(".", _PC_NAME_MAX) == 255 && fpathconf(fd, _PC_PIPE_BUF) >= 512, "limits");
	close(fd);
	unlink("a");
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_mode & 07777;
}

/* What user 5 may do; how many things went wrong. */
static int as_another(void)
{
	int fd = open("ids", O_WRONLY), wrong = setgid(5) || setuid(5) ? 100 : 0;

	wrong += !(chown("ids", (uid_t)-1, (gid_t)-1) == 0 && fails(chown("ids", 5, (gid_t)-1), EPERM) &&
		   mode_of("ids") == 06777);
	wrong += !(truncate("ids", 4) == 0 && mode_of("ids") == 0777);
	wrong += !(fails(rename("there/d", "here/d"), EACCES) && rename("there/d", "there/e") == 0);
	wrong += !(fails(mknod("here/n", S_IFDIR | 0700, 0), EPERM) && fails(mkdir("here/x/d", 0700), ENOENT));
	return wrong + !(write(fd, "x", 1) == 1);
}

/* ... with what his parent opened, after each that gives the file its set-ids back. */
static int writes_as_another(int (*change)(int fd))
{
	int fd = open("ids", O_RDWR), status = 0;
	pid_t child = chmod("ids", 06777) ? -1 : fork();

	if (child == 0)
		_exit(setgid(5) || setuid(5) || change(fd));
	waitpid(child, &status, 0);
	close(fd);
	return status;
}

static int cut(int fd)
{
	return ftruncate(fd, 2);
}

static int put(int fd)
{
	return write(fd, "x", 1) != 1;
}

static int empty(int fd)
{
	return close(open("ids", O_WRONLY | O_TRUNC)) || close(fd);
}

static void rights(void)
{
	int status = -1;
	pid_t child;

	ok(close(creat("ids", 0600)) == 0 && chmod("ids", 06777) == 0 && mkdir("here", 0777) == 0 && mkdir("there", 0777) == 0 &&
	   mkdir("there/d", 0755) == 0 && chmod("here", 0777) == 0 && chmod("there", 0777) == 0 && chmod(".", 0755) == 0,
	   "files of user 0");
	child = fork();
	if (child == 0)
		_exit(as_another());
	ok(waitpid(child, &status, 0) == child && status == 0, "what another user may do: %d", status);
	ok(writes_as_another(put) == 0 && mode_of("ids") == 0777, "who writes to a program takes its set-ids");
	ok(writes_as_another(cut) == 0 && mode_of("ids") == 0777, "who cuts it, too");
	ok(writes_as_another(empty) == 0 && mode_of("ids") == 0777, "and who empties it");
	ok(chmod("ids", 06777) == 0 && truncate("ids", 1) == 0 && mode_of("ids") == 06777, "user 0 does not");
	ok(chown("ids", 7, 7) == 0 && mode_of("ids") == 0777, "a new owner does");
	ok(mkfifo("f", 0600) == 0 && chmod("f", 06666) == 0 && chown("f", 7, 7) == 0 && mode_of("f") == 02666,
	   "of what is no program");
	ok(rename("there/e", "here/d") == 0 && rmdir("here/d") == 0 && rmdir("here") == 0 && rmdir("there") == 0 &&
	   unlink("ids") == 0 && unlink("f") == 0, "all gone");
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* When a FIFO was written and read, and a symbolic link read. */
static void uses(void)
{
	int fd = mkfifo("fifo", 0600) ? -1 : open("fifo", O_RDWR);
	struct stat made, wrote, took, seen;
	char byte;

	ok(fstat(fd, &made) == 0 && S_ISFIFO(made.st_mode) && usleep(2000) == 0 && write(fd, "x", 1) == 1 &&
	   stat("fifo", &wrote) == 0 && later(wrote.st_mtim, made.st_mtim) && later(wrote.st_ctim, made.st_ctim) &&
	   !later(wrote.st_atim, made.st_atim), "written");
	ok(usleep(2000) == 0 && read(fd, &byte, 1) == 1 && fstat(fd, &took) == 0 && later(took.st_atim, wrote.st_mtim) &&
	   !later(took.st_mtim, wrote.st_mtim) && !later(took.st_ctim, wrote.st_ctim), "and read");
	ok(close(fd) == 0 && unlink("fifo") == 0 && symlink("nothing", "link") == 0 && lstat("link", &made) == 0 &&
	   usleep(2000) == 0 && readlink("link", &byte, 1) == 1 && lstat("link", &seen) == 0 &&
	   later(seen.st_atim, made.st_atim) && !later(seen.st_ctim, made.st_ctim) && unlink("link") == 0,
	   "a link that was read");
}

static void streams(void)
{
	char name[] = "tmp-XXXXXX", text[100] = "";
	int fd = mkstemp(name);
	FILE *file = fdopen(fd, "w+");

	ok(fd >= 0 && file && fprintf(file, "%d %s\n", 42, "words") == 9 && fflush(file) == 0, "a stream");
	rewind(file);
	ok(fgets(text, sizeof(text), file) && !strcmp(text, "42 words\n"), "and back");
	fclose(file);
	ok(remove(name) == 0, "removed");
	file = tmpfile();
	ok(file && fputs("x", file) >= 0 && fclose(file) == 0, "a temporary file");
}

static void locked(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };
	int fd = open("lock", O_CREAT | O_RDWR, 0600), status, ready[2];
	char byte;
	pid_t child;

	ok(fcntl(fd, F_SETLK, &lock) == 0 && pipe(ready) == 0, "a lock");
	child = fork();
	if (!child) {
		bool good = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == getppid();

		good = good && fails(fcntl(fd, F_SETLK, &lock), EAGAIN);
		good = write(ready[1], "", 1) == 1 && good;
		lock.l_type = F_WRLCK;
		good = good && fcntl(fd, F_SETLKW, &lock) == 0;
		_exit(good ? 0 : 1);
	}
	ok(read(ready[0], &byte, 1) == 1, "is in a child's way");
	lock.l_type = F_UNLCK;
	ok(fcntl(fd, F_SETLK, &lock) == 0 && waitpid(child, &status, 0) == child && status == 0,
	   "until it is undone");
	ok(flock(fd, LOCK_EX | LOCK_NB) == 0, "flock");
	close(ready[0]);
	close(ready[1]);
	close(fd);
	unlink("lock");
}

/* As many descriptors as getrlimit says, in a child that has them all from its parent, and beyond FD_SETSIZE none. */
static void many(void)
{
	struct rlimit most;
	struct timeval now = { 0, 0 };
	int first = open("many", O_RDWR | O_CREAT, 0600), fd = first, last = first, status = 0, count = 0;
	fd_set set;
	pid_t child;

	ok(getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur >= 1024 && most.rlim_cur <= FD_SETSIZE, "1,024 descriptors");
	for (; fd >= 0; fd = dup(first))
		last = fd;
	ok(fails(fd, EMFILE) && last == (int)most.rlim_cur - 1, "are given, and no more: the last is %d", last);
	FD_ZERO(&set);
	FD_SET(last, &set);
	ok(select(last + 1, &set, NULL, NULL, &now) == 1 && FD_ISSET(last, &set), "select of the last");
	child = fork();
	if (child == 0) {
		for (fd = first; fd <= last; fd++)
			count += fcntl(fd, F_GETFD) == 0;
		_exit(count == last - first + 1 && fails(dup2(first, last + 1), EBADF) ? 0 : 1);
	}
	ok(waitpid(child, &status, 0) == child && status == 0, "a child has them all");
	for (fd = first; fd <= last; fd++)
		close(fd);
	ok(dup2(1, last) == last && close(last) == 0 && unlink("many") == 0, "the last one by its number");
}

int main(void)
{
	char folder[] = "/tmp/files-XXXXXX";

	mkdir("/tmp", 01777);
	if (!ok(mkdtemp(folder) && chdir(folder) == 0, "a folder"))
		return tap_done();
	opening();
	large();
	names();
	attributes();
	rights();
	uses();
	streams();
	shared_offset();
	locked();
	many();
	ok(chdir("/") == 0 && rmdir(folder) == 0, "which is empty again");
	return tap_done();
}
