/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace: shows what the kernel does for other programs, as it happens: their calls with arguments and results; with
 * --all also exceptions, upcalls and who has the CPU.
 *
 * Nothing is linked into those programs, and they need not work: the kernel writes to rings of this program's. It
 * holds each of them by the capability `env:NAME` (key observe of exo.conf), starts it when its ring is there, and
 * ends with the status of the first when all have ended.
 *
 * Usage: trace [--all] NAME...
 */
#include <stdio.h>
#include <string.h>
#include "apps/trace/print.h"
#include "libos/core/space.h"
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define RING_FRAMES	(4 * EXO_TAKE_MAX)	/* of each program, if there are so many in a row: 6,143 records */
#define PATIENTS_MAX	16
#define LOOK_NS		(CORE_SECOND / 2000)

struct patient {
	struct printer printer;
	const struct exo_trace *ring;
	uint64_t shown;			/* records of it, or passed over */
	bool ended;
	int status;
};

static struct patient patients[PATIENTS_MAX];
static unsigned count;

/* Frames in a row under one capability: how many, or an error. */
static int64_t ring_take(exo_cap_t *cap)
{
	uint32_t slot = caps_slot();
	int64_t taken = exo_frame_take(slot, EXO_PFN_ANY, EXO_TAKE_MAX), frames = EXO_TAKE_MAX;

	if (taken < 0)
		return taken;
	*cap = caps_handle(slot);
	while (frames < RING_FRAMES &&
	    exo_frame_take(*cap, caps_at(slot)->first + (uint64_t)frames, EXO_TAKE_MAX) > 0)
		frames = caps_at(slot)->count;
	return frames;
}

static int begin(struct patient *patient, const char *name, uint64_t mask)
{
	char cap_name[EXO_START_NAME];
	exo_cap_t frames;

	snprintf(cap_name, sizeof(cap_name), "env:%s", name);
	patient->printer.name = name;
	exo_cap_t env = core_named(cap_name);
	if (!env) {
		fprintf(stderr, "trace: this program may not observe %s; write observe = %s into its section\n", name, name);
		return -1;
	}
	exo_vaddr_t at = vm_addresses((uint64_t)RING_FRAMES * EXO_PAGE_SIZE);
	int64_t error = at ? ring_take(&frames) : -EXO_EFULL, got = error;
	if (got >= 0)
		error = exo_trace(env, frames, 0, (uint64_t)got, mask);
	if (error >= 0)
		error = space_map(at, EXO_MAP_READ, frames, 0, (uint32_t)got);
	if (error >= 0)
		error = exo_env_start(env);
	if (error < 0) {
		fprintf(stderr, "trace: %s cannot be traced: %s\n", name, exo_error_text(error));
		return -1;
	}
	patient->ring = (const struct exo_trace *)at;
	return 0;
}

static void end(struct patient *patient, const struct exo_trace_record *last)
{
	patient->ended = true;
	patient->status = last->number == EXO_CAUSE_EXIT ? (int)(last->word[0] & 0xff) : 128 + (int)last->number;
}

/* Show what is new; false: nothing was. */
static bool look(struct patient *patient)
{
	const struct exo_trace *ring = patient->ring;
	const struct exo_trace_record *records = (const struct exo_trace_record *)(ring + 1);
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE), first = patient->shown;

	for (; patient->shown != head; patient->shown++) {
		struct exo_trace_record record = records[patient->shown % ring->records];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		uint64_t now = __atomic_load_n(&ring->head, __ATOMIC_RELAXED), left = now - patient->shown;
		if (left >= ring->records) {	/* what was copied may be half of another */
			print_missing(&patient->printer, left - ring->records / 2);
			patient->shown = now - ring->records / 2 - 1;
			continue;
		}
		print_record(&patient->printer, &record);
		if (record.kind == EXO_TRACE_END)
			end(patient, &record);
	}
	return patient->shown != first;
}

int main(int argc, char **argv)
{
	uint64_t mask = EXO_TRACE_CALLS;
	unsigned ended = 0;
	int at = 1;

	if (at < argc && !strcmp(argv[at], "--all")) {
		mask = EXO_TRACE_ALL;
		at++;
	}
	if (at == argc || argv[at][0] == '-' || argc - at > PATIENTS_MAX) {
		fprintf(stderr, "trace: usage: trace [--all] NAME..., at most %d\n", PATIENTS_MAX);
		return 2;
	}
	for (; at < argc; at++)
		if (begin(&patients[count++], argv[at], mask))
			return 1;
	while (ended < count) {
		bool any = false;
		ended = 0;
		for (unsigned i = 0; i < count; i++) {
			any |= look(&patients[i]);
			ended += patients[i].ended;
		}
		if (!any)
			thread_sleep(core_now() + LOOK_NS);
	}
	return patients[0].status;
}
