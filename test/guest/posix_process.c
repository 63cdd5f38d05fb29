/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes and their keeper: beginning, images, ends of every kind, who is told, what is left. The program
 * is its own child, by argument 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libos/core/core.h"
#include "test/guest/tap.h"

#define SELF	"/bin/posix_process"
#define LONG	(128 * 1024)	/* of arguments and variables */

extern char **environ;

/* --- as a child ------------------------------------------------------------------------------------------ */

static int sum_of(int argc, char **argv)
{
	unsigned sum = 0;

	for (int i = 2; i < argc; i++)
		sum += (unsigned)strlen(argv[i]);
	for (char **at = environ; *at; at++)
		sum += (unsigned)strlen(*at);
	return sum == LONG ? 0 : 1;
}

static int child(int argc, char **argv)
{
	const char *what = argv[1];

	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "sum"))
		return sum_of(argc, argv);
	if (!strcmp(what, "words"))	/* interpreter words script rest */
		return argc == 4 && !strcmp(argv[2], "/tmp/script") && !strcmp(argv[3], "x y") ? 21 : 22;
	if (!strcmp(what, "ids"))
		return getuid() == 1000 && geteuid() == 0 ? 31 : 32;
	if (!strcmp(what, "fd"))
		return fcntl(atoi(argv[2]), F_GETFD) < 0 && errno == EBADF ? 41 : 42;
	if (!strcmp(what, "read")) {
		char byte = 0;

		return read(0, &byte, 1) == 1 ? byte : 1;
	}
	if (!strcmp(what, "line")) {
		printf("a line\n");
		_exit(61);
	}
	if (!strcmp(what, "group"))
		return getpgrp() == getpid() ? 51 : 52;
	for (;;)
		pause();
}

/* --- helpers --------------------------------------------------------------------------------------------- */

static int status_of(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static pid_t run(char *const argv[])
{
	pid_t pid = fork();

	if (!pid) {
		execv(SELF, argv);
		_exit(99);
	}
	return pid;
}

static pid_t run_word(const char *what, const char *more)
{
	return run((char *[]){ (char *)SELF, (char *)what, (char *)more, NULL });
}

static int exits(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool write_file(const char *path, const void *bytes, size_t count, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool good = fd >= 0 && write(fd, bytes, count) == (ssize_t)count && !fchmod(fd, mode);

	close(fd);
	return good;
}

/* What exec of a path says: errno; 0: it ran. */
static int exec_error(const char *path, char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execv(path, argv);
		_exit(errno);
	}
	status = status_of(pid);
	return exits(status);
}

/* --- beginning and end ----------------------------------------------------------------------------------- */

static void ends(void)
{
	siginfo_t info;
	pid_t pid;

	ok(exits(status_of(run_word("exit", "7"))) == 7, "an exit value");
	ok(exits(status_of(run_word("exit", "511"))) == 255, "... of which a byte is told");
	pid = fork();
	if (!pid)
		__asm__ volatile("ud2");
	int status = status_of(pid);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL, "an exception: %x", (unsigned)status);
	pid = fork();
	if (!pid)
		__asm__ volatile("movl $1, 8");
	status = status_of(pid);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a bad address: %x", (unsigned)status);
	pid = fork();
	if (!pid)
		core_exit(9);
	ok(exits(status_of(pid)) == 9, "an end past the libOS");
	pid = run_word("pause", NULL);
	ok(!kill(pid, SIGKILL), "kill");
	memset(&info, 0, sizeof(info));
	ok(!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) && info.si_pid == pid && info.si_code == CLD_KILLED &&
	   info.si_status == SIGKILL, "waitid says so");
	ok(!kill(pid, 0), "a zombie has its pid");
	status = status_of(pid);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "waitpid, too");
	ok(kill(pid, 0) < 0 && errno == ESRCH, "then it is gone");
	ok(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "no children: ECHILD");
}

