/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that nobody should see: broken ones, not for us, or with a sender that cannot be.
 */
#ifndef LIBOS_NET_FILTER_H
#define LIBOS_NET_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/* A request for a connection, in host byte order but for the address. */
struct filter_syn {
	uint32_t from, sequence;	/* from: network byte order */
	uint16_t from_port, port;
};

/*
 * May TCP/IP see a frame? mac, address (network byte order, 0: none yet): ours. If it asks for a connection, syn->port is
 * not 0.
 */
bool filter_frame(const uint8_t *frame, uint32_t bytes, const uint8_t mac[6], uint32_t address, struct filter_syn *syn);

/* Is a frame a TCP segment without data or FIN, of which TCP/IP keeps nothing once it has looked at it? */
bool filter_empty(const uint8_t *frame, uint32_t bytes);

#endif
