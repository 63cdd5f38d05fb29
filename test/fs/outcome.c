/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a disk is a legal outcome of a history that was cut: history_judge() of test/fs/judge.h.
 *
 * ORACLE_PREFIX: the tree is that of one step, from the last one that was promised in front of the cut to the last that
 * may have begun; an operation that may be done in part is compared page by page. ORACLE_SYNCED: whatever the tree was
 * in all those steps, the same in each, it is now. Then the file system must work: a file is written and made stable, power
 * is cut again, at once and somewhere in all that was written since the first cut, and the outcome is judged likewise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fs/judge.h"

#define AFTER	"/after-the-cut"

/* The steps that a cut may leave: *low to *high. */
static void range(const struct history *history, uint32_t cut, uint32_t *low, uint32_t *high)
{
	*low = *high = 0;
	for (uint32_t i = 0; i < history->count; i++) {
		const struct step *step = &history->steps[i];

		if (step->promise && step->end <= cut)
			*low = i;
		if (step->begin <= cut)
			*high = i;
	}
}

/* The file that may be changed in part by the step behind `before`; -1: none. */
static int64_t partial_node(const struct history *history, uint32_t before)
{
	const struct step *step = &history->steps[before + 1];
	const struct model_node *old, *new;
	int64_t node;

	if (step->op->kind != OP_WRITE && step->op->kind != OP_TRUNCATE && step->op->kind != OP_CLONE)
		return -1;
	node = model_find(step->model, step->op->kind == OP_CLONE ? step->op->b : step->op->a);
	if (node < 0 || node >= history->steps[before].model->node_count)
		return -1;
	old = history->steps[before].model->nodes[node];
	new = step->model->nodes[node];
	if (!old || step->failed)
		return node;
	return (step->op->kind == OP_WRITE ? step->op->n[1] : old->size > new->size ? old->size : new->size) >
	    history->kind->atomic_bytes ? node : -1;
}

/* Is each page of a file as before the operation, as after it, or zeroes? */
static bool partly(struct real *real, const char *path, const struct model_node *old, const struct model_node *new)
{
	static uint8_t is[BLOCK_BYTES], ought[BLOCK_BYTES];
	uint64_t least = old->size < new->size ? old->size : new->size, most = old->size + new->size - least;
	struct fs_attributes attributes;
	struct fs_node *node;
	bool good = !real_find(real, path, &node);

	if (!good)
		return false;
	good = !real->kind->ops->attributes(node, &attributes) && attributes.bytes >= least && attributes.bytes <= most;
	for (uint64_t at = 0; good && at < attributes.bytes; at += BLOCK_BYTES) {
		size_t count = attributes.bytes - at < BLOCK_BYTES ? attributes.bytes - at : BLOCK_BYTES;
		bool same;

		good = real->kind->ops->read(node, at, is, count) == (int64_t)count;
		model_bytes(old, at, ought, count);
		same = !memcmp(is, ought, count);
		model_bytes(new, at, ought, count);
		same |= !memcmp(is, ought, count);
		memset(ought, 0, count);
		good &= same || !memcmp(is, ought, count);
	}
	fs_put(node);
	return good;
}

/* Does a step's operation explain the tree when it is done in part? Everything else must be as before it. */
static bool explained(const struct history *history, struct real *real, uint32_t before)
{
	int64_t number = partial_node(history, before);
	const struct op *op = history->steps[before + 1].op;
	struct answer answer = { 0 };
	struct op cut = { .kind = OP_TRUNCATE };
	struct model *without;
	char path[OP_PATH], why[HISTORY_WHY];
	bool same;

	if (number < 0)
		return false;
	memcpy(path, op->kind == OP_CLONE ? op->b : op->a, sizeof(path));
	if (*path == '#' || !partly(real, path, history->steps[before].model->nodes[number],
	    history->steps[before + 1].model->nodes[number]))
		return false;
	/* The rest of the tree: the file is cut to nothing on both sides, and what is left is compared. */
	without = model_copy(history->steps[before].model);
	memcpy(cut.a, path, sizeof(path));
	model_do(without, &cut, &answer, false);
	same = !real_do(real, &cut, &answer);
	same = same && !both_compare(real, without, why, sizeof(why));
	free(answer.bytes);
	model_end(without);
	return same;
}

static int by_prefix(const struct history *history, struct real *real, uint32_t low, uint32_t high, char *why,
    uint32_t *matched)
{
	uint64_t hash;
	char nearest[501] = "";

	if (real_hash(real, &hash, why))
		return -1;
	for (uint32_t i = high + 1; i-- > low;)
		if (history->steps[i].hash == hash) {
			*matched = i;
			return 0;
		}
	for (uint32_t i = low; i < high; i++)
		if (explained(history, real, i)) {
			*matched = UINT32_MAX;
			return 0;
		}
	for (uint32_t i = 0; i < history->count; i++)
		if (history->steps[i].hash == hash) {
			snprintf(why, HISTORY_WHY, "the tree is that of step %u, but steps %u to %u are promised", i, low, high);
			return -1;
		}
	both_compare(real, history->steps[low].model, nearest, sizeof(nearest));
	snprintf(why, HISTORY_WHY, "the tree is of no step (%u to %u are promised): against step %u, %s", low, high, low, nearest);
	return -1;
}

