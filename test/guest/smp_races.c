/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two CPUs against each other: what one takes away while the other uses it, what one changes while the other's call
 * reads it, wakeups that cross, environments that move, end or are bound while they run, or are destroyed while they
 * are woken or sent to.
 *
 * A tiny environment on the second CPU does one thing for ever; the test, on the first, works against it. What must
 * hold: once a call that takes a page away has returned, nobody writes to its frame any more; no wakeup is lost;
 * nothing of an environment is left after its end; a page of the test's stays as it was. Options: seed, rounds, slow.
 * Run with: --smp 2
 * Time limit: 120 s
 */
#include "test/guest/agent.h"
#include "test/guest/callers.h"
#include "test/lib/random.h"

#define RW		(EXO_MAP_READ | EXO_MAP_WRITE)
#define TINY_X		0x5f8000ULL	/* a page that comes and goes */
#define CANARY		0xc0ffee11c0ffee11ULL

/* Words of the page that both of a pair see. */
enum { TURN, STOP };

static uint64_t state, slow; /* slow: how many times, of the kernel that runs */
static volatile uint64_t *page; /* the test's window on the frame that is fought for */
static volatile uint64_t *canary;

static void mover_called(void);

static uint64_t next(void)
{
	return random_next(&state) >> 8;
}

static void pause_for(uint64_t turns)
{
	while (turns--)
		__asm__ volatile("pause");
}

/* --- a page that is written to while it goes ------------------------------------------------------------ */

/* Also its handler of faults: it tries again. */
TINY static void writer(uint64_t reasons)
{
	(void)reasons;
	tiny_word(COUNT)++;
	tiny_disp->off = EXO_OFF_NO;
	for (;;)
		++*(volatile uint64_t *)TINY_X;
}

/* Nobody writes any more: as the test sees the frame through its own mapping. */
static bool quiet(void)
{
	uint64_t seen = page[0];

	pause_for(300);
	return page[0] == seen;
}

static bool moving(void)
{
	uint64_t seen = page[0];
	exo_time_t end = core_now() + 2000 * MS;

	while (page[0] == seen && core_now() < end)
		__asm__ volatile("pause");
	return page[0] != seen;
}

static bool start_writer(struct tiny *one)
{
	tiny_cpu = 1;
	bool good = tiny_make(one, writer, 0);
	tiny_cpu = 0;
	return good && tiny_start(one);
}

/* Unmapped, made read-only, cut by the end of its capability, by turns. */
static void shootdown(unsigned rounds)
{
	struct tiny one;
	exo_cap_t frame = take_frames(1), part = 0;
	unsigned late = 0, dead = 0;

	page = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	space_map((exo_vaddr_t)page, RW, frame, 0, 1);
	if (!ok(start_writer(&one), "one on the other CPU that writes to a page"))
		return;
	for (unsigned i = 0; i < rounds; i++) {
		unsigned how = i % 3;
		if (how == 2)
			part = (exo_cap_t)caps_derive(frame, RWX, 0, 1);
		if (write_one(one.space, TINY_X | RW, how == 2 ? part : frame, 0, 1) != 1)
			dead++;
		dead += !moving();
		pause_for(next() % 200);
		if (how == 0)
			write_one(one.space, TINY_X, 0, 0, 1);
		else if (how == 1)
			write_one(one.space, TINY_X | EXO_MAP_READ, 0, 0, 1);
		else
			caps_delete(part);
		late += !quiet();
	}
	ok(!dead, "each time it went on when the page came back");
	ok(!late, "and after none of %u calls that took it away did it write once more", rounds);
	ok(one.word[COUNT] > rounds / 2, "it faulted instead (%lu times)", (long)one.word[COUNT]);
	tiny_drop(&one);
	space_map((exo_vaddr_t)page, 0, 0, 0, 1);
	caps_delete(frame);
}

/* The frame goes and comes back to another: it is zeroed, and stays so. */
static void use_against_free(unsigned rounds)
{
	struct tiny one;
	unsigned wrong = 0, taken = 0;

	if (!ok(start_writer(&one), "another that writes"))
		return;
	for (unsigned i = 0; i < rounds; i++) {
		uint32_t slot = caps_slot();
		exo_cap_t frame = made(slot, exo_frame_take(slot, EXO_PFN_ANY, 1));
		exo_pfn_t pfn = pfn_of(frame);
		write_one(one.space, TINY_X | RW, frame, 0, 1);
		pause_for(next() % 500);
		caps_delete(frame);
		slot = caps_slot();
		frame = made(slot, exo_frame_take(slot, pfn, 1));
		if (!frame)
			continue;
		taken++;
		space_map((exo_vaddr_t)page, RW, frame, 0, 1);
		wrong += page[0] != 0 || !quiet();
		space_map((exo_vaddr_t)page, 0, 0, 0, 1);
		caps_delete(frame);
	}
	ok(!wrong && taken > rounds / 2, "a frame that was freed under it is another's at once: %u times", taken);
	tiny_drop(&one);
}

