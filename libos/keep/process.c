/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is who: the table of processes, their beginning and end.
 *
 * A process ends in one of three ways: it asks to (EXIT), somebody kills it (keep_kill), or its environment
 * ends by itself (an exception, exo_env_exit, force), which the poller sees. Its environment goes first, so
 * that it runs no more; then, when no handler works for it any more, what it held; then it is a zombie, and
 * its parent is told.
 *
 * P1 a record that is not KEEP_FREE has its pid, which nobody else has as pid, group or session
 * P2 parent is NULL for pid 1 only; who loses his parent becomes pid 1's child
 * P3 `ending`: the body is gone, the status is known; what is left is for keep_process_finish
 * P4 a zombie has no body, descriptors, directory or worker
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/private.h"
#include "libos/vm/vm.h"

#define PID_MAX		30000
#define FDS_FIRST	((EXO_PAGE_SIZE - offsetof(struct keep_process, fd)) / sizeof(struct keep_fd))
#define WEAK		__attribute__((weak))

#pragma weak keep_clock_page
#pragma weak keep_signal_forked
#pragma weak keep_signal_exit
#pragma weak keep_signal_child
#pragma weak keep_fds_copy
#pragma weak keep_fds_close
#pragma weak keep_cwd_copy
#pragma weak keep_cwd_drop
#pragma weak keep_object_exit
#pragma weak keep_priority_changed

struct keep_process *keep_process, *keep_first;
uint32_t keep_used, keep_reserve, keep_cpu;
static struct vm_region table;
static uint32_t touched;		/* records that have memory: the first so many */
static pid_t last_pid;
static struct thread_queue reaper_waits, end_waits;
static struct thread_poller poller;
static uint64_t seen;			/* events, when the poller looked last */
static bool over;			/* pid 1 has ended ... */
static int end_status;			/* ... with this */

/* --- finding --------------------------------------------------------------------------------------------- */

struct keep_process *keep_next(const struct keep_process *from)
{
	uint32_t index = from ? from->index + 1 : 0;

	for (; index < keep_used; index++)
		if (keep_process[index].state != KEEP_FREE)
			return &keep_process[index];
	return NULL;
}

struct keep_process *keep_find(pid_t pid)
{
	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process))
		if (process->pid == pid && process->state != KEEP_MAKING)
			return process;
	return NULL;
}

bool keep_in_group(const struct keep_process *process, gid_t gid)
{
	for (uint32_t i = 0; i < process->groups; i++)
		if (process->group[i] == gid)
			return true;
	return process->egid == gid;
}

static bool pid_used(pid_t pid)
{
	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process))
		if (process->pid == pid || process->pgid == pid || process->sid == pid)
			return true;
	return false;
}

static pid_t pid_new(void)
{
	do
		last_pid = last_pid >= PID_MAX ? 2 : last_pid + 1;
	while (pid_used(last_pid));
	return last_pid;
}

/* --- waiting --------------------------------------------------------------------------------------------- */

void (*keep_watch)(struct keep_queue *queue, bool woken);

void keep_wait(struct keep_queue *queue, const struct keep_process *process)
{
	if (process->index == KEEP_WATCHER)
		keep_watch(queue, false);
	queue->waits[process->index / 64] |= 1ULL << process->index % 64;
	queue->some |= 1ULL << process->index / 64;
}

void keep_wake(struct keep_queue *queue)
{
	uint64_t some = queue->some;
	bool watched = some >> (KEEP_WAIT_WORDS - 1) && queue->waits[KEEP_WAIT_WORDS - 1] >> 63;

	if (watched)
		queue->waits[KEEP_WAIT_WORDS - 1] &= ~(1ULL << 63);
	queue->some = 0;
	for (; some; some &= some - 1) {
		unsigned word = (unsigned)__builtin_ctzll(some);
		uint64_t waits = queue->waits[word];

		queue->waits[word] = 0;
		for (; waits; waits &= waits - 1) {
			struct keep_process *process = &keep_process[word * 64 + (unsigned)__builtin_ctzll(waits)];

			if (process->state != KEEP_FREE && process->state != KEEP_ZOMBIE)
				keep_poke(process);
		}
	}
	if (watched)
		keep_watch(queue, true);
}

void keep_poke(struct keep_process *process)
{
	if (!process->body)
		return;
	__atomic_add_fetch(&process->page->wakes, 1, __ATOMIC_RELEASE);
	body_wake(process->body);
}

