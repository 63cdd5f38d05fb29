/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start: the machine-independent kernel, then the first environment.
 *
 * The port enters kernel_main once. The first environment is made from the first boot module, which begins
 * with a static ELF64 program; what lies behind it in the module is the program's business. The program is
 * loaded into one run of frames together with all that the environment is made of; it gets a capability
 * `self` for this run, and its pages are mapped through it, so that they have reverse links like any other.
 * It gets capabilities for everything there is, named in its start record, and the kernel never looks at a
 * program or a start record again.
 *
 * The loader believes nothing: a segment lies in the module and in the range for images, is not writable and
 * executable at once, and begins on a page behind the one before. ELF: System V ABI, chapters 4 and 5.
 */
#include "exo/disks.h"

#define IMAGE_END	(EXO_VA_IMAGE + (64ULL << 20))
#define HEAP_END	0x7f0000000000
#define LEAF_BYTES	(2ULL << 20)	/* what one table of pages maps */
#define LEAF_FRAMES	3
#define SEGMENTS_MAX	8

/* Frames of the run, in this order, first those of env_make; then tables of pages, then the image. */
enum { RUN_ENV, RUN_DISP, RUN_ARG, RUN_CAPS, RUN_START, RUN_ROOT, RUN_TABLE3, RUN_TABLE2, RUN_LEAVES };

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, va, pa, image_bytes, memory_bytes, align;
};

#define ELF_TYPE_EXEC	2
#define ELF_LOAD	1
#define ELF_DYNAMIC	2
#define ELF_INTERPRETER	3
#define ELF_FLAG_X	1
#define ELF_FLAG_W	2

struct image {
	struct elf_segment segment[SEGMENTS_MAX];
	unsigned segments;
	uint64_t entry, start, end;	/* page addresses but for the entry */
};

/* --- the program ------------------------------------------------------------------------------------ */

static uint64_t page_down(uint64_t address)
{
	return address & ~(uint64_t)(EXO_PAGE_SIZE - 1);
}

static uint64_t page_up(uint64_t address)
{
	return page_down(address + EXO_PAGE_SIZE - 1);
}

/* What is wrong with a segment; NULL: nothing. `end` is where the one before ended. */
static const char *segment_check(const struct elf_segment *s, uint64_t bytes, uint64_t end)
{
	if (s->type == ELF_DYNAMIC || s->type == ELF_INTERPRETER)
		return "the boot module's program is not statically linked";
	if (s->offset > bytes || s->image_bytes > bytes - s->offset)
		return "the boot module's program is cut off";
	if (s->image_bytes > s->memory_bytes)
		return "the boot module's program has a segment larger than its memory";
	if (s->va < EXO_VA_IMAGE || s->va >= IMAGE_END || s->memory_bytes > IMAGE_END - s->va)
		return "the boot module's program lies outside the range for images";
	if (page_down(s->va) < end)
		return "the boot module's program has segments that share a page or are not in order";
	if ((s->flags & ELF_FLAG_W) && (s->flags & ELF_FLAG_X))
		return "the boot module's program has a segment that is writable and executable";
	return NULL;
}

static const char *image_check(const uint8_t *module, uint64_t bytes, struct image *image)
{
	const struct elf_header *h = (const void *)module;
	const struct elf_segment *s;
	const char *wrong;
	bool entry = false;
	unsigned i;

	if (bytes < sizeof(*h) || h->ident[0] != 0x7f || h->ident[1] != 'E' || h->ident[2] != 'L' ||
	    h->ident[3] != 'F')
		return "the boot module does not begin with an ELF program";
	if (h->ident[4] != 2 || h->ident[5] != 1 || h->type != ELF_TYPE_EXEC ||
	    h->machine != ARCH_ELF_MACHINE)
		return "the boot module's program is not a 64-bit executable for this machine";
	if (h->phentsize != sizeof(*s) || h->phoff % 8 || h->phoff > bytes ||
	    h->phnum > (bytes - h->phoff) / sizeof(*s))
		return "the boot module's program has a bad program header";
	for (i = 0; i < h->phnum; i++) {
		s = (const void *)(module + h->phoff + i * sizeof(*s));
		if (s->type != ELF_LOAD && s->type != ELF_DYNAMIC && s->type != ELF_INTERPRETER)
			continue;
		if (s->type == ELF_LOAD && !s->memory_bytes)
			continue;
		wrong = segment_check(s, bytes, image->end);
		if (wrong)
			return wrong;
		if (image->segments == SEGMENTS_MAX)
			return "the boot module's program has too many segments";
		if (!image->segments)
			image->start = page_down(s->va);
		image->end = page_up(s->va + s->memory_bytes);
		if ((s->flags & ELF_FLAG_X) && h->entry >= s->va && h->entry - s->va < s->memory_bytes)
			entry = true;
		image->segment[image->segments++] = *s;
	}
	image->entry = h->entry;
	return entry ? NULL : "the boot module's program has no executable entry";
}

