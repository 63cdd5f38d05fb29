/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions of downloaded programs (exo/code.h; RFC 9669), as initializers, for programs that a libOS writes itself.
 *
 *   INSN_LOAD(bytes, to, from, offset)       to = *(from + offset), of 1, 2, 4 or 8 bytes, zero-extended
 *   INSN_STORE(bytes, at, offset, from)      *(at + offset) = from
 *   INSN_OP(ADD, to, from), INSN_OPI(ADD, to, number)    64 bits; INSN_OP32, INSN_OPI32 32 bits
 *   INSN_IF(JNE, a, b, distance), INSN_IFI(JNE, a, number, distance)    go on `distance` instructions behind the next
 *   INSN_WINDOW(to, window, byte)            the address of a byte of a window: two instructions
 *   INSN_NUMBER(to, number)                  a 64-bit number: two instructions
 *   INSN_GOTO(distance), INSN_CALL(name), INSN_EXIT
 */
#ifndef LIBOS_CORE_INSN_H
#define LIBOS_CORE_INSN_H

#include <exo/code.h>

#define INSN(code, to, from, offset, imm) \
	(struct exo_insn){ (code), (uint8_t)((to) | (from) << 4), (int16_t)(offset), (int32_t)(imm) }

#define INSN_ADD	0x00
#define INSN_SUB	0x10
#define INSN_MUL	0x20
#define INSN_DIV	0x30	/* unsigned */
#define INSN_MOD	0x90
#define INSN_OR		0x40
#define INSN_AND	0x50
#define INSN_LSH	0x60
#define INSN_RSH	0x70
#define INSN_XOR	0xa0
#define INSN_MOV	0xb0
#define INSN_JEQ	0x10
#define INSN_JGT	0x20
#define INSN_JGE	0x30
#define INSN_JSET	0x40
#define INSN_JNE	0x50
#define INSN_JSGE	0x70
#define INSN_JLT	0xa0
#define INSN_JLE	0xb0
#define INSN_JSLT	0xc0

/* The size bits of an access. */
#define INSN_BYTES(bytes)	((bytes) == 8 ? 0x18 : (bytes) == 4 ? 0x00 : (bytes) == 2 ? 0x08 : 0x10)

#define INSN_LOAD(bytes, to, from, offset)	INSN(0x61 | INSN_BYTES(bytes), to, from, offset, 0)
#define INSN_STORE(bytes, at, offset, from)	INSN(0x63 | INSN_BYTES(bytes), at, from, offset, 0)
#define INSN_OP(op, to, from)			INSN(0x0f | INSN_##op, to, from, 0, 0)
#define INSN_OPI(op, to, number)		INSN(0x07 | INSN_##op, to, 0, 0, number)
#define INSN_OP32(op, to, from)			INSN(0x0c | INSN_##op, to, from, 0, 0)
#define INSN_OPI32(op, to, number)		INSN(0x04 | INSN_##op, to, 0, 0, number)
#define INSN_IF(how, a, b, distance)		INSN(0x0d | INSN_##how, a, b, distance, 0)
#define INSN_IFI(how, a, number, distance)	INSN(0x05 | INSN_##how, a, 0, distance, number)
#define INSN_IFI32(how, a, number, distance)	INSN(0x06 | INSN_##how, a, 0, distance, number)
#define INSN_GOTO(distance)			INSN(0x05, 0, 0, distance, 0)
#define INSN_WINDOW(to, window, byte)		INSN(0x18, to, 6, 0, window), INSN(0, 0, 0, 0, byte)
#define INSN_NUMBER(to, number) \
	INSN(0x18, to, 0, 0, (uint64_t)(number)), INSN(0, 0, 0, 0, (uint64_t)(number) >> 32)
#define INSN_CALL(name)				INSN(0x85, 0, 0, 0, EXO_CODE_CALL_##name)
#define INSN_EXIT				INSN(0x95, 0, 0, 0, 0)

#endif
