/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways into the kernel from user mode, and back.
 *
 * SYSCALL: number in rax, arguments in rdi, rsi, rdx, r10, r8, r9. The kernel's stack holds only rip and flags; C keeps
 * rbx, rbp and r12-r15, all other registers are cleared on the way out, so no value of the kernel's is left in one.
 * SYSRET cannot fault: the page below the hole in the address space is never mapped (EXO_USER_MAX), so the address
 * behind a SYSCALL is canonical; other addresses are masked.
 *
 * Exceptions of user code with upcalls on go straight to its own handler: state into area ON of the dispatcher page
 * (exo/disp.h), which is read once per word and only through the kernel's mapping. The FPU stays live, and EXO_SAVED_ON
 * clear. All others leave a struct arch_frame on the stack for C.
 *
 * In QEMU's own CPU (7.2) a user's 32-bit IRET leads to virtual 8086 mode, which 64-bit mode does not have: with any CS,
 * and flags of his choice. So RPL 0 with VM set is user mode, too, and such a state is never resumed. (That he can
 * clear IF then is the emulator's fault and beyond mending here.)
 *
 * Interrupts come only from user mode and from arch_idle. The kernel itself runs with interrupts off; an exception in
 * it is a broken kernel. Nothing here touches user memory; C runs with AC clear, so SMAP holds.
 */
#include <exo/call.h>
#include <exo/disp.h>
#include "arch/x86_64/port.h"

#define CALL_SET(nr, name, args, names, rights, meaning)	.set CALL_##name, nr; .set CALL_COUNT, nr + 1;
	EXO_CALLS(CALL_SET)

#define ON(n)		(EXO_DISP_ON + 8 * n)		/* n-th word of area ON */
#define USER_MASK	0x00007fffffffffff
#define ERROR_NOCALL	-1

/* All registers, as struct arch_frame has them above vector and error; back, up to the words of IRETQ. */
.macro push_all
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rbp
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%rbx
	push	%rax
.endm

.macro pop_c
	pop	%rax
	pop	%rbx
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	pop	%rbp
	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
.endm

.macro pop_all
	pop_c
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	add	$16, %rsp
.endm

	/* What C may rely on: direction, alignment check, single step and interrupts off. */
.macro enter_c
	push	$RFLAGS_ONE
	popfq
	mov	%rsp, %rdi
.endm

	.text

/* --- calls ---------------------------------------------------------------------------------------------------- */

	.globl	entry_syscall
	.balign	16
entry_syscall:
	swapgs
	mov	%rsp, %gs:CPU_USER_RSP
	mov	%gs:CPU_STACK, %rsp
	push	%rcx
	push	%r11
	mov	%gs:CPU_ENV, %rcx
	incq	ENV_ENTRIES(%rcx)
	cmp	ENV_CALLS(%rcx), %rax
	jae	no_call
	cmp	$CALL_call, %eax
	je	keep_caller
	mov	%r10, %rcx
	call	*call_table(, %rax, 8)
leave:
	xor	%edi, %edi
	xor	%esi, %esi
	xor	%edx, %edx
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	pop	%r11
	pop	%rcx
	mov	%gs:CPU_USER_RSP, %rsp
	swapgs
	sysretq

	/* What is kept of a caller that may come back by arch_caller_resume. Uses r11. */
.macro keep_registers
	popq	ENV_CALLER + CALLER_RFLAGS(%rcx)
	popq	ENV_CALLER + CALLER_RIP(%rcx)
	mov	%gs:CPU_USER_RSP, %r11
	mov	%r11, ENV_CALLER + CALLER_RSP(%rcx)
	mov	%rbx, ENV_CALLER + CALLER_RBX(%rcx)
	mov	%rbp, ENV_CALLER + CALLER_RBP(%rcx)
	mov	%r12, ENV_CALLER + CALLER_R12(%rcx)
	mov	%r13, ENV_CALLER + CALLER_R13(%rcx)
	mov	%r14, ENV_CALLER + CALLER_R14(%rcx)
	mov	%r15, ENV_CALLER + CALLER_R15(%rcx)
	mov	%r10, %rcx
.endm

	/* A traced one's call, of any number that there is; else none. */
no_call:
	cmpq	$0, ENV_CALLS(%rcx)
	jne	1f
	cmp	$CALL_COUNT, %rax
	jae	1f
	keep_registers
	push	%rax
	push	%rax
	call	trace_call
	add	$16, %rsp
	jmp	leave_caller
1:	mov	$ERROR_NOCALL, %rax
	jmp	leave

	/* SYSCALL in another mode than the 64-bit one: goes on in that, with harmless flags. */
	.globl	entry_syscall_compat
entry_syscall_compat:
	and	$RFLAGS_USER, %r11d
	or	$RFLAGS_IF | RFLAGS_ONE, %r11d
	jmp	entry_syscall

	/* A transfer may come back after other environments have run: arch_caller_resume needs the registers. */
keep_caller:
	keep_registers
	call	*call_table + 8 * CALL_call
leave_caller:
	mov	%gs:CPU_ENV, %rcx
	pushq	ENV_CALLER + CALLER_RIP(%rcx)
	pushq	ENV_CALLER + CALLER_RFLAGS(%rcx)
	jmp	leave

/* --- back to user mode ------------------------------------------------------------------------------------------ */

	/* void arch_upcall(uint64_t entry, uint64_t sp, const struct arch_message *message) */
	.globl	arch_upcall
	.balign	16
arch_upcall:
	movabs	$USER_MASK, %rax
	mov	%rdi, %rcx
	and	%rax, %rcx
	and	%rax, %rsi
	mov	%rsi, %rsp
	mov	%rdx, %rbp
	mov	(%rbp), %rax
	mov	8(%rbp), %rdi
	mov	16(%rbp), %rsi
	mov	24(%rbp), %rdx
	mov	32(%rbp), %r10
	mov	40(%rbp), %r8
	mov	48(%rbp), %r9
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	mov	$RFLAGS_IF | RFLAGS_ONE, %r11d
	swapgs
	sysretq

	/* void arch_caller_resume(const struct arch_caller *caller, const struct arch_message *message) */
	.globl	arch_caller_resume
	.balign	16
arch_caller_resume:
	mov	CALLER_RIP(%rdi), %rcx
	mov	CALLER_RFLAGS(%rdi), %r11
	mov	CALLER_RSP(%rdi), %rsp
	mov	CALLER_RBX(%rdi), %rbx
	mov	CALLER_RBP(%rdi), %rbp
	mov	CALLER_R12(%rdi), %r12
	mov	CALLER_R13(%rdi), %r13
	mov	CALLER_R14(%rdi), %r14
	mov	CALLER_R15(%rdi), %r15
	mov	(%rsi), %rax
	mov	24(%rsi), %rdx
	mov	32(%rsi), %r10
	mov	40(%rsi), %r8
	mov	48(%rsi), %r9
	xor	%edi, %edi
	xor	%esi, %esi
	swapgs
	sysretq

	/* void arch_frame_resume(struct arch_frame *frame) */
	.globl	arch_frame_resume
	.balign	16
arch_frame_resume:
	mov	%rdi, %rsp
	pop_all
	swapgs
	iretq

	/* void arch_idle(void) */
	.globl	arch_idle
arch_idle:
	mov	%gs:CPU_STACK, %rsp
	xor	%ebp, %ebp
idle:	sti
	hlt
	jmp	idle

/* --- exceptions ------------------------------------------------------------------------------------------------- */

/*
 * An exception's way: `vector` is a number, or `any` when the stub has pushed it. Stack: (vector,) error, IRETQ's words.
 * The page fault, which matters most, has a copy of its own.
 */
.macro deliver vector, at_cs, slow, in_kernel
	testb	$3, \at_cs(%rsp)
	jz	\in_kernel
	swapgs
	push	%rax
	push	%rcx
	mov	%gs:CPU_ENV, %rax
	incq	ENV_EXCEPTIONS(%rax)
	mov	ENV_DIRECT(%rax), %rax
	cmpl	$EXO_OFF_NO, EXO_DISP_OFF(%rax)
	jne	\slow
	mov	\at_cs + 8(%rsp), %rcx		/* rip, two words up by now */
	cmp	EXO_DISP_CRITICAL(%rax), %rcx
	jb	1f
	cmp	EXO_DISP_CRITICAL_END(%rax), %rcx
	jb	\slow
1:	mov	%rbx, ON(1)(%rax)
	mov	%rdx, ON(3)(%rax)
	mov	%rsi, ON(4)(%rax)
	mov	%rdi, ON(5)(%rax)
	mov	%rbp, ON(6)(%rax)
	mov	%r8, ON(7)(%rax)
	mov	%r9, ON(8)(%rax)
	mov	%r10, ON(9)(%rax)
	mov	%r11, ON(10)(%rax)
	mov	%r12, ON(11)(%rax)
	mov	%r13, ON(12)(%rax)
	mov	%r14, ON(13)(%rax)
	mov	%r15, ON(14)(%rax)
	popq	ON(2)(%rax)			/* rcx */
	popq	ON(0)(%rax)			/* rax */
	.ifc	\vector, any
	movl	(%rsp), %edi
	popq	ON(15)(%rax)			/* vector */
	xor	%ecx, %ecx			/* no address */
	.else
	mov	$\vector, %edi
	movq	$\vector, ON(15)(%rax)
	mov	%cr2, %rcx
	.endif
	popq	ON(16)(%rax)			/* error */
	mov	%rcx, ON(17)(%rax)		/* address */
	popq	ON(18)(%rax)			/* rip, cs, rflags, rsp, ss */
	popq	ON(19)(%rax)
	popq	ON(20)(%rax)
	popq	ON(21)(%rax)
	popq	ON(22)(%rax)
	movl	$EXO_OFF_YES, EXO_DISP_OFF(%rax)
	push	$SEL_USER_DATA
	movabs	$USER_MASK, %rcx
	push	%rcx
	and	EXO_DISP_FAULT_ENTRY(%rax), %rcx
	push	$RFLAGS_IF | RFLAGS_ONE
	push	$SEL_USER_CODE
	push	%rcx
	mov	EXO_DISP_UPCALL_SP(%rax), %rcx
	and	%rcx, 24(%rsp)
	mov	ON(2)(%rax), %rcx
	mov	ON(0)(%rax), %rax
	swapgs
	iretq
.endm

	/* One stub of ENTRY_STUB_BYTES for each vector below VECTOR_END. */
	.globl	entry_stubs
	.balign	16
entry_stubs:
	.set	vector, 0
	.rept	VECTOR_END
	.balign	16
	.if	vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30
	push	$0
	.endif
	push	$vector
	.if	vector == 2
	jmp	nmi
	.elseif	vector == 8 || vector == 18
	jmp	exception_in_kernel
	.elseif	vector < VECTOR_TIMER
	jmp	exception
	.else
	jmp	interrupted
	.endif
	.set	vector, vector + 1
	.endr

	.balign	16
exception:
	deliver	any, 24, exception_slow, exception_rpl_0

	.globl	entry_page_fault
	.balign	16
entry_page_fault:
	deliver	VECTOR_PAGE_FAULT, 16, page_fault_slow, page_fault_in_kernel

page_fault_in_kernel:
	push	$VECTOR_PAGE_FAULT
exception_rpl_0:
	testl	$RFLAGS_VM, 32(%rsp)
	jz	exception_in_kernel
	swapgs
	jmp	1f

	/* As if a stub had come here: the vector goes below the error code. */
page_fault_slow:
	pop	%rcx
	pop	%rax
	push	$VECTOR_PAGE_FAULT
	jmp	1f
exception_slow:
	pop	%rcx
	pop	%rax
1:	push_all
exception_pushed:
	enter_c
	xor	%ebp, %ebp
	mov	FRAME_VECTOR(%rdi), %rsi
	mov	FRAME_ERROR(%rdi), %rdx
	xor	%ecx, %ecx
	cmp	$VECTOR_PAGE_FAULT, %esi
	jne	1f
	mov	%cr2, %rcx
1:	call	cpu_exception
	ud2

	/* Also double faults and machine checks, wherever they come from: on a stack of their own, without GS. */
exception_in_kernel:
	push_all
	enter_c
	mov	%cr2, %rsi
	call	trap_kernel
	ud2

	/*
	 * Comes at any time, even between SYSCALL and SWAPGS: a stack of its own, and no use of GS. IRETQ would take the CS
	 * of virtual 8086 mode for one of its own, of ring 0 if it likes: who is there has a general protection fault.
	 */
nmi:
	push_all
	enter_c
	call	trap_nmi
	testl	$RFLAGS_VM, FRAME_RFLAGS(%rsp)
	jnz	1f
	pop_all
	iretq
1:	movq	$VECTOR_PROTECTION, FRAME_VECTOR(%rsp)
	swapgs
	jmp	exception_pushed

/* --- interrupts ------------------------------------------------------------------------------------------------- */

	.balign	16
interrupted:
	testb	$3, 24(%rsp)
	jnz	1f
	testl	$RFLAGS_VM, 32(%rsp)
	jz	idle_interrupted
1:	swapgs
	push_all
	enter_c
	mov	%rdi, %rsi
	mov	FRAME_VECTOR(%rdi), %edi
	xor	%ebp, %ebp
	call	interrupt
	test	%al, %al
	jnz	1f
	mov	%rsp, %rdi
	call	cpu_interrupted
	ud2
1:	pop_c
	add	$6 * 8, %rsp			/* C has kept r12 to r15 */
	swapgs
	iretq

	/* Nothing of arch_idle's is kept. It runs with the flags that C relies on. */
idle_interrupted:
	mov	(%rsp), %edi
	xor	%esi, %esi
	mov	%gs:CPU_STACK, %rsp
	call	interrupt
	call	cpu_idled
	jmp	idle

	/* Nothing was wanted. For virtual 8086 mode see `nmi`. */
	.globl	entry_spurious
	.balign	16
entry_spurious:
	testl	$RFLAGS_VM, 16(%rsp)
	jnz	1f
	iretq
1:	push	$0
	push	$VECTOR_PROTECTION
	swapgs
	push_all
	jmp	exception_pushed

	.section .note.GNU-stack, "", @progbits
