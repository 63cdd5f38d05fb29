/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NVM Express driver: namespace 1 of a controller, flights in, their ends out, no more.
 *
 * At boot the controller is made ready by admin commands, one at a time, which are waited for. Then there is a pair of
 * queues for each CPU, up to four, as controller and memory allow: a flight goes into that of the CPU that submits it,
 * which then is interrupted by its end. A command's identifier is its flight, and how often the controller was started
 * anew: an end from before that is none. Its data is told in pages: two stand in the
 * command, more in a list, of which there are a few or one for each flight, by the machine's memory; the range of a
 * discard lies in a list, too.
 *
 * N1 pair.busy has a bit for each flight that the controller has from this pair: what it returns beside that is counted in
 *    info->errors and ignored. A pair never has as many as its queues have entries, so neither overflows
 * N2 list_of[flight] is the list of a flight, or NO_LIST; nvme.lists has a bit for each list that is free
 *
 * All is under the kernel lock. Source: NVM Express Base Specification 1.4 (and 2.0, NVM Command Set 1.0).
 */
#include "exo/dev/dev.h"
#include "exo/disks.h"

/* Registers, in window 0. */
#define R_CAPABILITIES		0x00
#define R_CONFIGURATION		0x14
#define R_STATUS		0x1c
#define R_ADMIN_SIZES		0x24
#define R_ADMIN_SUBMIT		0x28
#define R_ADMIN_DONE		0x30
#define R_DOORBELLS		0x1000
#define STATUS_READY		1
#define STATUS_FATAL		2
#define HIGH_NVM		0x20	/* of the capabilities' upper half */
#define HIGH_PAGES_MIN		0xf0000
#define CONFIGURATION_ON	(4 << 20 | 6 << 16 | 1)	/* entries of 16 and 64 bytes, pages of 4096 */

/* Admin commands. */
#define A_SUBMIT_MAKE		1
#define A_DONE_MAKE		5
#define A_IDENTIFY		6
#define A_FEATURE_SET		9
#define FEATURE_QUEUES		7
#define CONTIGUOUS		1
#define INTERRUPTS		2

/* Of a controller, as A_IDENTIFY shows it, and of a namespace. */
#define I_MOST			77	/* of one command: 2^n pages; 0: any */
#define I_MOST_LEAST		6	/* EXO_DISK_BLOCKS_MAX */
#define I_OPTIONAL		520
#define OPTIONAL_DISCARD	4
#define OPTIONAL_ZEROES		8
#define I_CACHE			525
#define N_SECTORS		0
#define N_FORMAT		26
#define N_ATTRIBUTES		99	/* bit 0: it cannot be written */
#define N_FORMATS		128

#define C_FUA			(1u << 30)
#define C_DEALLOCATE		4

#define PAIRS_MAX		4
#define PAIR_FRAMES		4096	/* of the machine's memory, for each pair after the first */
#define SMALL_FRAMES		8192	/* a machine with less has few lists */
#define ENTRIES			64
#define LIST_BYTES		512
#define LISTS_FEW		7	/* beside the admin queue's entries, in one frame */
#define LIST_FRAMES		7	/* more, of eight each */
#define NO_LIST			0xff
#define BOOT_NS_MAX		20000000000ULL
#define BUDGET			8000	/* instructions that one interrupt's ends may cost, roughly */
#define COST_ERROR		100
#define AGAIN			256	/* DISK_FLIGHTS at least; no identifier may be 65535 */

/* Of starting anew. */
enum { STEP_ON, STEP_READY, STEP_COUNT, STEP_PAIRS };

struct command {
	uint8_t operation, flags;
	uint16_t id;
	uint32_t namespace;
	uint64_t reserved, metadata;
	uint64_t page[2];
	uint32_t word[6];		/* 10 to 15 */
};

struct done {
	uint32_t result, reserved;
	uint16_t head, queue, id;
	uint16_t status;		/* bit 0: the phase */
};

struct range {
	uint32_t attributes, sectors;
	uint64_t sector;
};

struct pair {
	struct nvme *nvme;
	struct command *command;
	struct done *done;
	volatile uint32_t *submit_bell, *done_bell;
	uint64_t busy;
	uint32_t again;			/* data word of its message interrupt */
	uint16_t entries, tail, head, flights;
	uint16_t phase;			/* of what is not done yet */
};

