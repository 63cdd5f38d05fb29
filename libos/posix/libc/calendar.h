/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of broken-down time have in common.
 */
#ifndef LIBOS_POSIX_CALENDAR_H
#define LIBOS_POSIX_CALENDAR_H

/* What gmtime() puts into tm_zone. */
extern const char posix_greenwich[];

#endif
