/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls with any arguments: for each call of include/exo/call.h, arguments of the class that its letter names, taken
 * from Ballista's: handles that are valid, stale, of another type, of no slot; numbers at the edges of pages, words
 * and published bounds; addresses of all kinds; times that have passed or never come. The argument frame is as wild.
 *
 * A tiny environment on each of two CPUs makes the calls, because some of them will be its end. It holds one of
 * everything, a sibling to work on, and an account with a limit, which both share. After each run they are destroyed:
 * every frame must be free or somebody's, all frames back, and a page of the test's as before. What environments they
 * make are also known to a keeper, since nobody could destroy them after its end otherwise. Options: seed, calls, cpus;
 * the seed is printed. A long run takes ten minutes.
 * Runs first: yes
 * Run with: --net user --smp 2 --disk scratch:4M
 * Time limit: 600 s
 */
#include <exo/code.h>
#include <exo/flow.h>
#include "test/guest/agent.h"

#define CANARY		0xc0ffee11c0ffee11ULL
#define RUN_CALLS	1500
#define LONG_SECONDS	600
#define LIMIT_FRAMES	160		/* of each */
#define PROGRAM_FRAMES	12		/* enough for a program of two instructions */
#define PROGRAMS	20		/* frames that it holds through another */
#define PARTIES_MAX	2
#define KEEP_FROM	16		/* slot of the keeper's table */
#define EXTRA		8		/* frames that it holds through a derived capability */

/* Words of its data page, all but the agent's. */
enum { SEED = 60, CALLS, WANT, TIME, FRAMES_TOTAL, LAST, MADE, PHASE, KEPT, CPUS, MAKING, ERRORS = 80, GOOD = 102,
	SIGNATURE = 176 };

/* Slots that are filled at first. */
enum { OWN_ENV = 1, OWN_SPACE, ACCOUNT, FRAMES, CONSOLE, MACHINE, SIBLING, ENTRY, SLICES, FLOW,
	INFO, ALL_FRAMES, SELF_ENTRY, KEEPER, PORTS, INTERRUPTS, CODE, BLOCKS, DISK, FILLED };

static uint64_t seed, state;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* --- what it runs ------------------------------------------------------------------------------------------------- */

#include "test/guest/fuzz_values.h"

/* A claim that may pass. */
TINY static void any_claim(void)
{
	volatile struct exo_claim *claim = (volatile struct exo_claim *)TINY_ARG;
	uint64_t i;

	for (i = 0; i < 16; i++)
		((volatile uint64_t *)TINY_ARG)[i] = 0;
	claim->flags = draw() % 8 == 0;
	claim->terms = draw() % 3;
	for (i = 0; i < 2; i++) {
		claim->term[i].offset = (uint16_t)(14 + draw() % 4 + 8 * i);
		claim->term[i].width = 2;
		claim->term[i].mask = 0xffff;
		claim->term[i].value = draw() & 0xff;
	}
}

/* Descriptors, claims and parameters, more or less. */
TINY static void any_arguments(void)
{
	volatile uint64_t *word = (volatile uint64_t *)TINY_ARG;
	uint64_t count = draw() % 3 ? 1 + draw() % 4 : 20, at = 0;

	for (; count--; at += 4) {
		word[at] = (any_address() & ~0xfffULL) | (draw() % 8 ? draw() % 6 : draw() % 4096);
		word[at + 1] = draw() % 4 ? any_handle(EXO_TYPE_FRAME) : 0;
		word[at + 2] = any_number() % (draw() % 4 ? 9 : ~0U) | (draw() % 4 ? 1 : any_number()) << 32;
	}
	if (draw() % 4 == 0)
		for (at = 0; at < 40; at++)
			word[at] = 0;
	if (draw() % 8 == 0)
		any_claim();
}

INLINE uint64_t letter_of(uint64_t call, uint64_t argument)
{
	return ((volatile uint8_t *)&tiny_word(SIGNATURE))[call * 8 + argument];
}

