/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmap and its kin; the keeper's side of files is libos/keep/object.c.
 *
 * Each map is a region of vm.h with one of the pagers here; its `arg` says which kind it is. Anonymous and
 * private maps are private memory (memory.h): own frames, which fork shares copy-on-write; a private map of a
 * file begins with a copy of the file's page at the first touch. The pages of a shared map are the keeper's:
 * it maps them when they are asked for, here rights are only taken away. fork passes these regions by, and
 * the child asks for the pages again.
 *
 * A fault in a file's map is handled as the thread that faulted, which may wait for a disk. The keeper gives
 * a copy's bytes in the last page of the buffer, whose contents are kept, since the fault may come from a
 * request that has begun to fill it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "libos/core/space.h"
#include "libos/posix/call.h"
#include "libos/posix/cpus.h"
#include "libos/posix/map.h"
#include "libos/posix/memory.h"

#define TURNS		0x100	/* in a region's `arg`, beside its kind: pages are writable or executable by turns */

_Static_assert(PROT_READ == EXO_MAP_READ && PROT_WRITE == EXO_MAP_WRITE && PROT_EXEC == EXO_MAP_EXEC,
	       "the same bits");

static volatile exo_vaddr_t failed;		/* the page that could not be brought; 0: none */
static volatile exo_vaddr_t filled;		/* the page of a private map that is being filled; 0: none */

static CORE_UPCALL const char *memory_fault(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present);
static CORE_UPCALL const char *file_fault(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present);

CORE_UPCALL enum posix_map_kind posix_map_kind(const struct vm_region *region)
{
	return region->pager == memory_fault || region->pager == file_fault ?
		(enum posix_map_kind)((uint64_t)region->arg & ~TURNS) : POSIX_MAP_NONE;
}

/*
 * No page is writable and executable at once: such a map's pages are the one or the other, as they are used.
 */
static unsigned flags_of(int protection)
{
	unsigned flags = protection ? (unsigned)protection | EXO_MAP_READ : 0;

	return flags & EXO_MAP_WRITE ? flags & ~EXO_MAP_EXEC : flags;
}

static bool takes_turns(int protection)
{
	return protection & PROT_WRITE && protection & PROT_EXEC;
}

/* --- faults --------------------------------------------------------------------------------------------- */

static CORE_UPCALL const char *memory_fault(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	const char *why = NULL;

	if (access != VM_EXEC || !((uint64_t)region->arg & TURNS))
		return memory_zero(region, va, access, present);
	if (!present)
		why = memory_zero(region, va, VM_READ, false);
	if (!why && space_protect_page(PAGE_DOWN(va), EXO_MAP_READ | EXO_MAP_EXEC) < 0)
		why = "its memory may not be executed";
	return why;
}

/* An own frame with what the file has there. */
static int copy_page(struct vm_region *region, exo_vaddr_t va)
{
	char *last = posix_buffer + WIRE_BUFFER - EXO_PAGE_SIZE, kept[EXO_PAGE_SIZE];
	unsigned flags = region->flags;
	int64_t result = 0;

	posix_lock();
	if (!memory_there(va)) {		/* another thread may have brought it meanwhile */
		memcpy(kept, last, sizeof(kept));
		result = posix_ask(REQUEST_PAGE, va, WIRE_MAP_COPY, 0, NULL);
		if (!result && !memory_left(1))
			result = -ENOMEM;
		if (!result) {
			posix_cpus_recall_all();	/* who would see it half filled */
			filled = va;
			*(volatile unsigned *)&region->flags = EXO_MAP_READ | EXO_MAP_WRITE;
			*(volatile char *)va = 0;			/* faults */
			memcpy((void *)va, last, EXO_PAGE_SIZE);
			*(volatile unsigned *)&region->flags = flags;
			filled = 0;
			if (flags != (EXO_MAP_READ | EXO_MAP_WRITE))
				memory_protect(va, EXO_PAGE_SIZE, flags);
		}
		memcpy(last, kept, sizeof(kept));
	}
	posix_unlock();
	return (int)result;
}

