/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fs/damage.h"

#define BLOCKS		1024
#define VISITS_MAX	400	/* nodes looked at: damaged directories may have loops */
#define FILE_MAX	(1u << 20)

static const char populate[] =
    "mkdir /d 493; mkdir /d/e 493; mkdir /d/e/f 493; mkdir /wide 493; create /small 420; write /small 0 700 1; create /page 420; "
    "write /page 0 4096 2; create /large 420; write /large 0 300000 3; create /holes 420; write /holes 100000 5000 4; "
    "write /holes 5000000 3000 5; symlink /short 1 20; symlink /long 2 2000; create /d/e/f/deep 384; write /d/e/f/deep 0 9000 6; "
    "link /small /d/again; fifo /d/fifo 420; create /wide/La 1; create /wide/Lb 2; create /wide/Lc 3; create /wide/Ld 4; "
    "create /wide/Le 5; create /wide/Lf 6; create /wide/Lg 7; create /wide/Lh 8; create /wide/Li 9; create /wide/Lj 10; "
    "create /wide/Lk 11; create /wide/Ll 12; create /wide/Lm 13; create /wide/Ln 14; create /wide/Lo 15; create /wide/Lp 16; "
    "create /gone 420; write /gone 0 50000 7; chown /page 100 200; sync; unlink /gone; unlink /wide/Lc; chmod /small 384";

static bool is_contents(const struct model *model, const uint8_t *bytes)
{
	for (uint32_t n = 0; n < model->node_count; n++)
		for (uint32_t i = 0; model->nodes[n] && i < model->nodes[n]->page_count; i++)
			if (!memcmp(model->nodes[n]->pages[i].page->bytes, bytes, BLOCK_BYTES))
				return true;
	return false;
}

int damage_begin(struct damage_base *base, const struct kind *kind, char *why, size_t bytes)
{
	struct real real = { .kind = kind, .disk = hostdisk_make(BLOCKS) };
	static const uint8_t zeroes[BLOCK_BYTES];
	uint8_t block[BLOCK_BYTES];
	const char *at = populate;
	struct op op;

	*base = (struct damage_base){ .kind = kind, .disk = real.disk, .model = model_make() };
	if ((kind->make && kind->make(&real.disk->device)) || real_mount(&real)) {
		snprintf(why, bytes, "an empty one does not mount");
		return -1;
	}
	while (op_parse(&at, &op) > 0) {
		if (op.kind == OP_FIFO && !kind->fifo)
			continue;
		if (both_do(&real, base->model, &op, why, bytes, NULL))
			return -1;
		if (op.kind == OP_SYNC)
			base->before = model_copy(base->model);
	}
	if (real_unmount(&real)) {
		snprintf(why, bytes, "it does not unmount");
		return -1;
	}
	base->blocks = malloc(BLOCKS * sizeof(*base->blocks));
	for (uint32_t i = 0; i < BLOCKS; i++) {
		hostdisk_peek(real.disk, i, block);
		if (memcmp(block, zeroes, BLOCK_BYTES) && !is_contents(base->model, block))
			base->blocks[base->block_count++] = i;
	}
	return 0;
}

void damage_end(struct damage_base *base)
{
	hostdisk_end(base->disk);
	model_end(base->model);
	if (base->before)
		model_end(base->before);
	free(base->blocks);
}

