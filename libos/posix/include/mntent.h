/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of what is mounted, as Linux' programs read it: /etc/mtab, which the keeper makes when it is opened, or a
 * file of the same form (device, directory, type, options, two numbers). Fields are as in the file, with \040 and the
 * like turned into what they stand for.
 */
#ifndef EXO_POSIX_MNTENT_H
#define EXO_POSIX_MNTENT_H

#include <stdio.h>

#define MOUNTED		"/etc/mtab"
#define MNTTAB		"/etc/fstab"
#define MNTOPT_RO	"ro"
#define MNTOPT_RW	"rw"

struct mntent {
	char *mnt_fsname, *mnt_dir, *mnt_type, *mnt_opts;
	int mnt_freq, mnt_passno;
};

#ifdef __cplusplus
extern "C" {
#endif
FILE *setmntent(const char *path, const char *mode);
/* The next entry, in static memory; NULL: none. A line that is none is passed over. */
struct mntent *getmntent(FILE *file);
/* The same into the caller's memory; a longer line is cut. */
struct mntent *getmntent_r(FILE *file, struct mntent *entry, char *line, int bytes);
int endmntent(FILE *file);
/* Where an option begins in mnt_opts; NULL: it has none of this name. */
char *hasmntopt(const struct mntent *entry, const char *option);
#ifdef __cplusplus
}
#endif

#endif
