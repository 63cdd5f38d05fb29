/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long programs keep the kernel: for test/guest/longest.c, which measures. Nine programs that are dear in different ways
 * run at a packet that the test makes come; and one as large as a program may be is loaded, checked, bound and deleted.
 */
#ifndef TEST_GUEST_LONGEST_PROGRAMS_H
#define TEST_GUEST_LONGEST_PROGRAMS_H

#define LOOP(...)	INSN_WINDOW(6, 0, 0), INSN_LOAD(4, 2, 1, 16), INSN_LOAD(4, 8, 6, 0), __VA_ARGS__
#define TWICE(...)	__VA_ARGS__, __VA_ARGS__
#define EIGHT(...)	TWICE(TWICE(TWICE(__VA_ARGS__)))
#define AGAIN(insns)	INSN_IFI(JNE, 8, 0x12345678, -(insns) - 1), INSN_OPI(MOV, 0, 0), INSN_EXIT

static const struct exo_insn plain[] = { LOOP(EIGHT(INSN_OPI(ADD, 2, 0x1234567)), AGAIN(8)) };
static const struct exo_insn branches[] = { LOOP(EIGHT(INSN_IFI(JEQ, 8, 0x1234567, 0)), AGAIN(8)) };
static const struct exo_insn divides[] = { LOOP(EIGHT(INSN(0x9f, 8, 2, 1, 0)), AGAIN(8)) };
static const struct exo_insn guards[] = { LOOP(INSN_OP(ADD, 6, 8), EIGHT(INSN_LOAD(8, 2, 6, 0)), AGAIN(8)) };
static const struct exo_insn copies[] = { LOOP(INSN_OP(MOV, 1, 6), INSN_OPI(MOV, 2, 7), INSN_OPI(MOV, 3, 0), INSN_OPI(MOV, 4, 0),
	INSN_CALL(copy), AGAIN(5)) };
static const struct exo_insn copies_all[] = { LOOP(INSN_OP(MOV, 1, 6), INSN_OPI(MOV, 2, 60), INSN_OPI(MOV, 3, 0),
	INSN_OPI(MOV, 4, 0), INSN_CALL(copy), AGAIN(5)) };
static const struct exo_insn times[] = { LOOP(INSN_CALL(time), AGAIN(1)) };
static const struct exo_insn wakes[] = { LOOP(INSN_CALL(wake), AGAIN(1)) };
static const struct exo_insn sends[] = { LOOP(INSN_OP(MOV, 1, 6), INSN_OPI(MOV, 2, 1514), INSN_CALL(send), AGAIN(3)) };

#define INSNS(program)	{ program, sizeof(program) / sizeof((program)[0]), #program }
static const struct { const struct exo_insn *insn; uint32_t insns; const char *name; } hostile[] = {
	INSNS(plain), INSNS(branches), INSNS(divides), INSNS(guards), INSNS(copies), INSNS(copies_all), INSNS(times),
	INSNS(wakes), INSNS(sends),
};

/* How long a loop is away while an answer comes to the question in the ring, which a program looks at first. */
static uint64_t answered(volatile struct exo_ring *ring, exo_cap_t flow)
{
	uint64_t packets = ring->rx_packets + ring->rx_dropped, now, last, most = 0;
	exo_time_t end = core_now() + 300 * MS;

	ring->tx[ring->tx_head % EXO_TX_SLOTS].bytes = 60;
	ring->tx_head++;
	last = count();		/* the answer may be there before the call is over */
	exo_flow_kick(flow);
	for (; ring->rx_packets + ring->rx_dropped == packets && core_now() < end; last = now) {
		now = count();
		most = now - last > most ? now - last : most;
	}
	now = count();
	return now - last > most ? now - last : most;
}

