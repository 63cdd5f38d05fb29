/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests of a keeper's signals, job control and terminals (libos/keep: signal, job, tty, tty_ioctl,
 * tty_open, pty) with a table of processes that nobody runs. What process.c and open.c would do is played
 * here.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "libos/keep/files.h"
#include "libos/keep/tty.h"
#include "test/unit/tap.h"

#define BIT(number)	(1ULL << ((number) - 1))
#define RANDOM_STEPS	200000

/* --- played ------------------------------------------------------------------------------------------- */

static struct keep_process table[WIRE_PROCESSES];
struct keep_process *keep_process = table;
uint32_t keep_used = WIRE_PROCESSES;
bool keep_input_plain;
static struct wire_page pages[WIRE_PROCESSES];
static char buffers[WIRE_PROCESSES][4096];
static keep_handler handlers[WIRE_REQUESTS];
static struct thread_poller *pollers;
static exo_time_t now = 1000;
static int killed[WIRE_PROCESSES], pokes[WIRE_PROCESSES], files;

struct keep_file *keep_input_make(void)
{
	return NULL;
}

void keep_serve(enum wire_request number, keep_handler handler)
{
	handlers[number] = handler;
}

void keep_again(void)
{
}

void thread_add_poller(struct thread_poller *poller)
{
	poller->next = pollers;
	pollers = poller;
}

exo_time_t core_now(void)
{
	return now;
}

size_t core_format(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int bytes = vsnprintf(buffer, size, format, arguments);
	va_end(arguments);
	return (size_t)bytes;
}

void keep_wait(struct keep_queue *queue, const struct keep_process *process)
{
	queue->waits[process->index / 64] |= 1ULL << process->index % 64;
	queue->some |= 1ULL << process->index / 64;
}

void keep_poke(struct keep_process *process)
{
	pokes[process->index]++;
}

void keep_wake(struct keep_queue *queue)
{
	for (uint32_t i = 0; i < WIRE_PROCESSES; i++)
		if (queue->waits[i / 64] >> i % 64 & 1)
			keep_poke(&keep_process[i]);
	memset(queue, 0, sizeof(*queue));
}

void keep_kill(struct keep_process *process, int status)
{
	process->ending = true;
	keep_signal_exit(process);
	killed[process->index] = status;
	process->state = KEEP_ZOMBIE;
	process->ending = false;
}

struct keep_file *keep_file_make(const struct keep_kind *kind, void *object, int flags)
{
	struct keep_file *file = calloc(1, sizeof(*file));

	file->kind = kind;
	file->object = object;
	file->flags = flags;
	file->refs = 1;
	files++;
	return file;
}

void keep_file_hold(struct keep_file *file)
{
	file->refs++;
}

void keep_file_drop(struct keep_file *file)
{
	if (--file->refs)
		return;
	file->kind->close(file);
	free(file);
	files--;
}

int64_t keep_fd_add(struct keep_process *process, struct keep_file *file, int lowest, bool cloexec)
{
	process->fd[lowest] = (struct keep_fd){ .file = file, .cloexec = cloexec };
	return lowest;
}

struct keep_file *keep_fd_file(const struct keep_process *process, int64_t fd)
{
	return fd >= 0 && fd < WIRE_FDS ? process->fd[fd].file : NULL;
}

static struct {
	char name[32];
	uint64_t device;
	bool there;
} names[64];

int keep_device(const char *name, mode_t mode, uint64_t device, uid_t uid, keep_device_open open)
{
	unsigned i = 0;

	(void)mode, (void)uid, (void)open;
	while (names[i].there)
		i++;
	snprintf(names[i].name, sizeof(names[i].name), "/dev/%s", name);
	names[i].device = device;
	names[i].there = true;
	return 0;
}

void keep_device_remove(const char *name, uint64_t device)
{
	(void)name;
	for (unsigned i = 0; i < 64; i++)
		if (names[i].there && names[i].device == device)
			names[i].there = false;
}

static int64_t open_name(struct keep_process *process, const char *name, int flags, struct keep_file **file)
{
	for (unsigned i = 0; i < 64; i++)
		if (names[i].there && !strcmp(names[i].name, name))
			return keep_tty_open(process, names[i].device, flags, file);
	return -ENOENT;
}

static void on_room(struct ldisc *ldisc)
{
	(void)ldisc;
}

