/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block devices over a disk's ring. See disk.h.
 *
 * A request becomes a *job*: one or more requests of the kernel's, since pages that are no neighbours, or a long
 * discard, do not fit in one; and a flush behind a write that has to be stable where the disk knows no such writes. The
 * job's number is the tag of all of them.
 *
 * R1 disk->posted is what the ring's `posted` is; posted - ring->taken <= EXO_DISK_SLOTS
 * R2 requests given to the kernel and not seen done are disk->out <= EXO_DISK_SLOTS, so no completion is overwritten
 * R3 a job is free iff its request is NULL; a request without a job stands in disk->line, in order
 * R4 a job that has something left to give to the kernel has its bit in disk->unsent
 */
#include <string.h>
#include "libos/core/space.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "libos/vm/vm.h"

#define JOBS	EXO_DISK_SLOTS
#define DISKS	4
#define LAST_LOOKS	10000	/* in one second, before a disk is called silent */

struct job {
	struct block_request *request;	/* NULL: free */
	uint32_t block, left;		/* that are still to be given to the kernel */
	uint32_t at;			/* page of its part at which it goes on */
	uint16_t part, out;		/* requests of the kernel's under way */
	bool flush;			/* a flush comes when all else is done */
	int result;
};

struct waiter {
	struct block_request *request;
	struct thread_queue queue;
	struct waiter *next;
};

struct disk {
	exo_cap_t cap;
	struct frame frame;			/* the ring's */
	struct exo_disk_ring *ring;
	uint32_t flags, posted, done, out;
	uint64_t unsent;
	uint64_t free;				/* jobs */
	unsigned open;				/* extents */
	bool own;				/* opened by disk_extent_open: closed with its last extent */
	exo_time_t look;		/* who waits longer than this looks whether the ring is still there */
	exo_time_t patience, quiet;	/* how long it may end nothing; since when it has not */
	uint32_t heard;			/* `done` then; another number while it had no requests */
	int lost;			/* not 0: the ring is of no use any more, and why */
	bool draining, polled, restarting;
	struct block_request *line, **line_end;
	struct block_request *over, **over_end;	/* ended at once; not told yet */
	struct waiter *waiters;
	struct job job[JOBS];
	struct thread_poller poller;		/* of no use while ring is NULL */
};

struct extent {
	struct block_device device;
	struct disk *disk;			/* NULL: this one is free */
	exo_cap_t blocks;
};

static struct disk *disks;			/* room for DISKS, in memory that costs nothing before one is opened */
static unsigned disk_count;			/* that there is memory for */
static struct extent extents[DISK_EXTENTS_MAX];

static int errno_of(int32_t result)
{
	switch (-result) {
	case 0: return 0;
	case EXO_ERIGHTS: return -EACCES;
	case EXO_ECAP: return -ENXIO;
	case EXO_EBUSY: return -EBUSY;
	case EXO_ERANGE: return -EINVAL;
	default: return -EIO;
	}
}

/* The capability that the kernel asks: of the extent's blocks, or of a node of a volume. */
static exo_cap_t blocks_of(const struct block_request *request)
{
	return request->through ? request->through : ((struct extent *)request->device)->blocks;
}

/* --- to the kernel --------------------------------------------------------------------------------------- */

/* The frames of the next pages of a job as descriptors from `posted` on; how many blocks, at most `most`. */
static uint32_t describe(struct disk *disk, struct job *job, uint32_t most, uint32_t *slots)
{
	const struct block_request *request = job->request;
	uint32_t room = EXO_DISK_SLOTS - (disk->posted - __atomic_load_n(&disk->ring->taken, __ATOMIC_ACQUIRE)), blocks = 0;
	struct exo_disk_request *one = NULL;

	*slots = 0;
	room = room < EXO_DISK_PARTS_MAX ? room : EXO_DISK_PARTS_MAX;
	while (blocks < most && *slots < room) {
		uint32_t left = request->part[job->part].blocks - job->at, run;
		exo_cap_t cap;
		uint32_t first;

		left = left < most - blocks ? left : most - blocks;
		if (!disk_frame((char *)request->part[job->part].memory + (size_t)job->at * BLOCK_BYTES, &cap, &first, &run, left)) {
			job->result = -EFAULT;
			break;
		}
		if (one)
			one->flags |= EXO_DISK_MORE;
		one = &disk->ring->request[(disk->posted + (*slots)++) % EXO_DISK_SLOTS];
		*one = (struct exo_disk_request){ .blocks = blocks_of(request), .frames = cap, .block = job->block + blocks,
			.frame = first, .count = (uint16_t)run, .operation = request->operation, };
		blocks += run;
		job->at += run;
		if (job->at == request->part[job->part].blocks) {
			job->at = 0;
			job->part++;
		}
	}
	return blocks;
}

