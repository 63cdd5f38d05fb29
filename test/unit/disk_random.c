/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks: random requests, derivations, deletions, revocations and bindings of three environments against a naive model,
 * while a disk does what it has in any order.
 *
 * The model keeps for each capability what it covers, with what rights, and for each request that was posted what it
 * asked for. When the disk does a transfer, it must be one that was posted and not done yet, by somebody whose
 * capabilities allowed it when it was taken; the model then says what each block and each frame holds, and they are
 * compared. What was taken away while a transfer was under way is not free, or written by others, before it ends. After
 * each step the kernel's invariants hold; at last all frames are back.
 */
#include "test/unit/disk_fake.h"

#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define STEPS		60000
#define SLOTS		6	/* of each environment, of each kind, from FIRST on */
#define FIRST		16
#define RING_SLOT	14
#define FRAMES_EACH	4

enum { KIND_BLOCKS, KIND_FRAMES, KIND_SHARES, KINDS };

static struct model {
	bool there;
	unsigned rights;
	uint64_t first;
	uint32_t count;
	int parent;		/* index; -1: the root's, or none */
} caps[KINDS][WORLD_ENVS * SLOTS];

static struct {
	bool bound, seen;
	int through;		/* of KIND_SHARES */
	struct exo_disk_ring *ring;
	uint32_t posted, taken, done;
	exo_pfn_t pfn;
} rings[WORLD_ENVS];

/* What is under way, by flight, as it was when it was taken. */
static struct {
	bool used, gone, limbo;
	unsigned who;
	int blocks;		/* of KIND_BLOCKS; -1: gone */
	struct exo_disk_request asked;
	uint64_t block;
	exo_pfn_t pfn;
	uint32_t tag;
} flights[DISK_FLIGHTS];

static unsigned steps, taken_ok, refused, in_limbo, lost_frames;

static void need(bool good, const char *what)
{
	if (good)
		return;
	printf("not ok - step %u: %s\n", steps, what);
	exit(1);
}

static uint32_t slot_of(unsigned kind, int i)
{
	return FIRST + kind * SLOTS + (uint32_t)i % SLOTS;
}

static unsigned env_of(int i)
{
	return (unsigned)i / SLOTS;
}

static exo_cap_t handle_of(unsigned kind, int i)
{
	return world_handle(env_of(i), slot_of(kind, i));
}

static int any_of(unsigned kind, int who)
{
	int i = (int)below(WORLD_ENVS * SLOTS);

	for (unsigned tries = 0; tries < WORLD_ENVS * SLOTS; tries++, i = (i + 1) % (WORLD_ENVS * SLOTS))
		if (caps[kind][i].there && (who < 0 || env_of(i) == (unsigned)who))
			return i;
	return -1;
}

static int free_of(unsigned kind, unsigned who)
{
	for (int i = (int)(who * SLOTS); i < (int)((who + 1) * SLOTS); i++)
		if (!caps[kind][i].there)
			return i;
	return -1;
}

/* --- what goes ------------------------------------------------------------------------------------------ */

static void unbound(unsigned who)
{
	rings[who].bound = false;
	for (unsigned i = 0; i < DISK_FLIGHTS; i++)
		if (flights[i].used && flights[i].who == who)
			flights[i].gone = true;
}

static void dropped(unsigned kind, int i)
{
	caps[kind][i].there = false;
	for (int j = 0; j < WORLD_ENVS * SLOTS; j++)
		if (caps[kind][j].there && caps[kind][j].parent == i)
			caps[kind][j].parent = caps[kind][i].parent;
	if (kind == KIND_SHARES && rings[env_of(i)].bound && rings[env_of(i)].through == i)
		unbound(env_of(i));
	for (unsigned f = 0; kind == KIND_BLOCKS && f < DISK_FLIGHTS; f++)
		if (flights[f].used && flights[f].blocks == i) {
			flights[f].blocks = -1;
			flights[f].limbo = true;
			in_limbo++;
		}
}

static bool below_of(unsigned kind, int i, int above)
{
	for (; i >= 0; i = caps[kind][i].parent)
		if (i == above)
			return true;
	return false;
}

/* A frame that the disk uses is nobody else's. */
static void frames_kept(void)
{
	for (unsigned f = 0; f < DISK_FLIGHTS; f++)
		for (unsigned j = 0; flights[f].used && flights[f].asked.operation <= EXO_DISK_WRITE && j < flights[f].asked.count; j++) {
			need(!frame_is_free(flights[f].pfn + j), "a frame that the disk uses is free");
			lost_frames += !info_frame[flights[f].pfn + j].holds;
		}
}

