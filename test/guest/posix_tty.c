/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals: a session on a pseudo-terminal as a terminal program and a shell have it, with jobs in
 * foreground and background; settings, reading in all modes, hanging up. The line discipline itself has its
 * test on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "test/guest/tap.h"

static int master, slave;
static char got[4096];

/* What the master shows, until `wanted` has come or two seconds have passed; the rest is left for the next. */
static bool shows(const char *wanted)
{
	struct pollfd poll_for = { .fd = master, .events = POLLIN };
	size_t bytes = strlen(got);
	char *at;

	while (!(at = strstr(got, wanted))) {
		if (poll(&poll_for, 1, 2000) <= 0)
			break;
		ssize_t part = read(master, got + bytes, sizeof(got) - 1 - bytes);
		if (part <= 0)
			break;
		bytes += (size_t)part;
		got[bytes] = '\0';
	}
	if (at) {
		memmove(got, at + strlen(wanted), strlen(at + strlen(wanted)) + 1);
		return true;
	}
	printf("# shown: \"%s\"\n", got);
	return false;
}

static void type(const char *bytes)
{
	write(master, bytes, strlen(bytes));
}

static void test_names(void)
{
	char name[64];
	struct termios t;

	ok(openpty(&master, &slave, name, NULL, NULL) == 0, "openpty");
	ok(isatty(slave) && !strcmp(ttyname(slave), name), "isatty, ttyname: %s", name);
	ok(!strcmp(ptsname(master), name), "ptsname");
	int ends[2];
	pipe(ends);
	errno = 0;
	ok(!isatty(ends[0]) && errno == ENOTTY, "a pipe is no terminal");
	close(ends[0]);
	close(ends[1]);
	ok(tcgetattr(slave, &t) == 0 && t.c_lflag & ICANON && cfgetospeed(&t) == B38400, "tcgetattr");
	struct winsize size = { 40, 100, 0, 0 };
	ioctl(master, TIOCSWINSZ, &size);
	memset(&size, 0, sizeof(size));
	ok(ioctl(slave, TIOCGWINSZ, &size) == 0 && size.ws_col == 100, "TIOCSWINSZ, TIOCGWINSZ");
	ok(!strcmp(ctermid(NULL), "/dev/tty"), "ctermid");
	errno = 0;
	ok(open("/dev/pts/31", O_RDWR) == -1 && errno == ENOENT, "a terminal that is not there");
	struct stat st;
	ok(stat(name, &st) == 0 && S_ISCHR(st.st_mode), "stat: a character device");
}

static void test_reading(void)
{
	char line[64];
	int bytes;

	type("one\ntwo\n");
	ok(ioctl(slave, FIONREAD, &bytes) == 0 && bytes == 8, "FIONREAD");
	ok(read(slave, line, sizeof(line)) == 4 && !memcmp(line, "one\n", 4), "a line");
	tcflush(slave, TCIFLUSH);
	type("gone\25three\4");
	ok(read(slave, line, sizeof(line)) == 5 && !memcmp(line, "three", 5), "tcflush, KILL, EOF");
	type("\4");
	ok(read(slave, line, sizeof(line)) == 0, "end of file");
	struct termios raw, before;
	tcgetattr(slave, &before);
	raw = before;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 1;
	tcsetattr(slave, TCSANOW, &raw);
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	ssize_t none = read(slave, line, sizeof(line));
	clock_gettime(CLOCK_MONOTONIC, &end);
	long ms = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
	ok(none == 0 && ms >= 99 && ms < 2000, "VMIN 0, VTIME 1: after %ld ms", ms);
	type("\3\4");
	ok(read(slave, line, sizeof(line)) == 2 && line[0] == 3 && line[1] == 4, "raw: control characters are bytes");
	fcntl(slave, F_SETFL, O_NONBLOCK);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(slave, TCSANOW, &raw);
	errno = 0;
	ok(read(slave, line, sizeof(line)) == -1 && errno == EAGAIN, "O_NONBLOCK: EAGAIN");
	fcntl(slave, F_SETFL, 0);
	tcsetattr(slave, TCSAFLUSH, &before);
	ioctl(master, FIONREAD, &bytes);
	while (bytes > 0 && read(master, got, sizeof(got)) > 0)
		ioctl(master, FIONREAD, &bytes);
	close(slave);
	errno = 0;
	ok(read(master, line, 1) == -1 && errno == EIO, "nobody at the other end: EIO");
	close(master);
}

/* --- a session ---------------------------------------------------------------------------------------- */

static void say(const char *text)
{
	write(1, text, strlen(text));
}

static void on_int(int number)
{
	(void)number;
	say("[int]");
}

static void on_winch(int number)
{
	(void)number;
	say("[winch]");
}

static int job_read(bool background)
{
	char line[64];
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		if (!background)
			tcsetpgrp(0, getpid());
		signal(SIGTTIN, SIG_DFL);
		signal(SIGTSTP, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		ssize_t bytes = read(0, line, sizeof(line));
		_exit(bytes > 0 ? line[0] : 99);
	}
	setpgid(pid, pid);
	if (!background)
		tcsetpgrp(0, pid);
	return pid;
}

