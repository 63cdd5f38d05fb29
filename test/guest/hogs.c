/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One hostile hog for each resource, and a victim beside it that keeps what it was guaranteed: at least nine tenths of
 * it, in work done (a counter), not in what the kernel says of itself.
 *
 * CPU time: half of the slices are the victim's. Three hogs at a time loop, yield, make the longest calls under the
 * kernel's lock, fault, wake the victim, call it. Then what can be counted: frames, slices, environments, capability
 * slots, of which a hog takes all it gets, below an account of its own; and a server that never answers. Everything is
 * measured in guest time with --icount, so it is the same in each run.
 * Runs first: yes
 * Run with: --icount -m 64M
 * Time limit: 240 s
 */
#include "test/guest/agent.h"
#include "exo/account.h"

#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define HOGS	3
#define FLOOR	90		/* percent */

enum { KIND, COUNT, TARGET, SPACE, FRAMES, OWN };
enum { LOOPS, YIELDS, WRITES, TAKES, REVOKES, FAULTS, WAKES, CALLS, READS, SLEEPS, KINDS };
static const char *const kinds[KINDS] = { "loop", "yield to themselves", "write 128 entries a call",
	"take and give 24 frames a call", "derive and revoke", "fault", "wake the victim", "call the victim",
	"look at the victim's memory", "sleep for no time" };

/* --- what they run -------------------------------------------------------------------------------------- */

TINY static void victim(uint64_t reasons)
{
	(void)reasons;
	for (;;) {
		for (uint64_t i = 0; i < 200; i++)
			__asm__ volatile("");
		tiny_word(COUNT)++;
	}
}

TINY static void hog(uint64_t reasons)
{
	volatile struct exo_map *map = (volatile struct exo_map *)TINY_ARG;
	volatile struct exo_cap *caps = (volatile struct exo_cap *)TINY_CAPS;
	uint64_t kind = tiny_word(KIND), i;

	(void)reasons;
	tiny_disp->off = EXO_OFF_NO;
	tiny_word(COUNT)++;
	while (kind == LOOPS)
		__asm__ volatile("pause");
	while (kind == YIELDS)
		tiny_call(EXO_CALL_yield, tiny_word(OWN), 0, 0, 0, 0, 0);
	if (kind == WRITES)
		for (i = 0; i < 40; i++) {
			map[i].va = 0x600000 + i * 0x3000;
			map[i].cap = 0;
			map[i].count = 3;
		}
	while (kind == WRITES)
		tiny_call(EXO_CALL_space_write, tiny_word(SPACE), 0, 40, 0, 0, 0);
	while (kind == TAKES) {
		tiny_call(EXO_CALL_frame_take, 40, EXO_PFN_ANY, EXO_TAKE_MAX, 0, 0, 0);
		tiny_call(EXO_CALL_cap_delete, (uint64_t)caps[40].generation << 32 | 40, 0, 0, 0, 0, 0);
	}
	while (kind == REVOKES) {
		for (i = 41; i < 64; i++)
			tiny_call(EXO_CALL_cap_derive, tiny_word(FRAMES), 0, i, EXO_RIGHT_READ, 0, 8);
		tiny_call(EXO_CALL_cap_revoke, tiny_word(FRAMES), 0, 0, 0, 0, 0);
	}
	if (kind == FAULTS)
		__asm__ volatile("ud2");
	while (kind == WAKES)
		tiny_call(EXO_CALL_wake, tiny_word(TARGET), 0, 0, 0, 0, 0);
	while (kind == CALLS)
		tiny_call(EXO_CALL_call, tiny_word(TARGET), EXO_NEVER, 0, 0, 0, 0);
	while (kind == READS)
		tiny_call(EXO_CALL_env_read, tiny_word(TARGET), TINY_DATA, 0, 4096, 0, 0);
	for (;;)
		tiny_call(EXO_CALL_sleep, 0, 0, 0, 0, 0, 0);
}

/* --- CPU time ------------------------------------------------------------------------------------------- */

static struct tiny worker, hogs[HOGS];
static double alone; /* work in a nanosecond, with the whole CPU */
static exo_cap_t entry;

