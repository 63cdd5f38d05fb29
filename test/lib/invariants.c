/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's invariants as they stand in exo/kernel.h and exo/spaces.h, looked at from outside: recomputes from
 * scratch what the kernel keeps by and by (free map, holds, maps, rings, tree of derivation, accounts, slices, who is
 * ready on this CPU) and shares no code with it but the layouts. Linked into the unit tests, the fuzzer of calls, and
 * the checked kernel.
 *
 * One look costs a few instructions a frame, 512 loads a page table, 64 slots a capability table frame.
 */
#include "exo/disks.h"
#include "exo/spaces.h"
#include "exo/splits.h"
#include "exo/flows.h"
#include "test/lib/invariants.h"

#define CHECK(condition)	do { if (!(condition)) return #condition; } while (0)

static struct counts *counts;
static struct account_counts *accounts;
static uint32_t accounts_seen;
static uint32_t *owned;
static uint16_t (*slices)[EXO_SLICES];
static uint64_t entries, ringed;

static uint32_t state_of(exo_pfn_t pfn)
{
	return info_frame[pfn].state;
}

static bool in_states(exo_pfn_t pfn, uint32_t states)
{
	return states >> state_of(pfn) & 1;
}

/* Found or made; beyond INVARIANTS_ACCOUNTS they share one, and are not checked. */
static struct account_counts *account_counts(exo_pfn_t pfn)
{
	uint32_t *index = &counts[pfn].links;	/* an account's frame has no use for it */

	if (!*index) {
		*index = accounts_seen < INVARIANTS_ACCOUNTS ? ++accounts_seen : INVARIANTS_ACCOUNTS;
		if (accounts_seen < INVARIANTS_ACCOUNTS)
			accounts[*index] = (struct account_counts){ 0 };
	}
	return &accounts[*index];
}

/* --- spaces --------------------------------------------------------------------------------------------- */

/* A marker says how far a search has come: it stands for nothing. */
static bool is_marker(uint64_t place, const struct exo_cap *cap)
{
	return place >> 12 == space_marker && place % 16 == 0 &&
	    *(uint64_t *)(arch_phys_base + place) == cap_ref(cap);
}

/* An entry may do what its bits say it may, and that only because its capability may. */
static const char *check_rights(uint64_t entry, const struct exo_cap *cap)
{
	CHECK(cap->rights & EXO_RIGHT_READ);
	CHECK(!(entry & EXO_PTE_MAY_WRITE) || (cap->rights & (EXO_RIGHT_WRITE | EXO_RIGHT_RESTORE)));
	CHECK(!(entry & EXO_PTE_MAY_EXEC) || (cap->rights & EXO_RIGHT_EXEC));
	CHECK(!(entry & EXO_PTE_WRITE) || (entry & EXO_PTE_MAY_WRITE));
	CHECK((entry & EXO_PTE_NX) || (entry & EXO_PTE_MAY_EXEC));
	return NULL;
}

/* Of a frame capability: frames behind its end that it is about to lose. */
static uint32_t losing_of(const struct exo_cap *cap)
{
	return cap->rights & EXO_RIGHT_RESTORE ? ((const struct split *)pfn_to_virt(cap->object))->losing : cap->object;
}

/* K1: does it hold this frame of its range? */
static bool has(const struct exo_cap *cap, uint64_t pfn)
{
	const struct split *split = pfn_to_virt(cap->object);
	uint64_t index = pfn - cap->first;

	return !(cap->rights & EXO_RIGHT_RESTORE) || split->held[index >> 6] & 1ULL << (index & 63);
}

/* K2: an entry through a split capability cannot be written but where no other holds or maps it. */
static const char *check_split_entry(uint64_t entry, const struct exo_cap *cap)
{
	uint64_t pfn = (entry & EXO_PTE_FRAME) >> 12, end = pfn + (entry & EXO_PTE_LARGE ? 512 : 1);
	const struct exo_cap *above;
	unsigned depth = 0;

	if (!(cap->rights & EXO_RIGHT_RESTORE))
		return NULL;
	if (cap->flags & CAP_SPLITTING && !(cap->flags & CAP_LOWERED))
		return NULL;
	if (!(entry & EXO_PTE_MAY_WRITE))
		return NULL;
	CHECK(!(cap->flags & CAP_SPLITTING));
	for (above = cap; above; above = cap_at(above->parent))
		depth++;
	for (; pfn < end; pfn++) {
		/* Others may be derived from those above; or it gave it up itself, and then nobody else may write. */
		CHECK(!has(cap, pfn) || info_frame[pfn].holds == depth || cap->parent);
		CHECK(!(frame_table[pfn].maps & FRAME_LEFT) || !has(cap, pfn) || cap->parent);
	}
	return NULL;
}

