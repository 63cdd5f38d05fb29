/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of environments, slices and transfers: a fake machine whose first environment is made by
 * kernel_main itself from a small program, children that it makes by calls, and a check of the invariants
 * E1..E3, P1..P3, T1, T2.
 */
#ifndef TEST_UNIT_RUNNING_H
#define TEST_UNIT_RUNNING_H

#include <stdlib.h>
#include "arch/null/null.h"
#include "exo/spaces.h"
#include "test/unit/tap.h"

#define MACHINE_FRAMES	4096
#define MODULE_FRAME	3000
#define MODULE_BYTES	(5 * EXO_PAGE_SIZE)
#define TEXT_BYTES	0x1234
#define DATA_VA		(EXO_VA_IMAGE + 2 * EXO_PAGE_SIZE)
#define DATA_FILE	0x100
#define DATA_BYTES	0x2100
#define SLICE		1000000ULL	/* ns */

/* ELF, as far as the tests build and spoil it. */
struct test_segment {
	uint32_t type, flags;
	uint64_t offset, va, pa, file_bytes, memory_bytes, align;
};
struct test_elf {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
	struct test_segment segment[3];
};

static struct test_elf *module_elf(void)
{
	return (struct test_elf *)pfn_to_virt(MODULE_FRAME);
}

