/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process and its keeper say to each other.
 *
 * A *process* is an environment of its own with the libOS posix in it. What several processes share (names,
 * descriptors, pipes, terminals, who is whose parent) is held by a *keeper*: an ordinary environment
 * (libos/keep) that only those trust who were started by it. The keeper trusts no process: all that comes
 * from one is checked, strings are copied before they are looked at, and what it writes to the page that it
 * shares with a process it never reads back.
 *
 * Request: exo_call on the entry "keeper" of the start record, whose badge names the process: w0 = number, w1..w3 as
 * the request says; larger things lie in the *buffer*, WIRE_BUFFER bytes that both map. One request of a process at
 * a time. Answer: w0 = result (>= 0, or -errno of <errno.h>), w1, w2 = more results; w3 = 0, or WIRE_GIVE_WAY:
 * somebody waits for the keeper; yield to it, which is WIRE_BUSY until another has been served. The transfer's own
 * status is 0. It is WIRE_BUSY, or the transfer fails with EXO_EBUSY, while the keeper is in the middle of
 * something: nothing has happened; say so in the page (`waits`), wake it and yield to it ("keeper.env"), and ask
 * again. WIRE_REFUSED: the keeper does not know the caller.
 *
 *   WIRE_LATER   as result: the keeper has begun and must wait for a disk. `wakes` in the page grows when it is done;
 *                then REQUEST_COLLECT gives the result. Until then the buffer is the keeper's.
 *   WIRE_WAIT    as result: not now; nothing has happened. `wakes` grows when it may be different; then ask again.
 *                Who does not want to wait any more (a signal, O_NONBLOCK, a time) need not say so.
 *
 * Versions: the page names the protocol's major and minor number, a program's note those that it was built for. Requests
 * are never renumbered, fields only appended; what grows in number is as long as the asker says (LIST). So a keeper
 * runs programs of its own major whose minor is not above its own, together; others are refused (exec: EINVAL). What
 * it does not know it answers with -ENOSYS. 1.1 has TIMES, CPUS, RECALL, those of epoll, and LIST's w1; 1.2 MOUNT, UMOUNT,
 * and those from MQ_OPEN on; 1.3 those from PRIORITY on; 1.4 NEXT_FD.
 */
#ifndef LIBOS_POSIX_WIRE_H
#define LIBOS_POSIX_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_MAJOR	1
#define WIRE_MINOR	4
#define WIRE_BUSY	1		/* a transfer's status */
#define WIRE_REFUSED	2
#define WIRE_GIVE_WAY	1
/*
 * A new image's capability table: slot 1 "env", 2 "space", 3 "info", 4 "account", then the following, from
 * slot 5 on. In a child of fork the first seven are its own; the others are as its parent makes them
 * (libos/keep/fork.c).
 */
#define WIRE_ENTRY	"keeper"	/* in the start record: the entry */
#define WIRE_SHARED	"process"	/* the frames of page and buffer: 1 + WIRE_BUFFER / 4096 of them */
#define WIRE_KEEPER	"keeper.env"	/* the keeper itself, to yield to */
/* "data0", "data1" ...: the frames of what is written, and of the arguments; the process's. */
#define WIRE_DATA	"data"
#define WIRE_SLOT_INFO	3		/* empty until REQUEST_INFO: few need it, and it covers many frames */
#define WIRE_SLOT_ENTRY	5
#define WIRE_SLOT_SHARED 6
#define WIRE_SLOT_KEEPER 7
#define WIRE_SLOTS_OWN	7		/* slots 1 to 7 */
#define WIRE_VA_PAGE	0x13000		/* where both are mapped in a process: the page, ... */
#define WIRE_VA_CPUS	0x18000		/* ... dispatcher pages of REQUEST_CPUS ... */
#define WIRE_CPUS	7
#define WIRE_VA_BUFFER	0x120000	/* ... and the buffer */
#define WIRE_VA_ARGS	0x140000	/* struct wire_args; frames of "data" */
#define WIRE_ARGS	(256 * 1024)	/* at most, with it: ARG_MAX is less by a page */
#define WIRE_STACK	(8 << 20)	/* the main stack, behind the image: its page table is there from the start */
#define WIRE_BUFFER	65536
#define WIRE_LATER	(-100000)
#define WIRE_WAIT	(-100001)
#define WIRE_TAKE	(-100002)	/* READ: the process takes them itself */
#define WIRE_PROCESSES	500		/* at most, of one keeper */
#define WIRE_FDS	1024		/* descriptors of a process, at most */

