/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets beyond this machine, over lwIP's callbacks (RFC 9293, 768, 792): nothing here waits but for an address or a
 * name. One stack is shared by all processes of a keeper; it runs in the keeper's thread poller (libos/net/net.c).
 *
 * A socket's end is its `outer`. What arrives is copied into the socket's queue at once, and TCP's window
 * opens again as it is read from there; if the user has no room, lwIP keeps it and asks again. When both
 * directions have ended, or the socket is closed, lwIP's connection goes on alone: it may free it at any time
 * from then on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lwip/dns.h"
#include "lwip/netif.h"
#include "lwip/raw.h"
#include "lwip/tcp.h"
#include "lwip/udp.h"
#include "libos/core/thread.h"
#include "libos/keep/keep.h"
#include "libos/keep/outer.h"
#include "libos/net/claim.h"
#include "libos/net/flownet.h"
#include "libos/net/net.h"

#define ADDRESS_WAIT	(10 * CORE_SECOND)
#define NAME_WAIT	(20 * CORE_SECOND)
#define WRITE_LEAST	512
#define QUEUE_SPARE	8
#define IFF_UP		0x1
#define IFF_BROADCAST	0x2
#define IFF_LOOPBACK	0x8
#define IFF_RUNNING	0x40

struct end {
	struct tcp_pcb *tcp;		/* NULL: ended, or none */
	struct udp_pcb *udp;
	struct raw_pcb *raw;
	bool opening, listening, fin, shut;
};

static unsigned connections;
static char flat[65536];		/* a packet in one piece */


static struct end *end_of(struct socket *socket)
{
	return *inet_outer_end(socket);
}

/* What has been queued leaves; lwIP may want to be called earlier than before. */
static void flush(void)
{
	flownet_flush();
	keep_again();
}

static int errno_of(err_t error)
{
	switch (error) {
	case ERR_OK: return 0;
	case ERR_MEM: return ENOBUFS;
	case ERR_USE: return EADDRINUSE;
	case ERR_RTE: return ENETUNREACH;
	case ERR_RST: return ECONNRESET;
	case ERR_ABRT: return ETIMEDOUT;
	case ERR_CLSD: return 0;
	case ERR_VAL: return EINVAL;
	default: return EIO;
	}
}

static ip_addr_t ip_of(uint32_t address)
{
	ip_addr_t ip;

	ip_addr_set_ip4_u32_val(ip, address);
	return ip;
}

static const char *in_one_piece(const struct pbuf *packet)
{
	if (packet->len == packet->tot_len)
		return packet->payload;
	pbuf_copy_partial(packet, flat, packet->tot_len, 0);
	return flat;
}

static struct end *end_make(struct socket *socket)
{
	struct end *end = calloc(1, sizeof(*end));

	*inet_outer_end(socket) = end;
	return end;
}

static void end_free(struct socket *socket)
{
	free(end_of(socket));
	*inet_outer_end(socket) = NULL;
}

/* --- TCP: what lwIP calls ------------------------------------------------------------------------------------ */

/* lwIP goes on alone. */
static void detach(struct end *end)
{
	struct tcp_pcb *pcb = end->tcp;

	end->tcp = NULL;
	connections--;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *packet, err_t error)
{
	struct socket *socket = arg;
	struct end *end = end_of(socket);

	(void)pcb, (void)error;
	if (!packet) {
		end->fin = true;
		if (end->shut)
			detach(end);
		inet_ended(socket, 0);
		return ERR_OK;
	}
	if (packet->tot_len && !inet_arrived(socket, in_one_piece(packet), packet->tot_len))
		return ERR_MEM;
	pbuf_free(packet);
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t bytes)
{
	(void)pcb, (void)bytes;
	inet_room(arg);
	return ERR_OK;
}

static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
	(void)pcb;
	inet_room(arg);
	return ERR_OK;
}

/* lwIP has freed it. */
static void on_error(void *arg, err_t error)
{
	struct socket *socket = arg;
	struct end *end = end_of(socket);

	end->tcp = NULL;
	connections--;
	if (end->opening) {
		end_free(socket);
		inet_opened(socket, error == ERR_RST ? ECONNREFUSED : ETIMEDOUT);
	} else {
		inet_ended(socket, errno_of(error));
	}
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	(void)pcb, (void)error;
	end_of(arg)->opening = false;
	inet_opened(arg, 0);
	return ERR_OK;
}