/* A machine with a good module, not started yet. */
static void machine_prepare_cpus(unsigned cpu_count)
{
	struct test_elf *elf;
	unsigned i;
	uint8_t *bytes;

	null_boot_cpus(MACHINE_FRAMES, cpu_count);
	null.quiet = true;
	memset(space_recent, 0, sizeof(space_recent));	/* of the machine before */
	memset(&kernel_lock_word, 0, sizeof(kernel_lock_word));
	boot.module.start = (paddr_t)MODULE_FRAME << EXO_PAGE_SHIFT;
	boot.module.end = boot.module.start + MODULE_BYTES;
	boot.reserved[0] = boot.module;
	boot.reserved_count = 1;
	bytes = (uint8_t *)module_elf();
	for (i = 0; i < MODULE_BYTES; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	elf = module_elf();
	memset(elf, 0, sizeof(*elf));
	memcpy(elf->ident, "\177ELF\2\1\1", 7);
	elf->type = 2;
	elf->machine = ARCH_ELF_MACHINE;
	elf->version = 1;
	elf->entry = EXO_VA_IMAGE + 0x200;
	elf->phoff = offsetof(struct test_elf, segment);
	elf->ehsize = 64;
	elf->phentsize = sizeof(struct test_segment);
	elf->phnum = 3;
	elf->segment[0] = (struct test_segment){ 1, 5, 0, EXO_VA_IMAGE, 0, TEXT_BYTES, TEXT_BYTES, 4096 };
	elf->segment[1] = (struct test_segment){ 1, 6, 0x2010, DATA_VA + 0x10, 0, DATA_FILE, DATA_BYTES,
	    4096 };
	elf->segment[2] = (struct test_segment){ 0x6474e551, 6, 0, 0, 0, 0, 0, 16 };
}

static inline void machine_prepare(void)
{
	machine_prepare_cpus(1);
}

static int64_t start_kernel(void *arg)
{
	(void)arg;
	kernel_main();
}

static enum null_way machine_start(void)
{
	return null_enter(start_kernel, NULL);
}

static const struct exo_start *start_record(void)
{
	exo_pfn_t pfn = 0;
	uint64_t pte;

	(void)space_lookup(here.current->root, EXO_VA_START, &pfn, &pte);
	return pfn_to_virt(pfn);
}

static inline exo_cap_t named(const char *name)
{
	const struct exo_start *start = start_record();
	unsigned i;

	for (i = 0; i < start->slots; i++)
		if (!strcmp(start->slot[i].name, name))
			return start->slot[i].cap;
	return 0;
}

static inline int64_t call(unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
    uint64_t a5)
{
	return null_call(nr, a0, a1, a2, a3, a4, a5) == NULL_RETURNED ? null.result : INT64_MIN;
}
#define CALL(name, ...)	call_padded(EXO_CALL_##name, (const uint64_t[6]){ __VA_ARGS__ })

static inline int64_t call_padded(unsigned nr, const uint64_t a[6])
{
	return call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* A free slot of the current environment. */
static inline unsigned free_slot(void)
{
	unsigned slot;

	for (slot = 1; slot < EXO_CAPS_PER_FRAME; slot++)
		if (cap_free_slot(here.current, slot))
			return slot;
	abort();
}

#define CHILD_ENTRY	0x500000
#define CHILD_CALL	0x600000
#define CHILD_OFF	0x700000

struct child {
	struct env *env;
	exo_cap_t frames, space, cap;
};

/* The current environment makes another for a CPU, with a space of its own; not started. */
static inline struct child child_make_on(unsigned cpu)
{
	struct child child;
	struct exo_env_params *params = (struct exo_env_params *)here.current->arg;

	child.frames = (exo_cap_t)CALL(frame_take, free_slot(), EXO_PFN_ANY, 5);
	child.space = (exo_cap_t)CALL(space_create, free_slot(), child.frames, 4);
	*params = (struct exo_env_params){ .run_entry = CHILD_ENTRY, .label = "child", .cpu = cpu };
	child.cap = (exo_cap_t)CALL(env_create, free_slot(), child.space, 0, child.frames, 0, 0);
	child.env = env_behind(cap_lookup(here.current, child.cap));
	child.env->disp->call_entry = CHILD_CALL;
	child.env->disp->call_sp = 0x7000;
	child.env->disp->off_entry = CHILD_OFF;
	child.env->disp->off_sp = 0x8000;
	return child;
}

static inline struct child child_make(void)
{
	return child_make_on(0);
}

static inline struct child child_start(void)
{
	struct child child = child_make();

	if (CALL(env_start, child.cap) != 0)
		abort();
	return child;
}

/* --- interrupts and exceptions as the entry code delivers them -------------------------------------- */

static inline int64_t do_interrupt(void *arg)
{
	here.info->interrupts++;
	if (null.now >= null.timer) {
		null.timer = EXO_NEVER;
		cpu_timer();
	}
	if (arg)
		cpu_interrupted(arg);
	cpu_idled();
	arch_idle();
}

/* An interrupt while the current environment runs at `rip`, or the CPU idles. */
static inline enum null_way interrupt_at(uint64_t rip)
{
	struct arch_frame frame = { .regs = { .rip = rip, .rax = 0x77 } };

	return null_enter(do_interrupt, here.current ? &frame : NULL);
}

static uint64_t exception_vector, exception_address;

static inline int64_t do_exception(void *arg)
{
	cpu_exception(arg, exception_vector, 6, exception_address);
}

static inline enum null_way exception_at(uint64_t rip, uint64_t vector, uint64_t address)
{
	struct arch_frame frame = { .regs = { .rip = rip } };

	exception_vector = vector;
	exception_address = address;
	return null_enter(do_exception, &frame);
}

/* --- invariants ------------------------------------------------------------------------------------- */

static inline bool in_ring(const struct env *env)
{
	const struct env *at = here.ready;

	if (at)
		do {
			if (at == env)
				return at->run_next->run_prev == at;
			at = at->run_next;
		} while (at != here.ready);
	return false;
}

static inline bool in_timed(const struct env *env)
{
	uint32_t place = env->timed_place;

	return place < here.timed_count && here.timed[place] == env &&
	    (!place || here.timed[(place - 1) / 2]->timed_at <= env->timed_at);
}

/* T1: the n-th level that waits for another has its n-th, and no more, that serves. */
static inline const char *broken_links(struct env *env)
{
	unsigned i, j, waits, serves;
	struct env *other;

	for (i = 0; i <= env->nested; i++) {
		other = env_level(env, i)->called ? env_level(env, i)->called : env_level(env, i)->caller;
		if (!other)
			continue;
		if (env_by_id(other->id) != other || env_state(other) == EXO_ENV_ENDED)
			return "T1: with one who has ended";
		for (j = waits = serves = 0; j <= env->nested; j++) {
			waits += env_level(env, j)->called == other;
			serves += env_level(env, j)->caller == other;
		}
		for (j = 0; j <= other->nested; j++) {
			waits -= env_level(other, j)->caller == env;
			serves -= env_level(other, j)->called == env;
		}
		if (waits || serves)
			return "T1: not matched";
	}
	return NULL;
}

/* T1 to T4. */
static inline const char *broken_levels(struct env *env)
{
	const struct level *level, *below = NULL;
	exo_time_t deadline = EXO_NEVER;
	const struct env *at;
	unsigned i;

	if ((env->called != NULL) != (env_state(env) == EXO_ENV_CALLING))
		return "T1: calling";
	for (i = 0; i <= env->nested; i++, below = level) {
		level = env_level(env, i);
		if (level->deadline != EXO_NEVER && !level->called)
			return "a deadline of no call";
		if (level->deadline < deadline)
			deadline = level->deadline;
		if (level->depth > EXO_CHAIN_MAX || (below && level->depth <= below->depth))
			return "T2: depth";
		if (level->called && level->called->depth <= level->depth)
			return "T2: the one it waits for";
		if (level->caller && level->depth <= 0)
			return "T2: a depth of 0";
		if (level->serving & SERVING_PLAIN && (env->nested || level->caller->called != env ||
		    env_state(level->caller) != EXO_ENV_CALLING || level->caller->deadline != EXO_NEVER))
			return "T3";
		if ((level->serving != 0) != (level->caller || i))
			return "serving without a caller";
	}
	if (env_state(env) != EXO_ENV_ENDED && deadline != env->call_deadline)
		return "the earliest deadline";
	for (i = 0, at = env; at->called; at = at->called)
		if (++i > EXO_CHAIN_MAX)
			return "T2: following";
	return broken_links(env);
}

/* NULL, or which invariant is broken. */
static inline const char *broken(void)
{
	unsigned index, depth;
	struct env *env;
	const char *what;

	for (index = 1; index < info->envs.entries; index++) {
		env = env_by_id(info_env[index].id);
		if (!env != (info_env[index].state == EXO_ENV_NONE))
			return "E1: table and environments differ";
		if (!env)
			continue;
		if (info_env[index].state != env_state(env) || info_frame[env->self].state != EXO_FRAME_ENV)
			return "E1: state";
		if (in_ring(env) != (env_state(env) == EXO_ENV_READY))
			return "E2: ring";
		if (in_timed(env) != (env->timed_at != EXO_NEVER))
			return "E2: list";
		if (!(env->resume & RESUME_MOVING) && env->timed_at > (env->sleep_until < env->call_deadline ? env->sleep_until :
		    env->call_deadline))
			return "E2: timed_at";
		if (env->timed_at < here.due && here.due > null.now + 5000)
			return "P2";
		what = broken_levels(env);
		if (what)
			return what;
	}
	for (index = 0, depth = 0; index < here.timed_count; index++)
		depth += here.timed[index]->timed_at == EXO_NEVER || here.timed[index]->timed_place != index;
	if (depth)
		return "E2: heap";
	if (kernel_lock_word.next != kernel_lock_word.serving)
		return "the kernel lock is held outside the kernel";
	if (here.current && !in_ring(here.current))
		return "P1: current is not in the ring";
	if (null.timer != here.timer || here.timer > here.due)
		return "P3: deadline";
	if (here.current && here.current->run_next != here.current && here.timer > here.slice_end)
		return "P3: slice";
	if (here.current && (null.loaded != here.current || null.space != here.current->root ||
	    here.space != null.space))
		return "the CPU has not loaded what runs";
	return NULL;
}

static inline bool sound(const char *where)
{
	const char *what = broken();

	return ok(!what, "invariants hold: %s%s%s", where, what ? "; broken: " : "", what ? what : "");
}

#endif
