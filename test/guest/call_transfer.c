/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entry_make, call, reply, send: what they do, each of their errors, and abuse.
 */
#include "test/guest/agent.h"

static exo_cap_t console;
static uint64_t word[4];

static exo_cap_t entry_to(exo_cap_t env, uint64_t badge)
{
	uint32_t slot = caps_slot();

	return made(slot, exo_entry_make(slot, env, badge));
}

static int64_t ask(exo_cap_t entry, exo_time_t deadline)
{
	for (uint64_t i = 0; i < 4; i++)
		word[i] = 100 * i;
	return exo_call(entry, deadline, word);
}

static void entries(void)
{
	struct tiny agent;
	uint32_t slot = caps_slot();

	if (!ok(agent_make(&agent, 0), "an environment"))
		return;
	exo_cap_t weak = (exo_cap_t)caps_derive(agent.env, EXO_RIGHT_READ | EXO_RIGHT_GRANT, 0, 0);
	is(exo_entry_make(exo_cap_slot(console), agent.env, 1), -EXO_ESLOT, "entry SLOT: in use");
	is(exo_entry_make(0, agent.env, 1), -EXO_ESLOT, "entry SLOT: 0");
	is(exo_entry_make(slot, NO_CAP, 1), -EXO_ECAP, "entry CAP");
	is(exo_entry_make(slot, console, 1), -EXO_ETYPE, "entry TYPE");
	is(exo_entry_make(slot, weak, 1), -EXO_ERIGHTS, "entry RIGHTS");
	exo_cap_t entry = entry_to(agent.env, 0xfedcba9876543210);
	ok(entry && cap_of(entry)->rights == EXO_RIGHT_EXEC && cap_of(entry)->first == 0xfedcba9876543210,
	    "entry_make");
	exo_cap_t own = entry_to(0, 3), no_exec = (exo_cap_t)caps_derive(entry, 0, 0, 0);
	is(ask(NO_CAP, EXO_NEVER), -EXO_ECAP, "call CAP");
	is(ask(console, EXO_NEVER), -EXO_ETYPE, "call TYPE");
	is(ask(no_exec, EXO_NEVER), -EXO_ERIGHTS, "call RIGHTS");
	is(ask(own, EXO_NEVER), -EXO_EBUSY, "call BUSY: itself");
	is(ask(entry, EXO_NEVER), -EXO_ESTATE, "call STATE: not started");
	is(exo_send(NO_CAP, 0, 0, 0, 0), -EXO_ECAP, "send CAP");
	is(exo_send(console, 0, 0, 0, 0), -EXO_ETYPE, "send TYPE");
	is(exo_send(no_exec, 0, 0, 0, 0), -EXO_ERIGHTS, "send RIGHTS");
	is(exo_send(own, 0, 0, 0, 0), -EXO_EBUSY, "send BUSY: itself");
	is(exo_send(entry, 0, 0, 0, 0), -EXO_ESTATE, "send STATE: not started");
	agent.disp->call_entry = 0;
	tiny_start(&agent);
	tiny_await(&agent, EXO_ENV_ASLEEP, 5000);
	is(ask(entry, EXO_NEVER), -EXO_ESTATE, "call STATE: no call_entry");
	is(ask(entry, core_now() + MS), -EXO_ESTATE, "call STATE: the same with a deadline");
	is(exo_send(entry, 0, 0, 0, 0), -EXO_ESTATE, "send STATE: no call_entry");
	is(exo_reply(0, 0, 0, 0, 0), -EXO_ESTATE, "reply STATE: nobody asked");
	is(exo_reply(~0ULL, 0, 0, 0, 0), -EXO_ESTATE, "reply STATE: nor so");
	while (exo_env_destroy(agent.env) == -EXO_EAGAIN)
		;
	is(ask(entry, EXO_NEVER), -EXO_EDEAD, "call DEAD: destroyed");
	is(exo_send(entry, 0, 0, 0, 0), -EXO_EDEAD, "send DEAD: destroyed");
	caps_delete(no_exec), caps_delete(own), caps_delete(entry), caps_delete(weak);
	tiny_drop(&agent);
}

