/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first mount of a volume: all metadata is loaded, as the kernel wants it before it gives free blocks, and what a power
 * cut left of names is put in order.
 *
 * The kernel's order keeps every block with one owner. Names own nothing, so any of them may be older or newer than its
 * node; who writes which block when is anybody's choice. Rules, in this order:
 *
 * N1 a name whose node is not there, has another generation or no links is void
 * N2 a directory has one name, the one that it says itself
 * N3 a node with links and without a name gets the name that it says; if that is taken, or its directory is gone, it is put
 *    into its domain's directory as "lost-BLOCK"
 * N4 links are the names that there are, and for a directory the directories in it
 * N5 a node without links goes
 *
 * Only what the mounting program may write is mended: who makes a volume has all of it. A domain may hold anything that its
 * user could write there: what makes no sense is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include "libos/fs/common_impl.h"

struct state {
	uint32_t names, directories;
};

struct recovery {
	struct common *fs;
	uint32_t *node, nodes, room;
	struct state *state;	/* by block */
};

static int head_of(struct common *fs, uint32_t block, struct common_head *head)
{
	struct common_view view;
	int error = common_view(fs, block, COMMON_NODE, &view);

	if (!error)
		*head = view.bytes->head;
	return error;
}

/* --- loading all metadata, and finding all nodes ---------------------------------------------------------- */

/* The metadata that a block owns joins those to be loaded. A block has one owner, so none comes twice. */
static void push_owned(const struct common *fs, const struct common_view *view, uint32_t *waits, uint32_t *count)
{
	uint32_t blocks = fs->volume->blocks;

	for (unsigned i = 0; i < COMMON_SLOTS; i++) {
		const struct common_slot *slot = &view->bytes->slots[i / COMMON_SECTOR_SLOTS].slot[i % COMMON_SECTOR_SLOTS];
		uint32_t block = slot->block, end = common_count(slot);

		end = block && common_type(slot) && end <= blocks ? block + end : block;
		for (; block < end && block < blocks && *count < blocks; block++)
			if (common_entry_of(fs, block)->parent == view->block)
				waits[(*count)++] = block;
	}
}

/* Whatever the kernel has not seen yet, of whatever shape: what is free is not known before. */
static int load_all(struct common *fs)
{
	uint32_t *waits = calloc(fs->volume->blocks, sizeof(*waits)), count = 0;
	const volatile struct exo_volume_block *entry;
	struct common_view view;
	int error = waits ? 0 : -ENOMEM;

	if (waits)
		waits[count++] = 0;
	while (count && !error) {
		uint32_t block = waits[--count];

		entry = common_entry_of(fs, block);
		if (!volume_is_owned(entry) || !entry->type)
			continue;
		error = common_view(fs, block, entry->type, &view);
		fs->report.faults += error == -FS_EDAMAGED;
		if (!error && entry->type != COMMON_NAMES)
			push_owned(fs, &view, waits, &count);
		error = error == -FS_EDAMAGED ? 0 : error;
	}
	free(waits);
	return error;
}

