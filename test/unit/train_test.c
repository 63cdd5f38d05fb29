/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments joined on their way out: whatever comes, in whatever order, what a device makes of the joined frames is, byte
 * for byte, what would have left without it. The device is a few lines here, by the kernel's rules and virtio's; segments are random
 * ones of three connections, in pieces that lie together or not, some frames not TCP's, memory scarce at times.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/net/memory.h"
#include "libos/net/sum.h"
#include "libos/net/train.h"
#include "test/unit/tap.h"

#define BLOCK		2048
#define BLOCKS		400
#define FRAMES		400
#define HEADERS		54

/* --- memory and packets -------------------------------------------------------------------------------------------- */

static uint8_t arena[BLOCKS * BLOCK];
static bool used[BLOCKS];
static unsigned in_use, scarce;		/* scarce: one in so many finds none */

void *net_alloc(size_t bytes)
{
	unsigned i = 0;

	while (i < BLOCKS && used[i])
		i++;
	if (i == BLOCKS || bytes > BLOCK || (scarce && (unsigned)rand() % scarce == 0))
		return NULL;
	used[i] = true;
	in_use++;
	return arena + i * BLOCK;
}

void net_free(void *block)
{
	unsigned i = (unsigned)((uint8_t *)block - arena) / BLOCK;

	if (!block || !used[i])
		abort();
	used[i] = false;
	in_use--;
}

bool net_memory_has(const void *block, size_t bytes, uint32_t *offset)
{
	size_t at = (size_t)((const uint8_t *)block - arena);

	*offset = (uint32_t)at;
	return at < sizeof(arena) && bytes <= sizeof(arena) - at;
}

void pbuf_ref(struct pbuf *packet)
{
	packet->ref++;
}

u8_t pbuf_free(struct pbuf *packet)
{
	struct pbuf *next;

	for (; packet && --packet->ref == 0; packet = next) {
		next = packet->next;
		if (packet->flags & PBUF_FLAG_IS_CUSTOM)
			((struct pbuf_custom *)packet)->custom_free_function(packet);
		else
			free(packet);
	}
	return 0;
}

struct pbuf *pbuf_alloced_custom(pbuf_layer layer, u16_t length, pbuf_type type, struct pbuf_custom *custom, void *payload,
    u16_t most)
{
	(void)layer, (void)type, (void)most;
	custom->pbuf = (struct pbuf){ .payload = payload, .tot_len = length, .len = length, .flags = PBUF_FLAG_IS_CUSTOM, .ref = 1 };
	return &custom->pbuf;
}

u16_t ip_chksum_pseudo(struct pbuf *packet, u8_t proto, u16_t bytes, const ip_addr_t *src, const ip_addr_t *dest)
{
	(void)packet, (void)proto, (void)bytes, (void)src, (void)dest;
	return 0x5a5a;
}

/* --- frames as they are on the wire ------------------------------------------------------------------------------- */

struct frame {
	uint32_t bytes;
	uint8_t data[1600];
};

static struct frame want[FRAMES], got[FRAMES];
static unsigned wanted, came, joined_frames;
static struct pbuf *sent[FRAMES];	/* lwIP's references */
static const char *wrong;

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	while (bytes--)
		*at++ = (uint8_t)(value >> 8 * bytes);
}

static uint32_t get(const uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | *at++;
	return value;
}

/* The sum behind `at` with what is there already; TCP's has the pseudo header's in it. */
static void sum_put(uint8_t *at, uint32_t bytes, uint8_t *to)
{
	uint16_t sum = (uint16_t)~sum_fold(sum_bytes(0, at, bytes));

	memcpy(to, &sum, 2);
}

static void pseudo_put(uint8_t *frame, uint32_t bytes)
{
	uint8_t words[4] = { 0, 6, (uint8_t)((bytes - 34) >> 8), (uint8_t)(bytes - 34) };
	uint16_t sum = sum_fold(sum_bytes(sum_bytes(0, frame + 26, 8), words, 4));

	memcpy(frame + 50, &sum, 2);
}

static void check(bool holds, const char *what)
{
	if (!holds && !wrong)
		wrong = what;
}

/* Cut a frame as the device does. */
static void device(const uint8_t *frame, uint32_t bytes, uint32_t cut)
{
	uint32_t header = cut ? 34 + (frame[46] >> 4) * 4u : bytes, at = header, one;

	if (cut) {
		check(cut >= EXO_TX_CUT_MIN && cut + header <= EXO_FRAME_BYTES_MAX && bytes > header && bytes <= EXO_TX_LARGE_MAX &&
		    header <= EXO_GUARD_BYTES, "what the kernel takes");
		check(get(frame + 16, 2) == bytes - 14, "the length of all");
		check(sum_fold(sum_bytes(0, frame + 14, 20)) == 0xffff, "the header's sum");
	}
	do {
		struct frame *to = &got[came++];

		one = bytes - at < cut ? bytes - at : cut;
		to->bytes = header + one;
		memcpy(to->data, frame, header);
		memcpy(to->data + header, frame + at, one);
		if (cut) {
			put(to->data + 16, to->bytes - 14, 2);
			put(to->data + 18, get(frame + 18, 2) + (at - header) / cut, 2);
			memset(to->data + 24, 0, 2);
			sum_put(to->data + 14, 20, to->data + 24);
			put(to->data + 38, get(frame + 38, 4) + at - header, 4);
			if (at + one < bytes)
				to->data[47] &= (uint8_t)~9;
			if (bytes - header > cut)
				pseudo_put(to->data, to->bytes);
			sum_put(to->data + 34, to->bytes - 34, to->data + 50);
		}
		at += one;
	} while (at < bytes);
}

