/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: inodes in memory.
 *
 * An inode is in memory while somebody holds it, and beyond that while its link count on the disk has to stay higher
 * than it is (ext2_order.c), or it is on no disk yet: then it is *kept*, until a commit. It is changed in memory and
 * written to its place in the inode table's buffer when it is put, at an fsync, and at a commit; of that place only the
 * fields known here are changed, so that attributes behind them stay.
 */
#include <stdlib.h>

#include "libos/fs/ext2_impl.h"

#define TRIES	16	/* inodes that are called free and are not */

static struct fs_node **slot_of(struct ext2 *e, uint64_t number)
{
	return &e->hash[number % EXT2_HASH];
}

static struct ext2_inode *find(struct ext2 *e, uint32_t number)
{
	struct fs_node *node = *slot_of(e, number);

	while (node && node->number != number)
		node = node->hash_next;
	return (struct ext2_inode *)node;
}

static void insert(struct ext2 *e, struct ext2_inode *inode, uint32_t number)
{
	struct fs_node **slot = slot_of(e, number);

	inode->node.fs = &e->fs;
	inode->node.number = number;
	inode->node.holds = 1;
	inode->node.hash_next = *slot;
	if (*slot)
		(*slot)->hash_prev = &inode->node;
	*slot = &inode->node;
	inode->next = e->inodes;
	inode->link = &e->inodes;
	if (e->inodes)
		e->inodes->link = &inode->next;
	e->inodes = inode;
	inode->version = 1;
}

void ext2_inode_forget(struct ext2_inode *inode)
{
	struct ext2 *e = ext2_of(&inode->node);

	if (!inode->node.holds)
		e->kept--;
	*inode->link = inode->next;
	if (inode->next)
		inode->next->link = inode->link;
	if (inode->node.hash_prev)
		inode->node.hash_prev->hash_next = inode->node.hash_next;
	else
		*slot_of(e, inode->node.number) = inode->node.hash_next;
	if (inode->node.hash_next)
		inode->node.hash_next->hash_prev = inode->node.hash_prev;
	free(inode);
}

/* The buffer with an inode's place in the table, held, and that place. */
static int table_get(struct ext2 *e, uint32_t number, struct buffer **buffer, struct ext2_disk_inode **place)
{
	uint32_t group = (number - 1) / e->super.inodes_per_group;
	uint32_t at = (number - 1) % e->super.inodes_per_group * e->inode_bytes;
	uint32_t where = e->group[group].inode_table + (at >> e->block_shift);
	int r = ext2_get(e, where, buffer);

	if (r < 0)
		return r;
	*place = (struct ext2_disk_inode *)(ext2_part(e, *buffer, where) + (at & (e->block_bytes - 1)));
	return 0;
}

/* Does this inode have fields for times behind the old 128 bytes? */
static bool has_extra(const struct ext2 *e, const struct ext2_disk_inode *d)
{
	return e->inode_bytes >= sizeof(*d) && d->extra >= EXT2_EXTRA_TIMES && d->extra % 4 == 0 &&
	    d->extra <= e->inode_bytes - EXT2_INODE_OLD;
}

/* extra: NULL: there is none. */
static struct fs_time time_in(uint32_t seconds, const uint32_t *extra)
{
	struct fs_time time = { .seconds = (int32_t)seconds };

	if (extra) {
		time.seconds += (int64_t)(*extra & 3) << 32;
		time.nanoseconds = *extra >> 2;
		if (time.nanoseconds >= 1000000000)
			time.nanoseconds = 0;
	}
	return time;
}

static uint32_t time_out(struct fs_time time, uint32_t *extra)
{
	*extra = (uint32_t)((time.seconds - (int32_t)time.seconds) >> 32 & 3) | time.nanoseconds << 2;
	return (uint32_t)time.seconds;
}

static const uint8_t kind_of_mode[16] = {
	[1] = FS_FIFO, [2] = FS_CHARACTER, [4] = FS_DIRECTORY, [6] = FS_BLOCK, [8] = FS_FILE, [10] = FS_SYMLINK,
	[12] = FS_SOCKET,
};

