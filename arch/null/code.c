/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs on the fake port: nothing is compiled, the interpreter runs them. Tests see which frames are open.
 */
#include <stdlib.h>
#include "arch/null/null.h"
#include "exo/bpf.h"

static uint64_t interpret(uint64_t r1, uint64_t r2, struct bpf_run *run)
{
	return bpf_interpret(run, r1, r2);
}

arch_code_fn *arch_code_open(exo_pfn_t first, size_t bytes)
{
	(void)first, (void)bytes;
	null.code_open += bytes / EXO_PAGE_SIZE;
	return interpret;
}

void arch_code_close(exo_pfn_t first, uint32_t frames)
{
	(void)first;
	null.code_open -= frames;
}

/* Machine code of a page, so that there is something to open. */
void arch_bpf_compile_begin(struct bpf_compile *compile)
{
	compile->bytes = 0;
	compile->pass = 0;
}

int arch_bpf_compile_step(struct bpf_compile *compile, unsigned budget)
{
	(void)budget;
	compile->bytes = EXO_PAGE_SIZE;
	if (compile->room < compile->bytes)
		return -1;
	__builtin_memset(compile->out, 0xcc, compile->bytes);
	return compile->pass++ < 1;
}
