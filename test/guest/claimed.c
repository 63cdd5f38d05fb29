/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the packets of the claims that its configuration gave it, for test/e2e/filters.py, and prints how many there
 * were when none has come for half a second. Not a test by itself.
 */
#include <stdio.h>
#include <string.h>
#include <exo/flow.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define RX_FRAMES	16
#define CLAIMS		16
#define PAUSE		(CORE_SECOND / 50)
#define QUIET		30	/* pauses without a packet: there are no more */

static struct exo_ring *bind(exo_cap_t flow)
{
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	struct frame frame;

	if (!frame_alloc_run(1 + RX_FRAMES, &frame) ||
	    space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first, 1))
		return NULL;
	struct exo_ring *ring = (struct exo_ring *)va;
	ring->rx_frames = RX_FRAMES;
	ring->rx_posted = 2 * RX_FRAMES;
	for (unsigned i = 0; i < 2 * RX_FRAMES; i++)
		ring->rx_free[i] = (uint16_t)i;
	int64_t error = exo_flow_bind(flow, frame.cap, frame.first, 0, 0, 0);
	if (error)
		printf("bind: %s\n", exo_error_name(error));
	return error ? NULL : ring;
}

int main(void)
{
	struct exo_ring *ring[CLAIMS];
	uint32_t count = 0, seen = 0, last = 0, quiet = 0;
	char name[16];

	for (; count < CLAIMS; count++) {
		snprintf(name, sizeof(name), "claim%u", (unsigned)count);
		exo_cap_t flow = core_named(name);
		if (!flow)
			break;
		ring[count] = bind(flow);
		if (!ring[count])
			return 1;
	}
	printf("claims %u\n", (unsigned)count);
	for (;;) {
		thread_sleep(core_now() + PAUSE);
		seen = 0;
		for (uint32_t i = 0; i < count; i++) {
			seen += ring[i]->rx_head;
			ring[i]->rx_posted = ring[i]->rx_head + 2 * RX_FRAMES;
		}
		quiet = seen == last ? quiet + 1 : 0;
		if (quiet == QUIET && seen) {
			printf("packets %u\n", (unsigned)seen);
			return 0;
		}
		last = seen;
	}
}
