/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy of regions that name none. Alone in its file: a program that defines policy_default chooses
 * another at link time.
 */
#include "libos/vm/policy.h"

const struct policy *const policy_default = &policy_clock;
