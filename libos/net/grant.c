/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A creator's side of the network: see grant.h. The claim goes to the kernel through the argument frame.
 */
#include <string.h>
#include "libos/net/claim.h"
#include "libos/net/grant.h"

const uint8_t *claim_mac(void)
{
	return core_info->device[0].kind ? core_info->device[0].address : NULL;
}

static int64_t make(struct claim_set *set, exo_cap_t parent, const struct exo_claim *claim, struct frame_bag *bag)
{
	struct frame frame;
	uint32_t slot = caps_slot();
	int64_t result;

	if (set->count == CLAIM_SET_MAX)
		return -EXO_EFULL;
	if (!slot)
		return -EXO_ESLOT;
	result = frame_bag_take(bag, 1, &frame);
	if (result < 0)
		return result;
	memcpy(core_arg(0), claim, sizeof(*claim));
	((struct exo_claim *)core_arg(0))->budget = set->budget;
	result = caps_flow_make(slot, parent, frame.cap, frame.first, 0);
	if (result < 0)
		return result;
	set->flow[set->count].cap = (exo_cap_t)result;
	memcpy(set->flow[set->count].name, claim->label, sizeof(claim->label));
	set->count++;
	return 0;
}

static int64_t make_shared(struct claim_set *set, exo_cap_t parent, const uint8_t *mac, struct frame_bag *bag)
{
	struct exo_claim claim;
	int64_t result;

	claim_arp(&claim, mac);
	result = make(set, parent, &claim, bag);
	if (result < 0)
		return result;
	claim_fragments(&claim);
	return make(set, parent, &claim, bag);
}

int64_t claim_make_holder(struct claim_set *set, exo_cap_t root, bool shared, struct frame_bag *bag)
{
	const uint8_t *mac = claim_mac();
	struct exo_claim claim;
	int64_t result;

	if (!mac)
		return -EXO_ESTATE;
	claim_all(&claim, mac);
	result = make(set, root, &claim, bag);
	if (result == 0 && shared)
		result = make_shared(set, set->flow[0].cap, mac, bag);
	if (result < 0)
		claim_drop(set);
	return result;
}

int64_t claim_make_owner(struct claim_set *set, exo_cap_t root, struct frame_bag *bag)
{
	const uint8_t *mac = claim_mac();
	struct exo_claim claim;

	if (!mac)
		return -EXO_ESTATE;
	claim_all(&claim, mac);
	claim.flags = EXO_FLOW_OWN;
	return make(set, root, &claim, bag);
}

int64_t claim_make_ports(struct claim_set *set, const struct claim_set *holder, const struct netinfo_port *ports,
    unsigned count, struct frame_bag *bag)
{
	const uint8_t *mac = claim_mac();
	struct exo_claim claim;
	int64_t result;

	if (!mac || !holder->count)
		return -EXO_ESTATE;
	result = make_shared(set, holder->flow[0].cap, mac, bag);
	for (unsigned i = 0; i < count && result == 0; i++) {
		claim_port(&claim, mac, 0, ports[i].protocol, ports[i].first, ports[i].count);
		result = make(set, holder->flow[0].cap, &claim, bag);
	}
	if (result < 0)
		claim_drop(set);
	return result;
}

int64_t claim_make_part(struct claim_set *set, const struct claim_set *holder, uint8_t protocol, uint16_t port, uint32_t part,
    uint32_t parts, struct frame_bag *bag)
{
	struct exo_claim claim;

	claim_port(&claim, claim_mac(), 0, protocol, port, 1);
	claim_part(&claim, part, parts);
	return make(set, holder->flow[0].cap, &claim, bag);
}

int64_t claim_make_one(struct claim_set *set, exo_cap_t parent, struct exo_claim *claim, struct frame_bag *bag)
{
	unsigned number = 0;
	char *at = claim->label + sizeof(CLAIM_NAME_ONE) - 1;

	for (unsigned i = 0; i < set->count; i++)
		number += !strncmp(set->flow[i].name, CLAIM_NAME_ONE, sizeof(CLAIM_NAME_ONE) - 1);
	memcpy(claim->label, CLAIM_NAME_ONE, sizeof(CLAIM_NAME_ONE) - 1);
	if (number > 9)
		*at++ = (char)('0' + number / 10);
	*at = (char)('0' + number % 10);
	return make(set, parent, claim, bag);
}

void claim_drop(struct claim_set *set)
{
	while (set->count > 0)
		caps_delete(set->flow[--set->count].cap);
}

void netinfo_make(struct netinfo *page, const struct netinfo_port *ports, unsigned count)
{
	const uint8_t *mac = claim_mac();

	page->version = NETINFO_VERSION;
	page->size = sizeof(*page);
	if (mac)
		memcpy(page->mac, mac, sizeof(page->mac));
	page->given_count = count < NETINFO_GIVEN_MAX ? count : NETINFO_GIVEN_MAX;
	for (unsigned i = 0; i < page->given_count; i++)
		page->given[i] = ports[i];
}
