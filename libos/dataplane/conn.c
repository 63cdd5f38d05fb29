/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections by events on lwIP's raw interface: nothing between TCP and the program.
 *
 * What has come is shown in the ring's slot where the kernel put it, and the slot goes back to the ring when the program has
 * seen it. Only what it leaves unused is copied, into one buffer of the connection's, behind what was left before, so
 * neither slots nor packets are held for those who are slow. What is sent is copied once, into the transmit frames, or
 * not at all if it lies there (CONN_KEPT); it leaves at the end of the loop's turn, with all that others send.
 *
 * lwIP must not be told to end a connection inside of one of its calls for it: conn_abort sets CONN_ABORT there, and
 * whoever called the program does it on the way out. A connection that is closed by the program sends its FIN and
 * goes on reading, for nobody, until the other side ends it, too, DISCARD_MAX bytes or a second have passed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lwip/priv/tcp_priv.h"
#include "libos/dataplane/dataplane.h"
#include "libos/net/flownet.h"
#include "libos/net/memory.h"
#include "libos/net/net.h"

#define SPARE_MAX	64
#define HELD_MAX	TCP_WND		/* of one that is paused: it cannot be sent more */
#define DISCARD_MAX	65536
#define QUEUE_MOST	(TCP_SND_QUEUELEN - 2 * (TCP_SND_BUF / TCP_MSS + 1))	/* packets; what conn_room allows fits beside them */
#define WRITE_MAX	32768		/* bytes given to lwIP at once, which counts them in 16 bits */
#define DISCARD_TIMES	2		/* half seconds */
#define STUCK_TIMES	120		/* of half a second without an acknowledgement: a closing connection is given up */
#define DUMB		(CONN_OPENING | CONN_FINISHED | CONN_CLOSING | CONN_ABORT)	/* takes nothing to send */

unsigned conn_open;
static struct conn *spare;
static unsigned spare_count;

/* --- beginning and end --- */

static struct conn *conn_make(struct tcp_pcb *pcb, const struct conn_calls *calls)
{
	struct conn *conn = spare;

	if (conn) {
		spare = conn->next_dirty;
		spare_count--;
	} else {
		conn = malloc(sizeof(*conn));
		if (!conn)
			return NULL;
	}
	memset(conn, 0, sizeof(*conn));
	conn->pcb = pcb;
	conn->calls = calls;
	conn->flags = CONN_ANSWERED;
	conn_open++;
	conn_counts.opened++;
	return conn;
}

static void conn_free(struct conn *conn)
{
	loop_forget(conn);
	net_free(conn->held);
	conn_open--;
	if (spare_count == SPARE_MAX) {
		free(conn);
		return;
	}
	conn->next_dirty = spare;
	spare = conn;
	spare_count++;
}

/* Nothing of the connection is lwIP's any more. */
static void conn_gone(struct conn *conn, int error)
{
	conn_counts.closed++;
	conn_counts.failed += error != 0;
	conn->flags |= CONN_INSIDE;
	conn->pcb = NULL;
	if (conn->calls->closed)
		conn->calls->closed(conn, error);
	conn_free(conn);
}

int conn_errno(err_t error)
{
	switch (error) {
	case ERR_OK:
	case ERR_CLSD:
		return 0;
	case ERR_USE:
		return EADDRINUSE;
	case ERR_RTE:
		return EHOSTUNREACH;
	case ERR_VAL:
	case ERR_ARG:
		return EINVAL;
	case ERR_RST:
		return ECONNRESET;
	case ERR_MEM:
		return ENOMEM;
	case ERR_ABRT:
		return ECONNABORTED;
	default:
		return EIO;
	}
}

/* TCP needs it no more. The program may: what has come is shown all the same. */
static void over(struct conn *conn)
{
	if ((conn->flags & (CONN_FINISHED | CONN_CLOSING | CONN_ABORT)) != CONN_FINISHED ||
	    (!conn->held_bytes && (conn->flags & CONN_TOLD))) {
		conn_gone(conn, 0);
		return;
	}
	conn->pcb = NULL;
	conn->flags |= CONN_OVER;
}

/* lwIP has freed it, or is about to. */
static void on_error(void *arg, err_t error)
{
	struct conn *conn = arg;

	if (!conn)
		return;
	if (conn->flags & CONN_LOCAL)
		conn_gone(conn, (int)conn->error);
	else if (error == ERR_ABRT && !(conn->flags & CONN_ABORT))
		conn_gone(conn, ETIMEDOUT);	/* lwIP gave it up */
	else if (error == ERR_RST && (conn->flags & CONN_OPENING))
		conn_gone(conn, ECONNREFUSED);
	else if (error == ERR_CLSD)
		over(conn);
	else
		conn_gone(conn, conn_errno(error));
}

