/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the first upcall to the first thread.
 *
 * core_start runs on the upcall stack with upcalls off; when it returns, _start goes on as a RUN upcall whose
 * state to resume is the first thread's. The stacks of the three kinds of upcall are plain memory of the
 * image: they must be there when nothing else is.
 */
#include "libos/core/revoke.h"
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define UPCALL_STACK	8192
#define OFF_STACK	3072
#define CALL_STACK	4096

struct stacks {
	char off[OFF_STACK];
	char call[CALL_STACK];
	char upcall[UPCALL_STACK];
};
static CORE_WIRED_STACK struct stacks core_stacks __attribute__((used));
extern char core_upcall_stack_end[];
__asm__(".globl core_upcall_stack_end\n.set core_upcall_stack_end, core_stacks + 15360");
_Static_assert(sizeof(struct stacks) == 15360, "core_upcall_stack_end");

extern char core_critical[], core_critical_end[], core_run_entry[], core_fault_entry[], core_off_entry[],
	core_call_entry[];
uint64_t core_parked;
bool core_fsgsbase;

static void first(void *arg)
{
	(void)arg;
	core_main();
	core_exit(0);
}

/* Called by _start. */
void core_start(uint64_t reasons)
{
	struct exo_disp *disp = core_disp;

	(void)reasons;
	disp->upcall_sp = (uint64_t)core_upcall_stack_end;
	disp->off_sp = (uint64_t)(core_stacks.off + OFF_STACK);
	disp->call_sp = (uint64_t)(core_stacks.call + CALL_STACK - 8);
	disp->critical = (uint64_t)core_critical;
	disp->critical_end = (uint64_t)core_critical_end;
	disp->run_entry = (uint64_t)core_run_entry;
	disp->fault_entry = (uint64_t)core_fault_entry;
	disp->off_entry = (uint64_t)core_off_entry;
	disp->call_entry = (uint64_t)core_call_entry;
	if (core_begin->magic != EXO_START_MAGIC || core_info->magic != EXO_INFO_MAGIC)
		core_exit(125);		/* no console is known either */
	if (core_info->abi_major != EXO_ABI_MAJOR)
		core_fail("built for kernel interface %d, this kernel has %u", EXO_ABI_MAJOR,
			  core_info->abi_major);
	core_fsgsbase = core_info->cpu_features & EXO_CPU_FSGSBASE;
	space_start();
	if (!core_resumes()) {
		vm_start();
		revoke_start();
		core_parked = thread_start(first);
	}
	uint64_t base = thread_current->fs_base;
	if (core_fsgsbase)
		__asm__ volatile("wrfsbase %0" :: "r"(base));
	else
		exo_env_fsbase(base);
}
