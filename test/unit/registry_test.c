/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls of the block registry: what each does, and each documented error.
 */
#include "test/unit/registry_fake.h"

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
	uint32_t *words, clock;

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
	clock = volume->clock;
	volume->clock = UINT32_MAX - BLOCKS;
	is_int(set_slot(0, root, 0, 2, 5, 0), ERR(FULL), "change FULL: the clock does not wrap");
	volume->clock = clock;
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

#define MANY	70	/* frames: some steps' */
#define FEW	32	/* of the first step */

static unsigned frames_in(exo_pfn_t first, uint8_t state)
{
	unsigned count = 0;

	for (exo_pfn_t i = first; i < first + MANY; i++)
		count += info_frame[i].state == state;
	return count;
}

/* A volume of more frames than one call takes. */
static void test_make_steps(void)
{
	exo_cap_t blocks, code, pool, node;
	exo_pfn_t pfn;

	memset(fake.stable, 0, sizeof(fake.stable));
	machine();
	blocks = world_handle(0, SLOT_BLOCKS);
	code = world_handle(0, SLOT_CODE);
	pool = take(0, 60, EXO_TAKE_MAX);
	for (unsigned left = MANY - EXO_TAKE_MAX, now; left; left -= now) {
		now = left < EXO_TAKE_MAX ? left : EXO_TAKE_MAX;
		(void)CALL(0, frame_take, pool, EXO_PFN_ANY, now);
	}
	pfn = (exo_pfn_t)cap_slot(world.env[0], 60)->first;
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, MANY, code), ERR(AGAIN), "make AGAIN");
	is_int(frames_in(pfn, EXO_FRAME_VOLUME), FEW, "the first frames are the volume's");
	node = world_handle(0, 8);
	is_int(CALL(0, volume_make, 9, blocks, pool, 0, MANY - 1, code), ERR(BUSY), "make BUSY: another number of frames");
	is_int(one(0, EXO_DISK_READ, blocks, 0, 0, 1), (int)ERR(BUSY), "its blocks can be used no more");
	for (unsigned i = 0; i < MANY; i++)
		(void)CALL(0, node_load, node, 0, 0);
	ok(((const struct exo_volume *)pfn_to_virt(pfn))->buffers == FEW - 3 && CALL(0, node_load, node, 0, MANY) == ERR(RANGE), "it has the buffers that are there");
	is_int(world_finish(0, EXO_CALL_cap_delete, node, 0), 0, "its node goes");
	is_int(frames_in(pfn, EXO_FRAME_OWNED), MANY, "and what it had of frames is frames again");
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, MANY, code), ERR(AGAIN), "make AGAIN, from the beginning");
	info_frame[pfn + MANY - 1].state = EXO_FRAME_RING;
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, MANY, code), ERR(AGAIN), "more");
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, MANY, code), ERR(BUSY), "make BUSY: the last frame");
	is_int(frames_in(pfn, EXO_FRAME_VOLUME), 2 * FEW, "what it has it keeps");
	info_frame[pfn + MANY - 1].state = EXO_FRAME_OWNED;
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, MANY, code), (int64_t)world_handle(0, 8), "make: the node");
	is_int(CALL(0, volume_make, 8, blocks, pool, 0, MANY, code), ERR(BUSY), "and no more");
	is_int(CALL(0, volume_make, 9, blocks, pool, 0, MANY, code), ERR(BUSY), "make BUSY: it is made");
	is_int(((const struct exo_volume *)pfn_to_virt(pfn))->buffers, MANY - 3, "all buffers");
	is_int(CALL(0, frame_reclaim, pool, 0, MANY), 0, "reclaim");
	is_int(frames_in(pfn, EXO_FRAME_OWNED), MANY, "all are frames again");
	is_int(CALL(0, volume_make, 9, blocks, pool, 0, MANY, code), ERR(AGAIN), "make AGAIN");
	is_int(world_finish(0, EXO_CALL_cap_delete, blocks, 0), 0, "the blocks go in the middle");
	is_int(CALL(0, node_load, world_handle(0, 9), 0, 0), ERR(STATE), "load STATE: it is dead");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, 9), 0), 0, "the node goes");
	is_int(frames_in(pfn, EXO_FRAME_OWNED), MANY, "all are frames again");
}

