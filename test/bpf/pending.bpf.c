/* SPDX-License-Identifier: BSD-2-Clause */
/* Sleep on, unless a ring has something, a deadline has come, or one of some words is set. */
#include <exo/bpf.h>

volatile uint32_t head[4], tail[4];
volatile uint64_t words[8];
uint64_t deadline;

EXO_PROGRAM(wake) int pending(struct exo_wake *wake)
{
	if (wake->pending || wake->now >= wake->until || (deadline && exo_code_time() >= deadline))
		return 1;
	for (int i = 0; i < 4; i++)
		if (head[i] != tail[i])
			return 1;
	for (int i = 0; i < 8; i++)
		if (words[i])
			return 1;
	return 0;
}
