/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes and FIFOs of the keeper (libos/keep/pipe.c, gift.c, fifo.c, poll.c): random operations of several processes against
 * a naive model. Data, errors, readiness; and that nobody who was told to wait sleeps on when there is no reason any more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include "libos/keep/files.h"
#include "test/unit/keep_table.h"
#include "test/unit/tap.h"

#define PIPES		8
#define ENDS		400
#define OPERATIONS	200000
#define CAPACITY	65536
#define ATOMIC		4096

/* --- the model ------------------------------------------------------------------------------------------------ */

static struct pipe_model { bool used; int ends[2]; uint32_t count; uint64_t wrote, took; } pipes[PIPES];
static struct end_model { int pipe, end, refs; bool nonblock; } ends[ENDS];
static int fds[FAKE_PROCESSES][WIRE_FDS];		/* end + 1; 0: closed */
static struct { int fd, way; uint64_t wakes; uint32_t bytes; } waits[FAKE_PROCESSES];	/* way -1: it does not */
static uint64_t seed = 1;
static int bad, lost, gifts, waited, operations;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void same(long long got, long long wanted, const char *what)
{
	if (got != wanted && bad++ < 10)
		printf("# operation %d: %s: got %lld, wanted %lld\n", operations, what, got, wanted);
}

/* Byte number `at` of all that was ever written to a pipe. */
static uint8_t byte_of(int pipe, uint64_t at)
{
	return (uint8_t)(at * 167 + at / 251 + (uint64_t)pipe * 31);
}

static void drop_end(int end)
{
	struct end_model *model = &ends[end];

	if (--model->refs)
		return;
	pipes[model->pipe].ends[model->end]--;
	if (!pipes[model->pipe].ends[0] && !pipes[model->pipe].ends[1])
		pipes[model->pipe].used = false;
}

static uint32_t writable(const struct pipe_model *pipe, uint32_t bytes)
{
	uint32_t room = CAPACITY - pipe->count;

	return bytes <= room ? bytes : bytes <= ATOMIC ? 0 : room;
}

/* --- operations ----------------------------------------------------------------------------------------------- */

static int lowest(int p)
{
	for (int fd = 0; fd < WIRE_FDS; fd++)
		if (!fds[p][fd])
			return fd;
	return -1;
}

static int some_fd(int p)
{
	int first = (int)draw(24);

	for (int i = 0; i < 24; i++)
		if (fds[p][(first + i) % 24])
			return (first + i) % 24;
	return -1;
}

static int new_end(int pipe, int end, bool nonblock)
{
	int at = 0;

	while (ends[at].refs)
		at++;
	ends[at] = (struct end_model){ pipe, end, 1, nonblock };
	pipes[pipe].ends[end]++;
	return at;
}

static void make(int p)
{
	bool nonblock = draw(3) == 0;
	int pipe = 0;
	uint64_t more[2];

	while (pipe < PIPES && pipes[pipe].used)
		pipe++;
	if (pipe == PIPES || lowest(p) > 20)
		return;
	same(fake_ask(&keep_process[p], REQUEST_PIPE, nonblock ? O_NONBLOCK : 0, 0, 0, more), 0, "pipe");
	pipes[pipe] = (struct pipe_model){ .used = true };
	for (int end = 0; end < 2; end++) {
		int fd = lowest(p);

		same((long long)more[end], fd, "its descriptor");
		fds[p][fd] = new_end(pipe, end, nonblock) + 1;
	}
}

static void check_bytes(int pipe, const char *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		if ((uint8_t)data[i] != byte_of(pipe, pipes[pipe].took + i)) {
			same(i, bytes, "data");
			break;
		}
	pipes[pipe].took += bytes;
	pipes[pipe].count -= bytes;
}

