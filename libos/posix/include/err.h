/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages with the program's name, and the text of errno. */
#ifndef EXO_POSIX_ERR_H
#define EXO_POSIX_ERR_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif
__attribute__((__noreturn__, __format__(printf, 2, 3))) void err(int, const char *, ...);
__attribute__((__noreturn__, __format__(printf, 2, 3))) void errx(int, const char *, ...);
__attribute__((__noreturn__, __format__(printf, 2, 0))) void verr(int, const char *, va_list);
__attribute__((__noreturn__, __format__(printf, 2, 0))) void verrx(int, const char *, va_list);
__attribute__((__format__(printf, 1, 2))) void warn(const char *, ...);
__attribute__((__format__(printf, 1, 2))) void warnx(const char *, ...);
__attribute__((__format__(printf, 1, 0))) void vwarn(const char *, va_list);
__attribute__((__format__(printf, 1, 0))) void vwarnx(const char *, va_list);
#ifdef __cplusplus
}
#endif

#endif
