/* SPDX-License-Identifier: BSD-2-Clause */
/* What the system says of itself, users, and the functions that picolibc lacks. */
#define _GNU_SOURCE
#include <errno.h>
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <mntent.h>
#include <pwd.h>
#include <sched.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <ulimit.h>
#include <unistd.h>
#include <utmpx.h>
#include "test/guest/tap.h"

static void limits(void)
{
	static const struct {
		int name;
		long value;
	} same[] = {
		{ _SC_VERSION, _POSIX_VERSION }, { _SC_THREADS, _POSIX_THREADS }, { _SC_BARRIERS, _POSIX_BARRIERS },
		{ _SC_SPIN_LOCKS, _POSIX_SPIN_LOCKS }, { _SC_SEMAPHORES, _POSIX_SEMAPHORES },
			{ _SC_TIMERS, _POSIX_TIMERS },
		{ _SC_MAPPED_FILES, _POSIX_MAPPED_FILES }, { _SC_MEMLOCK_RANGE, _POSIX_MEMLOCK_RANGE },
		{ _SC_SHARED_MEMORY_OBJECTS, _POSIX_SHARED_MEMORY_OBJECTS }, { _SC_CPUTIME, _POSIX_CPUTIME },
		{ _SC_THREAD_PRIORITY_SCHEDULING, _POSIX_THREAD_PRIORITY_SCHEDULING },
		{ _SC_THREAD_PRIO_INHERIT, _POSIX_THREAD_PRIO_INHERIT },
		{ _SC_THREAD_PRIO_PROTECT, _POSIX_THREAD_PRIO_PROTECT }, { _SC_SPAWN, _POSIX_SPAWN },
		{ _SC_THREAD_PROCESS_SHARED, _POSIX_THREAD_PROCESS_SHARED }, { _SC_JOB_CONTROL, _POSIX_JOB_CONTROL },
		{ _SC_REALTIME_SIGNALS, _POSIX_REALTIME_SIGNALS }, { _SC_MONOTONIC_CLOCK, _POSIX_MONOTONIC_CLOCK },
		{ _SC_ASYNCHRONOUS_IO, _POSIX_ASYNCHRONOUS_IO }, { _SC_MESSAGE_PASSING, _POSIX_MESSAGE_PASSING },
		{ _SC_MEMLOCK, _POSIX_MEMLOCK },
		{ _SC_PRIORITY_SCHEDULING, _POSIX_PRIORITY_SCHEDULING },
			{ _SC_THREAD_CPUTIME, _POSIX_THREAD_CPUTIME },
		{ _SC_IPV6, -1 }, { _SC_PAGESIZE, PAGESIZE }, { _SC_ARG_MAX, ARG_MAX },
			{ _SC_NGROUPS_MAX, NGROUPS_MAX },
		{ _SC_THREAD_KEYS_MAX, PTHREAD_KEYS_MAX }, { _SC_THREAD_STACK_MIN, PTHREAD_STACK_MIN },
		{ _SC_SEM_VALUE_MAX, SEM_VALUE_MAX }, { _SC_RTSIG_MAX, RTSIG_MAX },
		{ _SC_MQ_PRIO_MAX, MQ_PRIO_MAX }, { _SC_XOPEN_SHM, _XOPEN_SHM },
		{ _SC_XOPEN_UNIX, _XOPEN_UNIX }, { _SC_XOPEN_ENH_I18N, _XOPEN_ENH_I18N }, { _SC_XOPEN_CRYPT, _XOPEN_CRYPT },
		{ _SC_RAW_SOCKETS, _POSIX_RAW_SOCKETS }, { _SC_IPV6, _POSIX_IPV6 },
	};
	struct rlimit limit;
	unsigned good = 0;
	char text[4];

	for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (sysconf(same[i].name) == same[i].value)
			good++;
		else
			printf("# sysconf(%d) is %ld, not %ld\n", same[i].name, sysconf(same[i].name), same[i].value);
	ok(good == sizeof(same) / sizeof(same[0]), "sysconf agrees with the headers");
	errno = 0;
	ok(sysconf(-1) == -1 && errno == EINVAL, "a name that is none");
	ok(confstr(_CS_PATH, text, sizeof(text)) > sizeof(text) && strlen(text) == 3 && !confstr(-1, NULL, 0),
	   "confstr");
	ok(!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur >= 20 &&
	   (long)limit.rlim_cur == sysconf(_SC_OPEN_MAX), "getrlimit");
	limit.rlim_cur = limit.rlim_max + 1;
	ok(setrlimit(RLIMIT_NOFILE, &limit) < 0 && errno == EINVAL && getrlimit(99, &limit) < 0 &&
	   errno == EINVAL, "its errors");
}

