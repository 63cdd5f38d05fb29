/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A buffer cache: the blocks of one device that are in memory, and which of them go when there is no room.
 *
 * It knows no files. Buffers lie in the device's memory, so requests go straight to and from them, and a page of a file
 * can be mapped or sent from where it lies. Writing back is the file system's decision: the cache writes a dirty buffer
 * by itself only to make room, and never one that is held or has `pinned` set (a journal, or copy-on-write, sets it
 * until the order of writes allows it). Which buffer goes is the policy's: a table of functions, replaceable at run
 * time. Functions return 0 or a negative errno. One thread at a time is in it (the file system's lock sees to that);
 * requests end whenever they like, and are looked at when their blocks are asked for. What is being read or written is
 * held by the cache itself.
 */
#ifndef LIBOS_FS_CACHE_H
#define LIBOS_FS_CACHE_H

#include "libos/fs/device.h"

#define CACHE_PAGES_MIN	16

struct cache;

struct buffer {
	uint32_t block;
	uint8_t *data;			/* BLOCK_BYTES */
	uint32_t holds;			/* cache_get() without cache_put() yet */
	bool valid;			/* data is what the device has, or newer */
	bool dirty;			/* newer */
	bool pinned;			/* not written to make room */
	bool ahead;			/* was read ahead, and not asked for yet */
	uint8_t kind;			/* the file system's own, for its statistics and checks; 0 at first */
	struct buffer *hash_next;
	struct buffer *dirty_next, *dirty_prev;	/* in order of becoming dirty */
	struct buffer *queue_next, *queue_prev;	/* the policy's */
	uint64_t queue_word;			/* the policy's */
	void *owner;			/* the file system's own */
	struct buffer *leader;		/* whose request reads or writes it now; NULL: none does */
	struct buffer *mate;		/* the next of the same request */
	struct buffer *flight_next, **flight_link;	/* leaders: those under way */
	struct block_request request;
};

/*
 * Which buffer goes. Buffers that are held are the policy's, too; it must not choose them.
 */
struct cache_policy {
	const char *name;
	void *(*make)(uint32_t pages);			/* for so many buffers at most. NULL: no memory */
	void (*end)(void *state);
	void (*came)(void *state, struct buffer *buffer);	/* it holds a block from now on */
	void (*used)(void *state, struct buffer *buffer);	/* and was asked for again */
	void (*went)(void *state, struct buffer *buffer);	/* it holds none any more */
	/* One with holds == 0 and !pinned, a clean one if it can choose; NULL: there is none. */
	struct buffer *(*victim)(void *state);
};
extern const struct cache_policy cache_lru, cache_2q;

struct cache_counts {
	uint64_t hits, misses, ahead, written, stolen;	/* blocks; stolen: written to make room */
};

/* A cache of `pages` blocks, at least CACHE_PAGES_MIN; memory is taken when it is needed, and never given back before
 * cache_end(): if there is none, the cache stays as large as it is. NULL: no memory for CACHE_PAGES_MIN. */
struct cache *cache_make(struct block_device *device, uint32_t pages, const struct cache_policy *policy);
/* Nothing is written; no buffer may be held. */
void cache_end(struct cache *cache);
/* Change the policy: buffers move over in no order. -ENOMEM: nothing has changed. */
int cache_set_policy(struct cache *cache, const struct cache_policy *policy);
struct block_device *cache_device(struct cache *cache);
const struct cache_counts *cache_counts(const struct cache *cache);
uint32_t cache_pages(const struct cache *cache);
uint32_t cache_dirty_count(const struct cache *cache);	/* buffers that are dirty now, pinned ones too */

/* A block's buffer, held: as it is on the device / whatever it contains, zeroed if it was not valid; it is valid then.
 * -EIO, -EINVAL beyond the end, -ENOMEM: all are held or pinned. */
int cache_get(struct cache *cache, uint32_t block, struct buffer **buffer);
int cache_get_new(struct cache *cache, uint32_t block, struct buffer **buffer);
/* As cache_get_new, but not zeroed: for a caller who writes all of it before anybody can look. */
int cache_get_whole(struct cache *cache, uint32_t block, struct buffer **buffer);
/* The buffer if it is there and valid, held; else NULL. */
struct buffer *cache_peek(struct cache *cache, uint32_t block);
void cache_hold(struct buffer *buffer);
void cache_put(struct cache *cache, struct buffer *buffer);
/* It was changed. */
void cache_dirty(struct cache *cache, struct buffer *buffer);
/* It is not what the block holds any more, and never will be: forget it without writing. Not held. */
void cache_forget(struct cache *cache, uint32_t block);
/* A buffer that is held gets another block, and keeps its place with the policy: what is there already for that block,
 * not held, is forgotten. For copy-on-write. */
void cache_move(struct cache *cache, struct buffer *buffer, uint32_t block);
/* Begin to read blocks that are not there; does not wait. Ends early at the device's end, after a quarter of the
 * cache's blocks, and when there is no room without writing. The device begins at block_poll(), or when somebody waits. */
void cache_ahead(struct cache *cache, uint32_t block, uint32_t count);
/* Write this one / all that are dirty and not pinned, sorted by block, neighbours in one request; wait until that is done.
 * No flush of the device. The first error; what was not written stays dirty. */
int cache_write(struct cache *cache, struct buffer *buffer);
int cache_write_all(struct cache *cache);
/* The same for a list of held buffers, in any order; sorts the list. */
int cache_write_list(struct cache *cache, struct buffer **list, uint32_t count);
/* Begin to write the `count` that have been dirty longest and are neither held nor pinned; does not wait. Whoever wants one
 * meanwhile waits for it, and so does cache_write_all(). What could not be written is dirty again. */
void cache_write_behind(struct cache *cache, uint32_t count);

#endif
