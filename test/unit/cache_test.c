/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache: each promise of cache.h by itself; random operations against a model that keeps what every block
 * ought to contain, on disks that end requests at once, late, or not well; and the policies' choices against queues
 * that are plain arrays.
 */
#include <errno.h>
#include <stdlib.h>
#include "libos/fs/cache.h"
#include "test/lib/hostdisk.h"
#include "test/unit/tap.h"

#define BLOCKS	256

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static uint64_t *word(const void *data)
{
	return (uint64_t *)data;
}

/* Each block of the disk begins with its number + 1000. */
static struct hostdisk *numbered(uint32_t blocks)
{
	struct hostdisk *disk = hostdisk_make(blocks);
	uint64_t bytes[BLOCK_BYTES / 8] = { 0 };

	for (uint32_t i = 0; i < blocks; i++) {
		bytes[0] = i + 1000;
		hostdisk_poke(disk, i, bytes);
	}
	return disk;
}

static uint64_t on_disk(const struct hostdisk *disk, uint32_t block)
{
	uint64_t bytes[BLOCK_BYTES / 8];

	hostdisk_peek(disk, block, bytes);
	return bytes[0];
}

/* --- what the header promises --------------------------------------------------------------------------- */

static void test_device(void)
{
	struct hostdisk *disk = numbered(200);
	uint8_t *memory = block_memory(&disk->device, 150);

	is_int(block_read(&disk->device, 10, 150, memory), 0, "block_read of more than one request");
	ok(*word(memory) == 1010 && *word(memory + 149 * BLOCK_BYTES) == 1159 && disk->operations == 3, "what was read");
	*word(memory) = 7;
	is_int(block_write(&disk->device, 199, 1, memory, BLOCK_FUA), 0, "block_write");
	ok(on_disk(disk, 199) == 7, "what was written");
	is_int(block_read(&disk->device, 199, 2, memory), -EINVAL, "beyond the end");
	is_int(block_write(&disk->device, UINT32_MAX, 2, memory, 0), -EINVAL, "far beyond the end");
	is_int(block_discard(&disk->device, 200, 1), -EINVAL, "discard beyond the end");
	is_int(block_discard(&disk->device, 0, 200), 0, "discard");
	is_int(block_flush(&disk->device), 0, "flush");
	disk->fail_at = disk->operations + 1;
	is_int(block_flush(&disk->device), -EIO, "a flush that fails");
	disk->device.flags |= BLOCK_READ_ONLY;
	is_int(block_write(&disk->device, 0, 1, memory, 0), -EROFS, "a write to what is read-only");
	is_int(block_discard(&disk->device, 0, 1), -EROFS, "a discard likewise");
	block_memory_free(&disk->device, memory, 150);
	hostdisk_end(disk);
}

static void test_get(const struct cache_policy *policy)
{
	struct hostdisk *disk = numbered(BLOCKS);
	struct cache *cache = cache_make(&disk->device, 16, policy);
	struct buffer *held[17], *again;
	int bad = 0;

	for (uint32_t i = 0; i < 16; i++)
		bad += cache_get(cache, i * 3, &held[i]) != 0 || *word(held[i]->data) != i * 3 + 1000;
	is_int(bad, 0, "sixteen blocks");
	is_int(cache_get(cache, 200, &held[16]), -ENOMEM, "all are held");
	is_int(cache_get(cache, BLOCKS, &held[16]), -EINVAL, "beyond the end");
	is_int(cache_get(cache, UINT32_MAX, &held[16]), -EINVAL, "the last number");
	ok(cache_get(cache, 3, &again) == 0 && again == held[1] && again->holds == 2, "one that is there");
	cache_put(cache, again);
	ok(cache_counts(cache)->hits == 1 && cache_counts(cache)->misses == 16, "counts");
	ok(cache_peek(cache, 6) == held[2] && !cache_peek(cache, 7), "peek");
	cache_put(cache, held[2]);
	cache_put(cache, held[0]);
	is_int(cache_get(cache, 100, &held[0]), 0, "one is free again");
	ok(!cache_peek(cache, 0), "the victim is gone");
	held[0]->pinned = true;
	*word(held[0]->data) = 1;
	cache_dirty(cache, held[0]);
	cache_put(cache, held[0]);
	is_int(cache_get(cache, 101, &held[16]), -ENOMEM, "one that is pinned does not go");
	cache_write_all(cache);
	ok(on_disk(disk, 100) == 1100 && held[0]->dirty, "and cache_write_all leaves it");
	held[0]->pinned = false;
	is_int(cache_get(cache, 101, &held[0]), 0, "a dirty one goes");
	ok(on_disk(disk, 100) == 1 && cache_counts(cache)->stolen == 1, "and is written");
	for (int i = 0; i < 16; i++)
		cache_put(cache, held[i]);
	cache_forget(cache, 101);
	ok(!cache_peek(cache, 101), "forgotten");
	is_int(cache_get_new(cache, 101, &held[0]), 0, "a new one");
	is_int((long long)*word(held[0]->data), 0, "is zero");
	cache_put(cache, held[0]);
	is_int(cache_get_whole(cache, 102, &held[0]), 0, "one that is written as a whole");
	ok(held[0]->valid && disk->device.reads == 18, "is not read");
	cache_put(cache, held[0]);
	cache_end(cache);
	is_int((long long)disk->memory_pages, 0, "memory is given back");
	hostdisk_end(disk);
}

