/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: what is pending to whom, and its delivery. See signals.h; the functions of POSIX are in
 * sigaction.c, sigwait.c and kill.c, interruptions and exceptions in signal_upcall.c.
 *
 * The keeper sets bits in the page and says in its queue who and why; signal_intake takes both over into what
 * is pending to the process here. A signal of the process is taken by the first thread that does not block
 * it, one of a thread by that. Infos are a pool: the old signals are pending once, with the first info; those
 * from SIGRTMIN on as often as they were sent, in order, and never without an info.
 *
 * G1 a set of pending signals has the bit of each info in its queue; below SIGRTMIN a bit may be without one
 * G2 signal_look is set whenever some thread could take something
 */
#include <errno.h>
#include <string.h>
#include "libos/posix/call.h"
#include "libos/posix/cpus.h"
#include "libos/posix/signal_private.h"

#define INFOS	256

struct sigaction signal_actions[NSIG];
uint64_t signal_pending_all;
struct signal_thread *signal_threads;
__thread volatile bool posix_inside = true;	/* until signal_start; a new thread begins so */
__thread volatile uint8_t posix_away;
volatile bool signal_look;
bool signal_held_more;
void (*posix_preempt)(void);

static struct signal_info *queue_all, *spare;
static CORE_UNWIRED struct signal_info infos[INFOS];
static uint32_t infos_used;		/* of their beginning: those that ever were */

/* --- pending ------------------------------------------------------------------------------------------ */

static void append(struct signal_info **queue, struct signal_info *info)
{
	while (*queue)
		queue = &(*queue)->next;
	info->next = NULL;
	*queue = info;
}

static bool add(uint64_t *pending, struct signal_info **queue, const siginfo_t *info)
{
	uint64_t bit = SIGNAL_BIT(info->si_signo);
	struct signal_info *entry = spare;

	if (*pending & bit && info->si_signo < SIGRTMIN)
		return true;
	if (entry)
		spare = entry->next;
	else if (infos_used < INFOS)
		entry = &infos[infos_used++];
	if (entry) {
		entry->info = *info;
		append(queue, entry);
	} else if (info->si_signo >= SIGRTMIN) {
		return false;
	}
	*pending |= bit;
	return true;
}

/* The first of a number, if there is one. */
static bool take(uint64_t *pending, struct signal_info **queue, int number, siginfo_t *info)
{
	struct signal_info **at, *entry;
	bool found = false;

	if (!(*pending & SIGNAL_BIT(number)))
		return false;
	*info = (siginfo_t){ .si_signo = number };
	for (at = queue; *at;) {
		entry = *at;
		if (entry->info.si_signo != number) {
			at = &entry->next;
			continue;
		}
		if (found)
			return true;	/* and it is pending still */
		*info = entry->info;
		*at = entry->next;
		entry->next = spare;
		spare = entry;
		found = true;
	}
	*pending &= ~SIGNAL_BIT(number);
	return true;
}

static void forget(uint64_t *pending, struct signal_info **queue, uint64_t set)
{
	siginfo_t info;

	for (set &= *pending; set; set &= *pending)
		take(pending, queue, __builtin_ctzll(set) + 1, &info);
}

void signal_forget(uint64_t set)
{
	forget(&signal_pending_all, &queue_all, set);
	for (struct signal_thread *thread = signal_threads; thread; thread = thread->next)
		forget(&thread->pending, &thread->queue, set);
	if (signal_page->signalfds)
		signal_publish();
}

bool signal_take_one(struct signal_thread *self, int number, siginfo_t *info)
{
	return take(&self->pending, &self->queue, number, info) ||
	       take(&signal_pending_all, &queue_all, number, info);
}

/* What it could take now. */
static uint64_t there(const struct signal_thread *thread)
{
	return (thread->pending | signal_pending_all) & (~thread->mask | thread->awaits);
}

