/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks: binding rings, each check of a request, what becomes of frames, blocks and rings that go while the disk works,
 * what an odd device may say, and whose turn it is.
 */
#include "test/unit/disk_fake.h"

#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define ALL_FLAGS	(EXO_DISK_CACHE | EXO_DISK_HAS_FUA | EXO_DISK_HAS_DISCARD | EXO_DISK_HAS_ZEROES)
#define DATA_FRAMES	20

static struct exo_disk_ring *ring;	/* of the first environment, bound */
static exo_cap_t shares, blocks, data;

static struct exo_disk_request request(unsigned operation, uint32_t block, uint32_t frame, unsigned count)
{
	return (struct exo_disk_request){ .blocks = blocks, .frames = data, .block = block, .frame = frame,
		.count = (uint16_t)count, .operation = (uint8_t)operation, .tag = 0x7000 + block };
}

static int64_t kick(void)
{
	return CALL(0, disk_kick, shares);
}

static int64_t take_frames(unsigned who, uint32_t slot, uint32_t count)
{
	return CALL(who, frame_take, slot, EXO_PFN_ANY, count);
}

static void prepare(uint32_t flags)
{
	fake_boot(600, flags);
	shares = world_handle(0, SLOT_SHARES);
	blocks = world_handle(0, SLOT_BLOCKS);
	take_frames(0, SLOT_RING, 1);
	data = (exo_cap_t)take_frames(0, SLOT_DATA, DATA_FRAMES);
	(void)CALL(0, disk_bind, shares, world_handle(0, SLOT_RING), 0);
	ring = fake_ring(0, SLOT_RING, 0);
}

static uint64_t *word_of(uint32_t frame)
{
	return pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_DATA)->first + frame);
}

/* The completion that came last. */
static int last(void)
{
	return ring->done ? ring->completion[(ring->done - 1) % EXO_DISK_SLOTS].result : 1;
}

static unsigned events(unsigned who)
{
	return (__atomic_exchange_n(&world.env[who]->disp->pending, 0, __ATOMIC_RELAXED) & EXO_EVENT_DISK) != 0;
}

/* --- */

static void test_bind(void)
{
	const struct exo_device_info *line;
	exo_cap_t part, weak, frames, limited;
	struct exo_shares *limits;
	unsigned i;

	fake_boot(600, 0);
	line = fake.disk.info;
	ok(line->kind == 2 && line->blocks == FAKE_BLOCKS && !strcmp(line->name, "disk0") && !strcmp(line->name + 8, "fake"),
	    "the disk's line");
	shares = world_handle(0, SLOT_SHARES);
	blocks = world_handle(0, SLOT_BLOCKS);
	frames = (exo_cap_t)take_frames(0, SLOT_RING, 3);
	weak = (exo_cap_t)CALL(0, cap_derive, shares, 0, 50, EXO_RIGHT_READ, 0, 8);
	is_int(CALL(0, disk_bind, 0x7000001, frames, 0), ERR(CAP), "bind CAP");
	is_int(CALL(0, disk_bind, shares, 0x7000001, 0), ERR(CAP), "bind CAP: frames");
	is_int(CALL(0, disk_bind, blocks, frames, 0), ERR(TYPE), "bind TYPE");
	is_int(CALL(0, disk_bind, shares, blocks, 0), ERR(TYPE), "bind TYPE: frames");
	is_int(CALL(0, disk_bind, weak, frames, 0), ERR(RIGHTS), "bind RIGHTS");
	weak = (exo_cap_t)CALL(0, cap_derive, frames, 0, 51, EXO_RIGHT_READ, 0, 1);
	is_int(CALL(0, disk_bind, shares, weak, 0), ERR(RIGHTS), "bind RIGHTS: frames");
	is_int(CALL(0, disk_bind, shares, frames, 3), ERR(RANGE), "bind RANGE");
	is_int(CALL(0, disk_bind, shares, frames, ~0ULL), ERR(RANGE), "bind RANGE: the last number");
	is_int(CALL(0, disk_bind, shares, world_handle(0, SLOT_SELF), 1), ERR(BUSY), "bind BUSY: a kernel object");
	is_int(CALL(0, disk_kick, shares), ERR(STATE), "kick STATE: no ring");
	part = (exo_cap_t)CALL(0, cap_derive, shares, 0, 52, EXO_RIGHT_BIND, 16, 16);
	is_int(CALL(0, disk_bind, part, frames, 0), 0, "bind");
	ring = fake_ring(0, SLOT_RING, 0);
	ok(ring->version == EXO_DISK_RING_VERSION && ring->size == sizeof(*ring) && ring->disk == 0 && ring->shares == 16,
	    "the ring's words");
	is_int(CALL(0, disk_bind, part, frames, 1), ERR(BUSY), "bind BUSY: the same shares");
	is_int(CALL(0, disk_bind, shares, frames, 1), ERR(BUSY), "bind BUSY: some of them");
	is_int(CALL(0, disk_kick, shares), ERR(STATE), "kick STATE: bound through another capability");
	limited = (exo_cap_t)CALL(0, cap_derive, shares, 0, 53, EXO_RIGHT_BIND, 32, 0);
	is_int(cap_slot(world.env[0], 53)->count, 32, "all shares from 32 on");
	is_int(CALL(0, disk_bind, limited, frames, 0), ERR(BUSY), "bind BUSY: a ring already");
	limits = (struct exo_shares *)world.env[0]->arg;
	for (i = 0; i < EXO_SHARES; i++)
		limits->share[i].limit = EXO_UNLIMITED;
	is_int(CALL(0, disk_bind, limited, frames, 1), 0, "bind: others");
	is_int(CALL(0, disk_kick, part), 0, "kick: nothing is posted");
	ring->posted = EXO_DISK_SLOTS + 1;
	is_int(CALL(0, disk_kick, part), ERR(INVAL), "kick INVAL");
	ring->posted = ~0u;
	is_int(CALL(0, disk_kick, part), ERR(INVAL), "kick INVAL: fewer than before");
	is_int(world_finish(0, EXO_CALL_cap_delete, part, 0), 0, "the shares go");
	is_int(info_frame[cap_slot(world.env[0], SLOT_RING)->first].state, EXO_FRAME_OWNED, "the ring is a frame again");
	is_int(world_finish(0, EXO_CALL_cap_delete, weak, 0), 0, "");
	is_int(world_finish(0, EXO_CALL_cap_delete, frames, 0), 0, "the frames go");
	ok(!fake.disk.state->rings && !fake.disk.state->bound, "and the other ring");
}

