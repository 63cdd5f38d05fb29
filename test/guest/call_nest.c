/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Callees that may be entered again, and windows of slots over a transfer: what call, reply and cap_derive do then,
 * each error, and abuse: chains that close, answers out of order, deadlines and deaths at each level, a window that
 * others try to fill, or that is changed on another CPU while it is used.
 *
 * Run with: --smp 2
 * Time limit: 60 s
 */
#include "test/guest/agent.h"

#define MARK	0x1234567890
#define FILL	10000		/* rounds at most of two CPUs on one window */
#define RW	(EXO_RIGHT_READ | EXO_RIGHT_WRITE)

static exo_cap_t console, own;
static volatile uint64_t served, served_badge, served_caller, served_off;

#pragma GCC push_options
#pragma GCC target("general-regs-only")
static void serve(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, bool reply)
{
	(void)w1, (void)w2, (void)w3, (void)reply;
	served++;
	served_badge = badge;
	served_caller = caller;
	served_off = *(volatile uint32_t *)&core_disp->off;
	exo_reply(50 + w0, 1, 2, 3, 4);
}
#pragma GCC pop_options

static int64_t ask(exo_cap_t entry, exo_time_t deadline)
{
	uint64_t word[4] = { 0 };

	return exo_call(entry, deadline, word);
}

static exo_cap_t entry_to(exo_cap_t env, uint64_t badge)
{
	uint32_t slot = caps_slot();

	return made(slot, exo_entry_make(slot, env, badge));
}

/* One that calls another with everything that it is called with. */
static void passes_on(struct tiny *agent, exo_cap_t entry, uint32_t slot)
{
	agent->word[SERVE] = SERVE_FURTHER;
	agent->word[FURTHER] = (uint64_t)tiny_grant(agent, entry, slot, EXO_RIGHT_EXEC);
}

/* --- entered again -------------------------------------------------------------------------------------- */

static void back(void)
{
	struct tiny agent;

	if (!ok(agent_begin(&agent, 0), "a server that calls back"))
		return;
	exo_cap_t entry = entry_to(agent.env, 1);
	passes_on(&agent, own, 5);
	core_disp->reenter = 0;
	is(ask(entry, EXO_NEVER), EXO_EBUSY, "who has not said so is BUSY");
	is((int64_t)agent.word[RESULT], -EXO_EBUSY, "for whom he calls, too");
	ok(served == 0, "it was not entered");
	core_disp->reenter = 1;
	is(ask(entry, EXO_NEVER), 52, "who has is entered while it waits");
	ok(served == 1 && served_badge == MARK && served_caller == agent.id, "with badge and caller");
	ok(served_off == EXO_OFF_YES && core_disp->off == EXO_OFF_NO, "with upcalls off, and on again afterwards");
	is(ask(entry, core_now() + 1000 * MS), 52, "with a deadline");
	is(exo_reply(0, 0, 0, 0, 0), -EXO_ESTATE, "reply STATE: all is answered");
	core_disp->reenter = 0;
	caps_delete(entry);
	tiny_drop(&agent);
}

static void bomb(void)
{
	struct tiny a, b;

	if (!ok(agent_begin(&a, 0) && agent_begin(&b, 0), "two that call each other"))
		return;
	exo_cap_t to_a = entry_to(a.env, 1), to_b = entry_to(b.env, 2);
	passes_on(&a, to_b, 5);
	passes_on(&b, to_a, 5);
	a.disp->reenter = 1;
	is(ask(to_a, EXO_NEVER), EXO_EBUSY + 2, "one of them may be entered again: it calls nobody who may not");
	b.disp->reenter = 1;
	is(ask(to_a, EXO_NEVER), EXO_EDEPTH + EXO_CHAIN_MAX - 1, "call DEPTH: as deep as it goes");
	ok(a.word[SERVED] == 2 + EXO_CHAIN_MAX / 2 && b.word[SERVED] == 1 + EXO_CHAIN_MAX / 2, "by turns");
	ok(tiny_await(&a, EXO_ENV_ASLEEP, 5000) && tiny_await(&b, EXO_ENV_ASLEEP, 5000), "both sleep again");
	ok(a.disp->call_sp == TINY_CALL_SP && b.disp->call_sp == TINY_CALL_SP, "their stacks are as before");
	is(ask(to_b, EXO_NEVER), EXO_EDEPTH + EXO_CHAIN_MAX - 1, "once more, from the other side");
	caps_delete(to_a), caps_delete(to_b);
	tiny_drop(&a), tiny_drop(&b);
}

