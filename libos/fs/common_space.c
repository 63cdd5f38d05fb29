/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks: which are free, and whose slots name them.
 *
 * What is free stands in the volume's frames, for all who share it. A block that was lost is tried, too, but the kernel gives
 * it only when its loss is stable; when nothing else is left, all is written and it is tried again.
 *
 * A node has up to 50 runs of blocks in its own slots, then maps of 62 more each. Runs grow at their end and shrink there;
 * they are never parted. The list of a node's runs is collected once and holds until anything in the volume changes.
 */
#include "libos/fs/common_impl.h"

#define REFUSED_SYNC	8	/* blocks that were refused, and all is written */
#define REFUSED_MAX	64

/* --- free blocks ------------------------------------------------------------------------------------------ */

static bool may_be_free(const struct common *fs, uint32_t block)
{
	const volatile struct exo_volume_block *entry = common_entry_of(fs, block), *owner;

	if (entry->state == EXO_BLOCK_FREE)
		return true;
	if (entry->state != EXO_BLOCK_LEFT || entry->flights)
		return false;
	for (unsigned i = 0; i < 8; i++, entry = owner) {
		owner = common_entry_of(fs, entry->parent);
		if (owner->state == EXO_BLOCK_FREE || (int32_t)(owner->written - entry->changed) >= 0)
			return true;
		if (owner->state != EXO_BLOCK_LEFT)
			return false;
	}
	return false;
}

/* One of the share's own that was lost counts already, and costs nothing. */
static bool may_gain(const struct common *fs, uint32_t block, unsigned share, int32_t *left)
{
	if (!may_be_free(fs, block))
		return false;
	return !share || common_share_of(fs, block) == share || (*left)-- > 0;
}

int common_free_block(struct common *fs, uint32_t owner, uint32_t near, uint32_t most, uint32_t *block, uint32_t *count)
{
	uint32_t blocks = fs->volume->blocks, at = near && near < blocks ? near : fs->hint;
	unsigned share = common_share_of(fs, owner);
	int32_t left = common_share_left(fs, share) > 0 ? common_share_left(fs, share) : 0;

	for (uint32_t i = 0; i < blocks; i++, at++) {
		if (at >= blocks)
			at = 1;
		if (!may_gain(fs, at, share, &left)) {
			left = left > 0 ? left : 0;
			continue;
		}
		*block = at;
		for (*count = 1; *count < most && at + *count < blocks && may_gain(fs, at + *count, share, &left); ++*count)
			;
		fs->hint = at + *count;
		return 0;
	}
	return -ENOSPC;
}

/* A block was refused, or there is none: -EAGAIN if that may be otherwise the next time. */
static int refused(struct common *fs, int error, unsigned *times)
{
	if (error == -EBUSY && ++*times % REFUSED_SYNC)
		return -EAGAIN;		/* somebody else has it now, or its loss is not stable */
	if ((error != -EBUSY && error != -ENOSPC) || *times > REFUSED_MAX)
		return error == -EBUSY ? -ENOSPC : error;
	*times += error == -ENOSPC ? REFUSED_MAX + 1 : 0;
	error = common_sync(fs);
	return error ? error : -EAGAIN;
}

/* --- slots ------------------------------------------------------------------------------------------------ */

/* A slot gets a value, by which blocks of one type are gained, and others lost. `what` 1: only if it is empty. */
int common_slot_set(struct common *fs, uint32_t meta, unsigned type, unsigned slot, const struct common_slot *value,
    uint32_t gain, uint32_t gains, uint32_t lose, uint32_t losses, unsigned what)
{
	struct common_slot *new;
	struct common_view view;
	int error = common_view(fs, meta, type, &view);

	if (error)
		return error;
	new = common_begin(fs, &view, COMMON_SLOT_AT(slot), sizeof(*new));
	if (!new || (what && new->block))
		return -EAGAIN;
	uint32_t is = common_type(value->block ? value : new);
	*new = *value;
	for (uint32_t i = 0; i < gains; i++)
		common_gain(fs, gain + i, is);
	for (uint32_t i = 0; i < losses; i++)
		common_lose(fs, lose + i, is);
	return common_commit(fs, meta);
}

