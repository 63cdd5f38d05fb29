/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linear search and doubly linked lists of <search.h>; trees and hashes are picolibc's.
 */
#include <search.h>
#include <string.h>

void *lfind(const void *key, const void *base, size_t *count, size_t width,
	    int (*compare)(const void *, const void *))
{
	const char *at = base;

	for (size_t i = 0; i < *count; i++, at += width)
		if (!compare(key, at))
			return (void *)at;
	return NULL;
}

void *lsearch(const void *key, void *base, size_t *count, size_t width, int (*compare)(const void *, const void *))
{
	void *at = lfind(key, base, count, width, compare);

	if (at)
		return at;
	return memcpy((char *)base + (*count)++ * width, key, width);
}

struct element {
	struct element *next, *prev;
};

void insque(void *element, void *before)
{
	struct element *new = element, *at = before;

	new->prev = at;
	new->next = at ? at->next : NULL;
	if (at)
		at->next = new;
	if (new->next)
		new->next->prev = new;
}

void remque(void *element)
{
	struct element *old = element;

	if (old->next)
		old->next->prev = old->prev;
	if (old->prev)
		old->prev->next = old->next;
}