/* What is the same in all steps must be so. */
static int same_in_all(const struct history *history, struct real *real, uint32_t low, uint32_t high, uint32_t number,
    struct fs_node *node, const char *name, char *why)
{
	const struct model_node *ought = history->steps[low].model->nodes[number];
	bool touched = false;

	for (uint32_t i = low; i <= high; i++)
		touched |= history->steps[i].model->nodes[number] != ought;
	if (node->kind != ought->kind)
		return snprintf(why, HISTORY_WHY, "\"%.60s\" is of another kind", name), -1;
	if (ought->kind == FS_FILE && !touched) {
		static uint8_t is[BLOCK_BYTES], bytes[BLOCK_BYTES];
		struct fs_attributes attributes;

		if (real->kind->ops->attributes(node, &attributes) || attributes.bytes != ought->size)
			return snprintf(why, HISTORY_WHY, "\"%.60s\" was stable, and has another size", name), -1;
		for (uint64_t at = 0; at < ought->size; at += BLOCK_BYTES) {
			size_t count = ought->size - at < BLOCK_BYTES ? ought->size - at : BLOCK_BYTES;

			model_bytes(ought, at, bytes, count);
			if (real->kind->ops->read(node, at, is, count) != (int64_t)count || memcmp(is, bytes, count))
				return snprintf(why, HISTORY_WHY, "\"%.60s\" was stable, and differs at %llu", name,
				    (unsigned long long)at), -1;
		}
	}
	for (uint32_t e = 0; e < ought->entry_count; e++) {
		const struct model_entry *entry = &ought->entries[e];
		struct fs_node *child;
		bool always = true;
		int error;

		for (uint32_t i = low; i <= high && always; i++) {
			const struct model_node *then = history->steps[i].model->nodes[number];
			const struct model_entry *same = then ? model_entry(then, entry->name) : NULL;

			always = same && same->node == entry->node;
		}
		if (!always)
			continue;
		error = real->kind->ops->lookup(node, entry->name, strlen(entry->name), &child);
		if (error)
			return snprintf(why, HISTORY_WHY, "\"%.60s\" was stable, and is gone: %s", entry->name, strerror(-error)), -1;
		error = same_in_all(history, real, low, high, entry->node, child, entry->name, why);
		fs_put(child);
		if (error)
			return error;
	}
	return 0;
}

/* Is there a name, wherever, for the node of that number? */
static bool is_named(struct real *real, struct fs_node *directory, uint64_t number, unsigned depth)
{
	struct fs_entry entry;
	struct fs_node *child;
	uint64_t cursor = 0;
	bool named = false;

	while (!named && depth < 20 && real->kind->ops->readdir(directory, &cursor, &entry) == 1) {
		named = entry.number == number;
		if (named || entry.kind != FS_DIRECTORY || real->kind->ops->lookup(directory, entry.name, entry.bytes, &child))
			continue;
		named = is_named(real, child, number, depth + 1);
		fs_put(child);
	}
	return named;
}

/* A file that had a name in all steps has one, whatever was moved in them. */
static int all_are_named(const struct history *history, struct real *real, uint32_t low, uint32_t high, char *why)
{
	const struct model *model = history->steps[low].model;

	for (uint32_t n = 1; n < model->node_count; n++) {
		uint64_t number = 0;
		bool always = true;

		for (uint32_t i = low; i <= high && always; i++) {
			const struct model_node *node = history->steps[i].model->nodes[n];

			always = node && node->links && node->kind == FS_FILE;
			number = always && node->real ? node->real : number;
		}
		if (always && number && !is_named(real, real->root, number, 0))
			return snprintf(why, HISTORY_WHY, "node %llu had a name all the time, and has none", (unsigned long long)number), -1;
	}
	return 0;
}

static int judge_tree(const struct history *history, struct real *real, uint32_t cut, char *why, uint32_t *matched)
{
	uint32_t low, high;
	uint64_t hash;

	range(history, cut, &low, &high);
	*matched = UINT32_MAX;
	if (history->kind->oracle == ORACLE_PREFIX)
		return by_prefix(history, real, low, high, why, matched);
	/* All of it can be read, and what was stable is there. */
	if (real_hash(real, &hash, why) || same_in_all(history, real, low, high, 0, real->root, "/", why))
		return -1;
	return history->kind->keeps_names ? all_are_named(history, real, low, high, why) : 0;
}

