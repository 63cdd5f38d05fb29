/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mount: what file systems there are, and where; or one more: mount [-r] [-t KIND] [-o OPTIONS] [SOURCE] DIRECTORY.
 *
 * A source is "extent:NAME", a file with an image, or anything for tmpfs. Without -t the kinds that lie on disks are tried
 * in turn, as none takes the others' for its own.
 */
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>

#define USAGE	"usage: mount [-r] [-t KIND] [-o OPTIONS] [SOURCE] DIRECTORY\n"

static int show(const char *name, const char *kind)
{
	const struct mntent *entry;
	FILE *table = setmntent(MOUNTED, "r");

	if (!table) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return 1;
	}
	while ((entry = getmntent(table)) != NULL)
		if (!kind || !strcmp(entry->mnt_type, kind))
			printf("%s on %s type %s (%s)\n", entry->mnt_fsname, entry->mnt_dir, entry->mnt_type, entry->mnt_opts);
	endmntent(table);
	return fflush(stdout) ? 1 : 0;
}

/* What are flags of mount() is taken out of the options. */
static unsigned long flags_of(char *options)
{
	static const struct {
		const char *name;
		unsigned long flag;
		int set;
	} known[] = {
		{ "ro", MS_RDONLY, 1 }, { "rw", MS_RDONLY, 0 }, { "nosuid", MS_NOSUID, 1 }, { "suid", MS_NOSUID, 0 },
		{ "nodev", MS_NODEV, 1 }, { "dev", MS_NODEV, 0 }, { "noexec", MS_NOEXEC, 1 }, { "exec", MS_NOEXEC, 0 },
		{ "defaults", 0, 0 }, { "loop", 0, 0 },
	};
	char *to = options, *next;
	unsigned long flags = 0;

	for (char *word = options; word; word = next) {
		size_t bytes = strcspn(word, ",");
		unsigned i = 0;

		next = word[bytes] ? word + bytes + 1 : NULL;
		word[bytes] = '\0';
		while (i < sizeof(known) / sizeof(known[0]) && strcmp(known[i].name, word))
			i++;
		if (i < sizeof(known) / sizeof(known[0])) {
			flags = known[i].set ? flags | known[i].flag : flags & ~known[i].flag;
		} else if (*word) {
			if (to != options)
				*to++ = ',';
			to = (char *)memmove(to, word, bytes) + bytes;
		}
	}
	*to = '\0';
	return flags;
}

static const char *why(int error)
{
	switch (error) {
	case EPERM:
		return "only the superuser may";
	case EINVAL:
		return "no file system of this kind is there, or an option is unknown";
	case ENODEV:
		return "there is no such kind of file system; there are ext2, cofs, common and tmpfs";
	case ENOTBLK:
		return "the source is neither extent:NAME nor a regular file";
	case EROFS:
		return "it may only be read; add -o ro";
	case EBUSY:
		return "the directory or the source is in use already";
	default:
		return strerror(error);
	}
}

static int mount_any(const char *source, const char *target, const char *kind, unsigned long flags, const char *options)
{
	static const char *const kinds[] = { "ext2", "cofs", "common" };
	int result = -1;

	if (kind)
		return mount(source, target, kind, flags, options);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && result && (!i || errno == EINVAL); i++)
		result = mount(source, target, kinds[i], flags, options);
	return result;
}

int main(int argc, char **argv)
{
	char none[1] = "", *options = none, *kind = NULL;
	const char *source, *target;
	unsigned long flags = 0;
	int option;

	while ((option = getopt(argc, argv, "rt:o:")) != -1) {
		if (option == 'r') {
			flags |= MS_RDONLY;
		} else if (option == 't') {
			kind = optarg;
		} else if (option == 'o') {
			options = optarg;
		} else {
			fputs(USAGE, stderr);
			return 2;
		}
	}
	if (optind == argc && options == none && !flags)
		return show(argv[0], kind);
	if (argc - optind < 1 || argc - optind > 2 || (argc - optind == 1 && !kind)) {
		fputs(USAGE, stderr);
		return 2;
	}
	target = argv[argc - 1];
	source = argc - optind == 2 ? argv[optind] : kind;
	flags |= flags_of(options);
	if (!mount_any(source, target, kind, flags, options))
		return 0;
	fprintf(stderr, "%s: %s on %s: %s\n", argv[0], source, target, why(errno));
	return 1;
}
