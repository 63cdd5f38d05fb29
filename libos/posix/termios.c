/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals: the functions of <termios.h> and <unistd.h>.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include "libos/posix/call.h"

static int fail(int error)
{
	errno = error;
	return -1;
}

int tcgetattr(int fd, struct termios *termios)
{
	return ioctl(fd, TCGETS, termios);
}

int tcsetattr(int fd, int when, const struct termios *termios)
{
	static const unsigned long requests[] = { [TCSANOW] = TCSETS, [TCSADRAIN] = TCSETSW, [TCSAFLUSH] = TCSETSF };

	if (when < TCSANOW || when > TCSAFLUSH)
		return fail(EINVAL);
	return ioctl(fd, requests[when], termios);
}

int tcdrain(int fd)
{
	return ioctl(fd, TCSBRK, 1);
}

int tcflow(int fd, int action)
{
	return ioctl(fd, TCXONC, action);
}

int tcflush(int fd, int queue)
{
	return ioctl(fd, TCFLSH, queue);
}

int tcsendbreak(int fd, int duration)
{
	(void)duration;
	return ioctl(fd, TCSBRK, 0);
}

pid_t tcgetsid(int fd)
{
	pid_t sid;

	return ioctl(fd, TIOCGSID, &sid) ? -1 : sid;
}

int tcgetwinsize(int fd, struct winsize *size)
{
	return ioctl(fd, TIOCGWINSZ, size);
}

int tcsetwinsize(int fd, const struct winsize *size)
{
	return ioctl(fd, TIOCSWINSZ, size);
}

pid_t tcgetpgrp(int fd)
{
	pid_t pgid;

	if (ioctl(fd, TIOCGPGRP, &pgid))
		return -1;
	return pgid ? pgid : INT_MAX;	/* no foreground group: a number that no group has */
}

int tcsetpgrp(int fd, pid_t pgid)
{
	return ioctl(fd, TIOCSPGRP, &pgid);
}

int isatty(int fd)
{
	struct termios termios;

	return !tcgetattr(fd, &termios);
}

int ttyname_r(int fd, char *name, size_t bytes)
{
	char found[32];
	int64_t result;

	posix_lock();
	result = posix_ask(REQUEST_TTYNAME, (uint64_t)(int64_t)fd, 0, 0, NULL);
	memcpy(found, posix_buffer, sizeof(found));
	posix_unlock();
	if (result < 0)
		return (int)-result;
	found[sizeof(found) - 1] = '\0';
	if (strlen(found) >= bytes)
		return ERANGE;
	strcpy(name, found);
	return 0;
}

char *ttyname(int fd)
{
	static char name[32];
	int error = ttyname_r(fd, name, sizeof(name));

	if (!error)
		return name;
	errno = error;
	return NULL;
}

/* --- settings ----------------------------------------------------------------------------------------- */

speed_t cfgetispeed(const struct termios *termios)
{
	return termios->c_ispeed;
}

speed_t cfgetospeed(const struct termios *termios)
{
	return termios->c_ospeed;
}

static bool known_speed(speed_t speed)
{
	static const speed_t speeds[] = { B0, B50, B75, B110, B134, B150, B200, B300, B600, B1200, B1800, B2400,
		B4800, B9600, B19200, B38400, B57600, B115200, B230400 };

	for (unsigned i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		if (speeds[i] == speed)
			return true;
	return false;
}

int cfsetispeed(struct termios *termios, speed_t speed)
{
	if (!known_speed(speed))
		return fail(EINVAL);
	termios->c_ispeed = speed;
	return 0;
}

int cfsetospeed(struct termios *termios, speed_t speed)
{
	if (!known_speed(speed))
		return fail(EINVAL);
	termios->c_ospeed = speed;
	return 0;
}

int cfsetspeed(struct termios *termios, speed_t speed)
{
	return cfsetispeed(termios, speed) ? -1 : cfsetospeed(termios, speed);
}

void cfmakeraw(struct termios *termios)
{
	termios->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	termios->c_oflag &= ~(tcflag_t)OPOST;
	termios->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	termios->c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
	termios->c_cflag |= CS8;
	termios->c_cc[VMIN] = 1;
	termios->c_cc[VTIME] = 0;
}