static const char *check_ring(const struct exo_cap *cap)
{
	uint64_t before = ((uint64_t)((const char *)cap - arch_phys_base)) | 1ULL << 63, place = cap->bound,
	    *entry, pfn, frames, raised = 0;
	unsigned level, markers = 0;
	const char *broken;

	for (; place; before = place, place = entry[512]) {
		CHECK(place % 8 == 0 && place >> 12 < info->frames_total);
		entry = (uint64_t *)(arch_phys_base + place);
		CHECK(entry[1024] == before);
		if (is_marker(place, cap)) {
			CHECK(++markers == 1);
			continue;
		}
		level = frame_table[place >> 12].level;
		CHECK(state_of((exo_pfn_t)(place >> 12)) == EXO_FRAME_TABLE && (level == 1 || level == TABLE_LARGE));
		CHECK(*entry & EXO_PTE_PRESENT);
		CHECK(!(*entry & EXO_PTE_LARGE) == (level == 1));
		frames = level == 1 ? 1 : 512;
		pfn = (*entry & EXO_PTE_FRAME) >> 12;
		CHECK(pfn % frames == 0);
		CHECK(pfn >= cap->first);
		CHECK(pfn + frames <= cap->first + cap->count + losing_of(cap) || cap_is_split(cap));
		broken = check_rights(*entry, cap);
		if (!broken)
			broken = check_split_entry(*entry, cap);
		if (broken)
			return broken;
		raised += !!(*entry & EXO_PTE_MAY_WRITE);
		CHECK(++ringed <= entries);
	}
	CHECK(!cap_is_split(cap) || raised <= split_of(cap)->raised);	/* K4 */
	return NULL;
}

/* An entry that maps a page: counts the frames. */
static const char *count_page(exo_pfn_t table, uint64_t entry)
{
	exo_pfn_t to = (exo_pfn_t)((entry & EXO_PTE_FRAME) >> 12), end = to + (entry & EXO_PTE_LARGE ? 512 : 1);

	CHECK(end <= info->frames_total);
	CHECK(!(entry & EXO_PTE_WRITE) || (entry & EXO_PTE_NX));
	CHECK((entry & EXO_PTE_NX) || (frame_table[table].flags & TABLE_CODE));
	entries++;
	for (; to < end; to++) {
		counts[to].maps++;
		CHECK(!(entry & EXO_PTE_UNCACHED) == !in_states(to, FRAME_STATE(DEVICE)));
		if (entry & EXO_PTE_UNCACHED) {
			CHECK(!(entry & EXO_PTE_MAY_EXEC));
			continue;
		}
		CHECK(in_states(to, FRAME_READABLE));
		CHECK(!(entry & (EXO_PTE_MAY_WRITE | EXO_PTE_MAY_EXEC)) || in_states(to, FRAME_WRITABLE));
	}
	return NULL;
}

