/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork, the process's side. The keeper's is libos/keep/fork.c.
 *
 * The keeper makes an environment without memory, and lets the parent have, for a moment, the right to put
 * capabilities into its table and tables into its space. The parent splits its runs into the same slots of
 * that table (memory.h), copies its wired and hot pages, and tells the child's first instructions, in its
 * argument frame, where these go. The child begins at posix_fork_entry with nothing but text and fixed pages, maps
 * those, and comes by core_start to core_resumes; then it goes on as the thread that forked. It maps its other
 * pages when it touches the first one of those that lie in the same 2 MiB.
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
#include "libos/posix/cpus.h"
#include "libos/posix/memory.h"
#include "libos/posix/posix.h"
#include "libos/posix/runs.h"
#include "libos/posix/thread.h"
#include "libos/uni/locks.h"

#define POOLS		(MEMORY_WINDOW - 2)
#define TABLE_FRAMES	3
#define TABLE_BYTES	(2ULL << 20)
#define FRAMES_MOST	(POOLS * (EXO_TAKE_MAX - 4))	/* it may give a few less in a piece than could be */

struct descriptors {
	uint64_t count;
	struct exo_map map[24];
};

CORE_WIRED_STACK char posix_wired_stack[POSIX_WIRED_STACK];
uint64_t posix_fork_sp;
static uint64_t fork_tls;		/* thread pointer of the thread that forks */
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
static struct {
	exo_cap_t cap;
	uint32_t first;
} hot;				/* the pool's frames for the child's hot pages */
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

/* Does the keeper link this table for the image? As REQUEST_FORK_BEGIN says. */
static bool keeper_links(exo_vaddr_t va)
{
	exo_vaddr_t start = core_begin->image, end = start + core_begin->image_bytes;

	return va < TABLE_BYTES || (va + TABLE_BYTES > start && va < end) || va >> 21 == (end + WIRE_STACK - 1) >> 21;
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

	memory_heat(posix_fork_sp);
	stretches = memory_wired(stretch, MEMORY_STRETCHES);
	wired = 0;
	for (uint32_t i = 0; i < stretches; i++)
		wired += stretch[i].pages;
	for (unsigned i = 0; memory_table(i, &va); i++) {
		if (!va || keeper_links(va))
			continue;
		frames += TABLE_FRAMES;
		upper += (va >> 30 != last >> 30) + (va >> 39 != last >> 39);
		last = va;
	}
	for (unsigned i = 0; i < MEMORY_RUNS; i++)
		frames += memory_run[i].cap ? memory_run[i].split ? 1 : 2 : 0;
	frames += wired + upper + memory_run[MEMORY_HOT].count;
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
		if (!va || keeper_links(va))
			continue;
		error = link_table(va);
		if (error == -EXO_EBUSY) {	/* it is there: the frames for it are those of the next */
			pool[last_pool].used -= TABLE_FRAMES;
			error = 0;
		}
	}
	memory_hot_mapped = error >= 0;
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

/* Where the child's first instructions map something; false: too much. */
static bool describe(struct descriptors *to, exo_vaddr_t va, int64_t handle, uint32_t first, uint32_t pages)
{
	if (to->count == sizeof(to->map) / sizeof(to->map[0]))
		return false;
	to->map[to->count++] = (struct exo_map){ va | EXO_MAP_READ | EXO_MAP_WRITE, (exo_cap_t)handle, first, pages, 0 };
	return true;
}

/*
 * The child gets the first frames of a pool, for wired pages, and they are mapped here, together with those for hot
 * pages if these come next: how many are mapped, or an error.
 */
static int64_t open_pool(uint32_t k, uint32_t frames, int64_t *handle)
{
	uint32_t pages = frames + (hot.cap == pool[k].cap && hot.first == frames ? memory_run[MEMORY_HOT].count : 0);
	int64_t error;

	if (k >= MEMORY_SLOT_WINDOW - MEMORY_SLOT_WIRED)
		return -EXO_EFULL;
	*handle = exo_cap_derive(pool[k].cap, child_env, MEMORY_SLOT_WIRED + k, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, frames);
	if (*handle < 0)
		return *handle;
	error = space_map(META_COPY, EXO_MAP_READ | EXO_MAP_WRITE, pool[k].cap, 0, pages);
	return error < 0 ? error : pages;
}

