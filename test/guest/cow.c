/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy-on-write regions (libos/vm/cow.h): a heap of 1,000 pages is cloned to other environments, on two CPUs; all write, and
 * each sees only its own; nothing is copied that need not be; who is alone gets its rights back; no frame is lost.
 *
 * Runs first: yes
 * Run with: --smp 2 -m 64M
 */
#include "libos/vm/cow.h"
#include "test/guest/family.h"

#define PAGES	1000
#define SLOT	24		/* of the twin's table, from here on */
#define TURNS	4

enum { GO, READY, BAD, COPIED, AGAIN, STOP };	/* words of the shared page; a twin's begin at 16 * its number */

static struct cow heap;

static volatile uint64_t *word_of(struct cow *cow, uint32_t page)
{
	return (volatile uint64_t *)area_page(&cow->area, page) + page % 512;
}

/* Page p of environment `who` after its turn t: 0 is what the parent wrote first. */
static uint64_t value(unsigned who, unsigned turn, uint32_t page)
{
	return (uint64_t)who << 48 | (uint64_t)turn << 32 | page;
}

static void write_pages(struct cow *cow, unsigned who, unsigned turn, uint32_t first, uint32_t step)
{
	for (uint32_t i = first; i < PAGES; i += step)
		*word_of(cow, i) = value(who, turn, i);
}

/* Pages that are not as they were written last. */
static uint32_t wrong(struct cow *cow, unsigned who, unsigned turn, uint32_t first, uint32_t step)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < PAGES; i++) {
		bool own = turn && i >= first && (i - first) % step == 0;
		bad += *word_of(cow, i) != (own ? value(who, turn, i) : value(0, 0, i));
	}
	return bad;
}

/* A twin: sees what the parent had, writes every third page in several turns while the parent does, looks again. */
static void twin_run(unsigned who)
{
	volatile uint64_t *word = family_word + 16 * who;
	exo_cap_t ticket_cap = core_named("ticket");
	uint32_t pages = cow_ticket_bytes(&(struct cow){ .pages = PAGES }) / EXO_PAGE_SIZE + 1;
	exo_vaddr_t at = vm_addresses((uint64_t)pages * EXO_PAGE_SIZE);

	space_map(at, EXO_MAP_READ, ticket_cap, 0, pages);
	if (!cow_adopt(&heap, (const struct cow_ticket *)at))
		word[BAD] = 100000;
	word[BAD] += wrong(&heap, who, 0, 0, 1);
	word[READY] = 1;
	while (!word[GO])
		core_sleep(core_now() + MS / 4, core_disp->events);
	for (unsigned turn = 1; turn <= TURNS; turn++) {
		write_pages(&heap, who, turn, who, 3);
		word[BAD] += wrong(&heap, who, turn, who, 3);
	}
	word[COPIED] = heap.copied;
	word[AGAIN] = heap.again;
	word[READY] = 2;
	while (!word[STOP])
		core_sleep(core_now() + MS / 4, core_disp->events);
	word[BAD] += wrong(&heap, who, TURNS, who, 3);
	word[READY] = 3;
	for (;;)
		core_sleep(EXO_NEVER, core_disp->events);
}

/* --- the parent ----------------------------------------------------------------------------------------- */

static struct member member[3];
static struct cow_twin twin[3];
static exo_cap_t ticket_cap[3];
static struct cow_ticket *ticket[3];

/* Make a twin of the heap on a CPU and let it begin. */
static bool twin_make(unsigned who, uint32_t cpu)
{
	uint32_t pages = (uint32_t)(cow_ticket_bytes(&heap) / EXO_PAGE_SIZE) + 1;
	exo_vaddr_t at;
	char name[2] = { (char)('0' + who), 0 };

	ticket_cap[who] = take_frames(pages);
	at = vm_addresses((uint64_t)pages * EXO_PAGE_SIZE);
	space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, ticket_cap[who], 0, pages);
	ticket[who] = (struct cow_ticket *)at;
	family_grant(&member[who], "page", family_page, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1);
	family_grant(&member[who], "ticket", ticket_cap[who], EXO_RIGHT_READ, pages);
	family_grant(&member[who], EXO_NAME_INFO, core_named(EXO_NAME_INFO), EXO_RIGHT_READ, 0);
	member[who].spawn.cpu = cpu;
	member[who].spawn.account = core_named(EXO_NAME_ACCOUNT);
	member[who].spawn.limit_frames = 3000;
	for (unsigned i = 0; i < 16; i++)
		family_word[16 * who + i] = 0;
	if (!family_make(&member[who], who == 1 ? "twin1" : "twin2", name))
		return false;
	int64_t error = cow_clone(&heap, member[who].spawn.env, SLOT, ticket[who], &twin[who]);
	if (!is(error, 0, "cloned (%u runs)", heap.runs))
		return false;
	return spawn_start(&member[who].spawn) == 0;
}

static void twin_drop(unsigned who)
{
	family_drop(&member[who]);
	cow_twin_gone(&twin[who]);
	space_map((exo_vaddr_t)ticket[who], 0, EXO_CAP_NONE, 0, (uint32_t)cap_of(ticket_cap[who])->count);
	caps_delete(ticket_cap[who]);
}

