/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests as the packet-steering experiment sends them: an Ethernet frame of IPv4 and UDP, and in it what
 * is asked for.
 */
#ifndef LAB_STEER_H
#define LAB_STEER_H

#include <stdint.h>

#define STEER_RINGS	4	/* 0 to 3 */
#define STEER_KEYS	256	/* 0 to 255 */
#define STEER_CLIENTS	64

struct steer_request {
	uint8_t to[6], from[6];
	uint16_t type;			/* all in network order */
	uint8_t ip[12];
	uint32_t from_address, to_address;
	uint16_t from_port, to_port;	/* from_port: a client's; each has one */
	uint16_t bytes, sum;
	uint32_t key;			/* network order, too */
} __attribute__((packed));

/* A number of which every bit depends on every bit of another (the end of MurmurHash3, Appleby 2011). */
static inline uint32_t steer_hash(uint32_t x)
{
	x = (x ^ x >> 16) * 0x85ebca6bU;
	x = (x ^ x >> 13) * 0xc2b2ae35U;
	return x ^ x >> 16;
}

#endif
