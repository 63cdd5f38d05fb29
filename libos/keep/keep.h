/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A keeper: the environment that holds what the processes of libos/posix share (wire.h says what they ask).
 *
 * A request arrives as a protected control transfer, on the caller's time. serve.c finds the process by the badge,
 * takes an idle thread of the keeper and runs the handler on it at once. A handler that needs a disk blocks like any
 * thread: then the caller is answered WIRE_LATER and the thread goes on in the keeper's own time. A handler must not
 * wait for what another process may never do (fill a pipe, exit): it puts its process into the queue of that and
 * returns WIRE_WAIT. So the number of busy threads is bounded by the processes, and a process that dies in the middle
 * leaves nothing but the end of its handler.
 *
 *   serve.c    requests to handlers, results to processes      process.c  pids, groups, sessions, wait, exit, death
 *   fork.c     the keeper's half of fork                       exec.c     images, #!, new environments
 *   open.c     descriptors and open file descriptions          files.c    names and files, on libos/fs/vfs.h
 *   pipe.c     pipes and FIFOs                                 poll.c, epoll.c  poll, epoll
 *   signal.c   who may signal whom; stop, continue             tty.c, pty.c  terminals
 *   priority.c nice, scheduling of processes                   eventfd.c, signalfd.c  counters, timers, signals to read
 *   net.c      sockets over lwIP   local.c  UNIX sockets       object.c   memory that processes share
 *   mqueue.c   message queues                                  xsi*.c     those of XSI, semaphores, shared memory
 *
 * K1 what a handler checks it has copied first; `data` is written by the process at any time
 * K2 an open file description lives as long as a descriptor of some process names it (`refs`), or a handler uses it
 * K3 a process record is used again only when its environment is gone and its parent (or pid 1) has waited for it
 */
#ifndef LIBOS_KEEP_KEEP_H
#define LIBOS_KEEP_KEEP_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "libos/core/frame.h"
#include "libos/core/thread.h"
#include "libos/posix/wire.h"

struct keep_file;
struct vfs_file;
struct vfs_place;

/*
 * Processes that wait for something: bit i of `waits` is process i of the table; and, bit KEEP_WATCHER, epoll.c's items.
 * Bit i of `some`: waits[i] is not 0.
 */
#define KEEP_WAIT_WORDS	8
struct keep_queue {
	uint64_t some, waits[KEEP_WAIT_WORDS];
};
#define KEEP_WATCHER	(KEEP_WAIT_WORDS * 64 - 1)
_Static_assert(WIRE_PROCESSES <= KEEP_WATCHER, "a queue has a bit for each process");

enum keep_state { KEEP_FREE, KEEP_MAKING, KEEP_RUNNING, KEEP_STOPPED, KEEP_ZOMBIE };

#define KEEP_GROUPS	32
#define KEEP_LIMITS	16		/* RLIMIT_*, in Linux' numbers: */
#define KEEP_LIMIT_SIZE	1
#define KEEP_LIMIT_DATA	2
#define KEEP_LIMIT_CORE	4
#define KEEP_LIMIT_PROCESSES 6
#define KEEP_LIMIT_FILES 7
#define KEEP_LIMIT_SPACE 9
#define KEEP_PLACES_ROOT 4		/* processes that only the superuser may make */

struct keep_body;

struct keep_fd {
	struct keep_file *file;		/* NULL: the descriptor is closed */
	bool cloexec;
};

