/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buffer cache: which block of the disk stays in memory?
 *
 * The cache (libos/fs/cache.h) is the one that the file systems have; its policy is a table of functions,
 * here those of the command line. Blocks are read from a real disk, by this program's own ring. What is
 * asked for:
 *
 *   database  look-ups of keys, few of them often and many seldom (Zipf): the root of an index, an inner
 *             block, a leaf, and the record's block
 *   + scan    the same, and after each 50 of them a report reads 60 blocks in a row, from where it was
 *   scan      a table of 320 blocks is read from its beginning to its end, 4 times
 *
 * Arguments: numbers of blocks that the cache has (32 to 384).
 */
#include <stdlib.h>
#include <string.h>
#include "libos/disk/disk.h"
#include "libos/fs/cache.h"

#define LAB_TYPE struct cache_policy
#include "lab.h"

#define PAGES_MAX	1024
#define LOOKUPS		600

/* Where things lie: a policy of this application's own may know. */
#define INNER		1
#define LEAVES		9
#define LEAF_COUNT	64
#define RECORDS		128
#define RECORD_COUNT	640
#define TABLE		1024
#define TABLE_COUNT	320

static struct block_device *disk;
static struct cache *cache;

/* --- what a policy says, believed only if it can be ----------------------------------------------------- */

static const struct cache_policy *asked;
static struct buffer *all[PAGES_MAX];
static uint32_t count, wrong;

static void *checked_make(uint32_t pages)
{
	count = 0;
	return asked->make(pages);
}

static void checked_end(void *state)
{
	asked->end(state);
}

static void checked_came(void *state, struct buffer *buffer)
{
	all[count++] = buffer;
	asked->came(state, buffer);
}

static void checked_used(void *state, struct buffer *buffer)
{
	asked->used(state, buffer);
}

static void checked_went(void *state, struct buffer *buffer)
{
	for (uint32_t i = 0; i < count; i++)
		if (all[i] == buffer)
			all[i--] = all[--count];
	asked->went(state, buffer);
}

static struct buffer *checked_victim(void *state)
{
	struct buffer *said = asked->victim(state);

	for (uint32_t i = 0; i < count; i++)
		if (all[i] == said && !said->holds && !said->pinned)
			return said;
	wrong++;
	for (uint32_t i = 0; i < count; i++)
		if (!all[i]->holds && !all[i]->pinned)
			return all[i];
	return NULL;
}

static const struct cache_policy checked = { "checked", checked_make, checked_end, checked_came, checked_used,
	checked_went, checked_victim };

/* --- what is asked for ---------------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545f4914f6cdd1d >> 32) * n >> 32);
}

static void want(uint32_t block)
{
	struct buffer *buffer;

	if (cache_get(cache, block, &buffer)) {
		printf("cache: block %u cannot be read\n", block);
		exit(1);
	}
	cache_put(cache, buffer);
}

/* A number below n = 640, number i with a chance of 1 in i + 1: half of the look-ups go to a thirtieth. */
static uint32_t zipf(uint32_t n)
{
	uint32_t i = 1;

	for (uint32_t octave = below(10); octave; octave--)
		i *= 2;
	return (i + below(i) - 1) % n;
}

static void look_up(void)
{
	uint32_t key = zipf(RECORD_COUNT) * 397 % RECORD_COUNT;

	want(0);
	want(INNER + key * 8 / RECORD_COUNT);
	want(LEAVES + key * LEAF_COUNT / RECORD_COUNT);
	want(RECORDS + key);
}

static void database(void)
{
	for (uint32_t i = 0; i < LOOKUPS; i++)
		look_up();
}

static void both(void)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < LOOKUPS; i++) {
		look_up();
		for (uint32_t j = 0; i % 50 == 49 && j < 60; j++)
			want(TABLE + at++ % TABLE_COUNT);
	}
}

static void scan(void)
{
	for (uint32_t i = 0; i < 4 * TABLE_COUNT; i++)
		want(TABLE + i % TABLE_COUNT);
}

static const struct {
	const char *name;
	void (*run)(void);
} load[] = { { "database", database }, { "database + scan", both }, { "scan", scan } };

/* --- running -------------------------------------------------------------------------------------------- */

static bool run(unsigned l, const struct lab_choice *choice, uint32_t pages)
{
	const struct cache_counts *counts;

	asked = choice->policy;
	seed = 88172645463325252;
	disk->reads = 0;
	cache = cache_make(disk, pages, &checked);
	if (!cache) {
		printf("cache: no memory for %u blocks, or policy %s cannot be made\n", pages, choice->name);
		return false;
	}
	load[l].run();
	counts = cache_counts(cache);
	uint64_t tenths = counts->hits * 1000 / (counts->hits + counts->misses);
	lab_row("%s,%s,%u,%lu.%lu,%lu", load[l].name, choice->name, pages, tenths / 10, tenths % 10,
	    disk->reads);
	cache_end(cache);
	return true;
}

int main(int argc, char **argv)
{
	uint32_t pages[32] = { 32, 64, 128, 256, 384 }, given = 0;

	for (int i = 1; i < argc; i++) {
		char *end;
		pages[given++] = (uint32_t)strtoul(argv[i], &end, 10);
		pages[given] = 0;
		uint32_t last = pages[given - 1];
		if (given == 31 || *end || last < CACHE_PAGES_MIN || last > PAGES_MAX) {
			printf("cache: '%s' is not a number of blocks from %d to %d\n", argv[i],
			    CACHE_PAGES_MIN, PAGES_MAX);
			return 2;
		}
	}
	if (disk_extent_open("lab", &disk) || disk->blocks < TABLE + TABLE_COUNT) {
		printf("cache: there is no disk with an extent 'lab'\n");
		return 1;
	}
	lab_columns("load,policy,blocks,hits,reads");
	for (unsigned l = 0; l < sizeof(load) / sizeof(load[0]); l++)
		for (unsigned c = 0; c < LAB_CHOICES; c++) {
			wrong = 0;
			for (const uint32_t *p = pages; *p; p++)
				if (!run(l, &lab_choice[c], *p))
					return 1;
			if (wrong)
				lab_wrong(lab_choice[c].name, "%s: victim() named no buffer that may go, %u times; "
				    "another one was taken", load[l].name, wrong);
		}
	return 0;
}
