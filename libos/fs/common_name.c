/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names: blocks of type NAMES in the pages of a directory, which own nothing.
 *
 * An entry says a node's block and generation; what is not found there, alive, is no name. An entry stays in its sector as
 * long as it lives and keeps its number there, so that readdir's cursor holds. Directories are searched from end to end; the
 * name cache above (libos/fs/name.c) makes that rare.
 *
 * A node knows its (last) name and directory, and is told before the directory is, so that after a power cut the names can be
 * made again from the nodes: whichever blocks of a rename were written, the node is found.
 */
#include "libos/fs/common_impl.h"

#define SECTORS		(BLOCK_BYTES / COMMON_SECTOR)
#define IDS		256
#define PAGES_MAX	(1U << 24)	/* of a directory that grows */

/* --- sectors ---------------------------------------------------------------------------------------------- */

/*
 * The entry at *offset, which moves behind it; NULL: no more. Its bytes are read once: in a view another program may change
 * them at any time, and whoever reads them again has to compare them with what *offset has moved by.
 */
static const struct common_entry *next_of(const uint8_t *sector, unsigned *offset)
{
	const struct common_entry *entry = (const struct common_entry *)(const void *)(sector + *offset);
	unsigned bytes;

	if (*offset > COMMON_SECTOR - sizeof(*entry))
		return NULL;
	bytes = *(const volatile uint8_t *)&entry->bytes;
	if (!bytes || *offset + COMMON_ENTRY_BYTES(bytes) > COMMON_SECTOR)
		return NULL;
	*offset += COMMON_ENTRY_BYTES(bytes);
	return entry;
}

/* Where a name's entry begins, from `from` on, or -1. `block`: it leads there; 0: anywhere. */
static int sector_find(const uint8_t *sector, unsigned from, const char *name, size_t bytes, uint32_t block)
{
	const struct common_entry *entry;
	unsigned offset = 0, at = 0;

	for (; (entry = next_of(sector, &offset)); at = offset)
		if (at >= from && offset - at == COMMON_ENTRY_BYTES(bytes) && entry->bytes == bytes &&
		    (!block || entry->block == block) && !memcmp(entry->name, name, bytes))
			return (int)at;
	return -1;
}

static unsigned sector_end(const uint8_t *sector)
{
	unsigned offset = 0;

	while (next_of(sector, &offset))
		;
	return offset;
}

static void sector_drop(uint8_t *sector, unsigned at)
{
	unsigned next = at, end = sector_end(sector);

	(void)next_of(sector, &next);
	memmove(sector + at, sector + next, end - next);
	memset(sector + at + (end - next), 0, next - at);
}

/* false: there is no room. */
static bool sector_add(uint8_t *sector, const char *name, size_t bytes, uint32_t block, uint32_t generation, uint8_t kind)
{
	unsigned end = sector_end(sector), offset = 0, id = 0;
	uint8_t used[IDS] = { 0 };
	const struct common_entry *other;
	struct common_entry *entry = (struct common_entry *)(void *)(sector + end);

	if (end + COMMON_ENTRY_BYTES(bytes) > COMMON_SECTOR)
		return false;
	while ((other = next_of(sector, &offset)))
		used[other->id] = 1;
	while (used[id])
		id++;
	*entry = (struct common_entry){ block, generation, (uint8_t)id, kind, (uint8_t)bytes, 0 };
	memset(entry->name, 0, COMMON_ENTRY_BYTES(bytes) - sizeof(*entry));
	memcpy(entry->name, name, bytes);
	return true;
}

/* --- directories ------------------------------------------------------------------------------------------ */

/* The block of names of a page of a directory: -ENOENT: there is none, nor for *run pages from it on. */
static int page_of(struct common *fs, uint32_t directory, uint32_t page, struct common_view *view, uint32_t *run)
{
	uint32_t block;
	int error = common_find(fs, directory, page, &block, run);

	if (error || !block)
		return error ? error : -ENOENT;
	return common_view(fs, block, COMMON_NAMES, view);
}

