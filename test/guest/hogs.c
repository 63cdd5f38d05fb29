/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One hostile hog for each resource, and a victim beside it that keeps what it was guaranteed: at least nine tenths of
 * it, in work done (a counter), not in what the kernel says of itself.
 *
 * CPU time: half of the slices are the victim's. Three hogs at a time loop, yield, make the longest calls under the
 * kernel's lock, fault, wake the victim, call it, make and unmake kernel objects of each kind. Then what can be counted:
 * frames, slices, capability slots, of which a hog takes all it gets, below an account of its own; all memory made into
 * environments, flows, rings or programs, of which the victim's due has to come back; and a server that never answers.
 * Everything is measured in guest time with --icount, so it is the same in each run.
 * Runs first: yes
 * Run with: --icount -m 64M --net user
 * Time limit: 240 s
 */
#include "test/guest/agent.h"
#include "exo/account.h"
#include "exo/code.h"
#include "exo/flow.h"

#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define NET_RIGHTS	(EXO_RIGHT_READ | EXO_RIGHT_CLAIM | EXO_RIGHT_BIND)
#define HOGS	3
#define FLOOR	90		/* percent */

enum { KIND, COUNT, TARGET, SPACE, FRAMES, OWN, NET, STOP };
enum { LOOPS, YIELDS, WRITES, TAKES, REVOKES, FAULTS, WAKES, CALLS, READS, SLEEPS, ENVS, FLOWS, RINGS, PROGRAMS, KINDS };
static const char *const kinds[KINDS] = { "loop", "yield to themselves", "write 128 entries a call",
	"take and give 24 frames a call", "derive and revoke", "fault", "wake the victim", "call the victim",
	"look at the victim's memory", "sleep for no time", "make and end environments", "make and drop flows",
	"bind and unbind rings", "load, check and drop programs" };

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

#define HOG_WINDOW	0x5f6000ULL	/* where it maps a frame to fill it */
#define HOG_FRAMES	EXO_TAKE_MAX

/* Write the first words of a frame: pairs of an offset and a value. */
TINY_INLINE void hog_fill(uint64_t frames, uint64_t first, const volatile uint32_t *words, unsigned pairs)
{
	volatile struct exo_map *map = (volatile struct exo_map *)TINY_ARG;
	volatile uint32_t *page = (volatile uint32_t *)HOG_WINDOW;

	map->va = HOG_WINDOW | RW;
	map->cap = frames;
	map->first = (uint32_t)first;
	map->count = 1;
	tiny_call(EXO_CALL_space_write, tiny_word(SPACE), 0, 1, 0, 0, 0);
	for (unsigned i = 0; i < pairs; i++)
		page[words[2 * i] / 4] = words[2 * i + 1];
	map->va = HOG_WINDOW;
	map->cap = 0;
	tiny_call(EXO_CALL_space_write, tiny_word(SPACE), 0, 1, 0, 0, 0);
}

/* A claim on one Ethernet type, in its argument frame. */
TINY_INLINE int64_t hog_flow(uint64_t slot, uint64_t frames, uint64_t first, uint32_t type)
{
	volatile struct exo_claim *claim = (volatile struct exo_claim *)TINY_ARG;
	int64_t result;

	claim->flags = claim->steer = 0;
	claim->terms = claim->guards = claim->guard_terms[0] = 1;
	claim->term[0].offset = claim->guard[0][0].offset = 12;
	claim->term[0].width = claim->guard[0][0].width = 2;
	claim->term[0].mask = claim->guard[0][0].mask = 0xffff;
	claim->term[0].value = claim->guard[0][0].value = type;
	do
		result = tiny_call(EXO_CALL_flow_make, slot, tiny_word(NET), frames, first, 0, 0);
	while (result == -EXO_EAGAIN);
	return result;
}

TINY_INLINE int64_t hog_bind(uint64_t flow, uint64_t frames, uint64_t first)
{
	volatile uint32_t words[2];

	words[0] = offsetof(struct exo_ring, rx_frames);
	words[1] = 1;
	hog_fill(frames, first, words, 1);
	return tiny_call(EXO_CALL_flow_bind, flow, frames, first, frames, first + 2, HOG_FRAMES - first - 2);
}

