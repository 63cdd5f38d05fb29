/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block registry: each documented error, two libFSes that share one tree and one free map, a hostile one beside them,
 * power cuts at any time with any subset of the writes that no flush covers, and ends in the middle of everything.
 *
 * The disk keeps what no completed flush covers as versions; a power cut leaves of each block any one of them, or what was
 * stable. What such a disk holds, and what the kernel says, are compared with a walk by the same rules in C: a block of
 * metadata has 30 slots of (block, type) from byte 64 on, 0: none; the owner function emits them. A writer stamps data with
 * its directory's name, which is unique, so that data of somebody else is seen.
 */
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

static const uint8_t *newest(unsigned block)
{
	return fake.versions[block] ? fake.version[block][fake.versions[block] - 1]->bytes : fake.stable[block];
}

static void forget(unsigned block, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(fake.version[block][i]);
	fake.versions[block] -= count;
	memmove(fake.version[block], fake.version[block] + count, fake.versions[block] * sizeof(fake.version[0][0]));
}

static void keep(unsigned block, const void *bytes)
{
	struct version *v = malloc(sizeof(*v));

	if (fake.versions[block] == VERSIONS)
		forget(block, 1);	/* one state less that is tried */
	memcpy(v->bytes, bytes, EXO_PAGE_SIZE);
	v->sequence = ++fake.sequence;
	fake.version[block][fake.versions[block]++] = v;
}

static void settle(uint32_t sequence)
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

static bool fake_submit(struct disk *disk, unsigned flight, const struct disk_transfer *transfer)
{
	(void)disk;
	if (fake.count == 32)
		return false;
	fake.transfer[flight] = *transfer;
	fake.flush[flight] = fake.sequence;
	fake.order[fake.count++] = flight;
	return true;
}

static void fake_notify(struct disk *disk)
{
	(void)disk;
}

static void move_bytes(const struct disk_transfer *t, void (*to_disk)(unsigned, const void *))
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

static void fake_done(unsigned i, bool failed)
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
static void interrupt(unsigned count)
{
	disks_lock();
	for (; count && fake.count; count--)
		fake_done(below(fake.count), below(50) == 0);
	(void)disk_settled(&fake.disk);
	disks_unlock();
}

/* --- the machine ------------------------------------------------------------------------------------------------ */

static int64_t fake_add(void *arg)
{
	(void)arg;
	return disk_add(&fake.disk, "fake");
}

static void fill(unsigned who, uint32_t slot, unsigned type, unsigned rights, uint64_t first, uint32_t count)
{
	cap_fill(cap_slot(world.env[who], slot), type, rights, first, count, 0, NULL, slot);
}

static exo_cap_t take(unsigned who, uint32_t slot, unsigned count)
{
	exo_cap_t cap = (exo_cap_t)CALL(who, frame_take, slot, EXO_PFN_ANY, count > EXO_TAKE_MAX ? EXO_TAKE_MAX : count);

	if (count > EXO_TAKE_MAX)
		(void)CALL(who, frame_take, cap, EXO_PFN_ANY, count - EXO_TAKE_MAX);
	return cap;
}

static exo_cap_t load_owner(void)
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
static void machine(void)
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

static int64_t make(uint32_t slot)
{
	int64_t node = CALL(0, volume_make, slot, world_handle(0, SLOT_BLOCKS), world_handle(0, SLOT_POOL), 0, FRAMES,
	    world_handle(0, SLOT_CODE));

	volume = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_POOL)->first);
	return node;
}

static const struct exo_volume_block *entry(uint32_t block)
{
	return (const struct exo_volume_block *)((char *)volume + 2 * EXO_PAGE_SIZE) + block;
}

static struct directory *buffer_of(uint32_t block)
{
	return entry(block)->buffer == EXO_VOLUME_NONE || !(entry(block)->flags & EXO_BLOCK_LOADED) ? NULL :
	    (void *)((char *)volume + (volume->buffer_first + entry(block)->buffer) * EXO_PAGE_SIZE);
}

static void *frame_of(unsigned who, unsigned frame)
{
	return pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], SLOT_DATA)->first + frame);
}

static bool post(unsigned who, unsigned operation, exo_cap_t node, uint32_t block, uint32_t frame, unsigned count)
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
static int one(unsigned who, unsigned operation, exo_cap_t node, uint32_t block, uint32_t frame, unsigned count)
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

static int64_t load(unsigned who, exo_cap_t node, uint32_t block, uint32_t buffer)
{
	int64_t result;

	do
		result = CALL(who, node_load, node, block, buffer);
	while (result == ERR(AGAIN));
	return result;
}

