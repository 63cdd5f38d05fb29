/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kits: runs of frames for kernel objects, used again for the next process.
 *
 * A frame that comes from the kernel has been cleared once, and is cleared again when it becomes an object.
 * So frames in which a process's objects lay are kept for another one. They may hold what the last one wrote:
 * who gets such a kit is of the same user, and nobody else had it (kit_put's `pure`); it is given back to the
 * kernel otherwise.
 *
 * Frames that are somebody else's objects yet when their process is gone (a parent's records of what it
 * shared with it) are in limbo: they are tried again when a process goes and the frame that was in the way is none any more.
 */
#include <stdlib.h>
#include "libos/keep/private.h"

#define KITS_KEPT	16

struct limbo {
	struct limbo *next;
	struct frame_bag bag;
	exo_pfn_t object;		/* the first frame that is one; 0: none was seen */
};

static struct limbo *limbo;
static struct keep_kit *kept;
static uint32_t kept_count;

static bool is_object(exo_pfn_t pfn)
{
	const struct exo_frame_info *frame = pfn ? info_frame(pfn) : NULL;

	return frame && frame->state != EXO_FRAME_OWNED;
}

static exo_pfn_t object_of(const struct frame_bag *bag)
{
	for (uint32_t i = 0; i < bag->runs; i++)
		for (exo_pfn_t pfn = bag->run[i].first; pfn - bag->run[i].first < bag->run[i].count; pfn++)
			if (is_object(pfn))
				return pfn;
	return 0;
}

void kit_limbo(void)
{
	for (struct limbo **at = &limbo, *one; (one = *at) != NULL;) {
		bool waits = is_object(one->object);

		if (waits || !frame_bag_drop(&one->bag)) {
			if (!waits)
				one->object = object_of(&one->bag);
			at = &one->next;
			continue;
		}
		*at = one->next;
		free(one);
	}
}

void kit_bag_drop(struct frame_bag *bag)
{
	struct limbo *one;

	if (!frame_bag_drop(bag) && (one = malloc(sizeof(*one))) != NULL) {
		one->bag = *bag;
		one->object = 0;
		one->next = limbo;
		limbo = one;
	}
	bag->runs = 0;
}

static void drop(struct keep_kit *kit)
{
	if (kit->account)
		caps_delete(kit->account);
	kit_bag_drop(&kit->bag);
	free(kit);
}

void kit_trim(void)
{
	while (kept) {
		struct keep_kit *kit = kept;

		kept = kit->next;
		drop(kit);
	}
	kept_count = 0;
}

/* One that is kept; with an account or without, as is wanted, if there is such a one. */
static struct keep_kit *take_kept(uid_t uid, bool account)
{
	struct keep_kit **at, **found = NULL, *kit;

	for (at = &kept; *at; at = &(*at)->next)
		if ((*at)->uid == uid) {
			found = at;
			if (((*at)->account != EXO_CAP_NONE) == account)
				break;
		}
	if (!found)
		return NULL;
	kit = *found;
	*found = kit->next;
	kept_count--;
	kit->used = kit->account != EXO_CAP_NONE;
	return kit;
}

struct keep_kit *kit_get(uid_t uid, bool account)
{
	struct keep_kit *kit = take_kept(uid, account);
	struct frame frame;

	if (kit)
		return kit;
	if (!body_room() || !(kit = calloc(1, sizeof(*kit))))
		return NULL;
	if (frame_bag_take(&kit->bag, KIT_FRAMES, &frame)) {
		kit_trim();
		if (frame_bag_take(&kit->bag, KIT_FRAMES, &frame)) {
			free(kit);
			return NULL;
		}
	}
	kit->pfn = frame.pfn;
	return kit;
}

bool kit_take(struct keep_kit *kit, uint32_t count, struct frame *frame)
{
	if (KIT_FRAMES - kit->used < count)
		return false;
	*frame = (struct frame){ .cap = kit->bag.run[0].cap, .first = kit->used, .pfn = kit->pfn + kit->used,
		.dirty = true };
	kit->used += count;
	return true;
}

/* Are all frames but the account's ordinary again, and nobody else's? */
static bool clean(const struct keep_kit *kit)
{
	const char *first = (const char *)info_frame(kit->pfn);

	for (uint32_t i = kit->account != EXO_CAP_NONE; first && i < KIT_FRAMES; i++) {
		const struct exo_frame_info *frame =
			(const struct exo_frame_info *)(first + (uint64_t)i * core_info->frames.stride);

		if (frame->state != EXO_FRAME_OWNED || frame->holds != 1)
			return false;
	}
	return first != NULL;
}

void kit_put(struct keep_kit *kit, uid_t uid, bool pure)
{
	while (exo_cap_revoke(kit->bag.run[0].cap) == -EXO_EAGAIN)
		;
	if (!pure || kept_count == KITS_KEPT || !clean(kit)) {
		drop(kit);
		return;
	}
	kit->uid = uid;
	kit->next = kept;
	kept = kit;
	kept_count++;
}