/* Environments that it has made would outlive it; with it nobody could destroy them any more. */
TINY static void tidy(void)
{
	for (uint64_t slot = FILLED; slot < 64; slot++) {
		volatile struct exo_cap *cap = (volatile struct exo_cap *)TINY_CAPS + slot;
		if (cap->type == EXO_TYPE_ENV && (cap->rights & EXO_RIGHT_CONTROL))
			while (tiny_call(EXO_CALL_env_destroy, handle_in(slot), 0, 0, 0, 0, 0) == -EXO_EAGAIN)
				;
	}
	tiny_word(MADE) = 0;
}

/* A capability that is split, if there is one. */
TINY static uint64_t any_split(void)
{
	uint64_t slot = draw() % 64, i;

	for (i = 0; i < 64; i++, slot = (slot + 1) % 64)
		if (type_in(slot) == EXO_TYPE_FRAME &&
		    ((volatile struct exo_cap *)TINY_CAPS)[slot].rights & EXO_RIGHT_RESTORE)
			return handle_in(slot);
	return any_handle(EXO_TYPE_FRAME);
}

/* Numbers at random are seldom right all together. Capabilities, frames, spaces, accounts. */
TINY static void plausible_memory(uint64_t call, uint64_t *a)
{
	volatile uint64_t *word = (volatile uint64_t *)TINY_ARG;

	if (call == EXO_CALL_cap_derive) {
		uint64_t type = type_in(exo_cap_slot(a[0]) % 64);
		a[1] = draw() % 4 ? 0 : draw() % 4 ? handle_in(SIBLING) : EXO_PEER;
		a[2] = any_slot();
		a[3] = ((volatile struct exo_cap *)TINY_CAPS)[exo_cap_slot(a[0]) % 64].rights &
		       (draw() % 2 ? ~0U : draw());
		a[4] = type == EXO_TYPE_FRAME || type == EXO_TYPE_SLICE ? draw() % 4 : 0;
		a[5] = a[4] ? draw() % 4 : 0;
		if (draw() % 16 == 0)
			a[0] = EXO_PEER + draw() % 16;
	} else if (call == EXO_CALL_cap_split) {
		a[0] = draw() % 2 ? any_handle(EXO_TYPE_FRAME) : any_split();
		a[1] = draw() % 4 ? 0 : handle_in(SIBLING);
		a[2] = any_slot();
		a[3] = any_handle(EXO_TYPE_FRAME);
		a[4] = draw() % 8;
	} else if (call == EXO_CALL_split_give) {
		a[0] = any_split();
		a[1] = draw() % 8;
		a[2] = 1;
	} else if (call == EXO_CALL_split_end) {
		a[0] = any_split();
	} else if (call == EXO_CALL_frame_take) {
		a[1] = EXO_PFN_ANY;
		a[2] = 1 + draw() % 12;
	} else if (call == EXO_CALL_frame_give) {
		a[1] = 1 + draw() % 3;
	} else if (call == EXO_CALL_space_table) {
		a[1] = draw() % 4 << 21;
		a[2] = 1 + draw() % 3;
		a[3] = any_handle(EXO_TYPE_FRAME);
		a[4] = draw() % 8;
	} else if (call == EXO_CALL_space_write) {
		a[1] = 0;
		a[2] = 1 + draw() % 4;
		word[2] = word[6] = word[10] = word[14] = draw() % 4 | 1ULL << 32;
	} else if (call == EXO_CALL_account_share) {
		a[1] = any_handle(EXO_TYPE_ACCOUNT);
		a[2] = 0;
		for (uint64_t i = 0; i < 6; i++)
			word[i] = draw() % 40 | (draw() % 8 ? 200ULL << 32 : draw());
	} else if (call == EXO_CALL_account_make) {
		a[2] = any_handle(EXO_TYPE_FRAME);
		a[3] = draw() % 8;
		a[4] = draw() % 100;
	} else if (call == EXO_CALL_demand) {
		a[1] = draw() % 2 ? EXO_TYPE_FRAME : EXO_TYPE_SLICE;
		a[2] = 1 + draw() % 8;
	}
}

