/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The k-th frame is not to be had, for every k, while a disk is opened, read and written, and used through a cache: all
 * frames of the machine are taken but k. An error comes back, what was written is read again, and afterwards there are as
 * many frames as before. First while nothing was used before, so that all that is made once is made in want; then again.
 * At last a file system: what a sync has promised is there when there is memory again.
 *
 * Run with: --disk scratch:8M -m 12M
 */
#include <stdlib.h>
#include <string.h>
#include "libos/core/frame.h"
#include "libos/disk/disk.h"
#include "libos/fs/cache.h"
#include "libos/fs/cofs.h"
#include "test/guest/tap.h"

#define HOGS		8192
#define PAGES		24		/* of memory for requests */
#define BLOCKS		40		/* that the cache is asked for */
#define ALL		4		/* steps of an attempt */
#define K_MAX		400

static exo_cap_t hog[HOGS];
static uint32_t hogs;
static unsigned wrong, version;

static void take_all(void)
{
	int64_t taken = 1;

	frame_trim();
	while (hogs < HOGS && taken > 0) {
		uint32_t slot = caps_slot();

		taken = slot ? exo_frame_take(slot, EXO_PFN_ANY, 1) : 0;
		if (taken > 0)
			hog[hogs++] = (exo_cap_t)taken;
	}
}

/* And those that the program's own allocator has unused. */
static exo_pfn_t own[HOGS];
static uint32_t owns;

static void take_own(void)
{
	struct frame frame;

	take_all();
	while (owns < HOGS && frame_alloc(&frame))
		own[owns++] = frame.pfn;
}

static void leave_own(void)
{
	while (owns)
		frame_free(own[--owns]);
}

static void leave(uint32_t count)
{
	while (count-- && hogs)
		caps_delete(hog[--hogs]);
}

static uint64_t word(uint32_t block)
{
	return ((uint64_t)version << 32 | block) * 0x9e3779b97f4a7c15;
}

/* Write and read back by requests. */
static void use_device(struct block_device *device, uint64_t *memory)
{
	version++;
	for (uint32_t i = 0; i < PAGES; i++)
		memory[i * BLOCK_BYTES / 8] = word(i);
	wrong += block_write(device, 0, PAGES, memory, 0) != 0;
	for (uint32_t i = 0; i < PAGES; i++)
		memory[i * BLOCK_BYTES / 8] = 0;
	wrong += block_read(device, 0, PAGES, memory) != 0;
	for (uint32_t i = 0; i < PAGES; i++)
		wrong += memory[i * BLOCK_BYTES / 8] != word(i);
}

/* Some blocks by a cache, however small it turns out to be. */
static void use_cache(struct cache *cache)
{
	struct buffer *buffer;

	cache_ahead(cache, 0, BLOCKS);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		if (cache_get(cache, i, &buffer)) {
			wrong++;
			continue;
		}
		wrong += i < PAGES && version && *(uint64_t *)buffer->data != word(i);
		*(uint64_t *)buffer->data = word(i);
		cache_dirty(cache, buffer);
		cache_put(cache, buffer);
	}
	wrong += cache_write_all(cache) != 0;
}

/* How many of the steps went well; the others failed as they should. */
static unsigned attempt(void)
{
	struct block_device *device;
	int error = disk_extent_open(EXO_NAME_BLOCKS, &device);
	struct cache *cache;
	uint64_t *memory;
	unsigned steps = 1;

	wrong += error && error != -ENOMEM;
	if (error)
		return 0;
	memory = block_memory(device, PAGES);
	if (memory) {
		use_device(device, memory);
		steps++;
	}
	cache = cache_make(device, 64, &cache_lru);
	if (cache) {
		use_cache(cache);
		cache_end(cache);
		steps++;
	}
	if (memory)
		block_memory_free(device, memory, PAGES);
	device->ops->close(device);
	void *more = malloc(100);
	steps += more != NULL;
	free(more);
	return steps;
}

/* Frames that the program has something in. */
static uint32_t used(void)
{
	return frame_held() - frame_unused();
}

