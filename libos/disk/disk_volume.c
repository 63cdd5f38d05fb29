/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes in the machine: the kernel's calls behind struct volume, and how one is made of an extent. See disk_volume.h.
 *
 * The frames are in a row, so they are looked for in the table of frames, from the end of memory on. They are mapped to read;
 * the owner function is that of the file system `common`.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/core/code.h"
#include "libos/core/frame.h"
#include "libos/core/insn.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "libos/disk/disk_volume.h"
#include "libos/disk/disk_volume_parts.h"
#include "libos/fs/common.h"

#define BUFFERS_MIN	24
#define PAUSE_NS	200000

struct made {
	struct volume_machine base;	/* first */
	struct code_program program;
};

/* --- calls ------------------------------------------------------------------------------------------------ */

static int64_t machine_load(struct volume *volume, uint64_t node, uint32_t block, uint32_t buffer)
{
	int64_t result;

	(void)volume;
	do
		result = exo_node_load(node, block, buffer);
	while (result == -EXO_EAGAIN);
	return result;
}

static int64_t machine_open(struct volume *volume, uint64_t node, uint32_t block, bool write)
{
	uint32_t slot = caps_slot();

	(void)volume;
	return slot ? exo_node_open(slot, node, block, write ? EXO_RIGHT_READ | EXO_RIGHT_WRITE : EXO_RIGHT_READ) : -EXO_ESLOT;
}

static void machine_drop(struct volume *volume, uint64_t node)
{
	(void)volume;
	(void)caps_delete(node);
}

static int64_t machine_change(struct volume *volume, uint64_t node, const struct exo_node_change *change)
{
	int64_t result;

	(void)volume;
	memcpy(core_arg(0), change, sizeof(*change));
	do
		result = exo_node_change(node, 0);
	while (result == -EXO_EAGAIN);
	return result;
}

static int64_t machine_share(struct volume *volume, uint32_t block, unsigned share, uint32_t left, uint32_t buffer, uint32_t end)
{
	return exo_node_share(volume->own, block, share, left, buffer, end);
}

static void machine_pause(struct volume *volume)
{
	block_poll(volume->device);
	thread_sleep(core_now() + PAUSE_NS);
}

void (*volume_machine_ends)(struct volume_machine *own);

/* All that others have of it goes, nodes first: then the volume, and its frames are free again when this has deleted them. */
static void take_back(struct volume_machine *own)
{
	if (volume_machine_ends)
		volume_machine_ends(own);
	while (exo_cap_revoke(own->volume.see) == -EXO_EAGAIN)
		;
	while (exo_cap_revoke(own->frames) == -EXO_EAGAIN)
		;
}

static void machine_close(struct volume *volume)
{
	struct volume_machine *own = (struct volume_machine *)volume;

	if (volume->made)
		take_back(own);
	if (volume->own != volume->see)
		(void)caps_delete(volume->own);
	(void)caps_delete(volume->see);
	share_unmap(&own->share);
	(void)caps_delete(own->frames);
	if (volume->made)
		code_unload(&((struct made *)own)->program);
	else
		volume->device->ops->close(volume->device);
	free(own);
}

const struct volume_ops volume_machine_ops = { .load = machine_load, .open = machine_open, .drop = machine_drop,
	.change = machine_change, .share = machine_share, .pause = machine_pause, .close = machine_close };

/* --- making one ------------------------------------------------------------------------------------------- */

/* So many frames in a row, by one capability; EXO_CAP_NONE: there are none. */
static exo_cap_t take_row(uint32_t count)
{
	uint32_t run = 0;

	for (exo_pfn_t pfn = core_info->frames_total; pfn-- > 1;) {
		run = info_frame(pfn)->state == EXO_FRAME_FREE ? run + 1 : 0;
		if (run < count)
			continue;
		uint32_t slot = caps_slot(), have = count < EXO_TAKE_MAX ? count : EXO_TAKE_MAX;
		int64_t cap = slot ? exo_frame_take(slot, pfn, have) : -1, more = 1;

		while (cap > 0 && have < count && more > 0) {
			uint32_t now = count - have < EXO_TAKE_MAX ? count - have : EXO_TAKE_MAX;

			more = exo_frame_take((uint64_t)cap, pfn + have, now);
			have += more > 0 ? (uint32_t)more : 0;
		}
		if (cap > 0 && have == count)
			return (exo_cap_t)cap;
		if (cap > 0)
			(void)caps_delete((exo_cap_t)cap);
		if (cap < 0 || more < 0)
			return EXO_CAP_NONE;
		run = 0;
	}
	return EXO_CAP_NONE;
}

static bool owner_load(struct code_program *program)
{
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = EXO_USE_OWNER, .fuel = COMMON_FUEL,
		.label = "common" };
	struct exo_insn *insn = malloc(COMMON_INSNS * sizeof(*insn));
	int64_t error = -1;

	if (insn) {
		header.insns = common_owner(insn, insn + COMMON_INSNS);
		error = code_load(program, &header, insn, NULL, NULL);
	}
	free(insn);
	return error == 0;
}

bool volume_machine_map(struct volume_machine *own, uint32_t pages)
{
	own->pages = pages;
	own->volume.page = (const struct exo_volume *)share_map(&own->share, own->frames, 0, pages, EXO_MAP_READ);
	if (own->volume.page)
		volume_sizes(&own->volume);
	return own->volume.page != NULL;
}

int disk_volume_make(struct block_device *device, bool read_only, struct volume **volume)
{
	uint32_t buffers = device->blocks / 32, frames;
	struct made *made = calloc(1, sizeof(*made));
	int64_t root = -1;

	(void)read_only;
	buffers = buffers < BUFFERS_MIN ? BUFFERS_MIN : buffers > EXO_VOLUME_BUFFERS_MAX ? EXO_VOLUME_BUFFERS_MAX : buffers;
	frames = (uint32_t)exo_volume_frames(device->blocks, buffers);
	if (!made || device->flags & BLOCK_READ_ONLY || !owner_load(&made->program)) {
		free(made);
		return made && device->flags & BLOCK_READ_ONLY ? -EACCES : -ENOMEM;
	}
	made->base.frames = take_row(frames);
	if (made->base.frames)
		do
			root = exo_volume_make(caps_slot(), disk_blocks_of(device), made->base.frames, 0, frames, made->program.cap);
		while (root == -EXO_EAGAIN);
	if (root <= 0 || !volume_machine_map(&made->base, frames)) {
		if (root > 0)
			(void)caps_delete((exo_cap_t)root);
		if (made->base.frames)
			(void)caps_delete(made->base.frames);
		code_unload(&made->program);
		free(made);
		return root == -EXO_EBUSY || root == -EXO_ERIGHTS ? -EACCES : -ENOMEM;
	}
	made->base.volume.ops = &volume_machine_ops;
	made->base.volume.device = device;
	made->base.volume.see = made->base.volume.own = (uint64_t)root;
	made->base.volume.made = true;
	*volume = &made->base.volume;
	return 0;
}
