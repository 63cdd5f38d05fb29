/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims: are they well formed, do they exclude each other, and whose is this packet?
 *
 * The claims below one flow are grouped by *shape*: the list of their terms without the values. All flows of a shape
 * share one extraction of fields, and one hash of the values finds the flow, so one flow and many of a shape cost the
 * same. A packet descends from the root: at each flow the shapes below are tried, those with most mask bits first, until
 * none fits. Siblings exclude each other (checked when they are made), so the first that fits is the only one.
 * Negated terms have no value to look up: theirs belongs to the shape.
 *
 * A shape lies in no memory of its own: a fixed table names one of its flows, whose terms are the shape's.
 *
 * M1 terms of a claim are sorted by place and no place stands twice, so comparing two claims is one merge
 * M2 each flow but a root is in the list of its bucket, or in the peer list of a flow that is
 * M3 shape_table[s].first is a flow of shape s; count is their number; free entries have count 0
 *
 * After DPF (Engler, Kaashoek, 1996), which compiles the merged claims to machine code; here they are interpreted.
 */
#include "exo/flows.h"

#define BUCKETS		128
#define BUCKET_SHIFT	57	/* 64 - log2(BUCKETS) */
#define REL_SHIFT_MAX	7

struct shape {
	uint16_t first;
	uint16_t count;
	uint16_t next;		/* of the same parent */
	uint16_t bits;		/* of all masks */
};

struct flow *flow_table[EXO_FLOWS_MAX];		/* [s] */
static struct shape shape_table[EXO_FLOWS_MAX];	/* [s] */
static uint16_t bucket_table[BUCKETS];		/* [s] index + 1; 0: empty */

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