/* A client that waits for a server which sleeps; others call it meanwhile. */
static struct tiny client, server;
static exo_cap_t to_client, to_server;

static bool waiting(void)
{
	if (!agent_begin(&client, 0) || !agent_begin(&server, 0))
		return false;
	to_client = entry_to(client.env, 3);
	to_server = entry_to(server.env, 4);
	server.word[SERVE] = SERVE_SLEEP;
	uint64_t there = (uint64_t)tiny_grant(&client, to_server, 5, EXO_RIGHT_EXEC);
	agent_do(&client, EXO_CALL_call, there, EXO_NEVER, 1, 2, 3, 4);
	return tiny_state(&client) == EXO_ENV_CALLING;
}

static void waiting_over(void)
{
	caps_delete(to_client), caps_delete(to_server);
	tiny_drop(&client), tiny_drop(&server);
}

static void strangers(void)
{
	if (!ok(waiting(), "a client that waits"))
		return;
	is(ask(to_client, EXO_NEVER), -EXO_EBUSY, "call BUSY: it waits");
	client.disp->reenter = 1;
	is(ask(to_client, EXO_NEVER), 7, "a stranger's call comes in on top");
	is(tiny_state(&client), EXO_ENV_CALLING, "then it waits on");
	is(exo_send(to_client, 0, 0, 0, 0), -EXO_EBUSY, "send BUSY: a message does not");
	client.word[SERVE] = SERVE_REFUSE;
	is(ask(to_client, EXO_NEVER), 7, "a negative status cannot be sent");
	client.word[SERVE] = SERVE_SLEEP;
	is(ask(to_client, core_now() + 5 * MS), -EXO_ETIME, "a handler that sleeps: TIME");
	ok(tiny_await(&client, EXO_ENV_ASLEEP, 5000), "it is still inside of it");
	ok(client.disp->pending & EXO_EVENT_CUT, "but was told");
	is(ask(to_client, core_now() + 5 * MS), -EXO_ETIME, "another on top of that");
	tiny_await(&client, EXO_ENV_ASLEEP, 5000);
	is(agent_do(&server, EXO_CALL_reply, 77, 1, 2, 3, 4, 0), COMES_BACK, "the server answers the outermost");
	ok(tiny_await(&client, EXO_ENV_ASLEEP, 5000), "which has to wait for those on top");
	agent_do(&client, EXO_CALL_reply, 5, 0, 0, 0, 0, 0);
	is((int64_t)client.word[RESULT], COMES_BACK, "the last ends, though nobody hears it");
	agent_do(&client, EXO_CALL_reply, 5, 0, 0, 0, 0, 0);
	is((int64_t)client.word[RESULT], 77, "the one before: now the answer is there");
	ok(client.word[WORDS] == 1 && client.word[WORDS + 3] == 4, "with its words");
	is(agent_do(&client, EXO_CALL_reply, 5, 0, 0, 0, 0, 0), -EXO_ESTATE, "and nothing more to end");
	client.word[SERVE] = SERVE_SPIN;
	is(ask(to_client, core_now() + 5 * MS), -EXO_ETIME, "a handler that never ends");
	is(ask(to_client, EXO_NEVER), -EXO_EBUSY, "call BUSY: it was interrupted with upcalls off, reenter or not");
	waiting_over();
}

