/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program that a predicate's words make. See predicate.h; needs no machine.
 *
 * It is a straight line, so it needs no more fuel than it has instructions. Window 0 is the page of operands, window
 * 1 + i the i-th frame. r1 is the context, r5 the operands; r2 and r3 hold what is compared.
 */
#include <string.h>
#include "libos/core/insn.h"
#include "libos/core/predicate.h"

#define OPERAND(field)	offsetof(struct predicate_operands, field)

/* The words' tests; r2 and r3 are free. Each is as long as it is, whatever follows. */
static unsigned emit_word(const struct predicate_word *word, unsigned number, struct exo_insn *out)
{
	const int16_t mask = (int16_t)(OPERAND(word) + 16 * number), value = (int16_t)(mask + 8);
	struct exo_insn *at = out;
	const struct exo_insn address[2] = { INSN_WINDOW(3, 1 + word->frame, word->offset) };

	*at++ = address[0];
	*at++ = address[1];
	*at++ = INSN_LOAD(word->bytes, 2, 3, 0);
	if (word->test == PREDICATE_DIFFERS) {
		*at++ = INSN_LOAD(8, 3, 5, mask);
		*at++ = INSN_OP(AND, 2, 3);
		*at++ = INSN_LOAD(8, 3, 5, value);
		*at++ = INSN_IF(JNE, 2, 3, 0);		/* where to: emit_exits */
	} else {
		*at++ = INSN_LOAD(8, 3, 5, value);
		*at++ = word->bytes == 8 ? INSN_OP(SUB, 2, 3) : INSN_OP32(SUB, 2, 3);
		*at++ = word->bytes == 8 ? INSN_IFI(JSLT, 2, 0, 2) : INSN_IFI32(JSLT, 2, 0, 2);
		*at++ = INSN_LOAD(8, 3, 5, mask);
		*at++ = INSN_IFI(JNE, 3, 0, 0);
	}
	return (unsigned)(at - out);
}

/* Conditional jumps that lead nowhere yet lead to the last two instructions, which say: wake. */
static unsigned emit_exits(struct exo_insn *out, unsigned count)
{
	unsigned wake = count + 2, i;

	for (i = 0; i < count; i++) {
		uint8_t code = out[i].code;
		if ((code == (0x05 | INSN_JNE) || code == (0x0d | INSN_JNE)) && !out[i].offset)
			out[i].offset = (int16_t)(wake - i - 1);
	}
	out[count++] = INSN_OPI(MOV, 0, 0);
	out[count++] = INSN_EXIT;
	out[count++] = INSN_OPI(MOV, 0, 1);
	out[count++] = INSN_EXIT;
	return count;
}

unsigned predicate_emit(const struct predicate *predicate, struct exo_insn *out)
{
	const struct exo_insn begin[] = {
		INSN_WINDOW(5, 0, 0),
		INSN_LOAD(8, 2, 1, offsetof(struct exo_wake, pending)),
		INSN_LOAD(8, 3, 5, OPERAND(events)),
		INSN_OP(AND, 2, 3),
		INSN_IFI(JNE, 2, 0, 0),
	};
	unsigned count = sizeof(begin) / sizeof(begin[0]), i;

	memcpy(out, begin, sizeof(begin));
	for (i = 0; i < PREDICATE_WORDS; i++)
		if (predicate->word[i].bytes)
			count += emit_word(&predicate->word[i], i, out + count);
	return emit_exits(out, count);
}
