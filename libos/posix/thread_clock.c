/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU-time clocks of threads.
 *
 * The kernel knows the time of environments. Of a process with one thread that is the thread's. From the second thread on
 * the scheduler here, core's round robin but for this, reads the CPU's counter whenever another thread gets the CPU (sched.c
 * does the same for priorities); so each thread has counts, and its time is its part of the home's: what other processes took
 * meanwhile is counted to nobody, though a thread that ran just then is thought to have had a bit more of it. Counts on other
 * CPUs are apart. What was used before there was a second thread is the first one's.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>
#include "libos/core/spawn.h"
#include "libos/posix/call.h"
#include "libos/posix/cpus.h"
#include "libos/uni/clock.h"

#define CLOCKS	0x10000			/* | a thread's number: its clock */

static struct thread *head, *tail;
static struct thread *whose;		/* the counts since `since`; NULL: nobody's, no thread is ready */
static uint64_t since, all, all_away;	/* counts of all threads that there ever were */
static uint64_t before;			/* ns of the home before they were counted */
static bool counts, before_known;

static inline uint64_t counter(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline void charge(struct thread *next)
{
	uint64_t now = counter();
	struct __exo_thread *thread = whose ? whose->local : NULL;

	if (thread) {
		thread->counts += now - since;
		all += now - since;
	}
	whose = next;
	since = now;
}

void posix_clock_charge(struct thread *next)
{
	if (counts)
		charge(next);
}

/* --- round robin, counted ------------------------------------------------------------------------------------- */

static void ready(struct thread *thread)
{
	thread->next = NULL;
	if (head)
		tail->next = thread;
	else
		head = thread;
	tail = thread;
}

static struct thread *pick(void)
{
	struct thread *thread = head;

	if (thread)
		head = thread->next;
	charge(thread);
	return thread;
}

static struct thread *turn(struct thread *thread)
{
	if (!head)
		return thread;
	ready(thread);
	return pick();
}

static const struct sched counted = { "round robin, counted", ready, pick, turn };

void posix_clock_start(void)
{
	if (counts)
		return;
	counts = true;
	whose = thread_current;
	since = counter();
	if (!posix_sched_levels)
		thread_schedule_by(&counted);
}

void posix_clock_forked(void)
{
	posix_self()->counts = posix_self()->counts_away = posix_self()->told_ns = 0;
	all = all_away = before = 0;
	before_known = counts;
	whose = thread_current;
	since = counter();
}

void posix_clock_away(struct __exo_thread *thread)
{
	thread->away_since = counter();
}

void posix_clock_home(struct __exo_thread *thread)
{
	uint64_t counted_there = counter() - thread->away_since;

	thread->counts_away += counted_there;
	all_away += counted_there;
}

/* --- the time ------------------------------------------------------------------------------------------------- */

static uint64_t part(uint64_t ns, uint64_t counted_here, uint64_t of)
{
	return of ? (uint64_t)((unsigned __int128)ns * counted_here / of) : 0;
}

static uint64_t part_away(const struct __exo_thread *thread)
{
	uint64_t now = counter(), own = thread->counts_away, of = all_away;

	for (unsigned i = 0; i < WIRE_CPUS; i++) {
		const struct __exo_thread *other = posix_cpu[i].thread;

		of += other ? now - other->away_since : 0;
		own += other == thread ? now - other->away_since : 0;
	}
	return part(posix_cpus_ns(), own, of);
}

static uint64_t ns_of(uint64_t counted_here)
{
	return (uint64_t)((unsigned __int128)counted_here * core_info->clock.scale >> 32);
}

/* Never less than it was before. */
static uint64_t time_of(struct __exo_thread *thread)
{
	uint64_t home, ns;

	posix_need_info();
	home = info_cpu_ns();
	if (!counts)
		return home;
	charge(thread_current);
	if (!before_known)
		before = home > ns_of(all) ? home - ns_of(all) : 0;
	before_known = true;
	ns = part(home > before ? home - before : 0, thread->counts, all) + (thread->number == 1 ? before : 0);
	ns += part_away(thread);
	if (ns > thread->told_ns)
		thread->told_ns = ns;
	return thread->told_ns;
}

uint32_t posix_clock_thread(clockid_t clock)
{
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return posix_self()->number;
	return clock > CLOCKS && clock <= CLOCKS + POSIX_THREADS_MAX && posix_thread((uint32_t)(clock - CLOCKS)) ?
		(uint32_t)(clock - CLOCKS) : 0;
}

uint64_t posix_clock_ns(uint32_t number)
{
	bool was = posix_enter();
	struct __exo_thread *thread = posix_thread(number);
	uint64_t ns = thread ? time_of(thread) : 0;

	posix_leave(was);
	return ns;
}

bool clock_more(clockid_t clock, uint64_t *ns)
{
	uint32_t number = posix_clock_thread(clock);

	if (number && ns)
		*ns = posix_clock_ns(number);
	return number != 0;
}

int pthread_getcpuclockid(pthread_t thread, clockid_t *clock)
{
	if (!posix_thread_of(thread))
		return ESRCH;
	*clock = CLOCKS + thread->number;
	return 0;
}
