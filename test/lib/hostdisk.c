/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sanitizer/asan_interface.h>

#include "test/lib/hostdisk.h"

#define KEPT		16
#define KEPT_LEAST	16	/* pages */
#define LAZY_MAX	64	/* requests under way; one more, and the oldest ends */

unsigned hostdisk_own;
bool (*hostdisk_no_memory)(void);

static void *must(void *memory)
{
	if (!memory) {
		perror("hostdisk");
		exit(2);
	}
	return memory;
}

static struct hostpage *page_of(const void *bytes)
{
	struct hostpage *page = must(malloc(sizeof(*page)));

	page->users = 1;
	memcpy(page->bytes, bytes, BLOCK_BYTES);
	return page;
}

static struct hostpage *page_hold(struct hostpage *page)
{
	if (page)
		page->users++;
	return page;
}

static void page_put(struct hostpage *page)
{
	if (page && --page->users == 0)
		free(page);
}

static void set_page(struct hostdisk *disk, uint32_t block, struct hostpage *page)
{
	page_put(disk->pages[block]);
	disk->pages[block] = page;
}

static void add_entry(struct hostdisk *disk, struct hostdisk_entry entry)
{
	if (disk->entry_count == disk->entry_max) {
		disk->entry_max = disk->entry_max ? disk->entry_max * 2 : 256;
		disk->entries = must(realloc(disk->entries, disk->entry_max * sizeof(*disk->entries)));
	}
	disk->entries[disk->entry_count++] = entry;
}

/* The memory of block i of a request. */
static uint8_t *memory_at(const struct block_request *request, uint32_t i)
{
	for (unsigned part = 0; part < request->parts; part++) {
		if (i < request->part[part].blocks)
			return (uint8_t *)request->part[part].memory + (size_t)i * BLOCK_BYTES;
		i -= request->part[part].blocks;
	}
	return NULL;
}

static bool fails(struct hostdisk *disk, const struct block_request *request)
{
	if (disk->fail_what && !(disk->fail_what & 1u << request->operation))
		return false;
	disk->operations++;
	if (!disk->fail_at || disk->operations < disk->fail_at)
		return false;
	if (!disk->fail_for_good && disk->operations > disk->fail_at)
		return false;
	disk->failed++;
	return true;
}

static int check(const struct hostdisk *disk, const struct block_request *request)
{
	bool data = request->operation == BLOCK_READ || request->operation == BLOCK_WRITE;
	uint32_t sum = 0;

	if (request->operation == BLOCK_FLUSH)
		return 0;
	if (!request->count || request->block >= disk->device.blocks || request->count > disk->device.blocks - request->block)
		return -EINVAL;
	if (request->operation != BLOCK_READ && disk->device.flags & BLOCK_READ_ONLY)
		return -EROFS;
	for (unsigned part = 0; data && part < request->parts; part++) {
		sum += request->part[part].blocks;
		if ((uintptr_t)request->part[part].memory % BLOCK_BYTES || !request->part[part].blocks)
			return -EFAULT;
	}
	return data && (sum != request->count || sum > 64 || request->parts > BLOCK_PARTS_MAX) ? -EFAULT : 0;
}

/* One that fails reaches the disk in part, as far as anybody can know: its first half. */
static void do_write(struct hostdisk *disk, const struct block_request *request, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct hostpage *page = request->operation == BLOCK_WRITE ? page_of(memory_at(request, i)) : NULL;

		if (disk->log)
			add_entry(disk, (struct hostdisk_entry){ .what = HOSTDISK_WRITE, .fua = request->flags & BLOCK_FUA,
			    .block = request->block + i, .request = disk->requests, .page = page_hold(page) });
		set_page(disk, request->block + i, page);
	}
	disk->device.writes += count;
}

static void do_read(struct hostdisk *disk, const struct block_request *request)
{
	for (uint32_t i = 0; i < request->count; i++)
		hostdisk_peek(disk, request->block + i, memory_at(request, i));
	disk->device.reads += request->count;
}

/* `covers`: of a flush, how many entries there were when it was submitted. */
static int perform(struct hostdisk *disk, const struct block_request *request, uint32_t covers)
{
	int error = check(disk, request);
	bool fail = !error && fails(disk, request);

	if (error)
		return error;
	switch (request->operation) {
	case BLOCK_READ:
		if (!fail)
			do_read(disk, request);
		break;
	case BLOCK_WRITE:
		do_write(disk, request, fail ? request->count / 2 : request->count);
		break;
	case BLOCK_ZEROES:
		if (!(disk->device.flags & BLOCK_HAS_ZEROES))
			return -EOPNOTSUPP;
		do_write(disk, request, fail ? 0 : request->count);
		break;
	case BLOCK_DISCARD:
		if (disk->device.flags & BLOCK_HAS_DISCARD)
			do_write(disk, request, fail ? 0 : request->count);
		break;
	case BLOCK_FLUSH:
		disk->device.flushes++;
		if (disk->log && !fail)
			add_entry(disk, (struct hostdisk_entry){ .what = HOSTDISK_FLUSH, .request = disk->requests,
			    .covers = covers });
		break;
	default:
		return -EINVAL;
	}
	return fail ? -EIO : 0;
}

