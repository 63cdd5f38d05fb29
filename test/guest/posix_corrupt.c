/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that goes mad harms only itself: ten thousand (by default three thousand) random words of its
 * data, its heap and stack, the libOS's tables (those of fork and memory too), the page and the buffer that
 * it shares with the keeper, its dispatcher page and argument frame. It goes on as if nothing were:
 * allocates, forks, asks, waits. Nine others work meanwhile, and all that they say to each other and keep in
 * memory is what it should be; the keeper's checker finds nothing, and no frames are lost.
 *
 * The mad ones are of another user, since a process may signal its own, and have no descriptors of the others.
 * Argument: `seed=N`; `words=N`, all together; `long=1`: ten thousand.
 *
 * Time limit: 200 s
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "libos/core/core.h"
#include "libos/posix/call.h"
#include "libos/posix/runs.h"
#include "test/guest/tap.h"

#define WORKERS	9
#define WORDS	20	/* that one mad process changes */
#define MEMORY	(64 * 1024)
#define PATIENCE 20000	/* microseconds */
#define WARM	40	/* mad processes before frames are counted */

extern char __data_start[], __wired_start[], __wired_end[], __end[];

static uint64_t state = 88172645463325252ULL;
static pid_t worker[WORKERS];
static int ring[WORKERS][2];
static volatile unsigned *changed;	/* words, shared with the mad */

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* --- those who work ------------------------------------------------------------------------------------------- */

struct token {
	uint32_t number, sum, hops;
	char text[52];
};

static uint32_t sum_of(const struct token *token)
{
	uint32_t sum = token->number * 31 + token->hops;

	for (unsigned i = 0; i < sizeof(token->text); i++)
		sum = sum * 31 + (uint8_t)token->text[i];
	return sum;
}

/*
 * What a worker does between two tokens: files of its own, memory, a child. False: something is not what it
 * should be.
 */
static bool labour(int me, unsigned round, uint32_t *memory)
{
	char name[32], text[64], back[64];
	int fd, status;
	pid_t pid;

	for (unsigned i = 0; i < MEMORY / sizeof(*memory); i++)
		if (memory[i] != (uint32_t)me * 1000003 + i)
			return false;
	snprintf(name, sizeof(name), "/tmp/worker%d", me);
	snprintf(text, sizeof(text), "worker %d, round %u", me, round);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, text, sizeof(text)) != sizeof(text) || lseek(fd, 0, SEEK_SET) ||
	    read(fd, back, sizeof(back)) != sizeof(back) || close(fd) || memcmp(text, back, sizeof(text)))
		return false;
	if (round % 16)
		return true;
	pid = fork();
	if (!pid) {
		memory[round % 1000] = 0;
		_exit(me);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == me;
}

/* Tokens come in by one pipe and go out by the next; one with number 0 is the end. */
static int work(int me)
{
	int in = ring[me][0], out = ring[(me + 1) % WORKERS][1];
	uint32_t *memory = malloc(MEMORY);
	struct token token;
	unsigned round = 0;

	for (int i = 0; i < WORKERS; i++) {
		if (ring[i][0] != in)
			close(ring[i][0]);
		if (ring[i][1] != out)
			close(ring[i][1]);
	}
	for (unsigned i = 0; i < MEMORY / sizeof(*memory); i++)
		memory[i] = (uint32_t)me * 1000003 + i;
	for (;;) {
		if (read(in, &token, sizeof(token)) != sizeof(token))
			return 10;
		if (token.sum != sum_of(&token))
			return 11;
		token.hops++;
		token.sum = sum_of(&token);
		if (write(out, &token, sizeof(token)) != sizeof(token))
			return 12;
		if (!token.number)
			return 0;
		if (!labour(me, ++round, memory))
			return 13;
		usleep(500);
	}
}

/* --- those who go mad ----------------------------------------------------------------------------------------- */

static struct {
	uintptr_t start, end;
} place[] = {
	{ 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 },	/* data, wired, bss, heap: filled in */
	{ META_FIRST, META_LEAVES + 8192 }, { META_START, META_START + 64 },
	{ WIRE_VA_PAGE, WIRE_VA_PAGE + 4096 }, { WIRE_VA_BUFFER, WIRE_VA_BUFFER + 8192 },
	{ EXO_VA_DISP, EXO_VA_DISP + 4096 }, { EXO_VA_ARG, EXO_VA_ARG + 4096 }, { EXO_VA_START, EXO_VA_START + 4096 },
	{ WIRE_VA_ARGS, WIRE_VA_ARGS + 4096 },
};
#define PLACES (sizeof(place) / sizeof(place[0]))

static uint64_t strange(uint64_t *word)
{
	switch (next() % 5) {
	case 0:
		return next();
	case 1:
		return *word ^ 1ULL << next() % 64;
	case 2:
		return *word + (next() % 64) - 32;
	case 3:
		return (uint64_t)word;
	default:
		return next() % 4 ? 0 : ~0ULL;
	}
}

