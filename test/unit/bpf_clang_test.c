/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs of test/bpf, as the compiler makes them, are accepted, with nine tenths of their accesses free of tests at
 * run time. Names of objects to look at instead may be given.
 */
#include <stdlib.h>

#include "exo/bpf.h"
#include "libos/core/code_object.h"
#include "libos/core/code_report.h"
#include "test/unit/tap.h"

static uint8_t file[1 << 18], data[EXO_CODE_DATA_MAX];
static struct exo_insn insn[EXO_INSNS_MAX];
static struct bpf_note note[EXO_INSNS_MAX];
static unsigned all_accesses, all_guarded;

static void look_at(const char *name)
{
	FILE *from = fopen(name, "rb");
	struct code_object object;
	struct exo_code_report report = { 0 };
	size_t bytes, work_bytes;
	enum code_status status;
	char text[1024];

	if (!ok(from, "%s is there", name))
		return;
	bytes = fread(file, 1, sizeof(file), from);
	fclose(from);
	status = code_object_read(&object, file, bytes);
	if (status == CODE_OK)
		status = code_object_place(&object, insn, data, (uint8_t *[EXO_WINDOWS_OWN]){ NULL });
	if (!ok(status == CODE_OK, "%s: %s", name, code_status_text(status)))
		return;

	struct bpf_program program = {
		.insn = insn, .insns = object.header.insns, .use = object.header.use, .note = note, .data = data,
		.data_bytes = object.header.data_bytes, .fuel = object.header.fuel,
	};
	for (unsigned i = 0; i < EXO_WINDOWS_OWN; i++) {
		program.window_bytes[i] = object.header.window[i].frames * 4096;
		program.window_write |= (object.header.window[i].flags & EXO_WINDOW_WRITE) << i;
	}
	work_bytes = bpf_check_bytes(program.insns);
	void *work = aligned_alloc(64, (work_bytes + 63) & ~(size_t)63);
	struct bpf_check *check = bpf_check_begin(&program, work, work_bytes);
	int result;

	do
		result = bpf_check_step(check, 10000, &report);
	while (result > 0);
	if (!ok(!result, "%s is accepted: %u instructions, %u accesses, %u guarded", name, report.insns, report.accesses,
	    report.guarded)) {
		code_report(text, sizeof(text), &report, insn, program.insns);
		printf("%s", text);
	}
	for (unsigned i = 0; i < program.insns; i++)
		if (!result && note[i].flags & BPF_NOTE_GUARD) {
			code_insn_text(text, sizeof(text), insn, program.insns, i);
			printf("# guarded: %u: %s\n", i, text);
		}
	all_accesses += report.accesses;
	all_guarded += report.guarded;
	free(work);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "headers", "options", "table", "calls", "inode", "pending" };
	const char *build = getenv("EXO_BUILD");
	char path[512];

	for (int i = 1; i < argc; i++)
		look_at(argv[i]);
	for (unsigned i = 0; argc == 1 && i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/test/bpf/%s.bpf.o", build ? build : ".", names[i]);
		look_at(path);
	}
	ok(all_guarded * 10 <= all_accesses, "%u of %u accesses are tested at run time", all_guarded, all_accesses);
	return done();
}
