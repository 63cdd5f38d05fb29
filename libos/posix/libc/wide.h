/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What streams of wide characters share: those into memory (open_wmemstream) are known by their put function.
 */
#ifndef LIBOS_POSIX_WIDE_H
#define LIBOS_POSIX_WIDE_H

#include <stdio.h>
#include <wchar.h>

int posix_wide_memory_put(char byte, FILE *stream);
/* Adds one character, where the stream is. -1: there is no memory (ENOMEM). */
int posix_wide_memory_add(wchar_t character, FILE *stream);

#endif
