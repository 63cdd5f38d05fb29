/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libos/net without a machine: the allocator of the transmit frames against a naive record of what is in use, the
 * checksum against one that adds byte pairs, names of ports, the hash of sequence numbers.
 *
 * The few functions of libos/core that memory.c calls are here; its frames are an array.
 */
#include <stdlib.h>
#include "libos/core/space.h"
#include "libos/net/claim.h"
#include "libos/net/memory.h"
#include "libos/net/netinfo.h"
#include "libos/net/siphash.h"
#include "libos/vm/vm.h"
#include "test/lib/random.h"
#include "test/unit/tap.h"

#define PAGES	96
#define BLOCKS	600

unsigned short net_checksum(const void *data, int bytes);

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t below(uint32_t n)
{
	return (uint32_t)((random_next(&seed) >> 32) % n);
}

/* --- what memory.c needs to link ----------------------------------------------------------------------------------- */

uint32_t caps_slot(void) { return 0; }
const struct exo_cap *caps_at(uint32_t slot) { (void)slot; return NULL; }
exo_cap_t caps_handle(uint32_t slot) { return slot; }
int64_t caps_delete(exo_cap_t cap) { (void)cap; return 0; }
exo_vaddr_t vm_addresses(uint64_t bytes) { (void)bytes; return 0; }
int64_t space_map(exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t pages)
{
	(void)va, (void)flags, (void)cap, (void)first, (void)pages;
	return -1;
}

/* --- the allocator --------------------------------------------------------------------------------------------------- */

static struct block {
	unsigned char *at;
	size_t bytes;
	unsigned char fill;
} block[BLOCKS];

static bool intact(const struct block *b)
{
	for (size_t i = 0; i < b->bytes; i++) {
		if (b->at[i] != b->fill)
			return false;
	}
	return true;
}

static void release(struct block *b)
{
	net_free(b->at);
	b->at = NULL;
}

static size_t random_size(void)
{
	static const size_t usual[] = { 1, 40, 64, 65, 128, 256, 300, 1024, 1538, 2048, 2049, 4096, 9000 };

	return below(2) ? usual[below(sizeof(usual) / sizeof(usual[0]))] : 1 + below(3000);
}

/* Who was refused asks again when there is a block of that size, not before, and once. */
static void test_again(void)
{
	unsigned count = 0;

	ok(!net_memory_short() && !net_memory_again(), "nothing was refused");
	while (count < BLOCKS && (block[count].at = net_alloc(2048)))
		count++;
	ok(count < BLOCKS && net_memory_short() && !net_memory_again(), "refused, and no better yet");
	release(&block[0]);
	ok(net_memory_again() && !net_memory_again() && !net_memory_short(), "one is free: again, once");
	for (unsigned i = 1; i < count; i++)
		release(&block[i]);
	net_memory_settle();
}

static void test_memory(void)
{
	struct net_run run = { .frames = PAGES, .base = aligned_alloc(EXO_PAGE_SIZE, PAGES * EXO_PAGE_SIZE) };
	unsigned broken = 0, outside = 0, misaligned = 0, refused = 0;
	uint32_t offset;

	ok(!net_alloc(100), "nothing before the start");
	net_memory_start(&run, run.frames);
	is_int(net_memory_use().pages_free, PAGES, "all pages are free");
	for (unsigned step = 0; step < 200000; step++) {
		struct block *b = &block[below(BLOCKS)];

		if (b->at) {
			broken += !intact(b);
			release(b);
			continue;
		}
		b->bytes = random_size();
		b->at = net_alloc(b->bytes);
		if (!b->at) {
			refused++;
			continue;
		}
		outside += !net_memory_has(b->at, b->bytes, &offset) || b->at != (unsigned char *)run.base + offset;
		misaligned += (uintptr_t)b->at % 16 != 0;
		b->fill = (unsigned char)step;
		memset(b->at, b->fill, b->bytes);
	}
	is_int(broken, 0, "no block was touched by another");
	is_int(outside, 0, "all lie in the frames");
	is_int(misaligned, 0, "and are aligned");
	ok(refused > 0 && net_memory_use().failures == refused + 1, "what cannot be is refused and counted");
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (block[i].at)
			release(&block[i]);
	}
	net_memory_settle();
	ok(net_memory_use().pages_free >= PAGES - 6, "all goes back, but for one page of each size");
	net_memory_again();
	test_again();
	ok(!net_alloc((size_t)PAGES * EXO_PAGE_SIZE + 1) && !net_alloc(SIZE_MAX), "more than there is");
	ok(!net_calloc(SIZE_MAX / 2, 3), "a product that wraps");
	ok(!net_memory_has(run.base - 1, 1, &offset) && !net_memory_has(run.base + PAGES * EXO_PAGE_SIZE, 1, &offset) &&
	    !net_memory_has(run.base + PAGES * EXO_PAGE_SIZE - 1, 2, &offset), "the frames' limits");
	free(run.base);
}