static void call(void)
{
	struct tiny agent;

	if (!ok(agent_begin(&agent, 0), "a server"))
		return;
	exo_cap_t entry = entry_to(agent.env, 0xfedcba9876543210);
	is(ask(entry, EXO_NEVER), 7, "call");
	ok(word[0] == 301 && word[1] == 202 && word[2] == 103 && word[3] == 4, "four words come back");
	ok(agent.word[GOT] == 0 && agent.word[GOT + 1] == 100 && agent.word[GOT + 2] == 200 &&
		agent.word[GOT + 3] == 300,
	    "four words went there");
	ok(agent.word[BADGE] == 0xfedcba9876543210, "with the badge");
	ok(agent.word[CALLER] == core_disp->self && agent.word[WANTED] == 1, "and who asked");
	ok(tiny_await(&agent, EXO_ENV_ASLEEP, 5000), "the server sleeps again");
	is(ask(entry, core_now() + 1000 * MS), 7, "call with a deadline");
	is(ask(entry, core_now()), -EXO_ETIME, "call TIME: it has passed");
	is(ask(entry, 0), -EXO_ETIME, "call TIME: long ago");
	is((int64_t)agent.word[SERVED], 2, "those reached nobody");
	exo_cap_t derived = (exo_cap_t)caps_derive(entry, EXO_RIGHT_EXEC, 0, 0);
	agent.word[BADGE] = 0;
	is(ask(derived, EXO_NEVER), 7, "by a derived capability");
	ok(agent.word[BADGE] == 0xfedcba9876543210, "the badge is the same");
	is(agent_do(&agent, EXO_CALL_reply, 1, 2, 3, 4, 5, 0), -EXO_ESTATE, "a late reply");
	caps_delete(derived);

	agent.word[SERVE] = SERVE_REFUSE;
	is(ask(entry, EXO_NEVER), 7, "a negative status cannot be sent");
	is((int64_t)agent.word[RESULT], -EXO_EINVAL, "reply INVAL");
	agent.word[SERVE] = SERVE_YIELD;
	is(ask(entry, core_now() + 20 * MS), -EXO_ETIME, "a server that goes astray is cut off in time");
	ok(agent.disp->pending & EXO_EVENT_CUT, "it is told");
	ok(tiny_await(&agent, EXO_ENV_ASLEEP, 5000), "and sleeps again");
	agent.word[SERVE] = SERVE_SLEEP;
	exo_time_t end = core_now() + 10 * MS;
	is(ask(entry, end), -EXO_ETIME, "call TIME: a server that sleeps");
	ok(core_now() >= end && core_now() < end + 2000 * MS, "at the deadline");
	ok(agent.disp->pending & EXO_EVENT_CUT, "it gets CUT");
	is(agent_do(&agent, EXO_CALL_reply, 1, 2, 3, 4, 5, 0), -EXO_ESTATE, "reply STATE: too late");
	tiny_await(&agent, EXO_ENV_ASLEEP, 5000);
	agent.word[SERVE] = SERVE_REPLY;
	is(ask(entry, core_now() + 2000 * MS), 7, "it can be called again");
	agent.word[SERVE] = SERVE_SPIN;
	end = core_now() + 10 * MS;
	is(ask(entry, end), -EXO_ETIME, "call TIME: a server that never ends");
	ok(core_now() >= end && core_now() < end + 2000 * MS, "at the deadline");
	is(ask(entry, EXO_NEVER), -EXO_EBUSY, "call BUSY: it was interrupted with upcalls off");
	is(exo_send(entry, 0, 0, 0, 0), -EXO_EBUSY, "send BUSY: likewise");
	caps_delete(entry);
	tiny_drop(&agent);
}