/* Give the kernel as much of a job as there is room for; true: all of it. */
static bool send(struct disk *disk, unsigned number)
{
	struct job *job = &disk->job[number];
	const struct block_request *request = job->request;
	bool data = request->operation <= BLOCK_WRITE;

	while ((job->left || (request->operation == BLOCK_FLUSH && !job->out)) && !job->result) {
		uint32_t most = job->left < EXO_DISK_BLOCKS_MAX ? job->left : EXO_DISK_BLOCKS_MAX, slots = 1, blocks = most;

		if (disk->out == EXO_DISK_SLOTS || disk->posted - __atomic_load_n(&disk->ring->taken, __ATOMIC_ACQUIRE) ==
		    EXO_DISK_SLOTS)
			return false;
		struct exo_disk_request *first = &disk->ring->request[disk->posted % EXO_DISK_SLOTS];
		if (data)
			blocks = describe(disk, job, most, &slots);
		else
			*first = (struct exo_disk_request){ .blocks = blocks_of(request), .block = job->block,
				.count = (uint16_t)most, .operation = request->operation };
		if (job->result)
			break;
		first->tag = number;
		if (request->flags & BLOCK_FUA && disk->flags & EXO_DISK_HAS_FUA)
			first->flags |= EXO_DISK_FUA;
		job->block += blocks;
		job->left -= blocks;
		job->out++;
		disk->out++;
		disk->posted += slots;
		if (!job->left)
			break;
	}
	return true;
}

/* The flush behind a write. */
static bool send_flush(struct disk *disk, unsigned number)
{
	struct job *job = &disk->job[number];

	if (disk->out == EXO_DISK_SLOTS || disk->posted - __atomic_load_n(&disk->ring->taken, __ATOMIC_ACQUIRE) == EXO_DISK_SLOTS)
		return false;
	disk->ring->request[disk->posted++ % EXO_DISK_SLOTS] = (struct exo_disk_request){
		.blocks = blocks_of(job->request), .operation = EXO_DISK_FLUSH, .tag = number };
	job->flush = false;
	job->out++;
	disk->out++;
	return true;
}


/* --- beginning and ending -------------------------------------------------------------------------------- */

static void told(struct disk *disk, struct block_request *request, int result)
{
	void (*ended)(struct block_request *) = request->ended;

	request->result = result;
	request->pending = false;
	for (struct waiter *waiter = disk->waiters; waiter; waiter = waiter->next)
		if (waiter->request == request)
			thread_wake_all(&waiter->queue);
	if (ended)
		ended(request);
}

static void job_end(struct disk *disk, unsigned number)
{
	struct block_request *request = disk->job[number].request;
	int result = disk->job[number].result;

	disk->job[number].request = NULL;
	disk->unsent &= ~(1ULL << number);
	disk->free |= 1ULL << number;
	told(disk, request, result);
}

/* Nothing of a job is under way: what comes next? */
static void job_next(struct disk *disk, unsigned number)
{
	struct job *job = &disk->job[number];

	if (job->result || (!job->left && !job->flush))
		job_end(disk, number);
	else if (job->left ? send(disk, number) : send_flush(disk, number))
		disk->unsent &= ~(1ULL << number);
	else
		disk->unsent |= 1ULL << number;
}

/* It is over; drain() will tell. */
static void later(struct disk *disk, struct block_request *request, int result)
{
	request->result = result;
	request->next = NULL;
	*disk->over_end = request;
	disk->over_end = &request->next;
}

