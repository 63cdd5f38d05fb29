/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's select.h, with sets large enough for every descriptor that uni hands out.
 */
#ifndef FD_SETSIZE
#define FD_SETSIZE	4096
#endif
#include_next <sys/select.h>