static void waits(void)
{
	pid_t first = run_word("pause", NULL), second = run_word("pause", NULL);
	int status;

	ok(waitpid(-1, &status, WNOHANG) == 0, "WNOHANG: none has ended");
	ok(waitpid(1, &status, 0) < 0 && errno == ECHILD, "no child of ours");
	ok(!kill(second, SIGSTOP) && waitpid(second, &status, WUNTRACED) == second && WIFSTOPPED(status) &&
	   WSTOPSIG(status) == SIGSTOP, "a stop is told");
	ok(waitpid(second, &status, WUNTRACED | WNOHANG) == 0, "... once");
	ok(!kill(second, SIGCONT) && waitpid(second, &status, WCONTINUED) == second && WIFCONTINUED(status),
	   "that it goes on, too");
	kill(second, SIGTERM);
	ok(waitpid(-1, &status, 0) == second && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "any child");
	kill(first, SIGKILL);
	ok(waitpid(0, &status, 0) == first, "of the own group");
}

static void groups(void)
{
	int gate[2];
	pid_t pid, got;

	pid = run_word("pause", NULL);
	ok(!setpgid(pid, pid) || errno == EACCES, "a child's group");
	kill(pid, SIGKILL);
	status_of(pid);
	ok(!pipe(gate), "a pipe");
	pid = fork();
	if (!pid) {
		pid_t sid = setsid();
		char byte = sid == getpid() && getpgrp() == sid && getsid(0) == sid;

		byte = byte && setsid() < 0 && errno == EPERM;
		byte = byte && setpgid(0, 0) < 0 && errno == EPERM;
		(void)!write(gate[1], &byte, 1);
		pause();
	}
	char byte = 0;
	ok(read(gate[0], &byte, 1) == 1 && byte, "setsid, and what its leader may not do");
	ok(getsid(pid) == pid && getpgid(pid) == pid, "as others see it");
	ok(setpgid(pid, 0) < 0 && errno == EPERM, "another session's group");
	kill(pid, SIGKILL);
	status_of(pid);
	/* An orphan's parent is process 1. */
	pid = fork();
	if (!pid) {
		if (!fork()) {
			while (getppid() != 1 && getppid() != getpid())
				usleep(1000);
			pid_t parent = getppid();
			(void)!write(gate[1], &parent, sizeof(parent));
			_exit(0);
		}
		_exit(0);
	}
	status_of(pid);
	ok(read(gate[0], &got, sizeof(got)) == (ssize_t)sizeof(got) && got == 1, "an orphan is process 1's");
	ok(wait(NULL) > 0, "who waits for it");
	close(gate[0]);
	close(gate[1]);
}

/* --- images ---------------------------------------------------------------------------------------------- */

