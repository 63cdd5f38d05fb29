/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Environments made from an ELF image. See spawn.h.
 *
 * Order: check the image; account; space; environment (its frames must not be mapped before); fixed pages;
 * image; archive; capabilities; start record, whose text names all of it. A failure anywhere goes through
 * spawn_destroy.
 */
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

#define IMAGE_END	0x40000000ULL
#define HEAP_END	0x7f0000000000ULL
#define ROOM		(512ULL << 30)	/* where one program lies at random: what one upper table maps */
#define ROOMS		128		/* those from 1 on are used: as much again is left for each heap */
#define WINDOW		EXO_TAKE_MAX	/* frames that are filled at a time */
#define TABLE_BYTES	(2ULL << 20)	/* what a table of pages maps */
#define TABLE_ENTRIES	512ULL
#define UPPER_BYTES	(TABLE_BYTES * TABLE_ENTRIES)	/* what a table of those maps */
#define OBJECT_FRAMES	7	/* account, root, environment (4), start record */
#define LOW_FROM	0x110000ULL	/* behind the fixed pages */
#define LOW_FRAMES	64	/* a program that may have no more lies there */
#define ANSWER_SLICES	16		/* for a demand, unless said otherwise */
#define CPU_COMES_NS	2000000000ULL	/* how long a CPU may take that has been woken */
#define FIXED_END	TABLE_BYTES	/* the fixed pages of exo/start.h lie below */
#define DEVICE_TRIES	1000		/* milliseconds to wait for frames that a device reads from */
#define FRAMES_LEAST	12		/* that a program must be able to take itself: tables and first pages of its heap */

static exo_vaddr_t window;	/* WINDOW pages of own addresses through which child frames are filled */

/* Tables, capability slots and frames run out for one reason. */
static int fail(struct spawn *spawn, const char *what, int64_t error)
{
	if (error == -EXO_EFULL || error == -EXO_EQUOTA || error == -EXO_ESLOT)
		core_format(spawn->error, sizeof(spawn->error), "not enough memory to load it");
	else if (error)
		core_format(spawn->error, sizeof(spawn->error), "%s: %s", what, exo_error_text(error));
	else
		core_format(spawn->error, sizeof(spawn->error), "%s", what);
	return -1;
}

static int check_image(struct spawn *spawn, struct elf_image *elf)
{
	struct elf_abi abi;
	enum elf_status status = elf_load(elf, spawn->image, spawn->image_bytes, EXO_VA_IMAGE, IMAGE_END);

	if (status == ELF_OK)
		status = elf_abi(spawn->image, spawn->image_bytes, &abi);
	if (status != ELF_OK)
		return fail(spawn, elf_text(status), 0);
	if (abi.major != EXO_ABI_MAJOR || abi.minor > EXO_ABI_MINOR || abi.features) {
		core_format(spawn->error, sizeof(spawn->error),
			    "built for kernel interface %u.%u, features 0x%lx; this "
			    "is %d.%d",
			    abi.major, abi.minor, abi.features, EXO_ABI_MAJOR, EXO_ABI_MINOR);
		return -1;
	}
	return 0;
}

/* Pages of a segment, from its page `from` on, that can be mapped from the image's own frames. */
static uint32_t direct_pages(const struct spawn *spawn, const struct elf_segment *segment, uint64_t from)
{
	uint64_t skew = segment->vaddr % EXO_PAGE_SIZE;

	if (!spawn->image_cap || (segment->flags & (ELF_W | ELF_RELRO)) ||
	    (spawn->image_at + segment->offset - skew) % EXO_PAGE_SIZE)
		return 0;
	uint64_t whole = (skew + segment->filesz) / EXO_PAGE_SIZE; /* the last page is copied, for its tail */
	return whole > from ? (uint32_t)(whole - from) : 0;
}

/* --- where it lies -------------------------------------------------------------------------------------- */

/* A number below `limit`; each as likely as another to 1 in 2^16 or better. */
static uint64_t random_below(uint64_t limit)
{
	uint64_t number;

	core_random(&number, sizeof(number));
	return limit ? number % limit : 0;
}

static uint64_t archive_span(const struct spawn *spawn)
{
	return PAGE_UP(spawn->archive_bytes);
}