int posix_map_touch(struct vm_region *region, exo_vaddr_t va)
{
	enum posix_map_kind kind = posix_map_kind(region);

	if (kind == POSIX_MAP_SHARED)
		return posix_ask(REQUEST_PAGE, va, 0, 0, NULL) ? -ENOMEM : 0;
	if (kind == POSIX_MAP_COPY && !memory_there(va))
		return copy_page(region, va) ? -ENOMEM : 0;
	if (!memory_left(1))
		return -ENOMEM;
	(void)*(volatile char *)va;
	return 0;
}

/* As the thread that faulted. */
static void bring(void *arg, struct exo_regs *regs)
{
	exo_vaddr_t va = PAGE_DOWN(regs->address);
	bool was = posix_enter(), write = regs->error & VM_ERROR_WRITE;
	struct vm_region *region = vm_find(va);
	enum posix_map_kind kind = region ? posix_map_kind(region) : POSIX_MAP_NONE;
	int64_t result = 0;

	(void)arg;
	if (kind == POSIX_MAP_COPY)
		result = copy_page(region, va);
	else if (kind == POSIX_MAP_SHARED)
		result = posix_ask(REQUEST_PAGE, va, write ? WIRE_MAP_WRITE : 0, 0, NULL);
	failed = result ? va : 0;		/* it faults once more, and is told then */
	posix_leave(was);
}

static CORE_UPCALL const char *file_fault(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	bool copy = posix_map_kind(region) == POSIX_MAP_COPY;

	if (access & ~region->flags && !(access == VM_EXEC && copy && (uint64_t)region->arg & TURNS))
		return "access against the page's rights";
	if (PAGE_DOWN(va) == failed)
		return "beyond the end of the file, or no memory for it";
	if (copy && (present || PAGE_DOWN(va) == filled || memory_there(va)))
		return memory_fault(region, va, access, present);
	if (core_disp->on.address != va)
		return "it is a file's: it cannot be touched here";
	return core_fault_defer(&core_disp->on, bring, NULL) ? NULL : "no stack to ask the keeper";
}

/* Which signal a fault is that nobody has resolved (signal_upcall.c). */
CORE_UPCALL int posix_fault_signal(uint64_t address, uint64_t error, int *code)
{
	bool bus = failed && PAGE_DOWN(address) == failed;

	failed = 0;
	*code = bus ? BUS_ADRERR : error & VM_ERROR_PRESENT || vm_find(address) ? SEGV_ACCERR : SEGV_MAPERR;
	return bus ? SIGBUS : SIGSEGV;
}

/* --- regions -------------------------------------------------------------------------------------------- */

static struct vm_region *make_region(exo_vaddr_t start, exo_vaddr_t end, unsigned flags, enum posix_map_kind kind)
{
	struct vm_region *region = memory_region_make();

	if (!region)
		return NULL;
	region->start = start;
	region->end = end;
	region->flags = flags;
	region->arg = (void *)(uint64_t)kind;
	region->pager = kind == POSIX_MAP_MEMORY ? memory_fault : file_fault;
	return region;
}

/* Make [start, va) and [va, end) of a map that contains va. False: no memory. */
static bool split_at(exo_vaddr_t va)
{
	struct vm_region *region = vm_find(va), *tail;

	if (!region || region->start == va || !posix_map_kind(region))
		return true;
	tail = make_region(va, region->end, region->flags, posix_map_kind(region));
	if (!tail)
		return false;
	tail->arg = region->arg;
	region->end = va;
	return vm_add(tail);
}

/* The first region that reaches beyond `va`. */
static struct vm_region *first_after(exo_vaddr_t va)
{
	struct vm_region *region = vm_first();

	while (region && region->end <= va)
		region = region->next;
	return region;
}

/* Is every page of it of a map? */
static bool all_mapped(exo_vaddr_t va, exo_vaddr_t end)
{
	for (struct vm_region *region = first_after(va); va < end; va = region->end, region = region->next)
		if (!region || region->start > va || !posix_map_kind(region))
			return false;
	return true;
}

