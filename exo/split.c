/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy-on-write without a trusted count: capabilities that are split into siblings, which can read but not
 * write what another still holds.
 *
 * Splitting takes WRITE from a frame capability and from all that is mapped through it, and makes a second
 * one like it, with the same parent, in whatever table. From then on
 *   K1 each of them covers those frames of its range whose bit is set in its record; `holds` counts them (F2)
 *   K2 through one that is split a frame is mapped writable only while no other capability covers it but those
 *      that it is derived from, and no entry maps it that may be another's (FRAME_LEFT); while it is being split
 *      (CAP_SPLITTING) none is
 *   K3 nothing is derived from it, so that whoever gives a frame up takes nothing back through others
 *   K4 at most `raised` entries in its ring have MAY_WRITE, so who has written nothing since the last split is not
 *      searched in the next one
 * So who wants to write makes a copy and gives its hold up, in O(1), and the last one writes in place.
 * Nothing here trusts a program to have unmapped what it gives up: an entry that stays is read-only, keeps
 * the others from writing in place (they copy then), and keeps the frame from being free: one that nobody
 * holds any more is freed with its last entry.
 *
 * A record is a frame that the splitter gave up, with a bit a frame, rather than a count in the frame table:
 * what a capability gave up it never holds again, also when the frame is another's meanwhile. Splitting is
 * restartable: from its first step on the source has no WRITE; the sibling is made when nothing can write any
 * more.
 */
#include "exo/splits.h"
#include "exo/codes.h"

/* A unit of the budget of a call stands for about 45 instructions. */
#define CALL_UNITS	300
#define CHECKS_PER_UNIT	4	/* frames looked at */
#define SHARES_PER_UNIT	1	/* frames that a sibling gets, if every other one is held; three times as fast in a row */
#define CHECK_MAX	1024
#define DROPS_PER_UNIT	2	/* frames let go for a unit of a drop */
#define RAISED_ALL	(~0ULL >> 1)	/* of one that was not split: nobody has counted */
#define ENDS_MAX	512	/* frames that one split_end looks at */

/* --- what a capability holds ---------------------------------------------------------------------------- */

/* How many frames from index i on are held (not: 0) or not held (not: ~0), all of them before `end`. */
static out_of_line uint32_t run_from(const struct split *split, uint32_t i, uint32_t end, uint64_t not)
{
	uint32_t at = i;
	uint64_t others;

	for (; at < end; at = (at | 63) + 1) {
		others = ~(split->held[at / 64] ^ not) >> at % 64;
		if (others) {
			at += (unsigned)__builtin_ctzll(others);
			break;
		}
	}
	return (at < end ? at : end) - i;
}

/* A run of frames that are all held or all not is the other from now on. */
static out_of_line void run_flip(struct split *split, uint32_t i, uint32_t count)
{
	uint32_t part;

	for (; count; count -= part, i += part) {
		part = 64 - i % 64 < count ? 64 - i % 64 : count;
		split->held[i / 64] ^= ~0ULL >> (64 - part) << i % 64;
	}
}

bool split_holds(const struct exo_cap *cap, exo_pfn_t first, uint32_t count)
{
	exo_pfn_t pfn = first;

	if (likely(!cap_is_split(cap)))
		return true;
	for (; pfn < first + count; pfn++)
		if (!split_has(cap, pfn))
			return false;
	return true;
}

uint32_t split_end_of(const struct exo_cap *cap)
{
	uint32_t end = cap->count;

	if (!cap_is_split(cap))
		return end;
	while (end && !split_has(cap, cap->first + end - 1))
		end = end % 64 || split_of(cap)->held[end / 64 - 1] ? end - 1 : end - 64;
	return end;
}

/* How many capabilities cover what it covers, if it has no siblings and they nothing else derived. */
static unsigned depth_of(const struct exo_cap *cap)
{
	unsigned depth = 0;

	for (; cap; cap = cap_at(cap->parent))
		depth++;
	return depth;
}

/* Does an entry map all of a run? */
static bool maps_run(uint64_t entry, exo_pfn_t first, uint32_t count)
{
	return entry && (entry & EXO_PTE_FRAME) >> EXO_PAGE_SHIFT == first &&
	    !(entry & EXO_PTE_LARGE) == (count == 1);
}

/* A device or a downloaded program may read or write it. */
static bool in_use(exo_pfn_t pfn)
{
	return info_frame[pfn].state == EXO_FRAME_OWNED && frame_table[pfn].pins;
}

