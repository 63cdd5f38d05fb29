/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fake machine, for host programs that link the kernel's generic part (unit tests, fuzzers).
 *
 * Physical memory is an array of frames, the CPU a few variables, the clock a number that the test sets.
 * Where a real port would leave the kernel (user mode, HLT, power off) this one notes how in null.left and
 * jumps back to the test, out of null_enter(). So a test drives the kernel as the entry code does: it calls a
 * handler inside of null_enter, and either gets its result or sees who runs now.
 *
 * There may be several CPUs, of which one executes: the test changes over with null_on, and an interrupt from
 * one to another is served at once, on the other's behalf.
 */
#ifndef ARCH_NULL_NULL_H
#define ARCH_NULL_NULL_H

#include <setjmp.h>
#include "exo/kernel.h"

enum null_way {
	NULL_RETURNED,		/* the handler came back with a result */
	NULL_UPCALL,		/* arch_upcall */
	NULL_CALLER,		/* arch_caller_resume */
	NULL_REGS,		/* arch_regs_resume */
	NULL_FRAME,		/* arch_frame_resume */
	NULL_IDLE,		/* arch_idle */
	NULL_HALT,		/* arch_halt */
	NULL_STOP,		/* arch_stop: a user's mistake */
	NULL_PANIC,		/* arch_panic_stop */
};

/* What an interruption finds: what entry code would leave on the stack. */
struct arch_frame {
	struct exo_regs regs;
};

/* What a CPU that does not execute just now has in its registers. */
struct null_kept {
	exo_pfn_t space;
	struct env *loaded;
	exo_time_t timer;
};

struct null_machine {
	struct cpu *cpu;		/* the CPU that executes; first: see self.h */
	enum null_way left;		/* how null_enter ended, and with what: */
	int64_t result;			/* RETURNED; HALT: the status */
	uint64_t entry, sp;		/* UPCALL */
	struct arch_message message;	/* UPCALL, CALLER */
	struct arch_caller caller;	/* CALLER */
	struct exo_regs regs;		/* REGS, FRAME */

	uint32_t frames;		/* memory */
	exo_time_t now;
	exo_time_t timer;		/* of the CPU that executes, as are these: */
	exo_pfn_t space;		/* loaded */
	struct env *loaded;
	uint64_t tlb_pages, tlb_alls;	/* invalidations asked for */
	void (*on_tlb)(uint64_t va, bool all);	/* the test's, to be told of each; or NULL */
	uint64_t random;		/* state of arch_random */
	char console[4096];		/* the last bytes written */
	size_t console_bytes;		/* ever written */
	arch_irq_handler console_irq;	/* handler of input */
	bool listening;			/* it wants to be called */
	const char *typed;		/* what the device still has */
	size_t typed_bytes;
	bool typed_lost;		/* it lost some before */
	bool quiet;			/* do not copy them to stderr */
	arch_irq_handler irq;		/* the last handler asked for */
	void *irq_arg;
	arch_irq_handler line_handler;	/* of lines that applications have */
	void *line_arg[EXO_LINES];
	uint32_t lines_open;		/* a bit for each that is not masked */
	uint32_t port[8];		/* what was written to ports last */
	uint8_t *pci;			/* the configuration space of all PCI functions, 256 bytes; or NULL */
	uint32_t irq_again;		/* requests to raise one again */

	unsigned cpu_count;
	struct cpu cpus[EXO_CPUS_MAX];
	struct null_kept kept[EXO_CPUS_MAX];
	struct arch_frame frame[EXO_CPUS_MAX];	/* what an interrupt from another CPU finds in user mode */
	uint64_t interrupts[EXO_CPUS_MAX];	/* from other CPUs */
	void (*on_interrupt)(unsigned index);	/* the test's, called once, right before one is served; or NULL */
	void (*on_pause)(void);			/* likewise, when a CPU waits; or NULL */
	bool started;			/* arch_cpus_start was called */

	uint64_t code_open;			/* frames of programs that are open */

	struct exo_info info;		/* the kernel's, before it has placed its own */
	struct exo_cpu_info cpu_info[EXO_CPUS_MAX];	/* likewise */
	jmp_buf back;
	bool inside;
};
extern struct null_machine null;

/*
 * A machine with `frames` frames of memory, of which [0, 1) is absent as on a PC; fills `boot`, with no
 * module, and resets all else. More holes and reservations: change `boot` before frame_init. The memory is
 * filled with junk. One CPU, or as many as said; number 0 executes.
 */
void null_boot(uint32_t frames);
void null_boot_cpus(uint32_t frames, unsigned cpus);

/* This CPU executes from now on. */
void null_on(unsigned index);

/* Run one call of the kernel; says how it ended. */
typedef int64_t null_fn(void *arg);
/* Boot: called when the machine is looked through for devices, if it is set. */
extern void (*null_found)(void);
enum null_way null_enter(null_fn *fn, void *arg);
/* The same for a call by number as the current environment; the result is null.result. */
enum null_way null_call(unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
    uint64_t a5);

#endif