/* "return 0" in all these frames. */
TINY_INLINE int64_t hog_load(uint64_t slot, uint64_t frames)
{
	volatile uint32_t words[14]; /* no constants from elsewhere */

	words[0] = offsetof(struct exo_code, version), words[1] = EXO_CODE_VERSION;
	words[2] = offsetof(struct exo_code, size), words[3] = sizeof(struct exo_code);
	words[4] = offsetof(struct exo_code, use), words[5] = EXO_USE_PACKET;
	words[6] = offsetof(struct exo_code, insns), words[7] = 2;
	words[8] = offsetof(struct exo_code, fuel), words[9] = 16;
	words[10] = EXO_CODE_INSNS, words[11] = 0xb7;
	words[12] = EXO_CODE_INSNS + 8, words[13] = 0x95;
	hog_fill(frames, 0, words, 7);
	return tiny_call(EXO_CALL_code_load, slot, frames, 0, HOG_FRAMES, 0, 0);
}

TINY_INLINE void hog_drop(int64_t cap)
{
	while (tiny_call(EXO_CALL_cap_delete, (uint64_t)cap, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
		;
}

/* Kernel objects, made and unmade for ever. */
TINY static void hog_objects(uint64_t kind)
{
	uint64_t frames = (uint64_t)tiny_call(EXO_CALL_frame_take, 40, EXO_PFN_ANY, HOG_FRAMES, 0, 0, 0);
	uint32_t type = 0x1000 + (uint32_t)tiny_disp->self % 256;
	int64_t cap, flow = kind == RINGS ? hog_flow(41, frames, 0, type) : 0;

	while (!tiny_word(STOP)) {
		if (kind == ENVS) {
			cap = tiny_call(EXO_CALL_env_create, 42, tiny_word(SPACE), 0, frames, 0, 0);
			while (tiny_call(EXO_CALL_env_destroy, (uint64_t)cap, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
				;
		} else if (kind == FLOWS) {
			cap = hog_flow(42, frames, 0, type);
		} else if (kind == RINGS) {
			cap = flow;
			if (hog_bind((uint64_t)flow, frames, 1) < 0)
				tiny_exit(1);
			hog_drop(flow);
			flow = hog_flow(41, frames, 0, type);
			tiny_word(COUNT) += flow > 0;
			continue;
		} else {
			cap = hog_load(42, frames);
			while (tiny_call(EXO_CALL_code_step, (uint64_t)cap, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
				;
		}
		if (cap < 0)
			tiny_exit((uint64_t)-cap);
		hog_drop(cap);
		tiny_word(COUNT)++;
	}
	for (;;)
		tiny_sleep(EXO_NEVER);
}

TINY static void hog(uint64_t reasons)
{
	volatile struct exo_map *map = (volatile struct exo_map *)TINY_ARG;
	volatile struct exo_cap *caps = (volatile struct exo_cap *)TINY_CAPS;
	uint64_t kind = tiny_word(KIND), i;

	(void)reasons;
	if (kind >= ENVS)
		hog_objects(kind);
	tiny_disp->off = EXO_OFF_NO;	/* begins again after each interruption */
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
	one->word[NET] = (uint64_t)tiny_grant(one, core_named(EXO_NAME_NET), 5, NET_RIGHTS);
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
			if (tiny_state(&hogs[i]) == EXO_ENV_ENDED)
				printf("# it has ended: %lx\n", (long)tiny_info(&hogs[i])->status);
			hogs[i].word[STOP] = 1;		/* what it has made must not outlive it */
			if (kind >= ENVS)
				tiny_await(&hogs[i], EXO_ENV_ASLEEP, 5000);
			good = good && tiny_state(&hogs[i]) != EXO_ENV_ENDED && hogs[i].word[COUNT] > (kind >= ENVS);
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

enum { TAKEN, WHAT, ROUNDS, OBJECTS = STOP + 1, MADE, CLEAN, LAST };	/* and SPACE, FRAMES, NET */

/* Take all memory, and make it all into kernel objects of one kind, as far as these go. */
TINY static void take_objects(uint64_t kind)
{
	uint64_t slot = 12, room = 64, tables = 0, left = 0;
	int64_t frames, cap = 1;

	for (;;) {
		if (slot + HOG_FRAMES + 4 > room) {
			if (!left--) {
				tables = (uint64_t)tiny_call(EXO_CALL_frame_take, slot++, EXO_PFN_ANY, HOG_FRAMES, 0, 0, 0);
				left = HOG_FRAMES - 1;
			}
			if (tiny_call(EXO_CALL_cap_table, tables, left, 0, 0, 0, 0) < 0)
				return;
			room += 64;
		}
		frames = tiny_call(EXO_CALL_frame_take, slot++, EXO_PFN_ANY, HOG_FRAMES, 0, 0, 0);
		if (frames <= 0)
			return;
		if (kind == ENVS)
			for (uint64_t i = 0; i < HOG_FRAMES && cap > 0; i += 4)
				cap = tiny_call(EXO_CALL_env_create, slot++, tiny_word(SPACE), 0, (uint64_t)frames, i, 0);
		if (kind == FLOWS)
			for (uint64_t i = 0; i < HOG_FRAMES && cap > 0; i++)
				cap = hog_flow(slot, (uint64_t)frames, i, 0x1000 + (uint32_t)slot), slot++;
		if (kind == RINGS) {
			cap = hog_flow(slot, (uint64_t)frames, 0, 0x1000 + (uint32_t)slot), slot++;
			if (cap > 0)
				hog_bind((uint64_t)cap, (uint64_t)frames, 1);
		}
		if (kind == PROGRAMS)
			cap = hog_load(slot++, (uint64_t)frames);
		tiny_word(MADE) += cap > 0;
		tiny_word(LAST) = (uint64_t)cap;
	}
}

/* Take all there is of one thing, by turns of 24 frames, of slices, of environments, of slots. */
TINY static void taker(uint64_t reasons)
{
	volatile struct exo_cap *caps = (volatile struct exo_cap *)TINY_CAPS;
	uint64_t slot, frames = tiny_word(FRAMES);
	int64_t result = 0;

	(void)reasons;
	for (slot = 12; tiny_word(CLEAN) && slot < 2000; slot++)
		while (tiny_call(EXO_CALL_env_destroy, 1ULL << 32 | slot, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
			;
	if (tiny_word(OBJECTS) && !tiny_word(CLEAN))
		take_objects(tiny_word(OBJECTS));
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

/*
 * While a hog holds all that it could get, as memory or as kernel objects of a kind, the victim gets its guaranteed
 * frames, by demand and force if need be.
 */
static void memory(uint64_t kind, const char *name)
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
	one.word[WHAT] = kind ? EXO_TYPE_NONE : EXO_TYPE_FRAME;
	one.word[OBJECTS] = kind;
	one.word[SPACE] = (uint64_t)tiny_grant(&one, one.space, 1, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	one.word[NET] = (uint64_t)tiny_grant(&one, core_named(EXO_NAME_NET), 5, NET_RIGHTS);
	uint64_t victims = (uint64_t)tiny_grant(&worker, hogs_account, 5, EXO_RIGHT_READ);
	tiny_start(&one);
	while (!one.word[ROUNDS] && tiny_state(&one) != EXO_ENV_ENDED && core_now() < end)
		core_yield(EXO_CAP_NONE);
	is(tiny_state(&one), EXO_ENV_ASLEEP, "the hog is full");
	printf("# the hog has %u frames and %lu runs of %s (%s); %u are free\n", tiny_info(&one)->frames,
	    (long)one.word[MADE], name, (int64_t)one.word[LAST] < 0 ? exo_error_name((int64_t)one.word[LAST]) : "all", core_info->frames_free);
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
	ok(got >= GUARANTEED * FLOOR / 100, "it gets %u of them, whatever is all %s", got, name);
	uint64_t rounds = one.word[ROUNDS];
	one.word[CLEAN] = 1;	/* environments outlive who made them */
	exo_wake(one.env);
	for (end = core_now() + 5000 * MS; one.word[ROUNDS] == rounds && core_now() < end;)
		core_yield(EXO_CAP_NONE);
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
	memory(0, "memory");
	memory(ENVS, "environments");
	memory(FLOWS, "flows");
	memory(RINGS, "rings");
	memory(PROGRAMS, "programs");
	counted(EXO_TYPE_SLICE, "slices");
	counted(EXO_TYPE_NONE, "slots of its table");
	ok(books_same(before), "the books are even");
	return call_done();
}
