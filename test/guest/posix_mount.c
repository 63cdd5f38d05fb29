/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mount and umount while processes run. The configuration gives the keeper extents: "two" (ext2) and "three" (cofs), each
 * with a file "hello" (test/e2e/posix_mount.py makes them), "read", an ext2 to be read only, "bad" with nothing in it,
 * and "again", which is "read" by another name. In /v are the tools mount and umount, and images: "image", an ext2, and
 * "cofs", and "deep", an ext2 with another such "deep" in it, six of them. Argument 1 is where chance begins.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include "test/guest/posix_keeper.h"

#define ROUNDS		60
#define IMAGES		160
#define CHANGING	40
#define ENTRIES_MAX	200	/* that are looked at in a hostile directory */

static bool fails(int result, int error)
{
	if (result == -1 && errno == error)
		return true;
	printf("# %d, %s\n", result, result ? strerror(errno) : "no error");
	return false;
}

static bool holds(const char *path, const char *text)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY);
	ssize_t bytes = read(fd, got, sizeof(got) - 1);

	close(fd);
	return bytes == (ssize_t)strlen(text) && !strcmp(got, text);
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	bool good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	return !close(fd) && good;
}

/* What a child's function returns, as a user or not; -1: it did not end so. */
static int child(int (*what)(void), uid_t uid)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(uid && setuid(uid) ? 99 : what());
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_shown(const char *line)
{
	static char text[16384];
	int fd = open("/dev/mounts", O_RDONLY);
	ssize_t bytes = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[bytes > 0 ? bytes : 0] = '\0';
	return strstr(text, line) != NULL;
}

/* --- errors ------------------------------------------------------------------------------------------------- */

static int mount_as_user(void)
{
	return mount("extent:two", "/tmp/m", "ext2", 0, NULL) ? errno : 0;
}

static int umount_as_user(void)
{
	return umount("/tmp/m") ? errno : 0;
}

static void errors(void)
{
	static char longer[5000];

	memset(longer, 'x', sizeof(longer) - 1);
	ok(child(mount_as_user, 1000) == EPERM, "a user may not mount");
	ok(fails(mount("extent:two", "/tmp/m", "ext4", 0, NULL), ENODEV), "an unknown kind");
	ok(fails(mount("extent:two", "/tmp/m", longer, 0, NULL), ENODEV), "a kind that is too long");
	ok(fails(mount("extent:none", "/tmp/m", "ext2", 0, NULL), ENOENT), "an extent that is not there");
	ok(fails(mount("/tmp/none", "/tmp/m", "ext2", 0, NULL), ENOENT), "a file that is not there");
	ok(fails(mount("/dev/null", "/tmp/m", "ext2", 0, NULL), ENOTBLK), "a device");
	ok(fails(mount("/tmp", "/tmp/m", "ext2", MS_RDONLY, NULL), ENOTBLK), "a directory as a source");
	ok(fails(mount("none", "/tmp/m", "common", MS_RDONLY, NULL), ENOENT), "a kind that needs an extent, and none");
	ok(fails(mount("extent:two", "/tmp/none", "ext2", 0, NULL), ENOENT), "a directory that is not there");
	ok(fails(mount("extent:two", "/tmp/file", "ext2", 0, NULL), ENOTDIR), "a file to mount on");
	ok(fails(mount("extent:two", longer, "ext2", 0, NULL), ENAMETOOLONG), "a path that is too long");
	ok(fails(mount(longer, "/tmp/m", "ext2", 0, NULL), ENAMETOOLONG), "a source that is too long");
	ok(fails(mount("extent:two", "/tmp/m", "ext2", 1 << 20, NULL), EINVAL), "an unknown flag");
	ok(fails(mount("extent:two", "/tmp/m", "ext2", 0, "wrong"), EINVAL), "an unknown option");
	ok(fails(mount("extent:two", "/tmp/m", "cofs", 0, NULL), EINVAL), "another kind");
	ok(fails(mount("extent:bad", "/tmp/m", "ext2", 0, NULL), EINVAL), "no file system is there");
	ok(fails(mount("extent:read", "/tmp/m", "ext2", 0, NULL), EROFS), "an extent that may only be read");
	ok(fails(mount("none", "/", "tmpfs", 0, NULL), EBUSY), "on the root");
	ok(fails(mount("none", "/tmp", "tmpfs", 0, NULL), EBUSY), "on what is mounted");
	ok(fails(umount("/tmp/m"), EINVAL), "nothing is mounted there");
	ok(fails(umount("/tmp/none"), ENOENT), "nothing is there");
	ok(fails(umount2("/tmp/m", 2), EINVAL), "an unknown flag of umount");
	ok(fails(umount("/"), EBUSY), "the root stays");
	ok(holds("/tmp/m/under", "under"), "and nothing is mounted after all that");
}

