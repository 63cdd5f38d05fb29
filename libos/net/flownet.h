/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network interface over flows: what a program's start record grants it becomes one lwIP netif.
 */
#ifndef LIBOS_NET_FLOWNET_H
#define LIBOS_NET_FLOWNET_H

#include "lwip/netif.h"
#include "libos/net/memory.h"
#include "libos/net/netinfo.h"

/*
 * Bind every flow that the start record names. `memory` is what they send from; rx_frames sizes the main rings.
 * NULL, or a sentence that says what is missing.
 */
const char *flownet_bind(const struct net_run *memory, uint32_t rx_frames);
/* Does this program hold the address: is it the one with all that nobody else claims? */
bool flownet_holder(void);
/* Ports that belong to others: nothing is sent from them. NULL: none. */
void flownet_given(const struct netinfo *info);
/* lwIP's netif initialiser. */
err_t flownet_init(struct netif *netif);
/* Hand to lwIP what has come, `most` packets of each flow, give back what was sent. Returns packets received. */
unsigned flownet_poll(struct netif *netif, unsigned most);
/* Has anything come that was not handed on (but for what is quiet), or is flownet_due()? */
bool flownet_pending(void);
/* May this program receive at this port? */
bool flownet_owns(uint8_t protocol, uint16_t port);
/* Send what has been posted / has anything been posted since? */
void flownet_flush(void);
bool flownet_queued(void);
/* How many packets that is. */
unsigned flownet_posted(void);
/* Does anything wait to be sent after the next poll, because enough was sent since the last one? */
bool flownet_due(void);
/* Frames of so many bytes and fewer wake nobody from now on; ask flownet_pending() after this. At first 0. */
void flownet_quiet(uint32_t bytes);
/* Ask the kernel for what the device has sent. */
void flownet_collect(void);

/* Was a packet refused for want of room, and is there room again? Says so once. */
bool flownet_room(void);

/* Send a frame that lies in one pbuf or more, Ethernet's header first. */
err_t flownet_output(struct pbuf *packet);

/*
 * Whoever sets flownet_direct sees each frame first, as it lies in the ring; true: it has taken it, by flownet_packet, which
 * makes a pbuf of the slot (NULL: there is no memory, and the frame is gone), or by flownet_drop. flownet_next: the frame
 * behind it, which will be seen next; NULL: none has come yet.
 */
struct flownet_slot {
	struct flow *flow;
	uint16_t number;
};
extern bool (*flownet_direct)(const struct flownet_slot *slot, const uint8_t *frame, unsigned bytes);
struct pbuf *flownet_packet(const struct flownet_slot *slot, uint16_t bytes);
void flownet_drop(const struct flownet_slot *slot);
const uint8_t *flownet_next(const struct flownet_slot *slot, unsigned *bytes);

struct flownet_counts {
	uint64_t received, by_copy, sent, sent_by_copy, kicks, unsent;
};
extern struct flownet_counts flownet_counts;

#endif