/* --- what is taken -------------------------------------------------------------------------------------- */

/* What the model says of a request of `who`: 0, or an error. */
static int64_t judge(unsigned who, const struct exo_disk_request *r, int *blocks, int *frames)
{
	*blocks = *frames = -1;
	for (int i = (int)(who * SLOTS); i < (int)((who + 1) * SLOTS); i++) {
		if (caps[KIND_BLOCKS][i].there && handle_of(KIND_BLOCKS, i) == r->blocks)
			*blocks = i;
		if (caps[KIND_FRAMES][i].there && handle_of(KIND_FRAMES, i) == r->frames)
			*frames = i;
	}
	if (*blocks < 0)
		return ERR(CAP);
	if (!(caps[KIND_BLOCKS][*blocks].rights & (r->operation == EXO_DISK_READ ? EXO_RIGHT_READ : EXO_RIGHT_WRITE)))
		return ERR(RIGHTS);
	if (r->operation == EXO_DISK_FLUSH)
		return 0;
	if (!r->count)
		return ERR(INVAL);
	if ((uint64_t)r->block + r->count > caps[KIND_BLOCKS][*blocks].count)
		return ERR(RANGE);
	if (*frames < 0)
		return ERR(CAP);
	if (!(caps[KIND_FRAMES][*frames].rights & (r->operation == EXO_DISK_READ ? EXO_RIGHT_WRITE : EXO_RIGHT_READ)))
		return ERR(RIGHTS);
	return (uint64_t)r->frame + r->count > caps[KIND_FRAMES][*frames].count ? ERR(RANGE) : 0;
}

/* The flight that is this request: the only one that the model does not know. */
static void flight_new(unsigned who, const struct exo_disk_request *r, int blocks, int frames)
{
	const struct disk_transfer *t;
	unsigned f;

	for (f = 0; f < DISK_FLIGHTS; f++) {
		t = &fake.transfer[f];
		if (fake.busy[f] && !flights[f].used && fake.disk.state->flight[f].tag == r->tag)
			break;
	}
	need(f < DISK_FLIGHTS, "a request was taken that went nowhere");
	flights[f].used = true;
	flights[f].gone = flights[f].limbo = false;
	flights[f].who = who;
	flights[f].blocks = blocks;
	flights[f].asked = *r;
	flights[f].tag = r->tag;
	flights[f].block = (caps[KIND_BLOCKS][blocks].first & 0xffffffffffff) + r->block;
	flights[f].pfn = r->operation <= EXO_DISK_WRITE ? (exo_pfn_t)caps[KIND_FRAMES][frames].first + r->frame : 0;
	need(t->operation == r->operation, "another operation");
	if (r->operation == EXO_DISK_FLUSH)
		return;
	need(t->block == flights[f].block && t->blocks == r->count && t->parts == 1, "other blocks");
	need(t->part[0].address == (paddr_t)flights[f].pfn << 12 && t->part[0].bytes == r->count * 4096U, "other frames");
	for (unsigned g = 0; g < DISK_FLIGHTS; g++)
		need(g == f || !flights[g].used || !flights[g].limbo || flights[g].asked.operation == EXO_DISK_FLUSH ||
		    (flights[g].asked.operation == EXO_DISK_READ && r->operation == EXO_DISK_READ) ||
		    flights[f].block >= flights[g].block + flights[g].asked.count ||
		    flights[g].block >= flights[f].block + r->count, "it touches blocks of one in limbo");
}

/* The kernel may have taken some, of any ring. Rings in limbo's way wait; all others' flights are found here. */
static void look(void)
{
	struct exo_disk_request *r;
	struct exo_disk_done *done;
	int blocks, frames;
	int64_t error;

	for (unsigned who = 0; who < WORLD_ENVS; who++) {
		if (!rings[who].bound)
			continue;
		for (; rings[who].taken != rings[who].ring->taken; rings[who].taken++) {
			r = &rings[who].ring->request[rings[who].taken % EXO_DISK_SLOTS];
			error = judge(who, r, &blocks, &frames);
			if (!error) {
				flight_new(who, r, blocks, frames);
				taken_ok++;
				continue;
			}
			done = &rings[who].ring->completion[rings[who].done++ % EXO_DISK_SLOTS];
			need(done->tag == r->tag && done->result == error, "refused otherwise than the model says");
			refused++;
		}
		need(rings[who].done == rings[who].ring->done, "as many completions as the model says");
	}
	frames_kept();
}

