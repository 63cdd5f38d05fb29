/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS event: the first instruction, sleep, and what a fault comes to.
 *
 * The program runs with upcalls off for ever, on one stack: when its slice ends the kernel itself saves and resumes it, and an
 * exception ends it. The only upcall that it ever gets is RUN behind a sleep, which goes on where event_sleep was called.
 * What runs before there is a stack, and a fault, use the part of the dispatcher page that the kernel never looks at.
 */
#include <exo/call.h>
#include <exo/disp.h>
#include <exo/start.h>

#define SCRATCH	(EXO_VA_DISP + 0x1000)

#define CALL_NUMBER(nr, name, args, names, rights, meaning)	.set EXO_CALL_##name, nr;
	EXO_CALLS(CALL_NUMBER)

/* The ABI note: the interface version that the program was built for. */
	.section .note.exo, "a", @note
	.balign	4
	.long	4, 16, 1
	.asciz	"Exo"
	.long	EXO_ABI_MAJOR, EXO_ABI_MINOR
	.quad	0

	.text

/* event_first takes memory and returns the stack's end. */
	.globl	_start
	.type	_start, @function
_start:
	movl	$SCRATCH, %esp
	xorl	%ebp, %ebp
	call	event_first
	movq	%rax, %rsp
	call	core_main
	ud2
	.size	_start, . - _start

/* void event_sleep(exo_time_t until, uint64_t events) */
	.globl	event_sleep
	.type	event_sleep, @function
event_sleep:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, parked(%rip)
	xorl	%edx, %edx
	movl	$EXO_CALL_sleep, %eax
	syscall
	.globl	event_run_entry
event_run_entry:
	movq	parked(%rip), %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	event_sleep, . - event_sleep

	.globl	event_off_entry
	.type	event_off_entry, @function
event_off_entry:
	xorl	%ebp, %ebp
	call	event_fault
	ud2
	.size	event_off_entry, . - event_off_entry

	.local	parked
	.comm	parked, 8, 8

	.section .note.GNU-stack, "", @progbits