bool split_alone(const struct exo_cap *cap, exo_pfn_t pfn, uint32_t count, uint64_t old)
{
	uint32_t own = maps_run(old, pfn, count), i;
	unsigned depth = depth_of(cap);

	if (cap->flags & CAP_SPLITTING || !split_holds(cap, pfn, count))
		return false;
	for (i = pfn; i < pfn + count; i++)
		if (info_frame[i].holds != depth || in_use(i) ||
		    (frame_table[i].maps & FRAME_LEFT && frame_table[i].maps > FRAME_LEFT + own))
			return false;
	return true;
}

void split_claim(const struct exo_cap *cap, exo_pfn_t pfn, uint32_t count)
{
	exo_pfn_t end = pfn + count;

	split_of(cap)->raised += count;
	for (; unlikely(frames_left) && pfn < end; pfn++) {
		frames_left -= frame_table[pfn].maps >> 31;
		frame_table[pfn].maps &= ~FRAME_LEFT;
	}
}

void split_unhold(struct exo_cap *cap, exo_pfn_t first, uint32_t count)
{
	struct split *split = split_of(cap);
	uint32_t i = first - (exo_pfn_t)cap->first, end = i + count, run;

	for (; i < end; i += run) {
		i += run_from(split, i, end, ~0ULL);
		run = run_from(split, i, end, 0);
		run_flip(split, i, run);
		frame_unhold((exo_pfn_t)cap->first + i, run);
	}
}

bool split_busy(const struct exo_cap *cap, exo_pfn_t first, uint32_t count)
{
	exo_pfn_t end = first + count;

	for (; first < end; first++)
		if (info_frame[first].state != EXO_FRAME_OWNED && split_has(cap, first) &&
		    frame_busy(first, 1))
			return true;
	return false;
}

/* It is not split any more: its record is ordinary memory. */
static void record_drop(struct exo_cap *cap)
{
	exo_pfn_t record = cap->object;

	cap->rights &= (uint16_t)~EXO_RIGHT_RESTORE;
	cap->object = 0;
	frame_retype(record, EXO_FRAME_OWNED, 0);
}

bool split_drop(struct exo_cap *cap, unsigned *budget)
{
	uint32_t count = *budget * DROPS_PER_UNIT;

	cap->count += split_of(cap)->losing;
	split_of(cap)->losing = 0;
	if (count > cap->count)
		count = cap->count;
	if (unlikely(cap->flags & CAP_WINDOWS) &&
	    !code_cut(cap, (exo_pfn_t)cap->first + cap->count - count, count, budget))
		return false;
	cap->count -= count;
	split_unhold(cap, (exo_pfn_t)cap->first + cap->count, count);
	count = (count + DROPS_PER_UNIT - 1) / DROPS_PER_UNIT;
	*budget -= count < *budget ? count : *budget;
	if (cap->count)
		return false;
	record_drop(cap);
	return true;
}

/* --- splitting ------------------------------------------------------------------------------------------ */

/* Something but programs reads and writes the frame. */
static inline bool unfit(exo_pfn_t pfn)
{
	if (likely(info_frame[pfn].state == EXO_FRAME_OWNED))
		return frame_table[pfn].pins;
	return FRAME_WRITABLE >> info_frame[pfn].state & 1;
}

/* A retypable frame becomes a capability's record. */
static void record_make(struct exo_cap *cap, exo_pfn_t pfn)
{
	struct split *split = pfn_to_virt(pfn);

	arch_zero_frame(pfn);
	frame_retype(pfn, EXO_FRAME_SPLIT, pfn);
	split->cap = cap_ref(cap);
	cap->object = pfn;
	cap->rights = (cap->rights & (EXO_RIGHT_READ | EXO_RIGHT_EXEC)) | EXO_RIGHT_RESTORE;
}

/* A capability that is split for the first time holds all of its range. */
static void split_begin(struct exo_cap *cap, exo_pfn_t pfn)
{
	struct split *split = pfn_to_virt(pfn);

	record_make(cap, pfn);
	split->raised = RAISED_ALL;
	run_flip(split, 0, cap->count);
}

