/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console is the first serial port (16550), polled: what is written is out when the call returns. And how the
 * machine stops: an emulator's debug console hears `halt N` or `panic`, nothing else ever, so no program can forge it;
 * its exit device then ends the emulator; elsewhere the CPU halts for good.
 */
#include "arch/x86_64/port.h"

#define COM1		0x3f8
#define COM_DATA	(COM1 + 0)
#define COM_IRQ		(COM1 + 1)
#define COM_FIFO	(COM1 + 2)
#define COM_LINE	(COM1 + 3)
#define COM_MODEM	(COM1 + 4)
#define COM_STATUS	(COM1 + 5)
#define COM_SCRATCH	(COM1 + 7)
#define STATUS_EMPTY	0x20
#define FIFO_BYTES	16
#define POLLS_MAX	100000		/* a dead port is given up */

#define DEBUG_CONSOLE	0xe9
#define DEBUG_EXIT	0xf4
#define EXIT_HALT	0x10
#define EXIT_STOP	0x11

static bool present;

void console_start(void)
{
	outb(COM_SCRATCH, 0x5a);
	if (inb(COM_SCRATCH) != 0x5a)
		return;
	outb(COM_IRQ, 0);
	outb(COM_LINE, 0x80);		/* 115200 baud */
	outb(COM_DATA, 1);
	outb(COM_IRQ, 0);
	outb(COM_LINE, 0x03);		/* 8 bits, no parity, 1 stop bit */
	outb(COM_FIFO, 0x07);		/* on, cleared */
	outb(COM_MODEM, 0x03);
	present = true;
}

void arch_console_write(const char *bytes, size_t count)
{
	unsigned polls = 0;
	size_t i;

	if (!present)
		return;
	for (i = 0; i < count; i++) {
		if (i % FIFO_BYTES == 0)
			while (!(inb(COM_STATUS) & STATUS_EMPTY)) {
				if (++polls == POLLS_MAX) {
					present = false;
					return;
				}
				__builtin_ia32_pause();
			}
		outb(COM_DATA, (uint8_t)bytes[i]);
	}
}

static void verdict(const char *text)
{
	for (; *text; text++)
		outb(DEBUG_CONSOLE, (uint8_t)*text);
}

static _Noreturn void stop(uint8_t code)
{
	apic_stop_others();
	outb(DEBUG_EXIT, code);
	for (;;)
		__asm__ volatile("cli; hlt");
}

_Noreturn void arch_halt(uint64_t status)
{
	char digits[24], *at = digits + sizeof(digits) - 1;

	*at = '\0';
	*--at = '\n';
	do {
		*--at = (char)('0' + status % 10);
		status /= 10;
	} while (status);
	verdict("halt ");
	verdict(at);
	stop(EXIT_HALT);
}

_Noreturn void arch_stop(void)
{
	verdict("panic\n");
	stop(EXIT_STOP);
}
