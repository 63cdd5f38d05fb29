/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, with the type that vfwprintf takes. */
#ifndef EXO_POSIX_WCHAR_H
#define EXO_POSIX_WCHAR_H

#include_next <wchar.h>
#include <stdarg.h>

#endif
