/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs to have the largest programs checked and compiled, for each of their instructions, by code_step as
 * applications call it. The programs are bad ones for the verifier: branches that meet at every second instruction with all
 * registers and many saved ones different; loops in whose bodies every guess has to be made again; and plain arithmetic.
 * A program that is rejected at its last instruction has cost what the check costs.
 */
#include <string.h>
#include <exo/code.h>
#include "apps/bench/bench.h"
#include "libos/core/frame.h"
#include "libos/core/insn.h"
#include "libos/core/space.h"
#include "libos/vm/vm.h"

#define INSNS	EXO_FUEL_PACKET		/* more are never paid for */
#define FRAMES	160
#define SAVED	12

static struct exo_insn *text;
static uint32_t insns;

static void put(struct exo_insn insn)
{
	text[insns++] = insn;
}

static void begin(void)
{
	insns = 0;
	put(INSN_LOAD(8, 6, 1, 24));
	for (uint32_t reg = 0; reg < 10; reg++) {
		if (reg == 6)
			continue;
		put(INSN_OP(MOV, reg, 6));
		put(INSN_OPI(RSH, reg, 3 * reg + 1));
	}
	for (int slot = 1; slot <= SAVED; slot++)
		put(INSN_STORE(8, 10, -8 * slot, (uint32_t)slot % 10));
}

static void branches(void)
{
	for (uint32_t i = 0; insns < INSNS - 6; i++) {
		put(INSN_IFI(JGT, i % 10, (int32_t)(i * 2654435761u >> 8), 1));
		put(i % 3 ? INSN_OP(ADD, i * 3 % 10, i * 7 % 10) : INSN_STORE(8, 10, -8 * (int)(i % SAVED + 1), i * 7 % 10));
	}
}

static void loops(void)
{
	uint32_t outer = insns;

	while (insns < INSNS - 60) {
		uint32_t inner = insns;

		for (uint32_t i = 0; i < 40; i++)
			put(i % 4 ? INSN_OP(ADD, i % 9, (i + 1) % 9) : INSN_IFI(JGT, i % 9, 1000, 1));
		put(INSN_OPI(ADD, 9, 1));
		put(INSN_IFI(JLT, 9, 50, (int)inner - (int)insns - 1));
	}
	put(INSN_IFI(JLT, 8, 50, (int)outer - (int)insns - 1));
}

static void plain(void)
{
	for (uint32_t i = 0; insns < INSNS - 6; i++)
		put(i % 4 == 0 ? INSN_OP(MUL, i % 10, i * 7 % 10) : i % 4 == 1 ? INSN_OPI(XOR, i % 10, i * 77) :
		    i % 4 == 2 ? INSN_OP32(ADD, i % 10, i * 3 % 10) : INSN_OP(SUB, i % 10, i * 3 % 10));
}

/* All steps of checking and compiling it. */
static uint64_t steps(exo_cap_t frames, void *at, bool good)
{
	struct exo_code *header = at;
	uint64_t sum = 0, began;
	int64_t code, result;

	put(good ? INSN_OPI(MOV, 0, 0) : INSN_OP(MOV, 0, 10));
	put(INSN_EXIT);
	memset(header, 0, sizeof(*header));
	*header = (struct exo_code){ .version = EXO_CODE_VERSION, .size = sizeof(*header), .use = EXO_USE_PACKET,
		.insns = insns, .fuel = insns };
	insns -= 2;
	space_map((exo_vaddr_t)at, 0, EXO_CAP_NONE, 0, FRAMES);
	code = exo_code_load(caps_slot(), frames, 0, FRAMES);
	bench_need(code > 0, "a program");
	do {
		began = bench_count();
		result = exo_code_step((exo_cap_t)code, 0);
		sum += bench_count() - began - bench_count_cost();
	} while (result == -EXO_EAGAIN);
	bench_need(result == (good ? 0 : -EXO_EREJECTED), good ? "a good program" : "a bad program");
	caps_delete((exo_cap_t)code);
	space_map((exo_vaddr_t)at, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, FRAMES);
	return sum;
}

/* Frames in one piece, from the first free run that is long enough. */
static exo_cap_t take(void)
{
	const struct exo_frame_info *info;
	uint32_t run = 0, i, done;
	int64_t cap;

	for (i = 0; run < FRAMES && (info = info_frame(i)); i++)
		run = info->state == EXO_FRAME_FREE ? run + 1 : 0;
	cap = exo_frame_take(caps_slot(), i - FRAMES, EXO_TAKE_MAX);
	for (done = EXO_TAKE_MAX; cap > 0 && done < FRAMES; done += EXO_TAKE_MAX)
		if (exo_frame_take((uint64_t)cap, EXO_PFN_ANY, FRAMES - done < EXO_TAKE_MAX ? FRAMES - done : EXO_TAKE_MAX) <= 0)
			return EXO_CAP_NONE;
	return cap > 0 ? (exo_cap_t)cap : EXO_CAP_NONE;
}

void bench_code(void)
{
	static void (*const kinds[])(void) = { branches, loops, plain };
	exo_cap_t frames = take();
	void *at = (void *)vm_addresses(FRAMES * EXO_PAGE_SIZE);
	uint64_t most = 0, compile = 0;

	bench_need(at && frames &&
	    !space_map((exo_vaddr_t)at, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, FRAMES), "frames");
	text = (struct exo_insn *)((char *)at + EXO_CODE_INSNS);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t checked;

		begin();
		kinds[i]();
		checked = steps(frames, at, false);
		bench_report(i == 0 ? "bpf_verify_branches" : i == 1 ? "bpf_verify_loops" : "bpf_verify_plain", checked / insns);
		most = checked / insns > most ? checked / insns : most;
		begin();
		kinds[i]();
		if (i == 2)
			compile = (steps(frames, at, true) - checked) / insns;
	}
	bench_report("bpf_verify_per_insn", most);
	bench_report("bpf_compile_per_insn", compile);
	space_map((exo_vaddr_t)at, 0, EXO_CAP_NONE, 0, FRAMES);
	caps_delete(frames);
}
