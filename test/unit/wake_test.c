/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping on programs, on one and on two CPUs in one thread (arch/null, interpreter): what runs a program, what wakes,
 * what goes meanwhile; then random stores, kicks, events, deadlines, moves and ends against a model that says after each
 * who is awake and how often each program has run: none without a cause, none too few.
 */
#include "exo/codes.h"
#include "libos/core/insn.h"
#include "test/unit/running.h"

#define PROGRAM_FRAMES	6
#define SLOT		5	/* of a sleeper's table: its program */
#define SLEEPERS	7
#define FRAMES		3	/* that are watched */

#define WHEN_NOT_ZERO	INSN_STORE(8, 10, -8, 1), INSN_WINDOW(3, 0, 0), INSN_LOAD(8, 0, 3, 0), INSN_EXIT
/* Counts r0 down from 100: some 300 instructions; then as above. */
#define AFTER_A_WHILE	INSN_OPI(MOV, 0, 100), INSN_OPI(SUB, 0, 1), INSN_IFI(JNE, 0, 0, -2), WHEN_NOT_ZERO

struct sleeper {
	struct child child;
	exo_cap_t frames, code;		/* its program; 0: none */
	exo_cap_t window;		/* through which that sees its frame */
	uint64_t there;			/* handle in its own table */
	unsigned frame;
	/* the model's */
	bool on;			/* sleeps on its program */
	bool woken;
	exo_time_t until;
	uint32_t runs;
};

static exo_cap_t watched;		/* FRAMES frames */
static exo_pfn_t watched_pfn;
static struct sleeper sleeper[SLEEPERS];

static volatile uint64_t *word(unsigned frame)
{
	return pfn_to_virt(watched_pfn + frame);
}

static int64_t finish(unsigned nr, uint64_t a0, uint64_t a1)
{
	int64_t result;

	while ((result = call(nr, a0, a1, 0, 0, 0, 0)) == ERR(AGAIN))
		;
	return result;
}

/* A program over one frame; 0: it does not load. The frames it lies in go to *frames. */
static exo_cap_t program(exo_cap_t *frames, const struct exo_insn *insn, unsigned count, unsigned fuel)
{
	exo_cap_t taken = (exo_cap_t)CALL(frame_take, free_slot(), EXO_PFN_ANY, PROGRAM_FRAMES);
	struct exo_code *code = pfn_to_virt((exo_pfn_t)cap_lookup(here.current, taken)->first);
	int64_t result;

	*code = (struct exo_code){ .version = EXO_CODE_VERSION, .size = sizeof(*code), .use = EXO_USE_WAKE,
		.insns = count, .fuel = fuel, .window[0].frames = 1 };
	memcpy((char *)code + EXO_CODE_INSNS, insn, count * sizeof(*insn));
	*frames = taken;
	result = CALL(code_load, free_slot(), taken, 0, PROGRAM_FRAMES);
	if (result <= 0 || finish(EXO_CALL_code_step, (uint64_t)result, 1024))
		return 0;
	return (exo_cap_t)result;
}
#define PROGRAM(frames, fuel, ...) \
	program(frames, (const struct exo_insn[]){ __VA_ARGS__ }, COUNT_OF(((const struct exo_insn[]){ __VA_ARGS__ })), fuel)

/* A sleeper's program, bound to a frame. */
static bool equip(struct sleeper *one, unsigned frame, bool slow)
{
	one->code = slow ? PROGRAM(&one->frames, 400, AFTER_A_WHILE) : PROGRAM(&one->frames, 16, WHEN_NOT_ZERO);
	one->frame = frame;
	one->window = (exo_cap_t)CALL(cap_derive, watched, 0, free_slot(), EXO_RIGHT_READ, frame, 1);
	one->there = (uint64_t)CALL(cap_derive, one->code, one->child.cap, SLOT, EXO_RIGHT_EXEC, 0, 0);
	return one->code && CALL(code_bind, one->code, 0, one->window, 0) == 0 && (int64_t)one->there > 0;
}

static void strip(struct sleeper *one)
{
	if (one->code) {
		(void)finish(EXO_CALL_cap_revoke, one->code, 0);
		(void)finish(EXO_CALL_cap_delete, one->code, 0);
	}
	if (one->window)
		(void)finish(EXO_CALL_cap_delete, one->window, 0);
	(void)finish(EXO_CALL_cap_delete, one->frames, 0);
	one->code = one->window = one->frames = 0;
}

