/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attacks by hand: a process that knows how the keeper works tries what it must not be able to. Each case is
 * one rule of the keeper's: shared pages of programs are nobody's to write, what a process leaves in its page
 * and buffer does not reach a program with other rights, a descriptor for reading is none for execution, one
 * request costs what its words say at most, each process has so much of the keeper's memory and no more, and
 * who ends himself in any way is reaped.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "libos/core/space.h"
#include "libos/posix/call.h"
#include "test/guest/tap.h"

#define SELF	"/bin/posix_attack"
#define OTHER	"/tmp/setuid"		/* the same program, with the superuser's rights */
#define SECRET	"dragons-be-here."
#define USER	1000
#define MANY	100000

/* On a page of its own: nobody minds if it is written. */
static const char constant[8192] __attribute__((aligned(4096))) = "constant";

static int64_t ask(uint64_t number, uint64_t w1, uint64_t w2, uint64_t w3)
{
	int64_t result;

	posix_lock();
	result = posix_ask((enum wire_request)number, w1, w2, w3, NULL);
	posix_unlock();
	return result;
}

static int status_of(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, 0) == pid ? WIFEXITED(status) ? WEXITSTATUS(status) :
		128 + WTERMSIG(status) : -1;
}

/* What a function says in a process of its own, as a user. */
static int as_user(int (*what)(void))
{
	pid_t pid = fork();

	if (!pid) {
		alarm(20);
		if (setgroups(0, NULL) || setgid(USER) || setuid(USER))
			_exit(90);
		_exit(what());
	}
	return status_of(pid);
}

static int runs(const char *path, const char *role)
{
	pid_t pid = fork();

	if (!pid) {
		execv(path, (char *[]){ (char *)path, (char *)role, NULL });
		_exit(99);
	}
	return status_of(pid);
}

