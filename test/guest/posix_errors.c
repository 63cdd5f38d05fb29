/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which error a call ends with, family by family: what POSIX lists, and where it leaves a choice what Linux does. A line
 * that is wrong is printed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/tap.h"

static bool good = true;
static char longname[NAME_MAX + 2], longpath[PATH_MAX + 2];
static int file, reader, writer, folder, ends[2];

static void expect(long result, int error, const char *what)
{
	int was = errno;

	if (result == -1 ? was == error : !error)
		return;
	printf("# %s: %ld, errno %d, not %d\n", what, result, was, error);
	good = false;
}

#define E(error, call) (errno = 0, expect((long)(call), error, #call))
#define IS(value, call) (good = (call) == (value) ? good : (printf("# %s is not %s\n", #call, #value), false))

static void told(const char *what)
{
	ok(good, "%s", what);
	good = true;
}

/* As a user without rights, in a child. */
static void as_user(void (*work)(void))
{
	pid_t child = fork();
	int status = -1;

	if (!child) {
		good = !setgroups(0, NULL) && !setresgid(1000, 1000, 1000) && !setresuid(1000, 1000, 1000);
		work();
		_exit(!good);
	}
	good = waitpid(child, &status, 0) == child && status == 0 && good;
}

static void prepare(void)
{
	memset(longname, 'n', NAME_MAX + 1);
	for (int i = 0; i < PATH_MAX + 1; i++)
		longpath[i] = i % 2 ? 'p' : '/';
	umask(022);
	good = !mkdir("/tmp/errors", 0777) && !chdir("/tmp/errors") && !chmod(".", 0777) && !mkdir("d", 0755) &&
		!mkdir("d/e", 0755) && !symlink("two", "one") && !symlink("one", "two") && !symlink("none", "dangling") &&
		!symlink("f", "link") && !pipe(ends);
	file = open("f", O_CREAT | O_RDWR, 0644);
	reader = open("f", O_RDONLY);
	writer = open("f", O_WRONLY);
	folder = open("d", O_RDONLY);
	told("a place to work");
}

static void paths(void)
{
	struct stat status;

	for (int i = 0; i < 4; i++) {
		static const struct {
			const char *path;
			int error;
		} wrong[] = { { longname, ENAMETOOLONG }, { longpath, ENAMETOOLONG }, { "one/x", ELOOP }, { "f/x", ENOTDIR } };
		const char *path = wrong[i].path;
		int error = wrong[i].error;

		E(error, open(path, O_RDONLY)), E(error, stat(path, &status)), E(error, access(path, F_OK));
		E(error, chmod(path, 0600)), E(error, chown(path, 0, 0)), E(error, mkdir(path, 0700));
		E(error, rmdir(path)), E(error, unlink(path)), E(error, link(path, "x")), E(error, link("f", path));
		E(error, rename(path, "x")), E(error, symlink("x", path)), E(error, mkfifo(path, 0600));
		E(error, truncate(path, 0)), E(error, chdir(path)), E(error, utimes(path, NULL));
		E(error, readlink(path, (char[8]){ 0 }, 8)), E(error, execl(path, "x", NULL));
	}
	E(ENOENT, open("", O_RDONLY)), E(ENOENT, unlink("")), E(ENOENT, rename("f", "")), E(ENOENT, mkdir("", 0700));
	E(ELOOP, open("link", O_NOFOLLOW)), E(ENOTDIR, open("f", O_DIRECTORY)), E(EISDIR, open("d", O_WRONLY));
	E(EEXIST, open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600)), E(EISDIR, open("new/", O_CREAT | O_RDWR, 0600));
	E(EBADF, openat(-1, "x", O_RDONLY)), E(ENOTDIR, openat(file, "x", O_RDONLY));
	told("paths that lead nowhere");
	E(EINVAL, rmdir("d/.")), E(ENOTEMPTY, rmdir("d/e/..")), E(ENOTDIR, rmdir("f")), E(EISDIR, unlink("d"));
	E(EINVAL, rename("d", "d/e/x")), E(ENOTEMPTY, rename("d/e", "d")), E(EISDIR, rename("f", "d"));
	E(ENOTDIR, rename("d", "f")), E(EBUSY, rename(".", "x")), E(EXDEV, link("/bin", "x")), E(EPERM, link("d", "x"));
	E(EINVAL, unlinkat(AT_FDCWD, "d", 9999)), E(EINVAL, readlink("f", (char[8]){ 0 }, 8));
	E(EINVAL, truncate("f", -1)), E(EISDIR, truncate("d", 0)), E(EINVAL, faccessat(AT_FDCWD, "f", 99, 0));
	told("names that cannot be changed so");
}

