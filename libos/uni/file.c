/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and directories of the boot archive, read-only: open, stat, read, seek, opendir, and mmap, which
 * returns the place in the archive itself.
 *
 * The archive lies in the program's space already, mapped by its creator; it is checked and indexed when a
 * path is first looked up. The environment variable EXO_FILES names the directory of it that is the program's
 * "/".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "libos/fs/tar.h"
#include "libos/uni/fd.h"
#include "libos/vm/vm.h"

#define ROOT_VARIABLE	"EXO_FILES"

struct __exo_dir {
	const struct tar_node *directory, *next;
	unsigned position;	/* 0: ".", 1: "..", then entries */
	struct dirent entry;
};

static struct tar archive;
static const struct tar_node *root;
static enum { UNKNOWN, OPEN, BROKEN } archive_state;

/* --- pages ---------------------------------------------------------------------------------------------- */

/*
 * Address ranges that were mapped once and are free now: used again first, since their page tables are there.
 */
static struct vm_region *free_ranges;

static struct vm_region *take_range(uint64_t bytes)
{
	struct vm_region **link = &free_ranges, *range;

	for (; (range = *link); link = &range->next) {
		if (range->end - range->start < bytes)
			continue;
		*link = range->next;
		range->end = range->start + bytes;	/* what is left over is not used again */
		return range;
	}
	range = malloc(sizeof(*range));
	if (range) {
		range->start = vm_addresses(bytes);
		range->end = range->start + bytes;
	}
	return range;
}

void *uni_pages(size_t bytes)
{
	struct vm_region *region = take_range(PAGE_UP(bytes));

	if (!region)
		return NULL;
	*region = (struct vm_region){ .start = region->start, .end = region->end, .pager = vm_zero_pager,
		.flags = EXO_MAP_READ | EXO_MAP_WRITE };
	if (region->start && vm_add(region))
		return (void *)region->start;
	free(region);
	errno = ENOMEM;
	return NULL;
}

static void uni_pages_free(struct vm_region *region)
{
	vm_remove(region);
	region->next = free_ranges;
	free_ranges = region;
}

/* --- paths ---------------------------------------------------------------------------------------------- */

static void open_archive(void)
{
	const void *base = (const void *)core_begin->archive;
	const char *files = getenv(ROOT_VARIABLE);
	struct tar_error wrong;
	enum tar_status status;
	size_t bytes = core_begin->archive_bytes, need = base ? tar_need(base, bytes, &wrong) : 0;
	void *index = need ? uni_pages(need) : NULL;

	archive_state = BROKEN;
	if (!index || tar_open(&archive, base, bytes, index, need, &wrong) != TAR_OK)
		return;
	root = files ? tar_find(&archive, NULL, files, strlen(files), &status) : &archive.nodes[0];
	if (root && root->kind == TAR_DIRECTORY)
		archive_state = OPEN;
}

static const struct tar_node *look_up(const char *path)
{
	enum tar_status status = TAR_NOENT;
	const struct tar_node *node = NULL;

	if (archive_state == UNKNOWN)
		open_archive();
	if (archive_state == OPEN && *path)
		node = tar_find(&archive, root, path, strlen(path), &status);
	if (!node)
		errno = status == TAR_NOTDIR ? ENOTDIR : status == TAR_LOOP ? ELOOP : ENOENT;
	return node;
}

static void describe(const struct tar_node *node, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = (ino_t)(node - archive.nodes) + 1;
	st->st_mode = (mode_t)(node->mode & 07777) | (node->kind == TAR_DIRECTORY ? S_IFDIR : S_IFREG);
	st->st_nlink = 1;
	st->st_size = (off_t)node->size;
	st->st_mtime = (time_t)node->mtime;
	st->st_atime = st->st_ctime = st->st_mtime;
	st->st_blksize = 4096;
	st->st_blocks = (blkcnt_t)((node->size + 511) / 512);
}

int stat(const char *path, struct stat *st)
{
	const struct tar_node *node = look_up(path);

	if (!node)
		return -1;
	describe(node, st);
	return 0;
}

/* Symbolic links of the archive are always followed. */
int lstat(const char *path, struct stat *st)
{
	return stat(path, st);
}

int access(const char *path, int mode)
{
	if (!look_up(path))
		return -1;
	if (mode & W_OK) {
		errno = EROFS;
		return -1;
	}
	return 0;
}

char *getcwd(char *buffer, size_t bytes)
{
	if (bytes < 2) {
		errno = ERANGE;
		return NULL;
	}
	return strcpy(buffer, "/");
}

/* --- open files ----------------------------------------------------------------------------------------- */

