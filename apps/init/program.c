/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One configured program: image, limits, capabilities, and its end.
 */
#include <string.h>
#include "apps/init/init.h"
#include "libos/core/directory.h"
#include "libos/core/observe.h"

#define ACCOUNT_OF	"account:"	/* names the capability for another's account */
#define ENV_OF		"env:"		/* names the capability for another program that one observes */
#define FILES_VARIABLE	"EXO_FILES="	/* tells the libOS which directory of the archive is "/" */

/*
 * Frames of the machine that init holds and that are not in its own allocator: its children's, and fixed
 * ones.
 */
static uint64_t held_for_children(void)
{
	const struct exo_env_info *own = info_env((uint32_t)core_disp->self);

	return own ? own->frames - frame_held() : 0;
}

/* The image's name in the archive: bin/BASENAME.LIBOS, or as it was given with the suffix already there. */
static const struct tar_node *find_image(struct child *child, const struct boot_archive *archive)
{
	const struct conf_program *program = child->program;
	const char *base = strrchr(program->image, '/');

	base = base ? base + 1 : program->image;
	core_format(child->image_name, sizeof(child->image_name), "bin/%s.%s", base, program->libos);
	const struct tar_node *node = archive_file(archive, child->image_name);
	if (!node) {
		char plain[sizeof(child->image_name)];
		core_format(plain, sizeof(plain), "bin/%s", base);
		node = archive_file(archive, plain);
	}
	return node;
}

void program_grant(struct child *child, const char *name, exo_cap_t cap, uint64_t rights, uint64_t first,
		   uint64_t count)
{
	if (cap)
		child->grant[child->spawn.grants++] = (struct spawn_grant){ name, cap, rights, first, count };
}

static void grant_devices(struct child *child)
{
	static char names[CONF_DEVICES_MAX][2][EXO_START_NAME];

	for (unsigned i = 0; i < child->program->device_count; i++) {
		const struct conf_device *device = &child->program->device[i];
		core_format(names[i][0], EXO_START_NAME, "%s.ports", device->name);
		core_format(names[i][1], EXO_START_NAME, "%s.irq", device->name);
		program_grant(child, names[i][0], core_named(EXO_NAME_PORTS), EXO_RIGHT_READ | EXO_RIGHT_WRITE, device->port,
			      device->ports);
		if (device->line >= 0)
			program_grant(child, names[i][1], core_named(EXO_NAME_INTERRUPTS), EXO_RIGHT_BIND,
				      (uint64_t)device->line, 1);
		exo_cap_t video = strcmp(device->name, EXO_NAME_VIDEO) ? EXO_CAP_NONE : core_named(EXO_NAME_VIDEO);
		program_grant(child, EXO_NAME_VIDEO, video, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0,
			      video ? caps_at(exo_cap_slot(video))->count : 0);
	}
}