/* Not inside one of lwIP's calls, or on the way out of it. */
static void abort_now(struct conn *conn, int error)
{
	conn->flags |= CONN_LOCAL | CONN_ABORT;
	conn->error = (uint32_t)error;
	if (conn->pcb)
		tcp_abort(conn->pcb);
	else
		conn_gone(conn, error);
}

/* The connection ends in order, and lwIP needs it no more but for TIME-WAIT. */
static void settle(struct conn *conn)
{
	struct tcp_pcb *pcb = conn->pcb;

	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	if (pcb->state != TIME_WAIT)
		tcp_poll(pcb, NULL, 0);
	over(conn);
}

/* --- calling the program --- */

static inline void enter(struct conn *conn)
{
	conn->flags |= CONN_INSIDE;
}

/* On the way out. ERR_ABRT: the program has aborted it, and it is gone. */
static err_t leave(struct conn *conn)
{
	conn->flags &= ~(uint32_t)CONN_INSIDE;
	if (!(conn->flags & CONN_ABORT))
		return ERR_OK;
	abort_now(conn, conn->flags & CONN_LOCAL ? (int)conn->error : ECONNABORTED);
	return ERR_ABRT;
}

/* Show bytes; returns how many were used. */
static size_t show(struct conn *conn, const char *data, size_t bytes)
{
	size_t used = conn->calls->received(conn, data, bytes);

	return used > bytes ? bytes : used;
}

/* Make room for so many bytes behind those that are held. False: there is no memory. */
static bool held_grow(struct conn *conn, uint32_t more)
{
	uint32_t need = conn->held_bytes + more, size = conn->held_size ? conn->held_size : 256;
	char *larger;

	if (need <= conn->held_size)
		return true;
	while (size < need)
		size *= 2;
	larger = net_alloc(size);
	if (!larger)
		return false;
	memcpy(larger, conn->held, conn->held_bytes);
	conn_counts.copied_in += conn->held_bytes;
	net_free(conn->held);
	conn->held = larger;
	conn->held_size = size;
	return true;
}

static void held_use(struct conn *conn, uint32_t used)
{
	conn->held_bytes -= used;
	if (conn->held_bytes) {
		memmove(conn->held, conn->held + used, conn->held_bytes);
		return;
	}
	net_free(conn->held);
	conn->held = NULL;
	conn->held_size = 0;
}

/* Show what is held, if it may be shown. */
static void show_held(struct conn *conn)
{
	size_t used;

	conn->flags &= ~(uint32_t)CONN_AGAIN;
	if (!conn->held_bytes || (conn->flags & (CONN_PAUSED | CONN_CLOSING | CONN_ABORT)))
		return;
	used = show(conn, conn->held, conn->held_bytes);
	if (conn->flags & CONN_CLOSING)
		used = conn->held_bytes;
	held_use(conn, (uint32_t)used);
	if (conn->pcb)
		tcp_recved(conn->pcb, (u16_t)used);
}

/* Aborted on the way out. */
static void give_up(struct conn *conn, int error)
{
	conn->flags |= CONN_ABORT | CONN_LOCAL;
	conn->error = (uint32_t)error;
}

static void too_much(struct conn *conn)
{
	uint32_t most = conn->flags & CONN_PAUSED ? HELD_MAX : CONN_HELD_MAX;

	if (conn->held_bytes > most && !(conn->flags & CONN_CLOSING))
		give_up(conn, ENOBUFS);
}

static err_t discard(struct conn *conn, struct pbuf *packet)
{
	u16_t bytes = packet->tot_len;

	conn->discarded += bytes;
	pbuf_free(packet);
	if (conn->discarded > DISCARD_MAX) {
		abort_now(conn, 0);
		return ERR_ABRT;
	}
	tcp_recved(conn->pcb, bytes);
	return ERR_OK;
}

