/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk_bind and disk_kick on a real disk: each documented error, of the calls and of requests; what another environment's
 * handles, stale ones, wild indices and a ring that is overwritten while it is read can do; and capabilities, frames and
 * environments that go while the disk works.
 *
 * Runs first: yes. Run with: --disk scratch:16M --disk scratch:16M,iops=300 --smp 2
 */
#include "test/guest/agent.h"
#include "test/guest/disk_ring.h"

#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define ROUNDS		60
#define STAMP		0x5741445300000000ULL

static exo_cap_t shares, blocks;
static struct ring ring;

static uint64_t *page(unsigned i)
{
	return (uint64_t *)data[i];
}

/* A request; its result. */
static int64_t ask(exo_cap_t of_blocks, exo_cap_t frames, unsigned operation, uint32_t block, uint32_t frame, unsigned count,
    unsigned how)
{
	struct exo_disk_done done;

	ring_add(&ring, &(struct exo_disk_request){ of_blocks, frames, block, frame, (uint16_t)count, (uint8_t)operation,
		(uint8_t)how, ring.posted });
	int64_t got = ring_post(&ring);
	if (got < 0)
		return got;
	return ring_next(&ring, &done) && done.tag == ring.posted - 1 ? done.result : 1;
}

static void calls(void)
{
	exo_cap_t frames = take_frames(2), weak = (exo_cap_t)caps_derive(shares, EXO_RIGHT_READ, 0, 4), part, view;

	is(exo_disk_bind(NO_CAP, frames, 0), -EXO_ECAP, "bind CAP");
	is(exo_disk_bind(shares, NO_CAP, 0), -EXO_ECAP, "bind CAP: frames");
	is(exo_disk_bind(blocks, frames, 0), -EXO_ETYPE, "bind TYPE");
	is(exo_disk_bind(shares, shares, 0), -EXO_ETYPE, "bind TYPE: frames");
	is(exo_disk_bind(weak, frames, 0), -EXO_ERIGHTS, "bind RIGHTS");
	view = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 2);
	is(exo_disk_bind(shares, view, 0), -EXO_ERIGHTS, "bind RIGHTS: frames");
	is(exo_disk_bind(shares, frames, 2), -EXO_ERANGE, "bind RANGE");
	is(exo_disk_kick(NO_CAP), -EXO_ECAP, "kick CAP");
	is(exo_disk_kick(frames), -EXO_ETYPE, "kick TYPE");
	is(exo_disk_kick(weak), -EXO_ERIGHTS, "kick RIGHTS");
	is(exo_disk_kick(shares), -EXO_ESTATE, "kick STATE");
	part = (exo_cap_t)caps_derive(shares, EXO_RIGHT_BIND, 60, 4);
	is(exo_disk_bind(part, frames, 1), 0, "bind");
	is(exo_disk_bind(part, frames, 0), -EXO_EBUSY, "bind BUSY: shares");
	is(exo_disk_bind(shares, frames, 0), -EXO_EBUSY, "bind BUSY: some of the shares");
	caps_delete(weak);
	weak = (exo_cap_t)caps_derive(shares, EXO_RIGHT_BIND, 0, 4);
	is(exo_disk_bind(weak, frames, 1), -EXO_EBUSY, "bind BUSY: the frame is a ring");
	is(exo_disk_kick(weak), -EXO_ESTATE, "kick STATE: no ring of its own");
	is(info_frame(pfn_of(frames) + 1)->state, EXO_FRAME_RING, "a ring's frame");
	is(exo_cap_delete(part), 0, "unbound with the shares");
	is(info_frame(pfn_of(frames) + 1)->state, EXO_FRAME_OWNED, "an ordinary frame again");
	caps_delete(weak);
	caps_delete(view);
	caps_delete(frames);
	exo_cap_t account = core_named(EXO_NAME_ACCOUNT);
	ok(account != EXO_CAP_NONE, "QUOTA is test/unit/disk_test's");
}

