/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio devices over PCI and over memory-mapped windows, and their split queues.
 *
 * Only the modern interface (version 1) is spoken. The caller supplies the memory of a queue; indices and lengths that
 * the device writes are checked by virtqueue_next(), and nothing else of the device's is believed.
 * Source: Virtual I/O Device (VIRTIO) 1.1, sections 2.6, 3.1, 4.1 and 4.2.
 */
#ifndef EXO_DEV_VIRTIO_H
#define EXO_DEV_VIRTIO_H

#include "exo/dev/dev.h"

#define VIRTIO_F_VERSION_1	32

#define VIRTQ_DESC_NEXT		1
#define VIRTQ_DESC_WRITE	2

struct virtq_desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

struct virtq_avail {
	uint16_t flags;		/* 1: no interrupts, please */
	uint16_t index;
	uint16_t ring[];
};

struct virtq_used {
	uint16_t flags;		/* 1: no notifications, please */
	uint16_t index;
	struct {
		uint32_t id;
		uint32_t bytes;
	} ring[];
};

struct virtqueue {
	uint16_t number, size;		/* size: a power of two; */
	uint32_t mask;			/* ... less one */
	uint32_t posted;		/* so many in all; avail->index has the lower half */
	uint16_t seen;			/* our own copy of what we took from used */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	volatile void *doorbell;
};

struct virtio {
	bool mmio;
	volatile uint8_t *common;	/* PCI: common structure; mmio: the window */
	volatile uint8_t *notify, *status, *device;
	uint32_t notify_step;
	uint64_t notify_bytes, device_bytes;
};

/* Find the modern interface. false: it has none; the device is left alone. */
bool virtio_open_pci(struct virtio *virtio, struct pci *pci);
/* Device kind (0: an empty window) of a memory-mapped window; *version as it says. */
uint32_t virtio_open_mmio(struct virtio *virtio, const struct arch_mmio_device *window, uint32_t *version);
/* Reset it: nothing that was in its queues is touched any more. False: it is still at it, after so many looks. */
bool virtio_reset(struct virtio *virtio, unsigned looks);
/* It is reset: agree on features, all of `need`, those of `want` that it has. Returns them; 0: it refused. */
uint64_t virtio_agree(struct virtio *virtio, uint64_t need, uint64_t want);
/* Both, at boot. */
uint64_t virtio_start(struct virtio *virtio, uint64_t need, uint64_t want);
/* The queue's largest size; 0: no such queue. */
uint16_t virtio_queue_max(struct virtio *virtio, uint16_t number);
/* Bytes of memory that a queue of this size needs; 16-byte aligned. */
uint32_t virtqueue_bytes(uint16_t size);
/* Lay a queue out in contiguous memory, empty, and hand it to the device. message: PCI message interrupt number. */
bool virtio_queue_open(struct virtio *virtio, struct virtqueue *queue, uint16_t number, uint16_t size, void *memory,
    uint16_t message);
void virtio_ready(struct virtio *virtio);

/* The registers of a memory-mapped window that an interrupt takes (4.2.2). */
#define VIRTIO_MM_INTERRUPT	0x60
#define VIRTIO_MM_ACKNOWLEDGE	0x64

/* mmio: why it interrupts / it has been dealt with. */
static inline uint32_t virtio_interrupt(const struct virtio *virtio)
{
	return *(const volatile uint32_t *)(virtio->common + VIRTIO_MM_INTERRUPT);
}
static inline void virtio_acknowledge(const struct virtio *virtio, uint32_t reasons)
{
	*(volatile uint32_t *)(virtio->common + VIRTIO_MM_ACKNOWLEDGE) = reasons;
}

/* Make a chain available to the device; it sees it at virtqueue_publish. */
static inline __attribute__((always_inline)) void virtqueue_post(struct virtqueue *queue, uint16_t first)
{
	queue->avail->ring[queue->posted++ & queue->mask] = first;
}

/* Publish what was posted and tell the device, unless it asked not to be told. */
static inline __attribute__((always_inline)) void virtqueue_publish(const struct virtio *virtio, struct virtqueue *queue)
{
	__atomic_store_n(&queue->avail->index, (uint16_t)queue->posted, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (read_once(queue->used->flags) & 1)
		return;
	if (virtio->mmio)
		*(volatile uint32_t *)queue->doorbell = queue->number;
	else
		*(volatile uint16_t *)queue->doorbell = queue->number;
}

/* Has the device given anything back? */
static inline __attribute__((always_inline)) bool virtqueue_pending(const struct virtqueue *queue)
{
	return __atomic_load_n(&queue->used->index, __ATOMIC_ACQUIRE) != queue->seen;
}

/* How many it says it has, but no more than so many. */
static inline unsigned virtqueue_back(const struct virtqueue *queue, unsigned most)
{
	unsigned count = (uint16_t)(__atomic_load_n(&queue->used->index, __ATOMIC_ACQUIRE) - queue->seen);

	return count < most ? count : most;
}

/* What it gave back next. Call only when pending. *id may be anything below the queue's size; false: not even that. */
static inline __attribute__((always_inline)) bool virtqueue_next(struct virtqueue *queue, uint32_t *id, uint32_t *bytes)
{
	unsigned at = queue->seen++ & queue->mask;

	*id = read_once(queue->used->ring[at].id);
	*bytes = read_once(queue->used->ring[at].bytes);
	return *id < queue->size;
}

/* Ask for interrupts, or not. After asking look again whether something is pending. */
static inline void virtqueue_interrupts(struct virtqueue *queue, bool on)
{
	write_once(queue->avail->flags, on ? 0 : 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
