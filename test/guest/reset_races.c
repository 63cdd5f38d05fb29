/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tenant with some of a disk's shares on one CPU, which posts requests, good and bad, as fast as they are taken, and asks for
 * resets that it may not have, against one who resets the disk, gives it up, and takes from the tenant what it has at any
 * moment in between: its frames, its shares, its blocks, its life. Each reset ends, however much is posted meanwhile; then
 * no frame is pinned, nothing is written there, and the disk works. Options: seed, rounds, disk.
 * Runs first: yes
 * Run with: --smp 2 --disk scratch:16M --disk scratch:16M,iops=50
 */
#include "test/guest/agent.h"
#include "test/guest/disk_ring.h"
#include "test/lib/random.h"

#define RW		(EXO_MAP_READ | EXO_MAP_WRITE)
#define RIGHTS		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define TINY_RING	0x5f8000ULL
#define SHARES		8		/* the tenant's */
#define EXTENT		256
#define LENGTH		64
#define LENT		9		/* frames: the ring, and 8 for data */
#define STEPS_MAX	1000

/* Words of its data page. */
enum { COUNT, BOUND, DISK_HANDLE, FRAMES_HANDLE, BLOCKS_HANDLE, SEED, HOG, ERROR, STRANGE };

static uint64_t state;
static exo_cap_t shares, blocks;
static struct ring ring;
static char *lent_at;

static uint64_t next(void)
{
	return random_next(&state) >> 8;
}

/* Also its handler of faults, when the ring has gone. */
TINY static void tenant(uint64_t reasons)
{
	volatile struct exo_disk_ring *its = (volatile struct exo_disk_ring *)TINY_RING;
	uint64_t x = tiny_word(SEED);
	int64_t result;

	(void)reasons;
	tiny_disp->off = EXO_OFF_NO;
	if (!tiny_word(BOUND)) {
		tiny_word(BOUND) = 1;
		tiny_word(ERROR) = (uint64_t)-tiny_call(EXO_CALL_disk_bind, tiny_word(DISK_HANDLE), tiny_word(FRAMES_HANDLE), 0, 0, 0, 0);
	}
	for (;;) {
		uint32_t taken = its->taken;
		bool bad = tiny_word(HOG);

		tiny_word(COUNT)++;
		for (uint32_t i = 0; i < EXO_DISK_SLOTS; i++) {
			x = x * 6364136223846793005 + 1442695040888963407;
			its->request[(taken + i) % EXO_DISK_SLOTS] = (struct exo_disk_request){ .blocks = tiny_word(BLOCKS_HANDLE),
				.frames = tiny_word(FRAMES_HANDLE), .block = (uint32_t)(x >> 40) % LENGTH, .frame = 1 + (uint32_t)(x >> 30) % 8,
				.count = bad ? 0 : 1, .operation = x >> 63, .tag = i };
		}
		tiny_word(SEED) = x;
		its->posted = x >> 58 ? taken + EXO_DISK_SLOTS : (uint32_t)(x >> 20);
		for (; bad && tiny_word(COUNT) > 2; tiny_word(COUNT)++)	/* what is refused can be posted again as it is */
			its->posted = its->taken + EXO_DISK_SLOTS;
		if (x >> 56 & 1)
			tiny_call(EXO_CALL_disk_kick, tiny_word(DISK_HANDLE), 0, 0, 0, 0, 0);
		result = tiny_call(EXO_CALL_disk_reset, tiny_word(DISK_HANDLE), x >> 57 & 1, 0, 0, 0, 0);
		if (result != -EXO_ERANGE && result != -EXO_ECAP)
			tiny_word(STRANGE)++;
	}
}

/* Steps of a reset, at most so many, with sleeps as libos/disk/silent.c's; how many were left over when it was done. */
static unsigned reset(unsigned most)
{
	for (unsigned hasty = 16; most && exo_disk_reset(shares, EXO_DISK_STEP); most--) {
		if (hasty)
			hasty--;
		else
			core_sleep(core_now() + MS / 5, core_disp->events);
	}
	return most;
}

enum { FRAMES_GO, SHARES_GO, BLOCKS_GO, DESTROYED, RECLAIMED, WAYS };

static int64_t take_away(unsigned way, const struct tiny *one, const exo_cap_t lent[3])
{
	int64_t result;

	do {
		if (way <= BLOCKS_GO)
			result = exo_cap_revoke(lent[way]);
		else if (way == DESTROYED)
			result = exo_env_destroy(one->env);
		else
			result = exo_env_reclaim(core_named(EXO_NAME_ACCOUNT), one->id);
	} while (result == -EXO_EAGAIN);
	return result;
}

static uint64_t sum(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LENT * EXO_PAGE_SIZE / 8; i++)
		sum = sum * 31 + ((volatile uint64_t *)lent_at)[i];
	return sum;
}

struct found {
	unsigned unbound, bad, endless, strange, pinned, late, dead;
	uint64_t loops;
};