static void test_blocks(void)
{
	exo_cap_t part, piece;

	fake_boot(600, 0);
	blocks = world_handle(0, SLOT_BLOCKS);
	part = (exo_cap_t)CALL(0, cap_derive, blocks, 0, 50, RW, 100, 500);
	ok((int64_t)part > 0, "derive: more than EXO_RANGE_MAX");
	is_int((long long)cap_slot(world.env[0], 50)->first, (long long)exo_disk_first(0, 100), "its first");
	piece = (exo_cap_t)CALL(0, cap_derive, part, 0, 51, EXO_RIGHT_READ, 10, 0);
	is_int(cap_slot(world.env[0], 51)->count, 490, "derive: all from one on");
	is_int(CALL(0, cap_derive, piece, 0, 52, RW, 0, 1), ERR(RIGHTS), "derive RIGHTS");
	is_int(CALL(0, cap_derive, part, 0, 52, RW, 500, 0), ERR(RANGE), "derive RANGE: behind it");
	is_int(CALL(0, cap_derive, part, 0, 52, RW, 499, 2), ERR(RANGE), "derive RANGE: one more");
	is_int(CALL(0, cap_derive, part, 0, 52, RW, ~0ULL, 2), ERR(RANGE), "derive RANGE: wraps");
	is_int(CALL(0, cap_derive, part, 0, 52, RW, 1, ~0ULL), ERR(RANGE), "derive RANGE: wraps too");
	is_int(world_finish(0, EXO_CALL_cap_revoke, blocks, 0), 0, "revoke");
	ok(cap_slot(world.env[0], 50)->type == EXO_TYPE_NONE && cap_slot(world.env[0], 51)->type == EXO_TYPE_NONE, "all went");
}

/* Posts one, kicks, has it done. */
static int one(struct exo_disk_request what)
{
	uint32_t done = ring->done;

	fake_post(ring, what);
	if (kick() != 1)
		return 1000;
	while (fake.count)
		(void)fake_interrupt(1, false);
	return ring->done == done + 1 && ring->completion[done % EXO_DISK_SLOTS].tag == what.tag ? last() : 1001;
}