/* Loads what is there, all of it. */
static int64_t load_whole(unsigned who, exo_cap_t node, uint32_t block, uint32_t buffer)
{
	int64_t result = load(who, node, block, buffer);

	if (result == 1)
		result = one(who, EXO_DISK_READ, node, block, 0, 1) ? -1 : load(who, node, block, buffer);
	return result;
}

static struct exo_node_change *change_of(unsigned who)
{
	return (struct exo_node_change *)world.env[who]->arg;
}

static int64_t change(unsigned who, exo_cap_t node)
{
	int64_t result;

	do
		result = CALL(who, node_change, node, 0);
	while (result == ERR(AGAIN));
	return result;
}

/* Slot i of a loaded directory becomes (block, type). */
static int64_t set_slot(unsigned who, exo_cap_t node, uint32_t directory, unsigned i, uint32_t block, uint32_t type)
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

static int64_t set_name(unsigned who, exo_cap_t node, uint32_t directory)
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

static uint32_t name_of(const void *directory)
{
	uint32_t name;

	memcpy(&name, (const char *)directory + NAME_AT, 4);
	return name;
}

/* Derived from a node of the first environment's. */
static exo_cap_t give(unsigned who, uint32_t slot, uint32_t from, unsigned rights)
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

static const char *walk(const void *(*bytes)(uint32_t block), uint32_t block, unsigned depth)
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

static const char *walk_all(const void *(*bytes)(uint32_t block))
{
	memset(model, 0, sizeof(model));
	model[0].owned = true;
	model[0].type = 1;
	return walk(bytes, 0, 0);
}

static const void *live_bytes(uint32_t block)
{
	if (buffer_of(block))
		return buffer_of(block);
	return entry(block)->state == EXO_BLOCK_FRESH ? NULL : newest(block);
}

/* What the kernel says is what the bytes say. */
static const char *check_volume(void)
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
	return NULL;
}

/* --- power cuts ------------------------------------------------------------------------------------------------- */

static _Alignas(8) uint8_t cut[BLOCKS][EXO_PAGE_SIZE];
static unsigned cuts;

static const void *cut_bytes(uint32_t block)
{
	return cut[block];
}

static void cut_keep(unsigned block, const void *bytes)
{
	memcpy(cut[block], bytes, EXO_PAGE_SIZE);
}

static bool in_cut_of_hostile(uint32_t block)
{
	for (unsigned i = 0; block && i < 20; i++, block = model[block].parent)
		if (block == HOSTILE_BLOCK)
			return true;
	return false;
}

/* The power goes now. NULL: what is on the disk is sound. */
static const char *power_cut(void)
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

/* --- calls ------------------------------------------------------------------------------------------------------ */

