/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Allocator of the transmit frames: pages divided into blocks of one size, and runs of whole pages.
 *
 * lwIP's packets, connections and queues all come from here, so that a packet can be sent from where it was made. Sizes
 * are few and lives are short, so a page serves one size while any block of it is in use; it goes back when the last
 * is freed. What a block is follows from its page's entry: there are no headers. Cost: a few tens of instructions.
 *
 * P1 a page is in free_map iff its kind is FREE; the pages of a run are RUN, then REST
 * P2 a divided page is in the list of its size iff it has a free block; its free blocks are linked by their index
 *
 * The last freed blocks of each size are kept at hand, in use as far as their pages know, until somebody finds nothing.
 */
#include <string.h>
#include "libos/core/space.h"
#include "libos/net/memory.h"
#include "libos/vm/vm.h"
#include <exo/flow.h>

#define SIZES		6	/* 64 .. 2048 bytes */
#define SIZE_SHIFT_MIN	6
#define BLOCK_MAX	2048
#define PAGES_MAX	EXO_TX_FRAMES_MAX
#define NO_PAGE		0xffff
#define NO_BLOCK	0xff
#define RUN_TRIES	12

enum { FREE = 0, RUN = 100, REST = 101 };	/* else: 1 + size index */

struct page {
	uint8_t kind;
	uint8_t used;		/* blocks */
	uint8_t first;		/* free block */
	uint16_t next, prev;	/* of the list of its size */
};

static char *base;
static size_t all;	/* bytes of the run; `pages` of it are the stack's */
static uint32_t pages, pages_free;
static uint64_t free_map[PAGES_MAX / 64];
static struct page page_table[PAGES_MAX];
static uint16_t size_list[SIZES];
static uint64_t failures;
static uint8_t wanted;		/* bit i: a block of size i was refused, SIZES: a run */

/* Blocks at hand, linked by their first words. */
#define AT_HAND		16
#define AT_HAND_SMALL	192	/* of the sizes of which a burst of segments takes many: those below ... */
#define SIZE_SMALL	2
static struct {
	unsigned count;
	void *first;
} at_hand[SIZES];

static inline void *at_hand_take(unsigned size)
{
	void *block = at_hand[size].first;

	at_hand[size].first = *(void **)block;
	at_hand[size].count--;
	return block;
}

/* The last of the smallest size: lwIP cannot do without its timers, which it frees and takes again all the time. */
#define RESERVE	32
static char reserve[RESERVE][1 << SIZE_SHIFT_MIN] __attribute__((aligned(1 << SIZE_SHIFT_MIN)));
static uint32_t reserve_used;	/* bit i: block i */

static char *page_address(uint32_t page)
{
	return base + (size_t)page * EXO_PAGE_SIZE;
}

static void page_release(uint32_t page)
{
	page_table[page].kind = FREE;
	free_map[page / 64] |= 1ULL << page % 64;
	pages_free++;
}

static void page_use(uint32_t page, uint8_t kind)
{
	page_table[page].kind = kind;
	free_map[page / 64] &= ~(1ULL << page % 64);
	pages_free--;
}

static uint32_t page_find(void)
{
	for (uint32_t i = 0; i < PAGES_MAX / 64; i++) {
		if (free_map[i])
			return i * 64 + (uint32_t)__builtin_ctzll(free_map[i]);
	}
	return NO_PAGE;
}

static void *run_alloc(uint32_t count)
{
	uint32_t length = 0;

	for (uint32_t page = pages; page-- > 0;) {
		length = page_table[page].kind == FREE ? length + 1 : 0;
		if (length < count)
			continue;
		for (uint32_t i = 0; i < count; i++)
			page_use(page + i, i ? REST : RUN);
		return page_address(page);
	}
	return NULL;
}

static __attribute__((noinline)) void run_free(uint32_t page)
{
	do
		page_release(page++);
	while (page < pages && page_table[page].kind == REST);
}

static void list_add(unsigned size, uint32_t page)
{
	page_table[page].prev = NO_PAGE;
	page_table[page].next = size_list[size];
	if (size_list[size] != NO_PAGE)
		page_table[size_list[size]].prev = (uint16_t)page;
	size_list[size] = (uint16_t)page;
}

