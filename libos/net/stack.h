/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stack without threads, for those who drive it themselves (uni: net.c; dataplane: loop.c). See also net.h.
 */
#ifndef LIBOS_NET_STACK_H
#define LIBOS_NET_STACK_H

#include "lwip/netif.h"
#include "libos/core/core.h"

extern struct netif stack_netif, stack_loop;

/* Bring it up, once. NULL, or a sentence that says why there is no network. Does not wait for an address. */
const char *stack_start(void);
/*
 * What is due beside input: timers, the loop interface, connections that nobody needs any more. Returns when it wants to be
 * called again at the latest; *changed: something may have changed for those who wait for it.
 */
exo_time_t stack_work(exo_time_t now, bool *changed);
/* Have packets to oneself been left for stack_work? */
static inline bool stack_left(void)
{
	return stack_loop.loop_first != NULL;
}
/* Called when there is an address, or another one; NULL: nobody is told. */
extern void (*stack_address)(void);

#endif