struct nvme {
	struct disk disk;		/* first */
	volatile uint8_t *registers;
	uint32_t bell_bytes;
	unsigned shift;			/* a block is 1 << shift sectors */
	unsigned pairs;
	struct pair pair[PAIRS_MAX], admin;
	uint64_t lists, all_lists;
	unsigned step;			/* of starting anew: what comes next (nvme_again) */
	bool asked;			/* ... the step's command is under way */
	uint16_t again;			/* of a command's identifier: a multiple of AGAIN */
	uint8_t *list;
	uint8_t list_of[DISK_FLIGHTS];
};

static const uint8_t operations[] = {
	[EXO_DISK_READ] = 2, [EXO_DISK_WRITE] = 1, [EXO_DISK_FLUSH] = 0, [EXO_DISK_DISCARD] = 9, [EXO_DISK_ZEROES] = 8,
};

static struct pair *pair_here(struct disk *disk)
{
	struct nvme *nvme = (struct nvme *)disk;

	return &nvme->pair[here.index % nvme->pairs];
}

/* Tell a command's pages; `list` is used if there are more than two. */
static void pages_tell(struct command *command, const struct disk_transfer *transfer, uint64_t *list)
{
	uint64_t first = transfer->part[0].address, second = 0;
	unsigned pages = 0;

	for (unsigned i = 0; i < transfer->parts; i++) {
		for (uint32_t at = 0; at < transfer->part[i].bytes; at += EXO_PAGE_SIZE, pages++) {
			second = transfer->part[i].address + at;
			if (list && pages)
				list[pages - 1] = second;
		}
	}
	command->page[0] = first;
	command->page[1] = list ? virt_to_phys(list) : pages > 1 ? second : 0;
}

static bool nvme_submit(struct disk *disk, unsigned flight, const struct disk_transfer *transfer)
{
	struct nvme *nvme = (struct nvme *)disk;
	struct pair *pair = pair_here(disk);
	struct command *command = &pair->command[pair->tail];
	uint32_t sectors = transfer->blocks << nvme->shift;
	uint64_t sector = transfer->block << nvme->shift;
	bool moves = transfer->operation <= EXO_DISK_WRITE, listed = moves && transfer->blocks > 2;
	void *list = NULL;

	listed |= transfer->operation == EXO_DISK_DISCARD;
	if (pair->flights + 1 >= pair->entries || (listed && !nvme->lists))
		return false;
	nvme->list_of[flight] = NO_LIST;
	if (listed) {
		nvme->list_of[flight] = (uint8_t)__builtin_ctzll(nvme->lists);
		nvme->lists &= nvme->lists - 1;
		list = nvme->list + nvme->list_of[flight] * LIST_BYTES;
	}
	*command = (struct command){ .operation = operations[transfer->operation],
		.id = (uint16_t)(nvme->again | flight), .namespace = 1 };
	if (transfer->operation == EXO_DISK_DISCARD) {
		*(struct range *)list = (struct range){ 0, sectors, sector };
		command->page[0] = virt_to_phys(list);
		command->word[1] = C_DEALLOCATE;
	} else if (transfer->operation != EXO_DISK_FLUSH) {
		command->word[0] = (uint32_t)sector;
		command->word[1] = (uint32_t)(sector >> 32);
		command->word[2] = (sectors - 1) | (transfer->flags & EXO_DISK_FUA ? C_FUA : 0);
		if (moves)
			pages_tell(command, transfer, list);
	}
	pair->tail = pair->tail + 1 == pair->entries ? 0 : pair->tail + 1;
	pair->flights++;
	pair->busy |= 1ULL << flight;
	return true;
}

static void nvme_notify(struct disk *disk)
{
	struct pair *pair = pair_here(disk);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*pair->submit_bell = pair->tail;
}

/* Take the next end, if there is one: its identifier, its status without the phase. */
static bool pair_next(struct pair *pair, uint16_t *id, uint16_t *status, uint32_t *result)
{
	const struct done *done = &pair->done[pair->head];
	uint16_t word = __atomic_load_n(&done->status, __ATOMIC_ACQUIRE);

	if ((word & 1) == pair->phase)
		return false;
	*id = read_once(done->id);
	*result = read_once(done->result);
	*status = word >> 1;
	if (++pair->head == pair->entries) {
		pair->head = 0;
		pair->phase ^= 1;
	}
	return true;
}

