/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical frames: who holds which, what lies in them, which are free. The invariants F1..F4 stand in
 * kernel.h.
 *
 * Two arrays by frame number, info_frame (readable by all) and frame_table (the kernel's), and the free map:
 * a bitmap with summaries, each level one bit for a word of the level below that is not zero. So taking a
 * frame by number costs a few instructions, and the next free one is found in a step per level. Nothing is
 * linked frame by frame: at boot the arrays are cleared and filled by words (about five instructions a
 * frame).
 *
 * The application chooses frames by number; that ANY gives the lowest is a default and no policy. Memory is
 * zeroed when it is taken, because then the one who pays for it is known. Frame 0 is never used: 0 means
 * "none" elsewhere.
 */
#include "exo/kernel.h"

#define MAP_LEVELS	6	/* 64^6 frames: more than 32-bit frame numbers */

struct frame *frame_table;
uint32_t frames_left;
static uint64_t *map[MAP_LEVELS];	/* map[0]: a bit a frame, set: free */
static uint64_t map_words[MAP_LEVELS];
static unsigned map_levels;

/* --- the free map --------------------------------------------------------------------------------------- */

static void map_set(uint64_t i)
{
	uint64_t *word, old;
	unsigned level;

	for (level = 0; level < map_levels; level++, i >>= 6) {
		word = &map[level][i >> 6];
		old = *word;
		*word = old | 1ULL << (i & 63);
		if (old)
			return;
	}
}

/* A word of the lowest level has become 0. */
static out_of_line void map_clear_above(uint64_t i)
{
	unsigned level;

	for (level = 1; level < map_levels; level++, i >>= 6)
		if ((map[level][i >> 6] &= ~(1ULL << (i & 63))) != 0)
			return;
}

static inline void map_clear_run(uint64_t i, uint32_t count)
{
	unsigned at, n;
	uint64_t left;

	do {
		at = i & 63;
		n = count < 64 - at ? count : 64 - at;
		left = map[0][i >> 6] &= ~(~0ULL >> (64 - n) << at);
		if (unlikely(!left))
			map_clear_above(i >> 6);
		i += n;
		count -= n;
	} while (count);
}

static inline bool map_test(uint64_t i)
{
	return map[0][i >> 6] >> (i & 63) & 1;
}

/* The first free frame from `i` on; EXO_PFN_ANY if there is none. */
static rarely exo_pfn_t map_next(uint64_t i)
{
	unsigned level = 0;
	uint64_t word;

	for (;;) {
		if (i >> 6 >= map_words[level])
			return EXO_PFN_ANY;
		word = map[level][i >> 6] >> (i & 63);
		if (word)
			break;
		if (++level == map_levels)
			return EXO_PFN_ANY;
		i = (i >> 6) + 1;
	}
	i += (unsigned)__builtin_ctzll(word);
	while (level) {
		level--;
		i = i << 6 | (unsigned)__builtin_ctzll(map[level][i]);
	}
	return (exo_pfn_t)i;
}

/* How many frames from `first` on are free, `want` at most. */
static uint32_t map_run(uint64_t first, uint32_t want)
{
	uint64_t i = first, word;
	unsigned left, ones;
	uint32_t run = 0;

	while (run < want && i >> 6 < map_words[0]) {
		word = map[0][i >> 6] >> (i & 63);
		left = 64 - (i & 63);
		ones = ~word ? (unsigned)__builtin_ctzll(~word) : 64;
		run += ones < left ? ones : left;
		i += left;
		if (ones < left)
			break;
	}
	return run < want ? run : want;
}

/* The first run of `want` free frames among the first `runs` free runs, else the longest of these; returns
 * its length. */
static rarely uint32_t map_find(uint32_t want, unsigned runs, exo_pfn_t *first)
{
	exo_pfn_t i = map_next(0);
	uint32_t run, best = 0;

	while (i != EXO_PFN_ANY && runs--) {
		run = map_run(i, want);
		if (run > best) {
			best = run;
			*first = i;
			if (best == want)
				break;
		}
		i = map_next((uint64_t)i + run);
	}
	return best;
}

/* --- boot ----------------------------------------------------------------------------------------------- */

#define at_boot	__attribute__((cold))	/* small, not fast */

/* What frame_init has placed already, in frames. */
static struct {
	uint64_t start, end;
	uint8_t state;
} placed[3];
static unsigned placed_count;

/* If frames [start, end) touch something that is in use, the first frame behind that; else `start`. */
static at_boot uint64_t place_behind(uint64_t start, uint64_t end)
{
	uint64_t low, high;
	unsigned i;

	for (i = 0; i < boot.reserved_count; i++) {
		low = boot.reserved[i].start >> EXO_PAGE_SHIFT;
		high = frames_for(boot.reserved[i].end);
		if (low < high && low < end && start < high)
			return high;
	}
	for (i = 0; i < placed_count; i++)
		if (placed[i].start < end && start < placed[i].end)
			return placed[i].end;
	return start;
}

/* The lowest run of `count` frames that nothing uses yet, zeroed. */
static at_boot exo_pfn_t place(uint64_t count, uint8_t state)
{
	uint64_t start = 0, end, next, i;
	unsigned range;

	for (range = 0; range < boot.memory_count; range++) {
		start = frames_for(boot.memory[range].start);
		end = boot.memory[range].end >> EXO_PAGE_SHIFT;
		start += start == 0;
		while (start + count <= end && (next = place_behind(start, start + count)) != start)
			start = next;
		if (start + count <= end)
			break;
	}
	if (range == boot.memory_count)
		boot_fail("memory is too small: no %u KiB in one piece for the kernel's tables", (unsigned)count * 4);
	for (i = start; i < start + count; i++)
		arch_zero_frame((exo_pfn_t)i);
	placed[placed_count].start = start;
	placed[placed_count].end = start + count;
	placed[placed_count++].state = state;
	return (exo_pfn_t)start;
}

/* Frames [start, end), clipped to the table, get a state; the map's lowest level says whether it is FREE. */
static void fill(uint64_t start, uint64_t end, uint8_t state)
{
	typedef uint64_t __attribute__((may_alias)) word;
	const struct exo_frame_info value = { .state = state };
	word one = *(const word *)&value, *entry = (word *)info_frame, *last;
	uint64_t i;

	start += start == 0;
	if (end > info->frames_total)
		end = info->frames_total;
	if (start >= end)
		return;
	last = entry + end;
	for (entry += start; last - entry >= 8; entry += 8) {
		entry[0] = one, entry[1] = one, entry[2] = one, entry[3] = one;
		entry[4] = one, entry[5] = one, entry[6] = one, entry[7] = one;
	}
	while (entry < last)
		*entry++ = one;
	for (i = start; i < end; ) {
		if ((i & 63) == 0 && i + 64 <= end) {
			map[0][i >> 6] = state == EXO_FRAME_FREE ? ~0ULL : 0;
			i += 64;
			continue;
		}
		if (state == EXO_FRAME_FREE)
			map[0][i >> 6] |= 1ULL << (i & 63);
		else
			map[0][i >> 6] &= ~(1ULL << (i & 63));
		i++;
	}
}

/* Summaries and counts, once the lowest level is filled. */
static at_boot void map_finish(void)
{
	unsigned level;
	uint64_t i;

	for (level = 1; level < map_levels; level++)
		for (i = 0; i < map_words[level - 1]; i++)
			if (map[level - 1][i])
				map[level][i >> 6] |= 1ULL << (i & 63);
	for (i = 0; i < map_words[0]; i++)
		if (map[0][i])
			info->frames_free += map[0][i] == ~0ULL ? 64 :
			    (unsigned)__builtin_popcountll(map[0][i]);
}

/* Words of each level for a machine of `total` frames; returns their sum. */
static at_boot uint64_t map_layout(uint64_t total)
{
	uint64_t bits = total, sum = 0;

	for (map_levels = 0; map_levels == 0 || bits > 1; map_levels++) {
		bits = (bits + 63) >> 6;
		map_words[map_levels] = bits;
		sum += bits;
	}
	return sum;
}

at_boot void frame_init(void)
{
	uint64_t total = 0, words, start, end, *word;
	unsigned i;

	for (i = 0; i < boot.memory_count; i++) {
		end = boot.memory[i].end >> EXO_PAGE_SHIFT;
		if (end > total)
			total = end;
	}
	placed_count = 0;
	info->frames_total = (uint32_t)total;
	info->frames_memory = 0;
	frames_left = 0;
	info->frames_free = 0;
	words = map_layout(total);
	info_place(place(info_frames((uint32_t)total), EXO_FRAME_INFO));
	frame_table = pfn_to_virt(place(frames_for(total * sizeof(struct frame)), EXO_FRAME_KERNEL));
	word = pfn_to_virt(place(frames_for(words * 8), EXO_FRAME_KERNEL));
	for (i = 0; i < map_levels; i++) {
		map[i] = word;
		word += map_words[i];
	}
	for (i = 0; i < boot.memory_count; i++) {
		start = frames_for(boot.memory[i].start);
		end = boot.memory[i].end >> EXO_PAGE_SHIFT;
		if (start < end)
			info->frames_memory += (uint32_t)(end - start);
		fill(start, end, EXO_FRAME_FREE);
	}
	for (i = 0; i < boot.reserved_count; i++)
		if (boot.reserved[i].start < boot.reserved[i].end)
			fill(boot.reserved[i].start >> EXO_PAGE_SHIFT, frames_for(boot.reserved[i].end),
			    EXO_FRAME_KERNEL);
	for (i = 0; i < placed_count; i++)
		fill(placed[i].start, placed[i].end, placed[i].state);
	map_finish();
}

at_boot exo_pfn_t frame_boot_take(uint32_t count, uint8_t state)
{
	exo_pfn_t first = 0;
	uint32_t i;

	if (map_find(count, ~0U, &first) < count)
		boot_fail("memory is too small: no %u free frames in one piece, %u free at all", count,
		    info->frames_free);
	for (i = 0; i < count; i++) {
		frame_claim(first + i, NULL);
		info_frame[first + i].state = state;
	}
	return first;
}

at_boot void *frame_boot_memory(uint64_t bytes)
{
	return pfn_to_virt(frame_boot_take(frames_for(bytes), EXO_FRAME_KERNEL));
}

/* --- operations ----------------------------------------------------------------------------------------- */

bool frame_valid(uint64_t pfn)
{
	return pfn < info->frames_total && info_frame[pfn].state != EXO_FRAME_ABSENT;
}

bool frame_is_free(exo_pfn_t pfn)
{
	return pfn < info->frames_total && map_test(pfn);
}

rarely exo_pfn_t frame_find(uint32_t count)
{
	exo_pfn_t first = EXO_PFN_ANY;

	return map_find(count, FRAME_RUNS_MAX, &first) == count ? first : EXO_PFN_ANY;
}

static inline void claim_one(exo_pfn_t pfn, const struct exo_frame_info *state, exo_pfn_t account)
{
	info_frame[pfn] = *state;
	frame_table[pfn] = (struct frame){ .account = account };
	arch_zero_frame(pfn);
}

static inline struct exo_frame_info owned_by(const struct env *env, uint16_t holds)
{
	return (struct exo_frame_info){ .state = EXO_FRAME_OWNED, .holds = holds,
	    .owner = env ? env->index : 0 };
}

/* The account is charged already. */
static rarely void claim_run(exo_pfn_t pfn, uint32_t count, struct env *env, uint16_t holds)
{
	const struct exo_frame_info state = owned_by(env, holds);
	exo_pfn_t account = env ? env->account : 0, end = pfn + count;

	if (env)
		env->info->frames += count;
	info->frames_free -= count;
	map_clear_run(pfn, count);
	for (; pfn < end; pfn++)
		claim_one(pfn, &state, account);
}

void frame_claim(exo_pfn_t pfn, struct env *env)
{
	if (env)
		account_charge(pfn_to_virt(env->account), EXO_SHARE_FRAMES, 1);
	claim_run(pfn, 1, env, 0);
}

/* To the free map; the caller discharges. */
static inline void release_one(exo_pfn_t pfn)
{
	kassert(info_frame[pfn].state == EXO_FRAME_OWNED && frame_table[pfn].maps == 0);
	if (frame_table[pfn].account && !--info_env[info_frame[pfn].owner].frames)
		env_index_settle(info_frame[pfn].owner);
	frame_table[pfn].account = 0;
	info_frame[pfn] = (struct exo_frame_info){ .state = EXO_FRAME_FREE };
	map_set(pfn);
}

rarely void frame_release(exo_pfn_t pfn)
{
	exo_pfn_t account = frame_table[pfn].account;

	assert_locked();
	kassert(info_frame[pfn].holds == 0 && frame_table[pfn].pins == 0);
	release_one(pfn);
	info->frames_free++;
	if (account)
		account_charge(pfn_to_virt(account), EXO_SHARE_FRAMES, -1);
}

bool frames_retypable(exo_pfn_t first, uint32_t count)
{
	assert_locked();
	for (; count; count--, first++)
		if (info_frame[first].state != EXO_FRAME_OWNED || frame_table[first].maps || frame_table[first].pins)
			return false;
	return true;
}

/* One thing less keeps it: FREE if it was the last. */
static void unkept(exo_pfn_t pfn)
{
	if (!info_frame[pfn].holds && info_frame[pfn].state == EXO_FRAME_OWNED && !frame_table[pfn].maps &&
	    !frame_table[pfn].pins)
		frame_release(pfn);
}

void frame_retype(exo_pfn_t pfn, uint8_t state, uint32_t object)
{
	bool was_object = frame_in(pfn, FRAME_OBJECTS);

	assert_locked();
	info_frame[pfn].state = state;
	frame_table[pfn].object = object;
	frame_table[pfn].level = 0;
	if (was_object && state == EXO_FRAME_OWNED)
		unkept(pfn);
}

void frame_pin(exo_pfn_t pfn)
{
	kassert(frame_table[pfn].pins < UINT16_MAX);
	frame_table[pfn].pins++;
}

void frame_unpin(exo_pfn_t pfn)
{
	kassert(frame_table[pfn].pins);
	if (--frame_table[pfn].pins == 0)
		unkept(pfn);
}

out_of_line void frame_left(exo_pfn_t pfn)
{
	if (frame_table[pfn].maps != FRAME_LEFT)
		return;
	frame_table[pfn].maps = 0;
	frames_left--;
	unkept(pfn);
}

bool frame_holdable(exo_pfn_t first, uint32_t count)
{
	for (; count; count--, first++)
		if (info_frame[first].holds == UINT16_MAX)
			return false;
	return true;
}

void frame_hold(exo_pfn_t first, uint32_t count)
{
	assert_locked();
	for (; count; count--, first++)
		info_frame[first].holds++;
}

/* Frames charged to one account are discharged together. */
void frame_unhold(exo_pfn_t first, uint32_t count)
{
	exo_pfn_t account = 0, end = first + count;
	int32_t freed = 0;

	assert_locked();
	for (; first < end; first++) {
		if (--info_frame[first].holds || info_frame[first].state != EXO_FRAME_OWNED ||
		    frame_table[first].pins || frame_table[first].maps)
			continue;
		if (unlikely(frame_table[first].account != account)) {
			info->frames_free += (uint32_t)freed;
			if (account)
				account_charge(pfn_to_virt(account), EXO_SHARE_FRAMES, -freed);
			account = frame_table[first].account;
			freed = 0;
		}
		release_one(first);
		freed++;
	}
	info->frames_free += (uint32_t)freed;
	if (account)
		account_charge(pfn_to_virt(account), EXO_SHARE_FRAMES, -freed);
}

at_boot bool frame_device(exo_pfn_t first, uint32_t count)
{
	exo_pfn_t i;

	for (i = first; i < first + count; i++)
		if (i >= info->frames_total || info_frame[i].state != EXO_FRAME_ABSENT)
			return false;
	for (i = first; i < first + count; i++)
		info_frame[i].state = EXO_FRAME_DEVICE;
	return true;
}

rarely bool frame_busy(exo_pfn_t first, uint32_t count)
{
	for (; count; count--, first++)
		if (info_frame[first].holds == 1 && frame_in(first, FRAME_OBJECTS & ~FRAME_STATE(RING)))
			return true;
	return false;
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/* What is wrong with a capability to append to. */
static rarely int64_t append_error(const struct env *env, exo_cap_t handle)
{
	int64_t error = 0;

	(void)cap_need(env, handle, EXO_TYPE_FRAME, EXO_RIGHT_WRITE, &error);
	return error;
}

/* Several frames behind the end of a capability, or some while free ones are promised to others. */
static out_of_line int64_t append_run(struct env *env, struct exo_cap *cap, exo_pfn_t next, uint32_t count)
{
	int64_t result = account_take_asked(pfn_to_virt(env->account), EXO_SHARE_FRAMES, 1, map_run(next, count));

	if (result < 0)
		return result;

	cap->count += (uint32_t)result;
	claim_run(next, (uint32_t)result, env, 1);
	return result;
}

/* Behind the end of an own capability. */
static inline int64_t take_append(struct env *env, exo_cap_t handle, uint64_t pfn, uint32_t count)
{
	struct exo_frame_info state;
	struct exo_cap *cap;
	exo_pfn_t next;

	cap = cap_typed(env, handle, EXO_TYPE_FRAME);
	if (unlikely(!cap || !(cap->rights & EXO_RIGHT_WRITE)))
		return append_error(env, handle);
	next = (exo_pfn_t)cap->first + cap->count;
	if (pfn != EXO_PFN_ANY && pfn != next)
		return ERR(INVAL);
	if (cap->parent || frame_table[next - 1].account != env->account)
		return ERR(STATE);
	if (!frame_is_free(next))
		return ERR(BUSY);
	if (count != 1 || unlikely(info->frames_promised))
		return append_run(env, cap, next, count);
	if (!account_take(pfn_to_virt(env->account), EXO_SHARE_FRAMES, 1))
		return ERR(QUOTA);

	cap->count++;
	state = owned_by(env, 1);
	env->info->frames++;
	info->frames_free--;
	map_clear_run(next, 1);
	claim_one(next, &state, env->account);
	return 1;
}

/* Into a new capability. */
static rarely int64_t take_new(struct env *env, uint64_t slot, uint64_t pfn, uint32_t count)
{
	struct exo_cap *cap = cap_free_slot(env, slot);
	exo_pfn_t first = (exo_pfn_t)pfn;
	int64_t result;

	if (!cap)
		return ERR(SLOT);
	if (pfn == EXO_PFN_ANY) {
		count = map_find(count, FRAME_RUNS_MAX, &first);
		if (!count)
			return ERR(FULL);
	} else {
		if (!frame_valid(pfn) || !frame_valid(pfn + count - 1))
			return ERR(RANGE);
		if (map_run(pfn, count) < count)
			return ERR(BUSY);
	}
	result = account_take_asked(pfn_to_virt(env->account), EXO_SHARE_FRAMES, pfn == EXO_PFN_ANY ? 1 : count, count);
	if (result < 0)
		return result;

	count = (uint32_t)result;
	claim_run(first, count, env, 0);
	return (int64_t)cap_fill(cap, EXO_TYPE_FRAME, EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC,
	    first,
	    count, 0,
	    NULL, (uint32_t)slot);
}

/*
 * exo_frame_take(slot or frames, pfn, count): free frames, zeroed and charged to the caller's account.
 *
 * With a slot number: a new capability there with all rights over frames pfn..pfn+count-1, all of which must
 * be free; for pfn EXO_PFN_ANY over a free run of `count`, or over the longest of the first FRAME_RUNS_MAX
 * free runs if none is that long: its length is the capability's `count`. Returns the handle.
 * With the handle of an own, underived frame capability with WRITE: frames directly behind its end, as many
 * as are free of `count`; pfn is ANY or that frame's number. Returns how many.
 * count: 1..EXO_TAKE_MAX. Errors: INVAL count, or pfn is not the next; RANGE no memory there; BUSY not free;
 * SLOT; FULL nothing is free, or what is free is promised to accounts that have demanded it; QUOTA; CAP,
 * TYPE, RIGHTS; STATE the capability is derived, or its frames are charged to another account. Nothing has
 * changed then.
 */
int64_t sys_frame_take(CALL_ARGS)
{
	struct env *env = current_env();

	if (a2 == 0 || a2 > EXO_TAKE_MAX)
		return ERR(INVAL);
	if (!(a0 >> 32))
		return take_new(env, a0, a1, (uint32_t)a2);
	return take_append(env, a0, a1, (uint32_t)a2);
}

/*
 * exo_frame_give(frames, count): the capability, which needs WRITE, loses its last `count` frames
 * (1..EXO_RANGE_MAX); those that no other capability covers are free then. Emptied, it is deleted. Returns
 * count.
 * Errors: CAP, TYPE, RIGHTS; INVAL count; RANGE it has fewer; BUSY one of them is mapped, pinned, a kernel
 * object, or covered by another capability while this one has derived ones, or it is just losing frames by
 * force. Nothing has changed then. Cost: about 40 a frame.
 */
rarely int64_t sys_frame_give(CALL_ARGS)
{
	struct exo_cap *cap;
	exo_pfn_t first, i;
	int64_t error;

	cap = cap_need(current_env(), a0, EXO_TYPE_FRAME, EXO_RIGHT_WRITE, &error);
	if (!cap)
		return error;
	if (a1 == 0 || a1 > EXO_RANGE_MAX)
		return ERR(INVAL);
	if (a1 > cap->count)
		return ERR(RANGE);
	if (cap->object)
		return ERR(BUSY);
	first = (exo_pfn_t)(cap->first + cap->count - a1);
	if (!frames_retypable(first, (uint32_t)a1))
		return ERR(BUSY);
	for (i = first; cap->child && i < first + a1; i++)
		if (info_frame[i].holds > 1)
			return ERR(BUSY);

	frame_unhold(first, (uint32_t)a1);
	cap->count -= (uint32_t)a1;
	if (!cap->count)
		(void)cap_drop(cap);
	return (int64_t)a1;
}
