/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the disk resource share, and what they and drivers ask of each other.
 *
 * disk.c holds the rings and takes requests from them, by the rings' shares; disk_flight.c keeps what is under way. All
 * of it is under the kernel lock, which interrupts of disks take, too. A driver finds its device at boot, takes all its
 * memory then, and afterwards only moves requests: it never looks at a capability, and keeps nothing of a request but
 * the number of its flight.
 *
 * K1 a flight is under way iff its bit in state->under_way is set; then its frames have one pin each for it
 * K2 flight.gone: its ring is gone, and nobody is told of its end. ring.flights counts the others
 * K3 flight.through is NULL: the BLOCKS capability that it was made through is gone; nothing begins that touches its blocks, but
 *    reads beside one that reads
 * K4 state->bound has a bit for each share that is part of a ring; rings' shares are disjoint
 * K5 a ring that has posted, and kicked, and does not go on, waits for a flight that is under way, or for an interrupt
 *    that is to come again (disk_again), or for the next step of a reset, of which none waits for a ring
 * K6 in disk->phase STARTS nothing is under way; what a driver is told of its device's ends between stop() and start() is of no
 *    interest
 */
#ifndef EXO_DISKS_H
#define EXO_DISKS_H

#include "exo/kernel.h"
#include <exo/disk.h>

#define DISKS_MAX	4
#define DISK_FLIGHTS	64	/* of one disk */
#define DISK_SIZES	7	/* of requests, for measuring how long they take: powers of two */
#define DISK_CLASSES	(2 * DISK_SIZES + EXO_DISK_ZEROES - EXO_DISK_WRITE)

/* A run of frames, physically contiguous. */
struct disk_part {
	paddr_t address;
	uint32_t bytes;
};

/* What a driver is given. */
struct disk_transfer {
	uint8_t operation, flags;	/* EXO_DISK_* */
	uint16_t parts;
	uint32_t blocks;		/* all parts together; of FLUSH 0 */
	uint64_t block;
	struct disk_part part[EXO_DISK_PARTS_MAX];
};

/* A request that is under way, or the one that is just being read. */
struct disk_flight {
	struct disk_transfer transfer;
	struct disk_ring *ring;
	const struct exo_cap *through;	/* BLOCKS; NULL: limbo */
	uint32_t tag;
	exo_pfn_t volume;		/* registry.c: that its blocks are of; 0: of none */
	uint32_t node;			/* ... whose metadata says so */
	uint32_t stamp;			/* FLUSH: its number */
	bool gone;			/* its ring is */
};

/* Ring i begins with share i. Of one that is not bound only `pass` and `shares` mean something. */
struct disk_ring {
	uint64_t pass;			/* time that it has had, by its shares: who has the lowest is next */
	struct env *env;
	struct exo_cap *through, *frames;	/* the capabilities that it was bound through; NULL: it is not */
	struct exo_disk_ring *page;
	exo_pfn_t pfn, account;		/* the page's frame, and who is charged for it */
	uint32_t taken, done;		/* the kernel's own; the page holds copies */
	uint32_t flights;		/* that it has under way */
	uint8_t number, shares;
	uint64_t weight;		/* of what of it has ended since the time was last charged: ns, on the average */
};

/* Bit i of a word is ring i's, or flight i's, or share i's. */
struct disk_state {
	uint64_t under_way;		/* flights */
	uint64_t bound, rings;		/* shares that are part of a ring; the first of each ring */
	uint64_t blocked;		/* rings whose next request waits for one in limbo */
	uint64_t told, ended;		/* rings with new completions; with a weight */
	uint32_t flush_begun, flush_done;	/* numbers of the last, and of the last that has ended */
	unsigned flights, limbo;	/* how many are under way, and in limbo */
	uint32_t classes;		/* kinds of requests among these */
	uint64_t weight;		/* of all rings together */
	uint32_t mean[DISK_CLASSES];	/* ns that requests of a kind and size take */
	uint64_t pass;			/* of who was last given the disk, before that */
	exo_time_t since;		/* until when its time is charged */
	exo_time_t rivals_until;	/* lately several rings had requests; until then that counts */
	struct disk_ring *last;		/* who had the last one */
	struct disk_ring ring[EXO_DISK_SHARES];
	struct disk_flight flight[DISK_FLIGHTS];
};

/* Where a reset is. Requests are taken in those before STOPS. */
enum disk_phase { DISK_RUNS, DISK_TAKES, DISK_STOPS, DISK_ENDS, DISK_STARTS, DISK_GIVEN_UP };

