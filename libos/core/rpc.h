/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remote procedure calls on the protected control transfer (exo_call, exo_reply, exo_send).
 *
 * A call is a number, three words, and some bytes in a buffer that both sides map; the answer is a result
 * (negative: an error of exo/error.h), three words and some bytes. Two variants, each side chooses its own:
 *
 *   trusted    rpc_call; a session with `trusted`. Registers and the shared buffer in place: nothing is
 *              copied, nothing checked but number and length. There is no deadline: the client waits for as
 *              long as the server needs, and either side may change the buffer while the other uses it. For
 *              parts of one program.
 *   untrusting rpc_ask; any other session. Every call has a deadline, so a server that never answers costs
 *              its time and no more, and a late answer reaches nobody (the kernel refuses it). BUSY is tried
 *              again, `tries` times at most. Bytes are copied out of the shared buffer before anybody looks at
 *              them, and lengths are checked against one's own figures: what was checked is what is used. A
 *              client that dies, lies or leaves in the middle costs the server the handler's run, no more.
 *
 * Who calls is never taken from the message: the kernel says the badge of the entry used and the caller's
 * environment id. A session is one such pair; its state is the server's own. A program that hands its entry
 * on makes a second session. Sessions of environments that have ended are used again.
 *
 * Handlers run as [upcall] code (core.h), on a stack of 4 KiB: no FPU, no blocking, no page that may be
 * missing. They may call further (rpc_call, rpc_ask), up to EXO_CHAIN_MAX deep. While one waits, or a thread
 * waits in a call, the program is BUSY for others, unless its server has `stacks`: then it may be called back
 * (an example stands at rpc_serve). A client on another CPU (EXO_ECPU)
 * uses the session's channel, if it was given one: the same handlers are then run by a thread of the server,
 * with upcalls off.
 *
 * A shared buffer in frames that the other side could revoke is mapped by share.h. Capabilities, of frames
 * for example, go along by rpc_pass.
 */
#ifndef LIBOS_CORE_RPC_H
#define LIBOS_CORE_RPC_H

#include "libos/core/channel.h"
#include "libos/core/core.h"

#define RPC_WORDS	3
#define RPC_TRIES	64	/* of a server that is busy, unless the client says otherwise */
#define RPC_HANDLERS	1024	/* numbers are below this */
#define RPC_STACK	4096	/* bytes of each of a server's stacks */

/* --- the client ----------------------------------------------------------------------------------------- */

struct rpc_client {
	exo_cap_t entry;
	char *buffer;			/* shared with the server; NULL: words only, but by a channel */
	uint32_t buffer_bytes;		/* or, without a buffer, of a channel's slot */
	uint64_t timeout_ns;		/* rpc_ask: of each call */
	uint32_t tries;			/* rpc_ask: if the server is busy; 0: RPC_TRIES */
	struct channel *channel;	/* if the server is on another CPU; NULL: none */
	/* The client's own: */
	bool answered;			/* the last call's result is the server's word */
	uint64_t sequence;
	uint64_t busy, late;		/* times that it was busy; late answers that were thrown away */
};

/*
 * Trusted. *bytes (may be NULL: none) of the buffer's bytes go along; *bytes of it have come back. Result:
 * the handler's; or the transfer's error, nothing changed (client->answered tells them apart).
 */
int64_t rpc_call(struct rpc_client *client, uint32_t number, uint64_t word[RPC_WORDS], uint32_t *bytes);
/*
 * Untrusting. `in_bytes` from `in` go along; at most *out_bytes of the answer's come to `out`, and *out_bytes
 * says how many (out_bytes NULL: none). Errors besides the handler's: -ETIME, -EBUSY (as often as was tried),
 * -EDEAD, -ECPU (and no channel), -ERANGE (more bytes than the buffer, or than `out`, holds), -ESTATE (no rpc
 * server), those of exo_call.
 */
int64_t rpc_ask(struct rpc_client *client, uint32_t number, uint64_t word[RPC_WORDS], const void *in,
		uint32_t in_bytes, void *out, uint32_t *out_bytes);
/*
 * One-way: words only, the rest of the slice goes along, no answer; not from handlers. 0 or exo_send's error.
 */
int64_t rpc_tell(struct rpc_client *client, uint32_t number, const uint64_t word[RPC_WORDS]);

/*
 * Slots of the own table that are open to the server for one call: from those of the offer it may derive,
 * free ones of the window it may fill (caps_slots finds such). Nobody else can, nor can it once it has answered
 * or the call was given up. What it gave, if anything, is seen in the own table (rpc_given).
 */
struct rpc_slots {
	uint32_t offer, offers;		/* first, and how many */
	uint32_t window, windows;
};