/*
 * The page. Written by the keeper, read and written by the process, which harms only itself by what it writes.
 */
struct wire_signal {
	int32_t number, code, pid, uid;	/* si_signo, si_code, si_pid, si_uid ... */
	int32_t status, spare;		/* si_status */
	uint64_t value;			/* si_value */
};
#define WIRE_SIGNALS	64

/*
 * What was written to the pipe at whose descriptor the process waits (fd1 - 1; fd1 = 0: at none), told of
 * with `wakes`. The process takes all of it by an atomic exchange of `state` from OFFERED to TAKEN, or asks
 * by READ: then the offer is void. While fd1 stands there and nothing is offered, READ would only be
 * WIRE_WAIT: `wakes` grows before that changes.
 */
#define WIRE_GIFT	512
enum { WIRE_NOTHING, WIRE_OFFERED, WIRE_TAKEN };
struct wire_gift {
	uint32_t state, bytes;
	int32_t fd1, spare;
	char data[WIRE_GIFT];
};

struct wire_page {
	uint32_t major, minor, size;
	int32_t pid, ppid, pgid, sid;
	uint32_t uid, euid, gid, egid;	/* for the process to look at; the keeper has its own */
	uint32_t umask;
	uint64_t wakes;			/* grows with each change that the process may wait for; with exo_wake */
	/* signals that came since the process last looked (atomic exchange): bit n - 1 */
	uint64_t pending;
	uint64_t lost;			/* of them, for which there was no room in `signal` */
	uint64_t ignored, blocked;	/* for a new image: with what it begins */
	uint64_t timer, timer_interval;	/* ... and its ITIMER_REAL: when (exo_time_t, 0: not set), and how often */
	uint64_t queued;		/* how many entries of `signal` were ever written; at i % WIRE_SIGNALS */
	uint64_t taken;			/* ... and consumed, by the process */
	struct wire_signal signal[WIRE_SIGNALS];
	struct wire_gift gift;
	uint32_t reserve;		/* so many of the machine's free frames no process is ever given */
	uint32_t waits;			/* 1, by the process: it has found the keeper at work and asks again */
	uint64_t not_data, not_space;	/* ~ of the soft RLIMIT_DATA and RLIMIT_AS, which the process enforces; 0: none */
	uint32_t turns;			/* that it leaves to others after each slice that it has used up, in WIRE_TURN */
	uint32_t cpu;			/* the keeper's, where its home is ... */
	uint64_t not_cpus;		/* ... and those that its threads may not go to */
	uint32_t signalfds, spare2;	/* it has descriptors of signals, and says in `held` ... */
	uint64_t held;			/* ... which it has taken from `pending` and not delivered */
	uint64_t heeded;		/* by the process: what it has ever blocked or waited for; read of process 1 only */
	int64_t day_offset;		/* ns that the time of the day is ahead of the machine's; clock.c ... */
	uint32_t day_sets;		/* ... and how often it was set */
	uint32_t day_seen;		/* ... when the process last looked: by the process */
};

/* What a new image was given; the start record itself has its name only. */
struct wire_args {
	uint32_t argc, envc, bytes, spare;
	char text[];			/* `bytes`: argc strings, then envc, each with its NUL */
};

