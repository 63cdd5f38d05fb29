/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of a process on several CPUs.
 *
 * A process's first environment is its *home*: there the libOS runs, and threads as ever (thread.h, signals.h). The
 * keeper makes it one more environment on each other CPU (REQUEST_CPUS), when a thread's slice ends while another is
 * ready for the first time. These share the space and nothing else: each has its own dispatcher page, and the right to
 * wake the home. They run application code only.
 *
 *   give    a thread that was interrupted in application code at its slice's end, while others are ready at home, goes
 *           on from its registers (struct signal_frame) on a CPU that is idle.
 *   call    as it enters brackets there, it comes home (posix_home): it is ready there with its stack, and goes on.
 *   stop    an exception sends it home with its registers: what it did is done again, and fails again, at home.
 *           A signal, cancellation, fork or a stop recalls it: the keeper moves the environment off its CPU and back,
 *           which makes an upcall. Upcalls that were off lose that: until it has come the poller asks again.
 *
 * So nothing of the libOS needs a lock, every call of a thread that is away costs a wakeup and a turn at home, and what
 * computes goes where a CPU is idle. With one CPU, one thread or priorities (sched.c) all stay at home.
 *
 * C1 `state` is the home's to change in IDLE, CALLS and STOPS, the CPU's in GIVEN and RUNS; what a thread was stopped in
 *    lies in area ON of its dispatcher page until the home has taken it
 * C2 a thread that is away is blocked for core, in no queue; thread->cpu and its posix_away name the CPU
 * C3 what the CPU's upcalls write is its dispatcher page and posix_cpu, both wired
 */
#ifndef LIBOS_POSIX_CPUS_H
#define LIBOS_POSIX_CPUS_H

#include "libos/posix/signal_private.h"

enum posix_cpu_state { POSIX_CPU_IDLE, POSIX_CPU_GIVEN, POSIX_CPU_RUNS, POSIX_CPU_CALLS, POSIX_CPU_STOPS };

struct posix_cpu {
	uint32_t state;
	uint32_t recall;
	struct __exo_thread *thread;
	const struct signal_frame *frame;	/* GIVEN: where it goes on */
	uint64_t fs_base;
	uint64_t sp;				/* CALLS: as thread_swap leaves it */
	exo_cap_t env;				/* the home's, to wake it */
	exo_time_t recalled;			/* when last */
	struct posix_turns turns;		/* [upcall] the CPU's */
};
extern struct posix_cpu posix_cpu[WIRE_CPUS];	/* [upcall] */
extern uint32_t posix_cpus_busy;		/* threads that are away */

/* [upcall] The number of one of them in the machine; may threads not go there (sched_setaffinity)? */
static inline uint32_t posix_cpu_number(uint64_t i)
{
	return (uint32_t)i + (i >= signal_page->cpu);
}
static inline bool posix_cpu_barred(uint64_t i)
{
	return *(volatile uint64_t *)&signal_page->not_cpus >> posix_cpu_number(i) & 1;
}

/* Of a thread that was sent home by an upcall. */
struct posix_area {
	uint64_t regs[sizeof(struct exo_regs) / 8], fpu[64];
	uint64_t inside;
	uint64_t stack[128] __attribute__((aligned(16)));
};

/* All but the last inside brackets. Could a thread go away now? */
bool posix_cpus_room(const struct __exo_thread *thread);
/* It goes, and goes on at `frame`: if it can this does not return. It is the one that runs, and others are ready. */
void posix_cpus_give(struct __exo_thread *self, const struct signal_frame *frame);
/* It shall come home, if it is away: soon, not at once. */
void posix_cpus_recall(struct __exo_thread *thread);
/* All are at home when this returns. */
void posix_cpus_recall_all(void);
/* In a child of fork. */
void posix_cpus_forked(void);
/* ns of CPU time of all but the home. */
uint64_t posix_cpus_ns(void);

#endif
