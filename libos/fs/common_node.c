/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nodes: what is known of one, made and freed.
 *
 * A node in memory keeps nothing but its block, its generation and whether the cache of data may hold something old of it. All
 * else stands in sector 0 of its block, in the volume's buffer, where every program sees it as it is now.
 */
#include <stdlib.h>
#include "libos/fs/common_impl.h"

struct common_time common_now(const struct common *fs)
{
	struct fs_time now = fs->now ? fs->now() : (struct fs_time){ 0, 0 };

	return (struct common_time){ now.seconds, now.nanoseconds, 0 };
}

static struct fs_time time_of(const struct common_time *time)
{
	return (struct fs_time){ time->seconds, time->nanoseconds };
}

/* --- in memory -------------------------------------------------------------------------------------------- */

static int head_of(struct common *fs, uint32_t block, struct common_head *head)
{
	struct common_view view;
	int error;

	do {
		error = common_view(fs, block, COMMON_NODE, &view);
		if (!error)
			*head = view.bytes->head;
	} while (!error && !common_still(fs, &view));
	return error;
}

int common_head(struct common *fs, const struct common_node *node, struct common_head *head)
{
	int error = head_of(fs, node->block, head);

	return error == -FS_EDAMAGED || (!error && head->generation != node->generation) ? -ESTALE : error;
}

/* head_of() of what a name leads to. 1: it is so; 0: nothing like that is there; else why that cannot be said. */
static int head_named(struct common *fs, uint32_t block, uint32_t generation, struct common_head *head)
{
	int error = generation ? head_of(fs, block, head) : -FS_EDAMAGED;

	if (error)
		return error == -FS_EDAMAGED ? 0 : error;
	return head->generation == generation && head->links;
}

int common_is_live(struct common *fs, uint32_t block, uint32_t generation)
{
	struct common_head head;

	return head_named(fs, block, generation, &head);
}

static bool is_name(const char *name, size_t bytes)
{
	return bytes && !memchr(name, '/', bytes) && !memchr(name, '\0', bytes) && !(name[0] == '.' && bytes == 1) &&
	    !(bytes == 2 && name[0] == '.' && name[1] == '.');
}

int common_is_named(struct common *fs, uint32_t directory, const char *name, size_t bytes, struct common_found *found)
{
	uint32_t domain = common_domain_of(fs, directory);
	struct common_head head;
	int live = is_name(name, bytes) ? head_named(fs, found->block, found->generation, &head) : 0;

	if (live <= 0)
		return live;
	found->kind = head.kind;
	if (head.kind != FS_DIRECTORY)
		return domain && domain == common_domain_of(fs, found->block);
	return head.parent == directory && head.name_bytes == bytes && !memcmp(head.name, name, bytes);
}

int common_get(struct common *fs, uint32_t block, uint32_t generation, struct fs_node **out)
{
	struct fs_node **bucket = (struct fs_node **)&fs->hash[block % COMMON_HASH];
	struct common_node *node;
	struct common_head head;
	int error;

	for (struct fs_node *n = *bucket; n; n = n->hash_next)
		if (((struct common_node *)n)->block == block && ((struct common_node *)n)->generation == generation) {
			fs_hold(*out = n);
			return 0;
		}
	error = head_of(fs, block, &head);
	if (error || head.generation != generation || head.kind < FS_FILE || head.kind > FS_BLOCK)
		return error ? error : -FS_EDAMAGED;
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->node = (struct fs_node){ .fs = &fs->fs, .number = (uint64_t)generation << 32 | block, .holds = 1,
		.kind = head.kind, .hash_next = *bucket };
	node->block = block;
	node->generation = generation;
	node->birth = common_entry_of(fs, block)->birth;
	node->seen = common_entry_of(fs, block)->changed + 1;	/* what the cache has of its blocks is not known */
	*bucket = &node->node;
	*out = &node->node;
	return 0;
}

void common_node_end(struct common *fs, struct common_node *node)
{
	struct fs_node **link = (struct fs_node **)&fs->hash[node->block % COMMON_HASH];

	while (*link != &node->node)
		link = &(*link)->hash_next;
	*link = node->node.hash_next;
	free(node);
}

