/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store of pages in the program's own memory: as many frames as it has pages, mapped always. For regions
 * whose frames are few because they are coloured, large or promised to others, and for tests.
 */
#include <string.h>
#include "libos/vm/pager.h"

static const char *memory_read(struct pager_store *store, uint32_t page, void *to)
{
	struct pager_memory *memory = (struct pager_memory *)store;

	memcpy(to, (const void *)area_page(&memory->area, page), EXO_PAGE_SIZE);
	return NULL;
}

static const char *memory_write(struct pager_store *store, uint32_t page, const void *from)
{
	struct pager_memory *memory = (struct pager_memory *)store;

	memcpy((void *)area_page(&memory->area, page), from, EXO_PAGE_SIZE);
	return NULL;
}

bool pager_memory_make(struct pager_memory *memory, uint32_t pages)
{
	*memory = (struct pager_memory){ { memory_read, memory_write, false }, { 0 }, pages };
	if (!area_take(&memory->area, pages))
		return false;
	if (area_fill(&memory->area, 0, pages))
		return true;
	area_give(&memory->area);
	return false;
}

void pager_memory_drop(struct pager_memory *memory)
{
	area_empty(&memory->area, 0, memory->pages);
	area_give(&memory->area);
}
