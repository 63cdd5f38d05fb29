/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors, names, rights and locks of the keeper (libos/keep: open.c, files.c, names.c, attributes.c, lock.c), over a
 * file system in memory: descriptors beside this computer's own; rights and record locks beside naive models.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/file.h>
#include "libos/keep/files.h"
#include "test/unit/keep_table.h"
#include "test/unit/tap.h"

static uint64_t seed = 7;
static int bad;
static char log_text[8400];

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void same(long long got, long long wanted)
{
	if (got != wanted && bad++ < 10)
		printf("# %s: got %lld, wanted %lld\n", log_text, got, wanted);
}

static long long host(long long result)
{
	return result < 0 ? -errno : result;
}

static int64_t open_as(struct keep_process *process, const char *path, int flags, mode_t mode)
{
	return fake_path(process, REQUEST_OPEN, path, (uint64_t)AT_FDCWD, (uint64_t)flags, mode);
}

/* --- descriptors beside this computer's ----------------------------------------------------------------------- */

#define OWN_FDS	24
static int theirs[WIRE_FDS];		/* this computer's descriptor; 0: closed */
static char data[5000];

static void open_both(struct keep_process *process)
{
	static const int extra[] = { O_CREAT, O_TRUNC, O_APPEND, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC };
	int flags = draw(3) == 0 ? O_RDONLY : draw(2) ? O_WRONLY : O_RDWR, fd, got;
	char path[16];

	snprintf(path, sizeof(path), "/f%u", draw(4));
	for (unsigned i = 0; i < 7; i++)
		if (draw(i ? 7 : 2) == 0)
			flags |= extra[i];
	if (flags & O_DIRECTORY)
		flags &= ~O_CREAT;
	if (!(flags & O_CREAT))
		flags &= ~O_EXCL;
	snprintf(log_text, sizeof(log_text), "open %s %#o", path, (unsigned)flags);
	got = open(path + 1, flags, 0644);
	fd = (int)open_as(process, path, flags, 0644);
	if (got >= 0 && fd >= 0) {
		same(theirs[fd], 0);
		theirs[fd] = got;
	} else {
		same(fd, got < 0 ? -errno : got);
	}
}

static void transfer_both(struct keep_process *process, int fd)
{
	uint32_t bytes = draw(3) ? draw(300) : draw(sizeof(data));
	bool writes = draw(2), at = draw(3) == 0;
	int64_t offset = at ? (int64_t)draw(9000) : -1, got, wanted;
	static char mine[sizeof(data)];

	snprintf(log_text, sizeof(log_text), "%s fd %d bytes %u at %lld", writes ? "write" : "read", fd, bytes,
	    (long long)offset);
	if (writes) {
		for (uint32_t i = 0; i < bytes; i++)
			data[i] = (char)draw(256);
		memcpy(process->buffer, data, bytes);
		wanted = host(at ? pwrite(theirs[fd], data, bytes, offset) : write(theirs[fd], data, bytes));
		got = fake_ask(process, REQUEST_WRITE, (uint64_t)fd, bytes, (uint64_t)offset, NULL);
		same(got, wanted);
		return;
	}
	wanted = host(at ? pread(theirs[fd], mine, bytes, offset) : read(theirs[fd], mine, bytes));
	got = fake_ask(process, REQUEST_READ, (uint64_t)fd, bytes, (uint64_t)offset, NULL);
	same(got, wanted);
	if (got == wanted && got > 0)
		same(memcmp(mine, process->buffer, (size_t)got), 0);
}

static void dup_both(struct keep_process *process, int fd)
{
	int to = draw(2) ? (int)draw(OWN_FDS) : -1;
	int64_t got;

	snprintf(log_text, sizeof(log_text), "dup fd %d to %d", fd, to);
	if (to == fd)
		return;
	got = to < 0 ? fake_ask(process, REQUEST_FCNTL, (uint64_t)fd, F_DUPFD_CLOEXEC, draw(8), NULL) :
	    fake_ask(process, REQUEST_DUP, (uint64_t)fd, (uint64_t)to, WIRE_DUP_EXACT, NULL);
	if (to >= 0)
		same(got, to);
	if (got < 0)
		return;
	if (theirs[got])
		close(theirs[got]);
	theirs[got] = to < 0 ? fcntl(theirs[fd], F_DUPFD_CLOEXEC, 0) : dup(theirs[fd]);
}

