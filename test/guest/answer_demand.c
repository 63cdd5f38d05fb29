/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Visible revocation with the kernel's demands: a lender has filled the machine with a cache, and another,
 * which is guaranteed frames that it does not have, asks for them. A lender that answers loses nothing it
 * needs; one that does not loses what was demanded and no more, gets what was spilled back, and goes on.
 *
 * Runs first: yes
 * Run with: --icount -m 32M
 * Time limit: 90 s
 */
#include <exo/account.h>
#include "libos/core/revoke.h"
#include "test/guest/family.h"

#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define CACHE_MAX	8192
#define LEAVE_FREE	700
#define WANTED		300
#define SPILL		64
#define ANSWER_NS	(500 * MS)

/* Words of the page that all see. */
enum { FULL, ASK, ASKED, TAKEN, FORCED, CHECK, PAGES_LEFT, PAGES_GONE, PAGES_BACK, PAGES_WRONG, GIVEN, LOST,
	UNMET, HELD, MET, BEATS };

/* --- the lender ----------------------------------------------------------------------------------------- */

static exo_pfn_t page_frame[CACHE_MAX];
static uint32_t page_count;
static struct vm_region cache;
static struct frame nothing;
static bool mute;

CORE_UPCALL static uint64_t mark(uint64_t page)
{
	return page * 0x9e3779b97f4a7c15 + 1;
}

/* A page that was there is one that was lost: from the spill, or a page that says that it is gone. */
CORE_UPCALL static const char *pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	uint32_t page = (uint32_t)((va - region->start) / EXO_PAGE_SIZE);
	exo_pfn_t was = page_frame[page];
	struct frame frame;

	(void)access;
	if (present)
		return "against its rights";
	frame_resync();
	if (!frame_alloc(&frame)) {
		page_frame[page] = 0;
		family_word[PAGES_GONE]++;
		return space_map_frame(PAGE_DOWN(va), EXO_MAP_READ, &nothing) ? "no frame" : NULL;
	}
	if (space_map_frame(PAGE_DOWN(va), EXO_MAP_READ | EXO_MAP_WRITE, &frame))
		return "cannot map";
	page_frame[page] = frame.pfn;
	if (!was)
		return NULL;
	if (revoke_restore(was, (void *)PAGE_DOWN(va)))
		family_word[PAGES_BACK]++;
	else
		*(uint64_t *)PAGE_DOWN(va) = 0, family_word[PAGES_GONE]++;
	return NULL;
}

static uint32_t give(struct revoke_giver *giver, uint32_t what, uint32_t count, exo_time_t by)
{
	uint32_t given = 0;

	(void)giver, (void)by;
	if (what != EXO_TYPE_FRAME || mute)
		return 0;
	for (; given < count && page_count; given++) {
		page_frame[--page_count] = 0;
		space_unmap_free(cache.start + (uint64_t)page_count * EXO_PAGE_SIZE, 1);
	}
	return given;
}

static void check_pages(void)
{
	uint64_t left = 0, wrong = 0;

	for (uint32_t i = 0; i < page_count; i++) {
		uint64_t value = *(volatile uint64_t *)(cache.start + (uint64_t)i * EXO_PAGE_SIZE);
		left += value == mark(i);
		wrong += value != mark(i) && value != 0;
	}
	family_word[PAGES_LEFT] = left;
	family_word[PAGES_WRONG] = wrong;
	family_word[GIVEN] = revoke_figures.given;
	family_word[LOST] = revoke_figures.lost_frames;
	family_word[UNMET] = revoke_figures.unmet;
	family_word[HELD] = page_count;
}

