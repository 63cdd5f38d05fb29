/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting on channels: spin briefly, arm, look again, sleep. See channel.h.
 *
 * A thread that waits is named in its channel, and the channel is in the list that one poller of the thread
 * scheduler walks after each event and before the environment sleeps. The event counter that exo_sleep
 * compares was read before the poller ran, so a wake between its last look and the sleep is not lost.
 */
#include "libos/core/channel.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/core/watch.h"

#define SPINS		400	/* looks before arming, if the peer is on another CPU */
#define LOOK_NS		(CORE_SECOND / 10)	/* how often a sleeping side looks whether its peer lives */
#define CLOSED_BIT	(1ULL << 63)	/* of CHANNEL_CLOSED, and of no number */

static struct channel *waiting;

static bool has_ended(const struct channel *channel)
{
	const struct exo_env_info *info = channel->peer ? info_env((uint32_t)channel->peer) : NULL;

	return info &&
	       (info->id != channel->peer || info->state == EXO_ENV_NONE || info->state == EXO_ENV_ENDED);
}

static bool ready(struct channel *channel, bool sending)
{
	return sending ? channel_writable(channel) : channel_readable(channel);
}

static exo_time_t poll(void *arg)
{
	bool known = false;

	(void)arg;
	for (struct channel *channel = waiting; channel; channel = channel->next) {
		bool ended = has_ended(channel);
		known |= channel->peer != 0;
		if (channel->receiver && (ended || ready(channel, false)))
			thread_wake(channel->receiver);
		if (channel->sender && (ended || ready(channel, true)))
			thread_wake(channel->sender);
	}
	return known ? core_now() + LOOK_NS : EXO_NEVER;
}

void channel_connect(struct channel *channel, exo_cap_t wake, exo_env_id_t peer)
{
	static struct thread_poller poller = { .poll = poll };
	static bool polled;

	if (!polled)
		thread_add_poller(&poller);
	polled = true;
	channel->wake = wake;
	channel->peer = peer;
	has_ended(channel);		/* maps the table now, where there is a stack for it */
}

/* --- by kick -------------------------------------------------------------------------------------------- */

/* Byte of the channel's memory; it begins a line before the first ring. */
static uint64_t offset(const struct channel *channel, const void *word)
{
	const uint32_t *first = channel->out.tail < channel->in.tail ? channel->out.tail : channel->in.tail;

	return (uint64_t)((const char *)word - (const char *)first) + CHANNEL_LINE;
}

static uint32_t frame_of(const struct channel *channel, const void *word)
{
	return channel->first + (uint32_t)(offset(channel, word) / EXO_PAGE_SIZE);
}

/* An index of the peer's, and its armed word. */
static int watch_pair(const struct channel *channel, int watch[2], const uint32_t *index, const uint64_t *left)
{
	watch[0] = watch_add(channel->frames, frame_of(channel, index), offset(channel, index) % EXO_PAGE_SIZE,
			     sizeof(*index), PREDICATE_DIFFERS);
	if (watch[0] < 0)
		return watch[0];
	watch[1] = watch_add(channel->frames, frame_of(channel, left), offset(channel, left) % EXO_PAGE_SIZE,
			     sizeof(*left), PREDICATE_DIFFERS);
	if (watch[1] < 0)
		watch_remove(watch[0]);
	return watch[1] < 0 ? watch[1] : 0;
}

static void unwatch(const int watch[2])
{
	watch_remove(watch[0]);
	watch_remove(watch[1]);
}

int channel_connect_kick(struct channel *channel, exo_cap_t frames, uint32_t first, exo_env_id_t peer)
{
	int error;

	channel->frames = frames;
	channel->first = first;
	error = watch_pair(channel, channel->watch_in, channel->in.tail, channel->in.producer_armed);
	if (!error) {
		error = watch_pair(channel, channel->watch_out, channel->out.head, channel->out.consumer_armed);
		if (error)
			unwatch(channel->watch_in);
	}
	if (error)
		channel->frames = EXO_CAP_NONE;
	else
		channel_connect(channel, EXO_CAP_NONE, peer);
	return error;
}