static void flags_both(struct keep_process *process, int fd)
{
	int flags = draw(2) ? O_APPEND : 0, kept = O_ACCMODE | O_APPEND | O_NONBLOCK;

	snprintf(log_text, sizeof(log_text), "flags of fd %d", fd);
	if (draw(2)) {
		same(fake_ask(process, REQUEST_FCNTL, (uint64_t)fd, F_SETFL, (uint64_t)flags, NULL), 0);
		fcntl(theirs[fd], F_SETFL, flags);
	}
	same(fake_ask(process, REQUEST_FCNTL, (uint64_t)fd, F_GETFL, 0, NULL) & kept, fcntl(theirs[fd], F_GETFL) & kept);
	same(fake_ask(process, REQUEST_FCNTL, (uint64_t)fd, F_GETFD, 0, NULL), fcntl(theirs[fd], F_GETFD));
}

static void seek_both(struct keep_process *process, int fd)
{
	int whence = (int)draw(3);
	int64_t offset = (int64_t)draw(12000) - (whence ? 6000 : 0);

	snprintf(log_text, sizeof(log_text), "seek fd %d %lld %d", fd, (long long)offset, whence);
	same(fake_ask(process, REQUEST_SEEK, (uint64_t)fd, (uint64_t)offset, (uint64_t)whence, NULL),
	     host(lseek(theirs[fd], offset, whence)));
}

static void one_both(struct keep_process *process)
{
	int fd = (int)draw(OWN_FDS);
	uint32_t what = draw(20);

	if (!theirs[fd]) {
		snprintf(log_text, sizeof(log_text), "closed fd %d", fd);
		same(fake_ask(process, REQUEST_CLOSE, (uint64_t)fd, 0, 0, NULL), -EBADF);
		open_both(process);
	} else if (what < 10) {
		transfer_both(process, fd);
	} else if (what < 13) {
		seek_both(process, fd);
	} else if (what < 15) {
		flags_both(process, fd);
	} else if (what < 16) {
		uint32_t bytes = draw(10000);

		snprintf(log_text, sizeof(log_text), "cut fd %d", fd);
		same(fake_ask(process, REQUEST_TRUNCATE, (uint64_t)fd, bytes, 0, NULL), host(ftruncate(theirs[fd], bytes)));
	} else if (what < 18) {
		dup_both(process, fd);
	} else {
		same(fake_ask(process, REQUEST_CLOSE, (uint64_t)fd, 0, 0, NULL), host(close(theirs[fd])));
		theirs[fd] = 0;
	}
}

static void descriptors(void)
{
	struct keep_process *process = fake_process(0);
	char folder[] = "/tmp/keep-test-XXXXXX";

	if (!ok(mkdtemp(folder) && !chdir(folder), "a folder on this computer"))
		return;
	umask(022);
	bad = 0;
	for (int i = 0; i < 40000; i++)
		one_both(process);
	is_int(bad, 0, "descriptors do what this computer's do");
	for (int fd = 0; fd < WIRE_FDS; fd++)
		if (theirs[fd])
			close(theirs[fd]);
	fake_end(process);
	for (int i = 0; i < 4; i++) {
		char path[16];

		snprintf(path, sizeof(path), "f%d", i);
		unlink(path);
	}
	ok(!chdir("/") && !rmdir(folder), "which is gone again");
}

/* --- rights --------------------------------------------------------------------------------------------------- */

static struct fs_attributes look(const char *path, int64_t *result)
{
	struct fs_attributes attributes = { 0 };
	uint32_t number;

	*result = vfs_stat(&vfs_root, path, false, &attributes, &number);
	return attributes;
}

static bool may(const struct keep_process *process, const struct fs_attributes *a, unsigned want)
{
	unsigned bits = a->mode;

	if (!process->euid)
		return !(want & 1) || a->kind == FS_DIRECTORY || a->mode & 0111;
	bits = process->euid == a->uid ? bits >> 6 : process->egid == a->gid ? bits >> 3 : bits;
	return (bits & want) == want;
}