static int lend(void)
{
	static struct revoke_giver giver = { .give = give };
	exo_vaddr_t at = vm_addresses(CACHE_MAX * EXO_PAGE_SIZE);

	mute = !strcmp(core_argument(2), "mute");
	if (mute && !revoke_spill(SPILL))
		return 1;
	/* What it cannot do without comes first, so that it goes last: the stack, as deep as it will be. */
	vm_touch((exo_vaddr_t)__builtin_frame_address(0) - 32768, 32768);
	frame_alloc(&nothing);
	space_map_frame(vm_addresses(EXO_PAGE_SIZE), EXO_MAP_READ | EXO_MAP_WRITE, &nothing);
	cache = (struct vm_region){ .start = at, .end = at + CACHE_MAX * EXO_PAGE_SIZE, .pager = pager };
	vm_add(&cache);
	revoke_add_giver(&giver);
	for (; page_count < CACHE_MAX && core_info->frames_free > LEAVE_FREE; page_count++)
		*(volatile uint64_t *)(at + (uint64_t)page_count * EXO_PAGE_SIZE) = mark(page_count);
	family_word[FULL] = page_count;
	for (;;) {
		thread_sleep(core_now() + MS);
		family_word[BEATS]++;
		if (family_word[CHECK] == 1) {
			check_pages();
			family_word[CHECK] = 2;
		}
	}
	return 0;
}

/* --- the one that asks ---------------------------------------------------------------------------------- */

static int ask(void)
{
	exo_cap_t lender = core_named("lender");
	int64_t result;

	family_word[ASKED] = 1;
	while (!family_word[ASK])
		thread_sleep(core_now() + MS);
	exo_time_t begin = core_now();
	family_word[ASKED] = 1000 + (uint64_t)-exo_demand(lender, EXO_TYPE_FRAME, WANTED);
	while (!(core_disp->pending & EXO_EVENT_ANSWERED) && core_now() < begin + 3 * ANSWER_NS)
		core_sleep(core_now() + MS, core_disp->events);
	family_word[MET] = (core_disp->pending & EXO_EVENT_ANSWERED) != 0;
	while ((result = exo_repossess(lender)) > 0 || result == -EXO_EAGAIN) {
		family_word[FORCED] += result > 0 ? (uint64_t)result : 0;
		/* The other must come to read its records: there are only so many. */
		family_await_word(BEATS, family_word[BEATS] + 2, 5000);
	}
	family_word[TAKEN] = 1 + (frame_reserve(WANTED) ? WANTED : 0);
	for (;;)
		thread_sleep(core_now() + CORE_SECOND);
	return 0;
}

/*
 * --- the director ----------------------------------------------------------------------------------------
 */


static bool shares(exo_cap_t account, uint32_t guaranteed, uint32_t limit)
{
	struct exo_shares *shares = core_arg(0);

	memset(shares, 0, sizeof(*shares));
	for (unsigned i = 0; i < EXO_SHARES; i++)
		shares->share[i].limit = EXO_UNLIMITED;
	shares->share[EXO_SHARE_FRAMES] = (struct exo_share){ guaranteed, limit };
	shares->answer_ns = ANSWER_NS;
	return is(exo_account_share(core_named(EXO_NAME_ACCOUNT), account, 0), 0, "shares");
}

static bool begin(struct member *lender, struct member *asker, const char *how)
{
	memset(lender, 0, sizeof(*lender));
	memset(asker, 0, sizeof(*asker));
	for (unsigned i = 0; i < 20; i++)
		family_word[i] = 0;
	family_grant(lender, "page", family_page, RW, 1);
	lender->spawn.account = asker->spawn.account = core_named(EXO_NAME_ACCOUNT);
	lender->spawn.limit_frames = 100000;
	asker->spawn.limit_frames = 5000;
	if (!family_make(lender, "lender", how) || !shares(lender->spawn.child_account, 0, 100000))
		return false;
	family_grant(asker, "page", family_page, RW, 1);
	family_grant(asker, "lender", lender->spawn.child_account, EXO_RIGHT_READ, 0);
	if (!family_make(asker, "asker", NULL) || !shares(asker->spawn.child_account, 1000, 5000))
		return false;
	spawn_start(&asker->spawn);
	ok(family_await_word(ASKED, 1, 3000), "who will ask is there");
	spawn_start(&lender->spawn);
	return ok(family_await_word(FULL, 1, 20000), "the lender has filled the machine: %lu pages",
		  (long)family_word[FULL]);
}

