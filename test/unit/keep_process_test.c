/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of processes against a naive model: fork, exit, death, wait, stop, setpgid, setsid at random, then ids.
 *
 * The model is a list of what POSIX says of each process, searched from one end to the other. After each step the two are
 * compared record by record, and what must hold (P1 to P4 in libos/keep/process.c) is looked at.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/thread.h"
#include "libos/keep/private.h"
#include "libos/vm/vm.h"
#include "test/unit/tap.h"

#define STEPS	200000

#define NOHANG	1
#define STOPPED	2
#define EXITED	4
#define CONTINUED 8
#define NOWAIT	0x1000000

/* --- what stands around process.c ------------------------------------------------------------------------ */

static keep_handler handlers[WIRE_REQUESTS];
static char pages[WIRE_PROCESSES][EXO_PAGE_SIZE], buffers[WIRE_PROCESSES][WIRE_BUFFER];
static unsigned bodies, pokes;
static bool ended_all;
struct thread *thread_current;

void keep_serve(enum wire_request number, keep_handler handler)
{
	handlers[number] = handler;
}

void keep_again(void)
{
}

bool body_fixed(struct keep_process *process)
{
	process->page = (struct wire_page *)pages[process->index];
	process->buffer = buffers[process->index];
	return true;
}

void body_fixed_revoke(const struct keep_process *process)
{
	(void)process;
}

void body_fixed_spare(const struct keep_process *process)
{
	(void)process;
}

void body_wipe(const struct keep_process *process)
{
	memset(process->buffer, 0, sizeof(buffers[0]));
}

void body_start(void)
{
}

void body_drop(struct keep_body *body)
{
	(void)body;
	bodies--;
}

const struct exo_env_info *body_cpu(const struct keep_body *body, uint32_t i)
{
	(void)body, (void)i;
	return NULL;
}

void body_wake(const struct keep_body *body)
{
	(void)body;
	pokes++;
}

exo_vaddr_t vm_addresses(uint64_t bytes)
{
	return (exo_vaddr_t)aligned_alloc(4096, (bytes + 4095) & ~4095ULL);
}

bool vm_add(struct vm_region *region)
{
	memset((void *)region->start, 0, region->end - region->start);
	return true;
}

bool vm_touch(exo_vaddr_t va, uint64_t bytes)
{
	(void)va, (void)bytes;
	return true;
}

void vm_release(exo_vaddr_t va, uint64_t bytes)
{
	memset((void *)va, 0, bytes);
}

const char *vm_zero_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	(void)region, (void)va, (void)access, (void)present;
	return NULL;
}

struct thread *thread_create(const char *name, void (*entry)(void *arg), void *arg)
{
	static struct thread thread;

	(void)name, (void)entry, (void)arg;
	return &thread;
}

void thread_detach(struct thread *thread)
{
	(void)thread;
}

void thread_add_poller(struct thread_poller *poller)
{
	(void)poller;
}

bool thread_wait(struct thread_queue *queue, exo_time_t deadline)
{
	(void)queue, (void)deadline;
	abort();
}

void thread_wake_all(struct thread_queue *queue)
{
	(void)queue;
	ended_all = keep_first->state == KEEP_ZOMBIE;
}

exo_time_t core_now(void)
{
	return 1;
}

void core_fail(const char *format, ...)
{
	(void)format;
	abort();
}

const struct exo_env_info *info_env(uint32_t index)
{
	(void)index;
	return NULL;
}

/* --- the model ------------------------------------------------------------------------------------------- */

struct model {
	pid_t pid, ppid, pgid, sid;
	bool zombie, stopped, report, execed;
	int status;
};

static struct model model[WIRE_PROCESSES];
static unsigned models;

static struct model *model_of(pid_t pid)
{
	for (unsigned i = 0; i < models; i++)
		if (model[i].pid == pid)
			return &model[i];
	return NULL;
}

