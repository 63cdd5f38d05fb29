/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that programs call which in the kernel reach further than their windows: here they are counted, and what
 * is sent can be looked at. The others are the kernel's own (exo/bpf_call.c).
 */
#include <string.h>
#include "tools/bpf/host.h"

#define WAKE_FUEL	64	/* as exo/code_run.c takes */
#define SEND_FUEL	160

uint64_t bpf_call_time(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	const struct host_run *on = run->owner;

	(void)r1, (void)r2, (void)r3, (void)r4, (void)r5;
	return on ? on->time : 0;
}

uint64_t bpf_call_wake(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	struct host_run *on = run->owner;

	(void)r1, (void)r2, (void)r3, (void)r4, (void)r5;
	if (!bpf_pay(run, WAKE_FUEL))
		return BPF_REFUSED;
	if (on)
		on->wakes++;
	return 0;
}

uint64_t bpf_call_send(uint64_t from, uint64_t bytes, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	struct host_run *on = run->owner;

	(void)r3, (void)r4, (void)r5;
	if (!bpf_pay(run, SEND_FUEL) || !bpf_own(run, from, bytes, false))
		return BPF_REFUSED;
	if (!on || bytes > sizeof(on->sent))
		return 1;
	on->sends++;
	on->sent_bytes = bytes;
	memcpy(on->sent, (const void *)(uintptr_t)from, bytes);
	return 0;
}

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT] = {
	[0] = plain_call,
#define CALL_LINE(number, name, uses, args, meaning) [number] = bpf_call_##name,
	EXO_CODE_CALLS(CALL_LINE)
#undef CALL_LINE
};
