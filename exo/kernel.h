/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own structures and the functions that its files offer each other.
 *
 * One file per resource; a symbol's prefix names its file. There is no heap: every structure here lies in a frame that
 * an application gave up (struct env, flow, account), beside a frame (struct frame), in a capability-table frame
 * (struct exo_cap), or in a table made at boot.
 *
 * Everything runs with interrupts off on the CPU's one stack and ends in bounded time. Who may touch what:
 *   [k]  under the kernel lock (smp.c): capabilities, frames, spaces, accounts, environments as objects; whoever holds it
 *        may wait for another CPU, and whoever waits for it serves what others ask meanwhile
 *   [d]  under the device's lock: flows, rings and the device; may be taken while holding [k], never the other way round;
 *        nobody waits for another CPU while holding it
 *   [c]  this CPU only, without a lock: who runs here, deadlines, transfers; other CPUs ask for changes (cpu_ask)
 *   [a]  atomic words
 * Written [kc]: written under the kernel lock by the CPU that it belongs to; either alone is enough to read it.
 * Exceptions, transfers, yield, sleep, slice switches and wakeups take no lock that CPUs share.
 */
#ifndef EXO_KERNEL_H
#define EXO_KERNEL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <exo/types.h>
#include <exo/error.h>
#include <exo/call.h>
#include <exo/cap.h>
#include <exo/disp.h>
#include <exo/space.h>
#include <exo/flow.h>
#include <exo/info.h>
#include <exo/start.h>
#include <exo/account.h>
#include "arch/arch.h"

#define ERR(name)	(-(int64_t)EXO_E##name)
#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define rarely		__attribute__((cold))	/* off the ways that are run all the time: small, not fast */
#define out_of_line	__attribute__((noinline))	/* a way that would spoil the registers of a faster one */

/* Read a word that others may write at the same time, once. */
#define read_once(lvalue)		(*(const volatile __typeof__(lvalue) *)&(lvalue))
#define write_once(lvalue, value)	(*(volatile __typeof__(lvalue) *)&(lvalue) = (value))

/* --- panic.c: broken kernel invariants stop the machine; nothing an application supplies gets here -------------- */

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));	/* %s %u %x %p, l, widths */
void kvprintf(const char *format, va_list args);
#define TEXT_OF(number)		TEXT_OF_IT(number)
#define TEXT_OF_IT(number)	#number
#define kassert(condition) \
	((condition) ? (void)0 : kassert_failed(__FILE__ ":" TEXT_OF(__LINE__) ": " #condition))
_Noreturn void kassert_failed(const char *what);

/* --- boot.c: what the port found, in one form ------------------------------------------------------------------ */

#define BOOT_RANGES_MAX	64

struct boot_range {
	paddr_t start, end;	/* bytes, end exclusive */
};

struct boot {
	struct boot_range memory[BOOT_RANGES_MAX];	/* usable memory, sorted, disjoint, page-aligned */
	unsigned memory_count;
	struct boot_range reserved[BOOT_RANGES_MAX];	/* within it: kernel image, modules, firmware tables */
	unsigned reserved_count;
	struct boot_range module;	/* the first boot module; end == start: none */
	char cmdline[512];
	const char *loader;	/* "multiboot2", "pvh" */
};
extern struct boot boot;

/* The start fails: say why, and stop. */
_Noreturn void boot_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The value of the next NAME=VALUE in boot.cmdline behind a place in it, or from its start (NULL); NULL: there is none. */
const char *boot_value(const char *name, const char *behind);
/* A number, decimal or hexadecimal with 0x; returns what is behind it. */
const char *boot_number(const char *at, uint64_t *value);
/* The value of the last NAME=NUMBER in boot.cmdline. */
uint64_t boot_option(const char *name, uint64_t otherwise);

/* An argument that is not known fails. */
void boot_options_check(void);

/* Entered by the port once, on the boot CPU, with paging, exceptions and the console ready. */
_Noreturn void kernel_main(void);

/* --- info.c: the exposed pages --------------------------------------------------------------------------------- */

extern struct exo_info *info;			/* frame 0 of the run; before frame_init a stand-in, copied then */
extern struct exo_env_info *info_env;		/* tables behind it */
extern struct exo_cpu_info *info_cpu;
extern struct exo_slice_info *info_slice;
extern struct exo_flow_info *info_flow;
extern struct exo_frame_info *info_frame;	/* by frame number */

/* Boot, for frame_init: how many frames the run takes for a machine with `frames` frames / here it is, zeroed. */
uint32_t info_frames(uint32_t frames);
void info_place(exo_pfn_t first);
/* The whole run, for the capability that names it. */
extern exo_pfn_t info_first;
extern uint32_t info_count;

/* --- frame.c: physical frames ---------------------------------------------------------------------------------- */
/*
 * F1 a frame is FREE iff its bit in the free map is set, and then no capability covers it and it is neither mapped nor
 *    pinned
 * F2 holds == number of frame capabilities that cover it; split ones do as long as they hold it (split.c)
 * F3 maps == number of page-table entries that map it; > 0 only in states that FRAME_READABLE names, or DEVICE, and then
 *    holds > 0,
 *    or a split capability gave it up while it was mapped: then it is freed when the last entry goes
 * F4 an OWNED frame with holds == 0 is the kernel's from boot on, or pinned (limbo): freed when the last pin goes
 */
struct frame {			/* the kernel's part; the rest is info_frame[pfn] */
	uint32_t maps;		/* with FRAME_LEFT: a split capability gave it up while it was mapped, perhaps by that one */
	uint32_t object;	/* TABLE: root frame of its space; LINKS: see space.c; others: owning object */
	uint32_t account;	/* frame of the account that is charged; 0: none */
	uint16_t pins;		/* reasons why it must not change hands; root tables: see space.c */
	uint8_t level;		/* TABLE: 1..4, and see spaces.h; CAPS: which of the env's table it is */
	uint8_t flags;		/* TABLE: see spaces.h */
};
extern struct frame *frame_table;		/* [k] */
#define FRAME_LEFT	(1U << 31)
extern uint32_t frames_left;			/* how many have it */

/* Sets of states: frames that may be mapped at all / with the right to write or execute; that a kernel object lies in; that
 * the kernel, devices and downloaded programs may read and write. */
#define FRAME_STATE(name)	(1U << EXO_FRAME_##name)
#define FRAME_WRITABLE	(FRAME_STATE(OWNED) | FRAME_STATE(DISP) | FRAME_STATE(ARG) | FRAME_STATE(RING))
#define FRAME_READABLE	(FRAME_WRITABLE | FRAME_STATE(TABLE) | FRAME_STATE(CAPS) | FRAME_STATE(INFO) | \
	FRAME_STATE(ACCOUNT) | FRAME_STATE(VOLUME))
#define FRAME_OBJECTS	(FRAME_STATE(TABLE) | FRAME_STATE(LINKS) | FRAME_STATE(CAPS) | FRAME_STATE(DISP) | \
	FRAME_STATE(ARG) | FRAME_STATE(ENV) | FRAME_STATE(FLOW) | FRAME_STATE(RING) | FRAME_STATE(ACCOUNT) | \
	FRAME_STATE(CODE) | FRAME_STATE(SPLIT) | FRAME_STATE(VOLUME))