static uint64_t image_pages(const struct image *image)
{
	uint64_t pages = 0;
	unsigned i;

	for (i = 0; i < image->segments; i++)
		pages += (page_up(image->segment[i].va + image->segment[i].memory_bytes) -
		    page_down(image->segment[i].va)) >> EXO_PAGE_SHIFT;
	return pages;
}

/* --- the first environment -------------------------------------------------------------------------- */

struct first {
	struct env *env;
	struct exo_cap *self;
	struct exo_start *start;
	exo_pfn_t run;
	uint32_t frames;
};

/* A capability in the next slot, with its name in the start record. */
static struct exo_cap *first_cap(struct first *first, const char *name, unsigned type, unsigned rights,
    uint64_t range, uint32_t count, exo_pfn_t object)
{
	struct exo_start_slot *slot = &first->start->slot[first->start->slots++];
	uint32_t number = first->start->slots;
	struct exo_cap *cap = cap_free_slot(first->env, number);
	unsigned i;

	kassert(cap != NULL);
	for (i = 0; i < sizeof(slot->name) - 1 && name[i]; i++)
		slot->name[i] = name[i];
	slot->cap = cap_fill(cap, type, rights, range, count, object, NULL, number);
	return cap;
}

/*
 * Frames of the run, or the module's, which were the kernel's: they are this environment's, as if it had
 * taken them.
 */
static void adopt(exo_pfn_t pfn, uint32_t count, struct env *env)
{
	account_charge(pfn_to_virt(env->account), EXO_SHARE_FRAMES, (int32_t)count);
	env->info->frames += count;
	for (; count; count--, pfn++) {
		if (info_frame[pfn].state == EXO_FRAME_KERNEL)
			frame_retype(pfn, EXO_FRAME_OWNED, 0);
		info_frame[pfn].owner = env->index;
		frame_table[pfn].account = env->account;
	}
}

/* All shares and all blocks of each disk, by its number: "disk0", "blocks0" ... */
static void first_disks(struct first *first)
{
	char shares[] = EXO_NAME_DISK, blocks[] = EXO_NAME_BLOCKS;
	const struct disk *disk;
	unsigned i, rights;

	for (i = 0; (disk = disk_numbered(i)) != NULL; i++) {
		shares[sizeof(shares) - 2] = blocks[sizeof(blocks) - 2] = (char)('0' + i);
		rights = disk->flags & EXO_DISK_READ_ONLY ? EXO_RIGHT_READ : EXO_RIGHT_READ | EXO_RIGHT_WRITE;
		first_cap(first, shares, EXO_TYPE_DISK, EXO_RIGHT_READ | EXO_RIGHT_BIND | EXO_RIGHT_CONTROL,
		    exo_disk_first(i, 0), EXO_DISK_SHARES, 0);
		first_cap(first, blocks, EXO_TYPE_BLOCKS, rights, exo_disk_first(i, 0), (uint32_t)disk->blocks, 0);
	}
}

