/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets which extents, and how much of the disks' time.
 *
 * The tables of all disks are read once, before any program runs, through a ring of init's own that is gone when the
 * shares are handed out. Extents are found by label or UUID on any disk, so they are the same after a reboot and in
 * another machine. Nothing is written here: a table with one copy damaged is used, and told.
 */
#include <string.h>
#include "apps/init/init.h"
#include "libos/disk/disk.h"
#include "libos/disk/gpt.h"

#define DISKS_MAX	4
#define MOUNTS_VARIABLE	"EXO_MOUNTS="	/* tells the libOS what to mount */

struct found {
	uint8_t disk;
	unsigned number;	/* of the table's entry */
	uint32_t block, count;
};

static struct {
	exo_cap_t shares, blocks;
	char name[2][EXO_START_NAME];
	const char *wrong;	/* with its table; NULL: nothing */
	unsigned left, part;	/* shares that are not given out; what those get that do not say how many */
} disks[DISKS_MAX];
static unsigned disk_count;
static struct found found[CONF_PROGRAMS_MAX][CONF_EXTENTS_MAX];
static unsigned next_share[DISKS_MAX];

static bool wanted(const struct conf *conf)
{
	for (unsigned i = 0; i < conf->count; i++)
		if (conf->program[i].extent_count || conf->program[i].disk != CONF_DISK_NONE)
			return true;
	return false;
}

static void find_disks(void)
{
	for (; disk_count < DISKS_MAX; disk_count++) {
		char (*name)[EXO_START_NAME] = disks[disk_count].name;
		core_format(name[0], EXO_START_NAME, "disk%u", disk_count);
		core_format(name[1], EXO_START_NAME, "blocks%u", disk_count);
		disks[disk_count].shares = core_named(name[0]);
		disks[disk_count].blocks = core_named(name[1]);
		disks[disk_count].left = EXO_DISK_SHARES;
		if (!disks[disk_count].blocks)
			return;
	}
}

/* What the programs want of a table. */
static void look_up(const struct conf *conf, const struct gpt *gpt, unsigned disk)
{
	struct gpt_extent extent;

	for (unsigned i = 0; i < conf->count; i++)
		for (unsigned j = 0; j < conf->program[i].extent_count; j++) {
			const char *label = conf->program[i].extent[j].label;
			int error = gpt_find(gpt, label, &extent);
			if (error == -EEXIST)
				init_fail("program %s: extent = %s: %s has several of this label; write its UUID",
					  conf->program[i].name, label, disks[disk].name[0]);
			if (error)
				continue;
			if (found[i][j].count)
				init_fail("program %s: extent = %s: %s and %s have one of this label; write its UUID",
					  conf->program[i].name, label, disks[found[i][j].disk].name[0], disks[disk].name[0]);
			if (!extent.count)
				init_fail("program %s: extent = %s: it does not begin and end at a block of 4096 bytes",
					  conf->program[i].name, label);
			found[i][j] = (struct found){ (uint8_t)disk, extent.number, extent.block, extent.count };
		}
}

static void read_table(const struct conf *conf, unsigned disk)
{
	struct gpt gpt = { .why = "its ring cannot be made" };
	struct block_device *device;
	struct disk *ring;

	if (disk_open(disks[disk].shares, &ring)) {
		disks[disk].wrong = gpt.why;
		return;
	}
	int error = disk_extent(ring, disks[disk].blocks, &device);
	if (!error) {
		error = gpt_read(device, &gpt);
		device->ops->close(device);
	}
	disk_close(ring);
	disks[disk].wrong = error ? gpt.why : NULL;
	if (error)
		return;
	if (!gpt.same)
		core_print("init: %s: %s; exo disk check --repair puts it right\n", disks[disk].name[0],
			   !gpt.good[0] ? "the first copy of the partition table is damaged, the second is used" :
			   !gpt.good[1] ? "the second copy of the partition table is damaged" :
			   "a change of the partition table was not finished; it is as before");
	look_up(conf, &gpt, disk);
}

static _Noreturn void fail_missing(const struct conf_program *program, const struct conf_extent *extent)
{
	if (!disk_count)
		init_fail("program %s: extent = %s: the machine has no disk; add one with disk = FILE or exo run --disk FILE",
			  program->name, extent->label);
	for (unsigned i = 0; i < disk_count; i++)
		if (disks[i].wrong)
			init_fail("program %s: extent = %s: not found, and %s: %s", program->name, extent->label,
				  disks[i].name[0], disks[i].wrong);
	init_fail("program %s: extent = %s: no disk has one of this label; exo disk list FILE shows what there is",
		  program->name, extent->label);
}

/* The same extent by label and by UUID: conf.c sees only the words. */
static void check_shared(const struct conf *conf, unsigned i, unsigned j)
{
	const struct conf_extent *one = &conf->program[i].extent[j];

	for (unsigned k = 0; k <= i; k++)
		for (unsigned l = 0; l < (k < i ? conf->program[k].extent_count : j); l++) {
			const struct conf_extent *other = &conf->program[k].extent[l];
			if (found[k][l].disk == found[i][j].disk && found[k][l].number == found[i][j].number &&
			    !(one->read_only && other->read_only) && !(one->shared && other->shared) && !one->by_share &&
			    !other->by_share)
				init_fail("program %s: extent = %s is program %s's already; both must say read-only, or both shared",
					  conf->program[i].name, one->label, conf->program[k].name);
		}
}

