/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packet path: from a device's buffer into the owner's ring, and from the owner's frames to the device.
 *
 * Receiving copies once, into the slot that the owner posted; it runs in the device's interrupt, in batches, and tells
 * each environment once per batch. Sending copies a frame's first bytes into a slot of the driver's, judges that copy
 * by the flow's guard, and sends the copy followed by references to the rest; what was judged is what is sent. Every
 * word in a ring that an application can write is read once; indices that the kernel needs are kept in struct flow.
 * Descriptors may come back from the device in any order; tx_done passes them in order, by a bitmap.
 */
#include "exo/codes.h"
#include "exo/dev/dev.h"

#define FRAME_BYTES_MIN	14	/* two addresses and a type: less is no frame */
#define NETWORK_AT	14	/* headers as devices know them that cut: IPv4 ... */
#define TRANSPORT_AT	34	/* ... without options, TCP */

/* What one kick may do, in units of some 150 instructions, and what a frame costs, its parts and guard terms apart. */
#define ROOM_MAX	8		/* flows that are told of room in one go */
#define KICK_UNITS	112
#define FRAME_UNITS	4
#define TERMS_PER_UNIT	8

/* Rough instruction counts, by which one stay in the kernel is bounded. */
#define COST_PACKET	150
#define COST_COPY	60	/* and one for each 8 bytes */
#define COST_RUN	150	/* of a program, beside what its fuel stands for */

/* [d] Flows that got something in this batch. */
static struct flow *received;

/* [d] Flows whose programs ran in this batch, what all of it cost, and whether they sent something. */
static struct flow *ran;
static unsigned batch_cost;
static bool ran_sent;

/* --- whose packet --- */

/* [d] The packet that is looked at, as programs see it. `flow` is for whom. */
static struct exo_packet packet;

static uint64_t find_none(uint64_t r1, uint64_t r2, struct bpf_run *run)
{
	(void)r1, (void)r2, (void)run;
	return packet.flow;
}

/* [d] The stack of what runs for a packet: first the filter, then the program of the flow that it finds. */
static uint8_t program_stack[BPF_STACK_BYTES] __attribute__((aligned(16)));

/* [d] The program of flow_filter.c that runs, its run, and what finding a flow costs, with all that is done for it. */
static const struct bpf_program *finder;
static bpf_native_fn *finder_native = find_none;
static int64_t finder_fuel;
static uint32_t finder_flows;	/* indices are below this */
static struct bpf_run finder_run;
static unsigned finder_cost = COST_PACKET;

__attribute__((cold)) void flow_find_by(const struct bpf_program *program, bpf_native_fn *native)
{
	spin_lock(&flow_lock);
	finder = program;
	finder_native = native;
	finder_fuel = program->fuel;
	finder_flows = info->flows.entries;
	finder_cost = COST_PACKET + program->insns;
	bpf_begin(&finder_run, program, program_stack);
	finder_run.window[0] = (struct bpf_window){ (uint8_t *)flow_values, values_bytes };
	finder_run.window[EXO_WINDOW_PACKET] = (struct bpf_window){ NULL, UINT64_MAX };	/* it tests nothing at run time */
	finder_run.window[EXO_WINDOW_CONTEXT] = (struct bpf_window){ (uint8_t *)&packet, sizeof(packet) };
	spin_unlock(&flow_lock);
}

/* Who has all below the root, and nobody below it: no filter need be asked. */
static inline struct flow *flow_of_all(const struct flow *root)
{
	return root->whole && !root->whole->value->below ? root->whole : NULL;
}

static inline void packet_is(uint8_t *frame, uint32_t bytes)
{
	packet.data = (uint64_t)(uintptr_t)frame;
	packet.end = (uint64_t)(uintptr_t)frame + bytes;
	packet.bytes = bytes;
}

