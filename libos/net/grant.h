/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making the flows that a creator grants to its programs: the address's holder first, then those that have ports of it.
 *
 * Needs libos/core only. The flows' frames come from the caller's bag and must live as long as the flows.
 */
#ifndef LIBOS_NET_GRANT_H
#define LIBOS_NET_GRANT_H

#include "libos/core/frame.h"
#include "libos/net/netinfo.h"

#define CLAIM_SET_MAX	32

struct claim_set {
	unsigned count;
	uint32_t budget;		/* of each that is made from now on; 0: none (exo/flow.h) */
	struct {
		exo_cap_t cap;
		char name[16];		/* for the start record */
	} flow[CLAIM_SET_MAX];		/* a holder's first is the one that claims all */
};

/* The hardware address of network device 0, as the kernel exposes it; NULL: there is none. */
const uint8_t *claim_mac(void);
/*
 * The flows of the program that holds the address, below a device's root flow. `shared`: others get ports of it, so it
 * also gets copies of what all need. 0, or an error; then nothing is left behind but frames in the bag.
 */
int64_t claim_make_holder(struct claim_set *set, exo_cap_t root, bool shared, struct frame_bag *bag);
/* The flow of a program that owns the device: all packets go into its own frames, and nobody else has any. */
int64_t claim_make_owner(struct claim_set *set, exo_cap_t root, struct frame_bag *bag);
/* The flows of a program that has ports [first, first + count) of it. */
int64_t claim_make_ports(struct claim_set *set, const struct claim_set *holder, const struct netinfo_port *ports,
    unsigned count, struct frame_bag *bag);
/* One port more, of some clients only: see claim_part. */
int64_t claim_make_part(struct claim_set *set, const struct claim_set *holder, uint8_t protocol, uint16_t port, uint32_t part,
    uint32_t parts, struct frame_bag *bag);
/* One more, of the claim's own terms, below any flow: its name is "claim0", and so on. */
int64_t claim_make_one(struct claim_set *set, exo_cap_t parent, struct exo_claim *claim, struct frame_bag *bag);
/* Delete the capabilities: flows that nobody else names go. */
void claim_drop(struct claim_set *set);

/* Fill in a zeroed page with the ports that are given away. */
void netinfo_make(struct netinfo *page, const struct netinfo_port *ports, unsigned count);

#endif
