/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions of its own, registers that do not suffice, a reply that is made in own memory and sent. */
#include <exo/bpf.h>

#define NOINLINE __attribute__((noinline))

uint8_t reply[512];
uint64_t counts[8];
uint64_t sent, refused;

static NOINLINE uint32_t mix(uint32_t a, uint32_t b, uint32_t c)
{
	a -= b; a -= c; a ^= c >> 13;
	b -= c; b -= a; b ^= a << 8;
	c -= a; c -= b; c ^= b >> 13;
	return a ^ b ^ c;
}

static NOINLINE void count(unsigned which)
{
	counts[which & 7]++;
}

static NOINLINE uint16_t port_of(const uint8_t *data, const uint8_t *end)
{
	if (data + 38 > end)
		return 0;
	return exo_be16(*(const uint16_t *)(data + 36));
}

EXO_PROGRAM(packet) int calls(struct exo_packet *packet)
{
	const uint8_t *data = (const uint8_t *)packet->data, *end = (const uint8_t *)packet->end;
	uint64_t start = exo_code_time();
	uint32_t a, b, c, d, e, f;
	uint16_t sum;

	count(0);
	if (data + 60 > end)
		return EXO_PACKET_KEEP;
	a = *(const uint32_t *)(data + 14);
	b = *(const uint32_t *)(data + 18);
	c = *(const uint32_t *)(data + 22);
	d = *(const uint32_t *)(data + 26);
	e = *(const uint32_t *)(data + 30);
	f = *(const uint32_t *)(data + 34);
	if (mix(a, b, c) == mix(d, e, f))
		count(1);
	if (mix(a + d, b + e, c + f) & 1)
		count(2);
	if (port_of(data, end) != 7)
		return EXO_PACKET_KEEP;
	for (int i = 0; i < 6; i++) {
		reply[i] = data[i + 6];
		reply[i + 6] = data[i];
	}
	sum = (uint16_t)exo_code_copy(reply + 14, 46, 14, 0);
	reply[24] = (uint8_t)sum;
	reply[25] = (uint8_t)(sum >> 8);
	*(uint64_t *)(reply + 52) = start;
	if (exo_code_send(reply, 60) != 0)
		refused++;
	else
		sent++;
	return EXO_PACKET_DONE;
}
