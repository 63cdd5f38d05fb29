/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioctl: the argument goes to the keeper at the beginning of the buffer, and comes back there. Its size is
 * known here for every request that there is; others are refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <termios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "libos/posix/call.h"
#include "libos/posix/interfaces.h"

#define FIONCLEX	0x5450
#define FIOCLEX		0x5451

struct known {
	unsigned long request;
	uint8_t in, out;	/* bytes of the argument */
	bool value;		/* it is an int itself, not a pointer to one */
};

static const struct known table[] = {
	{ TCGETS, 0, sizeof(struct termios), false }, { TCSETS, sizeof(struct termios), 0, false },
	{ TCSETSW, sizeof(struct termios), 0, false }, { TCSETSF, sizeof(struct termios), 0, false },
	{ TCSBRK, sizeof(int), 0, true }, { TCXONC, sizeof(int), 0, true }, { TCFLSH, sizeof(int), 0, true },
	{ TIOCSCTTY, sizeof(int), 0, true }, { TIOCNOTTY, 0, 0, false },
	{ TIOCGPGRP, 0, sizeof(pid_t), false }, { TIOCSPGRP, sizeof(pid_t), 0, false },
	{ TIOCGSID, 0, sizeof(pid_t), false }, { TIOCOUTQ, 0, sizeof(int), false }, { TIOCSTI, 1, 0, false },
	{ TIOCGWINSZ, 0, sizeof(struct winsize), false }, { TIOCSWINSZ, sizeof(struct winsize), 0, false },
	{ TIOCGPTN, 0, sizeof(unsigned), false }, { TIOCSPTLCK, sizeof(int), 0, false },
	{ FIONREAD, 0, sizeof(int), false }, { FIONBIO, sizeof(int), 0, false }, { FIOASYNC, sizeof(int), 0, false },
	{ FIOSETOWN, sizeof(int), 0, false }, { SIOCSPGRP, sizeof(int), 0, false },
	{ FIOGETOWN, 0, sizeof(int), false }, { SIOCGPGRP, 0, sizeof(int), false },
};

static const struct known *find(unsigned long request)
{
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].request == request)
			return &table[i];
	return NULL;
}

static int64_t ask(int fd, const struct known *known, void *pointer)
{
	int value = (int)(intptr_t)pointer;
	int64_t result;

	do {
		posix_lock();
		memcpy(posix_buffer, known->value ? &value : pointer, known->in);
		result = posix_ask(REQUEST_IOCTL, (uint64_t)(int64_t)fd, known->request, 0, NULL);
		if (result >= 0)
			memcpy(pointer, posix_buffer, known->out);
		posix_unlock();
	} while (result == WIRE_WAIT && !(result = posix_sleep(EXO_NEVER, POSIX_RESTARTS)));
	return result < 0 ? result : 0;
}

static int at_mark(int fd, int *mark)
{
	int at = sockatmark(fd);

	if (at < 0)
		return at;
	if (!mark) {
		errno = EFAULT;
		return -1;
	}
	*mark = at;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	const struct known *known = find(request);
	va_list arguments;
	int result;
	void *pointer;

	if (request == FIOCLEX || request == FIONCLEX)
		return fcntl(fd, F_SETFD, request == FIOCLEX ? FD_CLOEXEC : 0);
	va_start(arguments, request);
	pointer = va_arg(arguments, void *);
	va_end(arguments);
	if (posix_interface_ioctl(request, pointer, &result))
		return (int)posix_result(result);
	if (request == SIOCATMARK)
		return at_mark(fd, pointer);
	if (!known) {
		errno = fcntl(fd, F_GETFD) < 0 ? EBADF : ENOTTY;
		return -1;
	}
	if (!pointer && !known->value && known->in + known->out) {
		errno = EFAULT;
		return -1;
	}
	return (int)posix_result(ask(fd, known, pointer));
}
