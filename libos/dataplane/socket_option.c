/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of dataplane's sockets. What concerns TCP is remembered, and set as soon as there is a connection: so it may be set before.
 *
 * Delaying small segments (Nagle) is off until a program asks for it: TCP_NODELAY is 1 at first. Buffers of streams have no size of
 * their own; what is asked for them is taken and told again, and changes nothing.
 */
#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "libos/dataplane/socket.h"

#define TTL_USUAL	TCP_TTL

void sock_options_apply(struct sock *sock, struct tcp_pcb *pcb)
{
	pcb->so_options |= (u8_t)sock->options;
	pcb->ttl = sock->ttl ? sock->ttl : TTL_USUAL;
	pcb->tos = sock->tos;
	if (sock->keep[0])
		pcb->keep_idle = (u32_t)sock->keep[0] * 1000;
	if (sock->keep[1])
		pcb->keep_intvl = (u32_t)sock->keep[1] * 1000;
	if (sock->keep[2])
		pcb->keep_cnt = (u32_t)sock->keep[2];
	if (sock->nagle)
		tcp_nagle_enable(pcb);
	else
		tcp_nagle_disable(pcb);
}

static void apply(struct sock *sock)
{
	struct tcp_pcb *pcb = stream_pcb(sock);

	if (pcb && sock->state != SOCK_LISTENS) {
		pcb->so_options &= (u8_t)~(SOF_KEEPALIVE | SOF_REUSEADDR);
		sock_options_apply(sock, pcb);
	}
	if (sock->udp) {
		sock->udp->so_options = (u8_t)sock->options;
		sock->udp->ttl = sock->ttl ? sock->ttl : UDP_TTL;
		sock->udp->tos = sock->tos;
	}
}

static void flag(struct sock *sock, uint32_t which, int on)
{
	sock->options = on ? sock->options | which : sock->options & ~which;
}

static int set_time(exo_time_t *time, const void *value, socklen_t bytes)
{
	struct timeval wait;

	if (bytes < sizeof(wait))
		return EINVAL;
	memcpy(&wait, value, sizeof(wait));
	if (wait.tv_usec < 0 || wait.tv_usec >= 1000000)
		return EDOM;
	if (wait.tv_sec > UINT32_MAX)
		wait = (struct timeval){ 0, 0 };	/* for ever */
	*time = wait.tv_sec < 0 ? 1 : (uint64_t)wait.tv_sec * CORE_SECOND + (uint64_t)wait.tv_usec * (CORE_SECOND / 1000000);
	return 0;
}

static int set_linger(struct sock *sock, const void *value, socklen_t bytes)
{
	struct linger linger;

	if (bytes < sizeof(linger))
		return EINVAL;
	memcpy(&linger, value, sizeof(linger));
	sock->hard = linger.l_onoff && !linger.l_linger;
	return 0;
}

static int set_socket(struct sock *sock, int option, int value)
{
	switch (option) {
	case SO_REUSEADDR:
		flag(sock, SOF_REUSEADDR, value);
		return 0;
	case SO_KEEPALIVE:
		flag(sock, SOF_KEEPALIVE, value);
		return 0;
	case SO_BROADCAST:
		flag(sock, SOF_BROADCAST, value);
		return 0;
	case SO_RCVBUF:
		if (value <= 0)
			return EINVAL;
		sock->receive_room = (uint32_t)value;
		return 0;
	case SO_SNDBUF:
		return value > 0 ? 0 : EINVAL;
	}
	return ENOPROTOOPT;
}

static int set_tcp(struct sock *sock, int option, int value)
{
	switch (option) {
	case TCP_NODELAY:
		sock->nagle = !value;
		return 0;
	case TCP_KEEPIDLE:
	case TCP_KEEPINTVL:
	case TCP_KEEPCNT:
		if (value <= 0 || value > 32767)
			return EINVAL;
		sock->keep[option - TCP_KEEPIDLE] = value;
		return 0;
	}
	return ENOPROTOOPT;
}

static int set_ip(struct sock *sock, int option, int value)
{
	if (value < 0 || value > 255 || (option == IP_TTL && !value))
		return EINVAL;
	if (option == IP_TTL)
		sock->ttl = (uint8_t)value;
	else if (option == IP_TOS)
		sock->tos = (uint8_t)value;
	else
		return ENOPROTOOPT;
	return 0;
}

