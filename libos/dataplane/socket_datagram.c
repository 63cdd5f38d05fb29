/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams for dataplane's sockets, over lwIP's raw UDP.
 *
 * What comes waits as the packet that it is until it is received: in the ring's slot, or in a copy once half of those are held. So many
 * bytes wait for one socket as it has room for (SO_RCVBUF), and as few as DATAGRAMS_MOST packets; what comes then is lost, as UDP has it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/dataplane/socket.h"
#include "libos/net/flownet.h"
#include "libos/net/net.h"

#define DATAGRAMS_MOST	128
#define DATAGRAM_MAX	65507

struct datagram {
	struct datagram *next;
	struct pbuf *packet;
	struct conn_peer from;
};

static unsigned count(const struct sock *sock)
{
	unsigned n = 0;

	for (const struct datagram *one = sock->oldest; one; one = one->next)
		n++;
	return n;
}

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *packet, const ip_addr_t *address, u16_t port)
{
	struct sock *sock = arg;
	struct datagram *one;

	(void)pcb;
	conn_counts.received += packet->tot_len;
	one = sock->receive_shut || (sock->oldest && sock->waiting_bytes + packet->tot_len > sock->receive_room) ||
	    count(sock) >= DATAGRAMS_MOST ? NULL : malloc(sizeof(*one));
	if (!one) {
		pbuf_free(packet);
		return;
	}
	*one = (struct datagram){ .packet = packet, .from = { ip4_addr_get_u32(ip_2_ip4(address)), port } };
	if (sock->newest)
		sock->newest->next = one;
	else
		sock->oldest = one;
	sock->newest = one;
	sock->waiting_bytes += packet->tot_len;
	sock_wake();
}

static void drop_oldest(struct sock *sock)
{
	struct datagram *one = sock->oldest;

	sock->oldest = one->next;
	if (!sock->oldest)
		sock->newest = NULL;
	sock->waiting_bytes -= one->packet->tot_len;
	pbuf_free(one->packet);
	free(one);
}

int datagram_make(struct sock *sock)
{
	sock->udp = udp_new();
	if (!sock->udp)
		return ENOBUFS;
	loop_datagrams++;
	udp_recv(sock->udp, on_datagram, sock);
	return 0;
}

int datagram_bind(struct sock *sock, const struct conn_peer *to)
{
	ip_addr_t address;
	err_t error;

	if (sock->udp->local_port) {
		errno = EINVAL;
		return -1;
	}
	if (to->port && !flownet_owns(IP_PROTO_UDP, to->port)) {
		errno = EACCES;
		return -1;
	}
	ip_addr_set_ip4_u32(&address, to->address);
	error = udp_bind(sock->udp, &address, to->port);
	errno = error == ERR_OK ? errno : conn_errno(error);
	return error == ERR_OK ? 0 : -1;
}

int datagram_connect(struct sock *sock, const struct conn_peer *to)
{
	ip_addr_t address;
	err_t error;

	if (!to->port) {
		udp_disconnect(sock->udp);
		sock->state = SOCK_NEW;
		return 0;
	}
	ip_addr_set_ip4_u32(&address, to->address);
	error = udp_connect(sock->udp, &address, to->port);
	if (error != ERR_OK) {
		errno = error == ERR_USE ? EADDRNOTAVAIL : conn_errno(error);
		return -1;
	}
	sock->peer = *to;
	sock->state = SOCK_CONNECTED;
	return 0;
}

ssize_t datagram_receive(struct fd *fd, const struct message *message, int flags, struct conn_peer *from, size_t *whole)
{
	struct sock *sock = fd->object;
	exo_time_t deadline = sock_deadline(sock->receive_time);
	const struct datagram *one;
	size_t bytes, at = 0;

	while (!sock->oldest) {
		*from = sock->peer;
		*whole = 0;
		if (sock->receive_shut)
			return 0;
		if (!sock_await(fd, flags, deadline))
			return -1;
	}
	one = sock->oldest;
	*from = one->from;
	*whole = one->packet->tot_len;
	bytes = *whole < message->bytes ? *whole : message->bytes;
	for (const struct pbuf *part = one->packet; part && at < bytes; part = part->next) {
		sock_scatter(message, at, part->payload, part->len < bytes - at ? part->len : bytes - at);
		at += part->len;
	}
	conn_counts.copied_in += bytes;
	if (!(flags & MSG_PEEK))
		drop_oldest(sock);
	return (ssize_t)bytes;
}

/* Why it cannot be sent; 0: it may be tried. */
static int unsendable(const struct sock *sock, const struct message *message, const struct conn_peer *to)
{
	if (sock->send_shut)
		return EPIPE;
	if (!to && sock->state != SOCK_CONNECTED)
		return EDESTADDRREQ;
	if (to && !to->port)
		return EINVAL;
	return message->bytes > DATAGRAM_MAX ? EMSGSIZE : 0;
}

ssize_t datagram_send(struct fd *fd, const struct message *message, int flags, const struct conn_peer *to)
{
	struct sock *sock = fd->object;
	int wrong = unsendable(sock, message, to);
	struct pbuf *packet;
	ip_addr_t address;
	err_t error;

	(void)flags;
	if (wrong) {
		errno = wrong;
		return -1;
	}
	if (!to)
		to = &sock->peer;
	if (!sock_addressed(to))
		return -1;
	packet = pbuf_alloc(PBUF_TRANSPORT, (u16_t)message->bytes, PBUF_RAM);
	if (!packet) {
		errno = ENOBUFS;
		return -1;
	}
	sock_gather(message, 0, packet->payload, message->bytes);
	ip_addr_set_ip4_u32(&address, to->address);
	error = udp_sendto(sock->udp, packet, &address, to->port);
	pbuf_free(packet);
	if (error != ERR_OK) {
		errno = error == ERR_MEM || error == ERR_BUF ? ENOBUFS : error == ERR_USE ? EAGAIN : conn_errno(error);
		return -1;
	}
	conn_counts.sent += message->bytes;
	conn_counts.copied_out += message->bytes;
	return (ssize_t)message->bytes;
}

short datagram_poll(struct sock *sock)
{
	return (short)(POLLOUT | (sock->oldest || sock->receive_shut ? POLLIN : 0));
}

void datagram_close(struct sock *sock)
{
	while (sock->oldest)
		drop_oldest(sock);
	loop_datagrams--;
	udp_remove(sock->udp);
	free(sock);
}
