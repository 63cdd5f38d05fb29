/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The small machine of the unit tests. The checker recomputes from scratch what the kernel keeps by and by:
 * free map, holds, maps, rings, tree of derivation, accounts, counts; it shares no code with the kernel but
 * the layouts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test/unit/world.h"

struct world world;
static uint64_t seed = 0x9e3779b97f4a7c15;

/* --- making it ------------------------------------------------------------------------------------------ */

static int64_t frame_init_call(void *arg)
{
	(void)arg;
	frame_init();
	env_init();
	cpu_init();
	return 0;
}

static void fill_slot(unsigned who, uint32_t slot, unsigned type, unsigned rights, uint64_t first,
    uint32_t count,
    exo_pfn_t object)
{
	cap_fill(cap_free_slot(world.env[who], slot), type, rights, first, count, object, NULL, slot);
}

/* As the kernel makes the first environment, but for its program. */
static void make_env(unsigned who)
{
	struct exo_env_params params = { .label = "test" };
	exo_pfn_t run = frame_boot_take(WORLD_RUN, EXO_FRAME_OWNED), frames[4], i;
	struct env *env;

	for (i = 0; i < 4; i++)
		frames[i] = run + i;
	space_make(run + 4);
	env = env_make(frames, run + 4, world.root_account, &params, 0);
	world.env[who] = env;
	world.run[who] = run;
	for (i = run; i < run + WORLD_RUN; i++) {
		info_frame[i].owner = env->index;
		frame_table[i].account = env->account;
	}
	account_charge(pfn_to_virt(env->account), WORLD_RUN);
	env->info->frames += WORLD_RUN;
	fill_slot(who, SLOT_ENV, EXO_TYPE_ENV, EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL, 0,
	    (uint32_t)(env->id >> 32), env->self);
	fill_slot(who, SLOT_SPACE, EXO_TYPE_SPACE, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0, env->root);
	fill_slot(who, SLOT_ACCOUNT, EXO_TYPE_ACCOUNT, EXO_RIGHT_READ | EXO_RIGHT_CONTROL, 0, 0,
	    env->account);
	fill_slot(who, SLOT_SELF, EXO_TYPE_FRAME, EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC, run,
	    WORLD_RUN,
	    0);
	fill_slot(who, SLOT_CONSOLE, EXO_TYPE_CONSOLE, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0, 0);
	space_link_table(env->root, WORLD_VA, EXO_LEVEL_512G, run + 5);
	space_link_table(env->root, WORLD_VA, EXO_LEVEL_1G, run + 6);
	env_set_state(env, EXO_ENV_READY);
	cpu_link(env);
}

/* Each one can reach the next. */
static void make_peers(void)
{
	struct env *peer;
	unsigned i;

	for (i = 0; i < WORLD_ENVS; i++) {
		peer = world.env[(i + 1) % WORLD_ENVS];
		fill_slot(i, SLOT_PEER, EXO_TYPE_ENV, EXO_RIGHT_READ | EXO_RIGHT_GRANT, 0,
		    (uint32_t)(peer->id >> 32),
		    peer->self);
	}
}

/* Its leaf table, from the frames that are left of its own. */
static void make_leaf(unsigned who)
{
	int64_t error = CALL(who, space_table, world_handle(who, SLOT_SPACE), WORLD_VA, EXO_LEVEL_PAGES,
	    world_handle(who, SLOT_SELF), 7);

	if (error) {
		printf("Bail out! no leaf table: %d\n", (int)error);
		exit(1);
	}
}

void world_boot(uint32_t frames)
{
	static bool seeded;
	unsigned i;

	if (!seeded && getenv("EXO_TEST_SEED"))
		seed ^= strtoull(getenv("EXO_TEST_SEED"), NULL, 0) * 0xd1342543de82ef95;
	seeded = true;
	memset(&world, 0, sizeof(world));
	memset(&cpu, 0, sizeof(cpu));
	null_boot(frames);
	null.quiet = true;
	if (null_enter(frame_init_call, NULL) != NULL_RETURNED) {
		printf("Bail out! the machine does not start: %.200s\n", null.console);
		exit(1);
	}
	world.root_account = account_root();
	for (i = 0; i < WORLD_ENVS; i++)
		make_env(i);
	make_peers();
	for (i = 0; i < WORLD_ENVS; i++)
		make_leaf(i);
}

