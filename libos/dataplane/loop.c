/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: everything that has come, up to a bound, is handled to its end; then timers; then all that was to be sent
 * leaves with one kick. So batches are as large as the load makes them: one packet when little comes (nobody waits for
 * a batch to fill), DATAPLANE_BATCH of each ring under load.
 *
 * It runs in the program's first thread. While there is load it does not sleep and looks at the rings itself; when a look finds
 * them empty it sleeps until an event, at once: a look after a sleep costs less than looking in vain, and the kernel
 * compares the count of events that was read before the last look, so nothing is missed. Other threads (blocks of the
 * libOS may have some) get their turn once in every turn of the loop; there is no switch if there are none.
 *
 * The last acknowledgement of a connection, to an end that came, leaves with whatever is sent next, or QUIET_TIME later: who has
 * ended waits for nothing. When connections are few, all are answered and nobody waits for room, segments without bytes wake nobody:
 * they are looked at when the next packet comes that says more, or QUIET_TIME later. So a lone connection costs a sleep for its
 * request and one for the next. Not so in programs that take datagrams, which may be as short.
 *
 * L1 a connection is in one of the lists `dirty` and `serving` iff CONN_DIRTY is set
 */
#include <errno.h>
#include "lwip/priv/tcp_priv.h"
#include "libos/conn/timer.h"
#include "libos/core/thread.h"
#include "libos/dataplane/dataplane.h"
#include "libos/net/flownet.h"
#include "libos/net/memory.h"
#include "libos/net/stack.h"

#define LOOP_MS		(CORE_SECOND / 1000)
#define ADDRESS_WAIT	(10 * CORE_SECOND)	/* as long as socket() of the libOS uni */
#define LOOK_EVERY	16	/* turns after which what is seldom due is looked at */
#define QUIET_BYTES	54	/* a segment with neither options nor data; not a request for a connection */
#define QUIET_TIME	(CORE_SECOND / 250)
#define QUIET_MOST	4	/* connections */
#define MEMORY_SHARE	2	/* of the transmit frames, one in so many may be conn_memory */
#define OURS		(EXO_EVENT_RECEIVE | EXO_EVENT_SENT | 0xff)	/* and why the slice began */

struct conn_counts conn_counts;
exo_time_t loop_time;
unsigned loop_datagrams;

static struct conn *dirty;	/* have something to send */
static struct conn *serving;	/* those of them whose turn it is */
static exo_time_t stack_due;	/* stack_work wants to be called */
static bool active;		/* when it was last: TCP had connections */
static exo_time_t words_due;	/* 0: no last words wait */
static uint32_t memory_kept;	/* pages of conn_memory */
static bool stopped, turning;
static int stop_value;
static struct thread_poller poller;
static struct thread_queue sleeper;

/* --- what lwIP asks for --- */

void sys_init(void)
{
}

u32_t sys_now(void)
{
	return (u32_t)(loop_time / LOOP_MS);
}

void net_unlock(void)
{
}

void loop_wake(void)
{
	thread_wake_all(&sleeper);
}

/* --- sending --- */

void loop_dirty(struct conn *conn)
{
	if (conn->flags & CONN_DIRTY)
		return;
	conn->flags |= CONN_DIRTY;
	conn->next_dirty = dirty;
	dirty = conn;
}

static bool take_out(struct conn **list, struct conn *conn)
{
	while (*list && *list != conn)
		list = &(*list)->next_dirty;
	if (!*list)
		return false;
	*list = conn->next_dirty;
	return true;
}

void loop_forget(struct conn *conn)
{
	if (!(conn->flags & CONN_DIRTY))
		return;
	if (!take_out(&serving, conn))
		take_out(&dirty, conn);
	conn->flags &= ~(uint32_t)CONN_DIRTY;
}

/* Those that become dirty meanwhile have their turn in the next: who asks again and again holds nobody up. */
static void serve_dirty(void)
{
	struct conn *conn;

	serving = dirty;
	dirty = NULL;
	while ((conn = serving)) {
		serving = conn->next_dirty;
		conn->flags &= ~(uint32_t)CONN_DIRTY;
		conn_service(conn);
	}
}

/* --- waiting --- */

/* For the case that other threads or pollers are about: wakes the loop when it has something to do. */
static exo_time_t look(void *arg)
{
	(void)arg;
	if (sleeper.head && flownet_pending())
		thread_wake_all(&sleeper);
	return EXO_NEVER;
}

static void idle(exo_time_t until, uint64_t events)
{
	conn_counts.sleeps++;
	if (core_disp->pending & ~(uint64_t)OURS)
		thread_look();
	else if (!thread_doze(events, until))
		thread_wait(&sleeper, until);
}

static bool leaving(const struct tcp_pcb *pcb)
{
	return (pcb->state == FIN_WAIT_1 || pcb->state == FIN_WAIT_2 || pcb->state == CLOSING || pcb->state == LAST_ACK) &&
	    !pcb->unsent;
}

/*
 * The program has answered, all was sent, and nobody waits for room: an acknowledgement gives memory back, no more. Who has not answered
 * may wait for the other side's end.
 */
