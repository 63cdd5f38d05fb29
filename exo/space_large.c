/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of 2 MiB: entries of tables of EXO_LEVEL_LARGE, made, changed and taken out as those of ordinary
 * pages are, through the same rings.
 *
 * A large page maps 512 frames, and each of them counts it (S2), so all that holds for a mapped frame holds
 * for every one of them whatever size of page maps it: that costs a few hundred instructions a page, and
 * spares every other file the question. It is checked frame by frame, too: nothing tells that 512 frames
 * are in the same state.
 */
#include "exo/spaces.h"

static void count_maps(exo_pfn_t pfn, uint32_t by)
{
	struct frame *frame = &frame_table[pfn], *end = frame + EXO_LARGE_FRAMES;

	for (; frame != end; frame += 4) {
		frame[0].maps += by;
		frame[1].maps += by;
		frame[2].maps += by;
		frame[3].maps += by;
	}
}

void space_large_unmaps(uint64_t old)
{
	exo_pfn_t pfn = entry_frame(old), end = pfn + EXO_LARGE_FRAMES;

	count_maps(pfn, -1U);
	for (; unlikely(frames_left) && pfn < end; pfn++)
		if (frame_table[pfn].maps & FRAME_LEFT)
			frame_left(pfn);
}

/* Which states its frames are in, a bit each. */
static uint32_t states_of(exo_pfn_t pfn)
{
	const struct exo_frame_info *at = &info_frame[pfn], *end = at + EXO_LARGE_FRAMES;
	uint32_t seen = 0;

	for (; at != end; at += 4)
		seen |= 1U << at[0].state | 1U << at[1].state | 1U << at[2].state | 1U << at[3].state;
	return seen;
}

/* Entries for `count` large pages from va on: 0 or an error. */
static int64_t find(exo_pfn_t root, uint64_t va, uint32_t count, uint64_t **entry)
{
	uint32_t i;

	if (count == 0 || count > EXO_LARGE_BATCH_MAX || va % LARGE_BYTES || va < EXO_USER_MIN ||
	    va >= EXO_USER_MAX || count > (EXO_USER_MAX - va) / LARGE_BYTES)
		return ERR(INVAL);
	if (frame_table[root].flags & SPACE_EMPTYING)
		return ERR(NOTABLE);
	for (i = 0; i < count; i++) {
		entry[i] = space_walk(root, va + i * LARGE_BYTES, 2);
		if (!entry[i] || entry_table(entry[i])->level != TABLE_LARGE)
			return ERR(NOTABLE);
		if (*entry[i] && !(*entry[i] & EXO_PTE_LARGE))
			return ERR(BUSY);
	}
	return 0;
}

/* May the entries be touched, and become executable? */
static int64_t code(exo_pfn_t root, unsigned flags, uint32_t count, uint64_t *const *entry)
{
	uint32_t i;

	if (!(frame_table[root].flags & SPACE_SEALED)) {
		for (i = 0; i < count && flags & EXO_MAP_EXEC; i++)
			entry_table(entry[i])->flags |= TABLE_CODE;
		return 0;
	}
	for (i = 0; i < count; i++)
		if (*entry[i] && entry_is_code(*entry[i]))
			return ERR(SEALED);
	return flags & EXO_MAP_EXEC ? ERR(SEALED) : 0;
}

static int64_t protect(uint64_t va, unsigned flags, uint32_t count, uint64_t *const *entry,
    struct stale *stale, uint64_t *all)
{
	uint64_t bits = bits_of(flags, MAP_RIGHTS), old;
	uint32_t i;

	for (i = 0; i < count; i++)
		if (*entry[i] && entry_lacks(*entry[i], flags))
			return ERR(RIGHTS);
	for (i = 0; i < count; i++) {
		old = *entry[i];
		if (old && (old ^ bits) & PTE_RIGHTS) {
			old = entry_protect(entry[i], old, bits);
			stale_note(stale, old, va + i * LARGE_BYTES);
		}
		*all |= old;
	}
	return 0;
}

static int64_t make(uint64_t va, exo_pfn_t pfn, unsigned flags, uint64_t bits, struct exo_cap *cap,
    uint32_t count, uint64_t *const *entry, struct stale *stale, uint64_t *all)
{
	uint64_t to[EXO_LARGE_BATCH_MAX], old;
	uint32_t i, seen;

	if (pfn % EXO_LARGE_FRAMES)
		return ERR(INVAL);
	for (i = 0; i < count; i++, pfn += EXO_LARGE_FRAMES) {
		seen = states_of(pfn);
		if (seen & (~space_states[flags] | FRAME_STATE(DEVICE)))
			return ERR(STATE);
		to[i] = bits | EXO_PTE_LARGE | (uint64_t)pfn << EXO_PAGE_SHIFT;
		if (seen & ~FRAME_WRITABLE)
			to[i] &= ~(uint64_t)PTE_MAY;
	}

	for (i = 0; i < count; i++) {
		old = *entry[i] ? space_cut(entry[i]) : 0;
		*all |= old;
		stale_note(stale, old, va + i * LARGE_BYTES);
		count_maps(entry_frame(to[i]), 1);
		*entry[i] = to[i];
		ring_insert(cap, through_cap(cap), entry[i]);
	}
	return 0;
}

int64_t space_write_large(const struct env *env, exo_pfn_t root, const struct exo_map *map,
    struct stale *stale, uint64_t *old)
{
	unsigned flags = map->va & MAP_RIGHTS;
	uint64_t va = map->va & ~(uint64_t)(EXO_MAP_LARGE | MAP_RIGHTS), *entry[EXO_LARGE_BATCH_MAX];
	uint64_t bits, was;
	struct exo_cap *cap;
	exo_pfn_t pfn;
	int64_t error;
	uint32_t i;

	if (flags && !bits_of(flags, MAP_RIGHTS))
		return ERR(INVAL);
	error = find(root, va, map->count, entry);
	if (!error)
		error = code(root, flags, map->count, entry);
	if (error)
		return error;
	if (flags && !map->cap)
		return protect(va, flags, map->count, entry, stale, old);
	if (flags) {
		cap = space_through(env, map, EXO_LARGE_FRAMES, *entry[0], &pfn, &bits, &error);
		if (cap)
			error = make(va, pfn, flags, bits, cap, map->count, entry, stale, old);
		if (!error)
			space_mapped(cap, pfn, map->count * EXO_LARGE_FRAMES, bits);
		return error;
	}
	for (i = 0; i < map->count; i++) {
		was = *entry[i] ? space_cut(entry[i]) : 0;
		*old |= was;
		stale_note(stale, was, va + i * LARGE_BYTES);
	}
	return 0;
}
