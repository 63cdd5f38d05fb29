/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protected control transfer: call, reply, send, and how they end when somebody dies or time runs out; then
 * random operations of many environments, with the invariants looked at after each.
 */
#include "test/unit/running.h"

static struct env *first;

static exo_cap_t entry_to(struct child child, uint64_t badge)
{
	return (exo_cap_t)CALL(entry_make, free_slot(), child.cap, badge);
}

/* Let a child run once and fall asleep, so that it is an ordinary server. */
static struct child server(void)
{
	struct child child = child_start();

	(void)CALL(yield, child.cap);
	if (here.current != child.env)
		abort();
	(void)CALL(sleep, EXO_NEVER, child.env->disp->events);
	if (here.current != first)
		abort();
	return child;
}

static enum null_way reply(uint64_t status)
{
	return null_call(EXO_CALL_reply, status, 11, 12, 13, 14, 0);
}

static void test_call(void)
{
	struct child a = server();
	exo_cap_t entry = entry_to(a, 0xbad9e);
	uint64_t ns, switches = first->info->switches;

	first->arch.caller.rip = 0x4444;
	null.now += 100;
	ok(null_call(EXO_CALL_call, entry, EXO_NEVER, 1, 2, 3, 4) == NULL_UPCALL && here.current == a.env,
	    "call");
	ok(null.entry == CHILD_CALL && null.sp == 0x7000, "at its entry and stack");
	ok(null.message.rax == 1 && null.message.rdi == 0xbad9e && null.message.rsi == first->id &&
	    null.message.rdx == 1 && null.message.r10 == 2 && null.message.r8 == 3 && null.message.r9 == 4,
	    "badge, caller, words");
	ok(first->info->state == EXO_ENV_CALLING && a.env->info->state == EXO_ENV_READY, "states");
	ok(a.env->disp->off == EXO_OFF_YES, "upcalls off");
	sound("while it serves");
	is_int(CALL(reply, (uint64_t)-1), ERR(INVAL), "reply: INVAL, a negative status");
	null.now += 50;
	ok(reply(7) == NULL_CALLER && here.current == first && null.caller.rip == 0x4444, "reply");
	ok(null.message.rax == 7 && null.message.rdx == 11 && null.message.r10 == 12 &&
	    null.message.r8 == 13 && null.message.r9 == 14, "status and words");
	ok(a.env->info->state == EXO_ENV_ASLEEP && first->info->state == EXO_ENV_READY, "states");
	is_int((long long)(first->info->switches - switches), 1, "one switch back");
	ns = first->info->ns;
	null.now += 25;
	(void)null_call(EXO_CALL_yield, a.cap, 0, 0, 0, 0, 0);
	is_int((long long)(first->info->ns - ns), 175, "the callee ran on the caller's time");
	ok(null.message.rdi & EXO_RUN_REPLIED, "its next RUN says REPLIED");
	is_int(CALL(reply, 0), ERR(STATE), "reply: STATE");
	sound("after the reply");
}

static void test_errors(void)
{
	struct child a = server(), b = child_make();
	exo_cap_t entry = entry_to(a, 1), to_b = entry_to(b, 2), self, weak;

	self = (exo_cap_t)CALL(entry_make, free_slot(), 0, 9);
	weak = (exo_cap_t)CALL(cap_derive, entry, 0, free_slot(), 0, 0, 0);
	is_int(CALL(entry_make, 1, a.cap, 0), ERR(SLOT), "entry_make: SLOT");
	is_int(CALL(entry_make, free_slot(), entry, 0), ERR(TYPE), "entry_make: TYPE");
	is_int(CALL(call, 12345, EXO_NEVER), ERR(CAP), "call: CAP");
	is_int(CALL(call, a.cap, EXO_NEVER), ERR(TYPE), "TYPE");
	is_int(CALL(call, weak, EXO_NEVER), ERR(RIGHTS), "RIGHTS");
	is_int(CALL(call, self, EXO_NEVER), ERR(BUSY), "BUSY: oneself");
	is_int(CALL(call, to_b, EXO_NEVER), ERR(STATE), "STATE: not started");
	null.now = 500;
	is_int(CALL(call, entry, 500), ERR(TIME), "TIME");
	ok(first->call_deadline == EXO_NEVER && env_state(first) == EXO_ENV_READY, "nothing has changed");
	is_int(CALL(env_start, b.cap), 0, "started");
	(void)CALL(yield, b.cap);
	null.now = null.timer;
	(void)interrupt_at(0x1000);
	ok(here.current == first && b.env->resume == RESUME_OFF, "interrupted with upcalls off");
	is_int(CALL(call, to_b, EXO_NEVER), ERR(BUSY), "BUSY: interrupted with upcalls off");
	is_int(CALL(send, to_b), ERR(BUSY), "and for send");
	a.env->disp->call_entry = 0;
	is_int(CALL(call, entry, EXO_NEVER), ERR(STATE), "STATE: no entry");
	is_int(CALL(send, entry), ERR(STATE), "and for send");
	while (CALL(env_destroy, a.cap) == ERR(AGAIN))
		;
	is_int(CALL(call, entry, EXO_NEVER), ERR(DEAD), "DEAD");
	sound("after errors");
}

