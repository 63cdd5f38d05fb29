/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities: derive, delete, revoke, tables, every documented error, ends in the middle; random operations
 * of three environments against a naive model, which keeps one record a slot with its parent and searches
 * them all.
 */
#include <stdlib.h>
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define SLOTS	64
#define PEER	world_handle(0, SLOT_PEER)

static struct exo_cap *slot(unsigned who, uint32_t number)
{
	return cap_slot(world.env[who], number);
}

static exo_cap_t take(unsigned who, uint32_t number, uint32_t count)
{
	return (exo_cap_t)CALL(who, frame_take, number, EXO_PFN_ANY, count);
}

/* More frames than one call takes, in one capability. */
static exo_cap_t take_many(unsigned who, uint32_t number, uint32_t count)
{
	exo_cap_t cap = take(who, number, 8);
	int64_t n;

	while (slot(who, number)->count < count) {
		n = (int64_t)(count - slot(who, number)->count);
		n = CALL(who, frame_take, cap, EXO_PFN_ANY, n < EXO_TAKE_MAX ? n : EXO_TAKE_MAX);
		if (n <= 0)
			break;
	}
	return cap;
}

static void test_derive_errors(void)
{
	exo_cap_t a = take(0, 8, 10), entry;

	is_int(CALL(0, cap_derive, 0, 0, 9, 0, 0, 0), ERR(CAP), "derive: no source");
	is_int(CALL(0, cap_derive, a + (1ULL << 32), 0, 9, 0, 0, 0), ERR(CAP), "derive: another generation");
	is_int(CALL(0, cap_derive, 63, 0, 9, 0, 0, 0), ERR(CAP), "derive: generation 0");
	is_int(CALL(0, cap_derive, exo_cap_make(~0U, 1), 0, 9, 0, 0, 0), ERR(CAP),
	    "derive: slot beyond the table");
	is_int(CALL(0, cap_derive, a, a, 9, 0, 0, 0), ERR(TYPE), "derive: into something else");
	is_int(CALL(0, cap_derive, a, 1ULL << 32, 9, 0, 0, 0), ERR(CAP), "derive: into nothing");
	is_int(CALL(0, cap_derive, a, 0, 9, EXO_RIGHT_GRANT, 0, 0), ERR(RIGHTS),
	    "derive: a right that it has not");
	is_int(CALL(0, cap_derive, a, 0, 9, ~0ULL, 0, 0), ERR(RIGHTS),
	    "derive: all rights that there may ever be");
	is_int(CALL(0, cap_derive, a, 0, 8, RWX, 0, 0), ERR(SLOT), "derive: slot in use");
	is_int(CALL(0, cap_derive, a, 0, 0, RWX, 0, 0), ERR(SLOT), "derive: slot 0");
	is_int(CALL(0, cap_derive, a, 0, 64, RWX, 0, 0), ERR(SLOT), "derive: no such slot");
	is_int(CALL(0, cap_derive, a, 0, 9, RWX, 10, 0), ERR(RANGE), "derive: first outside");
	is_int(CALL(0, cap_derive, a, 0, 9, RWX, 3, 8), ERR(RANGE), "derive: end outside");
	is_int(CALL(0, cap_derive, a, 0, 9, RWX, ~0ULL, 2), ERR(RANGE), "derive: first wraps");
	is_int(CALL(0, cap_derive, a, 0, 9, RWX, 2, ~0ULL), ERR(RANGE), "derive: count wraps");
	is_int(CALL(0, cap_derive, world_handle(0, SLOT_CONSOLE), 0, 9, 1, 0, 1), ERR(INVAL),
	    "derive: a range of a console");
	is_int(CALL(0, cap_derive, world_handle(0, SLOT_ENV), 0, 9, EXO_RIGHT_READ, 0, 0) > 0, 1,
	    "derive an ENV without GRANT");
	is_int(CALL(0, cap_derive, a, world_handle(0, 9), 10, RWX, 0, 0), ERR(RIGHTS), "derive: through it");
	is_int(CALL(0, cap_delete, world_handle(0, 9)), 0, "delete it");
	entry = (exo_cap_t)CALL(0, entry_make, 9, 0, 77);
	is_int(CALL(0, cap_derive, entry, PEER, 9, EXO_RIGHT_EXEC, 0, 0) > 0, 1,
	    "derive an ENTRY to another");
	ok(slot(1, 9)->first == 77 && slot(1, 9)->count == slot(0, 9)->count, "with its badge and number");
	is_int(CALL(1, cap_delete, world_handle(1, 9)), 0, "delete that");
	is_int(CALL(0, cap_delete, entry), 0, "delete the ENTRY");
	is_int(CALL(0, cap_delete, entry), ERR(CAP), "delete: again");
	is_int(CALL(0, cap_revoke, entry), ERR(CAP), "revoke: nothing there");
	is_int(CALL(0, cap_delete, a), 0, "delete the frames");
}