static bool start_hog(struct tiny *one, uint64_t kind)
{
	if (!tiny_make(one, hog, 8))
		return false;
	one->word[KIND] = kind;
	one->word[SPACE] = (uint64_t)tiny_grant(one, one->space, 1, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	one->word[FRAMES] = (uint64_t)exo_cap_derive(one->frames, one->env, 2, RWX, one->spare, 8);
	one->word[OWN] = (uint64_t)tiny_grant(one, one->env, 3, EXO_RIGHT_WAKE);
	one->word[TARGET] = kind == CALLS ? (uint64_t)tiny_grant(one, entry, 4, EXO_RIGHT_EXEC) :
	    (uint64_t)tiny_grant(one, worker.env, 4, EXO_RIGHT_READ | EXO_RIGHT_WAKE);
	return tiny_start(one);
}

/* A whole round of the vector. */
static double work(void)
{
	exo_time_t start = core_now(), round = core_info->slice_ns * EXO_SLICES;
	uint64_t before = worker.word[COUNT];

	thread_sleep(start + round);
	return (double)(worker.word[COUNT] - before) / (double)(core_now() - start);
}

static void processor(void)
{
	uint32_t slot = caps_slot();
	exo_cap_t slices = made(slot, exo_slice_take(slot, 0, 0, EXO_SLICES / 2));

	if (!ok(tiny_make(&worker, victim, 0), "a victim"))
		return;
	worker.disp->call_entry = (uint64_t)victim;
	slot = caps_slot();
	entry = made(slot, exo_entry_make(slot, worker.env, 1));
	tiny_start(&worker);
	alone = work();
	is(exo_slice_bind(slices, worker.env), EXO_SLICES / 2, "half of the slices are its own");
	for (uint64_t kind = 0; kind < KINDS; kind++) {
		bool good = true;
		for (unsigned i = 0; i < HOGS; i++)
			good = start_hog(&hogs[i], kind) && good;
		double got = 200.0 * work() / alone;
		uint64_t hogged = 0;
		for (unsigned i = 0; i < HOGS; i++) {
			hogged += tiny_info(&hogs[i])->ns;
			tiny_drop(&hogs[i]);
		}
		ok(good && got >= FLOOR, "three that %s: it keeps %u %% of its half (they had %lu us)", kinds[kind],
		    (unsigned)got, (long)(hogged / 1000));
	}
	caps_delete(entry);
	caps_delete(slices);
	tiny_drop(&worker);
}

/* --- a server that keeps its callers -------------------------------------------------------------------- */

static void transfer(void)
{
	uint32_t slot = caps_slot();
	struct tiny server;
	uint64_t word[4] = { 0 };

	if (!ok(agent_begin(&server, 0), "a server that never answers"))
		return;
	exo_cap_t to = made(slot, exo_entry_make(slot, server.env, 1));
	server.word[SERVE] = SERVE_SPIN;
	exo_time_t start = core_now();
	is(exo_call(to, start + 10 * MS, word), -EXO_ETIME, "its caller comes back at its deadline");
	ok(core_now() < start + 10 * MS + core_info->slice_ns, "no later than a slice after it (%lu us)",
	    (long)((core_now() - start) / 1000));
	caps_delete(to);
	tiny_drop(&server);
}

/* --- what is counted ------------------------------------------------------------------------------------ */

enum { TAKEN, WHAT, ROUNDS, ACCOUNT_AT };

/* Take all there is of one thing, by turns of 24 frames, of slices, of environments, of slots. */
TINY static void taker(uint64_t reasons)
{
	volatile struct exo_cap *caps = (volatile struct exo_cap *)TINY_CAPS;
	uint64_t slot, frames = tiny_word(FRAMES);
	int64_t result = 0;

	(void)reasons;
	if (tiny_word(WHAT) == EXO_TYPE_FRAME) {
		for (slot = 10; slot < 60; slot++) {
			result = tiny_call(EXO_CALL_frame_take, slot, EXO_PFN_ANY, EXO_TAKE_MAX, 0, 0, 0);
			while (result > 0) {
				uint64_t handle = (uint64_t)caps[slot].generation << 32 | slot;
				result = tiny_call(EXO_CALL_frame_take, handle, EXO_PFN_ANY, EXO_TAKE_MAX, 0, 0, 0);
			}
		}
	} else if (tiny_word(WHAT) == EXO_TYPE_SLICE) {
		for (slot = 0; slot < EXO_SLICES; slot++)
			tiny_call(EXO_CALL_slice_take, 10 + slot % 54, 0, slot, 1, 0, 0);
	} else {
		for (slot = 10; slot < 64; slot++)
			tiny_call(EXO_CALL_cap_derive, frames, 0, slot, EXO_RIGHT_READ, 0, 1);
	}
	tiny_word(TAKEN) = 0;
	for (slot = 10; slot < 64; slot++)
		tiny_word(TAKEN) += caps[slot].count;
	tiny_word(ROUNDS)++;
	for (;;)
		tiny_sleep(EXO_NEVER);
}

static exo_cap_t account_below(uint32_t guaranteed, exo_cap_t *frame)
{
	struct exo_shares *shares = core_arg(0);
	uint32_t slot = caps_slot();

	*frame = take_frames(1);
	exo_cap_t account =
	    made(slot, exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), *frame, 0, EXO_UNLIMITED));
	memset(shares, 0, sizeof(*shares));
	for (unsigned i = 0; i < EXO_SHARES; i++)
		shares->share[i].limit = EXO_UNLIMITED;
	shares->share[EXO_SHARE_FRAMES].guaranteed = guaranteed;
	shares->answer_ns = core_info->slice_ns;
	int64_t error = exo_account_share(core_named(EXO_NAME_ACCOUNT), account, 0);
	if (error)
		printf("# account_share: %s\n", exo_error_name(error));
	return error ? 0 : account;
}