/* first -> s[0] -> s[1] ...: each serves and calls the next. */
static void test_chain(void)
{
	struct child s[EXO_CHAIN_MAX + 1];
	exo_cap_t to_first, entry[EXO_CHAIN_MAX + 1];
	unsigned i;

	to_first = (exo_cap_t)CALL(entry_make, free_slot(), 0, 100);
	for (i = 0; i <= EXO_CHAIN_MAX; i++) {
		s[i] = server();
		entry[i] = entry_to(s[i], i);
	}
	for (i = 0; i < EXO_CHAIN_MAX; i++) {
		entry[i + 1] = (exo_cap_t)CALL(cap_derive, entry[i + 1], s[i].cap, 5, EXO_RIGHT_EXEC, 0, 0);
		(void)CALL(cap_derive, to_first, s[i].cap, 6, EXO_RIGHT_EXEC, 0, 0);
	}
	for (i = 0; i < EXO_CHAIN_MAX; i++) {
		ok(null_call(EXO_CALL_call, entry[i], EXO_NEVER, 0, 0, 0, 0) == NULL_UPCALL &&
		    here.current == s[i].env, "%u deep", i + 1);
		is_int(CALL(call, exo_cap_make(6, 1), EXO_NEVER), ERR(BUSY), "BUSY: it waits itself");
	}
	is_int(CALL(call, entry[EXO_CHAIN_MAX], EXO_NEVER), ERR(DEPTH), "DEPTH");
	sound("chain");
	null.now += SLICE;
	(void)interrupt_at(0x1000);
	for (i = EXO_CHAIN_MAX; i--;) {
		ok(reply(i) == NULL_CALLER && null.message.rax == i, "back from %u", i + 1);
		ok(!broken(), "invariants");
	}
	ok(here.current == first, "back at the first");
}

static void test_preempted(void)
{
	struct child a = server(), b = server();
	exo_cap_t entry = entry_to(a, 1);

	(void)CALL(yield, b.cap);
	(void)CALL(yield, 0);
	ok(here.current == first && env_state(b.env) == EXO_ENV_READY, "another is ready");
	(void)CALL(call, entry, EXO_NEVER);
	null.now = null.timer;
	ok(interrupt_at(0x1234) == NULL_UPCALL && here.current == b.env, "while it serves the slice ends");
	sound("preempted");
	null.now = null.timer;
	ok(interrupt_at(0x5678) == NULL_REGS && here.current == a.env && null.regs.rip == 0x1234,
	    "it goes on in its turn");
	ok(reply(3) == NULL_CALLER && here.current == first && null.message.rax == 3, "and replies");
	ok(env_state(a.env) == EXO_ENV_ASLEEP, "and sleeps again");
	(void)CALL(call, entry, EXO_NEVER);
	env_event(a.env, EXO_EVENT_RECEIVE);
	(void)reply(3);
	ok(env_state(a.env) == EXO_ENV_READY && here.current == first, "an event meanwhile: it is ready then");
	sound("event while it serves");
	(void)CALL(yield, a.cap);
	ok((null.message.rdi & (EXO_RUN_EVENT | EXO_RUN_REPLIED)) == (EXO_RUN_EVENT | EXO_RUN_REPLIED),
	    "and told so");
}

static void test_slice_goes_along(void)
{
	struct child a = server(), b = server();
	exo_cap_t entry = entry_to(a, 1), slices = (exo_cap_t)CALL(slice_take, free_slot(), 0, 0, 64);

	(void)CALL(slice_bind, slices, named(EXO_NAME_ENV));
	(void)CALL(yield, b.cap);
	null.now += SLICE;
	(void)interrupt_at(0x100);
	ok(here.current == first && env_state(b.env) == EXO_ENV_READY, "the first owns all slices");
	(void)CALL(call, entry, EXO_NEVER);
	null.now += SLICE;
	ok(interrupt_at(0x200) == NULL_FRAME && here.current == a.env, "they are the callee's while it waits");
	ok(reply(0) == NULL_CALLER && here.current == first, "and its own again");
	sound("slices go along");
}

