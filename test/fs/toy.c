/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system to try the rigs with: the one in memory, written to the disk as a whole by each fsync and sync.
 *
 * Two halves of the disk take turns; a flush, a superblock that names the half, and another flush. Nothing but this order
 * says that a half is complete, so that with the option "hasty", which leaves out the first flush, or "lying", which leaves
 * out the second one, power cuts must show. It is slow, and fails when the tree does not fit in a half.
 */
#include <stdlib.h>
#include <string.h>

#include "test/fs/toy.h"

struct super {
	uint64_t generation, bytes, sum;
};

struct record {
	uint64_t number;		/* links of one node have the same */
	uint64_t size;
	int64_t modified;
	uint32_t uid, gid, depth;
	uint16_t mode, name_bytes;
	uint8_t kind;
};

#define TOYS	64	/* mounted at a time */

static struct toy {
	struct block_device *device;
	struct fs *fs;
	struct fs_node *root;
	uint8_t *stream;
	uint64_t at, room, generation, bytes;
	bool hasty, lying;
	bool unsure;		/* the last superblock may have reached the disk, or not: it comes first */
	struct { uint64_t number; struct fs_node *node; } seen[4096];
	unsigned count;
} toys[TOYS], *toy;

struct fs_ops fs_toy;

static void enter(const struct fs *fs)
{
	toy = toys;
	while (toy->fs != fs)
		if (++toy == toys + TOYS)
			abort();
}

static bool put(const void *bytes, uint64_t count)
{
	if (toy->at + count > toy->room)
		return false;
	memcpy(toy->stream + toy->at, bytes, count);
	toy->at += count;
	return true;
}

static int save_node(struct fs_node *node, const char *name, uint32_t depth)
{
	struct fs_attributes is;
	struct record record;
	struct fs_entry entry;
	uint64_t cursor = 0;
	int error = fs_memory.attributes(node, &is);

	memset(&record, 0, sizeof(record));
	record = (struct record){ is.number, is.kind == FS_DIRECTORY ? 0 : is.bytes, is.modified.seconds, is.uid, is.gid, depth,
		is.mode, (uint16_t)strlen(name), is.kind };
	if (error || !put(&record, sizeof(record)) || !put(name, record.name_bytes) || toy->at + record.size > toy->room)
		return -ENOSPC;
	if (is.kind == FS_FILE)
		fs_memory.read(node, 0, toy->stream + toy->at, record.size);
	else if (is.kind == FS_SYMLINK)
		fs_memory.readlink(node, (char *)toy->stream + toy->at, record.size);
	toy->at += record.size;
	while (!error && is.kind == FS_DIRECTORY && fs_memory.readdir(node, &cursor, &entry) > 0) {
		struct fs_node *child;

		error = fs_memory.lookup(node, entry.name, entry.bytes, &child);
		if (!error) {
			error = save_node(child, entry.name, depth + 1);
			fs_put(child);
		}
	}
	return error;
}

static uint64_t sum_of(const struct super *super)
{
	return (super->generation * 0x9e3779b97f4a7c15u ^ super->bytes) * 0xbf58476d1ce4e5b9u + 1;
}