void common_put(struct fs_node *node)
{
	struct common *fs = common_of(node);
	struct common_node *own = common_node(node);
	struct common_head head;

	if (!common_head(fs, own, &head) && !head.links && !fs->fs.read_only)
		(void)common_free(fs, own->block);
	else if (own->dirty)
		return;		/* until its data was written: tell_written() */
	common_node_end(fs, own);
}

static void forget(struct common *fs, const struct common_slot *slot)
{
	for (uint32_t i = 0; i < common_count(slot); i++) {
		struct buffer *buffer = cache_peek(fs->fs.cache, slot->block + i);

		if (!buffer)
			continue;
		bool keep = buffer->dirty || buffer->holds > 1;
		cache_put(fs->fs.cache, buffer);
		if (!keep)
			cache_forget(fs->fs.cache, slot->block + i);
	}
}

/* Somebody else has changed the file, or it is new here: what the cache has of it may be old. */
void common_refresh(struct common *fs, struct common_node *node)
{
	uint32_t changed = common_entry_of(fs, node->block)->changed;

	if (node->seen == changed || node->node.kind != FS_FILE)
		return;
	if (common_extents(fs, node->block))
		return;
	for (uint32_t i = 0; i < fs->extents; i++)
		if (common_type(&fs->extent[i].value) == COMMON_DATA)
			forget(fs, &fs->extent[i].value);
	node->seen = changed;
}

/* --- the head --------------------------------------------------------------------------------------------- */

int common_head_change(struct common *fs, uint32_t block, int (*change)(struct common_head *head, const void *arg),
    const void *arg)
{
	int error = -EAGAIN;

	for (unsigned tries = 0; tries < COMMON_TRIES && error == -EAGAIN; tries++) {
		struct common_view view;
		struct common_head *head;

		error = common_view(fs, block, COMMON_NODE, &view);
		if (error)
			return error;
		head = common_begin(fs, &view, 0, sizeof(*head));
		if (!head) {
			error = -EAGAIN;
			continue;
		}
		error = change(head, arg);
		if (!error)
			error = common_commit(fs, block);
	}
	return error == -EAGAIN ? -EIO : error;
}

struct touch {
	uint64_t bytes;
	enum common_size how;
	struct common_time now;
};

static int touch(struct common_head *head, const void *arg)
{
	const struct touch *t = arg;

	if (t->how == COMMON_SET || (t->how == COMMON_GROW && head->bytes < t->bytes))
		head->bytes = t->bytes;
	head->modified = head->changed = t->now;
	return 0;
}

int common_touch(struct common *fs, uint32_t block, uint64_t bytes, enum common_size how)
{
	return common_head_change(fs, block, touch, &(struct touch){ bytes, how, common_now(fs) });
}

struct links {
	int difference;
	struct common_time now;
};

static int add_links(struct common_head *head, const void *arg)
{
	const struct links *l = arg;

	if (l->difference > 0 && head->links >= 65000)
		return -EMLINK;
	head->links = l->difference == INT32_MIN ? 0 : (uint32_t)((int32_t)head->links + l->difference);
	head->changed = l->now;
	return 0;
}

int common_links(struct common *fs, uint32_t block, int difference)
{
	return common_head_change(fs, block, add_links, &(struct links){ difference, common_now(fs) });
}

struct set {
	const struct fs_attributes *attributes;
	unsigned which;
	struct common_time now;
};

static int set(struct common_head *head, const void *arg)
{
	const struct set *s = arg;
	const struct fs_attributes *to = s->attributes;

	if (s->which & FS_SET_MODE)
		head->mode = to->mode;
	if (s->which & FS_SET_UID)
		head->uid = to->uid;
	if (s->which & FS_SET_GID)
		head->gid = to->gid;
	if (s->which & FS_SET_ACCESSED)
		head->accessed = (struct common_time){ to->accessed.seconds, to->accessed.nanoseconds, 0 };
	if (s->which & FS_SET_MODIFIED)
		head->modified = (struct common_time){ to->modified.seconds, to->modified.nanoseconds, 0 };
	if (fs_set_changes(s->which))
		head->changed = s->now;
	return 0;
}