exo_cap_t world_handle(unsigned who, uint32_t slot)
{
	const struct exo_cap *cap = cap_slot(world.env[who], slot);

	return cap ? exo_cap_make(slot, cap->generation) : 0;
}

int64_t world_call(unsigned who, unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
    uint64_t a5)
{
	const char *broken;

	cpu.current = world.env[who];
	cpu.space = world.env[who]->root;
	world.calls++;
	if (null_call(nr, a0, a1, a2, a3, a4, a5) != NULL_RETURNED) {
		printf("Bail out! call %u left by way %d: %.200s\n", nr, (int)null.left, null.console);
		exit(1);
	}
	broken = world.unchecked ? NULL : world_check();
	if (broken) {
		printf("Bail out! after call %llu: number %u of environment %u, "
		    "(%llx %llx %llx %llx %llx %llx) = %lld: %s\n",
		    (unsigned long long)world.calls, nr, who, (unsigned long long)a0, (unsigned long long)a1,
		    (unsigned long long)a2, (unsigned long long)a3, (unsigned long long)a4,
		    (unsigned long long)a5,
		    (long long)null.result, broken);
		exit(1);
	}
	return null.result;
}

int64_t world_finish(unsigned who, unsigned nr, uint64_t a0, uint64_t a1)
{
	int64_t result;

	do {
		result = world_call(who, nr, a0, a1, 0, 0, 0, 0);
	} while (result == ERR(AGAIN));
	return result;
}

uint64_t world_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d >> 16;
}

unsigned world_steps(unsigned n)
{
	const char *steps = getenv("EXO_TEST_STEPS"), *large = getenv("EXO_TEST_LONG");

	if (steps)
		return (unsigned)strtoul(steps, NULL, 0);
	return large && *large == '1' ? 20 * n : n;
}

/* --- checking it ---------------------------------------------------------------------------------------- */

/* What the kernel should have counted. */
struct counts {
	uint32_t holds, maps, spaces, links, used, users, account_holds, owned;
};
static struct counts *counts;
static uint64_t entries, ringed;

#define CHECK(condition)	do { if (!(condition)) return #condition; } while (0)

static uint32_t state_of(exo_pfn_t pfn)
{
	return info_frame[pfn].state;
}

static bool in_states(exo_pfn_t pfn, uint32_t states)
{
	return states >> state_of(pfn) & 1;
}

static const char *check_ring(const struct exo_cap *cap)
{
	uint64_t before = ((uint64_t)((const char *)cap - arch_phys_base)) | 1ULL << 63, place = cap->bound,
	    *entry;
	uint64_t pfn;

	for (; place; place = entry[512]) {
		entry = (uint64_t *)(arch_phys_base + place);
		CHECK(place % 8 == 0 && place >> 12 < null.frames);
		CHECK(state_of((exo_pfn_t)(place >> 12)) == EXO_FRAME_TABLE &&
		    frame_table[place >> 12].level == 1);
		CHECK(entry[1024] == before);
		CHECK(*entry & EXO_PTE_PRESENT);
		pfn = (*entry & EXO_PTE_FRAME) >> 12;
		CHECK(pfn >= cap->first && pfn < cap->first + cap->count);
		CHECK(cap->rights & EXO_RIGHT_READ);
		CHECK(!(*entry & EXO_PTE_WRITE) || (cap->rights & EXO_RIGHT_WRITE));
		CHECK((*entry & EXO_PTE_NX) || (cap->rights & EXO_RIGHT_EXEC));
		CHECK(++ringed <= entries);
		before = place;
	}
	return NULL;
}

static const char *check_tree(const struct exo_cap *cap)
{
	const struct exo_cap *parent = cap_at(cap->parent), *child = cap_at(cap->child), *at;
	unsigned depth = 1;

	for (at = parent; at; at = cap_at(at->parent))
		CHECK(++depth <= CAP_DEPTH_MAX);
	CHECK(!child || (child->parent == cap_ref(cap) && !child->prev));
	CHECK(!cap->next || cap_at(cap->next)->prev == cap_ref(cap));
	if (!parent) {
		CHECK(!cap->next && !cap->prev);
		return NULL;
	}
	CHECK(cap->prev ? cap_at(cap->prev)->next == cap_ref(cap) : parent->child == cap_ref(cap));
	CHECK(parent->type == cap->type);
	CHECK(!(cap->rights & ~parent->rights));
	if (cap->type == EXO_TYPE_FRAME || cap->type == EXO_TYPE_SLICE)
		CHECK(cap->first >= parent->first &&
		    cap->first + cap->count <= parent->first + parent->count);
	return NULL;
}

