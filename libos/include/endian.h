/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, and the order of bytes under the names that Linux' and the BSDs' programs ask for.
 */
#ifndef EXO_LIBC_ENDIAN_H
#define EXO_LIBC_ENDIAN_H

#include_next <endian.h>

#ifndef __BYTE_ORDER
#define __LITTLE_ENDIAN	1234
#define __BIG_ENDIAN	4321
#define __BYTE_ORDER	__LITTLE_ENDIAN
#endif
#ifndef BYTE_ORDER
#define LITTLE_ENDIAN	__LITTLE_ENDIAN
#define BIG_ENDIAN	__BIG_ENDIAN
#define BYTE_ORDER	__BYTE_ORDER
#endif

#endif