/* --- steps ---------------------------------------------------------------------------------------------- */

static void step_post(void)
{
	unsigned who = below(WORLD_ENVS), n = 1 + below(3);
	int b, f;

	if (!rings[who].bound || rings[who].posted - rings[who].taken > EXO_DISK_SLOTS - 4)
		return;
	while (n--) {
		b = any_of(KIND_BLOCKS, below(16) ? (int)who : -1);
		f = any_of(KIND_FRAMES, below(16) ? (int)who : -1);
		rings[who].ring->request[rings[who].posted % EXO_DISK_SLOTS] = (struct exo_disk_request){
			.blocks = b >= 0 ? handle_of(KIND_BLOCKS, b) : 0, .frames = f >= 0 ? handle_of(KIND_FRAMES, f) : 0,
			.block = below(b >= 0 ? caps[KIND_BLOCKS][b].count + 1 : 9), .frame = below(3),
			.count = (uint16_t)(below(3) ? 1 : below(4)), .operation = (uint8_t)(below(8) ? below(2) : EXO_DISK_FLUSH),
			.tag = steps * 4 + n };
		rings[who].posted++;
	}
	rings[who].ring->posted = rings[who].posted;
	(void)CALL(who, disk_kick, handle_of(KIND_SHARES, rings[who].through));
	look();
}

/* One comes back: the model does the same with its own copy of what the blocks and frames held. */
static void step_done(void)
{
	struct exo_disk_done *done;
	unsigned i, f, who;
	bool failed = !below(10);

	if (!fake.count)
		return;
	i = below(fake.count);
	f = fake.order[i];
	need(flights[f].used, "the disk has one that the model does not know");
	who = flights[f].who;
	disks_lock();
	if (!below(6))
		(void)disk_done(&fake.disk, DISK_FLIGHTS + below(9), false);
	fake_done(i, failed);
	disks_unlock();
	flights[f].used = false;
	if (!flights[f].gone) {
		need(rings[who].bound && rings[who].ring->done == rings[who].done + 1, "its ring is told");
		done = &rings[who].ring->completion[rings[who].done++ % EXO_DISK_SLOTS];
		need(done->tag == flights[f].tag && done->result == (failed ? ERR(DEVICE) : 0), "of its end");
	}
	if (below(3)) {
		disks_lock();
		while (disk_settled(&fake.disk))
			;
		disks_unlock();
		look();
	}
}

static void step_derive(void)
{
	unsigned kind = below(KINDS), to = below(WORLD_ENVS), who, rights;
	int from = any_of(kind, -1), slot;
	uint64_t first;
	uint32_t count;

	if (from < 0)
		return;
	who = env_of(from);
	if (to != who && to != (who + 1) % WORLD_ENVS)
		to = who;
	slot = free_of(kind, to);
	if (slot < 0)
		return;
	first = below(2) ? 0 : below(caps[kind][from].count);
	count = 1 + below(caps[kind][from].count - (uint32_t)first);
	rights = kind == KIND_SHARES ? EXO_RIGHT_BIND : below(4) ? caps[kind][from].rights : caps[kind][from].rights & (1 + below(3));
	if (CALL(who, cap_derive, handle_of(kind, from), to == who ? 0 : world_handle(who, SLOT_PEER), slot_of(kind, slot), rights,
	    first, count) < 0)
		return;
	caps[kind][slot] = (struct model){ true, rights, caps[kind][from].first + first, count, from };
}

static void step_drop(void)
{
	unsigned kind = below(KINDS);
	int i = any_of(kind, -1);

	if (fake.count && below(2)) {		/* one that a flight was made through */
		kind = KIND_BLOCKS;
		i = flights[fake.order[below(fake.count)]].blocks;
	}
	if (i < 0)
		return;
	if (below(4)) {
		(void)world_finish(env_of(i), EXO_CALL_cap_delete, handle_of(kind, i), 0);
		dropped(kind, i);
	} else {
		(void)world_finish(env_of(i), EXO_CALL_cap_revoke, handle_of(kind, i), 0);
		for (int j = 0; j < WORLD_ENVS * SLOTS; j++)
			if (j != i && caps[kind][j].there && below_of(kind, j, i))
				caps[kind][j].rights |= 0x8000;	/* marked: all are found before the first goes */
		for (int j = 0; j < WORLD_ENVS * SLOTS; j++)
			if (caps[kind][j].there && caps[kind][j].rights & 0x8000)
				dropped(kind, j);
	}
	look();
}