/* Of what is to be written; a positive int. */
static int sum_of(const struct block_request *request)
{
	uint64_t sum = 0, word;

	for (uint32_t i = 0; i < request->count; i++) {
		const uint8_t *bytes = memory_at(request, i);

		for (uint32_t j = 0; bytes && j < BLOCK_BYTES; j += 8) {
			memcpy(&word, bytes + j, 8);
			sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
			sum ^= sum >> 32;
		}
	}
	return (int)(sum >> 33);
}

/* The oldest request ends. While it waits, `result` holds a write's checksum, or how much a flush covers. */
static void end_one(struct hostdisk *disk)
{
	struct block_request *request = disk->first;

	disk->first = request->next;
	if (!disk->first)
		disk->last = &disk->first;
	disk->waiting--;
	if (disk->lazy && request->operation == BLOCK_WRITE && !check(disk, request) &&
	    sum_of(request) != request->result)
		disk->unstable++;
	hostdisk_own++;
	request->result = perform(disk, request, (uint32_t)request->result);
	hostdisk_own--;
	disk->requests++;
	request->pending = false;
	if (request->ended)
		request->ended(request);
}

static void submit(struct block_device *device, struct block_request *request)
{
	struct hostdisk *disk = (struct hostdisk *)device;

	request->pending = true;
	request->next = NULL;
	request->result = request->operation == BLOCK_FLUSH ? (int)disk->entry_count : 0;
	if (disk->lazy && request->operation == BLOCK_WRITE && !check(disk, request))
		request->result = sum_of(request);
	*disk->last = request;
	disk->last = &request->next;
	disk->waiting++;
	while (disk->waiting > (disk->lazy ? LAZY_MAX : 0))
		end_one(disk);
}

static void wait(struct block_device *device, struct block_request *request)
{
	while (request->pending)
		end_one((struct hostdisk *)device);
}

static void poll(struct block_device *device)
{
	struct hostdisk *disk = (struct hostdisk *)device;

	while (disk->waiting)
		end_one(disk);
}

/* Allocation number memory_fail_at fails, and with fail_for_good all behind it. */
static bool memory_allowed(struct hostdisk *disk)
{
	uint64_t number = ++disk->allocations;

	if (hostdisk_no_memory && hostdisk_no_memory())
		return false;
	return !disk->memory_fail_at || number < disk->memory_fail_at ||
	    (number > disk->memory_fail_at && !disk->fail_for_good);
}

/*
 * Large pieces of memory that were given back, the oldest first out: each mount takes some, and fresh pages cost more than
 * most tests do with them. Nobody may touch them meanwhile.
 */
static struct {
	void *memory;
	uint32_t pages;
} kept[KEPT];
static unsigned kept_next;

static void *memory_new(uint32_t pages)
{
	void *memory;

	for (unsigned i = 0; i < KEPT && pages >= KEPT_LEAST; i++) {
		unsigned at = (kept_next + i) % KEPT;

		memory = kept[at].memory;
		if (!memory || kept[at].pages != pages)
			continue;
		kept[at].memory = NULL;
		ASAN_UNPOISON_MEMORY_REGION(memory, (size_t)pages * BLOCK_BYTES);
		return memory;
	}
	hostdisk_own++;
	memory = must(aligned_alloc(BLOCK_BYTES, (size_t)pages * BLOCK_BYTES));
	hostdisk_own--;
	return memory;
}

static void *memory(struct block_device *device, uint32_t pages)
{
	struct hostdisk *disk = (struct hostdisk *)device;
	void *memory = memory_allowed(disk) ? memory_new(pages) : NULL;

	if (!memory)
		return NULL;
	memset(memory, 0, (size_t)pages * BLOCK_BYTES);
	disk->memory_pages += pages;
	return memory;
}

static void memory_free(struct block_device *device, void *memory, uint32_t pages)
{
	unsigned at;

	if (!memory)
		return;
	((struct hostdisk *)device)->memory_pages -= pages;
	if (pages < KEPT_LEAST) {
		free(memory);
		return;
	}
	at = kept_next++ % KEPT;
	if (kept[at].memory) {
		ASAN_UNPOISON_MEMORY_REGION(kept[at].memory, (size_t)kept[at].pages * BLOCK_BYTES);
		free(kept[at].memory);
	}
	kept[at].memory = memory;
	kept[at].pages = pages;
	ASAN_POISON_MEMORY_REGION(memory, (size_t)pages * BLOCK_BYTES);
}

static void end(struct block_device *device)
{
	hostdisk_end((struct hostdisk *)device);
}

