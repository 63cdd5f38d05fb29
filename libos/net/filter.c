/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lwIP does not check before it answers (RFC 1122, sections 3.2.1.3, 3.3.6, 4.1.3.6 and 4.2.3.10): the frame's
 * destination, the length of ARP and UDP, senders that cannot be, connections asked for by broadcast.
 */
#include <string.h>
#include "libos/net/claim.h"
#include "libos/net/filter.h"

#define ETH_HEADER	14
#define ETH_TYPE	12
#define TYPE_IPV4	0x0800
#define TYPE_ARP	0x0806
#define GROUP		1	/* in an address's first byte: for many */
#define ARP_BYTES	28
#define ARP_SENDER	8
#define IP_BYTES	20
#define IP_TOTAL	2
#define IP_FRAGMENT	6
#define FRAGMENT_MASK	0x3fff
#define IP_PROTOCOL	9
#define IP_SOURCE	12
#define IP_DESTINATION	16
#define NET_THIS	0	/* first bytes of addresses that no packet on a wire comes from or goes to */
#define NET_LOOPBACK	127
#define NET_GROUPS	224	/* from here on: multicast, reserved, broadcast */
#define UDP_BYTES	8
#define TCP_BYTES	20
#define TCP_FIN		1
#define TCP_SYN		2
#define TCP_KINDS	0x17	/* FIN, SYN, RST, ACK */

static uint32_t field2(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static bool arp_frame(const uint8_t *arp, uint32_t bytes)
{
	return bytes >= ARP_BYTES && !(arp[ARP_SENDER] & GROUP);
}

static bool tcp_segment(const uint8_t *tcp, uint32_t bytes, const uint8_t *ip, struct filter_syn *syn)
{
	if (bytes < TCP_BYTES)
		return false;
	if ((tcp[13] & TCP_KINDS) == TCP_SYN) {
		memcpy(&syn->from, ip + IP_SOURCE, 4);
		syn->sequence = field2(tcp + 4) << 16 | field2(tcp + 6);
		syn->from_port = (uint16_t)field2(tcp);
		syn->port = (uint16_t)field2(tcp + 2);
	}
	return true;
}

static bool ip_packet(const uint8_t *ip, uint32_t bytes, bool for_many, uint32_t address, struct filter_syn *syn)
{
	uint32_t header, total, from;

	if (bytes < IP_BYTES)
		return false;
	header = (ip[0] & 15u) * 4;
	total = field2(ip + IP_TOTAL);
	if (ip[0] >> 4 != 4 || header < IP_BYTES || total < header || total > bytes)
		return false;
	memcpy(&from, ip + IP_SOURCE, 4);
	if (ip[IP_SOURCE] == NET_THIS || ip[IP_SOURCE] == NET_LOOPBACK || ip[IP_SOURCE] >= NET_GROUPS ||
	    ip[IP_DESTINATION] == NET_LOOPBACK || from == address)
		return false;
	if (for_many && ip[IP_PROTOCOL] == CLAIM_TCP)
		return false;
	if (field2(ip + IP_FRAGMENT) & FRAGMENT_MASK)
		return true;
	if (ip[IP_PROTOCOL] == CLAIM_TCP)
		return tcp_segment(ip + header, total - header, ip, syn);
	if (ip[IP_PROTOCOL] == CLAIM_UDP)
		return total - header >= UDP_BYTES && field2(ip + header + 4) >= UDP_BYTES &&
		    field2(ip + header + 4) <= total - header;
	return true;
}

bool filter_frame(const uint8_t *frame, uint32_t bytes, const uint8_t mac[6], uint32_t address, struct filter_syn *syn)
{
	syn->port = 0;
	if (bytes < ETH_HEADER || frame[6] & GROUP || (!(frame[0] & GROUP) && memcmp(frame, mac, 6)))
		return false;
	switch (field2(frame + ETH_TYPE)) {
	case TYPE_ARP:
		return arp_frame(frame + ETH_HEADER, bytes - ETH_HEADER);
	case TYPE_IPV4:
		return ip_packet(frame + ETH_HEADER, bytes - ETH_HEADER, frame[0] & GROUP, address, syn);
	}
	return false;
}

bool filter_empty(const uint8_t *frame, uint32_t bytes)
{
	const uint8_t *ip = frame + ETH_HEADER, *tcp;
	uint32_t header, total;

	if (bytes < ETH_HEADER + IP_BYTES + TCP_BYTES || field2(frame + ETH_TYPE) != TYPE_IPV4 || ip[IP_PROTOCOL] != CLAIM_TCP)
		return false;
	header = (ip[0] & 15u) * 4;
	total = field2(ip + IP_TOTAL);
	if (field2(ip + IP_FRAGMENT) & FRAGMENT_MASK || total < header + TCP_BYTES || total > bytes - ETH_HEADER)
		return false;
	tcp = ip + header;
	return !(tcp[13] & TCP_FIN) && total - header == (tcp[12] >> 4) * 4u;
}
