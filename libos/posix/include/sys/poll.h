/* SPDX-License-Identifier: BSD-2-Clause */
/* An older name of <poll.h>. */
#include <poll.h>
