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
	void (*pause)(struct volume *volume);	/* somebody else is at it: let time pass */
	void (*close)(struct volume *volume);
};

struct volume {
	const struct volume_ops *ops;
	const struct exo_volume *page;	/* its first frame; the others behind it */
	struct block_device *device;
	/* What its user may use: a node to see everything by, and one to change what is below it (may be the same). */
	uint64_t see, own;
	uint32_t own_block;
	bool made;			/* by this mount: nobody else has it yet */
};

static inline const volatile struct exo_volume_block *volume_entry(const struct volume *volume, uint32_t block)
{
	return (const volatile struct exo_volume_block *)((const char *)volume->page +
	    (size_t)volume->page->map * EXO_PAGE_SIZE) + block;
}

static inline const uint8_t *volume_buffer(const struct volume *volume, uint32_t buffer)
{
	return (const uint8_t *)volume->page + ((size_t)(volume->page->buffer_first + buffer) << EXO_PAGE_SHIFT);
}

static inline bool volume_is_owned(const volatile struct exo_volume_block *block)
{
	uint8_t state = block->state;

	return state == EXO_BLOCK_FRESH || state == EXO_BLOCK_OWNED;
}

#endif