void program_make(struct child *child, const struct conf_program *program, unsigned number,
		  const struct boot_archive *archive)
{
	static char files[256], mounts[1024];
	static char *argv[CONF_ARGS_MAX + 1];
	const char *envv[] = { files, mounts };
	struct spawn *spawn = &child->spawn;
	unsigned column;

	child->program = program;
	const struct tar_node *image = find_image(child, archive);
	if (!image)
		init_fail("program %s: the archive has no %s", program->name, child->image_name);
	argv[0] = (char *)program->name;
	int words = conf_split((char *)program->args, argv + 1, CONF_ARGS_MAX, &column);
	if (words < 0)
		init_fail("program %s: args: %s", program->name,
			  words == -1 ? "a quote is not closed" : "too many words");
	core_format(files, sizeof(files), FILES_VARIABLE "%s", program->files);
	if (!disks_mounts(program, mounts, sizeof(mounts)))
		init_fail("program %s: its mounts are too long, all together", program->name);

	spawn->name = program->name;
	spawn->image = image->data;
	spawn->image_bytes = image->size;
	spawn->image_cap = archive->text_cap;
	spawn->image_at = (uint64_t)((const char *)image->data - archive->module);
	spawn->argc = (unsigned)words + 1;
	spawn->argv = (const char *const *)argv;
	spawn->envc = program->mount_count ? 2 : 1;
	spawn->envv = envv;
	spawn->archive_cap = archive->data_cap;
	spawn->archive_first = (uint32_t)(archive->at / EXO_PAGE_SIZE);
	spawn->archive_bytes = archive->bytes;
	spawn->account = core_named(EXO_NAME_ACCOUNT);
	spawn->limit_frames = program->memory ? program->memory / EXO_PAGE_SIZE : core_info->frames_memory;
	spawn->cpu = program->cpu;
	spawn->slices = program->slices;
	spawn->share[EXO_SHARE_FRAMES].guaranteed = (uint32_t)(program->guarantee / EXO_PAGE_SIZE);
	spawn->share[EXO_SHARE_SLICES] = (struct exo_share){ program->guarantee_slices, program->limit_slices };
	spawn->share[EXO_SHARE_ENVS].limit = program->limit_envs;
	spawn->share[EXO_SHARE_FLOWS].limit = program->limit_flows;
	spawn->share[EXO_SHARE_RINGS].limit = program->limit_rings;
	spawn->share[EXO_SHARE_SHAPES].limit = program->limit_shapes;
	spawn->share[EXO_SHARE_TRACES].limit = program->limit_traces;
	spawn->answer_ns = program->answer_ms * (CORE_SECOND / 1000);
	spawn->randomize = program->randomize;
	spawn->seal = program->seal;
	spawn->grant = child->grant;
	program_grant(child, EXO_NAME_CONSOLE, core_named(EXO_NAME_CONSOLE),
		      program->input ? EXO_RIGHT_READ | EXO_RIGHT_WRITE : EXO_RIGHT_WRITE, 0, 0);
	/* Who may make environments can give them the files that it has itself. */
	if (program->limit_envs)
		program_grant(child, "archive", archive->data_cap, EXO_RIGHT_READ, archive->at / EXO_PAGE_SIZE,
			      PAGE_UP(archive->bytes) / EXO_PAGE_SIZE);
	grant_devices(child);
	net_grant(child);
	disks_grant(child, number);
	if (spawn_make(spawn))
		init_fail("program %s: %s", program->name, spawn->error);
	if (program->show_addresses)
		core_print("init: %s lies at 0x%lx, its heap at 0x%lx; gdb: add-symbol-file %s -o 0x%lx\n",
			   program->name, spawn->start, spawn->heap, child->image_name, spawn->base);
}

/* One more capability, of another program's. */
static void grant_other(struct child *child, const char *kind, const char *other, exo_cap_t cap, uint64_t rights)
{
	char name[EXO_START_NAME];
	struct spawn_grant grant = { .name = name, .source = cap, .rights = rights };

	core_format(name, sizeof(name), "%s%s", kind, other);
	if (cap && spawn_grant(&child->spawn, &grant))
		init_fail("program %s: %s", child->program->name, child->spawn.error);
}

/* A recorder sees a keeper's processes, too: the keeper shows them (libos/core/observe.h). */
static void grant_watcher(struct child *watched, const struct child *observer)
{
	const struct spawn_grant grant = { .name = OBSERVE_WATCHER, .source = observer->spawn.env,
		.rights = EXO_RIGHT_GRANT | EXO_RIGHT_WAKE };

	if (strcmp(observer->program->image, "record") || strcmp(watched->program->image, "keeper"))
		return;
	if (spawn_grant(&watched->spawn, &grant))
		init_fail("program %s: %s", watched->program->name, watched->spawn.error);
}

static struct directory directory;

/* All programs may take its entries: their accounts lie below init's. The badge is the label's number, from 1 on. */
void program_publish(struct child *child)
{
	const struct conf_program *program = child->program;

	for (unsigned i = 0; i < program->serve_count; i++) {
		uint32_t slot = caps_slot();
		int64_t entry = exo_entry_make(slot, child->spawn.env, i + 1);
		if (!directory.page && !directory_make(&directory))
			init_fail("no memory for the directory");
		int64_t error = entry < 0 ? entry : directory_publish(&directory, program->serve[i], (exo_cap_t)entry,
								      core_named(EXO_NAME_ACCOUNT));
		if (error < 0)
			init_fail("program %s: serve = %s: %s", program->name, program->serve[i],
				  exo_error_text(error));
		child->entry[i] = (exo_cap_t)entry;
	}
}

