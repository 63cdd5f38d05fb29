/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As <signal.h>.
 */
#include <signal.h>