static int64_t give_share(exo_cap_t root, uint32_t block, unsigned share, unsigned left, unsigned buffer, unsigned end)
{
	int64_t result = CALL(0, node_share, root, block, share, left, buffer, end);

	if (!result)
		share_given[share] = (int32_t)left + 1;		/* the block itself */
	return result;
}

/* The root, and all that it has, are written: what was lost is free. */
static void settle_all(exo_cap_t node, uint32_t directory)
{
	(void)one(0, EXO_DISK_FLUSH, node, 0, 0, 0);
	(void)one(0, EXO_DISK_WRITE, node, directory, 0, 1);
	(void)one(0, EXO_DISK_FLUSH, node, 0, 0, 0);
	(void)one(0, EXO_DISK_WRITE, node, 0, 0, 1);
	(void)one(0, EXO_DISK_FLUSH, node, 0, 0, 0);
}

static exo_cap_t two_directories(exo_cap_t root)
{
	is_int(load_whole(0, root, 0, 0), 0, "the root");
	is_int(set_slot(0, root, 0, 0, 10, 1), 0, "a directory");
	is_int(set_slot(0, root, 0, 1, 11, 1), 0, "another");
	is_int(set_slot(0, root, 0, 2, 12, 0), 0, "data");
	return (exo_cap_t)CALL(0, node_open, 20, root, 10, RW);
}

static void share_errors(exo_cap_t root, exo_cap_t dir)
{
	exo_cap_t reading = (exo_cap_t)CALL(0, cap_derive, root, 0, 25, EXO_RIGHT_READ, 0, 0);

	is_int(CALL(0, node_share, 0x7000001, 10, 1, 5, 0, 2), ERR(CAP), "share CAP");
	is_int(CALL(0, node_share, world_handle(0, SLOT_BLOCKS), 10, 1, 5, 0, 2), ERR(TYPE), "share TYPE");
	is_int(CALL(0, node_share, reading, 10, 1, 5, 0, 2), ERR(RIGHTS), "share RIGHTS");
	is_int(CALL(0, node_share, root, BLOCKS, 1, 5, 0, 2), ERR(RANGE), "share RANGE: block");
	is_int(CALL(0, node_share, root, 10, EXO_VOLUME_SHARES, 5, 0, 2), ERR(RANGE), "share RANGE: number");
	is_int(CALL(0, node_share, root, 10, 1, EXO_VOLUME_LEFT_MAX + 1, 0, 2), ERR(RANGE), "share RANGE: left");
	is_int(CALL(0, node_share, root, 10, 1, ~0ULL, 0, 2), ERR(RANGE), "share RANGE: less than nothing");
	is_int(CALL(0, node_share, root, 10, 1, 5, 2, 2), ERR(RANGE), "share RANGE: no buffer");
	is_int(CALL(0, node_share, root, 10, 1, 5, 0, BUFFERS + 1), ERR(RANGE), "share RANGE: buffers");
	is_int(CALL(0, node_share, root, 12, 1, 5, 0, 2), ERR(TYPE), "share TYPE: data");
	is_int(CALL(0, node_share, root, 13, 1, 5, 0, 2), ERR(TYPE), "share TYPE: nobody's");
	is_int(CALL(0, node_share, dir, 10, 1, 5, 0, 2), ERR(TYPE), "share TYPE: not by its own node");
}

