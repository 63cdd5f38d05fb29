/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks that do not answer: exo_disk_reset with devices that forget all at once, that are long deaf, that do not start again,
 * and that are given up; what ends when, which frames stay pinned until then, who is told; and random resets in the middle
 * of the work of two tenants, with the kernel's invariants after each step.
 */
#include "test/unit/disk_fake.h"

#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define DATA_FRAMES	20
#define ROUNDS		3000

static struct exo_disk_ring *ring;
static exo_cap_t shares, blocks, data;

static int64_t step(void)
{
	return CALL(0, disk_reset, shares, EXO_DISK_STEP);
}

/* Steps until it is not AGAIN, at most so many. */
static int64_t reset(unsigned most, unsigned *steps)
{
	int64_t result;

	*steps = 0;
	do
		result = step();
	while (++*steps < most && result == ERR(AGAIN));
	return result;
}

static struct exo_disk_request request(unsigned operation, uint32_t block, uint32_t frame, unsigned count)
{
	return (struct exo_disk_request){ .blocks = blocks, .frames = data, .block = block, .frame = frame,
		.count = (uint16_t)count, .operation = (uint8_t)operation, .tag = block };
}

static void prepare(void)
{
	fake_boot(600, EXO_DISK_CACHE);
	shares = world_handle(0, SLOT_SHARES);
	blocks = world_handle(0, SLOT_BLOCKS);
	(void)CALL(0, frame_take, SLOT_RING, EXO_PFN_ANY, 1);
	data = (exo_cap_t)CALL(0, frame_take, SLOT_DATA, EXO_PFN_ANY, DATA_FRAMES);
	(void)CALL(0, disk_bind, shares, world_handle(0, SLOT_RING), 0);
	ring = fake_ring(0, SLOT_RING, 0);
}

static unsigned pins(void)
{
	exo_pfn_t first = (exo_pfn_t)cap_slot(world.env[0], SLOT_DATA)->first;
	unsigned sum = 0;

	for (unsigned i = 0; i < DATA_FRAMES; i++)
		sum += frame_table[first + i].pins;
	return sum;
}

static unsigned told(unsigned who)
{
	return (__atomic_exchange_n(&world.env[who]->disp->pending, 0, __ATOMIC_RELAXED) & EXO_EVENT_DISK) != 0;
}

static void test_errors(void)
{
	exo_cap_t weak, part;

	prepare();
	weak = (exo_cap_t)CALL(0, cap_derive, shares, 0, 50, EXO_RIGHT_BIND, 0, EXO_DISK_SHARES);
	part = (exo_cap_t)CALL(0, cap_derive, shares, 0, 51, EXO_RIGHT_BIND | EXO_RIGHT_CONTROL, 0, EXO_DISK_SHARES - 1);
	is_int(CALL(0, disk_reset, 0x7000001, 0), ERR(CAP), "CAP");
	is_int(CALL(0, disk_reset, blocks, 0), ERR(TYPE), "TYPE");
	is_int(CALL(0, disk_reset, weak, 0), ERR(RIGHTS), "RIGHTS");
	is_int(CALL(0, disk_reset, part, 0), ERR(RANGE), "RANGE: not all shares");
	is_int(CALL(0, disk_reset, shares, 2), ERR(INVAL), "INVAL");
	is_int(CALL(0, disk_reset, shares, ~0ULL), ERR(INVAL), "INVAL: the last number");
	ok(fake.stops == 0 && fake.disk.info->flags == EXO_DISK_CACHE, "none of which did anything");
}