static struct buffer *set(struct cache *cache, uint32_t block, uint64_t value)
{
	struct buffer *buffer;

	if (cache_get_new(cache, block, &buffer))
		abort();
	*word(buffer->data) = value;
	cache_dirty(cache, buffer);
	return buffer;
}

static void test_write(void)
{
	struct hostdisk *disk = numbered(BLOCKS);
	struct cache *cache = cache_make(&disk->device, 200, &cache_lru);
	struct buffer *list[100];
	int bad = 0;

	for (uint32_t i = 0; i < 100; i++)
		list[i] = set(cache, (i * 37) % 100 + 20, i);
	is_int(cache_dirty_count(cache), 100, "a hundred dirty buffers");
	is_int(cache_write_list(cache, list, 50), 0, "half of them are written");
	is_int(cache_dirty_count(cache), 50, "half are left");
	for (uint32_t i = 1; i < 50; i++)
		bad += list[i]->block < list[i - 1]->block;
	is_int(bad, 0, "sorted");
	is_int(cache_write_all(cache), 0, "all");
	for (uint32_t i = 0; i < 100; i++)
		bad += on_disk(disk, (i * 37) % 100 + 20) != i;
	ok(!bad && cache_dirty_count(cache) == 0 && cache_counts(cache)->written == 100, "all are on the disk");
	for (uint32_t i = 0; i < 100; i++)
		cache_dirty(cache, list[i]);
	disk->operations = 0;
	cache_write_all(cache);
	ok(disk->operations <= 100 / 16 + 2, "neighbours go in one request (%d)", (int)disk->operations);
	for (uint32_t i = 0; i < 100; i++)
		cache_dirty(cache, list[i]);
	disk->fail_at = disk->operations + 2;
	is_int(cache_write_all(cache), -EIO, "the second request fails");
	ok(cache_dirty_count(cache) > 0 && cache_dirty_count(cache) <= 64, "what it had stays dirty");
	is_int(cache_write_all(cache), 0, "and is written later");
	is_int(cache_dirty_count(cache), 0, "all of it");
	for (uint32_t i = 0; i < 100; i++)
		cache_put(cache, list[i]);
	cache_end(cache);
	hostdisk_end(disk);
}

static void test_move(void)
{
	struct hostdisk *disk = numbered(BLOCKS);
	struct cache *cache = cache_make(&disk->device, 16, &cache_2q);
	struct buffer *buffer = set(cache, 5, 55), *other = set(cache, 6, 66);

	cache_put(cache, other);
	cache_move(cache, buffer, 6);
	ok(buffer->block == 6 && !cache_peek(cache, 5) && cache_peek(cache, 6) == buffer, "a buffer moves");
	cache_write_all(cache);
	ok(on_disk(disk, 5) == 1005 && on_disk(disk, 6) == 55, "and is written where it is now");
	cache_put(cache, buffer);
	cache_put(cache, buffer);
	cache_end(cache);
	hostdisk_end(disk);
}

static void test_ahead(bool late)
{
	struct hostdisk *disk = numbered(BLOCKS);
	struct cache *cache = cache_make(&disk->device, 64, &cache_2q);
	struct buffer *buffer;
	int bad = 0;

	disk->lazy = late;
	cache_put(cache, set(cache, 3, 33));
	cache_ahead(cache, 0, 100);
	is_int((long long)disk->device.reads, late ? 0 : 15, "a quarter of the cache, without what is there");
	for (uint32_t i = 0; i < 16; i++) {
		bad += cache_get(cache, i, &buffer) != 0 || *word(buffer->data) != (i == 3 ? 33 : i + 1000);
		cache_put(cache, buffer);
	}
	ok(!bad && cache_counts(cache)->misses == 0 && cache_counts(cache)->ahead == 15, "all were read ahead");
	ok(disk->operations <= 3, "with few requests");
	cache_ahead(cache, BLOCKS - 2, 10);
	ok(cache_counts(cache)->ahead == 17, "up to the device's end");
	cache_ahead(cache, 100, 8);
	cache_ahead(cache, 120, 8);
	for (int i = 0; i < 8; i++)
		cache_forget(cache, 100 + (uint32_t)i);
	ok(!cache_peek(cache, 100), "forgotten while it is read");
	cache_ahead(cache, 140, 16);
	disk->fail_at = disk->operations + 1;
	disk->fail_for_good = true;
	is_int(cache_get(cache, 140, &buffer), late ? -EIO : 0, "read-ahead that fails is tried again");
	disk->fail_for_good = false;
	disk->fail_at = 0;
	ok(cache_get(cache, 141, &buffer) == 0 && *word(buffer->data) == 1141, "and again");
	cache_end(cache);
	is_int((long long)disk->memory_pages, 0, "memory is given back while requests are under way");
	hostdisk_end(disk);
}

