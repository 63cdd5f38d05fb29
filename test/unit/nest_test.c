/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transfers on top of transfers: cases one by one, then random operations against a naive model, which keeps for each
 * environment a list of what it is inside of and says beforehand what each call must do and with what each comes back.
 */
#include "test/unit/running.h"

static struct env *first;
static struct child a, b, c;

/* Slots in which every child finds entries to the others, by number; the first environment is 0. */
#define ENTRY_TO(n)	exo_cap_make(40 + (n), 1)
#define CAP_OF(n)	exo_cap_make(34 + (n), 1)

static void introduce(struct child *const child[], unsigned count)
{
	exo_cap_t entry, cap;
	unsigned i, j;

	for (i = 0; i <= count; i++) {
		cap = i ? child[i - 1]->cap : named(EXO_NAME_ENV);
		entry = (exo_cap_t)CALL(entry_make, free_slot(), cap, 100 + i);
		for (j = 0; j <= count; j++) {
			(void)CALL(cap_derive, entry, j ? child[j - 1]->cap : 0, 40 + i, EXO_RIGHT_EXEC);
			(void)CALL(cap_derive, cap, j ? child[j - 1]->cap : 0, 34 + i,
			    EXO_RIGHT_CONTROL | EXO_RIGHT_WAKE);
		}
	}
	first->disp->call_entry = CHILD_CALL;
}

/* Let a child run once and fall asleep. */
static struct child server(void)
{
	struct child child = child_start();

	(void)CALL(yield, child.cap);
	(void)CALL(sleep, EXO_NEVER, child.env->disp->events);
	if (here.current != first)
		abort();
	return child;
}

static enum null_way call_to(unsigned n, exo_time_t deadline)
{
	here.current->arch.caller.rip = 0x1000 + n;
	return null_call(EXO_CALL_call, ENTRY_TO(n), deadline, 1, 2, 3, 4);
}

static bool enters(unsigned n, const struct env *env)
{
	return call_to(n, EXO_NEVER) == NULL_UPCALL && null.entry == CHILD_CALL && here.current == env;
}

static bool answers(uint64_t status, const struct env *env)
{
	return null_call(EXO_CALL_reply, status, status + 1, 0, 0, status + 4, 0) == NULL_CALLER &&
	    here.current == env && null.message.rax == status && null.message.rdx == status + 1 &&
	    null.message.r9 == status + 4;
}

static void test_back(void)
{
	first->disp->off = EXO_OFF_NO;
	ok(enters(1, a.env), "the first calls a");
	is_int(CALL(call, ENTRY_TO(0), EXO_NEVER), ERR(BUSY), "who has not said so is not entered again");
	first->disp->reenter = 1;
	first->disp->call_sp = 0xa000;
	ok(enters(0, first) && null.message.rdi == 100 && null.message.rsi == a.env->id && null.sp == 0xa000,
	    "a calls back, to the stack that is named now");
	ok(first->disp->off == EXO_OFF_YES && first->nested == 1 && first->depth == 2, "on top");
	sound("nested");
	is_int(CALL(call, ENTRY_TO(1), EXO_NEVER), ERR(BUSY), "a has not said so");
	is_int(CALL(send, ENTRY_TO(1)), ERR(BUSY), "nor does a message come in on top");
	ok(enters(2, b.env), "it calls a third from there");
	first->disp->call_sp = 0xb000;
	ok(answers(5, first), "which answers");
	ok(answers(6, a.env) && null.caller.rip == 0x1000, "it answers a");
	ok(env_state(first) == EXO_ENV_CALLING && first->disp->off == EXO_OFF_NO && !first->nested,
	    "and waits again as before");
	sound("back to one");
	ok(answers(7, first) && null.caller.rip == 0x1001, "a answers: behind the first call");
	ok(env_state(a.env) == EXO_ENV_ASLEEP, "and sleeps");
	is_int(CALL(reply, 0), ERR(STATE), "nothing is left to answer");
	sound("after all");
}