static void model_drop(struct model *one)
{
	*one = model[--models];
}

static bool model_pid_used(pid_t pid)
{
	for (unsigned i = 0; i < models; i++)
		if (model[i].pid == pid || model[i].pgid == pid || model[i].sid == pid)
			return true;
	return false;
}

static int64_t model_setpgid(pid_t self, pid_t pid, pid_t pgid)
{
	struct model *me = model_of(self), *other = model_of(pid ? pid : self);
	bool there = false;

	if (pgid < 0)
		return -EINVAL;
	if (!other || other->zombie || (other != me && other->ppid != self))
		return -ESRCH;
	pgid = pgid ? pgid : other->pid;
	if (other != me && other->execed)
		return -EACCES;
	if (other->sid != me->sid || other->sid == other->pid)
		return -EPERM;
	for (unsigned i = 0; i < models; i++)
		there = there || (model[i].pgid == pgid && model[i].sid == me->sid);
	if (pgid != other->pid && !there)
		return -EPERM;
	other->pgid = pgid;
	return 0;
}

static int64_t model_setsid(pid_t self)
{
	for (unsigned i = 0; i < models; i++)
		if (model[i].pgid == self)
			return -EPERM;
	model_of(self)->sid = model_of(self)->pgid = self;
	return self;
}

static void model_end(pid_t pid, int status)
{
	struct model *one = model_of(pid);

	if (!one || one->zombie)
		return;
	one->zombie = one->report = true;
	one->status = status;
	for (unsigned i = 0; i < models; i++)
		if (model[i].ppid == pid)
			model[i].ppid = 1;
}

/* May the answer to a wait be this one? 0: none was there; -ECHILD: none will be. */
static bool model_wait_may(pid_t self, pid_t wanted, unsigned options, int64_t got, int status)
{
	bool any = false, some = false, good = false;

	for (unsigned i = 0; i < models; i++) {
		struct model *one = &model[i];
		bool meant = wanted > 0 ? one->pid == wanted : wanted == -1 ? true :
			one->pgid == (wanted ? -wanted : model_of(self)->pgid);
		bool says = one->zombie ? options & EXITED : one->report && (one->stopped ? options & STOPPED :
			one->status == 0xffff && options & CONTINUED);

		if (one->ppid != self || !meant)
			continue;
		any = true;
		some = some || says;
		good = good || (says && one->pid == got && one->status == status);
	}
	if (!any)
		return got == -ECHILD;
	if (!some)
		return got == (options & NOHANG ? 0 : WIRE_WAIT);
	return good;
}

/* --- both ------------------------------------------------------------------------------------------------ */

static uint64_t seed = 1;

static unsigned below(unsigned limit)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % limit;
}

static int64_t ask(struct keep_process *process, unsigned number, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t more[2])
{
	struct keep_request request = { process, { w1, w2, w3 }, process->buffer, { 0, 0 } };
	int64_t result = handlers[number](&request);

	if (more)
		memcpy(more, request.more, sizeof(request.more));
	return result;
}

static struct keep_body *new_body(void)
{
	bodies++;
	return calloc(1, sizeof(struct keep_body));
}

static bool same(void)
{
	unsigned count = 0, living = 0;

	for (struct keep_process *p = keep_next(NULL); p; p = keep_next(p)) {
		struct model *one = model_of(p->pid);
		pid_t parent = p->parent ? p->parent->pid : 0;

		count++;
		living += p->state != KEEP_ZOMBIE;
		if (!one || one->ppid != parent || one->pgid != p->pgid || one->sid != p->sid ||
		    one->zombie != (p->state == KEEP_ZOMBIE) || one->stopped != (p->state == KEEP_STOPPED) ||
		    (one->zombie && (one->status != p->status || p->body)) ||
		    (!one->zombie && (p->page->pgid != p->pgid || p->page->ppid != parent)))
			return false;
		if (keep_find(p->pid) != p)
			return false;
	}
	return count == models && living == bodies;
}

