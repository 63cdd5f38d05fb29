/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes. The word is 0, or who holds it (a thread's number; among processes posix_shared_self()), with
 * WAITED if somebody waits; DEAD: a robust mutex's holder has ended; LOST: it did, and nobody made the mutex
 * consistent.
 *
 * Within a process, who unlocks hands the mutex over to the first that waits: nobody starves, and a thread
 * that unlocks and locks at once lets others in. Among processes the word changes by compare-and-swap, and
 * waiters are all woken and try again. `__depth` is its holder's.
 *
 * One with a protocol lends its holder a priority (lift.c).
 *
 * M1 a robust mutex that a thread holds is in its `held`; if that is full, locking fails with EAGAIN
 */
#include <errno.h>
#include <sched.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define KIND_TYPE	3u
#define KIND_ROBUST	4u
#define KIND_SHARED	8u
#define KIND_PROTOCOL	0x30u		/* PTHREAD_PRIO_* << 4 */
#define KIND_DEAD	0x100u		/* the holder knows that the one before died */
#define WAITED		0x80000000u
#define DEAD		0x40000000u
#define LOST		0x3fffffffu
#define HELD_MAX	(sizeof(posix_first_thread.held) / sizeof(posix_first_thread.held[0]))

static uint32_t me(const pthread_mutex_t *mutex)
{
	return mutex->__kind & KIND_SHARED ? posix_shared_self() : posix_self()->number;
}

static bool swap(pthread_mutex_t *mutex, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&mutex->__word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

int posix_mutex_protocol(const pthread_mutex_t *mutex)
{
	return (int)((mutex->__kind & KIND_PROTOCOL) >> 4);
}

struct __exo_thread *posix_mutex_holder(const pthread_mutex_t *mutex)
{
	uint32_t owner = mutex->__word & ~WAITED;

	return owner && !(owner & DEAD) && owner != LOST ? posix_thread(owner) : NULL;
}

/* --- robust --------------------------------------------------------------------------------------------- */

static pthread_mutex_t **held_slot(const pthread_mutex_t *mutex)
{
	struct __exo_thread *self = posix_self();

	for (unsigned i = 0; i < HELD_MAX; i++)
		if (self->held[i] == mutex)
			return &self->held[i];
	return NULL;
}

/* Given up, robust or shared: it is another's then, and may be destroyed, so only its address is used afterwards. */
static void give(pthread_mutex_t *mutex, uint32_t word, bool waited)
{
	const bool shared = mutex->__kind & KIND_SHARED;

	if (__atomic_exchange_n(&mutex->__word, word, __ATOMIC_RELEASE) & WAITED || waited)
		posix_word_wake(&mutex->__word, UINT32_MAX, shared);
}

void posix_mutexes_abandon(struct __exo_thread *thread)
{
	for (unsigned i = 0; i < HELD_MAX; i++) {
		pthread_mutex_t *mutex = thread->held[i];
		if (!mutex)
			continue;
		thread->held[i] = NULL;
		give(mutex, mutex->__kind & KIND_DEAD ? LOST : DEAD, true);
	}
}

/* Got: `word` is what it was before. */
static int taken(pthread_mutex_t *mutex, uint32_t word)
{
	mutex->__depth = 1;
	if (mutex->__kind & KIND_ROBUST)
		*held_slot(NULL) = mutex;
	if (!(word & DEAD))
		return 0;
	mutex->__kind |= KIND_DEAD;
	return EOWNERDEAD;
}

/* --- locking -------------------------------------------------------------------------------------------- */

/* It is free, or its holder's process is gone: take it. EBUSY: it is another's. */
static int take(pthread_mutex_t *mutex, uint32_t self)
{
	uint32_t word = __atomic_load_n(&mutex->__word, __ATOMIC_RELAXED);

	if ((mutex->__kind & KIND_ROBUST) && !held_slot(NULL))
		return EAGAIN;
	for (;;) {
		uint32_t owner = word & ~WAITED;
		if (owner == LOST)
			return ENOTRECOVERABLE;
		if (owner && !(owner & DEAD)) {
			if (!(mutex->__kind & KIND_ROBUST) || !(mutex->__kind & KIND_SHARED) ||
			    !posix_shared_gone(owner))
				return EBUSY;
			if (swap(mutex, word, (word & WAITED) | DEAD))
				word = (word & WAITED) | DEAD;
		} else if (swap(mutex, word, (word & WAITED) | self)) {
			if (mutex->__kind & KIND_PROTOCOL)
				posix_lift_take(posix_self(), mutex);
			return taken(mutex, word);
		}
		word = __atomic_load_n(&mutex->__word, __ATOMIC_RELAXED);
	}
}

/* It is held: may the holder lock it again? EBUSY: no, and it is not the holder. */
static int again(pthread_mutex_t *mutex, uint32_t self)
{
	unsigned type = mutex->__kind & KIND_TYPE;

	if ((__atomic_load_n(&mutex->__word, __ATOMIC_RELAXED) & ~WAITED) != self || type == PTHREAD_MUTEX_NORMAL)
		return EBUSY;
	if (type == PTHREAD_MUTEX_ERRORCHECK)
		return EDEADLK;
	if (mutex->__depth == UINT32_MAX)
		return EAGAIN;
	mutex->__depth++;
	return 0;
}

static int wait(pthread_mutex_t *mutex, uint32_t self, exo_time_t deadline)
{
	struct __exo_thread *thread = posix_self();
	uint32_t word = __atomic_load_n(&mutex->__word, __ATOMIC_RELAXED);
	bool shared = mutex->__kind & KIND_SHARED;
	int why;

	if (!(word & ~WAITED) || (word & DEAD) || (word & ~WAITED) == LOST)
		return EBUSY;
	if (!(word & WAITED) && !swap(mutex, word, word | WAITED))
		return EBUSY;
	thread->handed = false;
	if (posix_mutex_protocol(mutex) == PTHREAD_PRIO_INHERIT)
		posix_lift_await(thread, mutex);
	why = posix_word_wait(&mutex->__word, word | WAITED, shared, deadline);
	if (thread->awaits)
		posix_lift_await(thread, NULL);
	if (thread->handed && (mutex->__word & ~WAITED) == self)
		return taken(mutex, 0);
	return why == -ETIMEDOUT ? ETIMEDOUT : EBUSY;
}

/* `until` is looked at only if it has to wait. */
static int lock(pthread_mutex_t *mutex, const struct timespec *until, clockid_t clock)
{
	uint32_t self = me(mutex);
	exo_time_t deadline = EXO_NEVER;
	int error;

	error = take(mutex, self);
	if (error == EBUSY)
		error = again(mutex, self);
	if (error == EBUSY && until && (error = posix_deadline(clock, until, &deadline)) == 0)
		error = EBUSY;
	posix_cancel_hold();
	while (error == EBUSY) {
		error = wait(mutex, self, deadline);
		if (error == EBUSY)
			error = take(mutex, self);
	}
	posix_cancel_release();
	return error;
}

/* Is the caller above the ceiling? */
static bool too_high(const pthread_mutex_t *mutex)
{
	return posix_mutex_protocol(mutex) == PTHREAD_PRIO_PROTECT &&
	       posix_self()->own_priority > (int)mutex->__ceiling;
}

/* One that is free and has nothing special about it is taken on any CPU, and given back if nobody waits. */
static bool plain(const pthread_mutex_t *mutex)
{
	return !(mutex->__kind & ~KIND_TYPE) && mutex->__kind != PTHREAD_MUTEX_RECURSIVE;
}

static bool take_plain(pthread_mutex_t *mutex)
{
	if (!plain(mutex) || !swap(mutex, 0, posix_self()->number))
		return false;
	mutex->__depth = 1;
	return true;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (take_plain(mutex))
		return 0;
	bool was = posix_enter();
	int error = too_high(mutex) ? EINVAL : lock(mutex, NULL, 0);

	posix_leave(was);
	return error;
}

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
	bool was = posix_enter();
	int error = too_high(mutex) || !posix_clock_waits(clock) ? EINVAL : lock(mutex, until, clock);

	posix_leave(was);
	return error;
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
	return pthread_mutex_clocklock(mutex, CLOCK_REALTIME, until);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	if (take_plain(mutex))
		return 0;
	bool was = posix_enter();
	uint32_t self = me(mutex);
	int error = too_high(mutex) ? EINVAL : take(mutex, self);

	if (error == EBUSY && (mutex->__kind & KIND_TYPE) == PTHREAD_MUTEX_RECURSIVE)
		error = again(mutex, self);
	posix_leave(was);
	return error;
}

/* --- unlocking ------------------------------------------------------------------------------------------ */

/* To the first of this process's threads that waits. */
static void hand_over(pthread_mutex_t *mutex)
{
	bool more;
	struct __exo_thread *next = posix_word_first(&mutex->__word, &more);

	if (!next) {
		mutex->__word = 0;
		return;
	}
	mutex->__word = next->number | (more ? WAITED : 0);
	next->handed = true;
	if (mutex->__kind & KIND_PROTOCOL)
		posix_lift_take(next, mutex);
	posix_word_wake(&mutex->__word, 1, false);
}

static int unlock(pthread_mutex_t *mutex)
{
	uint32_t word = __atomic_load_n(&mutex->__word, __ATOMIC_RELAXED);
	struct __exo_thread *self = posix_self();
	const bool lifts = mutex->__kind & KIND_PROTOCOL;

	if ((mutex->__kind & (KIND_TYPE | KIND_ROBUST | KIND_PROTOCOL)) && (word & ~WAITED) != me(mutex))
		return EPERM;
	if ((mutex->__kind & KIND_TYPE) == PTHREAD_MUTEX_RECURSIVE && --mutex->__depth)
		return 0;
	if (mutex->__kind & KIND_ROBUST) {
		pthread_mutex_t **slot = held_slot(mutex);
		if (slot)
			*slot = NULL;
	}
	if (lifts)
		posix_lift_drop(self, mutex);
	if (mutex->__kind & KIND_DEAD) {	/* not made consistent */
		mutex->__kind &= ~KIND_DEAD;
		give(mutex, LOST, true);
	} else if (mutex->__kind & KIND_SHARED) {
		give(mutex, 0, false);
	} else if (word & WAITED) {
		hand_over(mutex);
	} else {
		mutex->__word = 0;
	}
	if (lifts)
		posix_lift_end(self);
	return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (plain(mutex) && swap(mutex, posix_self()->number, 0))
		return 0;
	bool was = posix_enter();
	int error = unlock(mutex);

	posix_leave(was);
	return error;
}

int pthread_mutex_consistent(pthread_mutex_t *mutex)
{
	if (!(mutex->__kind & KIND_DEAD) || (mutex->__word & ~WAITED) != me(mutex))
		return EINVAL;
	mutex->__kind &= ~KIND_DEAD;
	return 0;
}

/* --- ceilings ------------------------------------------------------------------------------------------- */

static unsigned ceiling_of(unsigned given)
{
	return given ? given : (unsigned)sched_get_priority_min(SCHED_FIFO);
}

static bool ceiling_is_good(int ceiling)
{
	return ceiling >= sched_get_priority_min(SCHED_FIFO) && ceiling <= sched_get_priority_max(SCHED_FIFO);
}

int pthread_mutexattr_getprioceiling(const pthread_mutexattr_t *attributes, int *ceiling)
{
	if (!attributes || attributes->__kind == UINT32_MAX)
		return EINVAL;
	*ceiling = (int)ceiling_of(attributes->__ceiling);
	return 0;
}

int pthread_mutexattr_setprioceiling(pthread_mutexattr_t *attributes, int ceiling)
{
	if (!attributes || attributes->__kind == UINT32_MAX || !ceiling_is_good(ceiling))
		return EINVAL;
	attributes->__ceiling = (unsigned)ceiling;
	return 0;
}

int pthread_mutex_getprioceiling(const pthread_mutex_t *mutex, int *ceiling)
{
	if (posix_mutex_protocol(mutex) != PTHREAD_PRIO_PROTECT)
		return EINVAL;
	*ceiling = (int)mutex->__ceiling;
	return 0;
}

/* Held by the caller meanwhile, however high its priority is. */
int pthread_mutex_setprioceiling(pthread_mutex_t *mutex, int ceiling, int *old)
{
	bool was = posix_enter(), held = (mutex->__word & ~WAITED) == me(mutex);
	int error = posix_mutex_protocol(mutex) != PTHREAD_PRIO_PROTECT || !ceiling_is_good(ceiling) ? EINVAL :
		held ? 0 : lock(mutex, NULL, 0);

	if (!error) {
		if (old)
			*old = (int)mutex->__ceiling;
		mutex->__ceiling = (unsigned)ceiling;
		if (held)
			posix_lift_end(posix_self());
		else
			(void)unlock(mutex);
	}
	posix_leave(was);
	return error;
}

/* --- making --------------------------------------------------------------------------------------------- */

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	*mutex = (pthread_mutex_t){ .__kind = attributes ? attributes->__kind : 0 };
	if (attributes && attributes->__kind != UINT32_MAX)
		mutex->__ceiling = ceiling_of(attributes->__ceiling);
	/* Holders and who waits are in several processes, which have no priorities to each other. */
	return mutex->__kind & KIND_SHARED && mutex->__kind & KIND_PROTOCOL ? ENOTSUP : 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	uint32_t owner = mutex->__word & ~WAITED;

	return owner && !(owner & DEAD) && owner != LOST ? EBUSY : 0;
}