static void list_remove(unsigned size, uint32_t page)
{
	struct page *entry = &page_table[page];

	if (entry->prev == NO_PAGE)
		size_list[size] = entry->next;
	else
		page_table[entry->prev].next = entry->next;
	if (entry->next != NO_PAGE)
		page_table[entry->next].prev = entry->prev;
}

/* Divide a free page into blocks of a size. */
static bool divide(unsigned size)
{
	unsigned shift = SIZE_SHIFT_MIN + size, blocks = EXO_PAGE_SIZE >> shift;
	uint32_t page = page_find();

	if (page == NO_PAGE)
		return false;
	page_use(page, (uint8_t)(1 + size));
	page_table[page].used = 0;
	page_table[page].first = 0;
	for (unsigned i = 0; i < blocks; i++)
		*(uint8_t *)(page_address(page) + (i << shift)) = (uint8_t)(i + 1 < blocks ? i + 1 : NO_BLOCK);
	list_add(size, page);
	return true;
}

static void *reserve_take(void)
{
	unsigned i = (unsigned)__builtin_ctz(~reserve_used);

	reserve_used |= 1u << i;
	return reserve[i];
}

static inline bool in_reserve(const void *block)
{
	return (uintptr_t)block - (uintptr_t)reserve < sizeof(reserve);
}

static inline unsigned size_of(size_t bytes)
{
	return bytes <= 64 ? 0 : 64 - SIZE_SHIFT_MIN - (unsigned)__builtin_clzll(bytes - 1);
}

static void *alloc_slowly(size_t bytes)
{
	unsigned size = size_of(bytes);
	struct page *entry;
	uint32_t page;
	char *block;

	if (bytes > BLOCK_MAX) {
		block = bytes <= (size_t)pages * EXO_PAGE_SIZE ? run_alloc((uint32_t)(PAGE_UP(bytes) / EXO_PAGE_SIZE)) : NULL;
		return block;
	}
	if (!base || (size_list[size] == NO_PAGE && !divide(size))) {
		if (base && size == 0 && ~reserve_used)
			return reserve_take();
		return NULL;
	}
	page = size_list[size];
	entry = &page_table[page];
	block = page_address(page) + ((unsigned)entry->first << (SIZE_SHIFT_MIN + size));
	entry->first = *(uint8_t *)block;
	entry->used++;
	if (entry->first == NO_BLOCK)
		list_remove(size, page);
	return block;
}

static __attribute__((noinline)) void *alloc_anyhow(size_t bytes)
{
	void *block = alloc_slowly(bytes);

	if (!block && net_memory_settle())
		block = alloc_slowly(bytes);
	if (!block) {
		failures++;
		wanted |= (uint8_t)(1u << (bytes > BLOCK_MAX ? SIZES : size_of(bytes)));
	}
	return block;
}

void *net_alloc(size_t bytes)
{
	unsigned size = size_of(bytes);

	if (size < SIZES && at_hand[size].count)
		return at_hand_take(size);
	return alloc_anyhow(bytes);
}

void *net_calloc(size_t count, size_t bytes)
{
	void *block = bytes && count > SIZE_MAX / bytes ? NULL : net_alloc(count * bytes);

	return block ? memset(block, 0, count * bytes) : NULL;
}

static inline void at_hand_put(unsigned size, void *block)
{
	*(void **)block = at_hand[size].first;
	at_hand[size].first = block;
	at_hand[size].count++;
}

static __attribute__((noinline)) void block_free(void *block)
{
	size_t at = (size_t)((char *)block - base);
	uint32_t page = (uint32_t)(at / EXO_PAGE_SIZE);
	struct page *entry = &page_table[page];
	unsigned size = entry->kind - 1u;

	*(uint8_t *)block = entry->first;
	if (entry->first == NO_BLOCK)
		list_add(size, page);
	entry->first = (uint8_t)(at % EXO_PAGE_SIZE >> (SIZE_SHIFT_MIN + size));
	if (--entry->used == 0 && (entry->next != NO_PAGE || entry->prev != NO_PAGE)) {
		list_remove(size, page);
		page_release(page);
	}
}

bool net_memory_settle(void)
{
	bool any = false;

	for (unsigned size = 0; size < SIZES; size++) {
		while (at_hand[size].count) {
			block_free(at_hand_take(size));
			any = true;
		}
	}
	return any;
}

