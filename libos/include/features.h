/* SPDX-License-Identifier: BSD-2-Clause */
/* What Linux' C libraries keep here lies in <sys/features.h>. */
#include <sys/features.h>