/* --- mounts that work ----------------------------------------------------------------------------------------- */

static void shown(const char *source, const char *kind)
{
	struct stat st, above;
	struct statvfs space;
	char line[128];

	snprintf(line, sizeof(line), "%s /tmp/m %s rw 0 0\n", source, kind);
	ok(is_shown(line), "%s is shown", kind);
	ok(!stat("/tmp/m", &st) && !stat("/tmp", &above) && st.st_dev != above.st_dev, "it has a number of its own");
	ok(!statvfs("/tmp/m", &space) && !statvfs("/tmp", &(struct statvfs){ 0 }) && space.f_fsid == st.st_dev &&
	   space.f_blocks > 0 && !(space.f_flag & ST_RDONLY), "and its own space");
}

static void busy(void)
{
	int fd = open("/tmp/m/hello", O_RDWR);
	char *map;

	ok(fails(umount("/tmp/m"), EBUSY), "a file is open");
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	ok(map != MAP_FAILED && fails(umount("/tmp/m"), EBUSY), "a file is mapped");
	munmap(map, 4096);
	ok(!chdir("/tmp/m") && fails(umount("/tmp/m"), EBUSY), "a process is there");
	ok(!chdir("/tmp") && !mkdir("m/in", 0755) && !mount("none", "m/in", "tmpfs", 0, NULL), "a relative path");
	ok(is_shown("none /tmp/m/in memory rw 0 0\n"), "is shown whole");
	ok(fails(umount("/tmp/m"), EBUSY), "something is mounted in it");
	ok(fails(rmdir("/tmp/m/in"), EBUSY) && fails(rename("/tmp/m/in", "/tmp/m/out"), EBUSY), "whose directory stays");
	ok(!umount("/tmp/m/in") && !rmdir("/tmp/m/in"), "until that goes");
	ok(child(umount_as_user, 1000) == EPERM, "a user may not unmount");
	chdir("/");
}

static void disk(const char *source, const char *kind)
{
	ok(!mount(source, "/tmp/m", kind, 0, NULL), "%s on %s", kind, source);
	ok(holds("/tmp/m/hello", "hello\n"), "its file");
	ok(fails(access("/tmp/m/under", F_OK), ENOENT), "covers what was there");
	ok(fails(mount(source, "/tmp/other", kind, 0, NULL), EBUSY), "once only");
	ok(fails(mount("none", "/tmp/m", "tmpfs", 0, NULL), EBUSY), "and one thing at a place");
	shown(source, kind);
	busy();
	ok(put("/tmp/m/new", "new"), "a file is made");
	ok(!umount("/tmp/m"), "unmounted");
	ok(holds("/tmp/m/under", "under") && fails(access("/tmp/m/new", F_OK), ENOENT), "what was covered is there again");
	ok(!is_shown(" /tmp/m "), "and nothing is shown");
	ok(!mount(source, "/tmp/other", kind, MS_RDONLY, NULL), "elsewhere, to be read only");
	ok(holds("/tmp/other/new", "new"), "what was written is there");
	ok(fails(open("/tmp/other/new", O_WRONLY), EROFS) && fails(unlink("/tmp/other/new"), EROFS), "and cannot be changed");
	ok(!umount("/tmp/other"), "unmounted");
	ok(!mount(source, "/tmp/m", kind, 0, NULL) && !unlink("/tmp/m/new") && !umount("/tmp/m"), "as it was");
}

/* A cache of any number of pages: it is mounted, or ENOMEM; nothing of it is held afterwards. */
static void caches(const char *source, const char *kind)
{
	static const char *const options[] = { "cache=0", "cache=63", "cache=4294967295", "cache=99999999999999999999999" };
	unsigned odd = 0, none = 0, round, i;
	uint32_t before = 0;
	int status;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
			int result = mount(source, "/tmp/m", kind, 0, options[i]);
			pid_t pid;

			none += result != 0;
			if (result ? errno != ENOMEM : !holds("/tmp/m/hello", "hello\n") || umount("/tmp/m")) {
				printf("# %s: %s\n", options[i], strerror(errno));
				odd++;
			}
			pid = fork();
			if (!pid)
				_exit(7);
			odd += waitpid(pid, &status, 0) != pid || status != 7 << 8;
		}
		if (round == 0)
			before = core_info->frames_free;
	}
	ok(!odd && in_order(), "%s: caches of any size: %u odd, %u refused", kind, odd, none);
	/* The keeper's heap holds some that it had before. */
	ok(core_info->frames_free + 1024 >= before, "%s: they give back what they took (%u, %u)", kind, before,
	   core_info->frames_free);
}