int common_set(struct fs_node *node, const struct fs_attributes *attributes, unsigned which)
{
	struct common *fs = common_of(node);
	struct common_head head;
	int error = fs->fs.read_only ? -EROFS : common_head(fs, common_node(node), &head);

	return error ? error : common_head_change(fs, common_node(node)->block, set, &(struct set){ attributes, which,
		common_now(fs) });
}

int common_attributes(struct fs_node *node, struct fs_attributes *attributes)
{
	struct common *fs = common_of(node);
	struct common_head head;
	uint64_t blocks = 0;
	int error = common_head(fs, common_node(node), &head);

	if (!error)
		error = common_extents(fs, common_node(node)->block);
	if (error)
		return error;
	for (uint32_t i = 0; i < fs->extents; i++)
		blocks += common_count(&fs->extent[i].value);
	*attributes = (struct fs_attributes){ .number = node->number, .kind = head.kind, .mode = head.mode, .links = head.links,
		.uid = head.uid, .gid = head.gid, .bytes = head.bytes, .blocks = (blocks + 1) * (BLOCK_BYTES / 512),
		.accessed = time_of(&head.accessed), .modified = time_of(&head.modified), .changed = time_of(&head.changed),
		.device = head.device };
	return 0;
}

int common_readlink(struct fs_node *node, char *target, size_t bytes)
{
	struct common *fs = common_of(node);
	struct common_view view;
	struct common_head head;
	size_t count;
	int error = node->kind == FS_SYMLINK ? common_head(fs, common_node(node), &head) : -EINVAL;

	if (error)
		return error;
	count = head.bytes < COMMON_TARGET_MAX ? head.bytes : COMMON_TARGET_MAX;
	count = count < bytes ? count : bytes;
	do {
		error = common_view(fs, common_node(node)->block, COMMON_NODE, &view);
		if (!error)
			memcpy(target, view.bytes->target, count);
	} while (!error && !common_still(fs, &view));
	return error ? error : (int)count;
}

/* --- made and freed --------------------------------------------------------------------------------------- */

static int make_head(struct common_head *head, const void *arg)
{
	*head = *(const struct common_head *)arg;
	return 0;
}

static int put_target(struct common *fs, uint32_t block, const char *target, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += COMMON_SECTOR) {
		size_t now = bytes - at < COMMON_SECTOR ? bytes - at : COMMON_SECTOR;
		struct common_view view;
		int error = common_view(fs, block, COMMON_NODE, &view);
		void *to = error ? NULL : common_begin(fs, &view, (unsigned)(offsetof(struct common_block, target) + at),
		    (unsigned)now);

		if (!to)
			return error ? error : -EIO;
		memcpy(to, target + at, now);
		error = common_commit(fs, block);
		if (error)
			return error;
	}
	return 0;
}

int common_new_in(struct common *fs, uint32_t beside, const struct common_node *directory, const char *name, size_t bytes,
    const struct fs_attributes *how, const char *target, uint32_t *block, uint32_t *generation)
{
	struct common_time now = common_now(fs);
	struct common_head head = { .kind = how->kind, .name_bytes = (uint8_t)bytes, .mode = how->mode & 07777,
		.links = how->kind == FS_DIRECTORY ? 2 : 1, .uid = how->uid, .gid = how->gid, .parent = directory->block,
		.parent_generation = directory->generation, .device = how->device, .accessed = now, .modified = now,
		.changed = now, .bytes = target ? strlen(target) : 0 };
	int error;

	if (head.bytes > COMMON_TARGET_MAX)
		return -ENAMETOOLONG;
	error = common_table_add(fs, beside, block);
	if (error)
		return error;
	fs->seed = fs->seed * 1664525 + 1013904223 + fs->volume->page->clock;
	*generation = head.generation = (fs->seed ^ (uint32_t)now.seconds * 2654435761u) | 1;
	memcpy(head.name, name, bytes);
	error = common_head_change(fs, *block, make_head, &head);
	if (!error && target)
		error = put_target(fs, *block, target, head.bytes);
	if (error)
		(void)common_table_drop(fs, *block);
	return error;
}

int common_free(struct common *fs, uint32_t block)
{
	int error = common_cut(fs, block, 0);

	return error ? error : common_table_drop(fs, block);
}
