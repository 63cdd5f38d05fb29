/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The small TCP/IP of the libOS event: what its files tell each other.
 *
 *	link.c	rings <-> frames	ip.c	ARP, IPv4, ICMP, where a packet goes	tcp.c, tcp_out.c, conn.c  connections
 *	datagram.c  UDP			dhcp.c	the address				net.c	all of it brought up and kept going
 *
 * A packet that is sent is a block of the heap: headers, then its data, or a place in the heap where they lie. It belongs to who
 * made it until it is given to link_send or dropped with packet_drop; the device may still read it then, and it is freed behind
 * that. Addresses are in network byte order, ports in the host's.
 */
#ifndef LIBOS_EVENT_NET_H
#define LIBOS_EVENT_NET_H

#include "libos/event/private.h"

#define ETH_HEADER	14
#define IP_HEADER	20
#define UDP_HEADER	8
#define TCP_HEADER	20
#define NET_MTU		1500
#define PROTOCOL_ICMP	1
#define PROTOCOL_TCP	6
#define PROTOCOL_UDP	17
#define HEADERS		56	/* room for them: 2 bytes to align, Ethernet, IP, TCP */

struct packet {
	struct packet *next;
	const char *payload;	/* behind the headers; in the heap */
	uint32_t sequence;	/* TCP: of its first byte */
	uint16_t bytes;		/* of payload ... */
	uint16_t room;		/* ... and how many fit in `data` */
	uint16_t head;		/* bytes of headers */
	uint8_t busy;		/* times that it is in a ring */
	bool dropped, fin;
	uint8_t pad[2];
	uint8_t header[HEADERS - 2];	/* of the frame */
	char data[];
};

struct route {
	uint8_t mac[6];
};

/* A received IP packet that has been checked: header and lengths. */
struct ip_in {
	const uint8_t *from_mac;
	uint32_t from, to;
	const uint8_t *data;	/* behind the IP header */
	uint32_t bytes;
	const uint8_t *header;
};

static inline uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	__builtin_memcpy(&value, at, 4);
	return __builtin_bswap32(value);
}

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	value = __builtin_bswap32(value);
	__builtin_memcpy(at, &value, 4);
}

static inline uint32_t raw32(const uint8_t *at)
{
	uint32_t value;

	__builtin_memcpy(&value, at, 4);
	return value;
}

/* link.c */
const char *link_bind(void);
bool link_holder(void);
/* Has this program a port? The holder has all that it has not given away. */
bool link_has(uint8_t protocol, uint16_t port);
unsigned link_poll(void);
/* Post a packet, of which `bytes` from `skip` of its payload on go: false, there is no room. */
bool link_send(struct packet *packet, uint32_t skip, uint32_t bytes);
/* A packet was refused for want of room / and there is room again: says so once. */
bool link_blocked(void);
bool link_room(void);
/* Send what is posted; `collect`: also have the kernel say what has been sent. */
void link_flush(bool collect);
void link_share(uint32_t address, uint32_t mask, uint32_t gateway);
uint32_t link_slots(void);	/* of the smallest ring */
struct packet *packet_make(uint32_t room);
void packet_drop(struct packet *packet);

/* ip.c */
extern uint32_t net_address, net_mask, net_gateway;
void ip_input(const uint8_t *frame, uint32_t bytes);
/* Ethernet and IP headers of a packet with so many bytes behind them. */
void ip_header(struct packet *packet, uint8_t protocol, const uint8_t mac[6], uint32_t to, uint32_t bytes);
/* Sum of the pseudo header and of two pieces, of which the first has an even length; 0xffff: correct. */
uint16_t ip_sum(uint32_t from, uint32_t to, uint8_t protocol, const void *head, uint32_t head_bytes, const void *data,
    uint32_t bytes);
/* Send a packet whose IP header has no hardware address yet, when that is known; it is not the caller's any more. */
bool ip_send(struct packet *packet, uint32_t to);
/* Tell the sender that nobody has the port. */
void icmp_unreachable(const struct ip_in *in);

/* datagram.c, tcp.c */
void udp_input(const struct ip_in *in);
bool udp_send(uint16_t port, uint32_t to, uint16_t to_port, const void *data, size_t bytes);
void tcp_input(const struct ip_in *in);
/* There is room in the ring again. */
void tcp_room(void);

/* net.c */
void event_address_changed(uint32_t address, uint32_t mask, uint32_t gateway);

/* dhcp.c */
#define DHCP_CLIENT	68
void dhcp_begin(void);
void dhcp_turn(void);
void dhcp_input(const uint8_t *data, uint32_t bytes);

#endif