static int collect(struct common *fs, uint32_t meta, unsigned type, unsigned from, unsigned to)
{
	struct common_view view;
	uint32_t begun = fs->extents;
	int error;

	do {
		fs->extents = begun;
		error = common_view(fs, meta, type, &view);
		for (unsigned i = from; i < to && !error; i++) {
			const struct common_slot *slot = &view.bytes->slots[i / COMMON_SECTOR_SLOTS].slot[i % COMMON_SECTOR_SLOTS];

			if (slot->block && fs->extents < COMMON_EXTENTS)
				fs->extent[fs->extents++] = (struct common_extent){ meta, i, *slot };
		}
	} while (!error && !common_still(fs, &view));
	return error;
}

int common_extents(struct common *fs, uint32_t node)
{
	uint32_t clock = ((const volatile struct exo_volume *)fs->volume->page)->clock, end;
	int error;

	if (fs->extents_of == node && fs->extents_clock == clock)
		return 0;
	fs->extents = fs->extents_of = 0;
	error = collect(fs, node, COMMON_NODE, 0, COMMON_SLOTS);
	end = fs->extents;
	for (uint32_t i = 0; i < end && !error; i++)
		if (common_type(&fs->extent[i].value) == COMMON_MAP)
			error = collect(fs, fs->extent[i].value.block, COMMON_MAP, 0, COMMON_SLOTS);
	if (!error) {
		fs->extents_of = node;
		fs->extents_clock = clock;
	}
	return error;
}

/* The run that has a page; or *next: where the first behind it begins. */
static const struct common_extent *extent_of(const struct common *fs, uint32_t page, uint32_t *next)
{
	*next = UINT32_MAX;
	for (uint32_t i = 0; i < fs->extents; i++) {
		const struct common_slot *slot = &fs->extent[i].value;

		if (common_type(slot) == COMMON_MAP)
			continue;
		if (page >= slot->at && page - slot->at < common_count(slot))
			return &fs->extent[i];
		if (slot->at > page && slot->at < *next)
			*next = slot->at;
	}
	return NULL;
}

int common_find(struct common *fs, uint32_t node, uint32_t page, uint32_t *block, uint32_t *run)
{
	const struct common_extent *extent;
	uint32_t next;
	int error = common_extents(fs, node);

	if (error)
		return error;
	extent = extent_of(fs, page, &next);
	*block = extent ? extent->value.block + (page - extent->value.at) : 0;
	*run = extent ? common_count(&extent->value) - (page - extent->value.at) : next - page;
	return extent && *block >= fs->volume->blocks ? -FS_EDAMAGED : 0;
}

/* An empty slot for a run: *meta, *slot; a map is made if there is none. */
static int empty_slot(struct common *fs, uint32_t node, uint32_t *meta, unsigned *slot)
{
	uint8_t used[COMMON_SLOTS];
	uint32_t block, count;
	unsigned maps = 0, type = COMMON_NODE, end = COMMON_MAP_FIRST;

	*meta = node;
	for (uint32_t round = 0; ; round++) {
		memset(used, 0, sizeof(used));
		for (uint32_t i = 0; i < fs->extents; i++)
			if (fs->extent[i].meta == *meta)
				used[fs->extent[i].slot] = 1;
		for (*slot = 0; *slot < end; ++*slot)
			if (!used[*slot])
				return (int)type;
		for (maps = 0; maps < fs->extents; maps++)	/* the next map */
			if (common_type(&fs->extent[maps].value) == COMMON_MAP && fs->extent[maps].slot >= COMMON_MAP_FIRST + round)
				break;
		if (maps == fs->extents)
			break;
		*meta = fs->extent[maps].value.block;
		round = fs->extent[maps].slot - COMMON_MAP_FIRST;
		type = COMMON_MAP;
		end = COMMON_SLOTS;
	}
	memset(used, 0, sizeof(used));
	for (uint32_t i = 0; i < fs->extents; i++)
		if (fs->extent[i].meta == node)
			used[fs->extent[i].slot] = 1;
	for (*slot = COMMON_MAP_FIRST; *slot < COMMON_SLOTS && used[*slot]; ++*slot)
		;
	if (*slot == COMMON_SLOTS)
		return -EFBIG;
	int error = common_free_block(fs, node, 0, 1, &block, &count);
	if (!error)
		error = common_slot_set(fs, node, COMMON_NODE, *slot, &(struct common_slot){ block, COMMON_MAP << 24 | 1, 0, 0 }, block,
		    1, 0, 0, 1);
	return error ? error : -EAGAIN;
}

