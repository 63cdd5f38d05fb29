/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images: executables as they lie in memory, once for all who run them.
 *
 * A file is read into frames of the keeper's. Its constant pages are mapped from there into every process
 * that runs it. All processes have it at the same addresses, so that relocations are made once: the pages
 * that are read-only after that are constant, too, and those that are written have a template. The frames
 * are, in this order: the file's pages, and behind them each segment with relocations or variables as it
 * begins.
 *
 * A process may ask for more rights to a page than it is mapped with, as many as the capability had by which
 * it was mapped: so that one has READ and EXEC only, and what is written is never mapped at all.
 *
 * An image is the file's as long as node, size, times of modification (a user sets it as he likes) and of
 * change are what they were; else it is read anew, and the old one goes with the last process that runs it.
 * What nobody runs stays until frames are short, or the file has no name any more, or is of a mount that is gone.
 */
#include <errno.h>
#include <string.h>
#include "libos/keep/files.h"
#include "libos/keep/private.h"
#include "libos/vm/vm.h"

#define IMAGES		128
#define IMAGE_BYTES	(64ULL << 20)	/* of one, with its templates, at most */
#define IMAGE_END	0x40000000ULL
#define TABLE_PAGES	512U

static struct keep_image images[IMAGES];
static exo_vaddr_t place;		/* of the first one's bytes */
static uint64_t clock_hand;

bool image_frame(const struct keep_image *image, uint32_t page, struct frame *frame, uint32_t *count)
{
	for (uint32_t i = 0; i < image->bag.runs; i++) {
		const struct frame_run *run = &image->bag.run[i];

		if (page < run->count) {
			*frame = (struct frame){ .cap = image->shown[i], .first = page, .pfn = run->first + page };
			*count = run->count - page;
			return true;
		}
		page -= run->count;
	}
	return false;
}

/* --- going ------------------------------------------------------------------------------------------------ */

static void drop(struct keep_image *image)
{
	space_map((exo_vaddr_t)image->va, 0, EXO_CAP_NONE, 0, image->pages);
	for (unsigned i = 0; i < FRAME_BAG_RUNS; i++) {
		if (image->shown[i])
			caps_delete(image->shown[i]);
		image->shown[i] = EXO_CAP_NONE;
	}
	frame_bag_drop(&image->bag);
	image->there = false;
	image->pages = 0;
}

void image_put(struct keep_image *image)
{
	if (--image->refs == 0 && !image->there)
		drop(image);
}

void image_trim(void)
{
	for (unsigned i = 0; i < IMAGES; i++)
		if (!images[i].refs && images[i].pages)
			drop(&images[i]);
}

void image_forget(uint64_t mount)
{
	for (unsigned i = 0; i < IMAGES; i++) {
		if (!images[i].there || images[i].mount != mount)
			continue;
		images[i].there = false;
		if (!images[i].refs)
			drop(&images[i]);
	}
}

/* A file that nobody can find any more need not be kept: its image goes now, or with its last process. */
static void removed(const struct vfs_place *place)
{
	struct fs_attributes attributes;

	if (place->node->known && !(place->node->mode & 0111))
		return;
	for (unsigned i = 0; i < IMAGES; i++) {
		struct keep_image *image = &images[i];

		if (!image->there || image->number != place->node->number || image->mount != place->mount->number)
			continue;
		if (vfs_attributes(place, &attributes) || attributes.links || !image->there)
			return;
		image->there = false;
		if (!image->refs)
			drop(image);
	}
}

/* --- coming ----------------------------------------------------------------------------------------------- */

static struct keep_image *find(const struct fs_attributes *attributes, uint32_t mount)
{
	for (unsigned i = 0; i < IMAGES; i++) {
		struct keep_image *image = &images[i];

		if (!image->there || image->mount != mount || image->number != attributes->number)
			continue;
		if (image->bytes == attributes->bytes && image->modified == attributes->modified.seconds &&
		    image->modified_ns == attributes->modified.nanoseconds &&
		    image->changed == attributes->changed.seconds &&
			    image->changed_ns == attributes->changed.nanoseconds)
			return image;
		image->there = false;		/* another file by now */
		if (!image->refs)
			drop(image);
	}
	return NULL;
}

/* A place that is unused, or whose image nobody has run for the longest time. */
static struct keep_image *place_take(void)
{
	struct keep_image *best = NULL;

	for (unsigned i = 0; i < IMAGES; i++) {
		if (!images[i].pages && !images[i].refs)
			return &images[i];
		if (!images[i].refs && (!best || images[i].used < best->used))
			best = &images[i];
	}
	if (best)
		drop(best);
	return best;
}