static volatile sig_atomic_t caught;

static void note(int number)
{
	caught = number;
}

/* Paths that cannot be read, or not to their end: no signal, and the call is over. */
static void unreadable(void)
{
	char *pages = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *behind = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE, file, 0);
	const char *const wrong[] = { NULL, (char *)0xdeadc0de, (char *)0x8000000000000000, pages + 4096, pages + 4095,
		pages + 4096 - 70, behind + 2 * 4096 };
	const struct sigaction noted = { .sa_handler = note };
	struct sigaction segv, bus;
	struct stat status;

	memset(pages, 'x', 4096);
	sigaction(SIGSEGV, &noted, &segv);
	sigaction(SIGBUS, &noted, &bus);
	E(0, mprotect(pages + 4096, 4096, PROT_NONE));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *volatile path = wrong[i];

		E(EFAULT, open(path, O_RDONLY)), E(EFAULT, stat(path, &status)), E(EFAULT, access(path, F_OK));
		E(EFAULT, chmod(path, 0600)), E(EFAULT, chown(path, 0, 0)), E(EFAULT, mkdir(path, 0700));
		E(EFAULT, rmdir(path)), E(EFAULT, unlink(path)), E(EFAULT, link(path, "x")), E(EFAULT, link("f", path));
		E(EFAULT, rename(path, "x")), E(EFAULT, rename("f", path)), E(EFAULT, symlink("x", path));
		E(EFAULT, symlink(path, "x")), E(EFAULT, mkfifo(path, 0600)), E(EFAULT, truncate(path, 0));
		E(EFAULT, chdir(path)), E(EFAULT, readlink(path, (char[8]){ 0 }, 8)), E(EFAULT, utimes(path, NULL));
		E(EFAULT, lchown(path, 0, 0)), E(0, stat("f", &status));
	}
	strcpy(pages + 4096 - 2, "f");
	E(0, stat(pages + 4096 - 2, &status));
	IS(0, caught);
	E(0, munmap(pages, 4 * 4096)), E(0, munmap(behind, 3 * 4096));
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	told("paths that are not in memory");
}

