/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block registry between its files: registry.c makes volumes, carries requests and opens nodes; registry_owner.c runs
 * owner functions and changes metadata as they allow. What holds of all of it is said in registry.c.
 */
#ifndef EXO_REGISTRY_PARTS_H
#define EXO_REGISTRY_PARTS_H

#include "exo/codes.h"
#include "exo/disks.h"
#include <exo/registry.h>

#define FIRST_MAP	2

struct range {
	uint32_t block, count, type;
};

/* Frame 1: shares, and what the owner function said last, of which block as it was when. */
struct work {
	struct exo_volume_share share[EXO_VOLUME_SHARES];
	uint32_t block, changed;
	uint64_t seen;
	uint32_t ranges, spare;
	struct range range[EXO_VOLUME_RANGES_MAX], next[EXO_VOLUME_RANGES_MAX];
	struct exo_node_change change;
};
_Static_assert(sizeof(struct work) <= EXO_PAGE_SIZE, "one frame");

typedef struct exo_volume_block block_t;

static inline exo_pfn_t volume_pfn(const struct exo_volume *v)
{
	return (exo_pfn_t)(virt_to_phys(v) >> EXO_PAGE_SHIFT);
}

static inline struct work *work_of(struct exo_volume *v)
{
	return (struct work *)((char *)v + EXO_PAGE_SIZE);
}

static inline block_t *block_of(const struct exo_volume *v, uint32_t block)
{
	return (block_t *)((char *)v + FIRST_MAP * EXO_PAGE_SIZE) + block;
}

static inline void *bytes_of(const struct exo_volume *v, uint32_t buffer)
{
	return (char *)v + ((uint64_t)(v->buffer_first + buffer) << EXO_PAGE_SHIFT);
}

static inline bool is_owned(const block_t *b)
{
	return b->state == EXO_BLOCK_FRESH || b->state == EXO_BLOCK_OWNED;
}

static inline unsigned share_of(const block_t *b)
{
	return b->flags >> EXO_BLOCK_SHARE;
}

/* Flags of a block that another of a share owns. */
static inline uint8_t share_flags(const block_t *owner)
{
	return owner->flags & (uint8_t)(EXO_VOLUME_SHARES - 1) << EXO_BLOCK_SHARE;
}

static inline const struct disk_state *disk_state(const struct exo_volume *v)
{
	return disk_numbered(v->disk)->state;
}

static inline bool stable(const struct exo_volume *v, uint32_t stamp)
{
	return !(disk_numbered(v->disk)->flags & EXO_DISK_CACHE) || (int32_t)(disk_state(v)->flush_done - stamp) > 0;
}

static inline struct code *owner_of(exo_pfn_t pfn, uint32_t id)
{
	struct code *code = code_at(pfn);

	return info_frame[pfn].state == EXO_FRAME_CODE && frame_table[pfn].object == pfn && code->id == id &&
	    code_ready(code) ? code : NULL;
}

/* The block, volume and capability that a call names by `handle`; an error of the call's. */
int64_t registry_node(const struct env *env, exo_cap_t handle, unsigned rights, struct exo_cap **cap,
    struct exo_volume **v, block_t **node);
int64_t registry_walk(struct exo_volume *v, uint32_t block);
int64_t registry_load_fresh(struct exo_volume *v, uint32_t block);

#endif
