/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and fork of a process whose threads run on several CPUs: pages that two of them touch at once for the first time,
 * in frames that were used before; pages that one copies while another writes them; and all at once: forks while threads
 * write pages, allocate, map and unmap, make threads and get signals, whose children do the same. What a thread has
 * written nobody else changes, and a child's memory is its own.
 *
 * Run with: --smp 2
 * Time limit: 120 s
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "libos/core/core.h"
#include "libos/posix/cpus.h"
#include "test/guest/tap.h"

#define PAGE		4096UL
#define WORDS		(PAGE / sizeof(unsigned long))
#define RW		(PROT_READ | PROT_WRITE)
#define NEW_PAGES	16
#define ROW_PAGES	96
#define PAGES		48
#define WRITERS		3
#define WAIT_NS		(20 * CORE_SECOND)

static unsigned scale = 1;

static unsigned next_random(unsigned long *seed)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (unsigned)(*seed >> 33);
}

static void wait_a_little(unsigned spins)
{
	for (volatile unsigned i = 0; i < spins; i++)
		;
}

static unsigned long *map_pages(unsigned pages)
{
	void *at = mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* --- first touches ---------------------------------------------------------------------------------------- */

static unsigned long *volatile fresh;
static volatile unsigned arrived[2];
static unsigned apart;
static volatile unsigned spoilt;
static int file = -1;
static unsigned touch_rounds;

/* What is in a page's words before anybody writes. */
static unsigned long first_in(unsigned page)
{
	return file < 0 ? 0 : page + 1000;
}

/* The other one has come as far as this one, too, or does not come. */
static void meet(unsigned me, unsigned n)
{
	exo_time_t end = core_now() + WAIT_NS;

	arrived[me] = n;
	for (unsigned i = 0; arrived[!me] < n && (i % 1024 || core_now() < end); i++)
		;
}

/* Frames that were used before, and have to be cleared or filled. */
static void renew(void)
{
	unsigned long *old = map_pages(NEW_PAGES);

	memset(old, 0xa5, NEW_PAGES * PAGE);
	munmap(old, NEW_PAGES * PAGE);
	fresh = file < 0 ? map_pages(NEW_PAGES) : mmap(NULL, NEW_PAGES * PAGE, RW, MAP_PRIVATE, file, 0);
}

/* Words 0 and WORDS - 2 are the one's, the next ones the other's; nobody else has written anything. */
static void look_at_new(void)
{
	for (unsigned page = 0; page < NEW_PAGES; page++) {
		const unsigned long *at = fresh + page * WORDS;
		bool good = true;

		for (unsigned i = 0; i < WORDS; i++)
			good &= at[i] == (i < 2 || i >= WORDS - 2 ? page + 1 : first_in(page));
		spoilt += !good;
	}
	munmap(fresh, NEW_PAGES * PAGE);
}

static void *touch(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, n = 0;
	unsigned long seed = me;

	for (unsigned round = 0; round < touch_rounds; round++) {
		if (!me)
			renew();
		meet(me, ++n);
		for (unsigned page = 0; page < NEW_PAGES; page++) {
			volatile unsigned long *word = fresh + page * WORDS + me;

			meet(me, ++n);
			apart += posix_away != 0;
			wait_a_little(next_random(&seed) % 200);
			word[WORDS - 2] = page + 1;
			word[0] = page + 1;
			spoilt += word[WORDS / 2] != first_in(page);
		}
		meet(me, ++n);
		if (!me)
			look_at_new();
	}
	return arg;
}

static void first_touches(const char *what)
{
	pthread_t thread[2];

	touch_rounds = (file < 0 ? 50 : 15) * scale;
	apart = spoilt = arrived[0] = arrived[1] = 0;
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, touch, (void *)i);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ok(!spoilt, "%s that two threads touch first, at once (%u of %u spoilt, apart at %u)", what, spoilt,
	   touch_rounds * NEW_PAGES, apart);
}