void console_start(void)
{
	static const struct ldisc_hooks hooks = { tty_signal, tty_input, on_room, on_room };

	tty_start(&keep_ttys[TTY_CONSOLE], &hooks);
}

/* --- steps -------------------------------------------------------------------------------------------- */

static struct keep_process *make(unsigned index, struct keep_process *parent)
{
	struct keep_process *process = &table[index];

	memset(process, 0, sizeof(*process));
	process->index = index;
	process->pid = (pid_t)index + 1;
	process->page = &pages[index];
	memset(process->page, 0, sizeof(*process->page));
	process->buffer = buffers[index];
	process->state = KEEP_RUNNING;
	process->pgid = process->sid = process->pid;
	killed[index] = pokes[index] = 0;
	if (parent) {
		process->parent = parent;
		process->pgid = parent->pgid;
		process->sid = parent->sid;
		process->tty = parent->tty;
		process->uid = process->euid = process->suid = parent->uid;
		keep_signal_forked(process, parent);
	}
	return process;
}

static void clear(void)
{
	memset(table, 0, sizeof(table));
}

static int64_t ask(struct keep_process *process, enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3)
{
	struct keep_request request = { .process = process, .word = { w1, w2, w3 }, .data = process->buffer };

	return handlers[number](&request);
}

static int64_t kill_as(struct keep_process *process, pid_t pid, int number)
{
	return ask(process, REQUEST_KILL, (uint64_t)(int64_t)pid, (uint64_t)number, 0);
}

/* What a process finds that has looked: the signals that came. */
static uint64_t look(struct keep_process *process)
{
	uint64_t set = process->page->lost;

	for (; process->page->taken != process->page->queued; process->page->taken++)
		set |= BIT(process->page->signal[process->page->taken % WIRE_SIGNALS].number);
	process->page->pending = process->page->lost = 0;
	return set;
}

static int64_t read_as(struct keep_process *process, struct keep_file *file, char *to, uint64_t bytes)
{
	struct keep_request request = { .process = process, .data = process->buffer };

	return file->kind->read(file, &request, to, bytes, -1);
}

static int64_t write_as(struct keep_process *process, struct keep_file *file, const char *text)
{
	struct keep_request request = { .process = process, .data = process->buffer };

	return file->kind->write(file, &request, text, strlen(text), -1);
}

static int64_t control(struct keep_process *process, struct keep_file *file, uint64_t number, void *argument,
		       size_t bytes)
{
	struct keep_request request = { .process = process, .data = process->buffer };
	int64_t result;

	memcpy(process->buffer, argument, bytes);
	result = file->kind->ioctl(file, &request, number, process->buffer);
	if (result > 0)
		memcpy(argument, process->buffer, bytes);
	return result;
}

/* --- signals ------------------------------------------------------------------------------------------ */

static void test_kill(void)
{
	clear();
	struct keep_process *init = make(0, NULL), *a = make(1, init), *b = make(2, a), *other = make(3, init);

	a->pgid = b->pgid = a->pid;
	other->uid = other->euid = other->suid = 5;
	other->sid = other->pgid = other->pid;
	is_int(kill_as(a, b->pid, SIGTERM), 0, "kill");
	is_int(b->page->signal[0].pid, a->pid, "... says who");
	ok(look(b) == BIT(SIGTERM), "... what");
	is_int(kill_as(a, 99, SIGTERM), -ESRCH, "nobody of that pid");
	is_int(kill_as(a, b->pid, 200), -EINVAL, "no such signal");
	is_int(kill_as(other, b->pid, SIGTERM), -EPERM, "another user's process");
	is_int(kill_as(other, -a->pgid, 0), -EPERM, "... or group");
	is_int(kill_as(other, b->pid, SIGCONT), -EPERM, "SIGCONT only within the session");
	is_int(kill_as(a, 0, SIGUSR1), 0, "pid 0: the group");
	ok(look(a) == BIT(SIGUSR1) && look(b) == BIT(SIGUSR1) && !look(other), "... and nobody else");
	is_int(kill_as(a, -1, SIGUSR1), 0, "pid -1: everybody");
	ok(!look(a) && look(b) && look(other) && !look(init), "... but oneself and the first process");
	is_int(kill_as(a, 1, SIGKILL), 0, "nothing ends the first process");
	ok(!killed[0], "... that it does not catch");
	is_int(kill_as(a, b->pid, SIGKILL), 0, "SIGKILL");
	is_int(killed[2], SIGKILL, "... ends it");
	is_int(kill_as(a, b->pid, 0), 0, "a zombie is there still");
	ask(other, REQUEST_IGNORED, BIT(SIGUSR2), 0, 0);
	kill_as(init, other->pid, SIGUSR2);
	ok(!look(other), "what is ignored does not come");
}

