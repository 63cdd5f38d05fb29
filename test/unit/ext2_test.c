/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is ext2's own: limits, where blocks are put, what is written and flushed when, blocks that are given away. What
 * all file systems must do is tested by test/unit/fs_*, and reading and writing what the tools do by test/e2e/ext2.py.
 *
 * Time limit: 120 s
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libos/fs/ext2.h"
#include "test/lib/hostdisk.h"
#include "test/unit/tap.h"

static struct hostdisk *disk;
static struct fs *fs;
static struct fs_node *root;
static char path[100];
static uint8_t bytes[1 << 20];

static struct fs_time now(void)
{
	static int64_t seconds = 1700000000;

	return (struct fs_time){ .seconds = seconds++ };
}

/* Run one of the tools on `path`; its status. */
static int tool(const char *words)
{
	char command[300];

	snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin:/sbin %s %s >/dev/null 2>&1", words, path);
	fflush(stdout);
	return system(command);
}

static int mount_it(uint32_t pages)
{
	struct fs_mount how = { .device = &disk->device, .cache_pages = pages, .options = "", .now = now };

	return fs_ext2.mount(&fs, &root, &how);
}

/* A new file system of so many 4 KiB pages, mounted. */
static bool begin(const char *words, uint32_t pages, uint32_t cache_pages)
{
	char command[200];

	disk = hostdisk_make(pages);
	snprintf(command, sizeof(command), "mke2fs -q -F -t ext2 %s", words);
	if (!hostdisk_save(disk, path) || tool(command))
		return false;
	hostdisk_end(disk);
	disk = hostdisk_load(path);
	disk->lazy = true;
	return disk && mount_it(cache_pages) == 0;
}

static void end(const char *what)
{
	is_int(fs_ext2.unmount(fs), 0, "unmounts");
	hostdisk_save(disk, path);
	ok(tool("e2fsck -fn") == 0, "%s: e2fsck finds nothing", what);
	ok(!disk->unstable && !disk->memory_pages, "%s: nothing changed on the way, no memory lost", what);
	hostdisk_end(disk);
	unlink(path);
}

static int make(const char *name, uint8_t kind, struct fs_node **node)
{
	struct fs_attributes how = { .kind = kind, .mode = 0755 };

	return fs_ext2.create(root, name, strlen(name), &how, "target", node);
}

static struct fs_node *file(const char *name)
{
	struct fs_node *node = NULL;

	if (make(name, FS_FILE, &node) < 0 && fs_ext2.lookup(root, name, strlen(name), &node) < 0)
		exit(2);
	return node;
}

static void drop(const char *name)
{
	fs_ext2.unlink(root, name, strlen(name), false);
}

static uint64_t free_blocks(void)
{
	struct fs_space space;

	fs_ext2.space(fs, &space);
	return space.blocks_free;
}

static uint64_t free_files(void)
{
	struct fs_space space;

	fs_ext2.space(fs, &space);
	return space.files_free;
}

/* In how many pieces a file lies; its pointer blocks, between them, do not count. */
static unsigned pieces(struct fs_node *node)
{
	uint32_t block, count, expected = 0;
	unsigned n = 0;

	for (uint64_t at = 0; fs_ext2.map(node, at, &block, &count) == 0 && count; at += (uint64_t)count * BLOCK_BYTES) {
		n += block < expected || block > expected + 2;
		expected = block + count;
	}
	return n;
}

static void test_links(void)
{
	struct fs_node *node = file("f"), *directory;
	char name[20];
	int r = 0, made = 0;

	while (r == 0 && made < 40000) {
		snprintf(name, sizeof(name), "l%d", made);
		if (made % 1000 == 0 && make(name + 1, FS_DIRECTORY, &directory) < 0)
			break;
		r = fs_ext2.link(directory, name, strlen(name), node);
		made += r == 0;
		if (r || made % 1000 == 0)
			fs_put(directory);
	}
	is_int(r, -EMLINK, "a link too many");
	is_int(made, 31999, "32000 links");
	fs_put(node);
}

static void test_size(uint64_t most, const char *what)
{
	struct fs_attributes is;
	struct fs_node *node = file("far");

	is_int(fs_ext2.write(node, most - 3, "12345", 5), 3, what);
	is_int(fs_ext2.write(node, most, "1", 1), -EFBIG, "beyond the largest file");
	is_int(fs_ext2.truncate(node, most + 1), -EFBIG, "a size beyond it");
	is_int(fs_ext2.read(node, most - 3, bytes, 10), 3, "its end is read");
	ok(!memcmp(bytes, "123", 3), "and right");
	is_int(fs_ext2.write(node, 5ull << 30 < most ? 5ull << 30 : 77777, "x", 1), 1, "far away");
	fs_ext2.attributes(node, &is);
	ok(is.bytes == most && is.blocks < 200, "it takes %llu sectors", (unsigned long long)is.blocks);
	is_int(fs_ext2.truncate(node, 5), 0, "cut");
	fs_ext2.attributes(node, &is);
	is_int((long long)is.blocks, 0, "it takes none then");
	fs_put(node);
}

