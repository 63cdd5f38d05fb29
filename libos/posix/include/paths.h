/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, and the other places that programs look for under these names.
 */
#ifndef EXO_POSIX_PATHS_H
#define EXO_POSIX_PATHS_H

#include_next <paths.h>

#define _PATH_TTY	"/dev/tty"
#define _PATH_CONSOLE	"/dev/console"
#define _PATH_DEFPATH	"/bin:/usr/bin"
#define _PATH_STDPATH	"/bin:/usr/bin"
#define _PATH_TMP	"/tmp/"
#define _PATH_MOUNTED	"/etc/mtab"

#endif
