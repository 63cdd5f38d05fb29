/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tenants for tests of accounts: environments of their own, each charged to an account with guarantees, on the small
 * machine of world.h.
 */
#ifndef TEST_UNIT_TENANTS_H
#define TEST_UNIT_TENANTS_H

#include <stdlib.h>
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define RWX	  (EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define TENANTS	  6
#define ANSWER	  1000000 /* ns */
#define T_SPACE	  2	  /* slots of each tenant: the maker's space, ... */
#define T_ACCOUNT 3	  /* ... accounts, one for each tenant, ... */
#define T_FREE	  12	  /* ... and its own */

static struct env *tenant[TENANTS];
static exo_pfn_t tenant_account[TENANTS];
static exo_cap_t pool; /* env 0's frames for accounts and environments, and how many of them are used */
static uint32_t pooled;

static __attribute__((unused)) struct account *account_of(unsigned i)
{
	return pfn_to_virt(tenant_account[i]);
}

/* A call by a tenant. */
static int64_t as(
    unsigned i, unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *was = world.env[1];
	int64_t result;

	world.env[1] = tenant[i];
	result = world_call(1, nr, a0, a1, a2, a3, a4, a5);
	world.env[1] = was;
	return result;
}
#define AS(i, name, ...) AS_(i, EXO_CALL_##name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define AS_(i, nr, a0, a1, a2, a3, a4, a5, ...)                                                              \
	as(i, nr, (uint64_t)(a0), (uint64_t)(a1), (uint64_t)(a2), (uint64_t)(a3), (uint64_t)(a4),            \
	    (uint64_t)(a5))

static struct exo_cap *cap(unsigned i, uint32_t slot)
{
	return cap_slot(tenant[i], slot);
}

static exo_cap_t handle(unsigned i, uint32_t slot)
{
	return exo_cap_make(slot, cap(i, slot)->generation);
}

static __attribute__((unused)) int64_t take(unsigned i, uint32_t slot, uint32_t count)
{
	int64_t result = AS(i, frame_take, slot, EXO_PFN_ANY, count < EXO_TAKE_MAX ? count : EXO_TAKE_MAX);

	while (result > 0 && cap(i, slot)->count < count) {
		uint32_t more = count - cap(i, slot)->count;

		result = AS(
		    i, frame_take, handle(i, slot), EXO_PFN_ANY, more < EXO_TAKE_MAX ? more : EXO_TAKE_MAX);
	}
	return result;
}

static __attribute__((unused)) uint32_t used(unsigned i)
{
	return account_of(i)->view.share[EXO_SHARE_FRAMES].used;
}

/* Guarantees of frames and slices, without limits. */
static int64_t share(exo_cap_t parent, exo_cap_t account, uint32_t frames, uint32_t slices)
{
	struct exo_shares *shares = (struct exo_shares *)world.env[0]->arg;
	unsigned kind;

	memset(shares, 0, sizeof(*shares));
	for (kind = 0; kind < EXO_SHARES; kind++)
		shares->share[kind].limit = EXO_UNLIMITED;
	shares->share[EXO_SHARE_FRAMES].guaranteed = frames;
	shares->share[EXO_SHARE_SLICES].guaranteed = slices;
	shares->answer_ns = ANSWER;
	return CALL(0, account_share, parent, account, 0);
}

/* An environment charged to the account in env 0's slot 20 + i, which is made below `parent`. */
static void make_tenant(unsigned i, exo_cap_t parent, uint32_t frames, uint32_t slices)
{
	struct exo_env_params *params = (struct exo_env_params *)world.env[0]->arg;
	bool good;

	good = CALL(0, account_make, 20 + i, parent, pool, pooled, EXO_UNLIMITED) > 0;
	good = good && !share(parent, world_handle(0, 20 + i), frames, slices);
	memset(params, 0, sizeof(*params));
	good = good && CALL(0, env_create, 30 + i, world_handle(0, SLOT_SPACE), world_handle(0, 20 + i), pool,
			   pooled + 1, 0) > 0;
	pooled += 5;
	if (!good) {
		printf("Bail out! no tenant: %lld\n", (long long)null.result);
		exit(1);
	}
	tenant_account[i] = cap_slot(world.env[0], 20 + i)->object;
	tenant[i] = pfn_to_virt(cap_slot(world.env[0], 30 + i)->object);
	env_set_state(tenant[i], EXO_ENV_ASLEEP);
	CALL(0, cap_derive, world_handle(0, SLOT_SPACE), world_handle(0, 30 + i), T_SPACE, EXO_RIGHT_WRITE, 0,
	    0);
}

/* Each can name each other's account, and the next one's environment. */
static void introduce(unsigned count)
{
	unsigned i, k;

	for (i = 0; i < count; i++)
		for (k = 0; k < count; k++)
			CALL(0, cap_derive, world_handle(0, 20 + k), world_handle(0, 30 + i), T_ACCOUNT + k,
			    EXO_RIGHT_READ, 0, 0);
	for (i = 0; i < count; i++)
		CALL(0, cap_derive, world_handle(0, 30 + (i + 1) % count), world_handle(0, 30 + i),
		    T_ACCOUNT + count, EXO_RIGHT_GRANT, 0, 0);
}
#define T_PEER(count) (T_ACCOUNT + (count))

/* Two tenants, the first guaranteed `due` frames and 8 slices, the second `own` frames. */
static __attribute__((unused)) void world_tenants(uint32_t frames, uint32_t due, uint32_t own)
{
	world_boot(frames);
	pool = (exo_cap_t)CALL(0, frame_take, SLOT_FREE, EXO_PFN_ANY, 24);
	pooled = 0;
	make_tenant(0, world_handle(0, SLOT_ACCOUNT), due, 8);
	make_tenant(1, world_handle(0, SLOT_ACCOUNT), own, 0);
	make_tenant(2, world_handle(0, SLOT_ACCOUNT), 0, 0);
	introduce(3);
}

#endif
