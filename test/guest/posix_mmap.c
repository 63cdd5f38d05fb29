/* SPDX-License-Identifier: BSD-2-Clause */
/* mmap and its kin, and memory that processes share. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libos/core/core.h"
#include "test/guest/tap.h"

#define PAGE	4096
#define RW	(PROT_READ | PROT_WRITE)
#define FILE_PATH "/dev/shm/mmap"

static sigjmp_buf back;
static volatile int came, came_code;

static void handler(int number, siginfo_t *info, void *context)
{
	(void)context;
	came = number;
	came_code = info->si_code;
	siglongjmp(back, 1);
}

/* The signal that a read or write of a byte makes; 0: none. */
static int touch(volatile char *at, bool write)
{
	came = 0;
	if (!sigsetjmp(back, 1)) {
		if (write)
			*at = 1;
		else
			(void)*at;
	}
	return came;
}

static bool zeros(const char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i])
			return false;
	return true;
}

static void anonymous(void)
{
	char *at = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *same;

	ok(at != MAP_FAILED && zeros(at, 8 * PAGE), "anonymous memory is zeros");
	memset(at, 7, 8 * PAGE);
	ok(!munmap(at + 2 * PAGE, 2 * PAGE) && at[PAGE] == 7 && at[4 * PAGE] == 7, "a hole in it");
	ok(touch(at + 2 * PAGE, false) == SIGSEGV && came_code == SEGV_MAPERR, "which is not there");
	same = mmap(at + 2 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ok(same == at + 2 * PAGE && zeros(same, PAGE) && touch(at + 3 * PAGE, true) == SIGSEGV,
	   "MAP_FIXED into the hole");
	same = mmap(at, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ok(same == at && zeros(at, PAGE) && at[PAGE] == 7, "MAP_FIXED over what is there");
	same = mmap(at + 3 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(same == at + 3 * PAGE, "a hint that is free");
	ok(mmap(NULL, 0, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL, "no bytes");
	ok(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL, "neither shared nor private");
	ok(mmap(at + 1, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED &&
	   errno == EINVAL, "fixed, askew");
	ok(mmap(NULL, SIZE_MAX / 2, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM,
	   "too much");
	ok(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF, "no descriptor");
	ok(munmap(at + 1, PAGE) < 0 && errno == EINVAL && !munmap(at, 8 * PAGE) && !munmap(at, 8 * PAGE),
	   "unmapped, twice");
}

/* The device that reads as zeros, as programs map it that know no anonymous memory. */
static void zero_device(void)
{
	int fd = open("/dev/zero", O_RDWR), reads = open("/dev/zero", O_RDONLY), writes = open("/dev/zero", O_WRONLY), status = 0;
	char *own = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, reads, 0), *all = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);

	ok(own != MAP_FAILED && all != MAP_FAILED && zeros(own, 2 * PAGE) && zeros(all, PAGE), "/dev/zero is mapped");
	pid_t pid = fork();
	if (!pid) {
		own[0] = all[0] = 5;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ok(own[0] == 0 && all[0] == 5, "private or shared");
	ok(mmap(NULL, PAGE, RW, MAP_SHARED, reads, 0) == MAP_FAILED && errno == EACCES, "not to be written if it is open to be read");
	ok(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writes, 0) == MAP_FAILED && errno == EACCES, "not at all if to be written");
	munmap(own, 2 * PAGE);
	munmap(all, PAGE);
	close(fd);
	close(reads);
	close(writes);
	fd = open("/dev/null", O_RDWR);
	ok(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == ENODEV, "others are not");
	close(fd);
}

static void protection(void)
{
	char *at = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(at, 5, 4 * PAGE);
	ok(!mprotect(at + PAGE, PAGE, PROT_READ) && touch(at + PAGE, true) == SIGSEGV && came_code == SEGV_ACCERR &&
	   !touch(at + PAGE, false) && !touch(at, true) && !touch(at + 2 * PAGE, true),
		   "a page that can only be read");
	ok(!mprotect(at + PAGE, PAGE, PROT_NONE) && touch(at + PAGE, false) == SIGSEGV, "not even that");
	ok(!mprotect(at, 4 * PAGE, RW) && !touch(at + PAGE, true) && at[PAGE + 1] == 5,
	   "with all its rights and bytes again");
	ok(mprotect(at, 5 * PAGE, PROT_READ) < 0 && errno == ENOMEM &&
	   mprotect(at + 1, PAGE, PROT_READ) < 0 && errno == EINVAL,
	   "errors of mprotect");
	ok(!madvise(at, PAGE, MADV_DONTNEED) && zeros(at, PAGE) && at[PAGE + 1] == 5, "forgotten");
	ok(posix_madvise(at, PAGE, 77) == EINVAL && !posix_madvise(at, PAGE, POSIX_MADV_WILLNEED) &&
	   posix_madvise(at, 9 * PAGE, 0) == ENOMEM, "posix_madvise");
	munmap(at, 4 * PAGE);
}

static int make_file(size_t bytes)
{
	char text[100];
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC, 0644);

	for (size_t i = 0; i < bytes; i += sizeof(text)) {
		memset(text, 'a' + (int)(i / sizeof(text) % 26), sizeof(text));
		write(fd, text, bytes - i < sizeof(text) ? bytes - i : sizeof(text));
	}
	return fd;
}

static void files(void)
{
	int fd = make_file(5000), reading;
	char *private = mmap(NULL, 5000, RW, MAP_PRIVATE, fd, 0),
		*shared = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
	char bytes[4];

	if (!ok(fd >= 0 && private != MAP_FAILED && shared != MAP_FAILED, "a file, mapped twice"))
		return;
	ok(private != MAP_FAILED && private[0] == 'a' && private[100] == 'b' && private[4999] == 'x' &&
	   zeros(private + 5000, 2 * PAGE - 5000),
	   "a private map of a file, with zeros behind its end");
	ok(shared != MAP_FAILED && shared[0] == 'a' && shared[4999] == 'x', "a shared one");
	private[0] = '1';
	shared[1] = '2';
	ok(pread(fd, bytes, 2, 0) == 2 && bytes[0] == 'a' && bytes[1] == '2',
	   "what is written through it is in the file, else not");
	pwrite(fd, "34", 2, 2);
	ok(shared[2] == '3' && shared[3] == '4', "and what is written to the file is there");
	ok(touch(shared + 2 * PAGE, false) == SIGBUS && came_code == BUS_ADRERR, "SIGBUS behind the file's end");
	ok(!msync(shared, 2 * PAGE, MS_SYNC) && shared[1] == '2', "msync");
	ok(msync(shared, 99 * PAGE, MS_SYNC) < 0 && errno == ENOMEM &&
	   msync(shared, PAGE, MS_SYNC | MS_ASYNC) < 0 && errno == EINVAL,
	   "errors of msync");
	ok(!ftruncate(fd, 100) && touch(shared + PAGE, true) == SIGBUS && !touch(shared, true),
	   "the file is cut under it");
	ok(!ftruncate(fd, 3 * PAGE) && !touch(shared + PAGE, true) && shared[PAGE + 1] == 0, "and grows again");
	close(fd);
	shared[5] = '5';
	ok(shared[5] == '5' && !munmap(shared, PAGE) && !touch(shared + PAGE, true),
	   "the descriptor is closed, a part is unmapped");
	munmap(shared + PAGE, 2 * PAGE);
	munmap(private, 5000);
	reading = open(FILE_PATH, O_RDONLY);
	ok(mmap(NULL, PAGE, RW, MAP_SHARED, reading, 0) == MAP_FAILED && errno == EACCES,
	   "shared, to be written, of what is to be read");
	shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reading, 0);
	ok(shared != MAP_FAILED && shared[5] == '5' && mprotect(shared, PAGE, RW) < 0 && errno == EACCES,
	   "and not later");
	ok(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reading, 1) == MAP_FAILED && errno == EINVAL, "an offset askew");
	munmap(shared, PAGE);
	private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, reading, PAGE);
	ok(private != MAP_FAILED && private[0] == 1 && touch(private, true) == SIGSEGV &&
	   !mprotect(private, PAGE, RW) &&
	   !touch(private, true), "a private one may be written");
	munmap(private, PAGE);
	close(reading);
	unlink(FILE_PATH);
}