static void file_touches(void)
{
	unsigned long words[WORDS];

	file = open("/tmp/words", O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (unsigned page = 0; page < NEW_PAGES; page++) {
		for (unsigned i = 0; i < WORDS; i++)
			words[i] = first_in(page);
		if (write(file, words, PAGE) != PAGE)
			break;
	}
	first_touches("pages of a file");
	close(file);
	unlink("/tmp/words");
}

/* --- copies ------------------------------------------------------------------------------------------------ */

static volatile bool over;
static unsigned long *rows;
static volatile unsigned long lost_words, passes;

static int wait_status(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return status;
}

/* Of sixteen pages the first eight are written in a row, the others by the thread that counts. */
static bool counted_in(unsigned page)
{
	return page % 16 >= 8;
}

/* Counts in the second word of each page, which nobody else writes. */
static void *count_in_pages(void *arg)
{
	unsigned long *mine = calloc(ROW_PAGES, sizeof(*mine));

	for (; !over; passes++)
		for (unsigned page = 0; page < ROW_PAGES; page++) {
			volatile unsigned long *word = rows + page * WORDS + 1;

			if (!counted_in(page))
				continue;
			if (*word != mine[page])
				lost_words++;
			*word = mine[page] = *word + 1;
		}
	free(mine);
	return arg;
}

/* Whoever calls is at home, and the other one is not. */
static void go_apart(void)
{
	exo_time_t end = core_now() + WAIT_NS;

	while ((posix_away || !posix_cpus_busy) && core_now() < end)
		if (posix_away)
			sched_yield();
}

/*
 * In a child, whose pages are mapped many at a time. A grandchild gives up the pages that are counted in, which are this
 * one's alone then and so written where they are, while their neighbours are copied.
 */
static void share_half(unsigned round)
{
	volatile unsigned *told = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long seed = round;
	pid_t pid = fork();

	if (pid == 0) {
		for (unsigned page = 0; page < ROW_PAGES; page++)
			if (counted_in(page))
				rows[page * WORDS] = 1;
		*told = 1;
		for (;;)
			pause();
	}
	for (unsigned i = 0; !*told && i < 5000; i++) {
		struct timespec pause = { 0, 1000000 };

		nanosleep(&pause, NULL);
	}
	passes = 0;
	while (passes < 3)
		sched_yield();
	go_apart();
	for (unsigned page = 0; page < ROW_PAGES; page++)
		if (!counted_in(page)) {
			*(volatile unsigned long *)&rows[page * WORDS] = round;
			if (round % 2)
				wait_a_little(next_random(&seed) % 200);
		}
	kill(pid, SIGKILL);
	wait_status(pid);
	munmap((void *)told, PAGE);
}

static int copies(unsigned round)
{
	pthread_t thread;

	memset(rows, 0, ROW_PAGES * PAGE);
	over = false;
	lost_words = 0;
	pthread_create(&thread, NULL, count_in_pages, NULL);
	for (unsigned i = 0; i < 4; i++)
		share_half(round);
	over = true;
	pthread_join(thread, NULL);
	return lost_words ? 1 : 7;
}

static void copied(void)
{
	unsigned good = 0;

	rows = map_pages(ROW_PAGES);
	memset(rows, 1, ROW_PAGES * PAGE);
	for (unsigned i = 0; i < 10 * scale; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(copies(i));
		good += wait_status(pid) == 7 << 8;
	}
	ok(good == 10 * scale, "pages that are copied in a row while another CPU writes them (%u)", good);
	ok(copies(1) == 7, "the same at home");
	munmap(rows, ROW_PAGES * PAGE);
}

/* --- all at once ------------------------------------------------------------------------------------------- */

static unsigned long *board;		/* PAGES pages; each writer has one word of each */
static volatile unsigned long signals_seen, wrong;
static volatile unsigned long rounds[WRITERS + 1];
static __thread unsigned long own_word;
static unsigned refused;

static void fail(void)
{
	__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

static void on_signal(int number)
{
	char some[3000];

	(void)number;
	memset(some, 5, sizeof(some));
	__asm__ volatile("" :: "r"(some) : "memory");
	__atomic_add_fetch(&signals_seen, 1, __ATOMIC_RELAXED);
}

static void *short_one(void *arg)
{
	volatile char deep[9000];

	for (unsigned i = 0; i < sizeof(deep); i += 64)
		deep[i] = (char)i;
	for (unsigned i = 0; i < sizeof(deep); i += 64)
		if (deep[i] != (char)i)
			fail();
	return arg;
}

static void use_map(unsigned long *seed)
{
	unsigned pages = 1 + next_random(seed) % 12;
	unsigned long *at = map_pages(pages);

	for (unsigned i = 0; at && i < pages; i++) {
		if (at[i * WORDS] || at[i * WORDS + WORDS - 1])
			fail();
		at[i * WORDS] = at[i * WORDS + WORDS - 1] = i + *seed;
	}
	for (unsigned i = 0; at && i < pages; i++)
		if (at[i * WORDS] != i + *seed || at[i * WORDS + WORDS - 1] != i + *seed)
			fail();
	if (at)
		munmap(at, pages * PAGE);
}

static void use_heap(unsigned long *seed)
{
	unsigned char *block[6];
	unsigned char value[6];
	size_t bytes[6];

	for (unsigned i = 0; i < 6; i++) {
		bytes[i] = 16 + next_random(seed) % (i ? 3000 : 30000);
		value[i] = (unsigned char)next_random(seed);
		block[i] = malloc(bytes[i]);
		if (block[i])
			memset(block[i], value[i], bytes[i]);
	}
	for (unsigned i = 0; i < 6; i++) {
		for (size_t k = 0; block[i] && k < bytes[i]; k += 61)
			if (block[i][k] != value[i])
				fail();
		free(block[i]);
	}
}

static void *writer(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	unsigned long seed = me + 11, count = 0;
	volatile double sum = 0;
	pthread_t thread;

	for (; !over; rounds[me] = ++count) {
		for (unsigned page = 0; page < PAGES; page++) {
			volatile unsigned long *word = board + page * WORDS + me * 8;

			if (*word != count)
				fail();
			*word = count + 1;
		}
		sum = sum + 1;
		if (own_word++ != count || sum != (double)(count + 1))
			fail();
		switch (next_random(&seed) % 16) {
		case 0:
			use_map(&seed);
			break;
		case 1:
		case 2:
			use_heap(&seed);
			break;
		case 3:
			if (!pthread_create(&thread, NULL, short_one, NULL))
				pthread_join(thread, NULL);
			break;
		default:
			wait_a_little(next_random(&seed) % 3000);
		}
	}
	return arg;
}

/* What a child has is what was there at one time, and nobody else's any more. */
static int still(void)
{
	static unsigned long seen[WRITERS][PAGES];

	for (unsigned i = 0; i < WRITERS; i++)
		for (unsigned page = 0; page < PAGES; page++) {
			seen[i][page] = board[page * WORDS + i * 8];
			if (seen[i][page] - rounds[i] > 1 || (page && seen[i][page] > seen[i][page - 1]))
				return 2;
		}
	wait_a_little(20000);
	for (unsigned i = 0; i < WRITERS; i++)
		for (unsigned page = 0; page < PAGES; page++)
			if (*(volatile unsigned long *)&board[page * WORDS + i * 8] != seen[i][page])
				return 3;
	return 7;
}

static unsigned storm(unsigned depth, unsigned forks);

static int child(unsigned depth, unsigned i)
{
	int result = wrong ? 4 : still();

	if (result == 7 && depth && i % 3 == 0)
		result = storm(depth - 1, 4) == 4 && !wrong ? 7 : 5;
	return result;
}

/* How many of so many forks were good, or refused. */
static unsigned storm(unsigned depth, unsigned forks)
{
	pthread_t thread[WRITERS];
	unsigned good = 0, begun = 0;
	unsigned long seed = 5;

	over = false;
	refused = 0;
	memset(board, 0, PAGES * PAGE);
	memset((void *)rounds, 0, sizeof(rounds));
	for (uintptr_t i = 0; i < WRITERS; i++)
		begun += !pthread_create(&thread[i], NULL, writer, (void *)i);
	for (unsigned i = 0; i < forks; i++) {
		struct timespec pause = { 0, 500000 + next_random(&seed) % 3000000 };
		pid_t pid;

		nanosleep(&pause, NULL);
		pthread_kill(thread[i % WRITERS], SIGUSR1);
		pid = fork();
		if (pid == 0)
			_exit(child(depth, i));
		if (pid < 0 && (errno == ENOMEM || errno == EAGAIN)) {
			refused++;
			continue;
		}
		int status = wait_status(pid);
		if (status == 7 << 8)
			good++;
		else
			printf("# a child of depth %u ended with 0x%x\n", depth, (unsigned)status);
	}
	over = true;
	for (unsigned i = 0; i < begun; i++)
		pthread_join(thread[i], NULL);
	return begun == WRITERS ? good + refused : 0;
}

static void storms(void)
{
	unsigned good;

	signal(SIGUSR1, on_signal);
	board = map_pages(PAGES);
	good = storm(2, 30 * scale);
	ok(good == 30 * scale && !refused, "forks while threads on all CPUs use memory: what children see is theirs "
	   "(%u, %u refused)", good, refused);
	ok(!wrong && signals_seen, "what a thread has written nobody else changes (%lu, %lu signals, %lu %lu %lu rounds)",
	   wrong, signals_seen, rounds[0], rounds[1], rounds[2]);
	munmap(board, PAGES * PAGE);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[argc - 1], "long=1"))
		scale = 30;
	if (!ok(core_info->cpus > 1, "several CPUs"))
		return tap_done();
	first_touches("pages");
	file_touches();
	copied();
	storms();
	return tap_done();
}
