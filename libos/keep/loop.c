/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A regular file as a block device, so that an image of a file system in it can be mounted (mount.c).
 *
 * A request is done when it is submitted, by reads and writes of the file, under the lock of the file system that is
 * mounted from it; that of the one in which the file lies is taken below it, and never the other way round. What has
 * ended is told by whoever waits or polls, as the contract of a device has it. The file is held open, so it keeps its own
 * file system from going. Its size counts as it was when it was mounted: what is cut off then is an error of the device.
 *
 * An image may lie in a file system that is one itself, but not deeper than DEEPEST: each level that is flushed flushes
 * the one below more than once, so what a flush costs grows by a factor with each; and all of it is on one stack.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/disk/disk.h"
#include "libos/keep/files.h"

#define DEEPEST		4		/* images in each other */

struct loop {
	struct block_device device;	/* first */
	struct loop *next;
	struct vfs_file *file;
	unsigned depth;			/* 1: the file lies in no image */
	struct block_request *over, **over_end;	/* done, and not told */
};

static struct loop *loops;

static int64_t move(struct loop *loop, const struct block_request *request, void *memory, uint64_t at, size_t bytes)
{
	int64_t done = request->operation == BLOCK_READ ? vfs_pread(loop->file, memory, bytes, at) :
	    vfs_pwrite(loop->file, memory, bytes, at);

	return done < 0 ? done : (uint64_t)done == bytes ? 0 : -EIO;
}

static int transfer(struct loop *loop, const struct block_request *request)
{
	uint64_t at = (uint64_t)request->block * BLOCK_BYTES, size;
	uint32_t sum = 0;
	int64_t result = 0;

	for (unsigned i = 0; i < request->parts; i++)
		sum += request->part[i].blocks;
	if (request->parts > BLOCK_PARTS_MAX || sum != request->count || request->block > loop->device.blocks ||
	    request->count > loop->device.blocks - request->block)
		return -EINVAL;
	if (request->operation == BLOCK_WRITE && loop->device.flags & BLOCK_READ_ONLY)
		return -EROFS;
	for (unsigned i = 0; i < request->parts && !result; i++, at += size) {
		size = (uint64_t)request->part[i].blocks * BLOCK_BYTES;
		result = move(loop, request, request->part[i].memory, at, size);
	}
	if (!result && request->operation == BLOCK_WRITE && request->flags & BLOCK_FUA)
		result = vfs_fsync(loop->file, true);
	return (int)result;
}

static void loop_submit(struct block_device *device, struct block_request *request)
{
	struct loop *loop = (struct loop *)device;

	request->device = device;
	request->next = NULL;
	request->pending = true;
	switch (request->operation) {
	case BLOCK_READ:
		device->reads += request->count;
		request->result = transfer(loop, request);
		break;
	case BLOCK_WRITE:
		device->writes += request->count;
		request->result = transfer(loop, request);
		break;
	case BLOCK_FLUSH:
		device->flushes++;
		request->result = device->flags & BLOCK_READ_ONLY ? 0 : vfs_fsync(loop->file, true);
		break;
	default:
		request->result = request->operation == BLOCK_DISCARD ? 0 : -EOPNOTSUPP;
	}
	*loop->over_end = request;
	loop->over_end = &request->next;
}

static void loop_poll(struct block_device *device)
{
	struct loop *loop = (struct loop *)device;
	struct block_request *request;

	while ((request = loop->over)) {
		loop->over = request->next;
		if (!loop->over)
			loop->over_end = &loop->over;
		request->pending = false;
		if (request->ended)
			request->ended(request);
	}
}

/* Another thread of the same file system may be at it still. */
static void loop_wait(struct block_device *device, struct block_request *request)
{
	loop_poll(device);
	while (request->pending) {
		thread_sleep(core_now());
		loop_poll(device);
	}
}

static void *loop_memory(struct block_device *device, uint32_t pages)
{
	(void)device;
	return disk_memory(pages);
}

static void loop_memory_free(struct block_device *device, void *memory, uint32_t pages)
{
	(void)device;
	disk_memory_free(memory, pages);
}

static void loop_close(struct block_device *device)
{
	struct loop *loop = (struct loop *)device, **link = &loops;

	while (*link != loop)
		link = &(*link)->next;
	*link = loop->next;
	vfs_file_put(loop->file);
	free(loop);
}

static const struct block_device_ops loop_ops = { .submit = loop_submit, .wait = loop_wait, .poll = loop_poll,
	.memory = loop_memory, .memory_free = loop_memory_free, .close = loop_close };

static bool is_used(const struct vfs_file *file)
{
	const struct loop *loop = loops;

	while (loop && loop->file->place.node != file->place.node)
		loop = loop->next;
	return loop != NULL;
}

static unsigned depth_of(const struct vfs_file *file)
{
	const struct block_device *below = file->place.mount->device;

	return below && below->ops == &loop_ops ? ((const struct loop *)below)->depth + 1 : 1;
}

int keep_loop(const struct keep_from *from, const char *path, bool read_only, struct block_device **device)
{
	struct fs_attributes attributes;
	struct vfs_file *file;
	struct loop *loop;
	int result = vfs_open(&from->place, path, read_only ? VFS_READ : VFS_READ | VFS_WRITE, 0, &file);

	if (result)
		return result == -EISDIR || result == -ENXIO ? -ENOTBLK : result;
	result = file->place.node->kind != FS_FILE ? -ENOTBLK : vfs_attributes(&file->place, &attributes);
	if (!result && is_used(file))
		result = -EBUSY;
	if (!result && depth_of(file) > DEEPEST)
		result = -ELOOP;
	loop = result ? NULL : calloc(1, sizeof(*loop));
	if (!loop) {
		vfs_file_put(file);
		return result ? result : -ENOMEM;
	}
	loop->device = (struct block_device){ .ops = &loop_ops, .flags = read_only ? BLOCK_READ_ONLY : 0,
		.blocks = attributes.bytes / BLOCK_BYTES < UINT32_MAX ? (uint32_t)(attributes.bytes / BLOCK_BYTES) : UINT32_MAX };
	loop->file = file;
	loop->depth = depth_of(file);
	loop->over_end = &loop->over;
	loop->next = loops;
	loops = loop;
	*device = &loop->device;
	return 0;
}
