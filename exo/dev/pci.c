/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI as far as drivers need it: finding functions, placing their windows, message interrupts.
 *
 * Firmware may have placed the windows or not (a bare boot ROM does not): those without an address get one. Bridges are
 * followed where firmware has numbered the bus behind them. Configuration space is the machine's (arch_pci_*); what it
 * says is checked before it is used: window sizes, capability chains that loop, tables outside their window.
 * Source: PCI Local Bus Specification 3.0, chapters 6 and 6.8.2 (MSI-X).
 */
#include "exo/dev/dev.h"

#define PCI_ID			0x00
#define PCI_COMMAND		0x04
#define COMMAND_MEMORY		0x0002
#define COMMAND_MASTER		0x0004
#define COMMAND_NO_PIN		0x0400
#define PCI_STATUS		0x06
#define STATUS_CAPABILITIES	0x0010
#define PCI_CLASS		0x0a
#define CLASS_BRIDGE		0x0604
#define PCI_HEADER		0x0e
#define HEADER_MULTI		0x80
#define PCI_BAR			0x10
#define BAR_PORT		0x1
#define BAR_64			0x4
#define PCI_BUS_BEHIND		0x19
#define PCI_CAPABILITIES	0x34
#define CAPABILITIES_MAX	48	/* as many as fit; more is a loop */

#define CAP_MSIX		0x11
#define MSIX_CONTROL		2
#define MSIX_LAST		0x07ff	/* the highest number */
#define MSIX_ENABLE		0x8000
#define MSIX_MASK_ALL		0x4000
#define MSIX_TABLE		4
#define MSIX_ENTRY_BYTES	16

#define WINDOW_BYTES_MAX	(1ULL << 24)

static void bus_scan(uint32_t bus, uint32_t *seen, void (*found)(uint32_t, uint16_t, uint16_t))
{
	for (uint32_t device = 0; device < 32; device++) {
		for (uint32_t function = 0; function < 8; function++) {
			uint32_t bdf = bus << 8 | device << 3 | function;
			uint32_t id = arch_pci_read(bdf, PCI_ID, 4), behind;

			if ((id & 0xffff) == 0xffff) {
				if (function == 0)
					break;
				continue;
			}
			found(bdf, (uint16_t)id, (uint16_t)(id >> 16));
			if (arch_pci_read(bdf, PCI_CLASS, 2) == CLASS_BRIDGE) {
				behind = arch_pci_read(bdf, PCI_BUS_BEHIND, 1);
				seen[behind / 32] |= 1u << behind % 32;
			}
			if (function == 0 && !(arch_pci_read(bdf, PCI_HEADER, 1) & HEADER_MULTI))
				break;
		}
	}
}

void pci_scan(void (*found)(uint32_t bdf, uint16_t vendor, uint16_t id))
{
	uint32_t seen[8] = { 1 };

	/* The bus behind a bridge has a higher number than the one before it. */
	for (uint32_t bus = 0; bus < 256; bus++) {
		if (seen[bus / 32] >> bus % 32 & 1)
			bus_scan(bus, seen, found);
	}
}

unsigned pci_capability(const struct pci *pci, uint8_t kind, unsigned after)
{
	unsigned at;

	if (!(arch_pci_read(pci->bdf, PCI_STATUS, 2) & STATUS_CAPABILITIES))
		return 0;
	at = arch_pci_read(pci->bdf, after ? after + 1 : PCI_CAPABILITIES, 1) & 0xfc;
	for (unsigned i = 0; at >= 0x40 && i < CAPABILITIES_MAX; i++) {
		if (arch_pci_read(pci->bdf, at, 1) == kind)
			return at;
		at = arch_pci_read(pci->bdf, at + 1, 1) & 0xfc;
	}
	return 0;
}