static struct keep_process *some_living(void)
{
	for (;;) {
		struct keep_process *process = &keep_process[below(WIRE_PROCESSES)];

		if (process->state == KEEP_RUNNING || process->state == KEEP_STOPPED)
			return process;
	}
}

static pid_t some_pid(void)
{
	switch (below(8)) {
	case 0: return (pid_t)below(200);
	case 1: return 0;
	case 2: return -1;
	case 3: return -model[below(models)].pid;
	default: return model[below(models)].pid;
	}
}

static void step_fork(struct keep_process *self)
{
	struct keep_process *child = keep_process_make(self);
	struct model *parent = model_of(self->pid);

	if (!child) {
		if (models != WIRE_PROCESSES)
			ok(false, "no process though there is room");
		return;
	}
	if (model_pid_used(child->pid))
		ok(false, "a pid that is in use");
	if (!below(8)) {			/* the second half of fork fails */
		keep_process_undo(child);
		return;
	}
	keep_process_run(child, new_body());
	model[models++] = (struct model){ .pid = child->pid, .ppid = parent->pid, .pgid = parent->pgid,
		.sid = parent->sid };
}

static bool step_wait(struct keep_process *self)
{
	unsigned options = below(16) | (below(4) ? 0 : NOWAIT) | (below(4) ? EXITED : 0);
	pid_t wanted = some_pid();
	uint64_t more[2] = { 0, 0 };
	int64_t got = ask(self, REQUEST_WAIT, (uint64_t)(int64_t)wanted, options, 0, more);
	struct model *one;

	if (!(options & (EXITED | STOPPED | CONTINUED)))
		return got == -EINVAL;
	if (!model_wait_may(self->pid, wanted, options, got, (int)more[0]))
		return false;
	one = got > 0 ? model_of((pid_t)got) : NULL;
	if (one && !(options & NOWAIT)) {
		one->report = false;
		if (one->zombie)
			model_drop(one);
	}
	return true;
}

/* As signal.c does it. */
static void step_stop(struct keep_process *process)
{
	struct model *one = model_of(process->pid);
	bool stop = process->state == KEEP_RUNNING;

	process->state = stop ? KEEP_STOPPED : KEEP_RUNNING;
	process->status = one->status = stop ? SIGSTOP << 8 | 0x7f : 0xffff;
	process->report = one->report = true;
	one->stopped = stop;
}

static bool step(void)
{
	struct keep_process *self = some_living();
	pid_t pid = some_pid(), pgid = some_pid(), me = self->pid;
	int status;

	switch (below(10)) {
	case 0: case 1: case 2:
		step_fork(self);
		return true;
	case 3:
		if (self == keep_first)
			return true;
		status = below(2) ? (int)below(256) << 8 : SIGKILL;
		if (below(2))
			ask(self, REQUEST_EXIT, (uint64_t)status, 0, 0, NULL);
		else
			keep_kill(self, status);
		model_of(me)->stopped = false;
		model_end(me, status);
		return true;
	case 4: case 5: case 6:
		return step_wait(self);
	case 7:
		step_stop(self);
		return true;
	case 8:
		return ask(self, REQUEST_SETPGID, (uint64_t)(int64_t)pid, (uint64_t)(int64_t)pgid, 0, NULL) ==
			model_setpgid(me, pid, pgid);
	default:
		if (below(4)) {
			self->execed = model_of(me)->execed = true;
			return true;
		}
		return ask(self, REQUEST_SETSID, 0, 0, 0, NULL) == model_setsid(me);
	}
}

static void random_steps(void)
{
	unsigned most = 0, i;

	/* All is compared with all: with many processes not after each step. */
	for (i = 0; i < STEPS && step() && ((models > 50 && i % 128) || same()); i++)
		most = models > most ? models : most;
	ok(i == STEPS, "%u random steps are as the model's (seed 1, at most %u processes at once)", i, most);
	ok(most == WIRE_PROCESSES, "the table was full at times");
}

