/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entry_open, entry_take: what they do, each of their errors, and abuse: names that are guessed, kept too long, or of
 * what was never opened.
 */
#include "test/guest/agent.h"

#define MARK	0xabcdef
#define MANY	200		/* more than one step of a revocation */

static exo_cap_t console, account, other_account, frames;
static struct tiny server, inside, outside;

static exo_cap_t entry_to(exo_cap_t env)
{
	uint32_t slot = caps_slot();

	return made(slot, exo_entry_make(slot, env, MARK));
}

static exo_cap_t account_below(exo_cap_t parent, uint32_t frame)
{
	uint32_t slot = caps_slot();

	return made(slot, exo_account_make(slot, parent, frames, frame, 1000));
}

/* What takes an entry that we have opened: in an environment of the account, or in one of another. */
static int64_t take(const struct tiny *who, uint64_t slot, exo_cap_t name)
{
	return agent_do(who, EXO_CALL_entry_take, slot, core_disp->self, name, 0, 0, 0);
}

/* What its call comes back with. */
static int64_t calls(const struct tiny *who, exo_cap_t entry)
{
	agent_do(who, EXO_CALL_call, entry, EXO_NEVER, 1, 2, 3, 4);
	tiny_await(who, EXO_ENV_ASLEEP, 5000);
	return (int64_t)who->word[RESULT];
}

static int64_t drop(const struct tiny *who, uint32_t slot)
{
	const struct exo_cap *cap = (const struct exo_cap *)tiny_window(who, 3) + slot;

	return agent_do(who, EXO_CALL_cap_delete, exo_cap_make(slot, cap->generation), 0, 0, 0, 0, 0);
}

static bool prepare(void)
{
	frames = take_frames(3);
	account = account_below(core_named(EXO_NAME_ACCOUNT), 0);
	other_account = account_below(core_named(EXO_NAME_ACCOUNT), 1);
	exo_cap_t below = account_below(account, 2);
	bool good = account && other_account && below && agent_begin(&server, 0);
	tiny_account = below;
	good = good && agent_begin(&inside, 0);
	tiny_account = other_account;
	good = good && agent_begin(&outside, 0);
	tiny_account = 0;
	caps_delete(below);
	if (!good)
		return false;
	space_map(tiny_window(&inside, 3), EXO_MAP_READ, inside.frames, TINY_CAPS_FRAME, 1);
	space_map(tiny_window(&outside, 3), EXO_MAP_READ, outside.frames, TINY_CAPS_FRAME, 1);
	return true;
}

static void opened(void)
{
	exo_cap_t entry = entry_to(server.env), no_exec = (exo_cap_t)caps_derive(entry, 0, 0, 0);

	is(exo_entry_open(NO_CAP, account), -EXO_ECAP, "open CAP: no entry");
	is(exo_entry_open(entry, NO_CAP), -EXO_ECAP, "open CAP: no account");
	is(exo_entry_open(console, account), -EXO_ETYPE, "open TYPE: not an entry");
	is(exo_entry_open(entry, console), -EXO_ETYPE, "open TYPE: not an account");
	is(exo_entry_open(no_exec, account), -EXO_ERIGHTS, "open RIGHTS");
	is(take(&inside, 20, entry), -EXO_ECAP, "take CAP: it was not opened");
	is(exo_entry_open(entry, account), 0, "open");
	is(take(&inside, 20, entry), (int64_t)exo_cap_make(20, 1), "take, below the account");
	const struct exo_cap *got = (const struct exo_cap *)tiny_window(&inside, 3) + 20;
	ok(got->type == EXO_TYPE_ENTRY && got->rights == EXO_RIGHT_EXEC && got->first == MARK && !got->bound,
	    "with the badge; not open by itself");
	is(calls(&inside, exo_cap_make(20, 1)), 7, "it calls");
	ok(server.word[BADGE] == MARK && server.word[CALLER] == inside.id, "and is seen by badge and id");
	is(take(&inside, 20, entry), -EXO_ESLOT, "take SLOT: in use");
	is(take(&inside, 0, entry), -EXO_ESLOT, "take SLOT: 0");
	is(take(&inside, 64, entry), -EXO_ESLOT, "take SLOT: there is none");
	is(take(&outside, 20, entry), -EXO_ERIGHTS, "take RIGHTS: another account");
	is(take(&inside, 21, entry + (1ULL << 32)), -EXO_ECAP, "take CAP: another generation");
	is(take(&inside, 21, console), -EXO_ECAP, "take CAP: not an entry");
	is(take(&inside, 21, no_exec), -EXO_ECAP, "take CAP: what was derived is not open");
	is(take(&inside, 21, NO_CAP), -EXO_ECAP, "take CAP: nothing");
	is(agent_do(&inside, EXO_CALL_entry_take, 21, core_disp->self + (1ULL << 32), entry, 0, 0, 0), -EXO_ECAP,
	    "take CAP: no such environment");
	is(agent_do(&inside, EXO_CALL_entry_take, 21, ~0ULL, entry, 0, 0, 0), -EXO_ECAP, "take CAP: no such index");
	is(agent_do(&inside, EXO_CALL_entry_take, 21, 0, entry, 0, 0, 0), -EXO_ECAP, "take CAP: nobody");
	is(exo_entry_open(entry, other_account), 0, "open to another");
	is(take(&inside, 21, entry), -EXO_ERIGHTS, "take RIGHTS: not to this one any more");
	is(take(&outside, 20, entry), (int64_t)exo_cap_make(20, 1), "but to that one");
	is(exo_entry_open(entry, EXO_CAP_NONE), 0, "shut");
	is(take(&outside, 21, entry), -EXO_ECAP, "take CAP: it is shut");
	is(calls(&outside, exo_cap_make(20, 1)), 7, "what was taken is kept");
	while (exo_cap_revoke(entry) == -EXO_EAGAIN)
		;
	ok(got->type == EXO_TYPE_NONE, "revoking takes it back");
	is(calls(&outside, exo_cap_make(20, 1)), -EXO_ECAP, "from all");
	caps_delete(no_exec), caps_delete(entry);
}

