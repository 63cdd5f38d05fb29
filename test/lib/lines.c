/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulator plugin: which cache lines the kernel writes on each CPU, and which of them on both.
 *
 *   -plugin lines.so,out=PATH
 *
 * From one instruction of the guest's to another (BEGIN, END: loads of constants that nothing else
 * loads), every access of an instruction at an address of the upper half is noted by its physical line of
 * 64 bytes: who has written it, who has read it, and the last instruction that did. What lies in a device
 * is left out: each CPU's interrupt controller has the same address. At the end PATH has a line of text
 * for each line that one CPU wrote and another wrote or read:
 *
 *   written|read LINE WRITER INSTRUCTION OTHER INSTRUCTION WRITES
 *
 * ("written": by both; lines and instructions hexadecimal) and a last one, `lines N N`, with the number of
 * lines that each CPU wrote. What the processor itself writes (an interrupt's frame, accessed bits) is not
 * seen. Declarations as in apps/bench/insncount.c.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define PLUGIN_CB_NO_REGS	0
#define PLUGIN_MEM_RW		3

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_info;
typedef void translated_fn(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void executed_fn(unsigned cpu, void *data);
typedef void memory_fn(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data);
typedef void exit_fn(qemu_plugin_id_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_fn *fn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_fn *fn, int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, memory_fn *fn, int flags, int rw, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_fn *fn, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *where);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *where);

EXPORT int qemu_plugin_version = 1;

#define CPUS		2
#define LINE_SHIFT	6
#define TABLE		(1 << 16)	/* lines seen; a power of two */

/* An open hash table; a line that finds no room makes the whole result void. */
struct line {
	uint64_t number;	/* line + 1; 0: free */
	uint64_t writer[CPUS], reader[CPUS];	/* addresses of instructions; 0: has not */
	uint64_t writes;
};

static struct line table[TABLE];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool watching, full;
static const char *path;

/* movabs $CONSTANT, %rax: test/guest/independent.c */
static const uint8_t begin_code[] = { 0x48, 0xb8, 'O', 'X', 'E', 'B', 'E', 'G', 'I', 'N' };
static const uint8_t end_code[] = { 0x48, 0xb8, 'O', 'X', 'E', 'B', 'E', 'N', 'D', '.' };

static struct line *find(uint64_t number)
{
	uint64_t place = number * 0x9e3779b97f4a7c15 >> 48;

	for (unsigned i = 0; i < TABLE; i++) {
		struct line *line = &table[(place + i) % TABLE];
		if (line->number == number || !line->number) {
			line->number = number;
			return line;
		}
	}
	full = true;
	return &table[0];
}

static void accessed(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	struct qemu_plugin_hwaddr *where;
	struct line *line;

	if (!watching || cpu >= CPUS)
		return;
	where = qemu_plugin_get_hwaddr(info, address);
	if (!where || qemu_plugin_hwaddr_is_io(where))
		return;
	pthread_mutex_lock(&lock);
	line = find((qemu_plugin_hwaddr_phys_addr(where) >> LINE_SHIFT) + 1);
	(qemu_plugin_mem_is_store(info) ? line->writer : line->reader)[cpu] = (uint64_t)(uintptr_t)data;
	line->writes += qemu_plugin_mem_is_store(info);
	pthread_mutex_unlock(&lock);
}

static void marked(unsigned cpu, void *data)
{
	(void)cpu;
	pthread_mutex_lock(&lock);
	watching = data != NULL;
	pthread_mutex_unlock(&lock);
}

static bool is_code(const struct qemu_plugin_insn *insn, const uint8_t *code)
{
	return qemu_plugin_insn_size(insn) == sizeof(begin_code) &&
	       !memcmp(qemu_plugin_insn_data(insn), code, sizeof(begin_code));
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);
		if (at >> 63)
			qemu_plugin_register_vcpu_mem_cb(insn, accessed, PLUGIN_CB_NO_REGS, PLUGIN_MEM_RW,
							 (void *)(uintptr_t)at);
		else if (is_code(insn, begin_code) || is_code(insn, end_code))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, PLUGIN_CB_NO_REGS,
							       is_code(insn, begin_code) ? (void *)1 : NULL);
	}
}

static void report(qemu_plugin_id_t id, void *data)
{
	FILE *out = fopen(path, "w");
	unsigned count[CPUS] = { 0 };

	(void)id, (void)data;
	if (!out) {
		perror(path);
		return;
	}
	if (full)
		fprintf(out, "full\n");
	for (unsigned i = 0; i < TABLE; i++) {
		const struct line *line = &table[i];
		uint64_t number = (line->number - 1) << LINE_SHIFT;
		for (unsigned cpu = 0; cpu < CPUS; cpu++) {
			count[cpu] += line->writer[cpu] != 0;
			if (line->writer[cpu] && line->writer[!cpu] && !cpu)
				fprintf(out, "written %" PRIx64 " 0 %" PRIx64 " 1 %" PRIx64 " %" PRIu64 "\n", number,
					line->writer[0], line->writer[1], line->writes);
			else if (line->writer[cpu] && line->reader[!cpu] && !line->writer[!cpu])
				fprintf(out, "read %" PRIx64 " %u %" PRIx64 " %u %" PRIx64 " %" PRIu64 "\n", number, cpu,
					line->writer[cpu], !cpu, line->reader[!cpu], line->writes);
		}
	}
	fprintf(out, "lines %u %u\n", count[0], count[1]);
	fclose(out);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *machine, int argc, char **argv)
{
	(void)machine;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "lines: the one argument is out=PATH\n");
		return -1;
	}
	path = strdup(argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, report, NULL);
	return 0;
}