void signal_publish(void)
{
	uint64_t held = signal_pending_all;

	for (struct signal_thread *thread = signal_threads; thread; thread = thread->next)
		held |= thread->pending;
	if (held & ~signal_page->held)
		signal_held_more = true;
	__atomic_store_n(&signal_page->held, held, __ATOMIC_RELEASE);
}

void signal_look_round(void)
{
	bool any = signal_page->taken != signal_page->queued;

	for (struct signal_thread *thread = signal_threads; thread && !any; thread = thread->next)
		any = there(thread) != 0;
	signal_look = any;
}

/* --- posting ------------------------------------------------------------------------------------------ */

static void wake(struct signal_thread *thread)
{
	signal_look = true;
	if (!thread->waits) {
		posix_cpus_recall(thread->of);
		return;
	}
	thread->came = true;
	thread_wake(thread->of->thread);
}

/* Somebody who does not block it takes it. */
static void tell_somebody(uint64_t bit)
{
	struct signal_thread *self = signal_self(), *thread;

	if (self->of && bit & (~self->mask | self->awaits)) {	/* it may have ended, and looks for the next one */
		wake(self);
		return;
	}
	for (thread = signal_threads; thread; thread = thread->next)
		if (bit & (~thread->mask | thread->awaits)) {
			wake(thread);
			return;
		}
	if (signal_page->signalfds)
		signal_publish();
}

/* Would it be thrown away? Not what is blocked: the action may be another when it no longer is. */
static bool unwanted(int number)
{
	bool blocked = true;

	if (signal_actions[number].sa_handler != SIG_IGN)
		return false;
	for (struct signal_thread *thread = signal_threads; thread; thread = thread->next) {
		if (thread->awaits & SIGNAL_BIT(number))
			return false;
		blocked = blocked && (thread->mask & SIGNAL_BIT(number));
	}
	return !blocked;
}

/* The first process is not ended by others: what it neither catches nor blocks nor waits for is nothing. */
static __attribute__((noinline)) bool declined(int number)
{
	if (signal_page->pid != 1 || signal_actions[number].sa_handler != SIG_DFL)
		return false;
	for (struct signal_thread *thread = signal_threads; thread; thread = thread->next)
		if ((thread->mask | thread->awaits) & SIGNAL_BIT(number))
			return false;
	return true;
}

bool signal_post(struct signal_thread *thread, const siginfo_t *info)
{
	int number = info->si_signo;
	uint64_t bit = SIGNAL_BIT(number);

	if (number == SIGCONT)
		signal_forget(SIGNAL_STOPS);
	else if (bit & SIGNAL_STOPS)
		signal_forget(SIGNAL_BIT(SIGCONT));
	if (unwanted(number))
		return true;
	if (!thread) {
		if (!add(&signal_pending_all, &queue_all, info))
			return false;
		tell_somebody(bit);
		return true;
	}
	if (!add(&thread->pending, &thread->queue, info))
		return false;
	if (bit & (~thread->mask | thread->awaits))
		wake(thread);
	else if (signal_page->signalfds)
		signal_publish();
	return true;
}

siginfo_t *signal_of_timer(int timer)
{
	for (struct signal_info *entry = queue_all; entry; entry = entry->next)
		if (entry->info.si_code == SI_TIMER && entry->info.si_timerid == timer)
			return &entry->info;
	return NULL;
}

unsigned signal_queued(void)
{
	unsigned count = 0;

	for (struct signal_info *entry = queue_all; entry; entry = entry->next)
		count += entry->info.si_code == SI_QUEUE && entry->info.si_pid == signal_page->pid;
	return count;
}

static siginfo_t from_wire(const struct wire_signal *wire)
{
	return (siginfo_t){ .si_signo = wire->number, .si_code = wire->code, .si_pid = wire->pid,
		.si_uid = (uid_t)wire->uid, .si_status = wire->status, .si_value.sival_ptr = (void *)wire->value };
}