/* Is nothing there but maps? */
static bool only_maps(exo_vaddr_t va, exo_vaddr_t end)
{
	for (struct vm_region *region = first_after(va); region && region->start < end; region = region->next)
		if (!posix_map_kind(region))
			return false;
	return va >= vm_addresses_left() && end <= core_begin->heap_end;
}

int posix_unmap(exo_vaddr_t va, exo_vaddr_t end)
{
	struct vm_region *region, *next;
	int64_t result;

	if (!split_at(va) || !split_at(end))
		return -ENOMEM;
	for (region = first_after(va); region && region->start < end; region = next) {
		enum posix_map_kind kind = posix_map_kind(region);

		next = region->next;
		if (!kind)
			continue;
		if (kind != POSIX_MAP_MEMORY) {
			result = posix_ask(REQUEST_UNMAP, region->start,
					   (region->end - region->start) / EXO_PAGE_SIZE, 0, NULL);
			if (result)
				return (int)result;
		}
		vm_remove(region);
		memory_region_free(region);
	}
	return 0;
}

/* --- mmap ----------------------------------------------------------------------------------------------- */

static int64_t place(void *address, uint64_t bytes, int flags, exo_vaddr_t *at)
{
	exo_vaddr_t wanted = (exo_vaddr_t)address;
	bool good = wanted % EXO_PAGE_SIZE == 0 && bytes <= EXO_USER_MAX && wanted <= EXO_USER_MAX - bytes &&
		only_maps(wanted, wanted + bytes);
	struct vm_region *there = good ? first_after(wanted) : NULL;
	bool taken = there && there->start < wanted + bytes;

	*at = wanted;
	if (flags & MAP_FIXED_NOREPLACE)
		return wanted % EXO_PAGE_SIZE ? -EINVAL : !good ? -ENOMEM : taken ? -EEXIST : 0;
	if (flags & MAP_FIXED)
		return wanted % EXO_PAGE_SIZE ? -EINVAL : !good ? -ENOMEM : posix_unmap(wanted, wanted + bytes);
	if (good && !taken)
		return 0;
	*at = memory_addresses(bytes);
	return *at ? 0 : -ENOMEM;
}

static int64_t make(void *address, uint64_t bytes, int protection, int flags, int fd, uint64_t offset,
		    exo_vaddr_t *at)
{
	bool anonymous = flags & MAP_ANONYMOUS, shared = flags & MAP_SHARED;
	enum posix_map_kind kind = shared ? POSIX_MAP_SHARED : anonymous ? POSIX_MAP_MEMORY : POSIX_MAP_COPY;
	int64_t result = memory_allowed(shared || !(protection & PROT_WRITE) ? 0 : bytes, bytes) ?
		place(address, bytes, flags, at) : -ENOMEM;
	struct vm_region *region;

	if (result)
		return result;
	region = make_region(*at, *at + bytes, flags_of(protection), kind);
	if (!region)
		return -ENOMEM;
	if (takes_turns(protection))
		region->arg = (void *)((uint64_t)region->arg | TURNS);
	if (kind != POSIX_MAP_MEMORY)
		result = posix_ask(REQUEST_MAP, (uint64_t)(anonymous ? -1 : fd),
				   *at | (shared ? 0 : WIRE_MAP_COPY) |
					   (protection & PROT_WRITE ? WIRE_MAP_WRITE : 0),
				   bytes / EXO_PAGE_SIZE << 32 | offset / EXO_PAGE_SIZE, NULL);
	if (!result && vm_add(region))
		return 0;
	memory_region_free(region);
	return result ? result : -ENOMEM;
}

