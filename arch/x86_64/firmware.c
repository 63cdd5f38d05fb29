/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loader hands over, as multiboot2 (GNU multiboot2 specification 2.0) or PVH (Xen's x86/HVM direct boot ABI).
 *
 * Every length is checked against what contains it; what lies outside is refused. Nothing is needed here any more once
 * kernel_main runs: memory that held it is given to the frame table. A loader has to hand over a memory map: all do.
 */
#include "arch/x86_64/port.h"

#define RECORD_MAX	0x100000	/* bytes of multiboot2's record */
#define MAP_ENTRIES_MAX	4096
#define PVH_MAGIC	0x336ec578
#define MEGABYTE	0x100000ULL

enum tag {
	TAG_END = 0, TAG_CMDLINE = 1, TAG_MODULE = 3, TAG_MAP = 6, TAG_ACPI_1 = 14, TAG_ACPI_2 = 15,
};

struct mb2_tag {
	uint32_t type, bytes;
	union {
		char string[0];
		struct {
			uint32_t start, end;
		} module;
		struct {
			uint32_t entry_bytes, version;
			char entries[0];
		} map;
		uint8_t rsdp[36];
	};
};

struct pvh_start {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, cmdline, rsdp;
	uint64_t map;			/* from version 1 on */
	uint32_t map_entries, reserved;
} __attribute__((packed));

struct pvh_module {
	uint64_t start, bytes, cmdline, reserved;
} __attribute__((packed));

paddr_t firmware_rsdp;
uint8_t firmware_rsdp_copy[36];

static const char *map_start;		/* the loader's memory map */
static unsigned map_stride, map_count;

bool firmware_map(unsigned i, struct map_entry *entry)
{
	if (i >= map_count)
		return false;
	memcpy(entry, map_start + (size_t)i * map_stride, sizeof(*entry));
	return true;
}

const void *firmware_table(paddr_t pa, size_t bytes)
{
	struct map_entry entry;
	unsigned i;

	/* Firmware keeps things in the first MiB that it lists nowhere; it is always there and always mapped. */
	if (pa && pa < MEGABYTE && bytes <= MEGABYTE - pa)
		return phys_to_virt(pa);
	for (i = 0; firmware_map(i, &entry); i++) {
		if (pa < entry.start || pa - entry.start >= entry.bytes || bytes > entry.bytes - (pa - entry.start))
			continue;
		if (pa >= PHYS_LIMIT || bytes > PHYS_LIMIT - pa)
			return NULL;
		memory_map(pa, pa + bytes, false);
		return phys_to_virt(pa);
	}
	return NULL;
}

/* The record itself, before the memory map is known. */
static const void *record(paddr_t pa, size_t bytes)
{
	if (pa == 0 || pa >= PHYS_LIMIT || bytes > PHYS_LIMIT - pa)
		boot_fail("the loader's record points to address %lx", (unsigned long)pa);
	memory_map(pa, pa + bytes, false);
	return phys_to_virt(pa);
}

static void use_map(const void *start, uint64_t stride, uint64_t count)
{
	if (stride < sizeof(struct map_entry) || stride > EXO_PAGE_SIZE || count > MAP_ENTRIES_MAX)
		boot_fail("the loader's memory map is missing or damaged");
	map_start = start;
	map_stride = (unsigned)stride;
	map_count = (unsigned)count;
}

static void use_cmdline(const char *text, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes && text[i]; i++) {
		if (i == sizeof(boot.cmdline) - 1)
			boot_fail("the kernel's arguments are longer than %lu bytes", sizeof(boot.cmdline) - 1);
		boot.cmdline[i] = text[i];
	}
}

static void use_module(uint64_t start, uint64_t end)
{
	if (boot.module.end)
		return;
	if (start >= end || start % EXO_PAGE_SIZE)
		boot_fail("the boot module is empty or does not begin at a page");
	boot.module = (struct boot_range){ start, end };
}

/* --- multiboot2 ------------------------------------------------------------------------------------------------------ */

static void use_tag(const struct mb2_tag *tag, uint32_t body)
{
	switch (tag->type) {
	case TAG_CMDLINE:
		use_cmdline(tag->string, body);
		break;
	case TAG_MODULE:
		if (body >= sizeof(tag->module))
			use_module(tag->module.start, tag->module.end);
		break;
	case TAG_MAP:
		if (body >= sizeof(tag->map) && tag->map.entry_bytes)
			use_map(tag->map.entries, tag->map.entry_bytes, (body - sizeof(tag->map)) / tag->map.entry_bytes);
		break;
	case TAG_ACPI_1:
	case TAG_ACPI_2:
		/* The newer one is longer and wins, whichever comes first. */
		if (body >= 20 && (tag->type == TAG_ACPI_2 || !firmware_rsdp_copy[15]))
			memcpy(firmware_rsdp_copy, tag->rsdp, body < 36 ? body : 36);
		break;
	}
}

static void read_multiboot2(paddr_t pa)
{
	const uint32_t *head = record(pa, 8);
	uint32_t total = head[0], at, bytes;
	const struct mb2_tag *tag;
	const char *base;

	boot.loader = "multiboot2";
	if (total < 16 || total > RECORD_MAX || pa % 8)
		boot_fail("the multiboot2 record is damaged");
	base = record(pa, total);
	for (at = 8; at <= total - 8; at += (bytes + 7) & ~7u) {
		tag = (const struct mb2_tag *)(base + at);
		bytes = tag->bytes;
		if (tag->type == TAG_END)
			break;
		if (bytes < 8 || bytes > total - at)
			boot_fail("tag %u of the multiboot2 record is damaged", tag->type);
		use_tag(tag, bytes - 8);
	}
}

/* --- PVH ------------------------------------------------------------------------------------------------------------- */

static void read_pvh(paddr_t pa)
{
	const struct pvh_start *start = record(pa, sizeof(*start));
	const struct pvh_module *module;
	paddr_t text;
	size_t bytes;

	boot.loader = "pvh";
	if (start->magic != PVH_MAGIC)
		boot_fail("the PVH record is damaged");
	if (start->version < 1 || start->map_entries > MAP_ENTRIES_MAX)
		boot_fail("the loader's memory map is missing or damaged");
	use_map(record(start->map, start->map_entries * sizeof(struct map_entry)), sizeof(struct map_entry),
	    start->map_entries);
	firmware_rsdp = start->rsdp;
	text = start->cmdline;
	if (text) {
		/* It ends somewhere; the page behind need not be memory. */
		bytes = sizeof(boot.cmdline);
		if (!firmware_table(text, bytes))
			bytes = EXO_PAGE_SIZE - text % EXO_PAGE_SIZE;
		if (!firmware_table(text, bytes))
			boot_fail("the kernel's arguments do not lie in memory");
		use_cmdline(phys_to_virt(text), bytes);
	}
	if (start->modules) {
		module = firmware_table(start->module_list, sizeof(*module));
		if (!module || module->start + module->bytes < module->start)
			boot_fail("the PVH module list is damaged");
		use_module(module->start, module->start + module->bytes);
	}
}

void firmware_read(unsigned loader, paddr_t pa)
{
	if (loader == LOADER_MULTIBOOT2)
		read_multiboot2(pa);
	else if (loader == LOADER_PVH)
		read_pvh(pa);
	else
		boot_fail("the loader is neither multiboot2 nor PVH");
	if (!map_count)
		boot_fail("the loader's memory map is missing or damaged");
}