/* The answer to the outer call comes while the inner one is served. */
static void test_answer_kept(void)
{
	first->disp->reenter = 1;
	(void)CALL(yield, CAP_OF(3));
	(void)CALL(yield, 0);
	ok(here.current == first && env_state(c.env) == EXO_ENV_READY, "c is ready");
	ok(enters(1, a.env), "the first calls a, which is interrupted");
	a.env->disp->off = EXO_OFF_NO;
	null.now = null.timer;
	(void)interrupt_at(0x2000);
	ok(here.current == c.env && enters(0, first), "c calls the first");
	sound("a stranger on top");
	null.now = null.timer;
	first->disp->off = EXO_OFF_NO;
	(void)interrupt_at(0x3000);
	ok(here.current == a.env, "that one is interrupted, too");
	ok(null_call(EXO_CALL_reply, 9, 10, 11, 12, 13, 0) == NULL_UPCALL && here.current == first,
	    "a answers the outer call; the inner one goes on");
	ok(first->nested == 1 && first->nest[0].level.resume == RESUME_CALLER, "the answer is kept");
	sound("an answer kept");
	ok(answers(3, c.env), "c gets its answer");
	ok(env_state(first) == EXO_ENV_READY && !first->nested, "the first may go on");
	null.now = null.timer;
	ok(interrupt_at(0x4000) == NULL_CALLER && here.current == first && null.message.rax == 9 &&
	    null.message.rdx == 10 && null.message.r9 == 13 && null.caller.rip == 0x1001, "with that answer");
	sound("after a kept answer");
}

static void test_deadlines(void)
{
	first->disp->reenter = a.env->disp->reenter = 1;
	null.now = 1000;
	ok(call_to(1, 5000) == NULL_UPCALL && here.current == a.env, "the first calls a, until 5000");
	ok(call_to(0, 9000) == NULL_UPCALL && here.current == first, "a calls back, until 9000");
	ok(first->call_deadline == 5000 && a.env->call_deadline == 9000, "deadlines");
	sound("deadlines");
	null.now = 5000;
	(void)interrupt_at(0x100);
	ok(here.current == first && first->nested == 1 && !first->nest[0].level.called &&
	    a.env->disp->pending & EXO_EVENT_CUT && a.env->called == first, "the outer passes: a is told");
	sound("the outer deadline passed");
	ok(enters(1, a.env) && a.env->nested == 1, "the inner one calls a, on top of its wait");
	null.now = 9000;
	(void)interrupt_at(0x104);
	ok(first->disp->pending & EXO_EVENT_CUT && !first->caller && first->called == a.env,
	    "a's deadline passes meanwhile");
	sound("the inner deadline passed");
	ok(answers(4, first), "the innermost answers");
	ok(env_state(a.env) == EXO_ENV_READY && a.env->resume == RESUME_CALLER, "a may go on with TIME");
	ok(null_call(EXO_CALL_reply, 4, 0, 0, 0, 0, 0) == NULL_CALLER && here.current == a.env &&
	    (int64_t)null.message.rax == ERR(TIME), "the first ends what was cut: nobody hears it");
	null.now = null.timer;
	(void)interrupt_at(0x108);
	ok(here.current == first && null.left == NULL_CALLER && (int64_t)null.message.rax == ERR(TIME) &&
	    null.caller.rip == 0x1001, "and goes on with TIME, too");
	sound("after deadlines");
}

static void test_deaths(void)
{
	first->disp->reenter = 1;
	ok(enters(1, a.env) && enters(2, b.env) && enters(0, first), "first, a, b, first");
	while (CALL(env_destroy, CAP_OF(1)) == ERR(AGAIN))
		;
	ok(first->caller == b.env, "a is destroyed by the innermost");
	ok(first->nested == 1 && (int64_t)first->nest[0].level.answer.rax == ERR(DEAD), "the outermost gets DEAD");
	ok(!b.env->caller && b.env->disp->pending & EXO_EVENT_CUT, "b is told");
	sound("a death in the middle");
	ok(answers(1, b.env), "b gets its answer");
	is_int(CALL(reply, 0), ERR(STATE), "and has nobody to answer");
	null.now = null.timer;
	(void)interrupt_at(0x200);
	ok(here.current == first && (int64_t)null.message.rax == ERR(DEAD), "the first goes on");
	sound("after it");
	is_int(CALL(call, ENTRY_TO(1), EXO_NEVER), ERR(DEAD), "a is dead");
}

