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

#define SPINS		400	/* looks before arming, if the peer is on another CPU */
#define LOOK_NS		(CORE_SECOND / 10)	/* how often a sleeping side looks whether its peer lives */

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
		in_time = thread_wait(NULL, deadline);
		*who = NULL;
		delist(channel);
		arm(channel, true);
	}
	arm(channel, false);
	return ready(channel, sending) ? 0 : in_time ? -EXO_EDEAD : -EXO_ETIME;
}

/* A wakeup that the ring says is wanted. */
static int finish(struct channel *channel, int result)
{
	if (result <= 0)
		return result;
	channel->wakes++;
	if (channel->wake)
		exo_wake(channel->wake);
	return 0;
}

int channel_send(struct channel *channel, const struct channel_message *message, const void *bulk,
		 exo_time_t deadline)
{
	int result, error = 0;

	core_stack();
	while ((result = channel_try_send(channel, message, bulk)) == -EXO_EFULL && !error)
		error = wait(channel, true, deadline);
	return result == -EXO_EFULL ? error : finish(channel, result);
}

int channel_receive(struct channel *channel, struct channel_message *message, void *buffer, size_t size,
		    exo_time_t deadline)
{
	int result, error = 0;

	core_stack();
	while ((result = channel_try_receive(channel, message, buffer, size)) == -EXO_EAGAIN && !error)
		error = wait(channel, false, deadline);
	return result == -EXO_EAGAIN ? error : finish(channel, result);
}

void channel_close(struct channel *channel)
{
	channel_mark_closed(channel);
	if (channel->wake)
		exo_wake(channel->wake);
}
