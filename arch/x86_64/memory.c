/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's half of the address space, and page-table entries.
 *
 * One map of all memory and of the devices, writable and never executable, by 2 MiB pages: memory cached,
 * device windows uncached (a window that shares 2 MiB with memory keeps memory's entry; the MTRRs make it
 * uncached). The kernel's image is mapped a second time where it is linked, by 4 KiB pages: code executable,
 * constants read-only; and so are the first 2 MiB of the map, so that neither can be written there. Nothing
 * is both writable and executable. The map's tables are in the root twice: with no-execute at PHYS_BASE, without the right
 * to write at CODE_BASE. So a frame whose entry is read-only and executable, machine code of a program's, can be executed
 * there and written nowhere; its 2 MiB page has been split for that, into one of a stock of tables. Tables come from a few frames at the image's end until memory is known,
 * then from memory behind the image, and from frame_boot_take once frame.c has taken over. Roots made later
 * share all tables below the root, so a device window that needs a new entry of the root must be mapped
 * before the first environment is made.
 */
#include "arch/x86_64/port.h"

#define PTE_PRESENT	0x001ULL
#define PTE_WRITE	0x002ULL
#define PTE_USER	0x004ULL
#define PTE_UNCACHED	0x018ULL	/* PCD, PWT */
#define PTE_LARGE	0x080ULL
#define LARGE_BYTES	0x200000ULL
#define BREAKPOINT	0xcc		/* an instruction */
#define MEMORY_LIMIT	(1ULL << 44)	/* what frame numbers can name */
#define MAP_RECLAIMABLE	3		/* firmware tables, read by now */

char *arch_phys_base = (char *)PHYS_BASE;
extern uint64_t boot_pd[PT_ENTRIES], boot_pt[PT_ENTRIES], boot_pd_high[PT_ENTRIES], boot_pt_high[PT_ENTRIES];

static paddr_t pool_next, pool_end;	/* table frames at the image's end */
static bool memory_known;
static paddr_t split_next;		/* stock of tables: one for each 2 MiB of memory */

static inline paddr_t image_pa(const void *va)
{
	return (paddr_t)va - KERNEL_BASE;
}

/* --- lists of ranges: sorted, disjoint, not touching ---------------------------------------------------------------- */

static bool range_add(struct boot_range *list, unsigned *count, paddr_t start, paddr_t end)
{
	unsigned first = 0, behind;

	while (first < *count && list[first].end < start)
		first++;
	for (behind = first; behind < *count && list[behind].start <= end; behind++) {
		if (list[behind].start < start)
			start = list[behind].start;
		if (list[behind].end > end)
			end = list[behind].end;
	}
	if (first == behind && *count == BOOT_RANGES_MAX)
		return false;
	memmove(list + first + 1, list + behind, (*count - behind) * sizeof(*list));
	list[first] = (struct boot_range){ start, end };
	*count += 1 - (behind - first);
	return true;
}

static void range_cut(struct boot_range *list, unsigned *count, paddr_t start, paddr_t end)
{
	struct boot_range old;
	unsigned i;

	for (i = *count; i-- > 0;) {
		old = list[i];
		if (old.end <= start || old.start >= end)
			continue;
		--*count;
		memmove(list + i, list + i + 1, (*count - i) * sizeof(*list));
		if (old.end > end)
			range_add(list, count, end, old.end);
		if (old.start < start)
			range_add(list, count, old.start, start);
	}
}

void memory_reserve(paddr_t start, paddr_t end)
{
	start &= ~(paddr_t)(EXO_PAGE_SIZE - 1);
	end = (end + EXO_PAGE_SIZE - 1) & ~(paddr_t)(EXO_PAGE_SIZE - 1);
	if (start < end && !range_add(boot.reserved, &boot.reserved_count, start, end))
		boot_fail("the memory that the loader keeps lies in more than %u pieces", BOOT_RANGES_MAX);
}

/* --- mapping -------------------------------------------------------------------------------------------------------- */

paddr_t memory_take(paddr_t from, paddr_t to, paddr_t bytes)
{
	const struct boot_range *range, *taken;
	unsigned i, j;
	paddr_t pa;

	for (i = 0; i < boot.memory_count; i++) {
		range = &boot.memory[i];
		pa = range->start < from ? from : range->start;
		for (j = 0; j < boot.reserved_count; j++) {
			taken = &boot.reserved[j];
			if (pa + bytes > taken->start && pa < taken->end)
				pa = taken->end;
		}
		if (pa + bytes <= range->end && pa + bytes <= to) {
			memory_reserve(pa, pa + bytes);
			return pa;
		}
	}
	return 0;
}