static void test_make(void)
{
	exo_cap_t blocks, pool, code, other, weak;

	memset(fake.stable, 0, sizeof(fake.stable));
	machine();
	blocks = world_handle(0, SLOT_BLOCKS);
	pool = world_handle(0, SLOT_POOL);
	code = world_handle(0, SLOT_CODE);
	weak = (exo_cap_t)CALL(0, cap_derive, blocks, 0, 50, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, volume_make, 8, 0x7000001, pool, 0, FRAMES, code), ERR(CAP), "make CAP");
	is_int(CALL(0, volume_make, 8, pool, pool, 0, FRAMES, code), ERR(TYPE), "make TYPE");
	is_int(CALL(0, volume_make, 8, weak, pool, 0, FRAMES, code), ERR(RIGHTS), "make RIGHTS");
	is_int(CALL(0, volume_make, 8, blocks, pool, 1, FRAMES, code), ERR(RANGE), "make RANGE");
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, FRAMES, pool), ERR(TYPE), "make TYPE: the program");
	is_int(CALL(0, volume_make, 0, blocks, pool, 0, FRAMES, code), ERR(SLOT), "make SLOT");
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, 3, code), ERR(INVAL), "make INVAL: no buffer");
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, FRAMES, code), ERR(BUSY), "make BUSY: something is derived");
	is_int(world_finish(0, EXO_CALL_cap_delete, weak, 0), 0, "");
	(void)one(0, EXO_DISK_READ, blocks, 0, 0, 1);
	ok(make(8) > 0, "make");
	is_int(info_frame[cap_slot(world.env[0], SLOT_POOL)->first].state, EXO_FRAME_VOLUME, "its frames");
	is_int(CALL(0, volume_make, 9, blocks, pool, 0, FRAMES, code), ERR(BUSY), "make BUSY: a volume already");
	is_int(one(0, EXO_DISK_READ, blocks, 0, 0, 1), (int)ERR(BUSY), "its blocks can be used no more");
	is_int(CALL(0, cap_derive, blocks, 0, 50, EXO_RIGHT_READ, 0, 0), ERR(BUSY), "nor derived");
	other = (exo_cap_t)CALL(0, cap_derive, world_handle(0, 8), 0, 9, EXO_RIGHT_READ, 0, 0);
	ok((int64_t)other > 0, "derive a node");
	is_int(CALL(0, node_load, other, 0, 0), ERR(AGAIN), "load AGAIN: it is cleared");
	is_int(load(0, other, 0, 0), 1, "load: to be read");
	is_int(load(0, other, BLOCKS, 0), ERR(RANGE), "load RANGE: block");
	is_int(load(0, other, 0, BUFFERS), ERR(RANGE), "load RANGE: buffer");
	is_int(load(0, other, 5, 0), ERR(TYPE), "load TYPE");
	is_int(one(0, EXO_DISK_WRITE, world_handle(0, 8), 0, 0, 1), (int)ERR(BUSY), "not written before it is loaded");
	is_int(CALL(0, node_change, world_handle(0, 8), 0), ERR(BUSY), "change BUSY: not loaded");
	is_int(one(0, EXO_DISK_READ, other, 0, 0, 1), 0, "read");
	is_int(load(0, other, 0, 0), 0, "load: there");
	is_int(volume->unwalked, 0, "all is walked");
	is_int(CALL(0, node_change, other, 0), ERR(RIGHTS), "change RIGHTS");
	is_int(CALL(0, node_change, world_handle(0, 8), 4), ERR(RANGE), "change RANGE");
	memset(change_of(0), 0, sizeof(struct exo_node_change));
	is_int(CALL(0, node_change, world_handle(0, 8), 0), ERR(INVAL), "change INVAL");
	is_int(one(0, EXO_DISK_DISCARD, world_handle(0, 8), 0, 0, 1), (int)ERR(INVAL), "no discard");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, 8), 0), 0, "a node goes");
	ok(volume->id != 0, "the volume not yet");
	is_int(world_finish(0, EXO_CALL_cap_delete, other, 0), 0, "the last node goes");
	is_int(info_frame[cap_slot(world.env[0], SLOT_POOL)->first].state, EXO_FRAME_OWNED, "frames are frames again");
	is_int(one(0, EXO_DISK_READ, blocks, 0, 0, 1), 0, "and blocks blocks");
	ok(make(8) > 0, "make another");
	is_int(world_finish(0, EXO_CALL_cap_delete, blocks, 0), 0, "the blocks go");
	is_int(CALL(0, node_load, world_handle(0, 8), 0, 0), ERR(STATE), "load STATE: it is dead");
	is_int(CALL(0, frame_reclaim, pool, 0, FRAMES), 0, "reclaim");
	is_int(CALL(0, node_load, world_handle(0, 8), 0, 0), ERR(STATE), "load STATE: it is no more");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, 8), 0), 0, "");
	is_int(world_finish(0, EXO_CALL_cap_delete, pool, 0), 0, "");
	is_int(world_finish(0, EXO_CALL_cap_delete, code, 0), 0, "");
}

