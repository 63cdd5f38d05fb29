/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test/unit/bpf_random in the machine: random programs, by the interpreter and as machine code, in user mode, on the
 * CPU that the kernel runs on.
 */
#include "test/unit/bpf_random.c"

/* The engine, which no library has. */
#include "arch/x86_64/bpf.c"
#include "exo/bpf_insn.c"
#include "exo/bpf_interpret.c"
#include "tools/bpf/native_vm.c"
#include "tools/bpf/plain.c"
