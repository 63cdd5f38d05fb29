/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that a test loads, and tiny environments that sleep on them, each time that they are told to.
 */
#ifndef TEST_GUEST_SLEEPERS_H
#define TEST_GUEST_SLEEPERS_H

#include "libos/core/insn.h"
#include "test/guest/tiny.h"

#define PROGRAM_FRAMES	6
#define PROGRAM_INSNS	64

struct program {
	exo_cap_t frames, code;
	struct exo_code_report report;
};

/* Where programs are written before they are given up. */
static exo_vaddr_t program_window;

/* Check and compile it to the end: 0 or an error. */
static inline int64_t program_finish(struct program *program)
{
	int64_t result;

	do
		result = exo_code_step(program->code, 1024);
	while (result == -EXO_EAGAIN);
	memcpy(&program->report, core_arg(1024), sizeof(program->report));
	return result;
}

/* Windows 0 .. windows - 1, a frame each. False: nothing is left behind. */
static __attribute__((unused)) bool program_load_as(struct program *program, uint32_t use, const struct exo_insn *insn,
    unsigned count, unsigned windows, unsigned fuel)
{
	uint32_t slot;
	int64_t result;

	if (!program_window)
		program_window = vm_addresses(EXO_PAGE_SIZE);
	*program = (struct program){ .frames = take_frames(PROGRAM_FRAMES) };
	if (!program->frames ||
	    space_map(program_window, EXO_MAP_READ | EXO_MAP_WRITE, program->frames, 0, 1))
		return false;
	struct exo_code *code = (struct exo_code *)program_window;
	*code = (struct exo_code){ .version = EXO_CODE_VERSION, .size = sizeof(*code), .use = use, .insns = count,
		.fuel = fuel, .label = "test" };
	for (unsigned i = 0; i < windows; i++)
		code->window[i].frames = 1;
	memcpy((char *)program_window + EXO_CODE_INSNS, insn, count * sizeof(*insn));
	space_map(program_window, 0, EXO_CAP_NONE, 0, 1);
	slot = caps_slot();
	result = exo_code_load(slot, program->frames, 0, PROGRAM_FRAMES);
	program->code = made(slot, result);
	if (program->code)
		result = program_finish(program);
	if (result >= 0)
		return true;
	printf("# program: %s; report %u at %u\n", exo_error_name(result), program->report.reject,
	    program->report.insn);
	if (program->code)
		caps_delete(program->code);
	caps_delete(program->frames);
	return false;
}

#define program_load(program, windows, fuel, ...) \
	program_load_as(program, EXO_USE_WAKE, (const struct exo_insn[]){ __VA_ARGS__ }, \
	    sizeof((const struct exo_insn[]){ __VA_ARGS__ }) / sizeof(struct exo_insn), windows, fuel)

/* Wake when word `byte` / 8 of window 0 is not 0. */
#define WHEN_NOT_ZERO(byte) \
	INSN_WINDOW(3, 0, byte), INSN_LOAD(8, 0, 3, 0), INSN_EXIT

static __attribute__((unused)) void program_drop(struct program *program)
{
	if (program->code)
		caps_delete(program->code);
	if (program->frames)
		caps_delete(program->frames);
	*program = (struct program){ 0 };
}

/* --- sleepers ------------------------------------------------------------------------------------------------- */

/* Words. */
enum { ARMS, ARMED, UNTIL, ON, ANSWER, RUNS, WHY, SLEEPER_WORDS };

#define SLEEPS	(-1000)		/* ANSWER: it sleeps, or slept */

TINY static void sleeper(uint64_t reasons)
{
	tiny_word(RUNS)++;
	tiny_word(WHY) = reasons;
	if (tiny_word(ARMS) != tiny_word(ARMED)) {
		tiny_word(ARMED) = tiny_word(ARMS);
		tiny_word(ANSWER) = (uint64_t)SLEEPS;
		tiny_disp->pending = 0;
		tiny_word(ANSWER) = (uint64_t)tiny_call(EXO_CALL_sleep, tiny_word(UNTIL), tiny_disp->events,
		    tiny_word(ON), 0, 0, 0);
	}
	for (;;)
		tiny_sleep(EXO_NEVER);
}

/* Made, started, asleep, with the program in slot 5 of its table (0: none). */
static __attribute__((unused)) bool sleeper_begin(struct tiny *tiny, exo_cap_t code)
{
	bool good = tiny_make(tiny, sleeper, 0) && tiny_start(tiny) && tiny_await(tiny, EXO_ENV_ASLEEP, 2000);

	if (good && code)
		tiny->word[ON] = (uint64_t)tiny_grant(tiny, code, 5, EXO_RIGHT_EXEC);
	return good && (!code || (int64_t)tiny->word[ON] > 0);
}

/* It sleeps on its program until a time: what exo_sleep said, or SLEEPS. */
static __attribute__((unused)) int64_t sleeper_arm(struct tiny *tiny, exo_time_t until)
{
	exo_time_t end = core_now() + 5000 * MS;

	tiny->word[UNTIL] = until;
	__atomic_store_n((uint64_t *)&tiny->word[ARMS], tiny->word[ARMS] + 1, __ATOMIC_SEQ_CST);
	exo_wake(tiny->env);
	while ((tiny->word[ARMED] != tiny->word[ARMS] || tiny_state(tiny) != EXO_ENV_ASLEEP) && core_now() < end)
		core_yield(EXO_CAP_NONE);
	return (int64_t)tiny->word[ANSWER];
}

/* It has run more often than that, and sleeps again. */
static __attribute__((unused)) bool sleeper_woke(const struct tiny *tiny, uint64_t runs)
{
	exo_time_t end = core_now() + 2000 * MS;

	while ((tiny->word[RUNS] == runs || tiny_state(tiny) != EXO_ENV_ASLEEP) && core_now() < end)
		core_yield(EXO_CAP_NONE);
	return tiny->word[RUNS] > runs;
}

/* Programs that it has run. */
static __attribute__((unused)) uint32_t sleeper_runs(const struct tiny *tiny)
{
	return ((const volatile struct exo_env_info *)tiny_info(tiny))->predicates;
}

/* It has run more than that, and a moment later it still sleeps. */
static __attribute__((unused)) bool sleeper_looked(const struct tiny *tiny, uint32_t runs, uint64_t upcalls)
{
	exo_time_t end = core_now() + 2000 * MS;

	while (sleeper_runs(tiny) == runs && core_now() < end)
		core_yield(EXO_CAP_NONE);
	thread_sleep(core_now() + MS);
	return sleeper_runs(tiny) > runs && tiny->word[RUNS] == upcalls && tiny_state(tiny) == EXO_ENV_ASLEEP;
}

#endif
