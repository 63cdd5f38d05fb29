/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ioctl() asks of interfaces.c before it asks the keeper.
 */
#ifndef LIBOS_POSIX_INTERFACES_H
#define LIBOS_POSIX_INTERFACES_H

#include <stdbool.h>

/* A request about network interfaces (net/if.h): *result is 0 or -errno. False: it is none. */
bool posix_interface_ioctl(unsigned long request, void *argument, int *result);

#endif
