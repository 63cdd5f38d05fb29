/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * swap: runs a program in an environment of its own, and another in its place when it is told to, while the
 * machine and all others go on.
 *
 *	swap IMAGE [ARGUMENTS]		IMAGE: a file of the boot archive, or extent:LABEL: of a disk
 *
 * Each line of the console's input names the image that runs from then on (an empty line: the same again,
 * read anew, so a program that was linked again and written to the extent). The next one gets the same
 * arguments, files and packet filters: those of swap itself, which it holds for its program. Packets that
 * come in between wait or are lost, as on any network; connections of the one that ends are gone. An image
 * that cannot be read or started is refused, and what runs runs on; what cannot be made is said, and swap
 * waits for a better one.
 *
 * Its configuration needs limit_envs (so that it gets the archive to hand on) and input = yes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "libos/fs/vfs.h"

#define GRANTS	48
#define LINE	256
#define CHUNK	64		/* blocks of one request */

extern char **environ;

struct image {
	void *bytes;
	size_t size;
	uint32_t pages;		/* of disk_memory(); 0: of malloc() */
};

static struct spawn spawn;
static struct spawn_grant grants[GRANTS];
static bool running;

/* --- images --------------------------------------------------------------------------------------------- */

static const char *read_extent(const char *label, struct image *image)
{
	struct block_device *device;
	int result = disk_extent_open(label, &device);

	if (result)
		return result == -ENOENT ? "there is no such extent" : strerror(-result);
	image->pages = device->blocks;
	image->size = (size_t)device->blocks * BLOCK_BYTES;
	image->bytes = disk_memory(image->pages);
	for (uint32_t at = 0; image->bytes && at < device->blocks && !result; at += CHUNK) {
		uint32_t count = device->blocks - at < CHUNK ? device->blocks - at : CHUNK;
		result = block_read(device, at, count, (char *)image->bytes + (size_t)at * BLOCK_BYTES);
	}
	device->ops->close(device);
	return !image->bytes ? "there is no memory for it" : result ? strerror(-result) : NULL;
}

static const char *read_file(const char *path, struct image *image)
{
	int file = open(path, O_RDONLY);
	struct stat info;

	if (file < 0 || fstat(file, &info) < 0)
		return "there is no such file";
	image->size = (size_t)info.st_size;
	image->bytes = malloc(image->size + 1);
	bool good = image->bytes && read(file, image->bytes, image->size) == (ssize_t)image->size;
	close(file);
	return good ? NULL : "it cannot be read";
}

static void image_drop(struct image *image)
{
	if (image->pages && image->bytes)
		disk_memory_free(image->bytes, image->pages);
	else
		free(image->bytes);
}

/* The whole program, and no more than that. NULL, or what is wrong with it. */
static const char *image_read(const char *name, struct image *image)
{
	struct elf_image elf;
	size_t own;

	*image = (struct image){ 0 };
	const char *why = strncmp(name, "extent:", 7) ? read_file(name, image) : read_extent(name + 7, image);
	enum elf_status status = why ? ELF_OK : elf_extent(image->bytes, image->size, &own);
	if (!why && status == ELF_OK) {
		image->size = own;
		status = elf_load(&elf, image->bytes, own, EXO_VA_IMAGE, EXO_VA_IMAGE + (1u << 30));
	}
	if (!why && status != ELF_OK)
		why = elf_text(status);
	if (why)
		image_drop(image);
	return why;
}

/* --- its program ---------------------------------------------------------------------------------------- */

/* What swap holds for its program: all that its creator gave it, but what is its own. */
static void collect(void)
{
	static const char *const own[] = { EXO_NAME_ENV, EXO_NAME_SPACE, EXO_NAME_ACCOUNT, EXO_NAME_INFO,
		"archive" };

	for (uint32_t i = 0; i < core_begin->slots && spawn.grants < GRANTS; i++) {
		const struct exo_start_slot *slot = &core_begin->slot[i];
		const struct exo_cap *cap = caps_at(exo_cap_slot(slot->cap));
		bool mine = !cap || cap->type == EXO_TYPE_BLOCKS || cap->type == EXO_TYPE_DISK;
		for (unsigned k = 0; k < sizeof(own) / sizeof(own[0]); k++)
			mine = mine || !strcmp(slot->name, own[k]);
		if (!mine)
			grants[spawn.grants++] = (struct spawn_grant){ slot->name, slot->cap,
				cap->rights & ~(uint64_t)EXO_RIGHT_CLAIM, 0,
				cap->type == EXO_TYPE_FRAME ? cap->count : 0 };
	}
}

static bool start(struct image *image)
{
	const struct exo_env_info *self = info_env((uint32_t)core_disp->self);

	spawn.image = image->bytes;
	spawn.image_bytes = image->size;
	spawn.name = "swapped";
	spawn.account = core_named(EXO_NAME_ACCOUNT);
	spawn.limit_frames = core_begin->frames ? core_begin->frames : core_info->frames_memory;
	spawn.cpu = self ? self->cpu : 0;
	spawn.randomize = true;
	spawn.grant = grants;
	spawn.envv = (const char *const *)environ;
	for (spawn.envc = 0; environ[spawn.envc]; spawn.envc++)
		;
	spawn.archive_cap = core_named("archive");
	spawn.archive_bytes = spawn.archive_cap ? core_begin->archive_bytes : 0;
	if (spawn_make(&spawn)) {
		printf("swap: %s\n", spawn.error);
		return false;
	}
	return spawn_start(&spawn) == 0;
}

static void end(void)
{
	if (running)
		spawn_destroy(&spawn);
	running = false;
}

/* Says when the program has ended by itself. */
static void watch(void *arg)
{
	(void)arg;
	for (;;) {
		const struct exo_env_info *info = running ? info_env((uint32_t)spawn.id) : NULL;
		if (info && info->id == spawn.id && info->state == EXO_ENV_ENDED) {
			if (info->cause < 32)
				report_fault(spawn.name, spawn.env, info, spawn.image, spawn.image_bytes,
				    spawn.base);
			printf("swap: the program has ended; write the name of an image\n");
			fflush(stdout);
			end();
		}
		thread_sleep(core_now() + CORE_SECOND / 5);
	}
}

int main(int argc, char **argv)
{
	struct image now = { 0 }, next;
	char line[LINE] = "", name[LINE];

	if (argc < 2 || !info_env(0)) {
		printf("usage: swap IMAGE [ARGUMENTS]\n");
		return 2;
	}
	snprintf(name, sizeof(name), "%s", argv[1]);
	argv[1] = argv[0];
	spawn.argc = (unsigned)argc - 1;
	spawn.argv = (const char *const *)argv + 1;
	collect();
	thread_create("watch", watch, NULL);
	do {
		line[strcspn(line, "\n")] = '\0';
		if (now.bytes && line[0])
			snprintf(name, sizeof(name), "%s", line);
		const char *why = image_read(name, &next);
		if (why) {
			printf("swap: %s: %s; what runs runs on\n", name, why);
		} else {
			end();
			image_drop(&now);
			now = next;
			running = start(&now);
			printf("swap: %s %s\n", name,
			    running ? "runs" : "does not run; write the name of another image");
		}
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin));
	while (running)
		thread_sleep(core_now() + CORE_SECOND);
	return 0;
}
