/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answering demands, and forgetting what was taken. See revoke.h.
 *
 * R1 `demand` is the number of the demand that is being answered, `owed` what of it has not been given yet.
 *    The upcall that brings a new one may change both between any two instructions of a thread: at worst a
 *    little more is given
 * R2 the givers' list is sorted by order
 * R3 records [0, seen) of losses have been read, the last of them when its count was last_count; those that
 *    are spilled stand in `spilled` until they are restored
 */
#include "libos/core/revoke.h"
#include <string.h>
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define TURNS	4	/* times that the givers are asked for one demand */

struct revoke_figures revoke_figures;

static struct revoke_giver *givers;
static uint64_t demand, seen;
static uint32_t owed, last_count;
static exo_pfn_t spilled[REVOKE_SPILL_MAX];	/* which frame's bytes are in a page of the spill; 0: none's */
static const char *spill;
static uint32_t spill_pages;

#define abort_record	(&core_disp->abort)

/* A demand that was not seen yet becomes the one to be answered. */
static void look(void)
{
	const volatile struct exo_abort *abort = abort_record;
	uint64_t number = abort->demands;

	if (number == demand)
		return;
	demand = number;
	owed = abort->demand_what ? abort->demand_count : 0;	/* 0: it has ended already */
	revoke_figures.demands++;
	revoke_figures.wanted += owed;
}

static void given(uint32_t count)
{
	owed -= count < owed ? count : owed;
	revoke_figures.given += count;
}

/* Entered by core_run_entry, [upcall]: a demand has come, or a loss. Threads do the rest. */
void core_demand(void)
{
	look();
	if (!owed || abort_record->demand_what != EXO_TYPE_FRAME)
		return;
	uint32_t count = frame_give_back_now(owed);
	revoke_figures.by_upcall += count;
	given(count);
}

/* --- losses --------------------------------------------------------------------------------------------- */

/* The spill may have had room for the first of them only. */
static void keep_spilled(const struct exo_loss *loss)
{
	for (uint32_t i = 0; i < loss->count && loss->spilled + i < spill_pages; i++)
		spilled[loss->spilled + i] = (exo_pfn_t)loss->first + i;
}

static void count_lost(unsigned what, uint32_t count)
{
	if (what == EXO_TYPE_FRAME)
		revoke_figures.lost_frames += count;
	else if (what == EXO_TYPE_SLICE)
		revoke_figures.lost_slices += count;
}

/* The last record may have grown since it was read: downwards, by what was not spilled. */
static const struct exo_loss *grown(void)
{
	const struct exo_loss *last = &abort_record->loss[(seen - 1) % EXO_LOSSES];

	return seen && *(const volatile uint32_t *)&last->count != last_count ? last : NULL;
}

static bool have_lost(void)
{
	return seen != *(volatile uint64_t *)&abort_record->lost || grown();
}

static void read_losses(void)
{
	uint64_t lost = *(volatile uint64_t *)&abort_record->lost;
	const struct exo_loss *last = grown();

	if (last && lost - seen < EXO_LOSSES)
		count_lost(last->what, last->count - last_count);
	if (lost - seen > EXO_LOSSES) {
		revoke_figures.unrecorded += lost - seen - EXO_LOSSES;
		seen = lost - EXO_LOSSES;
	}
	for (; seen != lost; seen++) {
		struct exo_loss loss = abort_record->loss[seen % EXO_LOSSES];
		count_lost(loss.what, loss.count);
		if (loss.what == EXO_TYPE_FRAME && loss.spilled != EXO_NOT_SPILLED)
			keep_spilled(&loss);
	}
	last_count = seen ? abort_record->loss[(seen - 1) % EXO_LOSSES].count : 0;
	frame_resync();
}

/* All in one capability, in a slot that goes last. */
static exo_cap_t take_spill(uint32_t pages)
{
	uint32_t slot = frame_low_slot(), taken = 0;
	exo_cap_t cap = EXO_CAP_NONE;
	int64_t got;

	while (slot && taken < pages) {
		uint32_t part = pages - taken < EXO_TAKE_MAX ? pages - taken : EXO_TAKE_MAX;
		got = exo_frame_take(cap ? cap : slot, cap ? caps_at(slot)->first + taken : EXO_PFN_ANY,
				     part);
		if (got <= 0)
			break;
		cap = caps_handle(slot);
		taken = caps_at(slot)->count;
	}
	if (cap && taken < pages) {
		caps_delete(cap);
		cap = EXO_CAP_NONE;
	}
	return cap;
}