static void test_change(void)
{
	exo_cap_t root, dir;
	uint32_t *words;

	memset(fake.stable, 0, sizeof(fake.stable));
	machine();
	root = (exo_cap_t)make(8);
	is_int(load_whole(0, root, 0, 0), 0, "the root");
	is_int(set_slot(0, root, 0, 0, 5, 0), 0, "gain");
	ok(entry(5)->state == EXO_BLOCK_FRESH && entry(5)->parent == 0 && !check_volume(), "it is the root's");
	is_int(set_slot(0, root, 0, 1, 5, 0), ERR(REJECTED), "gained twice: no");
	is_int(set_slot(0, root, 0, 1, BLOCKS, 0), ERR(REJECTED), "gain what is not there: no");
	is_int(set_slot(0, root, 0, 1, 0x10000000, 1), ERR(REJECTED), "the same");
	(void)set_slot(0, root, 0, 1, 6, 0);
	change_of(0)->gains = 0;
	change_of(0)->new[0] = 7;
	memcpy(change_of(0)->old, &buffer_of(0)->slot[1], 8);
	is_int(change(0, root), ERR(RIGHTS), "not declared: no");
	change_of(0)->old[0] ^= 1;
	is_int(change(0, root), ERR(BUSY), "change BUSY: others were faster");
	is_int(one(0, EXO_DISK_READ, root, 5, 0, 1), (int)ERR(STATE), "what was never written is not read");
	is_int(one(0, EXO_DISK_READ, root, 7, 0, 1), (int)ERR(RIGHTS), "nor what is nobody's");
	is_int(one(0, EXO_DISK_WRITE, root, 0, 0, 1), (int)ERR(BUSY), "order: the root waits for what it owns");
	words = frame_of(0, 1);
	words[0] = 0xda7a0005;
	is_int(one(0, EXO_DISK_WRITE, root, 5, 1, 1), 0, "data is written");
	is_int(one(0, EXO_DISK_WRITE, root, 6, 1, 1), 0, "");
	is_int(one(0, EXO_DISK_WRITE, root, 0, 0, 1), (int)ERR(BUSY), "order: and for the flush");
	is_int(one(0, EXO_DISK_FLUSH, root, 0, 0, 0), 0, "flush");
	is_int(one(0, EXO_DISK_WRITE, root, 0, 0, 1), 0, "now it is written");
	is_int(one(0, EXO_DISK_FLUSH, root, 0, 0, 0), 0, "flush");
	is_int(set_slot(0, root, 0, 0, 0, 0), 0, "lose");
	is_int(entry(5)->state, EXO_BLOCK_LEFT, "it is left");
	is_int(set_slot(0, root, 0, 2, 5, 0), ERR(RIGHTS), "order: the disk may still point to it");
	is_int(one(0, EXO_DISK_WRITE, root, 0, 0, 1), 0, "written without it");
	is_int(set_slot(0, root, 0, 2, 5, 0), ERR(RIGHTS), "order: not before the flush");
	is_int(one(0, EXO_DISK_FLUSH, root, 0, 0, 0), 0, "flush");
	is_int(set_slot(0, root, 0, 2, 5, 1), 0, "free: a directory now");
	is_int(load(0, root, 5, 1), 0, "load: it is all zeroes");
	ok(!check_volume(), "all is well");
	dir = (exo_cap_t)CALL(0, node_open, 9, root, 5, RW);
	ok((int64_t)dir > 0, "open");
	is_int(CALL(0, node_open, 10, root, 6, RW), ERR(TYPE), "open TYPE: data");
	is_int(CALL(0, node_open, 10, dir, 5, RW), ERR(TYPE), "open TYPE: not its own");
	is_int(CALL(0, node_open, 10, root, BLOCKS, RW), ERR(RANGE), "open RANGE");
	is_int(CALL(0, node_open, 10, root, 5, EXO_RIGHT_EXEC), ERR(RIGHTS), "open RIGHTS");
	is_int(CALL(0, node_open, 0, root, 5, RW), ERR(SLOT), "open SLOT");
	is_int(one(0, EXO_DISK_READ, dir, 6, 0, 1), (int)ERR(RIGHTS), "data of the other directory");
	is_int(set_slot(0, dir, 5, 0, 6, 0), ERR(RIGHTS), "nor gained");
	is_int(set_slot(0, dir, 5, 0, 9, 0), 0, "gain below");
	is_int(set_slot(0, root, 0, 2, 0, 0), ERR(RIGHTS), "a directory that owns something is not lost");
	is_int(set_slot(0, dir, 5, 0, 0, 0), 0, "lose below");
	is_int(set_slot(0, root, 0, 2, 0, 0), 0, "now it is lost");
	is_int(CALL(0, node_change, dir, 0), ERR(STATE), "change STATE: its block is gone");
	is_int(one(0, EXO_DISK_WRITE, root, 0, 0, 1), 0, "");
	is_int(one(0, EXO_DISK_FLUSH, root, 0, 0, 0), 0, "");
	is_int(set_slot(0, root, 0, 2, 9, 0), 0, "what was lost below is free with it");
	ok(!check_volume(), "all is well");
	is_int(CALL(0, node_load, root, 9, 0), ERR(TYPE), "load TYPE: data");
	is_int(set_slot(0, root, 0, 3, 5, 1), 0, "5 is a directory again");
	is_int(CALL(0, node_load, root, 5, 0), ERR(BUSY), "load BUSY: what lies in the buffer is not on the disk");
	is_int(CALL(0, node_change, dir, 0), ERR(STATE), "change STATE: the node is of another that stood there");
	is_int(one(0, EXO_DISK_READ, dir, 0, 0, 1), (int)ERR(STATE), "nor is it good for requests");
	(void)post(0, EXO_DISK_WRITE, root, 9, 1, 1);
	is_int(fake.count, 1, "data is being written");
	is_int(set_slot(0, root, 0, 2, 0, 0), 0, "and lost");
	is_int(load(0, root, 5, 3), 0, "");
	(void)post(0, EXO_DISK_WRITE, root, 5, 0, 1);
	disks_lock();
	fake_done(1, false);
	(void)disk_settled(&fake.disk);
	disks_unlock();
	(void)post(0, EXO_DISK_FLUSH, root, 0, 0, 0);
	disks_lock();
	fake_done(1, false);
	disks_unlock();
	(void)post(0, EXO_DISK_WRITE, root, 0, 0, 1);
	is_int(set_slot(0, root, 0, 4, 20, 0), ERR(BUSY), "change BUSY: it is being written");
	disks_lock();
	fake_done(1, false);
	disks_unlock();
	(void)post(0, EXO_DISK_FLUSH, root, 0, 0, 0);
	disks_lock();
	fake_done(1, false);
	disks_unlock();
	is_int(set_slot(0, root, 0, 2, 9, 0), ERR(RIGHTS), "not gained while the old write is under way");
	disks_lock();
	fake_done(0, false);
	disks_unlock();
	is_int(set_slot(0, root, 0, 2, 9, 0), 0, "gained now");
}

