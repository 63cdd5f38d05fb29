/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Samples of a patient's registers and stack, taken while it does not run.
 *
 * This program and the patient share a CPU. So when this one runs, the patient was interrupted, or has called the
 * kernel and sleeps: the newest record of its trace tells which, and where it was interrupted. Its registers are then
 * in its dispatcher page, in area ON, or, when its upcalls were off, in area OFF: in the one that has this address.
 * Return addresses are read along the frame pointers with exo_env_read, so nothing in the patient has to work: where
 * the chain leads nowhere it ends. For code without frame pointers there is a copy of the stack's top.
 *
 * A sample stands for the CPU time since the last one, as far as the patient has run without a break; what it used
 * before that is told, and was used nobody knows where.
 *
 * An interruption comes at a time of this program's choice if the slice is its own when it wakes; so it binds all that
 * are free. In another's slice it comes when that ends.
 */
#include <string.h>
#include "apps/record/log.h"
#include "apps/record/record.h"
#include "libos/core/spawn.h"

#define DEPTH_MAX	60
#define COPY_WORDS	192	/* of the stack's top */
#define INTERRUPTED	256
#define LOOK_BACK	256	/* records */

static bool read_area(const struct patient *patient, uint64_t area, uint64_t rip, struct exo_regs *regs)
{
	return spawn_read(patient->env, EXO_VA_DISP + area, regs, sizeof(*regs)) == sizeof(*regs) && regs->rip == rip &&
	    regs->vector == INTERRUPTED;
}

/* Return addresses from a frame pointer on; how many. */
static unsigned walk(const struct patient *patient, uint64_t frame, uint64_t *to)
{
	unsigned depth = 0;
	uint64_t pair[2];

	while (depth < DEPTH_MAX && frame && !(frame & 7) && frame < EXO_USER_MAX &&
	    spawn_read(patient->env, frame, pair, sizeof(pair)) == sizeof(pair) && pair[1]) {
		to[depth++] = pair[1];
		if (pair[0] <= frame)
			break;
		frame = pair[0];
	}
	return depth;
}

/* How long it had run when it was interrupted. */
static uint64_t run_ns(const struct patient *patient, exo_time_t end)
{
	struct exo_trace_record record;

	for (unsigned before = 1; before < LOOK_BACK; before++) {
		record = ring_newest(&patient->ring, before);
		if (record.kind == EXO_TRACE_RUNS)
			return end > record.time ? end - record.time : 0;
	}
	return UINT64_MAX;
}

static void put_words(const struct patient *patient, uint32_t kind, const uint64_t *from, unsigned count)
{
	for (unsigned at = 0; at < count; at += 6)
		log_write(patient->number, kind, count - at < 6 ? count - at : 6, from + at);
}

static void put(struct patient *patient, const struct exo_regs *regs, uint64_t ns, uint32_t off, uint32_t cpu)
{
	static uint64_t stack[DEPTH_MAX + 5], copy[COPY_WORDS + 5];
	unsigned depth = walk(patient, regs->rbp, stack);
	unsigned words = (unsigned)(spawn_read(patient->env, regs->rsp, copy, COPY_WORDS * sizeof(copy[0])) / sizeof(copy[0]));

	if (log_room() < 3 + (depth + words) / 6)
		return;
	log_write(patient->number, LOG_SAMPLE, words << 16 | depth, (uint64_t[6]){ regs->rip, regs->rsp, ns, cpu, regs->rbp,
		off });
	put_words(patient, LOG_STACK, stack, depth);
	put_words(patient, LOG_COPY, copy, words);
	patient->sampled_ns += ns;
}

static void put_unknown(struct patient *patient, uint64_t ns)
{
	log_write(patient->number, LOG_UNKNOWN, 0, (uint64_t[6]){ ns });
	patient->sampled_ns += ns;
}

void sample(struct patient *patient)
{
	const struct exo_env_info *info = info_env((uint32_t)patient->id), *own = info_env((uint32_t)core_disp->self);
	struct exo_trace_record newest = ring_newest(&patient->ring, 0);
	struct exo_regs regs;
	uint32_t off = 0;

	if (info->id != patient->id || info->state != EXO_ENV_READY || info->cpu != own->cpu ||
	    newest.kind != EXO_TRACE_WAITS || info->ns == patient->sampled_ns)
		return;
	(void)spawn_read(patient->env, EXO_VA_DISP + EXO_DISP_OFF, &off, sizeof(off));
	if (!read_area(patient, off ? EXO_DISP_OFFA : EXO_DISP_ON, newest.word[0], &regs) &&
	    !read_area(patient, off ? EXO_DISP_ON : EXO_DISP_OFFA, newest.word[0], &regs))
		return;
	uint64_t used = info->ns - patient->sampled_ns, run = run_ns(patient, newest.time);
	if (run < used)
		put_unknown(patient, used - run);
	put(patient, &regs, run < used ? run : used, off, info->cpu);
}

void sample_rest(struct patient *patient)
{
	const struct exo_env_info *info = info_env((uint32_t)patient->id);

	if (info->id == patient->id && info->ns != patient->sampled_ns)
		put_unknown(patient, info->ns - patient->sampled_ns);
}

void sample_slices(void)
{
	static exo_cap_t taken[EXO_CPUS_MAX][EXO_SLICES];
	uint32_t cpu = info_env((uint32_t)core_disp->self)->cpu, first = 0;

	while (first < EXO_SLICES) {
		uint32_t count = 0, slot;
		if (taken[cpu][first])
			exo_slice_bind(taken[cpu][first], core_named(EXO_NAME_ENV));
		while (first + count < EXO_SLICES && !info_slice(cpu * EXO_SLICES + first + count)->taken)
			count++;
		slot = count ? caps_slot() : 0;
		if (slot && exo_slice_take(slot, cpu, first, count) >= 0) {
			taken[cpu][first] = caps_handle(slot);
			exo_slice_bind(taken[cpu][first], core_named(EXO_NAME_ENV));
		}
		first += count ? count : 1;
	}
}
