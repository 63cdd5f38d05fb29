/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * space_create, space_table, space_write, space_seal: what they do, each of their errors, and abuse.
 */
#include "test/guest/agent.h"

#define R	EXO_MAP_READ
#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)
#define RX	(EXO_MAP_READ | EXO_MAP_EXEC)
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)

static exo_cap_t own, console;
static exo_vaddr_t va; /* 700 pages of the own space, over two tables */

/* Descriptors 0..count-1 are written; results before anything is printed over them. */
static int64_t batch(exo_cap_t space, unsigned count, uint64_t *old)
{
	int64_t done = exo_space_write(space, 0, count);

	for (unsigned i = 0; old && i < count && i < 128; i++)
		old[i] = ((volatile struct exo_map *)core_arg(0))[i].old;
	return done;
}

static int64_t one(uint64_t va_flags, exo_cap_t cap, uint32_t first, uint32_t count)
{
	return write_one(own, va_flags, cap, first, count);
}

/* The own entry of a page, from the table of pages that maps it: what unmapping returns. */
static uint64_t taken_out(exo_vaddr_t at)
{
	uint64_t old;

	descriptor(0, at, 0, 0, 1);
	return batch(own, 1, &old) == 1 ? old : ~1ULL;
}

static void create(void)
{
	exo_cap_t frames = take_frames(7), space;
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	uint32_t slot = caps_slot();

	is(exo_space_create(slot, NO_CAP, 0), -EXO_ECAP, "create CAP");
	is(exo_space_create(slot, console, 0), -EXO_ETYPE, "create TYPE");
	is(exo_space_create(slot, read_only, 0), -EXO_ERIGHTS, "create RIGHTS");
	is(exo_space_create(slot, frames, 7), -EXO_ERANGE, "create RANGE");
	is(exo_space_create(exo_cap_slot(frames), frames, 0), -EXO_ESLOT, "create SLOT: in use");
	is(exo_space_create(0, frames, 0), -EXO_ESLOT, "create SLOT: 0");
	space_map(va, R, frames, 0, 1);
	is(exo_space_create(slot, frames, 0), -EXO_EBUSY, "create BUSY: mapped");
	space_map(va, 0, 0, 0, 1);
	space = made(slot, exo_space_create(slot, frames, 0));
	ok(space && cap_of(space)->type == EXO_TYPE_SPACE, "create");
	is(exo_space_create(caps_slot(), frames, 0), -EXO_EBUSY, "create BUSY: a kernel object");
	exo_cap_t weak = (exo_cap_t)caps_derive(space, EXO_RIGHT_READ, 0, 0);

	is(exo_space_table(NO_CAP, 0, 3, frames, 1), -EXO_ECAP, "table CAP");
	is(exo_space_table(frames, 0, 3, frames, 1), -EXO_ETYPE, "table TYPE");
	is(exo_space_table(weak, 0, 3, frames, 1), -EXO_ERIGHTS, "table RIGHTS: space");
	is(exo_space_table(space, 0, 3, NO_CAP, 1), -EXO_ECAP, "table CAP: frames");
	is(exo_space_table(space, 0, 3, space, 1), -EXO_ETYPE, "table TYPE: frames");
	is(exo_space_table(space, 0, 3, read_only, 1), -EXO_ERIGHTS, "table RIGHTS: frames");
	is(exo_space_table(space, 0, 3, frames, 7), -EXO_ERANGE, "table RANGE");
	is(exo_space_table(space, 0, 1, frames, 5), -EXO_ERANGE, "table RANGE: three are needed");
	is(exo_space_table(space, 0, 0, frames, 1), -EXO_EINVAL, "table INVAL: level 0");
	is(exo_space_table(space, 0, 5, frames, 1), -EXO_EINVAL, "table INVAL: level 5");
	is(exo_space_table(space, 0, EXO_LEVEL_LARGE, frames, 5), -EXO_ERANGE,
	    "table RANGE: for large pages, too");
	is(exo_space_table(space, 0, 1ULL << 32 | 1, frames, 1), -EXO_EINVAL,
	    "table INVAL: level beyond 32 bits");
	is(exo_space_table(space, EXO_USER_MAX, 3, frames, 1), -EXO_EINVAL, "table INVAL: address");
	is(exo_space_table(space, 0xffff800000000000, 3, frames, 1), -EXO_EINVAL,
	    "table INVAL: the kernel's half");
	is(exo_space_table(space, 1ULL << 63, 3, frames, 1), -EXO_EINVAL, "table INVAL: no address at all");
	is(exo_space_table(space, 0, 2, frames, 1), -EXO_ENOTABLE, "table NOTABLE");
	is(exo_space_table(space, 0, 1, frames, 1), -EXO_ENOTABLE, "table NOTABLE: level 1");
	is(exo_space_table(space, 0, 3, frames, 0), -EXO_EBUSY, "table BUSY: the root itself");
	is(exo_space_table(space, 0, 3, frames, 1), 0, "level 3");
	is(exo_space_table(space, 0x123456789, 3, frames, 2), -EXO_EBUSY, "table BUSY: there is one");
	is(exo_space_table(space, 0, 2, frames, 2), 0, "level 2");
	space_map(va, R, frames, 5, 1);
	is(exo_space_table(space, 0x400000, 1, frames, 3), -EXO_EBUSY,
	    "table BUSY: the last of the three is mapped");
	space_map(va, 0, 0, 0, 1);
	is(exo_space_table(space, 0x400000, 1, frames, 3), 0, "level 1");
	is(info_frame(pfn_of(frames) + 3)->state, EXO_FRAME_TABLE, "a table");
	is(info_frame(pfn_of(frames) + 4)->state, EXO_FRAME_LINKS, "and its links");
	is(write_one(space, 0x400000 | RW, frames, 6, 1), 1, "a page in it");
	is(exo_cap_delete(weak), 0, "one capability of the space goes");
	is(exo_cap_delete(space), 0, "the last takes it apart");
	is(info_frame(pfn_of(frames) + 4)->state, EXO_FRAME_OWNED, "its tables are ordinary memory");
	is(exo_frame_give(frames, 1), -EXO_EBUSY, "still covered by another");
	caps_delete(read_only);
	is(exo_frame_give(frames, 7), 7, "and can be given");
}