static void drop(struct sleeper *one)
{
	(void)finish(EXO_CALL_env_destroy, one->child.cap, 0);
	(void)finish(EXO_CALL_cap_delete, one->child.cap, 0);
	(void)finish(EXO_CALL_cap_delete, one->child.space, 0);
	(void)finish(EXO_CALL_cap_delete, one->child.frames, 0);
}

/* --- on this CPU ---------------------------------------------------------------------------------------------- */

/* It has the CPU and sleeps, on its program or not: what exo_sleep said, or -1000. */
static int64_t sleep_here(struct sleeper *one, exo_time_t until, bool on)
{
	(void)null_call(EXO_CALL_yield, one->child.cap, 0, 0, 0, 0, 0);
	if (here.current != one->child.env)
		return -2000;
	if (null_call(EXO_CALL_sleep, until, one->child.env->disp->events, on ? one->there : 0, 0, 0, 0) !=
	    NULL_RETURNED)
		return -1000;
	int64_t result = null.result;
	(void)null_call(EXO_CALL_sleep, EXO_NEVER, one->child.env->disp->events, 0, 0, 0, 0);
	return result;
}

static void one_here(void)
{
	struct sleeper *one = &sleeper[0];
	struct env *env;
	exo_cap_t slices;

	one->child = child_start();
	env = one->child.env;
	ok(equip(one, 0, false), "a program for it");
	is_int(sleep_here(one, EXO_NEVER, true), -1000, "it sleeps on it");
	is_int(env->info->predicates, 1, "which has run once");
	ok(env->predicate && env_state(env) == EXO_ENV_ASLEEP, "W1");
	memset(here.code_stack, 0x5a, BPF_STACK_BYTES);
	is_int(CALL(kick, watched, 1), 0, "kick of another frame");
	is_int(env->info->predicates, 1, "runs nothing");
	is_int(CALL(kick, watched, 0), 0, "kick");
	is_int(CALL(wake, one->child.cap), 0, "event");
	ok(env->info->predicates == 3 && env_state(env) == EXO_ENV_ASLEEP, "each runs it once; it sleeps on");
	ok(env->disp->pending & EXO_EVENT_WAKE, "the event is there");
	ok(here.code_stack[0] == 0x5a && memcmp(here.code_stack, here.code_stack + 1, BPF_STACK_BYTES - 1) == 0,
	    "not on the stack of a packet's program, which may have posted the event");
	slices = (exo_cap_t)CALL(slice_take, free_slot(), 0, (here.slice + 2) % EXO_SLICES, 1);
	(void)CALL(slice_bind, slices, one->child.cap);
	for (unsigned i = 0; i < EXO_SLICES; i++) {
		null.now += SLICE;
		(void)interrupt_at(0x400000);
	}
	ok(env->info->predicates == 4 && env_state(env) == EXO_ENV_ASLEEP, "its slice comes round: once");
	*word(0) = 1;
	ok(env_state(env) == EXO_ENV_ASLEEP, "a store wakes nobody");
	for (unsigned i = 0; i < EXO_SLICES && env_state(env) == EXO_ENV_ASLEEP; i++) {
		null.now += SLICE;
		(void)interrupt_at(0x400000);
	}
	ok(env->info->predicates == 5 && env_state(env) == EXO_ENV_READY && !env->predicate, "before its next turn");
	while (here.current == env || env_state(env) == EXO_ENV_READY)
		(void)null_call(here.current == env ? EXO_CALL_sleep : EXO_CALL_yield, here.current == env ? EXO_NEVER : one->child.cap,
		    here.current == env ? env->disp->events : 0, 0, 0, 0, 0);
	is_int(CALL(slice_bind, slices, 0), 1, "no slice any more");
	is_int(sleep_here(one, EXO_NEVER, true), 0, "what holds already lets nobody sleep");
	*word(0) = 0;
	is_int(sleep_here(one, null.now + SLICE, true), -1000, "until a time");
	null.now += 2 * SLICE;
	(void)interrupt_at(0x400000);
	ok(!env->predicate && (here.current == env || env_state(env) == EXO_ENV_READY), "which comes");
	sound("here");
}

/* More than one stay in the kernel may run: the rest has its turn a little later. */
static void many_here(void)
{
	unsigned i, asleep = 0, at_once = 0, all = 0;

	for (i = 0; i < SLEEPERS; i++) {
		sleeper[i].child = child_start();
		if (equip(&sleeper[i], 0, true))
			asleep += sleep_here(&sleeper[i], EXO_NEVER, true) == -1000;
	}
	is_int(asleep, SLEEPERS, "many whose programs take long");
	here.runs_left = 600;	/* of a stay that has used some already */
	here.runs_stay = here.info->interrupts + here.current->arch.entries + 1;
	is_int(CALL(kick, watched, 0), 0, "kick");
	for (i = 0; i < SLEEPERS; i++)
		at_once += sleeper[i].child.env->info->predicates - 1;
	ok(at_once > 0 && at_once < SLEEPERS, "some have run");
	for (unsigned k = 0; k < 10; k++) {
		null.now += 20000;
		(void)interrupt_at(0x400000);
	}
	for (i = 0; i < SLEEPERS; i++)
		all += sleeper[i].child.env->info->predicates - 1;
	is_int(all, SLEEPERS, "and the others a little later, each once");
	sound("many");
}

