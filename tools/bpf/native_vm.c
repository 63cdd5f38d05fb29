/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine code in a program of Exo's: frames of its own, mapped writable first, then executable, never both. One program's
 * code at a time: the next one takes its place.
 */
#include <stdlib.h>
#include "libos/core/space.h"
#include "libos/vm/vm.h"
#include "tools/bpf/host.h"

static struct {
	exo_vaddr_t va;
	struct frame frame;
	uint32_t pages;
} place;

static bool need_pages(uint32_t pages)
{
	if (pages <= place.pages)
		return true;
	place.pages = 0;
	place.va = vm_addresses((uint64_t)pages * EXO_PAGE_SIZE);
	if (!place.va || !frame_alloc_run(pages, &place.frame))
		return false;
	place.pages = pages;
	return true;
}

static bool map_place(unsigned flags)
{
	return space_map(place.va, flags, place.frame.cap, place.frame.first, place.pages) == 0;
}

static void compile(struct bpf_compile *work)
{
	arch_bpf_compile_begin(work);
	while (arch_bpf_compile_step(work, 10000) > 0)
		continue;
}

struct native native_make(const struct bpf_program *program, uint64_t key)
{
	struct bpf_compile work = { .program = program, .key = key };
	struct native made = { .run = NULL };

	work.at = calloc(program->insns + 1, sizeof(*work.at));
	if (!work.at)
		return made;
	compile(&work);
	made.bytes = work.bytes;
	if (need_pages((uint32_t)(PAGE_UP(work.bytes) / EXO_PAGE_SIZE)) && map_place(EXO_MAP_READ | EXO_MAP_WRITE)) {
		work.out = (uint8_t *)place.va;
		work.room = (size_t)place.pages * EXO_PAGE_SIZE;
		compile(&work);
		if (map_place(EXO_MAP_READ | EXO_MAP_EXEC))
			made.run = (bpf_native_fn *)place.va;
		made.map = (void *)place.va;
		made.map_bytes = work.room;
	}
	free(work.at);
	return made;
}

void native_free(struct native *native)
{
	native->run = NULL;
}
