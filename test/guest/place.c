/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where programs lie: the same image put at random and at its fixed place, its pointers, what is
 * read-only once it is relocated. Starts copies of itself: `place child` checks its pointers and ends
 * with CHILD_STATUS.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "libos/core/space.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "tap.h"

#define IMAGE		"/bin/place.uni"
#define CHILD_STATUS	42
#define STARTS		64
#define FRAMES		1024
#define LARGE_STARTS	16
#define LARGE_BYTES	(600ULL << 20)
#define LARGE_FRAMES	4096

static int variable = 7;
static __thread int own = 5;

static int one(void)
{
	return 1;
}

static int two(void)
{
	return 2;
}

static int *const constant = &variable;
static int (*const functions[])(void) = { one, two };
static struct {
	const char *name;
	int *value;
	int (*function)(void);
} table[] = { { "first", &variable, one }, { "second", &variable, two } };

static bool inside(const void *p)
{
	return (uint64_t)p >= core_begin->image && (uint64_t)p - core_begin->image < core_begin->image_bytes;
}

/* Pointers of each kind lead to where this image lies. */
static bool pointers(void)
{
	int (*const volatile *at)(void) = functions;
	int *const volatile *to = &constant;

	return at[0]() == 1 && at[1]() == 2 && **to == 7 && *table[1].value == 7 && table[0].function() == 1 &&
		!strcmp(table[1].name, "second") && own == 5 && inside(*to) && inside(table[0].name) &&
		inside(at[1]) && inside(&at) == false;
}

/* --- what is not writable ------------------------------------------------------------------------------- */

extern const char place_after[];

static CORE_UPCALL bool skip(struct exo_regs *regs)
{
	regs->rip = (uint64_t)place_after;
	regs->rax = 0;
	return true;
}

/* Whether a store of what is there already succeeds. */
static __attribute__((noinline)) bool writable(const void *p)
{
	uint64_t done = 1;

	__asm__ volatile("movb (%1), %%cl\n\tmovb %%cl, (%1)\n\t.globl place_after\nplace_after:"
			 : "+a"(done) : "r"(p) : "rcx", "memory");
	return done;
}

static void rights(void)
{
	core_exception_fn before = core_exception(14, skip);

	ok(!writable((const void *)(uint64_t)one), "text is not writable");
	ok(!writable("constant"), "constants are not writable");
	ok(!writable(&constant) && !writable(functions), "nor are constants that were relocated");
	ok(writable(table) && writable(&variable), "data is");
	core_exception(14, before);
	/* Both lie in frames that all programs of the machine share. */
	const unsigned rw = EXO_MAP_READ | EXO_MAP_WRITE;
	ok(space_protect(PAGE_DOWN((uint64_t)one), rw, 1) < 0, "text cannot be made writable");
	ok(space_protect(core_begin->archive, rw, 1) < 0, "nor can the archive");
}

/* --- starts --------------------------------------------------------------------------------------------- */

static const struct spawn_grant grants[] = {
	{ EXO_NAME_CONSOLE, EXO_CAP_NONE, EXO_RIGHT_WRITE, 0, 0 },
};
static struct spawn child;

static void describe(bool randomize)
{
	static const char *const argv[] = { "place", "child" };
	static struct spawn_grant grant;
	static struct stat status;
	static void *image;

	if (!image) {
		int file = open(IMAGE, O_RDONLY);
		if (file >= 0 && fstat(file, &status) == 0)
			image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	}
	grant = grants[0];
	grant.source = core_named(EXO_NAME_CONSOLE);
	child = (struct spawn){ .name = "child", .image = image, .image_bytes = (size_t)status.st_size,
		.argc = 2, .argv = argv, .account = core_named(EXO_NAME_ACCOUNT), .limit_frames = FRAMES,
		.randomize = randomize, .grant = &grant, .grants = 1 };
}

/* Run it to its end; its status, or -1. */
static int64_t run(bool randomize)
{
	const struct exo_env_info *info;

	describe(randomize);
	if (spawn_make(&child)) {
		core_print("# %s\n", child.error);
		return -1;
	}
	info = info_env((uint32_t)child.id);
	if (!info || spawn_start(&child) < 0)
		return -1;
	while (info->state != EXO_ENV_ENDED)
		core_sleep(core_now() + CORE_SECOND / 100, core_disp->events);
	int64_t status = info->cause == EXO_CAUSE_EXIT ? (int64_t)info->status : -(int64_t)info->cause;
	spawn_destroy(&child);
	return status;
}

static unsigned bits(uint64_t set)
{
	unsigned count = 0;

	for (; set; set &= set - 1)
		count++;
	return count;
}

static void spread(void)
{
	static exo_vaddr_t start[STARTS], heap[STARTS];
	uint64_t start_bits = 0, gap_bits = 0;
	unsigned twins = 0, good = 0, most = 0;
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; i < STARTS; i++) {
		describe(true);
		if (spawn_make(&child))
			core_print("# %s\n", child.error);
		start[i] = child.start;
		heap[i] = child.heap;
		good += child.start && !(child.start % EXO_PAGE_SIZE) && !(child.heap % EXO_PAGE_SIZE) &&
			child.start >= 1ULL << 39 && child.start < 1ULL << 46 && child.heap > child.start;
		unsigned frames = frame_bag_count(&child.bag);
		most = frames > most ? frames : most;
		least = frames < least ? frames : least;
		spawn_destroy(&child);
		start_bits |= start[i] ^ start[0];
		gap_bits |= (heap[i] - start[i]) ^ (heap[0] - start[0]);
		for (unsigned j = 0; j < i; j++)
			twins += start[i] == start[j] || heap[i] == heap[j];
	}
	ok(good == STARTS, "%d starts at random, all between 512 GiB and 64 TiB", STARTS);
	ok(!twins, "no two of them at the same place (%u)", twins);
	ok(least == most, "all with the same number of frames (%u, %u)", least, most);
	ok(bits(start_bits) >= 28, "%u bits of the image's address vary", bits(start_bits));
	ok(bits(gap_bits) >= 16, "%u bits of the heap's distance from it vary", bits(gap_bits));
}

/* With an archive (that is not there) of more than half of what a table of tables maps, too. */
static void whole(void)
{
	unsigned across = 0;

	for (unsigned i = 0; i < LARGE_STARTS; i++) {
		describe(true);
		child.limit_frames = LARGE_FRAMES;
		child.archive_bytes = LARGE_BYTES;
		child.start = 0;
		if (!spawn_make(&child))
			spawn_destroy(&child);
		across += !child.start || child.start >> 30 != (child.archive + LARGE_BYTES - 1) >> 30;
	}
	ok(!across, "none of %d with a large archive lies across a boundary of 1 GiB (%u)", LARGE_STARTS, across);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child"))
		return pointers() ? CHILD_STATUS : 1;
	ok(pointers(), "pointers of all kinds");
	rights();
	describe(false);
	if (!ok(child.image && child.image != MAP_FAILED, "own image in the archive"))
		return tap_done();
	uint32_t frames = frame_held();
	spread();
	whole();
	int64_t status = run(true);
	ok(status == CHILD_STATUS && child.start != EXO_VA_IMAGE, "one at random: its pointers are right (%ld)",
	   (long)status);
	status = run(false);
	ok(status == CHILD_STATUS && child.start == EXO_VA_IMAGE, "one at the fixed address: likewise (%ld)",
	   (long)status);
	ok(frame_held() <= frames + 8, "no frame is lost (%u, %u)", frames, frame_held());
	return tap_done();
}
