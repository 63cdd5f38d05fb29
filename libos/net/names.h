/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What names.c asks of those who have the sockets.
 */
#ifndef LIBOS_NET_NAMES_H
#define LIBOS_NET_NAMES_H

#include <stdbool.h>

/* Start the network, once: NULL, or a sentence that says why there is none. */
const char *names_start(void);
/* Wait for an address of one's own. False: there is none, and errno says so. */
bool names_addressed(void);

#endif
