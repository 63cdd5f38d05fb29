/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in memory. See entry.h.
 *
 * Keys are decoded paths, so that no two spellings are two entries. Paths with '%' or '?' in them are never remembered: so a target as
 * it came, escapes, query and all, equals a key only if it means the same; nearly all requests are found before anything is decoded.
 *
 * Memory comes from the driver, which may want to send from it without a copy and does not take it back. It is handed out by first
 * fit from a list in order of addresses; neighbours become one again. Only a file's first request pays for that.
 *
 * What is too large, or finds no room, is mapped while it is sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apps/hash.h"
#include "apps/httpd/entry.h"
#include "apps/httpd/mime.h"
#include "apps/httpd/reply.h"

#define TABLE		1024		/* chains */
#define CHUNK		32768		/* bytes asked of the driver at a time, at least */
#define GRAIN		64

/* Memory not in use. */
struct hole {
	struct hole *next;
	size_t bytes;
};

static struct entry *table[TABLE];
static const struct hash_key hash_key = { 0, 0x9e3779b97f4a7c15 };	/* paths are those of files: nobody outside chooses */
static struct entry *newest, *oldest;
static struct hole *holes;
static size_t got;			/* bytes from the driver so far */

static size_t grains(size_t bytes)
{
	return (bytes + GRAIN - 1) & ~(size_t)(GRAIN - 1);
}

static void give_back(void *memory, size_t bytes)
{
	struct hole **at = &holes, *before = NULL, *h = memory;

	for (; *at && (char *)*at < (char *)memory; at = &(*at)->next)
		before = *at;
	*h = (struct hole){ *at, bytes };
	*at = h;
	if (h->next && (char *)h + h->bytes == (char *)h->next)
		*h = (struct hole){ h->next->next, h->bytes + h->next->bytes };
	if (before && (char *)before + before->bytes == (char *)h)
		*before = (struct hole){ h->next, before->bytes + h->bytes };
}

static void *first_fit(size_t bytes)
{
	for (struct hole **at = &holes; *at; at = &(*at)->next) {
		struct hole *h = *at, *rest = (struct hole *)((char *)h + bytes);

		if (h->bytes < bytes)
			continue;
		if (h->bytes == bytes) {
			*at = h->next;
		} else {
			*rest = (struct hole){ h->next, h->bytes - bytes };
			*at = rest;
		}
		return h;
	}
	return NULL;
}

static bool get_more(size_t bytes)
{
	size_t chunk = bytes < CHUNK ? CHUNK : bytes;
	void *more;

	if (chunk > server.cache_bytes - got && bytes <= server.cache_bytes - got)
		chunk = server.cache_bytes - got;
	if (chunk > server.cache_bytes - got)
		return false;
	more = driver_memory(chunk);
	if (!more)
		return false;
	got += chunk;
	give_back(more, chunk);
	return true;
}

static void unuse(struct entry *e)
{
	*(e->newer ? &e->newer->older : &newest) = e->older;
	*(e->older ? &e->older->newer : &oldest) = e->newer;
}

static void use(struct entry *e)
{
	e->newer = NULL;
	e->older = newest;
	*(newest ? &newest->newer : &oldest) = e;
	newest = e;
}

static void destroy(struct entry *e)
{
	if (e->block)
		return give_back(e, e->block);
	munmap((void *)e->data, e->entity.size);
	free(e);
}

/* Take an entry out of the table. */
static void forget(struct entry *e)
{
	struct entry **at = &table[e->hash % TABLE];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	unuse(e);
	e->known = false;
	if (!e->holds)
		destroy(e);
}

/* Memory for a file, if need be that of those not asked for the longest. */
static void *get(size_t bytes)
{
	struct entry *e = oldest;
	void *memory;

	while (!(memory = first_fit(bytes)) && !get_more(bytes)) {
		struct entry *next;

		while (e && e->holds)
			e = e->newer;
		if (!e)
			return NULL;
		next = e->newer;
		forget(e);
		e = next;
	}
	return memory ? memory : first_fit(bytes);
}