#define FRAME_ORDINARY	(FRAME_STATE(OWNED) | FRAME_STATE(RING))
static inline bool frame_in(exo_pfn_t pfn, uint32_t states) { return states >> info_frame[pfn].state & 1; }

/* Frames for so many bytes. */
static inline uint32_t frames_for(uint64_t bytes) { return (uint32_t)((bytes + EXO_PAGE_SIZE - 1) >> EXO_PAGE_SHIFT); }

/* Boot: take all of boot.memory over, minus boot.reserved; place the tables; must be called first. */
void frame_init(void);
/* Boot: a contiguous run for the kernel itself, zeroed, uncharged; stops with a clear text when memory is too small. */
exo_pfn_t frame_boot_take(uint32_t count, uint8_t state);
void *frame_boot_memory(uint64_t bytes);
bool frame_valid(uint64_t pfn);			/* within the table and not ABSENT */
bool frame_is_free(exo_pfn_t pfn);
/* Memory, not a device: may the kernel itself read it? */
static inline bool frame_is_memory(exo_pfn_t pfn) { return info_frame[pfn].state != EXO_FRAME_DEVICE; }
/* The lowest free run of `count`, among the first FRAME_RUNS_MAX free runs; EXO_PFN_ANY when there is none. */
#define FRAME_RUNS_MAX	64
exo_pfn_t frame_find(uint32_t count);
/* FREE -> OWNED by env, zeroed, charged. The caller has checked. */
void frame_claim(exo_pfn_t pfn, struct env *env);
/* holds 0, pins 0, maps 0 -> FREE, discharged. */
void frame_release(exo_pfn_t pfn);
/* An entry is gone that mapped it, while it has FRAME_LEFT: without any, it has that no more, and is FREE if nothing keeps
 * it. */
void frame_left(exo_pfn_t pfn);
/* An entry that maps it is counted no more. */
static inline void frame_unmap(exo_pfn_t pfn)
{
	if (unlikely((int32_t)--frame_table[pfn].maps < 0))
		frame_left(pfn);
}
/* Are frames OWNED, unmapped and unpinned? */
bool frames_retypable(exo_pfn_t first, uint32_t count);
/* Such a frame -> a kernel object's state / back to OWNED; then FREE if no capability covers it. */
void frame_retype(exo_pfn_t pfn, uint8_t state, uint32_t object);
/* A device may use it: it is not FREE before the last pin goes, whoever lets go of it. */
void frame_pin(exo_pfn_t pfn);
void frame_unpin(exo_pfn_t pfn);
/* For cap.c: a capability over the run comes / goes. Cost: a few instructions a frame, the caller bounds them. */
bool frame_holdable(exo_pfn_t first, uint32_t count);	/* no count of holds is full */
void frame_hold(exo_pfn_t first, uint32_t count);
void frame_unhold(exo_pfn_t first, uint32_t count);	/* none is mapped if this was its last hold */
/* Boot: frames that are no memory but a device's, [first, first + count), below the machine's last frame; false: they are
 * not, or something else is there. */
bool frame_device(exo_pfn_t first, uint32_t count);
/* Would the run's last hold go although a kernel object lies in it? Rings do not count: they go with the capability. */
bool frame_busy(exo_pfn_t first, uint32_t count);