/* --- the table's memory ---------------------------------------------------------------------------------- */

bool keep_process_room(struct keep_process *process, uint32_t fds)
{
	exo_vaddr_t from = (exo_vaddr_t)&process->fd[process->fds_room], to = (exo_vaddr_t)&process->fd[fds];

	if (fds <= process->fds_room)
		return true;
	if (fds > WIRE_FDS || !vm_touch(from, PAGE_UP(to) - from))
		return false;
	process->fds_room = (uint32_t)((PAGE_UP(to) - (exo_vaddr_t)process->fd) / sizeof(struct keep_fd));
	return true;
}

/* What many descriptors took goes back. */
static void room_drop(struct keep_process *process)
{
	exo_vaddr_t from = (exo_vaddr_t)process + EXO_PAGE_SIZE;

	if (process->fds_room > FDS_FIRST)
		vm_release(from, PAGE_UP((exo_vaddr_t)&process->fd[process->fds_room]) - from);
	process->fds_room = FDS_FIRST;
}

/* One more record has memory; NULL: there is none. */
static struct keep_process *table_grow(void)
{
	struct keep_process *process = &keep_process[touched];

	if (touched == WIRE_PROCESSES || !vm_touch((exo_vaddr_t)process, EXO_PAGE_SIZE))
		return NULL;
	touched++;
	process->fds_room = FDS_FIRST;
	return process;
}

void keep_process_free(struct keep_process *process)
{
	process->state = KEEP_FREE;
	room_drop(process);
	body_fixed_spare(process);
	while (keep_used && keep_process[keep_used - 1].state == KEEP_FREE)
		keep_used--;
}

/* --- beginning ------------------------------------------------------------------------------------------- */

void keep_page_fill(struct keep_process *process)
{
	struct wire_page *page = process->page;

	page->major = WIRE_MAJOR;
	page->minor = WIRE_MINOR;
	page->size = sizeof(*page);
	page->pid = process->pid;
	page->ppid = process->parent ? process->parent->pid : 0;
	page->pgid = process->pgid;
	page->sid = process->sid;
	page->uid = process->uid;
	page->euid = process->euid;
	page->gid = process->gid;
	page->egid = process->egid;
	page->umask = process->umask;
	page->turns = process->turns;
	page->signalfds = process->signalfds;
	page->cpu = keep_cpu;
	page->not_cpus = process->not_cpus;
	page->reserve = keep_reserve;
	if (keep_clock_page)
		keep_clock_page(page);
	page->not_data = ~process->limit[KEEP_LIMIT_DATA][0];
	page->not_space = ~process->limit[KEEP_LIMIT_SPACE][0];
}

void keep_process_name(struct keep_process *process, const char *path)
{
	const char *last = strrchr(path, '/');

	path = last && last[1] ? last + 1 : path;
	size_t bytes = strnlen(path, sizeof(process->name) - 1);
	memcpy(process->name, path, bytes);
	memset(process->name + bytes, 0, sizeof(process->name) - bytes);
}

static uint32_t count_of(uid_t uid)
{
	uint32_t count = 0;

	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process))
		count += process->uid == uid;
	return count;
}

static struct keep_process *record_take(const struct keep_process *parent)
{
	uint64_t most = parent && parent->euid ? parent->limit[KEEP_LIMIT_PROCESSES][0] : WIRE_PROCESSES;
	uint32_t index;

	/* The last few places are the superuser's: to log in and to kill what went wild. */
	if (parent && parent->euid && most > WIRE_PROCESSES - KEEP_PLACES_ROOT)
		most = WIRE_PROCESSES - KEEP_PLACES_ROOT;
	if (parent && count_of(parent->uid) >= most)
		return NULL;
	for (index = 0; index < touched; index++)
		if (keep_process[index].state == KEEP_FREE && !keep_process[index].worker)
			return &keep_process[index];
	return table_grow();
}

static void inherit(struct keep_process *child, struct keep_process *parent)
{
	child->parent = parent;
	child->pgid = parent->pgid;
	child->sid = parent->sid;
	child->uid = parent->uid;
	child->euid = parent->euid;
	child->suid = parent->suid;
	child->gid = parent->gid;
	child->egid = parent->egid;
	child->sgid = parent->sgid;
	child->groups = parent->groups;
	memcpy(child->group, parent->group, sizeof(child->group));
	child->umask = parent->umask;
	child->nice = parent->nice;
	child->policy = parent->policy;
	child->priority = parent->priority;
	child->turns = parent->turns;
	child->signalfds = parent->signalfds;
	child->not_cpus = parent->not_cpus;
	child->tty = parent->tty;
	child->ignored = parent->ignored;
	child->caught = parent->caught;
	memcpy(child->limit, parent->limit, sizeof(child->limit));
	memcpy(child->name, parent->name, sizeof(child->name));
}