void damage_do(const struct damage_base *base, struct hostdisk *disk, struct op_random *random, char *what, size_t bytes)
{
	unsigned kind = (unsigned)op_pick(random, 100), times = kind < 80 ? 1 : 1 + (unsigned)op_pick(random, 4);
	uint8_t block[BLOCK_BYTES], other[BLOCK_BYTES];
	size_t length = 0;

	while (times--) {
		uint32_t which = base->blocks[op_pick(random, base->block_count)], from;
		unsigned at = (unsigned)op_pick(random, BLOCK_BYTES), count;

		hostdisk_peek(disk, which, block);
		/* Rather where there is something. */
		for (unsigned i = 0; i < 4 && !block[at]; i++)
			at = (unsigned)op_pick(random, BLOCK_BYTES);
		if (kind < 40 || kind >= 80) {
			block[at] ^= (uint8_t)(1u << op_pick(random, 8));
		} else if (kind < 60) {
			static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfe };

			block[at] = values[op_pick(random, sizeof(values))];
		} else if (kind < 68) {
			static const uint32_t values[] = { 0, 1, 2, 11, 0x7fffffff, 0x80000000, 0xffffffff, BLOCKS, BLOCKS - 1, 4096 };

			memcpy(block + at / 4 * 4, &values[op_pick(random, sizeof(values) / 4)], 4);
		} else if (kind < 73) {
			count = 1 + (unsigned)op_pick(random, BLOCK_BYTES - at);
			memset(block + at, op_pick(random, 2) ? 0 : 0xff, count);
		} else {
			/* A block that was written to the wrong place. */
			from = base->blocks[op_pick(random, base->block_count)];
			hostdisk_peek(disk, from, other);
			memcpy(block, other, kind < 77 ? BLOCK_BYTES : HOSTDISK_SECTOR * (1 + op_pick(random, 7)));
		}
		hostdisk_poke(disk, which, block);
		length += (size_t)snprintf(what + length, length < bytes ? bytes - length : 0, "way %u in block %u at %u; ", kind, which, at);
		if (length >= bytes)
			length = bytes - 1;
	}
}

struct walk {
	const struct damage_base *base;
	struct real *real;
	unsigned visits;
	bool errors, differs;
	char *why;
	size_t bytes;
};

static void differ(struct walk *walk, const char *name, const char *what)
{
	if (!walk->differs)
		snprintf(walk->why, walk->bytes, "\"%.40s\": %s is not what it was, and no error", name, what);
	walk->differs = true;
}

/* The file's bytes; `ought` may be NULL. */
static void walk_file(struct walk *walk, struct fs_node *node, const struct model_node *ought, const char *name, uint64_t size)
{
	static uint8_t is[8 * BLOCK_BYTES], bytes[8 * BLOCK_BYTES];

	if (ought && ought->size != size)
		differ(walk, name, "its size");
	for (uint64_t at = 0; at < size && at < FILE_MAX; at += sizeof(is)) {
		int64_t got = walk->real->kind->ops->read(node, at, is, sizeof(is));

		if (got < 0 || (got == 0 && at < size))
			walk->errors = true;
		if (got <= 0 || !ought)
			continue;
		model_bytes(ought, at, bytes, (size_t)got);
		if (memcmp(is, bytes, (size_t)got))
			differ(walk, name, "its contents");
	}
}

static void walk_node(struct walk *walk, struct fs_node *node, const struct model *model, int64_t number, const char *name,
    unsigned depth)
{
	const struct fs_ops *ops = walk->real->kind->ops;
	const struct model_node *ought = number >= 0 ? model->nodes[number] : NULL;
	char target[FS_LINK_MAX + 1];
	struct fs_attributes is;
	struct fs_entry entry;
	uint64_t cursor = 0;
	uint32_t count = 0;
	int more;

	if (++walk->visits > VISITS_MAX || depth > 20)
		return;
	if (ops->attributes(node, &is)) {
		walk->errors = true;
		return;
	}
	if (ought && (is.kind != ought->kind || (number && (is.uid != ought->uid || is.gid != ought->gid ||
	    (is.kind != FS_SYMLINK && is.mode != ought->mode) || (is.kind != FS_DIRECTORY && is.links != ought->links)))))
		differ(walk, name, "what is known of it");
	if (is.kind == FS_FILE)
		walk_file(walk, node, ought && ought->kind == FS_FILE ? ought : NULL, name, is.bytes);
	if (is.kind == FS_SYMLINK) {
		int got = ops->readlink(node, target, FS_LINK_MAX);

		walk->errors |= got < 0;
		if (got >= 0 && ought && ought->kind == FS_SYMLINK && ((uint64_t)got != ought->size ||
		    memcmp(target, ought->target, (size_t)got)))
			differ(walk, name, "its target");
	}
	while (is.kind == FS_DIRECTORY && (more = ops->readdir(node, &cursor, &entry)) != 0) {
		const struct model_entry *same;
		struct fs_node *child;

		if (more < 0 || ++count > 10000) {
			walk->errors = true;
			return;
		}
		same = ought ? model_entry(ought, entry.name) : NULL;
		if (ought && !same)
			differ(walk, entry.name, "that it is there");
		if (ops->lookup(node, entry.name, entry.bytes, &child)) {
			walk->errors = true;
			continue;
		}
		walk_node(walk, child, model, same ? (int64_t)same->node : -1, entry.name, depth + 1);
		fs_put(child);
	}
	if (is.kind == FS_DIRECTORY && ought && ought->kind == FS_DIRECTORY && count < ought->entry_count)
		differ(walk, name, "the number of entries");
}

