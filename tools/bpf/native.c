/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine code in memory of this process: written first, then made executable, never both.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "tools/bpf/host.h"

struct native native_make(const struct bpf_program *program, uint64_t key)
{
	struct bpf_compile compile = { .program = program, .key = key };
	struct native made = { .run = NULL };

	compile.at = calloc(program->insns + 1, sizeof(*compile.at));
	if (!compile.at)
		return made;
	arch_bpf_compile_begin(&compile);
	while (arch_bpf_compile_step(&compile, 10000) > 0)
		continue;
	made.bytes = compile.bytes;
	made.map_bytes = (compile.bytes + 4095) & ~(size_t)4095;
	made.map = mmap(NULL, made.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (made.map != MAP_FAILED) {
		compile.out = made.map;
		compile.room = made.map_bytes;
		arch_bpf_compile_begin(&compile);
		while (arch_bpf_compile_step(&compile, 10000) > 0)
			continue;
		if (mprotect(made.map, made.map_bytes, PROT_READ | PROT_EXEC) == 0)
			made.run = (bpf_native_fn *)made.map;
	}
	free(compile.at);
	return made;
}

void native_free(struct native *native)
{
	if (native->map && native->map != MAP_FAILED)
		munmap(native->map, native->map_bytes);
	native->map = NULL;
	native->run = NULL;
}
