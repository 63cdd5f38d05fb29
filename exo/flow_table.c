/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of flows: which claims there are, and do they exclude a new one?
 *
 * Flows are grouped by *shape*: the list of their terms without the values, below a flow of the shape above. Shapes form a
 * tree, which the program of flow_filter.c is made from; the values are in a table that the program reads, hashed by
 * the parent and the packet's fields. So entering or removing a flow of a shape that is there is a write to the table.
 * A shape loads its fields in *chunks* of up to 8 bytes, which hold as many terms as lie side by side.
 *
 * A new claim meets the flows below its parent shape by shape: the same shape, or one whose fields are all among the
 * claim's, is one lookup; one that wants another value in a field where all its flows agree is one comparison; else its
 * flows are compared one by one, EXO_TERMS_BELOW_MAX terms at most.
 *
 * T1 a flow but a root or a steered one is in its parent's list `below[bit of its shape]`; the parent's value has the bit
 * T2 it is in its bucket, or in the peer list of a flow that is; a bucket has FLOW_CHAIN_MAX at most
 * T3 shapes below one are linked in the order of their chunks, so that those that begin alike stand together
 * T4 a shape without flows goes when a program has been made that it was not asked for (flow_shapes_settle)
 *
 * After DPF (Engler, Kaashoek, 1996), which merges filters into a trie; values are apart from the code here.
 */
#include "exo/flows.h"

#define FLOWS_MIN	64	/* for up to MIN_FRAMES of memory; one more for each FRAMES_PER_FLOW beyond */
#define MIN_FRAMES	1024
#define FRAMES_PER_FLOW	7
#define SHAPES_MIN	4	/* one more for each FLOWS_PER_SHAPE */
#define SHAPES_MAX	64
#define FLOWS_PER_SHAPE	16
#define ASKED_PROGRAMS	2

/* Instructions of the program at most: for a shape, and for each term, which may be a chunk (flow_filter.c). */
#define SHAPE_INSNS	36
#define TERM_INSNS	15
#define REL_INSNS	24

struct flow **flow_table;
struct shape *shape_table;
uint32_t shapes_max;
struct flow_values *flow_values;
uint32_t values_bytes, numbers_at, buckets_at, bucket_count, values_at;

static uint16_t *index_next;	/* [k] list of free indices */
static uint16_t index_first;
static uint32_t shape_insns;	/* [k] of all shapes together */

uint32_t flow_entries(uint32_t frames)
{
	uint32_t entries = FLOWS_MIN + (frames > MIN_FRAMES ? (frames - MIN_FRAMES) / FRAMES_PER_FLOW : 0);

	return entries < EXO_FLOWS_MAX ? entries : EXO_FLOWS_MAX;
}

__attribute__((cold)) void flow_init(void)
{
	uint32_t entries = info->flows.entries, tables;
	char *memory;

	shapes_max = SHAPES_MIN + entries / FLOWS_PER_SHAPE;
	if (shapes_max > SHAPES_MAX)
		shapes_max = SHAPES_MAX;
	for (bucket_count = FLOWS_MIN; bucket_count < 2 * entries; bucket_count *= 2)
		;
	numbers_at = sizeof(struct flow_values);
	buckets_at = numbers_at + shapes_max * FLOW_NUMBERS * (uint32_t)sizeof(uint64_t);
	values_at = buckets_at + bucket_count * (uint32_t)sizeof(uint32_t);
	values_bytes = values_at + entries * (uint32_t)sizeof(struct flow_value);
	tables = entries * (uint32_t)(sizeof(*flow_table) + sizeof(*index_next)) + shapes_max * (uint32_t)sizeof(*shape_table);
	memory = frame_boot_memory(tables + values_bytes);

	flow_values = (struct flow_values *)memory;	/* a window begins on a page */
	flow_table = (struct flow **)(memory + values_bytes);
	shape_table = (struct shape *)(flow_table + entries);
	index_next = (uint16_t *)(shape_table + shapes_max);
	index_first = 0;
	for (uint32_t i = 0; i < entries; i++)
		index_next[i] = (uint16_t)(i + 1 < entries ? i + 1 : FLOW_NONE);
	shape_insns = 0;
	flow_values->factor = (arch_random() + 1) * 0x9e3779b97f4a7c15 | 1;	/* not a small one, whatever the source */
	shape_table[0] = (struct shape){ .above = FLOW_NONE, .below = FLOW_NONE, .next = FLOW_NONE, .used = true,
		.live = true };
	flow_filter_init();
}

