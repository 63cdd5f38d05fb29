/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exo_sleep on a program, and exo_kick: what wakes and what does not, each of their errors, and all that may be taken
 * away from who sleeps: program, frames, life, CPU. First with the sleeper on this CPU, then on the other.
 *
 * Runs first: yes
 * Run with: --smp 2
 */
#include "test/guest/agent.h"
#include "test/guest/sleepers.h"

#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)

static exo_cap_t memory, other;		/* a frame that is watched, and one that is not */
static volatile uint64_t *word;
static struct program program;

/* `memory` as window 0 of the program, through a capability of its own, which is returned. */
static exo_cap_t bind(struct program *to)
{
	exo_cap_t part = (exo_cap_t)caps_derive(memory, EXO_RIGHT_READ, 0, 1);

	is(exo_code_bind(to->code, 0, part, 0), 0, "bound");
	word[0] = 0;
	return part;
}

static void sleep_errors(void)
{
	struct program unbound, packet;
	exo_cap_t weak = (exo_cap_t)caps_derive(program.code, 0, 0, 0);
	const struct exo_insn keep[] = { INSN_OPI(MOV, 0, 0), INSN_EXIT };
	uint64_t events = core_disp->events;

	is(exo_sleep(EXO_NEVER, events, NO_CAP), -EXO_ECAP, "sleep CAP");
	is(exo_sleep(EXO_NEVER, events, memory), -EXO_ETYPE, "sleep TYPE");
	is(exo_sleep(EXO_NEVER, events, weak), -EXO_ERIGHTS, "sleep RIGHTS");
	is(exo_sleep(0, events, NO_CAP), -EXO_ECAP, "sleep CAP, also with a time that has passed");
	is(exo_sleep(0, events, program.code), 0, "a time that has passed");
	if (ok(program_load(&unbound, 1, 64, WHEN_NOT_ZERO(0)), "a program without its memory")) {
		is(exo_sleep(EXO_NEVER, events, unbound.code), -EXO_ESTATE, "sleep STATE: a window is not bound");
		program_drop(&unbound);
	}
	if (ok(program_load_as(&packet, EXO_USE_PACKET, keep, 2, 0, 64), "a program for packets")) {
		is(exo_sleep(EXO_NEVER, events, packet.code), -EXO_ESTATE, "sleep STATE: of another use");
		program_drop(&packet);
	}
	word[0] = 1;
	is(exo_sleep(EXO_NEVER, events, program.code), 0, "it holds: back at once");
	is(exo_sleep(EXO_NEVER, events - 1, program.code), 0, "whatever the events");
	word[0] = 0;
	caps_delete(weak);
}

static void kick_errors(void)
{
	exo_cap_t weak = (exo_cap_t)caps_derive(memory, EXO_RIGHT_READ, 0, 1);

	is(exo_kick(NO_CAP, 0), -EXO_ECAP, "kick CAP");
	is(exo_kick(program.code, 0), -EXO_ETYPE, "kick TYPE");
	is(exo_kick(weak, 0), -EXO_ERIGHTS, "kick RIGHTS");
	is(exo_kick(memory, 1), -EXO_ERANGE, "kick RANGE");
	is(exo_kick(memory, 1ULL << 32), -EXO_ERANGE, "kick RANGE: beyond 32 bits");
	is(exo_kick(memory, ~0ULL), -EXO_ERANGE, "kick RANGE: wraps");
	is(exo_kick(memory, 0), 0, "kick: nobody sleeps");
	is(exo_kick(other, 0), 0, "kick: nobody watches");
	is(exo_kick(program.frames, 0), 0, "kick: a program's own frame");
	caps_delete(weak);
}

