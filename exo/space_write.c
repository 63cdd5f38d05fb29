/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing page-table entries: exo_space_write, and the same for the kernel's own start.
 *
 * A descriptor is read once and done wholly or not at all; what it may map is checked against its capability
 * here and nowhere again. The three ways, from the fastest: one page in a call (write_one); groups of single
 * pages that have leaf table and flags in common (group_*); everything else, runs of pages above all
 * (write_descriptor). They differ in cost only: each leaves to the next what is not its case. Invalidations
 * are gathered over a call and done at its end.
 */
#include "exo/spaces.h"

#define LONG_WAY	3	/* pages that a descriptor costs more that is not done in a group, or begins one */

/* Pages [va, va + count), which may lie under two leaf tables: their entries there. */
struct stretch {
	uint64_t va;
	uint32_t count;
	struct part {
		uint64_t *entry;
		uint32_t count;
	} part[2];
};

static inline uint64_t *stretch_entry(const struct stretch *s, uint32_t i)
{
	return i < s->part[0].count ? s->part[0].entry + i : s->part[1].entry + (i - s->part[0].count);
}

static bool part_has_code(const struct part *part)
{
	const uint64_t *entry = part->entry, *end = entry + part->count;

	for (; entry != end; entry++)
		if (*entry && entry_is_code(*entry))
			return true;
	return false;
}

/* The space is sealed or being emptied, or the stretch may become executable: 0 or an error. */
static rarely int64_t stretch_code(const struct stretch *s, exo_pfn_t root, unsigned flags)
{
	if (frame_table[root].flags & SPACE_EMPTYING)
		return ERR(NOTABLE);
	if (frame_table[root].flags & SPACE_SEALED) {
		if (flags & EXO_MAP_EXEC || part_has_code(&s->part[0]) || part_has_code(&s->part[1]))
			return ERR(SEALED);
		return 0;
	}
	entry_table(s->part[0].entry)->flags |= TABLE_CODE;
	if (s->part[1].count)
		entry_table(s->part[1].entry)->flags |= TABLE_CODE;
	return 0;
}

/* Bounds, tables and seal; 0 or an error. */
static int64_t stretch_find(struct stretch *s, exo_pfn_t root, uint64_t va, uint32_t count, unsigned flags)
{
	uint32_t under = PT_ENTRIES - table_index(va, 1);

	if (count == 0 || count > EXO_MAP_BATCH_MAX)
		return ERR(INVAL);
	if (va < EXO_USER_MIN || va >= EXO_USER_MAX || count > (EXO_USER_MAX - va) >> EXO_PAGE_SHIFT)
		return ERR(INVAL);
	if (under > count)
		under = count;
	s->va = va;
	s->count = count;
	s->part[0].entry = space_walk(root, va, 1);
	s->part[0].count = under;
	s->part[1].entry = NULL;
	s->part[1].count = count - under;
	if (under < count)
		s->part[1].entry = space_walk(root, va + ((uint64_t)under << EXO_PAGE_SHIFT), 1);
	if (!s->part[0].entry || (under < count && !s->part[1].entry))
		return ERR(NOTABLE);
	if (unlikely(flags & EXO_MAP_EXEC || frame_table[root].flags & (SPACE_SEALED | SPACE_EMPTYING)))
		return stretch_code(s, root, flags);
	return 0;
}

static void unmap_part(const struct part *part, uint64_t va, struct stale *stale, uint64_t *all)
{
	uint64_t *entry = part->entry, *end = entry + part->count, old;

	for (; entry != end; entry++, va += EXO_PAGE_SIZE) {
		if (!*entry)
			continue;
		old = entry_remove(entry);
		*all |= old;
		stale_note(stale, old, va);
	}
}

/* Has a present entry less than may be needed? Mostly none is absent, and all have it. */
static bool part_lacks(const struct part *part, uint64_t needed)
{
	const uint64_t *entry = part->entry, *end = entry + part->count;
	uint64_t common = needed;

	for (; end - entry >= 4; entry += 4)
		common &= entry[0] & entry[1] & entry[2] & entry[3];
	for (; entry != end; entry++)
		common &= *entry;
	if (common == needed)
		return false;
	for (entry = part->entry; entry != end; entry++)
		if (*entry && needed & ~*entry)
			return true;
	return false;
}