/* --- ids, limits ----------------------------------------------------------------------------------------- */

static void ids(void)
{
	struct keep_process *self = keep_process_make(keep_first);
	const uint64_t leave = 0xffffffff;

	keep_process_run(self, new_body());
	is_int(ask(self, REQUEST_SETIDS, WIRE_SETRESUID, 1000 | 1001ULL << 32, 1002, NULL), 0, "the superuser takes any ids");
	ok(self->uid == 1000 && self->euid == 1001 && self->suid == 1002 && self->page->euid == 1001, "... and has them");
	is_int(ask(self, REQUEST_SETIDS, WIRE_SETEUID, 1002, 0, NULL), 0, "seteuid to the saved one");
	is_int(ask(self, REQUEST_SETIDS, WIRE_SETEUID, 7, 0, NULL), -EPERM, "seteuid to another's");
	is_int(ask(self, REQUEST_SETIDS, WIRE_SETUID, 0, 0, NULL), -EPERM, "setuid to the superuser's");
	is_int(ask(self, REQUEST_SETIDS, WIRE_SETREUID, leave | 1000ULL << 32, 0, NULL), 0, "setreuid leaves the real one");
	ok(self->uid == 1000 && self->euid == 1000 && self->suid == 1002, "... and the saved one");
	is_int(ask(self, REQUEST_SETIDS, WIRE_SETRESUID | WIRE_IDS_GROUP, 1 | 1ULL << 32, 1, NULL), -EPERM,
	       "groups are the superuser's to give");
	is_int(ask(self, REQUEST_SETIDS, WIRE_SETGROUPS, 1, 0, NULL), -EPERM, "setgroups too");
	is_int(ask(self, REQUEST_SETIDS, 99, 0, 0, NULL), -EINVAL, "unknown");
	is_int(ask(self, REQUEST_LIMIT, KEEP_LIMIT_PROCESSES | WIRE_LIMIT_SET, 5, 5, NULL), 0, "a limit goes down");
	is_int(ask(self, REQUEST_LIMIT, KEEP_LIMIT_PROCESSES | WIRE_LIMIT_SET, 5, 6, NULL), -EPERM, "... and not up");
	is_int(ask(self, REQUEST_LIMIT, KEEP_LIMIT_PROCESSES | WIRE_LIMIT_SET, 6, 5, NULL), -EINVAL, "soft above hard");
	is_int(ask(self, REQUEST_LIMIT, KEEP_LIMITS, 0, 0, NULL), -EINVAL, "no such limit");
	for (unsigned i = 0; i < 4; i++) {
		struct keep_process *child = keep_process_make(self);

		ok(child && child->uid == 1000, "process %u of five", i + 2);
		keep_process_run(child, new_body());
	}
	ok(!keep_process_make(self), "the sixth of a user who may have five is refused");
	ok(keep_process_make(keep_first) != NULL, "and nobody else's");
}

static void the_end(void)
{
	keep_kill(keep_first, 3 << 8);
	ok(ended_all && keep_first->state == KEEP_ZOMBIE && keep_first->status == 3 << 8, "pid 1 ends ...");
	ok(!bodies, "... and nobody lives on");
}

int main(void)
{
	keep_process_start();
	keep_wait_start();
	keep_first = keep_process_make(NULL);
	keep_process_run(keep_first, new_body());
	model[models++] = (struct model){ .pid = 1, .pgid = 1, .sid = 1 };
	ok(keep_first->pid == 1, "the first is process 1");
	random_steps();
	for (struct keep_process *p = keep_next(keep_first); p; p = keep_next(p)) {
		keep_kill(p, 0);
		p->state = KEEP_FREE;
	}
	ids();
	the_end();
	return done();
}
