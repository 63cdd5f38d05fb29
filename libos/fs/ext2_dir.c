/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: directories. Blocks full of records; a record reaches to the next one, and the last to the block's end.
 *
 * Records never move, so the place of a record is a cursor that stays good: one that was removed has become part of the
 * record before it, and reading goes on at the next record behind its place. New names go into the first room behind
 * `room_from`, or into a new block. Trees of hashes are not used; a directory that has one loses it when a name comes
 * in, as its blocks are also a valid list of records.
 *
 * A record is believed if it lies in its block, is long enough for its name, and its inode's number can be; a block with
 * another one in it is damaged, and so is a directory with a hole.
 */
#include "libos/fs/ext2_impl.h"

#define DIRECTORY_MAX	0x7fffffff	/* bytes */

static const uint8_t type_of_kind[] = {
	[FS_FILE] = 1, [FS_DIRECTORY] = 2, [FS_SYMLINK] = 7, [FS_FIFO] = 5, [FS_SOCKET] = 6, [FS_CHARACTER] = 3, [FS_BLOCK] = 4,
};
static const uint8_t kind_of_type[8] = {
	[1] = FS_FILE, [2] = FS_DIRECTORY, [7] = FS_SYMLINK, [5] = FS_FIFO, [6] = FS_SOCKET, [3] = FS_CHARACTER, [4] = FS_BLOCK,
};

static inline struct ext2_record *record_at(uint8_t *part, uint32_t offset)
{
	return (struct ext2_record *)(part + offset);
}

static inline bool sound(const struct ext2 *e, const struct ext2_record *record, uint32_t offset)
{
	return record->bytes >= 12 && record->bytes % 4 == 0 && record->bytes <= e->block_bytes - offset &&
	    EXT2_RECORD_BYTES(record->name_bytes) <= record->bytes && record->inode <= e->super.inodes &&
	    (record->name_bytes || !record->inode);
}

static inline bool is_dots(const struct ext2_record *record)
{
	return record->name[0] == '.' && (record->name_bytes == 1 || (record->name_bytes == 2 && record->name[1] == '.'));
}

/* A block of a directory, held in slot->buffer; slot->where is set. */
static int get_block(struct ext2_inode *directory, uint32_t logical, struct ext2_slot *slot)
{
	struct ext2 *e = ext2_of(&directory->node);
	uint32_t run;
	int r = ext2_map(directory, logical, 1, &slot->where, &run);

	slot->buffer = NULL;
	if (r < 0)
		return r;
	if (!slot->where)
		return ext2_damaged(e);
	return ext2_get(e, slot->where, &slot->buffer);
}

void ext2_slot_put(struct ext2 *e, struct ext2_slot *slot)
{
	if (slot->buffer)
		cache_put(e->fs.cache, slot->buffer);
	slot->buffer = NULL;
}

static uint32_t blocks_of(const struct ext2_inode *directory)
{
	return (uint32_t)(directory->bytes >> ext2_of(&directory->node)->block_shift);
}

int ext2_find(struct ext2_inode *directory, const char *name, size_t bytes, struct ext2_slot *slot)
{
	struct ext2 *e = ext2_of(&directory->node);
	struct ext2_record *record;
	int r;

	for (uint32_t logical = 0; logical < blocks_of(directory); logical++) {
		uint8_t *part;

		r = get_block(directory, logical, slot);
		if (r < 0)
			return r;
		part = ext2_part(e, slot->buffer, slot->where);
		for (slot->offset = 0; slot->offset < e->block_bytes; slot->offset += record->bytes) {
			record = record_at(part, slot->offset);
			if (!sound(e, record, slot->offset)) {
				ext2_slot_put(e, slot);
				return ext2_damaged(e);
			}
			if (record->name_bytes == bytes && record->inode && record->name[0] == name[0] &&
			    !memcmp(record->name, name, bytes)) {
				slot->inode = record->inode;
				return 0;
			}
		}
		ext2_slot_put(e, slot);
	}
	return -ENOENT;
}

/* A block more, empty. */
static int append(struct ext2_inode *directory, struct ext2_slot *slot)
{
	struct ext2 *e = ext2_of(&directory->node);
	uint32_t logical = blocks_of(directory), run;
	struct ext2_record *record;
	int r;

	if (directory->bytes > DIRECTORY_MAX - e->block_bytes)
		return -ENOSPC;
	r = ext2_map(directory, logical, 1, &slot->where, &run);
	if (r == 0 && slot->where)
		r = ext2_damaged(e);	/* a block behind the end */
	if (r == 0)
		r = ext2_map_new(directory, logical, 1, &slot->where, &run);
	if (r < 0)
		return r;
	if (ext2_alone(directory, ext2_buffer_of(e, slot->where), (struct ext2_extent){ slot->where, 1 }))
		r = cache_get_new(e->fs.cache, ext2_buffer_of(e, slot->where), &slot->buffer);
	else
		r = ext2_get(e, slot->where, &slot->buffer);
	if (r < 0) {
		slot->buffer = NULL;
		ext2_map_undo(directory, logical, 1);
		return r;
	}
	record = record_at(ext2_part(e, slot->buffer, slot->where), 0);
	memset(record, 0, e->block_bytes);
	record->bytes = (uint16_t)e->block_bytes;
	slot->offset = 0;
	slot->inode = 0;
	ext2_changed_new(e, slot->buffer, slot->where);
	directory->bytes += e->block_bytes;
	directory->dirty = directory->reshaped = true;
	return 0;
}