/* Its message interrupt, and the one raised for ends that were left. */
static void pair_interrupt(void *arg)
{
	struct pair *pair = arg;
	struct nvme *nvme = pair->nvme;
	unsigned cost = 0;
	uint16_t id, status;
	uint32_t result;
	bool any = false;

	disks_lock();
	nvme->disk.info->interrupts++;
	while (cost < BUDGET && pair_next(pair, &id, &status, &result)) {
		any = true;
		id ^= nvme->again;
		if (id >= DISK_FLIGHTS || !(pair->busy >> id & 1)) {
			nvme->disk.info->errors++;
			cost += COST_ERROR;
			continue;
		}
		pair->busy &= ~(1ULL << id);
		pair->flights--;
		if (nvme->list_of[id] != NO_LIST)
			nvme->lists |= 1ULL << nvme->list_of[id];
		cost += disk_done(&nvme->disk, id, status != 0);
	}
	if (any)
		*pair->done_bell = pair->head;
	if (disk_settled(&nvme->disk) || cost >= BUDGET)
		disk_again(pair->again);
	disks_unlock();
}

/* --- starting --- */

static uint32_t register_get(const struct nvme *nvme, unsigned offset)
{
	return *(const volatile uint32_t *)(nvme->registers + offset);
}

static void register_put(struct nvme *nvme, unsigned offset, uint64_t value, unsigned words)
{
	for (unsigned i = 0; i < words; i++)
		*(volatile uint32_t *)(nvme->registers + offset + 4 * i) = (uint32_t)(value >> 32 * i);
}

/* As long as the controller may take for anything at boot. */
static exo_time_t patience(const struct nvme *nvme)
{
	uint64_t ns = (register_get(nvme, R_CAPABILITIES) >> 24) * 500000000ULL;

	return arch_now() + (ns < BOOT_NS_MAX ? ns + 1000000000 : BOOT_NS_MAX);
}

static bool status_wait(struct nvme *nvme, uint32_t ready)
{
	exo_time_t end = patience(nvme);
	uint32_t status;

	while (((status = register_get(nvme, R_STATUS)) & STATUS_READY) != ready) {
		if (status & STATUS_FATAL || arch_now() >= end)
			return false;
		arch_pause();
	}
	return !(status & STATUS_FATAL);
}

/* Queue memory: a frame for commands, one for their ends. */
static void pair_lay(struct nvme *nvme, struct pair *pair, unsigned number, unsigned entries, uint8_t *memory)
{
	volatile uint8_t *bells = nvme->registers + R_DOORBELLS + 2 * number * nvme->bell_bytes;

	*pair = (struct pair){
		.nvme = nvme, .command = (void *)memory, .done = (void *)(memory + EXO_PAGE_SIZE), .entries = (uint16_t)entries,
		.submit_bell = (volatile uint32_t *)bells, .done_bell = (volatile uint32_t *)(bells + nvme->bell_bytes),
	};
}

static void admin_post(struct nvme *nvme, uint8_t operation, uint32_t namespace, const void *page, uint32_t word0,
    uint32_t word1)
{
	struct pair *pair = &nvme->admin;

	pair->command[pair->tail] = (struct command){
		.operation = operation, .namespace = namespace, .page = { page ? virt_to_phys(page) : 0 },
		.word = { word0, word1 },
	};
	pair->tail ^= 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*pair->submit_bell = pair->tail;
}

/* 0; AGAIN: it is not done yet; DEVICE: it failed. */
static int64_t admin_end(struct nvme *nvme, uint32_t *result)
{
	struct pair *pair = &nvme->admin;
	uint16_t id, status;

	if (!pair_next(pair, &id, &status, result))
		return register_get(nvme, R_STATUS) & STATUS_FATAL ? ERR(DEVICE) : ERR(AGAIN);
	*pair->done_bell = pair->head;
	return status ? ERR(DEVICE) : 0;
}

/* One at boot, which is waited for. */
static bool admin(struct nvme *nvme, uint8_t operation, uint32_t namespace, const void *page, uint32_t word0, uint32_t word1,
    uint32_t *result)
{
	exo_time_t end = patience(nvme);
	int64_t error;

	admin_post(nvme, operation, namespace, page, word0, word1);
	while ((error = admin_end(nvme, result)) == ERR(AGAIN) && arch_now() < end)
		arch_pause();
	return !error;
}

