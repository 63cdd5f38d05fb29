/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Upcall entries, the resume sequence, and the switch between threads.
 *
 * The kernel enters each of the entries below with upcalls off, on the stack that the dispatcher page names
 * (include/exo/disp.h). The dispatcher page is at a fixed address, so it is reached without a register.
 *
 *   FAULT  area ON holds all registers: call C, load the fifteen registers, IRETQ from the area itself.
 *   RUN    an interrupted state in area ON: FXRSTOR and the same way out. Otherwise the environment slept or
 *          yielded by core_sleep or core_yield, whose registers lie on the stack that core_parked names.
 *   CALL   message registers are the handler's C arguments; afterwards as RUN.
 *   END    the slice ends, the state is in area ON as for FAULT: call C, save the FPU, yield. RUN resumes it.
 *   OFF    a fault in upcall code itself: C mends a hole in shared memory (share.h), or reports it and ends
 *          the environment.
 *
 * Whichever way a RUN goes, a demand or a loss (include/exo/disp.h) is looked at first, by revoke.c.
 *
 * From core_critical to core_critical_end an interruption is saved in area OFF and resumed by the kernel. The
 * sequence only pops from the area: the interrupted stack, red zone included, is never written.
 */
#include "libos/core/entry.h"

#define DISP	EXO_VA_DISP
#define ON	(DISP + EXO_DISP_ON)
#define FAULT	(DISP + EXO_DISP_FAULT)
#define PENDING	(DISP + 0x060)	/* checked in fault.c */

	ABI_NOTE

	.text

/* Load the registers of an area and go on there. */
	.macro	RESUME area, off
	movq	\area + 0x00, %rax
	movq	\area + 0x08, %rbx
	movq	\area + 0x10, %rcx
	movq	\area + 0x18, %rdx
	movq	\area + 0x20, %rsi
	movq	\area + 0x28, %rdi
	movq	\area + 0x30, %rbp
	movq	\area + 0x38, %r8
	movq	\area + 0x40, %r9
	movq	\area + 0x48, %r10
	movq	\area + 0x50, %r11
	movq	\area + 0x58, %r12
	movq	\area + 0x60, %r13
	movq	\area + 0x68, %r14
	movq	\area + 0x70, %r15
	movl	$\area + EXO_REGS_RIP, %esp
	movl	$\off, DISP + EXO_DISP_OFF
	iretq
	.endm

/* The program's first instruction: a RUN upcall that has no stack. rdi = reasons. */
	.globl	_start
	.type	_start, @function
_start:
	leaq	core_upcall_stack_end(%rip), %rsp
	xorl	%ebp, %ebp
	call	core_start
	jmp	core_run_entry
	.size	_start, . - _start

	.globl	core_run_entry
	.type	core_run_entry, @function
core_run_entry:
	testl	$EXO_EVENT_DEMAND | EXO_EVENT_LOST, PENDING
	jnz	2f
	testl	$EXO_SAVED_ON, DISP + EXO_DISP_SAVED
	jnz	1f
	movq	core_parked(%rip), %rsp
	xorl	%eax, %eax
	movl	$EXO_OFF_NO, DISP + EXO_DISP_OFF
	jmp	core_unpark
1:	fxrstor64 DISP + EXO_DISP_ON_FPU
	movl	$0, DISP + EXO_DISP_SAVED
	jmp	core_critical
2:	lock
	andl	$~(EXO_EVENT_DEMAND | EXO_EVENT_LOST), PENDING
	call	core_demand
	jmp	core_run_entry
	.size	core_run_entry, . - core_run_entry

/* In its place while core_on_run has set a hook. */
	.globl	core_run_entry_hooked
	.type	core_run_entry_hooked, @function
core_run_entry_hooked:
	call	core_run
	jmp	core_run_entry
	.size	core_run_entry_hooked, . - core_run_entry_hooked

	.globl	core_fault_entry
	.type	core_fault_entry, @function
core_fault_entry:
	call	core_fault
	.size	core_fault_entry, . - core_fault_entry

/*
 * Resume the state in area ON with upcalls on. FPU and bases are live already. The fault entry falls in here.
 */
	.globl	core_critical
	.type	core_critical, @function
core_critical:
	RESUME	ON, EXO_OFF_NO
	.globl	core_critical_end
core_critical_end:
	.size	core_critical, . - core_critical

	.globl	core_off_entry
	.type	core_off_entry, @function
