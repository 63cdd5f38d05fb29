/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline's screen side, for its own files.
 */
#ifndef LIBOS_KEEP_LDISC_OUT_H
#define LIBOS_KEEP_LDISC_OUT_H

#include "libos/keep/ldisc.h"

/* Show a byte that was typed, control characters as ^X if ECHOCTL. Lost if there is no room. */
void ldisc_echo(struct ldisc *ldisc, uint8_t byte);
/* The same as it is, with output processing. */
void ldisc_echo_raw(struct ldisc *ldisc, uint8_t byte);
/* One column back, and blank. */
void ldisc_echo_back(struct ldisc *ldisc);
/* Where the cursor would be after the echo of a byte at a column. */
uint32_t ldisc_echo_column(const struct ldisc *ldisc, uint32_t column, uint8_t byte);

#endif