bool net_memory_again(void)
{
	bool any = pages_free;

	if (!wanted)
		return false;
	for (unsigned size = 0; size < SIZES; size++)
		any |= wanted >> size & 1 && (at_hand[size].count || size_list[size] != NO_PAGE);
	if (any)
		wanted = 0;
	return any;
}

bool net_memory_short(void)
{
	return wanted;
}

void net_free(void *block)
{
	size_t at = (size_t)((char *)block - base);
	uint32_t page = (uint32_t)(at / EXO_PAGE_SIZE);
	unsigned size;

	if (!block)
		return;
	if (in_reserve(block)) {
		reserve_used &= ~(1u << (((char *)block - reserve[0]) >> SIZE_SHIFT_MIN));
		return;
	}
	size = page_table[page].kind - 1u;
	if (size >= SIZES)
		run_free(page);
	else if (at_hand[size].count < (size < SIZE_SMALL ? AT_HAND_SMALL : AT_HAND))
		at_hand_put(size, block);
	else
		block_free(block);
}

bool net_memory_has(const void *block, size_t bytes, uint32_t *offset)
{
	size_t at = (size_t)((const char *)block - base);

	*offset = (uint32_t)at;
	return at < all && bytes <= all - at;
}

void net_memory_start(const struct net_run *run, uint32_t own)
{
	base = run->base;
	all = (size_t)run->frames * EXO_PAGE_SIZE;
	pages = own;
	for (unsigned i = 0; i < SIZES; i++)
		size_list[i] = NO_PAGE;
	for (uint32_t i = 0; i < pages; i++)
		page_release(i);
}

struct net_memory_use net_memory_use(void)
{
	return (struct net_memory_use){ .pages = pages, .pages_free = pages_free, .failures = failures };
}

/* --- taking frames in one run --- */

/* Take a run that begins where the kernel likes and grow it while the next frames are free. */
static exo_cap_t take_some(uint32_t most, uint32_t *frames)
{
	uint32_t slot = caps_slot(), step = most < EXO_TAKE_MAX ? most : EXO_TAKE_MAX;
	exo_pfn_t first;
	exo_cap_t cap;

	*frames = 0;
	while (slot && step && exo_frame_take(slot, EXO_PFN_ANY, step) < 0)
		step /= 2;
	if (!slot || !step)
		return EXO_CAP_NONE;
	cap = caps_handle(slot);
	first = (exo_pfn_t)caps_at(slot)->first;
	*frames = caps_at(slot)->count;		/* may be fewer than asked for, here and below */
	while (*frames < most) {
		step = most - *frames < EXO_TAKE_MAX ? most - *frames : EXO_TAKE_MAX;
		int64_t taken = exo_frame_take(cap, first + *frames, step);
		if (taken <= 0)
			break;
		*frames += (uint32_t)taken;
	}
	return cap;
}

/* The longest of a few runs. Those that are too short are kept meanwhile, so that the next one begins elsewhere. */
static exo_cap_t take_longest(uint32_t most, uint32_t *frames)
{
	exo_cap_t best = EXO_CAP_NONE, other[RUN_TRIES];
	unsigned tries = 0;

	*frames = 0;
	do {
		uint32_t count;
		exo_cap_t cap = take_some(most, &count);

		if (count > *frames) {
			other[tries] = best;
			best = cap;
			*frames = count;
		} else {
			other[tries] = cap;
		}
	} while (++tries < RUN_TRIES && *frames < most - most / 4);
	while (tries > 0) {
		if (other[--tries] != EXO_CAP_NONE)
			caps_delete(other[tries]);
	}
	return best;
}

bool net_run_take(struct net_run *run, uint32_t least, uint32_t most)
{
	exo_vaddr_t va;

	run->cap = take_longest(most, &run->frames);
	if (run->cap == EXO_CAP_NONE)
		return false;
	va = run->frames >= least ? vm_addresses((uint64_t)run->frames * EXO_PAGE_SIZE) : 0;
	if (!va || space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, run->cap, 0, run->frames) < 0) {
		caps_delete(run->cap);
		return false;
	}
	run->base = (char *)va;
	return true;
}
