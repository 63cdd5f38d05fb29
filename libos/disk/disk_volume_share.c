/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes handed on: the maker gives a domain to who asks, by capabilities into the window that he has opened. See disk_volume.h.
 *
 * The badge of an entry is its label's number, from 1 on (apps/init), and so the number of the share. All that the server
 * needs is made before anybody can ask, so its handler derives three capabilities and does nothing else.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/core/directory.h"
#include "libos/core/rpc.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "libos/disk/disk_volume.h"
#include "libos/disk/disk_volume_parts.h"
#include "libos/fs/common.h"

#define TAKE		1
#define CAPS		3	/* the frames, a node to see by, a node to change by */
#define ASK_NS		CORE_SECOND
#define ASK_TRIES	50	/* the maker may not have mounted yet */

static struct share_of {
	struct volume_machine *volume;	/* NULL: it has ended */
	exo_cap_t see, own;
	uint32_t block;
	exo_env_id_t taker;	/* 0: nobody yet */
} shares[VOLUME_SHARES];
static unsigned share_count;

static bool is_alive(exo_env_id_t id)
{
	const struct exo_env_info *env = info_env((uint32_t)id);

	return env && env->id == id && env->state != EXO_ENV_NONE && env->state != EXO_ENV_ENDED;
}

/* [upcall] */
static int64_t take(struct rpc_request *request)
{
	uint64_t badge = request->session->badge;
	struct share_of *share = &shares[badge - 1];
	int64_t result;

	if (!badge || badge > share_count || !share->volume)
		return -EXO_ERANGE;
	if (share->taker && share->taker != request->session->caller && is_alive(share->taker))
		return -EXO_EBUSY;
	result = rpc_give(share->volume->frames, 0, EXO_RIGHT_READ, 0, share->volume->pages);
	if (result >= 0)
		result = rpc_give(share->see, 1, EXO_RIGHT_READ, 0, 0);
	if (result >= 0)
		result = rpc_give(share->own, 2, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0);
	if (result < 0)
		return result;
	share->taker = request->session->caller;
	request->word[0] = share->block;
	request->word[1] = share->volume->pages;
	return 0;
}

static void end_shares(struct volume_machine *volume)
{
	for (unsigned i = 0; i < share_count; i++)
		if (shares[i].volume == volume) {
			(void)caps_delete(shares[i].own);
			shares[i].volume = NULL;
		}
}

/* A number that a volume had which has ended is used again. */
static int share(struct volume *volume, uint64_t node, uint32_t block)
{
	static const rpc_handler handlers[] = { [TAKE] = take };
	static struct rpc_session sessions[VOLUME_SHARES];
	static struct rpc_server server = { .handler = handlers, .handlers = 2, .session = sessions, .sessions = VOLUME_SHARES };

	unsigned i = 0;

	while (i < share_count && shares[i].volume)
		i++;
	if (i == VOLUME_SHARES)
		return -ENOSPC;
	int64_t own = caps_derive(node, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0);
	if (own < 0)
		return -ENOMEM;
	shares[i] = (struct share_of){ (struct volume_machine *)volume, volume->see, (exo_cap_t)own, block, 0 };
	volume_machine_ends = end_shares;
	if (!share_count)
		rpc_serve(&server);
	share_count += i == share_count;
	return 0;
}

int disk_volume_offer(struct fs *fs, const char *domain)
{
	uint32_t block;
	int error = common_domain_make(fs, domain);

	if (error && error != -EEXIST)
		return error;
	int64_t node = common_domain(fs, domain, &block);
	return node < 0 ? (int)node : share(common_volume(fs), (uint64_t)node, block);
}