static void protect_part(const struct part *part, uint64_t va, uint64_t bits, struct stale *stale,
    uint64_t *all)
{
	uint64_t *entry = part->entry, *end = entry + part->count, old, by, seen = 0;
	unsigned count = stale->count;

	bits &= PTE_RIGHTS;
	for (; entry != end; entry++, va += EXO_PAGE_SIZE) {
		old = *entry;
		if (!old)
			continue;
		by = bits - (old & PTE_RIGHTS);
		if (likely(by)) {
			old = entry_add(entry, by);
			if (likely(old & EXO_PTE_ACCESSED)) {
				if (count < STALE_MAX)
					stale->va[count] = va;
				count++;
			}
		}
		seen |= old;
	}
	stale->count = count;
	*all |= seen;
}

/* Keep the frames, change the rights; all entries' or none. */
static int64_t protect_stretch(const struct stretch *s, unsigned flags, struct stale *stale, uint64_t *old)
{
	uint64_t bits = bits_of(flags, MAP_RIGHTS), needed = may_bits(flags);

	if (needed && (part_lacks(&s->part[0], needed) || part_lacks(&s->part[1], needed)))
		return ERR(RIGHTS);
	protect_part(&s->part[0], s->va, bits, stale, old);
	protect_part(&s->part[1], s->va + ((uint64_t)s->part[0].count << EXO_PAGE_SHIFT), bits, stale, old);
	return 0;
}

/* An entry's bits for a frame in this state: one that may not be written never may. */
static inline uint64_t bits_for(uint64_t bits, exo_pfn_t pfn)
{
	if (unlikely(info_frame[pfn].state == EXO_FRAME_DEVICE))
		bits = (bits & ~(uint64_t)EXO_PTE_MAY_EXEC) | EXO_PTE_UNCACHED;
	else if (!(FRAME_WRITABLE >> info_frame[pfn].state & 1))
		bits &= ~(uint64_t)PTE_MAY;
	return bits | (uint64_t)pfn << EXO_PAGE_SHIFT;
}

/*
 * Absent entries from `entry` on map frames from pfn on, in one new stretch at the head of the capability's
 * ring. Stops at a present entry or a frame in another state than most; returns how many.
 */
static uint32_t map_fresh(uint64_t *entry, uint32_t count, exo_pfn_t pfn, unsigned flags, uint64_t bits,
    struct exo_cap *cap)
{
	uint64_t head = cap->bound, place = place_of(entry), *at = entry, *end = entry + count;
	const struct exo_frame_info *state = &info_frame[pfn];
	struct frame *frame = &frame_table[pfn];
	uint32_t states = bits & PTE_MAY ? FRAME_WRITABLE : space_states[flags] & ~FRAME_STATE(DEVICE);

	bits |= (uint64_t)pfn << EXO_PAGE_SHIFT;
	for (; at != end && !*at && states >> state->state & 1; at++, state++, frame++) {
		frame->maps++;
		*at = bits;
		at[PREV] = place - sizeof(*at);
		place += sizeof(*at);
		at[NEXT] = place;
		bits += EXO_PAGE_SIZE;
	}
	if (at == entry)
		return 0;
	at[NEXT - 1] = head;
	if (head)
		((uint64_t *)phys_to_virt(head))[PREV] = place - sizeof(*at);
	entry[PREV] = through_cap(cap);
	cap->bound = place_of(entry);
	return (uint32_t)(at - entry);
}

/* One entry maps a frame in place of what was there, if anything; returns that. */
static inline uint64_t map_over(uint64_t *entry, uint64_t to, struct exo_cap *cap)
{
	uint64_t old = entry_exchange(entry, to);

	if (old) {
		ring_remove(entry);
		frame_unmap(entry_frame(old));
	}
	frame_table[entry_frame(to)].maps++;
	ring_insert(cap, through_cap(cap), entry);
	return old;
}

/* The pages of a stretch from `done` on, the first of which cannot be mapped as most are; after an error, none of all. */
static rarely int64_t map_rest(const struct stretch *s, uint32_t done, exo_pfn_t pfn, unsigned flags, uint64_t bits,
    struct exo_cap *cap, struct stale *stale, uint64_t *all)
{
	uint64_t old, va = s->va + ((uint64_t)done << EXO_PAGE_SHIFT);
	uint32_t states = space_states[flags], i;

