/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remote procedure calls. See rpc.h.
 *
 * By transfer: word 0 of a call is number | bytes << 32, then three words. The answer's status is ANSWER |
 * bytes, word 0 the result. By channel: `kind` is the number, word 0 a sequence number that the answer
 * repeats, then three words; in an answer the result stands before them.
 */
#include "libos/core/rpc.h"
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"

#define ANSWER		(1LL << 40)	/* no status of a server that does not speak this */
#define LATE_MAX	(1u << 17)	/* old answers thrown away in one call: more than a ring holds */

/* --- the client ----------------------------------------------------------------------------------------- */

static bool in_upcall(void)
{
	return *(volatile uint32_t *)&core_disp->off != EXO_OFF_NO;
}

/* Make the transfer; a server that is busy gets time to finish. A handler cannot wait for that. */
static int64_t transfer(struct rpc_client *client, exo_time_t deadline, uint32_t tries, uint64_t word[4])
{
	uint64_t sent[4] = { word[0], word[1], word[2], word[3] };
	int64_t status;

	while ((status = exo_call_keep(client->entry, deadline, word)) == -EXO_EBUSY) {
		client->busy++;
		if (!--tries || in_upcall() || (deadline != EXO_NEVER && core_now() >= deadline))
			break;
		core_yield(EXO_CAP_NONE);
		memcpy(word, sent, sizeof(sent));
	}
	return status;
}

/* Throw away what answers earlier calls that we gave up. */
static int64_t await_answer(struct rpc_client *client, struct channel_message *message, void *out,
			    uint32_t size, exo_time_t deadline)
{
	for (uint32_t i = 0; i < LATE_MAX; i++) {
		int error = channel_receive(client->channel, message, out, size, deadline);
		if (error)
			return error;
		if (message->word[0] == client->sequence)
			return 0;
		client->late++;
		if (deadline != EXO_NEVER && core_now() >= deadline)
			return -EXO_ETIME;
	}
	return -EXO_ERANGE;
}

static int64_t by_channel(struct rpc_client *client, uint32_t number, uint64_t word[RPC_WORDS],
			  const void *in, uint32_t in_bytes, void *out, uint32_t *out_bytes,
			  exo_time_t deadline)
{
	struct channel_message message = { .bytes = in_bytes, .kind = number,
		.word = { ++client->sequence, word[0], word[1], word[2] } };
	uint32_t size = out_bytes ? *out_bytes : 0;
	int64_t error;

	if (!client->channel || in_upcall())
		return -EXO_ECPU;
	error = channel_send(client->channel, &message, in, deadline);
	if (!error)
		error = await_answer(client, &message, out, size, deadline);
	if (error)
		return error;
	if (message.bytes > size)
		return -EXO_ERANGE;
	client->answered = true;
	if (out_bytes)
		*out_bytes = message.bytes;
	memcpy(word, &message.word[2], RPC_WORDS * sizeof(*word));
	return (int64_t)message.word[1];
}

/* What a transfer's status says; the number of bytes that came, or an error. */
static int64_t answer_of(int64_t status, uint32_t most)
{
	if (status < 0)
		return status;
	if (!(status & ANSWER) || status & ~(ANSWER | 0xffffffffLL))
		return -EXO_ESTATE;
	return (uint32_t)status <= most ? (int64_t)(uint32_t)status : -EXO_ERANGE;
}

int64_t rpc_call(struct rpc_client *client, uint32_t number, uint64_t word[RPC_WORDS], uint32_t *bytes)
{
	uint32_t count = bytes ? *bytes : 0;
	uint64_t words[4] = { number | (uint64_t)count << 32, word[0], word[1], word[2] };
	int64_t status = exo_call_keep(client->entry, EXO_NEVER, words);

	client->answered = false;
	if (__builtin_expect(status == -EXO_ECPU, 0)) {
		uint32_t size = client->buffer_bytes;
		status = by_channel(client, number, word, client->buffer, count, client->buffer, &size,
				    EXO_NEVER);
		if (client->answered && bytes)
			*bytes = size;
		return status;
	}
	status = answer_of(status, client->buffer_bytes);
	if (status < 0)
		return status;
	client->answered = true;
	if (bytes)
		*bytes = (uint32_t)status;
	memcpy(word, words + 1, RPC_WORDS * sizeof(*word));
	return (int64_t)words[0];
}

