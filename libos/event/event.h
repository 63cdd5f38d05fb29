/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS event: protothreads (pt.h), timers, connections and datagrams (libos/conn/conn.h) in little memory.
 *
 * One stack, no threads, no upcalls, no page faults: all memory is taken before main() begins, and what is full is full. main()
 * sets things up and calls conn_run. Of the C library a program may use what needs no memory and no files, and malloc; of core
 * what event itself is made of: core_now, core_wall, core_random, core_print, core_format, core_argument, core_exit, core_info.
 */
#ifndef LIBOS_EVENT_EVENT_H
#define LIBOS_EVENT_EVENT_H

#include "libos/conn/conn.h"
#include "libos/core/core.h"
#include "libos/event/pt.h"

/*
 * How much memory the program has, in frames of 4 KiB: EVENT_MEMORY(stack, receive, heap), once in a program.
 *
 *	stack	1 to 16
 *	receive	a ring's receive slots, two in a frame: a power of two, at most 128; fewer are taken if the heap is not four times that
 *	heap	at most 1024: all packets, connections and what malloc gives; 0: an eighth of what the program may have
 *
 * A program that does not say has 4, 128, 0.
 */
struct event_sizes {
	uint16_t stack, receive, heap;
};
extern const struct event_sizes event_sizes;
#define EVENT_MEMORY(stack, receive, heap)	const struct event_sizes event_sizes = { stack, receive, heap }

/*
 * Start the network, unless conn_listen or conn_bind has: the address is NET_ADDRESS=A.B.C.D/BITS of the environment, or DHCP's.
 * NULL, or a sentence that says why there is none. event_address_set, before or after it, names one: no DHCP then.
 */
const char *event_net_start(void);
bool event_address_set(const char *address_and_bits, const char *gateway);
/* The address, network byte order; 0: none yet. */
uint32_t event_address(void);

/* Memory that packets, connections and malloc share: bytes, and how many of them are free now, and have been at the least. */
struct event_heap {
	uint32_t bytes, free, free_least;
	uint64_t failures;	/* requests that found no room */
};
extern struct event_heap event_heap;
void *event_alloc(size_t bytes);
void *event_calloc(size_t count, size_t bytes);
void event_free(void *block);

/* This program as the kernel sees it: CPU time, entries, switches, frames. NULL: it may not know. */
const struct exo_env_info *event_self(void);

/* Packets: counted since the start. */
struct event_packets {
	uint64_t received, refused, sent, unsent;	/* refused: broken, or for others; unsent: no room, or not ours to send */
};
extern struct event_packets event_packets;

#endif