	for (i = done; i < s->count; i++)
		if (!(states >> info_frame[pfn + i].state & 1)) {
			while (done--)	/* another CPU may have seen it */
				stale_note(stale, entry_remove(stretch_entry(s, done)),
				    s->va + ((uint64_t)done << EXO_PAGE_SHIFT));
			return ERR(STATE);
		}
	for (i = done; i < s->count; i++, va += EXO_PAGE_SIZE) {
		old = map_over(stretch_entry(s, i), bits_for(bits, pfn + i), cap);
		*all |= old;
		stale_note(stale, old, va);
	}
	return 0;
}

/* All pages of a stretch map frames from pfn on; none does after an error. */
static int64_t map_stretch(const struct stretch *s, exo_pfn_t pfn, unsigned flags, uint64_t bits,
    struct exo_cap *cap, struct stale *stale, uint64_t *all)
{
	uint32_t done;

	done = map_fresh(s->part[0].entry, s->part[0].count, pfn, flags, bits, cap);
	if (done == s->part[0].count && done < s->count)
		done += map_fresh(s->part[1].entry, s->part[1].count, pfn + done, flags, bits, cap);
	return likely(done == s->count) ? 0 : map_rest(s, done, pfn, flags, bits, cap, stale, all);
}

/* One descriptor, whatever it asks for: 0 or an error. */
static out_of_line int64_t write_descriptor(const struct env *env, exo_pfn_t root, const struct exo_map *map,
    struct stale *stale, uint64_t *old)
{
	unsigned flags = map->va & EXO_MAP_FLAGS;
	struct stretch s;
	struct exo_cap *cap;
	uint64_t bits;
	exo_pfn_t pfn;
	int64_t error;

	*old = 0;
	if (flags & EXO_MAP_LARGE)
		return space_write_large(env, root, map, stale, old);
	if (flags > MAP_RIGHTS || (flags && !bits_of(flags, MAP_RIGHTS)))
		return ERR(INVAL);
	error = stretch_find(&s, root, map->va - flags, map->count, flags);
	if (error)
		return error;
	if (!flags) {
		unmap_part(&s.part[0], s.va, stale, old);
		unmap_part(&s.part[1], s.va + ((uint64_t)s.part[0].count << EXO_PAGE_SHIFT), stale, old);
		return 0;
	}
	if (!map->cap)
		return protect_stretch(&s, flags, stale, old);
	cap = cap_typed(env, map->cap, EXO_TYPE_FRAME);
	if (likely(cap && (bits = bits_of(flags, cap->rights)) &&
	    cap_frames(cap, map->first, map->count, &pfn)))
		return map_stretch(&s, pfn, flags, bits, cap, stale, old);
	cap = space_through(env, map, 1, *s.part[0].entry, &pfn, &bits, &error);
	if (cap)
		error = map_stretch(&s, pfn, flags, bits, cap, stale, old);
	if (!error)
		space_mapped(cap, pfn, map->count, bits);
	return error;
}

/* first and count of a descriptor as one word, read once. */
static inline uint64_t read_range(const struct exo_map *map)
{
	typedef uint64_t __attribute__((may_alias)) word;

	return *(const volatile word *)&map->first;
}
#define ONE_PAGE	(1ULL << 32)	/* first = 0 and count = 1, as one word */

/* The one descriptor of a call has been done, where the entry was `old`. */
static inline int64_t one_done(exo_pfn_t root, struct exo_map *map, uint64_t va, uint64_t old)
{
	write_once(map->old, old);
	return old & EXO_PTE_ACCESSED ? space_forget_page(root, va & ~(uint64_t)EXO_MAP_FLAGS) : 1;
}

/* It has unmapped one page that some sibling gave up. */
static out_of_line int64_t unmap_left(exo_pfn_t root, struct exo_map *map, uint64_t va, uint64_t old)
{
	frame_left(entry_frame(old));
	return one_done(root, map, va, old);
}

/* It unmaps one page. */
static out_of_line int64_t unmap_one(exo_pfn_t root, struct exo_map *map, uint64_t *entry, uint64_t va)
{
	uint64_t old = entry_exchange(entry, 0);

	if (old) {
		ring_remove(entry);
		if (unlikely((int32_t)--frame_table[entry_frame(old)].maps < 0))
			return unmap_left(root, map, va, old);
	}
	return one_done(root, map, va, old);
}

