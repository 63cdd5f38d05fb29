/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams of conn.h on lwIP's raw UDP.
 */
#include <errno.h>
#include <string.h>
#include "lwip/udp.h"
#include "libos/dataplane/dataplane.h"
#include "libos/net/flownet.h"

#define PORTS_MAX	16
#define DATAGRAM_MAX	65507

static struct {
	uint16_t port;
	struct udp_pcb *pcb;
	conn_datagram_t *received;
} bound[PORTS_MAX];

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *packet, const ip_addr_t *address, u16_t port)
{
	conn_datagram_t *received = bound[(uintptr_t)arg].received;
	struct conn_peer from = { ip4_addr_get_u32(ip_2_ip4(address)), port };
	struct pbuf *whole = packet;

	conn_counts.received += packet->tot_len;
	if (packet->next) {
		whole = pbuf_clone(PBUF_RAW, PBUF_RAM, packet);
		conn_counts.copied_in += packet->tot_len;
		pbuf_free(packet);
		if (!whole)
			return;
	}
	received(pcb->local_port, &from, whole->payload, whole->len);
	pbuf_free(whole);
}

int conn_bind(uint16_t port, conn_datagram_t *received)
{
	int wrong = loop_network();
	unsigned i = 0;

	if (wrong)
		return wrong;
	while (i < PORTS_MAX && bound[i].pcb) {
		if (bound[i++].port == port)
			return EADDRINUSE;
	}
	if (!flownet_owns(IP_PROTO_UDP, port))
		return EACCES;
	if (i == PORTS_MAX || !(bound[i].pcb = udp_new()))
		return ENOMEM;
	if (udp_bind(bound[i].pcb, IP4_ADDR_ANY, port) != ERR_OK) {
		udp_remove(bound[i].pcb);
		bound[i].pcb = NULL;
		return EADDRINUSE;
	}
	loop_datagrams++;
	bound[i].port = port;
	bound[i].received = received;
	udp_recv(bound[i].pcb, on_datagram, (void *)(uintptr_t)i);
	return 0;
}

bool conn_datagram(uint16_t port, const struct conn_peer *to, const void *data, size_t bytes)
{
	struct pbuf *packet;
	ip_addr_t address;
	unsigned i = 0;
	err_t error;

	while (i < PORTS_MAX && !(bound[i].pcb && bound[i].port == port))
		i++;
	packet = i < PORTS_MAX && bytes <= DATAGRAM_MAX ? pbuf_alloc(PBUF_TRANSPORT, (u16_t)bytes, PBUF_RAM) : NULL;
	if (!packet)
		return false;
	memcpy(packet->payload, data, bytes);
	ip_addr_set_ip4_u32(&address, to->address);
	error = udp_sendto(bound[i].pcb, packet, &address, to->port);
	pbuf_free(packet);
	if (error != ERR_OK)
		return false;
	conn_counts.sent += bytes;
	conn_counts.copied_out += bytes;
	return true;
}