/* --- wakeups that cross --------------------------------------------------------------------------------- */

/* Entered anew after each sleep. Nothing is lost: `events` is read before the turn is looked at. */
TINY static void player(uint64_t reasons)
{
	volatile uint64_t *shared = (volatile uint64_t *)TINY_X;
	uint64_t me = tiny_word(ME);

	(void)reasons;
	while (tiny_word(COUNT) < tiny_word(LIMIT)) {
		uint64_t events = tiny_disp->events;
		if (shared[TURN] % 2 == me) {
			tiny_word(COUNT)++;
			__atomic_fetch_add(&shared[TURN], 1, __ATOMIC_SEQ_CST);
			tiny_call(EXO_CALL_wake, tiny_word(PEER), 0, 0, 0, 0, 0);
			continue;
		}
		tiny_call(EXO_CALL_sleep, EXO_NEVER, events, 0, 0, 0, 0);
	}
	tiny_exit(0);
}

static void ping_pong(uint64_t rounds)
{
	struct tiny pair[2];
	exo_cap_t frame = take_frames(1);
	bool good = true;

	space_map((exo_vaddr_t)page, RW, frame, 0, 1);
	page[TURN] = 0;
	for (unsigned i = 0; i < 2; i++) {
		tiny_cpu = i;
		good = tiny_make(&pair[i], player, 0) && good;
	}
	tiny_cpu = 0;
	for (unsigned i = 0; i < 2 && good; i++) {
		write_one(pair[i].space, TINY_X | RW, frame, 0, 1);
		pair[i].word[ME] = i;
		pair[i].word[LIMIT] = rounds;
		pair[i].word[PEER] = (uint64_t)tiny_grant(&pair[i], pair[1 - i].env, 5, EXO_RIGHT_WAKE);
		good = (int64_t)pair[i].word[PEER] > 0;
	}
	ok(good, "two on two CPUs that wake each other");
	for (unsigned i = 0; i < 2 && good; i++)
		tiny_start(&pair[i]);
	uint64_t seen = 0;
	exo_time_t since = core_now();
	while (good && page[TURN] < 2 * rounds && core_now() < since + 3000 * MS) {
		thread_sleep(core_now() + 5 * MS);
		if (page[TURN] != seen)
			seen = page[TURN], since = core_now();
	}
	is((int64_t)page[TURN], (int64_t)(2 * rounds), "no wakeup is lost");
	for (unsigned i = 0; i < 2; i++)
		tiny_drop(&pair[i]);
	space_map((exo_vaddr_t)page, 0, 0, 0, 1);
	caps_delete(frame);
}

/* --- names of who is destroyed -------------------------------------------------------------------------- */

/* It wakes, and sends to, whom it is told to, for ever. */
TINY static void pesterer(uint64_t reasons)
{
	(void)reasons;
	for (;;) {
		tiny_word(COUNT)++;
		if (tiny_word(ME))
			tiny_call(EXO_CALL_send, tiny_word(PEER), 1, 2, 3, 4, 0);
		else
			tiny_call(EXO_CALL_wake, tiny_word(PEER), 0, 0, 0, 0, 0);
	}
}

/*
 * Who has found an environment just before it is destroyed by another CPU neither wakes nor enters it: one on this CPU
 * that the other one wakes, and one on the other CPU that is sent to there.
 */
