/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block registry on a real disk: a volume is made, gets a directory and data, is taken apart and mounted again; each
 * kind of refusal; what another environment can do with numbers alone; and that all goes with its capabilities. Random
 * operations, power cuts and each error are test/unit/registry_test's.
 *
 * Runs first: yes. Run with: --disk scratch:16M
 */
#include <exo/registry.h>
#include "libos/core/code.h"
#include "libos/core/insn.h"
#include "test/guest/agent.h"
#include "test/guest/disk_ring.h"

#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define BLOCKS		200
#define BUFFERS		6
#define SLOTS		8	/* of a directory, from byte 64 on: block, type */

static exo_cap_t shares, blocks, pool;
static struct code_program program;
static struct ring ring;
static const struct exo_volume *volume;

/* Emits what the slots name. */
static bool owner_load(void)
{
	static struct exo_insn insn[5 * SLOTS + 4];
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = EXO_USE_OWNER, .fuel = 400 };
	unsigned n = 0;

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
	return code_load(&program, &header, insn, NULL, NULL) == 0;
}

static const struct exo_volume_block *entry(uint32_t block)
{
	return (const struct exo_volume_block *)((const char *)volume + volume->map * EXO_PAGE_SIZE) + block;
}

static const uint32_t *slot_of(uint32_t block, unsigned i)
{
	const char *buffer = (const char *)volume + (volume->buffer_first + entry(block)->buffer) * EXO_PAGE_SIZE;

	return (const uint32_t *)(const void *)(buffer + 64 + 8 * i);
}

static int64_t load(exo_cap_t node, uint32_t block, uint32_t buffer)
{
	int64_t result;

	for (unsigned tries = 0; tries < 100; tries++) {
		result = exo_node_load(node, block, buffer);
		if (result == 1)
			result = ring_do(&ring, node, EXO_DISK_READ, block, 0) ? 2 : -EXO_EAGAIN;
		if (result != -EXO_EAGAIN)
			return result;
	}
	return 3;
}

/* Slot i of a directory becomes (block, type); `declare`: and says so. */
static int64_t change(exo_cap_t node, uint32_t directory, unsigned i, uint32_t block, uint32_t type, bool declare)
{
	struct exo_node_change *c = core_arg(0);
	uint32_t words[2] = { block, type };
	int64_t result;

	memset(c, 0, sizeof(*c));
	c->at = 64 + 8 * i;
	c->bytes = 8;
	memcpy(c->old, slot_of(directory, i), 8);
	memcpy(c->new, words, 8);
	if (declare && slot_of(directory, i)[0]) {
		c->losses = 1;
		c->loss[0].block = slot_of(directory, i)[0];
		c->loss[0].type = slot_of(directory, i)[1];
	}
	if (declare && block) {
		c->gains = 1;
		c->gain[0].block = block;
		c->gain[0].type = type;
	}
	do
		result = exo_node_change(node, 0);
	while (result == -EXO_EAGAIN);
	return result;
}

/* A volume, mapped to read. */
static exo_cap_t make(void)
{
	uint32_t frames = (uint32_t)exo_volume_frames(BLOCKS, BUFFERS);
	int64_t root = exo_volume_make(caps_slot(), blocks, pool, 0, frames, program.cap);

	if (root > 0 && space_map((exo_vaddr_t)volume, EXO_MAP_READ | EXO_MAP_WRITE, pool, 0, frames) == 0)
		printf("# a volume can be mapped to write\n");
	return root > 0 && !space_map((exo_vaddr_t)volume, EXO_MAP_READ, pool, 0, frames) ? (exo_cap_t)root : EXO_CAP_NONE;
}

static uint64_t *page(unsigned i)
{
	return (uint64_t *)data[i];
}

static int64_t flush(exo_cap_t node)
{
	struct exo_disk_done done;

	ring_add(&ring, &(struct exo_disk_request){ .blocks = node, .operation = EXO_DISK_FLUSH });
	return ring_post(&ring) < 0 || !ring_next(&ring, &done) ? 1 : done.result;
}