/* --- the checksum ---------------------------------------------------------------------------------------------------- */

static unsigned short naive(const unsigned char *data, int bytes)
{
	uint32_t sum = 0;

	for (int i = 0; i < bytes; i++)
		sum += (uint32_t)data[i] << (i % 2 ? 8 : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned short)sum;
}

static void test_checksum(void)
{
	unsigned char data[1600];
	unsigned wrong = 0;

	for (unsigned round = 0; round < 20000; round++) {
		unsigned at = below(16), bytes = below(round % 2 ? 64 : 1500);

		for (unsigned i = 0; i < bytes; i++)
			data[at + i] = round % 3 ? (unsigned char)below(256) : 0xff;
		wrong += net_checksum(data + at, (int)bytes) != naive(data + at, (int)bytes);
	}
	is_int(wrong, 0, "the checksum is the sum of byte pairs, at any address and length");
}

/* --- names, ports ---------------------------------------------------------------------------------------------------- */

static void name_is(const char *name, bool valid, unsigned protocol, unsigned port, unsigned count)
{
	uint8_t got_protocol = 0;
	uint16_t got_port = 0;
	uint32_t got_count = 0;
	char made[16];

	if (!ok(claim_name_parse(name, &got_protocol, &got_port, &got_count) == valid, "%s is%s a port's name", name,
	    valid ? "" : " not") || !valid)
		return;
	ok(got_protocol == protocol && got_port == port && got_count == count, "... of %u/%u+%u", protocol, port, count - 1);
	ok(claim_name_make(made, got_protocol, got_port, got_count) && !strcmp(made, name), "... and made again");
}

static void test_names(void)
{
	struct netinfo info = { .given_count = 2, .given = {
		{ .protocol = CLAIM_TCP, .first = 8080, .count = 1 }, { .protocol = CLAIM_UDP, .first = 65472, .count = 64 } } };

	name_is("tcp/80", true, CLAIM_TCP, 80, 1);
	name_is("udp/65535", true, CLAIM_UDP, 65535, 1);
	name_is("tcp/49152+1023", true, CLAIM_TCP, 49152, 1024);
	name_is("tcp/65536", false, 0, 0, 0);
	name_is("tcp/80+2", false, 0, 0, 0);
	name_is("tcp/80+3", true, CLAIM_TCP, 80, 4);
	name_is("tcp/82+3", false, 0, 0, 0);
	name_is("tcp/", false, 0, 0, 0);
	name_is("tcp/80x", false, 0, 0, 0);
	name_is("tcp/80+", false, 0, 0, 0);
	name_is("icmp/1", false, 0, 0, 0);
	ok(netinfo_given(&info, CLAIM_TCP, 8080) && !netinfo_given(&info, CLAIM_UDP, 8080) &&
	    !netinfo_given(&info, CLAIM_TCP, 8081), "a port that is given away");
	ok(netinfo_given(&info, CLAIM_UDP, 65535) && !netinfo_given(&info, CLAIM_UDP, 65471), "a range of them");
	info.given_count = ~0U;
	ok(!netinfo_given(&info, CLAIM_UDP, 1), "an impossible count is cut off");
}

/* The published value for bytes 0 to 11 and the key of bytes 0 to 15. */
static void test_siphash(void)
{
	const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

	ok(siphash_12(key, 0x0706050403020100, 0x0b0a0908) == 0x751e8fbc860ee5fb, "SipHash-2-4 of 12 bytes");
}

int main(void)
{
	test_siphash();
	test_memory();
	test_checksum();
	test_names();
	return done();
}
