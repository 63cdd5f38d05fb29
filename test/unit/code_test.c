/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Downloaded programs as objects: every documented error of code_load, code_step, code_bind and flow_attach; what a program
 * does with packets, and what its functions refuse; every end of a program, a window and an attachment, with frames on
 * their way; and random operations against a model of who has which program, window and flow.
 */
#include "exo/codes.h"
#include "libos/core/insn.h"
#include "test/unit/flow_fake.h"

enum { SLOT_CODE = 30, SLOT_WINDOW = 40, SLOT_PROGRAM = 44 };	/* a program's frames: its slot + 20 */

#define FRAMES	6	/* of a small program */

static struct exo_code_report report;

static struct exo_code header_of(uint32_t use, uint32_t insns, uint32_t window_frames, uint32_t flags)
{
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = use, .insns = insns,
		.fuel = use == EXO_USE_WAKE ? EXO_FUEL_WAKE : EXO_FUEL_PACKET };

	header.window[0].frames = window_frames;
	header.window[0].flags = flags;
	return header;
}

/* Frames for a program in a slot, filled in. */
static exo_cap_t program_frames(unsigned who, uint32_t slot, uint32_t frames, const struct exo_code *header,
    const struct exo_insn *insn)
{
	exo_cap_t cap = take_run(who, slot, frames);
	char *at = pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], slot)->first);

	memcpy(at, header, sizeof(*header));
	memcpy(at + EXO_CODE_INSNS, insn, header->insns * sizeof(*insn));
	return cap;
}

static int64_t step(unsigned who, exo_cap_t code)
{
	int64_t error;

	do
		error = CALL(who, code_step, code, 0);
	while (error == ERR(AGAIN));
	memcpy(&report, world.env[who]->arg, sizeof(report));
	return error;
}

/* A program that is ready but for its windows: its handle in `slot`; its frames are in slot + 20. */
static exo_cap_t program(unsigned who, uint32_t slot, const struct exo_code *header, const struct exo_insn *insn)
{
	int64_t cap = CALL(who, code_load, slot, program_frames(who, slot + 20, FRAMES, header, insn), 0, FRAMES);

	if (cap < 0 || step(who, (exo_cap_t)cap)) {
		ok(false, "load: %lld, reject %u at %u", (long long)cap, report.reject, report.insn);
		abort();
	}
	return (exo_cap_t)cap;
}

static struct code *code_of(unsigned who, uint32_t slot)
{
	return code_behind(cap_slot(world.env[who], slot));
}

/* Delete what is in a slot, if anything. */
static void drop(unsigned who, uint32_t slot)
{
	if (cap_slot(world.env[who], slot)->type != EXO_TYPE_NONE)
		is_int(world_finish(who, EXO_CALL_cap_delete, world_handle(who, slot), 0), 0, "delete");
}

static const struct exo_insn keep[] = { INSN_OPI(MOV, 0, EXO_PACKET_KEEP), INSN_EXIT };
static const struct exo_insn discard[] = { INSN_OPI(MOV, 0, EXO_PACKET_DROP), INSN_EXIT };
static const struct exo_insn endless[] = { INSN_LOAD(4, 2, 1, 16), INSN_OPI(MOV, 0, 1), INSN_IFI(JNE, 2, 0, -2), INSN_EXIT };
static const struct exo_insn unset[] = { INSN_OP(MOV, 0, 3), INSN_EXIT };

/* Counts in word 0 of its window, and has dealt with the packet. */
static const struct exo_insn count[] = {
	INSN_WINDOW(1, 0, 0), INSN_LOAD(8, 2, 1, 0), INSN_OPI(ADD, 2, 1), INSN_STORE(8, 1, 0, 2),
	INSN_OPI(MOV, 0, EXO_PACKET_DONE), INSN_EXIT,
};

#define SIZE(program)	(sizeof(program) / sizeof((program)[0]))

/* --- errors ----------------------------------------------------------------------------------------------------- */

static void bad_header(size_t at, uint32_t value, const char *name)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(keep), 0, 0);
	exo_cap_t cap;

	memcpy((char *)&header + at, &value, sizeof(value));
	cap = take_run(0, SLOT_PROGRAM, FRAMES);
	memcpy(pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_PROGRAM)->first), &header, sizeof(header));
	is_int(CALL(0, code_load, SLOT_CODE, cap, 0, FRAMES), ERR(INVAL), name);
	drop(0, SLOT_PROGRAM);
}

