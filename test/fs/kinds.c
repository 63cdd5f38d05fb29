/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file systems that are tested, and what is expected of them.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libos/fs/cofs.h"
#include "libos/fs/common.h"
#include "libos/fs/ext2.h"
#include "test/fs/real.h"
#include "test/fs/toy.h"
#include "test/fs/volume_host.h"

static void temporary(char path[200])
{
	const char *where = getenv("TMPDIR");

	snprintf(path, 200, "%s/exo-fs-%ld.img", where ? where : access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid());
}

extern char **environ;

/* A program's words are started with what it says in a pipe; the end to read, or NULL. No shell: it would cost as much. */
static FILE *start(const char *words, const char *path, pid_t *pid)
{
	char copy[300], *argv[24], *save = NULL, program[100];
	posix_spawn_file_actions_t files;
	unsigned argc = 0;
	int ends[2];
	bool good = !pipe(ends);

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok_r(copy, " ", &save); word && argc < 22; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc++] = (char *)path;
	argv[argc] = NULL;
	snprintf(program, sizeof(program), "/sbin/%s", argv[0]);
	if (!good)
		return NULL;
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, ends[1], 1);
	posix_spawn_file_actions_adddup2(&files, ends[1], 2);
	posix_spawn_file_actions_addclose(&files, ends[1]);
	good = !posix_spawn(pid, program, &files, NULL, argv, environ) || !posix_spawnp(pid, argv[0], &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	close(ends[1]);
	if (!good)
		close(ends[0]);
	return good ? fdopen(ends[0], "r") : NULL;
}

/* Run a program of e2fsprogs on the file; its status, and the end of what it says. */
static int tool(const char *words, const char *path, unsigned strict, char *why, size_t bytes)
{
	static const char *const worse[] = { "ultiply-claimed", "deleted/unused" };
	static char text[100000];
	size_t length;
	FILE *pipe;
	pid_t pid;
	int status;

	fflush(stdout);
	pipe = start(words, path, &pid);
	if (!pipe)
		return -1;
	length = fread(text, 1, sizeof(text) - 1, pipe);
	while (fgetc(pipe) != EOF)
		;
	text[length] = 0;
	fclose(pipe);
	while (waitpid(pid, &status, 0) < 0)
		;
	snprintf(why, bytes, "%.20s says %d: %.900s", words, WEXITSTATUS(status), text);
	/* What no order of writes that libos/fs/ext2.h speaks of can leave. */
	for (unsigned i = 0; i < strict; i++)
		if (strstr(text, worse[i])) {
			snprintf(why, bytes, "\"%s\" in what e2fsck says: %.900s", worse[i], text);
			return -1;
		}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Made by mke2fs, once for each size and kind. */
static int make_with(struct block_device *device, const char *words)
{
	static struct hostdisk *made[24];
	static const char *how[24];
	struct hostdisk *disk = (struct hostdisk *)device;
	unsigned i = 0;
	char path[200], why[1000];
	uint8_t block[BLOCK_BYTES];

	while (i < 23 && made[i] && (made[i]->device.blocks != device->blocks || strcmp(how[i], words)))
		i++;
	if (!made[i] || made[i]->device.blocks != device->blocks || strcmp(how[i], words)) {
		struct hostdisk *empty = hostdisk_make(device->blocks);

		temporary(path);
		if (made[i])
			hostdisk_end(made[i]);
		hostdisk_save(empty, path);
		hostdisk_end(empty);
		if (tool(words, path, 0, why, sizeof(why)))
			printf("# %s\n", why);
		made[i] = hostdisk_load(path);
		how[i] = words;
		unlink(path);
		if (!made[i])
			return -EIO;
	}
	for (uint32_t b = 0; b < device->blocks; b++)
		if (made[i]->pages[b] || disk->pages[b]) {
			hostdisk_peek(made[i], b, block);
			hostdisk_poke(disk, b, block);
		}
	return 0;
}

#define MKE2FS	"mke2fs -q -F -t ext2 -E lazy_itable_init=0 -N 1024 "

static int make_4k(struct block_device *device)
{
	return make_with(device, MKE2FS "-b 4096");
}

static int make_2k(struct block_device *device)
{
	return make_with(device, MKE2FS "-b 2048 -g 1024");
}

static int make_1k(struct block_device *device)
{
	return make_with(device, MKE2FS "-b 1024 -I 128");
}

/* Of the first revision. */
static int make_old(struct block_device *device)
{
	return make_with(device, MKE2FS "-b 1024 -r 0 -g 512");
}

static int judge_ext2(struct hostdisk *disk, char *why, size_t bytes)
{
	char path[200];
	int status;

	temporary(path);
	if (!hostdisk_save(disk, path))
		return -EIO;
	status = tool("e2fsck -fn", path, 0, why, bytes);
	unlink(path);
	return status;
}

/* The disk becomes what e2fsck makes of it. */
static int repair(struct hostdisk **disk, unsigned strict, char *why, size_t bytes)
{
	char path[200];
	int status = -1;

	temporary(path);
	if (hostdisk_save(*disk, path))
		status = tool("e2fsck -fy", path, strict, why, bytes);
	if (status == 0 || status == 1) {
		struct hostdisk *repaired = hostdisk_load(path);

		hostdisk_end(*disk);
		*disk = repaired;
		status = 0;
	}
	unlink(path);
	return status;
}

static int make_cofs(struct block_device *device)
{
	static const uint8_t id[16] = { 'e', 'x', 'o', 1 };

	return cofs_make(device, "test", id, NULL);
}

static int check_cofs(struct block_device *device, char *why, size_t bytes)
{
	struct cofs_report report;
	int error = cofs_check(device, &report);

	snprintf(why, bytes, "cofs_check says %d, %u faults: %s", error, report.faults, report.fault[0]);
	return error;
}

static int make_common(struct block_device *device)
{
	return common_make(device, "test", 12345, NULL);
}

#define EXT2(called, maker, holes, link) { .name = called, .ops = &ext2_plain, .options = "", .oracle = ORACLE_SYNCED, .blocks = 4096, \
	.blocks_least = 300, .fifo = true, .times = true, .far = holes, .link_max = link, .variant = link, .make = maker, .judge = judge_ext2, .repair = link ? repair_small : repair_ext2 }