/* What there is one of. */
static const struct {
	char name[EXO_START_NAME];
	uint32_t type, rights, count;
} whole[] = {
	{ EXO_NAME_CONSOLE, EXO_TYPE_CONSOLE, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0 },
	{ EXO_NAME_MACHINE, EXO_TYPE_MACHINE, EXO_RIGHT_CONTROL, 0 },
	{ EXO_NAME_PORTS, EXO_TYPE_PORTS, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0x10000 },
	{ EXO_NAME_INTERRUPTS, EXO_TYPE_INTERRUPTS, EXO_RIGHT_BIND, EXO_LINES },
};

static void first_caps(struct first *first)
{
	const unsigned rwx = EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC;
	exo_pfn_t module = (exo_pfn_t)(boot.module.start >> EXO_PAGE_SHIFT);
	uint32_t count = (uint32_t)(page_up(boot.module.end - boot.module.start) >> EXO_PAGE_SHIFT);
	struct env *env = first->env;
	exo_pfn_t flow = flow_root(0), video;

	first_cap(first, EXO_NAME_ENV, EXO_TYPE_ENV, ENV_RIGHTS, 0, (uint32_t)(env->id >> 32), env->self);
	first_cap(first, EXO_NAME_SPACE, EXO_TYPE_SPACE, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0, env->root);
	first_cap(first, EXO_NAME_ACCOUNT, EXO_TYPE_ACCOUNT,
	    EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_CONTROL, 0, 0, env->account);
	first->self = first_cap(first, EXO_NAME_SELF, EXO_TYPE_FRAME, rwx, first->run, first->frames, 0);
	first_cap(first, EXO_NAME_INFO, EXO_TYPE_FRAME, EXO_RIGHT_READ, info_first, info_count, 0);
	for (unsigned i = 0; i < COUNT_OF(whole); i++)
		first_cap(first, whole[i].name, whole[i].type, whole[i].rights, 0, whole[i].count, 0);
	adopt(module, count, env);
	first_cap(first, EXO_NAME_MODULE, EXO_TYPE_FRAME, rwx, module, count, 0);
	if (arch_video_memory(&video, &count) && frame_device(video, count))
		first_cap(first, EXO_NAME_VIDEO, EXO_TYPE_FRAME, EXO_RIGHT_READ | EXO_RIGHT_WRITE, video, count, 0);
	if (flow)
		first_cap(first, EXO_NAME_NET, EXO_TYPE_FLOW,
		    EXO_RIGHT_READ | EXO_RIGHT_CLAIM | EXO_RIGHT_BIND, 0, 0, flow);
	first_disks(first);
}

static void first_map(const struct first *first, uint64_t va, struct exo_cap *cap, exo_pfn_t pfn,
    unsigned flags)
{
	uint64_t old;
	int64_t error = space_map(first->env->root, va, cap, pfn, flags, &old);

	kassert(error >= 0);
}

static void first_fixed_pages(const struct first *first)
{
	static const struct {
		uint32_t va, frame, flags;
	} page[] = {
		{ EXO_VA_DISP, RUN_DISP, EXO_MAP_READ | EXO_MAP_WRITE },
		{ EXO_VA_ARG, RUN_ARG, EXO_MAP_READ | EXO_MAP_WRITE },
		{ EXO_VA_START, RUN_START, EXO_MAP_READ | EXO_MAP_WRITE },
		{ EXO_VA_CAPS, RUN_CAPS, EXO_MAP_READ },
	};
	struct exo_cap *info_cap = first->self + 1;

	for (unsigned i = 0; i < COUNT_OF(page); i++)
		first_map(first, page[i].va, first->self, first->run + page[i].frame, page[i].flags);
	first_map(first, EXO_VA_INFO, info_cap, info_first, EXO_MAP_READ);
}

