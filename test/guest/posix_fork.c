/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork: memory is copied, not shared, in all kinds of places and over generations; nothing is left behind,
 * however often. Argument: `long=1`: ten thousand children in a row, not four hundred.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libos/core/core.h"
#include "libos/posix/memory.h"
#include "test/guest/tap.h"

#define MEGABYTE	(1 << 20)
#define NEAR_BYTES	400000

static int zero[3000], one[3000] = { 1 };
static __thread int local_of_thread = 3;
static __thread char apart[3 * 4096];	/* the libOS's own, which it has a thread with, lie on both sides of it */

/* The status of a child that runs a function. */
static int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status = -1;

	if (!pid)
		_exit(fn(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static int writes(void *arg)
{
	char *memory = arg;
	bool good = memory[99999] == 1 && one[0] == 1 && !zero[17] && local_of_thread == 3;

	memset(memory, 2, 100000);
	one[0] = zero[17] = local_of_thread = 6;
	return good && memory[5] == 2 ? 7 : 8;
}

static int writes_one(void *arg)
{
	*(char *)arg += 1;
	return *(char *)arg;
}

static void copies(void)
{
	char *memory = malloc(100000);
	int status;

	memset(memory, 1, 100000);
	status = in_child(writes, memory);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 7,
	   "a child has its parent's memory, and writes it: %x", status);
	ok(memory[99999] == 1 && one[0] == 1 && !zero[17] && local_of_thread == 3, "what it wrote is not here");
	memset(memory, 3, 100000);
	ok(memory[0] == 3, "and all can be written");
	free(memory);
}

static int allocates(void *arg)
{
	char *memory = malloc(MEGABYTE);

	(void)arg;
	if (!memory)
		return 1;
	memset(memory, 4, MEGABYTE);
	return memory[MEGABYTE - 1] == 4 ? 0 : 2;
}

static void grows(void)
{
	char *memory = malloc(MEGABYTE);

	memset(memory, 1, MEGABYTE);
	for (int i = 0; i < 3; i++)
		ok(in_child(allocates, NULL) == 0, "a child of one with a megabyte makes another (%d)", i);
	ok(memory[MEGABYTE - 1] == 1, "which is not the parent's");
	free(memory);
}

/* Each generation writes its number, and sees that of the one above. */
static int generation(void *arg)
{
	int *number = arg, mine = *number + 1, status;

	*number = mine;
	if (mine == 10)
		return 10;
	status = in_child(generation, arg);
	return WIFEXITED(status) && *number == mine ? WEXITSTATUS(status) : 99;
}

static int orphan_parent(void *arg)
{
	if (fork())
		return 0;
	/* The grandchild, alone with what three had. */
	memset(arg, 9, 50000);
	usleep(1000);
	return 0;
}

/* Runs of frames in use: they must not become more and more. */
static int runs(void)
{
	int count = 0;

	for (int i = 0; i < MEMORY_RUNS; i++)
		count += memory_run[i].cap != EXO_CAP_NONE;
	return count;
}

/* The keeper takes the last child apart in its own time, and keeps frames for the next: a hundred more or less. */
static uint32_t frames_now(void)
{
	usleep(20000);
	return core_info->frames_free;
}

static void often(int times)
{
	uint32_t before = 0, now;
	bool good = true;

	for (int i = 0; i < times && good; i++) {
		if (i == times / 2)
			before = frames_now();
		pid_t pid = fork();
		if (!pid)
			_exit(i % 100);
		int status;
		zero[i % 3000]++;
		good = pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == i % 100;
		if (!good)
			printf("# child %d of %d: %d, %x, %s\n", (int)pid, i, errno, status, strerror(errno));
	}
	ok(good, "%d children in a row", times);
	ok(runs() < MEMORY_RUNS * 3 / 4, "memory lies in %d runs", runs());
	now = frames_now();
	ok(now + 120 >= before, "leave nothing behind: %d frames", (int)(before - now));
}

static void many(void)
{
	pid_t pid[40];
	int status, good = 0, i;

	for (i = 0; i < 40; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			zero[i] = i;
			usleep(20000);
			_exit(zero[i] == i ? 5 : 6);
		}
		zero[i] = -1;
		if (pid[i] < 0)
			break;
	}
	for (int k = 0; k < i; k++)
		good += waitpid(pid[k], &status, 0) == pid[k] && WIFEXITED(status) && WEXITSTATUS(status) == 5;
	ok(i == 40 && good == 40, "forty at once: %d, %d", i, good);
	while (wait(NULL) > 0)
		;			/* it may be pid 1, which inherits orphans */
	ok(errno == ECHILD, "and then there is none");
}

