/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Semaphores. One with a name is a page of a memory object of that name, mapped once however often it is
 * opened.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define VALID		0x6d657301u
#define PREFIX		"/sem."
#define LEAVE_NS	1000000000	/* that destroying waits for those who were let go, at most */
#define LOOK_NS		50000		/* between two looks */

static int fail(int error)
{
	errno = error;
	return -1;
}

int sem_init(sem_t *sem, int shared, unsigned value)
{
	if (value > SEM_VALUE_MAX)
		return fail(EINVAL);
	*sem = (sem_t){ .__value = value, .__shared = shared != 0, .__valid = VALID };
	return 0;
}

/* Of other processes it is not known who was let go, and has not got out yet. */
static bool blocks(sem_t *sem)
{
	bool more;

	return sem->__shared ? sem->__waiters != 0 : posix_word_first(&sem->__value, &more) != NULL;
}

/* Those whom a post has let go are let out first: its memory may be used for something else at once. */
int sem_destroy(sem_t *sem)
{
	exo_time_t end = core_now() + LEAVE_NS;
	uint32_t nothing = 0;

	if (sem->__valid != VALID)
		return fail(EINVAL);
	bool was = posix_enter();

	posix_cancel_hold();
	while (__atomic_load_n(&sem->__waiters, __ATOMIC_ACQUIRE) && !blocks(sem) && core_now() < end)
		posix_word_wait(&nothing, 0, false, core_now() + LOOK_NS);
	int error = sem->__waiters ? EBUSY : 0;

	posix_cancel_release();
	posix_leave(was);
	if (error)
		return fail(error);
	sem->__valid = 0;
	return 0;
}

static bool take(sem_t *sem)
{
	unsigned value = __atomic_load_n(&sem->__value, __ATOMIC_RELAXED);

	while (value && !__atomic_compare_exchange_n(&sem->__value, &value, value - 1, false, __ATOMIC_ACQUIRE,
	    __ATOMIC_RELAXED))
		;
	return value != 0;
}

int sem_trywait(sem_t *sem)
{
	if (sem->__valid != VALID)
		return fail(EINVAL);
	return take(sem) ? 0 : fail(EAGAIN);
}

static void uncount(void *sem)
{
	__atomic_sub_fetch(&((sem_t *)sem)->__waiters, 1, __ATOMIC_ACQ_REL);
}

/* Inside brackets. */
static int await(sem_t *sem, exo_time_t deadline)
{
	int why = 0;

	__atomic_add_fetch(&sem->__waiters, 1, __ATOMIC_ACQ_REL);
	pthread_cleanup_push(uncount, sem);
	while (!take(sem)) {
		if (why)
			goto out;
		why = posix_word_wait(&sem->__value, 0, sem->__shared, deadline);
		if (take(sem))		/* who was woken for it takes it, even if it is cancelled: nobody else was */
			break;
		posix_cancel_check();
	}
	why = 0;
out:
	pthread_cleanup_pop(1);
	return why;
}

static int wait_until(sem_t *sem, clockid_t clock, const struct timespec *until)
{
	exo_time_t deadline = EXO_NEVER;
	int error = 0;

	if (sem->__valid != VALID || !posix_clock_waits(clock))
		return fail(EINVAL);
	posix_cancel_check();
	if (take(sem))
		return 0;
	bool was = posix_enter();
	if (!take(sem) && (!until || (error = posix_deadline(clock, until, &deadline)) == 0))
		error = -await(sem, deadline);
	posix_leave(was);
	return error ? fail(error) : 0;
}

int sem_wait(sem_t *sem)
{
	return wait_until(sem, CLOCK_REALTIME, NULL);
}

int sem_timedwait(sem_t *sem, const struct timespec *until)
{
	return wait_until(sem, CLOCK_REALTIME, until);
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
	return wait_until(sem, clock, until);
}

int sem_post(sem_t *sem)
{
	const bool shared = sem->__shared;
	uint64_t pair = posix_pair(&sem->__value);

	if (sem->__valid != VALID)
		return fail(EINVAL);
	do {
		if ((uint32_t)pair == SEM_VALUE_MAX)
			return fail(EOVERFLOW);
	} while (!posix_pair_change(&sem->__value, &pair, (uint32_t)pair + 1));
	if (pair >> 32) {		/* from here on `sem` is an address only */
		bool was = posix_enter();

		posix_word_wake(&sem->__value, 1, shared);
		posix_leave(was);
	}
	return 0;
}