/* What is not known yet is not given away, and what two claim neither. */
static void test_mount(void)
{
	struct directory *d = (void *)fake.stable[0];
	exo_cap_t root;

	for (unsigned i = 0; i < BLOCKS; i++)
		forget(i, fake.versions[i]);
	memset(fake.stable, 0, sizeof(fake.stable));
	d->slot[0].block = 4;
	d->slot[0].type = 1;
	d->slot[1].block = 5;
	d->slot[1].type = 1;
	((struct directory *)fake.stable[4])->slot[3].block = 6;
	((struct directory *)fake.stable[5])->slot[3].block = 6;
	machine();
	root = (exo_cap_t)make(8);
	is_int(load_whole(0, root, 0, 0), 0, "the root");
	is_int(volume->unwalked, 2, "two directories are not known");
	is_int(set_slot(0, root, 0, 4, 9, 0), ERR(STATE), "change STATE: nothing is gained before");
	is_int(load_whole(0, root, 5, 1), 0, "the second");
	is_int(load_whole(0, root, 4, 2), ERR(REJECTED), "load REJECTED: it has what the other has");
	is_int(volume->unwalked, 1, "it stays unwalked");
	is_int(set_slot(0, root, 0, 4, 9, 0), ERR(STATE), "so nothing is gained");
	is_int(one(0, EXO_DISK_WRITE, root, 4, 0, 1), (int)ERR(BUSY), "and it is not written");
	is_int(set_slot(0, root, 0, 1, 0, 0), ERR(RIGHTS), "nor lost with what it owns");
}

/* --- two libFSes and a hostile one ------------------------------------------------------------------------------ */

static struct {
	uint32_t block;		/* 0: none, but for the root, which nobody works in */
	exo_cap_t cap;
} node[WORLD_ENVS][NODES];

static unsigned done_ops[16];

/* Gets a buffer for a block of metadata; what is in the way is written back by whoever wants it. */
static void want(unsigned who, exo_cap_t cap, uint32_t block)
{
	uint32_t buffer = below(BUFFERS);
	int64_t result = load(who, cap, block, buffer);

	if (result == 1)
		(void)post(who, EXO_DISK_READ, cap, block, 0, 1);
	else if (result == ERR(BUSY) && volume->buffer[buffer].block != EXO_VOLUME_NONE)
		(void)post(who, EXO_DISK_WRITE, cap, volume->buffer[buffer].block, 0, 1);
}

/* A block that looks free: one libFS from below, the other from above, by next fit. */
static uint32_t pick(unsigned who)
{
	static uint32_t at[WORLD_ENVS];
	uint32_t b;

	for (unsigned i = 0; i < BLOCKS; i++) {
		at[who] = (at[who] + (who ? BLOCKS - 1 : 1)) % BLOCKS;
		b = at[who];
		if (b && (entry(b)->state == EXO_BLOCK_FREE || entry(b)->state == EXO_BLOCK_LEFT) && below(3))
			return b;
	}
	return 1 + below(BLOCKS - 1);
}

