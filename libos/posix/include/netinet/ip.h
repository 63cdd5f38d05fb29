/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header of an IPv4 packet (RFC 791), as raw sockets give it, under both of its usual names.
 */
#ifndef POSIX_NETINET_IP_H
#define POSIX_NETINET_IP_H

#include <netinet/in.h>

struct iphdr {
	unsigned ihl:4;
	unsigned version:4;
	uint8_t tos;
	uint16_t tot_len;
	uint16_t id;
	uint16_t frag_off;
	uint8_t ttl;
	uint8_t protocol;
	uint16_t check;
	uint32_t saddr;
	uint32_t daddr;
};

struct ip {
	unsigned ip_hl:4;
	unsigned ip_v:4;
	uint8_t ip_tos;
	uint16_t ip_len;
	uint16_t ip_id;
	uint16_t ip_off;
	uint8_t ip_ttl;
	uint8_t ip_p;
	uint16_t ip_sum;
	struct in_addr ip_src, ip_dst;
};

#define IPVERSION	4
#define IP_MAXPACKET	65535
#define MAXTTL		255
#define IPDEFTTL	64

#endif