static void mapping(exo_cap_t frames)
{
	volatile uint64_t *page = (volatile uint64_t *)va;
	exo_pfn_t pfn = pfn_of(frames);
	uint64_t old[4];

	is(one(va | RW, frames, 0, 1), 1, "map");
	page[0] = 77;
	uint64_t entry = taken_out(va);
	ok((entry & EXO_PTE_FRAME) >> EXO_PAGE_SHIFT == pfn && (entry & EXO_PTE_PRESENT) &&
		(entry & EXO_PTE_DIRTY) && (entry & EXO_PTE_ACCESSED),
	    "unmap shows frame, accessed and dirty");
	is((int64_t)taken_out(va), 0, "a second time nothing");
	is(one(va | RW, frames, 0, 4), 1, "map a run");
	ok(page[0] == 77 && page[512] == 0, "the same frame, the same contents");
	page[512] = 78;
	page[1024] = 79;
	is(one(va | R, 0, 0, 4), 1, "protect a run");
	is(one(va | RW, 0, 0, 4), 1, "and unprotect it");
	is(one((va + 0x1000) | RX, 0, 0, 1), 1, "or make one executable");
	is(one(va | R, 0, 0, 4), 1, "protect a run");
	is(one(va | R, frames, 3, 1), 1, "another frame in its place");
	ok(page[0] == 0, "it is another");
	descriptor(0, va | R, frames, 2, 1);
	descriptor(1, va + 0x1000, 0, 0, 1);
	descriptor(2, (va + 0x5000) | RW, frames, 4, 1);
	descriptor(3, (va + 0x2000) | RW, frames, 1, 1);
	is(batch(own, 4, old), 4, "a batch of several kinds");
	ok((old[0] & EXO_PTE_FRAME) >> 12 == pfn + 3u && (old[1] & EXO_PTE_FRAME) >> 12 == pfn + 1u &&
		!old[2] && (old[3] & EXO_PTE_FRAME) >> 12 == pfn + 2u,
	    "with what was there before");
	ok(page[0] == 79 && page[1024] == 78, "the pages are as written");
	is(one(va, 0, 0, 16), 1, "unmap a stretch with holes");
	is(info_frame(pfn)->holds, 1, "the frames are as before");
}

