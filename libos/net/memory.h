/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the network stack: one contiguous run of frames, which is also what flows may send from.
 */
#ifndef LIBOS_NET_MEMORY_H
#define LIBOS_NET_MEMORY_H

#include "libos/core/core.h"

/* Contiguous frames under one capability, mapped readable and writable. */
struct net_run {
	exo_cap_t cap;
	uint32_t frames;
	char *base;
};

/* Take and map between `least` and `most` frames. False: there are not so many in one run. */
bool net_run_take(struct net_run *run, uint32_t least, uint32_t most);

/* Make the first `own` frames of the run the stack's memory. Before this, net_alloc has nothing to give. */
void net_memory_start(const struct net_run *run, uint32_t own);
/* Does a block lie in the run, as a whole? *offset in bytes from its start. */
bool net_memory_has(const void *block, size_t bytes, uint32_t *offset);

/* Blocks, 16-byte aligned; NULL when there is no more. */
void *net_alloc(size_t bytes);
void *net_calloc(size_t count, size_t bytes);
void net_free(void *block);

/* Give back what is kept at hand for the next who asks. False: there was nothing. */
bool net_memory_settle(void);

/*
 * Something was refused, and a block of its size, or a page, is free now: who was refused may ask again. Once for a refusal; for a
 * run of pages any page will do, so it may be refused again.
 */
bool net_memory_again(void);
/* Something was refused, and that has not been said yet. */
bool net_memory_short(void);

struct net_memory_use {
	uint32_t pages, pages_free;
	uint64_t failures;	/* requests that got nothing */
};
struct net_memory_use net_memory_use(void);

#endif
