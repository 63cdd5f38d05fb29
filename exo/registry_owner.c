/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What metadata owns: the owner function of a volume, run on a block as it is and as it will be.
 *
 * The work memory, frame 1 of the volume, keeps what the function said last, so that a change costs one run where two stays
 * would be needed; each run is a stay of its own (AGAIN). What a run did not read (`seen`) cannot matter, so a change of other
 * bytes needs none. R1 to R7 are in registry.c.
 */
#include "exo/registry_parts.h"

#define MARK_BLOCKS	256
#define DEPTH		8	/* of lost blocks above each other that are looked at */

/* Run the owner function; its ranges, all of them in the volume, go to `range`. How many, or an error. */
static int64_t owner_says(const struct exo_volume *v, uint32_t block, const struct code_patch *patch, struct range *range,
    uint64_t *seen)
{
	const block_t *b = block_of(v, block);
	struct code *code = owner_of(v->code, v->code_id);
	struct exo_block context = { .block = block, .type = b->type };
	uint8_t order[EXO_EMITS_MAX];
	struct bpf_emits emits;
	uint64_t result, *emit;
	uint32_t i;

	if (!code)
		return ERR(STATE);
	if (code_owns(code, &context, bytes_of(v, b->buffer), patch, EXO_VOLUME_RANGES_MAX, &emits, order, &result) !=
	    EXO_STOP_EXIT || result)
		return ERR(REJECTED);
	for (i = 0; i < emits.count; i++) {
		emit = emits.emit[order[i]];
		if (emit[0] >= v->blocks || emit[1] > v->blocks - emit[0] || emit[2] > EXO_VOLUME_TYPE_MAX)
			return ERR(REJECTED);
		range[i] = (struct range){ (uint32_t)emit[0], (uint32_t)emit[1], (uint32_t)emit[2] };
	}
	*seen = code->run.seen;
	return emits.count;
}

/* Have the work memory say what a block owns as it is. 0, AGAIN: it took a run, or an error. */
static int64_t work_for(struct exo_volume *v, uint32_t block)
{
	struct work *work = work_of(v);
	const block_t *b = block_of(v, block);
	int64_t ranges;

	if (work->block == block && work->changed == b->changed)
		return 0;
	work->block = EXO_VOLUME_NONE;
	ranges = owner_says(v, block, NULL, work->range, &work->seen);
	if (ranges < 0)
		return ranges;
	work->ranges = (uint32_t)ranges;
	work->block = block;
	work->changed = b->changed;
	v->buffer[b->buffer].seen = work->seen;
	return ERR(AGAIN);
}

/* Metadata of the disk is seen for the first time: what it owns is its own. */
int64_t registry_walk(struct exo_volume *v, uint32_t block)
{
	block_t *b = block_of(v, block), *owned;
	struct exo_volume_buffer *buffer = &v->buffer[b->buffer];
	const struct work *work = work_of(v);
	uint32_t done = 0, budget = MARK_BLOCKS, i, at;
	int64_t error = work_for(v, block);

	if (error)
		return error;
	for (i = 0; i < work->ranges; done += work->range[i++].count)
		for (at = buffer->marked > done ? buffer->marked - done : 0; at < work->range[i].count; at++) {
			owned = block_of(v, work->range[i].block + at);
			if (owned->state != EXO_BLOCK_FREE)
				return ERR(REJECTED);
			if (!budget--)
				return ERR(AGAIN);
			*owned = (block_t){ .state = EXO_BLOCK_OWNED, .type = (uint8_t)work->range[i].type, .parent = block,
				.flags = share_flags(b), .stamp = b->stamp, .buffer = EXO_VOLUME_NONE };
			work_of(v)->share[share_of(b)].left--;
			v->unwalked += owned->type != 0;
			b->owned++;
			buffer->marked++;
		}
	b->flags |= EXO_BLOCK_WALKED;
	v->unwalked--;
	return 0;
}