int64_t rpc_ask(struct rpc_client *client, uint32_t number, uint64_t word[RPC_WORDS], const void *in,
		uint32_t in_bytes, void *out, uint32_t *out_bytes)
{
	uint64_t words[4] = { number | (uint64_t)in_bytes << 32, word[0], word[1], word[2] };
	uint32_t size = out_bytes ? *out_bytes : 0;
	exo_time_t deadline = core_now() + client->timeout_ns;
	int64_t status;

	core_stack();
	client->answered = false;
	if (in_bytes > client->buffer_bytes || (in_bytes && !client->buffer && !client->channel))
		return -EXO_ERANGE;
	if (in_bytes && !client->buffer)
		return by_channel(client, number, word, in, in_bytes, out, out_bytes, deadline);
	if (in_bytes)
		memcpy(client->buffer, in, in_bytes);
	status = transfer(client, deadline, client->tries ? client->tries : RPC_TRIES, words);
	if (status == -EXO_ECPU)
		return by_channel(client, number, word, in, in_bytes, out, out_bytes, deadline);
	if (size > client->buffer_bytes)
		size = client->buffer_bytes;
	status = answer_of(status, client->buffer ? size : 0);
	if (status < 0)
		return status;
	if (status)
		memcpy(out, client->buffer, (size_t)status);
	client->answered = true;
	if (out_bytes)
		*out_bytes = (uint32_t)status;
	memcpy(word, words + 1, RPC_WORDS * sizeof(*word));
	return (int64_t)words[0];
}

int64_t rpc_pass(struct rpc_client *client, const struct rpc_slots *slots, uint32_t number,
		 uint64_t word[RPC_WORDS])
{
	volatile struct exo_disp *disp = core_disp;
	struct rpc_slots before = { disp->offer_first, disp->offer_count, disp->window_first,
		disp->window_count };
	struct channel *channel = client->channel;

	core_stack();
	disp->offer_first = slots->offer;
	disp->offer_count = slots->offers;
	disp->window_first = slots->window;
	disp->window_count = slots->windows;
	client->channel = NULL;
	int64_t result = rpc_ask(client, number, word, NULL, 0, NULL, NULL);
	client->channel = channel;
	disp->offer_first = before.offer;
	disp->offer_count = before.offers;
	disp->window_first = before.window;
	disp->window_count = before.windows;
	return result;
}

exo_cap_t rpc_given(const struct rpc_slots *slots, uint32_t index)
{
	const struct exo_cap *cap = index < slots->windows ? caps_at(slots->window + index) : NULL;

	return cap && cap->type != EXO_TYPE_NONE ? caps_handle(slots->window + index) : EXO_CAP_NONE;
}

int64_t rpc_tell(struct rpc_client *client, uint32_t number, const uint64_t word[RPC_WORDS])
{
	core_stack();
	return core_send(client->entry, number, word[0], word[1], word[2]);
}

/* --- the server ----------------------------------------------------------------------------------------- */

static struct rpc_server *serving;
static uint32_t level;			/* handlers that run one on top of the other */

/* A handler begins: whoever comes in on top of it finds another stack, if there is one. / It has ended. */
static void level_enter(const struct rpc_server *server)
{
	if (!server->stacks)
		return;
	level++;
	core_disp->call_sp -= RPC_STACK;
	core_disp->reenter = level < server->levels;
}

static void level_leave(const struct rpc_server *server)
{
	if (!server->stacks)
		return;
	level--;
	core_disp->call_sp += RPC_STACK;
	core_disp->reenter = 1;
}

static bool has_ended(exo_env_id_t id)
{
	const struct exo_env_info *info = info_env((uint32_t)id);

	return info && (info->id != id || info->state == EXO_ENV_NONE || info->state == EXO_ENV_ENDED);
}

/*
 * Places are never emptied, only used again, so the search from a pair's own place on ends at an unused one.
 */
static struct rpc_session *find(struct rpc_server *server, uint64_t badge, exo_env_id_t caller)
{
	uint64_t start = badge * 0x9e3779b97f4a7c15 ^ caller;
	struct rpc_session *place = NULL, *session;

	for (uint32_t i = 0; i < server->sessions; i++) {
		session = &server->session[(start + i) % server->sessions];
		if (session->caller == caller && session->badge == badge)
			return session;
		if (!place && (!session->caller || has_ended(session->caller)))
			place = session;
		if (!session->caller)
			break;
	}
	if (!place || !caller)
		return NULL;
	if (place->caller && server->gone)
		server->gone(place);
	/* If it is refused, the place stays one that may be used again: it names nobody who lives. */
	exo_env_id_t before = place->caller;
	memset(place, 0, sizeof(*place));
	place->badge = badge;
	place->caller = caller;
	if (!server->open || server->open(place))
		return place;
	memset(place, 0, sizeof(*place));
	place->caller = before;
	place->badge = ~badge;
	return NULL;
}

