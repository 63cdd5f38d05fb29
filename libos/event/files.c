/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of the boot archive, to be read only, and the console as descriptors 1 and 2.
 *
 * A file lies in memory already: reading copies from there, mapping gives its place there. The index of the archive is made in
 * the heap when a file is first asked for; a program that asks for none has none of this.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "libos/event/private.h"
#include "libos/fs/tar.h"

#define DESCRIPTORS	16
#define FIRST		3
#define ROOT_VARIABLE	"EXO_FILES="
#define BLOCK		512

static struct open {
	const struct tar_node *node;	/* NULL: free */
	uint64_t at;
} opened[DESCRIPTORS];
static struct tar archive;
static const struct tar_node *root;

struct __exo_dir {
	int number;
	const struct tar_node *next;
	bool begun;
	struct dirent entry;
};

static int wrong(int error)
{
	errno = error;
	return -1;
}

/* Index the archive, and find the directory of it that is "/". */
static bool ready(void)
{
	const void *base = (const void *)core_begin->archive;
	const char *text, *below = "/";
	enum tar_status status;
	struct tar_error error;
	size_t need;
	void *index;

	if (root || !base)
		return root != NULL;
	for (unsigned i = 0; (text = core_environment(i)) != NULL; i++)
		if (!strncmp(text, ROOT_VARIABLE, sizeof(ROOT_VARIABLE) - 1))
			below = text + sizeof(ROOT_VARIABLE) - 1;
	need = tar_need(base, core_begin->archive_bytes, &error);
	index = need ? event_alloc(need) : NULL;
	if (index && tar_open(&archive, base, core_begin->archive_bytes, index, need, &error) == TAR_OK)
		root = tar_find(&archive, NULL, below, strlen(below), &status);
	if (!root)
		event_free(index);
	return root != NULL;
}

static const struct tar_node *find(const char *path)
{
	enum tar_status status = TAR_NOENT;
	const struct tar_node *node = NULL;

	if (ready())
		node = tar_find(&archive, root, path, strlen(path), &status);
	if (!node)
		errno = status == TAR_NOTDIR ? ENOTDIR : status == TAR_LOOP ? ELOOP : ENOENT;
	return node;
}

static struct open *get(int number)
{
	struct open *one = number >= FIRST && number < FIRST + DESCRIPTORS ? &opened[number - FIRST] : NULL;

	if (one && one->node)
		return one;
	errno = EBADF;
	return NULL;
}

int open(const char *path, int flags, ...)
{
	const struct tar_node *node = find(path);
	int number = 0;

	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT)
		return wrong(EROFS);
	if (!node)
		return -1;
	if (flags & O_DIRECTORY && node->kind != TAR_DIRECTORY)
		return wrong(ENOTDIR);
	while (number < DESCRIPTORS && opened[number].node)
		number++;
	if (number == DESCRIPTORS)
		return wrong(EMFILE);
	opened[number] = (struct open){ .node = node };
	return FIRST + number;
}

int close(int number)
{
	struct open *one = get(number);

	if (one)
		one->node = NULL;
	return one ? 0 : -1;
}

ssize_t read(int number, void *buffer, size_t bytes)
{
	struct open *one = get(number);
	uint64_t left;

	if (!one)
		return -1;
	if (one->node->kind != TAR_FILE)
		return wrong(EISDIR);
	left = one->at < one->node->size ? one->node->size - one->at : 0;
	if (bytes > left)
		bytes = left;
	memcpy(buffer, (const char *)one->node->data + one->at, bytes);
	one->at += bytes;
	return (ssize_t)bytes;
}

off_t lseek(int number, off_t offset, int whence)
{
	struct open *one = get(number);
	off_t from;

	if (!one)
		return -1;
	from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (off_t)one->at : (off_t)one->node->size;
	if (offset < -from || offset > INT64_MAX - from)
		return wrong(EINVAL);
	one->at = (uint64_t)(from + offset);
	return from + offset;
}

ssize_t write(int number, const void *data, size_t bytes)
{
	if (number != STDOUT_FILENO && number != STDERR_FILENO)
		return wrong(EBADF);
	core_write(data, bytes);
	return (ssize_t)bytes;
}

int isatty(int number)
{
	return number >= 0 && number <= STDERR_FILENO;
}

static int describe(const struct tar_node *node, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = (mode_t)(node->mode | (node->kind == TAR_DIRECTORY ? S_IFDIR : S_IFREG));
	st->st_ino = (ino_t)(node - archive.nodes + 1);
	st->st_nlink = 1;
	st->st_size = (off_t)node->size;
	st->st_mtime = node->mtime;
	st->st_blksize = BLOCK;
	st->st_blocks = (blkcnt_t)((node->size + BLOCK - 1) / BLOCK);
	return 0;
}

int stat(const char *path, struct stat *st)
{
	const struct tar_node *node = find(path);

	return node ? describe(node, st) : -1;
}

int fstat(int number, struct stat *st)
{
	struct open *one;

	if (isatty(number)) {
		memset(st, 0, sizeof(*st));
		st->st_mode = S_IFCHR | 0600;
		return 0;
	}
	one = get(number);
	return one ? describe(one->node, st) : -1;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int number, off_t offset)
{
	struct open *one = flags & MAP_ANONYMOUS ? NULL : get(number);

	(void)address;
	if (!one || protection & ~PROT_READ || offset < 0 || (uint64_t)offset > one->node->size ||
	    bytes > one->node->size - (uint64_t)offset) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	return (char *)one->node->data + offset;
}

int munmap(void *address, size_t bytes)
{
	(void)address, (void)bytes;
	return 0;
}

/* --- directories --- */

DIR *opendir(const char *path)
{
	int number = open(path, O_RDONLY | O_DIRECTORY);
	DIR *dir = number < 0 ? NULL : event_calloc(1, sizeof(*dir));

	if (dir)
		dir->number = number;
	else if (number >= 0)
		close(number);
	return dir;
}

struct dirent *readdir(DIR *dir)
{
	const struct tar_node *node = dir->begun ? dir->next : tar_first(&archive, get(dir->number)->node);

	dir->begun = true;
	if (!node)
		return NULL;
	dir->next = tar_next(&archive, node);
	dir->entry.d_ino = (ino_t)(node - archive.nodes + 1);
	dir->entry.d_type = node->kind == TAR_DIRECTORY ? DT_DIR : node->kind == TAR_SYMLINK ? DT_LNK : DT_REG;
	memcpy(dir->entry.d_name, node->name, node->name_len);
	dir->entry.d_name[node->name_len] = '\0';
	return &dir->entry;
}

int dirfd(DIR *dir)
{
	return dir->number;
}

int closedir(DIR *dir)
{
	close(dir->number);
	event_free(dir);
	return 0;
}
