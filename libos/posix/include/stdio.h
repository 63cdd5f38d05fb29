/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, and what it lacks. */
#ifndef EXO_POSIX_STDIO_H
#define EXO_POSIX_STDIO_H

#include_next <stdio.h>

#ifndef L_ctermid
#define L_ctermid	16
#endif
#undef P_tmpdir
#define P_tmpdir	"/tmp"
#undef L_tmpnam
#define L_tmpnam	16

#ifdef __cplusplus
extern "C" {
#endif
char *ctermid(char *);
char *tempnam(const char *, const char *);
int dprintf(int, const char *__restrict, ...) __attribute__((__format__(__printf__, 2, 3)));
int vdprintf(int, const char *__restrict, __gnuc_va_list) __attribute__((__format__(__printf__, 2, 0)));
FILE *open_memstream(char **, size_t *);
FILE *popen(const char *, const char *);
int pclose(FILE *);
#if __BSD_VISIBLE || __MISC_VISIBLE
int fpurge(FILE *);
char *fgets_unlocked(char *__restrict, int, FILE *__restrict);
int fputs_unlocked(const char *__restrict, FILE *__restrict);
int fgetc_unlocked(FILE *);
int fputc_unlocked(int, FILE *);
size_t fread_unlocked(void *__restrict, size_t, size_t, FILE *__restrict);
size_t fwrite_unlocked(const void *__restrict, size_t, size_t, FILE *__restrict);
int fflush_unlocked(FILE *);
int fileno_unlocked(FILE *);
#endif
#ifdef __cplusplus
}
#endif

#endif