uint16_t flow_index_free(void)
{
	return index_first;
}

/* --- chunks ----------------------------------------------------------------------------------------------------- */

/* A key's place as it was in a term. */
static struct exo_term key_term(const struct flow_key *key)
{
	uint64_t word = __builtin_bswap64(key->place);
	struct exo_term term;

	__builtin_memcpy(&term, &word, sizeof(word));
	term.mask = key->mask;
	term.value = key->value;
	return term;
}

/* A big-endian field, as a load finds it. */
static uint64_t loaded(uint32_t field, unsigned width)
{
	return width == 4 ? __builtin_bswap32(field) : width == 2 ? __builtin_bswap16((uint16_t)field) : field;
}

static bool same_base(const struct exo_term *a, const struct exo_term *b)
{
	return a->rel_mask == b->rel_mask && a->rel_offset == b->rel_offset && a->rel_shift == b->rel_shift;
}

static uint64_t *shape_numbers(const struct shape *shape)
{
	return (uint64_t *)((char *)flow_values + numbers_at) + (shape - shape_table) * FLOW_NUMBERS;
}

static struct chunk chunk_at(const struct exo_term *base, unsigned end, unsigned width, uint64_t mask)
{
	return (struct chunk){ .offset = (uint16_t)(end - width), .width = (uint8_t)width,
		.rel_offset = base->rel_offset, .rel_mask = base->rel_mask, .rel_shift = base->rel_shift,
		.masked = mask != (width == 8 ? ~0ULL : (1ULL << 8 * width) - 1) };
}

/*
 * One chunk that ends where term `last` does, with all terms of `left` that fit: within `most` bytes before that end, no
 * bit looked at twice. Returns which they are.
 */
static uint32_t chunk_make(const struct shape *shape, uint32_t left, unsigned last, struct chunk *chunk, uint64_t *number)
{
	struct exo_term at = key_term(&shape->key[last]), term;
	unsigned end = at.offset + at.width, most = end >= 8 ? 8 : end >= 4 ? 4 : end >= 2 ? 2 : 1, width = at.width, i;
	uint64_t mask = loaded(at.mask, at.width) << 8 * (most - at.width), more;
	uint32_t taken = 1u << last;

	for (i = 0; i < shape->count; i++) {
		term = key_term(&shape->key[i]);
		if (!(left >> i & 1) || i == last || !same_base(&term, &at) || term.offset + most < end ||
		    term.offset + term.width > end)
			continue;
		more = loaded(term.mask, term.width) << 8 * (term.offset + most - end);
		if (mask & more)
			continue;
		mask |= more;
		taken |= 1u << i;
		while (term.offset + width < end)
			width *= 2;
	}
	mask >>= 8 * (most - width);
	*chunk = chunk_at(&at, end, width, mask);
	*number = mask;
	return taken;
}

static int chunk_compare(const struct chunk *a, uint64_t mask_a, const struct chunk *b, uint64_t mask_b)
{
	int order = __builtin_memcmp(a, b, sizeof(*a));

	return order ? order : mask_a < mask_b ? -1 : mask_a > mask_b;
}

/* Fields that are not relative come first, then by offset. */
static bool chunk_before(const struct chunk *a, const struct chunk *b)
{
	if (!a->rel_mask != !b->rel_mask)
		return !a->rel_mask;
	return a->offset < b->offset;
}

