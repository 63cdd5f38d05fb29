/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An environment that tries every block that is not its own. It has an extent, shares, frames and a CPU of its own, and
 * makes 100,000 requests that are wrong in all ways: blocks before, behind and across its extent's edges, counts and parts
 * that wrap, its own and guessed handles, stale ones, frames that it only sees. Meanwhile its extent is revoked and given
 * again, right while its requests are under way, and whenever it is revoked, the owner writes it anew: what the attacker
 * had under way must not come behind. All other blocks bear their numbers at the end as in the beginning, and the attacker
 * has never read one.
 *
 * Runs first: yes. Run with: --disk scratch:16M --smp 2
 * Time limit: 150 s
 * EXO_TEST_OPTIONS: attempts=N seed=N
 */
#include "test/guest/disk_ring.h"
#include "test/guest/family.h"

#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define STAMP		0x4f574e4552000000ULL	/* a block of the owner's, and its number */
#define ATTACK		0x41545441434b0000ULL
#define EXTENT		256		/* the attacker's first block ... */
#define LENGTH		64		/* ... and how many */
#define OUTSIDE		0xffffff

enum { ATTEMPTS, DONE_WELL, REFUSED, STOLEN, STRANGE, FINISHED, WANTED, HANDLES };	/* shared words */

static exo_cap_t shares, blocks;
static struct ring ring;
static uint64_t chance = 0x9e3779b97f4a7c15;

static uint64_t draw(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return chance >> 8;
}

static uint64_t *page(unsigned i)
{
	return (uint64_t *)data[i];
}

/* --- the attacker --------------------------------------------------------------------------------------- */

/* The BLOCKS capability that it has just now, or had. */
static exo_cap_t extent(void)
{
	static exo_cap_t last;

	for (uint32_t slot = 1; slot < EXO_CAPS_PER_FRAME; slot++)
		if (caps_at(slot)->type == EXO_TYPE_BLOCKS)
			return last = caps_handle(slot);
	return last;
}

static exo_cap_t some_handle(exo_cap_t right)
{
	uint64_t how = draw() % 16;

	if (how < 11)
		return right;
	if (how == 11)
		return right + (1ULL << 32);
	if (how == 12)
		return right - (1ULL << 32);
	if (how == 13)
		return exo_cap_make((uint32_t)(draw() % 200), (uint32_t)(1 + draw() % 40));
	return how == 14 ? caps_handle((uint32_t)(1 + draw() % 60)) : draw() << 20 ^ draw();
}

static uint32_t some_block(void)
{
	switch (draw() % 8) {
	case 0:
		return (uint32_t)(draw() % LENGTH);
	case 1:
		return LENGTH - 1 + (uint32_t)(draw() % 3);
	case 2:
		return (uint32_t)0 - (uint32_t)(draw() % 300);
	case 3:
		return (uint32_t)(draw() % 4096);
	case 4:
		return (uint32_t)1 << draw() % 32;
	case 5:
		return 0x80000000U + (uint32_t)(draw() % 4096);
	case 6:
		return (uint32_t)draw();
	default:
		return (uint32_t)(draw() % LENGTH) + LENGTH / 2;
	}
}

static struct exo_disk_request some_request(bool more)
{
	static const uint16_t counts[] = { 0, 1, 1, 1, 2, 3, 8, 16, 63, 64, 65, 0x100, 0x8000, 0xffc1, 0xffff };
	unsigned frame = (unsigned)(draw() % RUN_FRAMES);

	if (draw() % 3 == 0)	/* nothing is wrong with it, as long as it has blocks */
		return (struct exo_disk_request){ extent(), run[draw() % RUNS], (uint32_t)(draw() % (LENGTH - 4)), frame / 2,
			(uint16_t)(1 + draw() % 4), draw() % 4 != 0, 0, ring.posted };
	return (struct exo_disk_request){
		.blocks = some_handle(extent()),
		.frames = draw() % 16 ? run[draw() % RUNS] : some_handle(run[0]),
		.block = some_block(),
		.frame = draw() % 16 ? frame : (uint32_t)draw(),
		.count = draw() % 2 ? 1 : counts[draw() % 15],
		.operation = (uint8_t)(draw() % 32 ? draw() % 2 : draw()),
		.flags = (uint8_t)(more ? EXO_DISK_MORE : draw() % 32 ? 0 : draw()),
		.tag = ring.posted,
	};
}

/* Has it read what is not its own? Its pages hold ATTACK, then. */
static void look(void)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		uint64_t word = *page(i);

		if (word == ATTACK + i || !word)
			continue;
		if ((word & ~0xffffffULL) == STAMP && ((word & 0xffffff) < EXTENT || (word & 0xffffff) >= EXTENT + LENGTH))
			family_word[STOLEN]++;
		*page(i) = ATTACK + i;
	}
}

