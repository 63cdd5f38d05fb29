/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmap of memory and of files.
 *
 * Memory is demand-zero. A file that lies in memory as a whole (the boot archive) and is only read is where it lies.
 * Any other file is a region with a pager here. A shared page is the file system's own, held in its cache and mapped
 * from there, so that mappings, read() and write() see one another at once; it is mapped for writing when it is first
 * written, and given back as changed by msync, munmap, before the file is cut, and at the end. A private page that
 * may be written is a copy, made at first touch. The thread that faults asks the file system, so it may wait for a
 * disk. Sockets send what is mapped from the cache itself (uni_lend).
 *
 * A mapping holds at most a quarter of the cache: beyond it, those pages go back first that were mapped first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "libos/uni/file.h"
#include "libos/vm/vm.h"

#define AHEAD_PAGES	32

struct map {
	struct vm_region region;	/* first */
	struct map *next;
	struct vfs_file *file;
	uint64_t offset;
	bool shared;
	struct thread_mutex mutex;
	uint32_t pages, held, hand;
	struct map_page {
		struct buffer *buffer;	/* shared, and mapped */
		bool written;		/* mapped for writing */
		bool copied;		/* private, and mapped */
	} page[];
};

/* Who goes through all mappings, or takes one away, has the lock; then come the mapping's and the file system's. */
static struct thread_mutex maps_lock;
static struct map *maps;
unsigned uni_file_maps;
void (*uni_maps_end)(void);

/* --- memory --------------------------------------------------------------------------------------------- */

/*
 * Address ranges that were mapped once and are free now: used again first, since their page tables are there.
 */
static struct vm_region *free_ranges;

static struct vm_region *take_range(uint64_t bytes)
{
	struct vm_region **link = &free_ranges, *range;

	for (; (range = *link); link = &range->next) {
		if (range->end - range->start < bytes)
			continue;
		*link = range->next;
		range->end = range->start + bytes;	/* what is left over is not used again */
		return range;
	}
	range = malloc(sizeof(*range));
	if (range) {
		range->start = vm_addresses(bytes);
		range->end = range->start + bytes;
	}
	return range;
}

static void give_range(struct vm_region *region)
{
	region->next = free_ranges;
	free_ranges = region;
}

static void *map_memory(size_t bytes)
{
	struct vm_region *region = take_range(PAGE_UP(bytes));

	if (region) {
		*region = (struct vm_region){ .start = region->start, .end = region->end, .pager = vm_zero_pager,
			.flags = EXO_MAP_READ | EXO_MAP_WRITE };
		if (region->start && vm_add(region))
			return (void *)region->start;
		free(region);
	}
	errno = ENOMEM;
	return MAP_FAILED;
}

/* --- pages of files ------------------------------------------------------------------------------------- */

static exo_vaddr_t page_va(const struct map *map, uint32_t number)
{
	return map->region.start + (uint64_t)number * EXO_PAGE_SIZE;
}

static void release(struct map *map, uint32_t number)
{
	struct map_page *page = &map->page[number];
	const struct vfs_place *place = &map->file->place;

	if (!page->buffer)
		return;
	space_map(page_va(map, number), 0, EXO_CAP_NONE, 0, 1);
	vfs_enter(place->mount);
	place->mount->fs->ops->page_put(place->node, page->buffer, page->written);
	vfs_leave(place->mount);
	*page = (struct map_page){ 0 };
	map->held--;
}

/* Another page goes back; false: there is none. */
static bool release_one(struct map *map, uint32_t but)
{
	for (uint32_t i = 0; i < map->pages && map->held; i++) {
		uint32_t number = map->hand;

		map->hand = (map->hand + 1) % map->pages;
		if (number != but && map->page[number].buffer) {
			release(map, number);
			return true;
		}
	}
	return false;
}

static int ask(struct map *map, uint32_t number, bool write, struct buffer **buffer)
{
	const struct vfs_place *place = &map->file->place;
	uint64_t at = map->offset + (uint64_t)number * EXO_PAGE_SIZE;
	int result;

	do {
		vfs_enter(place->mount);
		result = place->mount->fs->ops->page(place->node, at, write, buffer);
		vfs_leave(place->mount);
	} while (result == -ENOMEM && release_one(map, number));
	return result;
}