/* As libos/posix/io.c does it. */
static bool take_gift(int p, int fd, int pipe)
{
	struct wire_gift *gift = &keep_process[p].page->gift;
	uint32_t state = WIRE_OFFERED;

	if (gift->fd1 != fd + 1 || gift->state != WIRE_OFFERED)
		return false;
	same(gift->bytes, pipes[pipe].count, "a gift is all that is there");
	check_bytes(pipe, gift->data, gift->bytes);
	gifts++;
	return __atomic_compare_exchange_n(&gift->state, &state, WIRE_TAKEN, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void start_wait(int p, int fd, int way, uint32_t bytes)
{
	waits[p].fd = fd;
	waits[p].way = way;
	waits[p].bytes = bytes;
	waits[p].wakes = keep_process[p].page->wakes;
	waited++;
}

static void do_read(int p, int fd)
{
	struct end_model *end = &ends[fds[p][fd] - 1];
	struct pipe_model *pipe = &pipes[end->pipe];
	uint32_t bytes = draw(4) ? 1 + draw(600) : 1 + draw(70000);
	int64_t result, wanted;

	if (draw(2) && end->end == 0 && take_gift(p, fd, end->pipe))
		return;
	if (bytes > WIRE_BUFFER)
		bytes = WIRE_BUFFER;
	wanted = pipe->count ? (int64_t)(bytes < pipe->count ? bytes : pipe->count) : !pipe->ends[1] ? 0 :
	    end->nonblock ? -EAGAIN : WIRE_WAIT;
	result = fake_ask(&keep_process[p], REQUEST_READ, (uint64_t)fd, bytes, (uint64_t)-1, NULL);
	same(result, end->end ? -EBADF : wanted, "read");
	if (end->end || result != wanted)
		return;
	if (result > 0)
		check_bytes(end->pipe, keep_process[p].buffer, (uint32_t)result);
	if (result == WIRE_WAIT)
		start_wait(p, fd, 0, 1);
}

static void do_write(int p, int fd)
{
	struct end_model *end = &ends[fds[p][fd] - 1];
	struct pipe_model *pipe = &pipes[end->pipe];
	uint32_t bytes = draw(4) ? 1 + draw(600) : draw(3) ? 1 + draw(6000) : 1 + draw(65536);
	int64_t result, wanted;

	wanted = !pipe->ends[0] ? -EPIPE : (int64_t)writable(pipe, bytes);
	if (!wanted)
		wanted = end->nonblock ? -EAGAIN : WIRE_WAIT;
	for (uint32_t i = 0; i < bytes; i++)
		keep_process[p].buffer[i] = (char)byte_of(end->pipe, pipe->wrote + i);
	result = fake_ask(&keep_process[p], REQUEST_WRITE, (uint64_t)fd, bytes, (uint64_t)-1, NULL);
	same(result, end->end ? wanted : -EBADF, "write");
	if (!end->end || result != wanted)
		return;
	if (result > 0) {
		pipe->wrote += (uint64_t)result;
		pipe->count += (uint32_t)result;
	}
	if (result == WIRE_WAIT)
		start_wait(p, fd, 1, bytes);
}

static void do_close(int p, int fd)
{
	same(fake_ask(&keep_process[p], REQUEST_CLOSE, (uint64_t)fd, 0, 0, NULL), 0, "close");
	drop_end(fds[p][fd] - 1);
	fds[p][fd] = 0;
	if (waits[p].fd == fd)
		waits[p].way = -1;
}

static void do_dup(int p, int fd)
{
	int to = draw(2) ? (int)draw(24) : -1, copy = lowest(p);

	if (to < 0) {
		same(fake_ask(&keep_process[p], REQUEST_DUP, (uint64_t)fd, 0, 0, NULL), copy, "dup");
	} else {
		same(fake_ask(&keep_process[p], REQUEST_DUP, (uint64_t)fd, (uint64_t)to, WIRE_DUP_EXACT, NULL), to, "dup2");
		copy = to;
		if (to == fd)
			return;
		if (fds[p][to])
			drop_end(fds[p][to] - 1);
		if (waits[p].fd == to)
			waits[p].way = -1;
	}
	fds[p][copy] = fds[p][fd];
	ends[fds[p][fd] - 1].refs++;
}

static void do_poll(int p)
{
	struct pollfd *all = (struct pollfd *)keep_process[p].buffer;
	short wanted[3];
	int count = 0, ready = 0, all_fds[3];

	for (int i = 0; i < 3; i++) {
		int fd = (int)draw(24);
		const struct end_model *end = fds[p][fd] ? &ends[fds[p][fd] - 1] : NULL;
		const struct pipe_model *pipe = end ? &pipes[end->pipe] : NULL;

		all_fds[count] = fd;
		all[count] = (struct pollfd){ .fd = fd, .events = POLLIN | POLLOUT };
		wanted[count] = !end ? POLLNVAL : end->end == 0 ? (short)((pipe->count ? POLLIN : 0) |
		    (pipe->ends[1] ? 0 : POLLHUP)) : !pipe->ends[0] ? POLLOUT | POLLERR :
		    CAPACITY - pipe->count >= 512 ? POLLOUT : 0;
		ready += wanted[count++] != 0;
	}
	same(fake_ask(&keep_process[p], REQUEST_POLL, (uint64_t)count, draw(2), 0, NULL) == WIRE_WAIT ? 0 : ready, ready,
	     "poll");
	for (int i = 0; i < count; i++)
		same(all[i].revents, wanted[i], "events");
	(void)all_fds;
}

static void do_left(int p, int fd)
{
	int bytes = -1;

	same(fake_ask(&keep_process[p], REQUEST_IOCTL, (uint64_t)fd, FIONREAD, 0, NULL), 0, "FIONREAD");
	memcpy(&bytes, keep_process[p].buffer, sizeof(bytes));
	same(bytes, pipes[ends[fds[p][fd] - 1].pipe].count, "bytes to read");
}

static void do_flags(int p, int fd)
{
	struct end_model *end = &ends[fds[p][fd] - 1];

	end->nonblock = draw(2);
	same(fake_ask(&keep_process[p], REQUEST_FCNTL, (uint64_t)fd, F_SETFL, end->nonblock ? O_NONBLOCK : 0, NULL), 0,
	     "F_SETFL");
}

/* The process ends, and is a child of another one from now on. */
static void do_fork(int p)
{
	int parent = (int)draw(FAKE_PROCESSES);

	for (int fd = 0; fd < WIRE_FDS; fd++) {
		if (fds[p][fd])
			drop_end(fds[p][fd] - 1);
		fds[p][fd] = 0;
	}
	fake_end(&keep_process[p]);
	fake_process((uint32_t)p);
	waits[p].way = -1;
	if (parent == p)
		return;
	keep_fds_copy(&keep_process[p], &keep_process[parent]);
	for (int fd = 0; fd < WIRE_FDS; fd++) {
		fds[p][fd] = fds[parent][fd];
		if (fds[p][fd])
			ends[fds[p][fd] - 1].refs++;
	}
}

/* Whoever waits has a reason to. */
static void check_waits(void)
{
	for (int p = 0; p < FAKE_PROCESSES; p++) {
		const struct end_model *end;
		const struct pipe_model *pipe;
		bool reason;

		if (waits[p].way < 0)
			continue;
		if (keep_process[p].page->wakes != waits[p].wakes) {
			waits[p].way = -1;
			continue;
		}
		end = &ends[fds[p][waits[p].fd] - 1];
		pipe = &pipes[end->pipe];
		reason = waits[p].way ? pipe->ends[0] && !writable(pipe, waits[p].bytes) : !pipe->count && pipe->ends[1];
		if (!reason && !end->nonblock && lost++ < 5)
			printf("# operation %d: process %d sleeps on (%s)\n", operations, p, waits[p].way ? "write" : "read");
		if (!reason)
			waits[p].way = -1;
	}
}

static void one(void)
{
	int p = (int)draw(FAKE_PROCESSES), fd = some_fd(p);
	uint32_t what = draw(100);

	waits[p].way = -1;	/* who does something does not wait */
	if (fd < 0 || what < 4)
		make(p);
	else if (what < 44)
		do_read(p, fd);
	else if (what < 80)
		do_write(p, fd);
	else if (what < 85)
		do_close(p, fd);
	else if (what < 88)
		do_dup(p, fd);
	else if (what < 94)
		do_poll(p);
	else if (what < 96)
		do_left(p, fd);
	else if (what < 98)
		do_flags(p, fd);
	else if (draw(4) == 0)
		do_fork(p);
	check_waits();
}

static void random_operations(void)
{
	for (int p = 0; p < FAKE_PROCESSES; p++) {
		fake_process((uint32_t)p);
		waits[p].way = -1;
	}
	for (operations = 0; operations < OPERATIONS; operations++)
		one();
	is_int(bad, 0, "pipes do what the model does");
	is_int(lost, 0, "nobody who waits is forgotten");
	ok(gifts > 100, "data came with the wake-up %d times", gifts);
	ok(waited > 1000, "somebody had to wait %d times", waited);
	for (int p = 0; p < FAKE_PROCESSES; p++)
		fake_end(&keep_process[p]);
}

/* --- FIFOs ---------------------------------------------------------------------------------------------------- */

static int64_t fifo(struct keep_process *process, int flags)
{
	return fake_path(process, REQUEST_OPEN, "/fifo", (uint64_t)AT_FDCWD, (uint64_t)flags, 0);
}

static void fifos(void)
{
	struct keep_process *a = fake_process(0), *b = fake_process(1);
	uint64_t wakes;

	is_int(fake_path(a, REQUEST_MKNOD, "/fifo", (uint64_t)AT_FDCWD, S_IFIFO | 0666, 0), 0, "mkfifo");
	is_int(fifo(a, O_WRONLY | O_NONBLOCK), -ENXIO, "nobody reads");
	is_int(fifo(a, O_RDONLY), WIRE_WAIT, "a reader waits for a writer");
	wakes = a->page->wakes;
	is_int(fifo(b, O_WRONLY), 0, "who finds it there");
	ok(a->page->wakes != wakes, "and wakes it");
	strcpy(b->buffer, "here");
	is_int(fake_ask(b, REQUEST_WRITE, 0, 4, (uint64_t)-1, NULL), 4, "it writes before the reader asks again");
	is_int(fake_ask(b, REQUEST_CLOSE, 0, 0, 0, NULL), 0, "and goes");
	is_int(fifo(a, O_RDONLY), 0, "the reader has it open all the same");
	is_int(fake_ask(a, REQUEST_READ, 0, 100, (uint64_t)-1, NULL), 4, "reads what was written");
	is_int(fake_ask(a, REQUEST_READ, 0, 100, (uint64_t)-1, NULL), 0, "and the end");
	is_int(fifo(b, O_RDWR), 0, "both ways need nobody");
	is_int(fake_ask(b, REQUEST_CLOSE, 0, 0, 0, NULL), 0, "");
	is_int(fifo(b, O_WRONLY | O_NONBLOCK), 0, "a reader is there");
	fake_ask(b, REQUEST_CLOSE, 0, 0, 0, NULL);
	fake_ask(a, REQUEST_CLOSE, 0, 0, 0, NULL);
	is_int(fifo(a, O_RDONLY | O_NONBLOCK), 0, "O_NONBLOCK does not wait for a writer");
	fake_ask(a, REQUEST_CLOSE, 0, 0, 0, NULL);
	is_int(fifo(a, O_WRONLY), WIRE_WAIT, "a writer waits");
	is_int(fake_ask(a, REQUEST_CLOSE, (uint64_t)WIRE_FORGET, 0, 0, NULL), 0, "and gives up");
	is_int(fifo(b, O_RDONLY), WIRE_WAIT, "so a reader waits");
	fake_end(b);
	is_int(fifo(a, O_WRONLY | O_NONBLOCK), -ENXIO, "and has died");
	fake_end(a);
}

int main(void)
{
	const struct fs_mount how = { .options = "" };

	ok(vfs_mount("/", &fs_memory, &how) == 0, "a file system");
	keep_open_start();
	keep_files_start();
	keep_pipe_start();
	keep_poll_start();
	random_operations();
	fifos();
	return done();
}