static int visit_node(struct recovery *r, uint32_t block)
{
	struct common_view view;

	if (r->nodes == r->room) {
		uint32_t *more = realloc(r->node, (r->room * 2 + 64) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->node = more;
		r->room = r->room * 2 + 64;
	}
	if (!common_view(r->fs, block, COMMON_NODE, &view))
		r->node[r->nodes++] = block;
	return 0;
}

static int visit_table(struct recovery *r, uint32_t table, unsigned type, unsigned depth)
{
	struct common_block copy;
	struct common_view view;
	int error = depth > COMMON_TABLE_DEPTH + 1 ? -FS_EDAMAGED : common_view(r->fs, table, type, &view);

	if (error)
		return error == -FS_EDAMAGED && depth ? 0 : error;
	copy = *view.bytes;
	for (unsigned i = 0; i < COMMON_SLOTS && !error; i++) {
		const struct common_slot *slot = &copy.slots[i / COMMON_SECTOR_SLOTS].slot[i % COMMON_SECTOR_SLOTS];

		if (slot->block && common_type(slot) == COMMON_TABLE)
			error = visit_table(r, slot->block, COMMON_TABLE, depth + 1);
		else if (slot->block && common_type(slot) == COMMON_NODE)
			error = visit_node(r, slot->block);
	}
	return error;
}

/* --- names ------------------------------------------------------------------------------------------------ */

static bool says(const struct common_head *head, uint32_t directory, uint32_t generation, const struct fs_entry *entry)
{
	return head->parent == directory && head->parent_generation == generation && head->name_bytes == entry->bytes &&
	    !memcmp(head->name, entry->name, entry->bytes);
}

/* N1, N2; what is left is counted. */
static int count_names(struct recovery *r, uint32_t directory)
{
	struct common_head own, head;
	struct common_found found;
	struct fs_entry entry;
	uint64_t cursor = 0;
	int error = head_of(r->fs, directory, &own);

	if (error || own.kind != FS_DIRECTORY || !own.links)
		return error;
	while (!error && (error = common_name_next(r->fs, directory, &cursor, &found, &entry)) == 1) {
		int live = common_is_named(r->fs, directory, entry.name, entry.bytes, &found);

		error = live > 0 ? head_of(r->fs, found.block, &head) : live;
		if (live && !error && head.kind == FS_DIRECTORY)
			live = says(&head, directory, own.generation, &entry) && !r->state[found.block].names;
		if (error)
			break;
		if (!live) {
			r->fs->report.faults++;
			error = common_cap(r->fs, found.names) ? common_name_void(r->fs, &found) : 0;
			continue;
		}
		r->state[found.block].names++;
		r->state[directory].directories += head.kind == FS_DIRECTORY;
	}
	return error;
}

/* Where the nameless go: the directory of their own domain, or the root if that is theirs. */
static int lost_home(struct recovery *r, uint32_t block, const struct common_head *head, struct common_node *to)
{
	uint32_t domain = common_domain_of(r->fs, block);
	struct common_head home = { 0 };
	struct common_view view;
	int error;

	to->block = r->fs->home;
	to->generation = r->fs->home_generation;
	if (domain == common_domain_of(r->fs, to->block))
		return 0;
	error = common_view(r->fs, domain, COMMON_TABLE, &view);
	if (error)
		return error;
	if (view.bytes->top.home == block)
		return 0;
	to->block = view.bytes->top.home;
	to->generation = view.bytes->top.home_generation;
	error = common_is_live(r->fs, to->block, to->generation);
	if (error > 0)
		error = head_of(r->fs, to->block, &home) ?: 1;
	if (error < 0 && error != -FS_EDAMAGED)
		return error;
	if (error > 0 && common_domain_of(r->fs, to->block) == domain && home.kind == FS_DIRECTORY)
		return 0;
	to->block = r->fs->home;
	to->generation = r->fs->home_generation;
	return head->kind == FS_DIRECTORY ? 0 : -FS_EDAMAGED;
}

/* Can a node have the name that it says? 1, 0, or an error: it cannot be said now, and nothing is to be done. */
static int is_to_be_had(struct recovery *r, uint32_t block, const struct common_head *head)
{
	struct common_head parent = { 0 };
	struct common_found found;
	int error = common_is_live(r->fs, head->parent, head->parent_generation);

	if (error > 0)
		error = head_of(r->fs, head->parent, &parent) ?: 1;
	if (error <= 0)
		return error == -FS_EDAMAGED ? 0 : error;
	if (parent.kind != FS_DIRECTORY || !head->name_bytes || head->parent == block ||
	    common_domain_of(r->fs, head->parent) != common_domain_of(r->fs, block))
		return 0;
	error = common_name_find(r->fs, head->parent, head->name, head->name_bytes, &found);
	return error == -ENOENT ? 1 : error == -EIO || error == -ENOMEM ? error : 0;
}

/* N3 */
static int name_again(struct recovery *r, uint32_t block, const struct common_head *head)
{
	struct common_node named = { .block = head->parent, .generation = head->parent_generation };
	int error, can = is_to_be_had(r, block, head);
	char name[FS_NAME_MAX + 1];
	size_t bytes = head->name_bytes;

	error = can < 0 ? can : 0;
	memcpy(name, head->name, bytes);
	if (!can) {
		bytes = (size_t)snprintf(name, sizeof(name), "lost-%u", block);
		error = lost_home(r, block, head, &named);
		if (!error)
			error = common_name_again(r->fs, block, &named, name, bytes);
	}
	if (!error)
		error = common_name_add(r->fs, named.block, name, bytes, block, head->generation, head->kind);
	if (error)
		return error;
	r->state[block].names++;
	r->state[named.block].directories += head->kind == FS_DIRECTORY;
	return 0;
}

static int set_links(struct common_head *head, const void *arg)
{
	head->links = *(const uint32_t *)arg;
	return 0;
}

/* N3 to N5 */
static int mend(struct recovery *r, uint32_t block, bool naming)
{
	struct common_head head;
	uint32_t links;
	int error = head_of(r->fs, block, &head);

	if (error)
		return error;
	links = head.kind == FS_DIRECTORY ? 2 + r->state[block].directories : r->state[block].names;
	r->fs->report.nodes += naming;
	r->fs->report.directories += naming && head.kind == FS_DIRECTORY;
	r->fs->report.faults += naming && (head.links != links || (!r->state[block].names && block != r->fs->home));
	if (!common_cap(r->fs, block))
		return 0;
	if (!head.links || !head.generation)
		return naming ? 0 : common_free(r->fs, block);
	if (naming)
		return r->state[block].names || block == r->fs->home ? 0 : name_again(r, block, &head);
	return head.links == links ? 0 : common_head_change(r->fs, block, set_links, &links);
}

/* What somebody has made of his own domain keeps nobody else from mounting. */
static int unless_damaged(struct recovery *r, int error)
{
	r->fs->report.faults += error == -FS_EDAMAGED;
	return error == -EIO || error == -ENOMEM ? error : 0;
}

int common_recover(struct common *fs)
{
	struct recovery r = { .fs = fs };
	int error;

	r.state = calloc(fs->volume->blocks, sizeof(*r.state));
	error = r.state ? load_all(fs) : -ENOMEM;
	if (!error)
		error = visit_table(&r, 0, COMMON_ROOT, 0);
	for (uint32_t i = 0; i < r.nodes && !error; i++)
		error = unless_damaged(&r, count_names(&r, r.node[i]));
	for (unsigned round = 0; round < 2; round++)
		for (uint32_t i = 0; i < r.nodes && !error; i++)
			error = unless_damaged(&r, mend(&r, r.node[i], round == 0));
	free(r.node);
	free(r.state);
	return error;
}
