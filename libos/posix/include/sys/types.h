/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, the types of threads, and those of C11's Annex K, which go with the RSIZE_MAX of its stdint.h. */
#ifndef EXO_POSIX_SYS_TYPES_H
#define EXO_POSIX_SYS_TYPES_H

#include_next <sys/types.h>
#include <sys/_pthreadtypes.h>
#if __MISC_VISIBLE || __BSD_VISIBLE
#include <sys/select.h>		/* with struct timeval: many a program takes these from here */
#endif

typedef off_t loff_t;		/* what copy_file_range has where it comes from */

#if __STDC_WANT_LIB_EXT1__ == 1
#ifndef _ERRNO_T_DEFINED
typedef __errno_t errno_t;
#define _ERRNO_T_DEFINED
#endif
#ifndef _RSIZE_T_DEFINED
typedef __rsize_t rsize_t;
#define _RSIZE_T_DEFINED
#endif
#endif

#endif