static void leaves(struct pbuf *packet)
{
	static uint8_t whole[70000];
	const struct train_piece *pieces;
	uint32_t bytes = 0;
	uint16_t flags;
	unsigned count = train_pieces(packet, &pieces, &flags);

	joined_frames += count > 0;
	check(count <= EXO_TX_PARTS_MAX, "number of pieces");
	for (unsigned i = 0; i < count; i++) {
		check(pieces[i].offset + pieces[i].bytes <= sizeof(arena) && pieces[i].bytes <= 0xffff, "where pieces lie");
		memcpy(whole + bytes, arena + pieces[i].offset, pieces[i].bytes);
		bytes += pieces[i].bytes;
	}
	if (!count)
		flags = train_sum(packet);
	for (; !count && packet; packet = packet->next) {
		memcpy(whole + bytes, packet->payload, packet->len);
		bytes += packet->len;
	}
	device(whole, bytes, flags / EXO_TX_CUT(1));
}

/* As flownet.c does. */
static void held_out(void)
{
	void *flow;
	struct pbuf *packet = train_leave(&flow);

	if (packet) {
		leaves(packet);
		pbuf_free(packet);
	}
}

static void output(void *flow, struct pbuf *packet)
{
	if (train_held && train_take(flow, packet))
		return;
	held_out();
	if (packet->tot_len >= TRAIN_BYTES_LEAST && train_take(flow, packet))
		return;
	leaves(packet);
}

/* --- segments ------------------------------------------------------------------------------------------------------ */

static struct connection {
	uint32_t sequence, ack;
	uint16_t window;
	uint32_t file;		/* where in the arena the next bytes lie, if they lie together */
} connections[3];
static uint16_t identification;

static struct pbuf *piece(uint8_t *data, uint32_t bytes)
{
	struct pbuf *packet = calloc(1, sizeof(*packet));

	*packet = (struct pbuf){ .payload = data, .len = (u16_t)bytes, .tot_len = (u16_t)bytes, .ref = 1 };
	return packet;
}

/* One of the connection, with all sums; then lwIP's, without TCP's if it is long. */
static struct pbuf *segment(unsigned number, uint32_t bytes, uint8_t flags, unsigned shape)
{
	struct connection *from = &connections[number];
	struct frame *frame = &want[wanted];
	uint8_t *head = arena + (BLOCKS / 2 + wanted % (BLOCKS / 2)) * BLOCK, *data = head + HEADERS;
	struct pbuf *packet;

	memset(head, 0, HEADERS);
	put(head, number, 6);
	memcpy(head + 6, "\2\2\2\2\2\2\x08\0\x45", 9);
	put(head + 16, bytes + 40, 2);
	put(head + 18, identification++, 2);
	put(head + 22, 0x4006, 2);
	put(head + 26, 0x0a00020f, 4);
	put(head + 30, 0x0a000200 + number, 4);
	put(head + 34, 80, 2);
	put(head + 36, 1000 + number, 2);
	put(head + 38, from->sequence, 4);
	put(head + 42, from->ack, 4);
	head[46] = 0x50;
	head[47] = flags;
	put(head + 48, from->window, 2);
	sum_put(head + 14, 20, head + 24);
	if (shape) {		/* bytes that lie elsewhere, beside those before */
		data = arena + from->file;
		from->file += bytes;
	}
	for (uint32_t i = 0; i < bytes && !shape; i++)
		data[i] = (uint8_t)rand();
	from->sequence += bytes;
	frame->bytes = HEADERS + bytes;
	memcpy(frame->data, head, HEADERS);
	memcpy(frame->data + HEADERS, data, bytes);
	pseudo_put(frame->data, frame->bytes);
	sum_put(frame->data + 34, frame->bytes - 34, frame->data + 50);
	if (frame->bytes < TRAIN_BYTES_LEAST)
		memcpy(head + 50, frame->data + 50, 2);
	packet = piece(head, HEADERS + (shape ? 0 : bytes));
	if (shape && bytes > 1 && shape == 2) {
		packet->next = piece(data, bytes / 2);
		packet->next->next = piece(data + bytes / 2, bytes - bytes / 2);
	} else if (shape) {
		packet->next = piece(data, bytes);
	}
	packet->tot_len = (u16_t)frame->bytes;
	sent[wanted++] = packet;
	return packet;
}

