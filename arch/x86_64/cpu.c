/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A CPU's own set-up, and the state that an environment has in it: FS and GS base, FPU and SSE registers.
 *
 * Features are used only when the first CPU's CPUID names them, and the others must have them too; none
 * beyond the x86-64 baseline is needed. PCID, protection keys and five-level paging stay off; XSAVE stays
 * off, so there is no state but FXSAVE's 512 bytes, and AVX is an illegal instruction. The FPU changes hands
 * eagerly: whoever loads another environment clears it, its state is saved when an interruption is saved and
 * comes back with it. What comes back was writable by the environment, so it is copied first and then made
 * harmless; the only thing that FXRSTOR refuses is a reserved bit of MXCSR.
 */
#include "arch/x86_64/port.h"

#define LEAF1_EDX_MCE		(1u << 7)
#define LEAF1_EDX_APIC		(1u << 9)
#define LEAF1_EDX_FXSR		(1u << 24)
#define LEAF1_EDX_SSE2		(1u << 26)
#define LEAF1_ECX_RDRAND	(1u << 30)
#define LEAF7_EBX_FSGSBASE	(1u << 0)
#define LEAF7_EBX_SMEP		(1u << 7)
#define LEAF7_EBX_SMAP		(1u << 20)
#define LEAF7_ECX_UMIP		(1u << 2)

#define FPU_MXCSR		24	/* offsets in FXSAVE's image */
#define FPU_MXCSR_MASK		28
#define MXCSR_MASK_DEFAULT	0xffbf

#define IST_NMI			1
#define IST_FATAL		2
#define GATE_INTERRUPT		0x8e
#define USER_GATE		0x60	/* user mode may use it by INT */

#define USER_MASK		0x00007fffffffffff
#define RANDOM_STEP		0x9e3779b97f4a7c15

struct gate {
	uint16_t offset_0, selector;
	uint8_t ist, type;
	uint16_t offset_16;
	uint32_t offset_32, reserved;
};

uint32_t cpu_features;
static uint64_t cpu_cr4;
static struct gate idt[256] __attribute__((aligned(16)));
static uint32_t mxcsr_mask;

/* What a program may expect at its start (System V ABI for x86-64, 3.4.1). */
const uint32_t fpu_clean[128] __attribute__((aligned(16))) = { [0] = 0x037f, [FPU_MXCSR / 4] = 0x1f80 };

/* QEMU's own CPU, before version 9.1, takes the stack reads of IRETQ in user mode for the kernel's when SMAP is on. */
static bool smap_broken(void)
{
	struct cpuid leaf = cpuid(0x40000000);

	return cpuid(1).ecx >> 31 && leaf.ebx == 0x54474354 && leaf.ecx == 0x43544743;	/* "TCGTCGTC" */
}

/* --- set-up ------------------------------------------------------------------------------------------------------- */

static void gate_set(unsigned vector, const char *entry, unsigned ist, unsigned type)
{
	uint64_t at = (uint64_t)entry;

	idt[vector] = (struct gate){ (uint16_t)at, SEL_KERNEL_CODE, (uint8_t)ist, (uint8_t)type, (uint16_t)(at >> 16),
		(uint32_t)(at >> 32), 0 };
}

static void idt_fill(void)
{
	unsigned i;

	for (i = 0; i < VECTOR_END; i++)
		gate_set(i, entry_stubs + i * ENTRY_STUB_BYTES, 0, GATE_INTERRUPT);
	gate_set(VECTOR_PAGE_FAULT, entry_page_fault, 0, GATE_INTERRUPT);
	idt[2].ist = IST_NMI;
	idt[8].ist = idt[18].ist = IST_FATAL;
	idt[3].type |= USER_GATE;
	for (i = VECTOR_PIC; i < 256; i++)
		gate_set(i, entry_spurious, 0, GATE_INTERRUPT);
}

static void tables_load(struct cpu_local *self, unsigned index)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint64_t)idt };
	uint64_t tss = (uint64_t)&self->tss, *entry = &gdt[SEL_TSS / 8 + 2 * index];

	__asm__ volatile("lidt %0" : : "m"(pointer));
	self->tss.rsp[0] = self->stack;
	self->tss.ist[IST_NMI - 1] = self->stack + IST_BYTES;
	self->tss.ist[IST_FATAL - 1] = self->stack + 2 * IST_BYTES;
	self->tss.iomap = sizeof(self->tss);
	entry[0] = (sizeof(self->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ULL << 40 |
	    (tss >> 24 & 0xff) << 56;
	entry[1] = tss >> 32;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS + 16 * index));
}