static uint16_t mode_of_kind(uint8_t kind)
{
	for (unsigned i = 0; i < 16; i++)
		if (kind_of_mode[i] == kind)
			return (uint16_t)(i << 12);
	return 0;
}

static void decode(struct ext2 *e, struct ext2_inode *inode, const struct ext2_disk_inode *d)
{
	bool extra = has_extra(e, d);

	inode->node.kind = kind_of_mode[d->mode >> 12];
	inode->mode = d->mode;
	inode->links = inode->disk_links = d->links;
	inode->uid = d->uid | (uint32_t)d->uid_high << 16;
	inode->gid = d->gid | (uint32_t)d->gid_high << 16;
	inode->sectors = d->sectors;
	inode->flags = d->flags;
	inode->attributes = d->attributes;
	inode->generation = d->generation;
	inode->deleted = d->deleted;
	memcpy(inode->pointer, d->pointer, sizeof(inode->pointer));
	inode->bytes = d->size;
	if (inode->node.kind == FS_FILE)
		inode->bytes |= (uint64_t)d->size_high << 32;
	inode->accessed = time_in(d->accessed, extra ? &d->accessed_extra : NULL);
	inode->modified = time_in(d->modified, extra ? &d->modified_extra : NULL);
	inode->changed = time_in(d->changed, extra ? &d->changed_extra : NULL);
}

/* Can what was read be? */
static bool plausible(const struct ext2 *e, const struct ext2_inode *inode)
{
	if (inode->links == 0 || (inode->flags & EXT2_FLAGS_FOREIGN))
		return false;
	if (inode->attributes && !ext2_block_fits(e, inode->attributes))
		return false;
	switch (inode->node.kind) {
	case FS_FILE:
		return inode->bytes <= e->bytes_max;
	case FS_DIRECTORY:
		return inode->bytes && inode->bytes % e->block_bytes == 0 &&
		    inode->bytes >> e->block_shift <= e->super.blocks;
	case FS_SYMLINK:
		return inode->bytes && inode->bytes < (ext2_symlink_fast(inode) ? EXT2_FAST_MAX : e->block_bytes);
	default:
		return inode->node.kind;
	}
}

/* Bring one into memory. */
static int load(struct ext2 *e, uint32_t number, struct ext2_inode **inode)
{
	struct ext2_inode *new = calloc(1, sizeof(*new));
	struct ext2_disk_inode *place;
	struct buffer *buffer;
	int r = new ? table_get(e, number, &buffer, &place) : -ENOMEM;

	if (r < 0) {
		free(new);
		return r;
	}
	insert(e, new, number);
	decode(e, new, place);
	if (ext2_pinned(buffer))
		new->entered = e->commits;	/* perhaps */
	cache_put(e->fs.cache, buffer);
	if (!plausible(e, new)) {
		ext2_inode_forget(new);
		return ext2_damaged(e);
	}
	*inode = new;
	return 0;
}

int ext2_inode_get(struct ext2 *e, uint32_t number, struct ext2_inode **inode)
{
	struct ext2_inode *there;

	if (number > e->super.inodes || (number < e->first_inode && number != EXT2_ROOT))
		return ext2_damaged(e);
	there = find(e, number);
	if (!there)
		return load(e, number, inode);
	if (there->links == 0)
		return ext2_damaged(e);	/* a name of what is deleted */
	e->kept -= there->node.holds++ == 0;
	*inode = there;
	return 0;
}

/* A free inode that really is. */
static int take_unused(struct ext2 *e, uint32_t parent, bool directory, uint32_t *number)
{
	struct ext2_disk_inode *place;
	struct buffer *buffer;
	int r;

	for (unsigned i = 0; i < TRIES; i++) {
		r = ext2_take_inode(e, parent, directory, number);
		if (r < 0)
			return r;
		r = table_get(e, *number, &buffer, &place);
		if (r < 0) {
			ext2_give_inode(e, *number, directory, true);
			return r;
		}
		r = place->links || find(e, *number);
		cache_put(e->fs.cache, buffer);
		if (r == 0)
			return 0;
		ext2_damaged(e);	/* and it stays taken */
	}
	return -FS_EDAMAGED;
}