/* What bpf_begin() does is done, but for the fuel: it never runs out of that, and nothing else changes. */
out_of_line struct flow *flow_find(struct flow *root, const uint8_t *frame, uint32_t bytes)
{
	uint64_t found, first, second;

	packet_is((uint8_t *)(uintptr_t)frame, bytes);
	if (bytes >= FLOW_AGREE_AT + 2 * sizeof(first)) {
		__builtin_memcpy(&first, frame + FLOW_AGREE_AT, sizeof(first));
		__builtin_memcpy(&second, frame + FLOW_AGREE_AT + sizeof(first), sizeof(second));
		if (((first ^ root->agreed[0]) & root->agree[0]) | ((second ^ root->agreed[1]) & root->agree[1]))
			return root;
	}
	packet.flow = root->index;
	finder_run.fuel = finder_fuel;
	found = finder_native((uint64_t)(uintptr_t)&packet, root->value->below, &finder_run);
	return likely(found < finder_flows) ? flow_table[found] : root;
}

const struct bpf_program *flow_finder(void)
{
	return finder;
}

/* --- receiving --- */

/* So much is paid by all budgets that it belongs to; true, and counted, if one of them had been spent before. */
static rarely out_of_line bool spend(struct flow *flow, unsigned cost)
{
	struct flow *meter;

	for (meter = flow->meter; meter; meter = flow_table[meter->parent]->meter) {
		if (packet.time - meter->window >= EXO_BUDGET_NS) {
			meter->window = packet.time;
			meter->spent = 0;
		}
		if (meter->spent >= meter->claim.budget) {
			flow->info->rx_over++;
			return true;
		}
		meter->spent += cost;
	}
	return false;
}

/* What a program has taken is paid by all of them, whatever is left. */
static rarely out_of_line void spent(const struct flow *flow, unsigned cost)
{
	struct flow *meter;

	for (meter = flow->meter; meter; meter = flow_table[meter->parent]->meter)
		meter->spent += cost;
}

/* Room is made for the packet, or the device has put it there already. The caller stores rx_head in the ring last. */
static inline __attribute__((always_inline)) void report(struct flow *flow, unsigned slot, uint32_t bytes, exo_time_t now)
{
	struct exo_ring *ring = flow->ring;
	struct exo_flow_info *counts = flow->info;
	uint32_t head = flow->rx_head, mask = flow->rx_slots - 1;

	ring->rx[head & mask] = (struct exo_rx){ .bytes = (uint16_t)bytes, .slot = (uint16_t)slot, .time = (uint32_t)now };
	flow->rx_head = head + 1;
	counts->rx_bytes += bytes;
	ring->rx_packets = ++counts->rx_packets;
	if (!flow->received) {
		flow->received_next = received;
		received = flow;
	}
	if (bytes > flow->received)
		flow->received = (uint16_t)bytes;
}

void flow_filled(struct flow *flow, unsigned slot, uint32_t bytes, exo_time_t now)
{
	if (!flow_env(flow))
		return;
	flow->info->rx_direct += bytes;
	flow->device->info->rx_packets++;
	report(flow, slot, bytes, now);
	__atomic_store_n(&flow->ring->rx_head, flow->rx_head, __ATOMIC_RELEASE);
}

static void deliver(struct flow *flow)
{
	struct exo_ring *ring = flow->ring;
	struct exo_flow_info *counts = flow->info;
	uint32_t head = flow->rx_head, mask = flow->rx_slots - 1, bytes = packet.bytes;
	unsigned slot;

	if (!flow_env(flow) || read_once(ring->rx_posted) - head - 1 >= flow->rx_slots ||
	    (unlikely(flow->meter != NULL) && spend(flow, COST_PACKET + COST_COPY + bytes / 8))) {
		counts->rx_dropped++;
		if (flow->env)
			ring->rx_dropped = counts->rx_dropped;
		return;
	}
	slot = read_once(ring->rx_free[head & mask]) & mask;
	report(flow, slot, bytes, packet.time);
	__builtin_memcpy((char *)ring + EXO_PAGE_SIZE + slot * EXO_RX_SLOT_BYTES, (const void *)(uintptr_t)packet.data,
	    (bytes + 7) & ~7u);
	__atomic_store_n(&ring->rx_head, flow->rx_head, __ATOMIC_RELEASE);
}