static void shape_chunks(struct shape *shape)
{
	uint64_t *number = shape_numbers(shape), mask;
	uint32_t left = 0, taken;
	struct chunk chunk;
	unsigned i, last, end, at;

	for (i = 0; i < shape->count; i++)
		left |= (uint32_t)!(shape->key[i].place & EXO_TERM_NOT) << i;
	while (left) {
		for (i = last = end = 0; i < shape->count; i++) {
			struct exo_term term = key_term(&shape->key[i]);

			if ((left >> i & 1) && term.offset + term.width > end) {
				end = term.offset + term.width;
				last = i;
			}
		}
		taken = chunk_make(shape, left, last, &chunk, &mask);
		left &= ~taken;
		for (at = shape->chunks++; at > 0 && chunk_before(&chunk, &shape->chunk[at - 1]); at--) {
			shape->chunk[at] = shape->chunk[at - 1];
			number[at] = number[at - 1];
		}
		for (i = 0; i < shape->count; i++) {
			if (taken >> i & 1)
				shape->chunk_of[i] = (uint8_t)at;
			else if (!(left >> i & 1) && shape->chunk_of[i] >= at && !(shape->key[i].place & EXO_TERM_NOT))
				shape->chunk_of[i]++;
		}
		shape->chunk[at] = chunk;
		number[at] = mask;
	}
	for (i = 0; i < shape->count; i++) {
		struct exo_term term = key_term(&shape->key[i]);

		if (!(term.flags & EXO_TERM_NOT))
			continue;
		at = shape->chunks + shape->nots++;
		number[at] = loaded(term.mask, term.width);
		number[EXO_TERMS_MAX + at] = loaded(term.value, term.width);
		shape->chunk[at] = chunk_at(&term, term.offset + term.width, term.width, number[at]);
	}
}

/* What the chunks hold when the fields hold these values; returns the bucket. */
static uint32_t *chunk_values(const struct shape *shape, uint32_t parent, const struct flow_key *key,
    uint64_t value[EXO_TERMS_MAX])
{
	uint64_t hash = parent;
	unsigned i;

	for (i = 0; i < EXO_TERMS_MAX; i++)
		value[i] = 0;
	for (i = 0; i < shape->count; i++) {
		struct exo_term term = key_term(&key[i]);

		if (!(term.flags & EXO_TERM_NOT))
			value[shape->chunk_of[i]] |= loaded(term.value, term.width) <<
			    8 * (term.offset - shape->chunk[shape->chunk_of[i]].offset);
	}
	for (i = 0; i < shape->chunks; i++)
		hash = flow_hash(hash, value[i]);
	return (uint32_t *)((char *)flow_values + buckets_at + (hash & (bucket_count - 1) * sizeof(uint32_t)));
}

static struct flow_value *value_behind(uint32_t at)
{
	return (struct flow_value *)((char *)flow_values + at);
}

static uint32_t value_key(const struct shape *shape, uint32_t parent)
{
	return (uint32_t)(shape - shape_table) << 16 | parent;
}

/* The flow of a shape below a parent that wants these values; NULL: none does. *count: values in the bucket. */
static struct flow *value_find(const struct shape *shape, uint32_t parent, const struct flow_key *key, unsigned *count)
{
	uint64_t value[EXO_TERMS_MAX];
	uint32_t at = *chunk_values(shape, parent, key, value);
	struct flow *found = NULL;

	for (*count = 0; at; ++*count) {
		const struct flow_value *one = value_behind(at);

		if (one->key == value_key(shape, parent) && !__builtin_memcmp(one->value, value, sizeof(value)))
			found = flow_table[one->flow];
		at = one->next;
	}
	return found;
}

/* --- shapes ----------------------------------------------------------------------------------------------------- */

/* The value belongs to the shape only if the term is negated. */
static bool shape_is(const struct shape *shape, const struct flow_terms *terms)
{
	if (shape->hash != terms->shape || shape->count != terms->count)
		return false;
	for (uint32_t i = 0; i < terms->count; i++) {
		const struct flow_key *s = &shape->key[i], *t = &terms->key[i];

		if (s->place != t->place || s->mask != t->mask || ((s->place & EXO_TERM_NOT) && s->value != t->value))
			return false;
	}
	return true;
}

