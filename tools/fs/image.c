/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file of this computer's as a block device: each request is done when it is submitted.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/fs/fs.h"

struct image {
	struct block_device device;
	int file;
};

static int move(const struct image *image, const struct block_request *r)
{
	off_t at = (off_t)r->block * BLOCK_BYTES;

	for (unsigned i = 0; i < r->parts; i++) {
		size_t left = (size_t)r->part[i].blocks * BLOCK_BYTES;
		char *memory = r->part[i].memory;
		while (left) {
			ssize_t done = r->operation == BLOCK_READ ? pread(image->file, memory, left, at) :
				pwrite(image->file, memory, left, at);
			if (done <= 0)
				return done < 0 ? -errno : -EIO;
			memory += done;
			at += done;
			left -= (size_t)done;
		}
	}
	return 0;
}

static void submit(struct block_device *device, struct block_request *r)
{
	struct image *image = (struct image *)device;
	uint32_t blocks = device->blocks;

	r->pending = false;
	if (r->operation == BLOCK_FLUSH)
		r->result = 0;			/* a power cut of this computer's is not this tool's business */
	else if (r->block > blocks || r->count > blocks - r->block)
		r->result = -EINVAL;
	else if (r->operation != BLOCK_READ && device->flags & BLOCK_READ_ONLY)
		r->result = -EROFS;
	else
		r->result = r->operation <= BLOCK_WRITE ? move(image, r) : r->operation == BLOCK_DISCARD ? 0 : -EOPNOTSUPP;
	if (r->ended)
		r->ended(r);
}

static void wait(struct block_device *device, struct block_request *request)
{
	(void)device;
	(void)request;
}

static void poll(struct block_device *device)
{
	(void)device;
}

static void *memory(struct block_device *device, uint32_t pages)
{
	void *made = aligned_alloc(BLOCK_BYTES, (size_t)pages * BLOCK_BYTES);

	(void)device;
	if (made)
		memset(made, 0, (size_t)pages * BLOCK_BYTES);
	return made;
}

static void memory_free(struct block_device *device, void *made, uint32_t pages)
{
	(void)device;
	(void)pages;
	free(made);
}

static void close_nothing(struct block_device *device)
{
	(void)device;
}

static const struct block_device_ops ops = {
	.submit = submit, .wait = wait, .poll = poll, .memory = memory, .memory_free = memory_free, .close = close_nothing,
};

struct block_device *image_open(const char *path, bool read_only)
{
	struct image *image = calloc(1, sizeof(*image));
	struct stat state;

	if (!image)
		return NULL;
	image->file = open(path, read_only ? O_RDONLY : O_RDWR);
	if (image->file < 0 || fstat(image->file, &state)) {
		free(image);
		return NULL;
	}
	image->device.ops = &ops;
	image->device.blocks = state.st_size / BLOCK_BYTES > UINT32_MAX ? UINT32_MAX : (uint32_t)(state.st_size / BLOCK_BYTES);
	image->device.flags = read_only ? BLOCK_READ_ONLY : 0;
	return &image->device;
}

int image_close(struct block_device *device)
{
	struct image *image = (struct image *)device;
	int result = close(image->file) ? -errno : 0;

	free(image);
	return result;
}
