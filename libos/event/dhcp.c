/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small DHCP client (RFC 2131, 2132) as a protothread: ask for an address until there is one, and ask for it again when half
 * of its time has passed. It takes the first offer, the address with its mask and first router, and looks at nothing else.
 */
#include <string.h>
#include "libos/event/net.h"

#define SERVER		67
#define REQUEST		1	/* op */
#define ANSWER		2
#define BROADCAST	0x80	/* flags: answers go to everybody, for there is no address yet */
#define COOKIE		0x63825363
#define OPTIONS		240	/* where they begin */
#define BYTES		300	/* what servers expect at least */
#define DISCOVER	1	/* kinds of messages */
#define OFFER		2
#define ASK		3
#define ACK		5
#define NAK		6
#define OPTION_MASK	1
#define OPTION_ROUTER	3
#define OPTION_ADDRESS	50
#define OPTION_LEASE	51
#define OPTION_KIND	53
#define OPTION_SERVER	54
#define OPTION_WANTED	55
#define OPTION_END	255
#define FIRST_WAIT_MS	1000
#define LONGEST_WAIT_MS	16000
#define LEASE_MOST	(7 * 24 * 3600)
#define LEASE_LEAST	60

static struct pt thread;
static uint32_t transaction, wait_ms, lease;
static uint8_t asked;				/* DISCOVER or ASK, last */
static uint32_t address, server, mask, router;	/* network byte order */
static uint8_t answer;				/* its kind; 0: none yet */

/* What an answer says, network byte order but for the lease. */
struct told {
	uint32_t mask, router, server, lease;
	uint8_t kind;
};

static uint8_t *option(uint8_t *at, uint8_t kind, uint8_t bytes, const void *value)
{
	*at++ = kind;
	*at++ = bytes;
	memcpy(at, value, bytes);
	return at + bytes;
}

static void ask(uint8_t kind)
{
	static const uint8_t wanted[] = { OPTION_MASK, OPTION_ROUTER, OPTION_LEASE };
	uint8_t message[BYTES], *at;

	answer = 0;
	asked = kind;
	memset(message, 0, BYTES);
	message[0] = REQUEST;
	message[1] = 1;			/* Ethernet */
	message[2] = 6;
	memcpy(message + 4, &transaction, 4);
	message[10] = BROADCAST;
	memcpy(message + 28, core_info->device[0].address, 6);
	put32(message + OPTIONS - 4, COOKIE);
	at = option(message + OPTIONS, OPTION_KIND, 1, &kind);
	if (kind == ASK) {
		at = option(at, OPTION_ADDRESS, 4, &address);
		at = option(at, OPTION_SERVER, 4, &server);
	}
	at = option(at, OPTION_WANTED, sizeof(wanted), wanted);
	*at = OPTION_END;
	udp_send(DHCP_CLIENT, UINT32_MAX, SERVER, message, BYTES);
}

/* The options of an answer. False: it is none. */
static bool options(const uint8_t *at, const uint8_t *end, struct told *told)
{
	while (at < end && *at != OPTION_END) {
		if (*at == 0) {
			at++;
			continue;
		}
		if (end - at < 2 || end - at - 2 < at[1])
			return false;
		if (at[0] == OPTION_KIND && at[1] == 1)
			told->kind = at[2];
		else if (at[0] == OPTION_MASK && at[1] == 4)
			memcpy(&told->mask, at + 2, 4);
		else if (at[0] == OPTION_ROUTER && at[1] >= 4)
			memcpy(&told->router, at + 2, 4);
		else if (at[0] == OPTION_SERVER && at[1] == 4)
			memcpy(&told->server, at + 2, 4);
		else if (at[0] == OPTION_LEASE && at[1] == 4)
			told->lease = get32(at + 2);
		at += 2 + at[1];
	}
	return told->kind && told->server;	/* each names its server */
}

/* May it be a host's address? */
static bool usable(const uint8_t *at)
{
	return at[0] && at[0] != 127 && at[0] < 224;
}

/* Only what was asked for counts: the first offer, then that server's word on the very address. */
void dhcp_input(const uint8_t *at, uint32_t bytes)
{
	struct told told = { .kind = 0 };

	if (bytes <= OPTIONS || at[0] != ANSWER || memcmp(at + 4, &transaction, 4) ||
	    memcmp(at + 28, core_info->device[0].address, 6) || get32(at + OPTIONS - 4) != COOKIE || answer ||
	    !options(at + OPTIONS, at + bytes, &told))
		return;
	if (asked == DISCOVER) {
		if (told.kind != OFFER || !usable(at + 16))
			return;
		memcpy(&address, at + 16, 4);
		server = told.server;
	} else {
		if ((told.kind != ACK && told.kind != NAK) || told.server != server ||
		    (told.kind == ACK && memcmp(at + 16, &address, 4)))
			return;
		mask = told.mask;
		router = told.router;
		lease = told.lease;
	}
	answer = told.kind;
}

static enum pt_state run(struct pt *pt)
{
	PT_BEGIN(pt);
	for (;;) {
		wait_ms = FIRST_WAIT_MS;
		do {
			core_random(&transaction, sizeof(transaction));
			ask(DISCOVER);
			PT_WAIT_UNTIL_OR(pt, answer == OFFER, wait_ms);
			if (wait_ms < LONGEST_WAIT_MS)
				wait_ms *= 2;
		} while (answer != OFFER);
		do {
			ask(ASK);
			PT_WAIT_UNTIL_OR(pt, answer == ACK || answer == NAK, wait_ms);
			if (answer != ACK)
				break;
			event_address_changed(address, mask, router);
			if (lease > LEASE_MOST)
				lease = LEASE_MOST;
			if (lease < LEASE_LEAST)
				lease = LEASE_LEAST;
			PT_SLEEP(pt, lease * 500ULL);
		} while (true);
	}
	PT_END(pt);
}

void dhcp_begin(void)
{
	pt_start(&thread, run);
}

/* Before the program's loop: this protothread alone. */
void dhcp_turn(void)
{
	if (thread.started)
		run(&thread);
}