static int pages(struct common *fs, uint32_t directory, uint32_t *count)
{
	int error = common_extents(fs, directory);

	*count = 0;
	for (uint32_t i = 0; i < fs->extents && !error; i++) {
		const struct common_slot *slot = &fs->extent[i].value;
		uint64_t end = (uint64_t)slot->at + common_count(slot);

		if (common_type(slot) == COMMON_NAMES && end > *count)
			*count = end < UINT32_MAX ? (uint32_t)end : UINT32_MAX;
	}
	return error;
}

/* Where the last run before a hole ends: what is between has no pages. The directory's runs have just been collected. */
static uint32_t before_hole(const struct common *fs, uint32_t page)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < fs->extents; i++) {
		const struct common_slot *slot = &fs->extent[i].value;
		uint64_t end = (uint64_t)slot->at + common_count(slot);

		if (common_type(slot) == COMMON_NAMES && end <= page && end > last)
			last = end;
	}
	return (uint32_t)last;
}

static void found_at(struct common_found *found, const struct common_view *view, unsigned sector, unsigned offset)
{
	const struct common_entry *entry = (const struct common_entry *)(const void *)((const uint8_t *)view->bytes +
	    sector * COMMON_SECTOR + offset);

	*found = (struct common_found){ view->block, sector, offset, entry->block, entry->generation, entry->kind };
}

/* The next entry of a name in a page of a directory, from *from on, which moves behind it: 1, 0 or an error. */
static int page_find(struct common *fs, uint32_t directory, uint32_t page, unsigned *from, const char *name, size_t bytes,
    uint32_t block, struct common_found *found, uint32_t *run)
{
	struct common_view view;
	unsigned s;
	int error, at;

	do {
		at = -1;
		error = page_of(fs, directory, page, &view, run);
		for (s = *from / COMMON_SECTOR; s < SECTORS && !error && at < 0; s++) {
			at = sector_find((const uint8_t *)view.bytes + s * COMMON_SECTOR,
			    s == *from / COMMON_SECTOR ? *from % COMMON_SECTOR : 0, name, bytes, block);
			if (at >= 0)
				found_at(found, &view, s, (unsigned)at);
		}
	} while (!error && !common_still(fs, &view));
	if (!error && at >= 0)
		*from = (s - 1) * COMMON_SECTOR + (unsigned)at + 1;
	return error ? error : at >= 0;
}

/* `block`: the entry that leads there, whether it counts or not; 0: the first that counts. */
static int name_find(struct common *fs, uint32_t directory, const char *name, size_t bytes, uint32_t block,
    struct common_found *found)
{
	uint32_t count, run;
	int error = pages(fs, directory, &count);

	for (uint32_t page = 0; page < count && error >= 0; page++) {
		unsigned from = 0;

		while ((error = page_find(fs, directory, page, &from, name, bytes, block, found, &run)) == 1) {
			int named = block ? 1 : common_is_named(fs, directory, name, bytes, found);

			if (named)
				return named < 0 ? named : 0;
		}
		if (error == -ENOENT) {
			page += run - 1;
			error = 0;
		}
	}
	return error < 0 ? error : -ENOENT;
}

int common_name_find(struct common *fs, uint32_t directory, const char *name, size_t bytes, struct common_found *found)
{
	return name_find(fs, directory, name, bytes, 0, found);
}

/* Change one sector: `old`, which leads to `was`, goes (NULL: none does), `name` comes (NULL: none). -ENOSPC: no room
 * there; -ENOENT. */