static void test_full(void)
{
	uint64_t blocks = free_blocks(), files = free_files();
	struct fs_attributes before, after;
	struct fs_node *node = file("full");
	struct fs_space space;
	int64_t n = 1;
	char name[20];
	int made = 0, r = 0;

	fs_ext2.attributes(root, &before);
	memset(bytes, 'x', sizeof(bytes));
	for (uint64_t at = 0; n > 0; at += (uint64_t)n)
		n = fs_ext2.write(node, at, bytes, sizeof(bytes));
	is_int(n, -ENOSPC, "the disk is full");
	ok(free_blocks() == 0, "no block is free");
	is_int(make("d", FS_DIRECTORY, &(struct fs_node *){ NULL }), -ENOSPC, "no directory then");
	is_int((long long)free_files(), (long long)files - 1, "and its inode is not lost");
	fs_put(node);
	drop("full");
	for (unsigned i = 0; i < 3; i++) {	/* what was freed is found again without a sync */
		node = file("again");
		is_int(fs_ext2.write(node, 0, bytes, sizeof(bytes)), sizeof(bytes), "room again");
		fs_put(node);
		drop("again");
	}
	while (r == 0) {
		struct fs_node *small;

		snprintf(name, sizeof(name), "i%d", made);
		r = make(name, FS_FILE, &small);
		if (r == 0) {
			fs_put(small);
			made++;
		}
	}
	is_int(r, -ENOSPC, "no inodes");
	is_int(made, (long long)files, "all of them were to be had");
	while (made--) {
		snprintf(name, sizeof(name), "i%d", made);
		drop(name);
	}
	fs_ext2.sync(fs);
	is_int((long long)free_files(), (long long)files, "all inodes are free again");
	fs_ext2.attributes(root, &after);
	fs_ext2.space(fs, &space);
	is_int((long long)(blocks - free_blocks()), (long long)((after.blocks - before.blocks) * 512 / space.block_bytes),
	    "all blocks are free again, but the root directory's");
}

static void test_places(void)
{
	struct fs_node *a = file("a"), *b = file("b");
	uint64_t before;

	for (unsigned at = 0; at < 16 << 20; at += 8192) {
		fs_ext2.write(a, at, bytes, 8192);
		fs_ext2.write(b, at, bytes, 8192);
	}
	ok(pieces(a) <= 80 && pieces(b) <= 80, "two files that grow in turn: %u and %u pieces of 16 MiB", pieces(a), pieces(b));
	fs_put(a);
	fs_put(b);
	drop("a");
	drop("b");
	fs_ext2.sync(fs);
	b = file("c");
	for (unsigned at = 0; at < 16 << 20; at += 4096)
		fs_ext2.write(b, at, bytes, 4096);
	ok(pieces(b) <= 4, "one file alone: %u pieces", pieces(b));
	fs_put(b);
	is_int(fs_ext2.unmount(fs), 0, "unmounts");
	is_int(mount_it(1024), 0, "mounts");
	b = file("c");
	before = disk->operations;
	disk->fail_what = 1u << BLOCK_READ;
	disk->operations = 0;
	for (uint64_t at = 0; fs_ext2.read(b, at, bytes, 65536) == 65536; at += 65536)
		;
	ok(disk->operations <= 4096 / 32 + 8, "16 MiB cold, from beginning to end: %llu requests",
	    (unsigned long long)disk->operations);
	disk->fail_what = 0;
	disk->operations = before;
	fs_put(b);
}

static void test_writes(void)
{
	struct fs_node *node = file("w");
	uint64_t operations;

	fs_ext2.write(node, 0, bytes, 100000);
	is_int(fs_ext2.fsync(node, false), 0, "fsync of a new file");
	operations = disk->operations;
	for (unsigned i = 0; i < 500; i++) {
		struct fs_node *short_lived = file("short");

		fs_ext2.write(short_lived, 0, bytes, 4096);
		fs_put(short_lived);
		drop("short");
	}
	is_int((long long)(disk->operations - operations), 0, "500 files that live shortly reach the disk not at all");
	fs_ext2.sync(fs);
	fs_ext2.write(node, 5000, bytes, 3000);
	operations = disk->operations;
	is_int(fs_ext2.fsync(node, true), 0, "fsync of data alone");
	is_int((long long)(disk->operations - operations), 2, "one write and one flush");
	fs_ext2.write(node, 100000, bytes, 5000);
	operations = disk->operations;
	is_int(fs_ext2.fsync(node, true), 0, "fsync of a file that has grown");
	ok(disk->operations - operations <= 8, "%llu requests", (unsigned long long)(disk->operations - operations));
	operations = disk->operations;
	is_int(fs_ext2.fsync(node, false), 0, "once more");
	is_int((long long)(disk->operations - operations), 1, "a flush only");
	fs_put(node);
}

