/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, without macros that hide functions. */
#ifndef EXO_POSIX_MATH_H
#define EXO_POSIX_MATH_H

#include_next <math.h>

#undef log2
#undef log2f

#endif