static void without_rights(void)
{
	struct stat status;

	E(EACCES, unlink("d/e")), E(EACCES, rmdir("d/e")), E(EACCES, mkdir("d/x", 0700)), E(EACCES, rename("f", "d/f"));
	E(EPERM, chmod("f", 0600)), E(EPERM, chown("f", 1000, 1000)), E(EACCES, open("f", O_RDWR));
	E(EACCES, utimes("f", NULL)), E(EPERM, utimes("f", (struct timeval[2]){ { 1, 1 }, { 1, 1 } }));
	E(EACCES, truncate("f", 0)), E(EPERM, mknod("device", S_IFCHR | 0600, 0)), E(EPERM, unlink("sticky/f"));
	E(EPERM, rename("sticky/f", "x")), E(EPERM, setuid(0)), E(EPERM, setgroups(0, NULL));
	E(EPERM, kill(getppid(), 0));
	E(EPERM, clock_settime(CLOCK_REALTIME, &(struct timespec){ 1, 0 }));
	E(EPERM, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	E(0, close(open("group/f", O_CREAT | O_RDWR, 02755))), E(0, stat("group/f", &status));
	IS(0755, status.st_mode & 07777);
	IS(77u, status.st_gid);
}

static void rights(void)
{
	E(0, mkdir("sticky", 0777)), E(0, chmod("sticky", 01777));
	E(0, close(open("sticky/f", O_CREAT | O_RDWR, 0666)));
	E(0, mkdir("group", 0777)), E(0, chown("group", 0, 77)), E(0, chmod("group", 02777));
	as_user(without_rights);
	told("a user without rights; a file of a group that is not its maker's has no set-group-id");
}

static void descriptors(void)
{
	struct iovec two[2] = { { "ab", 2 }, { "cd", (size_t)-1 } };
	char text[8];

	E(EBADF, dup(-1)), E(EBADF, dup2(file, 100000000)), E(EINVAL, dup3(file, file, 0));
	E(EINVAL, fcntl(file, F_DUPFD, -1));
	E(EINVAL, fcntl(file, 9999)), E(EBADF, read(writer, text, 1)), E(EBADF, write(reader, text, 1));
	E(EISDIR, read(folder, text, 1));
	E(ESPIPE, lseek(ends[0], 0, SEEK_CUR)), E(EINVAL, lseek(file, -1, SEEK_SET)), E(EINVAL, lseek(file, 0, 77));
	E(ENXIO, lseek(file, 5000, SEEK_DATA)), E(EINVAL, pread(file, text, 1, -1));
	E(ESPIPE, pwrite(ends[1], text, 1, 0));
	E(EINVAL, readv(file, two, -1)), E(EINVAL, writev(file, two, 2)), E(EINVAL, readv(file, two, IOV_MAX + 1));
	E(EBADF, readv(-1, two, 0)), E(EBADF, writev(reader, two, 0));
	IS(0, readv(file, two, 0));
	IS(0, writev(file, two, 0));
	IS(0, preadv(file, two, 0, 0));
	E(EINVAL, ftruncate(reader, 0)), E(EINVAL, ftruncate(ends[1], 0)), E(EINVAL, fsync(ends[0]));
	E(EINVAL, flock(file, 99));
	E(EINVAL, poll(NULL, (nfds_t)-1, 0));
	E(EINVAL, utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 1, 1000000000 }, { 1, 0 } }, 0));
	told("descriptors that do not fit");
}

static void no_reader(void)
{
	struct pollfd end;
	int pair[2];

	E(0, pipe(pair)), E(0, close(pair[0]));
	end = (struct pollfd){ .fd = pair[1], .events = POLLOUT };
	IS(1, poll(&end, 1, 0));
	IS(POLLOUT | POLLERR, end.revents);
	end.events = 0;
	IS(1, poll(&end, 1, 0));
	IS(POLLERR, end.revents);
	E(EPIPE, write(pair[1], "x", 1)), E(0, close(pair[1]));
	told("a pipe without a reader is ready: to fail");
}

static void locks(void)
{
	struct flock late = { .l_type = F_WRLCK, .l_start = 20, .l_len = -5 }, any = { .l_type = F_WRLCK };
	struct flock early = { .l_type = F_RDLCK, .l_start = 3, .l_len = 4 };
	int status = -1;
	pid_t child;

	E(0, fcntl(file, F_SETLK, &late)), E(0, fcntl(file, F_SETLK, &early));
	child = fork();
	if (!child)
		_exit(fcntl(file, F_GETLK, &any) || any.l_type != F_RDLCK || any.l_start != 3 || any.l_len != 4 ||
		      any.l_pid != getppid());
	IS(child, waitpid(child, &status, 0));
	IS(0, status);
	any.l_type = 99;
	E(EINVAL, fcntl(file, F_SETLK, &any));
	any.l_type = F_WRLCK;
	E(EBADF, fcntl(reader, F_SETLK, &any));
	any.l_type = F_RDLCK;
	E(EBADF, fcntl(writer, F_SETLK, &any));
	told("F_GETLK tells the first lock of the file that is in the way");
}