/* Frames for `pages` more pages behind those that are there. */
static int grow(struct keep_image *image, uint32_t pages)
{
	while (pages) {
		uint32_t part = pages < EXO_TAKE_MAX ? pages : EXO_TAKE_MAX;
		struct frame frame;
		int64_t error;

		error = body_room() ? 0 : -EXO_EFULL;
		while (!error && (error = frame_bag_take(&image->bag, part, &frame)) != 0 && part > 1) {
			part /= 2;
			error = 0;
		}
		if (!error)
			error = space_map((exo_vaddr_t)image->va + (exo_vaddr_t)image->pages * EXO_PAGE_SIZE,
					  EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first, part);
		if (error)
			return -ENOMEM;
		image->pages += part;
		pages -= part;
	}
	return 0;
}

static char *page_at(const struct keep_image *image, uint32_t page)
{
	return (char *)image->va + (uint64_t)page * EXO_PAGE_SIZE;
}

static struct image_piece *piece_new(struct keep_image *image)
{
	return image->count < IMAGE_MAPS ? &image->piece[image->count++] : NULL;
}

/* A segment that is never written: its pages are the file's; what lies behind the file's part of it is zero. */
static int constant(struct keep_image *image, const struct elf_segment *segment, exo_vaddr_t base)
{
	uint64_t skew = segment->vaddr % EXO_PAGE_SIZE;
	struct image_piece *piece = piece_new(image);

	if (!piece || segment->memsz != segment->filesz)
		return -ENOEXEC;
	*piece = (struct image_piece){ .va = base + segment->vaddr - skew,
		.pages = (uint32_t)(PAGE_UP(skew + segment->memsz) / EXO_PAGE_SIZE),
		.at = (uint32_t)((segment->offset - skew) / EXO_PAGE_SIZE),
		.flags = EXO_MAP_READ | (segment->flags & ELF_X ? EXO_MAP_EXEC : 0) };
	piece->filled = piece->pages;
	return 0;
}

/* A segment with relocations or variables: as it begins, in frames behind the file's. */
static int made(struct keep_image *image, const struct elf_image *elf, const struct elf_segment *segment,
		exo_vaddr_t base)
{
	uint64_t skew = segment->vaddr % EXO_PAGE_SIZE, from = segment->vaddr - skew;
	struct image_piece *piece = piece_new(image);
	uint32_t at = image->pages;
	char *to;
	int error;

	if (!piece)
		return -ENOEXEC;
	*piece = (struct image_piece){ .va = base + from, .at = at,
		.pages = (uint32_t)(PAGE_UP(skew + segment->memsz) / EXO_PAGE_SIZE),
		.filled = segment->filesz ? (uint32_t)(PAGE_UP(skew + segment->filesz) / EXO_PAGE_SIZE) : 0,
		.flags = EXO_MAP_READ | (segment->flags & ELF_W ? EXO_MAP_WRITE : 0) };
	if (!(segment->flags & ELF_W))
		piece->filled = piece->pages;
	error = grow(image, piece->filled);
	if (error)
		return error;
	to = page_at(image, at);
	memcpy(to + skew, image->va + segment->offset, segment->filesz);
	elf_relocate(elf, image->va, base, to, from, (size_t)piece->filled * EXO_PAGE_SIZE);
	return 0;
}

/* It is told on the console, since the caller learns only that it cannot be run. */
static int refused(const struct elf_process *process)
{
	core_print("%s: a program for processes of version %u.%u is refused: these are of %d.%d\n", core_name(), process->major,
	    process->minor, WIRE_MAJOR, WIRE_MINOR);
	return -EINVAL;
}

static int pieces(struct keep_image *image)
{
	struct elf_image elf;
	struct elf_process process;
	struct elf_abi abi;
	exo_vaddr_t base;
	int error = 0;

	if (elf_load(&elf, image->va, image->bytes, EXO_VA_IMAGE, IMAGE_END) != ELF_OK ||
	    elf_abi(image->va, image->bytes, &abi) != ELF_OK)
		return -ENOEXEC;
	if (abi.major != EXO_ABI_MAJOR || abi.minor > EXO_ABI_MINOR || abi.features)
		return -ENOEXEC;
	if (elf_process(image->va, image->bytes, &process) != ELF_OK || process.wired < elf.low ||
	    process.wired_end > elf.high)
		return -ENOEXEC;
	if (process.major != WIRE_MAJOR || process.minor > WIRE_MINOR)
		return refused(&process);
	base = elf.movable && elf.low < EXO_VA_IMAGE ? EXO_VA_IMAGE - elf.low : 0;
	base = (base + elf.align - 1) & -elf.align;
	image->entry = base + elf.entry;
	image->start = base + elf.low;
	image->end = base + elf.high;
	image->wired = base + process.wired;
	image->wired_end = base + process.wired_end;
	for (unsigned i = 0; i < elf.count && !error; i++) {
		const struct elf_segment *segment = &elf.segment[i];

		error = segment->flags & (ELF_W | ELF_RELRO) || segment->memsz != segment->filesz ?
			made(image, &elf, segment, base) : constant(image, segment, base);
		if (!error && segment->flags & ELF_X)
			image->piece[image->count - 1].flags |= EXO_MAP_EXEC;
	}
	return error;
}

