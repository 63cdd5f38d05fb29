/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pseudo-terminals, both ends at once.
 */
#ifndef EXO_LIBC_PTY_H
#define EXO_LIBC_PTY_H

#include <termios.h>
#include <sys/ioctl.h>

#ifdef __cplusplus
extern "C" {
#endif
int openpty(int *master, int *slave, char *name, const struct termios *termios, const struct winsize *size);
int login_tty(int fd);
pid_t forkpty(int *master, char *name, const struct termios *termios, const struct winsize *size);
#ifdef __cplusplus
}
#endif

#endif
