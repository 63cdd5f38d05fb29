/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NVM Express driver with a controller in memory, honest and not.
 *
 * The registers are plain memory; the controller looks at them whenever the driver waits, and does what admin commands
 * say. I/O commands it does when the test lets it. It checks the form of all that it is told, by the standard.
 */
#include "test/unit/disk_driver.h"

#define nvme_pci tested_pci
#include "exo/dev/nvme.c"

#define WINDOW		16384
#define MSIX_OFFSET	0x3000

static unsigned char *window, configuration[256];
static struct pci pci;
static unsigned malformed;
static unsigned restarts;		/* since the driver was started */
static unsigned sector_shift;		/* of its format */
static uint32_t identify_vwc = 1, identify_oncs = 0xff, identify_mdts = 7, metadata, namespaces = 1;
static enum { HONEST, DEAF, FATAL, STUCK, NO_QUEUE } mood;

/* Of the admin pair (0) and the one for I/O. */
static struct side {
	struct command *command;
	struct done *done;
	unsigned entries, taken, given, phase;
} side[2];
static struct command had[ENTRIES];
static unsigned had_count;

static void is_why(const char *got, const char *wanted, const char *name)
{
	ok(wanted ? got && !strcmp(got, wanted) : !got, "%s%s%s", name, got ? ": " : "", got ? got : "");
}

static uint32_t get(unsigned offset)
{
	uint32_t value;

	memcpy(&value, window + offset, 4);
	return value;
}

static uint64_t get64(unsigned offset)
{
	return get(offset) | (uint64_t)get(offset + 4) << 32;
}

static void put(unsigned offset, uint32_t value)
{
	memcpy(window + offset, &value, 4);
}

static void give_back(unsigned i, uint16_t id, uint16_t status, uint32_t result)
{
	struct side *s = &side[i];

	s->done[s->given] = (struct done){ .result = result, .id = id, .status = (uint16_t)(status << 1 | s->phase) };
	if (++s->given == s->entries) {
		s->given = 0;
		s->phase ^= 1;
	}
}

static void identify_answer(const struct command *c)
{
	unsigned char *page = phys_to_virt(c->page[0]);
	uint32_t format = sector_shift << 16 | metadata;

	malformed += c->page[0] % EXO_PAGE_SIZE != 0;
	memset(page, 0, EXO_PAGE_SIZE);
	if (c->word[0] == 1) {
		page[77] = (uint8_t)identify_mdts;
		page[520] = (uint8_t)identify_oncs;
		page[525] = (uint8_t)identify_vwc;
	} else {
		uint64_t sectors = sector_shift > 12 ? BLOCKS : (uint64_t)BLOCKS << (12 - sector_shift);

		memcpy(page, &sectors, 8);
		page[26] = 3;
		memcpy(page + 128 + 12, &format, 4);
	}
}

static void admin_do(const struct command *c)
{
	uint16_t status = 0;
	uint32_t result = 0;

	if (c->operation == A_IDENTIFY && !(c->word[0] == 0 && !namespaces)) {
		identify_answer(c);
	} else if (c->operation == A_DONE_MAKE && mood != NO_QUEUE) {
		side[1] = (struct side){ .done = phys_to_virt(c->page[0]), .entries = (c->word[0] >> 16) + 1, .phase = 1 };
		malformed += (c->word[0] & 0xffff) != 1 || c->word[1] != 3 || c->page[0] % EXO_PAGE_SIZE != 0;
	} else if (c->operation == A_SUBMIT_MAKE && mood != NO_QUEUE) {
		side[1].command = phys_to_virt(c->page[0]);
		malformed += (c->word[0] & 0xffff) != 1 || c->word[1] != (1 << 16 | 1) || c->page[0] % EXO_PAGE_SIZE != 0 ||
		    (c->word[0] >> 16) + 1 != side[1].entries;
	} else {
		status = 2;
	}
	give_back(0, c->id, status, result);
}

