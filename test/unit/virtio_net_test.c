/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio network driver with a device in memory, honest and not: the kernel's buffers, and a device that has an owner.
 *
 * The window's registers are plain memory. What the device has is read from the queue; it fills any of that, says what it
 * likes, and is not always done with a reset at once. A naive model says which slots of the owner's it has.
 */
#include "test/unit/flow_fake.h"
#include "exo/dev/virtio.h"

static bool slow;			/* a reset takes until the test says otherwise */
static unsigned resets;

static bool tested_reset(struct virtio *virtio, unsigned looks)
{
	resets++;
	return virtio_reset(virtio, slow ? 0 : looks);
}

#define virtio_reset tested_reset
#define virtio_net_pci tested_pci
#define virtio_net_mmio tested_mmio
#include "exo/dev/virtio_net.c"

enum { SLOT_OWN = SLOT_FIRST, SLOT_OTHER, SLOT_GIVEN };

static unsigned char *window;
static struct net *const net = &nets[0];
static uint16_t seen;			/* of what was posted to receive */
static uint16_t has[OWN_MAX];		/* descriptors that the device has */
static unsigned has_count;

static void reg(unsigned offset, uint32_t value)
{
	memcpy(window + offset, &value, 4);
}

static void start(uint32_t frames, uint32_t queue_size)
{
	static struct virtio opened;
	static struct arch_mmio_device place;
	uint32_t version;
	const char *missing;

	memset(nets, 0, sizeof(nets));
	world_boot(frames);
	place = (struct arch_mmio_device){ (paddr_t)frame_boot_take(1, EXO_FRAME_DEVICE) << EXO_PAGE_SHIFT, 512, 5 };
	window = phys_to_virt(place.base);
	memset(window, 0, EXO_PAGE_SIZE);
	reg(0x000, 0x74726976);
	reg(0x004, 2);
	reg(0x008, 1);
	reg(0x010, 1);			/* bit 0 of the upper half is version 1; so it also sums (bit 0) */
	reg(0x034, queue_size);
	ok(virtio_open_mmio(&opened, &place, &version) == 1 && version == 2, "a network device");
	missing = tested_mmio(&opened, &place);
	ok(!missing, "runs%s%s", missing ? ": " : "", missing ? missing : "");
	cap_fill(cap_free_slot(world.env[0], SLOT_ROOT), EXO_TYPE_FLOW, EXO_RIGHT_CLAIM | EXO_RIGHT_BIND | EXO_RIGHT_READ,
	    0, 0, net->device.root->self, NULL, SLOT_ROOT);
	take_run(0, SLOT_CLAIMS, 48);
	seen = 0;
	has_count = 0;
}

/* The device looks at what was posted. False: more than its queue holds, or not a descriptor. */
static bool device_look(void)
{
	bool right = true;

	while (seen != net->rx.avail->index) {
		uint16_t id = net->rx.avail->ring[seen++ % net->rx.size];

		right = right && has_count < net->rx.size && id < net->rx.size;
		has[has_count++ % OWN_MAX] = id;
	}
	return right;
}

static void device_anew(void)
{
	seen = 0;
	has_count = 0;
}

static void device_says(uint32_t id, uint32_t bytes)
{
	net->rx.used->ring[net->rx.used->index % net->rx.size].id = id;
	net->rx.used->ring[net->rx.used->index % net->rx.size].bytes = bytes;
	net->rx.used->index++;
}

/* It fills the n-th of those that it has with a frame of the type. Returns where that lies. */
static uint8_t *device_fills(unsigned n, uint16_t type, uint32_t bytes)
{
	uint16_t id = has[n];
	uint8_t *at = phys_to_virt(net->rx.desc[id].address);

	has[n] = has[--has_count];
	memset(at, 0, HEADER_BYTES);
	memset(at + HEADER_BYTES, (int)bytes, bytes);
	at[HEADER_BYTES + 12] = (uint8_t)(type >> 8);
	at[HEADER_BYTES + 13] = (uint8_t)type;
	device_says(id, HEADER_BYTES + bytes);
	return at + HEADER_BYTES;
}

static void interrupt(void)
{
	net_interrupt(net);
}