static void requests(void)
{
	exo_cap_t part = (exo_cap_t)caps_derive(blocks, RW, 10, 20), reading = (exo_cap_t)caps_derive(blocks, EXO_RIGHT_READ, 0, 20);
	exo_cap_t view = (exo_cap_t)caps_derive(run[0], EXO_RIGHT_READ, 0, 1), own = core_named(EXO_NAME_SELF);
	uint32_t all = cap_of(blocks)->count;

	ok(ring_open(&ring, shares), "a ring");
	*page(0) = STAMP + 1;
	is(ask(part, run[0], EXO_DISK_WRITE, 3, 0, 1, 0), 0, "write");
	is(ask(blocks, run[0], EXO_DISK_READ, 13, 1, 1, 0), 0, "read through another");
	ok(*page(1) == STAMP + 1, "the same block");
	is(ask(part, run[0], EXO_DISK_FLUSH, 0, 0, 0, 0), 0, "flush");
	is(ask(part, run[0], EXO_DISK_READ, 19, 0, 2, 0), -EXO_ERANGE, "RANGE: half behind the blocks");
	is(ask(part, run[0], EXO_DISK_READ, 20, 0, 1, 0), -EXO_ERANGE, "RANGE: behind the blocks");
	is(ask(part, run[0], EXO_DISK_READ, ~0U, 0, 1, 0), -EXO_ERANGE, "RANGE: before the blocks, or far behind");
	is(ask(blocks, run[0], EXO_DISK_READ, all, 0, 1, 0), -EXO_ERANGE, "RANGE: behind the disk");
	is(ask(core_named("blocks1"), run[0], EXO_DISK_READ, 0, 0, 1, 0), -EXO_ERANGE, "RANGE: another disk's");
	is(ask(part, run[0], EXO_DISK_READ, 0, RUN_FRAMES, 1, 0), -EXO_ERANGE, "RANGE: behind the frames");
	is(ask(part, run[0], EXO_DISK_READ, 0, ~0U, 1, 0), -EXO_ERANGE, "RANGE: far behind the frames");
	is(ask(part, run[0], EXO_DISK_READ, 0, 0, 0, 0), -EXO_EINVAL, "INVAL: nothing");
	is(ask(part, run[0], EXO_DISK_READ, 0, 0, 65, 0), -EXO_EINVAL, "INVAL: too much");
	is(ask(part, run[0], EXO_DISK_READ, 0, 0, 65535, 0), -EXO_EINVAL, "INVAL: far too much");
	is(ask(part, run[0], 5, 0, 0, 1, 0), -EXO_EINVAL, "INVAL: operation");
	is(ask(part, run[0], 255, 0, 0, 1, 0), -EXO_EINVAL, "INVAL: the last operation");
	is(ask(part, run[0], EXO_DISK_READ, 0, 0, 1, 0x80), -EXO_EINVAL, "INVAL: flags");
	is(ask(part, run[0], EXO_DISK_READ, 0, 0, 1, EXO_DISK_FUA), -EXO_EINVAL, "INVAL: a forced read");
	is(ask(part, run[0], EXO_DISK_READ, 0, 0, 1, EXO_DISK_MORE), -EXO_EINVAL, "INVAL: the rest is not posted");
	is(ask(NO_CAP, run[0], EXO_DISK_READ, 0, 0, 1, 0), -EXO_ECAP, "CAP: blocks");
	is(ask(part, NO_CAP, EXO_DISK_READ, 0, 0, 1, 0), -EXO_ECAP, "CAP: frames");
	is(ask(run[0], run[0], EXO_DISK_READ, 0, 0, 1, 0), -EXO_ETYPE, "TYPE: blocks");
	is(ask(shares, run[0], EXO_DISK_READ, 0, 0, 1, 0), -EXO_ETYPE, "TYPE: blocks, of a disk's time");
	is(ask(part, part, EXO_DISK_READ, 0, 0, 1, 0), -EXO_ETYPE, "TYPE: frames");
	is(ask(reading, run[0], EXO_DISK_WRITE, 0, 0, 1, 0), -EXO_ERIGHTS, "RIGHTS: blocks");
	is(ask(reading, run[0], EXO_DISK_FLUSH, 0, 0, 0, 0), -EXO_ERIGHTS, "RIGHTS: flush");
	is(ask(part, view, EXO_DISK_READ, 0, 0, 1, 0), -EXO_ERIGHTS, "RIGHTS: frames");
	is(ask(part, view, EXO_DISK_WRITE, 0, 0, 1, 0), 0, "write what may be read");
	is(ask(part, own, EXO_DISK_READ, 0, 0, 1, 0), -EXO_EBUSY, "BUSY: an environment");
	is(ask(part, own, EXO_DISK_READ, 0, 1, 1, 0), -EXO_EBUSY, "BUSY: a dispatcher page");
	is(ask(part, own, EXO_DISK_READ, 0, 3, 1, 0), -EXO_EBUSY, "BUSY: a capability table");
	is(ask(part, own, EXO_DISK_READ, 0, 5, 1, 0), -EXO_EBUSY, "BUSY: a page table");
	is(ask(part, own, EXO_DISK_WRITE, 0, 5, 1, 0), -EXO_EBUSY, "BUSY: a page table, to read it");
	is(ask(part, core_named(EXO_NAME_INFO), EXO_DISK_READ, 0, 0, 1, 0), -EXO_ERIGHTS, "RIGHTS: exposed pages");
	is(ask(part, core_named(EXO_NAME_INFO), EXO_DISK_WRITE, 0, 0, 1, 0), -EXO_EBUSY, "BUSY: exposed pages");
	if (core_named(EXO_NAME_VIDEO))
		is(ask(part, core_named(EXO_NAME_VIDEO), EXO_DISK_READ, 0, 0, 1, 0), -EXO_EBUSY, "BUSY: a device's memory");
	ok(ring.at->refused == (core_named(EXO_NAME_VIDEO) ? 31U : 30U), "refused ones are counted: %lu",
	    (unsigned long)ring.at->refused);
	caps_delete(part);
	is(ask(part, run[0], EXO_DISK_READ, 0, 0, 1, 0), -EXO_ECAP, "CAP: stale");
	caps_delete(reading);
	caps_delete(view);
}

