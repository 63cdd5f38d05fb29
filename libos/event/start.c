/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the first instruction to a stack, and frames with their mappings. See entry.S.
 *
 * Memory is taken once: no allocator of frames, no regions, no pager. Slots of capabilities are taken in order behind those of
 * the start record.
 */
#include <string.h>
#include <exo/flow.h>
#include <exo/space.h>
#include "libos/event/private.h"

#define PLACES	128	/* that are tried by number */

void event_run_entry(void), event_off_entry(void);
uint64_t event_first(void);
_Noreturn void event_fault(void);

extern const struct {
	uint64_t file_bytes, bytes, align;
} core_tls;		/* user.ld: the program's TLS image, at __tls_start */
extern char __tls_start[];

__attribute__((weak)) EVENT_MEMORY(4, 128, 0);

static const struct exo_cap *cap_at(uint32_t slot)
{
	return (const struct exo_cap *)EXO_VA_CAPS + slot;
}

/* A free slot; 0: there is none. */
static uint32_t free_slot(void)
{
	for (uint32_t slot = 1; slot < EXO_CAPS_PER_FRAME; slot++)
		if (cap_at(slot)->type == EXO_TYPE_NONE)
			return slot;
	return 0;
}

/* --- frames --- */

/* Where memory is in pieces the kernel's own choice looks at the first few only: try places over all of it. */
static int64_t take_by_number(uint32_t slot, uint32_t count)
{
	uint32_t total = core_info->frames_total, step = total / PLACES > count ? total / PLACES : count;
	int64_t error = -EXO_EFULL;

	for (uint32_t pfn = total; error < 0 && pfn > count + step; pfn -= step)
		error = exo_frame_take(slot, pfn - count, count);
	return error;
}

static uint32_t take(uint32_t least, uint32_t most, exo_cap_t *cap)
{
	uint32_t slot = free_slot(), first = most < EXO_TAKE_MAX ? most : EXO_TAKE_MAX;
	const struct exo_cap *taken = cap_at(slot);

	if (!slot || exo_frame_take(slot, EXO_PFN_ANY, first) < 0)
		return 0;
	*cap = exo_cap_make(slot, taken->generation);
	for (uint32_t had = 0; taken->count < most && taken->count != had;) {
		had = taken->count;
		if (exo_frame_take(*cap, taken->first + had, most - had < EXO_TAKE_MAX ? most - had : EXO_TAKE_MAX) < 0)
			break;
	}
	if (taken->count < least) {
		exo_cap_delete(*cap);
		if (least > EXO_TAKE_MAX || take_by_number(slot, least) < 0)
			return 0;
		*cap = exo_cap_make(slot, taken->generation);
	}
	return taken->count;
}

/* Link what is missing on the way to an address's page table, from the bottom up. */
static int64_t link_tables(exo_cap_t space, exo_vaddr_t va)
{
	static const uint8_t levels[] = { EXO_LEVEL_PAGES, EXO_LEVEL_1G, EXO_LEVEL_512G };
	exo_cap_t cap[3];
	int64_t error = -EXO_ENOTABLE;
	unsigned i;

	for (i = 0; i < 3 && error == -EXO_ENOTABLE; i++) {
		uint32_t count = i ? 1 : 3;
		if (!take(count, count, &cap[i]))
			return -EXO_EQUOTA;
		error = exo_space_table(space, va, levels[i], cap[i], 0);
	}
	for (i--; error >= 0 && i-- > 0;)
		error = exo_space_table(space, va, levels[i], cap[i], 0);
	return error;
}

int64_t event_map(exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t count)
{
	exo_cap_t space = core_named(EXO_NAME_SPACE);
	struct exo_map *map = core_arg(0);
	int64_t error = 0;

	for (uint32_t done = 0; done < count && error >= 0;) {
		uint32_t part = 512 - (uint32_t)(va >> EXO_PAGE_SHIFT) % 512;
		if (part > count - done)
			part = count - done;
		if (part > EXO_MAP_BATCH_MAX)
			part = EXO_MAP_BATCH_MAX;
		*map = (struct exo_map){ va | flags, cap, first + done, part, 0 };
		error = exo_space_write(space, 0, 1);
		if (error == -EXO_ENOTABLE) {
			error = link_tables(space, va);
			continue;
		}
		done += part;
		va += (exo_vaddr_t)part * EXO_PAGE_SIZE;
	}
	return error < 0 ? error : 0;
}

uint32_t event_frames(uint32_t least, uint32_t most, exo_vaddr_t va, exo_cap_t *cap)
{
	uint32_t count = take(least, most, cap);

	return count && !event_map(va, EXO_MAP_READ | EXO_MAP_WRITE, *cap, 0, count) ? count : 0;
}

const struct exo_env_info *event_self(void)
{
	static bool mapped;
	const struct exo_table_info *envs = &core_info->envs;
	uint64_t at = envs->offset + (uint64_t)(uint32_t)core_disp->self * envs->stride;

	if (!mapped && event_map(EVENT_SELF_AT, EXO_MAP_READ, core_named(EXO_NAME_INFO), (uint32_t)(at / EXO_PAGE_SIZE), 1) < 0)
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
	if (!event_frames(stack, stack, EVENT_STACK_AT, &cap))
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
