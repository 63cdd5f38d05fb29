/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page replacement policies: which page of a region makes room when another is wanted and no frame is left.
 *
 * A policy sees pages by number, 0 to set->pages - 1, and three things about them: that one came, that one
 * went, and, if it asks, whether one was used or written since it asked last. It sees no frame, no page table
 * and no capability, so it runs as well over a trace on any computer (test/unit/policy_test.c). One is a file
 * of its own and a struct policy; a program's own need be no more than a `victim` function. pager.h runs
 * them.
 *
 *   policy_lru    the page that was used longest ago, as far as accessed bits tell
 *   policy_clock  second chance: the page that came first, unless it was used since the hand passed it
 *   policy_fifo   the page that came first
 *   policy_mru    the page that came last: for scans, over and over, of more than fits
 *   policy_2q     what was wanted once goes first, what was wanted again after it had gone stays
 *
 * Pages stand in lists that a set has ready: linked through the page's own entry, every operation in O(1).
 * A page is in at most one list; it need not be resident (2Q remembers pages that have gone).
 * All of it is [upcall], see core.h.
 */
#ifndef LIBOS_VM_POLICY_H
#define LIBOS_VM_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_NONE	0xffffffff	/* no page */
#define POLICY_LISTS	4

struct policy_page {
	uint32_t next, prev;
	uint16_t list;			/* 1 + its number; 0: in none */
	uint16_t resident;		/* kept by who runs the policy */
	uint32_t own;			/* the policy's own */
};

struct policy_list {
	uint32_t head, tail, count;	/* head: oldest */
};

struct policy_set;

struct policy {
	const char *name;
	/*
	 * A resident page to go, now that all frames are taken and page `wanted` is to come (NONE: that a
	 * frame be given up). Cost: a policy's own; those here look at each resident page once at most.
	 */
	uint32_t (*victim)(struct policy_set *set, uint32_t wanted);
	/* A page has come / gone. NULL: to the end of list 0 / out of its list. */
	void (*loaded)(struct policy_set *set, uint32_t page);
	void (*dropped)(struct policy_set *set, uint32_t page);
};

/* The pages of one region, as a policy sees them. */
struct policy_set {
	const struct policy *policy;
	uint32_t pages;			/* of the region */
	uint32_t frames;		/* how many may be resident */
	uint32_t resident;		/* how many are */
	struct policy_page *page;	/* one for each */
	struct policy_list list[POLICY_LISTS];
	void *arg;			/* for a policy of the program's own */
	/* Was a resident page used since this was asked last (or since it came)? Written, since it came? */
	bool (*used)(struct policy_set *set, uint32_t page);
	bool (*written)(const struct policy_set *set, uint32_t page);
};

extern const struct policy policy_lru, policy_clock, policy_fifo, policy_mru, policy_2q;
/*
 * What a region has that names no policy: &policy_clock, unless the program defines this itself (it stands
 * alone in its object file, so that the linker takes the program's).
 */
extern const struct policy *const policy_default;

/* --- for those who run a policy ------------------------------------------------------------------------- */

/* Begin with empty lists; no page is resident. pages, frames, page, used and written are set. */
void policy_start(struct policy_set *set, const struct policy *policy);
/* A page came (it was not resident) / went (it was). */
void policy_loaded(struct policy_set *set, uint32_t page);
void policy_dropped(struct policy_set *set, uint32_t page);

/* --- for policies --------------------------------------------------------------------------------------- */

/* Put a page that is in no list at the end of one. */
void policy_append(struct policy_set *set, unsigned list, uint32_t page);
/* Take it out of the list in which it is; nothing if it is in none. */
void policy_remove(struct policy_set *set, uint32_t page);
/*
 * The oldest of a list that was not used since it was looked at; those that were go to its end. NONE: empty.
 */
uint32_t policy_second_chance(struct policy_set *set, unsigned list);

static inline bool policy_in(const struct policy_set *set, unsigned list, uint32_t page)
{
	return page < set->pages && set->page[page].list == list + 1;
}

#endif