static void test_checks(void)
{
	struct exo_disk_request r;
	exo_cap_t reading, part, frames, split;
	exo_pfn_t free = 0;

	prepare(0);
	*word_of(3) = 0x1234;
	is_int(one(request(EXO_DISK_WRITE, 7, 3, 1)), 0, "write");
	is_int(one(request(EXO_DISK_READ, 7, 4, 1)), 0, "read");
	is_int((long long)*word_of(4), 0x1234, "what was written");
	ok(ring->read_blocks == 1 && ring->written_blocks == 1 && ring->taken == 2 && ring->done == 2, "counted");
	is_int(events(0), 1, "told");
	is_int(one(request(EXO_DISK_FLUSH, 0, 0, 0)), 0, "flush, of a disk without a cache");
	is_int(fake.submitted, 2, "is done at once");
	is_int(one(request(EXO_DISK_READ, FAKE_BLOCKS - 1, 0, 1)), 0, "the last block");
	is_int(one(request(EXO_DISK_READ, FAKE_BLOCKS, 0, 1)), ERR(RANGE), "RANGE: behind the last");
	is_int(one(request(EXO_DISK_READ, FAKE_BLOCKS - 1, 0, 2)), ERR(RANGE), "RANGE: half behind it");
	is_int(one(request(EXO_DISK_READ, ~0u, 0, 1)), ERR(RANGE), "RANGE: wraps");
	is_int(one(request(EXO_DISK_READ, 0, 0, 0)), ERR(INVAL), "INVAL: no blocks");
	is_int(one(request(EXO_DISK_READ, 0, 0, EXO_DISK_BLOCKS_MAX + 1)), ERR(INVAL), "INVAL: too many");
	is_int(one(request(EXO_DISK_READ, 0, DATA_FRAMES, 1)), ERR(RANGE), "RANGE: behind the frames");
	is_int(one(request(EXO_DISK_READ, 0, DATA_FRAMES - 1, 2)), ERR(RANGE), "RANGE: half behind the frames");
	is_int(one(request(EXO_DISK_READ, 0, ~0u, 1)), ERR(RANGE), "RANGE: far behind the frames");
	is_int(one(request(EXO_DISK_ZEROES + 1, 0, 0, 1)), ERR(INVAL), "INVAL: no such operation");
	is_int(one(request(EXO_DISK_DISCARD, 0, 0, 1)), ERR(INVAL), "INVAL: discard, which is not offered");
	is_int(one(request(EXO_DISK_ZEROES, 0, 0, 1)), ERR(INVAL), "INVAL: zeroes, which are not offered");
	r = request(EXO_DISK_WRITE, 0, 0, 1);
	r.flags = EXO_DISK_FUA;
	is_int(one(r), ERR(INVAL), "INVAL: forced, which is not offered");
	r.flags = 4;
	is_int(one(r), ERR(INVAL), "INVAL: no such flag");
	r = request(EXO_DISK_READ, 0, 0, 1);
	r.blocks = 0x7000001;
	is_int(one(r), ERR(CAP), "CAP: blocks");
	r.blocks = data;
	is_int(one(r), ERR(TYPE), "TYPE: blocks");
	r = request(EXO_DISK_READ, 0, 0, 1);
	r.frames = 0x7000001;
	is_int(one(r), ERR(CAP), "CAP: frames");
	r.frames = blocks;
	is_int(one(r), ERR(TYPE), "TYPE: frames");
	reading = (exo_cap_t)CALL(0, cap_derive, blocks, 0, 50, EXO_RIGHT_READ, 100, 50);
	r = request(EXO_DISK_WRITE, 0, 0, 1);
	r.blocks = reading;
	is_int(one(r), ERR(RIGHTS), "RIGHTS: write to blocks that may be read");
	r.operation = EXO_DISK_FLUSH;
	is_int(one(r), ERR(RIGHTS), "RIGHTS: flush");
	memset(fake.block[105], 5, 8);
	r = request(EXO_DISK_READ, 5, 6, 1);
	r.blocks = reading;
	is_int(one(r), 0, "read through a part");
	is_int((long long)*word_of(6), 0x0505050505050505, "its own blocks");
	r.block = 50;
	is_int(one(r), ERR(RANGE), "RANGE: behind the part");
	part = (exo_cap_t)CALL(0, cap_derive, blocks, 0, 51, EXO_RIGHT_WRITE, 0, 5);
	r.blocks = part;
	r.block = 0;
	is_int(one(r), ERR(RIGHTS), "RIGHTS: read of blocks that may be written");
	frames = (exo_cap_t)CALL(0, cap_derive, data, 0, 52, EXO_RIGHT_READ, 0, 2);
	r = request(EXO_DISK_READ, 0, 0, 1);
	r.frames = frames;
	is_int(one(r), ERR(RIGHTS), "RIGHTS: read into frames that may be read");
	r.operation = EXO_DISK_WRITE;
	is_int(one(r), 0, "write from them");
	r = request(EXO_DISK_READ, 0, 1, 1);
	r.frames = world_handle(0, SLOT_SELF);
	is_int(one(r), ERR(BUSY), "BUSY: an environment's own page");
	r.frame = 3;
	is_int(one(r), ERR(BUSY), "BUSY: a capability table");
	r.frame = 4;
	r.operation = EXO_DISK_WRITE;
	is_int(one(r), ERR(BUSY), "BUSY: a page table, to read from");
	r = request(EXO_DISK_READ, 0, 0, 1);
	r.frames = world_handle(0, SLOT_RING);
	is_int(one(request(EXO_DISK_WRITE, 0, 0, 1)), 0, "");
	r.operation = EXO_DISK_WRITE;
	is_int(one(r), 0, "a ring may be written to the disk");
	take_frames(0, 54, 2);
	free = (exo_pfn_t)cap_slot(world.env[0], 54)->first;
	split = world_handle(0, 54);
	is_int(CALL(0, cap_split, split, 0, 55, world_handle(0, SLOT_DATA), 10) < 0, 0, "split");
	r = request(EXO_DISK_READ, 0, 0, 1);
	r.frames = world_handle(0, 54);
	is_int(one(r), ERR(RIGHTS), "RIGHTS: into a split frame");
	r.operation = EXO_DISK_WRITE;
	is_int(one(r), 0, "from a split frame");
	is_int(frame_table[free].pins, 0, "no pin is left");
	ok(ring->refused == fake.disk.info->refused && ring->refused == 26, "refused ones are counted: %d", (int)ring->refused);
	ok(fake.unnotified == 0, "the device was always told");
}