static void test_memory(void)
{
	struct hostdisk *disk = numbered(BLOCKS);
	struct cache *cache;
	struct buffer *buffer;
	int bad = 0;

	disk->memory_fail_at = 1;
	ok(!cache_make(&disk->device, 16, &cache_lru), "no memory");
	disk->memory_fail_at = disk->allocations + 2;
	disk->fail_for_good = true;
	cache = cache_make(&disk->device, 200, &cache_lru);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		bad += cache_get(cache, i, &buffer) != 0 || *word(buffer->data) != i + 1000;
		cache_put(cache, buffer);
	}
	is_int(bad, 0, "a cache that cannot grow does with what it has");
	cache_end(cache);
	hostdisk_end(disk);
}

/* --- random operations ---------------------------------------------------------------------------------- */

struct model {
	struct hostdisk *disk;
	struct cache *cache;
	uint64_t wanted[BLOCKS];	/* what the block contains */
	uint64_t stable[BLOCKS];	/* what the disk has at least had since the last whole write */
	struct buffer *held[8];
	int bad;
	uint64_t counter;
};

static void expect(struct model *model, bool what, const char *name)
{
	if (!what && model->bad++ < 5)
		printf("# %s\n", name);
}

static void let_go(struct model *model, unsigned i)
{
	if (model->held[i])
		cache_put(model->cache, model->held[i]);
	model->held[i] = NULL;
}

static bool is_held(struct model *model, uint32_t block)
{
	for (unsigned i = 0; i < 8; i++)
		if (model->held[i] && model->held[i]->block == block)
			return true;
	return false;
}

/* Get it, look at it, perhaps change it, hold it for a while. */
static void touch(struct model *model, uint32_t block, bool fresh)
{
	unsigned i = draw(8);
	struct buffer *buffer;
	int result;

	let_go(model, i);
	result = fresh ? cache_get_new(model->cache, block, &buffer) : cache_get(model->cache, block, &buffer);
	expect(model, result == 0 || result == -EIO || result == -ENOMEM, "get: result");
	if (result)
		return;
	expect(model, buffer->block == block && buffer->valid && buffer->holds, "get: the buffer");
	if (!fresh)
		expect(model, *word(buffer->data) == model->wanted[block], "get: what it contains");
	if (fresh || draw(2)) {
		*word(buffer->data) = model->wanted[block] = ++model->counter;
		cache_dirty(model->cache, buffer);
		buffer->pinned = draw(16) == 0;
	}
	model->held[i] = buffer;
}

static void unpin(struct model *model)
{
	for (uint32_t block = 0; block < BLOCKS; block++) {
		struct buffer *buffer = cache_peek(model->cache, block);

		if (!buffer)
			continue;
		buffer->pinned = false;
		cache_put(model->cache, buffer);
	}
}

static void write_out(struct model *model)
{
	bool failed;

	unpin(model);
	failed = cache_write_all(model->cache) != 0;
	expect(model, !failed || model->disk->failed > 0, "write: result");
	for (uint32_t block = 0; block < BLOCKS && !failed; block++)
		expect(model, on_disk(model->disk, block) == model->wanted[block], "write: what the disk has");
	expect(model, failed == (cache_dirty_count(model->cache) != 0), "write: what is dirty");
}

static void move(struct model *model)
{
	struct buffer *buffer = model->held[draw(8)];
	uint32_t to = draw(BLOCKS);

	if (!buffer || buffer->holds != 1 || is_held(model, to))
		return;
	/* What the old block has is what was written of it last; so that is written first. */
	if (cache_write(model->cache, buffer))
		return;
	cache_move(model->cache, buffer, to);
	model->wanted[to] = *word(buffer->data);
	cache_dirty(model->cache, buffer);
}

static void forget(struct model *model)
{
	uint32_t block = draw(BLOCKS);

	if (is_held(model, block))
		return;
	cache_forget(model->cache, block);
	model->wanted[block] = on_disk(model->disk, block);
}