/* What is wrong in the second of three descriptors ends the batch behind the first. */
static void stops(exo_cap_t frames)
{
	descriptor(0, va | RW, frames, 0, 1);
	descriptor(1, (va + 0x1000) | RW, frames, 99, 1);
	descriptor(2, (va + 0x2000) | RW, frames, 2, 1);
	is(batch(own, 3, NULL), 1, "as many are done as are right");
	is((int64_t)taken_out(va + 0x2000), 0, "those behind are not");
	taken_out(va);
	for (unsigned i = 0; i < 127; i++)
		descriptor(i, (va + i * 0x1000) | R, frames, 0, 1);
	int64_t done = batch(own, 127, NULL);
	ok(done > 60 && done <= 127, "a batch ends at the bound (%ld)", (long)done);
	is(one(va, 0, 0, 128), 1, "unmap 128 pages");
	descriptor(0, va | R, frames, 0, 8);
	descriptor(1, (va + 0x10000), 0, 0, 128);
	done = batch(own, 2, NULL);
	is(done, 1, "one that would pass the bound waits for the next call");
	one(va, 0, 0, 128);
}

static void errors(exo_cap_t frames)
{
	static const uint64_t bad_va[] = { 0, EXO_USER_MAX, EXO_USER_MAX - 0x1000 * 7, 0x800000000000,
		0xffff800000000000, 0xfffffffffffff000 };
	exo_cap_t weak = (exo_cap_t)caps_derive(own, EXO_RIGHT_READ, 0, 0);
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	exo_cap_t no_read = (exo_cap_t)caps_derive(frames, EXO_RIGHT_WRITE, 0, 0);
	bool good = true;

	is(write_one(NO_CAP, va, 0, 0, 1), -EXO_ECAP, "write CAP: space");
	is(write_one(frames, va, 0, 0, 1), -EXO_ETYPE, "write TYPE: space");
	is(write_one(weak, va, 0, 0, 1), -EXO_ERIGHTS, "write RIGHTS: space");
	is(one(va | R, NO_CAP, 0, 1), -EXO_ECAP, "write CAP");
	is(one(va | R, console, 0, 1), -EXO_ETYPE, "write TYPE");
	is(one(va | RW, read_only, 0, 1), -EXO_ERIGHTS, "write RIGHTS: WRITE");
	is(one(va | RX, read_only, 0, 1), -EXO_ERIGHTS, "write RIGHTS: EXEC");
	is(one(va | R, no_read, 0, 1), -EXO_ERIGHTS, "write RIGHTS: READ");
	is(one(va | RW, read_only, 0, 3), -EXO_ERIGHTS, "write RIGHTS: a run");
	is(one(va | R, frames, 12, 1), -EXO_ERANGE, "write RANGE");
	is(one(va | R, frames, 11, 2), -EXO_ERANGE, "write RANGE: a run");
	is(one(va | R, frames, 0xffffffff, 2), -EXO_ERANGE, "write RANGE: wraps");
	is(one(va | EXO_MAP_WRITE, frames, 0, 1), -EXO_EINVAL, "write INVAL: writable only");
	is(one(va | RW | EXO_MAP_EXEC, frames, 0, 1), -EXO_EINVAL, "write INVAL: writable and executable");
	is(one(va | RW | EXO_MAP_EXEC, 0, 0, 1), -EXO_EINVAL, "write INVAL: that without a capability");
	is(one(va | 0x10, frames, 0, 1), -EXO_EINVAL, "write INVAL: an unknown flag");
	is(one(va | 0x801, frames, 0, 1), -EXO_EINVAL, "write INVAL: another");
	is(one(va | R, frames, 0, 0), -EXO_EINVAL, "write INVAL: no pages");
	is(one(va, 0, 0, EXO_MAP_BATCH_MAX + 1), -EXO_EINVAL, "write INVAL: too many");
	is(one(va, 0, 0, 0xffffffff), -EXO_EINVAL, "write INVAL: far too many");
	is(exo_space_write(own, 4, 1), -EXO_EINVAL, "write INVAL: offset");
	is(exo_space_write(own, 4096 - 24, 1), -EXO_EINVAL, "write INVAL: beyond the frame");
	is(exo_space_write(own, 4096 - 32, 2), -EXO_EINVAL, "write INVAL: descriptors beyond the frame");
	is(exo_space_write(own, 1ULL << 32, 1), -EXO_EINVAL, "write INVAL: offset beyond 32 bits");
	is(exo_space_write(own, ~7ULL, 1), -EXO_EINVAL, "write INVAL: a sum that wraps");
	is(exo_space_write(own, 0, 0), -EXO_EINVAL, "write INVAL: no descriptor");
	is(exo_space_write(own, 0, 1ULL << 59), -EXO_EINVAL, "write INVAL: a product that wraps");
	is(exo_space_write(own, 0, ~0ULL), -EXO_EINVAL, "write INVAL: as many as there are numbers");
	for (unsigned i = 0; i < 6; i++)
		good = good && one(bad_va[i] | R, frames, 0, i == 2 ? 8 : 1) == -EXO_EINVAL;
	ok(good, "write INVAL: addresses that are not the user's");
	is(one(0x600000000000 | R, frames, 0, 1), -EXO_ENOTABLE, "write NOTABLE");
	is(one(0x600000000000, 0, 0, 1), -EXO_ENOTABLE, "write NOTABLE: to unmap");
	is(one(0x600000000000 | R, 0, 0, 1), -EXO_ENOTABLE, "write NOTABLE: to protect");
	caps_delete(no_read);
	caps_delete(read_only);
	caps_delete(weak);
}