/* To a flow and all that have the same claim. Returns what that costs, too. */
static inline unsigned deliver_all(struct flow *flow, unsigned cost)
{
	for (;;) {
		deliver(flow);
		cost += COST_COPY + packet.bytes / 8;
		if (flow->peer == FLOW_NONE)
			break;
		flow = flow_table[flow->peer];
	}
	batch_cost += cost;
	return cost;
}

/* The packet goes to no ring, because of a verdict or a budget; that is as good as done. */
static rarely out_of_line unsigned drop(struct flow *flow, unsigned cost)
{
	flow->ring->rx_dropped = ++flow->info->rx_dropped;
	batch_cost += cost;
	return cost;
}

/* No program lets go of it: the packet goes to this flow's ring. What is copied by words is no older frame's end. */
static out_of_line unsigned keep(struct flow *flow, unsigned cost)
{
	__builtin_memset((void *)(uintptr_t)packet.end, 0, sizeof(uint64_t));
	return deliver_all(flow, cost);
}

/* A program's verdict is not that all is done. */
static out_of_line unsigned settle(struct flow *flow, uint64_t verdict, unsigned cost)
{
	uint64_t number = verdict - EXO_PACKET_STEER;

	if (flow->code->run.stop != BPF_STOP_EXIT)
		flow->info->stopped++;
	else if (verdict == EXO_PACKET_DROP)
		return drop(flow, cost);
	else if (number < EXO_STEER_MAX)
		flow = flow_steered(flow, (unsigned)number) ?: flow;
	return keep(flow, cost);
}

rarely void flow_handle_by(struct flow *flow, struct code *code)
{
	struct bpf_run *run = &code->run;

	bpf_begin(run, &code->program, program_stack);
	run->window[EXO_WINDOW_CONTEXT] = (struct bpf_window){ (uint8_t *)&packet, sizeof(packet) };
	run->owner = flow;
	code->flow = flow;
	flow->code = code;
}

exo_time_t flow_packet_time(void)
{
	return packet.time;
}

/* The flow's program looks at the packet first. What flow_handle_by() has written is as it was. */
static out_of_line unsigned handle(struct flow *flow)
{
	struct code *code = flow->code;
	struct bpf_run *run = &code->run;
	struct exo_flow_info *counts;
	unsigned cost;
	uint64_t verdict;
	uint32_t used;

	if (unlikely(!flow_env(flow)))
		return keep(flow, finder_cost);
	if (unlikely(flow->meter != NULL) && spend(flow, COST_RUN))
		return drop(flow, finder_cost);
	packet.flow = flow->index;
	run->window[EXO_WINDOW_PACKET] = (struct bpf_window){ (uint8_t *)(uintptr_t)packet.data, packet.bytes };
	run->fuel = code->program.fuel;
	run->stop = BPF_STOP_EXIT;
	verdict = code->native((uint64_t)(uintptr_t)&packet, 0, run);
	used = code_used(code);
	if (unlikely(flow->meter != NULL))
		spent(flow, used * code->weight);
	if (likely(!flow->ran)) {
		flow->ran_next = ran;
		ran = flow;
	}
	cost = finder_cost + COST_RUN + used * code->weight;
	flow->ran += cost;
	counts = flow->info;
	counts->runs++;
	counts->instructions += used;
	if (likely(verdict == EXO_PACKET_DONE)) {
		flow->ring->rx_packets = ++counts->rx_packets;
		counts->rx_bytes += packet.bytes;
		batch_cost += cost;
		return cost;
	}
	return settle(flow, verdict, cost);
}

