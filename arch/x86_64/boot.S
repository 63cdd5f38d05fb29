/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the loader to C: headers for multiboot2 (GRUB, BIOS and UEFI) and PVH (QEMU's direct boot), and the way from
 * 32-bit protected mode without paging to 64-bit mode at the kernel's own addresses.
 *
 * Both protocols enter with flat 32-bit segments, interrupts off and the loader's record in EBX. The tables made here
 * map only the first 2 MiB: at 0 (until start is reached), in the map of all memory, and at the kernel's addresses;
 * memory.c makes the final ones out of them. No display and no boot service is asked for.
 */
#include "arch/x86_64/port.h"

#define PHYS(symbol)	((symbol) - KERNEL_BASE)

#define MB2_MAGIC	0xe85250d6
#define MB2_LOADED	0x36d76289
#define TABLE		0x003		/* present, writable */
#define LARGE		0x083		/* and a 2 MiB page */

	.section .multiboot, "a"
	.balign	8
header:
	.long	MB2_MAGIC, 0, header_end - header, -(MB2_MAGIC + (header_end - header))
	.word	3, 0				/* entry address */
	.long	12, PHYS(entry_multiboot2), 0
	.word	6, 0				/* modules page-aligned */
	.long	8
	.word	0, 0
	.long	8
header_end:

	.section .note.pvh, "a", @note
	.balign	4
	.long	4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.balign	4
	.quad	PHYS(entry_pvh)

	.section .init, "ax"
	.code32
	.globl	entry_multiboot2, entry_pvh
entry_multiboot2:
	mov	$LOADER_MULTIBOOT2, %esi
	cmp	$MB2_LOADED, %eax
	je	begin
	mov	$LOADER_NONE, %esi
	jmp	begin
entry_pvh:
	mov	$LOADER_PVH, %esi
begin:
	cli
	cld
	mov	%ebx, %ebp
	mov	$PHYS(stack_top), %esp

	/* 64-bit mode is what this is all about; no-execute is used if there. */
	mov	$0x80000000, %eax
	cpuid
	cmp	$0x80000001, %eax
	jb	no_long_mode
	mov	$0x80000001, %eax
	cpuid
	bt	$29, %edx
	jnc	no_long_mode
	xor	%edi, %edi
	bt	$20, %edx
	jnc	1f
	mov	$EFER_NXE, %edi
	movl	$0x80000000, PHYS(boot_nx) + 4

1:	movl	$PHYS(boot_pdpt) + TABLE, PHYS(boot_pml4)
	movl	$PHYS(boot_pdpt) + TABLE, PHYS(boot_pml4) + 256 * 8
	movl	$PHYS(boot_pdpt_high) + TABLE, PHYS(boot_pml4) + 511 * 8
	movl	$PHYS(boot_pd) + TABLE, PHYS(boot_pdpt)
	movl	$PHYS(boot_pd_high) + TABLE, PHYS(boot_pdpt_high) + 510 * 8
	movl	$LARGE, PHYS(boot_pd)
	movl	$LARGE, PHYS(boot_pd_high)

	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$PHYS(boot_pml4), %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME | EFER_SCE, %eax
	or	%edi, %eax
	wrmsr
	mov	$CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE, %eax
	mov	%eax, %cr0
	lgdt	PHYS(gdt_early)
	ljmp	$SEL_KERNEL_CODE, $PHYS(long_mode)

	.text
	.code64
long_mode:
	movabs	$1f, %rax
	jmp	*%rax
1:	lgdt	gdt_pointer
	mov	$SEL_KERNEL_DATA, %eax
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$stack_top, %rsp
	mov	%esi, %edi
	mov	%ebp, %esi
	xor	%ebp, %ebp
	call	start
	ud2

	.section .init, "ax"
	.code32
no_long_mode:
	mov	$PHYS(no_long_mode_text), %esi
	mov	$0x3f8, %dx
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, %dx
	jmp	1b
2:	cli
	hlt
	jmp	2b

	.section .rodata
no_long_mode_text:
	.asciz	"exo: this CPU has no 64-bit mode\n"
	.globl	gdt_pointer
gdt_pointer:
	.word	GDT_BYTES - 1
	.quad	gdt
	.balign	4
gdt_early:
	.word	GDT_BYTES - 1
	.long	PHYS(gdt)

	.data
	.balign	8
	.globl	gdt, boot_nx
gdt:
	.quad	0
	.quad	0x00af9b000000ffff		/* SEL_KERNEL_CODE */
	.quad	0x00cf93000000ffff		/* SEL_KERNEL_DATA */
	.quad	0x00cff3000000ffff		/* SEL_USER_DATA */
	.quad	0x00affb000000ffff		/* SEL_USER_CODE */
	.skip	GDT_BYTES - SEL_TSS		/* SEL_TSS */
boot_nx:
	.quad	0

	/*
	 * The map of all memory, by pages where it has the image in it, so that code and constants have no
	 * writable twin; memory.c takes their right away. The entry above it has the no-execute bit.
	 */
	.section .tables, "aw"
	.balign	4096
	.globl	boot_pt
boot_pt:
	.set	page, 0
	.rept	512
	.quad	page + TABLE
	.set	page, page + 4096
	.endr

	/* Read-only memory lies below, so an overflow is a fault. */
	.section .stack, "aw"
	.balign	4096
	.globl	stack_start, stack_top, ist_top
stack_start:
	.skip	STACK_BYTES
stack_top:
	.skip	IST_BYTES * 2			/* for NMI, then for double faults and machine checks */
ist_top:

	.section .bss.tables, "aw", @nobits
	.balign	4096
	.globl	boot_pml4, boot_pd, boot_pd_high, boot_pt_high
boot_pml4:
	.skip	4096
boot_pdpt:
	.skip	4096
boot_pd:
	.skip	4096
boot_pdpt_high:
	.skip	4096
boot_pd_high:
	.skip	4096
boot_pt_high:
	.skip	4096

	.section .note.GNU-stack, "", @progbits