static void test_offers(void)
{
	struct exo_disk_request r;

	prepare(ALL_FLAGS);
	is_int(one(request(EXO_DISK_FLUSH, 0, 0, 0)), 0, "flush");
	ok(fake.submitted == 1 && ring->flushes == 1, "goes to the disk");
	r = request(EXO_DISK_WRITE, 0, 0, 1);
	r.flags = EXO_DISK_FUA;
	is_int(one(r), 0, "forced write");
	ok(fake.transfer[0].flags == EXO_DISK_FUA, "is passed on");
	r.operation = EXO_DISK_READ;
	is_int(one(r), ERR(INVAL), "INVAL: a read cannot be forced");
	memset(fake.block[8], 9, 24);
	is_int(one(request(EXO_DISK_ZEROES, 8, 99, 2)), 0, "zeroes need no frames");
	ok(!fake.block[8][0] && !fake.block[9][0] && fake.block[10][0] == 9, "two blocks of them");
	is_int(one(request(EXO_DISK_DISCARD, 8, 99, EXO_DISK_BLOCKS_MAX)), 0, "discard");
	is_int(one(request(EXO_DISK_DISCARD, 8, 99, EXO_DISK_BLOCKS_MAX + 1)), ERR(INVAL), "INVAL: discard too many");
	is_int(one(request(EXO_DISK_ZEROES, FAKE_BLOCKS - 1, 0, 2)), ERR(RANGE), "RANGE: zeroes");
	r = request(EXO_DISK_ZEROES, 0, 0, 1);
	r.flags = EXO_DISK_MORE;
	is_int(one(r), ERR(INVAL), "INVAL: zeroes in parts");
}

static void post_parts(unsigned parts, unsigned blocks_each, uint32_t frame, uint32_t step)
{
	for (unsigned i = 0; i < parts; i++) {
		struct exo_disk_request r = request(EXO_DISK_WRITE, i ? 0xdead : 20, frame + i * step, blocks_each);

		r.flags = i + 1 < parts ? EXO_DISK_MORE : 0;
		fake_post(ring, r);
	}
}

