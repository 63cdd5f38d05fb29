/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads: order, TLS, FPU control words, sleeping, mutex, condition, semaphore, pollers, a scheduler of
 * one's own, hundreds of them, and C11's interface on top.
 */
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>
#include "libos/core/thread.h"
#include "test/guest/tap.h"

#define MANY	300
#define MS	(CORE_SECOND / 1000)

static char trace[64];
static _Thread_local int own = 42;
static _Thread_local char own_zero[100];

static void note(char c)
{
	size_t length = strlen(trace);

	if (length < sizeof(trace) - 1)
		trace[length] = c;
}

static void letters(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(*(char *)arg);
		thread_yield();
	}
}

static void order(void)
{
	struct thread *a = thread_create("a", letters, "a"), *b = thread_create("b", letters, "b");

	ok(a && b && !trace[0], "two threads, none has run yet");
	thread_join(a);
	thread_join(b);
	ok(!strcmp(trace, "ababab"), "they take turns (%s)", trace);
}

static int tls_bad;

static void tls_thread(void *arg)
{
	int number = (int)(long)arg;
	unsigned control = 0x1f80 | (unsigned)(number % 4) << 13, now;

	tls_bad += own != 42 || own_zero[99] != 0 || (uintptr_t)&own % sizeof(int);
	own = number;
	own_zero[99] = (char)number;
	__asm__ volatile("ldmxcsr %0" :: "m"(control));
	for (int i = 0; i < 5; i++) {
		thread_yield();
		__asm__ volatile("stmxcsr %0" : "=m"(now));
		tls_bad +=
			own != number || own_zero[99] != (char)number || (now & 0x6000) != (control & 0x6000);
	}
}

static void tls(void)
{
	struct thread *threads[20];

	own = -1;
	for (long i = 0; i < 20; i++)
		threads[i] = thread_create("tls", tls_thread, (void *)i);
	for (int i = 0; i < 20; i++)
		thread_join(threads[i]);
	ok(!tls_bad && own == -1, "each thread has its own TLS and rounding mode (%d wrong)", tls_bad);
}

static void sleeper(void *arg)
{
	thread_sleep(core_now() + (uint64_t)(long)arg * MS);
	note((char)('0' + (long)arg / 5));
}

static void sleeping(void)
{
	exo_time_t start = core_now();
	struct thread *late = thread_create("late", sleeper, (void *)15),
		      *early = thread_create("early", sleeper, (void *)5);

	memset(trace, 0, sizeof(trace));
	thread_join(late);
	thread_join(early);
	exo_time_t took = core_now() - start;
	ok(!strcmp(trace, "13"), "sleepers wake in the order of their deadlines (%s)", trace);
	ok(took >= 15 * MS && took < 1000 * MS, "and not early (%lu us)", took / 1000);
	struct thread_queue nobody = { 0 };
	start = core_now();
	ok(!thread_wait(&nobody, start + 3 * MS) && core_now() >= start + 3 * MS,
	   "a wait ends at its deadline");
}

static struct thread_mutex mutex;
static struct thread_cond cond;
static struct thread_sem sem;
static int inside, most_inside, items;

static void locker(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		thread_lock(&mutex, EXO_NEVER);
		inside++;
		most_inside = inside > most_inside ? inside : most_inside;
		thread_yield();
		inside--;
		thread_unlock(&mutex);
	}
}

static void consumer(void *arg)
{
	thread_lock(&mutex, EXO_NEVER);
	while (!items)
		thread_cond_wait(&cond, &mutex, EXO_NEVER);
	items--;
	thread_unlock(&mutex);
	thread_sem_give(arg);
}

static void locks(void)
{
	struct thread *threads[8];

	for (int i = 0; i < 8; i++)
		threads[i] = thread_create("locker", locker, NULL);
	for (int i = 0; i < 8; i++)
		thread_join(threads[i]);
	ok(most_inside == 1 && !mutex.owner, "a mutex lets one in");
	for (int i = 0; i < 3; i++)
		threads[i] = thread_create("consumer", consumer, &sem);
	thread_yield();
	thread_lock(&mutex, EXO_NEVER);
	items = 3;
	thread_wake_all(&cond.waiters);
	thread_unlock(&mutex);
	bool all = true;
	for (int i = 0; i < 3; i++)
		all = thread_sem_take(&sem, core_now() + CORE_SECOND) && all;
	ok(all && items == 0, "a condition and a semaphore wake who waits");
	ok(!thread_sem_take(&sem, core_now() + MS), "a semaphore's deadline");
	for (int i = 0; i < 3; i++)
		thread_join(threads[i]);
}