static void step(struct model *model)
{
	static const struct cache_policy *const policies[] = { &cache_lru, &cache_2q };
	uint32_t block = draw(4) ? draw(BLOCKS / 4) : draw(BLOCKS);

	switch (draw(40)) {
	case 0:
		write_out(model);
		break;
	case 1:
		move(model);
		break;
	case 2:
		forget(model);
		break;
	case 3:
		cache_ahead(model->cache, block, draw(40));
		break;
	case 4:
		unpin(model);
		break;
	case 5:
		if (draw(20) == 0)
			expect(model, cache_set_policy(model->cache, policies[draw(2)]) == 0, "set_policy");
		break;
	case 6:
		cache_write_behind(model->cache, draw(40));
		break;
	case 7:
		if (model->held[draw(8)])
			let_go(model, draw(8));
		break;
	default:
		touch(model, block, draw(10) == 0);
	}
}

static void test_random(const struct cache_policy *policy, bool late, bool fail, unsigned steps)
{
	struct model model = { .disk = numbered(BLOCKS) };

	seed = 1 + late * 2 + fail;
	model.disk->lazy = late;
	model.cache = cache_make(&model.disk->device, 40, policy);
	model.counter = 10000;
	for (uint32_t i = 0; i < BLOCKS; i++)
		model.wanted[i] = i + 1000;
	for (unsigned i = 0; i < steps; i++) {
		if (fail && i % 500 == 0)
			model.disk->fail_at = model.disk->operations + 1 + draw(200);
		step(&model);
	}
	for (unsigned i = 0; i < 8; i++)
		let_go(&model, i);
	model.disk->fail_at = 0;
	write_out(&model);
	write_out(&model);
	is_int(model.bad, 0, policy->name);
	is_int((long long)model.disk->unstable, 0, "nothing changed while it was written");
	cache_end(model.cache);
	is_int((long long)model.disk->memory_pages, 0, "memory is given back");
	hostdisk_end(model.disk);
}

/* --- policies ------------------------------------------------------------------------------------------- */

struct list {
	uint32_t count;
	uint32_t block[BLOCKS];
};

static int list_find(const struct list *list, uint32_t block)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->block[i] == block)
			return (int)i;
	return -1;
}

static uint32_t list_cut(struct list *list, uint32_t at)
{
	uint32_t block = list->block[at];

	memmove(&list->block[at], &list->block[at + 1], (--list->count - at) * sizeof(block));
	return block;
}

static void list_add(struct list *list, uint32_t block)
{
	list->block[list->count++] = block;
}

/* Ask for a block; the model's queues are q[0] (LRU, or 2Q's OFTEN), q[1] TRIAL, q[2] GONE. Whether it was there. */
static bool model_ask(struct list q[3], bool twoq, uint32_t pages, uint32_t block)
{
	int at = list_find(&q[0], block);

	if (at >= 0) {
		list_add(&q[0], list_cut(&q[0], (uint32_t)at));
		return true;
	}
	if (list_find(&q[1], block) >= 0)
		return true;
	if (q[0].count + q[1].count == pages) {
		bool trial = q[1].count > pages / 4 || !q[0].count;
		uint32_t gone = list_cut(&q[trial ? 1 : 0], 0);

		if (trial) {
			list_add(&q[2], gone);
			if (q[2].count > pages / 2)
				list_cut(&q[2], 0);
		}
	}
	at = list_find(&q[2], block);
	if (at >= 0)
		q[2].block[at] = UINT32_MAX;	/* its place in the ring stays */
	list_add(&q[twoq && at < 0 ? 1 : 0], block);
	return false;
}

static void test_policy(const struct cache_policy *policy, bool twoq)
{
	struct hostdisk *disk = numbered(BLOCKS);
	struct cache *cache = cache_make(&disk->device, 32, policy);
	static struct list q[3];
	struct buffer *buffer;
	int bad = 0;

	memset(q, 0, sizeof(q));
	seed = 7;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t block = draw(3) ? draw(20) + i / 2000 * 15 : i % 7 ? draw(100) : i % BLOCKS;
		uint64_t hits = cache_counts(cache)->hits;
		bool there = model_ask(q, twoq, 32, block);

		bad += cache_get(cache, block, &buffer) != 0;
		bad += there != (cache_counts(cache)->hits > hits);
		cache_put(cache, buffer);
	}
	is_int(bad, 0, twoq ? "2q chooses as its model does" : "lru chooses as its model does");
	cache_end(cache);
	hostdisk_end(disk);
}

int main(void)
{
	test_device();
	test_get(&cache_lru);
	test_get(&cache_2q);
	test_write();
	test_move();
	test_ahead(false);
	test_ahead(true);
	test_memory();
	test_policy(&cache_lru, false);
	test_policy(&cache_2q, true);
	for (int i = 0; i < 8; i++)
		test_random(i & 4 ? &cache_lru : &cache_2q, i & 1, i & 2, 30000);
	return done();
}
