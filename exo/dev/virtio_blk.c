/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio block driver: flights in, their ends out, no more.
 *
 * Each queue has so many slots. Slot i is descriptor i, which refers to a request's head, and descriptor slots + i, to
 * its status byte: both lie in the driver's memory and never change place. The descriptors above refer to the data, in
 * application frames, or to the range of a discard. On PCI there is a queue for each CPU, up to four, as the device and
 * memory allow: a flight goes into that of the CPU that submits it, which then is interrupted by its end.
 *
 * V1 flight[i] is FREE or the flight in slot i, whose descriptors are the device's then. What it returns beside that is
 *    counted in info->errors and ignored
 * V2 free_slot and free_part are stacks of the others; next[i] is the data descriptor behind descriptor i of a chain: what
 *    stands in the descriptors themselves the device might have changed
 *
 * All is under the kernel lock. Source: Virtual I/O Device (VIRTIO) 1.1, section 5.2.
 */
#include "exo/dev/virtio.h"
#include "exo/disks.h"

#define F_PARTS			2	/* it says how many parts a request may have */
#define F_READ_ONLY		5
#define F_FLUSH			9
#define F_QUEUES		12
#define F_DISCARD		13
#define F_ZEROES		14

#define CONF_SECTORS		0	/* of 512 bytes, always */
#define CONF_PARTS		12
#define CONF_QUEUES		34
#define CONF_DISCARD_SECTORS	36
#define CONF_ZEROES_SECTORS	48
#define CONF_BYTES		60
#define BLOCK_SECTORS		(EXO_PAGE_SIZE / 512)
#define RANGE_SECTORS		(EXO_DISK_PARTS_MAX * EXO_DISK_BLOCKS_MAX * BLOCK_SECTORS)	/* of the longest request */

#define QUEUES_MAX		4
#define QUEUE_FRAMES		4096	/* of the machine's memory, for each queue after the first */
#define SIZE_LEAST		64
#define SIZE_MOST		256
#define SLOTS_MAX		64
#define FREE			0xff
#define STATUS_NONE		0xff
#define BUDGET			8000	/* instructions that one interrupt's ends may cost, roughly */
#define COST_ERROR		100

struct head {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

struct queue {
	struct virtqueue ring;
	struct blk *blk;
	uint32_t again;			/* data word of its message interrupt */
	uint16_t slots, free_slots, free_parts;
	uint8_t flight[SLOTS_MAX], free_slot[SLOTS_MAX];
	uint8_t free_part[SIZE_MOST], next[SIZE_MOST];
	struct head head[SLOTS_MAX];
	struct range range[SLOTS_MAX];
	uint8_t status[SLOTS_MAX];
};

struct blk {
	struct disk disk;		/* first */
	struct virtio virtio;
	uint64_t features;
	unsigned queues;
	struct queue *queue[QUEUES_MAX];
};

static struct blk blks[DISKS_MAX];

static const uint8_t types[] = {
	[EXO_DISK_READ] = 0, [EXO_DISK_WRITE] = 1, [EXO_DISK_FLUSH] = 4, [EXO_DISK_DISCARD] = 11, [EXO_DISK_ZEROES] = 13,
};

static struct queue *queue_here(struct disk *disk)
{
	struct blk *blk = (struct blk *)disk;

