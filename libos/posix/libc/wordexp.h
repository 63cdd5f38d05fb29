/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shell's arithmetic, for wordexp.
 */
#ifndef LIBOS_POSIX_WORDEXP_H
#define LIBOS_POSIX_WORDEXP_H

#include <stdbool.h>

/*
 * The value of an expression in which names stand for variables of the environment that hold numbers (unset or empty: 0).
 * False: it is none, it assigns, it divides by zero, or it is nested more than 64 deep.
 */
bool wordexp_arithmetic(const char *text, long *value);

#endif
