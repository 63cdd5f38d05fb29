/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a transfer is served on a thread's stack. See serve.c.
 *
 * A worker is a thread that waits for nothing, so all of it lies on its stack, from its saved stack pointer up. A request
 * is run below that. If it ends at once, the worker is as it was. If it has to wait, what it was doing is saved in the
 * same shape (core_unpark in libos/core/upcall.S takes it up), and when it ends at last, the first state is taken up.
 */
#include "libos/core/entry.h"

#define DISP	EXO_VA_DISP

	.text
/* void keep_enter(uint64_t sp, worker): with upcalls on, below a saved state, run keep_work(worker). No return. */
	.globl	keep_enter
	.type	keep_enter, @function
keep_enter:
	leaq	-16(%rdi), %rsp
	andq	$-16, %rsp
	movq	%rsi, %rdi
	xorl	%ebp, %ebp
	movl	$EXO_OFF_NO, DISP + EXO_DISP_OFF
	call	keep_work
	ud2
	.size	keep_enter, . - keep_enter

/*
 * void keep_away(uint64_t *save_sp): save the thread's state, then run keep_left() below it, with upcalls off. It comes back
 * when the thread is picked.
 */
	.globl	keep_away
	.type	keep_away, @function
keep_away:
	PARK
	movl	$EXO_OFF_YES, DISP + EXO_DISP_OFF
	movq	%rsp, (%rdi)
	subq	$8, %rsp
	andq	$-16, %rsp
	call	keep_left
	jmp	core_run_entry
	.size	keep_away, . - keep_away

/* void keep_home(uint64_t sp): take up a saved state, as the same thread. */
	.globl	keep_home
	.type	keep_home, @function
keep_home:
	movq	%rdi, %rsp
	jmp	core_unpark
	.size	keep_home, . - keep_home

	.section .note.GNU-stack, "", @progbits