/* Flows, disks and programs. */
TINY static void plausible_programs(uint64_t call, uint64_t *a)
{
	if (call == EXO_CALL_flow_make) {
		any_claim();
		a[2] = any_handle(EXO_TYPE_FRAME);
		a[3] = draw() % 8;
		a[4] = 0;
	} else if (call == EXO_CALL_code_load) {
		a[1] = draw() % 4 ? handle_in(CODE) : any_handle(EXO_TYPE_FRAME);
		a[2] = draw() % (PROGRAMS - PROGRAM_FRAMES);
		a[3] = PROGRAM_FRAMES;
	} else if (call == EXO_CALL_code_step) {
		a[1] = 0;
	} else if (call == EXO_CALL_code_bind) {
		a[1] = 0;
		a[2] = any_handle(EXO_TYPE_FRAME);
		a[3] = draw() % EXTRA;
	} else if (call == EXO_CALL_flow_attach) {
		a[1] = draw() % 4 ? any_handle(EXO_TYPE_CODE) : 0;
	} else if (call == EXO_CALL_code_run) {
		a[1] = any_handle(EXO_TYPE_FRAME);
		a[2] = draw() % EXTRA;
		a[3] = 0;
	} else if (call == EXO_CALL_flow_bind) {
		a[1] = a[3] = any_handle(EXO_TYPE_FRAME);
		a[2] = draw() % 4;
		a[4] = a[5] = draw() % 3;
	} else if (call == EXO_CALL_disk_bind) {
		a[1] = any_handle(EXO_TYPE_FRAME);
		a[2] = draw() % EXTRA;
	}
}

/* Environments, time, devices. */
TINY static void plausible_others(uint64_t call, uint64_t *a)
{
	volatile uint64_t *word = (volatile uint64_t *)TINY_ARG;

	if (call == EXO_CALL_call) {
		a[1] = EXO_NEVER;
		tiny_disp->reenter = draw() % 4 == 0;
		tiny_disp->window_first = (uint32_t)any_slot();
		tiny_disp->offer_first = draw() % FILLED;
		tiny_disp->window_count = tiny_disp->offer_count = draw() % 16;
	} else if (call == EXO_CALL_entry_open) {
		a[1] = any_handle(EXO_TYPE_ACCOUNT);
	} else if (call == EXO_CALL_entry_take) {
		a[1] = tiny_disp->self;
		a[2] = any_handle(EXO_TYPE_ENTRY);
	} else if (call == EXO_CALL_env_create) {
		a[2] = 0;
		a[4] = draw() % 3 * 4;
		a[5] = 0;
		word[0] = draw() % tiny_word(CPUS);
	} else if (call == EXO_CALL_slice_take) {
		a[1] = draw() % tiny_word(CPUS);
		a[2] = draw() % EXO_SLICES;
		a[3] = 1 + draw() % 4;
	} else if (call == EXO_CALL_env_move) {
		a[0] = draw() % 2 ? 0 : any_handle(EXO_TYPE_ENV);
		a[1] = draw() % tiny_word(CPUS);
		if (draw() % 8 == 0) {
			a[0] = handle_in(SIBLING);
			a[1] = EXO_CPU_NONE;
		}
	} else if (call == EXO_CALL_wake) {
		a[0] = any_handle(draw() % 4 ? EXO_TYPE_ENV : EXO_TYPE_ENTRY);
	} else if (call == EXO_CALL_slice_bind) {
		a[1] = draw() % 4 ? any_handle(EXO_TYPE_ENV) : 0;
	} else if (call == EXO_CALL_trace) {
		a[2] = draw() % 4;
		a[3] = draw() % 3;
		a[1] = a[3] ? a[1] : 0;
		a[4] = 1 + draw() % 15;
	} else if (call == EXO_CALL_port) {
		a[1] = 0x70 + draw() % 3;
		a[2] = 1 + EXO_PORT_WRITE * (draw() % 2);
	} else if (call == EXO_CALL_interrupt) {
		a[1] = draw() % (EXO_LINES + 1);
	} else if (call == EXO_CALL_env_read || call == EXO_CALL_env_write) {
		a[1] = TINY_DATA + draw() % 4096;
		a[2] = draw() % 4096;
		a[3] = draw() % 64;
	}
}

TINY static void plausible(uint64_t call, uint64_t *a)
{
	plausible_memory(call, a);
	plausible_programs(call, a);
	plausible_others(call, a);
}

