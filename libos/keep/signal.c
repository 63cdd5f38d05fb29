/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals, the keeper's half: who may send which to whom, stop and continue, and the pokes of timers.
 *
 * A signal that goes to a process is a bit in its page and, while there is room, an entry of its queue with
 * who and why; the process itself delivers it (libos/posix/signal.c). The keeper knows what a process
 * ignores, catches and blocks as the process has told it, and uses that only for what others see: whom an
 * ignored signal must not wake, whether a parent wants SIGCHLD. A process that lies about it harms itself.
 * SIGKILL asks no process: keep_kill.
 *
 * S1 a process is STOPPED from its own REQUEST_STOPPED until SIGCONT or its end
 * S2 an entry of the queue is written only over one that the process has taken, as far as one believes it
 *
 * Timers: a process that sleeps wakes itself. One that computes gets no upcall until somebody else has run:
 * so the keeper wakes at the time that REQUEST_TIMER names, runs, and thereby gives it one.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "libos/keep/keep.h"

#define BIT(number)	(1ULL << ((number) - 1))
#define STOPS		(BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU))
#define FOREVER		(BIT(SIGKILL) | BIT(SIGSTOP))	/* never ignored, caught or blocked */
#define INIT		1
#define CONTINUED	0xffff	/* as wait says it */
/* After which a process that has not taken a signal is poked again ... */
#define PATIENCE_MIN	(CORE_SECOND / 500)
#define PATIENCE_MAX	CORE_SECOND		/* ... and at last every so often */

static bool lives(const struct keep_process *process)
{
	return (process->state == KEEP_RUNNING || process->state == KEEP_STOPPED) && !process->ending;
}

/* --- posting ------------------------------------------------------------------------------------------ */

/* Would it do nothing but wake the process? */
static bool unwanted(const struct keep_process *process, int number)
{
	uint64_t bit = BIT(number);

	/* Nothing ends or stops the first process but itself. */
	if (process->pid == INIT &&
	    !((process->caught | __atomic_load_n(&process->page->heeded, __ATOMIC_RELAXED)) & bit & ~FOREVER))
		return true;
	return process->ignored & bit & ~FOREVER;
}

/* An entry of the queue; false: it is full. */
static bool queue(struct keep_process *process, int number, const struct wire_signal *info)
{
	struct wire_page *page = process->page;
	uint64_t taken = __atomic_load_n(&page->taken, __ATOMIC_RELAXED);

	if (process->signals - taken >= WIRE_SIGNALS)
		return false;
	struct wire_signal *entry = &page->signal[process->signals % WIRE_SIGNALS];
	*entry = info ? *info : (struct wire_signal){ .code = SI_KERNEL };
	entry->number = number;
	__atomic_store_n(&page->queued, ++process->signals, __ATOMIC_RELEASE);
	return true;
}

static void go_on(struct keep_process *process)
{
	if (process->state != KEEP_STOPPED)
		return;
	process->state = KEEP_RUNNING;
	process->status = CONTINUED;
	process->report = true;
	keep_signal_child(process, CLD_CONTINUED, SIGCONT);
}

/* False: the queue is full, and the signal one that must not get lost. */
static bool post(struct keep_process *process, int number, const struct wire_signal *info, bool must)
{
	uint64_t bit, before;

	if (!lives(process) || number <= 0)
		return true;
	bit = BIT(number);
	if (number == SIGKILL && process->pid != INIT) {
		keep_kill(process, SIGKILL);
		return true;
	}
	if (number == SIGCONT)
		go_on(process);
	if (unwanted(process, number) && number != SIGCONT)
		return true;
	before = __atomic_load_n(&process->page->pending, __ATOMIC_RELAXED);
	/* The old signals are there once, whoever sent them; others each time, or not at all. */
	if ((number >= SIGRTMIN || must || !(before & bit)) && !queue(process, number, info)) {
		if (must || number >= SIGRTMIN)
			return false;
		__atomic_fetch_or(&process->page->lost, bit, __ATOMIC_RELEASE);
	}
	__atomic_fetch_or(&process->page->pending, bit, __ATOMIC_RELEASE);
	if (process->signalfds && keep_signalfd_look)
		keep_signalfd_look(process);
	process->look_at = core_now() + (process->patience = PATIENCE_MIN);
	keep_again();
	keep_poke(process);
	return true;
}