static void cuts(void)
{
	struct tiny other;

	for (unsigned i = 0; i < 4; i++) {
		if (!ok(waiting() && agent_begin(&other, 0), "a client that waits, and another"))
			return;
		client.disp->reenter = 1;
		client.word[SERVE] = SERVE_SLEEP;
		uint64_t there = (uint64_t)tiny_grant(&other, to_client, 5, EXO_RIGHT_EXEC);
		agent_do(&other, EXO_CALL_call, there, EXO_NEVER, 0, 0, 0, 0);
		is(tiny_state(&other), EXO_ENV_CALLING, "who has called it");
		if (i == 0) {
			tiny_drop(&server);
			is(agent_do(&client, EXO_CALL_reply, 5, 0, 0, 0, 0, 0), -EXO_EDEAD, "the server died");
			tiny_await(&other, EXO_ENV_ASLEEP, 5000);
			is((int64_t)other.word[RESULT], 5, "the other one was answered");
		} else if (i == 1) {
			tiny_drop(&other);
			ok(client.disp->pending & EXO_EVENT_CUT, "the other one died");
			agent_do(&client, EXO_CALL_reply, 5, 0, 0, 0, 0, 0);
			is(tiny_state(&client), EXO_ENV_CALLING, "its handler ends: the client waits on");
			agent_do(&server, EXO_CALL_reply, 9, 0, 0, 0, 0, 0);
			tiny_await(&client, EXO_ENV_ASLEEP, 5000);
			is((int64_t)client.word[RESULT], 9, "and is answered");
		} else {
			tiny_drop(&client);
			tiny_await(&other, EXO_ENV_ASLEEP, 5000);
			is((int64_t)other.word[RESULT], -EXO_EDEAD, "the client died");
			ok(server.disp->pending & EXO_EVENT_CUT, "its server is told");
			is(agent_do(&server, EXO_CALL_reply, 5, 0, 0, 0, 0, 0), -EXO_ESTATE, "and late");
		}
		tiny_drop(&other);
		waiting_over();
	}
}

static void moving(void)
{
	if (!ok(waiting(), "a client that waits"))
		return;
	client.disp->reenter = 1;
	client.word[SERVE] = SERVE_SLEEP;
	is(ask(to_client, core_now() + 5 * MS), -EXO_ETIME, "inside of two");
	is(exo_env_move(client.env, 1), -EXO_EBUSY, "it is not moved");
	tiny_drop(&server);
	is(exo_env_move(client.env, 1), -EXO_EBUSY, "nor when nobody else is there any more");
	agent_do(&client, EXO_CALL_reply, 5, 0, 0, 0, 0, 0);
	tiny_await(&client, EXO_ENV_ASLEEP, 5000);
	is(exo_env_move(client.env, 1), 0, "but when all is over");
	waiting_over();
}

/* --- windows -------------------------------------------------------------------------------------------- */

static struct tiny taker;
static exo_cap_t to_taker;

/* What a call of the one that we call results in, while it serves. */
static int64_t meanwhile(uint64_t call, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	const uint64_t args[6] = { a0, a1, a2, a3, a4, a5 };

	taker.word[CALL] = call;
	for (unsigned i = 0; i < 6; i++)
		taker.word[ARGS + i] = args[i];
	taker.word[SERVE] = SERVE_DO;
	int64_t status = ask(to_taker, EXO_NEVER);
	return status == 7 ? (int64_t)taker.word[RESULT] : status;
}

#define derive(source, env, slot, rights, first, count) \
	meanwhile(EXO_CALL_cap_derive, source, env, slot, rights, first, count)

static void open_to(uint32_t offer, uint32_t offers, uint32_t window, uint32_t windows)
{
	core_disp->offer_first = offer;
	core_disp->offer_count = offers;
	core_disp->window_first = window;
	core_disp->window_count = windows;
}

