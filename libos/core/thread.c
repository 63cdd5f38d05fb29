/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads: making, switching, blocking, timeouts, ending. See thread.h; locks are in lock.c.
 *
 * T1 a READY thread is with the scheduler or is thread_current; a BLOCKED one is in at most one waiting queue
 * T2 a timed thread is in the list of timeouts, which is sorted by deadline
 * T3 an ENDED thread is unmapped or reused only while another runs
 *
 * A stack slot, from its top down: struct thread, thread control block (%fs:0, a pointer to itself), TLS
 * block, stack; its lowest page is the guard. Slots of ended threads are kept mapped up to CACHED_MAX and
 * used again first.
 */
#include <string.h>
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define CACHED_MAX	8
#define THREAD_STACK_LEAST 8192
#define NO_SLOT		UINT32_MAX	/* the stack is the caller's */
#define POLL_EVERY	64	/* switches without an event after which pollers and timeouts are looked at */
/* Bytes of a stack that are there from the start: most threads need no more. */
#define STACK_READY	(14 * 1024)
#define MXCSR_START	0x1f80
#define FCW_START	0x037f

struct control_block {
	void *self;		/* the ABI's: %fs:0 */
	struct thread *thread;
	uint64_t spare[3];
	uint64_t guard;		/* ... %fs:40: what functions compiled with -fstack-protector compare with */
};

extern const struct {
	uint64_t file_bytes, bytes, align;
} core_tls;			/* user.ld: the program's TLS image, at __tls_start */
extern char __tls_start[];
void thread_swap(uint64_t *save_sp, uint64_t sp, uint64_t fs_base);

struct thread *thread_current;
void (*thread_idle)(exo_time_t until, uint64_t events) = core_sleep;
bool (*thread_leave)(void);
static struct thread first_thread;
static const struct sched *policy = &sched_rr;
static struct thread_poller *pollers;
static struct thread *timeouts, *timeouts_last;
static uint64_t seen_events;
static uint32_t switches_left;
static struct vm_region main_stack, stacks;
static uint64_t slots_used[THREADS_MAX / 64];
static uint64_t stack_bytes = THREAD_STACK_BYTES;
static struct thread *cached, *ended;
static uint32_t cached_count, ready_count;

/* --- timeouts ------------------------------------------------------------------------------------------- */

static void timeout_set(struct thread *thread, exo_time_t deadline)
{
	struct thread *before = timeouts_last;

	while (before && before->deadline > deadline)
		before = before->earlier;
	thread->timed = true;
	thread->deadline = deadline;
	thread->earlier = before;
	thread->later = before ? before->later : timeouts;
	if (thread->later)
		thread->later->earlier = thread;
	else
		timeouts_last = thread;
	if (before)
		before->later = thread;
	else
		timeouts = thread;
}

static void timeout_clear(struct thread *thread)
{
	if (!thread->timed)
		return;
	thread->timed = false;
	if (thread->earlier)
		thread->earlier->later = thread->later;
	else
		timeouts = thread->later;
	if (thread->later)
		thread->later->earlier = thread->earlier;
	else
		timeouts_last = thread->earlier;
}

/* --- queues and waking ---------------------------------------------------------------------------------- */

static void queue_remove(struct thread *thread)
{
	struct thread_queue *queue = thread->queue;

	if (!queue)
		return;
	if (thread->prev)
		thread->prev->next = thread->next;
	else
		queue->head = thread->next;
	if (thread->next)
		thread->next->prev = thread->prev;
	else
		queue->tail = thread->prev;
	thread->queue = NULL;
}

static void queue_append(struct thread_queue *queue, struct thread *thread)
{
	thread->queue = queue;
	thread->next = NULL;
	thread->prev = queue->tail;
	if (queue->tail)
		queue->tail->next = thread;
	else
		queue->head = thread;
	queue->tail = thread;
}

static void make_ready(struct thread *thread)
{
	thread->state = THREAD_READY;
	ready_count++;
	policy->ready(thread);
}

static struct thread *pick(void)
{
	struct thread *thread = policy->pick();

	if (thread)
		ready_count--;
	return thread;
}

struct thread *thread_take(void)
{
	return pick();
}

bool thread_others_ready(void)
{
	return ready_count != 0;
}

void thread_wake(struct thread *thread)
{
	if (thread->state != THREAD_BLOCKED)
		return;
	queue_remove(thread);
	timeout_clear(thread);
	make_ready(thread);
}

bool thread_wake_one(struct thread_queue *queue)
{
	if (!queue->head)
		return false;
	thread_wake(queue->head);
	return true;
}

void thread_wake_all(struct thread_queue *queue)
{
	while (thread_wake_one(queue))
		;
}

/* --- switching ------------------------------------------------------------------------------------------ */

/* Pollers and timeouts; returns when they want to be looked at again. */
static exo_time_t poll(void)
{
	exo_time_t until = EXO_NEVER;

	core_disp->pending = 0;
	for (struct thread_poller *poller = pollers; poller; poller = poller->next) {
		exo_time_t next = poller->poll(poller->arg);
		if (next < until)
			until = next;
	}
	if (timeouts) {
		exo_time_t now = core_now();
		while (timeouts && timeouts->deadline <= now) {
			timeouts->timed_out = true;
			thread_wake(timeouts);
		}
		if (timeouts && timeouts->deadline < until)
			until = timeouts->deadline;
	}
	return until;
}

