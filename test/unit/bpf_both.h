/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program is checked, in steps of random size; if it is accepted it is interpreted and run compiled, each in a world of
 * its own: the same contents at other addresses. Every window lies between pages that are not there, so an access by
 * machine code that goes astray ends the test. What must hold (exo/bpf.h, B1 to B3):
 *
 *   no access without a test lies outside its window; no run takes more instructions than its fuel
 *   both leave the same r0, memory, seen, stop and fuel, and have called the same with the same result
 *   a run on a block leaves the same if the bytes that it has not read are others
 */
#ifndef TEST_UNIT_BPF_BOTH_H
#define TEST_UNIT_BPF_BOTH_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "exo/bpf_check.h"
#include "test/unit/bpf_generate.h"
#include "tools/bpf/host.h"

#define PAGE		4096u
#define PACKET_ROOM	65536u
#define MEMORY_BYTES	(2 * PAGE)
#define DATA_BYTES	64u
#define CODE_ROOM	(256u * 1024)

static struct both_world {
	uint8_t *memory[2], *packet, *block, *stack, *data, *context;	/* packet, data, context: ends */
	struct bpf_run run;
	struct host_run host;
	struct bpf_emits emits;
	uint64_t emit[EXO_EMITS_MAX][3];
	uint64_t r0;
} both_world[2];
static struct bpf_note both_note[INSNS_MAX + 8];
static struct bpf_program both_program;
static uint8_t *both_code, *both_work;
static size_t both_work_bytes;
static struct {
	unsigned long long programs, accepted, rejected[32], accesses, guarded, insns, longest, looped, runs, steps, stopped[4],
	    emits, mutants, mutants_accepted, code_bytes;
} both;

static void both_show(const char *what)
{
	printf("# %s: use %u, fuel %u\n", what, both_program.use, both_program.fuel);
	for (uint32_t i = 0; i < both_program.insns; i++)
		printf("# %3u: %02x dst %u src %u offset %d imm %d  note %x\n", i, both_program.insn[i].code,
		    bpf_dst(&both_program.insn[i]), bpf_src(&both_program.insn[i]), both_program.insn[i].offset,
		    both_program.insn[i].imm, both_note[i].flags);
	fflush(stdout);
}

static _Noreturn void both_fail(const char *what)
{
	both_show(what);
	printf("not ok 1 - %s\n1..1\n", what);
	fflush(stdout);
	abort();
}

static void both_lost(int signal)
{
	(void)signal;
	both_show("machine code reached what is not there");
	printf("not ok 1 - machine code reached what is not there\n1..1\n");
	fflush(stdout);
	_exit(1);
}

/* Pages between two that are not there. */
static uint8_t *both_island(size_t bytes)
{
	size_t pages = (bytes + PAGE - 1) / PAGE * PAGE;
	uint8_t *at = mmap(NULL, pages + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + PAGE, pages, PROT_READ | PROT_WRITE))
		abort();
	return at + PAGE;
}

static inline void both_open(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };

	if (both_code)
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct both_world *w = &both_world[i];

		if (i)
			both_island(123 * PAGE);
		for (unsigned m = 0; m < 2; m++)
			w->memory[m] = both_island(MEMORY_BYTES);
		w->packet = both_island(PACKET_ROOM) + PACKET_ROOM;
		w->block = both_island(PAGE);
		w->stack = both_island(BPF_STACK_BYTES);
		w->data = both_island(DATA_BYTES) + PAGE;
		w->context = both_island(PAGE) + PAGE;
	}
	both_work_bytes = (bpf_check_bytes(INSNS_MAX) + 65536 + 63) & ~(size_t)63;
	both_work = aligned_alloc(64, both_work_bytes);
	both_code = mmap(NULL, CODE_ROOM, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (both_code == MAP_FAILED)
		abort();
	for (unsigned i = 0; i < 4; i++)
		signal(signals[i], both_lost);
}

/* --- checking and compiling ----------------------------------------------------------------------------------------- */

static inline bool both_check(const struct exo_insn *insn, uint32_t insns, uint32_t use)
{
	static const uint32_t fuels[] = { EXO_FUEL_PACKET, EXO_FUEL_PACKET, EXO_FUEL_WAKE, EXO_FUEL_OWNER, EXO_FUEL_PACKET };
	struct exo_code_report report;
	struct bpf_check *check;
	int result;

	both_program = (struct bpf_program){ .insn = insn, .insns = insns, .use = use, .note = both_note,
		.data_bytes = DATA_BYTES, .fuel = chance(70) ? fuels[use] : insns + pick(100),
		.window_bytes = { PAGE, chance(50) ? 2 * PAGE : 0 }, .window_write = pick(4) | 1 };
	if (use == EXO_USE_OWNER)
		both_program.window_bytes[0] = both_program.window_bytes[1] = both_program.window_write = 0;
	check = bpf_check_begin(&both_program, both_work, both_work_bytes);
	if (!check)
		both_fail("no room for a check");
	do
		result = bpf_check_step(check, 1 + pick(8000), &report);
	while (result > 0);
	both.programs++;
	if (result < 0) {
		if (report.reject >= 32 || !report.reject)
			both_fail("a rejection without a reason");
		both.rejected[report.reject]++;
		return false;
	}
	both.accepted++;
	both.accesses += report.accesses;
	both.guarded += report.guarded;
	both.insns += insns;
	both.longest = insns > both.longest ? insns : both.longest;
	return true;
}