static void arguments(exo_cap_t frames)
{
	uint32_t slot = exo_cap_slot(frames);

	open_to(0, 0, 0, 0);
	is(derive(EXO_PEER, 0, 20, RW, 0, 0), -EXO_ECAP, "derive CAP: nothing is offered");
	open_to(slot, 1, 0, 0);
	is(derive(EXO_PEER + 1, 0, 20, RW, 0, 0), -EXO_ECAP, "derive CAP: beyond the offer");
	is(derive(EXO_PEER + EXO_PEER_SLOTS, 0, 20, RW, 0, 0), -EXO_ECAP, "derive CAP: beyond any");
	is(derive(EXO_PEER, 0, 5, RW, 0, 0), -EXO_ESLOT, "derive SLOT: in use");
	is(derive(EXO_PEER, 0, 20, RW | EXO_RIGHT_GRANT, 0, 0), -EXO_ERIGHTS, "derive RIGHTS: more than there are");
	is(derive(EXO_PEER, 0, 20, RW, 4, 1), -EXO_ERANGE, "derive RANGE");
	is(derive(EXO_PEER, 0, 20, RW, 1, 2), (int64_t)exo_cap_make(20, 1), "two of the four frames that are offered");
	const struct exo_cap *got = (const struct exo_cap *)tiny_window(&taker, 3) + 20;
	ok(got->type == EXO_TYPE_FRAME && got->rights == RW && got->count == 2 && got->first == pfn_of(frames) + 1,
	    "are what it has");
	is(derive(exo_cap_make(20, 1), 0, 21, EXO_RIGHT_READ, 0, 1), (int64_t)exo_cap_make(21, 1), "it hands them on");
	open_to(caps_slot(), 1, 0, 0);
	is(derive(EXO_PEER, 0, 22, 0, 0, 0), -EXO_ECAP, "derive CAP: an empty slot is offered");
	open_to(EXO_CAP_FRAMES_MAX * EXO_CAPS_PER_FRAME - 1, 8, 0, 0);
	is(derive(EXO_PEER, 0, 22, 0, 0, 0), -EXO_ECAP, "derive CAP: a slot that the table has not");
	open_to(~0U, ~0U, ~0U, ~0U);
	is(derive(EXO_PEER, 0, 22, 0, 0, 0), -EXO_ECAP, "derive CAP: an offer beyond all tables");
	is(derive(exo_cap_make(20, 1), EXO_PEER, 3, 0, 0, 1), -EXO_ESLOT, "derive SLOT: a window beyond all tables");
	open_to(slot, 1, 0, 0);
	while (exo_cap_revoke(frames) == -EXO_EAGAIN)
		;
	ok(got->type == EXO_TYPE_NONE && got[1].type == EXO_TYPE_NONE, "revoking takes them back");
	is(agent_do(&taker, EXO_CALL_cap_derive, EXO_PEER, 0, 20, RW, 0, 0), -EXO_ESTATE, "derive STATE: it serves nobody");
}

static void results(exo_cap_t frames)
{
	uint32_t slot = caps_slot(), next = caps_slot();
	uint64_t theirs = (uint64_t)exo_cap_derive(frames, taker.env, 20, RW, 0, 4);

	if (!ok(next == slot + 1, "two slots in a row"))
		return;
	open_to(0, 0, 0, 0);
	is(derive(theirs, EXO_PEER, 0, RW, 0, 1), -EXO_ESLOT, "derive SLOT: no window is open");
	open_to(0, 0, slot, 2);
	is(derive(theirs, EXO_PEER, 2, RW, 0, 1), -EXO_ESLOT, "derive SLOT: beyond it");
	is(derive(theirs, EXO_PEER, slot, RW, 0, 1), -EXO_ESLOT, "derive SLOT: its number in the table is nothing");
	is(derive(theirs, EXO_PEER, 1, RW | EXO_RIGHT_GRANT, 0, 1), -EXO_ERIGHTS, "derive RIGHTS");
	exo_cap_t got = (exo_cap_t)derive(theirs, EXO_PEER, 1, RW, 2, 1);
	ok(got == caps_handle(next) && cap_of(got)->type == EXO_TYPE_FRAME, "into the window: its handle here");
	ok(cap_of(got)->first == pfn_of(frames) + 2 && cap_of(got)->count == 1, "with what was meant");
	is(derive(theirs, EXO_PEER, 1, RW, 0, 1), -EXO_ESLOT, "derive SLOT: each can be filled once");
	is(derive(theirs, EXO_PEER, got, RW, 3, 1), 1, "it grows by its handle");
	is(cap_of(got)->count, 2, "two frames");
	open_to(0, 0, slot, 1);
	is(derive(theirs, EXO_PEER, got, RW, 0, 1), -EXO_ESLOT, "derive SLOT: a handle outside of the window");
	open_to(exo_cap_slot(console), 1, slot, 1);
	got = (exo_cap_t)derive(EXO_PEER, EXO_PEER, 0, 0, 0, 0);
	ok(got == caps_handle(slot) && cap_of(got)->type == EXO_TYPE_CONSOLE, "from the offer into the window");
	caps_delete(caps_handle(slot)), caps_delete(caps_handle(next));
	is(agent_do(&taker, EXO_CALL_cap_derive, theirs, EXO_PEER, 0, RW, 0, 1), -EXO_ESTATE, "derive STATE: afterwards");
	open_to(0, 0, 0, 0);
}

