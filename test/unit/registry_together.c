/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two libFSes that share one tree and one free map, a hostile one beside them, power cuts at any time with any subset of the writes
 * that no flush covers, and ends in the middle of everything.
 */
#include "test/unit/registry_fake.h"

#define HOSTILE_SHARE	9	/* blocks that the hostile one can have below its directory */

/* --- two libFSes ------------------------------------------------------------------------------------------------ */

static struct {
	uint32_t block;		/* 0: none, but for the root, which nobody works in */
	exo_cap_t cap;
} node[WORLD_ENVS][NODES];

static unsigned done_ops[16];

/* Gets a buffer for a block of metadata; what is in the way is written back by whoever wants it. */
static void want(unsigned who, exo_cap_t cap, uint32_t block)
{
	uint32_t buffer = below(BUFFERS);
	int64_t result = load(who, cap, block, buffer);

	if (result == 1)
		(void)post(who, EXO_DISK_READ, cap, block, 0, 1);
	else if (result == ERR(BUSY) && volume->buffer[buffer].block != EXO_VOLUME_NONE)
		(void)post(who, EXO_DISK_WRITE, cap, volume->buffer[buffer].block, 0, 1);
}

/* A block that looks free: one libFS from below, the other from above, by next fit. */
static uint32_t pick(unsigned who)
{
	static uint32_t at[WORLD_ENVS];
	uint32_t b;

	for (unsigned i = 0; i < BLOCKS; i++) {
		at[who] = (at[who] + (who ? BLOCKS - 1 : 1)) % BLOCKS;
		b = at[who];
		if (b && (entry(b)->state == EXO_BLOCK_FREE || entry(b)->state == EXO_BLOCK_LEFT) && below(3))
			return b;
	}
	return 1 + below(BLOCKS - 1);
}

static void write_data(unsigned who, exo_cap_t cap, const struct directory *d, uint32_t block)
{
	unsigned frame = below(DATA_FRAMES);
	uint32_t *words = frame_of(who, frame);

	if (ring[who]->posted != ring[who]->taken || frame_table[cap_slot(world.env[who], SLOT_DATA)->first + frame].pins)
		return;	/* the last one that it was for is not done yet */
	words[0] = 0xda7a0000 | block;
	words[1] = name_of(d);
	done_ops[6] += post(who, EXO_DISK_WRITE, cap, block, frame, 1);
}

static void new_directory(unsigned who, unsigned n, uint32_t block)
{
	for (unsigned i = 1; i < NODES; i++) {
		if (node[who][i].block)
			continue;
		node[who][i].cap = (exo_cap_t)CALL(who, node_open, SLOT_NODE + i, node[who][n].cap, block, RW);
		node[who][i].block = block;
		done_ops[1]++;
		return;
	}
}

static void drop_directory(unsigned who, uint32_t block)
{
	for (unsigned i = 1; i < NODES; i++)
		if (node[who][i].block == block) {
			(void)world_finish(who, EXO_CALL_cap_delete, node[who][i].cap, 0);
			node[who][i].block = 0;
			done_ops[2]++;
		}
}

/* From slot i on, the first with a block of a type, fresh or whatever. */
static unsigned find(const struct directory *d, unsigned i, unsigned type, bool fresh)
{
	for (unsigned tries = 0; tries < SLOTS; tries++, i = (i + 1) % SLOTS)
		if (d->slot[i].block && d->slot[i].type == type && (!fresh || entry(d->slot[i].block)->state == EXO_BLOCK_FRESH))
			break;
	return i;
}

static bool is_full(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BLOCKS; i++)
		n += entry(i)->state == EXO_BLOCK_FREE || entry(i)->state == EXO_BLOCK_LEFT;
	return n < BLOCKS / 3;
}