static int effective_user(void)
{
	char *const argv[] = { (char *)"/tmp/m/program", (char *)"user", NULL };

	execv(argv[0], argv);
	return errno;
}

static bool copy(const char *from, const char *to, mode_t mode)
{
	static char part[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t bytes;

	while ((bytes = read(in, part, sizeof(part))) > 0 && write(out, part, (size_t)bytes) == bytes)
		;
	close(in);
	return !fchmod(out, mode) && !close(out) && !bytes;
}

static void limits(const char *program)
{
	const struct {
		unsigned long flags;
		int device, user;	/* what open, and what a program says */
		const char *shown;
	} cases[] = { { 0, 0, 0, "rw " }, { MS_NODEV, EACCES, 0, "rw,nodev " }, { MS_NOSUID, 0, 100, "rw,nosuid " },
		{ MS_NOEXEC, 0, EACCES, "rw,noexec " } };
	char line[64];
	int fd;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ok(!mount("none", "/tmp/m", "tmpfs", cases[i].flags, "size=8M"), "memory with flags %lu", cases[i].flags);
		snprintf(line, sizeof(line), "none /tmp/m memory %s", cases[i].shown);
		ok(is_shown(line), "are shown");
		ok(!mknod("/tmp/m/null", S_IFCHR | 0666, makedev(1, 3)), "a device in it");
		fd = open("/tmp/m/null", O_RDWR);
		ok(fd < 0 ? cases[i].device == errno : !cases[i].device, "is opened, or not");
		close(fd);
		ok(copy(program, "/tmp/m/program", 04755), "a program in it");
		ok(child(effective_user, 100) == cases[i].user, "runs as whom it may");
		ok(!umount("/tmp/m"), "unmounted");
	}
}

static void image_file(void)
{
	ok(!mount("none", "/tmp/m", "tmpfs", 0, NULL) && copy("/v/image", "/tmp/m/image", 0600), "an image in a file");
	ok(fails(mount("/v/image", "/tmp/other", "ext2", 0, NULL), EROFS), "in a file system that cannot be written");
	ok(!mount("/v/image", "/tmp/other", "ext2", MS_RDONLY, NULL), "to be read only");
	ok(holds("/tmp/other/hello", "hello\n") && !umount("/tmp/other"), "is read");
	ok(!mount("/tmp/m/image", "/tmp/other", "ext2", 0, NULL), "to be written");
	ok(fails(mount("/tmp/m/image", "/tmp/more", "ext2", 0, NULL), EBUSY), "once only");
	ok(fails(umount("/tmp/m"), EBUSY), "what it lies in stays");
	ok(put("/tmp/other/made", "made") && !umount("/tmp/other"), "is written");
	ok(!mount("/tmp/m/image", "/tmp/other", "ext2", MS_RDONLY, NULL) && holds("/tmp/other/made", "made") &&
	   !umount("/tmp/other"), "and has it");
	ok(!truncate("/tmp/m/image", 100000) && fails(mount("/tmp/m/image", "/tmp/other", "ext2", 0, NULL), EIO),
	   "an image that was cut");
	ok(fails(mount("/tmp/m/image", "/tmp/other", "common", 0, NULL), ENOTBLK), "a kind that no file can be");
	ok(!umount("/tmp/m"), "unmounted");
	ok(fails(umount("/tmp/m"), EINVAL), "once");
}

/* Each flush is many in what is below: images lie in each other only so deep. */
static void deep(void)
{
	char from[48] = "/tmp/m/deep", at[32], file[48];
	int i, depth = 0;

	ok(!mount("none", "/tmp/m", "tmpfs", 0, NULL) && copy("/v/deep", from, 0600), "images in each other");
	for (i = 0; i < 5; i++) {
		sprintf(at, "/tmp/deep%d", i);
		if (mkdir(at, 0755) || mount(from, at, "ext2", 0, NULL))
			break;
		sprintf(file, "%s/new", at);
		depth += put(file, "new") && holds(file, "new");
		sprintf(from, "%s/deep", at);
	}
	ok(i == 4 && errno == ELOOP && depth == 4, "four are mounted, and written: %d, %d", i, depth);
	sync();
	for (depth = 0; i-- > 0;) {
		sprintf(at, "/tmp/deep%d", i);
		depth += !umount(at) && !rmdir(at);
	}
	ok(depth == 4 && !rmdir("/tmp/deep4") && !umount("/tmp/m"), "and unmounted");
}