static const char *check_cap(const struct exo_cap *cap)
{
	const char *broken;
	uint64_t i;

	CHECK(cap->generation >= 1);
	if (cap->type == EXO_TYPE_NONE) {
		CHECK(!cap->parent && !cap->child && !cap->next && !cap->prev && !cap->bound && !cap->count);
		return NULL;
	}
	CHECK(cap->type < EXO_TYPE_COUNT);
	CHECK(cap->type == EXO_TYPE_FRAME || !cap->bound);
	if (cap->type == EXO_TYPE_FRAME) {
		CHECK(cap->count || (cap->flags & CAP_DYING));
		CHECK(!(cap->rights & ~(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)));
		CHECK(cap->first > 0 && cap->first + cap->count <= info->frames_total);
		for (i = 0; i < cap->count; i++)
			counts[cap->first + i].holds++;
	}
	if (cap->type == EXO_TYPE_SPACE) {
		CHECK(frame_table[cap->object].level == 4);
		counts[cap->object].spaces++;
	}
	if (cap->type == EXO_TYPE_ACCOUNT) {
		CHECK(state_of(cap->object) == EXO_FRAME_ACCOUNT);
		counts[cap->object].account_holds++;
	}
	broken = check_tree(cap);
	return broken ? broken : check_ring(cap);
}

static const char *check_env(exo_pfn_t pfn)
{
	const struct env *env = pfn_to_virt(pfn);
	const char *broken;
	uint32_t i;

	CHECK(env->self == pfn && env->cap_frames <= EXO_CAP_FRAMES_MAX);
	CHECK(state_of(env->disp_pfn) == EXO_FRAME_DISP && state_of(env->arg_pfn) == EXO_FRAME_ARG);
	CHECK(state_of(env->account) == EXO_FRAME_ACCOUNT);
	CHECK(state_of(env->root) == EXO_FRAME_TABLE);
	counts[env->root].spaces++;
	counts[env->account].users++;
	for (i = 0; i < env->cap_frames; i++)
		CHECK(state_of(env->cap_frame[i]) == EXO_FRAME_CAPS &&
		    frame_table[env->cap_frame[i]].object == pfn);
	for (i = 0; i < env->cap_frames * EXO_CAPS_PER_FRAME; i++) {
		broken = check_cap(cap_slot(env, i));
		if (broken)
			return broken;
	}
	return NULL;
}

/* A table below the root; counts what its entries reach. */
static const char *count_table(exo_pfn_t pfn)
{
	const uint64_t *table = pfn_to_virt(pfn);
	unsigned level = frame_table[pfn].level, i;
	exo_pfn_t to;

	CHECK(level >= 1 && level <= 4);
	CHECK(state_of(frame_table[pfn].object) == EXO_FRAME_TABLE &&
	    frame_table[frame_table[pfn].object].level == 4);
	if (level == 1) {
		CHECK(state_of(pfn + 1) == EXO_FRAME_LINKS && frame_table[pfn + 1].object == pfn);
		CHECK(state_of(pfn + 2) == EXO_FRAME_LINKS);
	}
	for (i = 0; i < PT_ENTRIES; i++) {
		if (!table[i])
			continue;
		CHECK(table[i] & EXO_PTE_PRESENT);
		to = (exo_pfn_t)((table[i] & EXO_PTE_FRAME) >> 12);
		CHECK(to > 0 && to < info->frames_total);
		if (level > 1) {
			CHECK(state_of(to) == EXO_FRAME_TABLE && frame_table[to].level == level - 1);
			CHECK(frame_table[to].object == frame_table[pfn].object);
			counts[to].links++;
			continue;
		}
		entries++;
		counts[to].maps++;
		CHECK(in_states(to, FRAME_READABLE));
		CHECK(!(table[i] & EXO_PTE_WRITE) || in_states(to, FRAME_WRITABLE));
		CHECK(!(table[i] & EXO_PTE_WRITE) || (table[i] & EXO_PTE_NX));
	}
	return NULL;
}