/* What wakes, and what does not. */
static void causes(void)
{
	struct tiny one;

	word[0] = 0;
	if (!ok(sleeper_begin(&one, program.code), "a sleeper"))
		return;
	uint32_t runs = sleeper_runs(&one);
	is(sleeper_arm(&one, EXO_NEVER), SLEEPS, "it sleeps on the program");
	is(sleeper_runs(&one) - runs, 1, "which has run once");
	uint64_t upcalls = one.word[RUNS];
	runs = sleeper_runs(&one);
	is(exo_wake(one.env), 0, "an event");
	ok(sleeper_looked(&one, runs, upcalls), "runs it, and does not wake");
	runs = sleeper_runs(&one);
	is(exo_kick(memory, 0), 0, "a kick");
	ok(sleeper_looked(&one, runs, upcalls), "likewise");
	runs = sleeper_runs(&one);
	exo_kick(other, 0);
	word[0] = 0;
	thread_sleep(core_now() + 20 * MS);
	is(sleeper_runs(&one), runs, "a kick of another frame, a store and time run nothing");
	word[0] = 1;
	is(exo_kick(memory, 0), 0, "store and kick");
	ok(sleeper_woke(&one, upcalls), "wake it");
	ok(one.word[WHY] & EXO_RUN_EVENT, "by an event");
	word[0] = 1;
	is(sleeper_arm(&one, EXO_NEVER), 0, "what holds already lets nobody sleep");
	word[0] = 0;
	is(sleeper_arm(&one, core_now() + 20 * MS), SLEEPS, "until a time");
	upcalls = one.word[RUNS];
	ok(sleeper_woke(&one, upcalls) && one.word[WHY] & EXO_RUN_TIME, "that comes");
	is(sleeper_arm(&one, EXO_NEVER), SLEEPS, "again");
	upcalls = one.word[RUNS];
	word[0] = 1;
	exo_wake(one.env);
	ok(sleeper_woke(&one, upcalls), "an event when it holds");
	word[0] = 0;
	runs = sleeper_runs(&one);
	upcalls = one.word[RUNS];
	exo_wake(one.env);
	ok(sleeper_woke(&one, upcalls), "without a program any event wakes");
	is(sleeper_runs(&one), runs, "and nothing is run");
	is(sleeper_arm(&one, EXO_NEVER), SLEEPS, "once more");
	upcalls = one.word[RUNS];
	exo_cap_t loss = (exo_cap_t)caps_derive(other, EXO_RIGHT_READ, 0, 1);
	is(tiny_grant(&one, loss, 6, EXO_RIGHT_READ) > 0, 1, "something that it holds");
	while (exo_cap_revoke(loss) == -EXO_EAGAIN)
		;
	ok(sleeper_woke(&one, upcalls), "EVENT_LOST wakes whatever the program says");
	caps_delete(loss);
	tiny_drop(&one);
}

/* The program sees what the kernel tells it. */
static void context(void)
{
	struct program events;
	struct tiny one;
	exo_cap_t part;

	if (!ok(program_load(&events, 1, 64,
		    INSN_LOAD(8, 2, 1, offsetof(struct exo_wake, events)),
		    INSN_LOAD(8, 3, 1, offsetof(struct exo_wake, pending)),
		    INSN_OPI(MOV, 0, 0),
		    INSN_IFI(JLT, 2, 3, 1),
		    INSN_OP(MOV, 0, 3),
		    INSN_EXIT), "a program that counts events"))
		return;
	part = bind(&events);
	if (ok(sleeper_begin(&one, events.code), "a sleeper")) {
		is(sleeper_arm(&one, EXO_NEVER), SLEEPS, "it sleeps");
		uint64_t upcalls = one.word[RUNS];
		for (int i = 0; i < 2; i++) {
			uint32_t runs = sleeper_runs(&one);
			exo_wake(one.env);
			ok(sleeper_looked(&one, runs, upcalls), "event %d does not wake", i + 1);
		}
		exo_wake(one.env);
		ok(sleeper_woke(&one, upcalls), "the third one does");
		tiny_drop(&one);
	}
	program_drop(&events);
	caps_delete(part);
}

/* One that is stopped when word 0 becomes `value`, which wakes. */
static void stopped(struct program *own, uint64_t value, const char *why)
{
	exo_cap_t part = bind(own);
	struct tiny one;

	if (ok(sleeper_begin(&one, own->code), "a sleeper")) {
		is(sleeper_arm(&one, EXO_NEVER), SLEEPS, "it sleeps");
		uint64_t upcalls = one.word[RUNS];
		word[0] = value;
		exo_kick(memory, 0);
		ok(sleeper_woke(&one, upcalls), "its program is stopped, %s: it wakes", why);
		is(tiny_info(&one)->predicates_stopped, 1, "counted");
		is(sleeper_arm(&one, EXO_NEVER), 0, "and cannot sleep on it while that is so");
		word[0] = 0;
		tiny_drop(&one);
	}
	program_drop(own);
	caps_delete(part);
}

static void stops(void)
{
	struct program own;

	if (ok(program_load(&own, 1, 500,
		   INSN_WINDOW(3, 0, 0),
		   INSN_LOAD(8, 0, 3, 0),
		   INSN_IFI(JNE, 0, 0, -2),
		   INSN_EXIT), "a program that may never end"))
		stopped(&own, 1, "out of fuel");
	if (ok(program_load(&own, 1, 64,
		   INSN_WINDOW(3, 0, 0),
		   INSN_LOAD(8, 4, 3, 0),
		   INSN_OP(ADD, 3, 4),
		   INSN_LOAD(8, 0, 3, 0),
		   INSN_EXIT), "a program that may leave its memory"))
		stopped(&own, EXO_PAGE_SIZE, "outside its window");
}