static void test_orphans(void)
{
	uint32_t before = info->frames_free;
	exo_cap_t a = take(0, 8, 10), b, c;
	struct exo_cap *cap;

	b = (exo_cap_t)CALL(0, cap_derive, a, 0, 9, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 2, 6);
	c = (exo_cap_t)CALL(0, cap_derive, b, PEER, 9, EXO_RIGHT_READ, 1, 2);
	cap = slot(1, 9);
	ok(cap->first == slot(0, 8)->first + 3 && cap->count == 2, "a part of a part");
	is_int(info_frame[cap->first].holds, 3, "counted");
	is_int(CALL(0, cap_delete, b), 0, "delete the middle");
	ok(cap_at(cap->parent) == slot(0, 8), "its child moves up");
	is_int(CALL(0, cap_delete, a), 0, "delete the first");
	ok(!cap->parent && info->frames_free == before - 2, "an orphan lives on, the rest is free");
	is_int(CALL(1, cap_delete, c), 0, "delete the orphan");
	is_int(info->frames_free, before, "all is free");
	is_int(slot(1, 9)->generation, (c >> 32) + 1, "its generation has grown");
}

/* Who loses something by another's revoking finds it in its abort record; entries go with what they were made through. */
static void test_losses(void)
{
	const struct exo_abort *abort = &world.env[1]->disp->abort;
	uint64_t before = abort->lost, own = world.env[0]->disp->abort.lost;
	exo_cap_t a = take(0, 8, 10), b, control, entry;

	b = (exo_cap_t)CALL(0, cap_derive, a, PEER, 9, RWX, 2, 6);
	CALL(1, cap_derive, b, 0, 10, EXO_RIGHT_READ, 3, 3);
	CALL(0, cap_derive, a, 0, 9, RWX, 0, 1);
	is_int(world_finish(0, EXO_CALL_cap_revoke, a, 0), 0, "revoke");
	is_int((long long)(abort->lost - before), 2, "two losses");
	ok(abort->loss[before % EXO_LOSSES].slot == 10 && abort->loss[before % EXO_LOSSES].first == slot(0, 8)->first + 5 &&
	    abort->loss[before % EXO_LOSSES].count == 3 &&
	    abort->loss[before % EXO_LOSSES].why == EXO_LOSS_REVOKED, "the leaf first");
	ok(abort->loss[(before + 1) % EXO_LOSSES].slot == 9 && abort->loss[(before + 1) % EXO_LOSSES].count == 6,
	    "then what it was derived from");
	ok(world.env[1]->disp->pending & EXO_EVENT_LOST, "it is told");
	is_int((long long)(world.env[0]->disp->abort.lost - own), 0, "the one who revokes is not");
	is_int(CALL(0, cap_delete, a), 0, "delete");
	control = (exo_cap_t)CALL(0, cap_derive, world_handle(0, SLOT_ENV), 0, 8, EXO_RIGHT_CONTROL, 0, 0);
	entry = (exo_cap_t)CALL(0, entry_make, 9, control, 5);
	CALL(0, cap_derive, entry, PEER, 9, EXO_RIGHT_EXEC, 0, 0);
	is_int(world_finish(0, EXO_CALL_cap_revoke, world_handle(0, SLOT_ENV), 0), 0, "revoke an environment's");
	ok(slot(0, 8)->type == EXO_TYPE_NONE && slot(0, 9)->type == EXO_TYPE_NONE && slot(1, 9)->type == EXO_TYPE_NONE,
	    "entries made through it are gone");
	world.env[1]->disp->abort.lost = ~0ULL;	/* whatever stands there */
	a = take(0, 8, 1);
	CALL(0, cap_derive, a, PEER, 9, RWX, 0, 1);
	is_int(world_finish(0, EXO_CALL_cap_revoke, a, 0), 0, "a count of losses that has run over harms nobody");
	is_int(CALL(0, cap_delete, a), 0, "delete");
}

