/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each domain may have of a volume: blocks, and buffers of its own. Who makes the volume says so when he mounts it, and
 * the kernel keeps it (exo_node_share): a domain's user, whatever he does, takes neither the last block nor the last buffer.
 *
 * Option "share=NAME[:SIZE]" for each domain: SIZE bytes (with K, M or G), or "all": no bound. Without it: an equal part, as
 * many as there are domains, and one for who makes the volume, who is not bounded himself. Buffers are parted likewise, from
 * the end on; where they are few, domains have the same half. A share has to be given before anything of the domain is known
 * to the kernel: when the root is loaded and nothing else, or when the domain is new.
 */
#include <stdlib.h>
#include "libos/fs/common_impl.h"

#define BUFFERS_LEAST	8	/* that a domain of one's own has use for */

/* Blocks, of what is said in bytes; 0: it is not said well. */
static uint32_t blocks_said(const char *text)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end;
	uint64_t bytes = strtoull(text, &end, 10);

	if (!strcmp(text, "all"))
		return EXO_VOLUME_LEFT_MAX;
	unit = *end ? strchr(units, *end) : NULL;
	if (end == text || (*end && (!unit || end[1])) || bytes >> 33)
		return 0;
	if (unit)
		bytes <<= 10 * (unit - units + 1);
	bytes /= BLOCK_BYTES;
	return bytes < EXO_VOLUME_LEFT_MAX ? (uint32_t)bytes : EXO_VOLUME_LEFT_MAX;
}

int common_shares_parse(struct common *fs, const char *options)
{
	while (*options) {
		size_t bytes = strcspn(options, ","), name;
		char text[COMMON_DOMAIN_NAME + 24], *colon;

		if (strncmp(options, "share=", 6) || bytes - 6 >= sizeof(text) || fs->shares == COMMON_SHARES)
			return -EINVAL;
		memcpy(text, options + 6, bytes - 6);
		text[bytes - 6] = '\0';
		colon = strchr(text, ':');
		name = colon ? (size_t)(colon - text) : strlen(text);
		if (!name || name >= COMMON_DOMAIN_NAME || (colon && !blocks_said(colon + 1)))
			return -EINVAL;
		fs->share[fs->shares].blocks = colon ? blocks_said(colon + 1) : 0;
		memcpy(fs->share[fs->shares++].name, text, name);
		options += bytes + (options[bytes] == ',');
	}
	return 0;
}

int common_share_give(struct common *fs, const char *name, uint32_t table)
{
	uint32_t i = 0, parts, buffers = fs->volume->buffers, part, end;

	while (i < fs->shares && strcmp(fs->share[i].name, name))
		i++;
	if (i == COMMON_SHARES)
		return -ENOSPC;
	if (i == fs->shares)
		strcpy(fs->share[fs->shares++].name, name);
	parts = fs->shares + 1;
	part = buffers / parts >= BUFFERS_LEAST ? buffers / parts : buffers / 2;
	end = buffers / parts >= BUFFERS_LEAST ? buffers - i * part : buffers;
	if (!part || end < part)
		return 0;
	return fs->volume->ops->share(fs->volume, table, i + 1, fs->share[i].blocks ? fs->share[i].blocks : fs->volume->blocks / parts,
	    end - part, end) ? -EIO : 0;
}

int common_shares_give(struct common *fs)
{
	uint32_t table;
	int error = 0;

	for (uint32_t i = 0; i < fs->shares && !error; i++) {
		error = common_domain_find(fs, fs->share[i].name, &table);
		error = error ? error == -ENOENT ? 0 : error : common_share_give(fs, fs->share[i].name, table);
	}
	return error;
}

unsigned common_share_of(const struct common *fs, uint32_t block)
{
	return volume_share_of(common_entry_of(fs, block));
}

int32_t common_share_left(const struct common *fs, unsigned share)
{
	return share ? volume_share(fs->volume, share)->left : INT32_MAX;
}

void common_share_buffers(const struct common *fs, unsigned share, uint32_t *first, uint32_t *end)
{
	const volatile struct exo_volume_share *is = volume_share(fs->volume, share);
	uint32_t last = is->end;

	*first = last ? is->buffer : 0;
	*end = last && last <= fs->volume->buffers ? last : fs->volume->buffers;
}