static const struct block_device_ops ops = {
	.submit = submit,
	.wait = wait,
	.poll = poll,
	.memory = memory,
	.memory_free = memory_free,
	.close = end,
};

struct hostdisk *hostdisk_make(uint32_t blocks)
{
	struct hostdisk *disk = must(calloc(1, sizeof(*disk)));

	disk->device.ops = &ops;
	disk->device.blocks = blocks;
	disk->pages = must(calloc(blocks, sizeof(struct hostpage *)));
	disk->last = &disk->first;
	return disk;
}

struct hostdisk *hostdisk_copy(const struct hostdisk *disk)
{
	struct hostdisk *copy = hostdisk_make(disk->device.blocks);

	copy->device.flags = disk->device.flags;
	for (uint32_t i = 0; i < disk->device.blocks; i++)
		copy->pages[i] = page_hold(disk->pages[i]);
	return copy;
}

void hostdisk_log_clear(struct hostdisk *disk)
{
	for (uint32_t i = 0; i < disk->entry_count; i++)
		page_put(disk->entries[i].page);
	free(disk->entries);
	disk->entries = NULL;
	disk->entry_count = disk->entry_max = 0;
}

void hostdisk_end(struct hostdisk *disk)
{
	hostdisk_log_clear(disk);
	for (uint32_t i = 0; i < disk->device.blocks; i++)
		page_put(disk->pages[i]);
	free(disk->pages);
	free(disk);
}

struct hostdisk *hostdisk_load(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct hostdisk *disk;
	uint8_t bytes[BLOCK_BYTES];
	long length;

	if (!file || fseek(file, 0, SEEK_END) || (length = ftell(file)) < 0) {
		if (file)
			fclose(file);
		return NULL;
	}
	rewind(file);
	disk = hostdisk_make((uint32_t)(length / BLOCK_BYTES));
	for (uint32_t i = 0; i < disk->device.blocks && fread(bytes, BLOCK_BYTES, 1, file) == 1; i++)
		hostdisk_poke(disk, i, bytes);
	fclose(file);
	return disk;
}

bool hostdisk_save(const struct hostdisk *disk, const char *path)
{
	FILE *file = fopen(path, "wb");
	uint32_t last = disk->device.blocks - 1;
	uint8_t bytes[BLOCK_BYTES];
	bool good = file;

	/* Holes for zeroes; the last block gives the length. */
	for (uint32_t i = 0; good && i <= last; i++) {
		if (!disk->pages[i] && i != last)
			continue;
		hostdisk_peek(disk, i, bytes);
		good = !fseek(file, (long)i * BLOCK_BYTES, SEEK_SET) && fwrite(bytes, BLOCK_BYTES, 1, file) == 1;
	}
	return file && !fclose(file) && good;
}

void hostdisk_peek(const struct hostdisk *disk, uint32_t block, void *bytes)
{
	if (disk->pages[block])
		memcpy(bytes, disk->pages[block]->bytes, BLOCK_BYTES);
	else
		memset(bytes, 0, BLOCK_BYTES);
}

void hostdisk_poke(struct hostdisk *disk, uint32_t block, const void *bytes)
{
	static const uint8_t zeroes[BLOCK_BYTES];

	set_page(disk, block, memcmp(bytes, zeroes, BLOCK_BYTES) ? page_of(bytes) : NULL);
}

bool hostdisk_stable(const struct hostdisk *logged, uint32_t number, uint32_t cut)
{
	if (logged->entries[number].fua)
		return true;
	for (uint32_t i = number + 1; i < cut; i++)
		if (logged->entries[i].what == HOSTDISK_FLUSH && logged->entries[i].covers > number)
			return true;
	return false;
}

struct hostdisk *hostdisk_state(const struct hostdisk *base, const struct hostdisk *logged, uint32_t cut,
    hostdisk_keep *keep, void *arg)
{
	struct hostdisk *disk = hostdisk_copy(base);
	uint32_t covered = 0;

	for (uint32_t i = 0; i < cut; i++)
		if (logged->entries[i].what == HOSTDISK_FLUSH && logged->entries[i].covers > covered)
			covered = logged->entries[i].covers;
	for (uint32_t i = 0; i < cut; i++) {
		const struct hostdisk_entry *entry = &logged->entries[i];
		unsigned front = 8;
		uint8_t bytes[BLOCK_BYTES];

		if (entry->what != HOSTDISK_WRITE)
			continue;
		if (i >= covered && !entry->fua)
			front = keep(arg, entry, i);
		if (front >= 8) {
			set_page(disk, entry->block, page_hold(entry->page));
		} else if (front) {
			hostdisk_peek(disk, entry->block, bytes);
			if (entry->page)
				memcpy(bytes, entry->page->bytes, front * HOSTDISK_SECTOR);
			else
				memset(bytes, 0, front * HOSTDISK_SECTOR);
			hostdisk_poke(disk, entry->block, bytes);
		}
	}
	return disk;
}
