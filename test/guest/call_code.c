/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * code_load, code_step, code_bind, flow_attach: what they do, each of their errors, and abuse: programs that run on packets
 * while their capabilities, their memory, their flow and their environment go, here and on another CPU; and memory that
 * is a program's and cannot be written.
 * Runs first: yes
 * Run with: --net user --smp 2
 */
#include <exo/flow.h>
#include "libos/core/code.h"
#include "libos/core/insn.h"
#include "test/guest/agent.h"

#define ALL		(EXO_RIGHT_READ | EXO_RIGHT_CLAIM | EXO_RIGHT_BIND)
#define FRAMES		6
#define TYPE_ARP	0x0806

static exo_cap_t net, console;
static exo_vaddr_t window;		/* FRAMES pages for filling frames in */

static const struct exo_insn keep[] = { INSN_OPI(MOV, 0, EXO_PACKET_KEEP), INSN_EXIT };
static const struct exo_insn unset[] = { INSN_OP(MOV, 0, 3), INSN_EXIT };
static const struct exo_insn count[] = {	/* word 0 of its memory; the packet is dealt with */
	INSN_WINDOW(1, 0, 0), INSN_LOAD(8, 2, 1, 0), INSN_OPI(ADD, 2, 1), INSN_STORE(8, 1, 0, 2),
	INSN_OPI(MOV, 0, EXO_PACKET_DONE), INSN_EXIT,
};
#define SIZE(program)	(sizeof(program) / sizeof((program)[0]))

static struct exo_code header_of(uint32_t use, uint32_t insns, uint32_t memory)
{
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = use, .insns = insns,
		.fuel = EXO_FUEL_WAKE };

	header.window[0].frames = memory;
	header.window[0].flags = memory ? EXO_WINDOW_WRITE : 0;
	return header;
}

static void fill(exo_cap_t frames, const struct exo_code *header, const struct exo_insn *insn)
{
	space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, FRAMES);
	memcpy((void *)window, header, sizeof(*header));
	memcpy((char *)window + EXO_CODE_INSNS, insn, header->insns < 64 ? header->insns * sizeof(*insn) : sizeof(*insn));
	space_map(window, 0, EXO_CAP_NONE, 0, FRAMES);
}

/* Loaded, checked; its frames' capability too. */
static exo_cap_t program(exo_cap_t *frames, const struct exo_insn *insn, uint32_t insns, uint32_t memory, int64_t wanted)
{
	struct exo_code header = header_of(EXO_USE_PACKET, insns, memory);
	uint32_t slot = caps_slot();
	exo_cap_t code;
	int64_t error;

	*frames = take_frames(FRAMES);
	fill(*frames, &header, insn);
	code = made(slot, exo_code_load(slot, *frames, 0, FRAMES));
	do
		error = exo_code_step(code, 64);
	while (error == -EXO_EAGAIN);
	is(error, wanted, "load and step");
	return code;
}

/* --- errors --------------------------------------------------------------------------------------------- */

static void bad_header(exo_cap_t frames, struct exo_code *header, uint32_t *field, uint32_t value, const char *name)
{
	uint32_t good = *field;

	*field = value;
	fill(frames, header, keep);
	is(exo_code_load(caps_slot(), frames, 0, FRAMES), -EXO_EINVAL, "load INVAL: %s", name);
	*field = good;
}

