/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations of each file system against a naive model: one file (read, write, truncate, pages, holes, clones), and
 * trees (create, link, rename ... with nodes held, remounts, syncs), and a disk that is soon full. Results, errors and
 * everything that can be read must be the same; the whole tree is compared now and then.
 *
 *	fs_exercise [--fs NAME] [--mode file|tree|full] [--seed N] [--ops N] [--script FILE] [--save FILE]
 *
 * A run that fails prints its seed, and then the shortest list of operations that still fails which it finds in 20
 * seconds: a script for --script. Time limit: 600 s
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/fs/real.h"
#include "test/lib/scale.h"
#include "test/unit/tap.h"

#define COMPARE_EVERY	4000
#define SHRINK_SECONDS	20

static const struct mode {
	const char *name;
	unsigned share;		/* of 100 of all operations */
	bool file, full;
	struct op_random how;
} modes[] = {
	{ "file", 30, true, false, { .bytes_max = 300000, .remount = true, .syncs = true } },
	{ "tree", 50, false, false, { .tree = 75, .names = 12, .bytes_max = 40000, .remount = true, .syncs = true, .slots = true } },
	{ "full", 20, false, true, { .tree = 40, .names = 20, .bytes_max = 600000, .remount = true, .syncs = true, .slots = true } },
};
#define MODES	(sizeof(modes) / sizeof(modes[0]))

struct run {
	const struct kind *kind;
	const struct mode *mode;
	unsigned long long seed, ops;
	const char *save;
	unsigned long long at;	/* where it failed */
	char why[1200];
};

static struct real *begin(const struct run *run)
{
	struct real *real = calloc(1, sizeof(*real));

	real->kind = run->kind;
	real->policy = (unsigned)(run->seed % 3);
	if (run->kind->blocks) {
		real->disk = hostdisk_make(run->mode->full ? run->kind->blocks_least : run->kind->blocks);
		real->disk->device.flags = run->seed % 2 ? BLOCK_HAS_DISCARD | BLOCK_HAS_ZEROES : 0;
		if (run->kind->make && run->kind->make(&real->disk->device))
			return NULL;
		real->disk->lazy = true;
	}
	return real_mount(real) ? NULL : real;
}

static int end(struct run *run, struct real *real, struct model *model)
{
	struct op put = { .kind = OP_PUT };
	int error = 0;

	for (unsigned i = 0; i < OP_SLOTS; i++) {
		put.n[0] = i;
		both_do(real, model, &put, run->why, sizeof(run->why), NULL);
	}
	model_end(model);
	error = real_unmount(real);
	if (error)
		snprintf(run->why, sizeof(run->why), "unmount gives %s", strerror(-error));
	if (run->save && real->disk)
		hostdisk_save(real->disk, run->save);
	if (!error && real->kind->check)
		error = real->kind->check(&real->disk->device, run->why, sizeof(run->why));
	if (!error && real->kind->judge)
		error = real->kind->judge(real->disk, run->why, sizeof(run->why));
	if (!error && real->disk && (real->disk->unstable || real->disk->memory_pages)) {
		snprintf(run->why, sizeof(run->why), "%llu writes changed under way, %llu pages are not given back",
		    (unsigned long long)real->disk->unstable, (unsigned long long)real->disk->memory_pages);
		error = -1;
	}
	if (real->disk)
		hostdisk_end(real->disk);
	free(real);
	return error;
}

/* Run operations: those of `script`, or random ones. 0, or why and where it failed. */
static int run_all(struct run *run, const struct op *script, unsigned long long count)
{
	struct op_random random = run->mode->how;
	struct real *real = begin(run);
	struct model *model = model_make();
	struct op op;
	int error = 0;

	random.state = run->seed;
	random.far = run->kind->far && !run->mode->full;
	random.fifo = run->kind->fifo;
	random.clone = run->kind->clone;
	if (!real) {
		snprintf(run->why, sizeof(run->why), "it does not mount");
		return -1;
	}
	for (run->at = 0; run->at < count && !error; run->at++) {
		if (script)
			op = script[run->at];
		else if (run->mode->file && run->at < 6)
			op = (struct op){ .kind = OP_CREATE, .a = { '/', run->at ? 'g' : 'f', run->at ? (char)('0' + run->at - 1) : 0 } };
		else if (run->mode->file)
			op_file(&random, &op);
		else
			op_any(&random, &op);
		error = both_do(real, model, &op, run->why, sizeof(run->why), NULL);
		if (!error && (run->at % COMPARE_EVERY == COMPARE_EVERY - 1 || run->at + 1 == count || script))
			error = both_compare(real, model, run->why, sizeof(run->why));
		if (error)
			break;
	}
	if (error && run->save && real->disk)
		hostdisk_save(real->disk, run->save);
	/* What failed may be in any state: it is left as it is. */
	return error ? error : end(run, real, model);
}

/* The operations of a run, again. */
static struct op *again(const struct run *run, unsigned long long count)
{
	struct op_random random = run->mode->how;
	struct op *script = malloc(sizeof(*script) * count);

