/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP (RFC 768), and libos/conn/conn.h's datagrams.
 */
#include <errno.h>
#include <string.h>
#include "libos/event/net.h"

#define PORTS		4
#define DHCP_SERVER	67

static struct bound {
	uint16_t port;		/* 0: free */
	conn_datagram_t *received;
} ports[PORTS];

static struct bound *bound_of(uint16_t port)
{
	for (struct bound *one = ports; one < ports + PORTS; one++)
		if (one->port == port)
			return one;
	return NULL;
}

void udp_input(const struct ip_in *in)
{
	const struct conn_peer peer = { in->from, get16(in->data) };
	const uint8_t *data = in->data + UDP_HEADER;
	uint16_t port = get16(in->data + 2), length = get16(in->data + 4);
	struct bound *bound = bound_of(port);

	/* A sum of zero: none was made. */
	if ((in->data[6] | in->data[7]) && ip_sum(in->from, in->to, PROTOCOL_UDP, in->data, length, data, 0) != 0xffff) {
		event_packets.refused++;
		return;
	}
	if (port == DHCP_CLIENT && peer.port == DHCP_SERVER && link_holder())
		dhcp_input(data, length - UDP_HEADER);
	else if (!net_address || (in->to != net_address && (in->to | net_mask) != UINT32_MAX))
		event_packets.refused++;
	else if (bound && bound->received)
		bound->received(port, &peer, (const char *)data, length - UDP_HEADER);
	else if (!bound && link_holder())
		icmp_unreachable(in);
}

bool udp_send(uint16_t port, uint32_t to, uint16_t to_port, const void *data, size_t bytes)
{
	struct packet *packet = bytes <= NET_MTU - IP_HEADER - UDP_HEADER ? packet_make((uint32_t)bytes) : NULL;
	static const uint8_t later[6];
	uint8_t *udp;
	uint16_t sum;

	if (!packet)
		return false;
	udp = packet->header + ETH_HEADER + IP_HEADER;
	ip_header(packet, PROTOCOL_UDP, later, to, UDP_HEADER + (uint32_t)bytes);
	put16(udp, port);
	put16(udp + 2, to_port);
	put16(udp + 4, UDP_HEADER + (uint32_t)bytes);
	put16(udp + 6, 0);
	memcpy(packet->data, data, bytes);
	packet->bytes = (uint16_t)bytes;
	packet->head = ETH_HEADER + IP_HEADER + UDP_HEADER;
	sum = (uint16_t)~ip_sum(net_address, to, PROTOCOL_UDP, udp, UDP_HEADER, packet->data, (uint32_t)bytes);
	sum = sum ? sum : 0xffff;
	memcpy(udp + 6, &sum, 2);
	return ip_send(packet, to);
}

int conn_bind(uint16_t port, conn_datagram_t *received)
{
	struct bound *one;

	if (event_net_start())
		return ENETDOWN;
	if (!port || bound_of(port))
		return EADDRINUSE;
	if (!link_has(PROTOCOL_UDP, port))
		return EACCES;
	one = bound_of(0);
	if (!one)
		return ENOMEM;
	*one = (struct bound){ port, received };
	return 0;
}

bool conn_datagram(uint16_t port, const struct conn_peer *to, const void *data, size_t bytes)
{
	return port && bound_of(port) && net_address && udp_send(port, to->address, to->port, data, bytes);
}
