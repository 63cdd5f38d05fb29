/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing eBPF programs in C. Registers are numbers, distances and sizes as in exo/bpf.h.
 */
#ifndef TOOLS_BPF_INSN_H
#define TOOLS_BPF_INSN_H

#include "exo/bpf.h"

#define I(code, dst, src, offset, imm) \
	(struct exo_insn){ (code), (uint8_t)((dst) | (src) << 4), (offset), (int32_t)(imm) }
#define K64(op, dst, imm)		I(BPF_ALU64 | (op), dst, 0, 0, imm)
#define X64(op, dst, src)		I(BPF_ALU64 | (op) | BPF_SRC_REG, dst, src, 0, 0)
#define K32(op, dst, imm)		I(BPF_ALU | (op), dst, 0, 0, imm)
#define X32(op, dst, src)		I(BPF_ALU | (op) | BPF_SRC_REG, dst, src, 0, 0)
#define LDDW(dst, value) \
	I(BPF_LDDW, dst, 0, 0, (uint64_t)(value)), I(0, 0, 0, 0, (uint64_t)(value) >> 32)
#define WINDOW(dst, window, offset)	I(BPF_LDDW, dst, BPF_LDDW_WINDOW, 0, window), I(0, 0, 0, 0, offset)
#define JUMP(op, dst, imm, to)		I(BPF_JMP | (op), dst, 0, to, imm)
#define JUMPX(op, dst, src, to)		I(BPF_JMP | (op) | BPF_SRC_REG, dst, src, to, 0)
#define LOAD(size, dst, src, offset)	I(BPF_LDX | BPF_MEM | (size), dst, src, offset, 0)
#define STORE(size, dst, src, offset)	I(BPF_STX | BPF_MEM | (size), dst, src, offset, 0)
#define STOREK(size, dst, offset, imm)	I(BPF_ST | BPF_MEM | (size), dst, 0, offset, imm)
#define ATOMIC(size, dst, src, offset, op)	I(BPF_STX | BPF_ATOMIC | (size), dst, src, offset, op)
#define CALL(distance)			I(BPF_JMP | BPF_CALL, 0, BPF_CALL_LOCAL, 0, distance)
#define CALL_KERNEL(number)		I(BPF_JMP | BPF_CALL, 0, 0, 0, number)
#define EXIT				I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

#endif
