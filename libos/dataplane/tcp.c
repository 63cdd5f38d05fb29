/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The short way between the rings and lwIP's TCP.
 *
 * lwIP's files about segments are compiled here, as they are, so that what stands around them can be replaced:
 *
 *	in	direct() judges Ethernet, IPv4 and TCP headers of a frame in one go, finds the connection in a table (table.c; lwIP walks
 *		lists), and runs lwIP's state machine on the segment where it lies in the ring's slot.
 *	out	frame_output() puts both headers before a segment from what is known of its destination, in place of lwIP's layers.
 *
 * What is not plain (fragments, IP options, addresses that are not ours, connections that are not known, no listener) goes lwIP's
 * way, and so does one packet a second to each destination, which keeps lwIP's knowledge of hardware addresses fresh.
 */
#include <string.h>
#include "lwip/etharp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "netif/ethernet.h"
#include "libos/dataplane/dataplane.h"
#include "libos/net/flownet.h"
#include "libos/net/net.h"
#include "libos/net/stack.h"
#include "libos/net/sum.h"
#include "libos/net/train.h"

#define HEADERS		34	/* Ethernet and IPv4 */
#define ROUTES		64

/* --- out --- */

struct route {
	u32_t destination;
	u32_t second;		/* in which it was learned */
	u8_t header[14];
};
static struct route routes[ROUTES];
static u16_t identification;

static u32_t second_now(void)
{
	return (u32_t)(loop_time >> 30) + 1;
}

/* What the pseudo header of TCP adds to a sum. */
static u64_t pseudo(u32_t a, u32_t b, u16_t bytes)
{
	return (u64_t)a + b + lwip_htons(IP_PROTO_TCP) + lwip_htons(bytes);
}

static u16_t segment_checksum(struct pbuf *packet, u8_t proto, u16_t bytes, const ip_addr_t *src, const ip_addr_t *dest)
{
	if (packet->next)
		return ip_chksum_pseudo(packet, proto, bytes, src, dest);
	return (u16_t)~sum_fold(sum_bytes(pseudo(ip4_addr_get_u32(src), ip4_addr_get_u32(dest), bytes), packet->payload, packet->len));
}

static u16_t segment_sum_out(struct pbuf *packet, u8_t proto, u16_t bytes, const ip_addr_t *src, const ip_addr_t *dest)
{
	return train_sums(bytes, src, dest) ? 0 : segment_checksum(packet, proto, bytes, src, dest);
}

static __attribute__((noinline)) err_t output_slowly(struct pbuf *packet, const ip4_addr_t *src, const ip4_addr_t *dest,
    u8_t ttl, u8_t tos, u8_t proto, struct netif *netif)
{
	const ip4_addr_t *hop = dest, *address;
	struct route *route = &routes[dest->addr >> 24 & (ROUTES - 1)];
	struct eth_addr *hardware;
	u16_t type = PP_HTONS(ETHTYPE_IP);

	if (netif == &stack_netif && !ip4_addr_net_eq(dest, netif_ip4_addr(netif), netif_ip4_netmask(netif)))
		hop = netif_ip4_gw(netif);
	if (netif == &stack_netif && etharp_find_addr(netif, hop, &hardware, &address) >= 0) {
		route->destination = dest->addr;
		route->second = second_now();
		memcpy(route->header, hardware, 6);
		memcpy(route->header + 6, netif->hwaddr, 6);
		memcpy(route->header + 12, &type, 2);
	}
	return ip4_output_if(packet, src, dest, ttl, tos, proto, netif);
}

static err_t frame_output(struct pbuf *packet, const ip4_addr_t *src, const ip4_addr_t *dest, u8_t ttl, u8_t tos, u8_t proto,
    struct netif *netif)
{
	const struct route *route = &routes[dest->addr >> 24 & (ROUTES - 1)];
	u8_t *header = (u8_t *)packet->payload - HEADERS;
	u32_t word[5];