/* Requests, in the ranges of the keeper's parts (libos/keep/): PATH is a string at the beginning of the buffer. */
enum wire_request {
	/* process.c: 0..31 */
	REQUEST_NULL = 0,
	REQUEST_COLLECT,	/* the result of what was WIRE_LATER; WIRE_WAIT: not yet */
	/*
	 * The keeper makes pid, environment, space, fixed pages, descriptors. w1 = frames for page tables and split
	 * records, at most WIRE_FORK_FRAMES; w2 = where the child begins to run. The caller opens a window of
	 * free slots: [0] becomes the child's ENV (READ, GRANT, CONTROL), [1] its SPACE, from [2] on FRAME
	 * capabilities of those frames. Answer: pid, w1 = how many of the last. The child's space has the tables of
	 * pages below 2 MiB, of the image as the start record says, and of the top of the main stack behind it.
	 */
	REQUEST_FORK_BEGIN,
	REQUEST_FORK_END,	/* w1 = 0: the child runs; answer pid. Not 0: it is given up */
	/*
	 * The buffer's first w2 bytes (behind what REQUEST_ARGS has sent) are strings: path, arguments,
	 * variables; w1 = argc << 32 | envc, w3 = fd of the file (the path is its name only) or -1. Does not
	 * return if it succeeds.
	 */
	REQUEST_EXEC,
	/* posix_spawn: as EXEC, in a new process; w3 = bytes of struct wire_spawn, at the end of those */
	REQUEST_SPAWN,
	REQUEST_EXIT,		/* w1 = wait status */
	/*
	 * w1 = pid as waitpid, w2 = options (waitid's); answer: pid, w1 = wait status, w2 = code << 32 | uid
	 */
	REQUEST_WAIT,
	/* w1 = signal that stops the process: 0, or -EPERM: not that one, its group is orphaned */
	REQUEST_STOPPED,
	REQUEST_KILL,		/* w1 = pid as kill, w2 = signal, w3 = si_value; code SI_QUEUE if w2 has WIRE_QUEUE */
	REQUEST_SETPGID,	/* w1 = pid, w2 = group */
	REQUEST_SETSID,
	REQUEST_GETPGID,	/* w1 = pid; answer w1 = sid */
	/*
	 * w1 = enum wire_ids, with WIRE_IDS_GROUP: of groups; w2 = first | second << 32, w3 = third id; -1:
	 * leave it
	 */
	REQUEST_SETIDS,
	/* the buffer is filled with struct wire_process of all processes, w1 bytes of each (0: WIRE_PROCESS_1_0); how many */
	REQUEST_LIST,
	/*
	 * w1 = RLIMIT_* (Linux' numbers), with WIRE_LIMIT_SET: w2 = soft, w3 = hard; answer w1, w2: as it is
	 * now
	 */
	REQUEST_LIMIT,
	/*
	 * w1 = mask of signals that the process ignores, w2 = that it catches, w3 = that it blocks, as far as
	 * others care
	 */
	REQUEST_IGNORED,
	/*
	 * w1 = when to poke the process (exo_time_t), even if it runs; w2, w3 = its ITIMER_REAL, as in the
	 * page
	 */
	REQUEST_TIMER,
	/* w1 = bytes: the buffer is the beginning of an EXEC's strings, or more of it; w1 = 0: forget them */
	REQUEST_ARGS = 18,
	REQUEST_CHECK,		/* the superuser's: 0: the keeper is in order; 1: it is not, the buffer says why */
	REQUEST_INFO,		/* the capability "info" is there from now on: 0 */
	/* answer w1 = ns of CPU of children that were waited for, and theirs; w2 = of its own earlier images */
	REQUEST_TIMES,
	/*
	 * For threads: an environment with the process's space on each CPU but the process's own, WIRE_CPUS at most, once.
	 * w1 = where they begin, on a stack that ends with their dispatcher page, WIRE_VA_CPUS + i * 4096. The caller opens
	 * a window of WIRE_CPUS free slots: [i] becomes its ENV (READ, WAKE); it has the process's, in slot 1 (WAKE).
	 * Answer: how many
	 */
	REQUEST_CPUS,
	REQUEST_RECALL,		/* w1 = i: that one gets a RUN upcall, even if it runs; not if upcalls are off there */
	/* files.c, open.c, pipe.c, poll.c: 32..95 */
	REQUEST_OPEN = 32,	/* w1 = directory fd or AT_FDCWD, w2 = flags, w3 = mode; PATH */
	/* w1 = fd; WIRE_FORGET: it does not wait for a lock or the other end of a FIFO any more */
	REQUEST_CLOSE,
	REQUEST_READ,		/* w1 = fd, w2 = bytes, w3 = offset or -1 for its own; to the buffer */
	REQUEST_WRITE,		/* the same, from the buffer */
	REQUEST_SEEK,		/* w1 = fd, w2 = offset, w3 = whence */
	REQUEST_STAT,		/* w1 = directory fd, w2 = AT_* flags; PATH; to the buffer: struct stat */
	REQUEST_FSTAT,		/* w1 = fd */
	REQUEST_DUP,		/* w1 = fd, w2 = lowest, w3 = WIRE_DUP_* */
	/* w1 = fd, w2 = command, w3 = argument (struct flock: in the buffer); WIRE_F_FLOCK: w3 = LOCK_* */
	REQUEST_FCNTL,
	REQUEST_PIPE,		/* w1 = flags; answer w1 = reading fd, w2 = writing fd */
	REQUEST_MKNOD,		/* w1 = directory fd, w2 = mode (directories, FIFOs too), w3 = device; PATH */
	REQUEST_UNLINK,		/* w1 = directory fd, w2 = AT_REMOVEDIR; PATH */
	REQUEST_RENAME,		/* w1, w2 = directory fds; PATH, second path right behind */
	REQUEST_LINK,		/* as RENAME, w3 = AT_* flags */
	REQUEST_SYMLINK,	/* w2 = directory fd; target, path right behind */
	REQUEST_READLINK,	/* w1 = directory fd; PATH; to the buffer */
	REQUEST_CHMOD,		/* w1 = directory fd, w2 = mode, w3 = AT_* flags; PATH (empty: the fd itself) */
	REQUEST_CHOWN,		/* w1 = directory fd, w2 = uid << 32 | gid, w3 = flags; PATH */
	REQUEST_UTIMENS,	/* w1 = directory fd, w3 = flags; two struct timespec, PATH behind them */
	REQUEST_TRUNCATE,	/* w1 = fd or -1 with a PATH, w2 = length */
	REQUEST_SYNC,		/* w1 = fd, or -1: all; w2 = 1: its data only */
	REQUEST_GETDENTS,	/* w1 = fd, w2 = bytes at most; struct wire_dirent's to the buffer; bytes */
	REQUEST_CHDIR,		/* w1 = fd, or -1 with a PATH */
	REQUEST_GETCWD,
	REQUEST_STATVFS,	/* w1 = fd, or -1 with a PATH */
	REQUEST_ACCESS,		/* w1 = directory fd, w2 = mode, w3 = flags; PATH */
	REQUEST_UMASK,		/* w1 = mask; the old one */
	/* w1 = count of struct pollfd in the buffer (changed there); WIRE_WAIT: none is ready, 0 if w2 = 1 */
	REQUEST_POLL,
	REQUEST_IOCTL,		/* w1 = fd, w2 = request; argument in the buffer */
	REQUEST_MOUNTS,		/* text of what is mounted to the buffer */
	/* object.c: pages are of the process's own space, va is a multiple of 4096 */
	/*
	 * w1 = fd, or -1: memory, to be shared over fork; w2 = va | WIRE_MAP_*; w3 = pages << 32 | page of
	 * the file
	 */
	REQUEST_MAP,
	REQUEST_MSYNC,		/* w1 = va, w2 = pages, w3 = MS_* */
	REQUEST_SHM,		/* w1, w2 = 0: the folder of memory objects is there */
	REQUEST_UNMAP,		/* w1 = va, w2 = pages: what of it is of an object goes */
	/*
	 * w1 = va, w2 = WIRE_MAP_WRITE, 0, or WIRE_MAP_COPY: its bytes to the buffer's last page. -ENXIO:
	 * beyond the file's end
	 */
	REQUEST_PAGE,
	/*
	 * w1 = address of a uint32_t, w2 = value: WIRE_WAIT while it has it; -EAGAIN: it has not; -ENODEV:
	 * not shared
	 */
	REQUEST_WORD_WAIT,
	REQUEST_WORD_WAKE,	/* w1 = address */
	REQUEST_ALIVE,		/* w1 = pid: 1: runs; 0: does not */
	REQUEST_EPOLL,		/* epoll.c; w1 = flags */
	REQUEST_EPOLL_CTL,	/* w1 = its fd | EPOLL_CTL_* << 32, w2 = the other fd | events << 32, w3 = data */
	/* w1 = fd, w2 = most events, w3 = 1: do not wait; struct wire_event's to the buffer; how many, or WIRE_WAIT */
	REQUEST_EPOLL_WAIT,
	/* mount.c, the superuser's: w1 = WIRE_MOUNT_*; PATH of a directory, source, kind, options, each right behind the other */
	REQUEST_MOUNT,
	REQUEST_UMOUNT,		/* w1 = WIRE_UMOUNT_*; PATH */
	/* tty.c: 96..127 */
	REQUEST_PTY = 96,	/* posix_openpt; w1 = flags */
	REQUEST_TTYNAME,	/* w1 = fd; to the buffer */
	/* net.c, local.c: 128..159 */
	REQUEST_SOCKET = 128,	/* w1 = domain, w2 = type with SOCK_*, w3 = protocol */
	REQUEST_SOCKETPAIR,	/* the same; answer w1, w2 */
	REQUEST_BIND,		/* w1 = fd, w2 = bytes of the address in the buffer */
	REQUEST_CONNECT,
	REQUEST_LISTEN,		/* w1 = fd, w2 = backlog */
	REQUEST_ACCEPT,		/* w1 = fd, w2 = flags; answer: fd; w1 = bytes of the address in the buffer */
	/*
	 * w1 = fd, w2 = descriptors << 32 | bytes, w3 = flags << 32 | bytes of the address: data, address,
	 * numbers
	 */
	REQUEST_SENDTO,
	/*
	 * w1 = fd, w2 = bytes, w3 = most descriptors << 32 | flags; answer w1 = MSG_* << 32 | bytes of the
	 * address, which lies behind all w2 bytes; w2 = descriptors, behind that
	 */
	REQUEST_RECVFROM,
	REQUEST_SHUTDOWN,	/* w1 = fd, w2 = how */
	REQUEST_GETNAME,	/* w1 = fd, w2 = 1: the peer's */
	REQUEST_SOCKOPT,	/* w1 = fd, w2 = level << 32 | name, w3 = bytes to set or -1 to get */
	REQUEST_RESOLVE,	/* a name at the beginning of the buffer; answer w1 = IPv4 address in network order */
	REQUEST_INTERFACES,	/* the buffer is filled with struct wire_interface; how many */
	/* mqueue.c: 160..175 */
	/*
	 * w1 = flags, w2 = mode, w3 = messages << 32 | bytes of each, at most, if it is made; PATH without its slash;
	 * answer: fd, which an exec closes
	 */
	REQUEST_MQ_OPEN = 160,
	REQUEST_MQ_UNLINK,	/* PATH without its slash */
	REQUEST_MQ_SEND,	/* w1 = fd, w2 = bytes of the buffer, w3 = priority */
	REQUEST_MQ_RECEIVE,	/* w1 = fd, w2 = room; to the buffer; answer: bytes, w1 = priority */
	REQUEST_MQ_FORGET,	/* w1 = fd: this one does not wait for a message any more */
	/* w1 = fd, w2 = 1: its O_NONBLOCK becomes w3's; struct wire_mq_attributes to the buffer, as they were */
	REQUEST_MQ_ATTRIBUTES,
	/*
	 * w1 = fd, w2 = WIRE_MQ_* | signal << 32, w3 = si_value, or a number of a thread's own. WIRE_MQ_ASK: WIRE_WAIT
	 * while that thread's registration holds, 0 afterwards
	 */
	REQUEST_MQ_NOTIFY,
	/* xsi_msg.c, xsi_sem.c, xsi_shm.c: 176..191. GET: w1 = key, w2 = size, w3 = WIRE_IPC_* | mode; answer: id */
	REQUEST_MSGGET = 176,
	REQUEST_MSGSND,		/* w1 = id, w2 = bytes of the buffer | WIRE_IPC_NOWAIT, w3 = type */
	/* w1 = id, w2 = room | WIRE_IPC_*, w3 = type; to the buffer; answer: bytes, w1 = type */
	REQUEST_MSGRCV,
	REQUEST_MSGCTL,		/* w1 = id, w2 = WIRE_IPC_*; struct wire_msg in the buffer */
	REQUEST_SEMGET,
	/* w1 = id, w2 = count of struct wire_semop in the buffer, w3 = number of the thread */
	REQUEST_SEMOP,
	REQUEST_SEMFORGET,	/* w1 = id, w3 = the thread that does not wait any more */
	/* w1 = id, w2 = WIRE_IPC_*, WIRE_SEM_* | number << 32, w3 = value; uint16_t's or struct wire_sem in the buffer */
	REQUEST_SEMCTL,
	REQUEST_SHMGET,
	/* w1 = id, w2 = va | WIRE_MAP_WRITE, or without a va: may it be; answer: pages */
	REQUEST_SHMAT,
	REQUEST_SHMDT,		/* w1 = va: how many pages are attached from there on (UNMAP takes them away); or -EINVAL */
	REQUEST_SHMCTL,		/* as MSGCTL, with struct wire_shm */
	/* priority.c: 192..197 */
	/* w1 = WIRE_PRIORITY_* (of WHICH), with WIRE_PRIORITY_SET: w3 = nice; w2 = who; answer: nice + WIRE_NICE */
	REQUEST_PRIORITY = 192,
	/*
	 * w1 = pid or 0, w2 = 1: set its priority to w3's; 2: and its policy; w3 = WIRE_SCHED_* << 32 | priority; answer: the
	 * policy, w1 = the priority, as they were
	 */
	REQUEST_SCHEDULE,
	/* w1 = pid or 0, w2 = CPUs that it may not use, if w3 = 1; answer w1 = those that it may. -EINVAL: not its own */
	REQUEST_AFFINITY,
	/* clock.c: 198..199 */
	REQUEST_CLOCK = 198,	/* w1 = the time of the day in ns since 1970, below WIRE_DAY_END; -EPERM: not the superuser */
	/* eventfd.c, signalfd.c: 200..207 */
	REQUEST_EVENTFD = 200,	/* w1 = count, w2 = O_* | WIRE_EVENT_ONE */
	REQUEST_TIMERFD,	/* w1 = O_*, w2 = 1: of the time of the day, 0: of the monotonic clock */
	/* w1 = fd | WIRE_TIMER_* << 32, w2 = when in ns (0: never), w3 = interval; answer w1 = what was left, w2 = interval */
	REQUEST_TIMERFD_SET,
	/* w1 = fd whose set it becomes, or -1, w2 = set, w3 = O_*. Its READ: WIRE_TAKE, w1 = set, w2: O_NONBLOCK or 0 */
	REQUEST_SIGNALFD,
	REQUEST_SIGNALFD_LOOK,	/* `held` in the page has become more */
	REQUEST_NEXT_FD,	/* open.c: w1 = fd; answer: the lowest that is open from it on, or -EBADF */
	WIRE_REQUESTS = 208
};

