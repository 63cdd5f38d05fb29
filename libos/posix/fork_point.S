/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the two ways of a fork part, and where the child begins. See fork.c.
 */
#include "libos/core/entry.h"

#define SPACE	0x100000002	/* slot 2 of a new table, first generation */

	.text
/* int64_t posix_fork_point(void): what posix_fork_work says; in the child, which core_run_entry takes up here, 0. */
	.globl	posix_fork_point
	.type	posix_fork_point, @function
posix_fork_point:
	PARK
	movq	%rsp, posix_fork_sp(%rip)
	leaq	posix_wired_stack + 8192(%rip), %rsp
	call	posix_fork_work
	movq	posix_fork_sp(%rip), %rsp
	jmp	core_unpark
	.size	posix_fork_point, . - posix_fork_point

/*
 * The child's first instruction: only text and fixed pages are mapped. In the argument frame: how many descriptors, then
 * these, of the wired pages.
 */
	.globl	posix_fork_entry
	.type	posix_fork_entry, @function
posix_fork_entry:
	movq	EXO_VA_ARG, %r13
	movl	$8, %r12d
1:	movabsq	$SPACE, %rdi
	movq	%r12, %rsi
	movq	%r13, %rdx
	movl	$EXO_CALL_space_write, %eax
	syscall
	testq	%rax, %rax
	jle	2f
	subq	%rax, %r13
	shlq	$5, %rax
	addq	%rax, %r12
	testq	%r13, %r13
	jnz	1b
	jmp	_start
2:	movl	$14, %edi
	xorl	%esi, %esi
	movl	$EXO_CALL_env_exit, %eax
	syscall
	jmp	2b
	.size	posix_fork_entry, . - posix_fork_entry

	.section .note.GNU-stack, "", @progbits