static void fpu_start(struct cpu_local *self)
{
	__asm__ volatile("fxsave64 %0" : "=m"(self->fpu));
	memcpy(&mxcsr_mask, self->fpu + FPU_MXCSR_MASK, sizeof(mxcsr_mask));
	if (!mxcsr_mask)
		mxcsr_mask = MXCSR_MASK_DEFAULT;
}

/* What this CPU has: CPU_*, and the bits of CR4 that use it. */
static uint32_t features(uint64_t *cr4_bits)
{
	struct cpuid leaf1 = cpuid(1), leaf7 = { 0 };
	uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	uint32_t found = 0;

	if (cpuid(0).eax >= 7)
		leaf7 = cpuid(7);
	if ((leaf1.edx & LEAF1_EDX_APIC) && (leaf1.edx & LEAF1_EDX_FXSR) && (leaf1.edx & LEAF1_EDX_SSE2))
		found |= CPU_BASE;
	if (leaf1.edx & LEAF1_EDX_MCE)
		cr4 |= CR4_MCE;
	if (leaf7.ebx & LEAF7_EBX_FSGSBASE) {
		cr4 |= CR4_FSGSBASE;
		found |= CPU_FSGSBASE;
	}
	if (leaf7.ebx & LEAF7_EBX_SMEP)
		cr4 |= CR4_SMEP;
	if ((leaf7.ebx & LEAF7_EBX_SMAP) && !smap_broken())
		cr4 |= CR4_SMAP;
	if (leaf7.ecx & LEAF7_ECX_UMIP)
		cr4 |= CR4_UMIP;
	if (leaf1.ecx & LEAF1_ECX_RDRAND)
		found |= CPU_RDRAND;
	*cr4_bits = cr4;
	return found;
}

bool cpu_start(struct cpu_local *self, unsigned index)
{
	uint64_t cr4;
	uint32_t found = features(&cr4);

	if (index == 0) {
		if (!(found & CPU_BASE))
			boot_fail("this CPU lacks a local interrupt controller or SSE2");
		cpu_features = found;
		cpu_cr4 = cr4;
		idt_fill();
	}
	write_cr4(cpu_cr4 & cr4);
	self->self = &self->generic;
	self->stack = index ? STACK_SLOT(index) + EXO_PAGE_SIZE + STACK_BYTES : (uint64_t)stack_top;
	self->timer.when = EXO_NEVER;
	wrmsr(MSR_GS_BASE, (uint64_t)self);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	tables_load(self, index);
	if (index == 0)
		fpu_start(self);
	wrmsr(MSR_STAR, (uint64_t)(SEL_USER_DATA - 8) << 48 | (uint64_t)SEL_KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)entry_syscall);
	wrmsr(MSR_SYSENTER_CS, 0);	/* not a way in */
	wrmsr(MSR_CSTAR, (uint64_t)entry_syscall_compat);
	wrmsr(MSR_FMASK, 0x74700);	/* IF TF DF NT RF VM AC are clear in the kernel */
	return !(cpu_features & ~found) && !(cpu_cr4 & ~cr4);
}

uint64_t arch_cpu_features(void)
{
	return cpu_features & CPU_FSGSBASE ? EXO_CPU_FSGSBASE : 0;
}

/*
 * Without a generator in the CPU: not secret, only different each time, from clocks. With the kernel argument
 * `seed` the same each time. Mixed as in SplitMix64 (Steele, Lea, Flood 2014).
 */
uint64_t arch_random(void)
{
	static uint64_t state;
	uint64_t value;
	unsigned tries;
	bool good;

	for (tries = 0; tries < 10 && (cpu_features & CPU_RDRAND) && !info->seed; tries++) {
		__asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(good));
		if (good)
			return value;
	}
	value = RANDOM_STEP + (info->seed ? 0 : rdtsc() ^ info->clock.wall_s << 32);
	value += __atomic_fetch_add(&state, value, __ATOMIC_RELAXED) + info->seed;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/* --- an environment's state ------------------------------------------------------------------------------------------ */

static inline uint64_t canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

