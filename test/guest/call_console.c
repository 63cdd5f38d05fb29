/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console_read: each of its errors; one reader at a time, and how it goes: by its capability, by revocation, by its
 * end, also from another CPU. What comes out of it is tested from outside (test/e2e/console.py). Runs first: yes
 * Run with: --smp 2
 */
#include "test/guest/family.h"

enum { RESULT, STEP };

/* A member: try to become the reader, tell the result, wait to be ended. */
static _Noreturn void reader(void)
{
	exo_cap_t console = core_named("input");

	family_word[RESULT] = (uint64_t)exo_console_read(console, 0, 0);
	family_word[STEP] = 1;
	for (;;)
		core_sleep(EXO_NEVER, core_disp->events);
}

static exo_cap_t derived(unsigned rights)
{
	return (exo_cap_t)caps_derive(core_named(EXO_NAME_CONSOLE), rights, 0, 0);
}

static void errors(void)
{
	exo_cap_t own = derived(EXO_RIGHT_READ), weak = derived(EXO_RIGHT_WRITE);

	is(exo_console_read(NO_CAP, 0, 1), -EXO_ECAP, "CAP");
	is(exo_console_read(0, 0, 1), -EXO_ECAP, "CAP: slot 0");
	is(exo_console_read(own + (1ULL << 32), 0, 1), -EXO_ECAP, "CAP: another generation");
	is(exo_console_read(core_named(EXO_NAME_INFO), 0, 1), -EXO_ETYPE, "TYPE");
	is(exo_console_read(weak, 0, 1), -EXO_ERIGHTS, "RIGHTS");
	is(exo_console_read(own, 4097, 0), -EXO_ERANGE, "RANGE: offset");
	is(exo_console_read(own, 4090, 7), -EXO_ERANGE, "RANGE: behind the frame");
	is(exo_console_read(own, 1, ~0ULL), -EXO_ERANGE, "RANGE: a length that wraps");
	is(core_info->console_reader, 0, "nobody has become the reader");
	is(exo_console_read(own, 0, 0), 0, "console_read of no bytes");
	is(core_info->console_reader, (uint32_t)core_disp->self, "makes the reader");
	ok(exo_console_read(own, 0, 4096) >= 0, "it may ask for more than there can be");
	is(exo_console_read(own, 4096, 0), 0, "no bytes at the end of the frame");
	caps_delete(weak);
	is(core_info->console_reader, (uint32_t)core_disp->self, "another capability goes");
	caps_delete(own);
	is(core_info->console_reader, 0, "its own goes: no reader");
	is(exo_console_read(own, 0, 0), -EXO_ECAP, "CAP: deleted");
}

static struct member member;

static bool start(exo_cap_t input, unsigned cpu)
{
	family_word[STEP] = 0;
	family_grant(&member, "page", family_page, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1);
	family_grant(&member, "input", input, EXO_RIGHT_READ, 0);
	member.spawn.cpu = cpu;
	return family_make(&member, "reader", NULL) && spawn_start(&member.spawn) >= 0 &&
	    family_await_word(STEP, 1, 5000);
}

static void others(unsigned cpu)
{
	exo_cap_t own = derived(EXO_RIGHT_READ), lent = derived(EXO_RIGHT_READ);
	struct books before = books_now();

	is(exo_console_read(own, 0, 0), 0, "on CPU %u: the test reads", cpu);
	ok(start(lent, cpu) && family_word[RESULT] == (uint64_t)-EXO_EBUSY, "BUSY for another");
	family_drop(&member);
	is(core_info->console_reader, (uint32_t)core_disp->self, "its end changes nothing");
	caps_delete(own);

	ok(start(lent, cpu) && family_word[RESULT] == 0, "the other reads");
	is(core_info->console_reader, (uint32_t)member.spawn.id, "it is shown");
	own = derived(EXO_RIGHT_READ);
	is(exo_console_read(own, 0, 9), -EXO_EBUSY, "BUSY for the test");
	while (exo_cap_revoke(lent) == -EXO_EAGAIN)
		;
	is(core_info->console_reader, 0, "revoked: no reader");
	is(exo_console_read(own, 0, 0), 0, "the test may read");
	caps_delete(own);
	family_drop(&member);

	ok(start(lent, cpu) && family_word[RESULT] == 0, "the other reads again");
	family_drop(&member);
	is(core_info->console_reader, 0, "destroyed: no reader");
	caps_delete(lent);
	ok(books_same(before), "the books are even");
}

int main(void)
{
	if (family_begin())
		reader();
	(void)family_cpus();
	errors();
	(void)books_now();
	others(0);
	others(1);
	return call_done();
}
