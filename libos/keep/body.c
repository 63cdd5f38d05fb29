/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies: environments for processes. See private.h.
 *
 * What core/spawn.c does for a program that runs alone, made for being done often: one run of frames for all
 * objects, all fixed pages in one batch, the start record by one env_write. Where an object's frames come
 * from: `objects`, a bag that is dropped with the body, so that an environment that was killed anywhere
 * leaves nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/observe.h"
#include "libos/keep/private.h"
#include "libos/vm/vm.h"

#define OBJECT_FRAMES	5		/* root, environment (4) */
#define TABLE_BYTES	(2ULL << 20)	/* that a table of pages maps */
#define SHARED_FRAMES	(1 + WIRE_BUFFER / EXO_PAGE_SIZE)
#define FIXED_FRAMES	(1 + SHARED_FRAMES)	/* start record; page and buffer */
#define FIXED_KEPT	32		/* places that keep these for good */
#define OWN_SHARE	16		/* one in so many of the frames left at the start is kept for the keeper */
#define LABEL_NAME	8		/* of a name, in the environment's label, with its pid */
#define TEXT_AT		KEEP_RECORD_BYTES

exo_cap_t keep_account;			/* above those of all processes */
exo_vaddr_t keep_shared;		/* where pages and buffers lie in the keeper */

static exo_vaddr_t window;
static exo_cap_t info, keeper, watcher;
static struct exo_start_slot own_slots[WIRE_SLOTS_OWN];	/* as start records name them */

/* What a process index has for good: frames of start record, page and buffer, and the entry. */
static struct {
	struct frame_bag bag;
	struct frame frame;
	exo_cap_t entry;
} fixed[WIRE_PROCESSES];

int body_error(int64_t error)
{
	switch (-error) {
	case EXO_EFULL:
	case EXO_EQUOTA:
	case EXO_ESLOT:
		return -ENOMEM;
	default:
		return error < 0 ? -EIO : 0;
	}
}

bool body_room(void)
{
	if (core_info->frames_free >= KEEP_RESERVE)
		return true;
	kit_trim();
	image_trim();
	return core_info->frames_free >= KEEP_RESERVE;
}

/* --- what stays with the index --------------------------------------------------------------------------- */

/* Page and buffer of a process of the table, mapped here; false: no memory. */
bool body_fixed(struct keep_process *process)
{
	uint32_t index = process->index;
	exo_vaddr_t va = keep_shared + (exo_vaddr_t)index * FIXED_FRAMES * EXO_PAGE_SIZE;
	uint32_t slot;

	process->start = (char *)va;
	process->page = (struct wire_page *)(va + EXO_PAGE_SIZE);
	process->buffer = (char *)va + 2 * EXO_PAGE_SIZE;
	if (fixed[index].entry)
		return true;
	if (!fixed[index].bag.runs && frame_bag_take(&fixed[index].bag, FIXED_FRAMES, &fixed[index].frame))
		return false;
	if (space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, fixed[index].frame.cap, fixed[index].frame.first,
		      FIXED_FRAMES))
		return false;
	slot = caps_slot();
	if (!slot || exo_entry_make(slot, EXO_CAP_NONE, (uint64_t)process) < 0)
		return false;
	fixed[index].entry = caps_handle(slot);
	return true;
}

/*
 * The places beyond the first few are not often used: nobody has their pages, and they go. They stay as long as a
 * worker of the place may look at them; a later free of the place tries again.
 */
void body_fixed_spare(const struct keep_process *process)
{
	uint32_t index = process->index;

	if (index < FIXED_KEPT || process->worker || !fixed[index].entry)
		return;
	space_map(keep_shared + (exo_vaddr_t)index * FIXED_FRAMES * EXO_PAGE_SIZE, 0, EXO_CAP_NONE, 0, FIXED_FRAMES);
	caps_delete(fixed[index].entry);
	fixed[index].entry = EXO_CAP_NONE;
	frame_bag_drop(&fixed[index].bag);
}