static void images(void)
{
	char *big[5] = { (char *)SELF, (char *)"sum", NULL, NULL, NULL }, *variables[2] = { NULL, NULL };
	char *const words[] = { (char *)SELF, NULL };
	int status;
	pid_t pid;

	big[2] = malloc(100001);
	variables[0] = malloc(LONG);
	memset(big[2], 'a', 100000);
	big[2][100000] = '\0';
	memset(variables[0], 'b', LONG - 100000);
	variables[0][LONG - 100000] = '\0';
	pid = fork();
	if (!pid) {
		execve(SELF, big, variables);
		_exit(99);
	}
	ok(exits(status_of(pid)) == 0, "128 KiB of arguments and variables go through");
	char **many = malloc(10 * sizeof(*many));
	for (int i = 0; i < 9; i++)
		many[i] = big[2];
	many[9] = NULL;
	ok(exec_error(SELF, many) == E2BIG, "900 KiB: E2BIG");
	ok(exec_error("/bin/none", words) == ENOENT, "no such file");
	ok(exec_error("/etc/exo.conf", words) == EACCES, "not executable");
	ok(exec_error("/bin", words) == EACCES, "a directory");
	ok(exec_error("/etc/exo.conf/x", words) == ENOTDIR, "below a file");
	write_file("/tmp/text", "hello", 5, 0755);
	ok(exec_error("/tmp/text", words) == ENOEXEC, "no program");
	write_file("/tmp/empty", "", 0, 0755);
	ok(exec_error("/tmp/empty", words) == ENOEXEC, "nothing");
	write_file("/tmp/script", "#!" SELF " words  \nrest\n", strlen("#!" SELF " words  \nrest\n"), 0755);
	ok(exec_error("/tmp/script", (char *[]){ (char *)"0", (char *)"x y", NULL }) == 21,
	   "a script's interpreter and words");
	write_file("/tmp/loop", "#!/tmp/loop\n", 12, 0755);
	ok(exec_error("/tmp/loop", words) == ELOOP, "a script of itself");
	write_file("/tmp/bad", "#!/bin/none\n", 12, 0755);
	ok(exec_error("/tmp/bad", words) == ENOENT, "an interpreter that is not there");
	write_file("/tmp/bad", "#!\n", 3, 0755);
	ok(exec_error("/tmp/bad", words) == ENOEXEC, "no interpreter");
	/* Another file by the same name is another program. */
	static char copy[1 << 20];
	int fd = open(SELF, O_RDONLY);
	ssize_t bytes = read(fd, copy, sizeof(copy));
	close(fd);
	ok(bytes > 1000 && write_file("/tmp/copy", copy, (size_t)bytes, 04755), "a copy of the program");
	ok(exec_error("/tmp/copy", (char *[]){ (char *)"c", (char *)"exit", (char *)"5", NULL }) == 5, "runs");
	pid = fork();
	if (!pid) {
		if (setuid(1000) || seteuid(0) == 0)
			_exit(1);
		execl("/tmp/copy", "copy", "ids", NULL);
		_exit(2);
	}
	status = status_of(pid);
	ok(exits(status) == 31, "set-user-id: %x", (unsigned)status);
	copy[bytes / 2] ^= 0x55;
	write_file("/tmp/copy", "x", 1, 0755);
	ok(exec_error("/tmp/copy", words) == ENOEXEC, "changed, it is what it is now");
	free(big[2]);
	free(variables[0]);
	free(many);
}

/* Each of many damaged copies is an error or a program that ends; the keeper lives. */
static void damaged(void)
{
	static char whole[1 << 20];
	int fd = open(SELF, O_RDONLY);
	ssize_t bytes = read(fd, whole, sizeof(whole));
	unsigned errors = 0, ran = 0;
	uint32_t seed = 5;

	close(fd);
	for (int i = 0; i < 24; i++) {
		char kept[64];
		size_t at;

		seed = seed * 1664525 + 1013904223;
		at = (i < 18 ? seed % 640 : seed % (uint32_t)bytes) & ~7u;
		memcpy(kept, whole + at, 8);
		for (int j = 0; j < 8; j++)
			whole[at + (size_t)j] ^= (char)(seed >> (8 + j));
		write_file("/tmp/damaged", whole, i % 7 == 6 ? (size_t)bytes / 2 : (size_t)bytes, 0755);
		memcpy(whole + at, kept, 8);
		pid_t pid = fork();
		if (!pid) {
			execl("/tmp/damaged", "damaged", "exit", "77", NULL);
			_exit(1);
		}
		for (int j = 0; j < 2000 && waitpid(pid, &(int){ 0 }, WNOHANG) == 0; j++) {
			usleep(1000);
			if (j == 30)
				kill(pid, SIGKILL);
		}
		errors++;
		ran += kill(pid, 0) < 0;
	}
	unlink("/tmp/damaged");
	ok(errors == 24 && ran == 24, "24 damaged programs: each ends");
}

