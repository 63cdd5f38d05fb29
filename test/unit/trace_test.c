/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces as a table: who is traced through which capability, pins and flags, over random starts, stops, drops and ends
 * against a naive model; and what records hold. The ways of the machine's entry code are tested in the guest.
 */
#include <exo/trace.h>
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define RINGS	4		/* capabilities of each environment's, of RING frames */
#define RING	3
#define STEPS	6000

static struct {
	int by, ring;		/* who traces it, through which of his; -1: nobody */
} model[WORLD_ENVS];
static exo_pfn_t pfn[WORLD_ENVS][RINGS];

static exo_cap_t env_of(unsigned who, unsigned whom)
{
	return world_handle(who, 60 + whom);
}

static void prepare(void)
{
	world_boot(400);
	trace_init();
	for (unsigned i = 0; i < WORLD_ENVS; i++) {
		model[i].by = -1;
		for (unsigned j = 0; j < RINGS; j++) {
			(void)CALL(i, frame_take, 40 + j, EXO_PFN_ANY, RING);
			pfn[i][j] = (exo_pfn_t)cap_slot(world.env[i], 40 + j)->first;
		}
		for (unsigned j = 0; j < WORLD_ENVS; j++)
			cap_fill(cap_slot(world.env[i], 60 + j), EXO_TYPE_ENV, ENV_RIGHTS, 0, (uint32_t)(world.env[j]->id >> 32),
			    world.env[j]->self, NULL, 60 + j);
	}
}

/* Everything that the model says of pins and of what is traced is so. */
static bool same(void)
{
	for (unsigned i = 0; i < WORLD_ENVS; i++) {
		const struct env *env = world.env[i];
		if ((model[i].by >= 0) != (env->trace != NULL) || (model[i].by >= 0) != (env->arch.calls == 0) ||
		    (model[i].by >= 0) != ((env->resume & RESUME_TRACED) != 0))
			return false;
		for (unsigned j = 0; j < RINGS; j++) {
			unsigned pins = 0;
			for (unsigned k = 0; k < WORLD_ENVS; k++)
				pins += model[k].by == (int)i && model[k].ring == (int)j;
			if (info_frame[pfn[i][j]].state == EXO_FRAME_OWNED && frame_table[pfn[i][j]].pins != pins)
				return false;
		}
	}
	return !world_check();
}

static void start(unsigned by, unsigned whom, unsigned ring)
{
	int64_t result = CALL(by, trace, whom == by && below(2) ? 0 : env_of(by, whom), world_handle(by, 40 + ring), 0, RING,
	    EXO_TRACE_CALLS | below(16));
	bool busy = model[whom].by >= 0 && model[whom].by != (int)by && model[whom].by != (int)whom;

	for (unsigned k = 0; k < WORLD_ENVS; k++)
		busy |= model[k].by == (int)by && model[k].ring == (int)ring;
	if (busy != (result == ERR(BUSY)))
		ok(false, "trace(%u, %u, %u): %d", by, whom, ring, (int)result);
	if (result == 0) {
		model[whom].by = (int)by;
		model[whom].ring = (int)ring;
	}
}

static void stop(unsigned by, unsigned whom)
{
	int64_t result = CALL(by, trace, env_of(by, whom), 0, 0, 0, 0);
	bool busy = model[whom].by >= 0 && model[whom].by != (int)by && model[whom].by != (int)whom;

	if (busy != (result == ERR(BUSY)))
		ok(false, "stop(%u, %u): %d", by, whom, (int)result);
	if (result == 0)
		model[whom].by = -1;
}

/* The capability goes, and comes back with other frames. */
static void drop(unsigned by, unsigned ring)
{
	(void)world_finish(by, EXO_CALL_cap_delete, world_handle(by, 40 + ring), 0);
	for (unsigned k = 0; k < WORLD_ENVS; k++)
		if (model[k].by == (int)by && model[k].ring == (int)ring)
			model[k].by = -1;
	(void)CALL(by, frame_take, 40 + ring, EXO_PFN_ANY, RING);
	pfn[by][ring] = (exo_pfn_t)cap_slot(world.env[by], 40 + ring)->first;
}

static void test_random(void)
{
	unsigned steps = world_steps(STEPS), i;
	uint32_t before;
	bool good = true;

	prepare();
	before = info->frames_free;
	for (i = 0; i < steps && good; i++) {
		unsigned by = below(WORLD_ENVS), whom = below(WORLD_ENVS), ring = below(RINGS);
		if (below(3))
			start(by, whom, ring);
		else if (below(2))
			stop(by, whom);
		else
			drop(by, ring);
		good = same();
	}
	ok(good, "%u random starts, stops and drops: as the model says", i);
	env_end(world.env[1], EXO_CAUSE_DESTROYED, 0, 0);
	model[1].by = -1;
	ok(same(), "one ends");
	is_int(CALL(0, trace, env_of(0, 1), world_handle(0, 40), 0, 1, 1), ERR(DEAD), "DEAD");
	for (i = 0; i < RINGS; i++) {
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, 40 + i), 0);
		(void)world_finish(2, EXO_CALL_cap_delete, world_handle(2, 40 + i), 0);
	}
	is_int(info->frames_free - before, 2 * RINGS * RING, "without their capabilities no frame is kept");
	for (i = 0; i < RINGS; i++)
		(void)world_finish(0, EXO_CALL_env_destroy, env_of(0, 1), 0);
	ok(!world.env[0]->trace && !world.env[2]->trace, "one is destroyed: nothing is traced");
}

