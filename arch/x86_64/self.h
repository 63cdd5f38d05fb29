/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU this is. The first word that GS reaches in the kernel points to it (struct cpu_local in port.h);
 * it never changes while a CPU is in the kernel, so the compiler may read it once and keep it.
 */
#ifndef ARCH_SELF_H
#define ARCH_SELF_H

static inline struct cpu *cpu_self(void)
{
	struct cpu *self;

	__asm__("mov %%gs:0, %0" : "=r"(self));
	return self;
}

/* Its `current`, in one instruction; 72 is CPU_CURRENT in port.h. */
static inline struct env *env_self(void)
{
	struct env *current;

	__asm__ volatile("mov %%gs:72, %0" : "=r"(current));
	return current;
}

#endif