static void test_parts(void)
{
	unsigned i;

	prepare(0);
	for (i = 0; i < DATA_FRAMES; i++)
		*word_of(i) = 0x100 + i;
	post_parts(4, 1, 0, 2);
	is_int(kick(), 1, "parts are one request");
	ok(ring->taken == 4 && fake.transfer[0].parts == 4 && fake.transfer[0].blocks == 4 && fake.transfer[0].block == 20,
	    "of four parts");
	(void)fake_interrupt(1, false);
	ok(ring->done == 1 && *(uint64_t *)fake.block[20] == 0x100 && *(uint64_t *)fake.block[23] == 0x106, "done once");
	post_parts(3, 2, 4, 2);
	is_int(kick(), 1, "neighbours");
	ok(fake.transfer[0].parts == 1 && fake.transfer[0].part[0].bytes == 6 * EXO_PAGE_SIZE, "are one part");
	(void)fake_interrupt(1, false);
	post_parts(EXO_DISK_PARTS_MAX, 4, 0, 1);
	is_int(kick(), 1, "the most parts and blocks");
	ok(fake.count == 1 && fake.transfer[0].blocks == EXO_DISK_BLOCKS_MAX, "under way");
	(void)fake_interrupt(1, false);
	post_parts(EXO_DISK_PARTS_MAX, 5, 0, 1);
	is_int(kick(), 1, "more blocks");
	is_int(last(), ERR(INVAL), "INVAL");
	post_parts(EXO_DISK_PARTS_MAX + 1, 1, 0, 1);
	is_int(kick(), 1, "more parts");
	ok(last() == ERR(INVAL) && ring->taken == ring->posted, "INVAL, and all are taken");
	post_parts(3, 1, 0, 1);
	ring->request[(ring->posted - 2) % EXO_DISK_SLOTS].frames = 0;
	(void)kick();
	is_int(last(), ERR(CAP), "CAP: of the second part");
	post_parts(EXO_DISK_SLOTS, 1, 0, 0);
	ring->request[(ring->posted - 1) % EXO_DISK_SLOTS].flags = EXO_DISK_MORE;
	is_int(kick(), 1, "a ring full of parts without an end");
	ok(last() == ERR(INVAL) && ring->taken == ring->posted && !fake.count, "INVAL");
	post_parts(2, 1, 0, 1);
	ring->request[(ring->posted - 1) % EXO_DISK_SLOTS].flags = EXO_DISK_MORE;
	(void)kick();
	is_int(last(), ERR(INVAL), "INVAL: the end is not posted");
	for (i = 0; i < 40; i++)
		fake_post(ring, request(EXO_DISK_READ, i, i % DATA_FRAMES, 1));
	is_int(kick(), EXO_DISK_KICK_MAX, "a kick takes some");
	is_int(kick(), EXO_DISK_KICK_MAX, "and some");
	is_int(kick(), 8, "and the rest");
	is_int(kick(), 0, "no more");
	while (fake.count)
		(void)fake_interrupt(5, true);
	ok(!world_check() && ring->done == 40 + 8, "all done, in any order");
}

/* Frames, blocks, rings and environments that go while the disk works. */
static void test_gone(void)
{
	uint32_t free, before;
	exo_cap_t part, other;
	exo_pfn_t pfn;

	prepare(0);
	free = info->frames_free;
	other = (exo_cap_t)take_frames(0, 50, 2);
	pfn = (exo_pfn_t)cap_slot(world.env[0], 50)->first;
	struct exo_disk_request r = request(EXO_DISK_READ, 1, 0, 2);
	r.frames = other;
	fake_post(ring, r);
	(void)kick();
	is_int(CALL(0, frame_give, other, 1), ERR(BUSY), "frame_give BUSY: the disk uses it");
	is_int(CALL(0, cap_delete, other), 0, "deleted");
	ok(info->frames_free == free - 2 && frame_table[pfn].pins == 1, "is not free while the disk uses it");
	is_int(CALL(0, frame_take, 51, pfn, 1), ERR(BUSY), "nor can it be taken");
	(void)fake_interrupt(1, false);
	ok(info->frames_free == free && last() == 0, "but then");
	is_int(CALL(0, frame_reclaim, data, 0, DATA_FRAMES), 0, "frames that no disk uses");
	other = (exo_cap_t)CALL(0, cap_derive, data, 0, 50, RW, 4, 2);
	r.frames = other;
	fake_post(ring, r);
	(void)kick();
	is_int(CALL(0, cap_revoke, data), 0, "lent frames are revoked while the disk writes to them");
	is_int(CALL(0, frame_reclaim, data, 0, DATA_FRAMES), ERR(BUSY), "reclaim BUSY: their owner is told");
	(void)fake_interrupt(1, false);
	is_int(CALL(0, frame_reclaim, data, 0, DATA_FRAMES), 0, "until it ends");

	part = (exo_cap_t)CALL(0, cap_derive, blocks, 0, 52, RW, 10, 10);
	r = request(EXO_DISK_WRITE, 2, 0, 3);
	r.blocks = part;
	fake_post(ring, r);
	(void)kick();
	is_int(CALL(0, cap_revoke, blocks), 0, "blocks are revoked while they are written");
	is_int(fake.disk.state->limbo, 1, "limbo");
	fake_post(ring, request(EXO_DISK_WRITE, 10, 0, 3));
	fake_post(ring, request(EXO_DISK_READ, 0, 5, 3));
	is_int(kick(), 0, "what touches them waits");
	is_int(kick(), 0, "still");
	is_int(CALL(0, disk_kick, shares), 0, "and those behind it");
	before = ring->done;
	(void)fake_interrupt(1, false);
	ok(ring->done == before + 1 && fake.count == 2, "until it ends");
	while (fake.count)
		(void)fake_interrupt(1, false);
	part = (exo_cap_t)CALL(0, cap_derive, blocks, 0, 52, RW, 10, 10);
	r.blocks = part;
	fake_post(ring, r);
	(void)kick();
	(void)CALL(0, cap_delete, part);
	fake_post(ring, request(EXO_DISK_WRITE, 15, 0, 3));
	fake_post(ring, request(EXO_DISK_WRITE, 9, 0, 3));
	is_int(kick(), 2, "what does not touch them goes on");
	while (fake.count)
		(void)fake_interrupt(1, true);
	is_int((long long)fake.disk.state->limbo, 0, "nothing is in limbo");
	part = (exo_cap_t)CALL(0, cap_derive, blocks, 0, 52, EXO_RIGHT_READ, 10, 10);
	r = request(EXO_DISK_READ, 2, 0, 3);
	r.blocks = part;
	fake_post(ring, r);
	(void)kick();
	(void)CALL(0, cap_delete, part);
	fake_post(ring, request(EXO_DISK_READ, 12, 4, 3));
	fake_post(ring, request(EXO_DISK_WRITE, 12, 8, 1));
	is_int(kick(), 1, "who reads does not wait for one that read; who writes does");
	while (fake.count)
		(void)fake_interrupt(1, false);

	fake_post(ring, request(EXO_DISK_READ, 0, 0, 1));
	fake_post(ring, request(EXO_DISK_READ, 1, 1, 1));
	(void)kick();
	(void)events(0);
	before = ring->done;
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_RING), 0), 0, "the ring goes");
	is_int(kick(), ERR(STATE), "kick STATE");
	take_frames(0, SLOT_RING, 1);
	is_int(CALL(0, disk_bind, shares, world_handle(0, SLOT_RING), 0), 0, "another one");
	(void)fake_interrupt(2, false);
	ok(!ring->done && !events(0), "is not told of the old one's requests");
	ring = fake_ring(0, SLOT_RING, 0);
	is_int(one(request(EXO_DISK_READ, 3, 3, 1)), 0, "and works");
}

