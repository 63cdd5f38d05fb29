/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads of a process on several CPUs at once: two that wait for each other's stores without a call go round
 * thousands of times, which on one CPU would take a slice each; what synchronises threads, signals, cancellation, memory,
 * fork, exit and kill while some are on other CPUs; nothing is lost afterwards.
 *
 * Run with: --smp 2
 * Time limit: 120 s
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "libos/core/core.h"
#include "libos/posix/call.h"
#include "libos/posix/cpus.h"
#include "test/guest/tap.h"

#define THREADS	4
#define TURNS	5000
#define ROUNDS	20
#define WAIT_NS	(20 * CORE_SECOND)

static unsigned scale = 1;

/* --- what does not come home ------------------------------------------------------------------------------ */

static pthread_mutex_t free_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t free_cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t free_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t free_sem;
static pthread_key_t free_key;
static volatile bool over;
static const char uses_key_value[] = "value";

static void use_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_gettime(CLOCK_REALTIME, &now);
	time(NULL);
}

static void use_ids(void)
{
	getpid();
	getppid();
	geteuid();
	pthread_self();
}

static void use_malloc(void)
{
	void *block[8];

	for (unsigned i = 0; i < 8; i++)
		memset(block[i] = malloc(20 + 300 * i), 1, 20);
	for (unsigned i = 0; i < 8; i++)
		free(block[i]);
}

static void use_mutex(void)
{
	pthread_mutex_lock(&free_mutex);
	pthread_cond_signal(&free_cond);
	pthread_cond_broadcast(&free_cond);
	pthread_mutex_unlock(&free_mutex);
}

static void use_rwlock(void)
{
	pthread_rwlock_rdlock(&free_rwlock);
	pthread_rwlock_tryrdlock(&free_rwlock);
	pthread_rwlock_unlock(&free_rwlock);
	pthread_rwlock_unlock(&free_rwlock);
	pthread_rwlock_wrlock(&free_rwlock);
	pthread_rwlock_unlock(&free_rwlock);
}

static void use_sem(void)
{
	sem_post(&free_sem);
	sem_wait(&free_sem);
	sem_post(&free_sem);
	sem_trywait(&free_sem);
}

static void use_key(void)
{
	pthread_setspecific(free_key, pthread_getspecific(free_key) ? NULL : uses_key_value);
}

static void use_stdio(void)
{
	char text[40];

	snprintf(text, sizeof(text), "%d %s %.3f", 7, "words", 1.5);
}

static void use_getcwd(void)
{
	char path[100];

	(void)!getcwd(path, sizeof(path));
}

static const struct {
	const char *name;
	void (*use)(void);
	bool stays;
} uses[] = {
	{ "clock_gettime", use_clock, true }, { "getpid", use_ids, true }, { "malloc", use_malloc, true },
	{ "a free mutex, a condition nobody waits for", use_mutex, true }, { "a free read-write lock", use_rwlock, true },
	{ "a semaphore", use_sem, true }, { "a thread's value", use_key, true }, { "snprintf", use_stdio, true },
	{ "getcwd", use_getcwd, false },
};

/* Computes at home, and comes there again when it was sent away: so the other one is. */
static void *keep_home_busy(void *arg)
{
	while (!over)
		if (posix_away)
			sched_yield();
	return arg;
}

static bool go_away(void)
{
	exo_time_t end = core_now() + WAIT_NS;

	while (!posix_away && core_now() < end)
		;
	return posix_away;
}

/* Is it where it was after each of many of these? What else may bring it home does not so each time. */
static bool stays_away(void (*use)(void), uint64_t *ns)
{
	for (int i = 0; i < 10; i++) {
		use();
		if (!go_away())
			return false;
		use();
		if (!go_away())
			return false;
		exo_time_t begin = core_now();
		bool stays = true;
		for (int n = 0; n < 100; n++) {
			use();
			stays &= posix_away != 0;
		}
		*ns = (core_now() - begin) / 100;
		if (stays)
			return true;
	}
	return false;
}

struct used {
	bool stays;
	uint64_t ns;
};

