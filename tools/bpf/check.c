/* SPDX-License-Identifier: BSD-2-Clause */
/* exo bpf check: what the kernel will answer. exo bpf dump: what it makes of each instruction. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tools/bpf/load.h"

enum { GOOD = 32, BAD = 31 };

static void print_coloured(const char *text, int colour)
{
	bool coloured = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

	if (coloured)
		printf("\033[1;%dm%s\033[0m", colour, text);
	else
		fputs(text, stdout);
}

/* The instructions before and at the one that was rejected. */
static void print_around(const struct loaded *loaded)
{
	const struct bpf_program *program = &loaded->program;
	uint32_t at = loaded->report.insn, first = at < 4 ? 0 : at - 4;
	char text[128];

	if (at >= program->insns)
		return;
	for (uint32_t i = first; i <= at + 1 && i < program->insns; i++) {
		if (i && program->insn[i - 1].code == BPF_LDDW)
			continue;
		code_insn_text(text, sizeof(text), program->insn, program->insns, i);
		printf("  %c %4" PRIu32 "  %s\n", i == at ? '>' : ' ', i, text);
	}
}

static void print_accepted(const struct loaded *loaded, bool guards)
{
	const struct exo_code_report *report = &loaded->report;
	uint32_t free = report->accesses - report->guarded;
	char text[128];

	printf(": %s program, %" PRIu32 " instructions, functions %" PRIu32 " deep\n", use_name(loaded->program.use),
	    report->insns, report->depth);
	printf("  memory accesses %" PRIu32 ", tested at run time %" PRIu32 ", without a test %" PRIu32 ".%" PRIu32 " %%\n",
	    report->accesses, report->guarded, report->accesses ? 100 * free / report->accesses : 100,
	    report->accesses ? 1000 * free / report->accesses % 10 : 0);
	printf("  fuel %" PRIu32 ", of which the start takes %" PRIu32 "\n", loaded->fuel,
	    loaded->fuel - loaded->program.fuel);
	printf("  machine code %" PRIu32 " bytes\n", report->native_bytes);
	for (uint32_t i = 0; guards && i < loaded->program.insns; i++)
		if (loaded->note[i].flags & BPF_NOTE_GUARD) {
			code_insn_text(text, sizeof(text), loaded->insn, loaded->program.insns, i);
			printf("  tested: %4" PRIu32 "  %s\n", i, text);
		}
}

static struct loaded loaded;

/* Words of check and dump: FILE [--use U] and one more option. 0, or the exit status. */
static int take(int argc, char **argv, const char *option, bool *given, const char *verb)
{
	const char *path = NULL;
	uint32_t use = 0;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--use") == 0) {
			use = use_named(argv[i + 1]);
			i++;
			if (!use)
				return 2;
		} else if (strcmp(argv[i], option) == 0) {
			*given = true;
		} else if (argv[i][0] == '-') {
			return 2 * complain("%s %s: there is no such option: there are --use and %s", verb, argv[i], option);
		} else if (path) {
			return 2 * complain("%s %s: one file at a time", verb, argv[i]);
		} else {
			path = argv[i];
		}
	}
	if (!path)
		return 2 * complain("%s: which file? exo bpf %s FILE.o", verb, verb);
	return 2 * load_program(&loaded, path, use);
}

int verb_check(int argc, char **argv)
{
	bool guards = false;
	int status = take(argc, argv, "--guards", &guards, "check");
	char text[2048], *line;

	if (status)
		return status;
	if (check_loaded(&loaded) == 0) {
		print_coloured("accepted", GOOD);
		print_accepted(&loaded, guards);
		return 0;
	}
	code_report(text, sizeof(text), &loaded.report, loaded.insn, loaded.program.insns);
	print_coloured("rejected", BAD);
	line = strchr(text, '\n');
	if (!line)
		return 1;
	printf("%.*s", (int)(line + 1 - text) - 8, text + 8);
	print_around(&loaded);
	fputs(line + 1, stdout);
	return 1;
}

static void print_note(const struct bpf_note *note, bool access)
{
	static const char *const windows[EXO_WINDOWS] = { "memory 0", "memory 1", "memory 2", "memory 3", "data",
		"context", "packet", "block", "stack" };

	if (!(note->flags & BPF_NOTE_REACHED))
		printf("  never reached;");
	if (access)
		printf("  %s%s%s;", windows[note->window % EXO_WINDOWS], note->flags & BPF_NOTE_GUARD ? ", tested" : "",
		    note->flags & BPF_NOTE_OBSERVE ? ", noted" : "");
	if (note->charge)
		printf("  fuel %u;", note->charge);
}

static int print_native(struct bpf_compile *compile)
{
	compile->room = 1 << 20;
	compile->at = calloc(loaded.program.insns + 1, sizeof(*compile->at));
	compile->out = malloc(compile->room);
	if (!compile->at || !compile->out)
		return complain("there is no memory");
	arch_bpf_compile_begin(compile);
	while (arch_bpf_compile_step(compile, 10000) > 0)
		continue;
	return 0;
}

int verb_dump(int argc, char **argv)
{
	struct bpf_compile compile = { .program = &loaded.program };
	bool native = false;
	int status = take(argc, argv, "--native", &native, "dump");
	char text[128];
	bool accepted;

	if (status)
		return status;
	accepted = check_loaded(&loaded) == 0;
	if (native && accepted && print_native(&compile))
		return 2;
	for (uint32_t i = 0; i < loaded.program.insns; i++) {
		unsigned class = BPF_CLASS(loaded.insn[i].code);

		if (i && loaded.insn[i - 1].code == BPF_LDDW)
			continue;
		if (accepted && loaded.note[i].flags & BPF_NOTE_FUNCTION)
			printf("%sfunction %" PRIu32 ":\n", i ? "\n" : "", i);
		code_insn_text(text, sizeof(text), loaded.insn, loaded.program.insns, i);
		printf("%c%4" PRIu32 "  %-40s", accepted && loaded.note[i].flags & BPF_NOTE_TARGET ? '>' : ' ', i, text);
		if (accepted)
			print_note(&loaded.note[i], class == BPF_LDX || class == BPF_ST || class == BPF_STX);
		putchar('\n');
		if (native && accepted) {
			uint32_t next = i + 1 + (loaded.insn[i].code == BPF_LDDW);

			printf("      %06" PRIx32 " ", compile.at[i]);
			for (uint32_t at = compile.at[i]; at < compile.at[next]; at++)
				printf(" %02x", compile.out[at]);
			putchar('\n');
		}
	}
	if (!accepted)
		printf("rejected at instruction %" PRIu32 ": exo bpf check says why\n", loaded.report.insn);
	free(compile.at);
	free(compile.out);
	return !accepted;
}