struct together {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_barrier_t barrier;
	sem_t sem;
	int count, stage;
};

static void init(struct together *all)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;

	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&all->mutex, &mutex);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&all->cond, &cond);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&all->barrier, &barrier, 2);
	sem_init(&all->sem, 1, 0);
}

static int child(struct together *all)
{
	pthread_barrier_wait(&all->barrier);
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&all->mutex);
		all->count++;
		pthread_mutex_unlock(&all->mutex);
	}
	sem_wait(&all->sem);
	pthread_mutex_lock(&all->mutex);
	all->stage = 1;
	pthread_cond_signal(&all->cond);
	return 0;		/* with the mutex held */
}

static void processes(void)
{
	struct together *all = mmap(NULL, sizeof(*all), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *own = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = -1, error = 0;
	pid_t pid;

	if (!ok(all != MAP_FAILED && own != MAP_FAILED, "shared memory without a name"))
		return;
	init(all);
	own[0] = 1;
	pid = fork();
	if (!pid) {
		own[0] = 2;
		_exit(child(all));
	}
	pthread_barrier_wait(&all->barrier);
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&all->mutex);
		all->count++;
		pthread_mutex_unlock(&all->mutex);
	}
	pthread_mutex_lock(&all->mutex);
	sem_post(&all->sem);
	while (!all->stage)
		error = pthread_cond_wait(&all->cond, &all->mutex);
	ok(all->stage && error == EOWNERDEAD, "the mutex's holder was another process, which has ended");
	ok(!pthread_mutex_consistent(&all->mutex) && !pthread_mutex_unlock(&all->mutex), "made consistent");
	ok(waitpid(pid, &status, 0) == pid && status == 0 && all->count == 400 && own[0] == 1,
	   "both have counted; private memory is private");
	munmap(all, sizeof(*all));
	munmap(own, PAGE);
}