#define WIRE_DAY_END	(1ull << 62)	/* in 2116 */
#define WIRE_EVENT_ONE	1
#define WIRE_TIMER_SET	1u
#define WIRE_TIMER_UNTIL 2u		/* a time of its clock; else from now on */
#define WIRE_TIMER_CANCEL 4u		/* ... and a read says -ECANCELED once after the time of the day was set */
#define WIRE_TURN	16
enum { WIRE_PRIORITY_PROCESS, WIRE_PRIORITY_GROUP, WIRE_PRIORITY_USER, WIRE_PRIORITY_SET = 4 };
#define WIRE_NICE	20		/* nice goes from -20 to 19 */
enum { WIRE_SCHED_OTHER, WIRE_SCHED_FIFO, WIRE_SCHED_RR };
#define WIRE_SCHED_MOST	32		/* priorities of the last two: from 1 on */

#define WIRE_MQ_PRIORITIES 32768
enum { WIRE_MQ_NOT, WIRE_MQ_SIGNAL, WIRE_MQ_THREAD, WIRE_MQ_NONE, WIRE_MQ_ASK };
struct wire_mq_attributes {
	int64_t flags, most, bytes, count;
};

#define WIRE_IPC_CREAT	01000u
#define WIRE_IPC_EXCL	02000u
#define WIRE_IPC_NOWAIT	(1ULL << 40)
#define WIRE_IPC_NOERROR (1ULL << 41)	/* MSGRCV: what finds no room is cut off */
#define WIRE_IPC_EXCEPT	(1ULL << 42)	/* MSGRCV: any type but this */
enum {
	WIRE_IPC_RMID, WIRE_IPC_SET, WIRE_IPC_STAT, WIRE_SEM_GETVAL, WIRE_SEM_GETPID, WIRE_SEM_GETNCNT,
	WIRE_SEM_GETZCNT, WIRE_SEM_GETALL, WIRE_SEM_SETVAL, WIRE_SEM_SETALL,
	WIRE_SEM_COUNT			/* how many a set has, for who may write to it */
};
struct wire_xsi {
	int32_t key;
	uint32_t uid, gid, cuid, cgid, mode, sequence, spare;
	int64_t changed;
};
struct wire_msg {
	struct wire_xsi xsi;
	uint64_t bytes, count, most;
	int64_t sent, received;
	int32_t sender, receiver;
};
struct wire_sem {
	struct wire_xsi xsi;
	uint64_t count;
	int64_t done;
};
struct wire_shm {
	struct wire_xsi xsi;
	uint64_t bytes, attached;
	int64_t attached_at, detached_at;
	int32_t maker, last;
};
#define WIRE_SEMOPS	500
#define WIRE_SEM_NOWAIT	04000
#define WIRE_SEM_UNDO	0x1000
struct wire_semop {
	uint16_t number;
	int16_t add, flags;
};