static void loading(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(keep), 0);
	exo_cap_t frames = take_frames(FRAMES), weak = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0), code;
	uint32_t slot = caps_slot();

	fill(frames, &header, keep);
	is(exo_code_load(slot, frames, 0, 0), -EXO_EINVAL, "load INVAL: no frames");
	is(exo_code_load(slot, frames, 0, EXO_CODE_FRAMES_MAX + 1), -EXO_EINVAL, "load INVAL: too many frames");
	is(exo_code_load(slot, frames, 0, 1ULL << 32 | 2), -EXO_EINVAL, "load INVAL: beyond 32 bits");
	is(exo_code_load(slot, NO_CAP, 0, 2), -EXO_ECAP, "load CAP");
	is(exo_code_load(slot, console, 0, 2), -EXO_ETYPE, "load TYPE");
	is(exo_code_load(slot, weak, 0, 2), -EXO_ERIGHTS, "load RIGHTS");
	is(exo_code_load(slot, frames, FRAMES - 1, 2), -EXO_ERANGE, "load RANGE");
	is(exo_code_load(slot, frames, ~0ULL, 2), -EXO_ERANGE, "load RANGE: wraps");
	is(exo_code_load(exo_cap_slot(frames), frames, 0, FRAMES), -EXO_ESLOT, "load SLOT: in use");
	is(exo_code_load(NO_SLOT, frames, 0, FRAMES), -EXO_ESLOT, "load SLOT: none");
	is(exo_code_load(slot, frames, 0, FRAMES), -EXO_EBUSY, "load BUSY: another capability covers the frames");
	caps_delete(weak);
	space_map(window, EXO_MAP_READ, frames, 1, 1);
	is(exo_code_load(slot, frames, 0, FRAMES), -EXO_EBUSY, "load BUSY: mapped");
	space_map(window, 0, EXO_CAP_NONE, 0, 1);
	bad_header(frames, &header, &header.version, 2, "version");
	bad_header(frames, &header, &header.size, 0, "size");
	bad_header(frames, &header, &header.use, 0, "use");
	bad_header(frames, &header, &header.use, 4, "the kernel's use");
	bad_header(frames, &header, &header.insns, EXO_INSNS_MAX + 1, "too many instructions");
	bad_header(frames, &header, &header.insns, ~0u, "instructions that wrap");
	bad_header(frames, &header, &header.data_bytes, ~0u, "constants that wrap");
	bad_header(frames, &header, &header.fuel, 0, "no fuel");
	bad_header(frames, &header, &header.fuel, ~0u, "too much fuel");
	bad_header(frames, &header, &header.window[1].frames, ~0u, "a window that wraps");
	bad_header(frames, &header, &header.window[2].flags, 4, "an unknown flag");
	fill(frames, &header, keep);
	code = made(slot, exo_code_load(slot, frames, 0, FRAMES));
	ok(code != EXO_CAP_NONE && cap_of(code)->type == EXO_TYPE_CODE, "load");
	is(info_frame(pfn_of(frames) + FRAMES - 1)->state, EXO_FRAME_CODE, "the frames are the program's");
	ok(write_one(space_own(), window | EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 1) <= 0, "nobody can write them");
	ok(write_one(space_own(), window | EXO_MAP_READ, frames, 2, 1) <= 0, "nor read them");
	is(exo_cap_delete(frames), -EXO_EBUSY, "nor let go of them before it");
	caps_delete(code);
	ok(write_one(space_own(), window | EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 1) == 1, "it goes: they are memory again");
	space_map(window, 0, EXO_CAP_NONE, 0, 1);
	is(caps_delete(frames), 0, "and can go");
}

static void stepping(void)
{
	const struct exo_code_report *report = core_arg(64);
	exo_cap_t frames, code = program(&frames, unset, SIZE(unset), 0, -EXO_EREJECTED), weak;

	ok(report->reject == EXO_REJECT_UNSET && report->insn == 0 && report->reg == 3, "the report says why");
	is(exo_code_step(code, 64), -EXO_EREJECTED, "step REJECTED: again");
	is(exo_code_step(NO_CAP, 0), -EXO_ECAP, "step CAP");
	is(exo_code_step(frames, 0), -EXO_ETYPE, "step TYPE");
	weak = (exo_cap_t)caps_derive(code, EXO_RIGHT_EXEC, 0, 0);
	is(exo_code_step(weak, 0), -EXO_ERIGHTS, "step RIGHTS");
	is(exo_code_step(code, EXO_PAGE_SIZE - 64), -EXO_ERANGE, "step RANGE");
	is(exo_code_step(code, 4), -EXO_ERANGE, "step RANGE: not aligned");
	is(exo_code_step(code, ~7ULL), -EXO_ERANGE, "step RANGE: wraps");
	is(exo_code_bind(code, 0, frames, 0), -EXO_ESTATE, "bind STATE: rejected");
	is(exo_flow_attach(net, code), -EXO_ESTATE, "attach STATE: rejected");
	caps_delete(code);
	is(exo_code_step(weak, 0), -EXO_ERIGHTS, "it lives while somebody names it");
	caps_delete(weak);
	is(caps_delete(frames), 0, "then its frames can go");
}