static void *try_uses(void *arg)
{
	struct used *result = arg;

	for (unsigned i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		result[i].stays = stays_away(uses[i].use, &result[i].ns);
	over = true;
	return arg;
}

static void local_calls(void)
{
	struct used result[sizeof(uses) / sizeof(uses[0])] = { { false, 0 } };
	pthread_t thread[2];

	over = false;
	sem_init(&free_sem, 0, 0);
	pthread_key_create(&free_key, NULL);
	pthread_create(&thread[0], NULL, keep_home_busy, NULL);
	pthread_create(&thread[1], NULL, try_uses, result);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		ok(result[i].stays == uses[i].stays, "%s %s (%lu ns)", uses[i].name,
		   uses[i].stays ? "does not bring a thread home" : "does", (unsigned long)result[i].ns);
	pthread_key_delete(free_key);
}

/* --- in parallel ---------------------------------------------------------------------------------------- */

static volatile unsigned turn;

static void *go_round(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	exo_time_t end = core_now() + WAIT_NS;

	for (unsigned i = 0; i < TURNS; i++) {
		for (unsigned spins = 0; turn % 2 != me; spins++)
			if (spins % 1024 == 0 && core_now() > end)
				return arg;
		turn++;
	}
	return arg;
}

static void parallel(void)
{
	uint64_t before, after;
	pthread_t thread[2];

	posix_need_info();
	before = posix_cpus_ns();
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, go_round, (void *)i);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ok(turn == 2 * TURNS, "two threads go round without a call (%u of %u times)", turn, 2 * TURNS);
	after = posix_cpus_ns();
	ok(after > before, "another CPU's time was used");
	ok(posix_cpus_busy == 0, "all are at home");
}

/* --- synchronisation ------------------------------------------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_spinlock_t spinlock;
static sem_t sem;
static pthread_key_t key;
static unsigned long counted, passed, spun, bad;
static unsigned long pair[2];
static __thread unsigned long own;

static unsigned long work(unsigned long x, unsigned rounds)
{
	while (rounds--)
		x = x * 6364136223846793005 + 1442695040888963407;
	return x;
}

static void lost(void)
{
	__atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
}

static void *all_of_it(void *arg)
{
	unsigned long seed = (unsigned long)arg + 1;
	double sum = 0;

	pthread_setspecific(key, arg);
	for (unsigned i = 0; i < ROUNDS * scale; i++) {
		seed = work(seed, 1000 + (unsigned)(seed % 200000));
		for (unsigned k = 0; k < 200; k++) {
			pthread_mutex_lock(&mutex);
			counted++;
			pthread_mutex_unlock(&mutex);
		}
		pthread_spin_lock(&spinlock);
		spun++;
		pthread_spin_unlock(&spinlock);
		if (i % 8 == (unsigned long)arg) {
			pthread_rwlock_wrlock(&rwlock);
			pair[0]++;
			seed = work(seed, 3000);
			pair[1]++;
			pthread_rwlock_unlock(&rwlock);
		} else {
			pthread_rwlock_rdlock(&rwlock);
			if (pair[0] != pair[1])
				lost();
			pthread_rwlock_unlock(&rwlock);
		}
		own++;
		sum += (double)i;
		errno = (int)i;
		char *some = malloc(100 + seed % 5000);
		memset(some, (int)i, 100);
		if (own != i + 1 || errno != (int)i || pthread_getspecific(key) != arg || some[99] != (char)i)
			lost();
		free(some);
		if (i % 4 == 3) {
			pthread_mutex_lock(&mutex);
			passed++;
			pthread_cond_broadcast(&cond);
			while (passed < (i / 4 + 1) * THREADS)
				pthread_cond_wait(&cond, &mutex);
			pthread_mutex_unlock(&mutex);
		}
		if (i % 4 == 1)
			pthread_barrier_wait(&barrier);
		sem_post(&sem);
		while (sem_wait(&sem) && errno == EINTR)
			;
	}
	if (sum != (double)(ROUNDS * scale) * (double)(ROUNDS * scale - 1) / 2)
		lost();
	return arg;
}

static void on_signal(int number)
{
	(void)number;
	__atomic_add_fetch(&spun, 0, __ATOMIC_RELAXED);
}

static void together(bool signals)
{
	pthread_t thread[THREADS];
	void *result;
	bool good = true;

	counted = passed = spun = bad = pair[0] = pair[1] = 0;
	pthread_barrier_init(&barrier, NULL, THREADS);
	pthread_spin_init(&spinlock, 0);
	sem_init(&sem, 0, 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		good &= !pthread_create(&thread[i], NULL, all_of_it, (void *)i);
	for (unsigned i = 0; signals && i < 30 * scale; i++) {
		struct timespec pause = { 0, 1000000 };
		nanosleep(&pause, NULL);
		pthread_kill(thread[i % THREADS], SIGUSR1);
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		good &= !pthread_join(thread[i], &result) && result == (void *)i;
	ok(good && !bad, "threads that compute and synchronise%s: nothing is mixed up (%lu)",
	   signals ? ", with signals" : "", bad);
	ok(counted == THREADS * ROUNDS * scale * 200 && spun == THREADS * ROUNDS * scale && pair[0] == pair[1],
	   "all is counted (%lu, %lu, %lu %lu)", counted, spun, pair[0], pair[1]);
	pthread_barrier_destroy(&barrier);
	sem_destroy(&sem);
}

/* --- signals, cancellation -------------------------------------------------------------------------------- */