struct keep_process {
	enum keep_state state;
	uint32_t index;			/* in the table */
	pid_t pid, pgid, sid;
	struct keep_process *parent;	/* NULL: pid 1 */
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;
	mode_t umask;
	int status;			/* of a zombie, or what it was stopped by: as wait says it */
	bool report;			/* wait has not told it yet */
	char name[44];
	exo_time_t started;
	uint64_t ns, children_ns;	/* CPU: of images that have ended; of children that were waited for */
	struct keep_tty *tty;		/* controlling terminal; NULL: none */
	/* signal.c: */
	uint64_t ignored, caught, blocked;	/* signals, as the process has said */
	uint64_t signals;		/* entries of page->signal ever written */
	exo_time_t poke_at, poke_again;	/* 0: never; and how long after that once more */
	exo_time_t look_at, patience;	/* when to see whether it has taken its signals */
	exo_time_t timer, timer_interval;	/* its ITIMER_REAL, for the next image */
	/* priority.c: */
	int8_t nice;			/* -20..19 */
	uint8_t policy, priority;	/* WIRE_SCHED_*, 1..WIRE_SCHED_MOST or 0 */
	uint32_t turns;			/* as its page says */
	bool signalfds;			/* as well ... */
	uint64_t not_cpus;		/* ... and this */
	struct wire_page *page;		/* shared with it: only written */
	char *start;			/* its start record, shared with it */
	char *buffer;			/* WIRE_BUFFER bytes, shared with it */
	exo_cap_t env, space;		/* with all rights */
	exo_env_id_t id;
	uint32_t fds;			/* from this number on none is open */
	uint32_t fds_room;		/* ... and from this on `fd` has no memory */
	struct vfs_place *cwd;
	struct keep_queue children;	/* who waits for a child of it: itself, at most */
	gid_t group[KEEP_GROUPS];	/* supplementary */
	uint32_t groups;
	uint64_t limit[KEEP_LIMITS][2];	/* RLIMIT_*: soft, hard */
	struct keep_body *body;		/* process.c's and exec.c's own */
	bool execed;			/* has another image than its parent when it was made */
	bool ending;			/* its environment is gone; the rest goes when its worker is done */
	struct keep_process *making;	/* a child between FORK_BEGIN and FORK_END */
	char *strings;			/* what REQUEST_ARGS has sent */
	uint32_t strings_bytes;
	/* serve.c: */
	struct thread *worker;		/* that works for it; NULL: none */
	bool later;			/* the answer was WIRE_LATER ... */
	bool done;			/* ... and is here now: */
	int64_t result[3];
	struct keep_fd fd[WIRE_FDS];	/* last: it is empty when the record is free */
} __attribute__((aligned(EXO_PAGE_SIZE)));	/* the first page is there when it was ever used, others when fds_room says */

extern struct keep_process *keep_process;	/* WIRE_PROCESSES of them ... */
extern uint32_t keep_used;			/* ... of which those from here on are KEEP_FREE */
extern struct keep_process *keep_first;		/* pid 1 */

/* --- serve.c -------------------------------------------------------------------------------------------------- */

struct keep_request {
	struct keep_process *process;
	uint64_t word[3];		/* w1..w3 */
	char *data;			/* WIRE_BUFFER bytes that the process may change at any time (K1) */
	uint64_t more[2];		/* answered as w1, w2 */
};

/*
 * The result: >= 0, -errno, or WIRE_WAIT. Runs as a thread, with upcalls on and all that threads may do. If
 * it waits, its process is answered WIRE_LATER by itself.
 */
typedef int64_t (*keep_handler)(struct keep_request *request);

/* Each part names its handlers once, at start. */
void keep_serve(enum wire_request number, keep_handler handler);
/* A copy of the string at `offset` of the buffer; false: it does not end within `size`. */
bool keep_string(const struct keep_request *request, uint32_t offset, char *to, uint32_t size);
/* Something has changed that pollers or timeouts must see: the idle loop runs when the request is answered. */
void keep_again(void);

/* --- process.c ------------------------------------------------------------------------------------------------ */

/* Wait queues. */
void keep_wait(struct keep_queue *queue, const struct keep_process *process);
void keep_wake(struct keep_queue *queue);		/* everybody in it: it is empty then */
/* epoll.c's, when there is one: who waits is its watcher; what its watcher waits for has changed. */
extern void (*keep_watch)(struct keep_queue *queue, bool woken);
void keep_poke(struct keep_process *process);		/* page->wakes grows, and it is woken */

/* Its descriptors below `fds` have memory; false: they have not. */
bool keep_process_room(struct keep_process *process, uint32_t fds);
/* Does nobody wait? */
static inline bool keep_queue_empty(const struct keep_queue *queue)
{
	return !queue->some;
}

struct keep_process *keep_find(pid_t pid);		/* running, stopped or zombie; NULL: none */
/* The next process of the table that is one, from `from` (NULL: the first) on; NULL: there are no more. */
struct keep_process *keep_next(const struct keep_process *from);
/*
 * It ends now, with a status as wait says it: environment, descriptors, all. Its record stays until it is
 * waited for.
 */
void keep_kill(struct keep_process *process, int status);
bool keep_in_group(const struct keep_process *process, gid_t gid);	/* egid or a supplementary group */

/* --- signal.c ------------------------------------------------------------------------------------------------- */

