/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs: those that the verifier accepts are run by the interpreter, step by step, and at each instruction
 * every register and stack slot is held against what the verifier believed of it there (V1 to V4 of exo/bpf_check.h).
 * No access without a test may lie outside its window, and no run may take more than its fuel. Each is run twice, with
 * the same contents at other addresses, and other leftovers in the stack: nothing may differ.
 *
 *	bpf_check_random [PROGRAMS [SEED]]
 */
#include <stdlib.h>

#include "exo/bpf_interpret.c"
#define bpf_step noted_step
#include "exo/bpf_check.c"
#undef bpf_step
#include "test/unit/bpf_generate.h"
#include "test/unit/tap.h"

int bpf_step(struct bpf_check *check);

/* --- what the verifier believed ---------------------------------------------------------------------------------------- */

static struct bpf_state believed[INSNS_MAX];

int noted_step(struct bpf_check *check)
{
	believed[check->at] = check->now;
	return bpf_step(check);
}

/* Functions that programs call: some number, no effect. */
static uint64_t some(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	(void)r1, (void)r2, (void)r3, (void)r4, (void)r5;
	return run->steps * 0x9e3779b97f4a7c15ull >> run->steps % 64;
}

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT] = { NULL, some, some, some, some, some, some };

/* --- running, and holding against --------------------------------------------------------------------------------------- */

#define ROOM	70000

static struct world {
	uint8_t memory[2][8192], data[64], packet[ROOM], block[4096], stack[BPF_STACK_BYTES];
	union {
		struct exo_packet packet;
		struct exo_wake wake;
		struct exo_block block;
	} context;
} *world[2];
static uint32_t packet_bytes;
static struct bpf_note notes[INSNS_MAX + 8];
static struct bpf_program program;
static int faults;
static unsigned long long steps, beliefs;

static void show(const char *what, uint32_t pc, unsigned reg)
{
	if (faults++ >= 3)
		return;
	printf("# %s: instruction %u, register or slot %u\n", what, pc, reg);
	for (uint32_t i = 0; i < insns; i++)
		printf("# %3u: %02x dst %u src %u offset %d imm %d  note %x\n", i, text[i].code, bpf_dst(&text[i]),
		    bpf_src(&text[i]), text[i].offset, text[i].imm, notes[i].flags);
}

static bool has(const struct bpf_value *v, uint64_t number)
{
	return number - v->low <= v->span && !((number - v->low) & (v->gap - 1));
}

static uint64_t base_of(const struct machine *m, const struct bpf_value *v)
{
	const struct bpf_window *window = &m->run->window[v->window];

	if (v->window == EXO_WINDOW_STACK)
		return m->r[BPF_FRAME];
	return (uintptr_t)window->base + (v->kind == EXO_KIND_END ? window->bytes : 0);
}

static bool holds_value(const struct machine *m, const struct bpf_value *v, uint64_t is)
{
	beliefs++;
	if (v->window == BPF_WINDOW_CALLER)
		return true;
	if (v->kind == EXO_KIND_NUMBER)
		return has(v, is);
	if (v->kind != EXO_KIND_ADDRESS && v->kind != EXO_KIND_END)
		return true;
	is -= base_of(m, v);
	if (!has(v, is))
		return false;
	if (v->kind == EXO_KIND_END || v->window != EXO_WINDOW_PACKET)
		return true;
	return (v->id || is == (uint64_t)(int64_t)v->delta) &&
	    (v->room <= BPF_ROOM_NONE || (int64_t)is + v->room <= (int64_t)packet_bytes);
}

/* Two values with one name are what the name says. */
static bool holds_pair(const struct bpf_value *v, uint64_t is, const struct bpf_value *w, uint64_t was)
{
	return !v->id || v->id != w->id || !bpf_in_packet(v) || !bpf_in_packet(w) ||
	    is - was == (uint64_t)(int64_t)(v->delta - w->delta);
}

static void hold(const struct machine *m)
{
	struct bpf_state *state = &believed[m->next];
	struct bpf_value *var = state->var;
	uint64_t is[BPF_VARS];

	if (!(notes[m->next].flags & BPF_NOTE_REACHED))
		show("reached", m->next, 0);
	if (state->packet > packet_bytes)
		show("packet", m->next, state->packet);
	for (unsigned i = 0; i < BPF_VARS; i++) {
		is[i] = 0;
		if (i < BPF_REGS)
			is[i] = m->r[i];
		else if (var[i].kind != EXO_KIND_UNSET)
			memcpy(&is[i], (void *)(m->r[BPF_FRAME] - EXO_CODE_STACK + state->slot[i - BPF_REGS] * 8u), 8);
		if (!holds_value(m, &var[i], is[i]))
			show("value", m->next, i);
	}
	for (unsigned i = 0; i < BPF_VARS; i++)
		for (unsigned j = 0; j < BPF_VARS; j++)
			if (!holds_pair(&var[i], is[i], &var[j], is[j]) ||
			    (state->same[i] == state->same[j] && memcmp(&var[i], &var[j], sizeof(var[i]))))
				show("pair", m->next, i * 32 + j);
}

/* bpf_interpret, and a look at each instruction. */
static uint64_t interpret(struct bpf_run *run, uint64_t r1)
{
	struct machine m = { .run = run, .program = &program };

	m.r[1] = r1;
	m.r[BPF_FRAME] = (uintptr_t)run->top;
	for (run->steps = 0; !m.done; run->steps++) {
		const struct exo_insn *insn = &program.insn[m.next];

		if (m.next >= program.insns) {
			show("ran away", m.pc, 0);
			break;
		}
		hold(&m);
		m.pc = m.next++;
		switch (BPF_CLASS(insn->code)) {
		case BPF_ALU:
		case BPF_ALU64:
			execute_alu(&m, insn);
			break;
		case BPF_JMP:
		case BPF_JMP32:
			execute_jump(&m, insn);
			break;
		case BPF_LD:
			execute_lddw(&m, insn);
			break;
		default:
			execute_memory(&m, insn);
		}
	}
	steps += run->steps;
	return m.r[0];
}