static void abuse(void)
{
	uint32_t posted = ring.posted;

	for (unsigned i = 0; i < 5; i++) {
		static const uint32_t wild[] = { 65, 1000, 0x80000000, 0xfffffff0, 0xffffffff };

		ring.at->posted = posted + wild[i];
		is(exo_disk_kick(shares), -EXO_EINVAL, "kick INVAL: %u posted", wild[i]);
	}
	ring.at->posted = posted;
	uint32_t done = ring.at->done;
	ring.at->taken = 77, ring.at->done = 78, ring.at->disk = 99, ring.at->shares = 0;
	ring_add(&ring, &(struct exo_disk_request){ blocks, run[0], 0, 0, 1, EXO_DISK_READ, 0, 0 });
	is(ring_post(&ring), 1, "the kernel's words are its own");
	for (exo_time_t end = core_now() + 5000 * MS; *(volatile uint32_t *)&ring.at->done != done + 1 && core_now() < end; )
		core_yield(EXO_CAP_NONE);
	is(ring.at->done, done + 1, "and are written anew");
	is(ring.at->taken, ring.posted, "all of them");
	ring.seen = ring.at->done;
}

/* Another environment has its own part of the blocks and of the time; my handles mean nothing there. */
static void foreign(void)
{
	struct exo_disk_request *request;
	struct tiny agent;
	exo_cap_t part = (exo_cap_t)caps_derive(shares, EXO_RIGHT_BIND, 60, 4), extent;
	exo_vaddr_t window = vm_addresses(EXO_PAGE_SIZE);
	struct exo_disk_ring *theirs = (struct exo_disk_ring *)window;

	if (!ok(agent_begin(&agent, 2), "another environment"))
		return;
	is(tiny_grant(&agent, part, 40, EXO_RIGHT_BIND) > 0, 1, "shares for it");
	extent = (exo_cap_t)caps_derive(blocks, RW, 100, 10);
	is(tiny_grant(&agent, extent, 41, RW) > 0, 1, "blocks for it");
	is(exo_cap_derive(agent.frames, agent.env, 42, RW, agent.spare, 2) > 0, 1, "frames for it");
	is(agent_do(&agent, EXO_CALL_disk_bind, exo_cap_make(40, 1), exo_cap_make(42, 1), 0, 0, 0, 0), 0, "it binds a ring");
	is(space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, agent.frames, agent.spare, 1), 0, "which we see");
	is(exo_disk_kick(part), -EXO_ESTATE, "kick STATE: another's ring");
	const struct exo_disk_request list[] = {
		{ blocks, exo_cap_make(42, 1), 0, 1, 1, EXO_DISK_WRITE, 0, 1 },
		{ exo_cap_make(41, 1), run[0], 0, 0, 1, EXO_DISK_READ, 0, 2 },
		{ exo_cap_make(41, 1), exo_cap_make(42, 1), 10, 1, 1, EXO_DISK_WRITE, 0, 3 },
		{ exo_cap_make(41, 1), exo_cap_make(42, 1), 0, 1, 1, EXO_DISK_WRITE, 0, 4 },
		{ exo_cap_make(41, 1), exo_cap_make(42, 1), 1, 1, 1, EXO_DISK_READ, 0, 5 },
	};
	for (unsigned i = 0; i < 5; i++) {
		request = &theirs->request[i];
		*request = list[i];
	}
	theirs->posted = 5;
	is(agent_do(&agent, EXO_CALL_disk_kick, exo_cap_make(40, 1), 0, 0, 0, 0, 0), 4, "it posts our handles, and its own");
	exo_time_t end = core_now() + 5000 * MS;
	while (__atomic_load_n(&theirs->done, __ATOMIC_ACQUIRE) < 5 && core_now() < end)
		core_yield(EXO_CAP_NONE);
	int32_t result[6] = { 0 };
	for (unsigned i = 0; i < 5; i++)
		if (theirs->completion[i].tag <= 5)
			result[theirs->completion[i].tag] = theirs->completion[i].result;
	ok(result[1] < 0 && result[2] < 0, "ours name nothing of use there");
	is(result[3], -EXO_ERANGE, "RANGE: behind its blocks");
	ok(!result[4] && !result[5] && theirs->done == 5, "its own are done");
	/* Revoked while it posts, and destroyed while the disk works. */
	for (unsigned i = 0; i < EXO_DISK_SLOTS; i++)
		theirs->request[i] = list[3];
	theirs->posted = 5 + 40;
	agent_do(&agent, EXO_CALL_disk_kick, exo_cap_make(40, 1), 0, 0, 0, 0, 0);
	while (exo_cap_revoke(extent) == -EXO_EAGAIN)
		;
	*page(2) = STAMP + 2;
	is(ask(extent, run[0], EXO_DISK_WRITE, 0, 2, 1, 0), 0, "its blocks are ours: written");
	core_sleep(core_now() + 20 * MS, core_disp->events);
	is(ask(extent, run[0], EXO_DISK_READ, 0, 3, 1, 0), 0, "read");
	ok(*page(3) == STAMP + 2, "and nothing of its own came behind");
	space_map(window, 0, EXO_CAP_NONE, 0, 1);
	tiny_drop(&agent);
	caps_delete(extent);
	caps_delete(part);
}

