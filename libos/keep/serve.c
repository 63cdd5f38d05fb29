/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests: from a transfer to a handler on a thread, and back.
 *
 * A transfer comes in as an upcall. Nothing of the keeper runs at that moment but the thread that keeps the idle loop
 * (`host`), which sleeps: else the caller is told to come again (WIRE_BUSY), so that threads need no locks
 * between two points where they wait. A worker, an idle thread, is entered below its saved state (enter.S),
 * with upcalls on: it may fault pages in, use the FPU, be interrupted. When the handler returns, the answer
 * goes out and the host sleeps on, as if nothing had been. If the handler waits, thread_leave is called: the
 * caller is answered WIRE_LATER, the worker becomes a thread like any other, and its result is collected
 * later.
 *
 * Who finds the keeper at work for another says so in his page, wakes it, and yields to it. So when an answer goes out
 * and somebody has woken the keeper meanwhile, the answer says that somebody waits (WIRE_GIVE_WAY): the other yields to
 * the keeper, and that to who waits. Else the other would have the CPU to its slice's end, in the middle of its next
 * request but one by then, and so on. Until somebody else has come, or has had the CPU, the other is *barred*: if it
 * asks again all the same, it is told WIRE_BUSY.
 *
 * S1 `serving` is the worker whose transfer has not been answered; NULL: none
 * S2 an idle worker is in no queue, blocked, and in the list, but for the one that has become the host
 * S3 a process has at most one worker; its record is not used again while it has one
 */
#include <errno.h>
#include <string.h>
#include "libos/keep/private.h"
#include "libos/vm/vm.h"

#define WORKERS_SPARE	2	/* idle ones, at least */
#define STACK_READY	(40 * 1024)	/* of a worker's stack is there before memory is short */

struct worker {
	struct thread *thread;
	uint64_t home;			/* its saved state while it is idle */
	struct worker *next;
	keep_handler handler;
	struct keep_request request;
};

void keep_enter(uint64_t sp, struct worker *worker) __attribute__((noreturn));
void keep_away(uint64_t *save_sp);
void keep_home(uint64_t sp) __attribute__((noreturn));
void keep_work(struct worker *worker);
void keep_left(void);
extern bool core_fsgsbase;

static keep_handler handlers[WIRE_REQUESTS];
static struct worker workers[WIRE_PROCESSES + WORKERS_SPARE + 1], *idle, *serving;
static uint32_t worker_count;
static struct thread *host;		/* who ran when the transfer came: the idle loop is his */
static bool sleeping;			/* in the idle loop, where nothing is in the middle of anything */
static exo_cap_t own_env;
static bool again;			/* the idle loop shall be run before the keeper sleeps on */
static struct thread *first, *last;	/* those who are ready, as the scheduler below has them */
static struct keep_process *barred;	/* NULL: nobody */

void keep_serve(enum wire_request number, keep_handler handler)
{
	handlers[number] = handler;
}

void keep_again(void)
{
	again = true;
}

bool keep_string(const struct keep_request *request, uint32_t offset, char *to, uint32_t size)
{
	if (offset >= WIRE_BUFFER)
		return false;
	if (size > WIRE_BUFFER - offset)
		size = WIRE_BUFFER - offset;
	for (uint32_t i = 0; i < size; i++)
		if (!(to[i] = ((const volatile char *)request->data)[offset + i]))
			return true;
	return false;
}

/* --- handlers ------------------------------------------------------------------------------------------- */

static void use_fs(const struct thread *thread)
{
	if (core_fsgsbase)
		__asm__ volatile("wrfsbase %0" :: "r"(thread->fs_base));
	else
		exo_env_fsbase(thread->fs_base);
}

/* Has somebody woken the keeper, since its idle loop ran or an answer said so? */
static inline bool somebody_waits(void)
{
	return *(volatile uint64_t *)&core_disp->pending & EXO_EVENT_WAKE;
}

static void nobody_waits(void)
{
	__atomic_fetch_and(&core_disp->pending, ~(uint64_t)EXO_EVENT_WAKE, __ATOMIC_RELAXED);
}

/*
 * The keeper's idle loop has to run, or somebody waits. That is looked at last, and not taken for what the keeper does
 * itself: who comes behind that comes too late.
 */
