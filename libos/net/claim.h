/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims on packets as Ethernet, ARP and IPv4 have them: what a creator makes flows from.
 *
 * The holder of a machine's address has claim_all below the device's root flow: everything, from its hardware address.
 * Below that others get their ports; what they need beside is given in copies, to them and to the holder: ARP, and
 * fragments, which have no ports (each puts them together itself and keeps what is its own).
 */
#ifndef LIBOS_NET_CLAIM_H
#define LIBOS_NET_CLAIM_H

#include <stdbool.h>
#include <exo/flow.h>

#define CLAIM_TCP	6
#define CLAIM_UDP	17

/* Names in a start record of the capabilities to such flows. A port's is "tcp/80", or "tcp/49152+63" for 64 of them. */
#define CLAIM_NAME_ALL		"net0"		/* as EXO_NAME_NET */
#define CLAIM_NAME_ARP		"arp"
#define CLAIM_NAME_FRAGMENTS	"fragments"
#define CLAIM_NAME_ONE		"claim"		/* and a number, from 0 on: as configured */

/* Everything; may send what carries this hardware address as its source. */
void claim_all(struct exo_claim *claim, const uint8_t mac[6]);
/* Copies of ARP; may send requests from this hardware address. */
void claim_arp(struct exo_claim *claim, const uint8_t mac[6]);
/* Copies of IPv4 fragments; may send nothing. */
void claim_fragments(struct exo_claim *claim);
/*
 * Unfragmented IPv4 packets to ports [port, port + count), count a power of two that divides port; may send the same
 * from them. `address` (network byte order): only to and from this one; 0: any, for when it is not known yet.
 */
void claim_port(struct exo_claim *claim, const uint8_t mac[6], uint32_t address, uint8_t protocol, uint16_t port,
    uint32_t count);
/*
 * Of such a port (without an address), only clients whose own port, halved, is `part` modulo `parts`, a power of two. Halved,
 * because Linux connects from even ports.
 */
void claim_part(struct exo_claim *claim, uint32_t part, uint32_t parts);
/* Read or write the name of a port's flow. False: it is none, or does not fit. */
bool claim_name_parse(const char *name, uint8_t *protocol, uint16_t *port, uint32_t *count);
bool claim_name_make(char name[16], uint8_t protocol, uint16_t port, uint32_t count);

#endif
