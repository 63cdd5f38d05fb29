/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory shared with somebody who is not trusted to leave it there.
 *
 * Who owns a frame may take it back at any time, with all mappings; the next access would be a page fault
 * that no pager resolves, in a handler the end of the program. Memory mapped here is a region whose holes are
 * mended: the access finds a page of one's own, the same for all holes, with whatever it holds. The reader's
 * checks (channel.h, rpc.h) then see rubbish, as from any peer that lies. It works in threads and in [upcall]
 * code.
 */
#ifndef LIBOS_CORE_SHARE_H
#define LIBOS_CORE_SHARE_H

#include "libos/vm/vm.h"

struct share {
	struct vm_region region;
	struct share *next;
	uint64_t holes;			/* mended so far; > 0: the peer has taken memory away */
};

/*
 * Map `pages` frames of a capability, from frame `first` on; flags are EXO_MAP_*. NULL: no memory or no
 * addresses.
 */
void *share_map(struct share *share, exo_cap_t cap, uint32_t first, uint32_t pages, unsigned flags);
void share_unmap(struct share *share);

/* [upcall] Mend a hole at an address; false: it is in no such memory, or nothing can be done. */
bool share_mend(exo_vaddr_t va);

#endif