static struct shape *shape_find(const struct flow *parent, const struct flow_terms *terms)
{
	uint16_t s = shape_table[parent->shape].below;

	while (s != FLOW_NONE && !shape_is(&shape_table[s], terms))
		s = shape_table[s].next;
	return s == FLOW_NONE ? NULL : &shape_table[s];
}

/* In the order of chunks (T3). */
static bool shape_before(const struct shape *a, const struct shape *b)
{
	const uint64_t *number_a = shape_numbers(a), *number_b = shape_numbers(b);

	for (unsigned i = 0; i < a->chunks && i < b->chunks; i++) {
		int order = chunk_compare(&a->chunk[i], number_a[i], &b->chunk[i], number_b[i]);

		if (order)
			return order < 0;
	}
	return a->chunks < b->chunks;
}

static uint8_t bit_free(const struct shape *above)
{
	uint32_t bits = 0;

	for (uint16_t s = above->below; s != FLOW_NONE; s = shape_table[s].next)
		bits |= 1u << shape_table[s].bit;
	return (uint8_t)(~bits ? __builtin_ctz(~bits) : FLOW_BELOW_BITS - 1);
}

static uint32_t insns_of(const struct flow_terms *terms)
{
	uint32_t insns = SHAPE_INSNS;

	for (uint32_t i = 0; i < terms->count; i++)
		insns += terms->term[i].rel_mask ? REL_INSNS : TERM_INSNS;
	return insns;
}

/* A free place for a shape; shapes_max: there is no room. */
static uint32_t shape_room(const struct flow_terms *terms)
{
	uint32_t s = 1;

	while (s < shapes_max && shape_table[s].used)
		s++;
	return shape_insns + insns_of(terms) > flow_filter_insns() ? shapes_max : s;
}

static void shape_make(uint32_t s, const struct flow *parent, const struct flow_terms *terms, exo_pfn_t account)
{
	struct shape *shape = &shape_table[s];
	uint32_t insns = insns_of(terms);
	uint16_t *link;

	*shape = (struct shape){ .above = parent->shape, .below = FLOW_NONE, .used = true, .insns = (uint16_t)insns,
		.asked = ASKED_PROGRAMS, .account = account,
		.bit = bit_free(&shape_table[parent->shape]), .hash = terms->shape, .count = (uint8_t)terms->count };
	__builtin_memcpy(shape->key, terms->key, sizeof(shape->key));
	shape_insns += insns;
	shape_chunks(shape);
	link = &shape_table[parent->shape].below;
	while (*link != FLOW_NONE && shape_before(&shape_table[*link], shape))
		link = &shape_table[*link].next;
	shape->next = *link;
	*link = (uint16_t)s;
}

static void shape_free(struct shape *shape)
{
	uint16_t s = (uint16_t)(shape - shape_table), *link = &shape_table[shape->above].below;

	kassert(!shape->flows);
	while (*link != s)
		link = &shape_table[*link].next;
	*link = shape->next;
	shape_insns -= shape->insns;
	shape->asked = 0;
	shape->used = shape->live = false;
	flow_shape_discharge(shape);
}

void flow_shapes_settle(void)
{
	bool again;

	do {
		again = false;
		for (uint32_t s = 1; s < shapes_max; s++) {
			struct shape *shape = &shape_table[s];

			flow_shape_discharge(shape);
			if (!shape->used || shape->live || shape->below != FLOW_NONE ||
			    (shape->asked && (!shape->above || shape_table[shape->above].flows)))
				continue;
			shape_free(shape);
			again = true;
		}
	} while (again);
}

/* --- overlap ---------------------------------------------------------------------------------------------------- */

