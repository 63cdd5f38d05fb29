/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internet addresses: lwIP's types, constants and byte order macros.
 */
#ifndef EXO_LIBC_NETINET_IN_H
#define EXO_LIBC_NETINET_IN_H

#include <sys/socket.h>
#include "lwip/inet.h"

#endif