static void memory(void)
{
	char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	E(EINVAL, mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	E(EBADF, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0));
	E(EINVAL, mmap(NULL, 4096, PROT_READ, 0, file, 0));
	E(EINVAL, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 100));
	E(EACCES, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, writer, 0));
	E(EACCES, mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, reader, 0));
	E(ENODEV, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, folder, 0));
	E(ENOMEM, mmap(NULL, LONG_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	E(0, munmap(at + 4096, 4096)), E(0, munmap(at + 4096, 4096)), E(EINVAL, munmap(at, 0));
	E(EINVAL, munmap(at + 1, 4096));
	E(EINVAL, mprotect(at + 1, 4096, PROT_READ)), E(ENOMEM, mprotect(at, 8192, PROT_READ));
	E(ENOMEM, mlock(at, 8192));
	E(EINVAL, msync(at, 4096, MS_SYNC | MS_ASYNC)), E(ENOMEM, msync(at, 8192, MS_SYNC)), E(0, munmap(at, 4096));
	told("memory that is not there, or not so");
}

static void processes(void)
{
	siginfo_t info;
	int status;

	E(ECHILD, wait(&status)), E(EINVAL, waitpid(-1, &status, 0x10000)), E(ECHILD, waitpid(99999, &status, 0));
	E(EINVAL, waitid(P_ALL, 0, &info, 0)), E(EINVAL, waitid((idtype_t)99, 0, &info, WEXITED));
	E(ECHILD, waitid(P_PID, 99999, &info, WEXITED)), E(ESRCH, kill(99999, 0)), E(EINVAL, kill(getpid(), 999));
	E(EINVAL, raise(999)), E(EINVAL, sigaction(SIGKILL, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL));
	E(ESRCH, setpgid(99999, 0)), E(EINVAL, setpgid(0, -1)), E(EPERM, setpgid(0, 99999)), E(ESRCH, getsid(99999));
	E(EACCES, execl("d", "x", NULL)), E(EACCES, execl("f", "x", NULL)), E(ENOENT, execl("none", "x", NULL));
	E(EINVAL, nanosleep(&(struct timespec){ 0, 1000000000 }, NULL));
	E(EINVAL, clock_gettime(999, &(struct timespec){ 0 }));
	E(EINVAL, setitimer(99, &(struct itimerval){ { 0, 0 }, { 1, 0 } }, NULL));
	E(EINVAL, setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 1000000 } }, NULL));
	told("processes, signals and clocks that there are not");
}

static void sockets(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, name;
	struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "none" };
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), un = socket(AF_UNIX, SOCK_STREAM, 0);
	int pair[2], value;
	socklen_t bytes = sizeof(value), bad = (socklen_t)-1;

	E(EAFNOSUPPORT, socket(0, SOCK_STREAM, 0)), E(EAFNOSUPPORT, socket(99, SOCK_STREAM, 0));
	E(EINVAL, socket(AF_INET, 75, 0));
	E(EINVAL, socket(AF_UNIX, 0, 0)), E(EINVAL, socketpair(AF_UNIX, 75, 0, pair));
	E(ESOCKTNOSUPPORT, socket(AF_UNIX, SOCK_RDM, 0));
	E(EPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	E(EOPNOTSUPP, socketpair(AF_INET, SOCK_STREAM, 0, pair));
	E(ENOTSOCK, bind(file, (void *)&here, sizeof(here))), E(EBADF, listen(-1, 1));
	E(EINVAL, bind(tcp, (void *)&here, 3));
	E(0, bind(tcp, (void *)&here, sizeof(here))), E(EINVAL, bind(tcp, (void *)&here, sizeof(here)));
	E(EOPNOTSUPP, listen(udp, 1));
	E(EINVAL, accept(tcp, NULL, NULL)), E(ENOTCONN, getpeername(tcp, (void *)&name, &bytes)), E(0, listen(tcp, 1));
	E(ENOENT, connect(un, (void *)&local, sizeof(local))), E(EDESTADDRREQ, send(udp, "x", 1, 0));
	E(ENOTCONN, recv(tcp, &value, 1, 0));
	E(EINVAL, getsockname(tcp, (void *)&name, &bad)), E(EINVAL, getsockopt(tcp, SOL_SOCKET, SO_TYPE, &value, &bad));
	E(EINVAL, recvfrom(udp, &value, 1, MSG_DONTWAIT, (void *)&name, &bad));
	E(EINVAL, accept(tcp, (void *)&name, &bad));
	E(ENOPROTOOPT, getsockopt(tcp, SOL_SOCKET, 9999, &value, &bytes));
	E(EINVAL, setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &value, 0));
	E(EINVAL, shutdown(tcp, 99)), E(EMSGSIZE, sendto(udp, longpath, 70000, 0, (void *)&here, sizeof(here)));
	E(0, close(tcp)), E(0, close(udp)), E(0, close(un));
	told("sockets");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	prepare();
	paths();
	unreadable();
	rights();
	descriptors();
	no_reader();
	locks();
	memory();
	processes();
	sockets();
	return tap_done();
}