static void inherit_nothing(struct keep_process *process)
{
	process->pgid = process->sid = process->pid;
	process->umask = 022;
	for (unsigned i = 0; i < KEEP_LIMITS; i++)
		process->limit[i][0] = process->limit[i][1] = UINT64_MAX;
	process->limit[KEEP_LIMIT_FILES][0] = process->limit[KEEP_LIMIT_FILES][1] = WIRE_FDS;
	process->limit[KEEP_LIMIT_PROCESSES][0] = process->limit[KEEP_LIMIT_PROCESSES][1] = WIRE_PROCESSES;
	process->limit[KEEP_LIMIT_CORE][0] = 0;
}

struct keep_process *keep_process_make(struct keep_process *parent)
{
	struct keep_process *process = record_take(parent);
	uint32_t index, room;
	uid_t before;

	if (!process)
		return NULL;
	index = (uint32_t)(process - keep_process);
	before = process->uid;
	room = process->fds_room;
	memset(process, 0, offsetof(struct keep_process, fd));
	process->index = index;
	process->fds_room = room;
	if (!body_fixed(process))
		return NULL;
	if (parent && !keep_process_room(process, parent->fds)) {
		body_fixed_spare(process);
		return NULL;
	}
	process->state = KEEP_MAKING;
	if (keep_used <= index)
		keep_used = index + 1;
	process->pid = pid_new();
	if (parent)
		inherit(process, parent);
	else
		inherit_nothing(process);
	/* What the last user of this place left in its buffer is nobody's business but his own. */
	memset(process->page, 0, sizeof(*process->page));
	if (process->uid != before)
		body_wipe(process);
	if (keep_fds_copy && parent)
		keep_fds_copy(process, parent);
	if (keep_cwd_copy)
		keep_cwd_copy(process, parent);
	if (keep_signal_forked && parent)
		keep_signal_forked(process, parent);
	keep_page_fill(process);
	process->started = core_now();
	return process;
}

void keep_process_run(struct keep_process *process, struct keep_body *body)
{
	process->body = body;
	process->env = body->env;
	process->space = body->space;
	process->id = body->id;
	process->state = KEEP_RUNNING;
	if (process->policy && keep_priority_changed)
		keep_priority_changed(process);
}

/* --- end ------------------------------------------------------------------------------------------------- */

static void body_end(struct keep_process *process)
{
	struct keep_body *body = process->body;

	process->body = NULL;
	process->env = process->space = EXO_CAP_NONE;
	process->id = 0;
	if (!body)
		return;
	body_drop(body);
	process->ns += body->ns;
	body_fixed_revoke(process);
	if (!body->pure)	/* it had other rights than its user, who has the buffer next */
		body_wipe(process);
	free(body);
}

static void record_drop(struct keep_process *process)
{
	free(process->strings);
	process->strings = NULL;
	process->strings_bytes = 0;
	if (keep_xsi_exit)
		keep_xsi_exit(process);
	if (keep_object_exit)
		keep_object_exit(process);
	if (keep_fds_close)
		keep_fds_close(process);
	if (keep_cwd_drop)
		keep_cwd_drop(process);
	process->tty = NULL;
}

void keep_process_undo(struct keep_process *process)
{
	body_end(process);
	record_drop(process);
	keep_process_free(process);
}

/* Its parent is told; false: it does not want to know. */
static bool tell(struct keep_process *process)
{
	int status = process->status, signal = status & 0x7f;

	if (keep_signal_child)
		return keep_signal_child(process, !signal ? CLD_EXITED : status & 0x80 ? CLD_DUMPED : CLD_KILLED,
					 signal ? signal : status >> 8 & 0xff);
	keep_wake(&process->parent->children);
	return true;
}

/* Those whose parent it was. */
static void orphan_all(struct keep_process *parent)
{
	for (struct keep_process *child = keep_next(NULL); child; child = keep_next(child)) {
		if (child->parent != parent)
			continue;
		child->parent = keep_first;
		child->page->ppid = keep_first->pid;
		if (child->state == KEEP_ZOMBIE && !tell(child))
			keep_process_free(child);
	}
}