/* --- account.c ------------------------------------------------------------------------------------------------- */
/*
 * A1 share[k].used == what is charged to it or to an account below it; used <= limit, but for charges that cannot be
 *    refused (account_charge)
 * A2 users == environments charged to it + accounts right below it; holds == ACCOUNT capabilities
 * A3 at most ACCOUNT_DEPTH_MAX accounts lie one below the other
 * A4 share[k].promised == sum of the guarantees right below; <= guaranteed
 * A5 info->frames_promised == sum of all frame credits <= info->frames_free, and the same for slices; a credit is at most
 *    guaranteed - used
 * A6 all frames of a capability are charged to one account; so are the slices of one
 * A7 kept[k] == what is used of a kind of ACCOUNT_KEPT and charged to the account itself, and for each account right below
 *    the larger of its kept[k] and its guarantee. It grows to no more than the limit; the root's is all there is
 */
typedef uint64_t cap_ref_t;	/* a capability's place, see cap.c */

#define ACCOUNT_DEPTH_MAX	8
#define ACCOUNT_ASKED		2	/* kinds that can be demanded: frames and slices, the first ones */
#define ACCOUNT_KEPT		(EXO_SHARES - ACCOUNT_ASKED)	/* kinds behind these: what is guaranteed of them is kept free */

/* How far exo_repossess has come. */
struct account_force {
	uint8_t pass;
	bool up;		/* all below `at` has been cut */
	bool found;		/* something was taken since pass 0 began */
	uint32_t env;		/* index of the environment whose table is searched ... */
	uint32_t slot;		/* ... down from here */
	uint32_t generation;	/* of the capability there that is being shortened; 0: none is */
	exo_env_id_t whose;	/* the environment it is in: an index is used again */
	uint64_t to;		/* its range and that of all below is to end here */
	cap_ref_t at;		/* how far that has come */
	exo_time_t until;	/* nothing is derived from what is charged to it before; 0: force was not begun */
};

struct account {		/* a frame of state ACCOUNT; [k] */
	struct exo_account view;	/* first: readable by whoever maps the frame */
	exo_pfn_t self, parent;	/* parent 0: root */
	uint32_t users;		/* environments and accounts below that name it */
	uint32_t holds;		/* capabilities */
	exo_pfn_t dead_next;	/* list of those that nothing names any more */
	bool dead;
	struct env *agent;	/* first of the environments charged to it, in order of creation: told of demands */
	struct env *agent_last;
	/* demand.c */
	uint32_t kept[ACCOUNT_KEPT];	/* of the machine's tables: see A7 */
	uint32_t due[ACCOUNT_ASKED];	/* credits and what is demanded, for it and all below */
	exo_pfn_t demand_on[EXO_DEMANDS_MAX];	/* accounts that owe it; 0: none */
	exo_pfn_t demander;	/* account that a demand on it is for; 0: none */
	exo_env_id_t asked;	/* the agent that was told, and its CPU time then */
	uint64_t asked_ns;
	struct account_force force;
};
static inline struct account *account_at(exo_pfn_t pfn)
{
	return pfn ? pfn_to_virt(pfn) : NULL;
}
/* Boot: make the root account, guaranteed all there is; returns its frame. */
exo_pfn_t account_root(void);
/* Charge `count` of a kind to it and all above, if no limit is passed. */
void account_untake(struct account *account, struct account *end, unsigned kind, uint32_t count);
static inline bool account_take(struct account *account, unsigned kind, uint32_t count)
{
	struct account *one = account;
	uint64_t used;

	for (;;) {
		used = (uint64_t)one->view.share[kind].used + count;
		if (unlikely(used > one->view.share[kind].limit)) {
			account_untake(account, one, kind, count);
			return false;
		}
		one->view.share[kind].used = (uint32_t)used;
		if (likely(!one->parent))
			return true;
		one = pfn_to_virt(one->parent);
	}
}
void account_charge(struct account *account, unsigned kind, int32_t count);	/* and all above, whatever the limits */
/* Charge `count` of a kind that is kept: 0, ERR(QUOTA) what is left below a limit is guaranteed to others, or ERR(FULL) what
 * is left in the machine. */
int64_t account_take_kept(struct account *account, unsigned kind, uint32_t count);
/* An environment belongs to it from now on / no more. With the last user, hold and charge its frame goes back. */
void account_use(struct env *env);
void account_unuse(struct env *env);
/* Is one account the other, or below it? */
bool account_below(const struct account *account, const struct account *above);
/* The first account that both lie below. */
struct account *account_above(struct account *a, const struct account *b);
void account_hold(exo_pfn_t pfn);
void account_unhold(exo_pfn_t pfn);

/* --- demand.c: visible revocation, and abort ------------------------------------------------------------------------ */

extern uint32_t demands;		/* pending ones */
extern uint32_t slices_promised;	/* sum of the credits; frames' is info->frames_promised */
/* Take `least` to `count`, which are free, of what can be demanded: how many, or ERR(FULL) they are promised to others,
 * ERR(QUOTA). demand_take: while some are promised. */
