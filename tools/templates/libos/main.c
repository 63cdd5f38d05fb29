/* SPDX-License-Identifier: BSD-2-Clause */
/* A library operating system of one's own: see tutorial-libos.md. */
#include <exo/flow.h>
#include <exo/space.h>
#include "libos/core/bare.h"

#define PAGES	24
#define FRAMES	8
#define TABLE	(PAGES * EXO_PAGE_SIZE)

static uint64_t table, faults;		/* where the pages are; how many faults there were */
static exo_cap_t memory;		/* the frames */
static uint64_t holds[FRAMES];		/* the address that each is mapped at */

/* The page-fault policy: which frame is given to the next page? */
static unsigned victim(void)
{
	return faults % FRAMES;		/* the one that has been there longest */
}

static void page_in(uint64_t at)
{
	unsigned frame = victim();

	if (holds[frame])
		bare_map(holds[frame], 0, EXO_CAP_NONE, 0, 1);
	bare_map(at, EXO_MAP_READ | EXO_MAP_WRITE, memory, frame, 1);
	for (uint64_t word = at; word < at + EXO_PAGE_SIZE; word += 8)
		*(uint64_t *)word = word - table;	/* a page that went is made again, not read back */
	holds[frame] = at;
	faults++;
}

static struct job {
	struct exo_regs regs;
	uint64_t slices;
	char stack[4096] __attribute__((aligned(16)));
} job[2];
static unsigned now;			/* the job that runs */
static volatile bool done;

/* The slice policy: which job gets the slice that begins? */
static unsigned next(void)
{
	return job[0].slices <= 3 * job[1].slices ? 0 : 1;	/* three for job 0, one for job 1 */
}

/* The slice, or what is left of it, goes to a job. */
static void pick(void)
{
	now = next();
	job[now].slices++;
	core_disp->on = job[now].regs;
}

void bare_fault(uint64_t vector)
{
	uint64_t address = core_disp->on.address;

	if (vector == 14 && address - table < TABLE) {
		page_in(address & -(uint64_t)EXO_PAGE_SIZE);
	} else if (vector == 6) {
		core_disp->on.rip += 2;	/* behind the UD2 */
		job[now].regs = core_disp->on;
		pick();
	} else {
		exo_env_exit(vector, address);
	}
}

#define SLOTS	8			/* packets that can be under way */

static exo_cap_t flow;
static struct exo_ring *ring;		/* its frame, and behind it the packets */
static uint32_t taken, given;

static void swap(uint8_t *a, uint8_t *b, unsigned bytes)
{
	for (uint8_t c; bytes--; *a++ = *b, *b++ = c)
		c = *a;
}

static void echo(void)
{
	for (; taken != ring->rx_head; taken++) {
		struct exo_rx *rx = &ring->rx[taken % SLOTS];
		uint32_t place = EXO_PAGE_SIZE + rx->slot * EXO_RX_SLOT_BYTES;
		uint8_t *packet = (uint8_t *)ring + place;

		swap(packet, packet + 6, 6);		/* Ethernet: to and from */
		swap(packet + 26, packet + 30, 4);	/* IPv4: from and to */
		swap(packet + 34, packet + 36, 2);	/* UDP: from and to */
		ring->tx[ring->tx_head++ % EXO_TX_SLOTS] = (struct exo_tx){ place, rx->bytes, 0 };
	}
	exo_flow_kick(flow);
	for (; given != ring->tx_done; given++)
		ring->rx_free[ring->rx_posted++ % SLOTS] = ring->rx[given % SLOTS].slot;
}

void bare_run(uint64_t reasons)
{
	(void)reasons;
	if (core_disp->saved & EXO_SAVED_ON)
		job[now].regs = core_disp->on;
	core_disp->saved = 0;
	for (;;) {
		uint64_t events = __atomic_load_n(&core_disp->events, __ATOMIC_ACQUIRE);
		if (ring)
			echo();
		if (!done)
			break;
		if (!ring)
			core_exit(0);
		exo_sleep(EXO_NEVER, events, EXO_CAP_NONE);
	}
	pick();
}

#define ROUNDS	2000

static void walk(void)			/* job 0: over the table, again and again */
{
	uint64_t sum = 0;

	for (uint64_t at = 0; at < ROUNDS * TABLE; at += 64)
		sum += *(volatile uint64_t *)(table + at % TABLE);
	core_print("the sum is %lu\npage faults: %lu\nslices of job 0: %lu\nslices of job 1: %lu\n", sum, faults,
		   job[0].slices, job[1].slices);
	done = true;
	exo_yield(EXO_CAP_NONE, 0);
}

static void spin(void)			/* job 1: takes much time, then lets the other go on */
{
	for (;;) {
		for (volatile unsigned i = 0; i < 10000000; i++)
			;
		__asm__ volatile("ud2");
	}
}

void bare_begin(void)
{
	table = core_begin->heap;
	memory = bare_take(FRAMES);
	flow = core_named("udp/7");
	ring = bare_ring(flow, table + TABLE, SLOTS);
	bare_state(&job[0].regs, walk, job[0].stack, sizeof(job[0].stack));
	bare_state(&job[1].regs, spin, job[1].stack, sizeof(job[1].stack));
}