static void test_queue(void)
{
	clear();
	struct keep_process *init = make(0, NULL), *a = make(1, init);
	int64_t result = 0;
	int sent = 0;

	while (!(result = ask(init, REQUEST_KILL, 2, 40 | WIRE_QUEUE, (uint64_t)sent)) && sent < 1000)
		sent++;
	is_int(sent, WIRE_SIGNALS, "sigqueue until the queue is full");
	is_int(result, -EAGAIN, "... then EAGAIN");
	bool order = true;
	for (int i = 0; i < sent; i++)
		order &= a->page->signal[i].value == (uint64_t)i;
	ok(order, "values come in order");
	is_int(kill_as(init, 2, SIGHUP), 0, "an old signal always gets through");
	ok(look(a) & BIT(SIGHUP), "... without who and why");
	for (int i = 0; i < 100000; i++)
		kill_as(init, 2, SIGUSR1);
	is_int((long long)(a->page->queued - a->page->taken), 1, "a flood of one signal takes one place");
	a->page->taken = 12345678;
	is_int(ask(init, REQUEST_KILL, 2, 40 | WIRE_QUEUE, 1), -EAGAIN, "a page that lies harms who wrote it");
}

static void test_children(void)
{
	clear();
	struct keep_process *init = make(0, NULL), *shell = make(1, init), *child = make(2, shell);

	init->sid = 77;
	child->pgid = child->pid;
	is_int(ask(child, REQUEST_STOPPED, SIGTSTP, 0, 0), 0, "a child stops");
	ok(child->state == KEEP_STOPPED && child->report && WIFSTOPPED(child->status), "... its status says so");
	is_int(shell->page->signal[0].code, CLD_STOPPED, "SIGCHLD of it");
	look(shell);
	kill_as(shell, child->pid, SIGCONT);
	ok(child->state == KEEP_RUNNING && child->report && child->status == 0xffff, "SIGCONT continues it");
	is_int(shell->page->signal[1].code, CLD_CONTINUED, "SIGCHLD of it");
	look(shell);
	look(child);
	ask(shell, REQUEST_IGNORED, 0, WIRE_NOCLDSTOP, 0);
	ask(child, REQUEST_STOPPED, SIGSTOP, 0, 0);
	ok(!look(shell), "SA_NOCLDSTOP");
	kill_as(shell, child->pid, SIGCONT);
	kill_as(shell, child->pid, SIGCONT);
	is_int(ask(child, REQUEST_STOPPED, SIGTSTP, 0, 0), 0, "who has been told to go on meanwhile");
	ok(child->state == KEEP_RUNNING, "... does not stop");
	ok(keep_signal_child(child, CLD_EXITED, 3), "a parent that does not ignore SIGCHLD wants the zombie");
	is_int((long long)shell->page->signal[2].status, 3, "... and sees the exit value");
	ask(shell, REQUEST_IGNORED, BIT(SIGCHLD), 0, 0);
	ok(!keep_signal_child(child, CLD_EXITED, 3), "one that ignores it does not");
	ask(shell, REQUEST_IGNORED, WIRE_NOCLDWAIT, 0, 0);
	ok(!keep_signal_child(child, CLD_EXITED, 3), "one with SA_NOCLDWAIT neither");
	is_int(ask(shell, REQUEST_STOPPED, SIGTSTP, 0, 0), -EPERM, "an orphaned group is not stopped by a terminal");
	is_int(ask(shell, REQUEST_STOPPED, SIGTERM, 0, 0), -EINVAL, "SIGTERM stops nobody");
}

static void test_orphans(void)
{
	clear();
	struct keep_process *init = make(0, NULL), *shell = make(1, init), *job = make(2, shell), *two = make(3, job);

	init->sid = init->pgid = 77;
	job->pgid = two->pgid = job->pid;
	ask(two, REQUEST_STOPPED, SIGTSTP, 0, 0);
	look(job);
	keep_kill(shell, 0);
	ok(look(two) == (BIT(SIGHUP) | BIT(SIGCONT)), "a group that is orphaned with a stopped member: HUP, CONT");
	ok(look(job) == (BIT(SIGHUP) | BIT(SIGCONT) | BIT(SIGCHLD)), "... to all of it");
	ok(two->state == KEEP_RUNNING, "... it goes on");
}

