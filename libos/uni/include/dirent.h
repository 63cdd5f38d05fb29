/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading directories (POSIX.1-2017).
 */
#ifndef EXO_UNI_DIRENT_H
#define EXO_UNI_DIRENT_H

#include <sys/types.h>

#define DT_UNKNOWN	0
#define DT_DIR		4
#define DT_REG		8
#define DT_LNK		10

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
struct dirent *readdir(DIR *dir);
void rewinddir(DIR *dir);
int closedir(DIR *dir);
#ifdef __cplusplus
}
#endif

#endif
