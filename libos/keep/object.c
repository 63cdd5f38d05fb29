/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that processes share: pages of files, as they lie in their file system's cache, mapped in the
 * processes' spaces by the keeper through its own capabilities. So reads and writes of the file see the same
 * bytes, a process holds nothing that could outlive it, and the keeper can cut any page. A memory object
 * (shm_open) is a file below /dev/shm, where a file system in memory is; memory without a name is a file
 * there that has none.
 *
 * An *object* is a file that somebody has mapped; a *map* says where a process has pages of it. Private
 * mappings have maps, too, but no page of the file is ever mapped for them: a process is given a copy.
 *
 * O1 a page that a process can reach is in `held`, with its buffer; nothing of it is mapped any more when it
 * is put back
 * O2 pages are mapped for writing only while `written`, through the capability that may write; else through
 * one that may not
 * O3 the lock is taken before a file system's, and never while one of these is held
 * O4 an object lives as long as a map is of it, and counts them; no map is of a process that is gone
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "libos/disk/disk.h"
#include "libos/keep/files.h"
#include "libos/keep/object.h"
#include "libos/keep/private.h"

#define FOLDER		"/dev/shm"
#define QUEUES		16		/* of an object, for words: by address */
#define MAPS_MAX	1024		/* of a process */
#define HELD_LEAST	64		/* pages of a disk's file that are held at most, if its cache is small */

struct page {
	struct page *next;		/* of the object */
	uint64_t number;
	struct buffer *buffer;
	bool written;
};

struct object {
	struct object *next;
	struct vfs_file *file;
	uint32_t maps, held;
	struct page *pages;		/* the one that was wanted last is first */
	struct keep_queue queue[QUEUES];
};

struct map {
	struct map *next;		/* of the process */
	struct object *object;
	exo_vaddr_t va;
	uint64_t pages, first;
	bool copy, write;
};

static struct thread_mutex lock;
static struct object *objects;
void (*keep_object_unmapped)(const struct fs_node *node, const struct keep_process *process);
static struct map *maps[WIRE_PROCESSES];
static uint32_t map_count[WIRE_PROCESSES];

/* A part of a capability of the keeper's memory, which may be read only. */
static struct reader {
	struct reader *next;
	exo_cap_t cap, readable;
	uint32_t first, count;
} *readers;

/*
 * One that frame `*first` of a capability can be mapped through to be read; *first counts in that one then.
 */
static exo_cap_t readable(exo_cap_t cap, uint32_t *first)
{
	const struct exo_cap *whole = caps_at(exo_cap_slot(cap));
	uint32_t from = *first / EXO_RANGE_MAX * EXO_RANGE_MAX, count;
	struct reader *reader;
	int64_t derived;

	for (reader = readers; reader; reader = reader->next)
		if (reader->cap == cap && *first - reader->first < reader->count) {
			*first -= reader->first;
			return reader->readable;
		}
	if (!whole || whole->count <= *first)
		return EXO_CAP_NONE;
	count = whole->count - from < EXO_RANGE_MAX ? whole->count - from : EXO_RANGE_MAX;
	reader = malloc(sizeof(*reader));
	derived = reader ? caps_derive(cap, EXO_RIGHT_READ, from, count) : -EXO_EFULL;
	if (derived < 0) {
		free(reader);
		return EXO_CAP_NONE;
	}
	*reader = (struct reader){ readers, cap, (exo_cap_t)derived, from, count };
	readers = reader;
	*first -= from;
	return reader->readable;
}

/* --- pages ---------------------------------------------------------------------------------------------- */

static void cut(const struct keep_process *process, exo_vaddr_t va)
{
	struct exo_map *map = core_arg(0);

	if (!process->space)
		return;
	*map = (struct exo_map){ va, EXO_CAP_NONE, 0, 1, 0 };
	exo_space_write(process->space, 0, 1);
}

