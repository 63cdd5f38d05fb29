// SPDX-License-Identifier: BSD-2-Clause
/*
 * <mntent.h> and <sys/statfs.h>: text and numbers that programs written for Linux read.
 */
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#define MOST_BYTES 1024		/* of a line that getmntent() reads */

/* What is mounted the keeper says; it is meant by the names that the file has elsewhere, too. */
FILE *setmntent(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (!file && errno == ENOENT && (!strcmp(path, MOUNTED) || !strcmp(path, "/proc/mounts")))
		file = fopen("/dev/mounts", mode);
	return file;
}

/* \ooo in a field stands for a byte. */
static void turn(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' && text[2] <= '7' &&
		    text[3] >= '0' && text[3] <= '7') {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = 0;
}

struct mntent *getmntent_r(FILE *file, struct mntent *entry, char *line, int bytes)
{
	while (fgets(line, bytes, file)) {
		char *rest = line, *field[4] = { NULL };
		int fields = 0;

		line[strcspn(line, "\n")] = 0;
		while (fields < 4 && (field[fields] = strtok_r(rest, " \t", &rest)))
			fields++;
		if (fields < 3 || field[0][0] == '#')
			continue;
		for (int i = 0; i < fields; i++)
			turn(field[i]);
		*entry = (struct mntent){ field[0], field[1], field[2], fields == 4 ? field[3] : line + strlen(line),
					  0, 0 };
		if (fields == 4 && rest)
			sscanf(rest, "%d %d", &entry->mnt_freq, &entry->mnt_passno);
		return entry;
	}
	return NULL;
}

struct mntent *getmntent(FILE *file)
{
	static struct mntent entry;
	static char line[MOST_BYTES];

	return getmntent_r(file, &entry, line, sizeof line);
}

int endmntent(FILE *file)
{
	fclose(file);
	return 1;
}

char *hasmntopt(const struct mntent *entry, const char *option)
{
	size_t bytes = strlen(option);

	for (char *at = entry->mnt_opts; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (!strncmp(at, option, bytes) && (!at[bytes] || at[bytes] == ',' || at[bytes] == '='))
			return at;
	return NULL;
}

static int told(int result, const struct statvfs *from, struct statfs *to)
{
	if (result == 0)
		*to = (struct statfs){
			.f_bsize = (long)from->f_frsize, .f_frsize = (long)from->f_frsize, .f_blocks = from->f_blocks,
			.f_bfree = from->f_bfree, .f_bavail = from->f_bavail, .f_files = from->f_files,
			.f_ffree = from->f_ffree,
			.f_fsid = { { (int)from->f_fsid, (int)(from->f_fsid >> 32) } },
				.f_namelen = (long)from->f_namemax, .f_flags = (long)from->f_flag,
		};
	return result;
}

int statfs(const char *path, struct statfs *space)
{
	struct statvfs from;

	return told(statvfs(path, &from), &from, space);
}

int fstatfs(int fd, struct statfs *space)
{
	struct statvfs from;

	return told(fstatvfs(fd, &from), &from, space);
}