/* Wake, from now on, if the index of the peer's is not as last seen, or it has left. */
static void watch(const struct channel *channel, bool sending)
{
	const int *words = sending ? channel->watch_out : channel->watch_in;

	if (!channel->frames)
		return;
	watch_arm(words[0], 0xffffffff, sending ? channel->out.seen : channel->in.seen);
	watch_arm(words[1], CLOSED_BIT, 0);
}

static void watch_no_more(const struct channel *channel, bool sending)
{
	const int *words = sending ? channel->watch_out : channel->watch_in;

	if (!channel->frames)
		return;
	watch_off(words[0]);
	watch_off(words[1]);
}

/* The peer may wait for this word of ours. */
static void tell(const struct channel *channel, const void *word)
{
	if (channel->frames)
		exo_kick(channel->frames, frame_of(channel, word));
	else if (channel->wake)
		exo_wake(channel->wake);
}

/* --- waiting -------------------------------------------------------------------------------------------- */

static bool on_another_cpu(const struct channel *channel)
{
	const struct exo_env_info *peer = channel->peer ? info_env((uint32_t)channel->peer) : NULL;
	const struct exo_env_info *self = info_env((uint32_t)core_disp->self);

	return peer && self && peer->cpu != self->cpu;
}

static void enlist(struct channel *channel)
{
	channel->next = waiting;
	waiting = channel;
}

static void delist(struct channel *channel)
{
	struct channel **at = &waiting;

	if (channel->sender || channel->receiver)
		return;
	while (*at && *at != channel)
		at = &(*at)->next;
	if (*at)
		*at = channel->next;
}

/* Until ready, or an error. */
static int wait(struct channel *channel, bool sending, exo_time_t deadline)
{
	struct thread **who = sending ? &channel->sender : &channel->receiver;
	void (*arm)(struct channel *, bool) = sending ? channel_arm_send : channel_arm_receive;
	int spins = !thread_others_ready() && on_another_cpu(channel) ? SPINS : 0;
	bool in_time = true;

	if (*who)
		return -EXO_EBUSY;
	while (spins--) {
		if (ready(channel, sending))
			return 0;
		__asm__ volatile("pause");
	}
	arm(channel, true);
	while (!ready(channel, sending) && in_time && !has_ended(channel)) {
		if (!channel->sender && !channel->receiver)
			enlist(channel);
		*who = thread_current;
		channel->sleeps++;
		watch(channel, sending);
		in_time = thread_wait(NULL, deadline);
		watch_no_more(channel, sending);
		*who = NULL;
		delist(channel);
		arm(channel, true);
	}
	arm(channel, false);
	return ready(channel, sending) ? 0 : in_time ? -EXO_EDEAD : -EXO_ETIME;
}

/* A wakeup that the ring says is wanted, for this index of ours. */
static int finish(struct channel *channel, int result, const uint32_t *index)
{
	if (result <= 0)
		return result;
	channel->wakes++;
	tell(channel, index);
	return 0;
}

int channel_send(struct channel *channel, const struct channel_message *message, const void *bulk,
		 exo_time_t deadline)
{
	int result, error = 0;

	core_stack();
	while ((result = channel_try_send(channel, message, bulk)) == -EXO_EFULL && !error)
		error = wait(channel, true, deadline);
	return result == -EXO_EFULL ? error : finish(channel, result, channel->out.tail);
}

int channel_receive(struct channel *channel, struct channel_message *message, void *buffer, size_t size,
		    exo_time_t deadline)
{
	int result, error = 0;

	core_stack();
	while ((result = channel_try_receive(channel, message, buffer, size)) == -EXO_EAGAIN && !error)
		error = wait(channel, false, deadline);
	return result == -EXO_EAGAIN ? error : finish(channel, result, channel->in.head);
}

void channel_close(struct channel *channel)
{
	channel_mark_closed(channel);
	tell(channel, channel->in.consumer_armed);
	if (!channel->frames)
		return;
	tell(channel, channel->out.producer_armed);
	unwatch(channel->watch_in);
	unwatch(channel->watch_out);
	channel->frames = EXO_CAP_NONE;
}
