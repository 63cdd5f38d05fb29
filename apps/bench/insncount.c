/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulator plugin: counts executed guest instructions into a file that the measuring program maps.
 *
 *   -plugin insncount.so,counts=PATH[,longest=on][,at=ADDRESS]...[,within=START-END]...
 *
 * PATH holds a struct counts for each virtual CPU: 64-bit words in the host's order. A translated block adds its length when
 * it is entered; blocks at addresses of the upper half are the kernel's. An idle (halted) guest executes nothing and counts
 * nothing, so a figure with a device in it does not depend on how long the host took. With longest=on `longest` is the
 * longest run of kernel instructions between two of user mode: a HLT, and everything before the first user instruction (boot),
 * are left out. With addresses (in hexadecimal) `within` counts the instructions at [START, END) apart, and `at[n]` how often
 * the block at the n-th ADDRESS is entered: a function that is reached by a jump or call through memory, or a way into the kernel.
 *
 * One CPU's counts are added by the translated code itself, which knows no CPUs: with several each block calls back instead,
 * and each CPU, which is a thread of the emulator, has words of its own. Both are exact; the second is slower.
 *
 * The packaged emulator has plugins but ships no header for them, so the few declarations that are used stand here
 * (interface version 1, as documented in QEMU's "TCG Plugins" page).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define PLUGIN_CB_NO_REGS	0
#define PLUGIN_INLINE_ADD	0

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info {
	const char *target;
	struct {
		int least, now;
	} version;
	bool system;
	struct {
		int cpus, cpus_max;
	} machine;
};
typedef void translated_fn(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void executed_fn(unsigned cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_fn *fn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int op, void *word, uint64_t value);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, executed_fn *fn, int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;

struct counts {			/* of one CPU */
	uint64_t all;		/* guest instructions executed */
	uint64_t kernel;	/* of them at addresses of the upper half */
	uint64_t longest;	/* longest stay in the kernel so far */
	uint64_t entries;	/* stays in the kernel: from user mode, or from HLT */
	uint64_t within;
#define AT_MAX		512
	uint64_t at[AT_MAX];
};

#define RANGES_MAX	8

static struct {
	uint64_t start, end;
} range[RANGES_MAX];
static unsigned ranges;
static uint64_t entered[AT_MAX];
static unsigned ats;

/* What longest=on has seen of one CPU. */
struct stay {
	bool kernel_seen, user_seen;	/* firmware and the first boot code run in the lower half, too */
	uint64_t insns;
};

static struct counts *counts;	/* [cpus] */
static struct stay *stays;	/* [cpus] */
static unsigned cpus;
static bool measure_longest;

/* What a block's callback needs, packed in the callback's pointer-sized datum. */
#define BLOCK_KERNEL	1
#define BLOCK_HALTS	2
#define BLOCK_WITHIN_SHIFT 2	/* in how many ranges */
#define BLOCK_WITHIN_MASK 0xf
#define BLOCK_AT_SHIFT	6	/* index in at[], + 1 */
#define BLOCK_AT_MASK	0x3ff
#define BLOCK_LENGTH_SHIFT 16

static void stay_executed(struct counts *mine, struct stay *stay, uintptr_t block)
{
	if (!(block & BLOCK_KERNEL)) {
		stay->user_seen = stay->kernel_seen;
		stay->insns = 0;
		return;
	}
	stay->kernel_seen = true;
	if (!stay->insns)
		mine->entries++;
	if (stay->user_seen)
		stay->insns += block >> BLOCK_LENGTH_SHIFT;
	if (stay->insns > mine->longest)
		mine->longest = stay->insns;
	if (block & BLOCK_HALTS)
		stay->insns = 0;
}

static void block_executed(unsigned cpu, void *data)
{
	uintptr_t block = (uintptr_t)data;

	if (cpu >= cpus)
		return;
	if (cpus > 1) {
		uint64_t length = block >> BLOCK_LENGTH_SHIFT;
		unsigned at = block >> BLOCK_AT_SHIFT & BLOCK_AT_MASK;

		counts[cpu].all += length;
		if (block & BLOCK_KERNEL)
			counts[cpu].kernel += length;
		counts[cpu].within += length * (block >> BLOCK_WITHIN_SHIFT & BLOCK_WITHIN_MASK);
		if (at)
			counts[cpu].at[at - 1]++;
	}
	if (measure_longest)
		stay_executed(&counts[cpu], &stays[cpu], block);
}

static bool block_halts(const struct qemu_plugin_tb *block)
{
	const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(block, qemu_plugin_tb_n_insns(block) - 1);

	return qemu_plugin_insn_size(last) == 1 && *(const uint8_t *)qemu_plugin_insn_data(last) == 0xf4;
}

/* In how many of the ranges an address lies; which of the addresses it is, + 1. */
static unsigned ranges_with(uint64_t address)
{
	unsigned found = 0;

	for (unsigned i = 0; i < ranges; i++)
		found += address >= range[i].start && address < range[i].end;
	return found;
}

static unsigned entered_at(uint64_t address)
{
	for (unsigned i = 0; i < ats; i++)
		if (entered[i] == address)
			return i + 1;
	return 0;
}

static void add(struct qemu_plugin_tb *block, uint64_t *word, uint64_t value)
{
	if (value)
		qemu_plugin_register_vcpu_tb_exec_inline(block, PLUGIN_INLINE_ADD, word, value);
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	size_t length = qemu_plugin_tb_n_insns(block);
	uint64_t address = qemu_plugin_tb_vaddr(block);
	bool kernel = address >> 63;
	unsigned within = ranges_with(address), at = entered_at(address);
	uintptr_t datum = length << BLOCK_LENGTH_SHIFT | at << BLOCK_AT_SHIFT | within << BLOCK_WITHIN_SHIFT |
			  (kernel ? BLOCK_KERNEL : 0);

	(void)id;
	if (cpus == 1) {
		add(block, &counts->all, length);
		add(block, &counts->kernel, kernel ? length : 0);
		add(block, &counts->within, length * within);
		if (at)
			add(block, &counts->at[at - 1], 1);
	}
	if (measure_longest || cpus > 1) {
		if (measure_longest && block_halts(block))
			datum |= BLOCK_HALTS;
		qemu_plugin_register_vcpu_tb_exec_cb(block, block_executed, PLUGIN_CB_NO_REGS, (void *)datum);
	}
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *machine, int argc, char **argv)
{
	const char *path = NULL;
	size_t bytes;
	int file;

	cpus = machine->system && machine->machine.cpus_max > 1 ? (unsigned)machine->machine.cpus_max : 1;
	bytes = cpus * sizeof(struct counts);
	stays = calloc(cpus, sizeof(*stays));
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "counts=", 7)) {
			path = argv[i] + 7;
		} else if (!strcmp(argv[i], "longest=on")) {
			measure_longest = true;
		} else if (!strncmp(argv[i], "at=", 3) && ats < AT_MAX) {
			entered[ats++] = strtoull(argv[i] + 3, NULL, 16);
		} else if (ranges < RANGES_MAX &&
		    sscanf(argv[i], "within=%" SCNx64 "-%" SCNx64, &range[ranges].start, &range[ranges].end) == 2) {
			ranges++;
		} else {
			fprintf(stderr, "insncount: %s: unknown argument; known are counts=PATH, longest=on, at=ADDRESS and "
			    "within=START-END\n", argv[i]);
			return -1;
		}
	}
	if (!path) {
		fprintf(stderr, "insncount: counts=PATH is missing\n");
		return -1;
	}
	if (!stays) {
		perror("insncount");
		return -1;
	}
	file = open(path, O_RDWR | O_CREAT, 0600);
	if (file < 0 || ftruncate(file, (off_t)bytes) < 0) {
		perror(path);
		return -1;
	}
	counts = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (counts == MAP_FAILED) {
		perror(path);
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
	return 0;
}