/* What looking a path up must give: 0, -ENOENT, -ENOTDIR, -EACCES. *above: the directory of the last name. */
static int64_t walk(const struct keep_process *process, const char *path, struct fs_attributes *above,
		    struct fs_attributes *node)
{
	char prefix[64] = "/";
	int64_t result;

	*node = look("/", &result);
	for (const char *at = path; *at;) {
		size_t bytes = strcspn(at + 1, "/") + 1;

		*above = *node;
		if (above->kind != FS_DIRECTORY)
			return -ENOTDIR;
		if (!may(process, above, 1))
			return -EACCES;
		snprintf(prefix, sizeof(prefix), "%.*s", (int)(at + bytes - path), path);
		*node = look(prefix, &result);
		at += bytes;
		if (result)
			return *at ? -ENOENT : result;
	}
	return 0;
}

static void make_path(char *path)
{
	uint32_t parts = 1 + draw(3);

	for (uint32_t i = 0; i < parts; i++)
		path += sprintf(path, "/%c", 'a' + (char)draw(3));
}

static bool sticky(const struct keep_process *process, const struct fs_attributes *above, const struct fs_attributes *node)
{
	return process->euid && above->mode & 01000 && process->euid != above->uid && process->euid != node->uid;
}

static void one_right(struct keep_process *process, const struct keep_process *root)
{
	struct fs_attributes above, node;
	char path[64];
	int64_t result, wanted;
	uint32_t what = draw(9);
	int flags = (int)draw(3);

	make_path(path);
	wanted = walk(process, path, &above, &node);
	snprintf(log_text, sizeof(log_text), "operation %u on %s by %u", what, path, process->euid);
	switch (what) {
	case 0:
		same(fake_path(process, REQUEST_STAT, path, (uint64_t)AT_FDCWD, AT_SYMLINK_NOFOLLOW, 0), wanted);
		return;
	case 1:
	case 2:
		if (!wanted && flags && node.kind == FS_DIRECTORY)
			wanted = -EISDIR;
		else if (!wanted && !may(process, &node, flags == 0 ? 4 : flags == 1 ? 2 : 6))
			wanted = -EACCES;
		result = open_as(process, path, flags, 0);
		same(result < 0 ? result : 0, wanted);
		if (result >= 0)
			fake_ask(process, REQUEST_CLOSE, (uint64_t)result, 0, 0, NULL);
		return;
	case 3:
	case 4:
		wanted = wanted == -ENOENT && !look(path, &result).kind ? (may(process, &above, 3) && result == -ENOENT ?
		    0 : -EACCES) : !wanted ? -EEXIST : wanted;
		/* Of a path whose directory is missing. */
		if (wanted != -EEXIST && wanted != -ENOTDIR) {
			char up[64];

			snprintf(up, sizeof(up), "%s", path);
			*strrchr(up, '/') = '\0';
			wanted = *up ? walk(process, up, &above, &node) : 0;
			node = *up ? node : look("/", &result);
			if (!wanted)
				wanted = node.kind != FS_DIRECTORY ? -ENOTDIR : may(process, &node, 3) ? 0 : -EACCES;
		}
		same(fake_path(process, REQUEST_MKNOD, path, (uint64_t)AT_FDCWD, (what == 3 ? S_IFDIR : S_IFREG) |
		    (draw(2) ? 0777 : 0700), 0), wanted);
		return;
	case 5:
		if (!wanted)
			wanted = !may(process, &above, 3) ? -EACCES : sticky(process, &above, &node) ? -EPERM :
				node.kind == FS_DIRECTORY ? -EISDIR : 0;
		same(fake_path(process, REQUEST_UNLINK, path, (uint64_t)AT_FDCWD, 0, 0), wanted);
		return;
	case 6:
		if (!wanted && process->euid && node.uid != process->euid)
			wanted = -EPERM;
		same(fake_path(process, REQUEST_CHMOD, path, (uint64_t)AT_FDCWD, draw(4) ? draw(01000) | 0500 : 01777, 0),
		     wanted);
		return;
	case 7:
		if (!wanted && !may(process, &node, (unsigned)flags * 2 + 1))
			wanted = -EACCES;
		same(fake_path(process, REQUEST_ACCESS, path, (uint64_t)AT_FDCWD, (unsigned)flags * 2 + 1, AT_EACCESS), wanted);
		return;
	default:
		(void)fake_path((struct keep_process *)root, REQUEST_CHOWN, path, (uint64_t)AT_FDCWD,
		    (uint64_t)draw(3) << 32 | draw(3), 0);
	}
}

