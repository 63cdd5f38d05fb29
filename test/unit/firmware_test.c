/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What loaders and firmware hand over, good and damaged: the x86-64 port's readers over a piece of host memory.
 *
 * A record with a memory map, a module, arguments and ACPI tables is built as multiboot2 and as PVH, read, and looked
 * at; then the same with random bytes changed, many times: the reader must refuse it or come to a sound result.
 */
#include <setjmp.h>
#include <stdlib.h>
#include "test/unit/tap.h"

#ifndef __x86_64__
int main(void)
{
	ok(true, "this computer is no x86-64 # SKIP");
	return done();
}
#else
#include <sys/mman.h>
/* In place of arch/null/self.h: no CPU. */
#define ARCH_SELF_H
struct cpu;
struct env;
static inline struct cpu *cpu_self(void) { return NULL; }
static inline struct env *env_self(void) { return NULL; }
#include "arch/x86_64/port.h"

/* Physical memory of the test: 64 MiB at 0; addresses below LIMIT can be touched. */
#define MEMORY	(64ULL << 20)
#define LIMIT	(8ULL << 30)
#undef PHYS_LIMIT
#define PHYS_LIMIT	LIMIT
#define image_start	((char *)(KERNEL_BASE + 0x100000))
#define text_end	((char *)(KERNEL_BASE + 0x110000))
#define rodata_end	((char *)(KERNEL_BASE + 0x114000))
#define pool_start	((char *)(KERNEL_BASE + 0x124000))
#define image_end	((char *)(KERNEL_BASE + 0x128000))
#define inb(port)	((void)(port), (uint8_t)0)
#define outb(port, value)	((void)(port), (void)(value))
#include "exo/boot.c"
#include "arch/x86_64/firmware.c"
#undef MEGABYTE
#include "arch/x86_64/acpi.c"
#include "arch/x86_64/memory.c"

uint64_t boot_pml4[PT_ENTRIES], boot_pd[PT_ENTRIES], boot_pt[PT_ENTRIES];
uint64_t boot_pd_high[PT_ENTRIES], boot_pt_high[PT_ENTRIES], boot_nx;
struct frame *frame_table;
struct exo_info *info;
static jmp_buf refused;
static char said[256];
static struct boot_range gaps[BOOT_RANGES_MAX];
static unsigned gap_count;

void kvprintf(const char *format, va_list args) { vsnprintf(said, sizeof(said), format, args); }
void kprintf(const char *format, ...) { (void)format; }
void panic(const char *format, ...) { printf("# panic: %s\n", format); abort(); }
void arch_stop(void) { longjmp(refused, 1); }
exo_pfn_t frame_boot_take(uint32_t count, uint8_t state) { (void)count, (void)state; abort(); }

void pci_start(const struct boot_range *map, unsigned count)
{
	memcpy(gaps, map, count * sizeof(*map));
	gap_count = count;
}

/* --- records ----------------------------------------------------------------------------------------------------- */

#define RECORD	0x9000
#define RSDP	0xf0000
#define TABLES	0x3fe0000
#define MODULE	0x800000
static const struct map_entry map[] = {
	{ 0, 0x9fc00, 1, 0 }, { 0x9fc00, 0x400, 2, 0 }, { 0xf0000, 0x10000, 2, 0 }, { 0x100000, 0x3ee0000, 1, 0 },
	{ TABLES, 0x20000, 3, 0 }, { 0xb0000000, 0x10000000, 2, 0 }, { 0xc0001000, 0x1000, 2, 0 },
	{ 0xfd00000000, 0x300000000, 2, 0 },
};
static const char arguments[] = "quiet virtio_mmio.device=512@0xfeb00e00:12";
static size_t record_bytes, tables_bytes;

static void *at(uint64_t pa) { return arch_phys_base + pa; }
static void fix_sum(uint8_t *table, size_t bytes, unsigned where)
{
	table[where] = 0;
	table[where] = (uint8_t)-sum(table, bytes);
}

static uint8_t *table_begin(uint64_t *next, const char *name, uint32_t bytes)
{
	struct sdt *table = at(*next);

	memset(table, 0, bytes);
	memcpy(table->signature, name, 4);
	table->bytes = bytes;
	*next += (bytes + 15) & ~15u;
	return (uint8_t *)table;
}

static void put32(uint8_t *to, uint32_t value) { memcpy(to, &value, 4); }

