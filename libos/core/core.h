/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every libOS starts from: the shared pages, upcalls, console, clock, randomness.
 *
 * A program begins at _start (upcall.S), in a RUN upcall without a stack; core_start prepares the dispatcher
 * page, the frame allocator, the region table and the first thread, and that thread calls core_main, which
 * the libOS variant or the program supplies. Code runs in one of two ways:
 *
 *   thread   upcalls on, on a demand-paged stack, TLS usable, everything allowed.
 *   upcall   upcalls off, on the small upcall stack, no TLS, no FPU register, no blocking, no page fault.
 *            Fault handlers run so, and only the functions marked [upcall] may be called.
 *
 * core itself is compiled without FPU registers and touches demand-paged memory only through its caller's
 * pointers; a stack page that is missing is faulted in before a structure is touched (core_stack).
 *
 * The argument frame is shared out: [0, CORE_ARG_FAULT) belongs to the thread that runs, for one call at a
 * time; [CORE_ARG_FAULT, 4096) to fault handlers.
 */
#ifndef LIBOS_CORE_CORE_H
#define LIBOS_CORE_CORE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <exo/cap.h>
#include <exo/disp.h>
#include <exo/info.h>
#include <exo/start.h>
#include "libos/core/stub.h"

#define CORE_ARG_FAULT	0xf00

#define core_disp	((struct exo_disp *)EXO_VA_DISP)
#define core_begin	((struct exo_start *)EXO_VA_START)
#define core_info	((const struct exo_info *)EXO_VA_INFO)

static inline void *core_arg(uint64_t offset)
{
	return (char *)EXO_VA_ARG + offset;
}

/* Make sure that the next 2 KiB of stack are there, before core's structures are in an intermediate state. */
static inline void core_stack(void)
{
	__asm__ volatile("testb $0, -2048(%%rsp)" ::: "cc");
}

/*
 * Marks a function of a program that runs as upcall code, a pager or handler: it must not use FPU registers.
 * Such code is shorter in a file of its own that is compiled with -mgeneral-regs-only, or begins with
 * #pragma GCC target("general-regs-only"): only then are the call stubs inlined.
 */
#ifdef __clang__
#define CORE_UPCALL
#else
#define CORE_UPCALL	__attribute__((target("general-regs-only")))
#endif

/*
 * Data of core or of a libOS that only threads touch, and that is large: where a program's data is copied when it forks,
 * what upcall code writes is copied at once (libos/posix/memory.h), but this is not. With an initialiser: CORE_UNWIRED_DATA.
 */
#define CORE_UNWIRED		__attribute__((section(".unwired_bss,\"aw\",@nobits#")))
#define CORE_UNWIRED_DATA	__attribute__((section(".unwired")))

/* Stacks of upcalls and the like: what is in them need not be copied. */
#define CORE_WIRED_STACK	__attribute__((section(".wired_stacks,\"aw\",@nobits#"), aligned(64)))

/* --- start.c -------------------------------------------------------------------------------------------- */

/* Supplied by the libOS variant or the program: the first thread runs it. Returning is core_exit(0). */
void core_main(void);

/* The capability that the start record names; EXO_CAP_NONE if there is none. */
exo_cap_t core_named(const char *name);

/*
 * Called once by core_start when upcalls can come but nothing is there yet. True: the program is the copy of another (fork),
 * and core_parked and thread_current say where it goes on. Core's own says no; a libOS may bring another.
 */
bool core_resumes(void);
extern uint64_t core_parked;	/* the stack of a thread that core_sleep and the like have left */

/* The program's name: its first argument, or "?". */
const char *core_name(void);

/* Argument (environment string) number n of the start record; NULL beyond the last. */
const char *core_argument(unsigned n);
const char *core_environment(unsigned n);

/* End the environment with a status of its own. */
_Noreturn void core_exit(uint64_t status);
/* One line to the console, then end with status 125: for what cannot go on before the program proper runs. */
_Noreturn void core_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- upcall.S, fault.c ---------------------------------------------------------------------------------- */

/*
 * An exception with upcalls on; `regs` is the state, which the handler may change; returning true resumes it.
 * [upcall] The page-fault handler (vm.h) is asked first for vector 14.
 */
typedef bool (*core_exception_fn)(struct exo_regs *regs);
/* Set the handler of a vector (0..31); returns the old one. NULL: none, the program ends with a message. */
core_exception_fn core_exception(unsigned vector, core_exception_fn handler);

/*
 * [upcall] Inside an exception handler: leave the upcall and run fn(arg, regs) as the faulting thread, with
 * upcalls on and blocking allowed, on its own stack; when fn returns, `regs` (its to change) is resumed. The
 * handler must return true right after. False: the thread's stack has no room that is mapped.
 */
bool core_fault_defer(struct exo_regs *regs, void (*fn)(void *arg, struct exo_regs *regs), void *arg);

/*
 * Set by a libOS that has threads run in other environments of its space (libos/posix/cpus.h): called by the thread that
 * has deferred a fault, before its state is resumed; it returns in this environment, with upcalls off.
 */
extern void (*core_settle)(void);

/*
 * [upcall] A transfer came in. The handler ends by exo_reply, which does not return when it succeeds, or
 * returns (and must, if no reply is wanted). Until one is set, transfers are answered with the status
 * EXO_ESTATE.
 */
typedef void (*core_call_fn)(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2,
			     uint64_t w3, bool reply);
extern core_call_fn core_call_handler;

/*
 * Have `hook` called at each RUN upcall, as upcall code, before the interrupted state is resumed: `regs` is
 * that state (its FPU part in core_disp->on_fpu), or NULL if the environment slept. NULL: no hook.
 */
void core_on_run(void (*hook)(uint64_t reasons, struct exo_regs *regs));

