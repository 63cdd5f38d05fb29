/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads on several CPUs, the home's side. See cpus.h.
 */
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/posix/call.h"
#include "libos/posix/cpus.h"

#define AGAIN_NS	1000000		/* a recall that may have been lost is made again after this */
#define BREAKPOINT	3
#define MXCSR_START	0x1f80ULL
#define FCW_START	0x037fULL

uint32_t posix_cpus_busy;
static uint32_t made;
static bool asked;

_Static_assert(WIRE_VA_CPUS == 0x18000, "cpus_entry.S");

extern char core_upcall_stack_end[];
void posix_cpu_run_entry(void);
_Noreturn void posix_give(uint64_t sp, uint64_t fs_base, struct posix_cpu *cpu);
void posix_given(struct posix_cpu *cpu);
void core_run_entry(void);
_Noreturn void posix_go_on(void *entry);

static struct exo_disp *disp_of(const struct posix_cpu *cpu)
{
	return (struct exo_disp *)(WIRE_VA_CPUS + (uint64_t)(cpu - posix_cpu) * EXO_PAGE_SIZE);
}

static uint32_t state_of(const struct posix_cpu *cpu)
{
	return __atomic_load_n(&cpu->state, __ATOMIC_SEQ_CST);
}

/* Another thread's variable, by this one's. */
static volatile uint8_t *variable_of(const struct thread *thread, volatile void *own)
{
	return (volatile uint8_t *)own - (uint64_t)__builtin_thread_pointer() + thread->fs_base;
}

/* --- coming home ---------------------------------------------------------------------------------------- */

/* As the thread, on its area's stack: it goes on as if it had been interrupted here. */
static void go_on(void *arg)
{
	const struct posix_area *area = ((struct __exo_thread *)arg)->area;

	posix_inside = true;		/* its page can be written from here on */
	*(volatile uint32_t *)&core_disp->off = EXO_OFF_YES;
	__asm__ volatile("" ::: "memory");
	posix_inside = area->inside;
	signal_copy(&core_disp->on, area->regs, sizeof(area->regs));
	signal_copy(core_disp->on_fpu, area->fpu, sizeof(area->fpu));
	core_disp->saved |= EXO_SAVED_ON;
	/* It may have been called for this: who is cancelled anywhere ends before it goes on, and nobody else asks it here. */
	if (posix_cancel_due())
		signal_look = true;
	/* What failed on another CPU has a try here before anybody gets the CPU. */
	if (signal_look || posix_page->pending)
		posix_go_on((void *)core_disp->run_entry);
	posix_go_on((void *)core_run_entry);
}

/* It was stopped anywhere: its state goes to its area, and its next switch leads to go_on. */
static void take_state(struct __exo_thread *thread, const struct exo_disp *disp)
{
	volatile uint8_t *inside = variable_of(thread->thread, &posix_inside);
	struct posix_area *area = thread->area;
	uint64_t *sp = area->stack + sizeof(area->stack) / 8;

	memcpy(area->regs, &disp->on, sizeof(area->regs));
	memcpy(area->fpu, disp->on_fpu, sizeof(area->fpu));
	if (disp->on.vector == BREAKPOINT)	/* INT3 or INT $3; the others are where they failed */
		((struct exo_regs *)area->regs)->rip -= ((const uint8_t *)disp->on.rip)[-1] == 0xcc ? 1 : 2;
	area->inside = *inside;
	*inside = true;
	*--sp = 0;
	*--sp = 0;
	*--sp = (uint64_t)thread_begin;
	*--sp = 0;
	*--sp = (uint64_t)go_on;		/* rbx */
	*--sp = (uint64_t)thread;		/* r12 */
	sp -= 3;
	memset(sp, 0, 3 * sizeof(*sp));
	*--sp = FCW_START << 32 | MXCSR_START;
	thread->thread->sp = (uint64_t)sp;
}

static void take_home(struct posix_cpu *cpu)
{
	struct __exo_thread *thread = cpu->thread;

	if (state_of(cpu) == POSIX_CPU_STOPS)
		take_state(thread, disp_of(cpu));
	else
		thread->thread->sp = cpu->sp;
	posix_clock_home(thread);
	*variable_of(thread->thread, &posix_away) = 0;
	thread->cpu = 0;
	posix_cpus_busy--;
	cpu->thread = NULL;
	__atomic_store_n(&cpu->recall, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&cpu->state, POSIX_CPU_IDLE, __ATOMIC_SEQ_CST);
	thread_wake(thread->thread);
}

static void recall(struct posix_cpu *cpu)
{
	uint64_t word[4] = { REQUEST_RECALL, (uint64_t)(cpu - posix_cpu) };

	__atomic_store_n(&cpu->recall, 1, __ATOMIC_SEQ_CST);
	cpu->recalled = core_now();
	(void)posix_transfer(word);
}

