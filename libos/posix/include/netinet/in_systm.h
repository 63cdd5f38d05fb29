/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers in the network's order, as older programs name their types.
 */
#ifndef EXO_POSIX_NETINET_IN_SYSTM_H
#define EXO_POSIX_NETINET_IN_SYSTM_H

#include <stdint.h>

typedef uint16_t n_short;
typedef uint32_t n_long;
typedef uint32_t n_time;	/* ms since midnight */

#endif
