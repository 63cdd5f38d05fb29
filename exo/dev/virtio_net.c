/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio network driver: buffers in, frames out, no more.
 *
 * Received frames land in a pool of the kernel's buffers, two to a frame of memory, as many as the machine's memory
 * allows; each is handed to flow_receive(), which copies it, and posted again. While the device has an owner, the queue
 * has that one's slots instead, descriptor i for slot i, the device's header right before the frame, in what is unused of
 * the slot before. From one to the other the device is reset, the only way to have back what it was given. Sending has a
 * fixed number of slots: slot i is descriptor i and a head (the device's header and a frame's first bytes); descriptors
 * above the slots refer to the rest in application frames. Sent frames are collected when somebody sends again or a frame
 * comes in, those that nobody is told of in heaps; the interrupt for it is on only while somebody waits.
 *
 * V1 slot[i].busy iff descriptor i is the device's. What it returns beside that is counted in info->errors and ignored;
 *    a buffer that it returns twice is posted twice, which harms it alone
 * V2 free_slots and free_parts are stacks of the others; a free slot has no parts
 * V3 a busy slot with a flow is counted in the flow's descriptors and in `told`; one marked orphan holds pins of its own
 * V4 rx_out has bit i iff the device has the owner's slot i, of which there are rx_has. While `resetting`, nothing that it
 *    returns of the receive queue is looked at, and lent_count frames of the last owner's hold pins of the driver's
 *
 * V5 while a flow waits for room or an orphan's frames are pinned, `watching` is set
 *
 * One stay in the kernel handles packets worth about BUDGET instructions; what is left waits a little, or until the CPU
 * idles.
 */
#include "exo/dev/virtio.h"

#define NETS_MAX		2
#define QUEUE_RX		0
#define QUEUE_TX		1
#define F_SUM			0	/* the device sums what it sends ... */
#define F_CUT			11	/* ... and cuts TCP over IPv4 */
#define F_ADDRESS		5	/* the device has its hardware address in its configuration */
#define F_NEED			(1ULL << VIRTIO_F_VERSION_1)
#define F_WANT			(1ULL << F_ADDRESS | 1ULL << F_SUM | 1ULL << F_CUT)

#define BUFFER_BYTES		2048
#define BUFFERS_MIN		16
#define BUFFERS_MAX		128
#define OWN_MAX			EXO_RX_SLOTS_MAX
#define FRAMES_PER_BUFFER	64	/* of the machine's memory */
#define FRAME_BYTES_MIN		14

#define TX_DESCRIPTORS		128
#define TX_SLOTS		64
#define HEADER_BYTES		12
#define HEADER_SUM		1ULL		/* its first 8 bytes: sum, ... */
#define HEADER_CUT		(1ULL << 8)	/* ... cut, ... */
#define HEADER_CUT_SHIFT	16		/* ... below so many bytes of headers, into segments of so many; ... */
#define HEADER_SUM_FROM		(34ULL << 48)	/* ... the sum begins behind Ethernet's header and IPv4's; ... */
#define SUM_AT			16		/* ... behind them: where TCP's sum is */
#define HEAD_BYTES		80	/* header and EXO_GUARD_BYTES, rounded up */

#define BUDGET			4000	/* instructions */
#define RECLAIM_MAX		32	/* sent frames that one stay collects */
#define RECLAIM_HEAP		16	/* ... and how many there may be that nobody is told of, before it does */
#define ORPHANS_MAX		2	/* ... whose pages it lets go: some 50 each, if they are large */
#define COST_BUFFER		50
#define COST_OWN		100
#define RESET_LOOKS		1000	/* at a device that is not done: more than a millisecond. Then later */
#define BATCH_PAUSE_NS		20000

struct tx_slot {
	bool busy, orphan;
	bool back;		/* orphan: the device is done with it, its frames are still pinned */
	uint16_t part;		/* first further descriptor */
	uint16_t parts;		/* 0: the rest does not matter */
	uint32_t start, count;	/* the flow's descriptors */
	struct flow *flow;	/* NULL: nobody is told */
};

