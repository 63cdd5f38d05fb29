/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BSD sockets (POSIX.1-2017) by their plain names: lwIP's sockets behind descriptors of the libOS.
 *
 * A descriptor's object is the number of lwIP's socket. The first socket() starts the network; calls that need an
 * address of one's own wait for it (DHCP) up to ADDRESS_WAIT. Readiness is read from lwIP's own counters, and
 * net_wakeup tells whoever waits for it. The variant supplies descriptors: libos/uni/fd.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "lwip/api.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "lwip/priv/sockets_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "libos/core/thread.h"
#include "libos/net/memory.h"
#include "libos/net/names.h"
#include "libos/net/net.h"
#include "libos/uni/fd.h"

#define STRAIGHT_BYTES	4096	/* more takes lwIP's own way */
#define HOLD_MS		200
#define LOANS		28	/* pages of files that one send() has on its way */
#define LEND_BYTES	2048	/* less than this is copied */
#define ACK_WAIT	CORE_SECOND
#define ACK_TRIES	30	/* so often without any progress: the connection is cut */
#define ADDRESS_WAIT	(10 * CORE_SECOND)

static const struct fd_ops socket_ops;
static unsigned sockets;	/* open now */
uint64_t net_sent_by_reference, net_file_bytes_copied;

static int number_of(const struct fd *fd)
{
	return (int)(intptr_t)fd->object;
}

static struct lwip_sock *sock_of(const struct fd *fd)
{
	return lwip_socket_dbg_get_socket(number_of(fd));
}

/* A descriptor that is a socket, held; *s is lwIP's number. Its mode is lwIP's from here on. */
static struct fd *enter(int number, int *s)
{
	struct fd *fd = fd_get(number);

	if (!fd)
		return NULL;
	if (fd->ops != &socket_ops) {
		fd_put(fd);
		errno = ENOTSOCK;
		return NULL;
	}
	*s = number_of(fd);
	netconn_set_nonblocking(sock_of(fd)->conn, !!(fd->flags & O_NONBLOCK));
	return fd;
}

/* Wait for an address of our own before speaking to another machine. */
static bool addressed(const struct sockaddr *to)
{
	const struct sockaddr_in *address = (const struct sockaddr_in *)to;

	if (to && to->sa_family == AF_INET && (ntohl(address->sin_addr.s_addr) >> 24) == 127)
		return true;
	if (net_address() || net_wait(core_now() + ADDRESS_WAIT))
		return true;
	errno = ENETDOWN;
	return false;
}

/* --- pages of files ------------------------------------------------------------------------------------------------ */

/*
 * What is mapped from a file goes out by reference, from the file system's cache, if that lies in the frames that can be
 * sent from; each page is held until its last byte is acknowledged. So send() returns when all has arrived.
 */
struct lent {
	struct fd_loan loan;
	u32_t end;		/* the sequence number behind it */
};

static struct thread_queue ack_waiters;

static void woken(void)
{
	fd_wake();
	thread_wake_all(&ack_waiters);
}

static bool acknowledged(const struct netconn *conn, u32_t end)
{
	return !conn->pcb.tcp || (s32_t)(conn->pcb.tcp->lastack - end) >= 0;
}

/* Give back what has arrived, and wait until at most `most` are left. A peer that takes nothing loses the connection. */
static void settle(struct netconn *conn, struct lent *lent, unsigned *count, unsigned most)
{
	u32_t seen = conn->pcb.tcp ? conn->pcb.tcp->lastack : 0;
	unsigned tries = 0, gone;

	net_holds = false;
	for (;;) {
		for (gone = 0; gone < *count && acknowledged(conn, lent[gone].end); gone++)
			uni_give_back(&lent[gone].loan);
		*count -= gone;
		memmove(lent, lent + gone, *count * sizeof(*lent));
		if (*count <= most)
			return;
		thread_wait(&ack_waiters, core_now() + ACK_WAIT);
		tries = !conn->pcb.tcp || conn->pcb.tcp->lastack != seen ? 0 : tries + 1;
		seen = conn->pcb.tcp ? conn->pcb.tcp->lastack : 0;
		if (tries == ACK_TRIES)
			tcp_abort(conn->pcb.tcp);
	}
}

