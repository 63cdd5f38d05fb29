/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verifier, interpreter and compiler of downloaded code on programs from bytes: see test/unit/bpf_both.h for what must
 * hold. The first byte says how the rest becomes a program: by the generator, whose decisions the bytes are; the same with
 * changes; or as instructions.
 */
#include "test/unit/bpf_both.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t how;

	if (bytes < 2)
		return 0;
	both_open();
	how = data[0];
	seed = 0x9e3779b97f4a7c15 ^ data[1];
	pick_from = data + 2;
	pick_end = data + bytes;
	if (how % 4 == 3) {
		use = 1 + how / 4 % 4;
		insns = (uint32_t)((bytes - 2) / sizeof(struct exo_insn));
		insns = insns < INSNS_MAX ? insns : INSNS_MAX;
		memcpy(text, pick_from, insns * sizeof(struct exo_insn));
		pick_from = pick_end;
	} else {
		emit_program();
		if (how % 4 == 2)
			both_mutate();
	}
	if (insns)
		both_try(text, insns, use, 2);
	return 0;
}
