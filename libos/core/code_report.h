/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the check says of a program, for people. Pure: needs snprintf only; used on the host, too.
 */
#ifndef LIBOS_CORE_CODE_REPORT_H
#define LIBOS_CORE_CODE_REPORT_H

#include <stddef.h>
#include <exo/code.h>

/* Text of at most `bytes` with its NUL, cut where there is no more room. Each returns its length. */

/* A report: why a program was rejected (instruction, register, what was known, what is needed, what may
 * help), or what it is like. `insn`: the program's instructions, or NULL. Lines end in '\n'. */
size_t code_report(char *text, size_t bytes, const struct exo_code_report *report, const struct exo_insn *insn,
    uint32_t insns);
/* Instruction `at` as in C: "r1 = *(u32 *)(r2 + 8)". */
size_t code_insn_text(char *text, size_t bytes, const struct exo_insn *insn, uint32_t insns, uint32_t at);

#endif
