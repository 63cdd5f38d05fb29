/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts. Each workload is run on a disk that logs its writes and flushes; then power is cut at every entry of the log,
 * and of the writes that no flush had covered some are kept: none, all, random ones, the last torn at a sector, all torn.
 * Each such disk is mounted and judged (test/fs/judge.h), written to, and cut again in its recovery.
 *
 *	fs_crash [--fs NAME] [--workload NAME] [--states N] [--seed N] [--cut N --keep KIND --random N [--save FILE]] [--verbose 1]
 *
 * The workloads are those of test/fs/workloads.h and random ones ("random-SEED"). A failure prints the line that repeats it.
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
#define FAILURES_MAX	3	/* of a workload; then it is left */

static struct {
	const char *fs, *workload, *save;
	unsigned long long seed, states, cut, random;
	int keep;
	bool verbose;
} told = { .seed = 1, .cut = ~0ull, .keep = -1 };

static struct counts {
	unsigned long long states, cuts, second, repaired, workloads, failures;
} counts;

/* Run the workload. */
static int record(struct history *history, const struct kind *kind, const struct script *script, char *why)
{
	int error;

	real_now = 1000000000;
	error = history_begin(history, kind, BLOCKS, told.seed % 2, why);
	for (unsigned i = 0; i < script->count && !error; i++) {
		error = history_do(history, &script->ops[i], why);
		if (error) {
			size_t length = strlen(why);

			snprintf(why + length, HISTORY_WHY - length, " (operation %u)", i);
		}
	}
	return error ? error : history_end(history, true, why);
}

/* The log's length when the setup was stable: cuts before it are of no interest. */
static uint32_t setup_end(const struct history *history, const struct script *script)
{
	for (uint32_t i = 0; script->first && i < history->count; i++)
		if (history->steps[i].op == &script->ops[script->first - 1])
			return history->steps[i].end;
	return 0;
}

static int one_state(struct history *history, const char *name, uint32_t cut, enum keep_kind kind, uint64_t random)
{
	struct keep keep = { .kind = kind, .last = cut ? cut - 1 : 0, .random = { .state = random } };
	struct hostdisk *disk = hostdisk_state(history->base, history->disk, cut, keep_entry, &keep);
	/* Every third is cut again. */
	uint64_t again = history->kind->repair || random % 3 ? 0 : op_number(&keep.random) | 1ull << 63;
	char why[HISTORY_WHY] = "", first[600] = "";
	uint32_t matched = 0;
	int error = 0;

	if (told.save)
		hostdisk_save(disk, told.save);
	if (history->kind->repair) {
		error = history->kind->repair(&disk, why, sizeof(why));
		snprintf(first, sizeof(first), "%.590s", why);
		counts.repaired++;
		disk->device.flags = history->base->device.flags;
	}
	if (error)
		hostdisk_end(disk);
	else
		error = history_judge(history, disk, cut, again, why, &matched);
	counts.states++;
	counts.second += again != 0;
	if (told.verbose || (error && !history->kind->planted))
		printf("# %s --fs %s --workload %s --seed %llu --cut %u --keep %s --random %llu: %s%s%s\n", error ? "fails:" : "good:",
		    history->kind->name, name, told.seed, cut, keep_names[kind], (unsigned long long)random, why,
		    *first ? " | " : "", first);
	return error;
}

/* What the file system itself makes of a state that another program ought to repair: anything but a crash. */
static void unrepaired(struct history *history, uint32_t cut, uint64_t random)
{
	struct keep keep = { .kind = (enum keep_kind)(random % KEEP_KINDS), .last = cut ? cut - 1 : 0, .random = { .state = random } };
	struct hostdisk *disk = hostdisk_state(history->base, history->disk, cut, keep_entry, &keep);
	struct real real = { .kind = history->kind, .disk = disk };
	char why[HISTORY_WHY];
	uint64_t hash;

	if (!real_mount(&real)) {
		struct op create = { .kind = OP_CREATE, .a = "/after" }, write = { .kind = OP_WRITE, .a = "/after", .n = { 0, 9000, 5 } };
		struct answer answer = { 0 };

		real_hash(&real, &hash, why);
		real_do(&real, &create, &answer);
		real_do(&real, &write, &answer);
		free(answer.bytes);
		if (real_unmount(&real))
			return;
	}
	hostdisk_end(disk);
}

static void explain(const struct history *history)
{
	for (uint32_t i = 1; i < history->count; i++) {
		printf("# step %u, log %u to %u%s: ", i, history->steps[i].begin, history->steps[i].end,
		    history->steps[i].promise ? ", a promise" : "");
		op_print(stdout, history->steps[i].op);
		putchar('\n');
	}
}