/* What a child, and its child, have computed is their parent's when it has waited. */
static void children(void)
{
	struct timespec start, now = { 0 };
	struct rusage before, after;
	struct tms was, is;
	pid_t child;

	getrusage(RUSAGE_CHILDREN, &before);
	times(&was);
	child = fork();
	if (!child) {
		int deep = fork();
		clock_gettime(CLOCK_MONOTONIC, &start);
		do
			clock_gettime(CLOCK_MONOTONIC, &now);
		while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 60);
		_exit(deep ? waitpid(deep, NULL, 0) != deep : 0);
	}
	getrusage(RUSAGE_CHILDREN, &after);
	ok(after.ru_utime.tv_usec == before.ru_utime.tv_usec && waitpid(child, NULL, 0) == child, "not before it is waited for");
	getrusage(RUSAGE_CHILDREN, &after);
	times(&is);
	ok((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000 + (after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1000 >=
	   50 && is.tms_cutime - was.tms_cutime >= 5, "times of children");
}

static void times_of_it(void)
{
	struct timespec a, b;
	struct rusage use;
	struct tms tms;

	ok(!clock_gettime(CLOCK_MONOTONIC, &a) && !clock_gettime(CLOCK_MONOTONIC, &b) &&
	   (b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec)), "the monotonic clock");
	ok(clock_gettime(77, &a) < 0 && errno == EINVAL && clock_getres(77, &a) < 0 && errno == EINVAL,
	   "a clock that is none");
	ok(clock_settime(CLOCK_MONOTONIC, &b) < 0 && errno == EINVAL, "that cannot be set");
	ok(times(&tms) != (clock_t)-1 && !getrusage(RUSAGE_SELF, &use) && getrusage(5, &use) < 0 &&
	   errno == EINVAL, "CPU time");
	children();
}

static void users(void)
{
	struct passwd user, *found;
	struct group group, *list;
	char buffer[512], name[32];
	struct utsname system;

	ok((found = getpwuid(0)) && !strcmp(found->pw_name, "root") &&
	   !strcmp(getpwnam("root")->pw_dir, found->pw_dir), "root");
	ok(!getpwnam_r("nobody at all", &user, buffer, sizeof(buffer), &found) && !found, "nobody");
	ok(getpwuid_r(0, &user, buffer, 3, &found) == ERANGE && !found, "no room for it");
	ok(!getgrgid_r(0, &group, buffer, sizeof(buffer), &list) && list == &group &&
	   !strcmp(group.gr_name, "root"), "a group");
	setpwent();
	ok((found = getpwent()) && found->pw_uid == 0, "the first of all");
	endpwent();
	ok(!uname(&system) && !strcmp(system.sysname, "Exo") && !strcmp(system.machine, "x86_64"), "uname");
	ok(!gethostname(name, sizeof(name)) && !strcmp(name, system.nodename) && gethostname(name, 1) < 0 &&
	   errno == ENAMETOOLONG,
	   "gethostname");
	ok(!getlogin_r(name, sizeof(name)) && name[0] && getlogin_r(name, 1) == ERANGE, "getlogin");
}