static void write_data(unsigned who, exo_cap_t cap, const struct directory *d, uint32_t block)
{
	unsigned frame = below(DATA_FRAMES);
	uint32_t *words = frame_of(who, frame);

	if (ring[who]->posted != ring[who]->taken || frame_table[cap_slot(world.env[who], SLOT_DATA)->first + frame].pins)
		return;	/* the last one that it was for is not done yet */
	words[0] = 0xda7a0000 | block;
	words[1] = name_of(d);
	done_ops[6] += post(who, EXO_DISK_WRITE, cap, block, frame, 1);
}

static void new_directory(unsigned who, unsigned n, uint32_t block)
{
	for (unsigned i = 1; i < NODES; i++) {
		if (node[who][i].block)
			continue;
		node[who][i].cap = (exo_cap_t)CALL(who, node_open, SLOT_NODE + i, node[who][n].cap, block, RW);
		node[who][i].block = block;
		done_ops[1]++;
		return;
	}
}

static void drop_directory(unsigned who, uint32_t block)
{
	for (unsigned i = 1; i < NODES; i++)
		if (node[who][i].block == block) {
			(void)world_finish(who, EXO_CALL_cap_delete, node[who][i].cap, 0);
			node[who][i].block = 0;
			done_ops[2]++;
		}
}

/* From slot i on, the first with a block of a type, fresh or whatever. */
static unsigned find(const struct directory *d, unsigned i, unsigned type, bool fresh)
{
	for (unsigned tries = 0; tries < SLOTS; tries++, i = (i + 1) % SLOTS)
		if (d->slot[i].block && d->slot[i].type == type && (!fresh || entry(d->slot[i].block)->state == EXO_BLOCK_FRESH))
			break;
	return i;
}

static bool is_full(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BLOCKS; i++)
		n += entry(i)->state == EXO_BLOCK_FREE || entry(i)->state == EXO_BLOCK_LEFT;
	return n < BLOCKS / 3;
}

/* One step of a libFS that does nothing wrong, but has no plan either. */
static void step(unsigned who)
{
	unsigned n = below(NODES), i = below(SLOTS), type;
	exo_cap_t cap = node[who][n].cap;
	uint32_t dir = node[who][n].block, block;
	const struct directory *d;

	if (!dir)
		return;
	d = buffer_of(dir);
	if (!d || !(entry(dir)->flags & EXO_BLOCK_WALKED)) {
		want(who, cap, dir);
		return;
	}
	if (!name_of(d)) {
		(void)set_name(who, cap, dir);
		return;
	}
	switch (below(8)) {
	case 0:
	case 1:
		if (d->slot[i].block)
			break;
		type = below(6) == 0;
		block = pick(who);
		if (set_slot(who, cap, dir, i, block, type))
			break;
		done_ops[0]++;
		if (type)
			new_directory(who, n, block);
		break;
	case 2:
		i = find(d, i, below(3) == 0, false);
		block = d->slot[i].block;
		type = d->slot[i].type;
		if (!block || !is_full() || set_slot(who, cap, dir, i, 0, 0))
			break;
		done_ops[3]++;
		if (type)
			drop_directory(who, block);
		break;
	case 3:
	case 4:
	case 5:
		i = find(d, i, 0, below(4));
		if (d->slot[i].block && !d->slot[i].type)
			write_data(who, cap, d, d->slot[i].block);
		break;
	case 6:
		block = below(4) ? dir : below(BLOCKS);	/* another's, too; but not own data, without the data */
		if (entry(block)->type && entry(block)->state != EXO_BLOCK_LEFT)
			done_ops[4] += post(who, EXO_DISK_WRITE, cap, block, 0, 1);
		break;
	default:
		if (below(3) == 0)
			done_ops[5] += post(who, EXO_DISK_FLUSH, cap, 0, 0, 0);
	}
}

/* What is not the hostile one's: it has to stay as it is. */
static struct exo_volume_block before[BLOCKS];

static bool is_hostile(uint32_t block)
{
	for (unsigned i = 0; block && i < 20; i++, block = entry(block)->parent)
		if (block == node[2][0].block)
			return true;
	return false;
}

static const char *others_changed(void)
{
	for (uint32_t i = 0; i < BLOCKS; i++) {
		const struct exo_volume_block *b = entry(i), *was = &before[i];

		if (was->state != EXO_BLOCK_FRESH && was->state != EXO_BLOCK_OWNED)
			continue;
		if (b->parent != was->parent || b->type != was->type || b->birth != was->birth ||
		    (b->changed != was->changed && was->flags & EXO_BLOCK_LOADED) ||	/* who loads a fresh one clears it */
		    (b->state != was->state && !(was->state == EXO_BLOCK_FRESH && b->state == EXO_BLOCK_OWNED)) ||
		    b->owned != was->owned)
			return "a block of another was changed";
	}
	return NULL;
}

