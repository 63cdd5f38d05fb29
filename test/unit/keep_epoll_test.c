/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll of the keeper (libos/keep/epoll.c): random operations of several processes, each with a set of the same pipes, against
 * poll and a naive model: levels are what poll says, an edge is told after each change, once is once, and nobody who was
 * told to wait sleeps on when there is something for him.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include "libos/keep/files.h"
#include "test/unit/keep_table.h"
#include "test/unit/tap.h"

#define PIPES		8
#define FDS		(2 * PIPES)
#define PROCESSES	4
#define OPERATIONS	300000

static struct item { bool watched, armed, edge, once, owed; } items[PROCESSES][FDS];
static int sets[PROCESSES];
static struct { bool waits; uint64_t wakes; } sleeps[PROCESSES];
static uint64_t seed = 1;
static int bad, lost, told, waited;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void wrong(const char *what, int p, int fd)
{
	if (bad++ < 10)
		printf("# process %d, descriptor %d: %s\n", p, fd, what);
}

/* The pipe has changed: who watches this end is owed an edge. */
static void changed(int fd)
{
	for (int p = 0; p < PROCESSES; p++)
		items[p][fd].owed = true;
}

/* Descriptor 2i reads, 2i + 1 writes. */
static void transfer(int p)
{
	uint32_t fd = draw(FDS), bytes = 1 + draw(draw(4) ? 5000 : WIRE_BUFFER);
	int64_t done = fake_ask(&keep_process[p], fd & 1 ? REQUEST_WRITE : REQUEST_READ, fd, bytes, (uint64_t)-1, NULL);

	if (done > 0)
		changed((int)(fd ^ 1));
}

static void control(int p)
{
	uint32_t fd = draw(FDS), operation = 1 + draw(3), events = fd & 1 ? POLLOUT : POLLIN;
	struct item *item = &items[p][fd], next = { true, true, draw(2), draw(4) == 0, true };
	int64_t wanted = operation == WIRE_EPOLL_ADD ? item->watched ? -EEXIST : 0 : item->watched ? 0 : -ENOENT;

	events |= (next.edge ? WIRE_EPOLL_EDGE : 0) | (next.once ? WIRE_EPOLL_ONCE : 0);
	if (fake_ask(&keep_process[p], REQUEST_EPOLL_CTL, (uint32_t)sets[p] | (uint64_t)operation << 32,
		     fd | (uint64_t)events << 32, fd, NULL) != wanted)
		wrong("epoll_ctl", p, (int)fd);
	if (!wanted)
		*item = operation == WIRE_EPOLL_DEL ? (struct item){ 0 } : next;
}

static bool ready(int p, int fd)
{
	struct pollfd one = { .fd = fd, .events = fd & 1 ? POLLOUT : POLLIN };

	memcpy(keep_process[p].buffer, &one, sizeof(one));
	return fake_ask(&keep_process[p], REQUEST_POLL, 1, 1, 0, NULL) == 1;
}

static void look(int p)
{
	struct wire_event got[FDS];
	bool is[FDS], said[FDS] = { false };
	int64_t count;

	for (int fd = 0; fd < FDS; fd++)
		is[fd] = ready(p, fd);
	count = fake_ask(&keep_process[p], REQUEST_EPOLL_WAIT, (uint64_t)sets[p], FDS, draw(2), NULL);
	if (count > 0)
		memcpy(got, keep_process[p].buffer, (size_t)count * sizeof(got[0]));
	for (int64_t i = 0; i < count; i++) {
		if (got[i].data >= FDS || said[got[i].data] || got[i].events != (got[i].data & 1 ? POLLOUT : POLLIN))
			wrong("an event of nothing", p, -1);
		else
			said[got[i].data] = true;
	}
	for (int fd = 0; fd < FDS; fd++) {
		struct item *item = &items[p][fd];
		bool may = item->watched && item->armed && is[fd];

		if (said[fd] ? !may : may && (!item->edge || item->owed))
			wrong(said[fd] ? "is not ready" : "is ready and not told", p, fd);
		if (said[fd] && item->once)
			item->armed = false;
		item->owed = false;
		told += said[fd];
	}
	lost += count > 0 && sleeps[p].waits && keep_process[p].page->wakes == sleeps[p].wakes;
	sleeps[p].waits = count == WIRE_WAIT;
	sleeps[p].wakes = keep_process[p].page->wakes;
	waited += count == WIRE_WAIT;
}

int main(void)
{
	const struct fs_mount how = { .options = "" };
	bool order = true;

	ok(vfs_mount("/", &fs_memory, &how) == 0, "a file system");
	keep_open_start();
	keep_files_start();
	keep_pipe_start();
	keep_poll_start();
	keep_epoll_start();
	fake_process(0);
	for (int i = 0; i < PIPES; i++)
		(void)fake_ask(&keep_process[0], REQUEST_PIPE, O_NONBLOCK, 0, 0, NULL);
	for (uint32_t p = 1; p < PROCESSES; p++)
		keep_fds_copy(fake_process(p), &keep_process[0]);
	for (int p = 0; p < PROCESSES; p++)
		sets[p] = (int)fake_ask(&keep_process[p], REQUEST_EPOLL, 0, 0, 0, NULL);
	ok(sets[0] == FDS && sets[PROCESSES - 1] == FDS, "pipes and sets");
	for (int i = 0; i < OPERATIONS; i++) {
		static void (*const operations[])(int p) = { transfer, transfer, control, look };

		operations[draw(4)]((int)draw(PROCESSES));
		order &= i % 64 || !keep_epoll_check();
	}
	ok(!bad && told > OPERATIONS / 10, "%d events told, %d wrong", told, bad);
	ok(!lost && waited > 100, "of %d waits %d were forgotten", waited, lost);
	ok(order, "the sets are in order");
	for (int p = 0; p < PROCESSES; p++)
		fake_end(&keep_process[p]);
	ok(!keep_files_open && !keep_epoll_check(), "nothing is left");
	return done();
}