/* Nobody has this page mapped any more. */
static void cut_all(const struct object *object, uint64_t number)
{
	for (uint32_t i = 0; i < keep_used; i++)
		for (const struct map *map = maps[i]; map; map = map->next)
			if (map->object == object && !map->copy && number - map->first < map->pages)
				cut(&keep_process[i], map->va + (number - map->first) * EXO_PAGE_SIZE);
}

static struct page *find_page(struct object *object, uint64_t number)
{
	for (struct page **link = &object->pages, *page; (page = *link); link = &page->next) {
		if (page->number != number)
			continue;
		*link = page->next;
		page->next = object->pages;
		return object->pages = page;
	}
	return NULL;
}

static void put_page(struct object *object, struct page *page)
{
	const struct vfs_place *place = &object->file->place;
	struct page **link = &object->pages;

	cut_all(object, page->number);
	while (*link != page)
		link = &(*link)->next;
	*link = page->next;
	object->held--;
	vfs_enter(place->mount);
	place->mount->fs->ops->page_put(place->node, page->buffer, page->written);
	vfs_leave(place->mount);
	free(page);
}

static void put_pages(struct object *object, uint64_t from, uint64_t end)
{
	struct page *next;

	for (struct page *page = object->pages; page; page = next) {
		next = page->next;
		if (page->number >= from && page->number < end)
			put_page(object, page);
	}
}

/* The page that was wanted longest ago, but for the first. */
static bool put_oldest(struct object *object)
{
	struct page *page = object->pages;

	while (page && page->next)
		page = page->next;
	if (!page)
		return false;
	put_page(object, page);
	return true;
}

static int ask(struct object *object, uint64_t number, bool write, struct buffer **buffer)
{
	const struct vfs_place *place = &object->file->place;
	int result;

	do {
		vfs_enter(place->mount);
		result = place->mount->fs->ops->page(place->node, number * EXO_PAGE_SIZE, write, buffer);
		vfs_leave(place->mount);
	} while (result == -ENOMEM && put_oldest(object));
	return result;
}

/* Is there such a page in the file now? */
static int inside(const struct object *object, uint64_t number)
{
	struct fs_attributes attributes;
	int result = vfs_attributes(&object->file->place, &attributes);

	return result ? result : number * EXO_PAGE_SIZE < attributes.bytes ? 0 : -ENXIO;
}

/* Have a page, to be written or not. */
static int get_page(struct object *object, uint64_t number, bool write, struct page **out)
{
	const struct cache *cache = object->file->place.mount->fs->cache;
	uint32_t part = cache ? cache_pages(cache) / 4 : UINT32_MAX, most = part > HELD_LEAST ? part : HELD_LEAST;
	struct page *page = find_page(object, number);
	struct buffer *buffer = NULL;
	int result = inside(object, number);

	if (!result && page && write && !page->written) {
		put_page(object, page);
		page = NULL;
	}
	*out = page;
	if (result || page)
		return result;
	while (object->held >= most && put_oldest(object))
		;
	page = malloc(sizeof(*page));
	result = page ? ask(object, number, write, &buffer) : -ENOMEM;
	if (!result && !buffer)			/* a hole: it has a block from now on */
		result = ask(object, number, write = true, &buffer);
	if (result) {
		free(page);
		return result;
	}
	*page = (struct page){ object->pages, number, buffer, write };
	object->pages = page;
	object->held++;
	*out = page;
	return 0;
}

/* --- objects and maps ----------------------------------------------------------------------------------- */

static struct object *object_of(struct vfs_file *file)
{
	struct object *object;

	for (object = objects; object; object = object->next)
		if (object->file->place.node == file->place.node)
			return object;
	object = calloc(1, sizeof(*object));
	if (!object)
		return NULL;
	vfs_file_hold(file);
	object->file = file;
	object->next = objects;
	return objects = object;
}

static void object_end(struct object *object)
{
	struct object **link = &objects;

	put_pages(object, 0, UINT64_MAX);
	while (*link != object)
		link = &(*link)->next;
	*link = object->next;
	vfs_file_put(object->file);
	free(object);
}