/* What the tools say of it: their status, or -1. */
static int tool(const char *name, const char *const *words)
{
	int status = -1;
	pid_t pid;

	if (posix_spawn(&pid, name, NULL, NULL, (char *const *)words, NULL) || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define TOOL(name, ...) tool("/v/" name, (const char *const[]){ name, __VA_ARGS__, NULL })

static void tools(void)
{
	ok(TOOL("mount", "-t", "ext2", "-o", "ro,nosuid,cache=100", "extent:two", "/tmp/m") == 0, "mount with options");
	ok(is_shown("extent:two /tmp/m ext2 ro,nosuid 0 0\n"), "does what they say");
	ok(TOOL("mount", "-t", "ext2", "extent:two", "/tmp/other") == 1, "mount fails");
	ok(TOOL("umount", "/tmp/m", "/tmp/none") == 1 && !is_shown("/tmp/m"), "umount of one of two");
	ok(TOOL("mount", "-r", "extent:three", "/tmp/m") == 0 && is_shown("extent:three /tmp/m cofs ro 0 0\n"), "a kind is found");
	ok(TOOL("umount", "/tmp/m") == 0, "umount");
	ok(TOOL("mount", "-t", "tmpfs", "/tmp/m") == 0 && is_shown("tmpfs /tmp/m memory rw 0 0\n"), "memory without a source");
	ok(TOOL("umount", "/tmp/m") == 0, "umount");
	ok(TOOL("mount", "-x") == 2 && TOOL("mount", "extent:two") == 2 && TOOL("umount", "-x") == 2, "wrong words");
	ok(TOOL("mount", "-t", "memory") == 0, "what is mounted");
}

/* --- others at work ------------------------------------------------------------------------------------------- */

static _Noreturn void look_for_ever(void)
{
	struct stat st;

	for (unsigned i = 0;; i++) {
		int fd = open("/tmp/m/hello", O_RDONLY);

		if (fd < 0 ? errno != ENOENT : !holds("/tmp/m/hello", "hello\n") && errno != ENOENT)
			_exit(1);
		close(fd);
		if (i % 7 == 0)
			sync();
		if (i % 5 == 0 && !put("/tmp/m/again", "again"))
			_exit(2);
		unlink("/tmp/m/again");
		stat("/tmp/m/../m/hello", &st);
		if (i % 4 == 0)
			usleep(2000);		/* who never rests keeps it for ever */
	}
}

static void others(const char *source, const char *kind)
{
	pid_t pid[3];
	int status, mounted = 0, gone = 0, tries = 0;

	for (int i = 0; i < 3; i++)
		if (!(pid[i] = fork()))
			look_for_ever();
	for (int i = 0; i < ROUNDS; i++) {
		mounted += !mount(source, "/tmp/m", kind, 0, NULL);
		usleep(1000);
		for (tries = 0; tries < 10000 && umount("/tmp/m") && errno == EBUSY; tries++)
			usleep(100);
		gone += tries < 10000;
	}
	ok(mounted == ROUNDS && gone == ROUNDS, "%s mounted %d times and gone %d while three are at it", source, mounted, gone);
	for (int i = 0; i < 3; i++) {
		kill(pid[i], SIGKILL);
		ok(waitpid(pid[i], &status, 0) == pid[i] && WIFSIGNALED(status), "who saw one file or none");
	}
	ok(in_order(), "the keeper is in order");
}

/* Whoever is killed in the middle of it, it is done or not. */
static void killed(const char *source, const char *kind)
{
	int odd = 0;

	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = fork();

		if (!pid)
			for (;;) {
				mount(source, "/tmp/m", kind, 0, NULL);
				umount("/tmp/m");
			}
		usleep((useconds_t)(500 + i * 137));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (int tries = 0; umount("/tmp/m") && errno == EBUSY && tries < 1000; tries++)
			usleep(1000);
		odd += mount(source, "/tmp/m", kind, 0, NULL) || !holds("/tmp/m/hello", "hello\n") || umount("/tmp/m");
	}
	ok(!odd, "%s: killed %d times, %d of them not whole", kind, ROUNDS, odd);
	ok(in_order(), "the keeper is in order");
}

/* --- hostile images --------------------------------------------------------------------------------------------- */

static void visit(const char *folder, int depth, int *entries)
{
	char path[1024], part[4096];
	struct dirent *entry;
	DIR *dir = opendir(folder);
	int fd;

	while (dir && ++*entries < ENTRIES_MAX && (entry = readdir(dir))) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode) && depth)
			visit(path, depth - 1, entries);
		if (S_ISLNK(st.st_mode))
			(void)!readlink(path, part, sizeof(part));
		fd = open(path, O_RDWR | O_NONBLOCK);
		for (int i = 0; i < 8 && read(fd, part, sizeof(part)) > 0; i++)
			;
		(void)!write(fd, "x", 1);
		close(fd);
		unlink(path);
	}
	if (dir)
		closedir(dir);
}