/* Metadata that was just gained is all zeroes, and owns nothing. */
int64_t registry_load_fresh(struct exo_volume *v, uint32_t block)
{
	block_t *b = block_of(v, block);
	uint64_t seen;
	int64_t ranges;

	arch_zero_frame(volume_pfn(v) + v->buffer_first + b->buffer);
	ranges = owner_says(v, block, NULL, work_of(v)->next, &seen);
	if (ranges) {
		v->buffer[b->buffer].block = EXO_VOLUME_NONE;
		b->buffer = EXO_VOLUME_NONE;
		return ranges < 0 ? ranges : ERR(REJECTED);
	}
	b->flags |= EXO_BLOCK_LOADED | EXO_BLOCK_WALKED;
	b->changed = ++v->clock;
	return 0;
}

/* --- changes ---------------------------------------------------------------------------------------------------- */

/* Does nothing on the disk point to it any more, nor will? Then it is free, and nobody's share has it. */
static bool is_gainable(struct exo_volume *v, block_t *block)
{
	const block_t *owner, *b = block;

	if (b->state == EXO_BLOCK_FREE)
		return true;
	if (b->state != EXO_BLOCK_LEFT || b->flights)
		return false;
	for (unsigned i = 0; i < DEPTH; i++, b = owner) {
		owner = block_of(v, b->parent);
		if (owner->state == EXO_BLOCK_FREE || (owner->written >= b->changed && stable(v, owner->stamp))) {
			work_of(v)->share[share_of(block)].left++;
			block->state = EXO_BLOCK_FREE;
			block->flags = 0;
			return true;
		}
		if (owner->state != EXO_BLOCK_LEFT)
			return false;
	}
	return false;
}

static bool is_losable(const block_t *b, uint32_t owner, uint32_t type)
{
	return is_owned(b) && b->parent == owner && b->type == type && (!type || (!b->owned && !b->flights));
}

/* What the new ranges own and the old do not is what was declared as gained, and can be; and so what was lost. */
static int64_t compare(struct exo_volume *v, uint32_t block, const struct work *work, uint32_t next_count)
{
	const struct exo_node_change *change = &work->change;
	const struct range *old = work->range, *old_end = old + work->ranges, *new = work->next, *new_end = new + next_count;
	struct range a = old < old_end ? *old : (struct range){ 0 }, b = new < new_end ? *new : (struct range){ 0 };
	uint32_t gained = 0, lost = 0, same;

	while (old < old_end || new < new_end) {
		if (old < old_end && new < new_end && a.block == b.block && a.type == b.type) {
			same = a.count < b.count ? a.count : b.count;
			a.block += same, a.count -= same;
			b.block += same, b.count -= same;
		} else if (old < old_end && (new == new_end || a.block <= b.block)) {
			if (lost == change->losses || change->loss[lost].block != a.block || change->loss[lost].type != a.type ||
			    !is_losable(block_of(v, a.block), block, a.type))
				return ERR(RIGHTS);
			a.block++, a.count--, lost++;
		} else {
			if (gained == change->gains || change->gain[gained].block != b.block || change->gain[gained].type != b.type ||
			    !is_gainable(v, block_of(v, b.block)))
				return ERR(RIGHTS);
			b.block++, b.count--, gained++;
		}
		if (old < old_end && !a.count && ++old < old_end)
			a = *old;
		if (new < new_end && !b.count && ++new < new_end)
			b = *new;
	}
	return gained == change->gains && lost == change->losses ? 0 : ERR(RIGHTS);
}

static void lose(struct exo_volume *v, struct exo_volume_buffer *buffer, block_t *b)
{
	if (b->state == EXO_BLOCK_FRESH)
		buffer->pending--;
	if (b->type && b->buffer != EXO_VOLUME_NONE)
		v->buffer[b->buffer].block = EXO_VOLUME_NONE;
	b->buffer = EXO_VOLUME_NONE;
	b->state = EXO_BLOCK_LEFT;
	b->changed = v->clock;
}

