/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading directories (POSIX.1-2017).
 */
#ifndef EXO_LIBC_DIRENT_H
#define EXO_LIBC_DIRENT_H

#include <sys/types.h>

#define DT_UNKNOWN	0
#define DT_FIFO		1
#define DT_CHR		2
#define DT_DIR		4
#define DT_BLK		6
#define DT_REG		8
#define DT_LNK		10
#define DT_SOCK		12

struct dirent {
	ino_t d_ino;
	unsigned char d_type;
	char d_name[256];
};

typedef struct __exo_dir DIR;

#ifdef __cplusplus
extern "C" {
#endif
DIR *opendir(const char *path);
DIR *fdopendir(int fd);
int dirfd(DIR *dir);
struct dirent *readdir(DIR *dir);
void rewinddir(DIR *dir);
long telldir(DIR *dir);
void seekdir(DIR *dir, long place);
int closedir(DIR *dir);
int scandir(const char *path, struct dirent ***list, int (*want)(const struct dirent *entry),
    int (*compare)(const struct dirent **one, const struct dirent **other));
int alphasort(const struct dirent **one, const struct dirent **other);
#ifdef __cplusplus
}
#endif

#endif