/* The device changes hands, and is given what its owner has posted. */
static void changes_hands(void)
{
	device_anew();
	interrupt();
	interrupt();
}

static struct exo_ring *ring_of(unsigned who)
{
	return pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], SLOT_RING)->first);
}

static struct exo_ring *ring_ready(unsigned who, uint32_t rx_frames)
{
	struct exo_ring *ring;

	take_run(who, SLOT_RING, 1 + rx_frames);
	ring = ring_of(who);
	ring->rx_frames = rx_frames;
	ring->rx_posted = 2 * rx_frames;
	for (unsigned i = 0; i < 2 * rx_frames; i++)
		ring->rx_free[i] = (uint16_t)i;
	return ring;
}

static int64_t bind(unsigned who, uint32_t flow)
{
	return CALL(who, flow_bind, world_handle(who, flow), world_handle(who, SLOT_RING), 0, 0, 0, 0);
}

/* An owner's flow, which environment `who` has. Returns it. */
static struct flow *own_flow(unsigned who)
{
	struct exo_claim claim = claim_of(0, NULL);

	claim.flags = EXO_FLOW_OWN;
	claim.guards = 1;
	is_int(make(0, SLOT_OWN, world_handle(0, SLOT_ROOT), 0, &claim) > 0, 1, "a flow to own the device by");
	if (who)
		cap_fill(cap_free_slot(world.env[who], SLOT_GIVEN), EXO_TYPE_FLOW, EXO_RIGHT_BIND, 0, 0,
		    flow_at(0, SLOT_OWN)->self, cap_slot(world.env[0], SLOT_OWN), SLOT_GIVEN);
	return flow_at(0, SLOT_OWN);
}

static void test_claims(void)
{
	struct exo_claim claim = claim_of(1, &type_a);
	exo_cap_t root = world_handle(0, SLOT_ROOT);

	claim.flags = EXO_FLOW_OWN;
	is_int(make(0, SLOT_OWN, root, 0, &claim), ERR(INVAL), "an owner with terms");
	claim.terms = 0;
	claim.flags = EXO_FLOW_OWN | EXO_FLOW_SHARED;
	is_int(make(0, SLOT_OWN, root, 0, &claim), ERR(INVAL), "one that shares");
	claim.flags = EXO_FLOW_OWN;
	claim.budget = 1000;
	is_int(make(0, SLOT_OWN, root, 0, &claim), ERR(INVAL), "one with a budget");
	claim.budget = 0;
	struct exo_claim other = claim_of(1, &type_a);
	(void)make(0, SLOT_OTHER, root, 1, &other);
	is_int(make(0, SLOT_OWN, root, 0, &claim), ERR(OVERLAP), "one beside another flow");
	is_int(make(0, SLOT_OWN, world_handle(0, SLOT_OTHER), 0, &claim), ERR(STATE), "one below another");
	(void)CALL(0, cap_delete, world_handle(0, SLOT_OTHER));
	(void)own_flow(0);
	is_int(make(0, SLOT_OTHER, root, 1, &other), ERR(OVERLAP), "another beside it");
	is_int(make(0, SLOT_OTHER, root, 1, &claim), ERR(OVERLAP), "a second owner");
	is_int(make(0, SLOT_OTHER, world_handle(0, SLOT_OWN), 1, &other), ERR(STATE), "one below it");
	net->device.own_slots = 8;
	(void)ring_ready(0, 8);
	is_int(bind(0, SLOT_OWN), ERR(INVAL), "a ring with more slots than the device's queue");
	net->device.own_slots = net->rx_size;
	(void)CALL(0, cap_delete, world_handle(0, SLOT_RING));
	(void)CALL(0, cap_delete, world_handle(0, SLOT_OWN));
}