	return blk->queue[here.index % blk->queues];
}

/* A data descriptor more behind `at`; returns it. */
static unsigned part_add(struct queue *queue, unsigned at, paddr_t address, uint32_t bytes, uint16_t flags)
{
	uint8_t part = queue->free_part[--queue->free_parts];

	queue->ring.desc[part] = (struct virtq_desc){ .address = address, .bytes = bytes, .flags = flags | VIRTQ_DESC_NEXT };
	queue->ring.desc[at].next = queue->next[at] = part;
	return part;
}

static bool blk_submit(struct disk *disk, unsigned flight, const struct disk_transfer *transfer)
{
	struct queue *queue = queue_here(disk);
	bool ranged = transfer->operation >= EXO_DISK_DISCARD;
	unsigned slot, at;

	if (queue->free_slots == 0 || queue->free_parts < (ranged ? 1 : transfer->parts))
		return false;
	at = slot = queue->free_slot[--queue->free_slots];
	queue->flight[slot] = (uint8_t)flight;
	queue->status[slot] = STATUS_NONE;
	queue->head[slot].type = types[transfer->operation];
	queue->head[slot].sector = ranged ? 0 : transfer->block * BLOCK_SECTORS;
	if (ranged) {
		queue->range[slot] = (struct range){ transfer->block * BLOCK_SECTORS, transfer->blocks * BLOCK_SECTORS, 0 };
		at = part_add(queue, at, virt_to_phys(&queue->range[slot]), sizeof(struct range), 0);
	} else {
		for (unsigned i = 0; i < transfer->parts; i++)
			at = part_add(queue, at, transfer->part[i].address, transfer->part[i].bytes,
			    transfer->operation == EXO_DISK_READ ? VIRTQ_DESC_WRITE : 0);
	}
	queue->ring.desc[at].next = queue->slots + slot;
	queue->next[at] = 0;
	virtqueue_post(&queue->ring, (uint16_t)slot);
	return true;
}

static void blk_notify(struct disk *disk)
{
	virtqueue_publish(&((struct blk *)disk)->virtio, &queue_here(disk)->ring);
}

/* The device is done with a slot; returns what the end cost. */
static unsigned slot_done(struct queue *queue, unsigned slot)
{
	uint8_t flight = queue->flight[slot];

	for (unsigned part = queue->next[slot]; part != 0; part = queue->next[part])
		queue->free_part[queue->free_parts++] = (uint8_t)part;
	queue->next[slot] = 0;
	queue->flight[slot] = FREE;
	queue->free_slot[queue->free_slots++] = (uint8_t)slot;
	return disk_done(&queue->blk->disk, flight, read_once(queue->status[slot]) != 0);
}

/* Its message interrupt, and the one raised for ends that were left. */
static void queue_interrupt(void *arg)
{
	struct queue *queue = arg;
	struct disk *disk = &queue->blk->disk;
	unsigned cost = 0;
	uint32_t id, bytes;

	disks_lock();
	disk->info->interrupts++;
	while (virtqueue_pending(&queue->ring) && cost < BUDGET) {
		if (virtqueue_next(&queue->ring, &id, &bytes) && id < queue->slots && queue->flight[id] != FREE) {
			cost += slot_done(queue, id);
		} else {
			disk->info->errors++;
			cost += COST_ERROR;
		}
	}
	if (disk_settled(disk) || virtqueue_pending(&queue->ring))
		disk_again(queue->again);
	disks_unlock();
}

/* The interrupt line. */
static void blk_pin_interrupt(void *arg)
{
	struct blk *blk = arg;
	uint32_t reasons = virtio_interrupt(&blk->virtio);

	if (!reasons)
		return;
	virtio_acknowledge(&blk->virtio, reasons);
	if (blk->disk.info)
		queue_interrupt(blk->queue[0]);
}

/* --- starting --- */

static uint32_t conf32(const struct blk *blk, unsigned offset)
{
	return *(const volatile uint32_t *)(blk->virtio.device + offset);
}

/* Hand a queue to the device, empty. */
static bool queue_open(struct blk *blk, struct queue *queue, unsigned number, uint16_t size, void *memory)
{
	if (!virtio_queue_open(&blk->virtio, &queue->ring, (uint16_t)number, size, memory, (uint16_t)number))
		return false;
	queue->slots = size / 4 < SLOTS_MAX ? size / 4 : SLOTS_MAX;
	queue->free_slots = queue->free_parts = 0;
	for (unsigned i = 0; i < queue->slots; i++) {
		queue->ring.desc[i] = (struct virtq_desc){
			.address = virt_to_phys(&queue->head[i]), .bytes = sizeof(struct head), .flags = VIRTQ_DESC_NEXT,
		};
		queue->ring.desc[queue->slots + i] = (struct virtq_desc){
			.address = virt_to_phys(&queue->status[i]), .bytes = 1, .flags = VIRTQ_DESC_WRITE,
		};
		queue->flight[i] = FREE;
		queue->free_slot[queue->free_slots++] = (uint8_t)(queue->slots - 1 - i);
	}
	for (unsigned i = 2 * queue->slots; i < size; i++)
		queue->free_part[queue->free_parts++] = (uint8_t)i;
	return true;
}

/* A queue and its interrupt; pci NULL: the line's. NULL: the device has no such queue, or a very small one. */
static struct queue *queue_make(struct blk *blk, struct pci *pci, unsigned number)
{
	uint16_t size = SIZE_MOST, most = virtio_queue_max(&blk->virtio, (uint16_t)number);
	struct queue *queue;
	uint8_t *memory;
	uint64_t address;

