/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum's sum (RFC 1071), 32 bytes at a step with end-around carry in 64 bits.
 *
 * Bytes are added as they lie in memory: on a little-endian machine the folded sum is the network-order sum's bytes
 * swapped, which is what lwIP expects of LWIP_CHKSUM. Data may begin at any address; nothing beyond it is read.
 */
#include <stdint.h>
#include <string.h>
#include "libos/net/port/lwipopts.h"

static inline uint64_t add(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

static inline uint64_t load(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

unsigned short net_checksum(const void *data, int bytes)
{
	const uint8_t *at = data;
	uint64_t sum = 0, tail = 0;

	for (; bytes >= 32; bytes -= 32, at += 32) {
		sum = add(sum, load(at));
		sum = add(sum, load(at + 8));
		sum = add(sum, load(at + 16));
		sum = add(sum, load(at + 24));
	}
	for (; bytes >= 8; bytes -= 8, at += 8)
		sum = add(sum, load(at));
	for (int i = 0; i < bytes; i++)
		tail |= (uint64_t)at[i] << 8 * i;
	sum = add(sum, tail);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned short)sum;
}