/* What may be seen but not written, and what may not be seen at all. */
static void states(exo_cap_t frames)
{
	exo_pfn_t pfn = pfn_of(frames), bad = 0;
	struct tiny agent;
	bool refused;

	if (!ok(agent_make(&agent, 0), "an environment to look at"))
		return;
	is(one(va | R, agent.frames, TINY_ROOT, 1), 1, "its root table can be read");
	is(one(va | R, agent.frames, TINY_LEAF, 1), 1, "a table of pages, too");
	is(one(va | R, agent.frames, TINY_CAPS_FRAME, 1), 1, "its capability table, too");
	for (unsigned i = 0; i < TINY_CODE_FRAMES; i++) {
		bool writable = i == TINY_DISP_FRAME || i == TINY_ARG_FRAME || i >= TINY_DATA_FRAME;
		refused = one(va | RW, agent.frames, i, 1) == -EXO_ESTATE;
		bad += refused == writable;
		refused = one(va | RX, agent.frames, i, 1) == -EXO_ESTATE;
		bad += refused == writable;
		refused = one(va | RW, agent.frames, i, 2) == -EXO_ESTATE;
		bad += i < TINY_CAPS_FRAME - 1 && i != TINY_DISP_FRAME && !refused;
		taken_out(va);
		taken_out(va + 0x1000);
	}
	is(bad, 0, "tables, links, capabilities and the environment are never writable or executable");
	is(one(va | R, agent.frames, TINY_ENV, 1), -EXO_ESTATE,
	    "STATE: the environment's frame cannot be read");
	is(one(va | R, agent.frames, TINY_LEAF + 1, 1), -EXO_ESTATE, "STATE: nor links");
	is(one(va | R, agent.frames, TINY_LEAF, 2), -EXO_ESTATE, "STATE: in a run");
	ok(!taken_out(va) && !taken_out(va + 0x1000), "nothing is left of it");
	is(one(va | RW, core_named(EXO_NAME_INFO), 0, 1), -EXO_ERIGHTS,
	    "the exposed pages cannot be written");
	descriptor(0, va | R, frames, 0, 1);
	descriptor(1, (va + 0x1000) | RW, agent.frames, TINY_LEAF, 1);
	is(batch(own, 2, NULL), 1, "STATE: in a batch of singles");
	is((int64_t)taken_out(va + 0x1000), 0, "it was not done");
	taken_out(va);
	tiny_drop(&agent);
	is(info_frame(pfn)->holds, 1, "holds are as before");
}

