/* SPDX-License-Identifier: BSD-2-Clause */
/* Catalogues of messages (POSIX.1-2017). */
#ifndef EXO_POSIX_NL_TYPES_H
#define EXO_POSIX_NL_TYPES_H

#include <langinfo.h>

#define NL_SETD		1
#define NL_CAT_LOCALE	1

typedef struct __exo_catalogue *nl_catd;

#ifdef __cplusplus
extern "C" {
#endif
nl_catd catopen(const char *, int);
char *catgets(nl_catd, int, int, const char *);
int catclose(nl_catd);
#ifdef __cplusplus
}
#endif

#endif