static uint64_t frames(void)
{
	return core_info->frames_free;
}

/* Memory is locked when it is there. */
static void locked(void)
{
	const size_t bytes = 64 * 4096;	/* some of it may lie in frames that the process has already */
	uint64_t before;
	char *map, *hole, *past;
	int fd = open("/tmp/locked", O_CREAT | O_RDWR | O_TRUNC, 0600), status;
	pid_t child;

	ok(mlockall(0) == -1 && errno == EINVAL && mlockall(MCL_CURRENT | 64) == -1 && errno == EINVAL && !munlockall(), "EINVAL");
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	before = frames();
	ok(!mlockall(MCL_CURRENT) && before - frames() >= 32, "all that is mapped is there");
	ok(!mlockall(MCL_CURRENT | MCL_FUTURE), "and what will be");
	before = frames();
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(map != MAP_FAILED && before - frames() >= 32, "a map");
	before = frames();
	ok(sbrk(64 * 4096) != (void *)-1 && before - frames() >= 32, "the heap");
	hole = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(hole != MAP_FAILED && !mlockall(MCL_CURRENT | MCL_FUTURE), "what may not be read is left out");
	child = fork();
	if (!child) {
		uint64_t there = frames();
		char *own = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		_exit(own == MAP_FAILED || there - frames() >= 32);
	}
	ok(waitpid(child, &status, 0) == child && status == 0, "a child has no locks");
	ok(msync(map, 4096, MS_SYNC | MS_INVALIDATE) == -1 && errno == EBUSY && !msync(map, 4096, MS_SYNC),
	   "what is locked is not invalidated: EBUSY");
	ok(!munlockall() && munmap(map, bytes) == 0 && munmap(hole, bytes) == 0, "given back");
	before = frames();
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(before - frames() < 32 && !munmap(map, bytes), "and not any more");
	ok(write(fd, "x", 1) == 1, "a file of one byte");
	past = mmap(NULL, 2 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	ok(past != MAP_FAILED && !mlock(past, 4096) && mlock(past, 8192) == -1 && errno == ENOMEM &&
	   munlock(past, 8192) == 0 && !munmap(past, 8192), "beyond a file's end: ENOMEM");
	past = mmap(NULL, 2 * 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	ok(past != MAP_FAILED && !mlock(past, 4096) && past[0] == 'x' && mlock(past, 8192) == -1 && errno == ENOMEM &&
	   !munmap(past, 8192), "of a private map, too");
	close(fd), unlink("/tmp/locked");
}

static void named(void)
{
	int fd = shm_open("/memory", O_RDWR | O_CREAT | O_EXCL, 0600), other;
	int *at, *there, value = -1;
	sem_t *sem;

	ok(fd >= 0 && !ftruncate(fd, PAGE), "a memory object");
	ok(shm_open("/memory", O_RDWR | O_CREAT | O_EXCL, 0600) < 0 && errno == EEXIST, "that there is");
	other = shm_open("/memory", O_RDWR, 0);
	at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	there = mmap(NULL, PAGE, RW, MAP_SHARED, other, 0);
	if (ok(at != MAP_FAILED && there != MAP_FAILED, "mapped twice")) {
		*at = 1234;
		ok(*there == 1234, "is the same memory");
	}
	ok(!shm_unlink("/memory") && shm_unlink("/memory") < 0 && errno == ENOENT, "unlinked");
	ok(shm_open("/a/b", O_RDWR, 0) < 0 && errno == EINVAL, "a name that is none");
	close(fd);
	close(other);
	munmap(at, PAGE);
	munmap(there, PAGE);
	sem = sem_open("/sem", O_CREAT | O_EXCL, 0600, 3);
	ok(sem != SEM_FAILED && sem_open("/sem", 0) == sem && !sem_getvalue(sem, &value) && value == 3,
	   "a semaphore with a name");
	ok(!sem_wait(sem) && !sem_close(sem) && !sem_close(sem) && !sem_unlink("/sem") &&
	   sem_open("/sem", 0) == SEM_FAILED &&
	   errno == ENOENT, "which goes");
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	anonymous();
	zero_device();
	protection();
	files();
	locked();
	named();
	processes();
	return tap_done();
}