/* By force: its frames' owner takes the program apart. */
static void reclaiming(void)
{
	exo_cap_t frames, code = program(&frames, count, SIZE(count), 1, 0), memory = take_frames(1);
	int64_t error;

	is(exo_code_bind(code, 0, memory, 0), 0, "bind");
	is(exo_frame_give(memory, 1), -EXO_EBUSY, "its memory is pinned");
	do
		error = exo_frame_reclaim(frames, 0, FRAMES);
	while (error == -EXO_EAGAIN);
	is(error, 0, "reclaim takes the program apart");
	is(exo_code_step(code, 0), -EXO_ESTATE, "step STATE");
	is(exo_code_bind(code, 0, memory, 0), -EXO_ESTATE, "bind STATE");
	is(exo_flow_attach(net, code), -EXO_ESTATE, "attach STATE");
	is(exo_frame_give(memory, 1), 1, "its memory is free");
	is(caps_delete(frames), 0, "so are its frames");
	is(exo_cap_delete(code), 0, "and what named it goes, too");
}

static void binding(void)
{
	exo_cap_t frames, code = program(&frames, count, SIZE(count), 2, 0), memory = take_frames(4);
	exo_cap_t weak = (exo_cap_t)caps_derive(memory, EXO_RIGHT_READ, 0, 0), run = (exo_cap_t)caps_derive(code,
	    EXO_RIGHT_EXEC, 0, 0);

	is(exo_code_bind(NO_CAP, 0, memory, 0), -EXO_ECAP, "bind CAP: program");
	is(exo_code_bind(memory, 0, memory, 0), -EXO_ETYPE, "bind TYPE: program");
	is(exo_code_bind(run, 0, memory, 0), -EXO_ERIGHTS, "bind RIGHTS: program");
	is(exo_code_bind(code, 1, memory, 0), -EXO_EINVAL, "bind INVAL: no such window");
	is(exo_code_bind(code, 1ULL << 32, memory, 0), -EXO_EINVAL, "bind INVAL: beyond 32 bits");
	is(exo_code_bind(code, 0, NO_CAP, 0), -EXO_ECAP, "bind CAP: frames");
	is(exo_code_bind(code, 0, code, 0), -EXO_ETYPE, "bind TYPE: frames");
	is(exo_code_bind(code, 0, weak, 0), -EXO_ERIGHTS, "bind RIGHTS: frames that cannot be written");
	is(exo_code_bind(code, 0, memory, 3), -EXO_ERANGE, "bind RANGE");
	is(exo_code_bind(code, 0, frames, 0), -EXO_EBUSY, "bind BUSY: its own code");
	is(exo_flow_attach(net, code), -EXO_ESTATE, "attach STATE: without its memory");
	is(exo_code_bind(code, 0, memory, 1), 0, "bind");
	is(exo_code_bind(code, 0, memory, 1), -EXO_EBUSY, "bind BUSY: it has it");
	is(exo_flow_attach(net, code), -EXO_ESTATE, "attach STATE: the flow is not bound");
	caps_delete(run), caps_delete(weak);
	is(caps_delete(memory), 0, "its memory goes");
	is(exo_flow_attach(net, code), -EXO_ESTATE, "attach STATE: it has gone");
	caps_delete(code), caps_delete(frames);
}

/* --- running -------------------------------------------------------------------------------------------- */

static exo_cap_t sender_frames, sender, claims;
static struct exo_ring *send_ring;

static int64_t make_flow(uint16_t takes, uint16_t sends, uint32_t frame)
{
	struct exo_claim *c = core_arg(0);

	memset(c, 0, sizeof(*c));
	c->terms = c->guards = c->guard_terms[0] = 1;
	c->term[0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = takes };
	c->guard[0][0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = sends };
	return caps_flow_make(caps_slot(), net, claims, frame, 0);
}

/* A flow from which the test asks the host for its address, to make packets come. */
static void sender_open(void)
{
	static const uint8_t request[] = { 0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2 };
	exo_vaddr_t at = window + 2 * FRAMES * EXO_PAGE_SIZE;
	uint8_t *packet = (uint8_t *)at + 3 * EXO_PAGE_SIZE;

	claims = take_frames(2);
	sender_frames = take_frames(4);
	sender = (exo_cap_t)make_flow(0x1234, TYPE_ARP, 0);
	space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, sender_frames, 0, 4);
	send_ring = (struct exo_ring *)at;
	send_ring->rx_frames = 2;
	is(exo_flow_bind(sender, sender_frames, 0, sender_frames, 3, 1), 0, "a flow to ask from");
	memset(packet, 0xff, 6);
	memcpy(packet + 6, core_info->device[0].address, 6);
	packet[12] = 8, packet[13] = 6;
	memcpy(packet + 14, request, sizeof(request));
	memcpy(packet + 22, core_info->device[0].address, 6);
}

