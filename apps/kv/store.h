/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys and values in a bounded amount of memory. Pure but for where the memory comes from (store_memory).
 *
 * An item's text is what a reply says of it: key, " FLAGS BYTES\r\n", the value, "\r\n", in one piece as far as its first chunk reaches
 * and then in further chunks. Whoever uses an item after the next call holds it.
 */
#ifndef APPS_KV_STORE_H
#define APPS_KV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_MAX		250
#define VALUE_MAX	(1u << 20)

struct page;

/* A piece of memory of a fixed size. */
struct chunk {
	struct page *page;		/* it lies in */
	struct chunk *next, *prev;	/* free: its neighbours in the list; else next: the item's next chunk */
	struct item *owner;		/* NULL: free */
};

struct item {
	struct chunk chunk;		/* first */
	struct item *chain;		/* in the table */
	struct item *newer, *older;	/* of its class, by use */
	uint64_t hash;
	uint64_t cas;			/* of the last change; 0: not in the table */
	uint64_t use;			/* number of the last use that was noted */
	uint32_t holds;
	uint32_t expires;		/* store_now; 0: never */
	uint32_t used;			/* store_now of the last use that was noted */
	uint32_t flags;
	uint32_t bytes;			/* of the value */
	uint8_t key_len, suffix_len, class;	/* the value begins behind key and suffix */
	bool kept;			/* all of it lies in memory from which it can be sent */
	char text[];
};

struct store_counts {
	uint64_t items, total_items, bytes, evictions, expired, reclaimed_pages;
	uint64_t memory, limit;		/* bytes taken, and that may be */
};

extern struct store_counts store_counts;

/*
 * Give memory for good; NULL: there is no more. For large values best such that can be sent without a copy; *kept: it is. The
 * program's.
 */
void *store_memory(size_t bytes, bool large, bool *kept);

/* Begin, with so many bytes at most. False: there is no memory for the table. */
bool store_start(size_t limit);

/* The time in seconds, from 1; whoever calls the rest sets it before. */
extern uint32_t store_now;

/* The item of a key, and note its use; NULL: there is none that is alive. */
struct item *store_find(const char *key, size_t len);

/*
 * A new item, held, that nobody can find yet; its value is to be written. NULL: no memory for it.
 */
struct item *store_make(const char *key, size_t len, uint32_t flags, uint32_t expires, size_t bytes);

/* Bytes from offset `at` of an item's text that lie in one piece. Returns how many. */
size_t store_piece(struct item *item, size_t at, char **piece);
/* How long the text is. */
size_t store_text(const struct item *item);
/* Write a part of the text. */
void store_write(struct item *item, size_t at, const char *data, size_t bytes);
/* Read one. */
void store_read(struct item *item, size_t at, char *data, size_t bytes);

/* Let it be found, in place of one with the same key. */
void store_put(struct item *item);
/* Let it be found no more. */
void store_remove(struct item *item);
/* Hold no more. */
void store_release(struct item *item);
/* It was changed in place. */
void store_changed(struct item *item);

/* Remove all that is there at a time, store_now: now, or later. */
void store_flush(uint32_t when);

#endif
