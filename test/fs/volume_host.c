/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume on a disk of this computer's memory: the kernel's own registry (exo/registry.c) on the fake port, with a driver
 * that reads and writes a struct hostdisk. So what the rigs cut, damage and fill is what the kernel's rules let through.
 *
 * One at a time is open. Requests are done when they are submitted, and reported when somebody waits or polls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exo/codes.h"
#include "exo/disks.h"
#include "libos/core/insn.h"
#include "libos/fs/common.h"
#include "test/fs/volume_host.h"
#include "test/unit/world.h"

#define BUFFERS		100
#define BOUNCE		16
#define PROGRAM		14
#define OPEN_FIRST	32	/* slots for nodes */

enum { SLOT_ROOT = 8, SLOT_SHARES = 16, SLOT_BLOCKS, SLOT_RING, SLOT_DATA, SLOT_POOL, SLOT_CODE, SLOT_PROGRAM };

static struct host {
	struct volume volume;	/* first */
	struct block_device device;
	struct block_device *below;
	struct disk disk;
	struct exo_disk_ring *ring;
	uint32_t done, frames;
	struct block_request *over, **over_end;
	bool open;
} host;

/* --- the kernel's disk ------------------------------------------------------------------------------------ */

static unsigned flights[64];
static struct disk_transfer transfers[64];
static unsigned flight_count;

static bool fake_submit(struct disk *disk, unsigned flight, const struct disk_transfer *transfer)
{
	(void)disk;
	if (flight_count == 64)
		return false;
	transfers[flight_count] = *transfer;
	flights[flight_count++] = flight;
	return true;
}

static void fake_notify(struct disk *disk)
{
	(void)disk;
}

static int carry(const struct disk_transfer *t)
{
	struct block_device *below = host.below;
	uint32_t block = (uint32_t)t->block;
	int error = 0;

	if (t->operation == EXO_DISK_FLUSH)
		return block_flush(below);
	for (unsigned i = 0; i < t->parts && !error; i++) {
		uint32_t count = t->part[i].bytes / EXO_PAGE_SIZE;
		void *memory = phys_to_virt(t->part[i].address);

		error = t->operation == EXO_DISK_READ ? block_read(below, block, count, memory) : block_write(below, block, count, memory, 0);
		block += count;
	}
	return error;
}

static void carry_all(void)
{
	while (flight_count) {
		struct disk_transfer transfer = transfers[0];
		unsigned flight = flights[0];
		bool failed = carry(&transfer) != 0;

		flight_count--;
		memmove(flights, flights + 1, flight_count * sizeof(flights[0]));
		memmove(transfers, transfers + 1, flight_count * sizeof(transfers[0]));
		disks_lock();
		(void)disk_done(&host.disk, flight, failed);
		(void)disk_settled(&host.disk);
		disks_unlock();
	}
}

/* --- its device ------------------------------------------------------------------------------------------- */

static uint8_t *bounce(uint32_t page)
{
	return pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_DATA)->first + page);
}

static int one(unsigned operation, uint64_t through, uint32_t block, uint32_t count)
{
	int result;

	host.ring->request[host.ring->posted++ % EXO_DISK_SLOTS] = (struct exo_disk_request){ .blocks = through,
		.frames = world_handle(0, SLOT_DATA), .block = block, .count = (uint16_t)count, .operation = (uint8_t)operation };
	(void)CALL(0, disk_kick, world_handle(0, SLOT_SHARES));
	carry_all();
	if (host.ring->done == host.done)
		return -EIO;
	result = host.ring->completion[host.done++ % EXO_DISK_SLOTS].result;
	return result == -EXO_EBUSY ? -EBUSY : result == -EXO_ERIGHTS ? -EACCES : result ? -EIO : 0;
}