static void sender_close(void)
{
	space_map((exo_vaddr_t)send_ring, 0, EXO_CAP_NONE, 0, 4);
	caps_delete(sender), caps_delete(sender_frames), caps_delete(claims);
}

static void ask(void)
{
	send_ring->tx[send_ring->tx_head % EXO_TX_SLOTS] = (struct exo_tx){ .offset = 0, .bytes = 60 };
	send_ring->tx_head++;
	exo_flow_kick(sender);
}

/* Does the word grow when packets come? The test sleeps meanwhile. */
static bool counts(volatile uint64_t *word)
{
	uint64_t before = *word;

	for (int i = 0; i < 100 && *word == before; i++) {
		if (i % 20 == 0)
			ask();
		thread_sleep(core_now() + 5 * MS);
	}
	return *word != before;
}

static bool silent(volatile uint64_t *word)
{
	uint64_t before = *word;

	for (int i = 0; i < 4; i++) {
		ask();
		thread_sleep(core_now() + 10 * MS);
	}
	return *word == before;
}

struct setting {
	exo_cap_t frames, code, memory, flow, ring;
	volatile uint64_t *word;
};

/* A program with its memory, and a flow that is to get it. */
static void setting_make(struct setting *s)
{
	uint64_t va = window + FRAMES * EXO_PAGE_SIZE;

	s->code = program(&s->frames, count, SIZE(count), 1, 0);
	s->memory = take_frames(1);
	space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, s->memory, 0, 1);
	s->word = (volatile uint64_t *)va;
	is(exo_code_bind(s->code, 0, s->memory, 0), 0, "its memory");
	s->flow = (exo_cap_t)make_flow(TYPE_ARP, TYPE_ARP, 1);
	s->ring = take_frames(3);
	space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, s->ring, 0, 1);
	((struct exo_ring *)window)->rx_frames = 2;
	space_map(window, 0, EXO_CAP_NONE, 0, 1);
}

static void setting_drop(struct setting *s)
{
	space_map(window + FRAMES * EXO_PAGE_SIZE, 0, EXO_CAP_NONE, 0, 1);
	if (cap_of(s->code)->type)
		caps_delete(s->code);
	caps_delete(s->frames);
	if (cap_of(s->memory)->type)
		caps_delete(s->memory);
	if (cap_of(s->flow)->type)
		caps_delete(s->flow);
	caps_delete(s->ring);
}

static void attaching(void)
{
	struct setting s;
	exo_cap_t weak, other_frames, other;
	const struct exo_flow_info *entry = NULL;

	sender_open();
	setting_make(&s);
	weak = (exo_cap_t)caps_derive(s.flow, EXO_RIGHT_CLAIM, 0, 0);
	is(exo_flow_attach(NO_CAP, s.code), -EXO_ECAP, "attach CAP: flow");
	is(exo_flow_attach(s.code, s.code), -EXO_ETYPE, "attach TYPE: flow");
	is(exo_flow_attach(weak, s.code), -EXO_ERIGHTS, "attach RIGHTS: flow");
	is(exo_flow_attach(s.flow, NO_CAP), -EXO_ECAP, "attach CAP: program");
	is(exo_flow_attach(s.flow, s.flow), -EXO_ETYPE, "attach TYPE: program");
	caps_delete(weak);
	weak = (exo_cap_t)caps_derive(s.code, EXO_RIGHT_BIND, 0, 0);
	is(exo_flow_attach(s.flow, weak), -EXO_ERIGHTS, "attach RIGHTS: program");
	caps_delete(weak);
	is(exo_flow_attach(s.flow, s.code), -EXO_ESTATE, "attach STATE: not bound");
	is(exo_flow_bind(s.flow, s.ring, 0, 0, 0, 0), 0, "bind the flow");
	is(exo_flow_attach(s.flow, s.code), 0, "attach");
	is(exo_flow_attach(sender, s.code), -EXO_EBUSY, "attach BUSY: to another flow, too");
	ok(counts(s.word), "it runs while this environment sleeps");
	for (uint32_t i = 0; i < core_info->flows.entries; i++)
		if (info_flow(i)->runs)
			entry = info_flow(i);
	ok(entry && entry->runs == *s.word && entry->instructions >= entry->runs && !entry->stopped, "and is counted");
	other = program(&other_frames, keep, SIZE(keep), 0, 0);
	is(exo_flow_attach(s.flow, other), 0, "another in its place");
	ok(silent(s.word), "the first runs no more");
	is(exo_flow_attach(s.flow, s.code), 0, "back again");
	ok(counts(s.word), "it runs");
	is(exo_flow_attach(s.flow, 0), 0, "detach");
	ok(silent(s.word), "it runs no more");
	caps_delete(other), caps_delete(other_frames);
	setting_drop(&s);
	sender_close();
}

