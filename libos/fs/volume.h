/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume of the block registry (exo/registry.h) as file systems see it: its frames, mapped to read, and the calls.
 *
 * In the machine it is libos/disk/disk_volume.c; in tests of the host the kernel's own registry behind a fake disk. Results
 * of load, open and change are the kernel's: 0 or more, or the negative of an error of exo/error.h; AGAIN never, but BUSY.
 * Requests for its blocks go to `device`, with `through` the capability of a node.
 */
#ifndef LIBOS_FS_VOLUME_H
#define LIBOS_FS_VOLUME_H

#include <exo/error.h>
#include <exo/registry.h>
#include "libos/fs/device.h"

struct volume;

struct volume_ops {
	int64_t (*load)(struct volume *volume, uint64_t node, uint32_t block, uint32_t buffer);
	int64_t (*open)(struct volume *volume, uint64_t node, uint32_t block, bool write);
	void (*drop)(struct volume *volume, uint64_t node);
	int64_t (*change)(struct volume *volume, uint64_t node, const struct exo_node_change *change);
	/* 0, or an error of exo_node_share; by the root's node, that `own` is. */
	int64_t (*share)(struct volume *volume, uint32_t block, unsigned share, uint32_t left, uint32_t buffer, uint32_t end);
	void (*pause)(struct volume *volume);	/* somebody else is at it: let time pass */
	void (*close)(struct volume *volume);
};

struct volume {
	const struct volume_ops *ops;
	const struct exo_volume *page;	/* its first frame; the others behind it */
	uint32_t blocks, buffers, map, buffer_first;	/* as the page says them, read once: volume_sizes() */
	struct block_device *device;
	/* What its user may use: a node to see everything by, and one to change what is below it (may be the same). */
	uint64_t see, own;
	uint32_t own_block;
	bool made;			/* by this mount: nobody else has it yet */
};

/*
 * Who made the volume can end it and have its frames back while others have them mapped: what they read there may then be
 * anything. So sizes are taken when the frames are known to be the kernel's, and are what every number is held against.
 */
static inline void volume_sizes(struct volume *volume)
{
	const volatile struct exo_volume *page = volume->page;

	volume->blocks = page->blocks;
	volume->buffers = page->buffers < EXO_VOLUME_BUFFERS_MAX ? page->buffers : EXO_VOLUME_BUFFERS_MAX;
	volume->map = page->map;
	volume->buffer_first = page->buffer_first;
}

/* A number that is none is taken for the root, which is not there to be gained. */
static inline const volatile struct exo_volume_block *volume_entry(const struct volume *volume, uint32_t block)
{
	return (const volatile struct exo_volume_block *)((const char *)volume->page +
	    (size_t)volume->map * EXO_PAGE_SIZE) + (block < volume->blocks ? block : 0);
}

static inline const uint8_t *volume_buffer(const struct volume *volume, uint32_t buffer)
{
	return (const uint8_t *)volume->page + ((size_t)(volume->buffer_first + buffer) << EXO_PAGE_SHIFT);
}

static inline unsigned volume_share_of(const volatile struct exo_volume_block *block)
{
	return block->flags >> EXO_BLOCK_SHARE;
}

static inline const volatile struct exo_volume_share *volume_share(const struct volume *volume, unsigned share)
{
	return (const volatile struct exo_volume_share *)((const char *)volume->page + EXO_PAGE_SIZE) + share;
}

/* Metadata whose buffer holds it, and of which is known what it owns. */
static inline bool volume_is_there(const volatile struct exo_volume_block *block)
{
	return !(~block->flags & (EXO_BLOCK_LOADED | EXO_BLOCK_WALKED));
}

static inline bool volume_is_owned(const volatile struct exo_volume_block *block)
{
	uint8_t state = block->state;

	return state == EXO_BLOCK_FRESH || state == EXO_BLOCK_OWNED;
}

#endif
