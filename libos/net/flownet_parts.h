/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What flownet.c, through which packets go, and flownet_bind.c, where rings begin, share. Q1 and Q2 are in flownet.c.
 */
#ifndef LIBOS_NET_FLOWNET_PARTS_H
#define LIBOS_NET_FLOWNET_PARTS_H

#include "lwip/pbuf.h"
#include "libos/net/flownet.h"
#include <exo/flow.h>

enum kind { KIND_ALL, KIND_ARP, KIND_FRAGMENTS, KIND_PORT };

struct flow;

struct rx_buffer {
	struct pbuf_custom custom;	/* first */
	struct flow *flow;
	uint16_t slot;
};

struct flow {
	exo_cap_t cap;
	enum kind kind;
	uint8_t protocol;		/* of KIND_PORT */
	uint16_t port;
	uint32_t ports;
	struct exo_ring *ring;
	uint32_t slots, seen, posted, held;
	bool own;			/* the device fills the slots, and must be given them: ... */
	uint32_t given;			/* `posted` when the kernel was last told */
	struct rx_buffer *buffers;
	uint32_t tx_head, tx_freed;
	uint32_t posted_frames;		/* posted and not kicked */
	struct pbuf *tx_pbuf[EXO_TX_SLOTS];
	struct pbuf **backlog;		/* BACKLOG of them, made when first needed */
	uint32_t backlog_head, backlog_tail;
};

static inline char *slot_address(const struct flow *flow, unsigned slot)
{
	return (char *)flow->ring + EXO_PAGE_SIZE + slot * EXO_RX_SLOT_BYTES;
}

static inline void slot_post(struct flow *flow, uint16_t slot)
{
	flow->ring->rx_free[flow->posted++ & (flow->slots - 1)] = slot;
	__atomic_store_n(&flow->ring->rx_posted, flow->posted, __ATOMIC_RELEASE);
}

/* A capability of the start record, if it is a flow that we know: its kind and ports. */
bool flownet_named(struct flow *flow, const char *name);
/* A ring for it, of `rx_frames` frames or what its kind needs, or fewer if there are not so many in a row; all slots are
 * posted. NULL, or what is wrong. */
const char *flownet_bind_one(struct flow *flow, const struct net_run *memory, uint32_t rx_frames);

#endif
