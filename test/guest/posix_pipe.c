/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes and FIFOs between processes: data, ends, waiting, EPIPE and SIGPIPE, atomic writes of many writers,
 * poll and select, what readers and writers that die leave behind. Numbers of bytes and processes are such
 * that all waits occur.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "test/guest/posix_keeper.h"

#define STREAM	1000000
#define WRITERS	4
#define RECORDS	200
#define ROUNDS	500

static void alone(void)
{
	int p[2], bytes;
	char text[100];
	struct stat st;

	ok(pipe2(p, O_NONBLOCK) == 0 && fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode), "a pipe");
	ok(read(p[0], text, 10) == -1 && errno == EAGAIN, "is empty");
	ok(write(p[1], "hello", 5) == 5 && ioctl(p[0], FIONREAD, &bytes) == 0 && bytes == 5, "has five bytes");
	ok(read(p[0], text, 2) == 2 && read(p[0], text + 2, 10) == 3 && !memcmp(text, "hello", 5), "in order");
	for (bytes = 0; write(p[1], text, 100) == 100; bytes += 100)
		;
	ok(bytes >= 65000 && errno == EAGAIN, "is full with %d", bytes);
	ok(lseek(p[0], 0, SEEK_CUR) == -1 && errno == ESPIPE && pread(p[0], text, 1, 0) == -1 &&
	   errno == ESPIPE, "no places");
	close(p[1]);
	while (read(p[0], text, 100) > 0)
		;
	ok(read(p[0], text, 100) == 0, "ends");
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	ok(pipe(p) == 0 && close(p[0]) == 0 && write(p[1], "x", 1) == -1 && errno == EPIPE, "nobody reads");
	close(p[1]);
	signal(SIGPIPE, SIG_DFL);
}

static void stream(void)
{
	int p[2];
	char *data = malloc(STREAM);
	long at = 0, got;
	pid_t child;

	ok(pipe(p) == 0, "a pipe for much");
	child = fork();
	if (!child) {
		close(p[0]);
		for (long i = 0; i < STREAM; i++)
			data[i] = (char)(i * 11 + i / 1000);
		_exit(write(p[1], data, STREAM) == STREAM ? 0 : 1);
	}
	close(p[1]);
	while ((got = read(p[0], data + at, (size_t)(STREAM - at) < 30000 ? (size_t)(STREAM - at) : 30000)) > 0)
		at += got;
	ok(finish(child) == 0 && at == STREAM, "%ld bytes", at);
	for (at = 0; at < STREAM && data[at] == (char)(at * 11 + at / 1000); at++)
		;
	ok(at == STREAM, "as they were written");
	close(p[0]);
	free(data);
}

