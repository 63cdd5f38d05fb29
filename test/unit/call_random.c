/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fuzzer of calls (test/fuzz/calls.c) on random bytes, without libFuzzer: two CPUs, calls, interrupts, exceptions,
 * argument frames and dispatcher pages changed at any time; all invariants after each operation. A broken one ends the
 * program; EXO_TEST_SEED=N begins elsewhere.
 */
#include "test/unit/tap.h"
#include "test/fuzz/calls.c"

#define INPUT_BYTES	2000

int main(void)
{
	static uint8_t bytes[INPUT_BYTES];
	unsigned inputs = world_steps(200), i, j;

	for (i = 0; i < inputs; i++) {
		for (j = 0; j < INPUT_BYTES; j++)
			bytes[j] = (uint8_t)world_random();
		(void)LLVMFuzzerTestOneInput(bytes, INPUT_BYTES);
	}
	ok(true, "%u streams of %u bytes break nothing", inputs, INPUT_BYTES);
	ok(calls_done > 5 * inputs, "%u calls were made, %u with success", calls_made, calls_done);
	return done();
}