/*
 * Have `hook` called when the slice ends and somebody else has the next one, as upcall code: `until` is when
 * the CPU, which is lent from now on, has to be given up (about core_info->grace_ns later); `regs` is the
 * interrupted state, its to change. When it returns, the CPU is yielded to the environment that it names
 * (EXO_CAP_NONE: to whoever is next), and the state goes on at the next RUN. Time beyond the slice's end is
 * counted and kept back from one's next slices. NULL (from the start): none; the end of a slice is then an
 * interruption like any other.
 */
void core_on_slice_end(exo_cap_t (*hook)(exo_time_t until, struct exo_regs *regs));

/*
 * Sleep until a time, or until the event counter (core_disp->events) is no longer `events`. Returns early at
 * will.
 */
void core_sleep(exo_time_t until, uint64_t events);
/*
 * The same until a program of EXO_USE_WAKE says so (predicate.h), of which one environment sleeps at a time. Events
 * are then its to judge. 0, or an error of exo_sleep.
 */
int64_t core_sleep_on(exo_time_t until, uint64_t events, exo_cap_t code);
/* Give the rest of the slice to another environment (EXO_CAP_NONE: to whoever is next). */
void core_yield(exo_cap_t env);
/*
 * Lend the rest of the own slice to another environment: it comes back at a time (EXO_NEVER: none), when the other
 * sleeps, yields to nobody or ends, and with the next slice of one's own. For schedulers (libos/sched/env.h).
 */
void core_lend(exo_cap_t env, exo_time_t until);
/* exo_send as a thread: one-way transfer; comes back at this environment's next turn. 0 or an error. */
int64_t core_send(exo_cap_t entry, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3);
/* Go to another CPU: 0, or an error of exo_env_move. Slices bound to this environment are bound to nobody then. */
int64_t core_move(uint64_t cpu);

/* What a vector is called, and what an access was by its page-fault error code; never NULL. [upcall] */
const char *core_vector_name(uint64_t vector);
const char *core_access_name(uint64_t error);

/* Describe what ended the program, on one line, then end it with its exception as the cause. [upcall] */
_Noreturn void core_die(const struct exo_regs *regs, const char *why);

/* --- console.c, print.c --------------------------------------------------------------------------------- */

/* Write bytes to the console, all of them; nothing without a console capability. */
void core_write(const char *bytes, size_t count);
/* Of bytes of which at most `room` go at once: how many shall, all or what ends with a line's end, or else `room`. */
size_t core_lines(const char *bytes, size_t count, size_t room);
/*
 * Format to the console / to a buffer (always terminated when size > 0; returns the full length). Understood:
 * %s %.*s %c %d %u %x %p %% with l, z, width, 0 and -. No buffer of its own beyond 256 bytes at a time.
 * [upcall]
 */
void core_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void core_vprint(const char *format, va_list arguments);
size_t core_format(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
size_t core_vformat(char *buffer, size_t size, const char *format, va_list arguments);

/* One line, of EXO_CONSOLE_MAX bytes at most, in one console write: lines of several programs do not mix. */
void core_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- input.c -------------------------------------------------------------------------------------------- */

#define CORE_INPUT_END	(-1000)

/*
 * Bytes of the console's input that core_read can take now; 0: none yet, EXO_EVENT_CONSOLE will come;
 * CORE_INPUT_END: no more will come; or an error of exo_console_read: there is no capability that allows it, or
 * another program reads (EXO_EBUSY). The first call makes this program the reader.
 */
int64_t core_input(void);
/* Take at most so many of those; returns how many. */
size_t core_read(char *bytes, size_t most);

/* --- clock.c -------------------------------------------------------------------------------------------- */

#define CORE_SECOND	1000000000ULL	/* exo_time_t of one second */

/* The monotonic clock, from the clock page: no call. [upcall] */
exo_time_t core_now(void);
/* Unix time in nanoseconds; 0 if the machine has no calendar clock. [upcall] */
uint64_t core_wall(void);
/* Nanoseconds that it adds to the machine's calendar clock, which nobody sets: for a libOS whose programs may. NULL: none. */
extern const volatile int64_t *core_wall_offset;

/* --- random.c ------------------------------------------------------------------------------------------- */

/* Bytes of a generator seeded from the start record (ChaCha20, key replaced after each use). */
void core_random(void *buffer, size_t bytes);

/* In a copy of a program: forget the generator; the next bytes come from the seed that the start record has now. */
void core_random_forked(void);

/* --- caps.c --------------------------------------------------------------------------------------------- */

/*
 * A free slot of the own capability table, which grows as needed; 0: none is left. It stays free until it is
 * used.
 */
uint32_t caps_slot(void);
/* The first of `count` free ones in a row; 0: there are none. */
uint32_t caps_slots(uint32_t count);
/* Slots [first, end) are never given out by these two: somebody else does that. */
void caps_reserve(uint32_t first, uint32_t end);
/* In a copy of a program: its table has one frame. */
void caps_forked(void);
/* What a slot holds, as the kernel's table shows it; NULL if there is no such slot. */
const struct exo_cap *caps_at(uint32_t slot);
/* The handle of what a slot holds now. */
exo_cap_t caps_handle(uint32_t slot);
/* Delete to the end (the kernel may ask to be called again). 0 or an error. */
int64_t caps_delete(exo_cap_t cap);
/* exo_flow_make, again and again while the kernel makes a new program for it. */
int64_t caps_flow_make(uint64_t slot, exo_cap_t parent, exo_cap_t frames, uint64_t first, uint64_t offset);
/* Derive into the own table; returns the handle or an error. Count 0: all from first on. */
int64_t caps_derive(exo_cap_t source, uint64_t rights, uint64_t first, uint64_t count);

#endif
