/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As many claims as the machine has room for: 1,000 TCP connections' are made and go, in an order that mixes them, and no
 * frame is left behind. What the first and the last cost to enter and to remove. Flows steered by number, and their
 * errors; shapes until there is no room; claims that cannot be compared with all flows.
 *
 * With the argument claims=N: that many are made, then packets may come; apps/bench/run.py counts what each costs.
 *
 * Runs first: yes
 * Run with: --icount --net user -m 64M
 */
#include <exo/flow.h>
#include "test/guest/call.h"

#define MANY	1000
#define ALL	(EXO_RIGHT_READ | EXO_RIGHT_CLAIM | EXO_RIGHT_BIND)
#define RUN	250	/* frames in one capability */

static exo_cap_t net, flow[MANY], run[MANY / RUN + 1];

static uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static exo_cap_t many_frames(uint32_t frames)
{
	exo_cap_t cap;
	uint32_t slot = caps_slot(), pfn, found = 0;

	for (pfn = core_info->frames_total - 1; pfn > 0 && found < frames; pfn--)
		found = info_frame(pfn)->state == EXO_FRAME_FREE ? found + 1 : 0;
	pfn++;
	cap = found == frames ? made(slot, exo_frame_take(slot, pfn, EXO_TAKE_MAX)) : EXO_CAP_NONE;
	while (cap && cap_of(cap)->count < frames) {
		uint32_t left = frames - cap_of(cap)->count;

		if (exo_frame_take(cap, pfn + cap_of(cap)->count, left < EXO_TAKE_MAX ? left : EXO_TAKE_MAX) <= 0)
			return EXO_CAP_NONE;
	}
	return cap;
}

static struct exo_claim *empty(const char *label)
{
	struct exo_claim *claim = core_arg(0);

	memset(claim, 0, sizeof(*claim));
	strcpy(claim->label, label);
	return claim;
}

static void term(uint16_t offset, uint8_t width, uint32_t mask, uint32_t value)
{
	struct exo_claim *claim = core_arg(0);

	claim->term[claim->terms++] =
	    (struct exo_term){ .offset = offset, .width = width, .mask = mask, .value = value };
}

/* A TCP connection, from its own address and port to port 80 of 10.0.2.15. */
static void connection(unsigned i)
{
	struct exo_claim *claim = empty("connection");

	term(12, 2, 0xffff, 0x0800);
	term(14, 1, 0xf0, 0x40);
	term(20, 2, 0x3fff, 0);
	term(23, 1, 0xff, 6);
	term(26, 4, 0xffffffff, 0x0a010000 + i);
	term(30, 4, 0xffffffff, 0x0a00020f);
	term(14, 2, 0xffff, 1024 + i * 7);
	term(16, 2, 0xffff, 80);
	for (unsigned t = 6; t < 8; t++) {
		claim->term[t].rel_offset = 14;
		claim->term[t].rel_mask = 15;
		claim->term[t].rel_shift = 2;
	}
}

static int64_t connect(unsigned i, unsigned frame)
{
	connection(i);
	return caps_flow_make(caps_slot(), net, run[frame / RUN], frame % RUN, 0);
}

static unsigned make_many(unsigned many, uint64_t *last)
{
	unsigned made_so_far = 0;

	for (unsigned i = 0; i < many; i++) {
		uint32_t slot = caps_slot();
		int64_t result;

		connection(i);
		uint64_t began = count();
		result = exo_flow_make(slot, net, run[i / RUN], i % RUN, 0);
		*last = count() - began;
		if (result == -EXO_EAGAIN)
			result = caps_flow_make(slot, net, run[i / RUN], i % RUN, 0);
		flow[i] = result > 0 ? (exo_cap_t)result : EXO_CAP_NONE;
		made_so_far += result > 0;
	}
	return made_so_far;
}

static uint64_t once(uint64_t *remove)
{
	uint64_t began;
	uint32_t slot;
	int64_t result;

	slot = caps_slot();
	connection(0);
	began = count();
	result = exo_flow_make(slot, net, run[0], 0, 0);
	uint64_t took = count() - began;
	began = count();
	exo_cap_delete((exo_cap_t)result);
	*remove = count() - began;
	return result > 0 ? took : 0;
}

static void thousand(bool print)
{
	uint64_t began = count(), insert[2], remove[2];
	unsigned gone = 0;
	int64_t result = connect(0, 0);

	if (print)
		core_print("bench filter_insert_shape %lu insns\n", count() - began);
	ok(result > 0, "the first of its shape");
	exo_cap_delete((exo_cap_t)result);
	insert[0] = once(&remove[0]);
	if (print)
		core_print("bench filter_insert_1st %lu insns\n", insert[0]);
	is(make_many(MANY, &insert[1]), MANY, "so many connections");
	if (print)
		core_print("bench filter_insert_1000th %lu insns\n", insert[1]);
	ok(insert[0] && insert[1] <= 3 * insert[0], "the last costs at most 3 times the first");
	is(connect(0, MANY), -EXO_EOVERLAP, "one that there is");
	for (unsigned i = 0; i < MANY; i++) {
		unsigned at = i * 7 % MANY;

		began = count();
		gone += exo_cap_delete(flow[at]) == 0;
		remove[1] = count() - began;
		if (i % 250 == 0) {
			uint32_t slot = caps_slot();

			connection(at);
			result = caps_flow_make(slot, net, run[at / RUN], at % RUN, 0);
			gone -= result < 0 || exo_cap_delete((exo_cap_t)result) != 0;
		}
	}
	is(gone, MANY, "all go");
	ok(remove[1] <= 3 * remove[0], "removing is as bounded: %lu, %lu", remove[0], remove[1]);
}

