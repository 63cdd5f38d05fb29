/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions that POSIX does not have, no longer has, or has since 2024, and that programs ask for.
 * Run with: --smp 2
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <pty.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timeb.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/posix_keeper.h"

#define TEXT	"/tmp/text"

char *getpass(const char *), *getusershell(void), *getwd(char *);
void endusershell(void), setusershell(void);
off_t lseek64(int, off_t, int);
int ftime(struct timeb *), posix_close(int, int), execlpe(const char *, const char *, ...), setpassent(int);

static bool fails(long result, int error)
{
	if (result == -1 && errno == error)
		return true;
	printf("# %ld, errno %d\n", result, errno);
	return false;
}

/* --- error.h -------------------------------------------------------------------------------------------- */

static void own_name(void)
{
	fputs("me> ", stderr);
}

/* What is said on standard error by a child that ends with `status`. */
static bool says(void (*what)(void), const char *wanted, int status)
{
	int fd = open(TEXT, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char got[256] = "";
	pid_t child = fork();

	if (!child) {
		dup2(fd, STDERR_FILENO);
		program_invocation_name = (char *)"prog";
		what();
		_exit(99);
	}
	if (finish(child) != status << 8)
		return false;
	pread(fd, got, sizeof(got) - 1, 0);
	close(fd);
	if (!strcmp(got, wanted))
		return true;
	printf("# '%s'\n", got);
	return false;
}

static void plainly(void)
{
	error(0, 0, "%d and %s", 1, "two");
	error(3, ENOENT, "file");
}

static void of_lines(void)
{
	error_print_progname = own_name;
	error_at_line(0, 0, "a.c", 7, "first");
	error_print_progname = NULL;
	error_at_line(0, EACCES, "a.c", 8, "second");
	error_one_per_line = 1;
	error_at_line(0, 0, "a.c", 9, "third");
	error_at_line(0, 0, "a.c", 9, "again");
	error_at_line(error_message_count == 3 ? 5 : 6, 0, "b.c", 9, "end");
}

static void errors_of(void)
{
	ok(says(plainly, "prog: 1 and two\nprog: file: No such file or directory\n", 3), "error");
	ok(says(of_lines, "me> a.c:7: first\nprog:a.c:8: second: Permission denied\nprog:a.c:9: third\nprog:b.c:9: end\n", 5),
	   "error_at_line");
	ok(!strcmp(strerrorname_np(EINVAL), "EINVAL") && !strcmp(strerrorname_np(EOWNERDEAD), "EOWNERDEAD") &&
	   !strcmp(strerrordesc_np(ENOENT), strerror(ENOENT)) && !strerrorname_np(-1) && !strerrorname_np(12345) &&
	   !strerrordesc_np(12345) && !strcmp(strerrorname_np(0), "0"), "names of errors");
}

/* --- old ones ------------------------------------------------------------------------------------------- */

static void legacy(void)
{
	char path[PATH_MAX], *end = sbrk(0);
	int fd = open(TEXT, O_RDWR), s[2];
	uid_t uid = 99;
	gid_t gid = 99;
	struct timeb now;
	pid_t child;

	ok((off64_t)-1 < 0 && sizeof(off64_t) == sizeof(off_t) && lseek64(-1, 0, SEEK_SET) < 0 && errno == EBADF,
	   "off64_t has a sign");
	ok(!brk(end + 8192) && sbrk(0) == (void *)(end + 8192) && !brk(end) && sbrk(0) == (void *)end &&
	   fails(brk((void *)16), ENOMEM), "brk");
	ok(getwd(path) == path && path[0] == '/' && lseek64(fd, 5, SEEK_SET) == 5, "getwd, lseek64");
	ok(!posix_close(fd, 0) && fails(posix_close(fd, 0), EBADF) && fails(posix_close(fd, 64), EINVAL), "posix_close");
	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, s) && !getpeereid(s[0], &uid, &gid) && uid == geteuid() && gid == getegid() &&
	   fails(getpeereid(0, &uid, &gid), ENOTSOCK) && !issetugid(), "getpeereid, issetugid");
	close(s[0]), close(s[1]);
	ok(gethostid() == gethostid() && !ftime(&now) && now.time >= time(NULL) - 1 && now.millitm < 1000, "gethostid, ftime");
	child = fork();
	if (!child) {
		char *variables[] = { "X=y", NULL };

		setenv("PATH", "/bin", 1);
		execlpe("posix_more", "posix_more", "variables", NULL, variables);
		_exit(98);
	}
	ok(finish(child) == 7 << 8, "execlpe");
	ok(setpassent(1) == 1 && getusershell() && getusershell() && !getusershell() && (setusershell(), getusershell()) != NULL,
	   "setpassent, getusershell");
	endusershell();
	child = _Fork();
	if (!child)
		_exit(5);
	ok(finish(child) == 5 << 8, "_Fork");
}