/* The one with two levels dies: both who wait for it, and both whom it waits for, are told. */
static void test_death_of_nested(void)
{
	a.env->disp->reenter = 1;
	(void)CALL(yield, CAP_OF(3));
	(void)CALL(yield, 0);
	ok(enters(1, a.env) && enters(2, b.env), "first, a, b");
	b.env->disp->off = EXO_OFF_NO;
	null.now = null.timer;
	(void)interrupt_at(0x300);
	ok(here.current == c.env && enters(1, a.env) && a.env->nested == 1, "c enters a on top");
	(void)null_call(EXO_CALL_env_exit, EXO_CAUSE_EXIT, 0, 0, 0, 0, 0);
	ok(first->resume == RESUME_CALLER || here.current == first, "the first gets DEAD");
	ok(c.env->resume == RESUME_CALLER || here.current == c.env, "c, too");
	ok(!b.env->caller && b.env->disp->pending & EXO_EVENT_CUT, "b is told");
	sound("death of a nested one");
}

/* Who slept in a handler sleeps on after another transfer, unless something came. */
static void test_resting(void)
{
	unsigned i;

	a.env->disp->reenter = 1;
	for (i = 0; i < 2; i++) {
		ok(enters(1, a.env), "a serves");
		(void)CALL(sleep, EXO_NEVER, a.env->disp->events);
		ok(env_state(a.env) == EXO_ENV_ASLEEP && !here.current, "and sleeps in its handler");
		env_event(c.env, EXO_EVENT_WAKE);
		(void)interrupt_at(0);
		ok(here.current == c.env && enters(1, a.env) && a.env->nested == 1, "c enters it meanwhile");
		sound("on top of a sleeper");
		if (i)
			env_event(a.env, EXO_EVENT_RECEIVE);
		ok(answers(2, c.env), "c is answered");
		is_int(env_state(a.env), i ? EXO_ENV_READY : EXO_ENV_ASLEEP, "what it was");
		sound("and below again");
		if (!i)
			env_event(a.env, EXO_EVENT_WAKE);
		(void)CALL(sleep, EXO_NEVER, c.env->disp->events);
		ok(here.current == a.env && null.left == NULL_UPCALL && null.entry == CHILD_ENTRY, "it wakes");
		ok(answers(3, first), "and answers");
		ok(!a.env->nested && !a.env->serving, "all is over");
	}
}

/* As deep as it goes: two that call each other. */
static void test_bomb(void)
{
	unsigned i;

	first->disp->reenter = a.env->disp->reenter = 1;
	for (i = 0; i < EXO_CHAIN_MAX; i++) {
		ok(enters(i % 2 ? 0 : 1, i % 2 ? first : a.env), "%u deep", i + 1);
		ok(!broken(), "invariants");
	}
	is_int(CALL(call, ENTRY_TO(1), EXO_NEVER), ERR(DEPTH), "DEPTH");
	while (i--)
		ok(answers(i, i % 2 ? a.env : first), "back from %u", i + 1);
	sound("after the bomb");
	is_int(CALL(reply, 0), ERR(STATE), "all is over");
}

/* --- random operations against a model ---------------------------------------------------------------- */

#define ACTORS		6
#define OPERATIONS	3000
#define NOBODY		ACTORS

/* What an environment is inside of: whom it serves, whom it waits for, by number; a link has the same id on both sides. */
struct part {
	unsigned serves, waits;			/* ids of links; 0: none */
	unsigned whom_serves, whom_waits;
	unsigned depth;
	exo_time_t deadline;
	bool answered;
	int64_t status;
	uint64_t rip;
};

struct actor {
	struct env *env;
	bool dead, saved_off;
	struct part part[EXO_CHAIN_MAX + 1];
	unsigned top;
};

static struct actor actor[ACTORS];
static unsigned links;
static const char *wrong;

static void expect(bool right, const char *what)
{
	if (!right && !wrong)
		wrong = what;
}

static unsigned number_of(const struct env *env)
{
	unsigned i;

	for (i = 0; i < ACTORS; i++)
		if (actor[i].env == env && !actor[i].dead)
			return i;
	return NOBODY;
}

static struct part *top_of(unsigned n)
{
	return &actor[n].part[actor[n].top];
}

static bool is_inside(unsigned n)
{
	return actor[n].top || top_of(n)->serves || top_of(n)->waits || top_of(n)->answered;
}

/* The call of this link is over for who made it / who serves it. */
static void end_wait(unsigned n, unsigned link, int64_t status)
{
	unsigned i;

	for (i = 0; i <= actor[n].top; i++)
		if (actor[n].part[i].waits == link) {
			actor[n].part[i].waits = 0;
			actor[n].part[i].deadline = EXO_NEVER;
			actor[n].part[i].answered = true;
			actor[n].part[i].status = status;
		}
}

