/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Upcall entries of the environments on a process's other CPUs, and how threads go there and come back. See cpus.h.
 *
 * Each has its dispatcher page at another address; the upcall stack is the page's own end, so that the page is found from
 * the stack pointer.
 */
#include "libos/core/entry.h"

#define PAGE	0x1000
#define CPUS	0x18000			/* WIRE_VA_CPUS; checked in cpus.c */
#define ON	(EXO_DISP_ON - PAGE)	/* from the stack's end */

	.text

	.globl	posix_cpu_run_entry
	.type	posix_cpu_run_entry, @function
posix_cpu_run_entry:
	xorl	%ebp, %ebp
	leaq	-PAGE(%rsp), %rdi
	call	posix_cpu_run
resume:
	fxrstor64 (%rax)
	.size	posix_cpu_run_entry, . - posix_cpu_run_entry

/* Resume the state in area ON with upcalls on; the stack pointer is the page's end. */
	.globl	posix_cpu_critical
	.type	posix_cpu_critical, @function
posix_cpu_critical:
	movq	ON + 0x00(%rsp), %rax
	movq	ON + 0x08(%rsp), %rbx
	movq	ON + 0x10(%rsp), %rcx
	movq	ON + 0x18(%rsp), %rdx
	movq	ON + 0x20(%rsp), %rsi
	movq	ON + 0x28(%rsp), %rdi
	movq	ON + 0x30(%rsp), %rbp
	movq	ON + 0x38(%rsp), %r8
	movq	ON + 0x40(%rsp), %r9
	movq	ON + 0x48(%rsp), %r10
	movq	ON + 0x50(%rsp), %r11
	movq	ON + 0x58(%rsp), %r12
	movq	ON + 0x60(%rsp), %r13
	movq	ON + 0x68(%rsp), %r14
	movq	ON + 0x70(%rsp), %r15
	leaq	ON + EXO_REGS_RIP(%rsp), %rsp
	movl	$EXO_OFF_NO, EXO_DISP_OFF - EXO_DISP_ON - EXO_REGS_RIP(%rsp)
	iretq
	.globl	posix_cpu_critical_end
posix_cpu_critical_end:
	.size	posix_cpu_critical, . - posix_cpu_critical

/* An exception in application code: the state is in area ON, the FPU is live. */
	.globl	posix_cpu_fault_entry
	.type	posix_cpu_fault_entry, @function
posix_cpu_fault_entry:
	fxsave64 EXO_DISP_ON_FPU - PAGE(%rsp)
	xorl	%ebp, %ebp
	leaq	-PAGE(%rsp), %rdi
	call	posix_cpu_stopped
	jmp	resume
	.size	posix_cpu_fault_entry, . - posix_cpu_fault_entry

/* An exception in upcall code itself: the process's end. */
	.globl	posix_cpu_off_entry
	.type	posix_cpu_off_entry, @function
posix_cpu_off_entry:
	leaq	-PAGE(%rsp), %rdi
	call	posix_cpu_failed
	ud2
	.size	posix_cpu_off_entry, . - posix_cpu_off_entry

/*
 * void posix_home(void): as a thread, inside brackets, so that it is not recalled. It may come home by a fault meanwhile, while it
 * saves its registers. From where it is seen to be away to upcalls off nothing can fault.
 */
	.globl	posix_home
	.type	posix_home, @function
posix_home:
	PARK
	movq	%rsp, %rsi
	movzbl	%fs:posix_away@tpoff, %edi
	testl	%edi, %edi
	jz	core_unpark
	shll	$12, %edi
	leaq	CPUS - PAGE(%rdi), %rdi
	movl	$EXO_OFF_YES, EXO_DISP_OFF(%rdi)
	leaq	PAGE(%rdi), %rsp
	xorl	%ebp, %ebp
	call	posix_cpu_called
	jmp	resume
	.size	posix_home, . - posix_home

/*
 * void posix_give(sp, fs_base, cpu): at home, inside brackets: go on as another thread, then let the CPU have this one, of whose
 * stack nothing is needed any more.
 */
	.globl	posix_give
	.type	posix_give, @function
posix_give:
	movq	%rdi, %rsp
	movq	%rdi, %rbx
	movq	%rdx, %rbp
	cmpb	$0, core_fsgsbase(%rip)
	je	1f
	wrfsbase %rsi
2:	andq	$-16, %rsp
	movq	%rbp, %rdi
	call	posix_given
	movq	%rbx, %rsp
	jmp	core_unpark
1:	movq	%rsi, %rdi
	movl	$EXO_CALL_env_fsbase, %eax
	syscall
	jmp	2b
	.size	posix_give, . - posix_give

/* void posix_go_on(entry): at home, with upcalls off: as if the state in area ON had been interrupted just now. */
	.globl	posix_go_on
	.type	posix_go_on, @function
posix_go_on:
	leaq	core_upcall_stack_end(%rip), %rsp
	movq	%rdi, %rax
	movl	$EXO_RUN_SLICE, %edi
	jmp	*%rax
	.size	posix_go_on, . - posix_go_on

	.section .note.GNU-stack, "", @progbits