static void test_load_errors(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(keep), 0, 0);
	exo_cap_t cap = program_frames(0, SLOT_PROGRAM, FRAMES, &header, keep);
	exo_pfn_t pfn = (exo_pfn_t)cap_slot(world.env[0], SLOT_PROGRAM)->first;

	is_int(CALL(0, code_load, SLOT_CODE, cap, 0, 0), ERR(INVAL), "load: no frames");
	is_int(CALL(0, code_load, SLOT_CODE, cap, 0, EXO_CODE_FRAMES_MAX + 1), ERR(INVAL), "load: too many");
	is_int(CALL(0, code_load, SLOT_CODE, cap + (1ULL << 32), 0, FRAMES), ERR(CAP), "load: a stale handle");
	is_int(CALL(0, code_load, SLOT_CODE, world_handle(0, SLOT_ENV), 0, FRAMES), ERR(TYPE), "load: no frames at all");
	is_int(CALL(0, code_load, SLOT_CODE, cap, 1, FRAMES), ERR(RANGE), "load: beyond the capability");
	is_int(CALL(0, code_load, SLOT_ENV, cap, 0, FRAMES), ERR(SLOT), "load: the slot is in use");
	is_int(CALL(0, code_load, 0, cap, 0, FRAMES), ERR(SLOT), "load: slot 0");
	is_int(CALL(0, code_load, SLOT_CODE, cap, 0, 1), ERR(INVAL), "load: no frame for machine code");
	is_int(CALL(0, code_load, SLOT_CODE, world_handle(0, SLOT_SELF), 0, 2), ERR(BUSY), "load: kernel objects");
	is_int(CALL(0, cap_derive, cap, 0, SLOT_CODE + 1, EXO_RIGHT_READ, 1, 1) > 0, 1, "another capability covers one");
	is_int(CALL(0, code_load, SLOT_CODE, cap, 0, FRAMES), ERR(BUSY), "load: then it is not one's own");
	is_int(CALL(0, code_load, SLOT_CODE, world_handle(0, SLOT_CODE + 1), 0, 1), ERR(RIGHTS), "load: without WRITE");
	drop(0, SLOT_CODE + 1);
	frame_pin(pfn + 2);
	is_int(CALL(0, code_load, SLOT_CODE, cap, 0, FRAMES), ERR(BUSY), "load: a pinned frame");
	frame_unpin(pfn + 2);
	drop(0, SLOT_PROGRAM);
	bad_header(offsetof(struct exo_code, version), 2, "load: another version");
	bad_header(offsetof(struct exo_code, size), 8, "load: another size");
	bad_header(offsetof(struct exo_code, use), 0, "load: use 0");
	bad_header(offsetof(struct exo_code, use), 4, "load: the kernel's own use");
	bad_header(offsetof(struct exo_code, insns), 0, "load: no instructions");
	bad_header(offsetof(struct exo_code, insns), EXO_INSNS_MAX + 1, "load: too many");
	bad_header(offsetof(struct exo_code, insns), 2000, "load: more than the frames hold");
	bad_header(offsetof(struct exo_code, data_bytes), EXO_CODE_DATA_MAX + 1, "load: too many constants");
	bad_header(offsetof(struct exo_code, fuel), 1, "load: less fuel than instructions");
	bad_header(offsetof(struct exo_code, fuel), EXO_FUEL_PACKET + 1, "load: too much fuel");
	bad_header(offsetof(struct exo_code, window[0].frames), EXO_WINDOW_FRAMES_MAX + 1, "load: a window too large");
	bad_header(offsetof(struct exo_code, window[3].flags), EXO_WINDOW_WRITE, "load: a window that is not there is written");
}