static void end_service(unsigned n, unsigned link)
{
	unsigned i;

	for (i = 0; i <= actor[n].top; i++)
		if (actor[n].part[i].serves == link) {
			actor[n].part[i].serves = 0;
			if (!i)
				actor[n].part[i].depth = 0;
		}
}

static int64_t call_result(unsigned self, unsigned to, exo_time_t deadline)
{
	unsigned depth = top_of(self)->depth;

	if (actor[to].dead)
		return ERR(DEAD);
	if (self == to || actor[to].saved_off || (is_inside(to) && !actor[to].env->disp->reenter))
		return ERR(BUSY);
	if (is_inside(to) && top_of(to)->depth > depth)
		depth = top_of(to)->depth;
	if (depth >= EXO_CHAIN_MAX)
		return ERR(DEPTH);
	return deadline <= null.now ? ERR(TIME) : 0;
}

/* What must be true of how the kernel came back, whoever runs now. */
static void check_left(void)
{
	unsigned n = here.current ? number_of(here.current) : NOBODY;

	if (n == NOBODY) {
		expect(!here.current, "a dead one runs");
		return;
	}
	switch (null.left) {
	case NULL_CALLER:
		expect(top_of(n)->answered && top_of(n)->status == (int64_t)null.message.rax, "a wrong answer");
		expect(null.caller.rip == top_of(n)->rip, "it comes back elsewhere");
		expect(null.message.rdx == (top_of(n)->status < 0 ? 0 : null.message.rax + 1), "wrong words");
		top_of(n)->answered = false;
		break;
	case NULL_REGS:
		expect(actor[n].saved_off, "area OFF was not in use");
		actor[n].saved_off = false;
		break;
	case NULL_UPCALL:
		expect(!actor[n].saved_off, "its state in area OFF was forgotten");
		expect(!top_of(n)->answered, "its answer was forgotten");
		break;
	default:
		break;
	}
}

static void model_call(unsigned self, unsigned to, exo_time_t deadline)
{
	int64_t result = call_result(self, to, deadline);
	unsigned depth = top_of(self)->depth;
	struct part *part;

	here.current->arch.caller.rip = ++links;
	(void)null_call(EXO_CALL_call, ENTRY_TO(to), deadline, 1, 2, 3, links);
	if (result) {
		expect(null.left == NULL_RETURNED && null.result == result, "call: another result");
		return;
	}
	expect(null.left == NULL_UPCALL && here.current == actor[to].env && null.entry == CHILD_CALL,
	    "call: does not get there");
	expect(null.message.rsi == actor[self].env->id && null.message.rdi == 100 + to && null.message.r9 == links,
	    "call: wrong words");
	part = top_of(self);
	part->waits = links;
	part->whom_waits = to;
	part->deadline = deadline;
	part->rip = links;
	if (is_inside(to)) {
		if (top_of(to)->depth > depth)
			depth = top_of(to)->depth;
		actor[to].top++;
		*top_of(to) = (struct part){ .deadline = EXO_NEVER };
	}
	part = top_of(to);
	part->serves = links;
	part->whom_serves = self;
	part->depth = depth + 1;
}

static void model_reply(unsigned self)
{
	struct part *part = top_of(self), was = *part;
	uint64_t status = (unsigned)rand() % 1000;

	(void)null_call(EXO_CALL_reply, status, status + 1, 0, 0, 0, 0);
	if (!part->serves && !actor[self].top) {
		expect(null.left == NULL_RETURNED && null.result == ERR(STATE), "reply: to nobody");
		return;
	}
	part->serves = 0;
	if (actor[self].top)
		actor[self].top--;
	else
		part->depth = 0;
	if (was.serves) {
		end_wait(was.whom_serves, was.serves, (int64_t)status);
		if (top_of(was.whom_serves)->answered && top_of(was.whom_serves)->rip == was.serves)
			expect(null.left == NULL_CALLER && here.current == actor[was.whom_serves].env,
			    "reply: does not get there");
	}
	check_left();
}

static void model_death(unsigned n)
{
	struct part *part;
	unsigned i;

	for (i = 0; i <= actor[n].top; i++) {
		part = &actor[n].part[i];
		if (part->serves)
			end_wait(part->whom_serves, part->serves, ERR(DEAD));
		if (part->waits)
			end_service(part->whom_waits, part->waits);
	}
	actor[n].dead = true;
}