static void rights(void)
{
	struct keep_process *root = fake_process(0);

	bad = 0;
	for (uint32_t i = 0; i < 3; i++) {
		struct keep_process *process = fake_process(i + 1);

		process->uid = process->euid = i;
		process->gid = process->egid = i;
	}
	(void)fake_path(root, REQUEST_CHMOD, "/", (uint64_t)AT_FDCWD, 0777, 0);
	for (int i = 0; i < 60000; i++)
		one_right(&keep_process[1 + draw(3)], root);
	is_int(bad, 0, "modes and owners hold");
	for (uint32_t i = 0; i < 4; i++)
		fake_end(&keep_process[i]);
}

/* --- record locks --------------------------------------------------------------------------------------------- */

#define LOCK_BYTES	24
#define LOCKERS		4
static uint8_t held[LOCKERS][LOCK_BYTES];	/* 0, F_RDLCK + 1, F_WRLCK + 1 */

static bool in_the_way(int p, int type, uint32_t start, uint32_t end)
{
	for (int other = 0; other < LOCKERS; other++)
		for (uint32_t i = start; other != p && i < end; i++)
			if (held[other][i] && (type == F_WRLCK || held[other][i] == F_WRLCK + 1))
				return true;
	return false;
}

static void one_lock(const int fd[LOCKERS][2])
{
	int p = (int)draw(LOCKERS), type = (int[]){ F_RDLCK, F_WRLCK, F_UNLCK }[draw(3)];
	uint32_t start = draw(LOCK_BYTES), end = start + 1 + draw(LOCK_BYTES - start);
	struct flock lock = { .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = (off_t)(end - start) };
	struct keep_process *process = &keep_process[p];
	bool stops = type != F_UNLCK && in_the_way(p, type, start, end), test = type != F_UNLCK && draw(3) == 0;

	snprintf(log_text, sizeof(log_text), "lock of %d: %d [%u, %u)", p, type, start, end);
	if (draw(40) == 0) {	/* a close lets all of its process's go */
		same(fake_ask(process, REQUEST_CLOSE, (uint64_t)fd[p][1], 0, 0, NULL), 0);
		same(fake_ask(process, REQUEST_DUP, (uint64_t)fd[p][0], (uint64_t)fd[p][1], WIRE_DUP_EXACT, NULL), fd[p][1]);
		memset(held[p], 0, LOCK_BYTES);
		return;
	}
	if (draw(2)) {
		lock.l_start = end;
		lock.l_len = -(off_t)(end - start);
	}
	memcpy(process->buffer, &lock, sizeof(lock));
	if (test) {
		same(fake_ask(process, REQUEST_FCNTL, (uint64_t)fd[p][0], F_GETLK, 0, NULL), 0);
		memcpy(&lock, process->buffer, sizeof(lock));
		same(lock.l_type != F_UNLCK, stops);
		if (stops && lock.l_type != F_UNLCK)
			same(held[lock.l_pid - 100][lock.l_start] == lock.l_type + 1, 1);
		return;
	}
	same(fake_ask(process, REQUEST_FCNTL, (uint64_t)fd[p][0], F_SETLK, 0, NULL), stops ? -EAGAIN : 0);
	for (uint32_t i = start; !stops && i < end; i++)
		held[p][i] = type == F_UNLCK ? 0 : (uint8_t)(type + 1);
}

static int64_t lock_wait(int p, int fd, int type, int start)
{
	struct flock lock = { .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1 };

	memcpy(keep_process[p].buffer, &lock, sizeof(lock));
	return fake_ask(&keep_process[p], REQUEST_FCNTL, (uint64_t)fd, F_SETLKW, 0, NULL);
}