static int failed(const char *path, int error)
{
	(void)path, (void)error;
	return 1;
}

static void names(void)
{
	static const char *const made[] = { "/dev/shm/d", "/dev/shm/d/b.c", "/dev/shm/d/a.c",
					   "/dev/shm/d/.x.c", "/dev/shm/d/a.h" };
	glob_t found;

	mkdir(made[0], 0700);
	for (int i = 1; i < 5; i++)
		close(open(made[i], O_CREAT | O_WRONLY, 0600));
	ok(!glob("/dev/shm/d/*.c", 0, failed, &found) && found.gl_pathc == 2 && !strcmp(found.gl_pathv[0], made[2]) &&
	   !strcmp(found.gl_pathv[1], made[1]) && !found.gl_pathv[2], "glob: in order, none that is hidden");
	ok(!glob("/dev/s*m/[d]/a.?", GLOB_APPEND, failed, &found) && found.gl_pathc == 4,
	   "more of them, from two patterns");
	globfree(&found);
	ok(glob("/dev/shm/d/z*", 0, failed, &found) == GLOB_NOMATCH, "none");
	globfree(&found);
	ok(!glob("/dev/shm/d/z*", GLOB_NOCHECK, failed, &found) &&
	   !strcmp(found.gl_pathv[0], "/dev/shm/d/z*"), "the pattern itself");
	globfree(&found);
	ok(!glob("/dev/shm/[d]", GLOB_MARK, failed, &found) && !strcmp(found.gl_pathv[0], "/dev/shm/d/"),
	   "a directory");
	globfree(&found);
	for (int i = 4; i > 0; i--)
		unlink(made[i]);
	rmdir(made[0]);
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void functions(void)
{
	int table[8] = { 5, 3, 9 }, key = 9, new = 7;
	char state[128], *text, *old;
	struct { void *next, *prev; } a, b;
	size_t count = 3, bytes;
	long drawn[3];
	FILE *stream;

	ok(lfind(&key, table, &count, sizeof(int), compare) == &table[2] &&
	   !lfind(&new, table, &count, sizeof(int), compare) &&
	   lsearch(&new, table, &count, sizeof(int), compare) == &table[3] && count == 4, "lfind, lsearch");
	insque(&a, NULL);
	insque(&b, &a);
	ok(a.next == &b && b.prev == &a && !b.next && (remque(&b), !a.next), "insque, remque");
	srandom(7);
	for (int i = 0; i < 3; i++)
		drawn[i] = random();
	old = initstate(7, state, sizeof(state));
	ok(random() == drawn[0] && random() == drawn[1], "random: the same seed, the same numbers");
	setstate(old);
	random();
	setstate(state);
	ok(random() == drawn[2], "and states go on");
	stream = open_memstream(&text, &bytes);
	ok(stream && fprintf(stream, "%d-%s", 12, "ab") == 5 && !fflush(stream) && bytes == 5 &&
	   !strcmp(text, "12-ab") &&
	   !fclose(stream), "open_memstream");
	free(text);
	ok(strerror_r(ENOENT, state, sizeof(state)) == 0 && !strcmp(state, strerror(ENOENT)) &&
	   strerror_r(ENOENT, state, 3) == ERANGE, "strerror_r is POSIX' one");
	ok(!system(NULL) == (access("/bin/sh", X_OK) != 0), "is there a shell?");
}

/* What a file has in it. */
static bool holds(const char *path, const char *wanted)
{
	char text[32] = { 0 };
	FILE *stream = fopen(path, "r");
	size_t bytes = stream ? fread(text, 1, sizeof(text) - 1, stream) : 0;

	if (stream)
		fclose(stream);
	return bytes == strlen(wanted) && !strcmp(text, wanted);
}

/* All streams are flushed at once, and at an exit; who only reads keeps what it has read ahead. */
static void streams(void)
{
	FILE *out[3], *in;
	int status = -1;
	pid_t pid;

	out[0] = fopen("/tmp/stream0", "w");
	out[1] = fopen("/tmp/stream1", "w");
	out[2] = fopen("/tmp/stream2", "w+");
	ok(out[0] && out[1] && out[2] && fputs("zero", out[0]) >= 0 && fputs("one", out[1]) >= 0 &&
	   fputs("two", out[2]) >= 0 && holds("/tmp/stream0", ""), "three streams with something in them");
	fclose(out[1]);
	ok(!fflush(NULL) && holds("/tmp/stream0", "zero") && holds("/tmp/stream1", "one") &&
	   holds("/tmp/stream2", "two"),
	   "fflush(NULL) writes them all");
	in = fopen("/tmp/stream0", "r");
	ok(in && getc(in) == 'z' && !fflush(NULL) && getc(in) == 'e', "and leaves alone what is read");
	fclose(in);
	fclose(out[2]);
	fputs("more", out[0]);
	pid = fork();
	if (!pid)
		exit(0);
	ok(pid > 0 && waitpid(pid, &status, 0) == pid && !status && holds("/tmp/stream0", "zeromore"),
	   "exit() flushes what nobody closed");
	ok(fputs("x", out[0]) >= 0 && !fclose(out[0]), "fclose");
	out[1] = fopen("/dev/full", "w");
	ok(out[1] && fputs("lost", out[1]) >= 0 && fflush(NULL) == EOF, "an error is told");
	fclose(out[1]);
	ok(!fflush(NULL), "with none of them open");
	for (int i = 0; i < 3; i++) {
		char name[] = "/tmp/stream0";

		name[11] = (char)('0' + i);
		unlink(name);
	}
}

/* The end of a file stays one until it is cleared; a name that tmpnam makes; what others do to the descriptor is seen. */
static void ends(void)
{
	char name[L_tmpnam], text[8];
	FILE *file, *more;

	ok(tmpnam(name) == name && !strncmp(name, P_tmpdir "/", 5) && access(name, F_OK) < 0, "tmpnam: %s", name);
	more = fopen(name, "a");
	file = fopen(name, "r");
	if (!ok(more && file, "a file by that name"))
		return;
	ok(getc(file) == EOF && feof(file), "it is at its end");
	ok(fputs("more", more) >= 0 && !fflush(more), "it grows");
	ok(getc(file) == EOF && fread(text, 1, 1, file) == 0 && !fgets(text, sizeof(text), file) && feof(file),
	   "the end stays the end");
	clearerr(file);
	ok(getc(file) == 'm', "until it is cleared");
	ok(ungetc('x', file) == 'x' && getc(file) == 'x' && fread(text, 1, 3, file) == 3 && getc(file) == EOF &&
	   ungetc('y', file) == 'y' && !feof(file) && getc(file) == 'y', "or something is given back");
	fclose(file);
	file = fopen(name, "r+");
	ok(file && lseek(fileno(file), 2, SEEK_SET) == 2 && ftell(file) == 2, "ftell knows where the descriptor was put");
	fclose(file);
	fclose(more);
	unlink(name);
}

/* Memory as a file. */
static void memory_files(void)
{
	char bytes[8] = "abcdefg", two[2];
	FILE *file = fmemopen(bytes, sizeof(bytes), "w");

	ok(file && fputs("12345", file) >= 0 && ftell(file) == 5 && !strcmp(bytes, "12345"),
	   "fmemopen: written, and ended by a null byte");
	rewind(file);
	ok(fputs("ab", file) >= 0 && !fflush(file) && !fseek(file, 0, SEEK_END) && ftell(file) == 5, "its end stays");
	ok(!fclose(file) && !strcmp(bytes, "ab345"), "and so does what is behind: %s", bytes);
	file = fmemopen(bytes, sizeof(bytes), "a+");
	ok(file && ftell(file) == 5 && fputs("6", file) >= 0 && !fseek(file, 0, SEEK_SET) && getc(file) == 'a', "at its end");
	ok(!fseek(file, 0, SEEK_SET) && fputs("7", file) >= 0 && !strcmp(bytes, "ab34567"), "always: %s", bytes);
	ok(fputs("8", file) >= 0 && (fputs("9", file) == EOF || fflush(file) == EOF) && errno == ENOSPC && bytes[7] == '8', "ENOSPC");
	ok(fseek(file, 9, SEEK_SET) < 0 && fseek(file, -1, SEEK_CUR) == 0 && fseek(file, -8, SEEK_CUR) < 0 && errno == EINVAL,
	   "EINVAL: beyond it");
	fclose(file);
	file = fmemopen(bytes, 3, "r");
	ok(file && putc('x', file) == EOF && fread(two, 1, 2, file) == 2 && getc(file) == '3' && getc(file) == EOF, "read");
	fclose(file);
	file = fmemopen(NULL, 4, "w+");
	ok(file && fputs("own", file) >= 0 && !fseek(file, 1, SEEK_SET) && getc(file) == 'w', "memory of its own");
	fclose(file);
	file = fmemopen(NULL, 0, "r");
	ok(file && getc(file) == EOF && feof(file), "of no bytes");
	fclose(file);
	ok(!fmemopen(bytes, 8, "x") && errno == EINVAL, "EINVAL: no mode");
}

/* putenv's string is itself in the environment. */
static void environment(void)
{
	static char text[40] = "EXO_PUT=one";
	char name[20];
	unsigned good = 0;

	ok(!putenv(text) && !strcmp(getenv("EXO_PUT"), "one"), "putenv");
	strcpy(text, "EXO_PUT=two");
	ok(!strcmp(getenv("EXO_PUT"), "two"), "changed with its string");
	strcpy(text, "EXO_OTHER=three");
	ok(!getenv("EXO_PUT") && !strcmp(getenv("EXO_OTHER"), "three"), "its name, too");
	ok(!setenv("EXO_OTHER", "four", 0) && !strcmp(getenv("EXO_OTHER"), "three"), "setenv leaves it");
	ok(!setenv("EXO_OTHER", "four", 1) && !strcmp(getenv("EXO_OTHER"), "four") && !strcmp(text, "EXO_OTHER=three"),
	   "or replaces it");
	ok(!unsetenv("EXO_OTHER") && !getenv("EXO_OTHER") && !unsetenv("EXO_OTHER"), "unsetenv");
	ok(!putenv(text) && !putenv((char *)"EXO_OTHER") && !getenv("EXO_OTHER"), "putenv without a value");
	ok(setenv("A=B", "", 1) < 0 && errno == EINVAL && setenv("", "", 1) < 0 && unsetenv("A=B") < 0 && errno == EINVAL,
	   "EINVAL: no names");
	for (int i = 0; i < 300; i++) {
		sprintf(name, "EXO_%d", i);
		good += !setenv(name, name, 1) && !setenv(name, name + 1, 1);
	}
	for (int i = 0; i < 300; i++) {
		sprintf(name, "EXO_%d", i);
		good += getenv(name) && !strcmp(getenv(name), name + 1) && !unsetenv(name) && !getenv(name);
	}
	ok(good == 600 && !setenv("EXO_KEPT", "1", 1), "many come and go: %u", good);
	pid_t pid = fork();
	if (!pid)
		_exit(clearenv() || getenv("EXO_KEPT") || setenv("A", "b", 1) || strcmp(getenv("A"), "b"));
	int status = -1;
	ok(waitpid(pid, &status, 0) == pid && !status, "clearenv, and from there");
}

/* With EXO_FAULTS a process that an exception ends says which on its standard error; else it is silent. */
static size_t fault(bool told, char *text, size_t size)
{
	int *volatile nowhere = (int *)0x123;
	int end[2], status;
	size_t count = 0;
	ssize_t got;
	pid_t pid;

	if (pipe(end))
		return 0;
	pid = fork();
	if (!pid) {
		dup2(end[1], STDERR_FILENO);
		if (told)
			setenv("EXO_FAULTS", "1", 1);
		*nowhere = 1;
		_exit(0);
	}
	close(end[1]);
	while (count < size - 1 && (got = read(end[0], text + count, size - 1 - count)) > 0)
		count += (size_t)got;
	text[count] = '\0';
	close(end[0]);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? count : size;
}

static void faults(void)
{
	char text[1024] = "";

	ok(!fault(false, text, sizeof(text)), "a page fault ends a process silently");
	ok(fault(true, text, sizeof(text)) < sizeof(text) && strstr(text, "page fault: write 0x123 at 0x") &&
	   strstr(text, "\n  called from 0x"), "or with a report");
}

/* RLIMIT_DATA and RLIMIT_AS, also in a child and after an exec. */
static void memory_limits(void)
{
	const struct rlimit small = { 24 << 20, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	int status = 0;
	void *most, *map;
	pid_t child;

	ok(setrlimit(RLIMIT_DATA, &small) == 0, "24 MiB");
	most = malloc(32 << 20);
	map = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, anonymous, -1, 0);
	ok(!most && map == MAP_FAILED && errno == ENOMEM, "do not hold 32");
	map = mmap(NULL, 32 << 20, PROT_READ, anonymous, -1, 0);
	ok(map != MAP_FAILED, "but what is only read is none of it");
	ok(mprotect(map, 32 << 20, PROT_READ | PROT_WRITE) == -1 && errno == ENOMEM, "until it shall be written");
	ok(!mprotect(map, 8 << 20, PROT_READ | PROT_WRITE) && !mprotect(map, 8 << 20, PROT_READ | PROT_WRITE), "a part of it can");
	ok(mprotect((char *)map + (8 << 20), 20 << 20, PROT_WRITE) == -1 && errno == ENOMEM, "and counts");
	ok(!mprotect(map, 8 << 20, PROT_READ) && !mprotect((char *)map + (8 << 20), 20 << 20, PROT_WRITE), "until it is read only again");
	ok(munmap(map, 32 << 20) == 0, "and goes");
	child = fork();
	if (child == 0)
		_exit(malloc(32 << 20) ? 1 : 0);
	ok(waitpid(child, &status, 0) == child && status == 0, "nor in a child");
	ok(setrlimit(RLIMIT_DATA, &none) == 0 && setrlimit(RLIMIT_AS, &small) == 0, "24 MiB of addresses");
	ok(mmap(NULL, 32 << 20, PROT_READ, anonymous, -1, 0) == MAP_FAILED && errno == ENOMEM, "are not enough for 32, either");
	ok(setrlimit(RLIMIT_AS, &none) == 0, "without a limit");
	most = malloc(20 << 20);
	ok(most != NULL, "there is enough");
	free(most);
}

static void mounts(void)
{
	FILE *table = setmntent("/proc/mounts", "r");
	const struct mntent *entry;
	int root = 0, tmp = 0;

	while (table && (entry = getmntent(table)) != NULL) {
		root += !strcmp(entry->mnt_dir, "/") && *entry->mnt_type;
		tmp += !strcmp(entry->mnt_dir, "/tmp");
	}
	ok(root == 1 && tmp == 1 && endmntent(table) == 1, "what is mounted");
	ok(!setmntent("/tmp/none", "r") && errno == ENOENT, "a table that is not there");
}

static void scheduling(void)
{
	struct sched_param parameter = { 9 };
	struct timespec interval = { 0 };
	cpu_set_t cpus, none;

	ok(sched_getscheduler(0) == SCHED_OTHER && sched_getscheduler(getpid()) == SCHED_OTHER &&
	   !sched_getparam(getppid(), &parameter) && !parameter.sched_priority, "processes are SCHED_OTHER");
	ok(sched_getscheduler(29999) < 0 && errno == ESRCH && sched_getparam(29999, &parameter) < 0 && errno == ESRCH &&
	   sched_rr_get_interval(29999, &interval) < 0 && errno == ESRCH && sched_getscheduler(-1) < 0 && errno == EINVAL,
	   "nobody's: ESRCH; -1: EINVAL");
	ok(!sched_rr_get_interval(0, &interval) && interval.tv_nsec == 5000000 && !interval.tv_sec, "a thread's slice");
	ok(!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) == sysconf(_SC_NPROCESSORS_ONLN) &&
	   CPU_ISSET(0, &cpus) && !CPU_ISSET(1000, &cpus) && !CPU_ISSET(100000, &cpus), "the CPUs");
	ok(sched_getaffinity(0, 3, &cpus) < 0 && errno == EINVAL && sched_getaffinity(29999, sizeof(cpus), &cpus) < 0 &&
	   errno == ESRCH, "EINVAL, ESRCH");
	CPU_ZERO(&none);
	CPU_SET(70, &none);
	CPU_SET(2000, &none);
	ok(CPU_COUNT(&none) == 1 && !CPU_EQUAL(&none, &cpus) && CPU_ISSET(70, &none), "sets");
	CPU_CLR(70, &none);
	ok(!CPU_COUNT(&none), "cleared");
}

