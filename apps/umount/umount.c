/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * umount: what is mounted on these directories goes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

static const char *why(int error)
{
	return error == EINVAL ? "nothing is mounted there" : error == EPERM ? "only the superuser may" :
	    error == EBUSY ? "it is in use: a file is open, a process works in it, or something is mounted in it" :
	    strerror(error);
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: umount DIRECTORY...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		if (umount(argv[i])) {
			fprintf(stderr, "%s: %s: %s\n", argv[0], argv[i], why(errno));
			status = 1;
		}
	return status;
}
