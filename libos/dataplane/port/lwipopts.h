/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the libOS dataplane configures lwIP: as libos/net does, but for what stands here. The types of sockets
 * stay, for programs that name them; lwIP's API layer is not linked.
 */
#ifndef LIBOS_DATAPLANE_LWIPOPTS_H
#define LIBOS_DATAPLANE_LWIPOPTS_H

#include "libos/net/port/lwipopts.h"

/* What lwIP asserts of itself is not looked at on the hot path; what it checks of what comes from outside, is. */
#define LWIP_NOASSERT

/* There is no pool. */
#define PBUF_POOL_FREE_OOSEQ		0

/* A listener's connections are put into tcp.c's table. */
#define LWIP_TCP_PCB_NUM_EXT_ARGS	1

/* Bytes to be sent are copied by threads, which may use wide registers. */
#define MEMCPY(to, from, bytes)		dataplane_copy(to, from, bytes)
typedef long long dataplane_wide __attribute__((vector_size(16), aligned(1), may_alias));
static inline void dataplane_copy_32(char *at, const char *source)
{
	dataplane_wide first = *(const dataplane_wide *)source, second = *(const dataplane_wide *)(source + 16);

	*(dataplane_wide *)at = first;
	*(dataplane_wide *)(at + 16) = second;
}
static inline void dataplane_copy(void *to, const void *from, size_t bytes)
{
	char *at = to;
	const char *source = from;

	if (bytes < 32) {
		__builtin_memcpy(at, source, bytes);
		return;
	}
	for (; bytes > 64; bytes -= 64, at += 64, source += 64) {
		dataplane_copy_32(at, source);
		dataplane_copy_32(at + 32, source + 32);
	}
	if (bytes > 32)
		dataplane_copy_32(at, source);
	dataplane_copy_32(at + bytes - 32, source + bytes - 32);	/* the last, some of them again */
}

#endif