/*
 * Untrusting; words and capabilities, no bytes. Errors as rpc_ask; -ECPU: to another CPU no capability goes.
 */
int64_t rpc_pass(struct rpc_client *client, const struct rpc_slots *slots, uint32_t number,
		 uint64_t word[RPC_WORDS]);
/* What lies in slot `index` of a window; EXO_CAP_NONE: nothing. */
exo_cap_t rpc_given(const struct rpc_slots *slots, uint32_t index);

/* --- the server ----------------------------------------------------------------------------------------- */

struct rpc_session {
	uint64_t badge;			/* the pair that it is kept by */
	exo_env_id_t caller;		/* 0: unused */
	/* `open` sets these: */
	bool trusted;			/* handlers use `buffer` in place */
	char *buffer;			/* shared with this client only; NULL: words only */
	char *copy;			/* as large, the server's own; for what is untrusting or by channel */
	uint32_t bytes;			/* of buffer and copy */
	void *state;
	uint32_t inside;		/* requests of it that are being served, one on top of the other */
	/* Counted: */
	uint64_t calls, refused, late;	/* served; refused before a handler ran; whose answer came too late */
};

struct rpc_request {
	struct rpc_session *session;
	uint32_t number, bytes;		/* bytes of data that came; when the handler returns: that go back */
	uint64_t word[RPC_WORDS];	/* in and out */
	char *data;			/* session->bytes long */
	bool wanted;			/* an answer is */
};

/* [upcall] The result: >= 0, or an error. */
typedef int64_t (*rpc_handler)(struct rpc_request *request);

struct rpc_server {
	const rpc_handler *handler;	/* by number; NULL: there is none */
	uint32_t handlers;
	struct rpc_session *session;
	uint32_t sessions;
	/* [upcall] A new pair: set the session up; false: it is refused. NULL: words only, untrusting. */
	bool (*open)(struct rpc_session *session);
	/* [upcall] The session's environment has ended, and its place is needed. NULL: nothing to do. */
	void (*gone)(struct rpc_session *session);
	/*
	 * If the program may be called while it waits for an answer itself: `levels` stacks of RPC_STACK
	 * bytes, for so many handlers one on top of the other (EXO_CHAIN_MAX is enough); 16-byte aligned, in
	 * memory that is always there. A session's buffer is for the outermost of its requests; others come
	 * without bytes. NULL: none, BUSY.
	 */
	char *stacks;
	uint32_t levels;
	uint64_t turned_away;		/* calls for which there was no session */
};

/*
 * Serve from now on: sets core_call_handler. One server a program. Cost of a call: at most `sessions`
 * comparisons.
 *
 * A client that is called back while it waits:
 *
 *	static char stacks[2 * RPC_STACK] __attribute__((aligned(16)));
 *	static int64_t progress(struct rpc_request *request)	// runs while rpc_ask below waits
 *	{
 *		percent = request->word[0];
 *		return stop ? 1 : 0;
 *	}
 *	static const rpc_handler handlers[] = { progress };
 *	static struct rpc_server server = { .handler = handlers, .handlers = 1, .session = sessions,
 *		.sessions = 4, .stacks = stacks, .levels = 2 };
 *
 *	rpc_serve(&server);
 *	result = rpc_ask(&worker, WORK, word, NULL, 0, NULL, NULL);	// the worker has an entry to us
 */
void rpc_serve(struct rpc_server *server);
/*
 * [upcall] In a handler: derive from slot `index` of what the client offers, into a slot of one's own that is
 * known to be free; or into slot `index` of the window that it has opened: its handle there. Errors of
 * exo_cap_derive; SLOT, CAP: the client has not opened that.
 */
static inline int64_t rpc_take(uint32_t index, uint32_t slot, uint64_t rights, uint64_t first, uint64_t count)
{
	return exo_cap_derive(EXO_PEER + index, EXO_CAP_NONE, slot, rights, first, count);
}
static inline int64_t rpc_give(exo_cap_t cap, uint32_t index, uint64_t rights, uint64_t first, uint64_t count)
{
	return exo_cap_derive(cap, EXO_PEER, index, rights, first, count);
}

/* The session of a pair, opened if need be; NULL: refused, or all are in use. */
struct rpc_session *rpc_session(struct rpc_server *server, uint64_t badge, exo_env_id_t caller);

/*
 * Serve a channel, in the session of whom it was made for: a thread's work. Its memory is that client's only,
 * so what comes by it comes from there. Returns when the client has closed, ended or broken it; answers that
 * find the ring full are dropped.
 */
struct rpc_line {
	struct rpc_server *server;
	struct rpc_session *session;
	struct channel *channel;	/* connected; no more bulk than session->bytes is used */
};
void rpc_serve_channel(struct rpc_line *line);

#endif