static void test_long_ranges(void)
{
	uint32_t before = info->frames_free;
	exo_cap_t a = take_many(0, 8, 700), b;
	uint32_t done;
	int64_t n;

	is_int(slot(0, 8)->count, 700, "700 frames in one capability");
	is_int(CALL(0, cap_derive, a, PEER, 9, RWX, 0, 0), ERR(RANGE), "derive all: too many at once");
	b = (exo_cap_t)CALL(0, cap_derive, a, PEER, 9, RWX, 50, 600);
	for (done = slot(1, 9)->count; done < 600; done += (uint32_t)n) {
		n = CALL(0, cap_derive, a, PEER, b, RWX, 50 + done, 600 - done);
		if (n <= 0)
			break;
	}
	ok(done == 600 && slot(1, 9)->count == 600, "600 of them derived, by several calls");
	is_int(CALL(0, cap_derive, a, PEER, b, RWX, 0, 10), ERR(RANGE), "extend: not at the end");
	is_int(CALL(0, cap_derive, a, PEER, b, EXO_RIGHT_READ, 650, 10), ERR(INVAL), "extend: other rights");
	is_int(CALL(0, cap_derive, a, PEER, b, RWX, 650, 51), ERR(RANGE), "extend: beyond the source");
	is_int(CALL(0, cap_revoke, a), ERR(AGAIN), "revoking that takes several calls");
	is_int(CALL(0, cap_derive, a, 0, 10, RWX, 0, 1), ERR(STATE), "nothing is derived in between");
	is_int(CALL(1, cap_derive, b, 0, 10, RWX, 0, 1), ERR(CAP), "and the victim names nothing any more");
	is_int(world_finish(0, EXO_CALL_cap_revoke, a, 0), 0, "revoke to the end");
	ok(slot(1, 9)->type == EXO_TYPE_NONE && slot(0, 8)->child == 0, "it is gone");
	is_int(CALL(0, cap_delete, a), ERR(AGAIN), "deleting takes several calls");
	is_int(CALL(0, frame_give, a, 1), ERR(CAP), "and it names nothing any more");
	is_int(world_finish(0, EXO_CALL_cap_delete, a, 0), 0, "delete to the end");
	is_int(info->frames_free, before, "all is free");
}

static void test_depth_and_full(void)
{
	exo_cap_t a = take(0, 8, 1), last = a, other;
	unsigned i;
	int64_t result = 0;

	for (i = 9; i < 40; i++) {
		result = CALL(0, cap_derive, last, 0, i, RWX, 0, 0);
		if (result < 0)
			break;
		last = (exo_cap_t)result;
	}
	ok(result == ERR(DEPTH) && i == 8 + CAP_DEPTH_MAX, "derivations are %d deep at most", CAP_DEPTH_MAX);
	is_int(world_finish(0, EXO_CALL_cap_revoke, a, 0), 0, "revoke them all");
	info_frame[slot(0, 8)->first].holds = UINT16_MAX;
	world.unchecked = true;
	is_int(CALL(0, cap_derive, a, 0, 9, RWX, 0, 0), ERR(FULL), "derive: the count of holds is full");
	info_frame[slot(0, 8)->first].holds = 1;
	world.unchecked = false;
	slot(0, 9)->generation = UINT32_MAX - 1;
	other = (exo_cap_t)CALL(0, cap_derive, a, 0, 9, RWX, 0, 0);
	is_int((long long)(other >> 32), UINT32_MAX - 1, "the last generation of a slot");
	is_int(CALL(0, cap_delete, other), 0, "delete it");
	is_int(CALL(0, cap_derive, a, 0, 9, RWX, 0, 0), ERR(SLOT), "the slot is used up for good");
	is_int(CALL(0, cap_delete, a), 0, "delete the frame");
}