int ext2_make_room(struct ext2_inode *directory, size_t bytes, struct ext2_slot *slot)
{
	struct ext2 *e = ext2_of(&directory->node);
	uint32_t need = EXT2_RECORD_BYTES(bytes);
	struct ext2_record *record;
	int r;

	for (uint32_t logical = directory->room_from; logical < blocks_of(directory); logical++) {
		uint8_t *part;

		r = get_block(directory, logical, slot);
		if (r < 0)
			return r;
		part = ext2_part(e, slot->buffer, slot->where);
		for (slot->offset = 0; slot->offset < e->block_bytes; slot->offset += record->bytes) {
			record = record_at(part, slot->offset);
			if (!sound(e, record, slot->offset)) {
				ext2_slot_put(e, slot);
				return ext2_damaged(e);
			}
			if (record->bytes - (record->inode ? EXT2_RECORD_BYTES(record->name_bytes) : 0) >= need) {
				directory->room_from = logical;
				return 0;
			}
		}
		ext2_slot_put(e, slot);
	}
	return append(directory, slot);
}

static void set_inode(struct ext2 *e, struct ext2_record *record, const struct ext2_inode *inode)
{
	record->inode = (uint32_t)inode->node.number;
	record->type = e->filetype ? type_of_kind[inode->node.kind] : 0;
}

static void changed(struct ext2_inode *directory, struct ext2_slot *slot)
{
	ext2_changed(ext2_of(&directory->node), slot->buffer, EXT2_PIN_DIR);
	directory->version++;
	ext2_touch(directory, true);
}

void ext2_enter(struct ext2_inode *directory, struct ext2_slot *slot, const char *name, size_t bytes,
    const struct ext2_inode *inode)
{
	struct ext2 *e = ext2_of(&directory->node);
	struct ext2_record *record = record_at(ext2_part(e, slot->buffer, slot->where), slot->offset);

	if (record->inode) {
		uint16_t used = EXT2_RECORD_BYTES(record->name_bytes), rest = record->bytes - used;

		record->bytes = used;
		slot->offset += used;
		record = record_at((uint8_t *)record, used);
		record->bytes = rest;
	}
	record->name_bytes = (uint8_t)bytes;
	memcpy(record->name, name, bytes);
	set_inode(e, record, inode);
	directory->flags &= ~EXT2_FLAG_INDEX;
	changed(directory, slot);
}

void ext2_redirect(struct ext2_inode *directory, struct ext2_slot *slot, const struct ext2_inode *inode)
{
	struct ext2 *e = ext2_of(&directory->node);

	set_inode(e, record_at(ext2_part(e, slot->buffer, slot->where), slot->offset), inode);
	ext2_changed(e, slot->buffer, EXT2_PIN_DIR);
	directory->version++;
}

void ext2_remove(struct ext2_inode *directory, struct ext2_slot *slot)
{
	struct ext2 *e = ext2_of(&directory->node);
	uint8_t *part = ext2_part(e, slot->buffer, slot->where);
	struct ext2_record *record = record_at(part, slot->offset), *before = record_at(part, 0);

	/* The block was checked when the record was found, and changed by us only. */
	while (before < record && record_at((uint8_t *)before, before->bytes) < record)
		before = record_at((uint8_t *)before, before->bytes);
	if (before < record)
		before->bytes += record->bytes;
	record->inode = 0;
	directory->room_from = 0;
	changed(directory, slot);
}

int ext2_dir_begin(struct ext2_inode *directory, const struct ext2_inode *parent)
{
	struct ext2 *e = ext2_of(&directory->node);
	struct ext2_slot slot;
	int r = append(directory, &slot);

	if (r < 0)
		return r;
	ext2_enter(directory, &slot, ".", 1, directory);
	ext2_enter(directory, &slot, "..", 2, parent);
	ext2_slot_put(e, &slot);
	return 0;
}

void ext2_dir_bare(const struct ext2 *e, uint8_t *part)
{
	struct ext2_record *record = record_at(part, 0);

	if (record->inode && is_dots(record)) {
		record_at(part, record->bytes)->bytes = (uint16_t)(e->block_bytes - record->bytes);
		return;
	}
	record->inode = 0;
	record->name_bytes = 0;
	record->bytes = (uint16_t)e->block_bytes;
}