/* The shares were taken away, or the disk was given up. Nothing that was under way will be told by the kernel. */
static void ring_lost(struct disk *disk, int why)
{
	disk->lost = why;
	for (unsigned i = 0; i < JOBS; i++)
		if (disk->job[i].request) {
			later(disk, disk->job[i].request, why);
			disk->job[i].request = NULL;
		}
	while (disk->line) {
		struct block_request *request = disk->line;
		disk->line = request->next;
		later(disk, request, why);
	}
	disk->line_end = &disk->line;
	disk->free = UINT64_MAX;
	disk->unsent = 0;
	disk->out = 0;
}

/* What was posted becomes the kernel's. */
static void kick(struct disk *disk)
{
	int64_t taken;

	__atomic_store_n(&disk->ring->posted, disk->posted, __ATOMIC_RELEASE);
	do
		taken = exo_disk_kick(disk->cap);
	while (taken == -EXO_EAGAIN ||
	       (taken > 0 && __atomic_load_n(&disk->ring->taken, __ATOMIC_ACQUIRE) != disk->posted));
	if (taken < 0 && !disk->lost)
		ring_lost(disk, taken == -EXO_EDEVICE ? -EIO : -ENXIO);
}

/* A request gets a free job. */
static void job_begin(struct disk *disk, struct block_request *request)
{
	unsigned number = (unsigned)__builtin_ctzll(disk->free);
	struct job *job = &disk->job[number];

	disk->free &= ~(1ULL << number);
	*job = (struct job){ .request = request, .block = request->block,
		.left = request->operation == BLOCK_FLUSH ? 0 : request->count,
		.flush = request->flags & BLOCK_FUA && request->operation == BLOCK_WRITE &&
		    (disk->flags & (EXO_DISK_CACHE | EXO_DISK_HAS_FUA)) == EXO_DISK_CACHE };
	if (!send(disk, number))
		disk->unsent |= 1ULL << number;
	else if (job->result && !job->out)
		job_end(disk, number);
}

/* After completions there is room again. */
static void send_more(struct disk *disk)
{
	for (uint64_t left = disk->unsent; left; left &= left - 1) {
		unsigned number = (unsigned)__builtin_ctzll(left);
		struct job *job = &disk->job[number];
		bool sent = job->left || job->request->operation == BLOCK_FLUSH ? send(disk, number) :
			job->out || !job->flush || send_flush(disk, number);

		if (!sent)
			return;
		disk->unsent &= ~(1ULL << number);
		if (job->result && !job->out)
			job_end(disk, number);
	}
	while (disk->line && disk->free) {
		struct block_request *request = disk->line;

		disk->line = request->next;
		if (!disk->line)
			disk->line_end = &disk->line;
		job_begin(disk, request);
	}
}

static void drain_some(struct disk *disk)
{
	struct block_request *request;

	if (disk->draining)
		return;
	disk->draining = true;
	while ((request = disk->over)) {
		disk->over = request->next;
		if (!disk->over)
			disk->over_end = &disk->over;
		told(disk, request, request->result);
	}
	while (!disk->lost && disk->done != __atomic_load_n(&disk->ring->done, __ATOMIC_ACQUIRE)) {
		const struct exo_disk_done *done = &disk->ring->completion[disk->done++ % EXO_DISK_SLOTS];
		struct job *job = &disk->job[done->tag % JOBS];

		disk->out--;
		job->out--;
		if (done->result && !job->result)
			job->result = errno_of(done->result);
		if (!job->out)
			job_next(disk, done->tag % JOBS);
	}
	if (disk->unsent || disk->line)
		send_more(disk);
	disk->draining = false;
	if (!disk->lost && disk->ring->posted != disk->posted)
		kick(disk);
}

/* End what is done. Functions that are called may submit more. Mostly there is nothing: whoever waits looks often. */
static inline void drain(struct disk *disk)
{
	const struct exo_disk_ring *ring = disk->ring;

	if (disk->over || disk->unsent || disk->line || (!disk->lost &&
	    (disk->done != __atomic_load_n(&ring->done, __ATOMIC_ACQUIRE) || disk->posted != ring->posted)))
		drain_some(disk);
}

/* --- the device ------------------------------------------------------------------------------------------ */