/* It maps one where something was. */
static out_of_line int64_t map_one_over(exo_pfn_t root, struct exo_map *map, uint64_t *entry, uint64_t va,
    struct exo_cap *cap, uint64_t to)
{
	uint64_t old = map_over(entry, to, cap);

	return one_done(root, map, va, old);
}

/* It changes the rights of one, through the capability that it was bound through last. */
static out_of_line int64_t raise_one(exo_pfn_t root, struct exo_map *map, uint64_t *entry, uint64_t va,
    uint64_t to)
{
	uint64_t old = entry_exchange(entry, to);

	return one_done(root, map, va, old);
}

/*
 * In a batch, descriptors of single pages are done in groups: under one leaf table, with the same flags. The
 * group's first says where and which; what does not belong to it, or is wrong, ends the group and is left to
 * write_descriptor. Entries made one after the other through one capability are chained as they come, and
 * enter its ring together.
 */
#define GROUP_KEY	(~(uint64_t)((PT_ENTRIES - 1) << EXO_PAGE_SHIFT))	/* leaf table and flags */
#define HOT_FLAGS	(EXO_MAP_READ | EXO_MAP_WRITE)	/* executable pages are never done in the fast ways */

/* A chain of entries, from the place of the first to that of the last, becomes the head of a ring. */
static inline void ring_insert_chain(struct exo_cap *cap, uint64_t first, uint64_t last)
{
	uint64_t head = cap->bound;

	((uint64_t *)phys_to_virt(first))[PREV] = through_cap(cap);
	((uint64_t *)phys_to_virt(last))[NEXT] = head;
	if (head)
		((uint64_t *)phys_to_virt(head))[PREV] = last;
	cap->bound = first;
}

/* What descriptors of a group have in common. */
struct group {
	uint64_t key;			/* address & GROUP_KEY */
	uint64_t leaf;			/* place of the leaf table */
	uint64_t bits;			/* of an entry for frame 0 */
	exo_cap_t handle;
	struct exo_cap *cap;
};

/* Map pages through one capability where nothing was, until something else comes; returns that. */
static inline struct exo_map *group_chain(const struct group *group, struct exo_map *map, struct exo_map *end)
{
	const struct exo_frame_info *state = info_frame;
	uint64_t va, index, place, first = 0, last = 0, *entry;
	struct exo_cap *cap = group->cap;
	struct frame *frame = frame_table;
	exo_pfn_t pfn;

	for (; map < end; map++) {
		va = read_once(map->va);
		index = read_range(map) - ONE_PAGE;
		if ((va & GROUP_KEY) != group->key || read_once(map->cap) != group->handle ||
		    index >= cap->count)
			break;
		pfn = (exo_pfn_t)(cap->first + index);
		place = group->leaf + (va >> 9 & (PT_ENTRIES - 1) << 3);
		entry = phys_to_virt(place);
		if (*entry || state[pfn].state != EXO_FRAME_OWNED)
			break;
		frame[pfn].maps++;
		*entry = group->bits | (uint64_t)pfn << EXO_PAGE_SHIFT;
		if (likely(last))
			((uint64_t *)phys_to_virt(last))[NEXT] = place;
		else
			first = place;
		entry[PREV] = last;
		last = place;
		write_once(map->old, 0);
	}
	if (last)
		ring_insert_chain(cap, first, last);
	return map;
}

/* One page of a group where something was, or of another frame than ordinary memory. False: neither. */
static rarely bool group_over(const struct group *group, struct exo_map *map, struct stale *stale)
{
	uint64_t va = read_once(map->va), index = read_range(map) - ONE_PAGE, old, *entry;
	struct exo_cap *cap = group->cap;
	exo_pfn_t pfn;

	if ((va & GROUP_KEY) != group->key || read_once(map->cap) != group->handle || index >= cap->count)
		return false;
	pfn = (exo_pfn_t)(cap->first + index);
	entry = phys_to_virt(group->leaf + (va >> 9 & (PT_ENTRIES - 1) << 3));
	if (!(space_states[va & MAP_RIGHTS] >> info_frame[pfn].state & 1))
		return false;
	old = map_over(entry, bits_for(group->bits, pfn), cap);
	stale_note(stale, old, va & ~(uint64_t)EXO_MAP_FLAGS);
	write_once(map->old, old);
	return true;
}

