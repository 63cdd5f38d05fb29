/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What picolibc's lacks or hides, and which versions of the standards this is.
 */
#ifndef EXO_POSIX_UNISTD_H
#define EXO_POSIX_UNISTD_H

#define _POSIX_VERSION		200809L
#define _POSIX2_VERSION		200809L
#define _POSIX2_C_BIND		200809L
#define _XOPEN_VERSION		700
#define _XOPEN_SHM		1
#define _XOPEN_ENH_I18N		1
#define _XOPEN_CRYPT		(-1)
#define _XOPEN_REALTIME		(-1)
#define _XOPEN_REALTIME_THREADS	(-1)
#define _XOPEN_STREAMS		(-1)
#define _XOPEN_UNIX		(-1)	/* most of it is there */
#define _XOPEN_UUCP		(-1)
#define _POSIX_V7_LP64_OFF64	1
#define _POSIX_V6_LP64_OFF64	1
#define _POSIX_V7_ILP32_OFF32	(-1)
#define _POSIX_V7_ILP32_OFFBIG	(-1)
#define _POSIX_V7_LPBIG_OFFBIG	(-1)

#include_next <unistd.h>

/* confstr() */
#define _CS_PATH			0
#define _CS_POSIX_V7_ILP32_OFF32_CFLAGS	1
#define _CS_POSIX_V7_ILP32_OFF32_LDFLAGS	2
#define _CS_POSIX_V7_ILP32_OFF32_LIBS	3
#define _CS_POSIX_V7_ILP32_OFFBIG_CFLAGS	4
#define _CS_POSIX_V7_ILP32_OFFBIG_LDFLAGS	5
#define _CS_POSIX_V7_ILP32_OFFBIG_LIBS	6
#define _CS_POSIX_V7_LP64_OFF64_CFLAGS	7
#define _CS_POSIX_V7_LP64_OFF64_LDFLAGS	8
#define _CS_POSIX_V7_LP64_OFF64_LIBS	9
#define _CS_POSIX_V7_LPBIG_OFFBIG_CFLAGS	10
#define _CS_POSIX_V7_LPBIG_OFFBIG_LDFLAGS	11
#define _CS_POSIX_V7_LPBIG_OFFBIG_LIBS	12
#define _CS_POSIX_V7_THREADS_CFLAGS	13
#define _CS_POSIX_V7_THREADS_LDFLAGS	14
#define _CS_POSIX_V7_WIDTH_RESTRICTED_ENVS	15
#define _CS_V7_ENV			16
#define _CS_POSIX_V6_ILP32_OFF32_CFLAGS	_CS_POSIX_V7_ILP32_OFF32_CFLAGS
#define _CS_POSIX_V6_ILP32_OFF32_LDFLAGS	_CS_POSIX_V7_ILP32_OFF32_LDFLAGS
#define _CS_POSIX_V6_ILP32_OFF32_LIBS	_CS_POSIX_V7_ILP32_OFF32_LIBS
#define _CS_POSIX_V6_ILP32_OFFBIG_CFLAGS	_CS_POSIX_V7_ILP32_OFFBIG_CFLAGS
#define _CS_POSIX_V6_ILP32_OFFBIG_LDFLAGS	_CS_POSIX_V7_ILP32_OFFBIG_LDFLAGS
#define _CS_POSIX_V6_ILP32_OFFBIG_LIBS	_CS_POSIX_V7_ILP32_OFFBIG_LIBS
#define _CS_POSIX_V6_LP64_OFF64_CFLAGS	_CS_POSIX_V7_LP64_OFF64_CFLAGS
#define _CS_POSIX_V6_LP64_OFF64_LDFLAGS	_CS_POSIX_V7_LP64_OFF64_LDFLAGS
#define _CS_POSIX_V6_LP64_OFF64_LIBS	_CS_POSIX_V7_LP64_OFF64_LIBS
#define _CS_POSIX_V6_LPBIG_OFFBIG_CFLAGS	_CS_POSIX_V7_LPBIG_OFFBIG_CFLAGS
#define _CS_POSIX_V6_LPBIG_OFFBIG_LDFLAGS	_CS_POSIX_V7_LPBIG_OFFBIG_LDFLAGS
#define _CS_POSIX_V6_LPBIG_OFFBIG_LIBS	_CS_POSIX_V7_LPBIG_OFFBIG_LIBS
#define _CS_POSIX_V6_WIDTH_RESTRICTED_ENVS	_CS_POSIX_V7_WIDTH_RESTRICTED_ENVS
#define _CS_V6_ENV	_CS_V7_ENV

#ifdef __cplusplus
extern "C" {
#endif
char *ctermid(char *);
int getdtablesize(void);
int getpagesize(void);
int setgroups(int, const gid_t *);
int getresuid(uid_t *, uid_t *, uid_t *);
int getresgid(gid_t *, gid_t *, gid_t *);
int setresuid(uid_t, uid_t, uid_t);
int setresgid(gid_t, gid_t, gid_t);
void *sbrk(ptrdiff_t);
int pipe2(int[2], int);
int dup3(int, int, int);
pid_t _Fork(void);
#if __GNU_VISIBLE || __BSD_VISIBLE
void closefrom(int);
#endif
#if __GNU_VISIBLE
#define CLOSE_RANGE_UNSHARE	2	/* no thread has descriptors of its own, nor can have: EINVAL */
#define CLOSE_RANGE_CLOEXEC	4	/* when the program becomes another one */
int close_range(unsigned, unsigned, int);
pid_t gettid(void);
int syncfs(int);
#endif
#ifdef __cplusplus
}
#endif

#endif
