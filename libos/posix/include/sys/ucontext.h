/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As <ucontext.h>.
 */
#include <ucontext.h>