/* Map what belongs to a group that begins at `map` under a leaf table, through capabilities. */
static out_of_line struct exo_map *group_map(const struct env *env, const uint64_t *table, uint64_t key,
    struct exo_map *map, struct exo_map *end, struct stale *stale)
{
	struct group group;
	struct exo_map *next;

	group.key = key;
	group.leaf = place_of(table);
	while (map < end) {
		group.handle = read_once(map->cap);
		group.cap = cap_typed(env, group.handle, EXO_TYPE_FRAME);
		if (!group.cap)
			break;
		group.bits = bits_of(key & MAP_RIGHTS, group.cap->rights);
		if (!group.bits)
			break;
		next = group_chain(&group, map, end);
		if (next == map)
			while (next < end && group_over(&group, next, stale))
				next++;
		if (next == map)
			break;
		map = next;
	}
	return map;
}

/* The same for descriptors without a capability, which change rights. */
static out_of_line struct exo_map *group_protect(const uint64_t *table, uint64_t key, struct exo_map *map,
    struct exo_map *end, struct stale *stale)
{
	uint64_t bits = bits_of(key & MAP_RIGHTS, MAP_RIGHTS), leaf = place_of(table), va, *entry, old;

	for (; bits && map < end; map++) {
		va = read_once(map->va);
		if ((va & GROUP_KEY) != key || read_once(map->cap) || read_once(map->count) != 1)
			break;
		entry = phys_to_virt(leaf + (va >> 9 & (PT_ENTRIES - 1) << 3));
		old = *entry;
		if (old) {
			if (entry_lacks(old, key & MAP_RIGHTS))
				break;
			if ((old ^ bits) & PTE_RIGHTS) {
				old = entry_protect(entry, old, bits);
				stale_note(stale, old, va & ~(uint64_t)EXO_MAP_FLAGS);
			}
		}
		write_once(map->old, old);
	}
	return map;
}

/* The same for descriptors that unmap. */
static out_of_line struct exo_map *group_unmap(const uint64_t *table, uint64_t key, struct exo_map *map,
    struct exo_map *end, struct stale *stale)
{
	uint64_t leaf = place_of(table), va, *entry, old;

	for (; map < end; map++) {
		va = read_once(map->va);
		if ((va & GROUP_KEY) != key || read_once(map->count) != 1)
			break;
		entry = phys_to_virt(leaf + (va >> 9 & (PT_ENTRIES - 1) << 3));
		old = entry_exchange(entry, 0);
		if (old) {
			stale_note(stale, old, va);
			ring_remove(entry);
			frame_unmap(entry_frame(old));
		}
		write_once(map->old, old);
	}
	return map;
}

/* Do the group that begins at `map`; returns the first that is not done, which may be `map` itself. */
static inline struct exo_map *group_write(const struct env *env, exo_pfn_t root, struct exo_map *map,
    struct exo_map *end, struct stale *stale)
{
	uint64_t va = read_once(map->va), key = va & GROUP_KEY, *leaf;

	if ((va & EXO_MAP_FLAGS) > HOT_FLAGS || read_once(map->count) != 1)
		return map;
	leaf = leaf_of(root, va);
	if (unlikely(!leaf))
		return map;
	if (!(va & EXO_MAP_FLAGS))
		return group_unmap(leaf, key, map, end, stale);
	if (!read_once(map->cap))
		return group_protect(leaf, key, map, end, stale);
	return group_map(env, leaf, key, map, end, stale);
}

/* One page through a split capability. False: it is none, or something is wrong. */
static rarely out_of_line bool split_page(const struct env *env, exo_pfn_t root, struct exo_map *map,
    struct stale *stale)
{
	uint64_t va = read_once(map->va), index = read_range(map) - ONE_PAGE;
	uint64_t *leaf = leaf_of(root, va), *entry, to, old;
	struct exo_cap *cap = cap_typed(env, read_once(map->cap), EXO_TYPE_FRAME);
	exo_pfn_t pfn;
	bool alone;

