/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts of a machine: what test/guest/fs_work.c did on an extent, and the emulator logged, is judged here.
 *
 *	replay make KIND FILE BLOCKS			an empty file system
 *	replay judge KIND WORKLOAD BASE EVENTS STATES SEED BOOTS DIRECTORY
 *
 * EVENTS (of test/lib/fsguest.py): 'W', block, 4096 bytes; 'F', a flush; 'M', step, phase: the program is about to do
 * operation `step` of the workload (phase 0), or has done it (1). Numbers are 32 bits. BOOTS of the states are kept in
 * DIRECTORY as state-N, and a line "boot N HASH" says what the machine has to find there.
 */
#include <stdlib.h>
#include <string.h>

#include "test/fs/judge.h"
#include "test/fs/workloads.h"

static int make(const char *kind, const char *file, const char *blocks)
{
	const struct kind *is = kind_named(kind);
	struct hostdisk *disk = hostdisk_make((uint32_t)strtoul(blocks, NULL, 0));

	return !is || (is->make && is->make(&disk->device)) || !hostdisk_save(disk, file);
}

static bool number(FILE *file, uint32_t *value)
{
	return fread(value, sizeof(*value), 1, file) == 1;
}

/* The log and the steps. How many operations the program has said it did. */
static int read_events(struct history *history, const struct script *script, FILE *file)
{
	static uint8_t block[BLOCK_BYTES] __attribute__((aligned(BLOCK_BYTES)));
	uint32_t where, phase, begin = 0;
	int done = 0, what;

	while ((what = fgetc(file)) != EOF) {
		if (what == 'W') {
			if (!number(file, &where) || fread(block, BLOCK_BYTES, 1, file) != 1 ||
			    block_write(&history->disk->device, where, 1, block, 0))
				return -1;
		} else if (what == 'F') {
			block_flush(&history->disk->device);
		} else if (what == 'M') {
			if (!number(file, &where) || !number(file, &phase) || where >= script->count)
				return -1;
			if (!phase)
				begin = history->disk->entry_count;
			else
				history_note(history, &script->ops[where], begin);
			done += phase;
		} else {
			return -1;
		}
	}
	return done;
}

static int keep_for_boot(struct history *history, struct hostdisk *disk, const char *directory, unsigned number)
{
	struct real real = { .kind = history->kind, .disk = hostdisk_copy(disk) };
	char path[400], why[HISTORY_WHY];
	uint64_t hash;

	snprintf(path, sizeof(path), "%s/state-%u", directory, number);
	if (!hostdisk_save(disk, path) || real_mount(&real) || real_hash(&real, &hash, why) || real_unmount(&real))
		return -1;
	printf("boot %u %016llx\n", number, (unsigned long long)hash);
	hostdisk_end(real.disk);
	return 0;
}

static int one_state(struct history *history, uint32_t cut, uint64_t random, int boot, const char *directory)
{
	struct keep keep = { .kind = (enum keep_kind)(random % KEEP_KINDS), .last = cut ? cut - 1 : 0, .random = { .state = random } };
	struct hostdisk *disk = hostdisk_state(history->base, history->disk, cut, keep_entry, &keep);
	char why[HISTORY_WHY] = "";
	uint32_t matched;
	int error = history->kind->repair ? history->kind->repair(&disk, why, sizeof(why)) : 0;

	if (!error && boot >= 0)
		error = keep_for_boot(history, disk, directory, (unsigned)boot);
	if (!error)
		error = history_judge(history, disk, cut, history->kind->repair || random % 3 ? 0 : random | 1, why, &matched);
	if (error)
		printf("wrong: cut %u, %s kept, random %llu: %s\n", cut, keep_names[keep.kind], (unsigned long long)random, why);
	return error;
}

static int judge(char **argv)
{
	static struct script script;
	const struct kind *kind = kind_named(argv[0]);
	struct hostdisk *base = hostdisk_load(argv[2]);
	FILE *events = fopen(argv[3], "rb");
	unsigned long states = strtoul(argv[4], NULL, 0), boots = strtoul(argv[6], NULL, 0), wrong = 0;
	struct op_random random = { .state = strtoull(argv[5], NULL, 0) };
	struct history history;
	int done;

	for (unsigned i = 0; i < workload_count; i++)
		if (!strcmp(workloads[i].name, argv[1]))
			script_written(&script, workloads[i].text, kind);
	if (!strncmp(argv[1], "random-", 7))
		script_random(&script, strtoull(argv[1] + 7, NULL, 0), kind);
	if (!kind || !base || !events || !script.count)
		return 2;
	history_replay(&history, kind, base);
	done = read_events(&history, &script, events);
	fclose(events);
	if (done != (int)script.count) {
		printf("wrong: the program did %d of %u operations\n", done, script.count);
		return 1;
	}
	for (unsigned long i = 0; i < states && wrong < 5; i++) {
		uint32_t cuts = history.disk->entry_count + 1, cut = i < cuts ? (uint32_t)i : (uint32_t)op_pick(&random, cuts);
		bool boot = boots && i % (states / boots) == 0 && i / (states / boots) < boots;

		wrong += one_state(&history, states < cuts ? (uint32_t)(i * cuts / states) : cut, op_number(&random) >> 1,
		    boot ? (int)(i / (states / boots)) : -1, argv[7]) != 0;
	}
	printf("%s %s: %lu states of %u cuts, %lu wrong\n", kind->name, argv[1], states, history.disk->entry_count + 1, wrong);
	history_free(&history);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "make"))
		return make(argv[2], argv[3], argv[4]);
	if (argc == 10 && !strcmp(argv[1], "judge"))
		return judge(argv + 2);
	fprintf(stderr, "replay make KIND FILE BLOCKS, or replay judge KIND WORKLOAD BASE EVENTS STATES SEED BOOTS DIRECTORY\n");
	return 2;
}
