/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of flows: a network device that is a table. What the kernel sends is kept there until the test gives it
 * back, in any order.
 */
#ifndef TEST_UNIT_FLOW_FAKE_H
#define TEST_UNIT_FLOW_FAKE_H

#include <stdlib.h>
#include "exo/dev/dev.h"
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define SENT_MAX	256

enum { SLOT_ROOT = 10, SLOT_CLAIMS, SLOT_RING, SLOT_TX, SLOT_FIRST = 16 };

struct sent {
	struct device_send frame;
	uint8_t head[EXO_GUARD_BYTES];
	bool orphan;
};

static struct fake {
	struct device device;	/* first */
	uint8_t head[EXO_GUARD_BYTES];
	struct sent sent[SENT_MAX];
	unsigned count;
	bool full, watched;
	unsigned notified;
} fake;

/* --- the device ------------------------------------------------------------------------------------------------- */

static inline void fake_reclaim(struct device *device)
{
	if (!fake.full)
		flow_room(device);
}

static inline uint8_t *fake_head(struct device *device, uint32_t parts)
{
	(void)device, (void)parts;
	return fake.full || fake.count == SENT_MAX ? NULL : fake.head;
}

static inline void fake_send(struct device *device, const struct device_send *frame)
{
	(void)device;
	fake.sent[fake.count].frame = *frame;
	fake.sent[fake.count].orphan = false;
	memcpy(fake.sent[fake.count++].head, fake.head, sizeof(fake.head));
}

static inline void fake_send_head(struct device *device, uint8_t *head, uint32_t bytes)
{
	struct device_send frame = { .head_bytes = head == fake.head ? bytes : 0 };

	fake_send(device, &frame);
}

static inline void fake_notify(struct device *device)
{
	(void)device;
	fake.notified++;
}

static inline void fake_watch(struct device *device)
{
	(void)device;
	fake.watched = true;
}

static inline void part_frames(const struct device_part *part, void (*change)(exo_pfn_t))
{
	for (paddr_t pa = part->address & ~4095ULL; pa < part->address + part->bytes; pa += EXO_PAGE_SIZE)
		change((exo_pfn_t)(pa >> EXO_PAGE_SHIFT));
}

static inline void fake_orphan(struct device *device, struct flow *flow, bool programs)
{
	(void)device;
	for (unsigned i = 0; i < fake.count; i++) {
		struct sent *sent = &fake.sent[i];

		if (sent->orphan || sent->frame.flow != flow || !sent->frame.parts || (programs && sent->frame.count))
			continue;
		for (unsigned j = 0; j < sent->frame.parts; j++)
			part_frames(&sent->frame.part[j], frame_pin);
		sent->orphan = true;
	}
}

/* Give back what was sent as number i. */
static inline void fake_return(unsigned i)
{
	struct sent sent = fake.sent[i];

	memmove(&fake.sent[i], &fake.sent[i + 1], (--fake.count - i) * sizeof(sent));
	if (sent.orphan) {
		for (unsigned j = 0; j < sent.frame.parts; j++)
			part_frames(&sent.frame.part[j], frame_unpin);
	} else if (sent.frame.parts) {
		flow_sent(sent.frame.flow, sent.frame.start, sent.frame.count);
	}
}

/* --- making things ---------------------------------------------------------------------------------------------- */

static inline exo_cap_t take_run(unsigned who, uint32_t slot, uint32_t count)
{
	exo_cap_t cap = (exo_cap_t)CALL(who, frame_take, slot, EXO_PFN_ANY, count < 24 ? count : 24);
	const struct exo_cap *entry = cap_slot(world.env[who], slot);

	while (entry->count < count) {
		uint32_t more = count - entry->count < 24 ? count - entry->count : 24;

		if (CALL(who, frame_take, cap, entry->first + entry->count, more) < 0)
			abort();
	}
	return cap;
}

static inline int64_t make(unsigned who, uint32_t slot, exo_cap_t parent, uint32_t frame, const struct exo_claim *claim)
{
	int64_t result;

	memcpy(world.env[who]->arg, claim, sizeof(*claim));
	do
		result = CALL(who, flow_make, slot, parent, world_handle(who, SLOT_CLAIMS), frame, 0);
	while (result == ERR(AGAIN));
	return result;
}

static inline struct flow *flow_at(unsigned who, uint32_t slot)
{
	return pfn_to_virt(cap_slot(world.env[who], slot)->object);
}

static inline struct exo_claim claim_of(unsigned count, const struct exo_term *terms)
{
	struct exo_claim claim;

	memset(&claim, 0, sizeof(claim));
	claim.terms = count;
	if (count)
		memcpy(claim.term, terms, count * sizeof(*terms));
	memcpy(claim.label, "test", 4);
	return claim;
}

static const __attribute__((unused)) struct exo_term type_a = { .offset = 12, .width = 2, .mask = 0xffff, .value = 0x1111 };
static const __attribute__((unused)) struct exo_term type_b = { .offset = 12, .width = 2, .mask = 0xffff, .value = 0x2222 };
static const __attribute__((unused)) struct exo_term from = { .offset = 6, .width = 4, .mask = 0xffffffff, .value = 0x02020202 };

/* --- the naive matcher ------------------------------------------------------------------------------------------ */

static inline bool term_holds(const struct exo_term *term, const uint8_t *packet, uint32_t bytes)
{
	uint32_t at = term->offset, value = 0;

	if (term->rel_mask) {
		if (term->rel_offset >= bytes)
			return false;
		at += (uint32_t)(packet[term->rel_offset] & term->rel_mask) << term->rel_shift;
	}
	if (at + term->width > bytes)
		return false;
	for (unsigned i = 0; i < term->width; i++)
		value = value << 8 | packet[at + i];
	return ((value & term->mask) == term->value) != (term->flags & EXO_TERM_NOT);
}

static inline bool claim_holds(const struct exo_claim *claim, const uint8_t *packet, uint32_t bytes)
{
	for (unsigned i = 0; i < claim->terms; i++) {
		if (!term_holds(&claim->term[i], packet, bytes))
			return false;
	}
	return true;
}

/* A machine with the device, its root flow in SLOT_ROOT of environment 0, and frames for flows in SLOT_CLAIMS. */
static inline void flow_world(uint32_t frames)
{
	struct exo_cap *root;

	world_boot(frames);
	fake.device.reclaim = fake_reclaim;
	fake.device.head = fake_head;
	fake.device.send = fake_send;
	fake.device.send_head = fake_send_head;
	fake.device.notify = fake_notify;
	fake.device.watch = fake_watch;
	fake.device.orphan = fake_orphan;
	ok(device_add(&fake.device, "net", (const uint8_t[6]){ 2, 2, 2, 2, 2, 2 }), "a device");
	is_int(flow_root(0), fake.device.root->self, "has a root flow");
	is_int(flow_root(1), 0, "another has none");
	root = cap_free_slot(world.env[0], SLOT_ROOT);
	cap_fill(root, EXO_TYPE_FLOW, EXO_RIGHT_CLAIM | EXO_RIGHT_BIND | EXO_RIGHT_READ, 0, 0, flow_root(0), NULL, SLOT_ROOT);
	take_run(0, SLOT_CLAIMS, 48);
}

#endif
