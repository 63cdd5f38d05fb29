/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats: memcached's names for what kv counts, and a few of its own (conn_*).
 */
#include <string.h>
#include <time.h>

#include "apps/kv/kv.h"

static void stat_line(struct session *s, const char *name, uint64_t v)
{
	SAY(s, "STAT ");
	say(s, name, strlen(name));
	SAY(s, " ");
	say_number(s, v);
	SAY(s, "\r\n");
}

static void general(struct session *s)
{
	const struct kv_counts *k = &kv_counts;
	const struct store_counts *c = &store_counts;
	const struct { const char *name; uint64_t v; } lines[] = {
		{ "pid", 1 }, { "uptime", store_now - 2 }, { "time", (uint64_t)time(NULL) },
		{ "pointer_size", 64 }, { "max_connections", kv_max_connections },
		{ "curr_connections", k->connections }, { "total_connections", k->connections_total },
		{ "rejected_connections", k->connections_refused },
		{ "cmd_get", k->get_hits + k->get_misses }, { "cmd_set", k->sets }, { "cmd_flush", k->flushes },
		{ "cmd_touch", k->touch_hits + k->touch_misses },
		{ "get_hits", k->get_hits }, { "get_misses", k->get_misses },
		{ "delete_misses", k->delete_misses }, { "delete_hits", k->delete_hits },
		{ "incr_misses", k->incr_misses }, { "incr_hits", k->incr_hits },
		{ "decr_misses", k->decr_misses }, { "decr_hits", k->decr_hits },
		{ "cas_misses", k->cas_misses }, { "cas_hits", k->cas_hits }, { "cas_badval", k->cas_bad },
		{ "touch_hits", k->touch_hits }, { "touch_misses", k->touch_misses },
		{ "bytes_read", conn_counts.received }, { "bytes_written", conn_counts.sent },
		{ "limit_maxbytes", c->limit }, { "threads", 1 }, { "bytes", c->bytes },
		{ "curr_items", c->items }, { "total_items", c->total_items },
		{ "evictions", c->evictions }, { "reclaimed", c->expired }, { "slabs_moved", c->reclaimed_pages },
		{ "total_malloced", c->memory }, { "conn_copied_in", conn_counts.copied_in },
		{ "conn_copied_out", conn_counts.copied_out }, { "conn_turns", conn_counts.turns },
		{ "conn_sleeps", conn_counts.sleeps },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		stat_line(s, lines[i].name, lines[i].v);
	SAY(s, "STAT version " EXO_VERSION "\r\n");
	SAY(s, "STAT libevent none\r\n");
}

void command_stats(struct session *s, const struct word *words, unsigned count)
{
	if (count == 1) {
		general(s);
	} else if (word_is(words[1], "reset")) {
		uint64_t now = kv_counts.connections;

		kv_counts = (struct kv_counts){ .connections = now };
		store_counts.evictions = store_counts.expired = store_counts.total_items = 0;
		return SAY(s, "RESET\r\n");
	} else if (word_is(words[1], "settings")) {
		stat_line(s, "maxbytes", store_counts.limit);
		stat_line(s, "maxconns", kv_max_connections);
		stat_line(s, "item_size_max", kv_value_max);
		SAY(s, "STAT evictions on\r\nSTAT cas_enabled yes\r\n");
	} else if (!word_is(words[1], "items") && !word_is(words[1], "slabs") && !word_is(words[1], "sizes")) {
		return SAY(s, "ERROR\r\n");
	}
	SAY(s, "END\r\n");
}
