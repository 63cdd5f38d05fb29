/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving pages, so that the unused frames of a run come to lie at its end, where they can be given back
 * (frame.h).
 *
 * Only pages that are known to be plain memory of this program move: those of regions with core's own pagers,
 * and what givers move themselves (revoke.h); their frames are ordinary and covered by the allocator's
 * capability alone. What is mapped where, the page tables say: a lowering that changes nothing returns the
 * entries. A page is copied and mapped anew with upcalls off and without a touch of the stack between, since
 * it may be the stack's own.
 *
 * It costs a look at every page of those regions for each MOVES pages that move; only who owes frames pays
 * it.
 */
#include "libos/core/revoke.h"
#include "libos/vm/vm.h"

#define MOVES	64	/* pages that one look finds */
#define LOOKS	16	/* that one call has */
#define BATCH	64
/* In the low 2 MiB, whose page tables every creator links: nobody may need frames to give frames back. */
#define WINDOW	0x1f000ULL
#define TABLE	0x1e000ULL

struct page {
	exo_vaddr_t va;
	exo_pfn_t pfn;
	unsigned flags;
};

static struct page found[MOVES];

/* What the frame table says, read through a window, so that no page table has to be linked for it. */
static bool movable(exo_pfn_t pfn)
{
	uint64_t at = core_info->frames.offset + (uint64_t)core_info->frames.stride * pfn;
	const struct exo_frame_info *info = (const struct exo_frame_info *)(TABLE + at % EXO_PAGE_SIZE);
	exo_cap_t cap = core_named(EXO_NAME_INFO);

	if (space_map(TABLE, EXO_MAP_READ, cap, (uint32_t)(at / EXO_PAGE_SIZE), 1))
		return false;
	return info->state == EXO_FRAME_OWNED && info->holds == 1;
}

/* Pages of [va, va + pages) whose frames are in [first, end). */
static unsigned look_at(exo_vaddr_t va, uint32_t pages, unsigned flags, exo_pfn_t first, exo_pfn_t end,
			unsigned count)
{
	struct exo_map *map = core_arg(0);

	for (uint32_t i = 0; i < pages; i++)
		map[i] = (struct exo_map){ (va + (exo_vaddr_t)i * EXO_PAGE_SIZE) | flags, EXO_CAP_NONE, 0, 1,
					   0 };
	int64_t done = exo_space_write(space_own(), 0, pages);
	for (int64_t i = 0; i < done && count < MOVES; i++) {
		exo_pfn_t pfn = (exo_pfn_t)((map[i].old & EXO_PTE_FRAME) >> EXO_PAGE_SHIFT);
		if (map[i].old & EXO_PTE_PRESENT && pfn >= first && pfn < end)
			found[count++] = (struct page){ va + (exo_vaddr_t)i * EXO_PAGE_SIZE, pfn, flags };
	}
	return count;
}

static unsigned look(exo_pfn_t first, exo_pfn_t end)
{
	unsigned count = 0;

	for (struct vm_region *region = vm_first(); region; region = region->next) {
		if (region->pager != vm_zero_pager && region->pager != vm_stack_pager)
			continue;
		for (exo_vaddr_t va = region->start; va < region->end && count < MOVES;
		     va += BATCH * EXO_PAGE_SIZE) {
			uint64_t pages = (region->end - va) / EXO_PAGE_SIZE;
			count = look_at(va, pages < BATCH ? (uint32_t)pages : BATCH, region->flags, first,
					end, count);
		}
	}
	return count;
}

/* Copy a page, then map it as the descriptor at CORE_ARG_FAULT says. */
static int64_t copy_and_map(void *to, const void *from, exo_cap_t space)
{
	uint64_t count = EXO_PAGE_SIZE / 8;
	int64_t result;

	__asm__ volatile(
		"rep movsq\n\t"
		"movq %[space], %%rdi\n\t"
		"movl %[offset], %%esi\n\t"
		"movl $1, %%edx\n\t"
		"movl %[number], %%eax\n\t"
		"syscall"
		: "=&a"(result), "+D"(to), "+S"(from), "+c"(count)
		: [space] "r"(space), [offset] "i"(CORE_ARG_FAULT), [number] "i"(EXO_CALL_space_write)
		: "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
	return result;
}

bool frame_move(exo_vaddr_t va, unsigned flags, exo_pfn_t from, const struct frame *to)
{
	volatile uint32_t *off = &core_disp->off;
	struct exo_map *map = core_arg(CORE_ARG_FAULT);

	if (!movable(from) || space_map_frame(WINDOW, EXO_MAP_READ | EXO_MAP_WRITE, to))
		return false;
	*off = EXO_OFF_YES;
	*map = (struct exo_map){ va | flags, to->cap, to->first, 1, 0 };
	int64_t done = copy_and_map((void *)WINDOW, (const void *)va, space_own());
	*off = EXO_OFF_NO;
	space_map(WINDOW, 0, EXO_CAP_NONE, 0, 1);
	return done == 1;
}

/* Move what is in use in [first, end) to frames elsewhere; returns how many were found, 0: nothing moved. */
static unsigned empty(exo_pfn_t first, exo_pfn_t end)
{
	unsigned count = look(first, end), moved = 0;
	struct frame to;

	revoke_vacate(first, end);
	while (moved < count && frame_alloc_outside(first, end, &to)) {
		if (!frame_move(found[moved].va, found[moved].flags, found[moved].pfn, &to)) {
			frame_free(to.pfn);
			break;		/* what lies before it cannot be given back */
		}
		frame_free(found[moved++].pfn);
	}
	return moved ? count : 0;
}

uint32_t frame_pack(uint32_t count)
{
	uint32_t held = frame_held(), looks = LOOKS;
	struct frame_run run;

	core_stack();
	for (uint32_t i = frame_runs(); i-- > 0 && held - frame_held() < count;) {
		unsigned seen = MOVES;
		while (seen == MOVES && looks && frame_run_at(i, &run)) {
			uint32_t left = count - (held - frame_held());
			looks--;
			seen = empty(run.first + (run.count > left ? run.count - left : 1),
				     run.first + run.count);
			frame_give_back(left);
			if (held - frame_held() >= count)
				break;
		}
	}
	return held - frame_held();
}
