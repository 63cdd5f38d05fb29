/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a program that makes environments of its own (a keeper) shows them to whoever observes it.
 *
 * It finds the capability OBSERVE_WATCHER, of the observer's environment with GRANT and WAKE, if there is one, derives
 * each new environment with READ into a free one of the observer's slots [OBSERVE_SLOT, OBSERVE_SLOT + OBSERVE_SLOTS),
 * and wakes it. The observer keeps these slots for the purpose and empties those that it has done with.
 */
#ifndef LIBOS_CORE_OBSERVE_H
#define LIBOS_CORE_OBSERVE_H

#define OBSERVE_WATCHER	"watcher"
#define OBSERVE_SLOT	64
#define OBSERVE_SLOTS	128

#endif