static void place_fixed(struct spawn *spawn, const struct elf_image *elf)
{
	uint64_t skip = elf->movable && elf->low < EXO_VA_IMAGE ? EXO_VA_IMAGE - elf->low : 0;

	spawn->base = (skip + elf->align - 1) & -elf->align;
	spawn->heap = spawn->base + elf->high + archive_span(spawn);
}

/*
 * Where the image begins within its first table of pages, and this one within its table of tables, is chosen so
 * that it needs no more of either than it must.
 */
static void place_randomly(struct spawn *spawn, const struct elf_image *elf)
{
	uint64_t span = elf->high - elf->low + archive_span(spawn);
	uint64_t tables = (span + TABLE_BYTES - 1) / TABLE_BYTES, slack = tables * TABLE_BYTES - span;
	uint64_t uppers = (tables + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
	exo_vaddr_t room = (1 + random_below(ROOMS - 1)) * ROOM;
	exo_vaddr_t at = room + random_below(ROOM / 2 / UPPER_BYTES - uppers + 1) * UPPER_BYTES +
		random_below(uppers * TABLE_ENTRIES - tables + 1) * TABLE_BYTES +
		random_below(slack / EXO_PAGE_SIZE + 1) * EXO_PAGE_SIZE;

	spawn->base = elf->movable ? (at - elf->low + elf->align - 1) & -elf->align : 0;
	spawn->heap = room + ROOM / 2 + random_below(ROOM / 2 / TABLE_BYTES) * TABLE_BYTES;
}

/* In the table of the fixed pages, if it fits: that saves five frames, and leaves few places to choose from. */
static bool place_low(struct spawn *spawn, const struct elf_image *elf)
{
	uint64_t span = PAGE_UP(elf->high - elf->low) + archive_span(spawn);

	if (!spawn->limit_frames || spawn->limit_frames > LOW_FRAMES || !elf->movable || elf->align > EXO_PAGE_SIZE ||
	    elf->low % EXO_PAGE_SIZE || span > FIXED_END - LOW_FROM)
		return false;
	uint64_t pages = spawn->randomize ? random_below((FIXED_END - LOW_FROM - span) / EXO_PAGE_SIZE + 1) : 0;
	spawn->base = LOW_FROM + pages * EXO_PAGE_SIZE - elf->low;
	spawn->heap = EXO_VA_IMAGE;
	return true;
}

static void place(struct spawn *spawn, const struct elf_image *elf)
{
	if (place_low(spawn, elf))
		;
	else if (spawn->randomize && archive_span(spawn) < ROOM / 4)
		place_randomly(spawn, elf);
	else
		place_fixed(spawn, elf);
	spawn->start = spawn->base + elf->low;
	spawn->archive = spawn->archive_bytes ? spawn->base + elf->high : 0;
}

/* Tables of one level, each of which maps `bytes`, for the fixed pages and the image with the archive. */
static uint64_t tables(const struct spawn *spawn, const struct elf_image *elf, uint64_t bytes)
{
	uint64_t first = spawn->start / bytes;
	uint64_t last = (spawn->base + elf->high + archive_span(spawn) - 1) / bytes;
	uint64_t fixed = (FIXED_END - 1) / bytes;

	return last - first + 1 + (first > fixed ? fixed + 1 : 0);
}

/*
 * Frames that the creator will give the child: pages that cannot be mapped from the image, tables, objects.
 */
static uint64_t frames_needed(const struct spawn *spawn, const struct elf_image *elf)
{
	uint64_t frames = OBJECT_FRAMES + 3 * tables(spawn, elf, TABLE_BYTES) +
		tables(spawn, elf, UPPER_BYTES) + tables(spawn, elf, UPPER_BYTES * TABLE_ENTRIES);

	for (unsigned i = 0; i < elf->count; i++) {
		const struct elf_segment *segment = &elf->segment[i];
		uint64_t bytes = segment->vaddr % EXO_PAGE_SIZE + segment->memsz;
		frames += PAGE_UP(bytes) / EXO_PAGE_SIZE - direct_pages(spawn, segment, 0);
	}
	return frames;
}

/* Frames for the child; the kernel's errors about memory in words of the configuration. */
static int take(struct spawn *spawn, uint32_t count, struct frame *frame)
{
	int64_t error = frame_bag_take(&spawn->bag, count, frame);

	return error ? fail(spawn, "taking frames", error) : 0;
}

static int64_t map(struct spawn *spawn, exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first,
		   uint32_t pages)
{
	return space_map_in(spawn->space, &spawn->bag, va, flags, cap, first, pages);
}

/* --- parts ---------------------------------------------------------------------------------------------- */

/* What it is due beside frames, if anything is said. */
static int share_account(struct spawn *spawn, uint64_t own)
{
	struct exo_shares *shares = core_arg(0);
	bool said = spawn->answer_ns != 0;
	uint64_t guaranteed = spawn->share[EXO_SHARE_FRAMES].guaranteed;

	memcpy(shares->share, spawn->share, sizeof(shares->share));
	for (unsigned kind = 0; kind < EXO_SHARES; kind++) {
		said = said || spawn->share[kind].guaranteed || spawn->share[kind].limit;
		if (!shares->share[kind].limit)
			shares->share[kind].limit = EXO_UNLIMITED;
	}
	shares->share[EXO_SHARE_FRAMES].limit = (uint32_t)spawn->account_frames;
	shares->share[EXO_SHARE_FRAMES].guaranteed = guaranteed > own ? (uint32_t)(guaranteed - own) : 0;
	shares->answer_ns = spawn->answer_ns ? spawn->answer_ns : ANSWER_SLICES * core_info->slice_ns;
	if (shares->answer_ns < core_info->slice_ns)
		shares->answer_ns = core_info->slice_ns;
	int64_t error = said ? exo_account_share(spawn->account, spawn->child_account, 0) : 0;
	if (error == -EXO_EQUOTA)
		return fail(spawn, "more is guaranteed than there is", 0);
	return error < 0 ? fail(spawn, "setting what its account is due", error) : 0;
}

/* Its limit is what is left of the program's when the creator's part is taken off. */
static int make_account(struct spawn *spawn, const struct elf_image *elf)
{
	uint64_t own = frames_needed(spawn, elf);
	struct frame frame;
	uint32_t slot;

	if (spawn->limit_frames < own + FRAMES_LEAST) {
		core_format(spawn->error, sizeof(spawn->error),
			    "a limit of %lu KiB is too small, it needs at least %lu KiB",
			    spawn->limit_frames * 4, (own + FRAMES_LEAST) * 4);
		return -1;
	}
	if (take(spawn, 1, &frame))
		return -1;
	slot = caps_slot();		/* after what may itself need one */
	if (!slot)
		return fail(spawn, "not enough memory to load it", 0);
	spawn->account_frames = spawn->limit_frames - own;
	if (spawn->account_frames > EXO_UNLIMITED)
		spawn->account_frames = EXO_UNLIMITED;
	int64_t handle =
		exo_account_make(slot, spawn->account, frame.cap, frame.first, spawn->account_frames);
	if (handle < 0)
		return fail(spawn, "making its account", handle);
	spawn->child_account = caps_handle(slot);
	return share_account(spawn, own);
}

/* CPUs come up beside the first program, at their own pace: one that is to come is waited for. */
static void await_cpu(uint32_t cpu)
{
	const volatile struct exo_cpu_info *there = cpu < core_info->cpus ? info_cpu(cpu) : NULL;
	exo_time_t end = core_now() + CPU_COMES_NS;

	while (there && there->state != EXO_CPU_RUNS && core_now() < end)
		core_yield(EXO_CAP_NONE);
}

/* Space and environment, and the pages that have fixed addresses. */
static int make_env(struct spawn *spawn, uint64_t entry)
{
	struct frame root, env;
	struct exo_env_params *params = core_arg(0);
	uint32_t space_slot, env_slot;
	int64_t error;

	if (take(spawn, 1, &root) || take(spawn, 4, &env))
		return -1;
	space_slot = caps_slot();
	error = exo_space_create(space_slot, root.cap, root.first);
	if (error < 0)
		return fail(spawn, "making its space", error);
	spawn->space = caps_handle(space_slot);
	env_slot = caps_slot();
	await_cpu(spawn->cpu);
	memset(params, 0, sizeof(*params));
	params->cpu = spawn->cpu;
	params->run_entry = entry;
	strncpy(params->label, spawn->name, sizeof(params->label) - 1);
	error = exo_env_create(env_slot, spawn->space, spawn->child_account, env.cap, env.first, 0);
	if (error == -EXO_EINVAL || error == -EXO_ECPU) {
		core_format(spawn->error, sizeof(spawn->error), "the machine has no CPU %u", spawn->cpu);
		return -1;
	}
	if (error < 0)
		return fail(spawn, "making its environment", error);
	spawn->env = caps_handle(env_slot);
	error = map(spawn, EXO_VA_DISP, EXO_MAP_READ | EXO_MAP_WRITE, env.cap, env.first + 1, 2);
	if (!error)
		error = map(spawn, EXO_VA_CAPS, EXO_MAP_READ, env.cap, env.first + 3, 1);
	if (!error)
		error = map(spawn, EXO_VA_INFO, EXO_MAP_READ, core_named(EXO_NAME_INFO), 0, 1);
	struct exo_disp disp;
	if (!error && spawn_read(spawn->env, EXO_VA_DISP, &disp, offsetof(struct exo_disp, on)))
		spawn->id = disp.self;
	return error ? fail(spawn, "mapping its fixed pages", error) : 0;
}

/*
 * Fill `count` pages of a segment from page `from` on, in frames of the bag mapped at the window, and
 * relocate them: the child never sees them unrelocated, and may never be able to write them.
 */
static void fill(const struct spawn *spawn, const struct elf_image *elf, const struct elf_segment *segment,
		 uint64_t from, uint32_t count)
{
	uint64_t skew = segment->vaddr % EXO_PAGE_SIZE;
	uint64_t start = from * EXO_PAGE_SIZE, end = start + (uint64_t)count * EXO_PAGE_SIZE;
	uint64_t low = start > skew ? start : skew;
	uint64_t high = end < skew + segment->filesz ? end : skew + segment->filesz;

	if (low >= high)
		return;
	memcpy((char *)window + (low - start),
	       (const char *)spawn->image + segment->offset + (low - skew), high - low);
	if (segment->flags & (ELF_W | ELF_RELRO))
		elf_relocate(elf, spawn->image, spawn->base, (char *)window, segment->vaddr - skew + start,
			     (size_t)count * EXO_PAGE_SIZE);
}

static int load_segment(struct spawn *spawn, const struct elf_image *elf, const struct elf_segment *segment)
{
	unsigned flags = EXO_MAP_READ | (segment->flags & ELF_W ? EXO_MAP_WRITE : 0) |
		(segment->flags & ELF_X ? EXO_MAP_EXEC : 0);
	uint64_t skew = segment->vaddr % EXO_PAGE_SIZE;
	exo_vaddr_t va = spawn->base + segment->vaddr - skew;
	uint64_t pages = (skew + segment->memsz + EXO_PAGE_SIZE - 1) / EXO_PAGE_SIZE;
	int64_t error = 0;

	for (uint64_t at = 0; at < pages && !error;) {
		uint32_t part = direct_pages(spawn, segment, at);
		if (part) {
			uint64_t offset = spawn->image_at + segment->offset - skew + at * EXO_PAGE_SIZE;
			error = map(spawn, va + at * EXO_PAGE_SIZE, flags, spawn->image_cap,
				    (uint32_t)(offset / EXO_PAGE_SIZE), part);
		} else {
			struct frame frame;
			part = pages - at < WINDOW ? (uint32_t)(pages - at) : WINDOW;
			while (frame_bag_take(&spawn->bag, part, &frame)) {
				part /= 2;
				if (!part)
					return fail(spawn, "not enough memory to load it", 0);
			}
			error = space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first, part);
			if (!error) {
				fill(spawn, elf, segment, at, part);
				error = space_map(window, 0, EXO_CAP_NONE, 0, part);
			}
			if (!error)
				error = map(spawn, va + at * EXO_PAGE_SIZE, flags, frame.cap, frame.first,
					    part);
		}
		at += part;
	}
	return error ? fail(spawn, "mapping its image", error) : 0;
}