static bool resting(const struct tcp_pcb *pcb)
{
	const struct conn *conn = pcb->callback_arg;

	return (pcb->state == ESTABLISHED || pcb->state == CLOSE_WAIT) && !pcb->unsent && !pcb->refused_data && conn &&
	    (conn->flags & (CONN_ANSWERED | CONN_WANTS_ROOM)) == CONN_ANSWERED;
}

/* No connection waits for a segment without bytes. */
static bool calm(void)
{
	const struct tcp_pcb *pcb = tcp_active_pcbs;
	unsigned count = 0;

	if (loop_datagrams)
		return false;
	while (pcb && (resting(pcb) || leaving(pcb)) && ++count <= QUIET_MOST)
		pcb = pcb->next;
	return !pcb && count;
}

/* --- the loop --- */

int loop_network(void)
{
	static bool started;

	if (started)
		return 0;
	loop_time = core_now();
	if (stack_start()) {
		core_print("%s: no network: %s\n", core_name(), stack_start());
		return ENETDOWN;
	}
	started = true;
	poller.poll = look;
	thread_add_poller(&poller);
	return 0;
}

void *conn_memory(size_t bytes)
{
	uint32_t pages = (uint32_t)((bytes + EXO_PAGE_SIZE - 1) / EXO_PAGE_SIZE);
	void *block;

	if (loop_network() || bytes > UINT32_MAX / 2 || memory_kept + pages > net_memory_use().pages / MEMORY_SHARE)
		return NULL;
	block = net_alloc(bytes);
	if (block)
		memory_kept += pages;
	return block;
}

uint64_t conn_now(void)
{
	if (!loop_time)
		loop_time = core_now();
	return loop_time / LOOP_MS;
}

void conn_stop(int value)
{
	stopped = true;
	stop_value = value;
}

/* Ended ones that the program has not been told of: they came to it by lwIP's own way. Who is told may end others: from the start, then. */
static void tell_settled(void)
{
	struct tcp_pcb *pcb = tcp_tw_pcbs;

	while (pcb)
		pcb = pcb->callback_arg && conn_settled(pcb) ? tcp_tw_pcbs : pcb->next;
}

static void stack_turn(void)
{
	bool changed, now_active = tcp_active_pcbs || tcp_tw_pcbs;

	if (loop_time < stack_due && now_active == active && !stack_left() && conn_counts.turns % LOOK_EVERY)
		return;
	active = now_active;
	if (loop_time >= stack_due)
		tell_settled();
	stack_due = stack_work(loop_time, &changed);
}

static inline exo_time_t timer_due(void)
{
	uint64_t timer = timers_next();

	return timer == TIMERS_NONE ? EXO_NEVER : timer * LOOP_MS;
}

/* There are last words; if nothing else was posted since the last kick, they may go with something else, for a while. */
static __attribute__((noinline)) void send_words(void)
{
	if (!words_due)
		words_due = loop_time + QUIET_TIME;
	if (loop_time < words_due && flownet_posted() == last_words)
		return;
	flownet_flush();
	last_words = 0;
	words_due = 0;
}

static exo_time_t sleep_until(bool quiet)
{
	exo_time_t due = timer_due();

	if (words_due && words_due < due)
		due = words_due;

	if (quiet && loop_time + QUIET_TIME < due)
		due = loop_time + QUIET_TIME;
	return due < stack_due ? due : stack_due;
}

exo_time_t loop_turn(void)
{
	bool quiet;

	if (turning)
		return EXO_NEVER;	/* who is called by it must not wait */
	turning = true;
	loop_time = core_now();
	conn_counts.turns++;
	if (!flownet_poll(&stack_netif, DATAPLANE_BATCH))
		conn_counts.polls_empty++;
	if (loop_time >= timer_due())
		timers_run(loop_time / LOOP_MS);
	if (work_finished)
		work_done();
	stack_turn();
	serve_dirty();
	quiet = calm();
	flownet_quiet(quiet ? QUIET_BYTES : 0);
	if (last_words)
		send_words();
	else
		flownet_flush();
	turning = false;
	return dirty || flownet_pending() || stack_left() ? loop_time : sleep_until(quiet);
}

void loop_wait_address(void)
{
	exo_time_t end = core_now() + ADDRESS_WAIT;

	while (!turning && !ip4_addr_get_u32(netif_ip4_addr(&stack_netif)) && loop_time < end) {
		uint64_t events = *(volatile uint64_t *)&core_disp->events;
		exo_time_t until = loop_turn();

		if (until > loop_time)
			idle(until < end ? until : end, events);
	}
}

int conn_run(void)
{
	int wrong = loop_network();

	if (wrong)
		return wrong;
	stopped = false;
	while (!stopped) {
		uint64_t events = *(volatile uint64_t *)&core_disp->events;
		exo_time_t until = loop_turn();

		if (thread_others_ready())
			thread_yield();
		else if (until > loop_time && !stopped)
			idle(until, events);
	}
	flownet_flush();
	return stop_value;
}