void keep_signal(struct keep_process *process, int number, const struct wire_signal *info)
{
	post(process, number, info, false);
}

void keep_signal_group(pid_t pgid, int number)
{
	for (unsigned i = 0; i < keep_used; i++)
		if (lives(&keep_process[i]) && keep_process[i].pgid == pgid)
			keep_signal(&keep_process[i], number, NULL);
}

/* --- parents ------------------------------------------------------------------------------------------ */

bool keep_signal_child(struct keep_process *child, int code, int status)
{
	struct keep_process *parent = child->parent;
	bool dead = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
	bool wanted = true, told = true;

	if (!parent || !lives(parent))
		return false;
	if (dead)
		wanted = !(parent->ignored & (BIT(SIGCHLD) | WIRE_NOCLDWAIT));
	else
		told = !(parent->caught & WIRE_NOCLDSTOP);
	if (told) {
		struct wire_signal info = { .code = code, .pid = child->pid, .uid = (int32_t)child->uid,
			.status = status };
		keep_signal(parent, SIGCHLD, &info);
	}
	keep_wake(&parent->children);
	return wanted;
}

/* --- requests ----------------------------------------------------------------------------------------- */

static bool may_signal(const struct keep_process *sender, const struct keep_process *target, int number)
{
	if (sender->euid == 0 || (number == SIGCONT && sender->sid == target->sid))
		return true;
	return sender->euid == target->uid || sender->euid == target->suid || sender->uid == target->uid ||
	       sender->uid == target->suid;
}

static bool meant(const struct keep_process *sender, const struct keep_process *target, int64_t pid)
{
	if (target->state == KEEP_FREE || target->state == KEEP_MAKING)
		return false;
	if (pid > 0)
		return target->pid == pid;
	if (pid == -1)
		return target != sender && target->pid != INIT;
	return target->pgid == (pid == 0 ? sender->pgid : (pid_t)-pid);
}

static int64_t send_all(struct keep_request *request, int64_t pid, int number, bool queued)
{
	struct keep_process *sender = request->process;
	struct wire_signal info = { .code = queued ? SI_QUEUE : SI_USER, .pid = sender->pid,
		.uid = (int32_t)sender->uid, .value = queued ? request->word[2] : 0 };
	int64_t result = -ESRCH;
	bool self = false;

	for (unsigned i = 0; i < keep_used; i++) {
		struct keep_process *target = &keep_process[i];
		if (!meant(sender, target, pid))
			continue;
		if (!may_signal(sender, target, number)) {
			if (result == -ESRCH)
				result = -EPERM;
			continue;
		}
		if (target == sender && number == SIGKILL)
			self = true;	/* the others first */
		else if (!post(target, number, &info, queued))
			return -EAGAIN;
		result = 0;
	}
	if (self)
		keep_kill(sender, SIGKILL);
	return result;
}

static int64_t request_kill(struct keep_request *request)
{
	int64_t pid = (int64_t)request->word[0];
	bool queued = request->word[1] & WIRE_QUEUE;
	uint64_t number = request->word[1] & ~(uint64_t)WIRE_QUEUE;

	if (number >= NSIG || pid < INT32_MIN || pid > INT32_MAX || (queued && pid <= 0))
		return -EINVAL;
	return send_all(request, pid, (int)number, queued);
}

static int64_t request_ignored(struct keep_request *request)
{
	struct keep_process *process = request->process;

	process->ignored = request->word[0];
	process->caught = request->word[1];
	process->blocked = request->word[2] & ~FOREVER;
	return 0;
}