/* On another CPU somebody scribbles over a ring while its owner has it taken. */
TINY static void scribble(uint64_t reasons)
{
	uint64_t x = 88172645463325252ULL + reasons;

	for (;;) {
		volatile uint32_t *word = (volatile uint32_t *)0x5f5000ULL;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (x % 64 == 0)
			word[2] = (uint32_t)(x >> 16) % 3 ? word[3] + (uint32_t)(x >> 32) % 70 : (uint32_t)(x >> 32);
		else
			word[64 + (x >> 8) % 512] = (x >> 60) ? (uint32_t)(x >> 32) & 0x3ff : (uint32_t)(x >> 32);
		tiny_word(1)++;
	}
}

static void overwritten(void)
{
	exo_cap_t extent = (exo_cap_t)caps_derive(blocks, RW, 200, 16), part = (exo_cap_t)caps_derive(shares, EXO_RIGHT_BIND, 60, 4);
	exo_cap_t frames = take_frames(1);
	struct exo_disk_ring *wild = (struct exo_disk_ring *)vm_addresses(EXO_PAGE_SIZE);
	struct tiny writer;
	uint64_t kicks = 0, bad = 0;

	for (unsigned i = 0; i < RUN_FRAMES; i++)
		*page(RUN_FRAMES + i) = STAMP + 300 + i;
	is(ask(blocks, run[1], EXO_DISK_WRITE, 184, 0, 16, 0), 0, "blocks before");
	is(ask(blocks, run[1], EXO_DISK_WRITE, 216, 0, 16, 0), 0, "blocks behind");
	space_map((exo_vaddr_t)wild, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 1);
	is(exo_disk_bind(part, frames, 0), 0, "a ring of its own");
	tiny_cpu = 1;
	if (!ok(tiny_make(&writer, scribble, 0), "a writer on the other CPU"))
		return;
	tiny_cpu = 0;
	is(write_one(writer.space, 0x5f5000ULL | EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 1), 1, "sees the ring");
	tiny_start(&writer);
	for (exo_time_t end = core_now() + 1500 * MS; core_now() < end; kicks++) {
		for (unsigned i = 0; i < 8; i++)	/* some that are almost right */
			wild->request[(wild->taken + i) % EXO_DISK_SLOTS] = (struct exo_disk_request){ extent, run[2], i, i, 1,
				EXO_DISK_WRITE + (i & 1), 0, i };
		wild->posted = wild->taken + 8;
		(void)exo_disk_kick(part);
	}
	ok(kicks > 100 && writer.word[1] > 1000, "%lu kicks, %lu words overwritten, %u done", (unsigned long)kicks,
	    (unsigned long)writer.word[1], wild->done);
	tiny_drop(&writer);
	for (unsigned side = 0; side < 2; side++) {
		is(ask(blocks, run[1], EXO_DISK_READ, side ? 216 : 184, 0, 16, 0), 0, "what lies beside");
		for (unsigned i = 0; i < RUN_FRAMES; i++)
			bad += *page(RUN_FRAMES + i) != STAMP + 300 + i;
	}
	is(bad, 0, "is as it was");
	space_map((exo_vaddr_t)wild, 0, EXO_CAP_NONE, 0, 1);
	caps_delete(frames);
	caps_delete(part);
	caps_delete(extent);
}

