/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An empty cofs: a root leaf with the root directory's inode, the bits of those chunks where something is in use, an index
 * block for each that has one of them, an empty log, and the superblocks last.
 */
#include "libos/fs/cofs_private.h"

struct make {
	struct block_device *device;
	struct cofs_super super;
	uint32_t chunks, indexes, fixed;
	uint8_t *page, *index;
};

static int root_write(struct make *make, struct fs_time now)
{
	struct cofs_head *head = (struct cofs_head *)make->page;
	struct cofs_inode inode = {
		.kind = FS_DIRECTORY, .mode = 0755, .links = 2, .group = COFS_ROOT >> COFS_GROUP_SHIFT, .number_next = 1,
		.accessed = now.seconds, .modified = now.seconds, .changed = now.seconds, .accessed_ns = now.nanoseconds,
		.modified_ns = now.nanoseconds, .changed_ns = now.nanoseconds, .device_or_parent = COFS_ROOT,
	};

	memset(make->page, 0, BLOCK_BYTES);
	*head = (struct cofs_head){ .magic = COFS_HEAD_MAGIC, .count = 1, .heap = BLOCK_BYTES - sizeof(inode),
		.used = sizeof(inode), .block = make->fixed, .generation = 1 };
	cofs_slots(head)[0] = (struct cofs_slot){ .key = cofs_key(COFS_ROOT, COFS_INODE, 0), .at = head->heap,
		.bytes = sizeof(inode) };
	memcpy(make->page + head->heap, &inode, sizeof(inode));
	make->super.root = make->fixed;
	make->super.root_sum = cofs_sum(make->page, BLOCK_BYTES);
	return block_write(make->device, make->fixed, 1, make->page, 0);
}

/* The bits of a chunk: whether anything is in use, and how much is free. */
static bool chunk_fill(struct make *make, uint32_t number, uint32_t *open)
{
	uint64_t begin = (uint64_t)number * COFS_CHUNK_BLOCKS;
	bool used = false;

	*open = COFS_CHUNK_BLOCKS;
	if (begin > make->fixed && begin + COFS_CHUNK_BLOCKS <= make->super.blocks - 1)
		return false;
	memset(make->page, 0, BLOCK_BYTES);
	for (uint32_t i = 0; i < COFS_CHUNK_BLOCKS; i++)
		if (begin + i <= make->fixed || begin + i >= make->super.blocks - 1) {
			make->page[i / 8] |= (uint8_t)(1 << i % 8);
			(*open)--;
			used = true;
		}
	return used;
}

static int space_write(struct make *make)
{
	struct cofs_index *index = (struct cofs_index *)make->index;
	uint32_t first_chunk = 1 + 2 * make->indexes;
	int error = 0;

	for (uint32_t i = 0; i < make->indexes && !error; i++) {
		bool any = false;

		memset(index, 0, sizeof(*index));
		for (uint32_t j = 0; j < COFS_INDEX_CHUNKS && i * COFS_INDEX_CHUNKS + j < make->chunks && !error; j++) {
			struct cofs_index_entry *entry = &index->entry[j];
			uint32_t number = i * COFS_INDEX_CHUNKS + j, open;

			if (!chunk_fill(make, number, &open))
				continue;
			uint64_t sum = cofs_sum(make->page, BLOCK_BYTES);

			any = true;
			*entry = (struct cofs_index_entry){ (uint32_t)sum, (uint32_t)(sum >> 32), open };
			error = block_write(make->device, first_chunk + number, 1, make->page, 0);
		}
		if (!any || error)
			continue;
		make->super.index_sum[i] = cofs_sum(index, BLOCK_BYTES);
		error = block_write(make->device, 1 + i, 1, index, 0);
	}
	return error;
}

static int log_clear(struct make *make)
{
	int error = 0;

	memset(make->page, 0, BLOCK_BYTES);
	for (uint32_t i = 0; i < make->super.log_blocks && !error; i++)
		error = block_write(make->device, make->super.log_first + i, 1, make->page, 0);
	return error;
}

static int all(struct make *make, struct fs_time now)
{
	int error = root_write(make, now);

	if (!error)
		error = space_write(make);
	if (!error)
		error = log_clear(make);
	if (!error)
		error = block_flush(make->device);
	if (!error)
		error = cofs_super_write(make->device, &make->super, true, make->page, false);
	if (!error)
		error = cofs_super_write(make->device, &make->super, false, make->page, false);
	return error ? error : block_flush(make->device);
}

int cofs_make(struct block_device *device, const char *label, const uint8_t id[16], struct fs_time (*now)(void))
{
	struct make make = { .device = device };
	struct cofs_super *super = &make.super;
	uint32_t log_blocks;
	int error = -ENOMEM;

	if (device->blocks < COFS_BLOCKS_MIN || (label && strlen(label) >= sizeof(super->label)))
		return -EINVAL;
	super->magic = COFS_MAGIC;
	super->version = COFS_VERSION;
	memcpy(super->id, id, sizeof(super->id));
	if (label)
		memcpy(super->label, label, strlen(label));
	super->generation = 1;
	super->seed = cofs_sum(id, 16);
	super->group_next = 2;
	super->files = 1;
	super->levels = 1;
	super->blocks = device->blocks < COFS_BLOCKS_MAX ? device->blocks : COFS_BLOCKS_MAX;
	cofs_space_layout(super->blocks, &make.chunks, &make.indexes, &make.fixed, &log_blocks);
	super->log_first = make.fixed - log_blocks;
	super->log_blocks = log_blocks;
	make.page = block_memory(device, 1);
	make.index = block_memory(device, 1);
	if (make.page && make.index)
		error = all(&make, now ? now() : (struct fs_time){ 0, 0 });
	if (make.page)
		block_memory_free(device, make.page, 1);
	if (make.index)
		block_memory_free(device, make.index, 1);
	return error;
}