static void test_table(void)
{
	exo_cap_t a = take(0, 8, 4), b;

	is_int(CALL(0, cap_table, a, 4), ERR(RANGE), "table: outside");
	is_int(CALL(0, cap_table, world_handle(0, SLOT_ENV), 0), ERR(TYPE), "table: not frames");
	is_int(CALL(0, cap_table, world_handle(0, SLOT_SELF), 3), ERR(BUSY), "table: a kernel object");
	b = (exo_cap_t)CALL(0, cap_derive, a, 0, 10, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, cap_table, b, 0), ERR(RIGHTS), "table: without WRITE");
	is_int(CALL(0, cap_table, a, 1), 64, "table: the new slots");
	is_int(CALL(0, cap_table, a, 1), ERR(BUSY), "table: only once");
	is_int(CALL(0, cap_derive, a, 0, 127, RWX, 0, 0) > 0, 1, "its last slot can be used");
	is_int(CALL(0, cap_derive, a, 0, 128, RWX, 0, 0), ERR(SLOT), "the one behind cannot");
	is_int(CALL(0, cap_delete, world_handle(0, 127)), 0, "delete");
	is_int(CALL(0, cap_delete, b), 0, "delete");
	is_int(CALL(0, cap_delete, a), ERR(BUSY), "the table's frame has a last capability");
	is_int(CALL(0, frame_give, a, 2), 2, "the frames behind it can be given back");
}

/* --- the naive model ------------------------------------------------------------------------------------ */

struct node {
	unsigned type, rights;
	uint64_t first;
	uint32_t count, generation;
	struct node *parent;
};
static struct node nodes[WORLD_ENVS * SLOTS];
#define node(who, number)	(&nodes[(who) * SLOTS + (number)])

static void node_set(struct node *n, unsigned type, unsigned rights, uint64_t first, uint32_t count,
    struct node *parent)
{
	n->type = type;
	n->rights = rights;
	n->first = first;
	n->count = count;
	n->parent = parent;
}

static void node_drop(struct node *n)
{
	unsigned i;

	for (i = 0; i < WORLD_ENVS * SLOTS; i++)
		if (nodes[i].parent == n)
			nodes[i].parent = n->parent;
	node_set(n, 0, 0, 0, 0, NULL);
	n->generation++;
}

static bool below_node(const struct node *n, const struct node *top)
{
	for (n = n->parent; n; n = n->parent)
		if (n == top)
			return true;
	return false;
}

static void node_revoke(struct node *top)
{
	unsigned i;

	for (i = 0; i < WORLD_ENVS * SLOTS; i++)
		if (below_node(&nodes[i], top)) {
			node_drop(&nodes[i]);
			i = (unsigned)-1;
		}
}

static void model_read(void)
{
	const struct exo_cap *cap;
	unsigned who, i;

	for (who = 0; who < WORLD_ENVS; who++)
		for (i = 0; i < SLOTS; i++) {
			cap = slot(who, i);
			node_set(node(who, i), cap->type, cap->rights, cap->first, cap->count, NULL);
			node(who, i)->generation = cap->generation;
		}
}

static struct node *node_of(cap_ref_t ref)
{
	unsigned who;

	for (who = 0; who < WORLD_ENVS; who++)
		if (ref >> 6 == world.run[who] + 3)
			return node(who, ref & 63);
	return NULL;
}

static bool model_agrees(void)
{
	const struct exo_cap *cap;
	const struct node *n;
	unsigned who, i;

	for (who = 0; who < WORLD_ENVS; who++)
		for (i = 0; i < SLOTS; i++) {
			cap = slot(who, i);
			n = node(who, i);
			if (cap->type != n->type || cap->rights != n->rights || cap->first != n->first ||
			    cap->count != n->count || cap->generation != n->generation ||
			    node_of(cap->parent) != n->parent)
				return false;
		}
	return true;
}

