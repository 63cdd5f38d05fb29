/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests with several environments of libOS uni: the first one (`Runs first: yes`) makes more of its own
 * image, each with a role, which stands in argument 1, and with what the test grants it by name.
 */
#ifndef TEST_GUEST_FAMILY_H
#define TEST_GUEST_FAMILY_H

#include "test/guest/call.h"

#define FAMILY_GRANTS	12

struct member {
	struct spawn spawn;
	struct spawn_grant grant[FAMILY_GRANTS];
	const char *argv[3];
};

static const void *family_image;
static exo_cap_t family_image_cap;	/* without WRITE: nobody may raise the rights of text that all share */

/* Until all CPUs run, which may be a little later than the first program; how many there are. */
static __attribute__((unused)) uint32_t family_cpus(void)
{
	exo_time_t end = core_now() + 2000 * MS;

	for (uint32_t i = 0; i < core_info->cpus; i++)
		while (info_cpu(i)->state != EXO_CPU_RUNS && core_now() < end)
			core_sleep(core_now() + MS, core_disp->events);
	return core_info->cpus;
}

/* The own image, as the boot module has it. */
static inline const void *family_map(void)
{
	exo_cap_t module = core_named(EXO_NAME_MODULE);
	uint32_t pages = cap_of(module)->count;
	exo_vaddr_t at = vm_addresses((uint64_t)pages * EXO_PAGE_SIZE);

	return at && !space_map(at, EXO_MAP_READ, module, 0, pages) ? (const void *)at : NULL;
}

static __attribute__((unused)) void family_grant(struct member *member, const char *name, exo_cap_t cap,
    uint64_t rights, uint32_t count)
{
	member->grant[member->spawn.grants++] = (struct spawn_grant){ name, cap, rights, 0, count };
}

/* Make one; grants stand in it already. It does not run yet. */
static __attribute__((unused)) bool family_make(struct member *member, const char *role, const char *argument)
{
	struct spawn *spawn = &member->spawn;

	if (!family_image) {
		int64_t cap = caps_derive(core_named(EXO_NAME_MODULE), EXO_RIGHT_READ | EXO_RIGHT_EXEC, 0, 0);
		family_image = family_map();
		family_image_cap = cap > 0 ? (exo_cap_t)cap : EXO_CAP_NONE;
	}
	family_grant(member, EXO_NAME_CONSOLE, core_named(EXO_NAME_CONSOLE), EXO_RIGHT_WRITE, 0);
	member->argv[0] = member->argv[1] = role;
	member->argv[2] = argument;
	spawn->name = role;
	spawn->image = family_image;
	spawn->image_bytes = core_begin->module_bytes;
	spawn->image_cap = family_image_cap;
	spawn->argc = argument ? 3 : 2;
	spawn->argv = member->argv;
	spawn->grant = member->grant;
	if (!family_image || spawn_make(spawn)) {
		printf("# %s cannot be made: %s\n", role, spawn->error);
		return false;
	}
	return true;
}

/* An entry to a member. */
static __attribute__((unused)) exo_cap_t family_entry(const struct member *member, uint64_t badge)
{
	uint32_t slot = caps_slot();

	return made(slot, exo_entry_make(slot, member->spawn.env, badge));
}

static __attribute__((unused)) uint32_t family_state(const struct member *member)
{
	const struct exo_env_info *info = info_env((uint32_t)member->spawn.id);

	return info->id == member->spawn.id ? info->state : EXO_ENV_NONE;
}

/* Until it is in a state; false: not within `ms`. */
static __attribute__((unused)) bool family_await(const struct member *member, uint32_t state, uint64_t ms)
{
	exo_time_t end = core_now() + ms * MS;

	while (family_state(member) != state) {
		if (core_now() > end)
			return false;
		core_sleep(core_now() + MS / 4, core_disp->events);
	}
	return true;
}

static __attribute__((unused)) void family_drop(struct member *member)
{
	spawn_destroy(&member->spawn);
	memset(member, 0, sizeof(*member));
}

/* The pages that all share: words, seen by plain loads. */
static volatile uint64_t *family_word;
static exo_cap_t family_page;		/* the page in which its words lie */

/* Every member begins so: the shared page mapped; the first environment makes it. Its role; NULL: the first. */
static __attribute__((unused)) const char *family_begin(void)
{
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);

	family_page = core_named("page") ? core_named("page") : take_frames(1);
	space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, family_page, 0, 1);
	family_word = (volatile uint64_t *)at;
	info_env(0);
	return core_argument(1);
}

static __attribute__((unused)) bool family_await_word(unsigned word, uint64_t least, uint64_t ms)
{
	exo_time_t end = core_now() + ms * MS;

	while (family_word[word] < least) {
		if (core_now() > end)
			return false;
		core_sleep(core_now() + MS / 4, core_disp->events);
	}
	return true;
}

#endif
