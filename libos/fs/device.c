/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request to a block device from beginning to end, in pieces where it is too long for one.
 */
#include <errno.h>
#include "libos/fs/device.h"

#define BLOCKS_MAX	64	/* of one READ or WRITE */

static int run(struct block_device *device, struct block_request *request)
{
	block_submit(device, request);
	return block_wait(device, request);
}

static int move(struct block_device *device, unsigned operation, unsigned flags, uint32_t block, uint32_t count,
    uint8_t *memory)
{
	if (block > device->blocks || count > device->blocks - block)
		return -EINVAL;
	while (count) {
		uint32_t now = count < BLOCKS_MAX ? count : BLOCKS_MAX;
		struct block_request request = { .operation = (uint8_t)operation, .flags = (uint8_t)flags, .parts = 1,
			.block = block, .count = now };

		request.part[0].memory = memory;
		request.part[0].blocks = now;
		int result = run(device, &request);
		if (result)
			return result;
		block += now;
		count -= now;
		memory += (size_t)now * BLOCK_BYTES;
	}
	return 0;
}

int block_read(struct block_device *device, uint32_t block, uint32_t count, void *memory)
{
	return move(device, BLOCK_READ, 0, block, count, memory);
}

int block_write(struct block_device *device, uint32_t block, uint32_t count, void *memory, unsigned flags)
{
	if (device->flags & BLOCK_READ_ONLY)
		return -EROFS;
	return move(device, BLOCK_WRITE, flags, block, count, memory);
}

int block_flush(struct block_device *device)
{
	struct block_request request = { .operation = BLOCK_FLUSH };

	return run(device, &request);
}

int block_discard(struct block_device *device, uint32_t block, uint32_t count)
{
	struct block_request request = { .operation = BLOCK_DISCARD, .block = block, .count = count };

	if (device->flags & BLOCK_READ_ONLY)
		return -EROFS;
	if (block > device->blocks || count > device->blocks - block)
		return -EINVAL;
	return device->flags & BLOCK_HAS_DISCARD && count ? run(device, &request) : 0;
}