struct disk {
	/* The driver's, before disk_add(). */
	uint64_t blocks;
	uint32_t flags;			/* EXO_DISK_* of what it is and offers */
	uint32_t again;			/* data word of an interrupt that calls disk_settled() */
	/* Queue one; `flight` is given back by disk_done(). false: no room now, call again after the next disk_done(). */
	bool (*submit)(struct disk *disk, unsigned flight, const struct disk_transfer *transfer);
	/* Some were queued: let the device look. */
	void (*notify)(struct disk *disk);
	/* Is the device done with all that it was given, for good? Tells it to, each time. */
	bool (*stop)(struct disk *disk);
	/* Then: set up the device and what the driver has, empty. AGAIN: call again; DEVICE: it cannot. Each call is short. */
	int64_t (*start)(struct disk *disk);
	/* Filled in by disk_add(). */
	uint8_t phase;			/* enum disk_phase */
	unsigned number;		/* of disks */
	struct exo_device_info *info;	/* kind 2; the driver counts its interrupts and errors there */
	struct disk_state *state;
};

/* For drivers, at boot: a place for a new disk; takes some frames. `kind`: the driver's name, at most 7 letters. false:
 * there are enough, or it has no blocks. */
bool disk_add(struct disk *disk, const char *kind);
/* From the driver's interrupt, under disks_lock(): a flight has ended. Unknown or idle numbers are counted and ignored.
 * Returns what it cost in instructions, roughly: a driver goes on until that is some 8,000 together, and comes back for
 * the rest (disk_again). */
unsigned disk_done(struct disk *disk, unsigned flight, bool failed);
/* At the end of the interrupt: tell the rings' owners, take more. true: there is more to do although nothing may be under
 * way: come back. */
bool disk_settled(struct disk *disk);
/* A little later the interrupt with this data word comes again on this CPU (arch_irq_again): whoever runs goes on first. */
void disk_again(uint32_t data);
/* Around all that an interrupt handler does with a disk: the kernel lock, from where it may be waited for, but whatever
 * other CPUs ask here happens meanwhile: the interrupted environment may have ended. */
void disks_lock(void);
void disks_unlock(void);

/* disk_flight.c: take requests from the rings by turns, until `most` are of one ring, if that is given; *count: of those.
 * false: more may be left, but enough has been done in this stay. Tells all who have completions. */
bool disk_take(struct disk *disk, struct disk_ring *one, unsigned most, unsigned *count);
/* A step of a reset, as exo_disk_reset's. */
int64_t disk_reset_step(struct disk *disk);
void disk_give_up(struct disk *disk);
/* A ring goes: nobody is told of what it has under way, which is charged now. */
void disk_gone(struct disk_state *state, struct disk_ring *ring);
/* A ring's owner has requests: others may not have the whole disk from now on. */
void disk_wanted(struct disk_state *state, struct disk_ring *ring, exo_time_t now);

/* registry.c: a request through a NODE capability. Its first descriptor; then for each part 0, or what is wrong with it, and
 * *pfn, unless that is 0, is the frame that it goes to or comes from, whatever the descriptor says. */
int64_t registry_request(const struct env *env, const struct exo_disk_request *one, struct disk_flight *flight);
int64_t registry_part(const struct disk_flight *flight, uint32_t block, uint32_t count, exo_pfn_t *pfn);
/* It is under way; it has ended. */
void registry_begin(const struct disk_flight *flight);
void registry_done(const struct disk_state *state, const struct disk_flight *flight, bool failed);
/* The BLOCKS capability that volumes may be made of is being dropped. */
void registry_lost(struct exo_cap *cap);

/* Boot: there are no disks yet. */
void disk_init(void);
/* The timer came: interrupts that are to come again. */
void disk_timer(exo_time_t now);
/* For main.c: a disk by number, NULL: there is none. */
struct disk *disk_numbered(unsigned number);

/* For cap.c: a capability is being dropped. false: budget used up, call again. */
bool disk_drop(struct exo_cap *cap, unsigned *budget);		/* DISK: the ring bound through it goes */
bool disk_blocks_drop(struct exo_cap *cap, unsigned *budget);	/* BLOCKS: its flights are in limbo */
bool disk_cut(struct exo_cap *cap, unsigned *budget);		/* FRAME with CAP_RINGS: rings that lie in its frames go */

#endif