core_off_entry:
	movl	$EXO_OFF_FAULT, DISP + EXO_DISP_OFF
	xorl	%ebp, %ebp
	call	core_fault_off
	RESUME	FAULT, EXO_OFF_YES
	.size	core_off_entry, . - core_off_entry

/* rdi = until when the CPU is lent. The yield comes back as a RUN upcall, which resumes area ON. */
	.globl	core_end_entry
	.type	core_end_entry, @function
core_end_entry:
	call	core_slice_end
	fxsave64 DISP + EXO_DISP_ON_FPU
	orl	$EXO_SAVED_ON, DISP + EXO_DISP_SAVED
	movq	%rax, %rdi
	xorl	%esi, %esi
	movl	$EXO_CALL_yield, %eax
	syscall
	xorl	%edi, %edi		/* not to that one: to whoever is next */
	xorl	%esi, %esi
	movl	$EXO_CALL_yield, %eax
	syscall
	jmp	core_run_entry
	.size	core_end_entry, . - core_end_entry

/*
 * rdi = badge, rsi = caller, rdx, r10, r8, r9 = words, rax = reply wanted. call_sp leaves room for the
 * alignment.
 */
	.globl	core_call_entry
	.type	core_call_entry, @function
core_call_entry:
	movq	%r10, %rcx
	pushq	%rax
	call	*core_call_handler(%rip)
	jmp	core_run_entry
	.size	core_call_entry, . - core_call_entry

/*
 * void core_sleep(until, events), int64_t core_sleep_on(until, events, code), void core_yield(env), void
 * core_lend(env, until), int64_t core_send(entry, w0, w1, w2, w3), int64_t core_move(cpu): calls that come back as a RUN upcall (then the result is 0), or at once with an error;
 * what is kept over them lies on the stack.
 */
	.globl	core_send
	.type	core_send, @function
core_send:
	movq	%rcx, %r10
	movl	$EXO_CALL_send, %eax
	jmp	1f
	.size	core_send, . - core_send

	.globl	core_move
	.type	core_move, @function
core_move:
	movq	%rdi, %rsi
	xorl	%edi, %edi
	movl	$EXO_CALL_env_move, %eax
	jmp	1f
	.size	core_move, . - core_move

	.globl	core_sleep
	.type	core_sleep, @function
core_sleep:
	xorl	%edx, %edx
	.globl	core_sleep_on
	.type	core_sleep_on, @function
core_sleep_on:
	movl	$EXO_CALL_sleep, %eax
	jmp	1f
	.size	core_sleep, . - core_sleep

	.globl	core_yield
	.type	core_yield, @function
core_yield:
	xorl	%esi, %esi
	.globl	core_lend
	.type	core_lend, @function
core_lend:
	movl	$EXO_CALL_yield, %eax
1:	PARK
	movq	%rsp, core_parked(%rip)
	syscall
	.globl	core_unpark
core_unpark:
	UNPARK
	.size	core_yield, . - core_yield

/*
 * void thread_swap(uint64_t *save_sp, uint64_t sp, uint64_t fs_base): leave one thread, go on with another.
 * The control words of FPU and SSE are kept for each thread; the other FPU registers are dead at a call.
 */
	.globl	thread_swap
	.type	thread_swap, @function
thread_swap:
	PARK
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	cmpb	$0, core_fsgsbase(%rip)
	je	1f
	wrfsbase %rdx
	UNPARK
1:	movq	%rdx, %rdi
	movl	$EXO_CALL_env_fsbase, %eax
	syscall
	jmp	core_unpark
	.size	thread_swap, . - thread_swap

/*
 * A new thread's first instruction, reached by core_unpark's ret: rbx = the function to run, r12 = its
 * argument.
 */
	.globl	thread_begin
	.type	thread_begin, @function
thread_begin:
	xorl	%ebp, %ebp
	movq	%r12, %rdi
	call	*%rbx
	ud2
	.size	thread_begin, . - thread_begin

/*
 * A deferred fault's first instruction as the thread: rbx = the C function, rdi = its argument; stack
 * aligned.
 */
	.globl	core_deferred
	.type	core_deferred, @function
core_deferred:
	xorl	%ebp, %ebp
	call	*%rbx
	ud2
	.size	core_deferred, . - core_deferred

	.section .note.GNU-stack, "", @progbits