/* Wrong bytes, most of them among the metadata at its beginning. */
static void damage(const char *path)
{
	static const off_t areas[] = { 4096, 65536, 1 << 20, 1 << 20 };
	static const int counts[] = { 1, 1, 4, 30 };
	int fd = open(path, O_RDWR);
	off_t bytes = lseek(fd, 0, SEEK_END);

	for (int count = counts[random() % 4]; count; count--) {
		off_t area = areas[random() % 4], at = random() % (area < bytes ? area : bytes);
		unsigned char byte;

		if (pread(fd, &byte, 1, at) == 1) {
			byte = (unsigned char)(random() % 2 ? byte ^ 1 << random() % 8 : random());
			(void)!pwrite(fd, &byte, 1, at);
		}
	}
	close(fd);
}

static void hostile(void)
{
	int mounted = 0, stuck = 0;

	for (int images = 0; images < IMAGES; images++) {
		int entries = 0;

		if (!copy(images % 2 ? "/v/cofs" : "/v/image", "/tmp/hostile", 0600))
			break;
		damage("/tmp/hostile");
		if (mount("/tmp/hostile", "/tmp/m", images % 2 ? "cofs" : "ext2", 0, NULL))
			continue;
		mounted++;
		visit("/tmp/m", 3, &entries);
		put("/tmp/m/written", "written");
		sync();
		if (umount("/tmp/m") && umount("/tmp/m")) {
			printf("# %d: %s\n", images, strerror(errno));
			stuck++;
		}
	}
	ok(mounted > IMAGES / 10, "%d hostile images, %d of which can be mounted", IMAGES, mounted);
	ok(!stuck, "%d do not go", stuck);
	ok(in_order(), "the keeper is in order");
	unlink("/tmp/hostile");
}

/* Images that others change while they are mounted: what was read once is not what is read again. */
static void changing(void)
{
	int mounted = 0, stuck = 0;

	for (int i = 0; i < CHANGING; i++) {
		int entries = 0;
		pid_t pid;

		if (!copy(i % 2 ? "/v/cofs" : "/v/image", "/tmp/hostile", 0600) ||
		    mount("/tmp/hostile", "/tmp/m", i % 2 ? "cofs" : "ext2", 0, "cache=16"))
			continue;
		mounted++;
		pid = fork();
		if (!pid)
			for (srandom((unsigned)random() + (unsigned)i);; usleep(200))
				damage("/tmp/hostile");
		for (int turn = 0; turn < 3; turn++) {
			put("/tmp/m/written", "written");
			visit("/tmp/m", 3, &entries);
			sync();
		}
		stuck += umount("/tmp/m") && umount("/tmp/m");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	ok(mounted == CHANGING && !stuck, "%d images that change, of which %d do not go", mounted, stuck);
	ok(in_order(), "the keeper is in order");
	unlink("/tmp/hostile");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "user"))
		return (int)geteuid();
	srandom(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1);
	mkdir("/tmp/m", 0755);
	mkdir("/tmp/other", 0755);
	mkdir("/tmp/more", 0755);
	put("/tmp/m/under", "under");
	put("/tmp/file", "file");
	errors();
	disk("extent:two", "ext2");
	disk("extent:three", "cofs");
	caches("extent:two", "ext2");
	caches("extent:three", "cofs");
	limits(argv[0]);
	image_file();
	deep();
	tools();
	others("extent:two", "ext2");
	others("extent:three", "cofs");
	killed("extent:two", "ext2");
	killed("extent:three", "cofs");
	hostile();
	changing();
	ok(!mount("extent:read", "/tmp/m", "ext2", MS_RDONLY, NULL) && holds("/tmp/m/hello", "hello\n"),
	   "one that stays mounted at the end");
	ok(fails(mount("extent:again", "/tmp/other", "ext2", MS_RDONLY, NULL), EBUSY), "and is not mounted by another name");
	return tap_done();
}