/* Whenever the driver waits. */
static void controller(void)
{
	null.now += 1000000;
	null.on_pause = controller;
	if (mood == DEAF)
		return;
	if (!(get(R_CONFIGURATION) & 1)) {
		put(R_STATUS, mood == STUCK ? 1 : 0);
		return;
	}
	if (!get(R_STATUS)) {
		malformed += get(R_CONFIGURATION) != CONFIGURATION_ON;
		side[0] = (struct side){ .command = phys_to_virt(get64(R_ADMIN_SUBMIT)),
			.done = phys_to_virt(get64(R_ADMIN_DONE)), .entries = (get(R_ADMIN_SIZES) & 0xfff) + 1, .phase = 1 };
		put(R_STATUS, mood == FATAL ? STATUS_FATAL : 1);
		return;
	}
	while (side[0].taken != get(R_DOORBELLS)) {
		admin_do(&side[0].command[side[0].taken]);
		side[0].taken = (side[0].taken + 1) % side[0].entries;
	}
}

static const char *start(uint32_t frames, unsigned shift, unsigned entries)
{
	const char *missing;

	fake_start(frames);
	pool = frame_boot_take(POOL, EXO_FRAME_KERNEL);
	memset(&pci, 0, sizeof(pci));
	pci.bar[0].base = (paddr_t)frame_boot_take(WINDOW / EXO_PAGE_SIZE, EXO_FRAME_DEVICE) << EXO_PAGE_SHIFT;
	pci.bar[0].bytes = WINDOW;
	window = phys_to_virt(pci.bar[0].base);
	memset(window, 0, WINDOW);
	put(R_CAPABILITIES, 4 << 24 | (entries - 1));
	put(R_CAPABILITIES + 4, HIGH_NVM);
	memset(configuration, 0, sizeof(configuration));
	configuration[0x06] = 0x10;
	configuration[0x34] = 0x40;
	memcpy(configuration + 0x40, (uint8_t[]){ 0x11, 0, 3, 0, MSIX_OFFSET & 0xff, MSIX_OFFSET >> 8 }, 6);
	null.pci = configuration;
	null.on_pause = controller;
	sector_shift = shift;
	memset(side, 0, sizeof(side));
	had_count = malformed = restarts = 0;
	missing = tested_pci(&pci);
	null.on_pause = NULL;
	return missing;
}

/* The page of a command's data that comes as the i-th of `pages`. */
static void *page_of(const struct command *c, unsigned i, unsigned pages)
{
	const uint64_t *list = phys_to_virt(c->page[1]);
	uint64_t page = i == 0 ? c->page[0] : pages == 2 ? c->page[1] : list[i - 1];

	malformed += page % EXO_PAGE_SIZE != 0 || (pages > 2 && (c->page[1] % 8 != 0 ||
	    c->page[1] / EXO_PAGE_SIZE != (c->page[1] + (pages - 1) * 8 - 1) / EXO_PAGE_SIZE));
	return phys_to_virt(page);
}

static void command_do(const struct command *c)
{
	unsigned shift = 12 - sector_shift, sectors = (c->word[2] & 0xffff) + 1, blocks = sectors >> shift;
	uint64_t sector = c->word[0] | (uint64_t)c->word[1] << 32, block = sector >> shift;
	const struct range *range;

	malformed += c->namespace != 1 || c->flags || c->metadata;
	if (c->operation == 0)
		return;
	if (c->operation == 9) {
		range = phys_to_virt(c->page[0]);
		malformed += c->word[0] != 0 || c->word[1] != 4 || c->page[0] % EXO_PAGE_SIZE > EXO_PAGE_SIZE - 16;
		block = range->sector >> shift;
		blocks = range->sectors >> shift;
	}
	malformed += block + blocks > BLOCKS || (sectors & ((1u << shift) - 1) && c->operation != 9);
	for (unsigned i = 0; i < blocks; i++) {
		if (c->operation == 2)
			memcpy(page_of(c, i, blocks), image[block + i], EXO_PAGE_SIZE);
		else if (c->operation == 1)
			memcpy(image[block + i], page_of(c, i, blocks), EXO_PAGE_SIZE);
		else
			memset(image[block + i], 0, EXO_PAGE_SIZE);
	}
}

