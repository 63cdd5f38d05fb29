/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the environments on a process's other CPUs do: run a thread that they are given until it comes home, and sleep.
 * All of it is upcall code on the end of the dispatcher page, so it writes nothing else but posix_cpu (C3 in cpus.h).
 * The functions return what the FPU is to be loaded from; the rest of the state is in area ON then.
 */
#include "libos/posix/cpus.h"

#pragma GCC target("general-regs-only")

#define HOME	exo_cap_make(1, 1)	/* the process's first environment: the only capability here */

extern char posix_cpu_critical[], posix_cpu_critical_end[], posix_cpu_fault_entry[], posix_cpu_off_entry[];
extern bool core_fsgsbase;

struct posix_cpu posix_cpu[WIRE_CPUS];

const void *posix_cpu_run(struct exo_disp *disp);
const void *posix_cpu_stopped(struct exo_disp *disp);
const void *posix_cpu_called(struct exo_disp *disp, uint64_t sp);
_Noreturn void posix_cpu_failed(const struct exo_disp *disp);

static struct posix_cpu *cpu_of(const struct exo_disp *disp)
{
	return &posix_cpu[((uint64_t)disp - WIRE_VA_CPUS) / EXO_PAGE_SIZE];
}

static void tell(struct posix_cpu *cpu, enum posix_cpu_state state)
{
	__atomic_store_n(&cpu->state, state, __ATOMIC_SEQ_CST);
	exo_wake(HOME);
}

static const void *next(struct posix_cpu *cpu, struct exo_disp *disp)
{
	for (;;) {
		uint64_t events = *(volatile uint64_t *)&disp->events;

		if (__atomic_load_n(&cpu->state, __ATOMIC_SEQ_CST) != POSIX_CPU_GIVEN) {
			exo_sleep(EXO_NEVER, events, EXO_CAP_NONE);
			continue;
		}
		signal_copy(&disp->on, &cpu->frame->regs, sizeof(disp->on));
		signal_copy(disp->on_fpu, cpu->frame->fpu, sizeof(disp->on_fpu));
		if (core_fsgsbase)
			__asm__ volatile("wrfsbase %0" :: "r"(cpu->fs_base));
		else
			exo_env_fsbase(cpu->fs_base);
		__atomic_store_n(&cpu->state, POSIX_CPU_RUNS, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&cpu->recall, __ATOMIC_SEQ_CST))
			return disp->on_fpu;
		disp->on.vector = 0;
		tell(cpu, POSIX_CPU_STOPS);
	}
}

static void begin(struct exo_disp *disp)
{
	disp->off_sp = disp->upcall_sp;
	disp->critical = (uint64_t)posix_cpu_critical;
	disp->critical_end = (uint64_t)posix_cpu_critical_end;
	disp->off_entry = (uint64_t)posix_cpu_off_entry;
	disp->fault_entry = (uint64_t)posix_cpu_fault_entry;
}

const void *posix_cpu_run(struct exo_disp *disp)
{
	struct posix_cpu *cpu = cpu_of(disp);

	if (!disp->fault_entry)
		begin(disp);
	if (!(disp->saved & EXO_SAVED_ON))
		return next(cpu, disp);
	if (signal_page->turns && !__atomic_load_n(&cpu->recall, __ATOMIC_SEQ_CST) && posix_turn_leave(&cpu->turns))
		exo_yield(EXO_CAP_NONE, 0);
	disp->saved = 0;
	/* Who is inside is about to come by itself. */
	if ((!__atomic_load_n(&cpu->recall, __ATOMIC_SEQ_CST) && !posix_cpu_barred((uint64_t)(cpu - posix_cpu))) || posix_inside)
		return disp->on_fpu;
	tell(cpu, POSIX_CPU_STOPS);
	return next(cpu, disp);
}

const void *posix_cpu_stopped(struct exo_disp *disp)
{
	tell(cpu_of(disp), POSIX_CPU_STOPS);
	return next(cpu_of(disp), disp);
}

const void *posix_cpu_called(struct exo_disp *disp, uint64_t sp)
{
	cpu_of(disp)->sp = sp;
	tell(cpu_of(disp), POSIX_CPU_CALLS);
	return next(cpu_of(disp), disp);
}

void posix_cpu_failed(const struct exo_disp *disp)
{
	for (;;)
		exo_env_exit(disp->fault.vector, disp->fault.address);
}
