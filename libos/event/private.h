/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the libOS event tell each other.
 *
 * Addresses: all that it maps itself lies in the low 2 MiB, whose page tables every creator links; only a heap of more frames
 * than fit there gets tables of its own.
 */
#ifndef LIBOS_EVENT_PRIVATE_H
#define LIBOS_EVENT_PRIVATE_H

#include "libos/core/bare.h"
#include "libos/event/event.h"

#define EVENT_STACK_AT		0x61000	/* below it nothing is mapped */
#define EVENT_STACK_MOST	16
#define EVENT_RINGS_AT		0x72000
#define EVENT_RINGS_END		0xb0000
#define EVENT_NETINFO_AT	0xb0000
#define EVENT_SELF_AT		0xb1000
#define EVENT_HEAP_AT		0xb4000	/* below it nothing is mapped */
#define EVENT_HEAP_END		0x100000
#define EVENT_HEAP_MOST		1024	/* frames: EXO_TX_FRAMES_MAX */
#define EVENT_RECEIVE_SMALL	8	/* frames of a ring that is in the low 2 MiB */

/* entry.S */
void event_sleep(exo_time_t until, uint64_t events);

/* loop.c */
void event_wait_address(void);

/* memory.c: the heap's frames; *offset: of what lies there, from the first frame on */
bool event_heap_start(void);
void event_heap_make(char *at, uint32_t bytes);
size_t event_size(const void *memory);	/* of a block: what it could hold */
extern exo_cap_t event_heap_cap;
extern uint32_t event_heap_frames;
bool event_heap_has(const void *at, size_t bytes, uint32_t *offset);

/* net.c */
unsigned event_net_poll(void);
void event_net_flush(void);

/* conn.c: what has been put off */
void conn_turn(void);

#endif