static bool copy_self(const char *to, mode_t mode)
{
	static char bytes[65536];
	int in = open(SELF, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t got;

	while ((got = read(in, bytes, sizeof(bytes))) > 0)
		if (write(out, bytes, (size_t)got) != got)
			return false;
	close(in);
	return got == 0 && !fchmod(out, mode) && !close(out);
}

static int64_t now(void);

/* --- programs --------------------------------------------------------------------------------------------- */

static exo_vaddr_t writable(exo_vaddr_t va)
{
	struct exo_map *map = core_arg(0);

	*map = (struct exo_map){ va | EXO_MAP_READ | EXO_MAP_WRITE, EXO_CAP_NONE, 0, 1, 0 };
	return exo_space_write(core_named(EXO_NAME_SPACE), 0, 1) == 1 ? va : 0;
}

/* 0: it cannot be written. */
static int write_constant(void)
{
	volatile char *va = (volatile char *)writable((exo_vaddr_t)constant);

	if (!va)
		return 0;
	va[0] = 'K';
	return 1;
}

static int write_text(void)
{
	return writable(PAGE_DOWN((exo_vaddr_t)now)) != 0;
}

/* --- what an exec leaves ----------------------------------------------------------------------------------- */

/* In the other program: a file's bytes are the file's. */
static int role_gift(void)
{
	char text[sizeof(SECRET)] = "";
	int fd = open("/tmp/secret", O_RDONLY);

	if (geteuid())
		return 91;
	return fd < 0 ? 92 : read(fd, text, sizeof(text) - 1) == sizeof(text) - 1 && !strcmp(text, SECRET) ? 0 : 1;
}

static int leave_gift(void)
{
	struct wire_gift *gift = &posix_page->gift;
	int fd = open("/dev/null", O_RDONLY);

	close(fd);
	strcpy(gift->data, "evil");
	gift->bytes = 4;
	gift->state = WIRE_OFFERED;
	gift->fd1 = fd + 1;
	execv(OTHER, (char *[]){ (char *)OTHER, (char *)"gift", NULL });
	return 93;
}

/* In the other program: the secret goes through the buffer. */
static int role_read(void)
{
	char text[sizeof(SECRET)] = "";
	int fd = open("/tmp/secret", O_RDONLY);

	return geteuid() ? 91 : read(fd, text, sizeof(text) - 1) == sizeof(text) - 1 ? 0 : 92;
}

static int role_drop(void)
{
	int result = role_read();

	return setuid(getuid()) || geteuid() == 0 ? 94 : result;
}

static bool seen(void)
{
	for (unsigned i = 0; i + sizeof(SECRET) <= WIRE_BUFFER; i++)
		if (posix_buffer[i] == SECRET[0] && !memcmp(posix_buffer + i, SECRET, sizeof(SECRET) - 1))
			return true;
	return false;
}

static int find_secret(void)
{
	for (unsigned i = 0; i < 4; i++) {
		int result = runs(OTHER, i & 1 ? "drop" : "read");
		pid_t pid = fork();

		if (!pid)
			_exit(seen());
		if (result || (result = status_of(pid)))
			return result;
	}
	return 0;
}

static int run_descriptor(void)
{
	int fd = open("/tmp/not_for_all", O_RDONLY);

	int64_t result;

	if (fd < 0)
		return 92;
	posix_lock();
	memcpy(posix_buffer, OTHER "\0x\0read", sizeof(OTHER) + 7);
	result = posix_ask(REQUEST_EXEC, 2ULL << 32, sizeof(OTHER) + 7, (uint64_t)fd, NULL);
	posix_unlock();
	return result == -EACCES ? 0 : 93;
}

/* --- groups ------------------------------------------------------------------------------------------------ */

static int open_file(const gid_t *group, int groups, const char *path)
{
	pid_t pid = fork();

	if (!pid) {
		if (setgroups((size_t)groups, group) || setgid(USER) || setuid(USER))
			_exit(90);
		int fd = open(path, O_RDONLY);
		fd = fd < 0 ? fd : open(path, O_RDONLY);
		_exit(fd < 0 ? errno : 0);
	}
	return status_of(pid);
}

/* --- what others have made ---------------------------------------------------------------------------------- */

static int names_of_others(void)
{
	if (!unlink("/tmp/secret") || !unlink("/dev/shm/theirs") || !rename("/tmp/secret", "/tmp/mine"))
		return 1;
	if (!truncate("/tmp/secret", 0) || !chmod("/tmp/secret", 0777) || !chown("/tmp/secret", USER, USER))
		return 2;
	return kill(1, SIGKILL) != -1 || kill(getppid(), SIGKILL) != -1 || !setuid(0) || !seteuid(0) || !setgid(0) ||
		!setgroups(0, NULL) ? 3 : 0;
}

#define SHARED	0x210000000000ULL

/* A file that may only be read: not cut, not mapped to be written, and a page of it stays as it was mapped. */
static int memory_of_others(void)
{
	int fd = open("/dev/shm/theirs", O_RDONLY);

	if (fd < 0 || ask(REQUEST_TRUNCATE, (uint64_t)fd, 0, 0) >= 0 || ask(REQUEST_WRITE, (uint64_t)fd, 1, 0) >= 0)
		return 1;
	if (ask(REQUEST_MAP, (uint64_t)fd, SHARED | WIRE_MAP_WRITE, 1ULL << 32) >= 0)
		return 2;
	if (ask(REQUEST_MAP, (uint64_t)fd, SHARED, 1ULL << 32) || ask(REQUEST_PAGE, SHARED, WIRE_MAP_WRITE, 0) >= 0)
		return 3;
	if (ask(REQUEST_PAGE, SHARED, 0, 0))
		return 93;
	return writable(SHARED) != 0;
}

/* --- costs and bounds --------------------------------------------------------------------------------------- */

#define AT	0x200000000000ULL

/* Milliseconds. */
static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static int unmap_much(void)
{
	int fd = open("/dev/shm/much", O_RDWR | O_CREAT, 0600);
	int64_t begin;

	if (fd < 0 || ftruncate(fd, 1 << 20) || ask(REQUEST_MAP, (uint64_t)fd, AT | WIRE_MAP_WRITE,
						    0xffffffffULL << 32))
		return 92;
	if (ask(REQUEST_PAGE, AT, WIRE_MAP_WRITE, 0))
		return 93;
	begin = now();
	if (ask(REQUEST_UNMAP, AT, 0xffffffff, 0))
		return 94;
	return now() - begin > 500;
}

static int map_many(void)
{
	int fd = open("/dev/shm/many", O_RDWR | O_CREAT, 0600);
	uint64_t i;

	for (i = 0; i < MANY; i++)
		if (ask(REQUEST_MAP, (uint64_t)fd, AT + i * 8192, 1ULL << 32))
			break;
	return i == MANY;
}

static int map_nameless(void)
{
	uint64_t i;

	for (i = 0; i < MANY; i++)
		if (ask(REQUEST_MAP, (uint64_t)-1, (AT + i * 8192) | WIRE_MAP_WRITE, 1ULL << 32))
			break;
	return i == MANY;
}

static int lock_many(void)
{
	int fd = open("/tmp/locks", O_RDWR | O_CREAT, 0600), i;

	for (i = 0; i < MANY; i++) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i * 2L, .l_len = 1 };

		if (fcntl(fd, F_SETLK, &lock))
			break;
	}
	return i == MANY ? 1 : errno == ENOLCK ? 0 : 92;
}