/* Something below the root wants it, or the root's owner. */
static out_of_line unsigned receive_for(struct flow *flow)
{
	/* A flow that only stands for those below it leaves the rest to its parent. */
	while (flow->holds == 0 && flow->parent != FLOW_NONE)
		flow = flow_table[flow->parent];
	if (!flow->env && flow->parent == FLOW_NONE)
		flow->device->info->rx_unclaimed++;
	if (flow->code)
		return handle(flow);
	return keep(flow, finder_cost);
}

unsigned flow_receive(struct flow *root, uint8_t *frame, uint32_t bytes, exo_time_t now)
{
	struct flow *flow = flow_of_all(root);
	struct exo_device_info *device;

	packet.time = now;
	if (likely(!flow))
		flow = flow_find(root, frame, bytes);
	else
		packet_is(frame, bytes);
	device = root->device->info;
	device->rx_packets++;
	if (flow != root || root->env)
		return flow->code ? handle(flow) : receive_for(flow);
	/* Nobody: a flood of such packets should cost little. */
	device->rx_unclaimed++;
	root->info->rx_dropped++;
	return COST_PACKET;
}

/* The time that programs took is their environments', and not that of who was interrupted. */
static out_of_line void programs_pay(void)
{
	struct flow *flow = ran;
	exo_time_t elapsed = arch_now() - packet.time;	/* of all of the batch's packets */
	uint64_t ns;

	if (ran_sent)
		flow->device->notify(flow->device);
	ran_sent = false;
	ran = NULL;
	do {
		ns = elapsed * flow->ran / batch_cost;
		flow->ran = 0;
		flow->info->ns += ns;
		if (here.payer && flow_env(flow))
			slice_interrupted(flow->env, ns);
	} while ((flow = flow->ran_next));
}

static out_of_line void received_tell(void)
{
	while (received) {
		struct flow *flow = received;
		uint32_t longest = flow->received;

		received = flow->received_next;
		flow->received = 0;
		if (flow_env(flow) && longest > read_once(flow->ring->rx_quiet))
			env_event(flow->env, EXO_EVENT_RECEIVE);
	}
}

void flow_received(void)
{
	if (unlikely(ran))
		programs_pay();
	batch_cost = 0;
	if (received)
		received_tell();
}

/* --- sending --- */

void flow_sent(struct flow *flow, uint32_t start, uint32_t count)
{
	uint32_t done = flow->tx_done;

	if (likely(start == done && !flow->tx_back))
		done += count;
	else
		for (uint32_t i = start; i != start + count; i++)
			flow->tx_back |= 1ULL << i % EXO_TX_SLOTS;
	while (flow->tx_back && done != flow->tx_taken && (flow->tx_back >> done % EXO_TX_SLOTS & 1)) {
		flow->tx_back &= ~(1ULL << done % EXO_TX_SLOTS);
		done++;
	}
	if (done == flow->tx_done)
		return;
	flow->tx_done = done;
	__atomic_store_n(&flow->ring->tx_done, done, __ATOMIC_RELEASE);
	if (flow->tx_wait) {
		flow->tx_wait = false;
		if (flow_env(flow))
			env_event(flow->env, EXO_EVENT_SENT);
	}
}

static rarely void room_await(struct flow *flow)
{
	struct device *device = flow->device;

	if (flow->room_wait)
		return;
	if (!device->waiting)
		device->waiting_end = &device->waiting;
	flow->room_wait = true;
	flow->room_next = NULL;
	flow->room_at = device->waiting_end;
	*flow->room_at = flow;
	device->waiting_end = &flow->room_next;
}

rarely void flow_room_forget(struct flow *flow)
{
	if (!flow->room_wait)
		return;
	flow->room_wait = false;
	*flow->room_at = flow->room_next;
	if (flow->room_next)
		flow->room_next->room_at = flow->room_at;
	else
		flow->device->waiting_end = flow->room_at;
}

