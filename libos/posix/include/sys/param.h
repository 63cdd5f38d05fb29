/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, and what programs of BSD expect beside: sizes, sets of bits, rounding. */
#ifndef EXO_POSIX_SYS_PARAM_H
#define EXO_POSIX_SYS_PARAM_H

#include <limits.h>
#include_next <sys/param.h>

#undef NOFILE
#define NOFILE		1024
#undef HZ
#define HZ		100
#define DEV_BSIZE	512
#define MAXHOSTNAMELEN	(HOST_NAME_MAX + 1)
#define MAXSYMLINKS	SYMLOOP_MAX
#define NGROUPS		NGROUPS_MAX
#define NCARGS		ARG_MAX

#define setbit(bits, i)	(((unsigned char *)(bits))[(i) / NBBY] |= 1 << ((i) % NBBY))
#define clrbit(bits, i)	(((unsigned char *)(bits))[(i) / NBBY] &= ~(1 << ((i) % NBBY)))
#define isset(bits, i)	((((const unsigned char *)(bits))[(i) / NBBY] & 1 << ((i) % NBBY)) != 0)
#define isclr(bits, i)	(!isset(bits, i))

#define roundup(x, to)	((((x) + ((to) - 1)) / (to)) * (to))
#define powerof2(x)	((((x) - 1) & (x)) == 0)

#endif