static void pestered(unsigned rounds, bool sends)
{
	struct tiny one, other;
	unsigned made_count = 0;

	tiny_cpu = 1;
	bool good = tiny_make(&one, pesterer, 0);
	if (good)
		one.word[ME] = sends;
	if (!ok(good && tiny_start(&one), "one there %s those who are destroyed", sends ? "sends to" : "wakes"))
		return;
	for (unsigned i = 0; i < rounds; i++) {
		tiny_cpu = sends;
		if (!tiny_make(&other, writer, 0))
			break;
		other.disp->call_entry = (uint64_t)mover_called;
		uint32_t slot = sends ? caps_slot() : 0;
		exo_cap_t named = sends ? made(slot, exo_entry_make(slot, other.env, 1)) : other.env;
		one.word[PEER] = (uint64_t)tiny_grant(&one, named, 5, sends ? EXO_RIGHT_EXEC : EXO_RIGHT_WAKE);
		made_count += (int64_t)one.word[PEER] > 0;
		pause_for(next() % 300);
		while (exo_env_destroy(other.env) == -EXO_EAGAIN)
			;
		while (exo_cap_revoke(named) == -EXO_EAGAIN)
			;
		if (sends)
			caps_delete(named);
		tiny_drop(&other);
	}
	tiny_cpu = 0;
	ok(made_count == rounds, "%u of them", made_count);
	ok(tiny_state(&one) != EXO_ENV_ENDED, "and goes on");
	tiny_drop(&one);
}

/* --- those who move ------------------------------------------------------------------------------------- */

TINY static void mover(uint64_t reasons)
{
	(void)reasons;
	for (;;) {
		tiny_word(STATE) ^= 1;
		tiny_word(COUNT)++;
		int64_t result = tiny_call(EXO_CALL_env_move, 0, tiny_word(STATE) & 1, 0, 0, 0, 0);
		if (result < 0)
			tiny_word(ERRORS_SEEN)++;
		if (tiny_word(COUNT) % 8 == 0)
			tiny_sleep(EXO_NEVER);
	}
}

__attribute__((section("tiny"), naked, used)) static void mover_called(void)
{
	__asm__("and $-16, %rsp\n\tcall mover_serve\n\tud2");
}

TINY static void mover_serve(void)
{
	tiny_call(EXO_CALL_reply, 0, 0, 0, 0, 0, 0);
	mover(0);
}

/* It moves itself, the other is moved; meanwhile the test calls, wakes, yields to them. */
static void storm(unsigned rounds)
{
	struct tiny one, other;
	uint32_t slot = caps_slot();
	unsigned replies = 0, moved = 0, strange = 0;

	if (!ok(tiny_make(&one, mover, 0) && tiny_make(&other, writer, 0), "one that moves, and one that is moved"))
		return;
	exo_cap_t entry = made(slot, exo_entry_make(slot, one.env, 1));
	exo_cap_t frame = take_frames(1);
	one.disp->call_entry = (uint64_t)mover_called;
	write_one(other.space, TINY_X | RW, frame, 0, 1);
	tiny_start(&one);
	tiny_start(&other);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t word[4] = { i, 1, 2, 3 };
		int64_t result = exo_call(entry, core_now() + MS, word);
		replies += result == 0;
		strange += result != 0 && result != -EXO_ECPU && result != -EXO_EBUSY && result != -EXO_ETIME;
		exo_wake(one.env);
		result = exo_env_move(other.env, next() & 1);
		moved += result == 0;
		strange += result != 0 && result != -EXO_EAGAIN && result != -EXO_EBUSY;
		core_yield(next() & 1 ? one.env : EXO_CAP_NONE);
		pause_for(next() % 100);
	}
	ok(!strange, "nothing but replies, CPU, BUSY, TIME, AGAIN");
	ok(one.word[COUNT] > rounds / 8, "it moved itself %lu times, was called %u times", (long)one.word[COUNT], replies);
	ok(moved > rounds / 4, "the other was moved %u times", moved);
	ok(tiny_state(&one) != EXO_ENV_ENDED && tiny_state(&other) != EXO_ENV_ENDED, "both live");
	caps_delete(entry);
	tiny_drop(&one);
	tiny_drop(&other);
	caps_delete(frame);
}

/* --- calls whose arguments change, of one who ends ------------------------------------------------------ */

/* While it makes so many rounds, or ends: that may come of its own calls, its pages being among what it unmaps. */
static uint64_t flip(const struct tiny *one, uint64_t rounds)
{
	static const uint64_t words[] = { 0, 1, RW, TINY_X, TINY_X | RW, TINY_ARG, ~0ULL, 1ULL << 32, 1ULL << 63, 0x1000,
		2ULL << 32, 1ULL << 31 };
	volatile uint64_t *word = (volatile uint64_t *)one->arg;
	exo_time_t end = core_now() + 5000 * MS;
	uint64_t handle = one->word[FRAMES], last;

	one->word[LIMIT] = 1;
	while (one->word[COUNT] < rounds && core_now() < end && tiny_state(one) != EXO_ENV_ENDED)
		for (unsigned turns = 0; turns < 200; turns++) {
			uint64_t value = next();
			word[value % 36] = value >> 8 & 3 ? words[(value >> 12) % 12] : value >> 8 & 4 ? handle : value;
		}
	/* What it has made, it destroys itself. */
	one->word[LIMIT] = 0;
	last = one->word[COUNT];
	while (one->word[COUNT] < last + 2 && core_now() < end && tiny_state(one) != EXO_ENV_ENDED)
		core_yield(EXO_CAP_NONE);
	return last;
}

