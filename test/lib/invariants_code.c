/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The invariants of downloaded programs, D1..D3 of exo/codes.h: part of test/lib/invariants.c, which calls it after each
 * call of a checked kernel and of unit tests. It looks through all frames and tables, and needs no memory.
 */
#include "exo/codes.h"
#include "test/lib/invariants.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			return "program: " #condition; \
	} while (0)

static bool is_program(exo_pfn_t pfn)
{
	return pfn < info->frames_total && info_frame[pfn].state == EXO_FRAME_CODE && frame_table[pfn].object == pfn;
}

static uint32_t names_of(const struct code *code)
{
	uint32_t names = 0;
	unsigned i;
	exo_pfn_t pfn;

	for (pfn = 1; pfn < info->frames_total; pfn++) {
		const struct exo_cap *cap = pfn_to_virt(pfn);

		for (i = 0; info_frame[pfn].state == EXO_FRAME_CAPS && i < EXO_CAPS_PER_FRAME; i++)
			names += cap[i].type == EXO_TYPE_CODE && cap[i].object == code->self && cap[i].count == code->id;
	}
	return names;
}

static exo_pfn_t last_of(const struct code *code, unsigned w)
{
	return code->window[w].pfn + (code->program.window_bytes[w] >> EXO_PAGE_SHIFT) - 1;
}

static const char *check_window(const struct code *code, unsigned w)
{
	const struct exo_cap *cap = code->window[w].cap;
	exo_pfn_t at = frame_table[last_of(code, w)].object;
	unsigned of = frame_table[last_of(code, w)].level, next;

	CHECK(cap->type == EXO_TYPE_FRAME && cap->flags & CAP_WINDOWS);
	CHECK(code->window[w].pfn >= cap->first);
	while (at != code->self || of != w) {
		CHECK(is_program(at) && of < EXO_WINDOWS_OWN);
		next = code_at(at)->next_window[of];
		at = code_at(at)->window[of].next;
		of = next;
	}
	return NULL;
}

static const char *check_program(exo_pfn_t pfn)
{
	const struct code *code = code_at(pfn);
	const char *broken = NULL;
	bool bound = true;
	unsigned w;

	CHECK(code->self == pfn);
	CHECK(code->holds == names_of(code) || code->state == CODE_ENDING);
	for (w = 0; w < EXO_WINDOWS_OWN && !broken; w++) {
		bound = bound && (code->window[w].cap || !code->program.window_bytes[w]);
		if (code->window[w].cap)
			broken = check_window(code, w);
	}
	if (broken)
		return broken;
	CHECK(code->ready == (code->state == CODE_DONE && bound));
	CHECK(!code->user || code->ready);
	return NULL;
}

/* The list of windows that end in a frame. */
static const char *check_list(exo_pfn_t pfn)
{
	exo_pfn_t at = frame_table[pfn].object;
	unsigned w = frame_table[pfn].level, length = 0, next;

	for (; at; w = next) {
		CHECK(is_program(at) && w < EXO_WINDOWS_OWN);
		CHECK(code_at(at)->window[w].cap && last_of(code_at(at), w) == pfn);
		CHECK(++length <= frame_table[pfn].pins);
		next = code_at(at)->next_window[w];
		at = code_at(at)->window[w].next;
	}
	return NULL;
}

const char *invariants_code(void)
{
	const char *broken = NULL;
	exo_pfn_t pfn;

	for (pfn = 1; pfn < info->frames_total && !broken; pfn++) {
		if (is_program(pfn)) {
			broken = check_program(pfn);
		} else if (info_frame[pfn].state == EXO_FRAME_CODE) {
			CHECK(is_program(frame_table[pfn].object));
			CHECK(!frame_table[pfn].pins && !frame_table[pfn].maps);
			CHECK(pfn - frame_table[pfn].object < code_at(frame_table[pfn].object)->frames);
		} else if (FRAME_STATE(OWNED) >> info_frame[pfn].state & 1 || info_frame[pfn].state == EXO_FRAME_RING) {
			broken = check_list(pfn);
		}
	}
	return broken;
}