static int64_t request_stopped(struct keep_request *request)
{
	struct keep_process *process = request->process;
	uint64_t number = request->word[0];

	if (number == 0 || number >= NSIG || !(BIT(number) & STOPS))
		return -EINVAL;
	if (process->pid == INIT || (number != SIGSTOP && keep_orphaned(process->pgid, NULL)))
		return -EPERM;
	if (__atomic_load_n(&process->page->pending, __ATOMIC_RELAXED) & BIT(SIGCONT))
		return 0;	/* it has been told to go on meanwhile */
	process->state = KEEP_STOPPED;
	process->status = (int)number << 8 | 0x7f;
	process->report = true;
	keep_signal_child(process, CLD_STOPPED, (int)number);
	return 0;
}

static int64_t request_timer(struct keep_request *request)
{
	struct keep_process *process = request->process;

	process->poke_at = request->word[0];
	process->poke_again = PATIENCE_MIN;
	process->timer = request->word[1];
	process->timer_interval = request->word[2];
	keep_again();
	return 0;
}

static exo_time_t earlier(exo_time_t a, exo_time_t b)
{
	return a && a < b ? a : b;
}

static exo_time_t longer(exo_time_t now, exo_time_t *patience)
{
	exo_time_t at = now + *patience;

	*patience = *patience < PATIENCE_MAX / 2 ? *patience * 2 : PATIENCE_MAX;
	return at;
}

/*
 * A process computes, and the signal came while its upcalls were off: it does not know yet. That the keeper
 * runs now gives it another upcall.
 */
static void look_again(struct keep_process *process, exo_time_t now)
{
	if (process->state == KEEP_STOPPED || !__atomic_load_n(&process->page->pending, __ATOMIC_RELAXED)) {
		process->look_at = 0;
		return;
	}
	process->look_at = longer(now, &process->patience);
	keep_poke(process);
}

/* The pokes that are due; when the next one is. */
static exo_time_t poke(void *arg)
{
	exo_time_t now = core_now(), next = EXO_NEVER;

	(void)arg;
	for (unsigned i = 0; i < keep_used; i++) {
		struct keep_process *process = &keep_process[i];
		if (!lives(process))
			continue;
		if (process->poke_at && process->poke_at <= now) {
			process->poke_at = longer(now, &process->poke_again);	/* until it names another time */
			keep_poke(process);
		}
		if (process->look_at && process->look_at <= now)
			look_again(process, now);
		next = earlier(process->poke_at, earlier(process->look_at, next));
	}
	return next;
}

/* --- fork, exec, start -------------------------------------------------------------------------------- */

void keep_signal_forked(struct keep_process *child, const struct keep_process *parent)
{
	child->ignored = parent->ignored;
	child->caught = parent->caught;
	child->blocked = parent->blocked;
	child->poke_at = child->poke_again = child->timer = child->timer_interval = 0;
	child->look_at = 0;
	child->signals = 0;
	child->page->held = child->page->pending = child->page->lost = child->page->queued = child->page->taken = 0;
}

void keep_signal_exec(struct keep_process *process, const struct wire_page *old)
{
	struct wire_page *page = process->page;

	process->caught = 0;
	process->ignored &= ~WIRE_NOCLDWAIT;
	page->ignored = process->ignored;
	page->blocked = process->blocked;
	page->timer = process->timer;
	page->timer_interval = process->timer_interval;
	page->held = 0;
	if (!old || old == page)
		return;
	/* What was pending and who sent it is the process's own word, for itself. */
	page->pending = __atomic_load_n(&old->pending, __ATOMIC_ACQUIRE);
	memcpy(page->signal, old->signal, sizeof(page->signal));
	page->lost = old->lost;
	page->taken = old->taken;
	page->queued = process->signals;
}

void keep_signal_start(void)
{
	static struct thread_poller poller = { .poll = poke };

	keep_serve(REQUEST_KILL, request_kill);
	keep_serve(REQUEST_IGNORED, request_ignored);
	keep_serve(REQUEST_STOPPED, request_stopped);
	keep_serve(REQUEST_TIMER, request_timer);
	thread_add_poller(&poller);
}