TINY static void fuzz_once(void)
{
	uint64_t call = draw() % (EXO_CALL_COUNT + 8), a[6], i, further = 0;
	int64_t result;

	if (call >= EXO_CALL_COUNT)
		call = draw() % 4 ? EXO_CALL_space_write : draw() % 16 ? EXO_CALL_cap_derive : any_number();
	if (call == EXO_CALL_env_exit && draw() % 100)
		return;
	any_arguments();
	for (i = 0; i < 6; i++) {
		uint64_t letter = call < EXO_CALL_COUNT ? letter_of(call, i) : 'n';
		a[i] = any(letter, call < EXO_CALL_COUNT ? letter_of(call, 6) : 0, further);
		further += letter == 'c';
	}
	/* What no environment survives unless its own CPU is another's, it does seldom. */
	if (call == EXO_CALL_space_seal && draw() % 8)
		return;
	/* What it was given goes too soon otherwise. */
	if (call == EXO_CALL_cap_delete && (uint32_t)a[0] < FILLED && draw() % 16)
		return;
	if ((call == EXO_CALL_cap_delete && (uint32_t)a[0] == KEEPER) ||
	    (call == EXO_CALL_cap_revoke && draw() % 4))
		return;
	if (call == EXO_CALL_cap_derive && a[2] >= KEEP_FROM && (uint32_t)a[1] == KEEPER)
		return;
	if (call == EXO_CALL_env_destroy && (uint32_t)a[0] == SIBLING && draw() % 16)
		return;
	if (draw() % 2)
		plausible(call, a);
	/* What it counts is kept here. */
	if (call == EXO_CALL_env_write && a[1] + a[3] > TINY_DATA && a[1] < TINY_DATA + EXO_PAGE_SIZE)
		a[1] += EXO_PAGE_SIZE;
	if (call == EXO_CALL_sleep && draw() % 2) {
		a[1] = tiny_disp->events;
		a[2] = draw() % 2 ? 0 : any_handle(EXO_TYPE_CODE);
	}
	tiny_word(LAST) = call;
	tiny_word(MAKING) = call == EXO_CALL_env_create;
	result = tiny_call(call, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (result < 0 && result > -22)
		tiny_word(ERRORS + (uint64_t)-result)++;
	else if (call < EXO_CALL_COUNT)
		tiny_word(GOOD + call)++;
	if (call == EXO_CALL_env_create && result > 0) {
		tiny_word(MADE)++;
		if (tiny_call(EXO_CALL_cap_derive, (uint64_t)result, 1ULL << 32 | KEEPER,
			KEEP_FROM + tiny_word(KEPT), EXO_RIGHT_CONTROL, 0, 0) < 0)
			tidy();
		else
			tiny_word(KEPT)++;
		tiny_word(MAKING) = 0;
		/* Not before its keeper knows it: it runs in the same space, and may spoil what its maker does. */
		if (draw() % 2 && tiny_call(EXO_CALL_env_start, (uint64_t)result, 0, 0, 0, 0, 0) == 0)
			tiny_word(GOOD + EXO_CALL_env_start)++;
	}
	tiny_word(MAKING) = 0;
}

TINY static void fuzz_run(uint64_t reasons)
{
	(void)reasons;
	while (tiny_word(CALLS) < tiny_word(WANT)) {
		tiny_word(CALLS)++;
		fuzz_once();
		if (tiny_word(MADE) && draw() % 8 == 0)
			tidy();
	}
	tiny_word(PHASE) = 1;
	tidy();
	tiny_word(PHASE) = 2;
	for (;;)
		tiny_sleep(EXO_NEVER);
}

TINY static void fuzz_off(uint64_t vector)
{
	(void)vector;
	tiny_disp->off = EXO_OFF_YES;
	fuzz_run(0);
}

/* --- what it holds ---------------------------------------------------------------------------------------------------- */

static exo_cap_t account, slices, flow, account_frame, flow_frame, weak_console, weak_machine, page;
static volatile uint64_t *canary;

static bool prepare(void)
{
	struct exo_claim *claim = core_arg(0);
	uint32_t slot = caps_slot();

	account_frame = take_frames(1);
	flow_frame = take_frames(1);
	page = take_frames(1);
	account =
	    made(slot, exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), account_frame, 0, PARTIES_MAX * LIMIT_FRAMES));
	slot = caps_slot();
	slices = made(slot, exo_slice_take(slot, 0, 8, 4));
	weak_console = (exo_cap_t)caps_derive(core_named(EXO_NAME_CONSOLE), EXO_RIGHT_READ, 0, 0);
	weak_machine = (exo_cap_t)caps_derive(core_named(EXO_NAME_MACHINE), 0, 0, 0);
	if (core_named(EXO_NAME_NET)) {
		slot = caps_slot();
		memset(claim, 0, sizeof(*claim));
		claim->terms = claim->guards = claim->guard_terms[0] = 1;
		claim->term[0] =
		    (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = 0x1234 };
		claim->guard[0][0] = claim->term[0];
		flow = made(slot, caps_flow_make(slot, core_named(EXO_NAME_NET), flow_frame, 0, 0));
	}
	canary = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	space_map((exo_vaddr_t)canary, EXO_MAP_READ | EXO_MAP_WRITE, page, 0, 1);
	for (unsigned i = 0; i < 512; i++)
		canary[i] = CANARY;
	return account && slices && (int64_t)weak_console > 0 && (int64_t)weak_machine > 0;
}