/* An own frame, zeroed, with what the file has there. */
static int copy_page(struct map *map, uint32_t number)
{
	exo_vaddr_t va = page_va(map, number);
	uint8_t *bytes = malloc(EXO_PAGE_SIZE);
	struct frame frame;
	int64_t done = bytes ? vfs_pread(map->file, bytes, EXO_PAGE_SIZE,
	    map->offset + (uint64_t)number * EXO_PAGE_SIZE) : -ENOMEM;

	if (done == 0)
		done = -EINVAL;		/* beyond the end */
	if (done > 0 && (!frame_alloc(&frame) || space_map_frame(va, EXO_MAP_READ | EXO_MAP_WRITE, &frame) < 0))
		done = -ENOMEM;
	if (done > 0) {
		memcpy((void *)va, bytes, (size_t)done);
		memset((uint8_t *)va + done, 0, EXO_PAGE_SIZE - (size_t)done);
		if (!(map->region.flags & EXO_MAP_WRITE))
			space_protect_page(va, map->region.flags);
		map->page[number].copied = true;
	}
	free(bytes);
	return done < 0 ? (int)done : 0;
}

/* The file system's own page. */
static int share_page(struct map *map, uint32_t number, bool write)
{
	const struct cache *cache = map->file->place.mount->fs->cache;
	struct map_page *page = &map->page[number];
	uint32_t most = cache ? cache_pages(cache) / 4 : UINT32_MAX, first, run;
	struct buffer *buffer;
	exo_cap_t cap;
	int result;

	if (page->buffer && write && !page->written)
		release(map, number);
	while (map->held >= most && release_one(map, number))
		;
	result = ask(map, number, write, &buffer);
	if (!result && !buffer && !(map->file->flags & VFS_WRITE))
		return copy_page(map, number);	/* a hole stays one */
	if (!result && !buffer) {
		write = true;
		result = ask(map, number, true, &buffer);
	}
	if (result)
		return result;
	*page = (struct map_page){ .buffer = buffer, .written = write };
	map->held++;
	if (disk_frame(buffer->data, &cap, &first, &run, 1) &&
	    !space_map(page_va(map, number), EXO_MAP_READ | (write ? map->region.flags & EXO_MAP_WRITE : 0), cap, first, 1))
		return 0;
	release(map, number);
	return -ENOMEM;
}

/* As the thread that faulted. */
static void bring(void *arg, struct exo_regs *regs)
{
	struct map *map = arg;
	uint32_t number = (uint32_t)((regs->address - map->region.start) / EXO_PAGE_SIZE);
	bool write = regs->error & VM_ERROR_WRITE;
	struct map_page *page = &map->page[number];
	int result = 0;

	core_stack();
	thread_lock(&map->mutex, EXO_NEVER);
	if (!map->shared && !page->copied)
		result = copy_page(map, number);
	else if (!page->copied && (!page->buffer || (write && !page->written)))
		result = share_page(map, number, write);
	thread_unlock(&map->mutex);
	if (result)
		core_die(regs, result == -EINVAL ? "beyond the end of the file" : strerror(-result));
}

static CORE_UPCALL const char *map_fault(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	struct map *map = (struct map *)region;

	if (access & ~region->flags || (present && !(map->shared && access & VM_WRITE)))
		return "access against the page's rights";
	if (core_disp->on.address != va)
		return "it is a file's: it cannot be touched here";
	return core_fault_defer(&core_disp->on, bring, map) ? NULL : "no stack to ask its file system";
}

bool uni_maps_file(const void *memory, size_t bytes)
{
	uint64_t start = (uint64_t)memory;

	for (const struct map *map = maps; map; map = map->next)
		if (start < map->region.end && map->region.start < start + bytes)
			return true;
	return false;
}

/* --- lending -------------------------------------------------------------------------------------------- */