int sem_getvalue(sem_t *sem, int *value)
{
	if (sem->__valid != VALID)
		return fail(EINVAL);
	*value = (int)sem->__value;
	return 0;
}

/* --- with names ----------------------------------------------------------------------------------------- */

static struct named {
	struct named *next;
	sem_t *sem;
	unsigned opened;
	ino_t node;
} *named;
static pthread_mutex_t named_lock = PTHREAD_MUTEX_INITIALIZER;

/* "/sem.NAME"; false: no such name can be. */
static bool object_name(const char *name, char path[NAME_MAX + 2])
{
	size_t length;

	while (*name == '/')
		name++;
	length = strlen(name);
	if (length >= PATH_MAX || strcspn(name, "/") + sizeof(PREFIX) > NAME_MAX + 1) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (!length || strchr(name, '/')) {
		errno = EINVAL;
		return false;
	}
	memcpy(path, PREFIX, sizeof(PREFIX));
	strcpy(path + sizeof(PREFIX) - 1, name);
	return true;
}

/* Map the object; if it is in use here already, what is there. */
static sem_t *attach(int fd)
{
	struct named *entry;
	struct stat st;
	sem_t *sem;

	if (fstat(fd, &st) < 0)
		return SEM_FAILED;
	for (entry = named; entry; entry = entry->next)
		if (entry->node == st.st_ino) {
			entry->opened++;
			return entry->sem;
		}
	entry = malloc(sizeof(*entry));
	sem = entry ? mmap(NULL, sizeof(*sem), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (sem == MAP_FAILED) {
		free(entry);
		return SEM_FAILED;
	}
	*entry = (struct named){ named, sem, 1, st.st_ino };
	named = entry;
	return sem;
}

/* It is complete before it has its name: who opens it in between waits for its `__valid`. */
static sem_t *open_named(const char *path, int flags, mode_t mode, unsigned value)
{
	int fd = shm_open(path, O_RDWR | (flags & (O_CREAT | O_EXCL)), mode);
	struct stat st;
	sem_t *sem = SEM_FAILED;

	if (fd < 0)
		return SEM_FAILED;
	if (fstat(fd, &st) == 0 && (st.st_size || ftruncate(fd, sizeof(sem_t)) == 0)) {
		sem = attach(fd);
		if (sem != SEM_FAILED && sem->__valid != VALID)
			*sem = (sem_t){ .__value = value, .__shared = 1, .__valid = VALID };
	}
	close(fd);
	return sem;
}

sem_t *sem_open(const char *name, int flags, ...)
{
	char path[NAME_MAX + 2];
	unsigned value = 0;
	mode_t mode = 0;
	va_list list;
	sem_t *sem;

	if (flags & O_CREAT) {
		va_start(list, flags);
		mode = (mode_t)va_arg(list, int);
		value = va_arg(list, unsigned);
		va_end(list);
		if (value > SEM_VALUE_MAX) {
			errno = EINVAL;
			return SEM_FAILED;
		}
	}
	if (!object_name(name, path))
		return SEM_FAILED;
	posix_cancel_hold();
	pthread_mutex_lock(&named_lock);
	sem = open_named(path, flags, mode, value);
	pthread_mutex_unlock(&named_lock);
	posix_cancel_release();
	return sem;
}

int sem_close(sem_t *sem)
{
	struct named **link, *entry;
	int error = EINVAL;

	pthread_mutex_lock(&named_lock);
	for (link = &named; (entry = *link); link = &entry->next) {
		if (entry->sem != sem)
			continue;
		error = 0;
		if (--entry->opened == 0) {
			*link = entry->next;
			munmap(sem, sizeof(*sem));
			free(entry);
		}
		break;
	}
	pthread_mutex_unlock(&named_lock);
	return error ? fail(error) : 0;
}

int sem_unlink(const char *name)
{
	char path[NAME_MAX + 2];

	int result;

	if (!object_name(name, path))
		return errno == EINVAL ? fail(ENOENT) : -1;
	posix_cancel_hold();
	result = shm_unlink(path);
	posix_cancel_release();
	return result;
}
