/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters and timers that are descriptors (libos/keep/eventfd.c), and those of signals: random operations of several processes
 * that share them, against a naive model, in a time that the test makes pass. Nobody who was told to wait sleeps on when
 * there is something for him, and the keeper never wants to be woken for what nobody waits for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include "libos/core/core.h"
#include "libos/keep/files.h"
#include "test/unit/keep_table.h"
#include "test/unit/tap.h"

#define PROCESSES	4
#define COUNTERS	4
#define TIMERS		4
#define FDS		(COUNTERS + TIMERS)
#define OPERATIONS	300000
#define WALL		(1000 * CORE_SECOND)
#define FULL		(UINT64_MAX - 1)

static uint64_t counts[COUNTERS];
static struct { uint64_t due, interval; } timers[TIMERS];
static struct { int fd; bool writes; uint64_t wakes, value; } sleeps[PROCESSES];	/* fd -1: it does not */
static exo_time_t now = CORE_SECOND;
static struct thread_poller *poller;
static uint64_t seed = 3;
static int bad, lost, waited, read_once;

exo_time_t core_now(void)
{
	return now;
}

const volatile int64_t *core_wall_offset;

uint64_t core_wall(void)
{
	return now + WALL;
}

void keep_again(void)
{
}

void thread_add_poller(struct thread_poller *new)
{
	poller = new;
}

static uint64_t draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 20) % below;
}

static void same(const char *what, int64_t got, int64_t wanted)
{
	if (got != wanted && bad++ < 10)
		printf("# %s: %lld, not %lld\n", what, (long long)got, (long long)wanted);
}

static bool semaphore(int fd)
{
	return fd & 1;
}

static bool ready(int fd, bool writes, uint64_t value)
{
	if (fd >= COUNTERS)
		return timers[fd - COUNTERS].due && timers[fd - COUNTERS].due <= now;
	return writes ? value <= FULL - counts[fd] : counts[fd] != 0;
}

/* Who waits and could go on has been poked. */
static void look_after(void)
{
	for (int p = 0; p < PROCESSES; p++)
		if (sleeps[p].fd >= 0 && ready(sleeps[p].fd, sleeps[p].writes, sleeps[p].value)) {
			lost += keep_process[p].page->wakes == sleeps[p].wakes;
			sleeps[p].fd = -1;
		}
}

static int64_t ask(int p, enum wire_request number, int fd, bool writes, uint64_t value)
{
	int64_t result = fake_ask(&keep_process[p], number, (uint64_t)fd, 8, (uint64_t)-1, NULL);

	sleeps[p].fd = -1;
	if (result == WIRE_WAIT) {
		sleeps[p].fd = fd;
		sleeps[p].writes = writes;
		sleeps[p].value = value;
		sleeps[p].wakes = keep_process[p].page->wakes;
		waited++;
	}
	return result;
}

static void reading(int p)
{
	int fd = (int)draw(FDS);
	bool there = ready(fd, false, 0);
	uint64_t wanted = 1, got;

	same("a read", ask(p, REQUEST_READ, fd, false, 0), there ? 8 : WIRE_WAIT);
	if (!there)
		return;
	read_once++;
	memcpy(&got, keep_process[p].buffer, sizeof(got));
	if (fd < COUNTERS) {
		wanted = semaphore(fd) ? 1 : counts[fd];
		counts[fd] -= wanted;
	} else if (timers[fd - COUNTERS].interval) {
		wanted += (now - timers[fd - COUNTERS].due) / timers[fd - COUNTERS].interval;
		timers[fd - COUNTERS].due += wanted * timers[fd - COUNTERS].interval;
	} else {
		timers[fd - COUNTERS].due = 0;
	}
	same("what was read", (int64_t)got, (int64_t)wanted);
}

static void writing(int p)
{
	int fd = (int)draw(COUNTERS);
	uint64_t value = draw(8) ? draw(5) : draw(2) ? FULL - draw(9) : UINT64_MAX;
	int64_t wanted = value > FULL ? -EINVAL : value > FULL - counts[fd] ? WIRE_WAIT : 8;

	memcpy(keep_process[p].buffer, &value, sizeof(value));
	same("a write", ask(p, REQUEST_WRITE, fd, true, value), wanted);
	if (wanted == 8)
		counts[fd] += value;
}

static void setting(int p)
{
	int timer = (int)draw(TIMERS);
	uint64_t value = draw(4) ? draw(20000000) : 0, interval = draw(2) ? draw(5000000) : 0, how = WIRE_TIMER_SET, more[2], left;

	left = !timers[timer].due ? 0 : timers[timer].due > now ? timers[timer].due - now : timers[timer].interval ?
		timers[timer].interval - (now - timers[timer].due) % timers[timer].interval : 0;
	if (draw(2)) {
		how |= WIRE_TIMER_UNTIL;
		value += value ? now - (draw(2) ? 5000000 : 0) + (timer & 1 ? WALL : 0) : 0;
	}
	same("a setting", fake_ask(&keep_process[p], REQUEST_TIMERFD_SET, (uint64_t)(COUNTERS + timer) | how << 32, value, interval,
				   more), 0);
	same("what was left", (int64_t)more[0], (int64_t)left);
	same("the interval", (int64_t)more[1], (int64_t)timers[timer].interval);
	timers[timer].interval = interval;
	if (!value)
		timers[timer].due = 0;
	else if (!(how & WIRE_TIMER_UNTIL))
		timers[timer].due = now + value;
	else if (timer & 1)
		timers[timer].due = value > now + WALL ? value - WALL : now;
	else
		timers[timer].due = value;
	for (int i = 0; i < PROCESSES; i++)	/* who waited was told to ask again */
		if (sleeps[i].fd == COUNTERS + timer) {
			lost += keep_process[i].page->wakes == sleeps[i].wakes;
			sleeps[i].fd = -1;
		}
}

