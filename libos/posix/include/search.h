/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables, trees and lists (POSIX.1-2017); hash tables are picolibc's. */
#ifndef EXO_POSIX_SEARCH_H
#define EXO_POSIX_SEARCH_H

#include <sys/cdefs.h>
#define __need_size_t
#include <stddef.h>

typedef struct entry {
	char *key;
	void *data;
} ENTRY;

typedef enum {
	FIND, ENTER
} ACTION;

typedef enum {
	preorder, postorder, endorder, leaf
} VISIT;

#ifndef __compar_fn_t_defined
#define __compar_fn_t_defined
typedef int (*__compar_fn_t)(const void *, const void *);
#endif

struct hsearch_data {
	struct internal_head *htable;
	size_t htablesize;
};

#ifdef __cplusplus
extern "C" {
#endif
int hcreate(size_t);
void hdestroy(void);
ENTRY *hsearch(ENTRY, ACTION);
int hcreate_r(size_t, struct hsearch_data *);
void hdestroy_r(struct hsearch_data *);
int hsearch_r(ENTRY, ACTION, ENTRY **, struct hsearch_data *);
void *tsearch(const void *, void **, __compar_fn_t);
void *tfind(const void *, void *const *, __compar_fn_t);
void *tdelete(const void *__restrict, void **__restrict, __compar_fn_t);
void twalk(const void *, void (*)(const void *, VISIT, int));
void tdestroy(void *, void (*)(void *));
void *lfind(const void *, const void *, size_t *, size_t, __compar_fn_t);
void *lsearch(const void *, void *, size_t *, size_t, __compar_fn_t);
void insque(void *, void *);
void remque(void *);
#ifdef __cplusplus
}
#endif

#endif
