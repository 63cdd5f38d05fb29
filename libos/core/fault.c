/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What upcall.S calls: exceptions, transfers, the run hook, sleeping; and how a program ends by a fault.
 */
#include <string.h>
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define VECTORS		32
#define PAGE_FAULT	14
#define RED_ZONE	128
#define DEFER_ROOM	1024	/* bytes of mapped stack that a deferred function begins with */
#define FLAG_DIRECTION	0x400

static core_exception_fn handlers[VECTORS];
core_call_fn core_call_handler;
void (*core_run_hook)(uint64_t reasons, struct exo_regs *regs);

void core_park(uint64_t number, uint64_t a0, uint64_t a1);
void core_deferred(void);

static const char *const vector_names[VECTORS] = {
	[0] = "division error", [1] = "debug trap", [3] = "breakpoint", [4] = "overflow", [5] = "bound exceeded",
	[6] = "illegal instruction", [7] = "FPU not available", [10] = "bad task segment", [11] = "segment not present",
	[12] = "stack segment fault", [13] = "general protection fault", [14] = "page fault", [16] = "x87 error",
	[17] = "misaligned access", [19] = "SIMD floating-point error",
};

const char *core_vector_name(uint64_t vector)
{
	return vector < VECTORS && vector_names[vector] ? vector_names[vector] : "exception";
}

core_exception_fn core_exception(unsigned vector, core_exception_fn handler)
{
	core_exception_fn old = NULL;

	if (vector < VECTORS) {
		old = handlers[vector];
		handlers[vector] = handler;
	}
	return old;
}

void core_die(const struct exo_regs *regs, const char *why)
{
	uint64_t vector = regs->vector;
	uint64_t address = vector == PAGE_FAULT ? regs->address : regs->rip;

	core_print("%s: %s", core_name(), core_vector_name(vector));
	if (vector == PAGE_FAULT)
		core_print(": %s of address 0x%lx", regs->error & 16 ? "execution" : regs->error & 2 ? "write" : "read",
			   address);
	core_print(" at 0x%lx", regs->rip);
	if (thread_current && thread_current->name)
		core_print(", thread %s", thread_current->name);
	core_print("%s%s\n", why ? ": " : "", why ? why : "");
	for (;;)
		exo_env_exit(vector < VECTORS ? vector : PAGE_FAULT, address);
}

/* Not a page fault that a pager resolves. */
static __attribute__((noinline)) void fault_other(const char *why)
{
	struct exo_regs *regs = &core_disp->on;

	if (regs->vector < VECTORS && handlers[regs->vector] && handlers[regs->vector](regs))
		return;
	core_die(regs, why);
}

/* Entered by core_fault_entry: resolve the fault of area ON, or do not return. */
void core_fault(uint64_t vector)
{
	const char *why = NULL;

	if (vector != PAGE_FAULT || (why = vm_fault(&core_disp->on)) != NULL)
		fault_other(why);
}

/* Entered by core_off_entry: upcall code itself has failed. Its state is shown where reports look for it. */
void core_fault_off(void)
{
	core_disp->on = core_disp->fault;
	core_die(&core_disp->on, "in a fault handler, or with upcalls off");
}

/* Entered by core_run_entry when a hook is set. */
void core_run(uint64_t reasons)
{
	core_run_hook(reasons, core_disp->saved & EXO_SAVED_ON ? &core_disp->on : NULL);
}

/* Entered by core_call_entry. */
void core_call(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t reply)
{
	struct core_message message = { badge, caller, { w0, w1, w2, w3 }, reply & 1 };

	if (core_call_handler)
		core_call_handler(&message);
	else if (message.reply)
		exo_reply(EXO_ESTATE, 0, 0, 0, 0);
}

void core_sleep(exo_time_t until, uint64_t events)
{
	core_stack();
	core_park(EXO_CALL_sleep, until, events);
}

void core_yield(exo_cap_t env)
{
	core_stack();
	core_park(EXO_CALL_yield, env, 0);
}

/* --- deferring ----------------------------------------------------------------------------------------------------- */

struct deferred {
	uint8_t fpu[512] __attribute__((aligned(16)));
	struct exo_regs regs;
	void (*fn)(void *arg, struct exo_regs *regs);
	void *arg;
};

/* Runs as the thread, on its stack, with upcalls on. */
static void run_deferred(struct deferred *deferred)
{
	deferred->fn(deferred->arg, &deferred->regs);
	core_disp->off = EXO_OFF_YES;
	__asm__ volatile("" ::: "memory");
	core_disp->on = deferred->regs;
	__asm__ volatile("fxrstor64 %0\n\tjmp core_critical" :: "m"(deferred->fpu) : "memory");
	__builtin_unreachable();
}

bool core_fault_defer(struct exo_regs *regs, void (*fn)(void *arg, struct exo_regs *regs), void *arg)
{
	uint64_t at = (regs->rsp - RED_ZONE - sizeof(struct deferred)) & ~63ULL;
	struct deferred *deferred = (struct deferred *)at;

	if (!vm_touch(at - DEFER_ROOM, sizeof(struct deferred) + DEFER_ROOM))
		return false;
	__asm__ volatile("fxsave64 %0" : "=m"(deferred->fpu));
	deferred->regs = *regs;
	deferred->fn = fn;
	deferred->arg = arg;
	regs->rip = (uint64_t)core_deferred;
	regs->rsp = at;
	regs->rbx = (uint64_t)run_deferred;
	regs->rdi = at;
	regs->rflags &= ~(uint64_t)FLAG_DIRECTION;
	return true;
}
