/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yield, sleep, slice_take, slice_bind: what they do, each of their errors, and abuse. Runs first: yes
 */
#include "test/guest/agent.h"

static exo_cap_t console;

TINY static void spin(uint64_t reasons)
{
	(void)reasons;
	for (;;)
		tiny_word(0)++;
}

static void yield(void)
{
	struct tiny agent;

	if (!ok(agent_make(&agent, 0), "an environment"))
		return;
	exo_cap_t weak = (exo_cap_t)caps_derive(agent.env, EXO_RIGHT_CONTROL, 0, 0);
	is(exo_yield(NO_CAP, 0), -EXO_ECAP, "yield CAP");
	is(exo_yield(console, 0), -EXO_ETYPE, "yield TYPE");
	is(exo_yield(weak, 0), -EXO_ERIGHTS, "yield RIGHTS");
	is(exo_yield(agent.env, 0), -EXO_ESTATE, "yield STATE: not started");
	tiny_start(&agent);
	ok(tiny_await(&agent, EXO_ENV_ASLEEP, 5000), "it sleeps");
	uint64_t upcalls = tiny_info(&agent)->upcalls;
	core_yield(agent.env);
	ok(tiny_info(&agent)->upcalls > upcalls, "yield wakes and runs it");
	ok(tiny_await(&agent, EXO_ENV_ASLEEP, 5000), "it sleeps again");
	uint32_t slot = caps_slot();
	exo_cap_t entry = made(slot, exo_entry_make(slot, core_named(EXO_NAME_ENV), 5));
	is(agent_do(&agent, EXO_CALL_yield, exo_cap_make(9, 1), 0, 0, 0, 0, 0), -EXO_ECAP, "from there: CAP");
	is(agent_do(&agent, EXO_CALL_yield, 0, 0, 0, 0, 0, 0), COMES_BACK,
	    "yield to whoever comes back as an upcall");
	caps_delete(entry);
	agent_do(&agent, EXO_CALL_env_exit, EXO_CAUSE_EXIT, 0, 0, 0, 0, 0);
	is(exo_yield(agent.env, 0), -EXO_EDEAD, "yield DEAD: ended");
	while (exo_env_destroy(agent.env) == -EXO_EAGAIN)
		;
	is(exo_yield(agent.env, 0), -EXO_EDEAD, "yield DEAD: destroyed");
	caps_delete(weak);
	tiny_drop(&agent);
}

/* A slice that is lent comes back at a time, and when the other does not want it; nobody else gets it. */
static void lend(void)
{
	struct tiny spinner, agent;
	uint32_t slot = caps_slot();

	if (!ok(tiny_make(&spinner, spin, 0) && agent_begin(&agent, 0), "one that never stops, one that sleeps"))
		return;
	exo_cap_t slices = made(slot, exo_slice_take(slot, 0, 0, EXO_SLICES));
	is(exo_slice_bind(slices, core_named(EXO_NAME_ENV)), EXO_SLICES, "all slices are our own");
	tiny_start(&spinner);
	exo_time_t until = 0;
	uint64_t rounds = spinner.word[0], wakes = 0;
	while (spinner.word[0] == rounds && ++wakes < 1000) {
		until = core_now() + core_info->slice_ns / 4;
		core_lend(spinner.env, until);
	}
	ok(spinner.word[0] > rounds, "lent until a time, it comes back (%lu)", wakes);
	rounds = spinner.word[0];
	uint64_t upcalls = tiny_info(&agent)->upcalls;
	for (int i = 0; i < 20; i++)
		core_lend(agent.env, EXO_NEVER);
	upcalls = tiny_info(&agent)->upcalls - upcalls;
	rounds = spinner.word[0] - rounds;
	ok(upcalls > 10 && !rounds, "lent to one that sleeps again, it passes by the one that is ready (%lu, %lu)",
	    upcalls, rounds);
	is(agent_do(&agent, EXO_CALL_yield, exo_cap_make(9, 1), EXO_NEVER, 0, 0, 0, 0), -EXO_ECAP, "lend CAP");
	is(exo_yield(console, core_now()), -EXO_ETYPE, "lend TYPE");
	core_lend(spinner.env, 1);
	ok(true, "lent until a time that has passed, it comes back");
	caps_delete(slices);
	tiny_drop(&spinner);
	tiny_drop(&agent);
}

