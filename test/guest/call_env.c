/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * env_create, env_start, env_read, env_exit, env_destroy, env_fsbase: what they do, each of their errors, and abuse.
 */
#include "test/guest/agent.h"

static exo_cap_t console;

static void create(void)
{
	exo_cap_t frames = take_frames(8), space, account = core_named(EXO_NAME_ACCOUNT);
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	exo_cap_t weak_account = (exo_cap_t)caps_derive(account, EXO_RIGHT_READ, 0, 0);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	struct exo_env_params *params = core_arg(64);
	uint32_t slot = caps_slot();

	space = made(slot, exo_space_create(slot, frames, 0));
	exo_cap_t weak_space = (exo_cap_t)caps_derive(space, EXO_RIGHT_READ, 0, 0);
	slot = caps_slot();
#define CREATE(slot, space, account, frames, first, offset) \
	(memset(core_arg(0), 0, 256), strcpy(params->label, "label"), params->run_entry = 0x1234, \
	    exo_env_create(slot, space, account, frames, first, offset))
	is(CREATE(exo_cap_slot(frames), space, 0, frames, 1, 64), -EXO_ESLOT, "create SLOT: in use");
	is(CREATE(0, space, 0, frames, 1, 64), -EXO_ESLOT, "create SLOT: 0");
	is(CREATE(NO_SLOT, space, 0, frames, 1, 64), -EXO_ESLOT, "create SLOT: none");
	is(CREATE(slot, NO_CAP, 0, frames, 1, 64), -EXO_ECAP, "create CAP: space");
	is(CREATE(slot, console, 0, frames, 1, 64), -EXO_ETYPE, "create TYPE: space");
	is(CREATE(slot, weak_space, 0, frames, 1, 64), -EXO_ERIGHTS, "create RIGHTS: space");
	is(CREATE(slot, space, NO_CAP, frames, 1, 64), -EXO_ECAP, "create CAP: account");
	is(CREATE(slot, space, console, frames, 1, 64), -EXO_ETYPE, "create TYPE: account");
	is(CREATE(slot, space, weak_account, frames, 1, 64), -EXO_ERIGHTS, "create RIGHTS: account");
	is(CREATE(slot, space, 0, NO_CAP, 1, 64), -EXO_ECAP, "create CAP: frames");
	is(CREATE(slot, space, 0, console, 1, 64), -EXO_ETYPE, "create TYPE: frames");
	is(CREATE(slot, space, 0, read_only, 1, 64), -EXO_ERIGHTS, "create RIGHTS: frames");
	is(CREATE(slot, space, 0, frames, 5, 64), -EXO_ERANGE, "create RANGE: three frames");
	is(CREATE(slot, space, 0, frames, ~0ULL, 64), -EXO_ERANGE, "create RANGE: wraps");
	is(CREATE(slot, space, 0, frames, 1, 4080), -EXO_ERANGE, "create RANGE: offset does not fit");
	is(CREATE(slot, space, 0, frames, 1, 68), -EXO_ERANGE, "create RANGE: offset is no multiple of 8");
	is(CREATE(slot, space, 0, frames, 1, ~7ULL), -EXO_ERANGE, "create RANGE: offset wraps");
	is(CREATE(slot, space, 0, frames, 0, 64), -EXO_EBUSY, "create BUSY: a kernel object");
	space_map(va, EXO_MAP_READ, frames, 4, 1);
	is(CREATE(slot, space, 0, frames, 1, 64), -EXO_EBUSY, "create BUSY: mapped");
	space_map(va, 0, 0, 0, 1);
	memset(core_arg(0), 0, 256);
	params->cpu = core_info->cpus;
	is(exo_env_create(slot, space, 0, frames, 1, 64), -EXO_EINVAL, "create INVAL: CPU");
	params = core_arg(64);
	params->cpu = ~0ULL;
	is(exo_env_create(slot, space, 0, frames, 1, 64), -EXO_EINVAL, "create INVAL: CPU");
	ok(caps_at(slot)->type == EXO_TYPE_NONE && info_frame(pfn_of(frames) + 1)->state == EXO_FRAME_OWNED,
	    "nothing changed");
	exo_cap_t env = made(slot, CREATE(slot, space, account, frames, 1, 64));
	ok(env && cap_of(env)->rights == (EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL | EXO_RIGHT_WAKE), "create");
	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		if (info_env(i)->state == EXO_ENV_MADE)
			ok(!strcmp(info_env(i)->label, "label"), "its label is shown");
	is(exo_cap_delete(weak_space), 0, "capabilities of its space go");
	is(exo_cap_delete(space), 0, "all");
	is(exo_env_read(env, 0x1000, 0, 8), -EXO_ERANGE, "read RANGE: nothing is mapped in it");
	caps_delete(read_only);
	is(exo_cap_delete(frames), -EXO_EBUSY, "its frames cannot go");
	is(exo_env_destroy(env), 0, "destroy one that never ran");
	is(exo_env_start(env), -EXO_EDEAD, "start DEAD");
	is(exo_cap_delete(frames), 0, "its frames go");
	is(exo_cap_delete(env), 0, "and its capability");
	caps_delete(weak_account);
}