/* Pages from `data` on; how many bytes. What is no page, and what fails, is the caller's. */
static size_t send_lent(struct netconn *conn, const uint8_t *data, size_t bytes)
{
	struct tcp_pcb *pcb = conn->pcb.tcp;
	uint32_t offset, more = 0;
	struct lent lent[LOANS];
	unsigned count = 0;
	size_t done = 0, now;

	while (done < bytes && conn->pcb.tcp && uni_lend(data + done, bytes - done, &lent[count].loan)) {
		const struct fd_loan *loan = &lent[count].loan;
		bool reference = net_memory_has(loan->memory, loan->bytes, &offset);
		u8_t flags = (reference ? NETCONN_NOCOPY : NETCONN_COPY) | (done + loan->bytes < bytes ? NETCONN_MORE : 0);
		err_t error;

		/* What is lent takes no memory of the stack's: so much more may be on its way, until it is settled. */
		if (reference && !more) {
			more = TCP_SND_BUF - net_send_credit(sockets, pcb->mss);
			pcb->snd_buf += more;
		}
		if (!reference && more) {	/* a copy does: what was lent first, as it was */
			settle(conn, lent, &count, 0);
			if (conn->pcb.tcp != pcb) {
				uni_give_back(loan);
				break;
			}
			pcb->snd_buf -= more;
			more = 0;
		}
		net_holds = done + loan->bytes < bytes;
		error = netconn_write_partly(conn, loan->memory, loan->bytes, flags, &now);

		if (!conn->pcb.tcp)
			now = 0;
		if (error == ERR_OK && now && reference) {
			net_sent_by_reference += now;
			lent[count++].end = conn->pcb.tcp->snd_lbb;
		} else {
			net_file_bytes_copied += error == ERR_OK ? now : 0;
			uni_give_back(loan);
		}
		if (error != ERR_OK || !now)
			break;
		done += now;
		if (count == LOANS)
			settle(conn, lent, &count, LOANS / 2);
	}
	settle(conn, lent, &count, 0);
	if (pcb && conn->pcb.tcp == pcb)
		pcb->snd_buf -= more;
	return done;
}

/* --- small writes -------------------------------------------------------------------------------------------------- */

static bool holding;

/* Nothing came behind what was sent with MSG_MORE. */
static void release(void *unused)
{
	(void)unused;
	holding = false;
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (pcb->unsent)
			tcp_output(pcb);
	}
}

/*
 * A little data that finds room goes straight into its connection, as lwip_send would put it there in the end. With
 * MSG_MORE it stays there until more is sent, the connection is closed (its FIN then goes along) or HOLD_MS have passed.
 */
static bool write_straight(struct netconn *conn, const void *data, size_t bytes, int flags)
{
	bool more = flags & MSG_MORE;
	struct tcp_pcb *pcb;

	if (bytes == 0 || bytes > STRAIGHT_BYTES || NETCONNTYPE_GROUP(netconn_type(conn)) != NETCONN_TCP ||
	    conn->state != NETCONN_NONE || conn->pending_err != ERR_OK || !conn->pcb.tcp)
		return false;
	pcb = conn->pcb.tcp;
	if (tcp_sndbuf(pcb) < bytes + TCP_SNDLOWAT || tcp_sndqueuelen(pcb) >= TCP_SNDQUEUELOWAT ||
	    tcp_write(pcb, data, (u16_t)bytes, TCP_WRITE_FLAG_COPY | (more ? TCP_WRITE_FLAG_MORE : 0)) != ERR_OK)
		return false;
	if (!more) {
		tcp_output(pcb);
		net_unlock();
	} else if (!holding) {
		holding = true;
		sys_timeout(HOLD_MS, release, NULL);
	}
	return true;
}

/* As lwip_send. */
static ssize_t send_bytes(struct fd *fd, int s, const void *data, size_t bytes, int flags)
{
	struct netconn *conn = sock_of(fd)->conn;
	size_t done = 0;
	ssize_t rest;

	if (uni_lend && bytes >= LEND_BYTES && !(fd->flags & O_NONBLOCK) && !(flags & (MSG_DONTWAIT | MSG_MORE)) &&
	    NETCONNTYPE_GROUP(netconn_type(conn)) == NETCONN_TCP)
		done = send_lent(conn, data, bytes);
	if (done == bytes || (!done && write_straight(conn, data, bytes, flags)))
		return (ssize_t)bytes;
	rest = lwip_send(s, (const uint8_t *)data + done, bytes - done, flags);
	return rest < 0 ? (done ? (ssize_t)done : -1) : (ssize_t)done + rest;
}

