/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU sharing: four environments that never stop, and who of them has the CPU.
 *
 * This program owns all slices of its CPU (libos/sched/env.h). At each turn its policy names a client and a
 * time, and the slice is lent to it until then. Clients know nothing of it; the kernel knows no shares, no
 * deadlines, no priorities. What a client has received is read from the exposed table of environments,
 * without a call.
 *
 * Each client is to have a share of 10 to 40 %. For the policies that go by periods (EDF), the first three
 * have budgets of their shares in periods of 5, 7 and 11 ms, and the last one has what is left. For each 20
 * ms: what was due, and what was received.
 *
 * Arguments: how many ms each policy has (320).
 */
#include <stdlib.h>
#include <string.h>
#include "libos/core/space.h"
#include "libos/core/spawn.h"
#include "libos/sched/env.h"
#include "libos/vm/vm.h"

#define LAB_TYPE struct env_policy
#include "lab.h"

#define CLIENTS	4
#define MS	(CORE_SECOND / 1000)
#define WINDOW	20	/* ms */

static const struct {
	const char *name;
	uint64_t share, period_ms;	/* percent */
} wish[CLIENTS] = { { "a", 10, 5 }, { "b", 20, 7 }, { "c", 30, 11 }, { "d", 40, 0 } };

static struct env_client client[CLIENTS];
static struct env_sched sched;

/* --- clients: environments in this program's own space, which only spin --------------------------------- */

static unsigned char stack[CLIENTS][512] __attribute__((aligned(16)));

/* No-operations, which the emulator counts like any instruction and executes quickly. */
static _Noreturn void spin(void)
{
	for (;;)
		__asm__ volatile(".rept 480\n\tnop\n\t.endr");
}

static bool client_make(unsigned i)
{
	struct exo_env_params *params = core_arg(0);
	exo_vaddr_t page = vm_addresses(EXO_PAGE_SIZE);
	uint32_t slot = caps_slot();
	struct frame frame;

	*params = (struct exo_env_params){ .cpu = 0, .run_entry = (uint64_t)spin };
	strcpy(params->label, wish[i].name);
	if (!frame_alloc_object(4, &frame))
		return false;
	int64_t env = exo_env_create(slot, space_own(), EXO_CAP_NONE, frame.cap, frame.first, 0);
	if (env < 0 || space_map(page, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first + 1, 1))
		return false;
	struct exo_disp *disp = (struct exo_disp *)page;
	disp->upcall_sp = disp->off_sp = (uint64_t)stack[i] + sizeof(stack[i]) - 8;
	client[i].env = (exo_cap_t)env;
	client[i].id = disp->self;
	return exo_env_start(client[i].env) == 0;
}

/* --- what a policy says, believed only if it can be ----------------------------------------------------- */

static const struct env_policy *asked;
static uint32_t wrong;

static struct env_client *checked_pick(struct env_sched *all, exo_time_t now, exo_time_t *until)
{
	struct env_client *picked = asked->pick(all, now, until);

	for (unsigned i = 0; i < CLIENTS; i++)
		if (!picked || picked == &client[i])
			return picked;
	wrong++;
	return env_next(all);
}

static void checked_used(struct env_sched *all, struct env_client *one, uint64_t ns)
{
	if (asked->used)
		asked->used(all, one, ns);
}

static const struct env_policy checked = { "checked", checked_pick, checked_used };

/* --- running -------------------------------------------------------------------------------------------- */

static void run(const struct lab_choice *choice, unsigned windows)
{
	exo_time_t start = core_now() + MS;
	uint64_t before[CLIENTS] = { 0 };

	asked = choice->policy;
	wrong = 0;
	sched.last = NULL;
	sched.pass = 0;
	sched.seed = 88172645463325252;
	for (unsigned i = 0; i < CLIENTS; i++) {
		uint64_t period = wish[i].period_ms * MS;
		client[i] = (struct env_client){ .env = client[i].env, .id = client[i].id,
			.share = wish[i].share, .period = period, .budget = period * wish[i].share / 100,
			.release = start };
		if (asked != &env_edf && !strstr(asked->name, "edf"))
			client[i].period = 0;
		env_add(&sched, &client[i]);
	}
	env_run(&sched, start);
	for (unsigned i = 0; i < CLIENTS; i++)
		before[i] = client[i].ns;
	for (unsigned window = 1; window <= windows; window++) {
		exo_time_t from = core_now();
		env_run(&sched, start + window * WINDOW * MS);
		for (unsigned i = 0; i < CLIENTS; i++) {
			uint64_t tenths = (client[i].ns - before[i]) * 1000 / (core_now() - from);
			before[i] = client[i].ns;
			lab_row("%s,%s,%u,%lu.%lu", choice->name, wish[i].name, window * WINDOW, tenths / 10,
			    tenths % 10);
			lab_row("%s,due: %s,%u,%lu.0", choice->name, wish[i].name, window * WINDOW,
			    wish[i].share);
		}
	}
	if (wrong)
		lab_wrong(choice->name, "pick() named what is no client, %u times; the next in turn ran",
		    wrong);
	for (unsigned i = 0; i < CLIENTS; i++)
		env_remove(&sched, &client[i]);
}

int main(int argc, char **argv)
{
	char *end = "";
	unsigned ms = argc > 1 ? (unsigned)strtoul(argv[1], &end, 10) : 320;

	if (ms < WINDOW || ms > 100000 || *end) {
		printf("cpu: '%s' is no number of ms from %d to 100000\n", argv[1], WINDOW);
		return 2;
	}
	sched.policy = &checked;
	if (!info_env(0) || env_own(&sched, 0, EXO_SLICES) < 0) {
		printf("cpu: the CPU's slices cannot be had\n");
		return 1;
	}
	lab_columns("policy,client,ms,percent");
	for (unsigned i = 0; i < CLIENTS; i++)
		if (!client_make(i)) {
			printf("cpu: a client cannot be made\n");
			return 1;
		}
	for (unsigned c = 0; c < LAB_CHOICES; c++)
		run(&lab_choice[c], ms / WINDOW);
	for (unsigned i = 0; i < CLIENTS; i++)
		while (exo_env_destroy(client[i].env) == -EXO_EAGAIN)
			;
	return 0;
}