/* Is what can be read the tree as it was? Of the last sync, or the one before: a superblock may be lost. */
static int judge(const struct damage_base *base, struct real *real, char *why, size_t bytes)
{
	const struct model *models[2] = { base->model, base->before };
	struct walk walk = { .base = base, .real = real, .why = why, .bytes = bytes };

	for (unsigned i = 0; i < 2 && models[i]; i++) {
		walk.visits = 0;
		walk.differs = false;
		walk_node(&walk, real->root, models[i], 0, "/", 0);
		if (!walk.differs || !base->kind->check)
			return 0;
	}
	return -1;
}

/* Anything may fail; nothing may crash. */
static void change(struct real *real, uint64_t seed)
{
	struct op_random random = { .state = seed, .tree = 60, .names = 8, .syncs = true, .slots = true, .bytes_max = 50000,
		.clone = real->kind->clone };
	static const char *const paths[] = { "/small", "/page", "/large", "/holes", "/short", "/d/e/f/deep", "/d/again", "/wide/La",
		"/wide/Lp", "/d", "/wide", "/d/e/f" };
	struct answer answer = { 0 };
	struct op op;

	for (unsigned i = 0; i < 25; i++) {
		op_any(&random, &op);
		if (i % 2)
			strcpy(op.a, paths[op_pick(&random, sizeof(paths) / sizeof(paths[0]))]);
		if (op.kind == OP_LIST || op.kind == OP_LIST_CHANGE || op.kind == OP_REMOUNT || op.a[0] != '/' || op.b[0] == '#')
			continue;
		/* The caller has to see that no directory gets below itself: rename within one. */
		if (op.kind == OP_RENAME)
			snprintf(op.b, sizeof(op.b), "%.40s", "/renamed");
		if (op.kind == OP_READ || op.kind == OP_WRITE)
			op.n[1] %= 60000;
		if (!op.a[1] || !op.b[1] || (op.kind == OP_PAGE_WRITE && op.n[0] > 3000))
			continue;
		real_do(real, &op, &answer);
	}
	free(answer.bytes);
}

static int try(const struct damage_base *base, struct hostdisk *disk, uint64_t seed, char *why, size_t bytes)
{
	struct real real = { .kind = base->kind, .disk = disk, .read_only = seed % 8 == 0 };
	struct walk walk = { .base = base, .real = &real, .why = why, .bytes = bytes };
	int error = 0;

	if (real_mount(&real)) {
		hostdisk_end(disk);
		return 0;
	}
	error = judge(base, &real, why, bytes);
	if (!real.read_only)
		change(&real, seed);
	if (real_unmount(&real))
		return error;	/* it stays mounted, and is left */
	if (!real_mount(&real)) {
		walk_node(&walk, real.root, NULL, -1, "/", 0);
		if (real_unmount(&real))
			return error;
	}
	if (disk->memory_pages && !error) {
		snprintf(why, bytes, "%llu pages of memory are not given back", (unsigned long long)disk->memory_pages);
		error = -1;
	}
	hostdisk_end(disk);
	return error;
}

/* Of the leak checker, where there is one. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* What does not unmount any more, since it is damaged, stays mounted: that is no leak. */
int damage_try(const struct damage_base *base, struct hostdisk *disk, uint64_t seed, char *why, size_t bytes)
{
	int error;

	if (__lsan_disable)
		__lsan_disable();
	error = try(base, disk, seed, why, bytes);
	if (__lsan_enable)
		__lsan_enable();
	return error;
}