static int add_once(struct common *fs, uint32_t node, uint32_t page, uint32_t count, unsigned type, bool behind,
    uint32_t *block, uint32_t *got)
{
	struct common_slot value = { 0 };
	const struct common_extent *before = NULL;
	uint32_t next, near = 0, meta;
	unsigned slot;
	int error = common_extents(fs, node), what;

	if (error)
		return error;
	if (extent_of(fs, page, &next))
		return -EAGAIN;
	count = count < next - page ? count : next - page;
	count = count < EXO_VOLUME_CHANGE_MAX ? count : EXO_VOLUME_CHANGE_MAX;
	before = page ? extent_of(fs, page - 1, &next) : NULL;
	if (before && behind)
		near = before->value.block + common_count(&before->value);
	error = common_free_block(fs, node, near, count, block, got);
	if (error)
		return error;
	if (before && near && *block == near && common_count(&before->value) + *got <= COMMON_COUNT_MAX) {
		value = before->value;
		value.kind += *got;
		return common_slot_set(fs, before->meta, before->meta == node ? COMMON_NODE : COMMON_MAP, before->slot, &value, *block,
		    *got, 0, 0, 0);
	}
	what = empty_slot(fs, node, &meta, &slot);
	if (what < 0)
		return what;
	value = (struct common_slot){ *block, type << 24 | *got, page, 0 };
	return common_slot_set(fs, meta, (unsigned)what, slot, &value, *block, *got, 0, 0, 1);
}

int common_add(struct common *fs, uint32_t node, uint32_t page, uint32_t count, unsigned type, uint32_t *block, uint32_t *got)
{
	unsigned times = 0;
	int error = 0;

	*got = 0;
	for (unsigned tries = 0; tries < COMMON_TRIES; tries++) {
		error = refused(fs, add_once(fs, node, page, count, type, times == 0, block, got), &times);
		if (error != -EAGAIN)
			break;
	}
	for (uint32_t i = 0; i < *got && !error; i++)
		cache_forget(fs->fs.cache, *block + i);
	return error == -EAGAIN ? -EIO : error;
}

/* Up to EXO_VOLUME_CHANGE_MAX blocks at the end of a run go. */
static int shrink(struct common *fs, uint32_t node, const struct common_extent *extent, uint32_t page)
{
	const struct common_slot *old = &extent->value;
	uint32_t count = common_count(old), keep = page > old->at ? page - old->at : 0, first;
	struct common_slot value = *old;

	if (count - keep > EXO_VOLUME_CHANGE_MAX)
		keep = count - EXO_VOLUME_CHANGE_MAX;
	first = old->block + keep;
	value.kind -= count - keep;
	if (!keep)
		value = (struct common_slot){ 0 };
	for (uint32_t i = keep; i < count; i++)
		cache_forget(fs->fs.cache, old->block + i);
	return common_slot_set(fs, extent->meta, extent->meta == node ? COMMON_NODE : COMMON_MAP, extent->slot, &value, 0, 0, first,
	    count - keep, 0);
}

/* A run that goes, at least in part; else a map that owns nothing any more. */
static const struct common_extent *to_cut(const struct common *fs, uint32_t page)
{
	for (uint32_t i = 0; i < fs->extents; i++)
		if (common_type(&fs->extent[i].value) != COMMON_MAP &&
		    (uint64_t)fs->extent[i].value.at + common_count(&fs->extent[i].value) > page)
			return &fs->extent[i];
	for (uint32_t i = 0; i < fs->extents; i++)
		if (common_type(&fs->extent[i].value) == COMMON_MAP && !common_entry_of(fs, fs->extent[i].value.block)->owned)
			return &fs->extent[i];
	return NULL;
}