static int transfer(bool write, uint32_t half, uint64_t bytes)
{
	uint32_t first = 2 + half * (toy->device->blocks / 2 - 1), count = (uint32_t)((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
	int error = 0;

	for (uint32_t i = 0; i < count && !error; i += 64) {
		uint32_t n = count - i < 64 ? count - i : 64;
		uint8_t *memory = toy->stream + (uint64_t)i * BLOCK_BYTES;

		error = write ? block_write(toy->device, first + i, n, memory, 0) : block_read(toy->device, first + i, n, memory);
	}
	return error;
}

static int super_write(uint64_t generation, uint64_t bytes, uint8_t *block)
{
	struct super super = { .generation = generation, .bytes = bytes };
	int error;

	super.sum = sum_of(&super);
	memcpy(block, &super, sizeof(super));
	toy->generation = generation;
	toy->bytes = bytes;
	toy->unsure = true;
	error = block_write(toy->device, (uint32_t)(generation % 2), 1, block, 0);
	if (!error && !toy->lying)
		error = block_flush(toy->device);
	toy->unsure = error;
	return error;
}

static int save(void)
{
	uint8_t *block = block_memory(toy->device, 1);
	uint64_t generation;
	int error;

	if (!block)
		return -ENOMEM;
	if (toy->unsure) {
		error = super_write(toy->generation, toy->bytes, block);
		if (error) {
			block_memory_free(toy->device, block, 1);
			return error;
		}
	}
	generation = toy->generation + 1;
	toy->at = 0;
	error = save_node(toy->root, "", 0);
	if (!error)
		error = transfer(true, (uint32_t)(generation % 2), toy->at);
	if (!error && !toy->hasty)
		error = block_flush(toy->device);
	if (!error)
		error = super_write(generation, toy->at, block);
	block_memory_free(toy->device, block, 1);
	return error;
}

static int load_node(const struct record *record, struct fs_node *directory, const char *name, struct fs_node **made)
{
	struct fs_attributes how = { .kind = record->kind, .mode = record->mode, .uid = record->uid, .gid = record->gid };
	char target[FS_LINK_MAX + 1] = "";
	int error;

	for (unsigned i = 0; i < toy->count && record->kind != FS_DIRECTORY; i++)
		if (toy->seen[i].number == record->number) {
			*made = toy->seen[i].node;
			fs_hold(*made);
			return fs_memory.link(directory, name, record->name_bytes, *made);
		}
	if (record->kind == FS_SYMLINK)
		memcpy(target, toy->stream + toy->at, record->size);
	error = fs_memory.create(directory, name, record->name_bytes, &how, target, made);
	if (error)
		return error;
	if (record->kind == FS_FILE && record->size &&
	    fs_memory.write(*made, 0, toy->stream + toy->at, record->size) != (int64_t)record->size) {
		fs_put(*made);
		return -ENOMEM;
	}
	if (toy->count < 4096 && record->kind != FS_DIRECTORY) {
		fs_hold(*made);
		toy->seen[toy->count].number = record->number;
		toy->seen[toy->count++].node = *made;
	}
	return 0;
}

/* The stream as a tree. What cannot be is an error. */
static int load(uint64_t bytes)
{
	struct fs_node *path[70] = { toy->root };
	struct fs_attributes how = { 0 };
	struct record record;
	char name[FS_NAME_MAX + 1];
	uint32_t depth = 0;
	int error = 0;

	for (toy->at = toy->count = 0; toy->at < bytes && !error;) {
		memcpy(&record, toy->stream + toy->at, sizeof(record));
		toy->at += sizeof(record);
		if (record.depth > depth + 1 || record.depth >= 69 || record.name_bytes > FS_NAME_MAX || record.size > toy->room ||
		    record.kind < FS_FILE || record.kind > FS_BLOCK || toy->at + record.size + record.name_bytes > bytes)
			return -EIO;
		memcpy(name, toy->stream + toy->at, record.name_bytes);
		toy->at += record.name_bytes;
		how.modified.seconds = record.modified;
		if (record.depth) {
			for (; depth >= record.depth; depth--)
				fs_put(path[depth]);
			error = load_node(&record, path[record.depth - 1], name, &path[record.depth]);
			if (error)
				break;
			depth = record.depth;
		}
		toy->at += record.size;
		fs_memory.set(path[record.depth], &how, FS_SET_MODIFIED);
	}
	for (; depth; depth--)
		fs_put(path[depth]);
	while (toy->count)
		fs_put(toy->seen[--toy->count].node);
	return error;
}

static int mount(struct fs **fs, struct fs_node **root, const struct fs_mount *how)
{
	struct super super[2];
	uint8_t *block;
	unsigned best;
	int error;

	enter(NULL);
	error = fs_memory.mount(&toy->fs, &toy->root, &(struct fs_mount){ .options = "", .now = how->now });
	if (error) {
		toy->fs = NULL;
		return error;
	}
	toy->device = how->device;
	toy->unsure = false;
	toy->hasty = strstr(how->options, "hasty");
	toy->lying = strstr(how->options, "lying");
	toy->room = (uint64_t)(toy->device->blocks / 2 - 1) * BLOCK_BYTES;
	toy->stream = block_memory(toy->device, toy->device->blocks / 2 - 1);
	block = block_memory(toy->device, 1);
	if (!toy->stream || !block)
		error = -ENOMEM;
	memset(super, 0, sizeof(super));
	for (unsigned i = 0; i < 2 && !error; i++) {
		error = block_read(toy->device, i, 1, block);
		memcpy(&super[i], block, sizeof(super[i]));
		if (super[i].sum != sum_of(&super[i]) || super[i].bytes > toy->room)
			super[i].generation = super[i].bytes = 0;
	}
	if (block)
		block_memory_free(toy->device, block, 1);
	best = super[1].generation > super[0].generation;
	toy->generation = super[best].generation;
	if (!error)
		error = transfer(false, best, super[best].bytes);
	if (!error)
		error = load(super[best].bytes);
	*fs = toy->fs;
	*root = toy->root;
	if (error) {
		if (toy->stream)
			block_memory_free(toy->device, toy->stream, toy->device->blocks / 2 - 1);
		fs_memory.unmount(toy->fs);
		toy->fs = NULL;
	}
	return error;
}

static int unmount(struct fs *fs)
{
	int error;

	enter(fs);
	error = save();
	if (error)
		return error;
	block_memory_free(toy->device, toy->stream, toy->device->blocks / 2 - 1);
	toy->fs = NULL;
	return fs_memory.unmount(fs);
}

static int sync_all(struct fs *fs)
{
	enter(fs);
	return save();
}

static int fsync_node(struct fs_node *node, bool data_only)
{
	(void)data_only;
	enter(node->fs);
	return save();
}

void toy_begin(void)
{
	fs_toy = fs_memory;
	fs_toy.name = "toy";
	fs_toy.mount = mount;
	fs_toy.unmount = unmount;
	fs_toy.sync = sync_all;
	fs_toy.fsync = fsync_node;
}
