/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The small machine of the unit tests. What must hold after each call is checked by test/lib/invariants.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exo/disks.h"
#include "exo/spaces.h"
#include "test/lib/invariants.h"
#include "test/lib/random.h"
#include "test/unit/world.h"

struct world world;
static uint64_t seed = 0x9e3779b97f4a7c15;

/* --- making it ------------------------------------------------------------------------------------------ */

static int64_t frame_init_call(void *arg)
{
	(void)arg;
	frame_init();
	space_init();
	env_init();
	cpu_init();
	flow_init();
	disk_init();
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
	exo_pfn_t run = frame_boot_take(WORLD_RUN, EXO_FRAME_OWNED), i;
	struct env *env;

	space_make(run + 4);
	env = env_make(run, run + 4, world.root_account, &params, 0);
	world.env[who] = env;
	world.run[who] = run;
	for (i = run; i < run + WORLD_RUN; i++) {
		info_frame[i].owner = env->index;
		frame_table[i].account = env->account;
	}
	account_charge(pfn_to_virt(env->account), EXO_SHARE_FRAMES, WORLD_RUN);
	account_charge(pfn_to_virt(env->account), EXO_SHARE_ENVS, 1);
	env->info->frames += WORLD_RUN;
	fill_slot(who, SLOT_ENV, EXO_TYPE_ENV, ENV_RIGHTS, 0,
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

void world_tenant(unsigned who, uint32_t slot)
{
	exo_cap_t frame = (exo_cap_t)CALL(who, frame_take, slot, EXO_PFN_ANY, 1),
		  account = (exo_cap_t)CALL(who, account_make, slot + 1, world_handle(who, SLOT_ACCOUNT), frame, 0, EXO_UNLIMITED);
	struct env *env = world.env[who];

	account_charge(pfn_to_virt(env->account), EXO_SHARE_ENVS, -1);
	account_unuse(env);
	env->account = (exo_pfn_t)cap_slot(env, slot)->first;
	account_use(env);
	account_charge(pfn_to_virt(env->account), EXO_SHARE_ENVS, 1);
	CALL(who, cap_delete, account);
}

void world_boot(uint32_t frames)
{
	world_boot_cpus(frames, 1);
}

void world_boot_cpus(uint32_t frames, unsigned cpu_count)
{
	static bool seeded;
	unsigned i;

	if (!seeded && getenv("EXO_TEST_SEED"))
		seed ^= strtoull(getenv("EXO_TEST_SEED"), NULL, 0) * 0xd1342543de82ef95;
	seeded = true;
	memset(&world, 0, sizeof(world));
	memset(&kernel_lock_word, 0, sizeof(kernel_lock_word));
	null_boot_cpus(frames, cpu_count);
	memset(space_recent, 0, sizeof(space_recent));
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

	here.current = world.env[who];
	here.space = world.env[who]->root;
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
	return random_next(&seed) >> 16;
}

unsigned world_steps(unsigned n)
{
	const char *steps = getenv("EXO_TEST_STEPS"), *large = getenv("EXO_TEST_LONG");

	if (steps)
		return (unsigned)strtoul(steps, NULL, 0);
	return large && *large == '1' ? 20 * n : n;
}

const char *world_check(void)
{
	static struct invariants_room *room;
	static uint32_t frames;

	if (frames < info->frames_total) {
		free(room);
		frames = info->frames_total;
		room = malloc(invariants_bytes(frames));
	}
	return invariants_broken(room);
}