/* The callee dies in the transfer; the caller is destroyed in it. */
static void deaths(void)
{
	static const uint64_t how[] = { SERVE_EXIT, SERVE_FAULT };
	struct tiny agent, client;

	for (unsigned i = 0; i < 2; i++) {
		if (!ok(agent_begin(&agent, 0), "a server"))
			return;
		exo_cap_t entry = entry_to(agent.env, 1);
		agent.word[SERVE] = how[i];
		is(ask(entry, i ? EXO_NEVER : core_now() + 2000 * MS), -EXO_EDEAD, "call DEAD: it dies");
		is(ask(entry, EXO_NEVER), -EXO_EDEAD, "call DEAD: it is dead");
		is(exo_send(entry, 0, 0, 0, 0), -EXO_EDEAD, "send DEAD");
		is(tiny_info(&agent)->cause, i ? 6 : EXO_CAUSE_EXIT, "of this cause");
		tiny_drop(&agent);
		caps_delete(entry);
	}
	if (!ok(agent_begin(&agent, 0) && agent_begin(&client, 0), "a server and a client"))
		return;
	exo_cap_t entry = entry_to(agent.env, 9);
	agent.word[SERVE] = SERVE_SLEEP;
	uint64_t there = (uint64_t)tiny_grant(&client, entry, 5, EXO_RIGHT_EXEC);
	agent_do(&client, EXO_CALL_call, there, EXO_NEVER, 1, 2, 3, 4);
	is(tiny_state(&client), EXO_ENV_CALLING, "the client waits");
	is(exo_yield(client.env, 0), -EXO_ESTATE, "yield STATE: it waits for a reply");
	is(ask(entry, EXO_NEVER), -EXO_EBUSY, "call BUSY: it serves");
	is(exo_send(entry, 0, 0, 0, 0), -EXO_EBUSY, "send BUSY: it serves");
	exo_cap_t back = entry_to(client.env, 8);
	is(ask(back, EXO_NEVER), -EXO_EBUSY, "call BUSY: it waits for another");
	tiny_drop(&client);
	ok(tiny_await(&agent, EXO_ENV_ASLEEP, 5000), "the client is destroyed, the server lives");
	ok(agent.disp->pending & EXO_EVENT_CUT, "and is told");
	is(agent_do(&agent, EXO_CALL_reply, 1, 2, 3, 4, 5, 0), -EXO_ESTATE, "there is nobody to reply to");
	agent.word[SERVE] = SERVE_REPLY;
	is(ask(entry, EXO_NEVER), 7, "it serves others");
	caps_delete(back), caps_delete(entry);
	tiny_drop(&agent);
}

static void chains(void)
{
	struct tiny agent[EXO_CHAIN_MAX + 2];
	exo_cap_t entry[EXO_CHAIN_MAX + 2];
	unsigned i, deep = EXO_CHAIN_MAX + 1;

	for (i = 0; i < deep; i++) {
		if (!agent_begin(&agent[i], 0))
			break;
		entry[i] = entry_to(agent[i].env, i);
		agent[i].word[SERVE] = SERVE_FURTHER;
	}
	if (!ok(i == deep, "%u servers", deep))
		return;
	for (i = 0; i < deep; i++)
		agent[i].word[FURTHER] =
		    (uint64_t)tiny_grant(&agent[i], entry[(i + 1) % deep], 5, EXO_RIGHT_EXEC);
	int64_t result = ask(entry[0], EXO_NEVER);
	is((int64_t)agent[EXO_CHAIN_MAX - 1].word[RESULT], -EXO_EDEPTH, "call DEPTH: the ninth in a chain");
	is(result, EXO_EDEPTH + EXO_CHAIN_MAX - 1, "all of them reply");
	is((int64_t)agent[EXO_CHAIN_MAX - 1].word[GOT], EXO_CHAIN_MAX - 1, "each was reached");
	is((int64_t)agent[EXO_CHAIN_MAX].word[SERVED], 0, "but for the ninth");
	agent[2].word[FURTHER] = (uint64_t)tiny_grant(&agent[2], entry[0], 6, EXO_RIGHT_EXEC);
	is(ask(entry[0], EXO_NEVER), EXO_EBUSY + 2, "call BUSY: a chain that closes");
	/* The deepest sleeps; those above are cut one by one, from either end. */
	agent[2].word[FURTHER] = (uint64_t)tiny_grant(&agent[2], entry[3], 7, EXO_RIGHT_EXEC);
	agent[4].word[SERVE] = SERVE_SLEEP;
	is(ask(entry[0], core_now() + 10 * MS), -EXO_ETIME, "the first caller's deadline passes");
	is(tiny_state(&agent[0]), EXO_ENV_CALLING, "the others wait on");
	agent_do(&agent[4], EXO_CALL_reply, 1, 0, 0, 0, 0, 0);
	ok(tiny_await(&agent[3], EXO_ENV_ASLEEP, 5000) && tiny_await(&agent[0], EXO_ENV_ASLEEP, 5000),
	    "until the deepest replies");
	is((int64_t)agent[0].word[RESULT], 1 + 3, "and those above it");
	for (i = 0; i < deep; i++)
		tiny_await(&agent[i], EXO_ENV_ASLEEP, 5000);
	agent[4].word[SERVE] = SERVE_SLEEP;
	is(ask(entry[0], core_now() + 10 * MS), -EXO_ETIME, "once more");
	tiny_drop(&agent[2]);
	tiny_await(&agent[0], EXO_ENV_ASLEEP, 5000);
	is((int64_t)agent[1].word[RESULT], -EXO_EDEAD, "the middle is destroyed: the one above gets DEAD");
	ok(agent[3].disp->pending & EXO_EVENT_CUT, "the one below is cut");
	ok(tiny_await(&agent[3], EXO_ENV_CALLING, 5000), "and waits for those below it");
	tiny_drop(&agent[4]);
	tiny_await(&agent[3], EXO_ENV_ASLEEP, 5000);
	is((int64_t)agent[3].word[RESULT], -EXO_EDEAD, "until they die");
	for (i = 0; i < deep; i++) {
		caps_delete(entry[i]);
		if (i != 2 && i != 4)
			tiny_drop(&agent[i]);
	}
}