static void test_deadline(void)
{
	struct child a = server();
	exo_cap_t entry = entry_to(a, 1);

	null.now = 1000;
	(void)CALL(call, entry, 5000);
	ok(here.current == a.env && null.timer <= 5000, "a deadline sets the timer");
	sound("deadline");
	ok(reply(1) == NULL_CALLER && first->timed_at == EXO_NEVER, "a reply in time forgets it");
	(void)CALL(call, entry, 6000);
	null.now = 6000;
	(void)interrupt_at(0x100);
	ok(here.current == a.env && env_state(first) == EXO_ENV_READY &&
	    (a.env->disp->pending & EXO_EVENT_CUT), "it passes: the callee is told");
	is_int(CALL(reply, 0), ERR(STATE), "a late reply is an error");
	sound("cut");
	null.now = null.timer;
	ok(interrupt_at(0x104) == NULL_CALLER && here.current == first &&
	    (int64_t)null.message.rax == ERR(TIME), "the caller goes on with TIME");
	ok(env_state(a.env) == EXO_ENV_READY, "the callee stays ready");
	sound("after the deadline");
}

static void test_death(void)
{
	struct child a = server(), b;
	exo_cap_t entry = entry_to(a, 1), back;

	(void)CALL(call, entry, EXO_NEVER);
	ok(null_call(EXO_CALL_env_exit, EXO_CAUSE_EXIT, 0, 0, 0, 0, 0) == NULL_CALLER &&
	    here.current == first && (int64_t)null.message.rax == ERR(DEAD), "the callee exits: DEAD");
	a = server();
	entry = entry_to(a, 1);
	(void)CALL(call, entry, EXO_NEVER);
	a.env->disp->off = EXO_OFF_FAULT;
	ok(exception_at(0x100, 14, 0) == NULL_CALLER && (int64_t)null.message.rax == ERR(DEAD),
	    "the callee faults: DEAD");
	sound("after the callee's death");

	/* The caller is destroyed by whom it called. */
	a = server();
	b = server();
	entry = (exo_cap_t)CALL(cap_derive, entry_to(b, 3), a.cap, 5, EXO_RIGHT_EXEC, 0, 0);
	back = (exo_cap_t)CALL(cap_derive, a.cap, b.cap, 7, EXO_RIGHT_CONTROL, 0, 0);
	(void)CALL(yield, a.cap);
	ok(null_call(EXO_CALL_call, entry, EXO_NEVER, 0, 0, 0, 0) == NULL_UPCALL && here.current == b.env,
	    "a calls b");
	while (CALL(env_destroy, back) == ERR(AGAIN))
		;
	is_int(CALL(env_destroy, back), ERR(DEAD), "b destroys a");
	ok(!b.env->caller && (b.env->disp->pending & EXO_EVENT_CUT), "the link is cut");
	sound("after the caller's death");
	is_int(CALL(reply, 0), ERR(STATE), "and a reply an error");
}

static void test_send(void)
{
	struct child a = server();
	exo_cap_t entry = entry_to(a, 0x55);

	ok(null_call(EXO_CALL_send, entry, 1, 2, 3, 4, 0) == NULL_UPCALL && here.current == a.env, "send");
	ok(null.entry == CHILD_CALL && null.message.rax == 0 && null.message.rdi == 0x55 &&
	    null.message.rsi == first->id && null.message.rdx == 1 && null.message.r9 == 4,
	    "rax 0, badge, words");
	ok(env_state(first) == EXO_ENV_READY && !a.env->caller, "nobody waits");
	sound("send");
	is_int(CALL(reply, 0), ERR(STATE), "nothing to reply to");
	(void)CALL(sleep, EXO_NEVER, a.env->disp->events);
	ok(here.current == first && null.left == NULL_UPCALL, "the sender comes back by RUN");
}

/* --- random operations ------------------------------------------------------------------------------ */

#define ACTORS	8

/* Each has slots: 10 + i env, 20 + i entry of actor i; 30 + i: slices. Actor 0 is the first environment. */
static struct env *actor[ACTORS];

