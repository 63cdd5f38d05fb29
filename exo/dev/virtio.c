/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio transports: bringing a device up through PCI capabilities or through a memory-mapped window.
 *
 * Runs at boot, and when a driver has its device start anew; else that touches only queues and doorbells. The order of the steps is
 * the one that section 3.1.1 prescribes. On PCI one message interrupt serves all queues.
 */
#include "exo/dev/virtio.h"

/* PCI: vendor capability (4.1.4) */
#define CAP_VENDOR		9
#define CAP_KIND		3
#define CAP_BAR			4
#define CAP_OFFSET		8
#define CAP_BYTES		12
#define CAP_NOTIFY_STEP		16
#define KIND_COMMON		1
#define KIND_NOTIFY		2
#define KIND_STATUS		3
#define KIND_DEVICE		4

/* PCI: common structure (4.1.4.3) */
#define PC_FEATURE_SELECT	0x00
#define PC_FEATURE		0x04
#define PC_ACCEPT_SELECT	0x08
#define PC_ACCEPT		0x0c
#define PC_MESSAGE		0x10
#define PC_STATUS		0x14
#define PC_QUEUE_SELECT		0x16
#define PC_QUEUE_SIZE		0x18
#define PC_QUEUE_MESSAGE	0x1a
#define PC_QUEUE_ENABLE		0x1c
#define PC_QUEUE_NOTIFY		0x1e
#define PC_QUEUE_DESC		0x20
#define PC_QUEUE_AVAIL		0x28
#define PC_QUEUE_USED		0x30
#define PC_BYTES		0x38
#define NO_MESSAGE		0xffff

/* Memory-mapped (4.2.2) */
#define MM_MAGIC		0x000
#define MAGIC			0x74726976
#define MM_VERSION		0x004
#define MM_DEVICE		0x008
#define MM_FEATURE		0x010
#define MM_FEATURE_SELECT	0x014
#define MM_ACCEPT		0x020
#define MM_ACCEPT_SELECT	0x024
#define MM_QUEUE_SELECT		0x030
#define MM_QUEUE_MAX		0x034
#define MM_QUEUE_SIZE		0x038
#define MM_QUEUE_READY		0x044
#define MM_QUEUE_NOTIFY		0x050
#define MM_STATUS		0x070
#define MM_QUEUE_DESC		0x080
#define MM_QUEUE_AVAIL		0x090
#define MM_QUEUE_USED		0x0a0
#define MM_CONFIGURATION	0x100

#define STATUS_ACKNOWLEDGE	1
#define STATUS_DRIVER		2
#define STATUS_DRIVER_OK	4
#define STATUS_FEATURES_OK	8

#define RESET_POLLS		100000

static uint16_t get16(const volatile uint8_t *base, unsigned offset)
{
	return *(const volatile uint16_t *)(base + offset);
}

static uint32_t get32(const volatile uint8_t *base, unsigned offset)
{
	return *(const volatile uint32_t *)(base + offset);
}

static void put16(volatile uint8_t *base, unsigned offset, uint16_t value)
{
	*(volatile uint16_t *)(base + offset) = value;
}

static void put32(volatile uint8_t *base, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(base + offset) = value;
}

static void put64(volatile uint8_t *base, unsigned offset, uint64_t value)
{
	put32(base, offset, (uint32_t)value);
	put32(base, offset + 4, (uint32_t)(value >> 32));
}

static uint8_t status_get(struct virtio *virtio)
{
	return virtio->mmio ? (uint8_t)get32(virtio->common, MM_STATUS) : virtio->common[PC_STATUS];
}

static void status_put(struct virtio *virtio, uint8_t status)
{
	if (virtio->mmio)
		put32(virtio->common, MM_STATUS, status);
	else
		virtio->common[PC_STATUS] = status;
}

bool virtio_open_pci(struct virtio *virtio, struct pci *pci)
{
	*virtio = (struct virtio){ .mmio = false };
	for (unsigned at = pci_capability(pci, CAP_VENDOR, 0), i = 0; at && i < 16;
	    at = pci_capability(pci, CAP_VENDOR, at), i++) {
		unsigned kind = arch_pci_read(pci->bdf, at + CAP_KIND, 1);
		unsigned bar = arch_pci_read(pci->bdf, at + CAP_BAR, 1);
		uint32_t offset = arch_pci_read(pci->bdf, at + CAP_OFFSET, 4);
		uint32_t bytes = arch_pci_read(pci->bdf, at + CAP_BYTES, 4);
		uint8_t *window;

		if (kind < KIND_COMMON || kind > KIND_DEVICE)
			continue;
		window = pci_window(pci, bar, offset, bytes);
		if (!window)
			continue;
		if (kind == KIND_COMMON && !virtio->common && bytes >= PC_BYTES && offset % 4 == 0) {
			virtio->common = window;
		} else if (kind == KIND_NOTIFY && !virtio->notify) {
			virtio->notify = window;
			virtio->notify_bytes = bytes;
			virtio->notify_step = arch_pci_read(pci->bdf, at + CAP_NOTIFY_STEP, 4);
		} else if (kind == KIND_STATUS && !virtio->status) {
			virtio->status = window;
		} else if (kind == KIND_DEVICE && !virtio->device) {
			virtio->device = window;
			virtio->device_bytes = bytes;
		}
	}
	return virtio->common && virtio->notify && virtio->device;
}

uint32_t virtio_open_mmio(struct virtio *virtio, const struct arch_mmio_device *window, uint32_t *version)
{
	volatile uint8_t *base = window->bytes > MM_CONFIGURATION ? arch_map_device(window->base, window->bytes) : NULL;

	*virtio = (struct virtio){ .mmio = true, .common = base };
	if (!base || get32(base, MM_MAGIC) != MAGIC)
		return 0;
	*version = get32(base, MM_VERSION);
	virtio->device = base + MM_CONFIGURATION;
	virtio->device_bytes = window->bytes - MM_CONFIGURATION;
	return get32(base, MM_DEVICE);
}

