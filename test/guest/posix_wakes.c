/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wakeups that must not get lost: of a thread that is cancelled, or gets a signal, at the moment at which it is woken; of
 * read-write locks, semaphores and condition variables under threads on several CPUs, some of which are cancelled or give
 * up; of those among processes, some of which are killed; of poll, while other threads only wait. Whoever sleeps on is
 * seen by a time limit of the wait that nothing else would end.
 *
 * Run with: --smp 4
 * Time limit: 240 s
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include "libos/posix/call.h"
#include "test/guest/tap.h"

#define ROUNDS	300
#define THREADS	6
#define TURNS	10000
#define LONG_S	15			/* nobody waits so long */
#define POLL_S	4
#define KILLED	120

static unsigned scale = 1;
static unsigned seed = 1;

static unsigned draw(unsigned below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % below;
}

static struct timespec in_ns(uint64_t ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	ns += (uint64_t)now.tv_nsec;
	return (struct timespec){ now.tv_sec + (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

static struct timespec late(void)
{
	return in_ns(LONG_S * 1000000000ull);
}

static void on_signal(int number)
{
	(void)number;
}

/* --- woken and cancelled at once ------------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static volatile unsigned waiting;	/* that hold or held the mutex to wait */
static unsigned things;			/* with the mutex */

static void unlock(void *arg)
{
	pthread_mutex_unlock(arg);
}

/* Takes a thing; NULL: it was there in time. */
static void *take_thing(void *arg)
{
	struct timespec until = late();
	int error = 0;

	(void)arg;
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(unlock, &mutex);
	waiting++;
	while (!things && !error)
		error = pthread_cond_timedwait(&cond, &mutex, &until);
	if (things)
		things--;
	pthread_cleanup_pop(1);
	return error ? (void *)1 : NULL;
}

static void *take_sem(void *arg)
{
	struct timespec until = late();
	int error;

	(void)arg;
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	while ((error = sem_timedwait(&sem, &until)) && errno == EINTR)
		;
	return error ? (void *)1 : NULL;
}

/* Two wait; the first one that waits is woken, and `what` happens to it at once. One thing comes, or two if it got it. */
static bool both(bool cancel, bool of_sem)
{
	pthread_t first, second;
	void *a = NULL, *b = NULL;

	waiting = things = 0;
	pthread_create(&first, NULL, of_sem ? take_sem : take_thing, NULL);
	while (!waiting)
		usleep(100);
	usleep(200);
	pthread_create(&second, NULL, of_sem ? take_sem : take_thing, NULL);
	while (waiting < 2)
		usleep(100);
	usleep(200);
	pthread_mutex_lock(&mutex);
	things += !of_sem;
	if (of_sem)
		sem_post(&sem);
	else
		pthread_cond_signal(&cond);
	if (cancel)
		pthread_cancel(first);
	else
		pthread_kill(first, SIGUSR1);
	pthread_mutex_unlock(&mutex);
	pthread_join(first, &a);
	if (a != PTHREAD_CANCELED) {		/* it has taken it: now the other's */
		pthread_mutex_lock(&mutex);
		things += !of_sem;
		pthread_cond_signal(&cond);
		pthread_mutex_unlock(&mutex);
		if (of_sem)
			sem_post(&sem);
	}
	pthread_join(second, &b);
	return (a == PTHREAD_CANCELED || !a) && !b;
}

static void at_once(void)
{
	static const char *const names[] = { "a condition variable", "a semaphore" };

	sem_init(&sem, 0, 0);
	for (unsigned i = 0; i < 4; i++) {
		unsigned good = 0, rounds = 50 * scale;

		while (good < rounds && both(i & 1, i & 2))
			good++;
		ok(good == rounds, "%s: a wakeup of a thread that %s at that moment is not lost (%u)", names[i / 2],
		   i & 1 ? "is cancelled" : "gets a signal", good);
	}
}

/* --- many threads on several CPUs -------------------------------------------------------------------------------- */

static struct {
	pthread_rwlock_t lock;
	uint64_t a, b;			/* the same, whoever looks */
	pthread_mutex_t mutex;
	pthread_cond_t filled, drained;
	unsigned in;
	sem_t free, full;
} shared = { PTHREAD_RWLOCK_INITIALIZER, 0, 0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
	PTHREAD_COND_INITIALIZER, 0, { 0 }, { 0 } };
static volatile unsigned torn, slept;

static void unlock_rw(void *lock)
{
	pthread_rwlock_unlock(lock);
}

static void *reads_and_writes(void *arg)
{
	unsigned my = (unsigned)(uintptr_t)arg * 7919 + 1, writes = 0;

	for (unsigned i = 0; i < TURNS * scale; i++) {
		struct timespec until = late(), soon;
		int error;

		my = my * 1103515245 + 12345;
		if ((my >> 16) % 4 == 0) {
			soon = in_ns((my >> 20) % 20000);
			error = my >> 30 ? pthread_rwlock_timedwrlock(&shared.lock, &until) :
				pthread_rwlock_timedwrlock(&shared.lock, &soon);
			if (!error) {
				pthread_cleanup_push(unlock_rw, &shared.lock);
				shared.a++;
				if ((my >> 18) % 16 == 0)
					sched_yield();
				shared.b++;
				writes++;
				pthread_cleanup_pop(1);
			} else if (error != ETIMEDOUT || my >> 30) {
				slept++;
			}
			continue;
		}
		error = pthread_rwlock_timedrdlock(&shared.lock, &until);
		if (error) {
			slept++;
			continue;
		}
		torn += shared.a != shared.b;
		pthread_rwlock_unlock(&shared.lock);
	}
	return (void *)(uintptr_t)writes;
}

static void rwlocks(void)
{
	pthread_t thread[THREADS];
	uint64_t writes = 0;
	void *result;

	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, reads_and_writes, (void *)i);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &result);
		writes += (uintptr_t)result;
	}
	ok(!slept && !torn && shared.a == writes, "read-write locks: %lu writes, all seen whole, and nobody slept on (%u, %u)",
	   writes, slept, torn);
	ok(!pthread_rwlock_trywrlock(&shared.lock) && !pthread_rwlock_unlock(&shared.lock), "the lock is free at last");
}