/* Learn a window's size by writing ones; the address is put back. Returns the registers it takes. */
static unsigned bar_read(struct pci *pci, unsigned i)
{
	unsigned offset = PCI_BAR + 4 * i;
	uint32_t low = arch_pci_read(pci->bdf, offset, 4), high = 0;
	uint64_t mask;
	bool wide = !(low & BAR_PORT) && (low & BAR_64) && i + 1 < PCI_BARS;

	pci->bar[i].bytes = 0;
	pci->bar[i].mapped = NULL;
	if (low & BAR_PORT)
		return 1;
	arch_pci_write(pci->bdf, offset, 4, 0xffffffff);
	mask = (arch_pci_read(pci->bdf, offset, 4) & ~15u) | 0xffffffff00000000;
	arch_pci_write(pci->bdf, offset, 4, low);
	if (wide) {
		high = arch_pci_read(pci->bdf, offset + 4, 4);
		arch_pci_write(pci->bdf, offset + 4, 4, 0xffffffff);
		mask = (mask & 0xffffffff) | (uint64_t)arch_pci_read(pci->bdf, offset + 4, 4) << 32;
		arch_pci_write(pci->bdf, offset + 4, 4, high);
	}
	if ((uint32_t)mask != 0 || (wide && mask != 0))
		pci->bar[i].bytes = ~mask + 1;
	pci->bar[i].base = (paddr_t)high << 32 | (low & ~15u);
	return wide ? 2 : 1;
}

static bool bar_place(struct pci *pci, unsigned i, unsigned registers)
{
	unsigned offset = PCI_BAR + 4 * i;

	if (pci->bar[i].bytes == 0 || pci->bar[i].base != 0)
		return true;
	if (pci->bar[i].bytes > WINDOW_BYTES_MAX)
		return false;
	pci->bar[i].base = arch_pci_allocate(pci->bar[i].bytes);
	if (pci->bar[i].base == 0 || (registers == 1 && pci->bar[i].base >> 32))
		return false;
	arch_pci_write(pci->bdf, offset, 4, (uint32_t)pci->bar[i].base);
	if (registers == 2)
		arch_pci_write(pci->bdf, offset + 4, 4, (uint32_t)(pci->bar[i].base >> 32));
	return true;
}

bool pci_enable(struct pci *pci, uint32_t bdf)
{
	uint32_t command, id;
	bool placed = true;

	pci->bdf = bdf;
	id = arch_pci_read(bdf, PCI_ID, 4);
	pci->vendor = (uint16_t)id;
	pci->id = (uint16_t)(id >> 16);
	command = arch_pci_read(bdf, PCI_COMMAND, 2);
	arch_pci_write(bdf, PCI_COMMAND, 2, command & ~(uint32_t)(COMMAND_MEMORY | COMMAND_MASTER));
	for (unsigned i = 0, registers; i < PCI_BARS; i += registers) {
		registers = bar_read(pci, i);
		if (registers == 2)
			pci->bar[i + 1].bytes = 0;
		placed = bar_place(pci, i, registers) && placed;
	}
	if (placed)
		command |= COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_PIN;
	arch_pci_write(bdf, PCI_COMMAND, 2, command);
	return placed;
}

uint8_t *pci_window(struct pci *pci, unsigned bar, uint64_t offset, uint64_t bytes)
{
	if (bar >= PCI_BARS || pci->bar[bar].bytes > WINDOW_BYTES_MAX || offset > pci->bar[bar].bytes || bytes == 0 ||
	    bytes > pci->bar[bar].bytes - offset)
		return NULL;
	if (!pci->bar[bar].mapped)
		pci->bar[bar].mapped = arch_map_device(pci->bar[bar].base, pci->bar[bar].bytes);
	return pci->bar[bar].mapped ? pci->bar[bar].mapped + offset : NULL;
}

bool pci_message_interrupt(struct pci *pci, unsigned number, arch_irq_handler handler, void *arg, uint32_t *data)
{
	unsigned at = pci_capability(pci, CAP_MSIX, 0);
	volatile uint32_t *entry;
	uint32_t control, table;
	uint64_t address;

	if (!at)
		return false;
	control = arch_pci_read(pci->bdf, at + MSIX_CONTROL, 2);
	table = arch_pci_read(pci->bdf, at + MSIX_TABLE, 4);
	if (number > (control & MSIX_LAST))
		return false;
	entry = (volatile uint32_t *)pci_window(pci, table & 7, (table & ~7u) + number * MSIX_ENTRY_BYTES, MSIX_ENTRY_BYTES);
	if (!entry || !arch_irq_msi(handler, arg, number % info->cpus, &address, data))
		return false;
	arch_pci_write(pci->bdf, at + MSIX_CONTROL, 2, control | MSIX_ENABLE | MSIX_MASK_ALL);
	entry[0] = (uint32_t)address;
	entry[1] = (uint32_t)(address >> 32);
	entry[2] = *data;
	entry[3] = 0;
	arch_pci_write(pci->bdf, at + MSIX_CONTROL, 2, (control | MSIX_ENABLE) & ~(uint32_t)MSIX_MASK_ALL);
	return true;
}