int64_t demand_take(struct account *account, unsigned kind, uint32_t least, uint32_t count);
static inline int64_t account_take_asked(struct account *account, unsigned kind, uint32_t least, uint32_t count)
{
	if (unlikely(kind == EXO_SHARE_FRAMES ? info->frames_promised : slices_promised))
		return demand_take(account, kind, least, count);
	return account_take(account, kind, count) ? count : ERR(QUOTA);
}
/* The account holds so much less of a kind: whose demand it meets. */
void demand_given(struct account *account, unsigned kind, uint32_t count);
/* Its guarantees have changed. */
void demand_reconsider(struct account *account);
/* An environment is charged to the account no more. */
void demand_forget(struct account *account, const struct env *env);
/* Of a pending demand's kind, how much may still be taken from what is charged to `from`, the account that it is on or
 * one below. */
uint32_t demand_allowed(const struct account *on, const struct account *from);
/* So much of it is not asked for any more; at 0 it ends. */
void demand_lessen(struct account *on, uint32_t count);
/* It is over: met, or dropped. */
void demand_end(struct account *on, bool met);
static inline unsigned demand_kind(const struct account *on)
{
	return on->view.demand_what == EXO_TYPE_FRAME ? EXO_SHARE_FRAMES : EXO_SHARE_SLICES;
}
/* Taking by force ends: what a capability was about to lose, it keeps. */
void repossess_leave(struct account *on);
/* Is something being taken by force from the account, or one above? Then nothing is derived from what it holds. */
extern uint32_t demands_forced;
bool demand_frozen(const struct account *account);

/* --- reclaim.c ----------------------------------------------------------------------------------------------------- */

/* Take apart the kernel object that a frame is part of, a step: 0 it is ordinary memory, or free; ERR(AGAIN), ERR(BUSY) it
 * cannot be, or the caller lives in it. */
int64_t reclaim_some(exo_pfn_t pfn, unsigned *budget);

/* --- cap.c: capability tables and derivation -------------------------------------------------------------------- */
/*
 * A capability's place: frame number << 6 | index; 0: none. It is the slot's physical address / 64.
 * C1 a slot is in its parent's list of children iff parent != 0; the lists are doubly linked
 * C2 a child's range lies in its parent's, its rights are a subset; objects made below an object (accounts, flows,
 *    entries of an environment) differ from their parent's
 * C3 a slot of type NONE has no links
 * C4 bound: FRAME: head of the ring of page-table entries made through it. ENTRY: by what handle its owner holds
 *    the account that it is open to (entry.c). Others: 0
 * C5 at most CAP_DEPTH_MAX capabilities are derived one from the other
 * C6 rights of type FRAME are READ, WRITE and EXEC at most: the same bits as EXO_MAP_*; or, without WRITE, RESTORE: split
 * C7 `object` of type FRAME: how many frames behind its end it is about to lose: still held and perhaps mapped, but it does
 *    not cover them any more (repossess.c); of a split one that stands in its record: cap_losing (splits.h)
 */
#define CAP_DEPTH_MAX	16

/* struct exo_cap.flags */
#define CAP_RINGS	0x01	/* frame: rings or transmit frames were bound through it */
#define CAP_DYING	0x02	/* its deletion has begun: it names nothing any more */
#define CAP_SPLITTING	0x40	/* frame, split: a sibling is being made: nothing is mapped writable ... */
#define CAP_LOWERED	0x80	/* ... and nothing is any more */
#define CAP_REVOKING	0x04	/* revocation has begun: nothing can be derived below it */
#define CAP_TRACE	0x10	/* frame: traces were started through it */
#define CAP_WINDOWS	0x08	/* frame: windows of programs were bound through it */

static inline struct exo_cap *cap_at(cap_ref_t ref)
{
	return ref ? (struct exo_cap *)phys_to_virt(ref << 6) : NULL;
}

static inline cap_ref_t cap_ref(const struct exo_cap *cap)
{
	return (uint64_t)((const char *)cap - arch_phys_base) >> 6;
}

/* Slot of env's table; NULL if the table has no such slot. */
static inline struct exo_cap *cap_slot(const struct env *env, uint32_t slot);
/* The env's capability; NULL if there is none of this generation, or it is being dropped. */
static inline struct exo_cap *cap_lookup(const struct env *env, exo_cap_t handle);
/* The same, of a given type; NULL also if it is another's. For hot ways, which ask cap_need what is wrong. */
static inline struct exo_cap *cap_typed(const struct env *env, exo_cap_t handle, unsigned type);
/* The same with type and rights checked; *error says what is wrong. */
struct exo_cap *cap_need(const struct env *env, exo_cap_t handle, unsigned type, unsigned rights, int64_t *error);
/* The same for a frame capability, with `count` frames from its frame `index` on: *pfn is the first. */
struct exo_cap *cap_need_frames(const struct env *env, exo_cap_t handle, unsigned rights, uint64_t index, uint64_t count,
    exo_pfn_t *pfn, int64_t *error);
/* The same, with WRITE, for frames that can become a kernel object. 0, or what is wrong: as above, or BUSY. */
int64_t cap_need_retypable(const struct env *env, exo_cap_t handle, uint64_t index, uint64_t count, exo_pfn_t *pfn);
/* A free slot of the env's table by number; NULL if in use or absent. */
struct exo_cap *cap_free_slot(const struct env *env, uint64_t slot);
/* Fill a free slot with a capability that has no parent (NULL) / a parent; returns the handle. What it names is counted
 * as held (frame.holds, account.holds, flow_hold ...) here and nowhere else. */