static void show_losses(const struct member *lender)
{
	static struct exo_abort record;

	spawn_read(lender->spawn.env, EXO_VA_DISP + offsetof(struct exo_disp, abort), &record,
		   sizeof(record));
	printf("# spill slot %u next %u lost %lu\n", exo_cap_slot(record.spill), record.spill_next,
	       (long)record.lost);
	for (uint64_t i = 0; i < record.lost && i < EXO_LOSSES; i++)
		printf("# slot %u: %u from %lu on, spilled %d\n", record.loss[i].slot, record.loss[i].count,
		    (long)record.loss[i].first, (int)record.loss[i].spilled);
}

static void run(const char *how)
{
	bool silent = !strcmp(how, "mute");
	struct member lender, asker;

	if (!begin(&lender, &asker, how))
		return;
	exo_time_t from = core_now();
	family_word[ASK] = 1;
	family_await_word(TAKEN, 1, 20000);
	exo_time_t passed = core_now() - from;
	is((int64_t)family_word[ASKED], 1000, "a demand for %u frames", WANTED);
	is((int64_t)family_word[TAKEN], 1 + WANTED, "they have come");
	family_word[CHECK] = 1;
	if (silent)
		show_losses(&lender);
	ok(family_await_word(CHECK, 2, 5000) && family_state(&lender) != EXO_ENV_ENDED, "the lender lives");
	printf("# %lu us; given %lu, lost %lu; of %lu pages %lu are there, %lu were spilled, %lu are gone\n",
	       (long)(passed / 1000), (long)family_word[GIVEN], (long)family_word[LOST],
	       (long)family_word[FULL], (long)family_word[PAGES_LEFT], (long)family_word[PAGES_BACK],
	       (long)family_word[PAGES_GONE]);
	is((int64_t)family_word[PAGES_WRONG], 0, "no page holds what is another's");
	if (silent) {
		ok(!family_word[MET] && family_word[FORCED] == WANTED - family_word[GIVEN] &&
			   passed >= ANSWER_NS,
		   "by force, after the deadline (%lu)", (long)family_word[FORCED]);
		is((int64_t)family_word[LOST], WANTED - (int64_t)family_word[GIVEN],
		   "it lost what was demanded, and no more");
		ok(family_word[UNMET] == 1, "it knows that it did not answer");
		ok(family_word[PAGES_BACK] >= SPILL / 2 && family_word[PAGES_BACK] <= SPILL,
		   "what the spill had room for came back: %lu pages, and some that were unused",
		   (long)family_word[PAGES_BACK]);
		ok(family_word[PAGES_LEFT] + family_word[PAGES_GONE] == family_word[FULL] &&
		    family_word[PAGES_GONE] <= WANTED - SPILL / 2, "all others are gone or as they were");
	} else {
		ok(family_word[MET] && !family_word[FORCED] && passed < ANSWER_NS,
		   "before the deadline, without force");
		ok(!family_word[LOST] && !family_word[UNMET] && family_word[GIVEN] >= WANTED,
		   "nothing is lost");
		ok(family_word[PAGES_LEFT] == family_word[HELD] &&
			   family_word[HELD] >= family_word[FULL] - WANTED - 16,
		   "what it did not choose to give is there");
	}
	family_drop(&asker);
	family_drop(&lender);
}

int main(void)
{
	const char *role = family_begin();

	if (role && !strcmp(role, "lender"))
		return lend();
	if (role && !strcmp(role, "asker"))
		return ask();
	run("good");
	run("mute");
	return call_done();
}
