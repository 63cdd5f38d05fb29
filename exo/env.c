/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Environments: made from four frames, started once, ended once, destroyed in steps.
 *
 * An environment is a frame with struct env, its dispatcher page, its argument frame and the first frame of
 * its capability table; beside these it holds a space. It is known to others by capabilities of type ENV and
 * ENTRY, which keep the number of its creation: they reach nothing once it is destroyed, whatever its frames
 * are used for then.
 *
 * Ending is one step and cannot fail: it never runs again, its transfers are cut, its flows receive nothing more, its
 * slices are unbound, its creator told. What it holds stays readable for whoever looks into the cause, until somebody
 * with CONTROL, or who owns its frames (reclaim.c), destroys it: its capabilities, then its hold on the
 * space (whose tables are taken apart with the last hold), then its own frames. Each step is bounded
 * (ERR(AGAIN)); the place reached is kept in the environment itself.
 */
#include <exo/trace.h>
#include "exo/kernel.h"

static struct env **env_table;		/* [k] by index */
static uint32_t *env_free;		/* [k] by index: the next free one */
static uint32_t env_first;		/* [k] the first free one; 0: none */
static uint32_t env_made;		/* [k] environments ever made */

uint32_t env_entries(uint32_t frames)
{
	uint32_t entries = ENVS_MIN + frames / ENV_FRAMES;

	return entries < ENVS_MAX ? entries : ENVS_MAX;
}

static void index_put(uint32_t index)
{
	env_free[index] = env_first;
	env_first = index;
}

void env_init(void)
{
	uint32_t entries = info->envs.entries, i;
	uint32_t bytes = entries * (uint32_t)(sizeof(*env_table) + sizeof(*env_free));

	env_table = frame_boot_memory(bytes);
	env_free = (uint32_t *)(env_table + entries);
	env_first = env_made = 0;
	for (i = entries - 1; i > 0; i--)
		index_put(i);
}

struct env *env_by_id(exo_env_id_t id)
{
	uint32_t index = (uint32_t)id;
	struct env *env = index < info->envs.entries ? env_table[index] : NULL;

	return env && env->id == id ? env : NULL;
}

