/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of this port offer each other, and the layouts that entry.S and boot.S share with C.
 *
 * Address map (4 levels, 48 bits):
 *   0x0000000000000000 - 0x00007fffffffffff   the environment's
 *   0xffff800000000000 - 0xffffbfffffffffff   all memory and devices, by physical address (W, never X)
 *   0xffffc00000000000 - 0xffffcfffffffffff   all memory again (never W; X only machine code of programs)
 *   0xffffffff80000000 - 0xffffffff800fffff   stacks of the other CPUs, each above a page that is not mapped
 *   0xffffffff80100000 -                      the kernel's image, linked here, loaded at 1 MiB
 */
#ifndef ARCH_X86_64_PORT_H
#define ARCH_X86_64_PORT_H

#include <exo/types.h>
#include "arch/x86_64/x86.h"

#define KERNEL_BASE	0xffffffff80000000
#define PHYS_BASE	0xffff800000000000
#define CODE_BASE	0xffffc00000000000
#define PHYS_LIMIT	0x0000400000000000	/* physical addresses that the direct map has room for */

#ifndef STACK_BYTES
#define STACK_BYTES	8192	/* of a CPU in the kernel; below it nothing can be written */
#endif
#define IST_BYTES	2048
#define STACK_SLOT_BYTES	(EXO_PAGE_SIZE + STACK_BYTES + 2 * IST_BYTES)	/* see cpus.c */
#define STACK_SLOT(index)	(KERNEL_BASE + (index) * STACK_SLOT_BYTES)

#define SEL_KERNEL_CODE	0x08
#define SEL_KERNEL_DATA	0x10
#define SEL_USER_DATA	0x1b
#define SEL_USER_CODE	0x23
#define SEL_TSS		0x28	/* of the first CPU; each takes two entries */
#define GDT_BYTES	(SEL_TSS + 16 * EXO_CPUS_MAX)

#define LOADER_NONE		0
#define LOADER_MULTIBOOT2	1
#define LOADER_PVH		2

/* Interrupt vectors. */
#define VECTOR_PROTECTION	13
#define VECTOR_PAGE_FAULT	14
#define VECTOR_TIMER		32
#define VECTOR_ASK		33	/* another CPU wants something */
#define VECTOR_DEVICE		34	/* the first of a device */
#define VECTOR_END		64	/* of the vectors with a handler */
#define VECTOR_PIC		0xf0	/* where the legacy controllers' spurious interrupts go */
#define VECTOR_SPURIOUS		0xff

/* struct cpu_local, reached by GS while in the kernel. */
#define CPU_SELF	0
#define CPU_STACK	8
#define CPU_USER_RSP	16
#define CPU_ENV		24
#define CPU_FPU_OWNER	32
#define CPU_GENERIC	64
#define CPU_INFO	64
#define CPU_CURRENT	72
#define CPU_SPACE	96

/* struct arch_env. */
#define ENV_DISP	0
#define ENV_ENTRIES	8
#define ENV_EXCEPTIONS	16
#define ENV_FS_BASE	24
#define ENV_GS_BASE	32
#define ENV_CALLER	40
#define ENV_CALLS	112
#define ENV_DIRECT	120

/* struct env, struct exo_cpu_info, struct machine. */
#define ENV_ID		136
#define ENV_ROOT	176
#define CPU_INFO_SWITCHES	16
#define MACHINE_CPU_ID	0
#define MACHINE_CPUS	(4 * EXO_CPUS_MAX)

/* struct arch_caller. */
#define CALLER_RIP	0
#define CALLER_RFLAGS	8
#define CALLER_RSP	16
#define CALLER_RBX	24
#define CALLER_RBP	32
#define CALLER_R12	40
#define CALLER_R13	48
#define CALLER_R14	56
#define CALLER_R15	64

/* struct arch_frame. */
#define FRAME_VECTOR	120
#define FRAME_ERROR	128
#define FRAME_CS	144
#define FRAME_RFLAGS	152

/* What the CPUs have, of what is used when present (cpu_features; NX in boot_nx). */
#define CPU_FSGSBASE	1
#define CPU_RDRAND	2
#define CPU_BASE	4	/* what must be there */

#ifndef __ASSEMBLER__
#include "exo/kernel.h"

/* string.S */
void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