	if (!leaf || (va & EXO_MAP_FLAGS) > HOT_FLAGS || !cap || !(cap->rights & EXO_RIGHT_RESTORE) ||
	    index >= cap->count)
		return false;
	pfn = (exo_pfn_t)(cap->first + index);
	if (!split_has(cap, pfn) || info_frame[pfn].state != EXO_FRAME_OWNED)
		return false;
	entry = leaf + table_index(va, 1);
	alone = split_alone(cap, pfn, 1, *entry);
	to = bits_of(va & EXO_MAP_FLAGS, (cap->rights & MAP_RIGHTS) | (alone ? EXO_MAP_WRITE : 0));
	if (!to)
		return false;
	old = map_over(entry, to | (uint64_t)pfn << EXO_PAGE_SHIFT, cap);
	if (alone)
		split_claim(cap, pfn, 1);
	stale_note(stale, old, va & ~(uint64_t)EXO_MAP_FLAGS);
	write_once(map->old, old);
	return true;
}

/* All descriptors from `start` to `end`: how many are done, or the error of the first. */
static out_of_line int64_t write_batch(const struct env *env, exo_pfn_t root, struct exo_map *start,
    struct exo_map *end)
{
	struct stale stale;
	struct exo_map *map, *next, *last, copy;
	uint64_t pages = 0, old;
	int64_t error = 0;

	stale_begin(&stale, root);
	for (map = start; map < end; ) {
		last = map + (EXO_MAP_BATCH_MAX - pages);
		next = group_write(env, root, map, last < end ? last : end, &stale);
		if (next == map && read_once(map->count) == 1 && split_page(env, root, map, &stale))
			next = map + 1;
		if (likely(next != map)) {
			pages += (uint64_t)(next - map) + LONG_WAY;
			map = next;
			if (pages >= EXO_MAP_BATCH_MAX)
				break;
			continue;
		}
		copy.va = read_once(map->va);
		copy.cap = read_once(map->cap);
		copy.first = read_once(map->first);
		copy.count = read_once(map->count);
		pages += (uint64_t)copy.count * (copy.va & EXO_MAP_LARGE ? LARGE_PAGES : 1) + LONG_WAY;
		if (map != start && pages > EXO_MAP_BATCH_MAX)
			break;
		error = write_descriptor(env, root, &copy, &stale, &old);
		if (error)
			break;
		write_once(map->old, old);
		map++;
	}
	space_settle(&stale);
	return map == start ? error : map - start;
}

/* It changes the rights of one, or is none of these. */
static out_of_line int64_t protect_one(const struct env *env, exo_pfn_t root, struct exo_map *map,
    uint64_t *entry, uint64_t va)
{
	unsigned flags = va & EXO_MAP_FLAGS;
	uint64_t bits = bits_of(flags, MAP_RIGHTS), old = *entry;

	if (unlikely(!bits || read_once(map->cap) || read_once(map->count) != 1))
		return write_batch(env, root, map, map + 1);
	if (unlikely(old && entry_lacks(old, flags)))
		return ERR(RIGHTS);
	if (unlikely(!old || !((old ^ bits) & PTE_RIGHTS))) {
		write_once(map->old, old);
		return 1;
	}
	old = entry_protect(entry, old, bits);
	return one_done(root, map, va, old);
}

/* A call with one descriptor: an ordinary page under a known leaf table is mapped, unmapped or protected
 * here. */
static inline int64_t write_one(const struct env *env, exo_pfn_t root, struct exo_map *map)
{
	uint64_t va = read_once(map->va), index = read_range(map) - ONE_PAGE;
	uint64_t *leaf = leaf_known(root, va), *entry, to;
	unsigned flags = va & EXO_MAP_FLAGS;
	struct exo_cap *cap;
	exo_pfn_t pfn;

	if (unlikely(!leaf || flags > HOT_FLAGS))
		return write_batch(env, root, map, map + 1);
	entry = leaf + table_index(va, 1);
	if (!flags && index < ONE_PAGE)
		return unmap_one(root, map, entry, va);
	cap = cap_typed(env, read_once(map->cap), EXO_TYPE_FRAME);
	if (unlikely(!cap))
		return protect_one(env, root, map, entry, va);
	to = bits_of(flags, cap->rights);
	pfn = (exo_pfn_t)(cap->first + index);
	if (unlikely(!to || index >= cap->count || info_frame[pfn].state != EXO_FRAME_OWNED))
		return write_batch(env, root, map, map + 1);
	to |= (uint64_t)pfn << EXO_PAGE_SHIFT;
	if (unlikely(*entry)) {
		if (!((*entry ^ to) & EXO_PTE_FRAME) && cap->bound == place_of(entry))
			return raise_one(root, map, entry, va, to);
		return map_one_over(root, map, entry, va, cap, to);
	}
	frame_table[pfn].maps++;
	*entry = to;
	ring_insert(cap, through_cap(cap), entry);
	write_once(map->old, 0);
	return 1;
}