/* How many frames of a run get one holder more, up to one that cannot be shared. */
static uint32_t share_run(exo_pfn_t first, uint32_t count)
{
	struct exo_frame_info *start = &info_frame[first], *at = start, *end = at + count;
	const struct frame *frame = &frame_table[first];

	for (; at != end; at++, frame++) {
		if (unlikely(at->state != EXO_FRAME_OWNED || frame->pins) && unfit((exo_pfn_t)(at - info_frame)))
			break;
		if (unlikely(at->holds == UINT16_MAX))
			break;
		at->holds++;
	}
	return (uint32_t)(at - start);
}

/* The sibling covers up to EXO_RANGE_MAX frames more, up to one that cannot be shared; how many, or an error. */
static rarely int64_t split_extend(struct exo_cap *source, struct exo_cap *sibling)
{
	uint32_t count = source->count - sibling->count, i = sibling->count, end, run, shared;
	exo_pfn_t first = (exo_pfn_t)source->first;
	const struct split *from = split_of(source);

	end = i + (count < EXO_RANGE_MAX ? count : EXO_RANGE_MAX);
	for (run = shared = 0; i < end && run == shared; i += shared) {
		i += run_from(from, i, end, ~0ULL);
		run = run_from(from, i, end, 0);
		shared = share_run(first + i, run);
		run_flip(split_of(sibling), i, shared);
	}
	count = i - sibling->count;
	sibling->count = i;
	split_of(source)->checked = 0;
	if (i == source->count || !count)
		source->flags &= (uint8_t)~(CAP_SPLITTING | CAP_LOWERED);
	if (!count)
		return unfit(first + i) ? ERR(BUSY) : ERR(FULL);
	return count;
}

/* The sibling, with the first of its frames: its handle or an error. */
static int64_t split_sibling(struct exo_cap *source, struct exo_cap *slot, uint32_t number, exo_pfn_t pfn)
{
	exo_cap_t handle;
	int64_t error;

	handle = cap_fill(slot, EXO_TYPE_FRAME, source->rights & ~EXO_RIGHT_RESTORE, source->first, 0, 0,
	    cap_at(source->parent), number);
	record_make(slot, pfn);
	error = split_extend(source, slot);
	if (error > 0)
		return (int64_t)handle;
	(void)cap_drop(slot);
	return error;
}

/* More frames for a sibling that an earlier call made. */
static int64_t split_go_on(struct exo_cap *source, const struct env *target, exo_cap_t handle)
{
	struct exo_cap *sibling;
	int64_t error;

	sibling = cap_need(target, handle, EXO_TYPE_FRAME, EXO_RIGHT_RESTORE, &error);
	if (!sibling)
		return error;
	if (sibling == source || sibling->parent != source->parent || sibling->first != source->first ||
	    sibling->rights != source->rights || sibling->count >= source->count)
		return ERR(INVAL);
	if (~source->flags & (CAP_SPLITTING | CAP_LOWERED))
		return ERR(STATE);
	return *cap_losing(sibling) ? ERR(BUSY) : split_extend(source, sibling);
}

/* May it be split, now? 0 or an error. */
static int64_t splittable(struct exo_cap *source, unsigned *budget)
{
	unsigned depth = depth_of(source);
	exo_pfn_t pfn = (exo_pfn_t)source->first, end = pfn + source->count;
	int64_t error = cap_derivable(cap_at(source->parent));

	if (error)
		return error;
	if (!(source->rights & (EXO_RIGHT_WRITE | EXO_RIGHT_RESTORE)))
		return ERR(RIGHTS);
	if (source->child || source->flags & CAP_REVOKING)
		return ERR(STATE);
	if (!source->count || source->count > EXO_SPLIT_MAX)
		return ERR(RANGE);
	if (*cap_losing(source) || cap_frozen(source))
		return ERR(BUSY);
	if (source->rights & EXO_RIGHT_RESTORE)
		return 0;
	if (end - pfn > CHECK_MAX)
		end = pfn + CHECK_MAX;
	*budget -= (end - pfn) / CHECKS_PER_UNIT;
	for (; pfn < end; pfn++)
		if (unfit(pfn) || info_frame[pfn].holds != depth)
			return ERR(BUSY);
	return 0;
}

/* Frames for the records, none that the source holds: 0 or an error. */
static int64_t records_need(const struct env *env, const struct exo_cap *source, uint64_t frames,
    uint64_t first, exo_pfn_t *pfn)
{
	uint32_t count = source->rights & EXO_RIGHT_RESTORE ? 1 : 2, i;
	int64_t error;

	if (!cap_need_frames(env, frames, EXO_RIGHT_WRITE, first, count, pfn, &error))
		return error;
	for (i = 0; i < count; i++) {
		if (*pfn + i - source->first < source->count &&
		    (count == 2 || split_has(source, *pfn + i)))
			return ERR(INVAL);
	}
	return frames_retypable(*pfn, count) ? 0 : ERR(BUSY);
}