/* One that has 5 and does not answer, but stops when it is told to. */
static void test_silent(void)
{
	unsigned steps, bad = 0;

	prepare();
	fake.most = 5;
	fake.slow = 3;
	for (unsigned i = 0; i < 8; i++)
		fake_post(ring, request(i % 2 ? EXO_DISK_WRITE : EXO_DISK_READ, i, i, 1));
	is_int(CALL(0, disk_kick, shares), 5, "five are under way");
	(void)told(0);
	is_int(step(), ERR(AGAIN), "it is told to stop, and does");
	ok(fake.stops == 1 && fake.disk.info->flags == (EXO_DISK_CACHE | EXO_DISK_STOPPED), "everybody can see it");
	ok(pins() == 5 && ring->done == 0, "but nothing has ended yet");
	is_int(CALL(0, disk_kick, shares), 0, "nothing more is taken");
	is_int(step(), ERR(AGAIN), "then all that it had");
	for (unsigned i = 0; i < ring->done; i++)
		bad += ring->completion[i].result != ERR(DEVICE) || ring->completion[i].tag != i;
	ok(ring->done == 5 && !bad && ring->failed == 5 && told(0), "ends with DEVICE, and its owner is told");
	is_int(pins(), 0, "the frames are free");
	is_int(reset(100, &steps), 0, "it starts again");
	ok(steps == 5 && fake.starts == 4, "after a while");
	ok(fake.disk.info->flags == EXO_DISK_CACHE && fake.count == 3 && ring->taken == 8, "and goes on with what was posted");
	while (fake.count)
		(void)fake_interrupt(1, false);
	ok(ring->done == 8 && ring->completion[7].result == 0, "as ever");
	is_int(reset(100, &steps), 0, "one that has nothing may start anew, too");
	ok(ring->done == 8 && !world_check(), "and nothing ends by it");
}

/* One that does not even say that it has stopped; and one that does not start. */
static void test_dead(void)
{
	unsigned steps;
	exo_pfn_t pfn;
	uint32_t free;

	prepare();
	fake.deaf = 1000000;
	free = info->frames_free;
	exo_cap_t other = (exo_cap_t)CALL(0, frame_take, 50, EXO_PFN_ANY, 2);
	pfn = (exo_pfn_t)cap_slot(world.env[0], 50)->first;
	struct exo_disk_request one = request(EXO_DISK_READ, 7, 0, 2);
	one.frames = other;
	fake_post(ring, one);
	fake_post(ring, request(EXO_DISK_WRITE, 20, 3, 1));
	is_int(CALL(0, disk_kick, shares), 2, "two are under way");
	is_int(reset(500, &steps), ERR(AGAIN), "it does not stop");
	ok(fake.stops == 500 && ring->done == 0, "so nothing ends");
	is_int(CALL(0, cap_delete, other), 0, "a frame's capability goes");
	ok(info->frames_free == free - 2 && frame_table[pfn].pins == 1, "the frame does not");
	(void)told(0);
	is_int(CALL(0, disk_reset, shares, EXO_DISK_GIVE_UP), 0, "it is given up");
	ok(fake.disk.info->flags == (EXO_DISK_CACHE | EXO_DISK_DEAD) && told(0), "everybody is told");
	is_int(CALL(0, disk_kick, shares), ERR(DEVICE), "kick DEVICE");
	ok(ring->done == 0 && info->frames_free == free - 2, "the frames stay where it may write");
	fake.count--, fake.busy[fake.order[0]] = false;
	fake_work(&fake.transfer[fake.order[0]]);
	disks_lock();
	(void)disk_done(&fake.disk, fake.order[0], false);
	(void)disk_settled(&fake.disk);
	disks_unlock();
	ok(ring->done == 1 && info->frames_free == free, "unless it ends one after all");
	fake.deaf = 0;
	fake.broken = true;
	is_int(reset(100, &steps), ERR(DEVICE), "a later try: it stops, but does not start");
	ok(ring->done == 2 && pins() == 0 && ring->completion[1].result == ERR(DEVICE), "what it had has ended");
	is_int(fake.disk.info->flags, EXO_DISK_CACHE | EXO_DISK_STOPPED, "it is stopped");
	is_int(CALL(0, disk_kick, shares), 0, "and takes nothing");
	fake.broken = false;
	is_int(reset(100, &steps), 0, "tried again, from the beginning");
	fake_post(ring, request(EXO_DISK_READ, 1, 1, 1));
	is_int(CALL(0, disk_kick, shares), 1, "it works");
	(void)fake_interrupt(1, false);
	ok(ring->done == 3 && !world_check(), "as ever");
}