int ext2_inode_new(struct ext2_inode *parent, const struct fs_attributes *how, struct ext2_inode **inode)
{
	struct ext2 *e = ext2_of(&parent->node);
	struct ext2_inode *new = calloc(1, sizeof(*new));
	uint32_t number;
	int r;

	if (!new)
		return -ENOMEM;
	r = take_unused(e, (uint32_t)parent->node.number, how->kind == FS_DIRECTORY, &number);
	if (r < 0) {
		free(new);
		return r;
	}
	insert(e, new, number);
	new->node.kind = how->kind;
	new->mode = mode_of_kind(how->kind) | (how->mode & 07777);
	new->uid = how->uid;
	new->gid = how->gid;
	new->generation = e->generation++;
	new->accessed = new->modified = new->changed = ext2_now(e);
	new->born = e->epoch;
	new->dirty = new->reshaped = new->blank = true;
	if (how->kind == FS_CHARACTER || how->kind == FS_BLOCK) {
		uint32_t major = (uint32_t)how->device >> 8 & 0xfff;
		uint32_t minor = ((uint32_t)how->device & 0xff) | ((uint32_t)(how->device >> 12) & 0xfff00);

		if (major < 256 && minor < 256)
			new->pointer[0] = major << 8 | minor;
		else
			new->pointer[1] = (uint32_t)how->device;
	}
	*inode = new;
	return 0;
}

static void encode(struct ext2 *e, const struct ext2_inode *inode, struct ext2_disk_inode *d, uint32_t links)
{
	uint32_t changed, modified, accessed;

	d->mode = inode->mode;
	d->uid = (uint16_t)inode->uid;
	d->gid = (uint16_t)inode->gid;
	d->uid_high = (uint16_t)(inode->uid >> 16);
	d->gid_high = (uint16_t)(inode->gid >> 16);
	d->links = (uint16_t)links;
	d->size = (uint32_t)inode->bytes;
	if (inode->node.kind == FS_FILE)
		d->size_high = (uint32_t)(inode->bytes >> 32);
	d->sectors = inode->sectors;
	d->flags = inode->flags;
	d->attributes = inode->attributes;
	d->generation = inode->generation;
	memcpy(d->pointer, inode->pointer, sizeof(d->pointer));
	d->deleted = links ? 0 : (uint32_t)ext2_now(e).seconds;
	d->accessed = time_out(inode->accessed, &accessed);
	d->modified = time_out(inode->modified, &modified);
	d->changed = time_out(inode->changed, &changed);
	if (inode->blank && e->inode_bytes >= sizeof(*d)) {
		d->extra = sizeof(*d) - EXT2_INODE_OLD;
		d->created = d->changed;
		d->created_extra = changed;
	}
	if (has_extra(e, d)) {
		d->accessed_extra = accessed;
		d->modified_extra = modified;
		d->changed_extra = changed;
	}
}

int ext2_inode_store(struct ext2_inode *inode, bool sink)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint32_t links = inode->links;
	struct ext2_disk_inode *place;
	struct buffer *buffer;
	int r = table_get(e, (uint32_t)inode->node.number, &buffer, &place);

	if (r < 0)
		return r;
	if (!sink && links < inode->disk_links)
		links = inode->disk_links;
	if (inode->blank)
		memset(place, 0, e->inode_bytes);
	if (inode->bytes > INT32_MAX && !(e->super.ro_compat & EXT2_RO_LARGE_FILE)) {
		e->super.ro_compat |= EXT2_RO_LARGE_FILE;
		e->super_changed = true;
	}
	encode(e, inode, place, links);
	ext2_changed(e, buffer, EXT2_PIN_INODE);
	cache_put(e->fs.cache, buffer);
	inode->disk_links = links;
	inode->dirty = inode->reshaped = inode->blank = false;
	return 0;
}

