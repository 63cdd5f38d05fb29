/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A workload of test/fs/workloads.c in the machine, on the file system in the extent "fs", against the model; and what is
 * there after a power cut. For test/e2e/fs_guest.py.
 *
 *	fs_work work KIND WORKLOAD [faults]	before and after each operation, its number goes into the extent "marks"
 *	fs_work check KIND EXTENT...		mount, hash the tree, write a file and make it stable, unmount
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libos/disk/disk.h"
#include "libos/disk/disk_volume.h"
#include "libos/fs/common.h"
#include "test/fs/judge.h"
#include "test/fs/workloads.h"

unsigned hostdisk_own;

const struct kind kinds[] = {
	{ .name = "ext2", .ops = &ext2_plain, .options = "", .blocks = 1, .fifo = true, .times = true },
	{ .name = "cofs", .ops = &fs_cofs, .options = "", .blocks = 1, .fifo = true, .clone = true, .times = true },
	{ .name = "common", .ops = &fs_common, .options = "", .blocks = 1, .fifo = true, .times = true, .link_max = 2047,
		.volume = disk_volume_make },
	{ .name = "ext2-1k", .ops = &ext2_plain, .options = "", .blocks = 1, .fifo = true, .times = true, .link_max = 1023 },
};
const unsigned kind_count = sizeof(kinds) / sizeof(kinds[0]);

static struct script script;

/* "At operation `step`", on the disk, in front of whatever comes next. */
static int mark(struct block_device *marks, uint32_t *block, uint32_t count, uint32_t step, uint32_t phase)
{
	memcpy(block, (uint32_t[]){ 0x6b72616d, step, phase }, 12);
	return block_write(marks, 1 + count % (marks->blocks - 1), 1, block, 0);
}

static int work(const struct kind *kind, const char *name, bool faults)
{
	struct real real = { .kind = kind, .faults = faults, .reads_fail = faults };
	struct block_device *device, *marks;
	struct model *model = model_make();
	uint32_t *block = disk_memory(1), count = 0, failed = 0;
	char why[1400] = "";
	int error = 0;

	for (unsigned i = 0; i < workload_count; i++)
		if (!strcmp(workloads[i].name, name))
			script_written(&script, workloads[i].text, kind);
	if (!strncmp(name, "random-", 7))
		script_random(&script, strtoull(name + 7, NULL, 0), kind);
	if (!script.count || !block || disk_extent_open("fs", &device) || disk_extent_open("marks", &marks))
		return 2;
	real.disk = (struct hostdisk *)device;
	error = real_mount(&real);
	if (error) {
		printf("mount: %d\n", error);
		return faults ? 0 : 1;
	}
	for (uint32_t i = 0; i < script.count; i++) {
		int64_t result = 0;

		mark(marks, block, count++, i, 0);
		error = both_do(&real, model, &script.ops[i], why, sizeof(why), &result);
		if (error && faults && (result == -EIO || result == -EROFS)) {
			printf("operation %u: %d\n", (unsigned)i, (int)result);
			failed++;
			break;
		}
		if (error) {
			printf("wrong: operation %u: %s\n", (unsigned)i, why);
			return 1;
		}
		mark(marks, block, count++, i, 1);
	}
	block_flush(marks);	/* the emulator's log counts what a flush has covered */
	if (!failed && both_compare(&real, model, why, sizeof(why))) {
		printf("wrong: %s\n", why);
		return faults ? 0 : 1;
	}
	error = real_unmount(&real);
	printf("unmount: %d\n%u operations, %u failed\n", error, (unsigned)script.count, (unsigned)failed);
	return error && !faults;
}

static int check(const struct kind *kind, const char *extent)
{
	static const struct op after[] = { { .kind = OP_CREATE, .a = "/after-the-boot", .n = { 0600 } },
		{ .kind = OP_WRITE, .a = "/after-the-boot", .n = { 0, 9000, 5 } }, { .kind = OP_FSYNC, .a = "/after-the-boot" } };
	struct real real = { .kind = kind };
	struct block_device *device;
	struct answer answer = { 0 };
	uint64_t hash;
	char why[1400];
	int error = disk_extent_open(extent, &device);

	if (error)
		return 2;
	real.disk = (struct hostdisk *)device;
	error = real_mount(&real);
	if (error) {
		printf("%s wrong: mount: %d\n", extent, error);
		return 1;
	}
	if (real_hash(&real, &hash, why)) {
		printf("%s wrong: %s\n", extent, why);
		return 1;
	}
	for (unsigned i = 0; i < 3; i++)
		if (real_do(&real, &after[i], &answer) < 0) {
			printf("%s wrong: nothing can be written\n", extent);
			return 1;
		}
	error = real_unmount(&real);
	printf("%s %08x%08x %d\n", extent, (unsigned)(hash >> 32), (unsigned)hash, error);
	return error != 0;
}

int main(int argc, char **argv)
{
	const struct kind *kind = argc > 3 ? kind_named(argv[2]) : NULL;
	int error = 0;

	ext2_plain_begin();
	if (!kind)
		return 2;
	if (!strcmp(argv[1], "work"))
		return work(kind, argv[3], argc > 4);
	for (int i = 3; i < argc; i++)
		error |= check(kind, argv[i]);
	return error;
}