static void test_orphan(void)
{
	uint64_t blocks = free_blocks(), files = free_files();
	struct fs_node *node = file("o");

	fs_ext2.write(node, 0, bytes, sizeof(bytes));
	fs_ext2.sync(fs);
	drop("o");
	is_int(fs_ext2.write(node, sizeof(bytes), "more", 4), 4, "written without a name");
	fs_ext2.sync(fs);
	is_int(fs_ext2.read(node, sizeof(bytes), bytes, 10), 4, "read without a name");
	is_int(fs_ext2.link(root, "o2", 2, node), -ENOENT, "it gets no new one");
	fs_put(node);
	is_int((long long)free_files(), (long long)files, "its inode counts as free");
	fs_ext2.sync(fs);
	ok(free_blocks() == blocks && free_files() == files, "and all of it is");
}

static void test_pages(void)
{
	struct fs_node *a = file("pa"), *b = file("pb");
	struct buffer *page;
	uint32_t block, count;

	memset(bytes, 'a', 8192);
	fs_ext2.write(a, 0, bytes, 8000);
	fs_ext2.sync(fs);
	is_int(fs_ext2.page(a, 4096, false, &page), 0, "a page");
	ok(page && page->data[0] == 'a' && page->data[4000] == 0, "is what was written, and zeroes");
	is_int(fs_ext2.map(a, 4096, &block, &count), 0, "where it lies");
	ok(block == page->block && count == 1, "is where its buffer says");
	is_int(fs_ext2.adopt(b, 4096, &page, 1), 1, "it becomes another file's");
	fs_ext2.page_put(b, page, false);
	is_int(fs_ext2.truncate(b, 6000), 0, "which gets a size");
	is_int(fs_ext2.read(b, 0, bytes, 8192), 6000, "and is read");
	ok(bytes[4095] == 0 && bytes[4096] == 'a', "with a hole and the page");
	is_int(fs_ext2.read(a, 4096, bytes, 8192), 3904, "the first one is still there");
	ok(bytes[0] == 'a' && bytes[3903] == 'a', "as it was");
	is_int(fs_ext2.page(b, 0, false, &page), 0, "a hole's page");
	ok(!page, "is none");
	is_int(fs_ext2.page(b, 0, true, &page), 0, "to write");
	ok(page && page->data[0] == 0 && page->data[4095] == 0, "it is zeroes");
	page->data[7] = 'b';
	fs_ext2.page_put(b, page, true);
	is_int(fs_ext2.page(b, 8192, false, &page), -EINVAL, "there is none behind the end");
	fs_put(a);
	fs_put(b);
	is_int(fs_ext2.unmount(fs), 0, "unmounts");
	is_int(mount_it(64), 0, "mounts");
	b = file("pb");
	is_int(fs_ext2.read(b, 0, bytes, 8192), 6000, "it is read again");
	ok(bytes[7] == 'b' && bytes[4096] == 'a' && bytes[5999] == 'a', "with what came into its pages");
	fs_put(b);
}

/* One or two files of 1000 pages, read in turns of `step` bytes from a cold cache: how many blocks the disk gave. */
static uint64_t read_in_turns(unsigned files, uint32_t cache_pages, size_t step, bool *right)
{
	struct fs_node *node[2];
	uint64_t reads;

	fs_ext2.unmount(fs);
	if (mount_it(cache_pages))
		exit(1);
	for (unsigned i = 0; i < files; i++)
		node[i] = file(i ? "row1" : "row0");
	reads = disk->device.reads;
	for (uint64_t at = 0; at < 4096000; at += step)
		for (unsigned i = 0; i < files; i++) {
			uint64_t want = 4096000 - at < step ? 4096000 - at : step;

			*right &= fs_ext2.read(node[i], at, bytes, step) == (int64_t)want;
			for (uint64_t j = 0; j < want; j += 509)
				*right &= bytes[j] == (uint8_t)((at + j) / 4096 * 3 + at + j + i);
		}
	reads = disk->device.reads - reads;
	for (unsigned i = 0; i < files; i++)
		fs_put(node[i]);
	return reads;
}