/* Pages of a request, to the bounce frames or from there. */
static void copy(const struct block_request *request, uint32_t at, uint32_t count, bool out)
{
	uint32_t page = 0;

	for (unsigned i = 0; i < request->parts; i++)
		for (uint32_t n = 0; n < request->part[i].blocks; n++, page++) {
			uint8_t *memory = (uint8_t *)request->part[i].memory + (size_t)n * BLOCK_BYTES;

			if (page < at || page >= at + count)
				continue;
			if (out)
				memcpy(bounce(page - at), memory, BLOCK_BYTES);
			else
				memcpy(memory, bounce(page - at), BLOCK_BYTES);
		}
}

static int carry_request(const struct block_request *request)
{
	int error = 0;

	if (request->operation == BLOCK_FLUSH)
		return one(EXO_DISK_FLUSH, request->through, 0, 0);
	if (request->operation > BLOCK_WRITE)
		return 0;
	for (uint32_t at = 0, now; at < request->count && !error; at += now) {
		now = request->count - at < BOUNCE ? request->count - at : BOUNCE;
		if (request->operation == BLOCK_WRITE)
			copy(request, at, now, true);
		error = one(request->operation == BLOCK_READ ? EXO_DISK_READ : EXO_DISK_WRITE, request->through, request->block + at, now);
		if (!error && request->operation == BLOCK_READ)
			copy(request, at, now, false);
	}
	return error;
}

static void host_submit(struct block_device *device, struct block_request *request)
{
	request->device = device;
	request->pending = true;
	request->next = NULL;
	request->result = carry_request(request);
	*host.over_end = request;
	host.over_end = &request->next;
}

static void host_poll(struct block_device *device)
{
	(void)device;
	while (host.over) {
		struct block_request *request = host.over;

		host.over = request->next;
		if (!host.over)
			host.over_end = &host.over;
		request->pending = false;
		if (request->ended)
			request->ended(request);
	}
}

static void host_wait(struct block_device *device, struct block_request *request)
{
	while (request->pending)
		host_poll(device);
}

static void *host_memory(struct block_device *device, uint32_t pages)
{
	(void)device;
	return block_memory(host.below, pages);
}

static void host_memory_free(struct block_device *device, void *memory, uint32_t pages)
{
	(void)device;
	block_memory_free(host.below, memory, pages);
}

static void host_close_device(struct block_device *device)
{
	(void)device;
}

static const struct block_device_ops device_ops = { .submit = host_submit, .wait = host_wait, .poll = host_poll,
	.memory = host_memory, .memory_free = host_memory_free, .close = host_close_device };

/* --- its calls -------------------------------------------------------------------------------------------- */

static int64_t host_load(struct volume *volume, uint64_t node, uint32_t block, uint32_t buffer)
{
	int64_t result;

	(void)volume;
	do
		result = CALL(0, node_load, node, block, buffer);
	while (result == ERR(AGAIN));
	return result;
}

static int64_t host_open(struct volume *volume, uint64_t node, uint32_t block, bool write)
{
	uint32_t slot = OPEN_FIRST;

	(void)volume;
	while (cap_slot(world.env[0], slot) && cap_slot(world.env[0], slot)->type)
		slot++;
	return CALL(0, node_open, slot, node, block, write ? EXO_RIGHT_READ | EXO_RIGHT_WRITE : EXO_RIGHT_READ);
}

static void host_drop(struct volume *volume, uint64_t node)
{
	(void)volume;
	(void)world_finish(0, EXO_CALL_cap_delete, node, 0);
}

static int64_t host_change(struct volume *volume, uint64_t node, const struct exo_node_change *change)
{
	int64_t result;

	(void)volume;
	memcpy(world.env[0]->arg, change, sizeof(*change));
	do
		result = CALL(0, node_change, node, 0);
	while (result == ERR(AGAIN));
	return result;
}

static int64_t host_share(struct volume *volume, uint32_t block, unsigned share, uint32_t left, uint32_t buffer, uint32_t end)
{
	return CALL(0, node_share, volume->own, block, share, left, buffer, end);
}

static void host_pause(struct volume *volume)
{
	(void)volume;
}

static void host_close(struct volume *volume)
{
	(void)volume;
	host.open = false;
}