/* A frame whose bytes all went with its head is done at once, so who waits for the device may have nothing there. */
rarely void flow_room(struct device *device)
{
	struct flow *flow;

	for (unsigned i = 0; i < ROOM_MAX && device->waiting; i++) {
		flow = device->waiting;
		flow_room_forget(flow);
		if (flow->tx_wait && flow_env(flow))
			env_event(flow->env, EXO_EVENT_SENT);
		flow->tx_wait = false;
	}
}

/* A posted frame as read from the ring. */
struct posted {
	uint32_t descriptors;	/* how many it takes; 0: it is not complete yet */
	bool bad;		/* outside the transmit frames, too many parts, too long or short */
	uint32_t bytes;
	uint32_t cut;
	uint32_t parts;
	struct device_part part[EXO_TX_PARTS_MAX];
};

static void posted_read(const struct flow *flow, uint32_t available, struct posted *out)
{
	uint32_t at = flow->tx_taken;
	paddr_t base = (paddr_t)flow->tx_pfn << EXO_PAGE_SHIFT;
	uint16_t flags;

	out->descriptors = out->bytes = out->parts = 0;
	out->bad = false;
	do {
		const struct exo_tx *tx = &flow->ring->tx[at++ % EXO_TX_SLOTS];
		uint32_t offset = read_once(tx->offset);
		uint16_t bytes = read_once(tx->bytes);

		flags = read_once(tx->flags);
		out->descriptors++;
		if (bytes == 0 || bytes > EXO_TX_PART_MAX || offset > flow->tx_bytes || bytes > flow->tx_bytes - offset ||
		    (flags & (EXO_TX_CUT(1) - 1) & ~EXO_TX_MORE) || out->parts == EXO_TX_PARTS_MAX) {
			out->bad = true;
			continue;
		}
		out->part[out->parts].address = base + offset;
		out->part[out->parts].bytes = bytes;
		out->parts++;
		out->bytes += bytes;
	} while ((flags & EXO_TX_MORE) && out->descriptors < available);
	out->cut = flags / EXO_TX_CUT(1);
	if (out->bytes < FRAME_BYTES_MIN || out->bytes > (out->cut ? EXO_TX_LARGE_MAX : EXO_FRAME_BYTES_MAX))
		out->bad = true;
	if ((flags & EXO_TX_MORE) && (out->descriptors <= EXO_TX_PARTS_MAX && available < EXO_TX_SLOTS))
		out->descriptors = 0;
}

/* A frame's first bytes: where no page ends in what is copied, that may as well be all that a head has room for. */
static inline __attribute__((always_inline)) void head_copy(uint8_t *head, const void *from, uint64_t bytes)
{
	if (likely((uintptr_t)from % EXO_PAGE_SIZE <= EXO_PAGE_SIZE - EXO_GUARD_BYTES))
		__builtin_memcpy(head, from, EXO_GUARD_BYTES);
	else
		__builtin_memcpy(head, from, bytes);
}

/* Does the flow's first conjunction hold of a frame of so many bytes? Mostly it does, and is made of words. */
static inline bool first_holds(const struct flow *flow, const uint8_t *head, uint64_t bytes)
{
	return likely(flow_words_hold(&flow->claim.words[0], head,
	    bytes < EXO_GUARD_BYTES ? (uint32_t)bytes : EXO_GUARD_BYTES));
}

/* Any of them? */
static out_of_line bool guard_holds(const struct flow *flow, const uint8_t *head, uint64_t bytes)
{
	return first_holds(flow, head, bytes) ||
	    flow_guard(&flow->claim, head, bytes < EXO_GUARD_BYTES ? (uint32_t)bytes : EXO_GUARD_BYTES);
}

