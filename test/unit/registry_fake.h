/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume of the block registry without a machine: the disk, the calls in short words, and two judges.
 *
 * The disk keeps what no completed flush covers as versions; a power cut leaves of each block any one of them, or what was
 * stable. What such a disk holds, and what the kernel says, are compared with a walk by the same rules in C: a block of
 * metadata has 30 slots of (block, type) from byte 64 on, 0: none; the owner function emits them. A writer stamps data with
 * its directory's name, which is unique, so that data of somebody else is seen.
 */
#ifndef TEST_UNIT_REGISTRY_FAKE_H
#define TEST_UNIT_REGISTRY_FAKE_H

#include "exo/codes.h"
#include "exo/disks.h"
#include "libos/core/insn.h"
#include "test/unit/tap.h"
#include "test/unit/world.h"
#include <exo/registry.h>
#include <stdlib.h>

#define BLOCKS		72
#define BUFFERS		20
#define FRAMES		(2 + 1 + BUFFERS)
#define SLOTS		30
#define VERSIONS	24
#define FIRST		100	/* the volume's first block on the disk */
#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define NODES		8
#define DATA_FRAMES	16
#define HOSTILE_BLOCK	12	/* its directory */

enum { SLOT_NODE = 8, SLOT_SHARES = 40, SLOT_BLOCKS, SLOT_RING, SLOT_DATA, SLOT_POOL, SLOT_CODE, SLOT_PROGRAM };

struct directory {		/* a block of metadata, as the tests lay it out */
	uint64_t spare[8];
	struct {
		uint32_t block, type;
	} slot[SLOTS];
	uint32_t rest[(EXO_PAGE_SIZE - 64 - 8 * SLOTS) / 4];
};
#define NAME_AT	2048	/* its name, a number */

/* --- the disk --------------------------------------------------------------------------------------------------- */

struct version {
	uint32_t sequence;
	_Alignas(8) uint8_t bytes[EXO_PAGE_SIZE];
};

static struct fake {
	struct disk disk;
	_Alignas(8) uint8_t stable[BLOCKS][EXO_PAGE_SIZE];
	struct version *version[BLOCKS][VERSIONS];
	unsigned versions[BLOCKS];
	struct disk_transfer transfer[DISK_FLIGHTS];
	uint32_t flush[DISK_FLIGHTS];
	unsigned order[DISK_FLIGHTS], count;
	uint32_t sequence;
} fake;

static inline const uint8_t *newest(unsigned block)
{
	return fake.versions[block] ? fake.version[block][fake.versions[block] - 1]->bytes : fake.stable[block];
}

static inline void forget(unsigned block, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(fake.version[block][i]);
	fake.versions[block] -= count;
	memmove(fake.version[block], fake.version[block] + count, fake.versions[block] * sizeof(fake.version[0][0]));
}

static inline void keep(unsigned block, const void *bytes)
{
	struct version *v = malloc(sizeof(*v));

	if (fake.versions[block] == VERSIONS)
		forget(block, 1);	/* one state less that is tried */
	memcpy(v->bytes, bytes, EXO_PAGE_SIZE);
	v->sequence = ++fake.sequence;
	fake.version[block][fake.versions[block]++] = v;
}

static inline void settle(uint32_t sequence)
{
	unsigned n;

	for (unsigned i = 0; i < BLOCKS; i++) {
		for (n = 0; n < fake.versions[i] && (int32_t)(fake.version[i][n]->sequence - sequence) <= 0; n++)
			;
		if (n) {
			memcpy(fake.stable[i], fake.version[i][n - 1]->bytes, EXO_PAGE_SIZE);
			forget(i, n);
		}
	}
}

static inline bool fake_submit(struct disk *disk, unsigned flight, const struct disk_transfer *transfer)
{
	(void)disk;
	if (fake.count == 32)
		return false;
	fake.transfer[flight] = *transfer;
	fake.flush[flight] = fake.sequence;
	fake.order[fake.count++] = flight;
	return true;
}

