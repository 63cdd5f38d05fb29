/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the check of a program costs at worst, counted in instructions, as applications call it: code_step of random
 * programs. The search goes on from the dearest so far: what a program is made of (how many jumps, how far, of how
 * many bits, loops, saved registers, copies, addresses in the packet) are numbers that are changed a few at a time.
 * None may cost more than 2,000 instructions for each of its own, accepted or not; and long chains of comparisons have
 * to be accepted.
 *
 *	bpf_cost [PROGRAMS [SEED]]
 *
 * Run with: --icount -m 64M
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <exo/code.h>
#include "libos/core/core.h"
#include "libos/core/frame.h"
#include "libos/core/insn.h"
#include "libos/core/space.h"
#include "libos/core/spawn.h"
#include "libos/vm/vm.h"
#include "test/unit/tap.h"

#define FRAMES	100
#define INSNS	2000	/* of each program */
#define MOST	2000	/* instructions of the CPU's for each of them */

enum { LINK_STORE, LINK_ADD, LINK_COPY, LINK_SAY, LINK_GO, LINKS };
enum { JUMPS, FAR, NEAR, NARROW, BY_REGISTER, STACK, LOOPS, COPIES, CONSTANTS, TIGHT, NAMES, KINDS };

static struct exo_insn *text;
static uint32_t insns;
static uint64_t state = 88172645463325252;

static uint32_t draw(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state * 0x2545f4914f6cdd1d >> 33) % n;
}

static void put(struct exo_insn insn)
{
	text[insns++] = insn;
}

/* r6 is an address in the packet, r7 its end. */
static uint32_t number(void)
{
	static const uint8_t numbers[] = { 0, 1, 2, 3, 4, 5, 8, 9 };

	return numbers[draw(8)];
}

static void put_jump(const uint32_t *kind)
{
	static const uint8_t how[] = { 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0 };
	uint32_t left = INSNS - 16 - insns, far = draw(100), to = far < kind[FAR] ? left + draw(8) : 1 + draw(kind[NEAR] + 1);
	bool by_register = draw(100) < kind[BY_REGISTER];
	uint8_t code = (uint8_t)((draw(100) < kind[NARROW] ? 0x06 : 0x05) | how[draw(11)] | (by_register ? 0x08 : 0));

	to = to < left + 8 ? to : left;
	put(INSN(code, number(), by_register ? number() : 0, to,
	    by_register ? 0 : draw(100) < kind[TIGHT] ? 0x7fffffff - insns : draw(0x7fffffff)));
}

static void put_number(const uint32_t *kind)
{
	static const uint8_t ops[] = { 0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xb0, 0xc0 };
	uint8_t op = ops[draw(12)], wide = draw(100) < kind[NARROW] ? 0x04 : 0x07;
	bool signs = (op == 0x30 || op == 0x90) && draw(2);

	if (draw(100) < kind[CONSTANTS])
		put(INSN(wide | op, number(), 0, signs, op == 0x60 || op == 0x70 || op == 0xc0 ? draw(32) : 1 + draw(1000)));
	else
		put(INSN(wide | op | 0x08, number(), number(), signs, 0));
}

/* Addresses with one name, and what tells of all of them. */
static void put_names(void)
{
	if (draw(2))
		put(INSN_OPI(ADD, 6, 1));
	else
		put(INSN_IF(JGT, 6, 7, INSNS - 16 - insns));
}

static void make(const uint32_t *kind)
{
	uint32_t heads[16], open = 0;

	insns = 0;
	put(INSN_LOAD(8, 7, 1, 8));
	put(INSN_LOAD(8, 0, 1, 24));
	put(INSN_LOAD(4, 2, 1, 20));
	put(INSN_OPI(AND, 2, 255));
	put(INSN_LOAD(8, 6, 1, 0));
	put(INSN_OP(ADD, 6, 2));
	for (uint32_t reg = 1; reg < 10; reg++) {
		if (reg == 6 || reg == 7)
			continue;
		put(INSN_OP(MOV, reg, 0));
		if (draw(100) >= kind[COPIES])
			put(INSN_OPI(RSH, reg, draw(64)));
	}
	for (uint32_t slot = 1; slot <= 12; slot++) {
		bool name = slot <= 8 && draw(100) < kind[NAMES];

		put(INSN_STORE(8, 10, -8 * (int)slot, name ? 6 : number()));
		if (name)
			put(INSN_OPI(ADD, 6, slot));
	}
	while (insns < INSNS - 20) {
		if (draw(1000) < kind[LOOPS] && open < 16)
			heads[open++] = insns;
		if (open && draw(1000) < kind[LOOPS] && heads[open - 1] + 2 < insns) {
			open--;
			put(INSN_IFI(JLT, number(), draw(1000), (int)heads[open] - (int)insns - 1));
		} else if (draw(100) < kind[JUMPS]) {
			put_jump(kind);
		} else if (draw(200) < kind[NAMES]) {
			put_names();
		} else if (draw(100) < kind[STACK]) {
			if (draw(2))
				put(INSN_STORE(8, 10, -8 * (int)(9 + draw(4)), number()));
			else
				put(INSN_LOAD(8, number(), 10, -8 * (int)(9 + draw(4))));
		} else if (draw(100) < kind[COPIES]) {
			put(INSN_OP(MOV, number(), number()));
		} else {
			put_number(kind);
		}
	}
	while (insns < INSNS - 2)
		put(INSN_OPI(MOV, 0, 1));
	put(INSN_OP(MOV, 0, 10));	/* rejected here at last, so that nothing is compiled */
	put(INSN_EXIT);
}

static inline uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

/*
 * What is long and ordinary, as a switch or a filter is: a number compared with one after the other; one that is equal
 * is stored, or another is added up, before it goes on; or says what is returned, or only where to go.
 */