static int set(struct sock *sock, int level, int option, const void *value, socklen_t bytes)
{
	int number, wrong = ENOPROTOOPT;

	if (level == SOL_SOCKET && option == SO_RCVTIMEO)
		return set_time(&sock->receive_time, value, bytes);
	if (level == SOL_SOCKET && option == SO_SNDTIMEO)
		return set_time(&sock->send_time, value, bytes);
	if (level == SOL_SOCKET && option == SO_LINGER)
		return set_linger(sock, value, bytes);
	if (bytes < sizeof(number))
		return EINVAL;
	memcpy(&number, value, sizeof(number));
	if (level == SOL_SOCKET)
		wrong = set_socket(sock, option, number);
	else if (level == IPPROTO_TCP && !sock->datagrams)
		wrong = set_tcp(sock, option, number);
	else if (level == IPPROTO_IP)
		wrong = set_ip(sock, option, number);
	if (!wrong)
		apply(sock);
	return wrong;
}

/* Of the kind that is a number; false: there is no such option. */
static bool get_number(struct sock *sock, int level, int option, int *value)
{
	if (level == SOL_SOCKET && (option == SO_REUSEADDR || option == SO_KEEPALIVE || option == SO_BROADCAST))
		*value = !!(sock->options & (option == SO_REUSEADDR ? SOF_REUSEADDR : option == SO_KEEPALIVE ? SOF_KEEPALIVE :
		    SOF_BROADCAST));
	else if (level == SOL_SOCKET && option == SO_TYPE)
		*value = sock->datagrams ? SOCK_DGRAM : SOCK_STREAM;
	else if (level == SOL_SOCKET && option == SO_ACCEPTCONN)
		*value = sock->state == SOCK_LISTENS;
	else if (level == SOL_SOCKET && (option == SO_RCVBUF || option == SO_SNDBUF))
		*value = sock->datagrams || option == SO_RCVBUF ? (int)sock->receive_room : TCP_SND_BUF;
	else if (level == IPPROTO_TCP && !sock->datagrams && option == TCP_NODELAY)
		*value = !sock->nagle;
	else if (level == IPPROTO_TCP && !sock->datagrams && option >= TCP_KEEPIDLE && option <= TCP_KEEPCNT)
		*value = sock->keep[option - TCP_KEEPIDLE] ? sock->keep[option - TCP_KEEPIDLE] : option == TCP_KEEPIDLE ?
		    (int)(TCP_KEEPIDLE_DEFAULT / 1000) : option == TCP_KEEPINTVL ? (int)(TCP_KEEPINTVL_DEFAULT / 1000) : (int)TCP_KEEPCNT_DEFAULT;
	else if (level == IPPROTO_IP && option == IP_TTL)
		*value = sock->ttl ? sock->ttl : TTL_USUAL;
	else if (level == IPPROTO_IP && option == IP_TOS)
		*value = sock->tos;
	else
		return false;
	return true;
}

static int give(void *to, socklen_t *room, const void *value, socklen_t bytes)
{
	memcpy(to, value, *room < bytes ? *room : bytes);
	*room = *room < bytes ? *room : bytes;
	return 0;
}

static int get(struct sock *sock, int level, int option, void *value, socklen_t *bytes)
{
	exo_time_t time = option == SO_RCVTIMEO ? sock->receive_time : sock->send_time;
	struct timeval wait = { (time_t)(time / CORE_SECOND), (suseconds_t)(time % CORE_SECOND / (CORE_SECOND / 1000000)) };
	struct linger linger = { sock->hard, 0 };
	int number;

	if (level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO))
		return give(value, bytes, &wait, sizeof(wait));
	if (level == SOL_SOCKET && option == SO_LINGER)
		return give(value, bytes, &linger, sizeof(linger));
	if (level == SOL_SOCKET && option == SO_ERROR) {
		number = sock->error;
		sock->error = 0;
	} else if (!get_number(sock, level, option, &number)) {
		return ENOPROTOOPT;
	}
	return give(value, bytes, &number, sizeof(number));
}

int setsockopt(int number, int level, int option, const void *value, socklen_t bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	int wrong;

	if (!sock)
		return -1;
	wrong = set(sock, level, option, value, bytes);
	fd_put(fd);
	errno = wrong ? wrong : errno;
	return wrong ? -1 : 0;
}

int getsockopt(int number, int level, int option, void *value, socklen_t *bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	int wrong;

	if (!sock)
		return -1;
	wrong = get(sock, level, option, value, bytes);
	fd_put(fd);
	errno = wrong ? wrong : errno;
	return wrong ? -1 : 0;
}