exo_cap_t cap_fill(struct exo_cap *cap, unsigned type, unsigned rights, uint64_t first, uint32_t count, exo_pfn_t object,
    struct exo_cap *parent, uint32_t slot);
/* May something be derived below it? 0, ERR(STATE) it or one above is being revoked, ERR(DEPTH). Ask before cap_fill. */
int64_t cap_derivable(const struct exo_cap *parent);
/* The table that a call names: its own (0), or that of an ENV capability with GRANT; NULL: *error says why not. */
struct env *cap_target(struct env *env, exo_cap_t handle, int64_t *error);
/* Is somebody taking by force from the account that it is charged to? */
bool cap_frozen(const struct exo_cap *cap);
/* An environment other than the caller is about to lose it: say so in its abort record. */
void cap_tell_loss(const struct exo_cap *cap);
/* Drop one capability and its bindings, whatever lies in its frames. 0, or ERR(AGAIN): call again. */
int64_t cap_drop(struct exo_cap *cap);
int64_t cap_drop_some(struct exo_cap *cap, unsigned *budget);
/* The environment whose table it lies in, and its slot there. */
struct env *cap_env(const struct exo_cap *cap, uint32_t *slot);
/*
 * Take it from the budget of a step; false: that is used up, the step ends here. Nothing asks for more than STEP_UNITS_MAX
 * at once, which every call has left for the first: half of EXO_UNWIND_MAX (exo_frame_reclaim) without what finding it takes.
 */
#define STEP_UNITS_MAX	(EXO_UNWIND_MAX / 2 - 5)
static inline bool afford(unsigned *budget, unsigned units)
{
	if (*budget < units)
		return false;
	*budget -= units;
	return true;
}
/* A retypable frame becomes the next frame of env's capability table; env->cap_frames < EXO_CAP_FRAMES_MAX. */
void cap_table_add(struct env *env, exo_pfn_t pfn);
/* A dead env: drop all its capabilities, then its table's frames are OWNED or FREE. False: call again. */
bool cap_clear(struct env *env, unsigned *budget);
/* Frame number of frame `index` of a frame capability, checked for `count`; false if outside. */
bool cap_frames(const struct exo_cap *cap, uint64_t index, uint64_t count, exo_pfn_t *pfn);

struct stale;			/* pages that TLBs must forget; see exo/spaces.h */

/* --- space.c: page tables and reverse links --------------------------------------------------------------------- */

/* Boot, after frame_init. */
void space_init(void);
/* A zeroed, retypable frame becomes the root of a space that nothing holds yet. */
void space_make(exo_pfn_t root);
/* An environment uses the space, or a capability names it / no more: the last one takes it apart. It must not be the
 * one loaded then. space_unhold: false: budget used up, call again. */
bool space_holdable(exo_pfn_t root);
void space_hold(exo_pfn_t root);
bool space_unhold(exo_pfn_t root, unsigned *budget);
/* Take all tables of a space away but its root, whoever uses it. False: budget used up, call again. */
bool space_empty(exo_pfn_t root, unsigned *budget);
/* Boot and kernel use of the same operations that calls reach; errors as there. Level 1 takes three frames. */
int64_t space_link_table(exo_pfn_t root, uint64_t va, unsigned level, exo_pfn_t first);
int64_t space_map(exo_pfn_t root, uint64_t va, struct exo_cap *cap, exo_pfn_t pfn, unsigned flags, uint64_t *old);
/* Cut up to *budget entries bound through a capability, everywhere, also in the TLBs of all CPUs; true when none is
 * left. */
bool space_unbind(struct exo_cap *cap, unsigned *budget);
/* The same for those of its entries only that map a frame of [first, first + count); a large page goes as a whole. For
 * repossession. True: all its entries have been looked at since the first call; those made meanwhile are not, so the
 * caller sees to it that there are none (cap->count excludes the frames already). False: budget used up, call again.
 * A unit of budget is an entry cut or SPACE_SEARCH looked at. */
#define SPACE_SEARCH	16
/* Before the first of these calls: where a search stopped that was not finished is forgotten. */
void space_search_anew(const struct exo_cap *cap);
bool space_unbind_frames(struct exo_cap *cap, exo_pfn_t first, uint32_t count, unsigned *budget);
/* This CPU forgets what it says, or everything and, if nobody here uses it, the space itself (NULL). */
void space_forget(const struct stale *stale);
/* Physical frame and entry behind a user address, by walking the tables; false: not mapped. */
bool space_lookup(exo_pfn_t root, uint64_t va, exo_pfn_t *pfn, uint64_t *pte);
/* Of an address that is mapped: could whoever runs there write to it, if need be by raising the entry's rights? 0 or an
 * error / it has been written to by the kernel, as its pager is to see. */
int64_t space_writable(exo_pfn_t root, uint64_t va);
void space_written(exo_pfn_t root, uint64_t va);

/* --- env.c: environments ----------------------------------------------------------------------------------------- */
/*
 * E1 info_env[index].state is NONE iff no frame of state ENV has this index
 * E2 an env is in the ring of its CPU iff its state is READY; it is in its heap of timed ones iff timed_at is not NEVER
 * E3 T1 and T2 of transfer.c
 * E4 who finds one without the kernel lock looks at its state before he wakes, enters or yields to it; from its end on
 *    that is ENDED until nobody can find it any more, and nobody who has found it has it in hand (smp_quiet)
 * An id's high half is the number of the creation, so no two environments ever share it. A capability of type ENV or
 * ENTRY keeps it in `count`, and reaches nothing once the environment in its frame is another, or none.
 */

