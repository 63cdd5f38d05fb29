/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whoever has taken an object may destroy it and unmap its memory at once, while another thread is still in the call that
 * gave it: semaphores, read-write locks, mutexes, barriers. The giver is stepped, instruction by instruction, by the CPU's
 * trap flag, and the page goes in the very moment in which the object is free; and on two CPUs, hundreds of times.
 *
 * Run with: --smp 2
 * Time limit: 120 s
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "libos/core/core.h"
#include "test/guest/tap.h"

#define PAGE	4096
#define TRAP	0x100
#define ROUNDS	200

/* --- one step after another ----------------------------------------------------------------------------------- */

static struct {
	volatile unsigned *word;	/* as another mapping shows it */
	unsigned given;			/* what it is when the object is free */
	void *page;
	volatile unsigned steps;
	volatile bool gone;
} watched;

/* As the thread that has waited for it would. */
static void on_step(int number, siginfo_t *info, void *context)
{
	greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];

	(void)number;
	(void)info;
	watched.steps++;
	if (*watched.word != watched.given)
		return;
	watched.gone = munmap(watched.page, PAGE) == 0;
	*flags &= ~TRAP;
}

static void *map_at(int fd)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* give(object), where the object's page goes as soon as its first word is `given`. */
static bool gives(int (*give)(void *), void *object, void *seen, unsigned given)
{
	int result;

	watched.word = seen;
	watched.given = given;
	watched.page = object;
	watched.steps = 0;
	watched.gone = false;
	__asm__ volatile("pushfq\n\torq %0, (%%rsp)\n\tpopfq" :: "i"(TRAP) : "memory", "cc");
	result = give(object);
	__asm__ volatile("pushfq\n\tandq %0, (%%rsp)\n\tpopfq" :: "i"(~TRAP) : "memory", "cc");
	return result == 0 && watched.gone && watched.steps > 3;
}

static int post(void *sem)
{
	return sem_post(sem);
}

static int unlock_rwlock(void *lock)
{
	return pthread_rwlock_unlock(lock);
}

static int unlock_mutex(void *mutex)
{
	return pthread_mutex_unlock(mutex);
}

/* A process that waits for the semaphore in the other mapping. */
static pid_t waits(sem_t *sem)
{
	pid_t pid = fork();

	if (!pid)
		_exit(sem_wait(sem) != 0);
	while (!sem->__waiters)
		sched_yield();
	return pid;
}

static bool ended(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void stepped(void)
{
	const struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
	int fd = shm_open("/stepped", O_RDWR | O_CREAT, 0600);
	void *seen;
	pid_t pid;

	sigaction(SIGTRAP, &action, NULL);
	if (!ok(fd >= 0 && !ftruncate(fd, PAGE) && (seen = map_at(fd)) != MAP_FAILED, "a page, mapped twice"))
		return;
	sem_init(seen, 1, 0);
	ok(gives(post, map_at(fd), seen, 1), "a semaphore's page goes before sem_post has returned");
	sem_init(seen, 1, 0);
	pid = waits(seen);
	ok(gives(post, map_at(fd), seen, 1), "and where somebody waits");
	sem_post(seen);
	ok(ended(pid), "who is let in by the next one");

	memset(seen, 0, PAGE);
	pthread_rwlock_wrlock(seen);
	ok(gives(unlock_rwlock, map_at(fd), seen, 0), "a read-write lock's, when its writer gives it back");
	pthread_rwlock_rdlock(seen);
	pthread_rwlock_rdlock(seen);
	ok(gives(unlock_rwlock, map_at(fd), seen, 1), "one of two readers");
	ok(gives(unlock_rwlock, map_at(fd), seen, 0), "and the last one");

	memset(seen, 0, PAGE);
	pthread_mutex_lock(seen);
	ok(gives(unlock_mutex, map_at(fd), seen, 0), "a mutex's");
	shm_unlink("/stepped");
	close(fd);
}

/* --- two CPUs ------------------------------------------------------------------------------------------------- */

struct object {
	sem_t sem;
	pthread_rwlock_t lock;
	pthread_mutex_t mutex;
	pthread_barrier_t barrier;
	bool held;
};
static struct object *volatile offered;
static void (*volatile give)(struct object *);
static volatile bool over;

static void *giver(void *arg)
{
	while (!over) {
		struct object *object = offered;

		if (!object)
			continue;
		offered = NULL;
		give(object);
	}
	return arg;
}

static void give_sem(struct object *object)
{
	sem_post(&object->sem);
}

static void take_sem(struct object *object)
{
	sem_wait(&object->sem);
}

static void give_lock(struct object *object)
{
	pthread_rwlock_wrlock(&object->lock);
	__atomic_store_n(&object->held, true, __ATOMIC_RELEASE);
	pthread_rwlock_unlock(&object->lock);
}

static void take_lock(struct object *object)
{
	while (!__atomic_load_n(&object->held, __ATOMIC_ACQUIRE))
		;
	pthread_rwlock_rdlock(&object->lock);
	pthread_rwlock_unlock(&object->lock);
	pthread_rwlock_destroy(&object->lock);
}

static void give_mutex(struct object *object)
{
	pthread_mutex_lock(&object->mutex);
	__atomic_store_n(&object->held, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&object->mutex);
}

static void take_mutex(struct object *object)
{
	while (!__atomic_load_n(&object->held, __ATOMIC_ACQUIRE))
		;
	pthread_mutex_lock(&object->mutex);
	pthread_mutex_unlock(&object->mutex);
	pthread_mutex_destroy(&object->mutex);
}

static void meet(struct object *object)
{
	pthread_barrier_wait(&object->barrier);
}

static void meet_and_destroy(struct object *object)
{
	pthread_barrier_wait(&object->barrier);
	pthread_barrier_destroy(&object->barrier);
}

static void rounds(const char *name, void (*gives_it)(struct object *), void (*takes_it)(struct object *))
{
	pthread_t thread;
	unsigned done;

	over = false;
	give = gives_it;
	pthread_create(&thread, NULL, giver, NULL);
	for (done = 0; done < ROUNDS; done++) {
		struct object *object = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (object == MAP_FAILED || sem_init(&object->sem, 0, 0) ||
		    pthread_barrier_init(&object->barrier, NULL, 2))
			break;
		offered = object;
		takes_it(object);
		munmap(object, PAGE);
	}
	over = true;
	pthread_join(thread, NULL);
	ok(done == ROUNDS, "%s: unmapped as soon as it was taken, %u times", name, done);
}

int main(void)
{
	setenv("EXO_FAULTS", "1", 1);	/* says where, if it ends by one */
	stepped();
	rounds("semaphores", give_sem, take_sem);
	rounds("read-write locks", give_lock, take_lock);
	rounds("mutexes", give_mutex, take_mutex);
	rounds("barriers", meet, meet_and_destroy);
	return tap_done();
}
