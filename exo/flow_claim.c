/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims: are they well formed, do they exclude or imply each other, and may this frame be sent?
 *
 * M1 terms of a claim are sorted by place and no place stands twice, so comparing two claims is one merge
 *
 * Which flow a packet belongs to is not decided here: flow_table.c has the table of claims, flow_filter.c the program.
 */
#include "exo/flows.h"

#define REL_SHIFT_MAX	7

/* Where the field lies, as one number: offsets count most, flags, which are few, least. */
static uint64_t term_place(const struct exo_term *term)
{
	uint64_t word;

	_Static_assert(offsetof(struct exo_term, flags) == 7, "flags are the last of 8 bytes");
	__builtin_memcpy(&word, term, sizeof(word));
	return __builtin_bswap64(word);
}
#define ORDER_SHIFT	1	/* above EXO_TERM_NOT */
#define ORDER_MASK	(EXO_TERMS_MAX - 1)

/* Is it one field, whatever is said of it? */
static inline bool same_field(uint64_t place_a, uint64_t place_b)
{
	return (place_a ^ place_b) <= EXO_TERM_NOT;
}

#define WIDTHS	(1u << 1 | 1u << 2 | 1u << 4)

static inline bool term_valid(const struct exo_term *term, unsigned limit)
{
	unsigned width = term->width;

	if (width > 4 || !(WIDTHS >> width & 1) || term->offset + width > limit || (term->flags & ~EXO_TERM_NOT))
		return false;
	if (!term->rel_mask ? term->rel_offset | term->rel_shift :
	    term->rel_offset >= limit || term->rel_shift > REL_SHIFT_MAX)
		return false;
	return term->mask != 0 && (uint64_t)term->mask >> 8 * width == 0 && (term->value & ~term->mask) == 0;
}

