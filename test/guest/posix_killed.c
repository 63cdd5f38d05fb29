/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Killed at every point: a child works (pipes, descriptors, children, sockets, terminals, signals, memory, exec,
 * messages, mounts), and its parent kills it after every so many instructions. Survivors finish, the keeper's checker
 * finds nothing, and no frames are lost.
 *
 * Run with: --icount
 * Time limit: 300 s
 *
 * Under --icount a nanosecond is an instruction. The child begins its work a number of instructions before the end of
 * its slice, where its parent runs and kills it (posix_slices.h). Which requests it has made by then, and where in
 * between it is, that number says. How much more it was given the CPU for, until it was dead, the kernel says: what
 * the keeper does for it then, to end a request that it is in the middle of, is the time of the one who kills. 19 of
 * 20 have to die within NEAR instructions of the slice's end, or of that of the kernel's call that they are in.
 *
 * Argument: `step=N` (instructions; 1000 with long=1), `kind=N` for one of the kinds.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "libos/core/core.h"
#include "libos/core/spawn.h"
#include "libos/posix/call.h"
#include "test/guest/posix_slices.h"
#include "test/guest/tap.h"

#define SELF		"/bin/posix_killed"
#define RECORD		48	/* bytes of a record in the survivor's pipe */
#define NAME		"/tmp/killed.socket"
#define MOUNT		"/tmp/killed.mount"
#define SHARED		"/tmp/killed.shared"
#define NEAR		1000
#define LEAST		95	/* of 100 die within these */

static volatile struct {
	exo_time_t from;	/* when to begin; 0: not told yet */
	exo_env_id_t env;	/* the child's, as it says */
} *shared;

static int out;			/* the pipe to the survivor */
static char record[RECORD];

static void tell(void)
{
	if (write(out, record, RECORD) != RECORD)
		_exit(3);
}

/* --- what is done until death ------------------------------------------------------------------------- */

static void do_pipes(void)
{
	int ends[2];
	char bytes[6000];

	if (pipe(ends))
		_exit(4);
	write(ends[1], record, RECORD);
	tell();
	read(ends[0], bytes, RECORD);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	write(ends[1], bytes, sizeof(bytes));
	close(ends[0]);
	close(ends[1]);
}

static void do_descriptors(void)
{
	int a = open("/tmp/killed", O_RDWR | O_CREAT, 0600), b = dup(a), c = fcntl(a, F_DUPFD, 100);

	write(a, record, RECORD);
	tell();
	dup2(b, c);
	lseek(b, 0, SEEK_SET);
	read(c, record, 1);
	close(a);
	struct flock lock = { .l_type = F_WRLCK };
	fcntl(b, F_SETLK, &lock);
	close(b);
	close(c);
	unlink("/tmp/killed");
}

static void do_children(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(5);
	tell();
	waitpid(pid, NULL, 0);
}

static void do_sockets(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = NAME };
	int pair[2], fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char bytes[RECORD];

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	write(pair[0], record, RECORD);
	read(pair[1], bytes, RECORD);
	struct iovec iov = { record, 1 };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS } };
	memcpy(CMSG_DATA(&control.header), &pair[1], sizeof(int));
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	sendmsg(pair[0], &message, 0);
	tell();
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&name, sizeof(name))) {
		write(fd, record, RECORD);
		read(fd, bytes, RECORD);
	}
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void do_terminals(void)
{
	int master, slave;
	char bytes[RECORD];

	if (openpty(&master, &slave, NULL, NULL, NULL))
		_exit(6);
	signal(SIGHUP, SIG_IGN);
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	write(master, "line\n", 5);
	tell();
	read(slave, bytes, RECORD);
	tcflush(slave, TCIOFLUSH);
	close(slave);
	close(master);
}

static void handler(int number)
{
	(void)number;
	tell();
}

static void do_signals(void)
{
	sigset_t set;

	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR2);
	kill(0, 0);
	sigqueue(getpid(), SIGRTMIN, (union sigval){ 0 });
	alarm(10);
	alarm(0);
	sigtimedwait(&set, NULL, &(struct timespec){ 0 });
	sigtimedwait(&set, NULL, &(struct timespec){ 0 });
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static int sems;		/* of which the survivor looks at the first: 10, whoever dies */

static void add(int what)
{
	struct sembuf op = { .sem_op = (short)what, .sem_flg = SEM_UNDO };

	semop(sems, &op, 1);
}

