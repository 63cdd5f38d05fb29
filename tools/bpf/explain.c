/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verifier answers, in words. */
#include <stdlib.h>
#include "libos/core/code_report.h"
#include "tools/bpf/host.h"
#include "tools/bpf/tool.h"

int check_program(struct bpf_program *program, struct exo_code_report *report)
{
	size_t bytes = 4 * bpf_check_bytes(program->insns) + (1 << 20);
	void *work = aligned_alloc(64, bytes & ~(size_t)63);
	struct bpf_check *check = work ? bpf_check_begin(program, work, bytes & ~(size_t)63) : NULL;
	int result = check ? 1 : -1;

	*report = (struct exo_code_report){ .reject = check ? 0 : EXO_REJECT_WORK };
	while (result > 0)
		result = bpf_check_step(check, 1000000, report);
	free(work);
	return result;
}

void explain(FILE *file, const struct bpf_program *program, const struct exo_code_report *report)
{
	char text[2048];

	code_report(text, sizeof(text), report, program->insn, program->insns);
	fputs(text, file);
}
