/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disk layout: where do inodes and data of small files lie, and what does it cost to read them?
 *
 * A layout says at which block each part of a file lies; requests go to a real disk by this program's own
 * ring. The reader wants blocks in the order of directories and files, and asks for as many in one request
 * as lie one behind the other, up to 16. Real file systems (libos/fs) read by their own lights, with a cold
 * cache. Three things are done:
 *
 *   copy     read all files, directory by directory
 *   list     read all inodes, as `ls -lR` does
 *   random   read 200 files, anyhow
 *
 * What the requests cost is reckoned for a disk with arms, by the model and the figures that Ruemmler and
 * Wilkes have published for the HP 97560 (IEEE Computer, March 1994): 1,962 cylinders, 19 heads, 72 sectors
 * of 512 bytes a track, 4,002 turns a minute; a seek over d cylinders takes 3.24 + 0.400 sqrt(d) ms up to
 * 383 cylinders, else 8.00 + 0.008 d ms; then half a turn on average, unless the request begins where the
 * last one ended. Beside it stands what the program itself spent, in instructions.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/core/spawn.h"
#include "libos/disk/disk.h"
#include "libos/fs/cofs.h"
#include "libos/fs/ext2.h"
#include "libos/fs/vfs.h"
#include "layout.h"

#define LAB_TYPE struct layout
#include "lab.h"

#define DIRS		LAYOUT_DIRS
#define FILES		LAYOUT_FILES
#define RANDOM		200
#define REQUEST_MAX	16
#define FULL_TURN	(60e3 / 4002)			/* ms */
#define CYLINDER	(19 * 72 / 8)			/* blocks of 4 KiB */
#define TRANSFER	(FULL_TURN / (72 / 8))		/* of a block */

static struct block_device *disk;
static void *memory;

static uint32_t parts(uint32_t dir, uint32_t file)
{
	return 2 + (dir + file) % (LAYOUT_PARTS - 1);
}

/* --- what requests cost --------------------------------------------------------------------------------- */

static uint32_t requests, next_block;
static double cost_ms;

static void account(uint32_t block, uint32_t count)
{
	double far = fabs((double)(block / CYLINDER) - (double)(next_block / CYLINDER));

	requests++;
	if (far > 0)
		cost_ms += far <= 383 ? 3.24 + 0.400 * sqrt(far) : 8.00 + 0.008 * far;
	if (block != next_block)
		cost_ms += FULL_TURN / 2;
	cost_ms += count * TRANSFER;
	next_block = block + count;
}

static struct block_device_ops traced;
static void (*submit)(struct block_device *, struct block_request *);

static void traced_submit(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_READ)
		account(request->block, request->count);
	submit(device, request);
}

static bool open_disk(const char *extent)
{
	if (disk_extent_open(extent, &disk))
		return false;
	disk_patience(disk, EXO_NEVER);		/* the clock counts instructions: it does not wait for the host's disk */
	traced = *disk->ops;
	submit = traced.submit;
	traced.submit = traced_submit;
	disk->ops = &traced;
	return true;
}

/* --- layouts -------------------------------------------------------------------------------------------- */

static uint32_t colocated(uint32_t dir, uint32_t file, uint32_t part, uint32_t blocks)
{
	/* As C-FFS: inodes with their directory, its files' data behind it, in its own part of the disk. */
	uint32_t group = dir * (blocks / DIRS), data = group + FILES / LAYOUT_INODES + 1;

	return part ? data + file * (LAYOUT_PARTS - 1) + part - 1 : group + file / LAYOUT_INODES;
}

static uint32_t tables(uint32_t dir, uint32_t file, uint32_t part, uint32_t blocks)
{
	/* As file systems before FFS: all inodes at the beginning, data behind them, in order of birth. */
	uint32_t born = file * DIRS + dir, table = DIRS * FILES / LAYOUT_INODES;

	(void)blocks;
	return part ? table + born * (LAYOUT_PARTS - 1) + part - 1 : born / LAYOUT_INODES;
}

static uint32_t scattered(uint32_t dir, uint32_t file, uint32_t part, uint32_t blocks)
{
	/* As on a disk that has been full: where there was room. (An odd factor gives no number twice.) */
	uint32_t wish = (dir * FILES + file) * LAYOUT_PARTS + part, all = 1;

	while (all * 2 <= blocks)
		all *= 2;
	return wish * 2654435761u & (all - 1);
}

const struct layout layout_colocated = { "colocated", colocated, NULL },
	layout_tables = { "tables", tables, NULL }, layout_scattered = { "scattered", scattered, NULL },
	layout_cofs = { "cofs", NULL, &fs_cofs }, layout_ext2 = { "ext2", NULL, &fs_ext2 };

/* --- reading by a layout -------------------------------------------------------------------------------- */

static uint32_t run_at, run_count, table_block;

static bool run_end(void)
{
	bool good = !run_count || !block_read(disk, run_at, run_count, memory);

	run_count = 0;
	return good;
}

static bool want(uint32_t block)
{
	if (run_count && block == run_at + run_count && run_count < REQUEST_MAX) {
		run_count++;
		return true;
	}
	bool good = run_end();
	run_at = block;
	run_count = 1;
	return good;
}

static bool layout_file(const struct layout *layout, uint32_t dir, uint32_t file, bool data)
{
	bool good = true;

	for (uint32_t part = 0; part < (data ? parts(dir, file) : 1) && good; part++) {
		uint32_t block = layout->place(dir, file, part, disk->blocks);
		if (part == 0 && block == table_block)
			continue;	/* it was read for the file before */
		if (part == 0)
			table_block = block;
		good = want(block);
	}
	return good;
}

