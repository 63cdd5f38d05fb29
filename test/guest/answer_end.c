/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a slice, answered: the hook runs in the time that is lent, the CPU is given up before it is
 * taken, to whom the hook names, and the program goes on where it was, registers and FPU as they were.
 * Without a hook nothing is said.
 *
 * Runs first: yes
 * Run with: --icount
 * Time limit: 60 s
 */
#include "test/guest/family.h"

#define RW	(EXO_RIGHT_READ | EXO_RIGHT_WRITE)

enum { READY, HOOKS, LATE, WRONG, ROUNDS, STOP, DIRECTED };

static exo_cap_t towards;

CORE_UPCALL static exo_cap_t hook(exo_time_t until, struct exo_regs *regs)
{
	family_word[HOOKS]++;
	family_word[LATE] += core_now() >= until;
	family_word[WRONG] += regs->cs == 0 || !regs->rsp || core_disp->off != EXO_OFF_YES;
	return towards;
}

/* Work whose every step is in registers of both kinds; what comes out is known. */
static double work(uint64_t *sum)
{
	double x = 1;

	for (uint64_t i = 1; i <= 100000; i++) {
		x = x * 1.000001 + (double)(i % 7);
		*sum = *sum * 6364136223846793005 + i;
	}
	return x;
}

static int worker(void)
{
	uint64_t first = 0, sum;
	double expected = work(&first);

	towards = core_named("director");
	if (!strcmp(core_argument(2), "hook"))
		core_on_slice_end(hook);
	family_word[READY] = 1;
	while (!family_word[STOP]) {
		sum = 0;
		family_word[WRONG] += work(&sum) != expected || sum != first;
		family_word[ROUNDS]++;
	}
	core_on_slice_end(NULL);
	return 0;
}

static void run(const char *how, bool directed)
{
	struct member member = { 0 };
	exo_cap_t self = EXO_CAP_NONE;
	exo_time_t turns = 0;

	for (unsigned i = 0; i < 8; i++)
		family_word[i] = 0;
	family_grant(&member, "page", family_page, RW, 1);
	if (directed) {
		self = (exo_cap_t)caps_derive(core_named(EXO_NAME_ENV), EXO_RIGHT_WAKE, 0, 0);
		family_grant(&member, "director", self, EXO_RIGHT_WAKE, 0);
	}
	member.spawn.slices = 4;
	if (!ok(family_make(&member, "worker", how) && spawn_start(&member.spawn) == 0 &&
			family_await_word(READY, 1, 10000),
		"a program that works in slices of its own, %s%s", how, directed ? ", directed" : ""))
		return;
	/* Another that is always ready, so that each slice ends. */
	exo_time_t end = core_now() + 300 * MS;
	while (core_now() < end || family_word[ROUNDS] < 3) {
		turns++;
		__asm__ volatile("pause");
	}
	const struct exo_env_info *info = info_env((uint32_t)member.spawn.id);
	printf("# %lu slice ends, %lu rounds, overrun %lu us, debt %lu us\n", (long)family_word[HOOKS],
	    (long)family_word[ROUNDS], (long)(info->overrun_ns / 1000), (long)(info->debt_ns / 1000));
	ok(family_word[ROUNDS] >= 3 && !family_word[WRONG], "it computes right all the time");
	if (!strcmp(how, "hook")) {
		ok(family_word[HOOKS] >= 3, "it is told when its slices end");
		ok(family_word[LATE] * 10 <= family_word[HOOKS], "in time (%lu late)",
		   (long)family_word[LATE]);
		ok(info->overrun_ns > 0, "what it uses beyond the end is counted");
	} else {
		ok(!family_word[HOOKS] && !info->overrun_ns, "nothing is said, nothing is lent");
	}
	family_word[STOP] = 1;
	ok(family_await(&member, EXO_ENV_ENDED, 5000) && info->cause == EXO_CAUSE_EXIT, "it ends by itself");
	family_drop(&member);
	if (self)
		caps_delete(self);
}

int main(void)
{
	const char *role = family_begin();

	if (role && !strcmp(role, "worker"))
		return worker();
	run("hook", false);
	run("hook", true);
	run("nothing", false);
	return call_done();
}
