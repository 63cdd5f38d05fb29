/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libos/disk/ring.c against a kernel that is played here: it takes as many requests as it likes, ends them in any
 * order, fails some, loses the ring, and falls silent until it is reset, or for good. Random requests, of all shapes
 * and many at once; what each block holds and what is stable is known from a model; memory is such that runs of frames
 * have any length.
 */
#include <stdlib.h>
#include "libos/core/space.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "libos/vm/vm.h"
#include "test/unit/tap.h"

static int64_t fake_kick(exo_cap_t disk), fake_bind(exo_cap_t disk, exo_cap_t frames, uint64_t first);
static int64_t fake_reset(exo_cap_t disk, uint64_t how);
static struct exo_info fake_info;
#define exo_disk_kick	fake_kick
#define exo_disk_bind	fake_bind
#define exo_disk_reset	fake_reset
#undef core_info
#define core_info	(&fake_info)
#include "libos/disk/ring.c"
#include "libos/disk/silent.c"

#define BLOCKS	2048
#define PAGES	512
#define CLIENTS	150
#define UNKNOWN	UINT32_MAX

static _Alignas(4096) struct exo_disk_ring page;
static _Alignas(4096) char memory[PAGES][BLOCK_BYTES];
static uint32_t frame_of[PAGES];	/* page -> capability * 1000 + frame */
static uint32_t on_disk[BLOCKS], stable[BLOCKS];
static struct thread_poller *poller;
static unsigned fail_chance, wrong, lose_at, kicks;
static bool lost_now;
static exo_time_t now;
static enum { OBEYS, DEAF, BROKEN, FORBIDDEN } mood;	/* what a reset does */
static unsigned silence;		/* it falls silent in one of so many steps */
static bool silent, given_up;
static unsigned late;			/* so often the deadline passes before anything ends */
static unsigned silences, resets, steps;

static unsigned below(unsigned n)
{
	return (unsigned)rand() / 7 % n;
}

/* --- what ring.c needs of core --------------------------------------------------------------------------- */

static struct exo_cap caps[4] = {
	{ 0 }, { .type = EXO_TYPE_DISK, .count = 64 },
	{ .type = EXO_TYPE_BLOCKS, .rights = EXO_RIGHT_READ | EXO_RIGHT_WRITE, .count = BLOCKS },
};

const struct exo_cap *caps_at(uint32_t slot) { return slot < 4 ? &caps[slot] : NULL; }
int64_t caps_derive(exo_cap_t source, uint64_t rights, uint64_t first, uint64_t count)
{
	(void)rights, (void)first, (void)count;
	return (int64_t)source;
}
int64_t caps_delete(exo_cap_t cap) { return cap ? 0 : -1; }
exo_cap_t core_named(const char *name) { return !strcmp(name, "disk0") ? 1 : !strcmp(name, "all") ? 2 : EXO_CAP_NONE; }
size_t core_format(char *buffer, size_t size, const char *format, ...)
{
	(void)format;
	return (size_t)snprintf(buffer, size, "disk0");
}
exo_time_t core_now(void) { return now; }
void thread_sleep(exo_time_t until) { now = until; }
exo_vaddr_t vm_addresses(uint64_t bytes)
{
	static _Alignas(4096) char pool[16 * 4096];

	return bytes == sizeof(page) || bytes == EXO_PAGE_SIZE ? (exo_vaddr_t)&page : bytes <= sizeof(pool) ? (exo_vaddr_t)pool : 0;
}
bool vm_add(struct vm_region *region) { return region->start != 0; }
bool vm_touch(exo_vaddr_t va, uint64_t bytes) { (void)va, (void)bytes; return true; }
const char *vm_zero_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	(void)region, (void)va, (void)access, (void)present;
	return NULL;
}
bool frame_alloc(struct frame *frame) { memset(frame, 0, sizeof(*frame)); return true; }
void frame_free(exo_pfn_t pfn) { (void)pfn; }
int64_t space_map(exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t pages)
{
	(void)va, (void)flags, (void)cap, (void)first, (void)pages;
	return 0;
}
void thread_add_poller(struct thread_poller *added) { poller = added; }
void thread_wake_all(struct thread_queue *queue) { queue->head = NULL; }
void *disk_memory(uint32_t pages) { (void)pages; return NULL; }
void disk_memory_free(void *at, uint32_t pages) { (void)at, (void)pages; }

bool disk_frame(const void *at, exo_cap_t *cap, uint32_t *first, uint32_t *run, uint32_t most)
{
	size_t number = (size_t)((const char *)at - memory[0]) / BLOCK_BYTES;

	if (number >= PAGES)
		return false;
	*cap = frame_of[number] / 1000;
	*first = frame_of[number] % 1000;
	for (*run = 1; *run < most && number + *run < PAGES && frame_of[number + *run] == frame_of[number] + *run; ++*run)
		;
	return true;
}

