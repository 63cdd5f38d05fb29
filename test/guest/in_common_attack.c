/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that has one domain of a volume, and write access to all of it, and tries to reach, free or own a block of others:
 * by changes that it declares or does not, by requests, by nodes that it opens. For test/e2e/in_common.py.
 *
 * Usage: in_common_attack LABEL ATTEMPTS. Says how many were let through that must not be.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/core/core.h"
#include "libos/disk/disk.h"
#include "libos/disk/disk_volume.h"
#include "libos/fs/common_disk.h"

#define SLOTS_FROM	20	/* of the domain's table, that nothing else uses */

static struct volume *volume;
static unsigned char *page;
static struct exo_node_change change;
static unsigned breaches, through;
static unsigned long long chance = 99;

static unsigned draw(unsigned below)
{
	chance = chance * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(chance >> 33) % below;
}

static uint32_t any_block(void)
{
	uint32_t block = draw(volume->page->blocks);

	for (unsigned i = 0; i < 30 && !volume_is_owned(volume_entry(volume, block)); i++)
		block = draw(volume->page->blocks);	/* rather one that is somebody's */
	return block;
}

/* Is it, or is it below, what this program has? */
static bool is_own(uint32_t block)
{
	for (unsigned i = 0; i < 12 && block; i++, block = volume_entry(volume, block)->parent)
		if (block == volume->own_block)
			return true;
	return false;
}

static int request(unsigned operation, uint64_t node, uint32_t block, uint32_t count)
{
	struct block_request r = { .operation = (uint8_t)operation, .parts = 1, .block = block, .count = count, .through = node };

	r.part[0].memory = page;
	r.part[0].blocks = count;
	if (block + count > volume->page->blocks)
		return -1;
	block_submit(volume->device, &r);
	return block_wait(volume->device, &r);
}

static void breach(const char *how, uint32_t block)
{
	breaches++;
	printf("in_common_attack: %s, block %u\n", how, block);
}

/* A slot of the own table names a block from now on, or what it names no more; as declared, or not. */
static void change_slot(void)
{
	const volatile struct exo_volume_block *own = volume_entry(volume, volume->own_block);
	unsigned slot = SLOTS_FROM + draw(20), at = COMMON_SLOT_AT(slot), kind = draw(6);
	uint32_t block = any_block(), count = draw(8) ? 1 : draw(40);
	bool owned = volume_is_owned(volume_entry(volume, block)), mine = is_own(block);
	struct common_slot value = { block, kind << 24 | count, 0, 0 };
	int64_t result = own->buffer == EXO_VOLUME_NONE ? volume->ops->load(volume, volume->own, volume->own_block, draw(8)) : 0;

	if (result == 1)
		(void)request(BLOCK_READ, volume->own, volume->own_block, 1);
	if (own->buffer == EXO_VOLUME_NONE)
		return;
	memset(&change, 0, sizeof(change));
	change.at = at;
	change.bytes = sizeof(value);
	memcpy(change.old, volume_buffer(volume, own->buffer) + at, sizeof(value));
	memcpy(change.new, &value, sizeof(value));
	const struct common_slot *old = (const struct common_slot *)change.old;
	if (draw(3) == 0)	/* nothing */
		memset(change.new, 0, sizeof(value));
	else if (draw(5))
		for (uint32_t i = 0; i < count && i < EXO_VOLUME_CHANGE_MAX; i++, change.gains++) {
			change.gain[i].block = block + i;
			change.gain[i].type = kind;
		}
	for (uint32_t i = 0; draw(6) && i < common_count(old) && old->block && i < EXO_VOLUME_CHANGE_MAX; i++, change.losses++) {
		change.loss[i].block = draw(10) ? old->block + i : any_block();
		change.loss[i].type = common_type(old);
	}
	result = volume->ops->change(volume, draw(5) ? volume->own : volume->see, &change);
	through += result == 0;
	if (result == 0 && change.gains && owned && !mine)
		breach("gained what is another's", block);
	if (result == 0 && change.gains && owned && mine && !(old->block && block - old->block < common_count(old)))
		breach("owned twice", block);
}

/* Read or write a block by a node that does not own it. */
static void reach(void)
{
	uint32_t block = any_block(), parent = volume_entry(volume, block)->parent;
	bool data = volume_is_owned(volume_entry(volume, block)) && !volume_entry(volume, block)->type;
	uint64_t node = draw(3) ? volume->own : volume->see;
	int result = request(draw(2) ? BLOCK_WRITE : BLOCK_READ, node, block, 1 + draw(3));

	through += result == 0;
	if (result == 0 && data && parent != (node == volume->own ? volume->own_block : 0) &&
	    volume_is_owned(volume_entry(volume, block)))
		breach("reached by a node that does not own it", block);
}

/* Open a node. */
static void open_node(void)
{
	uint32_t block = any_block();
	bool see = draw(2);
	int64_t node = volume->ops->open(volume, see ? volume->see : volume->own, block, true);

	through += node > 0;
	if (node > 0 && (see || !is_own(block)))
		breach("opened to write", block);
	if (node > 0)
		volume->ops->drop(volume, (uint64_t)node);
}

/* Buffers: of anybody's metadata, whatever lies there. */
static void load_any(void)
{
	uint32_t block = any_block();
	int64_t result = volume->ops->load(volume, volume->see, block, draw(volume->page->buffers));

	if (result == 1)
		(void)request(BLOCK_READ, volume->see, block, 1);
}

/* The own table says the name of a domain that is to come: whoever asks for that must not get this one. */
static void take_name(void)
{
	const volatile struct exo_volume_block *own = volume_entry(volume, volume->own_block);

	if (own->buffer == EXO_VOLUME_NONE && volume->ops->load(volume, volume->own, volume->own_block, 0) == 1)
		(void)request(BLOCK_READ, volume->own, volume->own_block, 1);
	if (own->buffer == EXO_VOLUME_NONE)
		return;
	memset(&change, 0, sizeof(change));
	change.at = offsetof(struct common_top, name);
	change.bytes = COMMON_DOMAIN_NAME;
	memcpy(change.old, volume_buffer(volume, own->buffer) + change.at, change.bytes);
	strcpy((char *)change.new, "carol");
	printf("in_common_attack: takes a name: %ld\n", (long)volume->ops->change(volume, volume->own, &change));
}

int main(int argc, char **argv)
{
	unsigned attempts = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
	int error = argc == 3 ? disk_volume_take(argv[1], &volume) : -1;

	if (!error)
		page = disk_memory(4);
	if (error || !page) {
		printf("in_common_attack: no volume: %d\n", error);
		return 1;
	}
	for (unsigned i = 0; i < attempts; i++) {
		switch (draw(8)) {
		case 0: reach(); break;
		case 1: open_node(); break;
		case 2: load_any(); break;
		default: change_slot(); break;
		}
		if (i % 64 == 0)
			usleep(100);
	}
	printf("in_common_attack: %u attempts, %u let through, %u that must not be\n", attempts, through, breaches);
	take_name();
	usleep(3000000);
	return breaches != 0;
}