static void test_step_errors(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(unset), 0, 0);
	exo_cap_t frames = program_frames(0, SLOT_PROGRAM, FRAMES, &header, unset), code;
	exo_pfn_t pfn = (exo_pfn_t)cap_slot(world.env[0], SLOT_PROGRAM)->first;
	unsigned left = 0;

	code = (exo_cap_t)CALL(0, code_load, SLOT_CODE, frames, 0, FRAMES);
	is_int(info_frame[pfn + 2].state, EXO_FRAME_CODE, "the frames are the program's");
	is_int(CALL(0, code_step, frames, 0), ERR(TYPE), "step: no program");
	is_int(CALL(0, code_step, code, EXO_PAGE_SIZE), ERR(RANGE), "step: the report lies outside");
	is_int(CALL(0, code_step, code, 4), ERR(RANGE), "step: it is not aligned");
	is_int(CALL(0, cap_derive, code, 0, SLOT_CODE + 1, EXO_RIGHT_EXEC, 0, 0) > 0, 1, "a capability to run it");
	is_int(CALL(0, code_step, world_handle(0, SLOT_CODE + 1), 0), ERR(RIGHTS), "step: without BIND");
	is_int(step(0, code), ERR(REJECTED), "step: r3 was never written");
	ok(report.reject == EXO_REJECT_UNSET && report.insn == 0 && report.reg == 3, "and the report says so");
	is_int(CALL(0, code_step, code, 8), ERR(REJECTED), "step: again");
	is_int(CALL(0, code_bind, code, 0, frames, 0), ERR(STATE), "bind: to a rejected one");
	is_int(CALL(0, cap_delete, frames), ERR(BUSY), "its frames cannot be dropped before it");
	drop(0, SLOT_CODE);
	is_int(info_frame[pfn].state, EXO_FRAME_CODE, "it lives while somebody names it");
	drop(0, SLOT_CODE + 1);
	is_int(info_frame[pfn].state, EXO_FRAME_OWNED, "then it is memory again");
	for (const uint8_t *byte = pfn_to_virt(pfn + 1), *end = byte + (FRAMES - 1) * EXO_PAGE_SIZE; byte < end; byte++)
		left += *byte != 0;
	is_int(left, 0, "and holds nothing of what the check knew");
	drop(0, SLOT_PROGRAM);
}

static void test_bind_errors(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(count), 2, EXO_WINDOW_WRITE);
	exo_cap_t code = program(0, SLOT_CODE, &header, count), memory = take_run(0, SLOT_WINDOW, 4), one;
	exo_pfn_t pfn = (exo_pfn_t)cap_slot(world.env[0], SLOT_WINDOW)->first;

	is_int(CALL(0, code_bind, memory, 0, memory, 0), ERR(TYPE), "bind: no program");
	is_int(CALL(0, code_bind, code, 1, memory, 0), ERR(INVAL), "bind: no such window");
	is_int(CALL(0, code_bind, code, EXO_WINDOWS_OWN, memory, 0), ERR(INVAL), "bind: a window of the kernel's");
	is_int(CALL(0, code_bind, code, 0, memory, 3), ERR(RANGE), "bind: beyond the capability");
	is_int(CALL(0, code_bind, code, 0, code, 0), ERR(TYPE), "bind: no frames");
	is_int(CALL(0, code_bind, code, 0, world_handle(0, SLOT_SELF), 0), ERR(BUSY), "bind: kernel objects");
	(void)CALL(0, cap_derive, memory, 0, SLOT_WINDOW + 1, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, code_bind, code, 0, world_handle(0, SLOT_WINDOW + 1), 0), ERR(RIGHTS), "bind: memory that may not be written");
	drop(0, SLOT_WINDOW + 1);
	ok(!code_ready(code_of(0, SLOT_CODE)), "not ready without its memory");
	is_int(CALL(0, code_bind, code, 0, memory, 1), 0, "bind");
	ok(code_ready(code_of(0, SLOT_CODE)), "ready");
	ok(!frame_table[pfn].pins && frame_table[pfn + 1].pins == 1 && frame_table[pfn + 2].pins == 1, "the window is pinned");
	is_int(CALL(0, code_bind, code, 0, memory, 1), ERR(BUSY), "bind: again");
	is_int(CALL(0, frame_give, memory, 2), ERR(BUSY), "its frames cannot be given back");
	one = world_handle(0, SLOT_CODE);
	drop(0, SLOT_WINDOW);
	ok(!code_ready(code_of(0, SLOT_CODE)) && info_frame[pfn + 1].state == EXO_FRAME_FREE,
	    "the window's capability goes: its memory is free, and the program not ready");
	memory = take_run(0, SLOT_WINDOW, 2);
	is_int(CALL(0, code_bind, one, 0, memory, 0), 0, "bound anew");
	drop(0, SLOT_CODE);
	is_int(frame_table[cap_slot(world.env[0], SLOT_WINDOW)->first].pins, 0, "the program goes, and its pins");
	drop(0, SLOT_CODE + 20);
	drop(0, SLOT_WINDOW);
}