/* What is taken away is gone at once, also from what the CPU remembers. */
static void stale(exo_cap_t frames)
{
	struct tiny agent;
	exo_cap_t child = (exo_cap_t)caps_derive(frames, RWX, 0, 8);

	if (!ok(agent_begin(&agent, 0), "an environment that is given pages"))
		return;
	is(write_one(agent.space, (TINY_CAPS + 0x1000) | RW, child, 0, 8), 1, "map in its space");
	space_map(va, R, child, 0, 8);
	uint64_t before = *(volatile uint64_t *)va;
	is(exo_cap_delete(child), 0, "the capability goes");
	uint64_t entry = taken_out(va);
	is((int64_t)entry, 0, "with the mappings made here");
	is(write_one(agent.space, TINY_CAPS + 0x1000, 0, 0, 8), 1, "and there");
	is(exo_env_read(agent.env, TINY_CAPS + 0x1000, 0, 8), -EXO_ERANGE, "nothing is mapped there");
	ok(before == before, "it could be read before");
	tiny_drop(&agent);
}

/* Rights go as far as those of the capability that each page was mapped through, and the dirty bit stays. */
static void rights(exo_cap_t frames)
{
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	volatile uint64_t *page = (volatile uint64_t *)va;
	struct tiny agent;
	uint64_t old[3];

	is(one(va | R, frames, 0, 2), 1, "two pages, to read");
	is(one((va + 0x2000) | R, read_only, 2, 1), 1, "a third through a weaker capability");
	is(one(va | RW, 0, 0, 2), 1, "two become writable");
	page[0] = page[512] = 80;
	is(one(va | RW, 0, 0, 3), -EXO_ERIGHTS, "RIGHTS: not the third");
	descriptor(0, va | R, 0, 0, 1);
	descriptor(1, (va + 0x1000) | RX, 0, 0, 1);
	descriptor(2, (va + 0x2000) | RX, 0, 0, 1);
	is(batch(own, 3, old), 2, "RIGHTS: in a batch of singles");
	ok(old[0] & old[1] & EXO_PTE_DIRTY, "the two were dirty");
	ok(taken_out(va) & EXO_PTE_DIRTY && taken_out(va + 0x1000) & EXO_PTE_DIRTY, "and still are");
	is(space_protect_page(va + 0x1000, RW), 0, "what is not mapped changes nothing");
	is((int64_t)taken_out(va + 0x1000), 0, "and is not mapped by that");
	taken_out(va + 0x2000);
	if (!ok(agent_make(&agent, 0), "an environment with tables"))
		return;
	is(one(va | R, agent.frames, TINY_LEAF, 1), 1, "one of them, to read");
	is(one(va | RW, 0, 0, 1), -EXO_ERIGHTS, "RIGHTS: never to write");
	is(one(va | RX, 0, 0, 1), -EXO_ERIGHTS, "RIGHTS: nor to execute");
	taken_out(va);
	tiny_drop(&agent);
	caps_delete(read_only);
}

static int64_t large_one(exo_cap_t space, uint64_t va_flags, exo_cap_t cap, uint32_t first, uint32_t count)
{
	return write_one(space, va_flags | EXO_MAP_LARGE, cap, first, count);
}