/* --- random steps --------------------------------------------------------------------------------------- */

static bool step_take(unsigned who)
{
	uint32_t number = SLOT_FREE + below(SLOTS - SLOT_FREE), count = 1 + below(8);
	int64_t result = (int64_t)take(who, number, count);

	if (node(who, number)->type)
		return result == ERR(SLOT);
	if (result == ERR(FULL))
		return !info->frames_free;
	node_set(node(who, number), EXO_TYPE_FRAME, RWX, slot(who, number)->first, slot(who, number)->count,
	    NULL);
	return result == (int64_t)exo_cap_make(number, node(who, number)->generation);
}

static int64_t wanted_derive(const struct node *source, const struct node *to, unsigned rights,
    uint32_t first, uint32_t *count)
{
	bool ranged = source->type == EXO_TYPE_FRAME;
	const struct node *n;
	unsigned depth = 1;

	if (!source->type)
		return ERR(CAP);
	if (rights & ~source->rights)
		return ERR(RIGHTS);
	if (!ranged && (first || *count))
		return ERR(INVAL);
	if (ranged && (first >= source->count || first + *count > source->count))
		return ERR(RANGE);
	if (ranged && !*count)
		*count = source->count - first;
	if (!ranged)
		*count = source->count;
	for (n = source; n; n = n->parent)
		depth++;
	if (depth > CAP_DEPTH_MAX)
		return ERR(DEPTH);
	return to->type ? ERR(SLOT) : 0;
}

static bool step_derive(unsigned who)
{
	bool other = below(2);
	uint32_t from = below(SLOTS), number = SLOT_FREE + below(SLOTS - SLOT_FREE),
	    first = below(4) ? below(8) : 0;
	uint32_t count = below(3) ? 1 + below(8) : 0;
	struct node *source = node(who, from), *to = node(other ? (who + 1) % WORLD_ENVS : who, number);
	unsigned any = (unsigned)world_random() & 0xffff, rights = below(4) ? source->rights & any : any;
	int64_t wanted, result;

	if (source->type && source->type != EXO_TYPE_FRAME && below(8))
		first = count = 0;
	result = CALL(who, cap_derive, world_handle(who, from), other ? world_handle(who, SLOT_PEER) : 0,
	    number,
	    rights, first,
	    count);
	wanted = wanted_derive(source, to, rights, first, &count);
	if (wanted)
		return result == wanted;
	node_set(to, source->type, rights, source->first + first, count, source);
	return result == (int64_t)exo_cap_make(number, to->generation);
}

static bool step_delete(unsigned who)
{
	uint32_t number = SLOT_FREE + below(SLOTS - SLOT_FREE);
	int64_t result = world_finish(who, EXO_CALL_cap_delete, world_handle(who, number), 0);

	if (!node(who, number)->type)
		return result == ERR(CAP);
	node_drop(node(who, number));
	return result == 0;
}

static bool step_revoke(unsigned who)
{
	uint32_t number = below(SLOTS);
	int64_t result = world_finish(who, EXO_CALL_cap_revoke, world_handle(who, number), 0);

	if (!node(who, number)->type)
		return result == ERR(CAP);
	node_revoke(node(who, number));
	return result == 0;
}

static void test_random(unsigned steps)
{
	static bool (*const step[])(unsigned) = {
		step_take, step_take, step_derive, step_derive, step_derive, step_derive, step_derive,
		    step_delete,
		    step_revoke
	};
	unsigned i, which = 0, who = 0;
	bool good = true;

	world_boot(400);
	model_read();
	for (i = 0; i < steps && good; i++) {
		which = below(COUNT_OF(step));
		who = below(WORLD_ENVS);
		good = step[which](who) && model_agrees();
	}
	ok(good, "%u random steps agree with the model", steps);
	if (!good)
		printf("# step %u, kind %u by %u: result %lld\n", i, which, who, (long long)null.result);
}

/* An environment ends in the middle of everything: what was its own is free, what it derived to others
 * lives on. */