static uint64_t *table_make(uint64_t *entry)
{
	paddr_t pa;

	if (pool_next < pool_end) {
		pa = pool_next;
		pool_next += EXO_PAGE_SIZE;
	} else if (frame_table) {
		pa = (paddr_t)frame_boot_take(1, EXO_FRAME_KERNEL) << EXO_PAGE_SHIFT;
	} else if (memory_known) {
		pa = memory_take(pool_end, PHYS_LIMIT, EXO_PAGE_SIZE);
		if (!pa)
			boot_fail("memory is too small for the kernel's page tables");
	} else {
		boot_fail("the loader's records lie too far apart");
	}
	memset(phys_to_virt(pa), 0, EXO_PAGE_SIZE);
	*entry = pa | PTE_PRESENT | PTE_WRITE;
	return phys_to_virt(pa);
}

static uint64_t *table_below(uint64_t *entry)
{
	return *entry & PTE_PRESENT ? phys_to_virt(*entry & EXO_PTE_FRAME) : table_make(entry);
}

/* Make physical memory reachable through arch_phys_base; what is mapped already stays as it is. */
void memory_map(paddr_t start, paddr_t end, bool device)
{
	uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_LARGE | boot_nx | (device ? PTE_UNCACHED : 0);
	uint64_t *table = NULL;
	paddr_t pa;
	unsigned index;

	if (end > PHYS_LIMIT || start >= end)
		return;
	for (pa = start & ~(LARGE_BYTES - 1); pa < end; pa += LARGE_BYTES) {
		index = (pa >> 21) % PT_ENTRIES;
		if (!table || index == 0) {
			table = table_below(&boot_pml4[PT_ENTRIES / 2 + (pa >> 39)]);
			table = table_below(&table[(pa >> 30) % PT_ENTRIES]);
		}
		if (!(table[index] & PTE_PRESENT))
			table[index] = pa | flags;
	}
}

/* The image's final mappings; the identity mapping goes. */
void memory_early(void)
{
	uint64_t flags, index;
	char *page;

	pool_next = image_pa(pool_start);
	pool_end = image_pa(image_end);
	for (page = image_start; page < pool_start; page += EXO_PAGE_SIZE) {
		index = image_pa(page) >> EXO_PAGE_SHIFT;
		flags = PTE_PRESENT;
		if (page >= text_end)
			flags |= boot_nx;
		if (page >= rodata_end)
			flags |= PTE_WRITE;
		else
			boot_pt[index] &= ~PTE_WRITE;
		boot_pt_high[index] = image_pa(page) | flags;
	}
	boot_pd_high[0] = image_pa(boot_pt_high) | PTE_PRESENT | PTE_WRITE;
	boot_pd[0] = image_pa(boot_pt) | PTE_PRESENT | PTE_WRITE | boot_nx;
	boot_pml4[0] = 0;
	write_cr3(image_pa(boot_pml4));
}

void memory_map_stack(uint64_t va, exo_pfn_t pfn, unsigned count)
{
	uint64_t *entry = &boot_pt_high[(va - KERNEL_BASE) >> EXO_PAGE_SHIFT];

	for (; count; count--)
		*entry++ = (uint64_t)pfn++ << EXO_PAGE_SHIFT | PTE_PRESENT | PTE_WRITE | boot_nx;
}

/* --- memory at boot ------------------------------------------------------------------------------------------------- */

static void add_type(uint32_t type)
{
	const paddr_t mask = EXO_PAGE_SIZE - 1;
	struct map_entry entry;
	paddr_t end;
	unsigned i;

	for (i = 0; firmware_map(i, &entry); i++) {
		if (entry.type != type || entry.start >= MEMORY_LIMIT)
			continue;
		end = entry.bytes > MEMORY_LIMIT - entry.start ? MEMORY_LIMIT : entry.start + entry.bytes;
		entry.start = (entry.start + mask) & ~mask;
		end &= ~mask;
		if (entry.start == 0)
			entry.start = EXO_PAGE_SIZE;	/* frame number 0 means none */
		if (entry.start < end)
			range_add(boot.memory, &boot.memory_count, entry.start, end);
	}
}

/* What another entry of the map claims as well is not memory. */
static void cut_others(bool keep_reclaimable)
{
	struct map_entry entry;
	unsigned i;

	for (i = 0; firmware_map(i, &entry); i++) {
		if (entry.type == MAP_MEMORY || (keep_reclaimable && entry.type == MAP_RECLAIMABLE) ||
		    entry.start >= MEMORY_LIMIT || entry.bytes == 0)
			continue;
		if (entry.bytes > MEMORY_LIMIT - entry.start)
			entry.bytes = MEMORY_LIMIT - entry.start;
		range_cut(boot.memory, &boot.memory_count, entry.start & ~(paddr_t)(EXO_PAGE_SIZE - 1),
		    (entry.start + entry.bytes + EXO_PAGE_SIZE - 1) & ~(paddr_t)(EXO_PAGE_SIZE - 1));
	}
}

