/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the first instruction to a stack. See entry.S.
 *
 * Memory is taken once: no allocator of frames, no regions, no pager (libos/core/bare.h).
 */
#include <string.h>
#include <exo/flow.h>
#include <exo/space.h>
#include "libos/event/private.h"

void event_run_entry(void), event_off_entry(void);
uint64_t event_first(void);
_Noreturn void event_fault(void);

extern const struct {
	uint64_t file_bytes, bytes, align;
} core_tls;		/* user.ld: the program's TLS image, at __tls_start */
extern char __tls_start[];

__attribute__((weak)) EVENT_MEMORY(4, 128, 0);

const struct exo_env_info *event_self(void)
{
	static bool mapped;
	const struct exo_table_info *envs = &core_info->envs;
	uint64_t at = envs->offset + (uint64_t)(uint32_t)core_disp->self * envs->stride;

	if (!mapped && bare_map(EVENT_SELF_AT, EXO_MAP_READ, core_named(EXO_NAME_INFO), (uint32_t)(at / EXO_PAGE_SIZE), 1) < 0)
		return NULL;
	mapped = true;
	return (const struct exo_env_info *)(EVENT_SELF_AT + at % EXO_PAGE_SIZE);
}

/* --- the beginning, and a bad end --- */

/* The thread-local block at the stack's upper end; returns what is left. Offsets count down from the thread pointer. */
static uint64_t local_block(uint64_t top)
{
	uint64_t align = core_tls.align < 16 ? 16 : core_tls.align;
	uint64_t pointer = (top - sizeof(uint64_t)) & -align;
	uint64_t block = pointer - ((core_tls.bytes + core_tls.align - 1) & -core_tls.align);

	if (!core_tls.bytes)
		return top;
	memcpy((void *)block, __tls_start, core_tls.file_bytes);
	*(uint64_t *)pointer = pointer;
	exo_env_fsbase(pointer);
	return block & -16ULL;
}

uint64_t event_first(void)
{
	struct exo_disp *disp = core_disp;
	uint32_t stack = event_sizes.stack < EVENT_STACK_MOST ? event_sizes.stack : EVENT_STACK_MOST;
	exo_cap_t cap;

	disp->run_entry = (uint64_t)event_run_entry;
	disp->off_entry = (uint64_t)event_off_entry;
	disp->upcall_sp = disp->off_sp = EXO_VA_DISP + EXO_PAGE_SIZE;
	if (core_begin->magic != EXO_START_MAGIC || core_info->magic != EXO_INFO_MAGIC ||
	    core_info->abi_major != EXO_ABI_MAJOR)
		core_exit(125);		/* no console is known either */
	if (!bare_frames(stack, stack, EVENT_STACK_AT, &cap))
		core_exit(125);
	return local_block(EVENT_STACK_AT + stack * EXO_PAGE_SIZE);
}

/* The creator reports it, from where reports look for the state. */
void event_fault(void)
{
	core_disp->on = core_disp->fault;
	for (;;)
		exo_env_exit(core_disp->on.vector < 32 ? core_disp->on.vector : 14,
			     core_disp->on.vector == 14 ? core_disp->on.address : core_disp->on.rip);
}
