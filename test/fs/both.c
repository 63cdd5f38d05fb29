/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system against the model: operation by operation, and the whole tree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fs/real.h"

/* Errors may come in another order where several are true. */
static bool same_error(int64_t got, int64_t want)
{
	return got == want || (want == -ENOTEMPTY && got == -EEXIST) || (want == -ENAMETOOLONG && got == -ENOENT) ||
	    (want == -ENOENT && got == -ENAMETOOLONG) || (want == -EEXIST && got == -ENOENT);
}

static bool may_fill(enum op_kind kind)
{
	return kind == OP_CREATE || kind == OP_MKDIR || kind == OP_SYMLINK || kind == OP_FIFO || kind == OP_LINK ||
	    kind == OP_RENAME || kind == OP_WRITE || kind == OP_PAGE_WRITE || kind == OP_CLONE || kind == OP_TRUNCATE ||
	    kind == OP_LIST_CHANGE || kind == OP_TOUCH || kind == OP_CHMOD || kind == OP_CHOWN || kind == OP_UNLINK;
}

/* Is there so little room that the operation may say so? */
static bool full(struct real *real, const struct op *op)
{
	struct fs_space space;

	if (real->kind->ops->space(real->fs, &space))
		return false;
	return space.blocks_available < 64 + space.blocks / 16 + 2 * op->n[1] / BLOCK_BYTES || space.files_free == 0;
}

bool both_offered(const struct kind *kind, const struct op *op)
{
	return !((op->kind == OP_CLONE && !kind->clone) || (op->kind == OP_FIFO && !kind->fifo) ||
	    (op->kind == OP_REMOUNT && !kind->blocks) ||
	    (op->kind == OP_SYMLINK && kind->link_max && op->n[1] > kind->link_max) || (!kind->ops->page &&
	    (op->kind == OP_PAGE_READ || op->kind == OP_PAGE_WRITE)));
}

static int said(char *why, size_t bytes, const struct answer *got, const struct answer *want)
{
	size_t at = 0;

	while (at < got->count && at < want->count && got->bytes[at] == want->bytes[at])
		at++;
	if (got->count && want->count && got->count < 2000 && want->count < 2000 && want->bytes[0] >= ' ' &&
	    want->bytes[0] < 127)
		snprintf(why, bytes, "says \"%.*s\", ought to say \"%.*s\"", (int)got->count, got->bytes, (int)want->count,
		    want->bytes);
	else
		snprintf(why, bytes, "%zu bytes, ought to be %zu; byte %zu is 0x%x, ought to be 0x%x", got->count, want->count,
		    at, at < got->count ? got->bytes[at] : 0, at < want->count ? want->bytes[at] : 0);
	return -1;
}

/* Numbers of nodes stay what they were, and are given once. */
static int numbers(struct model *model, bool renumbers, const struct answer *got, const struct answer *want, char *why, size_t bytes)
{
	struct model_node *node;

	if (want->node < 0 || !model->nodes[want->node] || renumbers)
		return 0;
	node = model->nodes[want->node];
	if (!node->real)
		node->real = got->real;
	if (node->real == got->real)
		return 0;
	snprintf(why, bytes, "node %llu was %llu", (unsigned long long)got->real, (unsigned long long)node->real);
	return -1;
}