/* Nobody but the keeper has them any more. */
void body_fixed_revoke(const struct keep_process *process)
{
	while (exo_cap_revoke(fixed[process->index].frame.cap) == -EXO_EAGAIN)
		;
}

void body_wipe(const struct keep_process *process)
{
	memset(process->start, 0, EXO_PAGE_SIZE);
	memset(process->buffer, 0, WIRE_BUFFER);
}

/* --- making ---------------------------------------------------------------------------------------------- */

int64_t body_envs(exo_cap_t account, uint32_t envs)
{
	struct exo_shares *shares = core_arg(0);

	for (unsigned i = 0; i < EXO_SHARES; i++)
		shares->share[i] = (struct exo_share){ 0, i == EXO_SHARE_FRAMES ? EXO_UNLIMITED :
						      i == EXO_SHARE_ENVS ? envs : 0 };
	shares->answer_ns = 16 * core_info->slice_ns;
	return exo_account_share(keep_account, account, 0);
}

/* The kit's own account, which it keeps: nothing is charged to it while nobody uses the kit. */
static int64_t make_account(struct keep_kit *kit)
{
	struct frame frame;
	uint32_t slot;
	int64_t error;

	if (kit->account)
		return 0;
	slot = caps_slot();
	if (!slot || !kit_take(kit, 1, &frame))
		return -EXO_ESLOT;
	error = exo_account_make(slot, keep_account, frame.cap, frame.first, EXO_UNLIMITED);
	if (error < 0)
		return error;
	kit->account = caps_handle(slot);
	return body_envs(kit->account, 1);
}

struct keep_kit *body_kit(struct keep_body *body)
{
	struct keep_kit *kit = body->kits < BODY_KITS ? kit_get(body->uid, !body->kits) : NULL;

	if (kit)
		body->kit[body->kits++] = kit;
	return kit;
}

static int64_t link_table(struct keep_body *body, exo_vaddr_t va, unsigned level)
{
	uint32_t count = level == EXO_LEVEL_PAGES ? 3 : 1;
	struct frame frame;

	if (!kit_take(body->kit[0], count, &frame)) {
		int64_t error = frame_bag_take(&body->objects, count, &frame);

		if (error)
			return error;
	}
	return exo_space_table(body->space, va, level, frame.cap, frame.first);
}

/* The tables that every process needs are linked beforehand, those of its image too. */
static int64_t link_tables(struct keep_body *body, exo_vaddr_t start, exo_vaddr_t end)
{
	int64_t error = link_table(body, 0, EXO_LEVEL_512G);

	if (error >= 0)
		error = link_table(body, 0, EXO_LEVEL_1G);
	if (error >= 0)
		error = link_table(body, 0, EXO_LEVEL_PAGES);
	for (start &= -TABLE_BYTES; start < end && error >= 0; start += TABLE_BYTES)
		error = link_table(body, start, EXO_LEVEL_PAGES);
	/* What a new image touches first: the main stack's top, and the heap above it. */
	end += WIRE_STACK - 1;
	if (error >= 0 && end >= start)
		error = link_table(body, end & -TABLE_BYTES, EXO_LEVEL_PAGES);
	return error;
}

/* name[pid] */
static void label_put(char *to, const char *name, pid_t pid)
{
	char digit[12];
	unsigned digits = 0;

	for (unsigned i = 0; i < LABEL_NAME && name[i]; i++)
		*to++ = name[i];
	*to++ = '[';
	do
		digit[digits++] = (char)('0' + pid % 10);
	while (pid /= 10);
	while (digits)
		*to++ = digit[--digits];
	*to++ = ']';
}

/* Its number: what the exposed table says where the last ones were, or the dispatcher page. */
static int64_t id_of(struct keep_body *body)
{
	static uint32_t last[4], next;
	uint32_t made = caps_at(exo_cap_slot(body->env))->count;
	int64_t error;

	for (unsigned i = 0; i < 4; i++) {
		const struct exo_env_info *env = info_env(last[i]);

		if (env && env->id >> 32 == made) {
			body->id = env->id;
			return 0;
		}
	}
	error = exo_env_read(body->env, EXO_VA_DISP + offsetof(struct exo_disp, self), 0, sizeof(body->id));
	body->id = *(volatile exo_env_id_t *)core_arg(0);
	last[next++ % 4] = (uint32_t)body->id;
	return error;
}