/* It lies in one piece and nothing was left before: it is shown as it lies. */
static err_t receive_shown(struct conn *conn, struct pbuf *packet)
{
	size_t used, left;

	enter(conn);
	used = show(conn, packet->payload, packet->len);
	left = packet->len - used;
	if (left && !(conn->flags & (CONN_CLOSING | CONN_ABORT))) {
		if (!held_grow(conn, (uint32_t)left)) {
			give_up(conn, ENOMEM);
		} else {
			memcpy(conn->held, (char *)packet->payload + used, left);
			conn->held_bytes = (uint32_t)left;
			conn_counts.copied_in += left;
			too_much(conn);
			left = 0;
			used = packet->len - conn->held_bytes;
		}
	} else {
		used += left;
	}
	packet_done(packet);
	if (used)
		tcp_recved(conn->pcb, (u16_t)used);
	return leave(conn);
}

/* Behind what was left, or of several pieces. */
static err_t receive_held(struct conn *conn, struct pbuf *packet)
{
	if (!held_grow(conn, packet->tot_len))
		return ERR_MEM;		/* lwIP keeps it, and tries again */
	pbuf_copy_partial(packet, conn->held + conn->held_bytes, packet->tot_len, 0);
	conn->held_bytes += packet->tot_len;
	conn_counts.copied_in += packet->tot_len;
	pbuf_free(packet);
	enter(conn);
	show_held(conn);
	too_much(conn);
	return leave(conn);
}

/* The other side has ended: told behind all that came before, so not while the program pauses. */
static void tell_ended(struct conn *conn)
{
	if (!(conn->flags & CONN_ENDED) || (conn->flags & (CONN_TOLD | CONN_PAUSED | CONN_AGAIN | CONN_CLOSING | CONN_ABORT)))
		return;
	conn->flags |= CONN_TOLD;
	if (conn->calls->ended)
		conn->calls->ended(conn);
	else
		conn_close(conn);
}

static err_t ended(struct conn *conn)
{
	struct tcp_pcb *pcb = conn->pcb;

	conn->flags |= CONN_ENDED;
	if (conn->flags & CONN_CLOSING) {
		if (pcb->state == TIME_WAIT)
			settle(conn);
		return ERR_OK;
	}
	enter(conn);
	tell_ended(conn);
	if (leave(conn) == ERR_ABRT)
		return ERR_ABRT;
	if (pcb->state == TIME_WAIT)
		settle(conn);
	return ERR_OK;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *packet, err_t error)
{
	struct conn *conn = arg;

	(void)pcb, (void)error;
	if (!packet)
		return ended(conn);
	conn->flags &= ~(uint32_t)CONN_ANSWERED;
	conn_counts.received += packet->tot_len;
	if (conn->flags & CONN_CLOSING)
		return discard(conn, packet);
	if (!packet->next && !conn->held_bytes && !(conn->flags & CONN_PAUSED))
		return receive_shown(conn, packet);
	return receive_held(conn, packet);
}

static err_t offer_room(struct conn *conn)
{
	if (!(conn->flags & CONN_WANTS_ROOM) || (conn->flags & (CONN_CLOSING | CONN_FINISHED)) || !conn->calls->room || conn_room(conn) < TCP_MSS)
		return ERR_OK;
	conn->flags &= ~(uint32_t)CONN_WANTS_ROOM;
	enter(conn);
	conn->calls->room(conn);
	return leave(conn);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t bytes)
{
	(void)pcb, (void)bytes;
	return offer_room(arg);
}

/* Each half second: has a closing connection come to its end, or to none; does one wait for memory? */
static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
	struct conn *conn = arg;

	if (!conn)
		return ERR_OK;
	if (!(conn->flags & CONN_CLOSING))
		return offer_room(conn);
	if (pcb->state == TIME_WAIT) {
		settle(conn);
		return ERR_OK;
	}
	if (conn->last_ack != pcb->lastack) {
		conn->last_ack = pcb->lastack;
		conn->quiet = 0;
		return ERR_OK;
	}
	if (++conn->quiet < (pcb->state == FIN_WAIT_2 ? DISCARD_TIMES : STUCK_TIMES))
		return ERR_OK;
	abort_now(conn, pcb->state == FIN_WAIT_2 ? 0 : ETIMEDOUT);
	return ERR_ABRT;
}

static void take_up(struct conn *conn, struct tcp_pcb *pcb)
{
	tcp_nagle_disable(pcb);
	tcp_arg(pcb, conn);
	tcp_recv(pcb, on_received);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_poll(pcb, on_poll, 1);
}

