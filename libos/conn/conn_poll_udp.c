/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams for conn_poll.c: a socket for each port.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libos/conn/conn_poll.h"

#define PORTS		16
#define DATAGRAM_BYTES	65536
#define TURN_MAX	64		/* datagrams taken in one turn */

static struct bound {
	int fd;
	uint16_t port;
	conn_datagram_t *received;
} bound[PORTS];
static unsigned bounds;

static void take_datagrams(int fd, void *own)
{
	static char buffer[DATAGRAM_BYTES];
	const struct bound *b = own;

	for (int i = 0; i < TURN_MAX; i++) {
		struct sockaddr_in from = { .sin_family = AF_INET };
		socklen_t bytes = sizeof(from);
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *)&from, &bytes);
		struct conn_peer peer;

		if (n < 0)
			return;
		conn_counts.received += (uint64_t)n;
		peer = (struct conn_peer){ from.sin_addr.s_addr, ntohs(from.sin_port) };
		b->received(b->port, &peer, buffer, (size_t)n);
	}
}

int conn_bind(uint16_t port, conn_datagram_t *received)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct bound *b = &bound[bounds];
	int error = 0;

	if (bounds == PORTS)
		return ENOMEM;
	address.sin_addr.s_addr = htonl(INADDR_ANY);
	*b = (struct bound){ socket(AF_INET, SOCK_DGRAM, 0), port, received };
	if (b->fd < 0)
		return errno == EAFNOSUPPORT ? ENETDOWN : errno;
	if (bind(b->fd, (struct sockaddr *)&address, sizeof(address)))
		error = errno;
	else
		error = conn_watch_fd(b->fd, take_datagrams, b);
	if (error)
		close(b->fd);
	else
		bounds++;
	return error;
}

bool conn_datagram(uint16_t port, const struct conn_peer *to, const void *data, size_t bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(to->port) };

	address.sin_addr.s_addr = to->address;
	for (unsigned i = 0; i < bounds; i++) {
		if (bound[i].port != port)
			continue;
		if (sendto(bound[i].fd, data, bytes, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof(address)) !=
		    (ssize_t)bytes)
			return false;
		conn_counts.sent += bytes;
		return true;
	}
	return false;
}