	if (route->destination != dest->addr || route->second != second_now() || netif != &stack_netif || !src ||
	    header < (u8_t *)packet + sizeof(*packet) || !(packet->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS))
		return output_slowly(packet, src, dest, ttl, tos, proto, netif);
	packet->payload = header;
	packet->len += HEADERS;
	packet->tot_len += HEADERS;
	word[0] = 0x45 | (u32_t)tos << 8 | (u32_t)lwip_htons((u16_t)(packet->tot_len - 14)) << 16;
	word[1] = identification++;
	word[2] = ttl | (u32_t)proto << 8;
	word[3] = src->addr;
	word[4] = dest->addr;
	word[2] |= (u32_t)(u16_t)~sum_fold((u64_t)word[0] + word[1] + word[2] + word[3] + word[4]) << 16;
	memcpy(header, route->header, 14);
	memcpy(header + 14, word, 20);
	return flownet_output(packet);
}

static struct netif *route_to(const ip4_addr_t *to)
{
	return (to->addr & 0xff) == 127 ? ip4_route(to) : &stack_netif;
}

/* lwIP's own, with what is above in place of its layers. */
#define ip4_output_if		frame_output
#define ip_chksum_pseudo	segment_checksum
#define ip4_route		route_to
#include "lwip/../../core/tcp.c"
#define tcp_output		tcp_output_now
#include "lwip/../../core/tcp_in.c"
#undef tcp_output
#undef ip_chksum_pseudo
#define ip_chksum_pseudo	segment_sum_out
#include "lwip/../../core/tcp_out.c"

/* Of a segment with SYN: what we take, and how windows are scaled. */
static void options_put(struct tcp_pcb *pcb, const struct tcp_seg *segment)
{
	u32_t *option = (u32_t *)(void *)(segment->tcphdr + 1);

	if (segment->flags & TF_SEG_OPTS_MSS)
		*option++ = TCP_BUILD_MSS_OPTION(tcp_eff_send_mss_netif(TCP_MSS, &stack_netif, &pcb->remote_ip));
	if (segment->flags & TF_SEG_OPTS_WND_SCALE)
		tcp_build_wnd_scale_option(option);
}

/*
 * What tcp_output does for the usual reply: one segment, nothing else on its way, room in the window. False: it is not that,
 * and nothing is done.
 */
static bool output_plain(struct tcp_pcb *pcb)
{
	struct tcp_seg *segment = pcb->unsent;
	struct tcp_hdr *header;
	u32_t sequence, end;
	u16_t before;

	if (segment->next || (segment->flags & ~(TF_SEG_OPTS_MSS | TF_SEG_OPTS_WND_SCALE)) || pcb->unacked ||
	    pcb->state == SYN_SENT || segment->p->next || segment->p->ref != 1 || (pcb->remote_ip.addr & 0xff) == 127)
		return false;
	header = segment->tcphdr;
	sequence = lwip_ntohl(header->seqno);
	end = sequence + segment->len;
	if (end - pcb->lastack > LWIP_MIN(pcb->snd_wnd, pcb->cwnd))
		return false;
	end += (TCPH_FLAGS(header) & (TCP_FIN | TCP_SYN)) != 0;
	if (end == sequence)
		return false;

	TCPH_SET_FLAG(header, TCP_ACK);
	header->ackno = lwip_htonl(pcb->rcv_nxt);
	header->wnd = lwip_htons(TCPWND_MIN16(RCV_WND_SCALE(pcb, pcb->rcv_ann_wnd)));
	header->chksum = 0;
	if (segment->flags)
		options_put(pcb, segment);
	pcb->rcv_ann_right_edge = pcb->rcv_nxt + pcb->rcv_ann_wnd;
	pcb->persist_backoff = 0;
	if (pcb->rtime < 0)
		pcb->rtime = 0;
	if (!pcb->rttest) {
		pcb->rttest = tcp_ticks;
		pcb->rtseq = sequence;
	}
	before = (u16_t)((u8_t *)header - (u8_t *)segment->p->payload);
	segment->p->len -= before;
	segment->p->tot_len -= before;
	segment->p->payload = header;
	header->chksum = segment_sum_out(segment->p, IP_PROTO_TCP, segment->p->tot_len, &pcb->local_ip, &pcb->remote_ip);
	if (frame_output(segment->p, &pcb->local_ip, &pcb->remote_ip, pcb->ttl, pcb->tos, IP_PROTO_TCP, &stack_netif)) {
		tcp_set_flags(pcb, TF_NAGLEMEMERR);
		return true;
	}
	pcb->unsent = NULL;
	pcb->unsent_oversize = 0;
	pcb->unacked = segment;
	tcp_clear_flags(pcb, TF_ACK_DELAY | TF_ACK_NOW | TF_NAGLEMEMERR);
	if (TCP_SEQ_LT(pcb->snd_nxt, end))
		pcb->snd_nxt = end;
	return true;
}

