/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that programs call (EXO_CODE_CALLS), as far as they need nothing of the kernel: also for the host.
 *
 * Arguments are numbers from a program, so an address counts only if all the bytes that it stands for lie in one of the
 * run's windows; the stack is none of them, because nobody knows which of it has been written. Work that is not constant
 * is paid from the run's fuel, before it is done, and refusals are, too: a run's whole cost is bounded by its fuel. A run
 * that cannot pay has none left, and stops when the function returns.
 *
 * The sum is the Internet checksum's (RFC 1071), over words of 8 bytes with their carries put back, and folded to 16 bits
 * in the order of bytes in memory: stored as a 16-bit number it is right, complemented or not.
 */
#include "exo/bpf.h"

#define SELDOM	__attribute__((cold))	/* made small, not fast */

/* In fuel, of which one stands for 4 instructions of the machine's at least. */
#define EMIT_FUEL	4
#define BYTES_PER_FUEL	4
#define COPY_FUEL	40
#define SUM_FUEL	40

/* In any window that may be read? What it reads of a block is noted. */
static SELDOM bool readable(struct bpf_run *run, uint64_t at, uint64_t bytes)
{
	const struct bpf_window *block = &run->window[EXO_WINDOW_BLOCK];
	uint64_t first, last;

	if (bpf_own(run, at, bytes, false) || bpf_inside(&run->window[EXO_WINDOW_DATA], at, bytes) ||
	    bpf_inside(&run->window[EXO_WINDOW_PACKET], at, bytes))
		return true;
	if (!bpf_inside(block, at, bytes))
		return false;
	if (bytes) {
		first = (at - (uint64_t)(uintptr_t)block->base) >> BPF_SEEN_SHIFT;
		last = (at + bytes - 1 - (uint64_t)(uintptr_t)block->base) >> BPF_SEEN_SHIFT;
		run->seen |= ~0ULL >> (63 - (last - first)) << first;
	}
	return true;
}

/* --- sums ----------------------------------------------------------------------------------------------- */

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

static inline uint64_t add_carry(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

/* The last bytes, fewer than 8, as a word. */
static SELDOM uint64_t tail_word(const uint8_t *from, uint64_t bytes)
{
	uint64_t word = 0;
	unsigned shift = 0;

	for (; bytes; bytes--, shift += 8)
		word |= (uint64_t)*(const volatile uint8_t *)from++ << shift;
	return word;
}

static inline uint64_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline uint64_t move_word(uint8_t *to, const uint8_t *from, bool copy)
{
	uint64_t word = *(const volatile word_t *)from;

	if (copy)
		*(word_t *)to = word;
	return word;
}

/* Each word is read once: it may be somebody's who writes it. With `copy` each goes to `to`. */
static inline __attribute__((always_inline)) uint64_t sum_words(uint8_t *to, const uint8_t *from, uint64_t bytes,
    uint64_t sum, bool copy)
{
	uint64_t word;

	for (; bytes >= 32; bytes -= 32, from += 32, to += 32) {
		sum = add_carry(sum, move_word(to, from, copy));
		sum = add_carry(sum, move_word(to + 8, from + 8, copy));
		sum = add_carry(sum, move_word(to + 16, from + 16, copy));
		sum = add_carry(sum, move_word(to + 24, from + 24, copy));
	}
	for (; bytes >= 8; bytes -= 8, from += 8, to += 8)
		sum = add_carry(sum, move_word(to, from, copy));
	if (bytes) {
		word = tail_word(from, bytes);
		sum = add_carry(sum, word);
		for (; copy && bytes; bytes--, word >>= 8)
			*to++ = (uint8_t)word;
	}
	return fold(sum);
}

/* --- the functions -------------------------------------------------------------------------------------- */

uint64_t bpf_call_copy(uint64_t to, uint64_t bytes, uint64_t offset, uint64_t sum, uint64_t r5, struct bpf_run *run)
{
	const struct bpf_window *packet = &run->window[EXO_WINDOW_PACKET];
	bool allowed = bpf_own(run, to, bytes, true) && offset <= packet->bytes && bytes <= packet->bytes - offset;

	(void)r5;
	if (!bpf_pay(run, COPY_FUEL + (allowed ? bytes / BYTES_PER_FUEL : 0)) || !allowed)
		return BPF_REFUSED;
	return sum_words((uint8_t *)(uintptr_t)to, packet->base + offset, bytes, sum, true);
}

SELDOM uint64_t bpf_call_sum(uint64_t from, uint64_t bytes, uint64_t sum, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	(void)r4, (void)r5;
	if (!bpf_pay(run, SUM_FUEL) || !readable(run, from, bytes) || !bpf_pay(run, bytes / BYTES_PER_FUEL))
		return BPF_REFUSED;
	return sum_words((uint8_t *)(uintptr_t)from, (const uint8_t *)(uintptr_t)from, bytes, sum, false);
}

SELDOM uint64_t bpf_call_emit(uint64_t block, uint64_t count, uint64_t type, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	struct bpf_emits *emits = run->owner;

	(void)r4, (void)r5;
	if (!bpf_pay(run, EMIT_FUEL))
		return BPF_REFUSED;
	if (emits->count == EXO_EMITS_MAX)
		return 1;
	emits->emit[emits->count][0] = block;
	emits->emit[emits->count][1] = count;
	emits->emit[emits->count++][2] = type;
	return 0;
}

/* Merges runs of `width` places of `from` into runs of twice that. */
static SELDOM void merge(const struct bpf_emits *emits, const uint8_t *from, uint8_t *to, uint32_t width)
{
	uint32_t i, out, a, b, a_end, b_end;

	for (i = out = 0; i < emits->count; i = b_end) {
		a = i;
		a_end = b = i + width < emits->count ? i + width : emits->count;
		b_end = b + width < emits->count ? b + width : emits->count;
		while (out < b_end)
			to[out++] = b == b_end || (a < a_end && emits->emit[from[a]][0] <= emits->emit[from[b]][0]) ?
			    from[a++] : from[b++];
	}
}

SELDOM bool bpf_emits_sort(const struct bpf_emits *emits, uint8_t order[EXO_EMITS_MAX])
{
	uint8_t other[EXO_EMITS_MAX];
	bool sorted = true;
	uint32_t i, width;

	for (i = 0; i < emits->count; i++) {
		order[i] = (uint8_t)i;
		sorted &= !i || emits->emit[i - 1][0] <= emits->emit[i][0];
	}
	for (width = 1; !sorted && width < emits->count; width *= 2) {
		merge(emits, order, other, width);
		__builtin_memcpy(order, other, sizeof(other));
	}
	for (i = 0; i < emits->count; i++) {
		const uint64_t *this = emits->emit[order[i]];

		if (!this[1] || this[0] + this[1] - 1 < this[0] ||
		    (i + 1 < emits->count && this[0] + this[1] - 1 >= emits->emit[order[i + 1]][0]))
			return false;
	}
	return true;
}