static void make_acpi(bool new)
{
	static const uint8_t device[] = "\x5b\x82LNRO0005\0\x08_UID\x00\x08_CRS\x11\x1a\x0a\x17"
	    "\x86\x09\x00\x01\x00\x0c\xb0\xfe\x00\x02\x00\x00\x89\x06\x00\x0d\x01\x11\x00\x00\x00\x79\x00";
	uint64_t next = TABLES, list[5];
	struct rsdp *rsdp = at(RSDP);
	unsigned width = new ? 8 : 4, i;
	uint8_t *t;

	list[0] = next, t = table_begin(&next, "APIC", 66 + 3 * 8 + 3 * 16);
	put32(t + 36, 0xfee00000);
	memcpy(t + 44, "\x01\x0c\x00\x00\x00\x00\xc0\xfe\x18\x00\x00\x00", 12);
	memcpy(t + 56, "\x02\x0a\x00\x09\x09\x00\x00\x00\x0d\x00", 10);
	memcpy(t + 66, "\x00\x08\x00\x04\x01\x00\x00\x00", 8);
	memcpy(t + 74, "\x00\x08\x01\x05\x02\x00\x00\x00", 8);		/* cannot be used */
	memcpy(t + 82, "\x00\x08\x02\x06\x01\x00\x00\x00", 8);
	memcpy(t + 90, "\x09\x10\x00\x00\x06\x00\x00\x00\x01\x00\x00\x00", 12);	/* is listed */
	memcpy(t + 106, "\x09\x10\x00\x00\x07\x00\x00\x00\x01\x00\x00\x00", 12);
	memcpy(t + 122, "\x09\x10\x00\x00\xff\x00\x00\x00\x01\x00\x00\x00", 12);	/* out of reach */
	fix_sum(t, 138, 9);
	list[1] = next, t = table_begin(&next, "HPET", 56);
	put32(t + 44, 0xfed00000);
	fix_sum(t, 56, 9);
	list[2] = next, t = table_begin(&next, "MCFG", 60);
	put32(t + 44, 0xb0000000), t[55] = 255;
	fix_sum(t, 60, 9);
	list[4] = next, t = table_begin(&next, "DSDT", 36 + sizeof(device));
	memcpy(t + 36, device, sizeof(device));
	fix_sum(t, 36 + sizeof(device), 9);
	list[3] = next, t = table_begin(&next, "FACP", 244);
	put32(t + 40, (uint32_t)list[4]), put32(t + 76, 0x608), t[91] = 4, t[108] = 0x32;
	put32(t + 112, FADT_TIMER_32 | FADT_HW_REDUCED);
	fix_sum(t, 244, 9);
	memset(rsdp, 0, sizeof(*rsdp));
	memcpy(rsdp->signature, "RSD PTR ", 8);
	rsdp->revision = new ? 2 : 0;
	rsdp->bytes = 36;
	*(new ? (uint64_t *)(void *)&rsdp->xsdt : (uint64_t *)(void *)&(uint64_t){ 0 }) = next;
	rsdp->rsdt = new ? 0 : (uint32_t)next;
	fix_sum((uint8_t *)rsdp, 20, 8);
	fix_sum((uint8_t *)rsdp, 36, 32);
	t = table_begin(&next, new ? "XSDT" : "RSDT", 36 + 4 * width);
	for (i = 0; i < 4; i++)
		memcpy(t + 36 + i * width, &list[i], width);
	fix_sum(t, 36 + 4 * width, 9);
	tables_bytes = next - TABLES;
}

static uint8_t *tag(uint8_t *to, uint32_t type, const void *body, uint32_t bytes)
{
	put32(to, type);
	put32(to + 4, bytes + 8);
	memcpy(to + 8, body, bytes);
	return to + ((bytes + 8 + 7) & ~7u);
}

static void make_multiboot2(void)
{
	uint8_t *start = at(RECORD), *to = start + 8, body[8 + sizeof(map)];
	uint32_t module[3] = { MODULE, MODULE + 0x5123, 0 };

	make_acpi(false);
	to = tag(to, TAG_CMDLINE, arguments, sizeof(arguments));
	to = tag(to, TAG_MODULE, module, sizeof(module));
	put32(body, 24), put32(body + 4, 0);
	memcpy(body + 8, map, sizeof(map));
	to = tag(to, TAG_MAP, body, sizeof(body));
	to = tag(to, TAG_ACPI_1, at(RSDP), 20);
	to = tag(to, TAG_END, "", 0);
	record_bytes = (size_t)(to - start);
	put32(start, (uint32_t)record_bytes);
}