static void options_set(struct end *end, const struct outer_options *options)
{
	struct tcp_pcb *pcb = end->tcp;

	if (!pcb || end->listening)
		return;
	if (options->no_delay)
		tcp_nagle_disable(pcb);
	else
		tcp_nagle_enable(pcb);
	if (options->keep_alive)
		ip_set_option(pcb, SOF_KEEPALIVE);
	else
		ip_reset_option(pcb, SOF_KEEPALIVE);
	pcb->ttl = (u8_t)options->ttl;
	pcb->tos = (u8_t)options->tos;
	if (options->keep_idle)
		pcb->keep_idle = (u32_t)options->keep_idle * 1000;
	if (options->keep_interval)
		pcb->keep_intvl = (u32_t)options->keep_interval * 1000;
	if (options->keep_count)
		pcb->keep_cnt = (u32_t)options->keep_count;
}

/* A connection is a socket's from now on. The more there are, the less each may have on its way. */
static void attach(struct socket *socket, struct end *end, struct tcp_pcb *pcb)
{
	struct outer_options options = inet_options(socket);

	end->tcp = pcb;
	connections++;
	tcp_arg(pcb, socket);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_poll(pcb, on_poll, 2);
	options_set(end, &options);
	pcb->snd_buf = (tcpwnd_size_t)(pcb->snd_buf - (TCP_SND_BUF - net_send_credit(connections, pcb->mss)));
	if (pcb->mss < NET_MSS_LEAST) {
		pcb->mss = NET_MSS_LEAST;
		pcb->cwnd = 4 * NET_MSS_LEAST;
	}
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct outer_end from, at;
	struct socket *socket;

	if (error != ERR_OK || !pcb)
		return ERR_OK;
	from = (struct outer_end){ ip4_addr_get_u32(ip_2_ip4(&pcb->remote_ip)), lwip_htons(pcb->remote_port) };
	at = (struct outer_end){ ip4_addr_get_u32(ip_2_ip4(&pcb->local_ip)), lwip_htons(pcb->local_port) };
	socket = arg ? inet_accepted(arg, from, at) : NULL;
	if (!socket || !end_make(socket)) {
		if (socket)
			inet_ended(socket, ECONNABORTED);
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	attach(socket, end_of(socket), pcb);
	return ERR_OK;
}

/* --- TCP: what inet.c calls ----------------------------------------------------------------------------------- */

static uint32_t outer_address(void)
{
	return net_address();
}

static bool outer_ready(void)
{
	return net_address() || net_wait(core_now() + ADDRESS_WAIT);
}

static struct tcp_pcb *tcp_bound(struct outer_end at, err_t *error)
{
	struct tcp_pcb *pcb = tcp_new();
	ip_addr_t ip = ip_of(at.address);

	*error = ERR_MEM;
	if (!pcb)
		return NULL;
	ip_set_option(pcb, SOF_REUSEADDR);	/* inet.c has decided who may have the port */
	*error = tcp_bind(pcb, &ip, lwip_ntohs(at.port));
	if (*error == ERR_OK)
		return pcb;
	tcp_abort(pcb);
	return NULL;
}

static int outer_connect(struct socket *socket, struct outer_end from, struct outer_end to)
{
	struct end *end = end_make(socket);
	ip_addr_t ip = ip_of(to.address);
	struct tcp_pcb *pcb;
	err_t error;

	if (!end)
		return -ENOBUFS;
	pcb = tcp_bound(from, &error);
	if (pcb) {
		attach(socket, end, pcb);
		end->opening = true;
		error = tcp_connect(pcb, &ip, lwip_ntohs(to.port), on_connected);
		if (error != ERR_OK) {
			detach(end);
			tcp_abort(pcb);
		}
	}
	if (error != ERR_OK)
		end_free(socket);
	flush();
	return error == ERR_USE ? -EADDRNOTAVAIL : -errno_of(error);
}

static int outer_listen(struct socket *socket, struct outer_end at, uint32_t backlog)
{
	struct end *end = end_make(socket);
	struct tcp_pcb *pcb, *listener;
	err_t error;

	(void)backlog;
	if (!end)
		return -ENOBUFS;
	pcb = tcp_bound(at, &error);
	listener = pcb ? tcp_listen_with_backlog_and_err(pcb, TCP_DEFAULT_LISTEN_BACKLOG, &error) : NULL;
	if (!listener) {
		if (pcb)
			tcp_abort(pcb);
		end_free(socket);
		return -errno_of(error);
	}
	end->tcp = listener;
	end->listening = true;
	tcp_arg(listener, socket);
	tcp_accept(listener, on_accept);
	return 0;
}

static uint32_t outer_room(struct socket *socket)
{
	const struct tcp_pcb *pcb = end_of(socket)->tcp;

	if (!pcb)
		return TCP_SND_BUF;	/* writing tells what has happened */
	return tcp_sndqueuelen(pcb) + QUEUE_SPARE < TCP_SND_QUEUELEN ? tcp_sndbuf(pcb) : 0;
}

static int64_t outer_send(struct socket *socket, const char *data, uint32_t bytes)
{
	struct tcp_pcb *pcb = end_of(socket)->tcp;
	uint32_t room = outer_room(socket);
	err_t error;

	if (!pcb)
		return -EPIPE;
	if (bytes > room)
		bytes = room;
	if (!bytes)
		return 0;
	while ((error = tcp_write(pcb, data, (u16_t)bytes, TCP_WRITE_FLAG_COPY)) == ERR_MEM && bytes > WRITE_LEAST)
		bytes /= 2;
	if (error != ERR_OK)
		return error == ERR_MEM ? 0 : error == ERR_CONN ? -EPIPE : -errno_of(error);
	tcp_output(pcb);
	flush();
	return bytes;
}

static void outer_taken(struct socket *socket, uint32_t bytes)
{
	struct tcp_pcb *pcb = end_of(socket)->tcp;

	for (; pcb && bytes; bytes -= bytes < 0x8000 ? bytes : 0x8000)
		tcp_recved(pcb, (u16_t)(bytes < 0x8000 ? bytes : 0x8000));
	flush();
}

static void outer_shut(struct socket *socket, bool writing)
{
	struct end *end = end_of(socket);
	struct tcp_pcb *pcb = end->tcp;

	if (!writing || !pcb || end->shut)
		return;
	end->shut = true;
	if (end->fin)
		detach(end);
	if (tcp_shutdown(pcb, 0, 1) == ERR_OK)
		tcp_output(pcb);
	flush();
}

static void outer_option(struct socket *socket)
{
	struct outer_options options = inet_options(socket);
	struct end *end = end_of(socket);

	if (end->udp) {
		end->udp->ttl = (u8_t)options.ttl;
		end->udp->tos = (u8_t)options.tos;
	} else if (end->raw) {
		end->raw->ttl = (u8_t)options.ttl;
		end->raw->tos = (u8_t)options.tos;
	} else {
		options_set(end, &options);
	}
}

static void tcp_part(struct end *end, bool reset)
{
	struct tcp_pcb *pcb = end->tcp;

	if (end->listening) {
		tcp_arg(pcb, NULL);
		tcp_close(pcb);
		return;
	}
	detach(end);
	if (reset || tcp_close(pcb) != ERR_OK)
		tcp_abort(pcb);
	flush();
}

static void outer_close(struct socket *socket, bool reset)
{
	struct end *end = end_of(socket);

	if (end->tcp)
		tcp_part(end, reset);
	if (end->udp)
		udp_remove(end->udp);
	if (end->raw)
		raw_remove(end->raw);
	end_free(socket);
}

/* --- UDP and raw ---------------------------------------------------------------------------------------------- */

static void on_udp(void *arg, struct udp_pcb *pcb, struct pbuf *packet, const ip_addr_t *ip, u16_t port)
{
	struct outer_end from = { ip4_addr_get_u32(ip_2_ip4(ip)), lwip_htons(port) };

	(void)pcb;
	inet_datagram(arg, in_one_piece(packet), packet->tot_len, from);
	pbuf_free(packet);
}

/* A copy; lwIP itself gets it, too. */
static u8_t on_raw(void *arg, struct raw_pcb *pcb, struct pbuf *packet, const ip_addr_t *ip)
{
	struct outer_end from = { ip4_addr_get_u32(ip_2_ip4(ip)), 0 };

	(void)pcb;
	inet_datagram(arg, in_one_piece(packet), packet->tot_len, from);
	return 0;
}

static int outer_datagrams(struct socket *socket, int protocol, struct outer_end at)
{
	struct end *end = end_make(socket);
	ip_addr_t ip = ip_of(at.address);
	err_t error = ERR_MEM;

	if (!end)
		return -ENOBUFS;
	if (protocol == IP_PROTO_UDP && (end->udp = udp_new()) != NULL) {
		ip_set_option(end->udp, SOF_REUSEADDR | SOF_BROADCAST);
		error = udp_bind(end->udp, &ip, lwip_ntohs(at.port));
		udp_recv(end->udp, on_udp, socket);
	} else if (protocol != IP_PROTO_UDP && (end->raw = raw_new((u8_t)protocol)) != NULL) {
		error = raw_bind(end->raw, &ip);
		raw_recv(end->raw, on_raw, socket);
	}
	if (error == ERR_OK)
		outer_option(socket);
	else
		outer_close(socket, false);
	return -errno_of(error);
}

static int64_t outer_send_to(struct socket *socket, const char *data, uint32_t bytes, struct outer_end to)
{
	struct end *end = end_of(socket);
	struct pbuf *packet = pbuf_alloc(end->udp ? PBUF_TRANSPORT : PBUF_IP, (u16_t)bytes, PBUF_RAM);
	ip_addr_t ip = ip_of(to.address);
	err_t error;

	if (!packet)
		return -ENOBUFS;
	memcpy(packet->payload, data, bytes);
	error = end->udp ? udp_sendto(end->udp, packet, &ip, lwip_ntohs(to.port)) : raw_sendto(end->raw, packet, &ip);
	pbuf_free(packet);
	flush();
	return error == ERR_OK ? (int64_t)bytes : -errno_of(error);
}

static const struct outer over_lwip = {
	.address = outer_address, .ready = outer_ready, .connect = outer_connect, .listen = outer_listen,
	.send = outer_send, .room = outer_room, .taken = outer_taken, .shut = outer_shut, .option = outer_option,
	.datagrams = outer_datagrams, .send_to = outer_send_to, .close = outer_close,
};

/* --- names and interfaces ------------------------------------------------------------------------------------- */

struct question {
	struct thread_queue asker;
	uint32_t address;
	bool done, abandoned;
};

static void on_name(const char *name, const ip_addr_t *ip, void *arg)
{
	struct question *question = arg;

	(void)name;
	question->done = true;
	question->address = ip ? ip4_addr_get_u32(ip_2_ip4(ip)) : 0;
	thread_wake_all(&question->asker);
	if (question->abandoned)
		free(question);
}

/* Ask a name server; waits for it. 0: there is no such name. */
static int64_t ask_server(const char *name, uint32_t *address)
{
	struct question *question = calloc(1, sizeof(*question));
	exo_time_t deadline = core_now() + NAME_WAIT;
	ip_addr_t ip;
	err_t error;

	if (!question)
		return -ENOMEM;
	error = dns_gethostbyname(name, &ip, on_name, question);
	flush();
	if (error == ERR_OK)
		*address = ip4_addr_get_u32(ip_2_ip4(&ip));
	if (error != ERR_INPROGRESS) {
		free(question);
		return error == ERR_OK ? 0 : -ENOENT;
	}
	while (!question->done && thread_wait(&question->asker, deadline))
		;
	if (!question->done) {
		question->abandoned = true;
		return -EAGAIN;
	}
	*address = question->address;
	free(question);
	return *address ? 0 : -ENOENT;
}

static int64_t request_resolve(struct keep_request *request)
{
	char name[DNS_MAX_NAME_LENGTH];
	uint32_t address = 0;
	int64_t error;

	if (!keep_string(request, 0, name, sizeof(name)))
		return -ENAMETOOLONG;
	if (!inet_outer || !outer_ready())
		return -ENETUNREACH;
	error = ask_server(name, &address);
	request->more[0] = address;
	return error;
}

static int64_t request_interfaces(struct keep_request *request)
{
	struct wire_interface one = {
		.name = "lo", .index = 1, .flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING,
		.address = PP_HTONL(0x7f000001), .mask = PP_HTONL(0xff000000), .mtu = 65536,
	};
	int64_t count = 0;
	struct netif *netif;

	memcpy(request->data, &one, sizeof(one));
	count++;
	for (netif = netif_list; netif && inet_outer; netif = netif->next) {
		if (netif->hwaddr_len != 6)
			continue;
		memset(&one, 0, sizeof(one));
		memcpy(one.name, "eth0", 4);
		one.name[3] = (char)('0' + count - 1);
		one.index = (uint32_t)count + 1;
		one.flags = IFF_BROADCAST | (netif_is_up(netif) ? IFF_UP : 0) |
			(netif_is_link_up(netif) ? IFF_RUNNING : 0);
		one.address = ip4_addr_get_u32(netif_ip4_addr(netif));
		one.mask = ip4_addr_get_u32(netif_ip4_netmask(netif));
		one.broadcast = one.address | ~one.mask;
		one.mtu = netif->mtu;
		memcpy(one.mac, netif->hwaddr, 6);
		memcpy(request->data + count * (int64_t)sizeof(one), &one, sizeof(one));
		count++;
	}
	return count;
}

/* Has this program been given anything of the network? */
static bool given(void)
{
	uint8_t protocol;
	uint16_t port;
	uint32_t count;

	for (uint32_t i = 0; i < core_begin->slots && i < EXO_START_SLOTS_MAX; i++) {
		const char *name = core_begin->slot[i].name;

		if (!strcmp(name, CLAIM_NAME_ALL) || claim_name_parse(name, &protocol, &port, &count))
			return true;
	}
	return false;
}

void keep_net_start(void)
{
	keep_serve(REQUEST_RESOLVE, request_resolve);
	keep_serve(REQUEST_INTERFACES, request_interfaces);
	if (given() && !net_start())
		inet_outer = &over_lwip;
}
