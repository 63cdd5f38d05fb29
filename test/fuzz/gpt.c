/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer: partition tables. The input is the first and the last blocks of a disk; its checksums are made right, so that
 * what is behind them is reached. Extents of a table that is taken never overlap or lie outside.
 *
 * clang -g -fsanitize=fuzzer,address,undefined -Iinclude -I. test/fuzz/gpt.c libos/disk/gpt.c libos/disk/gpt_extent.c
 */
#include <stdlib.h>
#include <string.h>
#include "libos/disk/gpt.h"

#define EDGE	6
#define BLOCKS	4096
#define BYTES	((size_t)2 * EDGE * BLOCK_BYTES)

static uint8_t disk[BYTES];

static void submit(struct block_device *device, struct block_request *r)
{
	(void)device;
	r->result = 0;
	if (r->operation == BLOCK_FLUSH)
		return;
	for (uint32_t i = 0; i < r->count; i++) {
		uint32_t block = r->block + i;
		uint8_t *memory = (uint8_t *)r->part[0].memory + (size_t)i * BLOCK_BYTES;
		uint8_t *at = block < EDGE ? disk + (size_t)block * BLOCK_BYTES :
			block >= BLOCKS - EDGE ? disk + (size_t)(block - BLOCKS + 2 * EDGE) * BLOCK_BYTES : NULL;
		if (block >= BLOCKS)
			abort();
		if (r->operation == BLOCK_READ && !at)
			memset(memory, 0, BLOCK_BYTES);
		else if (at)
			memcpy(r->operation == BLOCK_READ ? memory : at, r->operation == BLOCK_READ ? at : memory, BLOCK_BYTES);
	}
}

static void wait(struct block_device *device, struct block_request *request)
{
	(void)device;
	(void)request;
}

static void *memory(struct block_device *device, uint32_t pages)
{
	(void)device;
	return calloc(pages, BLOCK_BYTES);
}

static void memory_free(struct block_device *device, void *at, uint32_t pages)
{
	(void)device;
	(void)pages;
	free(at);
}

static uint32_t crc(const uint8_t *p, size_t bytes)
{
	uint32_t sum = UINT32_MAX;

	while (bytes--) {
		sum ^= *p++;
		for (int i = 0; i < 8; i++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
	}
	return ~sum;
}

static void seal(uint8_t *header, const uint8_t *entries)
{
	uint32_t count, sum;

	memcpy(&count, header + 80, 4);
	sum = crc(entries, (count > GPT_ENTRIES ? GPT_ENTRIES : count) * 128);
	memcpy(header + 88, &sum, 4);
	memset(header + 16, 0, 4);
	sum = crc(header, 92);
	memcpy(header + 16, &sum, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct block_device_ops ops = { .submit = submit, .wait = wait, .memory = memory, .memory_free = memory_free };
	static const uint8_t uuid[16] = { 9 };
	static struct gpt gpt;
	struct block_device device = { .ops = &ops, .blocks = BLOCKS };
	struct gpt_extent e[GPT_ENTRIES];
	unsigned number = 0, count = 0;

	memset(disk, 0, sizeof(disk));
	gpt_make(&device, &gpt, uuid);
	gpt_add(&gpt, "one", 100, gpt_type_linux, uuid, NULL);
	gpt_write(&device, &gpt);
	for (size_t i = 0; i + 3 <= size; i += 3) {	/* place, place, value: in both copies */
		size_t at = (data[i] | data[i + 1] << 8) % (92 + 1024);
		disk[at < 92 ? 512 + at : 1024 + at - 92] = data[i + 2];
		disk[at < 92 ? BYTES - 512 + at : BYTES - 33 * 512 + at - 92] = data[i + 2];
	}
	seal(disk + 512, disk + 1024);
	seal(disk + BYTES - 512, disk + BYTES - 33 * 512);
	if (gpt_read(&device, &gpt))
		return 0;
	while (gpt_next(&gpt, &number, &e[count]))
		count++;
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j <= i; j++)
			if (e[i].block + (uint64_t)e[i].count > BLOCKS ||
			    (i != j && e[i].block < e[j].block + e[j].count && e[j].block < e[i].block + e[i].count))
				abort();
	if (!gpt_add(&gpt, "more", 1, gpt_type_cofs, uuid, NULL) && gpt_write(&device, &gpt))
		abort();
	return 0;
}
