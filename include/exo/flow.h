/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows: claims on received packets, guards on sent ones, and the rings that carry both.
 *
 * A *term* compares a big-endian field of the frame: (field & mask) == value. Its offset may be relative to an earlier
 * field, e.g. an IPv4 header's length: offset + ((byte[rel_offset] & rel_mask) << rel_shift). A *claim* is a
 * conjunction of terms; a packet goes to the deepest flow whose claim it matches, or is dropped if that is not bound.
 * A flow is made below a parent and says only what it adds: its claim is the parent's and its own terms together. Two
 * flows below one parent must be disjoint, i.e. have a field in common that no packet can satisfy for both, unless both
 * are marked shared and make the same claim: then each gets a copy. A shared flow has none below it.
 * A *guard* is up to three alternatives, each a conjunction; a frame is sent only if one matches its first bytes. Each
 * alternative must imply every term of one of the parent's alternatives. A field stands once in a conjunction.
 *
 * A flow with a *budget* receives no more than that pays for, it and all below it together: what comes beyond is dropped right
 * after the filter. A packet that goes to a ring costs about 210 instructions and one for each 8 bytes, a run of a program
 * about 150 and what its fuel stands for.
 *
 * A ring's frame 0 holds struct exo_ring, followed in the capability by `rx_frames` frames, each two receive slots of
 * 2048 bytes: slot i is frame 1 + i / 2, half i % 2. The application posts the numbers of empty slots in rx_free; the
 * kernel fills them in that order and reports each in rx. Sent data lies in the transmit frames, named by byte offset;
 * the kernel copies the first EXO_GUARD_BYTES, judges the copy and sends that copy; the rest goes by reference. Indices
 * run freely and are taken modulo the number of slots. What the kernel writes here is output; it never reads it back.
 *
 * A device with EXO_NET_CUTS cuts a frame of up to EXO_TX_LARGE_MAX bytes into TCP segments of EXO_TX_CUT(n) bytes, each
 * below the frame's headers with length, sequence number and sums made right, and sums a shorter one, too. The headers are
 * Ethernet's, IPv4's without options and TCP's, all within EXO_GUARD_BYTES; TCP's sum is that of the pseudo header.
 *
 * EXO_FLOW_OWN: while such a flow is bound, the device writes into the slots themselves and nothing is copied. The slots
 * posted are given to it whenever it interrupts or the flow is kicked and it has fewer than half of all; what is reported may
 * come in another order. The EXO_OWN_BEFORE bytes before a slot (at the end of the ring's frame for the first) are the
 * device's to write, too.
 */
#ifndef EXO_FLOW_H
#define EXO_FLOW_H

#include <exo/types.h>

#define EXO_TERMS_MAX		8	/* of a flow itself, above what its parents say */
#define EXO_TERMS_BELOW_MAX	512	/* of flows that a new one must be compared with one by one: see exo_flow_make */
#define EXO_GUARDS_MAX		3
#define EXO_GUARD_TERMS_MAX	8
#define EXO_GUARD_BYTES		64
#define EXO_FLOWS_MAX		4096	/* of all devices together; fewer with little memory: info->flows.entries */
#define EXO_FRAME_BYTES_MAX	1514	/* an Ethernet frame without its checksum */

#define EXO_FLOW_SHARED		1	/* receives a copy beside other shared flows with the same claim ... */
#define EXO_SHARED_MAX		40	/* ... of which there are so many at most */

#define EXO_FLOW_STEERED	2	/* takes no packet by itself, only what the program of the flow right above sends to
				 * it by its number `steer`; has no terms, and none below it */
#define EXO_STEER_MAX		16

#define EXO_FLOW_OWN		4	/* right below a device's own flow, without terms: while it is bound, the device is its. None
				 * is below it, no claim beside it, and no program looks at its packets */
#define EXO_OWN_BEFORE		12	/* bytes before a slot that the device writes */

#define EXO_BUDGET_NS		10000000	/* for which a budget lasts: then it is whole again */

#define EXO_TERM_NOT		1	/* holds when (field & mask) != value */

struct exo_term {
	uint16_t offset;	/* bytes from the frame's start */
	uint8_t width;		/* 1, 2 or 4 bytes, big-endian */
	uint8_t rel_shift;
	uint16_t rel_offset;
	uint8_t rel_mask;	/* 0: not relative */
	uint8_t flags;		/* EXO_TERM_* */
	uint32_t mask;
	uint32_t value;		/* value & ~mask == 0 */
};

/* What exo_flow_make reads from the argument frame. */
struct exo_claim {
	uint32_t flags;		/* EXO_FLOW_* */
	uint32_t terms;		/* number of term[], 0..EXO_TERMS_MAX */
	uint32_t guards;	/* number of guard[]; 0: may send nothing */
	uint32_t guard_terms[EXO_GUARDS_MAX];
	uint32_t steer;		/* with EXO_FLOW_STEERED: 0..EXO_STEER_MAX - 1; else 0 */
	char label[16];		/* shown in the exposed table; the kernel does not interpret it */
	struct exo_term term[EXO_TERMS_MAX];
	struct exo_term guard[EXO_GUARDS_MAX][EXO_GUARD_TERMS_MAX];
	uint32_t budget;	/* instructions in EXO_BUDGET_NS for its packets and those of all flows below it; 0: no end */
};

#define EXO_RING_VERSION	1
#define EXO_RX_FRAMES_MAX	128
#define EXO_RX_SLOT_BYTES	2048
#define EXO_RX_SLOTS_MAX	256
#define EXO_TX_SLOTS		64
#define EXO_TX_FRAMES_MAX	1024
#define EXO_TX_MORE		1	/* the frame goes on in the next descriptor; at most EXO_TX_PARTS_MAX */
#define EXO_TX_PARTS_MAX	20
#define EXO_TX_PART_MAX		4096	/* bytes of one descriptor */
#define EXO_TX_CUT(bytes)	((bytes) << 4)	/* in the frame's last descriptor */
#define EXO_TX_CUT_MIN		536	/* ... and a segment is no longer than EXO_FRAME_BYTES_MAX with its headers */
#define EXO_TX_LARGE_MAX	65535
#define EXO_KICK_MAX		16	/* frames that one exo_flow_kick takes; fewer if they have many parts */

struct exo_rx {
	uint16_t bytes;
	uint16_t slot;		/* where the packet lies */
	uint32_t time;		/* low half of exo_time_t when it was taken from the device */
};

struct exo_tx {
	uint32_t offset;	/* bytes from the first transmit frame */
	uint16_t bytes;
	uint16_t flags;		/* EXO_TX_MORE, EXO_TX_CUT */
};

struct exo_ring {
	uint32_t version, size;	/* EXO_RING_VERSION, sizeof */
	uint32_t rx_frames;	/* set by the application before exo_flow_bind: 1..128, a power of two */
	uint32_t rx_head;	/* kernel: slots filled, ever */
	uint32_t rx_posted;	/* application: empty slots posted in rx_free, ever */
	uint32_t tx_head;	/* application: descriptors posted, ever */
	uint32_t tx_taken;	/* kernel: descriptors taken (their guard bytes are copied), ever */
	uint32_t tx_done;	/* kernel: descriptors whose memory may be reused, ever */
	uint64_t rx_packets, rx_dropped, tx_packets, tx_refused;	/* kernel: counters */
	uint32_t rx_quiet;	/* application, 0 after exo_flow_bind: frames of so many bytes and fewer cause no event. Whoever
				 * lowers it looks at rx_head afterwards, behind a fence: the kernel does it the other way round */
	uint32_t own;		/* kernel, at exo_flow_bind: 1 the slots posted are the device's (EXO_FLOW_OWN); else 0 */
	uint8_t spare[0x100 - 72];
	struct exo_rx rx[EXO_RX_SLOTS_MAX];
	struct exo_tx tx[EXO_TX_SLOTS];
	uint16_t rx_free[EXO_RX_SLOTS_MAX];	/* numbers of empty slots, taken modulo 2 * rx_frames */
};

#ifndef __ASSEMBLER__
_Static_assert(sizeof(struct exo_term) == 16, "a term is 16 bytes");
_Static_assert(sizeof(struct exo_claim) <= EXO_PAGE_SIZE, "fits the argument frame");
_Static_assert(offsetof(struct exo_ring, rx) == 0x100, "receive descriptors");
_Static_assert(sizeof(struct exo_ring) <= EXO_PAGE_SIZE, "one frame");
#endif

#endif