static int repair_ext2(struct hostdisk **disk, char *why, size_t bytes)
{
	return repair(disk, 2, why, bytes);
}

/* Where a buffer holds several blocks, a name that was not synced may come before its inode: libos/fs/ext2_order.c. */
static int repair_small(struct hostdisk **disk, char *why, size_t bytes)
{
	return repair(disk, 1, why, bytes);
}

#define TOY(called, how, wrong) { .name = called, .ops = &fs_toy, .options = how, .oracle = ORACLE_PREFIX, .blocks = 1024, \
	.blocks_least = 512, .fifo = true, .renumbers = true, .toy = true, .planted = wrong, .atomic_bytes = 1u << 30 }

const struct kind kinds[] = {
	{ .name = "memory", .ops = &fs_memory, .options = "", .oracle = ORACLE_NONE, .fifo = true, .times = true, .far = true },
	{ .name = "cofs", .ops = &fs_cofs, .options = "", .oracle = ORACLE_PREFIX, .blocks = 4096, .blocks_least = 700,
		.fifo = true, .clone = true, .times = true, .far = true, .atomic_bytes = COFS_ATOMIC, .make = make_cofs,
		.check = check_cofs },
	{ .name = "common", .ops = &fs_common, .options = "", .oracle = ORACLE_SYNCED, .blocks = 4096, .blocks_least = 300,
		.fifo = true, .times = true, .link_max = 2047, .slow = true, .keeps_names = true, .stable_all = true,
		.make = make_common, .volume = volume_host },
	EXT2("ext2", make_4k, true, 0),
	EXT2("ext2-2k", make_2k, true, 2047),
	EXT2("ext2-1k", make_1k, true, 1023),
	EXT2("ext2-old", make_old, false, 1023),
	/* To try the rigs with. */
	TOY("toy", "", false),
	TOY("hasty", "hasty", true),
	TOY("lying", "lying", true),
};
__attribute__((constructor)) static void begin(void)
{
	toy_begin();
	ext2_plain_begin();
}

const unsigned kind_count = sizeof(kinds) / sizeof(kinds[0]);
