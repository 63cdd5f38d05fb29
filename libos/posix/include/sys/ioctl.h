/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioctl: what terminals and sockets know beyond functions of their own.
 */
#ifndef EXO_POSIX_SYS_IOCTL_H
#define EXO_POSIX_SYS_IOCTL_H

#include_next <sys/ioctl.h>

#define TCGETS		0x5401	/* struct termios * */
#define TCSETS		0x5402
#define TCSETSW		0x5403	/* after the output */
#define TCSETSF		0x5404	/* ... and without what was typed */
#define TCSBRK		0x5409	/* int: 0 a break, else wait for the output */
#define TCXONC		0x540a	/* int: TCOOFF ... */
#define TCFLSH		0x540b	/* int: TCIFLUSH ... */
#define TIOCSCTTY	0x540e	/* the controlling terminal of a session without one */
#define TIOCGPGRP	0x540f	/* pid_t * */
#define TIOCSPGRP	0x5410
#define TIOCOUTQ	0x5411	/* int *: bytes not yet put out */
#define TIOCSTI		0x5412	/* char *: as if typed */
#define TIOCGWINSZ	0x5413	/* struct winsize * */
#define TIOCSWINSZ	0x5414
#define TIOCINQ		FIONREAD
#define TIOCNOTTY	0x5422
#define TIOCGSID	0x5429	/* pid_t * */
#define TIOCGPTN	0x5430	/* unsigned *: number of a master's slave */
#define TIOCSPTLCK	0x5431	/* int *: lock */
#define FIOASYNC	0x5452	/* int *: O_ASYNC */
#define FIOSETOWN	0x8901	/* int *: as F_SETOWN has it; of sockets */
#define SIOCSPGRP	0x8902	/* ... the same */
#define FIOGETOWN	0x8903	/* int *: as F_GETOWN has it; of sockets */
#define SIOCGPGRP	0x8904
#define SIOCATMARK	0x8905	/* int *: what sockatmark says */

#ifndef EXO_POSIX_WINSIZE
#define EXO_POSIX_WINSIZE
struct winsize {
	unsigned short ws_row, ws_col, ws_xpixel, ws_ypixel;
};
#endif

#endif