/* Post a signal to a process or to all of a group; SIGKILL ends it. `info` may be NULL. */
void keep_signal(struct keep_process *process, int number, const struct wire_signal *info);
void keep_signal_group(pid_t pgid, int number);
/*
 * Tell a process' parent, by SIGCHLD and its queue of waiters. `code` is CLD_*, `status` the exit value or signal.
 * False: it is dead and the parent does not want to know: reap it at once.
 */
bool keep_signal_child(struct keep_process *child, int code, int status);
/* A process is about to die (it still stands in the table as running): its terminal, groups that lose their guard. */
void keep_signal_exit(struct keep_process *process);
/* What a child of fork begins with; before its first instruction, when it has its page. */
void keep_signal_forked(struct keep_process *child, const struct keep_process *parent);
/* What a new image begins with: when process->page is the new page and `old` still is there; NULL: there is none. */
void keep_signal_exec(struct keep_process *process, const struct wire_page *old);

/* --- signalfd.c; linked if there is such a thing ------------------------------------------------------------- */

/* More is pending to a process than was: its descriptors of signals may be ready. */
void keep_signalfd_look(const struct keep_process *process) __attribute__((weak));

/* --- priority.c ----------------------------------------------------------------------------------------------- */

/* A process of some priority has another environment, or ends. */
void keep_priority_changed(struct keep_process *process);

/* --- job.c ---------------------------------------------------------------------------------------------------- */

/*
 * Has a group no member whose parent is in the same session, but another group? `without` (or NULL) does not
 * count.
 */
bool keep_orphaned(pid_t pgid, const struct keep_process *without);
/* A session with a process in it; a process of that group. */
bool keep_group_exists(pid_t pgid, pid_t sid);

/* --- tty.c, pty.c --------------------------------------------------------------------------------------------- */

/* Open a terminal by its device number, as files.h has it. */
int64_t keep_tty_open(struct keep_process *process, uint64_t device, int flags, struct keep_file **file);
/* The console as descriptors 0, 1, 2 and controlling terminal of a process that has none: init. */
int64_t keep_tty_give(struct keep_process *process);
/* Nobody types at the console: descriptor 0 of process 1 is what comes from there as it is, and no terminal (input.c). */
extern bool keep_input_plain;
/* Minor number, -1: none; for lists. */
int keep_tty_number(const struct keep_tty *tty);
/* The session's leader ends: hang up for all of it. */
void keep_tty_leave(struct keep_process *leader);

/* --- open.c --------------------------------------------------------------------------------------------------- */

/*
 * Open file descriptions. What a kind does not offer is NULL and fails with a fitting error. `read` and
 * `write` work on the shared buffer in place; with offset -1 at `file->offset`. A result of WIRE_WAIT
 * (nonblocking: -EAGAIN, which open.c makes of it) comes after keep_wait on the kind's queue. `poll` gives
 * the events that hold now and, if `wait`, puts the process into the queues of those asked for.
 */
struct keep_kind {
	int64_t (*read)(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			int64_t offset);
	int64_t (*write)(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
			 int64_t offset);
	int64_t (*seek)(struct keep_file *file, int64_t offset, int whence);
	int64_t (*stat)(struct keep_file *file, struct stat *st);
	int64_t (*ioctl)(struct keep_file *file, struct keep_request *request, uint64_t number, char *argument);
	short (*poll)(struct keep_file *file, struct keep_process *process, short events, bool wait);
	void (*close)(struct keep_file *file);		/* the last reference goes */
	void (*closed_by)(struct keep_file *file, struct keep_process *process); /* a descriptor of it goes: locks */
	void (*flags_set)(struct keep_file *file);	/* F_SETFL, FIONBIO */
	bool async;					/* has O_ASYNC: it calls keep_async */
};

struct keep_file {
	const struct keep_kind *kind;
	void *object;
	struct vfs_file *named;		/* the name that it was opened by, dropped with it; NULL: it has none */
	int64_t offset;
	int flags;			/* O_APPEND, O_NONBLOCK, O_ASYNC, access mode */
	pid_t owner;			/* F_SETOWN: a process, or -group; 0: nobody */
	uid_t owner_uid, owner_euid;	/* ... and who has said so */
	uint32_t refs;
	uint32_t seen;			/* check.c's */
	struct epoll_item *watched;	/* epoll.c's, of this description; they go with it */
};
/* epoll.c's: they go. Linked if there is epoll. */
void epoll_unwatch(struct keep_file *file) __attribute__((weak));
const char *keep_epoll_check(void) __attribute__((weak));	/* NULL, or what is wrong */