static bool twin_await(unsigned who, uint64_t ready)
{
	exo_time_t end = core_now() + 20000 * MS;

	while (family_word[16 * who + READY] < ready)
		if (core_now() > end || family_state(&member[who]) == EXO_ENV_ENDED)
			return false;
		else
			core_sleep(core_now() + MS / 4, core_disp->events);
	return true;
}

static void alone(void)
{
	uint64_t faults;

	write_pages(&heap, 0, 0, 0, 1);
	is(wrong(&heap, 0, 0, 0, 1), 0, "a heap of %u pages, %u runs", PAGES, heap.runs);
	faults = heap.region.faults;
	write_pages(&heap, 0, 0, 0, 1);
	ok(heap.region.faults == faults && !heap.copied, "nothing is copied before there is a twin");
}

static void with_twins(uint32_t cpus)
{
	uint64_t copied;
	uint32_t bad = 0;

	if (!ok(twin_make(1, cpus - 1) && twin_await(1, 1), "a twin sees what was there"))
		return;
	is((int64_t)family_word[16 + BAD], 0, "all of it");
	if (!ok(twin_make(2, 0) && twin_await(2, 1), "a second one, while the first one shares"))
		return;
	family_word[16 + GO] = family_word[32 + GO] = 1;
	for (unsigned turn = 1; turn <= TURNS; turn++) {
		write_pages(&heap, 0, turn, 0, 3);
		bad += wrong(&heap, 0, turn, 0, 3);
	}
	ok(twin_await(1, 2) && twin_await(2, 2), "all three have written");
	is(bad, 0, "the parent saw only what it wrote itself");
	is((int64_t)family_word[16 + BAD] + (int64_t)family_word[32 + BAD], 0, "and so did the twins");
	ok(heap.copied >= PAGES / 3 && heap.copied <= PAGES / 3 + 1, "each page was copied once: %u by the parent",
	    (unsigned)heap.copied);
	ok(family_word[16 + COPIED] + family_word[32 + COPIED] <= 2 * (PAGES / 3) + 2, "%u and %u by the twins",
	    (unsigned)family_word[16 + COPIED], (unsigned)family_word[32 + COPIED]);

	twin_drop(1);
	copied = heap.copied;
	write_pages(&heap, 0, TURNS, 2, 3);
	ok(heap.copied == copied && heap.again >= PAGES / 3 - 1, "what nobody else holds any more is written in place (%u)",
	    (unsigned)heap.again);
	family_word[32 + STOP] = 1;
	ok(twin_await(2, 3) && !family_word[32 + BAD], "the second twin sees nothing of that");
	twin_drop(2);
	write_pages(&heap, 0, 0, 0, 1);
	ok(heap.copied == copied && !wrong(&heap, 0, 0, 0, 1), "the last one copies nothing any more");
}

/* A twin that ends before anybody writes: all rights come back. */
static void restored(void)
{
	struct cow other;

	ok(cow_make(&other, 600), "another region");
	for (uint32_t i = 0; i < 600; i++)
		*(volatile uint64_t *)area_page(&other.area, i) = i + 1;
	struct cow_ticket *paper = malloc(cow_ticket_bytes(&other));
	struct cow_twin gone;
	uint32_t first = caps_slot();
	while (caps_at(first)->type != EXO_TYPE_NONE || caps_at(first + 3)->type != EXO_TYPE_NONE)
		first++;
	is(cow_clone(&other, EXO_CAP_NONE, first, paper, &gone), 0, "cloned into the own table");
	ok(cow_end(&other) == other.runs, "what is shared does not end");
	for (uint32_t i = 0; i < paper->runs; i++)
		caps_delete(paper->run[i].cap);
	cow_twin_gone(&gone);
	is(cow_end(&other), 0, "alone again: the rights come back at once");
	ok(cap_of(other.run[0].cap)->rights & EXO_RIGHT_WRITE, "the capability says so");
	uint64_t copied = other.copied;
	for (uint32_t i = 0; i < 600; i++)
		*(volatile uint64_t *)area_page(&other.area, i) += 1;
	ok(other.copied == copied && !other.again, "written again without a copy");
	bool good = true;
	for (uint32_t i = 0; i < 600; i++)
		good = good && *(volatile uint64_t *)area_page(&other.area, i) == i + 2;
	ok(good, "and nothing was lost");
	free(paper);
	cow_drop(&other);
}

static int parent(void)
{
	uint32_t cpus = family_cpus();
	struct books before;

	ok(cow_make(&heap, PAGES), "a region");
	cow_drop(&heap);
	restored();
	before = books_now();
	ok(cow_make(&heap, PAGES), "a region");
	alone();
	with_twins(cpus);
	cow_drop(&heap);
	memset(&heap, 0, sizeof(heap));
	/* The second time all that stays for good is there already. */
	before = books_now();
	ok(cow_make(&heap, PAGES), "a region, again");
	write_pages(&heap, 0, 0, 0, 1);
	with_twins(cpus);
	cow_drop(&heap);
	ok(books_same(before), "as many frames as before");
	return call_done();
}

int main(void)
{
	const char *role = family_begin();

	if (role && role[0] == 't')
		twin_run((unsigned)(role[4] - '0'));
	return parent();
}
