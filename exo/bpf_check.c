/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier: is this program safe to run, and which of its memory accesses need a test at run time?
 *
 * Phases, each going over the program once in order of position, one instruction (or state) at a time, so
 * that the check can stop anywhere and go on later:
 *
 *	SCAN	each instruction by itself, where it leads; local calls mark where functions start
 *	ORDER	functions in an order with callers first (A. B. Kahn's), so there is no recursion; depths. In each, its
 *		instructions in reverse postorder, jumps stay in it: but for ways back to a loop's head, all ways lead onward;
 *		what each loop writes. Nothing is left that has no turn
 *	VALUES	for each function in that order: what registers and stack may hold (bpf_step.c, bpf_state.c)
 *
 * In VALUES the state is carried on from instruction to instruction. A way to one whose turn comes later
 * leaves a copy there, in a pool of states, joined with what others left; when it is its turn, the copy is
 * taken up and free again. What a comparison teaches is in the state itself while one of its ways is looked at (bpf_narrow,
 * bpf_widen). At a loop's head the state is made one that can hold each time round, and kept
 * until the last way back has proved it (bpf_state.c); if one could not, or an instruction is rejected while
 * a guess is open, the function is gone through again with weaker guesses. What each part costs is counted, and a
 * program that comes to more than COST_INSN for each of its instructions is too tangled, so the time is linear in its
 * length; the kernel's own, of filters, is not bounded by that but by how it is made.
 *
 * C1 a state in the pool belongs to exactly one place: `slot` (waiting, or a loop's head) or `entry` (a
 *    function's)
 * C2 after VALUES, each instruction that a run can reach has BPF_NOTE_REACHED, and its note holds for all its
 *    runs
 */
#include "exo/bpf_check.h"

#define PASSES		8	/* over a function */
#define COST_ALL	100000	/* bounds of the whole check: for a program, and for each of its instructions */
#define COST_INSN	1860
#define STATES_MIN	12
#define STATES		20	/* and more with the program's length */
#define STATES_MAX	12000

/* --- memory ------------------------------------------------------------------------------------------- */

static size_t head_bytes(uint32_t insns)
{
	return sizeof(struct bpf_check) + (((size_t)insns * sizeof(struct bpf_place) + 63) & ~(size_t)63);
}

size_t bpf_check_bytes(uint32_t insns)
{
	return head_bytes(insns) + (STATES + insns / 24) * sizeof(struct bpf_state);
}

struct bpf_check *bpf_check_begin(struct bpf_program *program, void *work, size_t work_bytes)
{
	struct bpf_check *check = work;
	size_t head = head_bytes(program->insns), states;

	if (work_bytes < head + STATES_MIN * sizeof(struct bpf_state))
		return NULL;
	states = (work_bytes - head) / sizeof(struct bpf_state);
	*check = (struct bpf_check){ .program = program, .states = (uint32_t)(states < STATES_MAX ? states : STATES_MAX),
		.names = BPF_SAME_MIXED };
	check->place = (struct bpf_place *)(check + 1);
	check->pool = (struct bpf_state *)((char *)work + head);
	program->depth = program->accesses = program->guarded = 0;
	return check;
}

/* A copy in the pool, by its number; 0: there is no room, and the report says so. Those never used so far follow when the
 * free list is empty. */
static uint16_t keep(struct bpf_check *check, const struct bpf_state *state)
{
	uint32_t number = check->free;

	check->spent += COST_KEEP;
	if (number)
		check->free = check->pool[number - 1].next;
	else if (check->used < check->states)
		number = ++check->used;
	else
		bpf_reject(check, EXO_REJECT_WORK, -1);
	if (number)
		check->pool[number - 1] = *state;
	return (uint16_t)number;
}

static void let_go(struct bpf_check *check, uint16_t *number)
{
	check->pool[*number - 1].next = (uint16_t)check->free;
	check->free = *number;
	*number = 0;
}

/* --- the result --------------------------------------------------------------------------------------- */

int bpf_reject(struct bpf_check *check, unsigned reason, int reg)
{
	struct exo_code_report *report = &check->report;

	report->reject = reason;
	report->insn = check->at;
	report->reg = reg < 0 ? 0 : (uint32_t)reg;
	report->known = (struct exo_known){ 0 };
	if (reg >= 0 && check->phase == BPF_VALUES)
		bpf_known(&check->now.var[reg], &report->known);
	return -1;
}

int bpf_refuse(struct bpf_check *check, unsigned reason, uint32_t insn)
{
	check->at = insn;
	return bpf_reject(check, reason, -1);
}

/* --- VALUES ------------------------------------------------------------------------------------------- */

int bpf_way(struct bpf_check *check, uint32_t target)
{
	struct bpf_place *place = &check->place[target];

	if (place->order > check->turn + 1) {
		if (place->slot)
			bpf_join(check, &check->pool[place->slot - 1], &check->now, target);
		else
			place->slot = keep(check, &check->now);
	} else if (!place->slot) {
		bpf_reject(check, EXO_REJECT_MIXED, -1);	/* back to where control has not been */
	} else if (!bpf_loop_covers(check, target, &check->now)) {
		check->again = true;
		check->stuck = check->at;
	}
	return place->slot ? 0 : -1;
}

int bpf_enter(struct bpf_check *check, uint32_t function)
{
	struct bpf_place *place = &check->place[function];
	struct bpf_state *entry = &check->before;

	*entry = (struct bpf_state){ .packet = check->now.packet };
	for (unsigned reg = 1; reg <= 5; reg++) {
		bpf_put(check, entry, reg, &check->now.var[reg]);
		if (entry->var[reg].window == EXO_WINDOW_STACK)
			entry->var[reg].window = BPF_WINDOW_CALLER;
	}
	if (place->entry)
		bpf_join(check, &check->pool[place->entry - 1], entry, function);
	else
		place->entry = keep(check, entry);
	return place->entry ? 0 : -1;
}

/* Go to the start of the function at check->start, once more or for the first time. */
static void function_begin(struct bpf_check *check)
{
	struct bpf_place *place = &check->place[check->start];
	struct bpf_value v;

	check->at = check->start;
	check->end = place->end;
	check->turn = place->order - 1u;
	check->live = !check->start || place->entry;
	check->again = check->failed = false;
	check->open = 0;
	check->program->accesses = check->accesses;
	check->program->guarded = check->guarded;
	check->now = place->entry ? check->pool[place->entry - 1] : (struct bpf_state){ 0 };
	bpf_number(&v, 0);
	v.kind = EXO_KIND_ADDRESS;
	v.window = EXO_WINDOW_CONTEXT;
	if (!check->start)
		bpf_put(check, &check->now, 1, &v);
	if (!check->start && check->program->use == BPF_USE_FILTER)
		bpf_put(check, &check->now, 2, &bpf_any);
	v.window = EXO_WINDOW_STACK;
	bpf_put(check, &check->now, BPF_FRAME, &v);
}

void bpf_function(struct bpf_check *check, uint32_t start)
{
	check->phase = BPF_VALUES;
	check->start = start;
	check->pass = 0;
	check->loose = false;
	check->lost = 0;
	check->accesses = check->program->accesses;
	check->guarded = check->program->guarded;
	function_begin(check);
}

/* The end of a function: is it done, or to be gone through again? 0: all are done. */
static int function_end(struct bpf_check *check)
{
	struct bpf_place *place = &check->place[check->start];

	if (check->failed && !check->again) {
		if (check->loose)
			return -1;
		check->loose = true;
	}
	if (check->failed || check->again) {
		if (++check->pass < PASSES) {
			function_begin(check);
			return 1;
		}
		return check->failed ? -1 : bpf_refuse(check, EXO_REJECT_MIXED, check->stuck);
	}
	if (place->entry)
		let_go(check, &place->entry);
	if (!place->next)
		return 0;
	bpf_function(check, place->next);
	return 1;
}

/* What waits at check->at comes together with the state from above. */
static void meet(struct bpf_check *check, uint16_t *number)
{
	struct bpf_state *waits = &check->pool[*number - 1];

	if (check->live)
		bpf_join(check, &check->now, waits, check->at);
	else if (!check->failed)
		check->now = *waits;
	check->live = !check->failed;
	let_go(check, number);
}

static int loop_begin(struct bpf_check *check)
{
	struct bpf_place *place = &check->place[check->at];

	bpf_loop_guess(check, &check->now, check->at);
	place->slot = keep(check, &check->now);
	check->open++;
	return place->slot ? 0 : -1;
}

/* No more ways lead back to a head: the state that was taken for granted there is not needed any more. */
static void loop_end(struct bpf_check *check, uint32_t to)
{
	struct bpf_place *head = &check->place[to - 1];

	if (!to || head->until != check->turn + 1 || !head->slot)
		return;
	let_go(check, &head->slot);
	check->open--;
}

/* The instruction at check->at, if control comes there. 0, or -1: rejected. */
static int value(struct bpf_check *check)
{
	struct bpf_place *place = &check->place[check->at];

	check->spent += COST_STEP;
	check->program->note[check->at].flags |= BPF_NOTE_REACHED;
	if ((place->until && loop_begin(check) < 0) || bpf_step(check) < 0)
		return -1;
	if (!check->live || check->place[place->to[1] - 1].order == check->turn + 2)
		return 0;
	check->live = false;
	return bpf_way(check, place->to[1] - 1u);
}

static int phase_values(struct bpf_check *check)
{
	struct bpf_place *place = &check->place[check->at];

	check->spent += COST_TURN;
	check->program->note[check->at].flags &= BPF_NOTE_SECOND | BPF_NOTE_TARGET | BPF_NOTE_FUNCTION;
	if (place->slot)
		meet(check, &place->slot);
	if (check->live && value(check) < 0) {
		if ((!check->open && !check->again) || check->report.reject == EXO_REJECT_WORK)
			return -1;
		check->failed = true;
		check->live = false;
	}
	if (place->returns) {
		loop_end(check, place->to[0]);
		loop_end(check, place->to[1]);
	}
	if (++check->turn == check->end)
		return function_end(check);
	check->at = check->place[check->turn].turn;
	return 1;
}

/* --- steps -------------------------------------------------------------------------------------------- */

static bool is_legal(const struct bpf_program *program)
{
	return program->insns && program->insns <= EXO_INSNS_MAX && program->data_bytes <= EXO_CODE_DATA_MAX &&
	    program->use >= EXO_USE_PACKET && program->use <= BPF_USE_FILTER;
}

int bpf_check_step(struct bpf_check *check, unsigned budget, struct exo_code_report *report)
{
	static int (*const phase[])(struct bpf_check *) = {
		[BPF_SCAN] = bpf_phase_scan, [BPF_ORDER] = bpf_phase_order, [BPF_VALUES] = phase_values,
	};
	struct bpf_program *program = check->program;
	int result = check->phase == BPF_SCAN && !check->turn && !is_legal(program) ?
	    bpf_reject(check, EXO_REJECT_HEADER, -1) : 1;

	check->budget = budget;
	for (check->spent = 0; result > 0 && check->spent < budget;)
		result = phase[check->phase](check);
	check->total += check->spent;
	if (result > 0 && program->use != BPF_USE_FILTER && check->total > COST_ALL + COST_INSN * program->insns)
		result = bpf_reject(check, EXO_REJECT_TANGLED, -1);
	if (result > 0)
		return 1;
	if (!result) {
		program->fuel -= check->place[0].end;
		check->report = (struct exo_code_report){ 0 };
	}
	check->report.insns = program->insns;
	check->report.accesses = program->accesses;
	check->report.guarded = program->guarded;
	check->report.depth = program->depth;
	*report = check->report;
	return result;
}
