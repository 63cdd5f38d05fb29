/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long visible revocation takes, from the demand to all frames back: for a tenant that gives back at
 * once in its handler, and for one that ignores everything. `make bench` runs this.
 *
 * Two accounts lie below the root: the demander's is guaranteed as many frames as it will ask for and has
 * none; the tenant's is guaranteed KEPT frames, and the tenant holds that many more than will be asked
 * for, all of them mapped writable through one capability, and written to. The demander owns all slices,
 * so the tenant runs only while the demander waits. Cooperative: from the call `demand` until the
 * demander is told that it has been met; the tenant unmaps and gives back in its RUN upcall. Forced: from
 * the first call `repossess`, once the answering time has passed, until the same; that time, which is the
 * tenant's by right, is told apart. In both cases the tenant must have kept KEPT frames. The machine
 * counts instructions as time, so the time-stamp counter does, and the figures repeat.
 *
 * Runs first: yes
 * Run with: --icount -m 256M
 */
#include <exo/account.h>
#include "test/guest/tiny.h"

#define KEPT		16
#define HELD_VA		0x1000000ULL	/* where the tenant maps what it holds, with tables from the test */
#define TABLE_PAGES	512
#define TABLE_FRAMES	3
#define CALLS_MAX	20000
#define TENANT_SPACE	1		/* slots: the tenant's */
#define TENANT_HELD	2
#define DEMANDER_OWES	1		/* the demander's */

/* Words of the tenant, of the demander. */
enum { COOPERATES, WANTED, FROM, SPACE, HELD, HOLDS, IGNORED };
enum { STEP, OWES, COUNT, RESULT, ASKED, FORCED, ANSWERED, CALLS, TAKEN };
enum { ASK = 1, WAIT, FORCE, DONE };

struct parties {
	exo_cap_t accounts;		/* frames: the demander's, the tenant's */
	exo_cap_t of_demander, of_tenant;
	exo_cap_t tables[3], slices;
	struct tiny demander, tenant;
	const volatile struct exo_account *books;	/* the tenant's account */
};

TINY_INLINE uint64_t tiny_count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Change what the tenant's last pages show: flags 0: nothing. */
TINY_INLINE int64_t tenant_write(uint64_t first, uint64_t count, uint64_t flags)
{
	volatile struct exo_map *map = (volatile struct exo_map *)TINY_ARG;

	map->va = (HELD_VA + first * EXO_PAGE_SIZE) | flags;
	map->cap = flags ? tiny_word(HELD) : 0;
	map->first = (uint32_t)first;
	map->count = (uint32_t)count;
	return tiny_call(EXO_CALL_space_write, tiny_word(SPACE), 0, 1, 0, 0, 0);
}

TINY_INLINE void tenant_fill(void)
{
	uint64_t holds = 0, count;
	int64_t got = tiny_call(EXO_CALL_frame_take, TENANT_HELD, tiny_word(FROM), 1, 0, 0, 0);

	if (got <= 0)
		tiny_exit(1);
	tiny_word(HELD) = (uint64_t)got;
	for (holds = 1; holds < tiny_word(WANTED); holds += (uint64_t)got) {
		count = tiny_word(WANTED) - holds;
		got = tiny_call(EXO_CALL_frame_take, tiny_word(HELD), EXO_PFN_ANY,
		    count < EXO_TAKE_MAX ? count : EXO_TAKE_MAX, 0, 0, 0);
		if (got <= 0)
			tiny_exit(2);
	}
	for (uint64_t at = 0; at < holds; at += count) {
		count = holds - at < EXO_MAP_BATCH_MAX ? holds - at : EXO_MAP_BATCH_MAX;
		if (tenant_write(at, count, EXO_MAP_READ | EXO_MAP_WRITE) != 1)
			tiny_exit(3);
	}
	for (uint64_t at = 0; at < holds; at++)
		*(volatile uint64_t *)(HELD_VA + at * EXO_PAGE_SIZE) = at;
	tiny_word(HOLDS) = holds;
}

TINY_INLINE void tenant_give(uint64_t count)
{
	uint64_t holds = tiny_word(HOLDS), part;

	for (; count; count -= part) {
		part = count < EXO_MAP_BATCH_MAX ? count : EXO_MAP_BATCH_MAX;
		holds -= part;
		if (tenant_write(holds, part, 0) != 1)
			tiny_exit(4);
		if (tiny_call(EXO_CALL_frame_give, tiny_word(HELD), part, 0, 0, 0, 0) != (int64_t)part)
			tiny_exit(5);
	}
	tiny_word(HOLDS) = holds;
}