static volatile unsigned long handled[THREADS], rounds[THREADS];
static __thread volatile unsigned my_number;

static void count(int number)
{
	(void)number;
	handled[my_number]++;
}

static void *compute(void *arg)
{
	my_number = (unsigned)(uintptr_t)arg;
	for (;;)
		rounds[my_number]++;
	return NULL;
}

static void *compute_async(void *arg)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	return compute(arg);
}

static void *compute_test(void *arg)
{
	my_number = (unsigned)(uintptr_t)arg;
	for (;;) {
		rounds[my_number]++;
		if (rounds[my_number] % 65536 == 0)
			pthread_testcancel();
	}
	return NULL;
}

/* All of them compute, and those that can are away. */
static void begin(pthread_t *thread, void *(*start)(void *))
{
	struct timespec pause = { 0, 20000000 };

	for (uintptr_t i = 0; i < THREADS; i++) {
		rounds[i] = handled[i] = 0;
		pthread_create(&thread[i], NULL, start, (void *)i);
	}
	for (unsigned i = 0, running = 0; running < THREADS && i < 500; i++) {
		nanosleep(&pause, NULL);
		for (running = 0; running < THREADS && rounds[running] > 1000; running++)
			;
	}
}

static void end(pthread_t *thread, const char *what)
{
	void *result;
	bool good = true;

	for (unsigned i = 0; i < THREADS; i++)
		good &= !pthread_cancel(thread[i]);
	for (unsigned i = 0; i < THREADS; i++)
		good &= !pthread_join(thread[i], &result) && result == PTHREAD_CANCELED;
	ok(good && !posix_cpus_busy, "%s", what);
}

static void signals(void)
{
	struct timespec pause = { 0, 2000000 };
	pthread_t thread[THREADS];
	unsigned long sent[THREADS] = { 0 };
	bool good = true;

	signal(SIGUSR2, count);
	begin(thread, compute_async);
	for (unsigned i = 0; i < 13 * scale; i++) {
		unsigned to = i % THREADS;
		unsigned long before = handled[to];

		pthread_kill(thread[to], SIGUSR2);
		sent[to]++;
		for (unsigned tries = 0; tries < 5000 && handled[to] == before; tries++)
			nanosleep(&pause, NULL);
	}
	for (unsigned i = 0; i < THREADS; i++)
		good &= handled[i] == sent[i];
	ok(good, "each thread that computes gets its signals (%lu %lu %lu %lu)", handled[0], handled[1], handled[2],
	   handled[3]);
	end(thread, "those that may be cancelled anywhere end anywhere");
	begin(thread, compute_test);
	end(thread, "others at their next test");
}

/* --- faults --------------------------------------------------------------------------------------------- */

static volatile char *pages;
static volatile unsigned long faults;

static void open_page(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	faults++;
	mprotect((void *)((uintptr_t)info->si_addr & ~4095UL), 4096, PROT_READ | PROT_WRITE);
}

/* Each thread touches the same pages, some of which are new, some closed. */
static void *touch(void *arg)
{
	unsigned long seed = 1;

	for (unsigned i = 0; i < 200; i++) {
		seed = work(seed, 5000);
		__atomic_add_fetch((unsigned long *)&pages[i * 4096], 1, __ATOMIC_RELAXED);
	}
	return arg;
}

static void memory(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	pthread_t thread[THREADS];
	bool good = true;

	action.sa_sigaction = open_page;
	sigaction(SIGSEGV, &action, NULL);
	pages = mmap(NULL, 200 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < 200; i += 10)
		mprotect((void *)(pages + i * 4096), 4096, PROT_NONE);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, touch, (void *)i);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < 200; i++)
		good &= *(volatile unsigned long *)&pages[i * 4096] == THREADS;
	ok(good && faults >= 20, "pages that several CPUs touch at once, with handlers of faults (%lu)", faults);
	munmap((void *)pages, 200 * 4096);
	signal(SIGSEGV, SIG_DFL);
}

/* --- fork, exit, kill ------------------------------------------------------------------------------------- */

static int wait_status(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return status;
}

