/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSI message queues. A queue takes `most` bytes and MESSAGES messages; who sends more waits, who asks for a type of
 * which there is none, too.
 *
 * X2 `bytes` and `count` are those of the list
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/ipc.h"

#define BYTES_MOST	8192		/* of a message */
#define QUEUE_BYTES	16384		/* of a queue, at first ... */
#define QUEUE_MOST	65536		/* ... and, if the superuser says so */
#define MESSAGES	1024

struct msg {
	struct msg *next;
	int64_t type;
	uint64_t bytes;
	char data[];
};

struct msgs {
	struct xsi xsi;
	struct msg *first, **end;
	uint64_t bytes, count, most;
	int64_t sent, received;		/* when */
	int32_t sender, receiver;	/* pids */
	struct keep_queue senders, receivers;
};

static struct xsi *make(const struct keep_process *process, uint64_t size, int *error)
{
	struct msgs *msgs = calloc(1, sizeof(*msgs));

	(void)process;
	(void)size;
	if (!msgs) {
		*error = -ENOSPC;
		return NULL;
	}
	msgs->end = &msgs->first;
	msgs->most = QUEUE_BYTES;
	return &msgs->xsi;
}

static int fits(const struct xsi *xsi, uint64_t size)
{
	(void)xsi;
	(void)size;
	return 0;
}

static struct xsi_kind kind = { .make = make, .fits = fits };

static int64_t do_get(struct keep_request *request)
{
	return xsi_get(&kind, request);
}

/* --- messages ------------------------------------------------------------------------------------------------- */

static int64_t do_send(struct keep_request *request)
{
	uint64_t bytes = request->word[1] & ~WIRE_IPC_NOWAIT;
	int64_t type = (int64_t)request->word[2];
	int error;
	struct msgs *msgs = (struct msgs *)xsi_find(&kind, request->process, request->word[0], IPC_WRITE, &error);
	struct msg *msg;

	if (!msgs)
		return error;
	if (type < 1 || bytes > BYTES_MOST || bytes > msgs->most)
		return -EINVAL;
	if (msgs->bytes + bytes > msgs->most || msgs->count == MESSAGES) {
		if (request->word[1] & WIRE_IPC_NOWAIT)
			return -EAGAIN;
		keep_wait(&msgs->senders, request->process);
		return WIRE_WAIT;
	}
	msg = malloc(sizeof(*msg) + bytes);
	if (!msg)
		return -ENOMEM;
	*msg = (struct msg){ .type = type, .bytes = bytes };
	memcpy(msg->data, request->data, bytes);
	*msgs->end = msg;
	msgs->end = &msg->next;
	msgs->bytes += bytes;
	msgs->count++;
	msgs->sent = xsi_now();
	msgs->sender = request->process->pid;
	keep_wake(&msgs->receivers);
	return 0;
}

/* The first of a type; of 0: of any; negative: of the lowest that is not above -type; EXCEPT: of another. */
static struct msg **choose(struct msgs *msgs, int64_t type, bool except)
{
	struct msg **best = NULL;

	for (struct msg **link = &msgs->first; *link; link = &(*link)->next) {
		int64_t is = (*link)->type;

		if (type >= 0) {
			if (!type || (is == type) != except)
				return link;
		} else if ((type == INT64_MIN || is <= -type) && (!best || is < (*best)->type)) {
			best = link;
		}
	}
	return best;
}

static void take_out(struct msgs *msgs, struct msg **link)
{
	struct msg *msg = *link;

	*link = msg->next;
	if (msgs->end == &msg->next)
		msgs->end = link;
	msgs->bytes -= msg->bytes;
	msgs->count--;
}

static int64_t do_receive(struct keep_request *request)
{
	uint64_t flags = request->word[1], room = flags & UINT32_MAX;
	int error;
	struct msgs *msgs = (struct msgs *)xsi_find(&kind, request->process, request->word[0], IPC_READ, &error);
	struct msg **link, *msg;

	if (!msgs)
		return error;
	link = choose(msgs, (int64_t)request->word[2], flags & WIRE_IPC_EXCEPT);
	if (!link) {
		if (flags & WIRE_IPC_NOWAIT)
			return -ENOMSG;
		keep_wait(&msgs->receivers, request->process);
		return WIRE_WAIT;
	}
	msg = *link;
	if (msg->bytes > room && !(flags & WIRE_IPC_NOERROR))
		return -E2BIG;
	if (room > msg->bytes)
		room = msg->bytes;
	memcpy(request->data, msg->data, room);
	request->more[0] = (uint64_t)msg->type;
	take_out(msgs, link);
	free(msg);
	msgs->received = xsi_now();
	msgs->receiver = request->process->pid;
	keep_wake(&msgs->senders);
	return (int64_t)room;
}

/* --- control -------------------------------------------------------------------------------------------------- */

static void end(struct msgs *msgs)
{
	keep_wake(&msgs->senders);
	keep_wake(&msgs->receivers);
	while (msgs->first) {
		struct msg *msg = msgs->first;

		take_out(msgs, &msgs->first);
		free(msg);
	}
	xsi_remove(&kind, &msgs->xsi);
	free(msgs);
}

static int64_t set(struct msgs *msgs, const struct keep_request *request)
{
	struct wire_msg wire;

	memcpy(&wire, request->data, sizeof(wire));
	if (wire.most > msgs->most && request->process->euid)
		return -EPERM;
	if (wire.most > QUEUE_MOST)
		return -EINVAL;
	msgs->most = wire.most;
	xsi_set(&msgs->xsi, &wire.xsi);
	keep_wake(&msgs->senders);
	keep_wake(&msgs->receivers);
	return 0;
}

static int64_t do_control(struct keep_request *request)
{
	uint64_t command = request->word[1];
	int error;
	struct msgs *msgs = (struct msgs *)xsi_find(&kind, request->process, request->word[0],
						    command == WIRE_IPC_STAT ? IPC_READ : 0, &error);

	if (!msgs)
		return error;
	if (command == WIRE_IPC_STAT) {
		struct wire_msg wire = { .bytes = msgs->bytes, .count = msgs->count, .most = msgs->most,
			.sent = msgs->sent, .received = msgs->received, .sender = msgs->sender,
			.receiver = msgs->receiver };

		xsi_show(&msgs->xsi, &wire.xsi);
		memcpy(request->data, &wire, sizeof(wire));
		return 0;
	}
	if (command != WIRE_IPC_SET && command != WIRE_IPC_RMID)
		return -EINVAL;
	if (!xsi_owner(request->process, &msgs->xsi))
		return -EPERM;
	if (command == WIRE_IPC_SET)
		return set(msgs, request);
	end(msgs);
	return 0;
}

const char *xsi_msg_check(void)
{
	for (uint32_t i = 0; i < XSI_MOST; i++) {
		const struct msgs *msgs = (const struct msgs *)kind.at[i];
		uint64_t bytes = 0, count = 0;

		for (const struct msg *msg = msgs ? msgs->first : NULL; msg; msg = msg->next, count++)
			bytes += msg->bytes;
		if (msgs && (bytes != msgs->bytes || count != msgs->count))
			return "X2: a message queue of XSI with other messages than it counts";
	}
	return xsi_check(&kind);
}

void xsi_msg_start(void)
{
	keep_serve(REQUEST_MSGGET, do_get);
	keep_serve(REQUEST_MSGSND, do_send);
	keep_serve(REQUEST_MSGRCV, do_receive);
	keep_serve(REQUEST_MSGCTL, do_control);
}
