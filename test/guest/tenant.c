/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints what its configuration gave it, for test/e2e/tenants.py: CPU, slices, capabilities for the
 * accounts of others, and what its limits and a demand say; leaves environments behind that nobody names, and counts those
 * that there are; counts beside a flood of packets, and before. Not a test by itself.
 *
 * Usage: tenant look OTHER | tenant hold | tenant pause MILLISECONDS | tenant orphans | tenant count MILLISECONDS |
 * tenant work MILLISECONDS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define HELD	100	/* frames of `hold` */
#define ORPHANS	3
#define ORPHAN	"orphan"
#define BEGUN	100	/* packets: the flood has begun */
#define FLOOD	1500	/* and is over */

static unsigned slices_of(uint32_t cpu, uint32_t env)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < EXO_SLICES; i++)
		count += info_slice(cpu * EXO_SLICES + i)->env == env;
	return count;
}

/* Another environment, which its limit may forbid; `keep`: it stays, though nobody names it. */
static int64_t make_env(bool keep)
{
	struct exo_env_params *params = core_arg(0);
	struct frame frame;
	uint32_t space = caps_slot();

	if (!frame_alloc_run(5, &frame) || exo_space_create(space, frame.cap, frame.first) < 0)
		return 1;
	uint32_t env = caps_slot();
	memset(params, 0, sizeof(*params));
	memcpy(params->label, ORPHAN, sizeof(ORPHAN));
	int64_t made = exo_env_create(env, caps_handle(space), EXO_CAP_NONE, frame.cap, frame.first + 1, 0);
	if (made > 0 && keep)
		caps_delete((exo_cap_t)made);
	else if (made > 0)
		while (exo_env_destroy((exo_cap_t)made) == -EXO_EAGAIN)
			;
	caps_delete(caps_handle(space));
	return made;
}

/* A page of its own to be executed. */
static int64_t executable(void)
{
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	struct frame frame;

	if (!frame_alloc_run(1, &frame))
		return -EXO_EFULL;
	return space_map(va, EXO_MAP_READ | EXO_MAP_EXEC, frame.cap, frame.first, 1);
}

static const char *outcome(int64_t error)
{
	return error < 0 ? exo_error_name(error) : "good";
}

static int look(const char *other)
{
	const struct exo_env_info *own = info_env((uint32_t)core_disp->self);
	char name[EXO_START_NAME];
	exo_cap_t account;

	core_format(name, sizeof(name), "account:%s", other);
	account = core_named(name);
	printf("cpu %u slices %u\n", own->cpu, slices_of(own->cpu, (uint32_t)own->id));
	printf("rights %x\n", account ? caps_at(exo_cap_slot(account))->rights : 0);
	printf("archive %s\n", core_named("archive") ? "given" : "none");
	printf("envs %s\n", outcome(make_env(false)));
	printf("slice %s\n", outcome(exo_slice_take(caps_slot(), own->cpu, EXO_SLICES - 8, 8)));
	printf("exec %s\n", outcome(executable()));
	thread_sleep(core_now() + CORE_SECOND / 5);	/* until it holds something */
	printf("demand %s\n", outcome(exo_demand(account, EXO_TYPE_FRAME, 1)));
	return 0;
}

static unsigned orphans(void)
{
	unsigned count = 0;

	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		count += info_env(i)->state != EXO_ENV_NONE && !strcmp(info_env(i)->label, ORPHAN);
	return count;
}

static uint64_t arrived(void)
{
	return *(const volatile uint64_t *)&core_info->device[0].rx_packets;
}

/* What it does in this time, or until so many packets have arrived in all. */
static double work(uint64_t ns, uint64_t packets, uint64_t *took)
{
	exo_time_t begin = core_now();
	double count = 0;

	while (core_now() < begin + ns && arrived() < packets) {
		for (volatile int i = 0; i < 50; i++)
			;
		count++;
	}
	*took = core_now() - begin;
	return count;
}

static int beside_flood(uint64_t ns)
{
	uint64_t over = 0, took, before = arrived();

	thread_sleep(core_now() + ns);	/* until all have started */
	double quiet = work(ns, ~0ULL, &took) / (double)took;
	printf("go\n");
	for (exo_time_t end = core_now() + 20 * CORE_SECOND; arrived() < before + BEGUN && core_now() < end;)
		thread_sleep(core_now() + CORE_SECOND / 1000);
	before = arrived();
	double flooded = work(5 * CORE_SECOND, before + FLOOD, &took) / quiet;
	uint64_t packets = arrived() - before;
	for (uint32_t i = 0; i < core_info->flows.entries; i++)
		over += info_flow(i)->rx_over;
	printf("of %lu us %lu are left, packets %lu over %lu\n", (long)(took / 1000), (long)(flooded / 1000), (long)packets,
	       (long)over);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t ns = argc > 2 ? (uint64_t)atoi(argv[2]) * (CORE_SECOND / 1000) : 0;
	struct frame frame;

	if (!info_env(1) || !info_slice(0) || !info_flow(0))
		return 2;
	if (argc > 1 && !strcmp(argv[1], "orphans")) {
		for (unsigned i = 0; i < ORPHANS; i++)
			if (make_env(true) < 0)
				return 4;
		return orphans() == ORPHANS ? 0 : 5;
	}
	if (argc > 2 && !strcmp(argv[1], "count")) {
		thread_sleep(core_now() + ns);
		printf("orphans %u\n", orphans());
		return 0;
	}
	if (argc > 2 && !strcmp(argv[1], "work"))
		return beside_flood(ns);
	if (argc > 2 && !strcmp(argv[1], "look"))
		return look(argv[2]);
	if (argc > 2 && !strcmp(argv[1], "pause")) {
		thread_sleep(core_now() + ns);
		return 0;
	}
	for (unsigned i = 0; i < HELD; i++)
		if (!frame_alloc(&frame))
			return 3;
	for (;;)
		thread_sleep(core_now() + CORE_SECOND);
}