/* --- what goes while it sleeps -------------------------------------------------------------------------------- */

static void code_goes(void)
{
	struct program own;
	struct tiny one;
	exo_cap_t part;

	for (int how = 0; how < 4; how++) {
		static const char *const what[] = { "the program is deleted", "revoked, too", "a window's capability is deleted",
			"a window's is revoked" };
		if (!ok(program_load(&own, 1, 64, WHEN_NOT_ZERO(0)), "a program"))
			return;
		part = bind(&own);
		if (ok(sleeper_begin(&one, own.code), "a sleeper")) {
			is(sleeper_arm(&one, EXO_NEVER), SLEEPS, "it sleeps");
			uint64_t upcalls = one.word[RUNS];
			if (how == 1)
				while (exo_cap_revoke(own.code) == -EXO_EAGAIN)
					;
			if (how <= 1)
				caps_delete(own.code);
			if (how == 2)
				caps_delete(part);
			if (how == 3)
				while (exo_cap_revoke(memory) == -EXO_EAGAIN)
					;
			if (how == 0) {		/* the sleeper has one still: nothing goes */
				thread_sleep(core_now() + 5 * MS);
				ok(one.word[RUNS] == upcalls, "%s: the sleeper's own capability keeps it", what[how]);
				word[0] = 1;
				exo_kick(memory, 0);
			}
			ok(sleeper_woke(&one, upcalls), "%s: it wakes", what[how]);
			word[0] = 0;
			if (how >= 1)
				is(sleeper_arm(&one, EXO_NEVER), how == 1 ? -EXO_ECAP : -EXO_ESTATE, "and cannot sleep on it");
			tiny_drop(&one);
		}
		if (how <= 1)
			own.code = EXO_CAP_NONE;
		program_drop(&own);
		if (how != 2 && how != 3)
			caps_delete(part);
		if (how == 3 && bind(&program))
			word[0] = 0;
	}
}

static void life_goes(void)
{
	struct tiny one, two;

	word[0] = 0;
	if (!ok(sleeper_begin(&one, program.code) && sleeper_begin(&two, program.code), "two sleepers"))
		return;
	is(sleeper_arm(&one, EXO_NEVER), SLEEPS, "one sleeps");
	is(sleeper_arm(&two, EXO_NEVER), -EXO_EBUSY, "sleep BUSY");
	while (exo_env_destroy(one.env) == -EXO_EAGAIN)
		;
	is(exo_kick(memory, 0), 0, "it has ended: a kick does nothing");
	is(sleeper_arm(&two, EXO_NEVER), SLEEPS, "the other may sleep now");
	uint64_t upcalls = two.word[RUNS];
	word[0] = 1;
	exo_kick(memory, 0);
	ok(sleeper_woke(&two, upcalls), "and wakes");
	word[0] = 0;
	is(sleeper_arm(&two, EXO_NEVER), SLEEPS, "again");
	upcalls = two.word[RUNS];
	while (exo_env_move(two.env, 1 - tiny_cpu) == -EXO_EAGAIN)
		;
	ok(sleeper_woke(&two, upcalls) && two.word[WHY] & EXO_RUN_MOVED, "moved to another CPU it wakes");
	is(sleeper_arm(&two, EXO_NEVER), SLEEPS, "sleeps there");
	upcalls = two.word[RUNS];
	word[0] = 1;
	exo_kick(memory, 0);
	ok(sleeper_woke(&two, upcalls), "and is woken there");
	word[0] = 0;
	tiny_drop(&one);
	tiny_drop(&two);
}

/* --- abuse -------------------------------------------------------------------------------------------------- */

