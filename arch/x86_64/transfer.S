/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protected control transfer: from one environment straight into another, the message in registers all the
 * way.
 *
 * The generic part has checked and noted everything (exo/transfer.c); here the CPU's state changes hands:
 * bases, FPU (cleared), space, dispatcher page, then user mode. It is arch_env_unload, arch_env_load,
 * arch_space_load and arch_upcall or arch_caller_resume in one, without going through memory. As there,
 * SYSRET gets a masked address; what is wrong with a stack pointer is found by who uses it.
 */
#include <exo/disp.h>
#include "arch/x86_64/port.h"

#define USER_MASK	0x00007fffffffffff

	/* The current one to rbx; rbp is the other: all that is reached through the kernel's GS. Uses rax. */
.macro hand_over
	mov	%gs:CPU_ENV, %rbx
	mov	%rbp, %gs:CPU_ENV
	mov	%rbp, %gs:CPU_CURRENT
	mov	ENV_ID(%rbp), %rax
	mov	%rax, %gs:CPU_FPU_OWNER
	fninit
	fxrstor64 fpu_clean
	mov	ENV_ROOT(%rbp), %eax
	cmp	%eax, ENV_ROOT(%rbx)
	je	1f
	mov	%eax, %gs:CPU_SPACE
	shl	$12, %rax
	mov	%rax, %cr3
	mov	%gs:CPU_INFO, %rax
	incq	CPU_INFO_SWITCHES(%rax)
1:
.endm

	/*
	 * From rbx to rbp: the bases, and GS becomes the user's. Uses rax. `slow` is for CPUs without
	 * FSGSBASE.
	 */
.macro hand_bases slow
	testb	$CPU_FSGSBASE, cpu_features
	jz	\slow
	rdfsbase %rax
	mov	%rax, ENV_FS_BASE(%rbx)
	mov	ENV_FS_BASE(%rbp), %rax
	wrfsbase %rax
	swapgs
	rdgsbase %rax
	mov	%rax, ENV_GS_BASE(%rbx)
	mov	ENV_GS_BASE(%rbp), %rax
	wrgsbase %rax
.endm

	/* The same by registers that only the kernel may write. Uses rax, rcx, r11. */
.macro hand_bases_slowly
	mov	%rdx, %r11
	mov	$MSR_FS_BASE, %ecx
	mov	ENV_FS_BASE(%rbp), %eax
	mov	ENV_FS_BASE + 4(%rbp), %edx
	wrmsr
	mov	$MSR_KERNEL_GS_BASE, %ecx
	mov	ENV_GS_BASE(%rbp), %eax
	mov	ENV_GS_BASE + 4(%rbp), %edx
	wrmsr
	mov	%r11, %rdx
	swapgs
.endm

	.text
	/* void arch_transfer_call(badge, to, w0, w1, w2, w3) */
	.globl	arch_transfer_call
	.balign	16
arch_transfer_call:
	mov	%rsi, %rbp
	mov	%rcx, %r10
	hand_over
	mov	ENV_ID(%rbx), %rsi
	mov	ENV_DISP(%rbp), %r12
	movl	$EXO_OFF_YES, EXO_DISP_OFF(%r12)
	hand_bases slow_call
enter_call:
	movabs	$USER_MASK, %rax
	mov	EXO_DISP_CALL_ENTRY(%r12), %rcx
	mov	EXO_DISP_CALL_SP(%r12), %rsp
	and	%rax, %rcx
	mov	$1, %eax
enter_clear:
	mov	$RFLAGS_IF | RFLAGS_ONE, %r11d
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	sysretq
slow_call:
	hand_bases_slowly
	jmp	enter_call

	/* void arch_transfer_run(reasons, to) */
	.globl	arch_transfer_run
	.balign	16
arch_transfer_run:
	mov	%rsi, %rbp
	hand_over
	mov	ENV_DISP(%rbp), %r12
	movl	$EXO_OFF_YES, EXO_DISP_OFF(%r12)
	hand_bases slow_run
enter_run:
	movabs	$USER_MASK, %rax
	mov	EXO_DISP_RUN_ENTRY(%r12), %rcx
	mov	EXO_DISP_UPCALL_SP(%r12), %rsp
	and	%rax, %rcx
	xor	%eax, %eax
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	jmp	enter_clear
slow_run:
	hand_bases_slowly
	jmp	enter_run

	/* void arch_transfer_reply(status, w0, w1, w2, w3, to) */
	.globl	arch_transfer_reply
	.balign	16
arch_transfer_reply:
	mov	%r9, %rbp
	mov	%r8, %r9
	mov	%rcx, %r8
	mov	%rdx, %r10
	mov	%rsi, %rdx
	hand_over
	hand_bases slow_reply
enter_reply:
	mov	%rdi, %rax
	mov	ENV_CALLER + CALLER_RIP(%rbp), %rcx
	mov	ENV_CALLER + CALLER_RFLAGS(%rbp), %r11
	mov	ENV_CALLER + CALLER_RSP(%rbp), %rsp
	mov	ENV_CALLER + CALLER_RBX(%rbp), %rbx
	mov	ENV_CALLER + CALLER_R12(%rbp), %r12
	mov	ENV_CALLER + CALLER_R13(%rbp), %r13
	mov	ENV_CALLER + CALLER_R14(%rbp), %r14
	mov	ENV_CALLER + CALLER_R15(%rbp), %r15
	mov	ENV_CALLER + CALLER_RBP(%rbp), %rbp
	sysretq					/* rdi and rsi hold words of the reply */
slow_reply:
	hand_bases_slowly
	jmp	enter_reply

	.section .note.GNU-stack, "", @progbits
