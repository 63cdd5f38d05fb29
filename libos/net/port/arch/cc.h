/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lwIP asks of a compiler and C library: picolibc's types, errno and time, libos/core's console and randomness.
 */
#ifndef LIBOS_NET_ARCH_CC_H
#define LIBOS_NET_ARCH_CC_H

#include <stdint.h>
#include <errno.h>
#include <limits.h>
#include <sys/time.h>
#include <sys/types.h>

/* Else lwIP makes a type ssize_t of its own. */
#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif
#define LWIP_NO_UNISTD_H 1

#ifndef BYTE_ORDER
#define BYTE_ORDER LITTLE_ENDIAN
#endif

/* Not functions: most of them are of constants, or part of a comparison. */
#define lwip_htons(x)	((u16_t)__builtin_bswap16(x))
#define lwip_htonl(x)	((u32_t)__builtin_bswap32(x))

void net_diagnostic(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void net_assertion(const char *message, const char *file, int line);
uint32_t net_random(void);

#define LWIP_PLATFORM_DIAG(arguments)	do { net_diagnostic arguments; } while (0)
#define LWIP_PLATFORM_ASSERT(message)	net_assertion(message, __FILE__, __LINE__)
#define LWIP_RAND()			net_random()

#endif