int64_t posix_map_segment(int id, bool read_only, bool over, exo_vaddr_t *at)
{
	unsigned write = read_only ? 0 : EXO_MAP_WRITE;
	int how = !*at ? 0 : over ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	int64_t pages = posix_ask(REQUEST_SHMAT, (uint64_t)(int64_t)id, write ? WIRE_MAP_WRITE : 0, 0, NULL);
	struct vm_region *region;
	int64_t result = pages;

	if (pages < 0)
		return pages;
	result = memory_allowed(0, (uint64_t)pages * EXO_PAGE_SIZE) ?
		place((void *)*at, (uint64_t)pages * EXO_PAGE_SIZE, how, at) : -ENOMEM;
	if (result)
		return how ? -EINVAL : result;
	region = make_region(*at, *at + (uint64_t)pages * EXO_PAGE_SIZE, EXO_MAP_READ | write, POSIX_MAP_SHARED);
	if (!region)
		return -ENOMEM;
	result = posix_ask(REQUEST_SHMAT, (uint64_t)(int64_t)id, *at | (write ? WIRE_MAP_WRITE : 0), 0, NULL);
	if (result == pages && vm_add(region))
		return 0;
	memory_region_free(region);
	if (result == pages)
		(void)posix_ask(REQUEST_UNMAP, *at, (uint64_t)pages, 0, NULL);
	return result < 0 ? result : -ENOMEM;
}

