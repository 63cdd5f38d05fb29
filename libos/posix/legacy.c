/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What older programs, and some of BSD's, ask for under names of their own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timeb.h>
#include <termios.h>
#include <unistd.h>
#include "libos/posix/call.h"

#define LINE	256

int brk(void *end)
{
	char *now = sbrk(0);

	return now == (char *)-1 || sbrk((char *)end - now) == (void *)-1 ? -1 : 0;
}

char *getwd(char *path)
{
	return getcwd(path, PATH_MAX);
}

off_t lseek64(int fd, off_t offset, int whence)
{
	return lseek(fd, offset, whence);
}

/* No close is interrupted here. */
int posix_close(int fd, int flag)
{
	return flag & ~POSIX_CLOSE_RESTART ? (int)posix_result(-EINVAL) : close(fd);
}

/* Rights that came from the file (set-user-id), not from who started it. */
int issetugid(void)
{
	return posix_page->uid != posix_page->euid || posix_page->gid != posix_page->egid;
}

int getpeereid(int fd, uid_t *uid, gid_t *gid)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0)
		return -1;
	*uid = peer.uid;
	*gid = peer.gid;
	return 0;
}

/* The machine's address, in the order that others use: low half first; of one without a net, that of itself. */
long gethostid(void)
{
	struct wire_interface list[2] = { { .address = htonl(INADDR_LOOPBACK) } };
	uint32_t address = list[0].address;
	int64_t count;

	posix_lock();
	count = posix_ask(REQUEST_INTERFACES, 0, 0, 0, NULL);
	for (int64_t i = 0; i < count; i++) {
		memcpy(list, posix_buffer + (size_t)i * sizeof(list[0]), sizeof(list[0]));
		if (list[0].address && list[0].address != htonl(INADDR_LOOPBACK))
			address = list[0].address;
	}
	posix_unlock();
	return (long)(int32_t)(address << 16 | address >> 16);
}

int ftime(struct timeb *out)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	*out = (struct timeb){ .time = now.tv_sec, .millitm = (unsigned short)(now.tv_usec / 1000) };
	return 0;
}

/* As execlp, with the environment behind the list. */
int execlpe(const char *name, const char *first, ...)
{
	size_t count = 0;
	va_list list, counted;

	va_start(list, first);
	va_copy(counted, list);
	while (first && va_arg(counted, char *))
		count++;
	va_end(counted);
	char *argv[count + 2];
	argv[0] = (char *)first;
	for (size_t i = 1; first && i < count + 2; i++)
		argv[i] = va_arg(list, char *);
	char **envp = va_arg(list, char **);
	va_end(list);
	return execvpe(name, argv, envp);
}

/* --- a password ------------------------------------------------------------------------------------------- */

/* From the terminal, without echo; or, if there is none, from standard input. */
char *getpass(const char *prompt)
{
	static char line[LINE];
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC), from = fd < 0 ? STDIN_FILENO : fd, to = fd < 0 ? STDERR_FILENO : fd;
	struct termios before, silent;
	bool terminal = !tcgetattr(from, &before);
	ssize_t bytes;

	if (terminal) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
		tcsetattr(from, TCSAFLUSH, &silent);
	}
	dprintf(to, "%s", prompt);
	bytes = read(from, line, sizeof(line) - 1);
	if (terminal) {
		dprintf(to, "\n");
		tcsetattr(from, TCSAFLUSH, &before);
	}
	if (fd >= 0)
		close(fd);
	if (bytes < 0)
		return NULL;
	line[bytes] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* --- shells that users may have --------------------------------------------------------------------------- */

static FILE *shells;
static unsigned told;

void setusershell(void)
{
	endusershell();
	shells = fopen("/etc/shells", "re");
}

void endusershell(void)
{
	if (shells)
		fclose(shells);
	shells = NULL;
	told = 0;
}

/* The file's lines without comments; if there is none, those that everybody has. */
char *getusershell(void)
{
	static char line[PATH_MAX];
	static const char *const usual[] = { "/bin/sh", "/bin/csh" };

	if (!shells && !told)
		setusershell();
	if (!shells)
		return told < 2 ? strcpy(line, usual[told++]) : NULL;
	while (fgets(line, sizeof(line), shells)) {
		char *path = line + strspn(line, " \t");

		path[strcspn(path, "# \t\n")] = '\0';
		if (*path == '/')
			return path;
	}
	return NULL;
}
