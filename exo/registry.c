/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block registry: volumes, whose blocks belong to metadata, as an owner function says. include/exo/registry.h has the
 * rules that applications see.
 *
 * All that is known lies in frames that the maker gave up: the volume itself, work memory, a word group for each block,
 * buffers. The order of writes is kept by numbers, so nothing is linked and all costs are constant. `clock` grows by each
 * change; a block's `written` is the `changed` that it had when what is on the disk was written, its `stamp` the last flush
 * that had begun by the end of that: so it is on the disk for good when a later flush has ended.
 *
 * R1 a block is FRESH or OWNED iff the loaded bytes of `parent`, or those on the disk while it has no buffer, own it
 * R2 block.owned == blocks that are FRESH or OWNED and whose parent it is; buffer.pending == those that are FRESH; a block
 *    with pending ones keeps its buffer, and so does one that is not on the disk as it is
 * R3 a block that is being written does not change; a block with flights is not gained
 * R4 metadata goes to the disk with pending == 0 and `after` stable: what it points to is there, and was written
 * R5 a LEFT block is gained when its last parent, or one above that which was lost too, is on the disk without it
 * R6 the `left` of a share and its blocks that are not FREE are together what was said, as gained, found and lost blocks keep it
 * R7 `unwalked` counts metadata without WALKED; none is gained before it is 0, since who owns what is not known
 *
 * The idea is XN's (Kaashoek et al., SOSP 1997), with its rules of order (Ganger, Patt 1994) by numbers and not by lists.
 */
#include "exo/registry_parts.h"

#define MAKE_FRAMES	32	/* in one stay */
#define CLEAR_FRAMES	8
#define END_FRAMES	4	/* for one unit of budget */

_Static_assert(EXO_VOLUME_LEFT_MAX >> 24 == EXO_VOLUME_SHARES - 1, "sys_node_share checks both at once");

static uint32_t volumes_made;

static struct exo_volume *volume_of(const struct exo_cap *node)
{
	struct exo_volume *v = pfn_to_virt(node->object);

	return info_frame[node->object].state == EXO_FRAME_VOLUME && frame_table[node->object].object == node->object &&
	    v->id == node->first >> 32 ? v : NULL;
}

static bool is_clean(const struct exo_volume *v, const block_t *b)
{
	return b->written == b->changed && stable(v, b->stamp);
}

/* The volume and the block that a NODE capability names, if it can be used. */
static int64_t node_find(const struct exo_cap *cap, struct exo_volume **volume, block_t **node)
{
	struct exo_volume *v = *volume = volume_of(cap);

	if (!v || v->going || !v->through)
		return ERR(STATE);
	if (v->cleared < v->buffer_first)
		return ERR(AGAIN);
	*node = block_of(v, (uint32_t)cap->first);
	return is_owned(*node) && (*node)->type && (*node)->birth == cap->count ? 0 : ERR(STATE);
}

/* --- making and ending ------------------------------------------------------------------------------------------ */

/* A few frames more of a new volume are cleared; with the last its root is there. */
static void clear_some(struct exo_volume *v)
{
	const struct disk_state *state = disk_state(v);
	unsigned i;

	for (i = 0; i < CLEAR_FRAMES && v->cleared < v->buffer_first && v->cleared < v->frames; i++)
		arch_zero_frame(volume_pfn(v) + v->cleared++);
	if (v->cleared < v->buffer_first)
		return;
	*block_of(v, 0) = (block_t){ .state = EXO_BLOCK_OWNED, .type = EXO_VOLUME_TYPE_ROOT, .stamp = state->flush_done - 1,
		.buffer = EXO_VOLUME_NONE };
	work_of(v)->block = EXO_VOLUME_NONE;
	v->unwalked = 1;
}

int64_t registry_node(const struct env *env, exo_cap_t handle, unsigned rights, struct exo_cap **cap,
    struct exo_volume **v, block_t **node)
{
	int64_t error = 0;

	*cap = cap_need(env, handle, EXO_TYPE_NODE, rights, &error);
	if (!*cap)
		return error;
	error = node_find(*cap, v, node);
	if (error == ERR(AGAIN))
		clear_some(*v);
	return error;
}

static bool is_owner(const struct code *code)
{
	return code->program.use == EXO_USE_OWNER && code->fuel * code->weight <= EXO_VOLUME_COST_MAX;
}

/* Has somebody something under way through it? */
static bool is_used(const struct exo_cap *blocks, const struct disk_state *state)
{
	for (uint64_t left = state->under_way; left; left &= left - 1)
		if (state->flight[__builtin_ctzll(left)].through == blocks)
			return true;
	return false;
}