/* A table below the root; counts what its entries reach. */
static const char *count_table(exo_pfn_t pfn)
{
	const uint64_t *table = pfn_to_virt(pfn);
	unsigned known = frame_table[pfn].level, level = known == TABLE_LARGE ? 2 : known, i;
	const char *broken;
	exo_pfn_t to;

	CHECK(known >= 1 && known <= TABLE_LARGE);
	CHECK(state_of(frame_table[pfn].object) == EXO_FRAME_TABLE &&
	    frame_table[frame_table[pfn].object].level == 4);
	if (known == 1 || known == TABLE_LARGE) {
		CHECK(state_of(pfn + 1) == EXO_FRAME_LINKS && frame_table[pfn + 1].object == pfn);
		CHECK(state_of(pfn + 2) == EXO_FRAME_LINKS);
	}
	for (i = 0; i < (level == PT_LEVELS ? PT_ENTRIES / 2 : PT_ENTRIES); i++) {
		if (i % 8 == 0 && !(table[i] | table[i + 1] | table[i + 2] | table[i + 3] | table[i + 4] | table[i + 5] |
		    table[i + 6] | table[i + 7])) {
			i += 7;
			continue;
		}
		if (!table[i])
			continue;
		CHECK(table[i] & EXO_PTE_PRESENT);
		to = (exo_pfn_t)((table[i] & EXO_PTE_FRAME) >> 12);
		CHECK(to > 0 && to < info->frames_total);
		if (level == 1 || table[i] & EXO_PTE_LARGE) {
			CHECK(known == 1 || known == TABLE_LARGE);
			broken = count_page(pfn, table[i]);
			if (broken)
				return broken;
			continue;
		}
		CHECK(state_of(to) == EXO_FRAME_TABLE);
		CHECK((frame_table[to].level == TABLE_LARGE ? 2 : frame_table[to].level) == level - 1);
		CHECK(frame_table[to].object == frame_table[pfn].object);
		counts[to].links++;
	}
	return NULL;
}

/* The own record of its address of a table with links agrees with where it is linked. */
static const char *check_table_address(exo_pfn_t of)
{
	uint64_t va = (uint64_t)frame_table[of + 2].object << 21, entry;
	unsigned level, last = frame_table[of].level == 1 ? 1 : 2;
	exo_pfn_t table = frame_table[of].object;

	for (level = 4; level > last; level--) {
		entry = ((uint64_t *)pfn_to_virt(table))[va >> (3 + 9 * level) & 511];
		CHECK(entry & EXO_PTE_PRESENT);
		table = (exo_pfn_t)((entry & EXO_PTE_FRAME) >> 12);
	}
	CHECK(table == of);
	CHECK(va % (1ULL << (12 + 9 * last)) == 0);
	return NULL;
}

/* --- accounts ------------------------------------------------------------------------------------------- */

static void count_use(exo_pfn_t pfn, unsigned kind, uint32_t count)
{
	if (kind - ACCOUNT_ASKED < ACCOUNT_KEPT)
		account_counts(pfn)->kept[kind - ACCOUNT_ASKED] += count;
	for (; pfn; pfn = ((struct account *)pfn_to_virt(pfn))->parent)
		account_counts(pfn)->used[kind] += count;
}

static void count_due(exo_pfn_t pfn, unsigned kind, uint32_t count)
{
	for (; pfn; pfn = ((struct account *)pfn_to_virt(pfn))->parent)
		account_counts(pfn)->due[kind] += count;
}

/* What no frame tells: slices, flows, and what is bound to these and to disks. */
static void count_uses(void)
{
	const struct flow *flow;
	const struct env *env;
	const struct disk *disk;
	unsigned i, c;

	for (c = 0; c < info->cpus; c++)
		for (i = 0; i < EXO_SLICES; i++)
			if (cpus[c]->slice_account[i])
				count_use(cpus[c]->slice_account[i], EXO_SHARE_SLICES, 1);
	for (i = 0; i < info->flows.entries; i++) {
		flow = flow_table[i];
		if (flow && flow->account)
			count_use(flow->account, EXO_SHARE_FLOWS, 1);
		if (flow && flow->ring)
			count_use(flow->ring_account, EXO_SHARE_RINGS, 1 + flow->rx_frames + flow->tx_frames);
	}
	for (i = 1; i < info->envs.entries; i++) {
		env = env_by_id(info_env[i].id);
		if (env && env->trace)
			count_use(env->trace->account, EXO_SHARE_TRACES, 1);
	}
	for (i = 1; i < shapes_max; i++)
		if (shape_table[i].account)
			count_use(shape_table[i].account, EXO_SHARE_SHAPES, 1);
	for (i = 0; (disk = disk_numbered(i)) != NULL; i++)
		for (c = 0; c < EXO_DISK_SHARES; c++)
			if (disk->state->ring[c].through)
				count_use(disk->state->ring[c].account, EXO_SHARE_RINGS, 1);
}