/* Hot pages are copied, too, to frames of which the child has a run of its own; `mapped`: to where they are. */
static int64_t copy_hot(struct descriptors *to, exo_vaddr_t mapped)
{
	const struct memory_run *run = &memory_run[MEMORY_HOT];
	const struct vm_region *region;
	int64_t handle, error = 0;

	handle = exo_cap_derive(hot.cap, child_env, MEMORY_SLOT + MEMORY_HOT, EXO_RIGHT_READ | EXO_RIGHT_WRITE,
	    hot.first, run->count);
	if (handle < 0)
		return handle;
	if (!mapped)
		error = space_map(mapped = META_COPY, EXO_MAP_READ | EXO_MAP_WRITE, hot.cap, hot.first, run->count);
	for (uint32_t i = 0; !error && i < run->count; i++) {
		exo_vaddr_t va = memory_hot[i];

		if (!va)
			continue;
		region = vm_find(va);
		if (!region || ~region->flags & EXO_MAP_READ)
			return -EXO_EFULL;	/* it could not be made an ordinary one, before */
		copy_pages((void *)(mapped + i * EXO_PAGE_SIZE), (const void *)va, 1);
		if (memory_hot_mapped && !describe(to, va, handle, i, 1))
			return -EXO_EFULL;
	}
	return error;
}

/* Copies of wired and hot pages; descriptors in the child's argument frame say where they belong. */
static int64_t copy_to(struct descriptors *to, uint32_t *most)
{
	uint32_t k = 0, used = 0, room = 0, left = wired, part;
	int64_t handle = 0, mapped = 0;

	for (uint32_t i = 0; i < stretches; i++)
		for (uint32_t done = 0; done < stretch[i].pages; done += part) {
			if (used == room) {
				k += room != 0;
				if (k >= pools)
					return -EXO_EFULL;
				room = left < pool[k].count ? left : pool[k].count;
				used = 0;
				mapped = open_pool(k, room, &handle);
				if (mapped < 0)
					return mapped;
				*most = mapped > *most ? (uint32_t)mapped : *most;
			}
			part = room - used < stretch[i].pages - done ? room - used : stretch[i].pages - done;
			if (!describe(to, stretch[i].va + done * EXO_PAGE_SIZE, handle, used, part))
				return -EXO_EFULL;
			if (stretch[i].contents)
				copy_pages((void *)(META_COPY + used * EXO_PAGE_SIZE),
				    (const void *)(stretch[i].va + done * EXO_PAGE_SIZE), part);
			used += part;
			left -= part;
		}
	if (!memory_run[MEMORY_HOT].cap)
		return 0;
	return copy_hot(to, mapped > room ? META_COPY + room * EXO_PAGE_SIZE : 0);
}

static int64_t copy_all(void)
{
	struct descriptors list;
	uint32_t most = MEMORY_HOT_PAGES;
	int64_t error;

	list.count = 0;
	error = copy_to(&list, &most);
	space_map(META_COPY, 0, EXO_CAP_NONE, 0, most);
	if (error < 0)
		return error;
	memcpy(core_arg(0), &list, offsetof(struct descriptors, map[list.count]));
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
	error = memory_run[MEMORY_HOT].cap && !take(memory_run[MEMORY_HOT].count, &hot.cap, &hot.first) ? -EXO_EFULL : 0;
	if (!error)
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

/* Of posix_inside, from a thread pointer: the own one is not in force yet. */
static uint64_t inside_at(void)
{
	uint64_t at;

	__asm__("movq $posix_inside@tpoff, %0" : "=r"(at));
	return at;
}

bool core_resumes(void)
{
	if (!forking) {
		memory_start();
		return false;
	}
	forking = false;
	frame_forked();
	caps_forked();
	memory_forked(posix_fork_sp, fork_tls, fork_tls + inside_at());
	core_disp->run_entry = entries.run_entry;
	core_disp->end_entry = entries.end_entry;
	core_disp->call_entry = entries.call_entry;
	core_disp->reenter = entries.reenter;
	core_parked = posix_fork_sp;
	return true;
}

static void begin_child(void)
{
	core_random_forked();
	posix_call_forked();
	signal_forked();
	posix_cpus_forked();
	posix_threads_forked();
}

/* Without what pthread_atfork has been told; nothing else in the child is half done. */
pid_t _Fork(void)
{
	int64_t result = -ENOMEM;
	bool was = posix_enter();

	posix_cpus_recall_all();
	streams_fork();
	fork_tls = (uint64_t)__builtin_thread_pointer();
	if (memory_own())
		result = posix_fork_point();
	if (!result)
		begin_child();
	posix_leave(was);
	return (pid_t)posix_result(result);
}

pid_t fork(void)
{
	pid_t pid;

	posix_fork_prepare();
	pid = _Fork();
	if (!pid)
		posix_fork_child();
	else
		posix_fork_parent();
	return pid;
}

pid_t vfork(void)
{
	return fork();
}
