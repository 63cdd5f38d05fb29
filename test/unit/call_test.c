/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every call with hostile arguments: environments that hold a bit of everything make random calls, with handles, slots
 * and numbers that are right, nearly right and wrong, over argument frames full of anything, while time passes and
 * interrupts come, and a disk takes requests from rings full of anything. Whatever they do, the kernel neither stops
 * nor loses an invariant (running.h, world.h). The table of calls itself is the source of what is called.
 */
#include "exo/disks.h"
#include "test/unit/running.h"

#define ACTORS		4
#define ROUNDS		40	/* EXO_TEST_LONG: times 50 */
#define OPERATIONS	3000
#define CHECK_EACH	64	/* the large check walks all memory */

const char *world_check(void);

static const struct {
	const char *kinds, *names;
} calls[EXO_CALL_COUNT] = {
#define LINE(nr, name, args, names, rights, meaning) [nr] = { args, names },
	EXO_CALLS(LINE)
#undef LINE
};

/* What type of capability an argument's name speaks of. */
static const struct {
	const char *name;
	unsigned type;
} kinds_of[] = {
	{ "frames", EXO_TYPE_FRAME }, { "space", EXO_TYPE_SPACE }, { "env", EXO_TYPE_ENV },
	{ "entry", EXO_TYPE_ENTRY },
	{ "slices", EXO_TYPE_SLICE }, { "flow", EXO_TYPE_FLOW }, { "account", EXO_TYPE_ACCOUNT },
	{ "parent", EXO_TYPE_ACCOUNT }, { "ports", EXO_TYPE_PORTS }, { "interrupts", EXO_TYPE_INTERRUPTS }, { "disk", EXO_TYPE_DISK }, { "node", EXO_TYPE_NODE }, { "console", EXO_TYPE_CONSOLE }, { "machine", EXO_TYPE_MACHINE },
};

static unsigned done_well[EXO_CALL_COUNT];

