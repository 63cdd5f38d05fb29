/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of disks: read from a ring, checked, under way, done.
 *
 * A request is read into the flight that it will be, once, and checked and carried out as it stands there; what the ring
 * holds later is of no interest. All words that are trusted are the kernel's own.
 *
 * Whose request is next: start-time fair queueing (Goyal 1996) of the disk's time. A request advances its ring's `pass`,
 * by the ring's shares, by what requests of its kind and size take on the average (what went by from one batch of
 * completions to the next is what they took); its own time would be no measure, since whoever has a disk or a host that
 * stalls pays for the others. The ring with the lowest pass is next; who comes back from idling begins where the others
 * are. Shares and latency can be kept only for what has not been given to the disk yet. So while several rings have had
 * requests lately, each has one in the disk at most, all together RIVALS_MAX: a victim's request waits for one of
 * another's, whatever that has posted. A disk that can do many at once could do more then; alone, a ring has all of it.
 *
 * All is bounded by the rough counts of instructions below.
 */
#include "exo/disks.h"

#define COST_TAKE	380	/* a request, with the driver's part, and for each: */
#define COST_PART	200	/* descriptor */
#define COST_BLOCK	20
#define COST_DONE	150
#define COST_BACK	12	/* block that is done */
#define COST_LOOK	10	/* ring, or flight, looked at */
#define BUDGET		9500	/* of one kick; and of what ends take with them, in the same stay: */
#define BUDGET_MORE	5000

#define RIVALS_MAX	2	/* flights while several rings have requests */
#define RESERVE_MAX	8	/* while others are bound, but have none */
#define RIVALS_NS	2000000000	/* how long one is expected to come back */
#define OTHER_NS	5000	/* what one counts that does not get to the disk: or who posts such would always be next */
#define MEAN_SHARE	32	/* one new measure has one part in so many of a mean */
#define MEAN_MIN	1000	/* ns */
#define MEAN_MAX	100000000
#define ELAPSED_MAX	1000000000

#define USABLE		(FRAME_STATE(OWNED) | FRAME_STATE(RING))

enum taken { TOOK, BLOCKED, FULL };

/* --- reading --- */

/* What a request's first descriptor says, but for its frames. */
static int64_t read_first(struct disk *disk, const struct disk_ring *ring, const struct exo_disk_request *one,
    struct disk_flight *flight)
{
	static const uint8_t offered[] = { [EXO_DISK_DISCARD] = EXO_DISK_HAS_DISCARD, [EXO_DISK_ZEROES] = EXO_DISK_HAS_ZEROES };
	struct disk_transfer *to = &flight->transfer;
	int64_t error;

	flight->tag = one->tag;
	to->operation = one->operation;
	to->flags = one->flags & EXO_DISK_FUA;
	to->parts = 0;
	to->blocks = 0;
	if (one->operation > EXO_DISK_ZEROES || one->flags & ~(EXO_DISK_FUA | EXO_DISK_MORE) ||
	    (one->operation > EXO_DISK_FLUSH && !(disk->flags & offered[one->operation])) ||
	    (one->operation > EXO_DISK_WRITE && one->flags) ||
	    (to->flags && (one->operation != EXO_DISK_WRITE || !(disk->flags & EXO_DISK_HAS_FUA))))
		return ERR(INVAL);
	flight->volume = 0;
	flight->through = cap_need(ring->env, one->blocks, EXO_TYPE_BLOCKS,
	    one->operation == EXO_DISK_READ ? EXO_RIGHT_READ : EXO_RIGHT_WRITE, &error);
	if (unlikely(!flight->through)) {
		if (error == ERR(TYPE))
			error = registry_request(ring->env, one, flight);
		if (error)
			return error;
	} else if (unlikely(flight->through->object)) {
		return ERR(BUSY);
	}
	if (flight->through->first >> EXO_DISK_SHIFT != disk->number)
		return ERR(RANGE);
	to->block = one->operation == EXO_DISK_FLUSH ? 0 :
	    (flight->through->first & ((1ULL << EXO_DISK_SHIFT) - 1)) + one->block;
	return 0;
}