/*
 * Last acknowledgements that were posted since the loop has last sent: of connections that have ended, whose other side waits for
 * nothing else. They need not leave at once.
 */
static u32_t last_words;

/* As tcp_send_empty_ack; what finds no memory is tried again with the next segment, or by lwIP's timer. */
static void acknowledge(struct tcp_pcb *pcb)
{
	struct pbuf *packet = pbuf_alloc(PBUF_IP, TCP_HLEN, PBUF_RAM);
	struct tcp_hdr *header;
	err_t error;

	if (!packet) {
		tcp_set_flags(pcb, TF_ACK_DELAY | TF_ACK_NOW);
		return;
	}
	header = packet->payload;
	*header = (struct tcp_hdr){
		.src = lwip_htons(pcb->local_port), .dest = lwip_htons(pcb->remote_port),
		.seqno = lwip_htonl(pcb->snd_nxt), .ackno = lwip_htonl(pcb->rcv_nxt),
		._hdrlen_rsvd_flags = PP_HTONS(TCP_HLEN / 4 << 12 | TCP_ACK),
		.wnd = lwip_htons(TCPWND_MIN16(RCV_WND_SCALE(pcb, pcb->rcv_ann_wnd))),
	};
	pcb->rcv_ann_right_edge = pcb->rcv_nxt + pcb->rcv_ann_wnd;
	header->chksum = (u16_t)~sum_fold(sum_bytes(pseudo(pcb->local_ip.addr, pcb->remote_ip.addr, TCP_HLEN), header, TCP_HLEN));
	error = frame_output(packet, &pcb->local_ip, &pcb->remote_ip, pcb->ttl, pcb->tos, IP_PROTO_TCP,
	    route_to(&pcb->remote_ip));
	last_words += pcb->state == TIME_WAIT;
	if (error == ERR_OK)
		tcp_clear_flags(pcb, TF_ACK_DELAY | TF_ACK_NOW);
	else
		tcp_set_flags(pcb, TF_ACK_DELAY | TF_ACK_NOW);
	pbuf_free(packet);
}

err_t tcp_output_now(struct tcp_pcb *pcb)
{
	if (tcp_input_pcb == pcb)
		return ERR_OK;
	if (!pcb->unsent) {
		if (pcb->flags & TF_ACK_NOW)
			acknowledge(pcb);
		else
			tcp_clear_flags(pcb, TF_NAGLEMEMERR);
	} else if (!output_plain(pcb)) {
		return tcp_output(pcb);
	}
	return ERR_OK;
}

/*
 * What tcp_write does when nothing else waits and the bytes make one whole segment: the usual reply. False: nothing is
 * done, and tcp_write knows why.
 */
bool tcp_write_segment(struct tcp_pcb *pcb, const void *data, size_t bytes)
{
	struct tcp_seg *segment;
	struct pbuf *packet;

	if (pcb->unsent || pcb->state != ESTABLISHED || !bytes || bytes > pcb->mss || bytes > pcb->snd_wnd_max / 2 ||
	    bytes > pcb->snd_buf || pcb->snd_queuelen >= TCP_SND_QUEUELEN)
		return false;
	packet = pbuf_alloc(PBUF_TRANSPORT, (u16_t)bytes, PBUF_RAM);
	if (!packet)
		return false;
	MEMCPY(packet->payload, data, bytes);
	segment = tcp_create_segment(pcb, packet, TCP_PSH, pcb->snd_lbb, 0);	/* frees the packet if it fails */
	if (!segment)
		return false;
	pcb->unsent = segment;
	pcb->snd_lbb += (u32_t)bytes;
	pcb->snd_buf -= (tcpwnd_size_t)bytes;
	pcb->snd_queuelen++;
	return true;
}

