/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, with the type of its functions' strings. */
#ifndef EXO_POSIX_INTTYPES_H
#define EXO_POSIX_INTTYPES_H

#include_next <inttypes.h>
#define __need_wchar_t
#include <stddef.h>

#endif
