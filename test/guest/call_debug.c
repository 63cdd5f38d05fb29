/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debugger's ways: env_write with each of its errors, env_move to EXO_CPU_NONE and back, registers of a stopped
 * environment, on the same CPU and on another. Runs first: yes
 * Run with: --smp 2
 */
#include "test/guest/family.h"

enum { COUNT, HERE, FOUND, TEXT };

static uint64_t steps[2] = { 1, 1 };
static const uint64_t constant = 77;

/* Counts in a register, aloud, by a step that is in memory. */
static _Noreturn void patient(void)
{
	family_word[HERE] = (uint64_t)&steps[1];
	family_word[FOUND] = (uint64_t)&constant;
	family_word[TEXT] = (uint64_t)patient;
	__asm__ volatile("xor %%eax, %%eax\n"
		"1:	add (%0), %%rax\n\t"
		"mov %%rax, (%1)\n\t"
		"jmp 1b" : : "r"(&steps[1]), "r"(family_word) : "rax", "memory");
	__builtin_unreachable();
}

static _Noreturn void sleeper(void)
{
	for (;;) {
		family_word[COUNT]++;
		core_sleep(EXO_NEVER, core_disp->events);
	}
}

static struct member member;

static bool start(const char *role, unsigned cpu)
{
	family_word[COUNT] = family_word[HERE] = 0;
	family_grant(&member, "page", family_page, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1);
	member.spawn.cpu = cpu;
	return family_make(&member, role, NULL) && spawn_start(&member.spawn) >= 0 && family_await_word(COUNT, 1, 5000);
}

static int64_t stop(void)
{
	int64_t error;

	while ((error = exo_env_move(member.spawn.env, EXO_CPU_NONE)) == -EXO_EAGAIN)
		core_sleep(core_now() + MS / 10, core_disp->events);
	return error;
}

static int64_t go_on(unsigned cpu)
{
	int64_t error;

	while ((error = exo_env_move(member.spawn.env, cpu)) == -EXO_EAGAIN)
		core_sleep(core_now() + MS / 10, core_disp->events);
	return error;
}

static void errors(void)
{
	exo_cap_t env = member.spawn.env, weak = (exo_cap_t)caps_derive(env, EXO_RIGHT_READ | EXO_RIGHT_GRANT, 0, 0);
	uint64_t at = family_word[HERE];

	is(exo_env_write(NO_CAP, at, 0, 8), -EXO_ECAP, "write CAP");
	is(exo_env_write(core_named(EXO_NAME_CONSOLE), at, 0, 8), -EXO_ETYPE, "write TYPE");
	is(exo_env_write(weak, at, 0, 8), -EXO_ERIGHTS, "write RIGHTS: env");
	is(exo_env_write(env, at, 4090, 8), -EXO_ERANGE, "write RANGE: argument frame");
	is(exo_env_write(env, at, 0, ~0ULL), -EXO_ERANGE, "write RANGE: a length that wraps");
	is(exo_env_write(env, EXO_USER_MAX, 0, 1), -EXO_ERANGE, "write RANGE: no user address");
	is(exo_env_write(env, ~0ULL, 0, 1), -EXO_ERANGE, "write RANGE: the last address");
	is(exo_env_write(env, EXO_USER_MAX - 4, 0, 8), -EXO_ERANGE, "write RANGE: beyond user addresses");
	is(exo_env_write(env, 0x3000, 0, 8), -EXO_ERANGE, "write RANGE: not mapped");
	is(exo_env_read(env, at, 0, 8), 8, "what is there");
	is(exo_env_write(env, at, 0, 3), 3, "a part of it");
	is(exo_env_write(env, EXO_VA_START + 4092, 0, 8), -EXO_ERANGE, "write RANGE: the second page is not mapped");
	is(exo_env_write(env, EXO_VA_INFO, 0, 8), -EXO_ERIGHTS, "write RIGHTS: exposed pages");
	is(exo_env_write(env, EXO_VA_CAPS, 0, 8), -EXO_ERIGHTS, "write RIGHTS: a capability table");
	is(exo_env_write(env, family_word[FOUND], 0, 8), -EXO_ERIGHTS, "write RIGHTS: constants, which all share");
	is(exo_env_write(env, family_word[TEXT], 0, 1), -EXO_ERIGHTS, "write RIGHTS: text, which all share");
	is(exo_env_write(env, at, 0, 0), 0, "nothing");
	caps_delete(weak);
}