/* May a volume of `count` frames be made of these? */
static int64_t can_make(const struct exo_cap *blocks, const struct exo_cap *code, uint64_t count)
{
	if (count > EXO_VOLUME_FRAMES_MAX || count <= exo_volume_frames(blocks->count, 0) ||
	    count - exo_volume_frames(blocks->count, 0) > EXO_VOLUME_BUFFERS_MAX)
		return ERR(INVAL);
	if (!owner_of(code->object, code->count))
		return ERR(STATE);
	if (!is_owner(code_at(code->object)))
		return ERR(INVAL);
	if (blocks->object || blocks->child || is_used(blocks, disk_numbered((unsigned)(blocks->first >> EXO_DISK_SHIFT))->state))
		return ERR(BUSY);
	return volumes_made == UINT32_MAX ? ERR(FULL) : 0;
}

static void volume_begin(struct exo_volume *v, struct exo_cap *blocks, const struct exo_cap *code, uint64_t count)
{
	exo_pfn_t pfn = volume_pfn(v);
	unsigned i;

	arch_zero_frame(pfn);
	*v = (struct exo_volume){ .version = EXO_VOLUME_VERSION, .size = sizeof(*v), .id = ++volumes_made,
		.disk = (uint32_t)(blocks->first >> EXO_DISK_SHIFT), .first = blocks->first & ((1ULL << EXO_DISK_SHIFT) - 1),
		.blocks = blocks->count, .map = FIRST_MAP, .through = cap_ref(blocks), .code = code->object,
		.code_id = code->count, .cleared = 1, .wanted = (uint32_t)count };
	v->buffer_first = (uint32_t)exo_volume_frames(blocks->count, 0);
	for (i = 0; i < EXO_VOLUME_BUFFERS_MAX; i++)
		v->buffer[i].block = EXO_VOLUME_NONE;
	blocks->object = pfn;
}

int64_t sys_volume_make(uint64_t slot, uint64_t blocks_cap, uint64_t frames_cap, uint64_t first, uint64_t count,
    uint64_t code_cap)
{
	struct env *env = current_env();
	struct exo_cap *free = cap_free_slot(env, slot), *blocks, *frames, *code;
	struct exo_volume *v;
	int64_t error = 0;
	exo_pfn_t pfn, at;
	uint64_t from, more, i;

	blocks = cap_need(env, blocks_cap, EXO_TYPE_BLOCKS, EXO_RIGHT_READ | EXO_RIGHT_WRITE, &error);
	if (!blocks)
		return error;
	frames = cap_need_frames(env, frames_cap, EXO_RIGHT_WRITE, first, 1, &pfn, &error);
	if (!frames)
		return error;
	if (!count || count > frames->count - first)
		return ERR(RANGE);
	code = cap_need(env, code_cap, EXO_TYPE_CODE, EXO_RIGHT_EXEC, &error);
	if (!code)
		return error;
	v = pfn_to_virt(pfn);
	from = blocks->object == pfn && v->wanted == count ? v->frames : 0;
	if (!from && !free)
		return ERR(SLOT);
	if (!from && (error = can_make(blocks, code, count)) != 0)
		return error;
	more = count - from < MAKE_FRAMES ? count - from : MAKE_FRAMES;
	if (!more)
		return ERR(BUSY);
	if (!cap_need_frames(env, frames_cap, EXO_RIGHT_WRITE, first + from, more, &at, &error))
		return error;
	if (!frames_retypable(at, (uint32_t)more))
		return ERR(BUSY);

	for (i = 0; i < more; i++)
		frame_retype(at + i, EXO_FRAME_VOLUME, pfn);
	if (!from) {
		volume_begin(v, blocks, code, count);
		v->node = cap_fill(free, EXO_TYPE_NODE, EXO_RIGHT_READ | EXO_RIGHT_WRITE, (uint64_t)v->id << 32, 0, pfn, NULL,
		    (uint32_t)slot);
	}
	v->frames += (uint32_t)more;
	v->buffers = v->frames > v->buffer_first ? v->frames - v->buffer_first : 0;
	return v->frames < count ? ERR(AGAIN) : (int64_t)v->node;
}

void registry_lost(struct exo_cap *cap)
{
	struct exo_volume *v = pfn_to_virt(cap->object);

	if (info_frame[cap->object].state == EXO_FRAME_VOLUME && v->through == cap_ref(cap))
		v->through = 0;
	cap->object = 0;
}

bool registry_end(exo_pfn_t self, unsigned *budget)
{
	struct exo_volume *v = pfn_to_virt(self);
	struct disk_state *state = disk_numbered(v->disk)->state;

	if (!v->going) {
		for (uint64_t left = state->under_way; left; left &= left - 1)
			if (state->flight[__builtin_ctzll(left)].volume == self)
				state->flight[__builtin_ctzll(left)].volume = 0;
		if (v->through)
			cap_at(v->through)->object = 0;
		v->through = 0;
		v->going = 1;
	}
	while (v->frames > 1) {
		if (v->frames % END_FRAMES == 0 && !afford(budget, 1))
			return false;
		frame_retype(self + --v->frames, EXO_FRAME_OWNED, 0);
	}
	v->id = 0;
	frame_retype(self, EXO_FRAME_OWNED, 0);
	return true;
}

