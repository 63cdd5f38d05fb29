/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of a trace as lines. */
#ifndef APPS_TRACE_PRINT_H
#define APPS_TRACE_PRINT_H

#include <exo/trace.h>

/* Whose line is not finished: a call that has not come back yet. */
struct printer {
	const char *name;
	struct exo_trace_record call;	/* kind 0: none */
};

/* Show a record; a call waits for its result, or for whatever comes in its place. */
void print_record(struct printer *printer, const struct exo_trace_record *record);
/* So many records are gone before the next one. */
void print_missing(struct printer *printer, uint64_t count);

#endif