/* Its block of attributes is shared by as many inodes as it says. */
static void give_attributes(struct ext2_inode *inode, bool now)
{
	struct ext2 *e = ext2_of(&inode->node);
	struct ext2_attributes_block *block;
	struct buffer *buffer;

	if (!inode->attributes)
		return;
	if (!ext2_block_fits(e, inode->attributes) || ext2_get(e, inode->attributes, &buffer) < 0) {
		ext2_damaged(e);
		return;
	}
	block = (struct ext2_attributes_block *)ext2_part(e, buffer, inode->attributes);
	if (block->magic != EXT2_ATTRIBUTES_MAGIC || block->references == 0) {
		ext2_damaged(e);
		cache_put(e->fs.cache, buffer);
	} else if (block->references > 1) {
		block->references--;
		ext2_changed(e, buffer, EXT2_PIN_INODE);
		cache_put(e->fs.cache, buffer);
	} else {
		cache_put(e->fs.cache, buffer);
		ext2_give_blocks(e, inode->attributes, 1, now);
	}
	inode->attributes = 0;
}

void ext2_inode_delete(struct ext2_inode *inode)
{
	struct ext2 *e = ext2_of(&inode->node);
	bool fresh = ext2_fresh(inode), stored = true;

	ext2_take_end(inode);
	if (ext2_map_cut(inode, 0) < 0)
		ext2_damaged(e);	/* what it has beyond the damage is lost until e2fsck finds it */
	give_attributes(inode, fresh);
	memset(inode->pointer, 0, sizeof(inode->pointer));
	inode->bytes = inode->sectors = 0;
	if (!fresh || !inode->blank)
		stored = ext2_inode_store(inode, true) == 0;
	if (stored)
		ext2_give_inode(e, (uint32_t)inode->node.number, inode->node.kind == FS_DIRECTORY, fresh);
	else
		ext2_damaged(e);
	ext2_inode_forget(inode);
}

void ext2_put(struct fs_node *node)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(node);

	e->kept++;
	ext2_take_end(inode);
	if (e->fs.read_only) {
		ext2_inode_forget(inode);
	} else if (inode->links == 0) {
		if (ext2_fresh(inode))
			ext2_inode_delete(inode);
	} else if (inode->links >= inode->disk_links && !ext2_fresh(inode) && (!inode->dirty || ext2_inode_store(inode, false) == 0)) {
		ext2_inode_forget(inode);
	}
}

void ext2_touch(struct ext2_inode *inode, bool modified)
{
	inode->changed = ext2_now(ext2_of(&inode->node));
	if (modified)
		inode->modified = inode->changed;
	inode->dirty = true;
}

int ext2_attributes(struct fs_node *node, struct fs_attributes *attributes)
{
	const struct ext2_inode *inode = (struct ext2_inode *)node;

	*attributes = (struct fs_attributes){
		.number = node->number, .kind = node->kind, .mode = inode->mode & 07777, .links = inode->links,
		.uid = inode->uid, .gid = inode->gid, .bytes = inode->bytes, .blocks = inode->sectors,
		.accessed = inode->accessed, .modified = inode->modified, .changed = inode->changed,
	};
	if (node->kind == FS_CHARACTER || node->kind == FS_BLOCK)
		attributes->device = inode->pointer[0] ? inode->pointer[0] & 0xffff : inode->pointer[1];
	return 0;
}

int ext2_set(struct fs_node *node, const struct fs_attributes *attributes, unsigned which)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	int r = ext2_room(ext2_of(node));

	if (r < 0)
		return r;
	if (which & FS_SET_MODE)
		inode->mode = (inode->mode & 0170000) | (attributes->mode & 07777);
	if (which & FS_SET_UID)
		inode->uid = attributes->uid;
	if (which & FS_SET_GID)
		inode->gid = attributes->gid;
	if (which & FS_SET_ACCESSED)
		inode->accessed = attributes->accessed;
	if (which & FS_SET_MODIFIED)
		inode->modified = attributes->modified;
	if (fs_set_changes(which))
		ext2_touch(inode, false);
	else
		inode->dirty = true;
	return 0;
}
