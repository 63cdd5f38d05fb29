/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS event: the first instruction, sleep, and what a fault comes to.
 *
 * The program runs with upcalls off for ever, on one stack: when its slice ends the kernel itself saves and resumes it, and an
 * exception ends it. The only upcall that it ever gets is RUN behind a sleep, which goes on where event_sleep was called.
 * What runs before there is a stack, and a fault, use the part of the dispatcher page that the kernel never looks at.
 */
#include "libos/core/entry.h"

#define SCRATCH	(EXO_VA_DISP + 0x1000)

	ABI_NOTE

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
	PARK
	movq	%rsp, parked(%rip)
	xorl	%edx, %edx
	movl	$EXO_CALL_sleep, %eax
	syscall
	.globl	event_run_entry
event_run_entry:
	movq	parked(%rip), %rsp
	UNPARK
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
