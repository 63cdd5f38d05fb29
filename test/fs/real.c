/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fs/real.h"

int64_t real_now = 1000000000;

static struct fs_time now(void)
{
	return (struct fs_time){ .seconds = real_now };
}

const struct kind *kind_named(const char *name)
{
	for (unsigned i = 0; i < kind_count; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

int real_mount(struct real *real)
{
	static const struct cache_policy *const policies[] = { NULL, &cache_lru, &cache_2q };
	struct fs_mount how = { .device = real->disk ? &real->disk->device : NULL, .cache_pages = real->cache_pages,
		.policy = policies[real->policy], .read_only = real->read_only, .options = real->kind->options,
		.now = now, .volume = real->kind->volume };
	int error;

	memset(real->slot, 0, sizeof(real->slot));
	real->fs = NULL;
	error = real->kind->ops->mount(&real->fs, &real->root, &how);
	if (error)
		real->fs = NULL;
	return error;
}

static void put_slots(struct real *real)
{
	for (unsigned i = 0; i < OP_SLOTS; i++)
		if (real->slot[i]) {
			fs_put(real->slot[i]);
			real->slot[i] = NULL;
		}
}

int real_unmount(struct real *real)
{
	int error;

	put_slots(real);
	error = real->kind->ops->unmount(real->fs);
	if (!error)
		real->fs = NULL;
	return error;
}

/* Find the last component's directory if `last`, else the node; held. */
static int64_t walk(struct real *real, const char *path, struct fs_node **found, char *last, size_t *last_bytes)
{
	struct fs_node *node = real->root, *next;
	char name[260];

	if (*path == '#') {
		node = real->slot[path[1] - '0'];
		path += 2;
	}
	path += *path == '/';
	fs_hold(node);
	while (*path) {
		size_t bytes = strcspn(path, "/"), full = op_name(path, bytes, name);
		int error;

		path += bytes + (path[bytes] == '/');
		if (last && !*path) {
			memcpy(last, name, full + 1);
			*last_bytes = full;
			break;
		}
		error = real->kind->ops->lookup(node, name, full, &next);
		fs_put(node);
		if (error)
			return error;
		node = next;
	}
	*found = node;
	return 0;
}

int64_t real_find(struct real *real, const char *path, struct fs_node **node)
{
	return walk(real, path, node, NULL, NULL);
}

static int64_t attributes(struct real *real, struct fs_node *node, struct answer *answer)
{
	struct fs_attributes is;
	int error = real->kind->ops->attributes(node, &is);

	if (error)
		return error;
	answer->real = is.number;
	answer_say(answer, "kind %u links %u uid %u gid %u", is.kind, is.kind == FS_DIRECTORY ? 0 : is.links, is.uid, is.gid);
	answer_say(answer, " mode %o bytes %llu", is.kind == FS_SYMLINK ? 0 : is.mode,
	    is.kind == FS_DIRECTORY ? 0ull : (unsigned long long)is.bytes);
	return 0;
}

static int64_t create(struct real *real, const struct op *op, struct fs_node *directory, const char *name, size_t bytes,
    struct answer *answer)
{
	struct fs_attributes how = { .mode = (uint16_t)(op->n[0] & 07777), .uid = (uint32_t)(op->n[0] % 7),
		.gid = (uint32_t)(op->n[0] % 5) };
	char target[FS_LINK_MAX + 1];
	struct fs_node *node;
	int64_t error;

	how.kind = op->kind == OP_MKDIR ? FS_DIRECTORY : op->kind == OP_SYMLINK ? FS_SYMLINK : op->kind == OP_FIFO ? FS_FIFO :
	    FS_FILE;
	if (op->kind == OP_SYMLINK) {
		how.mode = 0777;
		op_target(target, op->n[0], op->n[1]);
	}
	error = real->kind->ops->create(directory, name, bytes, &how, op->kind == OP_SYMLINK ? target : NULL, &node);
	if (error)
		return error;
	answer->real = node->number;
	fs_put(node);
	return 0;
}

static int64_t clone(struct real *real, struct fs_node *from, struct fs_node *directory, const char *name, size_t bytes,
    struct answer *answer)
{
	struct fs_attributes how = { .kind = FS_FILE, .mode = 0644, .uid = 0644 % 7, .gid = 0644 % 5 };
	const struct fs_ops *ops = real->kind->ops;
	struct fs_attributes before;
	struct fs_node *to;
	int64_t error;

	(void)ops->attributes(directory, &before);
	error = ops->create(directory, name, bytes, &how, NULL, &to);
	if (!error) {
		answer->real = to->number;
		error = ops->clone(from, to);
		fs_put(to);
		/* As if nothing had been done. */
		if (error && (ops->unlink(directory, name, bytes, false) || ops->set(directory, &before, FS_SET_MODIFIED)))
			error = -EIO;
	}
	return error;
}

/* Operations on a name in a directory. */
static int64_t in_directory(struct real *real, const struct op *op, struct answer *answer)
{
	bool second = op->kind == OP_LINK || op->kind == OP_CLONE;
	const struct fs_ops *ops = real->kind->ops;
	struct fs_node *directory, *other = NULL;
	char name[260], to_name[260];
	size_t bytes, to_bytes;
	int64_t error = second ? walk(real, op->a, &other, NULL, NULL) : 0;

	if (!error)
		error = walk(real, second ? op->b : op->a, &directory, name, &bytes);
	if (error) {
		if (other)
			fs_put(other);
		return error;
	}
	switch (op->kind) {
	case OP_LINK:
		error = ops->link(directory, name, bytes, other);
		break;
	case OP_RENAME:
		error = walk(real, op->b, &other, to_name, &to_bytes);
		if (!error)
			error = ops->rename(directory, name, bytes, other, to_name, to_bytes);
		break;
	case OP_UNLINK: case OP_RMDIR:
		error = ops->unlink(directory, name, bytes, op->kind == OP_RMDIR);
		break;
	case OP_CLONE:
		error = clone(real, other, directory, name, bytes, answer);
		break;
	default:
		error = create(real, op, directory, name, bytes, answer);
	}
	if (other)
		fs_put(other);
	fs_put(directory);
	return error;
}

struct listed {
	char name[FS_NAME_MAX + 1];
	uint8_t kind;
	bool twice;
};

static int order(const void *a, const void *b)
{
	return strcmp(((const struct listed *)a)->name, ((const struct listed *)b)->name);
}

/* Make and remove entries while a directory is read. */
static void disturb(struct real *real, struct fs_node *node, uint64_t value, unsigned step)
{
	struct fs_attributes how = { .kind = FS_FILE, .mode = 0600 };
	struct fs_node *made;
	char name[40];

	snprintf(name, sizeof(name), "~%llu", (unsigned long long)((value >> step) % 8));
	if (!real->kind->ops->create(node, name, strlen(name), &how, NULL, &made))
		fs_put(made);
	else
		real->kind->ops->unlink(node, name, strlen(name), false);
}

static int64_t list(struct real *real, const struct op *op, struct fs_node *node, struct answer *answer)
{
	const struct fs_ops *ops = real->kind->ops;
	struct listed *listed = NULL;
	struct fs_entry entry;
	uint64_t cursor = 0;
	size_t count = 0;
	char name[40];
	int said;

	while ((said = ops->readdir(node, &cursor, &entry)) > 0) {
		struct fs_node *is;

		if (op->kind == OP_LIST_CHANGE) {
			disturb(real, node, op->n[0], (unsigned)count % 24);
			if (entry.name[0] == '~')
				continue;
		}
		if (entry.bytes != strlen(entry.name) || count > 100000)
			said = -ERANGE;
		else
			said = ops->lookup(node, entry.name, entry.bytes, &is);
		if (said < 0)
			break;
		hostdisk_own++;
		listed = realloc(listed, sizeof(*listed) * (count + 1));
		hostdisk_own--;
		memcpy(listed[count].name, entry.name, entry.bytes + 1u);
		listed[count++].kind = is->number == entry.number && (!entry.kind || entry.kind == is->kind) ? is->kind : 99;
		fs_put(is);
	}
	for (unsigned i = 0; op->kind == OP_LIST_CHANGE && i < 8; i++) {
		snprintf(name, sizeof(name), "~%u", i);
		ops->unlink(node, name, strlen(name), false);
	}
	if (count)
		qsort(listed, count, sizeof(*listed), order);
	for (size_t i = 0; i < count; i++)
		answer_say(answer, "%.8s-%zu %u\n", listed[i].name, strlen(listed[i].name), listed[i].kind);
	free(listed);
	return said;
}

static int64_t page(struct real *real, const struct op *op, struct fs_node *node, struct answer *answer)
{
	static const uint8_t zeroes[BLOCK_BYTES];
	bool write = op->kind == OP_PAGE_WRITE;
	struct buffer *page;
	int error = real->kind->ops->page(node, op->n[0] / BLOCK_BYTES * BLOCK_BYTES, write, &page);

	if (error)
		return error;
	if (write)
		op_fill(page->data + op->n[0] % BLOCK_BYTES, op->n[2], op->n[0], op->n[1]);
	else
		answer_add(answer, page ? page->data : zeroes, BLOCK_BYTES);
	if (page)
		real->kind->ops->page_put(node, page, write);
	return 0;
}

static int64_t set(struct real *real, const struct op *op, struct fs_node *node)
{
	struct fs_attributes how = { 0 };
	unsigned which;

	if (op->kind == OP_CHMOD) {
		how.mode = (uint16_t)(op->n[0] & 07777);
		which = FS_SET_MODE;
	} else if (op->kind == OP_CHOWN) {
		how.uid = (uint32_t)op->n[0];
		how.gid = (uint32_t)op->n[1];
		which = FS_SET_UID | FS_SET_GID;
	} else {
		how.modified.seconds = (int64_t)op->n[0];
		which = FS_SET_MODIFIED;
	}
	return real->kind->ops->set(node, &how, which);
}

/* Operations on a node. */
static int64_t on_node(struct real *real, const struct op *op, struct fs_node *node, struct answer *answer)
{
	const struct fs_ops *ops = real->kind->ops;
	static uint8_t bytes[OP_BYTES_MAX + 1];
	int64_t said;

	switch (op->kind) {
	case OP_STAT:
		return attributes(real, node, answer);
	case OP_LIST: case OP_LIST_CHANGE:
		return list(real, op, node, answer);
	case OP_READLINK: case OP_READ:
		said = op->kind == OP_READ ? ops->read(node, op->n[0], bytes, op->n[1]) :
		    ops->readlink(node, (char *)bytes, FS_LINK_MAX);
		if (said > 0)
			answer_add(answer, bytes, (size_t)said);
		return said;
	case OP_WRITE:
		op_fill(bytes, op->n[2], op->n[0], op->n[1]);
		return ops->write(node, op->n[0], bytes, op->n[1]);
	case OP_TRUNCATE:
		return ops->truncate(node, op->n[0]);
	case OP_PAGE_READ: case OP_PAGE_WRITE:
		return page(real, op, node, answer);
	case OP_FSYNC: case OP_FDATASYNC:
		return ops->fsync(node, op->kind == OP_FDATASYNC);
	case OP_AHEAD:
		if (ops->ahead && node->kind == FS_FILE)
			ops->ahead(node, op->n[0], op->n[1]);
		return 0;
	case OP_HOLD:
		fs_hold(node);
		if (real->slot[op->n[0]])
			fs_put(real->slot[op->n[0]]);
		real->slot[op->n[0]] = node;
		return 0;
	default:
		return set(real, op, node);
	}
}

int64_t real_do(struct real *real, const struct op *op, struct answer *answer)
{
	struct fs_node *node;
	struct fs_space space;
	int64_t said;

	answer->count = 0;
	answer->real = 0;
	switch (op->kind) {
	case OP_CREATE: case OP_MKDIR: case OP_SYMLINK: case OP_FIFO: case OP_LINK: case OP_UNLINK: case OP_RMDIR: case OP_RENAME:
	case OP_CLONE:
		return in_directory(real, op, answer);
	case OP_SYNC:
		return real->kind->ops->sync(real->fs);
	case OP_SPACE:
		said = real->kind->ops->space(real->fs, &space);
		return said ? said : space.blocks_free > space.blocks || space.blocks_available > space.blocks_free ||
		    space.name_max != FS_NAME_MAX ? -ERANGE : 0;
	case OP_PUT:
		if (real->slot[op->n[0]])
			fs_put(real->slot[op->n[0]]);
		real->slot[op->n[0]] = NULL;
		return 0;
	case OP_REMOUNT:
		said = real_unmount(real);
		return said ? said : real_mount(real);
	default:
		said = walk(real, op->a, &node, NULL, NULL);
		if (said)
			return said;
		said = on_node(real, op, node, answer);
		fs_put(node);
		return said;
	}
}