/* So many more blocks, with their frames. */
static int64_t read_part(const struct disk_ring *ring, const struct exo_disk_request *one, uint32_t block,
    struct disk_flight *flight)
{
	struct disk_transfer *to = &flight->transfer;
	struct disk_part *last = &to->part[to->parts];
	int64_t error;
	uint32_t usable = USABLE;
	exo_pfn_t pfn = 0, i;

	if (!one->count || to->blocks + one->count > EXO_DISK_BLOCKS_MAX)
		return ERR(INVAL);
	if ((uint64_t)block + to->blocks + one->count > flight->through->count)
		return ERR(RANGE);
	if (unlikely(flight->volume) && (error = registry_part(flight, block + to->blocks, one->count, &pfn)) != 0)
		return error;
	to->blocks += one->count;
	if (to->operation > EXO_DISK_WRITE)
		return 0;
	if (unlikely(pfn))
		usable = FRAME_STATE(VOLUME);
	else if (!cap_need_frames(ring->env, one->frames, to->operation == EXO_DISK_READ ? EXO_RIGHT_WRITE : EXO_RIGHT_READ,
	    one->frame, one->count, &pfn, &error))
		return error;
	for (i = pfn; i < pfn + one->count; i++)
		if (!(usable >> info_frame[i].state & 1) || frame_table[i].pins >= UINT16_MAX - EXO_DISK_PARTS_MAX)
			return ERR(BUSY);
	if (to->parts && last[-1].address + last[-1].bytes == (paddr_t)pfn << EXO_PAGE_SHIFT) {
		last[-1].bytes += (uint32_t)one->count << EXO_PAGE_SHIFT;
		return 0;
	}
	last->address = (paddr_t)pfn << EXO_PAGE_SHIFT;
	last->bytes = (uint32_t)one->count << EXO_PAGE_SHIFT;
	to->parts++;
	return 0;
}

/* The ring's next request, of *count descriptors: 0, or what is wrong with it. */
static int64_t read_request(struct disk *disk, const struct disk_ring *ring, struct disk_flight *flight, uint32_t *count)
{
	uint32_t available = read_once(ring->page->posted) - ring->taken, i = 0, block = 0;
	struct exo_disk_request one;
	int64_t error = 0;

	if (available > EXO_DISK_SLOTS)
		available = 0;	/* it was not when the ring was chosen */
	do {
		one = *(const volatile struct exo_disk_request *)&ring->page->request[(ring->taken + i) % EXO_DISK_SLOTS];
		if (i == 0) {
			block = one.block;
			error = read_first(disk, ring, &one, flight);
		} else if (i == EXO_DISK_PARTS_MAX) {
			error = ERR(INVAL);
		}
		if (!error && flight->transfer.operation != EXO_DISK_FLUSH)
			error = read_part(ring, &one, block, flight);
	} while (++i < available && one.flags & EXO_DISK_MORE);
	*count = i;
	return !error && one.flags & EXO_DISK_MORE ? ERR(INVAL) : error;
}

/* --- under way --- */

static void pins(const struct disk_transfer *transfer, bool pin)
{
	exo_pfn_t pfn, end;

	for (unsigned i = 0; i < transfer->parts; i++) {
		pfn = (exo_pfn_t)(transfer->part[i].address >> EXO_PAGE_SHIFT);
		end = pfn + (transfer->part[i].bytes >> EXO_PAGE_SHIFT);
		for (; pfn < end; pfn++) {
			if (pin)
				frame_table[pfn].pins++;
			else if (likely(info_frame[pfn].holds && frame_table[pfn].pins))
				frame_table[pfn].pins--;
			else
				frame_unpin(pfn);
		}
	}
}

