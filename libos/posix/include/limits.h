/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, with the limits of this system where they are others, and those of POSIX that it lacks.
 */
#ifndef EXO_POSIX_LIMITS_H
#define EXO_POSIX_LIMITS_H

#include_next <limits.h>

#undef ARG_MAX
#define ARG_MAX			131072
#undef ATEXIT_MAX
#undef CHILD_MAX
#undef OPEN_MAX
#undef LINK_MAX
#define LINK_MAX		127
#undef PATH_MAX
#define PATH_MAX		4096
#undef PIPE_BUF
#define PIPE_BUF		4096
#undef MAX_CANON
#define MAX_CANON		255
#undef TZNAME_MAX
#undef COLL_WEIGHTS_MAX
#define COLL_WEIGHTS_MAX	2

#define AIO_LISTIO_MAX		64
#define AIO_MAX			256
#define AIO_PRIO_DELTA_MAX	0
#define DELAYTIMER_MAX		INT_MAX
#define HOST_NAME_MAX		255
#define LOGIN_NAME_MAX		256
#define MQ_PRIO_MAX		32768
#define NGROUPS_MAX		32
#define PAGESIZE		4096
#define PAGE_SIZE		PAGESIZE
#define PTHREAD_DESTRUCTOR_ITERATIONS 4
#define PTHREAD_KEYS_MAX	128
#define PTHREAD_STACK_MIN	16384
#define PTHREAD_THREADS_MAX	1024
#define RTSIG_MAX		32
#define SEM_VALUE_MAX		0x7fffffff
#define SIGQUEUE_MAX		64
#define SYMLINK_MAX		4095
#define SYMLOOP_MAX		40
#define TIMER_MAX		32
#define TTY_NAME_MAX		32
#define FILESIZEBITS		64
#define BC_BASE_MAX		99
#define BC_DIM_MAX		2048
#define BC_SCALE_MAX		99
#define BC_STRING_MAX		1000
#define CHARCLASS_NAME_MAX	14
#define NL_LANGMAX		14
#define NL_MSGMAX		32767
#define NL_SETMAX		255
#define NL_TEXTMAX		2048
#define NZERO			20
#undef _POSIX_NGROUPS_MAX
#define _POSIX_NGROUPS_MAX	8
#undef _POSIX_OPEN_MAX
#define _POSIX_OPEN_MAX		20
#undef _POSIX_CHILD_MAX
#define _POSIX_CHILD_MAX	25
#undef _POSIX_TTY_NAME_MAX
#define _POSIX_TTY_NAME_MAX	9
#undef _POSIX_TZNAME_MAX
#define _POSIX_TZNAME_MAX	6
#define _POSIX_CLOCKRES_MIN	20000000
#ifndef SSIZE_MAX
#define SSIZE_MAX		LONG_MAX
#endif
#ifndef WORD_BIT
#define WORD_BIT		32
#endif
#ifndef LONG_BIT
#define LONG_BIT		64
#endif

#endif