static int64_t make_env(struct keep_body *body, const struct frame *root, const char *name, pid_t pid,
			exo_vaddr_t entry)
{
	struct exo_env_params *params = core_arg(0);
	uint32_t slot = caps_slot();
	int64_t error;

	if (!slot)
		return -EXO_ESLOT;
	error = exo_space_create(slot, root->cap, root->first);
	if (error < 0)
		return error;
	body->space = caps_handle(slot);
	slot = caps_slot();
	if (!slot)
		return -EXO_ESLOT;
	*params = (struct exo_env_params){ .cpu = info_env((uint32_t)core_disp->self)->cpu, .run_entry = entry };
	label_put(params->label, name, pid);
	error = exo_env_create(slot, body->space, body->account, root->cap, root->first + 1, 0);
	if (error < 0)
		return error;
	body->env = caps_handle(slot);
	return 0;
}

/* Everything below 2 MiB but what a process maps itself, and what is constant of its image. */
static int64_t map_fixed(struct keep_body *body, const struct frame *root, const struct frame *shared,
			 const struct keep_image *image)
{
	const unsigned rw = EXO_MAP_READ | EXO_MAP_WRITE;
	struct exo_map *map = core_arg(0);

	core_stack();
	map[0] = (struct exo_map){ EXO_VA_DISP | rw, root->cap, root->first + 2, 2, 0 };
	map[1] = (struct exo_map){ EXO_VA_CAPS | EXO_MAP_READ, root->cap, root->first + 4, 1, 0 };
	map[2] = (struct exo_map){ EXO_VA_INFO | EXO_MAP_READ, info, 0, 1, 0 };
	map[3] = (struct exo_map){ EXO_VA_START | rw, shared->cap, shared->first, 2, 0 };
	map[4] = (struct exo_map){ WIRE_VA_BUFFER | rw, shared->cap, shared->first + 2, SHARED_FRAMES - 1, 0 };
	for (uint32_t i = 0; image && i < image->shows; i++)
		map[5 + i] = image->show[i];
	return space_write_all(body->space, &body->objects, 0, 5 + (image ? image->shows : 0));
}

/* A capability in slot `slot` of its table: its handle or an error. */
static int64_t derive(struct keep_body *body, uint32_t slot, exo_cap_t source, uint64_t rights, uint32_t first,
		      uint32_t count)
{
	uint32_t done = count < EXO_RANGE_MAX ? count : EXO_RANGE_MAX;
	int64_t handle = exo_cap_derive(source, body->env, slot, rights, first, done), more;

	for (; handle >= 0 && done < count; done += (uint32_t)more) {
		uint32_t part = count - done < EXO_RANGE_MAX ? count - done : EXO_RANGE_MAX;

		more = exo_cap_derive(source, body->env, (uint64_t)handle, rights, first + done, part);
		if (more <= 0)
			return more;
	}
	return handle;
}

static void name_slot(struct exo_start_slot *slot, const char *name, exo_cap_t cap)
{
	memset(slot->name, 0, EXO_START_NAME);
	memcpy(slot->name, name, strnlen(name, EXO_START_NAME - 1));
	slot->cap = cap;
}

int body_grant(struct keep_body *body, const char *name, exo_cap_t source, uint64_t rights, uint32_t first,
	       uint32_t count)
{
	uint32_t slots = record_of(body)->slots;
	int64_t handle;

	if (slots >= KEEP_SLOTS)
		return -ENOMEM;
	handle = derive(body, slots + 1, source, rights, first, count);
	if (handle < 0)
		return body_error(handle);
	name_slot(&record_of(body)->slot[record_of(body)->slots++], name, (exo_cap_t)handle);
	return 0;
}