static void note_others(void)
{
	for (uint32_t i = 0; i < BLOCKS; i++) {
		before[i] = *entry(i);
		if (is_hostile(i))
			before[i].state = EXO_BLOCK_FREE;
	}
}

static exo_cap_t any_cap(void)
{
	switch (below(12)) {
	case 0:
		return node[below(2)][below(NODES)].cap;	/* a number that means something to another */
	case 1:
		return world_handle(2, below(60));
	case 2:
		return world_random();
	default:
		return node[2][below(3) ? 0 : below(NODES)].cap;
	}
}

static void attack(void)
{
	struct exo_node_change *c = change_of(2);
	unsigned n = below(4) ? 0 : below(NODES), i, count;
	const struct directory *d = node[2][n].block ? buffer_of(node[2][n].block) : NULL;
	exo_cap_t cap = any_cap();

	switch (below(8)) {
	case 0:
	case 1:
	case 2:		/* any bytes, any declaration, mostly nearly right */
		memset(c, 0, sizeof(*c));
		i = below(SLOTS);
		c->at = below(4) ? 64 + 8 * i : below(EXO_PAGE_SIZE);
		count = below(4) ? 8 : 1 + below(64);
		c->bytes = below(200) ? count : (uint32_t)world_random();
		if (d && c->at + count <= EXO_PAGE_SIZE)
			memcpy(c->old, (const char *)d + c->at, count);
		if (d && below(3))
			memcpy(c->new, (const char *)d + c->at, count);
		for (unsigned j = 0; j < count / 8; j++) {
			uint32_t words[2] = { below(3) ? below(BLOCKS) : 0, below(2) };

			memcpy(c->new + 8 * j, words, 8);
			if (words[0] && below(8)) {
				c->gain[c->gains].block = words[0];
				c->gain[c->gains++].type = words[1];
			}
			if (d && i + j < SLOTS && d->slot[i + j].block && below(8)) {
				c->loss[c->losses].block = d->slot[i + j].block;
				c->loss[c->losses++].type = d->slot[i + j].type;
			}
		}
		if (below(20) == 0)
			c->losses = below(40);
		done_ops[8] += !change(2, below(4) ? node[2][n].cap : cap);
		break;
	case 3:
		(void)post(2, below(3), cap, below(BLOCKS + 4), below(DATA_FRAMES), 1 + below(4));
		break;
	case 4:
		(void)CALL(2, node_open, SLOT_NODE + 1 + below(NODES - 1), cap, below(BLOCKS), below(8) ? RW : below(256));
		for (i = 1; i < NODES; i++) {
			struct exo_cap *own = cap_slot(world.env[2], SLOT_NODE + i);

			node[2][i].block = own->type == EXO_TYPE_NODE ? (uint32_t)own->first : 0;
			node[2][i].cap = world_handle(2, SLOT_NODE + i);
		}
		break;
	case 5:
		if (load(2, cap, below(BLOCKS), below(BUFFERS)) == 1)
			(void)post(2, EXO_DISK_READ, cap, below(BLOCKS), 0, 1);
		break;
	case 6:
		if (node[2][0].block && !buffer_of(node[2][0].block))
			want(2, node[2][0].cap, node[2][0].block);
		else
			(void)post(2, EXO_DISK_WRITE, cap, below(2) ? node[2][0].block : below(BLOCKS), 0, 1);
		break;
	default:
		i = 1 + below(NODES - 1);
		if (below(4) == 0 && cap_slot(world.env[2], SLOT_NODE + i)->type == EXO_TYPE_NODE) {
			(void)world_finish(2, EXO_CALL_cap_delete, world_handle(2, SLOT_NODE + i), 0);
			node[2][i].block = 0;
		}
		(void)CALL(2, volume_make, 50, cap, world_handle(2, SLOT_DATA), below(4), below(DATA_FRAMES), cap);
	}
}