static _Noreturn void attacker(void)
{
	struct exo_disk_done done;
	uint32_t posted, wild = 0;

	chance ^= family_word[WANTED] * 0xd1342543de82ef95;
	shares = core_named(EXO_NAME_DISK);
	if (!data_prepare() || !ring_open(&ring, shares)) {
		family_word[STRANGE] = 1000;
		family_word[FINISHED] = 1;
	}
	for (unsigned i = 0; i < FRAMES; i++)
		*page(i) = ATTACK + i;
	while (family_word[ATTEMPTS] < family_word[WANTED]) {
		unsigned count = 1 + (unsigned)(draw() % 16);

		for (unsigned i = 0; i < count && ring_room(&ring, 1); i++, family_word[ATTEMPTS]++) {
			struct exo_disk_request one = some_request(i + 1 < count && draw() % 8 == 0);
			ring_add(&ring, &one);
		}
		posted = ring.posted;
		if (draw() % 64 == 0) {		/* and now and then more than there is */
			__atomic_store_n(&ring.at->posted, (uint32_t)draw(), __ATOMIC_RELEASE);
			(void)exo_disk_kick(shares);
			wild++;
		}
		ring.posted = posted;
		if (ring.at->taken - posted < 0x80000000U)
			ring.posted = ring.at->taken;
		(void)ring_post(&ring);
		while (ring.seen != __atomic_load_n(&ring.at->done, __ATOMIC_ACQUIRE)) {
			done = ring.at->completion[ring.seen++ % EXO_DISK_SLOTS];
			family_word[done.result ? REFUSED : DONE_WELL]++;
		}
		if (draw() % 16 == 0)
			look();
		if (!ring_room(&ring, 16))
			core_sleep(core_now() + MS / 4, core_disp->events);
	}
	look();
	family_word[FINISHED] = 1;
	for (;;)
		core_sleep(EXO_NEVER, core_disp->events);
}

/* --- the owner ------------------------------------------------------------------------------------------ */

static bool move(unsigned operation, uint32_t block, unsigned first_run)
{
	struct exo_disk_done done;

	for (unsigned i = 0; i < LENGTH / RUN_FRAMES; i++)
		ring_add(&ring, &(struct exo_disk_request){ blocks, run[first_run + i], block, 0, RUN_FRAMES, (uint8_t)operation,
			i + 1 < LENGTH / RUN_FRAMES ? EXO_DISK_MORE : 0, block });
	return ring_post(&ring) >= 0 && ring_next(&ring, &done) && done.tag == block && !done.result;
}

static bool stamp(uint32_t block)
{
	for (unsigned i = 0; i < LENGTH; i++)
		*page(i) = STAMP + block + i;
	return move(EXO_DISK_WRITE, block, 0);
}

/* Blocks that do not bear their numbers. */
static unsigned changed(uint32_t block)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < LENGTH; i++)
		*page(i) = 0;
	if (!move(EXO_DISK_READ, block, 0))
		return LENGTH;
	for (unsigned i = 0; i < LENGTH; i++)
		bad += *page(i) != STAMP + block + i;
	return bad;
}

int main(void)
{
	static struct member member;
	unsigned bad = 0, late = 0, rounds = 0, used = 0;
	uint32_t all;
	exo_cap_t whole, time;

	if (family_begin())
		attacker();
	family_cpus();
	family_word[WANTED] = call_option("attempts", 100000);
	chance ^= call_option("seed", 1) * 0x2545f4914f6cdd1d;
	whole = core_named(EXO_NAME_BLOCKS);
	shares = (exo_cap_t)caps_derive(core_named(EXO_NAME_DISK), EXO_RIGHT_BIND, 0, 32);
	time = (exo_cap_t)caps_derive(core_named(EXO_NAME_DISK), EXO_RIGHT_BIND, 32, 32);
	if (!ok(whole && data_prepare() && ring_open(&ring, shares), "a disk"))
		return call_done();
	all = cap_of(whole)->count / LENGTH * LENGTH;
	blocks = whole;
	for (uint32_t block = 0; block < all; block += LENGTH)
		bad += !stamp(block);
	is(bad, 0, "all blocks bear their numbers");
	blocks = (exo_cap_t)caps_derive(whole, RW, 0, 0);	/* not what is revoked */
	exo_cap_t lent = (exo_cap_t)caps_derive(whole, RW, EXTENT, LENGTH);

	family_grant(&member, "page", family_page, RW, 1);
	family_grant(&member, EXO_NAME_DISK, time, EXO_RIGHT_BIND, 32);
	member.spawn.cpu = 1;
	if (!ok(family_make(&member, "attacker", NULL), "an attacker, on another CPU"))
		return call_done();
	spawn_start(&member.spawn);
	for (exo_time_t end = core_now() + 130 * CORE_SECOND; !family_word[FINISHED] && core_now() < end; rounds++) {
		uint64_t before = family_word[DONE_WELL];

		for (uint32_t slot = 40; slot < 60; slot++)	/* somewhere in its table */
			if (exo_cap_derive(lent, member.spawn.env, slot, RW, 0, LENGTH) > 0)
				break;
		core_sleep(core_now() + 2 * MS + draw() % (4 * MS), core_disp->events);
		while (exo_cap_revoke(lent) == -EXO_EAGAIN)
			;
		used += family_word[DONE_WELL] != before;
		if (!stamp(EXTENT))
			bad++;
		late += changed(EXTENT);
		core_sleep(core_now() + draw() % MS, core_disp->events);
		late += changed(EXTENT);
	}
	ok(family_word[FINISHED] && family_word[ATTEMPTS] >= family_word[WANTED], "%lu attempts, %lu done, %lu refused, while its "
	    "blocks were revoked %u times", (unsigned long)family_word[ATTEMPTS], (unsigned long)family_word[DONE_WELL],
	    (unsigned long)family_word[REFUSED], rounds);
	ok(used > 3 && family_word[REFUSED] > family_word[DONE_WELL], "in %u of them it wrote or read its own blocks", used);
	is(late, 0, "nothing of its own was written when its blocks were taken away");
	is(family_word[STOLEN], 0, "it has read none of the others");
	is(family_word[STRANGE], 0, "it worked as it should");
	for (uint32_t block = 0; block < all; block += LENGTH)
		bad += changed(block);
	is(bad, 0, "all blocks bear their numbers");
	family_drop(&member);
	is(core_info->device[0].kind == 2 ? core_info->device[0].errors : 0, 0, "the disk reports no error");
	ok(frames_consistent(), "frames are somebody's or free");
	return call_done();
}