static void corrupt(void)
{
	unsigned k = (unsigned)(next() % (PLACES + 1));
	uint64_t *word;

	if (k == PLACES)
		word = (uint64_t *)__builtin_frame_address(0) + next() % 512;
	else
		word = (uint64_t *)(place[k].start + next() % (place[k].end - place[k].start) / 8 * 8);
	*word = strange(word);
}

static void live_on(void)
{
	int ends[2];
	char *more;

	posix_ask(REQUEST_NULL, 0, 0, 0, NULL);
	if (!pipe(ends)) {
		(void)!write(ends[1], "mad", 3);
		close(ends[0]);
		close(ends[1]);
	}
	more = malloc(20000);
	if (more)
		memset(more, 7, 20000);
	free(more);
	(void)open("/tmp/mad", O_RDWR | O_CREAT, 0666);
	more = mmap(NULL, 50000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (more != MAP_FAILED)
		memset(more, 1, 50000);
	if (!fork())
		_exit(1);
	wait(NULL);
	kill(getpid(), SIGUSR1);
	posix_ask((enum wire_request)(next() % WIRE_REQUESTS), next(), next() % 100, next(), NULL);
	setsid();
	usleep(10);
}

static void go_mad(unsigned words)
{
	static char *heap;

	for (int i = 0; i < WORKERS; i++) {
		close(ring[i][0]);
		close(ring[i][1]);
	}
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	heap = malloc(5000);
	if (setgid(4321) || setuid(4321) || !heap)
		_exit(99);
	place[0].start = (uintptr_t)__data_start, place[0].end = (uintptr_t)__wired_start;
	place[1].start = (uintptr_t)__wired_start, place[1].end = (uintptr_t)__wired_end;
	place[2].start = (uintptr_t)__wired_end, place[2].end = (uintptr_t)__end & ~4095UL;
	place[3].start = (uintptr_t)heap & ~15UL, place[3].end = place[3].start + 5000;
	for (unsigned i = 0; i < words; i++) {
		++*changed;
		corrupt();
		if (i % 4 == 3)
			live_on();
	}
	_exit(0);
}

/* How it ended: 0 by itself, 1 by a fault or with an error, 2 it had to be killed, 3 it was not even made. */
static unsigned one_mad(unsigned words)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		go_mad(words);
	if (pid < 0)
		return 3;
	for (int waited = 0; waited < PATIENCE; waited += 500) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : 1;
		usleep(500);
	}
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid ? 2 : 3;
}

/* --- all ------------------------------------------------------------------------------------------------------ */

static bool put_token(uint32_t number)
{
	struct token token = { .number = number };

	snprintf(token.text, sizeof(token.text), "token %u", number);
	token.sum = sum_of(&token);
	return write(ring[0][1], &token, sizeof(token)) == sizeof(token);
}

static long number_of(int argc, char **argv, const char *name, long otherwise)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], name, strlen(name)) && argv[i][strlen(name)] == '=')
			return atol(argv[i] + strlen(name) + 1);
	return otherwise;
}

int main(int argc, char **argv)
{
	unsigned words = (unsigned)number_of(argc, argv, "words", number_of(argc, argv, "long", 0) ? 10000 :
					     3000), ends[4] = { 0 }, good = 0;
	uint32_t before;
	int status;

	state ^= (uint64_t)number_of(argc, argv, "seed", 1) << 32;
	signal(SIGPIPE, SIG_IGN);
	changed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (changed == MAP_FAILED)
		return 1;
	for (int i = 0; i < WORKERS; i++)
		if (pipe(ring[i]))
			return 1;
	for (int i = 0; i < WORKERS; i++) {
		worker[i] = fork();
		if (!worker[i])
			_exit(work(i));
	}
	for (uint32_t i = 1; i <= 3; i++)
		ok(put_token(i), "token %u", i);
	for (uint32_t i = 0; i < WARM; i++)	/* the keeper has by then what it keeps for the next process */
		(void)one_mad(WORDS);
	before = core_info->frames_free;
	while (*changed < words && !ends[3]) {
		ends[one_mad(WORDS)]++;
		(void)next();
	}
	printf("# %u words; of %u mad processes %u ended by themselves, %u by faults or errors, %u had to be killed\n", *changed,
	    ends[0] + ends[1] + ends[2], ends[0], ends[1], ends[2]);
	ok(!ends[3], "each could be made, and waited for");
	for (int i = 0; i < WORKERS; i++)
		ok(waitpid(worker[i], &status, WNOHANG) == 0, "worker %d works", i);
	ok(put_token(0), "the last token");
	for (int i = 0; i < WORKERS; i++)
		good += waitpid(worker[i], &status, 0) == worker[i] && WIFEXITED(status) && !WEXITSTATUS(status);
	ok(good == WORKERS, "%u of them have found nothing wrong", good);
	while (waitpid(-1, &status, WNOHANG) > 0)
		;			/* orphans of the mad, if this is pid 1 */
	ok(!posix_ask(REQUEST_CHECK, 0, 0, 0, NULL), "the keeper is in order: %.200s", posix_buffer);
	ok(core_info->frames_free + 200 >= before, "no frames are lost: %d", (int)(before - core_info->frames_free));
	return tap_done();
}
