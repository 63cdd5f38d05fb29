/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What serve.c, process.c, body.c, image.c, exec.c and fork.c share.
 *
 * A *body* is what a process is to the kernel: environment, space, account, the frames of these and of what
 * was in its image. exec gives a process another. All kernel objects lie in frames of the keeper's, in the
 * body's two bags.
 */
#ifndef LIBOS_KEEP_PRIVATE_H
#define LIBOS_KEEP_PRIVATE_H

#include "libos/core/elf.h"
#include "libos/core/space.h"
#include "libos/core/spawn.h"
#include "libos/fs/fs.h"
#include "libos/keep/keep.h"

#define KEEP_SLOTS	24		/* of a process's start record, at most */
#define KEEP_RESERVE	256		/* frames that processes are never given: with fewer left, none is made */

/* A start record; of its text, only the beginning is used. */
struct keep_record {
	struct exo_start start;
};
#define KEEP_RECORD_BYTES (offsetof(struct exo_start, slot) + KEEP_SLOTS * sizeof(struct exo_start_slot))

#define KIT_FRAMES	EXO_TAKE_MAX
#define BODY_KITS	(1 + WIRE_FORK_FRAMES / (KIT_FRAMES - 1) + 1)

struct keep_kit {
	struct keep_kit *next;
	struct frame_bag bag;		/* one run of KIT_FRAMES */
	exo_pfn_t pfn;
	uint32_t used;			/* frames handed out, from the first on */
	uid_t uid;			/* who may have it again */
	exo_cap_t account;		/* in its first frame, if it is a body's first kit; it stays */
};

/* An environment of the process's on another CPU. */
struct keep_cpu {
	exo_cap_t env;
	exo_env_id_t id;
	uint32_t cpu;
};

struct keep_body {
	exo_cap_t env, space, account;
	exo_env_id_t id;
	/* account, root, environment, tables, start record; what fork takes */
	struct keep_kit *kit[BODY_KITS];
	uint32_t kits;
	uid_t uid;			/* whose they may be afterwards ... */
	bool pure;			/* ... if it never was anybody else's */
	struct frame_bag objects;	/* the same, of large programs */
	struct frame_bag data;		/* what is written, arguments; a fork child has none ... */
	struct frame_bag wired;		/* ... and what its upcalls write: the process has no capability for that */
	struct keep_image *image;
	struct keep_cpu cpu[WIRE_CPUS];
	uint32_t cpus;
	bool cpus_asked;
	struct keep_record record;	/* as its image was given it, or a fork child */
	uint64_t ns;			/* CPU time of its environment, when that is gone */
};

/* --- serve.c -------------------------------------------------------------------------------------------- */

void keep_serve_start(void);
/* Make so many more idle threads. */
void keep_workers(uint32_t count);
/* Ask as a process would; `path` goes to the beginning of its buffer. Only for one that does not run yet. */
int64_t keep_ask(struct keep_process *process, enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3,
		 const char *path);
/* From now on requests come in. */
void keep_open_doors(void);

/* --- process.c ------------------------------------------------------------------------------------------ */

/* A new record, in state KEEP_MAKING, with all that a child has of its parent (NULL: pid 1); NULL: -EAGAIN. */
struct keep_process *keep_process_make(struct keep_process *parent);
/* Its record can be used again. */
void keep_process_free(struct keep_process *process);
/* It has come to nothing: as if it had never been made. */
void keep_process_undo(struct keep_process *process);
/* It runs with this body from now on; its page says so. */
void keep_process_run(struct keep_process *process, struct keep_body *body);
/* The worker of a process that is ending is done. */
void keep_process_finish(struct keep_process *process);
/* What it is called: the last part of a path. */
void keep_process_name(struct keep_process *process, const char *path);
/* Frames that processes are never given, as their pages say: body.c sets it. */
extern uint32_t keep_reserve;
extern uint32_t keep_cpu;		/* the keeper's, and where its processes are at home */
/* Write the page anew from the record. */
void keep_page_fill(struct keep_process *process);

/* --- kit.c ---------------------------------------------------------------------------------------------- */

struct keep_kit *kit_get(uid_t uid, bool account);	/* for an account, too, or not; NULL: no memory */
/* The next `count` frames of it; false: it has not so many left. */
bool kit_take(struct keep_kit *kit, uint32_t count, struct frame *frame);
/* `pure`: nobody but this user can have written to it. */
void kit_put(struct keep_kit *kit, uid_t uid, bool pure);
void kit_trim(void);					/* give back what is kept */
void kit_bag_drop(struct frame_bag *bag);		/* now, or as soon as it can be */
void kit_limbo(void);					/* try again what could not be */

/* --- body.c --------------------------------------------------------------------------------------------- */

/*
 * An environment for a process, with the fixed pages and its own seven capabilities; it begins at `entry`. 0
 * or -errno, and nothing is left behind. `like`: what its start record says beside; NULL: nothing yet.
 * `image`: what of it is never written is mapped; NULL: none.
 */
int body_make(struct keep_body *body, const struct keep_process *process, exo_vaddr_t entry,
	      const struct keep_record *like, const struct keep_image *image);
