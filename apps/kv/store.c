/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store. See store.h.
 *
 * Memory is taken in pages, each cut into chunks of one of some two dozen classes of size (Bonwick's slabs, as memcached has them). An
 * item lies in one chunk, a large one in a chain of the largest. When a class has no chunk left and no page is to be had, its item
 * that was not used for the longest goes; a class that has nothing to give, or whose items are all younger than what another class
 * keeps, takes a page over from there, and all in it goes.
 *
 * Invariants:
 *  1. A chunk is in its class's free list (owner NULL) or in exactly one item's chain (owner is the item).
 *  2. An item is in the table and in its class's list by use exactly if its cas is not 0; it has chunks while that is so or it is
 *     held, and no longer.
 *  3. Items of a cas up to flush_cas are dead, and found by nobody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/hash.h"
#include "apps/kv/store.h"

#define PAGE		65536
#define CHUNK_LEAST	128
#define CLASSES_MAX	32
#define CHUNK_MOST	16352			/* four in a page */
#define GRAIN		32
#define LOOK_MAX	32			/* items looked at for one that nobody holds */
#define AGE_CHECK	8			/* evictions of a class between looks at the others */
#define AGE_GAP		1000			/* uses of items: see older_by_far */
#define SUFFIX_MAX	24			/* " FLAGS BYTES\r\n" */

struct page {
	struct page *next;			/* of its class */
	bool kept;				/* it can be sent from without a copy */
	uint64_t unused[2];
};

static struct class {
	size_t size;
	struct chunk *free;
	struct item *newest, *oldest;
	struct page *pages;
	unsigned page_count, evictions;
} classes[CLASSES_MAX];

static unsigned class_count;
static uint8_t class_of[CHUNK_MOST / GRAIN + 1];
static struct item **table;
static size_t table_mask;
static struct hash_key hash_key;	/* clients choose the keys */
static uint64_t cas, flush_cas, uses;
static uint32_t flush_at;

struct store_counts store_counts;
uint32_t store_now = 1;

bool store_start(size_t limit)
{
	size_t buckets = 1024, size = CHUNK_LEAST;

	while (buckets < limit / 256)
		buckets *= 2;
	while (!(table = calloc(buckets, sizeof(*table))))
		if ((buckets /= 2) < 64)
			return false;
	table_mask = buckets - 1;
	hash_key_make(&hash_key);
	store_counts.limit = limit;
	for (class_count = 0; class_count < CLASSES_MAX; class_count++) {
		size_t from = class_count ? classes[class_count - 1].size / GRAIN + 1 : 0;

		if (size > CHUNK_MOST || class_count == CLASSES_MAX - 1)
			size = CHUNK_MOST;
		classes[class_count].size = size;
		for (size_t i = from; i <= size / GRAIN; i++)
			class_of[i] = (uint8_t)class_count;
		if (size == CHUNK_MOST) {
			class_count++;
			break;
		}
		size = (size + size / 4 + GRAIN - 1) / GRAIN * GRAIN;
	}
	return true;
}

static void free_chunk(struct class *class, struct chunk *chunk)
{
	chunk->owner = NULL;
	chunk->prev = NULL;
	chunk->next = class->free;
	if (class->free)
		class->free->prev = chunk;
	class->free = chunk;
}

static void unfree_chunk(struct class *class, struct chunk *chunk)
{
	*(chunk->prev ? &chunk->prev->next : &class->free) = chunk->next;
	if (chunk->next)
		chunk->next->prev = chunk->prev;
}

static void free_item(struct item *item)
{
	struct class *class = &classes[item->class];
	struct chunk *chunk = &item->chunk, *next;

	for (; chunk; chunk = next) {
		next = chunk->next;
		free_chunk(class, chunk);
	}
}

void store_release(struct item *item)
{
	if (!--item->holds && !item->cas)
		free_item(item);
}

static void forget_use(struct class *class, struct item *item)
{
	*(item->newer ? &item->newer->older : &class->newest) = item->older;
	*(item->older ? &item->older->newer : &class->oldest) = item->newer;
}

static void note_use(struct class *class, struct item *item)
{
	item->used = store_now;
	item->use = ++uses;
	item->newer = NULL;
	item->older = class->newest;
	*(item->older ? &item->older->newer : &class->oldest) = item;
	class->newest = item;
}

void store_remove(struct item *item)
{
	struct item **at = &table[item->hash & table_mask];

	while (*at != item)
		at = &(*at)->chain;
	*at = item->chain;
	forget_use(&classes[item->class], item);
	item->cas = 0;
	store_counts.items--;
	store_counts.bytes -= item->bytes + item->key_len;
	if (!item->holds)
		free_item(item);
}

static void cut(struct page *page, struct class *class)
{
	char *end = (char *)page + PAGE;

	page->next = class->pages;
	class->pages = page;
	class->page_count++;
	for (char *at = (char *)(page + 1); at + class->size <= end; at += class->size) {
		((struct chunk *)at)->page = page;
		free_chunk(class, (struct chunk *)at);
	}
}

/* Is nothing in a page held? */
static bool is_free(const struct page *page, size_t size)
{
	const char *end = (const char *)page + PAGE;

	for (const char *at = (const char *)(page + 1); at + size <= end; at += size)
		if (((const struct chunk *)at)->owner && ((const struct chunk *)at)->owner->holds)
			return false;
	return true;
}

/* Take a page from a class; all in it goes. False: some of each page is held. */
static bool take_page(struct class *from, struct class *to)
{
	struct page **at = &from->pages, *page;
	char *end;

	while (*at && !is_free(*at, from->size))
		at = &(*at)->next;
	page = *at;
	if (!page)
		return false;
	*at = page->next;
	from->page_count--;
	end = (char *)page + PAGE;
	for (char *p = (char *)(page + 1); p + from->size <= end; p += from->size) {
		struct chunk *chunk = (struct chunk *)p;

		if (chunk->owner) {
			store_counts.evictions++;
			store_remove(chunk->owner);
		}
		unfree_chunk(from, chunk);
	}
	store_counts.reclaimed_pages++;
	cut(page, to);
	return true;
}

static bool new_page(struct class *class)
{
	struct page *page;
	bool kept = false;

	if (store_counts.memory + PAGE > store_counts.limit)
		return false;
	page = store_memory(PAGE, class == &classes[class_count - 1], &kept);
	if (!page) {
		store_counts.limit = store_counts.memory;
		return false;
	}
	page->kept = kept;
	store_counts.memory += PAGE;
	cut(page, class);
	return true;
}

/* Evict the item of a class that was not used for the longest, of those that nobody holds. */
static bool evict(struct class *class)
{
	struct item *item = class->oldest;

	for (int i = 0; item && item->holds && i < LOOK_MAX; i++)
		item = item->newer;
	if (!item || item->holds)
		return false;
	if (item->expires && item->expires <= store_now)
		store_counts.expired++;
	else
		store_counts.evictions++;
	class->evictions++;
	store_remove(item);
	return true;
}

/* Has a class kept something unused for much longer than another? */
static bool older_by_far(const struct class *a, const struct class *b)
{
	return a->oldest && b->oldest && uses - a->oldest->use > 2 * (uses - b->oldest->use) + AGE_GAP;
}

/* The class that has kept something unused for the longest, if that is much longer than this one has; or else the largest. */
static struct class *richest(const struct class *class, bool by_age)
{
	struct class *best = NULL;

	for (struct class *c = classes; c < classes + class_count; c++) {
		if (c == class || !c->page_count || (by_age && !older_by_far(c, class)))
			continue;
		if (!best || (by_age ? c->oldest->use < best->oldest->use : c->page_count > best->page_count))
			best = c;
	}
	return best;
}

static struct chunk *get_chunk(struct class *class)
{
	struct chunk *chunk;

	while (!class->free && !new_page(class)) {
		struct class *rich = class->evictions % AGE_CHECK == AGE_CHECK - 1 ? richest(class, true) : NULL;

		if (rich && take_page(rich, class))
			class->evictions++;
		else if (!evict(class) && (!(rich = richest(class, false)) || !take_page(rich, class)))
			return NULL;
	}
	chunk = class->free;
	unfree_chunk(class, chunk);
	return chunk;
}

static size_t put_number(char *to, uint64_t v)
{
	char digits[20];
	size_t n = 0, i = sizeof(digits);

	do
		digits[--i] = (char)('0' + v % 10);
	while (v /= 10);
	while (i < sizeof(digits))
		to[n++] = digits[i++];
	return n;
}

/* " FLAGS BYTES\r\n" */
static size_t put_suffix(char *to, uint32_t flags, size_t bytes)
{
	size_t n = 0;

	to[n++] = ' ';
	n += put_number(to + n, flags);
	to[n++] = ' ';
	n += put_number(to + n, bytes);
	to[n++] = '\r';
	to[n++] = '\n';
	return n;
}

/* Chunks behind the first for so many bytes of text. */
static bool get_more_chunks(struct item *item, size_t bytes)
{
	struct class *class = &classes[item->class];
	struct chunk **last = &item->chunk.next;
	size_t have = class->size - sizeof(*item);

	while (have < bytes) {
		struct chunk *chunk = get_chunk(class);

		if (!chunk)
			return false;
		chunk->owner = item;
		chunk->next = NULL;
		item->kept &= chunk->page->kept;
		*last = chunk;
		last = &chunk->next;
		have += class->size - sizeof(*chunk);
	}
	return true;
}

struct item *store_make(const char *key, size_t len, uint32_t flags, uint32_t expires, size_t bytes)
{
	char suffix[SUFFIX_MAX];
	size_t suffix_len = put_suffix(suffix, flags, bytes), text = len + suffix_len + bytes + 2;
	size_t need = sizeof(struct item) + text;
	struct class *class = need <= CHUNK_MOST ? &classes[class_of[(need + GRAIN - 1) / GRAIN]]
						 : &classes[class_count - 1];
	struct chunk *chunk = get_chunk(class);
	struct item *item = (struct item *)chunk;
	struct page *page;

	if (!chunk)
		return NULL;
	page = chunk->page;
	memset(item, 0, sizeof(*item));
	item->chunk.page = page;
	item->chunk.owner = item;
	item->kept = page->kept;
	item->class = (uint8_t)(class - classes);
	item->holds = 1;
	item->expires = expires;
	item->flags = flags;
	item->bytes = (uint32_t)bytes;
	item->key_len = (uint8_t)len;
	item->suffix_len = (uint8_t)suffix_len;
	item->hash = hash_of(&hash_key, key, len);
	if (!get_more_chunks(item, text)) {
		free_item(item);
		return NULL;
	}
	memcpy(item->text, key, len);
	memcpy(item->text + len, suffix, suffix_len);
	store_write(item, text - 2, "\r\n", 2);
	return item;
}

size_t store_text(const struct item *item)
{
	return (size_t)item->key_len + item->suffix_len + item->bytes + 2;
}

size_t store_piece(struct item *item, size_t at, char **piece)
{
	size_t size = classes[item->class].size, room = size - sizeof(*item), left = store_text(item) - at, have;
	struct chunk *chunk = &item->chunk;

	*piece = item->text + at;
	if (at >= room) {
		at -= room;
		room = size - sizeof(*chunk);
		for (chunk = chunk->next; at >= room; chunk = chunk->next)
			at -= room;
		*piece = (char *)(chunk + 1) + at;
	}
	have = room - at;
	return have < left ? have : left;
}

void store_write(struct item *item, size_t at, const char *data, size_t bytes)
{
	while (bytes) {
		char *piece;
		size_t n = store_piece(item, at, &piece);

		n = n < bytes ? n : bytes;
		memcpy(piece, data, n);
		at += n;
		data += n;
		bytes -= n;
	}
}

void store_read(struct item *item, size_t at, char *data, size_t bytes)
{
	while (bytes) {
		char *piece;
		size_t n = store_piece(item, at, &piece);

		n = n < bytes ? n : bytes;
		memcpy(data, piece, n);
		at += n;
		data += n;
		bytes -= n;
	}
}

/* A flush that was put off happens before the first thing that is done at its time or later. */
static void flush_if_due(void)
{
	if (flush_at && flush_at <= store_now) {
		flush_cas = cas;
		flush_at = 0;
	}
}

struct item *store_find(const char *key, size_t len)
{
	uint64_t hash = hash_of(&hash_key, key, len);
	struct item *item = table[hash & table_mask];

	while (item && (item->hash != hash || item->key_len != len || memcmp(item->text, key, len)))
		item = item->chain;
	flush_if_due();
	if (!item)
		return NULL;
	if (item->cas <= flush_cas || (item->expires && item->expires <= store_now)) {
		store_counts.expired++;
		store_remove(item);
		return NULL;
	}
	if (item->used != store_now) {	/* its place is changed once in a second */
		forget_use(&classes[item->class], item);
		note_use(&classes[item->class], item);
	}
	return item;
}

void store_put(struct item *item)
{
	struct item *old = store_find(item->text, item->key_len);

	if (old)
		store_remove(old);
	item->cas = ++cas;
	item->chain = table[item->hash & table_mask];
	table[item->hash & table_mask] = item;
	note_use(&classes[item->class], item);
	store_counts.items++;
	store_counts.total_items++;
	store_counts.bytes += item->bytes + item->key_len;
}

void store_changed(struct item *item)
{
	item->cas = ++cas;
}

void store_flush(uint32_t when)
{
	flush_if_due();
	flush_at = when;
	flush_if_due();
}