static void check_rights(const struct conf_program *program, const struct conf_extent *extent, unsigned disk)
{
	if (!extent->read_only && !extent->by_share && !(caps_at(exo_cap_slot(disks[disk].blocks))->rights & EXO_RIGHT_WRITE))
		init_fail("program %s: extent = %s: %s can only be read; write read-only behind the label, or ro in the mount",
			  program->name, extent->label, disks[disk].name[0]);
}

static bool has_part(const struct conf_program *program, unsigned number, unsigned disk)
{
	bool has = program->disk != CONF_DISK_NONE;

	for (unsigned i = 0; i < program->extent_count; i++)
		has |= found[number][i].disk == disk;
	return has;
}

/* Shares that are said, then an equal part of the rest for each who says nothing. */
static void share_out(const struct conf *conf, unsigned disk)
{
	unsigned others = 0;

	for (unsigned i = 0; i < conf->count; i++) {
		const struct conf_program *program = &conf->program[i];
		if (!has_part(program, i, disk))
			continue;
		others += !program->disk_shares;
		if (program->disk_shares > disks[disk].left)
			init_fail("program %s: disk_shares = %u: only %u of the %u of %s are left", program->name,
				  program->disk_shares, disks[disk].left, EXO_DISK_SHARES, disks[disk].name[0]);
		disks[disk].left -= program->disk_shares;
	}
	if (others && disks[disk].left < others)
		init_fail("%s: %u programs without disk_shares, but only %u shares are left", disks[disk].name[0], others,
			  disks[disk].left);
	disks[disk].part = others ? disks[disk].left / others : 0;
}

void disks_make(const struct conf *conf)
{
	bool tables = false;

	if (!wanted(conf))
		return;
	find_disks();
	for (unsigned i = 0; i < conf->count; i++) {
		tables |= conf->program[i].extent_count != 0;
		if (conf->program[i].disk != CONF_DISK_NONE && !disk_count)
			init_fail("program %s: disk: the machine has no disk; add one with disk = FILE or exo run --disk FILE",
				  conf->program[i].name);
	}
	for (unsigned i = 0; tables && i < disk_count; i++)
		read_table(conf, i);
	for (unsigned i = 0; i < conf->count; i++)
		for (unsigned j = 0; j < conf->program[i].extent_count; j++) {
			if (!found[i][j].count)
				fail_missing(&conf->program[i], &conf->program[i].extent[j]);
			check_shared(conf, i, j);
			check_rights(&conf->program[i], &conf->program[i].extent[j], found[i][j].disk);
		}
	for (unsigned i = 0; i < disk_count; i++)
		share_out(conf, i);
}

void disks_grant(struct child *child, unsigned number)
{
	const struct conf_program *program = child->program;

	for (unsigned i = 0; i < program->extent_count; i++) {
		const struct found *extent = &found[number][i];
		if (program->extent[i].by_share)
			continue;
		program_grant(child, program->extent[i].name, disks[extent->disk].blocks, program->extent[i].read_only ?
			      EXO_RIGHT_READ : EXO_RIGHT_READ | EXO_RIGHT_WRITE, extent->block, extent->count);
	}
	for (unsigned i = 0; i < disk_count; i++) {
		unsigned count = program->disk_shares ? program->disk_shares : disks[i].part;
		if (!has_part(program, number, i))
			continue;
		program_grant(child, disks[i].name[0], disks[i].shares,
			      count == EXO_DISK_SHARES ? EXO_RIGHT_BIND | EXO_RIGHT_CONTROL : EXO_RIGHT_BIND, next_share[i], count);
		next_share[i] += count;
		if (program->disk != CONF_DISK_NONE)
			program_grant(child, disks[i].name[1], disks[i].blocks, program->disk == CONF_DISK_WHOLE ?
				      EXO_RIGHT_READ | EXO_RIGHT_WRITE : EXO_RIGHT_READ, 0,
				      caps_at(exo_cap_slot(disks[i].blocks))->count);
	}
}

/* "PATH KIND SOURCE [OPTIONS]" for each mount, a line each. */
bool disks_mounts(const struct conf_program *program, char *text, size_t bytes)
{
	size_t at = core_format(text, bytes, MOUNTS_VARIABLE);

	for (unsigned i = 0; i < program->mount_count && at < bytes; i++) {
		const struct conf_mount *mount = &program->mount[i];
		bool read_only = false;
		for (unsigned j = 0; mount->extent && j < program->extent_count; j++)
			read_only |= !strcmp(program->extent[j].name, mount->extent) && program->extent[j].read_only;
		at += core_format(text + at, bytes - at, "%s%s %s %s%s%s%s%s", i ? "\n" : "", mount->path, mount->kind,
				  mount->share ? "share:" : mount->extent ? "extent:" : "none",
				  mount->share ? mount->share : mount->extent ? mount->extent : "",
				  read_only || mount->options[0] ? " " : "", read_only ? mount->options[0] ? "ro," : "ro" : "",
				  mount->options);
	}
	return at < bytes;
}