static void map_end(const struct keep_process *process, struct map *map)
{
	const struct fs_node *node = map->object->file->place.node;

	map_count[process->index]--;
	if (--map->object->maps == 0)
		object_end(map->object);
	free(map);
	if (keep_object_unmapped)
		keep_object_unmapped(node, process);
}

static struct map *find_map(const struct keep_process *process, exo_vaddr_t va)
{
	for (struct map *map = maps[process->index]; map; map = map->next)
		if (va - map->va < map->pages * EXO_PAGE_SIZE)
			return map;
	return NULL;
}

static bool add_map(const struct keep_process *process, const struct map *like)
{
	struct map *map = map_count[process->index] < MAPS_MAX ? malloc(sizeof(*map)) : NULL;

	if (!map)
		return false;
	map_count[process->index]++;
	*map = *like;
	map->next = maps[process->index];
	maps[process->index] = map;
	map->object->maps++;
	return true;
}

/* Costs what is smaller: the pages of the range, or those of the object that are held (O1). */
static void cut_range(const struct keep_process *process, const struct map *map, exo_vaddr_t from, exo_vaddr_t to)
{
	uint64_t first = map->first + (from - map->va) / EXO_PAGE_SIZE, count = (to - from) / EXO_PAGE_SIZE;

	if (count <= map->object->held) {
		for (exo_vaddr_t at = from; at < to; at += EXO_PAGE_SIZE)
			cut(process, at);
		return;
	}
	for (const struct page *page = map->object->pages; page; page = page->next)
		if (page->number - first < count)
			cut(process, from + (page->number - first) * EXO_PAGE_SIZE);
}

/* What a process has in [va, end) goes. -ENOMEM: a map had to become two; nothing has changed. */
static int unmap(struct keep_process *process, exo_vaddr_t va, exo_vaddr_t end)
{
	struct map **link = &maps[process->index], *map;

	while ((map = *link)) {
		exo_vaddr_t map_end_va = map->va + map->pages * EXO_PAGE_SIZE;
		exo_vaddr_t from = va > map->va ? va : map->va, to = end < map_end_va ? end : map_end_va;
		struct map tail = *map;

		if (from >= to) {
			link = &map->next;
			continue;
		}
		tail.va = to;
		tail.first += (to - map->va) / EXO_PAGE_SIZE;
		tail.pages = (map_end_va - to) / EXO_PAGE_SIZE;
		if (from > map->va && tail.pages && !add_map(process, &tail))
			return -ENOMEM;
		if (!map->copy)
			cut_range(process, map, from, to);
		if (from > map->va) {
			map->pages = (from - map->va) / EXO_PAGE_SIZE;
		} else if (tail.pages) {
			map->va = tail.va;
			map->first = tail.first;
			map->pages = tail.pages;
		} else {
			*link = map->next;
			map_end(process, map);
			continue;
		}
		link = &map->next;
	}
	return 0;
}

void keep_object_exit(struct keep_process *process)
{
	struct map *map;

	if (!maps[process->index])
		return;
	thread_lock(&lock, EXO_NEVER);
	while ((map = maps[process->index])) {
		maps[process->index] = map->next;
		for (unsigned i = 0; i < QUEUES; i++)
			keep_wake(&map->object->queue[i]);	/* it may have held what others wait for */
		map_end(process, map);
	}
	thread_unlock(&lock);
}

int64_t keep_object_forked(struct keep_process *child, struct keep_process *parent)
{
	int result = 0;

	if (!maps[parent->index])
		return 0;
	thread_lock(&lock, EXO_NEVER);
	for (const struct map *map = maps[parent->index]; map && !result; map = map->next)
		if (!add_map(child, map))
			result = -ENOMEM;
	thread_unlock(&lock);
	if (result)
		keep_object_exit(child);
	return result;
}