/* The leaf table's own record of its address agrees with where it is linked. */
static const char *check_leaf_address(exo_pfn_t leaf)
{
	uint64_t va = (uint64_t)frame_table[leaf + 2].object << 21, entry;
	exo_pfn_t table = frame_table[leaf].object;
	unsigned level;

	for (level = 4; level > 1; level--) {
		entry = ((uint64_t *)pfn_to_virt(table))[va >> (3 + 9 * level) & 511];
		CHECK(entry & EXO_PTE_PRESENT);
		table = (exo_pfn_t)((entry & EXO_PTE_FRAME) >> 12);
	}
	CHECK(table == leaf);
	return NULL;
}

static const char *count_frame(exo_pfn_t pfn)
{
	const struct account *account = NULL;

	if (frame_table[pfn].account) {
		CHECK(state_of(frame_table[pfn].account) == EXO_FRAME_ACCOUNT);
		account = pfn_to_virt(frame_table[pfn].account);
		CHECK(info_frame[pfn].owner > 0 && info_frame[pfn].owner < ENVS_MAX);
		counts[info_frame[pfn].owner].owned++;
	}
	for (; account; account = account->parent ? pfn_to_virt(account->parent) : NULL)
		counts[account->self].used++;
	if (state_of(pfn) == EXO_FRAME_ACCOUNT) {
		account = pfn_to_virt(pfn);
		CHECK(account->self == pfn);
		if (account->parent)
			counts[account->parent].users++;
	}
	return state_of(pfn) == EXO_FRAME_TABLE ? count_table(pfn) : NULL;
}

static const char *check_frame(exo_pfn_t pfn)
{
	const struct exo_frame_info *state = &info_frame[pfn];
	const struct frame *frame = &frame_table[pfn];
	const struct counts *c = &counts[pfn];
	const struct account *account = pfn_to_virt(pfn);
	bool root = state->state == EXO_FRAME_TABLE && frame->level == 4;

	CHECK(frame_is_free(pfn) == (state->state == EXO_FRAME_FREE));
	CHECK(state->holds == c->holds);
	CHECK(frame->maps == c->maps);
	CHECK(!frame->maps || state->holds);
	if (state->state == EXO_FRAME_FREE || state->state == EXO_FRAME_ABSENT)
		CHECK(!state->holds && !frame->maps && !frame->pins && !frame->account);
	if (state->state == EXO_FRAME_OWNED && !state->holds && frame->account)
		CHECK(frame->pins);
	if (root)
		CHECK(frame->pins == c->spaces && frame->object == pfn && !c->links);
	if (state->state == EXO_FRAME_TABLE && !root)
		CHECK(c->links == 1);
	if (state->state == EXO_FRAME_TABLE && frame->level == 1)
		return check_leaf_address(pfn);
	if (state->state != EXO_FRAME_ACCOUNT)
		return NULL;
	CHECK(account->used == c->used && account->used <= account->limit);
	CHECK(account->users == c->users && account->holds == c->account_holds);
	CHECK(account->dead == !(account->used || account->users || account->holds));
	return NULL;
}

const char *world_check(void)
{
	const char *broken = NULL;
	exo_pfn_t pfn, end = info->frames_total;
	uint32_t free_frames = 0, i;

	counts = calloc(end + ENVS_MAX, sizeof(*counts));
	entries = ringed = 0;
	for (pfn = 0; pfn < end && !broken; pfn++) {
		free_frames += state_of(pfn) == EXO_FRAME_FREE;
		broken = count_frame(pfn);
	}
	for (pfn = 0; pfn < end && !broken; pfn++)
		if (state_of(pfn) == EXO_FRAME_ENV)
			broken = check_env(pfn);
	for (pfn = 0; pfn < end && !broken; pfn++)
		broken = check_frame(pfn);
	if (!broken && ringed != entries)
		broken = "every present entry is in a capability's ring";
	if (!broken && free_frames != info->frames_free)
		broken = "frames_free is right";
	for (i = 1; i < ENVS_MAX && !broken; i++)
		if (info_env[i].frames != counts[i].owned)
			broken = "an environment's count of frames is right";
	free(counts);
	return broken;
}
