/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata: brought into the volume's buffers, read where it lies, changed by the kernel, written back in its order.
 *
 * Capabilities of nodes are opened from their owner's when they are needed first, and kept by block. Buffers are everybody's:
 * the one taken for a new block is that which this program has used least recently, if the kernel gives it up (it is clean).
 *
 * Writing back goes by what the volume's page says, not by a list of one's own: whatever has changed and owns nothing that was
 * never written, round after round with a flush between, until nothing is left. So a block that another program waits for is
 * written by whoever comes first. What waits for another's data is left to him. But what is this program's own domain's has to
 * be written, or sync fails: where it waits for blocks that were gained and have no contents, since what was to fill them
 * failed, they become what they are read as, zeroes.
 */
#include "libos/fs/common_impl.h"

#define STUCK_MAX	16
#define ROUNDS	64	/* a chain of owners takes some 10; others may go on changing theirs meanwhile */

static int error_of(int64_t result)
{
	switch (-result) {
	case EXO_ERIGHTS: case EXO_ECAP: return -EACCES;
	case EXO_EREJECTED: case EXO_ETYPE: case EXO_ERANGE: return -FS_EDAMAGED;
	case EXO_EFULL: case EXO_ESLOT: case EXO_EQUOTA: return -ENOMEM;
	default: return -EIO;
	}
}

/* --- capabilities ----------------------------------------------------------------------------------------- */

void common_caps_drop(struct common *fs)
{
	for (unsigned i = 0; i < COMMON_CAPS; i++)
		if (fs->cap[i].cap) {
			common_device_settle(fs, fs->cap[i].cap);
			fs->volume->ops->drop(fs->volume, fs->cap[i].cap);
			fs->cap[i].cap = 0;
		}
}

static uint64_t cap_below(struct common *fs, uint32_t block, uint32_t top, uint64_t cap, bool write, unsigned depth)
{
	const volatile struct exo_volume_block *entry;
	unsigned i = (block * 2 + write) % COMMON_CAPS;
	uint64_t owner;
	int64_t opened;

	if (block == top)
		return cap;
	if (!block || block >= fs->volume->blocks || depth > 12)
		return 0;
	entry = common_entry_of(fs, block);
	if (fs->cap[i].cap && fs->cap[i].block == (block | (uint32_t)write << 31) && fs->cap[i].birth == entry->birth)
		return fs->cap[i].cap;
	owner = cap_below(fs, entry->parent, top, cap, write, depth + 1);
	opened = owner ? fs->volume->ops->open(fs->volume, owner, block, write) : 0;
	fs->no_slot |= opened == -EXO_ESLOT;
	if (fs->no_slot && !depth) {	/* others are opened again when they are needed */
		fs->no_slot = false;
		common_caps_drop(fs);
		owner = cap_below(fs, entry->parent, top, cap, write, 1);
		opened = owner ? fs->volume->ops->open(fs->volume, owner, block, write) : 0;
	}
	if (opened <= 0)
		return 0;
	if (fs->cap[i].cap) {
		common_device_settle(fs, fs->cap[i].cap);
		fs->volume->ops->drop(fs->volume, fs->cap[i].cap);
	}
	fs->cap[i].block = block | (uint32_t)write << 31;
	fs->cap[i].birth = entry->birth;
	fs->cap[i].cap = (uint64_t)opened;
	return (uint64_t)opened;
}

uint64_t common_cap(struct common *fs, uint32_t block)
{
	return fs->fs.read_only ? 0 : cap_below(fs, block, fs->volume->own_block, fs->volume->own, true, 0);
}

uint64_t common_cap_read(struct common *fs, uint32_t block)
{
	uint64_t cap = common_cap(fs, block);

	return cap ? cap : cap_below(fs, block, 0, fs->volume->see, false, 0);
}

/* --- reading ---------------------------------------------------------------------------------------------- */

static int meta_request(struct common *fs, unsigned operation, uint32_t block)
{
	struct block_request request = { .operation = (uint8_t)operation, .parts = 1, .block = block, .count = 1,
		.through = operation == BLOCK_READ ? fs->volume->see : fs->volume->own };

	request.part[0].memory = fs->page;
	request.part[0].blocks = 1;
	block_submit(fs->volume->device, &request);
	return block_wait(fs->volume->device, &request);
}

/* Of the buffers that a block's share has. */
static uint32_t least_used(const struct common *fs, uint32_t block, const uint64_t tried[2])
{
	uint32_t best = EXO_VOLUME_NONE, i, end;

	for (common_share_buffers(fs, common_share_of(fs, block), &i, &end); i < end; i++)
		if (!(tried[i / 64] >> i % 64 & 1) && (best == EXO_VOLUME_NONE || fs->used[i] < fs->used[best]))
			best = i;
	return best;
}