bool revoke_spill(uint32_t pages)
{
	exo_vaddr_t at = vm_addresses((uint64_t)pages * EXO_PAGE_SIZE);

	core_stack();
	if (spill || !pages || pages > REVOKE_SPILL_MAX || !at)
		return false;
	exo_cap_t cap = take_spill(pages);
	if (!cap || space_map(at, EXO_MAP_READ, cap, 0, pages)) {
		if (cap)
			caps_delete(cap);
		return false;
	}
	spill = (const char *)at;
	spill_pages = pages;
	abort_record->spill_next = 0;
	abort_record->spill = cap;
	return true;
}

bool revoke_restore(exo_pfn_t lost, void *to)
{
	if (have_lost())
		read_losses();
	/* The latest: the frame may have come back, and gone again. */
	for (uint32_t i = REVOKE_SPILL_MAX; i-- > 0;)
		if (lost && spilled[i] == lost) {
			memcpy(to, spill + (uint64_t)i * EXO_PAGE_SIZE, EXO_PAGE_SIZE);
			for (uint32_t k = 0; k <= i; k++)
				if (spilled[k] == lost)
					spilled[k] = 0;
			return true;
		}
	return false;
}

/* --- answering ------------------------------------------------------------------------------------------ */

void revoke_add_giver(struct revoke_giver *giver)
{
	struct revoke_giver **at = &givers;

	while (*at && (*at)->order <= giver->order)
		at = &(*at)->next;
	giver->next = *at;
	*at = giver;
}

void revoke_remove_giver(struct revoke_giver *giver)
{
	struct revoke_giver **at = &givers;

	while (*at && *at != giver)
		at = &(*at)->next;
	if (*at)
		*at = giver->next;
}

void revoke_vacate(exo_pfn_t first, exo_pfn_t end)
{
	for (struct revoke_giver *giver = givers; giver; giver = giver->next)
		if (giver->vacate)
			giver->vacate(giver, first, end);
}

/* From the allocator, as it has become since `held` was what it held. */
static void give_frames(uint32_t held)
{
	uint32_t gone = held - frame_held();

	if (gone < owed)
		gone += frame_give_back(owed - gone);
	if (gone < owed && frame_unused())
		gone += frame_pack(owed - gone);
	given(gone);
}

/*
 * Frames that a giver has put back are in the allocator now, or gone with the end of a run; slices are gone
 * already.
 */
static void ask(struct revoke_giver *giver, uint32_t what, exo_time_t by)
{
	uint32_t held = frame_held(), count = giver->give(giver, what, owed, by);

	if (what == EXO_TYPE_FRAME)
		give_frames(held);
	else
		given(count);
}

/* Is more wanted? The kernel ends a demand when the whole account has given enough. */
static bool wanted(uint32_t what, exo_time_t by)
{
	return owed && *(volatile uint32_t *)&abort_record->demand_what == what && core_now() < by;
}

static void answer(void)
{
	uint32_t what = abort_record->demand_what;
	exo_time_t by = abort_record->demand_by;

	if (what == EXO_TYPE_FRAME)
		give_frames(frame_held());
	for (unsigned turn = 0; turn < TURNS && wanted(what, by); turn++) {
		uint32_t before = owed;
		for (struct revoke_giver *giver = givers; giver && wanted(what, by); giver = giver->next)
			ask(giver, what, by);
		if (owed == before)
			break;
	}
	if (owed && *(volatile uint32_t *)&abort_record->demand_what == what)
		revoke_figures.unmet++;
	owed = 0;
}

void revoke_poll(void)
{
	core_stack();
	if (have_lost())
		read_losses();
	look();
	if (owed)
		answer();
}

static exo_time_t poll(void *arg)
{
	(void)arg;
	revoke_poll();
	return EXO_NEVER;
}

void revoke_start(void)
{
	static struct thread_poller poller = { .poll = poll };

	thread_add_poller(&poller);
}