static inline void fake_notify(struct disk *disk)
{
	(void)disk;
}

static inline void move_bytes(const struct disk_transfer *t, void (*to_disk)(unsigned, const void *))
{
	unsigned block = (unsigned)(t->block - FIRST);

	for (unsigned i = 0; i < t->parts; i++)
		for (uint32_t at = 0; at < t->part[i].bytes; at += EXO_PAGE_SIZE, block++) {
			if (t->operation == EXO_DISK_READ)
				memcpy(phys_to_virt(t->part[i].address + at), newest(block), EXO_PAGE_SIZE);
			else
				to_disk(block, phys_to_virt(t->part[i].address + at));
		}
}

static inline void fake_done(unsigned i, bool failed)
{
	unsigned flight = fake.order[i];

	if (!failed && fake.transfer[flight].operation == EXO_DISK_FLUSH)
		settle(fake.flush[flight]);
	else if (!failed)
		move_bytes(&fake.transfer[flight], keep);
	memmove(&fake.order[i], &fake.order[i + 1], (--fake.count - i) * sizeof(fake.order[0]));
	(void)disk_done(&fake.disk, flight, failed);
}

/* So many requests end, in any order. */
static inline void interrupt(unsigned count)
{
	disks_lock();
	for (; count && fake.count; count--)
		fake_done(below(fake.count), below(50) == 0);
	(void)disk_settled(&fake.disk);
	disks_unlock();
}

/* --- the machine ------------------------------------------------------------------------------------------------ */

static inline int64_t fake_add(void *arg)
{
	(void)arg;
	return disk_add(&fake.disk, "fake");
}

static inline void fill(unsigned who, uint32_t slot, unsigned type, unsigned rights, uint64_t first, uint32_t count)
{
	cap_fill(cap_slot(world.env[who], slot), type, rights, first, count, 0, NULL, slot);
}

static inline exo_cap_t take(unsigned who, uint32_t slot, unsigned count)
{
	exo_cap_t cap = (exo_cap_t)CALL(who, frame_take, slot, EXO_PFN_ANY, count > EXO_TAKE_MAX ? EXO_TAKE_MAX : count);

	if (count > EXO_TAKE_MAX)
		(void)CALL(who, frame_take, cap, EXO_PFN_ANY, count - EXO_TAKE_MAX);
	return cap;
}

static inline exo_cap_t load_owner(void)
{
	struct exo_insn insn[5 * SLOTS + 4];
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = EXO_USE_OWNER, .fuel = 700 };
	exo_cap_t frames = take(0, SLOT_PROGRAM, 12);
	unsigned n = 0;
	int64_t cap, error;
	char *at = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_PROGRAM)->first);

	insn[n++] = INSN_LOAD(8, 7, 1, 0);
	for (unsigned i = 0; i < SLOTS; i++) {
		insn[n++] = INSN_LOAD(4, 1, 7, 64 + 8 * i);
		insn[n++] = INSN_IFI(JEQ, 1, 0, 3);
		insn[n++] = INSN_OPI(MOV, 2, 1);
		insn[n++] = INSN_LOAD(4, 3, 7, 68 + 8 * i);
		insn[n++] = INSN_CALL(emit);
	}
	insn[n++] = INSN_OPI(MOV, 0, 0);
	insn[n++] = INSN_EXIT;
	header.insns = n;
	memcpy(at, &header, sizeof(header));
	memcpy(at + EXO_CODE_INSNS, insn, n * sizeof(insn[0]));
	cap = CALL(0, code_load, SLOT_CODE, frames, 0, 12);
	do
		error = CALL(0, code_step, cap, 0);
	while (error == ERR(AGAIN));
	if (error) {
		printf("Bail out! the owner function: %lld %lld\n", (long long)cap, (long long)error);
		exit(1);
	}
	return (exo_cap_t)cap;
}

static struct exo_disk_ring *ring[WORLD_ENVS];
static struct exo_volume *volume;

