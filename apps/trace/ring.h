/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings of traces (exo/trace.h) as an observer has them: frames that the kernel writes to, read in order.
 */
#ifndef APPS_TRACE_RING_H
#define APPS_TRACE_RING_H

#include <exo/trace.h>
#include "libos/core/core.h"

struct ring {
	const struct exo_trace *head;	/* mapped here, read-only */
	exo_cap_t cap;
	exo_pfn_t first;		/* its frames ... */
	uint32_t frames;
	uint64_t shown;			/* records read, or passed over */
};

/*
 * Take frames in a row, at most so many: how many there were, under *cap, and the number of the first; or an error of
 * exo_frame_take.
 */
int64_t ring_take(uint32_t most, exo_cap_t *cap, exo_pfn_t *first);
/*
 * Have an environment (a capability with READ) traced into a ring of at most so many frames: a new one, or, if `ring` has
 * frames already, into those. 0 or an error.
 */
int64_t ring_start(struct ring *ring, exo_cap_t env, uint64_t mask, uint32_t frames);
/*
 * The next record; false: there is none yet. With *lost > 0 so many were overwritten before they could be read, and
 * there is no record.
 */
bool ring_next(struct ring *ring, struct exo_trace_record *record, uint64_t *lost);
/* The newest record but so many, whether it has been read or not; its kind is 0 if there is none. */
struct exo_trace_record ring_newest(const struct ring *ring, unsigned before);

#endif