/* --- on the other CPU, which idles, against the model ----------------------------------------------------------- */

static int64_t enter_secondary(void *arg)
{
	(void)arg;
	cpu_secondary();
}

static void there_goes_on(void)
{
	null_on(1);
	(void)interrupt_at(0x400000);
	null_on(0);
}

static int64_t there_sleeps(exo_time_t until, uint64_t code)
{
	enum null_way way;

	null_on(1);
	way = null_call(EXO_CALL_sleep, until, here.current->disp->events, code, 0, 0, 0);
	null_on(0);
	return way == NULL_RETURNED ? null.result : -1000;
}

static struct sleeper *who(const struct env *env)
{
	for (unsigned i = 0; i < SLEEPERS; i++)
		if (sleeper[i].child.env == env)
			return &sleeper[i];
	return NULL;
}

/* Who is awake there is noted, and sleeps again, on nothing. */
static void settle(void)
{
	for (unsigned i = 0; i < 4 * SLEEPERS; i++) {
		there_goes_on();
		if (!cpus[1]->current)
			return;
		who(cpus[1]->current)->woken = true;
		who(cpus[1]->current)->on = false;
		cpus[1]->current->disp->pending = 0;
		(void)there_sleeps(EXO_NEVER, 0);
	}
}

static void begin_there(struct sleeper *one, unsigned frame)
{
	memset(one, 0, sizeof(*one));
	one->child = child_make_on(1);
	(void)CALL(env_start, one->child.cap);
	settle();
	one->woken = false;
	(void)equip(one, frame, false);
}

/* It is asleep on nothing; from now on on its program, if that does not hold. */
static void arm(struct sleeper *one, exo_time_t until)
{
	int64_t result, wanted = *word(one->frame) ? 0 : -1000;

	(void)CALL(wake, one->child.cap);
	there_goes_on();
	cpus[1]->current->disp->pending = 0;
	result = there_sleeps(until, one->there);
	if (result != wanted)
		ok(false, "exo_sleep said %ld", (long)result);
	one->runs++;
	one->until = until;
	one->on = result == -1000;
	if (!one->on)
		(void)there_sleeps(EXO_NEVER, 0);
}

static unsigned lost, vain, miscounted;

/* After an operation: `expected` wakes, by bit; `runs` of programs, by bit. */
static void compare(unsigned expected, unsigned runs)
{
	settle();

	for (unsigned i = 0; i < SLEEPERS; i++) {
		lost += (expected >> i & 1) && !sleeper[i].woken;
		vain += !(expected >> i & 1) && sleeper[i].woken;
		sleeper[i].runs += runs >> i & 1;
		miscounted += sleeper[i].child.env->info->predicates != sleeper[i].runs;
		sleeper[i].runs = sleeper[i].child.env->info->predicates;
		sleeper[i].woken = false;
	}
}

static unsigned watchers(unsigned frame)
{
	unsigned all = 0;

	for (unsigned i = 0; i < SLEEPERS; i++)
		all |= (unsigned)(sleeper[i].on && sleeper[i].frame == frame) << i;
	return all;
}

/* Those whose time has come. */
static unsigned due(void)
{
	unsigned all = 0;

	for (unsigned i = 0; i < SLEEPERS; i++)
		all |= (unsigned)(sleeper[i].on && sleeper[i].until <= null.now) << i;
	return all;
}

/* Program, window, place or life of one that sleeps on it goes. */
static unsigned take_away(struct sleeper *one, unsigned how)
{
	unsigned bit = one->on ? 1U << (one - sleeper) : 0;

	switch (how) {
	case 0:
		strip(one);
		settle();
		(void)equip(one, (unsigned)rand() % FRAMES, false);
		return 1U << (one - sleeper);	/* it has lost a capability: that wakes who sleeps on nothing, too */
	case 1:
		(void)finish(EXO_CALL_cap_delete, one->window, 0);
		settle();
		one->window = (exo_cap_t)CALL(cap_derive, watched, 0, free_slot(), EXO_RIGHT_READ, one->frame, 1);
		(void)CALL(code_bind, one->code, 0, one->window, 0);
		return bit;
	case 2:
		if (CALL(env_move, one->child.cap, 0))
			return 0;
		null.now += SLICE;	/* no storm */
		(void)CALL(env_move, one->child.cap, 1);
		return due() | 1U << (one - sleeper);
	default:
		drop(one);
		strip(one);
		settle();
		begin_there(one, (unsigned)rand() % FRAMES);
		return 0;
	}
}