/* One step of a libFS that does nothing wrong, but has no plan either. */
static void step(unsigned who)
{
	unsigned n = below(NODES), i = below(SLOTS), type;
	exo_cap_t cap = node[who][n].cap;
	uint32_t dir = node[who][n].block, block;
	const struct directory *d;

	if (!dir)
		return;
	d = buffer_of(dir);
	if (!d || !(entry(dir)->flags & EXO_BLOCK_WALKED)) {
		want(who, cap, dir);
		return;
	}
	if (!name_of(d)) {
		(void)set_name(who, cap, dir);
		return;
	}
	switch (below(8)) {
	case 0:
	case 1:
		if (d->slot[i].block)
			break;
		type = below(6) == 0;
		block = pick(who);
		if (set_slot(who, cap, dir, i, block, type))
			break;
		done_ops[0]++;
		if (type)
			new_directory(who, n, block);
		break;
	case 2:
		i = find(d, i, below(3) == 0, false);
		block = d->slot[i].block;
		type = d->slot[i].type;
		if (!block || !is_full() || set_slot(who, cap, dir, i, 0, 0))
			break;
		done_ops[3]++;
		if (type)
			drop_directory(who, block);
		break;
	case 3:
	case 4:
	case 5:
		i = find(d, i, 0, below(4));
		if (d->slot[i].block && !d->slot[i].type)
			write_data(who, cap, d, d->slot[i].block);
		break;
	case 6:
		block = below(4) ? dir : below(BLOCKS);	/* another's, too; but not own data, without the data */
		if (entry(block)->type && entry(block)->state != EXO_BLOCK_LEFT)
			done_ops[4] += post(who, EXO_DISK_WRITE, cap, block, 0, 1);
		break;
	default:
		if (below(3) == 0)
			done_ops[5] += post(who, EXO_DISK_FLUSH, cap, 0, 0, 0);
	}
}

/* --- a hostile one ---------------------------------------------------------------------------------------------- */

/* What is not the hostile one's: it has to stay as it is. */
static struct exo_volume_block before[BLOCKS];

static bool is_hostile(uint32_t block)
{
	for (unsigned i = 0; block && i < 20; i++, block = entry(block)->parent)
		if (block == node[2][0].block)
			return true;
	return false;
}

static const char *others_changed(void)
{
	for (uint32_t i = 0; i < BLOCKS; i++) {
		const struct exo_volume_block *b = entry(i), *was = &before[i];

		if (was->state != EXO_BLOCK_FRESH && was->state != EXO_BLOCK_OWNED)
			continue;
		if (b->parent != was->parent || b->type != was->type || b->birth != was->birth ||
		    (b->changed != was->changed && was->flags & EXO_BLOCK_LOADED) ||	/* who loads a fresh one clears it */
		    (b->state != was->state && !(was->state == EXO_BLOCK_FRESH && b->state == EXO_BLOCK_OWNED)) ||
		    b->owned != was->owned)
			return "a block of another was changed";
	}
	return NULL;
}

static void note_others(void)
{
	for (uint32_t i = 0; i < BLOCKS; i++) {
		before[i] = *entry(i);
		if (is_hostile(i))
			before[i].state = EXO_BLOCK_FREE;
	}
}

static exo_cap_t any_cap(void)
{
	switch (below(12)) {
	case 0:
		return node[below(2)][below(NODES)].cap;	/* a number that means something to another */
	case 1:
		return world_handle(2, below(60));
	case 2:
		return world_random();
	default:
		return node[2][below(3) ? 0 : below(NODES)].cap;
	}
}

