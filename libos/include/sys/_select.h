/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, for those of its headers that include it by themselves: with the same size of a set as sys/select.h.
 */
#ifndef FD_SETSIZE
#define FD_SETSIZE	4096
#endif
#include_next <sys/_select.h>
