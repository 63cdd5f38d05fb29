/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS event in the machine: protothreads and timers by the real clock, sleep that costs no CPU time, memory, files of the
 * boot archive, and how many frames all of it takes.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "libos/event/event.h"
#include "test/guest/tap.h"

EVENT_MEMORY(3, 2, 16);

#define TICKS	10

static unsigned ticks, early;
static uint64_t began;
static double sum;	/* floating point lives over a sleep */

static enum pt_state ticker(struct pt *pt)
{
	PT_BEGIN(pt);
	for (ticks = 0; ticks < TICKS; ticks++) {
		began = conn_now();
		PT_SLEEP(pt, 20);
		early += conn_now() < began + 20;
		sum += 0.5;
	}
	conn_stop(3);
	PT_END(pt);
}

static unsigned yields;

static enum pt_state yielder(struct pt *pt)
{
	PT_BEGIN(pt);
	for (yields = 0; yields < 100; yields++)
		PT_YIELD(pt);
	PT_END(pt);
}

static void sleeping(void)
{
	static struct pt one, two;
	const struct exo_env_info *self = event_self();
	int stopped;
	uint64_t entries, turns = conn_counts.turns, begin = core_now();

	ok(self && self->id == core_disp->self, "it sees itself");
	entries = self->entries;
	pt_start(&one, ticker);
	pt_start(&two, yielder);
	stopped = conn_run();
	ok(stopped == 3 && ticks == TICKS && !early, "%u sleeps, %u too short", ticks, early);
	ok(core_now() - begin >= TICKS * 20000000ull, "by the clock, too");
	ok(yields == 100 && sum == TICKS * 0.5, "another ran beside it");
	ok(conn_counts.turns - turns < 160, "%lu turns of the loop", conn_counts.turns - turns);
	ok(self->entries - entries < 200, "%lu kernel entries", self->entries - entries);
}

static void memory(void)
{
	uint32_t free_then = event_heap.free;
	char *one = malloc(1000), *two = malloc(20000), *three;

	ok(one && two && malloc_usable_size(one) >= 1000, "memory");
	memset(one, 7, 1000);
	three = realloc(one, 3000);
	ok(three && three[999] == 7, "more of it, and what was there");
	ok(!malloc(1 << 20), "not more than there is");
	free(three);
	free(two);
	ok(event_heap.free == free_then, "all of it comes back");
}

static void files(void)
{
	struct stat st;
	char magic[4];
	int fd = open("/bin/event.event", O_RDONLY);

	ok(fd >= 3 && read(fd, magic, 4) == 4 && !memcmp(magic, "\177ELF", 4), "a file of the archive: this program");
	ok(!fstat(fd, &st) && st.st_size > 10000 && S_ISREG(st.st_mode), "its size");
	ok(lseek(fd, 0, SEEK_END) == st.st_size && read(fd, magic, 4) == 0, "its end");
	ok(!close(fd) && close(fd) < 0, "closed, once");
	ok(open("/bin/event.event", O_RDWR) < 0 && open("/none", O_RDONLY) < 0, "nothing is written, nothing is made up");
	ok(!stat("/bin", &st) && S_ISDIR(st.st_mode), "a directory");
}

int main(void)
{
	const struct exo_env_info *self;

	sleeping();
	memory();
	files();
	self = event_self();
	ok(self && self->frames <= 3 + 16, "%u frames of its own", self ? self->frames : 0);
	return tap_done();
}