static void test_end(void)
{
	uint32_t free;
	exo_cap_t peer, part, frames;

	fake_boot(600, 0);
	shares = world_handle(0, SLOT_SHARES);
	blocks = world_handle(0, SLOT_BLOCKS);
	peer = world_handle(0, SLOT_PEER);
	part = (exo_cap_t)CALL(0, cap_derive, shares, peer, 50, EXO_RIGHT_BIND, 0, 8);
	blocks = (exo_cap_t)CALL(0, cap_derive, blocks, peer, 51, RW, 0, 100);
	free = info->frames_free;
	frames = (exo_cap_t)take_frames(1, SLOT_RING, 4);
	data = frames;
	is_int(CALL(1, disk_bind, part, frames, 0), 0, "bind in another environment");
	ring = fake_ring(1, SLOT_RING, 0);
	for (unsigned i = 0; i < 5; i++)
		fake_post(ring, request(EXO_DISK_WRITE, i, 1 + i % 3, 1));
	fake.most = 2;
	is_int(CALL(1, disk_kick, part), 2, "two are under way");
	(void)CALL(0, null, 0);		/* who ends is not the one that runs */
	env_end(world.env[1], EXO_CAUSE_DESTROYED, 0, 0);
	(void)fake_interrupt(1, false);
	is_int(fake.count, 1, "of one that has ended nothing is taken");
	is_int(world_finish(0, EXO_CALL_cap_revoke, world_handle(0, SLOT_BLOCKS), 0), 0, "its blocks are revoked");
	is_int(world_finish(0, EXO_CALL_cap_revoke, shares, 0), 0, "and its shares");
	ok(!fake.disk.state->rings && fake.disk.state->limbo == 1, "no ring, one in limbo");
	fake_fill(0, SLOT_ENV + 7, EXO_TYPE_ENV, ENV_RIGHTS, 0, (uint32_t)(world.env[1]->id >> 32));
	cap_slot(world.env[0], SLOT_ENV + 7)->object = world.env[1]->self;
	is_int(world_finish(0, EXO_CALL_env_destroy, world_handle(0, SLOT_ENV + 7), 0), 0, "destroyed");
	ok(info->frames_free < free + WORLD_RUN && fake.count == 1, "the frame that is written is not free yet");
	(void)fake_interrupt(1, false);
	ok(info->frames_free >= free + 4 && !world_check(), "then it is");
}