/* What an account's own entries say of others. */
static void count_account(const struct account *account)
{
	uint32_t guaranteed;
	unsigned kind;

	for (kind = 0; kind < EXO_SHARES; kind++)
		if (account->parent)
			account_counts(account->parent)->promised[kind] += account->view.share[kind].guaranteed;
	for (kind = 0; kind < ACCOUNT_KEPT; kind++) {
		guaranteed = account->view.share[ACCOUNT_ASKED + kind].guaranteed;
		if (account->parent)
			account_counts(account->parent)->kept[kind] +=
			    account->kept[kind] > guaranteed ? account->kept[kind] : guaranteed;
	}
	for (kind = 0; kind < ACCOUNT_ASKED; kind++)
		count_due(account->self, kind, account->view.credit[kind]);
	if (account->demander)
		count_due(account->demander, account->view.demand_what == EXO_TYPE_SLICE, account->view.demand_left);
}

static uint32_t credits[ACCOUNT_ASKED], pending;

static const char *check_demand(const struct account *account)
{
	const struct account *asks = pfn_to_virt(account->demander);
	unsigned i, listed = 0;

	if (!account->demander) {
		CHECK(!account->view.demand_what && !account->view.demand_left && !account->force.until);
		return NULL;
	}
	pending++;
	CHECK(account->view.demand_left && account->view.demand_left <= account->view.demand_count);
	CHECK(state_of(account->demander) == EXO_FRAME_ACCOUNT && env_by_id(account->view.demand_from));
	for (i = 0; i < EXO_DEMANDS_MAX; i++)
		listed += asks->demand_on[i] == account->self;
	CHECK(listed == 1);
	return NULL;
}

static const char *check_account(const struct account *account, const struct account_counts *c)
{
	const struct env *env, *before = NULL;
	unsigned kind;

	for (kind = 0; kind < EXO_SHARES; kind++) {
		CHECK(account->view.share[kind].used == c->used[kind]);
		CHECK(account->view.share[kind].promised == c->promised[kind]);
		CHECK(c->promised[kind] <= account->view.share[kind].guaranteed);
		CHECK(account->view.share[kind].guaranteed <= account->view.share[kind].limit);
	}
	for (kind = 0; kind < ACCOUNT_KEPT; kind++) {
		CHECK(account->kept[kind] == c->kept[kind]);
		CHECK(account->parent || c->kept[kind] <= account->view.share[ACCOUNT_ASKED + kind].limit);
	}
	for (kind = 0; kind < ACCOUNT_ASKED; kind++) {
		CHECK(account->due[kind] == c->due[kind]);
		CHECK(!account->view.credit[kind] || account->view.share[kind].used + account->view.credit[kind] <=
		    account->view.share[kind].guaranteed);
		credits[kind] += account->view.credit[kind];
	}
	CHECK(account->users == c->users && account->holds == c->holds);
	for (env = account->agent; env; before = env, env = env->account_next)
		CHECK(env->account == account->self && env->account_prev == before);
	CHECK(account->agent_last == before);
	return check_demand(account);
}

static const char *check_accounts(void)
{
	const struct account *root = NULL, *account;
	const char *broken;
	exo_pfn_t pfn;

	credits[0] = credits[1] = pending = 0;
	for (pfn = 1; pfn < info->frames_total; pfn++) {
		if (state_of(pfn) != EXO_FRAME_ACCOUNT)
			continue;
		account = pfn_to_virt(pfn);
		if (!account->parent) {
			CHECK(!root);
			root = account;
		}
		broken = check_account(account, account_counts(pfn));
		if (broken)
			return broken;
	}
	if (!root)
		return NULL;
	CHECK(info->frames_promised == credits[0] && credits[0] <= info->frames_free);
	CHECK(credits[1] <= root->view.share[1].guaranteed - root->view.share[1].used);
	CHECK(demands == pending);
	return NULL;
}

/* --- capabilities --------------------------------------------------------------------------------------- */

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
	if (cap->type == EXO_TYPE_ENTRY && parent->type == EXO_TYPE_ENV) {
		CHECK(cap->object == parent->object && cap->count == parent->count);
		return NULL;
	}
	CHECK(parent->type == cap->type);
	CHECK(!(cap->rights & ~(parent->rights | (cap_is_split(cap) ? EXO_RIGHT_RESTORE : 0))));
	CHECK(!cap_is_split(cap) || parent->rights & EXO_RIGHT_WRITE);
	if (cap->type == EXO_TYPE_FRAME || cap->type == EXO_TYPE_SLICE || cap->type == EXO_TYPE_BLOCKS ||
	    cap->type == EXO_TYPE_DISK)
		CHECK(cap->first >= parent->first &&
		    cap->first + cap->count <= parent->first + parent->count);
	return NULL;
}

