/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio block driver with a device in memory, honest and not.
 *
 * The window's registers are plain memory, which is enough for what the driver does at boot. The device follows the
 * descriptors by the standard, does the request on the image, and checks their form.
 */
#include "test/unit/disk_driver.h"

#define virtio_blk_pci tested_pci
#define virtio_blk_mmio tested_mmio
#include "exo/dev/virtio_blk.c"

#define RING_MOST	256

static unsigned char *window;
static struct arch_mmio_device place;
static struct virtio opened;
static uint16_t size;			/* of the queue */
static struct virtq_desc *desc;
static struct virtq_avail *avail;
static struct virtq_used *used;
static uint16_t had[RING_MOST], had_count, seen;	/* heads that the device has */
static unsigned malformed;

static void is_why(const char *got, const char *wanted, const char *name)
{
	ok(wanted ? got && !strcmp(got, wanted) : !got, "%s%s%s", name, got ? ": " : "", got ? got : "");
}

static void reg(unsigned offset, uint32_t value)
{
	memcpy(window + offset, &value, 4);
}

static uint64_t reg64(unsigned offset)
{
	uint64_t value;

	memcpy(&value, window + offset, 8);
	return value;
}

/* Boot with a device of these features and sizes; returns what is missing. */
static const char *start(uint32_t frames, uint32_t features, uint32_t queue_size, uint64_t sectors, uint32_t parts)
{
	uint32_t version;
	const char *missing;

	fake_start(frames);
	memset(blks, 0, sizeof(blks));
	pool = frame_boot_take(POOL, EXO_FRAME_KERNEL);
	place = (struct arch_mmio_device){ (paddr_t)frame_boot_take(1, EXO_FRAME_DEVICE) << EXO_PAGE_SHIFT, 512, 5 };
	window = phys_to_virt(place.base);
	memset(window, 0, EXO_PAGE_SIZE);
	reg(0x000, 0x74726976);
	reg(0x004, 2);
	reg(0x008, 2);
	reg(0x010, features | 1);		/* bit 0 of the upper half is version 1 */
	reg(0x034, queue_size);
	reg(0x100, (uint32_t)sectors);
	reg(0x104, (uint32_t)(sectors >> 32));
	reg(0x10c, parts);
	reg(0x124, 1 << 20);
	reg(0x130, 1 << 20);
	had_count = seen = 0;
	malformed = 0;
	if (virtio_open_mmio(&opened, &place, &version) != 2 || version != 2)
		return "no device";
	missing = tested_mmio(&opened, &place);
	desc = phys_to_virt(reg64(0x080));
	avail = phys_to_virt(reg64(0x090));
	used = phys_to_virt(reg64(0x0a0));
	memcpy(&size, window + 0x038, 2);
	return missing;
}

static void give_back(uint32_t id)
{
	used->ring[used->index % size].id = id;
	used->ring[used->index % size].bytes = 1;
	used->index++;
}

/* The range of a discard, or the data, of a request that begins with descriptor `at`; returns the status descriptor. */
static unsigned data_move(const struct head *head, unsigned at, bool fail)
{
	uint64_t block = head->sector / 8;
	const struct range *range;

	for (at = desc[at].next; desc[at].flags & VIRTQ_DESC_NEXT; at = desc[at].next) {
		void *data = phys_to_virt(desc[at].address);

		malformed += at >= size || !!(desc[at].flags & VIRTQ_DESC_WRITE) != (head->type == 0);
		if (head->type == 0 && !fail)
			memcpy(data, image[block], desc[at].bytes);
		else if (head->type == 1 && !fail)
			memcpy(image[block], data, desc[at].bytes);
		else if (head->type >= 11 && !fail) {
			range = data;
			malformed += desc[at].bytes != 16 || range->flags || range->sector % 8 || range->sectors % 8;
			memset(image[range->sector / 8], 0, range->sectors * 512);
		}
		block += desc[at].bytes / EXO_PAGE_SIZE;
		malformed += block > BLOCKS;
	}
	return at;
}

static bool device_step(void)
{
	unsigned at, end;
	const struct head *head;
	uint8_t flight;
	bool fail;

	while (seen != avail->index)
		had[had_count++] = avail->ring[seen++ % size];
	if (!had_count)
		return false;
	end = below(had_count);
	at = had[end];
	had[end] = had[--had_count];
	head = phys_to_virt(desc[at].address);
	malformed += desc[at].bytes != 16 || desc[at].flags != VIRTQ_DESC_NEXT || head->reserved || head->sector % 8;
	flight = ((struct blk *)disk)->queue[0]->flight[at];	/* to know what the test wants of it */
	malformed += flight >= DISK_FLIGHTS || head->type != types[transfers[flight].operation];
	fail = fails[flight % DISK_FLIGHTS];
	end = data_move(head, at, fail);
	malformed += desc[end].bytes != 1 || desc[end].flags != VIRTQ_DESC_WRITE;
	*(uint8_t *)phys_to_virt(desc[end].address) = fail ? (uint8_t)(1 + below(255)) : 0;
	give_back(at);
	return true;
}

#define ALL	(1u << F_PARTS | 1u << F_FLUSH | 1u << F_DISCARD | 1u << F_ZEROES)