void signal_intake(void)
{
	uint64_t lost;

	if (__builtin_expect(!signal_page->pending && signal_page->taken == signal_page->queued, 1))
		return;
	__atomic_exchange_n(&signal_page->pending, 0, __ATOMIC_ACQUIRE);
	while (signal_page->taken != __atomic_load_n(&signal_page->queued, __ATOMIC_ACQUIRE)) {
		siginfo_t info = from_wire(&signal_page->signal[signal_page->taken % WIRE_SIGNALS]);
		if (signal_valid(info.si_signo) && !declined(info.si_signo) && !signal_post(NULL, &info))
			break;		/* there is no room here: it stays there */
		signal_page->taken++;
	}
	lost = __atomic_exchange_n(&signal_page->lost, 0, __ATOMIC_ACQUIRE);
	for (lost &= SIGNAL_BIT(SIGRTMIN) - 1; lost; lost &= lost - 1)
		if (!declined(__builtin_ctzll(lost) + 1))
			signal_post(NULL, &(siginfo_t){ .si_signo = __builtin_ctzll(lost) + 1 });
}

/* --- delivery ----------------------------------------------------------------------------------------- */

/* Until SIGCONT; all of the process: nothing here lets another thread run. */
static void stop(int number)
{
	uint64_t events;

	posix_cpus_recall_all();
	if (posix_ask(REQUEST_STOPPED, (uint64_t)number, 0, 0, NULL) != 0)
		return;
	for (;;) {
		events = *(volatile uint64_t *)&core_disp->events;
		if (__atomic_load_n(&signal_page->pending, __ATOMIC_RELAXED) & SIGNAL_BIT(SIGCONT))
			return;
		core_sleep(EXO_NEVER, events);
	}
}

static __attribute__((noinline, cold)) void by_default(int number, const siginfo_t *info)
{
	static const uint64_t nothing = SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) |
		SIGNAL_BIT(SIGCONT);

	bool another = (info->si_code == SI_USER || info->si_code == SI_QUEUE) && info->si_pid != signal_page->pid;

	if (signal_page->pid == 1 && another)
		return;
	if (SIGNAL_BIT(number) & SIGNAL_STOPS)
		stop(number);
	else if (!(SIGNAL_BIT(number) & nothing))
		posix_end(number);
}

static bool on_alternate(const struct signal_thread *self)
{
	uint64_t sp = (uint64_t)__builtin_frame_address(0);

	return self->alternate.ss_size && sp - (uint64_t)self->alternate.ss_sp <= self->alternate.ss_size;
}

