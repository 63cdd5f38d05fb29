/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping on programs against those who store and kick on another CPU: no wakeup is lost in 100,000 rounds between two
 * CPUs; program, frames, CPU and life go while a kick is on its way; a storm of kicks leaves time to others.
 * Options: seed, rounds, turns.
 *
 * Runs first: yes
 * Run with: --smp 2
 * Time limit: 200 s
 */
#include "test/guest/sleepers.h"
#include "test/lib/random.h"

#define RW		(EXO_MAP_READ | EXO_MAP_WRITE)
#define TINY_X		0x5f8000ULL	/* the page that all see */

enum { TURN, STOP };			/* its words */
enum { ME = SLEEPER_WORDS, COUNT, LIMIT, KICKED, SLEPT };

static uint64_t state;
static exo_cap_t memory;
static volatile uint64_t *page;

static uint64_t next(void)
{
	return random_next(&state) >> 8;
}

static void pause_for(uint64_t turns)
{
	while (turns--)
		__asm__ volatile("pause");
}

/* --- nothing is lost ------------------------------------------------------------------------------------------ */

/* A turn is a store and a kick; otherwise it sleeps until it is its turn, and looks at no event. */
TINY static void player(uint64_t reasons)
{
	volatile uint64_t *shared = (volatile uint64_t *)TINY_X;
	uint64_t me = tiny_word(ME);

	(void)reasons;
	while (tiny_word(COUNT) < tiny_word(LIMIT)) {
		if (shared[TURN] % 2 == me) {
			tiny_word(COUNT)++;
			shared[TURN] = shared[TURN] + 1;
			tiny_call(EXO_CALL_kick, tiny_word(KICKED), 0, 0, 0, 0, 0);
			continue;
		}
		tiny_word(SLEPT)++;
		tiny_call(EXO_CALL_sleep, EXO_NEVER, tiny_disp->events, tiny_word(ON), 0, 0, 0);
	}
	tiny_exit(0);
}

static bool player_make(struct tiny *one, struct program *program, unsigned i, uint64_t turns)
{
	tiny_cpu = i;
	bool good = tiny_make(one, player, 0) && program_load(program, 1, 64,
	    INSN_WINDOW(3, 0, 8 * TURN),
	    INSN_LOAD(8, 0, 3, 0),
	    INSN_OPI(XOR, 0, 1 - i),
	    INSN_OPI(AND, 0, 1),
	    INSN_EXIT) && exo_code_bind(program->code, 0, memory, 0) == 0;

	tiny_cpu = 0;
	if (!good)
		return false;
	write_one(one->space, TINY_X | RW, memory, 0, 1);
	one->word[ME] = i;
	one->word[LIMIT] = turns;
	one->word[ON] = (uint64_t)tiny_grant(one, program->code, 5, EXO_RIGHT_EXEC);
	one->word[KICKED] = (uint64_t)tiny_grant(one, memory, 6, EXO_RIGHT_WRITE);
	return (int64_t)one->word[ON] > 0 && (int64_t)one->word[KICKED] > 0;
}

static void ping_pong(uint64_t turns)
{
	struct program program[2] = { { 0 } };
	struct tiny pair[2];
	bool good = true;

	page[TURN] = 0;
	for (unsigned i = 0; i < 2; i++)
		good = player_make(&pair[i], &program[i], i, turns) && good;
	ok(good, "two on two CPUs that kick a page of theirs");
	for (unsigned i = 0; i < 2 && good; i++)
		tiny_start(&pair[i]);
	uint64_t seen = 0;
	exo_time_t since = core_now();
	while (good && page[TURN] < 2 * turns && core_now() < since + 5000 * MS) {
		thread_sleep(core_now() + 5 * MS);
		if (page[TURN] != seen)
			seen = page[TURN], since = core_now();
	}
	is((int64_t)page[TURN], (int64_t)(2 * turns), "no wakeup is lost");
	printf("# slept %lu and %lu times, ran %u and %u programs\n", pair[0].word[SLEPT], pair[1].word[SLEPT],
	    sleeper_runs(&pair[0]), sleeper_runs(&pair[1]));
	for (unsigned i = 0; i < 2; i++) {
		tiny_drop(&pair[i]);
		program_drop(&program[i]);
	}
}

/* --- what goes while a kick is on its way --------------------------------------------------------------------- */

struct victim {
	struct tiny tiny;
	struct program program;
	exo_cap_t part;
	bool there;
};

static bool victim_make(struct victim *victim, unsigned cpu)
{
	*victim = (struct victim){ 0 };
	tiny_cpu = cpu;
	bool good = program_load(&victim->program, 1, 64, WHEN_NOT_ZERO(0));
	victim->part = (exo_cap_t)caps_derive(memory, EXO_RIGHT_READ, 0, 1);
	good = good && exo_code_bind(victim->program.code, 0, victim->part, 0) == 0 &&
	    sleeper_begin(&victim->tiny, victim->program.code);
	tiny_cpu = 0;
	victim->there = good;
	return good;
}

static void victim_drop(struct victim *victim)
{
	tiny_drop(&victim->tiny);
	program_drop(&victim->program);
	if (victim->part)
		caps_delete(victim->part);
	victim->there = false;
}