/* A file is written, and made stable; `cut`: it is there already, as it was written. */
static int after(struct real *real, bool there, char *why)
{
	struct op create = { .kind = OP_CREATE, .a = AFTER, .n = { 0600 } }, write = { .kind = OP_WRITE, .a = AFTER,
	    .n = { 0, 9000, 777 } }, fsync = { .kind = OP_FSYNC, .a = AFTER }, read = { .kind = OP_READ, .a = AFTER, .n = { 0, 9100 } };
	struct answer answer = { 0 };
	uint8_t bytes[9000];
	int64_t error = 0;

	if (!there) {
		error = real_do(real, &create, &answer);
		if (!error && real_do(real, &write, &answer) != 9000)
			error = -1;
		if (!error)
			error = real_do(real, &fsync, &answer);
	}
	op_fill(bytes, 777, 0, 9000);
	if (!error && (real_do(real, &read, &answer) != 9000 || memcmp(answer.bytes, bytes, 9000)))
		error = -2;
	free(answer.bytes);
	if (error)
		snprintf(why, HISTORY_WHY, there ? "after a second cut, what fsync made stable is not there (%lld)" :
		    "after the cut, a file cannot be written and made stable (%lld)", (long long)error);
	return error ? -1 : 0;
}

static int mount_again(const struct history *history, struct real *real, struct hostdisk *disk, char *why, const char *when)
{
	int error;

	*real = (struct real){ .kind = history->kind, .disk = disk };
	error = real_mount(real);
	if (error)
		snprintf(why, HISTORY_WHY, "it does not mount%s: %s", when, strerror(-error));
	return error;
}

/* A file system that is wrong may not unmount: then it is left, and its disk with it. */
static void give_up(struct real *real, struct hostdisk *disk)
{
	if (!real->fs || !real_unmount(real))
		hostdisk_end(disk);
}

static int leave(struct real *real, char *why)
{
	int error = real_unmount(real);

	if (error)
		return snprintf(why, HISTORY_WHY, "it does not unmount: %s", strerror(-error)), error;
	return real->kind->check ? real->kind->check(&real->disk->device, why, HISTORY_WHY) : 0;
}

/* Power is cut again while `logged`, which was `first`, was recovered and written to. */
static int second_cut(const struct history *history, const struct hostdisk *first, const struct hostdisk *logged, uint32_t cut,
    uint32_t stable_from, uint64_t again, char *why)
{
	struct keep keep = { .kind = (enum keep_kind)(again % KEEP_KINDS), .random = { .state = again } };
	uint32_t second = again % 4 ? (uint32_t)op_pick(&keep.random, logged->entry_count + 1) : stable_from;
	struct hostdisk *disk;
	struct real real;
	uint32_t matched;
	int error;

	if (!(again % 4))
		keep.kind = KEEP_NONE;
	keep.last = second ? second - 1 : 0;
	disk = hostdisk_state(first, logged, second, keep_entry, &keep);
	error = mount_again(history, &real, disk, why, " after a second cut");
	if (!error && second >= stable_from)
		error = after(&real, true, why);
	if (!error) {
		struct op unlink = { .kind = OP_UNLINK, .a = AFTER };
		struct answer answer = { 0 };

		/* It may be there before, in part. */
		if (real_do(&real, &unlink, &answer) == -EIO)
			error = -EIO;
		free(answer.bytes);
	}
	if (!error)
		error = judge_tree(history, &real, cut, why, &matched);
	if (!error)
		error = leave(&real, why);
	if (error) {
		char text[HISTORY_WHY - 100];

		snprintf(text, sizeof(text), "%s", why);
		snprintf(why, HISTORY_WHY, "(second cut at %u of %u, %s kept) %s", second, logged->entry_count,
		    keep_names[keep.kind], text);
	}
	give_up(&real, disk);
	return error;
}

int history_judge(struct history *history, struct hostdisk *disk, uint32_t cut, uint64_t again, char *why, uint32_t *matched)
{
	struct hostdisk *first = again ? hostdisk_copy(disk) : NULL;
	struct real real = { 0 };
	uint32_t stable_from;
	int error = history->kind->check ? history->kind->check(&disk->device, why, HISTORY_WHY) : 0;

	*matched = UINT32_MAX;
	disk->log = again;
	disk->lazy = history->disk->lazy;
	if (!error)
		error = mount_again(history, &real, disk, why, "");
	if (!error)
		error = judge_tree(history, &real, cut, why, matched);
	if (!error)
		error = after(&real, false, why);
	stable_from = disk->entry_count;
	if (!error)
		error = leave(&real, why);
	if (!error && again)
		error = second_cut(history, first, disk, cut, stable_from, again, why);
	if (first)
		hostdisk_end(first);
	give_up(&real, disk);
	return error;
}