static const uint8_t order[] = { REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_R8, REG_R9,
	REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
#define FLAGS_USER	0x240dd5	/* of rflags: those of arithmetic, direction, trap, alignment, ID */

static void show(ucontext_t *context, const struct exo_regs *regs, void *fpu)
{
	greg_t *gregs = context->uc_mcontext.gregs;
	const uint64_t *from = &regs->rax;

	for (unsigned i = 0; i < sizeof(order); i++)
		gregs[order[i]] = (greg_t)from[i];
	gregs[REG_RIP] = (greg_t)regs->rip;
	gregs[REG_RSP] = (greg_t)regs->rsp;
	gregs[REG_EFL] = (greg_t)regs->rflags;
	gregs[REG_ERR] = (greg_t)regs->error;
	gregs[REG_TRAPNO] = (greg_t)regs->vector;
	gregs[REG_CR2] = (greg_t)regs->address;
	gregs[REG_CSGSFS] = (greg_t)regs->cs;
	context->uc_mcontext.fpregs = fpu;
}

static void take_back(const ucontext_t *context, struct exo_regs *regs)
{
	const greg_t *gregs = context->uc_mcontext.gregs;
	uint64_t *to = &regs->rax;

	for (unsigned i = 0; i < sizeof(order); i++)
		to[i] = (uint64_t)gregs[order[i]];
	regs->rip = (uint64_t)gregs[REG_RIP];
	regs->rsp = (uint64_t)gregs[REG_RSP];
	regs->rflags = (regs->rflags & ~(uint64_t)FLAGS_USER) | ((uint64_t)gregs[REG_EFL] & FLAGS_USER);
}

static __attribute__((noinline)) void describe(const struct signal_thread *self, ucontext_t *context,
					      const struct exo_regs *regs, void *fpu)
{
	context->uc_flags = 0;
	context->uc_link = NULL;
	context->uc_sigmask = self->mask;
	context->uc_stack = self->alternate;
	context->uc_mcontext.fpregs = NULL;
	if (regs)
		show(context, regs, fpu);
	else
		memset(context->uc_mcontext.gregs, 0, sizeof(context->uc_mcontext.gregs));
}

void signal_handle(struct signal_thread *self, const siginfo_t *given, struct exo_regs *regs, void *fpu)
{
	const struct sigaction action = signal_actions[given->si_signo];
	int number = given->si_signo, saved = errno;
	uint64_t stack = 0, mask = self->mask;
	siginfo_t info;
	ucontext_t context;

	if (action.sa_flags & SA_SIGINFO) {
		info = *given;
		describe(self, &context, regs, fpu);
	}
	if (action.sa_flags & SA_ONSTACK && self->alternate.ss_size && !on_alternate(self))
		stack = (uint64_t)self->alternate.ss_sp + self->alternate.ss_size;
	self->mask = mask | ((action.sa_mask | (action.sa_flags & SA_NODEFER ? 0 : SIGNAL_BIT(number))) &
			     ~SIGNAL_FOREVER);
	self->handled++;
	self->breaking += !(action.sa_flags & SA_RESTART);
	if (action.sa_flags & SA_RESETHAND && number != SIGILL && number != SIGTRAP) {
		signal_actions[number].sa_handler = SIG_DFL;
		signal_actions[number].sa_flags &= ~SA_SIGINFO;
		signal_tell(false);
	}
	posix_inside = false;
	signal_call(action.sa_sigaction, number, &info, &context, stack);
	(void)posix_enter();
	errno = saved;
	self->mask = mask;
	if (action.sa_flags & SA_SIGINFO) {
		self->mask = context.uc_sigmask & ~SIGNAL_FOREVER;
		if (regs)
			take_back(&context, regs);
	}
}

void signal_fault(struct exo_regs *regs, int number, int code)
{
	siginfo_t info = { .si_signo = number, .si_code = code, .si_addr = (void *)regs->address };
	struct signal_thread *self = signal_self();
	void (*handler)(int) = signal_actions[number].sa_handler;
	bool was = posix_enter();

	if (handler == SIG_DFL || handler == SIG_IGN || self->mask & SIGNAL_BIT(number))
		posix_end(number);
	signal_handle(self, &info, regs, NULL);
	posix_leave(was);
}

void signal_deliver(struct signal_thread *self, struct exo_regs *regs, void *fpu)
{
	unsigned left = SIGNAL_BURST;
	uint64_t set;
	siginfo_t info;

	signal_intake();
	while ((set = (self->pending | signal_pending_all) & ~self->mask)) {
		int number = __builtin_ctzll(set) + 1;
		/* Handlers that take longer than the next signal needs to come must leave some time to the rest. */
		if (number < SIGRTMIN && !left--)
			return;
		if (!signal_take_one(self, number, &info))
			continue;
		void (*handler)(int) = signal_actions[number].sa_handler;
		if (handler == SIG_DFL)
			by_default(number, &info);
		else if (handler != SIG_IGN)
			signal_handle(self, &info, regs, fpu);
	}
}

void signal_take(void)
{
	struct signal_thread *self = signal_self();
	uint64_t asked_at = posix_asked_at;
	unsigned rounds = SIGNAL_ROUNDS;

	do {
		(void)posix_enter();
		if (signal_timers_due())
			signal_timers();
		signal_deliver(self, NULL, NULL);
		signal_timers_tell();
		signal_look_round();
		if (posix_self()->cancel_async)
			posix_cancel_check();
		posix_inside = false;
		__asm__ volatile("" ::: "memory");
		if (signal_slice_over && posix_preempt)
			posix_preempt();
	} while (*(volatile uint64_t *)&signal_page->pending && --rounds);
	posix_asked_at = asked_at;
}

bool signal_run(bool restarts)
{
	struct signal_thread *self = signal_self();
	uint64_t handled = self->handled, breaking = self->breaking;

	signal_deliver(self, NULL, NULL);
	signal_timers_tell();
	signal_look_round();
	posix_cancel_check();
	return restarts ? self->breaking != breaking : self->handled != handled;
}

/* --- waiting ------------------------------------------------------------------------------------------ */

enum signal_woken signal_wait(struct thread_queue *queue, exo_time_t deadline)
{
	struct signal_thread *self = signal_self();
	bool woken;

	signal_intake();
	if (there(self) || self->poked) {
		self->poked = false;
		return SIGNAL_CAME;
	}
	self->waits = true;
	self->came = false;
	if (posix_is_day(deadline)) {
		self->day = true;
		woken = thread_wait(queue, posix_day_due(deadline));
		self->day = false;
		/* It may not be there yet if the clock was set back. */
		woken = woken || posix_day_due(deadline) > core_now();
	} else {
		woken = thread_wait(queue, deadline);
	}
	self->waits = false;
	if (self->came || self->poked) {
		self->poked = false;
		return SIGNAL_CAME;
	}
	return woken ? SIGNAL_WOKEN : SIGNAL_TIME;
}

void signal_poke(struct thread *thread)
{
	for (struct signal_thread *other = signal_threads; other; other = other->next)
		if (other->of->thread == thread) {
			other->poked = true;
			wake(other);
			return;
		}
}

void signal_day_set(void)
{
	for (struct signal_thread *each = signal_threads; each; each = each->next)
		if (each->waits && each->day)
			thread_wake(each->of->thread);
}

/* While no thread can run, and now and then. */
static exo_time_t look(void *arg)
{
	(void)arg;
	signal_intake();
	if (signal_timers_due())
		signal_timers();
	if (signal_slice_over && posix_thread_count() > 1)	/* who goes on now has one of its own: nothing else would end it */
		signal_slice_soon(POSIX_SLICE_NS);
	return signal_timer_next;
}

/* --- threads, fork, exec ------------------------------------------------------------------------------ */

void signal_thread_start(struct __exo_thread *thread)
{
	struct signal_thread *new = &thread->signal;

	*new = (struct signal_thread){ .mask = signal_threads ? signal_self()->mask : 0, .of = thread };
	new->next = signal_threads;
	if (new->next)
		new->next->prev = new;
	signal_threads = new;
}

void signal_thread_end(struct __exo_thread *thread)
{
	struct signal_thread *old = &thread->signal;

	forget(&old->pending, &old->queue, ~0ULL);
	if (old->prev)
		old->prev->next = old->next;
	else
		signal_threads = old->next;
	if (old->next)
		old->next->prev = old->prev;
	old->of = NULL;
	/* What it would have taken is another's. */
	for (uint64_t set = signal_pending_all; set; set &= set - 1)
		tell_somebody(set & -set);
}

void signal_start(void)
{
	static struct thread_poller poller = { .poll = look };

	if (!signal_threads)
		signal_thread_start(posix_self());
	signal_self()->mask = signal_page->blocked & ~SIGNAL_FOREVER;
	signal_page->heeded |= signal_page->blocked;
	for (int number = 1; number < NSIG; number++)
		if (signal_page->ignored & SIGNAL_BIT(number) & ~SIGNAL_FOREVER)
			signal_actions[number].sa_handler = SIG_IGN;
	signal_timers_start();
	signal_upcall_start();
	thread_add_poller(&poller);
	posix_leave(false);
}

void signal_forked(void)
{
	struct signal_thread *self = signal_self();

	signal_forget(~0ULL);
	signal_threads = self;
	self->next = self->prev = NULL;
	self->awaits = 0;
	self->waits = self->came = self->poked = false;
	signal_timers_forked();
	signal_look = false;
}