static void test_device(void)
{
	uint64_t errors;

	prepare(0);
	fake_post(ring, request(EXO_DISK_READ, 0, 0, 1));
	(void)kick();
	errors = fake.disk.info->errors;
	disks_lock();
	(void)disk_done(&fake.disk, 1, false);
	(void)disk_done(&fake.disk, 63, false);
	(void)disk_done(&fake.disk, 64, false);
	(void)disk_done(&fake.disk, ~0u, false);
	disks_unlock();
	ok(fake.disk.info->errors == errors + 4 && !ring->done, "flights that are not under way are counted");
	disks_lock();
	fake_done(0, true);
	(void)disk_done(&fake.disk, 0, false);
	(void)disk_settled(&fake.disk);
	disks_unlock();
	ok(fake.disk.info->errors == errors + 6 && ring->done == 1, "the same twice");
	ok(last() == ERR(DEVICE) && ring->failed == 1 && !ring->read_blocks, "a failure is told");
	fake.most = 3;
	for (unsigned i = 0; i < 10; i++)
		fake_post(ring, request(EXO_DISK_READ, i, i, 1));
	is_int(kick(), 3, "as many as the disk has room for");
	is_int(kick(), 0, "no more");
	(void)fake_interrupt(2, true);
	ok(fake.count == 3 && ring->taken == 6 && ring->done == 3, "more as they end");
	ring->posted = ring->taken + EXO_DISK_SLOTS + 9;
	(void)fake_interrupt(1, false);
	ok(fake.count == 2 && ring->taken == 6, "not from a ring that says what cannot be");
	ring->posted = ring->taken;
	while (fake.count)
		(void)fake_interrupt(1, false);
	/* Refused ones until the stay is long enough. */
	fake.most = 1;
	fake_post(ring, request(EXO_DISK_READ, 0, 0, 1));
	(void)kick();
	for (unsigned i = 0; i < EXO_DISK_SLOTS; i++)
		fake_post(ring, request(9, 0, 0, 1));
	ok(fake_interrupt(1, false), "after so much refused work the disk comes back by itself");
	ok(ring->taken != ring->posted, "some is left");
	for (unsigned i = 0; i < 10 && fake_interrupt(0, false); i++)
		;
	is_int((long long)ring->posted - ring->taken, 0, "until all is done");
}

/* --- whose turn --- */

enum { TENANTS = 2 };
static struct {
	exo_cap_t shares, blocks, frames;
	struct exo_disk_ring *ring;
	uint64_t waited[4000];
	unsigned waits;
	exo_time_t posted;
} tenant[TENANTS];

static void tenants(unsigned first_shares)
{
	fake_boot(600, 0);
	memset(tenant, 0, sizeof(tenant));
	for (unsigned i = 0; i < TENANTS; i++) {
		exo_cap_t to = i ? world_handle(i - 1, SLOT_PEER) : 0;

		tenant[i].shares = (exo_cap_t)CALL(0, cap_derive, world_handle(0, SLOT_SHARES), to, 50, EXO_RIGHT_BIND,
		    i ? first_shares : 0, i ? EXO_DISK_SHARES - first_shares : first_shares);
		tenant[i].blocks = (exo_cap_t)CALL(0, cap_derive, world_handle(0, SLOT_BLOCKS), to, 51, RW, 0, 100);
		tenant[i].frames = (exo_cap_t)take_frames(i, SLOT_RING, 24);
		(void)CALL(i, disk_bind, tenant[i].shares, tenant[i].frames, 0);
		tenant[i].ring = fake_ring(i, SLOT_RING, 0);
	}
}

static void tenant_posts(unsigned who, unsigned count)
{
	struct exo_disk_request r = { .blocks = tenant[who].blocks, .frames = tenant[who].frames, .frame = 1,
		.count = (uint16_t)count };

	if (tenant[who].ring->posted - tenant[who].ring->done < EXO_DISK_SLOTS)
		fake_post(tenant[who].ring, r);
	(void)CALL(who, disk_kick, tenant[who].shares);
}

/* A disk that does one after the other, each in its time, for so many of them. The second tenant floods; the first posts
 * whenever `each` of them have gone by and it has none under way (0: floods, too). */
static void work(unsigned requests, unsigned each, unsigned count0, unsigned count1)
{
	unsigned next = each;

	world.unchecked = true;
	for (unsigned i = 0; i < requests; i++) {
		while (tenant[1].ring->posted - tenant[1].ring->done < 32)
			tenant_posts(1, count1);
		while (!each && tenant[0].ring->posted - tenant[0].ring->done < 32)
			tenant_posts(0, count0);
		if (each && i >= next && tenant[0].ring->posted == tenant[0].ring->done) {
			tenant[0].posted = null.now - below(900000);	/* at any time within the last one's */
			tenant_posts(0, count0);
			next = i + each + below(3);
		}
		null.now += 1000000 + 10000 * fake.transfer[fake.order[0]].blocks;
		uint32_t done = tenant[0].ring->done;
		(void)fake_interrupt(1, false);
		if (each && tenant[0].ring->done != done)
			tenant[0].waited[tenant[0].waits++ % 4000] = null.now - tenant[0].posted;
	}
	world.unchecked = false;
}