/* --- in --- */

/* As pbuf_free, short for a packet that is one slot of a ring. */
static inline void packet_done(struct pbuf *packet)
{
	if (packet->ref == 1 && !packet->next && (packet->flags & PBUF_FLAG_IS_CUSTOM))
		((struct pbuf_custom *)packet)->custom_free_function(packet);
	else
		pbuf_free(packet);
}

/* What lwIP's functions about segments look at. False: the header is not right. */
static bool segment_read(struct pbuf *packet, u8_t *segment, u16_t bytes)
{
	u16_t header;

	tcphdr = (struct tcp_hdr *)segment;
	header = TCPH_HDRLEN_BYTES(tcphdr);
	if (header < TCP_HLEN || header > bytes)
		return false;
	tcphdr_optlen = tcphdr_opt1len = (u16_t)(header - TCP_HLEN);
	tcphdr_opt2 = NULL;
	tcphdr->src = lwip_ntohs(tcphdr->src);
	tcphdr->dest = lwip_ntohs(tcphdr->dest);
	seqno = tcphdr->seqno = lwip_ntohl(tcphdr->seqno);
	ackno = tcphdr->ackno = lwip_ntohl(tcphdr->ackno);
	tcphdr->wnd = lwip_ntohs(tcphdr->wnd);
	flags = TCPH_FLAGS(tcphdr);
	packet->payload = segment + header;
	packet->len = packet->tot_len = (u16_t)(bytes - header);
	tcplen = (u16_t)(packet->len + ((flags & (TCP_FIN | TCP_SYN)) != 0));
	return true;
}

static inline bool closed_now(struct tcp_pcb *pcb)
{
	return (recv_flags & TF_CLOSED) && tcp_input_delayed_close(pcb);
}

/* Tell the connection's functions what the state machine has found. False: it is gone. */
static bool segment_tell(struct tcp_pcb *pcb)
{
	u16_t acked = (u16_t)LWIP_MIN(recv_acked, 0xffff);
	err_t error = ERR_OK;

	if (recv_flags & TF_RESET) {
		TCP_EVENT_ERR(pcb->state, pcb->errf, pcb->callback_arg, ERR_RST);
		tcp_pcb_remove(&tcp_active_pcbs, pcb);
		tcp_free(pcb);
		return false;
	}
	recv_acked = 0;
	if (acked)
		TCP_EVENT_SENT(pcb, acked, error);
	if (error == ERR_ABRT || closed_now(pcb))
		return false;
	if (recv_data) {
		TCP_EVENT_RECV(pcb, recv_data, ERR_OK, error);
		if (error == ERR_ABRT)
			return false;
		if (error != ERR_OK)
			pcb->refused_data = recv_data;
	}
	if (recv_flags & TF_GOT_FIN) {
		if (pcb->refused_data) {
			pcb->refused_data->flags |= PBUF_FLAG_TCP_FIN;
			return true;
		}
		if (pcb->rcv_wnd != TCP_WND_MAX(pcb))
			pcb->rcv_wnd++;		/* nobody calls tcp_recved for it */
		TCP_EVENT_CLOSED(pcb, error);
		if (error == ERR_ABRT)
			return false;
	}
	return true;
}

