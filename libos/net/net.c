/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stack as uni drives it: from the thread poller, on the stack of the thread that has just blocked: input, lwIP's
 * timers, one kick for all that was queued. No thread of its own, no switch to one. lwIP is entered only from there and
 * from API calls, and neither blocks inside, so nobody ever waits for the other.
 */
#include "libos/core/thread.h"
#include "libos/net/flownet.h"
#include "libos/net/net.h"
#include "libos/net/stack.h"

#define RX_BUDGET	256	/* packets of one flow that one poll takes */

void (*net_wakeup)(void);
bool net_holds;
static struct thread_queue waiters;
static struct thread_poller poller;

void net_unlock(void)
{
	if (!net_holds && flownet_queued() && !thread_others_ready())
		flownet_flush();
}

static exo_time_t drive(void *arg)
{
	unsigned received = 0;
	bool any = false, changed;
	exo_time_t until;

	(void)arg;
	net_holds = false;
	do {
		received += flownet_poll(&stack_netif, RX_BUDGET);
		until = stack_work(core_now(), &changed);
		any |= changed;
		flownet_flush();
	} while (flownet_due() && !received);
	if ((any || received) && net_wakeup)
		net_wakeup();
	return flownet_due() ? 0 : until;
}

static void address_came(void)
{
	thread_wake_all(&waiters);
}

const char *net_start(void)
{
	const char *wrong;

	stack_address = address_came;
	wrong = stack_start();
	if (!wrong && !poller.poll) {
		poller.poll = drive;
		thread_add_poller(&poller);
	}
	return wrong;
}

bool net_wait(exo_time_t deadline)
{
	while (!net_address()) {
		if (!thread_wait(&waiters, deadline))
			return net_address() != 0;
	}
	return true;
}