static void double_fetch(uint64_t rounds)
{
	struct tiny one;
	uint64_t done = 0;
	unsigned lives = 0;

	for (; done < rounds && lives < 200; lives++) {
		if (!start_caller(&one, 1))
			break;
		done += flip(&one, rounds - done);
		tiny_drop(&one);
	}
	ok(done >= rounds, "one makes calls whose arguments change while they are read: %lu rounds, %u lives", (long)done,
	    lives);
}

/* Ended in the middle of anything, on this CPU and on the other. */
static void killed(unsigned rounds)
{
	struct books before = books_now(), after;
	struct tiny one;
	unsigned bad = 0, made_count = 0;
	uint64_t done = 0;

	for (unsigned i = 0; i < rounds && !bad; i++) {
		if (!start_caller(&one, i & 1))
			break;
		made_count++;
		exo_time_t end = core_now() + next() % (400000 * slow);
		while (core_now() < end)
			if (!(i & 1))
				core_yield(one.env);
		done += one.word[COUNT];
		tiny_drop(&one);
		after = books_now();
		bad += after.free != before.free || after.own != before.own;
		if (bad)
			printf("# round %u: %u free, %u before\n", i, after.free, before.free);
	}
	ok(made_count == rounds && !bad, "%u killed at any moment on two CPUs: nothing of them is left", made_count);
	ok(done > (slow > 1 ? 0 : rounds / 2), "they had done some work: %lu rounds", (long)done);
}

/* What is derived for it is revoked while it uses it. */
static void revoke_against_use(unsigned rounds)
{
	struct tiny one;
	exo_cap_t frames = take_frames(4);
	unsigned bad = 0;

	if (!ok(start_caller(&one, 1), "one that uses what it was given"))
		return;
	for (unsigned i = 0; i < rounds; i++) {
		for (uint32_t slot = 10; slot < 14; slot++)
			exo_cap_derive(frames, one.env, slot, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 1 + slot % 3);
		descriptor(0, 0, 0, 0, 0);
		volatile struct exo_map *map = (volatile struct exo_map *)one.arg;
		map->va = TINY_X | RW;
		map->cap = exo_cap_make(10 + i % 4, 1 + i);
		map->first = 0;
		map->count = 1;
		pause_for(next() % 300);
		while (exo_cap_revoke(frames) == -EXO_EAGAIN)
			;
		bad += info_frame(pfn_of(frames))->holds != 1;
	}
	ok(!bad, "after each of %u revocations nothing derived is left", rounds);
	tiny_drop(&one);
	is(caps_delete(frames), 0, "the frames go");
}

int main(void)
{
	uint64_t seed = call_option("seed", 1), rounds = call_option("rounds", call_option("long", 0) ? 10000 : 1000);
	struct books before;
	exo_cap_t kept;

	slow = call_option("slow", 1);

	cpus_await();
	printf("# seed %lu, %u CPUs\n", (long)seed, core_info->cpus);
	if (!ok(core_info->cpus > 1, "there are two CPUs"))
		return tap_done();
	state = seed * 0x9e3779b97f4a7c15 | 1;
	tiny_prepare();
	canary = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	kept = take_frames(1);
	space_map((exo_vaddr_t)canary, RW, kept, 0, 1);
	canary[0] = canary[511] = CANARY;
	before = books_now();
	shootdown((unsigned)rounds);
	use_against_free((unsigned)rounds);
	ping_pong(10 * rounds);
	pestered((unsigned)rounds / 5, false);
	pestered((unsigned)rounds / 5, true);
	storm((unsigned)rounds);
	double_fetch(rounds);
	revoke_against_use((unsigned)rounds / 2);
	killed((unsigned)rounds);
	ok(books_same(before), "the books are even");
	ok(canary[0] == CANARY && canary[511] == CANARY, "a page of the test's is as it was");
	space_map((exo_vaddr_t)canary, 0, 0, 0, 1);
	caps_delete(kept);
	return tap_done();
}