/* An index is used anew only when no frame names its last owner any more. */
void env_index_settle(uint32_t index)
{
	if (index && !env_table[index] && !info_env[index].frames)
		index_put(index);
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

struct env *env_make(exo_pfn_t first, exo_pfn_t root, exo_pfn_t account,
    const struct exo_env_params *params, exo_env_id_t creator)
{
	static const uint8_t states[3] = { EXO_FRAME_ENV, EXO_FRAME_DISP, EXO_FRAME_ARG };
	struct env *env = pfn_to_virt(first);
	uint32_t index = env_first;
	unsigned i;

	assert_locked();
	if (!index || env_made == UINT32_MAX)
		return NULL;
	env_first = env_free[index];
	for (i = 0; i < COUNT_OF(states); i++) {
		arch_zero_frame(first + i);
		frame_retype(first + i, states[i], first);
	}
	env_table[index] = env;
	env->self = first;
	env->index = index;
	env->id = (exo_env_id_t)++env_made << 32 | index;
	env->disp_pfn = first + 1;
	env->disp = pfn_to_virt(first + 1);
	env->arch.disp = env->arch.direct = (uint64_t)(uintptr_t)env->disp;
	env->arch.calls = EXO_CALL_COUNT;
	env->arg_pfn = first + 2;
	env->arg = pfn_to_virt(first + 2);
	env->root = root;
	env->account = account;
	env->creator = creator;
	env->sleep_until = env->deadline = env->call_deadline = env->timed_at = EXO_NEVER;
	env->cpu = (uint32_t)params->cpu;
	make_disp(env, params->run_entry);
	cap_table_add(env, first + 3);
	space_hold(root);
	account_use(env);

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

	__atomic_fetch_or(&disp->pending, event, __ATOMIC_RELAXED);
	__atomic_fetch_add(&disp->events, 1, __ATOMIC_SEQ_CST);
	smp_wake(env);
}

void env_lost(struct env *env, const struct exo_loss *loss)
{
	struct exo_abort *abort = &env->disp->abort;
	uint64_t number = read_once(abort->lost);

	abort->loss[number % EXO_LOSSES] = *loss;
	__atomic_store_n(&abort->lost, number + 1, __ATOMIC_RELEASE);
	if (env_state(env) != EXO_ENV_ENDED)
		env_event(env, EXO_EVENT_LOST);
}

void env_leave(struct env *env)
{
	transfer_cut(env);
	cpu_forget(env);
	env_set_state(env, EXO_ENV_ENDED);
	trace_event(env, ~0u, EXO_TRACE_END, env->info->cause, env->info->status, env->info->rip, 0);
}

void env_end(struct env *env, uint32_t cause, uint64_t status, uint64_t rip)
{
	bool current = env == here.current;
	struct env *creator;

	assert_locked();
	if (env_state(env) == EXO_ENV_ENDED)
		return;
	env->info->cause = cause;
	env->info->status = status;
	env->info->rip = rip;
	(void)cpu_ask(cpus[env->cpu], ASK_LEAVE, env, NULL);
	console_leave(env);
	interrupts_leave(env);
	trace_end(env);
	creator = env_by_id(env->creator);
	if (creator && env_state(creator) != EXO_ENV_ENDED)
		env_event(creator, EXO_EVENT_CHILD);
	if (current) {
		kernel_unlock();
		cpu_dispatch();
	}
}

/* The environment that a capability names, ended or not. */
static struct env *env_need(const struct env *env, exo_cap_t handle, unsigned rights, int64_t *error)
{
	struct exo_cap *cap = cap_need(env, handle, EXO_TYPE_ENV, rights, error);
	struct env *found = cap ? env_behind(cap) : NULL;

	if (cap && !found)
		*error = ERR(DEAD);
	return found;
}

struct env *env_need_living(const struct env *env, exo_cap_t handle, unsigned rights, int64_t *error)
{
	struct env *found = env_need(env, handle, rights, error);

	if (!found || env_state(found) != EXO_ENV_ENDED)
		return found;
	*error = ERR(DEAD);
	return NULL;
}

/* --- destruction ------------------------------------------------------------------------------------ */

/*
 * One bounded step; true when it is no more. The table goes first, then the space, which nothing is mapped in
 * by then.
 *
 * Why no list of wakeups has it when it is zeroed: wake_posted is set before it is put into one, while it is passed
 * from CPU to CPU, and until it has been taken out. Who sets it has found it by a capability, and its state was another
 * than ENDED (exo_wake, without a lock); or by what was bound to it: console, lines, predicate and transfers until its
 * end, flows and disks until cap_clear. So nobody begins that behind both, and smp_quiet waits for who has begun: his
 * answer is a release; and a CPU that idles, and is not asked, says that it does not, and fences, before it looks for
 * names, while here what it looks at is written, and fenced, before that is read. If wake_posted is clear then, it stays
 * so.
 */
bool env_destroy_some(struct env *env, unsigned *budget)
{
	exo_pfn_t self = env->self, disp = env->disp_pfn, arg = env->arg_pfn;
	uint32_t index;

	if (!env->cleared && !cap_clear(env, budget))
		return false;
	env->cleared = true;
	if (!env->quiet)
		smp_quiet();
	if (__atomic_load_n(&env->wake_posted, __ATOMIC_SEQ_CST))
		return false;
	env->quiet = true;	/* and nobody posts it any more */
	if (!space_unhold(env->root, budget))
		return false;
	index = env->index;
	info_frame[self].state = EXO_FRAME_KERNEL;	/* nobody finds it from here on ... */
	smp_quiet();
	env_set_state(env, EXO_ENV_NONE);		/* ... or has it in hand: not before (E4) */
	account_charge(pfn_to_virt(env->account), EXO_SHARE_ENVS, -1);
	account_unuse(env);
	frame_retype(disp, EXO_FRAME_OWNED, 0);
	frame_retype(arg, EXO_FRAME_OWNED, 0);
	arch_zero_frame(self);
	info_frame[self].state = EXO_FRAME_ENV;		/* ... and it has no number any more */
	frame_retype(self, EXO_FRAME_OWNED, 0);
	env_table[index] = NULL;
	env_index_settle(index);
	return true;
}

/* --- calls ------------------------------------------------------------------------------------------ */

int64_t sys_env_create(CALL_ARGS)
{
	struct env *self = current_env(), *env;
	struct exo_cap *slot, *space, *account = NULL;
	const struct exo_env_params *argument;
	struct exo_env_params params;
	exo_pfn_t first, charged;
	int64_t error;

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
	error = cap_need_retypable(self, a3, a4, ENV_MADE_OF, &first);
	if (error)
		return error;
	argument = call_argument(a5, sizeof(params));
	if (!argument || a5 % sizeof(uint64_t))
		return ERR(RANGE);
	params = *argument;
	if (params.cpu >= info->cpus)
		return ERR(INVAL);
	if (cpus[params.cpu]->info->state != EXO_CPU_RUNS)
		return ERR(CPU);
	if (!space_holdable(space->object))
		return ERR(FULL);
	charged = account ? account->object : self->account;
	error = account_take_kept(pfn_to_virt(charged), EXO_SHARE_ENVS, 1);
	if (error)
		return error;
	env = env_make(first, space->object, charged, &params, self->id);
	if (!env) {
		account_charge(pfn_to_virt(charged), EXO_SHARE_ENVS, -1);
		return ERR(FULL);
	}
	return (int64_t)cap_fill(slot, EXO_TYPE_ENV, ENV_RIGHTS, 0,
	    (uint32_t)(env->id >> 32), env->self, NULL, (uint32_t)a0);
}

int64_t sys_env_start(CALL_ARGS)
{
	struct env *env;
	int64_t error;

	env = env_need(current_env(), a0, EXO_RIGHT_CONTROL, &error);
	if (!env)
		return error;
	if (env_state(env) != EXO_ENV_MADE)
		return ERR(STATE);
	(void)cpu_ask(cpus[env->cpu], ASK_START, env, NULL);
	return 0;
}

/*
 * Where bytes of an environment's memory lie, of at most two pages: all of them, or none, with an error. The
 * offset says where the caller's own are.
 */
static int64_t env_memory(const struct env *env, uint64_t va, uint64_t offset, uint64_t bytes, char *at[2],
    char **own)
{
	uint64_t pte;
	exo_pfn_t pfn;
	unsigned i;

	*own = call_argument(offset, bytes);
	if (!*own || va >= EXO_USER_MAX || bytes > EXO_USER_MAX - va)
		return ERR(RANGE);
	for (i = 0; i < 2 && bytes; i++) {
		if (!space_lookup(env->root, va + (i ? bytes - 1 : 0), &pfn, &pte) || !frame_is_memory(pfn))
			return ERR(RANGE);
		at[i] = (char *)pfn_to_virt(pfn) + (i ? 0 : va % EXO_PAGE_SIZE);
	}
	return 0;
}

/* How many of `bytes` from an address on lie in its page. */
static uint64_t in_page(uint64_t va, uint64_t bytes)
{
	uint64_t left = EXO_PAGE_SIZE - va % EXO_PAGE_SIZE;

	return bytes < left ? bytes : left;
}

/* Between the argument frame and another's memory: to it, by CONTROL, if it could write there itself; or from it, by READ. */
static int64_t copy(uint64_t handle, uint64_t va, uint64_t offset, uint64_t bytes, unsigned right)
{
	uint64_t split = in_page(va, bytes), last = va + bytes - 1;
	char *own, *at[2];
	struct env *env;
	int64_t error;

	env = env_need(current_env(), handle, right, &error);
	if (!env)
		return error;
	error = env_memory(env, va, offset, bytes, at, &own);
	if (error || !bytes)
		return error;
	if (right == EXO_RIGHT_READ) {
		__builtin_memmove(own, at[0], split);
		__builtin_memmove(own + split, at[1], bytes - split);
		return (int64_t)bytes;
	}
	error = space_writable(env->root, va);
	if (!error)
		error = space_writable(env->root, last);
	if (error)
		return error;
	__builtin_memmove(at[0], own, split);
	__builtin_memmove(at[1], own + split, bytes - split);
	space_written(env->root, va);
	space_written(env->root, last);
	return (int64_t)bytes;
}

int64_t sys_env_read(CALL_ARGS)
{
	return copy(a0, a1, a2, a3, EXO_RIGHT_READ);
}

int64_t sys_env_write(CALL_ARGS)
{
	return copy(a0, a1, a2, a3, EXO_RIGHT_CONTROL);
}

int64_t sys_env_exit(CALL_ARGS)
{
	if (a0 > 31 && a0 != EXO_CAUSE_EXIT)
		return ERR(INVAL);
	env_end(current_env(), (uint32_t)a0, a1, 0);
	return 0;
}

int64_t sys_env_destroy(CALL_ARGS)
{
	unsigned budget = EXO_UNWIND_MAX;
	struct env *env;
	int64_t error;

	env = env_need(current_env(), a0, EXO_RIGHT_CONTROL, &error);
	if (!env)
		return error;
	if (env == current_env())
		return ERR(STATE);
	env_end(env, EXO_CAUSE_DESTROYED, 0, 0);
	return env_destroy_some(env, &budget) ? 0 : ERR(AGAIN);
}

int64_t sys_env_fsbase(CALL_ARGS)
{
	struct env *self = current_env();

	if (a0 >= EXO_USER_MAX)
		return ERR(INVAL);
	self->arch.fs_base = a0;
	arch_env_load(self);
	return 0;
}

int64_t sys_entry_make(CALL_ARGS)
{
	struct env *self = current_env(), *env = self;
	struct exo_cap *slot = cap_free_slot(self, a0), *parent = NULL;
	int64_t error;

	if (!slot)
		return ERR(SLOT);
	if (a1) {
		env = env_need(current_env(), a1, EXO_RIGHT_CONTROL, &error);
		if (!env)
			return error;
		parent = cap_lookup(self, a1);
		error = cap_derivable(parent);
		if (error)
			return error;
	}
	return (int64_t)cap_fill(slot, EXO_TYPE_ENTRY, EXO_RIGHT_EXEC, a2, (uint32_t)(env->id >> 32),
	    env->self, parent, (uint32_t)a0);
}

/* Off its CPU, and on none until it is moved to one. */
static int64_t env_stop(struct env *env)
{
	int64_t error;

	if (env == current_env() || env_state(env) == EXO_ENV_MADE)
		return ERR(STATE);
	if (env_state(env) == EXO_ENV_STOPPED)
		return 0;
	if (env->caller || env->called)
		return ERR(BUSY);
	env->cpu_next = env->cpu;
	error = cpu_ask(cpus[env->cpu], ASK_TAKE, env, NULL);
	if (error)
		return error;
	env->stopped = env_state(env);
	env_set_state(env, EXO_ENV_STOPPED);
	return 0;
}

/* It leaves the CPU that it was on only now, and that is asked: until then it counts as one of its own there. */
static int64_t env_go_on(struct env *env, uint32_t cpu)
{
	env->cpu_next = cpu;
	if (env->cpu != cpu)
		(void)cpu_ask(cpus[env->cpu], ASK_TAKE, env, NULL);
	env_set_state(env, env->stopped);
	return cpu_ask(cpus[cpu], ASK_ARRIVE, env, NULL);
}

int64_t sys_env_move(CALL_ARGS)
{
	struct env *self = current_env(), *env = self;
	exo_time_t now;
	int64_t error;

	if (a0) {
		env = env_need_living(self, a0, EXO_RIGHT_CONTROL, &error);
		if (!env)
			return error;
	}
	if (a1 == EXO_CPU_NONE)
		return env_stop(env);
	if (a1 >= info->cpus || cpus[a1]->info->state != EXO_CPU_RUNS)
		return ERR(CPU);
	if (env_state(env) == EXO_ENV_STOPPED)
		return env_go_on(env, (uint32_t)a1);
	if (env->cpu == a1)
		return 0;
	if (env->serving || env->called)
		return ERR(BUSY);
	now = arch_now();
	if (!smp_movable(cpus[a1], now) || !smp_movable(cpus[env->cpu], now))
		return ERR(AGAIN);
	env->cpu_next = (uint32_t)a1;
	if (env == self) {
		cpu_depart(env);
		(void)cpu_ask(cpus[a1], ASK_ARRIVE, env, NULL);
		kernel_unlock();
		cpu_dispatch();
	}
	error = cpu_ask(cpus[env->cpu], ASK_TAKE, env, NULL);
	if (error)
		return error;
	return cpu_ask(cpus[a1], ASK_ARRIVE, env, NULL);
}

int64_t sys_wake(CALL_ARGS)
{
	const struct exo_cap *cap = cap_lookup(current_env(), a0);
	struct env *env;

	if (!cap)
		return ERR(CAP);
	if (cap->type != EXO_TYPE_ENV && cap->type != EXO_TYPE_ENTRY)
		return ERR(TYPE);
	if (!(cap->rights & (cap->type == EXO_TYPE_ENV ? EXO_RIGHT_WAKE : EXO_RIGHT_EXEC)))
		return ERR(RIGHTS);
	env = env_behind(cap);
	if (!cap_still(cap, a0))
		return ERR(CAP);
	if (!env || env_state(env) == EXO_ENV_ENDED)
		return ERR(DEAD);
	env_event(env, EXO_EVENT_WAKE);
	return 0;
}