/* --- start record --------------------------------------------------------------------------------------- */

static int grant(struct spawn *spawn, struct exo_start *start, const char *name, exo_cap_t source,
		 uint64_t rights, uint64_t first, uint64_t count)
{
	uint32_t number = start->slots;
	struct exo_start_slot *slot = &start->slot[number];

	if (number == EXO_START_SLOTS_MAX - 1)
		return fail(spawn, "too many capabilities for its start record", 0);
	const struct exo_cap *cap = caps_at(exo_cap_slot(source));
	uint64_t most = cap && cap->type == EXO_TYPE_BLOCKS ? count : EXO_RANGE_MAX;	/* those are never in pieces */
	uint64_t done = count < most ? count : most;
	int64_t handle = exo_cap_derive(source, spawn->env, number + 1, rights, first, done);
	if (handle < 0)
		return fail(spawn, name, handle);
	while (done < count) {
		uint64_t part = count - done < EXO_RANGE_MAX ? count - done : EXO_RANGE_MAX;
		int64_t more =
			exo_cap_derive(source, spawn->env, (uint64_t)handle, rights, first + done, part);
		if (more <= 0)
			return fail(spawn, name, more);
		done += (uint64_t)more;
	}
	strncpy(slot->name, name, sizeof(slot->name) - 1);
	slot->cap = (exo_cap_t)handle;
	start->slots++;
	return 0;
}

