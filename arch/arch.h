/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port contract: all that the kernel's generic part (exo/) asks of a machine.
 *
 * arch/x86_64 is the machine; arch/null is the fake port, on which exo/ links as a host program for unit tests and
 * fuzzers: there physical memory is an array, the CPU a set of variables, the clock a counter that tests set.
 * The generic part is entered with interrupts off, on the CPU's one stack, by the functions that exo/kernel.h lists
 * under "entered by the port", and waits only for locks and for answers of other CPUs, in bounded time (exo/smp.c).
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <exo/types.h>
#include <exo/disp.h>

typedef uint64_t paddr_t;

struct env;
struct cpu;

/* The struct cpu of the CPU that executes this, and its `current`: static inline struct cpu *cpu_self(void),
 * static inline struct env *env_self(void). */
#include <self.h>

/* e_machine of the programs that it runs. */
#define ARCH_ELF_MACHINE	62

/* Names of the kernel arguments that the port reads itself, or lets pass; NULL ends the list. */
extern const char *const arch_options[];

/* --- memory --------------------------------------------------------------------------------------------------- */

/* The kernel's own mapping of all memory; valid for every frame that boot_memory reported, and for device windows. */
extern char *arch_phys_base;

static inline void *phys_to_virt(paddr_t pa)
{
	return arch_phys_base + pa;
}

static inline paddr_t virt_to_phys(const void *at)
{
	return (paddr_t)((const char *)at - arch_phys_base);
}

static inline void *pfn_to_virt(exo_pfn_t pfn)
{
	return arch_phys_base + ((paddr_t)pfn << EXO_PAGE_SHIFT);
}

/* Clear one frame / copy bytes between kernel mappings, with whatever the machine does best. */
void arch_zero_frame(exo_pfn_t pfn);
/* The first 16 entries from `at` on, in steps of 16, that are not all zero; or `end`. Both are multiples of 16 entries. */
uint64_t *arch_skip_zeros(uint64_t *at, const uint64_t *end);

/* --- page tables ---------------------------------------------------------------------------------------------- */
/* Entries are 64 bits, tables 512 entries, 4 levels; bits as in exo/space.h. */

#define PT_ENTRIES	512
#define PT_LEVELS	4	/* the root is level 4 */

/* The kernel's half of a new root table. */
void arch_root_init(uint64_t *root);

/* Entry for a frame with EXO_MAP_* flags; entry for a lower table. */
uint64_t arch_pte_page(exo_pfn_t pfn, unsigned flags);
uint64_t arch_pte_table(exo_pfn_t pfn);

/* Forget one page of the space that this CPU has loaded / everything. Counts into cpu.info->invalidations. */
void arch_tlb_page(uint64_t va);
void arch_tlb_all(void);

/* Load a space; 0: the kernel's own, with no user half. Counts into cpu.info->switches. A full memory barrier stands
 * between what was written before and the first use of the tables. */
void arch_space_load(exo_pfn_t root);

/* --- machine code of programs (exo/codes.h) -------------------------------------------------------------------- */

struct bpf_run;
/* Frames from `first` on hold `bytes` of a program's machine code, which arch_bpf_compile has written. From now on, once
 * each CPU has done arch_tlb_all(), they can be executed where the result says and written nowhere; after arch_code_close
 * and the same again they are as before. What follows the code in its last frame is overwritten. Cost: 4 instructions a
 * frame, 3,000 for the first in its neighbourhood. */
typedef uint64_t arch_code_fn(uint64_t r1, uint64_t r2, struct bpf_run *run);
arch_code_fn *arch_code_open(exo_pfn_t first, size_t bytes);
void arch_code_close(exo_pfn_t first, uint32_t frames);

/* --- several CPUs ----------------------------------------------------------------------------------------------- */