/* 1: for the disk; 0 or a negative errno: it is over at once. */
static int judge(const struct extent *extent, const struct block_request *request)
{
	uint32_t sum = 0;

	if (extent->disk->lost)
		return extent->disk->lost;
	if (request->operation == BLOCK_FLUSH)
		return extent->device.flags & BLOCK_READ_ONLY || !(extent->disk->flags & EXO_DISK_CACHE) ? 0 : 1;
	if (request->block > extent->device.blocks || request->count > extent->device.blocks - request->block)
		return -EINVAL;
	if (request->operation != BLOCK_READ && extent->device.flags & BLOCK_READ_ONLY)
		return -EROFS;
	if (request->operation == BLOCK_DISCARD && !(extent->device.flags & BLOCK_HAS_DISCARD))
		return 0;
	if (request->operation == BLOCK_ZEROES && !(extent->device.flags & BLOCK_HAS_ZEROES))
		return -EOPNOTSUPP;
	if (request->operation > BLOCK_WRITE)
		return request->operation <= BLOCK_ZEROES ? request->count > 0 : -EINVAL;
	for (unsigned i = 0; i < request->parts; i++)
		sum += request->part[i].blocks;
	return !request->count || request->parts > BLOCK_PARTS_MAX || sum != request->count || sum > 64 ? -EINVAL : 1;
}

static void ring_submit(struct block_device *device, struct block_request *request)
{
	struct extent *extent = (struct extent *)device;
	struct disk *disk = extent->disk;
	int judged = judge(extent, request);

	request->pending = true;
	request->next = NULL;
	request->device = device;
	if (judged < 1) {
		later(disk, request, judged);
		return;
	}
	*(request->operation == BLOCK_READ ? &device->reads : request->operation == BLOCK_WRITE ? &device->writes :
	  &device->flushes) += request->operation <= BLOCK_WRITE ? request->count : request->operation == BLOCK_FLUSH;
	if (disk->free && !disk->line) {
		job_begin(disk, request);
		if (!disk->draining && !(request->flags & BLOCK_MORE))
			kick(disk);
		return;
	}
	*disk->line_end = request;
	disk->line_end = &request->next;
}

static bool heard(struct disk *disk)
{
	if (disk->heard == disk->done && disk->out)
		return false;
	disk->heard = disk->done - !disk->out;
	disk->quiet = core_now();
	return true;
}

/* Time alone proves nothing: in an emulator that counts instructions as time, hours pass while the host reads a block. */
static bool heard_at_last(struct disk *disk)
{
	unsigned left = LAST_LOOKS;

	do {
		thread_sleep(core_now() + CORE_SECOND / LAST_LOOKS);
		drain(disk);
	} while (!heard(disk) && --left);
	return left;
}

/* Has it had requests, and ended none for as long as one is ready to wait? Then it starts anew, if that is ours to say. */
static void listen(struct disk *disk)
{
	if (heard(disk) || disk->restarting || core_now() - disk->quiet < disk->patience)
		return;
	disk->restarting = true;
	if (!heard_at_last(disk))
		disk_restart(disk->cap, disk->patience);
	disk->restarting = false;
	disk->quiet = core_now();
	drain(disk);
}

static void ring_wait(struct block_device *device, struct block_request *request)
{
	struct disk *disk = ((struct extent *)device)->disk;

	drain(disk);
	while (request->pending) {
		struct waiter waiter = { .request = request, .next = disk->waiters };
		disk->waiters = &waiter;
		bool woken = thread_wait(&waiter.queue, disk->look);
		struct waiter **link = &disk->waiters;
		while (*link != &waiter)
			link = &(*link)->next;
		*link = waiter.next;
		drain(disk);
		if (woken)
			continue;
		disk->look = core_now() + CORE_SECOND;
		listen(disk);
		if (request->pending && !disk->lost)
			kick(disk);	/* is the ring still there? */
	}
}

static void ring_poll(struct block_device *device)
{
	drain(((struct extent *)device)->disk);
}

static void *ring_memory(struct block_device *device, uint32_t pages)
{
	(void)device;
	return disk_memory(pages);
}

static void ring_memory_free(struct block_device *device, void *memory, uint32_t pages)
{
	(void)device;
	disk_memory_free(memory, pages);
}