static void terminals(void)
{
	struct winsize size = { 33, 77, 0, 0 }, got = { 0 };
	char text[256] = "";
	size_t bytes = 0;
	int master;
	pid_t child = forkpty(&master, NULL, NULL, NULL);

	if (!child)
		_exit(strcmp(getpass("word? "), "secret") != 0 || tcgetwinsize(0, &got) || got.ws_row != 33 || got.ws_col != 77);
	ok(child > 0 && !tcsetwinsize(master, &size) && fails(tcgetwinsize(open(TEXT, O_RDONLY), &got), ENOTTY), "tcsetwinsize");
	while (!strstr(text, "word? ") && bytes < sizeof(text) - 1)
		bytes += (size_t)read(master, text + bytes, sizeof(text) - 1 - bytes);
	(void)write(master, "secret\n", 7);
	ok(finish(child) == 0, "getpass, tcgetwinsize");
	fcntl(master, F_SETFL, O_NONBLOCK);
	bytes = (size_t)read(master, text, sizeof(text) - 1);
	text[bytes < sizeof(text) ? bytes : 0] = '\0';
	ok(!strstr(text, "secret"), "without echo");
	close(master);
}

/* --- Linux's -------------------------------------------------------------------------------------------- */

static void *its_tid(void *arg)
{
	*(pid_t *)arg = gettid();
	return NULL;
}

static void descriptors(void)
{
	int fd = memfd_create("name", MFD_CLOEXEC), other, s[2];
	struct stat st;
	char *map, byte = 0, *path;
	pthread_t thread;
	pid_t tid = 0;

	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && !ftruncate(fd, 4096) && !fstat(fd, &st) && st.st_nlink == 0 &&
	   st.st_size == 4096, "memfd_create");
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ok(map != MAP_FAILED && (map[9] = 7) && pread(fd, &byte, 1, 9) == 1 && byte == 7 && !munmap(map, 4096), "it can be mapped");
	ok(fails(memfd_create("x", 64), EINVAL), "flags that are none: EINVAL");
	ok(fails(memfd_create("x", MFD_ALLOW_SEALING), EINVAL), "seals, which are absent: EINVAL");
	other = dup2(fd, 40);
	ok(other == 40 && dup2(fd, 41) == 41 && !close_range(40, 40, CLOSE_RANGE_CLOEXEC) &&
	   fcntl(40, F_GETFD) == FD_CLOEXEC && !fcntl(41, F_GETFD) && !close_range(40, 41, 0) &&
	   fails(fcntl(40, F_GETFD), EBADF) && fails(fcntl(41, F_GETFD), EBADF), "close_range");
	ok(fails(close_range(5, 4, 0), EINVAL) && fails(close_range(4, 5, 2), EINVAL), "EINVAL");
	dup2(fd, 50), dup2(fd, 60);
	closefrom(50);
	ok(fails(fcntl(50, F_GETFD), EBADF) && fails(fcntl(60, F_GETFD), EBADF) && !fcntl(1, F_GETFD), "closefrom");
	ok(!syncfs(fd) && fails(syncfs(77), EBADF), "syncfs");
	path = canonicalize_file_name("/tmp/../tmp/./text");
	ok(path && !strcmp(path, "/tmp/text") && !canonicalize_file_name("/none"), "canonicalize_file_name");
	free(path), close(fd);
	ok(gettid() == getpid() && !pthread_create(&thread, NULL, its_tid, &tid) && !pthread_join(thread, NULL) && tid > 32767,
	   "gettid");
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	for (int i = 0; i < 3; i++)
		(void)send(s[0], "abc", (size_t)i + 1, 0);
	char into[4][8];
	struct iovec pieces[4];
	struct mmsghdr messages[4] = { 0 };
	struct timespec bad = { 0, -1 };

	for (int i = 0; i < 4; i++) {
		pieces[i] = (struct iovec){ into[i], 8 };
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	ok(recvmmsg(s[1], messages, 4, MSG_WAITFORONE, NULL) == 3 && messages[0].msg_len == 1 && messages[2].msg_len == 3 &&
	   fails(recvmmsg(s[1], messages, 4, MSG_DONTWAIT, NULL), EAGAIN) && fails(recvmmsg(s[1], messages, 1, 0, &bad), EINVAL),
	   "recvmmsg");
	close(s[0]), close(s[1]);
}

