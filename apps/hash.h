/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash of names that clients choose (keys, paths), for tables with chains: keyed by random numbers, so nobody outside can make
 * names that meet in one chain. Eight bytes a multiplication, whose high half is folded into the low one. It is for tables only:
 * who sees hashes can find the key.
 */
#ifndef APPS_HASH_H
#define APPS_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct hash_key {
	uint64_t start, factor;
};

/* Before the first hash. Without random numbers the key is a constant, and everything works. */
static inline void hash_key_make(struct hash_key *key)
{
	if (getentropy(key, sizeof(*key)))
		*key = (struct hash_key){ 0, 0x9e3779b97f4a7c15 };
	key->factor |= 1;
}

static inline uint64_t hash_step(uint64_t hash, uint64_t word, uint64_t factor)
{
	unsigned __int128 product = (unsigned __int128)(hash ^ word) * factor;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_of(const struct hash_key *key, const char *name, size_t len)
{
	uint64_t hash = key->start ^ len, word;

	for (; len >= 8; name += 8, len -= 8) {
		memcpy(&word, name, 8);
		hash = hash_step(hash, word, key->factor);
	}
	for (word = 0; len; len--)
		word = word << 8 | (unsigned char)*name++;
	return hash_step(hash, word, key->factor);
}

#endif
