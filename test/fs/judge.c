/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/fs/judge.h"

const char *const keep_names[KEEP_KINDS] = { "none", "all", "some", "most", "last-torn", "torn" };

unsigned keep_entry(void *arg, const struct hostdisk_entry *entry, uint32_t number)
{
	struct keep *keep = arg;

	(void)entry;
	keep->asked++;
	switch (keep->kind) {
	case KEEP_NONE:
		return 0;
	case KEEP_ALL:
		return 8;
	case KEEP_SOME:
		return op_pick(&keep->random, 2) ? 8 : 0;
	case KEEP_MOST:
		return op_pick(&keep->random, 8) ? 8 : 0;
	case KEEP_TORN_LAST:
		return number == keep->last ? 1 + (unsigned)op_pick(&keep->random, 7) : 8;
	default:
		return (unsigned)op_pick(&keep->random, 9);
	}
}

static void add_step(struct history *history, struct model *model, const struct op *op, uint32_t begin)
{
	if (history->count == history->max) {
		history->max = history->max ? 2 * history->max : 64;
		history->steps = realloc(history->steps, sizeof(*history->steps) * history->max);
	}
	history->steps[history->count++] = (struct step){ .model = model, .op = op, .hash = model_hash(model),
		.begin = begin, .end = history->disk->entry_count };
}

int history_begin(struct history *history, const struct kind *kind, uint32_t blocks, bool lazy, char *why)
{
	int error;

	*history = (struct history){ .kind = kind, .real = { .kind = kind } };
	history->base = hostdisk_make(blocks);
	error = kind->make ? kind->make(&history->base->device) : 0;
	history->disk = history->real.disk = hostdisk_copy(history->base);
	history->disk->log = true;
	history->disk->lazy = lazy;
	if (!error)
		error = real_mount(&history->real);
	if (error) {
		snprintf(why, HISTORY_WHY, "an empty one cannot be made or mounted: %s", strerror(-error));
		return error;
	}
	add_step(history, model_make(), NULL, 0);
	history->steps[0].promise = true;
	return 0;
}

static bool promises(const struct history *history, const struct op *op)
{
	return op->kind == OP_SYNC || op->kind == OP_REMOUNT || ((op->kind == OP_FSYNC || op->kind == OP_FDATASYNC) &&
	    (history->kind->oracle != ORACLE_SYNCED || history->kind->stable_all));
}

int history_replay(struct history *history, const struct kind *kind, struct hostdisk *base)
{
	*history = (struct history){ .kind = kind, .real = { .kind = kind }, .base = base };
	history->disk = history->real.disk = hostdisk_copy(base);
	history->disk->log = true;
	add_step(history, model_make(), NULL, 0);
	history->steps[0].promise = true;
	return 0;
}

/* An empty file, where a clone would be. */
static struct model *half_cloned(const struct model *before, const struct op *op)
{
	struct op create = { .kind = OP_CREATE, .n = { 0644 } };
	struct model *model = model_copy(before);
	struct answer answer = { 0 };

	memcpy(create.a, op->b, sizeof(create.a));
	model_do(model, &create, &answer, false);
	free(answer.bytes);
	return model;
}

/* An operation that failed may be done, or not: both are among the steps. `model`: as it was before. */
static void failed_step(struct history *history, struct model *model, const struct op *op, uint32_t begin)
{
	uint32_t first = history->count;
	struct answer answer = { 0 };

	add_step(history, model_copy(model), op, begin);
	if (op->kind == OP_CLONE) {
		/* Made and cloned, by two functions: it may be there, empty, or be unlinked again. */
		struct model *unlinked = half_cloned(model, op);
		struct op unlink = { .kind = OP_UNLINK };

		memcpy(unlink.a, op->b, sizeof(unlink.a));
		add_step(history, model_copy(unlinked), op, begin);
		model_do(unlinked, &unlink, &answer, false);
		add_step(history, unlinked, op, begin);
	}
	model_do(model, op, &answer, false);
	free(answer.bytes);
	add_step(history, model, op, begin);
	for (uint32_t i = first; i < history->count; i++)
		history->steps[i].failed = true;
}

int history_resolve(struct history *history, char *why)
{
	uint32_t last = history->count - 1;

	for (uint32_t i = last; i <= last && history->steps[i].failed; i--)
		if (!both_compare(&history->real, history->steps[i].model, why, HISTORY_WHY)) {
			add_step(history, model_copy(history->steps[i].model), history->steps[i].op, history->disk->entry_count);
			return 0;
		}
	return -1;
}

int history_do(struct history *history, const struct op *op, char *why)
{
	struct model *before = history->steps[history->count - 1].model, *model = model_copy(before);
	uint32_t begin = history->disk->entry_count;
	int64_t result;
	int error = both_do(&history->real, model, op, why, HISTORY_WHY, &result);

	if (error && history->real.faults && (result == -EIO || result == -ENOMEM || result == -ENOSPC)) {
		failed_step(history, model, op, begin);
		return -EIO;
	}
	if (op->kind == OP_CLONE && !result && !error)
		add_step(history, half_cloned(before, op), op, begin);
	add_step(history, model, op, begin);
	history->steps[history->count - 1].promise = !error && !result && promises(history, op);
	return error;
}

void history_note(struct history *history, const struct op *op, uint32_t begin)
{
	struct model *before = history->steps[history->count - 1].model, *model = model_copy(before);
	struct answer answer = { 0 };
	int64_t said;

	model->now = ++real_now;
	said = both_offered(history->kind, op) ? model_do(model, op, &answer, false) : MODEL_SKIP;
	free(answer.bytes);
	if (op->kind == OP_CLONE && !said)
		add_step(history, half_cloned(before, op), op, begin);
	add_step(history, model, op, begin);
	history->steps[history->count - 1].promise = !said && promises(history, op);
}

int history_end(struct history *history, bool heal, char *why)
{
	int error;

	if (heal)
		history->disk->fail_at = 0;
	error = real_unmount(&history->real);
	if (error)
		snprintf(why, HISTORY_WHY, "unmount gives %s", strerror(-error));
	if (!error && (history->disk->memory_pages || history->disk->unstable)) {
		snprintf(why, HISTORY_WHY, "%llu pages of memory are not given back, %llu writes changed under way",
		    (unsigned long long)history->disk->memory_pages, (unsigned long long)history->disk->unstable);
		error = -1;
	}
	return error;
}

void history_free(struct history *history)
{
	for (uint32_t i = 0; i < history->count; i++)
		model_end(history->steps[i].model);
	free(history->steps);
	hostdisk_end(history->base);
	hostdisk_end(history->disk);
}
