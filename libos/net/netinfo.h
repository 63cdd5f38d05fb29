/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of one machine that share an address tell each other: one page, made by their creator, written by
 * the holder of the address, read by the others.
 *
 * The creator fills in `given`, the ports that are not the holder's, and empties the places of those whose program has
 * ended. The holder makes `sequence` odd, writes, makes it even; a reader takes a copy whose sequence was even and the
 * same before and after. Fields are only appended.
 */
#ifndef LIBOS_NET_NETINFO_H
#define LIBOS_NET_NETINFO_H

#include <stdbool.h>
#include <stdint.h>

#define NETINFO_NAME		"netinfo"	/* of the frame's capability in a start record */
#define NETINFO_VERSION		1
#define NETINFO_GIVEN_MAX	64

struct netinfo_port {
	uint8_t protocol;	/* CLAIM_TCP, CLAIM_UDP */
	uint8_t spare;
	uint16_t first;
	uint32_t count;
};

struct netinfo {
	uint32_t version, size;
	uint32_t sequence;
	uint32_t up;			/* 1: the addresses below are valid */
	uint32_t address, mask, gateway;	/* network byte order */
	uint32_t dns[2];
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t given_count;
	struct netinfo_port given[NETINFO_GIVEN_MAX];
};

/* Is this port one that was given away? A place whose count is 0 is empty. */
static inline bool netinfo_given(const struct netinfo *info, uint8_t protocol, uint16_t port)
{
	uint32_t count = info->given_count < NETINFO_GIVEN_MAX ? info->given_count : NETINFO_GIVEN_MAX;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t ports = __atomic_load_n(&info->given[i].count, __ATOMIC_RELAXED);

		if (info->given[i].protocol == protocol && (uint32_t)(port - info->given[i].first) < ports)
			return true;
	}
	return false;
}

/* The creator's: whoever had these ports has ended. */
static inline void netinfo_take_back(struct netinfo *info, const struct netinfo_port *port)
{
	for (uint32_t i = 0; i < info->given_count && i < NETINFO_GIVEN_MAX; i++) {
		if (info->given[i].protocol == port->protocol && info->given[i].first == port->first)
			__atomic_store_n(&info->given[i].count, 0, __ATOMIC_RELAXED);
	}
}

#endif