TINY static void tenant_run(uint64_t reasons)
{
	uint64_t events;

	(void)reasons;
	if (!tiny_word(HOLDS))
		tenant_fill();
	while (!tiny_word(COOPERATES))
		tiny_word(IGNORED)++;
	for (;;) {
		events = tiny_disp->events;
		if (tiny_disp->pending & EXO_EVENT_DEMAND) {
			tiny_disp->pending = 0;
			tenant_give(tiny_disp->abort.demand_count);
		}
		tiny_call(EXO_CALL_sleep, EXO_NEVER, events, 0, 0, 0, 0);
	}
}

TINY_INLINE void demander_force(void)
{
	int64_t result;

	tiny_word(FORCED) = tiny_count();
	do {
		result = tiny_call(EXO_CALL_repossess, tiny_word(OWES), 0, 0, 0, 0, 0);
		tiny_word(CALLS)++;
		if (result > 0)
			tiny_word(TAKEN) += (uint64_t)result;
	} while ((result > 0 || result == -EXO_EAGAIN) && tiny_word(CALLS) < CALLS_MAX);
}

TINY static void demander_run(uint64_t reasons)
{
	uint64_t events;

	(void)reasons;
	for (;;) {
		events = tiny_disp->events;
		if (tiny_word(STEP) == ASK) {
			tiny_word(STEP) = WAIT;
			tiny_word(ASKED) = tiny_count();
			tiny_word(RESULT) = (uint64_t)tiny_call(
			    EXO_CALL_demand, tiny_word(OWES), EXO_TYPE_FRAME, tiny_word(COUNT), 0, 0, 0);
		} else if (tiny_word(STEP) == FORCE) {
			tiny_word(STEP) = WAIT;
			demander_force();
		}
		if (tiny_word(STEP) == WAIT && (tiny_disp->pending & EXO_EVENT_ANSWERED)) {
			tiny_word(ANSWERED) = tiny_count();
			tiny_word(STEP) = DONE;
		}
		tiny_call(EXO_CALL_sleep, EXO_NEVER, events, 0, 0, 0, 0);
	}
}

/* --- the test's side ------------------------------------------------------------------------------------ */

static void need(bool holds, const char *what)
{
	if (holds)
		return;
	printf("revocation: no %s\n", what);
	exo_machine_halt(core_named(EXO_NAME_MACHINE), 1);
}

static exo_cap_t account(exo_cap_t frames, uint32_t first, uint32_t guaranteed)
{
	struct exo_shares *shares = core_arg(0);
	uint32_t slot = caps_slot();
	exo_cap_t root = core_named(EXO_NAME_ACCOUNT), made_one;

	made_one = made(slot, exo_account_make(slot, root, frames, first, core_info->frames_memory));
	need(made_one, "account");
	memset(shares, 0, sizeof(*shares));
	for (unsigned kind = 0; kind < EXO_SHARES; kind++)
		shares->share[kind].limit = EXO_UNLIMITED;
	shares->share[EXO_SHARE_FRAMES].guaranteed = guaranteed;
	shares->answer_ns = core_info->slice_ns;
	need(exo_account_share(root, made_one, 0) == 0, "guarantee");
	return made_one;
}

/* Page tables in the tenant's space for so many pages. */
static void link_tables(struct parties *p, uint32_t pages)
{
	const uint32_t each = EXO_TAKE_MAX / TABLE_FRAMES;

	for (uint32_t i = 0; i * TABLE_PAGES < pages; i++) {
		exo_cap_t *frames = &p->tables[i / each];
		if (!*frames)
			*frames = take_frames(EXO_TAKE_MAX);
		exo_vaddr_t va = HELD_VA + (uint64_t)i * TABLE_PAGES * EXO_PAGE_SIZE;
		need(*frames && exo_space_table(p->tenant.space, va, EXO_LEVEL_PAGES, *frames,
				    i % each * TABLE_FRAMES) == 0, "page tables");
	}
}

/* The last run of so many free frames. */
static exo_pfn_t free_run(uint32_t count)
{
	exo_pfn_t pfn = core_info->frames_total;
	uint32_t run = 0;

	while (pfn-- && run < count)
		run = info_frame(pfn)->state == EXO_FRAME_FREE ? run + 1 : 0;
	need(run == count, "free frames in a row");
	return pfn + 1;
}

