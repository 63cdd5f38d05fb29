/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device under the cache of data: each request goes through the node that owns its blocks.
 *
 * The cache puts neighbours together, whoever owns them; so a request is parted where the owner changes, and it is known which
 * capabilities are in use by what is under way. Blocks that are
 * nobody's data any more are not written (their file has gone, by another program's doing), and those that were never
 * written read as zeroes.
 */
#include <stdlib.h>
#include "libos/fs/common_impl.h"

struct split {
	struct split *next;
	struct block_request *whole;
	uint32_t count;
	struct block_request part[];
};

static struct common *fs_of(struct block_device *device)
{
	return (struct common *)((char *)device - offsetof(struct common, data));
}

enum how { THROUGH, ZEROES, NOTHING };

/* What is done with a block, and by whose capability. */
static enum how how_to(struct common *fs, uint32_t block, bool reads, uint32_t *owner)
{
	const volatile struct exo_volume_block *entry = common_entry_of(fs, block);

	*owner = entry->parent;
	if (!volume_is_owned(entry) || entry->type)
		return reads ? ZEROES : NOTHING;
	return reads && entry->state == EXO_BLOCK_FRESH ? ZEROES : THROUGH;
}

static uint32_t run_of(struct common *fs, const struct block_request *request, uint32_t at, enum how *how, uint32_t *owner)
{
	bool reads = request->operation == BLOCK_READ;
	uint32_t run = 1, other;

	*how = how_to(fs, request->block + at, reads, owner);
	while (at + run < request->count && how_to(fs, request->block + at + run, reads, &other) == *how && other == *owner)
		run++;
	return run;
}

/* Pages [at, at + count) of a request's memory. */
static void parts_of(const struct block_request *whole, uint32_t at, uint32_t count, struct block_request *part)
{
	uint32_t passed = 0;

	part->parts = 0;
	for (unsigned i = 0; i < whole->parts && count; i++) {
		uint32_t here = whole->part[i].blocks, skip = at > passed ? at - passed : 0, take;

		passed += here;
		if (skip >= here)
			continue;
		take = here - skip < count ? here - skip : count;
		part->part[part->parts].memory = (char *)whole->part[i].memory + (size_t)skip * BLOCK_BYTES;
		part->part[part->parts++].blocks = take;
		at += take;
		count -= take;
	}
}

static void zero(const struct block_request *part)
{
	for (unsigned i = 0; i < part->parts; i++)
		memset(part->part[i].memory, 0, (size_t)part->part[i].blocks * BLOCK_BYTES);
}

static void begin_part(struct common *fs, struct block_request *part, enum how how, uint32_t owner)
{
	struct block_device *device = fs->volume->device;

	part->pending = false;
	part->result = 0;
	part->through = how == THROUGH ? part->operation == BLOCK_READ ? common_cap_read(fs, owner) : common_cap(fs, owner) : 0;
	if (how == ZEROES)
		zero(part);
	else if (how == THROUGH && !part->through)
		part->result = -EACCES;
	else if (how == THROUGH)
		block_submit(device, part);
}

static void device_submit(struct block_device *data, struct block_request *request)
{
	struct common *fs = fs_of(data);
	uint32_t owner, run, count = 0, room;
	enum how how;
	struct split *split;

	if (request->operation > BLOCK_WRITE || request->block >= data->blocks || request->count > data->blocks - request->block) {
		request->through = fs->volume->own ? fs->volume->own : fs->volume->see;
		block_submit(fs->volume->device, request);
		return;
	}
	request->pending = true;
	request->device = data;
	for (uint32_t at = 0; at < request->count; at += run_of(fs, request, at, &how, &owner))
		count++;
	split = calloc(1, sizeof(*split) + count * sizeof(split->part[0]));
	room = count;
	count = 0;
	if (!split) {
		request->result = -ENOMEM;
		request->pending = false;
		return;
	}
	*split = (struct split){ .next = fs->splits, .whole = request };
	fs->splits = split;
	for (uint32_t at = 0; at < request->count; at += run) {
		struct block_request *part = &split->part[count++];

		/* Others change hands meanwhile; the kernel judges what is asked for in the end. */
		run = run_of(fs, request, at, &how, &owner);
		if (count == room)
			run = request->count - at;
		*part = (struct block_request){ .operation = request->operation, .block = request->block + at, .count = run };
		parts_of(request, at, run, part);
		split->count = count - 1;	/* what is under way */
		begin_part(fs, part, how, owner);
	}
	split->count = count;
}

void common_device_settle(struct common *fs, uint64_t cap)
{
	for (struct split *split = fs->splits; split; split = split->next)
		for (uint32_t i = 0; i < split->count; i++)
			if (split->part[i].through == cap)
				(void)block_wait(fs->volume->device, &split->part[i]);
}

/* All parts of a request have ended. */
static void end_split(struct common *fs, struct split **link)
{
	struct split *split = *link;
	struct block_request *whole = split->whole;

	*link = split->next;
	whole->result = 0;
	for (uint32_t i = 0; i < split->count; i++)
		whole->result = whole->result ? whole->result : split->part[i].result;
	whole->pending = false;
	free(split);
	(void)fs;
	if (whole->ended)
		whole->ended(whole);
}

static void device_wait(struct block_device *data, struct block_request *request)
{
	struct common *fs = fs_of(data);

	for (struct split **link = &fs->splits; *link; link = &(*link)->next)
		if ((*link)->whole == request) {
			struct split *split = *link;

			for (uint32_t i = 0; i < split->count; i++)
				(void)block_wait(fs->volume->device, &split->part[i]);
			for (link = &fs->splits; *link != split; link = &(*link)->next)
				;
			end_split(fs, link);
			return;
		}
	(void)block_wait(fs->volume->device, request);
}

static void device_poll(struct block_device *data)
{
	struct common *fs = fs_of(data);

	block_poll(fs->volume->device);
	for (struct split **link = &fs->splits; *link;) {
		uint32_t i = 0;

		while (i < (*link)->count && !(*link)->part[i].pending)
			i++;
		if (i == (*link)->count) {
			end_split(fs, link);
			link = &fs->splits;
		} else {
			link = &(*link)->next;
		}
	}
}

static void *device_memory(struct block_device *data, uint32_t pages)
{
	return block_memory(fs_of(data)->volume->device, pages);
}

static void device_memory_free(struct block_device *data, void *memory, uint32_t pages)
{
	block_memory_free(fs_of(data)->volume->device, memory, pages);
}

static void device_close(struct block_device *data)
{
	(void)data;
}

static const struct block_device_ops device_ops = {
	.submit = device_submit, .wait = device_wait, .poll = device_poll, .memory = device_memory,
	.memory_free = device_memory_free, .close = device_close,
};

void common_device_begin(struct common *fs)
{
	fs->data = (struct block_device){ .ops = &device_ops, .blocks = fs->volume->blocks,
		.flags = fs->volume->device->flags & BLOCK_READ_ONLY };
}
