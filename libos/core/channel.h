/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels: messages between two environments through shared frames, without the kernel.
 *
 * A channel is a pair of rings in memory that both sides map, one for each direction; a ring has one producer
 * and one consumer. A message is one cache line; each slot also has `bulk` bytes that go along with its
 * message. While both sides run (on two CPUs, or by turns) nothing enters the kernel. A side that waits spins
 * a little if the other is on another CPU, then *arms*: it stores a number in its own word, looks again, and
 * sleeps; the other side publishes with a store that is also a fence, looks at that word, and calls exo_wake
 * (or exo_kick) once for each number. Each word has one writer.
 *
 * The memory (all words little-endian; a LINE is 64 bytes):
 *
 *   0            struct channel_header: magic, version, size, then the geometry
 *   LINE         ring 0 (from the side that made the channel to the one that attached)
 *   LINE + R     ring 1 (back), R = 4 LINE + slots * (LINE + bulk)
 *   in a ring    tail, its writer the producer; head, the consumer; the consumer's armed word, the producer's
 *                (each on a line of its own); then the slots' messages; then their bulk bytes
 *
 * tail and head count messages and wrap at 2^32; message i is in slot i % slots. An armed word of
 * CHANNEL_CLOSED says that its writer has left. Later versions append to the header; another version is
 * refused.
 *
 * The other side is not trusted: own indices are private copies, an index from there only ever says how many
 * messages there are (more than `slots` breaks the channel for good), a message is copied before it is looked
 * at, a length beyond the slot's breaks the channel, the geometry is read once and checked. So a peer that
 * lies or dies can make us receive rubbish, or nothing, but not loop, fault or read outside. Waiting ends at
 * a deadline, or when the peer's entry in the exposed table says that it has ended. After FastForward,
 * Barrelfish's UMP, and virtio's event suppression.
 */
#ifndef LIBOS_CORE_CHANNEL_H
#define LIBOS_CORE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <exo/error.h>
#include <exo/types.h>

#define CHANNEL_MAGIC		0x4c434f58	/* "XOCL" */
#define CHANNEL_VERSION		1
#define CHANNEL_LINE		64
#define CHANNEL_SLOTS_MAX	(1u << 16)
#define CHANNEL_BULK_MAX	(1u << 20)
#define CHANNEL_CLOSED		0xffffffffffffffffULL

struct channel_header {
	uint32_t magic;
	uint16_t version;
	uint16_t header;	/* bytes of this structure */
	uint64_t size;		/* bytes of all */
	uint32_t slots;		/* of each ring: a power of two */
	uint32_t bulk;		/* bytes of each slot beside its message: a multiple of CHANNEL_LINE, or 0 */
};

struct channel_message {
	uint32_t bytes;		/* of the slot's bulk bytes that are meant */
	uint32_t kind;		/* the two sides' own */
	uint64_t word[7];
};

/* One direction, as one side sees it: where it lies, and the private indices. */
struct channel_ring {
	uint32_t *tail, *head;
	uint64_t *consumer_armed, *producer_armed;
	struct channel_message *message;
	char *bulk;
	uint32_t own;		/* the index that this side writes */
	uint32_t seen;		/* the other side's, when last looked at */
	uint64_t armed;		/* numbers used for arming */
	uint64_t woken;		/* the other side's number that it was last woken for */
};

struct channel {
	struct channel_ring out, in;
	uint32_t slots, bulk;
	bool broken;		/* the peer has broken the rules: all but closing is over */
	/* For waiting (channel_connect): */
	exo_cap_t wake;		/* environment or entry of the peer, with WAKE */
	exo_env_id_t peer;	/* 0: not known */
	uint64_t wakes, sleeps;	/* kernel entries so far */
	struct channel *next;
	struct thread *sender, *receiver;
	/* By kick (channel_connect_kick): */
	exo_cap_t frames;	/* 0: by `wake` */
	uint32_t first;
	int watch_in[2], watch_out[2];	/* words: the peer's index, and whether it has left */
};

/* --- channel.c: no kernel, no threads ------------------------------------------------------------------- */

/*
 * Bytes of memory for a channel; 0: no such geometry (slots a power of two up to CHANNEL_SLOTS_MAX, see
 * above).
 */
size_t channel_bytes(uint32_t slots, uint32_t bulk);
/*
 * Lay a channel out in zeroed or old memory, aligned to a line. 0, -EINVAL, or -ERANGE: the memory is too
 * small.
 */
int channel_make(struct channel *channel, void *memory, size_t bytes, uint32_t slots, uint32_t bulk);
/*
 * The other side of it. -ESTATE: nothing is laid out there, or of another version; -ERANGE: more than the
 * memory.
 */
int channel_attach(struct channel *channel, void *memory, size_t bytes);

/*
 * Put a message, with `message->bytes` bytes from `bulk`, in the ring, and publish it. 0: done, and the peer
 * is not waiting; 1: done, and the peer wants to be woken; -EFULL: no slot is free; -ERANGE: more bytes than
 * a slot has, or the channel is broken; -EDEAD: the peer has closed.
 */
int channel_try_send(struct channel *channel, const struct channel_message *message, const void *bulk);
/*
 * The same in two steps, for many at once: staged messages are not seen until channel_publish (0 or 1 as
 * above).
 */
int channel_stage(struct channel *channel, const struct channel_message *message, const void *bulk);
int channel_publish(struct channel *channel);
/*
 * Take the next message, and at most `size` of its bytes into `buffer` (message->bytes says how many there
 * were). 0 or 1 as above; -EAGAIN: there is none; -ERANGE: broken; -EDEAD: there is none and the peer has
 * closed.
 */
int channel_try_receive(struct channel *channel, struct channel_message *message, void *buffer, size_t size);
/* Is there a message / a free slot? True, too, if the answer is an error that the call above tells. */
bool channel_readable(struct channel *channel);
bool channel_writable(struct channel *channel);
/*
 * Ask to be woken when the channel becomes readable (writable); look once more before sleeping. The fence
 * between is theirs. Disarming is by the same function.
 */
void channel_arm_receive(struct channel *channel, bool on);
void channel_arm_send(struct channel *channel, bool on);
/* Leave; the peer receives what is there, then -EDEAD. Wake it afterwards (channel_close does both). */
void channel_mark_closed(struct channel *channel);

/*
 * --- channel_wait.c: blocking, for threads of core -------------------------------------------------------
 */

/* Who the peer is: a capability to wake it by, and its environment id (0 where that is not known). */
void channel_connect(struct channel *channel, exo_cap_t wake, exo_env_id_t peer);
/*
 * Without a capability for the peer: it is told by a kick of the frame that holds the word it waits for, and so are we
 * (watch.h; the threads of this program then sleep on a predicate). The channel's memory, which begins a page, begins in
 * frame `first` of `frames`, with READ and WRITE. 0; -EFULL: there are too many frames to watch: use channel_connect.
 */
int channel_connect_kick(struct channel *channel, exo_cap_t frames, uint32_t first, exo_env_id_t peer);
/*
 * Send / receive, waiting for room / a message until the deadline; other threads run meanwhile. 0 or an error
 * as above, -ETIME: the deadline has passed; -EDEAD also when the peer's environment has ended. One thread
 * waits in each direction: -EBUSY otherwise.
 */
int channel_send(struct channel *channel, const struct channel_message *message, const void *bulk,
		 exo_time_t deadline);
int channel_receive(struct channel *channel, struct channel_message *message, void *buffer, size_t size,
		    exo_time_t deadline);
void channel_close(struct channel *channel);

#endif