/* The kernel's buffers: packets are copied to whoever claims them, indices and lengths checked. */
static void shared_works(const char *when)
{
	struct exo_claim claim = claim_of(1, &type_a);
	struct exo_ring *ring;
	uint64_t errors;
	const struct flow *flow;

	is_int(make(0, SLOT_OTHER, world_handle(0, SLOT_ROOT), 1, &claim) > 0, 1, when);
	flow = flow_at(0, SLOT_OTHER);
	ring = ring_ready(0, 8);
	is_int(bind(0, SLOT_OTHER), 0, "a flow beside others is bound");
	ok(device_look() && has_count == net->buffer_count, "the device has all buffers");
	device_fills(below(has_count), 0x1111, 100);
	device_fills(below(has_count), 0x2222, 100);
	interrupt();
	ok(ring->rx_head == 1 && ring->rx[0].bytes == 100 && !ring->own, "its packet arrives");
	ok(flow->info->rx_direct == 0 && flow->info->rx_bytes == 100, "by copy");
	errors = net->device.info->errors;
	device_says(net->buffer_count, 100);
	device_says(~0u, 100);
	device_says(has[0], HEADER_BYTES + EXO_FRAME_BYTES_MAX + 1);
	device_says(has[0], 3);
	interrupt();
	is_int((long long)(net->device.info->errors - errors), 4, "what cannot be is counted");
	(void)CALL(0, cap_delete, world_handle(0, SLOT_RING));
	(void)CALL(0, cap_delete, world_handle(0, SLOT_OTHER));
	has_count = 0;
	seen = net->rx.avail->index;
}

/* --- an owner, against a model ---------------------------------------------------------------------------------- */

static bool model_has[OWN_MAX];		/* slots that the device has */
static uint32_t model_taken;		/* of what the owner has posted */
static unsigned wrong;

/* What the driver takes when it looks, if the device has few: the model does the same. */
static void model_take(const struct exo_ring *ring, uint32_t slots)
{
	unsigned count = 0;

	for (unsigned i = 0; i < slots; i++)
		count += model_has[i];
	if (ring->rx_posted - model_taken > slots || count >= slots / 2)
		return;
	while (model_taken != ring->rx_posted)
		model_has[ring->rx_free[model_taken++ % slots] % slots] = true;
}

static bool model_same(uint32_t slots)
{
	unsigned count = 0;
	bool there[OWN_MAX] = { false };

	if (!device_look())
		return false;
	for (unsigned i = 0; i < has_count; i++) {
		if (has[i] >= slots || there[has[i]] || !model_has[has[i]])
			return false;
		there[has[i]] = true;
	}
	for (unsigned i = 0; i < slots; i++)
		count += model_has[i];
	return count == has_count;
}

static void owner_posts(struct exo_ring *ring, uint32_t slots)
{
	for (unsigned n = below(6); n; n--)
		ring->rx_free[ring->rx_posted++ % slots] = (uint16_t)world_random();
	if (below(40) == 0)
		ring->rx_posted += below(2) ? below(2000) : (uint32_t)world_random();	/* wild */
	if (ring->rx_posted - model_taken > slots && below(2))
		ring->rx_posted = model_taken;						/* in order again */
}

static void device_does(struct exo_ring *ring, const struct flow *flow, uint32_t slots)
{
	for (unsigned n = below(5); n; n--) {
		uint64_t errors = net->device.info->errors, bytes = flow->info->rx_bytes, direct = flow->info->rx_direct;
		uint32_t head = flow->rx_head, size = 15 + below(EXO_FRAME_BYTES_MAX - 14);
		uint32_t id = below(2) ? below(slots + 20) : (uint32_t)world_random();
		bool lie = below(4) == 0 && (id >= slots || !model_has[id]), is_long = !lie && has_count && below(6) == 0;
		const uint8_t *at = NULL;

		if (lie)
			device_says(id, HEADER_BYTES + size);
		else if (!has_count)
			continue;
		else if (is_long)
			device_says(has[0], below(2) ? 4000 : below(26));
		else
			at = device_fills(below(has_count), 0x1111, size);
		if (at)
			model_has[(at - ((const uint8_t *)ring + EXO_PAGE_SIZE)) / EXO_RX_SLOT_BYTES] = false;
		interrupt();
		model_take(ring, slots);
		if (is_long)		/* it has it again: the same as before */
			has[0] = has[--has_count];
		wrong += !model_same(slots);
		wrong += net->device.info->errors - errors != !at;
		wrong += flow->rx_head - head != (at ? 1 : 0) || ring->rx_head != flow->rx_head;
		if (!at)
			continue;
		wrong += flow->info->rx_bytes - bytes != size || flow->info->rx_direct - direct != size;
		wrong += ring->rx[head % slots].bytes != size;
		wrong += (const uint8_t *)ring + EXO_PAGE_SIZE + ring->rx[head % slots].slot * EXO_RX_SLOT_BYTES != at;
		wrong += at[0] != (uint8_t)size || at[size - 1] != (uint8_t)size;
	}
}

