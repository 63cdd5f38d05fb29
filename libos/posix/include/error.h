/* SPDX-License-Identifier: BSD-2-Clause */
/* GNU's messages of programs: the name, a place, the text of an error number; and exit, unless status is 0. */
#ifndef EXO_POSIX_ERROR_H
#define EXO_POSIX_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif
extern unsigned error_message_count;		/* how many there were */
extern int error_one_per_line;			/* not 0: only the first in a row for the same line of a file */
extern void (*error_print_progname)(void);	/* not NULL: instead of the name and a colon */
__attribute__((__format__(printf, 3, 4))) void error(int, int, const char *, ...);
__attribute__((__format__(printf, 5, 6))) void error_at_line(int, int, const char *, unsigned, const char *, ...);
#ifdef __cplusplus
}
#endif

#endif