static void make_pvh(void)
{
	struct pvh_start *start = at(RECORD);
	struct pvh_module *module = at(RECORD + 0x100);

	make_acpi(true);
	*start = (struct pvh_start){ PVH_MAGIC, 1, 0, 1, RECORD + 0x100, RECORD + 0x180, RSDP, RECORD + 0x200,
		COUNT_OF(map), 0 };
	*module = (struct pvh_module){ MODULE, 0x5123, 0, 0 };
	memcpy(at(RECORD + 0x180), arguments, sizeof(arguments));
	memcpy(at(RECORD + 0x200), map, sizeof(map));
	record_bytes = 0x200 + sizeof(map);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* false: refused; `said` tells why. */
static bool read_record(unsigned loader)
{
	memset(&boot, 0, sizeof(boot));
	memset(&machine, 0, sizeof(machine));
	memset(boot_pml4, 0, sizeof(boot_pml4));
	memset(firmware_rsdp_copy, 0, sizeof(firmware_rsdp_copy));
	memset(at(0x124000), 0, 0x4000);
	firmware_rsdp = map_count = gap_count = memory_known = 0;
	pool_next = 0x124000, pool_end = 0x128000;
	said[0] = '\0';
	if (setjmp(refused))
		return false;
	firmware_read(loader, RECORD);
	memory_read();
	acpi_read();
	memory_finish();
	return true;
}

static bool list_sound(const struct boot_range *list, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (list[i].start >= list[i].end || (list[i].start | list[i].end) % EXO_PAGE_SIZE ||
		    (i && list[i].start <= list[i - 1].end))
			return false;
	return count <= BOOT_RANGES_MAX;
}

static bool result_sound(void)
{
	unsigned i;

	if (!list_sound(boot.memory, boot.memory_count) || !list_sound(boot.reserved, boot.reserved_count))
		return false;
	if (!boot.memory_count || boot.memory[0].start == 0 || machine.mmio_devices > MMIO_DEVICES_MAX ||
	    machine.ioapics > IOAPICS_MAX || machine.cpus > EXO_CPUS_MAX || gap_count > BOOT_RANGES_MAX)
		return false;
	for (i = 0; i < machine.mmio_devices; i++)
		if (machine.mmio_device[i].bytes > EXO_PAGE_SIZE)
			return false;
	return memchr(boot.cmdline, 0, sizeof(boot.cmdline)) != NULL;
}

static void check_good(unsigned loader, const char *name)
{
	struct arch_mmio_device device;
	const struct boot_range *last;

	ok(read_record(loader), "%s: read (%s)", name, said);
	ok(result_sound(), "%s: ranges are sorted, disjoint and page-aligned", name);
	ok(boot.memory_count == 2 && boot.memory[0].start == 0x1000 && boot.memory[0].end == 0x9f000 &&
	    boot.memory[1].start == 0x100000 && boot.memory[1].end == MEMORY, "%s: memory", name);
	/* image and module, and tables for both, which lie right behind the image or where room was */
	last = &boot.reserved[boot.reserved_count - 1];
	ok(boot.reserved_count >= 2 && boot.reserved_count <= 3 && boot.reserved[0].start == 0x100000 &&
	    boot.reserved[0].end >= 0x124000 && last->start == MODULE && last->end >= MODULE + 0x6000, "%s: reserved", name);
	ok(boot.module.start == MODULE && boot.module.end == MODULE + 0x5123, "%s: module", name);
	is_string(boot.cmdline, arguments, "arguments");
	ok(machine.ioapics == 1 && machine.ioapic[0].base == 0xfec00000 && machine.ioapic[0].gsi == 24 &&
	    machine.isa_flags[9] == 13, "%s: MADT", name);
	ok(machine.cpus == 3 && machine.cpu_id[0] == 4 && machine.cpu_id[1] == 6 && machine.cpu_id[2] == 7 &&
	    !machine.cpus_more, "%s: CPUs", name);
	ok(machine.hpet == 0xfed00000 && machine.pm_timer == 0x608 && machine.pm_timer_32 && machine.century == 0x32,
	    "%s: HPET and FADT", name);
	ok(machine.ecam == 0xb0000000 && machine.bus_last == 255, "%s: MCFG", name);
	ok(machine.mmio_devices == 2 && arch_virtio_mmio(0, &device) && device.base == 0xfeb00e00 && device.gsi == 12 &&
	    arch_virtio_mmio(1, &device) && device.base == 0xfeb00c00 && device.bytes == 512 && device.gsi == 17 &&
	    !arch_virtio_mmio(2, &device), "%s: virtio-mmio windows", name);
	ok(gap_count == 2 && gaps[0].start == 0xc0000000 && gaps[0].end == 0xc0001000 && gaps[1].start == 0xc0002000,
	    "%s: free bus addresses", name);
}

/* The lowest memory that is left in the first MiB; what does not fit is not given. */
static void check_low(void)
{
	unsigned count = boot.reserved_count;

	ok(memory_take(EXO_PAGE_SIZE, 0xa0000, 2 * EXO_PAGE_SIZE) == EXO_PAGE_SIZE &&
	    memory_take(EXO_PAGE_SIZE, 0xa0000, 2 * EXO_PAGE_SIZE) == 3 * EXO_PAGE_SIZE, "two pages, twice");
	ok(boot.reserved_count == count + 1 && boot.reserved[0].start == EXO_PAGE_SIZE &&
	    boot.reserved[0].end == 5 * EXO_PAGE_SIZE, "both are reserved");
	ok(memory_take(0x9e000, 0xa0000, 2 * EXO_PAGE_SIZE) == 0, "a hole follows: none");
	ok(memory_take(0x9e000, 0xa0000, EXO_PAGE_SIZE) == 0x9e000, "but one page");
}

/* More CPUs than there is room for, in one long table. */
static void check_many(void)
{
	uint64_t next = TABLES;
	unsigned i;
	uint8_t *t;

	memset(&machine, 0, sizeof(machine));
	t = table_begin(&next, "APIC", 44 + 8 * 200);
	for (i = 0; i < 200; i++)
		memcpy(t + 44 + 8 * i, (const uint8_t[8]){ 0, 8, 0, (uint8_t)i, 1 }, 8);
	read_madt((const struct sdt *)(const void *)t);
	ok(machine.cpus == EXO_CPUS_MAX && machine.cpus_more == 200 - EXO_CPUS_MAX &&
	    machine.cpu_id[15] == 15,
	    "200 CPUs: the first %u, and a count of the others", EXO_CPUS_MAX);
}

static unsigned long random_state = 88172645463325252;
static unsigned random_below(size_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % limit);
}

