/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume without a kernel: for programs of the host that have an image for themselves (exo-fs).
 *
 * It keeps what the kernel would keep, in the same structures, and marks what slots say; it refuses what is not free, but knows
 * no rights and no order of writes: a file system that is made so is whole when it is unmounted. Nodes are their block + 1.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/fs/common.h"
#include "libos/fs/common_disk.h"
#include "libos/fs/volume_plain.h"

#define BUFFERS	100

struct plain {
	struct volume volume;	/* first */
	struct block_device device, *below;
	struct exo_volume *page;
	uint32_t pages;
};

static struct exo_volume_block *entry_of(struct plain *plain, uint32_t block)
{
	return (struct exo_volume_block *)((char *)plain->page + (size_t)plain->page->map * EXO_PAGE_SIZE) + block;
}

static uint8_t *bytes_of(struct plain *plain, uint32_t buffer)
{
	return (uint8_t *)plain->page + ((size_t)(plain->page->buffer_first + buffer) << EXO_PAGE_SHIFT);
}

/* What a block's slots name is its own. */
static int64_t walk(struct plain *plain, uint32_t block)
{
	struct exo_volume_block *entry = entry_of(plain, block), *owned;
	const struct common_block *bytes = (const struct common_block *)(void *)bytes_of(plain, entry->buffer);

	for (unsigned i = 0; entry->type != COMMON_NAMES && i < COMMON_SLOTS; i++) {
		const struct common_slot *slot = &bytes->slots[i / COMMON_SECTOR_SLOTS].slot[i % COMMON_SECTOR_SLOTS];
		uint32_t count = common_count(slot);

		if (!slot->block)
			continue;
		if (!count || slot->block >= plain->page->blocks || count > plain->page->blocks - slot->block)
			return -EXO_EREJECTED;
		for (uint32_t n = 0; n < count; n++) {
			owned = entry_of(plain, slot->block + n);
			if (owned->state != EXO_BLOCK_FREE)
				return -EXO_EREJECTED;
			*owned = (struct exo_volume_block){ .state = EXO_BLOCK_OWNED, .type = (uint8_t)common_type(slot), .parent = block,
				.buffer = EXO_VOLUME_NONE };
			entry->owned++;
		}
	}
	entry->flags |= EXO_BLOCK_WALKED;
	return 0;
}

static int64_t plain_load(struct volume *volume, uint64_t node, uint32_t block, uint32_t buffer)
{
	struct plain *plain = (struct plain *)volume;
	struct exo_volume_block *entry = entry_of(plain, block), *other;
	struct exo_volume_buffer *place = &plain->page->buffer[buffer];

	(void)node;
	if (entry->buffer != EXO_VOLUME_NONE)
		return entry->flags & EXO_BLOCK_WALKED ? 0 : walk(plain, block);
	if (place->block != EXO_VOLUME_NONE) {
		other = entry_of(plain, place->block);
		if (other->changed != other->written)
			return -EXO_EBUSY;
		other->buffer = EXO_VOLUME_NONE;
		other->flags &= (uint8_t)~EXO_BLOCK_LOADED;
		place->block = EXO_VOLUME_NONE;
	}
	if (entry->state == EXO_BLOCK_FRESH)
		memset(bytes_of(plain, buffer), 0, EXO_PAGE_SIZE);
	else if (block_read(plain->below, block, 1, bytes_of(plain, buffer)))
		return -EXO_EDEVICE;
	entry->state = EXO_BLOCK_OWNED;
	entry->flags |= EXO_BLOCK_LOADED;
	entry->buffer = buffer;
	place->block = block;
	return entry->flags & EXO_BLOCK_WALKED ? 0 : walk(plain, block);
}

static int64_t plain_open(struct volume *volume, uint64_t node, uint32_t block, bool write)
{
	(void)volume, (void)node, (void)write;
	return (int64_t)block + 1;
}

static void plain_drop(struct volume *volume, uint64_t node)
{
	(void)volume, (void)node;
}

static int64_t plain_change(struct volume *volume, uint64_t node, const struct exo_node_change *change)
{
	struct plain *plain = (struct plain *)volume;
	uint32_t block = (uint32_t)node - 1;
	struct exo_volume_block *entry = entry_of(plain, block), *other;
	uint8_t *bytes;

	if (entry->buffer == EXO_VOLUME_NONE)
		return -EXO_EBUSY;
	bytes = bytes_of(plain, entry->buffer) + change->at;
	if (memcmp(bytes, change->old, change->bytes))
		return -EXO_EBUSY;
	for (uint32_t i = 0; i < change->gains; i++)
		if (entry_of(plain, change->gain[i].block)->state != EXO_BLOCK_FREE)
			return -EXO_ERIGHTS;
	memcpy(bytes, change->new, change->bytes);
	entry->changed = ++plain->page->clock;
	for (uint32_t i = 0; i < change->losses; i++) {
		other = entry_of(plain, change->loss[i].block);
		if (other->buffer != EXO_VOLUME_NONE)
			plain->page->buffer[other->buffer].block = EXO_VOLUME_NONE;
		*other = (struct exo_volume_block){ .state = EXO_BLOCK_FREE, .buffer = EXO_VOLUME_NONE };
	}
	for (uint32_t i = 0; i < change->gains; i++)
		*entry_of(plain, change->gain[i].block) = (struct exo_volume_block){ .state = EXO_BLOCK_FRESH,
			.type = (uint8_t)change->gain[i].type, .flags = EXO_BLOCK_WALKED, .parent = block, .birth = entry->changed,
			.changed = entry->changed, .written = entry->changed, .buffer = EXO_VOLUME_NONE };
	entry->owned += change->gains - change->losses;
	return 0;
}