static void ring_close(struct block_device *device)
{
	struct extent *extent = (struct extent *)device;
	struct disk *disk = extent->disk;

	extent->disk = NULL;
	if (!--disk->open && disk->own)
		disk_close(disk);
}

static const struct block_device_ops ring_ops = {
	.submit = ring_submit, .wait = ring_wait, .poll = ring_poll, .memory = ring_memory, .memory_free = ring_memory_free,
	.close = ring_close,
};

static exo_time_t ring_look(void *arg)
{
	struct disk *disk = arg;

	if (disk->ring && !disk->draining)
		drain(disk);
	return EXO_NEVER;
}

/* --- opening --------------------------------------------------------------------------------------------- */

const struct exo_device_info *disk_info(unsigned number)
{
	for (unsigned i = 0; i < EXO_DEVICES_MAX; i++)
		if (core_info->device[i].kind == 2 && core_info->device[i].address[0] == number)
			return &core_info->device[i];
	return NULL;
}

const struct exo_disk_ring *disk_ring(const struct disk *disk)
{
	return disk->ring;
}

/* A frame for the ring, mapped and bound. */
static int bind(struct disk *disk)
{
	static exo_vaddr_t places[DISKS];
	exo_vaddr_t *va = &places[disk - disks];

	if (!*va)
		*va = vm_addresses(EXO_PAGE_SIZE);
	if (!*va || !frame_alloc(&disk->frame))
		return -ENOMEM;
	int64_t error = space_map(*va, EXO_MAP_READ | EXO_MAP_WRITE, disk->frame.cap, disk->frame.first, 1);
	if (!error)
		error = exo_disk_bind(disk->cap, disk->frame.cap, disk->frame.first);
	if (error) {
		space_map(*va, 0, EXO_CAP_NONE, 0, 1);
		frame_free(disk->frame.pfn);
		return error == -EXO_EBUSY ? -EBUSY : error == -EXO_EQUOTA ? -ENOMEM : -EACCES;
	}
	disk->ring = (struct exo_disk_ring *)*va;
	return 0;
}

static bool make_disks(void)
{
	static struct vm_region region;

	if (disks)
		return true;
	region = (struct vm_region){ 0 };
	region.start = vm_addresses(DISKS * sizeof(struct disk));
	region.end = region.start + PAGE_UP(DISKS * sizeof(struct disk));
	region.pager = vm_zero_pager;
	region.flags = EXO_MAP_READ | EXO_MAP_WRITE;
	if (!region.start || !vm_add(&region))
		return false;
	disks = (struct disk *)region.start;
	return true;
}

/* One that is not open. */
static int free_disk(struct disk **disk)
{
	if (!make_disks())
		return -ENOMEM;
	for (*disk = disks; *disk < disks + disk_count && (*disk)->ring; (*disk)++)
		;
	if (*disk < disks + disk_count)
		return 0;
	if (disk_count == DISKS)
		return -EMFILE;
	if (!vm_touch((exo_vaddr_t)*disk, sizeof(**disk)))
		return -ENOMEM;
	disk_count++;
	return 0;
}

int disk_open(exo_cap_t shares, struct disk **opened)
{
	const struct exo_cap *cap = shares ? caps_at(exo_cap_slot(shares)) : NULL;
	struct disk *disk;
	int error = free_disk(&disk);

	if (error)
		return error;
	const struct exo_device_info *info = cap && cap->type == EXO_TYPE_DISK ?
		disk_info((unsigned)(cap->first >> EXO_DISK_SHIFT)) : NULL;
	if (!info)
		return -ENODEV;
	int64_t own = caps_derive(shares, cap->rights & (EXO_RIGHT_BIND | EXO_RIGHT_CONTROL), 0, 0);
	if (own < 0)
		return -EACCES;
	bool polled = disk->polled;
	struct thread_poller poller = { .poll = ring_look, .arg = disk, .next = disk->poller.next };
	memset(disk, 0, sizeof(*disk));
	disk->poller = poller;	/* core has it in a list */
	disk->cap = (exo_cap_t)own;
	disk->flags = info->flags;
	disk->free = UINT64_MAX;
	disk->line_end = &disk->line;
	disk->over_end = &disk->over;
	disk->polled = true;
	disk->patience = DISK_PATIENCE;
	disk->heard = UINT32_MAX;
	if (info->flags & (EXO_DISK_STOPPED | EXO_DISK_DEAD))
		disk_restart(disk->cap, DISK_PATIENCE);	/* whoever began it is gone, or gave it up */
	error = bind(disk);
	if (error) {
		caps_delete(disk->cap);
		disk->polled = polled;
		return error;
	}
	if (!polled)
		thread_add_poller(&disk->poller);
	*opened = disk;
	return 0;
}