/* A machine with the disk as it is, and a ring for each environment; the first has the blocks and the owner function. */
static inline void machine(void)
{
	world_boot(1200);
	memset(&fake.disk, 0, sizeof(fake.disk));
	fake.count = 0;
	fake.disk.blocks = FIRST + BLOCKS + 40;
	fake.disk.flags = EXO_DISK_CACHE;
	fake.disk.submit = fake_submit;
	fake.disk.notify = fake_notify;
	if (null_enter(fake_add, NULL) != NULL_RETURNED || !null.result)
		exit(1);
	for (unsigned i = 0; i < WORLD_ENVS; i++) {
		fill(i, SLOT_SHARES, EXO_TYPE_DISK, EXO_RIGHT_BIND, exo_disk_first(0, 16 * i), 16);
		take(i, SLOT_RING, 1);
		take(i, SLOT_DATA, DATA_FRAMES);
		if (CALL(i, disk_bind, world_handle(i, SLOT_SHARES), world_handle(i, SLOT_RING), 0))
			exit(1);
		ring[i] = pfn_to_virt((exo_pfn_t)cap_slot(world.env[i], SLOT_RING)->first);
	}
	fill(0, SLOT_BLOCKS, EXO_TYPE_BLOCKS, RW, exo_disk_first(0, FIRST), BLOCKS);
	(void)load_owner();
	take(0, SLOT_POOL, FRAMES);
}

static inline int64_t make(uint32_t slot)
{
	int64_t node;

	do
		node = CALL(0, volume_make, slot, world_handle(0, SLOT_BLOCKS), world_handle(0, SLOT_POOL), 0, FRAMES,
		    world_handle(0, SLOT_CODE));
	while (node == ERR(AGAIN));

	volume = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_POOL)->first);
	return node;
}

static inline const struct exo_volume_block *entry(uint32_t block)
{
	return (const struct exo_volume_block *)((char *)volume + 2 * EXO_PAGE_SIZE) + block;
}

static inline struct directory *buffer_of(uint32_t block)
{
	return entry(block)->buffer == EXO_VOLUME_NONE || !(entry(block)->flags & EXO_BLOCK_LOADED) ? NULL :
	    (void *)((char *)volume + (volume->buffer_first + entry(block)->buffer) * EXO_PAGE_SIZE);
}

static inline void *frame_of(unsigned who, unsigned frame)
{
	return pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], SLOT_DATA)->first + frame);
}

static inline bool post(unsigned who, unsigned operation, exo_cap_t node, uint32_t block, uint32_t frame, unsigned count)
{
	if (ring[who]->posted - ring[who]->taken >= EXO_DISK_SLOTS)
		return false;
	ring[who]->request[ring[who]->posted++ % EXO_DISK_SLOTS] = (struct exo_disk_request){ .blocks = node,
		.frames = world_handle(who, SLOT_DATA), .block = block, .frame = frame, .count = (uint16_t)count,
		.operation = (uint8_t)operation };
	(void)CALL(who, disk_kick, world_handle(who, SLOT_SHARES));
	return true;
}

/* One request, from beginning to end. */
static inline int one(unsigned who, unsigned operation, exo_cap_t node, uint32_t block, uint32_t frame, unsigned count)
{
	uint32_t done = ring[who]->done;

	if (!post(who, operation, node, block, frame, count))
		return 1000;
	disks_lock();
	while (fake.count)
		fake_done(0, false);
	(void)disk_settled(&fake.disk);
	disks_unlock();
	return ring[who]->done == done ? 1001 : ring[who]->completion[(ring[who]->done - 1) % EXO_DISK_SLOTS].result;
}

static inline int64_t load(unsigned who, exo_cap_t node, uint32_t block, uint32_t buffer)
{
	int64_t result;

	do
		result = CALL(who, node_load, node, block, buffer);
	while (result == ERR(AGAIN));
	return result;
}