static bool in_memory(const struct boot_range *range)
{
	unsigned i;

	for (i = 0; i < boot.memory_count; i++)
		if (range->start >= boot.memory[i].start && range->end <= boot.memory[i].end)
			return true;
	return false;
}

static void map_all(void)
{
	unsigned i;

	for (i = 0; i < boot.memory_count; i++)
		memory_map(boot.memory[i].start, boot.memory[i].end, false);
}

void memory_read(void)
{
	struct boot_range image = { image_pa(image_start), image_pa(image_end) };

	add_type(MAP_MEMORY);
	cut_others(false);
	if (!in_memory(&image))
		boot_fail("the memory map has no memory where the kernel was loaded");
	if (boot.module.end > boot.module.start) {
		if (boot.module.start < image.end && boot.module.end > image.start)
			boot_fail("the boot module lies over the kernel");
		if (!in_memory(&boot.module))
			boot_fail("the boot module does not lie in memory");
	}
	memory_reserve(image.start, image.end);
	memory_reserve(boot.module.start, boot.module.end);
	memory_known = true;
	map_all();
}

/* Bus addresses that neither the memory map nor a known window claims. */
static void find_gaps(void)
{
	struct boot_range gap[BOOT_RANGES_MAX] = { { GAP_START, GAP_END } };
	struct map_entry entry;
	unsigned count = 1, i;

	for (i = 0; firmware_map(i, &entry); i++)
		range_cut(gap, &count, entry.start,
		    entry.bytes > GAP_END ? entry.start + GAP_END : entry.start + entry.bytes);
	if (machine.ecam)
		range_cut(gap, &count, machine.ecam,
		    machine.ecam + ((paddr_t)(machine.bus_last - machine.bus_first + 1) << 20));
	pci_start(gap, count);
}

/* A table for each 2 MiB page that may have to be split; and the map's second place. */
static void code_map_start(void)
{
	paddr_t tables = 0;
	unsigned i;

	for (i = 0; i < boot.memory_count; i++)
		tables += ((boot.memory[i].end - 1) >> 21) - (boot.memory[i].start >> 21) + 1;
	split_next = memory_take(pool_end, PHYS_LIMIT, tables * EXO_PAGE_SIZE);
	if (!split_next)
		boot_fail("memory is too small for the kernel's page tables");
	for (i = 0; i < MEMORY_LIMIT >> 39; i++) {
		uint64_t *entry = &boot_pml4[PT_ENTRIES / 2 + i];

		if (!(*entry & PTE_PRESENT))
			continue;
		boot_pml4[(CODE_BASE >> 39 & (PT_ENTRIES - 1)) + i] = *entry & ~PTE_WRITE;
		*entry |= boot_nx;
	}
}

/* All tables are read: the firmware's reclaimable memory, and what is left of the pool, are ordinary memory. */
void memory_finish(void)
{
	find_gaps();
	add_type(MAP_RECLAIMABLE);
	cut_others(true);
	map_all();
	code_map_start();
	range_cut(boot.reserved, &boot.reserved_count, pool_next, pool_end);
	pool_end = pool_next;
}

/* --- machine code of programs --------------------------------------------------------------------------------------- */

/* The entry of one page of memory in the map, whose 2 MiB page is split if it is not yet. */
static uint64_t *page_entry(paddr_t pa)
{
	uint64_t *table = phys_to_virt(boot_pml4[PT_ENTRIES / 2 + (pa >> 39)] & EXO_PTE_FRAME), *entry, old;
	unsigned i;

	table = phys_to_virt(table[(pa >> 30) % PT_ENTRIES] & EXO_PTE_FRAME);
	entry = &table[(pa >> 21) % PT_ENTRIES];
	old = *entry;
	table = phys_to_virt(old & PTE_LARGE ? split_next : old & EXO_PTE_FRAME);
	if (old & PTE_LARGE) {
		for (i = 0; i < PT_ENTRIES; i++)
			table[i] = (old & ~PTE_LARGE) + ((uint64_t)i << EXO_PAGE_SHIFT);
		*entry = split_next | PTE_PRESENT | PTE_WRITE;
		split_next += EXO_PAGE_SIZE;
	} else if (old & boot_nx) {	/* the first one, split from the start */
		for (i = 0; i < PT_ENTRIES; i++)
			table[i] |= boot_nx;
		*entry = old & ~boot_nx;
	}
	return &table[(pa >> EXO_PAGE_SHIFT) % PT_ENTRIES];
}