static void test_timer(void)
{
	clear();
	struct keep_process *init = make(0, NULL), *a = make(1, init);
	exo_time_t next = EXO_NEVER;

	ask(a, REQUEST_TIMER, now + 500, 0, 0);
	for (struct thread_poller *poller = pollers; poller; poller = poller->next) {
		exo_time_t at = poller->poll(poller->arg);
		next = at < next ? at : next;
	}
	ok(next == now + 500 && !pokes[1], "a timer's poke is awaited");
	now += 500;
	for (struct thread_poller *poller = pollers; poller; poller = poller->next)
		poller->poll(poller->arg);
	is_int(pokes[1], 1, "... and comes");
	kill_as(init, 2, SIGINT);
	now += CORE_SECOND;
	for (struct thread_poller *poller = pollers; poller; poller = poller->next)
		poller->poll(poller->arg);
	is_int(pokes[1], 4, "who has not taken its signals, nor named another time, is poked again");
}

/* --- terminals ---------------------------------------------------------------------------------------- */

static struct keep_process *init, *shell, *job;
static struct keep_file *master, *slave;

static void open_pty(void)
{
	int unlock = 0;
	unsigned number;
	char name[32];

	clear();
	init = make(0, NULL);
	init->sid = init->pgid = 77;
	shell = make(1, init);
	shell->pgid = shell->sid = shell->pid;
	is_int(open_name(init, "/dev/ptmx", O_RDWR, &master), 0, "open /dev/ptmx");
	is_int(control(init, master, TIOCGPTN, &number, sizeof(number)), sizeof(number), "its number");
	snprintf(name, sizeof(name), "/dev/pts/%u", number);
	is_int(open_name(shell, name, O_RDWR, &slave), -EIO, "locked at first");
	is_int(control(init, master, TIOCSPTLCK, &unlock, sizeof(unlock)), 0, "unlockpt");
	is_int(open_name(shell, name, O_RDWR, &slave), 0, "open the slave");
	ok(shell->tty == slave->object, "it becomes the leader's controlling terminal");
	job = make(2, shell);
	job->pgid = job->pid;
}

static void test_pty(void)
{
	char buffer[64];
	pid_t pgid = 0;

	open_pty();
	is_int(read_as(shell, slave, buffer, 64), WIRE_WAIT, "nothing is typed yet");
	is_int(write_as(init, master, "ls\n"), 3, "type");
	ok(pokes[1] > 0, "the reader is woken");
	is_text(buffer, (size_t)read_as(shell, slave, buffer, 64), "ls\n", "read");
	is_text(buffer, (size_t)read_as(init, master, buffer, 64), "ls\r\n", "the echo");
	write_as(shell, slave, "out\n");
	is_text(buffer, (size_t)read_as(init, master, buffer, 64), "out\r\n", "output");
	is_int(control(shell, slave, TIOCGPGRP, &pgid, sizeof(pgid)), sizeof(pgid), "tcgetpgrp");
	is_int(pgid, shell->pgid, "the shell is in the foreground");
	is_int(read_as(job, slave, buffer, 64), WIRE_WAIT, "a job in the background reads");
	ok(look(job) == BIT(SIGTTIN), "... and gets SIGTTIN");
	ask(job, REQUEST_IGNORED, BIT(SIGTTIN), 0, 0);
	is_int(read_as(job, slave, buffer, 64), -EIO, "... or EIO if it ignores that");
	is_int(write_as(job, slave, "x"), 1, "it may write");
	pgid = job->pgid;
	is_int(control(job, slave, TIOCSPGRP, &pgid, sizeof(pgid)), WIRE_WAIT, "it may not take the terminal");
	ok(look(job) == BIT(SIGTTOU), "... but gets SIGTTOU");
	is_int(control(shell, slave, TIOCSPGRP, &pgid, sizeof(pgid)), 0, "the shell gives it away");
	pgid = 4711;
	is_int(control(job, slave, TIOCSPGRP, &pgid, sizeof(pgid)), -EPERM, "to a group that is not there: EPERM");
	write_as(init, master, "\3");
	ok(look(job) == BIT(SIGINT) && !look(shell), "Ctrl-C goes to the foreground group");
	struct winsize size = { 50, 100, 0, 0 };
	control(init, master, TIOCSWINSZ, &size, sizeof(size));
	ok(look(job) == BIT(SIGWINCH), "a new size: SIGWINCH");
	struct termios t;
	control(job, slave, TCGETS, &t, sizeof(t));
	t.c_lflag |= TOSTOP;
	control(job, slave, TCSETS, &t, sizeof(t));
	is_int(write_as(shell, slave, "x"), -EIO, "TOSTOP: an orphaned group gets EIO");
	keep_file_drop(master);
	ok(look(shell) & BIT(SIGHUP) && look(job) & BIT(SIGHUP), "the master is closed: SIGHUP");
	is_int(read_as(job, slave, buffer, 64), 0, "... end of file");
	is_int(write_as(job, slave, "x"), -EIO, "... EIO");
	ok(!shell->tty && !job->tty, "... and no controlling terminal");
	keep_file_drop(slave);
	is_int(files, 0, "all is closed");
}