/* Through semaphores: as many come as go. */
static void *passes(void *arg)
{
	for (unsigned i = 0; i < TURNS * scale; i++) {
		struct timespec until = late();

		if (sem_timedwait(arg ? &shared.free : &shared.full, &until)) {
			slept++;
			break;
		}
		sem_post(arg ? &shared.full : &shared.free);
	}
	return NULL;
}

static void semaphores(void)
{
	pthread_t thread[THREADS];
	int free = 0, full = 0;

	slept = 0;
	sem_init(&shared.free, 0, 2);
	sem_init(&shared.full, 0, 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, passes, (void *)(i & 1));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	sem_getvalue(&shared.free, &free);
	sem_getvalue(&shared.full, &full);
	ok(!slept && free == 2 && !full, "semaphores: nobody slept on (%u, %d, %d)", slept, free, full);
}

/* A place for one thing, by signals that are sent without the mutex. */
static void *puts_or_gets(void *arg)
{
	bool put = arg != NULL;

	for (unsigned i = 0; i < TURNS * scale; i++) {
		struct timespec until = late();
		int error = 0;

		pthread_mutex_lock(&shared.mutex);
		while (shared.in != !put && !error)
			error = pthread_cond_timedwait(put ? &shared.drained : &shared.filled, &shared.mutex, &until);
		if (error)
			slept++;
		else
			shared.in = put;
		pthread_mutex_unlock(&shared.mutex);
		if (error)
			break;
		pthread_cond_signal(put ? &shared.filled : &shared.drained);
	}
	return NULL;
}

static void conditions(void)
{
	pthread_t thread[THREADS];

	slept = 0;
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, puts_or_gets, (void *)(i & 1));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ok(!slept && !shared.in, "condition variables: nobody slept on (%u)", slept);
}

/* Some of those who wait are cancelled; those who are not get what was put there. */
static _Noreturn void *gets_cancelled(void *arg)
{
	(void)arg;
	for (;;)
		if (!sem_wait(&shared.full))
			__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
}

static void cancellations(void)
{
	unsigned posts = 0;
	int left = 0;

	slept = 0;
	waiting = 0;
	sem_init(&shared.full, 0, 0);
	for (unsigned i = 0; i < ROUNDS * scale && !slept; i++) {
		pthread_t thread[3];

		for (unsigned k = 0; k < 3; k++)
			pthread_create(&thread[k], NULL, gets_cancelled, NULL);
		for (unsigned k = 0; k < 4; k++, posts++) {
			sem_post(&shared.full);
			if (draw(3) == 0)
				sched_yield();
			if (k < 2)
				pthread_cancel(thread[k]);
		}
		for (unsigned k = 0; k < 100000 && waiting < posts; k++)
			usleep(k < 100 ? 10 : 1000);
		slept += waiting < posts;
		pthread_cancel(thread[2]);
		for (unsigned k = 0; k < 3; k++)
			pthread_join(thread[k], NULL);
	}
	sem_getvalue(&shared.full, &left);
	ok(!slept && !left && waiting == posts, "%u things for threads of which two in three are cancelled: all were taken (%u)",
	   posts, waiting);
}

/* --- among processes ------------------------------------------------------------------------------------------- */

