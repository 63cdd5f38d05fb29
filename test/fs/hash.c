/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hash of a tree: kinds, modes, owners, links, sizes, contents, targets and names; without times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fs/judge.h"

#define LARGEST		(8u << 20)	/* bytes of a file that is read whole */

static uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * 0x9e3779b97f4a7c15u;
	return a ^ a >> 29;
}

static uint64_t hash_bytes(const void *bytes, size_t count)
{
	const uint8_t *at = bytes;
	uint64_t hash = count, word;

	for (; count >= 8; count -= 8, at += 8) {
		memcpy(&word, at, 8);
		hash = mix(hash, word);
	}
	for (; count; count--)
		hash = mix(hash, *at++);
	return hash;
}

/* A page of a file: zeroes count as a hole. */
static uint64_t hash_page(uint64_t index, const uint8_t *bytes)
{
	static const uint8_t zeroes[BLOCK_BYTES];

	return memcmp(bytes, zeroes, BLOCK_BYTES) ? mix(hash_bytes(bytes, BLOCK_BYTES), index + 1) : 0;
}

static uint64_t hash_node(unsigned kind, unsigned mode, uint64_t owner, uint64_t links, uint64_t size)
{
	uint64_t hash = mix(kind, kind == FS_SYMLINK ? 0 : mode);

	hash = mix(mix(hash, owner), kind == FS_DIRECTORY ? 0 : links);
	return mix(hash, kind == FS_DIRECTORY ? 0 : size);
}

static uint64_t model_hash_from(const struct model *model, uint32_t number)
{
	const struct model_node *node = model->nodes[number];
	uint64_t hash = number ? hash_node(node->kind, node->mode, (uint64_t)node->uid << 32 | node->gid, node->links,
	    node->size) : 1;

	if (node->kind == FS_SYMLINK)
		hash = mix(hash, hash_bytes(node->target, node->size));
	for (uint32_t i = 0; i < node->page_count; i++)
		hash += hash_page(node->pages[i].index, node->pages[i].page->bytes);
	for (uint32_t i = 0; i < node->entry_count; i++)
		hash += mix(hash_bytes(node->entries[i].name, strlen(node->entries[i].name)),
		    model_hash_from(model, node->entries[i].node));
	return hash;
}

uint64_t model_hash(const struct model *model)
{
	return model_hash_from(model, 0);
}

static int trouble(char *why, const char *what, const char *name, int64_t error)
{
	snprintf(why, HISTORY_WHY, "%s of \"%.40s\" gives %lld (%s)", what, name, (long long)error,
	    error < 0 ? strerror((int)-error) : "");
	return -1;
}

static int hash_file(struct real *real, struct fs_node *node, const char *name, uint64_t size, uint64_t *hash, char *why)
{
	static uint8_t bytes[16 * BLOCK_BYTES];

	if (size > LARGEST)
		return trouble(why, "the size", name, (int64_t)size);
	for (uint64_t at = 0; at < size; at += sizeof(bytes)) {
		uint64_t count = size - at < sizeof(bytes) ? size - at : sizeof(bytes);
		int64_t got = real->kind->ops->read(node, at, bytes, count);

		if (got != (int64_t)count)
			return trouble(why, "read", name, got);
		memset(bytes + count, 0, sizeof(bytes) - count);
		for (uint64_t i = 0; i < count; i += BLOCK_BYTES)
			*hash += hash_page((at + i) / BLOCK_BYTES, bytes + i);
	}
	return 0;
}

static int real_hash_from(struct real *real, struct fs_node *node, const char *name, bool root, unsigned depth, uint64_t *hash,
    char *why)
{
	const struct fs_ops *ops = real->kind->ops;
	struct fs_attributes is;
	char target[FS_LINK_MAX + 1];
	struct fs_entry entry;
	uint64_t cursor = 0, below;
	int64_t said = ops->attributes(node, &is);
	unsigned count = 0;

	if (said)
		return trouble(why, "attributes", name, said);
	*hash = root ? 1 : hash_node(is.kind, is.mode, (uint64_t)is.uid << 32 | is.gid, is.links, is.bytes);
	if (is.kind == FS_FILE)
		return hash_file(real, node, name, is.bytes, hash, why);
	if (is.kind == FS_SYMLINK) {
		said = ops->readlink(node, target, FS_LINK_MAX);
		if (said < 0)
			return trouble(why, "readlink", name, said);
		*hash = mix(*hash, hash_bytes(target, (size_t)said));
	}
	if (is.kind != FS_DIRECTORY)
		return 0;
	if (depth > 64)
		return trouble(why, "the depth", name, 64);
	while ((said = ops->readdir(node, &cursor, &entry)) > 0) {
		struct fs_node *child;
		int64_t error = ops->lookup(node, entry.name, entry.bytes, &child);

		if (error || ++count > 100000)
			return trouble(why, "lookup", entry.name, error);
		error = real_hash_from(real, child, entry.name, false, depth + 1, &below, why);
		fs_put(child);
		if (error)
			return -1;
		*hash += mix(hash_bytes(entry.name, entry.bytes), below);
	}
	return said ? trouble(why, "readdir", name, said) : 0;
}

int real_hash(struct real *real, uint64_t *hash, char *why)
{
	return real_hash_from(real, real->root, "/", true, 0, hash, why);
}
