/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For programs compiled with `clang -target bpf -O2`: the functions of exo/code.h as C, and where things go.
 *
 *	EXO_PROGRAM(packet)		section "packet", "wake" or "owner": what exo_code_load's `use` becomes; one in a file
 *	int count(struct exo_packet *p) { ... }
 *
 * Other functions, not inlined, become program-local calls. Constant data becomes window EXO_WINDOW_DATA. Variables
 * (.data and .bss) lie in window 0, the application's own memory, from offset 0 on; the application finds them by name
 * (libos/core/code.h).
 */
#ifndef EXO_BPF_H
#define EXO_BPF_H

#include <exo/code.h>

#define EXO_IN_WINDOW(n)	__attribute__((section("window" #n)))	/* of a variable: in window 1, 2 or 3 */
#define EXO_PROGRAM(use)	__attribute__((section(#use), used))

static uint64_t (*const exo_code_time)(void) = (void *)EXO_CODE_CALL_time;
static uint64_t (*const exo_code_wake)(void) = (void *)EXO_CODE_CALL_wake;
static uint64_t (*const exo_code_copy)(void *to, uint64_t bytes, uint64_t offset, uint64_t sum) =
    (void *)EXO_CODE_CALL_copy;
static uint64_t (*const exo_code_sum)(const void *from, uint64_t bytes, uint64_t sum) = (void *)EXO_CODE_CALL_sum;
static uint64_t (*const exo_code_send)(const void *from, uint64_t bytes) = (void *)EXO_CODE_CALL_send;
static uint64_t (*const exo_code_emit)(uint64_t block, uint64_t count, uint64_t type) = (void *)EXO_CODE_CALL_emit;

#define exo_be16(number)	__builtin_bswap16(number)	/* network order to number, and back */
#define exo_be32(number)	__builtin_bswap32(number)

#endif