static int load(struct common *fs, uint32_t block)
{
	const volatile struct exo_volume_block *entry = common_entry_of(fs, block);
	uint64_t tried[2] = { 0, 0 };
	bool written = false;
	int error;

	for (unsigned tries = 0; tries < COMMON_TRIES; tries++) {
		uint32_t buffer = entry->buffer != EXO_VOLUME_NONE ? 0 : least_used(fs, block, tried);
		int64_t result;

		if (buffer == EXO_VOLUME_NONE) {	/* all of them wait to be written */
			error = written || fs->filling ? -ENOMEM : common_sync(fs);
			if (error)
				return error;
			written = true;
			tried[0] = tried[1] = 0;
			continue;
		}
		result = fs->volume->ops->load(fs->volume, fs->volume->see, block, buffer);
		if (result == 0)
			return 0;
		if (result == 1) {
			error = meta_request(fs, BLOCK_READ, block);
			if (error == -EBUSY)
				fs->volume->ops->pause(fs->volume);	/* somebody else reads it */
			else if (error)
				return error;
		} else if (result == -EXO_EBUSY || result == -EXO_EQUOTA) {
			tried[buffer / 64] |= 1ULL << buffer % 64;
		} else {
			return error_of(result);
		}
	}
	return -EIO;
}

int common_view(struct common *fs, uint32_t block, unsigned type, struct common_view *view)
{
	const volatile struct exo_volume_block *entry;

	if (block >= fs->volume->blocks)
		return -FS_EDAMAGED;
	entry = common_entry_of(fs, block);
	for (unsigned tries = 0; tries < COMMON_TRIES; tries++) {
		if (!volume_is_owned(entry) || entry->type != type)
			return -FS_EDAMAGED;
		view->block = block;
		view->birth = entry->birth;
		view->changed = entry->changed;
		view->buffer = entry->buffer;
		if (view->buffer < fs->volume->buffers && volume_is_there(entry)) {
			fs->used[view->buffer] = ++fs->tick;
			view->bytes = (const struct common_block *)(const void *)volume_buffer(fs->volume, view->buffer);
			return 0;
		}
		int error = load(fs, block);
		if (error)
			return error;
	}
	return -EIO;
}

bool common_still(const struct common *fs, const struct common_view *view)
{
	const volatile struct exo_volume_block *entry = common_entry_of(fs, view->block);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return entry->buffer == view->buffer && entry->changed == view->changed && entry->birth == view->birth &&
	    entry->flags & EXO_BLOCK_LOADED && volume_is_owned(entry);
}

/* --- changing --------------------------------------------------------------------------------------------- */

void *common_begin(struct common *fs, const struct common_view *view, unsigned at, unsigned bytes)
{
	struct exo_node_change *change = &fs->change;

	change->at = at;
	change->bytes = bytes;
	change->gains = change->losses = 0;
	memcpy(change->old, (const uint8_t *)view->bytes + at, bytes);
	memcpy(change->new, change->old, bytes);
	return common_still(fs, view) ? change->new : NULL;
}

void common_gain(struct common *fs, uint32_t block, unsigned type)
{
	uint32_t i = fs->change.gains++;

	fs->change.gain[i].block = block;
	fs->change.gain[i].type = type;
}

void common_lose(struct common *fs, uint32_t block, unsigned type)
{
	uint32_t i = fs->change.losses++;

	fs->change.loss[i].block = block;
	fs->change.loss[i].type = type;
}

/* Whoever had all of it in his cache, and makes the change, still has. */
static void stays_seen(struct common *fs, uint32_t block, uint32_t before)
{
	struct common_node *node = fs->hash[block % COMMON_HASH];

	while (node && node->block != block)
		node = (struct common_node *)node->node.hash_next;
	if (node && node->seen == before)
		node->seen = common_entry_of(fs, block)->changed;
}