static bool zone_is(const struct tm *tm, int hour, long offset, const char *zone)
{
	if (tm->tm_hour == hour && tm->tm_gmtoff == offset && !strcmp(tm->tm_zone, zone))
		return true;
	printf("# %d h, %ld, %s\n", tm->tm_hour, tm->tm_gmtoff, tm->tm_zone);
	return false;
}

/* What the zone of a TZ without an offset is called; all are Greenwich's. */
static bool named(const char *given, const char *wanted)
{
	time_t now = 1700000000;
	struct tm tm;
	char text[32];

	setenv("TZ", given, 1);
	tzset();
	return !strcmp(tzname[0], wanted) && !strcmp(tzname[1], wanted) && !timezone && !daylight && localtime_r(&now, &tm) &&
	    tm.tm_hour == 22 && tm.tm_gmtoff == 0 && !strcmp(tm.tm_zone, wanted) && strftime(text, sizeof(text), "%Z %z", &tm) &&
	    !strncmp(text, wanted, strlen(wanted)) && !strcmp(text + strlen(wanted), " +0000") && mktime(&tm) == now;
}

static void zones(void)
{
	time_t winter = 1700000000, summer = 1720000000, before = -1;	/* 22:13:20 UTC, 09:46:40 UTC */
	struct tm tm, guard[2];
	char text[26];

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	ok(zone_is(localtime(&winter), 23, 3600, "CET") && zone_is(localtime(&summer), 11, 7200, "CEST") &&
	   zone_is(gmtime(&summer), 9, 0, "GMT"), "a time knows its zone");
	memset(guard, 0x55, sizeof(guard));
	localtime_r(&winter, &guard[0]);
	gmtime_r(&winter, &guard[0]);
	ok(((unsigned char *)&guard[1])[0] == 0x55 && !strcmp(ctime_r(&winter, text), "Tue Nov 14 23:13:20 2023\n"),
	   "and no more");
	tm = *localtime(&summer);
	tm.tm_mon += 6;
	tm.tm_isdst = -1;
	ok(mktime(&tm) == summer + 184 * 86400L + 3600 && tm.tm_gmtoff == 3600 && !strcmp(tm.tm_zone, "CET"),
	   "mktime finds it");
	tm = *gmtime(&summer);
	ok(timegm(&tm) == summer && !tm.tm_gmtoff && localtime_r(&before, &tm) && tm.tm_gmtoff == 3600 && mktime(&tm) == -1 &&
	   tm.tm_gmtoff == 3600, "timegm; before 1970");
	ok(strptime("2023-11-14 -0530", "%Y-%m-%d %z", &tm) && tm.tm_gmtoff == -(5 * 3600 + 1800), "strptime reads it");
	ok(named("GMT", "GMT") && named("UTC", "UTC") && named(":Zulu", "Zulu") && named("", "UTC") && named("AB", "UTC") &&
	   named("Europe/Berlin", "UTC") && named("ABCDEFGHIJ", "ABCDEFGHIJ") && named("ABCDEFGHIJK", "UTC") && named("XYZ0", "XYZ"),
	   "a zone without an offset has a name");
	unsetenv("TZ");
	tzset();
	ok(!strcmp(tzname[0], "GMT"), "and so has none");
}

