/* SPDX-License-Identifier: BSD-2-Clause */
/* A loop over TCP options, with a pointer that moves by what the packet says; sums a header in another loop. */
#include <exo/bpf.h>

uint32_t mss, window_scale, timestamps, malformed;
uint64_t sums[16];

static inline uint16_t get16(const uint8_t *p)
{
	return exo_be16(*(const uint16_t *)p);
}

static uint32_t sum_header(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (int i = 0; i < 10; i++)
		sum += get16(ip + 2 * i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

EXO_PROGRAM(packet) int options(struct exo_packet *packet)
{
	const uint8_t *data = (const uint8_t *)packet->data, *end = (const uint8_t *)packet->end, *tcp, *at;

	if (data + 54 > end || get16(data + 12) != 0x800 || data[14] != 0x45 || data[23] != 6)
		return EXO_PACKET_KEEP;
	sums[data[33] & 15] += sum_header(data + 14);
	tcp = data + 34;
	at = tcp + 20;
	for (int i = 0; i < 40; i++) {
		uint8_t kind, length;

		if (at + 2 > end)
			break;
		kind = at[0];
		if (kind == 0)
			break;
		if (kind == 1) {
			at++;
			continue;
		}
		length = at[1];
		if (length < 2 || at + length > end) {
			malformed++;
			return EXO_PACKET_DROP;
		}
		if (kind == 2 && length == 4 && at + 4 <= end)
			mss = get16(at + 2);
		else if (kind == 3 && length == 3 && at + 3 <= end)
			window_scale = at[2];
		else if (kind == 8)
			timestamps++;
		at += length;
	}
	return EXO_PACKET_KEEP;
}