static bool device_step(void)
{
	struct side *s = &side[1];
	struct command c;
	unsigned i, flight;

	while (s->taken != get(R_DOORBELLS + 8)) {
		had[had_count++] = s->command[s->taken];
		memset(&s->command[s->taken], 0xee, sizeof(struct command));
		s->taken = (s->taken + 1) % s->entries;
	}
	if (!had_count)
		return false;
	/* Ends that the driver has not taken yet may not be overwritten. */
	if ((s->given + 1) % s->entries == get(R_DOORBELLS + 12))
		return false;
	i = below(had_count);
	c = had[i];
	had[i] = had[--had_count];
	flight = c.id % 256;
	if (flight >= DISK_FLIGHTS)
		flight = 0;
	malformed += c.id != (restarts % 256 << 8 | flight) ||
	    c.operation != operations[transfers[flight].operation] ||
	    !!(c.word[2] & C_FUA) != !!(transfers[flight].flags & EXO_DISK_FUA);
	if (!fails[flight])
		command_do(&c);
	give_back(1, c.id, fails[flight] ? (uint16_t)(1 + below(0x7ffe)) : 0, 0);
	return true;
}

static void test_start(void)
{
	is_why(start(8192, 9, 1024), NULL, "a controller with all that is of use runs");
	is_int((long long)disk->blocks, BLOCKS, "its blocks, of sectors of 512 bytes");
	is_int(disk->flags, EXO_DISK_CACHE | EXO_DISK_HAS_FUA | EXO_DISK_HAS_DISCARD | EXO_DISK_HAS_ZEROES, "what it offers");
	identify_vwc = identify_oncs = identify_mdts = 0;
	is_why(start(8192, 12, 2), NULL, "one with very short queues, and little more");
	is_int((long long)disk->blocks, BLOCKS, "its blocks, of sectors of 4096 bytes");
	is_int(disk->flags, EXO_DISK_HAS_FUA, "what it offers");
	identify_mdts = 5;
	is_why(start(8192, 9, 64), "its requests may be too short", "short requests");
	identify_vwc = 1, identify_oncs = 0xff, identify_mdts = 6;
	is_why(start(8192, 13, 64), "its sectors are not of 512 to 4096 bytes without more", "large sectors");
	is_why(start(8192, 0, 64), "its sectors are not of 512 to 4096 bytes without more", "tiny sectors");
	metadata = 8;
	is_why(start(8192, 9, 64), "its sectors are not of 512 to 4096 bytes without more", "sectors with metadata");
	metadata = namespaces = 0;
	is_why(start(8192, 9, 64), "it has no namespace 1", "nothing behind it");
	namespaces = 1;
	mood = DEAF;
	is_why(start(8192, 9, 64), "it does not start", "a controller that does not answer");
	mood = FATAL;
	is_why(start(8192, 9, 64), "it does not start", "one that fails");
	mood = NO_QUEUE;
	is_why(start(8192, 9, 64), "it has no usable queue or message interrupt", "one that has no queues");
	mood = HONEST;
	disk_refused = true;
	is_why(start(8192, 9, 64), "there are too many devices, or it has no blocks", "one too many");
	disk_refused = false;
	is_int((long long)(get(R_CONFIGURATION) & 1), 0, "which is turned off again");
	is_int(malformed, 0, "all was well-formed");
}

static void test_requests(uint32_t frames, unsigned shift, unsigned entries, unsigned room)
{
	if (start(frames, shift, entries))
		ok(false, "it starts");
	room_is(room, "so many fit");
	ends = 0;
	requests_random(world_steps(4000), EXO_DISK_ZEROES + 1, "all operations");
	is_int(malformed, 0, "all was well-formed");
	is_int((long long)disk_info.errors, 0, "no errors of the device");
	room_is(room, "as many as at first");
}

/* What a controller that lies can do. */
static void test_hostile(void)
{
	unsigned lies = 0;

	if (start(8192, 9, 64))
		ok(false, "it starts");
	for (unsigned i = 0; i < world_steps(3000); i++) {
		for (unsigned n = below(4); n; n--)
			transfer_random(EXO_DISK_ZEROES + 1, true);
		disk->notify(disk);
		for (unsigned n = below(4); n; n--)
			device_step();
		for (unsigned n = below(3); n; n--) {
			uint16_t id = below(2) ? (uint16_t)below(80) : (uint16_t)world_random();

			if (id < DISK_FLIGHTS && under_way >> id & 1)
				continue;
			if ((side[1].given + 1) % side[1].entries == get(R_DOORBELLS + 12))
				break;
			give_back(1, id, (uint16_t)below(3), 0);
			lies++;
		}
		null.irq(null.irq_arg);
	}
	for (unsigned i = 0; i < 100; i++) {
		while (device_step())
			;
		null.irq(null.irq_arg);
	}
	is_int((long long)disk_info.errors, lies, "identifiers that are not the controller's: counted");
	ok(under_way == 0 && wrong_ends == 0, "and nothing else");
	room_is(63, "all entries are there");
	ends = 0;
	requests_random(200, EXO_DISK_WRITE + 1, "after that");
}