static void accounts(void)
{
	struct utmpx root = { .ut_type = USER_PROCESS, .ut_pid = 7, .ut_line = "pts/0", .ut_id = "p0", .ut_user = "root" };
	struct utmpx boot = { .ut_type = BOOT_TIME }, end = { .ut_type = DEAD_PROCESS, .ut_id = "p0" }, none = { 0 };
	struct utmpx second = { .ut_type = LOGIN_PROCESS, .ut_line = "pts/1", .ut_id = "p1" };
	const struct utmpx *is;
	int count = 0;

	unlink(UTMPX_FILE);
	setutxent();
	ok(!getutxent() && !getutxid(&root) && !pututxline(&none) && errno == EINVAL && !getutxid(&none) && errno == EINVAL,
	   "nobody is logged in");
	ok(pututxline(&boot) && pututxline(&root) && pututxline(&second), "two are");
	setutxent();
	while ((is = getutxent()))
		count++;
	setutxent();
	ok(count == 3 && (is = getutxid(&boot)) && is->ut_type == BOOT_TIME && (is = getutxid(&end)) && is->ut_pid == 7 &&
	   !getutxid(&end), "found by what they are, from where one is");
	setutxent();
	ok((is = getutxline(&second)) && !strcmp(is->ut_id, "p1") && !getutxline(&second), "and by their lines");
	ok(pututxline(&end) && (is = getutxent()) && !strcmp(is->ut_id, "p1"), "one goes, in its place");
	setutxent();
	ok(!getutxline(&root) && (endutxent(), is = getutxent()) && is->ut_type == BOOT_TIME, "it has gone");
	endutxent();
	unlink(UTMPX_FILE);
}

