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
	struct volume_machine *volume;
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

	if (!badge || badge > share_count)
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

static int share(struct volume *volume, uint64_t node, uint32_t block)
{
	static const rpc_handler handlers[] = { [TAKE] = take };
	static struct rpc_session sessions[VOLUME_SHARES];
	static struct rpc_server server = { .handler = handlers, .handlers = 2, .session = sessions, .sessions = VOLUME_SHARES };

	if (share_count == VOLUME_SHARES)
		return -ENOSPC;
	int64_t own = caps_derive(node, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0);
	if (own < 0)
		return -ENOMEM;
	shares[share_count] = (struct share_of){ (struct volume_machine *)volume, volume->see, (exo_cap_t)own, block, 0 };
	if (!share_count++)
		rpc_serve(&server);
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

int disk_volume_take(const char *label, struct volume **volume)
{
	struct volume_machine *own = calloc(1, sizeof(*own));
	exo_cap_t cap[CAPS] = { 0 };
	uint64_t word[RPC_WORDS] = { 0 };
	int64_t result = own ? ask(label, cap, word) : -EXO_EQUOTA;
	int error = result == -EXO_EBUSY ? -EBUSY : result == -EXO_ECAP ? -ENOENT : result < 0 ? -EACCES : 0;

	if (own)
		own->frames = cap[0];
	if (!error && (!cap[0] || !cap[1] || !cap[2] || word[1] > EXO_VOLUME_FRAMES_MAX || !volume_machine_map(own, (uint32_t)word[1])))
		error = -ENOMEM;
	if (!error)
		error = disk_volume_device(own->volume.page->disk, own->volume.page->blocks, &own->volume.device);
	if (error) {
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
