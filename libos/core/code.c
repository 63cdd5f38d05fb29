/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading programs. See code.h.
 *
 * Frames are found as the kernel shows them: the first free run that is long enough, taken by number, EXO_TAKE_MAX a call.
 * How much work memory a check needs, how long the machine code becomes, and how much fuel a program may have that is dear
 * to run, is known only afterwards: then it is loaded again with twice as many frames behind its constants, or less fuel.
 */
#include <string.h>

#include "libos/core/code.h"
#include "libos/core/spawn.h"
#include "libos/vm/vm.h"

#define TAKE_TRIES	64	/* others take frames, too */

#define FRAMES_MORE	3	/* to begin with: so many, and one for each ... */
#define INSNS_PER_FRAME	100

static uint32_t frames_of(uint64_t bytes)
{
	return (uint32_t)((bytes + EXO_PAGE_SIZE - 1) / EXO_PAGE_SIZE);
}

/* The first run of so many free frames; EXO_PFN_ANY: none. */
static exo_pfn_t find_free(uint32_t count)
{
	const struct exo_frame_info *frame;
	uint32_t run = 0, i;

	for (i = 0; (frame = info_frame(i)); i++) {
		run = frame->state == EXO_FRAME_FREE ? run + 1 : 0;
		if (run == count)
			return i + 1 - count;
	}
	return EXO_PFN_ANY;
}

/* One try: BUSY if somebody else has taken one of those that were free when they were looked at. */
static int64_t take_once(uint32_t count, exo_cap_t *cap)
{
	exo_pfn_t pfn = find_free(count);
	uint32_t done = count < EXO_TAKE_MAX ? count : EXO_TAKE_MAX, slot = caps_slot();
	int64_t result;

	if (!slot)
		return -EXO_ESLOT;
	if (pfn == EXO_PFN_ANY)
		return -EXO_EFULL;
	result = exo_frame_take(slot, pfn, done);
	if (result < 0)
		return result;
	*cap = (exo_cap_t)result;
	for (; done < count; done += (uint32_t)result) {
		result = exo_frame_take(*cap, EXO_PFN_ANY, count - done < EXO_TAKE_MAX ? count - done : EXO_TAKE_MAX);
		if (result < 0) {
			caps_delete(*cap);
			*cap = EXO_CAP_NONE;
			return result;
		}
	}
	return 0;
}

/* Frames in one piece under a capability of their own. */
static int64_t take(uint32_t count, exo_cap_t *cap)
{
	int64_t error = take_once(count, cap);

	for (unsigned tries = 0; error == -EXO_EBUSY && tries < TAKE_TRIES; tries++)
		error = take_once(count, cap);
	return error;
}

/* The same, mapped: NULL and the error. */
static void *take_mapped(uint32_t count, exo_cap_t *cap, int64_t *error)
{
	exo_vaddr_t at = vm_addresses((uint64_t)count * EXO_PAGE_SIZE);

	*error = at ? take(count, cap) : -EXO_EFULL;
	if (*error)
		return NULL;
	*error = space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, *cap, 0, count);
	if (!*error)
		return (void *)at;
	caps_delete(*cap);
	*cap = EXO_CAP_NONE;
	return NULL;
}

static uint32_t front_frames(const struct exo_code *header)
{
	return frames_of(EXO_CODE_INSNS + header->insns * 16ULL + header->data_bytes + 16);
}

/* One try, with `more` frames behind what it fills. */
static int64_t try_load(struct code_program *out, const struct exo_code *header, const struct exo_insn *insn,
    const void *data, uint32_t more)
{
	uint32_t count = front_frames(header) + more + (header->use == EXO_USE_OWNER ? EXO_OWNER_FRAMES : 0);
	uint32_t slot = caps_slot();
	int64_t error;
	uint8_t *at = take_mapped(count, &out->frames, &error);

	if (!at) {
		out->wrong = "no frames for the program";
		return error;
	}
	memcpy(at, header, sizeof(*header));
	memcpy(at + EXO_CODE_INSNS, insn, header->insns * sizeof(*insn));
	memcpy(at + EXO_CODE_INSNS + header->insns * sizeof(*insn), data, header->data_bytes);
	space_map((exo_vaddr_t)at, 0, EXO_CAP_NONE, 0, count);
	error = exo_code_load(slot, out->frames, 0, count);
	if (error < 0) {
		out->wrong = "the kernel does not take the program's header";
		return error;
	}
	out->cap = (exo_cap_t)error;
	do
		error = exo_code_step(out->cap, 0);
	while (error == -EXO_EAGAIN);
	memcpy(&out->report, core_arg(0), sizeof(out->report));
	if (error)
		out->wrong = "the kernel rejects the program";
	return error;
}