static void rest(long ms)
{
	nanosleep(&(struct timespec){ 0, ms * 1000000 }, NULL);
}

/* --- times of reading ----------------------------------------------------------------------------------- */

static bool after(const struct timespec *time, const struct timespec *other)
{
	return time->tv_sec > other->tv_sec || (time->tv_sec == other->tv_sec && time->tv_nsec > other->tv_nsec);
}

static void reads(void)
{
	struct stat first, read_once, again, changed;
	char byte;
	int fd = open(TEXT, O_RDWR | O_CREAT | O_TRUNC, 0600);
	DIR *folder;

	(void)write(fd, "abc", 3);
	fstat(fd, &first);
	rest(3);
	ok(pread(fd, &byte, 1, 0) == 1 && !fstat(fd, &read_once) && after(&read_once.st_atim, &first.st_atim) &&
	   after(&read_once.st_atim, &read_once.st_mtim) && !after(&read_once.st_ctim, &first.st_ctim), "a file that has been read");
	rest(3);
	ok(pread(fd, &byte, 1, 0) == 1 && !fstat(fd, &again) && !after(&again.st_atim, &read_once.st_atim),
	   "again, without a change: nothing new");
	(void)pwrite(fd, "x", 1, 0);
	rest(3);
	fstat(fd, &changed);
	ok(after(&changed.st_mtim, &changed.st_atim) && pread(fd, &byte, 1, 0) == 1 && !fstat(fd, &again) &&
	   after(&again.st_atim, &changed.st_mtim), "after a change");
	ok(pread(fd, &byte, 1, 50) == 0 && !mkdir("/tmp/folder", 0700) && !stat("/tmp/folder", &first) && (rest(3), true) &&
	   (folder = opendir("/tmp/folder")) && readdir(folder) && !closedir(folder) && !stat("/tmp/folder", &again) &&
	   after(&again.st_atim, &first.st_atim), "a directory");
	rmdir("/tmp/folder"), close(fd);
}

/* --- the empty path ------------------------------------------------------------------------------------- */