static inline void both_compile(void)
{
	static uint32_t at[INSNS_MAX + 9];
	struct bpf_compile compile = { .program = &both_program, .at = at, .out = both_code, .room = CODE_ROOM,
		.key = chance(50) ? 0 : seed };
	int result;

	arch_bpf_compile_begin(&compile);
	do
		result = arch_bpf_compile_step(&compile, 1 + pick(8000));
	while (result > 0);
	if (result < 0)
		both_fail("machine code is too long");
	both.code_bytes += compile.bytes;
}

/* --- running ---------------------------------------------------------------------------------------------------------- */

static inline void both_poke(uint32_t packet_bytes)
{
	for (unsigned i = 0; i < 12; i++) {
		uint32_t m = pick(2), at = chance(80) ? pick(64) : pick(MEMORY_BYTES), b = chance(80) ? pick(128) : pick(PAGE);
		uint8_t value = (uint8_t)(chance(50) ? pick(256) : pick(4)), other = (uint8_t)(chance(50) ? pick(256) : pick(4));

		for (unsigned w = 0; w < 2; w++) {
			both_world[w].memory[m][at] = value;
			both_world[w].block[b] = other;
			both_world[w].data[-(int)(1 + b % DATA_BYTES)] = value;
			if (packet_bytes)
				both_world[w].packet[-(int)(1 + b % packet_bytes)] = other;
		}
	}
}

static inline void both_world_fill(struct both_world *w, uint32_t packet_bytes, uint64_t now)
{
	struct bpf_run *run = &w->run;
	uint32_t use = both_program.use;
	size_t bytes = use == EXO_USE_WAKE ? sizeof(struct exo_wake) : use == EXO_USE_OWNER ? sizeof(struct exo_block) :
	    sizeof(struct exo_packet);

	*run = (struct bpf_run){ .owner = use == EXO_USE_OWNER ? (void *)&w->emits : (void *)&w->host };
	w->host.time = now;
	w->host.wakes = w->host.sends = 0;
	w->emits = (struct bpf_emits){ 0, w->emit };
	for (unsigned m = 0; m < 2; m++)
		run->window[m] = (struct bpf_window){ w->memory[m], both_program.window_bytes[m] };
	run->window[EXO_WINDOW_DATA] = (struct bpf_window){ w->data - DATA_BYTES, DATA_BYTES };
	run->window[EXO_WINDOW_CONTEXT] = (struct bpf_window){ w->context - bytes, bytes };
	if (use == EXO_USE_WAKE) {
		struct exo_wake wake = { now, now + 5, now & 0xff, now & 3 };

		memcpy(w->context - bytes, &wake, bytes);
	} else if (use == EXO_USE_OWNER) {
		struct exo_block block = { (uintptr_t)w->block, (uintptr_t)w->block + PAGE, now & 0xff, now & 7 };

		memcpy(w->context - bytes, &block, bytes);
		run->window[EXO_WINDOW_BLOCK] = (struct bpf_window){ w->block, PAGE };
	} else {
		struct exo_packet packet = { (uintptr_t)w->packet - packet_bytes, (uintptr_t)w->packet, packet_bytes,
			(uint32_t)now & 7, now };

		memcpy(w->context - bytes, &packet, bytes);
		run->window[EXO_WINDOW_PACKET] = (struct bpf_window){ w->packet - packet_bytes, packet_bytes };
	}
	bpf_begin(run, &both_program, w->stack);
}

static inline void both_same(const struct both_world *a, const struct both_world *b, const char *which)
{
	const char *wrong = NULL;

	if (a->r0 != b->r0)
		wrong = "r0";
	else if (a->run.stop != b->run.stop)
		wrong = "stop";
	else if ((a->run.fuel < 0 ? -1 : a->run.fuel) != (b->run.fuel < 0 ? -1 : b->run.fuel))
		wrong = "fuel";
	else if (a->run.seen != b->run.seen)
		wrong = "seen";
	else if (memcmp(a->memory[0], b->memory[0], MEMORY_BYTES) || memcmp(a->memory[1], b->memory[1], MEMORY_BYTES))
		wrong = "memory";
	else if (a->host.wakes != b->host.wakes || a->host.sends != b->host.sends ||
	    a->emits.count != b->emits.count || memcmp(a->emit, b->emit, a->emits.count * sizeof(a->emit[0])))
		wrong = "calls";
	if (!wrong)
		return;
	printf("# %s: %s: r0 %llx %llx stop %u %u fuel %lld %lld\n", which, wrong, (unsigned long long)a->r0,
	    (unsigned long long)b->r0, a->run.stop, b->run.stop, (long long)a->run.fuel, (long long)b->run.fuel);
	both_fail(which);
}

