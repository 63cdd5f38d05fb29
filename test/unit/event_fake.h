/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS event's TCP/IP without a machine, for scripted and random frames: the clock, the device and the rings. The
 * device reads a packet when fake_device is called; `fake.sent` are the frames that it has sent, the last FAKE_FRAMES
 * of them, each judged by fake_judge. Time is fake.ms.
 */
#ifndef TEST_UNIT_EVENT_FAKE_H
#define TEST_UNIT_EVENT_FAKE_H

#include <errno.h>
#include <sys/mman.h>

#define EVENT_HEAP	(96 << 10)
#include "test/unit/event_parts.h"

#define FAKE_FRAMES	256
#define FAKE_BYTES	1600
#define FAKE_POSTED	64
#define FAKE_SERVER	0x0f02000a	/* 10.0.2.15 */
#define FAKE_CLIENT	0x0202000a	/* 10.0.2.2 */

unsigned short net_checksum(const void *at, int length);

static struct {
	uint64_t ms, stop_ms;
	struct { struct packet *packet; const char *payload; uint32_t head, bytes; } posted[FAKE_POSTED];
	unsigned posted_count;
	struct fake_frame { uint64_t ms; uint32_t bytes; uint8_t data[FAKE_BYTES]; } sent[FAKE_FRAMES];
	unsigned sent_count, malformed;
	bool deaf;			/* the ring takes nothing */
	uint32_t seed;
} fake = { .ms = 5000, .seed = 1 };

exo_time_t core_now(void)
{
	return fake.ms * 1000000;
}

static uint32_t fake_random(void)
{
	fake.seed = fake.seed * 1664525 + 1013904223;
	return fake.seed >> 8;
}

void core_random(void *buffer, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((uint8_t *)buffer)[i] = (uint8_t)fake_random();
}

bool link_send(struct packet *packet, uint32_t skip, uint32_t bytes)
{
	if (fake.posted_count == FAKE_POSTED || fake.deaf)
		return false;
	packet->busy++;
	fake.posted[fake.posted_count].packet = packet;
	fake.posted[fake.posted_count].payload = packet->payload + skip;
	fake.posted[fake.posted_count].head = packet->head;
	fake.posted[fake.posted_count++].bytes = bytes;
	return true;
}

/* Is a frame of ours right: lengths, sums, and who it is from and to? */
static bool fake_judge(const uint8_t *frame, uint32_t bytes)
{
	const uint8_t *ip = frame + ETH_HEADER, *part = ip + IP_HEADER;
	uint32_t length = bytes - ETH_HEADER - IP_HEADER;

	if (bytes < 42 || bytes > 1514 || frame[6] & 1)
		return false;
	if (get16(frame + 12) == 0x0806)
		return bytes == 42;
	if (get16(frame + 12) != 0x0800 || ip[0] != 0x45 || get16(ip + 2) != bytes - ETH_HEADER ||
	    net_checksum(ip, IP_HEADER) != 0xffff)
		return false;
	switch (ip[9]) {
	case PROTOCOL_TCP:
		return length >= TCP_HEADER && (part[12] >> 4) * 4u >= TCP_HEADER && (part[12] >> 4) * 4u <= length &&
		    ip_sum(raw32(ip + 12), raw32(ip + 16), PROTOCOL_TCP, part, length, "", 0) == 0xffff;
	case PROTOCOL_UDP:
		return length >= UDP_HEADER && get16(part + 4) == length;
	case PROTOCOL_ICMP:
		return length >= 8 && net_checksum(part, (int)length) == 0xffff;
	}
	return false;
}

/* The device sends what is posted. */
static void fake_device(void)
{
	for (unsigned i = 0; i < fake.posted_count; i++) {
		struct fake_frame *frame = &fake.sent[fake.sent_count++ % FAKE_FRAMES];
		struct packet *packet = fake.posted[i].packet;

		frame->ms = fake.ms;
		frame->bytes = fake.posted[i].head + fake.posted[i].bytes;
		if (frame->bytes > FAKE_BYTES)
			abort();
		memcpy(frame->data, packet->header, fake.posted[i].head);
		memcpy(frame->data + fake.posted[i].head, fake.posted[i].payload, fake.posted[i].bytes);
		fake.malformed += !fake_judge(frame->data, frame->bytes);
		if (!--packet->busy && packet->dropped)
			event_free(packet);
	}
	fake.posted_count = 0;
}

void link_flush(bool collect)
{
	(void)collect;
	fake_device();
}

void event_net_flush(void)
{
	fake_device();
}

__attribute__((weak)) void dhcp_turn(void)
{
}

unsigned event_net_poll(void)
{
	return 0;
}

/* The loop has nothing to do until then. */
void event_sleep(exo_time_t until, uint64_t events)
{
	uint64_t ms = until == EXO_NEVER ? UINT64_MAX : (until + 999999) / 1000000;

	(void)events;
	fake.ms = ms > fake.stop_ms ? fake.stop_ms : ms > fake.ms ? ms : fake.ms + 1;
	if (fake.ms >= fake.stop_ms)
		conn_stop(0);
}

/* Let the program's loop run for a time. */
static inline void fake_run(uint64_t ms)
{
	fake.stop_ms = fake.ms + ms;
	conn_run();
}

/* A frame comes, in a block of its size. */
static inline void fake_frame(const uint8_t *frame, uint32_t bytes)
{
	uint8_t *block = malloc(bytes ? bytes : 1);

	memcpy(block, frame, bytes);
	ip_input(block, bytes);
	free(block);
}

static inline uint32_t fake_ip(uint8_t *frame, uint32_t from, uint8_t protocol, uint32_t bytes)
{
	static const uint8_t head[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0 };
	const uint32_t to = FAKE_SERVER;
	uint16_t sum;

	memcpy(frame, head, sizeof(head));
	put16(frame + 16, IP_HEADER + bytes);
	memset(frame + 18, 0, 4);
	frame[22] = 64;
	frame[23] = protocol;
	memset(frame + 24, 0, 2);
	memcpy(frame + 26, &from, 4);
	memcpy(frame + 30, &to, 4);
	sum = (uint16_t)~net_checksum(frame + 14, IP_HEADER);
	memcpy(frame + 24, &sum, 2);
	return ETH_HEADER + IP_HEADER + bytes;
}

/* Right the sum of a TCP frame. */
static inline void fake_tcp_sum(uint8_t *frame, uint32_t bytes)
{
	uint16_t sum;

	memset(frame + 50, 0, 2);
	sum = (uint16_t)~ip_sum(raw32(frame + 26), raw32(frame + 30), PROTOCOL_TCP, frame + 34, bytes - 34, "", 0);
	memcpy(frame + 50, &sum, 2);
}

/* The pages that core's addresses name. */
static inline void fake_pages(void)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	const uint64_t at[] = { EXO_VA_DISP, EXO_VA_ARG, EXO_VA_START, EXO_VA_INFO };

	for (unsigned i = 0; i < 4; i++)
		if (mmap((void *)at[i], EXO_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			 -1, 0) == MAP_FAILED && errno != EEXIST)
			abort();
	memcpy(((struct exo_info *)core_info)->device[0].address, mac, 6);
	net_address = FAKE_SERVER;
	net_mask = 0x00ffffff;
}

#endif
