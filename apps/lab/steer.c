/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet steering: which of four rings does a request go to?
 *
 * This program has the network's flow, and below it four flows that take nothing by themselves: a program
 * that runs in the kernel when a packet arrives (the policy: eBPF, compiled from C, checked when it is
 * loaded) says to which each goes. Behind each ring stands a worker with a small cache of its own, as each
 * CPU of a server has one: 16 keys, the least recently used goes. Requests are UDP packets of 64 clients,
 * few of whom ask often, for 256 keys, few of which are asked for often. They leave by this program's own
 * ring; the wire ends where it begins, so they come back.
 *
 * Measured: how many requests each ring got (balance), and how many of them found their key in its cache
 * (locality).
 *
 * Arguments: how many requests for each policy (2000).
 */
#include <stdlib.h>
#include <string.h>
#include <exo/flow.h>
#include "libos/core/code.h"
#include "libos/core/code_report.h"
#include "libos/core/frame.h"
#include "libos/net/claim.h"
#include "libos/net/memory.h"
#include "steer.h"

struct lab_object {
	const unsigned char *bytes;
	unsigned size;
};

#define LAB_TYPE struct lab_object
#include "lab.h"

#define RINGS		STEER_RINGS
#define RX_FRAMES	16
#define SLOTS		(2 * RX_FRAMES)
#define BATCH		8		/* requests under way */
#define CACHE		16
#define PATIENCE	(CORE_SECOND / 5)

struct worker {
	exo_cap_t flow;
	struct exo_ring *ring;
	uint32_t taken, requests, hits;
	uint32_t cache[CACHE];		/* keys, the last one used first; 0: none, else + 1 */
};

static struct worker all, worker[RINGS];	/* all: the flow above, for packets that are not steered */
static struct net_run send;

/* --- rings ---------------------------------------------------------------------------------------------- */

static bool ring_open(struct worker *w, const struct net_run *tx)
{
	struct net_run run;

	if (!net_run_take(&run, 1 + RX_FRAMES, 1 + RX_FRAMES))
		return false;
	w->ring = (struct exo_ring *)run.base;
	w->ring->rx_frames = RX_FRAMES;
	for (uint16_t i = 0; i < SLOTS; i++)
		w->ring->rx_free[i] = i;
	w->ring->rx_posted = SLOTS;
	return !exo_flow_bind(w->flow, run.cap, 0, tx ? tx->cap : EXO_CAP_NONE, 0, tx ? tx->frames : 0);
}

static bool worker_open(uint32_t number)
{
	struct exo_claim *claim = core_arg(0);
	struct frame frame;

	*claim = (struct exo_claim){ .flags = EXO_FLOW_STEERED, .steer = number, .label = "steered" };
	if (!frame_alloc_object(1, &frame))
		return false;
	int64_t flow = caps_flow_make(caps_slot(), all.flow, frame.cap, frame.first, 0);
	worker[number].flow = flow > 0 ? (exo_cap_t)flow : EXO_CAP_NONE;
	return flow > 0 && ring_open(&worker[number], NULL);
}

/* What has come to a ring; how many requests. */
static uint32_t serve(struct worker *w)
{
	uint32_t head = __atomic_load_n(&w->ring->rx_head, __ATOMIC_ACQUIRE), count = 0;

	for (; w->taken != head; w->taken++) {
		uint16_t slot = w->ring->rx[w->taken % SLOTS].slot;
		const char *place = (char *)w->ring + EXO_PAGE_SIZE + slot * EXO_RX_SLOT_BYTES;
		const struct steer_request *request = (const struct steer_request *)place;
		uint32_t key = __builtin_bswap32(request->key) + 1, i = 0;

		if (__builtin_bswap16(request->type) == 0x0800) {
			while (i < CACHE - 1 && w->cache[i] != key)
				i++;
			w->hits += w->cache[i] == key;
			memmove(&w->cache[1], &w->cache[0], i * sizeof(w->cache[0]));
			w->cache[0] = key;
			count++;
		}
		w->ring->rx_free[w->ring->rx_posted % SLOTS] = slot;
		__atomic_store_n(&w->ring->rx_posted, w->ring->rx_posted + 1, __ATOMIC_RELEASE);
	}
	w->requests += count;
	return count;
}

/* --- requests ------------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)((seed * 0x2545f4914f6cdd1d >> 32) * n >> 32);
}

/* A number below n, small ones more often (about as Zipf has it). */
static uint32_t often(uint32_t n)
{
	uint32_t most = 1 + below(n);

	return below(1 + below(most));
}

