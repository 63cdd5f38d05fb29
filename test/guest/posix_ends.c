/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads that end, and threads that wait, while another waits for a disk: none that is woken sleeps on. /data is a file
 * system of a disk. test/e2e/posix_run.py runs it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/tap.h"

#define ROUNDS	600

static sem_t answered, asked;
static atomic_bool over;
static atomic_uint written, ended;

static void *writes(void *arg)
{
	int fd = open("/data/file", O_RDWR | O_CREAT, 0600);

	(void)arg;
	while (fd >= 0 && !over && pwrite(fd, "text", 4, (off_t)(written % 8) * 4096) == 4 && !fsync(fd))
		written++;
	close(fd);
	return NULL;
}

/* At a time when all others wait, as a rule. */
static void *ends(void *arg)
{
	usleep((unsigned)(uintptr_t)arg);
	ended++;
	return NULL;
}

/* Answers who asks, and waits with a time meanwhile, as an interpreter's threads wait for their turn. */
static void *answers(void *arg)
{
	struct timespec until;

	(void)arg;
	while (!over) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 1000000;
		if (until.tv_nsec >= 1000000000)
			until = (struct timespec){ until.tv_sec + 1, until.tv_nsec - 1000000000 };
		if (!sem_clockwait(&asked, CLOCK_MONOTONIC, &until))
			sem_post(&answered);
	}
	return NULL;
}

static bool asks(void)
{
	struct timespec until;

	sem_post(&asked);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 20;
	return !sem_clockwait(&answered, CLOCK_MONOTONIC, &until);
}

int main(void)
{
	pthread_attr_t detached;
	pthread_t writer, answerer, thread;
	unsigned made = 0, answers_got = 0;

	sem_init(&answered, 0, 0);
	sem_init(&asked, 0, 0);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	ok(!pthread_create(&writer, NULL, writes, NULL) && !pthread_create(&answerer, NULL, answers, NULL), "threads");
	for (unsigned i = 0; i < ROUNDS && answers_got == i; i++) {
		made += !pthread_create(&thread, &detached, ends, (void *)(uintptr_t)(i % 13 * 40));
		usleep(i % 7 * 100);
		answers_got += asks();
	}
	ok(made == ROUNDS && answers_got == ROUNDS, "%u threads made, each question is answered (%u)", made, answers_got);
	for (unsigned i = 0; i < 200 && ended < made; i++)
		usleep(100000);
	ok(ended == made, "each thread ends");
	over = true;
	ok(!pthread_join(writer, NULL) && !pthread_join(answerer, NULL), "the others end, too");
	ok(written > 0, "the disk was at work meanwhile");
	return tap_done();
}
