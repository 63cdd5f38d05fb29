/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims and packets from arbitrary bytes: with the kernel's generic part, arch/null and test/unit/world.c.
 *
 * The input is a list of claims, each below a flow made before, then a packet. Claims that the kernel would accept are
 * entered; the packet must go to the flow that a naive search finds (or to a shared flow with the same claim), by a
 * program of which no access is left to be tested at run time.
 */
#include <stdlib.h>
#include <string.h>
#include "exo/flows.h"
#include "test/unit/world.h"

#define FLOWS	24

static struct flow flows[FLOWS];

static bool holds(const struct flow_terms *terms, const uint8_t *packet, uint32_t bytes)
{
	for (uint32_t i = 0; i < terms->count; i++) {
		const struct exo_term *term = &terms->term[i];
		uint32_t at = term->offset, value = 0;

		if (term->rel_mask) {
			if (term->rel_offset >= bytes)
				return false;
			at += (uint32_t)(packet[term->rel_offset] & term->rel_mask) << term->rel_shift;
		}
		if (at + term->width > bytes)
			return false;
		for (unsigned j = 0; j < term->width; j++)
			value = value << 8 | packet[at + j];
		if (((value & term->mask) == term->value) == (bool)(term->flags & EXO_TERM_NOT))
			return false;
	}
	return true;
}

static struct flow *naive(struct flow *at, unsigned count, const uint8_t *packet, uint32_t bytes)
{
	for (unsigned i = 1; i < count; i++) {
		if (flows[i].parent == at->index && !flows[i].claim.steered &&
		    holds(&flows[i].claim.terms, packet, bytes))
			return naive(&flows[i], count, packet, bytes);
	}
	return at;
}

static void check(unsigned count, const uint8_t *packet, uint32_t bytes)
{
	struct flow *wanted = naive(&flows[0], count, packet, bytes), *got = flow_find(&flows[0], packet, bytes);

	while (got != wanted) {
		if (got->peer == FLOW_NONE)
			abort();
		got = flow_table[got->peer];
	}
	flow_guard(&got->claim, packet, bytes);
}

/* Below a flow, if the kernel lets it. */
static bool enter(struct flow *parent, struct flow *flow, const struct exo_claim *asked)
{
	int64_t error;

	if (flow_claim_read(&flow->claim, asked))
		return false;
	do
		error = flow_claim_check(parent, &flow->claim, world.env[0]->account, &flow->shape);
	while (error == ERR(AGAIN));
	if (error)
		return false;
	flow->index = flow_index_free();
	flow->parent = parent->index;
	flow_insert(flow);
	if (flow_finder() && flow_finder()->guarded)
		abort();
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned count = 1;
	struct exo_claim asked;
	uint8_t *packet;
	uint32_t bytes;

	if (!flow_table) {
		world_boot(16384);
		flows[0].parent = FLOW_NONE;
		flows[0].claim.guard_any = true;
		flow_insert(&flows[0]);
	}
	memset(flows + 1, 0, sizeof(flows) - sizeof(*flows));
	while (count < FLOWS && size > sizeof(asked)) {
		struct flow *parent = &flows[data[0] % count];

		memcpy(&asked, data + 1, sizeof(asked));
		asked.terms %= EXO_TERMS_MAX + 2;
		data += 1 + sizeof(asked);
		size -= 1 + sizeof(asked);
		count += enter(parent, &flows[count], &asked);
	}
	bytes = size > EXO_FRAME_BYTES_MAX ? EXO_FRAME_BYTES_MAX : (uint32_t)size;
	packet = malloc(bytes + !bytes);
	memcpy(packet, data, bytes);
	check(count, packet, bytes);
	free(packet);
	while (count-- > 1)
		flow_remove(&flows[count]);
	return 0;
}
