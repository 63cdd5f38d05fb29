/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments of one TCP connection that leave as one frame, for a device that cuts it into them again (EXO_NET_CUTS).
 */
#ifndef LIBOS_NET_TRAIN_H
#define LIBOS_NET_TRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"
#include <exo/flow.h>

#define TRAIN_BYTES_LEAST 1024	/* of a frame that the device sums, and that others can be joined to */
#define TRAIN_HEADERS	34	/* Ethernet's and IPv4's */

/* The device cuts and sums. */
extern bool train_cuts;

/* What a packet is in the transmit frames. */
struct train_piece {
	uint32_t offset;	/* from the first transmit frame */
	uint32_t bytes;
};

/*
 * Hold a frame (with a reference of its own) for others of the flow to be joined to, or join it to what is held. False: it is
 * no such segment, or does not follow what is held, which must leave first.
 */
bool train_take(void *flow, struct pbuf *packet);
/* Is anything held? */
extern struct pbuf *train_held;
/* What is held, for the caller to send and then to free; its flow is in *flow. NULL: nothing. */
struct pbuf *train_leave(void **flow);
/*
 * A long segment (of so many bytes with TCP's header) leaves lwIP with 0 as its sum, if it does leave this program: so
 * whoever puts it into a ring knows that there is none. lwIP's tcp_out.c calls net_sum_out in place of ip_chksum_pseudo.
 */
static inline bool train_sums(uint16_t bytes, const ip_addr_t *src, const ip_addr_t *dest)
{
	return bytes >= TRAIN_BYTES_LEAST - TRAIN_HEADERS && train_cuts && ip4_addr_get_u32(src) != ip4_addr_get_u32(dest) &&
	    (ip4_addr_get_u32(dest) & 0xff) != 127;
}

u16_t net_sum_out(struct pbuf *packet, u8_t proto, u16_t bytes, const ip_addr_t *src, const ip_addr_t *dest);
/* If the frame has no sum, prepare it for the device to sum; returns what its descriptor says (EXO_TX_CUT); 0: an ordinary one. */
uint16_t train_sum(const struct pbuf *packet);

/* If the packet is several segments: its pieces, how many, and in *cut what the descriptors say. 0: it is an ordinary one. */
unsigned train_pieces(const struct pbuf *packet, const struct train_piece **pieces, uint16_t *cut);

#endif