int common_cut(struct common *fs, uint32_t node, uint32_t page)
{
	const struct common_extent *extent;
	unsigned tries = 0;
	int error;

	do {
		error = common_extents(fs, node);
		extent = error ? NULL : to_cut(fs, page);
		if (!extent)
			break;
		if (common_type(&extent->value) == COMMON_MAP)
			error = common_slot_set(fs, node, COMMON_NODE, extent->slot, &(struct common_slot){ 0 }, 0, 0,
			    extent->value.block, 1, 0);
		else
			error = shrink(fs, node, extent, page);
		tries = error ? tries + 1 : 0;
	} while (!error || (error == -EAGAIN && tries < COMMON_TRIES));
	return error == -EAGAIN ? -EIO : error;
}

/* --- tables ----------------------------------------------------------------------------------------------- */

uint32_t common_domain_of(struct common *fs, uint32_t block)
{
	for (unsigned i = 0; i < 12 && block && block < fs->volume->blocks; i++) {
		uint32_t owner = common_entry_of(fs, block)->parent;

		if (!owner)
			return block;
		block = owner;
	}
	return 0;
}

static int table_slots(struct common *fs, uint32_t table, struct common_slot slot[COMMON_SLOTS])
{
	struct common_view view;
	int error;

	do {
		error = common_view(fs, table, COMMON_TABLE, &view);
		for (unsigned i = 0; i < COMMON_SLOTS && !error; i++)
			slot[i] = view.bytes->slots[i / COMMON_SECTOR_SLOTS].slot[i % COMMON_SECTOR_SLOTS];
	} while (!error && !common_still(fs, &view));
	return error;
}

/* A node in this table or below it. */
static int table_add(struct common *fs, uint32_t table, uint32_t *block, unsigned depth)
{
	struct common_slot slot[COMMON_SLOTS];
	uint32_t count;
	int error = table_slots(fs, table, slot);

	for (unsigned i = 0; i < COMMON_SLOTS && !error; i++) {
		if (i >= COMMON_TABLE_FIRST && depth == COMMON_TABLE_DEPTH)
			break;
		if (i >= COMMON_TABLE_FIRST && slot[i].block) {
			error = table_add(fs, slot[i].block, block, depth + 1);
			if (error != -ENFILE)
				return error;
			error = 0;
			continue;
		}
		if (slot[i].block)
			continue;
		unsigned type = i < COMMON_TABLE_FIRST ? COMMON_NODE : COMMON_TABLE;
		error = common_free_block(fs, table, 0, 1, block, &count);
		if (!error)
			error = common_slot_set(fs, table, COMMON_TABLE, i, &(struct common_slot){ *block, type << 24 | 1, 0, 0 }, *block,
			    1, 0, 0, 1);
		return error || type == COMMON_NODE ? error : -EAGAIN;
	}
	return error ? error : -ENFILE;
}

int common_table_add(struct common *fs, uint32_t beside, uint32_t *block)
{
	uint32_t domain = common_domain_of(fs, beside);
	unsigned times = 0;
	int error;

	for (unsigned tries = 0; tries < COMMON_TRIES; tries++) {
		error = refused(fs, table_add(fs, domain, block, 1), &times);
		if (error != -EAGAIN)
			break;
	}
	return error == -EAGAIN ? -EIO : error == -ENFILE ? -ENOSPC : error;
}

int common_table_drop(struct common *fs, uint32_t block)
{
	struct common_slot slot[COMMON_SLOTS];
	uint32_t table = common_entry_of(fs, block)->parent;
	unsigned i;
	int error;

	for (unsigned tries = 0; tries < COMMON_TRIES; tries++) {
		error = table_slots(fs, table, slot);
		for (i = 0; i < COMMON_SLOTS && slot[i].block != block; i++)
			;
		if (error || i == COMMON_SLOTS)
			return error;
		error = common_slot_set(fs, table, COMMON_TABLE, i, &(struct common_slot){ 0 }, 0, 0, block, 1, 0);
		if (error != -EAGAIN && error != -EACCES)
			return error;
		if (error == -EACCES && !common_entry_of(fs, block)->flights)
			return error;
		fs->volume->ops->pause(fs->volume);
	}
	return -EIO;
}