static uint64_t features_get(struct virtio *virtio)
{
	unsigned select = virtio->mmio ? MM_FEATURE_SELECT : PC_FEATURE_SELECT;
	unsigned word = virtio->mmio ? MM_FEATURE : PC_FEATURE;
	uint64_t features;

	put32(virtio->common, select, 1);
	features = (uint64_t)get32(virtio->common, word) << 32;
	put32(virtio->common, select, 0);
	return features | get32(virtio->common, word);
}

static void features_put(struct virtio *virtio, uint64_t features)
{
	unsigned select = virtio->mmio ? MM_ACCEPT_SELECT : PC_ACCEPT_SELECT;
	unsigned word = virtio->mmio ? MM_ACCEPT : PC_ACCEPT;

	put32(virtio->common, select, 1);
	put32(virtio->common, word, (uint32_t)(features >> 32));
	put32(virtio->common, select, 0);
	put32(virtio->common, word, (uint32_t)features);
}

bool virtio_reset(struct virtio *virtio, unsigned looks)
{
	status_put(virtio, 0);
	while (looks-- > 0) {
		if (status_get(virtio) == 0)
			return true;
	}
	return false;
}

uint64_t virtio_agree(struct virtio *virtio, uint64_t need, uint64_t want)
{
	uint64_t features;

	status_put(virtio, STATUS_ACKNOWLEDGE);
	status_put(virtio, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	features = features_get(virtio);
	if ((features & need) != need)
		return 0;
	features &= need | want;
	features_put(virtio, features);
	status_put(virtio, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return status_get(virtio) & STATUS_FEATURES_OK ? features : 0;
}

uint64_t virtio_start(struct virtio *virtio, uint64_t need, uint64_t want)
{
	virtio_reset(virtio, RESET_POLLS);
	return virtio_agree(virtio, need, want);
}

void virtio_ready(struct virtio *virtio)
{
	status_put(virtio, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

uint16_t virtio_queue_max(struct virtio *virtio, uint16_t number)
{
	uint32_t size;

	if (virtio->mmio) {
		put32(virtio->common, MM_QUEUE_SELECT, number);
		size = get32(virtio->common, MM_QUEUE_MAX);
	} else {
		put16(virtio->common, PC_QUEUE_SELECT, number);
		size = get16(virtio->common, PC_QUEUE_SIZE);
	}
	return size > 32768 ? 32768 : (uint16_t)size;
}

static uint32_t avail_offset(uint16_t size)
{
	return sizeof(struct virtq_desc) * size;
}

static uint32_t used_offset(uint16_t size)
{
	return (avail_offset(size) + sizeof(struct virtq_avail) + 2u * size + 2 + 15) & ~15u;
}

uint32_t virtqueue_bytes(uint16_t size)
{
	return (used_offset(size) + sizeof(struct virtq_used) + 8u * size + 2 + 15) & ~15u;
}

static bool queue_open_pci(struct virtio *virtio, struct virtqueue *queue, const paddr_t address[3], uint16_t message)
{
	uint64_t doorbell = (uint64_t)get16(virtio->common, PC_QUEUE_NOTIFY) * virtio->notify_step;

	if (doorbell + 2 > virtio->notify_bytes || doorbell % 2)
		return false;
	queue->doorbell = virtio->notify + doorbell;
	put16(virtio->common, PC_MESSAGE, NO_MESSAGE);
	put16(virtio->common, PC_QUEUE_SIZE, queue->size);
	put16(virtio->common, PC_QUEUE_MESSAGE, message);
	if (get16(virtio->common, PC_QUEUE_MESSAGE) != message)
		return false;
	put64(virtio->common, PC_QUEUE_DESC, address[0]);
	put64(virtio->common, PC_QUEUE_AVAIL, address[1]);
	put64(virtio->common, PC_QUEUE_USED, address[2]);
	put16(virtio->common, PC_QUEUE_ENABLE, 1);
	return true;
}

static bool queue_open_mmio(struct virtio *virtio, struct virtqueue *queue, const paddr_t address[3])
{
	queue->doorbell = virtio->common + MM_QUEUE_NOTIFY;
	put32(virtio->common, MM_QUEUE_SIZE, queue->size);
	put64(virtio->common, MM_QUEUE_DESC, address[0]);
	put64(virtio->common, MM_QUEUE_AVAIL, address[1]);
	put64(virtio->common, MM_QUEUE_USED, address[2]);
	put32(virtio->common, MM_QUEUE_READY, 1);
	return get32(virtio->common, MM_QUEUE_READY) == 1;
}

bool virtio_queue_open(struct virtio *virtio, struct virtqueue *queue, uint16_t number, uint16_t size, void *memory,
    uint16_t message)
{
	paddr_t base = (paddr_t)((char *)memory - arch_phys_base);
	paddr_t address[3] = { base, base + avail_offset(size), base + used_offset(size) };

	*queue = (struct virtqueue){
		.number = number, .size = size, .mask = size - 1u, .desc = memory,
		.avail = (void *)((char *)memory + avail_offset(size)),
		.used = (void *)((char *)memory + used_offset(size)),
	};
	queue->avail->flags = queue->avail->index = 0;
	queue->used->flags = queue->used->index = 0;
	if (virtio_queue_max(virtio, number) < size)
		return false;
	return virtio->mmio ? queue_open_mmio(virtio, queue, address) : queue_open_pci(virtio, queue, address, message);
}