/* What whoever makes one may do with it. */
#define ENV_RIGHTS	(EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL | EXO_RIGHT_WAKE)

#define ENVS_MIN	64	/* entries of info_env, for little memory; one more for each ENV_FRAMES frames; 0 is not used */
#define ENVS_MAX	4096
#define ENV_FRAMES	64

/* How an environment goes on when it is given the CPU. */
#define RESUME_RUN	0	/* by a RUN upcall */
#define RESUME_OFF	1	/* by the state in area OFF */
#define RESUME_CALLER	2	/* behind its call, with `answer` */
#define RESUME_TRACED	8	/* with one of these: trace.c wants to know of it */
#define RESUME_MOVING	4	/* with one of these: it has left its last CPU and not come to `cpu` yet */

/* What is known of an environment that serves a transfer. */
#define SERVING_RESTING	1	/* it was asleep when the transfer came, and goes back to it */
#define SERVING_PLAIN	2	/* it runs on its caller's time, and there is no deadline */
#define SERVING		4	/* it serves at all, or is to end, with a reply, what it has served */

/* One transfer that an environment is inside of: whom it serves, whom it waits for. */
#define LEVEL_FIELDS \
	struct env *called;	/* [c] whom we wait for; NULL: nobody */ \
	struct env *caller;	/* [c] whose transfer we serve; NULL: nobody */ \
	exo_time_t deadline;	/* [c] of that wait */ \
	struct arch_message answer;	/* [c] for RESUME_CALLER */ \
	uint32_t depth;		/* [c] transfers above us */ \
	uint8_t serving;	/* [c] SERVING_*; 0 iff caller is NULL and it is the outermost */ \
	uint8_t resume;		/* [c] RESUME_* */

struct level {
	LEVEL_FIELDS
};

/* What it comes back to when the one inside is over. */
struct nest {
	struct level level;
	struct arch_caller caller;
	uint32_t state, off;	/* EXO_ENV_*, EXO_OFF_* then */
};

struct env {			/* a frame of state ENV */
	struct arch_env arch;	/* first: the entry code uses it */
	exo_pfn_t self;		/* own frame */
	uint32_t index;		/* in info_env */
	exo_env_id_t id;
	struct exo_env_info *info;
	struct exo_disp *disp;	/* kernel mapping of the dispatcher page */
	uint8_t *arg;		/* kernel mapping of the argument frame */
	exo_pfn_t disp_pfn, arg_pfn;
	exo_pfn_t root;		/* the space */
	exo_pfn_t account;
	struct env *account_next, *account_prev;	/* [k] others charged to it */
	exo_env_id_t creator;	/* told when it ends */
	uint32_t reasons;	/* [c] EXO_RUN_* for the next RUN upcall */
	bool quiet;		/* env_destroy: nobody posts it any more (env_destroy_some) */
	bool cleared;		/* env_destroy has emptied its table */
	uint32_t cap_frames;
	exo_pfn_t cap_frame[EXO_CAP_FRAMES_MAX];
	uint32_t cap_cursor;	/* how far cap_clear has come */
	/* cpu.c */
	uint32_t cpu;		/* [kc] index of the CPU that it runs on */
	uint32_t cpu_next;	/* [k] where it is going */
	uint32_t stopped;	/* [k] STOPPED: its state before */
	uint32_t timed_place;			/* [c] in here.timed */
	struct env *run_next, *run_prev;	/* [c] ring of ready environments */
	exo_time_t timed_at;			/* [c] no later than the next two; NEVER: not in the heap */
	exo_time_t sleep_until;			/* [c] */
	exo_time_t call_deadline;		/* [c] the earliest of all its transfers' */
	struct env *wake_next;	/* [a] in here.wakes */
	uint32_t wake_posted;	/* [a] it is there */
	struct code *predicate;	/* [c] what it sleeps on, or rests; NULL: no program */
	uint64_t slept_at;	/* [c] disp->events then */
	uint32_t overstays;	/* [c] times in a row that it had to be interrupted when its grace was over */
	/* transfer.c: the innermost transfer, and those that it came in on top of */
	union {
		struct level top;
		struct {
			LEVEL_FIELDS
		};
	};
	uint32_t nested;	/* [c] in use of: */
	struct nest nest[EXO_CHAIN_MAX];	/* [c] the outermost first */
	/* trace.c */
	struct trace *trace;		/* [c] NULL: it is not traced */
	struct trace *trace_next;	/* [k] for trace_apply */
};
_Static_assert(sizeof(struct env) <= EXO_PAGE_SIZE, "one frame");

/* A level of it; number env->nested is the innermost. */
static inline struct level *env_level(struct env *env, unsigned level)
{
	return level < env->nested ? &env->nest[level].level : &env->top;
}

/* One bounded step of taking a dead environment apart; true when it is no more. */
bool env_destroy_some(struct env *env, unsigned *budget);
/* Tell an environment what it lost, in its abort record, and by EVENT_LOST. */
void env_lost(struct env *env, const struct exo_loss *loss);

