/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs whose memory is paged: each has all its data in a region of WORK_PAGES pages, touches it as such
 * programs do, and gives a sum of what came out, so that it is seen if a page was lost. Whatever pages it
 * wants, it wants for a reason: nothing here makes a trace.
 *
 *   sort    the C library's qsort() of records of 1 KiB by a key
 *   join    a hash join, as a database does it: a table of the smaller relation is probed with the larger
 *   nested  the same answer by nested loops: the larger relation is read once for each page of the smaller
 *   lists   an interpreter's heap: lists are made and sorted, and garbage is found by mark and sweep
 */
#ifndef LAB_WORK_H
#define LAB_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORK_PAGES	64
#define WORK_BYTES	(WORK_PAGES * 4096)

/* Pseudo-random numbers, the same each time (Marsaglia's xorshift64*). */
static uint64_t work_seed;

static inline uint32_t work_random(uint32_t below)
{
	work_seed ^= work_seed >> 12;
	work_seed ^= work_seed << 25;
	work_seed ^= work_seed >> 27;
	return (uint32_t)((work_seed * 0x2545f4914f6cdd1d >> 32) * below >> 32);
}

/* --- sort ----------------------------------------------------------------------------------------------- */

struct work_row {
	uint32_t key, rest[255];
};

#define ROWS		(WORK_BYTES / sizeof(struct work_row))

static int work_compare(const void *a, const void *b)
{
	uint32_t one = ((const struct work_row *)a)->key, two = ((const struct work_row *)b)->key;

	return one < two ? -1 : one > two;
}

static uint64_t work_sort(void *memory)
{
	struct work_row *row = memory;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ROWS; i++)
		row[i].key = row[i].rest[7] = work_random(1u << 31);
	qsort(row, ROWS, sizeof(*row), work_compare);
	for (uint32_t i = 0; i < ROWS; i++)
		sum = sum * 31 + row[i].key + row[i].rest[7];
	return sum;
}

/* --- join ----------------------------------------------------------------------------------------------- */

struct work_record {
	uint32_t key, next;	/* next: of the same bucket, + 1 */
	uint32_t rest[14];
};

/* Records of the smaller relation; the larger has twice as many, the hash table the last quarter. */
#define SMALL		(WORK_BYTES / 4 / sizeof(struct work_record))

static uint64_t work_join(void *memory)
{
	struct work_record *small = memory, *large = small + SMALL;
	uint32_t *bucket = (uint32_t *)(large + 2 * SMALL);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < 3 * SMALL; i++)
		small[i].key = work_random(4 * SMALL);
	for (uint32_t i = 0; i < SMALL; i++) {
		uint32_t *first = &bucket[2 * (small[i].key * 2654435761u >> 19)];
		small[i].next = *first;
		*first = i + 1;
	}
	/* Nine of ten probes go to a tenth of the keys: some customers buy more than others. */
	for (uint32_t i = 0; i < 2 * SMALL; i++) {
		uint32_t key = i % 10 ? large[i].key % (SMALL / 10) : large[i].key;
		for (uint32_t at = bucket[2 * (key * 2654435761u >> 19)]; at; at = small[at - 1].next)
			sum += small[at - 1].key == key ? i : 1;
	}
	return sum;
}

/* --- nested loops --------------------------------------------------------------------------------------- */

#define OUTER		8	/* pages of the smaller relation, the others are the larger one */
#define PAGE_RECORDS	(4096 / sizeof(struct work_record))

static uint64_t work_nested(void *memory)
{
	struct work_record *outer = memory, *inner = outer + OUTER * PAGE_RECORDS, *end = outer + 4 * SMALL;
	uint64_t sum = 0;

	for (struct work_record *r = outer; r < end; r++)
		r->key = work_random(4096);
	for (unsigned page = 0; page < OUTER; page++, outer += PAGE_RECORDS)
		for (struct work_record *r = inner; r < end; r += 4)
			for (unsigned i = 0; i < PAGE_RECORDS; i += 8)
				sum += r->key == outer[i].key ? i + 1 : 0;
	return sum + inner->key;
}

/* --- lists ---------------------------------------------------------------------------------------------- */

struct work_cell {
	uint32_t value, next;	/* next: its number; 0: none. Cell 0 is not used */
	uint32_t marked, spare;
};

#define CELLS		(WORK_BYTES / sizeof(struct work_cell))
#define ROOTS		64

static struct work_cell *work_cells;
static uint32_t work_free, work_root[ROOTS], work_roots;	/* what is reached from roots is no garbage */

static void work_collect(void)
{
	for (uint32_t r = 0; r < work_roots; r++)
		for (uint32_t at = work_root[r]; at && !work_cells[at].marked; at = work_cells[at].next)
			work_cells[at].marked = 1;
	for (uint32_t at = CELLS - 1; at; at--) {
		if (!work_cells[at].marked) {
			work_cells[at].next = work_free;
			work_free = at;
		}
		work_cells[at].marked = 0;
	}
}

/* A new cell behind `last`, or, 0, at the beginning of the list that is the uppermost root. Its number. */
static uint32_t work_append(uint32_t last, uint32_t value)
{
	if (!work_free)
		work_collect();
	uint32_t at = work_free;
	work_free = work_cells[at].next;
	work_cells[at] = (struct work_cell){ .value = value };
	*(last ? &work_cells[last].next : &work_root[work_roots - 1]) = at;
	return at;
}

/* A sorted copy of the first `count` cells of a list that a root reaches. The new list has no root yet. */
static uint32_t work_merge_sort(uint32_t list, uint32_t count)
{
	uint32_t middle = list, last = 0, *half = &work_root[work_roots];

	if (count == 1) {
		work_root[work_roots++] = 0;
		work_append(0, work_cells[list].value);
		return work_root[--work_roots];
	}
	for (uint32_t i = 0; i < count / 2; i++)
		middle = work_cells[middle].next;
	work_roots++;
	half[0] = 0;
	half[0] = work_merge_sort(list, count / 2);
	work_roots++;
	half[1] = 0;
	half[1] = work_merge_sort(middle, count - count / 2);
	work_roots++;
	half[2] = 0;
	while (half[0] || half[1]) {
		bool first = !half[1] || (half[0] && work_cells[half[0]].value <= work_cells[half[1]].value);
		last = work_append(last, work_cells[half[!first]].value);
		half[!first] = work_cells[half[!first]].next;
	}
	work_roots -= 3;
	return half[2];
}

static uint64_t work_lists(void *memory)
{
	uint64_t sum = 0;

	work_cells = memory;
	work_free = work_roots = 0;
	for (uint32_t round = 0; round < 14; round++) {
		work_root[0] = 0;
		work_roots = 1;
		for (uint32_t i = 0, last = 0; i < 500; i++)
			last = work_append(last, work_random(1u << 20));
		for (uint32_t at = work_merge_sort(work_root[0], 500); at; at = work_cells[at].next)
			sum = sum * 31 + work_cells[at].value;
	}
	return sum;
}

struct work {
	const char *name;
	uint64_t (*run)(void *memory);
};

static const struct work work_all[] = {
	{ "sort", work_sort }, { "join", work_join }, { "nested", work_nested }, { "lists", work_lists }
};

#define WORKS	(sizeof(work_all) / sizeof(work_all[0]))

#endif