/* How many there are, EXO_CPUS_MAX at most; number 0 is the one that booted. Known before frame_init. */
unsigned arch_cpus(void);
/* The machine's number of one. */
uint32_t arch_cpu_id(unsigned index);
/* Boot: the memory that struct cpu of number `index` lies in, zeroed; for 0 it is there from the start. */
struct cpu *arch_cpu_place(unsigned index);
/* Start all others and do not wait: each sets itself up and enters cpu_secondary(). */
void arch_cpus_start(void);
/* Interrupt another CPU: it enters cpu_serve(), then cpu_interrupted(), when it is in user mode or idle. */
void arch_cpu_interrupt(unsigned index);
/* Inside a loop that waits for another CPU. */
void arch_pause(void);

/* --- running environments ------------------------------------------------------------------------------------- */

/* Registers kept over a transfer for the caller: filled by the port before sys_call is entered. */
struct arch_caller {
	uint64_t rip, rflags, rsp;
	uint64_t rbx, rbp, r12, r13, r14, r15;
};

/* What the port keeps in an environment (first member of struct env). */
struct arch_env {
	uint64_t disp;		/* kernel address of the dispatcher page; the fast exception path uses it */
	uint64_t entries;	/* calls, counted on entry */
	uint64_t exceptions;
	uint64_t fs_base, gs_base;
	struct arch_caller caller;
	uint64_t calls;		/* numbers of calls below this go straight to their handlers, all others to trace_call,
				 * if it is 0, or to nothing */
	uint64_t direct;	/* where the fast exception path looks whether upcalls are on, as `disp`; trace.c */
};

/* Words that an upcall or a resumed transfer delivers in registers. */
struct arch_message {
	uint64_t rax, rdi, rsi, rdx, r10, r8, r9;
};

/* Make `env` the one that runs: bases loaded, its counters and dispatcher page used by the entry code. The FPU is
 * cleared if it is another than before. The space is loaded by the caller. */
void arch_env_load(struct env *env);

/* The environment that leaves the CPU: keep its bases in env->arch. */
void arch_env_unload(struct env *env);

/* It goes to another CPU: what this one still holds of it is its no more. After arch_env_unload. */
void arch_env_forget(struct env *env);

/* Enter user mode at an entry with a stack; registers as given, the others clear. Address and stack are masked to
 * canonical user addresses. Does not return; the kernel's stack is reset. */
_Noreturn void arch_upcall(uint64_t entry, uint64_t sp, const struct arch_message *message);

/* Return to a caller whose transfer has ended: its kept registers, rax = status, rdx, r10, r8, r9 = message. */
_Noreturn void arch_caller_resume(const struct arch_caller *caller, const struct arch_message *message);

/*
 * The ways from the environment that is loaded to another: bases kept and loaded, the FPU cleared, the
 * space loaded if it is another, and both noted in struct cpu (current, space). Call: enters call_entry of its dispatcher page with upcalls off, registers as
 * arch_upcall with { 1, badge, its id, w0, w1, w2, w3 }. Run: likewise run_entry, with the reasons in rdi. Reply: as
 * arch_caller_resume, with its kept registers.
 */
_Noreturn void arch_transfer_call(uint64_t badge, struct env *to, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3);
_Noreturn void arch_transfer_run(uint64_t reasons, struct env *to);
_Noreturn void arch_transfer_reply(uint64_t status, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, struct env *to);

/* Resume a state saved in a dispatcher page: every field masked first (exo/disp.h). `fpu` may be NULL. */
_Noreturn void arch_regs_resume(const struct exo_regs *regs, const uint8_t *fpu);

/* Nothing can run: enable interrupts and halt until one comes. Does not return: the interrupt enters the kernel anew. */
_Noreturn void arch_idle(void);

/* Copy the interrupted user state, which the entry code left on the kernel stack, to a save area (with the FPU). */
struct arch_frame;
void arch_frame_save(const struct arch_frame *frame, struct exo_regs *regs, uint8_t *fpu);
uint64_t arch_frame_rip(const struct arch_frame *frame);
/* Enter user mode as arch_upcall, but with all other registers as they were interrupted. */
_Noreturn void arch_frame_upcall(struct arch_frame *frame, uint64_t entry, uint64_t sp, uint64_t rdi);
/* Go back to exactly the interrupted user state. */
_Noreturn void arch_frame_resume(struct arch_frame *frame);

/* --- time ----------------------------------------------------------------------------------------------------- */