static void test_raw(void)
{
	char buffer[64];
	struct termios t;

	open_pty();
	control(shell, slave, TCGETS, &t, sizeof(t));
	t.c_lflag = 0;
	t.c_cc[VMIN] = 3;
	t.c_cc[VTIME] = 0;
	control(shell, slave, TCSETS, &t, sizeof(t));
	write_as(init, master, "ab");
	is_int(read_as(shell, slave, buffer, 64), WIRE_WAIT, "VMIN 3: two are too few");
	is_int(read_as(shell, slave, buffer, 2), 2, "... unless no more are wanted");
	write_as(init, master, "abc");
	is_int(read_as(shell, slave, buffer, 64), 3, "... three are enough");
	t.c_cc[VMIN] = 0;
	control(shell, slave, TCSETS, &t, sizeof(t));
	is_int(read_as(shell, slave, buffer, 64), 0, "VMIN 0, VTIME 0: never waits");
	t.c_cc[VTIME] = 5;
	control(shell, slave, TCSETS, &t, sizeof(t));
	is_int(read_as(shell, slave, buffer, 64), WIRE_WAIT, "VTIME 5: waits");
	now += CORE_SECOND / 2;
	is_int(read_as(shell, slave, buffer, 64), 0, "... for half a second");
	t.c_cc[VMIN] = 10;
	control(shell, slave, TCSETS, &t, sizeof(t));
	is_int(read_as(shell, slave, buffer, 64), WIRE_WAIT, "VMIN and VTIME");
	now += CORE_SECOND;
	is_int(read_as(shell, slave, buffer, 64), WIRE_WAIT, "... wait for the first byte for ever");
	write_as(init, master, "a");
	is_int(read_as(shell, slave, buffer, 64), WIRE_WAIT, "... then for the next");
	now += CORE_SECOND / 4;
	write_as(init, master, "b");
	now += CORE_SECOND / 3;
	is_int(read_as(shell, slave, buffer, 64), WIRE_WAIT, "... each time anew");
	now += CORE_SECOND;
	is_int(read_as(shell, slave, buffer, 64), 2, "... and no longer");
	keep_file_drop(slave);
	is_int(read_as(init, master, buffer, 64), -EIO, "the slave is closed: the master reads EIO");
	keep_file_drop(master);
	is_int(files, 0, "all is closed");
}

static void test_leader(void)
{
	open_pty();
	struct keep_tty *tty = slave->object;
	pid_t pgid = job->pgid;

	control(shell, slave, TIOCSPGRP, &pgid, sizeof(pgid));
	keep_kill(shell, 0);
	ok(look(job) & BIT(SIGHUP), "the leader ends: SIGHUP to the foreground");
	ok(!tty->sid && !job->tty, "... the terminal is nobody's");
	struct keep_process *next = make(1, init);
	struct keep_file *again;
	next->pgid = next->sid = next->pid;
	is_int(open_name(next, "/dev/tty", O_RDWR, &again), -ENXIO, "/dev/tty without a terminal");
	is_int(open_name(next, "/dev/pts/0", O_RDWR | O_NOCTTY, &again), 0, "O_NOCTTY");
	ok(!next->tty, "... takes no terminal");
	int zero = 0;
	is_int(control(next, again, TIOCSCTTY, &zero, sizeof(zero)), 0, "TIOCSCTTY");
	ok(next->tty == tty, "... does");
	keep_file_drop(again);
	keep_file_drop(slave);
	keep_file_drop(master);
	is_int(files, 0, "all is closed");
}