static void run(unsigned cpu)
{
	struct books before = books_now();
	uint64_t count, rip, value, at;
	int64_t slice;

	if (!ok(start("patient", cpu), "on CPU %u: a patient", cpu))
		return;
	at = family_word[HERE];
	is(stop(), 0, "stop");
	is(family_state(&member), EXO_ENV_STOPPED, "it is stopped");
	is(stop(), 0, "again");
	slice = exo_slice_take(caps_slot(), cpu, 3, 1);
	ok(slice > 0, "a slice of that CPU");
	is(exo_slice_bind((exo_cap_t)slice, member.spawn.env), -EXO_ECPU, "bind CPU: it runs on none");
	is(exo_cap_delete((exo_cap_t)slice), 0, "the slice goes");
	count = family_word[COUNT];
	thread_sleep(core_now() + 5 * MS);
	ok(family_word[COUNT] == count, "it stands still");
	ok(spawn_read(member.spawn.env, EXO_VA_DISP + offsetof(struct exo_disp, on.rip), &rip, 8) == 8 &&
	    rip >= member.spawn.start && spawn_read(member.spawn.env, EXO_VA_DISP + offsetof(struct exo_disp, on.rax), &value,
	    8) == 8 && value - count <= 1, "its registers are read");
	value = 1ULL << 40;
	memcpy(core_arg(0), &value, 8);
	is(exo_env_write(member.spawn.env, EXO_VA_DISP + offsetof(struct exo_disp, on.rax), 0, 8), 8, "one is written");
	value = 1ULL << 20;
	memcpy(core_arg(3), &value, 8);
	is(exo_env_write(member.spawn.env, at, 3, 8), 8, "and a variable");
	ok(spawn_read(member.spawn.env, at, &value, 8) == 8 && value == 1ULL << 20, "which reads back");
	is(exo_env_start(member.spawn.env), -EXO_ESTATE, "start STATE: it is stopped");
	is(go_on(cpu), 0, "go on");
	ok(family_await_word(COUNT, (1ULL << 40) + (1ULL << 20), 5000) && family_word[COUNT] % (1ULL << 20) < 2,
	    "both are what it goes on with");
	is(stop(), 0, "stop once more");
	is(go_on(!cpu), 0, "go on, on the other CPU");
	ok(family_await(&member, EXO_ENV_READY, 5000) && info_env((uint32_t)member.spawn.id)->cpu == !cpu, "it is there");
	count = family_word[COUNT];
	ok(family_await_word(COUNT, count + (1ULL << 20), 5000), "and counts");
	is(go_on(!cpu), 0, "to go on while it runs changes nothing");
	family_drop(&member);
	ok(books_same(before), "the books are even");
}

static void stopped_end(unsigned cpu)
{
	struct books before = books_now();
	uint64_t count;

	ok(start("sleeper", cpu), "on CPU %u: one that sleeps", cpu);
	family_await(&member, EXO_ENV_ASLEEP, 5000);
	is(stop(), 0, "it is stopped");
	count = family_word[COUNT];
	is(exo_wake(member.spawn.env), 0, "it is woken");
	thread_sleep(core_now() + 3 * MS);
	ok(family_word[COUNT] == count && family_state(&member) == EXO_ENV_STOPPED, "not before it goes on");
	is(go_on(cpu), 0, "go on");
	ok(family_await_word(COUNT, count + 1, 5000), "it wakes");
	is(stop(), 0, "stopped again");
	family_drop(&member);
	ok(books_same(before), "it ends; the books are even");
	ok(start("patient", cpu) && stop() == 0, "one that runs is stopped");
	family_drop(&member);
	ok(books_same(before), "it ends; the books are even");
}

static void misuse(void)
{
	exo_cap_t weak;

	is(exo_env_move(0, EXO_CPU_NONE), -EXO_ESTATE, "stop STATE: oneself");
	is(exo_env_move(core_named(EXO_NAME_ENV), EXO_CPU_NONE), -EXO_ESTATE, "stop STATE: by one's own capability");
	family_grant(&member, "page", family_page, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1);
	ok(family_make(&member, "patient", NULL), "one that is not started");
	is(exo_env_move(member.spawn.env, EXO_CPU_NONE), -EXO_ESTATE, "stop STATE: not started");
	weak = (exo_cap_t)caps_derive(member.spawn.env, EXO_RIGHT_READ, 0, 0);
	is(exo_env_move(weak, EXO_CPU_NONE), -EXO_ERIGHTS, "stop RIGHTS");
	caps_delete(weak);
	family_drop(&member);
}

static void sealed(void)
{
	member.spawn.seal = true;
	ok(start("patient", 0), "a patient in a sealed space");
	is(exo_env_write(member.spawn.env, family_word[TEXT], 0, 1), -EXO_ESEALED, "write SEALED: its text");
	is(exo_env_write(member.spawn.env, family_word[HERE], 0, 0), 0, "its data, as ever");
	family_drop(&member);
}

int main(void)
{
	const char *role = family_begin();

	if (role && !strcmp(role, "patient"))
		patient();
	if (role)
		sleeper();
	(void)family_cpus();
	misuse();
	if (start("patient", 0))
		errors();
	family_drop(&member);
	run(0);
	run(1);
	stopped_end(0);
	stopped_end(1);
	sealed();
	return call_done();
}
