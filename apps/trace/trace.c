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
#include "apps/trace/ring.h"
#include "libos/core/thread.h"

#define RING_FRAMES	(4 * EXO_TAKE_MAX)	/* of each program, if there are so many in a row: 6,143 records */
#define PATIENTS_MAX	16
#define LOOK_NS		(CORE_SECOND / 2000)

struct patient {
	struct printer printer;
	struct ring ring;
	bool ended;
	int status;
};

static struct patient patients[PATIENTS_MAX];
static unsigned count;

static int begin(struct patient *patient, const char *name, uint64_t mask)
{
	char cap_name[EXO_START_NAME];

	snprintf(cap_name, sizeof(cap_name), "env:%s", name);
	patient->printer.name = name;
	exo_cap_t env = core_named(cap_name);
	if (!env) {
		fprintf(stderr, "trace: this program may not observe %s; write observe = %s into its section\n", name, name);
		return -1;
	}
	int64_t error = ring_start(&patient->ring, env, mask, RING_FRAMES);
	if (error >= 0)
		error = exo_env_start(env);
	if (error < 0) {
		fprintf(stderr, "trace: %s cannot be traced: %s\n", name, exo_error_text(error));
		return -1;
	}
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
	struct exo_trace_record record;
	uint64_t lost;
	bool any = false;

	while (ring_next(&patient->ring, &record, &lost)) {
		any = true;
		if (lost) {
			print_missing(&patient->printer, lost);
			continue;
		}
		print_record(&patient->printer, &record);
		if (record.kind == EXO_TRACE_END)
			end(patient, &record);
	}
	return any;
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