int ext2_find_parent(struct ext2_inode *directory, struct ext2_slot *slot)
{
	struct ext2 *e = ext2_of(&directory->node);
	struct ext2_record *record;
	uint8_t *part;
	int r = get_block(directory, 0, slot);

	if (r < 0)
		return r;
	part = ext2_part(e, slot->buffer, slot->where);
	record = record_at(part, 0);
	if (sound(e, record, 0) && record->name_bytes == 1 && is_dots(record) && record->bytes < e->block_bytes) {
		slot->offset = record->bytes;
		record = record_at(part, slot->offset);
		slot->inode = record->inode;
		if (sound(e, record, slot->offset) && record->name_bytes == 2 && is_dots(record) && record->inode)
			return 0;
	}
	ext2_slot_put(e, slot);
	return ext2_damaged(e);
}

int ext2_dir_empty(struct ext2_inode *directory)
{
	struct ext2 *e = ext2_of(&directory->node);
	struct ext2_record *record;
	struct ext2_slot slot;
	int r = 1;

	for (uint32_t logical = 0; logical < blocks_of(directory) && r == 1; logical++) {
		uint8_t *part;

		r = get_block(directory, logical, &slot);
		if (r < 0)
			return r;
		part = ext2_part(e, slot.buffer, slot.where);
		r = 1;
		for (uint32_t offset = 0; offset < e->block_bytes && r == 1; offset += record->bytes) {
			record = record_at(part, offset);
			if (!sound(e, record, offset))
				r = ext2_damaged(e);
			else if (record->inode && !is_dots(record))
				r = 0;
		}
		ext2_slot_put(e, &slot);
	}
	return r;
}

/* The offset of the first record at `offset` or behind it; block_bytes: none. */
static int64_t align(const struct ext2 *e, uint8_t *part, uint32_t offset)
{
	uint32_t at = 0;

	while (at < offset && at < e->block_bytes) {
		struct ext2_record *record = record_at(part, at);

		if (!sound(e, record, at))
			return -FS_EDAMAGED;
		at += record->bytes;
	}
	return at;
}

/* A record for the reader. False: its name is none. */
static bool give(const struct ext2_record *record, struct fs_entry *entry)
{
	if (memchr(record->name, '/', record->name_bytes) || memchr(record->name, 0, record->name_bytes))
		return false;
	entry->number = record->inode;
	entry->kind = kind_of_type[record->type & 7];
	entry->bytes = record->name_bytes;
	memcpy(entry->name, record->name, record->name_bytes);
	entry->name[record->name_bytes] = 0;
	return true;
}

/* The first entry of one block at `offset` or behind it; the offset behind that is given back. 0: there is none. */
static int64_t next_of_block(struct ext2 *e, uint8_t *part, uint32_t offset, struct fs_entry *entry)
{
	struct ext2_record *record;

	for (; offset < e->block_bytes; offset += record->bytes) {
		record = record_at(part, offset);
		if (!sound(e, record, offset))
			return -FS_EDAMAGED;
		if (record->inode && !is_dots(record))
			return give(record, entry) ? (int64_t)offset + record->bytes : -FS_EDAMAGED;
	}
	return 0;
}

int ext2_readdir(struct fs_node *node, uint64_t *cursor, struct fs_entry *entry)
{
	struct ext2_inode *directory = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(node);
	struct ext2_slot slot;
	uint64_t at = *cursor;

	if (node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	while (at < directory->bytes) {
		int64_t offset = at & (e->block_bytes - 1);
		int r = get_block(directory, (uint32_t)(at >> e->block_shift), &slot);

		if (r < 0)
			return r;
		at -= (uint64_t)offset;
		if (directory->cursor != *cursor || directory->cursor_version != directory->version)
			offset = align(e, ext2_part(e, slot.buffer, slot.where), (uint32_t)offset);
		if (offset >= 0)
			offset = next_of_block(e, ext2_part(e, slot.buffer, slot.where), (uint32_t)offset, entry);
		ext2_slot_put(e, &slot);
		if (offset < 0)
			return ext2_damaged(e);
		if (offset) {
			*cursor = directory->cursor = at + (uint64_t)offset;
			directory->cursor_version = directory->version;
			return 1;
		}
		at += e->block_bytes;
	}
	return 0;
}

int ext2_parent(struct fs_node *node, struct fs_node **parent)
{
	struct ext2 *e = ext2_of(node);
	struct ext2_inode *inode;
	struct ext2_slot slot;
	int r;

	if (node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	r = ext2_find_parent((struct ext2_inode *)node, &slot);
	if (r < 0)
		return r;
	ext2_slot_put(e, &slot);
	r = ext2_inode_get(e, node->number == EXT2_ROOT ? EXT2_ROOT : slot.inode, &inode);
	if (r < 0)
		return r;
	if (inode->node.kind != FS_DIRECTORY) {
		fs_put(&inode->node);
		return ext2_damaged(e);
	}
	*parent = &inode->node;
	return 0;
}