static void new_volume(void)
{
	exo_cap_t root, directory, reading;

	memset(page(0), 0, EXO_PAGE_SIZE);
	is(ring_do(&ring, blocks, EXO_DISK_WRITE, 0, 0), 0, "an empty root");
	is(exo_volume_make(caps_slot(), NO_CAP, pool, 0, 10, program.cap), -EXO_ECAP, "make CAP");
	is(exo_volume_make(caps_slot(), shares, pool, 0, 10, program.cap), -EXO_ETYPE, "make TYPE");
	is(exo_volume_make(caps_slot(), blocks, pool, 0, 4, program.cap), -EXO_EINVAL, "make INVAL");
	root = make();
	ok(root != EXO_CAP_NONE, "make");
	is(ring_do(&ring, blocks, EXO_DISK_READ, 0, 0), -EXO_EBUSY, "its blocks are its own");
	is(load(root, 0, 0), 0, "load the root");
	is(exo_node_load(root, 7, 0), -EXO_ETYPE, "load TYPE");
	is(exo_node_load(root, 0, BUFFERS), -EXO_ERANGE, "load RANGE");
	is(change(root, 0, 0, 150, 1, false), -EXO_ERIGHTS, "change RIGHTS: not declared");
	is(change(root, 0, 0, 150, 1, true), 0, "a directory");
	is(change(root, 0, 1, 150, 1, true), -EXO_EREJECTED, "change REJECTED: twice");
	is(ring_do(&ring, root, EXO_DISK_WRITE, 0, 0), -EXO_EBUSY, "order: it is not on the disk");
	directory = (exo_cap_t)exo_node_open(caps_slot(), root, 150, RW);
	ok((int64_t)directory > 0, "open");
	is(exo_node_open(caps_slot(), directory, 150, RW), -EXO_ETYPE, "open TYPE");
	is(exo_node_share(directory, 150, 1, 1, 1, BUFFERS), -EXO_ETYPE, "share TYPE");
	is(exo_node_share(root, 150, 1, 1, 1, BUFFERS + 1), -EXO_ERANGE, "share RANGE");
	is(exo_node_share(root, 150, 1, 1, 1, BUFFERS), 0, "share: a block and more buffers than one");
	is(load(directory, 150, 0), -EXO_EQUOTA, "load QUOTA");
	is(load(directory, 150, 1), 0, "load: it is new");
	is(change(directory, 150, 3, 42, 0, true), 0, "it gets data");
	is(change(directory, 150, 4, 43, 0, true), -EXO_EQUOTA, "change QUOTA");
	is(exo_node_share(root, 150, 2, 1, 1, BUFFERS), -EXO_EBUSY, "share BUSY");
	is(ring_do(&ring, directory, EXO_DISK_READ, 42, 0), -EXO_ESTATE, "nothing to read there yet");
	is(ring_do(&ring, root, EXO_DISK_READ, 42, 0), -EXO_ERIGHTS, "and not for the root's holder");
	*page(0) = 0x7e57;
	is(ring_do(&ring, directory, EXO_DISK_WRITE, 42, 0), 0, "write data");
	is(flush(directory), 0, "flush");
	is(ring_do(&ring, directory, EXO_DISK_WRITE, 150, 0), 0, "then the directory");
	is(flush(directory), 0, "flush");
	is(ring_do(&ring, root, EXO_DISK_WRITE, 0, 0), 0, "then the root");
	is(flush(directory), 0, "flush");
	reading = (exo_cap_t)caps_derive(directory, EXO_RIGHT_READ, 0, 0);
	is(change(reading, 150, 3, 0, 0, true), -EXO_ERIGHTS, "change RIGHTS: WRITE");
	is(ring_do(&ring, reading, EXO_DISK_WRITE, 42, 0), -EXO_ERIGHTS, "nor write");
	is(exo_cap_delete(root), 0, "the root's node goes");
	ok(info_frame(pfn_of(pool))->state == EXO_FRAME_VOLUME, "others are left");
	caps_delete(reading);
	caps_delete(directory);
	(void)space_unmap_free((exo_vaddr_t)volume, (uint32_t)exo_volume_frames(BLOCKS, BUFFERS));
	ok(info_frame(pfn_of(pool))->state == EXO_FRAME_OWNED, "the volume goes with the last");
}

static void mounted(void)
{
	struct tiny other;
	exo_cap_t root = make(), directory;

	ok(root != EXO_CAP_NONE, "mounted");

	is(load(root, 0, 5), 0, "load the root again");
	is(volume->unwalked, 1, "the directory is not known yet");
	is(change(root, 0, 1, 60, 0, true), -EXO_ESTATE, "change STATE: so nothing is gained");
	is(load(root, 150, 2), 0, "now it is");
	directory = (exo_cap_t)exo_node_open(caps_slot(), root, 150, RW);
	*page(0) = 0;
	is(ring_do(&ring, directory, EXO_DISK_READ, 42, 0), 0, "read");
	is((int64_t)*page(0), 0x7e57, "what was written");
	is(change(root, 0, 1, 42, 0, true), -EXO_ERIGHTS, "it is not to be had");
	if (ok(agent_begin(&other, 0), "another environment")) {
		is(agent_do(&other, EXO_CALL_node_change, directory, 0, 0, 0, 0, 0), -EXO_ECAP, "numbers mean nothing elsewhere");
		is(agent_do(&other, EXO_CALL_node_load, directory, 150, 0, 0, 0, 0), -EXO_ECAP, "nor to load");
		is(agent_do(&other, EXO_CALL_node_open, 30, directory, 42, RW, 0, 0), -EXO_ECAP, "nor to open");
		tiny_drop(&other);
	}
	is(exo_cap_revoke(root), 0, "revoke");
	is(exo_node_load(directory, 150, 0), -EXO_ECAP, "the directory's node is gone");
	is(exo_cap_delete(blocks), 0, "the blocks go");
	is(exo_node_load(root, 0, 0), -EXO_ESTATE, "load STATE: dead");
	is(ring_do(&ring, root, EXO_DISK_READ, 0, 0), -EXO_ESTATE, "and requests");
	is(exo_frame_reclaim(pool, 0, exo_volume_frames(BLOCKS, BUFFERS)), 0, "reclaim its frames");
	is(exo_node_load(root, 0, 0), -EXO_ESTATE, "load STATE: no more");
	caps_delete(root);
}

int main(void)
{
	uint64_t frames = exo_volume_frames(BLOCKS, BUFFERS);

	shares = core_named(EXO_NAME_DISK);
	if (!ok(shares && data_prepare() && owner_load() && ring_open(&ring, shares), "a disk and an owner function"))
		return call_done();
	blocks = (exo_cap_t)caps_derive(core_named(EXO_NAME_BLOCKS), RW, 100, BLOCKS);
	pool = take_frames((uint32_t)frames);
	volume = (const struct exo_volume *)vm_addresses(frames * EXO_PAGE_SIZE);
	new_volume();
	mounted();
	(void)space_unmap_free((exo_vaddr_t)volume, (uint32_t)frames);
	caps_delete(pool);
	code_unload(&program);
	return call_done();
}