/* Checked: the declared blocks change hands, by the change that makes `clock` what it is. */
static void hand_over(struct exo_volume *v, uint32_t block, const struct exo_node_change *change)
{
	block_t *b = block_of(v, block);
	struct exo_volume_buffer *buffer = &v->buffer[b->buffer];
	uint32_t i, type;

	for (i = 0; i < change->losses; i++)
		lose(v, buffer, block_of(v, change->loss[i].block));
	for (i = 0; i < change->gains; i++) {
		type = change->gain[i].type;
		*block_of(v, change->gain[i].block) = (block_t){ .state = EXO_BLOCK_FRESH, .type = (uint8_t)type, .parent = block,
			.birth = v->clock, .changed = v->clock, .written = v->clock, .stamp = disk_state(v)->flush_done - 1,
			.flags = (uint8_t)(share_flags(b) | !!type), .buffer = EXO_VOLUME_NONE };
	}
	work_of(v)->share[share_of(b)].left -= (int32_t)change->gains;
	buffer->pending += change->gains;
	b->owned += change->gains - change->losses;
}

/* The pieces of a block that bytes of it lie in. */
static uint64_t pieces(uint32_t at, uint32_t count)
{
	return ~0ULL >> (63 - (at + count - 1) / 64 % 64) & ~0ULL << at / 64;
}

/* The change stands in the work memory and its bounds are right. */
static int64_t change_some(struct exo_volume *v, uint32_t block)
{
	block_t *b = block_of(v, block);
	struct exo_volume_buffer *buffer = &v->buffer[b->buffer];
	struct work *work = work_of(v);
	const struct exo_node_change *change = &work->change;
	uint8_t *bytes = (uint8_t *)bytes_of(v, b->buffer) + change->at;
	struct code_patch patch = { change->at, change->bytes, change->new };
	bool owns_same = !(buffer->seen & pieces(change->at, change->bytes));
	bool known = !owns_same || (work->block == block && work->changed == b->changed);
	uint64_t seen;
	int64_t result;

	if (__builtin_memcmp(bytes, change->old, change->bytes))
		return ERR(BUSY);
	if (v->clock >= UINT32_MAX - v->blocks)
		return ERR(FULL);
	if (owns_same && (change->gains || change->losses))
		return ERR(RIGHTS);
	if (!owns_same) {
		if (change->gains && v->unwalked)
			return ERR(STATE);
		result = work_for(v, block);
		if (result)
			return result;
		result = owner_says(v, block, &patch, work->next, &seen);
		if (result < 0)
			return result;
		if (compare(v, block, work, (uint32_t)result))
			return ERR(RIGHTS);
		if (share_of(b) && change->gains && (int32_t)change->gains > work->share[share_of(b)].left)
			return ERR(QUOTA);
		work->ranges = (uint32_t)result;
		__builtin_memcpy(work->range, work->next, work->ranges * sizeof(work->range[0]));
		buffer->seen = seen;
	}
	b->changed = ++v->clock;
	if (known)
		work->changed = b->changed;
	__builtin_memcpy(bytes, change->new, change->bytes);
	hand_over(v, block, change);
	return 0;
}

int64_t sys_node_change(uint64_t node_cap, uint64_t offset, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	const struct exo_node_change *argument = call_argument(offset, sizeof(*argument));
	struct exo_node_change *change;
	struct exo_volume *v;
	struct exo_cap *cap;
	block_t *b;
	int64_t error = registry_node(current_env(), node_cap, EXO_RIGHT_WRITE, &cap, &v, &b);

	(void)a2, (void)a3, (void)a4, (void)a5;
	if (error)
		return error;
	if (!argument || offset % sizeof(uint64_t))
		return ERR(RANGE);
	if (b->buffer == EXO_VOLUME_NONE || ~b->flags & (EXO_BLOCK_LOADED | EXO_BLOCK_WALKED) || b->flights)
		return ERR(BUSY);
	change = &work_of(v)->change;
	__builtin_memcpy(change, argument, sizeof(*change));
	if (!change->bytes || change->bytes > EXO_VOLUME_BYTES_MAX || change->at >= EXO_PAGE_SIZE ||
	    change->bytes > EXO_PAGE_SIZE - change->at || change->gains > EXO_VOLUME_CHANGE_MAX ||
	    change->losses > EXO_VOLUME_CHANGE_MAX)
		return ERR(INVAL);
	return change_some(v, (uint32_t)cap->first);
}
