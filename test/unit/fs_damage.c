/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Damaged disks: bytes of everything but contents are flipped, set and zeroed, and blocks written to the wrong place. Each
 * such disk is mounted, read, changed and mounted again: errors, but no crash, no hang, no report of the sanitizers. A file
 * system that has sums never gives out what had not been written.
 *
 *	fs_damage [--fs NAME] [--seed N] [--images N] [--every 1] [--from N] [--save FILE]
 *
 * --every: each byte of the metadata, one after the other, with its bits inverted. Image N alone: --from N --images 1.
 * Time limit: 600 s
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test/fs/damage.h"
#include "test/lib/scale.h"
#include "test/unit/tap.h"

#define HANG_SECONDS	20

static struct {
	const char *fs, *save;
	unsigned long long seed, images, from;
	bool every;
} told = { .seed = 1 };

static char now[200];

static void hung(int signal)
{
	(void)signal;
	(void)!write(1, "# hangs or dies: ", 17);
	(void)!write(1, now, strlen(now));
	(void)!write(1, "\nBail out!\n", 11);
	_exit(1);
}

static unsigned long long one_kind(const struct kind *kind)
{
	unsigned long long images = told.images ? told.images : scale(SCALE_damage_images) / (kind->variant ? 5 : 1), bad = 0, first = told.from;
	struct damage_base base;
	char what[160], why[1400];

	if (damage_begin(&base, kind, why, sizeof(why))) {
		printf("# %s: %s\n", kind->name, why);
		return 1;
	}
	if (told.every)
		images = (unsigned long long)base.block_count * BLOCK_BYTES;
	printf("# %s: %u blocks that are not contents\n", kind->name, base.block_count);
	for (unsigned long long i = first; i < first + images && bad < 5; i++) {
		struct op_random random = { .state = told.seed * 1000000007 + i };
		struct hostdisk *disk = hostdisk_copy(base.disk);

		what[0] = why[0] = 0;
		if (told.every) {
			uint8_t block[BLOCK_BYTES];

			hostdisk_peek(disk, base.blocks[i / BLOCK_BYTES], block);
			block[i % BLOCK_BYTES] ^= 0xff;
			hostdisk_poke(disk, base.blocks[i / BLOCK_BYTES], block);
			snprintf(what, sizeof(what), "block %u byte %llu", base.blocks[i / BLOCK_BYTES], i % BLOCK_BYTES);
		} else {
			damage_do(&base, disk, &random, what, sizeof(what));
		}
		if (told.save)
			hostdisk_save(disk, told.save);
		snprintf(now, sizeof(now), "--fs %s --seed %llu%s --from %llu --images 1 (%.90s)", kind->name, told.seed,
		    told.every ? " --every 1" : "", i, what);
		alarm(HANG_SECONDS);
		if (damage_try(&base, disk, op_number(&random), why, sizeof(why))) {
			printf("# %s: %s\n", now, why);
			bad++;
		}
		alarm(0);
	}
	damage_end(&base);
	ok(!bad, "%s: %llu damaged disks", kind->name, images);
	return bad;
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--fs"))
			told.fs = argv[i + 1];
		else if (!strcmp(argv[i], "--save"))
			told.save = argv[i + 1];
		else if (!strcmp(argv[i], "--seed"))
			told.seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--images"))
			told.images = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--from"))
			told.from = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--every"))
			told.every = true;
	}
	signal(SIGALRM, hung);
	signal(SIGABRT, hung);
	printf("# seed %llu\n", told.seed);
	fflush(stdout);
	for (unsigned i = 0; i < kind_count; i++) {
		clock_t begun = clock();

		if (!kinds[i].blocks || kinds[i].toy || (told.fs && strcmp(told.fs, kinds[i].name)))
			continue;
		one_kind(&kinds[i]);
		printf("# %s: %.1f s\n", kinds[i].name, (double)(clock() - begun) / CLOCKS_PER_SEC);
		fflush(stdout);
	}
	return done();
}