/* What was sent and not acknowledged before is, so many numbers of it (RFC 6298, 5681, 3465). */
static inline void acked_plain(struct tcp_pcb *pcb, u32_t acked)
{
	pcb->nrtx = 0;
	pcb->dupacks = 0;
	pcb->lastack = ackno;
	pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
	if (pcb->cwnd < pcb->ssthresh) {
		TCP_WND_INC(pcb->cwnd, (tcpwnd_size_t)LWIP_MIN(acked, 2u * pcb->mss));
	} else {
		TCP_WND_INC(pcb->bytes_acked, (tcpwnd_size_t)acked);
		if (pcb->bytes_acked >= pcb->cwnd) {
			pcb->bytes_acked -= pcb->cwnd;
			TCP_WND_INC(pcb->cwnd, pcb->mss);
		}
	}
	pcb->unacked = tcp_free_acked_segments(pcb, pcb->unacked, "unacked", pcb->unsent);
	if (pcb->unsent)
		pcb->unsent = tcp_free_acked_segments(pcb, pcb->unsent, "unsent", pcb->unacked);
	if (!pcb->unsent)
		pcb->unsent_oversize = 0;
	pcb->rtime = pcb->unacked ? 0 : -1;
	pcb->polltmr = 0;
	pcb->snd_buf += recv_acked;
	if (pcb->rttest && TCP_SEQ_LT(pcb->rtseq, ackno)) {
		s16_t error = (s16_t)(tcp_ticks - pcb->rttest - (u32_t)(pcb->sa >> 3));

		pcb->sa += error;
		pcb->sv += (s16_t)((error < 0 ? -error : error) - (pcb->sv >> 2));
		pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
		pcb->rttest = 0;
	}
}

/* The client has acknowledged our SYN. False: the program does not want it, and it is gone. */
static bool accept_plain(struct tcp_pcb *pcb)
{
	err_t error;

	pcb->state = ESTABLISHED;
	TCP_EVENT_ACCEPT(pcb->listener, pcb, pcb->callback_arg, ERR_OK, error);
	if (error != ERR_OK && error != ERR_ABRT)
		tcp_abort(pcb);
	return error == ERR_OK;
}

enum processed { NOT_PLAIN, DONE, GONE };

/*
 * What tcp_process does for the usual segment: the next in order, of a connection that has lost nothing lately, with bytes, an
 * end, or a new acknowledgement, also that of our SYN. NOT_PLAIN: it is not that, and nothing is done.
 */
static enum processed process_plain(struct tcp_pcb *pcb)
{
	u32_t acked = ackno - pcb->lastack, window;
	bool opens = pcb->state == SYN_RCVD;

	if ((flags & ~(TCP_PSH | TCP_FIN)) != TCP_ACK || seqno != pcb->rcv_nxt || tcphdr_optlen || tcplen > pcb->rcv_wnd ||
	    pcb->ooseq || (pcb->flags & (TF_INFR | TF_RTO)) || acked > pcb->snd_nxt - pcb->lastack || !(acked | tcplen) ||
	    (pcb->state != ESTABLISHED && pcb->state != FIN_WAIT_1 && pcb->state != FIN_WAIT_2 &&
	    !(opens && acked == 1 && pcb->listener)))
		return NOT_PLAIN;
	if (opens && !accept_plain(pcb))
		return GONE;
	window = (u32_t)SND_WND_SCALE(pcb, tcphdr->wnd);
	if (!(pcb->flags & TF_RXCLOSED))
		pcb->tmr = tcp_ticks;
	pcb->keep_cnt_sent = 0;
	pcb->persist_probe = 0;
	if (TCP_SEQ_LT(pcb->snd_wl1, seqno) || (pcb->snd_wl1 == seqno && TCP_SEQ_LT(pcb->snd_wl2, ackno)) ||
	    (pcb->snd_wl2 == ackno && window > pcb->snd_wnd)) {
		pcb->snd_wnd = window;
		pcb->snd_wnd_max = LWIP_MAX(pcb->snd_wnd_max, window);
		pcb->snd_wl1 = seqno;
		pcb->snd_wl2 = ackno;
	}
	if (acked)
		acked_plain(pcb, acked);
	if (opens)
		pcb->cwnd = LWIP_TCP_CALC_INITIAL_CWND(pcb->mss);
	if (tcplen) {
		pcb->rcv_nxt += tcplen;
		pcb->rcv_wnd -= tcplen;
		tcp_update_rcv_ann_wnd(pcb);
		if (inseg.p->tot_len) {
			recv_data = inseg.p;
			inseg.p = NULL;
		}
		tcp_ack(pcb);
	}
	if (!(flags & TCP_FIN)) {
		if (pcb->state == FIN_WAIT_1 && ackno == pcb->snd_nxt && !pcb->unsent)
			pcb->state = FIN_WAIT_2;
		return DONE;
	}
	recv_flags |= TF_GOT_FIN;
	tcp_ack_now(pcb);
	if (pcb->state == ESTABLISHED) {
		pcb->state = CLOSE_WAIT;
	} else if (pcb->state == FIN_WAIT_1 && (ackno != pcb->snd_nxt || pcb->unsent)) {
		pcb->state = CLOSING;
	} else {
		tcp_pcb_purge(pcb);
		TCP_RMV_ACTIVE(pcb);
		pcb->state = TIME_WAIT;
		TCP_REG(&tcp_tw_pcbs, pcb);
	}
	return DONE;
}