/* Capabilities, rings and environments that go in the middle of it. */
static void test_gone(void)
{
	unsigned steps;
	exo_cap_t mine;

	prepare();
	mine = (exo_cap_t)CALL(0, cap_derive, blocks, 0, 50, RW, 0, 100);
	for (unsigned i = 0; i < 4; i++) {
		struct exo_disk_request one = request(EXO_DISK_WRITE, i, i, 1);
		one.blocks = i < 2 ? mine : blocks;
		fake_post(ring, one);
	}
	(void)CALL(0, disk_kick, shares);
	is_int(CALL(0, cap_delete, mine), 0, "blocks go under way");
	fake_post(ring, request(EXO_DISK_WRITE, 1, 5, 1));
	is_int(CALL(0, disk_kick, shares), 0, "the next waits for one of them");
	is_int(reset(100, &steps), 0, "a reset");
	ok(ring->done == 4 && fake.count == 1 && !fake.disk.state->limbo && !fake.disk.state->blocked, "ends the limbo, too");
	is_int(step(), ERR(AGAIN), "another: told to stop");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_RING), 0), 0, "the ring goes in between");
	is_int(reset(100, &steps), 0, "and nobody is told");
	ok(pins() == 0 && !fake.disk.state->rings && !world_check(), "but its frames are free");
}

/* Each stay is bounded: 64 requests of 64 blocks are more than one ends. */
static void test_bounded(void)
{
	unsigned before, most = 0, steps = 0;
	int64_t result;

	prepare();
	for (unsigned i = 0; i < 64; i++) {
		for (unsigned j = 0; j < 4; j++) {
			struct exo_disk_request one = request(EXO_DISK_READ, 0, 0, 16);
			one.flags = j < 3 ? EXO_DISK_MORE : 0;
			fake_post(ring, one);
		}
		while (CALL(0, disk_kick, shares) > 0)
			;
	}
	is_int(fake.count, 64, "64 requests of 64 blocks");
	do {
		before = ring->done;
		result = step();
		most = ring->done - before > most ? ring->done - before : most;
	} while (++steps < 100 && result == ERR(AGAIN));
	ok(result == 0 && ring->done == 64 && most < 16, "end in several steps: %u, at most %u in one", steps, most);
	is_int(pins(), 0, "no pin is left");
}

/* A tenant who posts what is refused, as fast as it is taken, does not keep another's reset from ending. */
static void test_hog(void)
{
	unsigned steps = 0, irqs;
	struct exo_disk_ring *hog;
	exo_time_t now;
	int64_t result;

	prepare();
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_RING), 0), 0, "the ring has fewer shares");
	fake_fill(0, 52, EXO_TYPE_DISK, EXO_RIGHT_BIND, exo_disk_first(0, 0), 63);
	(void)CALL(0, frame_take, SLOT_RING, EXO_PFN_ANY, 1);
	is_int(CALL(0, disk_bind, world_handle(0, 52), world_handle(0, SLOT_RING), 0), 0, "so that ...");
	ring = fake_ring(0, SLOT_RING, 0);
	fake_fill(1, 52, EXO_TYPE_DISK, EXO_RIGHT_BIND, exo_disk_first(0, 63), 1);
	(void)CALL(1, frame_take, 54, EXO_PFN_ANY, 1);
	is_int(CALL(1, disk_bind, world_handle(1, 52), world_handle(1, 54), 0), 0, "... another has one");
	hog = fake_ring(1, 54, 0);
	is_int(step(), ERR(AGAIN), "it stops");
	fake_post(ring, request(EXO_DISK_READ, 1, 1, 1));
	do {
		while (hog->posted - hog->taken < EXO_DISK_SLOTS)
			fake_post(hog, request(EXO_DISK_READ, 0, 0, 1));
		result = step();
	} while (++steps < 1000 && result == ERR(AGAIN));
	ok(result == 0, "the reset ends, after %u steps", steps);
	is_int(fake.disk.info->flags, EXO_DISK_CACHE, "the disk runs");
	ok(hog->refused && hog->posted != hog->taken, "what the hog had posted is not all taken");
	irqs = null.irq_again;
	now = arch_now() + 1000000000;
	disk_timer(now);
	is_int(null.irq_again, irqs + 1, "but its interrupt comes again for it");
	for (steps = 0; fake_interrupt(1, false) && steps < 1000; steps++)
		;
	ok(hog->posted == hog->taken && ring->done == 1 && !world_check(), "until all is taken, and ended");
}