static void damage(uint8_t *bytes, size_t count)
{
	static const uint32_t words[] = { 0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffff000, 0x3fff000 };
	uint8_t *to = bytes + random_below(count);

	switch (random_below(3)) {
	case 0:
		*to ^= (uint8_t)(1 << random_below(8));
		break;
	case 1:
		*to = (uint8_t)random_below(256);
		break;
	default:
		if (to + 4 <= bytes + count)
			put32(to, words[random_below(COUNT_OF(words))]);
	}
}

static void check_damaged(unsigned loader, void (*make)(void), const char *name, unsigned rounds)
{
	unsigned i, n, read = 0, unsound = 0;
	struct sdt *table;

	for (i = 0; i < rounds; i++) {
		make();
		for (n = 1 + random_below(3); n; n--) {
			if (random_below(2))
				damage(at(RECORD), record_bytes);
			else
				damage(at(TABLES), tables_bytes);
		}
		/* Most damage would end at a checksum; make it right again for one table. */
		table = at(TABLES + random_below(tables_bytes) / 16 * 16);
		if (table->bytes >= sizeof(*table) && table->bytes < tables_bytes)
			fix_sum((uint8_t *)table, table->bytes, 9);
		if (read_record(loader)) {
			read++;
			unsound += !result_sound();
		}
	}
	ok(!unsound, "%s: %u damaged records, %u still readable, all of these sound", name, rounds, read);
}

int main(void)
{
	arch_phys_base = mmap(NULL, LIMIT + MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arch_phys_base == MAP_FAILED)
		return 1;
	make_multiboot2();
	check_good(LOADER_MULTIBOOT2, "multiboot2");
	check_low();
	check_many();
	make_pvh();
	check_good(LOADER_PVH, "PVH");
	((struct pvh_start *)at(RECORD))->version = 0;
	ok(!read_record(LOADER_PVH), "PVH without a map: refused (%s)", said);
	make_pvh();
	((struct pvh_module *)at(RECORD + 0x100))->start = 0x110000;
	ok(!read_record(LOADER_PVH) && strstr(said, "module"), "a module over the kernel: refused (%s)", said);
	ok(!read_record(LOADER_NONE), "no known loader: refused (%s)", said);
	check_damaged(LOADER_MULTIBOOT2, make_multiboot2, "multiboot2", 20000);
	check_damaged(LOADER_PVH, make_pvh, "PVH", 20000);
	return done();
}
#endif
