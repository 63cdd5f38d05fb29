/* SPDX-License-Identifier: BSD-2-Clause */
/* A table in own memory: looked up by halving, by a walk, and by constants; atomics; a histogram of lengths. */
#include <exo/bpf.h>

#define ENTRIES	128

static const uint16_t allowed[] = { 22, 53, 80, 123, 443, 500, 4500, 8080, 9000, 9999, 10000, 12345 };

struct entry {
	uint32_t key, value;
};

struct entry table[ENTRIES];
uint64_t histogram[32], misses, hits;
uint32_t busy;

EXO_PROGRAM(packet) int table_lookup(struct exo_packet *packet)
{
	const uint8_t *data = (const uint8_t *)packet->data;
	uint32_t low = 0, high = ENTRIES, key;
	uint16_t port;
	int found = 0;

	if (packet->bytes < 42)
		return EXO_PACKET_DROP;
	key = exo_be32(*(const uint32_t *)(data + 30));
	port = exo_be16(*(const uint16_t *)(data + 36));
	for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (allowed[i] == port)
			found = 1;
	if (!found)
		return EXO_PACKET_DROP;
	histogram[packet->bytes / 64 & 31]++;
	for (int i = 0; i < 7 && low < high; i++) {
		uint32_t middle = (low + high) / 2 & (ENTRIES - 1);

		if (table[middle].key == key) {
			__sync_fetch_and_add(&hits, 1);
			return (int)(EXO_PACKET_STEER + (table[middle].value & 7));
		}
		if (table[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	for (int i = 0; i < ENTRIES; i++)
		if (table[i].key == 0) {
			table[i].key = key;
			table[i].value = port;
			break;
		}
	__sync_fetch_and_add(&misses, 1);
	return EXO_PACKET_KEEP;
}