static int grant_all(struct spawn *spawn, struct exo_start *start)
{
	const struct exo_cap *info = caps_at(exo_cap_slot(core_named(EXO_NAME_INFO)));

	if (grant(spawn, start, EXO_NAME_ENV, spawn->env,
		  EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL | EXO_RIGHT_WAKE, 0, 0) ||
	    grant(spawn, start, EXO_NAME_SPACE, spawn->space, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0) ||
	    grant(spawn, start, EXO_NAME_INFO, core_named(EXO_NAME_INFO), EXO_RIGHT_READ, 0, info->count))
		return -1;
	if (spawn->child_account && grant(spawn, start, EXO_NAME_ACCOUNT, spawn->child_account,
					  EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_CONTROL, 0, 0))
		return -1;
	for (unsigned i = 0; i < spawn->grants; i++) {
		const struct spawn_grant *one = &spawn->grant[i];
		if (grant(spawn, start, one->name, one->source, one->rights, one->first, one->count))
			return -1;
	}
	return 0;
}

static bool add_text(struct exo_start *start, size_t *used, const char *text)
{
	size_t bytes = strlen(text) + 1;

	if (bytes > sizeof(start->text) - *used)
		return false;
	memcpy(start->text + *used, text, bytes);
	*used += bytes;
	return true;
}