/* The bases in `env` are canonical. */
static void bases_load(struct arch_env *env)
{
	if (cpu_features & CPU_FSGSBASE)
		__asm__ volatile("wrfsbase %0; swapgs; wrgsbase %1; swapgs" : : "r"(env->fs_base), "r"(env->gs_base));
	else {
		wrmsr(MSR_FS_BASE, env->fs_base);
		wrmsr(MSR_KERNEL_GS_BASE, env->gs_base);
	}
}

/* Without FSGSBASE user code cannot choose a base itself, and env->arch has what it asked for. */
static void bases_keep(struct arch_env *env)
{
	if (cpu_features & CPU_FSGSBASE)
		__asm__ volatile("rdfsbase %0; swapgs; rdgsbase %1; swapgs" : "=r"(env->fs_base), "=r"(env->gs_base));
}

void arch_env_load(struct env *env)
{
	struct cpu_local *self = this_cpu();

	uint64_t fs_base = env->arch.fs_base;

	if (self->fpu_owner == env->id) {	/* it is loaded: a new FS base is all there is */
		bases_keep(&env->arch);
		env->arch.fs_base = canonical(fs_base);
		bases_load(&env->arch);
		return;
	}
	env->arch.disp = (uint64_t)env->disp;
	self->env = &env->arch;
	bases_load(&env->arch);
	self->fpu_owner = env->id;
	/* FNINIT first: some CPUs leave the last instruction's addresses alone when no exception is pending. */
	__asm__ volatile("fninit; fxrstor64 %0" : : "m"(fpu_clean));
}

void arch_env_unload(struct env *env)
{
	bases_keep(&env->arch);
}

void arch_env_forget(struct env *env)
{
	struct cpu_local *self = this_cpu();

	if (self->fpu_owner == env->id)
		self->fpu_owner = 0;
	if (self->env == &env->arch)
		self->env = NULL;
}

void arch_frame_save(const struct arch_frame *frame, struct exo_regs *regs, uint8_t *fpu)
{
	struct arch_env *env = this_cpu()->env;

	memcpy(regs, frame, offsetof(struct exo_regs, address));
	regs->address = 0;
	memcpy(&regs->rip, &frame->rip, 5 * sizeof(uint64_t));
	bases_keep(env);
	regs->fs_base = env->fs_base;
	regs->gs_base = env->gs_base;
	if (fpu)
		__asm__ volatile("fxsave64 (%0)" : : "r"(fpu) : "memory");
}

uint64_t arch_frame_rip(const struct arch_frame *frame)
{
	return frame->rip;
}

_Noreturn void arch_frame_upcall(struct arch_frame *frame, uint64_t entry, uint64_t sp, uint64_t rdi)
{
	frame->rip = entry & USER_MASK;
	frame->cs = SEL_USER_CODE;
	frame->rflags = RFLAGS_IF | RFLAGS_ONE;
	frame->rsp = sp & USER_MASK;
	frame->ss = SEL_USER_DATA;
	frame->rdi = rdi;
	arch_frame_resume(frame);
}

static void fpu_load(struct cpu_local *self, const uint8_t *fpu)
{
	uint32_t mxcsr;

	memcpy(self->fpu, fpu, sizeof(self->fpu));
	memcpy(&mxcsr, self->fpu + FPU_MXCSR, sizeof(mxcsr));
	mxcsr &= mxcsr_mask;
	memcpy(self->fpu + FPU_MXCSR, &mxcsr, sizeof(mxcsr));
	__asm__ volatile("fninit; fxrstor64 %0" : : "m"(self->fpu));
}

_Noreturn void arch_regs_resume(const struct exo_regs *regs, const uint8_t *fpu)
{
	struct cpu_local *self = this_cpu();
	struct arch_frame frame;

	memcpy(&frame, regs, offsetof(struct arch_frame, vector));
	frame.rip = read_once(regs->rip) & USER_MASK;
	frame.cs = SEL_USER_CODE;
	frame.rflags = (read_once(regs->rflags) & RFLAGS_USER) | RFLAGS_IF | RFLAGS_ONE;
	frame.rsp = read_once(regs->rsp) & USER_MASK;
	frame.ss = SEL_USER_DATA;
	self->env->fs_base = canonical(regs->fs_base);
	self->env->gs_base = canonical(regs->gs_base);
	bases_load(self->env);
	if (fpu)
		fpu_load(self, fpu);
	arch_frame_resume(&frame);
}
