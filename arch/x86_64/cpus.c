/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other CPUs: which there are, what memory each has, how they are started.
 *
 * The firmware's table names them (acpi.c); number 0 is the one that booted. INIT and one SIPI wake each,
 * with a wait of INIT_NS between and none behind: they come up by themselves, all at once, while the first
 * goes on. One that was not heard of yet hears an interrupt that it sends itself, so nothing that was asked
 * of it meanwhile is lost.
 *
 * Each has a run of frames: its struct cpu_local, then its stack and the two for NMI and fatal exceptions,
 * which are mapped a second time in a slot of STACK_SLOT_BYTES at the bottom of the kernel's own addresses,
 * whose first page is not mapped. GDT and IDT are shared; each has its own TSS, and so its own descriptor.
 *
 * Real mode needs two pages below 1 MiB, kept for good: the trampoline, and a table that is page table of all
 * four levels at once, by its first entry, so it maps the trampoline where it lies; its upper half is the
 * kernel's.
 *
 * Assumed: all CPUs count the TSC in step, as every hypervisor and any board of the last decade has it. One
 * whose TSC is behind when it comes, or that lacks a feature that the first one has, is left out.
 */
#include "arch/x86_64/port.h"

#define LOW_END		0xa0000		/* of ordinary memory in the first MiB */
#define INIT_NS		10000
#define EFER_LMA	0x400
#define PTE_PRESENT	1
#define LOCAL_FRAMES	1
#define STACK_FRAMES	((STACK_SLOT_BYTES - EXO_PAGE_SIZE) >> EXO_PAGE_SHIFT)

_Static_assert(sizeof(struct cpu_local) <= LOCAL_FRAMES * EXO_PAGE_SIZE, "struct cpu_local");
_Static_assert(EXO_CPUS_MAX * STACK_SLOT_BYTES <= 0x100000, "stacks lie below the image");

struct trampoline_words {
	uint32_t cr3, efer, entry;
	uint16_t selector;
	uint16_t gdt_limit;
	uint32_t gdt;
} __attribute__((packed));

extern const char trampoline[], trampoline_words[], trampoline_end[], trampoline_64[], trampoline_gdt[];

struct cpu_local cpu_first;
static struct cpu_local *locals[EXO_CPUS_MAX] = { &cpu_first };
static paddr_t low;			/* the two pages */
static uint64_t start_tsc;		/* all that start do so behind this */

unsigned arch_cpus(void)
{
	return machine.cpus;
}

uint32_t arch_cpu_id(unsigned index)
{
	return machine.cpu_id[index];
}

/* Put the one that runs first, and get the memory that the others need to start. */
void cpus_find(void)
{
	uint32_t own = cpuid(1).ebx >> 24;
	unsigned i;

	for (i = 0; i < machine.cpus && machine.cpu_id[i] != own; i++)
		;
	if (i == EXO_CPUS_MAX) {
		i--;
		machine.cpus_more++;
	} else if (i == machine.cpus) {
		machine.cpus++;
	}
	machine.cpu_id[i] = machine.cpu_id[0];
	machine.cpu_id[0] = own;
	if (machine.cpus_more)
		kprintf("exo: %u CPUs beyond %u are left out\n", machine.cpus_more, EXO_CPUS_MAX);
	if (machine.cpus == 1)
		return;
	low = memory_take(EXO_PAGE_SIZE, LOW_END, 2 * EXO_PAGE_SIZE);
	if (!low) {
		kprintf("exo: no memory below 640 KiB: one CPU is used\n");
		machine.cpus = 1;
	}
}

struct cpu *arch_cpu_place(unsigned index)
{
	exo_pfn_t pfn;

	if (index) {
		pfn = frame_boot_take(LOCAL_FRAMES + STACK_FRAMES, EXO_FRAME_KERNEL);
		locals[index] = pfn_to_virt(pfn);
		memory_map_stack(STACK_SLOT(index) + EXO_PAGE_SIZE, pfn + LOCAL_FRAMES, STACK_FRAMES);
	}
	return &locals[index]->generic;
}

static void trampoline_place(void)
{
	struct trampoline_words *words = phys_to_virt(low + (size_t)(trampoline_words - trampoline));
	uint64_t *table = phys_to_virt(low + EXO_PAGE_SIZE);

	memcpy(phys_to_virt(low), trampoline, (size_t)(trampoline_end - trampoline));
	words->cr3 = (uint32_t)low + EXO_PAGE_SIZE;
	words->efer = (uint32_t)rdmsr(MSR_EFER) & ~EFER_LMA;
	words->entry = (uint32_t)low + (uint32_t)(trampoline_64 - trampoline);
	words->gdt = (uint32_t)low + (uint32_t)(trampoline_gdt - trampoline);
	memset(table, 0, EXO_PAGE_SIZE);
	arch_root_init(table);
	table[0] = (low + EXO_PAGE_SIZE) | PTE_PRESENT;
	table[low >> EXO_PAGE_SHIFT] = low | PTE_PRESENT;
}

void arch_cpus_start(void)
{
	exo_time_t until;
	unsigned i;

	if (machine.cpus == 1)
		return;
	trampoline_place();
	for (i = 1; i < machine.cpus; i++)
		apic_send(machine.cpu_id[i], APIC_INIT);
	for (until = arch_now() + INIT_NS; arch_now() < until;)
		arch_pause();
	start_tsc = rdtsc();
	for (i = 1; i < machine.cpus; i++)
		apic_send(machine.cpu_id[i], APIC_STARTUP | (uint32_t)(low >> EXO_PAGE_SHIFT));
}

/* Entered by trampoline.S, on the CPU's own stack. */
_Noreturn void start_secondary(unsigned index)
{
	bool in_step = (int64_t)(rdtsc() - start_tsc) >= 0;

	if (!cpu_start(locals[index], index) || !in_step) {
		kprintf("exo: CPU %u %s: it is left out\n", index,
		    in_step ? "lacks features of the first" : "counts time apart");
		for (;;)
			__asm__ volatile("cli; hlt");
	}
	arch_space_load(0);
	apic_start_local();
	arch_cpu_interrupt(index);
	cpu_secondary();
}

void arch_pause(void)
{
	__builtin_ia32_pause();
}
