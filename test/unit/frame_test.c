/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames: boot on odd memory, take and give, every documented error; random operations against a naive model,
 * which keeps who has which frames in plain arrays and searches them from end to end.
 */
#include <stdlib.h>
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define SLOTS	40		/* that the random test uses, from SLOT_FREE on */

static int64_t boot_call(void *arg)
{
	(void)arg;
	frame_init();
	return 0;
}

/* Memory with holes and reservations, against a count by hand. */
static void test_boot(uint32_t frames)
{
	uint32_t free_frames = 0, memory = 0, wrong = 0, i;
	uint8_t *want;
	exo_pfn_t pfn;

	null_boot(frames);
	null.quiet = true;
	boot.memory[0].end = 9 * EXO_PAGE_SIZE;
	boot.memory[1].start = 16 * EXO_PAGE_SIZE;
	boot.memory[1].end = (paddr_t)frames * EXO_PAGE_SIZE;
	boot.memory_count = 2;
	boot.reserved[0].start = 20 * EXO_PAGE_SIZE + 100;
	boot.reserved[0].end = 30 * EXO_PAGE_SIZE + 1;
	boot.reserved[1].start = 5 * EXO_PAGE_SIZE;
	boot.reserved[1].end = 6 * EXO_PAGE_SIZE;
	boot.reserved[2].start = boot.reserved[2].end = 7 * EXO_PAGE_SIZE;
	boot.reserved_count = 3;
	ok(null_enter(boot_call, NULL) == NULL_RETURNED, "%u frames: boots", frames);
	want = calloc(frames, 1);
	for (pfn = 1; pfn < frames; pfn++)
		if (pfn < 9 || pfn >= 16)
			want[pfn] = pfn == 5 || (pfn >= 20 && pfn <= 30) ? EXO_FRAME_KERNEL : EXO_FRAME_FREE;
	for (i = 0; i < info_count; i++) {
		wrong += want[info_first + i] != EXO_FRAME_FREE;
		want[info_first + i] = EXO_FRAME_INFO;
	}
	for (pfn = 0; pfn < frames; pfn++) {
		if (info_frame[pfn].state == EXO_FRAME_KERNEL && want[pfn] == EXO_FRAME_FREE)
			want[pfn] = EXO_FRAME_KERNEL;	/* the kernel's tables */
		wrong += want[pfn] != info_frame[pfn].state;
		wrong += (want[pfn] == EXO_FRAME_FREE) != frame_is_free(pfn);
		free_frames += want[pfn] == EXO_FRAME_FREE;
		memory += pfn > 0 && want[pfn] != EXO_FRAME_ABSENT;
	}
	is_int(wrong, 0, "the state of each frame is right");
	is_int(info->frames_free, free_frames, "frames_free is right");
	is_int(info->frames_memory, memory, "frames_memory is right");
	ok(free_frames > frames - 80 - frames / 60, "the tables take little: %u of %u are free",
	    free_frames, frames);
	while ((pfn = frame_find(1)) != EXO_PFN_ANY && free_frames) {
		frame_claim(pfn, NULL);
		free_frames--;
	}
	ok(pfn == EXO_PFN_ANY && !free_frames && !info->frames_free,
	    "every free frame is found, and no other");
	free(want);
}

static void test_boot_small(void)
{
	null_boot(7);
	null.quiet = true;
	ok(null_enter(boot_call, NULL) == NULL_STOP, "7 frames are too few: a clear stop");
	ok(strstr(null.console, "memory is too small") != NULL, "which says why");
}