static unsigned polls;
static struct thread *poll_wakes;

static exo_time_t poll(void *arg)
{
	(void)arg;
	if (++polls > 3 && poll_wakes) {
		struct thread *thread = poll_wakes;
		poll_wakes = NULL;
		thread_wake(thread);
	}
	return poll_wakes ? core_now() + MS : EXO_NEVER;
}

static void pollers(void)
{
	static struct thread_poller poller = { .poll = poll };

	thread_add_poller(&poller);
	poll_wakes = thread_current;
	ok(thread_wait(NULL, core_now() + CORE_SECOND) && polls > 3,
	   "a poller sets its own pace and wakes a thread");
}

/* Last in, first out. */
static struct thread *stack;

static void lifo_ready(struct thread *thread)
{
	thread->next = stack;
	stack = thread;
}

static struct thread *lifo_pick(void)
{
	struct thread *thread = stack;

	if (thread)
		stack = thread->next;
	return thread;
}

static struct thread *lifo_turn(struct thread *thread)
{
	lifo_ready(thread);
	return lifo_pick();
}

static void one_letter(void *arg)
{
	note(*(char *)arg);
}

static void own_scheduler(void)
{
	static const struct sched lifo = { "last in first out", lifo_ready, lifo_pick, lifo_turn };
	struct thread *threads[3];

	memset(trace, 0, sizeof(trace));
	threads[0] = thread_create("x", one_letter, "x");
	thread_schedule_by(&lifo);
	threads[1] = thread_create("y", one_letter, "y");
	threads[2] = thread_create("z", one_letter, "z");
	for (int i = 0; i < 3; i++)
		thread_join(threads[i]);
	thread_schedule_by(&sched_rr);
	ok(!strcmp(trace, "zyx"), "the scheduler can be replaced while threads wait (%s)", trace);
}

static mtx_t c_mutex;
static tss_t c_key;
static int c_sum, c_destroyed;

static void c_destructor(void *value)
{
	c_destroyed += *(int *)value;
}

static int c_thread(void *arg)
{
	static int value = 1;

	tss_set(c_key, &value);
	mtx_lock(&c_mutex);
	c_sum += (int)(long)arg;
	thrd_yield();
	mtx_unlock(&c_mutex);
	return *(int *)tss_get(c_key) + (int)(long)arg;
}

static int nothing(void *arg)
{
	return arg != NULL;
}

static void many(void)
{
	static thrd_t threads[MANY];
	int made = 0, result = 0, sum = 0;

	mtx_init(&c_mutex, mtx_plain);
	tss_create(&c_key, c_destructor);
	for (long i = 0; i < MANY; i++)
		made += thrd_create(&threads[i], c_thread, (void *)i) == thrd_success;
	for (int i = 0; i < made; i++) {
		thrd_join(threads[i], &result);
		sum += result;
	}
	ok(made == MANY && sum == MANY * (MANY - 1) / 2 + MANY, "%d C11 threads, joined with their results",
	   made);
	ok(c_sum == MANY * (MANY - 1) / 2 && c_destroyed == MANY,
	   "each under a mutex, each with a value of its own");
	ok(mtx_trylock(&c_mutex) == thrd_success && mtx_lock(&c_mutex) == thrd_error,
	   "a plain mutex is not recursive");
	uint32_t cycles = 0;
	for (; cycles < 2000; cycles++) {
		thrd_t thread;
		if (thrd_create(&thread, nothing, NULL) || thrd_join(thread, NULL))
			break;
	}
	ok(cycles == 2000, "2000 threads one after another");
	struct timespec until = { 0 };
	clock_gettime(CLOCK_REALTIME, &until);
	ok(mtx_timedlock(&c_mutex, &until) != thrd_success, "a held mutex cannot be had");
}

int main(void)
{
	order();
	tls();
	sleeping();
	locks();
	pollers();
	own_scheduler();
	many();
	return tap_done();
}