/* Copy the image to its frames, from `pfn` on, and map them. */
static void first_load(const struct first *first, const struct image *image, const uint8_t *module,
    exo_pfn_t pfn)
{
	const struct elf_segment *s;
	unsigned i, flags;
	uint64_t va, end;

	for (i = 0; i < image->segments; i++) {
		s = &image->segment[i];
		va = page_down(s->va);
		end = page_up(s->va + s->memory_bytes);
		flags = EXO_MAP_READ;
		if (s->flags & ELF_FLAG_W)
			flags |= EXO_MAP_WRITE;
		if (s->flags & ELF_FLAG_X)
			flags |= EXO_MAP_EXEC;
		__builtin_memcpy((char *)pfn_to_virt(pfn) + (s->va - va), module + s->offset, s->image_bytes);
		for (; va < end; va += EXO_PAGE_SIZE)
			first_map(first, va, first->self, pfn++, flags);
	}
}

static void first_table(const struct first *first, uint64_t va, unsigned level, exo_pfn_t pfn)
{
	int64_t error = space_link_table(first->run + RUN_ROOT, va, level, pfn);

	kassert(error >= 0);
}

static void first_tables(const struct first *first, const struct image *image)
{
	exo_pfn_t leaf = first->run + RUN_LEAVES;
	uint64_t va;

	first_table(first, 0, EXO_LEVEL_512G, first->run + RUN_TABLE3);
	first_table(first, 0, EXO_LEVEL_1G, first->run + RUN_TABLE2);
	first_table(first, 0, EXO_LEVEL_PAGES, leaf);
	for (va = image->start & ~(LEAF_BYTES - 1); va < image->end; va += LEAF_BYTES) {
		leaf += LEAF_FRAMES;
		first_table(first, va, EXO_LEVEL_PAGES, leaf);
	}
}

static void first_record(struct first *first, const struct image *image)
{
	struct exo_start *start = first->start;
	unsigned i;

	start->magic = EXO_START_MAGIC;
	start->version = EXO_START_VERSION;
	start->size = sizeof(*start);
	start->module_bytes = boot.module.end - boot.module.start;
	for (i = 0; i < COUNT_OF(start->seed); i++)
		start->seed[i] = arch_random();
	start->image = image->start;
	start->image_bytes = image->end - image->start;
	start->heap = image->end;
	start->heap_end = HEAP_END;
}

/* Make it from the first boot module; READY when this returns. */
static void first_env(void)
{
	struct exo_env_params params = { .label = "init" };
	const uint8_t *module = phys_to_virt(boot.module.start);
	uint64_t bytes = boot.module.end - boot.module.start;
	struct image image = { 0 };
	struct first first = { 0 };
	exo_pfn_t account = account_root();
	const char *wrong;
	uint32_t leaves;

	if (!bytes)
		boot_fail("there is no boot module; the loader must pass one");
	wrong = image_check(module, bytes, &image);
	if (wrong)
		boot_fail("%s", wrong);
	params.run_entry = image.entry;
	leaves = 1 + (uint32_t)((image.end - 1) / LEAF_BYTES - image.start / LEAF_BYTES + 1);
	first.frames = RUN_LEAVES + leaves * LEAF_FRAMES + (uint32_t)image_pages(&image);
	first.run = frame_boot_take(first.frames, EXO_FRAME_OWNED);
	space_make(first.run + RUN_ROOT);
	first.env = env_make(first.run, first.run + RUN_ROOT, account, &params, 0);
	kassert(first.env != NULL);
	account_charge(pfn_to_virt(account), EXO_SHARE_ENVS, 1);
	adopt(first.run, first.frames, first.env);
	first.start = pfn_to_virt(first.run + RUN_START);
	first_caps(&first);
	first_tables(&first, &image);
	first_fixed_pages(&first);
	first_load(&first, &image, module, first.run + RUN_LEAVES + leaves * LEAF_FRAMES);
	first_record(&first, &image);
	first.env->reasons = EXO_RUN_START;
	cpu_ready(first.env);
}

_Noreturn void kernel_main(void)
{
	info->seed = (uint32_t)boot_option("seed", 0);
	frame_init();
	boot_options_check();
	space_init();
	env_init();
	cpu_init();
	flow_init();
	disk_init();
	device_init();
	console_init();
	trace_init();
	interrupts_init();
	kernel_lock();
	first_env();
	kernel_unlock();
	arch_cpus_start();
	cpu_dispatch();
}