static int64_t steer(exo_cap_t parent, uint32_t number, uint32_t frame)
{
	struct exo_claim *claim = empty("steered");

	claim->flags = EXO_FLOW_STEERED;
	claim->steer = number;
	return caps_flow_make(caps_slot(), parent, run[0], frame, 0);
}

static void steered(void)
{
	struct exo_claim *claim;
	exo_cap_t made_ones[EXO_STEER_MAX], top = (exo_cap_t)connect(0, 0);
	unsigned good = 0;

	for (uint32_t i = 0; i < EXO_STEER_MAX; i++) {
		int64_t result = steer(top, i, 1 + i);

		made_ones[i] = (exo_cap_t)result;
		good += result > 0;
	}
	is(good, EXO_STEER_MAX, "steered flows, one for each number");
	is(steer(top, 3, 20), -EXO_EOVERLAP, "steered OVERLAP: the number is taken");
	is(steer(top, EXO_STEER_MAX, 20), -EXO_EINVAL, "steered INVAL: no such number");
	is(steer(made_ones[0], 0, 20), -EXO_ESTATE, "STATE: below a steered one");
	claim = empty("steered");
	claim->flags = EXO_FLOW_STEERED;
	term(12, 2, 0xffff, 0x800);
	is(caps_flow_make(caps_slot(), top, run[0], 20, 0), -EXO_EINVAL, "steered INVAL: with terms");
	claim = empty("steered");
	claim->flags = EXO_FLOW_STEERED | EXO_FLOW_SHARED;
	is(caps_flow_make(caps_slot(), top, run[0], 20, 0), -EXO_EINVAL, "steered INVAL: shared");
	claim = empty("plain");
	claim->steer = 1;
	is(caps_flow_make(caps_slot(), top, run[0], 20, 0), -EXO_EINVAL, "INVAL: a number, and not steered");
	is(exo_cap_delete(made_ones[3]), 0, "one goes");
	made_ones[3] = (exo_cap_t)steer(top, 3, 4);
	ok((int64_t)made_ones[3] > 0, "its number is free again");
	exo_cap_delete(top);
	is(info_frame((uint32_t)cap_of(run[0])->first)->state, EXO_FRAME_FLOW, "the one above stays for them");
	for (uint32_t i = 0; i < EXO_STEER_MAX; i++)
		exo_cap_delete(made_ones[i]);
	is(info_frame((uint32_t)cap_of(run[0])->first)->state, EXO_FRAME_OWNED, "and goes with the last");
}

/* Each below the last with a shape of its own, and many side by side that exclude each other by type. */
static void shapes(void)
{
	unsigned made_so_far = 0, again;
	int64_t result = 0;

	for (unsigned round = 0; round < 2; round++) {
		for (again = 0; again < 100; again++) {
			empty("shape");
			term(12, 2, 0xffff, 0x1000 + again);
			term((uint16_t)(20 + again), 1, 0xff, 1);
			result = caps_flow_make(caps_slot(), net, run[0], again, 0);
			if (result < 0)
				break;
			flow[again] = (exo_cap_t)result;
		}
		made_so_far = round ? made_so_far : again;
		for (unsigned i = 0; i < again; i++)
			exo_cap_delete(flow[i]);
	}
	is(result, -EXO_EFULL, "FULL: no more shapes");
	ok(made_so_far >= 32 && again == made_so_far, "after %u, and again after %u: those that are gone make room",
	    made_so_far, again);
}

/* A claim of fewer fields than those that there are has to be compared with each. */
static void compared(void)
{
	unsigned i;
	int64_t result;

	for (i = 0; i < 200; i++)
		flow[i] = (exo_cap_t)connect(i, i);
	empty("from another");
	term(26, 4, 0xffffffff, 0x0b000000);
	result = caps_flow_make(caps_slot(), net, run[0], 210, 0);
	is(result, -EXO_EFULL, "FULL: more terms than EXO_TERMS_BELOW_MAX would have to be compared");
	empty("ARP");
	term(12, 2, 0xffff, 0x0806);
	result = caps_flow_make(caps_slot(), net, run[0], 210, 0);
	ok(result > 0, "what all exclude is compared once");
	exo_cap_delete((exo_cap_t)result);
	for (; i-- > 0;)
		exo_cap_delete(flow[i]);
}

int main(void)
{
	unsigned claims = (unsigned)call_option("claims", 0);
	uint64_t last;

	net = core_named(EXO_NAME_NET);
	if (!ok(net != 0, "there is a network device"))
		return call_done();
	ok(core_info->flows.entries >= 2048, "flows: %u", core_info->flows.entries);
	for (unsigned i = 0; i <= MANY / RUN; i++)
		run[i] = many_frames(RUN);
	if (call_option("packets", 0)) {
		is(make_many(claims, &last), claims, "so many claims");
		core_print("filters ready\n");
		for (;;)
			thread_sleep(core_now() + 1000 * MS);
	}
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();

		thousand(round == 0);
		steered();
		shapes();
		compared();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