static void packets(exo_cap_t net)
{
	static const uint8_t ask[] = { 0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2 };
	exo_cap_t cap = take_frames(1), frames = take_frames(4);
	exo_vaddr_t va = vm_addresses(4 * EXO_PAGE_SIZE);
	struct exo_claim *c = core_arg(0);
	struct exo_ring *ring = (struct exo_ring *)va;
	uint8_t *packet = (uint8_t *)va + 3 * EXO_PAGE_SIZE;
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = EXO_USE_PACKET,
		.fuel = EXO_FUEL_PACKET, .window[0] = { 1, EXO_WINDOW_WRITE } };
	struct code_program program;

	memset(c, 0, sizeof(*c));
	c->terms = c->guards = c->guard_terms[0] = 1;
	c->term[0] = c->guard[0][0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = 0x806 };
	exo_cap_t flow = (exo_cap_t)caps_flow_make(caps_slot(), net, cap, 0, 0);
	space_map(va, RW, frames, 0, 4);
	ring->rx_frames = 2;
	ring->rx_posted = 1u << 31;
	is(exo_flow_bind(flow, frames, 0, frames, 3, 1), 0, "a flow to ask from");
	memset(packet, 0xff, 6);
	memcpy(packet + 6, core_info->device[0].address, 6);
	packet[12] = 8, packet[13] = 6;
	memcpy(packet + 14, ask, sizeof(ask));
	memcpy(packet + 22, core_info->device[0].address, 6);
	for (unsigned i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		header.insns = hostile[i].insns;
		if (!is(code_load(&program, &header, hostile[i].insn, NULL, NULL), 0, "program %s", hostile[i].name)) {
			printf("# reject %u at %u\n", program.report.reject, program.report.insn);
			continue;
		}
		memcpy(program.at[0], packet, 60);
		MEASURE("flow_attach", exo_flow_attach(flow, program.cap));
		uint64_t away = answered(ring, flow);
		char name[40];
		snprintf(name, sizeof(name), "a packet for a program that %s", hostile[i].name);
		note(name, away, 0);
		exo_flow_attach(flow, 0);
		code_unload(&program);
	}
	space_map(va, 0, 0, 0, 4);
	caps_delete(flow), caps_delete(frames), caps_delete(cap);
}

/* As large as a program can be, of nothing but stores and, more would be too tangled, a jump for three of them. */
static void programs(void)
{
	exo_cap_t cap = many_frames(EXO_CODE_FRAMES_MAX), memory = many_frames(EXO_WINDOW_FRAMES_MAX * 2);
	uint32_t front = 24, slot = caps_slot();
	exo_vaddr_t va = vm_addresses(front * EXO_PAGE_SIZE);
	struct exo_code *header = (struct exo_code *)va;
	struct exo_insn *insn = (struct exo_insn *)(va + EXO_CODE_INSNS);

	if (!ok(cap && memory, "frames for a large program"))
		return;
	space_map(va, RW, cap, 0, front);
	*header = (struct exo_code){ .version = EXO_CODE_VERSION, .size = sizeof(*header), .use = EXO_USE_PACKET,
		.insns = EXO_FUEL_PACKET - 4, .fuel = EXO_FUEL_PACKET, .window[0] = { EXO_WINDOW_FRAMES_MAX, EXO_WINDOW_WRITE },
		.window[1] = { EXO_WINDOW_FRAMES_MAX, EXO_WINDOW_WRITE } };
	insn[0] = INSN_LOAD(4, 2, 1, 16);
	insn[1] = (struct exo_insn)INSN_OPI(MOV, 0, 0);
	for (uint32_t i = 2; i < header->insns - 1; i++)
		insn[i] = i % 2 ? (struct exo_insn)INSN_IFI(JEQ, 2, i, 1) : (struct exo_insn)INSN_STORE(8, 10, -8 - 8 * (int)(i % 60), 2);
	insn[header->insns - 1] = (struct exo_insn)INSN_EXIT;
	space_map(va, 0, 0, 0, front);
	MEASURE("code_load, 256 frames", exo_code_load(slot, cap, 0, EXO_CODE_FRAMES_MAX));
	exo_cap_t code = made(slot, result);
	REPEAT("code_step, 3068 instructions", exo_code_step(code, 0));
	is(result, 0, "a large program");
	MEASURE("code_bind, 64 frames", exo_code_bind(code, 0, memory, 0));
	MEASURE("code_bind, 64 more", exo_code_bind(code, 1, memory, EXO_WINDOW_FRAMES_MAX));
	REPEAT("cap_delete of a program", exo_cap_delete(code));
	caps_delete(cap);
	caps_delete(memory);
}

#endif