static void model_interrupt(uint64_t rip)
{
	unsigned n = here.current ? number_of(here.current) : NOBODY, i, k;
	bool off = here.current && here.current->disp->off != EXO_OFF_NO;
	struct part *part;

	if (null.now >= null.timer)
		for (i = 0; i < ACTORS; i++)
			for (k = 0; !actor[i].dead && k <= actor[i].top; k++) {
				part = &actor[i].part[k];
				if (part->waits && part->deadline <= null.now) {
					end_service(part->whom_waits, part->waits);
					end_wait(i, part->waits, ERR(TIME));
				}
			}
	(void)interrupt_at(rip);
	if (null.left == NULL_FRAME)
		return;
	if (n != NOBODY)
		actor[n].saved_off = off;
	check_left();
}

static void compare(void)
{
	const struct level *level;
	const struct part *part;
	unsigned n, i;

	for (n = 0; n < ACTORS; n++) {
		if (actor[n].dead)
			continue;
		expect(actor[n].env->nested == actor[n].top, "levels");
		expect((actor[n].env->resume == RESUME_OFF) == actor[n].saved_off, "area OFF");
		for (i = 0; i <= actor[n].top && !wrong; i++) {
			part = &actor[n].part[i];
			level = env_level(actor[n].env, i);
			expect(level->caller == (part->serves ? actor[part->whom_serves].env : NULL), "caller");
			expect(level->called == (part->waits ? actor[part->whom_waits].env : NULL), "called");
			expect(level->depth == part->depth, "depth");
			expect((level->resume == RESUME_CALLER) == part->answered, "answered");
			expect(level->deadline == (part->waits ? part->deadline : EXO_NEVER), "deadline");
		}
	}
}

/* The peer's windows open for who serves its innermost call, and for nobody else. */
static void model_derive(unsigned self)
{
	const struct part *part = top_of(self);
	unsigned index = (unsigned)rand() % 4, slot = 58 + (unsigned)rand() % 2;
	const struct exo_disp *disp;
	const struct exo_cap *cap;
	bool into = rand() % 2;
	int64_t result = 0;

	if (!part->serves)
		result = ERR(STATE);
	else if (top_of(part->whom_serves)->waits != part->serves)
		result = ERR(BUSY);
	if (!result) {
		disp = actor[part->whom_serves].env->disp;
		if (into && (index >= disp->window_count ||
		    !cap_free_slot(actor[part->whom_serves].env, disp->window_first + index)))
			result = ERR(SLOT);
		cap = cap_slot(actor[part->whom_serves].env, disp->offer_first + index);
		if (!into && (index >= disp->offer_count || !cap || !cap->type))
			result = ERR(CAP);
	}
	if (into) {
		(void)CALL(cap_derive, ENTRY_TO(0), EXO_PEER, index, EXO_RIGHT_EXEC);
	} else {
		if (!result && !cap_free_slot(here.current, slot))
			result = ERR(SLOT);
		(void)CALL(cap_derive, EXO_PEER + index, 0, slot, 0);
	}
	if (!result && null.result == ERR(DEPTH))
		return;
	expect(result ? null.result == result : null.result > 0, "derive: another result");
}

static void model_windows(struct exo_disp *disp)
{
	disp->window_first = 50 + (unsigned)rand() % 3;
	disp->window_count = (unsigned)rand() % 5;
	disp->offer_first = 39 + (unsigned)rand() % 3;
	disp->offer_count = (unsigned)rand() % 5;
}

