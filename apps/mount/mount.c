/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mount: what file systems the keeper has, and where. What is mounted is decided when it starts (`exo run --mount`).
 */
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const struct mntent *entry;
	FILE *table;

	if (argc > 1) {
		fprintf(stderr, "%s: it only shows what is mounted: mounts are made by exo run --mount, or a configuration\n", argv[0]);
		return 2;
	}
	table = setmntent(MOUNTED, "r");
	if (!table) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		return 1;
	}
	while ((entry = getmntent(table)) != NULL)
		printf("%s on %s type %s (%s)\n", entry->mnt_fsname, entry->mnt_dir, entry->mnt_type, entry->mnt_opts);
	endmntent(table);
	return fflush(stdout) ? 1 : 0;
}