static void make_parties(struct parties *p, uint32_t count, bool cooperates)
{
	static exo_vaddr_t window;
	uint32_t slot;

	memset(p, 0, sizeof(*p));
	if (!window)
		window = vm_addresses(EXO_PAGE_SIZE);
	p->accounts = take_frames(2);
	p->of_demander = account(p->accounts, 0, count);
	p->of_tenant = account(p->accounts, 1, KEPT);
	need(space_map(window, EXO_MAP_READ, p->accounts, 1, 1) == 0, "view of an account");
	p->books = (const volatile struct exo_account *)window;

	tiny_account = p->of_tenant;
	need(tiny_make(&p->tenant, tenant_run, 0), "tenant");
	tiny_account = p->of_demander;
	need(tiny_make(&p->demander, demander_run, 0), "demander");
	tiny_account = 0;
	link_tables(p, count + KEPT);
	p->tenant.word[COOPERATES] = cooperates;
	p->tenant.word[WANTED] = count + KEPT;
	p->tenant.word[FROM] = free_run(count + KEPT);
	p->tenant.word[SPACE] =
	    (uint64_t)tiny_grant(&p->tenant, p->tenant.space, TENANT_SPACE, EXO_RIGHT_WRITE);
	p->demander.word[OWES] =
	    (uint64_t)tiny_grant(&p->demander, p->of_tenant, DEMANDER_OWES, EXO_RIGHT_READ);
	p->demander.word[COUNT] = count;
	tiny_start(&p->tenant);
	while (!p->tenant.word[HOLDS] && tiny_state(&p->tenant) != EXO_ENV_ENDED)
		core_yield(EXO_CAP_NONE);
	need(tiny_state(&p->tenant) != EXO_ENV_ENDED, "frames of the tenant's");
	need(p->books->share[EXO_SHARE_FRAMES].used == count + KEPT, "charge");

	slot = caps_slot();
	p->slices = made(slot, exo_slice_take(slot, 0, 0, EXO_SLICES));
	need(exo_slice_bind(p->slices, p->demander.env) == EXO_SLICES, "slices");
	tiny_start(&p->demander);
	need(tiny_await(&p->demander, EXO_ENV_ASLEEP, 5000), "waiting demander");
}

static void drop_parties(struct parties *p)
{
	caps_delete(p->slices);
	tiny_drop(&p->demander);
	tiny_drop(&p->tenant);
	for (unsigned i = 0; i < 3; i++)
		if (p->tables[i])
			caps_delete(p->tables[i]);
	caps_delete(p->of_demander);
	caps_delete(p->of_tenant);
	space_map((exo_vaddr_t)p->books, 0, EXO_CAP_NONE, 0, 1);
	caps_delete(p->accounts);
}

static void step(struct parties *p, uint64_t which)
{
	p->demander.word[STEP] = which;
	need(exo_wake(p->demander.env) == 0, "wakeup");
}

/* What it took; its calls in *calls. */
static uint64_t measure(uint32_t count, bool cooperates, uint64_t *calls)
{
	volatile uint64_t *word;
	exo_time_t end;
	struct parties p;
	uint64_t took;

	make_parties(&p, count, cooperates);
	word = p.demander.word;
	step(&p, ASK);
	for (end = core_now() + 3 * core_info->slice_ns; !cooperates && core_now() < end;)
		core_yield(EXO_CAP_NONE);
	need(word[RESULT] == 0, "demand");
	if (!cooperates)
		step(&p, FORCE);
	for (end = core_now() + 2 * CORE_SECOND; word[STEP] != DONE && core_now() < end;)
		core_yield(EXO_CAP_NONE);
	need(word[STEP] == DONE, "answer");
	need(p.books->share[EXO_SHARE_FRAMES].used == KEPT, "loss of what was demanded, and no more");
	need(cooperates || word[TAKEN] == count, "count of what was taken");
	took = word[ANSWERED] - (cooperates ? word[ASKED] : word[FORCED]);
	*calls = word[CALLS];
	drop_parties(&p);
	return took;
}

int main(void)
{
	static const uint32_t counts[] = { 1, 10, 100, 1000, 10000 };
	uint64_t given, taken, calls;

	tiny_prepare();
	printf("frames  given back  a frame     by force  a frame  calls\n");
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		given = measure(counts[i], true, &calls);
		taken = measure(counts[i], false, &calls);
		printf("%6u  %10lu  %7lu  %11lu  %7lu  %5lu\n", counts[i], given, given / counts[i], taken,
		    taken / counts[i], calls);
		printf("bench revoke_coop_%u %lu insns\nbench revoke_forced_%u %lu insns\n", counts[i], given,
		    counts[i], taken);
		printf("events revoke_forced_%u calls %lu operations 1\n", counts[i], calls);
	}
	exo_machine_halt(core_named(EXO_NAME_MACHINE), 0);
}