static int fill_texts(struct spawn *spawn, struct exo_start *start)
{
	size_t used = 0;
	bool fits = true;

	start->args = (uint32_t)offsetof(struct exo_start, text);
	start->argc = spawn->argc;
	for (unsigned i = 0; fits && i < spawn->argc; i++)
		fits = add_text(start, &used, spawn->argv[i]);
	start->envs = (uint32_t)(offsetof(struct exo_start, text) + used);
	start->envc = spawn->envc;
	for (unsigned i = 0; fits && i < spawn->envc; i++)
		fits = add_text(start, &used, spawn->envv[i]);
	return fits ? 0 : fail(spawn, "its arguments do not fit the start record", 0);
}

static int make_record(struct spawn *spawn, const struct elf_image *elf)
{
	struct exo_start *start = (struct exo_start *)window;
	struct frame frame;
	int64_t error = 0;

	if (spawn->archive)
		error = map(spawn, spawn->archive, EXO_MAP_READ, spawn->archive_cap, spawn->archive_first,
			    (uint32_t)(PAGE_UP(spawn->archive_bytes) / EXO_PAGE_SIZE));
	if (error)
		return fail(spawn, "mapping the archive", error);
	if (take(spawn, 1, &frame))
		return -1;
	error = space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first, 1);
	if (error)
		return fail(spawn, "mapping its start record", error);
	start->magic = EXO_START_MAGIC;
	start->version = EXO_START_VERSION;
	start->size = sizeof(*start);
	core_random(start->seed, sizeof(start->seed));
	start->image = spawn->start;
	start->image_bytes = elf->high - elf->low;
	start->archive = spawn->archive;
	start->archive_bytes = spawn->archive_bytes;
	start->heap = spawn->heap;
	start->heap_end = HEAP_END;
	start->frames = spawn->account_frames < UINT32_MAX ? (uint32_t)spawn->account_frames : UINT32_MAX;
	spawn->record = frame;
	if (grant_all(spawn, start) || fill_texts(spawn, start)) {
		space_map(window, 0, EXO_CAP_NONE, 0, 1);
		return -1;
	}
	error = space_map(window, 0, EXO_CAP_NONE, 0, 1);
	if (!error)
		error = map(spawn, EXO_VA_START, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first, 1);
	return error ? fail(spawn, "mapping its start record", error) : 0;
}