static void empty_paths(void)
{
	int fd = open(TEXT, O_RDWR | O_CREAT | O_TRUNC, 0600), folder = open("/tmp", O_RDONLY | O_DIRECTORY);
	const struct timespec times[2] = { { 7, 0 }, { 8, 0 } };
	struct stat st, same;

	ok(!fstat(fd, &same) && !fstatat(fd, "", &st, AT_EMPTY_PATH) && st.st_ino == same.st_ino &&
	   !fstatat(folder, "text", &st, AT_EMPTY_PATH) && st.st_ino == same.st_ino &&
	   !fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH) && S_ISDIR(st.st_mode), "of a descriptor, of a path, of the working directory");
	ok(fails(fstatat(fd, "", &st, 0), ENOENT) && fails(fstatat(99, "", &st, AT_EMPTY_PATH), EBADF) &&
	   fails(fstatat(fd, "", &st, AT_EMPTY_PATH | 0x800), EINVAL) && fails(fstatat(fd, "x", &st, AT_EMPTY_PATH), ENOTDIR),
	   "ENOENT, EBADF, EINVAL, ENOTDIR");
	ok(!fchownat(fd, "", 5, 6, AT_EMPTY_PATH) && !fchmodat(fd, "", 0640, AT_EMPTY_PATH) &&
	   !utimensat(fd, "", times, AT_EMPTY_PATH) && !fstat(fd, &st) && st.st_uid == 5 && st.st_gid == 6 &&
	   (st.st_mode & 07777) == 0640 && st.st_mtime == 8, "owner, mode, times");
	ok(fails(fchownat(fd, "", 5, 6, 0), ENOENT) && fails(fchmodat(fd, "", 0640, 0), ENOENT) &&
	   fails(utimensat(fd, "", times, 0), ENOENT) && fails(fchownat(99, "", 5, 6, AT_EMPTY_PATH), EBADF), "ENOENT, EBADF");
	ok(!fallocate(fd, 0, 0, 5000) && !fstat(fd, &st) && st.st_size == 5000 && fails(fallocate(fd, 0, -1, 5), EINVAL) &&
	   fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5), EOPNOTSUPP) &&
	   fails(fallocate(99, 0, 0, 5), EBADF), "fallocate");
	close(fd), close(folder);
}

/* --- on which CPUs -------------------------------------------------------------------------------------- */

static volatile bool over;
static volatile unsigned seen[2];

/* Computes, and sees where. */
static void *anywhere(void *arg)
{
	while (!over) {
		for (volatile int i = 0; i < 1000; i++)
			;
		seen[sched_getcpu() & 1]++;
	}
	return arg;
}

static void affinity(void)
{
	cpu_set_t set, got;
	pthread_t thread[2];
	unsigned home = (unsigned)sched_getcpu(), away = !home;

	CPU_ZERO(&set);
	ok(!sched_getaffinity(0, sizeof(got), &got) && CPU_COUNT(&got) == 2 && home < 2, "two CPUs");
	ok(fails(sched_setaffinity(0, sizeof(set), &set), EINVAL) && (CPU_SET(away, &set), 1) &&
	   fails(sched_setaffinity(0, sizeof(set), &set), EINVAL), "none, or without the one that is its home: EINVAL");
	CPU_SET(home, &set);
	ok(fails(sched_setaffinity(29999, sizeof(set), &set), ESRCH) && fails(sched_setaffinity(-1, sizeof(set), &set), ESRCH) &&
	   fails(sched_getaffinity(-1, sizeof(got), &got), ESRCH) && fails(sched_getaffinity(0, 3, &got), EINVAL) &&
	   fails(sched_getaffinity(29999, sizeof(got), &got), ESRCH), "ESRCH, EINVAL");
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, anywhere, NULL);
	for (int i = 0; i < 100 && !(seen[0] && seen[1]); i++)
		rest(10);
	ok(seen[0] && seen[1], "threads compute on both");
	CPU_CLR(away, &set);
	ok(!sched_setaffinity(0, sizeof(set), &set) && !sched_getaffinity(0, sizeof(got), &got) && CPU_EQUAL(&got, &set), "one");
	rest(50);
	seen[away] = seen[home] = 0;
	rest(100);
	ok(!seen[away] && seen[home], "from then on they are there (%u, %u)", seen[away], seen[home]);
	pid_t child = fork();
	if (!child)
		_exit(sched_getaffinity(getppid(), sizeof(got), &got) || !CPU_EQUAL(&got, &set) ||
		      sched_getaffinity(0, sizeof(got), &got) || !CPU_EQUAL(&got, &set) || setuid(1000) ||
		      !fails(sched_setaffinity(getppid(), sizeof(set), &set), EPERM));
	ok(finish(child) == 0, "a child inherits it; who may not: EPERM");
	CPU_SET(away, &set);
	ok(!sched_setaffinity(getpid(), sizeof(set), &set), "and both again");
	for (int i = 0; i < 100 && !seen[away]; i++)
		rest(10);
	ok(seen[away], "they go there");
	CPU_CLR(away, &set);
	ok(pthread_setaffinity_np(thread[0], sizeof(set), &set) == 0 && pthread_setaffinity_np(thread[1], sizeof(set), &set) == 0 &&
	   !pthread_getaffinity_np(thread[0], sizeof(got), &got) && CPU_EQUAL(&got, &set) &&
	   !pthread_getaffinity_np(pthread_self(), sizeof(got), &got) && CPU_COUNT(&got) == 2, "of single threads");
	rest(50);
	seen[away] = seen[home] = 0;
	rest(100);
	ok(!seen[away] && seen[home], "they stay where they may be");
	CPU_ZERO(&set);
	CPU_SET(away, &set);
	ok(pthread_setaffinity_np(thread[0], sizeof(set), &set) == EINVAL && pthread_getaffinity_np(thread[0], 3, &got) == EINVAL,
	   "EINVAL");
	over = true;
	pthread_join(thread[0], NULL), pthread_join(thread[1], NULL);
	ok(pthread_setaffinity_np(thread[0], sizeof(set), &set) == ESRCH, "ESRCH");
	ok(in_order(), "the keeper is in order");
}