/* Does one in limbo touch its blocks? Two that read do not mind. */
static rarely out_of_line bool in_limbo(const struct disk_state *state, const struct disk_transfer *transfer)
{
	const struct disk_flight *other;

	for (uint64_t left = state->under_way; left; left &= left - 1) {
		other = &state->flight[__builtin_ctzll(left)];
		if (!other->through && (transfer->operation | other->transfer.operation) != EXO_DISK_READ &&
		    transfer->block < other->transfer.block + other->transfer.blocks &&
		    other->transfer.block < transfer->block + transfer->blocks)
			return true;
	}
	return false;
}

static void complete(struct disk_state *state, struct disk_ring *ring, uint32_t tag, int64_t result)
{
	struct exo_disk_ring *page = ring->page;

	page->completion[ring->done++ % EXO_DISK_SLOTS] = (struct exo_disk_done){ tag, (int32_t)result };
	__atomic_store_n(&page->done, ring->done, __ATOMIC_RELEASE);
	state->told |= 1ULL << ring->number;
}

/* The next request of a ring, which has one. */
static enum taken take(struct disk *disk, struct disk_ring *ring, unsigned *cost)
{
	struct disk_state *state = disk->state;
	unsigned number = (unsigned)__builtin_ctzll(~state->under_way);
	struct disk_flight *flight = &state->flight[number];
	uint32_t count;
	int64_t error = read_request(disk, ring, flight, &count);
	bool nothing = flight->transfer.operation == EXO_DISK_FLUSH && !(disk->flags & EXO_DISK_CACHE);

	*cost += COST_TAKE + count * COST_PART + flight->transfer.blocks * COST_BLOCK;
	if (unlikely(state->limbo))
		*cost += state->flights * COST_LOOK;
	if (!error && !nothing) {
		if (unlikely(state->limbo) && in_limbo(state, &flight->transfer)) {
			state->blocked |= 1ULL << ring->number;
			return BLOCKED;
		}
		if (!disk->submit(disk, number, &flight->transfer))
			return FULL;
		pins(&flight->transfer, true);
		if (unlikely(flight->volume))
			registry_begin(flight);
		if (flight->transfer.operation == EXO_DISK_FLUSH)
			flight->stamp = ++state->flush_begun;
		flight->ring = ring;
		flight->gone = false;
		state->under_way |= 1ULL << number;
		state->flights++;
		ring->flights++;
	}
	if (ring->pass < state->pass)
		ring->pass = state->pass;
	state->pass = ring->pass;
	if (unlikely(error || nothing))
		ring->pass += OTHER_NS * EXO_DISK_SHARES / ring->shares;	/* of the kernel's time */
	ring->taken += count;
	__atomic_store_n(&ring->page->taken, ring->taken, __ATOMIC_RELEASE);
	if (unlikely(error)) {
		ring->page->refused++;
		disk->info->refused++;
	}
	if (unlikely(error || nothing))
		complete(state, ring, flight->tag, error);
	return TOOK;
}

/* --- whose turn it is --- */

void disk_wanted(struct disk_state *state, struct disk_ring *ring, exo_time_t now)
{
	if (likely(state->last == ring))
		return;
	if (state->last)
		state->rivals_until = now + RIVALS_NS;
	state->last = ring;
}

/* Of those that have requests, the one that had the least. */
static struct disk_ring *next_ring(struct disk_state *state, unsigned *cost)
{
	struct disk_ring *ring, *best = NULL;

	for (uint64_t left = state->rings & ~state->blocked; left; left &= left - 1) {
		ring = &state->ring[__builtin_ctzll(left)];
		*cost += COST_LOOK;
		if (read_once(ring->page->posted) - ring->taken - 1 < EXO_DISK_SLOTS &&
		    (!best || ring->pass < best->pass) && env_state(ring->env) != EXO_ENV_ENDED)
			best = ring;
	}
	return best;
}