/* Few processes look into the exposed tables, and the capability for them covers many frames. */
static int64_t grant_info(struct keep_request *request)
{
	int64_t handle = derive(request->process->body, WIRE_SLOT_INFO, info, EXO_RIGHT_READ, 0,
				caps_at(exo_cap_slot(info))->count);

	return handle < 0 && handle != -EXO_ESLOT ? body_error(handle) : 0;
}

/* To whoever observes this program, if anybody does. */
static void show(const struct keep_body *body)
{
	static uint32_t next;

	for (unsigned tries = 0; watcher && tries < 8; tries++)
		if (exo_cap_derive(body->env, watcher, OBSERVE_SLOT + next++ % OBSERVE_SLOTS, EXO_RIGHT_READ, 0, 0) >= 0) {
			exo_wake(watcher);
			return;
		}
}

/* Its own capabilities, in slots 1 to WIRE_SLOTS_OWN but for WIRE_SLOT_INFO. */
static int grant_own(struct keep_body *body, const struct keep_process *process)
{
	const struct frame *shared = &fixed[process->index].frame;
	const struct {
		exo_cap_t source;
		uint64_t rights;
		uint32_t first, count;
	} own[WIRE_SLOTS_OWN] = {
		{ body->env, EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL | EXO_RIGHT_WAKE, 0, 0 },
		{ body->space, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0 },
		{ EXO_CAP_NONE, 0, 0, 0 },
		{ body->account, EXO_RIGHT_READ, 0, 0 },
		{ fixed[process->index].entry, EXO_RIGHT_EXEC, 0, 0 },
		{ shared->cap, EXO_RIGHT_READ | EXO_RIGHT_WRITE, shared->first + 1, SHARED_FRAMES },
		{ keeper, EXO_RIGHT_WAKE, 0, 0 },
	};
	int64_t handle = 0;

	for (uint32_t i = 0; handle >= 0 && i < WIRE_SLOTS_OWN; i++)
		if (own[i].source)
			handle = exo_cap_derive(own[i].source, body->env, i + 1, own[i].rights, own[i].first, own[i].count);
	if (handle < 0)
		return body_error(handle);
	show(body);
	return 0;
}

/* The generator costs as much for many bytes as for a few. */
static void seed(uint64_t to[4])
{
	static uint64_t some[60];
	static unsigned left;

	if (!left) {
		core_random(some, sizeof(some));
		left = sizeof(some) / sizeof(some[0]);
	}
	for (unsigned i = 0; i < 4; i++) {
		to[i] = some[--left];
		some[left] = 0;
	}
}

static void record_begin(struct keep_body *body, const struct keep_record *like)
{
	struct exo_start *start = record_of(body);

	if (like) {
		memcpy(&body->record, like, KEEP_RECORD_BYTES);
	} else {
		memset(&body->record, 0, KEEP_RECORD_BYTES);
		memcpy(start->slot, own_slots, sizeof(own_slots));
		start->slots = WIRE_SLOTS_OWN;
	}
	start->magic = EXO_START_MAGIC;
	start->version = EXO_START_VERSION;
	start->size = sizeof(*start);
	start->argc = 1;
	start->args = start->envs = TEXT_AT;
	seed(start->seed);
}

int body_make(struct keep_body *body, const struct keep_process *process, exo_vaddr_t entry,
	      const struct keep_record *like, const struct keep_image *image)
{
	struct frame root;
	struct keep_kit *kit;
	int64_t error;
	int result;

	memset(body, 0, offsetof(struct keep_body, record));
	body->uid = process->uid;
	body->pure = process->euid == process->uid && process->suid == process->uid && process->egid == process->gid;
	kit = body_room() ? body_kit(body) : NULL;
	if (!kit)
		return -ENOMEM;
	error = make_account(kit);
	body->account = kit->account;
	/* In a row: root, environment (4). */
	if (error >= 0 && !kit_take(kit, OBJECT_FRAMES, &root))
		error = -EXO_EFULL;
	if (error >= 0)
		error = make_env(body, &root, process->name, process->pid, entry);
	if (error >= 0)
		error = link_tables(body, image ? image->start : 0, image ? image->end : 0);
	if (error >= 0)
		error = map_fixed(body, &root, &fixed[process->index].frame, image);
	if (error >= 0)
		error = id_of(body);
	if (error < 0) {
		result = error == -EXO_EFULL || error == -EXO_EQUOTA ? -EAGAIN : body_error(error);
		body_drop(body);
		return result;
	}
	record_begin(body, like);
	result = grant_own(body, process);
	if (result)
		body_drop(body);
	return result;
}

