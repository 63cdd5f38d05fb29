/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The name cache is a table of vfs_names_max places, each with the last name that fell into it: directory node and name
 * lead to a node; both nodes are held. Every change of a name passes here and empties its place, and so does every mount,
 * so what is in the table is true. Nothing that could block is between a lookup and filling the place (unlocking wakes
 * others, and goes on), so that no change gets lost; what was in the place before is let go afterwards, with no lock held.
 *
 * Names are hashed and compared eight bytes at a time. For that, memory behind a path's end is read, but never of
 * another page.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/fs/name.h"

#define CACHE_BYTES	32	/* longer names are not kept */
#define PATHS		64	/* a power of 2 */
#define PATH_WORDS	8	/* longer paths are not kept */
#define ONES		0x0101010101010101u
#define HIGH		0x8080808080808080u
#define PAGE		4096
#define WORD		sizeof(uint64_t)
#define NO_ADDRESS_CHECK __attribute__((no_sanitize("address")))

struct name {
	struct fs_node *directory, *node;	/* NULL: empty */
	uint64_t hash;
	uint64_t bytes;
	uint64_t name[CACHE_BYTES / WORD + 1];	/* zeros behind it */
};

/* A whole path that was walked by known names. The node is held. */
struct path {
	const struct fs_node *from;		/* NULL: empty */
	struct fs_node *node;
	uint64_t hash;
	uint32_t uid, gid, how;
	uint64_t text[PATH_WORDS];
};

unsigned vfs_names_max = 512;
static struct name *names;
static struct path paths[PATHS];
static uint8_t filled[PATHS];			/* those that are not empty ... */
static unsigned filled_count;			/* ... so many */

/* --- words ---------------------------------------------------------------------------------------------------- */