static void test_take_errors(void)
{
	exo_cap_t taken, derived, self = world_handle(0, SLOT_SELF);
	exo_pfn_t first = frame_find(8);
	uint32_t before = info->frames_free;

	is_int(CALL(0, frame_take, SLOT_FREE, EXO_PFN_ANY, 0), ERR(INVAL), "take: count 0");
	is_int(CALL(0, frame_take, SLOT_FREE, EXO_PFN_ANY, EXO_TAKE_MAX + 1), ERR(INVAL), "take: too many");
	is_int(CALL(0, frame_take, 0, EXO_PFN_ANY, 1), ERR(SLOT), "take: slot 0 is none");
	is_int(CALL(0, frame_take, SLOT_SELF, EXO_PFN_ANY, 1), ERR(SLOT), "take: slot in use");
	is_int(CALL(0, frame_take, 64, EXO_PFN_ANY, 1), ERR(SLOT), "take: no such slot");
	is_int(CALL(0, frame_take, SLOT_FREE, 0, 1), ERR(RANGE), "take: frame 0 is absent");
	is_int(CALL(0, frame_take, SLOT_FREE, null.frames - 1, 2), ERR(RANGE), "take: beyond memory");
	is_int(CALL(0, frame_take, SLOT_FREE, ~0ULL, 1), ERR(RANGE), "take: no such number");
	is_int(CALL(0, frame_take, SLOT_FREE, info_first, 1), ERR(BUSY), "take: not free");
	is_int(CALL(0, frame_take, exo_cap_make(SLOT_FREE, 1), EXO_PFN_ANY, 1), ERR(CAP),
	    "append: no such capability");
	is_int(CALL(0, frame_take, world_handle(0, SLOT_ENV), EXO_PFN_ANY, 1), ERR(TYPE),
	    "append: not frames");
	is_int(info->frames_free, before, "no frame was taken");
	is_int(CALL(0, frame_take, self, EXO_PFN_ANY, 1), ERR(BUSY), "append: the next is not free");
	taken = (exo_cap_t)CALL(0, frame_take, SLOT_FREE, first + 1, 3);
	is_int((long long)taken, (long long)exo_cap_make(SLOT_FREE, 1), "take by number gives the handle");
	is_int(CALL(0, frame_take, taken, first, 1), ERR(INVAL), "append: only the next");
	is_int(CALL(0, frame_take, taken, first + 4, 2), 2, "append by number");
	is_int(CALL(0, frame_take, taken, EXO_PFN_ANY, 2), 2, "append any");
	is_int(cap_slot(world.env[0], SLOT_FREE)->count, 7, "the capability has grown");
	derived = (exo_cap_t)CALL(0, cap_derive, taken, 0, SLOT_FREE + 1, EXO_RIGHT_READ | EXO_RIGHT_WRITE,
	    0, 7);
	is_int(CALL(0, frame_take, derived, EXO_PFN_ANY, 1), ERR(STATE), "append: not to a derived one");
	is_int(CALL(0, frame_give, taken, 1), ERR(BUSY), "give: covered by a derived one");
	is_int(CALL(0, frame_give, derived, 8), ERR(RANGE), "give: more than it has");
	is_int(CALL(0, frame_give, derived, 0), ERR(INVAL), "give: none");
	is_int(CALL(0, frame_give, derived, EXO_RANGE_MAX + 1), ERR(INVAL), "give: too many");
	is_int(CALL(0, frame_give, derived, 7), 7, "give: the derived one gives all up");
	is_int(CALL(0, frame_give, derived, 1), ERR(CAP), "and is deleted");
	is_int(CALL(0, frame_give, taken, 7), 7, "give: all");
	is_int(info->frames_free, before, "all are free again");
	is_int(CALL(0, frame_give, world_handle(0, SLOT_SELF), 3), ERR(BUSY),
	    "give: not what a kernel object lies in");
}

static void test_pins(void)
{
	uint32_t before = info->frames_free;
	exo_cap_t taken = (exo_cap_t)CALL(0, frame_take, SLOT_FREE, EXO_PFN_ANY, 4);
	exo_pfn_t first = (exo_pfn_t)cap_slot(world.env[0], SLOT_FREE)->first;

	frame_pin(first + 3);
	frame_pin(first + 3);
	is_int(CALL(0, frame_give, taken, 1), ERR(BUSY), "give: not a pinned frame");
	is_int(CALL(0, cap_delete, taken), 0, "deleting its capability is possible");
	is_int(info->frames_free, before - 1, "but it is not free while it is pinned");
	is_int(CALL(1, frame_take, SLOT_FREE, first + 3, 1), ERR(BUSY), "and cannot be taken");
	frame_unpin(first + 3);
	frame_unpin(first + 3);
	ok(info->frames_free == before && !world_check(), "with the last pin it is free");
}

/* The naive model. */
static uint8_t owner[1 << 16];		/* 0 free, 1 not ours, else slot */
static struct {
	uint32_t first, count;
} slot_has[SLOTS];

static uint32_t free_run(uint32_t at, uint32_t want)
{
	uint32_t run = 0;

	while (run < want && at + run < null.frames && !owner[at + run])
		run++;
	return run;
}

static uint32_t model_any(uint32_t want, uint32_t *first)
{
	uint32_t at, run, best = 0, runs = 0;

	for (at = 0; at < null.frames && runs < FRAME_RUNS_MAX; at += run ? run : 1) {
		run = free_run(at, want);
		runs += run > 0;
		if (run > best) {
			best = run;
			*first = at;
		}
		if (best == want)
			break;
	}
	return best;
}

static bool zeroed(uint32_t first, uint32_t count)
{
	const uint64_t *word = pfn_to_virt(first);
	size_t i;

	for (i = 0; i < (size_t)count * 512; i++)
		if (word[i])
			return false;
	return true;
}

static void got(uint32_t slot, uint32_t first, uint32_t count)
{
	if (!slot_has[slot].count)
		slot_has[slot].first = first;
	slot_has[slot].count += count;
	memset(owner + first, 2 + (int)slot, count);
	if (!zeroed(first, count)) {
		printf("Bail out! frames were not zeroed\n");
		exit(1);
	}
	memset(pfn_to_virt(first), 0x5a, (size_t)count * EXO_PAGE_SIZE);
}

