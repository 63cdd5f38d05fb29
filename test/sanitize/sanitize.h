/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the checked kernel's runtime offer each other. */
#ifndef TEST_SANITIZE_SANITIZE_H
#define TEST_SANITIZE_SANITIZE_H

#include "exo/kernel.h"
#include "arch/x86_64/port.h"

extern bool sanitize_on;	/* reports are made; off at boot, and while one is */
void sanitize_start(void);	/* the frame table is there */

#endif
