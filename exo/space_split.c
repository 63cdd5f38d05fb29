/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Through which capability, and with which rights, a descriptor of exo_space_write maps, when that takes more
 * than a look: it is split (split.c), or something is wrong with it.
 */
#include "exo/spaces.h"

/* A split capability gives WRITE for what it has alone. */
static struct exo_cap *through_split(const struct env *env, const struct exo_map *map, uint32_t frames,
    uint64_t old, exo_pfn_t *pfn, uint64_t *bits, int64_t *error)
{
	unsigned flags = map->va & MAP_RIGHTS, write = 0;
	struct exo_cap *cap;
	uint32_t i;

	if (frames > 1 && map->count > 1) {
		*error = ERR(INVAL);
		return NULL;
	}
	cap = cap_need_frames(env, map->cap, flags & ~(unsigned)EXO_MAP_WRITE, map->first,
	    (uint64_t)map->count * frames, pfn, error);
	if (!cap)
		return NULL;
	for (i = 0; i < map->count && split_alone(cap, *pfn + i, frames, map->count == 1 ? old : 0); i++)
		;
	if (i == map->count)
		write = EXO_MAP_WRITE;
	*bits = bits_of(flags, (cap->rights & MAP_RIGHTS) | write);
	if (*bits)
		return cap;
	*error = ERR(RIGHTS);
	return NULL;
}

out_of_line struct exo_cap *space_through(const struct env *env, const struct exo_map *map, uint32_t frames,
    uint64_t old, exo_pfn_t *pfn, uint64_t *bits, int64_t *error)
{
	unsigned flags = map->va & MAP_RIGHTS;
	struct exo_cap *cap = cap_typed(env, map->cap, EXO_TYPE_FRAME);

	if (cap && cap->rights & EXO_RIGHT_RESTORE)
		return through_split(env, map, frames, old, pfn, bits, error);
	cap = cap_need_frames(env, map->cap, flags, map->first, (uint64_t)map->count * frames, pfn, error);
	if (cap)
		*bits = bits_of(flags, cap->rights);
	return cap;
}