static bool bad_protection(int protection)
{
	return protection & ~(PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* The device that reads as zeros maps as memory, of one's own or shared. ENODEV: it is another one. */
static int64_t of_zeros(int fd, int protection, int flags)
{
	struct stat st;
	int mode;

	if (fstat(fd, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 5))
		return -ENODEV;
	mode = fcntl(fd, F_GETFL) & O_ACCMODE;
	return mode == O_WRONLY || (mode == O_RDONLY && protection & PROT_WRITE && flags & MAP_SHARED) ? -EACCES : 0;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	int kind = flags & (MAP_SHARED | MAP_PRIVATE);
	exo_vaddr_t at = 0;
	int64_t result;
	bool was;

	if (flags & MAP_ANONYMOUS)
		offset = 0;
	if (!bytes || bad_protection(protection) || kind == 0 || kind == (MAP_SHARED | MAP_PRIVATE) ||
	    offset % EXO_PAGE_SIZE)
		result = -EINVAL;
	else if (takes_turns(protection) && flags & MAP_SHARED)
		result = -ENOTSUP;
	else if (!(flags & MAP_ANONYMOUS) && fd < 0)
		result = -EBADF;
	else if (offset < 0)
		result = -EOVERFLOW;
	else if (bytes > EXO_USER_MAX)
		result = -ENOMEM;
	else if (!(flags & MAP_PRIVATE && flags & MAP_ANONYMOUS) &&
		 ((uint64_t)offset + PAGE_UP(bytes)) / EXO_PAGE_SIZE > UINT32_MAX)
		result = flags & MAP_ANONYMOUS ? -ENOMEM : -EOVERFLOW;
	else {
		was = posix_enter();
		result = make(address, PAGE_UP(bytes), protection, flags, fd, (uint64_t)offset, &at);
		if (!result && posix_locks_new)
			posix_locks_new(at, at + PAGE_UP(bytes));
		posix_leave(was);
	}
	if (!result)
		return (void *)at;
	if (result == -ENODEV)
		result = of_zeros(fd, protection, flags);
	if (!result)
		return mmap(address, bytes, protection, flags | MAP_ANONYMOUS, -1, 0);
	errno = (int)-result;
	return MAP_FAILED;
}

int munmap(void *address, size_t bytes)
{
	exo_vaddr_t va = (exo_vaddr_t)address;
	int64_t result = -EINVAL;
	bool was;

	if (va % EXO_PAGE_SIZE == 0 && bytes && va < EXO_USER_MAX && bytes <= EXO_USER_MAX - va) {
		was = posix_enter();
		result = posix_unmap(va, va + PAGE_UP(bytes));
		posix_leave(was);
	}
	return (int)posix_result(result);
}

/* Rights that the keeper gave go; those that it may give are given page by page, at faults. */
static void protect_shared(struct vm_region *region, unsigned flags)
{
	unsigned both = region->flags & flags;
	uint64_t pages = (region->end - region->start) / EXO_PAGE_SIZE;

	if (!both)
		space_map(region->start, 0, EXO_CAP_NONE, 0, (uint32_t)pages);
	else if (both != region->flags)
		space_protect(region->start, both, (uint32_t)pages);
}

static int64_t protect(struct vm_region *region, int protection)
{
	bool shared = posix_map_kind(region) == POSIX_MAP_SHARED;
	unsigned flags = flags_of(protection);

	/* A shared map of what was opened to be read may never be written. */
	if (shared && flags & ~region->flags & EXO_MAP_WRITE &&
	    posix_ask(REQUEST_PAGE, region->start, WIRE_MAP_WRITE, 0, NULL) == -EACCES)
		return -EACCES;
	if (shared && takes_turns(protection))
		return -ENOTSUP;
	if (shared)
		protect_shared(region, flags);
	region->flags = flags;
	region->arg = (void *)((uint64_t)posix_map_kind(region) | (takes_turns(protection) ? TURNS : 0));
	if (!shared)
		memory_protect(region->start, region->end - region->start, flags);
	return 0;
}

/* How much of private memory in there may not be written yet: it counts for RLIMIT_DATA when it may. */
static uint64_t not_yet_own(exo_vaddr_t va, exo_vaddr_t end)
{
	uint64_t bytes = 0;

	for (const struct vm_region *region = first_after(va); region && region->start < end; region = region->next)
		if (posix_map_kind(region) != POSIX_MAP_SHARED && !(region->flags & EXO_MAP_WRITE))
			bytes += region->end - region->start;
	return bytes;
}

int mprotect(void *address, size_t bytes, int protection)
{
	exo_vaddr_t va = (exo_vaddr_t)address, end = va + PAGE_UP(bytes);
	struct vm_region *region;
	int64_t result = 0;

	if (va % EXO_PAGE_SIZE || bad_protection(protection))
		return (int)posix_result(-EINVAL);
	bool was = posix_enter();
	if (end < va || !all_mapped(va, end))
		result = -ENOMEM;
	else if (!split_at(va) || !split_at(end))
		result = -ENOMEM;
	else if (protection & PROT_WRITE && !memory_allowed(not_yet_own(va, end), 0))
		result = -ENOMEM;
	for (region = first_after(va); !result && region && region->start < end; region = region->next)
		result = protect(region, protection);
	posix_leave(was);
	return (int)posix_result(result);
}

int msync(void *address, size_t bytes, int flags)
{
	exo_vaddr_t va = (exo_vaddr_t)address, end = va + PAGE_UP(bytes);
	int64_t result = 0;

	if (va % EXO_PAGE_SIZE || flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE) ||
	    (flags & MS_ASYNC && flags & MS_SYNC))
		return (int)posix_result(-EINVAL);
	bool was = posix_enter();
	if (end < va || !all_mapped(va, end))
		result = -ENOMEM;
	else if (flags & MS_INVALIDATE && posix_locked && posix_locked())
		result = -EBUSY;
	else
		result = posix_ask(REQUEST_MSYNC, va, (end - va) / EXO_PAGE_SIZE, (uint64_t)flags, NULL);
	posix_leave(was);
	return (int)posix_result(result);
}

/* 0, or an errno value. */
static int advise(void *address, size_t bytes, bool forget)
{
	exo_vaddr_t va = (exo_vaddr_t)address, end = va + PAGE_UP(bytes);
	int error = 0;

	if (va % EXO_PAGE_SIZE)
		return EINVAL;
	bool was = posix_enter();
	if (end < va || !all_mapped(va, end))
		error = ENOMEM;
	if (error || !forget)
		end = 0;
	for (struct vm_region *region = first_after(va); region && region->start < end; region = region->next) {
		exo_vaddr_t from = va > region->start ? va : region->start;
		exo_vaddr_t to = end < region->end ? end : region->end;
		if (posix_map_kind(region) != POSIX_MAP_SHARED)
			memory_discard(from, to - from);
	}
	posix_leave(was);
	return error;
}

int posix_madvise(void *address, size_t bytes, int advice)
{
	if (advice < POSIX_MADV_NORMAL || advice > POSIX_MADV_DONTNEED)
		return EINVAL;
	return advise(address, bytes, false);
}

int madvise(void *address, size_t bytes, int advice)
{
	int error = EINVAL;

	if ((advice >= MADV_NORMAL && advice <= MADV_DONTNEED) || advice == MADV_FREE)
		error = advise(address, bytes, advice == MADV_DONTNEED);
	return (int)posix_result(-error);
}
