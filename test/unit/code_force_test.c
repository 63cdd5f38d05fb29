/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Force against programs: a tenant that owes frames and has made programs of them, or has them pinned as programs' memory,
 * here and where another environment names the program.
 */
#include "exo/codes.h"
#include "libos/core/insn.h"
#include "test/unit/tap.h"
#include "test/unit/world.h"
#include "test/unit/tenants.h"

#define PROGRAM	30	/* frames of one */
#define WINDOW	8
#define VICTIM	handle(0, T_ACCOUNT + 1)

static const struct exo_insn keep[] = { INSN_OPI(MOV, 0, 0), INSN_EXIT };

/* Tenant 1's program in slot 41, of frames in slot 40, with a window of those in slot 42. */
static void make_program(void)
{
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = EXO_USE_PACKET, .insns = 2,
		.fuel = 100, .window[0] = { WINDOW, 0 } };
	char *at;

	take(1, 40, PROGRAM);
	take(1, 42, WINDOW);
	at = pfn_to_virt((exo_pfn_t)cap(1, 40)->first);
	memcpy(at, &header, sizeof(header));
	memcpy(at + EXO_CODE_INSNS, keep, sizeof(keep));
	is_int(AS(1, code_load, 41, handle(1, 40), 0, PROGRAM) > 0, 1, "a program");
	while (AS(1, code_step, handle(1, 41), 0) == ERR(AGAIN))
		;
	is_int(AS(1, code_bind, handle(1, 41), 0, handle(1, 42), 0), 0, "with memory");
	ok(code_ready(code_behind(cap(1, 41))), "ready");
}

static uint32_t force(void)
{
	uint32_t taken = 0;
	int64_t result;
	unsigned i;

	null.now += ANSWER;
	for (i = 0; i < 10000 && account_of(1)->demander; i++) {
		result = AS(0, repossess, VICTIM);
		if (result > 0)
			taken += (uint32_t)result;
		null.now += info->slice_ns / 8;
	}
	return taken;
}

static void test_force(bool shared)
{
	const struct exo_env_info *entry;
	uint64_t open;
	exo_pfn_t pfn;

	world_tenants(900, 400, 10);
	entry = tenant[1]->info;
	open = null.code_open;
	make_program();
	pfn = (exo_pfn_t)cap(1, 40)->first;
	if (shared)
		is_int(AS(1, cap_derive, handle(1, 41), handle(1, T_PEER(3)), 41, EXO_RIGHT_EXEC, 0, 0) > 0, 1, "named by another");
	is_int(AS(0, demand, VICTIM, EXO_TYPE_FRAME, 20), 0, "20 are demanded");
	is_int(force(), 20, "and taken");
	is_int(entry->cause, EXO_CAUSE_REPOSSESSED, "from one that has ended for it");
	ok(info_frame[pfn].state != EXO_FRAME_CODE || shared, "its program has gone");
	if (shared) {
		while (AS(2, cap_delete, handle(2, 41)) == ERR(AGAIN))
			;
	}
	ok(info_frame[pfn].state != EXO_FRAME_CODE && null.code_open == open, "no machine code is left open");
	ok(!world_check(), "all in order");
}

/* The window's frames go with the capability that they were lent through, while the program stays. */
static void test_window(void)
{
	world_tenants(900, 400, 10);
	make_program();
	take(1, 50, 60);
	is_int(AS(0, demand, VICTIM, EXO_TYPE_FRAME, 50), 0, "50 are demanded of one that has as many beside");
	is_int(force(), 50, "and taken");
	ok(env_state(tenant[1]) != EXO_ENV_ENDED && code_ready(code_behind(cap(1, 41))), "the program has its memory still");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_force(false);
	test_force(true);
	test_window();
	return done();
}
