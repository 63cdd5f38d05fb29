/* SPDX-License-Identifier: BSD-2-Clause */
/* Where older programs look for statfs(). */
#include <sys/statfs.h>
