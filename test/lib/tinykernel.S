/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel of one page for tests of the runner: it looks for the first "args = " in the boot module (the
 * first program's arguments in etc/exo.conf), prints that line on COM1 and does what its first word says.
 *
 *	halt N		orderly end with status N
 *	bare		orderly end without the line that names the status
 *	panic		what a kernel stop looks like from outside
 *	reset		a triple fault
 *	wait		sleep for ever
 *	flood		write to the console for ever
 *	echo		write back what is typed; a `q` ends with status 0
 *
 * Entered by PVH: 32-bit protected mode, no paging, start_info in ebx. esi reads text, edi is its end.
 */
	.section .note.pvh, "a", @note
	.align 4
	.long 4, 8, 18
	.asciz "Xen"
	.align 4
	.quad start

	.text
	.code32
	.globl start
start:
	cld
	mov $stack_top, %esp
	mov $greeting, %esi
	call puts
	mov 16(%ebx), %eax		/* module list */
	cmpl $0, 12(%ebx)
	je no_module
	mov (%eax), %esi		/* first module: address, size */
	mov 8(%eax), %edi
	add %esi, %edi
find:
	cmp %edi, %esi
	jae no_module
	cmpl $0x73677261, (%esi)	/* "args" */
	jne 1f
	cmpw $0x3d20, 4(%esi)		/* " =" */
	je 2f
1:	inc %esi
	jmp find
2:	add $7, %esi
	mov %esi, %ebp
	call puts
	mov (%ebp), %eax
	cmp $0x746c6168, %eax		/* "halt" */
	je halt
	cmp $0x65726162, %eax		/* "bare" */
	je leave
	cmp $0x696e6170, %eax		/* "pani" */
	je panic
	cmp $0x65736572, %eax		/* "rese" */
	je reset
	cmp $0x74696177, %eax		/* "wait" */
	je wait
	cmp $0x6f6f6c66, %eax		/* "floo" */
	je flood
	cmp $0x6f686365, %eax		/* "echo" */
	je echo
no_module:
	mov $nothing, %esi
	call puts
	mov $halt_0, %ebp

halt:	mov %ebp, %esi			/* the line is in the kernel's form already */
	call end_puts
leave:	mov $0x10, %al
	out %al, $0xf4
	jmp wait
panic:	mov $panic_word, %esi
	call end_puts
	mov $0x11, %al
	out %al, $0xf4
wait:	cli
	hlt
	jmp wait
reset:	lidt no_idt
	int3
flood:	mov $flood_line, %esi
	call puts
	jmp flood
echo:	mov $input_word, %esi
	call end_puts
listen:	mov $0x3fd, %dx
	in %dx, %al
	test $1, %al
	jnz 1f
	pause
	jmp listen
1:	mov $0x3f8, %dx
	in %dx, %al
	out %al, %dx
	cmp $'q', %al
	jne listen
	mov $halt_0, %ebp
	jmp halt

/* Write the line at esi, up to its line break, to COM1, waiting until each byte is taken. */
puts:	mov $0x3fd, %dx
	in %dx, %al
	test $0x20, %al
	jz puts
	mov $0x3f8, %dx
	lodsb
	out %al, %dx
	cmp $'\n', %al
	jne puts
	ret

/* The same to the end port. */
end_puts:
	lodsb
	out %al, $0xe9
	cmp $'\n', %al
	jne end_puts
	ret

	.section .rodata
greeting: .ascii "tiny kernel\n"
nothing: .ascii "no arguments\n"
halt_0:	.ascii "halt 0\n"
panic_word: .ascii "panic\n"
input_word: .ascii "input\n"
flood_line: .ascii "a line of many that the guest writes to its console without an end\n"
no_idt:	.word 0
	.long 0

	.bss
	.align 16
	.skip 1024
stack_top:
