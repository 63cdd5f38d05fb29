/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ARP (RFC 826), IPv4 (RFC 791) and ICMP (RFC 792), as much as a host at one network needs: no fragments, no options sent.
 *
 * The hardware addresses that are remembered are those that this program has asked for, and nobody else can add one: a flood
 * changes nothing. Nothing here has a timer: an answer that does not come is asked for again with the next packet.
 */
#include <string.h>
#include "libos/event/net.h"
#include "libos/net/filter.h"

#define TYPE_IPV4	0x0800
#define TYPE_ARP	0x0806
#define ARP_BYTES	28
#define ARP_REQUEST	1
#define ARP_REPLY	2
#define ARP_TABLE	4
#define ARP_AGAIN_MS	1000
#define ARP_OLD_MS	120000	/* asked for again then */
#define TTL		64
#define DONT_FRAGMENT	0x4000
#define ICMP_HEADER	8
#define ICMP_ECHO	8
#define UNREACHABLE	3
#define UNREACHABLE_PORT 3

static struct neighbour {
	uint32_t address;
	uint8_t mac[6];
	bool known;
	uint64_t asked, used;		/* ms */
	struct packet *waits;		/* for the answer */
} neighbours[ARP_TABLE];

uint32_t net_address, net_mask, net_gateway;
unsigned short net_checksum(const void *data, int bytes);

#define own_mac	(core_info->device[0].address)

/* --- sums --- */

uint16_t ip_sum(uint32_t from, uint32_t to, uint8_t protocol, const void *head, uint32_t head_bytes, const void *data,
    uint32_t bytes)
{
	struct { uint32_t from, to; uint8_t zero, protocol; uint8_t bytes[2]; } pseudo = { from, to, 0, protocol, { 0, 0 } };
	uint32_t sum;

	put16(pseudo.bytes, head_bytes + bytes);
	sum = net_checksum(&pseudo, sizeof(pseudo)) + net_checksum(head, (int)head_bytes) + net_checksum(data, (int)bytes);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

static void put_sum(uint8_t *at, uint16_t sum)
{
	sum = (uint16_t)~sum;
	memcpy(at, &sum, 2);
}

/* Is it the address of everybody in the network? */
static bool for_all(uint32_t address)
{
	return !((address ^ net_address) & net_mask) && (address | net_mask) == UINT32_MAX;
}

/* --- sending --- */

static void ethernet(struct packet *packet, const uint8_t to[6], uint16_t type)
{
	memcpy(packet->header, to, 6);
	memcpy(packet->header + 6, own_mac, 6);
	put16(packet->header + 12, type);
}

void ip_header(struct packet *packet, uint8_t protocol, const uint8_t mac[6], uint32_t to, uint32_t bytes)
{
	static uint16_t identification;
	uint8_t *ip = packet->header + ETH_HEADER;

	ethernet(packet, mac, TYPE_IPV4);
	memset(ip, 0, IP_HEADER);
	ip[0] = 0x45;
	put16(ip + 2, IP_HEADER + bytes);
	put16(ip + 4, identification++);
	put16(ip + 6, DONT_FRAGMENT);
	ip[8] = TTL;
	ip[9] = protocol;
	memcpy(ip + 12, &net_address, 4);
	memcpy(ip + 16, &to, 4);
	put_sum(ip + 10, net_checksum(ip, IP_HEADER));
}

static void arp_send(uint16_t operation, const uint8_t mac[6], uint32_t to)
{
	struct packet *packet = packet_make(0);
	uint8_t *arp;

	if (!packet)
		return;
	arp = packet->header + ETH_HEADER;
	ethernet(packet, mac, TYPE_ARP);
	put16(arp, 1);
	put16(arp + 2, TYPE_IPV4);
	arp[4] = 6;
	arp[5] = 4;
	put16(arp + 6, operation);
	memcpy(arp + 8, own_mac, 6);
	memcpy(arp + 14, &net_address, 4);
	memcpy(arp + 18, mac, 6);
	memcpy(arp + 24, &to, 4);
	packet->head = ETH_HEADER + ARP_BYTES;
	link_send(packet, 0, 0);
	packet_drop(packet);
}

static struct neighbour *neighbour_of(uint32_t address)
{
	for (struct neighbour *one = neighbours; one < neighbours + ARP_TABLE; one++)
		if (one->address == address)
			return one;
	return NULL;
}

/* In place of the one that has not been used for the longest time. */
static struct neighbour *neighbour_make(uint32_t address)
{
	struct neighbour *oldest = neighbours;

	for (struct neighbour *one = neighbours; one < neighbours + ARP_TABLE; one++)
		if (one->used < oldest->used)
			oldest = one;
	if (oldest->waits)
		packet_drop(oldest->waits);
	*oldest = (struct neighbour){ .address = address };
	return oldest;
}

bool ip_send(struct packet *packet, uint32_t to)
{
	static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };
	uint32_t hop = (to ^ net_address) & net_mask ? net_gateway : to;
	uint64_t now = conn_now();
	struct neighbour *one;
	bool sent;

	if (to == UINT32_MAX || (net_mask && for_all(to))) {
		memcpy(packet->header, everybody, 6);
		sent = link_send(packet, 0, packet->bytes);
		packet_drop(packet);
		return sent;
	}
	if (!hop) {
		packet_drop(packet);
		return false;
	}
	one = neighbour_of(hop);
	if (!one)
		one = neighbour_make(hop);
	one->used = now + 1;
	if (!one->asked || now - one->asked >= (one->known ? ARP_OLD_MS : ARP_AGAIN_MS)) {
		one->asked = now + 1;
		arp_send(ARP_REQUEST, everybody, hop);
	}
	if (!one->known) {
		if (one->waits)
			packet_drop(one->waits);
		one->waits = packet;
		return true;
	}
	memcpy(packet->header, one->mac, 6);
	sent = link_send(packet, 0, packet->bytes);
	packet_drop(packet);
	return sent;
}

