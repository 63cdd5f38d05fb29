/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace: each of its errors; what a ring holds of calls, exceptions, transfers and the end; who may take whose place;
 * how a trace ends: stopped, by its capability, by either side's end, also from another CPU. Runs first: yes
 * Run with: --smp 2
 */
#include <exo/trace.h>
#include "test/guest/family.h"

enum { STEP, GO, RESULT };
#define FRAMES	3
#define ROOM	(FRAMES * 64 - 1)

static exo_cap_t frames;
static const struct exo_trace *ring;
static struct member member;
static uint64_t seen;		/* records looked at */

static const struct exo_trace_record *at(uint64_t n)
{
	return (const struct exo_trace_record *)(ring + 1) + n % ring->records;
}

/* The next record of a kind; NULL: there is none. */
static const struct exo_trace_record *next(uint32_t kind, uint32_t number)
{
	while (seen < ring->head) {
		const struct exo_trace_record *one = at(seen++);
		if (one->kind == kind && one->number == number)
			return one;
	}
	return NULL;
}

/* --- members -------------------------------------------------------------------------------------------- */

static bool fault_handler(struct exo_regs *regs)
{
	regs->rip += 2;		/* ud2 */
	regs->rbx++;
	return true;
}

static void served(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, bool reply)
{
	(void)badge, (void)caller, (void)w1, (void)w2, (void)w3;
	if (reply)
		exo_reply(w0 + 1, 0, 0, 0, 0);
}

static void await_go(uint64_t n)
{
	family_word[STEP] = n;
	while (family_word[GO] < n)
		core_sleep(core_now() + MS / 4, core_disp->events);
}

static _Noreturn void worker(void)
{
	uint64_t count = 1;

	core_exception(6, fault_handler);
	core_call_handler = served;
	await_go(1);
	exo_null();
	exo_env_fsbase(~0ULL);
	exo_invoke(999, 1, 2, 3, 4, 5, 6);
	__asm__ volatile("ud2" : "+b"(count));
	family_word[RESULT] = count;
	await_go(2);
	for (unsigned i = 0; i < 2 * ROOM; i++)
		exo_wake(i);
	await_go(3);
	core_exit(33);
}

static _Noreturn void idler(void)
{
	exo_cap_t own = core_named("frames");

	family_word[RESULT] = (uint64_t)exo_trace(core_named("other"), own, 0, 1, EXO_TRACE_CALLS);
	family_word[STEP] = 1;
	for (;;)
		core_sleep(EXO_NEVER, core_disp->events);
}

static bool make(struct member *who, const char *role, unsigned cpu)
{
	family_word[STEP] = family_word[GO] = family_word[RESULT] = 0;
	family_grant(who, "page", family_page, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1);
	who->spawn.cpu = cpu;
	return family_make(who, role, NULL);
}

/* --- the test ------------------------------------------------------------------------------------------- */

static void errors(void)
{
	exo_cap_t env = member.spawn.env, weak_env = (exo_cap_t)caps_derive(env, EXO_RIGHT_CONTROL, 0, 0);
	exo_cap_t weak = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);

	is(exo_trace(NO_CAP, frames, 0, 1, 1), -EXO_ECAP, "CAP: env");
	is(exo_trace(frames, frames, 0, 1, 1), -EXO_ETYPE, "TYPE: env");
	is(exo_trace(weak_env, frames, 0, 1, 1), -EXO_ERIGHTS, "RIGHTS: env");
	is(exo_trace(env, NO_CAP, 0, 1, 1), -EXO_ECAP, "CAP: frames");
	is(exo_trace(env, env, 0, 1, 1), -EXO_ETYPE, "TYPE: frames");
	is(exo_trace(env, weak, 0, 1, 1), -EXO_ERIGHTS, "RIGHTS: frames");
	is(exo_trace(env, frames, 0, FRAMES + 2, 1), -EXO_ERANGE, "RANGE: too few");
	is(exo_trace(env, frames, ~0ULL, 2, 1), -EXO_ERANGE, "RANGE: wraps");
	is(exo_trace(env, frames, 0, 257, 1), -EXO_EINVAL, "INVAL: count");
	is(exo_trace(env, frames, 0, ~0ULL, 1), -EXO_EINVAL, "INVAL: count");
	is(exo_trace(env, frames, 0, 1, 0), -EXO_EINVAL, "INVAL: nothing is recorded");
	is(exo_trace(env, frames, 0, 1, EXO_TRACE_ALL + 1), -EXO_EINVAL, "INVAL: mask");
	is(exo_trace(env, core_named(EXO_NAME_SELF), 0, 1, 1), -EXO_EBUSY, "BUSY: a kernel object");
	is(exo_trace(env, 0, 0, 0, 0), 0, "to stop what is not there");
	is(exo_trace(0, frames, 0, 1, EXO_TRACE_CALLS), 0, "oneself");
	is(exo_trace(env, frames, 0, 2, 1), -EXO_EBUSY, "BUSY: pinned");
	exo_null();
	is(exo_trace(0, 0, 0, 0, 0), 0, "stop");
	seen = 0;
	ok(next(EXO_TRACE_CALL, EXO_CALL_null) && next(EXO_TRACE_RESULT, EXO_CALL_null), "null was recorded");
	uint64_t head = ring->head;
	exo_null();
	is(ring->head, head, "no more is");
	caps_delete(weak_env);
	caps_delete(weak);
	is(exo_frame_give(frames, 1), 1, "the frames are ordinary again");
}