/* So many windows may end in one frame. */
static void test_bind_full(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(count), 1, EXO_WINDOW_WRITE);
	exo_cap_t memory = take_run(0, SLOT_WINDOW, 1), code[EXO_WATCH_MAX + 1];
	exo_pfn_t pfn = (exo_pfn_t)cap_slot(world.env[0], SLOT_WINDOW)->first;
	unsigned i;
	int64_t error = 0;

	world.unchecked = true;
	(void)CALL(0, cap_table, take_run(0, SLOT_PROGRAM, 4), 0);
	(void)CALL(0, cap_table, world_handle(0, SLOT_PROGRAM), 1);
	(void)CALL(0, cap_table, world_handle(0, SLOT_PROGRAM), 2);
	(void)CALL(0, cap_table, world_handle(0, SLOT_PROGRAM), 3);
	for (i = 0; i <= EXO_WATCH_MAX; i++) {
		exo_cap_t frames = program_frames(0, 130 + i, 2, &header, count);

		code[i] = (exo_cap_t)CALL(0, code_load, 200 + i, frames, 0, 2);
		if (i < EXO_WATCH_MAX)
			error |= CALL(0, code_bind, code[i], 0, memory, 0);
	}
	is_int(error, 0, "64 windows on one frame");
	is_int(CALL(0, code_bind, code[i - 1], 0, memory, 0), ERR(FULL), "the 65th is too many");
	is_int(frame_table[pfn].pins, EXO_WATCH_MAX, "each has a pin");
	drop(0, 200 + 30);
	is_int(CALL(0, code_bind, code[i - 1], 0, memory, 0), 0, "one out of the middle goes: then there is room");
	world.unchecked = false;
	drop(0, SLOT_WINDOW);
	is_int(info_frame[pfn].state, EXO_FRAME_FREE, "all are unbound with their capability");
	for (i = 0; i <= EXO_WATCH_MAX; i++) {
		if (i != 30)
			(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, 200 + i), 0);
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, 130 + i), 0);
	}
}

/* --- packets ---------------------------------------------------------------------------------------------------- */

static struct exo_ring *ring;

static void flow_ready(unsigned who)
{
	struct exo_claim claim = claim_of(1, &type_a);

	claim.guards = 1;
	claim.guard_terms[0] = 1;
	claim.guard[0][0] = from;
	(void)make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 40, &claim);
	if (who)
		cap_fill(cap_free_slot(world.env[who], SLOT_FIRST), EXO_TYPE_FLOW, EXO_RIGHT_BIND, 0, 0,
		    flow_at(0, SLOT_FIRST)->self, cap_slot(world.env[0], SLOT_FIRST), SLOT_FIRST);
	(void)take_run(who, SLOT_RING, 3);
	ring = pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], SLOT_RING)->first);
	ring->rx_frames = 2;
	ring->rx_posted = 4;
	is_int(CALL(who, flow_bind, world_handle(who, SLOT_FIRST), world_handle(who, SLOT_RING), 0, 0, 0, 0), 0, "a flow");
}

static void flow_gone(unsigned who)
{
	if (who)
		drop(who, SLOT_FIRST);
	drop(0, SLOT_FIRST);
	drop(who, SLOT_RING);
}

static void arrive(unsigned bytes)
{
	uint8_t packet[2048];

	memset(packet, 2, sizeof(packet));
	packet[12] = packet[13] = 0x11;
	flow_receive(fake.device.root, packet, bytes, 77);
	flow_received();
}

static int64_t attach(unsigned who, uint32_t code)
{
	return CALL(who, flow_attach, world_handle(who, SLOT_FIRST), code ? world_handle(who, code) : 0);
}

static void test_attach_errors(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(keep), 0, 0), wake = header_of(EXO_USE_WAKE, SIZE(keep), 0, 0);
	struct exo_claim shared = claim_of(1, &type_b);

	flow_ready(0);
	(void)program(0, SLOT_CODE, &header, keep);
	(void)program(0, SLOT_CODE + 1, &wake, keep);
	is_int(CALL(0, flow_attach, world_handle(0, SLOT_CODE), 0), ERR(TYPE), "attach: no flow");
	is_int(CALL(0, flow_attach, world_handle(0, SLOT_FIRST), world_handle(0, SLOT_FIRST)), ERR(TYPE), "attach: no program");
	is_int(CALL(0, flow_attach, world_handle(0, SLOT_FIRST), 12345), ERR(CAP), "attach: no capability");
	is_int(attach(0, SLOT_CODE + 1), ERR(INVAL), "attach: a program for something else");
	is_int(CALL(0, flow_attach, world_handle(0, SLOT_ROOT), world_handle(0, SLOT_CODE)), ERR(STATE), "attach: not bound");
	(void)CALL(0, cap_derive, world_handle(0, SLOT_CODE), 0, SLOT_CODE + 2, EXO_RIGHT_BIND, 0, 0);
	is_int(attach(0, SLOT_CODE + 2), ERR(RIGHTS), "attach: without EXEC");
	drop(0, SLOT_CODE + 2);
	shared.flags = EXO_FLOW_SHARED;
	(void)make(0, SLOT_FIRST + 1, world_handle(0, SLOT_ROOT), 41, &shared);
	is_int(CALL(0, flow_attach, world_handle(0, SLOT_FIRST + 1), world_handle(0, SLOT_CODE)), ERR(INVAL), "attach: shared");
	drop(0, SLOT_FIRST + 1);
	is_int(attach(0, SLOT_CODE), 0, "attach");
	is_int(attach(0, SLOT_CODE), 0, "attach: again is no error");
	is_int(attach(0, 0), 0, "and detach");
	is_int(attach(0, 0), 0, "twice");
	drop(0, SLOT_CODE), drop(0, SLOT_CODE + 1);
	drop(0, SLOT_CODE + 20), drop(0, SLOT_CODE + 21);
	flow_gone(0);
}