/* Is a remembered file still as it was? The disk is asked once in a second; always, if the time is not known. */
static bool fresh(struct entry *e, int64_t time)
{
	struct stat st;

	if (e->checked == time && time)
		return true;
	if (stat(e->path, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != e->entity.size ||
	    st.st_mtime != e->mtime)
		return false;
	e->checked = time;
	return true;
}

/* Hold it, if it is fresh; else it goes. Others may run while the disk is asked, and forget it, too. */
static bool hold(struct entry *e, int64_t time)
{
	e->holds++;
	if (fresh(e, time))
		return true;
	e->holds--;
	if (e->known)
		forget(e);
	else if (!e->holds)
		destroy(e);
	return false;
}

struct entry *entry_find(struct work *w, const char *key, size_t len)
{
	uint64_t hash = hash_of(&hash_key, key, len);
	struct entry *e;

	driver_lock();
	for (e = table[hash % TABLE]; e; e = e->next)
		if (e->hash == hash && e->key_len == len && !memcmp(e->path + server.root_len, key, len))
			break;
	if (e && w->quick && (e->checked != w->time || !w->time)) {
		w->later = true;
		e = NULL;
	}
	if (e && !hold(e, w->time))
		e = NULL;
	if (e && e != newest && e->known) {
		unuse(e);
		use(e);
	}
	driver_unlock();
	return e;
}

void entry_put(struct entry *e)
{
	driver_lock();
	if (!--e->holds && !e->known)
		destroy(e);
	driver_unlock();
}

/* Read all of a file; false if it has become shorter. */
static bool read_whole(int fd, char *to, size_t bytes)
{
	while (bytes) {
		ssize_t n = read(fd, to, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : EIO;
			return false;
		}
		to += n;
		bytes -= (size_t)n;
	}
	return true;
}

/* The bytes of a file behind its entry, or where they can be mapped. */
static bool load(struct entry *e, int fd, size_t bytes, size_t head)
{
	void *map;

	if (e->block) {
		e->data = (char *)e + head;
		return read_whole(fd, (char *)e + head, bytes);
	}
	map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	e->data = map;
	return map != MAP_FAILED;
}

/* Put a new entry into the table, in place of one that another thread may have put there. */
static void remember(struct entry *e)
{
	struct entry **chain = &table[e->hash % TABLE], *old = *chain;

	while (old && (old->hash != e->hash || old->key_len != e->key_len ||
		       memcmp(old->path + server.root_len, e->path + server.root_len, e->key_len)))
		old = old->next;
	if (old)
		forget(old);
	e->next = *chain;
	*chain = e;
	e->known = true;
	use(e);
}

/* A place for a file's entry, and for its bytes if there is room and they will be remembered. */
static struct entry *place(const char *key, size_t key_len, size_t head, uint64_t bytes)
{
	struct entry *e = NULL;
	size_t block = 0;

	if (bytes < server.cache_bytes / 2 && !memchr(key, '%', key_len) && !memchr(key, '?', key_len)) {
		block = grains(head + (size_t)bytes);
		driver_lock();
		e = get(block);
		driver_unlock();
	}
	if (!e) {
		block = 0;
		e = malloc(head);
	}
	if (e) {
		memset(e, 0, sizeof(*e));
		e->block = block;
	}
	return e;
}

static void unplace(struct entry *e)
{
	if (!e->block)
		return free(e);
	driver_lock();
	give_back(e, e->block);
	driver_unlock();
}

struct entry *entry_add(struct work *w, size_t key_len, int fd, const struct stat *st)
{
	const char *key = w->path + server.root_len;
	size_t path_len = strlen(w->path), head = sizeof(struct entry) + path_len + 1;
	struct entry *e = place(key, key_len, head, (uint64_t)st->st_size);

	if (!e)
		return NULL;
	memcpy(e->path, w->path, path_len + 1);
	e->entity.size = (uint64_t)st->st_size;
	e->entity.mtime = e->mtime = st->st_mtime;
	http_entity_tag(&e->entity);
	if (e->mtime < 0 || e->mtime > HTTP_DATE_MAX)
		e->entity.mtime = 0;
	e->type = mime_type(e->path, path_len);
	e->lines_len = reply_lines(w, e->lines, sizeof(e->lines), &e->entity, e->type);
	e->checked = w->time;
	e->key_len = key_len;
	e->holds = 1;
	e->hash = hash_of(&hash_key, key, key_len);
	if (!load(e, fd, e->entity.size, head)) {
		unplace(e);
		return NULL;
	}
	if (e->block) {
		driver_lock();
		remember(e);
		driver_unlock();
	}
	return e;
}