static void send(void)
{
	struct tiny agent, client;

	if (!ok(agent_begin(&agent, 0) && agent_begin(&client, 0), "two environments"))
		return;
	exo_cap_t entry = entry_to(agent.env, 77);
	uint64_t there = (uint64_t)tiny_grant(&client, entry, 5, EXO_RIGHT_EXEC);
	agent.word[WANTED] = 5;
	is(agent_do(&client, EXO_CALL_send, there, 1, 2, 3, 4, 0), COMES_BACK,
	    "send comes back as an upcall");
	tiny_await(&agent, EXO_ENV_ASLEEP, 5000);
	ok(agent.word[GOT] == 1 && agent.word[GOT + 3] == 4 && agent.word[BADGE] == 77 &&
		agent.word[WANTED] == 0 && agent.word[CALLER] == client.id,
	    "the message is there, and no reply is wanted");
	is(agent_do(&agent, EXO_CALL_reply, 1, 2, 3, 4, 5, 0), -EXO_ESTATE, "nor possible");
	is(tiny_grant(&client, entry, 6, EXO_RIGHT_EXEC | EXO_RIGHT_READ), -EXO_ERIGHTS,
	    "rights are not gained on the way");
	caps_delete(entry);
	is(agent_do(&client, EXO_CALL_send, there, 1, 2, 3, 4, 0), COMES_BACK,
	    "what was derived of an entry lives on");
	tiny_drop(&client);
	tiny_drop(&agent);
}

/* What the floating-point registers hold does not go along, either way. */
TINY static void leak(uint64_t badge)
{
	uint64_t seen = 0, image[2];

	(void)badge;
	__asm__ volatile("movdqu %%xmm3, %0" : "=m"(image));
	seen = image[0] | image[1];
	__asm__ volatile("pcmpeqb %%xmm3, %%xmm3" ::: "xmm3");
	tiny_call(EXO_CALL_reply, 1, seen, 0, 0, 0, 0);
	for (;;)
		tiny_sleep(EXO_NEVER);
}

static void registers(void)
{
	struct tiny agent;
	uint64_t image[2];

	if (!ok(agent_begin(&agent, 0), "a server"))
		return;
	agent.disp->call_entry = (uint64_t)leak;
	exo_cap_t entry = entry_to(agent.env, 77);
	memset(word, 0, sizeof(word));
	__asm__ volatile("pcmpeqb %%xmm3, %%xmm3" ::: "xmm3");
	int64_t result = exo_call(entry, EXO_NEVER, word);
	__asm__ volatile("movdqu %%xmm3, %0" : "=m"(image));
	is(result, 1, "a server that looks at the floating-point registers");
	ok(word[0] == 0, "finds nothing of its caller's");
	ok(!(image[0] | image[1]), "nor does the caller of the server's");
	caps_delete(entry);
	tiny_drop(&agent);
}

int main(void)
{
	console = core_named(EXO_NAME_CONSOLE);
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		entries();
		call();
		deaths();
		chains();
		send();
		registers();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