/* If each field of the shape is one of the claim's: what the claim wants in them. */
static bool project(const struct shape *shape, const struct flow_terms *terms, struct flow_key out[EXO_TERMS_MAX])
{
	uint32_t j = 0;

	for (uint32_t i = 0; i < shape->count; i++) {
		const struct flow_key *key = &shape->key[i];

		out[i] = *key;
		if (key->place & EXO_TERM_NOT)
			continue;
		while (j < terms->count && terms->key[j].place < key->place)
			j++;
		if (j == terms->count || terms->key[j].place != key->place || (terms->key[j].mask & key->mask) != key->mask)
			return false;
		out[i].value = terms->key[j].value & key->mask;
	}
	return true;
}

/* Flows that share a claim: there is room for one more, or what is in the way. */
static int64_t share(const struct flow *head, const struct flow_claim *claim)
{
	unsigned peers = 1;

	if (!claim->shared || !head->claim.shared)
		return ERR(OVERLAP);
	for (uint16_t i = head->peer; i != FLOW_NONE; i = flow_table[i]->peer)
		peers++;
	return peers < EXO_SHARED_MAX ? 0 : ERR(FULL);
}

/* Does the claim meet none of the flows of a shape below the parent? */
static int64_t meets(const struct flow *parent, const struct shape *shape, const struct flow_claim *claim, uint32_t *looks)
{
	const struct flow_terms *terms = &claim->terms;
	struct flow_key key[EXO_TERMS_MAX];
	const struct flow *other;
	unsigned count;

	if (shape_is(shape, terms)) {
		other = value_find(shape, parent->index, terms->key, &count);
		return other ? share(other, claim) : 0;
	}
	if (flow_keys_exclude(terms->key, terms->count, shape->key, shape->count, ~(uint32_t)shape->same))
		return 0;
	if (project(shape, terms, key)) {
		other = value_find(shape, parent->index, key, &count);
		return other && !flow_keys_exclude(terms->key, terms->count, other->claim.terms.key, shape->count, 0) ?
		    ERR(OVERLAP) : 0;
	}
	for (uint16_t i = parent->below[shape->bit].first; i != FLOW_NONE; i = other->next) {
		other = flow_table[i];
		*looks += 1 + shape->count;
		if (*looks > EXO_TERMS_BELOW_MAX)
			return ERR(FULL);
		if (&shape_table[other->shape] == shape &&
		    !flow_keys_exclude(terms->key, terms->count, other->claim.terms.key, shape->count, 0))
			return ERR(OVERLAP);
	}
	return 0;
}

static int64_t overlap(const struct flow *parent, const struct flow_claim *claim)
{
	uint32_t looks = 0;
	int64_t error = 0;

	for (uint16_t s = shape_table[parent->shape].below; s != FLOW_NONE && !error; s = shape_table[s].next) {
		if (parent->below[shape_table[s].bit].count)
			error = meets(parent, &shape_table[s], claim, &looks);
	}
	return error;
}

