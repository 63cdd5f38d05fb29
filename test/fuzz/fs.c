/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer: patches of a disk's metadata. The first byte says which file system, the next eight what is done with it, then
 * each patch is four bytes: which block, where in it, a value.
 */
#include <stdlib.h>
#include <string.h>

#include "test/fs/damage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct damage_base bases[16];
	struct damage_base *base;
	struct hostdisk *disk;
	uint64_t seed;
	uint8_t block[BLOCK_BYTES];
	char why[1400];
	unsigned which;

	if (size < 9)
		return 0;
	which = data[0] % kind_count;
	base = &bases[which];
	if (!kinds[which].blocks || kinds[which].toy)
		return 0;
	if (!base->disk && damage_begin(base, &kinds[which], why, sizeof(why)))
		abort();
	memcpy(&seed, data + 1, 8);
	disk = hostdisk_copy(base->disk);
	for (size_t i = 9; i + 4 <= size; i += 4) {
		uint32_t number = base->blocks[data[i] % base->block_count];

		hostdisk_peek(disk, number, block);
		block[(data[i + 1] | (size_t)data[i + 2] << 8) % BLOCK_BYTES] = data[i + 3];
		hostdisk_poke(disk, number, block);
	}
	if (damage_try(base, disk, seed, why, sizeof(why)))
		abort();
	return 0;
}