static void start(void)
{
	struct tiny agent;

	if (!ok(agent_make(&agent, 0), "an environment"))
		return;
	exo_cap_t weak = (exo_cap_t)caps_derive(agent.env, EXO_RIGHT_READ, 0, 0);
	is(exo_env_start(NO_CAP), -EXO_ECAP, "start CAP");
	is(exo_env_start(console), -EXO_ETYPE, "start TYPE");
	is(exo_env_start(weak), -EXO_ERIGHTS, "start RIGHTS");
	is(tiny_state(&agent), EXO_ENV_MADE, "it has not run");
	is(exo_env_start(agent.env), 0, "start");
	is(exo_env_start(agent.env), -EXO_ESTATE, "start STATE: twice");
	ok(tiny_await(&agent, EXO_ENV_ASLEEP, 5000), "it runs");
	is(exo_env_start(agent.env), -EXO_ESTATE, "start STATE: it has run");
	is(agent_do(&agent, EXO_CALL_env_exit, EXO_CAUSE_EXIT + 1, 0, 0, 0, 0, 0), -EXO_EINVAL, "exit INVAL");
	is(agent_do(&agent, EXO_CALL_env_exit, 32, 0, 0, 0, 0, 0), -EXO_EINVAL, "exit INVAL: 32");
	is(agent_do(&agent, EXO_CALL_env_exit, 1ULL << 32 | EXO_CAUSE_EXIT, 0, 0, 0, 0, 0), -EXO_EINVAL,
	    "exit INVAL: beyond 32 bits");
	uint64_t events = core_disp->events;
	agent_do(&agent, EXO_CALL_env_exit, EXO_CAUSE_EXIT, 0x123456789, 0, 0, 0, 0);
	is(tiny_state(&agent), EXO_ENV_ENDED, "exit");
	ok(tiny_info(&agent)->cause == EXO_CAUSE_EXIT && tiny_info(&agent)->status == 0x123456789,
	    "with its status");
	ok(core_disp->events > events, "its creator is told");
	is(exo_env_start(agent.env), -EXO_ESTATE, "start STATE: it has ended");
	caps_delete(weak);
	tiny_drop(&agent);
	agent_begin(&agent, 0);
	agent_do(&agent, EXO_CALL_env_exit, 13, 0x99, 0, 0, 0, 0);
	ok(tiny_info(&agent)->cause == 13 && tiny_info(&agent)->status == 0x99,
	    "exit with an exception's vector");
	tiny_drop(&agent);
}