/* --- receiving --- */

static void arp_input(const uint8_t *arp)
{
	struct neighbour *one = neighbour_of(raw32(arp + 14));

	if (get16(arp) != 1 || get16(arp + 2) != TYPE_IPV4 || arp[4] != 6 || arp[5] != 4 || !net_address)
		return;
	if (one && one->address) {
		memcpy(one->mac, arp + 8, 6);
		one->known = true;
		if (one->waits) {
			memcpy(one->waits->header, one->mac, 6);
			link_send(one->waits, 0, one->waits->bytes);
			packet_drop(one->waits);
			one->waits = NULL;
		}
	}
	/* Who shares the address does not answer for it: the holder does. */
	if (get16(arp + 6) == ARP_REQUEST && raw32(arp + 24) == net_address && link_holder())
		arp_send(ARP_REPLY, arp + 8, raw32(arp + 14));
}

static void icmp_send(const struct ip_in *in, uint8_t type, uint8_t code, const uint8_t *data, uint32_t bytes)
{
	struct packet *packet = packet_make(bytes + 4);
	uint8_t *icmp;

	if (!packet)
		return;
	icmp = packet->header + ETH_HEADER + IP_HEADER;
	ip_header(packet, PROTOCOL_ICMP, in->from_mac, in->from, 4 + bytes);
	icmp[0] = type;
	icmp[1] = code;
	put16(icmp + 2, 0);
	packet->head = ETH_HEADER + IP_HEADER + 4;
	packet->bytes = (uint16_t)bytes;
	memcpy(packet->data, data, bytes);
	uint32_t sum = net_checksum(icmp, 4) + net_checksum(packet->data, (int)bytes);
	put_sum(icmp + 2, (uint16_t)((sum & 0xffff) + (sum >> 16)));
	link_send(packet, 0, bytes);
	packet_drop(packet);
}

static void icmp_input(const struct ip_in *in)
{
	if (in->bytes >= ICMP_HEADER && in->data[0] == ICMP_ECHO && in->to == net_address &&
	    net_checksum(in->data, (int)in->bytes) == 0xffff)
		icmp_send(in, 0, 0, in->data + 4, in->bytes - 4);
}

/* The IP header and 8 bytes come back in it, behind 4 that say nothing. */
void icmp_unreachable(const struct ip_in *in)
{
	uint8_t quoted[4 + 60 + 8];
	uint32_t bytes = (uint32_t)(in->data - in->header) + 8;

	if (in->to != net_address || in->from_mac[-6] & 1)	/* the frame's destination: it was for many */
		return;
	memset(quoted, 0, 4);
	memcpy(quoted + 4, in->header, bytes);
	icmp_send(in, UNREACHABLE, UNREACHABLE_PORT, quoted, 4 + bytes);
}

void ip_input(const uint8_t *frame, uint32_t bytes)
{
	const uint8_t *ip = frame + ETH_HEADER;
	struct filter_syn syn;
	struct ip_in in;
	uint32_t header;

	if (!filter_frame(frame, bytes, own_mac, net_address, &syn)) {
		event_packets.refused++;
		return;
	}
	if (get16(frame + 12) == TYPE_ARP) {
		arp_input(ip);
		return;
	}
	header = (ip[0] & 15u) * 4;
	in = (struct ip_in){ frame + 6, raw32(ip + 12), raw32(ip + 16), ip + header, get16(ip + 2) - header, ip };
	if (net_checksum(ip, (int)header) != 0xffff || get16(ip + 6) & 0x3fff || (net_mask && for_all(in.from))) {
		event_packets.refused++;
		return;
	}
	if (ip[9] == PROTOCOL_UDP)
		udp_input(&in);
	else if (!net_address || in.to != net_address)
		event_packets.refused++;
	else if (ip[9] == PROTOCOL_TCP)
		tcp_input(&in);
	else if (ip[9] == PROTOCOL_ICMP)
		icmp_input(&in);
}