	while (size > most)
		size /= 2;
	if (size < SIZE_LEAST)
		return NULL;
	memory = pfn_to_virt(frame_boot_take((virtqueue_bytes(size) + sizeof(*queue) + EXO_PAGE_SIZE - 1) >> EXO_PAGE_SHIFT,
	    EXO_FRAME_KERNEL));
	queue = (struct queue *)(memory + virtqueue_bytes(size));
	if (!(pci ? pci_message_interrupt(pci, number, queue_interrupt, queue, &queue->again)
		  : arch_irq_msi(queue_interrupt, queue, 0, &address, &queue->again)) ||
	    !queue_open(blk, queue, number, size, memory))
		return NULL;
	queue->blk = blk;
	return queue;
}

/* How many queues are of use: one for each CPU, as memory allows. */
static unsigned queues_wanted(const struct blk *blk, bool several)
{
	unsigned most = 1 + info->frames_memory / QUEUE_FRAMES, offered = several ? conf32(blk, CONF_QUEUES - 2) >> 16 : 1;

	if (most > QUEUES_MAX)
		most = QUEUES_MAX;
	if (most > info->cpus)
		most = info->cpus;
	return most < offered ? most : offered;
}

static bool blk_stop(struct disk *disk)
{
	return virtio_reset(&((struct blk *)disk)->virtio, 1);
}

static int64_t blk_again(struct disk *disk)
{
	struct blk *blk = (struct blk *)disk;
	struct virtqueue *ring;

	if (!virtio_agree(&blk->virtio, blk->features, 0))
		return ERR(DEVICE);
	for (unsigned i = 0; i < blk->queues; i++) {
		ring = &blk->queue[i]->ring;
		if (!queue_open(blk, blk->queue[i], i, ring->size, ring->desc))
			return ERR(DEVICE);
	}
	virtio_ready(&blk->virtio);
	return 0;
}

/* NULL: it runs; else what is missing. */
static const char *blk_start(struct blk *blk, struct pci *pci)
{
	struct disk *disk = &blk->disk;
	uint64_t features = virtio_start(&blk->virtio, 1ULL << VIRTIO_F_VERSION_1, 1 << F_PARTS | 1 << F_READ_ONLY |
	    1 << F_FLUSH | (pci ? 1 << F_QUEUES : 0) | 1 << F_DISCARD | 1 << F_ZEROES);
	unsigned wanted;

	if (!features)
		return "it refuses version 1 of its interface";
	if (blk->virtio.device_bytes < CONF_BYTES ||
	    (features >> F_PARTS & 1 && conf32(blk, CONF_PARTS) < EXO_DISK_PARTS_MAX))
		return "its requests may have too few parts";
	disk->blocks = (conf32(blk, CONF_SECTORS) | (uint64_t)conf32(blk, CONF_SECTORS + 4) << 32) / BLOCK_SECTORS;
	disk->flags = (features >> F_READ_ONLY & 1 ? EXO_DISK_READ_ONLY : 0) | (features >> F_FLUSH & 1 ? EXO_DISK_CACHE : 0);
	if (features >> F_DISCARD & 1 && conf32(blk, CONF_DISCARD_SECTORS) >= RANGE_SECTORS)
		disk->flags |= EXO_DISK_HAS_DISCARD;
	if (features >> F_ZEROES & 1 && conf32(blk, CONF_ZEROES_SECTORS) >= RANGE_SECTORS)
		disk->flags |= EXO_DISK_HAS_ZEROES;
	disk->submit = blk_submit;
	disk->notify = blk_notify;
	disk->stop = blk_stop;
	disk->start = blk_again;
	blk->features = features;
	for (wanted = queues_wanted(blk, features >> F_QUEUES & 1); blk->queues < wanted; blk->queues++) {
		blk->queue[blk->queues] = queue_make(blk, pci, blk->queues);
		if (!blk->queue[blk->queues])
			break;
	}
	if (blk->queues == 0)
		return pci ? "it has no usable queue or message interrupt (vectors=0?)" : "it has no usable queue";
	disk->again = blk->queue[0]->again;
	if (!disk_add(disk, "blk"))
		return "there are too many devices, or it has no blocks";
	virtio_ready(&blk->virtio);
	return NULL;
}

static struct blk *blk_new(void)
{
	for (unsigned i = 0; i < DISKS_MAX; i++) {
		if (!blks[i].queues)
			return &blks[i];
	}
	return NULL;
}

const char *virtio_blk_pci(struct pci *pci)
{
	struct blk *blk = blk_new();

	if (!blk)
		return "there are too many devices";
	if (!virtio_open_pci(&blk->virtio, pci))
		return "it has no modern interface (disable-modern=on?)";
	return blk_start(blk, pci);
}

const char *virtio_blk_mmio(const struct virtio *virtio, const struct arch_mmio_device *window)
{
	struct blk *blk = blk_new();

	if (!blk)
		return "there are too many devices";
	blk->virtio = *virtio;
	if (!arch_irq_pin(window->gsi, true, false, blk_pin_interrupt, blk))
		return "there is no interrupt left";
	return blk_start(blk, NULL);
}