/* Writes here and there while children live, as a server does that forks. */
static void scattered(int times)
{
	static char memory[200][4096];
	unsigned seed = 7, most = 0;
	bool good = true;

	memset(memory, 1, sizeof(memory));
	for (int i = 0; i < times && good; i++) {
		for (int k = 0; k < 3; k++) {
			pid_t pid = fork();
			if (!pid) {
				usleep(300);
				_exit(0);
			}
			good = good && pid > 0;
			for (int w = 0; w < 12; w++) {
				seed = seed * 1103515245 + 12345;
				memory[seed / 65536 % 200][seed / 65536 % 4096] = 1;
			}
		}
		if (i % 2)
			while (waitpid(-1, NULL, i % 20 == 19 ? 0 : WNOHANG) > 0)
				;
		most = most < (unsigned)runs() ? (unsigned)runs() : most;
	}
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < 200; i++)
		good = good && memory[i][0] == 1 && memory[i][4095] == 1;
	ok(good, "%d times three children of one that writes meanwhile: %u runs at most", times, most);
}

static void *forker(void *arg)
{
	*(int *)arg = in_child(allocates, NULL);
	return NULL;
}

static void in_thread(void)
{
	pthread_t thread;
	int status = -1;

	ok(!pthread_create(&thread, NULL, forker, &status) && !pthread_join(thread, NULL) && status == 0,
	    "a thread forks: %x", status);
}

static volatile sig_atomic_t handled;

static volatile bool over;
static volatile unsigned rounds;

static void *computes(void *arg)
{
	for (apart[0] = 1; !over; rounds++)
		;
	return arg;
}

static int reads_apart(void *arg)
{
	(void)arg;
	return apart[sizeof(apart) - 1];
}

/* What a thread was interrupted in goes on though all of its memory has become shared meanwhile. */
static void beside_thread(void)
{
	pthread_t thread;
	bool good = !pthread_create(&thread, NULL, computes, NULL);

	apart[sizeof(apart) - 1] = 5;
	for (int i = 0; good && i < 10; i++) {
		unsigned was = rounds;

		while (rounds == was)
			sched_yield();
		good = in_child(reads_apart, NULL) == 5 << 8;
		for (volatile int k = 0; k < 1000000; k++)
			;
	}
	over = true;
	pthread_join(thread, NULL);
	ok(good, "forks beside a thread that is interrupted");
}

static void forks(int number)
{
	int status = in_child(allocates, NULL);

	handled = number == SIGUSR1 && !status ? 1 : -1;
}

static void in_handler(void)
{
	struct sigaction action = { .sa_handler = forks };

	ok(!sigaction(SIGUSR1, &action, NULL) && !raise(SIGUSR1) && handled == 1, "a signal handler forks");
}

/* More tables of pages than the keeper lends frames for. */
static int sparse_sum(void *arg)
{
	const char *memory = arg;
	int sum = 0;

	for (size_t i = 0; i < 100; i++)
		sum += memory[i * 2 * MEGABYTE];
	return sum == 100 ? 1 : 2;
}

static void sparse(void)
{
	char *memory = mmap(NULL, 200 * (size_t)MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	ok(memory != MAP_FAILED, "200 megabytes of addresses");
	for (size_t i = 0; i < 100; i++)
		memory[i * 2 * MEGABYTE] = 1;
	status = in_child(sparse_sum, memory);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 1, "one that lies in a hundred tables forks: %x", status);
	munmap(memory, 200 * (size_t)MEGABYTE);
}

static int executes(void *arg)
{
	execlp("posix_fork", "posix_fork", (char *)arg, (char *)NULL);
	return 99;
}

static unsigned prepared, after;

static void prepare(void)
{
	prepared++;
}

static void count_after(void)
{
	after++;
}

static int counts(void *arg)
{
	(void)arg;
	return (int)(prepared * 10 + after);
}

static void hooks(void)
{
	int status;

	ok(!pthread_atfork(prepare, count_after, count_after), "pthread_atfork");
	status = in_child(counts, NULL);
	ok(WEXITSTATUS(status) == 11 && prepared == 1 && after == 1, "before and after, on both sides: %x", status);
}

/* --- where the stack is --------------------------------------------------------------------------------- */

struct level {
	const struct level *above;
	volatile int number;
};