static void end_all(int status)
{
	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process))
		if (process != keep_first)
			keep_kill(process, SIGKILL);
	over = true;
	end_status = status;
	thread_wake_all(&end_waits);
	keep_again();
}


void keep_process_finish(struct keep_process *process)
{
	struct keep_process *making = process->making;

	process->making = NULL;
	if (making)
		keep_process_undo(making);
	record_drop(process);
	process->ending = false;
	process->later = process->done = false;
	process->state = KEEP_ZOMBIE;
	if ((process->policy || process->nice) && keep_priority_changed)
		keep_priority_changed(process);
	process->report = true;
	if (process == keep_first) {
		end_all(process->status);
		return;
	}
	orphan_all(process);
	if (!tell(process))
		keep_process_free(process);
}

void keep_kill(struct keep_process *process, int status)
{
	if (process->ending || (process->state != KEEP_RUNNING && process->state != KEEP_STOPPED))
		return;
	process->ending = true;
	process->status = status;
	if (keep_signal_exit)
		keep_signal_exit(process);
	body_end(process);
	if (!process->worker || process->worker == thread_current)
		keep_process_finish(process);
}

/* --- ends that nobody asked for -------------------------------------------------------------------------- */

static int signal_of(uint32_t cause)
{
	static const uint8_t signals[32] = { [0] = SIGFPE, [1] = SIGTRAP, [3] = SIGTRAP, [4] = SIGSEGV, [5] = SIGSEGV,
		[6] = SIGILL, [7] = SIGFPE, [12] = SIGBUS, [13] = SIGSEGV, [14] = SIGSEGV, [16] = SIGFPE,
			[17] = SIGBUS,
		[19] = SIGFPE };

	return cause < 32 && signals[cause] ? signals[cause] : SIGKILL;
}

/*
 * An environment's end as wait says it; -1: it lives. It may be gone altogether: while it forks, a parent has a
 * capability to destroy its child's.
 */
static int end_of(const struct exo_env_info *info, exo_env_id_t id)
{
	if (!info || info->id != id)
		return SIGKILL;
	if (info->state != EXO_ENV_ENDED && info->state != EXO_ENV_NONE)
		return -1;
	return info->cause == EXO_CAUSE_EXIT ? (int)(info->status & 0xff) << 8 : signal_of(info->cause);
}

/* The same of a process: that of the first of its environments that has ended. */
static int ended(const struct keep_process *process)
{
	const struct keep_body *body = process->body;
	int status = body && process->id ? end_of(info_env((uint32_t)process->id), process->id) : -1;

	for (uint32_t i = 0; body && i < body->cpus && status < 0; i++)
		status = end_of(body_cpu(body, i), body->cpu[i].id);
	return status;
}

/* The thread that reaps: descriptors may have to wait for a disk. */
static void reap(void *arg)
{
	(void)arg;
	for (;;) {
		struct keep_process *process = keep_next(NULL);
		int status;

		for (; process; process = keep_next(process))
			if ((status = ended(process)) >= 0)
				keep_kill(process, status);
		thread_wait(&reaper_waits, EXO_NEVER);
	}
}

static exo_time_t look(void *arg)
{
	struct keep_process *process = NULL;

	(void)arg;
	if (core_disp->events == seen)
		return EXO_NEVER;
	seen = core_disp->events;
	while ((process = keep_next(process)) != NULL)
		if (ended(process) >= 0) {
			thread_wake_all(&reaper_waits);
			break;
		}
	return EXO_NEVER;
}

int keep_run(void)
{
	while (!over)
		thread_wait(&end_waits, EXO_NEVER);
	return end_status;
}

void keep_process_start(void)
{
	struct thread *reaper;

	table.start = vm_addresses(WIRE_PROCESSES * sizeof(struct keep_process));
	table.end = table.start + PAGE_UP(WIRE_PROCESSES * sizeof(struct keep_process));
	table.pager = vm_zero_pager;
	table.flags = EXO_MAP_READ | EXO_MAP_WRITE;
	if (!table.start || !vm_add(&table))
		core_fail("no memory for the table of processes");
	keep_process = (struct keep_process *)table.start;
	body_start();
	reaper = thread_create("reaper", reap, NULL);
	if (!reaper)
		core_fail("no memory for threads");
	thread_detach(reaper);
	poller.poll = look;
	thread_add_poller(&poller);
	info_env(0);
}