static inline uint64_t stir(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static inline uint64_t stir_node(const struct fs_node *directory)
{
	return (uint64_t)(uintptr_t)directory >> 4;
}

/* The lowest bit that is set is in the first byte that is zero. */
static inline uint64_t zeros(uint64_t word)
{
	return (word - ONES) & ~word & HIGH;
}

/* The next 8 bytes; zeros behind a NUL if they are not all of one page. */
NO_ADDRESS_CHECK static inline uint64_t load(const char *at)
{
	uint64_t word = 0;

	if (__builtin_expect(((uintptr_t)at & (PAGE - 1)) <= PAGE - WORD, 1))
		__builtin_memcpy(&word, at, WORD);
	else
		for (unsigned i = 0; i < WORD && at[i]; i++)
			word |= (uint64_t)(uint8_t)at[i] << 8 * i;
	return word;
}

static uint64_t hash_of(const struct fs_node *directory, const char *text, size_t bytes)
{
	uint64_t hash = stir_node(directory), word;

	for (; bytes; bytes -= bytes < WORD ? bytes : WORD, text += WORD) {
		word = 0;
		memcpy(&word, text, bytes < WORD ? bytes : WORD);
		hash = stir(hash, word);
	}
	return hash;
}

static inline struct name *name_place(uint64_t hash)
{
	return &names[hash >> 32 & (vfs_names_max - 1)];
}

/* --- the table ------------------------------------------------------------------------------------------------ */

bool name_start(void)
{
	if (!names)
		names = calloc(vfs_names_max, sizeof(*names));
	return names;
}

static void name_put(struct fs_node *node)
{
	vfs_put(node->fs->face, node);
}

static void name_drop(struct name *name)
{
	struct fs_node *directory = name->directory, *node = name->node;

	if (!directory)
		return;
	name->directory = NULL;
	name_put(node);
	name_put(directory);
}

struct fs_node *name_find(const struct fs_node *directory, const char *text, size_t bytes)
{
	uint64_t hash = hash_of(directory, text, bytes);
	const struct name *name = name_place(hash);

	if (name->directory != directory || name->hash != hash || name->bytes != bytes || memcmp(name->name, text, bytes))
		return NULL;
	return name->node;
}

void name_add(struct fs_node *directory, const char *text, size_t bytes, struct fs_node *node)
{
	uint64_t hash = hash_of(directory, text, bytes);
	struct name *name = name_place(hash), old = *name;

	if (bytes > CACHE_BYTES)
		return;
	fs_hold(directory);
	fs_hold(node);
	*name = (struct name){ .directory = directory, .node = node, .hash = hash, .bytes = bytes };
	memcpy(name->name, text, bytes);
	name_drop(&old);
}

/* Some name or right has changed: no whole path is known any more. */
void name_forget_paths(void)
{
	while (filled_count) {
		struct path *path = &paths[filled[--filled_count]];

		path->from = NULL;
		name_put(path->node);
	}
}

void path_forget(const struct fs_node *directory, const char *text, size_t bytes)
{
	name_forget_paths();
	if (name_find(directory, text, bytes))
		name_drop(name_place(hash_of(directory, text, bytes)));
}

void vfs_forget(const struct fs *fs)
{
	name_forget_paths();
	for (unsigned i = 0; names && i < vfs_names_max; i++)
		if (names[i].directory && (!fs || names[i].directory->fs == fs || names[i].node->fs == fs))
			name_drop(&names[i]);
}

/* --- walking -------------------------------------------------------------------------------------------------- */

static inline bool may_search(const struct vfs_who *who, const struct fs_node *node)
{
	if (!who || !who->uid)
		return true;
	return node->known && node->mode >> (who->uid == node->uid ? 6 : who->gid == node->gid ? 3 : 0) & VFS_MAY_SEARCH;
}

NO_ADDRESS_CHECK const char *name_walk(const struct vfs_who *who, struct vfs_place *at, const char *path, unsigned how)
{
	struct fs_node *node = at->node;
	uint64_t words[CACHE_BYTES / WORD], word, end, hash;
	const struct name *name;
	const char *next;
	unsigned full;

	for (;;) {
		while (*path == '/')
			path++;
		hash = stir_node(node);
		for (full = 0, next = path;; next += WORD) {
			word = load(next);
			end = zeros(word) | zeros(word ^ ONES * '/');
			if (end)
				break;
			if (full == CACHE_BYTES / WORD)
				goto out;
			words[full++] = word;
			hash = stir(hash, word);
		}
		end &= -end;			/* bit 7 of the first byte that is none of the name */
		word &= (end >> 7) - 1;
		next += (unsigned)__builtin_ctzll(end) >> 3;
		if (end != 0x80)
			hash = stir(hash, word);
		name = name_place(hash);
		/* Names have no zeros, so words that are the same are as long. */
		if (name->directory != node || name->name[full] != word || !may_search(who, node))
			break;
		for (unsigned i = 0; i < full; i++)
			if (name->name[i] != words[i])
				goto out;
		if (__builtin_expect(!*next, 0)) {
			if (how & NAME_LAST && (name->node->kind != FS_SYMLINK || how & NAME_LINK)) {
				node = name->node;
				path = next;
			}
			break;
		}
		if (name->node->kind != FS_DIRECTORY || next[1] == '/' || !next[1])
			break;
		node = name->node;
		path = next;
	}
out:
	at->node = node;
	at->mount = node->fs->face;
	return path;
}

/* --- whole paths ---------------------------------------------------------------------------------------------- */

static void path_add(struct path *path, const struct path *made)
{
	struct fs_node *old = path->from ? path->node : NULL;

	if (!old)
		filled[filled_count++] = (uint8_t)(path - paths);
	*path = *made;
	fs_hold(path->node);
	if (old)
		name_put(old);
}

/* What a path is looked up by; its words are read once. `all_there`: all PATH_WORDS may be read. How many there are; more than PATH_WORDS: it is too long. */
NO_ADDRESS_CHECK static inline unsigned take(struct path *key, const struct fs_node *from, const char *text,
    bool all_there)
{
	uint64_t word, end, hash = stir_node(from);
	unsigned words = 0;

	for (; words < PATH_WORDS; text += WORD) {
		if (all_there)
			__builtin_memcpy(&word, text, WORD);
		else
			word = load(text);
		end = zeros(word);
		if (end)
			word &= ((end & -end) >> 7) - 1;
		key->text[words++] = word;
		hash = stir(hash, word);
		if (end) {
			key->from = from;
			key->hash = hash;
			return words;
		}
	}
	return PATH_WORDS + 1;
}

/* Its place, and whether it is there. */
static inline struct path *look_up(const struct path *key, unsigned words, bool *found)
{
	struct path *path = &paths[key->hash >> 32 & (PATHS - 1)];

	*found = false;
	if (path->from != key->from || path->hash != key->hash || path->uid != key->uid || path->gid != key->gid ||
	    path->how != key->how)
		return path;
	for (unsigned i = 0; i < words; i++)
		if (path->text[i] != key->text[i])
			return path;
	*found = true;
	return path;
}

struct fs_node *name_known(const struct vfs_place *from, const char *text, unsigned how)
{
	struct vfs_place at = *text == '/' ? vfs_root : from ? *from : vfs_cwd;
	const struct vfs_who *who = from ? from->who : NULL;
	struct path key, *path = NULL;
	unsigned words;
	bool found;

	if (!*text || !at.node)
		return NULL;
	key.uid = who ? who->uid : 0;
	key.gid = who && who->uid ? who->gid : 0;
	key.how = how;
	words = take(&key, at.node, text, false);
	if (words <= PATH_WORDS) {
		path = look_up(&key, words, &found);
		if (found)
			return path->node;
	}
	if (*name_walk(who, &at, text, how))
		return NULL;
	if (path) {
		key.node = at.node;
		path_add(path, &key);
	}
	return at.node;
}

struct fs_node *vfs_known(const struct fs_node *from, uint32_t uid, uint32_t gid, const char *text, bool follow)
{
	const struct path *path;
	struct path key;
	unsigned words;
	bool found;

	key.uid = uid;
	key.gid = uid ? gid : 0;
	key.how = NAME_LAST | (follow ? 0 : NAME_LINK);
	words = take(&key, from, text, true);
	if (words > PATH_WORDS)
		return NULL;
	path = look_up(&key, words, &found);
	return found ? path->node : NULL;
}

bool vfs_stat_known(const struct fs_node *from, uint32_t uid, uint32_t gid, const char *text, bool follow,
    struct fs_attributes *attributes, uint32_t *mount_number)
{
	struct fs_node *node = vfs_known(from, uid, gid, text, follow);

	if (!node || node->fs->cache)
		return false;
	*mount_number = ((const struct vfs_mount *)node->fs->face)->number;
	return !node->fs->ops->attributes(node, attributes);
}
