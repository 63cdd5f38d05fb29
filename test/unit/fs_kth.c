/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever fails, at every k: workloads in which the k-th operation of the disk fails, or the k-th piece of memory is not
 * to be had, once or from there on, for every k until nothing is met any more.
 *
 * An error is an error of the operation that met it, which is then done or not done, and the file system goes on. When
 * nothing fails any more, sync succeeds and the tree is what it ought to be, before and after the next mount. What fsync
 * promised in the meantime is there after a power cut. Nothing leaks (the address sanitizer sees to that).
 *
 *	fs_kth [--fs NAME] [--workload NAME] [--seed N] [--k N] [--way disk|disk-for-good|memory|memory-for-good] [--verbose 1]
 *
 * Time limit: 600 s
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/fs/judge.h"
#include "test/fs/workloads.h"
#include "test/lib/scale.h"
#include "test/unit/tap.h"

#define BLOCKS		1024
#define K_MAX		120	/* of one workload and way: further apart if there are more */

enum way { DISK, DISK_FOR_GOOD, MEMORY, MEMORY_FOR_GOOD, WAYS };
static const char *const way_names[WAYS] = { "disk", "disk-for-good", "memory", "memory-for-good" };

static struct {
	const char *fs, *workload;
	unsigned long long seed, k;
	int way;
	bool verbose;
} told = { .seed = 1, .way = -1 };

static unsigned long long tried, met, gave_up;

/* Memory: the linker sends these here (test/local.am). */
static struct {
	bool on, for_good;
	unsigned long long at, count, failed;
} memory;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);

static bool missing(void)
{
	if (!memory.on || hostdisk_own)
		return false;
	memory.count++;
	if (!memory.at || memory.count < memory.at || (memory.count > memory.at && !memory.for_good))
		return false;
	memory.failed++;
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	return missing() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return missing() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return missing() ? NULL : __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return missing() ? NULL : __real_aligned_alloc(align, bytes);
}

static void arm(struct hostdisk *disk, enum way way, unsigned long long k)
{
	disk->operations = disk->failed = 0;
	memory.count = memory.failed = 0;
	disk->fail_for_good = memory.for_good = way == DISK_FOR_GOOD || way == MEMORY_FOR_GOOD;
	disk->fail_at = way <= DISK_FOR_GOOD ? k : 0;
	memory.at = way > DISK_FOR_GOOD ? k : 0;
}

static unsigned long long failures(const struct hostdisk *disk)
{
	return disk->failed + memory.failed;
}

static void disarm(struct hostdisk *disk)
{
	disk->fail_at = memory.at = 0;
}

static int step(struct history *history, const struct op *op, char *why)
{
	int error;

	memory.on = true;
	hostdisk_own = 1;
	error = history_do(history, op, why);
	hostdisk_own = 0;
	memory.on = false;
	return error;
}

/* All operations, or until something that fails for good has been met. */
static int run(struct history *history, const struct script *script, char *why)
{
	struct op fsync = { .kind = OP_FSYNC, .a = "/" };
	struct answer answer = { 0 };
	uint32_t end;
	int64_t said = -1;
	int error = 0;

	for (unsigned i = 0; i < script->count && !error; i++) {
		if (script->ops[i].kind == OP_REMOUNT)
			continue;
		error = step(history, &script->ops[i], why);
		if (error == -EIO && memory.for_good)
			break;
		if (error == -EIO)
			error = history_resolve(history, why);
		if (error) {
			size_t length = strlen(why);

			snprintf(why + length, HISTORY_WHY - length, " (operation %u)", i);
			return -1;
		}
	}
	if (error != -EIO)
		return 0;
	/* While it fails for good, fsync fails, or has nothing to do: what it promises then is there after a cut. */
	memory.on = true;
	said = real_do(&history->real, &fsync, &answer);
	memory.on = false;
	free(answer.bytes);
	end = history->disk->entry_count;
	disarm(history->disk);
	if (history_resolve(history, why))
		return -1;
	if (!said && history->kind->oracle == ORACLE_PREFIX) {
		history->steps[history->count - 1].promise = true;
		history->steps[history->count - 1].end = end;
	}
	return 0;
}