/* Pages are wanted in a row: begin to read more of them now and then. */
static void ahead(struct map *map, uint32_t number)
{
	const struct vfs_place *place = &map->file->place;

	if (number % (AHEAD_PAGES / 2) || !place->mount->fs->ops->ahead)
		return;
	vfs_enter(place->mount);
	place->mount->fs->ops->ahead(place->node, map->offset + (uint64_t)number * EXO_PAGE_SIZE,
	    (uint64_t)AHEAD_PAGES * EXO_PAGE_SIZE);
	vfs_leave(place->mount);
}

static bool lend(const void *at, size_t bytes, struct fd_loan *loan)
{
	uint64_t va = (uint64_t)at, in = va % EXO_PAGE_SIZE;
	const struct vm_region *region = vm_find(va);
	struct map *map = (struct map *)region;
	int result;

	if (!region || region->pager != map_fault || !map->shared)
		return false;
	*loan = (struct fd_loan){ .file = map->file };
	ahead(map, (uint32_t)((va - region->start) / EXO_PAGE_SIZE));
	result = ask(map, (uint32_t)((va - region->start) / EXO_PAGE_SIZE), false, &loan->buffer);
	if (result || !loan->buffer)
		return false;
	loan->memory = loan->buffer->data + in;
	loan->bytes = bytes < EXO_PAGE_SIZE - in ? bytes : EXO_PAGE_SIZE - in;
	vfs_file_hold(map->file);
	return true;
}

static void give_back(const struct fd_loan *loan)
{
	const struct vfs_place *place = &loan->file->place;

	vfs_enter(place->mount);
	place->mount->fs->ops->page_put(place->node, loan->buffer, false);
	vfs_leave(place->mount);
	vfs_file_put(loan->file);
}

/* --- mapping files -------------------------------------------------------------------------------------- */

/* Pages from this one on go back. */
static void give_pages(struct map *map, uint64_t from)
{
	thread_lock(&map->mutex, EXO_NEVER);
	for (uint64_t i = from; map->shared && map->held && i < map->pages; i++)
		release(map, (uint32_t)i);
	thread_unlock(&map->mutex);
}

/* A file is going to be cut: blocks behind its end may soon be another's, or it may grow again and have others. */
static void cut_maps(const struct fs_node *node, uint64_t from)
{
	if (!maps)
		return;
	thread_lock(&maps_lock, EXO_NEVER);
	for (struct map *map = maps; map; map = map->next)
		if (map->file->place.node == node)
			give_pages(map, from > map->offset ? PAGE_UP(from - map->offset) / EXO_PAGE_SIZE : 0);
	thread_unlock(&maps_lock);
}

static void unmap_file(struct map *map)
{
	struct map **link = &maps;
	struct vm_region *range = malloc(sizeof(*range));

	thread_lock(&maps_lock, EXO_NEVER);
	give_pages(map, 0);
	while (*link != map)
		link = &(*link)->next;
	*link = map->next;
	thread_unlock(&maps_lock);
	uni_file_maps--;
	vm_remove(&map->region);
	if (range) {
		*range = map->region;
		give_range(range);
	}
	vfs_file_put(map->file);
	free(map);
}

/* The program ends: what was written goes back, and files that have no name any more are let go of. */
static void end_maps(void)
{
	struct fs_attributes attributes;
	struct map *next;

	thread_lock(&maps_lock, EXO_NEVER);
	for (struct map *map = maps; map; map = next) {
		next = map->next;
		give_pages(map, 0);
		if (!vfs_attributes(&map->file->place, &attributes) && !attributes.links)
			unmap_file(map);
	}
	thread_unlock(&maps_lock);
}

