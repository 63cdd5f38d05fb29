/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork, the process's side. The keeper's is libos/keep/fork.c.
 *
 * The keeper makes an environment without memory, and lets the parent have, for a moment, the right to put
 * capabilities into its table and tables into its space. The parent splits its runs into the same slots of
 * that table (memory.h), copies its wired pages, and tells the child's first instructions, in its argument
 * frame, where these go. The child begins at posix_fork_entry with nothing but text and fixed pages, maps the
 * wired pages, and comes by core_start to core_resumes, which maps all others to read; then it goes on as the
 * thread that forked.
 *
 * From the first split on the parent runs on a wired stack, so that no page is copied in between. It ends by
 * giving the CPU away: the child comes first, and mostly has left its parent's memory before that writes.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/posix/call.h"
#include "libos/posix/memory.h"
#include "libos/posix/posix.h"
#include "libos/posix/runs.h"
#include "libos/posix/thread.h"

#define POOLS		(MEMORY_WINDOW - 2)
#define TABLE_FRAMES	3
#define FRAMES_MOST	(POOLS * (EXO_TAKE_MAX - 4))	/* it may give a few less in a piece than could be */

struct descriptors {
	uint64_t count;
	struct exo_map map[24];
};

CORE_WIRED_STACK char posix_wired_stack[POSIX_WIRED_STACK];
uint64_t posix_fork_sp;
static bool forking;		/* true in what a child gets */
static struct {
	uint64_t run_entry, end_entry, call_entry, reenter;
} entries;
/* The keeper's frames, as they came through the window. */
static struct {
	exo_cap_t cap;
	uint32_t used, count;
} pool[POOLS];
static uint32_t pools, wired, last_pool;
static struct memory_stretch stretch[MEMORY_STRETCHES];
static uint32_t stretches;
static exo_cap_t child_env, child_space;

int64_t posix_fork_point(void);
void posix_fork_entry(void);

/* --- what the keeper gives ------------------------------------------------------------------------------ */

/* So many frames in a row; false: the keeper's are used up. */
static bool take(uint32_t count, exo_cap_t *cap, uint32_t *first)
{
	for (uint32_t i = 0; i < pools; i++)
		if (pool[i].count - pool[i].used >= count) {
			*cap = pool[i].cap;
			*first = pool[i].used;
			pool[i].used += count;
			last_pool = i;
			return true;
		}
	return false;
}

/*
 * Wired pages come first, in whole capabilities but for the last; then records, then tables, with the upper
 * ones of what lies far apart. Three in a row do not always fit at the end of a capability. A large process
 * gets fewer: then the child makes tables itself, at its faults.
 */
static uint32_t frames_wanted(void)
{
	uint32_t frames = 0, upper = 0, all;
	exo_vaddr_t va, last = 0;

	stretches = memory_wired(stretch, MEMORY_STRETCHES);
	wired = 0;
	for (uint32_t i = 0; i < stretches; i++)
		wired += stretch[i].pages;
	for (unsigned i = 0; memory_table(i, &va); i++) {
		frames += va ? TABLE_FRAMES : 0;
		upper += (va >> 30 != last >> 30) + (va >> 39 != last >> 39);
		last = va;
	}
	for (unsigned i = 0; i < MEMORY_RUNS; i++)
		frames += memory_run[i].cap ? memory_run[i].split ? 1 : 2 : 0;
	frames += wired + upper;
	all = frames + frames / EXO_TAKE_MAX * (TABLE_FRAMES - 1);
	return all < FRAMES_MOST ? all : FRAMES_MOST;
}

static int64_t begin(void)
{
	uint64_t word[4] = { REQUEST_FORK_BEGIN, frames_wanted(), (uint64_t)posix_fork_entry };
	uint32_t left = wired;
	int64_t pid;

	core_disp->window_first = MEMORY_SLOT_WINDOW;
	core_disp->window_count = MEMORY_WINDOW;
	pid = posix_transfer(word);
	core_disp->window_count = 0;
	if (pid < 0)
		return pid;
	child_env = caps_handle(MEMORY_SLOT_WINDOW);
	child_space = caps_handle(MEMORY_SLOT_WINDOW + 1);
	pools = word[1] < POOLS ? (uint32_t)word[1] : POOLS;
	for (uint32_t i = 0; i < pools; i++) {
		pool[i].cap = caps_handle(MEMORY_SLOT_WINDOW + 2 + i);
		pool[i].count = caps_at(MEMORY_SLOT_WINDOW + 2 + i)->count;
		pool[i].used = left < pool[i].count ? left : pool[i].count;
		left -= pool[i].used;
	}
	return pid;
}