	random.state = run->seed;
	random.far = run->kind->far && !run->mode->full;
	random.fifo = run->kind->fifo;
	random.clone = run->kind->clone;
	for (unsigned long long i = 0; i < count; i++) {
		if (run->mode->file && i < 6)
			script[i] = (struct op){ .kind = OP_CREATE, .a = { '/', i ? 'g' : 'f', i ? (char)('0' + i - 1) : 0 } };
		else if (run->mode->file)
			op_file(&random, &script[i]);
		else
			op_any(&random, &script[i]);
	}
	return script;
}

/* Leave out what is not needed for the failure. */
static void shrink(const struct run *failed)
{
	unsigned long long count = failed->at + 1 > failed->ops ? failed->ops : failed->at + 1, chunk = count / 2;
	struct op *script = again(failed, count), *less = malloc(sizeof(*script) * count);
	time_t until = time(NULL) + SHRINK_SECONDS;
	struct run run = *failed;

	run.save = NULL;
	while (chunk && time(NULL) < until) {
		bool shorter = false;

		for (unsigned long long at = 0; at < count && time(NULL) < until;) {
			unsigned long long gone = chunk < count - at ? chunk : count - at;

			memcpy(less, script, sizeof(*script) * at);
			memcpy(less + at, script + at + gone, sizeof(*script) * (count - at - gone));
			if (run_all(&run, less, count - gone)) {
				count = run.at + 1 < count - gone ? run.at + 1 : count - gone;
				memcpy(script, less, sizeof(*script) * count);
				shorter = true;
			} else {
				at += gone;
			}
		}
		if (!shorter || chunk > count / 2)
			chunk /= 2;
	}
	printf("# %llu operations are enough (--seed %llu and the same --mode, for cache and disk):\n", count, failed->seed);
	for (unsigned long long i = 0; i < count && i < 200; i++) {
		printf("# ");
		op_print(stdout, &script[i]);
		putchar('\n');
	}
	run_all(&run, script, count);
	printf("# then: %s\n", run.why);
}

static struct op *read_script(const char *path, unsigned long long *count)
{
	static char text[1 << 20];
	FILE *file = strcmp(path, "-") ? fopen(path, "r") : stdin;
	struct op *script = malloc(sizeof(*script) * 100000);
	const char *at = text;
	int more = 1;

	*count = 0;
	if (!file)
		exit(2);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	for (char *c = text; *c; c++)
		if (*c == '#' && c[1] == ' ')
			*c = ' ';
	while (*count < 100000 && (more = op_parse(&at, &script[*count])) > 0)
		++*count;
	if (more < 0)
		printf("# the script is wrong at: %.40s\n", at);
	return script;
}

static void try(struct run *run, const char *path)
{
	struct op *script = path ? read_script(path, &run->ops) : NULL;
	clock_t begun = clock();
	int error;

	printf("# %s %s: --seed %llu --ops %llu\n", run->kind->name, run->mode->name, run->seed, run->ops);
	fflush(stdout);
	error = run_all(run, script, run->ops);
	ok(!error, "%s, %s: %llu operations as the model does them", run->kind->name, run->mode->name, run->ops);
	printf("# %.1f s\n", (double)(clock() - begun) / CLOCKS_PER_SEC);
	if (!error)
		return;
	printf("# operation %llu: %s: ", run->at, run->why);
	if (script && run->at < run->ops)
		op_print(stdout, &script[run->at]);
	putchar('\n');
	fflush(stdout);
	if (!script)
		shrink(run);
}

int main(int argc, char **argv)
{
	const char *fs = NULL, *mode = NULL, *script = NULL, *save = NULL;
	unsigned long long seed = 1, ops = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--fs"))
			fs = argv[i + 1];
		else if (!strcmp(argv[i], "--mode"))
			mode = argv[i + 1];
		else if (!strcmp(argv[i], "--script"))
			script = argv[i + 1];
		else if (!strcmp(argv[i], "--save"))
			save = argv[i + 1];
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--ops"))
			ops = strtoull(argv[i + 1], NULL, 0);
	}
	if (getenv("EXO_FS_SEED"))
		seed = strtoull(getenv("EXO_FS_SEED"), NULL, 0);
	for (unsigned k = 0; k < kind_count; k++)
		for (unsigned m = 0; m < MODES; m++) {
			struct run run = { .kind = &kinds[k], .mode = &modes[m], .seed = seed + m, .save = save,
				.ops = ops ? ops : scale(SCALE_fs_operations) * modes[m].share / (kinds[k].variant ? 5000 : kinds[k].slow ? 1000 : 100) };

			if (mode || script)
				run.seed = seed;
			/* Toys keep what power cuts are tried with, and no more. */
			if ((fs ? strcmp(fs, kinds[k].name) : kinds[k].toy) || (mode && strcmp(mode, modes[m].name)) ||
			    (modes[m].full && !kinds[k].blocks) || (script && !mode && m))
				continue;
			try(&run, script);
		}
	return done();
}