static __attribute__((noinline)) void answer_slowly(struct keep_process *process, int64_t result, uint64_t w1,
						    uint64_t w2)
{
	uint64_t events = *(volatile uint64_t *)&core_disp->events;
	bool others = somebody_waits();

	if (again || first) {
		again = false;
		exo_wake(own_env);
		if (!others && *(volatile uint64_t *)&core_disp->events == events + 1)
			nobody_waits();
	}
	others = somebody_waits();
	if (others) {
		nobody_waits();
		barred = process;
	}
	exo_reply(0, (uint64_t)result, w1, w2, others ? WIRE_GIVE_WAY : 0);
}

/* Upcalls are off: whoever was the host goes on when the answer is out. */
static inline void answer(struct keep_process *process, int64_t result, uint64_t w1, uint64_t w2)
{
	thread_current = host;
	use_fs(host);
	serving = NULL;
	if (__builtin_expect(again || first || somebody_waits(), 0))
		answer_slowly(process, result, w1, w2);
	else
		exo_reply(0, (uint64_t)result, w1, w2, 0);
}

static void put_idle(struct worker *worker)
{
	worker->next = idle;
	idle = worker;
}

/* Entered by enter.S, as the worker. */
void keep_work(struct worker *worker)
{
	struct keep_process *process = worker->request.process;
	exo_env_id_t id = process->id;
	int64_t result;

	if (!idle || !idle->next)
		keep_workers(1);
	result = worker->handler(&worker->request);
	if (process->worker == worker->thread)
		process->worker = NULL;
	if (serving == worker) {
		*(volatile uint32_t *)&core_disp->off = EXO_OFF_YES;
		put_idle(worker);
		answer(process, result, worker->request.more[0], worker->request.more[1]);
		__asm__ volatile("jmp core_run_entry");
		__builtin_unreachable();
	}
	if (process->ending) {
		keep_process_finish(process);
	} else if (process->id == id && id) {
		process->result[0] = result;
		process->result[1] = (int64_t)worker->request.more[0];
		process->result[2] = (int64_t)worker->request.more[1];
		process->done = true;
		keep_poke(process);
	}
	keep_home(worker->home);
}

static bool leave(void)
{
	struct worker *worker = serving;

	if (!worker || worker->thread != thread_current)
		return false;
	worker->request.process->later = true;
	worker->request.process->done = false;
	keep_away(&worker->thread->sp);
	return true;
}

/* Entered by enter.S: the worker's state is saved. The host's idle loop has to look at what has changed. */
void keep_left(void)
{
	again = true;
	answer(serving->request.process, WIRE_LATER, 0, 0);
}

static int64_t collect(struct keep_request *request)
{
	struct keep_process *process = request->process;

	if (!process->later)
		return -EINVAL;
	if (!process->done)
		return WIRE_WAIT;
	process->later = process->done = false;
	request->more[0] = (uint64_t)process->result[1];
	request->more[1] = (uint64_t)process->result[2];
	return process->result[0];
}

static int64_t null(struct keep_request *request)
{
	(void)request;
	return 0;
}

static int64_t unknown(struct keep_request *request)
{
	(void)request;
	return -ENOSYS;
}

static int64_t busy(struct keep_request *request)
{
	(void)request;
	return -EBUSY;
}

int64_t keep_ask(struct keep_process *process, enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3,
		 const char *path)
{
	struct keep_request request = { process, { w1, w2, w3 }, process->buffer, { 0, 0 } };

	if (path)
		strcpy(process->buffer, path);
	return handlers[number] ? handlers[number](&request) : -ENOSYS;
}

/* --- transfers ------------------------------------------------------------------------------------------ */

/* A handler is at work for the process: it may only ask for the result. NULL: it has not even been told so. */
static keep_handler handler_late(const struct keep_process *process, uint64_t number)
{
	if (!process->later)
		return NULL;
	return number == REQUEST_COLLECT ? collect : number == REQUEST_RECALL ? handlers[number] : busy;
}

static keep_handler handler_of(const struct keep_process *process, uint64_t number)
{
	if (__builtin_expect(process->later || process->worker, 0))
		return handler_late(process, number);
	return number < WIRE_REQUESTS && handlers[number] ? handlers[number] : unknown;
}

/* An idle worker that is not the host. */
static struct worker *take_idle(void)
{
	struct worker **at = &idle, *worker;

	if (idle && idle->thread == thread_current)
		at = &idle->next;
	worker = *at;
	if (worker)
		*at = worker->next;
	return worker;
}

