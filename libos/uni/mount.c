/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is mounted when the program first uses a path.
 *
 * "/" is the boot archive, or the directory of it that the environment variable EXO_FILES names. EXO_MOUNTS says what
 * else, one a line: PATH KIND SOURCE [OPTIONS], with blanks between. SOURCE is "extent:NAME", by the start record's name,
 * "share:NAME", a domain of a volume that another program serves, or "none". Of the OPTIONS, words parted by commas, "ro"
 * (not to be written), "cache=N" (pages), "policy=lru" or "2q", "write=asked" and "share=DOMAIN" (others may have it) are for
 * here, the others for the file system. What cannot be mounted ends the program with 125 and a line.
 *
 * What was written and no fsync asked for gets to the disk in the background: while anything is mounted that can be written
 * on a disk, a thread looks every AGE_NS, and has written what was there when it looked before. "write=asked": it leaves
 * this one alone.
 *
 * Kinds: a program has those that were linked (kinds.h).
 */
#include <stdlib.h>
#include <string.h>
#include "libos/core/frame.h"
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "libos/uni/file.h"
#include "libos/uni/kinds.h"

#define ROOT_VARIABLE	"EXO_FILES"
#define MOUNT_VARIABLE	"EXO_MOUNTS"
#define LINE_BYTES	1024
#define STATUS_MOUNT	125
#define LEND_SHARE	8	/* of the free frames, one in so many for caches that are sent from */
#define CHUNK_PAGES	64	/* in which a cache takes memory */
#define AGE_NS		(5 * CORE_SECOND)

#define WEAK		__attribute__((weak))
extern uint32_t net_reserve(uint32_t frames, void **base, exo_cap_t *cap, uint32_t *first) WEAK;

bool uni_mounted;

/* --- what the face needs of the machine ----------------------------------------------------------------- */

static struct thread_queue lock_waiters;

static void *lock_make(void)
{
	return calloc(1, sizeof(struct thread_mutex));
}

static void lock(void *mutex)
{
	thread_lock(mutex, EXO_NEVER);
}

static void unlock(void *mutex)
{
	thread_unlock(mutex);
}

static void wait(void)
{
	thread_wait(&lock_waiters, EXO_NEVER);
}

static void wake(void)
{
	thread_wake_all(&lock_waiters);
}

static struct fs_time now(void)
{
	uint64_t ns = core_wall();

	if (!ns)
		ns = core_now();
	return (struct fs_time){ (int64_t)(ns / CORE_SECOND), (uint32_t)(ns % CORE_SECOND) };
}

static const struct vfs_machine machine = {
	.lock_make = lock_make, .lock_end = free, .lock = lock, .unlock = unlock, .wait = wait, .wake = wake, .now = now,
};

/* --- mounting ------------------------------------------------------------------------------------------- */

static _Noreturn void die(const char *path, const char *what, const char *why)
{
	core_print("%s: mount %s: %s: %s\n", core_name(), path, what, why);
	core_exit(STATUS_MOUNT);
}

/* The word at *at, which moves behind it; NULL: there is none. */
static char *word(char **at, const char *ends)
{
	char *begin = *at + strspn(*at, ends);

	*at = begin + strcspn(begin, ends);
	if (**at)
		*(*at)++ = '\0';
	return *begin ? begin : NULL;
}

static const struct fs_ops *kind_of(const char *path, const char *name)
{
	for (unsigned i = 0; i < UNI_KINDS; i++)
		if (!strcmp(uni_kinds[i].name, name)) {
			if (!uni_kinds[i].ops)
				die(path, name, "this program is linked without it");
			return uni_kinds[i].ops;
		}
	die(path, name, "no such kind of file system: memory, ext2, cofs and common there are");
}

/* If the program has the network, caches lie where can be sent from; how many pages there are for that. */
static uint32_t lend_frames(void)
{
	static uint32_t frames;
	uint32_t first;
	exo_cap_t cap;
	void *base;

	if (frames || !net_reserve)
		return frames;
	frames = net_reserve(frame_left() / LEND_SHARE, &base, &cap, &first);
	if (frames)
		disk_memory_lend(base, cap, first, frames);
	return frames;
}

static const char *share_label;

static int take_share(struct block_device *device, bool read_only, struct volume **volume)
{
	(void)device, (void)read_only;
	return uni_volumes.take(share_label, volume);
}