static void cast(void)
{
	struct child child;
	exo_cap_t caps[ACTORS], entries[ACTORS];
	unsigned i, j;

	first = actor[0] = here.current;
	caps[0] = named(EXO_NAME_ENV);
	for (i = 1; i < ACTORS; i++) {
		child = child_start();
		actor[i] = child.env;
		caps[i] = child.cap;
	}
	for (i = 0; i < ACTORS; i++)
		entries[i] = (exo_cap_t)CALL(entry_make, free_slot(), caps[i], i);
	for (j = 0; j < ACTORS; j++)
		for (i = 0; i < ACTORS; i++) {
			(void)CALL(cap_derive, caps[i], j ? caps[j] : 0, 40 + i,
			    EXO_RIGHT_READ | EXO_RIGHT_CONTROL, 0, 0);
			(void)CALL(cap_derive, entries[i], j ? caps[j] : 0, 50 + i, EXO_RIGHT_EXEC, 0, 0);
		}
	first->disp->call_entry = CHILD_CALL;
	first->disp->off_entry = CHILD_OFF;
	first->disp->off_sp = 0x9000;
}

static bool alive(const struct env *env)
{
	return info_frame[env->self].state == EXO_FRAME_ENV && env_state(env) != EXO_ENV_ENDED;
}

static void one_operation(void)
{
	unsigned who = (unsigned)rand() % ACTORS;
	struct env *self = here.current;

	null.now += (unsigned)rand() % (SLICE / 4);
	if (!self) {
		if (rand() % 3 == 0 && alive(actor[who]))
			env_event(actor[who], EXO_EVENT_RECEIVE);
		if (null.timer != EXO_NEVER && null.timer > null.now && rand() % 2)
			null.now = null.timer;
		(void)interrupt_at(0);
		return;
	}
	if (null.now >= null.timer) {
		(void)interrupt_at(0x1000);
		return;
	}
	switch (rand() % 12) {
	case 0: (void)CALL(yield, 0); break;
	case 1: (void)CALL(yield, exo_cap_make(40 + who, 1)); break;
	case 2: (void)CALL(sleep, null.now + (unsigned)rand() % (5 * SLICE), self->disp->events); break;
	case 3: (void)CALL(sleep, EXO_NEVER, self->disp->events); break;
	case 4:
	case 5: (void)CALL(call, exo_cap_make(50 + who, 1), EXO_NEVER, 1, 2, 3, 4); break;
	case 6: (void)CALL(call, exo_cap_make(50 + who, 1), null.now + (unsigned)rand() % (3 * SLICE), 1, 2,
	    3, 4); break;
	case 7:
	case 8: (void)CALL(reply, 0); break;
	case 9: (void)CALL(send, exo_cap_make(50 + who, 1)); break;
	case 10:
		self->disp->off = (unsigned)rand() % 2;
		(void)interrupt_at(0x2000);
		break;
	case 11:
		if (alive(actor[who]))
			env_event(actor[who], EXO_EVENT_RECEIVE);
		break;
	}
}

static void test_random(void)
{
	unsigned round, i, operations = 0;
	const char *what = NULL;

	for (round = 0; round < 60 && !what; round++) {
		machine_prepare();
		(void)machine_start();
		srand(round + 1);
		cast();
		for (i = 0; i < 2000 && !what; i++) {
			one_operation();
			what = broken();
			operations++;
			/* Now and then somebody dies, by himself or by another's hand. */
			if (!what && here.current && rand() % 400 == 0) {
				if (rand() % 2)
					(void)CALL(env_exit, EXO_CAUSE_EXIT, 1);
				else
					(void)CALL(env_destroy, exo_cap_make(40 + (unsigned)rand() % ACTORS,
					    1));
				what = broken();
			}
			if (null.left == NULL_PANIC)
				what = "panic";
		}
	}
	ok(!what, "random operations keep the invariants (%u)%s%s", operations, what ? "; broken: " : "",
	    what ? what : "");
}

/* The checker sees a fault when there is one. */
static void test_checker(void)
{
	struct child a = server();

	env_set_state(a.env, EXO_ENV_READY);
	ok(broken() != NULL, "the check finds a state that is wrong");
	env_set_state(a.env, EXO_ENV_ASLEEP);
	ok(!broken(), "and nothing else");
	here.timer = 5;
	ok(broken() != NULL, "the check finds a timer that is wrong");
}

static void fresh(void (*test)(void))
{
	machine_prepare();
	if (machine_start() != NULL_UPCALL)
		abort();
	first = here.current;
	test();
}

int main(void)
{
	fresh(test_call);
	fresh(test_errors);
	fresh(test_chain);
	fresh(test_preempted);
	fresh(test_slice_goes_along);
	fresh(test_deadline);
	fresh(test_death);
	fresh(test_send);
	test_random();
	fresh(test_checker);
	return done();
}
