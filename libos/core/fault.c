/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What upcall.S calls: exceptions, transfers, the hooks at run and at the slice's end; and how a program ends
 * by a fault.
 */
#include <string.h>
#include "libos/core/share.h"
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define VECTORS		32
#define PAGE_FAULT	14
#define RED_ZONE	128
#define DEFER_ROOM	1024	/* bytes of mapped stack that a deferred function begins with */
#define FLAG_TRAP	0x100
#define FLAG_DIRECTION	0x400

static core_exception_fn handlers[VECTORS];
static void (*run_hook)(uint64_t reasons, struct exo_regs *regs);
static exo_cap_t (*end_hook)(exo_time_t until, struct exo_regs *regs);

_Static_assert(offsetof(struct exo_disp, pending) == 0x060, "upcall.S: PENDING");

void core_deferred(void);
void core_run_entry(void), core_run_entry_hooked(void), core_end_entry(void);

static const char *const vector_names[VECTORS] = {
	[0] = "division error", [1] = "debug trap", [3] = "breakpoint", [4] = "overflow",
	[5] = "bound exceeded", [6] = "illegal instruction", [7] = "FPU not available",
	[10] = "bad task segment", [11] = "segment not present", [12] = "stack segment fault",
	[13] = "general protection fault", [14] = "page fault", [16] = "x87 error",
	[17] = "misaligned access", [19] = "SIMD floating-point error",
};

const char *core_vector_name(uint64_t vector)
{
	return vector < VECTORS && vector_names[vector] ? vector_names[vector] : "exception";
}

const char *core_access_name(uint64_t error)
{
	return error & VM_ERROR_EXEC ? "execution" : error & VM_ERROR_WRITE ? "write" : "read";
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
		core_print(": %s of address 0x%lx", core_access_name(regs->error), address);
	core_print(" at 0x%lx", regs->rip);
	if (thread_current && thread_current->name)
		core_print(", thread %s", thread_current->name);
	core_print("%s%s\n", why ? ": " : "", why ? why : "");
	for (;;)
		exo_env_exit(vector < VECTORS ? vector : PAGE_FAULT, address);
}

static __attribute__((noinline)) void fault_other(const char *why)
{
	struct exo_regs *regs = &core_disp->on;

	if (regs->vector < VECTORS && handlers[regs->vector] && handlers[regs->vector](regs))
		return;
	core_die(regs, why);
}

/* Another exception, or a page fault in another region than the last one. */
static __attribute__((noinline)) void fault_slowly(uint64_t vector)
{
	const char *why = NULL;

	if (vector != PAGE_FAULT || (why = vm_fault(&core_disp->on)) != NULL)
		fault_other(why);
}

/* Entered by core_fault_entry: resolve the fault of area ON, or do not return. */
void core_fault(uint64_t vector)
{
	const struct exo_regs *regs = &core_disp->on;
	struct vm_region *region = vm_hint;
	const char *why;

	if (__builtin_expect(vector != PAGE_FAULT || !vm_inside(region, regs->address), 0)) {
		fault_slowly(vector);
		return;
	}
	why = vm_ask(region, regs);
	if (__builtin_expect(why != NULL, 0))
		fault_other(why);
}

/*
 * Entered by core_off_entry: upcall code itself has failed. If the other side has taken shared memory away
 * under it, it goes on with a page that is nobody's. Else the state is shown where reports look for it.
 */
void core_fault_off(void)
{
	if (core_disp->fault.vector == PAGE_FAULT && share_mend(core_disp->fault.address))
		return;
	core_disp->on = core_disp->fault;
	core_die(&core_disp->on, "in a fault handler, or with upcalls off");
}

/* Entered by core_run_entry_hooked. */
void core_run(uint64_t reasons)
{
	run_hook(reasons, core_disp->saved & EXO_SAVED_ON ? &core_disp->on : NULL);
}

void core_on_run(void (*hook)(uint64_t reasons, struct exo_regs *regs))
{
	run_hook = hook;
	core_disp->run_entry = (uint64_t)(hook ? core_run_entry_hooked : core_run_entry);
}

/* Entered by core_end_entry. */
exo_cap_t core_slice_end(exo_time_t until)
{
	return end_hook(until, &core_disp->on);
}

void core_on_slice_end(exo_cap_t (*hook)(exo_time_t until, struct exo_regs *regs))
{
	if (hook)
		end_hook = hook;	/* an upcall that is under way still finds one */
	core_disp->end_entry = hook ? (uint64_t)core_end_entry : 0;
}

static void refuse(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
		   bool reply)
{
	(void)badge, (void)caller, (void)w0, (void)w1, (void)w2, (void)w3;
	if (reply)
		exo_reply(EXO_ESTATE, 0, 0, 0, 0);
}

core_call_fn core_call_handler = refuse;

void (*core_settle)(void);

/* --- deferring ------------------------------------------------------------------------------------------ */

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
	if (core_settle)
		core_settle();
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
	regs->rflags &= ~(uint64_t)(FLAG_DIRECTION | FLAG_TRAP);	/* a step is the interrupted code's */
	return true;
}