static void *map_file(struct vfs_file *file, size_t bytes, unsigned rights, bool shared, uint64_t offset)
{
	uint64_t pages = PAGE_UP(bytes) / EXO_PAGE_SIZE;
	struct map *map = pages < UINT32_MAX ? calloc(1, sizeof(*map) + pages * sizeof(map->page[0])) : NULL;
	struct vm_region *range = map ? take_range(PAGE_UP(bytes)) : NULL;

	if (range)
		map->region = (struct vm_region){ .start = range->start, .end = range->end, .pager = map_fault,
			.flags = rights };
	if (!range || !map->region.start || !vm_add(&map->region)) {
		free(range);
		free(map);
		errno = ENOMEM;
		return MAP_FAILED;
	}
	free(range);
	map->pages = (uint32_t)pages;
	map->offset = offset;
	map->shared = shared;
	map->file = file;
	vfs_file_hold(file);
	map->next = maps;
	maps = map;
	uni_file_maps++;
	uni_maps_end = end_maps;
	vfs_unmap = cut_maps;
	uni_lend = lend;
	uni_give_back = give_back;
	return (void *)map->region.start;
}

/* Does its file system give pages out? */
static bool has_pages(struct vfs_file *file, uint64_t offset)
{
	const struct vfs_place *place = &file->place;
	struct buffer *page = NULL;
	int result;

	vfs_enter(place->mount);
	result = place->mount->fs->ops->page(place->node, offset, false, &page);
	if (!result && page)
		place->mount->fs->ops->page_put(place->node, page, false);
	vfs_leave(place->mount);
	return result != -ENODEV;
}

static void *map_open(struct vfs_file *file, size_t bytes, int protection, int flags, off_t offset)
{
	const struct fs_ops *ops = file->place.mount->fs->ops;
	bool write = protection & PROT_WRITE, shared = flags & MAP_SHARED || !write;
	uint64_t whole;
	const char *direct = ops->direct && !write ? ops->direct(file->place.node, &whole) : NULL;

	if (file->place.node->kind != FS_FILE)
		errno = ENODEV;
	else if (!(file->flags & VFS_READ) || (shared && write && !(file->flags & VFS_WRITE)) || protection & PROT_EXEC)
		errno = EACCES;
	else if (direct && (uint64_t)offset <= whole)
		return (void *)(direct + offset);
	else if (direct || offset % EXO_PAGE_SIZE)
		errno = EINVAL;
	else if (shared && !(shared = has_pages(file, (uint64_t)offset)) && flags & MAP_SHARED)
		errno = ENODEV;
	else
		return map_file(file, bytes, EXO_MAP_READ | (write ? EXO_MAP_WRITE : 0), shared, (uint64_t)offset);
	return MAP_FAILED;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int number, off_t offset)
{
	struct vfs_file *file;
	struct fd *fd;
	void *at;

	(void)address;
	if (!bytes || bytes > INT64_MAX || offset < 0 || (flags & MAP_FIXED)) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (flags & MAP_ANONYMOUS)
		return map_memory(bytes);
	file = uni_file(number, &fd, ENODEV);
	if (!file)
		return MAP_FAILED;
	at = map_open(file, bytes, protection, flags, offset);
	fd_put(fd);
	return at;
}

int munmap(void *address, size_t bytes)
{
	uint64_t at = (uint64_t)address;
	struct vm_region *region;

	if (at - core_begin->archive < core_begin->archive_bytes)
		return 0;
	region = vm_find(at);
	if (!region || region->start != at || region->end != at + PAGE_UP(bytes) ||
	    (region->pager != vm_zero_pager && region->pager != map_fault)) {
		errno = EINVAL;
		return -1;
	}
	if (region->pager == map_fault) {
		unmap_file((struct map *)region);
		return 0;
	}
	vm_remove(region);
	give_range(region);
	return 0;
}

int msync(void *address, size_t bytes, int flags)
{
	uint64_t at = (uint64_t)address;
	struct vm_region *region = vm_find(at);
	struct map *map = (struct map *)region;
	int result = 0;

	if (at % EXO_PAGE_SIZE || flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE) || (flags & MS_ASYNC && flags & MS_SYNC)) {
		errno = EINVAL;
		return -1;
	}
	if (at - core_begin->archive < core_begin->archive_bytes)
		return 0;
	if (!region || at + bytes > region->end) {
		errno = ENOMEM;
		return -1;
	}
	if (region->pager != map_fault || !map->shared)
		return 0;
	give_pages(map, 0);
	if (flags & MS_SYNC)
		result = vfs_fsync(map->file, false);
	return (int)uni_result(result);
}
