/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices: which function opens a character node, by its number, and their names below /dev.
 *
 * /dev is a file system in memory, mounted at start, unless something is mounted there already; so its nodes
 * have modes, owners and times like any other. Here are those that are nothing but functions: null, zero,
 * full, random, urandom, and the process's own descriptors (stdin, stdout, stderr, fd/N), an open of which
 * gives the description that it has.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/files.h"

#define DEVICES		192
#define OWN_FDS		64	/* names in /dev/fd */
#define NULL_DEVICE	KEEP_DEVICE(1, 3)
#define ZERO_DEVICE	KEEP_DEVICE(1, 5)
#define FULL_DEVICE	KEEP_DEVICE(1, 7)
#define RANDOM_DEVICE	KEEP_DEVICE(1, 8)
#define URANDOM_DEVICE	KEEP_DEVICE(1, 9)
#define MOUNTS_DEVICE	KEEP_DEVICE(1, 20)
#define FD_DEVICE	KEEP_DEVICE(200, 0)

static struct { uint64_t device; keep_device_open open; } devices[DEVICES];

extern void uni_mount(void) __attribute__((weak));
#pragma weak keep_room

/* --- names ---------------------------------------------------------------------------------------------------- */

static int make_folders(char *path)
{
	const struct fs_attributes how = { .kind = FS_DIRECTORY, .mode = 0755 };
	int result = 0;

	for (char *at = path + strlen("/dev/"); !result && (at = strchr(at, '/')); at++) {
		*at = '\0';
		result = vfs_make(&vfs_root, path, &how, NULL);
		*at = '/';
		if (result == -EEXIST)
			result = 0;
	}
	return result;
}

static int make_node(char *path, mode_t mode, uint64_t device, uid_t uid)
{
	const struct fs_attributes how = { .kind = FS_CHARACTER, .mode = mode & 07777, .uid = uid, .device = device };
	struct vfs_place place;
	int result = make_folders(path);

	if (!result)
		result = vfs_make(&vfs_root, path, &how, NULL);
	if (result)
		return result == -EEXIST ? 0 : result;
	result = vfs_find(&vfs_root, path, false, &place);
	if (!result) {
		result = vfs_set(&place, &how, FS_SET_MODE | FS_SET_UID);
		vfs_put(place.mount, place.node);
	}
	return result;
}

int keep_device(const char *name, mode_t mode, uint64_t device, uid_t uid, keep_device_open open)
{
	char path[80];
	unsigned free = DEVICES;

	for (unsigned i = 0; i < DEVICES; i++) {
		if (devices[i].open && devices[i].device == device)
			return -EEXIST;
		if (!devices[i].open && free == DEVICES)
			free = i;
	}
	if (free == DEVICES || (size_t)snprintf(path, sizeof(path), "/dev/%s", name) >= sizeof(path))
		return -ENOSPC;
	devices[free].device = device;
	devices[free].open = open;
	return make_node(path, mode, device, uid);
}

void keep_device_remove(const char *name, uint64_t device)
{
	char path[80];

	for (unsigned i = 0; i < DEVICES; i++)
		if (devices[i].open && devices[i].device == device)
			devices[i].open = NULL;
	if ((size_t)snprintf(path, sizeof(path), "/dev/%s", name) < sizeof(path))
		(void)vfs_unlink(&vfs_root, path, false);
}

int64_t keep_device_file(struct keep_process *process, uint64_t device, int flags, struct keep_file **file)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (devices[i].open && devices[i].device == device)
			return devices[i].open(process, device, flags, file);
	return -ENXIO;
}

/* --- the simple ones ------------------------------------------------------------------------------------------ */

static int64_t read_nothing(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			    int64_t offset)
{
	(void)file, (void)request, (void)to, (void)bytes, (void)offset;
	return 0;
}

static int64_t read_zeros(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			  int64_t offset)
{
	(void)file, (void)request, (void)offset;
	memset(to, 0, bytes);
	return (int64_t)bytes;
}

static int64_t read_random(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			   int64_t offset)
{
	(void)file, (void)request, (void)offset;
	core_random(to, bytes);
	return (int64_t)bytes;
}

static int64_t write_all(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
			 int64_t offset)
{
	(void)file, (void)request, (void)from, (void)offset;
	return (int64_t)bytes;
}