static bool has_room(const struct disk_state *state, const struct disk_ring *ring, exo_time_t now)
{
	if (likely(state->rings == 1ULL << ring->number))
		return state->flights < DISK_FLIGHTS;
	if (now >= state->rivals_until)
		return state->flights < RESERVE_MAX;
	return state->flights < RIVALS_MAX && !ring->flights;
}

/* Tell those who have completions. */
static void tell(struct disk_state *state)
{
	struct env *env;

	for (; state->told; state->told &= state->told - 1) {
		env = state->ring[__builtin_ctzll(state->told)].env;
		if (env_state(env) != EXO_ENV_ENDED)
			env_event(env, EXO_EVENT_DISK);
	}
}

bool disk_take(struct disk *disk, struct disk_ring *one, unsigned most, unsigned *count)
{
	struct disk_state *state = disk->state;
	exo_time_t now = arch_now();
	unsigned cost = 0, flights = state->flights, budget = one ? BUDGET : BUDGET_MORE;
	struct disk_ring *ring;
	enum taken taken;

	*count = 0;
	if (!flights)
		state->since = now;
	while (disk->phase < DISK_STOPS && (ring = next_ring(state, &cost)) != NULL && has_room(state, ring, now) &&
	    cost < budget) {
		disk_wanted(state, ring, now);
		taken = take(disk, ring, &cost);
		if (taken == FULL)
			break;
		if (taken == TOOK && ring == one && ++*count == most)
			break;
	}
	if (state->flights != flights)
		disk->notify(disk);
	tell(state);
	return cost < budget;
}

/* --- done --- */

static void count(const struct disk_transfer *transfer, struct disk *disk, struct exo_disk_ring *page)
{
	if (transfer->operation == EXO_DISK_READ) {
		disk->info->read_blocks += transfer->blocks;
		page->read_blocks += transfer->blocks;
	} else if (transfer->operation == EXO_DISK_WRITE) {
		disk->info->written_blocks += transfer->blocks;
		page->written_blocks += transfer->blocks;
	} else if (transfer->operation == EXO_DISK_FLUSH) {
		disk->info->flushes++;
		page->flushes++;
	}
}

/* Requests whose time is like: of one operation, and of a size between two powers of two. */
static unsigned class_of(const struct disk_transfer *transfer)
{
	unsigned size = transfer->blocks ? 31 - (unsigned)__builtin_clz(transfer->blocks) : 0;

	return transfer->operation <= EXO_DISK_WRITE ? transfer->operation * DISK_SIZES + size : (unsigned)
	    (2 * DISK_SIZES + transfer->operation - EXO_DISK_FLUSH);
}

rarely void disk_gone(struct disk_state *state, struct disk_ring *ring)
{
	struct disk_flight *flight;

	for (uint64_t left = state->under_way; left; left &= left - 1) {
		flight = &state->flight[__builtin_ctzll(left)];
		if (flight->ring != ring || flight->gone)
			continue;
		flight->gone = true;
		ring->pass += (uint64_t)state->mean[class_of(&flight->transfer)] * EXO_DISK_SHARES / ring->shares;
	}
	ring->flights = 0;
}

unsigned disk_done(struct disk *disk, unsigned number, bool failed)
{
	struct disk_state *state = disk->state;
	struct disk_flight *flight = &state->flight[number % DISK_FLIGHTS];
	const struct disk_transfer *transfer = &flight->transfer;
	struct disk_ring *ring = flight->ring;
	unsigned class;

	assert_locked();
	if (number >= DISK_FLIGHTS || !(state->under_way >> number & 1)) {
		disk->info->errors++;
		return COST_DONE;
	}
	state->under_way &= ~(1ULL << number);
	state->flights--;
	if (unlikely(!flight->through)) {
		state->limbo--;
		state->blocked = 0;
	}
	pins(transfer, false);
	if (transfer->operation == EXO_DISK_FLUSH && !failed && (int32_t)(flight->stamp - state->flush_done) > 0)
		state->flush_done = flight->stamp;
	if (unlikely(flight->volume))
		registry_done(state, flight, failed);
	class = class_of(transfer);
	state->classes |= 1U << class;
	state->weight += state->mean[class];
	if (unlikely(failed))
		disk->info->errors++;
	if (likely(!flight->gone)) {
		ring->weight += state->mean[class];
		state->ended |= 1ULL << ring->number;
		ring->flights--;
		if (likely(!failed))
			count(transfer, disk, ring->page);
		else
			ring->page->failed++;
		complete(state, ring, flight->tag, failed ? ERR(DEVICE) : 0);
	}
	return COST_DONE + transfer->blocks * COST_BACK;
}

