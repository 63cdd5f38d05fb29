/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a signal handler sees of the code that it interrupted: see signal.h.
 */
#ifndef EXO_LIBC_UCONTEXT_H
#define EXO_LIBC_UCONTEXT_H

#include <signal.h>

#endif
