/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DHCP client of the libOS event, by a server that is right, wrong, or somebody else's.
 */
#include "test/unit/event_fake.h"
#include "test/unit/tap.h"

#define OFFER	2
#define ACK	5
#define NAK	6

static const uint8_t server_ip[4] = { 10, 0, 2, 2 }, other_ip[4] = { 10, 0, 2, 66 }, mine[4] = { 10, 0, 2, 20 };
static uint8_t transaction[4];
static unsigned seen;

void event_address_changed(uint32_t address, uint32_t mask, uint32_t gateway)
{
	net_address = address;
	net_mask = mask;
	net_gateway = gateway;
}

/* The kind of the last message that the client has sent; 0: none since. */
static unsigned asked(void)
{
	unsigned kind = 0;

	fake_run(1);
	for (; seen < fake.sent_count; seen++) {
		const uint8_t *frame = fake.sent[seen % FAKE_FRAMES].data;
		if (frame[23] == PROTOCOL_UDP && get16(frame + 36) == 67) {
			memcpy(transaction, frame + 42 + 4, 4);
			kind = frame[42 + 242];
		}
	}
	return kind;
}

static void answer(uint8_t kind, const uint8_t address[4], const uint8_t from[4], unsigned cut)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	uint8_t frame[FAKE_BYTES], *message = frame + 42, *at = message + 240;
	uint32_t bytes = 300, all = fake_ip(frame, raw32(from), PROTOCOL_UDP, 8 + bytes - cut);

	memset(frame + 34, 0, 8 + bytes);
	put16(frame + 34, 67);
	put16(frame + 36, 68);
	put16(frame + 38, 8 + bytes - cut);
	message[0] = 2;
	memcpy(message + 4, transaction, 4);
	memcpy(message + 16, address, 4);
	memcpy(message + 28, mac, 6);
	put32(message + 236, 0x63825363);
	memcpy(at, (uint8_t[]){ 53, 1, kind, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 2, 2, 51, 4, 0, 0, 0, 200, 54, 4 }, 23);
	memcpy(at + 23, from, 4);
	at[27] = 255;
	fake_frame(frame, all);
	fake_run(1);
}

int main(void)
{
	static const uint8_t bad[][4] = { { 0, 0, 0, 0 }, { 127, 0, 0, 1 }, { 255, 255, 255, 255 }, { 224, 0, 0, 1 } };

	fake_pages();
	net_address = 0;
	dhcp_begin();
	is_int(asked(), 1, "it asks for an address");
	for (unsigned i = 0; i < 4; i++)
		answer(OFFER, bad[i], server_ip, 0);
	ok(asked() == 0 && !net_address, "offers of addresses that no host has are none");
	answer(ACK, mine, server_ip, 0);
	ok(asked() == 0 && !net_address, "nor is a word that it did not ask for");
	for (unsigned cut = 34; cut <= 300; cut++)
		answer(OFFER, mine, server_ip, cut);
	is_int(asked(), 0, "nor are those that end early");
	answer(OFFER, mine, server_ip, 0);
	is_int(asked(), 3, "an offer is asked for");
	answer(OFFER, other_ip, other_ip, 0);
	answer(ACK, other_ip, other_ip, 0);
	answer(NAK, mine, other_ip, 0);
	answer(ACK, other_ip, server_ip, 0);
	ok(!net_address && asked() == 0, "another server, and another address, change nothing");
	answer(ACK, mine, server_ip, 0);
	ok(net_address == raw32(mine) && net_mask == 0x00ffffff && net_gateway == raw32(server_ip), "the server's word gives it");
	fake_run(99000);
	is_int(asked(), 0, "for half of its time it is at rest");
	fake_run(2000);
	is_int(asked(), 3, "then it asks for more");
	answer(NAK, mine, server_ip, 0);
	is_int(asked(), 1, "refused, it begins again");
	is_int(fake.malformed, 0, "no frame of ours was malformed");
	return done();
}