struct rpc_session *rpc_session(struct rpc_server *server, uint64_t badge, exo_env_id_t caller)
{
	volatile uint32_t *off = &core_disp->off;
	uint32_t before = *off;

	*off = EXO_OFF_YES;	/* a transfer that comes in meanwhile finds the table whole */
	struct rpc_session *session = find(server, badge, caller);
	*off = before;
	return session;
}

static int64_t refuse(struct rpc_session *session, struct rpc_request *request, int64_t error)
{
	session->refused++;
	request->bytes = 0;
	return error;
}

/* Everything that the other side chose is in `request` by now, a copy. */
static int64_t serve(struct rpc_server *server, struct rpc_request *request)
{
	struct rpc_session *session = request->session;

	if (request->number >= server->handlers || !server->handler[request->number])
		return refuse(session, request, -EXO_ENOCALL);
	if (request->bytes > session->bytes)
		return refuse(session, request, -EXO_ERANGE);
	session->calls++;
	int64_t result = server->handler[request->number](request);
	if (request->bytes > session->bytes || !request->data)
		request->bytes = 0;
	return result;
}

/* The request's bytes, where the session's kind says; none for one on top of another of the same session. */
static int64_t serve_bytes(struct rpc_server *server, struct rpc_request *request)
{
	struct rpc_session *session = request->session;
	char *buffer = session->inside ? NULL : session->buffer;
	bool copied = !session->trusted && buffer;

	request->data = session->trusted || !buffer ? buffer : session->copy;
	if (!buffer && request->bytes)
		request->bytes = ~0u;		/* there is nothing that they could lie in */
	if (copied && request->bytes <= session->bytes)
		memcpy(session->copy, buffer, request->bytes);
	session->inside++;
	int64_t result = serve(server, request);
	session->inside--;
	if (!buffer)
		request->bytes = 0;
	if (copied && request->bytes)
		memcpy(buffer, session->copy, request->bytes);
	return result;
}

/* [upcall] */
static void called(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
		   bool wanted)
{
	struct rpc_session *session = find(serving, badge, caller);
	struct rpc_request request = { .session = session, .number = (uint32_t)w0, .word = { w1, w2, w3 },
		.bytes = (uint32_t)(w0 >> 32), .wanted = wanted };
	int64_t result = -EXO_ERIGHTS;

	level_enter(serving);
	if (session) {
		result = serve_bytes(serving, &request);
	} else {
		serving->turned_away++;
		request.bytes = 0;
	}
	level_leave(serving);
	if (!wanted)
		return;
	exo_reply((uint64_t)ANSWER | request.bytes, (uint64_t)result, request.word[0], request.word[1],
		  request.word[2]);
	if (session)
		session->late++;		/* it comes back only if there is nobody to answer */
}

void rpc_serve(struct rpc_server *server)
{
	info_env(0);			/* maps the table now, where there is a stack for it */
	serving = server;
	if (server->stacks) {
		core_disp->call_sp = (uint64_t)server->stacks + (uint64_t)server->levels * RPC_STACK - 8;
		core_disp->reenter = 1;
	}
	core_call_handler = called;
}

/* A handler in a thread: as in an upcall, nothing else of this program runs meanwhile. */
static int64_t serve_off(struct rpc_server *server, struct rpc_request *request)
{
	volatile uint32_t *off = &core_disp->off;

	*off = EXO_OFF_YES;
	request->session->inside++;
	int64_t result = serve(server, request);
	request->session->inside--;
	*off = EXO_OFF_NO;
	return result;
}

void rpc_serve_channel(struct rpc_line *line)
{
	struct rpc_session *session = line->session;
	struct channel_message message;

	while (!channel_receive(line->channel, &message, session->copy, session->bytes, EXO_NEVER)) {
		struct rpc_request request = { .session = session, .number = message.kind,
			.word = { message.word[1], message.word[2], message.word[3] },
			.bytes = message.bytes, .data = session->copy, .wanted = true };
		int64_t result = serve_off(line->server, &request);
		struct channel_message answer = { .kind = message.kind, .bytes = request.bytes,
			.word = { message.word[0], (uint64_t)result } };
		memcpy(&answer.word[2], request.word, sizeof(request.word));
		if (channel_send(line->channel, &answer, session->copy, 0))
			session->late++;
	}
	channel_close(line->channel);
}