struct among {
	pthread_mutex_t mutex;		/* robust */
	pthread_cond_t cond;
	unsigned turn;
	sem_t sem;
	volatile unsigned rounds;
};

static void robust_lock(struct among *among)
{
	if (pthread_mutex_lock(&among->mutex) == EOWNERDEAD)
		pthread_mutex_consistent(&among->mutex);
}

/* Waits for things, signals, posts and takes, until it is killed. */
static _Noreturn void mad(struct among *among)
{
	for (;;) {
		struct timespec until = in_ns(300000);

		robust_lock(among);
		among->turn++;
		pthread_cond_signal(&among->cond);
		if (pthread_cond_timedwait(&among->cond, &among->mutex, &until) == EOWNERDEAD)
			pthread_mutex_consistent(&among->mutex);
		pthread_mutex_unlock(&among->mutex);
		sem_post(&among->sem);
		sem_wait(&among->sem);
	}
}

/* Goes on as long as the turn changes, whoever dies. */
static int survivor(struct among *among, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		struct timespec until = late();
		int error = 0;
		unsigned was;

		robust_lock(among);
		was = ++among->turn;
		pthread_cond_broadcast(&among->cond);
		while (among->turn == was && error != ETIMEDOUT) {
			error = pthread_cond_timedwait(&among->cond, &among->mutex, &until);
			if (error == EOWNERDEAD)
				pthread_mutex_consistent(&among->mutex);
		}
		among->rounds++;
		pthread_mutex_unlock(&among->mutex);
		if (error == ETIMEDOUT)
			return 1;
	}
	return 0;
}

static struct among *make_among(void)
{
	struct among *among = mmap(NULL, sizeof(*among), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attributes;
	pthread_condattr_t how;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&among->mutex, &attributes);
	pthread_condattr_init(&how);
	pthread_condattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&among->cond, &how);
	sem_init(&among->sem, 1, 0);
	return among;
}

static void processes(void)
{
	struct among *among = make_among();
	pid_t survivors[2], mads[2] = { 0, 0 };
	int status, bad = 0;

	for (unsigned i = 0; i < 2; i++)
		if ((survivors[i] = fork()) == 0)
			_exit(survivor(among, 200 * scale));
	for (unsigned i = 0; i < KILLED * scale; i++) {
		unsigned k = i % 2;

		if (mads[k]) {
			usleep(draw(3000));
			kill(mads[k], SIGKILL);
			waitpid(mads[k], &status, 0);
		}
		if ((mads[k] = fork()) == 0)
			mad(among);
	}
	for (unsigned i = 0; i < 2; i++) {
		waitpid(survivors[i], &status, 0);
		bad += status != 0;
	}
	for (unsigned i = 0; i < 2; i++) {
		kill(mads[i], SIGKILL);
		waitpid(mads[i], &status, 0);
	}
	ok(!bad, "among processes: %u were killed, and the others went on, %u rounds", KILLED * scale, among->rounds);
	munmap(among, sizeof(*among));
}

/* --- a thread that waits for the keeper, while others only wait ------------------------------------------------ */

static void *waits(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_cond_wait(arg, &mutex);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

/* What wakes it comes about when the end of a slice is told, too: none of both may hide the other. */
static void alarms(void)
{
	pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), late_ones = 0, rounds = 0;
	pthread_t thread;

	ok(fd >= 0 && !pthread_create(&thread, NULL, waits, &never), "a timer, and a thread that waits for good");
	for (; rounds < ROUNDS * 4 && late_ones < 3; rounds++) {
		struct itimerspec alarm = { .it_value.tv_nsec = (long)(4000 + draw(1200)) * 1000 };
		struct pollfd one = { fd, POLLIN, 0 };
		struct timespec before, after;
		uint64_t times;

		clock_gettime(CLOCK_MONOTONIC, &before);
		if (timerfd_settime(fd, 0, &alarm, NULL) || poll(&one, 1, POLL_S * 1000) != 1 || read(fd, &times, 8) != 8)
			break;
		clock_gettime(CLOCK_MONOTONIC, &after);
		late_ones += after.tv_sec - before.tv_sec >= POLL_S - 1;
	}
	ok(rounds == ROUNDS * 4 && !late_ones, "poll is woken by each alarm (%d late in %d)", late_ones, rounds);
	pthread_mutex_lock(&mutex);
	pthread_cond_signal(&never);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };

	if (argc > 1 && !strcmp(argv[argc - 1], "long=1"))
		scale = 20;
	sigaction(SIGUSR1, &action, NULL);
	alarms();
	at_once();
	rwlocks();
	semaphores();
	conditions();
	cancellations();
	processes();
	ok(!posix_ask(REQUEST_CHECK, 0, 0, 0, NULL), "the keeper is in order");
	return tap_done();
}
