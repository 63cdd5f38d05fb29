/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum's sum as lwIP asks for it (LWIP_CHKSUM).
 */
#include "libos/net/port/lwipopts.h"
#include "libos/net/sum.h"

unsigned short net_checksum(const void *data, int bytes)
{
	return sum_fold(sum_bytes(0, data, (uint32_t)bytes));
}