/* A file is going to be cut: pages behind its end are nobody's. */
static void cut_file(const struct fs_node *node, uint64_t from)
{
	thread_lock(&lock, EXO_NEVER);
	for (struct object *object = objects; object; object = object->next)
		if (object->file->place.node == node)
			put_pages(object, PAGE_UP(from) / EXO_PAGE_SIZE, UINT64_MAX);
	thread_unlock(&lock);
}

/* Called by the checker (check.c). */
const char *keep_object_check(void)
{
	uint64_t all = 0, counted = 0;

	if (lock.owner)
		return NULL;
	for (uint32_t i = 0; i < keep_used; i++)
		for (const struct map *map = maps[i]; map; map = map->next, all++)
			if (keep_process[i].state == KEEP_FREE)
				return "O4: a map of a process that is gone";
	for (const struct object *object = objects; object; object = object->next) {
		uint32_t held = 0;

		for (const struct page *page = object->pages; page; page = page->next)
			held++;
		if (!object->maps || held != object->held)
			return "O4: an object that nobody has mapped, or with other pages than it holds";
		counted += object->maps;
	}
	return counted == all ? NULL : "O4: more or fewer maps than objects count";
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* A file of so many pages that has no name. */
int keep_object_nameless(uint64_t pages, struct vfs_file **file)
{
	static uint32_t number;
	char name[sizeof(FOLDER) + 16];
	int result;

	core_format(name, sizeof(name), FOLDER "/.%u", number++);
	result = vfs_open(NULL, name, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, 0600, file);
	if (result)
		return result;
	vfs_unlink(NULL, name, false);
	result = vfs_truncate(*file, pages * EXO_PAGE_SIZE);
	if (result)
		vfs_file_put(*file);
	return result;
}

static int has_pages(struct vfs_file *file)
{
	const struct vfs_place *place = &file->place;
	struct buffer *page = NULL;
	int result;

	vfs_enter(place->mount);
	result = place->mount->fs->ops->page ? place->mount->fs->ops->page(place->node, 0, false, &page) : -ENODEV;
	if (!result && page)
		place->mount->fs->ops->page_put(place->node, page, false);
	vfs_leave(place->mount);
	return result == -ENODEV ? -ENODEV : 0;
}

/* Which file, held; may the process map it so? */
static int file_of(struct keep_process *process, int64_t fd, const struct map *map, struct vfs_file **file)
{
	const struct keep_file *open;
	int mode;

	if (fd == -1)
		return map->copy ? -EINVAL : keep_object_nameless(map->pages, file);
	open = keep_fd_file(process, fd);
	if (!open)
		return -EBADF;
	*file = keep_fd_vfs(process, fd);
	if (!*file)
		return -ENODEV;
	mode = open->flags & O_ACCMODE;
	if (mode == O_WRONLY || (map->write && !map->copy && mode != O_RDWR))
		return -EACCES;
	vfs_file_hold(*file);
	if (!map->copy && has_pages(*file)) {
		vfs_file_put(*file);
		return -ENODEV;
	}
	return 0;
}

/* In place of whatever is there. */
static int64_t put_map(struct keep_process *process, struct vfs_file *file, struct map *map)
{
	int64_t result;

	thread_lock(&lock, EXO_NEVER);
	result = unmap(process, map->va, map->va + map->pages * EXO_PAGE_SIZE);
	if (!result) {
		map->object = object_of(file);
		if (!map->object || !add_map(process, map)) {
			result = -ENOMEM;
			if (map->object && !map->object->maps)
				object_end(map->object);
		}
	}
	thread_unlock(&lock);
	return result;
}

static bool outside(const struct map *map)
{
	return !map->pages || map->va >= EXO_USER_MAX || map->pages > (EXO_USER_MAX - map->va) / EXO_PAGE_SIZE;
}

int64_t keep_object_attach(struct keep_process *process, struct vfs_file *file, exo_vaddr_t va, uint64_t pages,
			   bool write)
{
	struct map map = { .va = va, .pages = pages, .write = write };

	return outside(&map) ? -EINVAL : put_map(process, file, &map);
}

uint32_t keep_object_maps(const struct fs_node *node)
{
	for (const struct object *object = objects; object; object = object->next)
		if (object->file->place.node == node)
			return object->maps;
	return 0;
}

uint64_t keep_object_at(const struct keep_process *process, exo_vaddr_t va, const struct fs_node **node)
{
	const struct map *map = find_map(process, va);

	if (!map || map->va != va || map->copy)
		return 0;
	*node = map->object->file->place.node;
	return map->pages;
}

static int64_t map_request(struct keep_request *request)
{
	struct keep_process *process = request->process;
	int64_t fd = (int64_t)request->word[0];
	struct map map = { .va = PAGE_DOWN(request->word[1]), .pages = request->word[2] >> 32,
		.first = (uint32_t)request->word[2], .copy = request->word[1] & WIRE_MAP_COPY,
		.write = request->word[1] & WIRE_MAP_WRITE };
	const struct keep_file *open = keep_fd_file(process, fd);
	struct vfs_file *file = NULL;
	int64_t result;

	if (outside(&map))
		return -EINVAL;
	result = file_of(process, fd, &map, &file);
	if (result)
		return result;
	map.write = fd == -1 || (open && (open->flags & O_ACCMODE) == O_RDWR);
	result = put_map(process, file, &map);
	if (!result && vfs_machine) {
		const struct fs_attributes read = { .accessed = vfs_machine->now() };
		vfs_set(&file->place, &read, FS_SET_ACCESSED | FS_SET_USE);
	}
	vfs_file_put(file);
	return result;
}

static int64_t unmap_request(struct keep_request *request)
{
	exo_vaddr_t va = request->word[0];
	uint64_t pages = request->word[1];
	int64_t result;

	if (va % EXO_PAGE_SIZE || pages > EXO_USER_MAX / EXO_PAGE_SIZE || va > EXO_USER_MAX)
		return -EINVAL;
	thread_lock(&lock, EXO_NEVER);
	result = unmap(request->process, va, va + pages * EXO_PAGE_SIZE);
	thread_unlock(&lock);
	return result;
}

/* Map a page that is held in a process. */
static int64_t show(struct keep_process *process, exo_vaddr_t va, const struct page *page, bool write)
{
	uint32_t first, run;
	exo_cap_t cap;

	if (!process->body || process->ending || !disk_frame(page->buffer->data, &cap, &first, &run, 1))
		return -ENOMEM;
	if (!write && !(cap = readable(cap, &first)))
		return -ENOMEM;
	return body_map(process->body, va, EXO_MAP_READ | (write ? EXO_MAP_WRITE : 0), cap, first, 1);
}

static int64_t copy_page(struct keep_request *request, const struct map *map, uint64_t number)
{
	char *to = request->data + WIRE_BUFFER - EXO_PAGE_SIZE;
	int64_t done = vfs_pread(map->object->file, to, EXO_PAGE_SIZE, number * EXO_PAGE_SIZE);

	if (done >= 0)
		memset(to + done, 0, EXO_PAGE_SIZE - (size_t)done);
	return done == 0 ? -ENXIO : done < 0 ? done : 0;
}

static int64_t page_request(struct keep_request *request)
{
	exo_vaddr_t va = PAGE_DOWN(request->word[0]);
	bool write = request->word[1] & WIRE_MAP_WRITE;
	struct page *page;
	struct map *map;
	int64_t result;

	thread_lock(&lock, EXO_NEVER);
	map = find_map(request->process, va);
	if (!map || map->copy != !!(request->word[1] & WIRE_MAP_COPY) || (write && !map->write)) {
		result = -EACCES;
	} else {
		uint64_t number = map->first + (va - map->va) / EXO_PAGE_SIZE;
		if (map->copy) {
			result = copy_page(request, map, number);
		} else {
			result = get_page(map->object, number, write, &page);
			if (!result)
				result = show(request->process, va, page, write && page->written);
		}
	}
	thread_unlock(&lock);
	return result;
}

static int64_t msync_request(struct keep_request *request)
{
	exo_vaddr_t va = request->word[0], end = va + request->word[1] * EXO_PAGE_SIZE;
	int64_t result = 0;

	if (va % EXO_PAGE_SIZE || request->word[1] > EXO_USER_MAX / EXO_PAGE_SIZE)
		return -EINVAL;
	thread_lock(&lock, EXO_NEVER);
	for (struct map *map = maps[request->process->index]; map && !result; map = map->next) {
		exo_vaddr_t from = va > map->va ? va : map->va, to = map->va + map->pages * EXO_PAGE_SIZE;

		if (to > end)
			to = end;
		if (from >= to || map->copy)
			continue;
		uint64_t first = map->first + (from - map->va) / EXO_PAGE_SIZE;
		put_pages(map->object, first, first + (to - from) / EXO_PAGE_SIZE);	/* its times change, too */
		if (request->word[2] & MS_SYNC)
			result = vfs_fsync(map->object->file, false);
	}
	thread_unlock(&lock);
	return result;
}

/* --- words ---------------------------------------------------------------------------------------------- */

static struct keep_queue *queue_of(const struct map *map, uint64_t number, uint64_t at)
{
	return &map->object->queue[(number * 7 + at / 4) % QUEUES];
}

static int64_t word_wait(struct keep_request *request)
{
	uint64_t at = request->word[0] % EXO_PAGE_SIZE, number;
	struct map *map = find_map(request->process, request->word[0]);
	struct page *page;

	if (!map || map->copy || at % 4)
		return -ENODEV;
	number = map->first + (request->word[0] - map->va) / EXO_PAGE_SIZE;
	page = find_page(map->object, number);
	if (!page || *(volatile uint32_t *)((char *)page->buffer->data + at) != (uint32_t)request->word[1])
		return -EAGAIN;
	keep_wait(queue_of(map, number, at), request->process);
	return WIRE_WAIT;
}

static int64_t word_wake(struct keep_request *request)
{
	struct map *map = find_map(request->process, request->word[0]);

	if (!map || map->copy)
		return -ENODEV;
	keep_wake(queue_of(map, map->first + (request->word[0] - map->va) / EXO_PAGE_SIZE,
			   request->word[0] % EXO_PAGE_SIZE));
	return 0;
}

static int64_t alive(struct keep_request *request)
{
	const struct keep_process *process = keep_find((pid_t)request->word[0]);

	return process && !process->ending && (process->state == KEEP_RUNNING || process->state == KEEP_STOPPED);
}

/* Where memory objects lie: pages of this can be mapped. Everybody may make some. */
static void mount_folder(void)
{
	const struct fs_attributes all = { .mode = 01777 };
	const struct fs_mount how = { .options = "", .now = vfs_machine ? vfs_machine->now : NULL,
				     .pages = keep_pages,
		.pages_free = keep_pages_free,
		.room = keep_room };
	struct vfs_place place;

	if (vfs_mount(FOLDER, &fs_memory, &how) || vfs_find(NULL, FOLDER, true, &place))
		return;
	vfs_set(&place, &all, FS_SET_MODE);
	vfs_put(place.mount, place.node);
}

void keep_object_start(void)
{
	mount_folder();
	vfs_unmap = cut_file;
	keep_serve(REQUEST_MAP, map_request);
	keep_serve(REQUEST_UNMAP, unmap_request);
	keep_serve(REQUEST_PAGE, page_request);
	keep_serve(REQUEST_MSYNC, msync_request);
	keep_serve(REQUEST_WORD_WAIT, word_wait);
	keep_serve(REQUEST_WORD_WAKE, word_wake);
	keep_serve(REQUEST_ALIVE, alive);
}