/* As many programs watch one frame as may; a kick runs each once. */
static void crowd(void)
{
	static struct program all[EXO_WATCH_MAX];
	unsigned made_of = 0, bound = 0;
	struct tiny one;
	exo_cap_t part = (exo_cap_t)caps_derive(other, EXO_RIGHT_READ, 0, 1);
	volatile uint64_t *at = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);

	for (; made_of < EXO_WATCH_MAX && program_load(&all[made_of], 1, 64, WHEN_NOT_ZERO(0)); made_of++)
		bound += exo_code_bind(all[made_of].code, 0, part, 0) == 0;
	is(bound, EXO_WATCH_MAX, "programs that watch one frame");
	struct program more;
	if (ok(program_load(&more, 1, 64, WHEN_NOT_ZERO(0)), "one more")) {
		is(exo_code_bind(more.code, 0, part, 0), -EXO_EFULL, "is too many");
		program_drop(&more);
	}
	if (ok(sleeper_begin(&one, all[0].code), "a sleeper")) {	/* the last in the list */
		space_map((exo_vaddr_t)at, RW, other, 0, 1);
		is(sleeper_arm(&one, EXO_NEVER), SLEEPS, "it sleeps on one of them");
		uint64_t upcalls = one.word[RUNS];
		uint32_t runs = sleeper_runs(&one);
		for (unsigned i = 0; i < 1000; i++)
			exo_kick(other, 0);
		ok(sleeper_looked(&one, runs, upcalls), "1,000 kicks: %u runs", sleeper_runs(&one) - runs);
		ok(sleeper_runs(&one) - runs <= 1000, "one for each at most");
		at[0] = 1;
		exo_kick(other, 0);
		ok(sleeper_woke(&one, upcalls), "and it wakes");
		at[0] = 0;
		space_map((exo_vaddr_t)at, 0, EXO_CAP_NONE, 0, 1);
		tiny_drop(&one);
	}
	for (unsigned i = 0; i < made_of; i++)
		program_drop(&all[i]);
	caps_delete(part);
}

/* A transfer to one that sleeps on a program: it goes back to it, unless it slept otherwise meanwhile. */
static void rest(void)
{
	uint64_t words[4] = { 1, 2, 3, 4 }, upcalls;
	uint32_t slot = caps_slot(), runs;
	struct tiny one;

	word[0] = 0;
	if (!ok(agent_begin(&one, 0), "one that serves"))
		return;
	exo_cap_t entry = made(slot, exo_entry_make(slot, one.env, 1));
	int64_t own = tiny_grant(&one, program.code, 6, EXO_RIGHT_EXEC);
	is(agent_do(&one, EXO_CALL_sleep, EXO_NEVER, 0, (uint64_t)own, 0, 0, 0), COMES_BACK, "it sleeps on the program");
	runs = sleeper_runs(&one);
	is(exo_call(entry, EXO_NEVER, words), 7, "and serves a transfer");
	ok(tiny_state(&one) == EXO_ENV_ASLEEP && sleeper_runs(&one) == runs, "then sleeps on, and nothing was run");
	exo_wake(one.env);
	ok(tiny_state(&one) == EXO_ENV_ASLEEP && sleeper_runs(&one) == runs + 1, "on its program");
	upcalls = tiny_info(&one)->upcalls;
	word[0] = 1;
	exo_kick(memory, 0);
	core_yield(EXO_CAP_NONE);
	ok(tiny_info(&one)->upcalls > upcalls, "which wakes it");
	word[0] = 0;
	agent_do(&one, EXO_CALL_sleep, EXO_NEVER, 0, (uint64_t)own, 0, 0, 0);
	one.word[SERVE] = SERVE_SLEEP;
	is(exo_call(entry, core_now() + 5 * MS, words), -EXO_ETIME, "one that sleeps while it serves");
	runs = sleeper_runs(&one);
	upcalls = tiny_info(&one)->upcalls;
	exo_wake(one.env);
	core_yield(EXO_CAP_NONE);
	ok(tiny_info(&one)->upcalls > upcalls && sleeper_runs(&one) == runs, "sleeps on that program no more");
	one.word[SERVE] = SERVE_REPLY;
	tiny_await(&one, EXO_ENV_ASLEEP, 5000);
	agent_do(&one, EXO_CALL_sleep, EXO_NEVER, 0, (uint64_t)own, 0, 0, 0);
	upcalls = tiny_info(&one)->upcalls;
	core_yield(one.env);
	ok(tiny_info(&one)->upcalls > upcalls, "a directed yield wakes it");
	caps_delete(entry);
	tiny_drop(&one);
}

static void all_of_it(void)
{
	causes();
	context();
	stops();
	code_goes();
	life_goes();
}

int main(void)
{
	cpus_await();
	tiny_prepare();
	word = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		memory = take_frames(1);
		other = take_frames(1);
		space_map((exo_vaddr_t)word, RW, memory, 0, 1);
		if (!ok(program_load(&program, 1, 64, WHEN_NOT_ZERO(0)), "a program"))
			return call_done();
		exo_cap_t part = bind(&program);
		sleep_errors();
		kick_errors();
		for (tiny_cpu = 0; tiny_cpu < core_info->cpus && tiny_cpu < 2; tiny_cpu++)
			all_of_it();
		tiny_cpu = 0;
		rest();
		crowd();
		program_drop(&program);
		caps_delete(part);
		while (exo_cap_revoke(memory) == -EXO_EAGAIN)
			;
		space_map((exo_vaddr_t)word, 0, EXO_CAP_NONE, 0, 1);
		caps_delete(memory);
		caps_delete(other);
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
