/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What assembly files of libOSes share: the numbers of calls as symbols EXO_CALL_*, the ABI note, and the shape in which
 * a thread that has left lies on its stack.
 *
 * PARK pushes that shape, from the stack pointer up: the control words of SSE and FPU (4 bytes each), r15, r14, r13, r12,
 * rbx, rbp; above it is where to return to. UNPARK goes on there, so whoever has the stack pointer has the thread. The
 * other registers are the caller's to save (System V ABI for AMD64, 3.2.1), the FPU's among them.
 *
 * For C there is nothing in it.
 */
#if !defined(LIBOS_CORE_ENTRY_H) && defined(__ASSEMBLER__)
#define LIBOS_CORE_ENTRY_H

#include <exo/call.h>
#include <exo/disp.h>
#include <exo/start.h>

#define CALL_NUMBER(nr, name, args, names, rights, meaning)	.set EXO_CALL_##name, nr;
	EXO_CALLS(CALL_NUMBER)

/* The interface version that the program was built for, and no kernel feature that it cannot do without. */
	.macro	ABI_NOTE
	.section .note.exo, "a", @note
	.balign	4
	.long	4, 16, 1
	.asciz	"Exo"
	.long	EXO_ABI_MAJOR, EXO_ABI_MINOR
	.quad	0
	.endm

	.macro	PARK
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	.endm

	.macro	UNPARK
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
	.endm

#endif
