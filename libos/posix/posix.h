/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the libOS posix, and when each begins.
 */
#ifndef LIBOS_POSIX_POSIX_H
#define LIBOS_POSIX_POSIX_H

/*
 * Before main, on the first thread, in the order of posix_begin: each part that has something to do once. Parts are
 * functions of their own files; they are called by name, so that a program has all of them or does not link.
 */
void posix_begin(void);

/*
 * A stack that is there when no page can be had: for fork, which must not touch what it shares, and for the
 * end of a process after an exception.
 */
#define POSIX_WIRED_STACK	8192	/* fork_point.S has it, too */
extern char posix_wired_stack[POSIX_WIRED_STACK];

#endif
