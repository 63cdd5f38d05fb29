/* SPDX-License-Identifier: BSD-2-Clause */
/* Which CPU executes: the first member of struct null_machine (null.h), which tests set. */
#ifndef ARCH_SELF_H
#define ARCH_SELF_H

extern struct null_machine null;

static inline struct cpu *cpu_self(void)
{
	return *(struct cpu **)(void *)&null;
}

static inline struct env *env_self(void)
{
	return ((struct env **)cpu_self())[1];	/* struct cpu is not known yet: its second member */
}

#endif