/* Another kit for it; NULL: no memory. */
struct keep_kit *body_kit(struct keep_body *body);
void body_drop(struct keep_body *body);
/* How many environments its account may have. */
int64_t body_envs(exo_cap_t account, uint32_t envs);
/* cpus.c: end those on other CPUs. / What the kernel shows of one; NULL: it is gone. */
void body_cpus_drop(struct keep_body *body);
void body_recall(const struct keep_body *body, uint32_t i);	/* one of them gets an upcall, even if it runs */
const struct exo_env_info *body_cpu(const struct keep_body *body, uint32_t i);
void body_wake(const struct keep_body *body);
/* Map in it, through the keeper's capabilities. 0 or -errno. */
int body_map(struct keep_body *body, exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t pages);
/* One more capability, in the next slot of its start record. */
int body_grant(struct keep_body *body, const char *name, exo_cap_t source, uint64_t rights, uint32_t first,
	       uint32_t count);
/* Write the start record, which is the process's from then on; its name is argument 0. */
void body_record(const struct keep_body *body, const struct keep_process *process);
/* Are there frames enough to make something? What is only kept for later is given up first. */
bool body_room(void);
int body_error(int64_t error);		/* a kernel error as -errno */
/* Page and buffer of a process of the table, mapped here; false: no memory. / Nobody else has them any more. */
bool body_fixed(struct keep_process *process);
void body_fixed_revoke(const struct keep_process *process);
void body_fixed_spare(const struct keep_process *process);	/* its place is free: they may go */
/* Nothing of what was in its start record and buffer is there any more. */
void body_wipe(const struct keep_process *process);
void body_start(void);

/* It is of more than one user now. */
static inline void body_mixed(struct keep_body *body)
{
	body->pure = false;
}

static inline struct exo_start *record_of(struct keep_body *body)
{
	return &body->record.start;
}

/* The keeper's window: `pages` frames at its addresses, to be filled; NULL: they cannot be mapped. */
void *body_window(exo_cap_t cap, uint32_t first, uint32_t pages);
void body_window_close(uint32_t pages);

/* --- exec.c --------------------------------------------------------------------------------------------- */

struct vfs_file;

/* What is to be run. */
struct program {
	char *path, *args;		/* in `memory`; args: argc strings, then envc */
	uint32_t args_bytes, argc, envc;
	const char *tail;		/* what the request says behind its strings */
	char *memory, *first;		/* of a script: its interpreter's strings; the request's */
	bool script;
	struct vfs_file *file;
	struct fs_attributes attributes;
};

/*
 * All of a request's strings, copied; `tail` bytes behind them are not looked at. 0 or -errno; program_end is
 * owed.
 */
int program_take(struct keep_request *request, struct program *program, uint64_t tail);
/* The file that the path (fd < 0) or descriptor means at last, through scripts. 0 or -errno. */
int program_find(struct keep_process *process, struct program *program, int64_t fd);
/* A body with it that only has to be started; NULL: *error. */
struct keep_body *program_body(const struct keep_process *process, const struct program *program, int *error);
/* The file's set-user-id and set-group-id, for a process that will have this body. */
void program_ids(struct keep_process *process, const struct program *program, struct keep_body *body);
void program_end(struct program *program);

/* --- image.c -------------------------------------------------------------------------------------------- */

#define IMAGE_MAPS	32
#define IMAGE_SHOWS	(IMAGE_MAPS + FRAME_BAG_RUNS)

/* One piece of a program. */
struct image_piece {
	exo_vaddr_t va;
	uint32_t pages, filled;		/* pages that have contents */
	uint32_t at;			/* page of the image where these are */
	unsigned flags;			/* EXO_MAP_*; with WRITE: to be copied, else mapped as it is */
};

struct keep_image {
	uint64_t mount, number, bytes;	/* which file: number of the mount, node, and what it was like */
	int64_t modified;
	uint32_t modified_ns, refs;
	uint64_t used;
	bool there;
	int64_t changed;		/* as `modified`, but no process can choose it */
	uint32_t changed_ns;
	struct frame_bag bag;
	/* for each of its runs: by this a page of it can be read or run, never written */
	exo_cap_t shown[FRAME_BAG_RUNS];
	const char *va;			/* all of it, in the keeper */
	uint32_t pages;
	exo_vaddr_t entry, start, end;
	exo_vaddr_t wired, wired_end;	/* as its note says (libos/core/elf.h) */
	unsigned count;
	struct image_piece piece[IMAGE_MAPS];
	uint32_t shows;
	struct exo_map show[IMAGE_SHOWS];	/* how what is never written is mapped */
};

/* The image of an open file, held; NULL: *error is -errno. */
struct keep_image *image_get(struct vfs_file *file, const struct fs_attributes *attributes, int *error);
void image_put(struct keep_image *image);
/* Which frame of what it shows a page of it is, and how many follow it there; false: no such page. */
bool image_frame(const struct keep_image *image, uint32_t page, struct frame *frame, uint32_t *count);
/* Give back what no process runs. */
void image_trim(void);
void image_start(void);

#endif
