/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The beginning of a libOS of one's own: what the dispatcher page has to say, a state, a ring. See bare.h.
 */
#include <exo/flow.h>
#include <exo/space.h>
#include "libos/core/bare.h"

#define INTERRUPTS_ON	0x202	/* rflags */

extern char bare_run_entry[], bare_fault_entry[], bare_resume[], bare_resume_end[], bare_stack_end[];
void bare_first(void);

/* Called by bare_start. */
void bare_first(void)
{
	struct exo_disp *disp = core_disp;

	if (core_begin->magic != EXO_START_MAGIC || core_info->magic != EXO_INFO_MAGIC ||
	    core_info->abi_major != EXO_ABI_MAJOR)
		core_exit(125);		/* no console is known either */
	disp->upcall_sp = (uint64_t)bare_stack_end;
	disp->run_entry = (uint64_t)bare_run_entry;
	disp->fault_entry = (uint64_t)bare_fault_entry;
	disp->critical = (uint64_t)bare_resume;
	disp->critical_end = (uint64_t)bare_resume_end;
	bare_begin();
}

void bare_state(struct exo_regs *state, void (*fn)(void), void *stack, size_t bytes)
{
	*state = (struct exo_regs){ .rip = (uint64_t)fn, .rsp = (uint64_t)stack + bytes - 8, .rflags = INTERRUPTS_ON };
	__asm__("mov %%cs, %0; mov %%ss, %1" : "=r"(state->cs), "=r"(state->ss));
}

struct exo_ring *bare_ring(exo_cap_t flow, exo_vaddr_t at, uint32_t slots)
{
	struct exo_ring *ring = (struct exo_ring *)at;
	uint32_t frames = 1 + slots / 2;
	exo_cap_t cap;

	if (slots < 2 || slots > EXO_RX_SLOTS_MAX || slots & (slots - 1) || !bare_frames(frames, frames, at, &cap))
		return NULL;
	ring->rx_frames = slots / 2;
	for (uint32_t slot = 0; slot < slots; slot++)
		ring->rx_free[slot] = (uint16_t)slot;
	ring->rx_posted = slots;
	if (exo_flow_bind(flow, cap, 0, cap, 0, frames) >= 0)
		return ring;
	bare_map(at, 0, EXO_CAP_NONE, 0, frames);
	exo_cap_delete(cap);
	return NULL;
}