/*
 * exo_cap_split(source, env, slot, frames, first): `source`, a frame capability with READ that has WRITE, or
 * had it and is split, loses it, and with it all that was mapped through it, in whatever space; and a sibling
 * of it with the same parent and rights is made in free slot `slot` of the own table (env 0), or of the one
 * of `env` (an ENV capability with GRANT). Both have EXO_RIGHT_RESTORE. Frame `first` of `frames` (with
 * WRITE) becomes the sibling's record, and the next one the source's, if it was not split before; they must
 * be neither mapped nor pinned, nor held by source. Returns the sibling's handle, in the table where it lies. A
 * call covers EXO_RANGE_MAX frames at most, from the front. To go on, call again with the returned handle as
 * `slot`: that returns how many frames the sibling got at its end. Until it covers what the source does,
 * nothing is mapped writable through the source. Errors: CAP, TYPE; RIGHTS source has neither right, env
 * lacks GRANT, or what the sibling to go on with lacks; DEAD env has ended; STATE something is derived from
 * source, it or one above is being revoked, or the sibling cannot go on because source has changed; RANGE
 * source has no frame or more than EXO_SPLIT_MAX, or none in `frames`; SLOT; INVAL source holds a record, or the
 * capability to go on with is no such sibling; BUSY a frame is pinned, a ring, dispatcher page or argument
 * frame, or covered by a capability that source is not derived from; a record is in use; force is at work
 * (exo_repossess); FULL 65535 capabilities cover a frame. Nothing has changed then, but source, if it is a
 * frame beyond the first 1,024, or one that source shared before, is split all the same (exo_split_end takes
 * that back), and the sibling keeps what it has. AGAIN call again: source has lost WRITE, and some of its
 * entries. Cost: about 35 an entry, in a capability through which nothing was mapped writable since it was split
 * last none; 15 a frame in a row, 80 one by one.
 */
int64_t sys_cap_split(CALL_ARGS)
{
	struct env *env = current_env(), *target;
	unsigned budget = CALL_UNITS;
	struct exo_cap *source, *slot;
	exo_pfn_t pfn;
	int64_t error;

	source = cap_need(env, a0, EXO_TYPE_FRAME, EXO_RIGHT_READ, &error);
	if (!source)
		return error;
	target = cap_target(env, a1, &error);
	if (!target)
		return error;
	error = splittable(source, &budget);
	if (error)
		return error;
	if (a2 >> 32)
		return split_go_on(source, target, a2);
	slot = cap_free_slot(target, a2);
	if (!slot)
		return ERR(SLOT);
	error = records_need(env, source, a3, a4, &pfn);
	if (error)
		return error;

	if (!(source->rights & EXO_RIGHT_RESTORE))
		split_begin(source, pfn + 1);
	if (!(source->flags & CAP_SPLITTING)) {
		source->flags |= CAP_SPLITTING;
		space_search_anew(source);
	}
	if (!(source->flags & CAP_LOWERED) && !space_lower(source, &budget))
		return ERR(AGAIN);
	source->flags |= CAP_LOWERED;
	if (budget < (source->count < EXO_RANGE_MAX ? source->count : EXO_RANGE_MAX) / SHARES_PER_UNIT)
		return ERR(AGAIN);
	return split_sibling(source, slot, (uint32_t)a2, pfn);
}

/* Somebody gives it up: what maps it still may be that one's. */
static inline void frame_leave(exo_pfn_t pfn)
{
	if ((int32_t)frame_table[pfn].maps <= 0)
		return;
	frame_table[pfn].maps |= FRAME_LEFT;
	frames_left++;
}

/* Ordinary pages that others hold, too. False: some are no such, or something is wrong. */
static bool give_shared(const struct env *env, uint64_t handle, uint64_t index, uint64_t count)
{
	struct exo_cap *cap = cap_typed(env, handle, EXO_TYPE_FRAME);
	exo_pfn_t first, pfn, end;

	if (!cap || ~cap->rights & (EXO_RIGHT_READ | EXO_RIGHT_RESTORE) || index >= cap->count ||
	    count > cap->count - index || split_of(cap)->losing)
		return false;
	first = (exo_pfn_t)(cap->first + index);
	end = first + (exo_pfn_t)count;
	for (pfn = first; pfn != end; pfn++)
		if (!split_has(cap, pfn) || info_frame[pfn].state != EXO_FRAME_OWNED || info_frame[pfn].holds == 1 ||
		    frame_table[pfn].pins)
			return false;

	split_of(cap)->checked = 0;
	for (pfn = first; pfn != end; pfn++) {
		frame_leave(pfn);
		index = pfn - cap->first;
		split_of(cap)->held[index / 64] &= ~(1ULL << index % 64);
		info_frame[pfn].holds--;
	}
	return true;
}

