/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open entries: how environments that nobody has introduced to each other come to call one another.
 *
 * There is no name service. Whoever holds an entry capability may open it to an account: then every environment
 * that is charged to that account, or to one below it, may derive the entry for itself. It names it by who opened
 * it and by the handle that it has there, two numbers that anybody may write down (libos/core/directory.h) and
 * that never come to mean anything else: neither environment ids nor handles are used again.
 *
 * What an entry is open to is the handle of an account's capability in the same table, kept in `bound`. So there
 * is nothing to undo: when the entry's capability goes, or the account's, in whatever way, the name leads nowhere.
 * Entries that were taken hang below the opened one, in the tables of those who took them: revoking it takes them
 * back, deleting it does not.
 */
#include "exo/kernel.h"

/*
 * exo_entry_open(entry, account): from now on an entry (an ENTRY capability with EXEC) is open to all environments
 * charged to `account` (an ACCOUNT capability, whatever its rights), or to an account below, and to nobody else.
 * account 0: it is open to nobody. Returns 0. Errors: CAP, TYPE, RIGHTS.
 */
int64_t sys_entry_open(CALL_ARGS)
{
	struct env *self = current_env();
	struct exo_cap *entry;
	int64_t error;

	entry = cap_need(self, a0, EXO_TYPE_ENTRY, EXO_RIGHT_EXEC, &error);
	if (!entry)
		return error;
	if (a1 && !cap_need(self, a1, EXO_TYPE_ACCOUNT, 0, &error))
		return error;

	entry->bound = a1;
	return 0;
}

/*
 * exo_entry_take(slot, opener, name): an entry that environment `opener`, an id, has opened, and that has the handle
 * `name` in its table: a capability derived from that, with the same badge and EXEC, in free slot `slot`. Returns
 * the handle.
 * Errors: SLOT; CAP there is no such environment, or no open entry of this name, any more; RIGHTS the caller is not
 * charged to what it is open to; STATE it, or one above it, is being revoked; DEPTH CAP_DEPTH_MAX derivations.
 */
int64_t sys_entry_take(CALL_ARGS)
{
	struct env *self = current_env(), *opener = env_by_id(a1);
	struct exo_cap *slot = cap_free_slot(self, a0), *entry, *account;
	int64_t error;

	if (!slot)
		return ERR(SLOT);
	entry = opener ? cap_typed(opener, a2, EXO_TYPE_ENTRY) : NULL;
	account = entry && entry->bound ? cap_typed(opener, entry->bound, EXO_TYPE_ACCOUNT) : NULL;
	if (!account)
		return ERR(CAP);
	if (!account_below(account_at(self->account), account_at(account->object)))
		return ERR(RIGHTS);
	error = cap_derivable(entry);
	if (error)
		return error;

	return (int64_t)cap_fill(slot, EXO_TYPE_ENTRY, entry->rights, entry->first, entry->count, entry->object,
	    entry, (uint32_t)a0);
}