struct arch_frame {		/* the first 17 words are those of struct exo_regs */
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, iomap;
} __attribute__((packed));

/* A piece of the clock's line, good while the TSC is below `refine_at`. */
struct clock_piece {
	uint64_t tsc, ns, scale;	/* time = ns + ((rdtsc - tsc) * scale >> 32) */
	uint64_t refine_at;
};

struct apic_timer {
	exo_time_t when;	/* EXO_NEVER: off */
	uint64_t tsc;		/* when it was last set, and to what */
	uint32_t count;
};

struct cpu_local {
	struct cpu *self;	/* -> generic, below; see self.h */
	uint64_t stack;		/* its top */
	uint64_t user_rsp;	/* during a call */
	struct arch_env *env;	/* the one that runs */
	exo_env_id_t fpu_owner;	/* whose FPU state is in the registers */
	struct cpu generic;	/* its first member is `info` */
	struct clock_piece clock;
	struct apic_timer timer;
	struct tss tss __attribute__((aligned(16)));
	uint8_t fpu[512] __attribute__((aligned(16)));	/* a state on its way back */
};

_Static_assert(offsetof(struct cpu_local, self) == CPU_SELF, "self");
_Static_assert(offsetof(struct cpu_local, generic) == CPU_GENERIC, "generic");
_Static_assert(offsetof(struct cpu_local, generic.info) == CPU_INFO, "info");
_Static_assert(offsetof(struct cpu_local, generic.space) == CPU_SPACE, "space");
_Static_assert(offsetof(struct cpu_local, generic.current) == CPU_CURRENT, "current; self.h has the number");
_Static_assert(offsetof(struct cpu_local, stack) == CPU_STACK, "stack");
_Static_assert(offsetof(struct cpu_local, user_rsp) == CPU_USER_RSP, "user_rsp");
_Static_assert(offsetof(struct cpu_local, env) == CPU_ENV, "env");
_Static_assert(offsetof(struct env, arch) == 0, "arch_env is the first member");
_Static_assert(offsetof(struct arch_env, disp) == ENV_DISP, "disp");
_Static_assert(offsetof(struct arch_env, entries) == ENV_ENTRIES, "entries");
_Static_assert(offsetof(struct arch_env, exceptions) == ENV_EXCEPTIONS, "exceptions");
_Static_assert(offsetof(struct arch_env, caller) == ENV_CALLER, "caller");
_Static_assert(offsetof(struct arch_env, calls) == ENV_CALLS, "calls");
_Static_assert(offsetof(struct arch_env, direct) == ENV_DIRECT, "direct");
_Static_assert(offsetof(struct arch_env, fs_base) == ENV_FS_BASE, "fs_base");
_Static_assert(offsetof(struct arch_env, gs_base) == ENV_GS_BASE, "gs_base");
_Static_assert(offsetof(struct cpu_local, fpu_owner) == CPU_FPU_OWNER, "fpu_owner");
_Static_assert(offsetof(struct env, id) == ENV_ID, "id");
_Static_assert(offsetof(struct env, root) == ENV_ROOT, "root");
_Static_assert(offsetof(struct exo_cpu_info, switches) == CPU_INFO_SWITCHES, "switches");
_Static_assert(offsetof(struct arch_caller, r15) == CALLER_R15, "caller");
_Static_assert(offsetof(struct arch_frame, vector) == FRAME_VECTOR, "vector");
_Static_assert(offsetof(struct arch_frame, cs) == FRAME_CS, "cs");
_Static_assert(offsetof(struct arch_frame, rflags) == FRAME_RFLAGS, "rflags");
_Static_assert(offsetof(struct exo_regs, error) == FRAME_ERROR, "save area and frame begin alike");

static inline struct cpu_local *this_cpu(void)
{
	return (struct cpu_local *)((char *)cpu_self() - CPU_GENERIC);
}

/* boot.S, entry.S, kernel.ld */
extern uint64_t boot_pml4[PT_ENTRIES];
extern uint64_t boot_nx;		/* the no-execute bit of a page-table entry, or 0 */
extern uint64_t gdt[];
extern char image_start[], text_end[], rodata_end[], pool_start[], image_end[];
extern char stack_start[], stack_top[], ist_top[];
extern const char entry_stubs[], entry_page_fault[], entry_spurious[];
#define ENTRY_STUB_BYTES	16
void entry_syscall(void), entry_syscall_compat(void);