static int64_t bind_window(struct code_program *out, unsigned w, uint32_t frames, const struct code_memory *given)
{
	int64_t error;

	out->bytes[w] = frames * EXO_PAGE_SIZE;
	if (given && given->cap) {
		out->at[w] = given->at;
		error = exo_code_bind(out->cap, w, given->cap, given->first);
	} else {
		out->at[w] = take_mapped(frames, &out->memory[w], &error);
		if (!error)
			error = exo_code_bind(out->cap, w, out->memory[w], 0);
	}
	if (error)
		out->wrong = "no memory for a window of the program";
	return error;
}

void code_unload(struct code_program *program)
{
	unsigned w;

	if (program->cap)
		caps_delete(program->cap);
	if (program->frames)
		caps_delete(program->frames);
	for (w = 0; w < EXO_WINDOWS_OWN; w++)
		if (program->memory[w])
			caps_delete(program->memory[w]);
	program->cap = program->frames = EXO_CAP_NONE;
	memset(program->memory, 0, sizeof(program->memory));
	memset(program->at, 0, sizeof(program->at));
}

/* Would it be taken with more frames, or with less fuel? */
static bool again(const struct exo_code_report *report, struct exo_code *header, uint32_t *more)
{
	switch (report->reject) {
	case EXO_REJECT_WORK:
	case EXO_REJECT_ROOM:
		*more *= 2;
		return front_frames(header) + *more <= EXO_CODE_FRAMES_MAX;
	case EXO_REJECT_FUEL:
		if (report->needed_max >= header->fuel || report->needed_max < header->insns)
			return false;
		header->fuel = (uint32_t)report->needed_max;
		return true;
	default:
		return false;
	}
}

int64_t code_load(struct code_program *out, const struct exo_code *header, const struct exo_insn *insn, const void *data,
    const struct code_memory *given)
{
	uint32_t more = FRAMES_MORE + header->insns / INSNS_PER_FRAME;
	struct exo_code asked = *header;
	int64_t error;
	unsigned w;

	memset(out, 0, sizeof(*out));
	while ((error = try_load(out, &asked, insn, data, more)) == -EXO_EREJECTED &&
	    again(&out->report, &asked, &more))
		code_unload(out);
	for (w = 0; w < EXO_WINDOWS_OWN && !error; w++)
		if (header->window[w].frames)
			error = bind_window(out, w, header->window[w].frames, given ? &given[w] : NULL);
	if (error)
		code_unload(out);
	else
		out->wrong = NULL;
	return error;
}

/* --- objects -------------------------------------------------------------------------------------------- */

/* Instructions and constants lie in memory of this call's own until they are in the program's frames. */
int64_t code_load_object(struct code_program *out, struct code_object *object, const void *file, size_t size,
    const struct code_memory *given)
{
	enum code_status status = code_object_read(object, file, size);
	uint8_t *window[EXO_WINDOWS_OWN] = { NULL };
	struct exo_insn *insn;
	exo_cap_t scratch = EXO_CAP_NONE;
	uint8_t *data;
	int64_t error;
	unsigned w;

	memset(out, 0, sizeof(*out));
	out->wrong = code_status_text(status);
	if (status)
		return -EXO_EINVAL;
	insn = take_mapped(frames_of(object->header.insns * 8ULL + object->header.data_bytes), &scratch, &error);
	if (!insn) {
		out->wrong = "no frames for the program";
		return error;
	}
	data = (uint8_t *)(insn + object->header.insns);
	status = code_object_place(object, insn, data, window);
	if (status) {
		caps_delete(scratch);
		out->wrong = code_status_text(status);
		return -EXO_EINVAL;
	}
	error = code_load(out, &object->header, insn, data, given);
	if (!error) {
		for (w = 0; w < EXO_WINDOWS_OWN; w++)
			window[w] = out->memory[w] ? out->at[w] : NULL;
		(void)code_object_place(object, insn, data, window);
	}
	caps_delete(scratch);
	return error;
}

void *code_variable(const struct code_program *program, const struct code_object *object, const char *name, size_t bytes)
{
	unsigned window;
	uint32_t offset;

	if (code_object_variable(object, name, &window, &offset) != bytes || !program->at[window])
		return NULL;
	return (char *)program->at[window] + offset;
}
