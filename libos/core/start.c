/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the first upcall to the first thread.
 *
 * core_start runs on the upcall stack with upcalls off; when it returns, _start goes on as a RUN upcall whose
 * state to resume is the first thread's. The stacks of the three kinds of upcall are plain memory of the
 * image: they must be there when nothing else is.
 */
#include <string.h>
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

exo_cap_t core_named(const char *name)
{
	const struct exo_start *start = core_begin;
	uint32_t slots = start->slots < EXO_START_SLOTS_MAX ? start->slots : EXO_START_SLOTS_MAX;

	for (uint32_t i = 0; i < slots; i++)
		if (!strncmp(start->slot[i].name, name, EXO_START_NAME))
			return start->slot[i].cap;
	return EXO_CAP_NONE;
}

/* String number n of a list in the start page; every step stays inside the page. */
static const char *text_at(uint32_t count, uint32_t offset, unsigned n)
{
	const char *at = (const char *)core_begin + offset, *end = (const char *)core_begin + EXO_PAGE_SIZE;

	if (n >= count || offset >= EXO_PAGE_SIZE)
		return NULL;
	while (n-- && at < end)
		at += strnlen(at, (size_t)(end - at)) + 1;
	return at < end && strnlen(at, (size_t)(end - at)) < (size_t)(end - at) ? at : NULL;
}

const char *core_argument(unsigned n)
{
	return text_at(core_begin->argc, core_begin->args, n);
}

const char *core_environment(unsigned n)
{
	return text_at(core_begin->envc, core_begin->envs, n);
}

const char *core_name(void)
{
	const char *name = core_argument(0);

	return name ? name : "?";
}

void core_exit(uint64_t status)
{
	for (;;)
		exo_env_exit(EXO_CAUSE_EXIT, status);
}

void core_fail(const char *format, ...)
{
	va_list arguments;

	core_print("%s: ", core_name());
	va_start(arguments, format);
	core_vprint(format, arguments);
	va_end(arguments);
	core_print("\n");
	core_exit(125);
}

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
