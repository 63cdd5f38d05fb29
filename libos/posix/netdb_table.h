/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A walk over the services that are known, with its own record: for functions that threads call at the same time.
 */
#ifndef LIBOS_POSIX_NETDB_TABLE_H
#define LIBOS_POSIX_NETDB_TABLE_H

#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>

#define NETDB_LINE	256
#define NETDB_ALIASES	8

struct services {
	FILE *file;
	bool file_is_done;
	unsigned next;			/* in the table: 2 * index + (1: udp) */
	char line[NETDB_LINE];
	char *aliases[NETDB_ALIASES + 1];
	struct servent one;
};

/* By name, or by port (network byte order) if `name` is NULL; `protocol` NULL: any. NULL: there is none. */
const struct servent *services_find(struct services *walk, const char *name, int port, const char *protocol);

#endif