static void unpublish(struct child *child)
{
	for (unsigned i = 0; i < child->program->serve_count; i++) {
		directory_withdraw(&directory, child->program->serve[i]);
		caps_delete(child->entry[i]);
	}
}

void program_others(struct child *child, struct child *children, unsigned count)
{
	const struct conf_program *program = child->program;
	const struct spawn_grant labels = { .name = DIRECTORY_NAME, .source = directory.frame.cap,
		.rights = EXO_RIGHT_READ, .first = directory.frame.first, .count = 1 };

	if (program->use_count && spawn_grant(&child->spawn, &labels))
		init_fail("program %s: %s", program->name, child->spawn.error);
	for (struct child *other = children; other < children + count; other++) {
		const char *name = other->program->name;
		for (unsigned i = 0; i < program->demand_count; i++)
			if (!strcmp(name, program->demand[i]))
				grant_other(child, ACCOUNT_OF, name, other->spawn.child_account, EXO_RIGHT_READ);
		for (unsigned i = 0; i < program->observe_count; i++)
			if (!strcmp(name, program->observe[i])) {
				grant_other(child, ENV_OF, name, other->spawn.env, EXO_RIGHT_READ | EXO_RIGHT_CONTROL);
				other->held = true;
				grant_watcher(other, child);
			}
	}
}

void program_start(struct child *child)
{
	int64_t error = child->held ? 0 : spawn_start(&child->spawn);

	if (error < 0)
		init_fail("program %s: cannot start: %s", child->program->name, exo_error_text(error));
	child->running = true;
}

/* No environment is charged to its account from now on. What is guaranteed it may have handed down, and so stays. */
static void no_more_envs(const struct spawn *spawn)
{
	struct exo_shares *shares = core_arg(0);
	struct exo_share *frames = &shares->share[EXO_SHARE_FRAMES];

	memcpy(shares->share, spawn->share, sizeof(shares->share));
	for (unsigned kind = 0; kind < EXO_SHARES; kind++)
		if (!shares->share[kind].limit)
			shares->share[kind].limit = EXO_UNLIMITED;
	frames->limit = (uint32_t)spawn->account_frames;
	if (frames->guaranteed > frames->limit)
		frames->guaranteed = frames->limit;
	shares->share[EXO_SHARE_ENVS] = (struct exo_share){ 0, 0 };
	shares->answer_ns = core_info->slice_ns;
	exo_account_share(spawn->account, spawn->child_account, 0);
}

/* All that is charged to its account, or below it, whoever made it and whoever names it. */
static void end_children(const struct child *child)
{
	bool more = child->program->end_children && child->spawn.child_account;

	if (more)
		no_more_envs(&child->spawn);
	while (more) {		/* others may have been made before that */
		more = false;
		for (uint32_t i = 1; i < core_info->envs.entries; i++) {
			exo_env_id_t id = info_env(i)->id;
			int64_t error = -EXO_EAGAIN;
			while (info_env(i)->state != EXO_ENV_NONE && error == -EXO_EAGAIN)
				error = exo_env_reclaim(child->spawn.child_account, id);
			more = more || error == 0;
		}
	}
}

uint64_t program_end(struct child *child, const struct exo_env_info *info)
{
	uint32_t index = (uint32_t)info->id;
	uint64_t status = info->cause == EXO_CAUSE_EXIT ? info->status & 0xff : 128 + info->cause;
	const char *name = child->program->name;

	if (info->cause < 32 || info->cause == EXO_CAUSE_PROTOCOL)
		report_fault(name, child->spawn.env, info, child->spawn.image, child->spawn.image_bytes,
			     child->spawn.base);
	unpublish(child);
	uint64_t for_it = frame_bag_count(&child->spawn.bag), before = held_for_children();
	end_children(child);
	spawn_destroy(&child->spawn);
	for_it += net_drop(child);
	child->running = false;
	uint64_t theirs = info_env(index)->frames, ours = held_for_children() + for_it - before;
	if (theirs || ours)
		core_print("exo: %s left %lu frames of its own and %lu of init's behind\n", name, theirs,
			   ours);
	return status;
}