/* The letters of each call and the type of its first capability, from the table. */
static void signatures(struct tiny *fuzzer)
{
	static const char *const letters[] = {
#define LETTERS(nr, name, args, names, rights, meaning) [nr] = args,
		EXO_CALLS(LETTERS)
#undef LETTERS
	}, *const needs[] = {
#define NEEDS(nr, name, args, names, rights, meaning) [nr] = rights,
		EXO_CALLS(NEEDS)
#undef NEEDS
	}, *const types[] = { "", "FRAME", "SPACE", "ENV", "ENTRY", "SLICE", "FLOW", "ACCOUNT", "CONSOLE", "MACHINE",
	    "CODE", "PORTS", "INTERRUPTS", "BLOCKS", "DISK", "NODE" };
	volatile uint8_t *to = (volatile uint8_t *)&fuzzer->word[SIGNATURE];

	for (unsigned i = 0; i < EXO_CALL_COUNT; i++) {
		for (unsigned a = 0; letters[i] && letters[i][a]; a++)
			to[i * 8 + a] = (uint8_t)letters[i][a];
		for (unsigned type = 1; type < EXO_TYPE_COUNT; type++)
			if (needs[i] && !strncmp(needs[i], types[type], strlen(types[type])))
				to[i * 8 + 6] = (uint8_t)type;
	}
}

/* Frames in which a ring might lie, as far as the kernel reads it. */
static void rings(const struct tiny *fuzzer)
{
	exo_vaddr_t window = tiny_window(fuzzer, 3);

	for (uint32_t i = 0; i < EXTRA; i++) {
		space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, fuzzer->frames, fuzzer->spare + i, 1);
		((volatile struct exo_ring *)window)->rx_frames = 1 + i % 2;
		space_map(window, 0, 0, 0, 1);
	}
}

/* Frames in each of which a program might begin. */
static exo_cap_t programs(void)
{
	static exo_vaddr_t window;
	exo_cap_t frames = take_frames(PROGRAMS);

	if (!window)
		window = vm_addresses(EXO_PAGE_SIZE);
	for (uint32_t i = 0; i < PROGRAMS && frames; i++) {
		space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, frames, i, 1);
		*(struct exo_code *)window = (struct exo_code){ .version = EXO_CODE_VERSION, .size = sizeof(struct exo_code),
			.use = EXO_USE_PACKET + i % 3, .insns = 2, .fuel = 16, .window[0].frames = i % 3 != 2 && i % 2 };
		((struct exo_insn *)(window + EXO_CODE_INSNS))[0] = (struct exo_insn){ 0xb7, 0, 0, 0 };
		((struct exo_insn *)(window + EXO_CODE_INSNS))[1] = (struct exo_insn){ 0x95, 0, 0, 0 };
		space_map(window, 0, 0, 0, 1);
	}
	return frames;
}