static int64_t write_full(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
			  int64_t offset)
{
	(void)file, (void)request, (void)from, (void)offset;
	return bytes ? -ENOSPC : 0;
}

static int64_t seek_zero(struct keep_file *file, int64_t offset, int whence)
{
	(void)file, (void)offset, (void)whence;
	return 0;
}

/* What is mounted now, as a text that can be read on. */
static int64_t read_mounts(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			   int64_t offset)
{
	char *text = malloc(KEEP_MOUNTS);
	uint64_t size = text ? keep_mounts(text, KEEP_MOUNTS) : 0, at = (uint64_t)(offset < 0 ? file->offset : offset);

	(void)request;
	if (bytes > size - at)
		bytes = at < size ? size - at : 0;
	if (bytes)
		memcpy(to, text + at, bytes);
	free(text);
	if (offset < 0)
		file->offset += (int64_t)bytes;
	return (int64_t)bytes;
}

static const struct keep_kind mounts_kind = { .read = read_mounts };
static const struct keep_kind null_kind = { .read = read_nothing, .write = write_all, .seek = seek_zero };
static const struct keep_kind zero_kind = { .read = read_zeros, .write = write_all, .seek = seek_zero };
static const struct keep_kind full_kind = { .read = read_zeros, .write = write_full, .seek = seek_zero };
static const struct keep_kind random_kind = { .read = read_random, .write = write_all, .seek = seek_zero };

static int64_t open_simple(struct keep_process *process, uint64_t device, int flags, struct keep_file **file)
{
	const struct keep_kind *kind = device == NULL_DEVICE ? &null_kind : device == ZERO_DEVICE ? &zero_kind :
	    device == FULL_DEVICE ? &full_kind : device == MOUNTS_DEVICE ? &mounts_kind : &random_kind;

	(void)process;
	*file = keep_file_make(kind, NULL, flags & (O_ACCMODE | O_APPEND | O_NONBLOCK));
	return *file ? 0 : -ENOMEM;
}

/* --- a process's own descriptors ------------------------------------------------------------------------------ */

static int64_t open_fd(struct keep_process *process, uint64_t device, int flags, struct keep_file **file)
{
	struct keep_file *own = keep_fd_file(process, (int64_t)(device - FD_DEVICE));
	int have, want = flags & O_ACCMODE;

	if (!own)
		return -ENXIO;
	have = own->flags & O_ACCMODE;
	if (have != O_RDWR && have != want)
		return -EACCES;
	keep_file_hold(own);
	*file = own;
	return 0;
}

static void own_names(void)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };
	char path[32];

	for (unsigned i = 0; i < OWN_FDS; i++) {
		(void)snprintf(path, sizeof(path), "fd/%u", i);
		(void)keep_device(path, 0666, FD_DEVICE + i, 0, open_fd);
	}
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "/dev/%s", names[i]);
		(void)make_node(path, 0666, FD_DEVICE + i, 0);
	}
}

void keep_device_start(void)
{
	const struct fs_attributes how = { .kind = FS_DIRECTORY, .mode = 0755 };
	const struct fs_attributes all = { .mode = 01777 };
	struct fs_mount mount = { .options = "" };
	struct vfs_place shm;
	int result;

	if (!vfs_root.node && uni_mount)
		uni_mount();
	mount.room = keep_room;
	mount.now = vfs_machine ? vfs_machine->now : NULL;
	result = vfs_mount("/dev", &fs_memory, &mount);
	if (result == -ENOENT && !vfs_make(&vfs_root, "/dev", &how, NULL))
		(void)vfs_mount("/dev", &fs_memory, &mount);
	(void)keep_device("null", 0666, NULL_DEVICE, 0, open_simple);
	(void)keep_device("zero", 0666, ZERO_DEVICE, 0, open_simple);
	(void)keep_device("full", 0666, FULL_DEVICE, 0, open_simple);
	(void)keep_device("random", 0666, RANDOM_DEVICE, 0, open_simple);
	(void)keep_device("urandom", 0666, URANDOM_DEVICE, 0, open_simple);
	(void)keep_device("mounts", 0444, MOUNTS_DEVICE, 0, open_simple);
	own_names();
	if (!vfs_make(&vfs_root, "/dev/shm", &how, NULL) && !vfs_find(&vfs_root, "/dev/shm", true, &shm)) {
		(void)vfs_set(&shm, &all, FS_SET_MODE);
		vfs_put(shm.mount, shm.node);
	}
}