/* Nanoseconds since boot; never runs back. Cost: one counter read. */
exo_time_t arch_now(void);

/* One interrupt at or after `when` (EXO_NEVER: none); replaces the one before. It enters cpu_timer(). */
void arch_timer_set(exo_time_t when);

/* --- devices -------------------------------------------------------------------------------------------------- */

/* Bytes to the console, which is the machine's first serial port. The emulator's debug console hears verdicts only. */
void arch_console_write(const char *bytes, size_t count);

/*
 * Input. From arch_console_listen(true) on, an interrupt enters `handler` when there is some; false: none does any more.
 * Not to be called by two CPUs at a time. arch_console_read takes up to `count` bytes out of the device; *lost: it lost
 * some before these. Boot: arch_console_input says who handles it; false: the console has no input.
 */
bool arch_console_input(void (*handler)(void *arg));
void arch_console_listen(bool on);
size_t arch_console_read(char *bytes, size_t count, bool *lost);

/* Stop the machine in good order with a status: `halt N` on the debug console, power off, or halt for good. */
_Noreturn void arch_halt(uint64_t status);

/* Make a device window usable through the kernel's mapping (uncached); returns its kernel address. Boot only. */
void *arch_map_device(paddr_t pa, size_t bytes);

/* Give a device's interrupt to a handler. Boot only. `arch_irq_msi` returns address and data for the device to interrupt a CPU;
 * `arch_irq_pin` routes a global interrupt line (level, as ACPI says). Both return false when none is left. */
typedef void (*arch_irq_handler)(void *arg);
bool arch_irq_msi(arch_irq_handler handler, void *arg, unsigned cpu, uint64_t *address, uint32_t *data);
/* Raise an interrupt of arch_irq_msi once more, by its data word, on this CPU: its handler left work behind. */
void arch_irq_again(uint32_t data);
bool arch_irq_pin(unsigned gsi, bool level, bool active_low, arch_irq_handler handler, void *arg);

/*
 * For drivers in applications. A line may be had by one: not the kernel's own, nor one that the machine does not have;
 * from the first time on `handler` handles it. It is masked until arch_irq_mask says otherwise; the caller sees to it
 * that this is called once at a time. The handler is entered as above.
 */
bool arch_irq_line(unsigned line, arch_irq_handler handler, void *arg);
void arch_irq_mask(unsigned line, bool masked);
/* I/O ports of a device that the kernel does not use, and that cannot reach memory by itself. */
bool arch_port_free(uint16_t port, unsigned bytes);
uint32_t arch_port_in(uint16_t port, unsigned bytes);
void arch_port_out(uint16_t port, unsigned bytes, uint32_t value);
/* A screen's memory among the frames of the machine, reachable through the kernel's mapping. Boot only. */
bool arch_video_memory(exo_pfn_t *first, uint32_t *count);

/* Port I/O, PCI configuration space and virtio-mmio windows, as the machine has them. */
uint32_t arch_pci_read(uint32_t bdf, unsigned offset, unsigned width);	/* bdf = bus << 8 | device << 3 | function */
void arch_pci_write(uint32_t bdf, unsigned offset, unsigned width, uint32_t value);
bool arch_pci_present(void);
/* A free stretch of bus addresses for a BAR that the firmware left unassigned; 0: none. */
paddr_t arch_pci_allocate(size_t bytes);

struct arch_mmio_device {
	paddr_t base;
	size_t bytes;
	unsigned gsi;
};
/* The i-th virtio-mmio window that firmware tables or the command line name; false when there is none. */
bool arch_virtio_mmio(unsigned i, struct arch_mmio_device *device);

/* --- diagnosis ------------------------------------------------------------------------------------------------ */

/* Print the stack of the kernel with names and stop the machine for good (`panic` on the debug console). */
_Noreturn void arch_panic_stop(void);

/* Stop the machine because of the user's mistake, which has been said (`panic` on the debug console, no stack). */
_Noreturn void arch_stop(void);

/* Random bits for seeds: the CPU's generator if it has one, else mixed from clocks; said in STATUS. */
uint64_t arch_random(void);

uint64_t arch_cpu_features(void);	/* EXO_CPU_* */

#endif