/* Who fuzzes on a CPU. */
struct party {
	struct tiny fuzzer, sibling, keeper;
	exo_cap_t to_fuzzer;
	uint64_t seed, seen;
	exo_time_t since;
	bool done;
};
static struct party party[PARTIES_MAX];
static unsigned parties;

static bool equip(struct party *of)
{
	struct tiny *fuzzer = &of->fuzzer, *sibling = &of->sibling, *keeper = &of->keeper;
	const unsigned rwx = EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC;
	const unsigned control = EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL | EXO_RIGHT_WAKE;
	uint32_t slot = caps_slot(), own_slot;
	exo_cap_t entry = made(slot, exo_entry_make(slot, sibling->env, 0x5eed)), own, program;
	bool good = entry != 0;

	own_slot = caps_slot();
	own = made(own_slot, exo_entry_make(own_slot, fuzzer->env, 1));
	of->to_fuzzer = own;
	good = good && tiny_grant(fuzzer, fuzzer->env, OWN_ENV, control) > 0;
	good = good && tiny_grant(fuzzer, fuzzer->space, OWN_SPACE, EXO_RIGHT_READ | EXO_RIGHT_WRITE) > 0;
	good = good && tiny_grant(fuzzer, account, ACCOUNT, EXO_RIGHT_READ | EXO_RIGHT_CONTROL) > 0;
	good = good && exo_cap_derive(fuzzer->frames, fuzzer->env, FRAMES, rwx, fuzzer->spare, EXTRA) > 0;
	good = good && tiny_grant(fuzzer, weak_console, CONSOLE, EXO_RIGHT_READ) > 0;
	good = good && tiny_grant(fuzzer, weak_machine, MACHINE, 0) > 0;
	good = good && exo_cap_derive(core_named(EXO_NAME_PORTS), fuzzer->env, PORTS, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0x70,
	    256) > 0;
	good = good && tiny_grant(fuzzer, core_named(EXO_NAME_INTERRUPTS), INTERRUPTS, EXO_RIGHT_BIND) > 0;
	good = good && tiny_grant(fuzzer, sibling->env, SIBLING, control) > 0;
	good = good && tiny_grant(fuzzer, entry, ENTRY, EXO_RIGHT_EXEC) > 0;
	good = good && tiny_grant(fuzzer, slices, SLICES, EXO_RIGHT_READ | EXO_RIGHT_BIND) > 0;
	if (flow)
		good = good &&
		       tiny_grant(fuzzer, flow, FLOW, EXO_RIGHT_READ | EXO_RIGHT_BIND | EXO_RIGHT_CLAIM) > 0;
	if (core_named(EXO_NAME_DISK))
		good = good && tiny_grant(fuzzer, core_named(EXO_NAME_BLOCKS), BLOCKS, EXO_RIGHT_READ | EXO_RIGHT_WRITE) > 0 &&
		    exo_cap_derive(core_named(EXO_NAME_DISK), fuzzer->env, DISK, EXO_RIGHT_BIND, next() % 4 * 16, 16) > 0;
	good = good && exo_cap_derive(core_named(EXO_NAME_INFO), fuzzer->env, INFO, EXO_RIGHT_READ, 0, 2) > 0;
	good = good && exo_cap_derive(fuzzer->frames, fuzzer->env, ALL_FRAMES, rwx, 0, 0) > 0;
	good = good && tiny_grant(fuzzer, own, SELF_ENTRY, EXO_RIGHT_EXEC) > 0;
	good = good && tiny_grant(fuzzer, keeper->env, KEEPER, EXO_RIGHT_GRANT) > 0;
	caps_delete(entry);
	program = programs();
	good = good && exo_cap_derive(program, fuzzer->env, CODE, rwx, 0, PROGRAMS) > 0;
	caps_delete(program);	/* a program's frames are nobody else's */
	rings(fuzzer);
	return good;
}

/* --- one run ------------------------------------------------------------------------------------------------------------ */

static uint64_t calls_made, errors[22], good_calls[EXO_CALL_COUNT];
static unsigned runs, ended, stuck, failures, replies;

static unsigned environments(void)
{
	unsigned count = 0;

	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		count += info_env(i)->state != EXO_ENV_NONE;
	return count;
}

