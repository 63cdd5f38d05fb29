/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of conn_poll.c: a socket that does not block asks, and poll() tells when it is there or will not be.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libos/conn/conn_poll.h"

/* Of what connect() says, what `closed` is told: it asked, and this is the answer. */
static bool answered(int error)
{
	return error == ECONNREFUSED || error == ETIMEDOUT || error == EHOSTUNREACH || error == ECONNRESET;
}

int conn_connect(const struct conn_peer *to, const struct conn_calls *calls, struct conn **made)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(to->port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), error = 0;
	struct conn *conn;

	if (fd < 0)
		return errno == EAFNOSUPPORT ? ENETDOWN : errno;
	address.sin_addr.s_addr = to->address;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) || (connect(fd, (struct sockaddr *)&address, sizeof(address)) && errno != EINPROGRESS))
		error = errno;
	if (error && !answered(error)) {
		close(fd);
		return error;
	}
	conn = conn_adopt(fd, &address, calls);
	if (!conn)
		return ENOMEM;
	conn->opening = true;
	if (error)
		conn_die(conn, error);
	else
		conn_watch(conn);
	*made = conn;
	return 0;
}

void conn_there(struct conn *conn)
{
	socklen_t bytes = sizeof(int);
	int error = 0;

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &bytes))
		error = errno;
	if (error)
		return conn_die(conn, error == ECONNRESET ? ECONNREFUSED : error);	/* lwIP's word for it */
	conn->opening = false;
	if (conn->calls->opened && !conn->calls->opened(conn)) {
		conn->calls = NULL;
		return conn_die(conn, 0);
	}
	conn_list(conn);
}
