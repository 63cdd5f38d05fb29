/* SPDX-License-Identifier: BSD-2-Clause */
/* An older name of <syslog.h>. */
#include <syslog.h>