/* What a layout says, believed only if it can be: false: it was said what is wrong. */
static bool layout_check(const struct lab_choice *choice)
{
	uint8_t *users = calloc(disk->blocks, 1);
	bool good = users != NULL;

	for (uint32_t i = 0; good && i < DIRS * FILES * LAYOUT_PARTS; i++) {
		uint32_t part = i % LAYOUT_PARTS, file = i / LAYOUT_PARTS % FILES;
		uint32_t dir = i / LAYOUT_PARTS / FILES;
		uint32_t block = choice->policy->place(dir, file, part, disk->blocks);
		if (block >= disk->blocks)
			lab_wrong(choice->name, "place(%u, %u, %u) is block %u of %u; it is left out", dir, file,
			    part, block, disk->blocks);
		else if ((part && users[block]) || users[block] > LAYOUT_INODES - 1)
			lab_wrong(choice->name, "place(%u, %u, %u) is block %u, which is taken or has %d inodes; "
			    "it is left out", dir, file, part, block, LAYOUT_INODES);
		good = block < disk->blocks && !(part && users[block]) && users[block] < LAYOUT_INODES;
		if (good)
			users[block] += part ? 128 : 1;
	}
	free(users);
	return good;
}

/* --- reading by a file system --------------------------------------------------------------------------- */

static const char *path_of(uint32_t dir, uint32_t file)
{
	static char path[64];

	snprintf(path, sizeof(path), file < FILES ? "/lab/dir%u/file%u" : "/lab/dir%u", dir, file);
	return path;
}

static struct fs_time now(void)
{
	return (struct fs_time){ 0 };
}

static bool fs_mount(const struct layout *layout)
{
	struct fs_mount how = { .device = disk, .options = "", .now = now };

	return !vfs_mount("/lab", layout->fs, &how);
}

static bool fs_fill(void)
{
	static char bytes[LAYOUT_PARTS * BLOCK_BYTES];
	struct fs_attributes how = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct vfs_file *open;
	bool good = true;

	for (uint32_t i = 0; i < DIRS * FILES && good; i++) {
		uint32_t dir = i % DIRS, file = i / DIRS, size = (parts(dir, file) - 1) * BLOCK_BYTES;
		good = (file || !vfs_make(NULL, path_of(dir, FILES), &how, NULL)) &&
		    !vfs_open(NULL, path_of(dir, file), VFS_WRITE | VFS_CREATE, 0644, &open);
		good = good && vfs_write(open, bytes, size) == size;
		if (good)
			vfs_file_put(open);
	}
	return good;
}

static bool fs_file(uint32_t dir, uint32_t file, bool data)
{
	static char bytes[LAYOUT_PARTS * BLOCK_BYTES];
	struct fs_attributes attributes;
	struct vfs_file *open;
	uint32_t mount;

	if (!data)
		return !vfs_stat(NULL, path_of(dir, file), true, &attributes, &mount);
	if (vfs_open(NULL, path_of(dir, file), VFS_READ, 0, &open))
		return false;
	bool good = vfs_read(open, bytes, sizeof(bytes)) > 0;
	vfs_file_put(open);
	return good;
}

/* --- running -------------------------------------------------------------------------------------------- */

static const char *const deed[] = { "copy", "list", "random" };

static bool run(const struct layout *layout, unsigned how)
{
	uint32_t seed = 12345, count = how == 2 ? RANDOM : DIRS * FILES;
	bool good = !layout->fs || fs_mount(layout);

	requests = next_block = 0;
	cost_ms = 0;
	table_block = UINT32_MAX;
	for (uint32_t i = 0; i < count && good; i++) {
		seed = seed * 1664525 + 1013904223;
		uint32_t which = how == 2 ? (seed >> 8) % (DIRS * FILES) : i;
		good = layout->fs ? fs_file(which / FILES, which % FILES, how != 1)
				  : layout_file(layout, which / FILES, which % FILES, how != 1);
	}
	good = good && run_end();
	return good && !(layout->fs && vfs_unmount("/lab"));
}

static bool measure(const struct lab_choice *choice)
{
	const struct layout *layout = choice->policy;
	bool good = open_disk(layout->fs == &fs_ext2 ? "ext2" : "lab");

	if (good && !layout->fs && !layout_check(choice))
		good = false;
	else if (good && layout->fs)
		good = (layout->fs != &fs_cofs || !cofs_make(disk, NULL, (const uint8_t[16]){ 1 }, NULL)) &&
		    fs_mount(layout) && fs_fill() && !vfs_unmount("/lab");
	for (unsigned how = 0; how < 3 && good; how++) {
		uint64_t began = info_cpu_ns();
		good = run(layout, how);
		lab_row("million instructions of the program,%s,%s,%.2f", deed[how], choice->name,
		    (double)(info_cpu_ns() - began) / 1e6);
		lab_row("requests,%s,%s,%u", deed[how], choice->name, requests);
		lab_row("seconds of the modelled disk,%s,%s,%.2f", deed[how], choice->name, cost_ms / 1e3);
	}
	if (disk)
		disk->ops->close(disk);
	return good;
}

int main(void)
{
	bool good = true;

	if (!access("/", F_OK))		/* the libOS has a root when it is asked for files */
		memory = disk_memory(REQUEST_MAX);
	lab_columns("measure,deed,layout,value");
	for (unsigned c = 0; c < LAB_CHOICES && memory; c++)
		if (!measure(&lab_choice[c])) {
			printf("disk: layout %s could not be measured\n", lab_choice[c].name);
			good = false;
		}
	return !good;
}