/* --- the kernel ------------------------------------------------------------------------------------------ */

static struct flight {
	struct exo_disk_request part[EXO_DISK_PARTS_MAX];
	unsigned parts, blocks;
	uint32_t seen[BLOCKS];		/* FLUSH: what was done when it was taken */
} flight[EXO_DISK_SLOTS];
static unsigned flights;

static uint32_t *word(const struct exo_disk_request *part, uint32_t i)
{
	for (unsigned n = 0; n < PAGES; n++)
		if (frame_of[n] == part->frames * 1000 + part->frame + i)
			return (uint32_t *)memory[n];
	wrong++;
	return (uint32_t *)memory[0];
}

static void take(void)
{
	struct flight *f = &flight[flights++];
	bool more;

	f->parts = f->blocks = 0;
	do {
		if (page.taken == page.posted || f->parts == EXO_DISK_PARTS_MAX) {
			wrong++;	/* a request without an end */
			break;
		}
		f->part[f->parts] = page.request[page.taken++ % EXO_DISK_SLOTS];
		f->blocks += f->part[f->parts].count;
		more = f->part[f->parts++].flags & EXO_DISK_MORE;
	} while (more);
	wrong += f->blocks > EXO_DISK_BLOCKS_MAX || (f->blocks == 0) != (f->part[0].operation == EXO_DISK_FLUSH);
	wrong += f->part[0].flags & EXO_DISK_FUA && !(fake_info.device[0].flags & EXO_DISK_HAS_FUA);
	memcpy(f->seen, on_disk, sizeof(on_disk));
}

static int64_t fake_kick(exo_cap_t cap)
{
	unsigned taken = 0, most = below(20);

	wrong += cap != 1 || page.posted - page.taken > EXO_DISK_SLOTS;
	lost_now |= lose_at && ++kicks >= lose_at;
	if (given_up)
		return -EXO_EDEVICE;
	if (lost_now)
		return -EXO_ESTATE;
	while (page.taken != page.posted && flights < EXO_DISK_SLOTS && taken < most && taken < EXO_DISK_KICK_MAX) {
		take();
		taken++;
	}
	return taken;
}

static int64_t fake_bind(exo_cap_t cap, exo_cap_t frames, uint64_t first)
{
	(void)cap, (void)frames, (void)first;
	memset(&page, 0, sizeof(page));
	flights = 0;
	return 0;
}

static void perform(const struct flight *f)
{
	const struct exo_disk_request *first = &f->part[0];
	bool cached = fake_info.device[0].flags & EXO_DISK_CACHE;
	uint32_t block = first->block;

	for (unsigned i = 0; i < f->parts; i++)
		for (uint32_t j = 0; j < f->part[i].count; j++, block++) {
			if (block >= BLOCKS) {
				wrong++;
				return;
			}
			if (first->operation == EXO_DISK_READ)
				*word(&f->part[i], j) = on_disk[block];
			else
				on_disk[block] = first->operation == EXO_DISK_WRITE ? *word(&f->part[i], j) : 0;
			if (first->operation != EXO_DISK_READ && (!cached || first->flags & EXO_DISK_FUA))
				stable[block] = on_disk[block];
		}
	for (uint32_t i = 0; first->operation == EXO_DISK_FLUSH && i < BLOCKS; i++)
		if (f->seen[i] == on_disk[i])
			stable[i] = on_disk[i];
}

static void complete(unsigned n, int32_t result)
{
	page.completion[page.done % EXO_DISK_SLOTS] = (struct exo_disk_done){ flight[n].part[0].tag, result };
	page.done++;
	wrong += page.done - disks[0].done > EXO_DISK_SLOTS;
	flight[n] = flight[--flights];
}

/* A step of it: in the end all that it had has failed, or is told to have. */
static int64_t fake_reset(exo_cap_t cap, uint64_t how)
{
	wrong += cap != 1 || (!silent && mood != FORBIDDEN);
	if (mood == FORBIDDEN)
		return -EXO_ERANGE;
	if (how == EXO_DISK_GIVE_UP) {
		given_up = lost_now = true;
		return 0;
	}
	if (++steps % 100 || mood == DEAF)
		return -EXO_EAGAIN;
	while (flights)
		complete(below(flights), -EXO_EDEVICE);
	if (mood == BROKEN)
		return -EXO_EDEVICE;
	silent = false;
	resets++;
	return 0;
}

/* One request ends, whichever; then others may be taken, without a call. */
static void end_one(void)
{
	unsigned n = below(flights);
	bool failed = fail_chance && below(fail_chance) == 0;

	if (!failed)
		perform(&flight[n]);
	complete(n, failed ? -EXO_EDEVICE : 0);
	while (page.taken != page.posted && flights < EXO_DISK_SLOTS && below(2))
		take();
}