static inline void both_run_interpreted(struct both_world *w, uint32_t packet_bytes, uint64_t now, uint32_t fuel)
{
	both_world_fill(w, packet_bytes, now);
	w->r0 = bpf_interpret(&w->run, (uintptr_t)w->run.window[EXO_WINDOW_CONTEXT].base, 0);
	if (w->run.stop == BPF_STOP_ESCAPE)
		both_fail("an access without a test lies outside its window");
	if (w->run.steps > fuel)
		both_fail("a run takes more than its fuel");
}

/* `fuel`: as it was before the check. */
static inline void both_run(uint32_t fuel)
{
	uint32_t packet_bytes = chance(60) ? pick(100) : chance(80) ? pick(2000) : 65535;
	uint64_t now = seed;

	both_poke(packet_bytes);
	both_run_interpreted(&both_world[0], packet_bytes, now, fuel);
	both_world_fill(&both_world[1], packet_bytes, now);
	both_world[1].r0 = ((bpf_native_fn *)(void *)both_code)((uintptr_t)both_world[1].run.window[EXO_WINDOW_CONTEXT].base,
	    0, &both_world[1].run);
	both_same(&both_world[0], &both_world[1], "interpreter and machine code differ");
	both.runs++;
	both.steps += both_world[0].run.steps;
	both.stopped[both_world[0].run.stop]++;
	both.emits += both_world[0].emits.count;
	if (both_program.use != EXO_USE_OWNER)
		return;
	for (unsigned piece = 0; piece < 64; piece++)
		if (!(both_world[1].run.seen >> piece & 1))
			for (unsigned i = 0; i < 64; i++)
				both_world[0].block[64 * piece + i] ^= (uint8_t)(piece + i + 1);
	both_run_interpreted(&both_world[0], packet_bytes, now, fuel);
	both_same(&both_world[0], &both_world[1], "bytes that were not read change the result");
	memcpy(both_world[0].block, both_world[1].block, PAGE);
}

static inline bool both_try(const struct exo_insn *insn, uint32_t insns, uint32_t use, unsigned runs)
{
	uint32_t fuel;

	if (!both_check(insn, insns, use))
		return false;
	fuel = both_program.fuel;
	for (uint32_t i = 0; i < insns; i++)
		if (both_note[i].charge) {
			both.looped++;
			break;
		}
	both_compile();
	while (runs--)
		both_run(fuel + insns);
	return true;
}

/* --- mutation --------------------------------------------------------------------------------------------------------- */

/* One or a few changes of fields, or an instruction put elsewhere; text[] has room for `insns`. */
static inline void both_mutate(void)
{
	static const int32_t near[] = { -4096, -8, -4, -1, 1, 4, 8, 4096 };

	for (unsigned times = 1 + pick(3); times; times--) {
		struct exo_insn *insn = &text[pick(insns)];
		unsigned class = BPF_CLASS(insn->code);
		bool memory = class == BPF_LDX || class == BPF_ST || class == BPF_STX;
		bool jump = class == BPF_JMP || class == BPF_JMP32;

		switch (pick(10)) {
		case 0:
			insn->code ^= (uint8_t)(1u << (chance(30) ? pick(8) : 3 + pick(5)));
			break;
		case 1:
			insn->code = (uint8_t)((insn->code & (memory ? 0xe7 : 0x0f)) | (memory ? pick(4) << 3 : pick(16) << 4));
			break;
		case 2:
			*insn = text[pick(insns)];
			break;
		case 3: case 4:
			insn->regs = (uint8_t)((insn->regs & 0xf0) | pick(11));
			break;
		case 5: case 6:
			if (memory || jump) {
				insn->offset = (int16_t)(chance(70) ? insn->offset + near[pick(8)] : insn->offset ^ 1 << pick(12));
				break;
			}
			/* fall through */
		default:
			if (class == BPF_LDX || class == BPF_STX || (class != BPF_ST && insn->code & BPF_SRC_REG))
				insn->regs = (uint8_t)((insn->regs & 15) | pick(11) << 4);
			else if (chance(50))
				insn->imm = some_imm();
			else
				insn->imm = (int32_t)((uint32_t)insn->imm + (uint32_t)near[pick(8)]);
			break;
		}
	}
}

#endif