static void test_owned(uint32_t rx_frames)
{
	struct flow *flow = own_flow(0);
	struct exo_ring *ring = ring_ready(0, rx_frames);
	uint32_t slots = 2 * rx_frames;
	paddr_t first = (paddr_t)cap_slot(world.env[0], SLOT_RING)->first << EXO_PAGE_SHIFT;
	unsigned before = resets;

	memset(model_has, 0, sizeof(model_has));
	model_taken = wrong = 0;
	is_int(bind(0, SLOT_OWN), 0, "it is bound");
	changes_hands();
	ok(resets > before && net->device.owner == flow && ring->own == 1, "the device is reset and has an owner");
	model_take(ring, slots);
	ok(model_same(slots) && has_count == slots, "it has all slots that were posted");
	for (unsigned i = 0; i < slots; i++)
		wrong += net->rx.desc[i].address != first + EXO_PAGE_SIZE + i * EXO_RX_SLOT_BYTES - EXO_OWN_BEFORE ||
		    net->rx.desc[i].bytes != EXO_RX_SLOT_BYTES || net->rx.desc[i].flags != VIRTQ_DESC_WRITE;
	is_int(wrong, 0, "each where it lies");
	for (unsigned step = world_steps(3000); step; step--) {
		owner_posts(ring, slots);
		if (below(3) == 0) {
			(void)CALL(0, flow_kick, world_handle(0, SLOT_OWN));
			model_take(ring, slots);
			wrong += !model_same(slots);
		}
		device_does(ring, flow, slots);
	}
	is_int(wrong, 0, "what it returns is reported once; what it has it has once; lies are counted");
	is_int(CALL(0, flow_bind, world_handle(0, SLOT_OWN), world_handle(0, SLOT_RING), 0, 0, 0, 0), ERR(BUSY), "bound");
	before = resets;
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_RING), 0), 0, "the ring goes");
	ok(resets > before && !net->device.owner, "the device is the kernel's again");
	ok(info_frame[first >> EXO_PAGE_SHIFT].state == EXO_FRAME_FREE && !world_check(), "its frames are free at once");
	device_anew();
	(void)CALL(0, cap_delete, world_handle(0, SLOT_OWN));
	shared_works("after an owner");
}

/* --- ends ------------------------------------------------------------------------------------------------------- */

static void end_deleted(unsigned who)
{
	(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_RING), 0);
}

static void end_flow(unsigned who)
{
	(void)world_finish(0, EXO_CALL_cap_revoke, world_handle(0, SLOT_OWN), 0);
	ok(!flow_at(0, SLOT_OWN)->ring, "its binding is cut");
	(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_RING), 0);
}

static void end_dead(unsigned who)
{
	unsigned budget;

	here.current = world.env[0];
	kernel_lock();
	env_end(world.env[who], EXO_CAUSE_DESTROYED, 0, 0);
	kernel_unlock();
	device_look();
	device_fills(0, 0x1111, 100);
	interrupt();
	ok(ring_of(who)->rx_head == 0, "nothing arrives for one that has ended");
	kernel_lock();
	do
		budget = EXO_UNWIND_MAX;
	while (!env_destroy_some(world.env[who], &budget));
	kernel_unlock();
}