static void large_errors(exo_cap_t space, exo_vaddr_t at, exo_cap_t frames)
{
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 256);

	is(large_one(space, (at + 0x1000) | R, frames, 0, 1), -EXO_EINVAL, "large INVAL: address");
	is(large_one(space, at | R | 0x20, frames, 0, 1), -EXO_EINVAL, "large INVAL: flag");
	is(large_one(space, at | EXO_MAP_WRITE, frames, 0, 1), -EXO_EINVAL, "large INVAL: writable only");
	is(large_one(space, at | RW | EXO_MAP_EXEC, frames, 0, 1), -EXO_EINVAL, "large INVAL: W and X");
	is(large_one(space, at | R, frames, 0, 0), -EXO_EINVAL, "large INVAL: none");
	is(large_one(space, at | R, frames, 0, EXO_LARGE_BATCH_MAX + 1), -EXO_EINVAL,
	    "large INVAL: too many");
	is(large_one(space, at | R, frames, 0, 0xffffffff), -EXO_EINVAL, "large INVAL: far too many");
	is(large_one(space, 0 | R, frames, 0, 1), -EXO_EINVAL, "large INVAL: page 0");
	is(large_one(space, 0x7fffffe00000 | R, frames, 0, 1), -EXO_EINVAL,
	    "large INVAL: the last addresses");
	is(large_one(space, 0xffff800000000000 | R, frames, 0, 1), -EXO_EINVAL, "large INVAL: the kernel's");
	is(large_one(space, at | R, frames, 1, 1), -EXO_EINVAL, "large INVAL: frame number");
	is(large_one(space, at | R, frames, 512, 2), -EXO_ERANGE, "large RANGE");
	is(large_one(space, at | R, frames, 0xfffffe00, 4), -EXO_ERANGE, "large RANGE: wraps");
	is(large_one(space, at | R, NO_CAP, 0, 1), -EXO_ECAP, "large CAP");
	is(large_one(space, at | R, own, 0, 1), -EXO_ETYPE, "large TYPE");
	is(large_one(space, at | RW, read_only, 0, 1), -EXO_ERIGHTS, "large RIGHTS");
	is(large_one(space, at | R, read_only, 0, 1), -EXO_ERANGE, "large RANGE: half a page");
	is(large_one(space, at + (1ULL << 30), 0, 0, 1), -EXO_ENOTABLE, "large NOTABLE");
	is(large_one(own, (va & ~0x1fffffULL) | R, frames, 0, 1), -EXO_ENOTABLE,
	    "large NOTABLE: not of the kind");
	caps_delete(read_only);
}

static void large(exo_vaddr_t at)
{
	int64_t taken = space_large_take(2);
	volatile uint64_t *page = (volatile uint64_t *)at;
	exo_cap_t frames = (exo_cap_t)taken, tables = take_frames(3);

	if (!ok(taken > 0 && tables, "1024 frames in a row"))
		return;
	is(pfn_of(frames) % 512, 0, "aligned");
	is(space_map_large(at, RW, frames, 0, 2), 0, "two large pages");
	page[0] = 1;
	page[0x3ffff0 / 8] = 2;
	large_errors(own, at, frames);
	is(exo_space_table(own, at, EXO_LEVEL_PAGES, tables, 0), -EXO_EBUSY,
	    "table BUSY: a large page is there");
	is(one(at | R, tables, 0, 1), -EXO_ENOTABLE, "NOTABLE: no page in one");
	is(exo_frame_give(frames, 1), -EXO_EBUSY, "its frames are mapped");
	is(exo_env_read(core_named(EXO_NAME_ENV), at + 0x3ffff0, 1024, 8), 8,
	    "they can be read from elsewhere");
	is((int64_t)*(volatile uint64_t *)core_arg(1024), 2, "right");
	is(space_protect_large(at, R, 2), 0, "protect them");
	int64_t done = large_one(own, at | RW, 0, 0, 1);
	uint64_t old = ((volatile struct exo_map *)core_arg(0))->old;
	ok(done == 1 && old & EXO_PTE_DIRTY, "unprotect one, which is dirty");
	page[1] = 3;
	is(one(va | R, frames, 1, 1), 1, "one of its frames by itself");
	is(large_one(own, at | R, frames, 512, 1), 1, "another in its place");
	is((int64_t)page[0x1ffff0 / 8], 2, "it is");
	is(space_map_large(at, 0, 0, 0, 2), 0, "unmap them");
	is(exo_space_table(own, at + 0x200000, EXO_LEVEL_PAGES, tables, 0), 0, "a table in place of one");
	is(large_one(own, at | R, frames, 0, 2), -EXO_EBUSY, "large BUSY");
	is(one((at + 0x200000) | RW, frames, 3, 1), 1, "with a page");
	is(large_one(own, at | R, frames, 0, 1), 1, "large and small at once");
	taken_out(va);
	is(caps_delete(frames), 0, "the frames go");
	is((int64_t)taken_out(at + 0x200000), 0, "with all mappings");
	done = large_one(own, at, 0, 0, 1);
	old = ((volatile struct exo_map *)core_arg(0))->old;
	ok(done == 1 && !old, "large ones, too");
	/* the tables stay for good, as linked tables do */
}