static void test_rows(void)
{
	static const size_t steps[] = { 4096, 10000, 65536, sizeof(bytes) };
	uint64_t one = 0, two = 0, reads, operations;
	struct fs_node *node;
	bool right = true;

	for (unsigned i = 0; i < 2; i++) {
		node = file(i ? "row1" : "row0");
		for (uint64_t at = 0; at < 4096000; at += sizeof(bytes)) {
			for (uint64_t j = 0; j < sizeof(bytes); j++)
				bytes[j] = (uint8_t)((at + j) / 4096 * 3 + at + j + i);
			fs_ext2.write(node, at, bytes, 4096000 - at < sizeof(bytes) ? 4096000 - at : sizeof(bytes));
		}
		fs_put(node);
	}
	for (unsigned i = 0; i < 4; i++)
		for (uint32_t pages = 256; pages <= 4096; pages *= 4) {
			reads = read_in_turns(1, pages, steps[i], &right);
			one = reads > one ? reads : one;
			reads = read_in_turns(2, pages, steps[i], &right);
			two = reads > two ? reads : two;
		}
	ok(right, "what is read in a row, in steps of 4 KiB to 1 MiB, one file or two in turns, is right");
	printf("# at most %llu blocks read for 1000 pages, %llu for 2000\n", (unsigned long long)one, (unsigned long long)two);
	ok(one < 1050, "who reads in a row reads each page once");
	ok(two < 3000, "and two do not drive out what they read ahead for long");
	fs_ext2.unmount(fs);
	if (mount_it(0))
		exit(1);
	node = file("row0");
	fs_ext2.read(node, 0, bytes, 1);
	operations = disk->operations;
	is_int(fs_ext2.read(node, 500 * 4096 + 100, bytes, 65536), 65536, "64 KiB from anywhere");
	ok(disk->operations - operations <= 4, "are few requests: %d", (int)(disk->operations - operations));
	fs_put(node);
}

/* The cache gets no more than 64 of the pages that it was to have. */
static void test_little_memory(void)
{
	struct fs_attributes how = { .kind = FS_FILE, .mode = 0644 };
	struct fs_node *directory, *node;
	unsigned wrong = 0;
	char name[20];

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "m%u", i % 120);
		if (fs_ext2.lookup(root, name, strlen(name), &directory) && make(name, FS_DIRECTORY, &directory)) {
			wrong++;
			continue;
		}
		snprintf(name, sizeof(name), "f%u", i);
		if (fs_ext2.create(directory, name, strlen(name), &how, NULL, &node)) {
			wrong++;
		} else {
			wrong += fs_ext2.write(node, i * 5000ull, bytes, 5000) != 5000;
			fs_put(node);
			if (i % 3 == 0)
				wrong += fs_ext2.unlink(directory, name, strlen(name), false) != 0;
		}
		fs_put(directory);
	}
	is_int(wrong, 0, "3000 files in 120 directories with a small cache");
	is_int(fs_ext2.sync(fs), 0, "which are made stable");
}

int main(void)
{
	snprintf(path, sizeof(path), "%s/exo-ext2-%ld.img", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid());
	if (system("PATH=$PATH:/usr/sbin:/sbin; mke2fs -V >/dev/null 2>&1") != 0) {
		puts("1..0 # SKIP there is no mke2fs");
		return 0;
	}
	ok(begin("-b 4096", 16384, 0), "mounts");
	test_links();
	test_places();
	test_writes();
	test_orphan();
	test_pages();
	test_rows();
	test_size((1ull << 41) - 4096 - 4096 * (((1ull << 29) - 1) / 1024 + ((1ull << 29) - 1) / 1024 / 1024 + 4), "2 TiB, nearly");
	end("4 KiB");
	ok(begin("-b 1024 -I 128", 1024, 64), "mounts");
	test_full();
	test_orphan();
	test_size((12 + 256 + 65536 + 16777216) * 1024ull, "16 GiB");
	end("1 KiB");
	ok(begin("-b 1024 -r 0", 2048, 64), "mounts");
	test_full();
	test_size(INT32_MAX, "2 GiB");
	end("revision 0");
	ok(begin("-b 2048 -N 64", 700, 0), "mounts");
	test_full();
	end("2 KiB");
	ok(begin("-b 4096 -N 8192 -g 2048", 16384, 4096), "mounts");
	disk->memory_fail_at = disk->allocations + 1;
	disk->fail_for_good = true;
	test_little_memory();
	disk->memory_fail_at = 0;
	end("little memory");
	return done();
}