static const struct volume_ops volume_ops = { .load = host_load, .open = host_open, .drop = host_drop, .change = host_change, .share = host_share,
	.pause = host_pause, .close = host_close };

/* --- making it -------------------------------------------------------------------------------------------- */

static int64_t add_disk(void *arg)
{
	(void)arg;
	return disk_add(&host.disk, "fake");
}

static exo_cap_t take(uint32_t slot, uint32_t count)
{
	exo_cap_t cap = (exo_cap_t)CALL(0, frame_take, slot, EXO_PFN_ANY, count < EXO_TAKE_MAX ? count : EXO_TAKE_MAX);

	for (uint32_t have = EXO_TAKE_MAX; have < count; have += EXO_TAKE_MAX)
		(void)CALL(0, frame_take, cap, EXO_PFN_ANY, count - have < EXO_TAKE_MAX ? count - have : EXO_TAKE_MAX);
	return cap;
}

static void fill(uint32_t slot, unsigned type, unsigned rights, uint64_t first, uint32_t count)
{
	cap_fill(cap_slot(world.env[0], slot), type, rights, first, count, 0, NULL, slot);
}

static int64_t load_owner(void)
{
	struct exo_insn insn[COMMON_INSNS];
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = EXO_USE_OWNER };
	exo_cap_t frames = take(SLOT_PROGRAM, PROGRAM);
	char *at = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_PROGRAM)->first);
	int64_t cap, error;

	header.insns = common_owner(insn, insn + COMMON_INSNS);
	header.fuel = COMMON_FUEL;
	memcpy(at, &header, sizeof(header));
	memcpy(at + EXO_CODE_INSNS, insn, header.insns * sizeof(insn[0]));
	cap = CALL(0, code_load, SLOT_CODE, frames, 0, PROGRAM);
	do
		error = CALL(0, code_step, cap, 0);
	while (error == ERR(AGAIN));
	return error ? error : cap;
}

int volume_host(struct block_device *device, bool read_only, struct volume **volume)
{
	int64_t root, code;

	(void)read_only;
	if (host.open)
		return -EBUSY;
	memset(&host, 0, sizeof(host));
	flight_count = 0;
	host.below = device;
	host.over_end = &host.over;
	host.frames = (uint32_t)exo_volume_frames(device->blocks, BUFFERS);
	world_boot(host.frames + 400);
	world.unchecked = true;
	host.disk = (struct disk){ .blocks = device->blocks, .flags = EXO_DISK_CACHE, .submit = fake_submit, .notify = fake_notify };
	if (null_enter(add_disk, NULL) != NULL_RETURNED || !null.result)
		return -EIO;
	fill(SLOT_SHARES, EXO_TYPE_DISK, EXO_RIGHT_BIND, exo_disk_first(0, 0), 16);
	take(SLOT_RING, 1);
	take(SLOT_DATA, BOUNCE);
	take(SLOT_POOL, host.frames);
	if (CALL(0, disk_bind, world_handle(0, SLOT_SHARES), world_handle(0, SLOT_RING), 0))
		return -EIO;
	host.ring = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_RING)->first);
	fill(SLOT_BLOCKS, EXO_TYPE_BLOCKS, EXO_RIGHT_READ | EXO_RIGHT_WRITE, exo_disk_first(0, 0), device->blocks);
	code = load_owner();
	do
		root = code < 0 ? code : CALL(0, volume_make, SLOT_ROOT, world_handle(0, SLOT_BLOCKS), world_handle(0, SLOT_POOL), 0,
		    host.frames, (exo_cap_t)code);
	while (root == ERR(AGAIN));
	if (root < 0) {
		printf("# no volume: %d %d\n", (int)root, (int)code);
		return -EIO;
	}
	host.device = (struct block_device){ .ops = &device_ops, .blocks = device->blocks };
	host.volume = (struct volume){ .ops = &volume_ops, .device = &host.device, .see = (uint64_t)root, .own = (uint64_t)root, .made = true,
		.page = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_POOL)->first) };
	volume_sizes(&host.volume);
	host.open = true;
	*volume = &host.volume;
	return 0;
}