struct net {
	struct device device;	/* first */
	struct virtio virtio;
	struct virtqueue rx, tx;
	bool used;
	bool watching;
	bool resetting;
	unsigned told;
	unsigned orphans_back;
	uint64_t features;
	uint16_t buffer_count;	/* of the kernel's */
	uint16_t rx_count;	/* descriptors that are in use: one for each buffer, or for each slot of the owner's */
	uint16_t rx_size;	/* of the queue */
	uint32_t rx_taken;	/* of what the owner has posted */
	uint32_t rx_has;
	uint64_t rx_out[OWN_MAX / 64];
	exo_pfn_t lent;
	uint32_t lent_count;
	uint32_t again;		/* data word of the interrupt that is raised for work left */
	uint8_t *queues, *buffers, *heads;
	struct tx_slot slot[TX_SLOTS];
	uint32_t free_slots, free_parts;
	uint16_t free_slot[TX_SLOTS], free_part[TX_DESCRIPTORS - TX_SLOTS];
	uint16_t next_part[TX_DESCRIPTORS];
	struct device_part part[TX_DESCRIPTORS];
};

static struct net nets[NETS_MAX];

static struct net *net_of(struct device *device)
{
	return (struct net *)device;
}

/* --- sending --- */

static rarely void part_pins(const struct device_part *part, bool pin)
{
	exo_pfn_t last = (exo_pfn_t)((part->address + part->bytes - 1) >> EXO_PAGE_SHIFT);

	for (exo_pfn_t pfn = (exo_pfn_t)(part->address >> EXO_PAGE_SHIFT); pfn <= last; pfn++) {
		if (pin)
			frame_pin(pfn);
		else
			frame_unpin(pfn);
	}
}

/* Its parts; false: it is an orphan, whose frames must be let go first. */
static out_of_line bool parts_done(struct net *net, struct tx_slot *slot)
{
	if (slot->orphan) {
		slot->back = true;
		net->orphans_back++;
		return false;
	}
	for (uint16_t i = 0, at = slot->part; i < slot->parts; i++, at = net->next_part[at])
		net->free_part[net->free_parts++] = at;
	slot->parts = 0;
	if (slot->flow) {
		net->told--;
		flow_sent(slot->flow, slot->start, slot->count);
	}
	return true;
}

static inline __attribute__((always_inline)) void slot_done(struct net *net, uint32_t id)
{
	struct tx_slot *slot = &net->slot[id];

	if (slot->parts && !parts_done(net, slot))
		return;
	slot->busy = false;
	net->free_slot[net->free_slots++] = (uint16_t)id;
}

/* Frames are let go under the kernel lock only, which may not be waited for here: if it is not free, another time. */
static __attribute__((cold)) void orphans_free(struct net *net)
{
	unsigned left = ORPHANS_MAX;
	struct tx_slot *slot;

	if (!kernel_trylock())
		return;
	for (uint16_t id = 0; id < TX_SLOTS && net->orphans_back && left; id++) {
		slot = &net->slot[id];
		if (!slot->orphan || !slot->back)
			continue;
		left--;
		for (uint16_t i = 0, at = slot->part; i < slot->parts; i++, at = net->next_part[at])
			part_pins(&net->part[at], false);
		slot->orphan = slot->back = false;
		net->orphans_back--;
		slot_done(net, id);
	}
	kernel_unlock();
}

static out_of_line void net_later(struct device *device)
{
	device->due = arch_now() + BATCH_PAUSE_NS;
	cpu_timer_need(device->due);
}

/* Somebody waits. */
static rarely out_of_line void watched(struct device *device)
{
	struct net *net = net_of(device);

	if (net->orphans_back)
		orphans_free(net);
	if (device->waiting && net->free_slots && !net->resetting) {
		flow_room(device);
		if (device->waiting)
			net_later(device);
	}
	if (net->free_slots == TX_SLOTS && !device->waiting) {
		net->watching = false;
		virtqueue_interrupts(&net->tx, false);
	}
}

static out_of_line void reclaim(struct device *device)
{
	struct net *net = net_of(device);
	uint32_t id, bytes;

	for (unsigned left = virtqueue_back(&net->tx, RECLAIM_MAX); left; left--) {
		virtqueue_next(&net->tx, &id, &bytes);
		if (likely(id < TX_SLOTS && net->slot[id].busy && !net->slot[id].back))
			slot_done(net, id);
		else
			device->info->errors++;
	}
	if (unlikely(net->watching))
		watched(device);
}

/* Mostly nothing has come back that matters to anybody. */
static void net_reclaim(struct device *device)
{
	const struct net *net = net_of(device);

	if (unlikely(net->watching) ||
	    ((net->told || net->free_slots < TX_SLOTS - RECLAIM_HEAP) && virtqueue_pending(&net->tx)))
		reclaim(device);
}