enum wire_ids {
	WIRE_SETUID, WIRE_SETEUID,	/* first */
	WIRE_SETREUID,			/* first = real, second = effective */
	WIRE_SETRESUID,			/* and third = saved */
	WIRE_SETGROUPS,			/* w2 = count; gid_t's in the buffer */
	WIRE_GETGROUPS,			/* to the buffer; answer: how many */
	WIRE_GETIDS			/* to the buffer: real, effective, saved uid, then gid: uint32_t each */
};
#define WIRE_IDS_GROUP	0x100
#define WIRE_LIMIT_SET	0x100
#define WIRE_QUEUE	0x10000	/* KILL: sigqueue */
#define WIRE_NOCLDWAIT	(1ULL << 8)	/* IGNORED: in w1, where SIGKILL would be */
#define WIRE_NOCLDSTOP	(1ULL << 8)	/* IGNORED: in w2 */
#define WIRE_DUP_EXACT	1	/* DUP: dup2, to `lowest` itself */
#define WIRE_DUP_CLOEXEC 2
#define WIRE_MAP_WRITE	2	/* MAP: may be written; only with a descriptor that allows it, if shared */
#define WIRE_MAP_COPY	8	/* MAP: private; PAGE: a copy */

#define WIRE_MOUNT_READ_ONLY 1	/* MOUNT */
#define WIRE_MOUNT_NOSUID 2		/* set-ids count for nothing */
#define WIRE_MOUNT_NODEV 4		/* devices are not opened: EACCES */
#define WIRE_MOUNT_NOEXEC 8		/* nothing is run from there: EACCES */
#define WIRE_UMOUNT_NOFOLLOW 8

