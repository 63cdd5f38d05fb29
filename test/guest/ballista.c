/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every argument of every call of include/exo/call.h with every value of its class, and every pair of them; after
 * Ballista (Koopman, DeVale: comparing the robustness of POSIX operating systems, 1999).
 *
 * A call begins with arguments that are right, as far as the table says what is. Then one or two of them are replaced:
 * capabilities by handles that were never there, are deleted, stale, another's, of each other type, or lack the rights;
 * slots by ones in use and outside of the table; offsets, numbers, addresses and times by the edges of bytes, pages and
 * words. A tiny environment makes it. It must come back with a result from the list of errors or without one; with an
 * error if a capability, a slot or an offset is wrong; and after an error nothing may have changed: not its capability
 * table, not a frame's state, not the number of free ones.
 * Runs first: yes
 * Run with: -m 32M --disk scratch:4M
 * Time limit: 120 s
 */
#include "test/guest/agent.h"

#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define CONTROL	(EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL | EXO_RIGHT_WAKE)
#define EXTRA	8

/* Slots: by type with all rights, the same with none, then odd ones. */
enum { GOOD = 0, WEAK = EXO_TYPE_COUNT, DELETED = 2 * EXO_TYPE_COUNT, FREE_SLOT, FURTHER_SLOT };

static struct tiny agent, sibling;
static unsigned bad, tried, succeeded, built;
static exo_pfn_t first_frame;
static uint32_t frame_count;

static const char *const letters[] = {
#define LETTERS(nr, name, args, names, rights, meaning) [nr] = args,
	EXO_CALLS(LETTERS)
#undef LETTERS
}, *const call_names[] = {
#define NAMES(nr, name, args, names, rights, meaning) [nr] = #name,
	EXO_CALLS(NAMES)
#undef NAMES
}, *const needs[] = {
#define NEEDS(nr, name, args, names, rights, meaning) [nr] = rights,
	EXO_CALLS(NEEDS)
#undef NEEDS
}, *const says[] = {
#define SAYS(nr, name, args, names, rights, meaning) [nr] = names,
	EXO_CALLS(SAYS)
#undef SAYS
};

/* --- the one that makes them ---------------------------------------------------------------------------- */

static const struct exo_cap *table_of(void)
{
	return (const struct exo_cap *)tiny_window(&agent, 3);
}

static uint64_t handle_at(uint32_t slot)
{
	return exo_cap_make(slot, table_of()[slot].generation);
}

static void give(exo_cap_t source, unsigned type, unsigned rights)
{
	if (!source)
		return;
	tiny_grant(&agent, source, GOOD + type, rights);
	tiny_grant(&agent, source, WEAK + type, 0);
}