/* Loads what is there, all of it. */
static inline int64_t load_whole(unsigned who, exo_cap_t node, uint32_t block, uint32_t buffer)
{
	int64_t result = load(who, node, block, buffer);

	if (result == 1)
		result = one(who, EXO_DISK_READ, node, block, 0, 1) ? -1 : load(who, node, block, buffer);
	return result;
}

static inline struct exo_node_change *change_of(unsigned who)
{
	return (struct exo_node_change *)world.env[who]->arg;
}

static inline int64_t change(unsigned who, exo_cap_t node)
{
	int64_t result;

	do
		result = CALL(who, node_change, node, 0);
	while (result == ERR(AGAIN));
	return result;
}

/* Slot i of a loaded directory becomes (block, type). */
static inline int64_t set_slot(unsigned who, exo_cap_t node, uint32_t directory, unsigned i, uint32_t block, uint32_t type)
{
	const struct directory *d = buffer_of(directory);
	struct exo_node_change *c = change_of(who);
	uint32_t words[2] = { block, type };

	if (!d)
		return 1000;
	memset(c, 0, sizeof(*c));
	c->at = 64 + 8 * i;
	c->bytes = 8;
	memcpy(c->old, &d->slot[i], 8);
	memcpy(c->new, words, 8);
	if (d->slot[i].block) {
		c->losses = 1;
		c->loss[0].block = d->slot[i].block;
		c->loss[0].type = d->slot[i].type;
	}
	if (block) {
		c->gains = 1;
		c->gain[0].block = block;
		c->gain[0].type = type;
	}
	return change(who, node);
}

static uint32_t last_name = 1;

static inline int64_t set_name(unsigned who, exo_cap_t node, uint32_t directory)
{
	struct exo_node_change *c = change_of(who);

	memset(c, 0, sizeof(*c));
	c->at = NAME_AT;
	c->bytes = 4;
	memcpy(c->old, (char *)buffer_of(directory) + NAME_AT, 4);
	last_name++;
	memcpy(c->new, &last_name, 4);
	return change(who, node);
}

static inline uint32_t name_of(const void *directory)
{
	uint32_t name;

	memcpy(&name, (const char *)directory + NAME_AT, 4);
	return name;
}

/* Derived from a node of the first environment's. */
static inline exo_cap_t give(unsigned who, uint32_t slot, uint32_t from, unsigned rights)
{
	struct exo_cap *source = cap_slot(world.env[0], from);

	return cap_fill(cap_slot(world.env[who], slot), EXO_TYPE_NODE, rights, source->first, source->count, source->object,
	    source, slot);
}

/* --- the same by a walk ----------------------------------------------------------------------------------------- */

static struct {
	bool owned;
	uint32_t parent, type;
} model[BLOCKS];

static inline const char *walk(const void *(*bytes)(uint32_t block), uint32_t block, unsigned depth)
{
	const struct directory *d = bytes(block);
	const char *wrong;

	if (!d)
		return NULL;
	for (unsigned i = 0; i < SLOTS; i++) {
		uint32_t b = d->slot[i].block;

		if (!b)
			continue;
		if (b >= BLOCKS || d->slot[i].type > 1)
			return "a directory holds nonsense";
		if (model[b].owned || depth > 20)
			return "a block has two owners";
		model[b].owned = true;
		model[b].parent = block;
		model[b].type = d->slot[i].type;
		wrong = d->slot[i].type ? walk(bytes, b, depth + 1) : NULL;
		if (wrong)
			return wrong;
	}
	return NULL;
}

static inline const char *walk_all(const void *(*bytes)(uint32_t block))
{
	memset(model, 0, sizeof(model));
	model[0].owned = true;
	model[0].type = 1;
	return walk(bytes, 0, 0);
}

static inline const void *live_bytes(uint32_t block)
{
	if (buffer_of(block))
		return buffer_of(block);
	return entry(block)->state == EXO_BLOCK_FRESH ? NULL : newest(block);
}

/* What each share was given; check_volume() finds that it is what is left and what its blocks are. */
static int32_t share_given[EXO_VOLUME_SHARES];