static void forks(void)
{
	pthread_t thread[THREADS];
	unsigned good = 0;

	begin(thread, compute_async);
	for (unsigned i = 0; i < 4 * scale; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			char *some = malloc(1000);
			unsigned long was = rounds[0];

			memset(some, 1, 1000);
			free(some);
			_exit(posix_thread_count() == 1 && rounds[0] == was && !posix_cpus_busy ? 7 : 1);
		}
		good += pid > 0 && wait_status(pid) == 7 << 8;
	}
	ok(good == 4 * scale, "fork while others compute: the child is alone (%u)", good);
	end(thread, "and they go on");
}

static void *exits(void *arg)
{
	work(1, 20000000);
	exit((int)(uintptr_t)arg);
}

/* A child with threads that compute on all CPUs: what ends it ends all of them. */
static void ends(void)
{
	unsigned good = 0;

	for (unsigned i = 0; i < 3 * scale; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pthread_t thread[THREADS], one;

			begin(thread, compute);
			if (i % 3 == 0)
				kill(getpid(), SIGKILL);
			if (i % 3 == 1)
				_exit(5);
			pthread_create(&one, NULL, exits, (void *)(uintptr_t)6);
			pthread_join(one, NULL);
		}
		good += wait_status(pid) == (i % 3 == 0 ? SIGKILL : i % 3 == 1 ? 5 << 8 : 6 << 8);
	}
	ok(good == 3 * scale, "a process with threads on all CPUs is killed, ends, ends by one of them (%u)", good);
}

static void killed(void)
{
	unsigned good = 0;

	for (unsigned i = 0; i < 3 * scale; i++) {
		struct timespec pause = { 0, 3000000 + (long)(i % 7) * 7777777 };
		pid_t pid = fork();

		if (pid == 0) {
			pthread_t thread[THREADS];

			for (uintptr_t k = 0; k < THREADS; k++)
				pthread_create(&thread[k], NULL, k % 2 ? compute : all_of_it, (void *)k);
			pause.tv_sec = 100;
			for (;;)
				nanosleep(&pause, NULL);
		}
		nanosleep(&pause, NULL);
		kill(pid, i % 2 ? SIGKILL : SIGTERM);
		good += wait_status(pid) == (i % 2 ? SIGKILL : SIGTERM);
	}
	ok(good == 3 * scale, "killed from outside at any time (%u)", good);
}

static void stopped(void)
{
	struct timespec pause = { 0, 30000000 };
	volatile unsigned long *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	unsigned long was;
	int status;

	if (pid == 0) {
		pthread_t thread[THREADS];

		for (uintptr_t k = 0; k < THREADS; k++)
			pthread_create(&thread[k], NULL, compute, (void *)k);
		for (;;)
			*shared = rounds[0] + rounds[1] + rounds[2] + rounds[3];
	}
	nanosleep(&pause, NULL);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	was = *shared;
	nanosleep(&pause, NULL);
	ok(WIFSTOPPED(status) && *shared == was, "a stop stops all threads");
	kill(pid, SIGCONT);
	for (unsigned i = 0; i < 500 && *shared == was; i++)
		nanosleep(&pause, NULL);
	ok(*shared != was, "they go on afterwards");
	kill(pid, SIGKILL);
	wait_status(pid);
	munmap((void *)shared, 4096);
}

/* Without a window, so it fails: what that costs the keeper it costs once. */
static void asks(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		uint32_t before = core_info->frames_free;

		for (unsigned i = 0; i < 64; i++)
			(void)posix_ask(REQUEST_CPUS, 0, 0, 0, NULL);
		_exit(before - core_info->frames_free > 64);
	}
	ok(wait_status(pid) == 0, "environments that cannot be had are asked for again and again");
}

static unsigned used(void)
{
	unsigned least = UINT32_MAX, now;

	for (unsigned i = 0; i < 20; i++) {
		struct timespec pause = { 0, 10000000 };

		nanosleep(&pause, NULL);
		now = core_info->frames_total - core_info->frames_free;
		least = now < least ? now : least;
	}
	return least;
}

int main(int argc, char **argv)
{
	unsigned before, after;

	if (argc > 1 && !strcmp(argv[argc - 1], "long=1"))
		scale = 60;
	if (!ok(core_info->cpus > 1, "several CPUs"))
		return tap_done();
	signal(SIGUSR1, on_signal);
	pthread_key_create(&key, NULL);
	parallel();
	local_calls();
	together(false);
	together(true);
	signals();
	memory();
	forks();
	ends();
	killed();
	stopped();
	asks();
	before = used();
	ends();
	killed();
	stopped();
	after = used();
	ok(after <= before + 16, "no frames are lost (%u, %u)", before, after);
	ok(!posix_ask(REQUEST_CHECK, 0, 0, 0, NULL), "the keeper is in order");
	return tap_done();
}
