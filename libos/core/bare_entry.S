/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entry code of a libOS of one's own: see bare.h.
 *
 * The kernel enters with upcalls off on the one stack that there is. The way back loads fifteen registers from area ON of
 * the dispatcher page, turns upcalls on and returns as from an interrupt, with no kernel call. From bare_resume to
 * bare_resume_end the area is still wanted: a slice that ends there is saved in another one (include/exo/disp.h).
 */
#include "libos/core/entry.h"

	ABI_NOTE

	.text

/* The first upcall, which brings no stack. rdi = reasons. */
	.globl	bare_start
	.type	bare_start, @function
bare_start:
	leaq	bare_stack_end(%rip), %rsp
	xorl	%ebp, %ebp
	pushq	%rdi
	pushq	%rdi
	call	bare_first
	popq	%rdi
	popq	%rdi
	.size	bare_start, . - bare_start

	.globl	bare_run_entry
	.type	bare_run_entry, @function
bare_run_entry:
	call	bare_run
	jmp	bare_resume
	.size	bare_run_entry, . - bare_run_entry

	.globl	bare_fault_entry
	.type	bare_fault_entry, @function
bare_fault_entry:
	call	bare_fault
	.size	bare_fault_entry, . - bare_fault_entry

	.globl	bare_resume
	.type	bare_resume, @function
bare_resume:
	movl	$EXO_VA_DISP + EXO_DISP_ON, %esp
	popq	%rax
	popq	%rbx
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	popq	%rbp
	popq	%r8
	popq	%r9
	popq	%r10
	popq	%r11
	popq	%r12
	popq	%r13
	popq	%r14
	popq	%r15
	addq	$EXO_REGS_RIP - 15 * 8, %rsp
	movl	$EXO_OFF_NO, EXO_VA_DISP + EXO_DISP_OFF
	iretq
	.globl	bare_resume_end
bare_resume_end:
	.size	bare_resume, . - bare_resume

	.section .bss
	.balign	16
	.skip	8192
bare_stack_end:
	.globl	bare_stack_end

	.section .note.GNU-stack, "", @progbits