static void test_verdicts(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(keep), 0, 0),
	    counts = header_of(EXO_USE_PACKET, SIZE(count), 1, EXO_WINDOW_WRITE),
	    loops = header_of(EXO_USE_PACKET, SIZE(endless), 0, 0);
	const struct exo_flow_info *entry;
	uint64_t *word;

	flow_ready(0);
	entry = flow_at(0, SLOT_FIRST)->info;
	(void)program(0, SLOT_CODE, &header, keep);
	(void)program(0, SLOT_CODE + 1, &header, discard);
	(void)program(0, SLOT_CODE + 2, &counts, count);
	(void)program(0, SLOT_CODE + 3, &loops, endless);
	(void)CALL(0, code_bind, world_handle(0, SLOT_CODE + 2), 0, take_run(0, SLOT_WINDOW, 1), 0);
	word = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_WINDOW)->first);
	(void)attach(0, SLOT_CODE);
	arrive(60);
	ok(ring->rx_head == 1 && entry->runs == 1, "KEEP: into the ring");
	is_int(attach(0, SLOT_CODE + 1), 0, "another program in its place");
	ok(!code_of(0, SLOT_CODE)->user, "the first is free again");
	arrive(60);
	ok(ring->rx_head == 1 && entry->rx_dropped == 1 && ring->rx_dropped == 1, "DROP: nowhere");
	(void)attach(0, SLOT_CODE + 2);
	arrive(60);
	arrive(60);
	ok(ring->rx_head == 1 && *word == 2 && entry->rx_packets == 3, "DONE: the program has dealt with it");
	(void)attach(0, SLOT_CODE + 3);
	arrive(60);
	ok(ring->rx_head == 2 && entry->stopped == 1, "out of fuel: kept");
	ok(entry->instructions >= EXO_FUEL_PACKET - 8 && entry->instructions <= EXO_FUEL_PACKET + 200, "and it cost its fuel");
	is_int((long long)entry->runs, 5, "five runs");
	flow_at(0, SLOT_FIRST)->claim.budget = 1000;
	flow_at(0, SLOT_FIRST)->meter = flow_at(0, SLOT_FIRST);
	arrive(60);
	arrive(60);
	ok(entry->runs == 6 && entry->rx_over == 2, "a budget: one run is all it pays, neither the ring nor another run");
	flow_at(0, SLOT_FIRST)->meter = NULL;
	(void)attach(0, 0);
	arrive(60);
	ok(ring->rx_head == 3 && entry->runs == 6, "without a program");
	for (unsigned i = 0; i < 4; i++)
		drop(0, SLOT_CODE + i), drop(0, SLOT_CODE + 20 + i);
	drop(0, SLOT_WINDOW);
	flow_gone(0);
}

static const struct exo_insn steer[] = { INSN_OPI(MOV, 0, EXO_PACKET_STEER + 3), INSN_EXIT };