static void report(pid_t pid)
{
	char text[64];
	int status = 0;

	waitpid(pid, &status, WUNTRACED);
	tcsetpgrp(0, getpgrp());
	if (WIFSTOPPED(status))
		snprintf(text, sizeof(text), "<stopped %d>", WSTOPSIG(status));
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "<killed %d>", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "<exit %c>", WEXITSTATUS(status));
	say(text);
}

/* What a shell does, at the slave. */
static void shell(void)
{
	struct sigaction action = { .sa_handler = on_int };
	char line[64];
	pid_t pid;

	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTSTP, SIG_IGN);
	sigaction(SIGINT, &action, NULL);
	action.sa_handler = on_winch;
	action.sa_flags = SA_RESTART;
	sigaction(SIGWINCH, &action, NULL);
	say(tcgetpgrp(0) == getpgrp() && tcgetsid(0) == getsid(0) ? "<ready>" : "<not ready>");
	ssize_t bytes = read(0, line, sizeof(line));
	say(bytes == -1 && errno == EINTR ? "<eintr>" : "<read>");
	bytes = read(0, line, sizeof(line));
	say(bytes == 3 ? "<line>" : "<other>");
	say("job:");
	report(job_read(false));
	say("job:");
	pid = job_read(false);
	report(pid);
	tcsetpgrp(0, pid);
	killpg(pid, SIGCONT);
	say("again:");
	report(pid);
	pid = job_read(true);
	say("background:");
	report(pid);
	tcsetpgrp(0, pid);
	killpg(pid, SIGCONT);
	say("fg:");
	report(pid);
	say("last:");
	for (;;)
		pause();
}

static void test_session(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	got[0] = '\0';
	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid == 0) {
		shell();
		_exit(0);
	}
	ok(pid > 0, "forkpty");
	ok(shows("<ready>"), "the session leads its terminal's foreground");
	type("ab\3");
	ok(shows("[int]<eintr>"), "Ctrl-C interrupts the shell's read");
	struct winsize size = { 10, 20, 0, 0 };
	ioctl(master, TIOCSWINSZ, &size);
	ok(shows("[winch]"), "a new size: SIGWINCH");
	type("ls\n");
	ok(shows("<line>"), "... and the read went on");
	shows("job:");
	usleep(50000);
	type("\3");
	ok(shows("<killed 2>"), "Ctrl-C ends the job in the foreground, not the shell");
	shows("job:");
	usleep(50000);
	type("\32");
	ok(shows("<stopped 18>"), "Ctrl-Z stops it");
	shows("again:");
	type("x\n");
	ok(shows("<exit x>"), "SIGCONT: it goes on reading");
	ok(shows("<stopped 21>"), "a job in the background that reads: SIGTTIN");
	shows("fg:");
	type("y\n");
	ok(shows("<exit y>"), "... in the foreground it may");
	shows("last:");
	close(master);
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP, "the terminal hangs up: the shell gets SIGHUP");
}

/* Many bytes through a raw terminal, both ways. */
static void test_much(void)
{
	struct termios t;
	char chunk[1000];
	long total = 0;
	int status;

	openpty(&master, &slave, NULL, NULL, NULL);
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	tcsetattr(slave, TCSANOW, &t);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		bool good = true;
		long at = 0;
		close(master);
		while (at < 200000) {
			ssize_t part = read(slave, chunk, sizeof(chunk));
			if (part <= 0)
				_exit(2);
			for (ssize_t i = 0; i < part; i++)
				good &= chunk[i] == (char)(at++ % 251);
			write(slave, chunk, (size_t)part);
		}
		_exit(good ? 0 : 1);
	}
	close(slave);
	bool good = true;
	long sent = 0, back = 0;
	struct pollfd both = { .fd = master };
	while (back < 200000) {
		both.events = sent < 200000 ? POLLIN | POLLOUT : POLLIN;
		if (poll(&both, 1, 5000) <= 0)
			break;
		if (both.revents & POLLIN) {
			ssize_t part = read(master, chunk, sizeof(chunk));
			if (part <= 0)
				break;
			for (ssize_t i = 0; i < part; i++)
				good &= chunk[i] == (char)(back++ % 251);
		} else if (both.revents & POLLOUT) {
			for (long i = 0; i < 500; i++)
				chunk[i] = (char)((sent + i) % 251);
			ssize_t part = write(master, chunk, 500);
			sent += part > 0 ? part : 0;
		} else {
			break;
		}
		total++;
	}
	ok(good && back == 200000, "200,000 bytes there and back: %ld", back);
	waitpid(pid, &status, 0);
	ok(status == 0, "... as they were sent");
	close(master);
}

int main(void)
{
	test_names();
	test_reading();
	test_session();
	test_much();
	return tap_done();
}