/* The disk's time since it was last charged was that of those who have ended. */
static void charge(struct disk *disk, exo_time_t now)
{
	struct disk_state *state = disk->state;
	uint64_t elapsed = now - state->since < ELAPSED_MAX ? now - state->since : ELAPSED_MAX, ns;
	uint32_t *mean;
	struct disk_ring *ring;

	for (; state->classes; state->classes &= state->classes - 1) {
		mean = &state->mean[__builtin_ctz(state->classes)];
		ns = *mean == state->weight ? elapsed : elapsed * *mean / state->weight;
		ns = *mean - *mean / MEAN_SHARE + ns / MEAN_SHARE;
		*mean = (uint32_t)(ns < MEAN_MIN ? MEAN_MIN : ns > MEAN_MAX ? MEAN_MAX : ns);
	}
	if (state->weight)
		disk->info->busy_ns += elapsed;
	for (; state->ended; state->ended &= state->ended - 1) {
		ring = &state->ring[__builtin_ctzll(state->ended)];
		ns = ring->weight == state->weight ? elapsed : elapsed * ring->weight / state->weight;
		ring->pass += ring->weight * EXO_DISK_SHARES / ring->shares;
		ring->weight = 0;
		if (likely(ring->page != NULL))
			ring->page->busy_ns += ns;
	}
	state->weight = 0;
	state->since = now;
}

bool disk_settled(struct disk *disk)
{
	unsigned none;

	charge(disk, arch_now());
	return !disk_take(disk, NULL, 0, &none);
}

/* --- starting anew --- */

static rarely void phase_set(struct disk *disk, enum disk_phase phase)
{
	disk->phase = (uint8_t)phase;
	disk->info->flags = disk->flags | (phase == DISK_GIVEN_UP ? EXO_DISK_DEAD : phase >= DISK_STOPS ? EXO_DISK_STOPPED : 0);
}

/* All that the device had ends, it says so itself or not. */
static rarely bool ends(struct disk *disk)
{
	struct disk_state *state = disk->state;

	for (unsigned cost = 0; state->under_way && cost < BUDGET;)
		cost += disk_done(disk, (unsigned)__builtin_ctzll(state->under_way), true);
	(void)disk_settled(disk);
	return !state->under_way;
}

rarely int64_t disk_reset_step(struct disk *disk)
{
	int64_t error = 0;

	switch (disk->phase) {
	case DISK_RUNS:
	case DISK_GIVEN_UP:
		phase_set(disk, DISK_STOPS);
		/* fall through */
	case DISK_STOPS:
		if (disk->stop(disk))
			phase_set(disk, DISK_ENDS);
		break;
	case DISK_ENDS:
		if (ends(disk))
			phase_set(disk, DISK_STARTS);
		break;
	case DISK_STARTS:
		error = disk->start(disk);
		if (error != ERR(AGAIN))
			phase_set(disk, error ? DISK_STOPS : DISK_TAKES);
		return error ? error : ERR(AGAIN);
	case DISK_TAKES:
		phase_set(disk, DISK_RUNS);
		if (disk_settled(disk))
			disk_again(disk->again);
		return 0;
	}
	return ERR(AGAIN);
}

rarely void disk_give_up(struct disk *disk)
{
	phase_set(disk, DISK_GIVEN_UP);
	disk->state->told = disk->state->rings;
	(void)disk_settled(disk);
}