static void all_states(struct history *history, const struct script *script, const char *name, uint64_t budget)
{
	struct op_random random = { .state = told.seed * 1000003 };
	uint32_t from = setup_end(history, script), cuts = history->disk->entry_count - from + 1;
	unsigned long long before = counts.states;
	unsigned failures = 0;

	for (const char *c = name; *c; c++)
		random.state = random.state * 31 + (uint8_t)*c;
	/* Each cut, with the five ways of the unstable; more or fewer of them as the budget has it. */
	for (uint64_t n = 0; (n < budget || n < cuts) && failures < FAILURES_MAX; n++) {
		uint32_t cut = from + (n < cuts ? (uint32_t)n : (uint32_t)op_pick(&random, cuts));
		enum keep_kind kind = (enum keep_kind)op_pick(&random, KEEP_KINDS);

		failures += one_state(history, name, cut, kind, op_number(&random) >> 1) != 0;
		if (history->kind->repair && n >= budget)
			break;
	}
	for (uint64_t n = 0; history->kind->repair && n < 2 * cuts; n++)
		unrepaired(history, from + (uint32_t)(n % cuts), op_number(&random));
	counts.cuts += cuts;
	counts.failures += failures;
	if (history->kind->planted)
		return;
	ok(!failures, "%s, %s: %llu states of %u cuts", history->kind->name, name, counts.states - before, cuts);
	if (failures)
		explain(history);
	fflush(stdout);
}

static void one_workload(const struct kind *kind, const char *name, const char *text, uint64_t seed, uint64_t budget)
{
	static struct script script;
	struct history history;
	char why[HISTORY_WHY] = "";

	if (told.workload && strcmp(told.workload, name))
		return;
	if (text && !script_written(&script, text, kind)) {
		ok(false, "%s is not written as it ought to be", name);
		return;
	}
	if (!text)
		script_random(&script, seed, kind);
	if (record(&history, kind, &script, why)) {
		ok(false, "%s, %s: it runs", kind->name, name);
		printf("# %s\n", why);
		explain(&history);
		return;
	}
	counts.workloads++;
	if (told.keep >= 0) {
		ok(!one_state(&history, name, (uint32_t)told.cut, (enum keep_kind)told.keep, told.random), "%s, %s", kind->name, name);
		explain(&history);
	} else {
		all_states(&history, &script, name, budget);
	}
	history_free(&history);
}

static void one_kind(const struct kind *kind)
{
	unsigned long long states = told.states ? told.states : scale(kind->repair ? SCALE_crash_repairs : SCALE_crash_states);
	unsigned long long less = kind->variant || kind->toy ? 20 : 1;
	unsigned long long randoms = scale(SCALE_crash_random), budget = states / less / (workload_count + randoms) + 1;
	char name[40];

	for (unsigned i = 0; i < workload_count; i++)
		one_workload(kind, workloads[i].name, workloads[i].text, 0, budget);
	for (unsigned i = 0; i < randoms; i++) {
		snprintf(name, sizeof(name), "random-%llu", told.seed * 1000 + i);
		one_workload(kind, name, NULL, told.seed * 1000 + i, budget);
	}
	if (told.workload && !strncmp(told.workload, "random-", 7) && !counts.workloads)
		one_workload(kind, told.workload, NULL, strtoull(told.workload + 7, NULL, 10), budget);
}

static void arguments(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *word = argv[i], *value = argv[i + 1];
		unsigned long long number = strtoull(value, NULL, 0);

		if (!strcmp(word, "--fs"))
			told.fs = value;
		else if (!strcmp(word, "--workload"))
			told.workload = value;
		else if (!strcmp(word, "--save"))
			told.save = value;
		else if (!strcmp(word, "--seed"))
			told.seed = number;
		else if (!strcmp(word, "--states"))
			told.states = number;
		else if (!strcmp(word, "--cut"))
			told.cut = number;
		else if (!strcmp(word, "--random"))
			told.random = number;
		else if (!strcmp(word, "--verbose"))
			told.verbose = number;
		for (int k = 0; k < KEEP_KINDS && !strcmp(word, "--keep"); k++)
			if (!strcmp(value, keep_names[k]))
				told.keep = k;
	}
	if (getenv("EXO_FS_SEED"))
		told.seed = strtoull(getenv("EXO_FS_SEED"), NULL, 0);
}

/* The same words, as test/planted gives them: "fs=NAME workload=NAME". */
static void options(void)
{
	static char fs[40], workload[40];
	const char *text = getenv("EXO_TEST_OPTIONS");

	if (text && sscanf(text, "fs=%39s workload=%39s", fs, workload) == 2) {
		told.fs = fs;
		told.workload = workload;
	}
}

int main(int argc, char **argv)
{
	options();
	arguments(argc, argv);
	printf("# seed %llu\n", told.seed);
	for (unsigned i = 0; i < kind_count; i++) {
		clock_t begun = clock();

		if (kinds[i].oracle == ORACLE_NONE || (told.fs && strcmp(told.fs, kinds[i].name)))
			continue;
		counts = (struct counts){ 0 };
		one_kind(&kinds[i]);
		if (kinds[i].planted)
			ok(counts.failures, "%s: what is planted is seen", kinds[i].name);
		printf("# %s: %llu workloads, %llu cuts, %llu states, %llu of them cut again, %llu repaired first, %.1f s\n",
		    kinds[i].name, counts.workloads, counts.cuts, counts.states, counts.second, counts.repaired,
		    (double)(clock() - begun) / CLOCKS_PER_SEC);
	}
	return done();
}