/* firmware.c: what the loader handed over */
struct map_entry {
	uint64_t start, bytes;
	uint32_t type;		/* 1: memory */
	uint32_t attributes;
} __attribute__((packed));
#define MAP_MEMORY	1
/* The i-th entry of the loader's memory map, as it stands there; false: no more. */
bool firmware_map(unsigned i, struct map_entry *entry);
/* A table's bytes, mapped; NULL if they lie neither in the first MiB nor within one range of the memory map. */
const void *firmware_table(paddr_t pa, size_t bytes);
void firmware_read(unsigned loader, paddr_t pa);
extern paddr_t firmware_rsdp;		/* or 0 */
extern uint8_t firmware_rsdp_copy[36];	/* multiboot2 gives the thing itself */
/* Print why the machine cannot be used, and stop. */

/* memory.c */
void memory_map(paddr_t start, paddr_t end, bool device);
void memory_reserve(paddr_t start, paddr_t end);
/* The lowest memory within [from, to) that nothing is in, reserved by this; 0: none. Before memory_finish. */
paddr_t memory_take(paddr_t from, paddr_t to, paddr_t bytes);
/* Frames as (part of) a stack among the kernel's own addresses. */
void memory_map_stack(uint64_t va, exo_pfn_t pfn, unsigned count);
/* boot.memory and boot.reserved from the loader's map; all memory mapped; image protected. */
void memory_early(void);
void memory_read(void);
void memory_finish(void);

/* acpi.c */
#define IOAPICS_MAX	8
#define MMIO_DEVICES_MAX 32
struct machine {
	uint32_t cpu_id[EXO_CPUS_MAX];		/* local interrupt controllers; cpus.c puts its own first */
	uint32_t cpus, cpus_more;		/* found; beyond EXO_CPUS_MAX */
	paddr_t hpet, ecam;			/* 0: none */
	uint16_t pm_timer;			/* port; 0: none */
	bool pm_timer_32;
	uint8_t bus_first, bus_last;		/* of the ECAM window */
	uint8_t century;			/* index in the clock's memory; 0: none */
	unsigned ioapics;
	struct {
		paddr_t base;
		unsigned gsi, pins;
		volatile uint32_t *window;
	} ioapic[IOAPICS_MAX];
	uint16_t isa_flags[16];			/* polarity and trigger of the lines 0-15, by GSI */
	unsigned mmio_devices;
	struct arch_mmio_device mmio_device[MMIO_DEVICES_MAX];
};
extern struct machine machine;
_Static_assert(offsetof(struct machine, cpu_id) == MACHINE_CPU_ID, "cpu_id");
_Static_assert(offsetof(struct machine, cpus) == MACHINE_CPUS, "cpus");
void acpi_read(void);

/* pci.c: bus addresses below 4 GiB that may be given to devices */
#define GAP_START	0xc0000000ULL
#define GAP_END		0xfe000000ULL	/* chipset registers and interrupt controllers lie above */
void pci_start(const struct boot_range *map, unsigned count);

/* cpu.c */
extern uint32_t cpu_features;		/* CPU_* */
/* Set this CPU up; false: it lacks what the first one has. */
bool cpu_start(struct cpu_local *self, unsigned index);

/* cpus.c */
extern struct cpu_local cpu_first;
void cpus_find(void);

/* apic.c */
void apic_start(void);			/* the first CPU's, and the machine's */
void apic_start_local(void);
#define APIC_INIT	0x4500
#define APIC_STARTUP	0x4600		/* with the page to start at */
void apic_send(uint32_t id, uint32_t what);
/* The machine stops: so do the other CPUs, by an NMI that finds `apic_stopping` set. */
void apic_stop_others(void);
extern bool apic_stopping;
void timer_learn(uint64_t ns_per_tsc);	/* 32.32, as the clock now believes */
bool interrupt(uint64_t vector, struct arch_frame *frame);

/* clock.c */
void clock_start(void);
/* An application drives the calendar from now on: the kernel does not look at it any more. */
void clock_leave_calendar(void);

/* console.c */
void console_start(void);

/* trap.c */
_Noreturn void trap_kernel(const struct arch_frame *frame, uint64_t address);
void trap_nmi(const struct arch_frame *frame);
#endif

#endif