/* What the maker gives: into slots of the own table. */
static int64_t ask(const char *label, exo_cap_t cap[CAPS], uint64_t word[RPC_WORDS])
{
	static struct share page_share;
	static const struct directory_page *page;
	struct rpc_client client = { .timeout_ns = ASK_NS };
	struct rpc_slots slots = { .window = caps_slots(CAPS), .windows = CAPS };
	int64_t result = -EXO_ECAP;

	if (!page)
		page = directory_open(&page_share);
	for (unsigned tries = 0; page && slots.window && tries < ASK_TRIES; tries++) {
		int64_t entry = directory_take(page, label);

		result = entry;
		if (entry > 0) {
			client.entry = (exo_cap_t)entry;
			result = rpc_pass(&client, &slots, TAKE, word);
			(void)caps_delete((exo_cap_t)entry);
		}
		if (result >= 0 || (client.answered && result != -EXO_ERANGE) || result == -EXO_ECPU)
			break;
		thread_sleep(core_now() + CORE_SECOND / 20);
	}
	for (unsigned i = 0; i < CAPS && result >= 0; i++)
		cap[i] = rpc_given(&slots, i);
	return result;
}

/* Does the kernel take it for a node of a volume that lives? No block has that number: then RANGE. */
static bool is_good(exo_cap_t node)
{
	int64_t result;

	do
		result = exo_node_load(node, EXO_VOLUME_NONE, 0);
	while (result == -EXO_EAGAIN);
	return result == -EXO_ERANGE;
}

static const struct exo_cap *slot_of(exo_cap_t cap, unsigned type, unsigned rights)
{
	const struct exo_cap *slot = cap ? caps_at((uint32_t)cap) : NULL;

	return slot && slot->type == type && (slot->rights & rights) == rights ? slot : NULL;
}

/*
 * Are these a volume and its nodes? The maker's words prove nothing, nor do frames that he could write. But a node's slot is
 * the kernel's: while it is good for anything, the volume's first frame is its `object`, and that says how many there are.
 */
static bool is_volume(const exo_cap_t cap[CAPS], const uint64_t word[RPC_WORDS])
{
	const struct exo_cap *frames = slot_of(cap[0], EXO_TYPE_FRAME, EXO_RIGHT_READ);
	const struct exo_cap *see = slot_of(cap[1], EXO_TYPE_NODE, EXO_RIGHT_READ);
	const struct exo_cap *own = slot_of(cap[2], EXO_TYPE_NODE, EXO_RIGHT_READ | EXO_RIGHT_WRITE);

	return frames && see && own && word[1] && word[1] <= EXO_VOLUME_FRAMES_MAX && frames->count == word[1] &&
	    frames->first == see->object && see->object == own->object && see->first >> 32 == own->first >> 32 &&
	    (uint32_t)see->first == 0 && (uint32_t)own->first == word[0] && is_good(cap[1]) && is_good(cap[2]);
}

/* Its frames, mapped, are those of the nodes' volume, all of them. */
static bool is_whole(const struct volume_machine *own, exo_cap_t see)
{
	const volatile struct exo_volume *page = own->volume.page;

	return page->version == EXO_VOLUME_VERSION && page->id == slot_of(see, EXO_TYPE_NODE, 0)->first >> 32 && is_good(see) &&
	    page->frames == own->pages && own->volume.buffers && own->pages == own->volume.buffer_first + own->volume.buffers;
}

int disk_volume_take(const char *label, struct volume **volume)
{
	struct volume_machine *own = calloc(1, sizeof(*own));
	exo_cap_t cap[CAPS] = { 0 };
	uint64_t word[RPC_WORDS] = { 0 };
	int64_t result = own ? ask(label, cap, word) : -EXO_EQUOTA;
	int error = result == -EXO_EBUSY ? -EBUSY : result == -EXO_ECAP ? -ENOENT : result < 0 ? -EACCES : 0;

	if (own)
		own->frames = cap[0];
	if (!error && !is_volume(cap, word))
		error = -EPROTO;
	if (!error && !volume_machine_map(own, (uint32_t)word[1]))
		error = -ENOMEM;
	if (!error && !is_whole(own, cap[1]))
		error = -EPROTO;
	if (!error)
		error = disk_volume_device(own->volume.page->disk, own->volume.blocks, &own->volume.device);
	if (error) {
		if (own && own->volume.page)
			share_unmap(&own->share);
		for (unsigned i = 0; i < CAPS; i++)
			if (cap[i])
				(void)caps_delete(cap[i]);
		free(own);
		return error;
	}
	own->volume.ops = &volume_machine_ops;
	own->volume.see = cap[1];
	own->volume.own = cap[2];
	own->volume.own_block = (uint32_t)word[0];
	*volume = &own->volume;
	return 0;
}