/* Let one go on; it is done when it has made its calls, or cannot. */
static void let_one(struct party *of)
{
	const struct tiny *fuzzer = &of->fuzzer;
	uint64_t word[4] = { next(), next(), next(), next() };

	if (fuzzer->word[PHASE] == 2 || tiny_state(fuzzer) == EXO_ENV_ENDED ||
	    (fuzzer->word[CALLS] == of->seen &&
		/* What it is just making, its keeper does not know yet. */
		core_now() > of->since + (fuzzer->word[MAKING] ? 3000 : 30) * MS)) {
		of->done = true;
		return;
	}
	fuzzer->word[TIME] = core_now();
	tiny_poke(fuzzer);
	if (tiny_state(fuzzer) == EXO_ENV_CALLING)
		core_yield(EXO_CAP_NONE);
	if (next() % 4 == 0)
		replies += exo_call(of->to_fuzzer, core_now() + MS, word) >= 0;
	if (fuzzer->word[CALLS] != of->seen) {
		of->seen = fuzzer->word[CALLS];
		of->since = core_now();
	}
}

static void let_run(void)
{
	unsigned left;

	do {
		left = 0;
		for (unsigned i = 0; i < parties; i++)
			if (!party[i].done) {
				let_one(&party[i]);
				left++;
			}
	} while (left);
	for (unsigned i = 0; i < parties; i++) {
		stuck += party[i].fuzzer.word[PHASE] != 2 && tiny_state(&party[i].fuzzer) != EXO_ENV_ENDED;
		ended += tiny_state(&party[i].fuzzer) == EXO_ENV_ENDED;
	}
}

static void complain(const char *what, const uint64_t last[][2])
{
	failures++;
	printf("# run %u (seed %lu): %s", runs, (long)seed, what);
	for (unsigned i = 0; i < parties; i++)
		printf("; CPU %u, 0x%lx: call %lu was %lu", i, (long)party[i].seed, (long)last[i][0], (long)last[i][1]);
	printf("\n");
}

static bool party_make(struct party *of, unsigned cpu, uint64_t count)
{
	struct tiny *fuzzer = &of->fuzzer;

	memset(of, 0, sizeof(*of));
	of->seed = next() | 1;
	of->since = core_now();
	tiny_account = account;
	tiny_cpu = cpu;
	bool good = tiny_make(fuzzer, fuzz_run, EXTRA);
	tiny_account = 0;
	good = good && agent_begin(&of->sibling, 0) && agent_begin(&of->keeper, 0) && equip(of);
	tiny_cpu = 0;
	if (!good)
		return false;
	signatures(fuzzer);
	fuzzer->disp->off_entry = (uint64_t)fuzz_off;
	fuzzer->disp->call_entry = (uint64_t)fuzz_run;
	fuzzer->word[SEED] = of->seed;
	fuzzer->word[WANT] = count;
	fuzzer->word[CPUS] = parties;
	fuzzer->word[FRAMES_TOTAL] = core_info->frames_total;
	return true;
}

static void party_count(const struct party *of)
{
	runs++;
	/* It may have written over that itself. */
	calls_made += of->fuzzer.word[CALLS] < RUN_CALLS * 2 ? of->fuzzer.word[CALLS] : 0;
	for (unsigned i = 0; i < 22; i++)
		errors[i] += of->fuzzer.word[ERRORS + i];
	for (unsigned i = 0; i < EXO_CALL_COUNT; i++)
		good_calls[i] += of->fuzzer.word[GOOD + i];
}

static void destroy(exo_cap_t env)
{
	while (env && exo_env_destroy(env) == -EXO_EAGAIN)
		;
}

/* One may hold what lies in another's frames, so all end before any gives its frames back. */
static void parties_drop(void)
{
	for (unsigned p = 0; p < parties; p++) {
		struct party *of = &party[p];
		destroy(of->fuzzer.env);
		for (uint64_t slot = 1; slot < 64 && of->keeper.env; slot++)
			if (slot < KEEP_FROM || slot < KEEP_FROM + of->fuzzer.word[KEPT])
				while (agent_do(&of->keeper, EXO_CALL_env_destroy, exo_cap_make((uint32_t)slot, 1),
					   0, 0, 0, 0, 0) == -EXO_EAGAIN)
					;
		destroy(of->sibling.env);
		destroy(of->keeper.env);
	}
	for (unsigned p = 0; p < parties; p++) {
		tiny_drop(&party[p].fuzzer);
		tiny_drop(&party[p].sibling);
		tiny_drop(&party[p].keeper);
		if (party[p].to_fuzzer)
			caps_delete(party[p].to_fuzzer);
	}
}