/* While force takes its last frames, `object` of a frame capability counts those that it covers beyond `count`. */
static const char *check_frames_of(const struct exo_cap *cap)
{
	bool split = cap->rights & EXO_RIGHT_RESTORE;
	uint32_t account = 0;
	uint64_t pfn;

	CHECK(split || cap->count || cap->object || (cap->flags & CAP_DYING));
	CHECK(!(cap->rights & ~(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC | EXO_RIGHT_RESTORE)));
	CHECK(cap->first > 0 && cap->first + cap->count <= info->frames_total);
	CHECK(!(cap->flags & (CAP_SPLITTING | CAP_LOWERED)) || split);
	if (split) {
		CHECK(!(cap->rights & EXO_RIGHT_WRITE) && !cap->child && cap->count <= EXO_SPLIT_MAX);
		CHECK(state_of(cap->object) == EXO_FRAME_SPLIT);
		CHECK(((const struct split *)pfn_to_virt(cap->object))->cap == cap_ref(cap));
		counts[cap->object].users++;
	}
	for (pfn = cap->first; pfn < cap->first + cap->count + losing_of(cap); pfn++) {
		if (!has(cap, pfn))
			continue;
		counts[pfn].holds++;
		CHECK(!account || frame_table[pfn].account == account);
		account = frame_table[pfn].account;
	}
	return NULL;
}

static const char *check_object_of(const struct exo_cap *cap)
{
	const exo_pfn_t *accounts;
	unsigned i;

	if (cap->type == EXO_TYPE_FRAME)
		return check_frames_of(cap);
	if (cap->type == EXO_TYPE_SLICE) {
		CHECK(cap->first >> 32 < info->cpus && (uint32_t)cap->first + cap->count <= EXO_SLICES);
		accounts = cpus[cap->first >> 32]->slice_account + (uint32_t)cap->first;
		for (i = 0; i < cap->count; i++) {
			CHECK(accounts[i] == accounts[0]);
			slices[cap->first >> 32][(uint32_t)cap->first + i]++;
		}
	}
	if (cap->type == EXO_TYPE_SPACE) {
		CHECK(frame_table[cap->object].level == PT_LEVELS);
		counts[cap->object].users++;
	}
	if (cap->type == EXO_TYPE_ACCOUNT) {
		CHECK(state_of(cap->object) == EXO_FRAME_ACCOUNT);
		account_counts(cap->object)->holds++;
	}
	return NULL;
}

static const char *check_cap(const struct exo_cap *cap)
{
	const char *broken;

	CHECK(cap->generation >= 1);
	if (cap->type == EXO_TYPE_NONE) {
		CHECK(!cap->parent && !cap->child && !cap->next && !cap->prev && !cap->bound && !cap->count);
		return NULL;
	}
	CHECK(cap->type < EXO_TYPE_COUNT);
	CHECK(cap->type == EXO_TYPE_FRAME || cap->type == EXO_TYPE_ENTRY || !cap->bound);
	broken = check_object_of(cap);
	if (!broken)
		broken = check_tree(cap);
	return broken || cap->type != EXO_TYPE_FRAME ? broken : check_ring(cap);
}

/* --- environments --------------------------------------------------------------------------------------- */