static void fill(struct world *w, uint64_t with)
{
	struct exo_packet *p = &w->context.packet;

	for (unsigned i = 0; i < sizeof(w->stack); i++)
		w->stack[i] = (uint8_t)pick(256);
	seed = with;
	for (unsigned i = 0; i < sizeof(w->memory[0]); i++)
		w->memory[0][i] = w->memory[1][i] = (uint8_t)(chance(50) ? pick(256) : pick(4));
	for (unsigned i = 0; i < 256; i++)
		w->packet[i] = w->block[i] = (uint8_t)(chance(50) ? pick(256) : pick(4));
	for (unsigned i = 0; i < sizeof(w->data); i++)
		w->data[i] = (uint8_t)pick(256);
	if (use == EXO_USE_WAKE) {
		for (unsigned i = 0; i < sizeof(struct exo_wake) / 8; i++)
			((uint64_t *)&w->context.wake)[i] = pick(1000);
	} else if (use == EXO_USE_OWNER) {
		w->context.block = (struct exo_block){ (uintptr_t)w->block, (uintptr_t)w->block + 4096, pick(100), pick(9) };
	} else {
		*p = (struct exo_packet){ (uintptr_t)w->packet, (uintptr_t)w->packet + packet_bytes, packet_bytes, pick(9), pick(1000) };
	}
}

static void try_run(void)
{
	struct bpf_run run[2] = { { 0 }, { 0 } };
	uint64_t r0[2], with = seed | 1;

	packet_bytes = chance(60) ? pick(100) : chance(80) ? pick(2000) : 65535;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world[i];

		fill(w, with);
		bpf_begin(&run[i], &program, w->stack);
		run[i].window[0] = (struct bpf_window){ w->memory[0], program.window_bytes[0] };
		run[i].window[1] = (struct bpf_window){ w->memory[1], program.window_bytes[1] };
		run[i].window[EXO_WINDOW_DATA] = (struct bpf_window){ w->data, program.data_bytes };
		run[i].window[EXO_WINDOW_CONTEXT] = (struct bpf_window){ (uint8_t *)&w->context, sizeof(w->context) };
		if (use == EXO_USE_OWNER)
			run[i].window[EXO_WINDOW_BLOCK] = (struct bpf_window){ w->block, 4096 };
		else if (use != EXO_USE_WAKE)
			run[i].window[EXO_WINDOW_PACKET] = (struct bpf_window){ w->packet, packet_bytes };
		r0[i] = interpret(&run[i], (uintptr_t)&w->context);
		if (run[i].stop == BPF_STOP_ESCAPE)
			show("escape", run[i].steps, 0);
		if (run[i].steps > EXO_FUEL_WAKE)
			show("fuel", run[i].steps, 0);
	}
	if (r0[0] != r0[1] || run[0].stop != run[1].stop || run[0].steps != run[1].steps || run[0].seen != run[1].seen ||
	    memcmp(world[0]->memory, world[1]->memory, sizeof(world[0]->memory)))
		show("two runs differ", run[0].steps, 0);
}

static unsigned long long accepted, guarded, accesses, rejected[32], worst, looping;

static void try_program(void *work, size_t bytes)
{
	struct exo_code_report report;
	struct bpf_check *check;
	unsigned long long spent = 0;
	int result;

	emit_program();
	program = (struct bpf_program){ .insn = text, .insns = insns, .use = use, .note = notes, .data_bytes = 64,
		.fuel = EXO_FUEL_WAKE, .window_bytes = { 4096, chance(50) ? 8192 : 0 }, .window_write = pick(4) | 1 };
	memset(notes, 0xff, sizeof(notes));
	check = bpf_check_begin(&program, work, bytes);
	do {
		result = bpf_check_step(check, 1 + pick(3000), &report);
		spent += check->spent;
	} while (result > 0);
	worst = spent / insns > worst ? spent / insns : worst;
	if (result < 0) {
		rejected[report.reject]++;
		return;
	}
	accepted++;
	for (uint32_t i = 0, loops = 0; i < insns && !loops; i++)
		looping += loops = check->place[i].until != 0;
	accesses += report.accesses;
	guarded += report.guarded;
	for (unsigned i = 0; i < 4; i++)
		try_run();
}

int main(int argc, char **argv)
{
	unsigned long programs = argc > 1 ? strtoul(argv[1], NULL, 0) : 30000;
	size_t bytes = bpf_check_bytes(EXO_INSNS_MAX);
	void *work = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 4;
	world[0] = aligned_alloc(4096, (sizeof(struct world) + 4095) & ~4095ul);
	world[1] = aligned_alloc(4096, 65536 + ((sizeof(struct world) + 4095) & ~4095ul));
	memset(world[0], 0, sizeof(struct world));
	memset(world[1], 0, sizeof(struct world));
	for (unsigned long i = 0; i < programs && faults < 3; i++)
		try_program(work, bytes);
	is_int(faults, 0, "nothing is other than the verifier believed");
	ok(accepted > programs / 10, "programs are accepted");
	printf("# %lu programs, %llu accepted (%llu with loops), %llu steps, %llu values compared; %llu accesses, %llu guarded\n",
	    programs, accepted, looping, steps, beliefs, accesses, guarded);
	for (unsigned i = 1; i < 32; i++)
		if (rejected[i])
			printf("# reject %u: %llu\n", i, rejected[i]);
	free(work);
	free(world[0]);
	free(world[1]);
	return done();
}