static void read(void)
{
	struct tiny agent;
	uint64_t got[2];

	if (!ok(agent_begin(&agent, 0), "an environment"))
		return;
	agent.word[0] = agent.word[1] = 0x1122334455667788;
	exo_cap_t weak = (exo_cap_t)caps_derive(agent.env, EXO_RIGHT_CONTROL, 0, 0);
	int64_t done = exo_env_read(agent.env, TINY_DATA + 3, 100, 8);
	memcpy(got, core_arg(100), 8);
	is(done, 8, "read");
	ok(got[0] == 0x6677881122334455, "the bytes, unaligned (%lx)", (long)got[0]);
	*(volatile uint64_t *)core_arg(512) = 5;
	done = exo_env_read(agent.env, TINY_DATA - 4, 512, 12);
	memcpy(got, core_arg(512), 12);
	ok(done == 12 && (uint32_t)got[0] == 0 && got[0] >> 32 == 0x55667788, "across two pages");
	is(exo_env_read(agent.env, TINY_DATA, 0, 4096), 4096, "a whole page");
	is(exo_env_read(agent.env, TINY_DATA + 1, 0, 4096), 4096, "of two pages");
	is(exo_env_read(agent.env, 1, 4096, 0), 0, "nothing");
	is(exo_env_read(NO_CAP, TINY_DATA, 0, 8), -EXO_ECAP, "read CAP");
	is(exo_env_read(console, TINY_DATA, 0, 8), -EXO_ETYPE, "read TYPE");
	is(exo_env_read(weak, TINY_DATA, 0, 8), -EXO_ERIGHTS, "read RIGHTS");
	is(exo_env_read(agent.env, TINY_DATA, 4090, 7), -EXO_ERANGE, "read RANGE: the argument frame");
	is(exo_env_read(agent.env, TINY_DATA, 0, 4097), -EXO_ERANGE, "read RANGE: more than it");
	is(exo_env_read(agent.env, TINY_DATA, ~0ULL, 2), -EXO_ERANGE, "read RANGE: wraps");
	is(exo_env_read(agent.env, TINY_DATA, 0, ~0ULL), -EXO_ERANGE, "read RANGE: a wild count");
	is(exo_env_read(agent.env, 0, 0, 8), -EXO_ERANGE, "read RANGE: address 0");
	is(exo_env_read(agent.env, TINY_CAPS + 0xffc, 0, 8), -EXO_ERANGE,
	    "read RANGE: half of it is not mapped");
	is(exo_env_read(agent.env, EXO_USER_MAX - 4, 0, 8), -EXO_ERANGE,
	    "read RANGE: the end of user addresses");
	is(exo_env_read(agent.env, 0xffff800000000000, 0, 8), -EXO_ERANGE, "read RANGE: the kernel's half");
	is(exo_env_read(agent.env, ~3ULL, 0, 8), -EXO_ERANGE, "read RANGE: an address that wraps");
	is(exo_env_read(agent.env, 1ULL << 47, 0, 8), -EXO_ERANGE, "read RANGE: no address");
	is(exo_env_read(core_named(EXO_NAME_ENV), EXO_VA_ARG, 4, 64), 64,
	    "the own argument frame onto itself");
	agent_do(&agent, EXO_CALL_env_exit, EXO_CAUSE_EXIT, 0, 0, 0, 0, 0);
	is(exo_env_read(agent.env, TINY_DATA, 0, 8), 8, "read one that has ended");
	while (exo_env_destroy(agent.env) == -EXO_EAGAIN)
		;
	is(exo_env_read(agent.env, TINY_DATA, 0, 8), -EXO_EDEAD, "read DEAD");
	caps_delete(weak);
	tiny_drop(&agent);
}

static void destroy(void)
{
	struct tiny agent;
	unsigned calls = 1;
	int64_t result;

	if (!ok(agent_begin(&agent, 0), "an environment"))
		return;
	exo_cap_t weak = (exo_cap_t)caps_derive(agent.env, EXO_RIGHT_READ, 0, 0);
	is(exo_env_destroy(NO_CAP), -EXO_ECAP, "destroy CAP");
	is(exo_env_destroy(console), -EXO_ETYPE, "destroy TYPE");
	is(exo_env_destroy(weak), -EXO_ERIGHTS, "destroy RIGHTS");
	is(exo_env_destroy(core_named(EXO_NAME_ENV)), -EXO_ESTATE, "destroy STATE: itself");
	for (uint32_t slot = 1; slot < 60; slot++)
		agent_do(&agent, EXO_CALL_frame_take, slot, EXO_PFN_ANY, 2, 0, 0, 0);
	is(tiny_info(&agent)->frames, 59 * 2, "it holds something");
	while ((result = exo_env_destroy(agent.env)) == -EXO_EAGAIN) {
		ok(tiny_info(&agent)->state == EXO_ENV_ENDED &&
			tiny_info(&agent)->cause == EXO_CAUSE_DESTROYED,
		    "destroy AGAIN: it has ended");
		calls++;
	}
	is(result, 0, "destroyed");
	ok(calls > 1 && calls < 12, "in %u calls", calls);
	ok(tiny_info(&agent)->state == EXO_ENV_NONE && !tiny_info(&agent)->frames,
	    "its place is free, so are its frames");
	is(exo_env_destroy(agent.env), -EXO_EDEAD, "destroy DEAD");
	is(exo_env_destroy(agent.env), -EXO_EDEAD, "and again");
	uint32_t slot = caps_slot();
	is(exo_entry_make(slot, agent.env, 0), -EXO_EDEAD, "no entry to it");
	is(exo_yield(agent.env, 0), -EXO_EDEAD, "no yield to it");
	is(info_frame(pfn_of(agent.frames) + TINY_ENV)->state, EXO_FRAME_OWNED,
	    "its frame is ordinary memory");
	caps_delete(weak);
	tiny_drop(&agent);
}

