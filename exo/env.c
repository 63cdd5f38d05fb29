/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Environments: made from four frames, started once, ended once, destroyed in steps.
 *
 * An environment is a frame with struct env, its dispatcher page, its argument frame and the first frame of
 * its capability table; beside these it holds a space. It is known to others by capabilities of type ENV and
 * ENTRY, which keep the number of its creation: they reach nothing once it is destroyed, whatever its frames
 * are used for then.
 *
 * Ending is one step and cannot fail: it never runs again, its transfers and flows are cut, its slices
 * unbound, its creator told. What it holds stays readable for whoever looks into the cause, until somebody
 * with CONTROL destroys it: its capabilities, then its hold on the space (whose tables are taken apart with
 * the last hold), then its own frames. Each step is bounded (ERR(AGAIN)); the place reached is kept in the
 * environment itself.
 */
#include "exo/kernel.h"

static struct env *env_table[ENVS_MAX];	/* [s] by index */
static uint32_t env_made;		/* [s] environments ever made */
static uint32_t env_hint;		/* [s] where the search for a free index begins */

void env_init(void)
{
	__builtin_memset(env_table, 0, sizeof(env_table));
	env_made = 0;
	env_hint = 1;
}

struct env *env_by_id(exo_env_id_t id)
{
	uint32_t index = (uint32_t)id;
	struct env *env = index < ENVS_MAX ? env_table[index] : NULL;

	return env && env->id == id ? env : NULL;
}

/* An index is used anew only when no frame names its last owner any more. */
static uint32_t free_index(void)
{
	uint32_t i, index;

	for (i = 0; i < ENVS_MAX - 1; i++) {
		index = env_hint + i < ENVS_MAX ? env_hint + i : env_hint + i - (ENVS_MAX - 1);
		if (!env_table[index] && !info_env[index].frames)
			return index;
	}
	return 0;
}

static void make_disp(struct env *env, uint64_t run_entry)
{
	struct exo_disp *disp = env->disp;

	disp->version = EXO_DISP_VERSION;
	disp->size = sizeof(*disp);
	disp->off = EXO_OFF_YES;
	disp->run_entry = run_entry;
	disp->self = env->id;
}

struct env *env_make(const exo_pfn_t frames[4], exo_pfn_t root, exo_pfn_t account,
    const struct exo_env_params *params, exo_env_id_t creator)
{
	static const uint8_t states[3] = { EXO_FRAME_ENV, EXO_FRAME_DISP, EXO_FRAME_ARG };
	struct env *env = pfn_to_virt(frames[0]);
	uint32_t index = free_index();
	unsigned i;

	if (!index || env_made == UINT32_MAX)
		return NULL;
	for (i = 0; i < COUNT_OF(states); i++) {
		arch_zero_frame(frames[i]);
		frame_retype(frames[i], states[i], frames[0]);
	}
	env_hint = index;
	env_table[index] = env;
	env->self = frames[0];
	env->index = index;
	env->id = (exo_env_id_t)++env_made << 32 | index;
	env->disp_pfn = frames[1];
	env->disp = pfn_to_virt(frames[1]);
	env->arch.disp = (uint64_t)(uintptr_t)env->disp;
	env->arg_pfn = frames[2];
	env->arg = pfn_to_virt(frames[2]);
	env->root = root;
	env->account = account;
	env->creator = creator;
	env->sleep_until = env->call_deadline = env->timed_at = EXO_NEVER;
	env->cpu = (uint32_t)params->cpu;
	make_disp(env, params->run_entry);
	cap_table_add(env, frames[3]);
	space_hold(root);
	account_use(account);

	env->info = &info_env[index];
	*env->info = (struct exo_env_info){ .id = env->id, .cpu = env->cpu };
	for (i = 0; i < sizeof(params->label) - 1; i++)
		env->info->label[i] = params->label[i];
	env_set_state(env, EXO_ENV_MADE);
	return env;
}

void env_event(struct env *env, uint64_t event)
{
	struct exo_disp *disp = env->disp;

	disp->events++;
	disp->pending |= event;
	if (env_state(env) == EXO_ENV_ASLEEP || (env->serving & SERVING_RESTING))
		cpu_wake(env, EXO_RUN_EVENT);
	else if (env != cpu.current)
		env->reasons |= EXO_RUN_EVENT;
}

void env_end(struct env *env, uint32_t cause, uint64_t status, uint64_t rip)
{
	bool current = env == cpu.current;
	struct env *creator;

	if (env_state(env) == EXO_ENV_ENDED)
		return;
	env->info->cause = cause;
	env->info->status = status;
	env->info->rip = rip;
	transfer_cut(env);
	flow_release(env);
	cpu_forget(env);
	env_set_state(env, EXO_ENV_ENDED);
	creator = env_by_id(env->creator);
	if (creator && env_state(creator) != EXO_ENV_ENDED)
		env_event(creator, EXO_EVENT_CHILD);
	if (current)
		cpu_dispatch();
}

/* --- destruction ------------------------------------------------------------------------------------ */

/*
 * One bounded step; true when it is no more. The table goes first, then the space, which nothing is mapped in
 * by then.
 */