/* Nothing that costs much is done twice in one call: looking for overlaps, a step of building a program. */
int64_t flow_claim_check(const struct flow *parent, const struct flow_claim *claim, exo_pfn_t account, uint16_t *number)
{
	struct shape *shape;
	int64_t error = 0;
	unsigned count;
	uint32_t room;

	if (parent->claim.shared || parent->claim.steered || parent->claim.own ||
	    (claim->own && parent->parent != FLOW_NONE))
		return ERR(STATE);
	if (!flow_guards_within(&parent->claim, claim))
		return ERR(RIGHTS);
	if (claim->steered && flow_steered(parent, claim->steer))
		return ERR(OVERLAP);
	if (index_first == FLOW_NONE)
		return ERR(FULL);
	*number = FLOW_NONE;
	if (claim->steered)
		return 0;
	shape = shape_find(parent, &claim->terms);
	if (!shape) {
		room = shape_room(&claim->terms);
		error = room == shapes_max ? ERR(FULL) : account_take_kept(account_at(account), EXO_SHARE_SHAPES, 1);
		if (!error) {
			shape_make(room, parent, &claim->terms, account);
			return ERR(AGAIN);
		}
	} else if (!shape->account) {
		error = flow_shape_charge(shape, account);
	}
	if (error)
		return flow_shapes_idle(error == ERR(QUOTA) ? account : 0) && flow_filter_build() != ERR(FULL) ? ERR(AGAIN) : error;
	if (shape->live ? flow_filter_building() && !shape->next_live : flow_filter_building()) {
		shape->asked = ASKED_PROGRAMS;
		return flow_filter_build() == ERR(FULL) ? ERR(FULL) : ERR(AGAIN);
	}
	error = overlap(parent, claim);
	if (error) {
		shape->asked = 0;
		flow_shape_discharge(shape);
		return error;
	}
	if (!shape->live) {
		shape->asked = ASKED_PROGRAMS;
		(void)flow_filter_build();	/* begins it */
		return ERR(AGAIN);
	}
	*number = (uint16_t)(shape - shape_table);
	if (!value_find(shape, parent->index, claim->terms.key, &count) && count >= FLOW_CHAIN_MAX)
		return ERR(FULL);
	return flow_shape_charge(shape, account);
}

/* --- entering and removing ---------------------------------------------------------------------------------------- */

/* Into its bucket. */
static void value_put(struct flow *flow)
{
	const struct shape *shape = &shape_table[flow->shape];
	struct flow_value *value = flow->value;
	uint32_t *bucket = chunk_values(shape, flow->parent, flow->claim.terms.key, value->value);

	value->next = *bucket;
	*bucket = (uint32_t)((char *)value - (char *)flow_values);
}

static void value_take(struct flow *flow)
{
	struct flow_value *value = flow->value;
	uint32_t *link = chunk_values(&shape_table[flow->shape], flow->parent, flow->claim.terms.key, value->value);

	while (value_behind(*link) != value)
		link = &value_behind(*link)->next;
	*link = value->next;
}

/* Which values all its flows have. */
static void shape_enter(struct shape *shape, const struct flow_terms *terms)
{
	shape->asked = 0;
	if (shape->flows++ == 0) {
		shape->same = 0xff;
		__builtin_memcpy(shape->key, terms->key, sizeof(shape->key));
		return;
	}
	for (uint32_t i = 0; i < terms->count; i++) {
		if (shape->key[i].value != terms->key[i].value)
			shape->same &= (uint8_t)~(1u << i);
	}
}

static void list_enter(struct flow *parent, struct flow *flow)
{
	unsigned bit = shape_table[flow->shape].bit;
	uint16_t first = parent->below[bit].first;

	flow->next = first;
	flow->prev = FLOW_NONE;
	if (first != FLOW_NONE)
		flow_table[first]->prev = flow->index;
	parent->below[bit].first = flow->index;
	parent->below[bit].count++;
	parent->value->below |= 1u << bit;
}

static void list_leave(struct flow *parent, struct flow *flow)
{
	unsigned bit = shape_table[flow->shape].bit;

	if (flow->next != FLOW_NONE)
		flow_table[flow->next]->prev = flow->prev;
	if (flow->prev != FLOW_NONE)
		flow_table[flow->prev]->next = flow->next;
	else
		parent->below[bit].first = flow->next;
	if (--parent->below[bit].count == 0)
		parent->value->below &= ~(1u << bit);
}