static void windows(void)
{
	if (!ok(agent_begin(&taker, 0), "one that takes and gives"))
		return;
	space_map(tiny_window(&taker, 3), EXO_MAP_READ, taker.frames, TINY_CAPS_FRAME, 1);
	to_taker = entry_to(taker.env, 6);
	tiny_grant(&taker, to_taker, 5, EXO_RIGHT_EXEC);
	exo_cap_t frames = take_frames(4);
	arguments(frames);
	results(frames);
	caps_delete(frames), caps_delete(to_taker);
	tiny_drop(&taker);
}

/* Who may not: a stranger, whoever is not called, who was cut off, and who is called while the caller serves another. */
static void flooded(void)
{
	struct tiny stranger;

	if (!ok(waiting() && agent_begin(&stranger, 0), "a client with an open window, its server, a stranger"))
		return;
	uint64_t cap = (uint64_t)tiny_grant(&server, console, 20, 0);
	client.disp->window_first = 30;
	client.disp->window_count = 8;
	is(agent_do(&stranger, EXO_CALL_cap_derive, (uint64_t)tiny_grant(&stranger, console, 20, 0), EXO_PEER, 0, 0, 0, 0),
	    -EXO_ESTATE, "derive STATE: a stranger fills nothing");
	is(agent_do(&server, EXO_CALL_cap_derive, cap, EXO_PEER, 0, 0, 0, 0), exo_cap_make(30, 1), "the server does");
	client.disp->reenter = 1;
	client.word[SERVE] = SERVE_SLEEP;
	is(ask(to_client, core_now() + 5 * MS), -EXO_ETIME, "the client is entered by another");
	is(agent_do(&server, EXO_CALL_cap_derive, cap, EXO_PEER, 1, 0, 0, 0), -EXO_EBUSY, "derive BUSY: meanwhile");
	agent_do(&client, EXO_CALL_reply, 5, 0, 0, 0, 0, 0);
	is(agent_do(&server, EXO_CALL_cap_derive, cap, EXO_PEER, 1, 0, 0, 0), exo_cap_make(31, 1), "then it may again");
	for (uint32_t i = 2; i < 8; i++)
		agent_do(&server, EXO_CALL_cap_derive, cap, EXO_PEER, i, 0, 0, 0);
	is(agent_do(&server, EXO_CALL_cap_derive, cap, EXO_PEER, 7, 0, 0, 0), -EXO_ESLOT, "no more than was opened");
	agent_do(&server, EXO_CALL_reply, 5, 0, 0, 0, 0, 0);
	tiny_drop(&client);
	is(agent_do(&server, EXO_CALL_cap_derive, cap, EXO_PEER, 2, 0, 0, 0), -EXO_ESTATE, "derive STATE: the client is gone");
	tiny_drop(&stranger);
	waiting_over();
}

/* --- two CPUs ------------------------------------------------------------------------------------------- */

enum { STOP = AGENT_WORDS, ROUNDS, FILLED_IT, TOOK };

/* Opens and shuts the client's window, and fills and empties its slots by its own right, from the other CPU. */
TINY static void disturb(uint64_t reasons)
{
	volatile struct exo_disp *disp = (volatile struct exo_disp *)TINY_CAPS;
	uint64_t i;

	(void)reasons;
	for (i = 0; !tiny_word(STOP); i++) {
		disp->window_count = i % 3 * 4;
		disp->offer_count = i % 2;
		tiny_call(EXO_CALL_cap_derive, 1ULL << 32 | 2, 1ULL << 32 | 3, 30 + i % 8, 0, 0, 0);
		tiny_word(ROUNDS)++;
	}
	tiny_sleep(EXO_NEVER);
}

