/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, and GNU's names of the program. */
#include_next <errno.h>

#if !defined(EXO_POSIX_ERRNO_H) && defined(_GNU_SOURCE)
#define EXO_POSIX_ERRNO_H

#ifdef __cplusplus
extern "C" {
#endif
extern char *program_invocation_name;		/* argv[0] */
extern char *program_invocation_short_name;	/* what stands behind its last slash */
#ifdef __cplusplus
}
#endif

#endif