static bool run(uint64_t count)
{
	struct books before = books_now(), after;
	unsigned there = environments();
	uint64_t last[PARTIES_MAX][2] = { { 0 } };
	bool good = true;

	for (unsigned i = 0; i < parties; i++)
		good = party_make(&party[i], i, count) && good;
	for (unsigned i = 0; i < parties && good; i++)
		tiny_start(&party[i].fuzzer);
	if (good)
		let_run();
	for (unsigned i = 0; i < parties && good; i++) {
		party_count(&party[i]);
		last[i][0] = party[i].fuzzer.word[CALLS];
		last[i][1] = party[i].fuzzer.word[LAST];
	}
	parties_drop();
	for (unsigned i = 0; i < 512; i++)
		if (canary[i] != CANARY) {
			complain("the test's page is another", last);
			break;
		}
	after = books_now();
	if (!frames_consistent())
		complain("the frames are not", last);
	if (environments() != there)
		complain("an environment is left", last);
	if (after.free != before.free || after.own != before.own) {
		complain("frames are missing", last);
		printf("# %u free, %u before; %u own, %u before\n", after.free, before.free, after.own,
		    before.own);
	}
	return good;
}

int main(void)
{
	const bool longer = call_option("long", 0);
	uint64_t count = call_option("calls", longer ? 1000000 : 300000);
	exo_time_t until = core_now() + (longer && !call_option("calls", 0) ? LONG_SECONDS * CORE_SECOND : 0);
	struct books before;

	seed = call_option("seed", 0);
	if (!seed)
		core_random(&seed, sizeof(seed)), seed %= 1000000000;
	state = seed * 0x9e3779b97f4a7c15 | 1;
	for (unsigned i = 0; i < 10; i++)
		next();
	cpus_await();
	parties = (unsigned)call_option("cpus", core_info->cpus < PARTIES_MAX ? core_info->cpus : PARTIES_MAX);
	printf("# seed %lu, %lu calls on %u CPUs\n", (long)seed, (long)count, parties);
	tiny_prepare();
	before = books_now();
	ok(prepare(), "one of everything");
	while ((calls_made < count || core_now() < until) && failures < 5 && run(RUN_CALLS))
		;
	ok(calls_made >= count, "%lu calls in %u runs; %u ended early, %u hung", (long)calls_made, runs,
	    ended, stuck);
	ok(!failures, "after each run the machine is whole");
	unsigned done = 0;
	printf("# succeeded:");
	for (unsigned i = 0; i < EXO_CALL_COUNT; i++)
		printf(" %u:%lu", i, (long)good_calls[i]), done += good_calls[i] > 0;
	printf("\n# errors:");
	for (unsigned i = 1; i < 22; i++)
		printf(" %s:%lu", exo_error_name(-(int64_t)i), (long)errors[i]);
	printf(" replies to the test:%u\n", replies);
	/* Not disk_reset, as nobody would start a disk again that it stops; on one CPU, not those for another; and none of a
	 * volume, of which there is none here. split_end does some three times in 120,000 calls, and not at all in one of
	 * twenty runs of so many. */
	unsigned never = count < 50000 ? 22 : (core_info->cpus > 1 ? 16 : 18) + (count < 500000);
	ok(done >= EXO_CALL_COUNT - never, "%u of %u calls succeeded at times", done, EXO_CALL_COUNT);
	space_map((exo_vaddr_t)canary, 0, 0, 0, 1);
	exo_cap_t mine[] = { account, slices, flow, weak_console, weak_machine, account_frame, flow_frame,
		page };
	for (unsigned i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
		if (mine[i])
			caps_delete(mine[i]);
	ok(books_same(before), "the books are even");
	return call_done();
}
