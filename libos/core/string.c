/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying, filling and comparing memory, for core (which has no C library) and, by link order, for whole
 * programs.
 *
 * Made for a machine whose string instructions are emulated one step at a time: eight bytes a step, and never
 * the byte forms; short ones by overlapping words, without a loop. The empty asm statements keep the compiler
 * from turning a loop back into a call of the function that it is in.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t word __attribute__((aligned(1), may_alias));
typedef uint32_t half __attribute__((aligned(1), may_alias));
typedef uint16_t quarter __attribute__((aligned(1), may_alias));

static inline void copy_small(uint8_t *to, const uint8_t *from, size_t bytes)
{
	if (bytes >= 8) {
		word first = *(const word *)from, last = *(const word *)(from + bytes - 8);
		*(word *)to = first;
		*(word *)(to + bytes - 8) = last;
	} else if (bytes >= 4) {
		half first = *(const half *)from, last = *(const half *)(from + bytes - 4);
		*(half *)to = first;
		*(half *)(to + bytes - 4) = last;
	} else if (bytes >= 2) {
		quarter first = *(const quarter *)from, last = *(const quarter *)(from + bytes - 2);
		*(quarter *)to = first;
		*(quarter *)(to + bytes - 2) = last;
	} else if (bytes) {
		*to = *from;
	}
}

void *memcpy(void *restrict destination, const void *restrict source, size_t bytes)
{
	uint8_t *to = destination;
	const uint8_t *from = source;

	if (bytes <= 16) {
		copy_small(to, from, bytes);
		return destination;
	}
	word last = *(const word *)(from + bytes - 8);
	uint8_t *end = to + bytes - 8;
	if (bytes < 256) {
		for (; end - to >= 32; to += 32, from += 32) {
			word a = *(const word *)from, b = *(const word *)(from + 8), c = *(const word *)(from + 16),
			     d = *(const word *)(from + 24);
			*(word *)to = a;
			*(word *)(to + 8) = b;
			*(word *)(to + 16) = c;
			*(word *)(to + 24) = d;
			__asm__ volatile("" ::: "memory");
		}
		for (; to < end; to += 8, from += 8) {
			*(word *)to = *(const word *)from;
			__asm__ volatile("" ::: "memory");
		}
	} else {
		size_t words = bytes / 8;
		__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) :: "memory");
	}
	*(word *)end = last;
	return destination;
}

void *memmove(void *destination, const void *source, size_t bytes)
{
	uint8_t *to = destination;
	const uint8_t *from = source;

	if ((uintptr_t)to - (uintptr_t)from >= bytes) {
		/*
		 * Forward is safe; memcpy's early read of the last word is not, so the words go one by one.
		 */
		for (; bytes >= 8; to += 8, from += 8, bytes -= 8) {
			*(word *)to = *(const word *)from;
			__asm__ volatile("" ::: "memory");
		}
		for (; bytes; bytes--) {
			*to++ = *from++;
			__asm__ volatile("" ::: "memory");
		}
		return destination;
	}
	for (; bytes >= 8; bytes -= 8) {
		*(word *)(to + bytes - 8) = *(const word *)(from + bytes - 8);
		__asm__ volatile("" ::: "memory");
	}
	for (; bytes; bytes--) {
		to[bytes - 1] = from[bytes - 1];
		__asm__ volatile("" ::: "memory");
	}
	return destination;
}

void *memset(void *destination, int value, size_t bytes)
{
	uint8_t *to = destination;
	uint64_t pattern = (uint8_t)value * 0x0101010101010101ULL;

	if (bytes < 8) {
		for (; bytes; bytes--) {
			*to++ = (uint8_t)value;
			__asm__ volatile("" ::: "memory");
		}
		return destination;
	}
	uint8_t *end = to + bytes - 8;
	if (bytes < 256) {
		for (; to < end; to += 8) {
			*(word *)to = pattern;
			__asm__ volatile("" ::: "memory");
		}
	} else {
		size_t words = bytes / 8;
		__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
	}
	*(word *)end = pattern;
	return destination;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
	const uint8_t *a = left, *b = right;

	for (; bytes >= 8 && *(const word *)a == *(const word *)b; bytes -= 8) {
		a += 8;
		b += 8;
	}
	for (; bytes; bytes--, a++, b++)
		if (*a != *b)
			return *a - *b;
	return 0;
}
