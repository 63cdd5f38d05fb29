/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs that run in the kernel, as their compiler left them. */
	.section .rodata
	.globl	echo_udp, echo_udp_end, echo_icmp, echo_icmp_end
	.balign	8
echo_udp:
	.incbin	"apps/echo/udp.bpf.o"
echo_udp_end:
	.balign	8
echo_icmp:
	.incbin	"apps/echo/icmp.bpf.o"
echo_icmp_end:

	.section .note.GNU-stack, "", @progbits
