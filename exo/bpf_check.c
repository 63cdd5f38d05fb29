/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier: is this program safe to run, and which of its memory accesses need a test at run time?
 *
 * Phases, each going over the program once in order of position, one instruction (or state) at a time, so
 * that the check can stop anywhere and go on later:
 *
 *	SCAN	each instruction by itself; local calls mark where functions start
 *	ENDS	backward: where each function ends
 *	JUMPS	jumps stay in their function; fuel that jumps back and calls take
 *	ORDER	functions in an order with callers first (A. B. Kahn's), so there is no recursion; depths. In each, its
 *		instructions in reverse postorder: but for ways back to a loop's head, all ways lead onward
 *	LOOPS	of each function, after its ORDER: heads, and what each loop writes
 *	VALUES	for each function in that order: what registers and stack may hold (bpf_step.c, bpf_state.c)
 *
 * In VALUES the state is carried on from instruction to instruction. A way to one whose turn comes later
 * leaves a copy there, in a pool of states, joined with what others left; when it is its turn, the copy is
 * taken up and free again. At a loop's head the state is made one that can hold each time round, and kept
 * until the last way back has proved it (bpf_state.c); if one could not, or an instruction is rejected while
 * a guess is open, the function is gone through again with weaker guesses, as often as the costs allow. So
 * the time is linear in the program's length.
 *
 * C1 a state in the pool belongs to exactly one place: `slot` (waiting, or a loop's head) or `entry` (a
 *    function's)
 * C2 after VALUES, each instruction that a run can reach has BPF_NOTE_REACHED, and its note holds for all its
 *    runs
 */
#include "exo/bpf_check.h"

#define PASSES_SURE	2	/* over a function, and more while all is not too costly */
#define PASSES		8
#define COST_ALL	200000
#define COST_INSN	2500
#define STATES_MIN	8
#define COST_STEP	600
#define COST_COPY	300

/* --- memory ------------------------------------------------------------------------------------------- */

static size_t head_bytes(uint32_t insns)
{
	return sizeof(struct bpf_check) + (((size_t)insns * sizeof(struct bpf_place) + 63) & ~(size_t)63);
}

size_t bpf_check_bytes(uint32_t insns)
{
	return head_bytes(insns) + (STATES_MIN + 8 + insns / 32) * sizeof(struct bpf_state);
}

struct bpf_check *bpf_check_begin(struct bpf_program *program, void *work, size_t work_bytes)
{
	struct bpf_check *check = work;
	size_t head = head_bytes(program->insns), states;

	if (work_bytes < head + STATES_MIN * sizeof(struct bpf_state))
		return NULL;
	states = (work_bytes - head) / sizeof(struct bpf_state);
	*check = (struct bpf_check){ .program = program };
	check->place = (struct bpf_place *)(check + 1);
	check->pool = (struct bpf_state *)((char *)work + head);
	check->states = states < 0xfffe ? (uint32_t)states : 0xfffe;
	program->depth = program->accesses = program->guarded = 0;
	return check;
}

/* A state from the pool, by its number; 0: there is none. Those never used so far follow when the free list
 * is empty. */
static uint16_t state_take(struct bpf_check *check)
{
	uint32_t number = check->free;

	if (number)
		check->free = check->pool[number - 1].next;
	else if (check->used < check->states)
		number = ++check->used;
	return (uint16_t)number;
}

static void state_free(struct bpf_check *check, uint16_t *number)
{
	check->pool[*number - 1].next = check->free;
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
	if (reg >= 0 && check->phase == BPF_VALUES) {
		const struct bpf_value *v = &check->now.reg[reg];

		report->known = (struct exo_known){
			.kind = v->kind, .window = v->window, .min = v->min, .max = v->max,
			.umin = v->umin, .umax = v->umax, .value = v->value, .unknown = v->unknown,
		};
	}
	return -1;
}

int bpf_refuse(struct bpf_check *check, unsigned reason, uint32_t insn)
{
	check->at = insn;
	return bpf_reject(check, reason, -1);
}

/* --- VALUES ------------------------------------------------------------------------------------------- */

struct bpf_state *bpf_way(struct bpf_check *check, uint32_t target)
{
	struct bpf_place *place = &check->place[target];

	check->spent += COST_COPY;
	check->other_used = place->slot;
	if (!place->slot && place->order <= check->turn + 1) {
		bpf_reject(check, EXO_REJECT_MIXED, -1);	/* back to where control has not been */
		return NULL;
	}
	if (!check->other_used && !(place->slot = state_take(check))) {
		bpf_reject(check, EXO_REJECT_WORK, -1);
		check->exhausted = true;
		return NULL;
	}
	struct bpf_state *way = check->other_used ? &check->other : &check->pool[place->slot - 1];

	*way = check->now;
	return way;
}

void bpf_way_end(struct bpf_check *check, uint32_t target, struct bpf_state *way, bool open)
{
	struct bpf_place *place = &check->place[target];

	if (!open && !check->other_used)
		state_free(check, &place->slot);
	if (!open)
		return;
	if (place->order > check->turn + 1) {
		if (check->other_used)
			bpf_state_join(check, &check->pool[place->slot - 1], way, target);
	} else if (!bpf_loop_covers(check, target, way)) {
		check->again = true;
		check->stuck = check->at;
	}
}

int bpf_enter(struct bpf_check *check, uint32_t function)
{
	struct bpf_place *place = &check->place[function];
	struct bpf_state *entry = &check->other;

	check->spent += COST_COPY;
	bpf_state_clear(entry);
	entry->packet = check->now.packet;
	for (unsigned reg = 1; reg <= 5; reg++) {
		struct bpf_value *v = &entry->reg[reg];

		*v = check->now.reg[reg];
		if (v->kind == EXO_KIND_ADDRESS && v->window == EXO_WINDOW_PACKET && v->id) {
			v->room = (int32_t)bpf_room(&check->now, v);
			v->id = BPF_FRESH(function, reg);
			v->delta = 0;
		} else if (v->kind == EXO_KIND_NUMBER && v->id) {
			v->left = false;
			v->id = 0;
			v->delta = 0;
		} else if (v->kind == EXO_KIND_ADDRESS && v->window == EXO_WINDOW_STACK) {
			v->foreign = true;
		}
	}
	if (place->entry) {
		bpf_state_join(check, &check->pool[place->entry - 1], entry, function);
		return 0;
	}
	if (!(place->entry = state_take(check))) {
		check->exhausted = true;
		return bpf_reject(check, EXO_REJECT_WORK, -1);
	}
	check->pool[place->entry - 1] = *entry;
	return 0;
}

/* Go to the start of the function at check->start, once more or for the first time. */
static void function_begin(struct bpf_check *check)
{
	struct bpf_program *program = check->program;
	struct bpf_place *place = &check->place[check->start];
	struct bpf_value *v;

	check->at = check->start;
	check->end = place->end;
	check->turn = place->order - 1u;
	check->live = !check->start || place->entry;
	check->again = check->failed = check->looped = false;
	program->accesses = check->accesses;
	program->guarded = check->guarded;
	check->spent += COST_COPY;
	if (place->entry)
		check->now = check->pool[place->entry - 1];
	else
		bpf_state_clear(&check->now);
	if (!check->start) {
		v = &check->now.reg[1];
		bpf_number(v, 0);
		v->kind = EXO_KIND_ADDRESS;
		v->window = EXO_WINDOW_CONTEXT;
	}
	v = &check->now.reg[BPF_FRAME];
	bpf_number(v, 0);
	v->kind = EXO_KIND_ADDRESS;
	v->window = EXO_WINDOW_STACK;
}

static void function_first(struct bpf_check *check, uint32_t start)
{
	check->start = start;
	check->pass = 0;
	check->loose = false;
	check->loose_slots = check->mixed_slots = 0;
	check->accesses = check->program->accesses;
	check->guarded = check->program->guarded;
	function_begin(check);
}

/* The end of a function: is it done, or to be gone through again? 0: all are done. */
static int function_end(struct bpf_check *check)
{
	struct bpf_place *place = &check->place[check->start];

	if (check->failed && !check->again) {
		if (check->loose || !check->looped || check->exhausted)
			return -1;
		check->loose = true;
	}
	if (check->failed || check->again) {
		if (++check->pass >= PASSES_SURE &&
		    (check->pass == PASSES ||
		     check->total + check->spent > COST_ALL + COST_INSN * check->program->insns)) {
			if (!check->failed)
				bpf_refuse(check, EXO_REJECT_MIXED, check->stuck);
			return -1;
		}
		function_begin(check);
		return 1;
	}
	if (place->entry)
		state_free(check, &place->entry);
	if (!place->next)
		return 0;
	function_first(check, place->next);
	return 1;
}

/* What waits at check->at comes together with the state from above. */
static void meet(struct bpf_check *check, uint16_t number)
{
	struct bpf_state *waits = &check->pool[number - 1];

	if (check->failed)
		return;
	if (check->live)
		bpf_state_join(check, &check->now, waits, check->at);
	else
		check->now = *waits;
	check->live = true;
	check->spent += COST_COPY;
}

static int loop_begin(struct bpf_check *check)
{
	struct bpf_place *place = &check->place[check->at];

	check->looped = true;
	check->spent += COST_COPY;
	bpf_loop_guess(check, &check->now, check->at);
	if (!(place->slot = state_take(check))) {
		check->exhausted = true;
		return bpf_reject(check, EXO_REJECT_WORK, -1);
	}
	check->pool[place->slot - 1] = check->now;
	return 0;
}

/* No more ways lead back to `head`: the state that was taken for granted there is not needed any more. */
static void loop_end(struct bpf_check *check, int64_t head)
{
	if (head >= 0 && check->place[head].until == check->turn + 1 && check->place[head].slot)
		state_free(check, &check->place[head].slot);
}

/* Control goes on behind the instruction, though it is not that one's turn. */
static int go_on(struct bpf_check *check, uint32_t to)
{
	struct bpf_state *way = bpf_way(check, to);

	if (!way)
		return -1;
	bpf_way_end(check, to, way, true);
	check->live = false;
	return 0;
}

static int values(struct bpf_check *check)
{
	uint32_t i = check->at;
	struct bpf_place *place = &check->place[i];
	struct bpf_note *note = &check->program->note[i];
	int64_t to = bpf_behind(check, i);

	note->flags &= BPF_NOTE_SECOND | BPF_NOTE_TARGET | BPF_NOTE_FUNCTION;
	if (place->slot) {
		meet(check, place->slot);
		state_free(check, &place->slot);
	}
	if (check->live) {
		note->flags |= BPF_NOTE_REACHED;
		if ((place->until && loop_begin(check) < 0) || bpf_step(check) < 0 ||
		    (check->live && to >= 0 && check->place[to].order != check->turn + 2 &&
		     go_on(check, (uint32_t)to) < 0)) {
			check->failed = true;
			check->live = false;
		}
	}
	if (place->returns) {
		loop_end(check, bpf_jump_target(check, i));
		loop_end(check, to);
	}
	if (check->failed && !check->looped)
		return -1;
	if (++check->turn == check->end)
		return function_end(check);
	check->at = check->place[check->turn].turn;
	return 1;
}

/* --- steps -------------------------------------------------------------------------------------------- */

static int phase_begin(struct bpf_check *check)
{
	struct bpf_program *program = check->program;
	uint32_t use = program->use;

	if (!program->insns || program->insns > EXO_INSNS_MAX || program->data_bytes > EXO_CODE_DATA_MAX ||
	    use < EXO_USE_PACKET || use > BPF_USE_FILTER)
		return bpf_reject(check, EXO_REJECT_HEADER, -1);
	return 0;
}

int bpf_check_step(struct bpf_check *check, unsigned budget, struct exo_code_report *report)
{
	static int (*const phase[])(struct bpf_check *) = {
		[BPF_SCAN] = bpf_phase_scan, [BPF_ENDS] = bpf_phase_ends, [BPF_JUMPS] = bpf_phase_jumps,
		[BPF_ORDER] = bpf_phase_order, [BPF_LOOPS] = bpf_phase_loops,
	};
	struct bpf_program *program = check->program;
	int result = check->phase == BPF_SCAN && !check->at ? phase_begin(check) : 1;

	if (!result)
		result = 1;
	for (check->spent = 0; result > 0 && check->spent < budget;) {
		if (check->phase == BPF_VALUES) {
			check->spent += COST_STEP;
			result = values(check);
		} else {
			result = phase[check->phase](check);
			if (result > 0 && check->phase == BPF_VALUES)
				function_first(check, 0);
		}
	}
	check->total += check->spent;
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