/* Calls, looks what is in the window, and empties it. */
TINY static void use_window(uint64_t reasons)
{
	volatile struct exo_cap *caps = (volatile struct exo_cap *)TINY_CAPS;
	uint64_t i, slot;

	(void)reasons;
	for (i = 0; i < FILL && !tiny_word(STOP); i++) {
		tiny_call(EXO_CALL_call, 1ULL << 32 | 5, EXO_NEVER, i % 8, 0, 0, 0);
		for (slot = 30; slot < 38; slot++)
			if (caps[slot].type == EXO_TYPE_CONSOLE)
				tiny_call(EXO_CALL_cap_delete, (uint64_t)caps[slot].generation << 32 | slot, 0, 0, 0, 0, 0);
		tiny_word(ROUNDS)++;
	}
	tiny_word(STOP) = 1;
	for (;;)
		tiny_sleep(EXO_NEVER);
}

TINY static void fill_window(uint64_t badge, uint64_t caller, uint64_t index)
{
	(void)badge, (void)caller;
	if (tiny_call(EXO_CALL_cap_derive, 1ULL << 32 | 2, EXO_PEER, index, 0, 0, 0) > 0)
		tiny_word(FILLED_IT)++;
	if (tiny_call(EXO_CALL_cap_derive, EXO_PEER, 0, 40, 0, 0, 0) > 0) {
		tiny_word(TOOK)++;
		tiny_call(EXO_CALL_cap_delete, (tiny_word(TOOK) << 32) | 40, 0, 0, 0, 0, 0);
	}
	tiny_call(EXO_CALL_reply, 0, 0, 0, 0, 0, 0);
	for (;;)
		tiny_sleep(EXO_NEVER);
}

static void two_cpus(void)
{
	struct tiny user, filler, disturber;
	bool good = tiny_make(&user, use_window, 0) && agent_begin(&filler, 0);

	tiny_cpu = 1;
	good = good && tiny_make(&disturber, disturb, 0);
	tiny_cpu = 0;
	if (!ok(good, "a client and a server, and one on another CPU"))
		return;
	exo_cap_t entry = entry_to(filler.env, 1);
	filler.disp->call_entry = (uint64_t)fill_window;
	tiny_grant(&user, entry, 5, EXO_RIGHT_EXEC);
	tiny_grant(&user, console, 29, 0);
	tiny_grant(&filler, console, 2, 0);
	tiny_grant(&disturber, console, 2, 0);
	tiny_grant(&disturber, user.env, 3, EXO_RIGHT_GRANT);
	write_one(disturber.space, TINY_CAPS | EXO_MAP_READ | EXO_MAP_WRITE, user.frames, TINY_DISP_FRAME, 1);
	user.disp->window_first = 30;
	user.disp->offer_first = 29;
	tiny_start(&disturber);
	tiny_start(&user);
	exo_time_t end = core_now() + 4000 * MS, last = end + 30000 * MS;	/* longer on a busy computer */
	while (!user.word[STOP] && (core_now() < end ||
	    (core_now() < last && (user.word[ROUNDS] <= 20 || disturber.word[ROUNDS] <= 20))))
		core_sleep(core_now() + MS, core_disp->events);
	disturber.word[STOP] = 1;
	ok(user.word[ROUNDS] > 20 && disturber.word[ROUNDS] > 20, "both went round (%lu, %lu)",
	    (long)user.word[ROUNDS], (long)disturber.word[ROUNDS]);
	ok(filler.word[FILLED_IT] && filler.word[TOOK], "the window was filled, and taken from (%lu, %lu)",
	    (long)filler.word[FILLED_IT], (long)filler.word[TOOK]);
	caps_delete(entry);
	tiny_drop(&disturber), tiny_drop(&user), tiny_drop(&filler);
}

int main(void)
{
	console = core_named(EXO_NAME_CONSOLE);
	core_call_handler = serve;
	tiny_prepare();
	own = entry_to(0, MARK);
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		served = 0;
		back();
		bomb();
		strangers();
		cuts();
		moving();
		windows();
		flooded();
		two_cpus();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