static inline struct exo_cap *cap_slot(const struct env *env, uint32_t slot)
{
	uint32_t frame = slot / EXO_CAPS_PER_FRAME;

	if (unlikely(frame >= env->cap_frames))
		return NULL;
	return (struct exo_cap *)pfn_to_virt(env->cap_frame[frame]) + slot % EXO_CAPS_PER_FRAME;
}

static inline struct exo_cap *cap_typed(const struct env *env, exo_cap_t handle, unsigned type)
{
	uint32_t slot = exo_cap_slot(handle), frame = slot / EXO_CAPS_PER_FRAME;
	struct exo_cap *cap;

	if (unlikely(frame >= env->cap_frames))
		return NULL;
	cap = (struct exo_cap *)pfn_to_virt(env->cap_frame[frame]) + slot % EXO_CAPS_PER_FRAME;
	if (unlikely(cap->generation != handle >> 32 || cap->type != type || cap->flags & CAP_DYING))
		return NULL;
	return cap;
}

/*
 * Without the kernel lock a capability may be dropped, and its slot filled anew, while it is read. What was read of it
 * before this, by the handle it was found by, belonged together: a slot's generation changes before what is in it is
 * cleared, and its type is written last. Order is all that is needed of the CPU, and x86 keeps it.
 */
static inline bool cap_still(const struct exo_cap *cap, exo_cap_t handle)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return likely(read_once(cap->generation) == (uint32_t)(handle >> 32));
}

static inline struct exo_cap *cap_lookup(const struct env *env, exo_cap_t handle)
{
	struct exo_cap *cap = cap_slot(env, exo_cap_slot(handle));

	if (unlikely(!cap || cap->generation != handle >> 32 || cap->type == EXO_TYPE_NONE || cap->flags & CAP_DYING))
		return NULL;
	return cap;
}

void env_init(void);
/* Boot: how many entries info_env has for a machine of so many frames. */
uint32_t env_entries(uint32_t frames);
/* No frame has this environment as its owner any more: its index is free, if the environment is gone. */
void env_index_settle(uint32_t index);
struct env *env_by_id(exo_env_id_t id);		/* NULL if it is no more */
/* The environment behind a capability of type ENV or ENTRY; NULL if it is no more. */
static inline struct env *env_behind(const struct exo_cap *cap)
{
	struct env *env = pfn_to_virt(cap->object);

	return info_frame[cap->object].state == EXO_FRAME_ENV && (uint32_t)(env->id >> 32) == cap->count ? env : NULL;
}
/* The same by a handle of `env`'s, which needs these rights; it has not ended. NULL: *error says what is wrong (DEAD). */
struct env *env_need_living(const struct env *env, exo_cap_t handle, unsigned rights, int64_t *error);
/* A new environment from ENV_MADE_OF frames that may be retyped: env, dispatcher, argument, capability table. NULL: the
 * table of environments is full. Parts of env_create that the boot shares. */
#define ENV_MADE_OF	4
struct env *env_make(exo_pfn_t first, exo_pfn_t root, exo_pfn_t account, const struct exo_env_params *params,
    exo_env_id_t creator);
/* Something happened for it: counts, sets `pending`, wakes it if it sleeps. */
void env_event(struct env *env, uint64_t event);
/* It runs no more on this CPU, its own: transfers cut, out of everything. For env_end. */
void env_leave(struct env *env);
/* It is over: state ENDED, creator told, its transfers cut. It never runs again. If it is the current one, this gives
 * the kernel lock back and leaves. Kernel lock held. */
void env_end(struct env *env, uint32_t cause, uint64_t status, uint64_t rip);

#include "exo/cpus.h"

/* --- transfer.c, transfer_nest.c -------------------------------------------------------------------------------- */

/* What it is inside of becomes a level below; the caller fills the innermost one. / The innermost level, which
 * runs, is over. */
void transfer_nest(struct env *env);
void transfer_unnest(struct env *env);
/* The level of its caller's that waits for its innermost one. */
unsigned transfer_waiting(struct env *env);
/* The deadline of its innermost call. */
void transfer_deadline(struct env *env, exo_time_t when);
/* The call of a level is over; it goes on with an answer when its turn comes. It is not made READY. */
void transfer_answer(struct env *env, unsigned level, const struct arch_message *message);
/* It ends: free all that it serves or waits for. */
void transfer_cut(struct env *env);
/* call_deadline has passed: of one of its calls, the outermost; there may be more. */
void transfer_expire(struct env *env, exo_time_t now);
/* Who waits for what the current one serves. NULL, with the error: STATE nobody, BUSY he serves somebody himself. */
struct env *transfer_peer(int64_t *error);

/* --- flow.c, dev/: network devices --------------------------------------------------------------------------------- */

struct flow;			/* a frame of state FLOW; see exo/flows.h */

/* Boot: how many entries info_flow has for a machine of so many frames / the tables of flows, before device_init. */
uint32_t flow_entries(uint32_t frames);
void flow_init(void);

/* Find the network devices, start them, make their root flows; once, at boot. */
void device_init(void);
/* The root flow of a device, by index in info->device: it claims every packet. 0: no such device. */
exo_pfn_t flow_root(unsigned device);
/* The timer came: devices that have more than one batch to deliver go on when their time has come. */
void device_timer(exo_time_t now);
/* Nothing can run: such devices go on at once. */
void device_idle(void);