/* It is there: does the program want it? */
static err_t opened(struct conn *conn)
{
	struct tcp_pcb *pcb = conn->pcb;

	if (pcb->mss < NET_MSS_LEAST) {
		pcb->mss = NET_MSS_LEAST;
		pcb->cwnd = 4 * NET_MSS_LEAST;
	}
	if (!conn->calls->opened)
		return ERR_OK;
	enter(conn);
	if (!conn->calls->opened(conn)) {
		conn_counts.closed++;
		tcp_arg(pcb, NULL);
		conn_free(conn);
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	return leave(conn);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct conn *conn;

	if (error != ERR_OK || !pcb)
		return ERR_VAL;
	conn = conn_make(pcb, arg);
	if (!conn)
		return ERR_MEM;		/* lwIP resets it */
	take_up(conn, pcb);
	return opened(conn);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct conn *conn = arg;

	(void)pcb, (void)error;
	conn->flags &= ~(uint32_t)CONN_OPENING;
	return opened(conn);
}

/* A closing one has been told all, and has told it. */
bool conn_settled(struct tcp_pcb *pcb)
{
	struct conn *conn = pcb->callback_arg;

	if (!conn || !(conn->flags & (CONN_CLOSING | CONN_FINISHED)))
		return false;
	settle(conn);
	return true;
}

void conn_used(struct conn *conn, size_t bytes)
{
	held_use(conn, (uint32_t)bytes);
	if (!conn->held_bytes)
		conn->flags &= ~(uint32_t)CONN_PAUSED;
	if ((conn->flags & (CONN_ENDED | CONN_TOLD)) == CONN_ENDED)
		conn->flags |= CONN_AGAIN;
	if (conn->pcb)
		tcp_recved(conn->pcb, (u16_t)bytes);
	loop_dirty(conn);
}

void conn_service(struct conn *conn)
{
	if (conn->flags & CONN_AGAIN) {
		enter(conn);
		show_held(conn);
		too_much(conn);
		tell_ended(conn);
		if (leave(conn) == ERR_ABRT)
			return;
	}
	if (conn->flags & CONN_OVER)
		over(conn);
	else if ((conn->flags & (CONN_OPENING | CONN_CLOSING)) == (CONN_OPENING | CONN_CLOSING))
		abort_now(conn, 0);
	else
		tcp_output_now(conn->pcb);
}

/* --- conn.h --- */

struct tcp_pcb *conn_listen_on(struct tcp_pcb *pcb, const struct conn_calls *calls)
{
	struct tcp_pcb *listener = tcp_listen(pcb);

	if (!listener) {
		tcp_abort(pcb);
		return NULL;
	}
	tcp_arg(listener, (void *)(uintptr_t)calls);
	tcp_accept(listener, on_accept);
	tcp_direct(listener);
	loop_wait_address();
	return listener;
}

int conn_listen(uint16_t port, const struct conn_calls *calls)
{
	int wrong = loop_network();
	struct tcp_pcb *pcb;
	err_t error;

	if (wrong)
		return wrong;
	if (!flownet_owns(IP_PROTO_TCP, port))
		return EACCES;
	pcb = tcp_new();
	if (!pcb)
		return ENOMEM;
	error = tcp_bind(pcb, IP4_ADDR_ANY, port);
	if (error != ERR_OK) {
		tcp_abort(pcb);
		return conn_errno(error);
	}
	return conn_listen_on(pcb, calls) ? 0 : EADDRINUSE;
}

int conn_connect_from(struct tcp_pcb *pcb, const struct conn_peer *to, const struct conn_calls *calls, struct conn **made)
{
	struct conn *conn = conn_make(pcb, calls);
	ip_addr_t address;
	err_t error;

	if (!conn) {
		tcp_abort(pcb);
		return ENOMEM;
	}
	ip_addr_set_ip4_u32(&address, to->address);
	conn->flags |= CONN_OPENING;
	take_up(conn, pcb);
	error = tcp_connect(pcb, &address, to->port, on_connected);
	if (error != ERR_OK) {
		tcp_arg(pcb, NULL);
		tcp_abort(pcb);
		conn_counts.closed++;
		conn_free(conn);
		return error == ERR_USE || error == ERR_BUF ? EADDRNOTAVAIL : conn_errno(error);
	}
	tcp_direct_connection(pcb);
	*made = conn;
	return 0;
}

int conn_connect(const struct conn_peer *to, const struct conn_calls *calls, struct conn **conn)
{
	int wrong = loop_network();
	struct tcp_pcb *pcb;

	if (wrong)
		return wrong;
	loop_wait_address();
	if (!net_address() && (to->address & 0xff) != 127)
		return ENETUNREACH;
	pcb = tcp_new();
	return pcb ? conn_connect_from(pcb, to, calls, conn) : ENOMEM;
}

void conn_set(struct conn *conn, void *own)
{
	conn->own = own;
}

void *conn_get(const struct conn *conn)
{
	return conn->own;
}

uint32_t conn_peer(const struct conn *conn, uint16_t *port)
{
	if (!conn->pcb)
		return 0;
	if (port)
		*port = conn->pcb->remote_port;
	return ip4_addr_get_u32(ip_2_ip4(&conn->pcb->remote_ip));
}

size_t conn_owed(const struct conn *conn)
{
	return conn->pcb ? (size_t)(TCP_SND_BUF - conn->pcb->snd_buf) : 0;
}

size_t conn_room(const struct conn *conn)
{
	size_t credit, owed;

	if (!conn->pcb || (conn->flags & DUMB) || conn->pcb->snd_queuelen >= QUEUE_MOST)
		return 0;
	credit = net_send_credit(conn_open, conn->pcb->mss);
	owed = conn_owed(conn);
	return owed < credit ? credit - owed : 0;
}

size_t conn_send(struct conn *conn, const void *data, size_t bytes, unsigned flags)
{
	struct tcp_pcb *pcb = conn->pcb;
	uint32_t offset;
	bool kept = (flags & CONN_KEPT) && net_memory_has(data, bytes, &offset);
	size_t room = kept && pcb && !(conn->flags & DUMB) ? tcp_sndbuf(pcb) : conn_room(conn);
	size_t take = bytes < room ? bytes : room, sent = 0;
	u8_t how = (u8_t)((kept ? 0 : TCP_WRITE_FLAG_COPY) | (flags & CONN_MORE ? TCP_WRITE_FLAG_MORE : 0));

	if (how == TCP_WRITE_FLAG_COPY && take == bytes && tcp_write_segment(pcb, data, take))
		sent = take;
	while (sent < take) {
		size_t piece = take - sent < WRITE_MAX ? take - sent : WRITE_MAX;

		while (piece && tcp_write(pcb, (const char *)data + sent, (u16_t)piece, how) != ERR_OK)
			piece = piece > TCP_MSS ? piece / 2 : 0;
		if (!piece)
			break;
		sent += piece;
	}
	if (sent < bytes)
		conn->flags |= CONN_WANTS_ROOM;
	if (!sent)
		return 0;
	conn->flags |= CONN_ANSWERED;
	conn_counts.sent += sent;
	if (!kept)
		conn_counts.copied_out += sent;
	if (tcp_input_pcb != pcb)	/* else it is told to at the end of its segment */
		loop_dirty(conn);
	return sent;
}

void conn_pause(struct conn *conn)
{
	conn->flags |= CONN_PAUSED;
}

void conn_resume(struct conn *conn)
{
	conn->flags &= ~(uint32_t)CONN_PAUSED;
	if ((!conn->pcb && !(conn->flags & CONN_OVER)) || (!conn->held_bytes && (conn->flags & (CONN_ENDED | CONN_TOLD)) != CONN_ENDED))
		return;
	conn->flags |= CONN_AGAIN;
	loop_dirty(conn);
}

void conn_close(struct conn *conn)
{
	if (conn->flags & CONN_CLOSING)
		return;
	if (!conn->pcb && !(conn->flags & CONN_OVER))
		return;
	conn->flags |= CONN_CLOSING;
	if (conn->flags & (CONN_OVER | CONN_OPENING)) {
		loop_dirty(conn);
		return;
	}
	if (conn->held_bytes && !(conn->flags & CONN_INSIDE)) {	/* else it may be what the program looks at */
		tcp_recved(conn->pcb, (u16_t)conn->held_bytes);
		held_use(conn, conn->held_bytes);
	}
	conn->last_ack = conn->pcb->lastack;
	if (!(conn->flags & CONN_FINISHED))
		tcp_shutdown(conn->pcb, 0, 1);
}

void conn_finish(struct conn *conn)
{
	if (!conn->pcb || (conn->flags & DUMB))
		return;
	conn->flags |= CONN_FINISHED;
	tcp_shutdown(conn->pcb, 0, 1);
}

void conn_abort(struct conn *conn)
{
	if (conn->flags & CONN_OVER) {
		conn_close(conn);
		return;
	}
	if (!conn->pcb || (conn->flags & CONN_ABORT))
		return;
	conn->flags |= CONN_ABORT;
	if (!(conn->flags & CONN_INSIDE))
		abort_now(conn, ECONNABORTED);
}