static void against_a_model(void)
{
	enum { STEPS = 6000 };
	unsigned i, at, frame, bits, frames_free, done[8] = { 0 };
	exo_time_t until;

	for (i = 0; i < SLEEPERS; i++)
		begin_there(&sleeper[i], i % FRAMES);
	frames_free = info->frames_free;
	srand(5);
	for (i = 0; i < STEPS; i++) {
		unsigned op = (unsigned)rand() % 8, expected = 0, runs = 0;
		at = (unsigned)rand() % SLEEPERS;
		frame = (unsigned)rand() % FRAMES;
		bits = watchers(frame);
		done[op]++;
		null.now += (unsigned)rand() % (SLICE / 2);
		compare(due(), 0);
		bits = watchers(frame);
		switch (op) {
		case 0:
			*word(frame) = (unsigned)rand() % 3 == 0;
			break;
		case 1:
		case 2:
			(void)CALL(kick, watched, frame);
			runs = bits;
			expected = *word(frame) ? bits : 0;
			break;
		case 3:
			(void)CALL(wake, sleeper[at].child.cap);
			runs = sleeper[at].on ? 1U << at : 0;
			expected = !sleeper[at].on || *word(sleeper[at].frame) ? 1U << at : 0;
			break;
		case 7:
			if (rand() % 4 == 0) {
				expected = take_away(&sleeper[at], (unsigned)rand() % 4);
				break;
			}
			/* fall through */
		default:
			until = rand() % 2 ? EXO_NEVER : null.now + (unsigned)rand() % (4 * SLICE);
			if (!sleeper[at].on)
				arm(&sleeper[at], until > null.now ? until : EXO_NEVER);
		}
		compare(expected, runs);
	}
	ok(!lost, "%u stores, %u kicks, %u events, %u others: no wakeup is lost", done[0], done[1] + done[2], done[3], done[7]);
	ok(!vain, "nobody wakes for nothing");
	ok(!miscounted, "no program runs without a cause, none too often or too seldom");
	is_int(info->frames_free, frames_free, "and no frame is lost");
	for (i = 0; i < SLEEPERS; i++) {
		drop(&sleeper[i]);
		strip(&sleeper[i]);
	}
}

/* The other CPU computes: kicks that wake nobody leave it nine parts of ten. */
static void share(void)
{
	struct child busy = child_make_on(1);
	uint32_t runs;

	begin_there(&sleeper[0], 0);
	arm(&sleeper[0], EXO_NEVER);
	(void)CALL(env_start, busy.cap);
	there_goes_on();
	ok(cpus[1]->current == busy.env, "one that computes there, one that sleeps");
	runs = sleeper[0].child.env->info->predicates;
	(void)CALL(kick, watched, 0);
	is_int(sleeper[0].child.env->info->predicates - runs, 1, "a kick runs its program");
	cpus[1]->wakes_quiet = true;
	cpus[1]->wakes_until = null.now + 1000;
	for (unsigned i = 0; i < 100; i++)
		(void)CALL(kick, watched, 0);
	is_int(sleeper[0].child.env->info->predicates - runs, 1, "while it rests, kicks do not");
	*word(0) = 1;
	(void)CALL(kick, watched, 0);
	null.now += 1000;
	there_goes_on();
	ok(sleeper[0].child.env->info->predicates - runs == 2 && env_state(sleeper[0].child.env) == EXO_ENV_READY,
	    "and none is lost");
}

static void fresh(unsigned cpu_count, void (*test)(void))
{
	machine_prepare_cpus(cpu_count);
	memset(sleeper, 0, sizeof(sleeper));
	(void)machine_start();
	if (cpu_count > 1) {
		null_on(1);
		(void)null_enter(enter_secondary, NULL);
		null_on(0);
	}
	watched = (exo_cap_t)CALL(frame_take, free_slot(), EXO_PFN_ANY, FRAMES);
	watched_pfn = (exo_pfn_t)cap_lookup(here.current, watched)->first;
	test();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	fresh(1, one_here);
	fresh(1, many_here);
	fresh(2, against_a_model);
	fresh(2, share);
	return done();
}
