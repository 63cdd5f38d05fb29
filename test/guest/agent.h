/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tiny environment that does as it is told: it makes a call for the test, from its own point of view, or serves
 * transfers in one of several ways, good and bad.
 */
#ifndef TEST_GUEST_AGENT_H
#define TEST_GUEST_AGENT_H

#include "test/guest/tiny.h"

/* Words of its data page. */
enum { ASKED, DONE, CALL, ARGS, RESULT = ARGS + 6, WORDS, SERVE = WORDS + 4, SERVED, BADGE, CALLER,
	WANTED, GOT, FURTHER = GOT + 4, LATE, AGENT_WORDS };

/* What it does with a transfer (word SERVE). */
enum { SERVE_REPLY, SERVE_EXIT, SERVE_SLEEP, SERVE_SPIN, SERVE_FURTHER, SERVE_REFUSE, SERVE_FAULT,
	SERVE_YIELD, SERVE_DO };

#define AGENT_LEVEL	256		/* bytes of stack for each transfer that it is inside of, if it may be entered again */
#define COMES_BACK	(-1000)		/* RESULT of a call that comes back as a RUN upcall */

TINY static void agent_run(uint64_t reasons)
{
	register uint64_t r10 __asm__("r10");
	register uint64_t r8 __asm__("r8");
	register uint64_t r9 __asm__("r9");
	uint64_t a0, a1, a2;
	int64_t result;

	(void)reasons;
	for (;;) {
		if (tiny_word(ASKED) != tiny_word(DONE)) {
			tiny_word(RESULT) = (uint64_t)COMES_BACK;
			tiny_word(DONE) = tiny_word(ASKED);
			a0 = tiny_word(ARGS);
			a1 = tiny_word(ARGS + 1);
			a2 = tiny_word(ARGS + 2);
			r10 = tiny_word(ARGS + 3);
			r8 = tiny_word(ARGS + 4);
			r9 = tiny_word(ARGS + 5);
			__asm__ volatile(
			    "syscall"
			    : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10), "+r"(r8), "+r"(r9)
			    : "0"(tiny_word(CALL))
			    : "rcx", "r11", "memory", "cc");
			tiny_word(WORDS + 1) = r10;
			tiny_word(WORDS + 2) = r8;
			tiny_word(WORDS + 3) = r9;
			tiny_word(WORDS) = a2;
			tiny_word(RESULT) = (uint64_t)result;
		}
		tiny_sleep(EXO_NEVER);
	}
}

TINY static void agent_serve(
    uint64_t badge, uint64_t caller, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t wanted)
{
	uint64_t how = tiny_word(SERVE), stack = tiny_disp->call_sp;

	if (tiny_disp->reenter)
		tiny_disp->call_sp = stack - AGENT_LEVEL;
	tiny_word(BADGE) = badge;
	tiny_word(CALLER) = caller;
	tiny_word(WANTED) = wanted;
	tiny_word(GOT) = w0;
	tiny_word(GOT + 1) = w1;
	tiny_word(GOT + 2) = w2;
	tiny_word(GOT + 3) = w3;
	tiny_word(SERVED)++;
	if (how == SERVE_EXIT)
		tiny_exit(3);
	if (how == SERVE_FAULT)
		__asm__ volatile("movl $2, %0\n\tud2" : "=m"(tiny_disp->off));
	while (how == SERVE_SPIN)
		__asm__ volatile("pause");
	if (how == SERVE_REFUSE)
		tiny_word(RESULT) = (uint64_t)tiny_call(EXO_CALL_reply, ~0ULL, 0, 0, 0, 0, 0);
	if (how == SERVE_YIELD)
		tiny_call(EXO_CALL_yield, 0, 0, 0, 0, 0, 0);
	if (how == SERVE_FURTHER) {
		int64_t status = tiny_call(EXO_CALL_call, tiny_word(FURTHER), EXO_NEVER, w0 + 1, w1, w2, w3);
		tiny_word(RESULT) = (uint64_t)status;
		tiny_disp->call_sp = stack;
		tiny_call(
		    EXO_CALL_reply, status < 0 ? (uint64_t)-status : (uint64_t)status + 1, 0, 0, 0, 0, 0);
	}
	if (how == SERVE_DO)
		tiny_word(RESULT) = (uint64_t)tiny_call(tiny_word(CALL), tiny_word(ARGS), tiny_word(ARGS + 1),
		    tiny_word(ARGS + 2), tiny_word(ARGS + 3), tiny_word(ARGS + 4), tiny_word(ARGS + 5));
	tiny_disp->call_sp = stack;
	if (how != SERVE_SLEEP && wanted)
		tiny_word(LATE) = (uint64_t)tiny_call(EXO_CALL_reply, 7, w3 + 1, w2 + 2, w1 + 3, w0 + 4, 0);
	for (;;)
		tiny_sleep(EXO_NEVER);
}

__attribute__((section("tiny"), naked, used)) static void agent_called(void)
{
	__asm__("mov %r10, %rcx\n\tand $-16, %rsp\n\tpush %rax\n\tpush %rax\n\tcall agent_serve\n\tud2");
}

static __attribute__((unused)) bool agent_make(struct tiny *agent, uint32_t extra)
{
	if (!tiny_make(agent, agent_run, extra))
		return false;
	agent->disp->call_entry = (uint64_t)agent_called;
	return true;
}

/* Made, started, asleep. */
static __attribute__((unused)) bool agent_begin(struct tiny *agent, uint32_t extra)
{
	return agent_make(agent, extra) && tiny_start(agent) && tiny_await(agent, EXO_ENV_ASLEEP, 1000);
}

/* Let it make a call; what it returned, or COMES_BACK. */
static __attribute__((unused)) int64_t agent_do(const struct tiny *agent, uint64_t call, uint64_t a0,
    uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	const uint64_t args[6] = { a0, a1, a2, a3, a4, a5 };
	uint64_t number = agent->word[ASKED] + 1;
	exo_time_t end = core_now() + 2000 * MS;

	agent->word[CALL] = call;
	for (unsigned i = 0; i < 6; i++)
		agent->word[ARGS + i] = args[i];
	agent->word[ASKED] = number;
	/* A directed yield would wake it from the very sleep that it was told to begin. */
	tiny_poke(agent);
	while ((agent->word[DONE] != number || tiny_state(agent) == EXO_ENV_READY) && core_now() < end)
		if (tiny_state(agent) == EXO_ENV_READY)
			core_yield(EXO_CAP_NONE);
		else
			tiny_poke(agent);
	return (int64_t)agent->word[RESULT];
}

#endif