/* One program has it all. */
static int64_t plain_share(struct volume *volume, uint32_t block, unsigned share, uint32_t left, uint32_t buffer, uint32_t end)
{
	(void)volume, (void)block, (void)share, (void)left, (void)buffer, (void)end;
	return 0;
}

static void plain_pause(struct volume *volume)
{
	(void)volume;
}

static void plain_close(struct volume *volume)
{
	struct plain *plain = (struct plain *)volume;

	block_memory_free(plain->below, plain->page, plain->pages);
	free(plain);
}

static const struct volume_ops plain_ops = { .load = plain_load, .open = plain_open, .drop = plain_drop, .change = plain_change, .share = plain_share,
	.pause = plain_pause, .close = plain_close };

/* --- its device ------------------------------------------------------------------------------------------- */

static struct plain *plain_of(struct block_device *device)
{
	return (struct plain *)((char *)device - offsetof(struct plain, device));
}

static void device_submit(struct block_device *device, struct block_request *request)
{
	struct plain *plain = plain_of(device);
	struct exo_volume_block *entry = entry_of(plain, request->block);

	if (request->operation == BLOCK_WRITE && entry->type) {
		request->device = device;
		request->pending = false;
		request->result = block_write(plain->below, request->block, 1, bytes_of(plain, entry->buffer), 0);
		if (!request->result)
			entry->written = entry->changed;
		return;
	}
	for (uint32_t i = 0; request->operation == BLOCK_WRITE && i < request->count; i++)
		entry[i].state = EXO_BLOCK_OWNED;
	block_submit(plain->below, request);
}

static void device_wait(struct block_device *device, struct block_request *request)
{
	(void)block_wait(plain_of(device)->below, request);
}

static void device_poll(struct block_device *device)
{
	block_poll(plain_of(device)->below);
}

static void *device_memory(struct block_device *device, uint32_t pages)
{
	return block_memory(plain_of(device)->below, pages);
}

static void device_memory_free(struct block_device *device, void *memory, uint32_t pages)
{
	block_memory_free(plain_of(device)->below, memory, pages);
}

static void device_close(struct block_device *device)
{
	(void)device;
}

static const struct block_device_ops device_ops = { .submit = device_submit, .wait = device_wait, .poll = device_poll,
	.memory = device_memory, .memory_free = device_memory_free, .close = device_close };

int volume_plain(struct block_device *below, bool read_only, struct volume **volume)
{
	struct plain *plain = calloc(1, sizeof(*plain));
	uint32_t pages = (uint32_t)exo_volume_frames(below->blocks, BUFFERS);

	if (!plain)
		return -ENOMEM;
	plain->page = block_memory(below, pages);
	if (!plain->page) {
		free(plain);
		return -ENOMEM;
	}
	memset(plain->page, 0, (size_t)pages * EXO_PAGE_SIZE);
	plain->pages = pages;
	plain->below = below;
	*plain->page = (struct exo_volume){ .version = EXO_VOLUME_VERSION, .size = sizeof(*plain->page), .blocks = below->blocks,
		.buffers = BUFFERS, .map = 2, .buffer_first = pages - BUFFERS };
	for (uint32_t i = 0; i < EXO_VOLUME_BUFFERS_MAX; i++)
		plain->page->buffer[i].block = EXO_VOLUME_NONE;
	for (uint32_t i = 0; i < below->blocks; i++)
		entry_of(plain, i)->buffer = EXO_VOLUME_NONE;
	entry_of(plain, 0)->state = EXO_BLOCK_OWNED;
	entry_of(plain, 0)->type = EXO_VOLUME_TYPE_ROOT;
	plain->device = (struct block_device){ .ops = &device_ops, .blocks = below->blocks,
		.flags = below->flags & BLOCK_READ_ONLY };
	plain->volume = (struct volume){ .ops = &plain_ops, .page = plain->page, .device = &plain->device, .see = 1,
		.own = read_only ? 0 : 1, .made = true };
	volume_sizes(&plain->volume);
	*volume = &plain->volume;
	return 0;
}