bool thread_doze(uint64_t events, exo_time_t until)
{
	if (__builtin_expect(!switches_left || !--switches_left, false)) {
		seen_events = events;
		switches_left = POLL_EVERY;
		if (poll() < until)
			return false;
	}
	if (ready_count || timeouts || thread_leave)
		return false;
	core_disp->pending = 0;
	thread_idle(until, events);
	return true;
}

void thread_look(void)
{
	core_stack();
	seen_events = *(volatile uint64_t *)&core_disp->events;
	switches_left = POLL_EVERY;
	poll();
}

/* Run whoever is next; returns when the scheduler picks the caller again. */
static void switch_away(void)
{
	struct thread *self = thread_current, *next;

	if (thread_leave && thread_leave())
		return;
	for (;;) {
		uint64_t events = *(volatile uint64_t *)&core_disp->events;
		if (events == seen_events && switches_left && --switches_left && (next = pick()))
			break;
		seen_events = events;
		switches_left = POLL_EVERY;
		exo_time_t until = poll();
		if ((next = pick()))
			break;
		thread_idle(until, events);
	}
	if (next == self)
		return;
	thread_current = next;
	thread_swap(&self->sp, next->sp, next->fs_base);
}

static __attribute__((noinline)) void yield_slowly(void)
{
	core_stack();
	switches_left = 0;
	make_ready(thread_current);
	switch_away();
}

void thread_yield(void)
{
	struct thread *self = thread_current, *next;

	if (*(volatile uint64_t *)&core_disp->events != seen_events || --switches_left == 0) {
		yield_slowly();
		return;
	}
	next = policy->turn(self);
	thread_current = next;
	if (next != self)
		thread_swap(&self->sp, next->sp, next->fs_base);
}

bool thread_wait(struct thread_queue *queue, exo_time_t deadline)
{
	struct thread *self = thread_current;

	core_stack();
	self->state = THREAD_BLOCKED;
	self->timed_out = false;
	if (queue)
		queue_append(queue, self);
	if (deadline != EXO_NEVER)
		timeout_set(self, deadline);
	switch_away();
	return !self->timed_out;
}

void thread_sleep(exo_time_t until)
{
	thread_wait(NULL, until);
}

void thread_add_poller(struct thread_poller *poller)
{
	poller->next = pollers;
	pollers = poller;
}

void thread_schedule_by(const struct sched *sched)
{
	struct thread *thread;

	core_stack();
	while ((thread = policy->pick()))
		sched->ready(thread);
	policy = sched;
}

/* --- making and ending ---------------------------------------------------------------------------------- */

/* Lay out TLS and the first frame below `top`, which is mapped or can be faulted in. */
static void lay_out(struct thread *thread, uint64_t top, void (*entry)(void *), void *arg)
{
	/*
	 * Offsets of the ABI count from a thread pointer behind the block, whose size is rounded to its
	 * alignment.
	 */
	uint64_t align = core_tls.align;
	uint64_t tp = (top - sizeof(struct control_block)) & -(align < 16 ? 16 : align);
	uint64_t block = tp - ((core_tls.bytes + align - 1) & -align);
	struct control_block *control = (struct control_block *)tp;
	uint64_t *sp = (uint64_t *)(block & ~15ULL);
	static uint64_t guard;

	if (!guard) {
		core_random(&guard, sizeof(guard));
		guard &= ~0xffULL;		/* no string copied over it has its first byte */
	}
	memcpy((void *)block, __tls_start, core_tls.file_bytes);
	memset((void *)(block + core_tls.file_bytes), 0, core_tls.bytes - core_tls.file_bytes);
	control->self = control;
	control->thread = thread;
	control->guard = guard;
	*--sp = 0;				/* ends backtraces */
	*--sp = 0;
	*--sp = (uint64_t)thread_begin;
	*--sp = 0;				/* rbp */
	*--sp = (uint64_t)entry;		/* rbx */
	*--sp = (uint64_t)arg;			/* r12 */
	sp -= 3;
	sp[0] = sp[1] = sp[2] = 0;		/* r15, r14, r13 */
	*--sp = (uint64_t)FCW_START << 32 | MXCSR_START;
	thread->sp = (uint64_t)sp;
	thread->fs_base = tp;
}

static void begin(void *arg)
{
	struct thread *self = arg;

	self->entry(self->arg);
	thread_exit();
}