/* --- random ------------------------------------------------------------------------------------------- */

/* Y1, and that nothing is left of those that are gone. */
static bool sane(void)
{
	for (unsigned i = 0; i < TTYS; i++) {
		const struct keep_tty *tty = &keep_ttys[i];
		if (tty->sid && !tty->used)
			return false;
		if (tty->ldisc.ready - tty->ldisc.head > LDISC_IN || tty->ldisc.tail - tty->ldisc.head > LDISC_IN ||
		    tty->ldisc.out_tail - tty->ldisc.out_head > LDISC_OUT)
			return false;
	}
	for (unsigned i = 0; i < WIRE_PROCESSES; i++) {
		const struct keep_process *p = &table[i];
		if (p->tty && (!p->tty->used || p->tty->hung))
			return false;
	}
	return true;
}

static void random_request(struct keep_process *p, struct keep_file *file)
{
	static const uint64_t requests[] = { TCGETS, TCSETS, TCSETSW, TCSETSF, TCSBRK, TCXONC, TCFLSH, TIOCSCTTY,
		TIOCGPGRP, TIOCSPGRP, TIOCOUTQ, TIOCSTI, TIOCGWINSZ, TIOCSWINSZ, TIOCNOTTY, TIOCGSID, FIONREAD, TIOCGPTN };
	struct keep_request request = { .process = p, .data = p->buffer };

	for (unsigned i = 0; i < 64; i++)
		p->buffer[i] = (char)(rand() % 4 ? 0 : rand());
	file->kind->ioctl(file, &request, requests[(unsigned)rand() % (sizeof(requests) / sizeof(requests[0]))],
			  p->buffer);
}

static void test_random(void)
{
	struct keep_file *open[16] = { NULL };
	char bytes[300];
	bool good = true;

	clear();
	srand(11);
	init = make(0, NULL);
	init->sid = init->pgid = 77;
	for (unsigned i = 1; i < 8; i++)
		make(i, init);
	for (int step = 0; step < RANDOM_STEPS && good; step++) {
		struct keep_process *p = &table[1 + rand() % 7];
		struct keep_file **file = &open[rand() % 16];
		char name[32];
		now += (exo_time_t)(rand() % 1000000);
		if (p->state == KEEP_ZOMBIE || rand() % 500 == 0) {
			if (p->state != KEEP_ZOMBIE)
				keep_kill(p, 0);
			make(p->index, init);
			p->pgid = p->sid = p->pid;
		}
		snprintf(name, sizeof(name), rand() % 3 ? "/dev/pts/%d" : "/dev/ptmx", rand() % 5);
		switch (rand() % 8) {
		case 0:
			if (!*file && open_name(p, name, O_RDWR, file))
				*file = NULL;
			break;
		case 1:
			if (*file && rand() % 3 == 0) {
				keep_file_drop(*file);
				*file = NULL;
			}
			break;
		case 2:
			if (*file)
				random_request(p, *file);
			break;
		case 3:
			p->pgid = rand() % 2 ? p->pid : 1 + rand() % 8;
			break;
		case 4:
			kill_as(p, rand() % 10 - 2, rand() % 64);
			break;
		case 5:
			look(p);
			break;
		case 6:
			for (unsigned i = 0; i < sizeof(bytes); i++)
				bytes[i] = (char)(rand() % 3 ? rand() % 40 : rand());
			bytes[rand() % 300] = '\0';
			if (*file)
				write_as(p, *file, bytes);
			break;
		default:
			if (*file)
				read_as(p, *file, bytes, (uint64_t)(rand() % 300));
		}
		good = sane();
	}
	ok(good, "random calls: the invariants hold");
	for (unsigned i = 0; i < 16; i++)
		if (open[i])
			keep_file_drop(open[i]);
	unsigned used = 0;
	for (unsigned i = 1; i < TTYS; i++)
		used += keep_ttys[i].used;
	is_int(used + (unsigned)files, 0, "... and nothing is left");
}

int main(void)
{
	keep_signal_start();
	keep_tty_start();
	test_kill();
	test_queue();
	test_children();
	test_orphans();
	test_timer();
	test_pty();
	test_raw();
	test_leader();
	test_random();
	return done();
}