/* The call from its start, for any number of descriptors. */
static out_of_line int64_t write_all(exo_cap_t handle, uint64_t offset, uint64_t count)
{
	const struct env *env = current_env();
	struct exo_cap *space;
	struct exo_map *map;
	int64_t error;

	space = cap_need(env, handle, EXO_TYPE_SPACE, EXO_RIGHT_WRITE, &error);
	if (!space)
		return error;
	if (count - 1 >= EXO_MAP_BATCH_MAX || offset % 8 || offset > EXO_PAGE_SIZE - count * sizeof(*map))
		return ERR(INVAL);
	map = (struct exo_map *)(env->arg + offset);
	return write_batch(env, space->object, map, map + count);
}

rarely int64_t space_map(exo_pfn_t root, uint64_t va, struct exo_cap *cap, exo_pfn_t pfn, unsigned flags,
    uint64_t *old)
{
	struct stale stale;
	struct stretch s;
	uint64_t before = 0;
	int64_t error;

	if (flags > MAP_RIGHTS || !bits_of(flags, cap->rights))
		return ERR(INVAL);
	error = stretch_find(&s, root, va, 1, flags);
	if (error)
		return error;
	stale_begin(&stale, root);
	error = map_stretch(&s, pfn, flags, bits_of(flags, cap->rights), cap, &stale, &before);
	space_settle(&stale);
	if (old)
		*old = before;
	return error;
}

/*
 * exo_space_write(space, offset, count): do what `count` descriptors at `offset` (a multiple of 8) of the
 * argument frame say, one after another (exo/space.h); `space` needs WRITE. Returns how many are done; each
 * is done wholly or not at all, and the first that cannot be done ends the call, as does the one that would
 * pass EXO_MAP_BATCH_MAX pages in all, where a descriptor counts 3 more that is of several pages, or does not
 * do the same as the last (map with these flags, unmap, change rights) under the same leaf table, and a large
 * page counts as LARGE_PAGES. Nothing is done if an error is returned. A page may be mapped readable,
 * writable if the capability has WRITE, executable if it has EXEC, not both; writable and executable only
 * while its frame is ordinary memory, a dispatcher page, argument frame or ring; readable also if it is a
 * page table, capability table or exposed page. An entry that is present is replaced. When it returns, no CPU
 * remembers anything of what was changed or replaced. Through a split capability a page is mapped writable
 * while nobody else holds or may still map its frame (split.c); of several pages all or none, and none counts
 * as replaced; large ones come one by one. Errors: CAP, TYPE; RIGHTS a capability lacks a right, or without
 * one an entry would gain more than it may have; INVAL offset, count, flags, address, or pages of a
 * descriptor; NOTABLE no leaf table for an address (or a large page in its place, or the space is being
 * emptied), for a large page no table of EXO_LEVEL_LARGE; BUSY a leaf table in the place of a large page;
 * RANGE outside the capability; STATE a frame may not be mapped so; SEALED it would make an executable page
 * of a sealed space, or touch one. Cost: about 45 a descriptor, 20 a page of a run, 25 if rights change,
 * 3,500 a large page.
 */
int64_t sys_space_write(CALL_ARGS)
{
	const struct env *env = current_env();
	struct exo_cap *space;

	if (a2 == 1 && !(a1 & ~(EXO_PAGE_SIZE - sizeof(struct exo_map)))) {
		space = cap_typed(env, a0, EXO_TYPE_SPACE);
		if (likely(space && space->rights & EXO_RIGHT_WRITE))
			return write_one(env, space->object, (struct exo_map *)(env->arg + a1));
	}
	return write_all(a0, a1, a2);
}