static bool round_of(unsigned number, exo_cap_t frames, struct found *found)
{
	const exo_cap_t lent[3] = { (exo_cap_t)caps_derive(frames, RIGHTS, 0, LENT),
		(exo_cap_t)caps_derive(shares, EXO_RIGHT_BIND | EXO_RIGHT_CONTROL, EXO_DISK_SHARES - SHARES, SHARES),
		(exo_cap_t)caps_derive(blocks, RIGHTS, EXTENT, LENGTH) };
	unsigned before = (unsigned)(next() % 8);
	struct tiny one;

	tiny_cpu = 1;
	bool good = tiny_make(&one, tenant, 0);
	tiny_cpu = 0;
	if (!good || lent[0] <= 0 || lent[1] <= 0 || lent[2] <= 0)
		return false;
	memset(lent_at, 0, LENT * EXO_PAGE_SIZE);
	one.word[FRAMES_HANDLE] = (uint64_t)exo_cap_derive(lent[0], one.env, 5, RIGHTS, 0, LENT);
	one.word[DISK_HANDLE] = (uint64_t)exo_cap_derive(lent[1], one.env, 6, EXO_RIGHT_BIND | EXO_RIGHT_CONTROL, 0, SHARES);
	one.word[BLOCKS_HANDLE] = (uint64_t)exo_cap_derive(lent[2], one.env, 7, RIGHTS, 0, LENGTH);
	one.word[SEED] = next();
	one.word[HOG] = next() % 2;
	write_one(one.space, TINY_RING | RW, frames, 0, 1);
	tiny_start(&one);
	exo_time_t end = core_now() + 100 * MS;
	while (one.word[COUNT] < 2 && core_now() < end)
		;
	for (end = core_now() + next() % 3 * (next() % MS); core_now() < end;)
		;
	if (number % 2 == 0)
		found->endless += !reset(STEPS_MAX);
	if (number % 7 == 0)
		found->bad += exo_disk_reset(shares, EXO_DISK_GIVE_UP) != 0;
	(void)reset(before);
	found->bad += take_away(number % WAYS, &one, lent) != 0;
	found->unbound += one.word[ERROR] != 0;
	found->strange += one.word[STRANGE] != 0;
	found->loops += one.word[COUNT];
	found->endless += !reset(STEPS_MAX);
	if (number % WAYS != BLOCKS_GO) {
		uint64_t was = sum();
		found->dead += ring_do(&ring, blocks, number % 2 ? EXO_DISK_READ : EXO_DISK_WRITE, EXTENT + number % LENGTH, 0) != 0;
		if (number % WAYS >= DESTROYED)
			found->late += sum() != was;
	}
	write_one(one.space, TINY_RING, 0, 0, 1);
	tiny_drop(&one);
	found->endless += !reset(STEPS_MAX);
	for (unsigned i = 0; i < 3; i++)
		found->bad += caps_delete(lent[i]) != 0;
	found->pinned += exo_frame_reclaim(frames, 0, LENT) != 0;
	found->dead += ring_do(&ring, blocks, EXO_DISK_READ, EXTENT, 0) != 0;
	return true;
}

static void races(unsigned number, uint64_t rounds)
{
	char name[] = "disk0", of[] = "blocks0";
	struct found found = { 0 };
	struct books before;
	exo_cap_t frames, part;
	uint64_t done = 0;

	name[4] = of[6] = (char)('0' + number);
	shares = core_named(name);
	blocks = core_named(of);
	part = (exo_cap_t)caps_derive(shares, EXO_RIGHT_BIND, 0, EXO_DISK_SHARES - SHARES);
	frames = take_frames(LENT);
	if (!ok(shares && blocks && ring_open(&ring, part), "disk %u", number))
		return;
	lent_at = (char *)vm_addresses(LENT * EXO_PAGE_SIZE);
	space_map((exo_vaddr_t)lent_at, RW, frames, 0, LENT);
	before = books_now();
	while (done < rounds && round_of((unsigned)done, frames, &found))
		done++;
	ok(done == rounds && found.loops > rounds, "%lu rounds, in which the tenant posted %lu times", (long)done, (long)found.loops);
	ok(!found.unbound && !found.bad, "it has a ring, and loses it");
	is(found.strange, 0, "it resets nothing");
	is(found.endless, 0, "each reset ends, whatever it posts");
	is(found.dead, 0, "then the disk works");
	is(found.pinned, 0, "and no frame is pinned");
	is(found.late, 0, "or written");
	ok(books_same(before), "the books are even");
}

int main(void)
{
	uint64_t rounds = call_option("rounds", call_option("long", 0) ? 2000 : 60);

	cpus_await();
	if (!ok(core_info->cpus > 1 && data_prepare(), "two CPUs, and frames"))
		return call_done();
	state = call_option("seed", 1) * 0x9e3779b97f4a7c15 | 1;
	tiny_prepare();
	for (unsigned disk = 0; disk < 2; disk++)
		races(disk, rounds);
	ok(frames_consistent(), "every frame is free or somebody's");
	return call_done();
}