/* A power cut in what was logged: fsync has not lied. */
static int cut(struct history *history, uint64_t random, char *why)
{
	uint32_t at = random % 3 ? (uint32_t)(random / 8 % (history->disk->entry_count + 1)) : history->disk->entry_count;
	struct keep keep = { .kind = random % 2 ? KEEP_NONE : (enum keep_kind)(random / 4 % KEEP_KINDS), .last = at ? at - 1 : 0,
		.random = { .state = random } };
	struct hostdisk *disk = hostdisk_state(history->base, history->disk, at, keep_entry, &keep);
	uint32_t matched;
	int error = history_judge(history, disk, at, 0, why, &matched);

	if (error) {
		char text[HISTORY_WHY - 100];

		snprintf(text, sizeof(text), "%s", why);
		snprintf(why, HISTORY_WHY, "after a cut at %u of %u, %s kept: %s", at, history->disk->entry_count,
		    keep_names[keep.kind], text);
	}
	return error;
}

/* The same tree after the next mount. */
static int once_more(struct history *history, char *why)
{
	int error = real_mount(&history->real);

	if (error)
		return snprintf(why, HISTORY_WHY, "it does not mount again: %s", strerror(-error)), error;
	for (unsigned i = 0; i < OP_SLOTS; i++) {
		struct op put = { .kind = OP_PUT, .n = { i } };
		struct answer answer = { 0 };

		model_do(history->steps[history->count - 1].model, &put, &answer, false);
	}
	error = both_compare(&history->real, history->steps[history->count - 1].model, why, HISTORY_WHY);
	return error ? error : history_end(history, true, why);
}

/*
 * A file system may say that it cannot go on (a flush failed: nobody knows what is on the disk). It unmounts then, if not at
 * once, and what is there is what a power cut may leave.
 */
static int wrecked(struct history *history, char *why)
{
	struct hostdisk *disk;
	uint32_t matched, cut;

	if (real_unmount(&history->real) && real_unmount(&history->real)) {
		snprintf(why, HISTORY_WHY, "it neither syncs nor unmounts on a disk that does not fail any more");
		return -1;
	}
	gave_up++;
	cut = history->disk->entry_count;
	disk = hostdisk_copy(history->disk);
	return history_judge(history, disk, cut, 0, why, &matched);
}

/* 0: good; 1: good, and nothing failed; -1. */
static int one(const struct kind *kind, const struct script *script, enum way way, unsigned long long k, char *why)
{
	const struct op sync = { .kind = OP_SYNC };
	struct history history;
	bool nothing;
	int error;

	real_now = 1000000000;
	if (history_begin(&history, kind, BLOCKS, k % 2, why))
		return -1;
	history.real.faults = true;
	arm(history.disk, way, k);
	error = run(&history, script, why);
	nothing = !failures(history.disk);
	disarm(history.disk);
	for (unsigned i = 0; i < 2 && !error && kind->oracle == ORACLE_PREFIX && !nothing; i++)
		error = cut(&history, k * 7919 + i * 104729 + told.seed, why);
	if (!error && history_do(&history, &sync, why)) {
		error = kind->oracle == ORACLE_PREFIX ? wrecked(&history, why) : -1;
		if (!error)
			history_free(&history);
		return error ? -1 : nothing;
	}
	if (!error)
		error = both_compare(&history.real, history.steps[history.count - 1].model, why, HISTORY_WHY);
	if (!error)
		error = history_end(&history, true, why);
	if (!error && kind->check)
		error = kind->check(&history.disk->device, why, HISTORY_WHY);
	if (!error && kind->judge && k % 16 == 1)
		error = kind->judge(history.disk, why, HISTORY_WHY);
	if (!error)
		error = once_more(&history, why);
	if (!error)
		history_free(&history);
	return error ? -1 : nothing;
}

