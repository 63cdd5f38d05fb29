/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes environments that make calls, on all CPUs by turns, and ends each at a random instant; for test/e2e/killed.py.
 * Usage: killer [COUNT [SEED]]
 *
 * After each its own books must be even. A line every 100: `killer: N killed, N rounds, N bad`; with the last one it
 * ends.
 */
#include "test/guest/agent.h"
#include "test/guest/callers.h"

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000, state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t rounds = 0, bad = 0;
	struct tiny one;

	cpus_await();
	tiny_prepare();
	state = state * 0x9e3779b97f4a7c15 | 1;
	for (uint64_t i = 1; i <= count; i++) {
		struct books before = books_now(), after;
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		if (!start_caller(&one, i % core_info->cpus)) {
			printf("killer: cannot make one\n");
			return 1;
		}
		thread_sleep(core_now() + state % 1000000);
		rounds += one.word[COUNT];
		tiny_drop(&one);
		after = books_now();
		bad += after.own != before.own;
		if (i % 100 == 0 || i == count) {
			printf("killer: %lu killed, %lu rounds, %lu bad\n", (long)i, (long)rounds, (long)bad);
			fflush(stdout);
		}
	}
	return bad != 0;
}