/* A volume with a directory for each of the three. */
static void populate(void)
{
	exo_cap_t root;

	memset(fake.stable, 0, sizeof(fake.stable));
	for (unsigned i = 0; i < BLOCKS; i++)
		forget(i, fake.versions[i]);
	memset(node, 0, sizeof(node));
	machine();
	root = (exo_cap_t)make(SLOT_NODE + NODES);
	(void)load_whole(0, root, 0, 0);
	(void)set_name(0, root, 0);
	for (unsigned i = 0; i < WORLD_ENVS; i++) {
		if (set_slot(0, root, 0, i, 10 + i, 1) || load(0, root, 10 + i, 1 + i))
			printf("# no directory %u\n", i);
		(void)CALL(0, node_open, SLOT_NODE + NODES + 1 + i, root, 10 + i, RW);
		node[i][0].block = 10 + i;
		node[i][0].cap = give(i, SLOT_NODE, SLOT_NODE + NODES + 1 + i, RW);
	}
}

/* Mounts what a power cut has left: everything is found, and is what the walk found. */
static const char *remount(void)
{
	exo_cap_t root;
	bool more = true;

	for (unsigned i = 0; i < BLOCKS; i++)
		forget(i, fake.versions[i]);
	memcpy(fake.stable, cut, sizeof(cut));
	machine();
	root = (exo_cap_t)make(8);
	if (load_whole(0, root, 0, 0))
		return "the root is not loaded";
	for (unsigned round = 0; more && round < 30; round++) {
		more = false;
		for (uint32_t i = 0; i < BLOCKS; i++)
			if (entry(i)->type && entry(i)->state == EXO_BLOCK_OWNED && !(entry(i)->flags & EXO_BLOCK_WALKED)) {
				more = true;
				if (load_whole(0, root, i, below(BUFFERS)))
					return "a directory is not loaded";
			}
	}
	if (volume->unwalked)
		return "not all is walked";
	return check_volume();
}

static void test_together(unsigned seed_round, unsigned steps, bool hostile, unsigned every)
{
	const char *wrong = NULL;
	unsigned attempts = 0, i;

	(void)seed_round;
	populate();
	world.unchecked = true;
	for (i = 0; i < steps && !wrong; i++) {
		step(below(2));
		if (hostile) {
			note_others();
			attack();
			attempts++;
			wrong = others_changed();
		}
		if (below(3) == 0)
			interrupt(1 + below(4));
		if (!wrong && i % 64 == 0)
			wrong = check_volume();
		if (!wrong && every && i % every == 0)
			wrong = power_cut();
	}
	world.unchecked = false;
	if (!wrong)
		wrong = check_volume() ?: world_check();
	ok(!wrong, "%u steps of two libFSes, %u attempts of a hostile one: %s", i, attempts, wrong ? wrong : "sound");
	if (wrong || !every)
		return;
	wrong = power_cut() ?: remount();
	ok(!wrong, "after a power cut: %s", wrong ? wrong : "mounted as it was");
}

/* Everything goes while much is under way. */
static void test_ends(unsigned how)
{
	uint32_t frames;
	unsigned i;

	populate();
	frames = info->frames_free;
	world.unchecked = true;
	for (i = 0; i < 400 + how; i++) {
		step(below(2));
		if (below(4) == 0)
			interrupt(1);
	}
	world.unchecked = false;
	switch (how % 4) {
	case 0:
		(void)world_finish(0, EXO_CALL_cap_revoke, world_handle(0, SLOT_NODE + NODES), 0);
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_NODE + NODES), 0);
		break;
	case 1:
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_BLOCKS), 0);
		step(1);
		break;
	case 2:
		while (CALL(0, frame_reclaim, world_handle(0, SLOT_POOL), 0, FRAMES) == ERR(AGAIN))
			;
		break;
	default:
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_CODE), 0);
		step(1);
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_SHARES), 0);
	}
	while (fake.count)
		interrupt(8);
	ok(!world_check(), "an end, %u", how);
	(void)world_finish(0, EXO_CALL_cap_revoke, world_handle(0, SLOT_NODE + NODES), 0);
	(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_NODE + NODES), 0);
	ok(info_frame[cap_slot(world.env[0], SLOT_POOL)->first].state == EXO_FRAME_OWNED && info->frames_free >= frames,
	    "all frames are there");
}

int main(void)
{
	test_make();
	test_change();
	test_mount();
	for (unsigned i = 0; i < 4; i++)
		test_together(i, world_steps(25000), true, 0);
	for (unsigned i = 0; i < 10; i++)
		test_together(i, world_steps(4000), i % 2, 11);
	for (unsigned i = 0; i < 8; i++)
		test_ends(i);
	printf("# %u power cuts; gained %u, lost %u, directories made %u, dropped %u, changes of the hostile one %u\n", cuts,
	    done_ops[0], done_ops[3], done_ops[1], done_ops[2], done_ops[8]);
	return done();
}
