/* SPDX-License-Identifier: BSD-2-Clause */
/* A program from a file, with all that its check and its runs need. Large: have it static. */
#ifndef TOOLS_BPF_LOAD_H
#define TOOLS_BPF_LOAD_H

#include "libos/core/code_object.h"
#include "libos/core/code_report.h"
#include "tools/bpf/host.h"
#include "tools/bpf/tool.h"

struct loaded {
	struct bytes file;
	struct code_object object;
	struct bpf_program program;
	struct exo_code_report report;
	struct bpf_window window[EXO_WINDOWS_OWN];	/* as the file's variables begin */
	uint32_t fuel;		/* before the check */
	struct exo_insn insn[EXO_INSNS_MAX];
	struct bpf_note note[EXO_INSNS_MAX];
	uint8_t data[EXO_CODE_DATA_MAX];
};

/* The use of this name; 0: there is none, which is said. */
uint32_t use_named(const char *name);
const char *use_name(uint32_t use);
/* Append a file's contents; 0, or 1: what is wrong is said. */
int read_file(const char *path, struct bytes *bytes);
/* Read a program; use 0: what the file says. 0, or 1: what is wrong is said. */
int load_program(struct loaded *loaded, const char *path, uint32_t use);
/* Ask the verifier and the compiler; the report is filled. 0 accepted, -1 rejected. */
int check_loaded(struct loaded *loaded);

#endif