int both_do(struct real *real, struct model *model, const struct op *op, char *why, size_t bytes, int64_t *result)
{
	static struct answer got, want;
	struct fs_space space;
	struct op done = *op;
	int64_t expected, is;
	unsigned own;

	if (result)
		*result = MODEL_SKIP;
	if (op->kind == OP_READ || op->kind == OP_WRITE)
		done.n[1] = op->n[1] > OP_BYTES_MAX ? OP_BYTES_MAX : op->n[1];
	model->now = ++real_now;
	expected = model_do(model, &done, &want, true);
	if (expected == MODEL_SKIP || !both_offered(real->kind, op))
		return 0;
	own = hostdisk_own;
	hostdisk_own = 0;
	is = real_do(real, &done, &got);
	hostdisk_own = own;
	if (result)
		*result = is;
	if (expected >= 0 && is == -ENOSPC && may_fill(op->kind) && full(real, &done))
		return 0;
	if (expected >= 0 && is == -ENODEV && (op->kind == OP_PAGE_READ || op->kind == OP_PAGE_WRITE))
		return 0;
	if ((op->kind == OP_WRITE || op->kind == OP_READ) && is > 0 && is < expected && (real->faults ||
	    (op->kind == OP_WRITE && full(real, &done))))
		expected = (int64_t)(done.n[1] = (uint64_t)is);
	if (expected < 0 ? !same_error(is, expected) : is != expected) {
		snprintf(why, bytes, "gives %lld (%s), ought to give %lld (%s)", (long long)is, is < 0 ? strerror((int)-is) : "",
		    (long long)expected, expected < 0 ? strerror((int)-expected) : "");
		if (is == -ENOSPC && !real->kind->ops->space(real->fs, &space))
			snprintf(why + strlen(why), bytes - strlen(why), " with %llu blocks of %llu available, %llu free",
			    (unsigned long long)space.blocks_available, (unsigned long long)space.blocks,
			    (unsigned long long)space.blocks_free);
		return -1;
	}
	if (expected < 0)
		return 0;
	model_do(model, &done, &want, false);
	if (got.count != want.count || (got.count && memcmp(got.bytes, want.bytes, got.count)))
		return said(why, bytes, &got, &want);
	if (op->kind == OP_LIST_CHANGE)
		model->nodes[model_find(model, op->a)]->modified = -1;
	return numbers(model, real->kind->renumbers, &got, &want, why, bytes);
}

/* A read that ended early: does whoever goes on learn that the disk fails? */
static bool is_told(struct real *real, struct fs_node *node, uint64_t at, int64_t got)
{
	static uint8_t more[BLOCK_BYTES];

	return real->reads_fail && (got == -EIO || (got > 0 && real->kind->ops->read(node, at + (uint64_t)got, more, sizeof(more)) == -EIO));
}

/* Contents of a file: all that there is, and some of the holes. */
static int compare_bytes(struct real *real, const struct model_node *want, struct fs_node *node, char *why, size_t bytes)
{
	static uint8_t is[3 * BLOCK_BYTES], ought[3 * BLOCK_BYTES];

	for (uint32_t i = 0; i <= want->page_count; i++) {
		uint64_t at = i < want->page_count ? want->pages[i].index * BLOCK_BYTES : want->size > 2 * BLOCK_BYTES ?
		    want->size - 2 * BLOCK_BYTES : 0;
		uint64_t count;
		int64_t got;

		at -= at >= 100 ? 100 : at;
		count = at >= want->size ? 0 : want->size - at < sizeof(is) ? want->size - at : sizeof(is);
		got = real->kind->ops->read(node, at, is, sizeof(is));
		if (got < (int64_t)count && is_told(real, node, at, got)) {
			count = got < 0 ? 0 : (uint64_t)got;
		} else if (got != (int64_t)count) {
			snprintf(why, bytes, "read at %llu gives %lld, ought to give %llu", (unsigned long long)at, (long long)got,
			    (unsigned long long)count);
			return -1;
		}
		model_bytes(want, at, ought, count);
		for (uint64_t j = 0; memcmp(is, ought, count) && j < count; j++)
			if (is[j] != ought[j]) {
				snprintf(why, bytes, "byte %llu of %llu is 0x%x, ought to be 0x%x", (unsigned long long)(at + j),
				    (unsigned long long)want->size, is[j], ought[j]);
				return -1;
			}
	}
	return 0;
}