/* Steps until it runs, or does not. */
static int64_t starts(unsigned most)
{
	int64_t result;

	restarts++;
	while ((result = disk->start(disk)) == ERR(AGAIN) && most--)
		controller();
	null.on_pause = NULL;
	return result;
}

static bool stops(void)
{
	(void)disk->stop(disk);
	controller();
	null.on_pause = NULL;
	return disk->stop(disk);
}

/* A controller that ends, after it was started anew, what it had before, whatever has that flight now. */
static void stale_are_none(void)
{
	unsigned errors = (unsigned)disk_info.errors, before = ends, lies = 0;

	while (!under_way || below(4))
		transfer_random(EXO_DISK_ZEROES + 1, false);
	disk->notify(disk);
	for (uint64_t left = under_way; left && lies < 8; left &= left - 1, lies++)
		give_back(1, (uint16_t)((restarts - 1) % 256 << 8 | (unsigned)__builtin_ctzll(left)), 0, 0);
	null.irq(null.irq_arg);
	is_int((long long)disk_info.errors, errors + lies, "ends of what it had before: counted");
	ok(ends == before, "and nothing else");
	disk_info.errors = errors;
	while (device_step())
		null.irq(null.irq_arg);
	ok(!under_way, "what it has now ends");
}

/* It starts anew, in the middle of its work; or it does not stop, or not start. */
static void test_again(unsigned entries, unsigned room)
{
	unsigned before;

	if (start(8192, 9, entries))
		ok(false, "it starts");
	for (unsigned i = 0; i < 5; i++) {
		in_the_middle();
		mood = DEAF;
		ok(under_way && !stops(), "it does not stop");
		mood = HONEST;
		ok(stops(), "but then it does");
		forgotten();
		had_count = 0;
		memset(side, 0, sizeof(side));
		put(R_DOORBELLS, 0);
		put(R_DOORBELLS + 8, 0);
		put(R_DOORBELLS + 12, 0);
		is_int((long long)starts(100), 0, "and starts");
		before = ends;
		null.irq(null.irq_arg);
		ok(ends == before, "with nothing that was");
		stale_are_none();
		room_is(room, "all entries are there");
	}
	ends = 0;
	requests_random(200, EXO_DISK_ZEROES + 1, "after that");
	is_int(malformed, 0, "all was well-formed");
	is_int((long long)disk_info.errors, 0, "no errors of the device");
	ok(stops(), "it stops");
	mood = DEAF;
	is_int((long long)starts(100), ERR(AGAIN), "one that is deaf has not started yet");
	mood = HONEST;
	ok(stops(), "it stops");
	mood = FATAL;
	is_int((long long)starts(100), ERR(DEVICE), "one that fails");
	mood = HONEST;
	ok(stops(), "it stops");
	mood = NO_QUEUE;
	memset(side, 0, sizeof(side));
	put(R_DOORBELLS, 0);
	is_int((long long)starts(100), ERR(DEVICE), "one without queues");
	mood = HONEST;
	ok(stops(), "it stops");
	memset(side, 0, sizeof(side));
	put(R_DOORBELLS, 0);
	put(R_DOORBELLS + 8, 0);
	put(R_DOORBELLS + 12, 0);
	is_int((long long)starts(100), 0, "and starts");
	room_is(room, "it works");
}

int main(void)
{
	test_start();
	test_requests(8192, 9, 1024, 63);
	test_requests(8192, 12, 64, 63);
	test_requests(8192, 11, 17, 16);
	test_requests(4096, 9, 64, 63);
	test_hostile();
	test_again(64, 63);
	test_again(17, 16);
	return done();
}