static void segment_handle(struct tcp_pcb *pcb, struct pbuf *packet)
{
	enum processed how;

	inseg.next = NULL;
	inseg.len = packet->len;
	inseg.p = packet;
	inseg.tcphdr = tcphdr;
	recv_data = NULL;
	recv_flags = 0;
	recv_acked = 0;
	if (pcb->refused_data && (tcp_process_refused_data(pcb) == ERR_ABRT || (pcb->refused_data && tcplen > 0))) {
		/* Gone, or it still has not taken what came before: this comes again. Who asks whether there is room is told. */
		if (table_find(ip_data.current_iphdr_src.addr, tcphdr->src, tcphdr->dest) == pcb && pcb->rcv_ann_wnd == 0)
			tcp_send_empty_ack(pcb);
	} else {
		tcp_input_pcb = pcb;
		how = process_plain(pcb);
		if (how == NOT_PLAIN)
			how = tcp_process(pcb) == ERR_ABRT ? GONE : DONE;
		if (how == DONE && segment_tell(pcb)) {
			tcp_input_pcb = NULL;
			if (!closed_now(pcb)) {
				if (pcb->state == TIME_WAIT && pcb->callback_arg)
					conn_settled(pcb);
				if (pcb->unsent || (pcb->flags & TF_ACK_NOW))
					tcp_output_now(pcb);
			}
		}
	}
	tcp_input_pcb = NULL;
	recv_data = NULL;
	if (inseg.p)
		packet_done(inseg.p);
	inseg.p = NULL;
}

static struct tcp_pcb_listen *listener_of(u16_t port)
{
	struct tcp_pcb_listen *listener = tcp_listen_pcbs.listen_pcbs;

	while (listener && listener->local_port != port)
		listener = listener->next;
	return listener && ip4_addr_isany_val(listener->local_ip) ? listener : NULL;
}

struct headers {
	u8_t destination[6], source[6];
	u16_t type;
	u8_t version, tos;
	u16_t bytes, id, fragment;
	u8_t ttl, protocol;
	u16_t checksum;
	u32_t from, to;
	u16_t from_port, to_port;
	u32_t sequence, acknowledged;
	u16_t flags;
} __attribute__((packed));

#define HEADER_WORDS(flags)	(lwip_ntohs(flags) >> 12)
#define ONLY_ACK	PP_HTONS(0x5000 | TCP_ACK)	/* without options */

/*
 * A segment that does nothing but acknowledge, and right behind it one of the same connection that acknowledges as much and
 * has bytes or an end, too: the first is not looked at, as if the network had lost it. So are the last acknowledgement of
 * three before a request, and the one before the other side's end.
 */
static inline bool said_again(const struct headers *head, const struct flownet_slot *slot)
{
	const struct headers *next;
	unsigned bytes, length;

	if (head->flags != ONLY_ACK || head->bytes != PP_HTONS(20 + TCP_HLEN))
		return false;
	next = (const struct headers *)flownet_next(slot, &bytes);
	if (!next || bytes < HEADERS + TCP_HLEN || next->from_port != head->from_port || next->from != head->from ||
	    next->to_port != head->to_port || next->to != head->to || next->sequence != head->sequence ||
	    next->type != head->type || next->version != 0x45 || next->protocol != head->protocol ||
	    (s32_t)(lwip_ntohl(next->acknowledged) - lwip_ntohl(head->acknowledged)) < 0)
		return false;
	length = 20 + 4 * HEADER_WORDS(next->flags);
	return (next->flags & PP_HTONS(TCP_ACK | TCP_SYN | TCP_RST)) == PP_HTONS(TCP_ACK) &&
	    ((next->flags & PP_HTONS(TCP_FIN)) || lwip_ntohs(next->bytes) > length);
}

