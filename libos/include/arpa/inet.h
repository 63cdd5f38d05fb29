/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internet addresses as text: lwIP's, under their POSIX names.
 */
#ifndef EXO_LIBC_ARPA_INET_H
#define EXO_LIBC_ARPA_INET_H

#include <netinet/in.h>

#ifdef __cplusplus
extern "C" {
#endif
const char *inet_ntop(int family, const void *address, char *text, socklen_t bytes);
int inet_pton(int family, const char *text, void *address);
#ifdef __cplusplus
}
#endif

#endif
