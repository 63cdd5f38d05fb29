/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device as file systems see it: blocks of 4096 bytes, requests that end some time later, in any order.
 *
 * In the machine it is an extent, reached by the application's own ring (libos/disk); in host programs a file, or one
 * that fails, tears and forgets on purpose (test/lib). Who has a device open uses it alone. Functions return 0 or a
 * negative errno. Those that wait block one thread, in the machine; a host's device does everything at once.
 */
#ifndef LIBOS_FS_DEVICE_H
#define LIBOS_FS_DEVICE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_BYTES		4096

#ifdef EUCLEAN
#define FS_EDAMAGED	EUCLEAN	/* what lies on the disk cannot be */
#else
#define FS_EDAMAGED	EIO
#endif

enum block_operation { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZEROES };

/* Of a device. */
#define BLOCK_READ_ONLY		0x01
#define BLOCK_HAS_DISCARD	0x02	/* else DISCARD is done at once, to no effect */
#define BLOCK_HAS_ZEROES	0x04	/* else ZEROES fails with -EOPNOTSUPP */

/* Of a request. */
#define BLOCK_FUA		0x01	/* WRITE: stable when done. Devices that cannot do so flush by themselves */
#define BLOCK_MORE		0x02	/* others follow: it may be begun with them, at a block_poll(), or when somebody waits */

#define BLOCK_PARTS_MAX		16

struct block_request {
	uint8_t operation, flags;
	uint16_t parts;			/* READ, WRITE: 1..BLOCK_PARTS_MAX */
	uint64_t through;		/* of a volume: the capability of a node (libos/fs/volume.h); 0: the device's own */
	uint32_t block, count;		/* count: the sum of the parts'; at most 64 for READ and WRITE */
	struct {
		void *memory;		/* page-aligned, from block_memory() of this device */
		uint32_t blocks;
	} part[BLOCK_PARTS_MAX];
	/* Called when it has ended, from block_wait() or block_poll() of whatever thread; may submit others. May be NULL. */
	void (*ended)(struct block_request *request);
	void *arg;			/* the submitter's own */
	int result;			/* 0 or a negative errno, once `pending` is false */
	bool pending;
	struct block_request *next;	/* the device's, as is the next */
	struct block_device *device;
};

struct block_device;

struct block_device_ops {
	/* Begin a request; the structure is the device's until it has ended. Waits for room if there is none. */
	void (*submit)(struct block_device *device, struct block_request *request);
	/* Wait until a request has ended. */
	void (*wait)(struct block_device *device, struct block_request *request);
	/* Begin what was submitted with BLOCK_MORE, and end what is done, without waiting. */
	void (*poll)(struct block_device *device);
	/* Zeroed memory that requests may name, by whole pages; NULL: there is none. / It is not used any more. */
	void *(*memory)(struct block_device *device, uint32_t pages);
	void (*memory_free)(struct block_device *device, void *memory, uint32_t pages);
	void (*close)(struct block_device *device);
};

struct block_device {
	const struct block_device_ops *ops;
	uint32_t blocks;
	uint32_t flags;
	uint64_t reads, writes, flushes;	/* blocks, blocks, requests, ever */
};

static inline void block_submit(struct block_device *device, struct block_request *request)
{
	device->ops->submit(device, request);
}

static inline int block_wait(struct block_device *device, struct block_request *request)
{
	if (request->pending)
		device->ops->wait(device, request);
	return request->result;
}

static inline void block_poll(struct block_device *device)
{
	device->ops->poll(device);
}

static inline void *block_memory(struct block_device *device, uint32_t pages)
{
	return device->ops->memory(device, pages);
}

static inline void block_memory_free(struct block_device *device, void *memory, uint32_t pages)
{
	device->ops->memory_free(device, memory, pages);
}

/* device.c: one request from beginning to end. -EINVAL beyond the device's end, -EROFS, -EIO. */
int block_read(struct block_device *device, uint32_t block, uint32_t count, void *memory);
int block_write(struct block_device *device, uint32_t block, uint32_t count, void *memory, unsigned flags);
int block_flush(struct block_device *device);
int block_discard(struct block_device *device, uint32_t block, uint32_t count);
void block_copy(void *to, const void *from);	/* a page's contents, both aligned to words or not */

#endif
