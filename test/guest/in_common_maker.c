/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A maker of a volume who gives something else than it: frames that he writes himself, a part of it, nodes of other
 * blocks. Then what is right, as at first when it is mounted; and while the other uses it he unmounts. For
 * test/e2e/in_common.py; not a test by itself.
 *
 * Usage: in_common_maker make DOMAIN	serve the extent "data" so; says how many frames did not come back
 *        in_common_maker take LABEL	take it, again and again; says what was refused, and what is read when it is gone
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/core/frame.h"
#include "libos/core/rpc.h"
#include "libos/core/spawn.h"
#include "libos/disk/disk.h"
#include "libos/disk/disk_volume.h"
#include "libos/disk/disk_volume_parts.h"
#include "libos/fs/common.h"

#define TAKE	1
enum { MOUNTED, WRITABLE, BEHIND, PART, TOO_MANY, OTHER_SEE, OTHER_BLOCK, NO_WRITE, RIGHT, WAYS };

static struct {
	exo_cap_t frames, see, own, mine;
	uint32_t pages, block, way;
} give;
static struct fs_time now(void)
{
	return (struct fs_time){ .seconds = 1000000000 };
}

/* --- who makes it ----------------------------------------------------------------------------------------- */

/* [upcall] Another way each time. */
static int64_t take(struct rpc_request *request)
{
	uint32_t way = give.way, behind = way == BEHIND;
	int64_t result;

	result = rpc_give(way == WRITABLE ? give.mine : give.frames, 0, EXO_RIGHT_READ, behind,
	    give.pages - behind - (way == PART));
	if (result >= 0)
		result = rpc_give(way == OTHER_SEE ? give.own : give.see, 1, EXO_RIGHT_READ, 0, 0);
	if (result >= 0)
		result = rpc_give(give.own, 2, way == NO_WRITE ? EXO_RIGHT_READ : EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0);
	request->word[0] = give.block + (way == OTHER_BLOCK);
	request->word[1] = way == TOO_MANY ? 1u << 30 : give.pages - behind - (way == PART);
	give.way += way < RIGHT;
	return result < 0 ? result : 0;
}

static uint32_t frames_free(void)
{
	uint32_t count = 0;

	for (exo_pfn_t pfn = 0; pfn < core_info->frames_total; pfn++)
		count += info_frame(pfn)->state == EXO_FRAME_FREE;
	return count;
}

/* Mount, and know what can be given. */
static struct fs *prepare(const char *domain, struct fs_node **root, uint32_t *pages)
{
	struct fs_mount how = { .now = now, .volume = disk_volume_make, .options = "" };
	struct volume_machine *volume;
	struct fs *fs;
	int64_t node;

	if (disk_extent_open("data", &how.device) || fs_common.mount(&fs, root, &how))
		return NULL;
	volume = (struct volume_machine *)common_volume(fs);
	*pages = give.pages = volume->pages;
	give.frames = volume->frames;
	give.see = (exo_cap_t)volume->volume.see;
	(void)common_domain_make(fs, domain);
	node = common_domain(fs, domain, &give.block);
	give.own = node > 0 ? (exo_cap_t)caps_derive((uint64_t)node, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0) : 0;
	/* In the middle of memory, where nobody takes the next one meanwhile. */
	give.mine = (exo_cap_t)exo_frame_take(caps_slot(), core_info->frames_total / 2, 1);
	for (uint32_t have = 1; have < give.pages; have++)
		if (exo_frame_take(give.mine, EXO_PFN_ANY, 1) != 1)
			return NULL;
	return node > 0 && give.own && give.mine ? fs : NULL;
}

static int make(const char *domain)
{
	static const rpc_handler handlers[] = { [TAKE] = take };
	static struct rpc_session sessions[2];
	static struct rpc_server server = { .handler = handlers, .handlers = 2, .session = sessions, .sessions = 2 };
	struct fs_node *root, *home, *ready;
	uint32_t before, after, pages = 0;
	struct fs *fs;

	fs = prepare(domain, &root, &pages);
	if (!fs || fs_common.lookup(root, domain, strlen(domain), &home))
		return 1;
	rpc_serve(&server);
	for (unsigned tries = 0; fs_common.lookup(home, "ready", 5, &ready); tries++) {
		if (tries == 3000)
			return 1;
		usleep(10000);
	}
	fs_put(ready);
	fs_put(home);
	fs_put(root);
	(void)caps_delete(give.own);
	before = frames_free();
	if (fs_common.unmount(fs))
		return 1;
	after = frames_free();
	printf("in_common_maker: unmounted, %d frames did not come back\n", after - before >= pages ? 0 : (int)(pages - (after - before)));
	usleep(1500000);	/* the other looks at what is left */
	return 0;
}

/* --- who takes it ----------------------------------------------------------------------------------------- */

static const char *label;

static int take_volume(struct block_device *device, bool read_only, struct volume **volume)
{
	(void)device, (void)read_only;
	return disk_volume_take(label, volume);
}

static unsigned slots_used(void)
{
	unsigned used = 0;

	for (uint32_t slot = 0; caps_at(slot); slot++)
		used += caps_at(slot)->type != EXO_TYPE_NONE;
	return used;
}

/* It goes while it is used: errors, and none that waits for ever. */
static int until_gone(struct fs *fs, struct fs_node *root)
{
	struct fs_attributes how = { .kind = FS_FILE, .mode = 0644 };
	struct fs_entry entry;
	uint64_t cursor = 0;
	struct fs_node *node;
	char byte[100] = "x";
	int error = 0, read;

	for (unsigned tries = 0; tries < 20000 && !error; tries++) {
		error = fs_common.create(root, "f", 1, &how, NULL, &node);
		if (error)
			break;
		error = fs_common.write(node, 0, byte, sizeof(byte)) < 0;
		error = error ? error : fs_common.fsync(node, false);
		fs_put(node);
		if (!error)
			error = fs_common.unlink(root, "f", 1, false);
	}
	usleep(300000);	/* the maker says his */
	read = fs_common.readdir(root, &cursor, &entry);
	printf("in_common_maker: gone: %s, then %s, and %s\n", error ? "an error" : "nothing", read < 0 ? "an error" : "nothing",
	    fs_common.create(root, "g", 1, &how, NULL, &node) ? "an error" : "nothing");
	(void)fs_common.sync(fs);
	return error && read < 0 ? 0 : 1;
}

static int take_all(void)
{
	struct fs_mount how = { .now = now, .volume = take_volume, .options = "" };
	struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	unsigned refused = 0, used = 0;
	struct fs_node *root, *ready;
	struct volume *volume;
	struct fs *fs;

	if (access("/data", F_OK))	/* mounted when it is needed first */
		return 1;
	for (unsigned way = WRITABLE; way < RIGHT; way++) {
		int error = disk_volume_take(label, &volume);

		refused += error == -EPROTO;
		if (error != -EPROTO)
			printf("in_common_maker: way %u: %d\n", way, error);
		if (way == WRITABLE)
			used = slots_used();
	}
	printf("in_common_maker: %u of %u refused, %u slots kept\n", refused, RIGHT - WRITABLE, slots_used() - used);
	if (fs_common.mount(&fs, &root, &how) || fs_common.create(root, "ready", 5, &directory, NULL, &ready))
		return 1;
	return until_gone(fs, root);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	label = argv[argc - 1];
	if (argc == 3 && !strcmp(argv[1], "make"))
		return make(argv[2]);
	return argc == 3 && !strcmp(argv[1], "take") ? take_all() : 2;
}