static int compare_node(struct real *real, struct model *model, uint32_t number, struct fs_node *node, char *why,
    size_t bytes)
{
	static struct answer got, want;
	const struct model_node *ought = model->nodes[number];
	struct fs_attributes is;
	int error = real->kind->ops->attributes(node, &is);
	char target[FS_LINK_MAX + 1];
	struct fs_node *parent;

	got.count = want.count = 0;
	if (error) {
		snprintf(why, bytes, "no attributes: %s", strerror(-error));
		return -1;
	}
	answer_say(&got, "kind %u links %u uid %u gid %u mode %o bytes %llu", is.kind, is.kind == FS_DIRECTORY ? 0 : is.links,
	    is.uid, is.gid, is.kind == FS_SYMLINK ? 0 : is.mode, is.kind == FS_DIRECTORY ? 0 : (unsigned long long)is.bytes);
	answer_say(&want, "kind %u links %u uid %u gid %u mode %o bytes %llu", ought->kind, ought->kind == FS_DIRECTORY ? 0 :
	    ought->links, number ? ought->uid : is.uid, number ? ought->gid : is.gid, ought->kind == FS_SYMLINK ? 0 :
	    number ? ought->mode : is.mode, ought->kind == FS_DIRECTORY ? 0 : (unsigned long long)ought->size);
	if (got.count != want.count || memcmp(got.bytes, want.bytes, got.count))
		return said(why, bytes, &got, &want);
	if (ought->real && ought->real != is.number) {
		snprintf(why, bytes, "node %llu was %llu", (unsigned long long)is.number, (unsigned long long)ought->real);
		return -1;
	}
	if (real->kind->times && ought->modified >= 0 && is.modified.seconds != ought->modified) {
		snprintf(why, bytes, "modified at %lld, ought to be %lld", (long long)is.modified.seconds,
		    (long long)ought->modified);
		return -1;
	}
	if (ought->kind == FS_FILE)
		return compare_bytes(real, ought, node, why, bytes);
	if (ought->kind == FS_SYMLINK && (real->kind->ops->readlink(node, target, FS_LINK_MAX) != (int)ought->size ||
	    memcmp(target, ought->target, ought->size))) {
		snprintf(why, bytes, "another target");
		return -1;
	}
	if (ought->kind != FS_DIRECTORY || !number || !ought->links || !model->nodes[ought->parent] || !model->nodes[ought->parent]->real)
		return 0;
	error = real->kind->ops->parent(node, &parent);
	if (error || parent->number != model->nodes[ought->parent]->real) {
		snprintf(why, bytes, "another parent");
		error = -1;
	} else {
		fs_put(parent);
	}
	return error;
}

static int compare_tree(struct real *real, struct model *model, uint32_t number, struct fs_node *node, char *why, size_t bytes)
{
	struct model_node *directory = model->nodes[number];
	struct fs_entry entry;
	uint64_t cursor = 0;
	uint32_t count = 0;
	int more;

	if (compare_node(real, model, number, node, why, bytes))
		return -1;
	if (directory->kind != FS_DIRECTORY)
		return 0;
	while ((more = real->kind->ops->readdir(node, &cursor, &entry)) > 0 && count <= directory->entry_count) {
		const struct model_entry *ought = model_entry(directory, entry.name);
		struct fs_node *child;
		int error;

		count++;
		if (!ought) {
			snprintf(why, bytes, "\"%.40s\" ought not to be there", entry.name);
			return -1;
		}
		error = real->kind->ops->lookup(node, entry.name, entry.bytes, &child);
		if (error) {
			snprintf(why, bytes, "\"%.40s\" is listed, but not found: %s", entry.name, strerror(-error));
			return -1;
		}
		error = compare_tree(real, model, ought->node, child, why, bytes);
		fs_put(child);
		if (error) {
			size_t length = strlen(why);

			snprintf(why + length, bytes - length, " (in /%.40s)", entry.name);
			return -1;
		}
	}
	if (more < 0 || count != directory->entry_count) {
		snprintf(why, bytes, "%u entries, ought to be %u; readdir gives %d", count, directory->entry_count, more);
		return -1;
	}
	return 0;
}

int both_compare(struct real *real, struct model *model, char *why, size_t bytes)
{
	for (unsigned i = 0; i < OP_SLOTS; i++)
		if (model->slot[i] > 0 && (!real->slot[i] || compare_node(real, model, (uint32_t)model->slot[i], real->slot[i], why, bytes))) {
			size_t length = strlen(why);

			snprintf(why + length, bytes - length, " (slot %u)", i);
			return -1;
		}
	return compare_tree(real, model, 0, real->root, why, bytes);
}