/* The compiler makes fputc_unlocked of the first fputs_unlocked, and fwrite_unlocked of the second. */
static void unlocked(void)
{
	FILE *file = fopen(TEXT, "w+");
	char got[8] = "";

	fputs_unlocked("a", file);
	fputs_unlocked("bcd", file);
	ok(fputc_unlocked('e', file) == 'e' && fwrite_unlocked("fg", 1, 2, file) == 2 && fflush_unlocked(file) == 0 &&
	   lseek(fileno_unlocked(file), 0, SEEK_CUR) == 7, "written without a lock");
	rewind(file);
	ok(fgetc_unlocked(file) == 'a' && fread_unlocked(got, 1, 3, file) == 3 && !strcmp(got, "bcd") &&
	   fgets_unlocked(got, 8, file) && !strcmp(got, "efg"), "read without a lock");
	ok(fgetc_unlocked(file) == EOF && feof_unlocked(file) && fclose(file) == 0, "and the end");
	file = fopen(TEXT, "r");
	ok(fails(fputc_unlocked('e', file), EBADF) && ferror_unlocked(file) && fwrite_unlocked("f", 1, 1, file) == 0 &&
	   fclose(file) == 0 && unlink(TEXT) == 0, "EBADF");
	file = fopen("/dev/full", "w");
	ok(fputc_unlocked('e', file) == 'e' && fails(fflush_unlocked(file), ENOSPC), "ENOSPC");
	fclose(file);
}

static void parameters(void)
{
	unsigned char bits[4] = { 0 };

	setbit(bits, 0), setbit(bits, 9), setbit(bits, 31), clrbit(bits, 0);
	ok(bits[0] == 0 && bits[1] == 2 && bits[2] == 0 && bits[3] == 128 && isset(bits, 9) == 1 && isclr(bits, 8) == 1 &&
	   !isset(bits, 8) && !isclr(bits, 31), "sets of bits");
	ok(roundup(8, 8) == 8 && roundup(9, 8) == 16 && roundup(0, 3) == 0 && howmany(9, 8) == 2 && powerof2(64) && !powerof2(65),
	   "rounding");
	ok(HZ == sysconf(_SC_CLK_TCK) && NGROUPS == sysconf(_SC_NGROUPS_MAX) && NCARGS == sysconf(_SC_ARG_MAX) &&
	   MAXSYMLINKS == sysconf(_SC_SYMLOOP_MAX) && MAXHOSTNAMELEN == sysconf(_SC_HOST_NAME_MAX) + 1 && NOFILE == getdtablesize(),
	   "sizes are those that sysconf knows");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "variables"))
		return getenv("X") && !strcmp(getenv("X"), "y") && !getenv("PATH") ? 7 : 8;
	errors_of();
	legacy();
	terminals();
	descriptors();
	empty_paths();
	unlocked();
	parameters();
	reads();
	affinity();
	return tap_done();
}