static uint8_t *net_head(struct device *device, uint32_t parts)
{
	struct net *net = net_of(device);

	uint32_t slots = net->free_slots;

	if (unlikely(slots == 0 || net->free_parts < parts || net->resetting))
		return NULL;
	return net->heads + net->free_slot[slots - 1] * (size_t)HEAD_BYTES + HEADER_BYTES;
}

static void net_send(struct device *device, const struct device_send *frame)
{
	struct net *net = net_of(device);
	uint16_t id = net->free_slot[--net->free_slots], at = id;
	struct tx_slot *slot = &net->slot[id];
	struct virtq_desc *desc = &net->tx.desc[id];
	uint64_t header = 0;

	if (unlikely(frame->cut))
		header = HEADER_SUM | (frame->cut >> 16 ? HEADER_CUT : 0) | (uint64_t)frame->cut << HEADER_CUT_SHIFT | HEADER_SUM_FROM;
	*(uint64_t *)(net->heads + id * HEAD_BYTES) = header;
	desc->bytes = HEADER_BYTES + frame->head_bytes;
	for (uint32_t i = 0; i < frame->parts; i++) {
		uint16_t part = net->free_part[--net->free_parts];

		desc->flags = VIRTQ_DESC_NEXT;
		desc->next = part;
		net->next_part[at] = part;
		desc = &net->tx.desc[part];
		desc->address = frame->part[i].address;
		desc->bytes = frame->part[i].bytes;
		net->part[part] = frame->part[i];
		at = part;
	}
	desc->flags = 0;
	slot->busy = true;
	slot->parts = (uint16_t)frame->parts;
	if (frame->parts) {
		slot->part = net->next_part[id];
		slot->start = frame->start;
		slot->count = frame->count;
		slot->flow = frame->flow;
		net->told++;
	}
	virtqueue_post(&net->tx, id);
}

static void net_send_head(struct device *device, uint8_t *head, uint32_t bytes)
{
	struct net *net = net_of(device);
	uint16_t id = net->free_slot[--net->free_slots];
	struct virtq_desc *desc = &net->tx.desc[id];

	*(uint64_t *)(head - HEADER_BYTES) = 0;
	desc->bytes = HEADER_BYTES + bytes;
	desc->flags = 0;
	net->slot[id].busy = true;
	virtqueue_post(&net->tx, id);
}

static void net_notify(struct device *device)
{
	struct net *net = net_of(device);

	virtqueue_publish(&net->virtio, &net->tx);
}

static rarely void net_watch(struct device *device)
{
	struct net *net = net_of(device);

	net->watching = true;
	virtqueue_interrupts(&net->tx, true);
	net_reclaim(device);
	if (virtqueue_pending(&net->tx) || net->orphans_back)
		net_later(device);
}

static rarely void net_orphan(struct device *device, struct flow *flow, bool programs)
{
	struct net *net = net_of(device);
	bool any = false;

	net_reclaim(device);
	for (unsigned id = 0; id < TX_SLOTS; id++) {
		struct tx_slot *slot = &net->slot[id];

		if (!slot->busy || !slot->parts || slot->flow != flow || (programs && slot->count))
			continue;
		for (uint16_t i = 0, at = slot->part; i < slot->parts; i++, at = net->next_part[at])
			part_pins(&net->part[at], true);
		slot->flow = NULL;
		net->told--;
		slot->orphan = true;
		any = true;
	}
	if (any)
		net_watch(device);
}

/* --- receiving --- */

/* Hand on what has come, within the budget. true: there is more. */
static bool net_receive(struct net *net, exo_time_t now)
{
	struct device *device = &net->device;
	unsigned cost = 0;
	uint32_t id, bytes;

	if (!virtqueue_pending(&net->rx))
		return false;
	do {
		cost += COST_BUFFER;
		virtqueue_next(&net->rx, &id, &bytes);
		if (id >= net->rx_count) {
			device->info->errors++;
			continue;
		}
		if (bytes < HEADER_BYTES + FRAME_BYTES_MIN || bytes > HEADER_BYTES + EXO_FRAME_BYTES_MAX)
			device->info->errors++;
		else
			cost += flow_receive(device->root, net->buffers + id * BUFFER_BYTES + HEADER_BYTES,
			    bytes - HEADER_BYTES, now);
		virtqueue_post(&net->rx, (uint16_t)id);
	} while (virtqueue_pending(&net->rx) && cost < BUDGET);
	virtqueue_publish(&net->virtio, &net->rx);
	flow_received();
	return virtqueue_pending(&net->rx);
}