static void do_messages(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 4, .mq_msgsize = 100 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG };
	struct {
		long type;
		char text[RECORD];
	} message = { .type = 1 };
	mqd_t queue = mq_open("/killed", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attributes);
	int id = msgget(RECORD, IPC_CREAT | 0600), memory = shmget(RECORD, 8192, IPC_CREAT | 0600);
	char *at = shmat(memory, NULL, 0), bytes[100];

	mq_notify(queue, &event);
	mq_send(queue, record, RECORD, 1);
	mq_send(queue, record, 0, 5);
	tell();
	add(-2);
	mq_receive(queue, bytes, sizeof(bytes), NULL);
	msgsnd(id, &message, RECORD, IPC_NOWAIT);
	at[4096] = 1;
	add(1);
	msgrcv(id, &message, RECORD, 0, IPC_NOWAIT);
	shmctl(memory, IPC_RMID, NULL);
	shmdt(at);
	msgctl(id, IPC_RMID, NULL);
	add(1);
	mq_unlink("/killed");
	mq_close(queue);
}

static void do_mounts(void)
{
	int fd;

	mkdir(MOUNT, 0700);
	if (mount("none", MOUNT, "tmpfs", 0, "size=1M"))
		_exit(10);
	fd = open(MOUNT "/file", O_RDWR | O_CREAT, 0600);
	write(fd, record, RECORD);
	tell();
	chdir(MOUNT);
	umount(MOUNT);		/* it is in use */
	chdir("/");
	close(fd);
	if (umount(MOUNT))
		_exit(11);
	rmdir(MOUNT);
}

/* Nobody is in it any more, so that it goes if it was there. */
static bool unmounted(void)
{
	return !umount(MOUNT) || errno == EINVAL || errno == ENOENT;
}

static void *thread(void *arg)
{
	tell();
	return arg;
}

static void do_memory(void)
{
	pthread_t other;
	char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(8);
	memset(memory, 1, 65536);
	if (pthread_create(&other, NULL, thread, NULL))
		_exit(9);
	pthread_join(other, NULL);
	munmap(memory, 65536);
	free(malloc(100000));
}

static void do_exec(void)
{
	char *arguments[] = { (char *)"killed", (char *)"nothing", NULL };
	pid_t pid;

	if (!posix_spawn(&pid, SELF, NULL, NULL, arguments, NULL)) {
		tell();
		waitpid(pid, NULL, 0);
	}
	execv(SELF, (char *[]){ (char *)"killed", (char *)"spin", NULL });
	_exit(7);
}