arch_code_fn *arch_code_open(exo_pfn_t first, size_t bytes)
{
	paddr_t pa = (paddr_t)first << EXO_PAGE_SHIFT, end = pa + bytes;
	paddr_t last = (end + EXO_PAGE_SIZE - 1) & ~(paddr_t)(EXO_PAGE_SIZE - 1);

	memset(phys_to_virt(end), BREAKPOINT, last - end);
	for (; pa < last; pa += EXO_PAGE_SIZE)
		write_once(*page_entry(pa), pa | PTE_PRESENT);
	return (arch_code_fn *)(CODE_BASE + ((paddr_t)first << EXO_PAGE_SHIFT));
}

void arch_code_close(exo_pfn_t first, uint32_t frames)
{
	paddr_t pa = (paddr_t)first << EXO_PAGE_SHIFT;

	for (; frames; frames--, pa += EXO_PAGE_SIZE)
		write_once(*page_entry(pa), pa | PTE_PRESENT | PTE_WRITE | boot_nx);
}

void *arch_map_device(paddr_t pa, size_t bytes)
{
	if (bytes == 0 || pa >= PHYS_LIMIT || bytes > PHYS_LIMIT - pa)
		panic("device window %lx+%lx", (unsigned long)pa, (unsigned long)bytes);
	memory_map(pa, pa + bytes, true);
	return phys_to_virt(pa);
}

/* --- page tables ---------------------------------------------------------------------------------------------------- */

/* Sixteen bytes at a time; the register is the interrupted program's. */
void arch_zero_frame(exo_pfn_t pfn)
{
	char *at = pfn_to_virt(pfn), *end = at + EXO_PAGE_SIZE;
	uint64_t kept[2];

	__asm__ volatile(
	    "movups %%xmm0, %1\n\txorps %%xmm0, %%xmm0\n"
	    "1:\n\t.set place, -128\n\t.rept 16\n\tmovaps %%xmm0, place(%0)\n\t.set place, place + 16\n\t.endr\n\t"
	    "sub $-256, %0\n\tcmp %2, %0\n\tjb 1b\n\tmovups %1, %%xmm0"
	    : "=&r"(at), "=m"(kept) : "r"(end), "0"(at + 128) : "memory", "cc");
}

/* In the same way: eight times sixteen bytes. */
uint64_t *arch_skip_zeros(uint64_t *at, const uint64_t *end)
{
	struct {
		uint64_t word[2];
	} kept, other;
	unsigned equal;

	__asm__ volatile(
	    "movups %%xmm0, %2\n\tmovups %%xmm1, %3\n\txorps %%xmm1, %%xmm1\n"
	    "1:\n\tmovaps (%0), %%xmm0\n\t.set place, 16\n\t.rept 7\n\torps place(%0), %%xmm0\n\t.set place, place + 16\n\t"
	    ".endr\n\tpcmpeqd %%xmm1, %%xmm0\n\tmovmskps %%xmm0, %1\n\tcmp $15, %1\n\tjne 2f\n\t"
	    "sub $-128, %0\n\tcmp %4, %0\n\tjb 1b\n2:\n\tmovups %2, %%xmm0\n\tmovups %3, %%xmm1"
	    : "+&r"(at), "=&r"(equal), "=m"(kept), "=m"(other) : "r"(end) : "memory", "cc");
	return at;
}

void arch_root_init(uint64_t *root)
{
	memcpy(root + PT_ENTRIES / 2, boot_pml4 + PT_ENTRIES / 2, EXO_PAGE_SIZE / 2);
}

uint64_t arch_pte_page(exo_pfn_t pfn, unsigned flags)
{
	uint64_t pte = (uint64_t)pfn << EXO_PAGE_SHIFT | PTE_PRESENT | PTE_USER;

	if (flags & EXO_MAP_WRITE)
		pte |= PTE_WRITE;
	return flags & EXO_MAP_EXEC ? pte : pte | boot_nx;
}

uint64_t arch_pte_table(exo_pfn_t pfn)
{
	return (uint64_t)pfn << EXO_PAGE_SHIFT | PTE_PRESENT | PTE_WRITE | PTE_USER;
}

void arch_tlb_page(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
	cpu_self()->info->invalidations++;
}

void arch_tlb_all(void)
{
	write_cr3(read_cr3());
	cpu_self()->info->invalidations++;
}

void arch_space_load(exo_pfn_t root)
{
	write_cr3(root ? (paddr_t)root << EXO_PAGE_SHIFT : image_pa(boot_pml4));
	cpu_self()->info->switches++;
}
