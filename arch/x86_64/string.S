/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions that compilers call by themselves: memory eight bytes at a time, the rest byte by byte; count of bits. */

	.text
	/* void *memcpy(void *to, const void *from, size_t bytes) */
	.globl	memcpy
	.balign	16
memcpy:
	mov	%rdi, %rax
	mov	%rdx, %rcx
	shr	$3, %rcx
	rep movsq
	and	$7, %edx
	jz	1f
	mov	%edx, %ecx
	rep movsb
1:	ret

	/* void *memmove(void *to, const void *from, size_t bytes) */
	.globl	memmove
memmove:
	mov	%rdi, %rax
	sub	%rsi, %rax
	cmp	%rdx, %rax
	jae	memcpy			/* the target does not begin inside the source */
	mov	%rdi, %rax
	lea	-1(%rdi, %rdx), %rdi
	lea	-1(%rsi, %rdx), %rsi
	mov	%rdx, %rcx
	std
	rep movsb
	cld
	ret

	/* void *memset(void *to, int byte, size_t bytes) */
	.globl	memset
	.balign	16
memset:
	mov	%rdi, %r8
	movzbl	%sil, %esi
	movabs	$0x0101010101010101, %rax
	imul	%rsi, %rax
	mov	%rdx, %rcx
	shr	$3, %rcx
	rep stosq
	and	$7, %edx
	jz	1f
	mov	%edx, %ecx
	rep stosb
1:	mov	%r8, %rax
	ret

	/* int memcmp(const void *a, const void *b, size_t bytes) */
	.globl	memcmp
memcmp:
	xor	%eax, %eax
	mov	%rdx, %rcx
	cmp	%rcx, %rcx		/* equal, if there are no bytes */
	repe cmpsb
	je	1f
	sbb	%eax, %eax
	or	$1, %eax
1:	ret

	/* int __popcountdi2(uint64_t word): sums of 2, 4 and 8 bits side by side, then of all bytes */
	.globl	__popcountdi2
__popcountdi2:
	movabs	$0x5555555555555555, %rdx
	mov	%rdi, %rax
	shr	$1, %rax
	and	%rdx, %rax
	sub	%rax, %rdi
	movabs	$0x3333333333333333, %rdx
	mov	%rdi, %rax
	shr	$2, %rax
	and	%rdx, %rax
	and	%rdx, %rdi
	add	%rdi, %rax
	mov	%rax, %rdi
	shr	$4, %rdi
	add	%rdi, %rax
	movabs	$0x0f0f0f0f0f0f0f0f, %rdx
	and	%rdx, %rax
	movabs	$0x0101010101010101, %rdx
	imul	%rdx, %rax
	shr	$56, %rax
	ret

	.section .note.GNU-stack, "", @progbits