static out_of_line void rx_publish(struct net *net)
{
	virtqueue_publish(&net->virtio, &net->rx);
}

/* Give the device what its owner has posted. A slot that it has already is not given twice. */
static out_of_line void own_post(struct net *net)
{
	const struct flow *flow = net->device.owner;
	const struct exo_ring *ring = flow->ring;
	uint32_t posted = read_once(ring->rx_posted), mask = flow->rx_slots - 1, slot;

	if (posted - net->rx_taken > flow->rx_slots)
		posted = net->rx_taken;
	while (net->rx_taken != posted) {
		slot = read_once(ring->rx_free[net->rx_taken++ & mask]) & mask;
		if (net->rx_out[slot / 64] >> slot % 64 & 1)
			continue;
		net->rx_out[slot / 64] |= 1ULL << slot % 64;
		net->rx_has++;
		virtqueue_post(&net->rx, (uint16_t)slot);
	}
	if ((uint16_t)net->rx.posted != net->rx.avail->index)
		rx_publish(net);
}

/* It has few: so that slots are given in heaps. */
static inline bool own_low(const struct net *net)
{
	return net->rx_has < net->rx_count / 2u;
}

static out_of_line bool own_receive(struct net *net, exo_time_t now)
{
	struct device *device = &net->device;
	unsigned cost = 0;
	uint32_t id, bytes;

	while (virtqueue_pending(&net->rx) && cost < BUDGET) {
		cost += COST_OWN;
		virtqueue_next(&net->rx, &id, &bytes);
		if (id >= net->rx_count || !(net->rx_out[id / 64] >> id % 64 & 1)) {
			device->info->errors++;
			continue;
		}
		if (bytes < HEADER_BYTES + FRAME_BYTES_MIN || bytes > HEADER_BYTES + EXO_FRAME_BYTES_MAX) {
			device->info->errors++;
			virtqueue_post(&net->rx, (uint16_t)id);
			rx_publish(net);
			continue;
		}
		net->rx_out[id / 64] &= ~(1ULL << id % 64);
		net->rx_has--;
		flow_filled(device->owner, id, bytes - HEADER_BYTES, now);
	}
	if (own_low(net))
		own_post(net);
	flow_received();
	return virtqueue_pending(&net->rx);
}

/* --- changing hands --- */

/* Lay both queues out and fill the one that receives, with what is whoever's turn it is. */
static rarely bool queues_open(struct net *net)
{
	const struct flow *owner = net->device.owner;
	paddr_t first = owner ? ((paddr_t)(owner->ring_pfn + 1) << EXO_PAGE_SHIFT) - HEADER_BYTES :
	    (paddr_t)((char *)net->buffers - arch_phys_base);

	if (!virtio_queue_open(&net->virtio, &net->rx, QUEUE_RX, net->rx_size, net->queues, 0) ||
	    !virtio_queue_open(&net->virtio, &net->tx, QUEUE_TX, TX_DESCRIPTORS,
	    net->queues + virtqueue_bytes(net->rx_size), 0))
		return false;
	net->rx_count = owner ? (uint16_t)owner->rx_slots : net->buffer_count;
	for (uint16_t i = 0; i < net->rx_count; i++) {
		net->rx.desc[i] = (struct virtq_desc){
			.address = first + i * BUFFER_BYTES, .bytes = BUFFER_BYTES, .flags = VIRTQ_DESC_WRITE,
		};
		if (!owner)
			virtqueue_post(&net->rx, i);
	}
	for (uint16_t i = 0; i < TX_SLOTS; i++)
		net->tx.desc[i].address = (paddr_t)((char *)net->heads - arch_phys_base) + i * HEAD_BYTES;
	virtqueue_interrupts(&net->tx, net->watching);
	return true;
}

/* Posted before the device runs, told after. An owner's slots it is given by the batch that comes. */
static void net_run(struct net *net)
{
	virtio_ready(&net->virtio);
	rx_publish(net);
}