/* Whatever goes first. */
static void ends(void)
{
	exo_cap_t entry = entry_to(server.env), again = (exo_cap_t)caps_derive(account, EXO_RIGHT_READ, 0, 0);

	is(exo_entry_open(entry, again), 0, "open, by a derived capability of the account");
	is(take(&inside, 20, entry), (int64_t)exo_cap_make(20, 2), "take");
	caps_delete(again);
	is(take(&inside, 21, entry), -EXO_ECAP, "take CAP: the account's capability is gone");
	uint32_t slot = exo_cap_slot(again);
	is(exo_cap_derive(account, 0, slot, EXO_RIGHT_READ, 0, 0) > 0, 1, "another in its slot");
	is(take(&inside, 21, entry), -EXO_ECAP, "take CAP: is another");
	caps_delete(caps_handle(slot));
	is(exo_entry_open(entry, account), 0, "open");
	caps_delete(entry);
	is(take(&inside, 21, entry), -EXO_ECAP, "take CAP: the entry is gone");
	slot = exo_cap_slot(entry);
	entry = made(slot, exo_entry_make(slot, server.env, MARK));
	is(take(&inside, 21, entry), -EXO_ECAP, "take CAP: another in its slot is not open");
	is(calls(&inside, exo_cap_make(20, 2)), 7, "what was taken is kept");
	is(drop(&inside, 20), 0, "until it is dropped");
	caps_delete(entry);
}

/* An opener that dies: what it had opened is no more. */
static void opener(void)
{
	struct tiny opener;

	if (!ok(agent_begin(&opener, 0), "an environment that opens its own entry"))
		return;
	uint64_t to = (uint64_t)tiny_grant(&opener, account, 5, 0);
	is(agent_do(&opener, EXO_CALL_entry_make, 6, 0, 99, 0, 0, 0), (int64_t)exo_cap_make(6, 1), "its own");
	is(agent_do(&opener, EXO_CALL_entry_open, exo_cap_make(6, 1), to, 0, 0, 0, 0), 0, "open");
	exo_env_id_t id = opener.id;
	is(agent_do(&inside, EXO_CALL_entry_take, 20, id, exo_cap_make(6, 1), 0, 0, 0), (int64_t)exo_cap_make(20, 3),
	    "take it");
	is(calls(&inside, exo_cap_make(20, 3)), 7, "and call");
	tiny_drop(&opener);
	is(agent_do(&inside, EXO_CALL_entry_take, 21, id, exo_cap_make(6, 1), 0, 0, 0), -EXO_ECAP,
	    "take CAP: the opener is gone");
	is(calls(&inside, exo_cap_make(20, 3)), -EXO_EDEAD, "call DEAD");
	if (!ok(agent_begin(&opener, 0), "another in its place"))
		return;
	to = (uint64_t)tiny_grant(&opener, account, 5, 0);
	agent_do(&opener, EXO_CALL_entry_make, 6, 0, 99, 0, 0, 0);
	agent_do(&opener, EXO_CALL_entry_open, exo_cap_make(6, 1), to, 0, 0, 0, 0);
	is(agent_do(&inside, EXO_CALL_entry_take, 21, id, exo_cap_make(6, 1), 0, 0, 0), -EXO_ECAP,
	    "take CAP: it has another id");
	tiny_drop(&opener);
	is(drop(&inside, 20), 0, "dropped");
}

static void limits(void)
{
	exo_cap_t entry = entry_to(server.env), chain[16] = { entry }, derived[MANY];
	unsigned depth = 1, count = 0;

	while (depth < 16 && (int64_t)(chain[depth] = (exo_cap_t)caps_derive(chain[depth - 1], EXO_RIGHT_EXEC, 0, 0)) > 0)
		depth++;
	exo_entry_open(chain[depth - 1], account);
	is(take(&inside, 20, chain[depth - 1]), -EXO_EDEPTH, "take DEPTH: the %uth of a chain", depth);
	is(exo_entry_open(chain[1], account), 0, "open");
	while (count < MANY && (int64_t)(derived[count] = (exo_cap_t)caps_derive(chain[1], EXO_RIGHT_EXEC, 0, 0)) > 0)
		count++;
	is(exo_cap_revoke(entry), -EXO_EAGAIN, "a revocation that takes long");
	is(take(&inside, 20, chain[1]), -EXO_ESTATE, "take STATE: meanwhile");
	while (exo_cap_revoke(entry) == -EXO_EAGAIN)
		;
	is(take(&inside, 20, chain[1]), -EXO_ECAP, "take CAP: afterwards");
	caps_delete(entry);
}

int main(void)
{
	console = core_named(EXO_NAME_CONSOLE);
	tiny_prepare();
	for (int round = 0; round < 3; round++) {
		struct books before = books_now();
		if (!ok(prepare(), "a server, and two in accounts of their own"))
			break;
		opened();
		ends();
		opener();
		limits();
		tiny_drop(&server), tiny_drop(&inside), tiny_drop(&outside);
		caps_delete(account), caps_delete(other_account), caps_delete(frames);
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
