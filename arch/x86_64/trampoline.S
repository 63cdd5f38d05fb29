/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the other CPUs come: from real mode in a page below 1 MiB to 64-bit mode at the kernel's own addresses.
 *
 * cpus.c copies what lies between trampoline and trampoline_end to the start of a page, and fills in the
 * words at the end. All CPUs may run here at once: nothing is written, and each finds its number, and so its
 * stack, by the id that its CPUID names. Paging and protection begin in one step (AMD64 Architecture
 * Programmer's Manual 2, 14.6).
 */
#include "arch/x86_64/port.h"

	.section .rodata
	.code16
	.globl	trampoline, trampoline_words, trampoline_end
trampoline:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	gdt_low - trampoline
	mov	trampoline_words - trampoline, %eax
	mov	%eax, %cr3
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$MSR_EFER, %ecx
	mov	trampoline_words - trampoline + 4, %eax
	xor	%edx, %edx
	wrmsr
	mov	$CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE, %eax
	mov	%eax, %cr0
	ljmpl	*(trampoline_words - trampoline + 8)

	.code64
	.globl	trampoline_64, trampoline_gdt
trampoline_64:
	mov	$entry_secondary, %rax
	jmp	*%rax

	.balign	8
trampoline_gdt:
	.quad	0
	.quad	0x00af9b000000ffff		/* SEL_KERNEL_CODE */
	/* struct trampoline_words in cpus.c */
trampoline_words:
	.long	0				/* CR3 */
	.long	0				/* EFER */
	.long	0				/* trampoline_64 */
	.word	SEL_KERNEL_CODE
gdt_low:
	.word	2 * 8 - 1
	.long	0				/* trampoline_gdt */
trampoline_end:

	.text
entry_secondary:
	lgdt	gdt_pointer
	mov	$SEL_KERNEL_DATA, %eax
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$1, %eax
	cpuid
	shr	$24, %ebx
	xor	%edi, %edi
1:	inc	%edi
	cmp	machine + MACHINE_CPUS, %edi
	jae	2f
	cmp	%ebx, machine + MACHINE_CPU_ID(, %rdi, 4)
	jne	1b
	imul	$STACK_SLOT_BYTES, %rdi, %rsp
	add	$KERNEL_BASE + EXO_PAGE_SIZE + STACK_BYTES, %rsp
	xor	%ebp, %ebp
	call	start_secondary
	ud2
	/* Nobody has asked for this one. */
2:	cli
	hlt
	jmp	2b

	.section .note.GNU-stack, "", @progbits