static void counted(uint64_t what, const char *name)
{
	struct tiny one;
	exo_cap_t frame, account = account_below(0, &frame);

	tiny_account = account;
	bool good = account && tiny_make(&one, taker, 8);
	tiny_account = 0;
	if (!ok(good, "one that takes all %s", name))
		return;
	one.word[WHAT] = what;
	one.word[FRAMES] = (uint64_t)exo_cap_derive(one.frames, one.env, 2, RWX, one.spare, 8);
	tiny_start(&one);
	exo_time_t end = core_now() + 5000 * MS;
	while (!one.word[ROUNDS] && tiny_state(&one) != EXO_ENV_ENDED && core_now() < end)
		core_yield(EXO_CAP_NONE);
	ok(one.word[ROUNDS] && one.word[TAKEN] > 0, "it has %lu of them, %u frames are free", (long)one.word[TAKEN],
	    core_info->frames_free);
	tiny_drop(&one);
	caps_delete(account);
	caps_delete(frame);
}

#define GUARANTEED 200

/* While a hog holds all that it could get, the victim gets its guaranteed frames, by demand and force if need be. */
static void memory(void)
{
	struct tiny one;
	exo_cap_t frame, frame_v, hogs_account = account_below(0, &frame), account = account_below(GUARANTEED, &frame_v);
	exo_time_t end = core_now() + 5000 * MS;
	int64_t result = 0;
	uint32_t got = 0;

	tiny_account = hogs_account;
	bool good = hogs_account && account && tiny_make(&one, taker, 8);
	tiny_account = account;
	good = good && agent_begin(&worker, 0);
	tiny_account = 0;
	if (!ok(good, "a hog, and one with %u frames guaranteed", GUARANTEED))
		return;
	one.word[WHAT] = EXO_TYPE_FRAME;
	uint64_t victims = (uint64_t)tiny_grant(&worker, hogs_account, 5, EXO_RIGHT_READ);
	tiny_start(&one);
	while (!one.word[ROUNDS] && core_now() < end)
		core_yield(EXO_CAP_NONE);
	printf("# the hog has %lu frames, %u are free\n", (long)one.word[TAKEN], core_info->frames_free);
	uint32_t held = tiny_info(&worker)->frames;
	for (uint32_t slot = 10; got < GUARANTEED && slot < 60 && core_now() < end; slot++) {
		result = agent_do(&worker, EXO_CALL_frame_take, slot, EXO_PFN_ANY, EXO_TAKE_MAX, 0, 0, 0);
		if (result < 0) {
			agent_do(&worker, EXO_CALL_demand, victims, EXO_TYPE_FRAME, GUARANTEED - got, 0, 0, 0);
			thread_sleep(core_now() + 20 * core_info->slice_ns);
			while (agent_do(&worker, EXO_CALL_repossess, victims, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
				;
			slot--;
		}
		got = tiny_info(&worker)->frames - held;
	}
	ok(got >= GUARANTEED * FLOOR / 100, "it gets %u of them", got);
	for (struct tiny *each = &one; each; each = each == &one ? &worker : NULL)
		tiny_drop(each);
	caps_delete(hogs_account);
	caps_delete(account);
	caps_delete(frame);
	caps_delete(frame_v);
}

int main(void)
{
	struct books before;

	tiny_prepare();
	before = books_now();
	processor();
	transfer();
	memory();
	counted(EXO_TYPE_SLICE, "slices");
	counted(EXO_TYPE_NONE, "slots of its table");
	ok(books_same(before), "the books are even");
	return call_done();
}
