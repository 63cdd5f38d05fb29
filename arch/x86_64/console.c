/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console is the first serial port (16550). Output is polled: what is written is out when the call returns. Input
 * comes by its interrupt, while somebody listens; else it waits in the port's own queue of 16 bytes. And how the
 * machine stops: an emulator's debug console hears `input` at the start and `halt N` or `panic` at the end, nothing else
 * ever, so no program can forge it;
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
#define COM_LINE_IRQ	4		/* global interrupt line */
#define STATUS_DATA	0x01
#define STATUS_OVERRUN	0x02
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
	outb(COM_FIFO, 0x87);		/* on, cleared; 8 bytes, or a pause behind some, interrupt */
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

bool arch_console_input(void (*handler)(void *arg))
{
	if (!present || !arch_irq_pin(COM_LINE_IRQ, false, false, handler, NULL))
		return false;
	verdict("input\n");	/* whoever has something to send may begin */
	return true;
}

void arch_console_listen(bool on)
{
	outb(COM_IRQ, on);
}

size_t arch_console_read(char *bytes, size_t count, bool *lost)
{
	uint8_t status;
	size_t i;

	*lost = false;
	for (i = 0; i < count && present; i++) {
		status = inb(COM_STATUS);
		*lost |= status & STATUS_OVERRUN;
		if (status == 0xff || !(status & STATUS_DATA))
			break;
		bytes[i] = (char)inb(COM_DATA);
	}
	return i;
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