int64_t flow_claim_read(struct flow_claim *out, const struct exo_claim *in)
{
	if ((in->flags & ~EXO_FLOW_SHARED) || in->terms > EXO_TERMS_MAX || in->guards > EXO_GUARDS_MAX)
		return ERR(INVAL);
	if (!terms_read(&out->terms, in->term, in->terms, EXO_FRAME_BYTES_MAX))
		return ERR(INVAL);
	for (uint32_t i = 0; i < in->guards; i++) {
		if (in->guard_terms[i] > EXO_GUARD_TERMS_MAX ||
		    !terms_read(&out->guard[i], in->guard[i], in->guard_terms[i], EXO_GUARD_BYTES))
			return ERR(INVAL);
	}
	out->shared = in->flags & EXO_FLOW_SHARED;
	out->guard_any = false;
	out->guards = in->guards;
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

/* Done with each flow below one parent. */
static bool conjunctions_exclude(const struct flow_terms *a, const struct flow_terms *b)
{
	const struct flow_key *s = a->key, *t = b->key, *end_s = s + a->count, *end_t = t + b->count;

	while (s != end_s && t != end_t) {
		if (likely(s->place == t->place) && likely(!(s->place & EXO_TERM_NOT))) {
			if ((s->value ^ t->value) & s->mask & t->mask)
				return true;
			s++, t++;
		} else if (unlikely(same_field(s->place, t->place))) {
			if (negated_exclude(s, t))
				return true;
			s++, t++;
		} else if (s->place < t->place) {
			s++;
		} else {
			t++;
		}
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

static bool same_shape(const struct flow_terms *a, const struct flow_terms *b)
{
	if (a->shape != b->shape || a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++) {
		const struct flow_key *s = &a->key[i], *t = &b->key[i];

		/* The value belongs to the shape only if the term is negated. */
		if (s->place != t->place || s->mask != t->mask ||
		    ((s->place & EXO_TERM_NOT) && s->value != t->value))
			return false;
	}
	return true;
}

static bool same_values(const struct flow_terms *a, const struct flow_terms *b)
{
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->term[i].value != b->term[i].value)
			return false;
	}
	return true;
}

static bool guards_within(const struct flow_claim *parent, const struct flow_claim *claim)
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

int64_t flow_claim_check(const struct flow *parent, const struct flow_claim *claim)
{
	unsigned peers = 0;

	if (parent->claim.shared)
		return ERR(STATE);
	if (!guards_within(&parent->claim, claim))
		return ERR(RIGHTS);
	if (parent->terms_below + claim->terms.count > EXO_TERMS_BELOW_MAX)
		return ERR(FULL);
	for (unsigned i = 0; i < EXO_FLOWS_MAX; i++) {
		const struct flow *other = flow_table[i];

		if (!other || other->parent != parent->index || conjunctions_exclude(&claim->terms, &other->claim.terms))
			continue;
		if (!claim->shared || !other->claim.shared || !same_shape(&claim->terms, &other->claim.terms) ||
		    !same_values(&claim->terms, &other->claim.terms))
			return ERR(OVERLAP);
		if (++peers == EXO_SHARED_MAX)
			return ERR(FULL);
	}
	return flow_index_free() == FLOW_NONE ? ERR(FULL) : 0;
}

/* --- the table --- */

uint16_t flow_index_free(void)
{
	for (uint16_t i = 0; i < EXO_FLOWS_MAX; i++) {
		if (!flow_table[i])
			return i;
	}
	return FLOW_NONE;
}

static uint64_t hash_step(uint64_t hash, uint32_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

static uint16_t hash_bucket(uint64_t hash)
{
	return (uint16_t)(hash * 0x9e3779b97f4a7c15 >> BUCKET_SHIFT);
}

static uint16_t flow_bucket(const struct flow *flow)
{
	uint64_t hash = flow->shape;

	for (uint32_t i = 0; i < flow->claim.terms.count; i++) {
		if (!(flow->claim.terms.term[i].flags & EXO_TERM_NOT))
			hash = hash_step(hash, flow->claim.terms.term[i].value);
	}
	return hash_bucket(hash);
}

static uint16_t shape_find(const struct flow *parent, const struct flow_terms *terms)
{
	uint16_t s = parent->shapes;

	while (s != FLOW_NONE && !same_shape(&flow_table[shape_table[s].first]->claim.terms, terms))
		s = shape_table[s].next;
	return s;
}

/* There is always one: no more shapes than flows. */
static uint16_t shape_make(struct flow *parent, const struct flow *first)
{
	uint16_t s = 0, *link = &parent->shapes;
	uint16_t bits = 0;

	for (uint32_t i = 0; i < first->claim.terms.count; i++)
		bits += (uint16_t)__builtin_popcount(first->claim.terms.term[i].mask);
	while (shape_table[s].count)
		s++;
	kassert(s < EXO_FLOWS_MAX);
	while (*link != FLOW_NONE && shape_table[*link].bits >= bits)
		link = &shape_table[*link].next;
	shape_table[s] = (struct shape){ .first = first->index, .next = *link, .bits = bits };
	*link = s;
	return s;
}

static struct flow *bucket_search(uint16_t bucket, uint16_t shape, const struct flow_terms *terms)
{
	for (uint16_t i = bucket_table[bucket]; i; i = flow_table[i - 1]->hash_next) {
		if (flow_table[i - 1]->shape == shape && same_values(&flow_table[i - 1]->claim.terms, terms))
			return flow_table[i - 1];
	}
	return NULL;
}

void flow_insert(struct flow *flow)
{
	struct flow *parent, *head;

	kassert(!flow_table[flow->index]);
	flow_table[flow->index] = flow;
	flow->shapes = flow->shape = flow->peer = FLOW_NONE;
	flow->hash_next = 0;
	if (flow->parent == FLOW_NONE)
		return;
	parent = flow_table[flow->parent];
	parent->children++;
	parent->terms_below += flow->claim.terms.count;
	flow->shape = shape_find(parent, &flow->claim.terms);
	if (flow->shape == FLOW_NONE)
		flow->shape = shape_make(parent, flow);
	shape_table[flow->shape].count++;
	flow->hash = flow_bucket(flow);
	head = bucket_search(flow->hash, flow->shape, &flow->claim.terms);
	if (head) {
		flow->peer = head->peer;
		head->peer = flow->index;
		return;
	}
	flow->hash_next = bucket_table[flow->hash];
	bucket_table[flow->hash] = flow->index + 1;
}

/* Take a flow out of its bucket, or out of the peer list of one in it. */
static void bucket_remove(struct flow *flow)
{
	struct flow *head = bucket_search(flow->hash, flow->shape, &flow->claim.terms);
	uint16_t *link = &bucket_table[flow->hash];

	kassert(head);
	if (head != flow) {
		while (head->peer != flow->index)
			head = flow_table[head->peer];
		head->peer = flow->peer;
		return;
	}
	while (*link != flow->index + 1)
		link = &flow_table[*link - 1]->hash_next;
	if (flow->peer == FLOW_NONE) {
		*link = flow->hash_next;
	} else {
		*link = flow->peer + 1;
		flow_table[flow->peer]->hash_next = flow->hash_next;
	}
}

static void shape_leave(struct flow *parent, struct flow *flow)
{
	struct shape *shape = &shape_table[flow->shape];
	uint16_t *link = &parent->shapes;

	if (--shape->count == 0) {
		while (*link != flow->shape)
			link = &shape_table[*link].next;
		*link = shape->next;
		return;
	}
	for (uint16_t i = 0; shape->first == flow->index; i++) {
		if (flow_table[i] && flow_table[i] != flow && flow_table[i]->shape == flow->shape)
			shape->first = i;
	}
}

void flow_remove(struct flow *flow)
{
	kassert(flow_table[flow->index] == flow && flow->children == 0 && flow->parent != FLOW_NONE);
	bucket_remove(flow);
	shape_leave(flow_table[flow->parent], flow);
	flow_table[flow->parent]->children--;
	flow_table[flow->parent]->terms_below -= flow->claim.terms.count;
	flow_table[flow->index] = NULL;
}

/* --- matching --- */

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

/* The flow of one shape that claims the frame. */
static struct flow *shape_match(uint16_t s, const uint8_t *frame, uint32_t bytes)
{
	const struct flow_terms *terms = &flow_table[shape_table[s].first]->claim.terms;
	struct flow_terms values;
	uint64_t hash = s;

	for (uint32_t i = 0; i < terms->count; i++) {
		const struct exo_term *term = &terms->term[i];

		if (!term_field(term, frame, bytes, &values.term[i].value))
			return NULL;
		if (!(term->flags & EXO_TERM_NOT)) {
			hash = hash_step(hash, values.term[i].value);
		} else {
			if (values.term[i].value == term->value)
				return NULL;
			values.term[i].value = term->value;
		}
	}
	return bucket_search(hash_bucket(hash), s, &values);
}

struct flow *flow_find(struct flow *root, const uint8_t *frame, uint32_t bytes, unsigned *tried)
{
	struct flow *at = root;

	for (uint16_t s = at->shapes; s != FLOW_NONE;) {
		struct flow *below = shape_match(s, frame, bytes);

		++*tried;
		if (below) {
			at = below;
			s = at->shapes;
		} else {
			s = shape_table[s].next;
		}
	}
	return at;
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

bool flow_guard(const struct flow_claim *claim, const uint8_t *head, uint32_t bytes)
{
	for (uint32_t i = 0; i < claim->guards; i++) {
		if (conjunction_holds(&claim->guard[i], head, bytes))
			return true;
	}
	return claim->guard_any;
}
