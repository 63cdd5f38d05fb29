/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounts: what frames are charged to. The invariants A1..A3 stand in kernel.h.
 *
 * An account lies in a frame that its maker gave up. Accounts nest; a frame is charged to one account and to
 * all above it, so a limit binds everything below. Whose limit is passed cannot take more; nothing is taken
 * away from anybody. An account that no environment, account, charge or capability names any more gives its
 * frame back. Since that frame is charged to an account too, which may then be the next, such accounts are
 * put on a list and taken from it a few at a time: no recursion, and the cost of a call stays bounded; the
 * rest goes when somebody lets go of an account the next time.
 */
#include "exo/kernel.h"

#define REAP_MAX	4	/* accounts freed in one go */

static exo_pfn_t dead_list;
static bool reaping;

static struct account *account_at(exo_pfn_t pfn)
{
	return pfn ? pfn_to_virt(pfn) : NULL;
}

static bool account_needed(const struct account *account)
{
	return account->used || account->users || account->holds;
}

static bool account_settle(struct account *account);

/* Free some of those that nothing names any more. */
static void reap(void)
{
	struct account *account, *parent;
	unsigned i;

	if (reaping)
		return;
	reaping = true;
	for (i = 0; i < REAP_MAX && dead_list; i++) {
		account = account_at(dead_list);
		dead_list = account->dead_next;
		parent = account_at(account->parent);
		frame_retype(account->self, EXO_FRAME_OWNED, 0);
		if (parent) {
			parent->users--;
			(void)account_settle(parent);
		}
	}
	reaping = false;
}

/* The last reason for an account may have gone. */
static bool account_settle(struct account *account)
{
	if (account_needed(account) || account->dead)
		return false;
	account->dead = true;
	account->dead_next = dead_list;
	dead_list = account->self;
	reap();
	return true;
}

static void account_init(exo_pfn_t pfn, exo_pfn_t parent, uint32_t limit)
{
	struct account *account = pfn_to_virt(pfn);

	*account = (struct account){ .self = pfn, .parent = parent, .limit = limit };
	frame_retype(pfn, EXO_FRAME_ACCOUNT, pfn);
	if (parent)
		account_at(parent)->users++;
}

exo_pfn_t account_root(void)
{
	exo_pfn_t pfn = frame_boot_take(1, EXO_FRAME_OWNED);

	dead_list = 0;
	account_init(pfn, 0, UINT32_MAX);
	return pfn;
}

void account_charge(struct account *account, int32_t frames)
{
	struct account *one;

	for (one = account; one; one = account_at(one->parent))
		one->used += (uint32_t)frames;
	if (frames < 0)
		(void)account_settle(account);	/* those above have a user: this one */
}

void account_use(exo_pfn_t pfn)
{
	account_at(pfn)->users++;
}

void account_unuse(exo_pfn_t pfn)
{
	account_at(pfn)->users--;
	if (!account_settle(account_at(pfn)))
		reap();
}

void account_hold(exo_pfn_t pfn)
{
	account_at(pfn)->holds++;
}

void account_unhold(exo_pfn_t pfn)
{
	account_at(pfn)->holds--;
	if (!account_settle(account_at(pfn)))
		reap();
}

/*
 * exo_account_make(slot, parent, frames, first, limit): a new account below `parent` (an ACCOUNT capability
 * with CONTROL), in frame `first` of the capability `frames` (with WRITE), which must be neither mapped nor
 * pinned. `limit`: frames that it and all below it may hold; more than its parent's is allowed and useless.
 * Its capability, derived from parent's and with the same rights, is in `slot`. Returns the handle.
 * Errors: SLOT; CAP, TYPE, RIGHTS; RANGE; BUSY the frame is mapped, pinned or a kernel object; INVAL limit >=
 * 2^32; DEPTH ACCOUNT_DEPTH_MAX accounts lie above it, or CAP_DEPTH_MAX derivations; STATE parent's is being
 * revoked. Nothing has changed then.
 */
int64_t sys_account_make(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	struct exo_cap *slot, *parent;
	struct account *account;
	unsigned depth = 0;
	exo_pfn_t pfn;
	int64_t error;

	(void)a5;
	slot = cap_free_slot(env, a0);
	if (!slot)
		return ERR(SLOT);
	parent = cap_need(env, a1, EXO_TYPE_ACCOUNT, EXO_RIGHT_CONTROL, &error);
	if (!parent)
		return error;
	if (!cap_need_frames(env, a2, EXO_RIGHT_WRITE, a3, 1, &pfn, &error))
		return error;
	if (a4 > UINT32_MAX)
		return ERR(INVAL);
	for (account = account_at(parent->object); account; account = account_at(account->parent))
		depth++;
	if (depth >= ACCOUNT_DEPTH_MAX)
		return ERR(DEPTH);
	error = cap_derivable(parent);
	if (error)
		return error;
	if (!frame_retypable(pfn))
		return ERR(BUSY);

	account_init(pfn, parent->object, (uint32_t)a4);
	return (int64_t)cap_fill(slot, EXO_TYPE_ACCOUNT, parent->rights, 0, 0, pfn, parent, (uint32_t)a0);
}
