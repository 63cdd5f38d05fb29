/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections by their names: a hash table, where lwIP walks a list. A part of whole.c.
 *
 * T1 a connection is in the table from the first SYN until lwIP frees it; one that was asked for from here if there was room
 * T2 the table is never more than three quarters full; hashes are keyed, so nobody outside can make long chains
 */
#include "lwip/priv/tcp_priv.h"
#include "libos/core/core.h"

#define TABLE_BITS	12
#define TABLE_SIZE	(1 << TABLE_BITS)
#define TABLE_MOST	(TABLE_SIZE / 4 * 3)
#define EXT_ID		0

static struct tcp_pcb *table[TABLE_SIZE];
static unsigned table_used;
static u64_t key[2];

/* Not of our port: lwIP forgets that before it tells that a connection goes. */
static unsigned place_of(u32_t address, u16_t port)
{
	u64_t word = (u64_t)address << 32 | port;

	unsigned __int128 product = (unsigned __int128)(word ^ key[0]) * key[1];

	return (unsigned)(((u64_t)product ^ (u64_t)(product >> 64)) >> (64 - TABLE_BITS));
}

static unsigned place_of_pcb(const struct tcp_pcb *pcb)
{
	return place_of(pcb->remote_ip.addr, pcb->remote_port);
}

static struct tcp_pcb *table_find(u32_t address, u16_t port, u16_t local)
{
	struct tcp_pcb *pcb;

	for (unsigned at = place_of(address, port); (pcb = table[at]) != NULL; at = (at + 1) % TABLE_SIZE) {
		if (pcb->remote_ip.addr == address && pcb->remote_port == port && pcb->local_port == local)
			return pcb;
	}
	return NULL;
}

/* Those behind a place that is free now may have wanted it. */
static void table_close_up(unsigned hole)
{
	struct tcp_pcb *pcb;

	for (unsigned at = (hole + 1) % TABLE_SIZE; (pcb = table[at]) != NULL; at = (at + 1) % TABLE_SIZE) {
		if ((at - place_of_pcb(pcb)) % TABLE_SIZE < (at - hole) % TABLE_SIZE)
			continue;
		table[hole] = pcb;
		table[at] = NULL;
		hole = at;
	}
}

static void on_destroy(u8_t id, void *data)
{
	struct tcp_pcb *pcb = data;
	unsigned at;

	(void)id;
	if (!pcb)
		return;
	for (at = place_of_pcb(pcb); table[at] != pcb; at = (at + 1) % TABLE_SIZE)
		;
	table[at] = NULL;
	table_used--;
	table_close_up(at);
}

static err_t on_passive_open(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb);

static const struct tcp_ext_arg_callbacks table_calls = { on_destroy, on_passive_open };

static err_t table_add(u8_t id, struct tcp_pcb *pcb)
{
	unsigned at = place_of_pcb(pcb);

	if (table_used == TABLE_MOST)
		return ERR_MEM;
	while (table[at])
		at = (at + 1) % TABLE_SIZE;
	table[at] = pcb;
	table_used++;
	tcp_ext_arg_set_callbacks(pcb, id, &table_calls);
	tcp_ext_arg_set(pcb, id, pcb);
	return ERR_OK;
}

static err_t on_passive_open(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
	(void)listener;
	return table_add(id, pcb);
}

/* Before anything is put into it. */
static void table_start(void)
{
	core_random(key, sizeof(key));
	key[1] |= 1;
}

/* A listener's connections are put into it. */
static void table_listen(struct tcp_pcb *listener)
{
	tcp_ext_arg_set_callbacks(listener, EXT_ID, &table_calls);
}