/* Each way in which an attached program ends. */
static void ends(void)
{
	static const char *const names[] = { "the program's capability", "its memory", "the flow", "the flow's ring",
		"its own frames" };
	struct setting s;
	int64_t error;

	sender_open();
	for (unsigned i = 0; i < 5; i++) {
		setting_make(&s);
		is(exo_flow_bind(s.flow, s.ring, 0, 0, 0, 0), 0, "bind the flow");
		is(exo_flow_attach(s.flow, s.code), 0, "attach");
		ok(counts(s.word), "it runs");
		if (i == 0)
			caps_delete(s.code);
		if (i == 1) {
			exo_cap_t part = (exo_cap_t)caps_derive(s.memory, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0);

			is(exo_flow_attach(s.flow, 0), 0, "detach");
			caps_delete(s.code);
			caps_delete(s.frames);
			s.code = program(&s.frames, count, SIZE(count), 1, 0);
			is(exo_code_bind(s.code, 0, part, 0), 0, "with memory that is derived");
			is(exo_flow_attach(s.flow, s.code), 0, "attach");
			ok(counts(s.word), "it runs");
			is(exo_cap_revoke(s.memory), 0, "which is revoked");
		}
		if (i == 2)
			caps_delete(s.flow);
		if (i == 3)
			caps_delete(s.ring), s.ring = take_frames(3);
		if (i == 4)
			do
				error = exo_frame_reclaim(s.frames, 0, FRAMES);
			while (error == -EXO_EAGAIN);
		ok(silent(s.word), "it does not run when this has gone: %s", names[i]);
		setting_drop(&s);
	}
	sender_close();
}

/* The one who attached it is on another CPU: its program is revoked, its memory, then it dies. */
static void elsewhere(void)
{
	struct setting s;
	struct tiny agent;
	int64_t flow, code, ring;

	sender_open();
	for (unsigned i = 0; i < 3; i++) {
		setting_make(&s);
		tiny_cpu = core_info->cpus - 1;
		if (!ok(agent_begin(&agent, 0), "an environment on another CPU"))
			return;
		tiny_cpu = 0;
		flow = tiny_grant(&agent, s.flow, 5, EXO_RIGHT_BIND);
		code = tiny_grant(&agent, s.code, 6, EXO_RIGHT_EXEC);
		ring = tiny_grant(&agent, s.ring, 7, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
		is(agent_do(&agent, EXO_CALL_flow_bind, (uint64_t)flow, (uint64_t)ring, 0, 0, 0, 0), 0, "it binds");
		is(agent_do(&agent, EXO_CALL_flow_attach, (uint64_t)flow, (uint64_t)code, 0, 0, 0, 0), 0, "and attaches");
		is(exo_flow_attach(s.flow, s.code), -EXO_ESTATE, "attach STATE: another has bound the flow");
		ok(counts(s.word), "it runs while that sleeps");
		if (i == 0)
			is(exo_cap_revoke(s.code), 0, "the program is revoked");
		if (i == 1)
			is(exo_cap_revoke(s.flow), 0, "the flow is revoked");
		if (i == 2)
			agent_do(&agent, EXO_CALL_env_exit, 6, 0, 0, 0, 0, 0);
		ok(silent(s.word), "it does not run any more");
		tiny_drop(&agent);
		ok(silent(s.word), "nor when its environment has gone");
		setting_drop(&s);
	}
	sender_close();
}

int main(void)
{
	net = core_named(EXO_NAME_NET);
	console = core_named(EXO_NAME_CONSOLE);
	if (!ok(net != 0, "there is a network device"))
		return call_done();
	cpus_await();
	tiny_prepare();
	window = vm_addresses((2 * FRAMES + 4) * EXO_PAGE_SIZE);
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		loading();
		stepping();
		reclaiming();
		binding();
		attaching();
		ends();
		elsewhere();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
