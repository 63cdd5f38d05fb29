/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP hands out one segment after the other. Those of a burst that follow each other on one connection (same headers but for
 * numbers, lengths and sums; all of one length but the last) are joined here into one frame on their way out: one header of
 * ours, then the segments' bytes where they lie. The device cuts it again, so the other side gets the same segments, with the
 * numbers that they had; what is paid for each frame (by the kernel, the device, the wire) is paid once.
 *
 * The first segment is held as it is until a second one comes, so one alone costs nothing but a reference. The segments are
 * kept by a reference each until the device has sent the frame, as without this.
 *
 * R1 train_held: NULL, a packet (`train` is NULL), or `train`, which holds it and the others
 * R2 `following` is the sequence number behind what is held
 */
#include <string.h>
#include "lwip/inet_chksum.h"
#include "libos/net/memory.h"
#include "libos/net/sum.h"
#include "libos/net/train.h"

#define ETHERNET	14
#define IP_BYTES	(ETHERNET + 2)
#define IP_FRAGMENT	(ETHERNET + 6)
#define IP_SUM		(ETHERNET + 10)
#define IP_FROM		(ETHERNET + 12)
#define TCP		(ETHERNET + 20)
#define TCP_SEQUENCE	(TCP + 4)
#define TCP_ACK		(TCP + 8)
#define TCP_FLAGS	(TCP + 13)
#define TCP_SUM		(TCP + 16)
#define HEADERS		(TCP + 20)
#define HEADER_PLAIN	0x50	/* 20 bytes, no options */
#define FLAG_ACK	0x10
#define FLAGS_LAST	0x09	/* PSH, FIN: of the last segment only */
#define PACKETS_MAX	46	/* whole segments in EXO_TX_LARGE_MAX */

struct train {
	struct pbuf_custom custom;	/* first */
	uint16_t cut;
	uint16_t pieces, packets;
	uint32_t bytes;
	struct train_piece piece[EXO_TX_PARTS_MAX];
	struct pbuf *packet[PACKETS_MAX];
	uint8_t header[HEADERS];
};

bool train_cuts;
struct pbuf *train_held;
static struct train *train;
static void *held_flow;
static uint32_t following;
static uint16_t cut;
static bool ended;		/* nothing may be joined any more */