#define WIRE_FORGET	(-2)
#define WIRE_F_FLOCK	100

struct wire_dirent {
	uint64_t number;
	int64_t next;		/* where to seek to for what is behind it */
	uint16_t size;		/* of all this: a multiple of 8 */
	uint8_t type;		/* DT_* */
	char name[];		/* NUL-terminated */
};

#define WIRE_FORK_FRAMES 384

/* posix_spawn: attributes, then `actions` file actions in their order, each with the path of an open behind it. */
struct wire_spawn {
	uint32_t flags;		/* WIRE_SPAWN_RESETIDS ... */
	int32_t pgid;
	uint64_t mask, defaults;	/* signals */
	uint32_t actions, schedule;	/* policy << 16 | priority */
};
#define WIRE_SPAWN_RESETIDS	0x01
#define WIRE_SPAWN_SETPGROUP	0x02
#define WIRE_SPAWN_SETSCHEDPARAM 0x04
#define WIRE_SPAWN_SETSCHEDULER	0x08
#define WIRE_SPAWN_SETSIGDEF	0x10
#define WIRE_SPAWN_SETSIGMASK	0x20
#define WIRE_SPAWN_SETSID	0x80
enum { WIRE_SPAWN_OPEN, WIRE_SPAWN_CLOSE, WIRE_SPAWN_DUP2, WIRE_SPAWN_CHDIR, WIRE_SPAWN_FCHDIR };
struct wire_action {
	uint32_t action;	/* WIRE_SPAWN_* */
	int32_t fd, other;	/* DUP2: to `other` */
	uint32_t flags, mode;	/* OPEN */
	uint32_t bytes;		/* of this and the path with its NUL, a multiple of 8 */
};