/* To the ring of the flow right below that has the number; to the own one, when there is none. */
static void test_steer(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(steer), 0, 0);
	struct exo_claim claim = claim_of(0, NULL);
	struct exo_ring *other;

	flow_ready(0);
	(void)program(0, SLOT_CODE, &header, steer);
	is_int(attach(0, SLOT_CODE), 0, "attach");
	arrive(60);
	is_int(ring->rx_head, 1, "STEER: nobody has the number");
	claim.flags = EXO_FLOW_STEERED;
	claim.steer = 3;
	is_int(make(0, SLOT_FIRST + 1, world_handle(0, SLOT_FIRST), 42, &claim) > 0, 1, "one has");
	(void)take_run(0, SLOT_FIRST + 8, 3);
	other = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_FIRST + 8)->first);
	other->rx_frames = 2;
	other->rx_posted = 4;
	is_int(CALL(0, flow_bind, world_handle(0, SLOT_FIRST + 1), world_handle(0, SLOT_FIRST + 8), 0, 0, 0, 0), 0, "bound");
	is_int(CALL(0, flow_attach, world_handle(0, SLOT_FIRST + 1), world_handle(0, SLOT_CODE)), ERR(INVAL),
	    "attach: to a steered flow");
	arrive(60);
	ok(ring->rx_head == 1 && other->rx_head == 1, "STEER: into its ring");
	drop(0, SLOT_FIRST + 1), drop(0, SLOT_FIRST + 8);
	arrive(60);
	is_int(ring->rx_head, 2, "it goes: into the own one again");
	drop(0, SLOT_CODE), drop(0, SLOT_CODE + 20);
	flow_gone(0);
}

/* copy(window + 8, 60, 0, 0), stored at 0 of the window; then send(window + 8, r7) and its result at 4. */
static const struct exo_insn reply[] = {
	INSN_WINDOW(6, 0, 0), INSN_OP(MOV, 1, 6), INSN_OPI(ADD, 1, 8), INSN_OPI(MOV, 2, 60), INSN_OPI(MOV, 3, 0),
	INSN_OPI(MOV, 4, 0), INSN_CALL(copy), INSN_STORE(4, 6, 0, 0),
	INSN_LOAD(4, 2, 6, 2048), INSN_OP(MOV, 1, 6), INSN_OPI(ADD, 1, 8), INSN_CALL(send), INSN_STORE(4, 6, 4, 0),
	INSN_OPI(MOV, 0, EXO_PACKET_DONE), INSN_EXIT,
};

static uint16_t slow_sum(const uint8_t *at, unsigned bytes)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < bytes; i++)
		sum += (uint32_t)at[i] << 8 * (i & 1);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void send_bytes(uint8_t *window, uint32_t bytes)
{
	memcpy(window + 2048, &bytes, sizeof(bytes));
	arrive(100);
}

static void test_functions(void)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(reply), 1, EXO_WINDOW_WRITE);
	exo_pfn_t pfn;
	uint8_t *window;

	flow_ready(0);
	(void)program(0, SLOT_CODE, &header, reply);
	(void)CALL(0, code_bind, world_handle(0, SLOT_CODE), 0, take_run(0, SLOT_WINDOW, 1), 0);
	pfn = (exo_pfn_t)cap_slot(world.env[0], SLOT_WINDOW)->first;
	window = pfn_to_virt(pfn);
	(void)attach(0, SLOT_CODE);
	fake.notified = 0;
	send_bytes(window, 60);
	ok(window[8] == 2 && window[20] == 0x11 && window[67] == 2 && window[68] == 0, "copy: the packet's bytes, no more");
	is_int(window[0] | window[1] << 8, slow_sum(window + 8, 60), "and their sum");
	ok(!window[4] && fake.count == 1 && fake.sent[0].frame.head_bytes == 60 && !fake.sent[0].frame.parts, "send: a short frame");
	is_int(fake.notified, 1, "the device is told once");
	fake_return(0);
	send_bytes(window, 13);
	ok(window[4] == 1 && !fake.count, "send: too short is refused");
	send_bytes(window, 1515);
	ok(window[4] == 1 && !fake.count, "send: too long is refused");
	send_bytes(window, 5000);
	ok(window[4] == 0xff && !fake.count, "send: outside the window");
	fake.full = true;
	send_bytes(window, 60);
	ok(window[4] == 2, "send: no room");
	fake.full = false;
	send_bytes(window, 500);
	ok(fake.count == 1 && fake.sent[0].frame.parts == 1 && fake.sent[0].frame.part[0].bytes == 436 &&
	    fake.sent[0].frame.part[0].address == ((uint64_t)pfn << 12) + 8 + 64, "send: the rest by reference");
	is_int(frame_table[pfn].pins, 1, "pinned as a window");
	drop(0, SLOT_WINDOW);
	ok(!flow_at(0, SLOT_FIRST)->code && info_frame[pfn].state == EXO_FRAME_OWNED && frame_table[pfn].pins == 1,
	    "the window goes, the program is detached; what the device reads stays pinned");
	fake_return(0);
	is_int(info_frame[pfn].state, EXO_FRAME_FREE, "until it gives it back");
	drop(0, SLOT_CODE), drop(0, SLOT_CODE + 20);
	flow_gone(0);
}