static void open_source(const char *path, const char *source, struct fs_mount *how)
{
	uint32_t frames;
	int result;

	how->volume = uni_volumes.make;
	if (!source || !strcmp(source, "none"))
		return;
	if (!strncmp(source, "share:", 6) && uni_volumes.take) {
		share_label = source + 6;
		how->volume = take_share;
		return;
	}
	if (strncmp(source, "extent:", 7))
		die(path, source, "not \"extent:NAME\", \"share:NAME\" or \"none\"");
	if (!uni_disk_open)
		die(path, source, "this program is linked without disks");
	/* All of the cache shall lie there; a chunk is left for what the file system itself takes. */
	frames = lend_frames();
	if (frames > CHUNK_PAGES)
		how->cache_pages = (frames - 1) / CHUNK_PAGES * CHUNK_PAGES;
	result = uni_disk_open(source + 7, &how->device);
	if (result)
		die(path, source, result == -ENOENT ? "the program has no such extent" : strerror(-result));
}

/* Options that are for here are taken out; the others are left in `options`, at the front. */
static void take_options(char *options, struct fs_mount *how, bool *by_hand, char *domain[VOLUME_SHARES])
{
	unsigned domains = 0;
	char *rest = options, *to = options, *option;

	while (options && (option = word(&rest, ","))) {
		if (!strcmp(option, "ro")) {
			how->read_only = true;
		} else if (!strncmp(option, "cache=", 6) && option[6] && !option[6 + strspn(option + 6, "0123456789")]) {
			how->cache_pages = (uint32_t)strtoul(option + 6, NULL, 10);
		} else if (!strcmp(option, "write=asked")) {
			*by_hand = true;
		} else if (!strncmp(option, "share=", 6) && option[6] && domains < VOLUME_SHARES) {
			domain[domains++] = strdup(option + 6);
		} else if (!strcmp(option, "policy=lru")) {
			how->policy = &cache_lru;
		} else if (!strcmp(option, "policy=2q")) {
			how->policy = &cache_2q;
		} else {
			if (to != options)
				*to++ = ',';
			to = (char *)memmove(to, option, strlen(option)) + strlen(option);
		}
	}
	if (options)
		*to = '\0';
	how->options = options ? options : "";
}

static void write_in_background(void *arg)
{
	(void)arg;
	for (;;) {
		thread_sleep(core_now() + AGE_NS);
		vfs_age();
	}
}

static void mount_line(char *line)
{
	static bool background;
	bool by_hand = false;
	struct fs_mount how = { .now = now, .pages = disk_memory, .pages_free = disk_memory_free };
	char *path = word(&line, " \t"), *kind = path ? word(&line, " \t") : NULL, *source = kind ? word(&line, " \t") : NULL;
	char *domain[VOLUME_SHARES] = { NULL };
	const struct fs_ops *ops;
	int result;

	if (!path)
		return;
	if (!kind)
		die(path, MOUNT_VARIABLE, "no kind is given");
	ops = kind_of(path, kind);
	open_source(path, source, &how);
	take_options(word(&line, " \t"), &how, &by_hand, domain);
	result = vfs_mount(path, ops, &how);
	if (result)
		die(path, kind, result == -EINVAL ? "no file system of this kind is there, or an option is unknown" :
		    result == -FS_EDAMAGED ? "it is damaged" : strerror(-result));
	vfs_mounts->by_hand = by_hand;
	for (unsigned i = 0; i < VOLUME_SHARES && domain[i]; i++) {
		result = strcmp(ops->name, "common") ? -EINVAL : uni_volumes.offer(vfs_mounts->fs, domain[i]);
		if (result)
			die(path, domain[i], strerror(-result));
		free(domain[i]);
	}
	if (background || by_hand || !ops->unsaved || vfs_mounts->fs->read_only)
		return;
	background = thread_create("writer", write_in_background, NULL) != NULL;
	if (!background)
		die(path, kind, "no memory for a thread that writes in the background");
}

/* What was written is safe, whichever way the program ends by itself; and files without names are gone. */
static void last(void)
{
	int result;

	if (uni_maps_end)
		uni_maps_end();
	fd_close_all(&file_ops);
	vfs_chdir(&vfs_root);
	result = vfs_sync();
	if (result)
		core_print("%s: not everything that was written is on the disk: %s\n", core_name(), strerror(-result));
}

void uni_mount(void)
{
	const struct fs_mount root = { .now = now, .archive = (const void *)core_begin->archive,
		.archive_bytes = core_begin->archive_bytes, .archive_root = getenv(ROOT_VARIABLE) };
	const char *mounts = getenv(MOUNT_VARIABLE);
	char line[LINE_BYTES];
	int result;

	uni_mounted = true;
	vfs_machine = &machine;
	result = vfs_mount("/", &fs_tar, &root);
	if (result == -ENOMEM)
		die("/", "the boot archive", "there is no memory for its names");
	if (result || !mounts)
		return;
	while (*mounts) {
		size_t bytes = strcspn(mounts, "\n");

		if (bytes >= LINE_BYTES)
			die(MOUNT_VARIABLE, "a line", "too long");
		memcpy(line, mounts, bytes);
		line[bytes] = '\0';
		mount_line(line);
		mounts += bytes + (mounts[bytes] != '\0');
	}
	uni_last = last;
}
