/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the recorder. */
#ifndef APPS_RECORD_RECORD_H
#define APPS_RECORD_RECORD_H

#include "apps/trace/ring.h"

struct patient {
	bool used;			/* it is there, or was and is named by an argument */
	bool named;			/* ... by an argument; else a process that its keeper shows */
	unsigned number;		/* its own */
	char name[16];
	exo_cap_t env;
	exo_env_id_t id;
	struct ring ring;
	uint64_t sampled_ns;		/* its CPU time that samples account for */
	bool placed;			/* the log says where its program lies */
	bool ended;
	int status;
};

/* sample.c: where a patient of this CPU was interrupted, and how it came there, to the log. */
void sample(struct patient *patient);
/* What it used since the last sample, when it ends or is not found interrupted any more. */
void sample_rest(struct patient *patient);
/* All free slices of this CPU are bound to this program, so that it runs at the moment that it sleeps until. */
void sample_slices(void);

/* names.c: what calls, errors and exceptions are called, to the log. */
void names_write(void);

/* counters.c: what has changed of flows, CPUs, slices and patients since the last time, to the log. */
bool counters_begin(void);
void counters_flows(void);		/* often */
void counters_machine(void);		/* seldom */
void counters_patient(const struct patient *patient);

#endif