int spawn_grant(struct spawn *spawn, const struct spawn_grant *one)
{
	core_stack();
	int64_t error = space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, spawn->record.cap,
				  spawn->record.first, 1);
	if (error)
		return fail(spawn, "mapping its start record", error);
	int failed = grant(spawn, (struct exo_start *)window, one->name, one->source, one->rights, one->first,
			   one->count);
	space_map(window, 0, EXO_CAP_NONE, 0, 1);
	return failed;
}

static int take_slices(struct spawn *spawn)
{
	uint32_t slot = caps_slot();
	int64_t error = -EXO_EBUSY;

	for (uint64_t first = 0; error == -EXO_EBUSY && first + spawn->slices <= EXO_SLICES; first++)
		error = exo_slice_take(slot, spawn->cpu, first, spawn->slices);
	if (error < 0)
		return fail(spawn, "not that many slices in a row are free", 0);
	spawn->slice_cap = caps_handle(slot);
	error = exo_slice_bind(spawn->slice_cap, spawn->env);
	return error < 0 ? fail(spawn, "binding its slices", error) : 0;
}

/* --- whole ---------------------------------------------------------------------------------------------- */

int spawn_make(struct spawn *spawn)
{
	struct elf_image elf;
	int failed;

	core_stack();
	spawn->env = spawn->space = spawn->child_account = spawn->slice_cap = EXO_CAP_NONE;
	spawn->bag.runs = 0;
	spawn->account_frames = 0;
	spawn->error[0] = '\0';
	if (!window)
		window = vm_addresses(WINDOW * EXO_PAGE_SIZE);
	if (!window)
		return fail(spawn, "no addresses left", 0);
	if (check_image(spawn, &elf))
		return -1;
	place(spawn, &elf);
	failed = spawn->limit_frames && make_account(spawn, &elf);
	failed = failed || make_env(spawn, spawn->base + elf.entry);
	for (unsigned i = 0; i < elf.count && !failed; i++)
		failed = load_segment(spawn, &elf, &elf.segment[i]);
	failed = failed || make_record(spawn, &elf);
	failed = failed || (spawn->slices && take_slices(spawn));
	if (!failed && spawn->seal && exo_space_seal(spawn->space) < 0)
		failed = fail(spawn, "its space cannot be sealed", 0);
	if (failed)
		spawn_destroy(spawn);
	return failed ? -1 : 0;
}

int64_t spawn_start(struct spawn *spawn)
{
	return exo_env_start(spawn->env);
}

void spawn_destroy(struct spawn *spawn)
{
	exo_cap_t *const caps[] = { &spawn->env, &spawn->space, &spawn->slice_cap, &spawn->child_account };

	if (spawn->env)
		while (exo_env_destroy(spawn->env) == -EXO_EAGAIN)
			;
	/* Who may demand from its account holds a capability that would keep the account's frame. */
	if (spawn->child_account)
		while (exo_cap_revoke(spawn->child_account) == -EXO_EAGAIN)
			;
	for (unsigned i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (*caps[i])
			caps_delete(*caps[i]);
		*caps[i] = EXO_CAP_NONE;
	}
	/* What a device is still reading from is charged to the account, which lives so long. */
	for (unsigned tries = 0; !frame_bag_drop(&spawn->bag) && tries < DEVICE_TRIES; tries++)
		thread_sleep(core_now() + CORE_SECOND / 1000);
}

size_t spawn_read(exo_cap_t env, exo_vaddr_t address, void *to, size_t bytes)
{
	size_t done = 0;

	core_stack();
	while (done < bytes) {
		size_t part = bytes - done < 512 ? bytes - done : 512;
		size_t left = EXO_PAGE_SIZE - (address + done) % EXO_PAGE_SIZE;
		if (part > left)
			part = left;
		if (exo_env_read(env, address + done, 0, part) < 0)
			break;
		memcpy((char *)to + done, core_arg(0), part);
		done += part;
	}
	return done;
}