/* One of our TCP's segments, whole and right? Its length; 0: it is not, or somebody else must judge. */
static u16_t segment_judge(const struct headers *head, unsigned bytes)
{
	u16_t length = lwip_ntohs(head->bytes);
	u64_t sum;

	if (head->type != PP_HTONS(ETHTYPE_IP) || head->version != 0x45 || (head->fragment & PP_HTONS(0x3fff)) ||
	    head->protocol != IP_PROTO_TCP || head->to != netif_ip4_addr(&stack_netif)->addr || !head->to ||
	    memcmp(head->destination, stack_netif.hwaddr, 6) || length < 20 + TCP_HLEN || length + 14u > bytes)
		return 0;
	if (sum_fold(sum_bytes(0, &head->version, 20)) != 0xffff)
		return 0;
	length -= 20;
	sum = pseudo(head->from, head->to, length);
	sum = length == TCP_HLEN ? sum_bytes(sum, &head->from_port, TCP_HLEN) : sum_bytes(sum, &head->from_port, length);
	return sum_fold(sum) == 0xffff ? length : 0;
}

/*
 * A request for a connection, judged as filter_frame does it: an ended one of the same name makes room (RFC 1122, 4.2.2.13).
 * The listener; NULL: not ours.
 */
static __attribute__((noinline)) struct tcp_pcb_listen *syn_judge(const struct headers *head, struct tcp_pcb *ended)
{
	struct tcp_pcb_listen *listener = listener_of(lwip_ntohs(head->to_port));
	u8_t first = (u8_t)head->from;
	ip4_addr_t from = { head->from };

	if (!listener || first == 0 || first == 127 || first >= 224 || head->from == head->to ||
	    (head->source[0] & 1) || ip4_addr_isbroadcast(&from, &stack_netif))
		return NULL;
	if (ended) {
		if (!TCP_SEQ_GT(lwip_ntohl(head->sequence), ended->rcv_nxt))
			return NULL;
		tcp_abandon(ended, 0);
	}
	net_syn_room();
	return listener;
}

/* For flownet: take a frame that is a segment of ours. */
static bool direct(const struct flownet_slot *slot, const uint8_t *frame, unsigned bytes)
{
	const struct headers *head = (const struct headers *)frame;
	struct tcp_pcb_listen *listener = NULL;
	struct tcp_pcb *pcb;
	struct pbuf *packet;
	u16_t length;

	if (bytes < HEADERS + TCP_HLEN)
		return false;
	if (said_again(head, slot)) {
		flownet_drop(slot);
		return true;
	}
	if (!(length = segment_judge(head, bytes)))
		return false;
	pcb = table_find(head->from, lwip_ntohs(head->from_port), lwip_ntohs(head->to_port));
	if (!pcb || (pcb->state == TIME_WAIT && (frame[HEADERS + 13] & TCP_SYN))) {
		if ((frame[HEADERS + 13] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN ||
		    !(listener = syn_judge(head, pcb)))
			return false;
	}
	packet = flownet_packet(slot, (uint16_t)bytes);
	if (!packet)
		return true;
	head = packet->payload;
	ip_data.current_netif = ip_data.current_input_netif = &stack_netif;
	ip_data.current_iphdr_src.addr = head->from;
	ip_data.current_iphdr_dest.addr = head->to;
	if (!segment_read(packet, (u8_t *)packet->payload + HEADERS, length)) {
		pbuf_free(packet);
	} else if (listener || pcb->state == TIME_WAIT) {
		if (listener)
			tcp_listen_input(listener);
		else
			tcp_timewait_input(pcb);
		packet_done(packet);
	} else {
		segment_handle(pcb, packet);
	}
	return true;
}

static void direct_start(void)
{
	if (flownet_direct)
		return;
	table_start();
	core_random(&identification, sizeof(identification));
	flownet_direct = direct;
}

void tcp_direct(struct tcp_pcb *listener)
{
	direct_start();
	table_listen(listener);
}

void tcp_direct_connection(struct tcp_pcb *pcb)
{
	direct_start();
	table_add(EXT_ID, pcb);
}