/* Roots: several may cover the same. */
static void step_root(void)
{
	unsigned kind = below(KINDS), who = below(WORLD_ENVS);
	int slot = free_of(kind, who);
	int64_t made;

	if (slot < 0 || (kind != KIND_FRAMES && any_of(kind, -1) >= 0 && below(8)))
		return;
	if (kind == KIND_FRAMES) {
		made = CALL(who, frame_take, slot_of(kind, slot), EXO_PFN_ANY, FRAMES_EACH);
		if (made < 0 || cap_slot(world.env[who], slot_of(kind, slot))->count != FRAMES_EACH)
			return;
		caps[kind][slot] = (struct model){ true, RW, cap_slot(world.env[who], slot_of(kind, slot))->first, FRAMES_EACH, -1 };
		return;
	}
	caps[kind][slot] = (struct model){ true, kind == KIND_BLOCKS ? RW : EXO_RIGHT_BIND, exo_disk_first(0, 0),
		kind == KIND_BLOCKS ? 24 : EXO_DISK_SHARES, -1 };
	fake_fill(who, slot_of(kind, slot), kind == KIND_BLOCKS ? EXO_TYPE_BLOCKS : EXO_TYPE_DISK, caps[kind][slot].rights,
	    caps[kind][slot].first, caps[kind][slot].count);
}

static void step_bind(void)
{
	unsigned who = below(WORLD_ENVS);
	int through = any_of(KIND_SHARES, (int)who);
	bool clash = false;
	int64_t error;

	if (rings[who].bound) {
		if (below(16))
			return;
		(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, RING_SLOT), 0);
		unbound(who);
		look();
		return;
	}
	if (through < 0)
		return;
	if (cap_slot(world.env[who], RING_SLOT)->type != EXO_TYPE_NONE)
		(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, RING_SLOT), 0);
	if (CALL(who, frame_take, RING_SLOT, EXO_PFN_ANY, 1) < 0)
		return;
	for (unsigned other = 0; other < WORLD_ENVS; other++) {
		const struct model *a = &caps[KIND_SHARES][through], *b = &caps[KIND_SHARES][rings[other].through];

		if (rings[other].bound && a->first < b->first + b->count && b->first < a->first + a->count)
			clash = true;
	}
	error = CALL(who, disk_bind, handle_of(KIND_SHARES, through), world_handle(who, RING_SLOT), 0);
	need(error == (clash ? ERR(BUSY) : 0), "bound iff its shares are nobody's");
	if (error)
		return;
	rings[who].bound = true;
	rings[who].through = through;
	rings[who].ring = fake_ring(who, RING_SLOT, 0);
	rings[who].posted = rings[who].taken = rings[who].done = 0;
}

int main(void)
{
	static void (*const step[])(void) = { step_post, step_post, step_post, step_done, step_done, step_derive, step_derive,
		step_drop, step_root, step_root, step_bind, step_post, step_post, step_done };
	unsigned all = world_steps(STEPS);
	uint32_t free;

	fake_boot(600, EXO_DISK_CACHE);
	free = info->frames_free;
	for (steps = 0; steps < all; steps++) {
		null.now += below(1000000);
		step[below(sizeof(step) / sizeof(step[0]))]();
		if (!below(400))
			fake.most = 1 + below(DISK_FLIGHTS);
	}
	ok(true, "%u steps: %u requests taken, %u refused, %u in limbo, %u frames that only the disk had", all, taken_ok, refused,
	    in_limbo, lost_frames);
	ok(taken_ok > all / 100 && refused > all / 100 && in_limbo > all / 6000 && lost_frames > 0, "all of it happened");
	for (unsigned who = 0; who < WORLD_ENVS; who++) {
		if (cap_slot(world.env[who], RING_SLOT)->type != EXO_TYPE_NONE)
			(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, RING_SLOT), 0);
		unbound(who);
	}
	for (unsigned kind = 0; kind < KINDS; kind++)
		for (int i = 0; i < WORLD_ENVS * SLOTS; i++)
			if (caps[kind][i].there) {
				(void)world_finish(env_of(i), EXO_CALL_cap_delete, handle_of(kind, i), 0);
				dropped(kind, i);
			}
	while (fake.count)
		(void)fake_interrupt(1, true);
	is_int(info->frames_free, free, "all frames are back");
	ok(!fake.disk.state->under_way && !fake.disk.state->limbo && !fake.disk.state->bound && !world_check(), "nothing is left");
	return done();
}
