/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum's sum (RFC 1071) of bytes as they lie in memory: on a little-endian machine the folded sum is the
 * network-order sum's bytes swapped, which is as good. Eight bytes at a step with end-around carry in 64 bits.
 */
#ifndef LIBOS_NET_SUM_H
#define LIBOS_NET_SUM_H

#include <stdint.h>
#include <string.h>

static inline uint64_t sum_add(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

/* 64 bytes: carries stay in the flag, which the compiler's own code does not manage. */
static inline uint64_t sum_64_bytes(uint64_t sum, const uint8_t *at)
{
#ifdef __x86_64__
	const struct { uint8_t byte[64]; } *all = (const void *)at;

	__asm__("addq 0(%1), %0; adcq 8(%1), %0; adcq 16(%1), %0; adcq 24(%1), %0; adcq 32(%1), %0; adcq 40(%1), %0;"
	    "adcq 48(%1), %0; adcq 56(%1), %0; adcq $0, %0" : "+r"(sum) : "r"(at), "m"(*all));
#else
	for (unsigned i = 0; i < 64; i += 8) {
		uint64_t word;

		memcpy(&word, at + i, sizeof(word));
		sum = sum_add(sum, word);
	}
#endif
	return sum;
}

static inline uint64_t sum_16_bytes(uint64_t sum, const uint8_t *at)
{
#ifdef __x86_64__
	const struct { uint8_t byte[16]; } *all = (const void *)at;

	__asm__("addq 0(%1), %0; adcq 8(%1), %0; adcq $0, %0" : "+r"(sum) : "r"(at), "m"(*all));
	return sum;
#else
	uint64_t word[2];

	memcpy(word, at, sizeof(word));
	return sum_add(sum_add(sum, word[0]), word[1]);
#endif
}

/* Data may begin at any address; nothing beyond it is read. */
static inline uint64_t sum_bytes(uint64_t sum, const void *data, uint32_t bytes)
{
	const uint8_t *at = data;
	uint64_t eight;
	uint32_t four;
	uint16_t two;

	for (; bytes >= 64; bytes -= 64, at += 64)
		sum = sum_64_bytes(sum, at);
	for (; bytes >= 16; bytes -= 16, at += 16)
		sum = sum_16_bytes(sum, at);
	if (bytes & 8) {
		memcpy(&eight, at, sizeof(eight));
		sum = sum_add(sum, eight);
		at += 8;
	}
	if (bytes & 4) {
		memcpy(&four, at, sizeof(four));
		sum = sum_add(sum, four);
		at += 4;
	}
	if (bytes & 2) {
		memcpy(&two, at, sizeof(two));
		sum = sum_add(sum, two);
		at += 2;
	}
	return bytes & 1 ? sum_add(sum, *at) : sum;
}

/* To 16 bits: adding the halves, turned, leaves the sum with its carry in the upper one. */
static inline uint16_t sum_fold(uint64_t sum)
{
	uint32_t half;

	sum += sum << 32 | sum >> 32;
	half = (uint32_t)(sum >> 32);
	half += half << 16 | half >> 16;
	return (uint16_t)(half >> 16);
}

#endif
