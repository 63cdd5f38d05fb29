/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, which needs size_t and does not say so.
 */
#ifndef EXO_LIBC_REGEX_H
#define EXO_LIBC_REGEX_H

#include <sys/types.h>
#include_next <regex.h>

#endif