static void polling(int p)
{
	int fd = (int)draw(FDS);
	struct pollfd one = { .fd = fd, .events = POLLIN | POLLOUT };
	short wanted = (short)((ready(fd, false, 0) ? POLLIN : 0) | (fd < COUNTERS && counts[fd] < FULL ? POLLOUT : 0));
	int64_t result;

	memcpy(keep_process[p].buffer, &one, sizeof(one));
	result = fake_ask(&keep_process[p], REQUEST_POLL, 1, 0, 0, NULL);
	memcpy(&one, keep_process[p].buffer, sizeof(one));
	same("poll", result, wanted ? 1 : WIRE_WAIT);
	same("events", one.revents, wanted);
	sleeps[p].fd = -1;
	if (!wanted) {
		sleeps[p].fd = fd;
		sleeps[p].writes = false;
		sleeps[p].wakes = keep_process[p].page->wakes;
	}
}

/* Time passes; the keeper's idle loop looks when it said that it would. */
static void passing(int p)
{
	exo_time_t end = now + draw(3000000), next = poller->poll(poller->arg);

	(void)p;
	while (next <= end) {
		now = next > now ? next : now + 1;
		next = poller->poll(poller->arg);
	}
	now = end > now ? end : now;
	(void)poller->poll(poller->arg);
}

static void signals(void)
{
	struct keep_process *process = &keep_process[0];
	uint64_t more[2], set = 1ull << 9 | 1ull << 11;
	int64_t fd = fake_ask(process, REQUEST_SIGNALFD, UINT32_MAX, set, O_NONBLOCK, NULL);
	struct pollfd one = { .fd = (int)fd, .events = POLLIN };

	memcpy(process->buffer, &one, sizeof(one));
	ok(fd >= 0 && process->signalfds && fake_ask(process, REQUEST_POLL, 1, 0, 0, NULL) == WIRE_WAIT, "a set of signals");
	process->page->pending = 1ull << 9;
	ok(fake_ask(process, REQUEST_POLL, 1, 0, 0, NULL) == 1 &&
	   fake_ask(process, REQUEST_READ, (uint64_t)fd, 128, (uint64_t)-1, more) == WIRE_TAKE && more[0] == set,
	   "ready, and taken by the process");
	process->page->pending = 0;
	process->page->held = 1ull << 11;
	ok(fake_ask(process, REQUEST_POLL, 1, 0, 0, NULL) == 1 && fake_ask(process, REQUEST_SIGNALFD, (uint64_t)fd, 1, 0, NULL) == fd &&
	   fake_ask(process, REQUEST_POLL, 1, 0, 0, NULL) == WIRE_WAIT, "what it holds; another set");
	ok(fake_ask(process, REQUEST_SIGNALFD, 0, 1, 0, NULL) == -EINVAL && fake_ask(process, REQUEST_SIGNALFD, 99, 1, 0, NULL) ==
	   -EBADF && fake_ask(process, REQUEST_SIGNALFD, UINT32_MAX, 1, 64, NULL) == -EINVAL, "errors");
}

int main(void)
{
	const struct fs_mount how = { .options = "" };
	bool made = true;

	ok(vfs_mount("/", &fs_memory, &how) == 0, "a file system");
	keep_open_start();
	keep_files_start();
	keep_poll_start();
	keep_epoll_start();
	keep_eventfd_start();
	keep_signalfd_start();
	fake_process(0);
	for (int i = 0; i < COUNTERS; i++)
		made &= fake_ask(&keep_process[0], REQUEST_EVENTFD, counts[i] = (uint64_t)i, semaphore(i) ? WIRE_EVENT_ONE : 0, 0,
				 NULL) == i;
	for (int i = 0; i < TIMERS; i++)
		made &= fake_ask(&keep_process[0], REQUEST_TIMERFD, 0, (uint64_t)i & 1, 0, NULL) == COUNTERS + i;
	ok(made, "counters and timers");
	for (int p = 0; p < PROCESSES; p++) {
		if (p)
			keep_fds_copy(fake_process((uint32_t)p), &keep_process[0]);
		sleeps[p].fd = -1;
	}
	for (int i = 0; i < OPERATIONS; i++) {
		static void (*const operations[])(int p) = { reading, writing, setting, polling, passing };

		operations[draw(5)]((int)draw(PROCESSES));
		look_after();
	}
	ok(!bad && read_once > OPERATIONS / 50, "%d reads, %d things wrong", read_once, bad);
	ok(!lost && waited > 100, "of %d waits %d were forgotten", waited, lost);
	signals();
	for (int p = 0; p < PROCESSES; p++)
		fake_end(&keep_process[p]);
	ok(!keep_files_open && poller->poll(poller->arg) == EXO_NEVER, "nothing is left");
	return done();
}
