/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioctl: the two requests that sockets know.
 */
#ifndef EXO_LIBC_SYS_IOCTL_H
#define EXO_LIBC_SYS_IOCTL_H

#ifndef FIONBIO
#define FIONREAD	0x541b	/* bytes that can be read now; int * */
#define FIONBIO		0x5421	/* set or clear O_NONBLOCK; int * */
#endif

#ifdef __cplusplus
extern "C" {
#endif
int ioctl(int fd, unsigned long request, ...);
#ifdef __cplusplus
}
#endif

#endif