static int64_t wanted_take(uint32_t slot, uint32_t pfn, uint32_t count, uint32_t *first, uint32_t *n)
{
	*first = pfn;
	*n = count;
	if (count == 0 || count > EXO_TAKE_MAX)
		return ERR(INVAL);
	if (slot_has[slot].count)
		return ERR(SLOT);
	if (pfn == EXO_PFN_ANY) {
		*n = model_any(count, first);
		return *n ? 0 : ERR(FULL);
	}
	if (!pfn || pfn >= null.frames || pfn + count > null.frames)
		return ERR(RANGE);
	return free_run(pfn, count) == count ? 0 : ERR(BUSY);
}

static bool step_take(uint32_t slot)
{
	uint32_t count = below(EXO_TAKE_MAX + 2), first = 0, n = 0;
	uint32_t pfn = below(2) ? EXO_PFN_ANY : below(null.frames + 10);
	int64_t wanted = wanted_take(slot, pfn, count, &first, &n);
	int64_t result = CALL(0, frame_take, SLOT_FREE + slot, pfn, count);

	if (wanted)
		return result == wanted;
	got(slot, first, n);
	return result > 0 && result == (int64_t)world_handle(0, SLOT_FREE + slot);
}

static bool step_append(uint32_t slot)
{
	uint32_t count = 1 + below(EXO_TAKE_MAX), next = slot_has[slot].first + slot_has[slot].count;
	uint32_t run = slot_has[slot].count ? free_run(next, count) : 0;
	int64_t result = CALL(0, frame_take, world_handle(0, SLOT_FREE + slot),
	    below(2) ? EXO_PFN_ANY : next, count);

	if (!slot_has[slot].count)
		return result == ERR(CAP);
	if (!run)
		return result == ERR(BUSY);
	got(slot, next, run);
	return result == run;
}

static bool step_give(uint32_t slot)
{
	uint32_t has = slot_has[slot].count, count = has ? 1 + below(has + 1) : 1;
	int64_t result = CALL(0, frame_give, world_handle(0, SLOT_FREE + slot), count);

	if (!has)
		return result == ERR(CAP);
	if (count > has)
		return result == ERR(RANGE);
	slot_has[slot].count -= count;
	memset(owner + slot_has[slot].first + slot_has[slot].count, 0, count);
	return result == count;
}

static bool step_delete(uint32_t slot)
{
	int64_t result = world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_FREE + slot), 0);

	if (!slot_has[slot].count)
		return result == ERR(CAP);
	memset(owner + slot_has[slot].first, 0, slot_has[slot].count);
	slot_has[slot].count = 0;
	return result == 0;
}

static bool model_agrees(void)
{
	const struct exo_cap *cap;
	uint32_t i;

	for (i = 0; i < null.frames; i++)
		if (frame_is_free(i) != !owner[i])
			return false;
	for (i = 0; i < SLOTS; i++) {
		cap = cap_slot(world.env[0], SLOT_FREE + i);
		if (cap->count != slot_has[i].count || (cap->count && cap->first != slot_has[i].first))
			return false;
	}
	return true;
}

static void test_random(uint32_t frames, unsigned steps)
{
	static bool (*const step[])(uint32_t) = {
		step_take, step_take, step_append, step_append, step_append, step_give, step_give, step_delete
	};
	bool good = true;
	uint32_t i, which = 0, slot = 0;

	world_boot(frames);
	memset(slot_has, 0, sizeof(slot_has));
	for (i = 0; i < frames; i++)
		owner[i] = info_frame[i].state != EXO_FRAME_FREE;
	for (i = 0; i < steps && good; i++) {
		which = below(COUNT_OF(step));
		slot = below(SLOTS);
		good = step[which](slot) && model_agrees();
	}
	ok(good, "%u random steps on %u frames agree with the model", steps, frames);
	if (!good)
		printf("# step %u, kind %u, slot %u: result %lld\n", i, which, slot, (long long)null.result);
}

/* The checker must see what it is there for. */
static void test_checker(void)
{
	exo_pfn_t pfn = world.run[0] + 10, other = frame_find(1);

	ok(!world_check(), "the world is whole");
	info_frame[pfn].holds++;
	ok(world_check(), "the checker sees a wrong hold");
	info_frame[pfn].holds--;
	frame_table[pfn].maps++;
	ok(world_check(), "the checker sees a wrong count of maps");
	frame_table[pfn].maps--;
	info_frame[other].state = EXO_FRAME_OWNED;
	ok(world_check(), "the checker sees a lost frame");
	info_frame[other].state = EXO_FRAME_FREE;
	ok(!world_check(), "the world is whole again");
}

int main(void)
{
	test_boot(200);
	test_boot(1024);
	test_boot(5003);
	test_boot(70000);
	test_boot_small();
	world_boot(1024);
	test_take_errors();
	test_pins();
	test_checker();
	test_random(300, world_steps(2000));
	test_random(1500, world_steps(2000));
	return done();
}