static void test_destroy(void)
{
	uint32_t before = info->frames_free, given;
	exo_cap_t a, control;
	unsigned i;

	a = take_many(2, 20, 90);
	is_int(CALL(2, cap_table, a, 0), 64, "a second table frame");
	for (i = 64; i < 120; i++)
		CALL(2, cap_derive, a, 0, i, RWX, i - 60, 3);
	is_int(CALL(2, cap_derive, a, world_handle(2, SLOT_PEER), 30, EXO_RIGHT_READ, 80, 5) > 0, 1,
	    "5 frames for another");
	is_int(CALL(2, cap_derive, a, 0, 120, RWX, 0, 1) > 0, 1, "one of its own table, in that table");
	is_int(CALL(2, account_make, 21, world_handle(2, SLOT_ACCOUNT), a, 89, 10) > 0, 1, "an account");
	is_int(CALL(2, space_create, 22, a, 88) > 0, 1, "a space");
	is_int(CALL(2, space_table, world_handle(2, 22), 0, EXO_LEVEL_512G, a, 87), 0, "with a table");
	is_int(CALL(2, cap_delete, a), ERR(BUSY), "it cannot delete what its objects lie in");
	cap_fill(cap_free_slot(world.env[0], 40), EXO_TYPE_ENV, EXO_RIGHT_CONTROL, 0,
	    (uint32_t)(world.env[2]->id >> 32),
	    world.env[2]->self, NULL, 40);
	control = world_handle(0, 40);
	given = info->frames_free;
	is_int(world_finish(0, EXO_CALL_env_destroy, control, 0), 0, "it is destroyed, in steps");
	ok(given <= before && info->frames_free == before + WORLD_RUN - 5,
	    "all is free but what it had given away");
	is_int(CALL(1, cap_derive, world_handle(1, SLOT_CONSOLE), world_handle(1, SLOT_PEER), 50, 1, 0, 0),
	    ERR(DEAD),
	    "nothing can be derived to it any more");
	is_int(CALL(0, cap_delete, world_handle(0, 30)), 0, "the other deletes the 5 frames");
	is_int(info->frames_free, before + WORLD_RUN, "all is free");
}

/* However many are revoked, one step does not take long: wide slices, and rings with the most transmit frames. */
static void test_revoke_steps(void)
{
	exo_cap_t all = (exo_cap_t)CALL(0, slice_take, 8, 0, 0, EXO_SLICES), part;
	unsigned i, steps = 0;
	int64_t result;

	for (i = 9; i < 49; i++)
		CALL(0, cap_derive, all, 0, i, EXO_RIGHT_READ, 0, EXO_SLICES);
	do {
		result = CALL(0, cap_revoke, all);
		steps++;
	} while (result == ERR(AGAIN));
	ok(result == 0 && steps >= 40 * EXO_SLICES / 256, "40 capabilities of all slices: %u steps", steps);
	is_int(CALL(0, cap_delete, all), 0, "and the one above");
	part = (exo_cap_t)CALL(0, slice_take, 8, 0, 0, EXO_SLICES);
	ok((int64_t)part > 0, "the slices are free");
	is_int(CALL(0, cap_delete, part), 0, "given back");
}

static void test_checker(void)
{
	struct exo_cap *cap = slot(0, SLOT_SELF);

	take(0, 20, 3);
	CALL(0, cap_derive, world_handle(0, 20), 0, 21, RWX, 0, 1);
	slot(0, 21)->first--;
	ok(world_check(), "the checker sees a child outside of its parent");
	slot(0, 21)->first++;
	slot(0, 21)->prev = cap_ref(cap);
	ok(world_check(), "the checker sees a broken list");
	slot(0, 21)->prev = 0;
	ok(!world_check(), "the world is whole again");
}

int main(void)
{
	world_boot(2000);
	test_derive_errors();
	test_orphans();
	test_losses();
	test_long_ranges();
	test_depth_and_full();
	test_table();
	world_boot(1000);
	test_revoke_steps();
	world_boot(1000);
	test_checker();
	world_boot(1000);
	test_destroy();
	test_random(world_steps(6000));
	return done();
}