static int sector_change(struct common *fs, uint32_t names, unsigned sector, const char *old, size_t old_bytes, uint32_t was,
    const char *name, size_t bytes, uint32_t block, uint32_t generation, uint8_t kind)
{
	struct common_view view;
	uint8_t *bytes_of;
	int error = common_view(fs, names, COMMON_NAMES, &view), at;

	if (error)
		return error;
	bytes_of = common_begin(fs, &view, sector * COMMON_SECTOR, COMMON_SECTOR);
	if (!bytes_of)
		return -EAGAIN;
	at = old ? sector_find(bytes_of, 0, old, old_bytes, was) : 0;
	if (at < 0)
		return -ENOENT;
	if (old && old == name) {	/* the same name leads elsewhere: it keeps its place */
		struct common_entry *entry = (struct common_entry *)(void *)(bytes_of + at);

		entry->block = block;
		entry->generation = generation;
		entry->kind = kind;
		return common_commit(fs, names);
	}
	if (old)
		sector_drop(bytes_of, (unsigned)at);
	if (name && !sector_add(bytes_of, name, bytes, block, generation, kind))
		return -ENOSPC;
	return common_commit(fs, names);
}

int common_name_add(struct common *fs, uint32_t directory, const char *name, size_t bytes, uint32_t block,
    uint32_t generation, uint8_t kind)
{
	uint32_t count, more, got, run;
	int error = -EAGAIN;

	for (unsigned tries = 0; tries < COMMON_TRIES && error == -EAGAIN; tries++) {
		error = pages(fs, directory, &count);
		for (uint32_t page = count; page-- && !error;) {
			struct common_view view;
			unsigned s = 0;

			error = page_of(fs, directory, page, &view, &run);
			if (error == -ENOENT) {
				page = before_hole(fs, page);
				error = 0;
				continue;
			}
			while (!error && s < SECTORS && sector_end((const uint8_t *)view.bytes + s * COMMON_SECTOR) +
			    COMMON_ENTRY_BYTES(bytes) > COMMON_SECTOR)
				s++;
			if (error || s == SECTORS)
				continue;
			error = sector_change(fs, view.block, s, NULL, 0, 0, name, bytes, block, generation, kind);
			if (!error)
				return 0;
			error = error == -ENOSPC ? -EAGAIN : error;
		}
		if (!error)
			error = count >= PAGES_MAX ? -FS_EDAMAGED : common_add(fs, directory, count, 1, COMMON_NAMES, &more, &got);
		if (!error)
			error = -EAGAIN;
	}
	return error == -EAGAIN ? -EIO : error;
}

int common_name_drop(struct common *fs, uint32_t directory, const char *name, size_t bytes, uint32_t block)
{
	struct common_found found;
	int error = -EAGAIN;

	for (unsigned tries = 0; tries < COMMON_TRIES && (error == -EAGAIN || error == -ENOENT); tries++) {
		error = name_find(fs, directory, name, bytes, block, &found);
		if (error)
			return error;
		error = sector_change(fs, found.names, found.sector, name, bytes, block, NULL, 0, 0, 0, 0);
	}
	return error == -EAGAIN ? -EIO : error;
}

int common_name_void(struct common *fs, const struct common_found *found)
{
	struct common_view view;
	uint8_t *bytes;
	int error = common_view(fs, found->names, COMMON_NAMES, &view);

	if (error)
		return error;
	bytes = common_begin(fs, &view, found->sector * COMMON_SECTOR, COMMON_SECTOR);
	if (!bytes)
		return -EAGAIN;
	sector_drop(bytes, found->offset);
	return common_commit(fs, found->names);
}

int common_name_next(struct common *fs, uint32_t directory, uint64_t *cursor, struct common_found *found, struct fs_entry *entry)
{
	struct common_view view;
	uint32_t count, run;
	int error = pages(fs, directory, &count);

	while (!error && *cursor / (SECTORS * IDS) < count) {
		uint32_t page = (uint32_t)(*cursor / (SECTORS * IDS));
		unsigned s = (unsigned)(*cursor / IDS % SECTORS), from = (unsigned)(*cursor % IDS), offset = 0, at = 0, best = IDS;
		const struct common_entry *other;

		error = page_of(fs, directory, page, &view, &run);
		if (error == -ENOENT) {
			error = 0;
			*cursor = ((uint64_t)page + run) * SECTORS * IDS;
			continue;
		}
		if (error)
			break;
		for (; (other = next_of((const uint8_t *)view.bytes + s * COMMON_SECTOR, &offset)); at = offset)
			if (other->id >= from && other->id < best) {
				best = other->id;
				found_at(found, &view, s, at);
				entry->bytes = *(const volatile uint8_t *)&other->bytes;
				if (COMMON_ENTRY_BYTES(entry->bytes) == offset - at)	/* else it is changed now */
					memcpy(entry->name, other->name, entry->bytes);
			}
		if (!common_still(fs, &view))
			continue;
		*cursor = (*cursor / IDS + (best == IDS)) * IDS + (best == IDS ? 0 : best + 1u);
		if (best == IDS - 1)
			*cursor = (*cursor / IDS) * IDS;
		if (best == IDS)
			continue;
		entry->name[entry->bytes] = '\0';
		entry->kind = found->kind;
		entry->number = (uint64_t)found->generation << 32 | found->block;
		return 1;
	}
	return error;
}