/* The commands that make a pair's queues: an even number for the ends', then the odd one for the commands'. */
static void make_post(struct nvme *nvme, unsigned number)
{
	unsigned i = number / 2;
	const struct pair *pair = &nvme->pair[i];
	uint32_t sizes = (pair->entries - 1u) << 16 | (i + 1);

	if (number % 2)
		admin_post(nvme, A_SUBMIT_MAKE, 0, pair->command, sizes, (i + 1) << 16 | CONTIGUOUS);
	else
		admin_post(nvme, A_DONE_MAKE, 0, pair->done, sizes, i << 16 | INTERRUPTS | CONTIGUOUS);
}

/* What the controller and the namespace are. NULL: of use; else why not. */
static const char *identify(struct nvme *nvme, uint8_t *page)
{
	struct disk *disk = &nvme->disk;
	uint32_t result, format;
	unsigned shift;

	if (!admin(nvme, A_IDENTIFY, 0, page, 1, 0, &result))
		return "it does not say what it is";
	if (page[I_MOST] && page[I_MOST] < I_MOST_LEAST)
		return "its requests may be too short";
	disk->flags = EXO_DISK_HAS_FUA | (page[I_CACHE] & 1 ? EXO_DISK_CACHE : 0) |
	    (page[I_OPTIONAL] & OPTIONAL_DISCARD ? EXO_DISK_HAS_DISCARD : 0) |
	    (page[I_OPTIONAL] & OPTIONAL_ZEROES ? EXO_DISK_HAS_ZEROES : 0);
	if (!admin(nvme, A_IDENTIFY, 1, page, 0, 0, &result))
		return "it has no namespace 1";
	format = *(uint32_t *)(page + N_FORMATS + 4 * (page[N_FORMAT] & 15));
	shift = format >> 16 & 0xff;
	if (shift < 9 || shift > EXO_PAGE_SHIFT || (uint16_t)format)
		return "its sectors are not of 512 to 4096 bytes without more";
	disk->flags |= page[N_ATTRIBUTES] & EXO_DISK_READ_ONLY;
	nvme->shift = EXO_PAGE_SHIFT - shift;
	disk->blocks = *(uint64_t *)(page + N_SECTORS) >> nvme->shift;
	return NULL;
}

/* How many pairs are of use: one for each CPU, as memory allows; and asked of the controller. */
static unsigned pairs_wanted(struct nvme *nvme)
{
	unsigned most = 1 + info->frames_memory / PAIR_FRAMES;
	uint32_t given;

	if (most > PAIRS_MAX)
		most = PAIRS_MAX;
	if (most > info->cpus)
		most = info->cpus;
	if (most > 1 && (!admin(nvme, A_FEATURE_SET, 0, NULL, FEATURE_QUEUES, (most - 1) << 16 | (most - 1), &given)))
		return 1;
	if (most > 1 && (given & 0xffff) + 1 < most)
		most = (given & 0xffff) + 1;
	if (most > 1 && (given >> 16) + 1 < most)
		most = (given >> 16) + 1;
	return most;
}

/* The controller is off: let it have its admin queues, and go. */
static void switch_on(struct nvme *nvme)
{
	register_put(nvme, R_ADMIN_SIZES, 1 << 16 | 1, 1);
	register_put(nvme, R_ADMIN_SUBMIT, virt_to_phys(nvme->admin.command), 2);
	register_put(nvme, R_ADMIN_DONE, virt_to_phys(nvme->admin.done), 2);
	register_put(nvme, R_CONFIGURATION, CONFIGURATION_ON, 1);
}

static bool nvme_stop(struct disk *disk)
{
	struct nvme *nvme = (struct nvme *)disk;

	register_put(nvme, R_CONFIGURATION, 0, 1);
	nvme->step = STEP_ON;
	return !(register_get(nvme, R_STATUS) & STATUS_READY);
}

static void pair_empty(struct pair *pair)
{
	pair->busy = 0;
	pair->tail = pair->head = pair->flights = pair->phase = 0;
	__builtin_memset(pair->done, 0, pair->entries * sizeof(struct done));
}