/* When it is to be called again: while a recall is under way. */
static exo_time_t look(void *arg)
{
	exo_time_t next = EXO_NEVER;

	(void)arg;
	for (uint32_t i = 0; posix_cpus_busy && i < made; i++) {
		struct posix_cpu *cpu = &posix_cpu[i];
		uint32_t state = state_of(cpu);

		if (state == POSIX_CPU_CALLS || state == POSIX_CPU_STOPS) {
			take_home(cpu);
		} else if (cpu->recall) {
			if (core_now() >= cpu->recalled + AGAIN_NS)
				recall(cpu);
			next = cpu->recalled + AGAIN_NS;
		}
	}
	return next;
}

void posix_cpus_recall(struct __exo_thread *thread)
{
	if (thread->cpu && !posix_cpu[thread->cpu - 1].recall)
		recall(&posix_cpu[thread->cpu - 1]);
}

void posix_cpus_recall_all(void)
{
	while (posix_cpus_busy) {
		uint64_t events = *(volatile uint64_t *)&core_disp->events;

		for (uint32_t i = 0; i < made; i++)
			if (posix_cpu[i].thread)
				posix_cpus_recall(posix_cpu[i].thread);
		exo_time_t next = look(NULL);
		if (posix_cpus_busy)
			core_sleep(next, events);
	}
}

/* --- going away ----------------------------------------------------------------------------------------- */

/* core_settle. */
static void settle(void)
{
	bool was = posix_enter();

	*(volatile uint32_t *)&core_disp->off = EXO_OFF_YES;
	__asm__ volatile("" ::: "memory");
	posix_inside = was;
}

static void make(void)
{
	static struct thread_poller poller;
	uint32_t first = caps_slots(WIRE_CPUS);
	uint64_t more[2];
	int64_t count;

	asked = true;
	if (!first)
		return;
	posix_lock();
	core_disp->window_first = first;
	core_disp->window_count = WIRE_CPUS;
	count = posix_request(REQUEST_CPUS, (uint64_t)posix_cpu_run_entry, 0, 0, more);
	core_disp->window_count = 0;
	posix_unlock();
	for (; made < WIRE_CPUS && made < count; made++)
		posix_cpu[made].env = caps_handle(first + made);
	core_settle = settle;
	if (made && !poller.poll) {
		poller.poll = look;
		thread_add_poller(&poller);
	}
}

static struct posix_cpu *idle(const struct __exo_thread *thread)
{
	for (uint32_t i = 0; i < made; i++)
		if (!posix_cpu[i].thread && !posix_cpu_barred(i) && !(thread->not_cpus >> posix_cpu_number(i) & 1))
			return &posix_cpu[i];
	return NULL;
}

bool posix_cpus_room(const struct __exo_thread *thread)
{
	return core_info->cpus > 1 && (!asked || posix_cpus_busy < made) && !posix_sched_levels &&
		thread->thread != NULL && (!(posix_page->not_cpus | thread->not_cpus) || !asked || idle(thread));
}

/* As the next thread, below its stack: nothing of the other's is in use any more. */
void posix_given(struct posix_cpu *cpu)
{
	const struct thread *thread = cpu->thread->thread;

	*variable_of(thread, &posix_away) = cpu->thread->cpu;
	*variable_of(thread, &posix_inside) = false;
	__atomic_store_n(&cpu->state, POSIX_CPU_GIVEN, __ATOMIC_SEQ_CST);
	exo_wake(cpu->env);
}

void posix_cpus_give(struct __exo_thread *self, const struct signal_frame *frame)
{
	struct thread *thread = self->thread, *next;
	struct posix_cpu *cpu;

	if (!asked)
		make();
	cpu = idle(self);
	next = cpu ? thread_take() : NULL;
	if (!next)
		return;
	posix_clock_away(self);
	thread->state = THREAD_BLOCKED;
	self->cpu = (uint8_t)(cpu - posix_cpu + 1);
	cpu->thread = self;
	cpu->frame = frame;
	cpu->fs_base = thread->fs_base;
	posix_cpus_busy++;
	posix_asked_at = self->asked_at;
	thread_current = next;
	posix_give(next->sp, next->fs_base, cpu);
}

/* --- fork, times ---------------------------------------------------------------------------------------- */

void posix_cpus_forked(void)
{
	memset(posix_cpu, 0, made * sizeof(posix_cpu[0]));
	made = posix_cpus_busy = 0;
	asked = false;
}

uint64_t posix_cpus_ns(void)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < made; i++) {
		const struct exo_env_info *info = info_env((uint32_t)disp_of(&posix_cpu[i])->self);

		ns += info ? info->ns : 0;
	}
	return ns;
}