int common_readdir(struct fs_node *directory, uint64_t *cursor, struct fs_entry *entry)
{
	struct common *fs = common_of(directory);
	struct common_found found;
	struct common_head head;
	int error = directory->kind == FS_DIRECTORY ? common_head(fs, common_node(directory), &head) : -ENOTDIR;

	while (!error) {
		uint64_t before = *cursor;

		error = common_name_next(fs, common_node(directory)->block, cursor, &found, entry);
		if (error <= 0)
			return error;
		error = common_is_named(fs, common_node(directory)->block, entry->name, entry->bytes, &found);
		if (error < 0)
			*cursor = before;	/* it comes again */
		if (error > 0)
			entry->kind = found.kind;
	}
	return error;
}

/* --- functions of the file system ------------------------------------------------------------------------- */

static int directory_check(struct fs_node *directory, size_t bytes, bool write)
{
	struct common_head head;

	if (directory->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (bytes > FS_NAME_MAX)
		return -ENAMETOOLONG;
	int error = common_head(common_of(directory), common_node(directory), &head);
	if (error || !head.links)
		return error ? error : -ENOENT;
	if (write && common_of(directory)->fs.read_only)
		return -EROFS;
	return write && !common_cap(common_of(directory), common_node(directory)->block) ? -EACCES : 0;
}

int common_lookup(struct fs_node *directory, const char *name, size_t bytes, struct fs_node **node)
{
	struct common *fs = common_of(directory);
	struct common_found found;
	int error = directory_check(directory, bytes, false);

	if (!error)
		error = common_name_find(fs, common_node(directory)->block, name, bytes, &found);
	return error ? error : common_get(fs, found.block, found.generation, node);
}

int common_parent(struct fs_node *directory, struct fs_node **parent)
{
	struct common *fs = common_of(directory);
	struct common_head head;
	int error = directory->kind == FS_DIRECTORY ? common_head(fs, common_node(directory), &head) : -ENOTDIR;

	if (error)
		return error;
	if (common_node(directory)->block == fs->home || !head.parent)
		return common_get(fs, fs->home, fs->home_generation, parent);
	return common_get(fs, head.parent, head.parent_generation, parent);
}

/* It must not be there. */
static int check_new(struct fs_node *directory, const char *name, size_t bytes)
{
	struct common_found found;
	int error = directory_check(directory, bytes, true);

	if (!error)
		error = common_name_find(common_of(directory), common_node(directory)->block, name, bytes, &found);
	return error == -ENOENT ? 0 : error ? error : -EEXIST;
}

int common_create(struct fs_node *directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct fs_node **node)
{
	struct common *fs = common_of(directory);
	struct common_node *parent = common_node(directory);
	uint32_t block, generation;
	struct common_head head;
	int error = check_new(directory, name, bytes);

	if (!error)
		error = common_head(fs, parent, &head);
	if (!error && !head.links)
		error = -ENOENT;
	if (!error)
		error = common_new_in(fs, parent->block, parent, name, bytes, how, how->kind == FS_SYMLINK ? target : NULL, &block, &generation);
	if (error)
		return error;
	error = common_name_add(fs, parent->block, name, bytes, block, generation, how->kind);
	if (!error) {
		error = common_get(fs, block, generation, node);
		if (error)
			(void)common_name_drop(fs, parent->block, name, bytes, block);
	}
	if (error) {
		(void)common_free(fs, block);
		return error;
	}
	if (how->kind == FS_DIRECTORY)
		(void)common_links(fs, parent->block, 1);
	(void)common_touch(fs, parent->block, 0, COMMON_KEEP);
	return 0;
}

/* May names and nodes of two directories be mixed? */
static bool is_together(struct common *fs, uint32_t one, uint32_t other)
{
	return common_domain_of(fs, one) == common_domain_of(fs, other);
}

int common_link(struct fs_node *directory, const char *name, size_t bytes, struct fs_node *node)
{
	struct common *fs = common_of(directory);
	struct common_node *own = common_node(node);
	struct common_head head;
	int error = node->kind == FS_DIRECTORY ? -EPERM : check_new(directory, name, bytes);

	if (!error)
		error = common_head(fs, own, &head);
	if (!error && !head.links)
		error = -ENOENT;
	if (!error && !is_together(fs, own->block, common_node(directory)->block))
		error = -EXDEV;
	if (!error)
		error = common_links(fs, own->block, 1);
	if (error)
		return error;
	error = common_name_add(fs, common_node(directory)->block, name, bytes, own->block, own->generation, node->kind);
	if (error)
		(void)common_links(fs, own->block, -1);
	else
		(void)common_touch(fs, common_node(directory)->block, 0, COMMON_KEEP);
	return error;
}

/* A node, which is held, has lost a name (a directory: its only one); it goes if nobody else has it open. */
static int node_unnamed(struct common *fs, struct fs_node *node, uint32_t directory)
{
	bool is_directory = node->kind == FS_DIRECTORY;
	int error = common_links(fs, common_node(node)->block, is_directory ? INT32_MIN : -1);

	if (!error && is_directory)
		(void)common_links(fs, directory, -1);
	fs_put(node);
	return error;
}

/* May what is found go? */
static int check_gone(struct common *fs, const struct common_found *found, bool directory_too)
{
	struct common_found first;
	struct fs_entry entry;
	uint64_t cursor = 0;
	int more, named;

	if (found->kind != FS_DIRECTORY)
		return directory_too ? -ENOTDIR : 0;
	if (!directory_too)
		return -EISDIR;
	while ((more = common_name_next(fs, found->block, &cursor, &first, &entry)) == 1) {
		named = common_is_named(fs, found->block, entry.name, entry.bytes, &first);
		if (named)
			return named < 0 ? named : -ENOTEMPTY;
	}
	return more;
}

int common_unlink(struct fs_node *directory, const char *name, size_t bytes, bool directory_too)
{
	struct common *fs = common_of(directory);
	uint32_t parent = common_node(directory)->block;
	struct common_found found;
	struct fs_node *node;
	int error = directory_check(directory, bytes, true);

	if (!error)
		error = common_name_find(fs, parent, name, bytes, &found);
	if (!error)
		error = check_gone(fs, &found, directory_too);
	if (!error && !common_cap(fs, found.block))
		error = -EACCES;
	if (!error)
		error = common_get(fs, found.block, found.generation, &node);
	if (error)
		return error;
	error = common_name_drop(fs, parent, name, bytes, found.block);
	if (error) {
		fs_put(node);
		return error;
	}
	(void)common_touch(fs, parent, 0, COMMON_KEEP);
	return node_unnamed(fs, node, parent);
}

struct named {
	const struct common_node *directory;
	const char *name;
	size_t bytes;
	struct common_time now;
};

static int set_named(struct common_head *head, const void *arg)
{
	const struct named *n = arg;

	head->parent = n->directory->block;
	head->parent_generation = n->directory->generation;
	head->name_bytes = (uint8_t)n->bytes;
	memset(head->name, 0, sizeof(head->name));
	memcpy(head->name, n->name, n->bytes);
	head->changed = n->now;
	return 0;
}

int common_name_again(struct common *fs, uint32_t block, const struct common_node *directory, const char *name, size_t bytes)
{
	return common_head_change(fs, block, set_named, &(struct named){ directory, name, bytes, common_now(fs) });
}

static int rename_checks(struct common *fs, struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to,
    const char *name, size_t bytes, struct common_found *moved, struct common_found *target)
{
	int error = to->kind == FS_DIRECTORY ? directory_check(from, old_bytes, true) : -ENOTDIR;

	target->block = 0;
	if (!error)
		error = directory_check(to, bytes, true);
	if (!error)
		error = common_name_find(fs, common_node(from)->block, old, old_bytes, moved);
	if (error)
		return error;
	error = common_name_find(fs, common_node(to)->block, name, bytes, target);
	if (error == -ENOENT) {
		target->block = 0;
		error = 0;
	}
	if (!error && (!is_together(fs, moved->block, common_node(to)->block) ||
	    !is_together(fs, common_node(from)->block, common_node(to)->block) ||
	    (target->block && !is_together(fs, target->block, moved->block))))
		error = -EXDEV;
	if (!error && target->block && target->block != moved->block) {
		if (moved->kind == FS_DIRECTORY && target->kind != FS_DIRECTORY)
			return -ENOTDIR;
		error = check_gone(fs, target, moved->kind == FS_DIRECTORY);
	}
	return error;
}

/* The new name comes: in place of what it named, in the sector of the old one if there is room, or elsewhere. */
static int rename_put(struct common *fs, uint32_t from, const char *old, size_t old_bytes, uint32_t to, const char *name,
    size_t bytes, const struct common_found *moved, const struct common_found *target, bool *old_gone)
{
	int error = -EAGAIN;

	*old_gone = false;
	if (target->block)
		return sector_change(fs, target->names, target->sector, name, bytes, target->block, name, bytes, moved->block, moved->generation,
		    moved->kind);
	if (from == to && moved->kind != FS_DIRECTORY)
		error = sector_change(fs, moved->names, moved->sector, old, old_bytes, moved->block, name, bytes, moved->block, moved->generation,
		    moved->kind);
	if (!error) {
		*old_gone = true;
		return 0;
	}
	return common_name_add(fs, to, name, bytes, moved->block, moved->generation, moved->kind);
}

int common_rename(struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to, const char *name, size_t bytes)
{
	struct common *fs = common_of(from);
	uint32_t source = common_node(from)->block, into = common_node(to)->block;
	struct common_found moved, target;
	struct named now = { common_node(to), name, bytes, common_now(fs) }, was = { common_node(from), old, old_bytes, now.now };
	struct fs_node *replaced = NULL;
	bool old_gone, said;
	int error = rename_checks(fs, from, old, old_bytes, to, name, bytes, &moved, &target);

	if (error || target.block == moved.block)
		return error;
	error = target.block ? common_get(fs, target.block, target.generation, &replaced) : 0;
	said = moved.kind != FS_DIRECTORY || target.block;
	if (!error && said)
		error = common_head_change(fs, moved.block, set_named, &now);
	if (!error) {
		error = rename_put(fs, source, old, old_bytes, into, name, bytes, &moved, &target, &old_gone);
		if (error && said)
			(void)common_head_change(fs, moved.block, set_named, &was);
	}
	if (!error && !said) {	/* a directory's name is the one that it says: others see it at one place all the time */
		error = common_head_change(fs, moved.block, set_named, &now);
		if (error)
			(void)common_name_drop(fs, into, name, bytes, moved.block);
	}
	if (error) {
		if (replaced)
			fs_put(replaced);
		return error == -EAGAIN ? -EIO : error;
	}
	if (!old_gone)
		error = common_name_drop(fs, source, old, old_bytes, moved.block);
	if (replaced)
		(void)node_unnamed(fs, replaced, into);
	if (moved.kind == FS_DIRECTORY && source != into) {
		(void)common_links(fs, source, -1);
		(void)common_links(fs, into, 1);
	}
	(void)common_touch(fs, source, 0, COMMON_KEEP);
	if (source != into)
		(void)common_touch(fs, into, 0, COMMON_KEEP);
	return error;
}