static bool destroy_step(struct env *env)
{
	exo_pfn_t self = env->self, disp = env->disp_pfn, arg = env->arg_pfn;
	unsigned budget = EXO_UNWIND_MAX;

	if (!env->cleared && !cap_clear(env, &budget))
		return false;
	env->cleared = true;
	if (!space_unhold(env->root, &budget))
		return false;
	account_unuse(env->account);
	env_table[env->index] = NULL;
	env_set_state(env, EXO_ENV_NONE);
	frame_retype(disp, EXO_FRAME_OWNED, 0);
	frame_retype(arg, EXO_FRAME_OWNED, 0);
	arch_zero_frame(self);
	frame_retype(self, EXO_FRAME_OWNED, 0);
	return true;
}

/* --- calls ------------------------------------------------------------------------------------------ */

/* The environment behind a capability of the caller's; NULL and the error. */
static struct env *env_need(exo_cap_t handle, unsigned rights, int64_t *error)
{
	struct exo_cap *cap = cap_need(current_env(), handle, EXO_TYPE_ENV, rights, error);
	struct env *env;

	if (!cap)
		return NULL;
	env = env_behind(cap);
	if (!env)
		*error = ERR(DEAD);
	return env;
}

int64_t sys_env_create(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env(), *env;
	struct exo_cap *slot, *space, *account = NULL, *frames;
	const struct exo_env_params *argument;
	struct exo_env_params params;
	exo_pfn_t first, pfn[4];
	int64_t error;
	unsigned i;

	slot = cap_free_slot(self, a0);
	if (!slot)
		return ERR(SLOT);
	space = cap_need(self, a1, EXO_TYPE_SPACE, EXO_RIGHT_WRITE, &error);
	if (!space)
		return error;
	if (a2) {
		account = cap_need(self, a2, EXO_TYPE_ACCOUNT, EXO_RIGHT_CONTROL, &error);
		if (!account)
			return error;
	}
	frames = cap_need(self, a3, EXO_TYPE_FRAME, EXO_RIGHT_WRITE, &error);
	if (!frames)
		return error;
	argument = call_argument(a5, sizeof(params));
	if (!argument || a5 % sizeof(uint64_t) || !cap_frames(frames, a4, 4, &first))
		return ERR(RANGE);
	params = *argument;
	if (params.cpu >= info->cpus)
		return ERR(INVAL);
	for (i = 0; i < 4; i++) {
		pfn[i] = first + i;
		if (!frame_retypable(pfn[i]))
			return ERR(BUSY);
	}
	if (!space_holdable(space->object))
		return ERR(FULL);
	env = env_make(pfn, space->object, account ? account->object : self->account, &params, self->id);
	if (!env)
		return ERR(FULL);
	return (int64_t)cap_fill(slot, EXO_TYPE_ENV, EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL, 0,
	    (uint32_t)(env->id >> 32), env->self, NULL, (uint32_t)a0);
}

int64_t sys_env_start(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *env;
	int64_t error;

	(void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	env = env_need(a0, EXO_RIGHT_CONTROL, &error);
	if (!env)
		return error;
	if (env_state(env) != EXO_ENV_MADE)
		return ERR(STATE);
	env->reasons |= EXO_RUN_START;
	cpu_ready(env);
	return 0;
}

int64_t sys_env_read(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	uint64_t split, pte;
	exo_pfn_t pfn[2];
	struct env *env;
	char *to, *from;
	int64_t error;

	(void)a4, (void)a5;
	env = env_need(a0, EXO_RIGHT_READ, &error);
	if (!env)
		return error;
	to = call_argument(a2, a3);
	if (!to || a1 >= EXO_USER_MAX || a3 > EXO_USER_MAX - a1)
		return ERR(RANGE);
	if (!a3)
		return 0;
	if (!space_lookup(env->root, a1, &pfn[0], &pte) ||
	    !space_lookup(env->root, a1 + a3 - 1, &pfn[1], &pte))
		return ERR(RANGE);
	split = EXO_PAGE_SIZE - a1 % EXO_PAGE_SIZE;
	from = (char *)pfn_to_virt(pfn[0]) + a1 % EXO_PAGE_SIZE;
	if (split > a3)
		split = a3;
	__builtin_memmove(to, from, split);
	__builtin_memmove(to + split, pfn_to_virt(pfn[1]), a3 - split);
	return (int64_t)a3;
}

int64_t sys_env_exit(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	(void)a2, (void)a3, (void)a4, (void)a5;
	if (a0 > 31 && a0 != EXO_CAUSE_EXIT)
		return ERR(INVAL);
	env_end(current_env(), (uint32_t)a0, a1, 0);
	return 0;
}

int64_t sys_env_destroy(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *env;
	int64_t error;

	(void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	env = env_need(a0, EXO_RIGHT_CONTROL, &error);
	if (!env)
		return error;
	if (env == current_env())
		return ERR(STATE);
	env_end(env, EXO_CAUSE_DESTROYED, 0, 0);
	return destroy_step(env) ? 0 : ERR(AGAIN);
}

int64_t sys_env_fsbase(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env();

	(void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	if (a0 >= EXO_USER_MAX)
		return ERR(INVAL);
	self->arch.fs_base = a0;
	arch_env_load(self);
	return 0;
}

int64_t sys_entry_make(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env(), *env = self;
	struct exo_cap *slot = cap_free_slot(self, a0);
	int64_t error;

	(void)a3, (void)a4, (void)a5;
	if (!slot)
		return ERR(SLOT);
	if (a1) {
		env = env_need(a1, EXO_RIGHT_CONTROL, &error);
		if (!env)
			return error;
	}
	return (int64_t)cap_fill(slot, EXO_TYPE_ENTRY, EXO_RIGHT_EXEC, a2, (uint32_t)(env->id >> 32),
	    env->self, NULL, (uint32_t)a0);
}
