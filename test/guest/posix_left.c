/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What processes that are killed leave of files: children lock, open FIFOs, stand at pipes, make and remove
 * names; each is killed after a random time. Then every lock can be had, FIFOs have no ends, what was written
 * to a pipe by those who live reaches those who live, no name is half there, and the keeper's checker finds
 * nothing.
 *
 * Time limit: 120 s
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "libos/posix/call.h"
#include "test/guest/tap.h"

#define ROUNDS	150
#define CHILDREN 3
#define FOLDER	"/tmp/left"

static uint32_t seed = 5;

static uint32_t draw(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static struct flock lock_of(short type, int start, int bytes)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes };
}

/* --- what is done until death --------------------------------------------------------------------------------- */

static int shared[2];		/* a pipe that all have, from before the forks */

static void locks(void)
{
	int fd = open(FOLDER "/file", O_RDWR), other = dup(fd);
	struct flock lock = lock_of(F_WRLCK, (int)draw(8), 3);

	(void)fcntl(fd, draw(2) ? F_SETLK : F_SETLKW, &lock);
	(void)flock(fd, draw(2) ? LOCK_EX | LOCK_NB : LOCK_SH);
	lock = lock_of(F_UNLCK, 2, 2);
	(void)fcntl(other, F_SETLK, &lock);
	close(fd);
	close(other);
}

static void names(void)
{
	char path[64], to[64];
	int fd;

	snprintf(path, sizeof(path), FOLDER "/name-%d", getpid());
	snprintf(to, sizeof(to), FOLDER "/to-%d", getpid());
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	(void)write(fd, path, sizeof(path));
	(void)rename(path, to);
	(void)link(to, path);
	close(fd);
	unlink(path);
	unlink(to);
}

static void fifos(void)
{
	int fd = open(FOLDER "/fifo", draw(2) ? O_RDONLY : O_WRONLY);

	close(fd);
}

static void pipes(void)
{
	char bytes[700];
	int own[2];

	if (draw(2)) {
		(void)read(shared[0], bytes, draw(2) ? 1 : sizeof(bytes));
	} else if (!pipe(own)) {
		(void)write(own[1], bytes, sizeof(bytes));
		(void)read(own[0], bytes, sizeof(bytes));
		close(own[0]);
		close(own[1]);
	}
}

static void work(uint32_t number)
{
	static void (*const kinds[])(void) = { locks, names, fifos, pipes };

	signal(SIGPIPE, SIG_IGN);
	seed = number * 7919u + 3;
	for (;;)
		kinds[draw(4)]();
}

/* --- what is left --------------------------------------------------------------------------------------------- */

static const char *check(void)
{
	static char why[128];
	int64_t result;

	posix_lock();
	result = posix_ask(REQUEST_CHECK, 0, 0, 0, NULL);
	memcpy(why, posix_buffer, sizeof(why));
	posix_unlock();
	return result ? result < 0 ? "not asked" : why : NULL;
}

static const char *left(void)
{
	int fd = open(FOLDER "/file", O_RDWR);
	struct flock lock = lock_of(F_WRLCK, 0, 0);
	const char *wrong = NULL;
	char byte = 0;

	if (fcntl(fd, F_SETLK, &lock))
		wrong = "a lock of the dead";
	else if (flock(fd, LOCK_EX | LOCK_NB))
		wrong = "a flock of the dead";
	close(fd);
	if (!wrong && (open(FOLDER "/fifo", O_WRONLY | O_NONBLOCK) >= 0 || errno != ENXIO))
		wrong = "a FIFO with a reader";
	fcntl(shared[0], F_SETFL, O_NONBLOCK);
	while (read(shared[0], &byte, 1) == 1)
		;
	fcntl(shared[0], F_SETFL, 0);
	if (!wrong && (write(shared[1], "y", 1) != 1 || read(shared[0], &byte, 1) != 1 || byte != 'y'))
		wrong = "a byte that does not come";
	return wrong ? wrong : check();
}

static const char *round_of(uint32_t number)
{
	pid_t child[CHILDREN];
	const char *wrong = NULL;
	int status;

	for (uint32_t i = 0; i < CHILDREN; i++) {
		child[i] = fork();
		if (!child[i])
			work(number * CHILDREN + i);
	}
	for (uint32_t i = 0; i < CHILDREN; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = (long)draw(1500000) }, NULL);
		(void)write(shared[1], "xxxxxxxx", 1 + draw(8));
		if (kill(child[i], SIGKILL) || waitpid(child[i], &status, 0) != child[i] || status != SIGKILL)
			wrong = "a child that cannot be killed";
	}
	return wrong ? wrong : left();
}

int main(void)
{
	const char *wrong = NULL;
	uint32_t i;

	mkdir("/tmp", 01777);
	mkdir(FOLDER, 0700);
	close(open(FOLDER "/file", O_CREAT | O_RDWR, 0600));
	ok(mkfifo(FOLDER "/fifo", 0600) == 0 && pipe(shared) == 0, "files");
	for (i = 0; i < ROUNDS && !wrong; i++)
		wrong = round_of(i);
	ok(!wrong, "%u rounds, then: %s", i, wrong ? wrong : "nothing is wrong");
	return tap_done();
}