static const struct {
	const char *name;
	void (*run)(void);
	uint64_t reach;		/* instructions of its work, at most */
} kinds[] = {
	{ "pipes", do_pipes, 120000 }, { "descriptors", do_descriptors, 120000 }, { "children", do_children, 400000 },
	{ "sockets", do_sockets, 120000 }, { "terminals", do_terminals, 120000 }, { "signals", do_signals, 120000 },
	{ "memory", do_memory, 120000 }, { "exec", do_exec, 900000 }, { "messages", do_messages, 120000 },
	{ "mounts", do_mounts, 120000 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* --- killing ------------------------------------------------------------------------------------------ */

/* What parent and child, whatever it has become, both see. */
static bool share(int flags)
{
	int fd = open(SHARED, O_RDWR | flags, 0600);

	if (fd < 0 || ftruncate(fd, EXO_PAGE_SIZE))
		return false;
	shared = mmap(NULL, EXO_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return shared != MAP_FAILED;
}

static void work(unsigned kind, int end)
{
	out = end;
	for (unsigned i = 0; i < RECORD; i++)
		record[i] = (char)i;
	shared->env = core_disp->self;
	while (!shared->from || core_now() < shared->from)
		;
	for (;;)
		kinds[kind].run();
}

/* What exec made of a child. */
static void spin(void)
{
	if (share(0))
		shared->env = core_disp->self;
	for (;;)
		write(1, "", 0);
}

static const char *check(void)
{
	static char why[128];
	int64_t result;

	posix_lock();
	result = posix_ask(REQUEST_CHECK, 0, 0, 0, NULL);
	memcpy(why, posix_buffer, sizeof(why));
	posix_unlock();
	return result ? result < 0 ? "not asked" : why : NULL;
}

static unsigned long records;	/* that survived */
static unsigned near;		/* kills that came within NEAR instructions ... */
static uint64_t latest;		/* ... and within how many all did */

/* What the child wrote comes to its end, whole. */
static const char *survive(int end)
{
	static char bytes[RECORD * 16];
	ssize_t part;
	size_t all = 0;

	struct pollfd poll_for = { .fd = end, .events = POLLIN };
	for (;;) {
		if (poll(&poll_for, 1, 5000) != 1)
			return "a pipe of the dead that never ends";
		part = read(end, bytes, sizeof(bytes));
		if (part <= 0)
			break;
		for (ssize_t i = 0; i < part; i++)
			if (bytes[i] != (char)(all++ % RECORD))
				return "half a record";
	}
	records += all / RECORD;
	return part < 0 ? "read" : all % RECORD ? "half a record at the end" : NULL;
}

/* CPU time of an environment, ever; 0: it is not known. */
static uint64_t time_of(exo_env_id_t env)
{
	const struct exo_env_info *info = env ? info_env((uint32_t)env) : NULL;

	return info && info->id == env ? info->ns : 0;
}

/* Kill a child that waits to begin, so many instructions after it did. */
static void kill_after(pid_t pid, uint64_t instructions)
{
	uint64_t slice = core_info->slice_ns, before, then, late;
	exo_env_id_t env;

	while (!shared->env)
		others_run();
	exo_time_t end = next_slice() + slice;
	env = shared->env;
	before = time_of(env);
	shared->from = end - instructions;
	others_run_until(end);
	exo_time_t now = core_now();
	then = time_of(shared->env);
	kill(pid, SIGKILL);
	late = time_of(shared->env);
	late = late > then ? late - then : 0;	/* exec has ended the one that it was, or it is as it was */
	if (now - end > slice / 2)
		late += now - end;
	near += late <= NEAR;
	if (env == shared->env && then - before > slice)	/* the kernel let it go so much later */
		late += then - before - slice;
	if (late > latest)
		latest = late;
}

static const char *kill_at(unsigned kind, uint64_t instructions)
{
	int ends[2], status;
	const char *wrong;

	if (pipe(ends))
		return "pipe";
	shared->from = shared->env = 0;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		work(kind, ends[1]);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return "fork";
	}
	kill_after(pid, instructions);
	wrong = survive(ends[0]);
	close(ends[0]);
	if (!wrong && (waitpid(pid, &status, 0) != pid || status != SIGKILL)) {
		printf("# its status: 0x%x after %lu rounds\n", status, records);
		wrong = "waitpid";
	}
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
	if (!wrong && semctl(sems, 0, GETVAL) != 10)
		wrong = "SEM_UNDO";
	if (!wrong && !unmounted())
		wrong = "a mount that is in use by the dead";
	return wrong ? wrong : check();
}

/* A survivor that serves all who come. */
static pid_t serve(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = NAME };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char bytes[RECORD];
	pid_t pid;

	unlink(NAME);
	bind(fd, (struct sockaddr *)&name, sizeof(name));
	listen(fd, 5);
	fflush(stdout);
	pid = fork();
	while (pid == 0) {
		int come = accept(fd, NULL, NULL);
		ssize_t part;
		while (come >= 0 && (part = read(come, bytes, sizeof(bytes))) > 0)
			send(come, bytes, (size_t)part, MSG_NOSIGNAL);
		close(come);
	}
	close(fd);
	return pid;
}

static bool still_serves(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = NAME };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char bytes[RECORD] = "";
	bool good;

	good = !connect(fd, (struct sockaddr *)&name, sizeof(name)) && write(fd, "hello", 5) == 5 &&
	       read(fd, bytes, sizeof(bytes)) == 5 && !memcmp(bytes, "hello", 5);
	close(fd);
	return good;
}

static long option(int argc, char **argv, const char *name, long otherwise)
{
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], name, strlen(name)))
			return atol(argv[i] + strlen(name));
	return otherwise;
}

/* All points of a kind. */
static void kill_all(unsigned kind, uint64_t step)
{
	const char *wrong = NULL;
	unsigned deaths = 0;
	uint32_t before = 0;

	records = near = 0;
	latest = 0;
	for (uint64_t at = step; at <= kinds[kind].reach && !wrong; at += step, deaths++) {
		wrong = kill_at(kind, at);
		if (deaths == 3)
			before = core_info->frames_free;
		if (wrong)
			printf("# %lu instructions: %s\n", at, wrong);
	}
	int lost = (int)(before - core_info->frames_free);
	ok(!wrong, "%s: killed %u times, after %lu rounds, %d frames fewer than at first", kinds[kind].name, deaths,
	   records, lost);
	ok(lost < 100, "... none lost");
	ok((deaths - near) * 100 < deaths * (100 - LEAST) + 100,
	   "... %u within %d instructions of the point, all within %lu with the kernel's", near, NEAR, latest);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc > 1 && !strcmp(argv[1], "spin"))
		spin();
	uint64_t step = (uint64_t)option(argc, argv, "step=", option(argc, argv, "long=", 0) ? 1000 : 11000);
	long only = option(argc, argv, "kind=", -1);
	pid_t server = serve();

	posix_need_info();
	if (!share(O_CREAT))
		return 1;
	sems = semget(IPC_PRIVATE, 1, 0600);
	semctl(sems, 0, SETVAL, 10);
	for (unsigned kind = 0; kind < KINDS; kind++)
		if (only < 0 || kind == (unsigned)only)
			kill_all(kind, step);
	ok(still_serves(), "who has served them all still serves");
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	ok(!check(), "the keeper is in order at the end");
	return tap_done();
}