static void spawns(void)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;

	ok(!posix_spawn(&pid, SELF, NULL, NULL, (char *[]){ (char *)SELF, (char *)"exit", (char *)"6", NULL },
			environ) &&
	   exits(status_of(pid)) == 6, "posix_spawn");
	ok(posix_spawn(&pid, "/bin/none", NULL, NULL, (char *[]){ NULL }, environ) == ENOENT, "... of nothing");
	ok(!posix_spawnp(&pid, "posix_process", NULL, NULL,
			 (char *[]){ (char *)SELF, (char *)"exit", (char *)"8", NULL },
			 environ) && exits(status_of(pid)) == 8, "posix_spawnp");
	write_file("/tmp/letter", "Q", 1, 0600);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, 0);
	posix_spawn_file_actions_addopen(&actions, 5, "/tmp/letter", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, 5, 0);
	ok(!posix_spawn(&pid, SELF, &actions, NULL, (char *[]){ (char *)SELF, (char *)"read", NULL }, environ) &&
	   exits(status_of(pid)) == 'Q', "file actions");
	posix_spawn_file_actions_addopen(&actions, 6, "/tmp/nothing", O_RDONLY, 0);
	ok(posix_spawn(&pid, SELF, &actions, NULL, (char *[]){ (char *)SELF, (char *)"read", NULL },
		       environ) == ENOENT,
	   "... that fail");
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	ok(!posix_spawn(&pid, SELF, NULL, &attributes, (char *[]){ (char *)SELF, (char *)"group", NULL }, environ) &&
	   exits(status_of(pid)) == 51, "a group of its own");
	int fd = open("/tmp/letter", O_RDONLY | O_CLOEXEC);
	char number[8];
	snprintf(number, sizeof(number), "%d", fd);
	ok(exits(status_of(run_word("fd", number))) == 41, "close on exec");
	close(fd);
	ok(wait(NULL) < 0 && errno == ECHILD, "no child is left");
}

/* What a program has printed when it ends without emptying its buffer. */
static long printed_to(int fd, int from)
{
	char text[40] = "";
	pid_t pid = fork();

	if (!pid) {
		dup2(fd, 1);
		execv(SELF, (char *[]){ (char *)SELF, (char *)"line", NULL });
		_exit(99);
	}
	if (exits(status_of(pid)) != 61)
		return -1;
	close(fd);
	return read(from, text, sizeof(text));
}

static void lines(void)
{
	int end[2], master, slave;

	ok(!pipe(end) && printed_to(end[1], end[0]) == 0, "standard output goes into a pipe by whole buffers");
	close(end[0]);
	ok(!openpty(&master, &slave, NULL, NULL, NULL) && printed_to(slave, master) == 8, "to a terminal by lines");
	close(master);
}

/* --- what is left ---------------------------------------------------------------------------------------- */

static void settle(void)
{
	for (int i = 0; i < 20; i++) {
		status_of(run_word("exit", "0"));
		status_of(fork() ?: (_exit(0), 0));
	}
}

/* Children are killed at various points: in fork, in exec, with a zombie of their own, at rest. */
static void kill_some(void)
{
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();

		if (!pid) {
			char *memory = malloc(200000);

			memset(memory, i, 200000);
			if (i % 3 == 0)
				execl(SELF, SELF, "pause", NULL);
			if (i % 3 == 1 && !fork())
				_exit(0);
			for (;;)
				pause();
		}
		usleep((useconds_t)(i * 150));
		kill(pid, SIGKILL);
		status_of(pid);
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
}

