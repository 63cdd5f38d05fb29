/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that a packet meets on its way, from the ring to the program and back, as one unit for the compiler: between files it
 * can neither inline nor drop what is never asked for, which costs a third of the instructions of a request.
 *
 * lwIP's sources are as they were unpacked (of those that are not here, most are for other packets: liblwip.a).
 */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Waddress"
#include "libos/net/memory.c"
#include "libos/net/flownet.c"
#include "libos/net/flownet_bind.c"
#include "lwip/../../core/mem.c"
#include "lwip/../../core/memp.c"
#include "lwip/../../core/pbuf.c"
#include "libos/dataplane/table.c"
#include "libos/dataplane/tcp.c"
#include "libos/dataplane/conn.c"
#include "libos/dataplane/loop.c"
