/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI's registers: through the memory window that the MCFG table names, else through the two ports of old, if they
 * answer. And bus addresses for devices that the firmware left without: from the gap between memory and the interrupt
 * controllers, upwards.
 */
#include "arch/x86_64/port.h"

#define PORT_ADDRESS	0xcf8
#define PORT_DATA	0xcfc
#define ENABLE		0x80000000

static struct boot_range gap[BOOT_RANGES_MAX];
static unsigned gaps;

bool arch_pci_present(void)
{
	uint32_t old;

	if (machine.ecam)
		return true;
	old = inl(PORT_ADDRESS);
	outl(PORT_ADDRESS, ENABLE);
	if (inl(PORT_ADDRESS) != ENABLE)
		return false;
	outl(PORT_ADDRESS, old);
	return true;
}

/* A register's address in the window; NULL: there is no window, or the bus is not behind it. */
static volatile void *window(uint32_t bdf, unsigned offset)
{
	uint32_t bus = bdf >> 8;

	if (!machine.ecam || bus < machine.bus_first || bus > machine.bus_last || offset >= EXO_PAGE_SIZE)
		return NULL;
	return arch_map_device(machine.ecam + ((paddr_t)(bdf - ((uint32_t)machine.bus_first << 8)) << 12), EXO_PAGE_SIZE) +
	    offset;
}

static bool port_select(uint32_t bdf, unsigned offset)
{
	if (machine.ecam || bdf > 0xffff || offset > 0xff)
		return false;
	outl(PORT_ADDRESS, ENABLE | bdf << 8 | (offset & 0xfc));
	return true;
}

uint32_t arch_pci_read(uint32_t bdf, unsigned offset, unsigned width)
{
	volatile void *at = window(bdf, offset);

	if (at)
		return width == 1 ? *(volatile uint8_t *)at : width == 2 ? *(volatile uint16_t *)at : *(volatile uint32_t *)at;
	if (!port_select(bdf, offset))
		return ~0u;
	return width == 1 ? inb(PORT_DATA + (offset & 3)) : width == 2 ? inw(PORT_DATA + (offset & 2)) : inl(PORT_DATA);
}

void arch_pci_write(uint32_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	volatile void *at = window(bdf, offset);

	if (at) {
		if (width == 1)
			*(volatile uint8_t *)at = (uint8_t)value;
		else if (width == 2)
			*(volatile uint16_t *)at = (uint16_t)value;
		else
			*(volatile uint32_t *)at = value;
	} else if (port_select(bdf, offset)) {
		if (width == 1)
			outb(PORT_DATA + (offset & 3), (uint8_t)value);
		else if (width == 2)
			outw(PORT_DATA + (offset & 2), (uint16_t)value);
		else
			outl(PORT_DATA, value);
	}
}

/* Boot: `map` is what nobody claims of the gap. */
void pci_start(const struct boot_range *map, unsigned count)
{
	memcpy(gap, map, count * sizeof(*map));
	gaps = count;
}

paddr_t arch_pci_allocate(size_t bytes)
{
	paddr_t start;
	unsigned i;

	if (bytes == 0 || bytes > GAP_END || (bytes & (bytes - 1)))
		return 0;
	if (bytes < EXO_PAGE_SIZE)
		bytes = EXO_PAGE_SIZE;
	for (i = 0; i < gaps; i++) {
		start = (gap[i].start + bytes - 1) & ~(paddr_t)(bytes - 1);
		if (start >= gap[i].end || bytes > gap[i].end - start)
			continue;
		gap[i].start = start + bytes;
		return start;
	}
	return 0;
}
