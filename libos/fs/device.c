/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request to a block device from beginning to end, in pieces where it is too long for one; and copying a block.
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
		struct block_request request;	/* most of it is parts: only what is used is set */

		request.operation = (uint8_t)operation;
		request.flags = (uint8_t)flags;
		request.parts = 1;
		request.through = 0;
		request.block = block;
		request.count = now;
		request.ended = NULL;
		request.result = 0;
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

/*
 * By words: emulators are slow at string instructions and vectors (`volatile`, or it becomes these), at every jump, and
 * at loops that lie across a page boundary, hence the alignment.
 */
__attribute__((aligned(256))) void block_copy(void *to, const void *from)
{
	typedef volatile uint64_t word __attribute__((aligned(1), may_alias));
	const word *old = from;
	word *new = to;

	for (unsigned left = BLOCK_BYTES / sizeof(word); left; left -= 16, old += 16, new += 16)
#pragma GCC unroll 4
		for (unsigned i = 0; i < 16; i += 4) {
			uint64_t a = old[i], b = old[i + 1], c = old[i + 2], d = old[i + 3];

			new[i] = a;
			new[i + 1] = b;
			new[i + 2] = c;
			new[i + 3] = d;
		}
}