static void locks(void)
{
	int fd[LOCKERS][2];
	uint64_t wakes;

	bad = 0;
	for (uint32_t p = 0; p < LOCKERS; p++) {
		struct keep_process *process = fake_process(p);

		fd[p][0] = (int)open_as(process, "/locked", O_RDWR | O_CREAT, 0666);
		fd[p][1] = (int)fake_ask(process, REQUEST_DUP, (uint64_t)fd[p][0], 0, 0, NULL);
	}
	for (int i = 0; i < 60000; i++)
		one_lock((const int (*)[2])fd);
	is_int(bad, 0, "record locks do what the model does");
	for (int p = 0; p < LOCKERS; p++) {
		fake_ask(&keep_process[p], REQUEST_CLOSE, (uint64_t)fd[p][1], 0, 0, NULL);
		is_int(lock_wait(p, fd[p][0], F_WRLCK, p), 0, "each has a byte");
	}
	is_int(lock_wait(0, fd[0][0], F_WRLCK, 1), WIRE_WAIT, "0 waits for 1");
	is_int(lock_wait(1, fd[1][0], F_WRLCK, 2), WIRE_WAIT, "1 waits for 2");
	is_int(lock_wait(2, fd[2][0], F_RDLCK, 0), -EDEADLK, "2 would close the circle");
	is_int(fake_ask(&keep_process[1], REQUEST_CLOSE, (uint64_t)WIRE_FORGET, 0, 0, NULL), 0, "1 gives up");
	is_int(lock_wait(2, fd[2][0], F_RDLCK, 0), WIRE_WAIT, "and it is none any more");
	wakes = keep_process[0].page->wakes;
	fake_end(&keep_process[1]);
	ok(keep_process[0].page->wakes > wakes, "1 ends, and 0 is woken");
	is_int(lock_wait(0, fd[0][0], F_WRLCK, 1), 0, "and has the lock");
	is_int(fake_ask(&keep_process[0], REQUEST_FCNTL, (uint64_t)fd[0][0], WIRE_F_FLOCK, LOCK_EX, NULL), 0, "flock");
	is_int(fake_ask(&keep_process[3], REQUEST_FCNTL, (uint64_t)fd[3][0], WIRE_F_FLOCK, LOCK_SH | LOCK_NB, NULL),
	       -EWOULDBLOCK, "of somebody else");
	is_int(fake_ask(&keep_process[3], REQUEST_FCNTL, (uint64_t)fd[3][0], WIRE_F_FLOCK, LOCK_SH, NULL), WIRE_WAIT,
	       "waits");
	wakes = keep_process[3].page->wakes;
	fake_end(&keep_process[0]);
	ok(keep_process[3].page->wakes > wakes, "the last description of it goes");
	is_int(fake_ask(&keep_process[3], REQUEST_FCNTL, (uint64_t)fd[3][0], WIRE_F_FLOCK, LOCK_SH, NULL), 0, "and it has it");
	fake_end(&keep_process[2]);
	fake_end(&keep_process[3]);
}

/* --- the rest ------------------------------------------------------------------------------------------------- */

