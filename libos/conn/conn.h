/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections by events: the face that one source needs to run on every variant of the libOS.
 *
 * A program says whom to call when something happens and then calls conn_run. What has been received is shown where it lies,
 * and is handled to its end before the next event is looked at: no thread, no lock, no buffer between. Behind it stand
 *
 *	libos/dataplane/conn.c	lwIP's raw interface on the program's own rings: what comes is not copied
 *	libos/event/conn.c	the same over a small TCP of its own, in little memory, beside protothreads
 *	libos/conn/conn_poll.c	sockets and poll(), for uni and posix (and the host: tests, and Linux for comparison)
 *
 * Functions are called from conn_run only, one at a time, and must not block. All that is said here of a connection ends when its
 * `closed` has been called.
 */
#ifndef LIBOS_CONN_CONN_H
#define LIBOS_CONN_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_HELD_MAX	8192	/* bytes that a program may leave unused; a connection that needs more is closed (ENOBUFS) */

struct conn;

struct conn_calls {
	/* A client has connected, or what conn_connect asked for is there. False: close it at once (closed is not called). NULL: true. */
	bool (*opened)(struct conn *conn);
	/*
	 * `bytes` bytes have come, behind those left last time and in one piece with them. They are gone when this returns. Returns
	 * how many were used; the rest is shown again when more has come, or after conn_resume.
	 */
	size_t (*received)(struct conn *conn, const char *data, size_t bytes);
	/* conn_send took less than it was given, and there is room again. May also be called without need. May be NULL. */
	void (*room)(struct conn *conn);
	/* The other side will send no more; it may still read: conn_send and conn_close go on. NULL: conn_close. */
	void (*ended)(struct conn *conn);
	/* The last word on a connection, whoever ended it. error: 0 in order, else an errno. May be NULL. */
	void (*closed)(struct conn *conn, int error);
};

/*
 * Accept connections on a TCP port. Before conn_run it waits until the program has an address, 10 s at most; timers run
 * meanwhile. 0, or an errno: EADDRINUSE, EACCES (the port is not the program's), ENOMEM, ENETDOWN.
 */
int conn_listen(uint16_t port, const struct conn_calls *calls);

struct conn_peer {
	uint32_t address;	/* IPv4, network byte order */
	uint16_t port;		/* host byte order */
};
/*
 * Ask for a connection. Until `opened` tells that it is there nothing can be sent, and conn_close and conn_abort give it up. If it cannot
 * be had, `closed` is called with the reason: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH. Before conn_run it waits for an address, as
 * conn_listen does. 0, or an errno, and nothing will be called: ENETDOWN, ENETUNREACH, EADDRNOTAVAIL (no port is left), ENOMEM,
 * ENOTSUP (event).
 */
int conn_connect(const struct conn_peer *to, const struct conn_calls *calls, struct conn **conn);

/* A word of the program's for each connection; NULL at first. */
void conn_set(struct conn *conn, void *own);
void *conn_get(const struct conn *conn);
/* Who it is: IPv4 address in network byte order, port in the host's. */
uint32_t conn_peer(const struct conn *conn, uint16_t *port);

enum {
	CONN_MORE = 1,		/* more follows at once: need not leave yet */
	CONN_KEPT = 2,		/* the bytes lie in conn_memory and stay as they are until they are gone (conn_owed): not copied */
};
/* Queue bytes to be sent. Returns how many were taken: fewer than `bytes` if there is no room, then `room` is called later. */
size_t conn_send(struct conn *conn, const void *data, size_t bytes, unsigned flags);
/* How many bytes conn_send would take now. */
size_t conn_room(const struct conn *conn);
/*
 * How many of the bytes that conn_send took are not gone yet: acknowledged, or taken by a socket. After `closed` all are. The last so
 * many bytes of those that were sent with CONN_KEPT must stay as they are.
 */
size_t conn_owed(const struct conn *conn);
/*
 * Show no more of what comes until conn_resume: the sender is held up by TCP itself. Who pauses in `received` may leave any amount
 * unused; conn_resume has it shown again soon, by conn_run, though nothing new has come.
 */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);
/*
 * Send what is queued, then end it. Nothing more is received: what still comes, for a second and 64 KiB, is thrown away and not
 * answered by a reset, which would take the last bytes sent from the other side. `closed` is called when it is gone.
 */
void conn_close(struct conn *conn);
/*
 * Send what is queued, and then tell the other side that no more will come; what it still sends is received as before. When both have
 * ended `closed` is called, if all has been shown.
 */
void conn_finish(struct conn *conn);
/* End it at once, by a reset. `closed` may be called before this returns: what the program has for the connection may be gone then. */
void conn_abort(struct conn *conn);

/* Memory that can be sent without a copy (CONN_KEPT); for good. NULL: there is no more of it: send copies then. */
void *conn_memory(size_t bytes);

/* Datagrams: UDP. */
typedef void conn_datagram_t(uint16_t port, const struct conn_peer *from, const char *data, size_t bytes);
/* Have what comes for a UDP port shown, as it comes; the bytes are gone when `received` returns. 0, or an errno as of conn_listen. */
int conn_bind(uint16_t port, conn_datagram_t *received);
/*
 * Send from a port that conn_bind has bound; the bytes are copied. At most 1,472 go everywhere. False: it was not sent, for
 * there is no room, or the port is not bound. Whether it arrives nobody tells.
 */
bool conn_datagram(uint16_t port, const struct conn_peer *to, const void *data, size_t bytes);

/* A timer: memory is the caller's, zero at first. One that is set again moves. It is called once, not before its time. */
struct conn_timer {
	void (*call)(struct conn_timer *timer);
	uint64_t due;			/* the rest is conn's */
	struct conn_timer *next, **back;
	bool set;
};
void conn_timer_set(struct conn_timer *timer, uint64_t milliseconds);
void conn_timer_clear(struct conn_timer *timer);	/* also of one that is not set */
/* Milliseconds of a clock that never goes back; cheap: it stands still while one function runs. */
uint64_t conn_now(void);

/*
 * Something that may have to wait, for a disk: `work` is called soon, and when it has returned `done`, from conn_run. On dataplane
 * connections are served while it waits; elsewhere the loop itself does it. `work` calls nothing of this header but conn_memory. Memory
 * is the caller's until `done` is called. Calls are begun in the order in which they were asked for, and may overtake each other.
 */
struct conn_work {
	void (*work)(struct conn_work *work);
	void (*done)(struct conn_work *work);
	struct conn_work *next;		/* conn's */
};
void conn_beside(struct conn_work *work);

/* Run until conn_stop. Returns its value; dataplane: at once an errno, if there is no network. */
int conn_run(void);
void conn_stop(int value);

/* What it cost: counted since the start. */
struct conn_counts {
	uint64_t opened, closed, failed;	/* connections */
	uint64_t received, sent;		/* bytes */
	uint64_t copied_in, copied_out;		/* bytes that this side copied, behind the kernel's one copy */
	uint64_t turns, polls_empty, sleeps;	/* of the loop */
};
extern struct conn_counts conn_counts;

#endif