int common_commit(struct common *fs, uint32_t block)
{
	uint64_t cap = common_cap(fs, block);
	uint32_t before = common_entry_of(fs, block)->changed;
	int64_t result = -EXO_EBUSY;

	if (!cap)
		return -EACCES;
	for (unsigned tries = 0; tries < COMMON_TRIES && result == -EXO_EBUSY; tries++) {
		result = fs->volume->ops->change(fs->volume, cap, &fs->change);
		if (result == -EXO_EBUSY) {
			if (!common_entry_of(fs, block)->flights)
				return -EAGAIN;
			fs->volume->ops->pause(fs->volume);	/* it is just being written */
		}
	}
	if (result == -EXO_EQUOTA)
		return -EBUSY;
	if (result == -EXO_ERIGHTS && (fs->change.gains || fs->change.losses))
		return fs->change.gains ? -EBUSY : -EACCES;
	if (result)
		return error_of(result);
	fs->changed = true;
	stays_seen(fs, block, before);
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------------------- */

static int flush(struct common *fs)
{
	struct block_request request = { .operation = BLOCK_FLUSH, .through = fs->volume->own };

	block_submit(fs->volume->device, &request);
	return block_wait(fs->volume->device, &request);
}

static int add_version(struct common_head *head, const void *arg)
{
	(void)arg;
	head->version++;
	return 0;
}

/* Data was written: other programs see so by their nodes' version. */
static void tell_written(struct common *fs)
{
	struct common_node *node, *next;

	if (fs->telling)	/* a node's head could only be had when others were written */
		return;
	fs->telling = true;
	for (unsigned i = 0; i < COMMON_HASH; i++)
		for (node = fs->hash[i]; node; node = next) {
			next = (struct common_node *)node->node.hash_next;
			if (!node->dirty)
				continue;
			node->dirty = false;
			(void)common_head_change(fs, node->block, add_version, NULL);
			if (!node->node.holds)
				common_node_end(fs, node);
		}
	fs->telling = false;
}

/* Of what this program changes, or who had its domain before? */
static bool is_own(struct common *fs, uint32_t block)
{
	return common_share_of(fs, block) == common_share_of(fs, fs->volume->own_block) && common_cap(fs, block);
}

/* Metadata is written. Another program may be writing it just now: that is waited for. */
static int write_meta(struct common *fs, uint32_t block)
{
	int error = meta_request(fs, BLOCK_WRITE, block);

	for (unsigned tries = 0; error == -EBUSY && common_entry_of(fs, block)->flights && tries < COMMON_TRIES; tries++) {
		fs->volume->ops->pause(fs->volume);
		if (!common_entry_of(fs, block)->flights && common_entry_of(fs, block)->changed != common_entry_of(fs, block)->written)
			error = meta_request(fs, BLOCK_WRITE, block);
	}
	return error == -EBUSY && common_entry_of(fs, block)->changed == common_entry_of(fs, block)->written ? 0 : error;
}

/* One round. *left: what is to be written, and could not be now; *wrote: what was. */
static int write_some(struct common *fs, bool *left, bool *wrote)
{
	const struct exo_volume *page = fs->volume->page;

	*left = *wrote = false;
	for (uint32_t i = 0; i < fs->volume->buffers; i++) {
		uint32_t block = ((const volatile struct exo_volume *)page)->buffer[i].block;
		const volatile struct exo_volume_block *entry;
		int error;

		if (block >= fs->volume->blocks)
			continue;
		entry = common_entry_of(fs, block);
		if (entry->changed == entry->written || entry->buffer != i || !(entry->flags & EXO_BLOCK_LOADED))
			continue;
		error = ((const volatile struct exo_volume *)page)->buffer[i].pending ? -EBUSY : write_meta(fs, block);
		if (error && error != -EBUSY)
			return error;
		if (error)
			*left |= is_own(fs, block);
		else
			*wrote = true;
	}
	return 0;
}

/* Own blocks that were gained and never filled get contents: zeroes. */
static int fill_fresh(struct common *fs)
{
	struct common_view view;
	struct buffer *buffer;
	int error = 0;

	for (uint32_t block = 1; block < fs->volume->blocks && !error; block++) {
		const volatile struct exo_volume_block *entry = common_entry_of(fs, block);

		if (entry->state != EXO_BLOCK_FRESH || !is_own(fs, entry->parent))
			continue;
		if (entry->type) {
			error = common_view(fs, block, entry->type, &view);
			continue;
		}
		buffer = cache_peek(fs->fs.cache, block);
		error = buffer ? 0 : cache_get_new(fs->fs.cache, block, &buffer);
		if (!error) {
			cache_dirty(fs->fs.cache, buffer);
			cache_put(fs->fs.cache, buffer);
		}
	}
	return error ? error : cache_write_all(fs->fs.cache);
}

int common_sync(struct common *fs)
{
	bool left = true, wrote = true;
	unsigned stuck = 0;	/* rounds without anything written: others may just have written what an own block waits for */
	int error = 0;

	if (fs->fs.read_only || !common_unsaved(fs))
		return 0;
	error = cache_write_all(fs->fs.cache);
	if (error)
		return error;
	tell_written(fs);
	for (unsigned round = 0; round < ROUNDS && (wrote || left); round++) {
		error = flush(fs);
		if (!error)
			error = write_some(fs, &left, &wrote);
		stuck = left && !wrote ? stuck + 1 : 0;
		if (!error && stuck > STUCK_MAX) {
			error = -EIO;
		} else if (!error && stuck && !fs->filling) {
			fs->filling = true;
			error = fill_fresh(fs);
			fs->filling = false;
		}
		if (error)
			return error;
	}
	error = wrote ? flush(fs) : 0;
	if (!error && left)
		error = -EIO;
	if (!error)
		fs->changed = false;
	return error;
}

bool common_unsaved(struct common *fs)
{
	return fs->changed || cache_dirty_count(fs->fs.cache);
}
