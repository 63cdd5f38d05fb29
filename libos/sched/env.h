/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedulers of environments: an environment that owns slices of a CPU and decides who runs in them.
 *
 * The scheduler owns slices; at the start of each it has the CPU, and whenever it has it, it asks its policy
 * which client is to run and until when, and lends the slice (core_lend). It comes back at that time, when
 * the client sleeps or ends, and with its next slice; so a client need know nothing of it, and one that never
 * stops harms nobody. What each has used is read from the exposed table of environments, without a call. A
 * client may hand what it has borrowed on to one that it may wake; that one's time is counted, not its own.
 *
 *   policy       parameters of a client      who runs
 *   env_rr       none                        each ready one in turn, for what is left of a slice
 *   env_stride   share                       the one that has had the least for its share
 *   env_lottery  share                       drawn by lot, a ticket for each unit of its share
 *   env_edf      period, budget              the earliest deadline; each has its budget in a period at most;
 *                                            those without a period have what is left, in turn
 *
 *   block        needs
 *   env.c        spawn.h (the table of environments), core.h
 *   env_*.c      nothing: a policy sees clients and times only (test/unit/sched_test.c)
 *
 * Clients are on the scheduler's CPU and have no slices of their own. While no client is ready, the scheduler
 * sleeps and looks again after a slice's length: one that wakes meanwhile begins by itself.
 */
#ifndef LIBOS_SCHED_ENV_H
#define LIBOS_SCHED_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <exo/types.h>

struct env_client {
	/* Filled by the caller. */
	exo_cap_t env;			/* with WAKE */
	exo_env_id_t id;
	uint64_t share;			/* stride, lottery: >= 1, less than 2^32 */
	exo_time_t period, budget;	/* EDF: ns; period 0: background */
	exo_time_t release;		/* EDF: start of a period; the first one is the caller's choice */
	/* Kept up to date; the caller may read. */
	uint64_t ns;			/* CPU time since it was added */
	uint64_t turns;			/* times that it was chosen */
	bool ready;			/* as of the last look */
	/* For env.c and policies. */
	struct env_client *next;	/* in the order in which they were added, the last one's is NULL */
	uint64_t seen;			/* of its CPU time in the exposed table */
	uint64_t pass;			/* stride: what it has had for its share */
	uint64_t left;			/* EDF: of its budget, in this period */
	bool behind;			/* stride: it was not ready */
};

struct env_sched;

struct env_policy {
	const char *name;
	/*
	 * Who of the ready clients runs now? *until, EXO_NEVER at first, may be lowered to the time at which
	 * the question is to be asked again. NULL: nobody. O(clients).
	 */
	struct env_client *(*pick)(struct env_sched *sched, exo_time_t now, exo_time_t *until);
	/* A client has had so much CPU time, in its turn or not. NULL: it does not matter. */
	void (*used)(struct env_sched *sched, struct env_client *client, uint64_t ns);
};

extern const struct env_policy env_rr, env_stride, env_lottery, env_edf;

struct env_sched {
	const struct env_policy *policy;	/* filled by the caller, as the next one */
	uint64_t seed;			/* lottery: not 0; the same seed draws the same lots */
	struct env_client *clients;
	struct env_client *last;	/* round robin: who ran last */
	uint64_t pass;			/* stride: of the one that ran last */
	exo_cap_t slices;
	uint64_t turns;
};

/*
 * Own all of `count` slices from `first` on, of the CPU on which the caller runs. 0 or an error of
 * exo_slice_take.
 */
int64_t env_own(struct env_sched *sched, uint32_t first, uint32_t count);
/* Give them up. */
void env_disown(struct env_sched *sched);

/* A client from now on / no more. The client's memory is the caller's. */
void env_add(struct env_sched *sched, struct env_client *client);
void env_remove(struct env_sched *sched, struct env_client *client);

/* Ask the policy once, and let whom it names run, or sleep; returns when the CPU is back. */
void env_turn(struct env_sched *sched);
/* Turns until a time has passed, or, EXO_NEVER, for ever. */
void env_run(struct env_sched *sched, exo_time_t until);

/* For policies: the ready client without a period that follows the last one; NULL: there is none. */
struct env_client *env_next(struct env_sched *sched);

#endif