/* A frame that was an environment holds nothing of it, and the new one in it is another. */
static void again(void)
{
	struct tiny agent;
	uint32_t slot = caps_slot();
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	bool clear = true;

	if (!ok(agent_begin(&agent, 1), "an environment"))
		return;
	while (exo_env_destroy(agent.env) == -EXO_EAGAIN)
		;
	space_map(va, EXO_MAP_READ, agent.frames, TINY_ENV, 1);
	for (unsigned i = 0; i < 512; i++)
		clear = clear && ((volatile uint64_t *)va)[i] == 0;
	ok(clear, "its frame has been cleared");
	space_map(va, 0, 0, 0, 1);
	space_map(tiny_window(&agent, 0), 0, 0, 0, 2);
	is(exo_cap_delete(agent.space), 0, "its space goes with the last capability");
	agent.space = 0;
	slot = caps_slot();
	exo_cap_t root = made(slot, exo_space_create(slot, agent.frames, agent.spare));
	memset(core_arg(0), 0, sizeof(struct exo_env_params));
	slot = caps_slot();
	exo_cap_t env = made(slot, exo_env_create(slot, root, 0, agent.frames, TINY_ENV, 0));
	ok(env != 0, "another one in the same frames");
	is(exo_env_destroy(agent.env), -EXO_EDEAD, "the old capability does not reach it");
	is(exo_env_read(agent.env, TINY_DATA, 0, 0), -EXO_EDEAD, "in no way");
	is(exo_env_destroy(env), 0, "its own does");
	caps_delete(env);
	caps_delete(root);
	tiny_drop(&agent);
}

/* All places of the table of environments. */
static void full(void)
{
	static exo_cap_t envs[600];
	exo_cap_t frames = take_frames(1), bags[100] = { 0 };
	uint32_t slot = caps_slot(), count = 0;
	int64_t result = 0;

	exo_cap_t space = made(slot, exo_space_create(slot, frames, 0));
	while (count < 600) {
		if (count % 6 == 0)
			bags[count / 6] = take_frames(24);
		slot = caps_slot();
		memset(core_arg(0), 0, sizeof(struct exo_env_params));
		result = exo_env_create(slot, space, 0, bags[count / 6], count % 6 * 4, 0);
		if (result < 0)
			break;
		envs[count++] = (exo_cap_t)result;
	}
	is(result, -EXO_EFULL, "create FULL");
	ok(count > 63 && count < core_info->envs.entries, "after %u of %u", count, core_info->envs.entries);
	bool good = true;
	for (uint32_t i = 0; i < count; i++)
		good = good && exo_env_destroy(envs[i]) == 0 && exo_cap_delete(envs[i]) == 0;
	ok(good, "all are destroyed");
	for (unsigned i = 0; i < 100; i++)
		if (bags[i])
			caps_delete(bags[i]);
	is(exo_cap_delete(space), 0, "and their space");
	is(exo_cap_delete(frames), 0, "and its frame");
}

static void fsbase(void)
{
	struct tiny agent;

	if (!ok(agent_begin(&agent, 0), "an environment"))
		return;
	is(agent_do(&agent, EXO_CALL_env_fsbase, 0x123456789000, 0, 0, 0, 0, 0), 0, "fsbase");
	is(agent_do(&agent, EXO_CALL_env_fsbase, EXO_USER_MAX - 1, 0, 0, 0, 0, 0), 0,
	    "the last user address");
	is(agent_do(&agent, EXO_CALL_env_fsbase, EXO_USER_MAX, 0, 0, 0, 0, 0), -EXO_EINVAL, "fsbase INVAL");
	is(agent_do(&agent, EXO_CALL_env_fsbase, 0xffff800000000000, 0, 0, 0, 0, 0), -EXO_EINVAL,
	    "the kernel's half");
	is(agent_do(&agent, EXO_CALL_env_fsbase, 1ULL << 47, 0, 0, 0, 0, 0), -EXO_EINVAL, "no address");
	is(agent_do(&agent, EXO_CALL_env_fsbase, ~0ULL, 0, 0, 0, 0, 0), -EXO_EINVAL, "the largest number");
	uint64_t base;
	__asm__("mov %%fs:0, %0" : "=r"(base));
	ok(base == thread_current->fs_base || base != 0, "the own base is as before");
	tiny_drop(&agent);
}

int main(void)
{
	console = core_named(EXO_NAME_CONSOLE);
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		create();
		start();
		read();
		destroy();
		again();
		fsbase();
		full();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
