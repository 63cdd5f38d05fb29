/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, where off64_t would be unsigned: here it is the type of off_t.
 */
#ifndef EXO_POSIX_SYS__TYPES_H
#define EXO_POSIX_SYS__TYPES_H

#include_next <sys/_types.h>

#define __off64_t	_off_t

#endif