static uint32_t number(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void half_put(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void train_freed(struct pbuf *packet)
{
	struct train *gone = (struct train *)packet;

	for (unsigned i = 0; i < gone->packets; i++)
		pbuf_free(gone->packet[i]);
	net_free(gone);
}

/* The frame's bytes behind its headers are added to the pieces. False: there are too many, or they lie elsewhere. */
static bool pieces_add(struct train *to, const struct pbuf *packet)
{
	unsigned pieces = to->pieces;
	struct train_piece last = to->piece[pieces - 1];
	uint32_t skip = HEADERS, offset;

	for (; packet; packet = packet->next, skip = 0) {
		uint32_t bytes = packet->len - skip;

		if (!bytes)
			continue;
		if (!net_memory_has((const uint8_t *)packet->payload + skip, bytes, &offset))
			break;
		if (pieces > 1 && to->piece[pieces - 1].offset + to->piece[pieces - 1].bytes == offset) {
			uint32_t room = EXO_TX_PART_MAX - to->piece[pieces - 1].bytes, more = bytes < room ? bytes : room;

			to->piece[pieces - 1].bytes += more;
			offset += more;
			bytes -= more;
		}
		if (!bytes)
			continue;
		if (pieces == EXO_TX_PARTS_MAX)
			break;
		to->piece[pieces++] = (struct train_piece){ offset, bytes };
	}
	if (packet) {
		to->piece[to->pieces - 1] = last;
		return false;
	}
	to->pieces = (uint16_t)pieces;
	return true;
}

/* Room for more than the one that is held. */
static bool train_make(void)
{
	struct train *new = net_alloc(sizeof(*new));
	uint32_t offset;

	if (!new)
		return false;
	if (!net_memory_has(new->header, HEADERS, &offset)) {
		net_free(new);
		return false;
	}
	memcpy(new->header, train_held->payload, HEADERS);
	new->cut = cut;
	new->bytes = train_held->tot_len;
	new->pieces = new->packets = 1;
	new->piece[0] = (struct train_piece){ offset, HEADERS };
	new->packet[0] = train_held;
	if (!pieces_add(new, train_held)) {
		net_free(new);
		return false;
	}
	new->custom.custom_free_function = train_freed;
	train_held = pbuf_alloced_custom(PBUF_RAW, HEADERS, PBUF_REF, &new->custom, new->header, HEADERS);
	train = new;
	return true;
}

/* TCP in IPv4 without options, whole. */
static bool plain(const struct pbuf *packet, const uint8_t *head)
{
	return packet->len >= HEADERS && head[ETHERNET - 2] == 8 && !head[ETHERNET - 1] && head[ETHERNET] == 0x45 &&
	    !((head[IP_FRAGMENT] & 0x3f) | head[IP_FRAGMENT + 1]) && head[IP_FRAGMENT + 3] == 6;
}

/* A segment that others can follow: with nothing in its headers that all of them could not have. */
static bool begins(const struct pbuf *packet, const uint8_t *head)
{
	return plain(packet, head) && packet->tot_len >= TRAIN_BYTES_LEAST && packet->tot_len <= EXO_FRAME_BYTES_MAX &&
	    head[TCP_FLAGS - 1] == HEADER_PLAIN && head[TCP_FLAGS] == FLAG_ACK;
}

static uint64_t word(const uint8_t *at)
{
	uint64_t bytes;

	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

/* Are the headers the same but for numbers, lengths, flags and sums? (That of TCP up to its window.) */
static bool alike(const uint8_t *a, const uint8_t *b)
{
	uint64_t differ = (word(a) ^ word(b)) | (word(a + 8) ^ word(b + 8));

	differ |= (word(a + IP_FRAGMENT) ^ word(b + IP_FRAGMENT)) & 0xffff0000ffffffff;		/* not the sum */
	differ |= (word(a + IP_FROM + 2) ^ word(b + IP_FROM + 2)) | (word(a + IP_FROM + 4) ^ word(b + IP_FROM + 4));
	differ |= (word(a + TCP_ACK) ^ word(b + TCP_ACK)) & 0xffff00ffffffffff;			/* not the flags */
	return !differ;
}

/* Does it follow what is held, whose header this is? */
static bool follows(const struct pbuf *packet, const uint8_t *head, const uint8_t *first)
{
	return packet->len >= HEADERS && packet->tot_len > HEADERS && packet->tot_len - HEADERS <= cut && !ended &&
	    number(head + TCP_SEQUENCE) == following && (head[TCP_FLAGS] & ~FLAGS_LAST) == FLAG_ACK && alike(head, first);
}

static bool join(struct pbuf *packet)
{
	const uint8_t *head = packet->payload;
	uint32_t bytes = packet->tot_len - HEADERS;

	if (!follows(packet, head, train_held->payload) || (!train && !train_make()) || train->packets == PACKETS_MAX ||
	    train->bytes + bytes > EXO_TX_LARGE_MAX || !pieces_add(train, packet))
		return false;
	train->header[TCP_FLAGS] |= head[TCP_FLAGS];
	train->packet[train->packets++] = packet;
	train->bytes += bytes;
	following += bytes;
	ended = bytes != cut || head[TCP_FLAGS] != FLAG_ACK;
	return true;
}

bool train_take(void *flow, struct pbuf *packet)
{
	const uint8_t *head = packet->payload;

	if (train_held) {
		if (flow != held_flow || !join(packet))
			return false;
	} else {
		if (!begins(packet, head))
			return false;
		held_flow = flow;
		cut = (uint16_t)(packet->tot_len - HEADERS);
		following = number(head + TCP_SEQUENCE) + cut;
		ended = false;
		train_held = packet;
	}
	pbuf_ref(packet);
	return true;
}

/* Of the pseudo header of so many bytes: what the device adds the rest to. */
static void pseudo_sum(uint8_t *header, uint32_t bytes)
{
	uint64_t sum = (uint64_t)__builtin_bswap16((uint16_t)bytes) + __builtin_bswap16(6);
	uint16_t folded = sum_fold(sum_bytes(sum, header + IP_FROM, 8));

	memcpy(header + TCP_SUM, &folded, 2);
}

/* Lengths and sums of the whole. */
static void header_finish(struct train *whole)
{
	uint8_t *header = whole->header;
	uint16_t sum;

	half_put(header + IP_BYTES, whole->bytes - ETHERNET);
	memset(header + IP_SUM, 0, 2);
	sum = (uint16_t)~sum_fold(sum_bytes(0, header + ETHERNET, 20));
	memcpy(header + IP_SUM, &sum, 2);
	pseudo_sum(header, whole->bytes - TCP);
}

struct pbuf *train_leave(void **flow)
{
	struct pbuf *packet = train_held;

	*flow = held_flow;
	if (train)
		header_finish(train);
	train_held = NULL;
	train = NULL;
	return packet;
}

unsigned train_pieces(const struct pbuf *packet, const struct train_piece **pieces, uint16_t *size)
{
	const struct train *whole = (const struct train *)packet;

	if (!(packet->flags & PBUF_FLAG_IS_CUSTOM) || whole->custom.custom_free_function != train_freed)
		return 0;
	*pieces = whole->piece;
	*size = (uint16_t)EXO_TX_CUT(whole->cut);
	return whole->pieces;
}

u16_t net_sum_out(struct pbuf *packet, u8_t proto, u16_t bytes, const ip_addr_t *src, const ip_addr_t *dest)
{
	return train_sums(bytes, src, dest) ? 0 : ip_chksum_pseudo(packet, proto, bytes, src, dest);
}

uint16_t train_sum(const struct pbuf *packet)
{
	uint8_t *head = packet->payload;
	unsigned header;

	if (packet->tot_len < TRAIN_BYTES_LEAST || !train_cuts || !plain(packet, head) || head[TCP_SUM] | head[TCP_SUM + 1])
		return 0;
	header = TCP + (head[TCP_FLAGS - 1] >> 4) * 4u;
	if (header < HEADERS || header > EXO_GUARD_BYTES)
		return 0;
	pseudo_sum(head, packet->tot_len - TCP);
	return (uint16_t)EXO_TX_CUT(EXO_FRAME_BYTES_MAX - header);
}