/* Two tenants, one who resets, and a device that is more or less deaf. */
static void test_random(void)
{
	struct exo_disk_ring *of[2];
	exo_cap_t half[2], extent[2], frames[2];
	unsigned resets = 0, ended, steps = 0;
	uint64_t posted = 0;

	prepare();
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_RING), 0), 0, "two rings instead");
	for (unsigned who = 0; who < 2; who++) {
		fake_fill(who, 52, EXO_TYPE_DISK, EXO_RIGHT_BIND, exo_disk_first(0, who * 32), 32);
		fake_fill(who, 53, EXO_TYPE_BLOCKS, RW, exo_disk_first(0, who * 500), 500);
		half[who] = world_handle(who, 52);
		extent[who] = world_handle(who, 53);
		(void)CALL(who, frame_take, 54, EXO_PFN_ANY, 1);
		frames[who] = (exo_cap_t)CALL(who, frame_take, 55, EXO_PFN_ANY, 8);
		ok(CALL(who, disk_bind, half[who], world_handle(who, 54), 0) == 0, "bound");
		of[who] = fake_ring(who, 54, 0);
	}
	for (unsigned i = 0; i < world_steps(ROUNDS); i++) {
		unsigned who = below(2);

		for (unsigned n = below(5); n && of[who]->posted - of[who]->taken < EXO_DISK_SLOTS &&
		    of[who]->posted - of[who]->done < EXO_DISK_SLOTS; n--, posted++)
			fake_post(of[who], (struct exo_disk_request){ .blocks = extent[who], .frames = frames[who],
				.block = below(500), .frame = below(8), .count = 1, .operation = (uint8_t)below(2) });
		(void)CALL(who, disk_kick, half[who]);
		if (below(3))
			(void)fake_interrupt(below(4), true);
		if (below(20) == 0) {
			fake.deaf = below(3);
			fake.slow = below(3);
			resets++;
		}
		if (fake.disk.phase != DISK_RUNS || below(20) == 0)
			steps += step() == ERR(AGAIN);
		if (below(200) == 0)
			(void)CALL(0, disk_reset, shares, EXO_DISK_GIVE_UP);
		if (world_check()) {
			ok(false, "step %u: %s", i, world_check());
			return;
		}
	}
	fake.deaf = fake.slow = 0;
	(void)reset(100, &ended);
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned who = 0; who < 2; who++)
			(void)CALL(who, disk_kick, half[who]);
		(void)fake_interrupt(8, true);
	}
	ok(of[0]->done + (uint64_t)of[1]->done == posted && resets && steps, "%u requests, each ended once; %u steps",
	    (unsigned)posted, steps);
	ok(of[0]->failed && of[0]->failed < of[0]->done, "some by a reset, some by the disk");
	for (unsigned who = 0; who < 2; who++)
		for (unsigned i = 0; i < 8; i++)
			posted += frame_table[cap_slot(world.env[who], 55)->first + i].pins;
	ok(of[0]->done + (uint64_t)of[1]->done == posted && !fake.disk.state->flights, "no pin is left");
}

int main(void)
{
	test_errors();
	test_silent();
	test_dead();
	test_gone();
	test_bounded();
	test_hog();
	test_random();
	return done();
}
