/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file of those who are logged in: records of one size, each of which has its place for good. Who may write is a matter
 * of the file's mode. A record is written under a lock of the whole file.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <utmpx.h>

static int file = -1;
static off_t next;			/* which record getutxent gives */
static struct utmpx current;

void setutxent(void)
{
	next = 0;
}

void endutxent(void)
{
	if (file >= 0)
		close(file);
	file = -1;
	next = 0;
}

struct utmpx *getutxent(void)
{
	if (file < 0)
		file = open(UTMPX_FILE, O_RDONLY | O_CLOEXEC);
	if (file < 0 || pread(file, &current, sizeof(current), next * (off_t)sizeof(current)) != sizeof(current))
		return NULL;
	next++;
	return &current;
}

static int is_process(short type)
{
	return type >= INIT_PROCESS && type <= DEAD_PROCESS;
}

static int same_id(const struct utmpx *a, const struct utmpx *b)
{
	if (is_process(b->ut_type))
		return is_process(a->ut_type) && !memcmp(a->ut_id, b->ut_id, sizeof(a->ut_id));
	return a->ut_type == b->ut_type;
}

struct utmpx *getutxid(const struct utmpx *id)
{
	const struct utmpx wanted = *id;	/* it may be what the last call has given */
	struct utmpx *is;

	if (wanted.ut_type < RUN_LVL || wanted.ut_type > DEAD_PROCESS) {
		errno = EINVAL;
		return NULL;
	}
	while ((is = getutxent()) && !same_id(is, &wanted))
		;
	return is;
}

struct utmpx *getutxline(const struct utmpx *line)
{
	const struct utmpx wanted = *line;
	struct utmpx *is;

	while ((is = getutxent()))
		if ((is->ut_type == LOGIN_PROCESS || is->ut_type == USER_PROCESS) &&
		    !strncmp(is->ut_line, wanted.ut_line, sizeof(wanted.ut_line)))
			return is;
	return NULL;
}

/* The place of the record that this one replaces, or the end. */
static off_t place(int fd, const struct utmpx *new)
{
	struct utmpx is;
	off_t at = 0;

	while (pread(fd, &is, sizeof(is), at * (off_t)sizeof(is)) == sizeof(is) && !same_id(&is, new))
		at++;
	return at;
}

struct utmpx *pututxline(const struct utmpx *record)
{
	struct flock lock = { .l_type = F_WRLCK };
	const struct utmpx new = *record;
	ssize_t done = -1;
	off_t at = 0;
	int fd;

	if (new.ut_type < RUN_LVL || new.ut_type > DEAD_PROCESS) {
		errno = EINVAL;
		return NULL;
	}
	fd = open(UTMPX_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0 && fcntl(fd, F_SETLKW, &lock) == 0) {
		at = place(fd, &new);
		done = pwrite(fd, &new, sizeof(new), at * (off_t)sizeof(new));
	}
	if (fd >= 0)
		close(fd);
	if (done != sizeof(new)) {
		if (errno == EACCES)
			errno = EPERM;
		return NULL;
	}
	next = at + 1;
	current = new;
	return &current;
}
