/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ACPI's tables say about the machine (Advanced Configuration and Power Interface Specification 6.4, chapter 5).
 *
 * A table is used only if it lies within the memory map, is as long as its reader needs, and its bytes sum up to zero.
 * Byte code is not interpreted: of the DSDT only the constant resource templates of virtio-mmio windows (_HID
 * "LNRO0005") are found by their bytes, and only where the machine says that it is a reduced-hardware one, which is
 * where such windows are. The kernel argument virtio_mmio.device=SIZE@BASE:LINE names further ones, as for Linux.
 */
#include "arch/x86_64/port.h"

#define TABLE_MAX	0x100000
#define APIC_ID_ALL	0xff

struct machine machine;
const char *const arch_options[] = { "quiet", "seed", "virtio_mmio.device", NULL };

struct rsdp {
	char signature[8];
	uint8_t sum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t bytes;			/* from here on: revision 2 */
	uint64_t xsdt;
	uint8_t sum_all, reserved[3];
} __attribute__((packed));

struct sdt {
	char signature[4];
	uint32_t bytes;
	uint8_t revision, sum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct sdt_hpet {
	struct sdt head;
	uint32_t id;
	uint8_t space, width, offset, access;	/* space 0: memory */
	uint64_t address;
} __attribute__((packed));

struct sdt_fadt {
	struct sdt head;
	uint32_t facs, dsdt;
	uint8_t skipped1[76 - 44];
	uint32_t pm_timer;
	uint8_t skipped2[91 - 80];
	uint8_t pm_timer_bytes;
	uint8_t skipped3[108 - 92];
	uint8_t century;
	uint8_t skipped4[3];
	uint32_t flags;
} __attribute__((packed));
#define FADT_TIMER_32		(1 << 8)
#define FADT_HW_REDUCED		(1 << 20)
#define FADT_X_DSDT		140	/* offset; not in old tables */

struct mcfg_entry {
	uint64_t base;
	uint16_t segment;
	uint8_t bus_first, bus_last;
	uint32_t reserved;
} __attribute__((packed));

_Static_assert(offsetof(struct sdt_fadt, pm_timer) == 76, "FADT");
_Static_assert(offsetof(struct sdt_fadt, flags) == 112, "FADT");

static uint8_t sum(const void *bytes, size_t count)
{
	const uint8_t *at = bytes, *end = at + count;
	uint8_t total = 0;

	while (at < end)
		total += *at++;
	return total;
}

static uint32_t word_at(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* The table at `pa` if it has this signature and is sound. */
static const struct sdt *table_at(paddr_t pa, const char *signature, size_t least)
{
	const struct sdt *table = firmware_table(pa, sizeof(*table));

	if (!table || memcmp(table->signature, signature, 4))
		return NULL;
	if (table->bytes < least || table->bytes > TABLE_MAX || !firmware_table(pa, table->bytes) ||
	    sum(table, table->bytes)) {
		kprintf("exo: ACPI table %s is damaged and left out\n", signature);
		return NULL;
	}
	return table;
}

/* --- virtio-mmio windows -------------------------------------------------------------------------------------------- */

static void mmio_add(uint64_t base, uint64_t bytes, unsigned gsi)
{
	if (machine.mmio_devices == MMIO_DEVICES_MAX || bytes < 0x100 || bytes > EXO_PAGE_SIZE || base >= PHYS_LIMIT)
		return;
	machine.mmio_device[machine.mmio_devices++] = (struct arch_mmio_device){ base, bytes, gsi };
}

/* A resource template: descriptors up to the end tag (ACPI 6.4). */
static void read_resources(const uint8_t *at, const uint8_t *end)
{
	uint32_t base = 0, bytes = 0, gsi = 0;
	bool line = false;
	size_t length;

	while (at < end && *at != 0x79) {
		if (!(*at & 0x80)) {
			at += 1 + (*at & 7);
			continue;
		}
		if (end - at < 3)
			return;
		length = 3 + (at[1] | (size_t)at[2] << 8);
		if (length > (size_t)(end - at))
			return;
		if (*at == 0x86 && length >= 12) {		/* fixed memory, 32 bits */
			base = word_at(at + 4);
			bytes = word_at(at + 8);
		} else if (*at == 0x89 && length >= 9 && at[4] >= 1) {	/* interrupt */
			gsi = word_at(at + 5);
			line = true;
		}
		at += length;
	}
	if (bytes && line)
		mmio_add(base, bytes, gsi);
}

/* The buffer of the next _CRS that begins within a few bytes. */
static void read_device(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *stop = end - at > 64 ? at + 64 : end;

	for (; stop - at >= 8; at++) {
		if (memcmp(at, "_CRS\x11", 5))
			continue;
		at += 5 + 1 + (at[5] >> 6);			/* behind the package's length */
		if (at >= end)
			return;
		at += *at == 0x0a ? 2 : *at == 0x0b ? 3 : 1;	/* and the buffer's */
		read_resources(at, end - at > 128 ? at + 128 : end);
		return;
	}
}

static void read_dsdt(paddr_t pa)
{
	const struct sdt *table = table_at(pa, "DSDT", sizeof(*table));
	const uint8_t *at, *end;

	if (!table)
		return;
	end = (const uint8_t *)table + table->bytes;
	for (at = (const uint8_t *)(table + 1); end - at > 9; at++)
		if (*at == 'L' && !memcmp(at, "LNRO0005", 9))
			read_device(at + 9, end);
}

/* virtio_mmio.device=SIZE[K]@BASE:LINE[:ID], as often as wanted. */
static void read_arguments(void)
{
	const char *at = NULL;
	uint64_t bytes, base, gsi;

	while ((at = boot_value("virtio_mmio.device", at)) != NULL) {
		at = boot_number(at, &bytes);
		if (*at == 'K') {
			bytes <<= 10;
			at++;
		}
		if (*at != '@' || *(at = boot_number(at + 1, &base)) != ':')
			boot_fail("virtio_mmio.device wants SIZE@BASE:LINE");
		at = boot_number(at + 1, &gsi);
		mmio_add(base, bytes, (unsigned)gsi);
	}
}

bool arch_virtio_mmio(unsigned i, struct arch_mmio_device *device)
{
	if (i >= machine.mmio_devices)
		return false;
	*device = machine.mmio_device[i];
	return true;
}

/* --- the tables ------------------------------------------------------------------------------------------------------ */

/* A local interrupt controller, and so a CPU: bit 0 of `flags` says that it can be used. */
static void cpu_add(uint32_t id, uint32_t flags)
{
	unsigned i;

	if (!(flags & 1) || id >= APIC_ID_ALL)
		return;
	for (i = 0; i < machine.cpus; i++)
		if (machine.cpu_id[i] == id)
			return;
	if (machine.cpus < EXO_CPUS_MAX)
		machine.cpu_id[machine.cpus++] = id;
	else
		machine.cpus_more++;
}

static void read_madt(const struct sdt *table)
{
	const uint8_t *at = (const uint8_t *)table + 44, *end = (const uint8_t *)table + table->bytes;
	uint32_t gsi;

	for (; end - at >= 2 && at[1] >= 2 && at[1] <= end - at; at += at[1]) {
		if (at[0] == 0 && at[1] >= 8) {
			cpu_add(at[3], word_at(at + 4));
		} else if (at[0] == 9 && at[1] >= 16) {
			cpu_add(word_at(at + 4), word_at(at + 8));
		} else if (at[0] == 1 && at[1] >= 12 && machine.ioapics < IOAPICS_MAX) {
			machine.ioapic[machine.ioapics].base = word_at(at + 4);
			machine.ioapic[machine.ioapics++].gsi = word_at(at + 8);
		} else if (at[0] == 2 && at[1] >= 10) {
			gsi = word_at(at + 4);
			if (gsi < COUNT_OF(machine.isa_flags))
				machine.isa_flags[gsi] = (uint16_t)(at[8] | at[9] << 8);
		}
	}
}

static void read_hpet(const struct sdt *table)
{
	const struct sdt_hpet *hpet = (const void *)table;

	if (hpet->space == 0)
		machine.hpet = hpet->address;
}

static void read_fadt(const struct sdt *table)
{
	const struct sdt_fadt *fadt = (const void *)table;
	uint64_t dsdt = 0;

	if (fadt->pm_timer_bytes == 4 && fadt->pm_timer <= 0xfffc) {
		machine.pm_timer = (uint16_t)fadt->pm_timer;
		machine.pm_timer_32 = fadt->flags & FADT_TIMER_32;
	}
	if (fadt->century < 128)
		machine.century = fadt->century;
	if (table->bytes >= FADT_X_DSDT + 8)
		memcpy(&dsdt, (const uint8_t *)table + FADT_X_DSDT, 8);
	if (fadt->flags & FADT_HW_REDUCED)
		read_dsdt(dsdt ? dsdt : fadt->dsdt);
}

static void read_mcfg(const struct sdt *table)
{
	const struct mcfg_entry *entry = (const void *)((const uint8_t *)table + 44);

	if (entry->segment || entry->bus_first > entry->bus_last || entry->base >= PHYS_LIMIT ||
	    entry->base % 0x100000)
		return;
	machine.ecam = entry->base;
	machine.bus_first = entry->bus_first;
	machine.bus_last = entry->bus_last;
}

static const struct {
	char signature[5];
	uint8_t least;
	void (*read)(const struct sdt *table);
} readers[] = {
	{ "APIC", 44, read_madt },
	{ "FACP", sizeof(struct sdt_fadt), read_fadt },
	{ "HPET", sizeof(struct sdt_hpet), read_hpet },
	{ "MCFG", 44 + sizeof(struct mcfg_entry), read_mcfg },
};

static const struct rsdp *find_rsdp(void)
{
	const struct rsdp *rsdp = (const void *)firmware_rsdp_copy;

	if (firmware_rsdp)
		rsdp = firmware_table(firmware_rsdp, sizeof(*rsdp));
	if (!rsdp || memcmp(rsdp->signature, "RSD PTR ", 8) || sum(rsdp, 20))
		return NULL;
	return rsdp;
}

void acpi_read(void)
{
	const struct rsdp *rsdp = find_rsdp();
	const struct sdt *root = NULL, *table;
	size_t at, width = 8;
	uint64_t pa;
	unsigned i;

	read_arguments();
	if (!rsdp)
		return;
	if (rsdp->revision >= 2 && !sum(rsdp, 36))
		root = table_at(rsdp->xsdt, "XSDT", sizeof(*root));
	if (!root) {
		width = 4;
		root = table_at(rsdp->rsdt, "RSDT", sizeof(*root));
	}
	if (!root)
		return;
	for (at = sizeof(*root); at + width <= root->bytes; at += width) {
		pa = 0;
		memcpy(&pa, (const char *)root + at, width);
		for (i = 0; i < COUNT_OF(readers); i++) {
			table = firmware_table(pa, sizeof(*table));
			if (!table || memcmp(table->signature, readers[i].signature, 4))
				continue;
			table = table_at(pa, readers[i].signature, readers[i].least);
			if (table)
				readers[i].read(table);
		}
	}
}