/* Nothing else is served. */
static inline void begin(struct keep_process *process, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2,
			 uint64_t w3)
{
	keep_handler handler;
	struct worker *worker;

	if (__builtin_expect(process->id != caller, 0)) {
		exo_reply(WIRE_REFUSED, 0, 0, 0, 0);
		return;
	}
	handler = handler_of(process, w0);
	worker = handler ? take_idle() : NULL;
	if (__builtin_expect(!worker, 0)) {
		exo_reply(WIRE_BUSY, 0, 0, 0, 0);
		return;
	}
	host = thread_current;
	thread_current = worker->thread;
	serving = worker;
	worker->home = worker->thread->sp;
	worker->handler = handler;
	worker->request = (struct keep_request){ process, { w1, w2, w3 }, process->buffer, { 0, 0 } };
	if (!process->later)
		process->worker = worker->thread;
	use_fs(worker->thread);
	keep_enter(worker->home, worker);
}

/* It is in the middle of something, or somebody is barred. */
static __attribute__((noinline)) void called_anyway(struct keep_process *process, exo_env_id_t caller, uint64_t w0,
						    uint64_t w1, uint64_t w2, uint64_t w3)
{
	if (!sleeping || core_disp->saved & EXO_SAVED_ON || process == barred) {
		exo_reply(WIRE_BUSY, 0, 0, 0, 0);
		return;
	}
	barred = NULL;
	nobody_waits();
	begin(process, caller, w0, w1, w2, w3);
}

/* [upcall] The badge is the caller's record: it comes from the entry that he was given, and from nowhere else. */
static void called(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
		   bool wanted)
{
	struct keep_process *process = (struct keep_process *)badge;

	if (!wanted)
		return;
	if (__builtin_expect(!sleeping || core_disp->saved & EXO_SAVED_ON || barred, 0))
		called_anyway(process, caller, w0, w1, w2, w3);
	else
		begin(process, caller, w0, w1, w2, w3);
}

/* --- the scheduler: first come, first served, but a request is left for another thread only by waiting ---- */

static void ready(struct thread *thread)
{
	thread->next = NULL;
	if (first)
		last->next = thread;
	else
		first = thread;
	last = thread;
}

static struct thread *pick(void)
{
	struct thread *thread = first;

	if (thread)
		first = thread->next;
	return thread;
}

static struct thread *turn(struct thread *thread)
{
	if (!first || (serving && serving->thread == thread))
		return thread;
	ready(thread);
	return pick();
}

static const struct sched policy = { "keeper", ready, pick, turn };

/* One who says so, each in his turn; nobody: to all. */
static exo_cap_t who_waits(void)
{
	static uint32_t last;

	for (uint32_t i = 0; i < keep_used; i++) {
		const struct keep_process *process = &keep_process[last = (last + 1) % keep_used];

		if (process->body && process != barred && ((const volatile struct wire_page *)process->page)->waits)
			return process->env;
	}
	return EXO_CAP_NONE;
}

static void idle_sleep(exo_time_t until, uint64_t events)
{
	sleeping = true;
	core_sleep(until, events);
	if (__builtin_expect(barred != NULL, 0)) {
		core_yield(who_waits());
		barred = NULL;
	}
	sleeping = false;
}

/* A worker's thread: whenever it is here, it is idle. */
static void worker_main(void *arg)
{
	struct worker *worker = arg;

	worker->thread = thread_current;
	vm_touch((exo_vaddr_t)&arg - STACK_READY, STACK_READY);
	for (;;) {
		put_idle(worker);
		thread_wait(NULL, EXO_NEVER);
	}
}

void keep_workers(uint32_t count)
{
	while (count-- && worker_count < sizeof(workers) / sizeof(workers[0])) {
		struct thread *thread = thread_create("worker", worker_main, &workers[worker_count]);

		if (!thread)
			return;
		thread_detach(thread);
		worker_count++;
	}
}

void keep_serve_start(void)
{
	keep_serve(REQUEST_NULL, null);
	keep_serve(REQUEST_COLLECT, collect);
	keep_workers(2 * WORKERS_SPARE);
	own_env = core_named(EXO_NAME_ENV);
	thread_schedule_by(&policy);
	thread_leave = leave;
	thread_idle = idle_sleep;
}

void keep_open_doors(void)
{
	thread_yield();			/* the workers come to wait */
	core_call_handler = called;
}
