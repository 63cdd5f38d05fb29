/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Revocation against one who runs on another CPU all the while, and takes, gives, derives, deletes, maps and
 * retypes as fast as it can: what is demanded comes back, what is guaranteed stays, and every frame is
 * accounted for afterwards. Runs first: yes
 * Run with: --smp 2
 */
#define TINIES_MAX 12
#include <exo/account.h>
#include "test/guest/agent.h"

#define RW     (EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define KEPT   40
#define ASKED  60
#define MAPPED 0x580000ULL

enum { STOP = 40, ROUNDS, RANDOM };

/* Slots 20 to 27: runs; 30 to 37: what is derived from them; 40: a space. */
TINY static void restless(uint64_t reasons)
{
	uint64_t random = tiny_word(RANDOM), slot, handle;
	const struct exo_cap *caps = (const struct exo_cap *)TINY_CAPS;
	volatile struct exo_map *map = (volatile struct exo_map *)TINY_ARG;

	(void)reasons;
	tiny_disp->pending = 0;
	while (!tiny_word(STOP)) {
		random = random * 6364136223846793005 + 1442695040888963407;
		slot = 20 + (random >> 33) % 8;
		handle = slot | (uint64_t)caps[slot].generation << 32;
		switch ((random >> 40) % 8) {
		case 0:
		case 1:
			tiny_call(EXO_CALL_frame_take, slot, EXO_PFN_ANY, 24, 0, 0, 0);
			break;
		case 2:
			tiny_call(EXO_CALL_frame_take, handle, EXO_PFN_ANY, 8, 0, 0, 0);
			break;
		case 3:
			tiny_call(EXO_CALL_cap_derive, handle, 0, slot + 10, RW, 0, 0);
			break;
		case 4:
			handle = (slot + 10) | (uint64_t)caps[slot + 10].generation << 32;
			tiny_call(EXO_CALL_cap_delete, handle, 0, 0, 0, 0, 0);
			break;
		case 5:
			if ((random >> 50) % 8 == 0)
				tiny_call(EXO_CALL_cap_delete, handle, 0, 0, 0, 0, 0);
			break;
		case 6:
			map->va = MAPPED | EXO_MAP_READ | EXO_MAP_WRITE;
			map->cap = handle;
			map->first = 0;
			map->count = 8;
			tiny_call(EXO_CALL_space_write, exo_cap_make(3, 1), 0, 1, 0, 0, 0);
			break;
		default:
			tiny_call(EXO_CALL_space_create, 40, handle, 3, 0, 0, 0);
			handle = 40 | (uint64_t)caps[40].generation << 32;
			tiny_call(EXO_CALL_cap_delete, handle, 0, 0, 0, 0, 0);
		}
		tiny_word(ROUNDS)++;
	}
	tiny_word(RANDOM) = random;
	for (;;)
		tiny_sleep(EXO_NEVER);
}

static int64_t share(exo_cap_t account, uint32_t frames, uint32_t limit)
{
	struct exo_shares *want = core_arg(0);

	memset(want, 0, sizeof(*want));
	for (unsigned kind = 0; kind < EXO_SHARES; kind++)
		want->share[kind].limit = EXO_UNLIMITED;
	want->share[EXO_SHARE_FRAMES] = (struct exo_share){ frames, limit };
	want->answer_ns = core_info->slice_ns;
	return exo_account_share(core_named(EXO_NAME_ACCOUNT), account, 0);
}

static void race(unsigned round)
{
	exo_cap_t frames = take_frames(2), due, owes;
	exo_vaddr_t va = vm_addresses(2 * EXO_PAGE_SIZE);
	const volatile struct exo_account *asks = (void *)va, *has = (void *)(va + EXO_PAGE_SIZE);
	struct tiny agent, other;
	uint32_t slot = caps_slot(), taken = 0, short_of = 0;
	exo_cap_t held[30];
	unsigned demands = 0;
	int64_t result;

	due = made(slot, exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), frames, 0, EXO_UNLIMITED));
	slot = caps_slot();
	owes = made(slot, exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), frames, 1, EXO_UNLIMITED));
	ok(!share(due, ASKED, EXO_UNLIMITED) && !share(owes, KEPT, 300), "two accounts");
	space_map(va, EXO_MAP_READ, frames, 0, 2);
	tiny_account = due;
	if (!ok(agent_begin(&agent, 0), "the one asks"))
		return;
	tiny_account = owes;
	if (!ok(tiny_make(&other, restless, 0), "the other is restless"))
		return;
	tiny_account = 0;
	tiny_grant(&other, other.space, 3, EXO_RIGHT_WRITE);
	other.word[RANDOM] = round * 77 + 1;
	is(exo_env_move(other.env, 1), 0, "on another CPU");
	tiny_start(&other);
	exo_cap_t from = (exo_cap_t)tiny_grant(&agent, owes, 20, EXO_RIGHT_READ);
	for (exo_time_t end = core_now() + 12000 * MS; core_now() < end && demands < 8;) {
		result = agent_do(&agent, EXO_CALL_demand, from, EXO_TYPE_FRAME, ASKED, 0, 0, 0);
		if (result == -EXO_ESTATE)
			continue; /* it has not so much yet */
		demands += result == 0;
		while (has->demand_what) {
			result = agent_do(&agent, EXO_CALL_repossess, from, 0, 0, 0, 0, 0);
			taken += result > 0 ? (uint32_t)result : 0;
		}
		short_of += asks->credit[0] + asks->share[0].used < ASKED;
		unsigned n = 0;
		while (asks->credit[0] && n < 30) { /* by runs of whatever length there is */
			result = agent_do(&agent, EXO_CALL_frame_take, 30 + n, EXO_PFN_ANY,
			    asks->credit[0] < 24 ? asks->credit[0] : 24, 0, 0, 0);
			if (result > 0)
				held[n++] = (exo_cap_t)result;
		}
		while (n)
			agent_do(&agent, EXO_CALL_cap_delete, held[--n], 0, 0, 0, 0, 0);
	}
	ok(demands > 0 && other.word[ROUNDS] > 10,
	    "%u demands, %u frames taken by force, %u steps of the other", demands, taken,
	    (unsigned)other.word[ROUNDS]);
	is(short_of, 0, "each came back in full");
	other.word[STOP] = 1;
	tiny_await(&other, EXO_ENV_ASLEEP, 5000);
	if (!ok(tiny_state(&other) == EXO_ENV_ASLEEP, "it still lives"))
		printf("# cause %u, status %lx, rip %lx\n", tiny_info(&other)->cause,
		    tiny_info(&other)->status, tiny_info(&other)->rip);
	space_map(va, 0, 0, 0, 2);
	tiny_drop(&agent);
	tiny_drop(&other);
	is(exo_cap_delete(due) | exo_cap_delete(owes) | exo_cap_delete(frames), 0, "all goes");
}

int main(void)
{
	tiny_prepare();
	race(0);
	struct books before = books_now();
	race(1);
	race(2);
	ok(books_same(before), "the books are even");
	return call_done();
}