static void one_operation(void)
{
	unsigned who = (unsigned)rand() % ACTORS, self = here.current ? number_of(here.current) : NOBODY;

	null.now += (unsigned)rand() % (SLICE / 6);
	if (self == NOBODY) {
		if (rand() % 3 && !actor[who].dead)
			env_event(actor[who].env, EXO_EVENT_RECEIVE);
		if (null.timer != EXO_NEVER && null.timer > null.now && rand() % 2)
			null.now = null.timer;
		model_interrupt(0);
		return;
	}
	if (null.now >= null.timer) {
		model_interrupt(0x1000);
		return;
	}
	switch (rand() % 16) {
	case 0:
		(void)CALL(yield, 0);
		check_left();
		break;
	case 1:
		(void)CALL(sleep, rand() % 2 ? EXO_NEVER : null.now + (unsigned)rand() % (4 * SLICE),
		    here.current->disp->events);
		if (null.left != NULL_RETURNED)
			check_left();
		break;
	case 2: case 3: case 4: case 5: model_call(self, who, EXO_NEVER); break;
	case 6: case 7: model_call(self, who, null.now + (unsigned)rand() % (3 * SLICE)); break;
	case 8: case 9: case 10: model_reply(self); break;
	case 11: here.current->disp->off = (uint32_t)rand() % 2; model_interrupt(0x2000); break;
	case 12: here.current->disp->reenter = rand() % 4 != 0; break;
	case 13: model_windows(here.current->disp); break;
	case 14: model_derive(self); break;
	case 15:
		if (!actor[who].dead)
			env_event(actor[who].env, EXO_EVENT_RECEIVE);
		break;
	}
}

static void one_death(void)
{
	unsigned self = number_of(here.current), who = (unsigned)rand() % ACTORS;

	if (rand() % 2) {
		model_death(self);
		(void)CALL(env_exit, EXO_CAUSE_EXIT, 1);
		check_left();
	} else if (who != self) {
		if (!actor[who].dead)
			model_death(who);
		while (CALL(env_destroy, CAP_OF(who)) == ERR(AGAIN))
			;
	}
}

static void cast(void)
{
	struct child child[ACTORS - 1], *all[ACTORS - 1];
	unsigned i;

	first = here.current;
	memset(actor, 0, sizeof(actor));
	actor[0].env = first;
	for (i = 1; i < ACTORS; i++) {
		child[i - 1] = child_start();
		all[i - 1] = &child[i - 1];
		actor[i].env = child[i - 1].env;
	}
	introduce(all, ACTORS - 1);
	for (i = 0; i < ACTORS; i++) {
		actor[i].part[0].deadline = EXO_NEVER;
		actor[i].env->disp->reenter = 1;
	}
	links = 0;
}

static void test_random(void)
{
	unsigned round, i, operations = 0, deepest = 0, nested = 0;
	const char *longer = getenv("EXO_TEST_LONG");
	unsigned rounds = longer && *longer ? 4000 : 100;

	wrong = NULL;
	for (round = 0; round < rounds && !wrong; round++) {
		machine_prepare();
		(void)machine_start();
		srand(round + 1);
		cast();
		for (i = 0; i < OPERATIONS && !wrong; i++, operations++) {
			one_operation();
			if (null.left == NULL_PANIC)
				wrong = "panic";
			compare();
			if (!wrong)
				wrong = broken();
			if (!wrong && here.current && rand() % 600 == 0) {
				one_death();
				compare();
				if (!wrong)
					wrong = broken();
			}
			if (here.current && here.current->depth > deepest)
				deepest = here.current->depth;
			nested += here.current && here.current->nested;
		}
		if (wrong)
			printf("# round %u, step %u: %s\n%.300s\n", round, i, wrong, null.console);
	}
	ok(!wrong, "random operations do as the model says (%u)", operations);
	ok(deepest == EXO_CHAIN_MAX && nested > operations / 10, "as deep as %u, %u times nested", deepest, nested);
}

/* A transfer that is not matched on the other side is seen. */
static void test_checker(void)
{
	first->disp->reenter = 1;
	(void)enters(1, a.env);
	(void)enters(0, first);
	first->nest[0].level.called = b.env;
	ok(broken() != NULL, "the check finds a link that leads elsewhere");
	first->nest[0].level.called = a.env;
	ok(!broken(), "and nothing else");
	first->depth = 1;
	ok(broken() != NULL, "and a depth that is too little");
}

static void fresh(void (*test)(void))
{
	struct child *all[] = { &a, &b, &c };
	unsigned i;

	machine_prepare();
	if (machine_start() != NULL_UPCALL)
		abort();
	first = here.current;
	for (i = 0; i < COUNT_OF(all); i++)
		*all[i] = server();
	introduce(all, COUNT_OF(all));
	test();
}

int main(void)
{
	fresh(test_back);
	fresh(test_answer_kept);
	fresh(test_deadlines);
	fresh(test_deaths);
	fresh(test_death_of_nested);
	fresh(test_resting);
	fresh(test_bomb);
	test_random();
	fresh(test_checker);
	return done();
}
