/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tar archives in memory: the index and lookups. Members come from tar_read.c.
 *
 * The index is an array of nodes, one for each directory, file and symbolic link, and a hash table of node
 * numbers. A node is found by the pair (parent's number, own name), so a name is never copied or joined: each
 * component lies in one piece somewhere in the archive, in a header field or in a long-name record.
 *
 *	1. nodes[0] is the root; every other node hangs in its parent's child list and in one hash chain.
 *	2. All pointers of a node lie inside the archive, with their lengths.
 *	3. Only directories have children.
 *
 * tar_need counts nodes without an index: a member adds the components in which its path differs from the
 * path before it. For archives in depth-first order, which is what tar writes, that is exact; otherwise it is
 * too much.
 */
#include <string.h>

#include "libos/fs/tar.h"
#include "libos/fs/tar_read.h"

/* FNV-1a over the name, seeded with the parent's number. */
static uint32_t hash(uint32_t parent, const char *name, size_t len)
{
	uint32_t h = 2166136261u ^ (parent * 2654435761u);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h ^ h >> 15;
}

static uint32_t child_named(const struct tar *t, uint32_t parent, const char *name, size_t len)
{
	uint32_t n = t->buckets[hash(parent, name, len) & t->bucket_mask];

	for (; n; n = t->nodes[n].chain) {
		const struct tar_node *node = &t->nodes[n];

		if (node->parent == parent && node->name_len == len && !memcmp(node->name, name, len))
			return n;
	}
	return 0;
}

/* Returns the new node's number, 0 when the index memory is used up. */
static uint32_t child_add(struct tar *t, uint32_t parent, const char *name, size_t len)
{
	uint32_t *bucket = &t->buckets[hash(parent, name, len) & t->bucket_mask];
	uint32_t n = t->count;
	struct tar_node *node, *up = &t->nodes[parent];

	if (n >= t->max)
		return 0;
	t->count++;
	node = &t->nodes[n];
	memset(node, 0, sizeof(*node));
	node->name = name;
	node->name_len = (uint16_t)len;
	node->mode = 0755;
	node->parent = parent;
	node->chain = *bucket;
	*bucket = n;
	if (up->last_child)
		t->nodes[up->last_child].sibling = n;
	else
		up->child = n;
	up->last_child = n;
	return n;
}

/*
 * Walk to the member's node, making directories on the way. Returns a status; *number is the node, *fresh if
 * new.
 */
static enum tar_status place(struct tar *t, const struct tar_name *path, uint32_t *number, int *fresh)
{
	struct tar_walk w = tar_walk(path);
	uint32_t at = 0;

	*fresh = 0;
	while (tar_walk_next(&w)) {
		uint32_t next = child_named(t, at, w.component, w.len);

		if (t->nodes[at].kind != TAR_DIRECTORY)
			return TAR_CONFLICT;
		*fresh = !next;
		if (!next)
			next = child_add(t, at, w.component, w.len);
		if (!next)
			return TAR_MEMORY;
		at = next;
	}
	*number = at;
	return TAR_OK;
}

/* The file that a hard link's target names, or NULL. */
static const struct tar_node *hard_target(const struct tar *t, const struct tar_name *path)
{
	struct tar_walk w = tar_walk(path);
	uint32_t at = 0;

	while (tar_walk_next(&w)) {
		at = child_named(t, at, w.component, w.len);
		if (!at)
			return NULL;
	}
	return t->nodes[at].kind == TAR_DIRECTORY ? NULL : &t->nodes[at];
}

static enum tar_status add_member(struct tar *t, const struct tar_member *m)
{
	const struct tar_node *from = NULL;
	struct tar_node *node;
	enum tar_status status;
	uint32_t number;
	int fresh;

	if (m->what == TAR_MEMBER_HARDLINK) {
		from = hard_target(t, &m->link);
		if (!from)
			return TAR_HARDLINK;
	}
	status = place(t, &m->path, &number, &fresh);
	if (status)
		return status;
	node = &t->nodes[number];
	if (!fresh && (node->kind == TAR_DIRECTORY) != (m->what == TAR_MEMBER_DIRECTORY))
		return TAR_CONFLICT;
	node->mode = m->mode;
	node->mtime = m->mtime;
	switch (m->what) {
	case TAR_MEMBER_DIRECTORY:
		node->kind = TAR_DIRECTORY;
		break;
	case TAR_MEMBER_HARDLINK:
		node->kind = from->kind;
		node->data = from->data;
		node->size = from->size;
		node->mtime = from->mtime;
		node->mode = from->mode;
		break;
	case TAR_MEMBER_SYMLINK:
		node->kind = TAR_SYMLINK;
		node->data = m->link.piece[0];
		node->size = m->link.len[0];
		break;
	case TAR_MEMBER_FILE:
		node->kind = TAR_FILE;
		node->data = m->data;
		node->size = m->size;
		break;
	}
	return TAR_OK;
}

/* Components of `path` beyond those that it begins with in common with `before`. */
static uint32_t new_components(const struct tar_name *before, const struct tar_name *path)
{
	struct tar_walk a = tar_walk(before), b = tar_walk(path);
	uint32_t count = 0;

	while (tar_walk_next(&b)) {
		if (!count && tar_walk_next(&a) && a.len == b.len && !memcmp(a.component, b.component, a.len))
			continue;
		count++;
	}
	return count;
}

static size_t buckets_for(size_t nodes)
{
	size_t buckets = 1;

	while (buckets * 2 <= nodes)
		buckets *= 2;
	return buckets;
}

size_t tar_need(const void *base, size_t size, struct tar_error *error)
{
	struct tar_reader r = tar_reader(base, size, error);
	struct tar_name before = { { "", "" }, { 0, 0 } };
	struct tar_member m;
	size_t nodes = 1;

	while (tar_read(&r, &m)) {
		nodes += new_components(&before, &m.path);
		before = m.path;
	}
	if (error->status)
		return 0;
	if (nodes > UINT32_MAX / 2) {
		tar_fail(&r, TAR_MEMORY, 0);
		return 0;
	}
	return nodes * sizeof(struct tar_node) + buckets_for(nodes) * sizeof(uint32_t) +
	       _Alignof(struct tar_node);
}

/* Share the memory between nodes and buckets in the proportion that tar_need counted with. */
static int lay_out(struct tar *t, void *mem, size_t bytes)
{
	size_t skip = -(uintptr_t)mem % _Alignof(struct tar_node);
	size_t pair = sizeof(struct tar_node) + sizeof(uint32_t), buckets, nodes;

	if (bytes < _Alignof(struct tar_node) + pair)
		return 0;
	bytes -= _Alignof(struct tar_node);
	buckets = buckets_for(bytes / pair);
	nodes = (bytes - buckets * sizeof(uint32_t)) / sizeof(struct tar_node);
	if (nodes > UINT32_MAX / 2)
		nodes = UINT32_MAX / 2;
	t->nodes = (void *)((char *)mem + skip);
	t->max = (uint32_t)nodes;
	t->buckets = (void *)(t->nodes + nodes);
	t->bucket_mask = (uint32_t)buckets - 1;
	memset(t->buckets, 0, buckets * sizeof(uint32_t));
	memset(&t->nodes[0], 0, sizeof(t->nodes[0]));
	t->nodes[0].name = "";
	t->nodes[0].mode = 0755;
	t->count = 1;
	return 1;
}

enum tar_status tar_open(struct tar *t, const void *base, size_t size, void *mem, size_t mem_bytes,
			 struct tar_error *error)
{
	struct tar_reader r = tar_reader(base, size, error);
	struct tar_member m;

	if (!lay_out(t, mem, mem_bytes))
		return tar_fail(&r, TAR_MEMORY, 0);
	while (tar_read(&r, &m)) {
		enum tar_status status = add_member(t, &m);

		if (status)
			return tar_fail(&r, status, m.offset);
	}
	t->bytes = r.at;
	return error->status;
}

/*
 * Where a lookup stands: the directory so far, what is left of the path, and how many links it has followed.
 */
struct lookup {
	const struct tar *t;
	uint32_t root, at;
	int links;
};

/*
 * Follow a path from l->at. Recursion is bounded by TAR_LINKS_MAX: one level for each link whose target is
 * walked. A link in the last place is followed too.
 */
static enum tar_status follow(struct lookup *l, const char *path, size_t len)
{
	const struct tar_node *nodes = l->t->nodes;
	size_t i = 0;

	if (len && path[0] == '/')
		l->at = l->root;
	for (;;) {
		size_t start;
		uint32_t next;

		if (i < len && nodes[l->at].kind != TAR_DIRECTORY)
			return TAR_NOTDIR;
		while (i < len && path[i] == '/')
			i++;
		if (i == len)
			return TAR_OK;
		for (start = i; i < len && path[i] != '/'; i++)
			;
		if (i - start == 1 && path[start] == '.')
			continue;
		if (i - start == 2 && path[start] == '.' && path[start + 1] == '.') {
			if (l->at != l->root)
				l->at = nodes[l->at].parent;
			continue;
		}
		next = child_named(l->t, l->at, path + start, i - start);
		if (!next)
			return TAR_NOENT;
		if (nodes[next].kind == TAR_SYMLINK) {
			enum tar_status status;

			if (++l->links > TAR_LINKS_MAX)
				return TAR_LOOP;
			status = follow(l, nodes[next].data, nodes[next].size);
			if (status)
				return status;
		} else {
			l->at = next;
		}
	}
}

const struct tar_node *tar_find(const struct tar *t, const struct tar_node *root, const char *path,
				size_t len, enum tar_status *status)
{
	struct lookup l = { .t = t };

	l.root = l.at = root ? (uint32_t)(root - t->nodes) : 0;
	*status = follow(&l, path, len);
	return *status ? NULL : &t->nodes[l.at];
}

const struct tar_node *tar_lookup(const struct tar *t, const struct tar_node *directory, const char *name, size_t len)
{
	uint32_t number = child_named(t, (uint32_t)(directory - t->nodes), name, len);

	return number ? &t->nodes[number] : NULL;
}

const struct tar_node *tar_first(const struct tar *t, const struct tar_node *directory)
{
	return directory->child ? &t->nodes[directory->child] : NULL;
}

const struct tar_node *tar_next(const struct tar *t, const struct tar_node *entry)
{
	return entry->sibling ? &t->nodes[entry->sibling] : NULL;
}
