/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may be on a disk after a power cut: the history of a workload, and whether a disk is one of its legal outcomes.
 */
#ifndef TEST_FS_JUDGE_H
#define TEST_FS_JUDGE_H

#include "test/fs/real.h"

#define HISTORY_WHY	1400

/* The model behind an operation, and where in the disk's log it began and ended. */
struct step {
	struct model *model;
	const struct op *op;	/* NULL: the beginning */
	uint64_t hash;
	uint32_t begin, end;
	bool promise;		/* all that was done until now is stable when it has ended */
	bool failed;		/* it gave an error of the device: it may be done or not, or in part */
};

struct history {
	const struct kind *kind;
	struct hostdisk *base, *disk;	/* before, and logged */
	struct step *steps;
	uint32_t count, max;
	struct real real;
};

/*
 * Begin a workload on a new file system (`from`: on a copy of that disk, which holds what `model` says). 0, or why not.
 * The disk's log is on. Nothing is mounted if it fails.
 */
int history_begin(struct history *history, const struct kind *kind, uint32_t blocks, bool lazy, char *why);
/* Do an operation. 0, or what is wrong: -1, or -EIO: the device failed it, and that is noted. */
int history_do(struct history *history, const struct op *op, char *why);
/*
 * The same where another machine did the work, and its log is given: begin on a disk as it was (the history's from now on),
 * write to history->disk, and say what operation was done between entry `begin` and now.
 */
int history_replay(struct history *history, const struct kind *kind, struct hostdisk *base);
void history_note(struct history *history, const struct op *op, uint32_t begin);
/* After -EIO: which of what may be is so? That goes on. The disk and memory must not fail now. */
int history_resolve(struct history *history, char *why);
/* Unmount, and leave out what the file system writes then. `heal`: the disk does not fail any more. */
int history_end(struct history *history, bool heal, char *why);
void history_free(struct history *history);

/*
 * Is the disk, as a power cut at `cut` may have left it, what the file system x mounted and changed. `again`:
 * a random number: recovery is cut, too, and what is written afterwards. 0, or why not. *matched: which step it is.
 */
int history_judge(struct history *history, struct hostdisk *disk, uint32_t cut, uint64_t again, char *why, uint32_t *matched);

/* The hash of a tree, without times: the model's, and a mounted file system's. */
uint64_t model_hash(const struct model *model);
int real_hash(struct real *real, uint64_t *hash, char *why);

/* Which of the unstable entries a state keeps: a choice made from a number. */
enum keep_kind { KEEP_NONE, KEEP_ALL, KEEP_SOME, KEEP_MOST, KEEP_TORN_LAST, KEEP_TORN, KEEP_KINDS };
struct keep {
	enum keep_kind kind;
	uint32_t last;		/* the entry in front of the cut */
	struct op_random random;
	uint32_t asked;		/* how many entries were not stable */
};
unsigned keep_entry(void *keep, const struct hostdisk_entry *entry, uint32_t number);
extern const char *const keep_names[KEEP_KINDS];

#endif