/* Does a child find, and write, what all callers of a function that forks have on the stack? The parent keeps its own. */
static bool deeper(const struct level *above, int number, size_t bytes)
{
	struct level level = { above, number };
	volatile char room[bytes];
	int status, sum = 0;
	pid_t pid;

	room[0] = room[bytes - 1] = (char)number;
	pid = fork();
	if (!pid) {
		for (const struct level *at = &level; at; at = at->above) {
			sum += at->number;
			((struct level *)at)->number = -1;
		}
		_exit(room[0] == (char)number && room[bytes - 1] == (char)number && sum == number * (number + 1) / 2 ? 9 : 8);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 9 &&
		(number == 60 || deeper(&level, number + 1, bytes)) && level.number == number && room[0] == (char)number;
}

static void deep(void)
{
	bool good = true;

	for (size_t bytes = 500; bytes < 4000; bytes += 2222)
		good = good && deeper(NULL, 0, bytes);
	ok(good, "forks at depths of 30 to 160 KiB");
	for (size_t i = 0; i < 70; i++) {
		volatile char room[1 + i * 121];

		room[0] = 5;
		good = good && in_child(writes_one, (void *)room) == 6 << 8 && room[0] == 5;
	}
	ok(good, "and with the stack at any place of a page");
}

#define STACK	(64 << 10)

static int reads_again(void *arg)
{
	char *stack = arg;

	return mprotect(stack, STACK, PROT_READ | PROT_WRITE) || stack[STACK - 4096] != 77 || stack[0] != 78;
}

/* A stack of the program's own, whose thread has forked, is memory like other memory then. */
static void borrowed(void)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;
	int status = -1;
	bool clear = true;

	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, STACK);
	ok(!pthread_create(&thread, &attr, forker, &status) && !pthread_join(thread, NULL) && !status,
	   "a thread on a stack of the program's forks");
	stack[STACK - 4096] = 77;
	stack[0] = 78;
	ok(!mprotect(stack, STACK, PROT_NONE) && in_child(reads_again, stack) == 0, "a child finds what is closed to its parent");
	ok(!mprotect(stack, STACK, PROT_READ) && in_child(reads_again, stack) == 0 && stack[STACK - 4096] == 77,
	   "or cannot be written");
	munmap(stack, STACK);
	stack = mmap(stack, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	for (int i = 0; i < STACK; i++)
		clear = clear && !stack[i];
	ok(clear && in_child(writes_one, stack + STACK - 1) == 1 << 8, "it goes like all memory, and zeros come");
	munmap(stack, STACK);
}

static int untouched(void *arg)
{
	unsigned char *memory = arg;
	int bad = 0;

	for (size_t i = 0; i < 6 * MEGABYTE; i += 4096)
		bad += memory[i] != (unsigned char)(i >> 12);
	return bad != 0 || memory[6 * MEGABYTE - 1] != 5;
}

static int passes_on(void *arg)
{
	return in_child(untouched, arg) ? 1 : untouched(arg);
}

static volatile int alternate_at;

static void on_alternate(int number)
{
	char here = (char)number;

	alternate_at = (int)((uintptr_t)&here >> 16);
}

/* The first thing that a child does is a signal on a stack that it has not touched, or a read into such memory. */
static int surprised(void *arg)
{
	int ends[2];

	return raise(SIGUSR2) || alternate_at != (int)((uintptr_t)arg >> 16) || pipe(ends) || write(ends[1], "xy", 2) != 2 ||
		read(ends[0], (char *)arg + MEGABYTE, 2) != 2 || ((char *)arg)[MEGABYTE] != 'x';
}