/* --- ends ------------------------------------------------------------------------------------------------------- */

/* A program attached, with a window, and a frame of it on its way. */
static void running(unsigned who)
{
	struct exo_code header = header_of(EXO_USE_PACKET, SIZE(reply), 1, EXO_WINDOW_WRITE);

	flow_ready(who);
	(void)program(who, SLOT_CODE, &header, reply);
	(void)CALL(who, code_bind, world_handle(who, SLOT_CODE), 0, take_run(who, SLOT_WINDOW, 1), 0);
	is_int(attach(who, SLOT_CODE), 0, "attached");
	send_bytes(pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], SLOT_WINDOW)->first), 500);
	is_int(fake.count, 1, "a frame is on its way");
}

static void end_code(void) { drop(0, SLOT_CODE); }
static void end_flow(void) { drop(0, SLOT_FIRST); }
static void end_window(void) { drop(0, SLOT_WINDOW); }
static void end_ring(void) { drop(0, SLOT_RING); }
static void end_reclaim(void)
{
	int64_t error;

	do
		error = CALL(0, frame_reclaim, world_handle(0, SLOT_CODE + 20), 0, FRAMES);
	while (error == ERR(AGAIN));
	is_int(error, 0, "reclaim the program's frames");
	is_int(CALL(0, code_step, world_handle(0, SLOT_CODE), 0), ERR(STATE), "its capability reaches nothing any more");
	is_int(attach(0, SLOT_CODE), ERR(STATE), "it cannot be attached");
	is_int(CALL(0, code_bind, world_handle(0, SLOT_CODE), 0, world_handle(0, SLOT_WINDOW), 0), ERR(STATE), "nor bound");
	is_int(CALL(0, cap_derive, world_handle(0, SLOT_CODE), 0, SLOT_CODE + 5, EXO_RIGHT_EXEC, 0, 0) > 0, 1, "a copy of it");
	drop(0, SLOT_CODE + 5);
}

static void test_ends(void)
{
	static const struct {
		void (*end)(void);
		const char *name;
	} ends[] = { { end_code, "the program" }, { end_flow, "the flow" }, { end_window, "the window" }, { end_ring, "the ring" },
		{ end_reclaim, "the program's frames" } };
	uint32_t before = info->frames_free;
	uint64_t open = null.code_open;		/* the merged claims' */

	for (unsigned i = 0; i < SIZE(ends); i++) {
		exo_pfn_t pfn;

		running(0);
		pfn = (exo_pfn_t)cap_slot(world.env[0], SLOT_WINDOW)->first;
		ends[i].end();
		arrive(100);
		is_int(fake.count, 1, "it does not run any more");
		ok(frame_table[pfn].pins, "the frame on its way is pinned");
		drop(0, SLOT_CODE), drop(0, SLOT_CODE + 20), drop(0, SLOT_WINDOW);
		ok(info_frame[pfn].state == EXO_FRAME_OWNED, "and nobody's");
		fake_return(0);
		ok(info_frame[pfn].state == EXO_FRAME_FREE, "until it comes back: %s", ends[i].name);
		flow_gone(0);
		is_int(info->frames_free, before, "as many frames as before");
		ok(null.code_open == open, "no machine code is left open");
	}
}

/* The environment ends, and is destroyed, while its program is attached. */
static void test_death(void)
{
	exo_pfn_t pfn;
	uint64_t open = null.code_open;
	struct flow *flow;
	int64_t error;

	running(1);
	pfn = (exo_pfn_t)cap_slot(world.env[1], SLOT_WINDOW)->first;
	flow = flow_at(0, SLOT_FIRST);
	cap_slot(world.env[0], SLOT_PEER)->rights |= EXO_RIGHT_CONTROL;
	is_int(CALL(0, env_destroy, world_handle(0, SLOT_PEER)), ERR(AGAIN), "its environment is destroyed");
	arrive(100);
	is_int(fake.count, 1, "it does not run for one that has ended");
	while ((error = CALL(0, env_destroy, world_handle(0, SLOT_PEER))) == ERR(AGAIN))
		;
	is_int(error, 0, "to the end");
	ok(!flow->code && !flow->env, "destroyed: the flow is free");
	ok(frame_table[pfn].pins == 1 && info_frame[pfn].state == EXO_FRAME_OWNED, "the frame on its way stays");
	fake_return(0);
	is_int(info_frame[pfn].state, EXO_FRAME_FREE, "until it comes back");
	ok(null.code_open == open, "no machine code is left open");
	ok(!world_check(), "all in order");
}