/* --- as descriptors ----------------------------------------------------------------------------------------------- */

static ssize_t socket_read(struct fd *fd, void *buffer, size_t bytes)
{
	return lwip_recv(number_of(fd), buffer, bytes, fd->flags & O_NONBLOCK ? MSG_DONTWAIT : 0);
}

static ssize_t socket_write(struct fd *fd, const void *buffer, size_t bytes)
{
	return send_bytes(fd, number_of(fd), buffer, bytes, fd->flags & O_NONBLOCK ? MSG_DONTWAIT : 0);
}

static ssize_t socket_writev(struct fd *fd, const struct iovec *pieces, int count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)pieces, .msg_iovlen = count };

	return lwip_sendmsg(number_of(fd), &message, fd->flags & O_NONBLOCK ? MSG_DONTWAIT : 0);
}

static int socket_stat(struct fd *fd, struct stat *st)
{
	(void)fd;
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFSOCK | 0666;
	st->st_blksize = 1460;
	return 0;
}

static int socket_close(struct fd *fd)
{
	sockets--;
	return lwip_close(number_of(fd));
}

static short socket_poll(struct fd *fd, short events)
{
	struct lwip_sock *sock = sock_of(fd);
	short ready = 0;

	if (!sock || !sock->conn)
		return POLLNVAL;
	if (sock->lastdata.pbuf || sock->rcvevent > 0)
		ready |= POLLIN;
	if (sock->sendevent)
		ready |= POLLOUT;
	if (sock->errevent)
		ready |= POLLERR;
	return ready & (events | POLLERR | POLLHUP);
}

static int socket_option(struct fd *fd, int request, void *value)
{
	struct lwip_sock *sock = sock_of(fd);

	if (request != FIONREAD || !sock || !sock->conn) {
		errno = EINVAL;
		return -1;
	}
	*(int *)value = sock->conn->recv_avail < 0 ? 0 : sock->conn->recv_avail;
	if (sock->lastdata.pbuf)
		*(int *)value += NETCONNTYPE_GROUP(netconn_type(sock->conn)) == NETCONN_TCP ?
		    sock->lastdata.pbuf->tot_len : netbuf_len(sock->lastdata.netbuf);
	return 0;
}

static const struct fd_ops socket_ops = {
	.read = socket_read, .write = socket_write, .writev = socket_writev, .stat = socket_stat, .close = socket_close,
	.poll = socket_poll, .option = socket_option,
};

static int descriptor(int s, int flags)
{
	int number = fd_open(&socket_ops, (void *)(intptr_t)s, O_RDWR | flags);

	if (number < 0) {
		int error = errno;

		lwip_close(s);
		errno = error;
		return -1;
	}
	sockets++;
	return number;
}

/* The more connections there are, the less each may have on its way. */
static void credit(int s)
{
	struct tcp_pcb *pcb = lwip_socket_dbg_get_socket(s)->conn->pcb.tcp;

	if (!pcb)
		return;
	pcb->snd_buf -= TCP_SND_BUF - net_send_credit(sockets, pcb->mss);
	if (pcb->mss < NET_MSS_LEAST) {
		pcb->mss = NET_MSS_LEAST;
		pcb->cwnd = 4 * NET_MSS_LEAST;
	}
}

/* --- making and naming -------------------------------------------------------------------------------------------- */

int socket(int family, int type, int protocol)
{
	static bool told;
	const char *wrong = net_start();
	int s;

	if (wrong) {
		if (!told)
			core_print("%s: no network: %s\n", core_name(), wrong);
		told = true;
		errno = ENETDOWN;
		return -1;
	}
	net_wakeup = woken;
	if (family != AF_INET) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	s = lwip_socket(family, type, protocol);
	return s < 0 ? -1 : descriptor(s, 0);
}

int bind(int number, const struct sockaddr *address, socklen_t bytes)
{
	int s, result;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	result = lwip_bind(s, address, bytes);
	fd_put(fd);
	return result;
}

