/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One configured program: image, limits, capabilities, and its end.
 */
#include <string.h>
#include "apps/init/init.h"

#define ACCOUNT_OF	"account:"	/* names the capability for another's account */
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

void program_make(struct child *child, const struct conf_program *program, const struct boot_archive *archive)
{
	static char files[256];
	static char *argv[CONF_ARGS_MAX + 1];
	const char *envv[] = { files };
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

	spawn->name = program->name;
	spawn->image = image->data;
	spawn->image_bytes = image->size;
	spawn->image_cap = archive->text_cap;
	spawn->image_at = (uint64_t)((const char *)image->data - archive->module);
	spawn->argc = (unsigned)words + 1;
	spawn->argv = (const char *const *)argv;
	spawn->envc = 1;
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
	spawn->answer_ns = program->answer_ms * (CORE_SECOND / 1000);
	spawn->randomize = program->randomize;
	spawn->seal = program->seal;
	spawn->grant = child->grant;
	program_grant(child, EXO_NAME_CONSOLE, core_named(EXO_NAME_CONSOLE), EXO_RIGHT_WRITE, 0, 0);
	net_grant(child);
	if (spawn_make(spawn))
		init_fail("program %s: %s", program->name, spawn->error);
	if (program->show_addresses)
		core_print("init: %s lies at 0x%lx, its heap at 0x%lx; gdb: add-symbol-file %s -o 0x%lx\n",
			   program->name, spawn->start, spawn->heap, child->image_name, spawn->base);
}

void program_accounts(struct child *child, struct child *children, unsigned count)
{
	const struct conf_program *program = child->program;

	for (unsigned i = 0; i < program->demand_count; i++) {
		char name[EXO_START_NAME];
		struct spawn_grant account = { .name = name, .rights = EXO_RIGHT_READ };
		core_format(name, sizeof(name), ACCOUNT_OF "%s", program->demand[i]);
		for (unsigned j = 0; j < count; j++)
			if (!strcmp(children[j].program->name, program->demand[i]))
				account.source = children[j].spawn.child_account;
		if (account.source && spawn_grant(&child->spawn, &account))
			init_fail("program %s: %s", program->name, child->spawn.error);
	}
}

void program_start(struct child *child)
{
	int64_t error = spawn_start(&child->spawn);

	if (error < 0)
		init_fail("program %s: cannot start: %s", child->program->name, exo_error_text(error));
	child->running = true;
}

uint64_t program_end(struct child *child, const struct exo_env_info *info)
{
	uint32_t index = (uint32_t)info->id;
	uint64_t status = info->cause == EXO_CAUSE_EXIT ? info->status & 0xff : 128 + info->cause;
	const char *name = child->program->name;

	if (info->cause < 32 || info->cause == EXO_CAUSE_PROTOCOL)
		report_fault(name, child->spawn.env, info, child->spawn.image, child->spawn.image_bytes,
			     child->spawn.base);
	uint64_t for_it = frame_bag_count(&child->spawn.bag), before = held_for_children();
	spawn_destroy(&child->spawn);
	for_it += net_drop(child);
	child->running = false;
	uint64_t theirs = info_env(index)->frames, ours = held_for_children() + for_it - before;
	if (theirs || ours)
		core_print("exo: %s left %lu frames of its own and %lu of init's behind\n", name, theirs,
			   ours);
	return status;
}