static void window_close(void)
{
	for (uint32_t i = 0; i < MEMORY_WINDOW; i++)
		if (caps_at(MEMORY_SLOT_WINDOW + i)->type != EXO_TYPE_NONE)
			(void)caps_delete(caps_handle(MEMORY_SLOT_WINDOW + i));
}

/* --- the child's memory --------------------------------------------------------------------------------- */

/* The tables on the way to an address, from below. */
static int64_t link_table(exo_vaddr_t va)
{
	static const uint8_t levels[] = { EXO_LEVEL_PAGES, EXO_LEVEL_1G, EXO_LEVEL_512G };
	exo_cap_t cap[3];
	uint32_t first[3], i;
	int64_t error = -EXO_ENOTABLE;

	for (i = 0; i < 3 && error == -EXO_ENOTABLE; i++) {
		if (!take(i ? 1 : TABLE_FRAMES, &cap[i], &first[i]))
			return -EXO_EFULL;
		error = exo_space_table(child_space, va, levels[i], cap[i], first[i]);
	}
	for (i--; error >= 0 && i-- > 0;)
		error = exo_space_table(child_space, va, levels[i], cap[i], first[i]);
	return error;
}

static int64_t link_all(void)
{
	exo_vaddr_t va;
	int64_t error = 0;

	for (unsigned i = 0; error >= 0 && memory_table(i, &va); i++) {
		if (!va)
			continue;
		error = link_table(va);
		if (error == -EXO_EBUSY) {	/* it is there: the frames for it are those of the next */
			pool[last_pool].used -= TABLE_FRAMES;
			error = 0;
		}
	}
	return error == -EXO_EFULL ? 0 : error;
}

static int64_t split(struct memory_run *run, uint32_t slot)
{
	exo_cap_t cap;
	int64_t handle, got;
	uint32_t first;

	if (!take(run->split ? 1 : 2, &cap, &first))
		return -EXO_EFULL;
	do
		handle = exo_cap_split(run->cap, child_env, slot, cap, first);
	while (handle == -EXO_EAGAIN);
	if (handle < 0)
		return handle;
	run->split = true;
	for (uint32_t done = EXO_RANGE_MAX; done < run->count; done += (uint32_t)got) {
		do
			got = exo_cap_split(run->cap, child_env, (uint64_t)handle, 0, 0);
		while (got == -EXO_EAGAIN);
		if (got < 0)
			return got;
	}
	return 0;
}

static int64_t split_all(void)
{
	int64_t error = 0;

	memory_window_empty();
	for (uint32_t i = 0; i < MEMORY_RUNS && !error; i++)
		if (memory_run[i].cap)
			error = split(&memory_run[i], MEMORY_SLOT + i);
	return error;
}

static void copy_pages(void *to, const void *from, uint32_t pages)
{
	uint64_t words = (uint64_t)pages * EXO_PAGE_SIZE / sizeof(uint64_t);

	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(words) : : "memory");
}

/*
 * Copies of wired pages, in frames whose capability the child gets; the descriptors in the argument frame say
 * where.
 */
static int64_t copy_piece(struct descriptors *to, exo_vaddr_t va, uint32_t pages, bool contents, exo_cap_t cap,
			  exo_cap_t handle, uint32_t first)
{
	int64_t error;

	if (to->count == sizeof(to->map) / sizeof(to->map[0]))
		return -EXO_EFULL;
	to->map[to->count++] = (struct exo_map){ va | EXO_MAP_READ | EXO_MAP_WRITE, handle, first, pages, 0 };
	if (!contents)
		return 0;
	error = space_map(META_COPY, EXO_MAP_READ | EXO_MAP_WRITE, cap, first, pages);
	if (!error)
		copy_pages((void *)META_COPY, (const void *)va, pages);
	return error;
}

