/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that programs call, as far as they reach into the kernel; bpf_call.c has the others, and says what holds
 * for all of them. And runs of owner functions: on a copy of the block, so that what is looked at is what is answered for,
 * in a frame that the program's maker gave up and nobody can write or read any more; the frame behind it takes what the
 * program emits. The kernel lock is held meanwhile.
 */
#include "exo/codes.h"
#include "exo/dev/dev.h"

/* In fuel, of which one stands for 4 instructions of the machine's at least. */
#define TIME_FUEL	16
#define WAKE_FUEL	64

uint64_t bpf_call_time(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	(void)r1, (void)r2, (void)r3, (void)r4, (void)r5;
	if (!bpf_pay(run, TIME_FUEL))
		return BPF_REFUSED;
	return run->program->use == EXO_USE_PACKET ? flow_packet_time() : arch_now();
}

uint64_t bpf_call_wake(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	const struct flow *flow = run->owner;

	(void)r1, (void)r2, (void)r3, (void)r4, (void)r5;
	if (!bpf_pay(run, WAKE_FUEL))
		return BPF_REFUSED;
	wake_spend(flow->code->fuel * flow->code->weight);
	env_event(flow->env, EXO_EVENT_WAKE);
	return 0;
}

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT] = {
#define CODE_CALL_LINE(number, name, uses, args, meaning) [number] = bpf_call_##name,
	EXO_CODE_CALLS(CODE_CALL_LINE)
#undef CODE_CALL_LINE
};

/* --- owner functions ------------------------------------------------------------------------------------ */

_Static_assert(BPF_STOP_FUEL == EXO_STOP_FUEL && BPF_STOP_GUARD == EXO_STOP_GUARD, "reasons");

uint32_t code_owns(struct code *code, struct exo_block *context, const void *block, const struct code_patch *patch,
    uint32_t most, struct bpf_emits *emits, uint8_t order[EXO_EMITS_MAX], uint64_t *result)
{
	uint8_t *copy = pfn_to_virt(code->self + code->frames - EXO_OWNER_FRAMES);

	*emits = (struct bpf_emits){ 0, (void *)(copy + EXO_PAGE_SIZE) };
	context->data = (uintptr_t)copy;
	context->end = (uintptr_t)copy + EXO_PAGE_SIZE;
	__builtin_memcpy(copy, block, EXO_PAGE_SIZE);
	if (patch)
		__builtin_memcpy(copy + patch->at, patch->bytes, patch->count);
	*result = code_run(code, context, sizeof(*context), copy, EXO_PAGE_SIZE, emits);
	if (code->run.stop == BPF_STOP_EXIT && (emits->count > most || !bpf_emits_sort(emits, order)))
		return EXO_STOP_EMITS;
	return code->run.stop;
}

static void owner_run(struct code *code, const void *block, struct exo_owner_run *out)
{
	struct exo_block context = { .block = read_once(out->block), .type = read_once(out->type) };
	uint8_t order[EXO_EMITS_MAX];
	struct bpf_emits emits;
	uint64_t result;
	uint32_t stop, i;

	stop = code_owns(code, &context, block, NULL, EXO_EMITS_MAX, &emits, order, &result);
	if (stop != BPF_STOP_EXIT) {
		result = EXO_CODE_STOPPED;
		emits.count = 0;
	}
	out->result = result;
	out->seen = code->run.seen;
	out->stop = stop;
	out->emits = emits.count;
	for (i = 0; i < emits.count; i++)
		__builtin_memcpy(&out->emit[i], emits.emit[order[i]], sizeof(out->emit[i]));
}

int64_t sys_code_run(uint64_t code_cap, uint64_t frames_cap, uint64_t first, uint64_t offset, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	int64_t error;
	const struct exo_cap *cap = cap_need(env, code_cap, EXO_TYPE_CODE, EXO_RIGHT_EXEC, &error);
	struct exo_owner_run *out = call_argument(offset, sizeof(*out));
	struct code *code;
	exo_pfn_t pfn;

	(void)a4, (void)a5;
	if (!cap || !cap_need_frames(env, frames_cap, EXO_RIGHT_READ, first, 1, &pfn, &error))
		return error;
	if (!out || offset % sizeof(uint64_t))
		return ERR(RANGE);
	code = code_behind(cap);
	if (!code || !code_ready(code))
		return ERR(STATE);
	if (code->program.use != EXO_USE_OWNER)
		return ERR(INVAL);
	if (!frame_in(pfn, FRAME_ORDINARY))
		return ERR(BUSY);

	owner_run(code, pfn_to_virt(pfn), out);
	return 0;
}
