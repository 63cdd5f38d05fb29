/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What cofs has of its own: what writes cost, clones, many names, huge files, a full disk, and every flipped byte. Random
 * operations, power cuts and faults are for test/unit/fs_exercise, fs_crash, fs_kth and fs_damage with --fs cofs.
 * Time limit: 400 s
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/fs/cofs_private.h"
#include "test/lib/hostdisk.h"
#include "test/unit/tap.h"

#define SUM_OF_ZEROES	0x209a5810d8d2e32cull

static const uint8_t id[16] = "cofs's own tests";
static struct fs *fs;
static struct fs_node *root;

static int mount(struct hostdisk *disk, bool read_only)
{
	struct fs_mount how = { .device = &disk->device, .read_only = read_only };

	return fs_cofs.mount(&fs, &root, &how);
}

static int unmount(void)
{
	fs_put(root);
	return fs_cofs.unmount(fs);
}

static bool check(struct hostdisk *disk)
{
	struct cofs_report report;
	int error = cofs_check(&disk->device, &report);

	for (uint32_t i = 0; i < report.faults && i < 8; i++)
		printf("# %s\n", report.fault[i]);
	return !error;
}

static struct hostdisk *made(uint32_t blocks)
{
	struct hostdisk *disk = hostdisk_make(blocks);

	if (cofs_make(&disk->device, "test", id, NULL) || mount(disk, false))
		exit(1);
	return disk;
}

static struct fs_node *create(struct fs_node *directory, const char *name, uint8_t kind)
{
	struct fs_attributes how = { .kind = kind, .mode = 0644 };
	struct fs_node *node;

	return fs_cofs.create(directory, name, strlen(name), &how, NULL, &node) ? NULL : node;
}

static int64_t fill(struct fs_node *node, uint64_t at, size_t bytes, unsigned value)
{
	uint8_t *memory = malloc(bytes);
	int64_t done;

	for (size_t i = 0; i < bytes; i++)
		memory[i] = (uint8_t)(i * 7 + i / 4096 + value);
	done = fs_cofs.write(node, at, memory, bytes);
	free(memory);
	return done;
}

static uint64_t turn(uint64_t h, unsigned bits)
{
	return h << bits | h >> (64 - bits);
}