static void test_shares(void)
{
	double busy[2], blocks_done[2];
	uint64_t worst = 0;

	tenants(48);
	work(4000, 0, 1, 1);
	blocks_done[0] = (double)tenant[0].ring->read_blocks, blocks_done[1] = (double)tenant[1].ring->read_blocks;
	ok(blocks_done[0] / blocks_done[1] > 2.9 && blocks_done[0] / blocks_done[1] < 3.1, "3 to 1 of equal requests: %.0f, %.0f",
	    blocks_done[0], blocks_done[1]);
	tenants(16);
	work(4000, 0, 1, 20);
	busy[0] = (double)tenant[0].ring->busy_ns, busy[1] = (double)tenant[1].ring->busy_ns;
	ok(busy[1] / busy[0] > 2.9 && busy[1] / busy[0] < 3.1, "1 to 3 of the time, with unlike requests: %.0f ms, %.0f ms",
	    busy[0] / 1e6, busy[1] / 1e6);
	ok((double)fake.disk.info->busy_ns >= 0.99 * (double)null.now, "the disk was always busy");
	tenants(16);
	work(8000, 5, 1, 1);
	for (unsigned i = 10; i < tenant[0].waits; i++)
		if (tenant[0].waited[i] > worst)
			worst = tenant[0].waited[i];
	ok(tenant[0].waits > 1000 && worst <= 3 * 1010000, "a quarter of the shares, beside a flood: at worst %.2f times alone",
	    (double)worst / 1010000);
	/* Binding anew is no way to more. */
	tenants(32);
	for (unsigned i = 0; i < 1000; i++) {
		work(2, 0, 1, 1);
		(void)world_finish(1, EXO_CALL_cap_delete, tenant[1].frames, 0);
		tenant[1].frames = (exo_cap_t)take_frames(1, SLOT_RING, 24);
		busy[1] = i ? busy[1] : 0;
		(void)CALL(1, disk_bind, tenant[1].shares, tenant[1].frames, 0);
		tenant[1].ring = fake_ring(1, SLOT_RING, 0);
	}
	ok(tenant[0].ring->read_blocks > 800, "half the shares against one that binds anew all the time: %u of 2000",
	    (unsigned)tenant[0].ring->read_blocks);
}

/* Requests that never get to the disk, and rings that come and go, must not keep others from it. */
static void test_starve(void)
{
	exo_cap_t part[12];
	unsigned i, n;

	tenants(32);
	tenant_posts(0, 1);
	null.now += 1000000;
	(void)fake_interrupt(1, false);
	for (i = 0; i < 400 && tenant[0].ring->taken == 1; i++) {
		while (tenant[1].ring->posted - tenant[1].ring->taken < EXO_DISK_SLOTS)	/* by another CPU */
			fake_post(tenant[1].ring, (struct exo_disk_request){ .count = 1 });
		if (tenant[0].ring->posted == 1)
			tenant_posts(0, 1);
		else
			(void)CALL(0, disk_kick, tenant[0].shares);
	}
	ok(tenant[0].ring->taken == 2, "beside a flood of refused requests one's turn comes after %u kicks", i);

	tenants(32);
	for (i = 0; i < 12; i++)
		part[i] = (exo_cap_t)CALL(1, cap_derive, tenant[1].shares, 0, 52 + i, EXO_RIGHT_BIND, i, 0);
	(void)world_finish(1, EXO_CALL_cap_delete, tenant[1].frames, 0);
	for (i = 0; i < 1600; i++) {
		tenant[1].frames = (exo_cap_t)take_frames(1, SLOT_RING, 24);
		(void)CALL(1, disk_bind, part[i % 12], tenant[1].frames, 0);
		tenant[1].ring = fake_ring(1, SLOT_RING, 0);
		fake_post(tenant[1].ring, (struct exo_disk_request){ .blocks = tenant[1].blocks, .frames = tenant[1].frames,
			.frame = 1, .count = 1 });
		(void)CALL(1, disk_kick, part[i % 12]);
		while (tenant[0].ring->posted - tenant[0].ring->done < 8)
			tenant_posts(0, 1);
		for (n = 0; n < 100 && !tenant[1].ring->taken; n++) {
			null.now += 1000000;
			(void)fake_interrupt(1, false);
		}
		(void)world_finish(1, EXO_CALL_cap_delete, tenant[1].frames, 0);
	}
	ok(tenant[0].ring->read_blocks > 1300, "nor beside one that binds to other parts of its shares all the time: %u, %u",
	    (unsigned)tenant[0].ring->read_blocks, i);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_bind();
	test_blocks();
	test_checks();
	test_offers();
	test_parts();
	test_gone();
	test_end();
	test_device();
	test_shares();
	test_starve();
	return done();
}