/* --- owner.c; linked if there are sockets ------------------------------------------------------------------- */

/* F_SETOWN by that process: 0, -ESRCH, -EINVAL. / A signal to the owner, if there is one. */
int64_t keep_owner_set(struct keep_file *file, const struct keep_process *process, int owner) __attribute__((weak));
void keep_async(struct keep_file *file, int number) __attribute__((weak));

/* A description with one reference; NULL: no memory. */
struct keep_file *keep_file_make(const struct keep_kind *kind, void *object, int flags);
void keep_file_hold(struct keep_file *file);
void keep_file_drop(struct keep_file *file);
extern uint32_t keep_files_open;		/* how many there are */
/*
 * The lowest free descriptor from `lowest` on, which takes the reference over; or -EMFILE, -ESRCH: the process
 * is gone (the reference stays).
 */
int64_t keep_fd_add(struct keep_process *process, struct keep_file *file, int lowest, bool cloexec);
/* What a descriptor names, or NULL (EBADF). */
struct keep_file *keep_fd_file(const struct keep_process *process, int64_t fd);
/* Close one: 0 or -EBADF. */
int64_t keep_fd_close(struct keep_process *process, int64_t fd);
/* For fork, exec and the end of a process. */
void keep_fds_copy(struct keep_process *child, const struct keep_process *parent);
void keep_fds_exec(struct keep_process *process);
void keep_fds_close(struct keep_process *process);

/* --- files.c -------------------------------------------------------------------------------------------------- */

struct fs_attributes;
/*
 * A regular file that the process may execute, opened for reading, and what it is. -EACCES, -ENOENT and what
 * a walk says. May block. / The same of a descriptor; NULL: it is no regular file.
 */
int keep_open_exec(struct keep_process *process, const char *path, struct vfs_file **file,
		   struct fs_attributes *attributes);
struct vfs_file *keep_fd_vfs(const struct keep_process *process, int64_t fd);
/* The working directory: the parent's, or "/" if that is NULL. */
void keep_cwd_copy(struct keep_process *child, const struct keep_process *parent);
void keep_cwd_drop(struct keep_process *process);

/* --- object.c ------------------------------------------------------------------------------------------------- */

/* A child of fork has what its parent has mapped; before it runs. 0, or -ENOMEM: it has nothing. */
int64_t keep_object_forked(struct keep_process *child, struct keep_process *parent);
/*
 * A process ends, or its image does (exec): its space is gone already, or nothing of it is of use any more.
 * May block.
 */
void keep_object_exit(struct keep_process *process);

/* --- mqueue.c, xsi.c -- linked if there are such things ----------------------------------------------------- */

/* A process ends: what semaphores owe it. Nothing here blocks. */
void keep_xsi_exit(const struct keep_process *process) __attribute__((weak));
const char *keep_mqueue_check(void) __attribute__((weak));	/* NULL, or what is wrong */
const char *keep_xsi_check(void) __attribute__((weak));

/* --- start.c -------------------------------------------------------------------------------------------------- */

/*
 * Start everything, then pid 1 from a file: 0 or -errno. keep_run returns its wait status when it has ended,
 * and all others with it.
 */
void keep_start(void);
int keep_first_process(const char *path, unsigned argc, const char *const *argv, unsigned envc,
		       const char *const *envv);
int keep_run(void);

/* --- check.c ------------------------------------------------------------------------------------------------ */

/* Is all in order? NULL: yes; else what is not. `asks`: on whose request; it is no handler that waits. */
const char *keep_check(const struct keep_process *asks);

/* Each part's beginning, called by keep_start in this order. */
void keep_process_start(void);
void keep_wait_start(void);
void keep_exec_start(void);
void keep_spawn_start(void);
void keep_fork_start(void);
void keep_cpus_start(void);
void keep_open_start(void);
void keep_files_start(void);
void keep_pipe_start(void);
void keep_poll_start(void);
void keep_epoll_start(void);
void keep_signal_start(void);
void keep_priority_start(void);
void keep_clock_start(void);
/* What a page says of the time of the day. / It was set: timers that wait for one are asked again. */
void keep_clock_page(struct wire_page *page);
void keep_eventfd_clock(void);
void keep_eventfd_start(void);
void keep_signalfd_start(void);
void keep_tty_start(void);
void keep_local_start(void);
void keep_net_start(void);
void keep_object_start(void);
void keep_mqueue_start(void);
void keep_xsi_start(void);
void keep_check_start(void);

#endif
