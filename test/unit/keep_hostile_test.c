/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that make no sense, to the keeper's descriptors, files, pipes and poll: random numbers, words and buffers from
 * processes of several users, some of which end in between. Nothing may happen but errors (ASan and UBSan look), and what
 * was held is given back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include "libos/keep/files.h"
#include "test/unit/keep_table.h"
#include "test/unit/tap.h"

#define REQUESTS	120000

static uint64_t seed = 11;

static uint64_t draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 20) % below;
}

static uint64_t word(void)
{
	static const uint64_t special[] = { 0, 1, 2, UINT64_MAX, (uint64_t)AT_FDCWD, INT64_MAX, (uint64_t)INT64_MIN, 65536,
		65535, 4096, UINT32_MAX, 1ull << 31, O_CREAT | O_RDWR, O_RDWR | O_NONBLOCK, S_IFIFO | 0666, S_IFDIR | 0777,
		F_SETLKW, F_GETLK, FIONREAD };

	switch (draw(4)) {
	case 0:
		return draw(WIRE_FDS + 4);
	case 1:
		return special[draw(sizeof(special) / sizeof(special[0]))];
	case 2:
		return draw(16);
	default:
		return draw(8) ? draw(100000) : seed;
	}
}

/* A path of a few letters, or anything. */
static void fill(char *buffer)
{
	static const char letters[] = "abf./\0/a.\xff/dev/null";
	uint64_t bytes = draw(4) ? draw(40) : draw(WIRE_BUFFER);

	if (draw(50) == 0) {
		memset(buffer, 'x', WIRE_BUFFER);
		return;
	}
	for (uint64_t i = 0; i < bytes; i++)
		buffer[i] = draw(3) ? letters[draw(sizeof(letters))] : (char)draw(256);
	if (draw(3) == 0)
		*(struct flock *)buffer = (struct flock){ .l_type = (short)draw(4), .l_whence = (short)draw(4),
			.l_start = (off_t)word(), .l_len = (off_t)word() };
}

int main(void)
{
	const struct fs_mount how = { .options = "size=2M" };
	unsigned long served = 0, good = 0;
	bool wrong = false;

	ok(vfs_mount("/", &fs_memory, &how) == 0, "a file system");
	keep_open_start();
	keep_files_start();
	keep_pipe_start();
	keep_poll_start();
	keep_epoll_start();
	(void)vfs_set(&vfs_root, &(struct fs_attributes){ .mode = 0777 }, FS_SET_MODE);
	for (uint32_t i = 0; i < FAKE_PROCESSES; i++)
		fake_process(i)->euid = i;
	for (int i = 0; i < REQUESTS; i++) {
		struct keep_process *process = &keep_process[draw(FAKE_PROCESSES)];
		uint64_t number = REQUEST_OPEN + draw(60);
		uint32_t index = process->index;

		if (draw(5000) == 0) {
			keep_cwd_drop(process);
			fake_end(process);
			fake_process(index)->euid = index;
		}
		if (number >= WIRE_REQUESTS || !fake_handlers[number])
			continue;
		if (draw(2))
			fill(process->buffer);
		/* Of what makes no sense at all, nothing is to be seen of epoll. */
		if (number == REQUEST_EPOLL_CTL && draw(4))
			good += fake_ask(process, number, (uint64_t)draw(20) | (uint64_t)draw(5) << 32,
					 (uint64_t)draw(20) | word() << 32, word(), NULL) >= 0;
		else
			good += fake_ask(process, (enum wire_request)number, word(), word(), word(), NULL) >= 0;
		served++;
		wrong |= served % 64 == 0 && keep_epoll_check();
	}
	ok(!wrong, "the sets of epoll are in order");
	ok(served > REQUESTS / 3 && good > REQUESTS / 100, "%lu requests, of which %lu could be served", served, good);
	for (uint32_t i = 0; i < FAKE_PROCESSES; i++) {
		keep_cwd_drop(&keep_process[i]);
		fake_end(&keep_process[i]);
	}
	return done();
}
