/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a PC's old devices an application may drive: those that do what they are told by their ports alone.
 *
 * A list of what is known to be harmless, not of what is not: ports can stop the machine, let a device write anywhere
 * (8237 DMA controllers, firmware configuration, PCI), or mislead the kernel, and no table tells which do. So the
 * floppy, disks and all of PCI are missing, and the keyboard controller, which can reset the machine.
 */
#include "arch/x86_64/port.h"

#define VIDEO_FIRST	0xa0		/* frames of the VGA's window */
#define VIDEO_FRAMES	0x20
#define CMOS_PORT	0x70

static const struct {
	uint16_t first, count;
} harmless[] = {
	{ CMOS_PORT, 2 },		/* clock with calendar */
	{ 0x1ce, 2 }, { 0x1d0, 1 },	/* VBE of emulated screens */
	{ 0x200, 8 },			/* joysticks */
	{ 0x278, 3 }, { 0x378, 3 },	/* printers */
	{ 0x2e8, 8 }, { 0x2f8, 8 }, { 0x3e8, 8 },	/* serial ports but the first */
	{ 0x330, 2 },			/* MIDI */
	{ 0x388, 4 },			/* FM sound */
	{ 0x3b0, 0x30 },		/* screens */
};

bool arch_port_free(uint16_t port, unsigned bytes)
{
	unsigned i;

	for (i = 0; i < COUNT_OF(harmless); i++)
		if (port >= harmless[i].first && port - harmless[i].first + bytes <= harmless[i].count)
			return true;
	return false;
}

uint32_t arch_port_in(uint16_t port, unsigned bytes)
{
	if (port - CMOS_PORT < 2)
		clock_leave_calendar();
	return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

void arch_port_out(uint16_t port, unsigned bytes, uint32_t value)
{
	if (port - CMOS_PORT < 2)
		clock_leave_calendar();
	if (bytes == 1)
		outb(port, (uint8_t)value);
	else if (bytes == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, value);
}

bool arch_video_memory(exo_pfn_t *first, uint32_t *count)
{
	*first = VIDEO_FIRST;
	*count = VIDEO_FRAMES;
	(void)arch_map_device((paddr_t)VIDEO_FIRST << EXO_PAGE_SHIFT, VIDEO_FRAMES * EXO_PAGE_SIZE);
	return true;
}