static void request_send(uint32_t i)
{
	uint32_t at = i % BATCH * 64;
	struct steer_request *request = (struct steer_request *)(send.base + at);
	const uint8_t *mac = core_info->device[0].address;

	*request = (struct steer_request){ .type = __builtin_bswap16(0x0800),
		.ip = { 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17 },
		.from_address = __builtin_bswap32(0x0a000300 + often(STEER_CLIENTS)),
		.to_address = __builtin_bswap32(0x0a00020f), .from_port = __builtin_bswap16(4000),
		.to_port = __builtin_bswap16(7), .bytes = __builtin_bswap16(12),
		.key = __builtin_bswap32(often(STEER_KEYS)) };
	memcpy(request->to, mac, 6);
	memcpy(request->from, mac, 6);
	all.ring->tx[all.ring->tx_head % EXO_TX_SLOTS] = (struct exo_tx){ at, sizeof(*request) + 14, 0 };
	__atomic_store_n(&all.ring->tx_head, all.ring->tx_head + 1, __ATOMIC_RELEASE);
}

/* Send requests and let the workers have them; how many came to no worker. */
static uint32_t run(uint32_t requests)
{
	uint32_t sent = 0, served = 0, kept = 0, missing = 0;

	while (sent < requests && kept + missing <= 4 * BATCH) {
		exo_time_t end = core_now() + PATIENCE;
		for (uint32_t i = 0; i < BATCH && sent < requests; i++)
			request_send(sent++);
		exo_flow_kick(all.flow);
		while (served + kept + missing < sent && core_now() < end) {
			uint64_t events = *(volatile uint64_t *)&core_disp->events;
			uint32_t before = served + kept;
			for (uint32_t r = 0; r < RINGS; r++)
				served += serve(&worker[r]);
			kept += serve(&all);
			if (served + kept == before)
				core_sleep(end, events);
		}
		missing = sent - served - kept;
	}
	return requests - served;
}

/* Why the kernel does not take a program. */
static void explain(const struct code_program *program, const struct code_object *object)
{
	static struct exo_insn insn[EXO_INSNS_MAX];
	static uint8_t data[EXO_CODE_DATA_MAX];
	static char text[2000];
	uint8_t *const no_window[EXO_WINDOWS_OWN] = { NULL };

	code_object_place(object, insn, data, no_window);
	code_report(text, sizeof(text), &program->report, insn, object->header.insns);
	printf("%s", text);
}

static bool measure(const struct lab_choice *choice, uint32_t requests)
{
	struct code_program program;
	struct code_object object;
	int64_t error = code_load_object(&program, &object, choice->policy->bytes, choice->policy->size,
	    NULL);

	if (error) {
		lab_wrong(choice->name, "%s: %s; it is left out", program.wrong, exo_error_text(error));
		if (error == -EXO_EREJECTED)
			explain(&program, &object);
		return false;
	}
	for (uint32_t r = 0; r < RINGS; r++) {
		worker[r].requests = worker[r].hits = 0;
		memset(worker[r].cache, 0, sizeof(worker[r].cache));
	}
	seed = 88172645463325252;
	error = exo_flow_attach(all.flow, program.cap);
	uint32_t lost = error ? 0 : run(requests), sum = requests - lost;
	if (lost)
		lab_wrong(choice->name, "%u requests went to no ring from 0 to %d", lost, RINGS - 1);
	for (uint32_t r = 0; r < RINGS && !error; r++) {
		lab_row("requests of a ring (%% of all),%s,ring %u,%u", choice->name, r,
		    worker[r].requests * 100 / (sum ? sum : 1));
		lab_row("found in its cache (%% of the ring's),%s,ring %u,%u", choice->name, r,
		    worker[r].hits * 100 / (worker[r].requests ? worker[r].requests : 1));
	}
	exo_flow_attach(all.flow, EXO_CAP_NONE);
	code_unload(&program);
	return !error;
}

int main(int argc, char **argv)
{
	char *end = "";
	uint32_t requests = argc > 1 ? (uint32_t)strtoul(argv[1], &end, 10) : 2000;
	bool good = requests >= 1 && requests <= 1000000 && !*end;

	if (!good) {
		printf("steer: '%s' is not a number of requests from 1 to 1000000\n", argv[1]);
		return 2;
	}
	all.flow = core_named(CLAIM_NAME_ALL);
	good = all.flow && net_run_take(&send, 1, 1) && ring_open(&all, &send);
	for (uint32_t r = 0; r < RINGS && good; r++)
		good = worker_open(r);
	if (!good) {
		printf("steer: there is no network, or no flow can be made of it (net = own, limit_flows)\n");
		return 1;
	}
	lab_columns("measure,policy,ring,value");
	for (unsigned c = 0; c < LAB_CHOICES; c++)
		measure(&lab_choice[c], requests);
	return 0;
}
