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

/* NULL: *why tells; a program may be linked without it. */
static const struct fs_ops *kind_of(const char *name, const char **why)
{
	for (unsigned i = 0; i < UNI_KINDS; i++)
		if (!strcmp(uni_kinds[i].name, name)) {
			*why = "this program is linked without it";
			return uni_kinds[i].ops;
		}
	*why = "no such kind of file system: memory, ext2, cofs and common there are";
	return NULL;
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

/* Has a mount some of these blocks already? */
static bool is_mounted(const struct block_device *device)
{
	const struct exo_cap *new = caps_at(exo_cap_slot(disk_blocks_of(device))), *old;

	for (const struct vfs_mount *mount = vfs_mounts; mount; mount = mount->next) {
		if (!mount->device || mount->device->ops != device->ops)
			continue;
		old = caps_at(exo_cap_slot(disk_blocks_of(mount->device)));
		if (new->first < old->first + old->count && old->first < new->first + new->count)
			return true;
	}
	return false;
}

static int open_extent(const char *name, struct fs_mount *how, const char **why)
{
	int result;

	if (!uni_disk_open) {
		*why = "this program is linked without disks";
		return -ENODEV;
	}
	result = uni_disk_open(name, &how->device);
	if (result == -ENOENT)
		*why = "the program has no such extent";
	if (result || !is_mounted(how->device))
		return result;
	how->device->ops->close(how->device);
	*why = "it is mounted already";
	return -EBUSY;
}

static int open_source(const char *source, struct fs_mount *how, const char **why)
{
	*why = NULL;
	how->volume = uni_volumes.make;
	how->source = source;
	if (!source || !strcmp(source, "none"))
		return 0;
	if (!strncmp(source, "share:", 6) && uni_volumes.take) {
		share_label = source + 6;
		how->volume = take_share;
		return 0;
	}
	if (!strncmp(source, "extent:", 7))
		return open_extent(source + 7, how, why);
	*why = "not \"extent:NAME\", \"share:NAME\" or \"none\"";
	return -ENOTBLK;
}

/* All of a cache shall lie where can be sent from; a chunk is left for what the file system itself takes. */
static void lend_cache(struct fs_mount *how)
{
	uint32_t frames = how->device && !how->cache_pages ? lend_frames() : 0;

	if (frames > CHUNK_PAGES)
		how->cache_pages = (frames - 1) / CHUNK_PAGES * CHUNK_PAGES;
}

/* Of a cache: no more than the machine has, so that what keeps order among them can be had. */
static uint32_t pages_of(const char *number)
{
	unsigned long pages = strtoul(number, NULL, 10);

	return pages < core_info->frames_memory ? (uint32_t)pages : core_info->frames_memory;
}

/* Options that are for here are taken out; the others are left in `options`, at the front. */
static void take_options(char *options, struct fs_mount *how, char *domain[VOLUME_SHARES])
{
	char *rest = options, *to = options, *option;
	unsigned domains = 0;

	while (options && (option = word(&rest, ","))) {
		if (!strcmp(option, "ro")) {
			how->read_only = true;
		} else if (!strncmp(option, "cache=", 6) && option[6] && !option[6 + strspn(option + 6, "0123456789")]) {
			how->cache_pages = pages_of(option + 6);
		} else if (!strcmp(option, "write=asked")) {
			how->by_hand = true;
		} else if (!strcmp(option, "policy=lru")) {
			how->policy = &cache_lru;
		} else if (!strcmp(option, "policy=2q")) {
			how->policy = &cache_2q;
		} else {
			if (domain && !strncmp(option, "share=", 6) && option[6] && domains < VOLUME_SHARES) /* for the file system, too */
				domain[domains++] = strndup(option + 6, strcspn(option + 6, ":"));
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

/* There is a thread that writes, if this may have to be written; false: no memory for it. */
static bool background(const struct fs_ops *ops, const struct fs_mount *how)
{
	static bool begun;
	bool wanted = !how->by_hand && ops->unsaved && !how->read_only;

	if (wanted && !begun)
		begun = thread_create("writer", write_in_background, NULL) != NULL;
	return begun || !wanted;
}

static int finish(const struct fs_ops *ops, const struct fs_mount *how, const struct vfs_place *at, const char *path,
		  const char **why)
{
	int result = !background(ops, how) ? -ENOMEM : at ? vfs_mount_on(at, ops, how) : vfs_mount(path, ops, how);

	*why = result == -EINVAL ? "no file system of this kind is there, or an option is unknown" :
	    result == -FS_EDAMAGED ? "it is damaged" : NULL;
	if (!result)
		uni_last = last;
	else if (how->device)
		how->device->ops->close(how->device);
	return result;
}

/* --- as the program runs ------------------------------------------------------------------------------------ */

static struct thread_mutex one_mounts;	/* so that the list of mounts says which extents are in use */

static int no_volume(struct block_device *device, bool read_only, struct volume **volume)
{
	(void)device, (void)read_only, (void)volume;
	return -ENOTBLK;
}

int uni_mount_on(const struct vfs_place *at, const struct uni_mount *what)
{
	struct fs_mount how = { .now = now, .pages = disk_memory, .pages_free = disk_memory_free, .device = what->device,
		.source = what->source, .read_only = what->read_only, .limits = what->limits, .volume = no_volume };
	const char *why;
	const struct fs_ops *ops = kind_of(what->kind, &why);
	int result = 0;

	thread_lock(&one_mounts, EXO_NEVER);
	if (!ops)
		result = -ENODEV;
	else if (!how.device)
		result = open_source(what->source, &how, &why);
	if (!result) {
		take_options(what->options, &how, NULL);
		result = finish(ops, &how, at, NULL, &why);
	} else if (what->device) {
		what->device->ops->close(what->device);
	}
	thread_unlock(&one_mounts);
	return result;
}

int uni_mount_end(const struct vfs_mount *which)
{
	uint32_t number = which->number;
	struct block_device *device;
	struct vfs_mount *mount;
	int result;

	thread_lock(&one_mounts, EXO_NEVER);
	for (mount = vfs_mounts; mount && mount->number != number; mount = mount->next)
		;
	device = mount ? mount->device : NULL;
	result = mount ? vfs_mount_end(mount) : -EINVAL;
	if (!result && device)
		device->ops->close(device);
	thread_unlock(&one_mounts);
	return result;
}

/* --- when it begins ----------------------------------------------------------------------------------------- */

static void mount_line(char *line)
{
	struct fs_mount how = { .now = now, .pages = disk_memory, .pages_free = disk_memory_free };
	char *path = word(&line, " \t"), *kind = path ? word(&line, " \t") : NULL, *source = kind ? word(&line, " \t") : NULL;
	char *domain[VOLUME_SHARES] = { NULL };
	const struct fs_ops *ops;
	const char *why;
	int result;

	if (!path)
		return;
	if (!kind)
		die(path, MOUNT_VARIABLE, "no kind is given");
	ops = kind_of(kind, &why);
	if (!ops)
		die(path, kind, why);
	result = open_source(source, &how, &why);
	if (result)
		die(path, source, why ? why : strerror(-result));
	take_options(word(&line, " \t"), &how, domain);
	lend_cache(&how);
	result = finish(ops, &how, NULL, path, &why);
	if (result)
		die(path, kind, why ? why : strerror(-result));
	for (unsigned i = 0; i < VOLUME_SHARES && domain[i]; i++) {
		result = strcmp(ops->name, "common") ? -EINVAL : uni_volumes.offer(vfs_mounts->fs, domain[i]);
		if (result)
			die(path, domain[i], strerror(-result));
		free(domain[i]);
	}
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
}