static bool build(void)
{
	static exo_cap_t entry, slices, space_frame, space;
	uint32_t slot;

	built++;
	for (struct tiny *one = &agent; one; one = one == &agent ? &sibling : NULL)
		tiny_drop(one);
	if (!entry) {
		slot = caps_slot();
		slices = made(slot, exo_slice_take(slot, 0, 16, 4));
		space_frame = take_frames(1);
		slot = caps_slot();
		space = made(slot, exo_space_create(slot, space_frame, 0));
	}
	if (!agent_begin(&agent, EXTRA) || !agent_begin(&sibling, 0))
		return false;
	if (entry)
		caps_delete(entry);
	slot = caps_slot();
	entry = made(slot, exo_entry_make(slot, sibling.env, 9));
	space_map(tiny_window(&agent, 3), EXO_MAP_READ, agent.frames, TINY_CAPS_FRAME, 1);
	exo_cap_derive(agent.frames, agent.env, GOOD + EXO_TYPE_FRAME, RWX, agent.spare, EXTRA);
	exo_cap_derive(agent.frames, agent.env, WEAK + EXO_TYPE_FRAME, 0, agent.spare, EXTRA);
	give(space, EXO_TYPE_SPACE, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	give(sibling.env, EXO_TYPE_ENV, CONTROL);
	give(entry, EXO_TYPE_ENTRY, EXO_RIGHT_EXEC);
	give(slices, EXO_TYPE_SLICE, EXO_RIGHT_READ | EXO_RIGHT_BIND);
	give(core_named(EXO_NAME_ACCOUNT), EXO_TYPE_ACCOUNT, EXO_RIGHT_READ);
	give(core_named(EXO_NAME_CONSOLE), EXO_TYPE_CONSOLE, EXO_RIGHT_READ);
	exo_cap_derive(core_named(EXO_NAME_PORTS), agent.env, GOOD + EXO_TYPE_PORTS, EXO_RIGHT_READ, 0x70, 8);
	exo_cap_derive(core_named(EXO_NAME_PORTS), agent.env, WEAK + EXO_TYPE_PORTS, 0, 0x70, 8);
	give(core_named(EXO_NAME_INTERRUPTS), EXO_TYPE_INTERRUPTS, EXO_RIGHT_BIND);
	give(core_named(EXO_NAME_BLOCKS), EXO_TYPE_BLOCKS, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	give(core_named(EXO_NAME_DISK), EXO_TYPE_DISK, EXO_RIGHT_BIND | EXO_RIGHT_CONTROL);
	tiny_grant(&agent, core_named(EXO_NAME_MACHINE), WEAK + EXO_TYPE_MACHINE, 0);
	tiny_grant(&agent, sibling.env, DELETED, 0);
	agent_do(&agent, EXO_CALL_cap_delete, exo_cap_make(DELETED, 1), 0, 0, 0, 0, 0);
	first_frame = pfn_of(agent.frames);
	frame_count = cap_of(agent.frames)->count;
	return true;
}

/* Of all that a call might change: its table, the frames' states, how many are free, the other one's state. */
static uint64_t sum(void)
{
	const uint64_t *word = (const uint64_t *)table_of();
	uint64_t value = core_info->frames_free * 31ULL + tiny_state(&sibling);

	for (unsigned i = 0; i < EXO_PAGE_SIZE / 8; i++)
		value = (value ^ word[i]) * 0x100000001b3 + (value >> 47);
	for (uint32_t i = 0; i < frame_count; i++) {
		const struct exo_frame_info *frame = info_frame(first_frame + i);
		value = (value ^ frame->state ^ (uint64_t)frame->holds << 8 ^ (uint64_t)frame->owner << 32) * 0x100000001b3;
	}
	return value;
}

/* --- values --------------------------------------------------------------------------------------------- */

static const uint64_t numbers[] = { 0, 1, 2, 7, 8, 63, 64, 255, 256, 4095, 4096, 4097, 1ULL << 31, (1ULL << 31) - 1,
	(1ULL << 32) - 1, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 47, EXO_USER_MAX, 1ULL << 63, ~0ULL - 1, ~0ULL };
static const uint64_t bad_offsets[] = { 4097, 8192, 1ULL << 31, 1ULL << 32, (1ULL << 32) + 8, 1ULL << 63, ~0ULL - 7,
	~0ULL };
#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))
/* Handles: never there, deleted, of a slot alone, older, younger, far away, wild; then of each type, with and without
 * rights. */
#define ODD_HANDLES	8
#define HANDLES		(ODD_HANDLES + 2 * EXO_TYPE_COUNT)

static unsigned type_needed(unsigned nr)
{
	static const char *const types[] = { "", "FRAME", "SPACE", "ENV", "ENTRY", "SLICE", "FLOW", "ACCOUNT", "CONSOLE",
		"MACHINE", "CODE", "PORTS", "INTERRUPTS", "BLOCKS", "DISK", "NODE" };

	for (unsigned type = 1; type < EXO_TYPE_COUNT; type++)
		if (!strncmp(needs[nr], types[type], strlen(types[type])))
			return type;
	return 0;
}

static bool is_first_capability(unsigned nr, unsigned i)
{
	return strchr(letters[nr], 'c') == letters[nr] + i;
}

static uint64_t odd_handle(unsigned which, unsigned type)
{
	uint64_t right = handle_at(GOOD + type);
	const uint64_t odd[ODD_HANDLES] = { 0x100000000 | FREE_SLOT, handle_at(DELETED) - (1ULL << 32), GOOD + type,
		right - (1ULL << 32), right + (1ULL << 32), NO_CAP, ~0ULL, 1ULL << 63 | right };

	return odd[which];
}

/* A value of the class of an argument, number `which`; false: there is no such. *wrong: it must lead to an error. */
static bool value_of(unsigned nr, unsigned i, unsigned which, uint64_t *value, bool *wrong)
{
	unsigned type = type_needed(nr), at;
	char letter = letters[nr][i];

	*wrong = false;
	if (letter == 'c') {
		if (which >= HANDLES)
			return false;
		if (which < ODD_HANDLES) {
			*value = odd_handle(which, type ? type : EXO_TYPE_FRAME);
			*wrong = true;
			return true;
		}
		at = which - ODD_HANDLES;
		*value = handle_at(at);
		if (!table_of()[at].type)
			return false;
		*wrong = is_first_capability(nr, i) && type && (at % EXO_TYPE_COUNT != type || at >= WEAK) &&
		    !(nr == EXO_CALL_wake && at == GOOD + EXO_TYPE_ENTRY);
		return true;
	}
	if (letter == 's') {
		const uint64_t slots[] = { 0, GOOD + EXO_TYPE_FRAME, 64, 65, 4096, 1ULL << 31, (1ULL << 32) - 1, FREE_SLOT };
		if (which >= COUNT_OF(slots))
			return false;
		*value = slots[which];
		*wrong = which != COUNT_OF(slots) - 1;
		return true;
	}
	if (letter == 'o') {
		if (which >= COUNT_OF(bad_offsets))
			return false;
		*value = bad_offsets[which];
		*wrong = true;
		return true;
	}
	if (which >= COUNT_OF(numbers))
		return false;
	*value = numbers[which];
	return true;
}

/* What is right, or harmless, for an argument. */
static uint64_t base_of(unsigned nr, unsigned i)
{
	unsigned type = type_needed(nr);

	switch (letters[nr][i]) {
	case 'c':
		if (is_first_capability(nr, i) && type)
			return handle_at(GOOD + type);
		return strstr(says[nr], "frames") ? handle_at(GOOD + EXO_TYPE_FRAME) : handle_at(GOOD + EXO_TYPE_ENV);
	case 's':
		return FREE_SLOT;
	case 'v':
		return 0x7000000;
	case 'n':
		return 1;
	default:
		return 0;
	}
}

/* --- the calls ------------------------------------------------------------------------------------------ */

/* They end their caller, or it is not their arguments that matter. */
static bool left_out(unsigned nr)
{
	return nr == EXO_CALL_env_exit || nr == EXO_CALL_env_fsbase;
}

static void complain(unsigned nr, const uint64_t *a, int64_t result, const char *what)
{
	if (bad++ < 20)
		printf("# %s(%lx, %lx, %lx, %lx, %lx, %lx) = %ld %s: %s\n", call_names[nr], (long)a[0], (long)a[1], (long)a[2],
		    (long)a[3], (long)a[4], (long)a[5], (long)result, result < 0 ? exo_error_name(result) : "", what);
}

static void try(unsigned nr, const uint64_t *a, bool wrong)
{
	uint64_t before = sum();
	int64_t result;

	memset((void *)agent.arg, 0, 256);
	tried++;
	result = agent_do(&agent, nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (tiny_state(&agent) == EXO_ENV_ENDED || tiny_state(&agent) == EXO_ENV_NONE) {
		complain(nr, a, result, "it was the caller's end");
		build();
		return;
	}
	if (result < 0 && result != COMES_BACK && (result < -21 || !exo_error_name(result)))
		complain(nr, a, result, "no error of the list");
	if (result >= 0 || result == COMES_BACK) {
		succeeded++;
		if (wrong)
			complain(nr, a, result, "it should have failed");
	} else if (result != -EXO_EAGAIN && sum() != before) {
		complain(nr, a, result, "an error, and yet something has changed");
	}
	if (sum() != before || tiny_state(&agent) != EXO_ENV_ASLEEP)
		build();
}

static void singles(unsigned nr)
{
	unsigned count = (unsigned)strlen(letters[nr]);
	uint64_t a[6];
	bool wrong;

	for (unsigned i = 0; i < count; i++)
		for (unsigned which = 0; which < HANDLES; which++) {
			for (unsigned k = 0; k < 6; k++)
				a[k] = k < count ? base_of(nr, k) : 0;
			if (value_of(nr, i, which, &a[i], &wrong))
				try(nr, a, wrong);
		}
}

static void pairs(unsigned nr)
{
	unsigned count = (unsigned)strlen(letters[nr]);
	uint64_t a[6];
	bool wrong_i, wrong_j;

	for (unsigned i = 0; i < count; i++)
		for (unsigned j = i + 1; j < count; j++)
			for (unsigned w = 0; w < HANDLES * HANDLES; w++) {
				for (unsigned k = 0; k < 6; k++)
					a[k] = k < count ? base_of(nr, k) : 0;
				if (!value_of(nr, i, w % HANDLES, &a[i], &wrong_i) ||
				    !value_of(nr, j, w / HANDLES, &a[j], &wrong_j))
					continue;
				/* What is wrong further behind may not have been looked at. */
				try(nr, a, wrong_i);
			}
}

int main(void)
{
	bool all = call_option("pairs", 1);
	struct books before;

	tiny_prepare();
	if (!ok(build(), "one that holds one of everything"))
		return call_done();
	(void)sum(); /* maps the tables that it reads */
	before = books_now();
	for (unsigned nr = 0; nr < EXO_CALL_COUNT; nr++) {
		unsigned was = bad, calls = tried, good = succeeded;
		if (!call_names[nr] || left_out(nr))
			continue;
		singles(nr);
		if (all)
			pairs(nr);
		ok(bad == was, "%s: %u calls, %u succeeded", call_names[nr], tried - calls, succeeded - good);
	}
	printf("# %u calls; %u times begun anew\n", tried, built);
	build();
	ok(books_now().free == before.free && frames_consistent(), "the books are even");
	return call_done();
}