static void seal(exo_cap_t frames)
{
	exo_cap_t weak, code = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ | EXO_RIGHT_EXEC, 0, 0);
	struct tiny agent;

	if (!ok(agent_begin(&agent, 0), "an environment to seal"))
		return;
	weak = (exo_cap_t)caps_derive(agent.space, EXO_RIGHT_READ, 0, 0);
	is(write_one(agent.space, (TINY_CAPS + 0x1000) | RX, code, 0, 1), 1, "with a page of code");
	is(exo_space_seal(NO_CAP), -EXO_ECAP, "seal CAP");
	is(exo_space_seal(frames), -EXO_ETYPE, "seal TYPE");
	is(exo_space_seal(weak), -EXO_ERIGHTS, "seal RIGHTS");
	is(write_one(agent.space, (TINY_CAPS + 0x2000) | RX, code, 1, 1), 1, "not sealed by that");
	is(exo_space_seal(agent.space), 0, "seal");
	is(exo_space_seal(agent.space), 0, "twice");
	is(write_one(agent.space, TINY_CAPS + 0x1000, 0, 0, 1), -EXO_ESEALED, "SEALED: unmap");
	is(write_one(agent.space, (TINY_CAPS + 0x1000) | R, 0, 0, 1), -EXO_ESEALED, "SEALED: protect");
	is(write_one(agent.space, (TINY_CAPS + 0x1000) | RW, frames, 0, 1), -EXO_ESEALED, "SEALED: replace");
	is(write_one(agent.space, (TINY_CAPS + 0x3000) | RX, code, 0, 1), -EXO_ESEALED, "SEALED: more code");
	is(write_one(agent.space, TINY_CAPS, 0, 0, 8), -EXO_ESEALED, "SEALED: in a run");
	descriptor(0, (TINY_CAPS + 0x3000) | RW, frames, 3, 1);
	descriptor(1, (TINY_CAPS + 0x1000) | R, 0, 0, 1);
	is(batch(agent.space, 2, NULL), 1, "SEALED: in a batch");
	is(write_one(agent.space, (TINY_CAPS + 0x3000) | RX, 0, 0, 1), -EXO_ESEALED,
	    "SEALED: data into code");
	is(write_one(agent.space, TINY_CAPS + 0x3000, 0, 0, 1), 1, "data may go");
	is(agent_do(&agent, EXO_CALL_null, 0, 0, 0, 0, 0, 0), 0, "its own code runs");
	is(exo_cap_delete(code), 0, "the capability of the code goes");
	is(exo_env_read(agent.env, TINY_CAPS + 0x1000, 0, 8), -EXO_ERANGE, "and the mapping with it");
	is(write_one(agent.space, (TINY_CAPS + 0x1000) | RW, frames, 0, 1), 1, "something else comes there");
	caps_delete(weak);
	tiny_drop(&agent);
}

int main(void)
{
	own = core_named(EXO_NAME_SPACE);
	console = core_named(EXO_NAME_CONSOLE);
	va = vm_addresses(700 * EXO_PAGE_SIZE);
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		exo_cap_t frames = take_frames(12);
		for (unsigned i = 0; i < 700; i++)
			space_map(va + i * EXO_PAGE_SIZE, R, frames, 0, 1);
		for (unsigned i = 0; i < 700; i += 100)
			space_map(va + i * EXO_PAGE_SIZE, 0, 0, 0, 100);
		struct books before = books_now();
		create();
		mapping(frames);
		rights(frames);
		stops(frames);
		errors(frames);
		states(frames);
		stale(frames);
		seal(frames);
		if (round)
			ok(books_same(before), "the books are even");
		is(exo_cap_delete(frames), 0, "the frames go");
	}
	large(0x500000000000);
	is(space_seal(), 0, "the own space is sealed");
	is(one(PAGE_DOWN((uint64_t)main), 0, 0, 1), -EXO_ESEALED, "its code stays");
	is(one(PAGE_DOWN((uint64_t)main) | RW, 0, 0, 1), -EXO_ESEALED, "as it is");
	is(one(va, 0, 0, 1), 1, "the rest goes on");
	return call_done();
}
