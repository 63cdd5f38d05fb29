/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the threads of a program wait for, beside events: words in shared memory.
 *
 * Blocks that let threads wait for memory (channel_wait.c) name the words here once, and arm them while somebody waits.
 * While any is armed and no thread can run, the program sleeps on a predicate over all of them (predicate.h) instead of on
 * events alone, so who changes one needs to kick its frame and no capability for this program. While none is armed it
 * sleeps as ever, which costs less. Events wake in both cases, but for those that the pollers have dealt with already.
 */
#ifndef LIBOS_CORE_WATCH_H
#define LIBOS_CORE_WATCH_H

#include "libos/core/predicate.h"

/* As predicate_add, for all threads together; remove it before its frames go. */
int watch_add(exo_cap_t frames, uint32_t index, uint32_t offset, unsigned bytes, enum predicate_test test);
void watch_remove(int word);
/* Wake when (*word & mask) != value (or as its test says), until watch_off. Look at the word after arming. */
void watch_arm(int word, uint64_t mask, uint64_t value);
void watch_off(int word);
/* Times that the program slept on the predicate. */
extern uint64_t watch_sleeps;

#endif