uint64_t thread_start(void (*entry)(void *arg))
{
	exo_vaddr_t at = vm_addresses(thread_main_bytes);

	main_stack = (struct vm_region){ .start = at, .end = at + thread_main_bytes, .pager = vm_stack_pager,
		.flags = EXO_MAP_READ | EXO_MAP_WRITE, .slot_bytes = thread_main_bytes };
	uint64_t top = main_stack.end;
	uint64_t need = core_tls.bytes + core_tls.align + STACK_READY;
	if (!at || !vm_add(&main_stack) || !vm_touch(top - need, need))
		core_fail("no memory for the first stack");
	first_thread.name = "main";
	first_thread.entry = entry;
	first_thread.slot = NO_SLOT;
	first_thread.state = THREAD_READY;
	lay_out(&first_thread, top, begin, &first_thread);
	thread_current = &first_thread;
	return first_thread.sp;
}

static uint64_t slot_top(uint32_t slot)
{
	return stacks.start + (uint64_t)(slot + 1) * stack_bytes;
}

static void slot_release(struct thread *thread)
{
	uint32_t slot = thread->slot;

	if (slot == NO_SLOT)
		return;
	if (cached_count < CACHED_MAX) {
		cached_count++;
		thread->next = cached;
		cached = thread;
		return;
	}
	vm_release(slot_top(slot) - stack_bytes + EXO_PAGE_SIZE, stack_bytes - EXO_PAGE_SIZE);
	slots_used[slot / 64] &= ~(1ULL << slot % 64);
}

/* Detached threads that have ended since. */
static void reap(void)
{
	while (ended && ended != thread_current) {
		struct thread *thread = ended;
		ended = thread->next;
		slot_release(thread);
	}
}

static struct thread *slot_take(void)
{
	reap();
	if (cached) {
		struct thread *thread = cached;
		cached = thread->next;
		cached_count--;
		return thread;
	}
	if (!stacks.end) {
		uint64_t bytes = (uint64_t)THREADS_MAX * stack_bytes;
		exo_vaddr_t at = vm_addresses(bytes);

		if (!at)
			return NULL;
		stacks = (struct vm_region){ .start = at, .end = at + bytes, .pager = vm_stack_pager,
					     .flags = EXO_MAP_READ | EXO_MAP_WRITE, .slot_bytes = stack_bytes };
		if (!vm_add(&stacks))
			core_fail("the addresses of stacks are taken");
	}
	for (uint32_t i = 0; i < THREADS_MAX / 64; i++) {
		if (slots_used[i] == ~0ULL)
			continue;
		uint32_t slot = i * 64 + (uint32_t)__builtin_ctzll(~slots_used[i]);
		struct thread *thread = (struct thread *)((slot_top(slot) - sizeof(struct thread)) & ~63ULL);
		uint64_t need =
			sizeof(struct thread) + core_tls.bytes + core_tls.align + STACK_READY;
		if (!vm_touch(slot_top(slot) - need, need))
			return NULL;
		slots_used[i] |= 1ULL << slot % 64;
		thread->slot = slot;
		return thread;
	}
	return NULL;
}

/* `thread` is at the top of its stack. */
static struct thread *fill(struct thread *thread, uint32_t slot, const char *name, void (*entry)(void *arg), void *arg)
{
	memset(thread, 0, sizeof(*thread));
	thread->slot = slot;
	thread->name = name;
	thread->entry = entry;
	thread->arg = arg;
	lay_out(thread, (uint64_t)thread, begin, thread);
	make_ready(thread);
	return thread;
}

struct thread *thread_create(const char *name, void (*entry)(void *arg), void *arg)
{
	core_stack();
	struct thread *thread = slot_take();

	return thread ? fill(thread, thread->slot, name, entry, arg) : NULL;
}

struct thread *thread_create_on(const char *name, void (*entry)(void *arg), void *arg, uint64_t stack, uint64_t bytes)
{
	uint64_t top = (stack + bytes - sizeof(struct thread)) & ~63ULL;

	core_stack();
	if (bytes < THREAD_STACK_LEAST + core_tls.bytes + core_tls.align)
		return NULL;
	reap();
	return fill((struct thread *)top, NO_SLOT, name, entry, arg);
}

bool thread_stack_bytes(uint64_t bytes)
{
	if (stacks.end)
		return stack_bytes == bytes;
	stack_bytes = bytes;
	return true;
}

void thread_forget(struct thread *waits)
{
	if (waits->state != THREAD_BLOCKED)
		return;
	queue_remove(waits);
	timeout_clear(waits);
	waits->state = THREAD_ENDED;
}

void thread_forget_others(void)
{
	while (pick())
		;
	timeouts = timeouts_last = NULL;
	ended = NULL;
}

void thread_exit(void)
{
	struct thread *self = thread_current;

	core_stack();
	self->state = THREAD_ENDED;
	if (self->detached && self->slot != NO_SLOT) {
		self->next = ended;
		ended = self;
	} else {
		thread_wake_all(&self->joiners);
	}
	for (;;)
		switch_away();
}

void thread_join(struct thread *thread)
{
	while (thread->state != THREAD_ENDED)
		thread_wait(&thread->joiners, EXO_NEVER);
	if (thread != &first_thread)
		slot_release(thread);
}

void thread_detach(struct thread *thread)
{
	thread->detached = true;
	if (thread->state == THREAD_ENDED && thread != &first_thread && thread->slot != NO_SLOT) {
		thread->next = ended;
		ended = thread;
	}
}