/* Copy the first bytes to `head`; what is left by reference goes to `send`. */
static void split(const struct posted *posted, uint8_t *head, struct device_send *send)
{
	uint32_t room = posted->bytes < EXO_GUARD_BYTES ? posted->bytes : EXO_GUARD_BYTES;
	paddr_t first = posted->part[0].address;

	send->head_bytes = room;
	/* The usual one: in one piece, and no page ends in what is copied, so that may as well be its length. */
	if (likely(posted->parts == 1 && first % EXO_PAGE_SIZE <= EXO_PAGE_SIZE - EXO_GUARD_BYTES)) {
		__builtin_memcpy(head, phys_to_virt(first), EXO_GUARD_BYTES);
		send->parts = posted->bytes > room;
		send->part[0].address = first + room;
		send->part[0].bytes = posted->bytes - room;
		return;
	}
	send->parts = 0;
	for (uint32_t i = 0; i < posted->parts; i++) {
		paddr_t address = posted->part[i].address;
		uint32_t bytes = posted->part[i].bytes, take = bytes < room ? bytes : room;

		if (take == EXO_GUARD_BYTES)
			__builtin_memcpy(head, phys_to_virt(address), EXO_GUARD_BYTES);
		else if (take)
			__builtin_memcpy(head, phys_to_virt(address), take);
		head += take;
		room -= take;
		if (bytes == take)
			continue;
		send->part[send->parts].address = address + take;
		send->part[send->parts].bytes = bytes - take;
		send->parts++;
	}
}

/*
 * What the device is told of a frame that it is to cut and sum (device_send): its headers, which each segment begins with, are
 * plain TCP's and lie in what was judged. 0: they are not.
 */
static out_of_line uint32_t cut_told(const struct device *device, uint32_t bytes, uint32_t cut, const uint8_t *head)
{
	uint32_t ip, fragment, header = TRANSPORT_AT + (head[TRANSPORT_AT + 12] >> 4) * 4u;

	__builtin_memcpy(&ip, head + NETWORK_AT - 2, sizeof(ip));
	__builtin_memcpy(&fragment, head + NETWORK_AT + 6, sizeof(fragment));
	if (!(device->info->flags & EXO_NET_CUTS) || (ip & 0xffffff) != 0x450008 || (fragment & 0xff00ff3f) != 0x06000000 ||
	    header < TRANSPORT_AT + 20 || header > EXO_GUARD_BYTES || header >= bytes || cut < EXO_TX_CUT_MIN ||
	    cut > EXO_FRAME_BYTES_MAX - header)
		return 0;
	return bytes - header > cut ? header | cut << 16 : header;
}

/* Send one; false: the device has no room. */
static bool transmit(struct flow *flow, const struct posted *posted)
{
	struct device *device = flow->device;
	struct device_send send;
	uint8_t *head = NULL;

	send.head_bytes = send.parts = send.cut = 0;
	if (!posted->bad) {
		head = device->head(device, posted->parts);
		if (!head)
			return false;
		split(posted, head, &send);
	}
	send.flow = flow;
	send.start = flow->tx_taken;
	send.count = posted->descriptors;
	flow->tx_taken += posted->descriptors;
	if (posted->bad || (posted->cut && !(send.cut = cut_told(device, posted->bytes, posted->cut, head))) ||
	    !guard_holds(flow, head, send.head_bytes)) {
		flow->info->tx_refused++;
		flow_sent(flow, send.start, send.count);
		return true;
	}
	if (send.parts == 0 && !send.cut)
		device->send_head(device, head, send.head_bytes);
	else
		device->send(device, &send);
	if (send.parts == 0)
		flow_sent(flow, send.start, send.count);
	flow->info->tx_packets++;
	flow->info->tx_bytes += posted->bytes;
	device->info->tx_packets++;
	return true;
}