/* Whoever is traced goes on meanwhile: what is written over while one looks is looked at again. */
static bool in_order(void)
{
	uint64_t head, tries = 0;
	bool good;

	do {
		head = ring->head;
		good = true;
		for (uint64_t i = head - ROOM + 1; i < head; i++)
			good = good && at(i)->kind && at(i)->time >= at(i - 1)->time;
	} while (*(volatile const uint64_t *)&ring->head != head && ++tries < 1000);
	return good;
}

static void contents(unsigned cpu)
{
	const struct exo_trace_record *one;
	uint64_t words[4] = { 5 };
	exo_cap_t entry;

	printf("# CPU %u\n", cpu);
	if (!ok(make(&member, "worker", cpu), "a patient"))
		return;
	is(exo_trace(member.spawn.env, frames, 0, FRAMES, EXO_TRACE_ALL), 0, "it is traced before it starts");
	ok(ring->version == 1 && ring->size == 64 && ring->env == member.spawn.id && ring->records == ROOM &&
	    ring->mask == EXO_TRACE_ALL && !ring->head, "the ring is begun");
	seen = 0;
	spawn_start(&member.spawn);
	ok(family_await_word(STEP, 1, 5000), "it runs");
	one = next(EXO_TRACE_RUNS, cpu);
	ok(one && one->time && (one = next(EXO_TRACE_UPCALL, EXO_UPCALL_RUN)) && one->word[0] == EXO_RUN_START, "its start");
	entry = family_entry(&member, 77);
	if (cpu == 0) {
		is(exo_call(entry, EXO_NEVER, words), 6, "it serves");
		one = next(EXO_TRACE_UPCALL, EXO_UPCALL_CALL);
		ok(one && one->word[0] == 77 && one->word[1] == core_disp->self, "the transfer is there");
		one = next(EXO_TRACE_CALL, EXO_CALL_reply);
		ok(one && one->word[0] == 6, "its reply");
	}
	caps_delete(entry);
	seen = ring->head;
	family_word[GO] = 1;
	ok(family_await_word(STEP, 2, 5000) && family_word[RESULT] == 2, "it goes on; its handler has the registers");
	one = next(EXO_TRACE_CALL, EXO_CALL_null);
	ok(one && one[1].kind == EXO_TRACE_RESULT && one[1].number == EXO_CALL_null && !one[1].word[0], "null");
	one = next(EXO_TRACE_CALL, EXO_CALL_env_fsbase);
	ok(one && one->word[0] == ~0ULL && one[1].word[0] == (uint64_t)-EXO_EINVAL, "one that fails");
	one = next(EXO_TRACE_EXCEPTION, 6);
	ok(one && one->word[2] >= member.spawn.start, "the exception");
	family_word[GO] = 2;
	ok(family_await_word(STEP, 3, 5000) && ring->head > 2 * ROOM, "more than the ring holds");
	ok(in_order(), "the last are there, in order");
	seen = ring->head;
	family_word[GO] = 3;
	ok(family_await(&member, EXO_ENV_ENDED, 5000), "it ends");
	one = next(EXO_TRACE_END, EXO_CAUSE_EXIT);
	ok(one && one->word[0] == 33 && seen == ring->head, "which is its last record");
	is(exo_trace(member.spawn.env, frames, 0, FRAMES, 1), -EXO_EDEAD, "DEAD");
	is(exo_frame_give(frames, 1), -EXO_EBUSY, "the ring is mapped, but");
	space_map((exo_vaddr_t)ring, 0, 0, 0, FRAMES);
	is(exo_trace(0, frames, 0, FRAMES, 1), 0, "nobody's any more");
	is(exo_trace(0, 0, 0, 0, 0), 0, "stop");
	space_map((exo_vaddr_t)ring, EXO_MAP_READ, frames, 0, FRAMES);
	family_drop(&member);
}