/*
 * exo_split_give(frames, first, count): a split capability gives up frames [first, first + count) of its
 * range, all of which it holds: they are not its any more, and those that no capability covers are free as
 * soon as nothing maps them. To be called when it maps them no more: what stays mapped stays so, to be read,
 * and its siblings cannot write there in place. One that holds nothing is to be deleted. Returns count.
 * Errors: CAP, TYPE; RIGHTS it lacks READ or is not split; INVAL count is 0 or more than EXO_RANGE_MAX; RANGE
 * it does not hold them all; BUSY one is pinned, or is a kernel object that nobody else covers, or it is just
 * losing frames by force. Nothing has changed then. Cost: about 70 a frame.
 */
int64_t sys_split_give(CALL_ARGS)
{
	struct exo_cap *cap;
	exo_pfn_t first, pfn;
	int64_t error;

	if (a2 - 1 >= EXO_RANGE_MAX)
		return ERR(INVAL);
	if (likely(give_shared(current_env(), a0, a1, a2)))
		return (int64_t)a2;
	cap = cap_need_frames(current_env(), a0, EXO_RIGHT_READ | EXO_RIGHT_RESTORE, a1, a2, &first, &error);
	if (!cap)
		return error;
	if (*cap_losing(cap))
		return ERR(BUSY);
	for (pfn = first; pfn < first + a2; pfn++)
		if (info_frame[pfn].state == EXO_FRAME_OWNED ? frame_table[pfn].pins : frame_busy(pfn, 1))
			return ERR(BUSY);

	for (pfn = first; pfn < first + a2; pfn++)
		frame_leave(pfn);
	split_of(cap)->checked = 0;
	split_unhold(cap, first, (uint32_t)a2);
	return (int64_t)a2;
}

/* Look at some more frames of a capability whose split is to end: 0, or what is against it. */
static int64_t unended(const struct exo_cap *cap, struct split *split)
{
	unsigned depth = depth_of(cap), i;
	exo_pfn_t pfn;

	for (i = 0; i < ENDS_MAX && split->checked < cap->count; i++, split->checked++) {
		pfn = (exo_pfn_t)cap->first + split->checked;
		if (!split_has(cap, pfn))
			return ERR(RANGE);
		if (info_frame[pfn].holds != depth || in_use(pfn) || frame_table[pfn].maps & FRAME_LEFT)
			return ERR(BUSY);
	}
	return 0;
}

/*
 * exo_split_end(frames): a split capability that holds all frames of its range, which nobody else covers but
 * those that it is derived from, is an ordinary one again, with WRITE. What is mapped through it stays as it
 * is; to write there, map again. Its record is ordinary memory. Returns 0. Errors: CAP, TYPE; RIGHTS it lacks
 * READ or is not split; RANGE it gave up a frame, or has none; BUSY somebody else covers one, or may still
 * map it (exo_split_give); or it is just losing frames by force. Nothing has changed then. AGAIN call again.
 * Cost: 32 a frame, ENDS_MAX a call.
 */
rarely int64_t sys_split_end(CALL_ARGS)
{
	struct exo_cap *cap;
	struct split *split;
	int64_t error;

	cap = cap_need(current_env(), a0, EXO_TYPE_FRAME, EXO_RIGHT_READ | EXO_RIGHT_RESTORE, &error);
	if (!cap)
		return error;
	split = split_of(cap);
	if (!cap->count)
		return ERR(RANGE);
	if (split->losing)
		return ERR(BUSY);
	error = unended(cap, split);
	if (error) {
		split->checked = 0;
		return error;
	}
	if (split->checked < cap->count)
		return ERR(AGAIN);

	space_search_anew(cap);
	cap->flags &= (uint8_t)~(CAP_SPLITTING | CAP_LOWERED);
	record_drop(cap);
	cap->rights |= EXO_RIGHT_WRITE;
	return 0;
}
