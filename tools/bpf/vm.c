/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program for Exo: runs an eBPF program in instruction-set mode in the machine, for `exo bpf plugin --vm`.
 *
 *	bpf_vm jit|interp	/program and /memory are the bytes; prints "r0 HEX", or a sentence and the status is 1
 *	bpf_vm measure		a figure a line: instructions of the CPU's, under exo run --icount
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/bench/bench.h"
#include "tools/bpf/host.h"
#include "tools/bpf/vm_programs.h"

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT] = { plain_call };

static uint8_t stack[BPF_STACK_BYTES] __attribute__((aligned(16)));

static _Noreturn void fail(const char *text)
{
	printf("%s\n", text);
	exit(1);
}

static void *need(void *memory)
{
	if (!memory)
		fail("there is no memory");
	return memory;
}

static void compile(struct bpf_compile *compile)
{
	arch_bpf_compile_begin(compile);
	while (arch_bpf_compile_step(compile, 10000) > 0)
		continue;
}

static struct native make(const struct bpf_program *program, uint64_t key)
{
	struct native native = native_make(program, key);

	if (!native.run)
		fail("there is no memory that may be executed");
	return native;
}

static uint8_t *read_file(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	uint8_t *at = need(malloc(1 << 20));

	if (!file)
		fail("there is no such file");
	*bytes = fread(at, 1, 1 << 20, file);
	fclose(file);
	return at;
}

/* A program of these instructions, ready to run. */
static struct bpf_program prepare(const struct exo_insn *insn, uint32_t insns)
{
	struct bpf_program program = { .insn = insn, .insns = insns };
	const char *wrong;
	uint32_t where;

	program.note = need(calloc(insns + 1, sizeof(*program.note)));
	wrong = plain_prepare(&program, &where);
	if (wrong)
		fail(wrong);
	return program;
}

static int run_files(bool native)
{
	size_t program_bytes, memory_bytes;
	uint8_t *insn = read_file("/program", &program_bytes), *memory = read_file("/memory", &memory_bytes);
	struct bpf_program program = prepare((struct exo_insn *)(void *)insn, (uint32_t)(program_bytes / 8));
	uint64_t r0, r1 = memory_bytes ? (uintptr_t)memory : 0;
	struct bpf_run run = { .owner = NULL };

	bpf_begin(&run, &program, stack);
	if (native)
		r0 = make(&program, bench_count()).run(r1, memory_bytes, &run);
	else
		r0 = bpf_interpret(&run, r1, memory_bytes);
	if (run.stop)
		fail("the program was stopped: out of fuel, or calls too deep");
	printf("r0 %llx\n", (unsigned long long)r0);
	return 0;
}

/* --- figures ----------------------------------------------------------------------------------------------------- */

static uint8_t memory[4096] __attribute__((aligned(64)));

static void fill_memory(void)
{
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 151 + (i >> 8) + 77);
}

static void measure_one(const struct vm_program *which)
{
	struct bpf_program program = prepare(which->insn, which->insns);
	struct bpf_compile work = { .program = &program, .key = 0x9e3779b97f4a7c15 };
	struct native native = make(&program, work.key);
	struct bpf_run run = { .owner = NULL };
	uint64_t began, interpreted, compiled, made, r0;

	fill_memory();
	bpf_begin(&run, &program, stack);
	began = bench_count();
	r0 = bpf_interpret(&run, (uintptr_t)memory, which->r2);
	interpreted = bench_count() - began;
	fill_memory();
	bpf_begin(&run, &program, stack);
	began = bench_count();
	if (native.run((uintptr_t)memory, which->r2, &run) != r0 || r0 != which->r0)
		fail("results differ");
	compiled = bench_count() - began;
	work.at = need(calloc(program.insns + 1, sizeof(*work.at)));
	work.room = native.bytes;
	work.out = need(malloc(native.bytes));
	began = bench_count();
	compile(&work);
	made = bench_count() - began;
	printf("bpf %s insns %u interpreted %llu compiled %llu ratio %llu.%llu compile_per_insn %llu bytes %zu\n",
	       which->name, program.insns, (unsigned long long)interpreted, (unsigned long long)compiled,
	       (unsigned long long)(interpreted / compiled), (unsigned long long)(10 * interpreted / compiled % 10),
	       (unsigned long long)(made / program.insns), native.bytes);
}

/* The longest stay in the compiler, with a program of the most expensive instructions. */
static void measure_step(void)
{
	static struct exo_insn insn[EXO_INSNS_MAX];
	struct bpf_program program;
	struct bpf_compile work = { .program = &program, .key = 0x9e3779b97f4a7c15 };
	uint64_t longest = 0, sum = 0;
	int result = 1;

	for (unsigned i = 0; i < EXO_INSNS_MAX - 1; i++)
		insn[i] = i % 2 ? I(BPF_ST | BPF_MEM | BPF_DW, 1, 0, 300, 0x12345678) : LOAD(BPF_DW, 2, 1, -300);
	insn[EXO_INSNS_MAX - 1] = EXIT;
	program = prepare(insn, EXO_INSNS_MAX);
	for (unsigned i = 0; i < EXO_INSNS_MAX; i++)
		program.note[i].flags = BPF_NOTE_GUARD | BPF_NOTE_OBSERVE;
	work.at = need(calloc(EXO_INSNS_MAX + 1, sizeof(*work.at)));
	work.room = 128 * EXO_INSNS_MAX;
	work.out = need(malloc(work.room));
	memset(work.out, 0, work.room);
	for (arch_bpf_compile_begin(&work); result > 0;) {
		uint64_t began = bench_count(), took;

		result = arch_bpf_compile_step(&work, 5000);
		took = bench_count() - began;
		sum += took;
		longest = took > longest ? took : longest;
	}
	printf("bpf_step budget 5000 longest %llu compile_per_insn %llu\n", (unsigned long long)longest,
	       (unsigned long long)(sum / EXO_INSNS_MAX));
}

static int measure(void)
{
	measure_step();
	for (size_t i = 0; i < VM_PROGRAMS; i++)
		measure_one(&vm_programs[i]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "measure") == 0)
		return measure();
	if (argc == 2 && (strcmp(argv[1], "jit") == 0 || strcmp(argv[1], "interp") == 0))
		return run_files(argv[1][0] == 'j');
	fail("usage: bpf_vm jit|interp|measure");
}
