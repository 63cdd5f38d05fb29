/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types that picolibc leaves to the machine: wide enough for what file systems have. No function of picolibc that is
 * used here has one of them in a structure.
 */
#ifndef EXO_LIBC_MACHINE_TYPES_H
#define EXO_LIBC_MACHINE_TYPES_H

#include <machine/_default_types.h>

typedef __uint64_t __dev_t;
#define __machine_dev_t_defined
typedef __uint32_t __uid_t;
#define __machine_uid_t_defined
typedef __uint32_t __gid_t;
#define __machine_gid_t_defined
typedef __uint64_t __ino_t;
typedef __uint64_t __ino64_t;
#define __machine_ino_t_defined

#endif