static void rise(const char *when, bool exact)
{
	uint32_t before, lost = 0, k = 0;
	unsigned steps = 0, met = 0;

	for (; k < K_MAX && steps < ALL; k++) {
		take_all();
		before = used();
		leave(k);
		steps = attempt();
		met += steps < ALL;
		lost += used() - before;
	}
	ok(steps == ALL && met > 0, "%s: with %u frames all goes well, %u times something was missing", when, (unsigned)k - 1, met);
	ok(!wrong, "%s: every error is that there is no memory, and all data is right", when);
	ok(exact ? !lost : lost < 40, "%s: %u frames more in use than before", when, (unsigned)lost);
}

/* --- files ---------------------------------------------------------------------------------------------- */

#define FILE_BYTES	(40 * 1024)
#define FILES_K_MAX	600
#define PLENTY		800

static uint32_t file_bytes[FILE_BYTES / 4];

static struct fs_time no_time(void)
{
	return (struct fs_time){ 0, 0 };
}

static bool is_error(int64_t result)
{
	wrong += result < 0 && result != -ENOMEM;
	return result < 0;
}

/* The file has this version, or is being given it: 1: it was, and that is stable; 0: something failed. */
static int write_version(struct block_device *device, uint32_t wanted)
{
	const struct fs_mount how = { .device = device, .cache_pages = 256, .options = "", .now = no_time };
	const struct fs_attributes made = { .kind = FS_FILE, .mode = 0644 };
	struct fs_node *root, *node = NULL;
	struct fs *fs;
	int64_t result = fs_cofs.mount(&fs, &root, &how);

	if (is_error(result))
		return 0;
	result = fs_cofs.lookup(root, "file", 4, &node);
	if (result == -ENOENT)
		result = fs_cofs.create(root, "file", 4, &made, NULL, &node);
	for (uint32_t i = 0; i < FILE_BYTES / 4; i++)
		file_bytes[i] = wanted;
	if (!is_error(result))
		result = fs_cofs.write(node, 0, file_bytes, FILE_BYTES);
	if (!is_error(result) && result != FILE_BYTES)
		result = -ENOMEM;
	if (result > 0)
		result = fs_cofs.sync(fs);
	is_error(result);
	if (node)
		fs_put(node);
	while (is_error(fs_cofs.unmount(fs)))	/* it stays mounted */
		leave(8);
	return result == 0;
}

/* The version that all of the file has; 0: it has several, or cannot be read. */
static uint32_t read_version(struct block_device *device)
{
	const struct fs_mount how = { .device = device, .cache_pages = 256, .options = "", .now = no_time };
	struct fs_node *root, *node;
	struct fs *fs;
	uint32_t first = 0;

	if (fs_cofs.mount(&fs, &root, &how))
		return 0;
	if (!fs_cofs.lookup(root, "file", 4, &node)) {
		if (fs_cofs.read(node, 0, file_bytes, FILE_BYTES) == FILE_BYTES)
			first = file_bytes[0];
		for (uint32_t i = 1; i < FILE_BYTES / 4; i++)
			first = file_bytes[i] == first ? first : 0;
		fs_put(node);
	}
	return fs_cofs.unmount(fs) ? 0 : first;
}

static void files(void)
{
	const uint8_t id[16] = { 7 };
	struct block_device *device;
	uint32_t now = 1, read, k = 0, met = 0, lost = 0;
	int good = 0;

	leave(PLENTY);
	if (!ok(!disk_extent_open(EXO_NAME_BLOCKS, &device) && !cofs_make(device, "kth", id, no_time) &&
	    write_version(device, now), "a file system, with enough memory"))
		return;
	for (; k < FILES_K_MAX && !good; k += k < 40 ? 1 : 5) {
		take_own();
		leave(k);
		good = write_version(device, now + 1);
		met += !good;
		leave_own();
		leave(PLENTY);
		read = read_version(device);
		lost += read != now + 1 && (good || read != now);
		now = read ? read : now;
	}
	ok(good && met > 0, "with %u frames all goes well, %u times something was missing", (unsigned)k, (unsigned)met);
	ok(!wrong, "files: every error is that there is no memory");
	ok(!lost, "files: what was synced is there, and what was not is old or new");
	device->ops->close(device);
}

int main(void)
{
	static volatile char touched[32768];

	memset(hog, 1, sizeof(hog));
	memset(own, 1, sizeof(own));
	for (unsigned i = 0; i < sizeof(touched); i += 4096)
		touched[i] = 1;
	printf("# begin\n");
	rise("first", false);
	rise("again", true);
	files();
	leave(hogs);
	return tap_done();
}
