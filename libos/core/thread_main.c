/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How large the first thread's stack is, in a file of its own: a program or libOS that defines it itself does without.
 */
#include "libos/core/thread.h"

const uint64_t thread_main_bytes = THREAD_MAIN_BYTES;