static void make_chain(uint32_t link, uint8_t jump)
{
	insns = 0;
	put(INSN_LOAD(4, 2, 1, 16));
	put(INSN_OPI(MOV, 0, 0));
	put(INSN_OPI(MOV, 3, 0));
	while (insns < INSNS - 5) {
		int end = (int)(INSNS - 3 - insns);

		put(INSN(jump, 2, 0, link == LINK_GO ? end : link == LINK_SAY ? 2 : 1, insns));
		if (link == LINK_STORE)
			put(INSN_STORE(8, 10, -8 - 8 * (int)(insns / 2 % 60), 2));
		else if (link == LINK_ADD)
			put(INSN_OPI(ADD, 3, insns));
		else if (link == LINK_COPY)
			put(INSN_OP(MOV, 3, 2));
		else if (link == LINK_SAY) {
			put(INSN_OPI(MOV, 0, insns));
			put(INSN(0x05, 0, 0, end - 2, 0));
		}
	}
	while (insns < INSNS - 2)
		put(INSN_OPI(MOV, 0, 1));
	put(INSN_OP(MOV, 0, 10));
	put(INSN_EXIT);
}

/* All steps of a check: instructions, and why the program is rejected. */
static uint64_t cost(exo_cap_t frames, void *at, uint32_t *reject)
{
	const struct exo_code_report *report = core_arg(0);
	uint64_t sum = 0, began;
	int64_t code, result;

	memset(at, 0, sizeof(struct exo_code));
	*(struct exo_code *)at = (struct exo_code){ .version = EXO_CODE_VERSION, .size = sizeof(struct exo_code),
		.use = EXO_USE_PACKET, .insns = insns, .fuel = insns };
	space_map((exo_vaddr_t)at, 0, EXO_CAP_NONE, 0, FRAMES);
	code = exo_code_load(caps_slot(), frames, 0, FRAMES);
	do {
		began = count();
		result = code > 0 ? exo_code_step((exo_cap_t)code, 0) : code;
		sum += count() - began;
	} while (result == -EXO_EAGAIN);
	*reject = result == -EXO_EREJECTED ? report->reject : 0;
	caps_delete((exo_cap_t)code);
	space_map((exo_vaddr_t)at, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, FRAMES);
	return sum;
}

/* Long chains are ordinary: none of them is too tangled. The dearest. */
static uint64_t chains(exo_cap_t frames, void *at)
{
	static const uint8_t jumps[] = { 0x15, 0x55, 0x25, 0xb5, 0x45, 0x65, 0x16, 0x56, 0x26, 0xb6, 0x46, 0x66 };
	uint64_t spent, worst = 0;
	uint32_t reject, ended = 0;

	for (uint32_t i = 0; i < LINKS * sizeof(jumps); i++) {
		make_chain(i / sizeof(jumps), jumps[i % sizeof(jumps)]);
		spent = cost(frames, at, &reject);
		worst = spent > worst ? spent : worst;
		ended += reject == EXO_REJECT_ESCAPE;
		if (reject != EXO_REJECT_ESCAPE)
			printf("# chain %u, jump %#x: reject %u\n", i / (uint32_t)sizeof(jumps), jumps[i % sizeof(jumps)], reject);
	}
	ok(ended == LINKS * sizeof(jumps), "%u of %lu chains of comparisons are gone through to their end, at up to %lu", ended,
	    LINKS * sizeof(jumps), (unsigned long)(worst / INSNS));
	return worst;
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

int main(int argc, char **argv)
{
	static const uint32_t most[KINDS] = { 100, 100, 60, 100, 100, 60, 60, 60, 100, 100, 60 };
	uint32_t best[KINDS], kind[KINDS], reject, ended = 0, tangled = 0, programs = argc > 1 ? (uint32_t)atoi(argv[1]) : 24;
	uint32_t rejects[32] = { 0 };
	uint64_t worst = 0, dearest = 0, spent, chain;
	exo_cap_t frames = take();
	void *at = (void *)vm_addresses(FRAMES * EXO_PAGE_SIZE);

	state ^= argc > 2 ? (uint64_t)atoll(argv[2]) * 0x9e3779b97f4a7c15 : 0;
	if (!ok(at && frames && !space_map((exo_vaddr_t)at, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, FRAMES), "frames"))
		return done();
	text = (struct exo_insn *)((char *)at + EXO_CODE_INSNS);
	chain = chains(frames, at);
	for (uint32_t round = 0; round < programs; round++) {
		for (uint32_t i = 0; i < KINDS; i++)
			kind[i] = round < programs / 2 || !draw(3) ? draw(most[i] * (1 + round % 4) / 4 + 1) : best[i];
		make(kind);
		spent = cost(frames, at, &reject);
		rejects[reject % 32]++;
		ended += reject == EXO_REJECT_ESCAPE;
		tangled += reject == EXO_REJECT_TANGLED;
		dearest = reject == EXO_REJECT_ESCAPE && spent > dearest ? spent : dearest;
		if (spent <= worst)
			continue;
		worst = spent;
		memcpy(best, kind, sizeof(best));
	}
	worst = worst > chain ? worst : chain;
	ok(worst / INSNS <= MOST, "no check costs more than %u instructions for each of the program's: the worst %lu", MOST,
	    (unsigned long)(worst / INSNS));
	for (uint32_t i = 0; i < 32; i++)
		if (rejects[i])
			printf("# reject %u: %u\n", i, rejects[i]);
	ok(ended >= programs / 10, "of %u programs %u are gone through to their end, at up to %lu for each; %u are too tangled", programs,
	    ended, (unsigned long)(dearest / INSNS), tangled);
	return done();
}