/* Mounting a disk that has something on it. */
static int mounting(const struct kind *kind, const struct script *script, enum way way, unsigned long long k, char *why)
{
	const struct op sync = { .kind = OP_SYNC };
	struct history history;
	struct real real = { .kind = kind };
	int error;
	bool nothing;

	real_now = 1000000000;
	if (history_begin(&history, kind, BLOCKS, false, why))
		return -1;
	for (unsigned i = 0; i < script->count; i++)
		if (history_do(&history, &script->ops[i], why))
			return -1;
	if (history_do(&history, &sync, why))
		return -1;
	/* As a power cut would leave it: there is something to recover. */
	real.disk = hostdisk_copy(kind->repair ? history.base : history.disk);
	if (history_end(&history, true, why))
		return -1;
	arm(real.disk, way, k);
	memory.on = true;
	error = real_mount(&real);
	memory.on = false;
	nothing = !failures(real.disk);
	disarm(real.disk);
	if (error && nothing) {
		snprintf(why, HISTORY_WHY, "it does not mount: %s", strerror(-error));
		return -1;
	}
	if (error && error != -EIO && error != -ENOMEM && error != -ENOSPC) {
		snprintf(why, HISTORY_WHY, "mount gives %s", strerror(-error));
		return -1;
	}
	if (error && real.disk->memory_pages) {
		snprintf(why, HISTORY_WHY, "a mount that failed keeps %llu pages", (unsigned long long)real.disk->memory_pages);
		return -1;
	}
	if (error && real_mount(&real)) {
		snprintf(why, HISTORY_WHY, "it does not mount after a mount that failed");
		return -1;
	}
	if (!kind->repair && both_compare(&real, history.steps[history.count - 1].model, why, HISTORY_WHY))
		return -1;
	if (real_unmount(&real))
		return snprintf(why, HISTORY_WHY, "it does not unmount"), -1;
	hostdisk_end(real.disk);
	history_free(&history);
	return nothing;
}

typedef int trial(const struct kind *kind, const struct script *script, enum way way, unsigned long long k, char *why);

static void every_k(const struct kind *kind, const char *name, const struct script *script, enum way way, trial *trial,
    unsigned k_max)
{
	unsigned long long apart = 1, k = 1, last = 0;
	char why[HISTORY_WHY] = "";
	int said = 0;
	unsigned n = 0;

	if (told.way >= 0 && told.way != (int)way)
		return;
	for (k = told.k ? told.k : 1; !said; k += apart) {
		said = trial(kind, script, way, k, why);
		tried++;
		last = k;
		/* Further apart, the further away. */
		if (++n > k_max / 2)
			apart = 1 + (n - k_max / 2) * 3 / 2;
		met += !said;
		if (told.k)
			break;
	}
	if (said < 0 || told.verbose)
		ok(said >= 0, "%s, %s, %s: to k = %llu", kind->name, name, way_names[way], last);
	if (said < 0)
		printf("# --fs %s --workload %s --seed %llu --way %s --k %llu: %s\n", kind->name, name, told.seed, way_names[way], last, why);
	fflush(stdout);
}

static void one_kind(const struct kind *kind)
{
	static struct script script;
	unsigned long long count = scale(SCALE_kth_workloads) / (kind->variant || kind->toy ? 10 : 1);
	int before = tap_failed;
	char name[40];

	tried = met = gave_up = 0;
	for (unsigned i = 0; i < count; i++) {
		if (i < workload_count) {
			snprintf(name, sizeof(name), "%s", workloads[i].name);
			script_written(&script, workloads[i].text, kind);
		} else {
			snprintf(name, sizeof(name), "random-%llu", told.seed * 1000 + i);
			script_random(&script, told.seed * 1000 + i, kind);
		}
		if (told.workload && strcmp(told.workload, name))
			continue;
		for (enum way way = 0; way < WAYS; way++)
			every_k(kind, name, &script, way, one, K_MAX);
		for (enum way way = 0; way < WAYS && i % 8 == 0; way++)
			every_k(kind, name, &script, way, mounting, K_MAX);
		if (tap_failed > before + 8) {
			printf("# enough of %s\n", kind->name);
			break;
		}
	}
	ok(tap_failed == before, "%s: %llu faults met in %llu workloads", kind->name, met, count);
	printf("# %s: gave up after %llu of them\n", kind->name, gave_up);
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--fs"))
			told.fs = argv[i + 1];
		else if (!strcmp(argv[i], "--workload"))
			told.workload = argv[i + 1];
		else if (!strcmp(argv[i], "--seed"))
			told.seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--k"))
			told.k = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--verbose"))
			told.verbose = true;
		for (int w = 0; w < WAYS && !strcmp(argv[i], "--way"); w++)
			if (!strcmp(argv[i + 1], way_names[w]))
				told.way = w;
	}
	hostdisk_no_memory = missing;
	printf("# seed %llu\n", told.seed);
	for (unsigned i = 0; i < kind_count; i++) {
		clock_t begun = clock();

		if (!kinds[i].blocks || kinds[i].planted || (told.fs && strcmp(told.fs, kinds[i].name)))
			continue;
		one_kind(&kinds[i]);
		printf("# %s: %llu runs, %.1f s\n", kinds[i].name, tried, (double)(clock() - begun) / CLOCKS_PER_SEC);
	}
	return done();
}