/* One that kicks the page for ever, on the other CPU. */
TINY static void kicker(uint64_t reasons)
{
	(void)reasons;
	for (;;) {
		tiny_call(EXO_CALL_kick, tiny_word(KICKED), 0, 0, 0, 0, 0);
		tiny_word(COUNT)++;
	}
}

/* It sleeps; then something happens to it while others kick; then it must be awake, or gone. */
static void take_away(struct victim *victim, unsigned *hangs)
{
	int64_t result = sleeper_arm(&victim->tiny, EXO_NEVER);
	uint64_t upcalls = victim->tiny.word[RUNS];

	if (result != SLEEPS) {
		printf("# arming: %s\n", exo_error_name(result));
		++*hangs;
		return;
	}
	pause_for(next() % 400);
	switch (next() % 6) {
	case 0:
		while (exo_cap_revoke(victim->program.code) == -EXO_EAGAIN)
			;
		caps_delete(victim->program.code);
		victim->program.code = EXO_CAP_NONE;
		break;
	case 1:
		caps_delete(victim->part);
		victim->part = EXO_CAP_NONE;
		break;
	case 2:
		while (exo_env_move(victim->tiny.env, next() % 2) == -EXO_EAGAIN)
			;
		break;
	case 3:
		victim_drop(victim);
		return;
	case 4:
		exo_wake(victim->tiny.env);
		/* fall through */
	default:
		break;
	}
	page[TURN] = 1;
	exo_kick(memory, 0);
	if (!sleeper_woke(&victim->tiny, upcalls)) {
		printf("# it hangs\n");
		++*hangs;
	}
	page[TURN] = 0;
	if (!victim->part || !victim->program.code)
		victim_drop(victim);
}

static void storm(unsigned rounds)
{
	struct victim victim[2] = { { .there = false } };
	struct tiny other;
	unsigned hangs = 0, round;

	page[TURN] = 0;
	tiny_cpu = 1;
	bool good = tiny_make(&other, kicker, 0);
	tiny_cpu = 0;
	if (!ok(good, "one that kicks for ever"))
		return;
	other.word[KICKED] = (uint64_t)tiny_grant(&other, memory, 6, EXO_RIGHT_WRITE);
	tiny_start(&other);
	for (round = 0; round < rounds && hangs < 3; round++) {
		struct victim *one = &victim[round % 2];
		if (!one->there && !victim_make(one, (unsigned)next() % 2))
			break;
		take_away(one, &hangs);
	}
	is(round, rounds, "rounds");
	ok(!hangs, "whatever goes while kicks are on their way, nobody sleeps on");
	uint64_t kicks = other.word[COUNT];
	for (unsigned i = 0; i < 1000 && other.word[COUNT] == kicks; i++)	/* its CPU may have to wait for this computer's */
		thread_sleep(core_now() + 5 * MS);
	ok(other.word[COUNT] > kicks && kicks > rounds, "%lu kicks by the other", kicks);
	for (unsigned i = 0; i < 2; i++)
		if (victim[i].there)
			victim_drop(&victim[i]);
	tiny_drop(&other);
}

/* Kicks of what this CPU's sleepers watch, from the other CPU: work here goes on. */
static void time_left(void)
{
	struct victim victim[8];
	struct tiny other;
	volatile uint64_t sum = 1;
	unsigned i, asleep = 0;

	page[TURN] = 0;
	for (i = 0; i < 8; i++)
		asleep += victim_make(&victim[i], 0) && sleeper_arm(&victim[i].tiny, EXO_NEVER) == SLEEPS;
	is(asleep, 8, "sleepers on this CPU");
	exo_time_t alone = core_now();
	for (uint64_t k = 0; k < 3000000; k++)
		sum = sum * 6364136223846793005ULL + k;
	alone = core_now() - alone;
	tiny_cpu = 1;
	bool good = tiny_make(&other, kicker, 0);
	tiny_cpu = 0;
	if (ok(good, "a kicker on the other")) {
		other.word[KICKED] = (uint64_t)tiny_grant(&other, memory, 6, EXO_RIGHT_WRITE);
		tiny_start(&other);
		while (!other.word[COUNT])
			core_yield(EXO_CAP_NONE);
		exo_time_t beside = core_now();
		for (uint64_t k = 0; k < 3000000; k++)
			sum = sum * 6364136223846793005ULL + k;
		beside = core_now() - beside;
		uint32_t runs = sleeper_runs(&victim[0].tiny);
		/* Runs, not time: other work of the emulator's host would be taken for theirs. */
		ok(runs < 100 + 40 * beside / MS, "work takes %lu us alone, %lu us beside a storm of kicks: %u runs of each",
		    alone / 1000, beside / 1000, runs);
		tiny_drop(&other);
	}
	for (i = 0; i < 8; i++)
		victim_drop(&victim[i]);
}

int main(void)
{
	state = call_option("seed", 11) * 0x9e3779b97f4a7c15 | 1;
	cpus_await();
	tiny_prepare();
	page = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		memory = take_frames(1);
		space_map((exo_vaddr_t)page, RW, memory, 0, 1);
		ping_pong(round ? call_option("turns", 50000) : 100);
		storm((unsigned)call_option("rounds", 300) / (round ? 1 : 10));
		time_left();
		space_map((exo_vaddr_t)page, 0, EXO_CAP_NONE, 0, 1);
		caps_delete(memory);
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