static inline const struct exo_volume_share *share_at(unsigned share)
{
	return (const struct exo_volume_share *)((char *)volume + EXO_PAGE_SIZE) + share;
}

static inline const char *check_shares(void)
{
	int32_t sum[EXO_VOLUME_SHARES];

	for (unsigned i = 0; i < EXO_VOLUME_SHARES; i++)
		sum[i] = share_at(i)->left;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		unsigned share = entry(i)->flags >> EXO_BLOCK_SHARE;
		const struct exo_volume_block *owner = entry(entry(i)->parent);

		sum[share] += entry(i)->state != EXO_BLOCK_FREE;
		if (model[i].owned && i && entry(i)->parent && share != (unsigned)(owner->flags >> EXO_BLOCK_SHARE))
			return "R6: a block is of another share than its owner";
	}
	for (unsigned i = 1; i < EXO_VOLUME_SHARES; i++)
		if (sum[i] != share_given[i])
			return "R6: left";
	return NULL;
}

/* What the kernel says is what the bytes say. */
static inline const char *check_volume(void)
{
	static uint32_t owned[BLOCKS], pending[BLOCKS];
	const char *wrong = walk_all(live_bytes);

	if (wrong)
		return wrong;
	memset(owned, 0, sizeof(owned));
	memset(pending, 0, sizeof(pending));
	for (uint32_t i = 0; i < BLOCKS; i++) {
		bool has = entry(i)->state == EXO_BLOCK_FRESH || entry(i)->state == EXO_BLOCK_OWNED;

		if (has != model[i].owned || (has && (entry(i)->parent != model[i].parent || entry(i)->type != model[i].type)))
			return "R1";
		if (has && i) {
			owned[model[i].parent]++;
			pending[model[i].parent] += entry(i)->state == EXO_BLOCK_FRESH;
		}
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		if (model[i].owned && model[i].type) {
			if (entry(i)->owned != owned[i])
				return "R2: owned";
			if (entry(i)->buffer == EXO_VOLUME_NONE ? pending[i] : volume->buffer[entry(i)->buffer].pending != pending[i])
				return "R2: pending";
		}
	return check_shares();
}

/* --- power cuts ------------------------------------------------------------------------------------------------- */

static _Alignas(8) uint8_t cut[BLOCKS][EXO_PAGE_SIZE];
static unsigned cuts;

static inline const void *cut_bytes(uint32_t block)
{
	return cut[block];
}

static inline void cut_keep(unsigned block, const void *bytes)
{
	memcpy(cut[block], bytes, EXO_PAGE_SIZE);
}

static inline bool in_cut_of_hostile(uint32_t block)
{
	for (unsigned i = 0; block && i < 20; i++, block = model[block].parent)
		if (block == HOSTILE_BLOCK)
			return true;
	return false;
}

/* The power goes now. NULL: what is on the disk is sound. */
static inline const char *power_cut(void)
{
	const char *wrong;
	uint32_t n, word[2];

	cuts++;
	for (unsigned i = 0; i < BLOCKS; i++) {
		n = below(fake.versions[i] + 1);
		memcpy(cut[i], n ? fake.version[i][n - 1]->bytes : fake.stable[i], EXO_PAGE_SIZE);
	}
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.transfer[fake.order[i]].operation == EXO_DISK_WRITE && below(2))
			move_bytes(&fake.transfer[fake.order[i]], cut_keep);
	wrong = walk_all(cut_bytes);
	if (wrong)
		return wrong;
	for (uint32_t i = 0; i < BLOCKS; i++) {
		if (!model[i].owned || model[i].type)
			continue;
		memcpy(word, cut[i], 8);
		if (in_cut_of_hostile(i)) {	/* anything, but nothing of others */
			if (word[0] >> 16 == 0xda7a)
				return "the hostile one has data of others";
			continue;
		}
		if (word[0] != (0xda7a0000 | i) || word[1] != name_of(cut[model[i].parent]))
			return "data of somebody else, or none";
	}
	return NULL;
}

#endif
