/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The compiler of the machine that tests run on, beside the fake port's, which has the same names.
 */
#define arch_bpf_compile_begin	host_bpf_compile_begin
#define arch_bpf_compile_step	host_bpf_compile_step
#include "arch/x86_64/bpf.c"
#include "tools/bpf/native.c"