static int read_all(struct keep_image *image, struct vfs_file *file)
{
	uint64_t done = 0;

	while (done < image->bytes) {
		int64_t got = vfs_pread(file, (char *)image->va + done, image->bytes - done, done);

		if (got <= 0)
			return got < 0 ? (int)got : -ENOEXEC;	/* it was cut meanwhile */
		done += (uint64_t)got;
	}
	return 0;
}

/* The capability by which a run is mapped in processes. */
static int show(struct keep_image *image, unsigned run)
{
	exo_cap_t cap = image->bag.run[run].cap;
	uint32_t done = 0, count = image->bag.run[run].count;

	while (done < count) {
		uint32_t part = count - done < EXO_RANGE_MAX ? count - done : EXO_RANGE_MAX;
		int64_t result = done ? exo_cap_derive(cap, EXO_CAP_NONE, image->shown[run], EXO_RIGHT_READ |
						       EXO_RIGHT_EXEC,
						       done, part) :
			caps_derive(cap, EXO_RIGHT_READ | EXO_RIGHT_EXEC, 0, part);

		if (result <= 0)
			return -ENOMEM;
		if (!done)
			image->shown[run] = (exo_cap_t)result;
		done += done ? (uint32_t)result : part;
	}
	return 0;
}

/* What is never written, as processes map it. A descriptor stays in one table of pages. */
static int describe(struct keep_image *image)
{
	for (unsigned i = 0; i < image->count; i++) {
		const struct image_piece *piece = &image->piece[i];
		uint32_t done = 0, part, left;
		struct frame frame;

		for (; !(piece->flags & EXO_MAP_WRITE) && done < piece->pages; done += part) {
			exo_vaddr_t va = piece->va + (exo_vaddr_t)done * EXO_PAGE_SIZE;

			if (image->shows == IMAGE_SHOWS || !image_frame(image, piece->at + done, &frame, &part))
				return -ENOEXEC;
			left = TABLE_PAGES - (uint32_t)(va / EXO_PAGE_SIZE) % TABLE_PAGES;
			part = part < piece->pages - done ? part : piece->pages - done;
			part = part < left ? part : left;
			part = part < EXO_MAP_BATCH_MAX ? part : EXO_MAP_BATCH_MAX;
			image->show[image->shows++] = (struct exo_map){ va | piece->flags, frame.cap, frame.first, part, 0 };
		}
	}
	return 0;
}

static int load(struct keep_image *image, struct vfs_file *file, const struct fs_attributes *attributes)
{
	int error = grow(image, (uint32_t)(PAGE_UP(attributes->bytes) / EXO_PAGE_SIZE));

	if (!error)
		error = read_all(image, file);
	if (!error)
		error = pieces(image);
	for (unsigned i = 0; i < image->bag.runs && !error; i++)
		error = show(image, i);
	return error ? error : describe(image);
}

struct keep_image *image_get(struct vfs_file *file, const struct fs_attributes *attributes, int *error)
{
	uint32_t mount = file->place.mount->number;
	struct keep_image *image = find(attributes, mount);

	if (image) {
		image->refs++;
		image->used = ++clock_hand;
		return image;
	}
	*error = attributes->bytes > IMAGE_BYTES / 2 ? -ENOMEM : attributes->bytes < 64 ? -ENOEXEC : 0;
	image = *error ? NULL : place_take();
	if (!image) {
		*error = *error ? *error : -ENOMEM;
		return NULL;
	}
	*image = (struct keep_image){ .mount = mount, .number = attributes->number, .bytes = attributes->bytes,
		.modified = attributes->modified.seconds, .modified_ns = attributes->modified.nanoseconds,
		.changed = attributes->changed.seconds, .changed_ns = attributes->changed.nanoseconds, .refs = 1,
		.used = ++clock_hand, .va = (const char *)place + (uint64_t)(image - images) * IMAGE_BYTES };
	*error = load(image, file, attributes);
	image->there = !*error && attributes->links;
	if (!*error)
		return image;
	image_put(image);
	return NULL;
}

void image_start(void)
{
	vfs_removed = removed;
	place = vm_addresses(IMAGES * IMAGE_BYTES);
	if (!place)
		core_fail("no addresses for images");
}
