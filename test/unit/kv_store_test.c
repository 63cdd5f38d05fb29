/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kv's store against a naive model: random keys and sizes in too little memory, with some items held. What is found is what was put
 * last; nothing is lost while there is room; memory stays within its bound; each class's share follows what is asked for.
 */
#include <stdlib.h>

#include "apps/kv/store.h"
#include "test/unit/tap.h"

#define KEYS	3000
#define HELD	20
#define LIMIT	(2u << 20)

static struct {
	uint32_t seed, bytes;	/* of the value; bytes 0: none was put */
	bool put;
} model[KEYS];

static struct {
	struct item *item;
	uint32_t seed, bytes;
} held[HELD];

static size_t taken;
static unsigned long wrong, lost, made, refused;

void *store_memory(size_t bytes, bool large, bool *kept)
{
	*kept = large;
	taken += bytes;
	return malloc(bytes);
}

static unsigned char byte_of(uint32_t seed, size_t at)
{
	return (unsigned char)((seed + at) * 2654435761u >> 24);
}

static void fill(struct item *item, uint32_t seed)
{
	for (size_t i = 0, begin = (size_t)item->key_len + item->suffix_len; i < item->bytes;) {
		char *piece;
		size_t n = store_piece(item, begin + i, &piece);

		for (size_t j = 0; j < n && i < item->bytes; j++, i++)
			piece[j] = (char)byte_of(seed, i);
	}
}

static bool is_filled(struct item *item, uint32_t seed, uint32_t bytes)
{
	size_t begin = (size_t)item->key_len + item->suffix_len;

	if (item->bytes != bytes)
		return false;
	for (size_t i = 0; i < bytes;) {
		char *piece;
		size_t n = store_piece(item, begin + i, &piece);

		for (size_t j = 0; j < n && i < bytes; j++, i++)
			if ((unsigned char)piece[j] != byte_of(seed, i))
				return false;
	}
	return true;
}

static int key_of(char *key, int i)
{
	return sprintf(key, "%0*d", 1 + i % 200, i);
}

static void put(int i, uint32_t bytes)
{
	char key[300];
	int len = key_of(key, i);
	uint32_t seed = (uint32_t)rand();
	struct item *item = store_make(key, (size_t)len, seed, 0, bytes), *old;

	if (!item) {
		refused++;
		old = store_find(key, (size_t)len);
		if (old)
			store_remove(old);
		model[i].put = false;
		return;
	}
	made++;
	fill(item, seed);
	store_put(item);
	store_release(item);
	model[i].seed = seed;
	model[i].bytes = bytes;
	model[i].put = true;
}

static struct item *look(int i, bool must)
{
	char key[300];
	int len = key_of(key, i);
	struct item *item = store_find(key, (size_t)len);

	if (item)
		wrong += !model[i].put || item->flags != model[i].seed || !is_filled(item, model[i].seed, model[i].bytes);
	else
		lost += must && model[i].put;
	return item;
}

static void hold_some(void)
{
	int h = rand() % HELD, i = rand() % KEYS;

	if (held[h].item) {
		wrong += !is_filled(held[h].item, held[h].seed, held[h].bytes);
		store_release(held[h].item);
	}
	held[h].item = look(i, false);
	if (!held[h].item)
		return;
	held[h].item->holds++;
	held[h].seed = model[i].seed;
	held[h].bytes = model[i].bytes;
}

static uint32_t some_size(int turn)
{
	if (rand() % 500 == 0)
		return (uint32_t)rand() % 200000;
	return (uint32_t)rand() >> (20 + turn / 10000 % 8);
}

static void churn(void)
{
	for (int turn = 0; turn < 100000; turn++) {
		int i = rand() % KEYS;
		struct item *item;

		if (turn % 100 == 0)
			store_now++;
		switch (rand() % 8) {
		case 0: case 1: case 2:
			put(i, some_size(turn));
			break;
		case 3:
			item = look(i, false);
			if (item)
				store_remove(item);
			model[i].put = false;
			break;
		case 4:
			hold_some();
			break;
		default:
			look(i, false);
		}
	}
	for (int h = 0; h < HELD; h++)
		if (held[h].item)
			store_release(held[h].item);
}

int main(void)
{
	unsigned alive = 0;

	srand(9);
	store_start(LIMIT);
	for (int i = 0; i < 1000; i++)
		put(i, 300);
	for (int i = 0; i < 1000; i++)
		look(i, true);
	ok(lost == 0 && wrong == 0 && store_counts.evictions == 0, "nothing is lost while there is room");
	is_int((long long)store_counts.items, 1000, "and it is counted");
	churn();
	is_int((long long)wrong, 0, "what is found is what was put last");
	ok(taken <= LIMIT, "memory stays within its bound: %zu", taken);
	ok(made > 30000 && refused < made / 100, "%lu were made, %lu refused", made, refused);
	ok(store_counts.reclaimed_pages > 0, "pages went from class to class: %lu", (unsigned long)store_counts.reclaimed_pages);
	for (int i = 0; i < KEYS; i++)
		alive += look(i, false) != NULL;
	is_int((long long)store_counts.items, alive, "the count of items");
	/* A working set of another size finds room within twice its size in requests. */
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 100; i++)
			put(i, 10000);
	for (int i = 0, found = 0; i < 100; i++) {
		found += look(i, false) != NULL;
		if (i == 99)
			ok(found > 40, "%d of 100 large ones are there after a churn of small ones", found);
	}
	store_flush(store_now);
	for (int i = 0; i < KEYS; i++)
		wrong += look(i, false) != NULL;
	ok(!wrong && !store_counts.items, "nothing is left after a flush");
	return done();
}