/* Waiting: something happens meanwhile, or nothing, and the deadline passes. */
bool thread_wait(struct thread_queue *queue, exo_time_t deadline)
{
	/* A disk that nobody here can reset is heard of again one day. */
	if (mood == FORBIDDEN && now > 1000 * CORE_SECOND && below(50) == 0)
		silent = false;
	if (late && late--) {
		queue->head = NULL;
		return false;
	}
	for (unsigned i = below(4); i && flights && !lost_now && !silent; i--)
		end_one();
	if (silent && deadline > now && !below(3)) {
		now = deadline;
		queue->head = NULL;
		return false;
	}
	poller->poll(poller->arg);
	queue->head = NULL;
	return below(2);
}

/* --- the application ------------------------------------------------------------------------------------- */

static struct client {
	struct block_request request;
	uint32_t first_page;
	bool ended;
} client[CLIENTS];
static uint32_t expected[BLOCKS], version;
static bool busy[BLOCKS], page_busy[PAGES];
static unsigned results[3], callbacks;
static struct block_device *device;

static bool free_run(const bool *table, unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (table[first + i])
			return false;
	return true;
}

static void ended(struct block_request *request)
{
	struct client *c = (struct client *)request;

	callbacks++;
	c->ended = true;
}

static bool begin(struct client *c)
{
	static const uint8_t operations[] = { BLOCK_READ, BLOCK_READ, BLOCK_WRITE, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZEROES };
	struct block_request *r = &c->request;
	unsigned count = 1 + below(below(3) ? 8 : 64), at = 0;

	*r = (struct block_request){ .operation = operations[below(7)], .ended = ended };
	if (r->operation == BLOCK_FLUSH)
		count = 0;
	else if (r->operation > BLOCK_FLUSH)
		count = 1 + below(300);
	r->block = below(BLOCKS - count);
	r->count = count;
	c->first_page = below(PAGES - (count < 64 ? count : 64));
	bool data = r->operation <= BLOCK_WRITE;
	if (!free_run(busy, r->block, count) || (data && !free_run(page_busy, c->first_page, count)))
		return false;
	while (data && at < count) {
		unsigned left = count - at, part = r->parts == BLOCK_PARTS_MAX - 1 ? left : 1 + below(left);
		r->part[r->parts].memory = memory[c->first_page + at];
		r->part[r->parts++].blocks = part;
		at += part;
	}
	for (unsigned i = 0; i < count; i++) {
		busy[r->block + i] = true;
		if (data)
			page_busy[c->first_page + i] = true;
		if (data)
			*(uint32_t *)memory[c->first_page + i] = r->operation == BLOCK_WRITE ? ++version : UNKNOWN - 1;
	}
	r->flags = r->operation == BLOCK_WRITE && below(3) == 0 ? BLOCK_FUA : 0;
	c->ended = false;
	block_submit(device, r);
	return true;
}

static void finish(struct client *c)
{
	struct block_request *r = &c->request;
	int result = block_wait(device, r);
	bool data = r->operation <= BLOCK_WRITE;

	wrong += !c->ended || r->pending;
	results[result == 0 ? 0 : result == -EIO ? 1 : 2]++;
	wrong += result && result != -EIO && !(result == -ENXIO && lost_now) && !(result == -EOPNOTSUPP && r->operation == BLOCK_ZEROES);
	for (unsigned i = 0; i < r->count; i++) {
		uint32_t block = r->block + i, *have = data ? (uint32_t *)memory[c->first_page + i] : NULL;
		if (r->operation == BLOCK_READ && !result && expected[block] != UNKNOWN)
			wrong += *have != expected[block];
		if (r->operation == BLOCK_WRITE)
			expected[block] = result ? UNKNOWN : *have;
		if (r->operation >= BLOCK_DISCARD && result != -EOPNOTSUPP)
			expected[block] = !result && r->operation == BLOCK_ZEROES ? 0 : UNKNOWN;
		if (!result && r->flags & BLOCK_FUA)
			wrong += stable[block] != *have;
		busy[block] = false;
		if (data)
			page_busy[c->first_page + i] = false;
	}
}

