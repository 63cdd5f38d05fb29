/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, with XSI's names for two of its variables, and a broken-down time's zone (libos/posix/libc/calendar.c). */
#ifndef EXO_POSIX_TIME_H
#define EXO_POSIX_TIME_H

#define __TM_GMTOFF	tm_gmtoff
#define __TM_ZONE	tm_zone
#include_next <time.h>

#if __XSI_VISIBLE || __MISC_VISIBLE
#ifdef __cplusplus
extern "C" {
#endif
extern long timezone __asm__("_timezone");
extern int daylight __asm__("_daylight");
#if !__GNU_VISIBLE
extern int getdate_err;
#endif
#ifdef __cplusplus
}
#endif
#endif

#else
#include_next <time.h>
#endif