static const char *check_env(exo_pfn_t pfn)
{
	const struct env *env = pfn_to_virt(pfn);
	const char *broken;
	uint32_t i;

	CHECK(env->self == pfn && env->cap_frames <= EXO_CAP_FRAMES_MAX);
	CHECK(state_of(env->disp_pfn) == EXO_FRAME_DISP && state_of(env->arg_pfn) == EXO_FRAME_ARG);
	CHECK(state_of(env->account) == EXO_FRAME_ACCOUNT);
	CHECK(state_of(env->root) == EXO_FRAME_TABLE);
	counts[env->root].users++;
	account_counts(env->account)->users++;
	count_use(env->account, EXO_SHARE_ENVS, 1);
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

/* T1 and T2: how many levels of one wait for, or serve, another is the same on both sides. */
static const char *check_levels(struct env *env)
{
	const struct level *level;
	unsigned i, j, waits, serves;
	struct env *other;

	CHECK(env->nested <= EXO_CHAIN_MAX);
	for (i = 0; i <= env->nested; i++) {
		level = env_level(env, i);
		CHECK(level->depth <= EXO_CHAIN_MAX);
		CHECK(!i || level->depth > env_level(env, i - 1)->depth);
		CHECK((level->serving != 0) == (level->caller || i));
		CHECK(!(level->serving & SERVING_PLAIN) || (!env->nested && level->caller->called == env));
		CHECK(level->called || level->deadline == EXO_NEVER);
		other = level->called ? level->called : level->caller;
		waits = serves = 0;
		for (j = 0; other && j <= env->nested; j++) {
			waits += env_level(env, j)->called == other;
			serves += env_level(env, j)->caller == other;
		}
		for (j = 0; other && j <= other->nested; j++) {
			waits -= env_level(other, j)->caller == env;
			serves -= env_level(other, j)->called == env;
		}
		CHECK(!waits && !serves);
	}
	return NULL;
}

/* E2, P2 and P4 of one of this CPU's; those of other CPUs may be in the middle of something. */
static const char *check_turn(struct env *env, uint32_t *ready, uint32_t *timed)
{
	if (env_state(env) == EXO_ENV_READY) {
		++*ready;
		CHECK(env->run_next->run_prev == env && env->run_prev->run_next == env);
	}
	if (env->timed_at != EXO_NEVER) {
		++*timed;
		CHECK(env->timed_place < here.timed_count && here.timed[env->timed_place] == env);
		CHECK(!env->timed_place || here.timed[(env->timed_place - 1) / 2]->timed_at <= env->timed_at);
	}
	CHECK(env->timed_at <= (env->sleep_until < env->call_deadline ? env->sleep_until : env->call_deadline));
	CHECK(env->timed_at >= here.due);
	CHECK(!env->called == (env_state(env) != EXO_ENV_CALLING));
	return check_levels(env);
}

static const char *check_turns(void)
{
	uint32_t ready = 0, timed = 0, ring = 0;
	struct env *env;
	const char *broken;
	exo_pfn_t pfn;

	for (pfn = 1; pfn < info->frames_total; pfn++) {
		if (state_of(pfn) != EXO_FRAME_ENV)
			continue;
		env = pfn_to_virt(pfn);
		if (env->cpu != here.index || env->resume & RESUME_MOVING)
			continue;
		broken = check_turn(env, &ready, &timed);
		if (broken)
			return broken;
	}
	env = here.ready;
	if (env)
		do {
			CHECK(env->cpu == here.index && env_state(env) == EXO_ENV_READY);
			env = env->run_next;
		} while (++ring <= ready && env != here.ready);
	CHECK(ring == ready);
	CHECK(timed == here.timed_count);
	return NULL;
}

/* V1, V2. */
static const char *check_slices(void)
{
	const struct cpu *of;
	unsigned c, i;

	for (c = 0; c < info->cpus; c++)
		for (of = cpus[c], i = 0; i < EXO_SLICES; i++) {
			CHECK(!of->slices[i] == !of->slice_through[i]);
			CHECK(!of->slices[i] || info_frame[of->slices[i]->self].state == EXO_FRAME_ENV);
			CHECK(!of->slices[i] || env_state(of->slices[i]) != EXO_ENV_ENDED);
			CHECK(of->slice_holds[i] == slices[c][i]);
			CHECK(!of->slice_holds[i] == !of->slice_account[i]);
		}
	return NULL;
}

/* --- frames --------------------------------------------------------------------------------------------- */

static const char *count_frame(exo_pfn_t pfn)
{
	const struct account *account;

	if (frame_table[pfn].account) {
		CHECK(state_of(frame_table[pfn].account) == EXO_FRAME_ACCOUNT);
		CHECK(info_frame[pfn].owner > 0 && info_frame[pfn].owner < info->envs.entries);
		count_use(frame_table[pfn].account, EXO_SHARE_FRAMES, 1);
		owned[info_frame[pfn].owner]++;
	}
	if (state_of(pfn) == EXO_FRAME_ACCOUNT) {
		account = pfn_to_virt(pfn);
		CHECK(account->self == pfn);
		count_account(account);
		if (account->parent)
			account_counts(account->parent)->users++;
	}
	return state_of(pfn) == EXO_FRAME_TABLE ? count_table(pfn) : NULL;
}

static const char *check_frame(exo_pfn_t pfn)
{
	const struct exo_frame_info *state = &info_frame[pfn];
	const struct frame *frame = &frame_table[pfn];
	const struct counts *c = &counts[pfn];
	bool root = state->state == EXO_FRAME_TABLE && frame->level == PT_LEVELS;

	CHECK(!frame_is_free(pfn));
	CHECK(state->holds == c->holds);
	CHECK((frame->maps & ~FRAME_LEFT) == c->maps && frame->maps != FRAME_LEFT);
	CHECK(!frame->maps || state->holds || frame->maps & FRAME_LEFT);
	if (state->state == EXO_FRAME_OWNED && !state->holds && frame->account)
		CHECK(frame->pins || frame->maps);
	if (state->state == EXO_FRAME_SPLIT)
		CHECK(c->users == 1);
	if (root)
		CHECK(frame->pins == c->users && frame->object == pfn && !c->links);
	if (state->state == EXO_FRAME_TABLE && !root)
		CHECK(c->links == 1);
	if (state->state == EXO_FRAME_TABLE && (frame->level == 1 || frame->level == TABLE_LARGE))
		return check_table_address(pfn);
	return NULL;
}

/* Nobody's, and nothing says otherwise. */
static const char *check_free(exo_pfn_t pfn)
{
	const struct exo_frame_info *state = &info_frame[pfn];
	const struct frame *frame = &frame_table[pfn];
	const struct counts *c = &counts[pfn];

	CHECK(!state->holds && !state->owner && !frame->maps && !frame->pins && !frame->account);
	CHECK(!c->holds && !c->maps && !c->links && !c->users);
	CHECK(frame_is_free(pfn) == (state->state == EXO_FRAME_FREE));
	return NULL;
}

static const char *check_frames(void)
{
	exo_pfn_t pfn, end = info->frames_total;
	const char *broken = NULL;

	for (pfn = 1; pfn < end && !broken; pfn++)
		broken = in_states(pfn, FRAME_STATE(FREE) | FRAME_STATE(ABSENT)) ? check_free(pfn) :
		    check_frame(pfn);
	return broken;
}

/* --- all ------------------------------------------------------------------------------------------------ */

size_t invariants_bytes(uint32_t frames)
{
	return sizeof(struct invariants_room) + frames * sizeof(struct counts);
}

static const char *count_frames(void)
{
	exo_pfn_t pfn, end = info->frames_total;
	const char *broken = NULL;
	uint32_t free_frames = 0;

	for (pfn = 1; pfn < end && !broken; pfn++) {
		if (state_of(pfn) == EXO_FRAME_FREE)
			free_frames++;
		else
			broken = count_frame(pfn);
	}
	if (broken)
		return broken;
	CHECK(free_frames == info->frames_free);
	for (pfn = 1; pfn < end && !broken; pfn++)
		if (state_of(pfn) == EXO_FRAME_ENV)
			broken = check_env(pfn);
	return broken;
}

const char *invariants_broken(struct invariants_room *room)
{
	const char *broken;
	uint32_t i;

	counts = room->counts;
	accounts = room->accounts;
	owned = room->owned;
	slices = room->slices;
	__builtin_memset(counts, 0, info->frames_total * sizeof(*counts));
	__builtin_memset(owned, 0, info->envs.entries * sizeof(*owned));
	__builtin_memset(slices, 0, sizeof(room->slices));
	accounts_seen = 0;
	entries = ringed = 0;
	count_uses();
	broken = count_frames();
	if (!broken)
		broken = check_frames();
	if (!broken && accounts_seen < INVARIANTS_ACCOUNTS)
		broken = check_accounts();
	if (!broken)
		broken = check_slices();
	if (!broken)
		broken = check_turns();
	if (!broken)
		broken = invariants_code();
	if (!broken)
		broken = invariants_disks();
	if (broken)
		return broken;
	CHECK(ringed == entries);
	for (i = 1; i < info->envs.entries; i++)
		CHECK(info_env[i].frames == owned[i]);
	return NULL;
}