static void begin(void)
{
	wanted = came = joined_frames = 0;
	identification = (uint16_t)rand();
	for (unsigned i = 0; i < 3; i++)
		connections[i] = (struct connection){ (uint32_t)rand() * 3u, (uint32_t)rand(), 8000, i * 64 * BLOCK };
}

/* What came is what was sent, and nothing is held any more. */
static void end_is(const char *name)
{
	held_out();
	check(came == wanted, "the number of frames");
	for (unsigned i = 0; i < wanted; i++) {
		check(i < came && got[i].bytes == want[i].bytes && !memcmp(got[i].data, want[i].data, want[i].bytes), "a frame's bytes");
		check(sent[i]->ref == 1, "references");
		pbuf_free(sent[i]);
	}
	check(!in_use, "memory that is left");
	ok(!wrong, "%s%s%s", name, wrong ? ": not right: " : "", wrong ? wrong : "");
	wrong = NULL;
}

static void test_reply(unsigned shape, unsigned least, unsigned most, const char *name)
{
	begin();
	for (unsigned i = 0; i < 70; i++)
		output(connections, segment(0, 1460, 0x10, shape));
	output(connections, segment(0, 200, 0x18, shape));
	end_is(name);
	ok(joined_frames >= least && joined_frames <= most, "... in %u large frames", joined_frames);
}

static void test_alone(void)
{
	begin();
	output(connections, segment(0, 1460, 0x10, 0));
	output(connections, segment(1, 1460, 0x10, 0));
	output(connections, segment(1, 100, 0x11, 0));
	output(connections, segment(1, 0, 0x10, 0));
	output(connections, segment(0, 1000, 0x18, 0));
	output(connections, segment(0, 1460, 0x02, 0));
	end_is("segments of several connections");
	is_int(joined_frames, 1, "... two of which belong together");
}

static void test_random(void)
{
	unsigned total = 0;

	for (unsigned round = 0; round < 3000 && !wrong; round++) {
		unsigned count = 1 + (unsigned)rand() % 60;
		unsigned number = 0;

		begin();
		scarce = round % 3 ? 0 : 3;
		for (unsigned i = 0; i < count; i++) {
			static const uint8_t flags[] = { 0x10, 0x18, 0x11, 0x02, 0x14, 0x30, 0x19, 0x50 };
			struct connection *from;

			number = rand() % 8 ? number : (unsigned)rand() % 3;
			from = &connections[number];
			if (rand() % 16 == 0)
				from->sequence += (uint32_t)rand() % 3 - 1;
			from->ack += rand() % 16 == 0;
			from->window = (uint16_t)(from->window + (rand() % 16 == 0));
			output(rand() % 20 ? connections : connections + 1, segment(number, rand() % 6 ? 1460 : (unsigned)rand() % 1461,
			    flags[rand() % 4 ? 0 : rand() % 8], (unsigned)rand() % 3));
			if (rand() % 30 == 0)
				held_out();
		}
		held_out();
		total += joined_frames;
		for (unsigned i = 0; i < wanted; i++) {
			check(i < came && got[i].bytes == want[i].bytes && !memcmp(got[i].data, want[i].data, want[i].bytes), "a frame's bytes");
			check(sent[i]->ref == 1, "references");
			pbuf_free(sent[i]);
		}
		check(came == wanted && !in_use, "number or memory");
	}
	scarce = 0;
	ok(!wrong && total > 3000, "random segments, %u frames of several%s%s", total, wrong ? ": not right: " : "", wrong ? wrong : "");
}

static void test_sums(void)
{
	ip_addr_t one = IPADDR4_INIT(0x0f02000a), other = IPADDR4_INIT(0x0202000a), loop = IPADDR4_INIT(0x0100007f);

	is_int(net_sum_out(NULL, 6, 1480, &one, &other), 0, "a long segment's sum is left to the device");
	is_int(net_sum_out(NULL, 6, 900, &one, &other), 0x5a5a, "a short one's is not");
	is_int(net_sum_out(NULL, 6, 1480, &one, &one), 0x5a5a, "nor what comes back to this program");
	is_int(net_sum_out(NULL, 6, 1480, &loop, &loop), 0x5a5a, "nor by the loop");
	train_cuts = false;
	is_int(net_sum_out(NULL, 6, 1480, &one, &other), 0x5a5a, "nor with a device that does not sum");
}

int main(void)
{
	srand(getenv("EXO_TEST_SEED") ? (unsigned)atoi(getenv("EXO_TEST_SEED")) : 1);
	for (size_t i = 0; i < sizeof(arena) / 2; i++)
		arena[i] = (uint8_t)rand();
	memset(used, 1, sizeof(used) / 2);		/* files; the upper half has packets, so what is made lies in a few between */
	memset(used + BLOCKS / 2 - 8, 0, 8);
	memset(used + BLOCKS / 2, 1, sizeof(used) / 2);
	train_cuts = true;
	test_reply(0, 4, 4, "a reply of pieces that lie apart");
	test_reply(1, 2, 2, "a reply that lies together");
	test_reply(2, 2, 2, "a reply that lies together, in halves");
	test_alone();
	test_random();
	test_sums();
	return done();
}