void disk_close(struct disk *disk)
{
	exo_vaddr_t va = (exo_vaddr_t)disk->ring;

	caps_delete(disk->cap);
	disk->ring = NULL;
	space_map(va, 0, EXO_CAP_NONE, 0, 1);
	frame_free(disk->frame.pfn);
}

int disk_extent(struct disk *disk, exo_cap_t blocks, struct block_device **device)
{
	const struct exo_cap *cap = blocks ? caps_at(exo_cap_slot(blocks)) : NULL;
	struct extent *extent = extents;

	if (!cap || cap->type != EXO_TYPE_BLOCKS || cap->first >> EXO_DISK_SHIFT != disk->ring->disk)
		return -ENOENT;
	while (extent < extents + DISK_EXTENTS_MAX && extent->disk)
		extent++;
	if (extent == extents + DISK_EXTENTS_MAX)
		return -EMFILE;
	memset(extent, 0, sizeof(*extent));
	extent->disk = disk;
	extent->blocks = blocks;
	extent->device.ops = &ring_ops;
	extent->device.blocks = cap->count;
	extent->device.flags = (cap->rights & EXO_RIGHT_WRITE && !(disk->flags & EXO_DISK_READ_ONLY) ? 0 : BLOCK_READ_ONLY) |
	    (disk->flags & EXO_DISK_HAS_DISCARD ? BLOCK_HAS_DISCARD : 0) |
	    (disk->flags & EXO_DISK_HAS_ZEROES ? BLOCK_HAS_ZEROES : 0);
	disk->open++;
	*device = &extent->device;
	return 0;
}

/* The ring that all extents of a disk share. */
static int own_disk(unsigned number, struct disk **disk)
{
	struct disk *end = disks + disk_count;
	char shares[EXO_START_NAME];

	*disk = disks;
	while (*disk < end && !((*disk)->own && (*disk)->ring && (*disk)->ring->disk == number))
		++*disk;
	if (*disk < end)
		return 0;
	core_format(shares, sizeof(shares), "disk%u", number);
	int error = disk_open(core_named(shares), disk);
	if (!error)
		(*disk)->own = true;
	return error;
}

int disk_extent_open(const char *name, struct block_device **device)
{
	exo_cap_t blocks = core_named(name);
	const struct exo_cap *cap = blocks ? caps_at(exo_cap_slot(blocks)) : NULL;
	struct disk *disk;

	if (!cap || cap->type != EXO_TYPE_BLOCKS)
		return -ENOENT;
	int error = own_disk((unsigned)(cap->first >> EXO_DISK_SHIFT), &disk);
	if (error)
		return error;
	error = disk_extent(disk, blocks, device);
	if (error && !disk->open)
		disk_close(disk);
	return error;
}

void disk_patience(struct block_device *device, exo_time_t patience)
{
	((struct extent *)device)->disk->patience = patience;
}

exo_cap_t disk_blocks_of(const struct block_device *device)
{
	return ((const struct extent *)device)->blocks;
}

int disk_volume_device(unsigned number, uint32_t blocks, struct block_device **device)
{
	struct extent *extent = extents;
	struct disk *disk;

	while (extent < extents + DISK_EXTENTS_MAX && extent->disk)
		extent++;
	if (extent == extents + DISK_EXTENTS_MAX)
		return -EMFILE;
	int error = own_disk(number, &disk);
	if (error)
		return error;
	memset(extent, 0, sizeof(*extent));
	extent->disk = disk;
	extent->device.ops = &ring_ops;
	extent->device.blocks = blocks;
	disk->open++;
	*device = &extent->device;
	return 0;
}
