/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, with POSIX' strerror_r whatever macros a program defines: glibc's, which returns the text, is for
 * programs that were made for glibc.
 */
#ifndef EXO_POSIX_STRING_H
#define strerror_r __exo_hidden_strerror_r
#include_next <string.h>
#undef strerror_r
#else
#include_next <string.h>
#endif

#ifndef EXO_POSIX_STRING_H
#define EXO_POSIX_STRING_H

#if __POSIX_VISIBLE >= 200112
#ifdef __cplusplus
extern "C" {
#endif
int strerror_r(int error, char *to, size_t bytes) __asm__("__xpg_strerror_r");
#ifdef __cplusplus
}
#endif
#endif

#endif
