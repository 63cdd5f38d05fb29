/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network of a program: started when first needed, driven by the thread poller.
 *
 * What it may do follows from the flows in its start record: with "net0" it holds the machine's address (asks DHCP for
 * it, answers ARP, ping and closed ports); with only ports of it, it shares it. NET_ADDRESS=A.B.C.D/BITS, NET_GATEWAY
 * and NET_DNS in the environment replace DHCP.
 */
#ifndef LIBOS_NET_NET_H
#define LIBOS_NET_NET_H

#include "libos/core/core.h"
#include "libos/net/filter.h"

#define NET_TIME_WAIT_MAX	16	/* ended connections that are remembered */
#define NET_MSS_LEAST		64	/* bytes of a segment, however few a client asks for */

/*
 * Before the network starts: take the frames that it can send from, with up to `frames` more for the caller, who may
 * send what lies there without a copy. How many; *base, *cap and *first are where. 0: none.
 */
uint32_t net_reserve(uint32_t frames, void **base, exo_cap_t *cap, uint32_t *first);
/* Start it, once. NULL, or a sentence that says why there is no network. Does not wait for an address. */
const char *net_start(void);
/* Wait until there is an address. False: the deadline has passed. */
bool net_wait(exo_time_t deadline);
/* The address, network byte order; 0: none yet. */
uint32_t net_address(void);
/* Bytes that one of so many connections, of such segments, may have on its way: a fair share of the memory. */
uint32_t net_send_credit(unsigned connections, unsigned mss);
/* A connection is asked for: before lwIP sees it, make room for it. */
void net_before_syn(const struct filter_syn *syn);
/* Of that, what is for any connection: the oldest half-open ones make room, if there are too many. */
void net_syn_room(void);
/* Bytes of mapped files that send() gave to the stack as they lie in the cache; and those that it copied. */
extern uint64_t net_sent_by_reference, net_file_bytes_copied;
/* More follows at once: what was sent leaves with it, or when somebody waits. */
extern bool net_holds;
/* Called after input was handled, while no thread runs in the stack: for those who wait for readiness. */
extern void (*net_wakeup)(void);

#endif