/* What is behind the first bytes goes by reference. */
static out_of_line void send_more(struct flow *flow, const uint8_t *from, uint32_t bytes)
{
	struct device_send send;

	send.flow = flow;
	send.start = send.count = send.cut = 0;
	send.head_bytes = EXO_GUARD_BYTES;
	send.parts = 1;
	send.part[0].address = (paddr_t)((const char *)from - arch_phys_base) + EXO_GUARD_BYTES;
	send.part[0].bytes = bytes - EXO_GUARD_BYTES;
	flow->device->send(flow->device, &send);
}

/* For a program: send bytes of its memory under its flow's guard. 0, 1 refused, 2 no room. */
static inline uint64_t program_send(struct flow *flow, const uint8_t *from, uint64_t bytes)
{
	uint8_t *head;

	if (bytes < FRAME_BYTES_MIN || bytes > EXO_FRAME_BYTES_MAX)
		goto refused;
	head = flow->device->head(flow->device, 1);
	if (!head)
		return 2;
	head_copy(head, from, bytes < EXO_GUARD_BYTES ? bytes : EXO_GUARD_BYTES);
	if (!first_holds(flow, head, bytes) && !guard_holds(flow, head, bytes))
		goto refused;
	if (likely(bytes <= EXO_GUARD_BYTES))
		flow->device->send_head(flow->device, head, (uint32_t)bytes);
	else
		send_more(flow, from, (uint32_t)bytes);
	flow->info->tx_packets++;
	flow->info->tx_bytes += bytes;
	flow->device->info->tx_packets++;
	ran_sent = true;
	return 0;
refused:
	flow->info->tx_refused++;
	return 1;
}

/* In fuel, of which one stands for 4 instructions of the machine's at least. */
#define SEND_FUEL	224

uint64_t bpf_call_send(uint64_t from, uint64_t bytes, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	(void)r3, (void)r4, (void)r5;
	if (!bpf_pay(run, SEND_FUEL) || !bpf_own(run, from, bytes, false))
		return BPF_REFUSED;
	return program_send(run->owner, (const uint8_t *)(uintptr_t)from, bytes);
}

static unsigned guard_terms(const struct flow_claim *claim)
{
	unsigned terms = 0;

	for (uint32_t i = 0; i < claim->guards; i++)
		terms += claim->guard[i].count;
	return terms;
}

int64_t flow_kick(struct flow *flow)
{
	struct device *device = flow->device;
	uint64_t sent = flow->info->tx_packets;
	uint32_t head = read_once(flow->ring->tx_head);
	unsigned budget = KICK_UNITS, each = FRAME_UNITS + guard_terms(&flow->claim) / TERMS_PER_UNIT;
	struct posted posted;
	int64_t taken = 0;

	if (head - flow->tx_taken > EXO_TX_SLOTS)
		return ERR(INVAL);
	device->reclaim(device);
	flow->tx_wait = false;
	while (head != flow->tx_taken && taken < EXO_KICK_MAX) {
		posted_read(flow, head - flow->tx_taken, &posted);
		if (posted.descriptors == 0)
			break;
		if (!afford(&budget, each + posted.descriptors)) {
			flow->tx_wait = true;
			break;
		}
		if (posted.descriptors + flow->tx_taken - flow->tx_done > EXO_TX_SLOTS) {
			flow->tx_wait = true;
			break;
		}
		if (!transmit(flow, &posted)) {
			flow->tx_wait = true;
			room_await(flow);
			break;
		}
		taken++;
	}
	if (flow->info->tx_packets != sent)
		device->notify(device);
	flow->ring->tx_taken = flow->tx_taken;
	flow->ring->tx_packets = flow->info->tx_packets;
	flow->ring->tx_refused = flow->info->tx_refused;
	/* So little room is left that the next frame may not fit. */
	if (flow->tx_taken - flow->tx_done > EXO_TX_SLOTS - EXO_TX_PARTS_MAX)
		flow->tx_wait = true;
	if (flow->tx_wait)
		device->watch(device);
	return taken;
}
