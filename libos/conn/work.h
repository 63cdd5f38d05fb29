/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn_beside for those who implement conn.h and have no threads: the loop itself does it.
 */
#ifndef LIBOS_CONN_WORK_H
#define LIBOS_CONN_WORK_H

#include "libos/conn/conn.h"

/* Is there something to be done? */
bool works_wait(void);
/* Do all that has been asked for until now, and tell. */
void works_run(void);

#endif