/* An owner ends with all slots in a device that is not done with its reset: nothing is free before it is. */
static void test_slow(unsigned who, void (*end)(unsigned who), const char *how)
{
	struct flow *flow = own_flow(who);
	uint32_t rx_frames = EXO_RX_FRAMES_MAX, limbo = 0, early = 0;
	exo_pfn_t first, pfn;

	(void)ring_ready(who, rx_frames);
	first = (exo_pfn_t)cap_slot(world.env[who], SLOT_RING)->first;
	is_int(bind(who, who ? SLOT_GIVEN : SLOT_OWN), 0, how);
	changes_hands();
	ok(device_look() && has_count == 2 * rx_frames, "256 slots in the device");
	slow = true;
	end(who);
	ok(!net->device.owner && net->resetting, "the device is not done");
	for (pfn = first; pfn <= first + rx_frames; pfn++)
		limbo += info_frame[pfn].state != EXO_FRAME_FREE && !info_frame[pfn].holds && frame_table[pfn].pins == 1;
	is_int(limbo, 1 + rx_frames, "its frames are nobody's, and not free");
	ok(!world_check(), "all in order");
	net->rx.used->index += 3;
	interrupt();
	net->device.resume(&net->device);
	ok(net->resetting, "it still is not, whatever it says");
	kernel_lock();
	slow = false;
	interrupt();
	ok(net->resetting && net->device.due != EXO_NEVER, "now it is, but the kernel is busy: later");
	kernel_unlock();
	for (pfn = first; pfn <= first + rx_frames; pfn++)
		early += info_frame[pfn].state == EXO_FRAME_FREE;
	is_int(early, 0, "none was free before");
	interrupt();
	for (pfn = first, limbo = 0; pfn <= first + rx_frames; pfn++)
		limbo += info_frame[pfn].state != EXO_FRAME_FREE;
	ok(!net->resetting && limbo == 0 && !world_check(), "then all are");
	ok(flow == flow_table[flow->index] && !flow->ring, "the flow is there to be bound again");
	device_anew();
	(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_OWN), 0);
	shared_works(how);
}

/* Two owners while the device is not done even with the first one's reset. */
static void test_hasty(void)
{
	(void)own_flow(0);
	(void)ring_ready(0, 4);
	slow = true;
	is_int(bind(0, SLOT_OWN), 0, "bound, although the device takes its time");
	end_deleted(0);
	is_int(net->lent_count, 0, "it never had a slot of it");
	(void)ring_ready(0, 8);
	is_int(bind(0, SLOT_OWN), 0, "bound again");
	slow = false;
	changes_hands();
	ok(device_look() && has_count == 16, "it has what the last one posted");
	slow = true;
	end_deleted(0);
	is_int(net->lent_count, 9, "which it keeps");
	(void)ring_ready(0, 2);
	is_int(bind(0, SLOT_OWN), 0, "bound once more");
	end_deleted(0);
	is_int(net->lent_count, 9, "it still has only the former");
	slow = false;
	device_anew();
	interrupt();
	ok(!net->lent_count && !net->resetting && !world_check(), "until it is done");
	(void)CALL(0, cap_delete, world_handle(0, SLOT_OWN));
	shared_works("after all of them");
}

/* What was on its way out is done with, and may be lost. */
static void test_sent(void)
{
	struct flow *flow = own_flow(0);
	struct exo_ring *ring = ring_ready(0, 4);
	exo_cap_t handle;

	take_run(0, SLOT_TX, 4);
	handle = world_handle(0, SLOT_TX);
	is_int(CALL(0, flow_bind, world_handle(0, SLOT_OWN), world_handle(0, SLOT_RING), 0, handle, 0, 4), 0, "one that sends");
	for (unsigned i = 0; i < 16; i++)
		ring->tx[i] = (struct exo_tx){ .offset = i * 500, .bytes = 500 };
	ring->tx_head = 16;
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_OWN)), 0, "a device that changes hands takes nothing");
	interrupt();
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_OWN)), 16, "frames are on their way");
	is_int(net->free_slots, TX_SLOTS - 16, "the device has them");
	is_int(world_finish(0, EXO_CALL_cap_delete, handle, 0), 0, "what it sends from goes");
	ok(!flow->ring && net->free_slots == TX_SLOTS && net->free_parts == TX_DESCRIPTORS - TX_SLOTS,
	    "the device has none any more");
	device_anew();
	(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_RING), 0);
	(void)CALL(0, cap_delete, world_handle(0, SLOT_OWN));
	ok(!world_check(), "all in order");
}

/* --- frames out, against a model --------------------------------------------------------------------------------- */

static bool out_busy[TX_SLOTS];		/* slots that the device has */
static unsigned out_parts[TX_SLOTS];

static void device_sent(uint32_t id)
{
	net->tx.used->ring[net->tx.used->index % net->tx.size].id = id;
	net->tx.used->index++;
}