static void ping_pong(void)
{
	int there[2], back[2], sum = 0;
	unsigned char byte;
	pid_t child;

	ok(pipe(there) == 0 && pipe(back) == 0, "two pipes");
	child = fork();
	if (!child) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1) {
			byte++;
			if (write(back[1], &byte, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	close(there[0]);
	close(back[1]);
	for (int i = 0; i < ROUNDS; i++) {
		byte = (unsigned char)i;
		sum += write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1 &&
			byte == (unsigned char)(i + 1);
	}
	close(there[1]);
	ok(sum == ROUNDS && finish(child) == 0, "%d rounds", sum);
	close(back[0]);
}

static void writers(void)
{
	struct record { int who, number; char text[492]; } record;
	int p[2], next[WRITERS] = { 0 }, good = 0, status = 0;
	pid_t child[WRITERS];

	ok(pipe(p) == 0, "one pipe for several writers");
	for (int w = 0; w < WRITERS; w++)
		if (!(child[w] = fork())) {
			memset(record.text, 'a' + w, sizeof(record.text));
			for (int i = 0; i < RECORDS; i++) {
				record.who = w;
				record.number = i;
				if (write(p[1], &record, sizeof(record)) != sizeof(record))
					_exit(1);
			}
			_exit(0);
		}
	close(p[1]);
	while (read(p[0], &record, sizeof(record)) == sizeof(record)) {
		bool whole = record.who >= 0 && record.who < WRITERS && record.number == next[record.who];

		for (unsigned i = 0; whole && i < sizeof(record.text); i++)
			whole = record.text[i] == 'a' + record.who;
		if (!whole)
			break;
		next[record.who]++;
		good++;
	}
	for (int w = 0; w < WRITERS; w++)
		status |= finish(child[w]);
	ok(good == WRITERS * RECORDS && status == 0, "%d records whole and in order", good);
	close(p[0]);
}

static void readiness(void)
{
	struct timeval none = { 0, 20000 };
	struct pollfd fds[3];
	int p[2], q[2];
	pid_t child;
	fd_set set;
	char byte;

	ok(pipe(p) == 0 && pipe(q) == 0, "pipes to be asked");
	fds[0] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = p[1], .events = POLLOUT };
	fds[2] = (struct pollfd){ .fd = 200, .events = POLLIN };
	ok(poll(fds, 3, -1) == 2 && !fds[0].revents && fds[1].revents == POLLOUT &&
	   fds[2].revents == POLLNVAL, "poll");
	ok(poll(fds, 1, 0) == 0 && poll(fds, 1, 20) == 0, "with a time");
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	ok(select(p[0] + 1, &set, NULL, NULL, &none) == 0 && !FD_ISSET(p[0], &set), "select");
	child = fork();
	if (!child) {
		(void)read(q[0], &byte, 1);
		(void)write(p[1], "x", 1);
		(void)read(q[0], &byte, 1);
		_exit(0);
	}
	(void)write(q[1], "x", 1);
	ok(poll(fds, 1, -1) == 1 && fds[0].revents == POLLIN && read(p[0], &byte, 1) == 1, "a child writes");
	close(p[1]);
	(void)write(q[1], "x", 1);
	ok(poll(fds, 1, -1) == 1 && fds[0].revents & POLLHUP, "and ends");
	ok(finish(child) == 0, "by itself");
	close(p[0]);
	close(q[0]);
	close(q[1]);
}

static void killed(void)
{
	int p[2];
	char text[100];
	pid_t child;

	ok(pipe(p) == 0, "a pipe to the dead");
	child = fork();
	if (!child) {
		close(p[1]);
		(void)read(p[0], text, 1);
		pause();
	}
	close(p[0]);
	(void)write(p[1], "x", 1);
	ok(kill(child, SIGKILL) == 0 && WTERMSIG(finish(child)) == SIGKILL, "its reader is killed");
	signal(SIGPIPE, SIG_IGN);
	ok(write(p[1], "x", 1) == -1 && errno == EPIPE, "and is missed");
	signal(SIGPIPE, SIG_DFL);
	close(p[1]);
	ok(pipe(p) == 0, "another");
	child = fork();
	if (!child) {
		close(p[0]);
		for (;;)
			(void)write(p[1], text, sizeof(text));
	}
	close(p[1]);
	ok(read(p[0], text, sizeof(text)) > 0 && kill(child, SIGKILL) == 0 && WTERMSIG(finish(child)) == SIGKILL,
	    "a writer that waits is killed");
	while (read(p[0], text, sizeof(text)) > 0)
		;
	ok(read(p[0], text, sizeof(text)) == 0, "what it wrote ends");
	close(p[0]);
	child = fork();
	if (!child) {
		if (pipe(p) || close(p[0]))
			_exit(1);
		(void)write(p[1], "x", 1);
		_exit(2);
	}
	ok(WTERMSIG(finish(child)) == SIGPIPE, "SIGPIPE ends who does not care");
}

static void fifo(void)
{
	char text[10] = "";
	pid_t child;
	int fd;

	unlink("/tmp/fifo");
	ok(mkfifo("/tmp/fifo", 0600) == 0 && open("/tmp/fifo", O_WRONLY | O_NONBLOCK) == -1 && errno == ENXIO,
	   "a FIFO");
	child = fork();
	if (!child) {
		fd = open("/tmp/fifo", O_WRONLY);
		_exit(fd >= 0 && write(fd, "through", 7) == 7 ? 0 : 1);
	}
	fd = open("/tmp/fifo", O_RDONLY);
	ok(fd >= 0 && read(fd, text, 10) == 7 && !strcmp(text, "through") && finish(child) == 0, "has two ends");
	ok(read(fd, text, 10) == 0, "and an end");
	close(fd);
	unlink("/tmp/fifo");
}

int main(void)
{
	mkdir("/tmp", 01777);
	alone();
	ping_pong();
	stream();
	writers();
	readiness();
	fifo();
	killed();
	return tap_done();
}