static void sleep(void)
{
	exo_time_t now = core_now();
	struct tiny agent;

	is(exo_sleep(0, core_disp->events, 0), 0, "a time that has passed");
	is(exo_sleep(now, core_disp->events, 0), 0, "now");
	is(exo_sleep(EXO_NEVER, core_disp->events + 1, 0), 0, "an event count that is not so");
	is(exo_sleep(EXO_NEVER, ~0ULL, 0), 0, "any other");
	thread_sleep(now + 3 * MS);
	ok(core_now() >= now + 3 * MS, "not awake before the time");
	ok(core_now() < now + 2000 * MS, "and awake after it");
	if (!ok(agent_begin(&agent, 0), "an environment"))
		return;
	uint64_t upcalls = tiny_info(&agent)->upcalls;
	thread_sleep(core_now() + 20 * MS);
	ok(tiny_info(&agent)->upcalls == upcalls, "who sleeps for ever sleeps");
	now = core_now() + 60 * MS;
	is(agent_do(&agent, EXO_CALL_sleep, now, agent.disp->events, 0, 0, 0, 0), COMES_BACK,
	    "another's sleep");
	upcalls = tiny_info(&agent)->upcalls;
	ok(core_now() > now || tiny_state(&agent) == EXO_ENV_ASLEEP, "it sleeps");
	thread_sleep(now + 2 * MS);
	exo_time_t end = core_now() + 1000 * MS;
	while (tiny_info(&agent)->upcalls == upcalls && core_now() < end)
		core_yield(EXO_CAP_NONE);
	ok(tiny_info(&agent)->upcalls > upcalls && tiny_await(&agent, EXO_ENV_ASLEEP, 5000), "it was woken");
	tiny_drop(&agent);
}

static void take(void)
{
	uint32_t slot = caps_slot();
	exo_cap_t all;

	is(exo_slice_take(exo_cap_slot(console), 0, 0, 1), -EXO_ESLOT, "take SLOT: in use");
	is(exo_slice_take(0, 0, 0, 1), -EXO_ESLOT, "take SLOT: 0");
	is(exo_slice_take(NO_SLOT, 0, 0, 1), -EXO_ESLOT, "take SLOT: none");
	is(exo_slice_take(slot, core_info->cpus, 0, 1), -EXO_EINVAL, "take INVAL: no such CPU");
	is(exo_slice_take(slot, 1ULL << 32, 0, 1), -EXO_EINVAL, "take INVAL: CPU beyond 32 bits");
	is(exo_slice_take(slot, 0, EXO_SLICES, 1), -EXO_EINVAL, "take INVAL: first");
	is(exo_slice_take(slot, 0, 0, EXO_SLICES + 1), -EXO_EINVAL, "take INVAL: count");
	is(exo_slice_take(slot, 0, 1, EXO_SLICES), -EXO_EINVAL, "take INVAL: across the end");
	is(exo_slice_take(slot, 0, 63, ~0ULL), -EXO_EINVAL, "take INVAL: a sum that wraps");
	is(exo_slice_take(slot, 0, 1ULL << 32, 1), -EXO_EINVAL, "take INVAL: first beyond 32 bits");
	is(exo_slice_take(slot, 0, 0, 0), -EXO_EINVAL, "take INVAL: none");
	is(exo_slice_take(slot, 0, 60, 4), (int64_t)caps_handle(slot), "take four");
	ok(info_slice(60)->taken && info_slice(63)->taken && !info_slice(60)->env, "taken, bound to nobody");
	is(exo_slice_take(caps_slot(), 0, 63, 1), -EXO_EBUSY, "take BUSY");
	is(exo_slice_take(caps_slot(), 0, 0, 61), -EXO_EBUSY, "take BUSY: the last of many");
	exo_cap_t half = (exo_cap_t)caps_derive(caps_handle(slot), EXO_RIGHT_BIND, 2, 2);
	ok((uint32_t)cap_of(half)->first == 62 && cap_of(half)->count == 2, "derive two of them");
	is(exo_cap_derive(half, 0, caps_slot(), 0, 0, 3), -EXO_ERANGE, "not more than there are");
	is(exo_cap_delete(caps_handle(slot)), 0, "the first capability goes");
	ok(!info_slice(60)->taken && info_slice(62)->taken, "what the second covers stays taken");
	is(exo_cap_delete(half), 0, "it goes");
	ok(!info_slice(62)->taken, "all are free");
	slot = caps_slot();
	all = made(slot, exo_slice_take(slot, 0, 0, EXO_SLICES));
	ok(all != 0, "take all");
	is(exo_cap_delete(all), 0, "give all back");
}