static void attack(void)
{
	struct exo_node_change *c = change_of(2);
	unsigned n = below(4) ? 0 : below(NODES), i, count;
	const struct directory *d = node[2][n].block ? buffer_of(node[2][n].block) : NULL;
	exo_cap_t cap = any_cap();

	switch (below(8)) {
	case 0:
	case 1:
	case 2:		/* any bytes, any declaration, mostly nearly right */
		memset(c, 0, sizeof(*c));
		i = below(SLOTS);
		c->at = below(4) ? 64 + 8 * i : below(EXO_PAGE_SIZE);
		count = below(4) ? 8 : 1 + below(64);
		c->bytes = below(200) ? count : (uint32_t)world_random();
		if (d && c->at + count <= EXO_PAGE_SIZE)
			memcpy(c->old, (const char *)d + c->at, count);
		if (d && below(3))
			memcpy(c->new, (const char *)d + c->at, count);
		for (unsigned j = 0; j < count / 8; j++) {
			uint32_t words[2] = { below(3) ? below(BLOCKS) : 0, below(2) };

			memcpy(c->new + 8 * j, words, 8);
			if (words[0] && below(8)) {
				c->gain[c->gains].block = words[0];
				c->gain[c->gains++].type = words[1];
			}
			if (d && i + j < SLOTS && d->slot[i + j].block && below(8)) {
				c->loss[c->losses].block = d->slot[i + j].block;
				c->loss[c->losses++].type = d->slot[i + j].type;
			}
		}
		if (below(20) == 0)
			c->losses = below(40);
		done_ops[8] += !change(2, below(4) ? node[2][n].cap : cap);
		break;
	case 3:
		(void)post(2, below(3), cap, below(BLOCKS + 4), below(DATA_FRAMES), 1 + below(4));
		break;
	case 4:
		(void)CALL(2, node_open, SLOT_NODE + 1 + below(NODES - 1), cap, below(BLOCKS), below(8) ? RW : below(256));
		for (i = 1; i < NODES; i++) {
			struct exo_cap *own = cap_slot(world.env[2], SLOT_NODE + i);

			node[2][i].block = own->type == EXO_TYPE_NODE ? (uint32_t)own->first : 0;
			node[2][i].cap = world_handle(2, SLOT_NODE + i);
		}
		break;
	case 5:
		if (load(2, cap, below(BLOCKS), below(BUFFERS)) == 1)
			(void)post(2, EXO_DISK_READ, cap, below(BLOCKS), 0, 1);
		break;
	case 6:
		if (node[2][0].block && !buffer_of(node[2][0].block))
			want(2, node[2][0].cap, node[2][0].block);
		else
			(void)post(2, EXO_DISK_WRITE, cap, below(2) ? node[2][0].block : below(BLOCKS), 0, 1);
		break;
	default:
		i = 1 + below(NODES - 1);
		if (below(4) == 0 && cap_slot(world.env[2], SLOT_NODE + i)->type == EXO_TYPE_NODE) {
			(void)world_finish(2, EXO_CALL_cap_delete, world_handle(2, SLOT_NODE + i), 0);
			node[2][i].block = 0;
		}
		(void)CALL(2, volume_make, 50, cap, world_handle(2, SLOT_DATA), below(4), below(DATA_FRAMES), cap);
	}
}

/* --- together --------------------------------------------------------------------------------------------------- */

/* A volume with a directory for each of the three. */
static void populate(void)
{
	exo_cap_t root;

	memset(fake.stable, 0, sizeof(fake.stable));
	for (unsigned i = 0; i < BLOCKS; i++)
		forget(i, fake.versions[i]);
	memset(node, 0, sizeof(node));
	machine();
	root = (exo_cap_t)make(SLOT_NODE + NODES);
	(void)load_whole(0, root, 0, 0);
	(void)set_name(0, root, 0);
	memset(share_given, 0, sizeof(share_given));
	for (unsigned i = 0; i < WORLD_ENVS; i++) {
		if (set_slot(0, root, 0, i, 10 + i, 1) || load(0, root, 10 + i, 1 + i))
			printf("# no directory %u\n", i);
		else if (i == 2 && !CALL(0, node_share, root, 10 + i, 5, HOSTILE_SHARE, 0, BUFFERS))
			share_given[5] = HOSTILE_SHARE + 1;
		(void)CALL(0, node_open, SLOT_NODE + NODES + 1 + i, root, 10 + i, RW);
		node[i][0].block = 10 + i;
		node[i][0].cap = give(i, SLOT_NODE, SLOT_NODE + NODES + 1 + i, RW);
	}
}