static void small(void)
{
	gid_t groups[2] = { 0 };
	int room = 2, none = 0;
	pid_t pid;

	ok(getgrouplist("nobody that is", 7, groups, &room) == 1 && room == 1 && groups[0] == 7 &&
	   getgrouplist("nobody that is", 7, groups, &none) == -1 && none == 1, "a user's groups");
	setenv("WHAT", "that", 1);
	pid = fork();
	if (pid == 0)
		_exit(strcmp(secure_getenv("WHAT"), "that") || seteuid(500) || secure_getenv("WHAT") != NULL);
	ok(waitpid(pid, &room, 0) == pid && !room, "with other rights there are no variables");
	pid = fork();
	if (pid == 0)
		_exit(ulimit(UL_GETFSIZE) != LONG_MAX || ulimit(UL_SETFSIZE, 4L) != 4 || ulimit(UL_GETFSIZE) != 4 ||
		      ulimit(3) != -1 || errno != EINVAL || setuid(500) || ulimit(UL_SETFSIZE, 5L) != -1 || errno != EPERM);
	ok(waitpid(pid, &room, 0) == pid && !room, "ulimit");
}

int main(void)
{
	small();
	accounts();
	limits();
	scheduling();
	zones();
	times_of_it();
	users();
	names();
	functions();
	streams();
	ends();
	memory_files();
	environment();
	faults();
	memory_limits();
	mounts();
	return tap_done();
}