/* A program written anew, run and removed: when it has ended, or as it runs. */
static bool write_run_remove(bool as_it_runs)
{
	static char copy[1 << 20];
	char *const words[] = { (char *)"/tmp/gone", (char *)(as_it_runs ? "wait" : "exit"), (char *)"7", NULL };
	int fd = open(SELF, O_RDONLY), status = 0;
	ssize_t bytes = read(fd, copy, sizeof(copy));
	pid_t pid;

	close(fd);
	if (bytes < 1000 || !write_file("/tmp/gone", copy, (size_t)bytes, 0755) ||
	    posix_spawn(&pid, words[0], NULL, NULL, words, NULL))
		return false;
	if (as_it_runs) {
		unlink("/tmp/gone");
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	return as_it_runs ? WIFSIGNALED(status) : WEXITSTATUS(status) == 7 && !unlink("/tmp/gone");
}

static void removed_programs(void)
{
	uint32_t before, after;
	int good = 0;

	for (int i = 0; i < 4; i++)
		(void)write_run_remove(i % 2);
	settle();
	before = core_info->frames_free;
	for (int i = 0; i < 24; i++)
		good += write_run_remove(i % 2);
	after = core_info->frames_free;
	ok(good == 24 && after + 64 >= before, "%d programs that were removed leave nothing: %u frames are free, then %u",
	   good, before, after);
}

static void leaves_nothing(void)
{
	uint32_t left[4];

	settle();
	for (int i = 0; i < 4; i++) {
		kill_some();
		left[i] = core_info->frames_free;
	}
	/* The keeper keeps some for the next ones. */
	ok(left[3] + 24 >= left[2] || left[2] + 24 >= left[1],
	   "30 that were killed leave nothing: %u frames are free, then %u, %u, %u", left[0], left[1],
		   left[2], left[3]);
}

/* Several that take all memory there is: they get errors, or are ended; others go on. */
static void hunger(void)
{
	pid_t all[4];
	int ended = 0;

	for (int i = 0; i < 4; i++) {
		all[i] = fork();
		if (all[i])
			continue;
		for (;;) {
			char *memory = malloc(1 << 20);

			if (!memory)
				_exit(61);
			memset(memory, 1, 1 << 20);
		}
	}
	for (int i = 0; i < 4; i++) {
		siginfo_t info = { 0 };

		for (int j = 0; j < 500 && !waitid(P_PID, (id_t)all[i], &info, WEXITED | WNOHANG | WNOWAIT) &&
		     !info.si_pid; j++)
			usleep(1000);
		kill(all[i], SIGKILL);
		ended += status_of(all[i]) != -1;
	}
	ok(ended == 4, "four that take all memory end, or can be ended");
	ok(exits(status_of(run_word("exit", "1"))) == 1, "then there is memory again");
}

static void bomb(void)
{
	struct rlimit limit = { 30, 30 };
	unsigned made = 0, refused = 0;
	pid_t pid = fork();

	if (!pid) {
		pid_t all[64];

		if (setrlimit(RLIMIT_NPROC, &limit) || setuid(1234))
			_exit(1);
		for (int i = 0; i < 60; i++) {
			all[i] = fork();
			if (!all[i])
				for (;;)
					pause();
			made += all[i] > 0;
			refused += all[i] < 0 && errno == EAGAIN;
		}
		for (int i = 0; i < 60; i++)
			if (all[i] > 0)
				kill(all[i], SIGKILL);
		while (wait(NULL) > 0)
			;
		_exit(made == 29 && refused == 31 ? 3 : 4);
	}
	ok(exits(status_of(pid)) == 3, "a user's processes are limited: EAGAIN");
	pid_t all[140];
	for (unsigned i = 0; i < 140; i++) {
		all[i] = fork();
		if (!all[i])
			for (;;)
				pause();
		if (all[i] < 0) {
			ok(errno == EAGAIN || errno == ENOMEM,
			   "the superuser's end with the table or memory: %u, %s", i,
			   strerror(errno));
			break;
		}
		made++;
	}
	ok(made > 20, "%u lived at once", made);
	for (unsigned i = 0; i < made; i++)
		kill(all[i], SIGKILL);
	for (refused = 0; wait(NULL) > 0;)
		refused++;
	ok(refused == made, "and are gone");
	ok(exits(status_of(run_word("exit", "1"))) == 1, "others can begin again");
}

/* In a child: it has no descriptor left when it wants to go to the background, and then has; what is wrong. */
static int background(void)
{
	pid_t self = getpid();
	int last = -1, fd, status;

	while ((fd = dup(0)) >= 0)
		last = fd;
	if (daemon(0, 0) != -1 || errno != EMFILE || getpid() != self || waitpid(-1, &status, 0) != -1)
		return 1;
	close(last);
	return daemon(0, 0) || getpid() == self || getsid(0) == getsid(self) ? 2 : 0;
}

static void daemons(void)
{
	int ends[2], status = -1;
	char result = 9;
	pid_t pid;

	pipe(ends);
	pid = fork();
	if (!pid) {
		close(ends[0]);
		result = (char)background();
		write(ends[1], &result, 1);
		_exit(result);
	}
	close(ends[1]);
	ok(read(ends[0], &result, 1) == 1 && result == 0 && waitpid(pid, &status, 0) == pid && status == 0,
	   "daemon does nothing at all where it fails, %d", result);
	close(ends[0]);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child(argc, argv);
	ends();
	waits();
	groups();
	images();
	damaged();
	spawns();
	daemons();
	lines();
	leaves_nothing();
	removed_programs();
	hunger();
	bomb();
	return tap_done();
}
