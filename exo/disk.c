/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks: binding rings to shares of a disk's time, and taking that apart again.
 *
 * A ring's state stands in a table made at boot, by its first share: so there is a place for each ring that can be bound,
 * and a capability finds its own at once. A binding goes with either of the two capabilities that it was made through,
 * so before the environment's table does. Nobody waits for the device: what it still works at keeps its frames pinned,
 * and its blocks from others if the capability to them has gone, until it comes back (disk_flight.c).
 *
 * The time that a ring has had (`pass`) stays with its shares when it goes, with what is still under way as if it had
 * taken what such requests take on the average: so binding anew, or to some of the shares, is no way to more.
 */
#include "exo/disks.h"
#include "exo/dev/dev.h"

#define UNBIND_UNITS	12	/* of the budget of a step */
#define SCAN_UNITS	2
#define NAME_BYTES	7
#define FIRST_MEAN	100000	/* ns */

#define AGAIN_MAX	8
#define PAUSE_NS	20000

static struct disk *disks[DISKS_MAX];
static unsigned disk_count;

/* Interrupts that are to come again, of each CPU's own. */
static struct again {
	exo_time_t due;
	unsigned count;
	uint32_t data[AGAIN_MAX];
} agains[EXO_CPUS_MAX];

void disk_init(void)
{
	disk_count = 0;
	__builtin_memset(agains, 0, sizeof(agains));
}

bool disk_add(struct disk *disk, const char *kind)
{
	uint32_t frames = (sizeof(struct disk_state) + EXO_PAGE_SIZE - 1) / EXO_PAGE_SIZE;
	struct exo_device_info *entry = device_entry();
	unsigned i;

	if (disk_count == DISKS_MAX || !disk->blocks || !entry)
		return false;
	if (disk->blocks > UINT32_MAX)
		disk->blocks = UINT32_MAX;	/* what one capability can cover */
	disk->number = disk_count;
	disk->state = pfn_to_virt(frame_boot_take(frames, EXO_FRAME_KERNEL));
	disk->info = entry;
	for (i = 0; i < EXO_DISK_SHARES; i++)
		disk->state->ring[i].number = (uint8_t)i;
	for (i = 0; i < DISK_CLASSES; i++)
		disk->state->mean[i] = FIRST_MEAN;
	__builtin_memcpy(entry->name, "disk", 4);
	entry->name[4] = (char)('0' + disk_count);
	for (i = 0; i < NAME_BYTES && kind[i]; i++)
		entry->name[8 + i] = kind[i];
	entry->address[0] = (uint8_t)disk_count;
	entry->flags = disk->flags;
	entry->blocks = disk->blocks;
	entry->kind = 2;
	disks[disk_count++] = disk;
	return true;
}

struct disk *disk_numbered(unsigned number)
{
	return number < disk_count ? disks[number] : NULL;
}

void disks_lock(void)
{
	kernel_lock_inside();
}

void disks_unlock(void)
{
	kernel_unlock();
}

void disk_again(uint32_t data)
{
	struct again *again = &agains[here.index];
	unsigned i;

	for (i = 0; i < again->count && again->data[i] != data; i++)
		;
	if (i == AGAIN_MAX) {
		arch_irq_again(data);
		return;
	}
	again->data[i] = data;
	if (i < again->count)
		return;
	again->count++;
	again->due = arch_now() + PAUSE_NS;
	cpu_timer_need(again->due);
}

void disk_timer(exo_time_t now)
{
	struct again *again = &agains[here.index];

	if (likely(!again->count))
		return;
	if (now < again->due) {
		cpu_timer_need(again->due);
		return;
	}
	while (again->count)
		arch_irq_again(again->data[--again->count]);
}

/* The disk of a capability, and there the ring that begins as its range does. */
static struct disk *disk_of(const struct exo_cap *cap, struct disk_ring **ring)
{
	struct disk *disk = disks[cap->first >> EXO_DISK_SHIFT];

	*ring = &disk->state->ring[cap->first % EXO_DISK_SHARES];
	return disk;
}

static uint64_t bits_of(const struct disk_ring *ring, unsigned shares)
{
	return ~0ULL >> (64 - shares) << ring->number;
}

/* --- ends --- */

static void unbind(struct disk_state *state, struct disk_ring *ring)
{
	unsigned i;

	disk_gone(state, ring);
	for (i = 1; i < ring->shares; i++)
		ring[i].pass = ring->pass;
	state->bound &= ~bits_of(ring, ring->shares);
	state->rings &= ~(1ULL << ring->number);
	state->told &= ~(1ULL << ring->number);
	state->blocked &= ~(1ULL << ring->number);
	ring->through = ring->frames = NULL;
	ring->page = NULL;
	account_charge(pfn_to_virt(ring->account), EXO_SHARE_RINGS, -1);
	info_frame[ring->pfn].state = EXO_FRAME_OWNED;	/* the rest is of programs whose window it is */
	frame_unpin(ring->pfn);
}