/* --- half a child ------------------------------------------------------------------------------------------- */

#define WINDOW	40
#define SLOTS	12
#define TABLES	0x300000000000ULL

/* FORK_BEGIN with a window: pid or an error. */
static int64_t begin(uint64_t frames)
{
	uint64_t words[4] = { REQUEST_FORK_BEGIN, frames, (uint64_t)(uintptr_t)begin, 0 };

	core_disp->window_first = WINDOW;
	core_disp->window_count = SLOTS;
	posix_transfer(words);
	core_disp->window_count = 0;
	return (int64_t)words[0];
}

static exo_cap_t in_window(uint32_t index)
{
	return caps_handle(WINDOW + index);
}

static void empty_window(void)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		caps_delete(in_window(i));
}

/* Frames for the child become tables of the parent's own, and stay when the child is given up. */
static int keep_frames(void)
{
	uint64_t va = TABLES;
	int rounds;

	for (rounds = 0; rounds < 100; rounds++) {
		if (begin(200) < 0)
			break;
		for (uint32_t i = 2; i < SLOTS; i++)
			for (uint32_t frame = 0; frame < 24; frame += 3, va += 1ULL << 21) {
				if (exo_space_table(core_named(EXO_NAME_SPACE), va, EXO_LEVEL_512G,
						    in_window(i), frame) >= 0)
					continue;
				if (exo_space_table(core_named(EXO_NAME_SPACE), va, EXO_LEVEL_1G,
						    in_window(i), frame) < 0)
					exo_space_table(core_named(EXO_NAME_SPACE), va, EXO_LEVEL_PAGES,
							in_window(i), frame);
			}
		empty_window();
		ask(REQUEST_FORK_END, 1, 0, 0);
	}
	kill(getpid(), SIGKILL);
	return rounds;
}

/* The child runs before it is one; is destroyed before, and after; nobody is called by it. */
static int early(void)
{
	pid_t pid;

	for (int i = 0; i < 8; i++) {
		pid = (pid_t)begin(48);
		if (pid < 0)
			return 92;
		if (i & 1)
			exo_env_start(in_window(0));
		if (i & 2)
			exo_env_destroy(in_window(0));
		if (i & 4)
			ask(REQUEST_FORK_END, 1, 0, 0);
		else
			ask(REQUEST_FORK_END, 0, 0, 0);
		exo_env_destroy(in_window(0));
		empty_window();
		kill(pid, SIGKILL);
		if (begin(WIRE_FORK_FRAMES + 1) != -EINVAL)
			return 93;
		waitpid(pid, NULL, 0);
	}
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : 94;
}

/* --- ends --------------------------------------------------------------------------------------------------- */