int pthread_mutexattr_init(pthread_mutexattr_t *attributes)
{
	*attributes = (pthread_mutexattr_t){ 0 };
	return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attributes)
{
	if (!attributes)
		return EINVAL;
	attributes->__kind = UINT32_MAX;
	return 0;
}

static int change(pthread_mutexattr_t *attributes, bool good, unsigned mask, unsigned bits)
{
	if (!good || attributes->__kind == UINT32_MAX)
		return EINVAL;
	attributes->__kind = (attributes->__kind & ~mask) | bits;
	return 0;
}

int pthread_mutexattr_gettype(const pthread_mutexattr_t *attributes, int *type)
{
	*type = (int)(attributes->__kind & KIND_TYPE);
	return attributes->__kind == UINT32_MAX ? EINVAL : 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attributes, int type)
{
	return change(attributes, type >= 0 && type <= PTHREAD_MUTEX_ERRORCHECK, KIND_TYPE, (unsigned)type);
}

int pthread_mutexattr_getrobust(const pthread_mutexattr_t *attributes, int *robust)
{
	*robust = attributes->__kind & KIND_ROBUST ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED;
	return attributes->__kind == UINT32_MAX ? EINVAL : 0;
}

int pthread_mutexattr_setrobust(pthread_mutexattr_t *attributes, int robust)
{
	return change(attributes, robust == PTHREAD_MUTEX_ROBUST || robust == PTHREAD_MUTEX_STALLED, KIND_ROBUST,
		      robust ? KIND_ROBUST : 0);
}

int pthread_mutexattr_getpshared(const pthread_mutexattr_t *attributes, int *shared)
{
	*shared = attributes->__kind & KIND_SHARED ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE;
	return attributes->__kind == UINT32_MAX ? EINVAL : 0;
}

int pthread_mutexattr_setpshared(pthread_mutexattr_t *attributes, int shared)
{
	return change(attributes, shared == PTHREAD_PROCESS_SHARED || shared == PTHREAD_PROCESS_PRIVATE, KIND_SHARED,
		      shared ? KIND_SHARED : 0);
}

int pthread_mutexattr_getprotocol(const pthread_mutexattr_t *attributes, int *protocol)
{
	*protocol = (int)((attributes->__kind & KIND_PROTOCOL) >> 4);
	return attributes->__kind == UINT32_MAX ? EINVAL : 0;
}

int pthread_mutexattr_setprotocol(pthread_mutexattr_t *attributes, int protocol)
{
	return change(attributes, protocol >= PTHREAD_PRIO_NONE && protocol <= PTHREAD_PRIO_PROTECT, KIND_PROTOCOL,
		      (unsigned)protocol << 4);
}
