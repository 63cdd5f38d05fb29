/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second note of a program of the libOS posix, by which it is told from others: name "Exo", type 2, the version of
 * wire.h that it was built for, and where its wired pages lie, counted from the note's field itself (memory.h).
 */
	.section .note.exo, "a", @note
	.balign	4
	.long	4, 16, 2
	.asciz	"Exo"
	.globl	posix_note
posix_note:
	.long	1, 4		/* WIRE_MAJOR, WIRE_MINOR; test/e2e/versions.py compares */
	.long	__wired_start - .
	.long	__wired_end - .

	.section .note.GNU-stack, "", @progbits