static void test_start(void)
{
	is_why(start(8192, ALL, 256, BLOCKS * 8 + 7, 254), NULL, "a device with all features runs");
	is_int((long long)disk->blocks, BLOCKS, "a block is 8 sectors; what does not fill one is not there");
	is_int(disk->flags, EXO_DISK_CACHE | EXO_DISK_HAS_DISCARD | EXO_DISK_HAS_ZEROES, "what it offers");
	is_why(start(8192, 1u << F_READ_ONLY, 1024, 64, 0), NULL, "a read-only one with few features");
	is_int(disk->flags, EXO_DISK_READ_ONLY, "it has no cache");
	is_int(size, 256, "no more of a queue than is of use");
	is_why(start(8192, ALL, 256, 64, 15), "its requests may have too few parts", "too few parts");
	is_why(start(8192, ALL, 32, 64, 254), "it has no usable queue", "too small a queue");
	is_why(start(8192, ALL, 0, 64, 254), "it has no usable queue", "no queue");
	is_why(start(8192, ALL, 256, 7, 254), "there are too many devices, or it has no blocks", "less than a block");
	disk_refused = true;
	is_why(start(8192, ALL, 256, 64, 254), "there are too many devices, or it has no blocks", "one too many");
	disk_refused = false;
}

static void test_requests(uint32_t queue_size, unsigned room)
{
	if (start(8192, ALL, queue_size, BLOCKS * 8, 254))
		ok(false, "it starts");
	room_is(room, "so many fit");
	ends = 0;
	requests_random(world_steps(4000), EXO_DISK_ZEROES + 1, "all operations");
	is_int(malformed, 0, "all was well-formed");
	is_int((long long)disk_info.errors, 0, "no errors of the device");
	room_is(room, "as many as at first");
}

/* What a device that lies can do. */
static void test_hostile(void)
{
	struct queue *queue;
	unsigned lies = 0;

	if (start(8192, ALL, 256, BLOCKS * 8, 254))
		ok(false, "it starts");
	queue = ((struct blk *)disk)->queue[0];
	for (unsigned i = 0; i < world_steps(3000); i++) {
		for (unsigned n = below(4); n; n--)
			transfer_random(EXO_DISK_ZEROES + 1, true);
		disk->notify(disk);
		for (unsigned n = below(4); n; n--)
			device_step();
		for (unsigned n = below(3); n; n--) {
			uint32_t id = below(2) ? below(300) : (uint32_t)world_random();

			if (id < queue->slots && queue->flight[id] != FREE)
				continue;
			give_back(id);
			lies++;
		}
		null.irq(null.irq_arg);
	}
	while (device_step())
		;
	for (unsigned i = 0; i < 100; i++)
		null.irq(null.irq_arg);
	is_int((long long)disk_info.errors, lies, "slots that are not the device's, and none at all: counted");
	ok(under_way == 0 && wrong_ends == 0, "and nothing else");
	/* Descriptors that it has changed meanwhile do not lead the driver astray. */
	while (under_way != ~0ULL && transfer_random(EXO_DISK_WRITE + 1, false))
		;
	disk->notify(disk);
	while (device_step())
		;
	for (unsigned i = 0; i < size; i++)
		desc[i].next = (uint16_t)world_random();
	null.irq(null.irq_arg);
	null.irq(null.irq_arg);
	ok(under_way == 0, "changed descriptors do not matter");
	for (unsigned i = 0; i < queue->slots; i++)
		desc[i].next = 0;
	/* An index that runs ahead: as many wrong ends as it says, in bounded stays. */
	lies = (unsigned)disk_info.errors;
	used->index += 1000;
	null.irq(null.irq_arg);
	ok(disk_info.errors - lies < 200 && null.irq_again > 0, "an index that runs ahead is not believed at once");
	for (unsigned i = 0; i < 20; i++)
		null.irq(null.irq_arg);
	is_int((long long)disk_info.errors - lies, 1000, "but counted");
	room_is(64, "all slots are there");
}

/* It starts anew, in the middle of its work; and one that is another then. */
static void test_again(uint32_t queue_size, unsigned room)
{
	unsigned before;

	if (start(8192, ALL, queue_size, BLOCKS * 8, 254))
		ok(false, "it starts");
	for (unsigned i = 0; i < 5; i++) {
		in_the_middle();
		ok(under_way && disk->stop(disk), "it stops");
		forgotten();
		had_count = seen = 0;
		is_int((long long)disk->start(disk), 0, "and starts");
		before = ends;
		null.irq(null.irq_arg);
		ok(ends == before && used->index == 0, "with nothing that was");
		room_is(room, "all slots are there");
	}
	ends = 0;
	requests_random(200, EXO_DISK_ZEROES + 1, "after that");
	is_int(malformed, 0, "all was well-formed");
	is_int((long long)disk_info.errors, 0, "no errors of the device");
	ok(disk->stop(disk), "it stops");
	reg(0x010, 1);
	is_int((long long)disk->start(disk), ERR(DEVICE), "but has lost what it could");
	reg(0x010, ALL | 1);
	reg(0x034, 8);
	is_int((long long)disk->start(disk), ERR(DEVICE), "or a queue");
	reg(0x034, queue_size);
	had_count = seen = 0;
	ok(disk->stop(disk) && disk->start(disk) == 0, "and then it has them again");
	room_is(room, "it works");
}

/* The interrupt line. */
static void test_line(void)
{
	unsigned before;

	if (start(8192, ALL, 256, BLOCKS * 8, 254))
		ok(false, "it starts");
	before = settles;
	reg(0x060, 0);
	blk_pin_interrupt(disk);
	is_int(settles, before, "another's interrupt");
	reg(0x060, 3);
	blk_pin_interrupt(disk);
	is_int(settles, before + 1, "its own");
	is_int((long long)(uint32_t)reg64(0x064), 3, "is acknowledged");
}

int main(void)
{
	test_start();
	test_requests(256, 64);
	test_requests(128, 32);
	test_requests(64, 16);
	test_hostile();
	test_again(256, 64);
	test_again(64, 16);
	test_line();
	return done();
}