/* Mounts what a power cut has left: everything is found, and is what the walk found. */
static const char *remount(void)
{
	exo_cap_t root;
	bool more = true;

	for (unsigned i = 0; i < BLOCKS; i++)
		forget(i, fake.versions[i]);
	memcpy(fake.stable, cut, sizeof(cut));
	machine();
	root = (exo_cap_t)make(8);
	if (load_whole(0, root, 0, 0))
		return "the root is not loaded";
	for (unsigned round = 0; more && round < 30; round++) {
		more = false;
		for (uint32_t i = 0; i < BLOCKS; i++)
			if (entry(i)->type && entry(i)->state == EXO_BLOCK_OWNED && !(entry(i)->flags & EXO_BLOCK_WALKED)) {
				more = true;
				if (load_whole(0, root, i, below(BUFFERS)))
					return "a directory is not loaded";
			}
	}
	if (volume->unwalked)
		return "not all is walked";
	memset(share_given, 0, sizeof(share_given));
	return check_volume();
}

static void test_together(unsigned seed_round, unsigned steps, bool hostile, unsigned every)
{
	const char *wrong = NULL;
	unsigned attempts = 0, i;

	(void)seed_round;
	populate();
	world.unchecked = true;
	for (i = 0; i < steps && !wrong; i++) {
		step(below(2));
		if (hostile) {
			note_others();
			attack();
			attempts++;
			wrong = others_changed();
		}
		if (below(3) == 0)
			interrupt(1 + below(4));
		if (!wrong && i % 64 == 0)
			wrong = check_volume();
		if (!wrong && every && i % every == 0)
			wrong = power_cut();
	}
	world.unchecked = false;
	if (!wrong)
		wrong = check_volume() ?: world_check();
	ok(!wrong, "%u steps of two libFSes, %u attempts of a hostile one: %s", i, attempts, wrong ? wrong : "sound");
	if (wrong || !every)
		return;
	wrong = power_cut() ?: remount();
	ok(!wrong, "after a power cut: %s", wrong ? wrong : "mounted as it was");
}

/* Everything goes while much is under way. */
static void test_ends(unsigned how)
{
	uint32_t frames;
	unsigned i;

	populate();
	frames = info->frames_free;
	world.unchecked = true;
	for (i = 0; i < 400 + how; i++) {
		step(below(2));
		if (below(4) == 0)
			interrupt(1);
	}
	world.unchecked = false;
	switch (how % 4) {
	case 0:
		(void)world_finish(0, EXO_CALL_cap_revoke, world_handle(0, SLOT_NODE + NODES), 0);
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_NODE + NODES), 0);
		break;
	case 1:
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_BLOCKS), 0);
		step(1);
		break;
	case 2:
		while (CALL(0, frame_reclaim, world_handle(0, SLOT_POOL), 0, FRAMES) == ERR(AGAIN))
			;
		break;
	default:
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_CODE), 0);
		step(1);
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_SHARES), 0);
	}
	while (fake.count)
		interrupt(8);
	ok(!world_check(), "an end, %u", how);
	(void)world_finish(0, EXO_CALL_cap_revoke, world_handle(0, SLOT_NODE + NODES), 0);
	(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_NODE + NODES), 0);
	ok(info_frame[cap_slot(world.env[0], SLOT_POOL)->first].state == EXO_FRAME_OWNED && info->frames_free >= frames,
	    "all frames are there");
}

int main(void)
{
	for (unsigned i = 0; i < 4; i++)
		test_together(i, world_steps(25000), true, 0);
	for (unsigned i = 0; i < 10; i++)
		test_together(i, world_steps(4000), i % 2, 11);
	for (unsigned i = 0; i < 8; i++)
		test_ends(i);
	printf("# %u power cuts; gained %u, lost %u, directories made %u, dropped %u, changes of the hostile one %u\n", cuts,
	    done_ops[0], done_ops[3], done_ops[1], done_ops[2], done_ops[8]);
	return done();
}
