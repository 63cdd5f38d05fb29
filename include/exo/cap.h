/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A slot of a capability table, as the owner sees it in the table's frames (mapped read-only).
 *
 * The owner reads what it holds without a call: type, rights, range, generation. The links are the kernel's; they name
 * other slots by place (frame number << 6 | index in the frame) and are of no use to an application.
 * Over a transfer: while it serves one, the callee may fill free slots of a window of its caller's table, and
 * derive from those of an offer; which, the caller says by window_* and offer_* of its dispatcher page before it
 * calls. Nobody else can, nor he before or after. EXO_PEER as the target of exo_cap_derive is that window (`slot`:
 * index in it), EXO_PEER + i as the source what lies in slot i of the offer.
 *
 * `first` and `count` by type: frame: first frame, frames. slice: cpu << 32 | first slice, slices. ports and interrupts: the
 * first, how many. blocks and disk: disk << EXO_DISK_SHIFT | the first, how many (exo/disk.h). node: the volume's id << 32 |
 * block, and when the block was gained (exo/registry.h). entry: badge, and the high half of the environment's id. env: 0, and
 * the same. Others: 0, 0.
 */
#ifndef EXO_CAP_H
#define EXO_CAP_H

#include <exo/types.h>

#define EXO_PEER	0x10000		/* no handle is like it: no table has so many slots */
#define EXO_PEER_SLOTS	(EXO_CAP_FRAMES_MAX * EXO_CAPS_PER_FRAME)

struct exo_cap {
	uint8_t type;		/* EXO_TYPE_*; NONE: the slot is free */
	uint8_t flags;
	uint16_t rights;	/* EXO_RIGHT_* */
	uint32_t generation;	/* grows when the slot is emptied */
	uint64_t first;
	uint32_t count;
	exo_pfn_t object;	/* the kernel object's frame; 0: none. Frames: how many behind its end it is just losing,
				   with EXO_RIGHT_RESTORE the frame that says which of them it still holds */
	uint64_t parent;	/* links: derivation tree ... */
	uint64_t child;
	uint64_t next;
	uint64_t prev;
	uint64_t bound;		/* ... and head of the ring of page-table entries made through it. Entry: handle of
				 * the account that it is open to; 0: of none */
};

#ifndef __ASSEMBLER__
_Static_assert(sizeof(struct exo_cap) == 64, "a slot is 64 bytes");
#endif

#endif