static int64_t copy_all(void)
{
	static struct descriptors list;
	uint32_t k = 0, used = 0, most = 0, left = wired;
	int64_t handle = 0, error = 0;

	list.count = 0;
	for (uint32_t i = 0; error >= 0 && i < stretches; i++) {
		for (uint32_t done = 0, part; error >= 0 && done < stretch[i].pages; done += part) {
			uint32_t room = left + used < pool[k].count ? left + used : pool[k].count;

			if (!handle || used == room) {
				k += handle != 0;
				if (k >= pools || k >= MEMORY_SLOT_WINDOW - MEMORY_SLOT_WIRED)
					return -EXO_EFULL;
				used = 0;
				room = left < pool[k].count ? left : pool[k].count;
				handle = exo_cap_derive(pool[k].cap, child_env, MEMORY_SLOT_WIRED + k,
				    EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, room);
				if (handle < 0)
					return handle;
			}
			part = room - used < stretch[i].pages - done ? room - used : stretch[i].pages - done;
			error = copy_piece(&list, stretch[i].va + done * EXO_PAGE_SIZE, part, stretch[i].contents,
			    pool[k].cap, (exo_cap_t)handle, used);
			used += part;
			left -= part;
			most = part > most ? part : most;
		}
	}
	space_map(META_COPY, 0, EXO_CAP_NONE, 0, most);
	if (error < 0)
		return error;
	memcpy(core_arg(0), &list, sizeof(list));
	return exo_env_write(child_env, EXO_VA_ARG, 0, offsetof(struct descriptors, map[list.count]));
}

/* --- the parent ----------------------------------------------------------------------------------------- */

static int64_t error_of(int64_t error)
{
	switch (-error) {
	case EXO_EFULL:
	case EXO_EQUOTA:
	case EXO_ESLOT:
		return -ENOMEM;
	default:
		return -EAGAIN;
	}
}

/* Called by posix_fork_point on its stack: the child's pid, or -errno. The child never comes back from here. */
int64_t posix_fork_work(void)
{
	uint64_t end[4] = { REQUEST_FORK_END };
	int64_t pid, error;

	memory_pack();
	pid = begin();
	if (pid < 0) {
		window_close();		/* it may have failed after the first of them */
		return pid;
	}
	error = split_all();
	if (!error)
		error = link_all();
	if (!error) {
		entries.run_entry = core_disp->run_entry;
		entries.end_entry = core_disp->end_entry;
		entries.call_entry = core_disp->call_entry;
		entries.reenter = core_disp->reenter;
		forking = true;
		error = copy_all();
		forking = false;
	}
	if (error < 0)
		end[1] = 1;
	window_close();
	pid = posix_transfer(end);
	if (error < 0)
		return error_of(error);
	if (pid > 0)
		core_yield(EXO_CAP_NONE);
	return pid;
}

/* --- the child ------------------------------------------------------------------------------------------ */

bool core_resumes(void)
{
	if (!forking) {
		memory_start();
		return false;
	}
	forking = false;
	frame_forked();
	caps_forked();
	memory_forked();
	core_disp->run_entry = entries.run_entry;
	core_disp->end_entry = entries.end_entry;
	core_disp->call_entry = entries.call_entry;
	core_disp->reenter = entries.reenter;
	core_parked = posix_fork_sp;
	return true;
}

static void begin_child(void)
{
	core_random_mix(core_begin->seed);
	memset(core_begin->seed, 0, sizeof(core_begin->seed));
	posix_call_forked();
	signal_forked();
}

pid_t fork(void)
{
	int64_t result = -ENOMEM;
	bool was;

	posix_fork_prepare();
	was = posix_enter();
	if (memory_own())
		result = posix_fork_point();
	if (!result)
		begin_child();
	posix_leave(was);
	if (!result)
		posix_fork_child();
	else
		posix_fork_parent();
	return (pid_t)posix_result(result);
}

pid_t vfork(void)
{
	return fork();
}