static void run(uint32_t flags, unsigned failing, unsigned lose, const char *name)
{
	bool used[CLIENTS] = { false };

	wrong = callbacks = kicks = silences = resets = steps = 0;
	lost_now = silent = given_up = false;
	now = 0;
	memset(results, 0, sizeof(results));
	for (unsigned i = 0; i < BLOCKS; i++)
		on_disk[i] = expected[i] = stable[i] = 0;
	for (unsigned i = 0, n = 1000; i < PAGES; i++, n += below(3) ? 1 : 1000 - n % 1000 + below(2))
		frame_of[i] = n;
	fake_info.device[0] = (struct exo_device_info){ .kind = 2, .flags = flags };
	fail_chance = failing;
	lose_at = lose;
	if (!ok(!disk_extent_open("all", &device), "%s: opened", name))
		return;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = below(CLIENTS);
		if (!used[i])
			used[i] = begin(&client[i]);
		else if (below(3) == 0)
			finish(&client[i]), used[i] = false;
		if (silence && !silent && flights && below(silence) == 0) {
			silent = true;
			silences++;
		}
		if (flights && !lost_now && !silent && below(3) == 0)
			end_one();
		if (below(5) == 0)
			device->ops->poll(device);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		if (used[i])
			finish(&client[i]);
	for (unsigned i = 0; !failing && !lose && i < BLOCKS; i++)
		wrong += expected[i] != UNKNOWN && expected[i] != on_disk[i];
	ok(!wrong && callbacks == results[0] + results[1] + results[2] && (!failing || lose || results[1]) && (!lose || results[2]),
	   "%s: %u done, %u failed, %u refused or lost; %u wrong", name, results[0], results[1], results[2], wrong);
	ok(!disks[0].unsent && !disks[0].line && !disks[0].over && disks[0].free == UINT64_MAX, "%s: nothing is left", name);
	device->ops->close(device);
	ok(!disks[0].ring, "%s: closed", name);
}

/* One that is opened late, or not used for long, has not been silent: who waits then looks at once. */
static void test_idle(void)
{
	struct block_request one;
	unsigned failed = 0;

	steps = wrong = 0;
	now = 1000 * CORE_SECOND;
	if (!ok(!disk_extent_open("all", &device), "opened late"))
		return;
	for (unsigned i = 0; i < 500; i++, now += below(3) * DISK_PATIENCE) {
		late = i ? below(4) : 1;
		one = (struct block_request){ .operation = BLOCK_READ, .block = i, .count = 1, .parts = 1,
			.part = { { .memory = memory[0], .blocks = 1 } } };
		device->ops->submit(device, &one);
		device->ops->wait(device, &one);
		failed += one.result != 0;
	}
	ok(!failed && !wrong && !steps, "and used now and then, it is not reset: %u failed, %u steps", failed, steps);
	device->ops->close(device);
}

int main(void)
{
	srand(7);
	run(0, 0, 0, "no cache");
	run(EXO_DISK_CACHE | EXO_DISK_HAS_DISCARD, 0, 0, "a cache");
	run(EXO_DISK_CACHE | EXO_DISK_HAS_FUA | EXO_DISK_HAS_ZEROES, 0, 0, "forced writes");
	run(EXO_DISK_CACHE | EXO_DISK_HAS_ZEROES | EXO_DISK_HAS_DISCARD, 20, 0, "failures");
	for (unsigned lose = 1; lose < 2000; lose = lose * 3 + 1)
		run(EXO_DISK_CACHE | EXO_DISK_HAS_ZEROES, 50, lose, "a lost ring");
	fail_chance = lose_at = 0;
	lost_now = false;
	test_idle();
	silence = 50;
	run(EXO_DISK_CACHE | EXO_DISK_HAS_ZEROES, 1 << 30, 0, "a disk that falls silent");
	ok(silences > 20 && resets + silent == silences && now >= (silences - 1) * DISK_PATIENCE && now < silences * 2 * DISK_PATIENCE,
	   "it was reset each time, and not too early: %u silences, %u resets", silences, resets);
	mood = FORBIDDEN;
	run(EXO_DISK_CACHE | EXO_DISK_HAS_ZEROES, 0, 0, "one that somebody else must reset");
	ok(silences > 1 && !resets, "waited for");
	mood = DEAF;
	run(EXO_DISK_CACHE | EXO_DISK_HAS_ZEROES, 1 << 30, 0, "one that does not stop");
	ok(given_up && !resets && now > DISK_PATIENCE * 2 && now < DISK_PATIENCE * 3, "is given up");
	mood = BROKEN;
	run(EXO_DISK_CACHE | EXO_DISK_HAS_ZEROES, 1 << 30, 0, "one that does not start again");
	ok(given_up && !resets, "is given up");
	/* Whoever opens it later tries once more. */
	mood = OBEYS;
	given_up = lost_now = false;
	silent = true;
	fake_info.device[0].flags = EXO_DISK_DEAD;
	ok(!disk_extent_open("all", &device) && resets == 1, "opened, it is tried again");
	disk_patience(device, CORE_SECOND);
	is_int((long long)disks[0].patience, CORE_SECOND, "with another patience");
	device->ops->close(device);
	return done();
}