static bool terms_read(struct flow_terms *out, const struct exo_term *in, uint32_t count, unsigned limit)
{
	uint64_t sorted[EXO_TERMS_MAX], place, before = ~0ULL;
	uint32_t i, at;

	/* In the bits of a place that no flag uses: which one it is. */
	for (i = 0; i < count; i++) {
		if (!term_valid(&in[i], limit))
			return false;
		place = term_place(&in[i]) | i << ORDER_SHIFT;
		for (at = i; at > 0 && sorted[at - 1] > place; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = place;
	}
	out->count = count;
	out->shape = 0;
	for (i = 0; i < count; i++) {
		at = sorted[i] >> ORDER_SHIFT & ORDER_MASK;
		place = sorted[i] & ~((uint64_t)ORDER_MASK << ORDER_SHIFT);
		if (same_field(before, place))
			return false;
		before = place;
		out->term[i] = in[at];
		out->key[i] = (struct flow_key){ place, in[at].mask, in[at].value };
		out->shape = out->shape * 31 + (uint32_t)(place >> 32) + in[at].mask;
	}
	return true;
}

/* The same bytes asked for by two terms, or something that words cannot say: not made. */
static void words_make(struct flow_words *words, const struct flow_terms *terms)
{
	union {
		uint8_t byte[EXO_GUARD_BYTES];
		uint64_t word[EXO_GUARD_BYTES / 8];
	} mask = { { 0 } }, value = { { 0 } };
	uint8_t bytes = 0;
	unsigned i, k;

	__builtin_memset(words, 0, sizeof(*words));
	words->bytes = WORDS_NONE;
	for (i = 0; i < terms->count; i++) {
		const struct exo_term *term = &terms->term[i];

		if (term->rel_mask || term->flags)
			return;
		for (k = 0; k < term->width; k++) {
			unsigned at = term->offset + k, shift = 8 * (term->width - 1 - k);

			if (mask.byte[at] & term->mask >> shift)
				return;
			mask.byte[at] |= (uint8_t)(term->mask >> shift);
			value.byte[at] |= (uint8_t)(term->value >> shift);
		}
		if (term->offset + term->width > bytes)
			bytes = (uint8_t)(term->offset + term->width);
	}
	for (i = 0; i < EXO_GUARD_BYTES / 8; i++) {
		if (!mask.word[i])
			continue;
		words->at[words->count] = (uint8_t)(8 * i);
		words->mask[words->count] = mask.word[i];
		words->value[words->count++] = value.word[i];
	}
	words->bytes = bytes;
}

int64_t flow_claim_read(struct flow_claim *out, const struct exo_claim *in)
{
	bool steered = in->flags & EXO_FLOW_STEERED, own = in->flags & EXO_FLOW_OWN;

	if ((in->flags & ~(EXO_FLOW_SHARED | EXO_FLOW_STEERED | EXO_FLOW_OWN)) || in->terms > EXO_TERMS_MAX || in->guards > EXO_GUARDS_MAX)
		return ERR(INVAL);
	if (steered ? in->terms || in->flags != EXO_FLOW_STEERED || in->steer >= EXO_STEER_MAX : in->steer != 0)
		return ERR(INVAL);
	if (own && (in->terms || in->budget || in->flags != EXO_FLOW_OWN))
		return ERR(INVAL);
	if (!terms_read(&out->terms, in->term, in->terms, EXO_FRAME_BYTES_MAX))
		return ERR(INVAL);
	out->words[0].bytes = WORDS_NONE;
	for (uint32_t i = 0; i < in->guards; i++) {
		if (in->guard_terms[i] > EXO_GUARD_TERMS_MAX ||
		    !terms_read(&out->guard[i], in->guard[i], in->guard_terms[i], EXO_GUARD_BYTES))
			return ERR(INVAL);
		words_make(&out->words[i], &out->guard[i]);
	}
	out->shared = in->flags & EXO_FLOW_SHARED;
	out->steered = steered;
	out->own = own;
	out->steer = (uint8_t)in->steer;
	out->guard_any = false;
	out->guards = in->guards;
	out->budget = in->budget;
	for (unsigned i = 0; i < sizeof(out->label); i++)
		out->label[i] = in->label[i];
	out->label[sizeof(out->label) - 1] = 0;
	return 0;
}

/* --- comparing claims --- */

/* Can no field satisfy both? The same field, one of them negated, or both. */
static out_of_line bool negated_exclude(const struct flow_key *a, const struct flow_key *b)
{
	if (a->place == b->place)
		return a->mask == b->mask && (a->mask & (a->mask - 1)) == 0 && a->value != b->value;
	if (a->place & EXO_TERM_NOT)
		return (b->mask & a->mask) == a->mask && (b->value & a->mask) == a->value;
	return (a->mask & b->mask) == b->mask && (a->value & b->mask) == b->value;
}

/* Does every field that satisfies `strong` satisfy `weak`? The same field. */
static inline bool key_implies(const struct flow_key *strong, const struct flow_key *weak)
{
	bool strong_not = strong->place & EXO_TERM_NOT, weak_not = weak->place & EXO_TERM_NOT;

	if (strong_not)
		return weak_not && strong->mask == weak->mask && strong->value == weak->value;
	if ((strong->mask & weak->mask) != weak->mask)
		return false;
	return ((strong->value & weak->mask) == weak->value) != weak_not;
}

bool flow_keys_exclude(const struct flow_key *s, uint32_t count_s, const struct flow_key *t, uint32_t count_t,
    uint32_t unknown)
{
	const struct flow_key *end_s = s + count_s, *end_t = t + count_t;

	while (s != end_s && t != end_t) {
		if (unlikely(!same_field(s->place, t->place))) {
			if (s->place < t->place) {
				s++;
				continue;
			}
		} else if (unlikely(unknown & 1) && !(t->place & EXO_TERM_NOT)) {
			s++;
		} else {
			if ((s->place | t->place) & EXO_TERM_NOT ? negated_exclude(s, t) :
			    ((s->value ^ t->value) & s->mask & t->mask) != 0)
				return true;
			s++;
		}
		t++, unknown >>= 1;
	}
	return false;
}

static bool conjunction_implies(const struct flow_terms *strong, const struct flow_terms *weak)
{
	const struct flow_key *s = strong->key, *t = weak->key, *end_s = s + strong->count, *end_t = t + weak->count;

	for (; t != end_t; s++, t++) {
		while (s != end_s && s->place < t->place && !same_field(s->place, t->place))
			s++;
		if (s == end_s || !same_field(s->place, t->place) || !key_implies(s, t))
			return false;
	}
	return true;
}

bool flow_guards_within(const struct flow_claim *parent, const struct flow_claim *claim)
{
	for (uint32_t i = 0; i < claim->guards && !parent->guard_any; i++) {
		uint32_t j = 0;

		while (j < parent->guards && !conjunction_implies(&claim->guard[i], &parent->guard[j]))
			j++;
		if (j == parent->guards)
			return false;
	}
	return true;
}

/* --- guards of what is sent --- */

/* A term's field, masked; false if the frame does not reach so far. */
static inline bool term_field(const struct exo_term *term, const uint8_t *frame, uint32_t bytes, uint32_t *field)
{
	uint32_t at = term->offset;
	uint16_t half;
	uint32_t word;

	if (term->rel_mask) {
		if (term->rel_offset >= bytes)
			return false;
		at += (uint32_t)(frame[term->rel_offset] & term->rel_mask) << term->rel_shift;
	}
	if (at + term->width > bytes)
		return false;
	if (term->width == 2) {
		__builtin_memcpy(&half, frame + at, 2);
		*field = __builtin_bswap16(half) & term->mask;
	} else if (term->width == 1) {
		*field = frame[at] & term->mask;
	} else {
		__builtin_memcpy(&word, frame + at, 4);
		*field = __builtin_bswap32(word) & term->mask;
	}
	return true;
}

static bool conjunction_holds(const struct flow_terms *terms, const uint8_t *head, uint32_t bytes)
{
	for (uint32_t i = 0; i < terms->count; i++) {
		const struct exo_term *term = &terms->term[i];
		uint32_t field;

		if (!term_field(term, head, bytes, &field) ||
		    (field == term->value) == (bool)(term->flags & EXO_TERM_NOT))
			return false;
	}
	return true;
}

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

static inline uint64_t wrong(const struct flow_words *words, unsigned i, const uint8_t *head)
{
	return (*(const word_t *)(head + words->at[i]) & words->mask[i]) ^ words->value[i];
}

static out_of_line bool more_hold(const struct flow_words *words, const uint8_t *head)
{
	for (unsigned i = 2; i < words->count; i++)
		if (wrong(words, i, head))
			return false;
	return true;
}

/* A word that is not used is 0 and never wrong: mostly there are no more than two. */
out_of_line bool flow_words_hold(const struct flow_words *words, const uint8_t *head, uint32_t bytes)
{
	if (unlikely(bytes < words->bytes || (wrong(words, 0, head) | wrong(words, 1, head))))
		return false;
	if (unlikely(words->count > 2))
		return more_hold(words, head);
	return true;
}

/* What lies behind the frame in the head's room may be anything: a mask is 0 there, if it has `bytes`. */
bool flow_guard(const struct flow_claim *claim, const uint8_t *head, uint32_t bytes)
{
	for (uint32_t i = 0; i < claim->guards; i++) {
		if (claim->words[i].bytes != WORDS_NONE ? flow_words_hold(&claim->words[i], head, bytes) :
		    conjunction_holds(&claim->guard[i], head, bytes))
			return true;
	}
	return claim->guard_any;
}