/*
 * Waits for the address, too: then what a server says afterwards is true. Without one it listens all the
 * same.
 */
int listen(int number, int backlog)
{
	int s, result;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	result = lwip_listen(s, backlog > SOMAXCONN ? SOMAXCONN : backlog);
	if (!result && !net_address() && !(fd->flags & O_NONBLOCK))
		net_wait(core_now() + ADDRESS_WAIT);
	fd_put(fd);
	return result;
}

int accept(int number, struct sockaddr *address, socklen_t *bytes)
{
	int s, result;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	result = lwip_accept(s, address, bytes);
	fd_put(fd);
	if (result < 0)
		return (int)fd_result(-1);
	credit(result);
	return descriptor(result, 0);
}

int connect(int number, const struct sockaddr *address, socklen_t bytes)
{
	int s, result = -1;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	if (addressed(address))
		result = lwip_connect(s, address, bytes);
	if (result < 0 && errno == ECONNRESET)
		errno = ECONNREFUSED;
	fd_put(fd);
	return (int)fd_result(result);
}

int shutdown(int number, int how)
{
	int s, result;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	result = lwip_shutdown(s, how);
	fd_put(fd);
	return result;
}

int getsockname(int number, struct sockaddr *address, socklen_t *bytes)
{
	int s, result;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	result = lwip_getsockname(s, address, bytes);
	fd_put(fd);
	return result;
}

int getpeername(int number, struct sockaddr *address, socklen_t *bytes)
{
	int s, result;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	result = lwip_getpeername(s, address, bytes);
	fd_put(fd);
	return result;
}

int getsockopt(int number, int level, int option, void *value, socklen_t *bytes)
{
	int s, result;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	result = lwip_getsockopt(s, level, option, value, bytes);
	fd_put(fd);
	return result;
}

int setsockopt(int number, int level, int option, const void *value, socklen_t bytes)
{
	int s, result;
	struct fd *fd = enter(number, &s);

	if (!fd)
		return -1;
	result = lwip_setsockopt(s, level, option, value, bytes);
	fd_put(fd);
	return result;
}

/* --- data --------------------------------------------------------------------------------------------------------- */

ssize_t recvfrom(int number, void *buffer, size_t bytes, int flags, struct sockaddr *from, socklen_t *from_bytes)
{
	int s;
	struct fd *fd = enter(number, &s);
	ssize_t result;

	if (!fd)
		return -1;
	result = lwip_recvfrom(s, buffer, bytes, flags, from, from_bytes);
	fd_put(fd);
	return fd_result(result);
}

ssize_t recv(int number, void *buffer, size_t bytes, int flags)
{
	return recvfrom(number, buffer, bytes, flags, NULL, NULL);
}

ssize_t recvmsg(int number, struct msghdr *message, int flags)
{
	int s;
	struct fd *fd = enter(number, &s);
	ssize_t result;

	if (!fd)
		return -1;
	result = lwip_recvmsg(s, message, flags);
	fd_put(fd);
	return fd_result(result);
}

ssize_t sendto(int number, const void *buffer, size_t bytes, int flags, const struct sockaddr *to, socklen_t to_bytes)
{
	int s;
	struct fd *fd = enter(number, &s);
	ssize_t result = -1;

	if (!fd)
		return -1;
	if (!to)
		result = send_bytes(fd, s, buffer, bytes, flags);
	else if (addressed(to))
		result = lwip_sendto(s, buffer, bytes, flags, to, to_bytes);
	fd_put(fd);
	return fd_result(result);
}

ssize_t send(int number, const void *buffer, size_t bytes, int flags)
{
	return sendto(number, buffer, bytes, flags, NULL, 0);
}

ssize_t sendmsg(int number, const struct msghdr *message, int flags)
{
	int s;
	struct fd *fd = enter(number, &s);
	ssize_t result = -1;

	if (!fd)
		return -1;
	if (!message->msg_name || addressed(message->msg_name))
		result = lwip_sendmsg(s, message, flags & ~MSG_NOSIGNAL);	/* lwIP knows of no signal, and not of this */
	fd_put(fd);
	return fd_result(result);
}

/* --- for names.c --- */

const char *names_start(void)
{
	return net_start();
}

bool names_addressed(void)
{
	return addressed(NULL);
}