/* It is reset: all that was in it has come back. Now it runs again, if it says what it said at boot. */
static rarely out_of_line void restart(struct net *net)
{
	for (uint16_t id = 0; id < TX_SLOTS; id++) {
		if (net->slot[id].busy && !net->slot[id].back)
			slot_done(net, id);
	}
	__builtin_memset(net->rx_out, 0, sizeof(net->rx_out));
	net->rx_taken = net->rx_count = net->rx_has = 0;
	net->resetting = false;
	if (virtio_agree(&net->virtio, F_NEED, F_WANT) == net->features && queues_open(net))
		net_run(net);
	else
		net->device.info->errors++;
	net_later(&net->device);
}

/* It was not at once: is it now? Pins go under the kernel lock only, as in orphans_free(). */
static rarely void reset_over(struct net *net)
{
	if (!virtio_reset(&net->virtio, 1) || (net->lent_count && !kernel_trylock())) {
		net_later(&net->device);
		return;
	}
	if (net->lent_count) {
		for (; net->lent_count; net->lent_count--)
			frame_unpin(net->lent++);
		kernel_unlock();
	}
	restart(net);
}

static void own_reclaim(struct device *device)
{
	struct net *net = net_of(device);

	net_reclaim(device);
	if (likely(!net->resetting) && own_low(net))
		own_post(net);
}

/* The frames of who owned it are to be free. Who will own it waits for the next batch: binding costs enough. */
static rarely void net_own(struct device *device, struct flow *flow)
{
	struct net *net = net_of(device);
	const struct flow *before = device->owner;
	bool already = net->resetting;

	device->owner = flow;
	device->reclaim = flow ? own_reclaim : net_reclaim;
	net->resetting = true;
	if (before && !already) {
		if (virtio_reset(&net->virtio, RESET_LOOKS)) {
			restart(net);
			return;
		}
		net->lent = before->ring_pfn;
		for (net->lent_count = 0; net->lent_count <= before->rx_frames; net->lent_count++)
			frame_pin(net->lent + net->lent_count);
	}
	net_later(device);
}

/*
 * Deliver one batch. If there is more, interrupts stay off and the rest waits for longer than the batch took, so that a
 * flood leaves most of the time to those who run; an idle CPU hurries.
 */
static void net_batch(struct device *device)
{
	struct net *net = net_of(device);
	exo_time_t start = arch_now(), end;
	bool behind;

	device->hurried = false;
	if (unlikely(net->resetting)) {
		reset_over(net);
		return;
	}
	net_reclaim(device);
	behind = unlikely(device->owner != NULL) ? own_receive(net, start) : net_receive(net, start);
	if (unlikely(net->watching))
		behind |= virtqueue_pending(&net->tx) || net->orphans_back || (device->waiting && net->free_slots);
	if (!behind && device->due != EXO_NEVER) {
		device->due = EXO_NEVER;
		virtqueue_interrupts(&net->rx, true);
		behind = virtqueue_pending(&net->rx);
	}
	if (!behind)
		return;
	virtqueue_interrupts(&net->rx, false);
	end = arch_now();
	device->due = end + BATCH_PAUSE_NS + 2 * (end - start);
	cpu_timer_need(device->due);
}

/* The message interrupt, and the one raised for work left. */
static void net_interrupt(void *arg)
{
	struct net *net = arg;

	spin_lock_here(&flow_lock);
	net->device.info->interrupts++;
	net_batch(&net->device);
	spin_unlock(&flow_lock);
}

static void net_hurry(struct device *device)
{
	arch_irq_again(net_of(device)->again);
}

/* The interrupt line. */
static void net_pin_interrupt(void *arg)
{
	struct net *net = arg;
	uint32_t reasons = virtio_interrupt(&net->virtio);

	if (!reasons)
		return;
	virtio_acknowledge(&net->virtio, reasons);
	net_interrupt(net);
}

/* --- starting --- */

static uint16_t power_below(uint32_t number)
{
	uint16_t power = 1;

	while (2u * power <= number)
		power *= 2;
	return power;
}

/* How many buffers: by the machine's memory and what the queue takes. 0: no usable queue. */
static uint16_t buffers_wanted(struct net *net)
{
	uint32_t wanted = info->frames_memory / FRAMES_PER_BUFFER, most = virtio_queue_max(&net->virtio, QUEUE_RX);

	if (most == 0 || virtio_queue_max(&net->virtio, QUEUE_TX) < TX_DESCRIPTORS)
		return 0;
	net->rx_size = power_below(most < OWN_MAX ? most : OWN_MAX);
	if (wanted < BUFFERS_MIN)
		wanted = BUFFERS_MIN;
	if (wanted > BUFFERS_MAX)
		wanted = BUFFERS_MAX;
	return power_below(wanted < net->rx_size ? wanted : net->rx_size);
}