static uint64_t random64(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

static unsigned below(unsigned n)
{
	return (unsigned)rand() % n;
}

static uint64_t edge(void)
{
	static const uint64_t edges[] = { 0, 1, 2, 63, 64, 65, 255, 256, 4095, 4096, 0xffffffff, 0x100000000,
		EXO_USER_MAX, EXO_USER_MAX - 4096, 0x8000000000000000, UINT64_MAX, UINT64_MAX - 1,
		0xffff800000000000, 0x7fffffffffffffff };

	return edges[below(COUNT_OF(edges))];
}

/* The type that the i-th of some argument names speaks of; NONE: any. */
static unsigned type_of(const char *names, unsigned i)
{
	const char *found, *end;
	unsigned k;

	for (; i && names; i--)
		names = strchr(names, ',') ? strchr(names, ',') + 1 : NULL;
	for (k = 0; names && k < COUNT_OF(kinds_of); k++) {
		found = strstr(names, kinds_of[k].name);
		end = strchr(names, ',');
		if (found && (!end || found < end))
			return kinds_of[k].type;
	}
	return EXO_TYPE_NONE;
}

/* A handle: of a slot of this type, of any slot, one that is stale, or nonsense. */
static uint64_t some_handle(unsigned type)
{
	const struct exo_cap *table = pfn_to_virt(here.current->cap_frame[0]);
	unsigned slot = below(EXO_CAPS_PER_FRAME), i;

	switch (below(12)) {
	case 0: return random64();
	case 1: return exo_cap_make(slot, table[slot].generation - 1);
	case 2: return edge();
	case 3: return exo_cap_make(slot, table[slot].generation);
	}
	for (i = 0; i < EXO_CAPS_PER_FRAME && type && table[slot].type != type; i++)
		slot = (slot + 1) % EXO_CAPS_PER_FRAME;
	return exo_cap_make(slot, table[slot].generation);
}

/* One that is split, if there is any. */
static uint64_t split_handle(void)
{
	const struct exo_cap *table = pfn_to_virt(here.current->cap_frame[0]);
	unsigned slot = below(EXO_CAPS_PER_FRAME), i;

	for (i = 0; i < EXO_CAPS_PER_FRAME &&
	    (table[slot].type != EXO_TYPE_FRAME || !(table[slot].rights & EXO_RIGHT_RESTORE)); i++)
		slot = (slot + 1) % EXO_CAPS_PER_FRAME;
	return exo_cap_make(slot, table[slot].generation);
}

static uint64_t some_number(void)
{
	switch (below(6)) {
	case 0: return edge();
	case 1: return random64();
	case 2: return EXO_PFN_ANY;
	default: return below(1 + below(32));
	}
}

static uint64_t argument(char letter, unsigned type)
{
	switch (letter) {
	case 'c':
		if (below(type == EXO_TYPE_ENV || type == EXO_TYPE_ACCOUNT ? 2 : 10))
			return some_handle(type);
		return 0;
	case 's': return below(4) ? below(64) : some_number();
	case 'v': return below(3) ? (uint64_t)below(1 << 12) << EXO_PAGE_SHIFT | below(8) : edge();
	case 'o': return below(3) ? below(64) * 64 : edge();
	case 't': return below(3) ? null.now + below(3 * SLICE) : edge();
	default: return some_number();
	}
}

/* Descriptors that are nearly right, here and there. */
static void scribble(uint8_t *arg)
{
	struct exo_map *map = (struct exo_map *)arg;
	unsigned i;

	for (i = 0; i < EXO_PAGE_SIZE; i += 1 + below(200))
		arg[i] = (uint8_t)rand();
	for (i = 0; i < 8; i++)
		map[below(128)] = (struct exo_map){ argument('v', 0), argument('c', EXO_TYPE_FRAME), below(8),
		    1 + below(4), 0 };
}

static unsigned draw_call(void)
{
	unsigned nr = below(EXO_CALL_COUNT + 1);

	if (here.current->serving && below(8) == 0)
		return EXO_CALL_reply;
	if (nr == EXO_CALL_machine_halt || (nr == EXO_CALL_env_exit && below(100)))
		return EXO_CALL_cap_derive;
	if (nr == EXO_CALL_cap_revoke && below(8))
		return EXO_CALL_space_write;
	if ((nr == EXO_CALL_entry_make && below(4)) || (nr == EXO_CALL_space_seal && below(8)))
		return EXO_CALL_space_create;
	if (nr == EXO_CALL_cap_split && below(2))
		return EXO_CALL_account_share;
	if (((nr >= EXO_CALL_volume_make && nr <= EXO_CALL_node_change) || nr == EXO_CALL_node_share) && below(8))
		return below(2) ? EXO_CALL_account_share : EXO_CALL_code_load;
	return nr;
}

static void some_shares(struct exo_shares *shares)
{
	unsigned kind;

	for (kind = 0; kind < EXO_SHARES; kind++)
		shares->share[kind] = (struct exo_share){ below(3), below(2) ? EXO_UNLIMITED : 3 + below(500) };
	shares->answer_ns = SLICE * (1 + below(3));
}

/* Somebody who can still run; NULL: nobody. */
static struct env *survivor(void)
{
	unsigned first = below(info->envs.entries), i;
	struct env *env;

	for (i = 0; i < info->envs.entries; i++) {
		env = env_by_id(info_env[(first + i) % info->envs.entries].id);
		if (env && env_state(env) != EXO_ENV_ENDED && env_state(env) != EXO_ENV_MADE)
			return env;
	}
	return NULL;
}

/* Environment and handle of an entry that may be open. */
static void some_open_entry(uint64_t *opener, uint64_t *name)
{
	struct env *env = survivor();
	const struct exo_cap *table = env ? pfn_to_virt(env->cap_frame[0]) : NULL;
	unsigned slot = below(EXO_CAPS_PER_FRAME), i;

	if (!table)
		return;
	for (i = 0; i < EXO_CAPS_PER_FRAME && !(table[slot].type == EXO_TYPE_ENTRY && table[slot].bound); i++)
		slot = (slot + 1) % EXO_CAPS_PER_FRAME;
	*opener = env->id;
	*name = exo_cap_make(slot, table[slot].generation);
}

/* Random arguments are seldom all right at once: bring some nearer to it. */
static void help(unsigned nr, uint64_t a[6])
{
	switch (nr) {
	case EXO_CALL_cap_derive:
		a[4] = a[5] = 0;
		if (!below(8))
			a[0] = EXO_PEER + below(8);
		if (!below(8))
			a[1] = EXO_PEER;
		break;
	case EXO_CALL_entry_take:
		some_open_entry(&a[1], &a[2]);
		break;
	case EXO_CALL_cap_delete:
		a[0] = some_handle(EXO_TYPE_ENTRY);
		break;
	case EXO_CALL_frame_take:
		a[1] = EXO_PFN_ANY;
		a[2] = 1 + below(12);
		break;
	case EXO_CALL_space_table:
		a[2] = 1 + below(3);
		a[4] = below(4);
		break;
	case EXO_CALL_env_create:
		a[4] = below(3);
		a[5] = below(100) * 8;
		memset(here.current->arg + a[5], 0, sizeof(struct exo_env_params));
		break;
	case EXO_CALL_cap_split:
		a[0] = below(3) ? some_handle(EXO_TYPE_FRAME) : split_handle();
		a[1] = 0;
		a[4] = below(4);
		break;
	case EXO_CALL_split_give:
		a[0] = split_handle();
		a[1] = below(4);
		a[2] = 1 + below(2);
		break;
	case EXO_CALL_split_end:
		(void)call(EXO_CALL_cap_delete, split_handle(), 0, 0, 0, 0, 0);
		a[0] = split_handle();
		break;
	case EXO_CALL_env_destroy:
		a[0] = edge();
		break;
	case EXO_CALL_env_reclaim:
		a[0] = some_handle(EXO_TYPE_ACCOUNT);
		a[1] = below(12) || !survivor() ? edge() : survivor()->id;
		break;
	case EXO_CALL_slice_take:
		a[1] = 0;
		break;
	case EXO_CALL_port:
		a[1] = below(2) ? 0x2f8 : below(8);
		a[2] = 1;
		break;
	case EXO_CALL_interrupt:
		a[1] = below(6);
		break;
	case EXO_CALL_env_move:
		a[1] = below(4) ? below(3) : EXO_CPU_NONE;
		break;
	case EXO_CALL_account_share:
		a[2] = below(100) * 8;
		some_shares((struct exo_shares *)(here.current->arg + a[2]));
		break;
	case EXO_CALL_sleep:
		a[1] = here.current->disp->events;
		a[2] = below(8) ? 0 : a[2];
		break;
	case EXO_CALL_disk_bind:
		a[2] = below(3);
		break;
	case EXO_CALL_disk_reset:
		a[1] = below(4) ? EXO_DISK_STEP : EXO_DISK_GIVE_UP;
		break;
	case EXO_CALL_kick:
		a[1] = below(3);
		break;
	case EXO_CALL_call:
		a[1] = below(2) ? EXO_NEVER : null.now + SLICE;
		break;
	}
}

/* It may be called while it waits, and whom it calls may use its slots. */
static void open_up(struct exo_disp *disp)
{
	disp->reenter = below(4);
	disp->window_first = below(64);
	disp->window_count = below(32);
	disp->offer_first = below(16);
	disp->offer_count = below(32);
}

static void one_call(void)
{
	unsigned nr = draw_call(), i;
	const char *kinds = nr < EXO_CALL_COUNT && calls[nr].kinds ? calls[nr].kinds : "";
	uint64_t a[6];

	for (i = 0; i < 6; i++)
		a[i] = i < strlen(kinds) ? argument(kinds[i], type_of(calls[nr].names, i)) : argument('n', 0);
	if (below(4) == 0)
		scribble(here.current->arg);
	if (below(2000) == 0)
		memset(here.current->disp, (int)below(256), EXO_PAGE_SIZE);
	if (below(200) == 0)
		open_up(here.current->disp);
	if (below(3))
		help(nr, a);
	(void)call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (nr < EXO_CALL_COUNT && (null.left != NULL_RETURNED || null.result >= 0))
		done_well[nr]++;
}

/* --- a disk that moves no bytes --- */

static struct disk disk;
static uint64_t under_way;
static unsigned submitted;

static bool submit(struct disk *of, unsigned flight, const struct disk_transfer *transfer)
{
	(void)of;
	if (below(16) == 0)
		return false;
	if (under_way >> flight & 1 || transfer->block + transfer->blocks > disk.blocks)
		abort();
	under_way |= 1ULL << flight;
	submitted++;
	return true;
}

static void notify(struct disk *of)
{
	(void)of;
}

static bool stop(struct disk *of)
{
	(void)of;
	if (below(3) == 0)
		return false;
	under_way = 0;
	return true;
}

static int64_t begin(struct disk *of)
{
	(void)of;
	return below(3) ? 0 : below(3) ? ERR(AGAIN) : ERR(DEVICE);
}

static void find_disk(void)
{
	under_way = 0;
	disk = (struct disk){ .blocks = 100, .flags = EXO_DISK_CACHE | EXO_DISK_HAS_ZEROES, .submit = submit, .notify = notify,
		.stop = stop, .start = begin };
	(void)disk_add(&disk, "fake");
}

/* Somebody writes to a ring: mostly what it might mean. */
static void ring_scribble(struct disk_ring *ring)
{
	struct exo_disk_ring *page = ring->page;

	for (unsigned i = 0; i < 4; i++)
		page->request[(ring->taken + i) % EXO_DISK_SLOTS] = (struct exo_disk_request){
			.blocks = argument('c', EXO_TYPE_BLOCKS), .frames = argument('c', EXO_TYPE_FRAME), .block = below(8) ?
			below(100) : (uint32_t)random64(), .frame = below(4) ? below(3) : (uint32_t)random64(),
			.count = (uint16_t)(below(8) ? below(4) : random64()), .operation = (uint8_t)below(5),
			.flags = (uint8_t)(below(6) ? 0 : below(4)), .tag = (uint32_t)random64() };
	page->posted = below(8) ? ring->taken + below(5) : (uint32_t)random64();
}

static int64_t disk_step(void *arg)
{
	(void)arg;
	disks_lock();
	for (uint64_t left = disk.state->rings; left; left &= left - 1)
		if (below(2))
			ring_scribble(&disk.state->ring[__builtin_ctzll(left)]);
	for (unsigned i = 0; i < DISK_FLIGHTS; i++)
		if (under_way >> i & 1 && below(4) == 0) {
			under_way &= ~(1ULL << i);
			(void)disk_done(&disk, i, below(8) == 0);
		}
	unsigned idle = below(70);
	if (below(10) == 0 && (idle >= DISK_FLIGHTS || !(under_way >> idle & 1)))
		(void)disk_done(&disk, idle, true);
	(void)disk_settled(&disk);
	disks_unlock();
	return 0;
}

static void one_step(void)
{
	struct env *env;

	null.now += below(SLICE / 8);
	if (here.current && below(8) == 0)
		(void)null_enter(disk_step, NULL);
	if (here.current && null.now < null.timer && below(16)) {
		if (below(2000))
			one_call();
		else
			(void)exception_at(random64(), below(32), random64());
		return;
	}
	if (!here.current) {
		env = survivor();
		if (env)
			env_event(env, EXO_EVENT_RECEIVE);
		if (null.timer != EXO_NEVER && null.timer > null.now)
			null.now = null.timer;
	}
	(void)interrupt_at(here.current ? random64() : 0);
}

/* The first environment gives the others a bit of everything. */
static void cast(void)
{
	static const char *const names[] = { "env", "space", "account", "self", "info", "console", "module", "ports",
		"interrupts", "disk0", "blocks0" };
	struct child child;
	unsigned i, j;

	here.current->disp->call_entry = CHILD_CALL;
	for (i = 1; i < ACTORS; i++) {
		child = child_start();
		for (j = 0; j < COUNT_OF(names); j++)
			(void)CALL(cap_derive, named(names[j]), child.cap, 1 + j,
			    EXO_RIGHTS_ALL & cap_lookup(here.current, named(names[j]))->rights, 0, j == 3 ||
			    j == 4 || j >= 6 ? 4 : 0);
		(void)CALL(cap_derive, child.cap, child.cap, 20, EXO_RIGHT_READ | EXO_RIGHT_CONTROL, 0, 0);
		(void)CALL(cap_derive, child.space, child.cap, 21, EXO_RIGHT_WRITE, 0, 0);
	}
}

static const char *whole_check(void)
{
	const char *what = broken();

	return what ? what : world_check();
}

int main(void)
{
	unsigned round, i, made = 0, halts = 0, well = 0, there = 0;
	const char *what = NULL, *longer = getenv("EXO_TEST_LONG");
	unsigned rounds = longer && *longer ? 50 * ROUNDS : ROUNDS;

	for (round = 0; round < rounds && !what; round++) {
		machine_prepare();
		null_found = find_disk;
		(void)machine_start();
		srand(round + 1);
		cast();
		for (i = 0; i < OPERATIONS && !what && survivor(); i++) {
			one_step();
			made++;
			if (null.left == NULL_PANIC || null.left == NULL_STOP || null.left == NULL_HALT)
				what = "the kernel stopped";
			else
				what = i % CHECK_EACH ? broken() : whole_check();
			halts += null.left == NULL_IDLE;
		}
		if (!what)
			what = whole_check();
		if (what)
			printf("# round %u, step %u: %s\n", round, i, what);
	}
	ok(!what, "%u random calls and interrupts leave the kernel whole", made);
	ok(halts < made / 2 && made > ROUNDS * OPERATIONS / 4, "and mostly somebody runs (%u idle)", halts);
	for (i = 0; i < EXO_CALL_COUNT; i++) {
		there += calls[i].names != NULL;
		if (done_well[i])
			well++;
		else if (calls[i].names)
			printf("# never well: %s\n", calls[i].names);
	}
	ok(submitted > rounds, "%u requests went to a disk", submitted);
	/* No network, so no flows; nobody halts; demands, programs and volumes need more than chance: demand_test, code_test,
	 * registry_test. */
	ok(well >= there - 16, "%u of %u calls were also made with success", well, there);
	return done();
}
