/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims and guards for Ethernet (IEEE 802.3), ARP (RFC 826) and IPv4 with TCP or UDP (RFC 791, 793, 768).
 *
 * Every guard begins with the hardware source address, because the parent's does. A port's guard wants a header of 20
 * bytes and no fragment, so that what it reads as the source port is one.
 */
#include <string.h>
#include "libos/net/claim.h"

#define ETH_SOURCE	6
#define ETH_TYPE	12
#define TYPE_IPV4	0x0800
#define TYPE_ARP	0x0806
#define ARP_OPERATION	20
#define ARP_REQUEST	1
#define ARP_SENDER	22
#define IP_VERSION	14	/* with the header's length in words */
#define IP_FRAGMENT	20
#define FRAGMENT_MASK	0x3fff	/* more to come, offset */
#define IP_PROTOCOL	23
#define IP_SOURCE	26
#define IP_DESTINATION	30
#define PORT_SOURCE	34	/* behind a header of 20 bytes */
#define PORT_BEHIND	16	/* destination port, from the header's end on: 14 + 2 */

static void add(struct exo_term *terms, uint32_t *count, uint16_t offset, uint8_t width, uint32_t mask, uint32_t value)
{
	terms[(*count)++] = (struct exo_term){ .offset = offset, .width = width, .mask = mask, .value = value & mask };
}

static void add_mac(struct exo_term *terms, uint32_t *count, uint16_t offset, const uint8_t mac[6])
{
	add(terms, count, offset, 4, 0xffffffff,
	    (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 | (uint32_t)mac[2] << 8 | mac[3]);
	add(terms, count, offset + 4, 2, 0xffff, (uint32_t)mac[4] << 8 | mac[5]);
}

/* A claim with one guard that has the hardware address in it. */
static void begin(struct exo_claim *claim, const char *label, const uint8_t mac[6])
{
	memset(claim, 0, sizeof(*claim));
	for (unsigned i = 0; i < sizeof(claim->label) - 1 && label[i]; i++)
		claim->label[i] = label[i];
	if (!mac)
		return;
	claim->guards = 1;
	add_mac(claim->guard[0], &claim->guard_terms[0], ETH_SOURCE, mac);
}

void claim_all(struct exo_claim *claim, const uint8_t mac[6])
{
	begin(claim, CLAIM_NAME_ALL, mac);
}

void claim_arp(struct exo_claim *claim, const uint8_t mac[6])
{
	begin(claim, CLAIM_NAME_ARP, mac);
	claim->flags = EXO_FLOW_SHARED;
	add(claim->term, &claim->terms, ETH_TYPE, 2, 0xffff, TYPE_ARP);
	add(claim->guard[0], &claim->guard_terms[0], ETH_TYPE, 2, 0xffff, TYPE_ARP);
	add(claim->guard[0], &claim->guard_terms[0], ARP_OPERATION, 2, 0xffff, ARP_REQUEST);
	add_mac(claim->guard[0], &claim->guard_terms[0], ARP_SENDER, mac);
}

void claim_fragments(struct exo_claim *claim)
{
	begin(claim, CLAIM_NAME_FRAGMENTS, NULL);
	claim->flags = EXO_FLOW_SHARED;
	add(claim->term, &claim->terms, ETH_TYPE, 2, 0xffff, TYPE_IPV4);
	add(claim->term, &claim->terms, IP_FRAGMENT, 2, FRAGMENT_MASK, 0);
	claim->term[1].flags = EXO_TERM_NOT;
}

void claim_port(struct exo_claim *claim, const uint8_t mac[6], uint32_t address, uint8_t protocol, uint16_t port,
    uint32_t count)
{
	struct exo_term *guard = claim->guard[0];
	uint32_t *guards = &claim->guard_terms[0];
	uint32_t mask = 0xffff & ~(count - 1);
	char name[16] = "port";

	claim_name_make(name, protocol, port, count);
	begin(claim, name, mac);
	add(claim->term, &claim->terms, ETH_TYPE, 2, 0xffff, TYPE_IPV4);
	add(claim->term, &claim->terms, IP_VERSION, 1, 0xf0, 0x40);
	add(claim->term, &claim->terms, IP_FRAGMENT, 2, FRAGMENT_MASK, 0);
	add(claim->term, &claim->terms, IP_PROTOCOL, 1, 0xff, protocol);
	claim->term[claim->terms++] = (struct exo_term){
		.offset = PORT_BEHIND, .width = 2, .rel_offset = IP_VERSION, .rel_mask = 0x0f, .rel_shift = 2,
		.mask = mask, .value = port & mask,
	};
	add(guard, guards, ETH_TYPE, 2, 0xffff, TYPE_IPV4);
	add(guard, guards, IP_VERSION, 1, 0xff, 0x45);
	add(guard, guards, IP_FRAGMENT, 2, FRAGMENT_MASK, 0);
	add(guard, guards, IP_PROTOCOL, 1, 0xff, protocol);
	add(guard, guards, PORT_SOURCE, 2, mask, port);
	if (address) {
		add(claim->term, &claim->terms, IP_DESTINATION, 4, 0xffffffff, __builtin_bswap32(address));
		add(guard, guards, IP_SOURCE, 4, 0xffffffff, __builtin_bswap32(address));
	}
}

void claim_part(struct exo_claim *claim, uint32_t part, uint32_t parts)
{
	claim->term[claim->terms++] = (struct exo_term){
		.offset = PORT_BEHIND - 2, .width = 2, .rel_offset = IP_VERSION, .rel_mask = 0x0f, .rel_shift = 2,
		.mask = (parts - 1) << 1, .value = part << 1,
	};
	add(claim->guard[0], &claim->guard_terms[0], PORT_SOURCE + 2, 2, (parts - 1) << 1, part << 1);
}

/* --- names --- */

static bool number(const char **at, uint32_t most, uint32_t *value)
{
	const char *start = *at;

	*value = 0;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		*value = *value * 10 + (uint32_t)(**at - '0');
		if (*value > most)
			return false;
	}
	return *at != start;
}

bool claim_name_parse(const char *name, uint8_t *protocol, uint16_t *port, uint32_t *count)
{
	uint32_t first, more = 0;

	if (!strncmp(name, "tcp/", 4))
		*protocol = CLAIM_TCP;
	else if (!strncmp(name, "udp/", 4))
		*protocol = CLAIM_UDP;
	else
		return false;
	name += 4;
	if (!number(&name, 65535, &first))
		return false;
	if (*name == '+' && (name++, !number(&name, 65535 - first, &more)))
		return false;
	*port = (uint16_t)first;
	*count = more + 1;
	return *name == 0 && (*count & more) == 0 && (first & more) == 0;
}

static char *decimal(char *at, uint32_t value)
{
	char digits[10];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while (value /= 10);
	while (n > 0)
		*at++ = digits[--n];
	*at = 0;
	return at;
}

bool claim_name_make(char name[16], uint8_t protocol, uint16_t port, uint32_t count)
{
	char *at;

	if (protocol != CLAIM_TCP && protocol != CLAIM_UDP)
		return false;
	memcpy(name, protocol == CLAIM_TCP ? "tcp/" : "udp/", 4);
	at = decimal(name + 4, port);
	if (count > 1) {
		*at++ = '+';
		decimal(at, count - 1);
	}
	return true;
}