/* What is below a block of the root's is bounded. */
static void test_share(void)
{
	exo_cap_t root, dir, other;

	memset(fake.stable, 0, sizeof(fake.stable));
	for (unsigned i = 0; i < BLOCKS; i++)
		forget(i, fake.versions[i]);
	memset(share_given, 0, sizeof(share_given));
	machine();
	root = (exo_cap_t)make(8);
	dir = two_directories(root);
	share_errors(root, dir);
	is_int(give_share(root, 10, 1, 3, 4, 6), 0, "share");
	is_int(load(0, root, 10, 1), ERR(QUOTA), "load QUOTA: a buffer of others");
	is_int(load(0, root, 10, 6), ERR(QUOTA), "the next one, too");
	is_int(load(0, root, 10, 4), 0, "its own");
	is_int(load(0, root, 11, 1), 0, "others go where they like");
	is_int(set_slot(0, dir, 10, 0, 20, 0), 0, "one");
	is_int(set_slot(0, dir, 10, 1, 21, 1), 0, "two");
	is_int(set_slot(0, dir, 10, 2, 22, 0), 0, "three");
	is_int(set_slot(0, dir, 10, 3, 23, 0), ERR(QUOTA), "change QUOTA");
	ok(entry(23)->state == EXO_BLOCK_FREE && !check_volume(), "nothing has changed");
	is_int(CALL(0, node_share, root, 10, 2, 5, 0, 2), ERR(BUSY), "share BUSY: it owns something");
	other = (exo_cap_t)CALL(0, node_open, 21, dir, 21, RW);
	is_int(load(0, root, 21, 1), ERR(QUOTA), "what is below is of the share");
	is_int(load(0, root, 21, 5), 0, "");
	is_int(set_slot(0, other, 21, 0, 24, 0), ERR(QUOTA), "and gains from it");
	is_int(set_slot(0, dir, 10, 2, 0, 0), 0, "lose one");
	is_int(set_slot(0, dir, 10, 3, 23, 0), ERR(QUOTA), "it counts, since nobody can have it");
	(void)one(0, EXO_DISK_WRITE, dir, 20, 1, 1);
	(void)one(0, EXO_DISK_WRITE, dir, 21, 1, 1);
	settle_all(root, 10);
	is_int(set_slot(0, dir, 10, 3, 23, 0), ERR(QUOTA), "nor has anybody");
	is_int(set_slot(0, dir, 10, 3, 22, 0), 0, "it can be had again");
	is_int(set_slot(0, dir, 10, 3, 0, 0), 0, "");
	settle_all(root, 10);
	is_int(set_slot(0, root, 0, 3, 22, 0), 0, "another takes it");
	is_int(set_slot(0, dir, 10, 3, 23, 0), 0, "now there is one left");
	is_int(give_share(root, 10, 1, 1, 4, 6), 0, "the same share gets more");
	share_given[1] += 3;
	is_int(set_slot(0, other, 21, 0, 24, 0), 0, "");
	ok(!check_volume(), "R6");
	is_int(one(0, EXO_DISK_WRITE, root, 11, 0, 1), 0, "metadata is written");
	is_int(one(0, EXO_DISK_WRITE, root, 11, 0, 1), (int)ERR(BUSY), "once: nobody holds it up by writing it for ever");
}

/* Shares that are given before what there is of them is known. */
static void test_share_found(void)
{
	struct directory *d = (void *)fake.stable[0];
	exo_cap_t root;

	for (unsigned i = 0; i < BLOCKS; i++)
		forget(i, fake.versions[i]);
	memset(fake.stable, 0, sizeof(fake.stable));
	d->slot[0].block = 4;
	d->slot[0].type = 1;
	d = (void *)fake.stable[4];
	for (unsigned i = 0; i < 3; i++)
		d->slot[i].block = 30 + i;
	machine();
	root = (exo_cap_t)make(8);
	is_int(load_whole(0, root, 0, 0), 0, "the root");
	memset(share_given, 0, sizeof(share_given));
	is_int(give_share(root, 4, 7, 2, 1, 3), 0, "share");
	is_int(load_whole(0, root, 4, 2), 0, "it is found");
	is_int(share_at(7)->left, -1, "and has more than it may");
	is_int(set_slot(0, (exo_cap_t)CALL(0, node_open, 21, root, 4, RW), 4, 5, 40, 0), ERR(QUOTA), "change QUOTA");
	is_int(set_slot(0, world_handle(0, 21), 4, 0, 0, 0), 0, "it may lose");
	ok(!check_volume(), "R6");
}

int main(void)
{
	test_share();
	test_share_found();
	memset(share_given, 0, sizeof(share_given));
	test_make();
	test_make_steps();
	test_change();
	test_mount();
	return done();
}