static ssize_t file_read(struct fd *fd, void *buffer, size_t bytes)
{
	const struct tar_node *node = fd->object;

	if (node->kind == TAR_DIRECTORY) {
		errno = EISDIR;
		return -1;
	}
	uint64_t at = (uint64_t)fd->offset;
	uint64_t left = at < node->size ? node->size - at : 0;
	if (bytes > left)
		bytes = left;
	memcpy(buffer, (const char *)node->data + at, bytes);
	fd->offset += (off_t)bytes;
	return (ssize_t)bytes;
}

static off_t file_lseek(struct fd *fd, off_t offset, int whence)
{
	const struct tar_node *node = fd->object;
	off_t from = whence == SEEK_CUR ? fd->offset : whence == SEEK_END ? (off_t)node->size : 0;

	if ((whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END) || offset < -from ||
	    offset > INT64_MAX - from) {
		errno = EINVAL;
		return -1;
	}
	return fd->offset = from + offset;
}

static int file_stat(struct fd *fd, struct stat *st)
{
	describe(fd->object, st);
	return 0;
}

static const struct fd_ops file_ops = { .read = file_read, .lseek = file_lseek, .stat = file_stat };

int open(const char *path, int flags, ...)
{
	const struct tar_node *node = look_up(path);

	if ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC))) {
		errno = node && (flags & O_CREAT) && (flags & O_EXCL) ? EEXIST : EROFS;
		return -1;
	}
	if (!node)
		return -1;
	if ((flags & O_DIRECTORY) && node->kind != TAR_DIRECTORY) {
		errno = ENOTDIR;
		return -1;
	}
	return fd_open(&file_ops, (void *)node, flags);
}

/* --- directories ---------------------------------------------------------------------------------------- */

DIR *opendir(const char *path)
{
	const struct tar_node *node = look_up(path);
	DIR *dir;

	if (!node)
		return NULL;
	if (node->kind != TAR_DIRECTORY) {
		errno = ENOTDIR;
		return NULL;
	}
	dir = calloc(1, sizeof(*dir));
	if (dir) {
		dir->directory = node;
		dir->next = tar_first(&archive, node);
	}
	return dir;
}

struct dirent *readdir(DIR *dir)
{
	struct dirent *entry = &dir->entry;
	const struct tar_node *node = dir->next;

	if (dir->position < 2) {
		node = dir->position == 0 || dir->directory == root ? dir->directory
								    : &archive.nodes[dir->directory->parent];
		strcpy(entry->d_name, dir->position++ ? ".." : ".");
	} else if (node) {
		memcpy(entry->d_name, node->name, node->name_len);
		entry->d_name[node->name_len] = '\0';
		dir->next = tar_next(&archive, node);
	} else {
		return NULL;
	}
	entry->d_ino = (ino_t)(node - archive.nodes) + 1;
	entry->d_type = node->kind == TAR_DIRECTORY ? DT_DIR : node->kind == TAR_FILE ? DT_REG : DT_LNK;
	return entry;
}

void rewinddir(DIR *dir)
{
	dir->position = 0;
	dir->next = tar_first(&archive, dir->directory);
}

int closedir(DIR *dir)
{
	free(dir);
	return 0;
}

/* --- mmap ----------------------------------------------------------------------------------------------- */

/* Files: their place in the archive, whatever its alignment. Memory: demand-zero pages. */
void *mmap(void *address, size_t bytes, int protection, int flags, int number, off_t offset)
{
	struct fd *fd;
	void *at = MAP_FAILED;

	(void)address;
	if (!bytes || offset < 0 || (flags & MAP_FIXED)) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (flags & MAP_ANONYMOUS) {
		at = uni_pages(bytes);
		return at ? at : MAP_FAILED;
	}
	fd = fd_get(number);
	if (!fd)
		return MAP_FAILED;
	const struct tar_node *node = fd->object;
	if (fd->ops != &file_ops || node->kind != TAR_FILE)
		errno = ENODEV;
	else if (protection & (PROT_WRITE | PROT_EXEC))
		errno = EACCES;
	else if ((uint64_t)offset > node->size)
		errno = EINVAL;
	else
		at = (char *)node->data + offset;
	fd_put(fd);
	return at;
}

int munmap(void *address, size_t bytes)
{
	uint64_t at = (uint64_t)address;

	if (at - core_begin->archive < core_begin->archive_bytes)
		return 0;
	struct vm_region *region = vm_find(at);
	if (!region || region->start != at || region->end != at + PAGE_UP(bytes) ||
	    region->pager != vm_zero_pager) {
		errno = EINVAL;
		return -1;
	}
	uni_pages_free(region);
	return 0;
}