static void others(unsigned cpu)
{
	struct member observer = { 0 };
	struct books before = books_now();
	exo_cap_t own = take_frames(1), lent = take_frames(1);
	uint64_t head;

	printf("# CPU %u\n", cpu);
	ok(make(&member, "worker", cpu), "a patient");
	is(exo_trace(member.spawn.env, own, 0, 1, EXO_TRACE_CALLS), 0, "traced by the test");
	family_grant(&observer, "frames", lent, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1);
	family_grant(&observer, "other", member.spawn.env, EXO_RIGHT_READ, 0);
	ok(make(&observer, "idler", !cpu) && spawn_start(&observer.spawn) >= 0 && family_await_word(STEP, 1, 5000) &&
	    family_word[RESULT] == (uint64_t)-EXO_EBUSY, "BUSY for another");
	family_drop(&observer);
	caps_delete(own);
	ok(info_frame(0) && books_now().own <= before.own + 60, "its capability goes, and with it the trace");

	family_grant(&observer, "frames", lent, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1);
	family_grant(&observer, "other", member.spawn.env, EXO_RIGHT_READ, 0);
	ok(make(&observer, "idler", !cpu) && spawn_start(&observer.spawn) >= 0 && family_await_word(STEP, 1, 5000) &&
	    family_word[RESULT] == 0, "the other traces");
	is(exo_trace(member.spawn.env, frames, 0, 1, 1), -EXO_EBUSY, "BUSY for the test");
	is(exo_trace(member.spawn.env, frames, 0, 0, 0), -EXO_EBUSY, "who may not stop it either");
	family_word[STEP] = 0;
	spawn_start(&member.spawn);
	ok(family_await_word(STEP, 1, 5000), "the patient runs");
	while (exo_cap_revoke(lent) == -EXO_EAGAIN)
		;
	is(exo_trace(member.spawn.env, frames, 0, FRAMES, 1), 0, "revoked: the test may trace it");
	family_word[GO] = 1;
	ok(family_await_word(STEP, 2, 5000), "the patient goes on");
	family_drop(&observer);
	head = ring->head;
	ok(head > 0, "it is recorded");
	is(exo_trace(member.spawn.env, 0, 0, 0, 0), 0, "stopped while it runs");
	head = ring->head;
	family_word[GO] = 2;
	ok(family_await_word(STEP, 3, 5000) && ring->head == head, "nothing more is");

	family_grant(&observer, "frames", lent, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1);
	family_grant(&observer, "other", member.spawn.env, EXO_RIGHT_READ, 0);
	ok(make(&observer, "idler", !cpu) && spawn_start(&observer.spawn) >= 0 && family_await_word(STEP, 1, 5000) &&
	    family_word[RESULT] == 0, "the other traces again");
	family_drop(&observer);
	is(exo_trace(member.spawn.env, frames, 0, FRAMES, 1), 0, "it ends: the test may");
	family_drop(&member);
	is(exo_frame_give(lent, 1), 1, "no frame is pinned");
	ok(books_same(before), "the books are even");
}

/* As many environments as can be traced, none of which runs. */
static void full(void)
{
	struct books before = books_now();
	exo_cap_t space_frame = take_frames(1), envs[EXO_TRACES_MAX + 1], mine[EXO_TRACES_MAX + 1], rings[EXO_TRACES_MAX + 1];
	uint32_t slot = caps_slot();
	exo_cap_t space = made(slot, exo_space_create(slot, space_frame, 0));
	int64_t result = 0;
	unsigned i, good = 0;

	for (i = 0; i <= EXO_TRACES_MAX; i++) {
		mine[i] = take_frames(4);
		rings[i] = take_frames(1);
		slot = caps_slot();
		memset(core_arg(0), 0, sizeof(struct exo_env_params));
		envs[i] = made(slot, exo_env_create(slot, space, 0, mine[i], 0, 0));
		result = exo_trace(envs[i], rings[i], 0, 1, EXO_TRACE_ALL);
		good += result == 0;
	}
	is(good, EXO_TRACES_MAX, "as many as there may be");
	is(result, -EXO_EFULL, "FULL: one more");
	is(exo_trace(envs[0], rings[0], 0, 0, 0), -EXO_EINVAL, "INVAL: frames for nothing");
	is(exo_trace(envs[0], 0, 0, 0, 0), 0, "one is stopped");
	is(exo_trace(envs[i - 1], rings[i - 1], 0, 1, 1), 0, "another has its place");
	for (i = 0; i <= EXO_TRACES_MAX; i++) {
		while (exo_env_destroy(envs[i]) == -EXO_EAGAIN)
			;
		caps_delete(envs[i]);
		caps_delete(mine[i]);
		caps_delete(rings[i]);
	}
	caps_delete(space);
	caps_delete(space_frame);
	ok(books_same(before), "the books are even");
}

int main(void)
{
	const char *role = family_begin();

	if (role && !strcmp(role, "worker"))
		worker();
	if (role)
		idler();
	(void)family_cpus();
	frames = take_frames(FRAMES + 1);
	exo_vaddr_t va = vm_addresses(FRAMES * EXO_PAGE_SIZE);
	space_map(va, EXO_MAP_READ, frames, 0, FRAMES);
	ring = (const struct exo_trace *)va;
	make(&member, "worker", 0);
	errors();
	family_drop(&member);
	contents(0);
	contents(1);
	others(0);
	others(1);
	full();
	return call_done();
}