/* What all claims below a root have in common, so that most of a flood of other packets is turned away at once. */
static void root_agree(struct flow *root, const struct flow_terms *terms)
{
	uint64_t agree[2] = { 0 }, agreed[2] = { 0 };
	bool first = !root->value->below;

	for (uint32_t i = 0; i < terms->count; i++) {
		struct exo_term term = key_term(&terms->key[i]);
		unsigned at = term.offset - FLOW_AGREE_AT, end = at + term.width - 1;

		if ((term.flags & EXO_TERM_NOT) || term.rel_mask || term.offset < FLOW_AGREE_AT || end >= sizeof(agree) ||
		    at / 8 != end / 8)
			continue;
		agree[at / 8] |= loaded(term.mask, term.width) << 8 * (at % 8);
		agreed[at / 8] |= loaded(term.value, term.width) << 8 * (at % 8);
	}
	for (unsigned i = 0; i < COUNT_OF(agree); i++) {
		root->agree[i] = first ? agree[i] : root->agree[i] & agree[i] & ~(root->agreed[i] ^ agreed[i]);
		root->agreed[i] = first ? agreed[i] : root->agreed[i];
	}
}

/* And what all flows of a shape want of its last chunk. shape->flows counts this one. */
static void last_agree(const struct shape *shape, const uint64_t *value)
{
	uint64_t *number = shape_numbers(shape), last;

	if (shape->chunks < 2)
		return;
	last = value[shape->chunks - 1];
	number[FLOW_AGREE] = shape->flows == 1 ? ~0ULL : number[FLOW_AGREE] & ~(number[FLOW_AGREED] ^ last);
	number[FLOW_AGREED] = last;
}

void flow_insert(struct flow *flow)
{
	struct flow *parent, *head;
	unsigned i;

	kassert(flow->index == index_first);
	index_first = index_next[flow->index];
	flow_table[flow->index] = flow;
	flow->peer = FLOW_NONE;
	for (i = 0; i < EXO_STEER_MAX; i++)
		flow->steered[i] = FLOW_NONE;
	for (i = 0; i < FLOW_BELOW_BITS; i++)
		flow->below[i].first = FLOW_NONE;
	flow->value = (struct flow_value *)((char *)flow_values + values_at) + flow->index;
	*flow->value = (struct flow_value){ .flow = flow->index };
	if (flow->parent == FLOW_NONE) {
		flow->shape = 0;
		return;
	}
	parent = flow_table[flow->parent];
	parent->children++;
	if (flow->claim.steered) {
		flow->shape = FLOW_NONE;
		parent->steered[flow->claim.steer] = flow->index;
		return;
	}
	flow->value->key = value_key(&shape_table[flow->shape], flow->parent);
	shape_enter(&shape_table[flow->shape], &flow->claim.terms);
	if (parent->parent == FLOW_NONE)
		root_agree(parent, &flow->claim.terms);
	list_enter(parent, flow);
	head = value_find(&shape_table[flow->shape], flow->parent, flow->claim.terms.key, &i);
	if (head) {
		flow->peer = head->peer;
		head->peer = flow->index;
		return;
	}
	value_put(flow);
	last_agree(&shape_table[flow->shape], flow->value->value);
	if (!flow->claim.terms.count)
		parent->whole = flow;
}

/* Out of its bucket, where its peer takes its place, or out of the peer list of one that is there. */
static void flow_leave(struct flow *flow)
{
	unsigned count;
	struct flow *head = value_find(&shape_table[flow->shape], flow->parent, flow->claim.terms.key, &count);

	kassert(head);
	if (head != flow) {
		while (head->peer != flow->index)
			head = flow_table[head->peer];
		head->peer = flow->peer;
		return;
	}
	value_take(flow);
	if (flow->peer != FLOW_NONE)
		value_put(flow_table[flow->peer]);
}

void flow_remove(struct flow *flow)
{
	struct flow *parent = flow_table[flow->parent];

	kassert(flow_table[flow->index] == flow && flow->children == 0 && flow->parent != FLOW_NONE);
	if (flow->claim.steered) {
		parent->steered[flow->claim.steer] = FLOW_NONE;
	} else {
		if (parent->whole == flow)
			parent->whole = NULL;
		flow_leave(flow);
		list_leave(parent, flow);
		shape_table[flow->shape].flows--;
		flow_shape_discharge(&shape_table[flow->shape]);
	}
	parent->children--;
	flow_table[flow->index] = NULL;
	index_next[flow->index] = index_first;
	index_first = flow->index;
}