/* --- at random -------------------------------------------------------------------------------------------------- */

enum { MANY = 4 };

/* Anything that can happen to programs, their windows, frames and flows, in any order; all invariants after each call. */
static void random_step(void)
{
	static const struct { const struct exo_insn *insn; uint32_t insns; } texts[] = {
		{ keep, SIZE(keep) }, { discard, SIZE(discard) }, { endless, SIZE(endless) }, { unset, SIZE(unset) },
		{ count, SIZE(count) }, { reply, SIZE(reply) },
	};
	uint32_t i = below(MANY), code = SLOT_CODE + i, frames = code + 20, which = below(SIZE(texts));
	struct exo_code header = header_of(EXO_USE_PACKET, texts[which].insns, which >= 4, which >= 4);
	exo_cap_t cap = world_handle(0, code);

	switch (below(13)) {
	case 0:
	case 1:
		if (cap_slot(world.env[0], frames)->type == EXO_TYPE_NONE)
			(void)program_frames(0, frames, FRAMES, &header, texts[which].insn);
		(void)CALL(0, code_load, code, world_handle(0, frames), 0, FRAMES);
		break;
	case 2:
	case 3:
		(void)step(0, cap);
		break;
	case 4:
		(void)CALL(0, code_step, cap, 0);
		break;
	case 5:
	case 6:
		(void)CALL(0, code_bind, cap, 0, world_handle(0, SLOT_WINDOW + below(2)), below(3));
		break;
	case 7:
	case 8:
		(void)CALL(0, flow_attach, world_handle(0, SLOT_FIRST), below(4) ? cap : 0);
		break;
	case 9:
		(void)CALL(0, cap_derive, cap, 0, SLOT_CODE + MANY + below(2), EXO_RIGHT_EXEC, 0, 0);
		(void)CALL(0, flow_attach, world_handle(0, SLOT_FIRST), world_handle(0, SLOT_CODE + MANY + below(2)));
		break;
	case 10:
		(void)CALL(0, cap_revoke, cap);
		break;
	case 11:
		(void)CALL(0, frame_reclaim, world_handle(0, frames), 0, FRAMES);
		break;
	default:
		switch (below(5)) {
		case 0: (void)world_finish(0, EXO_CALL_cap_delete, cap, 0); break;
		case 1: (void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, frames), 0); break;
		case 2: (void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_WINDOW), 0); break;
		case 3: (void)CALL(0, cap_delete, world_handle(0, code)); break;
		default: (void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_CODE + MANY + below(2)), 0);
		}
	}
	if (cap_slot(world.env[0], SLOT_WINDOW)->type == EXO_TYPE_NONE)
		(void)take_run(0, SLOT_WINDOW, 2);
	arrive(60 + below(1400));
	if (fake.count > below(20))
		fake_return(below(fake.count));
	ring->rx_posted = ring->rx_head + 4;
}

static void test_random(void)
{
	unsigned steps = world_steps(3000), runs;
	uint32_t before;

	flow_ready(0);
	before = info->frames_free;
	(void)take_run(0, SLOT_WINDOW + 1, 3);
	for (unsigned i = 0; i < steps; i++)
		random_step();
	runs = (unsigned)flow_at(0, SLOT_FIRST)->info->runs;
	for (uint32_t slot = SLOT_CODE; slot < SLOT_CODE + MANY + 2; slot++)
		if (cap_slot(world.env[0], slot)->type != EXO_TYPE_NONE)
			(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, slot), 0);
	for (uint32_t slot = SLOT_CODE + 20; slot < SLOT_CODE + 20 + MANY; slot++)
		if (cap_slot(world.env[0], slot)->type != EXO_TYPE_NONE)
			(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, slot), 0);
	(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_WINDOW), 0);
	(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_WINDOW + 1), 0);
	while (fake.count)
		fake_return(0);
	ok(runs > steps / 20, "%u random operations, %u runs", steps, runs);
	is_int(info->frames_free, before, "as many frames as before");
	flow_gone(0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	flow_world(2048);
	test_load_errors();
	test_step_errors();
	test_bind_errors();
	test_attach_errors();
	test_verdicts();
	test_steer();
	test_functions();
	test_ends();
	test_random();
	test_bind_full();
	test_death();
	return done();
}