/* Each thing that a request needs goes while it is under way, on a slow disk. */
static void going(void)
{
	exo_cap_t frames, extent, part = (exo_cap_t)caps_derive(core_named("disk1"), EXO_RIGHT_BIND, 60, 4), own;
	struct exo_disk_ring *other = (struct exo_disk_ring *)vm_addresses(EXO_PAGE_SIZE);
	uint32_t limbo = 0, free = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		own = take_frames(1);
		frames = take_frames(8);
		extent = (exo_cap_t)caps_derive(core_named("blocks1"), RW, 300, 16);
		space_map((exo_vaddr_t)other, EXO_MAP_READ | EXO_MAP_WRITE, own, 0, 1);
		int64_t error = exo_disk_bind(part, own, 0);
		if (!own || !frames || error) {
			printf("# round %u: %ld\n", i, (long)error);
			break;
		}
		for (unsigned j = 0; j < 8; j++)
			other->request[j] = (struct exo_disk_request){ extent, frames, j, j, 1, j & 1, 0, j };
		other->posted = 8;
		exo_disk_kick(part);
		space_map((exo_vaddr_t)other, 0, EXO_CAP_NONE, 0, 1);
		free = i ? free : core_info->frames_free;
		switch (i % 3) {
		case 0:
			caps_delete(frames);
			caps_delete(own);
			caps_delete(extent);
			break;
		case 1:
			caps_delete(extent);
			caps_delete(frames);
			caps_delete(own);
			break;
		default:
			caps_delete(own);
			caps_delete(frames);
			caps_delete(extent);
		}
		limbo += core_info->frames_free < free + 8;
	}
	ok(limbo > 0, "in %u of %u rounds the disk still worked when all was deleted", limbo, ROUNDS);
	for (exo_time_t end = core_now() + 5000 * MS; core_now() < end && core_info->frames_free < free + 9; )
		core_sleep(core_now() + 10 * MS, core_disp->events);
	caps_delete(part);
}

int main(void)
{
	struct books before;

	shares = core_named(EXO_NAME_DISK);
	blocks = core_named(EXO_NAME_BLOCKS);
	if (!ok(shares && blocks && data_prepare(), "a disk"))
		return call_done();
	cpus_await();
	shares = (exo_cap_t)caps_derive(shares, EXO_RIGHT_READ | EXO_RIGHT_BIND, 0, 64);
	calls();
	caps_delete(shares);
	shares = (exo_cap_t)caps_derive(core_named(EXO_NAME_DISK), EXO_RIGHT_BIND, 0, 32);
	requests();
	abuse();
	exo_cap_t mine = shares;
	shares = core_named(EXO_NAME_DISK);	/* the others' come of the rest */
	ring.disk = mine;
	going();	/* once for addresses and slots */
	before = books_now();
	foreign();
	overwritten();
	going();
	ok(books_same(before), "the books are even");
	return call_done();
}
