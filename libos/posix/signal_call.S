/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: a handler on another stack, and the first instruction of a delivery to code that was interrupted.
 */
	.text

/* void signal_call(handler, number, info, context, sp) */
	.globl	signal_call
	.type	signal_call, @function
signal_call:
	pushq	%rbp
	movq	%rsp, %rbp
	testq	%r8, %r8
	cmovneq	%r8, %rsp
	andq	$-16, %rsp
	movq	%rdi, %rax
	movl	%esi, %edi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	call	*%rax
	leave
	ret
	.size	signal_call, . - signal_call

/* As the thread, below its red zone or on its alternate stack, with upcalls on and inside brackets. */
	.globl	signal_entered_here
	.type	signal_entered_here, @function
signal_entered_here:
	xorl	%ebp, %ebp
	andq	$-64, %rsp
	subq	$768, %rsp		/* struct signal_frame */
	movq	%rsp, %rdi
	call	signal_entered
	ud2
	.size	signal_entered_here, . - signal_entered_here

	.section .note.GNU-stack, "", @progbits
