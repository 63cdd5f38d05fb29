/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks: blocks that are owned, shares of a disk's time, and the rings that requests go through.
 *
 * A block is 4096 bytes, whatever the disk's own sectors are; what does not fill a block at a disk's end is not there, nor
 * what lies behind 2^32 - 1 blocks.
 * A BLOCKS capability covers blocks [first, first + count) of one disk (its `first` is disk << EXO_DISK_SHIFT | block),
 * with READ and WRITE. A DISK capability covers *shares* [first, first + count) of EXO_DISK_SHARES of one disk's time
 * (its `first` is disk << EXO_DISK_SHIFT | share). One ring at a time is bound through it; while several rings have
 * requests, each gets the disk in proportion to its shares. What one leaves the others use. A share is part of one ring.
 *
 * A ring is one frame, struct exo_disk_ring. The application writes requests and raises `posted`; exo_disk_kick takes as
 * many as the disk has room for, and so do completions later, without a call. The kernel reads each request once, when
 * it takes it, and checks there that the two capabilities that it names are the ring owner's, cover what is asked for,
 * and have the rights: to read a block READ for the blocks and WRITE for the frames; to write one WRITE and READ. The
 * frames are pinned until it is done, also when the capability to them goes: exo_frame_reclaim tells their owner. Data goes straight between disk and frames. Requests are done in any order: only a
 * FLUSH says that what was reported done before it was posted is stable when it is done itself.
 *
 * When a BLOCKS capability goes while a request that was made through it is under way, the request ends by itself; no
 * other on the same blocks begins before. When a ring goes, what it has under way ends likewise, and nobody is told.
 *
 * How long a disk may take the kernel does not say. Who holds all shares with CONTROL may have it start anew at any time,
 * by exo_disk_reset until that is 0: requests are taken no more; when the device has let go of what it was given, all of that
 * ends with DEVICE, and its frames are free; then it is set up again and goes on. Nothing waits in the kernel: between two
 * steps the caller sleeps, and goes on, as long as it likes. EXO_DISK_GIVE_UP instead: the disk is dead. Everybody's next exo_disk_kick
 * says DEVICE, and nothing ends: the frames stay pinned until a later reset gets an answer.
 */
#ifndef EXO_DISK_H
#define EXO_DISK_H

#include <exo/types.h>

#define EXO_DISK_SHIFT		48
#define EXO_DISK_SHARES		64	/* of each disk's time */
#define EXO_DISK_SLOTS		64	/* requests of a ring that may be posted and not done */
#define EXO_DISK_BLOCKS_MAX	64	/* blocks of one request */
#define EXO_DISK_PARTS_MAX	16	/* descriptors that make one request: see EXO_DISK_MORE */
#define EXO_DISK_KICK_MAX	16	/* requests that one exo_disk_kick looks at */

/* What is asked for. A disk offers READ and WRITE, and of the others what `flags` of its exo_device_info says. */
#define EXO_DISK_READ		0
#define EXO_DISK_WRITE		1
#define EXO_DISK_FLUSH		2	/* no blocks, no frames; needs any BLOCKS capability with WRITE */
#define EXO_DISK_DISCARD	3	/* blocks, no frames: their contents are of no use any more */
#define EXO_DISK_ZEROES		4	/* blocks, no frames: they read as zeroes from now on */

/* Flags of a request. */
#define EXO_DISK_FUA		1	/* WRITE: stable when it is done; only where the disk offers it */
#define EXO_DISK_MORE		2	/* the next descriptor goes on with the blocks behind this one's, of the same operation and
					 * blocks capability; its other fields but frames, frame, count and MORE are not looked at. All are done together */

/* Of a disk: exo_device_info.flags. */
#define EXO_DISK_READ_ONLY	0x01
#define EXO_DISK_CACHE		0x02	/* it has a cache of its own: FLUSH is needed, and offered; else it is done at once */
#define EXO_DISK_HAS_FUA	0x04
#define EXO_DISK_HAS_DISCARD	0x08
#define EXO_DISK_HAS_ZEROES	0x10
#define EXO_DISK_STOPPED	0x20	/* it is being reset: requests are not taken */
#define EXO_DISK_DEAD		0x40	/* it was given up */

/* exo_disk_reset: how. */
#define EXO_DISK_STEP		0
#define EXO_DISK_GIVE_UP	1

struct exo_disk_request {
	uint64_t blocks;	/* BLOCKS capability */
	uint64_t frames;	/* FRAME capability; not looked at where there are no frames */
	uint32_t block;		/* the first, from the capability's first */
	uint32_t frame;		/* the first frame, from the capability's first */
	uint16_t count;		/* blocks, and as many frames; EXO_DISK_BLOCKS_MAX in all parts together */
	uint8_t operation;
	uint8_t flags;
	uint32_t tag;		/* comes back with the completion */
};

struct exo_disk_done {
	uint32_t tag;		/* of the request's first descriptor */
	int32_t result;		/* 0, or the negative of an error: of a check as a call gives it, DEVICE: the disk failed */
};

#define EXO_DISK_RING_VERSION	1

struct exo_disk_ring {
	uint32_t version, size;	/* set by exo_disk_bind: EXO_DISK_RING_VERSION, sizeof */
	uint32_t posted;	/* application: descriptors posted, ever */
	uint32_t taken;		/* kernel: descriptors taken, ever; their slots may be written again */
	uint32_t done;		/* kernel: completions written, ever; one for each request, not for each descriptor */
	uint32_t disk;		/* kernel: which, by number */
	uint32_t shares;	/* kernel: how many are bound */
	uint32_t spare;
	uint64_t read_blocks, written_blocks, flushes, refused, failed;	/* kernel: counters */
	uint64_t busy_ns;	/* kernel: the disk's time that it has had: what shares are of */
	uint8_t spare2[0x100 - 80];
	struct exo_disk_request request[EXO_DISK_SLOTS];	/* descriptor i at i % EXO_DISK_SLOTS */
	struct exo_disk_done completion[EXO_DISK_SLOTS];	/* the i-th at i % EXO_DISK_SLOTS: read it before 64 more are done */
};

#ifndef __ASSEMBLER__
static inline uint64_t exo_disk_first(unsigned disk, uint64_t first)
{
	return (uint64_t)disk << EXO_DISK_SHIFT | first;
}
_Static_assert(sizeof(struct exo_disk_request) == 32, "two to a cache line");
_Static_assert(offsetof(struct exo_disk_ring, request) == 0x100, "requests");
_Static_assert(sizeof(struct exo_disk_ring) <= EXO_PAGE_SIZE, "one frame");
#endif

#endif
