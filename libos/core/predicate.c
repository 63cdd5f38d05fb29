/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words to watch, loaded as a program, and sleeping on it. See predicate.h; the program is predicate_emit.c's. Window 0 is
 * the page of operands, window 1 + i the i-th frame.
 */
#include <string.h>
#include "libos/core/predicate.h"
#include "libos/core/space.h"
#include "libos/vm/vm.h"

/* --- words ---------------------------------------------------------------------------------------------- */

static bool operands_make(struct predicate *predicate)
{
	struct frame frame;
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);

	if (!at || !frame_alloc(&frame))
		return false;
	if (space_map_frame(at, EXO_MAP_READ | EXO_MAP_WRITE, &frame)) {
		frame_free(frame.pfn);
		return false;
	}
	predicate->operands = (struct predicate_operands *)at;
	memset(predicate->operands, 0, sizeof(*predicate->operands));
	predicate->operands->events = ~0ULL;
	predicate->own = frame.cap;
	predicate->own_first = frame.first;
	return true;
}

/* The place of a frame, an old or a new one; PREDICATE_FRAMES: there is none left. */
static unsigned frame_place(struct predicate *predicate, exo_cap_t frames, uint32_t index)
{
	unsigned i, free = PREDICATE_FRAMES;

	for (i = PREDICATE_FRAMES; i-- > 0;) {
		if (predicate->frame[i].words && predicate->frame[i].cap == frames &&
		    predicate->frame[i].index == index)
			return i;
		if (!predicate->frame[i].words)
			free = i;
	}
	if (free < PREDICATE_FRAMES) {
		predicate->frame[free].cap = frames;
		predicate->frame[free].index = index;
	}
	return free;
}

int predicate_add(struct predicate *predicate, exo_cap_t frames, uint32_t index, uint32_t offset, unsigned bytes,
		  enum predicate_test test)
{
	unsigned word = 0, place;

	if ((bytes != 4 && bytes != 8) || offset % bytes || offset > EXO_PAGE_SIZE - bytes)
		return -EXO_ERANGE;
	while (word < PREDICATE_WORDS && predicate->word[word].bytes)
		word++;
	if (word == PREDICATE_WORDS || (!predicate->operands && !operands_make(predicate)))
		return -EXO_EFULL;
	place = frame_place(predicate, frames, index);
	if (place == PREDICATE_FRAMES)
		return -EXO_EFULL;
	predicate->frame[place].words++;
	predicate->word[word] = (struct predicate_word){ .bytes = (uint8_t)bytes, .frame = (uint8_t)place,
		.test = (uint8_t)test, .offset = (uint16_t)offset };
	predicate_disarm(predicate, (int)word);
	code_unload(&predicate->program);
	return (int)word;
}

void predicate_remove(struct predicate *predicate, int word)
{
	predicate->frame[predicate->word[word].frame].words--;
	predicate->word[word].bytes = 0;
	code_unload(&predicate->program);
}

/* --- sleeping ------------------------------------------------------------------------------------------- */

int64_t predicate_make(struct predicate *predicate)
{
	static struct exo_insn insn[PREDICATE_INSNS];
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = EXO_USE_WAKE,
		.label = "predicate", .window[0].frames = 1 };
	struct code_memory given[EXO_WINDOWS_OWN] = { { predicate->own, predicate->own_first, NULL } };

	if (predicate->program.cap)
		return 0;
	core_stack();
	if (!predicate->operands)
		return -EXO_ESTATE;
	header.insns = header.fuel = predicate_emit(predicate, insn);
	for (unsigned i = 0; i < PREDICATE_FRAMES; i++) {
		if (!predicate->frame[i].words)
			continue;
		header.window[1 + i].frames = 1;
		given[1 + i] = (struct code_memory){ predicate->frame[i].cap, predicate->frame[i].index, NULL };
	}
	return code_load(&predicate->program, &header, insn, NULL, given);
}

int64_t predicate_sleep(struct predicate *predicate, exo_time_t until, uint64_t events)
{
	int64_t error = predicate_make(predicate);

	return error ? error : core_sleep_on(until, events, predicate->program.cap);
}

void predicate_drop(struct predicate *predicate)
{
	code_unload(&predicate->program);
	if (predicate->operands)
		space_unmap_free((exo_vaddr_t)predicate->operands, 1);
	*predicate = (struct predicate){ 0 };
}
