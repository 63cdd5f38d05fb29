/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pseudo-terminals.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int posix_openpt(int flags)
{
	return open("/dev/ptmx", flags);
}

int grantpt(int fd)
{
	unsigned number;

	if (!ioctl(fd, TIOCGPTN, &number))
		return 0;
	if (errno == ENOTTY)
		errno = EINVAL;
	return -1;
}

int unlockpt(int fd)
{
	int lock = 0;

	if (!ioctl(fd, TIOCSPTLCK, &lock))
		return 0;
	if (errno == ENOTTY)
		errno = EINVAL;
	return -1;
}

int ptsname_r(int fd, char *name, size_t bytes)
{
	unsigned number;

	if (ioctl(fd, TIOCGPTN, &number))
		return errno;
	return (size_t)snprintf(name, bytes, "/dev/pts/%u", number) < bytes ? 0 : ERANGE;
}

char *ptsname(int fd)
{
	static char name[32];
	int error = ptsname_r(fd, name, sizeof(name));

	if (!error)
		return name;
	errno = error;
	return NULL;
}

static int set_up(int slave, const struct termios *termios, const struct winsize *size)
{
	if (termios && tcsetattr(slave, TCSANOW, termios))
		return -1;
	return size && ioctl(slave, TIOCSWINSZ, size) ? -1 : 0;
}

int openpty(int *master, int *slave, char *name, const struct termios *termios, const struct winsize *size)
{
	char own[32];
	int there = posix_openpt(O_RDWR | O_NOCTTY), here = -1;

	if (there < 0)
		return -1;
	if (grantpt(there) || unlockpt(there) || ptsname_r(there, own, sizeof(own)) ||
	    (here = open(own, O_RDWR | O_NOCTTY)) < 0 || set_up(here, termios, size)) {
		int error = errno;
		if (here >= 0)
			close(here);
		close(there);
		errno = error;
		return -1;
	}
	*master = there;
	*slave = here;
	if (name)
		strcpy(name, own);
	return 0;
}

int login_tty(int fd)
{
	setsid();
	if (ioctl(fd, TIOCSCTTY, 0))
		return -1;
	for (int to = 0; to < 3; to++)
		dup2(fd, to);
	if (fd > 2)
		close(fd);
	return 0;
}

pid_t forkpty(int *master, char *name, const struct termios *termios, const struct winsize *size)
{
	int there, here;
	pid_t pid;

	if (openpty(&there, &here, name, termios, size))
		return -1;
	pid = fork();
	if (pid == 0) {
		close(there);
		if (login_tty(here))
			_exit(1);
		return 0;
	}
	close(here);
	if (pid < 0) {
		int error = errno;
		close(there);
		errno = error;
		return -1;
	}
	*master = there;
	return pid;
}
