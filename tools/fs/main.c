/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exo-fs: file systems in images, by the code that mounts them in the machine. `exo disk` calls it.
 *
 *	exo-fs make KIND IMAGE LABEL FOLDER	an empty file system on all of IMAGE, with the files of FOLDER; KIND cofs or common
 *	exo-fs check KIND IMAGE			exit status 1 if something is wrong
 *	exo-fs extract KIND IMAGE FOLDER	its files into FOLDER; KIND cofs, common or ext2
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "libos/fs/cofs.h"
#include "libos/fs/common.h"
#include "libos/fs/volume_plain.h"
#include "tools/fs/fs.h"

int complain(const char *thing, const char *reason)
{
	fprintf(stderr, "exo-fs: %s: %s\n", thing, reason);
	return -1;
}

static struct fs_time now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct fs_time){ t.tv_sec, (uint32_t)t.tv_nsec };
}

static const struct fs_ops *kind_of(const char *name)
{
	return !strcmp(name, "cofs") ? &fs_cofs : !strcmp(name, "common") ? &fs_common : !strcmp(name, "ext2") ? &fs_ext2 : NULL;
}

static const char *reason_of(int error)
{
	return error == -EINVAL ? "there is no such file system on it" : error == -FS_EDAMAGED ? "is damaged" : strerror(-error);
}

/* Mount, copy, unmount. */
static int with_tree(struct block_device *device, const struct fs_ops *ops, const char *image, const char *folder, bool put)
{
	struct fs_mount how = { .device = device, .policy = &cache_2q, .read_only = !put, .options = "", .now = now,
		.volume = volume_plain };
	struct fs_node *root;
	struct fs *fs;
	int error = ops->mount(&fs, &root, &how);

	if (error)
		return complain(image, reason_of(error));
	int result = put ? tree_put(folder, fs, root) : tree_take(fs, root, folder);
	error = ops->unmount(fs);
	return error ? complain(image, reason_of(error)) : result;
}

static int make(struct block_device *device, const struct fs_ops *ops, const char *image, const char *label,
    const char *folder)
{
	uint32_t seed;
	uint8_t id[16];
	int random = open("/dev/urandom", O_RDONLY), error;

	if (random < 0 || read(random, id, sizeof(id)) != sizeof(id))
		return complain("/dev/urandom", "cannot be read");
	close(random);
	memcpy(&seed, id, sizeof(seed));
	error = ops == &fs_cofs ? cofs_make(device, label, id, now) : common_make(device, label, seed, now);
	if (error)
		return complain(image, error == -EINVAL ? "is too small, or the label is none" : strerror(-error));
	return with_tree(device, ops, image, folder, true);
}

static int check_common(struct block_device *device, const char *image)
{
	struct fs_mount how = { .device = device, .policy = &cache_2q, .read_only = true, .options = "", .now = now,
		.volume = volume_plain };
	struct common_report report;
	struct fs_space space;
	struct fs_node *root;
	struct fs *fs;
	int error = fs_common.mount(&fs, &root, &how);

	if (error)
		return complain(image, reason_of(error));
	report = *common_report(fs);
	fs_common.space(fs, &space);
	fs_put(root);
	(void)fs_common.unmount(fs);
	printf("%u files, %u directories, %lu blocks free, %u faults\n", report.nodes - report.directories, report.directories,
	       (unsigned long)space.blocks_free, report.faults);
	return report.faults ? -1 : 0;
}

static int check(struct block_device *device, const char *image)
{
	struct cofs_report report;
	int result = cofs_check(device, &report);

	if (result < 0)
		return complain(image, reason_of(result));
	for (unsigned i = 0; i < report.faults && i < 8; i++)
		complain(image, report.fault[i]);
	printf("%lu files, %lu directories, %lu blocks free, %u faults\n", (unsigned long)report.files,
	       (unsigned long)report.directories, (unsigned long)report.free_blocks, report.faults);
	return result ? -1 : 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: exo-fs make cofs|common IMAGE LABEL FOLDER | check cofs|common IMAGE | extract cofs|common|ext2 IMAGE FOLDER\n");
	return 2;
}

int main(int argc, char **argv)
{
	const struct fs_ops *ops = argc > 3 ? kind_of(argv[2]) : NULL;
	bool making = argc == 6 && !strcmp(argv[1], "make"), checking = argc == 4 && !strcmp(argv[1], "check"),
	     extracting = argc == 5 && !strcmp(argv[1], "extract");

	if (!ops || (!extracting && ops == &fs_ext2) || !(making || checking || extracting))
		return usage();
	struct block_device *device = image_open(argv[3], !making);
	if (!device) {
		complain(argv[3], strerror(errno));
		return 1;
	}
	int result = making ? make(device, ops, argv[3], argv[4], argv[5]) :
		checking ? (ops == &fs_cofs ? check : check_common)(device, argv[3]) :
		with_tree(device, ops, argv[3], argv[4], false);
	int error = image_close(device);
	if (error)
		result = complain(argv[3], strerror(-error));
	return result ? 1 : 0;
}