static uint64_t finish(uint64_t h)
{
	h = (h ^ h >> 32) * 0xc2b2ae3d27d4eb4full;
	h = (h ^ h >> 29) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

/* As the format has it, word by word. */
static uint64_t sum_slowly(const uint8_t *memory, size_t bytes)
{
	const uint64_t odd = 0x9e3779b97f4a7c15ull;
	uint64_t lane[4] = { bytes, odd, 0xc2b2ae3d27d4eb4full, ~odd }, word;
	size_t i, count = bytes / 8;

	for (i = 0; i < count; i++) {
		memcpy(&word, memory + i * 8, 8);
		if (i >= count / 16 * 16)
			lane[0] = turn(lane[0] + word, 29) * odd;
		else if (i % 8 < 4)
			lane[i % 4] = turn(lane[i % 4] + word, 29);
		else
			lane[i % 4] = turn(lane[i % 4] + word, 31) * odd;
	}
	for (i = 1; i < 4; i++)
		lane[0] = finish(lane[0]) + lane[i];
	return finish(lane[0]);
}

/* All ways to the same sum, which disks that exist were written with. */
static void same_sums(void)
{
	uint8_t block[BLOCK_BYTES], copy[BLOCK_BYTES + 8];
	uint64_t state = 1;
	unsigned good = 0, lengths = 0, copies = 0;

	for (unsigned round = 0; round < 64; round++) {
		for (unsigned i = 0; i < sizeof(block); i++)
			block[i] = (uint8_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
		uint64_t want = sum_slowly(block, sizeof(block));

		good += cofs_sum(block, sizeof(block)) == want && cofs_sum_plain(block, sizeof(block)) == want;
		memset(copy, 0x55, sizeof(copy));
		copies += cofs_sum_copy(copy + round % 8, block) == want && !memcmp(copy + round % 8, block, sizeof(block));
		memset(copy, 0x55, sizeof(copy));
		copies += cofs_sum_copy_plain(copy + round % 8, block) == want &&
		    !memcmp(copy + round % 8, block, sizeof(block));
		for (size_t bytes = 0; bytes <= 512; bytes += 8)
			lengths += cofs_sum(block, bytes) == sum_slowly(block, bytes) &&
			    cofs_sum_plain(block, bytes) == sum_slowly(block, bytes);
	}
	is_int(good, 64, "the sums of pages are those of the format, with the processor's best instructions and without");
	is_int(copies, 128, "while they are copied, too, wherever to");
	is_int(lengths, 64 * 65, "and of any number of words");
	memset(block, 0, sizeof(block));
	ok(cofs_sum(block, sizeof(block)) == SUM_OF_ZEROES, "a page of zeroes has the sum that it always had");
	memset(copy, 0x55, sizeof(copy));
	block_copy(copy + 3, block);
	ok(copy[2] == 0x55 && copy[BLOCK_BYTES + 3] == 0x55 && !memcmp(copy + 3, block, sizeof(block)),
	    "a block is copied, and nothing beside it");
}

static void sums(void)
{
	uint8_t block[BLOCK_BYTES], copy[BLOCK_BYTES + 1];
	uint64_t sum;
	unsigned seen = 0;

	for (unsigned i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * i >> 3);
	sum = cofs_sum(block, sizeof(block));
	ok(cofs_sum_copy(copy + 1, block) == sum && !memcmp(copy + 1, block, sizeof(block)),
	    "a page that is copied on the way has the same sum, and is copied");
	for (unsigned i = 0; i < sizeof(block) * 8; i++) {
		block[i / 8] ^= (uint8_t)(1 << i % 8);
		seen += cofs_sum(block, sizeof(block)) != sum;
		block[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	is_int(seen, sizeof(block) * 8, "a flipped bit changes the sum");
	seen = 0;
	for (unsigned i = 0; i < 512; i++)
		for (unsigned j = 0; j < i; j++) {
			block[i * 8 + 7] ^= 0x80;
			block[j * 8 + 7] ^= 0x80;
			seen += cofs_sum(block, sizeof(block)) != sum;
			block[i * 8 + 7] ^= 0x80;
			block[j * 8 + 7] ^= 0x80;
		}
	is_int(seen, 512 * 511 / 2, "and so do any two uppermost bits of words");
}

static void costs(void)
{
	struct hostdisk *disk = made(4096);
	struct fs_node *node;
	uint64_t writes = disk->device.writes, flushes = disk->device.flushes;

	for (unsigned i = 0; i < 1000; i++) {
		node = create(root, "short-lived", FS_FILE);
		fill(node, 0, 4096, i);
		fs_put(node);
		fs_cofs.unlink(root, "short-lived", 11, false);
	}
	ok(disk->device.writes == writes && disk->device.flushes == flushes, "1000 short-lived files: nothing is written");
	fs_cofs.sync(fs);
	node = create(root, "log", FS_FILE);
	fs_cofs.sync(fs);
	fill(node, 0, 100, 1);
	writes = disk->device.writes;
	flushes = disk->device.flushes;
	fs_cofs.fsync(node, false);
	is_int((long long)(disk->device.writes - writes), 2, "fsync of a small file: its record, twice");
	is_int((long long)(disk->device.flushes - flushes), 1, "and one flush");
	fill(node, 0, 4096, 1);
	writes = disk->device.writes;
	fs_cofs.fsync(node, false);
	is_int((long long)(disk->device.writes - writes), 3, "of a page: and the page");
	writes = disk->device.writes;
	fs_cofs.fsync(node, false);
	is_int((long long)(disk->device.writes - writes), 0, "with nothing new: nothing");
	fs_put(node);
	is_int(unmount(), 0, "unmount");
	ok(check(disk), "the checker agrees");
	hostdisk_end(disk);
}

/* How often a page is read, and that what was read is right: streams of one file each, in turns of `step` bytes. */
static uint64_t streams(struct hostdisk *disk, unsigned count, uint32_t pages, size_t step, bool *right)
{
	struct fs_mount how = { .device = &disk->device, .read_only = true, .cache_pages = pages };
	struct fs_node *node[4];
	uint8_t *memory = malloc(step);
	uint64_t reads;
	size_t bytes = 1000 * BLOCK_BYTES;

	*right = !fs_cofs.mount(&fs, &root, &how);
	for (unsigned i = 0; *right && i < count; i++)
		*right = !fs_cofs.lookup(root, (char[]){ (char)('a' + i) }, 1, &node[i]);
	if (!*right)
		exit(1);
	reads = disk->device.reads;
	for (size_t at = 0; at < bytes; at += step)
		for (unsigned i = 0; i < count; i++) {
			size_t want = bytes - at < step ? bytes - at : step;

			*right &= fs_cofs.read(node[i], at, memory, step) == (int64_t)want;
			for (size_t j = 0; j < want; j += 509)
				*right &= memory[j] == (uint8_t)((at + j) * 7 + (at + j) / 4096 + i);
		}
	reads = disk->device.reads - reads;
	for (unsigned i = 0; i < count; i++)
		fs_put(node[i]);
	free(memory);
	*right &= !unmount();
	return reads;
}

static void ahead(void)
{
	static const size_t steps[] = { 4096, 10000, 65536, 1 << 20 };
	static uint8_t memory[65536];
	struct hostdisk *disk = made(16384);
	uint64_t most = 0, worst = 0, reads;
	bool right = true, now;
	struct fs_node *node;

	for (unsigned i = 0; i < 4; i++) {
		node = create(root, (char[]){ (char)('a' + i), 0 }, FS_FILE);
		fill(node, 0, 1000 * BLOCK_BYTES, i);
		fs_put(node);
	}
	unmount();
	for (unsigned i = 0; i < 4; i++) {
		for (uint32_t pages = 256; pages <= 4096; pages *= 4) {
			reads = streams(disk, 1, pages, steps[i], &now);
			right &= now;
			most = reads > most ? reads : most;
			reads = streams(disk, 4, pages, steps[i], &now);
			right &= now;
			worst = reads > worst ? reads : worst;
		}
	}
	ok(right, "what is read in a row, in steps of 4 KiB to 1 MiB, by one or four at a time, is right");
	printf("# at most %llu of 1000 pages read by one, %llu of 4000 by four\n", (unsigned long long)most, (unsigned long long)worst);
	ok(most < 1050, "one who reads in a row reads each page once");
	ok(worst < 6000, "and four do not drive out what they read ahead for long");
	mount(disk, true);
	fs_cofs.lookup(root, "a", 1, &node);
	fs_cofs.read(node, 0, memory, 1);
	reads = disk->operations;
	is_int(fs_cofs.read(node, 500 * BLOCK_BYTES + 100, memory, sizeof(memory)), sizeof(memory), "64 KiB from anywhere");
	ok(disk->operations - reads <= 4, "are few requests: %d", (int)(disk->operations - reads));
	fs_put(node);
	is_int(unmount(), 0, "unmount");
	hostdisk_end(disk);
}

static void clones(void)
{
	struct hostdisk *disk = made(16384);
	struct fs_node *from = create(root, "from", FS_FILE), *to = create(root, "to", FS_FILE);
	struct fs_space before, after;
	uint8_t page[4096];

	for (unsigned i = 0; i < 16; i++)
		fill(from, (uint64_t)i << 20, 1 << 20, i);
	fs_cofs.sync(fs);
	fs_cofs.space(fs, &before);
	is_int(fs_cofs.clone(from, to), 0, "a clone of 16 MiB");
	fs_cofs.sync(fs);
	fs_cofs.space(fs, &after);
	ok(before.blocks_free - after.blocks_free < 32, "takes %u blocks", (unsigned)(before.blocks_free - after.blocks_free));
	fill(to, 5000, 10000, 99);
	fs_cofs.read(from, 4096, page, sizeof(page));
	is_int(page[0], 1, "writing to it leaves the other");
	fs_put(from);
	fs_cofs.unlink(root, "from", 4, false);
	fs_cofs.sync(fs);
	fs_cofs.read(to, 8 << 20, page, sizeof(page));
	is_int(page[1], 7 + 8, "it stays when the other goes");
	fs_put(to);
	unmount();
	ok(check(disk), "the checker agrees");
	hostdisk_end(disk);
}

static void many(unsigned count)
{
	struct hostdisk *disk = made(32768);
	struct fs_entry entry;
	uint64_t cursor = 0;
	unsigned failed = 0, listed = 0;
	char name[20];

	for (unsigned i = 0; i < count; i++) {
		struct fs_node *node;

		snprintf(name, sizeof(name), "entry-%u", i);
		node = create(root, name, FS_FILE);
		failed += !node;
		if (node)
			fs_put(node);
	}
	is_int(failed, 0, "many names in a directory");
	is_int(unmount(), 0, "unmount");
	ok(check(disk), "the checker agrees");
	mount(disk, false);
	while (fs_cofs.readdir(root, &cursor, &entry) == 1) {
		listed++;
		failed += fs_cofs.unlink(root, entry.name, entry.bytes, false) != 0;
	}
	is_int(listed, count, "all are listed, while they are removed");
	is_int(failed, 0, "all are removed");
	unmount();
	ok(check(disk), "the checker agrees");
	hostdisk_end(disk);
}

static void huge(void)
{
	struct hostdisk *disk = made(4096);
	struct fs_node *node = create(root, "huge", FS_FILE);
	uint64_t end = (uint64_t)16 << 40;
	char word[8] = "";

	is_int(fs_cofs.write(node, end - 4, "last", 4), 4, "a write just below 16 TiB");
	is_int(fs_cofs.truncate(node, COFS_BYTES_MAX), 0, "the longest file");
	is_int(fs_cofs.write(node, COFS_BYTES_MAX, "x", 1), -EFBIG, "no longer one");
	fs_put(node);
	unmount();
	ok(check(disk), "the checker agrees");
	mount(disk, false);
	fs_cofs.lookup(root, "huge", 4, &node);
	fs_cofs.read(node, end - 8, word, 8);
	ok(!memcmp(word, "\0\0\0\0last", 8), "it is read, behind a hole");
	is_int(fs_cofs.truncate(node, 1), 0, "cut");
	fs_put(node);
	unmount();
	ok(check(disk), "the checker agrees");
	hostdisk_end(disk);
}

static void full(void)
{
	struct hostdisk *disk = made(1024);
	struct fs_space space;
	unsigned kept = 0, failed = 0;
	char name[20];

	for (unsigned round = 0; round < 3; round++) {
		for (kept = 0; kept < 100000; kept++) {
			struct fs_node *node;
			int64_t done;

			snprintf(name, sizeof(name), "f%u", kept);
			node = create(root, name, FS_FILE);
			if (!node)
				break;
			done = fill(node, 0, 1 + kept * 37 % 9000, kept);
			fs_put(node);
			if (done < 0)
				break;
		}
		ok(kept > 50, "a disk is full with %u files", kept);
		failed += fs_cofs.sync(fs) != 0;
		for (unsigned i = 0; i <= kept; i++) {
			snprintf(name, sizeof(name), "f%u", i);
			failed += fs_cofs.unlink(root, name, strlen(name), false) != 0 && i < kept;
		}
	}
	is_int(failed, 0, "it can be synced, and all of them removed");
	fs_cofs.sync(fs);
	fs_cofs.space(fs, &space);
	ok(space.blocks - space.blocks_free < 8, "all room is back");
	unmount();
	ok(check(disk), "the checker agrees");
	hostdisk_end(disk);
}

/* All that can be read of a directory; *error: something cannot. */
static uint64_t digest(struct fs_node *directory, int *error)
{
	static uint8_t memory[1 << 20];
	struct fs_entry entry;
	uint64_t sum = 1, cursor = 0;
	int more;

	while ((more = fs_cofs.readdir(directory, &cursor, &entry)) == 1) {
		struct fs_node *node;
		struct fs_attributes attributes;
		int64_t bytes = 0;
		int result = fs_cofs.lookup(directory, entry.name, entry.bytes, &node);

		if (result) {
			*error = result;
			return 0;
		}
		fs_cofs.attributes(node, &attributes);
		if (node->kind == FS_DIRECTORY)
			sum += digest(node, error);
		else
			bytes = fs_cofs.read(node, 0, memory, sizeof(memory));
		fs_put(node);
		if (bytes < 0 || (node->kind != FS_DIRECTORY && (uint64_t)bytes != attributes.bytes)) {
			*error = -EIO;
			return 0;
		}
		memset(memory + bytes, 0, 8);
		memset(entry.name + entry.bytes, 0, sizeof(entry.name) - entry.bytes);
		sum = sum * 31 + cofs_sum(memory, ((size_t)bytes + 7) & ~7ul) + cofs_sum(entry.name, sizeof(entry.name)) +
		    attributes.mode + attributes.links * 7 + (uint64_t)attributes.kind * 77;
	}
	if (more < 0)
		*error = more;
	return sum;
}

static uint64_t digest_of(struct hostdisk *disk, int *error)
{
	uint64_t sum;

	*error = mount(disk, true);
	if (*error)
		return 0;
	sum = digest(root, error);
	unmount();
	return sum;
}

/* A disk with something of everything; `log`: as a power cut leaves it, with records in the log. */
static struct hostdisk *sample(bool log)
{
	struct hostdisk *disk = made(512), *copy;
	struct fs_node *node, *other, *directory = create(root, "directory", FS_DIRECTORY);
	struct fs_attributes link = { .kind = FS_SYMLINK };

	node = create(directory, "large", FS_FILE);
	fill(node, 0, 30000, 3);
	other = create(root, "clone", FS_FILE);
	fs_cofs.clone(node, other);
	fs_put(other);
	fs_put(node);
	for (char name[2] = "a"; *name < 'm'; (*name)++) {
		node = create(directory, name, FS_FILE);
		fill(node, 0, (size_t)(*name - 'a') * 180, 5);
		fs_put(node);
	}
	fs_cofs.create(root, "link", 4, &link, "directory/large", &node);
	fs_put(node);
	fs_cofs.sync(fs);
	if (log) {
		node = create(root, "logged", FS_FILE);
		fill(node, 0, 300, 6);
		fs_cofs.fsync(node, false);
		fill(node, 0, 9000, 7);
		fs_cofs.fsync(node, false);
		fs_put(node);
		node = create(root, "last", FS_FILE);
		fs_cofs.fsync(node, false);
		fs_put(node);
	}
	fs_put(directory);
	copy = hostdisk_copy(disk);
	unmount();
	hostdisk_end(disk);
	return copy;
}

static void flips(bool log, unsigned step)
{
	struct hostdisk *disk = sample(log);
	unsigned tried = 0, errors = 0, wrong = 0;
	int error;
	uint64_t right = digest_of(disk, &error);

	is_int(error, 0, "a disk with something of everything");
	for (uint32_t block = 0; block < disk->device.blocks; block++) {
		uint8_t bytes[BLOCK_BYTES];

		if (!disk->pages[block])
			continue;
		hostdisk_peek(disk, block, bytes);
		for (unsigned i = (block * 5 + log) % step; i < BLOCK_BYTES; i += step, tried++) {
			struct hostdisk *damaged = hostdisk_copy(disk);
			uint64_t got;

			bytes[i] ^= (uint8_t)(1 + tried % 255);
			hostdisk_poke(damaged, block, bytes);
			bytes[i] ^= (uint8_t)(1 + tried % 255);
			got = digest_of(damaged, &error);
			errors += error != 0;
			if (!error && got != right && !wrong++)
				printf("# block %u, byte %u\n", block, i);
			hostdisk_end(damaged);
		}
	}
	is_int(wrong, 0, "a flipped byte never gives other data");
	ok(tried > 100 && errors > tried / 20, "%u flipped bytes, %u gave errors, the others do not matter", tried, errors);
	hostdisk_end(disk);
}

int main(void)
{
	const char *is_long = getenv("EXO_TEST_LONG");
	bool all = is_long && *is_long;

	same_sums();
	sums();
	ahead();
	costs();
	clones();
	many(all ? 100000 : 20000);
	huge();
	full();
	flips(false, all ? 1 : 67);
	flips(true, all ? 1 : 67);
	return done();
}