/* One thing a call: on; is it ready; then each admin command, and its end. At boot from STEP_PAIRS on. */
static int64_t nvme_again(struct disk *disk)
{
	struct nvme *nvme = (struct nvme *)disk;
	uint32_t status = register_get(nvme, R_STATUS), most = nvme->pairs - 1, result;
	int64_t error;

	if (nvme->step == STEP_ON) {
		pair_empty(&nvme->admin);
		for (unsigned i = 0; i < nvme->pairs; i++)
			pair_empty(&nvme->pair[i]);
		nvme->lists = nvme->all_lists;
		nvme->asked = false;
		nvme->again += AGAIN;
		switch_on(nvme);
	} else if (nvme->step == STEP_READY) {
		if (!(status & (STATUS_READY | STATUS_FATAL)))
			return ERR(AGAIN);
		if (status & STATUS_FATAL)
			return ERR(DEVICE);
	} else if (!nvme->asked) {
		if (nvme->step == STEP_COUNT)
			admin_post(nvme, A_FEATURE_SET, 0, NULL, FEATURE_QUEUES, most << 16 | most);
		else
			make_post(nvme, nvme->step - STEP_PAIRS);
		nvme->asked = true;
		return ERR(AGAIN);
	} else {
		error = admin_end(nvme, &result);
		if (error && (nvme->step != STEP_COUNT || error == ERR(AGAIN)))
			return error;
		nvme->asked = false;
	}
	return nvme->step++ == STEP_PAIRS - 1 + 2 * nvme->pairs ? 0 : ERR(AGAIN);
}

/* The controller is off. NULL: it runs; else what is missing. */
static const char *nvme_start(struct nvme *nvme, struct pci *pci)
{
	unsigned entries = (register_get(nvme, R_CAPABILITIES) & 0xffff) + 1, wanted;
	uint8_t *memory = frame_boot_memory(2 * EXO_PAGE_SIZE);
	const char *missing;
	struct pair *pair;
	exo_time_t end;
	int64_t error = ERR(DEVICE);

	switch_on(nvme);
	if (!status_wait(nvme, STATUS_READY))
		return "it does not start";
	missing = identify(nvme, memory);
	if (missing)
		return missing;
	nvme->disk.submit = nvme_submit;
	nvme->disk.notify = nvme_notify;
	nvme->disk.stop = nvme_stop;
	nvme->disk.start = nvme_again;
	entries = entries < ENTRIES ? entries : ENTRIES;
	for (wanted = pairs_wanted(nvme); nvme->pairs < wanted; nvme->pairs++) {
		pair = &nvme->pair[nvme->pairs];
		pair_lay(nvme, pair, nvme->pairs + 1, entries, nvme->pairs ? frame_boot_memory(2 * EXO_PAGE_SIZE) : memory);
		if (!pci_message_interrupt(pci, nvme->pairs, pair_interrupt, pair, &pair->again))
			break;
	}
	nvme->disk.again = nvme->pair[0].again;
	nvme->step = STEP_PAIRS;
	for (end = patience(nvme); nvme->pairs && (error = nvme_again(&nvme->disk)) == ERR(AGAIN) && arch_now() < end;)
		arch_pause();
	if (error)
		return "it has no usable queue or message interrupt";
	return disk_add(&nvme->disk, "nvme") ? NULL : "there are too many devices, or it has no blocks";
}

const char *nvme_pci(struct pci *pci)
{
	volatile uint8_t *registers = pci_window(pci, 0, 0, R_DOORBELLS);
	unsigned list_frames = info->frames_memory < SMALL_FRAMES ? 0 : LIST_FRAMES;
	const char *missing;
	struct nvme *nvme;
	uint32_t high, bell_bytes;
	uint8_t *memory;

	if (!registers)
		return "its registers are out of reach";
	high = *(const volatile uint32_t *)(registers + R_CAPABILITIES + 4);
	bell_bytes = 4 << (high & 15);
	if (!(high & HIGH_NVM) || high & HIGH_PAGES_MIN || !pci_window(pci, 0, R_DOORBELLS, 2 * (PAIRS_MAX + 1) * bell_bytes))
		return "it has other commands, pages or doorbells than this driver";
	/* The admin queues, and in their frames this driver's state and lists. */
	memory = frame_boot_memory((2 + list_frames) * EXO_PAGE_SIZE);
	nvme = (struct nvme *)(memory + EXO_PAGE_SIZE / 2);
	nvme->registers = registers;
	nvme->bell_bytes = bell_bytes;
	nvme->list = memory + EXO_PAGE_SIZE + LIST_BYTES;
	nvme->lists = nvme->all_lists = (1ULL << (LISTS_FEW + 8 * list_frames)) - 1;
	pair_lay(nvme, &nvme->admin, 0, 2, memory);
	register_put(nvme, R_CONFIGURATION, 0, 1);
	missing = status_wait(nvme, 0) ? nvme_start(nvme, pci) : "it does not stop";
	if (missing)
		register_put(nvme, R_CONFIGURATION, 0, 1);
	return missing;
}
