/* SPDX-License-Identifier: BSD-2-Clause */
/* An older name of <sys/wait.h>. */
#include <sys/wait.h>
