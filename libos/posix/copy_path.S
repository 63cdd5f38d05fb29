/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A path on its way into the buffer of requests. It is the program's: what cannot be read is told, not a crash. An exception
 * between posix_copy_path and posix_copy_path_end goes on in posix_copy_path_failed (signal_upcall.c), which is why nothing
 * here is on the stack and no register of the caller's is touched.
 */
#define LIMIT	4096	/* PATH_MAX */
#define PAGE	4096
#define SHORT	64

	.text
/*
 * int64_t posix_copy_path(const char *path, char *to): its bytes, with the NUL; 0: it is longer than LIMIT; -1: it cannot be
 * read. Short ones eight bytes at a time: also what lies behind the path's end, if it is of the same page.
 */
	.globl	posix_copy_path
	.type	posix_copy_path, @function
posix_copy_path:
	movl	%edi, %eax
	andl	$(PAGE - 1), %eax
	xorl	%ecx, %ecx
	cmpl	$(PAGE - SHORT), %eax
	ja	2f
	movabsq	$0xfefefefefefefeff, %r9
	movabsq	$0x8080808080808080, %r8
1:	movq	(%rdi, %rcx), %rdx
	leaq	(%rdx, %r9), %rax
	movq	%rdx, (%rsi, %rcx)
	notq	%rdx
	andq	%rdx, %rax
	andq	%r8, %rax
	jnz	4f
	addl	$8, %ecx
	cmpl	$SHORT, %ecx
	jne	1b
	xorl	%ecx, %ecx
2:	movzbl	(%rdi, %rcx), %eax
	movb	%al, (%rsi, %rcx)
	addl	$1, %ecx
	testl	%eax, %eax
	jz	3f
	cmpl	$LIMIT, %ecx
	jne	2b
	xorl	%eax, %eax
	ret
3:	movl	%ecx, %eax
	ret
4:	bsfq	%rax, %rax
	shrl	$3, %eax
	leaq	1(%rcx, %rax), %rax
	ret
	.globl	posix_copy_path_end
posix_copy_path_end:
	.size	posix_copy_path, . - posix_copy_path

	.globl	posix_copy_path_failed
	.type	posix_copy_path_failed, @function
posix_copy_path_failed:
	movq	$-1, %rax
	ret
	.size	posix_copy_path_failed, . - posix_copy_path_failed

	.section .note.GNU-stack, "", @progbits