int body_map(struct keep_body *body, exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t pages)
{
	return body_error(space_map_in(body->space, &body->objects, va, flags, cap, first, pages));
}

void body_record(const struct keep_body *body, const struct keep_process *process)
{
	memcpy(process->start, &body->record, KEEP_RECORD_BYTES);
	memcpy(process->start + TEXT_AT, process->name, sizeof(process->name));
}

void body_wake(const struct keep_body *body)
{
	exo_wake(body->env);
}

void body_drop(struct keep_body *body)
{
	exo_cap_t *const caps[] = { &body->env, &body->space };

	if (body->env) {
		const struct exo_env_info *info = info_env((uint32_t)body->id);
		uint64_t before = info ? info->ns : 0;

		while (exo_env_destroy(body->env) == -EXO_EAGAIN)
			;
		/* Its last slice is counted at its end. */
		body->ns = info && info->id == body->id ? info->ns : before;
	}
	body_cpus_drop(body);
	for (unsigned i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (*caps[i])
			caps_delete(*caps[i]);
		*caps[i] = EXO_CAP_NONE;
	}
	while (body->kits)
		kit_put(body->kit[--body->kits], body->uid, body->pure);
	body->account = EXO_CAP_NONE;
	kit_bag_drop(&body->objects);
	kit_bag_drop(&body->data);
	kit_bag_drop(&body->wired);
	kit_limbo();
	if (body->image)
		image_put(body->image);
	body->image = NULL;
	body->id = 0;
}

/* --- the window ------------------------------------------------------------------------------------------ */

void *body_window(exo_cap_t cap, uint32_t first, uint32_t pages)
{
	if (space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, cap, first, pages))
		return NULL;
	return (void *)window;
}

void body_window_close(uint32_t pages)
{
	space_map(window, 0, EXO_CAP_NONE, 0, pages);
}

void body_start(void)
{
	struct frame frame;
	uint32_t slot;

	static const char *const names[WIRE_SLOTS_OWN] = { EXO_NAME_ENV, EXO_NAME_SPACE, EXO_NAME_INFO, EXO_NAME_ACCOUNT,
		WIRE_ENTRY, WIRE_SHARED, WIRE_KEEPER };

	info = core_named(EXO_NAME_INFO);
	keep_cpu = info_env((uint32_t)core_disp->self)->cpu;
	keeper = core_named(EXO_NAME_ENV);
	watcher = core_named(OBSERVE_WATCHER);
	for (uint32_t i = 0; i < WIRE_SLOTS_OWN; i++)
		name_slot(&own_slots[i], names[i], exo_cap_make(i + 1, 1));
	window = vm_addresses(EXO_TAKE_MAX * EXO_PAGE_SIZE);
	keep_shared = vm_addresses((uint64_t)WIRE_PROCESSES * FIXED_FRAMES * EXO_PAGE_SIZE);
	if (!window || !keep_shared || !frame_alloc_object(1, &frame))
		core_fail("no memory for processes");
	slot = caps_slot();
	uint32_t left = frame_left(), own = left / OWN_SHARE > KEEP_RESERVE ? left / OWN_SHARE : KEEP_RESERVE;
	int64_t error = exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), frame.cap, frame.first,
					 left > own ? left - own : 0);
	if (error < 0)
		core_fail("the account of processes: %s", exo_error_text(error));
	keep_account = caps_handle(slot);
	keep_reserve = own;
	keep_serve(REQUEST_INFO, grant_info);
}