static void names(void)
{
	struct keep_process *process = fake_process(0), *child = fake_process(1);
	char path[VFS_PATH_MAX + 16];
	int64_t fd, bytes, count = 0;
	const struct wire_dirent *entry;

	is_int(fake_path(process, REQUEST_MKNOD, "/dir", (uint64_t)AT_FDCWD, S_IFDIR | 0755, 0), 0, "mkdir");
	is_int(fake_path(process, REQUEST_CHDIR, "/dir", (uint64_t)-1, 0, 0), 0, "chdir");
	is_int(fake_ask(process, REQUEST_GETCWD, 0, 0, 0, NULL), 4, "getcwd");
	is_string(process->buffer, "/dir", "is there");
	keep_cwd_copy(child, process);
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "name-%d", i);
		fake_ask(child, REQUEST_CLOSE, (uint64_t)open_as(child, path, O_CREAT | O_WRONLY, 0600), 0, 0, NULL);
	}
	fd = open_as(process, ".", O_RDONLY | O_DIRECTORY, 0);
	ok(fd == 0, "a directory");
	while ((bytes = fake_ask(process, REQUEST_GETDENTS, (uint64_t)fd, 1000, 0, NULL)) > 0)
		for (int64_t at = 0; at < bytes; at += entry->size, count++)
			entry = (const struct wire_dirent *)(process->buffer + at);
	is_int(count, 302, "its names");
	is_int(open_as(process, "name-1/x", O_RDONLY, 0), -ENOTDIR, "below a file");
	memset(path, 'x', sizeof(path));
	path[300] = '\0';
	is_int(open_as(process, path, O_RDONLY, 0), -ENAMETOOLONG, "a name too long");
	path[300] = 'x';
	path[VFS_PATH_MAX] = '\0';
	for (int i = 0; i < VFS_PATH_MAX; i += 2)
		path[i] = '/';
	is_int(open_as(process, path, O_RDONLY, 0), -ENAMETOOLONG, "a path too long");
	memset(process->buffer, 'x', WIRE_BUFFER);
	is_int(fake_ask(process, REQUEST_OPEN, (uint64_t)AT_FDCWD, 0, 0, NULL), -ENAMETOOLONG, "one without end");
	is_int(fake_ask(process, REQUEST_READ, (uint64_t)fd, 10, (uint64_t)-1, NULL), -EISDIR, "a directory is not read");
	process->limit[1][0] = 100;
	is_int(open_as(process, "/limited", O_RDWR | O_CREAT, 0600), 1, "a file of limited size");
	is_int(fake_ask(process, REQUEST_WRITE, 1, 150, (uint64_t)-1, NULL), 100, "takes a part");
	is_int(fake_ask(process, REQUEST_WRITE, 1, 150, (uint64_t)-1, NULL), -EFBIG, "and no more");
	is_int(fake_signals, 1, "with a signal");
	process->limit[1][0] = UINT64_MAX;
	fake_ask(process, REQUEST_CLOSE, 1, 0, 0, NULL);
	is_int(open_as(process, "/dev/null", O_RDWR, 0), 1, "/dev/null");
	is_int(fake_ask(process, REQUEST_WRITE, 1, 10, (uint64_t)-1, NULL), 10, "takes all");
	is_int(open_as(process, "/dev/fd/1", O_RDONLY, 0), 2, "a descriptor by its name");
	is_int(fake_ask(process, REQUEST_READ, 2, 10, (uint64_t)-1, NULL), 0, "is the same");
	while ((fd = fake_ask(process, REQUEST_DUP, 1, 0, 0, NULL)) >= 0)
		count = fd;
	is_int(count, WIRE_FDS - 1, "descriptors");
	is_int(fd, -EMFILE, "and no more");
	is_int(fake_ask(process, REQUEST_NEXT_FD, 700, 0, 0, NULL), 700, "an open one is the next");
	fake_ask(process, REQUEST_CLOSE, 700, 0, 0, NULL);
	is_int(fake_ask(process, REQUEST_NEXT_FD, 700, 0, 0, NULL), 701, "a closed one is passed over");
	is_int(fake_ask(process, REQUEST_NEXT_FD, WIRE_FDS - 1, 0, 0, NULL), WIRE_FDS - 1, "the last one");
	is_int(fake_ask(process, REQUEST_NEXT_FD, WIRE_FDS, 0, 0, NULL), -EBADF, "none is behind it");
	is_int(fake_ask(process, REQUEST_NEXT_FD, UINT64_MAX, 0, 0, NULL), -EBADF, "nor so far");
	fake_end(process);
	fake_end(child);
	keep_cwd_drop(process);
	keep_cwd_drop(child);
}

int main(void)
{
	const struct fs_mount how = { .options = "" };

	ok(vfs_mount("/", &fs_memory, &how) == 0, "a file system");
	keep_open_start();
	keep_files_start();
	keep_pipe_start();
	descriptors();
	rights();
	(void)vfs_set(&vfs_root, &(struct fs_attributes){ .mode = 0777 }, FS_SET_MODE);
	locks();
	names();
	return done();
}
