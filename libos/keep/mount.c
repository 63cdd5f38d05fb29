/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is mounted while processes run: the superuser mounts on a directory, and takes it away again.
 *
 * A source is an extent that the keeper has ("extent:NAME", by its configuration), a regular file with an image in it
 * (loop.c), or nothing, for memory. So a process gets to no block that the keeper was not given; the keeper never gives
 * the capability away. Images are believed in nothing (libos/fs), whenever they come.
 *
 * Two mounts of one extent, or of one file, do not go together: each has a cache of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/files.h"
#include "libos/uni/file.h"

/* Linked where there are disks, images, memory for files. */
#pragma weak uni_mount_on
#pragma weak uni_mount_end
#pragma weak image_forget
#pragma weak keep_pages
#pragma weak keep_pages_free
#pragma weak keep_room
#pragma weak keep_loop

#define MOUNTS_MAX	64		/* at a time, those of the start included */
#define LIMITS		(WIRE_MOUNT_NOSUID | WIRE_MOUNT_NODEV | WIRE_MOUNT_NOEXEC)
#define LINE_BYTES	(3 * 4 * VFS_PATH_MAX)

/* What a request says: strings, one behind the other. */
#define STRING		(VFS_PATH_MAX + 8)
struct words {
	char target[STRING], source[STRING], kind[STRING], options[STRING];
};

static int64_t take_words(const struct keep_request *request, struct words *words)
{
	char *const to[] = { words->target, words->source, words->kind, words->options };
	uint32_t offset = 0;

	for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		int64_t length = keep_path(request, offset, to[i]);

		if (length < 0)
			return length;
		offset += (uint32_t)length + 1;
	}
	return 0;
}

static bool is_full(void)
{
	unsigned count = 0;

	for (const struct vfs_mount *mount = vfs_mounts; mount; mount = mount->next)
		count++;
	return count >= MOUNTS_MAX;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static int64_t mount_memory(const struct vfs_place *at, const struct words *words, uint64_t flags)
{
	const struct fs_mount how = { .now = vfs_machine ? vfs_machine->now : NULL, .options = words->options,
		.source = words->source, .read_only = flags & WIRE_MOUNT_READ_ONLY, .limits = flags & LIMITS,
		.pages = keep_pages, .pages_free = keep_pages_free, .room = keep_room };

	return vfs_mount_on(at, &fs_memory, &how);
}

static int64_t mount_device(const struct keep_from *from, const struct vfs_place *at, struct words *words,
			    uint64_t flags)
{
	struct uni_mount what = { .kind = words->kind, .source = words->source, .options = words->options,
		.read_only = flags & WIRE_MOUNT_READ_ONLY, .limits = flags & LIMITS };
	int64_t result = 0;

	if (!uni_mount_on)
		return -ENODEV;
	if (!begins(words->source, "extent:"))
		result = keep_loop ? keep_loop(from, words->source, what.read_only, &what.device) : -ENOTBLK;
	return result ? result : uni_mount_on(at, &what);
}

static int64_t mount(struct keep_request *request, struct words *words)
{
	uint64_t flags = request->word[0];
	struct keep_from from;
	struct vfs_place at;
	int64_t result = take_words(request, words);

	if (!result)
		result = keep_from(request->process, AT_FDCWD, &from);
	if (!result)
		result = vfs_find(&from.place, words->target, true, &at);
	if (result)
		return result;
	if (is_full())
		result = -ENOSPC;
	else if (at.node->kind != FS_DIRECTORY)
		result = -ENOTDIR;
	else if (!strcmp(words->kind, "tmpfs") || !strcmp(words->kind, "memory"))
		result = mount_memory(&at, words, flags);
	else
		result = mount_device(&from, &at, words, flags);
	vfs_put(at.mount, at.node);
	return result;
}

static int64_t do_mount(struct keep_request *request)
{
	struct words *words;
	int64_t result;

	if (request->process->euid)
		return -EPERM;
	if (request->word[0] & ~(uint64_t)(WIRE_MOUNT_READ_ONLY | LIMITS))
		return -EINVAL;
	words = malloc(sizeof(*words));
	result = words ? mount(request, words) : -ENOMEM;
	free(words);
	return result;
}

static int64_t do_umount(struct keep_request *request)
{
	const struct vfs_mount *mount;
	char path[VFS_PATH_MAX + 8];
	struct keep_from from;
	struct vfs_place at;
	uint32_t number;
	int64_t result = keep_path(request, 0, path);

	if (request->process->euid)
		return -EPERM;
	if (request->word[0] & ~(uint64_t)WIRE_UMOUNT_NOFOLLOW)
		return -EINVAL;
	if (result >= 0)
		result = keep_from(request->process, AT_FDCWD, &from);
	if (!result)
		result = vfs_find(&from.place, path, !request->word[0], &at);
	if (result)
		return result;
	mount = at.mount;
	number = mount->number;
	result = at.node != mount->root ? -EINVAL : 0;
	vfs_put(at.mount, at.node);
	if (result)
		return result;
	result = uni_mount_end ? uni_mount_end(mount) : vfs_mount_end((struct vfs_mount *)mount);
	if (!result && image_forget)
		image_forget(number);
	return result;
}

/* --- what is mounted ------------------------------------------------------------------------------------------ */

/* A field of a line, in which blanks and the like are \ooo. */
static char *put_field(char *to, const char *text)
{
	for (; *text; text++) {
		if (strchr(" \t\n\\", *text))
			to += sprintf(to, "\\%03o", (unsigned char)*text);
		else
			*to++ = *text;
	}
	*to++ = ' ';
	return to;
}

static size_t put_line(const struct vfs_mount *mount, char *line)
{
	const char *kind = mount->fs->ops->name;
	char *to = put_field(line, mount->source && *mount->source ? mount->source : kind);

	to = put_field(put_field(to, mount->path), kind);
	to += sprintf(to, "%s%s%s%s 0 0\n", mount->fs->read_only ? "ro" : "rw",
	    mount->limits & WIRE_MOUNT_NOSUID ? ",nosuid" : "", mount->limits & WIRE_MOUNT_NODEV ? ",nodev" : "",
	    mount->limits & WIRE_MOUNT_NOEXEC ? ",noexec" : "");
	return (size_t)(to - line);
}

size_t keep_mounts(char *text, size_t size)
{
	char *line = malloc(LINE_BYTES);
	size_t at = 0, bytes;

	for (const struct vfs_mount *mount = line ? vfs_mounts : NULL; mount; mount = mount->next) {
		bytes = put_line(mount, line);
		if (bytes > size - at)
			break;
		memcpy(text + at, line, bytes);
		at += bytes;
	}
	free(line);
	return at;
}

static int64_t do_mounts(struct keep_request *request)
{
	return (int64_t)keep_mounts(request->data, WIRE_BUFFER);
}

void keep_mount_start(void)
{
	keep_serve(REQUEST_MOUNTS, do_mounts);
	keep_serve(REQUEST_MOUNT, do_mount);
	keep_serve(REQUEST_UMOUNT, do_umount);
}