static void test_records(void)
{
	const struct exo_trace *ring;
	const struct exo_trace_record *record;

	prepare();
	ring = pfn_to_virt(pfn[0][0]);
	record = (const struct exo_trace_record *)(ring + 1);
	is_int(CALL(0, trace, env_of(0, 1), world_handle(0, 40), 0, 1, EXO_TRACE_CALLS), 0, "trace");
	null.now += 5;
	(void)CALL(1, null, 1, 2, 3);
	ok(ring->head == 2 && record[0].kind == EXO_TRACE_CALL && record[0].number == EXO_CALL_null && record[0].word[2] == 3 &&
	    record[0].time == null.now, "a call");
	ok(record[1].kind == EXO_TRACE_RESULT && record[1].number == EXO_CALL_null && !record[1].word[0], "its result");
	(void)CALL(0, null, 0);
	is_int((long long)ring->head, 2, "others' are not recorded");
	for (unsigned i = 0; i < 31; i++)
		(void)CALL(1, console_read, 5);
	ok(ring->head == 64 && record[0].kind == EXO_TRACE_RESULT && (int64_t)record[0].word[0] == ERR(CAP),
	    "the 64th lies over the first");
	(void)CALL(1, trace, 0, world_handle(1, 40), 0, 0, 0);
	is_int((long long)ring->head, 66, "its own attempt to stop it is recorded");
	ok(world.env[1]->trace != NULL, "and is of no use");
	((struct exo_trace *)pfn_to_virt(pfn[0][0]))->head = ~0ULL;
	((struct exo_trace *)pfn_to_virt(pfn[0][0]))->records = 1u << 31;
	(void)CALL(1, null, 0);
	ok(ring->head == 68 && !world_check(), "what the observer writes there misleads nobody");
}

/* Each is charged to its observer's account: within its limit, and of those that others are not guaranteed. */
static void test_charged(void)
{
	struct account *root, *mine;
	int64_t result = 0;
	unsigned i;

	prepare();
	world_tenant(0, 50);
	root = pfn_to_virt(world.root_account);
	mine = pfn_to_virt(world.env[0]->account);
	mine->view.share[EXO_SHARE_TRACES].limit = 2;
	for (i = 0; i < 2; i++)
		is_int(CALL(0, trace, env_of(0, i), world_handle(0, 40 + i), 0, 1, EXO_TRACE_CALLS), 0, "one");
	is_int(mine->view.share[EXO_SHARE_TRACES].used, 2, "both are charged");
	is_int(CALL(0, trace, env_of(0, 2), world_handle(0, 42), 0, 1, EXO_TRACE_CALLS), ERR(QUOTA), "QUOTA");
	ok(!world.env[2]->trace && !world_check(), "nothing has changed");
	is_int(CALL(0, trace, env_of(0, 1), world_handle(0, 42), 0, 1, EXO_TRACE_CALLS), 0, "but one takes the place of its own");
	is_int(CALL(1, trace, env_of(1, 2), world_handle(1, 40), 0, 1, EXO_TRACE_CALLS), 0, "others have their own limit");
	mine->view.share[EXO_SHARE_TRACES].limit = 1;
	is_int(CALL(0, trace, env_of(0, 1), world_handle(0, 41), 0, 1, EXO_TRACE_CALLS), 0,
	    "also when it has more than it may have by now");
	is_int(CALL(0, trace, env_of(0, 1), 0, 0, 0, 0) | CALL(0, trace, 0, 0, 0, 0, 0), 0, "they end");
	is_int(mine->view.share[EXO_SHARE_TRACES].used, 0, "nothing is charged");
	world.unchecked = true;
	while (!(result = account_take_kept(root, EXO_SHARE_TRACES, 1)))
		;
	is_int(result, ERR(FULL), "no more are in the machine");
	is_int(CALL(0, trace, 0, world_handle(0, 40), 0, 1, EXO_TRACE_CALLS), ERR(FULL), "FULL");
	account_charge(root, EXO_SHARE_TRACES, 1 - EXO_TRACES_MAX);
	world.unchecked = false;
	ok(!world_check(), "all in order");
}

int main(void)
{
	test_charged();
	test_records();
	test_random();
	return done();
}
