/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exo bpf plugin: the protocol of the public conformance runner. The program comes in hexadecimal on one line of
 * standard input; the memory, at r1 and r2 bytes long, as argument; r0 goes to standard output, in hexadecimal. What is
 * wrong is said on standard error, and the exit status is 1.
 *
 * The program may come as an ELF file, too: then it is that file's first section of instructions. Calls by number are of
 * plain.c's function.
 *
 * Runners pass the memory and their options for us as they please: as one argument or as several, empty ones among
 * them, in any order. So all arguments are taken as words, those with a dash in front as options, the rest as bytes.
 */
#include <elf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tools/bpf/host.h"
#include "tools/bpf/tool.h"

#define SPACES	" \t\r\n"

enum way { INTERPRETER, NATIVE };

struct plugin {
	struct bytes program, memory;
	enum way way;
	bool vm, verify;
};

static int take_option(struct plugin *plugin, const char *word, size_t length)
{
	static const char *const names[] = { "--interp", "--jit", "--vm", "--verify", "--elf" };
	size_t which = 0;

	while (which < 5 && (strlen(names[which]) != length || strncmp(names[which], word, length) != 0))
		which++;
	switch (which) {
	case 0:
		plugin->way = INTERPRETER;
		return 0;
	case 1:
		plugin->way = NATIVE;
		return 0;
	case 2:
		plugin->vm = true;
		return 0;
	case 3:
		plugin->verify = true;
		return 0;
	case 4:			/* it can be seen */
		return 0;
	default:
		return complain("%.*s: there is no such option; there are --interp, --jit, --vm, --verify and --elf",
				(int)length, word);
	}
}

static int take_words(struct plugin *plugin, const char *text)
{
	for (text += strspn(text, SPACES); *text; text += strspn(text, SPACES)) {
		size_t length = strcspn(text, SPACES);

		if (*text == '-') {
			if (take_option(plugin, text, length))
				return 1;
		} else if (!bytes_hex(&plugin->memory, text, length)) {
			return complain("memory: %.*s is no row of bytes in hexadecimal", (int)length, text);
		}
		text += length;
	}
	return 0;
}

/* Keep of an ELF file what its first section of instructions holds. */
static int keep_code(struct bytes *file)
{
	Elf64_Ehdr header;
	Elf64_Shdr section = { 0 };
	bool found = false;

	if (file->count < sizeof(header))
		return complain("the ELF file is too short");
	memcpy(&header, file->at, sizeof(header));
	for (unsigned i = 0; i < header.e_shnum && !found; i++) {
		uint64_t at = header.e_shoff + (uint64_t)i * sizeof(section);

		if (header.e_shentsize != sizeof(section) || at > file->count || sizeof(section) > file->count - at)
			return complain("the ELF file's sections lie outside it");
		memcpy(&section, file->at + at, sizeof(section));
		found = section.sh_type == SHT_PROGBITS && section.sh_flags & SHF_EXECINSTR && section.sh_size;
	}
	if (!found || section.sh_offset > file->count || section.sh_size > file->count - section.sh_offset)
		return complain("the ELF file has no instructions");
	memmove(file->at, file->at + section.sh_offset, section.sh_size);
	file->count = section.sh_size;
	return 0;
}

static int read_program(struct bytes *program)
{
	char *line = NULL;
	const char *text;
	size_t room = 0;
	int wrong = 0;

	if (getline(&line, &room, stdin) < 0)
		wrong = complain("standard input: there is no program");
	text = wrong ? "" : line + strspn(line, SPACES);
	for (; *text && !wrong; text += strspn(text, SPACES)) {
		size_t length = strcspn(text, SPACES);

		if (!bytes_hex(program, text, length))
			wrong = complain("program: %.*s is no row of bytes in hexadecimal", (int)length, text);
		text += length;
	}
	free(line);
	if (!wrong && program->count > SELFMAG && memcmp(program->at, ELFMAG, SELFMAG) == 0)
		wrong = keep_code(program);
	if (!wrong && (program->count == 0 || program->count % sizeof(struct exo_insn)))
		wrong = complain("program: %zu bytes are not a number of instructions", program->count);
	if (!wrong && program->count / sizeof(struct exo_insn) > EXO_INSNS_MAX)
		wrong = complain("program: more than %d instructions", EXO_INSNS_MAX);
	return wrong;
}

static void end_lost(int signal)
{
	static const char text[] = "exo bpf: the program reached memory that is not there\n";

	(void)signal;
	_exit(write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ? 2 : 1);
}

static int run_here(const struct plugin *plugin, struct bpf_program *program)
{
	static uint8_t stack[BPF_STACK_BYTES] __attribute__((aligned(16)));
	uint64_t r0, r1 = plugin->memory.count ? (uintptr_t)plugin->memory.at : 0, r2 = plugin->memory.count;
	struct bpf_run run = { .owner = NULL };

	signal(SIGSEGV, end_lost);
	signal(SIGBUS, end_lost);
	bpf_begin(&run, program, stack);
	if (plugin->way == INTERPRETER) {
		r0 = bpf_interpret(&run, r1, r2);
	} else {
		struct native native = native_make(program, ((uint64_t)rand() << 32) ^ (uintptr_t)program);

		if (!native.run)
			return complain("there is no memory that may be executed");
		r0 = native.run(r1, r2, &run);
		native_free(&native);
	}
	if (run.stop)
		return complain("the program was stopped: out of fuel, or calls too deep");
	printf("%llx\n", (unsigned long long)r0);
	return 0;
}

/* What the verifier answers if the program were one for packets, without memory of its own. */
static int verify(const struct bpf_program *plain)
{
	struct bpf_program program = { .insn = plain->insn, .insns = plain->insns, .use = EXO_USE_PACKET,
		.fuel = EXO_FUEL_PACKET };
	struct exo_code_report report;

	program.note = calloc(program.insns, sizeof(*program.note));
	if (!program.note)
		return complain("there is no memory");
	check_program(&program, &report);
	fprintf(stderr, "verifier: ");
	explain(stderr, &program, &report);
	free(program.note);
	return 0;
}

int verb_plugin(int argc, char **argv)
{
	struct plugin plugin = { .way = NATIVE };
	struct bpf_program program = { .insn = NULL };
	const char *wrong;
	uint32_t where;
	int status;

	for (int i = 0; i < argc; i++)
		if (take_words(&plugin, argv[i]))
			return 1;
	if (read_program(&plugin.program))
		return 1;
	program.insn = (struct exo_insn *)(void *)plugin.program.at;
	program.insns = (uint32_t)(plugin.program.count / sizeof(struct exo_insn));
	program.note = calloc(program.insns, sizeof(*program.note));
	if (!program.note)
		return complain("there is no memory");
	wrong = plain_prepare(&program, &where);
	if (plugin.verify && verify(&program))
		status = 1;
	else if (wrong)
		status = complain("instruction %u: %s", where, wrong);
	else if (plugin.vm)
		status = plugin_vm(&plugin.program, &plugin.memory, plugin.way == NATIVE ? "jit" : "interp");
	else
		status = run_here(&plugin, &program);
	free(program.note);
	free(plugin.program.at);
	free(plugin.memory.at);
	return status;
}
