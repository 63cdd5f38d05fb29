/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers with variable lengths: VLAN tags, IP options; counts by protocol and port, finds a flow in a hashed table. */
#include <exo/bpf.h>

struct flow {
	uint32_t from, to;
	uint16_t from_port, to_port;
	uint32_t packets;
	uint64_t bytes;
};

uint64_t protocols[256], ports[1024], short_packets, fragments;
struct flow flows[256];

static inline uint16_t get16(const uint8_t *p)
{
	return exo_be16(*(const uint16_t *)p);
}

static inline void note(uint32_t from, uint32_t to, uint16_t from_port, uint16_t to_port, uint32_t bytes)
{
	uint32_t hash = (from ^ to) * 0x9e3779b1u + from_port * 31u + to_port;
	struct flow *flow = &flows[hash >> 24];

	if (flow->from != from || flow->to != to || flow->from_port != from_port || flow->to_port != to_port) {
		*flow = (struct flow){ from, to, from_port, to_port, 0, 0 };
		return;
	}
	flow->packets++;
	flow->bytes += bytes;
}

EXO_PROGRAM(packet) int headers(struct exo_packet *packet)
{
	const uint8_t *at = (const uint8_t *)packet->data, *end = (const uint8_t *)packet->end, *ports_at;
	uint16_t type;
	unsigned length;

	if (at + 14 > end)
		goto too_short;
	type = get16(at + 12);
	at += 14;
	if (type == 0x8100) {
		if (at + 4 > end)
			goto too_short;
		type = get16(at + 2);
		at += 4;
	}
	if (type != 0x800)
		return EXO_PACKET_KEEP;
	if (at + 20 > end)
		goto too_short;
	if (at[0] >> 4 != 4)
		return EXO_PACKET_DROP;
	length = (at[0] & 15) * 4;
	if (length < 20)
		return EXO_PACKET_DROP;
	if (at + length > end)
		goto too_short;
	protocols[at[9]]++;
	if (get16(at + 6) & 0x3fff) {
		fragments++;
		return EXO_PACKET_KEEP;
	}
	if (at[9] != 6 && at[9] != 17)
		return EXO_PACKET_KEEP;
	ports_at = at + length;
	if (ports_at + 8 > end)
		goto too_short;
	ports[get16(ports_at + 2) & 1023]++;
	note(*(const uint32_t *)(at + 12), *(const uint32_t *)(at + 16), get16(ports_at), get16(ports_at + 2), packet->bytes);
	return at[9] == 6 ? EXO_PACKET_KEEP : EXO_PACKET_DROP;
too_short:
	short_packets++;
	return EXO_PACKET_DROP;
}