/* A capability of type FLOW was filled in. */
void flow_hold(const struct exo_cap *cap);
/* One is being dropped: unbind what was bound through it; the last takes the flow apart, its frame becomes OWNED. */
bool flow_unhold(struct exo_cap *cap, unsigned *budget);
/* A frame capability with CAP_RINGS is being dropped: unbind what was bound through it. false: more is left, call again. */
bool flow_cut(struct exo_cap *cap, unsigned *budget);
/* No program looks at its packets any more; what was sent from the program's memory is pinned until it is. Kernel lock. */
void flow_detach(struct flow *flow);
/* Is the capability, of the flow or of the program, one that the program was attached through? */
bool flow_attached_through(const struct flow *flow, const struct exo_cap *cap);

/* --- code.c: downloaded programs -------------------------------------------------------------------------------------- */

struct code;			/* in a frame of state CODE; see exo/codes.h */

/* A capability of type CODE was filled in / is being dropped: the last takes the program apart. */
void code_hold(const struct exo_cap *cap);
bool code_unhold(struct exo_cap *cap, unsigned *budget);
/* One step of taking the program in a frame apart, whoever names it; true when it is no more. */
bool code_end(exo_pfn_t self, unsigned *budget);
/* Frames [first, first + count) are about to leave a capability with CAP_WINDOWS: unbind the windows that end there and
 * were bound through it. false: more is left, call again. */
bool code_cut(struct exo_cap *cap, exo_pfn_t first, uint32_t count, unsigned *budget);

int64_t transfer_call_slowly(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);

/* --- registry.c ----------------------------------------------------------------------------------------------------- */

/* A capability of type NODE was filled in / is being dropped: the last takes the volume apart. false: call again. */
void registry_hold(const struct exo_cap *cap);
bool registry_drop(struct exo_cap *cap, unsigned *budget);
/* One step of taking a volume apart, whoever names it; true when it is no more. */
bool registry_end(exo_pfn_t self, unsigned *budget);

/* --- trace.c -------------------------------------------------------------------------------------------------------- */

struct trace {
	struct env *env;		/* [k] */
	const struct exo_cap *through;	/* [k] NULL: free */
	struct exo_trace *ring;		/* its frames */
	exo_pfn_t first;
	uint32_t frames, records;
	uint32_t mask;
	exo_pfn_t account;		/* whose it is */
	uint64_t head;			/* [c] */
	uint32_t next;			/* [c] place of record `head` */
};

/* Boot. */
void trace_init(void);
/* Entered by the port in place of a call's handler, while the current one's calls are traced. */
int64_t trace_call(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t nr);
/* It happened to an environment of this CPU; recorded if it is traced, and so is what `mask` says (EXO_TRACE_*). */
void trace_write(struct env *env, uint32_t mask, uint32_t kind, uint64_t number, uint64_t w0, uint64_t w1, uint64_t w2);
static inline void trace_event(struct env *env, uint32_t mask, uint32_t kind, uint64_t number, uint64_t w0, uint64_t w1,
    uint64_t w2)
{
	if (unlikely(env->trace))
		trace_write(env, mask, kind, number, w0, w1, w2);
}
/* Its CPU, asked: from now on it is traced as env->trace_next says. */
void trace_apply(struct env *env);
/* A frame capability with CAP_TRACE is being dropped: end the traces through it. false: more is left, call again. */
bool trace_cut(struct exo_cap *cap, unsigned *budget);
/* It has ended. */
void trace_end(struct env *env);

/* --- port.c: I/O ports and interrupt lines ------------------------------------------------------------------------------ */

/* Boot. */
void interrupts_init(void);
/* A capability to lines is being dropped / an environment ends: what it had is nobody's. */
bool interrupts_drop(struct exo_cap *cap, unsigned *budget);
void interrupts_leave(const struct env *env);

/* --- console.c ------------------------------------------------------------------------------------------------------ */

/* Boot: input has a handler. */
void console_init(void);
/* A capability to the console is being dropped / an environment ends: whoever read through it, or it, reads no more. */
bool console_drop(struct exo_cap *cap, unsigned *budget);
void console_leave(const struct env *env);

/* --- call.c: the calls, sys_NAME(a0..a5) for each line of exo/call.h --------------------------------------------- */

/* What each handler is given; most look at some of it only. */
#define CALL_ARG(name)	__attribute__((unused)) uint64_t name
#define CALL_ARGS	CALL_ARG(a0), CALL_ARG(a1), CALL_ARG(a2), CALL_ARG(a3), CALL_ARG(a4), CALL_ARG(a5)
#define CALL_PROTO(nr, name, args, names, rights, meaning)	int64_t sys_##name(CALL_ARGS);
EXO_CALLS(CALL_PROTO)
#undef CALL_PROTO

/* Entered by the port's call path with the number checked. */
typedef int64_t call_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern call_fn *const call_table[EXO_CALL_COUNT];

/* A stretch of the caller's argument frame; NULL if it does not lie within. */
static inline void *call_argument(uint64_t offset, uint64_t bytes)
{
	if (offset > EXO_PAGE_SIZE || bytes > EXO_PAGE_SIZE - offset)
		return NULL;
	return current_env()->arg + offset;
}

#endif