/* What epoll says, as on Linux; `events` has poll's bits, and in EPOLL_CTL these. */
struct wire_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));
enum { WIRE_EPOLL_ADD = 1, WIRE_EPOLL_DEL, WIRE_EPOLL_MOD };
#define WIRE_EPOLL_ONCE	0x40000000u	/* EPOLLONESHOT */
#define WIRE_EPOLL_EDGE	0x80000000u	/* EPOLLET */
#define WIRE_POLLRDHUP	0x2000		/* poll, epoll: a stream whose other end sends nothing more */
#define WIRE_EVENTS	4096		/* of one EPOLL_WAIT, at most */

struct wire_interface {
	char name[16];
	uint32_t index, flags;		/* IFF_* */
	uint32_t address, mask, broadcast;	/* network byte order */
	uint32_t mtu;
	uint8_t mac[8];
};

struct wire_process {
	int32_t pid, ppid, pgid, sid;
	uint32_t uid, state;		/* state: 'R', 'S', 'T', 'Z' */
	uint64_t env;			/* exo_env_id_t */
	uint64_t started;		/* exo_time_t */
	int32_t tty;			/* minor number, -1: none */
	char name[44];
	uint64_t ns;			/* of CPU; since 1.1 */
};
#define WIRE_PROCESS_1_0	offsetof(struct wire_process, ns)

#endif