static void bind(void)
{
	struct tiny runner, other;
	uint32_t slot = caps_slot();

	if (!ok(tiny_make(&runner, spin, 0) && tiny_make(&other, spin, 0),
		"two environments that never stop"))
		return;
	exo_cap_t slices = made(slot, exo_slice_take(slot, 0, 0, 48));
	exo_cap_t weak = (exo_cap_t)caps_derive(slices, EXO_RIGHT_READ, 0, 0);
	exo_cap_t weak_env = (exo_cap_t)caps_derive(runner.env, EXO_RIGHT_READ, 0, 0);
	is(exo_slice_bind(NO_CAP, 0), -EXO_ECAP, "bind CAP: slices");
	is(exo_slice_bind(console, 0), -EXO_ETYPE, "bind TYPE: slices");
	is(exo_slice_bind(weak, 0), -EXO_ERIGHTS, "bind RIGHTS: slices");
	is(exo_slice_bind(slices, NO_CAP), -EXO_ECAP, "bind CAP: env");
	is(exo_slice_bind(slices, console), -EXO_ETYPE, "bind TYPE: env");
	is(exo_slice_bind(slices, weak_env), -EXO_ERIGHTS, "bind RIGHTS: env");
	is(exo_slice_bind(slices, runner.env), 48, "bind 48");
	is(info_slice(47)->env, (uint32_t)runner.id, "the table says so");
	tiny_start(&runner);
	tiny_start(&other);
	thread_sleep(core_now() + 256 * MS);
	uint64_t hers = tiny_info(&runner)->ns, its = tiny_info(&other)->ns;
	ok(hers > its * 2, "48 slices of 64 and a share of the rest: %lu us, the other %lu us", hers / 1000,
	    its / 1000);
	ok(its > 4 * MS, "the other is not starved");
	is(exo_slice_bind(slices, 0), 48, "bind to nobody");
	is(info_slice(0)->env, 0, "the table says so");
	is(exo_slice_bind(slices, other.env), 48, "bind to the other");
	is(exo_cap_delete(slices), 0, "the capability goes, and the binding with it");
	ok(!info_slice(0)->env && info_slice(0)->taken, "they are taken still, by the derived one");
	is(exo_cap_delete(weak), 0, "that goes, too");
	slot = caps_slot();
	slices = made(slot, exo_slice_take(slot, 0, 0, 2));
	is(exo_slice_bind(slices, other.env), 2, "bind again");
	while (exo_env_destroy(other.env) == -EXO_EAGAIN)
		;
	is(info_slice(0)->env, 0, "the binding goes with the environment");
	is(exo_slice_bind(slices, other.env), -EXO_EDEAD, "bind DEAD");
	is(exo_cap_delete(slices), 0, "the slices are free");
	caps_delete(weak_env);
	tiny_drop(&other);
	tiny_drop(&runner);
}

int main(void)
{
	console = core_named(EXO_NAME_CONSOLE);
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		yield();
		lend();
		sleep();
		take();
		bind();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