bool disk_drop(struct exo_cap *cap, unsigned *budget)
{
	struct disk_ring *ring;
	struct disk *disk = disk_of(cap, &ring);

	if (ring->through != cap)
		return true;
	if (!afford(budget, UNBIND_UNITS))
		return false;
	unbind(disk->state, ring);
	return true;
}

bool disk_cut(struct exo_cap *cap, unsigned *budget)
{
	struct disk_state *state;
	struct disk_ring *ring;
	uint64_t left;

	for (unsigned i = 0; i < disk_count; i++) {
		state = disks[i]->state;
		for (left = state->rings; left; left &= left - 1) {
			ring = &state->ring[__builtin_ctzll(left)];
			if (ring->frames != cap)
				continue;
			if (!afford(budget, UNBIND_UNITS))
				return false;
			unbind(state, ring);
		}
	}
	return true;
}

bool disk_blocks_drop(struct exo_cap *cap, unsigned *budget)
{
	struct disk_ring *none;
	struct disk_state *state = disk_of(cap, &none)->state;
	struct disk_flight *flight;

	if (cap->object)
		registry_lost(cap);
	if (!state->under_way)
		return true;
	if (!afford(budget, SCAN_UNITS))
		return false;
	for (uint64_t left = state->under_way; left; left &= left - 1) {
		flight = &state->flight[__builtin_ctzll(left)];
		if (flight->through != cap)
			continue;
		flight->through = NULL;
		state->limbo++;
	}
	return true;
}

/* --- calls --- */

int64_t sys_disk_bind(CALL_ARGS)
{
	struct env *env = current_env();
	int64_t error = 0;
	struct exo_cap *through = cap_need(env, a0, EXO_TYPE_DISK, EXO_RIGHT_BIND, &error), *frames;
	struct disk_state *state;
	struct disk_ring *ring;
	struct disk *disk;
	exo_pfn_t pfn;
	unsigned i;

	if (!through)
		return error;
	frames = cap_need_frames(env, a1, EXO_RIGHT_WRITE, a2, 1, &pfn, &error);
	if (!frames)
		return error;
	disk = disk_of(through, &ring);
	state = disk->state;
	if (state->bound & bits_of(ring, through->count))
		return ERR(BUSY);
	if (info_frame[pfn].state != EXO_FRAME_OWNED || frame_table[pfn].pins)
		return ERR(BUSY);
	error = account_take_kept(pfn_to_virt(env->account), EXO_SHARE_RINGS, 1);
	if (error)
		return error;

	info_frame[pfn].state = EXO_FRAME_RING;
	frame_pin(pfn);
	frames->flags |= CAP_RINGS;
	ring->env = env;
	ring->through = through;
	ring->frames = frames;
	ring->pfn = pfn;
	ring->account = env->account;
	ring->taken = ring->done = 0;
	ring->shares = (uint8_t)through->count;
	for (i = 1; i < ring->shares; i++)
		if (ring[i].pass > ring->pass)
			ring->pass = ring[i].pass;
	ring->page = pfn_to_virt(pfn);
	__builtin_memset(ring->page, 0, offsetof(struct exo_disk_ring, request));
	ring->page->version = EXO_DISK_RING_VERSION;
	ring->page->size = sizeof(*ring->page);
	ring->page->disk = disk->number;
	ring->page->shares = ring->shares;
	state->bound |= bits_of(ring, ring->shares);
	state->rings |= 1ULL << ring->number;
	return 0;
}

int64_t sys_disk_kick(CALL_ARGS)
{
	int64_t error = 0;
	const struct exo_cap *through = cap_need(current_env(), a0, EXO_TYPE_DISK, EXO_RIGHT_BIND, &error);
	struct disk_ring *ring;
	struct disk *disk;
	unsigned count;
	bool all;

	if (!through)
		return error;
	disk = disk_of(through, &ring);
	if (ring->through != through)
		return ERR(STATE);
	if (unlikely(disk->phase == DISK_GIVEN_UP))
		return ERR(DEVICE);
	if (read_once(ring->page->posted) - ring->taken > EXO_DISK_SLOTS)
		return ERR(INVAL);
	disk_wanted(disk->state, ring, arch_now());
	all = disk_take(disk, ring, EXO_DISK_KICK_MAX, &count);
	return !all && !count && !disk->state->under_way ? ERR(AGAIN) : count;
}

int64_t sys_disk_reset(CALL_ARGS)
{
	int64_t error = 0;
	const struct exo_cap *through = cap_need(current_env(), a0, EXO_TYPE_DISK, EXO_RIGHT_CONTROL, &error);
	struct disk_ring *none;
	struct disk *disk;

	if (!through)
		return error;
	if (through->count != EXO_DISK_SHARES)
		return ERR(RANGE);
	if (a1 > EXO_DISK_GIVE_UP)
		return ERR(INVAL);
	disk = disk_of(through, &none);
	if (a1 == EXO_DISK_STEP)
		return disk_reset_step(disk);
	disk_give_up(disk);
	return 0;
}
