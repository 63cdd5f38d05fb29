/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a libOS of one's own begins with that has nothing else of this library: entry code, frames, a ring.
 *
 * `exo-cc --libos=bare` links it. The program supplies bare_begin, bare_run and bare_fault and decides everything: there is
 * no allocator, no thread, no pager, no scheduler. All three are called with upcalls off, on one stack of 8 KiB, and so are
 * the functions below but core_named, core_print and core_exit (core.h), which may be called at any time. An exception in them
 * ends the program. doc/tutorial-libos.md makes a libOS of it; the libOS `event` takes its frames by it, and has entry code
 * of its own.
 *
 * No register but the general ones is saved: programs are compiled with -mgeneral-regs-only, or keep the FPU's registers by
 * themselves (core_disp->on_fpu).
 */
#ifndef LIBOS_CORE_BARE_H
#define LIBOS_CORE_BARE_H

#include "libos/core/core.h"

struct exo_ring;

/* Supplied by the program. Called once, at its first upcall; then bare_run is, as the same upcall. */
void bare_begin(void);

/*
 * Supplied by the program: the CPU is ours, for the `reasons` that exo/disp.h lists (EXO_RUN_*). If core_disp->saved has
 * EXO_SAVED_ON, what was interrupted is in core_disp->on, and whoever has taken that clears the word. When it returns, the state
 * in core_disp->on goes on. It may call exo_sleep or exo_yield, and is then called anew.
 */
void bare_run(uint64_t reasons);

/*
 * Supplied by the program: an exception (0 to 31), whose state is in core_disp->on, with upcalls on. When it returns,
 * what then is in core_disp->on goes on: that state, mended, or another.
 */
void bare_fault(uint64_t vector);

/* Make a state that begins with fn() on a stack of so many bytes, a multiple of 16, upcalls on. fn must not return. */
void bare_state(struct exo_regs *state, void (*fn)(void), void *stack, size_t bytes);

/* Take so many frames in a row, 1 to EXO_TAKE_MAX; they are zeroed, and mapped nowhere. EXO_CAP_NONE: there are none. */
exo_cap_t bare_take(uint32_t count);

/*
 * Take at least `least` and up to `most` frames in a row and map them at `at` for reading and writing. Returns how many; 0: there
 * are none, or no tables for them. *cap covers them from its first on.
 */
uint32_t bare_frames(uint32_t least, uint32_t most, exo_vaddr_t at, exo_cap_t *cap);

/*
 * Map frames `first` to first + count of a capability from `at` on, with `rights` (EXO_MAP_READ ...) and in place of what was
 * there; page tables that are missing are made. Rights 0 and EXO_CAP_NONE: take pages away. 0, or an error of
 * exo_space_write, exo_space_table or -EXO_EQUOTA: what comes before the page that it is about has changed.
 */
int64_t bare_map(exo_vaddr_t at, unsigned rights, exo_cap_t cap, uint32_t first, uint32_t count);

/*
 * Make a ring of `slots` places for packets, a power of two from 2 to 256, at `at`, and bind a flow to it: 1 + slots / 2 pages,
 * the ring and behind it the places, all posted to be filled; what is in them can also be sent. NULL: there is no memory, or the
 * flow is bound or is none.
 */
struct exo_ring *bare_ring(exo_cap_t flow, exo_vaddr_t at, uint32_t slots);

#endif