static uint32_t pages(uint32_t bytes)
{
	return (bytes + EXO_PAGE_SIZE - 1) / EXO_PAGE_SIZE;
}

static bool queues_make(struct net *net)
{
	uint32_t bytes = virtqueue_bytes(net->rx_size) + virtqueue_bytes(TX_DESCRIPTORS);
	uint32_t queue_pages = pages(bytes + TX_SLOTS * HEAD_BYTES);

	net->queues = pfn_to_virt(frame_boot_take(queue_pages + pages(net->buffer_count * BUFFER_BYTES), EXO_FRAME_KERNEL));
	net->heads = net->queues + bytes;
	net->buffers = net->queues + queue_pages * EXO_PAGE_SIZE;
	for (uint16_t i = 0; i < TX_SLOTS; i++) {
		net->heads[i * HEAD_BYTES + sizeof(uint64_t)] = SUM_AT;
		net->free_slot[net->free_slots++] = TX_SLOTS - 1 - i;
	}
	for (uint16_t i = TX_SLOTS; i < TX_DESCRIPTORS; i++)
		net->free_part[net->free_parts++] = i;
	return queues_open(net);
}

static void hardware_address(struct net *net, bool given, uint8_t address[6])
{
	uint64_t random = given ? 0 : arch_random();

	for (unsigned i = 0; i < 6; i++)
		address[i] = given ? net->virtio.device[i] : (uint8_t)(random >> 8 * i);
	if (!given)
		address[0] = (uint8_t)((address[0] & 0xfe) | 0x02);
}

/* Interrupts are routed. NULL: it runs; else what is missing. */
static __attribute__((cold)) const char *net_start(struct net *net, uint64_t features)
{
	uint8_t address[6];

	net->features = features;
	net->buffer_count = buffers_wanted(net);
	if (!net->buffer_count)
		return "its queues are too small";
	hardware_address(net, features >> F_ADDRESS & 1, address);
	net->device.reclaim = net_reclaim;
	net->device.head = net_head;
	net->device.send = net_send;
	net->device.send_head = net_send_head;
	net->device.notify = net_notify;
	net->device.watch = net_watch;
	net->device.orphan = net_orphan;
	net->device.resume = net_batch;
	net->device.hurry = net_hurry;
	net->device.own = net_own;
	net->device.own_slots = net->rx_size;
	if (!queues_make(net))
		return "it does not take a queue";
	if (!device_add(&net->device, "net", address))
		return "there are too many devices";
	if (features >> F_CUT & features >> F_SUM & 1)
		net->device.info->flags = EXO_NET_CUTS;
	net_run(net);
	return NULL;
}

static struct net *net_new(void)
{
	for (unsigned i = 0; i < NETS_MAX; i++) {
		if (!nets[i].used)
			return &nets[i];
	}
	return NULL;
}

rarely const char *virtio_net_pci(struct pci *pci)
{
	struct net *net = net_new();
	uint64_t features;
	const char *missing;

	if (!net)
		return "there are too many devices";
	if (!virtio_open_pci(&net->virtio, pci))
		return "it has no modern interface (disable-modern=on?)";
	if (!(features = virtio_start(&net->virtio, F_NEED, F_WANT)))
		return "it refuses version 1 of its interface";
	if (!pci_message_interrupt(pci, 0, net_interrupt, net, &net->again))
		return "it has no message interrupt (vectors=0?)";
	missing = net_start(net, features);
	net->used = !missing;
	return missing;
}

rarely const char *virtio_net_mmio(const struct virtio *virtio, const struct arch_mmio_device *window)
{
	struct net *net = net_new();
	uint64_t features, address;
	const char *missing;

	if (!net)
		return "there are too many devices";
	net->virtio = *virtio;
	if (!(features = virtio_start(&net->virtio, F_NEED, F_WANT)))
		return "it refuses version 1 of its interface";
	if (!arch_irq_msi(net_interrupt, net, 0, &address, &net->again) ||
	    !arch_irq_pin(window->gsi, true, false, net_pin_interrupt, net))
		return "there is no interrupt left";
	missing = net_start(net, features);
	net->used = !missing;
	return missing;
}