/* A frame of its first bytes alone, or with so many parts. False: there is no room. */
static bool send_one(struct flow *flow, unsigned parts)
{
	struct device_send frame = { .flow = flow, .head_bytes = EXO_GUARD_BYTES, .parts = parts };
	uint8_t *head = net->device.head(&net->device, parts);
	uint16_t id;

	if (!head)
		return false;
	id = net->free_slot[net->free_slots - 1];
	memset(head - HEADER_BYTES, 0xff, HEADER_BYTES - sizeof(uint32_t));
	if (parts)
		net->device.send(&net->device, &frame);
	else
		net->device.send_head(&net->device, head, 20);
	wrong += out_busy[id] || *(uint64_t *)(head - HEADER_BYTES) != 0;
	wrong += net->tx.desc[id].bytes != HEADER_BYTES + (parts ? EXO_GUARD_BYTES : 20);
	wrong += net->tx.desc[id].flags != (parts ? VIRTQ_DESC_NEXT : 0);
	out_busy[id] = true;
	out_parts[id] = parts;
	return true;
}

/* What the driver believes, and how many that have come back it may have left where they are. */
static bool out_same(unsigned left)
{
	unsigned busy = 0, told = 0;

	for (unsigned i = 0; i < TX_SLOTS; i++) {
		busy += out_busy[i];
		told += out_busy[i] && out_parts[i];
	}
	return net->told == told && net->free_slots <= TX_SLOTS - busy && net->free_slots + left >= TX_SLOTS - busy;
}

/* Nobody waits for a frame that went with its head: those are collected in heaps. Others at once. */
static void test_heaps(void)
{
	struct flow *flow = net->device.root;
	uint64_t errors = net->device.info->errors, lies = 0;

	wrong = 0;
	memset(out_busy, 0, sizeof(out_busy));
	for (unsigned step = world_steps(20000); step; step--) {
		uint32_t id = below(TX_SLOTS);

		if (below(2)) {
			(void)send_one(flow, below(3) ? 0 : 1 + below(3));
		} else if (id < TX_SLOTS && out_busy[id]) {
			device_sent(id);
			out_busy[id] = false;
		} else if (below(16) == 0) {
			device_sent(id + TX_SLOTS);
			lies++;
		}
		net->device.reclaim(&net->device);
		wrong += !out_same(RECLAIM_HEAP);
	}
	for (unsigned i = 0; i < TX_SLOTS; i++) {
		if (out_busy[i])
			device_sent(i);
		out_busy[i] = false;
	}
	net->device.watch(&net->device);
	net->device.reclaim(&net->device);
	is_int(wrong, 0, "slots are the device's until it says so; who waits for one is told");
	ok(net->free_slots == TX_SLOTS && net->free_parts == TX_DESCRIPTORS - TX_SLOTS && !net->told && !net->watching,
	    "all come back");
	is_int((long long)(net->device.info->errors - errors), (long long)lies, "lies are counted");
}

/* A device that says something else after its reset does not run, and does no harm. */
static void test_changed(void)
{
	uint64_t errors = net->device.info->errors;

	(void)own_flow(0);
	(void)ring_ready(0, 4);
	reg(0x010, 0);
	is_int(bind(0, SLOT_OWN), 0, "the device has changed its mind");
	changes_hands();
	device_says(0, 100);
	interrupt();
	ok(net->device.info->errors > errors + 1 && ring_of(0)->rx_head == 0, "what it says counts as an error");
	reg(0x010, 1);
	end_deleted(0);
	device_anew();
	(void)CALL(0, cap_delete, world_handle(0, SLOT_OWN));
	shared_works("when it is as it was");
}

int main(void)
{
	start(8192, 256);
	is_int(net->buffer_count, 64, "buffers for not quite 32 MiB");
	test_claims();
	shared_works("at first");
	test_owned(4);
	test_owned(EXO_RX_FRAMES_MAX);
	test_sent();
	test_heaps();
	test_hasty();
	test_changed();
	test_slow(0, end_deleted, "deleted");
	test_slow(1, end_flow, "its flow revoked");
	test_slow(2, end_dead, "dead");
	start(2048, 128);
	is_int(net->device.own_slots, 128, "a device with a shorter queue");
	test_owned(32);
	return done();
}
