/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of downloaded code on the host: instruction-set mode, and machine code in memory of this process. For the
 * tools and for tests.
 */
#ifndef TOOLS_BPF_HOST_H
#define TOOLS_BPF_HOST_H

#include "exo/bpf.h"

#define PLAIN_FUEL	(1u << 28)	/* backward jumps and calls of a program in instruction-set mode */

/* A program in instruction-set mode: makes sure that instructions are ones and that jumps stay inside, and fills
 * program->note (of program->insns) so that endless loops end. NULL, or what is wrong and *where. */
const char *plain_prepare(struct bpf_program *program, uint32_t *where);

/* What calls by number call there, for whoever has it as bpf_call[0]: gives back r1. */
bpf_call_fn plain_call;

struct native {
	bpf_native_fn *run;	/* NULL: there was no memory */
	size_t bytes;		/* of code */
	void *map;
	size_t map_bytes;
};
/* Machine code of a prepared or checked program, and its end. The address is another each time. */
struct native native_make(const struct bpf_program *program, uint64_t key);
void native_free(struct native *native);

/* calls.c: `owner` of a run on the host, but for EXO_USE_OWNER; NULL will do. */
struct host_run {
	uint64_t time;
	uint32_t wakes, sends;
	uint64_t sent_bytes;	/* the last frame */
	uint8_t sent[2048];
};

#endif