static void lazily(void)
{
	unsigned char *memory = malloc(6 * MEGABYTE);
	char *room = mmap(NULL, 2 * MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *base = (char *)(((uintptr_t)room + 65535) & ~65535UL);
	stack_t alternate = { .ss_sp = base, .ss_size = 65536 };
	struct sigaction action = { .sa_handler = on_alternate, .sa_flags = SA_ONSTACK };

	for (size_t i = 0; i < 6 * MEGABYTE; i += 4096)
		memory[i] = (unsigned char)(i >> 12);
	memory[6 * MEGABYTE - 1] = 5;
	ok(in_child(passes_on, memory) == 0, "a child's child has what its parent never looked at");
	memset(room, 1, 2 * MEGABYTE);
	sigaltstack(&alternate, NULL);
	sigaction(SIGUSR2, &action, NULL);
	ok(in_child(surprised, base) == 0, "signals and requests find what a child has not touched");
	alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
	munmap(room, 2 * MEGABYTE);
	free(memory);
}

#define ROW_PAGES	700
#define ROW_BYTES	(ROW_PAGES * 4096L)

static uint32_t next_number(uint32_t *state)
{
	return *state = *state * 1664525 + 1013904223, *state >> 8;
}

/* What page i holds after `seed`: 0 if it was never touched or was discarded, or cannot be read now. */
static bool row_check(const char *base, const uint16_t *model, const uint8_t *closed)
{
	for (int i = 0; i < ROW_PAGES; i++)
		if (!closed[i] && (*(const uint16_t *)(base + i * 4096L) != model[i] ||
				   *(const uint16_t *)(base + i * 4096L + 4094) != model[i]))
			return false;
	return true;
}

/* Rows of pages are written, closed, opened, given up: forwards, of any length, some over what is not there. */
static void row_step(char *base, uint16_t *model, uint8_t *closed, uint32_t *state)
{
	int at = (int)(next_number(state) % ROW_PAGES), kind = (int)(next_number(state) % 8);
	int end = at + 1 + (int)(next_number(state) % (kind < 5 ? 70 : 9));

	for (int i = at; i < end && i < ROW_PAGES; i++) {
		char *page = base + i * 4096L;

		if (kind == 5) {
			closed[i] = 1;
			(void)mprotect(page, 4096, PROT_NONE);
		} else if (kind == 6) {
			closed[i] = 0;
			(void)mprotect(page, 4096, PROT_READ | PROT_WRITE);
		} else if (kind == 7 && !closed[i]) {
			model[i] = 0;
			(void)mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		} else if (!closed[i]) {
			model[i] = (uint16_t)next_number(state);
			*(uint16_t *)page = *(uint16_t *)(page + 4094) = model[i];
		}
	}
}

/* Parent and child write rows of the same pages, in three generations; each sees only what it wrote. */
static void rows(uint32_t seed)
{
	static uint16_t model[ROW_PAGES];
	static uint8_t closed[ROW_PAGES];
	uint32_t state = seed;
	char *base = mmap(NULL, ROW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool good = base != MAP_FAILED;
	int status = -1, depth = 0;
	pid_t pid = 1;

	memset(model, 0, sizeof(model));
	memset(closed, 0, sizeof(closed));
	for (int i = 0; good && i < 12; i++)
		row_step(base, model, closed, &state);
	for (int round = 0; good && round < 24; round++) {
		if (round % 3 == 0 && depth < 3) {
			pid = fork();
			if (!pid) {
				depth++;
				state += 77;
			}
			good = pid >= 0;
		}
		row_step(base, model, closed, &state);
		good = good && row_check(base, model, closed);
		if (pid > 0 && round % 3 == 1 && waitpid(pid, &status, 0) == pid)
			good = good && WIFEXITED(status) && !WEXITSTATUS(status);
	}
	if (depth)
		_exit(!good);
	ok(good, "rows of pages written by three generations at a time, seed %u", (unsigned)seed);
	munmap(base, ROW_BYTES);
}

/*
 * A process that needed many capabilities before it forked for the first time: none of them lies where those of the
 * keeper's and of fork come to. It writes as much after each fork.
 */
static void again_and_again(void)
{
	char *memory = malloc(NEAR_BYTES);
	uint32_t free_then = 0, low = 0;

	for (unsigned i = 0; i < 3 * EXO_CAPS_PER_FRAME; i++)
		low += caps_slot() < MEMORY_SLOT_FREE;
	ok(!low, "slots that the keeper or fork fill are nobody else's (%u handed out)", low);
	for (unsigned i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		memset(memory, (int)i, NEAR_BYTES);
		waitpid(pid, NULL, 0);
		if (i == 3)
			free_then = core_info->frames_free;
	}
	ok(core_info->frames_free + 150 > free_then, "pages written again after each fork need no more memory each time (%u, %u)",
	   free_then, core_info->frames_free);
	free(memory);
}

int main(int argc, char **argv)
{
	int number = 0, status;
	char *memory;

	if (argc > 1 && !strncmp(argv[1], "exit=", 5))
		return atoi(argv[1] + 5);
	again_and_again();
	copies();
	grows();
	status = in_child(generation, &number);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 10 && !number, "ten generations: %x", status);
	memory = malloc(50000);
	memset(memory, 1, 50000);
	ok(!in_child(orphan_parent, memory), "a parent that does not wait");
	in_thread();
	beside_thread();
	in_handler();
	sparse();
	hooks();
	deep();
	borrowed();
	lazily();
	status = in_child(executes, "exit=37");
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 37, "a child that becomes another program: %x", status);
	many();
	often(argc > 1 && strstr(argv[argc - 1], "long=1") ? 10000 : 400);
	scattered(150);
	for (uint32_t seed = 1; seed <= 6; seed++)
		rows(seed);
	ok(memory[49999] == 1, "memory is what it was");
	return tap_done();
}