void registry_hold(const struct exo_cap *cap)
{
	struct exo_volume *v = volume_of(cap);

	if (v)
		v->holds++;
}

bool registry_drop(struct exo_cap *cap, unsigned *budget)
{
	struct exo_volume *v = volume_of(cap);

	if (!v)
		return true;
	if (v->holds == 1)
		return registry_end(cap->object, budget);
	v->holds--;
	return true;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

int64_t registry_request(const struct env *env, const struct exo_disk_request *one, struct disk_flight *flight)
{
	unsigned operation = flight->transfer.operation;
	struct exo_volume *v;
	int64_t error = 0;
	block_t *node;
	const struct exo_cap *cap = cap_need(env, one->blocks, EXO_TYPE_NODE,
	    operation == EXO_DISK_READ ? EXO_RIGHT_READ : EXO_RIGHT_WRITE, &error);

	if (!cap)
		return error;
	if (operation > EXO_DISK_FLUSH)
		return ERR(INVAL);
	if (node_find(cap, &v, &node))
		return ERR(STATE);
	flight->volume = operation == EXO_DISK_FLUSH ? 0 : cap->object;
	flight->node = (uint32_t)cap->first;
	flight->through = cap_at(v->through);
	return 0;
}

/* May metadata be read to its buffer, or written from there? */
static int64_t metadata_moves(const struct exo_volume *v, const block_t *b, bool writes)
{
	const struct exo_volume_buffer *buffer;

	if (b->buffer == EXO_VOLUME_NONE || b->flights || !(b->flags & EXO_BLOCK_LOADED) == writes)
		return ERR(BUSY);
	buffer = &v->buffer[b->buffer];
	return !writes || (b->flags & EXO_BLOCK_WALKED && b->changed != b->written && !buffer->pending && stable(v, buffer->after)) ?
	    0 : ERR(BUSY);
}

int64_t registry_part(const struct disk_flight *flight, uint32_t block, uint32_t count, exo_pfn_t *pfn)
{
	bool writes = flight->transfer.operation == EXO_DISK_WRITE;
	struct exo_volume *v = pfn_to_virt(flight->volume);
	const block_t *b = block_of(v, block), *end = b + count;
	int64_t error;

	if (b->type && is_owned(b)) {
		if (count != 1 || flight->transfer.blocks)
			return ERR(INVAL);
		error = metadata_moves(v, b, writes);
		if (!error)
			*pfn = flight->volume + v->buffer_first + b->buffer;
		return error;
	}
	for (; b < end; b++) {
		if (!is_owned(b) || b->type || b->parent != flight->node)
			return ERR(RIGHTS);
		if (!writes && b->state == EXO_BLOCK_FRESH)
			return ERR(STATE);
	}
	return 0;
}

/* The blocks of a flight. */
static block_t *flight_blocks(const struct disk_flight *flight, block_t **end)
{
	struct exo_volume *v = pfn_to_virt(flight->volume);
	block_t *b = block_of(v, (uint32_t)(flight->transfer.block - v->first));

	*end = b + flight->transfer.blocks;
	return b;
}

void registry_begin(const struct disk_flight *flight)
{
	struct exo_volume *v = pfn_to_virt(flight->volume);
	block_t *end, *b = flight_blocks(flight, &end);

	for (; b < end; b++) {
		b->flights++;
		if (b->type)
			v->buffer[b->buffer].going = b->changed;
	}
}

/* One block has been written; *after: its owner can be when that is stable. */
static void block_written(struct exo_volume *v, block_t *b, uint32_t stamp)
{
	struct exo_volume_buffer *owner;

	b->stamp = stamp;
	if (b->type)
		b->written = v->buffer[b->buffer].going;
	if (b->state != EXO_BLOCK_FRESH)
		return;
	b->state = EXO_BLOCK_OWNED;
	owner = &v->buffer[block_of(v, b->parent)->buffer];
	owner->pending--;
	if ((int32_t)(stamp - owner->after) > 0)
		owner->after = stamp;
}

void registry_done(const struct disk_state *state, const struct disk_flight *flight, bool failed)
{
	struct exo_volume *v = pfn_to_virt(flight->volume);
	uint32_t stamp = flight->transfer.flags & EXO_DISK_FUA ? state->flush_done - 1 : state->flush_begun;
	block_t *end, *b = flight_blocks(flight, &end);

	for (; b < end; b++) {
		b->flights--;
		if (failed || !is_owned(b))
			continue;
		if (flight->transfer.operation == EXO_DISK_WRITE)
			block_written(v, b, stamp);
		else if (b->type)
			b->flags |= EXO_BLOCK_LOADED;
	}
}

/* Take what lies in a buffer out of it. */
static bool buffer_empty(struct exo_volume *v, struct exo_volume_buffer *buffer)
{
	block_t *b;

	if (buffer->block == EXO_VOLUME_NONE)
		return true;
	b = block_of(v, buffer->block);
	if (b->flights || buffer->pending || (b->flags & EXO_BLOCK_LOADED && !is_clean(v, b)))
		return false;
	b->flags &= (uint8_t)~EXO_BLOCK_LOADED;
	b->buffer = EXO_VOLUME_NONE;
	return true;
}

int64_t sys_node_load(uint64_t node_cap, uint64_t block, uint64_t number, uint64_t a3, uint64_t a4, uint64_t a5)
{
	const struct exo_volume_share *share;
	struct exo_volume_buffer *buffer;
	struct exo_volume *v;
	struct exo_cap *cap;
	block_t *b;
	int64_t error = registry_node(current_env(), node_cap, EXO_RIGHT_READ, &cap, &v, &b);

	(void)a3, (void)a4, (void)a5;
	if (error)
		return error;
	if (block >= v->blocks || number >= v->buffers)
		return ERR(RANGE);
	b = block_of(v, (uint32_t)block);
	if (!b->type || !is_owned(b))
		return ERR(TYPE);
	if (b->buffer != EXO_VOLUME_NONE) {
		if (!(b->flags & EXO_BLOCK_LOADED))
			return 1;
		return b->flags & EXO_BLOCK_WALKED ? 0 : registry_walk(v, (uint32_t)block);
	}
	share = &work_of(v)->share[share_of(b)];
	if (share->end && (number < share->buffer || number >= share->end))
		return ERR(QUOTA);
	buffer = &v->buffer[number];
	if (!buffer_empty(v, buffer))
		return ERR(BUSY);

	*buffer = (struct exo_volume_buffer){ .block = (uint32_t)block, .after = disk_state(v)->flush_done - 1, .seen = ~0ULL };
	buffer->marked = b->flags & EXO_BLOCK_WALKED ? 0 : b->owned;
	b->buffer = (uint32_t)number;
	return b->state == EXO_BLOCK_FRESH ? registry_load_fresh(v, (uint32_t)block) : 1;
}

/* Metadata that a node's block owns. */
static int64_t owned_metadata(const struct exo_volume *v, const struct exo_cap *node, uint64_t block, block_t **b)
{
	if (block >= v->blocks)
		return ERR(RANGE);
	*b = block_of(v, (uint32_t)block);
	return is_owned(*b) && (*b)->type && (*b)->parent == (uint32_t)node->first && block ? 0 : ERR(TYPE);
}

int64_t sys_node_open(uint64_t slot, uint64_t node_cap, uint64_t block, uint64_t rights, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	struct exo_cap *free = cap_free_slot(env, slot), *cap;
	struct exo_volume *v;
	block_t *b;
	int64_t error = registry_node(env, node_cap, 0, &cap, &v, &b);

	(void)a4, (void)a5;
	if (error)
		return error;
	if (rights & ~(uint64_t)cap->rights)
		return ERR(RIGHTS);
	if (!free)
		return ERR(SLOT);
	error = owned_metadata(v, cap, block, &b);
	if (!error)
		error = cap_derivable(cap);
	if (error)
		return error;

	return (int64_t)cap_fill(free, EXO_TYPE_NODE, (unsigned)rights, (uint64_t)v->id << 32 | block, b->birth, cap->object,
	    cap, (uint32_t)slot);
}

int64_t sys_node_share(uint64_t node_cap, uint64_t block, uint64_t number, uint64_t left, uint64_t buffer, uint64_t end)
{
	struct exo_volume *v;
	struct exo_cap *cap;
	block_t *b;
	int64_t error = registry_node(current_env(), node_cap, EXO_RIGHT_WRITE, &cap, &v, &b);

	if (error)
		return error;
	/* Both bounds are powers of two: 64, and 64 times 2^24. */
	if ((number | left >> 24) >= EXO_VOLUME_SHARES || buffer >= end || end > v->buffers)
		return ERR(RANGE);
	error = (uint32_t)cap->first ? ERR(TYPE) : owned_metadata(v, cap, block, &b);
	if (error)
		return error;
	if (share_of(b) != number && b->owned)
		return ERR(BUSY);

	b->flags = (uint8_t)((b->flags & (EXO_BLOCK_WALKED | EXO_BLOCK_LOADED)) | number << EXO_BLOCK_SHARE);
	work_of(v)->share[number] = (struct exo_volume_share){ (int32_t)left, (uint16_t)buffer, (uint16_t)end };
	return 0;
}