static int destroy_self(void)
{
	pid_t pid = fork();
	int64_t begin = now();

	if (!pid) {
		exo_env_destroy(core_named(EXO_NAME_ENV));
		_exit(0);
	}
	while (waitpid(pid, NULL, WNOHANG) == 0 && now() - begin < 3000)
		usleep(10000);
	if (now() - begin < 3000)
		return 0;
	return kill(pid, SIGKILL) || waitpid(pid, NULL, 0) != pid ? 2 : 1;
}

static bool serves(void)
{
	pid_t pid = fork();
	int64_t begin = now();

	if (!pid)
		_exit(5);
	return status_of(pid) == 5 && now() - begin < 1000;
}

static void prepare(void)
{
	int fd = open("/tmp/secret", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	chmod("/tmp", 01777);
	(void)!write(fd, SECRET, sizeof(SECRET) - 1);
	close(fd);
	fd = open("/dev/shm/theirs", O_RDWR | O_CREAT, 0644);
	ok(!ftruncate(fd, 8192) && write(fd, SECRET, 8) == 8 && !close(fd), "memory that all may read");
	ok(copy_self(OTHER, 04755) && copy_self("/tmp/not_for_all", 04744), "programs with the superuser's rights");
	fd = open("/tmp/group", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ok(!fchown(fd, 0, 50) && !fchmod(fd, 0604), "a file that a group may not read");
	close(fd);
	mkdir("/tmp/inside", 0700);
	fd = open("/tmp/inside/file", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	close(fd);
	ok(!chown("/tmp/inside", 0, 50) && !chmod("/tmp/inside", 0710), "a folder that only a group may search");
}

static int role(const char *name)
{
	return !strcmp(name, "gift") ? role_gift() : !strcmp(name, "read") ? role_read() :
		!strcmp(name, "drop") ? role_drop() :
		!strcmp(name, "constant") ? constant[0] != 'c' : 97;
}

int main(int argc, char **argv)
{
	const gid_t group = 50;
	uint32_t before;
	int is;

	if (argc > 1)
		return role(argv[1]);
	signal(SIGCHLD, SIG_DFL);
	prepare();
	is = as_user(write_constant);
	ok(!is && !runs(SELF, "constant"), "constants of a program are not to be written (%d)", is);
	is = as_user(write_text);
	ok(!is, "nor is its text (%d)", is);
	is = as_user(leave_gift);
	ok(!is, "what is left in the page does not reach another program (%d)", is);
	is = as_user(find_secret);
	ok(!is, "what a program with rights had in the buffer is gone (%d)", is);
	is = as_user(run_descriptor);
	ok(!is, "a descriptor for reading is none for running (%d)", is);
	ok(open_file(NULL, 0, "/tmp/group") == 0, "who is not in the group may read");
	ok(open_file(&group, 1, "/tmp/group") == EACCES, "who is may not");
	ok(open_file(&group, 1, "/tmp/inside/file") == 0, "who is in the group may search");
	ok(open_file(NULL, 0, "/tmp/inside/file") == EACCES, "who is not may not");
	is = as_user(names_of_others);
	ok(!is, "names, files and processes of others (%d)", is);
	is = as_user(memory_of_others);
	ok(!is, "memory of others (%d)", is);
	is = as_user(unmap_much);
	ok(!is, "a range costs what is in it (%d)", is);
	is = as_user(map_many);
	ok(!is, "so many maps of a process (%d)", is);
	is = as_user(map_nameless);
	ok(!is, "... of memory without a name (%d)", is);
	is = as_user(lock_many);
	ok(!is, "so many locks (%d)", is);
	is = as_user(destroy_self);
	ok(!is, "who destroys himself is reaped (%d)", is);
	is = as_user(early);
	ok(!is, "half a child is no process (%d)", is);
	as_user(keep_frames);
	as_user(keep_frames);
	before = core_info->frames_free;
	for (int i = 0; i < 10; i++)
		is = as_user(keep_frames);
	ok(is == 128 + SIGKILL && core_info->frames_free + 64 > before,
	   "frames for a child come back: %u, %u (%d)", before,
	   core_info->frames_free, is);
	ok(serves(), "the keeper serves");
	return tap_done();
}
